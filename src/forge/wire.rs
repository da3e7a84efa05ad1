//! What GitHub's answers look like, and Gitea's, whose API was made after it.
//!
//! <https://docs.github.com/en/rest/pulls/pulls>, <https://docs.gitea.com/api/>. Only what is used is read.

pub(super) mod azure;
pub(super) mod bitbucket;
pub(super) mod bitbucket_server;
pub(super) mod gitlab;
mod told;

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: u64,
    /// For GraphQL; Gitea has none.
    pub(super) node_id: Option<String>,
    pub(super) html_url: String,
    /// `open` or `closed`.
    pub(super) state: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) draft: bool,
    pub(super) updated_at: String,
    pub(super) closed_at: Option<String>,
    pub(super) merged_at: Option<String>,
    pub(super) merge_commit_sha: Option<String>,
    /// GitHub's, and not in lists: `unstable` where it could be merged, and a check that is not required has not passed.
    pub(super) mergeable_state: Option<String>,
    /// GitHub's: who told it to merge by itself, and how.
    pub(super) auto_merge: Option<IgnoredAny>,
    /// GitHub's lists do not tell.
    pub(super) merged_by: Option<User>,
    pub(super) head: Side,
    pub(super) base: Side,
}

/// The head or the base.
#[derive(Debug, Deserialize)]
pub(super) struct Side {
    /// GitHub: `OWNER:BRANCH`. Gitea: the branch.
    #[serde(default)]
    pub(super) label: String,
    /// The branch. Gitea: `refs/pull/N/head` once the branch was deleted.
    #[serde(rename = "ref")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) sha: String,
    /// `None` where a fork was deleted.
    pub(super) repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub(super) user: Option<User>,
    pub(super) state: String,
    /// Gitea's; GitHub has a state for it.
    #[serde(default)]
    pub(super) dismissed: bool,
    pub(super) commit_id: Option<String>,
    pub(super) submitted_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Milestone {
    /// Gitea's name of it.
    pub(super) id: u64,
    /// GitHub's name of it.
    pub(super) number: Option<u64>,
    pub(super) title: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    #[serde(default)]
    pub(super) assignees: Option<Vec<User>>,
}

/// An answer of GraphQL.
#[derive(Debug, Deserialize)]
pub(super) struct GraphQl {
    /// `None` where it failed.
    pub(super) data: Option<GraphQlData>,
    pub(super) errors: Option<Vec<GraphQlError>>,
}

impl GraphQl {
    /// What failed; empty where nothing did.
    pub(super) fn words(&self) -> String {
        let errors = self.errors.iter().flatten();
        let words: Vec<&str> = errors.map(|error| &*error.message).collect();
        words.join("; ")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct GraphQlData {
    #[serde(rename = "createCommitOnBranch")]
    pub(super) made: Option<CommitMade>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommitMade {
    pub(super) commit: Option<CommitName>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommitName {
    pub(super) oid: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GraphQlError {
    pub(super) message: String,
}

/// What GitHub's git database has: <https://docs.github.com/en/rest/git>.
#[derive(Debug, Deserialize)]
pub(super) struct GitObject {
    pub(super) sha: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GitCommit {
    pub(super) sha: String,
    pub(super) tree: GitObject,
    pub(super) verification: Option<Verification>,
}

/// Whether GitHub knows the signature of a commit.
#[derive(Debug, Deserialize)]
pub(super) struct Verification {
    pub(super) verified: bool,
    /// The commit without its signature.
    pub(super) payload: Option<String>,
    pub(super) signature: Option<String>,
}
