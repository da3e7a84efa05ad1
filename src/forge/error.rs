//! Why a forge could not be read or would not do what was asked, in words that serve a person.
//!
//! Invariant: no message holds a credential, or a URL that may carry one.

use jiff::Timestamp;
use reqwest::StatusCode;

use crate::secret::SecretError;

/// Why a request to a forge came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgeError {
    #[error("failed to reach `{host}`")]
    Unreachable {
        host: String,
        source: reqwest::Error,
    },
    #[error("failed to read the credentials for `{host}`")]
    Credentials { host: String, source: SecretError },
    #[error("`{host}` refused {credentials} to {what}: {words}")]
    Refused {
        host: String,
        /// Where they come from, or that there are none.
        credentials: String,
        what: String,
        words: String,
    },
    #[error("`{host}` takes no more requests until {until}")]
    Limited { host: String, until: Timestamp },
    /// An open pull request has that branch already.
    #[error("`{host}` has an open pull request for `{head}` already")]
    Exists { host: String, head: String },
    #[error("{what} does not exist on `{host}`, or {credentials} may not see it")]
    NotFound {
        host: String,
        what: String,
        credentials: String,
    },
    #[error("`{host}` would not {what} ({}): {words}", status.as_u16())]
    Rejected {
        host: String,
        what: String,
        status: StatusCode,
        words: String,
    },
    #[error("`{host}` answered what towpath does not understand when asked to {what}: {why}")]
    Malformed {
        host: String,
        what: String,
        why: String,
    },
    #[error("`{host}` cannot {what}")]
    Unsupported { host: String, what: &'static str },
}
