//! JSON of the APIs that tell push times, as much of it as is used. Fields that are not named here may be anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// ACR: <https://learn.microsoft.com/rest/api/containerregistry/tag/get-list>.
#[derive(Deserialize)]
pub(super) struct AcrTags {
    /// Left out where there is none.
    #[serde(default)]
    pub(super) tags: Vec<AcrTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AcrTag {
    pub(super) name: String,
    pub(super) last_update_time: Option<String>,
}

/// Docker Hub: <https://docs.docker.com/reference/api/hub/latest/operations/ListRepositoryTags/>.
#[derive(Deserialize)]
pub(super) struct HubTags {
    pub(super) results: Vec<HubTag>,
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct HubTag {
    pub(super) name: String,
    pub(super) tag_last_pushed: Option<String>,
}

/// What Docker Hub's API takes for a token:
/// <https://docs.docker.com/reference/api/hub/latest/operations/AuthCreateAccessToken/>.
#[derive(Serialize)]
pub(super) struct HubLogin<'a> {
    pub(super) identifier: &'a str,
    pub(super) secret: &'a str,
}

#[derive(Deserialize)]
pub(super) struct HubToken {
    pub(super) access_token: String,
}

/// GitLab: "List repository tags" in
/// <https://gitlab.com/gitlab-org/container-registry/-/blob/master/docs/spec/gitlab/api.md>.
#[derive(Deserialize)]
pub(super) struct GitLabTag {
    pub(super) name: String,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) published_at: Option<String>,
}

/// What Google's registries add to `tags/list`:
/// <https://github.com/google/go-containerregistry/blob/main/pkg/v1/google/list.go>.
#[derive(Deserialize)]
pub(super) struct GooglePage {
    /// By digest.
    #[serde(default)]
    pub(super) manifest: BTreeMap<String, GoogleManifest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GoogleManifest {
    #[serde(default)]
    pub(super) tag: Vec<String>,
    /// A text at `gcr.io` and a number in Artifact Registry.
    #[serde(default)]
    pub(super) time_uploaded_ms: serde_json::Value,
}

/// Harbor: `listArtifacts` in <https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml>.
#[derive(Deserialize)]
pub(super) struct HarborArtifact {
    pub(super) tags: Option<Vec<HarborTag>>,
}

#[derive(Deserialize)]
pub(super) struct HarborTag {
    pub(super) name: String,
    pub(super) push_time: Option<String>,
}

/// Quay: `listRepoTags` in <https://docs.quay.io/api/swagger/>.
#[derive(Deserialize)]
pub(super) struct QuayTags {
    pub(super) tags: Vec<QuayTag>,
    #[serde(default)]
    pub(super) has_additional: bool,
}

#[derive(Deserialize)]
pub(super) struct QuayTag {
    pub(super) name: String,
    /// Seconds since 1970.
    pub(super) start_ts: Option<i64>,
}
