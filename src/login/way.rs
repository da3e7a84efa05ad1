//! The way to a Kubernetes cluster: as the pod's service account, or as a kubeconfig says.
//!
//! Not here: what is asked there (`kubernetes` for pull secrets, and the room `cluster`).
//! Invariant: what a program of a kubeconfig wrote is not passed on; it may hold a token.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::client::AuthError;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, Error};

use super::Environment;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a pod has its account's token, and what belongs to it.
///
/// <https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api>
const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which cluster is meant, and who asks there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterWay {
    /// `None`: those that KUBECONFIG names, or the user's own.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// `None`: the current one.
    pub(crate) context: Option<String>,
}

/// Why there is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterWayError {
    #[error("there is no Kubernetes cluster here: this is no pod, and there is no kubeconfig")]
    NoCluster,
    #[error("this pod has no token of a service account, so it cannot read from Kubernetes")]
    NoToken,
    #[error("the environment variables KUBERNETES_SERVICE_HOST and _PORT are no address")]
    BadAddress,
    #[error("the kubeconfig `{}` cannot be used", file.display())]
    BadKubeconfig { file: PathBuf },
    #[error("the kubeconfig `{}` has no context `{context}`", file.display())]
    NoContext { file: PathBuf, context: String },
    #[error("failed to make ready for the Kubernetes API")]
    NotReady {
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl ClusterWayError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoCluster => Some("set KUBECONFIG, or run towpath in the cluster that it reads"),
            Self::NoToken => Some("mount a token: `automountServiceAccountToken: true`"),
            Self::NoContext { .. } => Some("`kubectl config get-contexts` lists those that it has"),
            Self::BadAddress | Self::BadKubeconfig { .. } | Self::NotReady { .. } => None,
        }
    }
}

impl ClusterWay {
    /// Makes ready to ask; what the cluster itself says is not known yet. Beside the client stands the namespace that is
    /// meant where none is named. In the middle of a request the server may be silent for `silence_max`.
    ///
    /// A way that names nothing is that of the pod, where this is one.
    pub(crate) async fn client(
        &self,
        environment: &Environment,
        silence_max: Option<Duration>,
    ) -> Result<(Client, String), ClusterWayError> {
        let pod = match *self == Self::default() {
            true => in_pod(environment)?,
            false => None,
        };
        let mut config = match pod {
            Some(config) => config,
            None => self.by_kubeconfig(environment).await?,
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = silence_max;
        let namespace = config.default_namespace.clone();
        // A kubeconfig may name a program that gives the token, and kube waits for it.
        let make = move || Client::try_from(config);
        let client = tokio::task::spawn_blocking(make).await;
        let client = client.expect("kube does not panic and is not cancelled");
        let client = client.map_err(|error| ClusterWayError::NotReady {
            source: told_cause(error),
        })?;
        Ok((client, namespace))
    }

    /// Several files may be named, as with kubectl; what comes first counts.
    ///
    /// <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>
    async fn by_kubeconfig(&self, environment: &Environment) -> Result<Config, ClusterWayError> {
        let files = self.files(environment);
        let mut merged: Option<Kubeconfig> = None;
        for file in files.iter().filter(|file| file.is_file()) {
            let broken = |_| ClusterWayError::BadKubeconfig { file: file.clone() };
            let next = Kubeconfig::read_from(file).map_err(broken)?;
            merged = Some(match merged {
                Some(first) => first.merge(next).map_err(broken)?,
                None => next,
            });
        }
        let first = || files.first().cloned().unwrap_or_default();
        let Some(kubeconfig) = merged else {
            if self.kubeconfig.is_some() {
                return Err(ClusterWayError::BadKubeconfig { file: first() });
            }
            let is_pod = environment.var("KUBERNETES_SERVICE_HOST").is_some();
            return Err(match is_pod {
                true => ClusterWayError::NoToken,
                false => ClusterWayError::NoCluster,
            });
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        config.map_err(|error| match error {
            KubeconfigError::LoadContext(context) => ClusterWayError::NoContext {
                file: first(),
                context,
            },
            _ => ClusterWayError::BadKubeconfig { file: first() },
        })
    }

    fn files(&self, environment: &Environment) -> Vec<PathBuf> {
        if let Some(file) = &self.kubeconfig {
            return vec![file.clone()];
        }
        if let Some(named) = environment.var("KUBECONFIG") {
            return std::env::split_paths(&named).collect();
        }
        let home = environment.var("HOME");
        let own = home.map(|home| Path::new(&home).join(".kube/config"));
        own.into_iter().collect()
    }
}

/// The settings of a pod with a service account's token; kube reads the token anew as it is rotated.
fn in_pod(environment: &Environment) -> Result<Option<Config>, ClusterWayError> {
    let host = environment.var("KUBERNETES_SERVICE_HOST");
    let port = environment.var("KUBERNETES_SERVICE_PORT");
    let folder = account_folder(environment);
    let token = folder.join("token");
    let (Some(host), Some(port), true) = (host, port, token.is_file()) else {
        return Ok(None);
    };
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    let url = format!("https://{host}:{port}").parse();
    let mut config = Config::new(url.map_err(|_| ClusterWayError::BadAddress)?);
    config.root_cert_file = Some(folder.join("ca.crt"));
    config.auth_info.token_file = Some(token.display().to_string());
    if let Ok(namespace) = std::fs::read_to_string(folder.join("namespace")) {
        config.default_namespace = namespace.trim().to_owned();
    }
    Ok(Some(config))
}

fn account_folder(environment: &Environment) -> PathBuf {
    match environment {
        Environment::Process => ACCOUNT_FOLDER.into(),
        #[cfg(test)]
        Environment::Given(given) => given
            .get(ACCOUNT_FOLDER)
            .map_or(ACCOUNT_FOLDER, |folder| folder.as_str())
            .into(),
    }
}

/// What is at the bottom of an error, unless it is the output of a program.
pub(crate) fn told_cause(error: Error) -> Box<dyn StdError + Send + Sync> {
    let source: Box<dyn StdError + Send + Sync> = match error {
        Error::Service(source) => source,
        Error::Auth(source) => Box::new(source),
        error => Box::new(error),
    };
    let first: &(dyn StdError + 'static) = &*source;
    let mut chain = std::iter::successors(Some(first), |&error| error.source());
    match chain.find_map(|error| error.downcast_ref()) {
        // The command may hold a secret too.
        Some(AuthError::AuthExecRun { cmd: _, out }) => {
            format!("the kubeconfig's program ended with {}", out.status).into()
        }
        Some(AuthError::AuthExecParse(_)) => "the kubeconfig's program wrote no token".into(),
        Some(_) | None => source,
    }
}
