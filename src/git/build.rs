//! Commits on tree objects, as a pack in memory.
//!
//! Not here: packs (`pack`), folders (`tree`), and sending (`push`).
//! Invariant: a commit changes the bytes of the files that it names, and no mode, no link, and no other file.

use std::collections::BTreeMap;

use git2::{Odb, Oid, Repository};
use jiff::Timestamp;

use super::pack::{Folder, Object, Pack};
use super::push::{Maker, NewCommit, Person, PushError};
use super::read::{self, ReadError};
use super::sign::Signer;
use super::tree::{self, Cursor, Kind};
use super::{commit_id, oid};
use crate::manifest::{CommitId, RepoPath};

/// A chain of commits, ready to be sent.
pub(super) struct Built {
    /// The commits in the order in which they were asked for.
    pub(super) ids: Vec<CommitId>,
    pub(super) pack: Vec<u8>,
}

/// Builds `commits` on top of `base`, each on the one before.
pub(super) fn build(
    mirror: &Repository,
    base: &CommitId,
    commits: &[NewCommit],
    signer: Option<&Signer>,
) -> Result<Built, PushError> {
    let broken = |source| PushError::Base(ReadError::new(base, source));
    let standing = mirror.find_commit(oid(base)).map_err(broken)?;
    let mut builder = Builder {
        odb: mirror.odb().map_err(broken)?,
        base,
        folders: BTreeMap::new(),
        pack: Pack::new(),
    };
    let (mut root, mut parent) = (standing.tree_id(), standing.id());
    let mut ids = Vec::new();
    for commit in commits {
        let files: Vec<(&RepoPath, &[u8])> = commit
            .files
            .iter()
            .map(|(path, bytes)| (path, bytes.as_slice()))
            .collect();
        root = builder.write_folder("", Some(root), &files)?;
        let bytes = match &commit.maker {
            Maker::Them(made) => made.checked((parent, root), &commit.message)?,
            Maker::Us {
                author,
                committer,
                time,
            } => {
                let bytes = encode(&commit.message, (root, parent), (author, committer, *time));
                match signer {
                    None => bytes,
                    Some(signer) => {
                        let signature = signer.sign(&bytes, *time).map_err(PushError::Sign)?;
                        signed(&bytes, signature.trim_end())
                    }
                }
            }
        };
        parent = builder.pack.add(Object::Commit, &bytes);
        ids.push(commit_id(parent));
    }
    let pack = builder.pack.finish();
    Ok(Built { ids, pack })
}

struct Builder<'mirror> {
    odb: Odb<'mirror>,
    base: &'mirror CommitId,
    /// Folders that were changed, as they are now, by their path with a slash at its end.
    folders: BTreeMap<String, Folder>,
    pack: Pack,
}

impl Builder<'_> {
    /// Writes `files`, which all lie in the folder at `prefix`, and gives the folder's new name.
    fn write_folder(
        &mut self,
        prefix: &str,
        standing: Option<Oid>,
        files: &[(&RepoPath, &[u8])],
    ) -> Result<Oid, PushError> {
        let mut folder = match (self.folders.remove(prefix), standing) {
            (Some(folder), _) => folder,
            (None, None) => Folder::new(),
            (None, Some(id)) => {
                let bytes = read::folder(&self.odb, id).map_err(|source| {
                    let commit = self.base.clone();
                    PushError::Base(ReadError::Broken { commit, source })
                })?;
                self.pack.standing(id, bytes)
            }
        };
        let (mut rest, mut cursor) = (files, Cursor::default());
        while let Some((path, bytes)) = rest.first() {
            let inside = &path.as_str()[prefix.len()..];
            let Some((name, _)) = inside.split_once('/') else {
                child(&folder, (inside, Kind::File), path, &mut cursor)?;
                let id = self.pack.add(Object::Blob, bytes);
                tree::put(&mut folder.bytes, (inside, Kind::File), id, &mut cursor);
                rest = &rest[1..];
                continue;
            };
            let within = format!("{prefix}{name}/");
            let count = rest
                .iter()
                .take_while(|(path, _)| path.as_str().starts_with(&within))
                .count();
            let standing = child(&folder, (name, Kind::Folder), path, &mut cursor)?;
            let id = self.write_folder(&within, standing, &rest[..count])?;
            tree::put(&mut folder.bytes, (name, Kind::Folder), id, &mut cursor);
            rest = &rest[count..];
        }
        let id = self.pack.add_folder(&mut folder);
        self.folders.insert(prefix.to_owned(), folder);
        Ok(id)
    }
}

/// What stands as `name` in `folder`, if it is of the kind that may be written there.
fn child(
    folder: &Folder,
    (name, kind): (&str, Kind),
    path: &RepoPath,
    cursor: &mut Cursor,
) -> Result<Option<Oid>, PushError> {
    match tree::find(&folder.bytes, name, cursor) {
        None if !name.is_empty() => Ok(None),
        Some(slot) if slot.kind == kind => Ok(Some(slot.id)),
        Some(_) | None => Err(PushError::NotAFile { path: path.clone() }),
    }
}

fn encode(
    message: &str,
    (tree, parent): (Oid, Oid),
    (author, committer, time): (&Person, &Person, Timestamp),
) -> Vec<u8> {
    let seconds = time.as_second();
    let mut message = message.replace('\0', "");
    if !message.ends_with('\n') {
        message.push('\n');
    }
    format!(
        "tree {tree}\nparent {parent}\nauthor {author} {seconds} +0000\ncommitter {committer} {seconds} +0000\n\n{message}"
    )
    .into_bytes()
}

/// `commit` with its signature as the last line of its head, which goes on where a line starts with a space.
pub(super) fn signed(commit: &[u8], signature: &str) -> Vec<u8> {
    let head = commit.windows(2).position(|two| two == b"\n\n");
    let (head, rest) = commit.split_at(head.map_or(commit.len(), |end| end + 1));
    let field = format!("gpgsig {}\n", signature.replace('\n', "\n "));
    [head, field.as_bytes(), rest].concat()
}
