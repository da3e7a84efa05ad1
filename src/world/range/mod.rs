//! The commits between two versions of an image. Somebody is to read them, and they decide nothing.

pub(super) mod saved;

use crate::manifest::CommitId;
use crate::policy::RepositoryName;

/// What a commit of a source holds and an older one does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitRange {
    pub(crate) repository: RepositoryName,
    /// The names of both, or the starts of their names, in lower case.
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The commits of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeCommits {
    /// Newest first, and not all where there are many.
    pub(crate) newest: Vec<SourceCommit>,
    /// How many there are.
    pub(crate) count: usize,
}

/// A commit of a source repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceCommit {
    pub(crate) id: CommitId,
    /// The first line of its message.
    pub(crate) subject: String,
    pub(crate) author: String,
}
