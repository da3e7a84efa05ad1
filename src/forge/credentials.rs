//! How we prove who asks: what is shown to each product, found anew for each request.
//!
//! Invariant: no value stands in an error, and the header that holds one is marked as a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Certificate;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::error::ForgeError;
use crate::login::{Clock, Environment, Found, Login, Logins, Source, SourcesByPath, Target};

/// The user whose password is the token of a GitHub App's installation. The API takes it as a bearer's.
const APP_USER: &str = "x-access-token";

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

/// The logins for one forge.
pub(super) struct Credentials {
    logins: Logins,
    host: String,
    /// Where they come from, for messages.
    place: String,
}

impl Credentials {
    pub(super) fn new(
        source: Source,
        (host, api): (&str, &Url),
        authorities: Vec<Certificate>,
        clock: Clock,
    ) -> Self {
        let environment = Environment::default();
        let place = source.place(&environment);
        let target = Target {
            host: host.to_owned(),
            origin: api.clone(),
            authorities,
        };
        Self {
            logins: Logins::new(target, SourcesByPath::from(source), environment, clock),
            host: host.to_owned(),
            place,
        }
    }

    /// The login as it is now.
    pub(super) async fn find(&self) -> Result<Login, ForgeError> {
        let found = self.logins.find("").await;
        let found = found.map(|Found { login, place: _ }| login);
        found.map_err(|source| ForgeError::Credentials {
            host: self.host.clone(),
            source: Box::new(source),
        })
    }

    /// Whether another login may fare better than the one that was refused.
    pub(super) async fn renews(&self, refused: &Login) -> bool {
        self.logins.refused("", refused).await
    }

    /// The value of `Authorization`; `token` says how a token is shown there.
    pub(super) fn header(
        &self,
        login: &Login,
        token: fn(&str) -> Shown,
    ) -> Result<Option<HeaderValue>, ForgeError> {
        let text = match login {
            Login::Anonymous => return Ok(None),
            Login::Basic { username, password } if username == APP_USER => {
                format!("Bearer {}", password.expose_secret()).into()
            }
            Login::Basic { username, password } => basic(username, password),
            Login::Bearer(kept) | Login::Identity(kept) => {
                let secret = kept.expose_secret();
                match token(secret) {
                    Shown::Bearer => format!("Bearer {secret}").into(),
                    Shown::Token => format!("token {secret}").into(),
                    Shown::PasswordOf(username) => basic(username, kept),
                }
            }
        };
        let value = HeaderValue::from_str(text.expose_secret());
        let mut value = value.map_err(|_| ForgeError::CredentialsUnusable {
            host: self.host.clone(),
            place: self.place.clone(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Where they come from, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

fn basic(username: &str, password: &SecretString) -> SecretString {
    let both = format!("{username}:{}", password.expose_secret());
    format!("Basic {}", STANDARD.encode(both)).into()
}
