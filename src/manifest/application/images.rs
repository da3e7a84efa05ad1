//! `kustomize.images` of a source: `[OLD=]NAME[:TAG][@DIGEST]`, which Argo CD hands to `kustomize edit set image`.
//!
//! Not here: the entries of kustomizations (`manifest::kustomize`), which these become.
//!
//! Seen of kustomize 5: `NAME` may be `*` or empty, which keeps what the kustomization says; a tag given alone takes the
//! digest of the kustomization away; a bare name is refused; of two items for one name the later counts.

use std::collections::BTreeMap;

use super::{Gathered, Walk, refuse_filled};
use crate::edit::{NodeId, Refusal};
use crate::manifest::name::{is_image, split_digest, split_tag};
use crate::manifest::place::{Place, Shape, Slot};
use crate::manifest::{Fault, kustomize};

/// One item of the list.
struct Override<'w, 'a, 't> {
    walk: Walk<'a, 't>,
    node: NodeId,
    text: &'w str,
    /// The image that is looked for in the manifests.
    old: &'w str,
    /// What it becomes, if the item says so.
    new: Option<&'w str>,
}

/// The items that decide the version of the image: those that make it or keep it, or else those that give it another
/// name, as for a mirror.
pub(super) fn places(walk: Walk<'_, '_>, kustomize: NodeId) -> Result<Gathered, Fault> {
    let image = walk.ask.image;
    let mut overrides = Vec::new();
    for (walk, node) in walk.items(kustomize, "images")? {
        let Some(text) = walk.scan.scalar(node) else {
            let place = "kustomize.images[]".to_owned();
            let reason = walk.scan.unexpected(node, place, "a scalar");
            return Err(Refusal::at(walk.scan.line(node), reason).into());
        };
        let item = Override::of(walk, node, text);
        kustomize::refuse_pattern(walk.scan, (node, item.old), image)?;
        overrides.push(item);
    }
    let names = overrides.iter().map(|item| item.result().to_owned());
    let names = names.collect();
    let by_result = |item: &Override<'_, '_, '_>| is_image(item.result(), image);
    let by_name = |item: &Override<'_, '_, '_>| is_image(item.old, image);
    let mut found = counting(&overrides, by_result);
    if found.is_empty() {
        found = counting(&overrides, by_name);
    }
    let mut places = Vec::new();
    for item in found {
        let name = item.name();
        refuse_filled(walk.scan, (item.node, &item.text[name.len()..]))?;
        item.walk.refuse_shared()?;
        let name = name.to_owned();
        places.push(Place::One(
            Slot::Standing(item.node),
            Shape::Reference { name },
        ));
    }
    Ok(Gathered {
        places,
        names,
        patch: None,
    })
}

/// The items that meet a rule, of those for one name where the last does, which alone counts.
fn counting<'o, 'w, 'a, 't>(
    all: &'o [Override<'w, 'a, 't>],
    rule: impl Fn(&Override<'w, 'a, 't>) -> bool,
) -> Vec<&'o Override<'w, 'a, 't>> {
    let last: BTreeMap<&str, bool> = all.iter().map(|item| (item.old, rule(item))).collect();
    let counts = |item: &&Override<'w, 'a, 't>| last.get(item.old) == Some(&true) && rule(item);
    all.iter().filter(counts).collect()
}

impl<'w, 'a, 't> Override<'w, 'a, 't> {
    fn of(walk: Walk<'a, 't>, node: NodeId, text: &'w str) -> Self {
        let (old, rest) = match text.split_once('=') {
            Some((old, rest)) => (Some(old), rest),
            None => (None, text),
        };
        let (name, _) = split_tag(split_digest(rest).0);
        Self {
            walk,
            node,
            text,
            old: old.unwrap_or(name),
            new: Some(name).filter(|name| old.is_some() && !matches!(*name, "" | "*")),
        }
    }

    /// The image that the item makes.
    fn result(&self) -> &'w str {
        self.new.unwrap_or(self.old)
    }

    /// All before the tag and the digest, which is kept as it is spelled.
    fn name(&self) -> &'w str {
        let start = self.text.find('=').map_or(0, |equals| equals + 1);
        let (name, _) = split_tag(split_digest(&self.text[start..]).0);
        &self.text[..start + name.len()]
    }
}
