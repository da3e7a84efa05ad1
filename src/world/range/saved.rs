//! The part of a world file that is about commits between versions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CommitRange, RangeCommits, SourceCommit};
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedRange {
    repository: String,
    from: String,
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default)]
    count: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    newest: Vec<SavedCommit>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCommit {
    commit: String,
    subject: String,
    author: String,
}

pub(in crate::world) fn save(range: &CommitRange, fact: &Fact<Arc<RangeCommits>>) -> SavedRange {
    let CommitRange {
        repository,
        from,
        to,
    } = range.clone();
    let (unknown, count, newest) = match fact {
        Fact::Unknown { why } => (Some(why.clone()), 0, Vec::new()),
        Fact::Known(commits) => {
            let RangeCommits { newest, count } = commits.as_ref();
            (None, *count, newest.iter().map(save_commit).collect())
        }
    };
    SavedRange {
        repository: repository.to_string(),
        from,
        to,
        unknown,
        count,
        newest,
    }
}

fn save_commit(commit: &SourceCommit) -> SavedCommit {
    let SourceCommit {
        id,
        subject,
        author,
    } = commit.clone();
    SavedCommit {
        commit: id.to_string(),
        subject,
        author,
    }
}

pub(in crate::world) fn load(
    saved: SavedRange,
) -> Result<(CommitRange, Fact<Arc<RangeCommits>>), LoadWorldError> {
    let SavedRange {
        repository,
        from,
        to,
        unknown,
        count,
        newest,
    } = saved;
    let range = CommitRange {
        repository: parse(&repository, "a repository's name")?,
        from,
        to,
    };
    if let Some(why) = unknown {
        return Ok((range, Fact::Unknown { why }));
    }
    let newest = newest.into_iter().map(load_commit);
    let newest = newest.collect::<Result<_, _>>()?;
    Ok((range, Fact::Known(Arc::new(RangeCommits { newest, count }))))
}

fn load_commit(saved: SavedCommit) -> Result<SourceCommit, LoadWorldError> {
    let SavedCommit {
        commit,
        subject,
        author,
    } = saved;
    Ok(SourceCommit {
        id: parse(&commit, "a commit")?,
        subject,
        author,
    })
}
