//! The daemon when those around it are rude: half requests, registries that stall, servers that refuse each push.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bed::Process;

use towpath::demo_registry::Kind;

use crate::daemon::get;
use crate::lab::{Lab, kustomization, portal_policy};

/// Far less than a client could keep a connection open, far more than an end takes.
const SOON: Duration = Duration::from_secs(20);

/// Sends the beginning of a request and no more.
fn half_a_request(daemon: &Process) -> TcpStream {
    let listens = || {
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("listening"))?;
        let address = line.rsplit("address=").next()?.trim().to_owned();
        TcpStream::connect(address).ok()
    };
    daemon.wait_until("the pages", || listens().is_some());
    let mut stream = listens().unwrap();
    write!(stream, "GET /hea").unwrap();
    stream
}

/// A registry that lists one tag more than what runs, and never says what it points at.
fn registry_that_stalls() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                let _ = reader.read_line(&mut line);
                if !line.contains("/tags/list") {
                    let _ = reader.read_to_end(&mut Vec::new());
                    return;
                }
                let body = r#"{"tags":["develop-1-0a1b2c3","develop-2-1b2c3d4"]}"#;
                let _ = write!(
                    &stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    host
}

#[test]
fn a_client_that_never_ends_its_request_does_not_keep_it_from_ending() {
    let lab = Lab::portal();
    let mut daemon = lab.start();
    let _client = half_a_request(&daemon);
    let asked = Instant::now();
    daemon.signal("TERM");
    while !daemon.has_ended() {
        assert!(asked.elapsed() < SOON, "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}

#[test]
fn a_new_configuration_is_taken_while_a_registry_owes_an_answer() {
    let lab = Lab::portal();
    let host = registry_that_stalls();
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    lab.write(
        "towpath.yaml",
        &settings.replace(&lab.registry.host(), &host),
    );
    let image = format!("{host}/acme/web");
    let folder = "apps/portal/overlays/dev";
    lab.commit(
        "elsewhere",
        &[(
            &format!("{folder}/kustomization.yaml"),
            &kustomization(&image, "develop-1-0a1b2c3"),
        )],
    );
    let mut daemon = {
        lab.policies(&portal_policy("portal", &image, folder));
        lab.start()
    };
    for round in 0..5 {
        std::thread::sleep(Duration::from_millis(1_500));
        lab.policies(&portal_policy(&format!("portal-{round}"), &image, folder));
        daemon.wait_until("the new configuration", || {
            daemon.log().matches("new configuration").count() > round
                || daemon.log().contains("panicked")
        });
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    }
    assert!(!daemon.has_ended());
}

#[test]
fn a_push_that_is_refused_waits_for_the_next_fetch_however_much_happens_meanwhile() {
    let mut lab = Lab::portal();
    // The branch is checked out there, so that each push is refused.
    let work = lab.path().join("work").display().to_string();
    lab.repository(&format!("url: {work}"));
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    let (repositories, registries) = settings.split_once("registries:").unwrap();
    let repositories = repositories.replace("poll-interval: 1s", "poll-interval: 1h");
    lab.write(
        "towpath.yaml",
        &format!("{repositories}registries:{registries}"),
    );
    lab.push(&["develop-2-1b2c3d4"]);
    let daemon = lab.start();
    daemon.wait_until("the refusal", || daemon.log().contains("push failed"));
    for tag in [
        "develop-3-2c3d4e5",
        "develop-4-3d4e5f6",
        "develop-5-4e5f6a7",
    ] {
        lab.push(&[tag]);
        daemon.wait_until("the tag", || daemon.log().contains(tag));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(
        daemon.log().matches("push failed").count(),
        1,
        "{}",
        daemon.log()
    );
}

#[test]
fn many_new_tags_at_once_are_one_line_in_the_log() {
    let lab = Lab::portal();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let tags: Vec<String> = (2..500).map(|n| format!("develop-{n}-1b2c3d4")).collect();
    lab.push(&tags.iter().map(String::as_str).collect::<Vec<_>>());
    daemon.wait_until("the promotion", || {
        lab.subjects()[0].contains("develop-499-")
    });
    let lines = daemon.log().lines().count();
    assert!(lines < 200, "{lines} lines");
}

#[test]
fn what_no_policy_names_any_more_leaves_the_metrics() {
    let lab = Lab::portal();
    let other = lab.image("acme/other");
    lab.registry.push(
        "acme/other",
        "develop-1-0a1b2c3",
        &towpath::demo_registry::Image::default(),
    );
    let both = format!(
        "{}---\n{}",
        portal_policy("portal", &lab.image("acme/web"), "apps/portal/overlays/dev"),
        portal_policy("other", &other, "apps/portal/overlays/dev")
    );
    lab.policies(&both);
    let daemon = lab.start();
    daemon.wait_until("both readings", || {
        let metrics = get(&daemon, "/metrics");
        ["acme/web", "acme/other"]
            .iter()
            .all(|name| metrics.contains(name))
    });
    lab.policies(&portal_policy(
        "portal",
        &lab.image("acme/web"),
        "apps/portal/overlays/dev",
    ));
    daemon.wait_until("the new configuration", || {
        daemon.log().contains("new configuration")
    });
    daemon.wait_until("the reading that is left, alone", || {
        let metrics = get(&daemon, "/metrics");
        metrics.contains("acme/web") && !metrics.contains("acme/other")
    });
}

#[test]
fn a_policy_that_changes_does_not_make_all_be_read_again() {
    let lab = Lab::portal();
    for number in 2..20 {
        lab.push(&[&format!("main-{number}")]);
    }
    let policy = portal_policy("portal", &lab.image("acme/web"), "apps/portal/overlays/dev");
    let policy = policy.replace(
        "pattern: \"develop-{number}-{sha}\"",
        "regex: \"main-.*\", newest-by: created",
    );
    lab.policies(&policy);
    let daemon = lab.start();
    daemon.wait_until("the creation times", || {
        daemon.log().contains("hold") || daemon.log().contains("promoted")
    });
    let manifests = |counts: BTreeMap<Kind, u64>| counts.get(&Kind::Manifest).copied();
    assert!(manifests(lab.registry.take_requests()) >= Some(18));
    lab.policies(&policy.replace("name: portal", "name: renamed"));
    daemon.wait_until("the new configuration", || {
        daemon.log().contains("policy=renamed")
    });
    lab.push(&["main-21"]);
    daemon.wait_until("a listing", || daemon.log().contains("tag=main-21"));
    std::thread::sleep(Duration::from_millis(500));
    let asked = manifests(lab.registry.take_requests());
    assert!(
        asked < Some(5),
        "{asked:?} manifests: all were asked for again"
    );
}
