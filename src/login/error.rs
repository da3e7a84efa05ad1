//! Why there is no login, in words that serve a person. Names the source, never a value.

use std::sync::Arc;

use reqwest::StatusCode;

use super::helper::HelperError;
use super::kubernetes::KubernetesError;
use super::{AwsError, DockerConfigError};
use crate::secret::SecretError;

/// Why a source gives no login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    DockerConfig(#[from] DockerConfigError),
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error(transparent)]
    Kubernetes(#[from] Arc<KubernetesError>),
    #[error("failed to set up TLS for {service}")]
    NoTrust {
        service: &'static str,
        source: reqwest::Error,
    },
    #[error("failed to reach {service}")]
    Unreachable {
        service: &'static str,
        source: reqwest::Error,
    },
    #[error("{service} answered with status {}{}", status.as_u16(), said(words))]
    Refused {
        service: &'static str,
        status: StatusCode,
        words: String,
    },
    #[error("failed to get a login for {place}")]
    NotGranted { place: String, source: Arc<Self> },
    /// What is there is not shown: it is, or was meant to be, a secret.
    #[error("{place} holds no {wanted}")]
    Unusable { place: String, wanted: &'static str },
    #[error("{place} names a service that is not asked over https")]
    Insecure { place: String },
    #[error("the GitHub App is not installed anywhere")]
    NotInstalled,
    #[error("the GitHub App is installed in several places")]
    ManyInstallations,
    /// What came is not shown: it may hold a secret.
    #[error("{service} gave an answer without {what}")]
    Incomplete {
        service: &'static str,
        what: &'static str,
    },
    #[error("the answer of {service} is larger than {bytes_max} bytes")]
    TooLarge {
        service: &'static str,
        bytes_max: usize,
    },
}

/// What a person can do about a refusal: by whose service it is, and a part of what that says; the first counts.
///
/// <https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes>,
/// <https://developers.google.com/identity/protocols/oauth2/service-account#error-codes>
const REFUSALS: [(&str, &str, &str); 19] = [
    (
        "Entra",
        "AADSTS7000215",
        "this is not the application's client secret: its value is wanted, not its id",
    ),
    (
        "Entra",
        "AADSTS7000222",
        "the application's client secret has expired: make a new one",
    ),
    (
        "Entra",
        "AADSTS700016",
        "the tenant knows no such application: check `tenant-id` and `client-id`",
    ),
    (
        "Entra",
        "AADSTS90002",
        "there is no such tenant in this cloud: check `tenant-id`",
    ),
    (
        "Entra",
        "AADSTS700027",
        "give this certificate to the application in Microsoft Entra, unless it has expired",
    ),
    (
        "Entra",
        "AADSTS700024",
        "check the clock, and that the file of the token is renewed",
    ),
    (
        "Entra",
        "AADSTS70021",
        "give the identity a federated credential with the issuer of this cluster and the subject \
         `system:serviceaccount:NAMESPACE:NAME`",
    ),
    (
        "Entra",
        "AADSTS500011",
        "the tenant does not know Azure's registries: its administrator adds the application \
         `Azure Container Registry`",
    ),
    (
        "Azure",
        "Identity not found",
        "give what runs here a managed identity, and name a user-assigned one by `client-id`",
    ),
    (
        "token exchange",
        "",
        "check that this registry is Azure's, and that the identity has the role `AcrPull` on it",
    ),
    (
        "Google",
        "Invalid JWT Signature",
        "the key was deleted: make a new one",
    ),
    ("Google", "short-lived token", CLOCK),
    (
        "Google",
        "account not found",
        "the service account does not exist, or no longer",
    ),
    (
        "Google",
        "iam.serviceAccounts.getAccessToken",
        "give the identity the role `roles/iam.workloadIdentityUser` on the service account",
    ),
    ("GitHub", "claim ('exp')", CLOCK),
    ("GitHub", "claim ('iat')", CLOCK),
    (
        "GitHub",
        "could not be decoded",
        "check that the key is one of this app's, and `app-id`",
    ),
    (
        "GitHub",
        "permissions requested are not granted",
        "give the app the repository permission `Packages: Read-only`, and accept it where it is installed",
    ),
    ("GitHub", "ot found", "check `app-id` and `installation-id`"),
];

/// What a person can do where a cloud's metadata does not answer, by a part of its name.
const ABSENT: [(&str, &str); 2] = [
    (
        "Google's metadata",
        "elsewhere than on Google Cloud, name a credentials file by `key`, or by `GOOGLE_APPLICATION_CREDENTIALS`",
    ),
    (
        "Azure's instance metadata",
        "in AKS, give the pod workload identity; elsewhere than on Azure, name an application and its secret or certificate",
    ),
];

/// Assertions say when they were made.
const CLOCK: &str = "check the clock: it is some minutes off";

impl LoginError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Aws(error) => error.hint(),
            Self::DockerConfig(error) => error.hint(),
            Self::Helper(error) => error.hint(),
            Self::Kubernetes(error) => error.hint(),
            Self::NotGranted { source, .. } => source.hint(),
            Self::NoTrust { .. } => Some(
                "install CA certificates (the package `ca-certificates`), or set SSL_CERT_FILE",
            ),
            Self::Refused { service, words, .. } => {
                let is_this = |(whose, part, _): &&(&str, &str, _)| {
                    service.contains(whose) && words.contains(part)
                };
                REFUSALS.iter().find(is_this).map(|(_, _, hint)| *hint)
            }
            Self::NotInstalled => Some(
                "install it in the organization or account that owns the images, with the right to read packages",
            ),
            Self::ManyInstallations => Some(
                "name one with `installation-id`; it stands at the end of the installation's URL",
            ),
            Self::Unreachable { service, .. } => {
                let absent = ABSENT.iter().find(|(whose, _)| service.contains(whose));
                absent.map(|(_, hint)| *hint)
            }
            Self::Secret(_)
            | Self::Unusable { .. }
            | Self::Insecure { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => None,
        }
    }
}

fn said(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", saying `{words}`"),
    }
}
