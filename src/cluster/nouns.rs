//! From the shapes of the wire to the nouns of the world.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::wire;
use crate::manifest::RepoPath;
use crate::world::{
    Application, Condition, Deployment, Destination, Health, HealthStatus, ObjectName, Operation,
    OperationPhase, RepositoryAddress, Source, SyncState, SyncStatus, SyncWindow, Syncing,
    WindowKind,
};

/// The group of Argo CD's objects: <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>.
const ARGO_CD: &str = "argoproj.io";

/// Asks the controller to compare with git anew; it takes the annotation away when it has.
///
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/>
pub(super) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// Tells the controller to leave an Application alone.
///
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/skip_reconcile/>
const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

/// Characters that are kept of a message: what people read in one glance. Argo CD's own may be whole manifests.
const MESSAGE_LENGTH_MAX: usize = 300;

/// Syncs and conditions that are kept, the last ones: ten syncs are all that Argo CD keeps unless told otherwise. With 3
/// sources of 40 characters a sync is 250 bytes, so 2,000 Applications have 5 MB of them at most.
const HISTORY_LENGTH_MAX: usize = 10;

/// What the world knows an object of the API as.
pub(super) trait Kind: Send + std::marker::Sync + Sized + 'static {
    type Wire: serde::de::DeserializeOwned + Clone + Send + 'static;

    /// As URLs and rules of access name it, and the group that it is in. All of them have the version `v1alpha1`.
    const RESOURCE: &str;
    const GROUP: &str;

    /// Whether people select objects of this kind by their labels.
    const IS_SELECTED: bool = false;

    fn noun(wire: Self::Wire) -> (ObjectName, Self);

    fn metadata(wire: &Self::Wire) -> &wire::Metadata;
}

impl Kind for Application {
    type Wire = wire::Application;

    const RESOURCE: &str = "applications";
    const GROUP: &str = ARGO_CD;

    const IS_SELECTED: bool = true;

    fn noun(wire: Self::Wire) -> (ObjectName, Self) {
        let wire::Application {
            metadata,
            spec,
            status,
        } = wire;
        let is_hydrated = spec.source_hydrator.is_some();
        let hydrated = spec.source_hydrator.map(|hydrator| hydrator.dry_source);
        let written = match (hydrated, spec.sources.is_empty()) {
            (Some(dry), _) => vec![dry],
            (None, false) => spec.sources,
            (None, true) => spec.source.into_iter().collect(),
        };
        let automated = spec.sync_policy.and_then(|policy| policy.automated);
        let is_automated = automated.is_some_and(|automated| automated.enabled != Some(false));
        let has = |annotation: &str| metadata.annotations.contains_key(annotation);
        let skips = metadata.annotations.get(SKIP);
        let application = Self {
            // <https://argo-cd.readthedocs.io/en/stable/user-guide/projects/#the-default-project>
            project: match spec.project.is_empty() {
                true => "default".to_owned(),
                false => spec.project,
            },
            destination: Destination {
                server: spec.destination.server,
                name: spec.destination.name,
                namespace: spec.destination.namespace,
            },
            sources: sources(written),
            is_hydrated,
            syncing: match is_automated {
                true => Syncing::Automated,
                false => Syncing::Manual,
            },
            is_skipped: skips.is_some_and(|skips| skips == "true"),
            is_being_deleted: metadata.deletion_timestamp.is_some(),
            is_refresh_due: has(REFRESH),
            controller_namespace: status.controller_namespace.filter(|name| !name.is_empty()),
            sync: SyncState {
                status: SyncStatus::of(&status.sync.status).unwrap_or(SyncStatus::Unknown),
                revisions: revisions(status.sync.revision, status.sync.revisions),
            },
            health: Health {
                status: HealthStatus::of(&status.health.status).unwrap_or(HealthStatus::Unknown),
                message: beginning(&status.health.message),
                since: time(status.health.last_transition_time),
            },
            images: status.summary.images,
            operation: status.operation_state.map(operation),
            conditions: conditions(status.conditions),
            history: history(status.history),
            reconciled: time(status.reconciled_at),
        };
        (name_of(&metadata), application)
    }

    fn metadata(wire: &Self::Wire) -> &wire::Metadata {
        &wire.metadata
    }
}

impl Kind for Vec<SyncWindow> {
    type Wire = wire::Project;

    const RESOURCE: &str = "appprojects";
    const GROUP: &str = ARGO_CD;

    fn noun(wire: Self::Wire) -> (ObjectName, Self) {
        let windows = wire.spec.sync_windows.into_iter().map(window);
        (name_of(&wire.metadata), windows.collect())
    }

    fn metadata(wire: &Self::Wire) -> &wire::Metadata {
        &wire.metadata
    }
}

pub(super) fn name_of(metadata: &wire::Metadata) -> ObjectName {
    ObjectName {
        namespace: Arc::from(metadata.namespace.as_str()),
        name: Arc::from(metadata.name.as_str()),
    }
}

/// Gives each source the values files that are read from its repository. `$name/file` is one of the source that is called
/// `name`; `/file` is counted from the root of the repository, all others from the source's own folder.
///
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/multiple_sources/#helm-value-files-from-external-git-repository>
fn sources(written: Vec<wire::Source>) -> Vec<Source> {
    let references: Vec<String> = written.iter().map(|s| s.reference.clone()).collect();
    let mut value_files: Vec<Vec<RepoPath>> = vec![Vec::new(); written.len()];
    for (number, source) in written.iter().enumerate() {
        for file in source.helm.iter().flat_map(|helm| &helm.value_files) {
            let referred = file.strip_prefix('$').and_then(|file| file.split_once('/'));
            let (owner, file) = match referred {
                Some((name, file)) => (
                    references.iter().position(|known| known == name),
                    joined("", file),
                ),
                // A chart of a Helm repository has its values within.
                None if !source.chart.is_empty() || file.contains("://") => (None, None),
                None => (Some(number), joined(&source.path, file)),
            };
            if let (Some(owner), Some(file)) = (owner, file) {
                value_files[owner].push(file);
            }
        }
    }
    let sources = written.into_iter().zip(value_files);
    sources
        .map(|(source, value_files)| noun(source, value_files))
        .collect()
}

fn noun(source: wire::Source, value_files: Vec<RepoPath>) -> Source {
    let path = source.path.trim_start_matches('/');
    let is_rendered = source.chart.is_empty() && !path.is_empty();
    Source {
        address: match source.chart.is_empty() {
            true => RepositoryAddress::of(&source.repo_url),
            false => None,
        },
        url: without_login(source.repo_url),
        path: is_rendered.then(|| path.parse().ok()).flatten(),
        chart: Some(source.chart).filter(|chart| !chart.is_empty()),
        target_revision: source.target_revision,
        value_files,
    }
}

/// The path that `file` leads to from `folder`; `None` where it leads out of the repository.
fn joined(folder: &str, file: &str) -> Option<RepoPath> {
    let mut parts: Vec<&str> = match file.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').collect(),
    };
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
        parts.retain(|part| !part.is_empty() && *part != ".");
    }
    parts.join("/").parse().ok()
}

/// Argo CD takes logins in URLs, though it asks people not to write them there.
fn without_login(url: String) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url;
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((login, host)) if login.contains(':') || scheme != "ssh" => {
            format!("{scheme}://{host}{}", &rest[end..])
        }
        Some(_) | None => url,
    }
}

fn revisions(one: String, several: Vec<String>) -> Vec<String> {
    match (several.is_empty(), one.is_empty()) {
        (false, _) => several,
        (true, false) => vec![one],
        (true, true) => Vec::new(),
    }
}

fn operation(wire: wire::Operation) -> Operation {
    let result = wire.sync_result.unwrap_or_default();
    Operation {
        phase: OperationPhase::of(&wire.phase).unwrap_or(OperationPhase::Unknown),
        message: beginning(&wire.message),
        finished: time(wire.finished_at),
        revisions: revisions(result.revision, result.revisions),
    }
}

fn conditions(wire: Vec<wire::Condition>) -> Vec<Condition> {
    let conditions = wire.into_iter().take(HISTORY_LENGTH_MAX);
    let condition = |wire::Condition { kind, message }| Condition {
        kind,
        message: beginning(&message),
    };
    conditions.map(condition).collect()
}

fn history(wire: Vec<wire::Deployment>) -> Vec<Deployment> {
    let first = wire.len().saturating_sub(HISTORY_LENGTH_MAX);
    let deployment = |wire: wire::Deployment| {
        Some(Deployment {
            revisions: revisions(wire.revision, wire.revisions),
            at: time(wire.deployed_at)?,
        })
    };
    let mut history: Vec<Deployment> = wire
        .into_iter()
        .skip(first)
        .filter_map(deployment)
        .collect();
    history.shrink_to_fit();
    history
}

fn window(wire: wire::Window) -> SyncWindow {
    let duration = humantime::parse_duration(&wire.duration).ok();
    SyncWindow {
        kind: match wire.kind == "allow" {
            true => WindowKind::Allow,
            // What is not understood must not be taken for leave.
            false => WindowKind::Deny,
        },
        schedule: wire.schedule,
        duration: duration.and_then(|duration| SignedDuration::try_from(duration).ok()),
        zone: wire.time_zone,
        applications: wire.applications,
        namespaces: wire.namespaces,
        clusters: wire.clusters,
        needs_all: wire.and_operator,
        lets_people_sync: wire.manual_sync,
    }
}

/// What is no time was not said.
fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// The beginning of a message, on one line.
pub(super) fn beginning(text: &str) -> String {
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut beginning = String::new();
    for word in spaced.filter(|word| !word.is_empty()) {
        let length = beginning.chars().count() + 1 + word.chars().count();
        if length > MESSAGE_LENGTH_MAX {
            let rest = MESSAGE_LENGTH_MAX.saturating_sub(beginning.chars().count() + 2);
            if beginning.is_empty() {
                beginning.extend(word.chars().take(rest));
            }
            return beginning + " …";
        }
        if !beginning.is_empty() {
            beginning.push(' ');
        }
        beginning.push_str(word);
    }
    beginning
}
