//! Secrets: where one is kept, and its value when it is needed.
//!
//! Invariant: a value is never printed, and never stored longer than one use, so that a rotated file counts at once.

mod guard;

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

pub(crate) use guard::Guard;

/// Where a secret is kept. Settings name it; they never hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, read anew each time; white space at its end does not count.
    File(PathBuf),
}

/// How to log in to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// To a registry: its bearer token. To a git server: the password of the user `x-access-token`, the name that
    /// GitHub asks for while GitLab and Gitea take any; Bitbucket wants `x-token-auth`, which is `Basic`.
    Token(Secret),
    /// To a registry: shown to it, or to its token service, whichever asks.
    Basic { username: String, password: Secret },
}

/// A private key for SSH, or for signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshKey {
    pub(crate) key: Secret,
    /// What opens the key, if it is closed.
    pub(crate) passphrase: Option<Secret>,
}

/// An OpenPGP private key, for signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenPgpKey {
    pub(crate) key: Secret,
    /// What opens the key, if it is closed.
    pub(crate) passphrase: Option<Secret>,
}

/// What signs commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SigningKey {
    Ssh(SshKey),
    OpenPgp(OpenPgpKey),
}

/// How to log in to an SSH server, and how to know that it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshLogin {
    pub(crate) key: SshKey,
    /// A file with the keys of hosts, as OpenSSH keeps it.
    pub(crate) known_hosts: PathBuf,
}

/// Why a secret has no value. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the environment variable `{name}` is not set")]
    Unset { name: String },
    #[error("the environment variable `{name}` is empty or not UTF-8")]
    Unusable { name: String },
    #[error("failed to read the secret in `{}`", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the secret file `{}` is empty", path.display())]
    Empty { path: PathBuf },
}

impl Secret {
    /// Reads the value as it is now.
    pub(crate) fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value.into()),
                Err(std::env::VarError::NotPresent) => {
                    Err(SecretError::Unset { name: name.clone() })
                }
                _ => Err(SecretError::Unusable { name: name.clone() }),
            },
            Self::File(path) => {
                let value =
                    std::fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
                        path: path.clone(),
                        source,
                    })?;
                match value.trim_end() {
                    "" => Err(SecretError::Empty { path: path.clone() }),
                    value => Ok(value.into()),
                }
            }
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::Secret;

    #[test]
    fn a_secret_file_is_read_anew_each_time_without_its_final_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::File(file.path().to_owned());
        assert!(secret.read().is_err());
        for value in ["one", "two"] {
            std::fs::write(file.path(), format!("{value}\n")).unwrap();
            assert_eq!(secret.read().unwrap().expose_secret(), value);
        }
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = Secret::Env("TOWPATH_TEST_UNSET".to_owned())
            .read()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable `TOWPATH_TEST_UNSET` is not set"
        );
    }
}
