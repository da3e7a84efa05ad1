//! The JSON of Docker config files and of services that give logins, as much of it as is used. Fields that are not named
//! here may be anything.
//!
//! Invariant: nothing here has a `Debug`, for it holds secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
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

/// The dates of a JSON Web Token: <https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4>.
#[derive(Deserialize)]
pub(super) struct Lifetime {
    pub(super) iat: u64,
    pub(super) exp: u64,
}

/// What Microsoft's services give; their managed identities write numbers as texts, or leave them out.
#[derive(Deserialize)]
pub(super) struct EntraToken {
    pub(super) access_token: String,
}

/// What a registry in Azure gives for a token of Microsoft Entra.
#[derive(Deserialize)]
pub(super) struct AcrToken {
    pub(super) refresh_token: String,
}

/// An installation of a GitHub App.
#[derive(Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
}

/// The token of an installation.
#[derive(Deserialize)]
pub(super) struct InstallationToken {
    pub(super) token: String,
}

/// A file with Google credentials: <https://google.aip.dev/auth/4110>.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum GoogleFile {
    ServiceAccount(ServiceAccountKey),
    ExternalAccount(ExternalAccount),
    #[serde(other)]
    Other,
}

/// <https://google.aip.dev/auth/4112>
#[derive(Deserialize)]
pub(super) struct ServiceAccountKey {
    pub(super) client_email: String,
    pub(super) private_key: String,
    pub(super) private_key_id: String,
    pub(super) token_uri: String,
}

/// <https://google.aip.dev/auth/4117>
#[derive(Deserialize)]
pub(super) struct ExternalAccount {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) service_account_impersonation_url: Option<String>,
    pub(super) credential_source: CredentialSource,
}

/// Where the token of the other identity provider is; of `file` and `url` one is there.
#[derive(Deserialize)]
pub(super) struct CredentialSource {
    pub(super) file: Option<PathBuf>,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) format: Option<SubjectFormat>,
}

/// How it is written there; without this, it is all of it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum SubjectFormat {
    Text,
    Json { subject_token_field_name: String },
}

/// The token of a service account that another identity may speak for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImpersonatedToken {
    pub(super) access_token: String,
}

/// What a program that keeps logins writes:
/// <https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HelperAnswer {
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    pub(super) secret: String,
}

/// An access token, as OAuth 2.0 services give it: <https://www.rfc-editor.org/rfc/rfc6749#section-5.1>.
#[derive(Deserialize)]
pub(super) struct AccessToken {
    pub(super) access_token: String,
    /// In seconds.
    pub(super) expires_in: u64,
}

impl AccessToken {
    /// The token, and how long it is good.
    pub(super) fn into_parts(self) -> (SecretString, Duration) {
        let Self {
            access_token,
            expires_in,
        } = self;
        (access_token.into(), Duration::from_secs(expires_in))
    }
}
