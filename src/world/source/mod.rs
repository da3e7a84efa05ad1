//! What is known of the histories that order builds.

pub(super) mod saved;

use std::sync::Arc;

use jiff::Timestamp;

use crate::manifest::CommitId;
use crate::policy::select::NamedCommits;

/// What is known of a branch of a source repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceFacts {
    pub(crate) head: CommitId,
    /// When the fetch began that brought it. A tag that was seen later may name a commit that was not there yet.
    pub(crate) fetched: Timestamp,
    /// The commits that some decision asked about.
    pub(crate) commits: Arc<NamedCommits>,
}
