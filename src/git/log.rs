//! The history of a branch as its owner sees it: first parents, newest first.

use git2::Repository;
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
    /// Bytes that are not UTF-8 are replaced.
    pub(crate) message: String,
    /// The commit before it on the branch; `None` at the root.
    pub(crate) first_parent: Option<CommitId>,
}

/// Walks from `head` to before `until` or the root, `limit` commits at most.
pub(super) fn log(
    mirror: &Repository,
    (head, until): (&CommitId, Option<&CommitId>),
    limit: usize,
) -> Result<Vec<LoggedCommit>, ReadError> {
    let until = until.map(oid);
    let mut next = Some(oid(head));
    let mut commits = Vec::new();
    while let Some(id) = next.filter(|id| commits.len() < limit && Some(*id) != until) {
        let commit = mirror.find_commit(id).map_err(|source| {
            let unread = commit_id(id);
            if unread == *head {
                return ReadError::new(head, source);
            }
            ReadError::Broken {
                commit: unread,
                source,
            }
        })?;
        next = commit.parent_ids().next();
        commits.push(logged(&commit));
    }
    Ok(commits)
}

fn logged(commit: &git2::Commit<'_>) -> LoggedCommit {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let author = commit.author();
    LoggedCommit {
        id: commit_id(commit.id()),
        // A time that no calendar knows was written by a broken tool; the beginning of time delays nothing.
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        author: Person {
            name: text(author.name_bytes()),
            email: text(author.email_bytes()),
        },
        message: text(commit.message_bytes()),
        first_parent: commit.parent_ids().next().map(commit_id),
    }
}
