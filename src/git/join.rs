//! Joining packs: each fetch with news and each push adds one, libgit2 never joins them, and keeps a file open for each.
//!
//! Invariant: a pack goes only after all of its objects stand in another one. No server is asked.

use std::io;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

/// A mirror with more packs than this gets them joined; thirty mirrors then stay below the usual limit of 1,024 open
/// files.
pub(super) const PACKS_MAX: usize = 30;

/// How many packs are joined at a time, the smallest. What was joined grows large and is left alone from then on, so
/// that an object is written anew a handful of times in years, and the large pack of a clone never.
const JOINED: usize = 25;

/// Bytes of an index before its names: magic number, version, and how many names there are below each first byte.
///
/// <https://git-scm.com/docs/gitformat-pack#_version_2_pack_idx_files_support_packs_larger_than_4_gib_and>
const INDEX_HEADER: usize = 8 + 256 * 4;

/// Bytes of a name.
const NAME: usize = 20;

/// Whether the packs of a mirror were joined, after which it has to be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Packs {
    Joined,
    Few,
}

/// Why packs cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    #[error("failed to read the index `{}`", path.display())]
    Index { path: PathBuf, source: io::Error },
    #[error("`{}` is not the index of a pack", path.display())]
    NoIndex { path: PathBuf },
    #[error("failed to write a pack")]
    Git { source: git2::Error },
    #[error("failed to open the mirror again")]
    Reopen { source: git2::Error },
}

/// Joins the smallest packs of `mirror`, if there are too many.
pub(super) fn join_packs(mirror: &Repository) -> Result<Packs, JoinError> {
    let folder = mirror.path().join("objects/pack");
    let mut packs = packs_in(&folder);
    if packs.len() <= PACKS_MAX {
        return Ok(Packs::Few);
    }
    packs.sort();
    packs.truncate(JOINED);
    let mut names = Vec::new();
    for (_, index) in &packs {
        names.extend(names_in(index)?);
    }
    let joined = write(mirror, &folder, &names).map_err(|source| JoinError::Git { source })?;
    // A pack that held all the others has the name of the joined one.
    for (_, index) in packs.iter().filter(|(_, index)| *index != joined) {
        // The index first: a pack without one is a leftover and no pack.
        for path in [index.clone(), index.with_extension("pack")] {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a pack that was joined stays");
            }
        }
    }
    Ok(Packs::Joined)
}

/// The packs in `folder`: the size of each, and its index.
fn packs_in(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let indexes = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "idx"));
    let sized = |index: PathBuf| {
        let pack = std::fs::metadata(index.with_extension("pack")).ok()?;
        Some((pack.len(), index))
    };
    indexes.filter_map(sized).collect()
}

/// The names of the objects that an index tells of.
fn names_in(index: &Path) -> Result<Vec<Oid>, JoinError> {
    let bytes = std::fs::read(index).map_err(|source| JoinError::Index {
        path: index.to_owned(),
        source,
    })?;
    names(&bytes).ok_or_else(|| JoinError::NoIndex {
        path: index.to_owned(),
    })
}

fn names(index: &[u8]) -> Option<Vec<Oid>> {
    let header = index.get(..INDEX_HEADER)?;
    header.strip_prefix(b"\xfftOc\0\0\0\x02")?;
    let (_, count) = header.split_last_chunk()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let names = index[INDEX_HEADER..].get(..count.checked_mul(NAME)?)?;
    let names = names.chunks(NAME).map(|name| Oid::from_bytes(name).ok());
    names.collect()
}

/// Writes a pack of `objects` into `folder` and gives its index.
fn write(mirror: &Repository, folder: &Path, objects: &[Oid]) -> Result<PathBuf, git2::Error> {
    let mut builder = mirror.packbuilder()?;
    for object in objects {
        builder.insert_object(*object, None)?;
    }
    builder.write(folder, 0)?;
    let name = builder.name()?.unwrap_or_default();
    Ok(folder.join(format!("pack-{name}.idx")))
}

#[cfg(test)]
mod tests {
    use super::{INDEX_HEADER, names};

    #[test]
    fn bytes_that_are_no_index_have_no_names() {
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        index.resize(INDEX_HEADER, 0);
        assert_eq!(names(&index), Some(Vec::new()));
        assert_eq!(names(&index[1..]), None);
        index[INDEX_HEADER - 1] = 2;
        index.resize(INDEX_HEADER + 30, 7);
        assert_eq!(names(&index), None, "one name is cut");
        index.resize(INDEX_HEADER + 40, 7);
        assert_eq!(names(&index).unwrap().len(), 2);
        index[INDEX_HEADER - 4..INDEX_HEADER].fill(0xff);
        assert_eq!(names(&index), None);
    }
}
