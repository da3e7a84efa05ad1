//! Kubernetes and Argo CD: whether they answer, and whether we have the rights that the settings need.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::clocks::Told;
use super::finding::{Finding, Group, Subject};
use super::{Bounds, QUESTION_MAX, SILENT, Seen, told};
use crate::cli::edges::argo_cd;
use crate::cli::run::Setup;
use crate::cluster::resources::{GROUP, ResourceKind};
use crate::cluster::{Connection, Desk, Events, Namespace, Refresh, Right, Server};
use crate::config::{ArgoCdSettings, CustomResourcesSettings, LeadershipSettings, Settings};
use crate::daemon;
use crate::login::{ClusterWay, Environment, PullSecrets, Source, Which};
use crate::world::Fact;

/// What the settings need in one cluster.
struct Needed {
    /// What it is needed for: `leadership`, `argo-cd/local`.
    what: String,
    way: ClusterWay,
    rights: Vec<Right>,
}

pub(super) async fn look(setup: &Setup, bounds: &Bounds) -> Seen {
    let settings = &setup.settings;
    let needed = needed(settings);
    let rights = join_all(needed.iter().map(|needed| of_cluster(needed, bounds)));
    let connections = settings.argo_cd.iter();
    let connections = connections.map(|(name, settings)| {
        let subject = Subject::new(Group::Clusters, format!("argo-cd/{name}"));
        of_connection(subject, settings, bounds)
    });
    let mut seen = Seen::default();
    for (findings, clock) in rights.await {
        seen.findings.extend(findings);
        seen.clocks.extend(clock);
    }
    seen.findings.extend(join_all(connections).await);
    // Those about one thing stand together.
    seen.findings.sort_by(|a, b| a.subject.cmp(&b.subject));
    seen
}

fn needed(settings: &Settings) -> Vec<Needed> {
    let mut needed = Vec::new();
    needed.extend(settings.leadership.iter().map(of_leadership));
    if settings.pod_events {
        let right = |verb| Right {
            verb,
            group: "events.k8s.io",
            resource: "events",
            part: None,
            name: None,
            namespace: None,
        };
        needed.push(Needed {
            what: "pod-events".to_owned(),
            way: ClusterWay::default(),
            rights: ["create", "patch"].map(right).into(),
        });
    }
    if let Some(CustomResourcesSettings { namespaces, way }) = &settings.custom_resources {
        needed.push(Needed {
            what: "custom-resources".to_owned(),
            way: way.clone(),
            rights: namespaces
                .keys()
                .flat_map(|name| of_resources(name))
                .collect(),
        });
    }
    for (name, settings) in &settings.argo_cd {
        if let Server::Kubernetes { way, namespaces } = &settings.server {
            needed.push(Needed {
                what: format!("argo-cd/{name}"),
                way: way.clone(),
                rights: of_argo_cd(namespaces, settings),
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
    }));
    needed
}

fn of_leadership(leadership: &LeadershipSettings) -> Needed {
    let LeadershipSettings {
        lease,
        namespace,
        way,
    } = leadership;
    let right = |verb, name| Right {
        verb,
        group: "coordination.k8s.io",
        resource: "leases",
        part: None,
        name,
        namespace: namespace.clone().map(Namespace::Named),
    };
    let named = |verb| right(verb, Some(lease.clone()));
    Needed {
        what: "leadership".to_owned(),
        way: way.clone(),
        rights: vec![right("create", None), named("get"), named("update")],
    }
}

fn of_argo_cd(namespaces: &[Namespace], settings: &ArgoCdSettings) -> Vec<Right> {
    let mut rights = Vec::new();
    for namespace in namespaces {
        let of_group = |group, verb, resource| Right {
            verb,
            group,
            resource,
            part: None,
            name: None,
            namespace: Some(namespace.clone()),
        };
        let right = |verb, resource| of_group("argoproj.io", verb, resource);
        for resource in ["applications", "appprojects"] {
            rights.extend(["get", "list", "watch"].map(|verb| right(verb, resource)));
        }
        match settings.refresh {
            Refresh::Never => {}
            Refresh::WhenAsked => rights.push(right("patch", "applications")),
        }
        match settings.events {
            Events::Never => {}
            Events::Told => {
                let of_events = |verb| of_group("events.k8s.io", verb, "events");
                rights.extend(["create", "patch"].map(of_events));
            }
        }
    }
    rights
}

fn of_resources(namespace: &str) -> impl Iterator<Item = Right> {
    let right = |verb, part, kind: ResourceKind| Right {
        verb,
        group: GROUP,
        resource: kind.plural(),
        part,
        name: None,
        namespace: Some(Namespace::Named(namespace.to_owned())),
    };
    let verbs = [("list", None), ("watch", None), ("patch", Some("status"))];
    let kinds = [ResourceKind::Policy, ResourceKind::Route];
    kinds
        .into_iter()
        .flat_map(move |kind| verbs.map(|(verb, part)| right(verb, part, kind)))
}

fn of_secrets(secrets: &PullSecrets) -> Vec<Right> {
    let PullSecrets { namespace, which } = secrets;
    let right = |resource, name: &String| Right {
        verb: "get",
        group: "",
        resource,
        part: None,
        name: Some(name.clone()),
        namespace: namespace.clone().map(Namespace::Named),
    };
    match which {
        Which::Named(names) => names.iter().map(|name| right("secrets", name)).collect(),
        Which::ServiceAccount(name) => vec![right("serviceaccounts", name)],
    }
}

async fn of_cluster(needed: &Needed, bounds: &Bounds) -> (Vec<Finding>, Option<Told>) {
    let Needed { what, way, rights } = needed;
    let subject = Subject::new(Group::Clusters, what);
    let environment = Environment::default();
    let opened = bounds.ask(Desk::open(way, &environment, QUESTION_MAX));
    let desk = match opened.await {
        Some(Ok(desk)) => desk,
        Some(Err(error)) => {
            let hint = error.hint().map(str::to_owned);
            return (vec![subject.error(told(&error), hint)], None);
        }
        None => return (vec![subject.error(SILENT, None)], None),
    };
    let mut clock = None;
    let mut findings = vec![match bounds.ask(desk.server()).await {
        Some(Ok(server)) => {
            clock = server.clock.map(|theirs| Told {
                host: format!("Kubernetes ({what})"),
                theirs,
                ours: daemon::now(),
            });
            let version = server.version.unwrap_or("of an unknown version".to_owned());
            subject.ok(format!("Kubernetes {version} answers"))
        }
        Some(Err(error)) => subject.error(told(&error), error.hint()),
        None => subject.error(SILENT, None),
    }];
    let desk = &desk;
    let asked = rights.iter().map(|right| async move {
        let answer = bounds.ask(desk.may(right)).await;
        (right, answer)
    });
    let mut has = Vec::new();
    for (right, answer) in join_all(asked).await {
        let place = desk.place(right);
        match answer {
            Some(Ok(true)) => has.push(right),
            Some(Ok(false)) => findings.push(lacks(&subject, right, &place)),
            Some(Err(error)) => {
                let why = told(&error);
                findings.push(subject.unknown(format!("whether we may {right}: {why}")));
            }
            None => findings.push(subject.unknown(format!("whether we may {right}: {SILENT}"))),
        }
    }
    findings.extend(may(&subject, desk, &has));
    (findings, clock)
}

fn lacks(subject: &Subject, right: &Right, place: &Namespace) -> Finding {
    let role = match place {
        Namespace::All => "ClusterRole",
        Namespace::Named(_) => "Role",
    };
    let hint = format!("allow it by a {role} bound to us in {place}; the chart has it");
    subject.error(format!("we may not {right} in {place}"), Some(hint))
}

/// What we may do, in one line for each namespace: `get, list applications.argoproj.io; create leases.coordination.k8s.io`.
fn may(subject: &Subject, desk: &Desk, has: &[&Right]) -> Vec<Finding> {
    let mut places: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for right in has {
        let of_place = places.entry(desk.place(right).to_string()).or_default();
        let of_object = of_place.entry(right.object()).or_default();
        of_object.push(right.verb);
    }
    let lines = places.into_iter().map(|(place, rights)| {
        let rights = rights.into_iter();
        let rights = rights.map(|(object, verbs)| format!("{} {object}", verbs.join(", ")));
        let rights: Vec<String> = rights.collect();
        subject.ok(format!("we may {} in {place}", rights.join("; ")))
    });
    lines.collect()
}

/// Reads Argo CD as the daemon would begin to.
async fn of_connection(subject: Subject, settings: &ArgoCdSettings, bounds: &Bounds) -> Finding {
    let connection = match Connection::new(argo_cd(settings)) {
        Ok(connection) => connection,
        Err(error) => return subject.error(told(&error), error.hint()),
    };
    if bounds.ask(connection.read()).await.is_none() {
        return subject.error(SILENT, None);
    }
    match connection.shown() {
        None => subject.unknown("nothing was read"),
        Some(Fact::Unknown { why }) => subject.error(why, None),
        Some(Fact::Known(applications)) => {
            let count = applications.all.len();
            match &applications.projects {
                Fact::Known(_) => subject.ok(format!("{count} Applications and their projects")),
                Fact::Unknown { why } => subject.warning(
                    format!("{count} Applications; their projects are unknown: {why}"),
                    "without the projects no sync window is known",
                ),
            }
        }
    }
}
