//! What a running daemon says of itself when it is asked.
//!
//! Not here: how it is served (`web`) and printed (`cli/status`). Invariant: whoever asks holds nothing of the daemon longer
//! than the answer takes, so that a new configuration can close what the old one had open.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{CustomResources, Shared};
use crate::cluster::lease::{Lead, LeaseName};
use crate::image::Repository;
use crate::policy::{RepositoryName, SourceBranch};
use crate::registry::{HostStanding, QuotaStanding};
use crate::web::{
    BranchStatus, ImageStatus, LeadershipStatus, LimitStatus, RegistryStatus, Status,
};
use crate::world::{BranchName, Fact};

/// The daemon that runs now, if one does, for those who ask how it is.
#[derive(Default)]
pub(crate) struct Board {
    shown: Mutex<Option<Arc<Shared>>>,
}

/// As long as it lives, the board shows a daemon.
pub(super) struct Shown<'a>(&'a Board);

impl Board {
    /// What is known at `now`.
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        let mut status = Status::new(now.to_string());
        // Held to the end: the daemon waits for it before it gives up its sources.
        if let Some(shared) = &*self.lock() {
            let wants = &shared.work.wants;
            status.leadership = leadership(&shared.work.lead);
            let custom = shared.work.custom_resources.iter();
            status.custom_resources = custom.flat_map(CustomResources::shown).collect();
            let hosts = shared.work.registry.standings();
            let hosts = hosts
                .into_iter()
                .map(|standing| registry_status(standing, now));
            status.registries = hosts.collect();
            let images = wants.images.iter();
            status.images = images.map(|name| image(shared, name)).collect();
            for (name, branches) in &wants.branches {
                let branches = branches
                    .keys()
                    .map(|branch| manifests(shared, name, branch));
                status.manifests.extend(branches);
            }
            for (name, branches) in &wants.sources {
                let branches = branches.iter().map(|branch| source(shared, name, branch));
                status.sources.extend(branches);
            }
        }
        status
    }

    pub(super) fn show(&self, shared: Arc<Shared>) -> Shown<'_> {
        *self.lock() = Some(shared);
        Shown(self)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        let shown = self.shown.lock();
        shown.expect("nothing panics while it holds the board")
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// Who leads, where there is more than one.
fn leadership(lead: &Lead) -> Option<LeadershipStatus> {
    let (lease, standing) = lead.shown()?;
    let LeaseName { lease, us } = lease;
    Some(LeadershipStatus {
        lease: lease.clone(),
        leads: standing.leads(),
        leader: standing.holder,
        us: us.clone(),
    })
}

/// How a registry stands, for people.
pub(crate) fn registry_status(standing: HostStanding, now: Timestamp) -> RegistryStatus {
    let HostStanding {
        host,
        kind,
        outcomes,
        budget,
        clock: _,
    } = standing;
    let said = |quota: &QuotaStanding| quota.told.is_some() || quota.quiet_for.is_some();
    let limits = budget.quotas.into_iter().filter(said);
    RegistryStatus {
        host,
        kind: kind.to_string(),
        requests: outcomes,
        requests_per_second: budget.pace.map(per_second),
        in_flight: budget.in_flight,
        in_flight_max: budget.in_flight_max,
        waiting: budget.waiting,
        limits: limits.map(|quota| limit(&quota, now)).collect(),
    }
}

fn limit(standing: &QuotaStanding, now: Timestamp) -> LimitStatus {
    let QuotaStanding {
        quota,
        told,
        quiet_for,
    } = standing;
    let resets_in = told.and_then(|(told, ago)| Some(told.resets_in?.saturating_sub(ago)));
    let at = |rest: Duration| {
        let rest = SignedDuration::from_secs(rest.as_secs().try_into().ok()?);
        Some(now.checked_add(rest).ok()?.to_string())
    };
    let told = told.map(|(told, _)| told);
    LimitStatus {
        quota: quota.as_str().to_owned(),
        limit: told.and_then(|told| told.limit),
        remaining: told.map(|told| told.remaining),
        window_seconds: told
            .and_then(|told| told.window)
            .map(|window| window.as_secs()),
        resets_at: resets_in.and_then(at),
        quiet_until: quiet_for.and_then(at),
    }
}

fn image(shared: &Shared, repository: &Repository) -> ImageStatus {
    let good = shared.work.registry.last_listing(repository);
    let facts = shared.work.sources.image(repository);
    ImageStatus {
        repository: repository.to_string(),
        listed_at: good.map(|(at, _)| at.to_string()),
        tags: good.map(|(_, tags)| tags),
        error: facts.and_then(|facts| match facts.listing {
            Fact::Known(_) => None,
            Fact::Unknown { why } => Some(why),
        }),
    }
}

fn manifests(shared: &Shared, repository: &RepositoryName, branch: &str) -> BranchStatus {
    let name = BranchName {
        repository: repository.clone(),
        branch: branch.to_owned(),
    };
    let (head, error) = match shared.work.sources.branch(&name) {
        Some(Fact::Known(facts)) => (facts.head.as_ref().map(ToString::to_string), None),
        Some(Fact::Unknown { why }) => (None, Some(why)),
        None => (None, None),
    };
    BranchStatus {
        repository: name.repository.to_string(),
        branch: name.branch,
        head,
        fetched_at: shared.last_fetch(repository).map(|at| at.to_string()),
        error,
    }
}

fn source(shared: &Shared, repository: &RepositoryName, branch: &str) -> BranchStatus {
    let name = SourceBranch {
        repository: repository.clone(),
        branch: branch.to_owned(),
    };
    let (known, error) = match shared.work.sources.source(&name) {
        Some(Fact::Known(facts)) => (Some(facts), None),
        Some(Fact::Unknown { why }) => (None, Some(why)),
        None => (None, None),
    };
    BranchStatus {
        repository: name.repository.to_string(),
        branch: name.branch,
        head: known.as_ref().map(|facts| facts.head.to_string()),
        fetched_at: known.map(|facts| facts.fetched.to_string()),
        error,
    }
}

/// Requests per second, to hundredths.
fn per_second(pace: Duration) -> f64 {
    (100.0 / pace.as_secs_f64()).round() / 100.0
}
