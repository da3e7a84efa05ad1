//! Google Cloud: an access token of an identity there, which Artifact Registry and `gcr.io` take as the password of the
//! user `oauth2accesstoken`.
//!
//! <https://cloud.google.com/artifact-registry/docs/docker/authentication#token>. The identity is that of what runs here,
//! by the metadata server, or that of a credentials file: a service account's key, or what another identity provider
//! vouches for (workload identity federation).

use std::fmt;
use std::time::Duration;

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};
use url::{Host, Url};

use super::ask::{Asker, secure_url};
use super::jwt::{Algorithm, PrivateKey};
use super::wire::{
    AccessToken, CredentialSource, ExternalAccount, GoogleFile, ImpersonatedToken,
    ServiceAccountKey, SubjectFormat,
};
use super::{Environment, Login, LoginError};
use crate::secret::Secret;

/// Where the metadata server is, unless `GCE_METADATA_HOST` says otherwise, as with Google's own libraries.
const METADATA_HOST: &str = "metadata.google.internal";

const METADATA: &str = "Google's metadata server";
const TOKENS: &str = "Google's token service";
const EXCHANGE: &str = "Google's security token service";
const IMPERSONATION: &str = "Google's service account credentials service";
const PROVIDER: &str = "the identity provider of the Google credentials";

/// The least that reads images: what a pull needs, and what Artifact Registry's own interface asks of who reads.
///
/// <https://cloud.google.com/artifact-registry/docs/integrate-compute#permissions>,
/// <https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.dockerImages/list>
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/cloud-platform.read-only",
];

/// What it takes to speak for a service account; the token with it goes to no registry.
///
/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
const IMPERSONATION_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long a token is asked for: an hour, the longest that Google gives unless a policy says otherwise.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// How far the clock here may be ahead of Google's.
const BACKDATED_SECONDS: i64 = 30;

/// How long an assertion is good: it is used at once. Google takes up to an hour.
const ASSERTION_SECONDS: i64 = 10 * 60;

const TOKEN: &str = "an access token";

/// A Google Cloud identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Google {
    /// That of the program: of the credentials file that `GOOGLE_APPLICATION_CREDENTIALS` names, else the default service
    /// account of the metadata server.
    Ambient,
    /// The one that the settings name.
    Named(GoogleIdentity),
}

/// Which identity it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GoogleIdentity {
    /// A service account that the metadata server has for what runs here.
    Account(String),
    /// That of a credentials file, which is kept as secrets are.
    Key(Secret),
}

impl Google {
    /// Whether Google's registries have such names.
    pub(super) fn is_for(host: &str) -> bool {
        host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev")
    }

    /// Asks for a login, and how long it is good.
    pub(super) async fn grant(&self, asker: &Asker) -> Result<(Login, Duration), LoginError> {
        let (password, life) = match self.identity(&asker.environment) {
            GoogleIdentity::Account(account) => by_metadata(asker, &account).await?,
            GoogleIdentity::Key(place) => match read(&place)? {
                GoogleFile::ServiceAccount(key) => by_key(asker, &place, &key).await?,
                GoogleFile::ExternalAccount(account) => {
                    by_vouching(asker, &place, &account).await?
                }
                GoogleFile::Other => {
                    return Err(unusable(
                        &place,
                        "Google credentials of the type `service_account` or `external_account`",
                    ));
                }
            },
        };
        let username = "oauth2accesstoken".to_owned();
        Ok((Login::Basic { username, password }, life))
    }

    pub(super) fn identity(&self, environment: &Environment) -> GoogleIdentity {
        match self {
            Self::Named(identity) => identity.clone(),
            Self::Ambient => match environment.var("GOOGLE_APPLICATION_CREDENTIALS") {
                Some(path) => GoogleIdentity::Key(Secret::File(path.into())),
                None => GoogleIdentity::Account("default".to_owned()),
            },
        }
    }
}

/// <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>
async fn by_metadata(asker: &Asker, account: &str) -> Result<(SecretString, Duration), LoginError> {
    let host = asker.environment.var("GCE_METADATA_HOST");
    let host = host.as_deref().unwrap_or(METADATA_HOST);
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/{account}/token");
    let client = asker.near_client(METADATA)?;
    let request = || client.get(&url).header("Metadata-Flavor", "Google");
    let token: AccessToken = asker.ask(METADATA, TOKEN, request).await?;
    Ok(token.into_parts())
}

/// <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>
async fn by_key(
    asker: &Asker,
    place: &Secret,
    key: &ServiceAccountKey,
) -> Result<(SecretString, Duration), LoginError> {
    let url = secure(place, &key.token_uri)?;
    let private_key = PrivateKey::parse(&key.private_key.as_str().into())
        .ok_or_else(|| unusable(place, "private RSA key in PEM form"))?;
    let made = asker.now().as_second() - BACKDATED_SECONDS;
    let claims = json!({
        "iss": key.client_email,
        "scope": SCOPES.join(" "),
        "aud": key.token_uri,
        "iat": made,
        "exp": made + ASSERTION_SECONDS,
    });
    let header = json!({ "kid": key.private_key_id });
    let assertion = private_key.sign(Algorithm::Rs256, header, &claims);
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.expose_secret()),
    ];
    let client = asker.client(TOKENS)?;
    let request = || client.post(url.clone()).form(&form);
    let token: AccessToken = asker.ask(TOKENS, TOKEN, request).await?;
    Ok(token.into_parts())
}

/// Shows the token of another identity provider for one of Google's, and that one, where the file says so, for the
/// token of a service account.
///
/// <https://google.aip.dev/auth/4117>, <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
async fn by_vouching(
    asker: &Asker,
    place: &Secret,
    account: &ExternalAccount,
) -> Result<(SecretString, Duration), LoginError> {
    let url = secure(place, &account.token_url)?;
    let impersonation = account.service_account_impersonation_url.as_deref();
    let impersonation = impersonation.map(|url| secure(place, url)).transpose()?;
    let scope = match impersonation {
        Some(_) => IMPERSONATION_SCOPE.to_owned(),
        None => SCOPES.join(" "),
    };
    let subject = subject_token(asker, place, &account.credential_source).await?;
    let form = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", &account.audience),
        ("scope", &scope),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", &account.subject_token_type),
        ("subject_token", subject.expose_secret()),
    ];
    let client = asker.client(EXCHANGE)?;
    let request = || client.post(url.clone()).form(&form);
    let token: AccessToken = asker.ask(EXCHANGE, TOKEN, request).await?;
    let (token, life) = token.into_parts();
    let Some(url) = impersonation else {
        return Ok((token, life));
    };
    let wanted = json!({ "scope": SCOPES, "lifetime": format!("{}s", LIFE.as_secs()) });
    let request = || {
        let request = client.post(url.clone()).json(&wanted);
        request.bearer_auth(token.expose_secret())
    };
    let token: ImpersonatedToken = asker.ask(IMPERSONATION, TOKEN, request).await?;
    // As long as was asked for: the moment that comes with it is told by another clock.
    Ok((token.access_token.into(), LIFE))
}

/// The other provider's token, as it is now: such tokens are renewed in their file within the hour.
async fn subject_token(
    asker: &Asker,
    place: &Secret,
    source: &CredentialSource,
) -> Result<SecretString, LoginError> {
    let text = match (&source.file, &source.url) {
        (Some(file), None) => Secret::File(file.clone()).read()?,
        (None, Some(url)) => {
            let url = provider(url).ok_or_else(|| insecure(place))?;
            let client = match url.scheme() {
                "http" => asker.near_client(PROVIDER)?,
                _ => asker.client(PROVIDER)?,
            };
            let headers = &source.headers;
            let request = || {
                let request = client.get(url.clone());
                let add = |request: RequestBuilder, (name, value)| request.header(name, value);
                headers.iter().fold(request, add)
            };
            let body = asker.send(PROVIDER, request).await?;
            String::from_utf8_lossy(&body).trim().to_owned().into()
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(unusable(
                place,
                "`credential_source` with a `file` or a `url`",
            ));
        }
    };
    let Some(SubjectFormat::Json {
        subject_token_field_name,
    }) = &source.format
    else {
        return Ok(text);
    };
    let json: Option<Json> = serde_json::from_str(text.expose_secret()).ok();
    let field = json
        .as_ref()
        .and_then(|json| json.get(subject_token_field_name)?.as_str());
    field.map(SecretString::from).ok_or(LoginError::Incomplete {
        service: PROVIDER,
        what: "the field that `subject_token_field_name` names",
    })
}

/// Whom the token of another provider is asked of: as secure as all else, or the metadata server of another cloud.
fn provider(text: &str) -> Option<Url> {
    let url: Option<Url> = text.parse().ok();
    let is_near = |url: &Url| match url.host() {
        Some(Host::Ipv4(address)) => url.scheme() == "http" && address.is_link_local(),
        _ => false,
    };
    secure_url(text).or(url.filter(is_near))
}

fn read(place: &Secret) -> Result<GoogleFile, LoginError> {
    let text = place.read()?;
    let file = serde_json::from_str(text.expose_secret()).ok();
    file.ok_or_else(|| unusable(place, "Google credentials in JSON"))
}

fn secure(place: &Secret, url: &str) -> Result<Url, LoginError> {
    secure_url(url).ok_or_else(|| insecure(place))
}

fn insecure(place: &Secret) -> LoginError {
    LoginError::Insecure {
        place: place.to_string(),
    }
}

fn unusable(place: &Secret, wanted: &'static str) -> LoginError {
    LoginError::Unusable {
        place: place.to_string(),
        wanted,
    }
}

impl fmt::Display for GoogleIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => {
                write!(
                    f,
                    "the service account `{account}` of Google's metadata server"
                )
            }
            Self::Key(place) => write!(f, "the Google credentials in {place}"),
        }
    }
}

#[cfg(test)]
mod tests;
