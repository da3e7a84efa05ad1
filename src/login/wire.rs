//! The JSON of Docker config files and of services that give logins, as much of it as is used. Fields that are not named
//! here may be anything.
//!
//! Invariant: nothing here has a `Debug`, for it holds secrets.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A whole Docker config file.
#[derive(Deserialize)]
pub(super) struct DockerConfigFile {
    pub(super) auths: Option<BTreeMap<String, Option<Entry>>>,
    /// The name of a program's end by registry: `ecr-login` is `docker-credential-ecr-login`.
    #[serde(rename = "credHelpers")]
    pub(super) helpers: Option<BTreeMap<String, String>>,
    /// The name of the program that has what the entries leave out.
    #[serde(rename = "credsStore")]
    pub(super) store: Option<String>,
}

/// The login of one registry or of a part of it.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) auth: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) identitytoken: Option<String>,
    pub(super) registrytoken: Option<String>,
}

/// An access token, as OAuth 2.0 services give it: <https://www.rfc-editor.org/rfc/rfc6749#section-5.1>.
#[derive(Deserialize)]
pub(super) struct AccessToken {
    pub(super) access_token: String,
    /// In seconds.
    pub(super) expires_in: u64,
}
