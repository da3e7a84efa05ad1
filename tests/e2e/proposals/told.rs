//! What the forge tells by its webhook counts at once, though the next reading is an hour away.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use bed::Process;
use bed::forge::{End, Fault, Way};

use super::{HEAD, Story, V1, V2, V3};
use crate::daemon::{get, in_the_manual, served};
use crate::events::Hooks;

const KEY: &str = "hunter2";

/// A daemon that reads everything every hour, and hears of GitHub's events.
fn listening(story: &mut Story) -> (Process, Hooks) {
    story.lab.waits_for_events(
        "127.0.0.1:0",
        "{ generic: { unauthenticated: true } }, forge: { github: { hmac: { env: HOOK } } }",
    );
    story.lab.set("HOOK", KEY);
    let daemon = story.lab.start();
    let hooks = Hooks::of(&daemon);
    (daemon, hooks)
}

/// An event of `acme/deploy` as GitHub sends it, signed with `key`.
fn event(name: &str, key: &str, headers: &str) -> String {
    let body = r#"{"repository":{"full_name":"acme/deploy"}}"#;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut signature = String::new();
    for byte in hmac::sign(&key, body.as_bytes()).as_ref() {
        write!(signature, "{byte:02x}").unwrap();
    }
    let length = body.len();
    format!(
        "POST /hooks/forge/github HTTP/1.1\r\nHost: x\r\n{headers}X-GitHub-Event: {name}\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn tell(hooks: &Hooks, name: &str) {
    let answer = hooks.send(&event(name, KEY, "Connection: close\r\n"));
    assert!(answer.contains(" 202 "), "{answer}");
}

#[test]
fn what_people_do_with_a_pull_request_counts_at_once() {
    let mut story = Story::new("");
    story.lab.push(&[V2]);
    story.forge.fail(Fault::LastOfWindow { seconds: 1 }, 1);
    let (daemon, hooks) = listening(&mut story);
    daemon.wait_until("the pull request", || story.repository().count() == 1);

    let answer = hooks.send(&event("push", "hunter3", "Connection: close\r\n"));
    assert!(answer.contains(" 403 "), "{answer}");
    story.repository().close(1, "ada");
    tell(&hooks, "pull_request");
    daemon.wait_until("the end of its branch", || story.tip(HEAD).is_none());

    story.repository().reopen(1);
    tell(&hooks, "pull_request");
    daemon.wait_until("its branch again", || story.tip(HEAD).is_some());

    story.repository().merge(1, "ada", Way::Merge);
    tell(&hooks, "pull_request");
    daemon.wait_until("the end of its branch", || story.tip(HEAD).is_none());
    assert_eq!(story.deployed(), V2);

    // A push alone: somebody takes it back by hand, which no reading of pull requests shows.
    story.write_by_hand(|text| text.replace(V2, V1));
    tell(&hooks, "push");
    daemon.wait_until("the promotion that was undone", || {
        daemon.log().contains("a person undid the promotion")
    });
    assert!(matches!(story.repository().pull(1).end, End::Merged { .. }));
    assert!(!daemon.log().contains(KEY), "{}", daemon.log());
    let metrics = get(&daemon, "/metrics");
    assert_eq!(in_the_manual(true), served(&metrics, true));
}

#[test]
fn our_own_events_and_a_flood_of_them_write_nothing() {
    let mut story = Story::new("");
    story.lab.push(&[V2, V3]);
    let (daemon, hooks) = listening(&mut story);
    daemon.wait_until("the pull request", || story.repository().count() == 1);
    let rounds = || daemon.log().matches("due by an event").count();
    // The event that the opening of the pull request brings back: by then it is all written.
    let lists = || {
        let requests = story.forge.take_requests();
        let (reads, writes): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .partition(|request| request.starts_with("GET "));
        (reads.len(), writes)
    };
    daemon.wait_until("its status", || {
        let tip = story.tip(HEAD).unwrap();
        let statuses = story.repository().statuses(&tip);
        statuses.contains_key("towpath/holds")
    });
    lists();
    tell(&hooks, "push");
    daemon.wait_until("the first event", || rounds() == 1);
    let heads = story.heads();
    let mut reads = 0;
    daemon.wait_until("its reading", || {
        reads += lists().0;
        reads > 0
    });

    let events = event("pull_request", KEY, "").repeat(999)
        + &event("pull_request", KEY, "Connection: close\r\n");
    let accepted = hooks.send(&events).matches("HTTP/1.1 202").count();
    assert_eq!(accepted, 1_000);
    let mut written = Vec::new();
    let mut read = 0;
    daemon.wait_until("the reading of the flood", || {
        let (reads, writes) = lists();
        read += reads;
        written.extend(writes);
        read > 0
    });
    // Looking again is over by then.
    daemon.wait_until("the readings that look again", || {
        let (reads, writes) = lists();
        read += reads;
        written.extend(writes);
        read >= 3
    });
    assert_eq!(written, [""; 0]);
    assert!(read < 10, "{read}");
    assert_eq!(story.heads(), heads);
    assert_eq!(story.proposed(), V3);
}
