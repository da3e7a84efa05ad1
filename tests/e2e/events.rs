//! Events: what a registry tells is promoted at once, though the next poll is an hour away.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use bed::Process;
use bed::registry::{Distribution, PASSWORD, USERNAME};
use towpath::demo_registry::{Image, Kind};

use crate::daemon::{address_of, get};
use crate::lab::{Lab, kustomization, portal_policy};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const OLD: &str = "develop-1-0a1b2c3";
const NEW: &str = "develop-2-1b2c3d4";
const NEWER: &str = "develop-3-2c3d4e5";

/// The hooks of a daemon.
pub(crate) struct Hooks(String);

impl Hooks {
    /// Those of a daemon that has its first view.
    pub(crate) fn of(daemon: &Process) -> Self {
        daemon.wait_until("a first view", || {
            daemon.log().contains("first complete view")
        });
        Self(address_of(daemon, "hooks are served"))
    }

    /// The request that tells of a push to `image`.
    fn event(&self, image: &str, headers: &str) -> String {
        let body = format!("{{\"repository\": \"{image}\"}}");
        let (host, length) = (&self.0, body.len());
        format!(
            "POST /hooks/registry/generic HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// The answers to `requests`, all sent over one connection, whose last one closes it.
    pub(crate) fn send(&self, requests: &str) -> String {
        let mut stream = TcpStream::connect(&self.0).unwrap();
        let mut reading = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| stream.write_all(requests.as_bytes()).unwrap());
            let mut answers = String::new();
            reading.read_to_string(&mut answers).unwrap();
            answers
        })
    }
}

/// How many events became what.
fn counted(daemon: &Process, kind: &str, outcome: &str) -> u64 {
    let start = format!("towpath_events_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} ");
    let metrics = get(daemon, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

#[test]
fn an_event_becomes_a_commit_and_no_secret_reaches_the_log() {
    let mut lab = Lab::portal();
    lab.waits_for_events("127.0.0.1:0", "{ generic: { token: { env: HOOK } } }");
    lab.set("HOOK", "hunter2");
    lab.set("TOWPATH_LOG", "debug");
    let daemon = lab.start();
    let hooks = Hooks::of(&daemon);
    let image = lab.image("acme/web");
    lab.push(&[NEW]);

    let wrong = "Authorization: Bearer hunter3\r\nConnection: close\r\n";
    assert!(hooks.send(&hooks.event(&image, wrong)).contains(" 403 "));
    let right = "Connection: close\r\n";
    let event = hooks.event(&image, right);
    let event = event.replacen("/generic", "/generic?token=hunter2", 1);
    assert!(hooks.send(&event).contains(" 202 "));
    daemon.wait_until("the commit", || lab.pushed(OVERLAY).contains(NEW));

    assert_eq!(counted(&daemon, "generic", "accepted"), 1);
    assert_eq!(counted(&daemon, "generic", "refused"), 1);
    let log = daemon.log();
    assert!(log.contains("due by an event"), "{log}");
    assert!(log.contains("an event was refused"), "{log}");
    assert!(!log.contains("hunter"), "{log}");
    assert!(!get(&daemon, "/hooks/registry/generic").contains(" 202 "));
}

#[test]
fn what_a_registry_tells_before_its_listing_shows_it_is_found_a_moment_later() {
    let mut lab = Lab::portal();
    lab.waits_for_events("127.0.0.1:0", "{ generic: { unauthenticated: true } }");
    let daemon = lab.start();
    let hooks = Hooks::of(&daemon);
    let event = hooks.event(&lab.image("acme/web"), "Connection: close\r\n");
    // The second time, the digest of what was promoted before is known, and goes with the listing.
    for tag in [NEW, NEWER] {
        lab.registry.take_requests();
        assert!(hooks.send(&event).contains(" 202 "));
        let mut listings = 0;
        daemon.wait_until("the listing of the event", || {
            let mut requests = lab.registry.take_requests();
            listings += requests.remove(&Kind::Tags).unwrap_or_default();
            listings > 0
        });
        lab.push(&[tag]);
        daemon.wait_until("the commit", || lab.pushed(OVERLAY).contains(tag));
    }
}

#[test]
fn ten_thousand_events_in_a_burst_are_a_few_listings_and_the_last_push_is_promoted() {
    let mut lab = Lab::portal();
    lab.waits_for_events("127.0.0.1:0", "{ generic: { unauthenticated: true } }");
    let daemon = lab.start();
    let hooks = Hooks::of(&daemon);
    let event = hooks.event(&lab.image("acme/web"), "");
    let last = hooks.event(&lab.image("acme/web"), "Connection: close\r\n");
    // Ten connections that send 500 events each.
    let requests = event.repeat(499) + &last;
    let burst = || {
        std::thread::scope(|scope| {
            let sending: Vec<_> = (0..10)
                .map(|_| scope.spawn(|| hooks.send(&requests)))
                .collect();
            let answers = sending.into_iter().map(|answers| answers.join().unwrap());
            let accepted = |answers: String| answers.matches("HTTP/1.1 202").count();
            answers.map(accepted).sum::<usize>()
        })
    };
    lab.registry.take_requests();
    let before = memory_peak_kib(&daemon);
    let start = Instant::now();
    lab.push(&[NEW]);
    assert_eq!(burst(), 5_000);
    lab.push(&[NEWER]);
    assert_eq!(burst(), 5_000);
    daemon.wait_until("the last commit", || lab.pushed(OVERLAY).contains(NEWER));

    // Each is told before it is made.
    let told = daemon.log().matches("due by an event").count() as u64;
    let listings = lab.registry.take_requests()[&Kind::Tags];
    // One at once, one for each second of the burst, and two that look again.
    let most = 1 + start.elapsed().as_secs() + 1 + 2;
    assert!((1..=most).contains(&listings), "{listings} of {most}");
    let grown = memory_peak_kib(&daemon) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
    assert_eq!(counted(&daemon, "generic", "accepted"), 10_000);
    assert!((1..=listings + 1).contains(&told), "{}", daemon.log());
}

/// The most memory that the daemon had at any time.
fn memory_peak_kib(daemon: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let size = line.unwrap().trim().trim_end_matches(" kB");
    size.parse().unwrap()
}

#[test]
fn a_new_configuration_is_asked_for_its_own_secret_at_once() {
    let mut lab = Lab::portal();
    lab.waits_for_events("127.0.0.1:0", "{ generic: { token: { env: ONE } } }");
    lab.set("ONE", "one");
    lab.set("TWO", "two");
    let daemon = lab.start();
    let hooks = Hooks::of(&daemon);
    let status = |token: &str| {
        let headers = format!("Authorization: {token}\r\nConnection: close\r\n");
        let answer = hooks.send(&hooks.event("nginx", &headers));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!([status("one"), status("two")], ["202", "403"]);
    lab.waits_for_events("127.0.0.1:0", "{ generic: { token: { env: TWO } } }");
    daemon.wait_until("the new configuration", || status("two") == "202");
    assert_eq!(status("one"), "403");
    lab.waits_for_events("127.0.0.1:0", "{ harbor: { token: { env: TWO } } }");
    daemon.wait_until("the next configuration", || status("two") == "404");
}

/// A lab whose image is on `registry`, which tells a daemon of pushes.
fn real(registry: Distribution) {
    let mut lab = Lab::new(&[]);
    let address = format!("127.0.0.1:{}", bed::free_port());
    lab.waits_for_events(&address, "{ distribution: { token: { env: HOOK } } }");
    lab.set("HOOK", "hunter2");
    lab.set("PASSWORD", PASSWORD);
    let url = format!("http://{address}/hooks/registry/distribution");
    let registry = registry.telling(&url, "Bearer hunter2").with_tokens();
    let login = format!("credentials: {{ username: {USERNAME}, password: {{ env: PASSWORD }} }}");
    lab.registry_settings(&registry.host, &format!("{login}, plain-http: true"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pusher = registry.pusher();
    let push = |tag| {
        lab.registry.push("acme/web", tag, &Image::default());
        runtime.block_on(pusher.copy(&lab.registry.host(), "acme/web", &[tag]));
    };
    let image = format!("{}/acme/web", registry.host);
    push(OLD);
    lab.commit("portal", &[(OVERLAY, &kustomization(&image, OLD))]);
    lab.policies(&portal_policy("portal", &image, "apps/portal/overlays/dev"));

    // What was told while nobody listened is told again, and is no news.
    let daemon = lab.start();
    Hooks::of(&daemon);
    let accepted = || counted(&daemon, "distribution", "accepted");
    daemon.wait_until("the first push", || accepted() >= 1);
    let before = accepted();
    push(NEW);
    daemon.wait_until("the commit", || lab.pushed(OVERLAY).contains(NEW));
    daemon.wait_until("its event", || accepted() > before);
    // The layers of the push, and towpath's own question for the digest.
    let ignored = || counted(&daemon, "distribution", "no-push");
    daemon.wait_until("what is no push", || ignored() >= 1);
    assert_eq!(accepted(), before + 1, "{}", daemon.log());
    for outcome in ["unknown", "refused", "malformed", "too-many"] {
        assert_eq!(counted(&daemon, "distribution", outcome), 0, "{outcome}");
    }
}

#[test]
fn a_push_that_docker_registry_tells_of_becomes_a_commit() {
    real(Distribution::debian());
}

#[test]
fn a_push_that_distribution_v3_tells_of_becomes_a_commit() {
    if let Some(registry) = Distribution::v3() {
        real(registry);
    }
}
