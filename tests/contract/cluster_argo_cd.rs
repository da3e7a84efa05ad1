//! What Argo CD itself writes into Applications: healthy ones and ones in every kind of trouble, over both ways.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bed::argocd::ArgoCd;
use bed::{ApiServer, Cluster, GitServer, NODE, git};
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::super::{Connection, Server};
use super::{TOKEN, by_kubeconfig, named, options, until, with};
use crate::secret::Secret;
use crate::world::{Applications, Fact, HealthStatus, OperationPhase, World, save};

const PLACE: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const IMAGE: &str =
    "ghcr.io/acme/web:v1@sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// What is kept of all of them, as a world file has it. A comparison that failed leaves them `Healthy`, and the name of the branch
/// in place of a commit.
const SETTLED: &str = r#"apiVersion: towpath.dev/v1alpha1
kind: World
at: 1970-01-01T00:00:00Z
images: {}
branches: []
applications:
  main:
    at: 1970-01-01T00:00:00Z
    applications:
      argocd/ill:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: ill
        sources:
        - url: URL
          path: apps/ill
          target-revision: main
        automated: true
        controller-namespace: argocd
        sync: Synced
        revisions:
        - HEAD
        health: Degraded
        health-since: TIME
        images:
        - busybox:1
        operation:
          phase: Succeeded
          message: successfully synced (all tasks run)
          finished: TIME
          revisions:
          - HEAD
        history:
        - at: TIME
          revisions:
          - HEAD
        reconciled: TIME
      argocd/manual:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: manual
        sources:
        - url: URL
          path: apps/manual
          target-revision: main
        controller-namespace: argocd
        sync: OutOfSync
        revisions:
        - HEAD
        health: Missing
        health-since: TIME
        reconciled: TIME
      argocd/missing:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: missing
        sources:
        - url: URL
          path: apps/missing
          target-revision: main
        automated: true
        controller-namespace: argocd
        sync: Unknown
        revisions:
        - main
        health: Healthy
        health-since: TIME
        conditions:
        - kind: ComparisonError
          message: 'Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = apps/missing: app path does not exist'
        reconciled: TIME
      argocd/refused:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: refused
        sources:
        - url: URL
          path: apps/refused
          target-revision: main
        automated: true
        controller-namespace: argocd
        sync: OutOfSync
        revisions:
        - HEAD
        health: Missing
        health-since: TIME
        operation:
          phase: Failed
          message: 'one or more objects failed to apply, reason: Deployment.apps "refused" is invalid: spec.template.metadata.labels: Invalid value: {"app":"refused"}: `selector` does not match template `labels`'
          finished: TIME
          revisions:
          - HEAD
        conditions:
        - kind: SyncError
          message: 'Failed last sync attempt to [HEAD]: one or more objects failed to apply, reason: Deployment.apps "refused" is invalid: spec.template.metadata.labels: Invalid value: {"app":"refused"}: `selector` does not match template `labels`'
        reconciled: TIME
      argocd/several:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: several
        sources:
        - url: URL
          path: charts/web
          target-revision: main
        - url: URL
          target-revision: main
          value-files:
          - envs/prod.yaml
        automated: true
        controller-namespace: argocd
        sync: Synced
        revisions:
        - HEAD
        - HEAD
        health: Healthy
        health-since: TIME
        images:
        - ghcr.io/acme/web:v1@sha256:1111111111111111111111111111111111111111111111111111111111111111
        operation:
          phase: Succeeded
          message: successfully synced (all tasks run)
          finished: TIME
          revisions:
          - HEAD
          - HEAD
        history:
        - at: TIME
          revisions:
          - HEAD
          - HEAD
        reconciled: TIME
      argocd/well:
        project: default
        destination-server: https://kubernetes.default.svc
        destination-namespace: well
        sources:
        - url: URL
          path: apps/well
          target-revision: main
        automated: true
        controller-namespace: argocd
        sync: Synced
        revisions:
        - HEAD
        health: Healthy
        health-since: TIME
        images:
        - ghcr.io/acme/web:v1@sha256:1111111111111111111111111111111111111111111111111111111111111111
        operation:
          phase: Succeeded
          message: successfully synced (all tasks run)
          finished: TIME
          revisions:
          - HEAD
        history:
        - at: TIME
          revisions:
          - HEAD
        reconciled: TIME
    projects:
      argocd/default: []
"#;

/// A Deployment; one without a node never gets a running pod.
fn deployment(name: &str, image: &str, node: Option<&str>) -> Json {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": 1, "progressDeadlineSeconds": 1, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "nodeName": node, "containers": [{ "name": "web", "image": image }] },
            },
        },
    })
}

/// What the repository has, by path.
fn files() -> Vec<(&'static str, String)> {
    let well = deployment("well", "ghcr.io/acme/web", Some(NODE));
    let kustomization = "resources: [deployment.yaml]\nimages:\n  - { name: ghcr.io/acme/web, newTag: v1, digest: \"sha256:1111111111111111111111111111111111111111111111111111111111111111\" }\n";
    let chart = deployment("chart", "{{ .Values.image }}", Some(NODE)).to_string();
    let mut refused = deployment("refused", "busybox", None);
    refused["spec"]["selector"] = json!({ "matchLabels": { "app": "another" } });
    vec![
        ("apps/well/deployment.yaml", well.to_string()),
        ("apps/well/kustomization.yaml", kustomization.to_owned()),
        (
            "charts/web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n".to_owned(),
        ),
        ("charts/web/templates/deployment.yaml", chart),
        ("envs/prod.yaml", format!("image: {IMAGE}\n")),
        (
            "apps/ill/deployment.yaml",
            deployment("ill", "busybox:1", None).to_string(),
        ),
        ("apps/refused/deployment.yaml", refused.to_string()),
        (
            "apps/manual/deployment.yaml",
            deployment("manual", "busybox:1", Some(NODE)).to_string(),
        ),
    ]
}

/// A repository with these files, on a server, and a clone of it.
struct Repository {
    server: GitServer,
    work: TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self {
            server: GitServer::start(),
            work: tempfile::tempdir().unwrap(),
        };
        repository.server.create("deploy.git");
        repository.git(&["init", "--quiet", "--initial-branch=main", "."]);
        for (path, text) in files() {
            let file = repository.work.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        repository.git(&["add", "--all"]);
        repository
    }

    fn git(&self, words: &[&str]) -> String {
        git(self.work.path(), words)
    }

    /// Pushes a commit of what was added, and gives its name.
    fn commit(&self, message: &str) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        let url = self.server.http("deploy.git");
        self.git(&["push", "--quiet", &url, "main"]);
        self.git(&["rev-parse", "main"])
    }
}

/// An Application of one source or several; it is synced by itself unless it is called `manual`.
async fn create(api: &ApiServer, name: &str, sources: &[Json]) {
    let mut spec = json!({
        "project": "default",
        "destination": { "server": "https://kubernetes.default.svc", "namespace": name },
        "syncPolicy": { "syncOptions": ["CreateNamespace=true"] },
    });
    match sources {
        [one] => spec["source"] = one.clone(),
        several => spec["sources"] = json!(several),
    }
    if name != "manual" {
        let once = json!({ "limit": 0 });
        spec["syncPolicy"]["automated"] = json!({});
        spec["syncPolicy"]["retry"] = once;
    }
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name }, "spec": spec,
    });
    api.create(PLACE, &object).await;
}

async fn create_all(api: &ApiServer, url: &str) {
    let source = |path: &str| json!({ "repoURL": url, "path": path, "targetRevision": "main" });
    for name in ["well", "ill", "refused", "manual", "missing"] {
        create(api, name, &[source(&format!("apps/{name}"))]).await;
    }
    let mut chart = source("charts/web");
    chart["helm"] = json!({ "valueFiles": ["$values/envs/prod.yaml"] });
    let values = json!({ "repoURL": url, "targetRevision": "main", "ref": "values" });
    create(api, "several", &[chart, values]).await;
}

/// Whether all came to where they stay.
fn is_settled(fact: &Fact<Arc<Applications>>) -> bool {
    let Fact::Known(known) = fact else {
        return false;
    };
    let is = |name: &str, status, phase| {
        let application = known.all.get(&named(name));
        application.is_some_and(|application| {
            let operation = application.operation.as_ref();
            application.health.status == status
                && operation.map(|operation| operation.phase) == phase
                && !application.is_refresh_due
        })
    };
    let told = known.all.get(&named("missing"));
    let done = Some(OperationPhase::Succeeded);
    is("well", HealthStatus::Healthy, done)
        && is("several", HealthStatus::Healthy, done)
        && is("ill", HealthStatus::Degraded, done)
        && is("manual", HealthStatus::Missing, None)
        && is(
            "refused",
            HealthStatus::Missing,
            Some(OperationPhase::Failed),
        )
        && told.is_some_and(|one| !one.conditions.is_empty())
        && matches!(known.projects, Fact::Known(_))
}

/// A world file with times, commit and address replaced by what they are; whether somebody saw a version healthy is not
/// Argo CD's word.
fn told(known: &Applications, (url, head): (&str, &str)) -> String {
    let known = Applications {
        at: Timestamp::UNIX_EPOCH,
        ..known.clone()
    };
    let world = World {
        applications: BTreeMap::from([("main".parse().unwrap(), Fact::Known(Arc::new(known)))]),
        ..World::default()
    };
    let text = save(&world, Timestamp::UNIX_EPOCH);
    let time = Regex::new(r"20\d\d-\d\d-\d\dT[\d:.]+Z").unwrap();
    let text = time.replace_all(&text, "TIME");
    let seen = Regex::new(r"(?m)^ *seen:\n( *- - .*\n *- .*\n)*").unwrap();
    let text = seen.replace_all(&text, "");
    text.replace(head, "HEAD").replace(url, "URL")
}

/// The same Argo CD by its own API, which asks nobody who they are.
fn by_its_api(argo: &ArgoCd, folder: &Path) -> Connection {
    let token = folder.join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let server = Server::ArgoCd {
        url: argo.url.parse().unwrap(),
        token: Secret::File(token),
        ca_file: None,
        plain_http: true,
        projects: Vec::new(),
    };
    Connection::new(options(server)).unwrap()
}

/// Asks for a comparison with git, and waits until it has come to `head`.
async fn is_compared_with(head: &str, connection: &Connection) {
    connection.refresh(&named("well")).await.unwrap();
    until(connection, "the comparison", |fact| match fact {
        Fact::Known(known) => {
            let application = &known.all[&named("well")];
            application.sync.revisions == [head] && !application.is_refresh_due
        }
        Fact::Unknown { .. } => false,
    })
    .await;
}

#[tokio::test]
async fn what_argo_cd_itself_writes_is_read_over_both_ways() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let Some(argo) = ArgoCd::start(&cluster.api).await else {
        return;
    };
    let repository = Repository::new();
    let head = repository.commit("all");
    let url = repository.server.http("deploy.git");
    create_all(&cluster.api, &url).await;
    let by_cluster = by_kubeconfig(cluster.api.kubeconfig("admin"));
    let by_cluster = Connection::new(by_cluster).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let by_api = by_its_api(&argo, folder.path());
    let mut all = Vec::new();
    for connection in [&by_cluster, &by_api] {
        with(connection, until(connection, "all to settle", is_settled)).await;
        let Some(Fact::Known(known)) = connection.shown() else {
            panic!("it was just known")
        };
        all.push(told(&known, (&url, &head)));
    }
    for (connection, message) in [(&by_cluster, "by the cluster"), (&by_api, "by the API")] {
        let head = repository.commit(message);
        with(connection, is_compared_with(&head, connection)).await;
    }
    assert_eq!(all[1], all[0]);
    assert_eq!(all[0], SETTLED);
}
