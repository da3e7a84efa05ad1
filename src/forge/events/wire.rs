//! The JSON of the messages, as much of it as is used. Fields that are not named here may be anything.
//!
//! All fields are optional: each product sends messages of other shapes to the same address, tests above all.

use serde::Deserialize;

/// GitHub's, Gitea's and Forgejo's.
#[derive(Deserialize)]
pub(super) struct HubLike {
    repository: Option<FullName>,
}

/// A repository that tells its whole name.
#[derive(Deserialize)]
struct FullName {
    full_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Gitlab {
    pub(super) object_kind: Option<String>,
    project: Option<Project>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct BitbucketCloud {
    repository: Option<FullName>,
}

#[derive(Deserialize)]
pub(super) struct BitbucketServer {
    #[serde(rename = "eventKey")]
    pub(super) event_key: Option<String>,
    /// Of pushes.
    repository: Option<InProject>,
    #[serde(rename = "pullRequest")]
    pull_request: Option<PullRequest>,
}

#[derive(Deserialize)]
struct PullRequest {
    #[serde(rename = "toRef")]
    to: Option<Side>,
}

#[derive(Deserialize)]
struct Side {
    repository: Option<InProject>,
}

#[derive(Deserialize)]
struct InProject {
    slug: Option<String>,
    project: Option<Key>,
}

#[derive(Deserialize)]
struct Key {
    key: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Azure {
    #[serde(rename = "eventType")]
    pub(super) event_type: Option<String>,
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    repository: Option<Remote>,
}

#[derive(Deserialize)]
struct Remote {
    #[serde(rename = "remoteUrl")]
    remote_url: Option<String>,
}

impl HubLike {
    pub(super) fn into_path(self) -> Option<String> {
        self.repository?.full_name
    }
}

impl Gitlab {
    pub(super) fn into_path(self) -> Option<String> {
        self.project?.path_with_namespace
    }
}

impl BitbucketCloud {
    pub(super) fn into_path(self) -> Option<String> {
        self.repository?.full_name
    }
}

impl BitbucketServer {
    /// `PROJECT/NAME` of the repository that was pushed to, or that the pull request goes to.
    pub(super) fn into_path(self) -> Option<String> {
        let of_pull_request = || self.pull_request?.to?.repository;
        let InProject { slug, project } = self.repository.or_else(of_pull_request)?;
        Some(format!("{}/{}", project?.key?, slug?))
    }
}

impl Azure {
    pub(super) fn into_address(self) -> Option<String> {
        self.resource?.repository?.remote_url
    }
}
