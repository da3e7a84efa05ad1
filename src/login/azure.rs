//! Azure: a token of Microsoft Entra for an identity there, exchanged at the registry for the password of the user
//! [`USERNAME`].
//!
//! <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>. The identity is an application with a secret or a
//! certificate, or the one that a pod, an app or a machine in Azure has.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::ask::{Asker, secure_url};
use super::jwt::{self, Algorithm, PrivateKey};
use super::wire::{AcrToken, EntraToken};
use super::{Environment, Login, LoginError, Target};
use crate::secret::{Secret, SecretError};

/// Who shows a token of the exchange: nobody by name, since the token says it.
const USERNAME: &str = "00000000-0000-0000-0000-000000000000";

/// What the token is for: registries and nothing else of Azure's, in every cloud.
///
/// <https://learn.microsoft.com/en-us/azure/container-registry/container-registry-disable-authentication-as-arm>
const RESOURCE: &str = "https://containerregistry.azure.net";

/// Where Microsoft Entra is, by the end of the registry's name; elsewhere it is the first. `AZURE_AUTHORITY_HOST` says
/// otherwise, as with Microsoft's own libraries.
///
/// <https://learn.microsoft.com/en-us/entra/identity-platform/authentication-national-cloud>
const AUTHORITIES: [(&str, &str); 3] = [
    (".azurecr.io", "https://login.microsoftonline.com"),
    (".azurecr.cn", "https://login.chinacloudapi.cn"),
    (".azurecr.us", "https://login.microsoftonline.us"),
];

/// Where a machine in Azure finds its identity, unless `AZURE_POD_IDENTITY_AUTHORITY_HOST` says otherwise.
const MACHINE: &str = "http://169.254.169.254";

/// How long a certificate's assertion is good: it is used at once, and a clock may be off.
///
/// <https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials#claims-payload>
const ASSERTION_SECONDS: i64 = 10 * 60;

/// How far the clock here may be ahead of Microsoft's.
const BACKDATED_SECONDS: i64 = 60;

/// How long a registry's token is good if it does not say: they give three hours.
const LIFE_DEFAULT: Duration = Duration::from_secs(60 * 60);

const ENTRA: &str = "Microsoft Entra";
const APP_SERVICE: &str = "the identity service of this Azure app";
const METADATA: &str = "Azure's instance metadata service";
const REGISTRY: &str = "the registry's token exchange";
const TOKEN: &str = "an access token";

/// An identity in Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Azure {
    /// That of the program: of the pod by workload identity, else of the app, else of the machine. What the settings
    /// say of it counts before the environment.
    Ambient {
        tenant_id: Option<String>,
        client_id: Option<String>,
    },
    /// An application that proves itself.
    Application {
        tenant_id: String,
        client_id: String,
        proof: Proof,
    },
}

/// How an application proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Secret(Secret),
    /// A private key and its certificate, in PEM form.
    Certificate(Secret),
}

/// Which identity the program has.
enum Ambient {
    /// A token of the pod's cluster is in this file, and renewed there.
    Workload(Secret),
    App {
        endpoint: String,
        header: SecretString,
    },
    Machine,
}

impl Azure {
    /// Whether Azure's registries have such names.
    pub(super) fn is_for(host: &str) -> bool {
        AUTHORITIES.iter().any(|(end, _)| host.ends_with(end))
    }

    /// Asks for a login to the registry at `target`, and how long it is good.
    pub(super) async fn grant(
        &self,
        asker: &Asker,
        target: &Target,
    ) -> Result<(Login, Duration), LoginError> {
        let token = self.token(asker, &target.host).await?;
        let url = target
            .origin
            .join("oauth2/exchange")
            .expect("a path is joined to an origin");
        let service = target.origin.host_str().unwrap_or_default();
        let form = [
            ("grant_type", "access_token"),
            ("service", service),
            ("access_token", token.expose_secret()),
        ];
        let client = asker.registry_client(REGISTRY, &target.authorities)?;
        let request = || client.post(url.clone()).form(&form);
        let AcrToken { refresh_token } = asker.ask(REGISTRY, "a refresh token", request).await?;
        let life = jwt::life(&refresh_token).unwrap_or(LIFE_DEFAULT);
        let login = Login::Basic {
            username: USERNAME.to_owned(),
            password: refresh_token.into(),
        };
        Ok((login, life))
    }

    /// A token of Microsoft Entra.
    async fn token(&self, asker: &Asker, host: &str) -> Result<SecretString, LoginError> {
        let environment = &asker.environment;
        match self {
            Self::Application {
                tenant_id,
                client_id,
                proof,
            } => {
                let url = endpoint(environment, host, tenant_id)?;
                let proof = match proof {
                    Proof::Secret(secret) => ("client_secret", secret.read()?),
                    Proof::Certificate(place) => (
                        "client_assertion",
                        assertion(asker, place, (client_id, &url))?,
                    ),
                };
                by_application(asker, url, client_id, proof).await
            }
            Self::Ambient {
                tenant_id,
                client_id,
            } => {
                let client_id = said(environment, client_id.as_ref(), "AZURE_CLIENT_ID");
                match Ambient::of(environment) {
                    Ambient::Workload(file) => {
                        let tenant_id = said(environment, tenant_id.as_ref(), "AZURE_TENANT_ID")?;
                        let url = endpoint(environment, host, &tenant_id)?;
                        let proof = ("client_assertion", file.read()?);
                        by_application(asker, url, &client_id?, proof).await
                    }
                    Ambient::App { endpoint, header } => {
                        by_app(asker, (&endpoint, &header), client_id.ok()).await
                    }
                    Ambient::Machine => by_machine(asker, client_id.ok()).await,
                }
            }
        }
    }

    /// Which identity it is, for messages.
    pub(super) fn place(&self, environment: &Environment) -> String {
        let client_id = match self {
            Self::Ambient { client_id, .. } => client_id,
            Self::Application {
                client_id, proof, ..
            } => return format!("the Azure application `{client_id}` with the {proof}"),
        };
        let client_id = said(environment, client_id.as_ref(), "AZURE_CLIENT_ID");
        let client_id = client_id.map(|id| format!(" `{id}`")).unwrap_or_default();
        match Ambient::of(environment) {
            Ambient::Workload(file) => {
                format!("the Azure workload identity{client_id} by the token in {file}")
            }
            Ambient::App { .. } => format!("the managed identity{client_id} of this Azure app"),
            Ambient::Machine => format!("the managed identity{client_id} of this machine in Azure"),
        }
    }
}

impl Ambient {
    /// As Azure's webhook for pods and its App Service set it.
    ///
    /// <https://azure.github.io/azure-workload-identity/docs/concepts.html>,
    /// <https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference>
    fn of(environment: &Environment) -> Self {
        if let Some(file) = environment.var("AZURE_FEDERATED_TOKEN_FILE") {
            return Self::Workload(Secret::File(file.into()));
        }
        let app = (
            environment.var("IDENTITY_ENDPOINT"),
            environment.var("IDENTITY_HEADER"),
        );
        match app {
            (Some(endpoint), Some(header)) => Self::App {
                endpoint,
                header: header.into(),
            },
            (None, _) | (_, None) => Self::Machine,
        }
    }
}

/// <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow#get-a-token>
async fn by_application(
    asker: &Asker,
    url: Url,
    client_id: &str,
    (kind, proof): (&'static str, SecretString),
) -> Result<SecretString, LoginError> {
    let scope = format!("{RESOURCE}/.default");
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", &scope),
        (kind, proof.expose_secret()),
    ];
    if kind == "client_assertion" {
        let jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        form.push(("client_assertion_type", jwt));
    }
    let client = asker.client(ENTRA)?;
    let request = || client.post(url.clone()).form(&form);
    let EntraToken { access_token } = asker.ask(ENTRA, TOKEN, request).await?;
    Ok(access_token.into())
}

/// <https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference>
async fn by_app(
    asker: &Asker,
    (endpoint, header): (&str, &SecretString),
    client_id: Option<String>,
) -> Result<SecretString, LoginError> {
    let mut query = vec![("api-version", "2019-08-01"), ("resource", RESOURCE)];
    query.extend(client_id.as_deref().map(|id| ("client_id", id)));
    let client = asker.near_client(APP_SERVICE)?;
    let request = || {
        let request = client.get(endpoint).query(&query);
        request.header("X-IDENTITY-HEADER", header.expose_secret())
    };
    let EntraToken { access_token } = asker.ask(APP_SERVICE, TOKEN, request).await?;
    Ok(access_token.into())
}

/// <https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http>
async fn by_machine(asker: &Asker, client_id: Option<String>) -> Result<SecretString, LoginError> {
    let host = asker.environment.var("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let host = host.as_deref().unwrap_or(MACHINE).trim_end_matches('/');
    let url = format!("{host}/metadata/identity/oauth2/token");
    let mut query = vec![("api-version", "2018-02-01"), ("resource", RESOURCE)];
    query.extend(client_id.as_deref().map(|id| ("client_id", id)));
    let client = asker.near_client(METADATA)?;
    let request = || client.get(&url).query(&query).header("Metadata", "true");
    let EntraToken { access_token } = asker.ask(METADATA, TOKEN, request).await?;
    Ok(access_token.into())
}

/// Where Microsoft Entra gives tokens to those of a tenant.
fn endpoint(environment: &Environment, host: &str, tenant_id: &str) -> Result<Url, LoginError> {
    let variable = "AZURE_AUTHORITY_HOST";
    let of_host = AUTHORITIES.iter().find(|(end, _)| host.ends_with(end));
    let (_, of_host) = of_host.unwrap_or(&AUTHORITIES[0]);
    let mut url = match environment.var(variable) {
        Some(url) => secure_url(&url).ok_or_else(|| LoginError::Insecure {
            place: Secret::Env(variable.to_owned()).to_string(),
        })?,
        None => Url::parse(of_host).expect("these are URLs"),
    };
    let mut segments = url.path_segments_mut().expect("an http URL has segments");
    segments
        .pop_if_empty()
        .extend([tenant_id, "oauth2", "v2.0", "token"]);
    drop(segments);
    Ok(url)
}

/// What the settings say, else the variable.
fn said(
    environment: &Environment,
    written: Option<&String>,
    variable: &str,
) -> Result<String, SecretError> {
    let said = written.cloned().or_else(|| environment.var(variable));
    said.ok_or_else(|| SecretError::Unset {
        name: variable.to_owned(),
    })
}

/// What a certificate's owner shows instead of a secret.
///
/// <https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials>
fn assertion(
    asker: &Asker,
    place: &Secret,
    (client_id, url): (&str, &Url),
) -> Result<SecretString, LoginError> {
    let unusable = |wanted| LoginError::Unusable {
        place: place.to_string(),
        wanted,
    };
    let pem = place.read()?;
    let key = PrivateKey::parse(&pem).ok_or_else(|| unusable("private RSA key in PEM form"))?;
    let certificate = CertificateDer::from_pem_slice(pem.expose_secret().as_bytes());
    let certificate = certificate.map_err(|_| unusable("certificate in PEM form"))?;
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
    let made = asker.now().as_second() - BACKDATED_SECONDS;
    let claims = json!({
        "aud": url.as_str(),
        "iss": client_id,
        "sub": client_id,
        "jti": format!("{:032x}", fastrand::u128(..)),
        "nbf": made,
        "iat": made,
        "exp": made + ASSERTION_SECONDS,
    });
    Ok(key.sign(Algorithm::Ps256, json!({ "x5t#S256": thumbprint }), &claims))
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(place) => write!(f, "secret in {place}"),
            Self::Certificate(place) => write!(f, "certificate in {place}"),
        }
    }
}

#[cfg(test)]
mod tests;
