//! A digest: the unchanging identity of one version.

use std::fmt;
use std::str::FromStr;

/// A content digest, such as `sha256:6c3c…`.
///
/// Grammar: <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>. Only the registered
/// algorithms `sha256` and `sha512` are accepted, since nothing else can be verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(Box<str>); // Invariant: `sha256:` and 64, or `sha512:` and 128 lower-case hex digits.

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{digest}` is not a digest: `sha256:` and 64 lower-case hex digits, or `sha512:` and 128")]
pub(crate) struct ParseDigestError {
    digest: String,
}

impl Digest {
    /// The whole digest, algorithm included.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm and the first 12 hex digits, for people.
    pub(crate) fn short(&self) -> &str {
        let end = self.0.find(':').map_or(self.0.len(), |colon| colon + 13);
        &self.0[..end]
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let valid = match s.split_once(':') {
            Some(("sha256", rest)) => hex(rest, 64),
            Some(("sha512", rest)) => hex(rest, 128),
            _ => false,
        };
        if !valid {
            return Err(ParseDigestError {
                digest: s.to_owned(),
            });
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn only_a_whole_digest_of_a_registered_algorithm_is_one() {
        let sha256 = format!("sha256:{}", "ab".repeat(32));
        assert!(sha256.parse::<Digest>().is_ok());
        assert!(
            format!("sha512:{}", "ab".repeat(64))
                .parse::<Digest>()
                .is_ok()
        );
        for bad in ["sha256:abcde", "md5:ab", "", "sha256:"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(sha256.to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn the_short_form_keeps_the_algorithm_and_twelve_digits() {
        let digest: Digest = format!("sha256:{}", "0123456789abcdef".repeat(4))
            .parse()
            .unwrap();
        assert_eq!(digest.short(), "sha256:0123456789ab");
    }
}
