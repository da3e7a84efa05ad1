//! What Argo CD says of its Applications, as it was read. Whether that is good enough is not judged here.

mod address;
mod readers;
pub(super) mod saved;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Fact;
use crate::manifest::RepoPath;

pub(crate) use address::RepositoryAddress;
pub(crate) use readers::Readers;

/// The Applications that one connection shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Applications {
    /// When the server last said that this is all and so.
    pub(crate) at: Timestamp,
    pub(crate) all: BTreeMap<ObjectName, Arc<Application>>,
    /// The sync windows of the projects; a right of its own may be missing to read them.
    pub(crate) projects: Fact<BTreeMap<ObjectName, Arc<Vec<SyncWindow>>>>,
    /// What each ran while it was watched, the image that was seen first before the others.
    pub(crate) seen: BTreeMap<ObjectName, Arc<Vec<Seen>>>,
}

/// An image that an Application ran while it was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// As [`Application::images`] has it.
    pub(crate) image: String,
    /// Since when the Application has been healthy with it; another one that took its place does not end that. `None`: it was not
    /// seen healthy since it was degraded, or at all.
    pub(crate) healthy: Option<Timestamp>,
}

/// The name of an object in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// What Argo CD says of one Application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Application {
    pub(crate) project: String,
    pub(crate) destination: Destination,
    /// In the order of `spec.sources`; one where there is but `spec.source`.
    pub(crate) sources: Vec<Source>,
    /// Whether what is synced is rendered to a branch of its own first, by `spec.sourceHydrator`.
    pub(crate) is_hydrated: bool,
    pub(crate) syncing: Syncing,
    /// Whether the controller is told to leave it alone, by the annotation `argocd.argoproj.io/skip-reconcile`.
    pub(crate) is_skipped: bool,
    pub(crate) is_being_deleted: bool,
    /// Whether a refresh was asked for that the controller has not done yet.
    pub(crate) is_refresh_due: bool,
    /// Where its controller runs, and its project lies. `None`: where it lies itself.
    pub(crate) controller_namespace: Option<String>,
    pub(crate) sync: SyncState,
    pub(crate) health: Health,
    /// The references of the images that its workloads name, as they are written there.
    pub(crate) images: Vec<String>,
    /// The last sync, or the one that is under way.
    pub(crate) operation: Option<Operation>,
    pub(crate) conditions: Vec<Condition>,
    /// The last syncs that succeeded, the oldest first.
    pub(crate) history: Vec<Deployment>,
    /// When it was last compared with git.
    pub(crate) reconciled: Option<Timestamp>,
}

/// Where an Application puts its objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The URL of the cluster's API, where it is not named.
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// One source of an Application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// As it is written, without a login.
    pub(crate) url: String,
    /// `None` where the URL is that of no git repository.
    pub(crate) address: Option<RepositoryAddress>,
    /// The folder that is rendered; `None` for a chart of a Helm repository, and where only values are taken.
    pub(crate) path: Option<RepoPath>,
    pub(crate) chart: Option<String>,
    /// A branch, a tag, a commit or a range of versions; empty for the repository's `HEAD`.
    pub(crate) target_revision: String,
    /// The values files that are read from this repository: its own, and those of sources that refer to it.
    pub(crate) value_files: Vec<RepoPath>,
}

/// Whether Argo CD syncs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncing {
    Automated,
    Manual,
}

/// How an Application stands against git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncState {
    pub(crate) status: SyncStatus,
    /// What it was compared to, in the order of the sources; empty where it was not.
    pub(crate) revisions: Vec<String>,
}

/// <https://argo-cd.readthedocs.io/en/stable/core_concepts/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncStatus {
    Synced,
    OutOfSync,
    Unknown,
}

/// How the objects of an Application are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) status: HealthStatus,
    pub(crate) message: String,
    /// Since when; versions of Argo CD before 2.14 do not tell it.
    pub(crate) since: Option<Timestamp>,
}

/// <https://argo-cd.readthedocs.io/en/stable/operator-manual/health/>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthStatus {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    Unknown,
}

/// A sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) phase: OperationPhase,
    /// Its beginning.
    pub(crate) message: String,
    pub(crate) finished: Option<Timestamp>,
    /// What was synced to, in the order of the sources.
    pub(crate) revisions: Vec<String>,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationPhase {
    Running,
    Terminating,
    Failed,
    Error,
    Succeeded,
    Unknown,
}

/// Something that Argo CD has to say: `ComparisonError`, `SyncError`, `OrphanedResourceWarning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kind: String,
    /// Its beginning.
    pub(crate) message: String,
}

/// A sync that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// In the order of the sources.
    pub(crate) revisions: Vec<String>,
    pub(crate) at: Timestamp,
}

/// When a project lets Argo CD sync, or does not.
///
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncWindow {
    pub(crate) kind: WindowKind,
    /// As cron writes it, in `zone`.
    pub(crate) schedule: String,
    /// `None` where what is written cannot be read, so that it is not known when the window is open.
    pub(crate) duration: Option<SignedDuration>,
    /// Empty for UTC.
    pub(crate) zone: String,
    /// Patterns of names of Applications, and of the namespaces and clusters that they go to.
    pub(crate) applications: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) clusters: Vec<String>,
    /// Whether an Application must fit all three lists, and not one of them.
    pub(crate) needs_all: bool,
    /// Whether people may sync while the window forbids it.
    pub(crate) lets_people_sync: bool,
}

/// What a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowKind {
    Allow,
    Deny,
}

impl Applications {
    /// The sync windows of an Application's project: none where the project is not there, and a reason where the projects
    /// cannot be read.
    pub(crate) fn windows(&self, name: &ObjectName) -> Fact<Arc<Vec<SyncWindow>>> {
        let projects = match &self.projects {
            Fact::Known(projects) => projects,
            Fact::Unknown { why } => return Fact::Unknown { why: why.clone() },
        };
        let project = self.all.get(name).map(|application| ObjectName {
            namespace: match &application.controller_namespace {
                Some(namespace) => namespace.as_str().into(),
                None => name.namespace.clone(),
            },
            name: application.project.as_str().into(),
        });
        let windows = project.and_then(|project| projects.get(&project).cloned());
        Fact::Known(windows.unwrap_or_default())
    }
}

impl Application {
    /// Since when it has been healthy with what it runs now, as it says itself; `None` where it is not, or does not say.
    pub(crate) fn healthy_since(&self) -> Option<Timestamp> {
        let is_healthy = self.health.status == HealthStatus::Healthy;
        let is_synced = self.sync.status == SyncStatus::Synced;
        let since = self.health.since.filter(|_| is_healthy && is_synced)?;
        let deployed = self.history.last().map(|deployment| deployment.at);
        Some(deployed.map_or(since, |deployed| deployed.max(since)))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        write!(f, "{namespace}/{name}")
    }
}

macro_rules! words {
    ($($name:ident: $($variant:ident)*;)*) => {$(
        impl $name {
            const ALL: &[(&str, Self)] = &[$((stringify!($variant), Self::$variant)),*];

            /// As Argo CD writes it.
            pub(crate) fn word(self) -> &'static str {
                let found = Self::ALL.iter().find(|(_, status)| *status == self);
                found.expect("all are listed").0
            }

            /// `None` for a word that is not known.
            pub(crate) fn of(word: &str) -> Option<Self> {
                let found = Self::ALL.iter().find(|(known, _)| *known == word);
                found.map(|(_, status)| *status)
            }
        }
    )*};
}

words! {
    SyncStatus: Synced OutOfSync Unknown;
    HealthStatus: Healthy Progressing Degraded Suspended Missing Unknown;
    OperationPhase: Running Terminating Failed Error Succeeded Unknown;
}

#[cfg(test)]
impl Application {
    /// One that is synced and healthy, of no repository.
    pub(crate) fn sample() -> Self {
        Self {
            project: "default".to_owned(),
            destination: Destination::default(),
            sources: Vec::new(),
            is_hydrated: false,
            syncing: Syncing::Automated,
            is_skipped: false,
            is_being_deleted: false,
            is_refresh_due: false,
            controller_namespace: None,
            sync: SyncState {
                status: SyncStatus::Synced,
                revisions: Vec::new(),
            },
            health: Health {
                status: HealthStatus::Healthy,
                message: String::new(),
                since: None,
            },
            images: Vec::new(),
            operation: None,
            conditions: Vec::new(),
            history: Vec::new(),
            reconciled: None,
        }
    }
}

#[cfg(test)]
impl std::str::FromStr for ObjectName {
    type Err = ();

    /// Reads `namespace/name`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (namespace, name) = text.split_once('/').ok_or(())?;
        Ok(Self {
            namespace: namespace.into(),
            name: name.into(),
        })
    }
}

#[cfg(test)]
mod tests;
