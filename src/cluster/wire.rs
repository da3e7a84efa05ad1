//! Applications and AppProjects as the Kubernetes API and Argo CD's own send them, and custom resources: only what is used, all of it
//! optional.
//!
//! <https://github.com/argoproj/argo-cd/blob/master/pkg/apis/application/v1alpha1/types.go>

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct List<T> {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// Argo CD says `null` where there are none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) items: Vec<T>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMeta {
    pub(super) resource_version: Option<String>,
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

/// A line of Argo CD's stream.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StreamLine {
    pub(super) result: Option<StreamEvent>,
    pub(super) error: Option<Told>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct StreamEvent {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) application: Application,
}

/// What Argo CD's API says when it refuses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) message: Option<String>,
    pub(super) error: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// A custom resource. What it says is looked at by itself, so that one which is nested too deeply does not make a whole page unreadable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Custom {
    pub(super) metadata: Metadata,
    pub(super) spec: Option<Box<RawValue>>,
    pub(super) status: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Application {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) project: String,
    pub(super) destination: Destination,
    pub(super) source: Option<Source>,
    #[serde(deserialize_with = "or_default")]
    pub(super) sources: Vec<Source>,
    pub(super) source_hydrator: Option<Hydrator>,
    pub(super) sync_policy: Option<SyncPolicy>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Destination {
    pub(super) server: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Source {
    #[serde(rename = "repoURL")]
    pub(super) repo_url: String,
    pub(super) path: String,
    pub(super) target_revision: String,
    pub(super) chart: String,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) helm: Option<Helm>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Helm {
    #[serde(deserialize_with = "or_default")]
    pub(super) value_files: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Hydrator {
    pub(super) dry_source: Source,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SyncPolicy {
    pub(super) automated: Option<Automated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Automated {
    pub(super) enabled: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) sync: Sync,
    pub(super) health: Health,
    pub(super) summary: Summary,
    pub(super) operation_state: Option<Operation>,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub(super) history: Vec<Deployment>,
    pub(super) reconciled_at: Option<String>,
    pub(super) controller_namespace: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sync {
    pub(super) status: String,
    pub(super) revision: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) revisions: Vec<String>,
}

/// What a sync came to: one revision, or one for each of several sources.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SyncResult {
    pub(super) revision: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) revisions: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) message: String,
    pub(super) last_transition_time: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    #[serde(deserialize_with = "or_default")]
    pub(super) images: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Operation {
    pub(super) phase: String,
    pub(super) message: String,
    pub(super) finished_at: Option<String>,
    pub(super) sync_result: Option<SyncResult>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Deployment {
    pub(super) revision: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) revisions: Vec<String>,
    pub(super) deployed_at: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Project {
    pub(super) metadata: Metadata,
    pub(super) spec: ProjectSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProjectSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) sync_windows: Vec<Window>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Window {
    pub(super) kind: String,
    pub(super) schedule: String,
    pub(super) duration: String,
    pub(super) time_zone: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) applications: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) namespaces: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) clusters: Vec<String>,
    pub(super) manual_sync: bool,
    pub(super) and_operator: bool,
}

/// Go writes lists and maps that are empty as `null`.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
