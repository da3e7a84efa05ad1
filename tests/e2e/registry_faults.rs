//! Faults of registries, seen by the whole program: each is one sentence, holds only its own policy, and is over when it is over.

use std::thread;

use bed::free_port;
use bed::registry::{DockerRegistry, PASSWORD, USERNAME};
use towpath::demo_registry::{Access, Fault, Image, MemoryRegistry};

use crate::lab::{Lab, kustomization, portal_policy, promotions};

const PORTAL: &str = "apps/portal/kustomization.yaml";
const OTHER: &str = "apps/other/kustomization.yaml";
const OLD: &str = "develop-1-0a1b2c3";
const NEW: &str = "develop-2-1b2c3d4";

/// A lab with `portal` from the registry at `host` and `other` from the lab's own, both running [`OLD`].
fn two_registries(host: &str) -> Lab {
    let mut lab = Lab::new(&[]);
    lab.registry_settings(host, "plain-http: true, page-size: 1");
    let (web, other) = (format!("{host}/acme/web"), lab.image("acme/other"));
    lab.commit(
        "apps",
        &[
            (PORTAL, &kustomization(&web, OLD)),
            (OTHER, &kustomization(&other, OLD)),
        ],
    );
    let portal = portal_policy("portal", &web, "apps/portal");
    let other = portal_policy("other", &other, "apps/other");
    lab.policies(&format!("{portal}---\n{other}"));
    for tag in [OLD, NEW] {
        lab.registry.push("acme/other", tag, &Image::default());
    }
    lab
}

/// A registry with [`OLD`] and [`NEW`] of `acme/web`.
fn registry() -> MemoryRegistry {
    let registry = MemoryRegistry::start(Access::Anonymous).unwrap();
    for tag in [OLD, NEW] {
        registry.push("acme/web", tag, &Image::default());
    }
    registry
}

fn refuse(status: u16, retry_after: Option<&str>) -> Fault {
    Fault::Refuse {
        status,
        retry_after: retry_after.map(str::to_owned),
        times: 1_000_000,
    }
}

/// Applies, expects that `other` alone was promoted, and gives the exit code and the reason of `portal`.
fn told(lab: &Lab, host: &str) -> String {
    let ran = lab.run(&["apply"]);
    assert!(lab.pushed(PORTAL).contains(OLD), "{ran:?}");
    assert!(lab.pushed(OTHER).contains(NEW), "{ran:?}");
    let row = ran.stdout.lines().find(|line| line.starts_with("portal"));
    let reason = row.unwrap_or_default().rsplit("  ").next();
    let reason = reason.unwrap_or_default().replace(host, "REGISTRY");
    // What a cut connection is called depends on the moment.
    let reason = reason.split(": error ").next().unwrap_or_default();
    format!("{} {reason}", ran.code.unwrap_or_default())
}

#[test]
fn each_fault_is_one_sentence_and_the_other_policy_goes_on() {
    let rows = [
        ("401", refuse(401, None)),
        ("403", refuse(403, None)),
        ("404", refuse(404, None)),
        ("429", refuse(429, Some("3600"))),
        ("500", refuse(500, None)),
        ("cut", Fault::Cut { times: 1_000_000 }),
        ("web page", Fault::WebPage),
        ("giant", Fault::Giant),
        ("page loop", Fault::PageLoop),
        ("endless pages", Fault::EndlessPages),
        ("cross-origin link", Fault::CrossOriginLink),
        ("null tags", Fault::NullTags),
    ];
    let threads = rows.map(|(name, fault)| {
        thread::spawn(move || {
            let registry = registry();
            registry.fail(fault);
            let lab = two_registries(&registry.host());
            format!("{name}: {}", told(&lab, &registry.host()))
        })
    });
    let down = thread::spawn(|| {
        let host = format!("127.0.0.1:{}", free_port());
        format!("down: {}", told(&two_registries(&host), &host))
    });
    let all = threads.into_iter().chain([down]);
    let rows: Vec<String> = all.map(|row| row.join().unwrap()).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    401: 1 the tags of `REGISTRY/acme/web` are unknown: `REGISTRY` refused anonymous access for `acme/web`, saying `FAULT: this fault was asked for` (check that the repository exists, and the `credentials` of `REGISTRY` in the settings)
    403: 1 the tags of `REGISTRY/acme/web` are unknown: `REGISTRY` forbids anonymous access to read `acme/web`, saying `FAULT: this fault was asked for` (give the credentials leave to pull from `REGISTRY/acme/web`)
    404: 1 the tags of `REGISTRY/acme/web` are unknown: `REGISTRY/acme/web` does not exist
    429: 1 the tags of `REGISTRY/acme/web` are unknown: `REGISTRY` takes no more requests for now and asks to wait 1h (a longer `poll-interval` or fewer `requests-per-second` for `REGISTRY` ask less often, and most registries allow more to those with `credentials`)
    500: 1 the tags of `REGISTRY/acme/web` are unknown: `REGISTRY` answered with status 500, saying `FAULT: this fault was asked for`
    cut: 1 the tags of `REGISTRY/acme/web` are unknown: failed to reach `REGISTRY`
    web page: 1 the tags of `REGISTRY/acme/web` are unknown: the list of tags of `REGISTRY/acme/web` came as `text/html` and is not what the registry API defines; it starts with `<html> <title>Sign in</title></html>`: expected value at line 1 column 1
    giant: 1 the tags of `REGISTRY/acme/web` are unknown: the answer of `REGISTRY` to `/v2/acme/web/tags/list` is larger than 16777216 bytes
    page loop: 1 the tags of `REGISTRY/acme/web` are unknown: the listing of `REGISTRY/acme/web` goes in a circle: a page brings nothing new and leads on
    endless pages: 1 the tags of `REGISTRY/acme/web` are unknown: the listing of `REGISTRY/acme/web` goes in a circle: a page brings nothing new and leads on
    cross-origin link: 1 the tags of `REGISTRY/acme/web` are unknown: the listing of `REGISTRY/acme/web` goes on at `http://elsewhere.example.com`, which is not `http://REGISTRY` (a proxy in front of `REGISTRY` has to pass on the host and scheme it was asked with)
    null tags: 0 the listing holds no tags
    down: 1 the tags of `REGISTRY/acme/web` are unknown: failed to reach `REGISTRY`
    ");
}

#[test]
fn a_listing_that_lost_what_is_deployed_or_half_of_its_tags_holds() {
    let lost = registry();
    let lab = two_registries(&lost.host());
    lost.delete("acme/web", OLD);
    let vanished = told(&lab, &lost.host());

    let shrunk = registry();
    let lab = two_registries(&shrunk.host());
    for n in 10..20 {
        shrunk.push("acme/web", &format!("main-{n}"), &Image::default());
    }
    assert_eq!(lab.run(&["plan"]).code, Some(0));
    shrunk.fail(Fault::Shrunk { tags: 2 });
    let held = told(&lab, &shrunk.host());
    let (before, rest) = held.split_once(" from 2").unwrap();
    let (_time, after) = rest.split_once(' ').unwrap();
    insta::assert_snapshot!(format!("{vanished}\n{before} from TIME {after}"), @"
    0 the listing no longer has `develop-1-0a1b2c3`, which stands there
    0 the listing shrank from 12 to 2 tags at once; it is believed from TIME on if it stays so
    ");
    shrunk.heal();
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(lab.pushed(PORTAL).contains(NEW));
}

#[test]
fn the_daemon_promotes_by_itself_when_a_fault_ends() {
    let faults = [
        refuse(401, None),
        refuse(404, None),
        refuse(429, Some("1")),
        refuse(500, None),
        Fault::Cut { times: 1_000_000 },
        Fault::WebPage,
        Fault::PageLoop,
        Fault::NullTags,
    ];
    let threads = faults.map(|fault| {
        thread::spawn(move || {
            let registry = registry();
            registry.fail(fault.clone());
            let lab = two_registries(&registry.host());
            let daemon = lab.start();
            daemon.wait_until("the other promotion", || lab.pushed(OTHER).contains(NEW));
            daemon.wait_until(&format!("the hold of {fault:?}"), || {
                daemon.log().contains("holds policy=portal")
            });
            assert!(lab.pushed(PORTAL).contains(OLD));
            registry.heal();
            daemon.wait_until(&format!("the end of {fault:?}"), || {
                lab.pushed(PORTAL).contains(NEW)
            });
            drop(daemon);
            assert!(promotions(&lab).values().all(|count| *count == 1));
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_registry_that_never_answers_delays_neither_the_others_nor_the_end() {
    let stalled = registry();
    stalled.fail(Fault::Stalled);
    let lab = two_registries(&stalled.host());
    let mut daemon = lab.start();
    daemon.wait_until("the other promotion", || lab.pushed(OTHER).contains(NEW));
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
    assert!(lab.pushed(PORTAL).contains(OLD));
}

#[test]
fn a_real_registry_that_was_down_is_read_again_when_it_is_back() {
    let mut docker = DockerRegistry::with_tokens();
    let host = docker.host.clone();
    let mut lab = two_registries(&host);
    lab.write("password", PASSWORD);
    lab.registry_settings(
        &host,
        &format!(
            "plain-http: true, credentials: {{ username: {USERNAME}, password: {{ file: password }} }}"
        ),
    );
    let source = registry();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let copy = docker.pusher();
    runtime.block_on(copy.copy(&source.host(), "acme/web", &[OLD, NEW]));
    docker.stop();
    let daemon = lab.start();
    daemon.wait_until("the hold", || daemon.log().contains("failed to reach"));
    docker.resume();
    daemon.wait_until("the promotion", || lab.pushed(PORTAL).contains(NEW));
}
