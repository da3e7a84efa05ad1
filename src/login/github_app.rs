//! A GitHub App: the token of one of its installations, which GitHub's registries and git servers take as the password of
//! any user.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation>.
//! Of a registry's token only what it needs is asked for; nothing here knows of registries else.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::ask::Asker;
use super::jwt::{Algorithm, PrivateKey};
use super::wire::{Installation, InstallationToken};
use super::{Login, LoginError, Target};
use crate::secret::Secret;

/// Where GitHub's own interface is; a GitHub Enterprise Server has one of its own.
const API: &str = "https://api.github.com";

/// The version of that interface that is spoken.
const API_VERSION: &str = "2022-11-28";

/// How far the clock here may be ahead of GitHub's, as GitHub proposes; and how long an assertion is good in all, where
/// GitHub allows 10 minutes from now.
///
/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
const BACKDATED_SECONDS: i64 = 60;
const ASSERTION_SECONDS: i64 = 10 * 60;

/// How long an installation's token is good. GitHub tells the moment too, but by another clock.
const LIFE: Duration = Duration::from_secs(60 * 60);

const GITHUB: &str = "GitHub";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Images are read, and nothing more.
    Packages,
    /// A manifests repository: all that the app may do. Which rights those are (contents, and where pull requests are
    /// opened, these and statuses) stands in the app's own settings: a token that asks for a right that the app lacks is
    /// refused whole.
    Repository,
}

/// An app that is installed where the images are, or the manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GithubApp {
    /// Its id, or its client id.
    pub(crate) app_id: String,
    /// Which installation; `None` for the only one.
    pub(crate) installation_id: Option<u64>,
    pub(crate) private_key: Secret,
    /// The interface of a GitHub Enterprise Server; `None` for GitHub's own.
    pub(crate) api: Option<Url>,
    pub(crate) purpose: Purpose,
}

impl GithubApp {
    /// Whether GitHub's registries have such names; a GitHub Enterprise Server may have any.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.api.is_some() || host == "ghcr.io"
    }

    /// Asks for a login, and how long it is good.
    pub(super) async fn grant(
        &self,
        asker: &Asker,
        target: &Target,
    ) -> Result<(Login, Duration), LoginError> {
        let password = self.token(asker, target).await?;
        let username = "x-access-token".to_owned();
        Ok((Login::Basic { username, password }, LIFE))
    }

    /// A token of the installation for the purpose.
    ///
    /// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
    async fn token(&self, asker: &Asker, target: &Target) -> Result<SecretString, LoginError> {
        let client = match &self.api {
            // Registry and interface are one server's, and so are its authorities.
            Some(_) => asker.registry_client(GITHUB, &target.authorities)?,
            None => asker.client(GITHUB)?,
        };
        let assertion = self.assertion(asker)?;
        let installation = match self.installation_id {
            Some(id) => id,
            None => self.only_installation(asker, client, &assertion).await?,
        };
        let url = self.url(&[
            "app",
            "installations",
            &installation.to_string(),
            "access_tokens",
        ]);
        let wanted = match self.purpose {
            Purpose::Packages => json!({ "permissions": { "packages": "read" } }),
            Purpose::Repository => json!({}),
        };
        let request = || marked(client.post(url.clone()), &assertion).json(&wanted);
        let token: InstallationToken = asker.ask(GITHUB, "a token", request).await?;
        Ok(token.token.into())
    }

    /// <https://docs.github.com/en/rest/apps/apps#list-installations-for-the-authenticated-app>
    async fn only_installation(
        &self,
        asker: &Asker,
        client: &Client,
        assertion: &SecretString,
    ) -> Result<u64, LoginError> {
        let url = self.url(&["app", "installations"]);
        let request = || marked(client.get(url.clone()), assertion).query(&[("per_page", "2")]);
        let all: Vec<Installation> = asker
            .ask(GITHUB, "a list of installations", request)
            .await?;
        match &all[..] {
            [only] => Ok(only.id),
            [] => Err(LoginError::NotInstalled),
            [..] => Err(LoginError::ManyInstallations),
        }
    }

    fn assertion(&self, asker: &Asker) -> Result<SecretString, LoginError> {
        let key = PrivateKey::parse(&self.private_key.read()?);
        let key = key.ok_or_else(|| LoginError::Unusable {
            place: self.private_key.to_string(),
            wanted: "private RSA key in PEM form",
        })?;
        let made = asker.now().as_second() - BACKDATED_SECONDS;
        let claims = json!({ "iss": self.app_id, "iat": made, "exp": made + ASSERTION_SECONDS });
        Ok(key.sign(Algorithm::Rs256, json!({}), &claims))
    }

    fn url(&self, path: &[&str]) -> Url {
        let own = || Url::parse(API).expect("this is a URL");
        let mut url = self.api.clone().unwrap_or_else(own);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

fn marked(request: RequestBuilder, assertion: &SecretString) -> RequestBuilder {
    let request = request.bearer_auth(assertion.expose_secret());
    let request = request.header("Accept", "application/vnd.github+json");
    request.header("X-GitHub-Api-Version", API_VERSION)
}

impl fmt::Display for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            app_id,
            private_key,
            installation_id: _,
            api: _,
            purpose: _,
        } = self;
        write!(f, "the GitHub App `{app_id}` with the key in {private_key}")
    }
}

#[cfg(test)]
mod tests;
