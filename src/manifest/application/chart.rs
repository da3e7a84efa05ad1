//! `targetRevision` of a source whose manifests are themselves an image of a registry: an OCI chart, or an OCI artifact.
//!
//! Not here: the images that the chart deploys (`values`).
//!
//! What Argo CD takes, see <https://github.com/argoproj/argo-cd/blob/master/reposerver/repository/repository.go>:
//! * `repoURL: oci://HOST/PATH` is the whole repository, whatever `chart` says; `targetRevision` is a tag as it stands in
//!   the registry, or a digest, of which one behind a tag counts.
//! * `repoURL: HOST/PATH` with `chart: NAME` goes by way of Helm: a version, whose `+` is `_` in the tag, and no digest.
//! * Anything else that is a range (`1.*`, `>=1`, nothing) lets Argo CD choose.

use super::{Gathered, Walk};
use crate::edit::NodeId;
use crate::image::Tag;
use crate::manifest::name::{is_image, split_digest};
use crate::manifest::place::{Place, Shape, Slot};
use crate::manifest::{Cause, Fault};

/// The `targetRevision` of a source, if the source is the image.
pub(super) fn places(walk: Walk<'_, '_>, source: NodeId) -> Result<Gathered, Fault> {
    let scan = walk.scan;
    let Some((_, _, url)) = walk.text(source, "repoURL")? else {
        return Ok(Gathered::default());
    };
    let chart = walk.text(source, "chart")?.map(|(_, _, chart)| chart);
    let (repository, is_chart) = match (url.strip_prefix("oci://"), chart) {
        (Some(repository), _) => (repository.trim_end_matches('/').to_owned(), false),
        (None, Some(chart)) if !url.contains("://") => {
            (format!("{}/{chart}", url.trim_end_matches('/')), true)
        }
        (None, _) => return Ok(Gathered::default()),
    };
    let mut places = Vec::new();
    if is_image(&repository, walk.ask.image) {
        let Some((walk, revision, text)) = walk.text(source, "targetRevision")? else {
            let found = String::new();
            return Err(Fault::at(scan.line(source), Cause::Range { found }));
        };
        let shape = match (is_chart, text.starts_with("sha256:")) {
            (true, _) => Shape::ChartVersion,
            (false, true) => Shape::Digest,
            (false, false) => Shape::Tag,
        };
        // A template is refused as such where it is read.
        if !text.contains("{{") && is_range(&text) && !matches!(shape, Shape::Digest) {
            return Err(Fault::at(scan.line(revision), Cause::Range { found: text }));
        }
        walk.refuse_shared()?;
        places.push(Place::One(Slot::Standing(revision), shape));
    }
    let names = vec![repository];
    Ok(Gathered {
        places,
        names,
        patch: None,
    })
}

/// Whether a revision names no one version: a range, `HEAD`, or no tag at all.
fn is_range(text: &str) -> bool {
    let (text, _) = split_digest(text);
    let is_tag = text.replace('+', "_").parse::<Tag>().is_ok();
    let parts = || text.strip_prefix('v').unwrap_or(text).split('.');
    let is_any = |part: &str| matches!(part, "x" | "X");
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_wild = parts().any(is_any) && parts().all(|part| is_any(part) || is_number(part));
    !is_tag || is_wild || text == "HEAD"
}

#[cfg(test)]
mod tests {
    use super::is_range;

    #[test]
    fn a_revision_is_one_version_or_a_range() {
        for version in [
            "1.2.3",
            "v1.2.3-rc.1+b7",
            "1.2",
            "main-0a1b2c3",
            "latest",
            "xen",
        ] {
            assert!(!is_range(version), "{version}");
        }
        for range in [
            "", "*", "1.*", "1.x", "v1.X", "x", ">=1.0.0", "^1.2", "~1", "1 - 2", "HEAD",
        ] {
            assert!(is_range(range), "{range}");
        }
    }
}
