//! Reads the pull requests of proposals: all at first, then what changed.
//!
//! Invariant: one list is asked for in each interval, whatever the number of pull requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::whole_message;
use crate::forge::{self, Forge, ForgeError};
use crate::policy::RepositoryName;
use crate::world::{Fact, PullRequest, PullRequests, RequestState};

use super::Sources;

/// How far back closed pull requests are read: what was rejected before is rejected no more, and a version of a quarter of a
/// year ago is seldom the newest.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How much of the time before the latest change is asked for again: forges show a change up to some seconds after others
/// that came later.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// How often all open ones are listed again, since a forge tells of no pull request that is gone.
const WHOLE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How much of the body of a pull request that is not open is kept: what is hidden at its end, and the rest is read no more.
const ENDED_BODY_MAX: usize = 16 << 10;

/// The latest reading of one repository's pull requests.
#[derive(Default)]
pub(super) struct Requests(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_number: BTreeMap<u64, forge::PullRequest>,
    /// When all were listed last.
    whole_at: Option<Timestamp>,
}

impl Requests {
    /// Reads what changed, or all where that is due.
    async fn read(
        &self,
        forge: &Forge,
        (prefix, now): (&str, Timestamp),
    ) -> Result<PullRequests, ForgeError> {
        let (since, whole_is_due) = {
            let kept = self.kept();
            let latest = kept.by_number.values().map(|request| request.updated).max();
            let age = kept.whole_at.map(|at| now.duration_since(at));
            let is_due = age.is_none_or(|age| age.unsigned_abs() >= WHOLE_EVERY);
            let since = match kept.whole_at {
                Some(_) => latest.unwrap_or(now - LOOK_BACK) - OVERLAP,
                None => now - LOOK_BACK,
            };
            (since, is_due)
        };
        let changed = forge.changed_pull_requests(prefix, since).await?;
        let open = match whole_is_due {
            true => Some(forge.open_pull_requests(prefix).await?),
            false => None,
        };
        let mut kept = self.kept();
        if let Some(open) = open {
            // A list may lag behind what was written just now.
            let listed: BTreeSet<u64> = open.iter().map(|request| request.number).collect();
            kept.by_number.retain(|number, request| {
                request.state != forge::State::Open
                    || listed.contains(number)
                    || request.updated >= now - OVERLAP
            });
            kept.whole_at = Some(now);
            open.into_iter().for_each(|request| kept.keep(request));
        }
        changed.into_iter().for_each(|request| kept.keep(request));
        let horizon = now - LOOK_BACK;
        kept.by_number
            .retain(|_, request| request.state == forge::State::Open || request.updated >= horizon);
        Ok(kept.by_branch())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        let kept = self.0.lock();
        kept.expect("nothing panics while it holds the pull requests")
    }
}

impl Kept {
    fn keep(&mut self, mut request: forge::PullRequest) {
        if request.state != forge::State::Open {
            let start = request.body.len().saturating_sub(ENDED_BODY_MAX);
            let start = request.body.ceil_char_boundary(start);
            request.body.drain(..start);
        }
        let standing = self.by_number.get(&request.number);
        if standing.is_none_or(|standing| standing.updated <= request.updated) {
            self.by_number.insert(request.number, request);
        }
    }

    fn by_branch(&self) -> PullRequests {
        let mut by_branch = PullRequests::new();
        for request in self.by_number.values() {
            let of_branch = by_branch.entry(request.head.clone()).or_default();
            of_branch.push(fact(request.clone()));
        }
        by_branch
    }
}

impl Sources {
    pub(crate) fn forges(&self) -> &BTreeMap<RepositoryName, Forge> {
        &self.forges
    }

    /// Lists the pull requests of `repository` whose branch starts with `prefix`, if it has a forge, and keeps the reading.
    pub(crate) async fn read_requests(
        &self,
        repository: &RepositoryName,
        (prefix, now): (&str, Timestamp),
    ) {
        let Some(forge) = self.forges.get(repository) else {
            return;
        };
        let fact = match self.requests[repository].read(forge, (prefix, now)).await {
            Ok(requests) => Fact::Known(Arc::new(requests)),
            Err(error) => Fact::Unknown {
                why: whole_message(&error, error.hint()),
            },
        };
        self.readings().requests.insert(repository.clone(), fact);
    }

    /// Has all pull requests of `repository` listed with the next reading: the forge knows one that the latest reading lacks.
    pub(crate) fn doubt_requests(&self, repository: &RepositoryName) {
        self.requests[repository].kept().whole_at = None;
    }

    /// Keeps pull requests as we have just written them.
    pub(crate) fn keep_requests(
        &self,
        repository: &RepositoryName,
        written: Vec<forge::PullRequest>,
    ) {
        let mut kept = self.requests[repository].kept();
        written.into_iter().for_each(|request| kept.keep(request));
        let fact = Fact::Known(Arc::new(kept.by_branch()));
        drop(kept);
        self.readings().requests.insert(repository.clone(), fact);
    }
}

fn fact(request: forge::PullRequest) -> PullRequest {
    let forge::PullRequest {
        number,
        url,
        head: _,
        head_commit,
        base,
        title,
        body,
        state,
        is_draft: _,
        updated: _,
    } = request;
    PullRequest {
        number,
        url,
        head: head_commit,
        base,
        title,
        body,
        state: match state {
            forge::State::Open => RequestState::Open,
            forge::State::Merged { commit: _, at, by } => RequestState::Merged { at, by },
            forge::State::Closed { at, by } => RequestState::Closed { at, by },
        },
    }
}
