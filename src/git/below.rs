//! All files below a folder of a commit.
//!
//! Invariant: regular files only. Symbolic links and submodules are left out, and nothing is told of a folder that holds too much.

use std::collections::BTreeMap;

use git2::{ObjectType, Repository, Tree};

use super::oid;
use super::read::ReadError;
use crate::manifest::{CommitId, RepoPath};

/// How much may stand below a folder for us to tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// What stands below a folder; `None` where that is too much.
pub(crate) type Below = Option<BTreeMap<RepoPath, Vec<u8>>>;

/// The mode of a regular file, without its permissions. A link is none.
const REGULAR: i32 = 0o100_000;

/// Most folders, links and submodules among them: five for each file that is read at most. Folders within folders may be one tree
/// over and over, which is small to keep and has no end to walk.
const OTHERS_MAX: usize = 10_000;

/// Longest path, in bytes, so that folders are at most 512 deep: a quarter of what Linux takes.
const PATH_BYTES_MAX: usize = 1_024;

/// Reads all files below `folder` in `commit`; there are none where it is no folder.
pub(super) fn below(
    mirror: &Repository,
    (commit, folder): (&CommitId, &RepoPath),
    most: Most,
) -> Result<Below, ReadError> {
    let found = mirror.find_commit(oid(commit));
    let found = found.map_err(|source| ReadError::new(commit, source))?;
    let read = || {
        let mut tree = found.tree()?;
        for part in folder.as_str().split('/').filter(|part| !part.is_empty()) {
            let entry = tree.get_name(part).map(|entry| (entry.id(), entry.kind()));
            let Some((id, Some(ObjectType::Tree))) = entry else {
                return Ok(Some(BTreeMap::new()));
            };
            tree = mirror.find_tree(id)?;
        }
        let mut reader = Reader {
            mirror,
            left: most,
            others_left: OTHERS_MAX,
            files: BTreeMap::new(),
        };
        let is_whole = reader.take(folder.as_str(), &tree)?;
        Ok(is_whole.then_some(reader.files))
    };
    read().map_err(|source| ReadError::Broken {
        commit: commit.clone(),
        source,
    })
}

struct Reader<'mirror> {
    mirror: &'mirror Repository,
    left: Most,
    others_left: usize,
    files: BTreeMap<RepoPath, Vec<u8>>,
}

impl Reader<'_> {
    /// Takes in what is below `folder`; `false` where that is too much.
    fn take(&mut self, folder: &str, tree: &Tree<'_>) -> Result<bool, git2::Error> {
        for entry in tree {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                continue;
            };
            let path = match folder {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            if path.len() > PATH_BYTES_MAX {
                return Ok(false);
            }
            // A path that is written otherwise than it is read back would be another path.
            let Some(path) = path
                .parse()
                .ok()
                .filter(|parsed: &RepoPath| parsed.as_str() == path)
            else {
                continue;
            };
            let is_regular = entry.filemode() & 0o170_000 == REGULAR;
            let kind = entry.kind();
            let fits = match kind {
                Some(ObjectType::Blob) if is_regular => self.take_file(path, entry.id())?,
                Some(_) | None => match self.others_left.checked_sub(1) {
                    Some(left) => {
                        self.others_left = left;
                        kind != Some(ObjectType::Tree)
                            || self.take(path.as_str(), &self.mirror.find_tree(entry.id())?)?
                    }
                    None => false,
                },
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_file(&mut self, path: RepoPath, id: git2::Oid) -> Result<bool, git2::Error> {
        let odb = self.mirror.odb()?;
        let (size, _) = odb.read_header(id)?;
        let left = &mut self.left;
        let (Some(files), Some(bytes)) = (left.files.checked_sub(1), left.bytes.checked_sub(size))
        else {
            return Ok(false);
        };
        (left.files, left.bytes) = (files, bytes);
        self.files.insert(path, odb.read(id)?.data().to_vec());
        Ok(true)
    }
}
