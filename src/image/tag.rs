//! A tag: the movable name of one version in a repository.

use std::fmt;
use std::str::FromStr;

/// Longest tag that the OCI distribution specification allows, in characters.
const TAG_LENGTH_MAX: usize = 128;

/// A tag, such as `v1.4.2`. A tag can move; a [`Digest`](super::Digest) cannot.
///
/// Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(Box<str>); // Invariant: 1 to 128 of [A-Za-z0-9_.-], no leading `.` or `-`.

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{tag}` is not a tag: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`"
)]
pub(crate) struct ParseTagError {
    tag: String,
}

impl Tag {
    /// The tag as it is written in the registry.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts_well = !s.is_empty() && !s.starts_with(['.', '-']);
        if !starts_well || s.len() > TAG_LENGTH_MAX || !s.chars().all(allowed) {
            return Err(ParseTagError { tag: s.to_owned() });
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Tag;

    #[test]
    fn a_tag_of_128_characters_is_accepted_and_one_more_is_not() {
        assert!("a".repeat(128).parse::<Tag>().is_ok());
        assert!("a".repeat(129).parse::<Tag>().is_err());
    }

    #[test]
    fn a_tag_may_not_start_with_a_dot_or_a_dash_nor_hold_other_characters() {
        for bad in ["", ".a", "-a", "~1.2", "a b", "a/b", "a:b", "é"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
        for good in ["_a", "v1.4.2", "1.x", "develop-0a1b2c3", "A.B_c-d"] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
    }
}
