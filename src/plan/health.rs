//! How the Applications of Argo CD that deploy an environment stand with a version: synced to the commit that brought it, or a later
//! one, with its image, and healthy.
//!
//! Not here: how they were read (`cluster`), and what follows for a candidate (`screen`).
//! Invariant: what was not seen healthy is not said to have been; while an Application is degraded, nothing of its environment is
//! healthy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{HoldReason, Scope};
use crate::image::{Digest, Reference, Repository, Tag};
use crate::ledger::Promotion;
use crate::manifest::CommitId;
use crate::policy::gate::Condition;
use crate::policy::{
    ApplicationName, ArgoCd, ConnectionName, Environment, EnvironmentName, ImageName, Policy,
    PolicyName, RepositoryName,
};
use crate::world::{
    Ancestry, Application, Applications, BranchName, Fact, HealthStatus, ObjectName,
    OperationPhase, Question, Readers, Seen, SyncStatus, Syncing, World,
};

/// Characters of a message of Argo CD that are told: one line.
const MESSAGE_LENGTH_MAX: usize = 200;

/// What a connection shows.
type Shown<'a> = (&'a ConnectionName, &'a Applications);

/// A connection, or why it is unknown.
type Connection<'a> = Result<(&'a Applications, Readers<'a>), &'a str>;

/// All Applications, by connection, and what they read.
pub(super) struct Connected<'a> {
    connections: Vec<(&'a ConnectionName, Connection<'a>)>,
    ancestry: &'a BTreeMap<Ancestry, Fact<bool>>,
}

/// One image in one environment of a policy.
pub(crate) type Place<'p> = (&'p PolicyName, &'p EnvironmentName, &'p ImageName);

/// The Applications that deploy what `promotions` changed on `branch`, by connection, as far as they are known.
pub(crate) fn deployers<'p>(
    scope: &Scope<'_>,
    world: &World,
    (branch, promotions): (&BranchName, impl Iterator<Item = &'p Promotion>),
) -> BTreeSet<(ConnectionName, ObjectName)> {
    let places = promotions.flat_map(|promotion| {
        let images = promotion.images.keys();
        images.map(|image| (&promotion.policy, &promotion.environment, image))
    });
    let all = deployers_of_each(scope, world, (branch, places));
    all.into_iter().flatten().collect()
}

/// Those that deploy each of `places` from `branch`, in their order.
pub(crate) fn deployers_of_each<'p>(
    scope: &Scope<'_>,
    world: &World,
    (branch, places): (&BranchName, impl Iterator<Item = Place<'p>>),
) -> Vec<BTreeSet<(ConnectionName, ObjectName)>> {
    let connected = Connected::of(world);
    let of_place = |(policy, environment, image): Place<'p>| {
        let mut policies = scope.policies.iter();
        let policy = policies.find(|one| one.name == *policy)?;
        let mut environments = policy.environments.iter();
        let environment = environments.find(|one| one.name == *environment)?;
        let named = (environment, image);
        let watch = connected.watch((scope, policy), named, (branch, None))?;
        let watched = watch.applications.ok()?.into_iter();
        let names = watched.map(|one| {
            let Watched {
                connection, name, ..
            } = one;
            (connection.clone(), name.clone())
        });
        Some(names.collect())
    };
    places
        .map(|place| of_place(place).unwrap_or_default())
        .collect()
}

/// The Applications that deploy one image to one environment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watch<'a> {
    /// One at least, or why they are not known.
    applications: Result<Vec<Watched<'a>>, String>,
    repository: &'a RepositoryName,
    head: Option<&'a CommitId>,
    image: &'a Repository,
    ancestry: &'a BTreeMap<Ancestry, Fact<bool>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Watched<'a> {
    connection: &'a ConnectionName,
    name: &'a ObjectName,
    application: &'a Application,
    seen: &'a [Seen],
    has_windows: bool,
    /// What those of its sources were compared to that read a place of the environment.
    revisions: Vec<&'a str>,
}

/// A version whose health is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) tag: &'a Tag,
    pub(super) digest: Option<&'a Digest>,
    /// Whether it stands in the environment now; otherwise a newer one has taken its place.
    pub(super) stands: bool,
    /// What brought it, where a promotion did.
    pub(super) commit: Option<&'a CommitId>,
}

impl<'a> Connected<'a> {
    pub(super) fn of(world: &'a World) -> Self {
        let connections = world.applications.iter().map(|(name, fact)| {
            let known = match fact {
                Fact::Known(applications) => {
                    let applications: &Applications = applications;
                    Ok((applications, Readers::of(applications)))
                }
                Fact::Unknown { why } => Err(why.as_str()),
            };
            (name, known)
        });
        Self {
            connections: connections.collect(),
            ancestry: &world.ancestry,
        }
    }

    /// Whether Argo CD is connected.
    pub(super) fn is_connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// The Applications that deploy `image` to `environment`; `None` where none is to.
    pub(super) fn watch(
        &self,
        (scope, policy): (&'a Scope<'a>, &'a Policy),
        (environment, image): (&'a Environment, &'a ImageName),
        (branch, head): (&BranchName, Option<&'a CommitId>),
    ) -> Option<Watch<'a>> {
        let applications = match &environment.argo_cd {
            ArgoCd::Nothing => return None,
            ArgoCd::ByPath => self.by_path(scope, (environment, image), branch),
            ArgoCd::Named {
                connection,
                applications,
            } => self.named(connection.as_ref(), applications, environment),
        };
        Some(Watch {
            applications,
            repository: &policy.repository,
            head,
            image: &policy.images[image].repository,
            ancestry: self.ancestry,
        })
    }

    /// All connections, or why one of them is not known.
    fn known(
        &self,
        wanted: Option<&ConnectionName>,
    ) -> Result<Vec<(Shown<'a>, &Readers<'a>)>, String> {
        let connections = self.connections.iter();
        let connections = connections.filter(|(name, _)| wanted.is_none_or(|one| one == *name));
        let known = connections.map(|(name, known)| match known {
            Ok((applications, readers)) => Ok(((*name, *applications), readers)),
            Err(why) => Err(format!("Argo CD `{name}` is unknown: {why}")),
        });
        known.collect()
    }

    fn by_path(
        &self,
        scope: &Scope<'_>,
        (environment, image): (&Environment, &ImageName),
        branch: &BranchName,
    ) -> Result<Vec<Watched<'a>>, String> {
        let name = &environment.name;
        let known = self.known(None)?;
        let Some(address) = scope.addresses.get(&branch.repository) else {
            return Err(format!(
                "no Application can be found for `{}`, whose URL names no host; name it with `argo-cd` in `{name}`",
                branch.repository
            ));
        };
        let mut all = Vec::new();
        for site in environment.sites_of(image) {
            if site.is_application() {
                return Err(format!(
                    "which Application `{}` makes is not told by its path; name it with `argo-cd` in `{name}`",
                    site.path
                ));
            }
            let mut found: BTreeMap<(&ConnectionName, &ObjectName), _> = BTreeMap::new();
            for (shown, readers) in &known {
                for file in site.files() {
                    for (name, numbers) in readers.of_file((address, &branch.branch), &file) {
                        let (_, known) = found
                            .entry((shown.0, name))
                            .or_insert_with(|| (*shown, BTreeSet::new()));
                        known.extend(numbers);
                    }
                }
            }
            if found.is_empty() {
                return Err(format!(
                    "no Application of Argo CD reads `{}` of `{}`; name it with `argo-cd` in `{name}`, or write `argo-cd: false` there",
                    site.path, branch.repository
                ));
            }
            let found = found
                .into_iter()
                .map(|((_, name), (shown, numbers))| watched(shown, name, &numbers));
            all.extend(found);
        }
        Ok(all)
    }

    fn named(
        &self,
        connection: Option<&ConnectionName>,
        wanted: &[ApplicationName],
        environment: &Environment,
    ) -> Result<Vec<Watched<'a>>, String> {
        let known = self.known(connection)?;
        let each = wanted.iter().map(|wanted| {
            let is_it = |name: &&ObjectName| {
                let namespace = wanted.namespace.as_deref();
                *wanted.name == *name.name && namespace.is_none_or(|one| *one == *name.namespace)
            };
            let found = known.iter().flat_map(|(shown, _)| {
                let names = shown.1.all.keys().filter(is_it);
                names.map(move |name| (*shown, name))
            });
            let found: Vec<_> = found.collect();
            match found[..] {
                [(shown, name)] => {
                    let sources = shown.1.all[name].sources.len();
                    Ok(watched(shown, name, &(0..sources).collect()))
                }
                [] => Err(format!(
                    "Argo CD has no Application `{wanted}`, which `argo-cd` of `{}` names",
                    environment.name
                )),
                [..] => Err(format!(
                    "{} Applications are called `{wanted}`; write connection and namespace in `argo-cd` of `{}`",
                    found.len(),
                    environment.name
                )),
            }
        });
        each.collect()
    }
}

fn watched<'a>(
    (connection, applications): Shown<'a>,
    name: &'a ObjectName,
    numbers: &BTreeSet<usize>,
) -> Watched<'a> {
    let application: &Application = &applications.all[name];
    // What is synced of a hydrated source is a commit of another branch.
    let numbers = numbers.iter().filter(|_| !application.is_hydrated);
    let revisions = numbers.filter_map(|number| application.sync.revisions.get(*number));
    let has_windows =
        matches!(applications.windows(name), Fact::Known(windows) if !windows.is_empty());
    Watched {
        connection,
        name,
        application,
        seen: applications
            .seen
            .get(name)
            .map_or(&[], |seen| seen.as_slice()),
        has_windows,
        revisions: revisions.map(String::as_str).collect(),
    }
}

impl Watch<'_> {
    /// How they stand with a version, or what has to be known first.
    pub(super) fn condition(
        &self,
        asked: Asked<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Condition, HoldReason> {
        let applications = match &self.applications {
            Ok(applications) => applications,
            Err(why) => return Ok(Condition::Unknown { why: why.clone() }),
        };
        let mut latest = Timestamp::MIN;
        let mut worst: Option<Condition> = None;
        for watched in applications {
            let condition = self.of_one(watched, asked, questions)?;
            if let Condition::Healthy { since } = condition {
                latest = latest.max(since);
            } else if worst
                .as_ref()
                .is_none_or(|worst| weight(&condition) > weight(worst))
            {
                worst = Some(condition);
            }
        }
        Ok(worst.unwrap_or(Condition::Healthy { since: latest }))
    }

    fn of_one(
        &self,
        watched: &Watched<'_>,
        asked: Asked<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Condition, HoldReason> {
        let Watched {
            name, application, ..
        } = watched;
        let not_yet = |why: String| Condition::NotYet {
            why: format!("`{name}` {why}"),
            degraded: None,
        };
        let of_image = |image: &str| {
            let reference: Option<Reference> = image.parse().ok();
            reference.filter(|reference| reference.repository == *self.image)
        };
        let is_it = |image: &str| of_image(image).is_some_and(|image| is_version(&image, asked));
        let images = application.images.iter();
        let running: Vec<Reference> = images.filter_map(|image| of_image(image)).collect();
        let runs = running.iter().any(|image| is_version(image, asked));
        let health = &application.health;
        if health.status == HealthStatus::Degraded {
            return Ok(Condition::NotYet {
                why: format!("`{name}` {}", words("is Degraded", &health.message)),
                degraded: health.since.filter(|_| runs),
            });
        }
        let seen = watched.seen.iter().rev().find(|seen| is_it(&seen.image));
        let since = seen.and_then(|seen| seen.healthy);
        if !asked.stands {
            return Ok(match since {
                Some(since) => Condition::Healthy { since },
                None => Condition::NeverSeen,
            });
        }
        match (running.first(), runs) {
            (Some(_), true) => {}
            (Some(other), false) => {
                let other = match (&other.tag, &other.digest) {
                    (Some(tag), _) => tag.as_str(),
                    (None, Some(digest)) => digest.short(),
                    (None, None) => "latest",
                };
                let why = format!("still runs `{other}`: it {}", delay(watched));
                return Ok(not_yet(why));
            }
            (None, _) => match self.has_come(watched, asked, questions)? {
                Some(true) => {}
                Some(false) => return Ok(not_yet(delay(watched))),
                None => {
                    let why = format!("`{name}` does not tell whether it runs `{}`", asked.tag);
                    return Ok(Condition::Unknown { why });
                }
            },
        }
        let since = since.or_else(|| application.healthy_since());
        Ok(now(watched, since).unwrap_or_else(not_yet))
    }

    /// Whether what is synced has the commit that brought the version; `None` where nothing tells.
    fn has_come(
        &self,
        watched: &Watched<'_>,
        asked: Asked<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Option<bool>, HoldReason> {
        let Some(commit) = asked.commit.filter(|_| !watched.revisions.is_empty()) else {
            // What nobody promoted has stood there all along.
            let is_head = |revision: &&str| Some(*revision) == self.head.map(CommitId::as_str);
            let is_known = watched.revisions.iter().any(is_head);
            return Ok(is_known.then_some(true));
        };
        for revision in &watched.revisions {
            if *revision == commit.as_str() || Some(*revision) == self.head.map(CommitId::as_str) {
                continue;
            }
            let Ok(descendant) = revision.parse() else {
                return Ok(None);
            };
            let ancestry = Ancestry {
                repository: self.repository.clone(),
                ancestor: commit.clone(),
                descendant,
            };
            match self.ancestry.get(&ancestry) {
                Some(Fact::Known(true)) => {}
                Some(Fact::Known(false)) => return Ok(Some(false)),
                Some(Fact::Unknown { .. }) => return Ok(None),
                None => {
                    questions.insert(Question::Ancestry(ancestry));
                    return Err(HoldReason::FactsPending);
                }
            }
        }
        Ok(Some(true))
    }
}

/// How an Application is that has the version, healthy `since` then if it is; or why it is not.
fn now(watched: &Watched<'_>, since: Option<Timestamp>) -> Result<Condition, String> {
    let Watched {
        name, application, ..
    } = watched;
    let operation = application.operation.as_ref();
    let is_running = operation.is_some_and(|operation| {
        matches!(
            operation.phase,
            OperationPhase::Running | OperationPhase::Terminating
        )
    });
    if application.sync.status != SyncStatus::Synced || is_running {
        return Err(delay(watched));
    }
    let health = &application.health;
    let what = match health.status {
        HealthStatus::Healthy => {
            return Ok(match since {
                Some(since) => Condition::Healthy { since },
                None => Condition::Unknown {
                    why: format!(
                        "`{name}` does not tell since when it is healthy, which Argo CD does from 2.14 on"
                    ),
                },
            });
        }
        HealthStatus::Suspended => "is Suspended: somebody paused it, or it waits for somebody",
        HealthStatus::Missing => "is Missing: it lacks objects",
        HealthStatus::Progressing => "is Progressing",
        HealthStatus::Degraded => "is Degraded",
        HealthStatus::Unknown => "is of unknown health",
    };
    Err(words(what, &health.message))
}

/// Which of two is to be told.
fn weight(condition: &Condition) -> u8 {
    match condition {
        Condition::Healthy { .. } => 0,
        Condition::NeverSeen => 1,
        Condition::NotYet { degraded: None, .. } => 2,
        Condition::NotYet {
            degraded: Some(_), ..
        } => 3,
        Condition::Unknown { .. } => 4,
    }
}

/// Whether a workload's image is the version. A digest tells more than a tag.
fn is_version(image: &Reference, asked: Asked<'_>) -> bool {
    match (&image.digest, asked.digest) {
        (Some(digest), Some(asked)) => digest == asked,
        (Some(_), None) | (None, _) => image.tag.as_ref() == Some(asked.tag),
    }
}

/// Why an Application is not synced with git, as far as it tells.
fn delay(watched: &Watched<'_>) -> String {
    let application = watched.application;
    let errors = application.conditions.iter();
    let error = errors.rev().find(|one| one.kind.ends_with("Error"));
    let operation = application.operation.as_ref();
    let phase = operation.map(|operation| operation.phase);
    if application.is_being_deleted {
        return "is being deleted".to_owned();
    }
    if application.is_skipped {
        return "is left alone by Argo CD (`argocd.argoproj.io/skip-reconcile`)".to_owned();
    }
    if let Some(error) = error {
        return words(&format!("has a `{}`", error.kind), &error.message);
    }
    match phase {
        Some(OperationPhase::Running | OperationPhase::Terminating) => {
            return "is being synced".to_owned();
        }
        Some(OperationPhase::Failed | OperationPhase::Error) => {
            let message = operation.map_or("", |operation| operation.message.as_str());
            return words("could not be synced", message);
        }
        Some(OperationPhase::Succeeded | OperationPhase::Unknown) | None => {}
    }
    match (application.sync.status, application.syncing) {
        (SyncStatus::Unknown, _) => "is not compared with git".to_owned(),
        (SyncStatus::OutOfSync, Syncing::Manual) => {
            "waits for somebody to sync it, since it is not synced automatically".to_owned()
        }
        (SyncStatus::OutOfSync, Syncing::Automated) if watched.has_windows => {
            "is OutOfSync, and its project has sync windows".to_owned()
        }
        (SyncStatus::OutOfSync, Syncing::Automated) => "is OutOfSync".to_owned(),
        (SyncStatus::Synced, _) => "has not been compared with the newest commit yet".to_owned(),
    }
}

/// `what`, with the message of Argo CD on one line.
fn words(what: &str, message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match message.char_indices().nth(MESSAGE_LENGTH_MAX) {
        _ if message.is_empty() => what.to_owned(),
        Some((end, _)) => format!("{what}: {}...", &message[..end]),
        None => format!("{what}: {message}"),
    }
}
