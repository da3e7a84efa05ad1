//! The folder of a mirror: `lock`, and `mirror.git`, a bare repository that may be thrown away at any time.
//!
//! Not here: what is fetched into it (`fetch`).
//! Invariant: one process uses a folder, and what stands in it is a sound mirror of the address in the settings, or goes.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use git2::Repository;

use super::http::ClientError;
use super::remote::Kept;

/// Why a mirror cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the mirror in `{}` is in use by another process", folder.display())]
    InUse { folder: PathBuf },
    #[error("failed to make the folder of the mirror, `{}`", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("failed to make a mirror in `{}`", folder.display())]
    Git {
        folder: PathBuf,
        source: git2::Error,
    },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("failed to start the thread of the mirror")]
    Thread { source: io::Error },
}

impl OpenError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => {
                Some("the daemon, perhaps; give this run a folder of its own with `--cache`")
            }
            Self::Folder { .. } | Self::Git { .. } | Self::Client(_) | Self::Thread { .. } => None,
        }
    }
}

/// A mirror's folder, held by this process.
pub(super) struct Store {
    folder: PathBuf,
    /// What the mirror is of, as its folder says too.
    address: String,
    kept: Kept,
    /// Held, not read: the lock ends with the file.
    _lock: File,
}

impl Store {
    /// Takes the folder for the mirror of `address`.
    pub(super) fn take(folder: PathBuf, address: String, kept: Kept) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder {
            folder: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder,
                address,
                kept,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder }),
            Err(TryLockError::Error(source)) => Err(OpenError::Folder { folder, source }),
        }
    }

    /// Opens the mirror that stands there if it is sound, or starts an empty one.
    pub(super) fn open(&self) -> Result<Repository, OpenError> {
        let path = self.folder.join("mirror.git");
        let ours = std::fs::read_to_string(path.join("towpath"));
        if ours.is_ok_and(|address| address == self.address) {
            match open_sound(&path, self.kept) {
                Ok(repository) => return Ok(repository),
                Err(error) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "the mirror is broken and is made anew");
                }
            }
        }
        self.renew()
    }

    /// Throws away what stands there and starts an empty mirror.
    pub(super) fn renew(&self) -> Result<Repository, OpenError> {
        let path = self.folder.join("mirror.git");
        let failed = |source| OpenError::Folder {
            folder: self.folder.clone(),
            source,
        };
        remove(&path).map_err(failed)?;
        let repository = Repository::init_bare(&path).map_err(|source| OpenError::Git {
            folder: self.folder.clone(),
            source,
        })?;
        std::fs::write(path.join("towpath"), &self.address).map_err(failed)?;
        Ok(repository)
    }
}

/// Opens a mirror and reads the head of each branch and its root folder, which a cut or foreign mirror does not survive.
fn open_sound(path: &Path, kept: Kept) -> Result<Repository, git2::Error> {
    let repository = Repository::open_bare(path)?;
    for reference in repository.references()? {
        let head = reference?.peel_to_commit()?;
        match kept {
            Kept::Everything => drop(head.tree()?),
            Kept::Commits => {}
        }
    }
    remove_leftovers(&path.join("objects/pack"));
    Ok(repository)
}

/// Removes what a process that was killed left of a pack: only a pack with its index is one.
fn remove_leftovers(packs: &Path) {
    for entry in std::fs::read_dir(packs).into_iter().flatten().flatten() {
        let path = entry.path();
        let other = match path.extension().and_then(OsStr::to_str) {
            Some("pack") => "idx",
            Some("idx") => "pack",
            Some(_) | None => "",
        };
        if other.is_empty() || !path.with_extension(other).exists() {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
