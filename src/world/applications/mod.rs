//! What Argo CD says of its Applications, as it was read. Whether that is good enough is not judged here.

mod address;
pub(super) mod saved;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Fact;
use crate::manifest::RepoPath;

pub(crate) use address::RepositoryAddress;

/// The Applications that one connection shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Applications {
    /// When the server last said that this is all and so.
    pub(crate) at: Timestamp,
    pub(crate) all: BTreeMap<ObjectName, Arc<Application>>,
    /// The sync windows of the projects; a right of its own may be missing to read them.
    pub(crate) projects: Fact<BTreeMap<ObjectName, Arc<Vec<SyncWindow>>>>,
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
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the gates ask for it; they come next")
    )]
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

    /// The Applications that read `path` of the repository at `address`, each with the numbers of the sources that do.
    #[expect(dead_code, reason = "the gates ask for it; they come next")]
    pub(crate) fn readers<'a>(
        &'a self,
        address: &'a RepositoryAddress,
        path: &'a RepoPath,
    ) -> impl Iterator<Item = (&'a ObjectName, Vec<usize>)> {
        self.all.iter().filter_map(move |(name, application)| {
            let sources = application.sources.iter().enumerate();
            let sources = sources.filter(|(_, source)| source.reads(address, path));
            let numbers: Vec<usize> = sources.map(|(number, _)| number).collect();
            (!numbers.is_empty()).then_some((name, numbers))
        })
    }
}

impl Source {
    /// Whether a change of `path`, a file or a folder, in the repository at `address` may change what this source gives.
    pub(crate) fn reads(&self, address: &RepositoryAddress, path: &RepoPath) -> bool {
        let is_here = self
            .address
            .as_ref()
            .is_some_and(|own| own.is_same(address));
        let is_below = |folder: &RepoPath| match folder.as_str() {
            "" => true,
            folder => {
                let rest = path.as_str().strip_prefix(folder);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        };
        is_here && (self.path.as_ref().is_some_and(is_below) || self.value_files.contains(path))
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
mod tests;
