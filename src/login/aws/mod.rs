//! Amazon Web Services: an identity's password for ECR, private and public.
//!
//! Reading order: this file, `place` (which ECR a registry is, and where AWS's APIs stand), `call` (one request to such an
//! API), `sign` (Signature Version 4), `ambient` and `metadata` (whose keys there are), `sts` (roles), `ecr` (passwords),
//! `images` (push times).
//! Invariant: keys are read or asked for anew at each grant, and go nowhere but to AWS's own hosts, over TLS, unless
//! variables of AWS's SDKs say otherwise.

mod ambient;
mod call;
mod ecr;
mod error;
mod images;
mod metadata;
mod place;
mod sign;
mod sts;
mod wire;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::ask::Asker;
use super::{Environment, Login, LoginError, MARGIN_MAX};
use crate::secret::Secret;
use ambient::Ambient;
use place::Kind;

pub(crate) use error::AwsError;
pub(crate) use images::EcrImages;
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
    /// Where that is known; those without are read anew each time.
    expires_at: Option<Timestamp>,
}

/// Temporary keys, kept for requests that follow one another.
#[derive(Default)]
pub(super) struct KeptKeys(tokio::sync::Mutex<Option<Keys>>);

impl Aws {
    /// Asks for a login, and how long it is good.
    pub(super) async fn grant(&self, asker: &Asker) -> Result<(Login, Duration), LoginError> {
        let keys = self.keys(asker).await?;
        ecr::password(asker, &self.registry, &keys).await
    }

    /// Asks for a page of the images that the repository `path` has, the first or the one `after` another; `None` where the
    /// registry tells of none.
    pub(super) async fn images(
        &self,
        asker: &Asker,
        kept: &KeptKeys,
        (path, after): (&str, Option<&str>),
    ) -> Result<Option<EcrImages>, LoginError> {
        if self.registry.kind == Kind::Public {
            return Ok(None);
        }
        // Held while keys are asked for, on purpose: the others that wait here want these very keys.
        let mut held = kept.0.lock().await;
        let soon = asker.now() + MARGIN_MAX;
        let keys = match held.take_if(|keys| keys.expires_at.is_some_and(|at| soon < at)) {
            Some(keys) => keys,
            None => self.keys(asker).await?,
        };
        *held = Some(keys.clone());
        drop(held);
        let page = images::page(asker, &self.registry, (&keys, path, after)).await;
        if page.is_err() {
            *kept.0.lock().await = None;
        }
        page.map(Some)
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
                expires_at: None,
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
