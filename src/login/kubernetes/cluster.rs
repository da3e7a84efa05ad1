//! Reads objects of the cluster that this pod runs in, or that a kubeconfig names.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Error, Resource};
use serde::de::DeserializeOwned;

use super::KubernetesError;
use crate::login::Environment;
use crate::login::ask::words;
use crate::login::way::{ClusterWay, told_cause};

/// How long an answer may take. The API answers one GET in milliseconds; a restarting server takes seconds, in which kube
/// tries again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A cluster, and the namespace that is meant where none is named.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    pub(super) namespace: String,
}

impl Cluster {
    /// Makes ready to ask; what the cluster itself says is not known yet.
    pub(super) async fn find(environment: &Environment) -> Result<Self, KubernetesError> {
        let way = ClusterWay::default();
        let (client, namespace) = way.client(environment, Some(ANSWER_TIMEOUT)).await?;
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
                source: told_cause(error),
            },
        })
    }
}
