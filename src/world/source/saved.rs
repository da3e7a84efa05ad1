//! The part of a world file that is about the histories of sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SourceFacts;
use crate::manifest::{CommitPlace, NamedCommit};
use crate::policy::SourceBranch;
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedSource {
    repository: String,
    branch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fetched: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    commits: BTreeMap<String, SavedCommit>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
enum SavedCommit {
    None,
    One { line: u32, depth: u32 },
    Several { line: u32, depth: u32 },
}

pub(in crate::world) fn save(name: &SourceBranch, fact: &Fact<SourceFacts>) -> SavedSource {
    let SourceBranch { repository, branch } = name;
    let saved = SavedSource {
        repository: repository.to_string(),
        branch: branch.clone(),
        unknown: None,
        head: None,
        fetched: None,
        commits: BTreeMap::new(),
    };
    match fact {
        Fact::Unknown { why } => SavedSource {
            unknown: Some(why.clone()),
            ..saved
        },
        Fact::Known(SourceFacts {
            head,
            fetched,
            commits,
        }) => SavedSource {
            head: Some(head.to_string()),
            fetched: Some(fetched.to_string()),
            commits: commits
                .iter()
                .map(|(name, named)| (name.clone(), save_commit(*named)))
                .collect(),
            ..saved
        },
    }
}

fn save_commit(named: NamedCommit) -> SavedCommit {
    match named {
        NamedCommit::None => SavedCommit::None,
        NamedCommit::One(CommitPlace { line, depth }) => SavedCommit::One { line, depth },
        NamedCommit::Several {
            latest: CommitPlace { line, depth },
        } => SavedCommit::Several { line, depth },
    }
}

pub(in crate::world) fn load(
    saved: SavedSource,
) -> Result<(SourceBranch, Fact<SourceFacts>), LoadWorldError> {
    let SavedSource {
        repository,
        branch,
        unknown,
        head,
        fetched,
        commits,
    } = saved;
    let name = SourceBranch {
        repository: parse(&repository, "a repository's name")?,
        branch,
    };
    let fact = match (unknown, head, fetched) {
        (Some(why), _, _) => Fact::Unknown { why },
        (None, Some(head), Some(fetched)) => {
            let commits = commits.into_iter();
            let commits = commits.map(|(name, saved)| (name, load_commit(saved)));
            Fact::Known(SourceFacts {
                head: parse(&head, "a commit")?,
                fetched: parse(&fetched, "a time")?,
                commits: Arc::new(commits.collect()),
            })
        }
        (None, _, _) => Fact::Unknown {
            why: "the world file does not say where it stands, and when that was so".to_owned(),
        },
    };
    Ok((name, fact))
}

fn load_commit(saved: SavedCommit) -> NamedCommit {
    match saved {
        SavedCommit::None => NamedCommit::None,
        SavedCommit::One { line, depth } => NamedCommit::One(CommitPlace { line, depth }),
        SavedCommit::Several { line, depth } => NamedCommit::Several {
            latest: CommitPlace { line, depth },
        },
    }
}
