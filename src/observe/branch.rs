//! Reads what stands at the head of a branch: the wanted files, and what the history tells of promotions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{Sources, whole_message};
use crate::config;
use crate::git::{Entry, History, LoggedCommit, Mirror, ReadError};
use crate::ledger::{self, HOLDS_FILE, Hold, Ledger};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::RepositoryName;
use crate::world::{Ancestry, BranchFacts, Fact, File};

/// How far back the history is read: some years of a busy manifests repository (30 commits a day), and well
/// under a second of reading. What is older counts as never promoted by us.
pub(crate) const HISTORY_LENGTH_MAX: usize = 30_000;

/// How a pointer of Git LFS begins: <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md#the-pointer>.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

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
            holds: Fact::Known(Vec::new()),
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
    let holds_file = holds_file();
    let mut paths: Vec<RepoPath> = wanted.iter().cloned().collect();
    paths.push(holds_file.clone());
    let mut entries = mirror.read(head.clone(), paths).await?;
    let holds = match wanted.contains(&holds_file) {
        true => entries.get(&holds_file).cloned(),
        false => entries.remove(&holds_file),
    };
    let holds = holds.map_or(Fact::Known(Vec::new()), |entry| read_holds(file(entry)));
    let files = entries.into_iter();
    let known = |path: &RepoPath| before?.files.get(path).cloned();
    let files = files.map(|(path, entry)| {
        let read = file(entry);
        // The text that was known, where it is the same: what was made of it is known again by that.
        let kept = known(&path).filter(|known| *known == read);
        (path, kept.unwrap_or(read))
    });
    let files = files.collect();
    let ledger = read_ledger(mirror, (branch, &head), before).await?;
    Ok(BranchFacts {
        head: Some(head),
        files,
        ledger,
        holds,
    })
}

/// Where the holds of a manifests repository stand.
pub(crate) fn holds_file() -> RepoPath {
    HOLDS_FILE.parse().expect("it is a path below the root")
}

/// What people decided, or what is wrong with the file: then nobody knows.
fn read_holds(file: File) -> Fact<Vec<Hold>> {
    let why = match file {
        File::Missing => return Fact::Known(Vec::new()),
        File::Text(text) => match config::holds(Path::new(HOLDS_FILE), &text) {
            Ok(holds) => return Fact::Known(holds),
            Err(problems) => problems.in_short(),
        },
        File::NotUtf8 => format!("`{HOLDS_FILE}` is not UTF-8"),
        File::Symlink => {
            format!("`{HOLDS_FILE}` is or stands behind a symbolic link, which is never followed")
        }
        File::LfsPointer => {
            format!("`{HOLDS_FILE}` is a pointer of Git LFS; keep it in git itself")
        }
        File::Folder | File::Submodule => format!("`{HOLDS_FILE}` is not a file"),
        File::TooLarge { size_bytes } => {
            format!("`{HOLDS_FILE}` is too large to read: {size_bytes} bytes")
        }
    };
    Fact::Unknown { why }
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
        (History::Cut(commits), _) => (Ledger::of_a_part(), commits),
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
        Entry::File { bytes } if bytes.starts_with(LFS_POINTER) => File::LfsPointer,
        Entry::File { bytes } => match String::from_utf8(bytes) {
            Ok(text) => File::Text(text.into()),
            Err(_) => File::NotUtf8,
        },
        Entry::Symlink => File::Symlink,
        Entry::Folder => File::Folder,
        Entry::Submodule => File::Submodule,
        Entry::Missing => File::Missing,
        Entry::TooLarge { size } => File::TooLarge { size_bytes: size },
    }
}

/// Most answers about the ancestry of commits that are kept: of 200 bytes each this is 800 KB; then they are asked again, of the
/// mirror.
const ANCESTRY_MAX: usize = 4096;

impl Sources {
    /// Forgets of which commits of `repository` it was not known that they have others behind them: Argo CD may have had a commit
    /// before it was fetched here.
    pub(super) fn doubt_ancestry(&self, repository: &RepositoryName) {
        let is_sure = |ancestry: &Ancestry, fact: &mut Fact<bool>| {
            ancestry.repository != *repository || *fact == Fact::Known(true)
        };
        self.readings().ancestry.retain(is_sure);
    }

    /// Asks the mirror whether one commit has another behind it, and keeps the answer, which cannot change.
    pub(super) async fn ask_ancestry(&self, ancestry: Ancestry) {
        let Ancestry {
            repository,
            ancestor,
            descendant,
        } = &ancestry;
        let ends = (descendant.to_string(), ancestor.to_string());
        let fact = match self.mirrors[repository].range(ends, 0).await {
            Ok(Some(range)) => Fact::Known(range.count == 0),
            // One that the branches never had, or that lies before what the mirror keeps.
            Ok(None) => Fact::Known(false),
            Err(error) => Fact::Unknown {
                why: whole_message(&error, None::<&str>),
            },
        };
        let mut readings = self.readings();
        if readings.ancestry.len() >= ANCESTRY_MAX {
            readings.ancestry.clear();
        }
        readings.ancestry.insert(ancestry, fact);
    }
}

#[cfg(test)]
mod tests {
    use super::file;
    use crate::git::Entry;
    use crate::world::File;

    #[test]
    fn a_pointer_of_git_lfs_is_no_text_and_a_text_that_names_one_is() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 12\n";
        let read = |text: &str| {
            let bytes = text.as_bytes().to_vec();
            file(Entry::File { bytes })
        };
        assert_eq!(read(pointer), File::LfsPointer);
        let names_one = format!("# {pointer}");
        assert_eq!(read(&names_one), File::Text(names_one.into()));
        assert_eq!(file(Entry::Submodule), File::Submodule);
    }
}
