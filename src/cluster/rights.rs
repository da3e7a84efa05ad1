//! What we may do in a cluster, asked without doing it; who we are there; and what its API server has: a version, a clock, namespaces and kinds.
//!
//! By a SelfSubjectAccessReview for each right, which is answered and kept nowhere:
//! <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>. Everybody who is logged in may ask,
//! unless somebody took `system:basic-user` away.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{GetParams, PostParams};
use kube::client::Body;
use kube::core::Request;
use kube::{Api, Client, Error};
use serde_json::Value as Json;

use super::error::ClusterError;
use super::{KUBERNETES, Namespace};
use crate::login::{ClusterWay, ClusterWayError, Environment, server_time, told_cause, words};

/// Something that may be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) verb: &'static str,
    /// Empty for what Kubernetes began with.
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    /// The part of it that is meant, as `status`; `None` for the whole.
    pub(crate) part: Option<&'static str>,
    /// `None`: whichever they are called.
    pub(crate) name: Option<String>,
    /// `None`: that of the pod, or of the kubeconfig's context.
    pub(crate) namespace: Option<Namespace>,
}

impl Right {
    /// What it is a right to: `secrets/regcred`, `leases.coordination.k8s.io`.
    pub(crate) fn object(&self) -> String {
        let Self {
            verb: _,
            group,
            resource,
            part,
            name,
            namespace: _,
        } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let part = part.map(|part| format!("/{part}"));
        let name = name.as_ref().map(|name| format!("/{name}"));
        let (part, name) = (part.unwrap_or_default(), name.unwrap_or_default());
        format!("{resource}{part}{dot}{group}{name}")
    }
}

impl fmt::Display for Right {
    /// `get secrets/regcred`, `create leases.coordination.k8s.io`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.object())
    }
}

/// Where rights are asked for.
pub(crate) struct Desk {
    client: Client,
    own: String,
}

/// What an API server tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiServer {
    pub(crate) version: Option<String>,
    pub(crate) clock: Option<Timestamp>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    Missing,
    /// We have no right to know.
    Untold,
}

/// How service accounts are called where users are:
/// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

impl Desk {
    /// Makes ready; the server may be silent for `answer`.
    pub(crate) async fn open(
        way: &ClusterWay,
        environment: &Environment,
        answer: Duration,
    ) -> Result<Self, ClusterWayError> {
        let (client, own) = way.client(environment, Some(answer)).await?;
        Ok(Self { client, own })
    }

    /// Where `right` would be used, in words.
    pub(crate) fn place(&self, right: &Right) -> Namespace {
        let own = || Namespace::Named(self.own.clone());
        right.namespace.clone().unwrap_or_else(own)
    }

    /// Who answers: <https://kubernetes.io/docs/reference/using-api/health-checks/> says no more than that somebody does.
    pub(crate) async fn server(&self) -> Result<ApiServer, ClusterError> {
        let what = "tell its version";
        let request = Request::new("").get("version", &GetParams::default());
        let request = request.expect("a plain request can be written");
        let answer = self.client.send(request.map(Body::from)).await;
        let answer = answer.map_err(|error| judged(error, what))?;
        let time = server_time(answer.headers());
        let status = answer.status();
        let body = answer.into_body().collect_bytes().await;
        let body = body.map_err(|error| judged(error, what))?;
        if !status.is_success() {
            return Err(ClusterError::Answered {
                server: KUBERNETES.to_owned(),
                what: what.to_owned(),
                code: status.as_u16(),
                words: words(&String::from_utf8_lossy(&body)),
            });
        }
        let told: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
        let version = told.pointer("/gitVersion").and_then(Json::as_str);
        Ok(ApiServer {
            version: version.map(str::to_owned),
            clock: time,
        })
    }

    /// Who we are there, in words: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review>.
    pub(crate) async fn who(&self) -> Result<String, ClusterError> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = SelfSubjectReview::default();
        let answer = api.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| judged(error, "tell who we are"))?;
        let user = answer.status.and_then(|status| status.user_info);
        let user = user.and_then(|user| user.username).unwrap_or_default();
        let account = user.strip_prefix(SERVICE_ACCOUNT);
        let account = account.and_then(|account| account.split_once(':'));
        Ok(match account {
            Some((namespace, name)) => {
                format!("the service account `{name}` of the namespace `{namespace}`")
            }
            None => format!("the user `{}`", words(&user)),
        })
    }

    /// Whether there is a namespace of this name. Few may ask.
    pub(crate) async fn namespace(&self, name: &str) -> Result<Presence, ClusterError> {
        let told = self
            .object(("/api/v1/namespaces", name), "show a namespace")
            .await;
        match told {
            Ok(Some(_)) => Ok(Presence::There),
            Ok(None) => Ok(Presence::Missing),
            Err(ClusterError::Answered { code: 403, .. }) => Ok(Presence::Untold),
            Err(error) => Err(error),
        }
    }

    /// What is served of the first version of a group, with the parts of it: `routes`, `routes/status`. Everybody who is logged in may ask:
    /// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles>.
    pub(crate) async fn served(&self, group: &str) -> Result<BTreeSet<String>, ClusterError> {
        let place = format!("/apis/{group}");
        let what = "tell what it serves";
        let served = self.object((&place, "v1alpha1"), what).await?;
        let served = served.unwrap_or_default();
        let resources = served.get("resources").and_then(Json::as_array);
        let names = resources.into_iter().flatten();
        let names = names.filter_map(|resource| resource.get("name")?.as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// What stands at an address; `None` for nothing.
    async fn object(
        &self,
        (place, name): (&str, &str),
        what: &str,
    ) -> Result<Option<Json>, ClusterError> {
        let request = Request::new(place).get(name, &GetParams::default());
        let request = request.expect("an object has a name");
        match self.client.request(request).await {
            Ok(object) => Ok(Some(object)),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(judged(error, what)),
        }
    }

    /// Whether we have `right`.
    pub(crate) async fn may(&self, right: &Right) -> Result<bool, ClusterError> {
        let Right {
            verb,
            group,
            resource,
            part,
            name,
            namespace: _,
        } = right.clone();
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource: part.map(str::to_owned),
                    name,
                    namespace: match self.place(right) {
                        Namespace::All => None,
                        Namespace::Named(name) => Some(name),
                    },
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| judged(error, "tell what we may do"))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

pub(super) fn judged(error: Error, what: &str) -> ClusterError {
    let (server, what) = (KUBERNETES.to_owned(), what.to_owned());
    match error {
        Error::Api(status) => match (status.code, words(&status.message)) {
            (401, _) => ClusterError::Unauthorized { server, what },
            (code, words) => ClusterError::Answered {
                server,
                what,
                code,
                words,
            },
        },
        // What serde says of a value may hold the value.
        Error::SerdeError(_) => ClusterError::NotUnderstood { server, what },
        error => ClusterError::Unreachable {
            server,
            what,
            source: told_cause(error),
        },
    }
}
