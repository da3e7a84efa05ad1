//! Carries out a plan: one push per branch, as compare-and-swap. There are no choices left to make here.
//!
//! Invariant: a lost race is an outcome and not an error, and one branch that fails stops no other.

mod proposals;
mod write;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use tracing::{Instrument as _, Span, debug_span};

use crate::forge::Forge;
use crate::git::{Mirror, Person};
use crate::manifest::CommitId;
use crate::plan::{Change, PlannedCommit};
use crate::policy::RepositoryName;
use crate::world::BranchName;

use write::{Ground, Written, write};

pub(crate) use proposals::{ProposalEnd, ProposalOutcome, propose};
pub(crate) use write::WriteError;

/// Who makes promotion commits, and in whose name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) made_by: MadeBy,
}

/// Who makes promotion commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeBy {
    Us,
    /// The forge does and signs them, in the name of whoever our credentials for it belong to.
    Forge,
}

/// Where changes are carried out.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) mirrors: &'a BTreeMap<RepositoryName, Mirror>,
    pub(crate) forges: &'a BTreeMap<RepositoryName, Forge>,
    pub(crate) signature: &'a Signature,
    pub(crate) may_write: MayWrite<'a>,
    pub(crate) now: Timestamp,
}

/// Whether we may write, at the moment in which it is asked: before each push, and before what is done at a forge for one proposal.
pub(crate) type MayWrite<'a> = &'a (dyn Fn() -> bool + Sync);

/// The answer where a person asked for one round: what is pushed is a compare-and-swap, whoever leads.
pub(crate) const ALWAYS: MayWrite<'static> = &|| true;

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
    /// We may not write any more; nothing was written.
    Withheld,
    /// The server or the way to it failed; nothing was written.
    Failed {
        error: WriteError,
        commits: Vec<PlannedCommit>,
    },
}

/// Pushes `changes`: repositories side by side, the branches of one after the other.
pub(crate) async fn apply(changes: Vec<Change>, places: Places<'_>) -> Vec<Outcome> {
    let mut by_repository: BTreeMap<RepositoryName, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_repository
            .entry(change.branch.repository.clone())
            .or_default()
            .push(change);
    }
    let pushes = by_repository.into_values().map(|changes| async move {
        let mut outcomes = Vec::new();
        for change in changes {
            let span = span_of(&change);
            outcomes.push(push(change, places).instrument(span).await);
        }
        outcomes
    });
    join_all(pushes).await.into_iter().flatten().collect()
}

/// What is pushed, for traces: `portal/dev portal/staging`.
fn span_of(change: &Change) -> Span {
    let BranchName { repository, branch } = &change.branch;
    let promotions = change.commits.iter().flat_map(|commit| &commit.promotions);
    let promotions = promotions.map(|one| format!("{}/{}", one.policy, one.environment));
    let promotions = promotions.collect::<Vec<_>>().join(" ");
    debug_span!("push", %repository, branch, promotions)
}

async fn push(change: Change, places: Places<'_>) -> Outcome {
    let Change {
        branch,
        base,
        commits,
    } = change;
    let ground = Ground {
        expected: Some(base.clone()),
        parent: base,
    };
    let result = match write(&branch, ground, &commits, places).await {
        Ok(Written::Done { ids }) => Delivery::Pushed {
            commits: commits.into_iter().zip(ids).collect(),
        },
        Ok(Written::Moved) => Delivery::Moved,
        Ok(Written::Withheld) => Delivery::Withheld,
        Err(error) => Delivery::Failed { error, commits },
    };
    Outcome { branch, result }
}
