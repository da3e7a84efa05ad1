//! Carries out a plan: one push per branch, as compare-and-swap. There are no choices left to make here.
//!
//! Invariant: a lost race is an outcome and not an error, and one branch that fails stops no other.

mod proposals;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::git::{Mirror, NewCommit, Person, Push, PushError, Pushed};
use crate::manifest::CommitId;
use crate::plan::{Change, PlannedCommit};
use crate::policy::RepositoryName;
use crate::world::BranchName;

pub(crate) use proposals::{Places, ProposalEnd, ProposalOutcome, propose};

/// Who signs promotion commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) author: Person,
    pub(crate) committer: Person,
}

/// What became of one change.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outcome {
    pub(crate) branch: BranchName,
    pub(crate) result: Delivery,
}

/// How a push ended.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The branch holds these commits now, in the order of the plan.
    Pushed {
        commits: Vec<(PlannedCommit, CommitId)>,
    },
    /// Somebody else moved the branch first; plan again from its new head.
    Moved,
    /// The server or the way to it failed; nothing was written.
    Failed {
        error: PushError,
        commits: Vec<PlannedCommit>,
    },
}

/// Pushes `changes`: repositories side by side, the branches of one after the other.
pub(crate) async fn apply(
    changes: Vec<Change>,
    mirrors: &BTreeMap<RepositoryName, Mirror>,
    signature: &Signature,
    now: Timestamp,
) -> Vec<Outcome> {
    let mut by_repository: BTreeMap<RepositoryName, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_repository
            .entry(change.branch.repository.clone())
            .or_default()
            .push(change);
    }
    let pushes = by_repository
        .into_iter()
        .map(|(repository, changes)| async move {
            let mut outcomes = Vec::new();
            for change in changes {
                outcomes.push(push(change, &mirrors[&repository], signature, now).await);
            }
            outcomes
        });
    join_all(pushes).await.into_iter().flatten().collect()
}

async fn push(change: Change, mirror: &Mirror, signature: &Signature, now: Timestamp) -> Outcome {
    let Change {
        branch,
        base,
        commits,
    } = change;
    let new = commits
        .iter()
        .map(|commit| new_commit(commit, signature, now))
        .collect();
    let push = Push {
        branch: branch.branch.clone(),
        expected: Some(base.clone()),
        parent: base,
        commits: new,
        options: Vec::new(),
    };
    let result = match mirror.push(push).await {
        Ok(Pushed::Done { ids }) => Delivery::Pushed {
            commits: commits.into_iter().zip(ids).collect(),
        },
        Ok(Pushed::Moved { head: _ }) => Delivery::Moved,
        Err(error) => Delivery::Failed { error, commits },
    };
    Outcome { branch, result }
}

fn new_commit(commit: &PlannedCommit, signature: &Signature, now: Timestamp) -> NewCommit {
    let files = commit
        .files
        .iter()
        .map(|(path, file)| (path.clone(), file.after.as_bytes().to_vec()));
    NewCommit {
        message: commit.message.clone(),
        author: signature.author.clone(),
        committer: signature.committer.clone(),
        time: now,
        files: files.collect(),
    }
}
