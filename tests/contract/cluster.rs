//! Applications of Argo CD over both ways: one contract for the fake and for a real API server, and the faults of either.

#[path = "cluster_argo_cd.rs"]
mod argo_cd_itself;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bed::argo::{APPLICATIONS, Argo, DEPLOYMENTS, EVENTS, Fault, PROJECTS, write_kubeconfig};
use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{
    Connection, Event, Events, Mood, Namespace, Options, Owner, Pace, Refresh, Reporter, Server,
};
use crate::login::{Clock, ClusterWay, Environment};
use crate::secret::Secret;
use crate::world::{Applications, Fact, HealthStatus, ObjectName, World, save};

/// Fast where a real one is patient; a watch has a whole second at least.
const PACE: Pace = Pace {
    answer: Duration::from_secs(20),
    watch: Duration::from_secs(20),
    silence: Duration::from_secs(20),
    back_off: Duration::from_millis(5),
    back_off_max: Duration::from_millis(20),
    poll: Duration::from_secs(60),
    stale_after: Duration::from_secs(600),
};

const TOKEN: &str = "t0ken";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is kept of [`portal`] and its [`project`], as a world file has it.
const PORTAL: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: World
at: 1970-01-01T00:00:00Z
images: {}
branches: []
applications:
  main:
    at: 1970-01-01T00:00:00Z
    applications:
      argocd/portal:
        project: shop
        destination-name: prod
        destination-namespace: portal
        sources:
        - url: https://charts.example.com
          chart: web
          target-revision: 1.x
        - url: https://git.example.com/acme/deploy.git
          target-revision: main
          value-files:
          - envs/prod.yaml
        - url: git@git.example.com:acme/deploy.git
          path: charts/jobs
          value-files:
          - charts/jobs/values.yaml
          - envs/jobs.yaml
          - envs/all.yaml
        automated: true
        skipped: true
        refresh-due: true
        controller-namespace: argocd
        sync: OutOfSync
        revisions:
        - 1.2.0
        - aaaa
        - aaaa
        health: Degraded
        health-message: it crashes
        health-since: 2026-03-02T08:00:00Z
        images:
        - ghcr.io/acme/web:v1@sha256:0000
        - busybox
        seen:
        - - ghcr.io/acme/web:v1@sha256:0000
          - never
        - - busybox
          - never
        operation:
          phase: Failed
          message: one or more objects failed to apply
          finished: 2026-03-02T08:00:00Z
          revisions:
          - 1.2.0
          - aaaa
          - aaaa
        conditions:
        - kind: SyncError
          message: no
        history:
        - at: 2026-03-01T08:00:00Z
          revisions:
          - 1.1.0
          - '9999'
          - '9999'
        reconciled: 2026-03-02T08:01:00Z
    projects:
      argocd/shop:
      - kind: deny
        schedule: 0 22 * * *
        seconds: 5400
        zone: Europe/Rome
        applications:
        - '*'
        lets-people-sync: true
      - kind: allow
        schedule: 0 8 * * 1-5
        namespaces:
        - a
        clusters:
        - b
        needs-all: true
";

/// A fake with a folder for what leads to it.
struct Stage {
    argo: Argo,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self {
            argo: Argo::new(TOKEN),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    fn kubernetes(&self) -> Options {
        self.argo.serve_kubernetes(&self.kubeconfig());
        by_kubeconfig(self.kubeconfig())
    }

    fn api(&self) -> Options {
        let address = self.argo.serve_argo_cd();
        let token = self.folder.path().join("api-token");
        std::fs::write(&token, TOKEN).unwrap();
        let server = Server::ArgoCd {
            url: format!("http://{address}").parse().unwrap(),
            token: Secret::File(token),
            ca_file: None,
            plain_http: true,
            projects: Vec::new(),
        };
        options(server)
    }

    /// What is read once, in words where it is not known.
    async fn told(&self, options: Options) -> String {
        let connection = Connection::new(options).unwrap();
        connection.read().await;
        let told = match connection.shown().expect("it was tried") {
            Fact::Known(known) => match &known.projects {
                Fact::Known(_) => format!("{} known", known.all.len()),
                Fact::Unknown { why } => format!("{} known; {why}", known.all.len()),
            },
            Fact::Unknown { why } => why,
        };
        let folder = self.folder.path().display().to_string();
        let told = told.replace(&folder, "FOLDER");
        let at = told.find("127.0.0.1:").map(|at| at + "127.0.0.1:".len());
        match at {
            Some(at) => {
                let digits = told[at..].find(|c: char| !c.is_ascii_digit());
                let rest = digits.map_or("", |end| &told[at + end..]);
                format!("{}PORT{rest}", &told[..at])
            }
            None => told,
        }
    }
}

fn options(server: Server) -> Options {
    Options {
        server,
        selector: None,
        refresh: Refresh::WhenAsked,
        events: Events::Never,
        pace: PACE,
        environment: Environment::default(),
        clock: Clock(crate::daemon::now),
    }
}

fn by_kubeconfig(kubeconfig: PathBuf) -> Options {
    options(Server::Kubernetes {
        way: ClusterWay {
            kubeconfig: Some(kubeconfig),
            context: None,
        },
        namespaces: vec![Namespace::Named("argocd".to_owned())],
    })
}

/// An Application that says everything that is used.
fn portal() -> Json {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {
            "name": "portal", "namespace": "argocd", "labels": { "team": "shop" },
            "annotations": { "argocd.argoproj.io/refresh": "normal", "argocd.argoproj.io/skip-reconcile": "true" },
        },
        "spec": {
            "project": "shop",
            "destination": { "name": "prod", "namespace": "portal" },
            "sources": [
                {
                    "repoURL": "https://charts.example.com", "chart": "web", "targetRevision": "1.x",
                    "helm": { "valueFiles": ["$values/envs/prod.yaml", "values.yaml", "https://example.com/x.yaml"] },
                },
                { "repoURL": "https://bob:s3cret@git.example.com/acme/deploy.git", "targetRevision": "main", "ref": "values" },
                {
                    "repoURL": "git@git.example.com:acme/deploy.git", "path": "charts/jobs",
                    "helm": { "valueFiles": ["values.yaml", "../../envs/jobs.yaml", "/envs/all.yaml", "../../../out.yaml"] },
                },
            ],
            "syncPolicy": { "automated": { "prune": true } },
        },
        "status": {
            "sync": { "status": "OutOfSync", "revisions": ["1.2.0", "aaaa", "aaaa"] },
            "health": { "status": "Degraded", "message": "it\n crashes", "lastTransitionTime": "2026-03-02T08:00:00Z" },
            "summary": { "images": ["ghcr.io/acme/web:v1@sha256:0000", "busybox"] },
            "operationState": {
                "operation": {}, "phase": "Failed", "message": "one or more objects failed to apply",
                "startedAt": "2026-03-02T07:59:00Z", "finishedAt": "2026-03-02T08:00:00Z",
                "syncResult": { "revision": "", "revisions": ["1.2.0", "aaaa", "aaaa"], "source": { "repoURL": "" } },
            },
            "conditions": [{ "type": "SyncError", "message": "no" }],
            "history": [{ "id": 1, "revision": "", "revisions": ["1.1.0", "9999", "9999"], "deployedAt": "2026-03-01T08:00:00Z", "source": { "repoURL": "" } }],
            "reconciledAt": "2026-03-02T08:01:00Z",
            "controllerNamespace": "argocd",
        },
    })
}

/// A plain one.
fn application(name: &str, health: &str) -> Json {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name, "namespace": "argocd" },
        "spec": {
            "project": "default", "destination": { "server": "https://kubernetes.default.svc" },
            "source": { "repoURL": "https://git.example.com/acme/deploy", "path": format!("apps/{name}") },
        },
        "status": { "sync": { "status": "Synced", "revision": "aaaa" }, "health": { "status": health } },
    })
}

fn project() -> Json {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": { "name": "shop", "namespace": "argocd" },
        "spec": { "syncWindows": [
            { "kind": "deny", "schedule": "0 22 * * *", "duration": "1h30m", "timeZone": "Europe/Rome", "applications": ["*"], "manualSync": true },
            { "kind": "allow", "schedule": "0 8 * * 1-5", "duration": "soon", "namespaces": ["a"], "clusters": ["b"], "andOperator": true },
        ] },
    })
}

fn named(name: &str) -> ObjectName {
    ObjectName {
        namespace: "argocd".into(),
        name: name.into(),
    }
}

fn health(known: &Applications, name: &str) -> Option<HealthStatus> {
    Some(known.all.get(&named(name))?.health.status)
}

/// Reads once what must be readable.
async fn read(options: Options) -> Arc<Applications> {
    let connection = Connection::new(options).unwrap();
    connection.read().await;
    match connection.shown() {
        Some(Fact::Known(known)) => known,
        other => panic!("it was not read: {other:?}"),
    }
}

/// Follows until what is known is as wanted.
async fn until(
    connection: &Connection,
    what: &str,
    mut holds: impl FnMut(&Fact<Arc<Applications>>) -> bool,
) {
    let waiting = async {
        while !connection.shown().as_ref().is_some_and(&mut holds) {
            connection.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", connection.shown()));
}

/// Follows `connection` while `story` is told.
async fn with<T>(connection: &Connection, story: impl Future<Output = T>) -> T {
    tokio::select! {
        () = connection.follow() => unreachable!("it follows for ever"),
        told = story => told,
    }
}

/// Waits on another thread, since the fake's own may wait for this one.
async fn watchers(argo: &Argo, count: usize) {
    let argo = argo.clone();
    let waiting = tokio::task::spawn_blocking(move || argo.wait_for_watchers(count));
    waiting.await.unwrap();
}

fn is_healthy(fact: &Fact<Arc<Applications>>, name: &str) -> bool {
    matches!(fact, Fact::Known(known) if health(known, name) == Some(HealthStatus::Healthy))
}

fn is_gone(fact: &Fact<Arc<Applications>>, name: &str) -> bool {
    matches!(fact, Fact::Known(known) if health(known, name).is_none())
}

#[tokio::test]
async fn an_application_is_read_with_all_that_is_used_and_no_login() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, portal());
    stage.argo.put(PROJECTS, project());
    let known = read(stage.kubernetes()).await;
    let Fact::Known(windows) = known.windows(&named("portal")) else {
        panic!("they were read")
    };
    assert_eq!(windows.len(), 2);
    let of_noon = Applications {
        at: Timestamp::UNIX_EPOCH,
        ..(*known).clone()
    };
    let fact = Fact::Known(Arc::new(of_noon));
    let world = World {
        applications: BTreeMap::from([("main".parse().unwrap(), fact)]),
        ..World::default()
    };
    assert_eq!(save(&world, Timestamp::UNIX_EPOCH), PORTAL);
}

#[tokio::test]
async fn both_ways_tell_the_same() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, portal());
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    stage.argo.put(PROJECTS, project());
    let by_cluster = read(stage.kubernetes()).await;
    let by_api = read(stage.api()).await;
    assert_eq!(by_cluster.all, by_api.all);
    assert_eq!(by_cluster.projects, by_api.projects);
}

#[tokio::test]
async fn what_is_changed_made_or_deleted_is_told_at_once_over_both_ways() {
    for way in [Stage::kubernetes, Stage::api] {
        let stage = Stage::new();
        stage
            .argo
            .put(APPLICATIONS, application("web", "Progressing"));
        let options = way(&stage);
        let streams = match options.server {
            Server::Kubernetes { .. } => 2,
            Server::ArgoCd { .. } => 1,
        };
        let connection = Connection::new(options).unwrap();
        with(&connection, async {
            watchers(&stage.argo, streams).await;
            stage.argo.put(APPLICATIONS, application("web", "Healthy"));
            until(&connection, "a change", |fact| is_healthy(fact, "web")).await;
            stage.argo.put(APPLICATIONS, application("api", "Healthy"));
            until(&connection, "a new one", |fact| is_healthy(fact, "api")).await;
            stage.argo.delete(APPLICATIONS, "web");
            until(&connection, "an end", |fact| is_gone(fact, "web")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_comparison_with_git_that_changes_nothing_is_no_news() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, portal());
    let connection = Connection::new(stage.kubernetes()).unwrap();
    with(&connection, async {
        watchers(&stage.argo, 2).await;
        connection.changed().await;
        let mut compared = portal();
        compared["status"]["reconciledAt"] = json!("2026-03-02T09:00:00Z");
        stage.argo.put(APPLICATIONS, compared);
        stage.argo.put(APPLICATIONS, application("web", "Healthy"));
        // What came with the second is the only news.
        until(&connection, "the second", |fact| is_healthy(fact, "web")).await;
        let Some(Fact::Known(known)) = connection.shown() else {
            panic!("it is known");
        };
        let reconciled = known.all[&named("portal")].reconciled.unwrap();
        assert_eq!(reconciled.to_string(), "2026-03-02T09:00:00Z");
    })
    .await;
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let stage = Stage::new();
    for number in 0..250 {
        stage.argo.put(
            APPLICATIONS,
            application(&format!("app-{number}"), "Healthy"),
        );
    }
    let known = read(stage.kubernetes()).await;
    assert_eq!(known.all.len(), 250);
    let lists = stage.argo.take_asked();
    let lists: Vec<_> = lists
        .iter()
        .filter(|l| l.contains("/applications?"))
        .collect();
    assert_eq!(lists.len(), 13, "{lists:?}");
    assert!(
        lists
            .iter()
            .all(|list| list.contains("limit=20&") || list.ends_with("limit=20"))
    );
}

#[tokio::test]
async fn a_watch_that_ended_or_was_cut_goes_on_where_it_was_and_lists_nothing_anew() {
    let stage = Stage::new();
    stage
        .argo
        .put(APPLICATIONS, application("web", "Progressing"));
    let mut options = stage.kubernetes();
    options.pace.watch = Duration::from_secs(1);
    let connection = Connection::new(options).unwrap();
    with(&connection, async {
        watchers(&stage.argo, 2).await;
        stage.argo.bookmark();
        stage.argo.put(APPLICATIONS, application("web", "Healthy"));
        until(&connection, "a change", |fact| is_healthy(fact, "web")).await;
        stage.argo.cut();
        stage.argo.delete(APPLICATIONS, "web");
        stage.argo.put(APPLICATIONS, application("api", "Healthy"));
        until(&connection, "what came after the cut", |fact| {
            is_healthy(fact, "api") && is_gone(fact, "web")
        })
        .await;
        let asked = stage.argo.take_asked();
        let lists = asked.iter().filter(|request| request.contains("limit="));
        assert_eq!(lists.count(), 2, "one of each kind: {asked:?}");
        // Of its own accord the server ends it after a second.
        let mut again = Vec::new();
        while again.is_empty() {
            let asked = stage.argo.take_asked();
            again.extend(asked.into_iter().filter(|r| r.contains("/applications?")));
            tokio::task::yield_now().await;
        }
        assert!(again[0].contains("watch=true"), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_begins_too_late_lists_anew_and_forgets_what_is_gone() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    stage
        .argo
        .put(APPLICATIONS, application("api", "Progressing"));
    let connection = Connection::new(stage.kubernetes()).unwrap();
    with(&connection, async {
        watchers(&stage.argo, 2).await;
        stage.argo.lose(APPLICATIONS, "web");
        stage
            .argo
            .put(APPLICATIONS, application("api", "Progressing"));
        stage.argo.forget();
        stage.argo.cut();
        until(&connection, "a new list", |fact| is_gone(fact, "web")).await;
        stage.argo.put(APPLICATIONS, application("api", "Healthy"));
        until(&connection, "the watch after it", |fact| {
            is_healthy(fact, "api")
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_stream_of_argo_cd_may_be_missing_and_lists_repair_what_it_missed() {
    let stage = Stage::new();
    stage
        .argo
        .put(APPLICATIONS, application("web", "Progressing"));
    let refused = Fault::Refused {
        status: 502,
        words: "no streams here",
    };
    stage.argo.break_with("/api/v1/stream", refused);
    let mut options = stage.api();
    options.pace.poll = Duration::from_millis(20);
    let connection = Connection::new(options).unwrap();
    with(&connection, async {
        until(&connection, "the first list", |fact| !is_gone(fact, "web")).await;
        stage.argo.put(APPLICATIONS, application("web", "Healthy"));
        until(&connection, "the next list", |fact| is_healthy(fact, "web")).await;
        stage.argo.lose(APPLICATIONS, "web");
        until(&connection, "what nobody told", |fact| is_gone(fact, "web")).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_cluster_refuses_is_told_with_what_is_missing() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    let place = "/apis/argoproj.io/v1alpha1/namespaces/argocd";
    let mut told = Vec::new();
    for (path, status, words) in [
        (
            place,
            403,
            "applications.argoproj.io is forbidden: User \"system:serviceaccount:towpath:towpath\" cannot list resource",
        ),
        (
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
            403,
            "appprojects.argoproj.io is forbidden",
        ),
        (place, 401, "Unauthorized"),
        (place, 404, "404 page not found"),
        (place, 500, "etcdserver: leader changed"),
    ] {
        stage
            .argo
            .break_with(path, Fault::Refused { status, words });
        told.push(stage.told(stage.kubernetes()).await);
    }
    stage.argo.break_with(place, Fault::Nonsense);
    told.push(stage.told(stage.kubernetes()).await);
    stage.argo.heal();
    let mut everywhere = stage.kubernetes();
    everywhere.server = Server::Kubernetes {
        way: ClusterWay {
            kubeconfig: Some(stage.kubeconfig()),
            context: Some("there".to_owned()),
        },
        namespaces: vec![Namespace::All],
    };
    told.push(stage.told(everywhere.clone()).await);
    let Server::Kubernetes { way, .. } = &mut everywhere.server else {
        unreachable!("it was just made")
    };
    way.context = None;
    let words = "applications.argoproj.io is forbidden";
    let status = 403;
    stage.argo.break_with(
        "/apis/argoproj.io/v1alpha1/applications",
        Fault::Refused { status, words },
    );
    told.push(stage.told(everywhere).await);
    std::fs::remove_file(stage.kubeconfig()).unwrap();
    told.push(stage.told(by_kubeconfig(stage.kubeconfig())).await);
    assert_snapshot!(told.join("\n"), @r#"
    Kubernetes forbids us to `list` `applications` in the namespace `argocd`: applications.argoproj.io is forbidden: User "system:serviceaccount:towpath:towpath" cannot list resource (allow it by a Role with the verb `list` on `applications` of the group `argoproj.io`, bound to us in the namespace `argocd`)
    1 known; Kubernetes forbids us to `list` `appprojects` in the namespace `argocd`: appprojects.argoproj.io is forbidden (allow it by a Role with the verb `list` on `appprojects` of the group `argoproj.io`, bound to us in the namespace `argocd`)
    Kubernetes does not know who we are when asked to list applications in the namespace `argocd` (log in to the cluster again; a pod's token is renewed by the kubelet)
    Kubernetes knows no `applications.argoproj.io` in this cluster (is Argo CD in this cluster? `kubernetes.context` says which cluster is meant)
    Kubernetes would not list applications in the namespace `argocd` (500): etcdserver: leader changed
    Kubernetes answered what towpath does not understand when asked to list applications in the namespace `argocd` (is it Argo CD that answers there?)
    the kubeconfig `FOLDER/kubeconfig` has no context `there` (`kubectl config get-contexts` lists those that it has)
    Kubernetes forbids us to `list` `applications` in all namespaces: applications.argoproj.io is forbidden (allow it by a ClusterRole with the verb `list` on `applications` of the group `argoproj.io`, bound to us in all namespaces)
    the kubeconfig `FOLDER/kubeconfig` cannot be used
    "#);
    let nowhere = json!({ "server": "https://nobody.invalid" });
    write_kubeconfig(&stage.kubeconfig(), &nowhere, &json!({}));
    let told = stage.told(by_kubeconfig(stage.kubeconfig())).await;
    assert!(
        told.ends_with(
            "(check the host in `url`, or in the kubeconfig, and that names are resolved here)"
        ),
        "{told}"
    );
}

#[tokio::test]
async fn what_argo_cd_refuses_is_told_with_what_to_do() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    let mut told = Vec::new();
    for (path, status, words) in [
        (
            "/api",
            401,
            "invalid session: token has invalid claims: token is expired",
        ),
        ("/api", 403, "permission denied: projects, get, shop"),
        ("/api/v1/projects", 403, "permission denied"),
        ("/api", 500, "something broke"),
        ("/api", 302, ""),
    ] {
        stage
            .argo
            .break_with(path, Fault::Refused { status, words });
        told.push(stage.told(stage.api()).await);
    }
    stage.argo.break_with("/api", Fault::Nonsense);
    told.push(stage.told(stage.api()).await);
    stage.argo.break_with("/api", Fault::Reset);
    told.push(stage.told(stage.api()).await);
    stage.argo.heal();
    let mut nowhere = stage.api();
    if let Server::ArgoCd { token, .. } = &mut nowhere.server {
        *token = Secret::File(stage.folder.path().join("no-token"));
    }
    told.push(stage.told(nowhere.clone()).await);
    if let Server::ArgoCd {
        url, plain_http, ..
    } = &mut nowhere.server
    {
        *url = "http://argocd.example.com".parse().unwrap();
        *plain_http = false;
    }
    told.push(Connection::new(nowhere).err().unwrap().to_string());
    assert_snapshot!(told.join("\n"), @"
    127.0.0.1:PORT does not know who we are when asked to list applications (the token may have expired: `argocd account generate-token` makes another)
    127.0.0.1:PORT forbids us to list applications: permission denied: projects, get, shop (let the account of the token `get` the applications and projects in Argo CD's own RBAC)
    1 known; 127.0.0.1:PORT forbids us to list appprojects: permission denied (let the account of the token `get` the applications and projects in Argo CD's own RBAC)
    127.0.0.1:PORT would not list applications (500): something broke
    127.0.0.1:PORT redirects when asked to list applications, which is not followed (set `url` to the address that it redirects to)
    127.0.0.1:PORT answered what towpath does not understand when asked to list applications (is it Argo CD that answers there?)
    failed to reach 127.0.0.1:PORT to list applications: error sending request: client error (SendRequest): connection closed before message completed
    failed to read the token for `127.0.0.1:PORT`: failed to read the secret in `FOLDER/no-token`: No such file or directory (os error 2)
    `argocd.example.com` would be asked without TLS, which the settings do not allow
    ");
}

#[tokio::test]
async fn a_server_that_says_no_is_not_believed_any_more_and_one_that_is_silent_is_for_a_while() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    let mut options = stage.kubernetes();
    options.pace.answer = Duration::from_millis(50);
    let connection = Connection::new(options).unwrap();
    with(&connection, async {
        watchers(&stage.argo, 2).await;
        stage.argo.break_with("watch", Fault::Silence);
        stage.argo.cut();
        while !stage
            .argo
            .take_asked()
            .iter()
            .any(|asked| asked.contains("watch=true"))
        {
            tokio::task::yield_now().await;
        }
        assert!(is_healthy(&connection.shown().unwrap(), "web"));
        stage.argo.heal();
        let (status, words) = (403, "applications.argoproj.io is forbidden");
        stage
            .argo
            .break_with("watch", Fault::Refused { status, words });
        stage.argo.cut();
        until(&connection, "a refusal", |fact| {
            matches!(fact, Fact::Unknown { .. })
        })
        .await;
        stage.argo.heal();
        until(&connection, "its end", |fact| is_healthy(fact, "web")).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_busy_is_left_alone_for_as_long_as_it_says() {
    let stage = Stage::new();
    let busy = Fault::Busy {
        status: 429,
        seconds: 3600,
    };
    stage.argo.break_with("/api/v1/applications", busy);
    let connection = Connection::new(stage.api()).unwrap();
    with(&connection, async {
        until(&connection, "a refusal", |fact| {
            matches!(fact, Fact::Unknown { .. })
        })
        .await;
        // The projects are asked once beside each try.
        while stage.argo.take_asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        stage.argo.heal();
        let more = tokio::time::timeout(Duration::from_millis(100), connection.changed()).await;
        drop(more);
        assert_eq!(stage.argo.take_asked(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_new_token_counts_when_the_old_one_is_refused() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    let connection = Connection::new(stage.kubernetes()).unwrap();
    with(&connection, async {
        watchers(&stage.argo, 2).await;
        stage.argo.take_token("new");
        stage.argo.cut();
        until(&connection, "a refusal", |fact| {
            matches!(fact, Fact::Unknown { .. })
        })
        .await;
        std::fs::write(stage.folder.path().join("token.txt"), "new").unwrap();
        until(&connection, "the new token", |fact| is_healthy(fact, "web")).await;
    })
    .await;
}

#[tokio::test]
async fn several_namespaces_are_one_and_unknown_where_one_is() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    let mut other = application("api", "Healthy");
    other["metadata"]["namespace"] = json!("team");
    stage.argo.put(APPLICATIONS, other);
    let mut options = stage.kubernetes();
    options.server = Server::Kubernetes {
        way: ClusterWay {
            kubeconfig: Some(stage.kubeconfig()),
            context: Some("here".to_owned()),
        },
        namespaces: ["argocd", "team"]
            .map(|name| Namespace::Named(name.to_owned()))
            .to_vec(),
    };
    let known = read(options.clone()).await;
    let names: Vec<String> = known.all.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["argocd/web", "team/api"]);
    let (status, words) = (403, "no");
    let place = "/apis/argoproj.io/v1alpha1/namespaces/team/applications";
    stage
        .argo
        .break_with(place, Fault::Refused { status, words });
    assert_snapshot!(stage.told(options).await, @"Kubernetes forbids us to `list` `applications` in the namespace `team`: no (allow it by a Role with the verb `list` on `applications` of the group `argoproj.io`, bound to us in the namespace `team`)");
}

#[tokio::test]
async fn only_what_the_selector_and_the_projects_name_is_read() {
    let stage = Stage::new();
    stage.argo.put(APPLICATIONS, portal());
    stage.argo.put(APPLICATIONS, application("web", "Healthy"));
    for way in [Stage::kubernetes, Stage::api] {
        let mut options = way(&stage);
        options.selector = Some("team=shop".to_owned());
        let known = read(options).await;
        assert_eq!(known.all.keys().collect::<Vec<_>>(), [&named("portal")]);
    }
    let mut options = stage.api();
    if let Server::ArgoCd { url, projects, .. } = &mut options.server {
        *url = url.join("root/").unwrap();
        *projects = vec!["default".to_owned()];
    }
    let known = read(options).await;
    assert_eq!(known.all.keys().collect::<Vec<_>>(), [&named("web")]);
}

#[tokio::test]
async fn a_refresh_is_asked_for_over_both_ways_and_changes_nothing_else() {
    for way in [Stage::kubernetes, Stage::api] {
        let stage = Stage::new();
        stage.argo.put(APPLICATIONS, application("web", "Healthy"));
        let options = way(&stage);
        let connection = Connection::new(options.clone()).unwrap();
        connection.refresh(&named("web")).await.unwrap();
        let mut after = stage.argo.get(APPLICATIONS, "web").unwrap();
        let annotations = after["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        assert_eq!(
            annotations,
            Some(json!({ "argocd.argoproj.io/refresh": "normal" }))
        );
        after["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        assert_eq!(after, application("web", "Healthy"));
        let known = read(options.clone()).await;
        assert!(known.all[&named("web")].is_refresh_due);
        assert!(connection.refresh(&named("nobody")).await.is_err());
        let never = Options {
            refresh: Refresh::Never,
            ..options
        };
        stage.argo.take_asked();
        let refused = Connection::new(never).unwrap().refresh(&named("web")).await;
        let refused = refused.unwrap_err().to_string();
        assert_eq!(
            refused,
            "the settings of the connection do not let us ask for a refresh"
        );
        assert_eq!(stage.argo.take_asked(), Vec::<String>::new());
    }
}

/// A real API server, and what only its administrator may do there.
struct RealCluster {
    server: bed::ApiServer,
    admin: kube::Client,
}

impl RealCluster {
    /// One that has Argo CD's kinds of objects and nobody who serves them; `None` where it is left out on purpose.
    async fn start() -> Option<Self> {
        let starting = tokio::task::spawn_blocking(bed::ApiServer::start);
        let server = starting.await.unwrap()?;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let way = ClusterWay {
            kubeconfig: Some(server.kubeconfig("admin")),
            context: None,
        };
        let made = way.client(&Environment::default(), None).await;
        let (admin, _) = made.unwrap();
        let cluster = Self { server, admin };
        cluster
            .until_taken(
                "/api/v1/namespaces",
                &json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "argocd" },
                }),
            )
            .await;
        for (plural, kind) in [(APPLICATIONS, "Application"), (PROJECTS, "AppProject")] {
            cluster.define(plural, kind).await;
        }
        Some(cluster)
    }

    /// As Argo CD's own definition does, this keeps the status with the rest.
    async fn define(&self, plural: &str, kind: &str) {
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.until_taken(definitions, &json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.argoproj.io"), "annotations": { "api-approved.kubernetes.io": "unapproved" } },
            "spec": {
                "group": "argoproj.io", "scope": "Namespaced",
                "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
                "versions": [{
                    "name": "v1alpha1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": anything },
                }],
            },
        })).await;
    }

    fn place(resource: &str) -> String {
        format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/{resource}")
    }

    /// Makes an object as soon as the server takes such.
    async fn until_taken(&self, place: &str, object: &Json) {
        let making = async {
            while self.make(place, object).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let made = tokio::time::timeout(PATIENCE, making).await;
        made.unwrap_or_else(|_| panic!("{place} takes no {object}"));
    }

    async fn make(&self, place: &str, object: &Json) -> Result<Json, kube::Error> {
        let request = kube::core::Request::new(place);
        let object = object.to_string().into_bytes();
        let request = request
            .create(&kube::api::PostParams::default(), object)
            .unwrap();
        self.admin.request(request).await
    }

    async fn merge(&self, name: &str, change: Json) {
        let request = kube::core::Request::new(Self::place(APPLICATIONS));
        let (plain, change) = (
            kube::api::PatchParams::default(),
            kube::api::Patch::Merge(change),
        );
        let request = request.patch(name, &plain, &change).unwrap();
        let _: Json = self.admin.request(request).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let request = kube::core::Request::new(Self::place(APPLICATIONS));
        let request = request
            .delete(name, &kube::api::DeleteParams::default())
            .unwrap();
        let _: Json = self.admin.request(request).await.unwrap();
    }

    /// Lets `reader` read Applications.
    async fn let_read(&self) {
        let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/argocd";
        let named = json!({ "name": "towpath" });
        self.make(&format!("{group}/roles"), &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": named,
            "rules": [{ "apiGroups": ["argoproj.io"], "resources": [APPLICATIONS], "verbs": ["get", "list", "watch"] }],
        })).await.unwrap();
        self.make(&format!("{group}/rolebindings"), &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": named,
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "towpath" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader" }],
        })).await.unwrap();
    }

    fn options(&self, user: &str) -> Options {
        let mut options = by_kubeconfig(self.server.kubeconfig(user));
        options.pace.watch = Duration::from_secs(2);
        options
    }
}

/// Follows as somebody who is let read Applications, and no more, on the way.
async fn what_a_reader_may_and_may_not(cluster: &RealCluster) {
    let reader = Connection::new(cluster.options("reader")).unwrap();
    with(&reader, async {
        until(&reader, "a refusal", |fact| {
            matches!(fact, Fact::Unknown { .. })
        })
        .await;
        let Some(Fact::Unknown { why }) = reader.shown() else {
            panic!("nobody let it read yet")
        };
        assert_snapshot!(why, @r#"Kubernetes forbids us to `list` `applications` in the namespace `argocd`: applications.argoproj.io is forbidden: User "reader" cannot list resource "applications" in API group "argoproj.io" in the namespace "argocd" (allow it by a Role with the verb `list` on `applications` of the group `argoproj.io`, bound to us in the namespace `argocd`)"#);
        cluster.let_read().await;
        until(&reader, "the right to read", |fact| {
            is_healthy(fact, "app-0")
        })
        .await;
        let Some(Fact::Known(known)) = reader.shown() else {
            panic!("it was just known")
        };
        assert_eq!(known.all.len(), 121);
        assert!(
            matches!(known.projects, Fact::Unknown { .. }),
            "{:?}",
            known.projects
        );
        // Longer than a watch lasts, and over its ends.
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < 3 * Duration::from_secs(1) {
            let is_well = reader
                .shown()
                .is_some_and(|fact| is_healthy(&fact, "app-0"));
            let health = if is_well { "Degraded" } else { "Healthy" };
            cluster
                .merge(
                    "app-0",
                    json!({ "status": { "health": { "status": health } } }),
                )
                .await;
            until(&reader, health, |fact| is_healthy(fact, "app-0") != is_well).await;
        }
        cluster.delete("app-0").await;
        until(&reader, "its end", |fact| is_gone(fact, "app-0")).await;
        let refused = reader.refresh(&named("app-1")).await.unwrap_err();
        assert_snapshot!(refused, @r#"Kubernetes forbids us to `patch` `applications` in the namespace `argocd`: applications.argoproj.io "app-1" is forbidden: User "reader" cannot patch resource "applications" in API group "argoproj.io" in the namespace "argocd""#);
        let admin = Connection::new(cluster.options("admin")).unwrap();
        admin.refresh(&named("app-1")).await.unwrap();
        until(
            &reader,
            "the wish for a refresh",
            |fact| matches!(fact, Fact::Known(known) if known.all[&named("app-1")].is_refresh_due),
        )
        .await;
        assert_snapshot!(admin.refresh(&named("nobody")).await.unwrap_err(), @"Kubernetes has no Application `argocd/nobody`");
    })
    .await;
}

#[tokio::test]
async fn a_real_api_server_lists_in_pages_watches_refuses_and_takes_a_refresh() {
    let Some(cluster) = RealCluster::start().await else {
        return;
    };
    let place = RealCluster::place(APPLICATIONS);
    cluster.until_taken(&place, &portal()).await;
    cluster
        .until_taken(&RealCluster::place(PROJECTS), &project())
        .await;
    for number in 0..120 {
        let one = application(&format!("app-{number}"), "Healthy");
        cluster.make(&place, &one).await.unwrap();
    }
    // What the fake tells, the real one tells.
    let known = read(cluster.options("admin")).await;
    assert_eq!(known.all.len(), 121);
    let fake = Stage::new();
    fake.argo.put(APPLICATIONS, portal());
    fake.argo.put(PROJECTS, project());
    let by_fake = read(fake.kubernetes()).await;
    assert_eq!(known.all[&named("portal")], by_fake.all[&named("portal")]);
    assert_eq!(known.projects, by_fake.projects);

    what_a_reader_may_and_may_not(&cluster).await;
    // A token that the server does not know.
    let mut wrong = cluster.options("admin");
    wrong.server = Server::Kubernetes {
        way: ClusterWay {
            kubeconfig: Some(cluster.server.kubeconfig("nobody")),
            context: None,
        },
        namespaces: vec![Namespace::All],
    };
    let told = fake.told(wrong).await;
    assert_snapshot!(told, @"Kubernetes does not know who we are when asked to list applications in all namespaces (log in to the cluster again; a pod's token is renewed by the kubelet)");
}

fn promoted(note: &str) -> Event {
    Event {
        mood: Mood::Normal,
        reason: "Promoted",
        action: "Promoting",
        note: note.to_owned(),
    }
}

/// Tells twice of the same and once of something else, and gives what stands there then, the other first.
async fn told_of_portal(options: Options, events: impl AsyncFn() -> Vec<Json>) -> [Json; 2] {
    let connection = Connection::new(Options {
        events: Events::Told,
        ..options
    });
    let connection = connection.unwrap();
    for note in ["web 1.4.1 -> 1.4.2", "web 1.4.1 -> 1.4.2", &"ä".repeat(600)] {
        connection.tell(&named("portal"), promoted(note));
    }
    let waiting = async {
        loop {
            let mut all = events().await;
            all.sort_by_key(|event| event["series"]["count"].as_u64());
            match <[Json; 2]>::try_from(all) {
                Ok(both) if both[1]["series"]["count"] == 2 => return both,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

fn assert_well_told([other, same]: &[Json; 2], uid: &Json) {
    assert_eq!(same["note"], "web 1.4.1 -> 1.4.2");
    assert_eq!(other["note"], "ä".repeat(512));
    for event in [other, same] {
        assert_eq!(event["type"], "Normal");
        assert_eq!(
            (&event["reason"], &event["action"]),
            (&json!("Promoted"), &json!("Promoting"))
        );
        assert_eq!(event["reportingController"], "towpath.dev/towpath");
        assert_eq!(event["metadata"]["namespace"], "argocd");
        assert_eq!(
            event["regarding"],
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "namespace": "argocd", "name": "portal", "uid": uid,
            })
        );
    }
}

#[tokio::test]
async fn what_is_told_again_is_one_event_that_counts() {
    let fake = Stage::new();
    fake.argo.put(APPLICATIONS, portal());
    let told = told_of_portal(fake.kubernetes(), async || fake.argo.objects(EVENTS)).await;
    assert_well_told(&told, &json!("uid-of-portal"));
}

#[tokio::test]
async fn an_api_that_refuses_events_loses_them_and_tells_those_that_come_later() {
    let fake = Stage::new();
    fake.argo.put(APPLICATIONS, portal());
    let options = Options {
        events: Events::Told,
        ..fake.kubernetes()
    };
    let connection = Connection::new(options).unwrap();
    let refused = Fault::Refused {
        status: 403,
        words: "no",
    };
    fake.argo.break_with("/apis/events.k8s.io", refused);
    connection.tell(&named("portal"), promoted("one"));
    let asked = || {
        let asked = fake.argo.take_asked();
        asked.iter().any(|line| line.contains("events.k8s.io"))
    };
    let until = async |holds: &dyn Fn() -> bool| {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    };
    until(&asked).await;
    fake.argo.heal();
    connection.tell(&named("portal"), promoted("two"));
    until(&|| !fake.argo.objects(EVENTS).is_empty()).await;
    let notes = fake.argo.objects(EVENTS);
    let notes: Vec<&Json> = notes.iter().map(|event| &event["note"]).collect();
    assert_eq!(notes, ["two"]);
}

/// What is told of ourselves in a pod with these variables, as soon as it is there.
async fn told_of_us(
    way: ClusterWay,
    variables: &[(&str, &str)],
    events: impl AsyncFn() -> Vec<Json>,
) -> Json {
    let ours = [("POD_NAME", "towpath-0"), ("POD_NAMESPACE", "argocd")];
    let variables = ours.iter().chain(variables);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = Environment::Given(variables.collect());
    let reporter = Reporter::of_ourselves(way, environment, Clock(crate::daemon::now)).unwrap();
    reporter.of_us(promoted("of us"));
    let waiting = async {
        loop {
            let mut all = events().await.into_iter();
            match all.find(|event| event["note"] == "of us") {
                Some(event) => return event,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

/// The way of a connection by the Kubernetes API.
fn way(options: Options) -> ClusterWay {
    match options.server {
        Server::Kubernetes { way, .. } => way,
        Server::ArgoCd { .. } => panic!("it is Argo CD's own API"),
    }
}

#[tokio::test]
async fn what_concerns_all_of_us_is_told_of_what_our_pod_belongs_to_or_else_of_the_pod() {
    let fake = Stage::new();
    let deployment = json!({ "metadata": { "name": "towpath" } });
    fake.argo.put(DEPLOYMENTS, deployment);
    let told = async |variables: &[(&str, &str)], kind: &str| {
        let events = async || {
            let mut all = fake.argo.objects(EVENTS);
            all.retain(|event| event["regarding"]["kind"] == kind);
            all
        };
        let mut told = told_of_us(way(fake.kubernetes()), variables, events).await;
        told["regarding"].take()
    };
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "namespace": "argocd", "name": "towpath", "uid": "uid-of-towpath",
    });
    let owner = [("POD_OWNER", "Deployment/towpath")];
    assert_eq!(told(&owner, "Deployment").await, deployment);
    // Nobody asks for pods: without POD_UID it stays open which one it was.
    let pod =
        json!({ "apiVersion": "v1", "kind": "Pod", "namespace": "argocd", "name": "towpath-0" });
    assert_eq!(told(&[], "Pod").await, pod);
}

#[test]
fn what_a_pod_belongs_to_is_a_deployment_or_a_stateful_set() {
    let owner = |text: &str| {
        let variables = [("POD_OWNER".to_owned(), text.to_owned())];
        let owner = Owner::of(&Environment::Given(variables.into()));
        match owner {
            Ok(owner) => format!("{owner:?}"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(owner(""), "None");
    assert_snapshot!(owner("Deployment/towpath-1"), @r#"Some(Owner { kind: Deployment, name: "towpath-1" })"#);
    assert_snapshot!(owner("StatefulSet/towpath"), @r#"Some(Owner { kind: StatefulSet, name: "towpath" })"#);
    for wrong in [
        "towpath",
        "Deployment/",
        "Pod/towpath",
        "Deployment/../secrets/x",
    ] {
        assert!(owner(wrong).starts_with("POD_OWNER is `"), "{wrong}");
    }
}

/// Lets the reader do what the chart lets towpath do for Events.
async fn let_tell(cluster: &RealCluster) {
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/argocd";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "events" },
        "rules": [
            { "apiGroups": ["events.k8s.io"], "resources": [EVENTS], "verbs": ["create", "patch"] },
            { "apiGroups": ["apps"], "resources": [DEPLOYMENTS], "resourceNames": ["towpath"], "verbs": ["get"] },
        ],
    });
    cluster
        .make(&format!("{group}/roles"), &role)
        .await
        .unwrap();
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "events" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "events" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader" }],
    });
    let place = format!("{group}/rolebindings");
    cluster.make(&place, &binding).await.unwrap();
}

#[tokio::test]
async fn a_real_api_server_takes_events_with_the_rights_of_the_chart() {
    let Some(cluster) = RealCluster::start().await else {
        return;
    };
    let place = RealCluster::place(APPLICATIONS);
    cluster.until_taken(&place, &portal()).await;
    cluster.let_read().await;
    let_tell(&cluster).await;
    let selected = async |place: &str, fields: &str| {
        let fields = kube::api::ListParams::default().fields(fields);
        let request = kube::core::Request::new(place).list(&fields);
        let listed = cluster.admin.request::<Json>(request.unwrap()).await;
        listed.unwrap()["items"].as_array().unwrap().clone()
    };
    let list = async |place: &str| selected(place, "").await;
    let events = "/apis/events.k8s.io/v1/namespaces/argocd/events";
    let told = told_of_portal(cluster.options("reader"), async || list(events).await).await;
    let portal = list(&RealCluster::place(APPLICATIONS)).await;
    assert_well_told(&told, &portal[0]["metadata"]["uid"]);

    // As `kubectl describe deployment towpath` asks.
    let labels = json!({ "app": "towpath" });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "towpath" },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "towpath", "image": "towpath" }] } },
        },
    });
    let place = "/apis/apps/v1/namespaces/argocd/deployments";
    cluster.make(place, &deployment).await.unwrap();
    let uid = list(place).await[0]["metadata"]["uid"].take();
    let uid = uid.as_str().unwrap();
    let owner = [("POD_OWNER", "Deployment/towpath")];
    let told = told_of_us(way(cluster.options("reader")), &owner, async || {
        list(events).await
    });
    assert_eq!(told.await["regarding"]["uid"], uid);
    let described = format!(
        "involvedObject.name=towpath,involvedObject.namespace=argocd,involvedObject.kind=Deployment,involvedObject.uid={uid}"
    );
    let described = selected("/api/v1/namespaces/argocd/events", &described).await;
    let messages: Vec<&Json> = described.iter().map(|event| &event["message"]).collect();
    assert_eq!(messages, ["of us"]);
}
