//! Patches of sources, which are not edited: `templatePatch` of an ApplicationSet, a text that Argo CD fills in and lays
//! over `template`, and the texts in `kustomize.patches`.
//!
//! Not here: what a patch says. That one may name the image is told where nothing else names it.

use super::Walk;
use crate::edit::NodeId;

/// Where a patch stands that may name the image.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    pub(super) key: &'static str,
    pub(super) line: usize,
}

/// The patch of the template of an ApplicationSet.
pub(super) fn of_template(walk: Walk<'_, '_>, object: NodeId) -> Option<Patch> {
    let (walk, spec) = walk.child(object, "spec").ok()??;
    let line = naming(walk, (spec, "templatePatch"))?;
    let key = "templatePatch";
    Some(Patch { key, line })
}

/// The first patch for kustomize.
pub(super) fn of_kustomize(walk: Walk<'_, '_>, kustomize: NodeId) -> Option<Patch> {
    let (walk, patches) = walk.child(kustomize, "patches").ok()??;
    let line = walk.scan.items(patches).find_map(|item| {
        walk.count(1).ok()?;
        let (walk, item) = walk.enter(item);
        naming(walk, (item, "patch"))
    })?;
    let key = "kustomize.patches";
    Some(Patch { key, line })
}

/// The line of the text under a key, if it may name the image.
fn naming(walk: Walk<'_, '_>, (map, key): (NodeId, &str)) -> Option<usize> {
    let (_, node, text) = walk.text(map, key).ok()??;
    walk.count_text(text.len()).ok()?;
    text.contains(walk.last_name())
        .then(|| walk.scan.line(node))
}
