//! Which files are read: the settings, and the policies that they name.
//!
//! Names that start with `.` are left out: a Kubernetes ConfigMap keeps its versions in `..data`, to which
//! the visible files are links.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Largest file, in bytes: a policy has about 1 kB, so this is 4,000 of them.
const FILE_SIZE_MAX: u64 = 4 * 1024 * 1024;

/// Most files: ten times the largest fleet we were told of, one file per policy.
const FILES_MAX: usize = 10_000;

/// Deepest folder below one that the settings name.
const DEPTH_MAX: usize = 16;

/// Why a file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("there is no file or folder `{}`", path.display())]
    Missing { path: PathBuf },
    #[error("failed to read `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is larger than {bytes_max} bytes", path.display())]
    TooLarge { path: PathBuf, bytes_max: u64 },
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("`{}` holds more than {FILES_MAX} files", path.display())]
    TooMany { path: PathBuf },
    #[error("`{}` lies deeper than {DEPTH_MAX} folders", path.display())]
    TooDeep { path: PathBuf },
}

impl ReadError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Unreadable { path, source },
        }
    }
}

/// Reads one file, and no more of it than may be.
pub(super) fn read(path: &Path) -> Result<String, ReadError> {
    let file = fs::File::open(path).map_err(|error| ReadError::new(path, error))?;
    read_from(path, file, FILE_SIZE_MAX)
}

/// The same of what is open already.
pub(super) fn read_from(
    path: &Path,
    input: impl io::Read,
    bytes_max: u64,
) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    let read = input.take(bytes_max + 1).read_to_end(&mut bytes);
    read.map_err(|error| ReadError::new(path, error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        let path = path.to_owned();
        return Err(ReadError::TooLarge { path, bytes_max });
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotText {
        path: path.to_owned(),
    })
}

/// The files that one entry of `policies` names, in order. A file that is named itself may have any name.
pub(super) fn policy_files(entry: &Path) -> Result<BTreeSet<PathBuf>, ReadError> {
    let mut files = BTreeSet::new();
    match fs::metadata(entry) {
        Err(error) => return Err(ReadError::new(entry, error)),
        Ok(metadata) if metadata.is_dir() => collect(entry, 0, &mut files)?,
        Ok(_) => {
            files.insert(entry.to_owned());
        }
    }
    Ok(files)
}

/// Collects the YAML files below a folder. Links to files count, links to folders do not: they may lead round.
fn collect(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<(), ReadError> {
    let refused = |error| ReadError::new(folder, error);
    if depth > DEPTH_MAX {
        let path = folder.to_owned();
        return Err(ReadError::TooDeep { path });
    }
    for entry in fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let kind = entry.file_type().map_err(refused)?;
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if is_yaml && !path.is_dir() {
            files.insert(path);
        }
        if files.len() > FILES_MAX {
            let path = folder.to_owned();
            return Err(ReadError::TooMany { path });
        }
    }
    Ok(())
}
