//! Which Applications of Argo CD deploy an environment.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;

use super::ConnectionName;

/// Which Applications of Argo CD deploy an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ArgoCd {
    /// Those that read the places where the environment is written.
    #[default]
    ByPath,
    Named {
        /// `None`: whichever has them.
        connection: Option<ConnectionName>,
        /// One at least.
        applications: Vec<ApplicationName>,
    },
    /// None of them.
    Nothing,
}

/// What to do where a promotion made an environment degraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnDegraded {
    /// Nothing goes on from there.
    #[default]
    Hold,
    /// After this time, the version before comes back, and the degraded one is rejected.
    Rollback { grace: SignedDuration },
}

/// An Application, by its name and, where several have it, its namespace: `portal-dev`, `argocd/portal-dev`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApplicationName {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// Why a text names no Application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of an Application")]
pub(crate) struct ParseApplicationNameError {
    text: String,
}

/// Longest name of an object in Kubernetes:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
const NAME_LENGTH_MAX: usize = 253;

impl FromStr for ApplicationName {
    type Err = ParseApplicationNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.chars().all(known)
        };
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        match is_name(name) && namespace.is_none_or(is_name) {
            true => Ok(Self {
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            }),
            false => {
                let text = text.to_owned();
                Err(ParseApplicationNameError { text })
            }
        }
    }
}

impl fmt::Display for ApplicationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
