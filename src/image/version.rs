//! Versions: tags that compare by the rules of Semantic Versioning 2.0.
//!
//! Not here: which versions a policy wants (`policy/select`).
//! Invariant: a version has three numbers; the order is total and is the precedence of <https://semver.org>.

use std::fmt;
use std::str::FromStr;

/// A version, such as the one that `v1.4.2-rc.1` spells.
///
/// How it was spelled (a leading `v`, zeros before a number as calendar versions write them) is not part of it, so two
/// spellings of one version are equal. Nor is build metadata, which has no order; a tag cannot hold its `+` anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(semver::Version); // Invariant: no build metadata, so `Ord` is precedence.

/// Why a text is not a version. Holds no text, since most tags of a listing end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseVersionError {
    #[error("not a semantic version: three numbers, such as `1.4.2`, and perhaps a pre-release")]
    NotVersion,
    /// `1.2` or `v1`: a name that moves with each release.
    #[error("a partial version, which moves")]
    Partial,
}

impl Version {
    /// A release without a pre-release part.
    pub(crate) fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// The same numbers as a pre-release; `None` where `prerelease` is not one by the specification.
    pub(crate) fn with_prerelease(self, prerelease: &str) -> Option<Self> {
        let pre = semver::Prerelease::new(prerelease).ok()?;
        let spelled = !pre.is_empty();
        spelled.then_some(Self(semver::Version { pre, ..self.0 }))
    }

    /// The lowest version with these numbers: every pre-release of theirs is at or above it.
    pub(crate) fn lowest(major: u64, minor: u64, patch: u64) -> Self {
        Self::new(major, minor, patch)
            .with_prerelease("0")
            .expect("`0` is a pre-release")
    }

    /// Reads `1.2` and `v1` as the first version that they could mean.
    ///
    /// A number alone is never read: it may be a commit hash without letters.
    pub(crate) fn first_of_partial(text: &str) -> Option<Self> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let mut parts = numbers.split('.');
        let major = parse_number(parts.next()?)?;
        let minor = match parts.next() {
            Some(minor) => parse_number(minor)?,
            None if numbers.len() < text.len() => 0,
            None => return None,
        };
        parts.next().is_none().then_some(Self::new(major, minor, 0))
    }

    /// Reads the tag of a Helm chart, whose version may have build metadata: `1.4.2_build.5` is kept under that tag and is
    /// the version `1.4.2+build.5`, see <https://helm.sh/docs/topics/registries/>. Gives the version, and the length of the
    /// text that spells it.
    ///
    /// Of an image's tag the same would be a guess: in `21.0.2_13-jre` a build and a variant follow the `_`, in others it
    /// stands for what a tag cannot hold.
    pub(crate) fn of_chart(tag: &str) -> Result<(Self, usize), ParseVersionError> {
        let Some((version, build)) = tag.split_once('_') else {
            return Ok((tag.parse()?, tag.len()));
        };
        match semver::BuildMetadata::new(build) {
            Ok(build) if !build.is_empty() => Ok((version.parse()?, version.len())),
            Ok(_) | Err(_) => Err(ParseVersionError::NotVersion),
        }
    }

    /// The first number.
    pub(crate) fn major(&self) -> u64 {
        self.0.major
    }

    /// The part after the dash, such as `rc.1`; empty for a release.
    pub(crate) fn prerelease(&self) -> &str {
        self.0.pre.as_str()
    }

    /// Whether this comes before a release.
    pub(crate) fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.strip_prefix('v').unwrap_or(s);
        let (numbers, prerelease) = match text.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(parse_number);
        let (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(match Self::first_of_partial(s) {
                Some(_) => ParseVersionError::Partial,
                None => ParseVersionError::NotVersion,
            });
        };
        let release = Self::new(major, minor, patch);
        match prerelease {
            None => Ok(release),
            Some(prerelease) => release
                .with_prerelease(prerelease)
                .ok_or(ParseVersionError::NotVersion),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Digits, zeros in front allowed. A number beyond 64 bits names no version that anyone made.
pub(crate) fn parse_number(digits: &str) -> Option<u64> {
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{ParseVersionError, Version};

    fn version(text: &str) -> Version {
        text.parse()
            .unwrap_or_else(|e| panic!("`{text}` is a version: {e}"))
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for spelling in ["v1.2.3", "01.2.3", "v1.02.003"] {
            assert_eq!(version(spelling), version("1.2.3"), "{spelling}");
        }
        assert_eq!(version("2024.06.1"), version("2024.6.1"));
        assert_eq!(version("v1.2.3-rc.1").to_string(), "1.2.3-rc.1");
    }

    #[test]
    fn what_has_not_three_numbers_is_no_version() {
        for text in [
            "",
            "v",
            "1234567",
            "abc1234",
            "12e4567",
            "1.2.3.4",
            "V1.2.3",
            "vv1.2.3",
            "1.2.3_build1",
            "release-1.2.3",
            "1.2.3-",
            "1.2.3-rc..1",
            "1.2.3-01",
            "1.2.3-rc_1",
            "1..3",
            "1.2.",
            "+1.2.3",
            "2024-01-02",
            "1.2-alpine",
            "18446744073709551616.0.0",
        ] {
            assert_eq!(
                text.parse::<Version>(),
                Err(ParseVersionError::NotVersion),
                "{text}"
            );
        }
        for text in ["1.2", "v1.20", "v1"] {
            assert_eq!(
                text.parse::<Version>(),
                Err(ParseVersionError::Partial),
                "{text}"
            );
        }
        assert!("18446744073709551615.0.0".parse::<Version>().is_ok());
        assert!("1.0.0-99999999999999999999999".parse::<Version>().is_ok());
    }

    #[test]
    fn a_charts_tag_has_its_build_metadata_behind_an_underscore() {
        let read = |tag: &str| Version::of_chart(tag).map(|(v, length)| (v.to_string(), length));
        for (tag, expected) in [
            ("1.2.3", ("1.2.3", 5)),
            ("v1.2.3", ("1.2.3", 6)),
            ("1.2.3_build.5", ("1.2.3", 5)),
            ("1.2.3-rc.1_g0a1b2c3", ("1.2.3-rc.1", 10)),
            ("1.2.3-rc_1", ("1.2.3-rc", 8)),
            ("1.2.3_007-x", ("1.2.3", 5)),
        ] {
            let (version, length) = expected;
            assert_eq!(read(tag), Ok((version.to_owned(), length)), "{tag}");
        }
        for tag in ["1.2.3_", "1.2.3_a_b", "1.2.3_a..b", "_1.2.3", "a_1.2.3"] {
            assert_eq!(read(tag), Err(ParseVersionError::NotVersion), "{tag}");
        }
        assert_eq!(read("1.2_b1"), Err(ParseVersionError::Partial));
    }

    #[test]
    fn the_order_is_the_one_of_the_specification() {
        let ascending = [
            "1.0.0-0",
            "1.0.0-9",
            "1.0.0-99999999999999999999999",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc10",
            "1.0.0-rc9",
            "1.0.0",
            "1.0.1",
            "1.10.0",
            "v2.0.0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }
}
