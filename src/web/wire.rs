//! The document at `/status`, which the daemon fills and `towpath status` prints. Times are RFC 3339.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The one version of the document.
const API_VERSION: &str = "towpath.dev/v1alpha1";

/// What a running daemon knows of its sources.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    api_version: String,
    kind: String,
    /// When this was so, by the daemon's clock.
    pub(crate) at: String,
    /// The version of the daemon.
    pub(crate) version: String,
    /// Who leads, where there is more than one. Older daemons say nothing of it.
    #[serde(default)]
    pub(crate) leadership: Option<LeadershipStatus>,
    /// The namespaces with custom resources. Older daemons say nothing of them.
    #[serde(default)]
    pub(crate) custom_resources: Vec<NamespaceStatus>,
    pub(crate) registries: Vec<RegistryStatus>,
    pub(crate) images: Vec<ImageStatus>,
    pub(crate) manifests: Vec<BranchStatus>,
    /// The histories that order tags. Older daemons say nothing of them.
    #[serde(default)]
    pub(crate) sources: Vec<BranchStatus>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeadershipStatus {
    /// The Lease, as `NAMESPACE/NAME`.
    pub(crate) lease: String,
    /// Whoever holds it, as it was read last.
    pub(crate) leader: Option<String>,
    /// By which name this daemon stands for it.
    pub(crate) us: String,
    /// Whether this daemon leads.
    pub(crate) leads: bool,
}

/// A namespace whose custom resources count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamespaceStatus {
    pub(crate) namespace: String,
    /// How many policies and routes there are, and how many of them are left out.
    pub(crate) resources: usize,
    pub(crate) refused: usize,
    /// When it was last read well.
    pub(crate) read_at: Option<String>,
    /// Why it could not be read since, if it could not.
    pub(crate) error: Option<String>,
}

/// A registry that has been asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryStatus {
    pub(crate) host: String,
    /// The product behind the host.
    pub(crate) kind: String,
    /// Requests since it was first asked, by HTTP status, or `failed`.
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) in_flight: usize,
    pub(crate) in_flight_max: usize,
    /// Requests that stand in line.
    pub(crate) waiting: usize,
    /// What the registry limits, as far as it told, or wants to be left alone with.
    pub(crate) limits: Vec<LimitStatus>,
}

/// A limit of a registry.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LimitStatus {
    /// `requests` or `pulls`.
    pub(crate) quota: String,
    pub(crate) limit: Option<u32>,
    pub(crate) remaining: Option<u32>,
    pub(crate) window_seconds: Option<u64>,
    pub(crate) resets_at: Option<String>,
    /// Until when nothing is asked that counts to it.
    pub(crate) quiet_until: Option<String>,
}

/// An image repository.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageStatus {
    pub(crate) repository: String,
    /// When it was last listed well, and how many tags there were.
    pub(crate) listed_at: Option<String>,
    pub(crate) tags: Option<usize>,
    /// Why the latest listing failed, if it did.
    pub(crate) error: Option<String>,
}

/// A branch of a manifests or source repository.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BranchStatus {
    pub(crate) repository: String,
    pub(crate) branch: String,
    /// The commit at its head, if there is such a branch.
    pub(crate) head: Option<String>,
    /// When all of the repository was last fetched well; of a source, when the fetch of what is known began.
    pub(crate) fetched_at: Option<String>,
    /// Why the latest fetch failed, if it did.
    pub(crate) error: Option<String>,
}

impl Status {
    /// A document without any source yet.
    pub(crate) fn new(at: String) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Status".to_owned(),
            at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leadership: None,
            custom_resources: Vec::new(),
            registries: Vec::new(),
            images: Vec::new(),
            manifests: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// How many readings failed when they were tried last.
    pub(crate) fn failures(&self) -> usize {
        let Self {
            api_version: _,
            kind: _,
            at: _,
            version: _,
            leadership: _,
            custom_resources,
            registries: _,
            images,
            manifests,
            sources,
        } = self;
        let custom_resources = custom_resources.iter().map(|one| &one.error);
        let images = images.iter().map(|one| &one.error);
        let branches = manifests.iter().chain(sources).map(|one| &one.error);
        let errors = custom_resources.chain(images).chain(branches);
        errors.flatten().count()
    }

    /// Whether this is a document that is understood here.
    pub(crate) fn is_known(&self) -> bool {
        self.api_version == API_VERSION && self.kind == "Status"
    }
}
