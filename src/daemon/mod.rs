//! The loop: readings made fresh in the background, and a round for a manifests repository whenever one changed.
//!
//! Not here: what is read (`observe`), decided (`plan`) or written (`apply`). A wake-up carries no data, so that
//! a restart, a missed event and a normal day are one path. Each manifests repository has a worker of its own,
//! so that a slow one delays no other.

mod applications;
mod ask;
mod clock;
mod log;
mod metrics;
mod poll;
mod resource_status;
mod resources;
mod round;
mod source;
mod status;
mod tell;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::apply::Signature;
use crate::cluster::Reporter;
use crate::cluster::lease::Lead;
use crate::forge::Place;
use crate::image::Repository;
use crate::observe::{Listed, Sources, Wants};
use crate::plan::{Dialect, Origins};
use crate::policy::{ConnectionName, Policy, RepositoryName, SubjectTemplate};
use crate::registry::Registry;
use crate::web::{Bells, Health};
use crate::world::Fact;
use crate::world::RepositoryAddress;

pub(crate) use clock::now;
pub(crate) use log::not_refreshed;
pub(crate) use metrics::resources_awaited;
pub(crate) use resources::{CustomResources, LastDecided};
pub(crate) use round::{Hands, Report, deployers_of, round, settle};
pub(crate) use status::{Board, registry_status};

/// What a running daemon works with; a new configuration makes a new one.
pub(crate) struct Work {
    pub(crate) policies: Vec<Policy>,
    /// The branch of each manifests repository.
    pub(crate) branches: BTreeMap<RepositoryName, String>,
    pub(crate) subject: SubjectTemplate,
    /// How the forge of each manifests repository writes.
    pub(crate) forges: BTreeMap<RepositoryName, Dialect>,
    pub(crate) origins: Origins,
    /// Where each manifests repository is.
    pub(crate) addresses: BTreeMap<RepositoryName, RepositoryAddress>,
    /// Whether pull requests show what they render to.
    pub(crate) renders: bool,
    /// Where the manifests repositories are on forges, by which events name them.
    pub(crate) places: BTreeMap<RepositoryName, Place>,
    pub(crate) signature: Signature,
    pub(crate) sources: Arc<Sources>,
    /// The one that the sources read.
    pub(crate) registry: Registry,
    pub(crate) wants: Wants,
    pub(crate) intervals: Intervals,
    /// Rung by the events of registries and forges; they outlast the work.
    pub(crate) bells: Arc<Bells>,
    pub(crate) fleets: Fleets,
    /// The custom resources that policies come from, where the settings name some.
    pub(crate) custom_resources: Option<CustomResources>,
    /// Whether we promote, or only know how it stands; it outlasts the work too.
    pub(crate) lead: Lead,
    /// Tells of ourselves in Kubernetes, where that is wanted.
    pub(crate) pod: Option<Reporter>,
    pub(crate) clock: fn() -> Timestamp,
}

/// The folders that the policies of fleets were made by.
pub(crate) struct Fleets {
    pub(crate) listed: Listed,
    /// Rung once others are there, so that new work is made by them.
    pub(crate) moved: Arc<Notify>,
}

impl Fleets {
    /// Whether `listed` has other folders, as far as they are known.
    fn are_outdated(&self, listed: &Listed) -> bool {
        listed.iter().any(|(folders, fact)| {
            let is_known = matches!(fact, Fact::Known(_));
            is_known && self.listed.get(folders) != Some(fact)
        })
    }
}

/// How often sources are read when nothing says that they changed.
pub(crate) struct Intervals {
    /// By image repository.
    pub(crate) images: BTreeMap<Repository, Duration>,
    /// By manifests or source repository.
    pub(crate) repositories: BTreeMap<RepositoryName, Duration>,
}

/// What the tasks of one daemon share.
struct Shared {
    work: Work,
    health: Arc<Health>,
    stop: CancellationToken,
    /// One bell per worker.
    wake: BTreeMap<RepositoryName, Notify>,
    /// The workers whose policies use an image repository.
    users: BTreeMap<Repository, BTreeSet<RepositoryName>>,
    /// The workers whose policies use the history of a source repository.
    readers: BTreeMap<RepositoryName, BTreeSet<RepositoryName>>,
    /// Sources that have not been read yet.
    unread: AtomicUsize,
    /// When each manifests repository was last fetched with all its branches.
    fetched: Mutex<BTreeMap<RepositoryName, Timestamp>>,
}

impl Shared {
    /// Notes that one more source has had its first reading, good or bad.
    fn first_reading_done(&self) {
        if self.unread.fetch_sub(1, Ordering::AcqRel) == 1 {
            tracing::info!("first complete view of registries and repositories");
            self.health.became_ready();
        }
    }

    fn last_fetch(&self, repository: &RepositoryName) -> Option<Timestamp> {
        self.fetched().get(repository).copied()
    }

    fn fetched(&self) -> MutexGuard<'_, BTreeMap<RepositoryName, Timestamp>> {
        let fetched = self.fetched.lock();
        fetched.expect("nothing panics while it holds the times")
    }

    /// Wakes the workers whose policies use `image`.
    fn wake_users_of(&self, image: &Repository) {
        self.wake(self.users.get(image));
    }

    /// Wakes the workers whose policies use the history of `source`.
    fn wake_readers_of(&self, source: &RepositoryName) {
        self.wake(self.readers.get(source));
    }

    /// Wakes all workers.
    fn wake_all(&self) {
        for bell in self.wake.values() {
            bell.notify_one();
        }
    }

    fn wake(&self, workers: Option<&BTreeSet<RepositoryName>>) {
        for worker in workers.into_iter().flatten() {
            self.wake[worker].notify_one();
        }
    }
}

/// Runs until `stop`, or until a task of the daemon ends unasked, which is a bug and gives its message back.
pub(crate) async fn run(
    work: Work,
    (board, health): (Arc<Board>, Arc<Health>),
    stop: CancellationToken,
) -> Result<(), String> {
    let workers: Vec<RepositoryName> = work.wants.branches.keys().cloned().collect();
    let images: Vec<Repository> = work.wants.images.iter().cloned().collect();
    let histories: Vec<RepositoryName> = work.wants.sources.keys().cloned().collect();
    let connections: Vec<ConnectionName> = work.sources.connections().cloned().collect();
    let unread = workers.len() + images.len() + histories.len() + connections.len();
    health.watch_workers(workers.len());
    metrics::begin();
    let origin = |image: &Repository| (image.clone(), work.sources.origin(image));
    work.bells.hang(&images.iter().map(origin).collect());
    work.bells.hang_manifests(&work.places);
    if workers.is_empty() {
        tracing::warn!("no policy is configured; waiting for one");
        health.became_ready();
    }
    let wake = workers
        .iter()
        .map(|name| (name.clone(), Notify::new()))
        .collect();
    let shared = Arc::new(Shared {
        users: users(&work.policies),
        readers: readers(&work.policies),
        work,
        health,
        stop: stop.clone(),
        wake,
        unread: AtomicUsize::new(unread),
        fetched: Mutex::default(),
    });
    let _shown = board.show(shared.clone());

    let mut pollers = JoinSet::new();
    for repository in images {
        pollers.spawn(poll::poll(shared.clone(), repository));
    }
    for repository in histories {
        pollers.spawn(source::poll(shared.clone(), repository));
    }
    for connection in connections {
        pollers.spawn(applications::follow(shared.clone(), connection));
    }
    pollers.spawn(resources::keep(shared.clone()));
    let mut running = JoinSet::new();
    for (index, repository) in workers.into_iter().enumerate() {
        running.spawn(worker::work(shared.clone(), repository, index));
    }
    // Workers end after the change that they are in; pollers only read and may be cut anywhere.
    let result = loop {
        let ended = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some(ended) = pollers.join_next() => ended,
            Some(ended) = running.join_next() => ended,
        };
        if !stop.is_cancelled() {
            break Err(ended
                .err()
                .map_or("a task ended unasked".to_owned(), |error| error.to_string()));
        }
    };
    pollers.shutdown().await;
    stop.cancel();
    while running.join_next().await.is_some() {}
    result
}

/// For each image repository, the manifests repositories that hold it.
fn users(policies: &[Policy]) -> BTreeMap<Repository, BTreeSet<RepositoryName>> {
    let mut users: BTreeMap<Repository, BTreeSet<RepositoryName>> = BTreeMap::new();
    for policy in policies {
        for image in policy.images.values() {
            let of_image = users.entry(image.repository.clone()).or_default();
            of_image.insert(policy.repository.clone());
        }
    }
    users
}

/// For each source repository, the manifests repositories whose policies its history orders.
fn readers(policies: &[Policy]) -> BTreeMap<RepositoryName, BTreeSet<RepositoryName>> {
    let mut readers: BTreeMap<RepositoryName, BTreeSet<RepositoryName>> = BTreeMap::new();
    for policy in policies {
        let rules = policy.environments.iter().flat_map(|e| e.rules.values());
        for source in rules.filter_map(|rule| rule.source()) {
            let of_source = readers.entry(source.repository.clone()).or_default();
            of_source.insert(policy.repository.clone());
        }
    }
    readers
}
