//! The history of a branch: every commit that it holds, the later before the earlier.
//!
//! Not the first parents alone: whoever pulls before pushing makes a merge whose first parent is his own line, and what
//! was pushed meanwhile stands on the other.

use git2::{Oid, Repository, Sort};
use jiff::Timestamp;

use super::push::Person;
use super::read::ReadError;
use super::{commit_id, oid};
use crate::manifest::CommitId;

/// A commit of a branch's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedCommit {
    pub(crate) id: CommitId,
    /// When it was committed.
    pub(crate) time: Timestamp,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    /// The first is the line that the others were merged into.
    pub(crate) parents: Vec<CommitId>,
    /// Bytes that are not UTF-8 are replaced.
    pub(crate) message: String,
}

/// What a branch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// The commits that came since the one that the caller knows, newest first.
    Since(Vec<LoggedCommit>),
    /// All commits, newest first: the branch does not hold the one that the caller knows, or he knows none.
    Whole(Vec<LoggedCommit>),
}

/// Walks from `head` to what `known` holds, or to the root, `limit` commits at most.
pub(super) fn log(
    mirror: &Repository,
    (head, known): (&CommitId, Option<&CommitId>),
    limit: usize,
) -> Result<History, ReadError> {
    mirror
        .find_commit(oid(head))
        .map_err(|source| ReadError::new(head, source))?;
    let broken = |source| ReadError::Broken {
        commit: head.clone(),
        source,
    };
    let is_held = |known: &Oid| {
        // A commit that the mirror does not even have is in no history.
        *known == oid(head)
            || mirror
                .graph_descendant_of(oid(head), *known)
                .unwrap_or(false)
    };
    let known = known.map(oid).filter(is_held);
    let mut walk = mirror.revwalk().map_err(broken)?;
    // A commit is met after those that were made on it, and lines that run side by side by their time.
    walk.set_sorting(Sort::TIME).map_err(broken)?;
    walk.push(oid(head)).map_err(broken)?;
    if let Some(known) = known {
        walk.hide(known).map_err(broken)?;
    }
    let mut commits = Vec::new();
    for id in walk.take(limit) {
        let commit = mirror.find_commit(id.map_err(broken)?).map_err(broken)?;
        commits.push(logged(&commit));
    }
    Ok(match known {
        Some(_) => History::Since(commits),
        None => History::Whole(commits),
    })
}

pub(super) fn logged(commit: &git2::Commit<'_>) -> LoggedCommit {
    LoggedCommit {
        id: commit_id(commit.id()),
        // A time that no calendar knows was written by a broken tool; the beginning of time delays nothing.
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        parents: commit.parent_ids().map(commit_id).collect(),
        message: text(commit.message_bytes()),
    }
}

fn person(signature: &git2::Signature<'_>) -> Person {
    Person {
        name: text(signature.name_bytes()),
        email: text(signature.email_bytes()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
