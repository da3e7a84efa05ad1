//! Connections to Argo CD: what may be written, and what it means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::check_settings::Check;
use super::forge_nouns::ApiUrl;
use super::forms::OneOrMany;
use super::logins::{ObjectName, SecretPlace};
use super::problem::Faults;
use super::settings::ArgoCdSettings;
use super::shape::{Block, Leaf, Named, Placed, Refusal, Shape, shape};
use super::tree::{Node, Value};
use crate::cluster::{Events, Namespace, Refresh, Server};
use crate::login::ClusterWay;
use crate::policy::ConnectionName;

/// Where Argo CD lies unless somebody put it elsewhere:
/// <https://argo-cd.readthedocs.io/en/stable/getting_started/>.
const NAMESPACE: &str = "argocd";

/// How often Argo CD's own API is listed where nothing else is said.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

shape! {
    /// A connection to Argo CD, from which Applications are read.
    struct ArgoCdEntry {
        /// Reads Applications from the Kubernetes API of the cluster where Argo CD runs.
        kubernetes: Option<Block<KubernetesEntry>> = "kubernetes",
        /// Reads Applications from Argo CD's own API.
        api: Option<Block<ApiEntry>> = "api",
        /// The labels that Applications have to have, as Kubernetes writes them: `team=shop,tier!=test`. Default: all Applications are read.
        selector: Option<Placed<Selector>> = "selector",
        /// Whether Argo CD may be asked to look at git at once, which needs the right to change Applications. Default: `false`.
        refresh: Option<bool> = "refresh",
    }

    /// A cluster where Argo CD runs. Nothing means the one that towpath runs in, or the one of KUBECONFIG.
    struct KubernetesEntry {
        /// The kubeconfig that leads to the cluster, relative to this file. Default: the service account of the pod, or what KUBECONFIG names.
        kubeconfig: Option<Placed<String>> = "kubeconfig",
        /// The context of the kubeconfig. Default: its current one.
        context: Option<Placed<String>> = "context",
        /// The namespaces with Applications, or `all`. Default: `argocd`.
        namespaces: Option<Namespaces> = "namespaces",
        /// Whether Kubernetes Events on Applications tell what was promoted there, rolled back, and held until a person acts. Default: `false`.
        events: Option<bool> = "events",
    }

    /// Argo CD's own API.
    struct ApiEntry {
        /// The URL of Argo CD, as people open it: `https://argocd.example.com`.
        url: Placed<ApiUrl> = "url",
        /// Where the token of an account or a project role is kept.
        token: SecretPlace = "token",
        /// A file with the certificate authorities to trust, in PEM, relative to this file.
        ca_file: Option<Placed<String>> = "ca-file",
        /// Whether a URL without TLS may be used. Default: `false`.
        plain_http: Option<bool> = "plain-http",
        /// The projects whose Applications are read. Default: all that the token may see.
        projects: Option<Vec<Placed<ObjectName>>> = "projects",
        /// How often all Applications are listed, which repairs what the stream of changes missed: `30s`, `5m`. Default: `1m`.
        poll_interval: Option<Placed<Duration>> = "poll-interval",
    }
}

/// Namespaces by name, or all.
#[derive(Clone, Debug)]
pub(super) enum Namespaces {
    All,
    Named(OneOrMany<Placed<ObjectName>>),
}

impl Shape for Namespaces {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if scalar.text == "all" => Some(Self::All),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) | Value::Empty | Value::Refused => {
                OneOrMany::read(node, faults).map(Self::Named)
            }
        }
    }

    fn schema() -> Option<Json> {
        let named = OneOrMany::<Placed<ObjectName>>::schema()?;
        Some(json!({ "anyOf": [{ "const": "all" }, named] }))
    }
}

/// A selector of labels. What it means is the server's to say.
///
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[derive(Clone, Debug)]
pub(super) struct Selector(pub(super) String);

impl Leaf for Selector {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || " -_./,=!()".contains(c);
        match !text.trim().is_empty() && text.chars().all(allowed) {
            true => Ok(Self(text.trim().to_owned())),
            false => Err(Refusal::new("this is no selector of labels")
                .hint("write it as `kubectl get --selector` takes it: `team=shop,tier!=test`")),
        }
    }
}

impl Check<'_> {
    pub(super) fn argo_cd(
        &mut self,
        named: Named<ConnectionName, Block<ArgoCdEntry>>,
    ) -> BTreeMap<ConnectionName, ArgoCdSettings> {
        let mut connections = BTreeMap::new();
        for entry in named.entries {
            let Some(block) = entry.value else {
                continue;
            };
            if let Some(connection) = self.connection(block) {
                connections.insert(entry.key.value, connection);
            }
        }
        connections
    }

    /// `None` where it cannot be told who is asked, which is a fault by then.
    fn connection(&mut self, block: Block<ArgoCdEntry>) -> Option<ArgoCdSettings> {
        let Block { value, owner, span } = block;
        let ArgoCdEntry {
            kubernetes,
            api,
            selector,
            refresh,
        } = value;
        let wished = kubernetes.as_ref().and_then(|block| block.value.events);
        let events = match wished {
            Some(true) => Events::Told,
            Some(false) | None => Events::Never,
        };
        let mut poll_interval = POLL_INTERVAL;
        let server = match (kubernetes, api) {
            (Some(kubernetes), None) => self.kubernetes(kubernetes.value),
            (None, Some(api)) => {
                let interval = api.value.poll_interval.as_ref();
                poll_interval = interval.map_or(POLL_INTERVAL, |interval| interval.value);
                self.argo_cd_api(api.value)
            }
            (Some(_), Some(api)) => {
                let message = "`kubernetes` and `api` cannot stand together";
                self.faults.error(api.owner, message);
                return None;
            }
            (None, None) => {
                // A fault below may say already what is wrong with what is there.
                if !self.faults.touch(span) {
                    let message = "this connection does not say where Argo CD is";
                    let hint = "write `kubernetes: {}` for the cluster that towpath runs in, or `api: { url: URL, token: { env: NAME } }`";
                    self.faults.error_with_hint(owner, message, hint);
                }
                return None;
            }
        };
        Some(ArgoCdSettings {
            server,
            selector: selector.map(|selector| selector.value.0),
            refresh: match refresh {
                Some(true) => Refresh::WhenAsked,
                Some(false) | None => Refresh::Never,
            },
            events,
            poll_interval,
        })
    }

    fn kubernetes(&mut self, entry: KubernetesEntry) -> Server {
        let KubernetesEntry {
            kubeconfig,
            context,
            namespaces,
            events: _,
        } = entry;
        let namespaces = match namespaces {
            Some(Namespaces::All) => vec![Namespace::All],
            Some(Namespaces::Named(OneOrMany(names))) => {
                let mut named: Vec<String> = Vec::new();
                for Placed { value, span, .. } in names {
                    match named.contains(&value.value.0) {
                        true => {
                            let message =
                                format!("the namespace `{}` stands here twice", value.value.0);
                            self.faults.error(span, message);
                        }
                        false => named.push(value.value.0),
                    }
                }
                named.into_iter().map(Namespace::Named).collect()
            }
            None => vec![Namespace::Named(NAMESPACE.to_owned())],
        };
        Server::Kubernetes {
            way: ClusterWay {
                kubeconfig: kubeconfig.map(|file| self.existing(file)),
                context: context.map(|context| context.value),
            },
            namespaces,
        }
    }

    fn argo_cd_api(&mut self, entry: ApiEntry) -> Server {
        let ApiEntry {
            url,
            token,
            ca_file,
            plain_http,
            projects,
            poll_interval: _,
        } = entry;
        let plain_http = plain_http == Some(true);
        if url.value.0.scheme() == "http" && !plain_http {
            self.faults.error_with_hint(
                url.part(Some(0.."http".len())),
                "this URL has no TLS, so anyone on the way can read the token",
                "use https, or allow it with `plain-http: true`",
            );
        }
        let projects = projects.into_iter().flatten();
        Server::ArgoCd {
            url: url.value.0,
            token: self.secret(token),
            ca_file: ca_file.map(|file| self.existing(file)),
            plain_http,
            projects: projects.map(|project| project.value.0).collect(),
        }
    }
}
