//! How we prove who asks: what is shown to each product, read anew for each request.
//!
//! Invariant: no value stands in an error, and the header that holds one is marked as a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::ForgeError;
use crate::secret::{Credentials as Own, Secret};

/// How we prove who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The settings say it.
    Own(Own),
}

/// How a token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// `Authorization: Bearer TOKEN`.
    Bearer,
    /// `Authorization: token TOKEN`.
    Token,
    /// As the password of this user.
    PasswordOf(&'static str),
}

impl Credentials {
    /// The value of `Authorization` for `host`; `token` says how a token is shown there.
    pub(super) fn header(
        &self,
        host: &str,
        token: fn(&str) -> Shown,
    ) -> Result<HeaderValue, ForgeError> {
        let read = |secret: &Secret| {
            secret.read().map_err(|source| ForgeError::Credentials {
                host: host.to_owned(),
                source,
            })
        };
        let Self::Own(own) = self;
        let text = match own {
            Own::Basic { username, password } => basic(username, &read(password)?),
            Own::Token(kept) => {
                let kept = read(kept)?;
                let secret = kept.expose_secret();
                match token(secret) {
                    Shown::Bearer => format!("Bearer {secret}").into(),
                    Shown::Token => format!("token {secret}").into(),
                    Shown::PasswordOf(username) => basic(username, &kept),
                }
            }
        };
        let value = HeaderValue::from_str(text.expose_secret());
        let mut value = value.map_err(|_| ForgeError::CredentialsUnusable {
            host: host.to_owned(),
            place: self.place(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Where they come from, for messages.
    pub(super) fn place(&self) -> String {
        let Self::Own(own) = self;
        match own {
            Own::Token(token) => format!("the token in {token}"),
            Own::Basic { username, password } => {
                format!("the user `{username}` with the password in {password}")
            }
        }
    }
}

fn basic(username: &str, password: &SecretString) -> SecretString {
    let both = format!("{username}:{}", password.expose_secret());
    format!("Basic {}", STANDARD.encode(both)).into()
}
