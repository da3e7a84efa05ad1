//! What a reviewer is told of the health of the environment before, as Argo CD has it.

use bed::argo::{APPLICATIONS, Argo};
use serde_json::json;

use super::{HEAD, Story, V1, V2};
use crate::lab::kustomization;

const STAGING: &str = "apps/portal/overlays/staging/kustomization.yaml";

impl Story {
    /// Staging runs [`V1`] too, and production comes after it; Argo CD is connected.
    fn after_staging() -> (Self, Argo) {
        let mut story = Self::new("");
        let image = story.lab.image("acme/web");
        let text = kustomization(&image, V1);
        story.lab.commit("staging", &[(STAGING, &text)]);
        story.lab.policies(&format!(
            "kind: PromotionPolicy
metadata: {{ name: portal }}
spec:
  repository: deploy
  images: {{ web: \"{image}\" }}
  environments:
    - {{ name: staging, tags: {{ semver: '*' }}, update: apps/portal/overlays/staging }}
    - {{ name: production, after: staging, update: apps/portal/overlays/production, deliver: pull-request }}
"
        ));
        let argo = Argo::new("token");
        argo.serve_kubernetes(&story.lab.path().join("kubeconfig"));
        story
            .lab
            .argo_cd("{ main: { kubernetes: { kubeconfig: kubeconfig } } }");
        (story, argo)
    }

    /// Argo CD says that staging runs `tag`, and how.
    fn shows(&self, argo: &Argo, tag: &str, health: &str) {
        let url = format!("file://{}", self.bare().display());
        let image = format!("{}:{tag}", self.lab.image("acme/web"));
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": "portal-staging", "namespace": "argocd" },
            "spec": {
                "project": "default", "destination": { "name": "staging" },
                "source": { "repoURL": url, "path": "apps/portal/overlays/staging" },
            },
            "status": {
                "sync": { "status": "Synced", "revision": self.lab.git(&["-C", "deploy.git", "rev-parse", "main"]).trim() },
                "health": { "status": health, "message": "it *crashes*", "lastTransitionTime": "2026-01-02T03:04:05Z" },
                "summary": { "images": [image] },
            },
        });
        argo.put(APPLICATIONS, application);
    }

    /// The line of the pull request's body that starts with `start`.
    fn line(&self, start: &str) -> String {
        let body = self.repository().pull(1).body;
        let line = body.lines().find(|line| line.starts_with(start));
        line.unwrap_or_default().to_owned()
    }
}

#[test]
fn a_reviewer_reads_how_healthy_the_version_is_where_it_runs_and_the_status_follows() {
    let (story, argo) = Story::after_staging();
    story.shows(&argo, V1, "Healthy");
    story.lab.push(&[V2]);
    // By a person: what a promotion brought just now would have to settle first.
    let text = kustomization(&story.lab.image("acme/web"), V2);
    story.lab.commit("staging", &[(STAGING, &text)]);
    story.round();
    assert_eq!(story.heads().len(), 1, "nothing is proposed before it runs");

    story.shows(&argo, V2, "Healthy");
    story.round();
    assert_eq!(story.proposed(), V2);
    let runs = story.line("* `web` `v1.5.0` runs in `staging`");
    assert!(
        runs.ends_with("; **healthy** since 2026-01-02 03:04 UTC"),
        "{runs}"
    );
    let gate =
        "* `healthy` **passed**: it has been healthy in `staging` since 2026-01-02T03:04:05Z";
    assert_eq!(story.line("* `healthy`"), gate);
    let status = || {
        let tip = story.tip(HEAD).unwrap();
        let status = &story.repository().statuses(&tip)["towpath/healthy"];
        (status.state.clone(), status.why.clone())
    };
    assert_eq!(status().0, "success");
    story.quiet_round();

    story.shows(&argo, V2, "Degraded");
    story.round();
    let (state, why) = status();
    assert_eq!(state, "pending");
    assert_eq!(why, "`argocd/portal-staging` is Degraded: it *crashes*");
    assert_eq!(story.proposed(), V2, "the proposal stays");
    story.quiet_round();

    story.shows(&argo, V2, "Healthy");
    story.round();
    assert_eq!(status().0, "success");
    story.quiet_round();
}
