//! What stands of proposals: their branches in git, and what the forge says of their pull requests.

pub(super) mod saved;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Fact, File};
use crate::manifest::{CommitId, RepoPath};

/// The commit at the tip of a proposal's branch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) tip: CommitId,
    pub(crate) parents: Vec<CommitId>,
    /// As git writes a person: `name <email>`.
    pub(crate) committer: String,
    pub(crate) message: String,
    /// What it changes against its first parent, as it is then.
    pub(crate) files: BTreeMap<RepoPath, File>,
}

/// The pull requests of one repository, by their branch and in the order of their numbers: those that are open, and
/// those that were closed since a while.
pub(crate) type PullRequests = BTreeMap<String, Vec<PullRequest>>;

/// What a forge says of one pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullRequest {
    pub(crate) number: u64,
    /// Its page, for people.
    pub(crate) url: String,
    /// The commit that the forge last saw on its branch.
    pub(crate) head: Option<CommitId>,
    /// The branch that it goes to.
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) state: RequestState,
    /// Who approved what stands on its branch, by their logins; `None` until a gate needs it.
    pub(crate) approvals: Option<Fact<BTreeSet<String>>>,
}

/// How far a pull request has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    Open,
    Merged {
        at: Timestamp,
        by: Option<String>,
    },
    /// Closed without being merged.
    Closed {
        at: Timestamp,
        by: Option<String>,
    },
}
