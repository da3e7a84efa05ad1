//! What the settings need of clusters: which rights, and which value of the chart brings each.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::shard::Shard;
use crate::cluster::resources::{GROUP, ResourceKind};
use crate::cluster::{Events, Namespace, Owner, Refresh, Right, Server};
use crate::config::{ArgoCdSettings, CustomResourcesSettings, LeadershipSettings, Settings};
use crate::login::{ClusterWay, Environment, PullSecrets, Source, Which};

/// What the settings need in one cluster.
pub(super) struct Needed {
    /// What it is needed for: `leadership`, `argo-cd/local`.
    pub(super) what: String,
    pub(super) way: ClusterWay,
    pub(super) rights: Vec<Wanted>,
    /// Whether the definitions of our custom resources have to be there.
    pub(super) defines: bool,
}

/// A right that somebody has to give.
pub(super) struct Wanted {
    pub(super) right: Right,
    /// The value of the chart that brings it, where towpath runs in that cluster.
    pub(super) value: &'static str,
}

/// The settings that custom resources and Events on ourselves have, by which people know what is about them.
pub(super) const CUSTOM_RESOURCES: &str = "custom-resources";
pub(super) const POD_EVENTS: &str = "pod-events";

/// All that `settings` need, and those custom resources that are read.
pub(super) fn needed(
    settings: &Settings,
    custom: Option<&CustomResourcesSettings>,
    shard: Option<Shard>,
) -> Vec<Needed> {
    let mut needed = Vec::new();
    let leadership = settings.leadership.iter();
    needed.extend(leadership.map(|leadership| of_leadership(leadership, shard)));
    if settings.pod_events {
        needed.push(of_ourselves(&Environment::default()));
    }
    if let Some(CustomResourcesSettings { namespaces, way }) = custom {
        let rights = namespaces.keys().flat_map(|name| of_resources(name));
        needed.push(Needed {
            what: CUSTOM_RESOURCES.to_owned(),
            way: way.clone(),
            rights: rights.collect(),
            defines: true,
        });
    }
    for (name, settings) in &settings.argo_cd {
        if let Server::Kubernetes { way, namespaces } = &settings.server {
            needed.push(Needed {
                what: format!("argo-cd/{name}"),
                way: way.clone(),
                rights: of_argo_cd(namespaces, settings),
                defines: false,
            });
        }
    }
    let of_hosts = settings.registries.values().map(|host| &host.logins);
    let sources = of_hosts.flat_map(|logins| logins.iter());
    let sources = sources.chain(&settings.shared_login);
    let mut secrets = BTreeMap::new();
    for source in sources {
        if let Source::PullSecrets(found) = source {
            secrets.insert(found.to_string(), of_secrets(found));
        }
    }
    needed.extend(secrets.into_values().map(|rights| Needed {
        what: "pull secrets".to_owned(),
        way: ClusterWay::default(),
        rights,
        defines: false,
    }));
    needed
}

fn of_leadership(leadership: &LeadershipSettings, shard: Option<Shard>) -> Needed {
    let LeadershipSettings {
        lease,
        namespace,
        way,
    } = leadership;
    let lease = match shard {
        Some(shard) => shard.lease(lease),
        None => lease.clone(),
    };
    let wanted = |verb, name| Wanted {
        right: Right {
            verb,
            group: "coordination.k8s.io",
            resource: "leases",
            part: None,
            name,
            namespace: namespace.clone().map(Namespace::Named),
        },
        value: "replicas",
    };
    let named = |verb| wanted(verb, Some(lease.clone()));
    Needed {
        what: "leadership".to_owned(),
        way: way.clone(),
        rights: vec![wanted("create", None), named("get"), named("update")],
        defines: false,
    }
}

/// What Events on ourselves need. What our pod belongs to is known in the pod alone.
fn of_ourselves(environment: &Environment) -> Needed {
    let wanted = |right| Wanted {
        right,
        value: "podEvents",
    };
    let owner = Owner::of(environment).ok().flatten();
    let owner = owner.map(|Owner { kind, name }| Right {
        verb: "get",
        group: "apps",
        resource: kind.resource(),
        part: None,
        name: Some(name),
        namespace: None,
    });
    let events = ["create", "patch"].map(|verb| event(verb, None));
    Needed {
        what: POD_EVENTS.to_owned(),
        way: ClusterWay::default(),
        rights: events.into_iter().chain(owner).map(wanted).collect(),
        defines: false,
    }
}

fn event(verb: &'static str, namespace: Option<Namespace>) -> Right {
    Right {
        verb,
        group: "events.k8s.io",
        resource: "events",
        part: None,
        name: None,
        namespace,
    }
}

fn of_argo_cd(namespaces: &[Namespace], settings: &ArgoCdSettings) -> Vec<Wanted> {
    let mut rights = Vec::new();
    for namespace in namespaces {
        let wanted = |verb, resource, value| Wanted {
            right: Right {
                verb,
                group: "argoproj.io",
                resource,
                part: None,
                name: None,
                namespace: Some(namespace.clone()),
            },
            value,
        };
        for resource in ["applications", "appprojects"] {
            let verbs = ["get", "list", "watch"];
            rights.extend(verbs.map(|verb| wanted(verb, resource, "argoCd.namespaces")));
        }
        match settings.refresh {
            Refresh::Never => {}
            Refresh::WhenAsked => {
                rights.push(wanted("patch", "applications", "argoCd.refresh"));
            }
        }
        match settings.events {
            Events::Never => {}
            Events::Told => rights.extend(["create", "patch"].map(|verb| Wanted {
                right: event(verb, Some(namespace.clone())),
                value: "argoCd.events",
            })),
        }
    }
    rights
}

fn of_resources(namespace: &str) -> impl Iterator<Item = Wanted> {
    let wanted = |verb, part, kind: ResourceKind| Wanted {
        right: Right {
            verb,
            group: GROUP,
            resource: kind.plural(),
            part,
            name: None,
            namespace: Some(Namespace::Named(namespace.to_owned())),
        },
        value: "customResources.namespaces",
    };
    let verbs = [
        ("get", None),
        ("list", None),
        ("watch", None),
        ("patch", Some("status")),
    ];
    let kinds = [ResourceKind::Policy, ResourceKind::Route];
    kinds
        .into_iter()
        .flat_map(move |kind| verbs.map(|(verb, part)| wanted(verb, part, kind)))
}

fn of_secrets(secrets: &PullSecrets) -> Vec<Wanted> {
    let PullSecrets { namespace, which } = secrets;
    let wanted = |resource, name: &String, value| Wanted {
        right: Right {
            verb: "get",
            group: "",
            resource,
            part: None,
            name: Some(name.clone()),
            namespace: namespace.clone().map(Namespace::Named),
        },
        value,
    };
    match which {
        Which::Named(names) => names
            .iter()
            .map(|name| wanted("secrets", name, "pullSecrets.names"))
            .collect(),
        Which::ServiceAccount(name) => {
            vec![wanted(
                "serviceaccounts",
                name,
                "pullSecrets.serviceAccount",
            )]
        }
    }
}

impl Needed {
    /// The namespaces that are named, of which somebody may have forgotten one.
    pub(super) fn namespaces(&self) -> BTreeSet<&str> {
        let wanted = self.rights.iter();
        let named = wanted.filter_map(|wanted| match &wanted.right.namespace {
            Some(Namespace::Named(name)) => Some(name.as_str()),
            Some(Namespace::All) | None => None,
        });
        named.collect()
    }
}
