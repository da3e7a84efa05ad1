//! The name of a commit, and where it stands on a branch.

use std::fmt;
use std::str::FromStr;

/// A commit's object name: 40 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CommitId(String); // Invariant: 40 lower-case hex digits.

/// A place in the history of a branch. The later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitPlace {
    /// Which commit of the branch's own line was the first to hold this one, counted from the root.
    pub(crate) line: u32,
    /// Commits on the longest way to a root: what was merged at once stands in the order in which it was made.
    pub(crate) depth: u32,
}

/// What the name of a commit, or the start of one, names on a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedCommit {
    /// No commit of the branch.
    None,
    One(CommitPlace),
    /// More than one, of which this is the latest: the name is too short.
    Several {
        latest: CommitPlace,
    },
}

impl NamedCommit {
    /// What a name stands for that the commits at `places` share.
    pub(crate) fn of(mut places: impl Iterator<Item = CommitPlace>) -> Self {
        let Some(first) = places.next() else {
            return Self::None;
        };
        match places.max() {
            None => Self::One(first),
            Some(latest) => Self::Several {
                latest: latest.max(first),
            },
        }
    }
}

/// Why a text is not the name of a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a commit: 40 lower-case hex digits")]
pub(crate) struct ParseCommitIdError {
    text: String,
}

impl CommitId {
    /// All 40 digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 7 digits, for people.
    pub(crate) fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl FromStr for CommitId {
    type Err = ParseCommitIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let valid = s.len() == 40 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !valid {
            return Err(ParseCommitIdError { text: s.to_owned() });
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
