//! Why a forge could not be read or would not do what was asked, in words that serve a person.
//!
//! Invariant: no message holds a credential, or a URL that may carry one.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use reqwest::StatusCode;

use crate::login::{AuthoritiesError, LoginError};

/// Why a request to a forge came to nothing. `what` is what was to be done: `open a pull request in `acme/deploy``.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgeError {
    #[error("`{host}` would be asked without TLS, which the settings do not allow")]
    PlainHttp { host: String },
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("failed to set up TLS for `{host}`")]
    NoTls {
        host: String,
        source: reqwest::Error,
    },
    #[error("failed to reach `{host}`")]
    Unreachable {
        host: String,
        source: reqwest::Error,
    },
    #[error("`{host}` took too long to {what}")]
    TimedOut { host: String, what: String },
    #[error("failed to read the credentials for `{host}`")]
    Credentials {
        host: String,
        source: Box<LoginError>,
    },
    #[error("the credentials for `{host}` cannot be sent: {place} holds what no header may hold")]
    CredentialsUnusable { host: String, place: String },
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
    #[error(
        "`{host}` does not find what it takes to {what}: it does not exist, or {credentials} may not see it"
    )]
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
    /// What the forge may do once checks have run, or once it has looked at what was just pushed.
    #[error("`{host}` would not {what} yet: {words}")]
    NotYet {
        host: String,
        what: String,
        words: String,
    },
    #[error("`{host}` redirects to `{to}` when asked to {what}, which is not followed")]
    Redirected {
        host: String,
        what: String,
        to: String,
    },
    #[error("`{host}` answered what towpath does not understand when asked to {what}: {why}")]
    Malformed {
        host: String,
        what: String,
        why: String,
    },
    #[error("the answer of `{host}` when asked to {what} is larger than {bytes_max} bytes")]
    TooLarge {
        host: String,
        what: String,
        bytes_max: usize,
    },
    #[error("`{host}` has more than {pages_max} pages when asked to {what}")]
    TooManyPages {
        host: String,
        what: String,
        pages_max: usize,
    },
    #[error("`{host}` cannot {what}")]
    Unsupported { host: String, what: &'static str },
}

impl ForgeError {
    /// Whether the same request may be answered later, with nothing changed by anybody.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Limited { .. }
            | Self::NotYet { .. } => true,
            Self::Rejected { status, .. } => status.is_server_error(),
            Self::PlainHttp { .. }
            | Self::Authorities(_)
            | Self::NoTls { .. }
            | Self::Credentials { .. }
            | Self::CredentialsUnusable { .. }
            | Self::Refused { .. }
            | Self::Exists { .. }
            | Self::NotFound { .. }
            | Self::Redirected { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::Unsupported { .. } => false,
        }
    }

    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Credentials { host: _, source } => source.hint(),
            Self::PlainHttp { .. } => {
                Some("use https, or set `plain-http: true` of the repository")
            }
            Self::Unreachable { source, .. } if is_about_trust(source) => Some(
                "if the forge has a certificate of your own authority, name it as `ca-file` of the repository",
            ),
            Self::Refused { .. } => Some(
                "the credentials need write access to pull requests, commit statuses and contents; a token may have expired",
            ),
            Self::NotFound { .. } => Some(
                "check `url`; forges also say so when the credentials may not see the repository, or lack a right",
            ),
            Self::Redirected { .. } => {
                Some("the repository may have moved: set `url` to its new address")
            }
            Self::Limited { .. } => Some("nothing is lost: the next round after that time goes on"),
            Self::Malformed { .. } => Some(
                "is it the API of this product? `forge` of the repository says which product is there",
            ),
            Self::Authorities(_)
            | Self::NoTls { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::CredentialsUnusable { .. }
            | Self::Exists { .. }
            | Self::Rejected { .. }
            | Self::NotYet { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages { .. }
            | Self::Unsupported { .. } => None,
        }
    }
}

fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    let wrapped = io.and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|inner| is_about_trust(inner))
        || error.source().is_some_and(is_about_trust)
}
