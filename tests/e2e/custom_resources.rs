//! Policies as custom resources: made, wrong, deleted, and an API server that goes away.

use bed::Process;
use bed::argo::{Argo, Fault, POLICIES, ROUTES};
use serde_json::{Value as Json, json};
use towpath::demo_registry::{Image, Kind};

use crate::daemon::get;
use crate::lab::{Lab, kustomization, promotions};

const FIRST: &str = "develop-1-0a1b2c3";

/// A lab whose policies stand in a cluster, but for one in a file.
struct Story {
    lab: Lab,
    argo: Argo,
}

impl Story {
    /// With the folders of these applications.
    fn new(names: &[&str]) -> Self {
        let mut lab = Lab::portal();
        let image = lab.image("acme/web");
        for name in names {
            let path = overlay(name);
            let file = format!("{path}/kustomization.yaml");
            lab.commit(name, &[(&file, &kustomization(&image, FIRST))]);
        }
        let argo = Argo::new("token");
        argo.serve_kubernetes(&lab.path().join("kubeconfig"));
        lab.custom_resources(
            "{ kubeconfig: kubeconfig, namespaces: { argocd: { paths: apps/team } } }",
        );
        Self { lab, argo }
    }

    fn start(&self) -> Process {
        let log = self.lab.path().join("daemon.log");
        Process::start(self.lab.command(&["run"]), &log)
    }

    fn policy(&self, name: &str) -> Json {
        json!({
            "apiVersion": "towpath.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": { "name": name },
            "spec": {
                "repository": "deploy",
                "images": { "web": self.lab.image("acme/web") },
                "environments": [{
                    "name": "dev", "tags": { "pattern": "develop-{number}-{sha}" }, "update": overlay(name),
                }],
            },
        })
    }

    fn runs(&self, name: &str, tag: &str) -> bool {
        let file = format!("{}/kustomization.yaml", overlay(name));
        self.lab.pushed(&file).contains(tag)
    }

    /// The condition of this type of a policy.
    fn condition(&self, name: &str, kind: &str) -> Json {
        let policy = self.argo.get(POLICIES, name).unwrap_or_default();
        let conditions = policy["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        conditions
            .find(|condition| condition["type"] == kind)
            .cloned()
            .unwrap_or_default()
    }

    fn image(&self, name: &str) -> Json {
        let policy = self.argo.get(POLICIES, name).unwrap_or_default();
        policy["status"]["environments"][0]["images"][0].clone()
    }
}

fn overlay(name: &str) -> String {
    format!("apps/team/{name}/overlays/dev")
}

fn is_ready(daemon: &Process) -> bool {
    get(daemon, "/readyz").contains("200 OK")
}

#[test]
fn a_policy_that_is_made_in_the_cluster_promotes_and_says_how_it_stands_until_it_is_deleted() {
    let story = Story::new(&["api", "other"]);
    let daemon = story.start();
    daemon.wait_until("readiness", || is_ready(&daemon));

    story.argo.apply(POLICIES, story.policy("api"));
    story.lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("its promotion", || story.runs("api", "develop-2-1b2c3d4"));
    daemon.wait_until("its status", || {
        story.image("api")["state"] == "Newest"
            && story.image("api")["current"] == "develop-2-1b2c3d4"
    });
    assert_eq!(story.condition("api", "Accepted")["status"], "True");
    assert_eq!(story.condition("api", "Ready")["status"], "True");

    // One that is wrong says so, and stops nobody.
    let mut wrong = story.policy("other");
    wrong["spec"]["environments"][0]["update"] = json!("apps/portal/overlays/dev");
    story.argo.apply(POLICIES, wrong);
    daemon.wait_until("its refusal", || {
        story.condition("other", "Accepted")["status"] == "False"
    });
    let why = story.condition("other", "Accepted")["message"].clone();
    let why = why.as_str().unwrap();
    assert!(
        why.contains("writes here too") || why.contains("`dev` may not write"),
        "{why}"
    );
    story.lab.push(&["develop-3-2c3d4e5"]);
    daemon.wait_until("the others", || story.runs("api", "develop-3-2c3d4e5"));
    let ran = story.lab.run(&["check"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("promotionpolicies/argocd/other"),
        "{}",
        ran.stderr
    );
    let ran = story.lab.run(&["check", "--files-only"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    // Once it is mended, it counts.
    story.argo.apply(POLICIES, story.policy("other"));
    daemon.wait_until("what was mended", || {
        story.runs("other", "develop-3-2c3d4e5")
    });
    daemon.wait_until("its status", || {
        story.condition("other", "Accepted")["observedGeneration"] == 2
    });

    story.argo.delete(POLICIES, "api");
    daemon.wait_until("the end of it", || {
        daemon.log().matches("new configuration").count() >= 4
    });
    story.lab.push(&["develop-4-3d4e5f6"]);
    daemon.wait_until("the other", || story.runs("other", "develop-4-3d4e5f6"));
    assert!(!story.runs("api", "develop-4-3d4e5f6"));
    let promotions = promotions(&story.lab);
    assert!(!promotions.is_empty());
}

#[test]
fn an_api_server_that_goes_away_takes_no_policy_with_it() {
    let story = Story::new(&["api"]);
    story.argo.apply(POLICIES, story.policy("api"));
    let gone = Fault::Refused {
        status: 500,
        words: "the server is not there",
    };
    story.argo.break_with("/apis/towpath.dev", gone.clone());
    let daemon = story.start();
    daemon.wait_until("that it waits", || {
        daemon.log().contains("custom resources cannot be read yet")
    });
    assert!(!is_ready(&daemon));
    let up = "towpath_custom_resources_up{source=\"argocd\"}";
    assert!(get(&daemon, "/metrics").contains(&format!("{up} 0")));
    story.argo.heal();
    daemon.wait_until("readiness", || is_ready(&daemon));
    daemon.wait_until("its metric", || {
        get(&daemon, "/metrics").contains(&format!("{up} 1"))
    });

    story.argo.break_with("/apis/towpath.dev", gone);
    story.argo.cut();
    story.lab.push(&["develop-2-1b2c3d4"]);
    daemon.wait_until("its promotion", || story.runs("api", "develop-2-1b2c3d4"));
    let ran = story.lab.run(&["plan"]);
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("custom resources cannot be read"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("--files-only"), "{}", ran.stderr);
}

#[test]
fn a_change_of_a_resource_has_no_image_of_others_listed_anew() {
    let mut story = Story::new(&["api"]);
    story.lab.reads_seldom();
    let path = story.lab.path().join("deploy.git").display().to_string();
    story.lab.source(&format!("url: {path}"));
    let of_image = |name: &str| story.lab.image(&format!("acme/{name}"));
    for name in ["other", "third"] {
        let image = of_image(name);
        let file = format!("{}/kustomization.yaml", overlay(name));
        story
            .lab
            .commit(name, &[(&file, &kustomization(&image, FIRST))]);
        let image = Image::default();
        story
            .lab
            .registry
            .push(&format!("acme/{name}"), FIRST, &image);
    }
    story.argo.apply(POLICIES, story.policy("api"));
    let daemon = story.start();
    daemon.wait_until("readiness", || is_ready(&daemon));
    daemon.wait_until("its status", || story.image("api")["current"] == FIRST);
    let mut listings = story.lab.registry.take_requests();
    assert!(listings.remove(&Kind::Tags) >= Some(1));

    let mut other = story.policy("other");
    other["spec"]["images"]["web"] = json!(of_image("other"));
    story.argo.apply(POLICIES, other);
    daemon.wait_until("another", || story.image("other")["current"] == FIRST);
    // One more is ordered by a history that nobody needed before, so that all edges are connected anew.
    story.argo.delete(POLICIES, "other");
    let mut third = story.policy("third");
    third["spec"]["images"]["web"] = json!(of_image("third"));
    third["spec"]["environments"][0]["tags"] = json!({
        "pattern": "develop-{number}-{sha}", "newest-by": "commits", "source": "code",
    });
    story.argo.apply(POLICIES, third);
    daemon.wait_until("a third", || story.image("third")["current"] == FIRST);
    let mut listings = story.lab.registry.take_requests();
    assert_eq!(
        listings.remove(&Kind::Tags),
        Some(2),
        "one for each that is new"
    );
}

#[test]
fn one_that_follows_writes_no_status() {
    let mut story = Story::new(&["api"]);
    story
        .lab
        .leadership("{ kubeconfig: kubeconfig, namespace: argocd }");
    story.argo.put(
        "leases",
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "towpath" },
            "spec": {
                "holderIdentity": "somebody", "leaseDurationSeconds": 3600,
                "renewTime": "2026-03-01T09:00:00.000000Z", "acquireTime": "2026-03-01T09:00:00.000000Z",
            },
        }),
    );
    let daemon = story.start();
    daemon.wait_until("readiness", || is_ready(&daemon));
    for round in 1..=3 {
        let mut policy = story.policy("api");
        policy["spec"]["environments"][0]["name"] = json!(format!("dev-{round}"));
        story.argo.apply(POLICIES, policy);
        daemon.wait_until("the change", || {
            daemon.log().matches("new configuration").count() >= round
        });
    }
    let asked = story.argo.take_asked().join("\n");
    assert!(
        asked.contains("promotionpolicies") && !asked.contains("PATCH"),
        "{asked}"
    );
    assert_eq!(
        story.argo.get(POLICIES, "api").unwrap()["status"],
        Json::Null
    );
}

#[test]
fn a_route_says_whether_it_counts_and_who_follows_knows_it_too() {
    let mut story = Story::new(&["api"]);
    story
        .lab
        .leadership("{ kubeconfig: kubeconfig, namespace: argocd }");
    let mut policy = story.policy("api");
    let environments = policy["spec"]["environments"].take();
    policy["spec"] = json!({ "route": "standard", "images": policy["spec"]["images"] });
    story.argo.apply(POLICIES, policy);
    story.argo.apply(
        ROUTES,
        json!({
            "apiVersion": "towpath.dev/v1alpha1", "kind": "Route", "metadata": { "name": "standard" },
            "spec": { "repository": "deploy", "environments": environments },
        }),
    );
    let daemon = story.start();
    daemon.wait_until("readiness", || is_ready(&daemon));
    daemon.wait_until("its status", || {
        let route = story.argo.get(ROUTES, "standard").unwrap();
        route["status"]["conditions"][0]["status"] == "True"
    });
    daemon.wait_until("that of the policy", || {
        story.image("api")["current"] == FIRST
    });

    // Another daemon of the same Lease knows all of it.
    let log = story.lab.path().join("other.log");
    let other = Process::start(story.lab.command(&["run", "--cache", "other"]), &log);
    other.wait_until("readiness", || is_ready(&other));
    let address = crate::daemon::address_of(&other, "listening");
    let ran = story.lab.run(&["status", "--address", &address]);
    let row = ran.stdout.lines().find(|line| line.starts_with("argocd "));
    let words: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words[..3], ["argocd", "2", "0"], "{}", ran.stdout);
}
