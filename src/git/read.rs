//! Reading files of a commit.
//!
//! Invariant: a symlink is reported, wherever on the path it stands, and never followed.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};

use super::oid;
use super::tree::{self, Cursor, Kind};
use crate::manifest::{CommitId, RepoPath};

/// The largest file that is read. The largest manifests that people keep, rendered custom resources, measure 1 to 2 MiB.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File {
        bytes: Vec<u8>,
    },
    /// It, or a folder on the way to it, is a symlink.
    Symlink,
    Folder,
    /// It, or a folder on the way to it, belongs to another repository.
    Submodule,
    Missing,
    /// A file larger than 4 MiB, which is not read.
    TooLarge {
        size: usize,
    },
}

/// Why a commit could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the mirror has no commit `{commit}`")]
    UnknownCommit { commit: CommitId },
    #[error(
        "failed to read commit `{commit}` in the mirror, which is made anew with the next fetch"
    )]
    Broken {
        commit: CommitId,
        source: git2::Error,
    },
}

impl ReadError {
    /// Why the caller's `commit` itself is not there; what hangs on it is [`ReadError::Broken`].
    pub(super) fn new(commit: &CommitId, source: git2::Error) -> Self {
        let commit = commit.clone();
        if source.code() == ErrorCode::NotFound && source.class() == git2::ErrorClass::Odb {
            return Self::UnknownCommit { commit };
        }
        Self::Broken { commit, source }
    }
}

/// Reads what stands at each of `paths` in `commit`.
pub(super) fn read(
    mirror: &Repository,
    commit: &CommitId,
    paths: Vec<RepoPath>,
) -> Result<BTreeMap<RepoPath, Entry>, ReadError> {
    let found = mirror.find_commit(oid(commit));
    let root = found.map_err(|source| ReadError::new(commit, source))?;
    let broken = |source| ReadError::Broken {
        commit: commit.clone(),
        source,
    };
    let mut reader = Reader::new(mirror).map_err(broken)?;
    let mut entries = BTreeMap::new();
    for path in paths {
        let entry = reader.entry(root.tree_id(), &path).map_err(broken)?;
        entries.insert(path, entry);
    }
    Ok(entries)
}

/// The names of the folders right within `parent` in `commit`; none where there is no such folder. What git keeps by a name that
/// is not UTF-8 is left out.
pub(super) fn folders(
    mirror: &Repository,
    commit: &CommitId,
    parent: &RepoPath,
) -> Result<BTreeSet<String>, ReadError> {
    let found = mirror.find_commit(oid(commit));
    let root = found.map_err(|source| ReadError::new(commit, source))?;
    let broken = |source| ReadError::Broken {
        commit: commit.clone(),
        source,
    };
    let mut reader = Reader::new(mirror).map_err(broken)?;
    let found = reader.find(root.tree_id(), parent).map_err(broken)?;
    let Found::At(Kind::Folder, id) = found else {
        return Ok(BTreeSet::new());
    };
    let folder = folder(&reader.odb, id).map_err(broken)?;
    let folders = tree::slots(&folder, 0).filter(|(_, slot)| slot.kind == Kind::Folder);
    let names = folders.filter_map(|(name, _)| String::from_utf8(name.to_vec()).ok());
    Ok(names.collect())
}

/// What a path leads to.
enum Found {
    At(Kind, Oid),
    /// Something on the way to it is no folder.
    Behind(Kind),
    Nothing,
}

/// Reads objects, and each folder once.
pub(super) struct Reader<'mirror> {
    odb: Odb<'mirror>,
    folders: HashMap<Oid, (Vec<u8>, Cursor)>,
}

impl<'mirror> Reader<'mirror> {
    pub(super) fn new(mirror: &'mirror Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            odb: mirror.odb()?,
            folders: HashMap::new(),
        })
    }

    /// What stands at `path` below the folder `root`.
    pub(super) fn entry(&mut self, root: Oid, path: &RepoPath) -> Result<Entry, git2::Error> {
        match self.find(root, path)? {
            Found::At(Kind::Folder, _) => Ok(Entry::Folder),
            Found::At(Kind::File, id) => self.file(id),
            Found::At(Kind::Symlink, _) | Found::Behind(Kind::Symlink) => Ok(Entry::Symlink),
            Found::At(Kind::Submodule, _) | Found::Behind(Kind::Submodule) => Ok(Entry::Submodule),
            Found::Behind(Kind::File | Kind::Folder) | Found::Nothing => Ok(Entry::Missing),
        }
    }

    fn find(&mut self, root: Oid, path: &RepoPath) -> Result<Found, git2::Error> {
        let (mut kind, mut id) = (Kind::Folder, root);
        for part in path.as_str().split('/').filter(|part| !part.is_empty()) {
            if kind != Kind::Folder {
                return Ok(Found::Behind(kind));
            }
            let (folder, cursor) = self.folder(id)?;
            let Some(slot) = tree::find(folder, part, cursor) else {
                return Ok(Found::Nothing);
            };
            (kind, id) = (slot.kind, slot.id);
        }
        Ok(Found::At(kind, id))
    }

    fn folder(&mut self, id: Oid) -> Result<&mut (Vec<u8>, Cursor), git2::Error> {
        match self.folders.entry(id) {
            hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            hash_map::Entry::Vacant(place) => {
                Ok(place.insert((folder(&self.odb, id)?, Cursor::default())))
            }
        }
    }

    fn file(&self, id: Oid) -> Result<Entry, git2::Error> {
        let (size, _) = self.odb.read_header(id)?;
        if size > FILE_BYTES_MAX {
            return Ok(Entry::TooLarge { size });
        }
        let bytes = self.odb.read(id)?.data().to_vec();
        Ok(Entry::File { bytes })
    }
}

/// The bytes of a folder.
pub(super) fn folder(odb: &Odb<'_>, id: Oid) -> Result<Vec<u8>, git2::Error> {
    let object = odb.read(id)?;
    if object.kind() != ObjectType::Tree {
        return Err(git2::Error::from_str(
            "an object that should be a folder is none",
        ));
    }
    Ok(object.data().to_vec())
}
