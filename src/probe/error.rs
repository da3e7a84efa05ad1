//! Why a server could not be asked, or did not answer the question.

use reqwest::StatusCode;

use crate::login::AuthoritiesError;
use crate::secret::SecretError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("`{url}` is not the URL of a server")]
    NotAUrl { url: String },
    #[error("`{host}` would be asked without TLS, which the settings do not allow")]
    PlainHttp { host: String },
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("failed to set up TLS for `{host}`")]
    NoTls {
        host: String,
        source: reqwest::Error,
    },
    #[error("there is no secret for `{host}`")]
    Secret { host: String, source: SecretError },
    #[error("the header `{name}` for `{host}` cannot be sent")]
    HeaderUnusable { host: String, name: String },
    #[error("failed to reach `{host}`")]
    Unreachable {
        host: String,
        source: reqwest::Error,
    },
    #[error("`{host}` did not answer in time")]
    TimedOut { host: String },
    #[error("the answer of `{host}` is larger than {bytes_max} bytes")]
    TooLarge { host: String, bytes_max: usize },
    #[error("`{host}` answered {}: {words}", status.as_u16())]
    Refused {
        host: String,
        status: StatusCode,
        words: String,
    },
    #[error("`{host}` answered {what}")]
    NotUnderstood { host: String, what: &'static str },
    /// What it could not read is missing from its answer.
    #[error("`{host}` answered with a warning: {words}")]
    Warned { host: String, words: String },
}

impl ProbeError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotAUrl { .. } => Some("a URL begins with `https://`".to_owned()),
            Self::PlainHttp { host } => Some(format!(
                "use https, or write `{host}: {{ plain-http: true }}` under `servers` in the settings"
            )),
            Self::HeaderUnusable { .. } => {
                Some("a header is one line of letters, digits and signs".to_owned())
            }
            Self::Refused { host, status, .. }
                if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
            {
                Some(format!(
                    "`credentials` of `{host}` stand under `servers` in the settings"
                ))
            }
            Self::NotUnderstood { .. } => {
                Some("the `url` of Prometheus is its root, without `/api/v1`".to_owned())
            }
            Self::Authorities(_)
            | Self::NoTls { .. }
            | Self::Secret { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Refused { .. }
            | Self::Warned { .. } => None,
        }
    }
}
