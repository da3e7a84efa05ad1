//! Amazon Web Services: an identity's password for ECR, private and public.
//!
//! Reading order: this file, `place` (which ECR a registry is, and where AWS's APIs stand), `call` (one request to such an
//! API), `sign` (Signature Version 4), `ambient` and `metadata` (whose keys there are), `sts` (roles), `ecr` (passwords).
//! Invariant: keys are read or asked for anew at each grant, and go nowhere but to AWS's own hosts, over TLS, unless
//! variables of AWS's SDKs say otherwise.

mod ambient;
mod call;
mod ecr;
mod error;
mod metadata;
mod place;
mod sign;
mod sts;
mod wire;

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::ask::Asker;
use super::{Environment, Login, LoginError};
use crate::secret::Secret;
use ambient::Ambient;

pub(crate) use error::AwsError;
pub(crate) use place::Ecr;

/// An AWS identity, and the registry that it logs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aws {
    pub(crate) registry: Ecr,
    pub(crate) identity: Identity,
    /// A role that the identity takes on.
    pub(crate) role: Option<Role>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Whoever towpath runs as, looked for where AWS's own SDKs look.
    Ambient,
    /// An access key.
    Key {
        id: String,
        secret: Secret,
        session_token: Option<Secret>,
    },
}

/// A role that is assumed, often one of another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) arn: String,
    /// What the role's owner agreed upon with us.
    pub(crate) external_id: Option<String>,
}

/// What a request is signed with.
#[derive(Clone, Debug)]
struct Keys {
    id: String,
    secret: SecretString,
    /// Temporary keys have one.
    session_token: Option<SecretString>,
}

impl Aws {
    /// Asks for a login, and how long it is good.
    pub(super) async fn grant(&self, asker: &Asker) -> Result<(Login, Duration), LoginError> {
        let keys = self.keys(asker).await?;
        ecr::password(asker, &self.registry, &keys).await
    }

    async fn keys(&self, asker: &Asker) -> Result<Keys, LoginError> {
        let keys = match &self.identity {
            Identity::Ambient => ambient::keys(asker, &self.registry).await?,
            Identity::Key {
                id,
                secret,
                session_token,
            } => Keys {
                id: id.clone(),
                secret: secret.read()?,
                session_token: session_token.as_ref().map(Secret::read).transpose()?,
            },
        };
        match &self.role {
            Some(role) => sts::assume(asker, &self.registry, (&keys, role)).await,
            None => Ok(keys),
        }
    }

    /// Where the login comes from, for messages.
    pub(super) fn place(&self, environment: &Environment) -> String {
        let identity = match &self.identity {
            Identity::Ambient => Ambient::of(environment).to_string(),
            Identity::Key { id, .. } => format!("the AWS access key `{id}`"),
        };
        match &self.role {
            Some(Role { arn, .. }) => format!("the AWS role `{arn}`, taken on by {identity}"),
            None => identity,
        }
    }
}

impl fmt::Display for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.role, &self.identity) {
            (Some(Role { arn, .. }), _) => write!(f, "the AWS role `{arn}`"),
            (None, Identity::Key { id, .. }) => write!(f, "the AWS access key `{id}`"),
            (None, Identity::Ambient) => write!(f, "the AWS identity that towpath runs as"),
        }
    }
}

#[cfg(test)]
mod tests;
