//! The forge edge: pull requests and commit statuses, on whatever product hosts the manifests repository.
//!
//! Reading order: this file, `place` (which product, and where the repository is on it), `http` (one request), then one file
//! for each product. Not here: what a pull request says and when there is one (`plan`), and branches (`git`).
//! Invariant: nothing is decided here. A product's peculiarity stays in its own file; what it cannot do is said, not skipped.

#![expect(
    dead_code,
    reason = "the clients of the products come next, and then those who use them"
)]

mod error;
mod place;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::manifest::CommitId;

use error::ForgeError;

/// What a forge says of one pull request (GitLab: merge request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullRequest {
    /// Its number in the repository (GitLab: `iid`).
    pub(crate) number: u64,
    /// Its page, for people.
    pub(crate) url: String,
    /// The branch that it brings, and the commit that the forge last saw there.
    pub(crate) head: String,
    pub(crate) head_commit: Option<CommitId>,
    /// The branch that it goes to.
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) state: State,
    pub(crate) is_draft: bool,
    /// When anything about it last changed, by the forge's clock.
    pub(crate) updated: Timestamp,
}

/// How far a pull request has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Merged {
        /// The commit of the base branch that has it, where the forge tells.
        commit: Option<CommitId>,
        at: Timestamp,
        /// The login of who merged it, where the forge tells.
        by: Option<String>,
    },
    /// Closed without being merged.
    Closed {
        at: Timestamp,
        by: Option<String>,
    },
}

/// A pull request to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewPullRequest {
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) is_draft: bool,
    pub(crate) labels: BTreeSet<String>,
    /// Logins; a team is `org/team` where the forge has teams.
    pub(crate) reviewers: BTreeSet<String>,
    pub(crate) assignees: BTreeSet<String>,
    /// By its title.
    pub(crate) milestone: Option<String>,
}

/// A pull request that was opened, and what else was wished and could not be done: an unknown reviewer, a label without
/// the right to make it. Such a wish is no failure, since the pull request stands.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) pull_request: PullRequest,
    pub(crate) complaints: Vec<ForgeError>,
}

/// What changes of a pull request; `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    /// Whether it is closed, after its text was written.
    pub(crate) close: bool,
}

/// How a pull request becomes part of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MergeWay {
    Merge,
    Squash,
    Rebase,
}

/// What is said of a commit, under a name that branch protection can require: `towpath/soak`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// One line. Forges that show less cut it (GitHub: 140 characters).
    pub(crate) why: String,
}

/// What a [`Status`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Passed,
    /// Not yet.
    Waits,
    Failed,
}

/// That somebody approved a pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Approval {
    /// The login.
    pub(crate) by: String,
    pub(crate) at: Option<Timestamp>,
    /// What was approved, where the forge tells.
    pub(crate) commit: Option<CommitId>,
}

/// What each product's client does. One request for each, where the product allows it; lists come whole, page after page.
trait Client {
    /// Every open pull request of the repository whose branch starts with `head_prefix`.
    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError>;

    /// Every pull request whose branch starts with `head_prefix`, in whatever state, that changed at `since` or later. A
    /// product that cannot tell what changed lists what is open and what was closed since.
    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError>;

    /// Opens a pull request. [`ForgeError::Exists`] where an open one has that branch.
    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError>;

    /// Changes a pull request, and gives it as it is then.
    async fn update(&self, number: u64, update: &Update) -> Result<PullRequest, ForgeError>;

    /// Adds a comment.
    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError>;

    /// Says of `commit` what `status` says, in place of what was said under its name before.
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError>;

    /// Lets the forge merge the pull request once all that it requires is there, if its head is still `head` by then.
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError>;

    /// Who approved what stands in the pull request now.
    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError>;
}
