//! The servers of checks: whether they answer. No check is asked: some have a price, or do something.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use url::Url;

use super::clocks::Told;
use super::finding::{Finding, Group, Subject};
use super::{Bounds, SILENT, Seen, told};
use crate::cli::edges::probe;
use crate::cli::run::Setup;
use crate::daemon;
use crate::policy::gate::checks::{Answered, Ask, Inquiry, Method, Text};
use crate::probe::{Probe, Reply};

/// What any Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/functions/#vector>.
const ONE: &str = "vector(1)";

pub(super) async fn look(setup: &Setup, bounds: &Bounds) -> Seen {
    let mut seen = Seen::default();
    let probe = match Probe::new(probe(&setup.settings)) {
        Ok(probe) => probe,
        Err(error) => {
            let subject = Subject::new(Group::Servers, "servers");
            seen.findings
                .push(subject.error(told(&error), error.hint()));
            return seen;
        }
    };
    let (asked, unnamed) = questions(setup);
    let answers = asked.iter().map(|(name, question)| {
        let subject = Subject::new(Group::Servers, name);
        of_server(subject, (&probe, question), bounds)
    });
    for (finding, clock) in join_all(answers).await {
        seen.findings.push(finding);
        seen.clocks.extend(clock);
    }
    seen.findings.extend(unnamed.iter().map(|check| {
        let words = "its address has a name in its host, so it was not asked";
        Subject::new(Group::Servers, format!("check {check}")).unknown(words)
    }));
    seen
}

/// One question for each server, by its address, and the checks whose server is not known beforehand.
fn questions(setup: &Setup) -> (BTreeMap<String, Inquiry>, BTreeSet<String>) {
    let samples = setup.fleets.iter().map(|fleet| &fleet.sample);
    let policies = setup.policies.iter().chain(samples);
    let environments = policies.flat_map(|policy| &policy.environments);
    let checks = environments.flat_map(|environment| &environment.gates.checks);
    let (mut asked, mut unnamed) = (BTreeMap::new(), BTreeSet::new());
    for check in checks {
        let question = match &check.ask {
            Ask::Http { url, .. } => root(url).map(|url| Inquiry::Http {
                method: Method::Get,
                url,
                headers: BTreeMap::new(),
                body: None,
                pointers: BTreeSet::new(),
            }),
            Ask::Prometheus { url, headers, .. } => root(url).map(|_| Inquiry::Prometheus {
                url: url.beginning().to_owned(),
                headers: headers.clone(),
                query: ONE.to_owned(),
                over: None,
            }),
        };
        match question {
            Some(question) => {
                let (Inquiry::Http { url, .. } | Inquiry::Prometheus { url, .. }) = &question;
                asked.insert(url.clone(), question);
            }
            None => {
                unnamed.insert(check.name.to_string());
            }
        }
    }
    (asked, unnamed)
}

/// The root of the server that an address leads to, where no name stands in its host.
fn root(address: &Text) -> Option<String> {
    let beginning = address.beginning();
    let (scheme, rest) = beginning.split_once("://")?;
    // What stands before a slash is whole.
    let is_whole = rest.contains('/') || beginning == address.to_string();
    let url: Url = beginning
        .parse()
        .ok()
        .filter(|_| is_whole && !scheme.is_empty())?;
    let mut root = url.clone();
    root.set_path("/");
    root.set_query(None);
    root.set_fragment(None);
    root.host_str().is_some().then(|| root.to_string())
}

async fn of_server(
    subject: Subject,
    (probe, question): (&Probe, &Inquiry),
    bounds: &Bounds,
) -> (Finding, Option<Told>) {
    let Some(Reply {
        told: answer,
        beside,
    }) = bounds.ask(probe.ask(question)).await
    else {
        return (subject.error(SILENT, None), None);
    };
    let url: Option<Url> = subject.name.parse().ok();
    let host = url.and_then(|url| url.host_str().map(str::to_owned));
    let clock = host.zip(beside.clock).map(|(host, theirs)| Told {
        host,
        theirs,
        ours: daemon::now(),
    });
    let finding = match answer {
        Ok(Answered::Prometheus { .. }) => subject.ok("Prometheus answers queries"),
        Ok(Answered::Http { status, .. }) if status < 500 => subject.ok(format!(
            "its root answers with {status}; no check was asked"
        )),
        Ok(Answered::Http { status, .. }) => subject.warning(
            format!("its root answers with {status}; no check was asked"),
            "checks of it are unknown while it fails, and hold",
        ),
        Err(error) => subject.error(told(&error), error.hint()),
    };
    (finding, clock)
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn a_server_is_asked_at_its_root_and_only_where_its_host_is_whole() {
        let root = |address: &str| root(&address.parse().unwrap()).unwrap_or_default();
        assert_eq!(
            root("https://smoke.example.com/run/{version}"),
            "https://smoke.example.com/"
        );
        assert_eq!(root("https://smoke-{policy}.example.com/run"), "");
        assert_eq!(root("https://smoke.example.com:{policy}"), "");
        assert_eq!(root("http://prometheus:9090"), "http://prometheus:9090/");
        assert_eq!(root("https://"), "");
        assert_eq!(root(""), "");
    }
}
