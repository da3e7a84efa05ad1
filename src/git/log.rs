//! The history of a branch: every commit that it holds, the later before the earlier.
//!
//! Not the first parents alone: whoever pulls before pushing makes a merge whose first parent is his own line, and what
//! was pushed meanwhile stands on the other.

use std::collections::{BinaryHeap, HashSet};

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
    /// The newest of all commits: there are older ones that the mirror does not keep, or that are more than was asked for.
    Cut(Vec<LoggedCommit>),
}

/// What one commit holds and another does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Newest first, and not all where there are many.
    pub(crate) newest: Vec<LoggedCommit>,
    pub(crate) count: usize,
}

/// The commits that `to` holds and `from` does not; both are names or the starts of names. `None` where either names no commit
/// of the mirror, or several.
pub(super) fn range(
    mirror: &Repository,
    (from, to): (&str, &str),
    limit: usize,
) -> Result<Option<Range>, ReadError> {
    let named = |name: &str| mirror.find_commit_by_prefix(name).ok();
    let (Some(from), Some(to)) = (named(from), named(to)) else {
        return Ok(None);
    };
    let walked = || {
        // libgit2 keeps what a handle read as long as that lives.
        let handle = Repository::open_bare(mirror.path())?;
        let mut walk = handle.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        walk.push(to.id())?;
        walk.hide(from.id())?;
        let (mut newest, mut count) = (Vec::new(), 0);
        for id in walk {
            count += 1;
            let id = id?;
            if count <= limit {
                newest.push(logged(&handle.find_commit(id)?));
            }
        }
        Ok(Range { newest, count })
    };
    let range = walked().map_err(|source| ReadError::Broken {
        commit: commit_id(to.id()),
        source,
    });
    range.map(Some)
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
    if mirror.is_shallow() {
        return log_shallow(mirror, (head, known), limit).map_err(broken);
    }
    let is_held = |known: &Oid| {
        // A commit that the mirror does not even have is in no history.
        *known == oid(head)
            || mirror
                .graph_descendant_of(oid(head), *known)
                .unwrap_or(false)
    };
    let known = known.map(oid).filter(is_held);
    let mut walk = mirror.revwalk().map_err(broken)?;
    // A commit is met after those that were made on it, whatever clocks said, and lines that run side by side by their time.
    let sorting = Sort::TOPOLOGICAL | Sort::TIME;
    walk.set_sorting(sorting).map_err(broken)?;
    walk.push(oid(head)).map_err(broken)?;
    if let Some(known) = known {
        walk.hide(known).map_err(broken)?;
    }
    let mut commits = Vec::new();
    for id in walk.by_ref().take(limit) {
        let commit = mirror.find_commit(id.map_err(broken)?).map_err(broken)?;
        commits.push(logged(&commit));
    }
    Ok(match known {
        Some(_) => History::Since(commits),
        None if walk.next().is_some() => History::Cut(commits),
        None => History::Whole(commits),
    })
}

/// The same of a mirror that keeps a part of the history, which libgit2 cannot walk.
fn log_shallow(
    mirror: &Repository,
    (head, known): (&CommitId, Option<&CommitId>),
    limit: usize,
) -> Result<History, git2::Error> {
    let (mut commits, is_whole) = walk(mirror, head)?;
    let known = known.filter(|known| commits.iter().any(|commit| commit.id == **known));
    if let Some(known) = known {
        let (old, _) = walk(mirror, known)?;
        let old: HashSet<CommitId> = old.into_iter().map(|commit| commit.id).collect();
        commits.retain(|commit| !old.contains(&commit.id));
    }
    let fits = commits.len() <= limit;
    commits.truncate(limit);
    Ok(match known {
        Some(_) => History::Since(commits),
        None if is_whole && fits => History::Whole(commits),
        None => History::Cut(commits),
    })
}

/// All that the mirror has of the history of `head`, newest first, and whether that is all there is.
fn walk(mirror: &Repository, head: &CommitId) -> Result<(Vec<LoggedCommit>, bool), git2::Error> {
    let (mut commits, mut is_whole) = (Vec::new(), true);
    let mut met = HashSet::from([oid(head)]);
    let mut waiting = BinaryHeap::from([(i64::MAX, oid(head))]);
    while let Some((_, id)) = waiting.pop() {
        let commit = logged(&mirror.find_commit(id)?);
        for parent in &commit.parents {
            match mirror.find_commit(oid(parent)) {
                Ok(parent) if met.insert(parent.id()) => {
                    waiting.push((parent.time().seconds(), parent.id()));
                }
                Ok(_) => {}
                Err(_) => is_whole = false,
            }
        }
        commits.push(commit);
    }
    Ok((commits, is_whole))
}

/// Whether the mirror keeps a commit.
pub(super) fn has(mirror: &Repository, commit: &CommitId) -> bool {
    mirror.find_commit(oid(commit)).is_ok()
}

pub(super) fn logged(commit: &git2::Commit<'_>) -> LoggedCommit {
    LoggedCommit {
        id: commit_id(commit.id()),
        // A time that no calendar knows was written by a broken tool; the beginning of time delays nothing.
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        parents: parents(commit),
        message: text(commit.message_bytes()),
    }
}

/// The parents as they are written in the commit: at the end of what a mirror keeps, libgit2 tells none.
fn parents(commit: &git2::Commit<'_>) -> Vec<CommitId> {
    let header = text(commit.raw_header_bytes());
    let lines = header
        .lines()
        .take_while(|line| !line.starts_with("author "));
    let parents = lines.filter_map(|line| line.strip_prefix("parent "));
    parents.filter_map(|id| id.parse().ok()).collect()
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
