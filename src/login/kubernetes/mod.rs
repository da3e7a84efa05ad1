//! Pull secrets of a Kubernetes cluster: those that are named, or those of a service account.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/>. Not here: how closely an entry
//! of a secret fits (`docker_config`). Invariant: secrets are only read, by name, at most once a minute unless a registry
//! refused what they held; programs that a secret names are never run.

mod cluster;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};

use super::docker_config::{Place, Written};
use super::recent::Recent;
use super::way::ClusterWayError;
use super::{DockerConfigError, Environment, Fingerprint, Found};
use cluster::Cluster;

/// The types of secrets that hold logins, each with the key that holds them.
///
/// <https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>
const DOCKER_CONFIG_JSON: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
const DOCKER_CFG: (&str, &str) = ("kubernetes.io/dockercfg", ".dockercfg");

/// Pull secrets of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullSecrets {
    /// `None`: that of the pod, or of the kubeconfig's context.
    pub(crate) namespace: Option<String>,
    pub(crate) which: Which,
}

/// Which secrets of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Named(Vec<String>),
    /// The `imagePullSecrets` of this service account.
    ServiceAccount(String),
}

/// What the secrets hold, as it was read last, and the way to the cluster.
#[derive(Default)]
pub(super) struct Keyring {
    cluster: tokio::sync::Mutex<Option<Cluster>>,
    read: Recent<(), Result<Arc<Vec<Written>>, Arc<KubernetesError>>>,
    /// The logins that the registry refused for a repository, of those that there are.
    refused: Mutex<BTreeMap<String, BTreeSet<Fingerprint>>>,
}

/// Why pull secrets give no login. Names the object, never what it holds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubernetesError {
    #[error(transparent)]
    Way(#[from] ClusterWayError),
    #[error("failed to read the {what} from Kubernetes")]
    Unreachable {
        what: String,
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("the Kubernetes API did not answer in time to `get` of the {what}")]
    Silent { what: String },
    #[error("the Kubernetes API refused who we are in `get` of the {what}")]
    Unauthorized { what: String },
    #[error("the Kubernetes API forbids us `get` of the {what}, saying `{words}`")]
    Forbidden { what: String, words: String },
    #[error("Kubernetes has no {what}")]
    Missing { what: String },
    #[error(
        "the Kubernetes API answered with status {code} to `get` of the {what}, saying `{words}`"
    )]
    Answered {
        what: String,
        code: u16,
        words: String,
    },
    #[error("the Kubernetes API gave something else than the {what}")]
    NotUnderstood { what: String },
    #[error("the {place} is of the type `{kind}`, which holds no logins of registries")]
    WrongKind { place: Place, kind: String },
    #[error("the {place} has no text under `{key}`")]
    NoText { place: Place, key: &'static str },
    #[error("the service account `{account}` names a pull secret by what is no name")]
    BadName { account: String },
    #[error(transparent)]
    DockerConfig(#[from] DockerConfigError),
}

impl Keyring {
    /// The login for the repository `path` of the registry `host`: the first that the registry has not refused.
    pub(super) async fn find(
        &self,
        secrets: &PullSecrets,
        (host, path): (&str, &str),
        environment: &Environment,
    ) -> Result<Found, Arc<KubernetesError>> {
        let mut logins = self.logins(secrets, (host, path), environment).await?;
        if logins.is_empty() {
            return Ok(Found::nothing_in(&secrets.to_string()));
        }
        // Where all were refused, the first again.
        let next = self.next(path, &logins).unwrap_or(0);
        Ok(logins.swap_remove(next))
    }

    /// Turns to the next login for `path` after the registry refused this one, and reads the secrets anew unless that was
    /// done just now; says whether there is one that was not refused.
    pub(super) async fn refused(
        &self,
        secrets: &PullSecrets,
        (host, path, login): (&str, &str, Fingerprint),
        environment: &Environment,
    ) -> bool {
        {
            let mut all = self.lock_refused();
            all.entry(path.to_owned()).or_default().insert(login);
        }
        self.read.refused().await;
        let logins = self.logins(secrets, (host, path), environment).await;
        let has_next = logins.is_ok_and(|logins| self.next(path, &logins).is_some());
        if !has_next {
            self.lock_refused().remove(path);
        }
        has_next
    }

    fn next(&self, path: &str, logins: &[Found]) -> Option<usize> {
        let mut logins = logins.iter().map(|found| found.login.fingerprint());
        let mut all = self.lock_refused();
        let Some(refused) = all.get_mut(path) else {
            return logins.next().map(|_| 0);
        };
        let found: Vec<_> = logins.collect();
        refused.retain(|login| found.contains(login));
        found.iter().position(|login| !refused.contains(login))
    }

    fn lock_refused(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Fingerprint>>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The logins for the repository `path` of the registry `host`, the closest first.
    ///
    /// As in a kubelet, those with the longest path come first, then those of the secret that is named first; it tries
    /// them in turn: <https://kubernetes.io/docs/concepts/containers/images/#config-json>, `PullImage` in
    /// <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/kuberuntime_image.go>.
    async fn logins(
        &self,
        secrets: &PullSecrets,
        (host, path): (&str, &str),
        environment: &Environment,
    ) -> Result<Vec<Found>, Arc<KubernetesError>> {
        let read = async {
            let read = self.read(secrets, environment).await;
            read.map(Arc::new).map_err(Arc::new)
        };
        let all = self.read.get((), read).await?;
        let mut fitting = Vec::new();
        for (number, written) in all.iter().enumerate() {
            let entries = written.fitting((host, path));
            fitting.extend(entries.map(|(fit, name)| (Reverse(fit), number, name)));
        }
        fitting.sort();
        let logins = fitting.into_iter().filter_map(|(_, number, name)| {
            let found = all[number].entry(name).map_err(KubernetesError::from);
            found.map_err(Arc::new).transpose()
        });
        logins.collect()
    }

    async fn read(
        &self,
        secrets: &PullSecrets,
        environment: &Environment,
    ) -> Result<Vec<Written>, KubernetesError> {
        let mut kept = self.cluster.lock().await;
        if let Some(cluster) = &*kept {
            match read(cluster, secrets).await {
                // A rotated token is read anew once a minute, and at once in this way.
                Err(KubernetesError::Unauthorized { .. }) => {}
                done => return done,
            }
        }
        let cluster = kept.insert(Cluster::find(environment).await?);
        read(cluster, secrets).await
    }
}

async fn read(cluster: &Cluster, secrets: &PullSecrets) -> Result<Vec<Written>, KubernetesError> {
    let PullSecrets { namespace, which } = secrets;
    let namespace = namespace.as_ref().unwrap_or(&cluster.namespace);
    let names = match which {
        Which::Named(names) => names.clone(),
        Which::ServiceAccount(name) => {
            let account = format!("{namespace}/{name}");
            let what = format!("service account `{account}`");
            let found: ServiceAccount = cluster.get((namespace, name), &what).await?;
            let names = found.image_pull_secrets.into_iter().flatten();
            let names: Vec<String> = names.map(|secret| secret.name).collect();
            if !names.iter().all(|name| is_object_name(name)) {
                return Err(KubernetesError::BadName { account });
            }
            names
        }
    };
    let mut all = Vec::new();
    for name in names {
        let place = Place::Secret(format!("{namespace}/{name}"));
        let what = place.to_string();
        let secret = cluster.get((namespace, &name), &what).await?;
        all.push(written(place, secret)?);
    }
    Ok(all)
}

fn written(place: Place, secret: Secret) -> Result<Written, KubernetesError> {
    let Secret { data, type_, .. } = secret;
    let kind = type_.unwrap_or_default();
    let found = [DOCKER_CONFIG_JSON, DOCKER_CFG]
        .into_iter()
        .find(|(known, _)| *known == kind);
    let Some((kind, key)) = found else {
        return Err(KubernetesError::WrongKind { place, kind });
    };
    let text = data.and_then(|mut data| String::from_utf8(data.remove(key)?.0).ok());
    let Some(text) = text else {
        return Err(KubernetesError::NoText { place, key });
    };
    Ok(match kind == DOCKER_CFG.0 {
        true => Written::parse_old(place, text)?,
        false => Written::parse(place, text)?,
    })
}

/// Whether this can be the name of a secret or an account.
///
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
pub(crate) fn is_object_name(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_inner)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

impl KubernetesError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Way(ClusterWayError::NoToken) => Some(
                "name the secrets in the chart's `pullSecrets.names`, or mount a token: `automountServiceAccountToken: true`",
            ),
            Self::Forbidden { what, .. } if what.starts_with("service account") => Some(
                "allow it by a Role with the verb `get` on this name of `serviceaccounts`; the chart makes one of `pullSecrets.serviceAccount`",
            ),
            Self::Forbidden { .. } => Some(
                "allow it by a Role with the verb `get` on this name of `secrets`; the chart makes one of `pullSecrets.names`",
            ),
            Self::WrongKind { .. } => Some("make it with `kubectl create secret docker-registry`"),
            Self::Missing { .. } => Some("check the name, and `namespace`"),
            Self::Unauthorized { .. } => {
                Some("log in to the cluster again; a pod's token is renewed by the kubelet")
            }
            Self::DockerConfig(error) => error.hint(),
            Self::Way(error) => error.hint(),
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Answered { .. }
            | Self::NotUnderstood { .. }
            | Self::NoText { .. }
            | Self::BadName { .. } => None,
        }
    }
}

impl fmt::Display for PullSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, which } = self;
        match which {
            Which::Named(names) => {
                let s = if names.len() == 1 { "" } else { "s" };
                write!(f, "the pull secret{s} `{}`", names.join("`, `"))?;
            }
            Which::ServiceAccount(name) => {
                write!(f, "the pull secrets of the service account `{name}`")?;
            }
        }
        match namespace {
            Some(namespace) => write!(f, " in the namespace `{namespace}`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
