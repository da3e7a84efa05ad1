//! `targetRevision` of a source whose manifests are themselves an image of a registry: an OCI chart, or an OCI artifact.
//!
//! Not here: the images that the chart deploys (`values`).
//!
//! What Argo CD takes, see <https://github.com/argoproj/argo-cd/blob/master/reposerver/repository/repository.go>:
//! * `repoURL: oci://HOST/PATH` (since 3.1) is the whole repository, whatever `chart` says; `targetRevision` is a tag as it
//!   stands in the registry, or a digest, of which one behind a tag counts.
//! * `repoURL: HOST/PATH` with `chart: NAME` goes by way of Helm: a version, whose `+` is `_` in the tag, and no digest.
//! * Anything else that is a range (`1.*`, `>=1`, nothing) lets Argo CD choose.

use super::{Gathered, Walk};
use crate::edit::NodeId;
use crate::manifest::chart::{SCHEME, is_range, refuse_tag};
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
    let (repository, is_chart) = match (url.strip_prefix(SCHEME), chart) {
        (Some(repository), chart) => {
            let repository = repository.trim_end_matches('/');
            refuse_passed_over((walk, source), repository, chart.as_deref())?;
            (repository.to_owned(), false)
        }
        (None, Some(chart)) if !url.contains("://") => {
            (format!("{}/{chart}", url.trim_end_matches('/')), true)
        }
        (None, _) => return Ok(Gathered::default()),
    };
    let mut places = Vec::new();
    if is_image(&repository, walk.ask.image) {
        let Some((walk, revision, text)) = walk.text(source, "targetRevision")? else {
            return Err(Fault::at(scan.line(source), range("")));
        };
        let shape = match (is_chart, text.starts_with("sha256:")) {
            (true, _) => Shape::ChartVersion,
            (false, true) => Shape::Digest,
            (false, false) => Shape::Tag,
        };
        // A template is refused as such where it is read.
        let (tag, _) = split_digest(&text);
        let is_open = is_range(tag) || tag == "HEAD";
        if !text.contains("{{") && is_open && !matches!(shape, Shape::Digest) {
            return Err(Fault::at(scan.line(revision), range(&text)));
        }
        if is_chart {
            refuse_tag(scan, revision, &text)?;
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

/// Why a version that Argo CD would choose is refused.
fn range(found: &str) -> Cause {
    Cause::Range {
        found: found.to_owned(),
        key: "targetRevision",
        by: "Argo CD",
    }
}

/// Refuses a `chart` that would be the image if Argo CD read it beside `oci://`.
fn refuse_passed_over(
    (walk, source): (Walk<'_, '_>, NodeId),
    repository: &str,
    chart: Option<&str>,
) -> Result<(), Fault> {
    let Some(chart) = chart.filter(|chart| {
        let meant = format!("{repository}/{chart}");
        is_image(&meant, walk.ask.image)
    }) else {
        return Ok(());
    };
    let cause = Cause::ChartPassedOver {
        repository: repository.to_owned(),
        chart: chart.to_owned(),
    };
    Err(Fault::at(walk.scan.line(source), cause))
}
