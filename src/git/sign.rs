//! Signatures of commits, by an SSH key.
//!
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>,
//! <https://git-scm.com/docs/gitformat-signature>.

use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};

use super::ssh::{SshError, private_key};
use crate::secret::SshKey;

/// What git's signatures are for, so that no other signature passes for one.
const NAMESPACE: &str = "git";

/// What signs the commits of a push.
pub(super) struct Signer {
    key: PrivateKey,
}

/// Why commits cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("failed to read the key that signs commits")]
    Key { source: SshError },
    #[error("the key cannot sign")]
    Sign { source: russh::keys::ssh_key::Error },
}

impl Signer {
    /// Reads the key as it is now.
    pub(super) fn read(key: &SshKey) -> Result<Self, SignError> {
        match private_key(key) {
            Ok(key) => Ok(Self { key }),
            Err(source) => Err(SignError::Key { source }),
        }
    }

    /// The signature of `commit`, in lines.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, SignError> {
        let signature = self.key.sign(NAMESPACE, HashAlg::Sha512, commit);
        let text = signature.and_then(|signature| signature.to_pem(LineEnding::LF));
        text.map_err(|source| SignError::Sign { source })
    }
}
