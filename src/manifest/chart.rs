//! Charts: where the version of a Helm chart stands, or of another artifact that is no image.
//!
//! Not here: the sources of Argo CD (`application::chart`), and the images that a chart deploys (`helm`).
//! Invariant: a place from which Helm or Flux chooses a version itself, by a range or by none, is refused.
//!
//! What Helm takes, see <https://helm.sh/docs/topics/registries/> and
//! <https://github.com/helm/helm/blob/main/pkg/registry/client.go>: a version, whose `+` is `_` in the tag. What is no whole
//! version is a range. Kustomize hands `version` to `helm pull`.

use super::kustomize::{refuse_misspelled, root};
use super::name::is_image;
use super::place::{Place, Shape, Slot};
use super::{Ask, Cause, Fault};
use crate::edit::{Aliases, Known, NodeId, Reason, Refusal, Scan};
use crate::image::Tag;
use crate::image::version::{ParseVersionError, Version};

/// What stands before the repository of an artifact that is no image.
pub(super) const SCHEME: &str = "oci://";

/// Whether a text names no one version, to Argo CD and Flux: a range, or no tag at all. `1.2` is a tag too.
pub(super) fn is_range(text: &str) -> bool {
    let is_tag = text.replace('+', "_").parse::<Tag>().is_ok();
    let parts = || text.strip_prefix('v').unwrap_or(text).split('.');
    let is_any = |part: &str| matches!(part, "x" | "X");
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_wild = parts().any(is_any) && parts().all(|part| is_any(part) || is_number(part));
    !is_tag || is_wild
}

/// Whether `tag` is a version to Helm, which says of `latest` that it is an improper constraint. `1.2` is one, as seen of
/// `helm pull` 3.21, which asks the registry for that tag.
pub(super) fn is_version(tag: &str) -> bool {
    Version::of_chart(tag) != Err(ParseVersionError::NotVersion)
}

/// Whether the value of `key` in a map is the version of a chart, which Helm reads.
///
/// Such maps are the dependencies of a `Chart.yaml` (`repository`), the charts of a kustomization and of Fleet (`repo`), a
/// Flux HelmRelease's (`chart` with `sourceRef`), and what others write as `chart: oci://…`; Argo CD's have `chart`
/// beside a `repoURL` that is no URL.
pub(super) fn has_version(scan: &Scan<'_>, map: NodeId, key: &str) -> bool {
    let says = |key: &str| scan.lookup(map, key).ok().flatten();
    let is_oci = |key: &str| {
        let text = says(key).and_then(|(_, value)| scan.scalar(value));
        text.is_some_and(|text| text.starts_with(SCHEME))
    };
    match key {
        "version" => {
            let is_of_flux = says("chart").is_some() && says("sourceRef").is_some();
            is_of_flux || ["repository", "repo", "chart"].into_iter().any(is_oci)
        }
        "targetRevision" => says("chart").is_some() && !is_oci("repoURL"),
        _ => false,
    }
}

/// What the version of a chart is where it says `value`.
pub(super) fn shape(scan: &Scan<'_>, node: NodeId, value: &str) -> Result<Shape, Fault> {
    let is_whole = Version::of_chart(&value.replace('+', "_")).is_ok();
    // A template is refused as such where it is read.
    match is_whole || value.contains("{{") {
        true => refuse_tag(scan, node, value).map(|()| Shape::ChartVersion),
        false => Err(Fault::at(scan.line(node), by_helm(value))),
    }
}

/// Refuses the tag of a chart where its version has to stand: Helm turns the `_` of all tags into `+` and finds none.
pub(super) fn refuse_tag(scan: &Scan<'_>, node: NodeId, value: &str) -> Result<(), Fault> {
    match value.contains('_') && !value.contains("{{") {
        true => {
            let found = value.to_owned();
            Err(Fault::at(scan.line(node), Cause::ChartTag { found }))
        }
        false => Ok(()),
    }
}

/// Why a version that Helm would choose is refused.
pub(super) fn by_helm(found: &str) -> Cause {
    Cause::Range {
        found: found.to_owned(),
        key: "version",
        by: "Helm",
    }
}

/// The versions of the image among the charts of a kustomization; at least one.
pub(super) fn of_kustomization(scan: &Scan<'_>, ask: Ask<'_>) -> Result<Vec<Place>, Fault> {
    let mut places = Vec::new();
    let mut names = Vec::new();
    for (item, name) in charts(scan)? {
        if is_image(&name, ask.image) {
            places.push(version_of(scan, item)?);
        }
        names.push(name);
    }
    match places.is_empty() {
        false => Ok(places),
        true => {
            let image = ask.image.clone();
            let known = Known::of(names.iter().map(String::as_str), &image.to_string());
            Err(Cause::NoChart { image, known }.into())
        }
    }
}

/// The charts of a kustomization that stand in registries, each with its repository.
pub(super) fn charts(scan: &Scan<'_>) -> Result<Vec<(NodeId, String)>, Fault> {
    let Some(root) = root(scan)? else {
        return Ok(Vec::new());
    };
    let Some((_, list)) = scan.lookup(root, "helmCharts")? else {
        return Ok(Vec::new());
    };
    let mut charts = Vec::new();
    for item in scan.items(scan.resolved(list)) {
        let map = scan.resolved(item);
        let text = |key: &str| {
            let pair = scan.lookup(map, key)?;
            Ok::<_, Refusal>(pair.and_then(|(_, value)| scan.scalar(value)))
        };
        if let (Some(repo), Some(name)) = (text("repo")?, text("name")?)
            && let Some(repo) = repo.strip_prefix(SCHEME)
        {
            charts.push((item, format!("{}/{name}", repo.trim_end_matches('/'))));
        }
    }
    Ok(charts)
}

/// The place of `version` in a chart of a kustomization, which has no say in aliases.
fn version_of(scan: &Scan<'_>, item: NodeId) -> Result<Place, Fault> {
    let map = scan.resolved(item);
    refuse_misspelled(scan, map, &["name", "repo", "version"])?;
    let version = scan.pair(map, "version")?;
    if scan.is_alias(item) || version.is_none() && scan.merged(map, "version")?.is_some() {
        return Err(Refusal::at(scan.line(item), Reason::BehindAlias).into());
    }
    scan.refuse_merged_below(map, "version")?;
    let Some((_, version)) = version else {
        return Err(Fault::at(scan.line(item), by_helm("")));
    };
    let text = scan.editable(version)?;
    let shape = shape(scan, version, if scan.is_null(version) { "" } else { text })?;
    Ok(Place::One(Slot::Standing(version), shape))
}

/// The repository that an object of Flux's source controller stands for: an OCIRepository, see
/// <https://fluxcd.io/flux/components/source/ocirepositories/>.
pub(super) fn oci_repository<'s>(scan: &'s Scan<'_>, object: NodeId) -> Option<&'s str> {
    let text = |map: NodeId, key: &str| scan.lookup(map, key).ok()?.map(|(_, value)| value);
    let version = scan.scalar(text(object, "apiVersion")?)?;
    let is_source = version.starts_with("source.toolkit.fluxcd.io/");
    if !is_source || scan.kind_and_name(object).0 != Some("OCIRepository") {
        return None;
    }
    let spec = scan.resolved(text(object, "spec")?);
    scan.scalar(text(spec, "url")?)?.strip_prefix(SCHEME)
}

/// The place of the version of an OCIRepository: of `ref.digest`, `ref.semver` and `ref.tag` the first that is there
/// counts, and without any Flux takes `latest`.
pub(super) fn of_flux(scan: &Scan<'_>, object: NodeId, ask: Ask<'_>) -> Result<Place, Fault> {
    let spec = child(scan, (object, "spec"), ask)?.unwrap_or(object);
    let range = |found: &str| Cause::Range {
        found: found.to_owned(),
        key: "ref.tag",
        by: "Flux",
    };
    let Some(map) = child(scan, (spec, "ref"), ask)? else {
        return Err(Fault::at(scan.line(spec), range("")));
    };
    let text = |node: Option<NodeId>| node.and_then(|node| scan.scalar(node)).unwrap_or_default();
    let [tag, digest, semver] = ["tag", "digest", "semver"].map(|key| child(scan, (map, key), ask));
    let (tag, digest, semver) = (tag?, digest?, semver?);
    if let (Some(semver), true) = (semver, text(digest).is_empty())
        && !text(Some(semver)).is_empty()
    {
        return Err(Fault::at(scan.line(semver), range(text(Some(semver)))));
    }
    match (tag, digest) {
        (Some(tag), Some(digest)) => Ok(Place::Two {
            tag: Slot::Standing(tag),
            digest,
        }),
        (Some(tag), None) => Ok(Place::One(Slot::Standing(tag), Shape::TagAlone)),
        (None, Some(digest)) => Ok(Place::One(Slot::Standing(digest), Shape::Digest)),
        (None, None) => Err(Fault::at(scan.line(map), range(""))),
    }
}

/// The value of a key of a map, through an alias or a merge key only where those are followed.
fn child(
    scan: &Scan<'_>,
    (map, key): (NodeId, &str),
    ask: Ask<'_>,
) -> Result<Option<NodeId>, Refusal> {
    let own = scan.pair(map, key)?;
    let Some((_, value)) = own.map_or_else(|| scan.merged(map, key), |pair| Ok(Some(pair)))? else {
        return Ok(None);
    };
    let is_shared = own.is_none() || scan.is_alias(value);
    match (is_shared, ask.reach.aliases) {
        (true, Aliases::Refused) => Err(Refusal::at(scan.line(map), Reason::BehindAlias)),
        (true, Aliases::Followed) | (false, _) => {
            scan.refuse_merged_below(map, key)?;
            Ok(Some(scan.resolved(value)))
        }
    }
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
            "", "*", "1.*", "1.x", "v1.X", "x", ">=1.0.0", "^1.2", "~1", "1 - 2",
        ] {
            assert!(is_range(range), "{range}");
        }
    }
}
