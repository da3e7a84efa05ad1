//! Commits that somebody else made for us: a forge that signs them. Read, put together, and checked before a branch moves to them.
//!
//! Not here: what the forge is asked for (`forge`), and moving the branch (`push`).
//! Invariant: a commit passes only if it is signed and has the parent, the tree and the message that were asked for.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ErrorCode, FileMode, Oid, Repository};

use super::build::signed;
use super::pack::{self, Object};
use super::push::PushError;
use super::read::ReadError;
use super::{commit_id, oid};
use crate::manifest::{CommitId, RepoPath};

/// How the head of a commit says that it is signed: <https://git-scm.com/docs/gitformat-signature>.
const SIGNATURES: [&str; 2] = ["gpgsig ", "gpgsig-sha256 "];

/// A commit that somebody else made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MadeCommit {
    /// All of it.
    Whole(Vec<u8>),
    /// What was signed, and the signature, as GitHub tells them of a commit.
    Parts {
        id: CommitId,
        payload: String,
        signature: String,
    },
}

impl MadeCommit {
    /// All of it, if it is what was asked for: `message` on `parent`, with `tree`.
    pub(super) fn checked(
        &self,
        (parent, tree): (Oid, Oid),
        message: &str,
    ) -> Result<Vec<u8>, PushError> {
        let altered = |what| PushError::Altered { what };
        let bytes = match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Parts {
                id,
                payload,
                signature,
            } => whole(id, payload, signature).ok_or(altered("its name"))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let (head, told) = text.split_once("\n\n").unwrap_or((&text, ""));
        let values = |key: &str| -> Vec<&str> {
            let of_key = |line: &'_ str| line.starts_with(key);
            let lines = head.lines().filter(|line| of_key(line));
            lines.map(|line| &line[key.len()..]).collect()
        };
        if values("tree ") != [tree.to_string()] {
            return Err(altered("its files"));
        }
        if values("parent ") != [parent.to_string()] {
            return Err(altered("its parent"));
        }
        if told.trim_end() != message.trim_end() {
            return Err(altered("its message"));
        }
        if SIGNATURES.iter().all(|key| values(key).is_empty()) {
            return Err(PushError::Unsigned);
        }
        Ok(bytes)
    }
}

/// The commit `id` of its parts. GitHub tells a signature with the line break at its end that is a part of it.
fn whole(id: &CommitId, payload: &str, signature: &str) -> Option<Vec<u8>> {
    let bare = signature.trim_end_matches('\n');
    let ways = [format!("{bare}\n"), bare.to_owned()];
    let mut made = ways.iter().map(|way| signed(payload.as_bytes(), way));
    made.find(|bytes| commit_id(pack::name(Object::Commit, bytes)) == *id)
}

/// The commits `ids` as they are.
pub(super) fn raw(mirror: &Repository, ids: &[CommitId]) -> Result<Vec<Vec<u8>>, ReadError> {
    let one = |id: &CommitId| {
        let odb = mirror.odb();
        let object = odb.and_then(|odb| Ok(odb.read(oid(id))?.data().to_vec()));
        object.map_err(|source| ReadError::new(id, source))
    };
    ids.iter().map(one).collect()
}

/// Those of `paths` that are executable files in `commit`.
pub(super) fn executables(
    mirror: &Repository,
    commit: &CommitId,
    paths: BTreeSet<RepoPath>,
) -> Result<BTreeSet<RepoPath>, ReadError> {
    let found = mirror.find_commit(oid(commit));
    let found = found.map_err(|source| ReadError::new(commit, source))?;
    let broken = |source| ReadError::Broken {
        commit: commit.clone(),
        source,
    };
    let root = found.tree().map_err(broken)?;
    let mut all = BTreeSet::new();
    for path in paths {
        match root.get_path(Path::new(path.as_str())) {
            Ok(entry) if entry.filemode() == i32::from(FileMode::BlobExecutable) => {
                all.insert(path);
            }
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use git2::Oid;

    use super::{MadeCommit, Object, commit_id, pack, signed};
    use crate::git::push::PushError;

    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----\n\nwsBc\n-----END PGP SIGNATURE-----\n";

    fn oids() -> (Oid, Oid) {
        let oid = |digit: &str| Oid::from_str(&digit.repeat(40)).unwrap();
        (oid("a"), oid("b"))
    }

    fn payload(message: &str) -> String {
        let (parent, tree) = oids();
        format!(
            "tree {tree}\nparent {parent}\nauthor bot <1+bot@example.com> 1 +0000\ncommitter GitHub <noreply@github.com> 1 +0000\n\n{message}"
        )
    }

    #[test]
    fn a_signed_commit_is_put_together_again_by_its_name_with_the_last_line_break_told_or_not() {
        let payload = payload("promote portal\n\nTowpath-Policy: portal");
        for told in [SIGNATURE, SIGNATURE.trim_end()] {
            let bytes = signed(payload.as_bytes(), SIGNATURE);
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(
                text.contains("\n -----END PGP SIGNATURE-----\n \n\npromote"),
                "{text}"
            );
            let made = MadeCommit::Parts {
                id: commit_id(pack::name(Object::Commit, &bytes)),
                payload: payload.clone(),
                signature: told.to_owned(),
            };
            let message = "promote portal\n\nTowpath-Policy: portal\n";
            assert_eq!(made.checked(oids(), message).unwrap(), bytes);
        }
    }

    #[test]
    fn a_commit_that_is_not_the_one_that_was_asked_for_does_not_pass() {
        let (parent, tree) = oids();
        let signature = format!("gpgsig {}\n", SIGNATURE.trim_end().replace('\n', "\n "));
        let whole = |payload: &str| {
            let text = payload.replacen("\n\n", &format!("\n{signature}\n"), 1);
            MadeCommit::Whole(text.into_bytes())
        };
        let why = |made: &MadeCommit, message: &str| match made.checked((parent, tree), message) {
            Ok(_) => "",
            Err(PushError::Altered { what }) => what,
            Err(PushError::Unsigned) => "its signature",
            Err(error) => panic!("{error}"),
        };
        let good = payload("promote");
        assert_eq!(why(&whole(&good), "promote"), "");
        assert_eq!(why(&whole(&good), "promote it"), "its message");
        let other = good.replace(&tree.to_string(), &"c".repeat(40));
        assert_eq!(why(&whole(&other), "promote"), "its files");
        let other = good.replace(&parent.to_string(), &"c".repeat(40));
        assert_eq!(why(&whole(&other), "promote"), "its parent");
        let merge = good.replace("\nauthor", &format!("\nparent {parent}\nauthor"));
        assert_eq!(why(&whole(&merge), "promote"), "its parent");
        let unsigned = MadeCommit::Whole(good.clone().into_bytes());
        assert_eq!(why(&unsigned, "promote"), "its signature");
        let parts = MadeCommit::Parts {
            id: "0".repeat(40).parse().unwrap(),
            payload: good,
            signature: SIGNATURE.to_owned(),
        };
        assert_eq!(why(&parts, "promote"), "its name");
    }
}
