//! Makes the commits of one branch and pushes them: makes them here, or lets the forge make and sign them.
//!
//! A forge moves no branch of ours: git does, by the same compare-and-swap, after it looked at what was made. Killed between
//! the two, nothing has happened that anybody sees, and the next round makes the same commits again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{MadeBy, Places, Signature};
use crate::forge::{self, Chain, Forge, ForgeError, Made, NewFile};
use crate::git::{
    Deleted, FetchError, MadeCommit, Maker, Mirror, NewCommit, Push, PushError, Pushed, ReadError,
};
use crate::manifest::{CommitId, RepoPath};
use crate::plan::PlannedCommit;
use crate::world::BranchName;

/// What the branches are called on which a forge makes commits, for the moment. They are none of the proposals.
const SIGNING_PREFIX: &str = "towpath-signing/";

/// Why a branch was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("the forge made no signed commit for `{branch}`")]
    Make { branch: String, source: ForgeError },
    #[error("failed to fetch the signed commit for `{branch}`")]
    Fetch { branch: String, source: FetchError },
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl WriteError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Push(error) => error.hint(),
            Self::Make { source, .. } => source.hint(),
            Self::Fetch { source, .. } => source.hint(),
            Self::Read(_) => None,
        }
    }
}

/// Where a branch stands, and what its first new commit is made on.
pub(super) struct Ground {
    /// `None` where there is no branch.
    pub(super) expected: Option<CommitId>,
    pub(super) parent: CommitId,
}

/// What became of a branch.
pub(super) enum Written {
    /// It holds these commits now.
    Done { ids: Vec<CommitId> },
    /// It does not stand where it must.
    Moved,
    /// We may not write.
    Withheld,
}

/// Makes `commits` and moves the branch to them, if it stands where it must and we may, which is asked again when all is ready.
pub(super) async fn write(
    head: &BranchName,
    ground: Ground,
    commits: &[PlannedCommit],
    places: Places<'_>,
) -> Result<Written, WriteError> {
    if !(places.may_write)() {
        return Ok(Written::Withheld);
    }
    let mirror = &places.mirrors[&head.repository];
    let Signature {
        author,
        committer,
        made_by,
    } = places.signature;
    let makers = match made_by {
        MadeBy::Us => {
            let us = Maker::Us {
                author: author.clone(),
                committer: committer.clone(),
                time: places.now,
            };
            vec![us; commits.len()]
        }
        MadeBy::Forge => {
            let forge = places.forges.get(&head.repository);
            let forge = forge.expect("settings are refused where no forge signs");
            let made = made((mirror, forge), &head.branch, &ground.parent, commits).await?;
            made.into_iter().map(Maker::Them).collect()
        }
    };
    let new = |(commit, maker): (&PlannedCommit, Maker)| NewCommit {
        message: commit.message.clone(),
        maker,
        files: texts(commit)
            .map(|(path, text)| (path.clone(), text.as_bytes().to_vec()))
            .collect(),
    };
    let push = Push {
        branch: head.branch.clone(),
        expected: ground.expected,
        parent: ground.parent,
        commits: commits.iter().zip(makers).map(new).collect(),
        options: Vec::new(),
    };
    if !(places.may_write)() {
        return Ok(Written::Withheld);
    }
    Ok(match mirror.push(push).await? {
        Pushed::Done { ids } => Written::Done { ids },
        Pushed::Moved { head: _ } => Written::Moved,
    })
}

/// Lets `forge` make `commits` on `parent`, for `branch`.
async fn made(
    (mirror, forge): (&Mirror, &Forge),
    branch: &str,
    parent: &CommitId,
    commits: &[PlannedCommit],
) -> Result<Vec<MadeCommit>, WriteError> {
    let paths: BTreeSet<RepoPath> = commits
        .iter()
        .flat_map(|commit| commit.files.keys().cloned())
        .collect();
    let executables = mirror.executables(parent.clone(), paths).await?;
    let new = |commit: &PlannedCommit| {
        let files = texts(commit).map(|(path, text)| {
            let file = NewFile {
                text: text.clone(),
                is_executable: executables.contains(path),
            };
            (path.clone(), file)
        });
        forge::NewCommit {
            message: commit.message.clone(),
            files: files.collect(),
        }
    };
    let chain = Chain {
        parent: parent.clone(),
        commits: commits.iter().map(new).collect(),
        branch: format!("{SIGNING_PREFIX}{}", branch.replace('/', "-")),
    };
    let made = forge.make_commits(&chain).await;
    match made.map_err(|source| WriteError::Make {
        branch: branch.to_owned(),
        source,
    })? {
        Made::Told(all) => {
            let parts = |forge::Signed {
                             id,
                             payload,
                             signature,
                         }| MadeCommit::Parts {
                id,
                payload,
                signature,
            };
            Ok(all.into_iter().map(parts).collect())
        }
        Made::OnBranch(ids) => {
            let taken = take(mirror, &chain.branch, ids).await?;
            Ok(taken.into_iter().map(MadeCommit::Whole).collect())
        }
    }
}

/// Fetches the commits `ids` from the branch on which a forge made them, and deletes it: what is pushed holds all of them.
async fn take(
    mirror: &Mirror,
    branch: &str,
    ids: Vec<CommitId>,
) -> Result<Vec<Vec<u8>>, WriteError> {
    let fetched = mirror.fetch(&[branch.to_owned()], &[]).await;
    fetched.map_err(|source| WriteError::Fetch {
        branch: branch.to_owned(),
        source,
    })?;
    let tip = ids.last().cloned();
    let raw = mirror.raw(ids).await?;
    if let Some(tip) = tip {
        match mirror.delete(branch.to_owned(), tip).await {
            Ok(Deleted::Done) => {}
            Ok(Deleted::Moved { .. }) => {
                tracing::warn!(branch, "somebody else writes to a branch for signing");
            }
            Err(error) => {
                tracing::warn!(
                    branch,
                    error = &error as &dyn std::error::Error,
                    "a branch for signing stays; the next commit takes its place"
                );
            }
        }
    }
    Ok(raw)
}

/// What the files of a commit are to say.
fn texts(commit: &PlannedCommit) -> impl Iterator<Item = (&RepoPath, &Arc<str>)> {
    commit.files.iter().map(|(path, file)| (path, &file.after))
}
