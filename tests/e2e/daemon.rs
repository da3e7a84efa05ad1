//! The daemon: promotes by itself, survives faults and kills, takes new configurations, ends when asked.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bed::{GitServer, Process, install_hook};
use towpath::demo_registry::Fault;

use crate::lab::{Lab, portal_policy, promotions};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";

/// Where the daemon listens, as its log tells.
fn address(daemon: &Process) -> String {
    address_of(daemon, "listening")
}

/// The address in the first line of the log that contains `what`.
pub(crate) fn address_of(daemon: &Process, what: &str) -> String {
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains(what));
    let address = line.and_then(|line| line.rsplit("address=").next());
    address.unwrap_or_default().trim().to_owned()
}

/// The answer to a GET of `path` from the daemon that logs to the lab's log file.
pub(crate) fn get(daemon: &Process, path: &str) -> String {
    let address = address(daemon);
    let Ok(mut stream) = TcpStream::connect(&address) else {
        return String::new();
    };
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_promotes_what_appears_and_ends_cleanly_on_sigterm() {
    let lab = Lab::portal();
    let mut daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    assert_eq!(promotions(&lab).len(), 0);

    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("the first promotion", || {
        lab.pushed(OVERLAY).contains("develop-2-1b2c3d4")
    });
    lab.push(&["develop-3-2c3d4e5"]);
    daemon.wait_until("the second promotion", || {
        lab.pushed(OVERLAY).contains("develop-3-2c3d4e5")
    });

    assert!(get(&daemon, "/healthz").contains("200 OK"));
    daemon.wait_until("the metrics of the last round", || {
        get(&daemon, "/metrics").contains("environment=\"dev\",policy=\"portal\"} 2")
    });
    let metrics = get(&daemon, "/metrics");
    for name in [
        "towpath_registry_requests_total",
        "towpath_registry_tags",
        "towpath_decisions",
        "towpath_promotions_total",
        "towpath_push_conflicts_total",
        "towpath_round_duration_seconds_bucket",
        "towpath_reading_timestamp_seconds",
        "towpath_git_pushes_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing in:\n{metrics}");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}

#[test]
fn it_says_how_its_registries_and_readings_stand() {
    let lab = Lab::portal();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let address = address(&daemon);
    let ran = lab.run(&["status", "--address", &address]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let head = lab.git(&["-C", "deploy.git", "rev-parse", "main"]);
    let rows: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[1][..2], ["REGISTRY", "other"]);
    assert_eq!(rows[4][0], "REGISTRY/acme/web");
    assert_eq!(rows[7][..3], ["deploy", "main", &head[..7]]);
    assert!(ran.stdout.contains(" ago"), "{}", ran.stdout);

    lab.registry.fail(Fault::Refuse {
        status: 429,
        retry_after: Some("3600".to_owned()),
        times: 1,
    });
    let json = || lab.run(&["status", "--address", &address, "--output", "json"]);
    daemon.wait_until("the quiet to be told", || {
        let status = json().stdout;
        status.contains("takes no more requests for now")
            && !status.contains("\"quietUntil\": null")
    });
    drop(daemon);
    let ran = lab.run(&["status", "--address", &address]);
    assert_eq!(ran.code, Some(1));
    let gone = format!("error: no daemon answers at `{address}`\n");
    assert!(ran.stderr.starts_with(&gone), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("hint: start one with `towpath run`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_client_that_never_finishes_its_request_does_not_keep_it_from_ending() {
    let lab = Lab::portal();
    let mut daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let mut client = TcpStream::connect(address(&daemon)).unwrap();
    client.write_all(b"GET /metr").unwrap();

    daemon.signal("TERM");
    bed::wait_until("the end", || daemon.has_ended());
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
}

#[test]
fn a_second_signal_ends_it_though_a_push_is_under_way() {
    let mut lab = Lab::portal();
    let server = GitServer::start();
    let repository = server.create("deploy.git");
    lab.git(&[
        "-C",
        "deploy.git",
        "push",
        "-q",
        "--mirror",
        repository.to_str().unwrap(),
    ]);
    install_hook(&repository, "pre-receive", "touch began; sleep 300");
    lab.repository(&format!(
        "url: {}, plain-http: true",
        server.http("deploy.git")
    ));
    let mut daemon = lab.start();
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("the push", || repository.join("began").exists());

    daemon.signal("TERM");
    daemon.wait_until("the first signal", || {
        daemon.log().contains("stopping after")
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!daemon.has_ended(), "the push is not cut by one signal");
    daemon.signal("TERM");
    bed::wait_until("the end", || daemon.has_ended());
    assert_eq!(daemon.wait(), Some(1), "{}", daemon.log());
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
}

#[test]
fn metrics_of_what_is_configured_no_more_are_gone() {
    let lab = Lab::portal();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    assert!(get(&daemon, "/metrics").contains("acme/web"));
    lab.policies(&portal_policy(
        "portal",
        &lab.image("acme/other"),
        "apps/portal/overlays/dev",
    ));
    daemon.wait_until("the new configuration", || {
        daemon.log().contains("new configuration")
    });
    daemon.wait_until("the next round", || {
        get(&daemon, "/metrics").contains("towpath_decisions{")
    });
    let metrics = get(&daemon, "/metrics");
    let gauges = metrics
        .lines()
        .filter(|line| line.starts_with("towpath_re") && line.contains("acme/web"));
    assert_eq!(gauges.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn killed_anywhere_it_neither_loses_nor_repeats_a_promotion() {
    let lab = Lab::portal();
    let mut tags = Vec::new();
    for round in 0..12_u64 {
        let daemon = lab.start();
        let tag = format!("develop-{}-{:07x}", round + 2, round + 0x0abc_0000);
        lab.push(&[&tag]);
        tags.push(tag);
        // Each life ends at another point between start and push: what it got done by then does not matter.
        std::thread::sleep(std::time::Duration::from_millis(round * 25));
        daemon.signal("KILL");
        drop(daemon);
    }
    let last = tags.last().unwrap();
    let daemon = lab.start();
    daemon.wait_until("the last tag", || {
        lab.pushed(OVERLAY).contains(last.as_str())
    });
    drop(daemon);
    let promotions = promotions(&lab);
    assert!(
        promotions.values().all(|&count| count == 1),
        "{promotions:?}"
    );
    assert_eq!(lab.git(&["-C", "deploy.git", "fsck", "--strict"]), "");
}

#[test]
fn it_recovers_by_itself_when_the_repository_comes_back() {
    let lab = Lab::portal();
    let (here, away) = (lab.path().join("deploy.git"), lab.path().join("away.git"));
    std::fs::rename(&here, &away).unwrap();
    let daemon = lab.start();
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("the hold", || {
        daemon.log().contains("the manifests repository is unknown")
    });
    assert!(get(&daemon, "/healthz").contains("200 OK"));

    std::fs::rename(&away, &here).unwrap();
    daemon.wait_until("the promotion", || {
        lab.pushed(OVERLAY).contains("develop-2-1b2c3d4")
    });
}

#[test]
fn a_bad_configuration_is_reported_and_the_last_good_one_keeps_running() {
    let lab = Lab::portal();
    let good = std::fs::read_to_string(lab.path().join("policies/all.yaml")).unwrap();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));

    lab.write("policies/all.yaml", &good.replace("pattern", "patern"));
    daemon.wait_until("the report", || daemon.log().contains("patern"));
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("a promotion by the last good one", || {
        lab.pushed(OVERLAY).contains("develop-2-1b2c3d4")
    });

    lab.write(
        "policies/all.yaml",
        &good.replace("develop-{number}", "release-{number}"),
    );
    daemon.wait_until("the new configuration", || {
        daemon.log().contains("new configuration")
    });
    lab.push(&["release-3-2c3d4e5"]);
    daemon.wait_until("a promotion by the new one", || {
        lab.pushed(OVERLAY).contains("release-3-2c3d4e5")
    });
}

#[test]
fn a_policy_that_appears_is_taken_up() {
    let lab = Lab::portal();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let image = lab.image("acme/web");
    lab.commit(
        "second",
        &[(
            "apps/second/kustomization.yaml",
            &crate::lab::kustomization(&image, "develop-1-0a1b2c3"),
        )],
    );
    let second = portal_policy("second", &image, "apps/second");
    lab.write(
        "policies/second.yaml",
        &format!("apiVersion: towpath.dev/v1alpha1\n{second}"),
    );
    daemon.wait_until("the new configuration", || {
        daemon.log().contains("new configuration")
    });
    lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("its promotion", || {
        lab.pushed("apps/second/kustomization.yaml")
            .contains("develop-2-1b2c3d4")
    });
}

/// The metrics that the manual names: those of forges, or all others.
pub(crate) fn in_the_manual(of_forges: bool) -> BTreeSet<&'static str> {
    let manual = include_str!("../../docs/operations.md");
    let words = manual.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    words
        .filter(|word| word.starts_with("towpath_") && is_of_forges(word) == of_forges)
        .filter(|word| !is_told_later(word))
        .map(|word| word.trim_end_matches("_count"))
        .collect()
}

/// The metrics that a daemon serves.
pub(crate) fn served(metrics: &str, of_forges: bool) -> BTreeSet<&str> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split(' ').next());
    names
        .filter(|name| is_of_forges(name) == of_forges)
        .collect()
}

/// Told from the first request of a check, the first Event and the first reading of custom resources on, and no daemon here has one.
fn is_told_later(name: &str) -> bool {
    name.starts_with("towpath_check_")
        || name == "towpath_kubernetes_events_total"
        || name == "towpath_custom_resources_up"
}

fn is_of_forges(name: &str) -> bool {
    name.starts_with("towpath_forge_") || name.starts_with("towpath_proposals_")
}

#[test]
fn each_metric_stands_in_the_manual_and_each_of_the_manual_is_there() {
    let mut lab = Lab::portal();
    lab.waits_for_events("127.0.0.1:0", "{ generic: { unauthenticated: true } }");
    lab.push(&["develop-2-1b2c3d4"]);
    for (name, value) in [
        ("ratelimit-limit", "100;w=60"),
        ("ratelimit-remaining", "99;w=60"),
    ] {
        let value = value.to_owned();
        lab.registry.fail(Fault::Says { name, value });
    }
    let daemon = lab.start();
    let counts = || get(&daemon, "/metrics");
    daemon.wait_until("the promotion", || {
        counts().contains("towpath_promotions_total")
    });
    let metrics = counts();
    assert_eq!(in_the_manual(false), served(&metrics, false));
}

#[test]
fn the_log_is_turned_up_and_down_by_the_settings_while_it_runs() {
    let lab = Lab::portal();
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let asked = || daemon.log().matches("DEBUG asked").count();
    assert_eq!(asked(), 0, "{}", daemon.log());

    let turned_up = format!("{settings}log: {{ rooms: {{ registry: debug }} }}\n");
    lab.write("towpath.yaml", &turned_up);
    daemon.wait_until("a debug line", || asked() > 0);
    let debug = daemon.log();
    let debug = debug.lines().filter(|line| line.contains(" DEBUG "));
    assert!(debug.into_iter().all(|line| line.contains(" asked ")));
    assert!(daemon.log().contains("towpath::registry=debug"));

    // Even the line that says so is there, before the log falls silent.
    let turned_down = format!("{settings}log: {{ level: warn }}\n");
    lab.write("towpath.yaml", &turned_down);
    daemon.wait_until("the log to be turned down", || {
        daemon.log().contains("filter=\"warn,towpath=warn\"")
    });
    let polled = || lab.registry.take_requests().values().sum::<u64>() > 0;
    // One may have been under way.
    polled();
    daemon.wait_until("a poll", polled);
    let (before, lines) = (asked(), daemon.log().lines().count());
    daemon.wait_until("another poll", polled);
    daemon.wait_until("a third poll", polled);
    assert_eq!((asked(), daemon.log().lines().count()), (before, lines));

    lab.write("towpath.yaml", &settings);
    daemon.wait_until("the log to be as usual", || {
        daemon.log().contains("filter=\"info\"")
    });
}

#[test]
fn a_log_that_the_command_line_asks_for_wins_over_the_settings() {
    let mut lab = Lab::portal();
    lab.set("TOWPATH_LOG", "info");
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    lab.write(
        "towpath.yaml",
        &format!("{settings}log: {{ level: debug }}\n"),
    );
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let log = daemon.log();
    assert!(log.contains("TOWPATH_LOG wins"), "{log}");
    assert!(!log.contains("DEBUG"), "{log}");
}
