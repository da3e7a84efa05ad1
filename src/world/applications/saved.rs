//! The part of a world file that is about Argo CD's Applications.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Application, Applications, Condition, Deployment, Destination, Health, HealthStatus,
    ObjectName, Operation, OperationPhase, RepositoryAddress, Seen, Source, SyncState, SyncStatus,
    SyncWindow, Syncing, WindowKind,
};
use crate::manifest::RepoPath;
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

/// What stands for a time where an Application was not seen healthy.
const NOT_HEALTHY: &str = "never";

/// What one connection shows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::world) struct SavedApplications {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// By `namespace/name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    applications: BTreeMap<String, SavedApplication>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projects_unknown: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    projects: BTreeMap<String, Vec<SavedWindow>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedApplication {
    project: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    destination_server: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    destination_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    destination_namespace: String,
    sources: Vec<SavedSource>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hydrated: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    automated: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skipped: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    being_deleted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    refresh_due: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    controller_namespace: Option<String>,
    sync: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<String>,
    health: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    health_message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health_since: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    /// Images with the time since which it was healthy with them, or `never`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<SavedOperation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<SavedCondition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<SavedDeployment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reconciled: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedSource {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chart: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    target_revision: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    value_files: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedOperation {
    phase: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCondition {
    kind: String,
    message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedDeployment {
    at: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedWindow {
    kind: SavedKind,
    schedule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    zone: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    applications: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    namespaces: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    clusters: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    needs_all: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lets_people_sync: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedKind {
    Allow,
    Deny,
}

pub(in crate::world) fn save(fact: &Fact<Arc<Applications>>) -> SavedApplications {
    let mut saved = SavedApplications {
        unknown: None,
        at: None,
        applications: BTreeMap::new(),
        projects_unknown: None,
        projects: BTreeMap::new(),
    };
    match fact {
        Fact::Unknown { why } => saved.unknown = Some(why.clone()),
        Fact::Known(applications) => {
            let Applications {
                at,
                all,
                projects,
                seen,
            } = &**applications;
            saved.at = Some(at.to_string());
            let all = all.iter();
            saved.applications = all
                .map(|(name, application)| {
                    let seen = seen.get(name).into_iter().flat_map(|seen| seen.iter());
                    let saved = SavedApplication {
                        seen: seen.map(save_seen).collect(),
                        ..save_application(application)
                    };
                    (name.to_string(), saved)
                })
                .collect();
            match projects {
                Fact::Unknown { why } => saved.projects_unknown = Some(why.clone()),
                Fact::Known(projects) => {
                    let windows =
                        |windows: &Vec<SyncWindow>| windows.iter().map(save_window).collect();
                    let projects = projects.iter();
                    saved.projects = projects
                        .map(|(name, of_project)| (name.to_string(), windows(of_project)))
                        .collect();
                }
            }
        }
    }
    saved
}

pub(in crate::world) fn load(
    saved: SavedApplications,
) -> Result<Fact<Arc<Applications>>, LoadWorldError> {
    let SavedApplications {
        unknown,
        at,
        applications,
        projects_unknown,
        projects,
    } = saved;
    let at = match (unknown, at) {
        (Some(why), _) => return Ok(Fact::Unknown { why }),
        (None, Some(at)) => parse(&at, "a time")?,
        (None, None) => {
            let why = "the world file does not say when this was so".to_owned();
            return Ok(Fact::Unknown { why });
        }
    };
    let (mut all, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut saved) in applications {
        let name = load_name(&name)?;
        let watched = std::mem::take(&mut saved.seen).into_iter().map(load_seen);
        let watched = watched.collect::<Result<Vec<_>, _>>()?;
        if !watched.is_empty() {
            seen.insert(name.clone(), Arc::new(watched));
        }
        all.insert(name, Arc::new(load_application(saved)?));
    }
    let projects = match projects_unknown {
        Some(why) => Fact::Unknown { why },
        None => {
            let projects = projects.into_iter().map(|(name, windows)| {
                let windows = windows.into_iter().map(load_window).collect();
                Ok((load_name(&name)?, Arc::new(windows)))
            });
            Fact::Known(projects.collect::<Result<_, LoadWorldError>>()?)
        }
    };
    Ok(Fact::Known(Arc::new(Applications {
        at,
        all,
        projects,
        seen,
    })))
}

fn save_seen(Seen { image, healthy }: &Seen) -> (String, String) {
    let healthy = healthy.map_or_else(|| NOT_HEALTHY.to_owned(), |since| since.to_string());
    (image.clone(), healthy)
}

fn load_seen((image, healthy): (String, String)) -> Result<Seen, LoadWorldError> {
    let healthy = match healthy.as_str() {
        NOT_HEALTHY => None,
        since => Some(parse(since, "a time")?),
    };
    Ok(Seen { image, healthy })
}

fn load_name(text: &str) -> Result<ObjectName, LoadWorldError> {
    let (namespace, name) = text.split_once('/').ok_or_else(|| LoadWorldError::Value {
        text: text.to_owned(),
        what: "a namespace and a name",
    })?;
    Ok(ObjectName {
        namespace: namespace.into(),
        name: name.into(),
    })
}

fn save_application(application: &Application) -> SavedApplication {
    let Application {
        project,
        destination,
        sources,
        is_hydrated,
        syncing,
        is_skipped,
        is_being_deleted,
        is_refresh_due,
        controller_namespace,
        sync: SyncState { status, revisions },
        health,
        images,
        operation,
        conditions,
        history,
        reconciled,
    } = application.clone();
    let Destination {
        server,
        name,
        namespace,
    } = destination;
    let condition = |Condition { kind, message }| SavedCondition { kind, message };
    let deployment = |Deployment { revisions, at }: Deployment| SavedDeployment {
        at: at.to_string(),
        revisions,
    };
    SavedApplication {
        project,
        destination_server: server,
        destination_name: name,
        destination_namespace: namespace,
        sources: sources.into_iter().map(save_source).collect(),
        hydrated: is_hydrated,
        automated: syncing == Syncing::Automated,
        skipped: is_skipped,
        being_deleted: is_being_deleted,
        refresh_due: is_refresh_due,
        controller_namespace,
        sync: status.word().to_owned(),
        revisions,
        health: health.status.word().to_owned(),
        health_message: health.message,
        health_since: health.since.map(|since| since.to_string()),
        images,
        seen: Vec::new(),
        operation: operation.map(save_operation),
        conditions: conditions.into_iter().map(condition).collect(),
        history: history.into_iter().map(deployment).collect(),
        reconciled: reconciled.map(|at| at.to_string()),
    }
}

fn load_application(saved: SavedApplication) -> Result<Application, LoadWorldError> {
    let time = |text: Option<String>| -> Result<Option<Timestamp>, LoadWorldError> {
        text.map(|text| parse(&text, "a time")).transpose()
    };
    let condition = |SavedCondition { kind, message }| Condition { kind, message };
    let deployment = |SavedDeployment { at, revisions }: SavedDeployment| {
        let at = parse(&at, "a time")?;
        Ok(Deployment { revisions, at })
    };
    Ok(Application {
        project: saved.project,
        destination: Destination {
            server: saved.destination_server,
            name: saved.destination_name,
            namespace: saved.destination_namespace,
        },
        sources: saved
            .sources
            .into_iter()
            .map(load_source)
            .collect::<Result<_, _>>()?,
        is_hydrated: saved.hydrated,
        syncing: match saved.automated {
            true => Syncing::Automated,
            false => Syncing::Manual,
        },
        is_skipped: saved.skipped,
        is_being_deleted: saved.being_deleted,
        is_refresh_due: saved.refresh_due,
        controller_namespace: saved.controller_namespace,
        sync: SyncState {
            status: word(&saved.sync, SyncStatus::of, "a sync status")?,
            revisions: saved.revisions,
        },
        health: Health {
            status: word(&saved.health, HealthStatus::of, "a health")?,
            message: saved.health_message,
            since: time(saved.health_since)?,
        },
        images: saved.images,
        operation: saved.operation.map(load_operation).transpose()?,
        conditions: saved.conditions.into_iter().map(condition).collect(),
        history: saved
            .history
            .into_iter()
            .map(deployment)
            .collect::<Result<_, LoadWorldError>>()?,
        reconciled: time(saved.reconciled)?,
    })
}

fn word<T>(text: &str, of: fn(&str) -> Option<T>, what: &'static str) -> Result<T, LoadWorldError> {
    of(text).ok_or_else(|| LoadWorldError::Value {
        text: text.to_owned(),
        what,
    })
}

fn save_source(source: Source) -> SavedSource {
    let Source {
        url,
        address: _,
        path,
        chart,
        target_revision,
        value_files,
    } = source;
    let text = |path: RepoPath| match path.as_str() {
        "" => ".".to_owned(),
        path => path.to_owned(),
    };
    SavedSource {
        url,
        path: path.map(text),
        chart,
        target_revision,
        value_files: value_files.into_iter().map(text).collect(),
    }
}

fn load_source(saved: SavedSource) -> Result<Source, LoadWorldError> {
    let SavedSource {
        url,
        path,
        chart,
        target_revision,
        value_files,
    } = saved;
    let path_of = |text: String| parse(&text, "a path in a repository");
    Ok(Source {
        address: RepositoryAddress::of(&url),
        url,
        path: path.map(path_of).transpose()?,
        chart,
        target_revision,
        value_files: value_files
            .into_iter()
            .map(path_of)
            .collect::<Result<_, _>>()?,
    })
}

fn save_operation(operation: Operation) -> SavedOperation {
    let Operation {
        phase,
        message,
        finished,
        revisions,
    } = operation;
    SavedOperation {
        phase: phase.word().to_owned(),
        message,
        finished: finished.map(|at| at.to_string()),
        revisions,
    }
}

fn load_operation(saved: SavedOperation) -> Result<Operation, LoadWorldError> {
    let SavedOperation {
        phase,
        message,
        finished,
        revisions,
    } = saved;
    Ok(Operation {
        phase: word(&phase, OperationPhase::of, "a phase of a sync")?,
        message,
        finished: finished.map(|at| parse(&at, "a time")).transpose()?,
        revisions,
    })
}

fn save_window(window: &SyncWindow) -> SavedWindow {
    let SyncWindow {
        kind,
        schedule,
        duration,
        zone,
        applications,
        namespaces,
        clusters,
        needs_all,
        lets_people_sync,
    } = window.clone();
    SavedWindow {
        kind: match kind {
            WindowKind::Allow => SavedKind::Allow,
            WindowKind::Deny => SavedKind::Deny,
        },
        schedule,
        seconds: duration.map(|duration| duration.as_secs()),
        zone,
        applications,
        namespaces,
        clusters,
        needs_all,
        lets_people_sync,
    }
}

fn load_window(saved: SavedWindow) -> SyncWindow {
    let SavedWindow {
        kind,
        schedule,
        seconds,
        zone,
        applications,
        namespaces,
        clusters,
        needs_all,
        lets_people_sync,
    } = saved;
    SyncWindow {
        kind: match kind {
            SavedKind::Allow => WindowKind::Allow,
            SavedKind::Deny => WindowKind::Deny,
        },
        schedule,
        duration: seconds.map(SignedDuration::from_secs),
        zone,
        applications,
        namespaces,
        clusters,
        needs_all,
        lets_people_sync,
    }
}
