//! The JSON of the messages, as much of it as is used. Fields that are not named here may be anything.
//!
//! All fields are optional: each of these services sends messages of other shapes to the same address, tests above all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The notifications of a registry: <https://distribution.github.io/distribution/about/notifications/>.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) events: Option<Vec<Registry>>,
}

/// One event of an [`Envelope`], and all that Azure sends:
/// <https://learn.microsoft.com/en-us/azure/container-registry/container-registry-webhook-reference>.
#[derive(Deserialize)]
pub(super) struct Registry {
    pub(super) action: Option<String>,
    pub(super) target: Option<Target>,
    pub(super) request: Option<Request>,
}

/// What was pushed.
#[derive(Deserialize)]
pub(super) struct Target {
    #[serde(rename = "mediaType")]
    pub(super) media_type: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) tag: Option<String>,
}

/// The request that pushed it.
#[derive(Deserialize)]
pub(super) struct Request {
    /// The host by which the client called the registry.
    pub(super) host: Option<String>,
}

/// <https://docs.docker.com/docker-hub/repos/manage/webhooks/>.
#[derive(Deserialize)]
pub(super) struct DockerHub {
    pub(super) push_data: Option<PushData>,
    pub(super) repository: Option<HubRepository>,
}

/// The push itself.
#[derive(Deserialize)]
pub(super) struct PushData {
    pub(super) tag: Option<String>,
}

/// Docker Hub's repository.
#[derive(Deserialize)]
pub(super) struct HubRepository {
    /// `acme/web`.
    pub(super) repo_name: Option<String>,
}

/// An event of EventBridge, bare or as the `data` of a CloudEvent:
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html>.
#[derive(Deserialize)]
pub(super) struct Ecr {
    pub(super) data: Option<EventBridge>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) detail: Option<EcrDetail>,
}

/// An event of EventBridge.
#[derive(Deserialize)]
pub(super) struct EventBridge {
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) detail: Option<EcrDetail>,
}

/// What ECR says in it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EcrDetail {
    pub(super) result: Option<String>,
    pub(super) repository_name: Option<String>,
    pub(super) action_type: Option<String>,
    pub(super) image_tag: Option<String>,
}

/// What a pipeline of one's own sends.
#[derive(Deserialize)]
pub(super) struct Generic {
    pub(super) repository: OneOrMany,
}

/// A text or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The events `package` and `registry_package`:
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#package>.
#[derive(Deserialize)]
pub(super) struct GitHub {
    pub(super) action: Option<String>,
    pub(super) package: Option<Package>,
    pub(super) registry_package: Option<Package>,
}

/// A package, of whatever type.
#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) package_version: Option<PackageVersion>,
}

/// The version that was published.
#[derive(Deserialize)]
pub(super) struct PackageVersion {
    /// `ghcr.io/acme/web:v1`; without a tag, it ends with the colon.
    pub(super) package_url: Option<String>,
    pub(super) container_metadata: Option<ContainerMetadata>,
}

/// Set for images alone.
#[derive(Deserialize)]
pub(super) struct ContainerMetadata {
    pub(super) tag: Option<PackageTag>,
}

/// The tag that was pushed.
#[derive(Deserialize)]
pub(super) struct PackageTag {
    /// Empty where there is none.
    pub(super) name: Option<String>,
}

/// The notifications of GitLab's registry, or its webhooks for pipelines and jobs:
/// <https://docs.gitlab.com/user/project/integrations/webhook_events/>.
#[derive(Deserialize)]
pub(super) struct GitLab {
    pub(super) events: Option<Vec<Registry>>,
    pub(super) object_kind: Option<String>,
    /// Of a job.
    pub(super) build_status: Option<String>,
    /// Of a pipeline.
    pub(super) object_attributes: Option<Attributes>,
    pub(super) project: Option<Project>,
}

/// A pipeline.
#[derive(Deserialize)]
pub(super) struct Attributes {
    pub(super) status: Option<String>,
}

/// GitLab's project.
#[derive(Deserialize)]
pub(super) struct Project {
    /// `acme/portal`.
    pub(super) path_with_namespace: Option<String>,
}

/// A push of Pub/Sub, in its envelope or with "payload unwrapping":
/// <https://cloud.google.com/pubsub/docs/push#receive_push>.
#[derive(Deserialize)]
pub(super) struct Google {
    pub(super) message: Option<PubSubMessage>,
    pub(super) action: Option<String>,
    pub(super) tag: Option<String>,
}

/// A message of Pub/Sub.
#[derive(Deserialize)]
pub(super) struct PubSubMessage {
    pub(super) data: Option<String>,
}

/// <https://cloud.google.com/artifact-registry/docs/configure-notifications#examples>.
#[derive(Deserialize)]
pub(super) struct Artifact {
    pub(super) action: Option<String>,
    /// The whole reference: `europe-docker.pkg.dev/acme/images/web:v1`.
    pub(super) tag: Option<String>,
}

/// Both payload formats:
/// <https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/>.
#[derive(Deserialize)]
pub(super) struct Harbor {
    #[serde(rename = "type")]
    pub(super) event_type: Option<String>,
    /// In the format `Default`.
    pub(super) event_data: Option<HarborData>,
    /// In the format `CloudEvents`.
    pub(super) data: Option<HarborData>,
}

/// What was pushed to Harbor.
#[derive(Deserialize)]
pub(super) struct HarborData {
    pub(super) resources: Option<Vec<HarborResource>>,
    pub(super) repository: Option<HarborRepository>,
}

/// One artifact.
#[derive(Deserialize)]
pub(super) struct HarborResource {
    /// The digest where there is no tag.
    pub(super) tag: Option<String>,
    /// `harbor.example.com/acme/web:v1`.
    pub(super) resource_url: Option<String>,
}

/// Harbor's repository.
#[derive(Deserialize)]
pub(super) struct HarborRepository {
    /// `acme/web`.
    pub(super) repo_full_name: Option<String>,
}

/// <https://docs.redhat.com/en/documentation/red_hat_quay/3.12/html/use_red_hat_quay/repository-events>.
#[derive(Deserialize)]
pub(super) struct Quay {
    /// `acme/web`.
    pub(super) repository: Option<String>,
    /// `quay.io/acme/web`.
    pub(super) docker_url: Option<String>,
    pub(super) updated_tags: Option<UpdatedTags>,
}

/// The tags by name; older versions gave each its image.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum UpdatedTags {
    Names(Vec<IgnoredAny>),
    Images(BTreeMap<String, IgnoredAny>),
}

/// A CloudEvent in structured mode, or the data of one in binary mode, which is what zot sends:
/// <https://zotregistry.dev/latest/articles/events/>.
#[derive(Deserialize)]
pub(super) struct Zot {
    #[serde(rename = "type")]
    pub(super) event_type: Option<String>,
    pub(super) data: Option<ZotImage>,
    pub(super) name: Option<String>,
    pub(super) reference: Option<String>,
    #[serde(rename = "mediaType")]
    pub(super) media_type: Option<String>,
}

/// What was pushed to zot.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZotImage {
    pub(super) name: Option<String>,
    /// A tag or a digest.
    pub(super) reference: Option<String>,
    pub(super) media_type: Option<String>,
}
