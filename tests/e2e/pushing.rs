//! What a git server can do to a push, and that kills, races and refusals neither lose nor repeat a promotion.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bed::{GitServer, Process, install_hook};

use crate::lab::{Lab, promotions};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const NEW: &str = "develop-2-1b2c3d4";

/// A lab of `portal` on a git server over HTTP, with something new, and the bare repository's folder.
fn portal() -> (Lab, GitServer, PathBuf) {
    let (mut lab, server) = (Lab::portal(), GitServer::start());
    lab.serve_from(&server);
    lab.push(&[NEW]);
    let bare = lab.path().join("deploy.git");
    (lab, server, bare)
}

/// A lab on a git server over HTTP with `count` applications that each have a policy and an image of their own.
fn many(count: usize) -> (Lab, GitServer) {
    let (mut lab, server) = (Lab::new(&[]), GitServer::start());
    lab.serve_from(&server);
    let image = |n| lab.image(&format!("acme/app-{n}"));
    lab.applications(count, image, "develop-1-0a1b2c3");
    push_all(&lab, count, "develop-1-0a1b2c3");
    (lab, server)
}

fn push_all(lab: &Lab, count: usize, tag: &str) {
    for n in 0..count {
        let image = towpath::demo_registry::Image::default();
        lab.registry.push(&format!("acme/app-{n}"), tag, &image);
    }
}

/// Whether each of `count` applications runs `tag`.
fn all_run(lab: &Lab, count: usize, tag: &str) -> bool {
    let found = lab.git(&["-C", "deploy.git", "grep", "-h", "newTag", "main"]);
    found.matches(tag).count() == count
}

/// Fails unless every promotion happened once and the repository is sound.
fn check_history(lab: &Lab) {
    let promotions = promotions(lab);
    let twice: Vec<_> = promotions.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(
        lab.git(&["-C", "deploy.git", "fsck", "--strict", "--no-dangling"]),
        ""
    );
}

#[test]
fn a_push_that_a_hook_rejects_is_told_in_the_servers_words_and_made_when_it_may() {
    let (lab, _server, bare) = portal();
    install_hook(
        &bare,
        "pre-receive",
        "echo 'frozen until Monday' >&2; exit 1",
    );
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let update = "case $1 in refs/heads/main) echo 'main is protected'; exit 1;; esac";
    std::fs::remove_file(bare.join("hooks/pre-receive")).unwrap();
    install_hook(&bare, "update", update);
    let again = lab.run(&["apply"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    let told = [ran, again].map(|ran| {
        let lines: Vec<&str> = ran.stdout.lines().skip(2).collect();
        lines.join("\n")
    });
    insta::assert_snapshot!(told.join("\n"), @"
    not pushed to deploy main: promote portal to dev: web develop-1-0a1b2c3 -> develop-2-1b2c3d4
    the push to deploy main failed: the server rejected the push to `main`: frozen until Monday
    pre-receive hook declined
    not pushed to deploy main: promote portal to dev: web develop-1-0a1b2c3 -> develop-2-1b2c3d4
    the push to deploy main failed: the server rejected the push to `main`: main is protected
    error: hook declined to update refs/heads/main
    hook declined
    ");
    assert_eq!(promotions(&lab).len(), 0);

    let daemon = lab.start();
    daemon.wait_until("the report", || daemon.log().contains("main is protected"));
    std::fs::remove_file(bare.join("hooks/update")).unwrap();
    daemon.wait_until("the push", || lab.pushed(OVERLAY).contains(NEW));
    check_history(&lab);
    assert_eq!(promotions(&lab).len(), 1);
}

#[test]
fn a_branch_that_moves_during_the_round_is_planned_on_anew_at_once() {
    let (lab, _server, bare) = portal();
    let head = lab.git(&["-C", "deploy.git", "rev-parse", "main"]);
    let tree = format!("{}^{{tree}}", head.trim());
    let theirs = lab.git(&[
        "-C",
        "deploy.git",
        "commit-tree",
        "-m",
        "theirs",
        "-p",
        head.trim(),
        &tree,
    ]);
    let script = format!(
        "[ -e moved ] && exit 0; touch moved; unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {theirs}"
    );
    install_hook(&bare, "pre-receive", script.trim());

    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    let subjects = lab.subjects();
    assert_eq!(
        &subjects[..2],
        [
            format!("promote portal to dev: web develop-1-0a1b2c3 -> {NEW}"),
            "theirs".to_owned()
        ]
    );
    assert!(
        ran.stdout.contains("moved during the round; planned anew"),
        "{ran:?}"
    );
    check_history(&lab);
    assert_eq!(promotions(&lab).len(), 1);
}

#[test]
fn a_person_who_promotes_during_the_round_is_not_overwritten() {
    let (lab, _server, bare) = portal();
    let text = lab
        .pushed(OVERLAY)
        .replace("develop-1-0a1b2c3", "develop-7-7f7f7f7");
    lab.commit("by hand", &[(OVERLAY, &text)]);
    let theirs = lab.git(&["-C", "work", "rev-parse", "HEAD"]);
    lab.git(&[
        "-C",
        "deploy.git",
        "update-ref",
        "refs/heads/main",
        "main~1",
    ]);
    let script = format!(
        "[ -e moved ] && exit 0; touch moved; unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {theirs}"
    );
    install_hook(&bare, "pre-receive", script.trim());

    let ran = lab.run(&["apply"]);

    assert_eq!(lab.subjects()[0], "by hand", "{ran:?}");
    assert_eq!(lab.pushed(OVERLAY), text);
    assert_eq!(promotions(&lab).len(), 0);
}

#[test]
fn an_empty_repository_and_a_missing_branch_hold_until_there_is_a_commit() {
    let (mut lab, server, _) = portal();
    let url = server.http("deploy.git");
    lab.repository(&format!("url: '{url}', plain-http: true, branch: release"));
    let missing = lab.run(&["apply"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");

    let bare = server.create("empty.git");
    let url = server.http("empty.git");
    lab.repository(&format!("url: '{url}', plain-http: true"));
    let empty = lab.run(&["apply"]);
    assert_eq!(empty.code, Some(1), "{empty:?}");
    let told = [missing, empty].map(|ran| {
        let row = ran.stdout.lines().last().unwrap_or_default();
        row.rsplit("  ").next().unwrap_or_default().to_owned()
    });
    insta::assert_snapshot!(told.join("\n"), @"
    `deploy` has no branch `release`; create it with a first commit
    `deploy` has no branch `main`; create it with a first commit
    ");

    let daemon = lab.start();
    daemon.wait_until("the hold", || daemon.log().contains("has no branch `main`"));
    lab.git(&[
        "-C",
        "work",
        "push",
        "-q",
        &bare.display().to_string(),
        "HEAD:main",
    ]);
    daemon.wait_until("the promotion", || daemon.log().contains("promoted"));
}

#[test]
fn a_git_server_that_was_down_is_used_again_and_each_outage_is_told() {
    let (lab, mut server, _) = portal();
    let daemon = lab.start();
    daemon.wait_until("the promotion", || lab.pushed(OVERLAY).contains(NEW));
    for tag in ["develop-3-2c3d4e5", "develop-4-3d4e5f6"] {
        let before = daemon.log().len();
        server.stop();
        daemon.wait_until("the report of the outage", || {
            daemon.log()[before..].contains("the manifests repository is unknown")
        });
        lab.push(&[tag]);
        server.resume();
        daemon.wait_until("the promotion", || lab.pushed(OVERLAY).contains(tag));
        daemon.wait_until("its report", || daemon.log().contains(&format!("to={tag}")));
    }
    check_history(&lab);
    assert_eq!(promotions(&lab).len(), 3);
}

#[test]
fn killed_while_many_promotions_are_under_way_it_makes_each_once() {
    const COUNT: usize = 30;
    let (lab, _server) = many(COUNT);
    let mut random = fastrand::Rng::with_seed(7);
    let mut last = String::new();
    for life in 2..14 {
        last = format!("develop-{life}-1b2c3d4");
        push_all(&lab, COUNT, &last);
        let daemon = lab.start();
        std::thread::sleep(Duration::from_millis(random.u64(100..800)));
        daemon.signal("KILL");
    }
    let daemon = lab.start();
    daemon.wait_until(&last, || all_run(&lab, COUNT, &last));
    drop(daemon);
    check_history(&lab);
    // Every promotion starts where the one before it ended.
    let mut runs: BTreeMap<String, String> = BTreeMap::new();
    for subject in lab.subjects().iter().rev() {
        let words: Vec<&str> = subject.split(' ').collect();
        if let ["promote", policy, "to", "dev:", "web", from, "->", to] = words[..] {
            let before = runs.insert(policy.to_owned(), to.to_owned());
            assert_eq!(before.as_deref().unwrap_or("develop-1-0a1b2c3"), from);
        }
    }
    assert!(runs.len() == COUNT && runs.values().all(|tag| *tag == last));
}

#[test]
fn asked_to_stop_during_a_push_it_ends_after_the_push() {
    let (lab, _server, bare) = portal();
    install_hook(&bare, "pre-receive", "touch begun; sleep 1");
    let mut daemon = lab.start();
    daemon.wait_until("the push to begin", || bare.join("begun").exists());
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0), "{}", daemon.log());
    assert!(lab.pushed(OVERLAY).contains(NEW), "{}", daemon.log());
    assert!(daemon.log().contains("promoted"), "{}", daemon.log());
    check_history(&lab);
    assert_eq!(promotions(&lab).len(), 1);
}

#[test]
fn two_daemons_on_one_repository_make_each_promotion_once() {
    const COUNT: usize = 10;
    let (lab, _server) = many(COUNT);
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    let settings = settings.replace("cache: cache", "cache: cache-2");
    lab.write("second.yaml", &settings);
    let mut command = lab.command(&["run"]);
    command.env("TOWPATH_CONFIG", "second.yaml");
    let daemons = [
        lab.start(),
        Process::start(command, &lab.path().join("second.log")),
    ];
    for n in 2..7 {
        let tag = format!("develop-{n}-1b2c3d4");
        push_all(&lab, COUNT, &tag);
        daemons[0].wait_until(&tag, || all_run(&lab, COUNT, &tag));
    }
    let [first, other] = daemons.map(|daemon| daemon.log());
    assert!(first.contains("promoted") || other.contains("promoted"));
    assert!(!(first + &other).contains("push failed"));
    check_history(&lab);
}
