//! The way to the cluster: as the pod's service account, or as a kubeconfig says.
//!
//! Invariant: what a program of a kubeconfig wrote is not passed on; it may hold a token.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::client::AuthError;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Error, Resource};
use serde::de::DeserializeOwned;

use super::KubernetesError;
use crate::login::Environment;
use crate::login::ask::words;

/// How long a connection and an answer may take. The API answers one GET in milliseconds; a restarting server takes
/// seconds, in which kube tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a pod has its account's token, and what belongs to it.
///
/// <https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api>
const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A cluster, and the namespace that is meant where none is named.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    pub(super) namespace: String,
}

impl Cluster {
    /// Makes ready to ask; what the cluster itself says is not known yet.
    pub(super) async fn find(environment: &Environment) -> Result<Self, KubernetesError> {
        let mut config = match in_pod(environment)? {
            Some(config) => config,
            None => by_kubeconfig(environment).await?,
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(ANSWER_TIMEOUT);
        let namespace = config.default_namespace.clone();
        // A kubeconfig may name a program that gives the token, and kube waits for it.
        let make = move || Client::try_from(config);
        let client = tokio::task::spawn_blocking(make).await;
        let client = client.expect("kube does not panic and is not cancelled");
        let client = client.map_err(|error| KubernetesError::NotReady {
            source: safe(error),
        })?;
        Ok(Self { client, namespace })
    }

    /// Reads one object; `what` names it in messages.
    pub(super) async fn get<K>(
        &self,
        (namespace, name): (&str, &str),
        what: &str,
    ) -> Result<K, KubernetesError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: DeserializeOwned + Clone + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let what = || what.to_owned();
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, api.get(name)).await;
        let Ok(answer) = answer else {
            return Err(KubernetesError::Silent { what: what() });
        };
        answer.map_err(|error| match error {
            Error::Api(status) => {
                let words = words(&status.message);
                match status.code {
                    401 => KubernetesError::Unauthorized { what: what() },
                    403 => KubernetesError::Forbidden {
                        what: what(),
                        words,
                    },
                    404 => KubernetesError::Missing { what: what() },
                    code => KubernetesError::Answered {
                        what: what(),
                        code,
                        words,
                    },
                }
            }
            // What serde says of a value may hold the value.
            Error::SerdeError(_) => KubernetesError::NotUnderstood { what: what() },
            error => KubernetesError::Unreachable {
                what: what(),
                source: safe(error),
            },
        })
    }
}

/// The settings of a pod with a service account's token; kube reads the token anew as it is rotated.
fn in_pod(environment: &Environment) -> Result<Option<Config>, KubernetesError> {
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
    let mut config = Config::new(url.map_err(|_| KubernetesError::BadAddress)?);
    config.root_cert_file = Some(folder.join("ca.crt"));
    config.auth_info.token_file = Some(token.display().to_string());
    if let Ok(namespace) = std::fs::read_to_string(folder.join("namespace")) {
        config.default_namespace = namespace.trim().to_owned();
    }
    Ok(Some(config))
}

/// Several files may be named, as with kubectl; what comes first counts.
///
/// <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>
async fn by_kubeconfig(environment: &Environment) -> Result<Config, KubernetesError> {
    let named = environment.var("KUBECONFIG");
    let home = || {
        environment
            .var("HOME")
            .map(|home| Path::new(&home).join(".kube/config"))
    };
    let files: Vec<PathBuf> = match &named {
        Some(named) => std::env::split_paths(named).collect(),
        None => home().into_iter().collect(),
    };
    let mut merged: Option<Kubeconfig> = None;
    for file in files.iter().filter(|file| file.is_file()) {
        let broken = |_| KubernetesError::BadKubeconfig { file: file.clone() };
        let next = Kubeconfig::read_from(file).map_err(broken)?;
        merged = Some(match merged {
            Some(first) => first.merge(next).map_err(broken)?,
            None => next,
        });
    }
    let Some(kubeconfig) = merged else {
        let is_pod = environment.var("KUBERNETES_SERVICE_HOST").is_some();
        return Err(match is_pod {
            true => KubernetesError::NoToken,
            false => KubernetesError::NoCluster,
        });
    };
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    config.map_err(|_| KubernetesError::BadKubeconfig {
        file: files.into_iter().next().unwrap_or_default(),
    })
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
fn safe(error: Error) -> Box<dyn StdError + Send + Sync> {
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
