//! One Lease of a Kubernetes API: read and written, each write only if it still is as it was read.
//!
//! <https://kubernetes.io/docs/concepts/architecture/leases/>, and for writes
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>: one that names a version is refused with 409
//! where another write came first. Not here: when to do which.

use std::error::Error as StdError;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Error};

use super::record::Record;
use crate::login::{ClusterWay, ClusterWayError, Environment, told_cause, words};

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error(transparent)]
    Way(#[from] ClusterWayError),
    #[error("failed to reach Kubernetes to {verb} the Lease `{lease}`")]
    Unreachable {
        verb: &'static str,
        lease: String,
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("Kubernetes took too long to {verb} the Lease `{lease}`")]
    Silent { verb: &'static str, lease: String },
    #[error("Kubernetes does not know who we are when asked to {verb} the Lease `{lease}`")]
    Unauthorized { verb: &'static str, lease: String },
    #[error("Kubernetes forbids us to {verb} the Lease `{lease}`: {words}")]
    Forbidden {
        verb: &'static str,
        lease: String,
        words: String,
    },
    #[error("Kubernetes would not {verb} the Lease `{lease}` ({code}): {words}")]
    Answered {
        verb: &'static str,
        lease: String,
        code: u16,
        words: String,
    },
    #[error(
        "Kubernetes answered what towpath does not understand when asked to {verb} the Lease `{lease}`"
    )]
    NotUnderstood { verb: &'static str, lease: String },
}

impl LeaseError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Way(error) => error.hint().map(str::to_owned),
            Self::Forbidden { verb, .. } => Some(format!(
                "allow it by a Role with the verb `{verb}` on `leases` of the group `coordination.k8s.io`, bound to us"
            )),
            Self::Answered { code: 404, .. } => {
                Some("is there such a namespace? `leadership.namespace` says which".to_owned())
            }
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Unauthorized { .. }
            | Self::Answered { .. }
            | Self::NotUnderstood { .. } => None,
        }
    }
}

/// The way to one Lease.
pub(super) struct LeaseApi {
    way: ClusterWay,
    environment: Environment,
    namespace: String,
    name: String,
    /// How long one answer may take.
    answer: Duration,
    /// Made anew where the one before may have been the reason of a failure.
    api: Option<Api<Lease>>,
}

impl LeaseApi {
    /// Makes ready; the Lease is not asked for yet. Without a namespace it is that of the pod or of the kubeconfig.
    pub(super) async fn new(
        (way, environment): (ClusterWay, Environment),
        (namespace, name): (Option<String>, String),
        answer: Duration,
    ) -> Result<Self, ClusterWayError> {
        let (client, own) = way.client(&environment, Some(answer)).await?;
        let namespace = namespace.unwrap_or(own);
        Ok(Self {
            api: Some(Api::namespaced(client, &namespace)),
            way,
            environment,
            namespace,
            name,
            answer,
        })
    }

    /// Reads it; `None` where there is none.
    pub(super) async fn read(&mut self) -> Result<Option<Lease>, LeaseError> {
        let (api, name) = (self.api().await?, self.name.clone());
        self.judge("get", api.get_opt(&name)).await
    }

    /// Writes it, if it still is of the version that `lease` names, or if it still is not there where `lease` names none.
    /// `None` where somebody else was faster.
    pub(super) async fn write(&mut self, lease: &Lease) -> Result<Option<Lease>, LeaseError> {
        let (api, plain) = (self.api().await?, PostParams::default());
        let name = self.name.clone();
        let written = match lease.metadata.resource_version {
            None => self.judge("create", api.create(&plain, lease)).await,
            Some(_) => {
                self.judge("update", api.replace(&name, &plain, lease))
                    .await
            }
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // Who updates what was deleted meanwhile is told 404 or 409.
            Err(LeaseError::Answered {
                verb: "update",
                code: 404,
                ..
            })
            | Err(LeaseError::Answered { code: 409, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What it is called: `NAMESPACE/NAME`.
    pub(super) fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// One that does not exist yet.
    pub(super) fn blank(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }

    async fn api(&mut self) -> Result<Api<Lease>, LeaseError> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let client = self.way.client(&self.environment, Some(self.answer)).await;
        let api: Api<Lease> = Api::namespaced(client?.0, &self.namespace);
        Ok(self.api.insert(api).clone())
    }

    async fn judge<A>(
        &mut self,
        verb: &'static str,
        asked: impl Future<Output = Result<A, Error>>,
    ) -> Result<A, LeaseError> {
        let lease = self.lease();
        let Ok(answer) = tokio::time::timeout(self.answer, asked).await else {
            return Err(LeaseError::Silent { verb, lease });
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(Error::Api(status)) => match (status.code, words(&status.message)) {
                (401, _) => LeaseError::Unauthorized { verb, lease },
                (403, words) => LeaseError::Forbidden { verb, lease, words },
                (code, words) => LeaseError::Answered {
                    verb,
                    lease,
                    code,
                    words,
                },
            },
            // What serde says of a value may hold the value.
            Err(Error::SerdeError(_)) => LeaseError::NotUnderstood { verb, lease },
            Err(error) => LeaseError::Unreachable {
                verb,
                lease,
                source: told_cause(error),
            },
        };
        if let LeaseError::Unauthorized { .. } | LeaseError::Unreachable { .. } = error {
            self.api = None;
        }
        Err(error)
    }
}

/// What `lease` says. What it does not say of how long it lasts is as of ours.
pub(super) fn record_of(lease: &Lease, lasts: Duration) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let told = spec.lease_duration_seconds;
    let told = told.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        lasts: told.map_or(lasts, Duration::from_secs),
        acquired: spec.acquire_time.map(|MicroTime(at)| at),
        renewed: spec.renew_time.map(|MicroTime(at)| at),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// `lease` saying `record`; whatever else stands in it stays.
pub(super) fn saying(mut lease: Lease, record: &Record) -> Lease {
    let Record {
        holder,
        lasts,
        acquired,
        renewed,
        transitions,
    } = record.clone();
    let seconds = i32::try_from(lasts.as_secs()).unwrap_or(i32::MAX);
    let LeaseSpec {
        preferred_holder,
        strategy,
        ..
    } = lease.spec.unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        // As client-go writes that there is none.
        holder_identity: Some(holder.unwrap_or_default()),
        lease_duration_seconds: Some(seconds),
        acquire_time: acquired.map(MicroTime),
        renew_time: renewed.map(MicroTime),
        lease_transitions: Some(transitions),
        preferred_holder,
        strategy,
    });
    lease
}
