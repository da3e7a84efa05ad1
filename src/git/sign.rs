//! Signatures of commits, by an SSH key.
//!
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>,
//! <https://git-scm.com/docs/gitformat-signature>.

use russh::keys::HashAlg;
use russh::keys::ssh_key::{self, LineEnding, SshSig};

use super::ssh::{Key, SshError};
use crate::secret::SshKey;

/// What git's signatures are for, so that no other signature passes for one.
const NAMESPACE: &str = "git";

/// What signs the commits of a push.
pub(super) struct Signer {
    key: Key,
}

/// Why commits cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("failed to read the key that signs commits")]
    Key { source: SshError },
    #[error("the key cannot sign")]
    Sign { source: ssh_key::Error },
}

impl Signer {
    /// Reads the key as it is now.
    pub(super) fn read(key: &SshKey) -> Result<Self, SignError> {
        match Key::read(key) {
            Ok(key) => Ok(Self { key }),
            Err(source) => Err(SignError::Key { source }),
        }
    }

    /// The signature of `commit`, in lines.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, SignError> {
        let text = self.sign_by_ssh(commit);
        text.map_err(|source| SignError::Sign { source })
    }

    fn sign_by_ssh(&self, commit: &[u8]) -> ssh_key::Result<String> {
        let hash = HashAlg::Sha512;
        let data = SshSig::signed_data(NAMESPACE, hash, commit)?;
        let signature = self.key.sign(hash, &data)?;
        let public = self.key.public().key_data().clone();
        SshSig::new(public, NAMESPACE, hash, signature)?.to_pem(LineEnding::LF)
    }
}
