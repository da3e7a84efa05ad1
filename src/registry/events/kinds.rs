//! What each registry means by a push of a tag, and how it names itself and the repository.
//!
//! What counts everywhere: a tag was set. Pulls (our own come back as events), deletions, layers, and images without a
//! tag bring nothing that a listing would show.

use super::wire::{
    Artifact, DockerHub, Ecr, EventBridge, Generic, GitHub, GitLab, Harbor, HarborData, OneOrMany,
    Quay, Registry, UpdatedTags, Zot, ZotImage,
};
use super::{Extent, Named};
use crate::image::{Reference, Repository, Tag};
use crate::login::Ecr as EcrHost;

/// The media types under which a registry takes a manifest; all else is a layer or a configuration:
/// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>,
/// <https://distribution.github.io/distribution/spec/manifest-v2-2/>.
const MANIFESTS: [&str; 6] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

impl Named {
    fn one(host: Option<&str>, path: &str) -> Self {
        Self {
            host: host.map(str::to_ascii_lowercase),
            // Registries take lower case alone; GitHub and GitLab tell the owner as it is shown.
            path: path.to_ascii_lowercase(),
            extent: Extent::Alone,
        }
    }

    /// The repository of a reference that tells its host; one without is Docker Hub's, as everywhere.
    fn of(reference: &str) -> Option<Self> {
        let parsed: Reference = reference.to_ascii_lowercase().parse().ok()?;
        Some(parsed.repository.into())
    }
}

impl From<Repository> for Named {
    fn from(repository: Repository) -> Self {
        Self::one(Some(repository.registry()), repository.path())
    }
}

/// The registry's host as the client called it, which need not be the one that policies name.
pub(super) fn distribution(events: impl IntoIterator<Item = Registry>) -> Vec<Named> {
    let push = |event: Registry| {
        let target = event.target?;
        let is_manifest = |media_type: &String| MANIFESTS.contains(&media_type.as_str().trim());
        let is_push = event.action? == "push"
            && is_tag(target.tag.as_deref())
            && target.media_type.as_ref().is_none_or(is_manifest);
        let host = event.request.and_then(|request| request.host);
        is_push.then_some(Named::one(host.as_deref(), &target.repository?))
    };
    events.into_iter().filter_map(push).collect()
}

/// Docker Hub tells the path alone, and is always itself.
pub(super) fn docker_hub(event: DockerHub) -> Vec<Named> {
    let push = || {
        let tag = event.push_data?.tag;
        let name = event.repository?.repo_name?;
        let named = Named::of(&format!("docker.io/{name}"))?;
        is_tag(tag.as_deref()).then_some(named)
    };
    push().into_iter().collect()
}

/// The host is made of account and region, and is any of those that the registry has.
pub(super) fn ecr(event: Ecr) -> Vec<Named> {
    let Ecr {
        data,
        account,
        region,
        detail,
    } = event;
    let EventBridge {
        account,
        region,
        detail,
    } = data.unwrap_or(EventBridge {
        account,
        region,
        detail,
    });
    let push = || {
        let (account, region, detail) = (account?, region?, detail?);
        let is_new = matches!(detail.action_type?.as_str(), "PUSH" | "REPLICATE");
        let is_push = is_new && detail.result? == "SUCCESS" && is_tag(detail.image_tag.as_deref());
        let name = detail.repository_name?;
        let hosts = EcrHost::hosts(&account, &region);
        let named = hosts.map(|host| Named::one(Some(&host), &name));
        is_push.then_some(named.to_vec())
    };
    push().unwrap_or_default()
}

/// References as policies spell repositories; a tag or digest behind does not matter.
pub(super) fn generic(event: Generic) -> Vec<Named> {
    let names = match event.repository {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    };
    names.iter().filter_map(|name| Named::of(name)).collect()
}

/// The whole reference stands in the URL; GitHub Enterprise has another host there than `ghcr.io`.
pub(super) fn ghcr(event: GitHub) -> Vec<Named> {
    let push = || {
        let is_new = matches!(event.action?.as_str(), "published" | "updated");
        let package = event.package.or(event.registry_package)?;
        let version = package.package_version?;
        let tag = version.container_metadata?.tag?.name;
        let url = version.package_url?;
        let named = Named::of(url.trim_end_matches(':'))?;
        (is_new && is_tag(tag.as_deref())).then_some(named)
    };
    push().into_iter().collect()
}

/// GitLab's registry tells like any of distribution. Its project webhooks tell of pipelines and jobs: where one
/// succeeded, any image of the project may be new. They name the web server, never the registry.
pub(super) fn gitlab(event: GitLab) -> Vec<Named> {
    if let Some(events) = event.events {
        return distribution(events);
    }
    let done = || {
        let status = match event.object_kind?.as_str() {
            "pipeline" => event.object_attributes?.status?,
            "build" => event.build_status?,
            _ => return None,
        };
        let project = event.project?.path_with_namespace?;
        (status == "success").then_some(Named {
            extent: Extent::AndBelow,
            ..Named::one(None, &project)
        })
    };
    done().into_iter().collect()
}

/// The whole reference stands under `tag`.
pub(super) fn google(event: Artifact) -> Vec<Named> {
    let push = || {
        let is_new = event.action? == "INSERT";
        is_new.then_some(Named::of(&event.tag?)?)
    };
    push().into_iter().collect()
}

/// The host is what Harbor takes for its own; without a resource, the path alone is told.
pub(super) fn harbor(event: Harbor) -> Vec<Named> {
    let push = || {
        let is_new = matches!(
            event.event_type?.as_str(),
            "PUSH_ARTIFACT" | "harbor.artifact.pushed"
        );
        let HarborData {
            resources,
            repository,
        } = event.event_data.or(event.data)?;
        let path = repository?.repo_full_name?;
        let pushed = resources.into_iter().flatten();
        let pushed = pushed.filter(|resource| is_tag(resource.tag.as_deref()));
        let named = pushed.map(|resource| {
            let host = resource.resource_url.as_deref().and_then(host_of);
            Named::one(host, &path)
        });
        is_new.then(|| named.collect())
    };
    push().unwrap_or_default()
}

/// The host is what Quay takes for its own.
pub(super) fn quay(event: Quay) -> Vec<Named> {
    let push = || {
        let tags = match event.updated_tags? {
            UpdatedTags::Names(names) => names.len(),
            UpdatedTags::Images(images) => images.len(),
        };
        let host = event.docker_url.as_deref().and_then(host_of);
        let named = Named::one(host, &event.repository?);
        (tags > 0).then_some(named)
    };
    push().into_iter().collect()
}

/// zot does not tell its host. The start of the type can be set: `zotregistry.image.updated` by default.
pub(super) fn zot(header: Option<&str>, event: Zot) -> Vec<Named> {
    let push = || {
        let event_type = event.event_type.as_deref().or(header)?;
        let image = event.data.unwrap_or(ZotImage {
            name: event.name,
            reference: event.reference,
            media_type: event.media_type,
        });
        let is_manifest = |media_type: &String| MANIFESTS.contains(&media_type.as_str());
        let is_push = event_type.ends_with("image.updated")
            && is_tag(image.reference.as_deref())
            && image.media_type.as_ref().is_none_or(is_manifest);
        is_push.then_some(Named::one(None, &image.name?))
    };
    push().into_iter().collect()
}

/// Whether there is a tag: some tell an empty one, or the digest in its place.
fn is_tag(tag: Option<&str>) -> bool {
    tag.is_some_and(|tag| tag.parse::<Tag>().is_ok())
}

/// The host that a name starts with.
fn host_of(name: &str) -> Option<&str> {
    name.split_once('/').map(|(host, _)| host)
}
