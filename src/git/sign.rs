//! Signatures of commits, by an SSH key or an OpenPGP key.
//!
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>,
//! <https://git-scm.com/docs/gitformat-signature>.

use jiff::Timestamp;
use russh::keys::HashAlg;
use russh::keys::ssh_key::{self, LineEnding, SshSig};

use super::openpgp::{self, OpenPgpError};
use super::ssh::{self, SshError};
use crate::secret::SigningKey;

/// What git's signatures are for, so that no other signature passes for one.
const NAMESPACE: &str = "git";

/// What signs the commits of a push.
pub(super) enum Signer {
    Ssh(Box<ssh::Key>),
    OpenPgp(openpgp::Key),
}

/// Why commits cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error("failed to read the key that signs commits")]
    Ssh { source: SshError },
    #[error("failed to read the key that signs commits")]
    OpenPgp { source: OpenPgpError },
    #[error("the key cannot sign")]
    Sign { source: ssh_key::Error },
}

impl SignError {
    /// What a person can do about it, if we know.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ssh { source } => source.hint(),
            Self::OpenPgp { source } => source.hint(),
            Self::Sign { .. } => None,
        }
    }
}

impl Signer {
    /// Reads the key as it is `now`.
    pub(super) fn read(key: &SigningKey, now: Timestamp) -> Result<Self, SignError> {
        match key {
            SigningKey::Ssh(key) => match ssh::Key::read(key) {
                Ok(key) => Ok(Self::Ssh(Box::new(key))),
                Err(source) => Err(SignError::Ssh { source }),
            },
            SigningKey::OpenPgp(key) => match openpgp::Key::read(key, now) {
                Ok(key) => Ok(Self::OpenPgp(key)),
                Err(source) => Err(SignError::OpenPgp { source }),
            },
        }
    }

    /// The signature of `commit`, made at `time`, in lines.
    pub(super) fn sign(&self, commit: &[u8], time: Timestamp) -> Result<String, SignError> {
        let text = match self {
            Self::Ssh(key) => by_ssh(key, commit),
            Self::OpenPgp(key) => key.sign(commit, time).ok_or(ssh_key::Error::Crypto),
        };
        text.map_err(|source| SignError::Sign { source })
    }
}

fn by_ssh(key: &ssh::Key, commit: &[u8]) -> ssh_key::Result<String> {
    let hash = HashAlg::Sha512;
    let data = SshSig::signed_data(NAMESPACE, hash, commit)?;
    let signature = key.sign(hash, &data)?;
    let public = key.public().key_data().clone();
    SshSig::new(public, NAMESPACE, hash, signature)?.to_pem(LineEnding::LF)
}
