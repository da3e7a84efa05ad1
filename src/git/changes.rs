//! What one commit changes against its first parent.
//!
//! Invariant: what is told of a path is how the commit has it; nothing is told of a commit that changes too much.

use std::collections::BTreeMap;

use git2::{Diff, DiffOptions, Repository};

use super::log::{LoggedCommit, has, logged};
use super::oid;
use super::push::Person;
use super::read::{Entry, ReadError, Reader};
use crate::manifest::{CommitId, RepoPath};

/// How many paths a commit may change for us to tell of them: 2,000 environments with five files each.
const CHANGED_PATHS_MAX: usize = 10_000;

/// What the files that a commit changes may measure together: as many manifests of 6 kB.
const CHANGED_BYTES_MAX: usize = 64 << 20;

/// A commit, and what stands in it at each path that it changes against its first parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) parents: Vec<CommitId>,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    /// Bytes that are not UTF-8 are replaced.
    pub(crate) message: String,
    /// [`Entry::Missing`] is a deleted file. Of a merge: all that it brings to the first parent.
    pub(crate) files: BTreeMap<RepoPath, Entry>,
}

/// Why it is not told what a commit changes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangesError {
    #[error(transparent)]
    Read(ReadError),
    #[error("commit `{commit}` changes {count} files, more than {CHANGED_PATHS_MAX}")]
    TooMany { commit: CommitId, count: usize },
    #[error("the files that commit `{commit}` changes measure more than {CHANGED_BYTES_MAX} bytes")]
    TooLarge { commit: CommitId },
    #[error(
        "what commit `{commit}` changes is not known: the commit before it is older than `depth` keeps"
    )]
    Cut { commit: CommitId },
    #[error("commit `{commit}` changes `{path}`, which is no path that a manifest can have")]
    Path { commit: CommitId, path: String },
}

/// Tells of `commit`, which was fetched or pushed before.
pub(super) fn changes(mirror: &Repository, commit: &CommitId) -> Result<Changed, ChangesError> {
    let found = mirror.find_commit(oid(commit));
    let found = found.map_err(|source| ChangesError::Read(ReadError::new(commit, source)))?;
    let LoggedCommit {
        id: _,
        time: _,
        author,
        committer,
        parents,
        message,
    } = logged(&found);
    let broken = |source| {
        let commit = commit.clone();
        ChangesError::Read(ReadError::Broken { commit, source })
    };
    let before = parents.first();
    if before.is_some_and(|before| !has(mirror, before)) {
        let commit = commit.clone();
        return Err(ChangesError::Cut { commit });
    }
    let diff = diff(mirror, (before, &found)).map_err(broken)?;
    let mut reader = Reader::new(mirror).map_err(broken)?;
    let (mut files, mut total) = (BTreeMap::new(), 0);
    for path in paths(&diff, commit)? {
        let entry = reader.entry(found.tree_id(), &path).map_err(broken)?;
        if let Entry::File { bytes } = &entry {
            total += bytes.len();
        }
        if total > CHANGED_BYTES_MAX {
            let commit = commit.clone();
            return Err(ChangesError::TooLarge { commit });
        }
        files.insert(path, entry);
    }
    Ok(Changed {
        parents,
        author,
        committer,
        message,
        files,
    })
}

/// Where `commit` differs from its first parent; a root differs from nothing in all that it has.
fn diff<'mirror>(
    mirror: &'mirror Repository,
    (before, commit): (Option<&CommitId>, &git2::Commit<'_>),
) -> Result<Diff<'mirror>, git2::Error> {
    let before = match before {
        Some(before) => Some(mirror.find_commit(oid(before))?.tree()?),
        None => None,
    };
    let mut options = DiffOptions::new();
    options.include_typechange(true);
    mirror.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), Some(&mut options))
}

fn paths(diff: &Diff<'_>, commit: &CommitId) -> Result<Vec<RepoPath>, ChangesError> {
    let count = diff.deltas().len();
    if count > CHANGED_PATHS_MAX {
        let commit = commit.clone();
        return Err(ChangesError::TooMany { commit, count });
    }
    let path = |delta: git2::DiffDelta<'_>| {
        let bytes = delta.new_file().path_bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        // A path that is written otherwise than it is read back would be another path.
        let path = text
            .parse()
            .ok()
            .filter(|path: &RepoPath| path.as_str().as_bytes() == bytes);
        path.ok_or_else(|| ChangesError::Path {
            commit: commit.clone(),
            path: text.into_owned(),
        })
    };
    diff.deltas().map(path).collect()
}
