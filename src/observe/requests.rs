//! Reads the pull requests of proposals: all at first, then what changed.
//!
//! Invariant: one list is asked for in each interval, whatever the number of pull requests; and for those that people have to approve,
//! who did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::{Wants, whole_message};
use crate::forge::{self, Forge, ForgeError};
use crate::git::{History, Mirror};
use crate::manifest::CommitId;
use crate::policy::RepositoryName;
use crate::world::{BranchName, Fact, PullRequest, PullRequests, RequestState};

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

/// Pull requests whose approvals are asked for at once.
const APPROVALS_AT_ONCE_MAX: usize = 4;

/// The latest reading of one repository's pull requests.
#[derive(Default)]
pub(super) struct Requests(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_number: BTreeMap<u64, forge::PullRequest>,
    /// Who approved those of them that need it, and the commit that stood there then.
    approvals: BTreeMap<u64, (Option<CommitId>, Fact<BTreeSet<String>>)>,
    /// When all were listed last.
    whole_at: Option<Timestamp>,
}

impl Requests {
    /// Reads what changed, or all where that is due.
    async fn read(
        &self,
        (forge, mirror): (&Forge, &Mirror),
        approved: &BTreeMap<String, Option<CommitId>>,
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
        let needed = self.take_in(open, changed, (approved, now));
        let approvals = stream::iter(needed).map(async |request| {
            // Lists of some forges cut the name of the commit short.
            let tip = || approved.get(&request.head).cloned().flatten();
            let head = request.head_commit.clone().or_else(tip);
            let approvals = approvals((forge, mirror), (request.number, head.as_ref())).await;
            (request.number, (head, approvals))
        });
        let approvals = approvals.buffered(APPROVALS_AT_ONCE_MAX).collect().await;
        let mut kept = self.kept();
        kept.approvals = approvals;
        Ok(kept.by_branch())
    }

    /// Takes in what was listed, and gives the open ones on the branches that are `approved` at the forge.
    fn take_in(
        &self,
        open: Option<Vec<forge::PullRequest>>,
        changed: Vec<forge::PullRequest>,
        (approved, now): (&BTreeMap<String, Option<CommitId>>, Timestamp),
    ) -> Vec<forge::PullRequest> {
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
        let needs = |request: &&forge::PullRequest| {
            let is_open = request.state == forge::State::Open;
            is_open && approved.contains_key(&request.head)
        };
        kept.by_number.values().filter(needs).cloned().collect()
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
            // What was pushed since, nobody approved.
            let approvals = self.approvals.get(&request.number);
            let is_of_this = |(head, _): &&(Option<CommitId>, _)| {
                request.head_commit.is_none() || *head == request.head_commit
            };
            let (head, approvals) = approvals.filter(is_of_this).cloned().unzip();
            of_branch.push(fact(request.clone(), (head.flatten(), approvals)));
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
        wants: &Wants,
        (prefix, now): (&str, Timestamp),
    ) {
        let Some(forge) = self.forges.get(repository) else {
            return;
        };
        let approved = wants.approvals.get(repository).into_iter().flatten();
        let approved = approved.map(|branch| (branch.clone(), self.tip(repository, branch)));
        let requests = &self.requests[repository];
        let from = (forge, &self.mirrors[repository]);
        let fact = match requests
            .read(from, &approved.collect(), (prefix, now))
            .await
        {
            Ok(requests) => Fact::Known(Arc::new(requests)),
            Err(error) => Fact::Unknown {
                why: whole_message(&error, error.hint()),
            },
        };
        self.readings().requests.insert(repository.clone(), fact);
    }

    /// Where the branch of a proposal stands in git.
    fn tip(&self, repository: &RepositoryName, branch: &str) -> Option<CommitId> {
        let name = BranchName {
            repository: repository.clone(),
            branch: branch.to_owned(),
        };
        match self.readings().proposals.get(&name)? {
            Fact::Known(proposal) => Some(proposal.tip.clone()),
            Fact::Unknown { .. } => None,
        }
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

/// Who approved `head`, which stands on the branch of a pull request now.
async fn approvals(
    (forge, mirror): (&Forge, &Mirror),
    (number, head): (u64, Option<&CommitId>),
) -> Fact<BTreeSet<String>> {
    match forge.approvals(number).await {
        Ok(approvals) => {
            let made = match head {
                Some(head) => made(mirror, head).await,
                None => None,
            };
            let approvals = approvals.into_iter();
            let approvals = approvals.filter(|one| is_of(one, (head, made)));
            Fact::Known(approvals.map(|one| one.by).collect())
        }
        Err(error) => Fact::Unknown {
            why: whole_message(&error, error.hint()),
        },
    }
}

/// When a commit was made, where the mirror has it.
async fn made(mirror: &Mirror, commit: &CommitId) -> Option<Timestamp> {
    let history = mirror.log(commit.clone(), None, 1).await.ok()?;
    let (History::Since(commits) | History::Whole(commits) | History::Cut(commits)) = history;
    commits.first().map(|commit| commit.time)
}

/// Whether somebody approved `head`, which was `made` then: by the commit, or else by the time, as far as the forge tells them.
/// Some keep approvals of what stood there before.
fn is_of(approval: &forge::Approval, (head, made): (Option<&CommitId>, Option<Timestamp>)) -> bool {
    match (&approval.commit, approval.at, made) {
        (Some(commit), ..) => Some(commit) == head,
        (None, Some(at), Some(made)) => at >= made,
        (None, ..) => true,
    }
}

/// A pull request as the world has it; `approved` is what stood there when it was asked who approved that.
fn fact(
    request: forge::PullRequest,
    (approved, approvals): (Option<CommitId>, Option<Fact<BTreeSet<String>>>),
) -> PullRequest {
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
        head: head_commit.or(approved),
        base,
        title,
        body,
        state: match state {
            forge::State::Open => RequestState::Open,
            forge::State::Merged { commit: _, at, by } => RequestState::Merged { at, by },
            forge::State::Closed { at, by } => RequestState::Closed { at, by },
        },
        approvals,
    }
}

#[cfg(test)]
mod tests {
    use super::{CommitId, Timestamp, forge, is_of};

    #[test]
    fn an_approval_counts_for_the_commit_that_it_names_and_else_from_when_that_was_made() {
        let [head, other]: [CommitId; 2] =
            ["1", "2"].map(|digit| digit.repeat(40).parse().unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        let counts = |commit: Option<&CommitId>, second: Option<i64>, made: Option<i64>| {
            let approval = forge::Approval {
                by: "ann".to_owned(),
                at: second.map(at),
                commit: commit.cloned(),
            };
            is_of(&approval, (Some(&head), made.map(at)))
        };
        assert!(counts(Some(&head), Some(1), Some(2)));
        assert!(!counts(Some(&other), Some(3), Some(2)));
        assert!(!counts(None, Some(1), Some(2)));
        assert!(counts(None, Some(2), Some(2)));
        // A forge that tells neither is believed.
        assert!(counts(None, None, Some(2)));
        assert!(counts(None, Some(1), None));
    }
}
