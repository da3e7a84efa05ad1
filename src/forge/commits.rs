//! Commits that a forge makes and signs, so that it shows them as verified.
//!
//! Not here: moving a branch to them, which is git's, by compare-and-swap. What is made here belongs to no branch that people
//! look at, so that whatever becomes of it afterwards, nothing is lost and nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ForgeError;
use super::{Forge, Product};
use crate::manifest::{CommitId, RepoPath};

/// Commits to be made, each on the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) parent: CommitId,
    /// Never empty.
    pub(crate) commits: Vec<NewCommit>,
    /// A branch for nothing else, on which they are made where the product makes them nowhere else. Whatever stands there
    /// is taken away.
    pub(crate) branch: String,
}

/// A commit to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewCommit {
    pub(crate) message: String,
    /// The new text of each file that changes, all of which stand there.
    pub(crate) files: BTreeMap<RepoPath, NewFile>,
}

/// A file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewFile {
    pub(crate) text: Arc<str>,
    /// It stays so.
    pub(crate) is_executable: bool,
}

/// What was made, in the order of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Made {
    /// The commits are on no branch.
    Told(Vec<Signed>),
    /// They are to be had from the chain's branch, which is to be deleted then.
    OnBranch(Vec<CommitId>),
}

/// A signed commit in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) id: CommitId,
    /// The commit without its signature.
    pub(crate) payload: String,
    pub(crate) signature: String,
}

impl Forge {
    /// Makes the commits of `chain` in the name of whoever the credentials belong to.
    pub(crate) async fn make_commits(&self, chain: &Chain) -> Result<Made, ForgeError> {
        match &self.product {
            Product::Github(client) => client.make_commits(chain).await,
            Product::Gitlab(client) => client.make_commits(chain).await,
            Product::Gitea(_)
            | Product::BitbucketCloud(_)
            | Product::BitbucketServer(_)
            | Product::AzureDevops(_) => Err(ForgeError::Unsupported {
                host: self.place.api.host_str().unwrap_or_default().to_owned(),
                what: "sign commits that are made by its API",
            }),
        }
    }
}
