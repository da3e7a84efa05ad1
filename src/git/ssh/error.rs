//! Why an SSH server could not be spoken with.

use std::io;
use std::path::PathBuf;

use crate::secret::SecretError;

/// Why an SSH server could not be spoken with. No message holds a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    #[error("failed to read the known hosts in `{}`", path.display())]
    KnownHosts { path: PathBuf, source: io::Error },
    #[error("`{}` has no key of the host `{host}`", path.display())]
    UnknownHost { host: String, path: PathBuf },
    #[error(
        "`{}` has a certificate authority for the host `{host}` and no key, and authorities are not supported",
        path.display()
    )]
    OnlyAuthority { host: String, path: PathBuf },
    #[error(
        "the host `{host}` shows a key that `{}` does not have of it: {fingerprint}",
        path.display()
    )]
    HostKeyChanged {
        host: String,
        path: PathBuf,
        fingerprint: String,
    },
    #[error("the host `{host}` shows a key that `{}` says is revoked: {fingerprint}", path.display())]
    HostKeyRevoked {
        host: String,
        path: PathBuf,
        fingerprint: String,
    },
    #[error("the host has none of the kinds of keys that are known of it ({ours}), but {theirs}")]
    OtherHostKeys { ours: String, theirs: String },
    #[error("failed to read the key")]
    Key { source: SecretError },
    #[error("there is no private key that can be used in {place}")]
    NoKey { place: String },
    #[error("the key in {place} has a passphrase, and none is set")]
    KeyEncrypted { place: String },
    #[error("the passphrase does not open the key in {place}")]
    Passphrase { place: String },
    #[error("the RSA key in {place} cannot be used: keys of 2048 to 8192 bits can")]
    RsaKey { place: String },
    #[error("the server refused the key {fingerprint} of the user `{user}`")]
    KeyRefused { user: String, fingerprint: String },
    #[error("the server takes RSA keys by SHA-1 alone, which is not secure")]
    Sha1Only,
    #[error("failed to reach the server")]
    Unreachable { source: russh::Error },
    #[error("the talk with the server failed")]
    Failed { source: russh::Error },
    #[error("the server ended the talk{}", super::super::http::after_colon(words))]
    Ended { words: String },
}

impl SshError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::KnownHosts { .. } | Self::UnknownHost { .. } | Self::OnlyAuthority { .. } => {
                Some(
                    "write what `ssh-keyscan -p PORT HOST` prints into the file of `known-hosts`, after comparing it with what the server's operator publishes",
                )
            }
            Self::HostKeyChanged { .. } | Self::HostKeyRevoked { .. } => Some(
                "somebody may sit in between; where the operator says that the key is new, put it in the file of `known-hosts`",
            ),
            Self::OtherHostKeys { .. } => {
                Some("put one of the server's keys in the file of `known-hosts`")
            }
            Self::Key { .. } | Self::NoKey { .. } => {
                Some("`ssh-key` names a private key in OpenSSH's form, not the public one")
            }
            Self::KeyEncrypted { .. } => {
                Some("name the passphrase as `passphrase` beside `ssh-key`")
            }
            Self::Passphrase { .. } => None,
            Self::KeyRefused { .. } => Some(
                "add the public key to the repository as a deploy key with write access, and check the user of the URL",
            ),
            Self::RsaKey { .. } | Self::Sha1Only => Some("use an ed25519 key"),
            Self::Ended { .. } => Some("check the path of `url`, and what the key may do there"),
            Self::Unreachable { .. } | Self::Failed { .. } => None,
        }
    }
}

impl From<russh::Error> for SshError {
    fn from(source: russh::Error) -> Self {
        match source {
            russh::Error::NoCommonAlgo {
                kind: russh::AlgorithmKind::Key,
                ours,
                theirs,
            } => Self::OtherHostKeys {
                ours: ours.join(", "),
                theirs: theirs.join(", "),
            },
            russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect => {
                Self::Unreachable { source }
            }
            source => Self::Failed { source },
        }
    }
}

impl From<russh::SendError> for SshError {
    fn from(_: russh::SendError) -> Self {
        Self::from(russh::Error::SendError)
    }
}
