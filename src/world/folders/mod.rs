//! What is known of the folders that are applications of a fleet.

pub(super) mod saved;

use std::fmt;

use super::BranchName;
use crate::policy::FolderPattern;

/// The folders of a branch that are alike but for a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Folders {
    pub(crate) branch: BranchName,
    pub(crate) pattern: FolderPattern,
}

impl fmt::Display for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BranchName { repository, branch } = &self.branch;
        write!(f, "`{}` on `{branch}` of `{repository}`", self.pattern)
    }
}
