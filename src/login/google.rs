//! Google Cloud: an access token of the identity that the program runs as, which Artifact Registry and `gcr.io` take as the
//! password of the user `oauth2accesstoken`.
//!
//! <https://cloud.google.com/artifact-registry/docs/docker/authentication#token>. On a node and, with workload identity, in
//! a pod the metadata server gives it: <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>.

use std::fmt;
use std::time::Duration;

use super::ask::Asker;
use super::wire::AccessToken;
use super::{Login, LoginError};

/// Where the metadata server is, unless `GCE_METADATA_HOST` says otherwise, as with Google's own libraries.
const METADATA_HOST: &str = "metadata.google.internal";

const METADATA: &str = "Google's metadata server";

/// A Google Cloud identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Google {
    /// A service account that the metadata server has for what runs here; `default` is the usual one.
    Ambient { account: String },
}

impl Google {
    /// Asks for a login, and how long it is good.
    pub(super) async fn grant(&self, asker: &Asker) -> Result<(Login, Duration), LoginError> {
        let Self::Ambient { account } = self;
        let host = asker.environment.var("GCE_METADATA_HOST");
        let host = host.as_deref().unwrap_or(METADATA_HOST);
        let url =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/{account}/token");
        let client = asker.near_client(METADATA)?;
        let request = || client.get(&url).header("Metadata-Flavor", "Google");
        let body = asker.send(METADATA, request).await?;
        let token: Option<AccessToken> = serde_json::from_slice(&body).ok();
        let token = token.ok_or(LoginError::Incomplete {
            service: METADATA,
            what: "an access token",
        })?;
        let login = Login::Basic {
            username: "oauth2accesstoken".to_owned(),
            password: token.access_token.into(),
        };
        Ok((login, Duration::from_secs(token.expires_in)))
    }
}

impl fmt::Display for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambient { account } => write!(
                f,
                "the service account `{account}` of Google's metadata server"
            ),
        }
    }
}
