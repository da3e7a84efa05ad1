//! Reads what stands at the head of a branch: the wanted files, and what the history tells of promotions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::whole_message;
use crate::git::{Entry, History, LoggedCommit, Mirror, ReadError};
use crate::ledger::{self, Ledger};
use crate::manifest::{CommitId, RepoPath};
use crate::world::{BranchFacts, Fact, File};

/// How far back the history is read: some years of a busy manifests repository (30 commits a day), and well
/// under a second of reading. What is older counts as never promoted by us.
const HISTORY_LENGTH_MAX: usize = 30_000;

/// Reads the branch at `head`. What `before` already knows is not read again.
pub(super) async fn read(
    mirror: &Mirror,
    (branch, head): (&str, Option<CommitId>),
    wanted: &BTreeSet<RepoPath>,
    before: Option<Arc<BranchFacts>>,
) -> Fact<Arc<BranchFacts>> {
    if let Some(before) = &before
        && before.head == head
        && before.files.keys().eq(wanted)
    {
        return Fact::Known(before.clone());
    }
    let Some(head) = head else {
        return Fact::Known(Arc::new(BranchFacts {
            head: None,
            files: BTreeMap::new(),
            ledger: Ledger::default(),
        }));
    };
    match read_at(mirror, (branch, head), wanted, before.as_deref()).await {
        Ok(facts) => Fact::Known(Arc::new(facts)),
        Err(error) => Fact::Unknown {
            why: whole_message(&error, None::<&str>),
        },
    }
}

async fn read_at(
    mirror: &Mirror,
    (branch, head): (&str, CommitId),
    wanted: &BTreeSet<RepoPath>,
    before: Option<&BranchFacts>,
) -> Result<BranchFacts, ReadError> {
    let files = mirror
        .read(head.clone(), wanted.iter().cloned().collect())
        .await?;
    let files = files
        .into_iter()
        .map(|(path, entry)| (path, file(entry)))
        .collect();
    let ledger = read_ledger(mirror, (branch, &head), before).await?;
    Ok(BranchFacts {
        head: Some(head),
        files,
        ledger,
    })
}

/// Adds the promotions since `before` to its ledger, or reads the history anew where it was rewritten.
async fn read_ledger(
    mirror: &Mirror,
    (branch, head): (&str, &CommitId),
    before: Option<&BranchFacts>,
) -> Result<Ledger, ReadError> {
    let known = before.and_then(|before| before.head.clone());
    let history = mirror.log(head.clone(), known, HISTORY_LENGTH_MAX).await?;
    let (mut ledger, news) = match (history, before) {
        (History::Since(news), Some(before)) => (before.ledger.clone(), news),
        (History::Since(commits), None) | (History::Whole(commits), _) => {
            (Ledger::default(), commits)
        }
    };
    let news: Vec<ledger::Commit> = news.into_iter().map(told).collect();
    ledger.read(branch, &news);
    Ok(ledger)
}

/// A commit as the ledger reads it.
pub(crate) fn told(commit: LoggedCommit) -> ledger::Commit {
    let LoggedCommit {
        id,
        time,
        author,
        committer,
        parents,
        message,
    } = commit;
    ledger::Commit {
        id,
        parents,
        time,
        author: author.name,
        committer: committer.name,
        message,
    }
}

pub(super) fn file(entry: Entry) -> File {
    match entry {
        Entry::File { bytes } => match String::from_utf8(bytes) {
            Ok(text) => File::Text(text.into()),
            Err(_) => File::NotUtf8,
        },
        Entry::Symlink => File::Symlink,
        Entry::Folder | Entry::Submodule => File::FolderOrSubmodule,
        Entry::Missing => File::Missing,
        Entry::TooLarge { size } => File::TooLarge { size_bytes: size },
    }
}
