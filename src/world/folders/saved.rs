//! The part of a world file that is about the folders of fleets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Folders;
use crate::world::saved::{LoadWorldError, parse};
use crate::world::{BranchName, Fact};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedFolders {
    repository: String,
    branch: String,
    pattern: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    names: BTreeSet<String>,
}

pub(in crate::world) fn save(folders: &Folders, fact: &Fact<BTreeSet<String>>) -> SavedFolders {
    let Folders { branch, pattern } = folders;
    let BranchName { repository, branch } = branch;
    let (unknown, names) = match fact {
        Fact::Known(names) => (None, names.clone()),
        Fact::Unknown { why } => (Some(why.clone()), BTreeSet::new()),
    };
    SavedFolders {
        repository: repository.to_string(),
        branch: branch.clone(),
        pattern: pattern.to_string(),
        unknown,
        names,
    }
}

pub(in crate::world) fn load(
    saved: SavedFolders,
) -> Result<(Folders, Fact<BTreeSet<String>>), LoadWorldError> {
    let SavedFolders {
        repository,
        branch,
        pattern,
        unknown,
        names,
    } = saved;
    let folders = Folders {
        branch: BranchName {
            repository: parse(&repository, "a repository's name")?,
            branch,
        },
        pattern: parse(&pattern, "a pattern of folders")?,
    };
    let fact = match unknown {
        Some(why) => Fact::Unknown { why },
        None => Fact::Known(names),
    };
    Ok((folders, fact))
}
