//! Why objects of a cluster, or Argo CD's Applications, could not be read, in words that serve a person.
//!
//! Invariant: no message holds a credential, or a URL that may carry one.

use std::error::Error;
use std::io;

use jiff::Timestamp;

use super::Namespace;
use crate::login::{AuthoritiesError, ClusterWayError};
use crate::secret::SecretError;

/// Why a request came to nothing. `server` is `Kubernetes`, or the host of Argo CD's API; `what` is what was to be done:
/// `list applications in the namespace `argocd``.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Way(#[from] ClusterWayError),
    #[error("`{host}` would be asked without TLS, which the settings do not allow")]
    PlainHttp { host: String },
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("failed to set up TLS for `{host}`")]
    NoTls {
        host: String,
        source: reqwest::Error,
    },
    #[error("failed to read the token for `{host}`")]
    Token { host: String, source: SecretError },
    #[error("the token for `{host}` cannot be sent: it holds what no header may hold")]
    TokenUnusable { host: String },
    #[error("failed to reach {server} to {what}")]
    Unreachable {
        server: String,
        what: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{server} took too long to {what}")]
    Silent { server: String, what: String },
    #[error("{server} does not know who we are when asked to {what}")]
    Unauthorized { server: String, what: String },
    #[error("Kubernetes forbids us to `{verb}` `{resource}` in {namespace}: {words}")]
    Forbidden {
        verb: &'static str,
        /// With the part of it that is meant, as in `promotionpolicies/status`.
        resource: String,
        group: &'static str,
        namespace: Namespace,
        words: String,
    },
    #[error("{server} forbids us to {what}: {words}")]
    Denied {
        server: String,
        what: String,
        words: String,
    },
    #[error("Kubernetes knows no `{resource}.{group}` in this cluster")]
    NotInstalled {
        resource: &'static str,
        group: &'static str,
    },
    #[error("{server} has no {what}")]
    Missing { server: String, what: String },
    #[error("{server} takes no more requests until {until}")]
    Limited { server: String, until: Timestamp },
    #[error("{server} would not {what} ({code}): {words}")]
    Answered {
        server: String,
        what: String,
        code: u16,
        words: String,
    },
    #[error("{server} redirects when asked to {what}, which is not followed")]
    Redirected { server: String, what: String },
    #[error("{server} answered what towpath does not understand when asked to {what}")]
    NotUnderstood { server: String, what: String },
    #[error("the answer of {server} when asked to {what} is larger than {bytes_max} bytes")]
    TooLarge {
        server: String,
        what: String,
        bytes_max: usize,
    },
    #[error("the settings of the connection do not let us ask for a refresh")]
    NoRefresh,
}

impl ClusterError {
    /// Whether the last good reading may still be so: the server did not say no, it said nothing, or it had too much to do.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Limited { .. } => true,
            Self::Answered { code, .. } => *code >= 500 || *code == 410,
            Self::Way(_)
            | Self::PlainHttp { .. }
            | Self::Authorities(_)
            | Self::NoTls { .. }
            | Self::Token { .. }
            | Self::TokenUnusable { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Denied { .. }
            | Self::NotInstalled { .. }
            | Self::Missing { .. }
            | Self::Redirected { .. }
            | Self::NotUnderstood { .. }
            | Self::TooLarge { .. }
            | Self::NoRefresh => false,
        }
    }

    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Way(error) => error.hint()?,
            Self::PlainHttp { .. } => "use https, or set `plain-http: true` of the connection",
            Self::Forbidden {
                verb,
                resource,
                group,
                namespace,
                ..
            } => {
                let role = match namespace {
                    Namespace::All => "ClusterRole",
                    Namespace::Named(_) => "Role",
                };
                return Some(format!(
                    "allow it by a {role} with the verb `{verb}` on `{resource}` of the group `{group}`, bound to us in {namespace}"
                ));
            }
            Self::Denied { .. } => {
                "let the account of the token `get` the applications and projects in Argo CD's own RBAC"
            }
            Self::NotInstalled { group, .. } if *group == super::resources::GROUP => {
                "install the definitions of the custom resources, which `towpath schema crds` prints; `context` says which cluster is meant"
            }
            Self::NotInstalled { .. } => {
                "is Argo CD in this cluster? `kubernetes.context` says which cluster is meant"
            }
            Self::Unauthorized { server, .. } if server == super::KUBERNETES => {
                "log in to the cluster again; a pod's token is renewed by the kubelet"
            }
            Self::Unauthorized { .. } => {
                "the token may have expired: `argocd account generate-token` makes another"
            }
            Self::Unreachable { source, .. } if is_about_trust(&**source) => {
                "if the server has a certificate of your own authority, name it as `ca-file`, or in the kubeconfig"
            }
            Self::Unreachable { source, .. } if is_about_names(&**source) => {
                "check the host in `url`, or in the kubeconfig, and that names are resolved here"
            }
            Self::Redirected { .. } => "set `url` to the address that it redirects to",
            Self::NotUnderstood { .. } => "is it Argo CD that answers there?",
            Self::NoRefresh => "set `refresh: true` of the connection",
            Self::Authorities(_)
            | Self::NoTls { .. }
            | Self::Token { .. }
            | Self::TokenUnusable { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Missing { .. }
            | Self::Limited { .. }
            | Self::Answered { .. }
            | Self::TooLarge { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The error with its causes and what to do about it, as one text for people.
    pub(super) fn whole(&self) -> String {
        let chain = std::iter::successors(Some(self as &dyn Error), |&error| error.source());
        let mut told: Vec<String> = Vec::new();
        for error in chain.map(ToString::to_string) {
            // Some crates repeat their source.
            if told.last().is_none_or(|last| !last.ends_with(&error)) {
                told.push(error);
            }
        }
        let told = told.join(": ");
        match self.hint() {
            Some(hint) => format!("{told} ({hint})"),
            None => told,
        }
    }
}

fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    any(error, &|error| error.is::<rustls::Error>())
}

/// No platform has an error of its own for it that Rust would pass on.
fn is_about_names(error: &(dyn Error + 'static)) -> bool {
    any(error, &|error| {
        let text = error.to_string();
        text.contains("dns error") || text.contains("failed to lookup address")
    })
}

fn any(error: &(dyn Error + 'static), holds: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
    holds(error)
        || wrapped.is_some_and(|inner| any(inner, holds))
        || error.source().is_some_and(|source| any(source, holds))
}
