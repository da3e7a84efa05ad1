//! Reads what stands at the head of a branch: the wanted files, and what the history tells of promotions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::whole_message;
use crate::git::{Entry, History, LoggedCommit, Mirror, ReadError};
use crate::ledger::{Ledger, Promotion};
use crate::manifest::{CommitId, RepoPath};
use crate::world::{BranchFacts, Fact, File};

/// How far back the history is read: some years of a busy manifests repository (30 commits a day), and well
/// under a second of reading. What is older counts as never promoted by us.
const HISTORY_LENGTH_MAX: usize = 30_000;

/// Reads the branch at `head`. What `before` already knows is not read again.
pub(super) async fn read(
    mirror: &Mirror,
    head: Option<CommitId>,
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
    match read_at(mirror, head, wanted, before.as_deref()).await {
        Ok(facts) => Fact::Known(Arc::new(facts)),
        Err(error) => Fact::Unknown {
            why: whole_message(&error, None::<&str>),
        },
    }
}

async fn read_at(
    mirror: &Mirror,
    head: CommitId,
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
    let ledger = read_ledger(mirror, &head, before).await?;
    Ok(BranchFacts {
        head: Some(head),
        files,
        ledger,
    })
}

/// Adds the promotions since `before` to its ledger, or reads the history anew where it was rewritten.
async fn read_ledger(
    mirror: &Mirror,
    head: &CommitId,
    before: Option<&BranchFacts>,
) -> Result<Ledger, ReadError> {
    let known = before.and_then(|before| before.head.clone());
    let history = mirror.log(head.clone(), known, HISTORY_LENGTH_MAX).await?;
    Ok(match (history, before) {
        (History::Since(news), Some(before)) => recorded(before.ledger.clone(), news),
        (History::Since(commits), None) | (History::Whole(commits), _) => {
            recorded(Ledger::default(), commits)
        }
    })
}

/// `ledger` with the promotions among `commits`, which come newest first.
fn recorded(mut ledger: Ledger, commits: Vec<LoggedCommit>) -> Ledger {
    for commit in commits.into_iter().rev() {
        if let Some(promotion) = Promotion::read(&commit.message) {
            ledger.record(commit.id, commit.time, promotion);
        }
    }
    ledger
}

fn file(entry: Entry) -> File {
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
