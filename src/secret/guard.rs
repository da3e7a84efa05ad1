//! How a caller proves that it may call: by a token, by a signature over what it sends, or not at all.
//!
//! Invariant: comparing takes the same time whatever differs, and the length of a secret is not to be had that way either.

use aws_lc_rs::{constant_time, digest, hmac};
use secrecy::ExposeSecret as _;

use super::{Secret, SecretError};

/// What a caller must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The secret itself.
    Token(Secret),
    /// An HMAC with SHA-256 over the body, with the secret as its key.
    Hmac(Secret),
    /// Nothing. The settings say so in as many words.
    Open,
}

impl Guard {
    /// Whether one of `presented` is the token. Never so where it is not a token that counts.
    pub(crate) fn takes_token(&self, presented: &[String]) -> Result<bool, SecretError> {
        let Self::Token(secret) = self else {
            return Ok(false);
        };
        let token = secret.read()?;
        let is_same = |presented: &String| same(presented, token.expose_secret());
        // Each is compared, so that the time does not tell which one it was.
        let same_count = presented.iter().filter(|text| is_same(text)).count();
        Ok(same_count > 0)
    }

    /// Whether `signature` is the one over `body`. Never so where it is not a signature that counts.
    pub(crate) fn takes_signature(
        &self,
        signature: &[u8],
        body: &[u8],
    ) -> Result<bool, SecretError> {
        let Self::Hmac(secret) = self else {
            return Ok(false);
        };
        let key = secret.read()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
        Ok(hmac::verify(&key, body, signature).is_ok())
    }
}

/// Whether two texts are the same, told by their digests, which are of one length.
fn same(a: &str, b: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    constant_time::verify_slices_are_equal(digest(a).as_ref(), digest(b).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::Guard;
    use crate::secret::Secret;

    fn kept(value: &str) -> (tempfile::NamedTempFile, Secret) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), value).unwrap();
        let secret = Secret::File(file.path().to_owned());
        (file, secret)
    }

    #[test]
    fn a_token_is_taken_only_as_a_whole_and_as_it_is_kept_now() {
        let (file, secret) = kept("hunter2\n");
        let guard = Guard::Token(secret);
        let takes = |text: &str| guard.takes_token(&[text.to_owned()]).unwrap();
        assert!(takes("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2", "hunter2\n"] {
            assert!(!takes(wrong), "{wrong:?}");
        }
        assert!(!guard.takes_token(&[]).unwrap());
        std::fs::write(file.path(), "rotated").unwrap();
        assert!(takes("rotated") && !takes("hunter2"));
        std::fs::write(file.path(), "").unwrap();
        assert!(guard.takes_token(&[String::new()]).is_err());
    }

    #[test]
    fn a_signature_is_taken_only_over_the_same_bytes_with_the_same_key() {
        let (_file, secret) = kept("hunter2");
        let guard = Guard::Hmac(secret.clone());
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2");
        let signature = hmac::sign(&key, b"body");
        assert!(guard.takes_signature(signature.as_ref(), b"body").unwrap());
        assert!(
            !guard
                .takes_signature(signature.as_ref(), b"bodies")
                .unwrap()
        );
        assert!(
            !guard
                .takes_signature(&signature.as_ref()[1..], b"body")
                .unwrap()
        );
        assert!(!guard.takes_signature(b"", b"body").unwrap());
        let other = Guard::Token(secret);
        assert!(!other.takes_signature(signature.as_ref(), b"body").unwrap());
        assert!(!guard.takes_token(&["hunter2".to_owned()]).unwrap());
    }
}
