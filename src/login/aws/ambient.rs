//! The identity that the program runs as, looked for where AWS's SDKs look and in their order:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.
//!
//! Not here: shared files with profiles (`~/.aws/credentials`), which are for people's machines.
//! Invariant: what is there is used or is an error; a broken one never gives way to the next.

use std::fmt;

use super::place::Ecr;
use super::{AwsError, Keys, metadata, sts};
use crate::login::ask::Asker;
use crate::login::{Environment, LoginError};

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// Which identity the surroundings give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ambient {
    /// An access key in variables.
    Key,
    /// A role by the token of a service account (IRSA).
    WebIdentity { role: Option<String> },
    /// EKS Pod Identity or a role of an ECS task.
    Container,
    /// The role of the machine.
    Instance,
}

impl Ambient {
    pub(super) fn of(environment: &Environment) -> Self {
        let is_set = |name| environment.var(name).is_some();
        if is_set(KEY_ID) || is_set(SECRET) {
            Self::Key
        } else if is_set(TOKEN_FILE) {
            let role = environment.var(ROLE);
            Self::WebIdentity { role }
        } else if is_set(RELATIVE) || is_set(FULL) {
            Self::Container
        } else {
            Self::Instance
        }
    }
}

/// The keys of the identity that the program runs as.
pub(super) async fn keys(asker: &Asker, registry: &Ecr) -> Result<Keys, LoginError> {
    let environment = &asker.environment;
    match Ambient::of(environment) {
        Ambient::Key => Ok(Keys {
            id: both(environment, KEY_ID, SECRET)?,
            secret: both(environment, SECRET, KEY_ID)?.into(),
            session_token: environment.var("AWS_SESSION_TOKEN").map(Into::into),
            expires_at: None,
        }),
        Ambient::WebIdentity { .. } => {
            let file = both(environment, TOKEN_FILE, ROLE)?;
            let role = both(environment, ROLE, TOKEN_FILE)?;
            sts::by_web_identity(asker, registry, (&file, &role)).await
        }
        Ambient::Container => match (environment.var(RELATIVE), environment.var(FULL)) {
            (Some(path), _) => {
                let url = format!("http://{}{path}", metadata::ECS_ADDRESS);
                metadata::of_container(asker, (RELATIVE, &url)).await
            }
            (None, url) => {
                let url = url.unwrap_or_default();
                metadata::of_container(asker, (FULL, &url)).await
            }
        },
        Ambient::Instance => metadata::of_instance(asker).await,
    }
}

/// The value of `name`, which `other` does not come without.
fn both(
    environment: &Environment,
    name: &'static str,
    other: &'static str,
) -> Result<String, AwsError> {
    environment.var(name).ok_or(AwsError::Half {
        present: other,
        missing: name,
    })
}

impl fmt::Display for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => write!(f, "the AWS access key in `{KEY_ID}`"),
            Self::WebIdentity { role: Some(role) } => {
                write!(f, "the AWS role `{role}` by web identity")
            }
            Self::WebIdentity { role: None } => write!(f, "an AWS role by web identity"),
            Self::Container => write!(f, "the AWS role of the container"),
            Self::Instance => write!(f, "the AWS role of the instance"),
        }
    }
}
