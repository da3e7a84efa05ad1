//! The seal on the commits of proposals that a forge makes in its own name.
//!
//! GitHub commits what an App asks for and what a person edits on its pages as the same `GitHub <noreply@github.com>`, so a name does
//! not tell whose a commit is. The seal does: it is a checksum of the message and of each file that the commit changes, as it is
//! then. Whoever changes anything breaks it; a commit whose seal is whole holds nothing but what towpath wrote.
//! Invariant: the checksum has no key, as that of [`super::request::hidden`] has none: it tells edits, not lies.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::change::PlannedCommit;
use crate::manifest::RepoPath;
use crate::world::{File, Proposal};

/// The trailer, which is the last line of a message.
const SEAL: &str = "Towpath-Seal: ";

/// Bytes of the checksum that are written: with its name a line of less than 72 columns, after which GitHub wraps what it
/// squashes.
const BYTES: usize = 16;

/// Seals what is to be committed.
pub(super) fn put_on(commit: &mut PlannedCommit) {
    let files = commit.files.iter();
    let texts = files.map(|(path, file)| (path, &*file.after));
    let message = commit.message.trim_end();
    commit.message = format!("{message}\n{SEAL}{}\n", checksum(message, texts));
}

/// Whether a commit has a seal that nobody broke.
pub(super) fn is_whole(tip: &Proposal) -> bool {
    let Some((message, last)) = tip.message.trim_end().rsplit_once('\n') else {
        return false;
    };
    let mut texts = Vec::new();
    for (path, file) in &tip.files {
        match file {
            File::Text(text) => texts.push((path, &**text)),
            File::NotUtf8
            | File::Symlink
            | File::LfsPointer
            | File::Folder
            | File::Submodule
            | File::TooLarge { .. }
            | File::Missing => return false,
        }
    }
    let sealed = last.strip_prefix(SEAL);
    sealed.is_some_and(|seal| seal == checksum(message, texts.into_iter()))
}

/// Each part with its length before it, so that no two contents run together to the same.
fn checksum<'a>(message: &str, files: impl Iterator<Item = (&'a RepoPath, &'a str)>) -> String {
    let mut hash = Sha256::new();
    let parts = files.flat_map(|(path, text)| [path.as_str(), text]);
    for part in std::iter::once(message).chain(parts) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut digits = String::new();
    for byte in &hash.finalize()[..BYTES] {
        write!(digits, "{byte:02x}").expect("a string can be written");
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{is_whole, put_on};
    use crate::plan::{FileChange, PlannedCommit};
    use crate::world::{File, Proposal};

    fn sealed() -> Proposal {
        let change = FileChange {
            before: "tag: v1\n".into(),
            after: "tag: v2\n".into(),
        };
        let mut commit = PlannedCommit {
            promotions: Vec::new(),
            message: "promote\n\nTowpath-Policy: portal\n".to_owned(),
            files: BTreeMap::from([("a.yaml".parse().unwrap(), change)]),
        };
        put_on(&mut commit);
        let files = commit.files.into_iter();
        Proposal {
            tip: "1".repeat(40).parse().unwrap(),
            parents: vec!["2".repeat(40).parse().unwrap()],
            committer: "GitHub <noreply@github.com>".to_owned(),
            message: commit.message,
            files: files
                .map(|(path, file)| (path, File::Text(file.after)))
                .collect(),
        }
    }

    #[test]
    fn a_seal_is_whole_until_a_person_changes_the_message_or_a_file() {
        let ours = sealed();
        insta::assert_snapshot!(ours.message, @"
        promote

        Towpath-Policy: portal
        Towpath-Seal: c476e5f6e5168a7d54dc6aa99c95e73a
        ");
        assert!(is_whole(&ours));
        // A forge may leave out the line break at the end.
        let mut bare = ours.clone();
        bare.message.truncate(ours.message.trim_end().len());
        assert!(is_whole(&bare));

        let mut other = ours.clone();
        other.message = ours.message.replacen("promote", "promote it", 1);
        assert!(!is_whole(&other));
        let mut other = ours.clone();
        other.message = "Update a.yaml".to_owned();
        assert!(!is_whole(&other));
        for file in [File::Text("tag: v3\n".into()), File::Missing] {
            let mut other = ours.clone();
            other.files.insert("a.yaml".parse().unwrap(), file);
            assert!(!is_whole(&other));
        }
        let mut other = ours.clone();
        other
            .files
            .insert("b.yaml".parse().unwrap(), File::Text("".into()));
        assert!(!is_whole(&other));
    }
}
