//! Why there is no login, in words that serve a person. Names the source, never a value.

use reqwest::StatusCode;

use super::{AwsError, DockerConfigError};
use crate::secret::SecretError;

/// Why a source gives no login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    DockerConfig(#[from] DockerConfigError),
    #[error("failed to set up TLS for {service}")]
    NoTrust {
        service: &'static str,
        source: reqwest::Error,
    },
    #[error("failed to reach {service}")]
    Unreachable {
        service: &'static str,
        source: reqwest::Error,
    },
    #[error("{service} answered with status {}{}", status.as_u16(), said(words))]
    Refused {
        service: &'static str,
        status: StatusCode,
        words: String,
    },
    /// What came is not shown: it may hold a secret.
    #[error("{service} gave an answer without {what}")]
    Incomplete {
        service: &'static str,
        what: &'static str,
    },
    #[error("the answer of {service} is larger than {bytes_max} bytes")]
    TooLarge {
        service: &'static str,
        bytes_max: usize,
    },
}

impl LoginError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Aws(error) => error.hint(),
            Self::DockerConfig(error) => error.hint(),
            Self::NoTrust { .. } => Some(
                "install CA certificates (the package `ca-certificates`), or set SSL_CERT_FILE",
            ),
            Self::Secret(_)
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => None,
        }
    }
}

fn said(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", saying `{words}`"),
    }
}
