//! Two daemons and one repository: one leads, the other follows and takes over.

use std::time::Instant;

use bed::argo::{Argo, LEASES, POLICIES};
use bed::{GitServer, Process, install_hook, say};
use serde_json::{Value as Json, json};

use crate::daemon::get;
use crate::lab::{Lab, portal_policy, promotions};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";

/// A lab whose daemons share a Lease.
struct Story {
    lab: Lab,
    argo: Argo,
}

impl Story {
    fn new() -> Self {
        let mut lab = Lab::portal();
        let argo = Argo::new("token");
        argo.serve_kubernetes(&lab.path().join("kubeconfig"));
        lab.leadership("{ kubeconfig: kubeconfig, namespace: argocd }");
        Self { lab, argo }
    }

    /// Starts a daemon in a pod of this name, and waits until it knows everything and who leads.
    fn start(&self, pod: &str, standing: &str) -> Process {
        let mut command = self.lab.command(&["run", "--cache", pod]);
        command.env("POD_NAME", pod);
        let log = self.lab.path().join(format!("{pod}.log"));
        let daemon = Process::start(command, &log);
        daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
        daemon.wait_until(standing, || says(&daemon, standing));
        daemon
    }

    fn runs(&self, tag: &str) -> bool {
        self.lab.pushed(OVERLAY).contains(tag)
    }

    fn promotes(&self, daemon: &Process, tag: &str) {
        self.lab.push(&[tag]);
        daemon.wait_until(tag, || self.runs(tag));
        daemon.wait_until("what it says of it", || promoted(daemon, tag));
    }

    /// The pod that holds the Lease.
    fn holder(&self) -> String {
        let lease = self.argo.get(LEASES, "towpath").unwrap();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
        holder.split('_').next().unwrap().to_owned()
    }

    fn is_sound(&self) {
        let promotions = promotions(&self.lab);
        let once = promotions.values().all(|&count| count == 1);
        assert!(once, "{promotions:?}");
        let fsck = ["-C", "deploy.git", "fsck", "--strict", "--no-dangling"];
        assert_eq!(self.lab.git(&fsck), "");
    }
}

fn says(daemon: &Process, standing: &str) -> bool {
    daemon.log().contains(&format!("{standing} lease="))
}

fn promoted(daemon: &Process, tag: &str) -> bool {
    let (log, to) = (daemon.log(), format!("to={tag}"));
    let mut lines = log.lines();
    lines.any(|line| line.contains("promoted") && line.contains(&to))
}

fn gauge(daemon: &Process, value: &str) -> bool {
    let metrics = get(daemon, "/metrics");
    metrics.contains(&format!(
        "\ntowpath_leader{{lease=\"argocd/towpath\"}} {value}\n"
    ))
}

#[test]
fn a_leader_that_is_killed_is_followed_by_one_who_knows_everything() {
    let story = Story::new();
    let one = story.start("one", "leads");
    let two = story.start("two", "follows");
    assert!(gauge(&one, "1"));
    assert!(gauge(&two, "0"));
    story.promotes(&one, "develop-2-1b2c3d4");

    one.signal("KILL");
    let killed = Instant::now();
    story.lab.push(&["develop-3-2c3d4e5"]);
    two.wait_until("the lead", || says(&two, "leads"));
    let led = killed.elapsed();
    two.wait_until("its promotion", || story.runs("develop-3-2c3d4e5"));
    say(&format!(
        "FIGURE: killed, the other leads after {led:.1?} and has promoted after {:.1?}",
        killed.elapsed()
    ));
    two.wait_until("what it says of it", || promoted(&two, "develop-3-2c3d4e5"));
    assert!(!promoted(&two, "develop-2-1b2c3d4"));
    assert!(gauge(&two, "1"));
    assert_eq!(story.holder(), "two");
    story.is_sound();
}

#[test]
fn a_leader_that_is_asked_to_end_hands_over_and_the_status_says_who_leads() {
    let story = Story::new();
    let mut one = story.start("one", "leads");
    let two = story.start("two", "follows");
    let table = |daemon: &Process| {
        let address = crate::daemon::address_of(daemon, "listening");
        let ran = story.lab.run(&["status", "--address", &address]);
        let row = ran.stdout.lines().nth(1).unwrap_or_default().to_owned();
        let words: Vec<String> = row.split_whitespace().map(str::to_owned).collect();
        words
    };
    let row = table(&two);
    assert_eq!(row[0], "argocd/towpath");
    assert!(row[1].starts_with("one_"), "{row:?}");
    assert!(row[2].starts_with("two_"), "{row:?}");
    assert_eq!(row[3], "follows");
    assert_eq!(table(&one)[3], "leads");

    one.signal("TERM");
    let asked = Instant::now();
    two.wait_until("the lead", || says(&two, "leads"));
    say(&format!(
        "FIGURE: asked to end, the other leads after {:.1?}",
        asked.elapsed()
    ));
    assert_eq!(one.wait(), Some(0), "{}", one.log());
    assert!(one.log().contains("gave the lease up"), "{}", one.log());
    story.promotes(&two, "develop-2-1b2c3d4");
    story.is_sound();
}

#[test]
fn a_leader_that_is_paused_in_the_middle_of_a_push_does_no_harm_when_it_goes_on() {
    let mut story = Story::new();
    let server = GitServer::start();
    story.lab.serve_from(&server);
    let repository = story.lab.path().join("deploy.git");
    // The first push is on its way until somebody lets it go on; it cannot know what happens meanwhile.
    install_hook(
        &repository,
        "pre-receive",
        "if mkdir began 2>/dev/null; then while [ ! -e on ]; do sleep 0.1; done; fi",
    );
    let one = story.start("one", "leads");
    let two = story.start("two", "follows");
    story.lab.push(&["develop-2-1b2c3d4"]);
    one.wait_until("its push", || repository.join("began").exists());

    one.signal("STOP");
    two.wait_until("the lead", || says(&two, "leads"));
    two.wait_until("its promotion", || story.runs("develop-2-1b2c3d4"));
    std::fs::write(repository.join("on"), "").unwrap();
    one.signal("CONT");
    one.wait_until("that it leads no more", || says(&one, "leads no more"));
    one.wait_until("that it follows", || gauge(&one, "0"));
    assert_eq!(story.holder(), "two");

    story.promotes(&two, "develop-3-2c3d4e5");
    assert!(!promoted(&one, "develop-2-1b2c3d4"), "{}", one.log());
    assert!(!promoted(&one, "develop-3-2c3d4e5"), "{}", one.log());
    story.is_sound();
}

#[test]
fn a_shard_promotes_its_own_repositories_and_knows_no_other() {
    let mut story = Story::new();
    // `deploy` falls to the second of two, `code` to the first.
    story
        .lab
        .git(&["clone", "-q", "--bare", "deploy.git", "code.git"]);
    let code = story.lab.path().join("code.git").display().to_string();
    story.lab.source(&format!("url: {code}"));
    let image = story.lab.image("acme/web");
    let folder = "apps/portal/overlays/dev";
    let portal = portal_policy("portal", &image, folder);
    let others =
        portal_policy("other", &image, folder).replace("repository: deploy", "repository: code");
    story.lab.policies(&format!("{portal}---\n{others}"));
    story.lab.set("TOWPATH_SHARD", "auto/2");
    let other = story.start("towpath-0", "leads");
    let own = story.start("towpath-1", "leads");
    for (lease, pod) in [
        ("towpath-1-of-2", "towpath-0"),
        ("towpath-2-of-2", "towpath-1"),
    ] {
        let lease = story.argo.get(LEASES, lease).unwrap();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
        assert!(holder.starts_with(&format!("{pod}_")), "{holder}");
    }

    story.promotes(&own, "develop-2-1b2c3d4");
    other.wait_until("its own promotion", || {
        let other = ["-C", "code.git", "show", &format!("main:{OVERLAY}")];
        story.lab.git(&other).contains("develop-2-1b2c3d4")
    });
    for (daemon, pod, repository) in [(&own, "towpath-1", "deploy"), (&other, "towpath-0", "code")]
    {
        let mirrors = std::fs::read_dir(story.lab.path().join(pod).join("mirrors")).unwrap();
        let mirrors: Vec<_> = mirrors.map(|mirror| mirror.unwrap().file_name()).collect();
        assert_eq!(mirrors, [repository]);
        // The server has the commit before the daemon has the server's answer.
        let promoted = || daemon.log().matches("promoted").count();
        daemon.wait_until("told of the promotion", || promoted() > 0);
        assert_eq!(promoted(), 1, "{}", daemon.log());
    }
    story.is_sound();
}

#[test]
fn each_shard_tells_how_its_own_custom_resources_stand_and_one_of_all_what_counts_nowhere() {
    let mut story = Story::new();
    // As above: `deploy` falls to the second of two, `code` to the first.
    story
        .lab
        .git(&["clone", "-q", "--bare", "deploy.git", "code.git"]);
    let code = story.lab.path().join("code.git").display().to_string();
    story.lab.source(&format!("url: {code}"));
    story
        .lab
        .custom_resources("{ kubeconfig: kubeconfig, namespaces: { argocd: {} } }");
    std::fs::remove_file(story.lab.path().join("policies/all.yaml")).unwrap();
    let policy = |repository: &str| {
        json!({
            "apiVersion": "towpath.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": { "name": repository },
            "spec": {
                "repository": repository,
                "images": { "web": story.lab.image("acme/web") },
                "environments": [{
                    "name": "dev", "tags": { "pattern": "develop-{number}-{sha}" }, "update": "apps/portal/overlays/dev",
                }],
            },
        })
    };
    for repository in ["deploy", "code", "nowhere"] {
        story.argo.apply(POLICIES, policy(repository));
    }
    story.lab.set("TOWPATH_SHARD", "auto/2");
    let other = story.start("towpath-0", "leads");
    let own = story.start("towpath-1", "leads");

    let tag = "develop-2-1b2c3d4";
    story.promotes(&own, tag);
    other.wait_until("its own promotion", || promoted(&other, tag));
    let status = |name| story.argo.get(POLICIES, name).unwrap()["status"].take();
    let stands = |status: &Json| {
        let image = &status["environments"][0]["images"][0];
        image["current"] == tag && image["state"] == "Newest"
    };
    own.wait_until("its own status", || stands(&status("deploy")));
    other.wait_until("its own status", || stands(&status("code")));
    other.wait_until("what counts nowhere", || {
        let accepted = &status("nowhere")["conditions"][0];
        accepted["status"] == "False" && accepted["message"].to_string().contains("nowhere")
    });
    assert!(
        !own.log().contains("status of custom resources cannot"),
        "{}",
        own.log()
    );
    story.is_sound();
}
