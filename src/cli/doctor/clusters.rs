//! Kubernetes and Argo CD: whether they answer, and whether what the settings need is there: rights, namespaces, definitions.
//!
//! Not here: what that is (`needed`), and what custom resources say (`custom`).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};

use super::clocks::Told;
use super::custom::Read;
use super::finding::{Finding, Group, Subject};
use super::needed::{Needed, POD_EVENTS, Wanted, needed};
use super::{Bounds, QUESTION_MAX, SILENT, Seen, told};
use crate::cli::edges::argo_cd;
use crate::cli::run::Setup;
use crate::cli::shard::Shard;
use crate::cluster::resources::{GROUP, ResourceKind};
use crate::cluster::{Connection, Desk, Namespace, Owner, Presence, Right};
use crate::config::ArgoCdSettings;
use crate::daemon;
use crate::login::{ClusterWay, Environment};
use crate::world::Fact;

pub(super) async fn look(
    setup: &Setup,
    (custom, shard): (Option<Read>, Option<Shard>),
    bounds: &Bounds,
) -> Seen {
    let settings = &setup.settings;
    let custom_settings = custom.as_ref().map(|read| &read.settings);
    let needed = needed(settings, custom_settings, shard);
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
    if let (true, Err(error)) = (settings.pod_events, Owner::of(&Environment::default())) {
        let subject = Subject::new(Group::Clusters, POD_EVENTS);
        seen.findings.push(subject.error(told(&error), None));
    }
    if let Some(read) = custom {
        let read: Vec<Finding> = read.beside(&seen.findings).collect();
        seen.findings.extend(read);
    }
    // Those about one thing stand together.
    seen.findings.sort_by(|a, b| a.subject.cmp(&b.subject));
    seen
}

async fn of_cluster(needed: &Needed, bounds: &Bounds) -> (Vec<Finding>, Option<Told>) {
    let subject = Subject::new(Group::Clusters, &needed.what);
    let environment = Environment::default();
    let opened = bounds.ask(Desk::open(&needed.way, &environment, QUESTION_MAX));
    let desk = match opened.await {
        Some(Ok(desk)) => desk,
        Some(Err(error)) => {
            let hint = error.hint().map(str::to_owned);
            return (vec![subject.error(told(&error), hint)], None);
        }
        None => return (vec![subject.error(SILENT, None)], None),
    };
    let server = match bounds.ask(desk.server()).await {
        Some(Ok(server)) => server,
        // What is asked of it now would say the same again.
        Some(Err(error)) => return (vec![subject.error(told(&error), error.hint())], None),
        None => return (vec![subject.error(SILENT, None)], None),
    };
    let clock = server.clock.map(|theirs| Told {
        host: format!("Kubernetes ({})", needed.what),
        theirs,
        ours: daemon::now(),
    });
    let version = server.version.unwrap_or("of an unknown version".to_owned());
    let mut findings = vec![subject.ok(format!("Kubernetes {version} answers"))];
    if needed.defines {
        findings.extend(definitions(&subject, &desk, bounds).await);
    }
    let missing = missing_namespaces(needed, &desk, bounds).await;
    findings.extend(missing.iter().map(|name| {
        let hint = "make it, or take it out of the settings";
        subject.error(
            format!("there is no namespace `{name}`"),
            Some(hint.to_owned()),
        )
    }));
    findings.extend(rights(&subject, (&desk, needed), &missing, bounds).await);
    (findings, clock)
}

/// Whether custom resources can be there at all.
async fn definitions(subject: &Subject, desk: &Desk, bounds: &Bounds) -> Option<Finding> {
    let served = match bounds.ask(desk.served(GROUP)).await {
        Some(Ok(served)) => served,
        Some(Err(error)) => {
            let why = told(&error);
            return Some(subject.unknown(format!("whether the definitions are there: {why}")));
        }
        None => {
            return Some(subject.unknown(format!("whether the definitions are there: {SILENT}")));
        }
    };
    let kinds = [ResourceKind::Policy, ResourceKind::Route].map(ResourceKind::plural);
    let parts = kinds.map(|kind| [kind.to_owned(), format!("{kind}/status")]);
    let lacks = parts.into_iter().flatten();
    let lacks = lacks.filter(|name| !served.contains(name));
    let lacks: Vec<String> = lacks.map(|name| format!("`{name}`")).collect();
    let hint = "the chart's `customResources.install` makes them, as does `towpath schema crds | kubectl apply --server-side -f -`";
    (!lacks.is_empty()).then(|| {
        let lacks = lacks.join(", ");
        let message = format!("the cluster has no definition of {lacks} of the group `{GROUP}`");
        subject.error(message, Some(hint.to_owned()))
    })
}

/// The namespaces that are not there, as far as we may know.
async fn missing_namespaces<'n>(
    needed: &'n Needed,
    desk: &Desk,
    bounds: &Bounds,
) -> BTreeSet<&'n str> {
    let asked = needed.namespaces().into_iter().map(|name| async move {
        let answer = bounds.ask(desk.namespace(name)).await;
        let is_missing = matches!(answer, Some(Ok(Presence::Missing)));
        is_missing.then_some(name)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// What we may do and what not, in one line for each namespace, but for those that are not there.
async fn rights(
    subject: &Subject,
    (desk, needed): (&Desk, &Needed),
    missing: &BTreeSet<&str>,
    bounds: &Bounds,
) -> Vec<Finding> {
    let is_there = |wanted: &&Wanted| match desk.place(&wanted.right) {
        Namespace::All => true,
        Namespace::Named(name) => !missing.contains(name.as_str()),
    };
    let asked = needed.rights.iter().filter(is_there);
    let asked = asked.map(|wanted| async move {
        let answer = bounds.ask(desk.may(&wanted.right)).await;
        (wanted, answer)
    });
    let (answers, who) = join(join_all(asked), bounds.ask(desk.who())).await;
    let who = who.and_then(Result::ok).unwrap_or("us".to_owned());
    let (mut has, mut lacks) = (Vec::new(), Vec::new());
    let mut findings = Vec::new();
    for (wanted, answer) in answers {
        let right = &wanted.right;
        match answer {
            Some(Ok(true)) => has.push(wanted),
            Some(Ok(false)) => lacks.push(wanted),
            Some(Err(error)) => {
                let why = told(&error);
                findings.push(subject.unknown(format!("whether we may {right}: {why}")));
            }
            None => findings.push(subject.unknown(format!("whether we may {right}: {SILENT}"))),
        }
    }
    let is_in_pod = needed.way == ClusterWay::default();
    findings.extend(by_place(desk, &lacks).into_iter().map(|(place, lacks)| {
        let message = format!("we may not {} in {place}", words(&lacks));
        let hint = hint(&place, (&who, &lacks), is_in_pod);
        subject.error(message, Some(hint))
    }));
    findings.extend(by_place(desk, &has).into_iter().map(|(place, has)| {
        let has = words(&has);
        subject.ok(format!("we may {has} in {place}"))
    }));
    findings
}

fn by_place<'w>(desk: &Desk, all: &[&'w Wanted]) -> BTreeMap<Namespace, Vec<&'w Wanted>> {
    let mut places: BTreeMap<Namespace, Vec<&Wanted>> = BTreeMap::new();
    for wanted in all {
        let place = desk.place(&wanted.right);
        places.entry(place).or_default().push(wanted);
    }
    places
}

/// `get, list applications.argoproj.io; create leases.coordination.k8s.io`.
fn words(all: &[&Wanted]) -> String {
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in all.iter().map(|wanted| &wanted.right) {
        let Right { verb, .. } = right;
        verbs.entry(right.object()).or_default().push(verb);
    }
    let rights = verbs.into_iter();
    let rights = rights.map(|(object, verbs)| format!("{} {object}", verbs.join(", ")));
    rights.collect::<Vec<_>>().join("; ")
}

fn hint(place: &Namespace, (who, lacks): (&str, &[&Wanted]), is_in_pod: bool) -> String {
    let values: BTreeSet<&str> = lacks.iter().map(|wanted| wanted.value).collect();
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    let values = values.join(" and ");
    match (place, is_in_pod) {
        (Namespace::All, _) => format!("allow it by a ClusterRole, bound to {who}"),
        (Namespace::Named(_), true) => {
            format!("allow it by a Role there, bound to {who}; the chart's {values} makes both")
        }
        (Namespace::Named(_), false) => format!("allow it by a Role there, bound to {who}"),
    }
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
