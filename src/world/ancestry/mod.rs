//! Which commits have which others behind them.

pub(super) mod saved;

use crate::manifest::CommitId;
use crate::policy::RepositoryName;

/// Whether `descendant` is `ancestor`, or has it in its history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ancestry {
    pub(crate) repository: RepositoryName,
    pub(crate) ancestor: CommitId,
    pub(crate) descendant: CommitId,
}
