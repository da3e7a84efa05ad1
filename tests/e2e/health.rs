//! From environment to environment by what Argo CD says of the one before.

use bed::argo::{APPLICATIONS, Argo, DEPLOYMENTS, EVENTS, Fault};
use serde_json::json;

use crate::lab::{Lab, kustomization};

const STAGING: &str = "apps/portal/overlays/staging/kustomization.yaml";
const PRODUCTION: &str = "apps/portal/overlays/production/kustomization.yaml";

/// A version in staging that comes to production once it is healthy.
struct Story {
    lab: Lab,
    argo: Argo,
}

impl Story {
    fn new() -> Self {
        let mut lab = Lab::new(&[]);
        lab.push(&["v1.0.0"]);
        let image = lab.image("acme/web");
        let file = kustomization(&image, "v1.0.0");
        lab.commit("portal", &[(STAGING, &file), (PRODUCTION, &file)]);
        lab.policies(&format!(
            "kind: PromotionPolicy
metadata: {{ name: portal }}
spec:
  repository: deploy
  images: {{ web: \"{image}\" }}
  environments:
    - {{ name: staging, tags: {{ semver: 1.x }}, update: apps/portal/overlays/staging }}
    - {{ name: production, after: staging, gates: {{ healthy: {{ settle: 1s }} }}, update: apps/portal/overlays/production }}
"
        ));
        let argo = Argo::new("token");
        argo.serve_kubernetes(&lab.path().join("kubeconfig"));
        lab.argo_cd(
            "{ main: { kubernetes: { kubeconfig: kubeconfig, events: true }, refresh: true } }",
        );
        Self { lab, argo }
    }

    /// Argo CD says that staging runs `tag`.
    fn shows(&self, tag: &str, (sync, health): (&str, &str)) {
        let url = format!("file://{}", self.lab.path().join("deploy.git").display());
        let head = self.lab.git(&["-C", "deploy.git", "rev-parse", "main"]);
        let image = self.lab.image("acme/web");
        self.argo.put(
            APPLICATIONS,
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": { "name": "portal-staging", "namespace": "argocd" },
                "spec": {
                    "project": "default", "destination": { "name": "staging" },
                    "source": { "repoURL": url, "path": "apps/portal/overlays/staging", "targetRevision": "main" },
                    "syncPolicy": { "automated": {} },
                },
                "status": {
                    "sync": { "status": sync, "revision": head.trim() },
                    "health": { "status": health, "lastTransitionTime": "2026-01-01T00:00:00Z" },
                    "summary": { "images": [format!("{image}:{tag}")] },
                },
            }),
        );
    }

    fn is_refresh_wished(&self) -> bool {
        let application = self.argo.get(APPLICATIONS, "portal-staging").unwrap();
        application["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal"
    }

    fn runs(&self, path: &str, tag: &str) -> bool {
        self.lab.pushed(path).contains(tag)
    }

    /// Tells Events on the Deployment of its pod from now on, and gives the settings.
    fn in_a_pod(&mut self) -> String {
        let kubeconfig = self.lab.path().join("kubeconfig");
        let variables = [
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
            ("POD_NAMESPACE", "argocd"),
            ("POD_NAME", "towpath-0"),
            ("POD_OWNER", "Deployment/towpath"),
        ];
        for (name, value) in variables {
            self.lab.set(name, value);
        }
        let deployment = json!({ "metadata": { "name": "towpath" } });
        self.argo.put(DEPLOYMENTS, deployment);
        let settings = std::fs::read_to_string(self.lab.path().join("towpath.yaml")).unwrap();
        let settings = format!("{settings}pod-events: true\n");
        self.lab.write("towpath.yaml", &settings);
        settings
    }
}

#[test]
fn a_version_goes_on_when_argo_cd_shows_it_healthy_and_argo_cd_is_told_of_each_push() {
    let story = Story::new();
    story.shows("v1.0.0", ("Synced", "Healthy"));
    let daemon = story.lab.start();
    story.lab.push(&["v1.1.0"]);
    daemon.wait_until("the promotion to staging", || story.runs(STAGING, "v1.1.0"));
    daemon.wait_until("the wish for a refresh", || story.is_refresh_wished());
    daemon.wait_until("the reason to hold", || {
        daemon.log().contains("still runs `v1.0.0`")
    });

    story.shows("v1.1.0", ("Synced", "Degraded"));
    daemon.wait_until("that staging is degraded", || {
        daemon.log().contains("`argocd/portal-staging` is Degraded")
    });
    assert!(story.runs(PRODUCTION, "v1.0.0"));

    story.shows("v1.1.0", ("Synced", "Healthy"));
    daemon.wait_until("the promotion to production", || {
        story.runs(PRODUCTION, "v1.1.0")
    });
    let subject = story.lab.subjects().remove(0);
    assert_eq!(
        subject,
        "promote portal to production: web v1.0.0 -> v1.1.0"
    );
    let message = story
        .lab
        .git(&["-C", "deploy.git", "log", "-1", "--format=%B", "main"]);
    let gate = "Towpath-Gate: web healthy: it has been healthy in `staging` since ";
    assert!(message.contains(gate), "{message}");
}

#[test]
fn argo_cd_is_told_of_a_push_that_came_before_its_first_answer() {
    let story = Story::new();
    story.shows("v1.0.0", ("Synced", "Healthy"));
    story.argo.break_with("/", Fault::Silence);
    story.lab.push(&["v1.1.0"]);
    let daemon = story.lab.start();
    daemon.wait_until("the promotion to staging", || story.runs(STAGING, "v1.1.0"));
    assert!(!story.is_refresh_wished());
    story.argo.heal();
    daemon.wait_until("the wish for a refresh", || story.is_refresh_wished());
}

#[test]
fn a_program_that_runs_once_asks_argo_cd_first_and_tells_it_of_its_push() {
    let story = Story::new();
    story.shows("v1.0.0", ("Synced", "Healthy"));
    story.lab.push(&["v1.1.0"]);
    let ran = story.lab.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(story.runs(STAGING, "v1.1.0"), "{ran:?}");
    assert!(story.runs(PRODUCTION, "v1.0.0"), "{ran:?}");
    assert!(story.is_refresh_wished());
}

#[test]
fn people_who_look_at_kubernetes_see_what_was_promoted_and_what_became_of_new_settings() {
    let mut story = Story::new();
    let settings = story.in_a_pod();
    story.shows("v1.0.0", ("Synced", "Healthy"));
    let daemon = story.lab.start();
    story.lab.push(&["v1.1.0"]);
    let told = |reason: &str| {
        let mut all = story.argo.objects(EVENTS).into_iter();
        all.find(|event| event["reason"] == reason)
    };
    daemon.wait_until("the Event of the promotion", || told("Promoted").is_some());
    let promoted = told("Promoted").unwrap();
    assert_eq!(promoted["regarding"]["name"], "portal-staging");
    let head = story
        .lab
        .git(&["-C", "deploy.git", "rev-parse", "--short=7", "main"]);
    assert_eq!(
        promoted["note"],
        format!(
            "promoted web v1.0.0 -> v1.1.0 in `staging` of policy `portal` by commit {}",
            head.trim()
        )
    );

    daemon.wait_until("the Event of the lead", || told("Leads").is_some());
    let note = "`towpath-0` promotes from now on";
    assert_eq!(told("Leads").unwrap()["note"], note);
    story
        .lab
        .write("towpath.yaml", &format!("{settings}nonsense: true\n"));
    daemon.wait_until("the Event of bad settings", || {
        told("SettingsRejected").is_some()
    });
    story
        .lab
        .write("towpath.yaml", &format!("{settings}log: {{}}\n"));
    daemon.wait_until("the Event of good settings", || {
        told("SettingsTaken").is_some()
    });
    let rejected = told("SettingsRejected").unwrap();
    assert!(
        rejected["note"]
            .as_str()
            .unwrap()
            .contains("unknown key `nonsense`")
    );
    assert_eq!(
        rejected["regarding"],
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "namespace": "argocd", "name": "towpath", "uid": "uid-of-towpath",
        })
    );
    assert_eq!(rejected["type"], "Warning");

    // A degraded Application that nobody rolls back waits for a person.
    story.shows("v1.1.0", ("Synced", "Degraded"));
    daemon.wait_until("the Event of the degraded one", || {
        told("Degraded").is_some()
    });
    assert_eq!(
        told("Degraded").unwrap()["regarding"]["name"],
        "portal-staging"
    );
}
