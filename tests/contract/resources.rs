//! Custom resources: one contract for the fake and for a real API server, what a real one takes and refuses by our definitions, and the
//! faults of the fake.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bed::argo::{Argo, Fault, POLICIES};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{Options, Resource, Resources, Seen};
use crate::cluster::{Desk, Pace, Presence};
use crate::config::definitions;
use crate::login::{Clock, ClusterWay, Environment};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

const TOKEN: &str = "t0ken";

const GROUP: &str = "/apis/towpath.dev/v1alpha1/namespaces/argocd";

/// A server, and somebody who may do everything there.
trait Cluster {
    fn kubeconfig(&self) -> PathBuf;

    /// Makes a policy, or changes what it says.
    async fn apply(&self, policy: Json);

    async fn delete(&self, name: &str);

    async fn get(&self, name: &str) -> Json;
}

struct Fake {
    argo: Argo,
    folder: TempDir,
}

impl Fake {
    fn new() -> Self {
        let fake = Self {
            argo: Argo::new(TOKEN),
            folder: tempfile::tempdir().unwrap(),
        };
        fake.argo.serve_kubernetes(&fake.kubeconfig());
        fake
    }
}

impl Cluster for Fake {
    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    async fn apply(&self, policy: Json) {
        self.argo.apply(POLICIES, policy);
    }

    async fn delete(&self, name: &str) {
        self.argo.delete(POLICIES, name);
    }

    async fn get(&self, name: &str) -> Json {
        self.argo.get(POLICIES, name).unwrap_or_default()
    }
}

struct Real {
    server: bed::ApiServer,
    admin: kube::Client,
}

impl Real {
    /// One that knows our custom resources; `None` where it is left out on purpose.
    async fn start() -> Option<Self> {
        let starting = tokio::task::spawn_blocking(bed::ApiServer::start);
        let server = starting.await.unwrap()?;
        let (admin, _) = way(&server.kubeconfig("admin"))
            .client(&Environment::default(), None)
            .await
            .unwrap();
        let real = Self { server, admin };
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "argocd" } });
        // The first requests are refused while it makes its own objects.
        let making = async {
            while real.make("/api/v1/namespaces", &namespace).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, making).await.unwrap();
        let place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for definition in definitions().split("\n---\n") {
            let definition: Json = serde_yaml::from_str(definition).unwrap();
            real.make(place, &definition).await.unwrap();
        }
        // It serves them a moment later.
        for resource in ["promotionpolicies", "routes"] {
            let served = async {
                let list = format!("{GROUP}/{resource}");
                while real.ask(&list).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, served).await.unwrap();
        }
        Some(real)
    }

    async fn ask(&self, place: &str) -> Result<Json, kube::Error> {
        let request = axum::http::Request::get(place).body(Vec::new()).unwrap();
        self.admin.request(request).await
    }

    async fn make(&self, place: &str, object: &Json) -> Result<Json, kube::Error> {
        let object = object.to_string().into_bytes();
        let request = kube::core::Request::new(place).create(&Default::default(), object);
        self.admin.request(request.unwrap()).await
    }

    /// What the server says of an object, without keeping it: nothing where it takes it.
    async fn judged(&self, object: &Json) -> String {
        let resource = match object["kind"] == "Route" {
            true => "routes",
            false => "promotionpolicies",
        };
        let place = format!("{GROUP}/{resource}?dryRun=All&fieldValidation=Strict");
        let request = axum::http::Request::post(place)
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .unwrap();
        match self.admin.request::<Json>(request).await {
            Ok(_) => String::new(),
            Err(kube::Error::Api(status)) => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let words = status.message.replace(name, "NAME");
                let words = words.split(" is invalid: ").last().unwrap_or_default();
                words.to_owned()
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Cluster for Real {
    fn kubeconfig(&self) -> PathBuf {
        self.server.kubeconfig("admin")
    }

    async fn apply(&self, policy: Json) {
        let name = policy["metadata"]["name"].as_str().unwrap().to_owned();
        let place = format!("{GROUP}/promotionpolicies");
        let request = kube::core::Request::new(place);
        let params = kube::api::PatchParams::apply("test").force();
        let patch = kube::api::Patch::Apply(policy);
        let request = request.patch(&name, &params, &patch).unwrap();
        let _: Json = self.admin.request(request).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let request = kube::core::Request::new(format!("{GROUP}/promotionpolicies"));
        let request = request.delete(name, &Default::default()).unwrap();
        let _: Json = self.admin.request(request).await.unwrap();
    }

    async fn get(&self, name: &str) -> Json {
        let place = format!("{GROUP}/promotionpolicies/{name}");
        self.ask(&place).await.unwrap_or_default()
    }
}

fn way(kubeconfig: &Path) -> ClusterWay {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ClusterWay {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: None,
    }
}

fn resources(kubeconfig: &Path, namespaces: &[&str]) -> Arc<Resources> {
    Arc::new(Resources::new(Options {
        way: way(kubeconfig),
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        pace: Pace {
            watch: Duration::from_secs(2),
            silence: Duration::from_secs(2),
            back_off: Duration::from_millis(20),
            back_off_max: Duration::from_millis(50),
            ..Pace::polling(Duration::from_secs(1))
        },
        environment: Environment::default(),
        clock: Clock(crate::daemon::now),
    }))
}

/// Follows until the test ends.
struct Following(Arc<Resources>, tokio::task::JoinHandle<()>);

impl Following {
    fn start(resources: Arc<Resources>) -> Self {
        let followed = resources.clone();
        let task = tokio::spawn(async move { followed.follow().await });
        Self(resources, task)
    }

    /// Waits until what is seen is as it `is`.
    async fn until(&self, what: &str, is: impl Fn(&Seen) -> bool) -> Seen {
        let waiting = async {
            loop {
                if let Some(seen) = self.0.seen().filter(|seen| is(seen)) {
                    return seen;
                }
                // What stands under `status` is no news.
                let _ = tokio::time::timeout(Duration::from_millis(50), self.0.changed()).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("waited for {what}; seen: {:?}", self.0.seen()))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.1.abort();
    }
}

fn policy(name: &str, path: &str) -> Json {
    json!({
        "apiVersion": "towpath.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": { "name": name },
        "spec": {
            "repository": "deploy", "images": { "web": "ghcr.io/acme/web" },
            "environments": [{ "name": "dev", "tags": { "semver": "*" }, "update": path }],
        },
    })
}

fn update(resource: &Resource) -> Json {
    let spec = resource.spec.as_ref().unwrap();
    spec["environments"][0]["update"].clone()
}

/// The resource of this name.
fn named(seen: &Seen, name: &str) -> Arc<Resource> {
    let mut all = seen.resources.iter();
    all.find(|one| one.id.name == name).unwrap().clone()
}

async fn what_happens_in_the_cluster_is_seen(cluster: impl Cluster) {
    let following = Following::start(resources(&cluster.kubeconfig(), &["argocd"]));
    let until = async |what: &str, is: fn(&Seen) -> bool| following.until(what, is).await;
    until("nothing", |seen| seen.resources.is_empty()).await;

    cluster.apply(policy("one", "a")).await;
    cluster.apply(policy("two", "b")).await;
    let one = named(
        &until("both", |seen| seen.resources.len() == 2).await,
        "one",
    );
    assert_eq!(one.id.to_string(), "promotionpolicies/argocd/one");
    assert_eq!((update(&one), one.generation), (json!("a"), 1));
    assert!(!one.uid.is_empty() && one.created.is_some());

    cluster.apply(policy("one", "c")).await;
    let changed = |seen: &Seen| seen.resources.iter().any(|one| one.generation == 2);
    let one = named(&until("the change", changed).await, "one");
    assert_eq!(update(&one), "c");
    how_it_stands_is_written_beside_what_it_says(&cluster, &following, &one).await;

    cluster.delete("one").await;
    let seen = until("the end", |seen| seen.resources.len() == 1).await;
    assert_eq!(seen.resources[0].id.name, "two");
}

async fn how_it_stands_is_written_beside_what_it_says(
    cluster: &impl Cluster,
    following: &Following,
    one: &Resource,
) {
    let written = async |resource: &Resource, status: &Json| {
        let written = following.0.write_status(resource, status).await;
        written.unwrap()
    };
    let status = json!({
        "observedGeneration": 2, "summary": "1 newest", "nextTime": "2026-03-01T09:00:00Z",
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "it counts",
            "lastTransitionTime": "2026-03-01T09:00:00Z", "observedGeneration": 2,
        }],
    });
    assert!(written(one, &status).await);
    let is_shown = |seen: &Seen| {
        named(seen, "one")
            .status
            .says(&json!({ "summary": "1 newest" }))
    };
    let latest = named(&following.until("its status", is_shown).await, "one");
    // What was read before that is not what stands there.
    assert!(!written(one, &json!({ "summary": "2" })).await);
    assert!(written(&latest, &json!({ "nextTime": null })).await);
    let there = cluster.get("one").await;
    assert_eq!(there["status"]["summary"], "1 newest");
    assert_eq!(there["status"]["conditions"], status["conditions"]);
    assert!(there["status"].get("nextTime").is_none());
    assert_eq!(there["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_happens_in_the_fake_is_seen() {
    what_happens_in_the_cluster_is_seen(Fake::new()).await;
}

#[tokio::test]
async fn what_happens_in_a_real_cluster_is_seen() {
    if let Some(real) = Real::start().await {
        what_happens_in_the_cluster_is_seen(real).await;
    }
}

#[tokio::test]
async fn what_was_seen_stays_while_the_server_is_away_or_refuses() {
    let fake = Fake::new();
    fake.apply(policy("one", "a")).await;
    let following = Following::start(resources(&fake.kubeconfig(), &["argocd"]));
    following
        .until("it", |seen| seen.resources.len() == 1)
        .await;
    let faults = [
        Fault::Refused {
            status: 403,
            words: "no",
        },
        Fault::Refused {
            status: 404,
            words: "the page is not here",
        },
        Fault::Refused {
            status: 500,
            words: "later",
        },
        Fault::Nonsense,
    ];
    for fault in faults {
        fake.argo.break_with("/apis/towpath.dev", fault.clone());
        fake.argo.forget();
        fake.argo.cut();
        let failed = |seen: &Seen| seen.namespaces[0].failure.is_some();
        let seen = following.until(&format!("{fault:?}"), failed).await;
        assert_eq!(seen.resources.len(), 1, "{fault:?}");
        fake.argo.heal();
        let healed = |seen: &Seen| seen.namespaces[0].failure.is_none();
        following.until("the server", healed).await;
    }
}

#[tokio::test]
async fn a_namespace_that_refuses_us_stops_no_other_and_one_that_says_nothing_is_waited_for() {
    let fake = Fake::new();
    fake.apply(policy("one", "a")).await;
    let place = "/apis/towpath.dev/v1alpha1/namespaces/team-a";
    let refused = Fault::Refused {
        status: 403,
        words: "not yours",
    };
    fake.argo.break_with(place, refused);
    let both = resources(&fake.kubeconfig(), &["argocd", "team-a"]);
    both.read().await;
    let seen = both.seen().unwrap();
    assert_eq!(seen.resources.len(), 1);
    assert_snapshot!(seen.namespaces[1].failure.clone().unwrap(), @"Kubernetes forbids us to `list` `promotionpolicies` in the namespace `team-a`: not yours (allow it by a Role with the verb `list` on `promotionpolicies` of the group `towpath.dev`, bound to us in the namespace `team-a`)");

    fake.argo.break_with(
        place,
        Fault::Refused {
            status: 500,
            words: "later",
        },
    );
    let both = resources(&fake.kubeconfig(), &["argocd", "team-a"]);
    both.read().await;
    assert!(both.seen().is_none());
    assert_snapshot!(both.trouble().unwrap(), @"Kubernetes would not list promotionpolicies in the namespace `team-a` (500): later");
}

/// Asks what is there, as people do before they wonder about rights.
async fn what_is_there_is_told(kubeconfig: &Path) -> Desk {
    let environment = Environment::default();
    let desk = Desk::open(&way(kubeconfig), &environment, PATIENCE).await;
    let desk = desk.unwrap();
    let named = [
        "promotionpolicies",
        "promotionpolicies/status",
        "routes",
        "routes/status",
    ];
    // A server that has just started serves them before it tells so, and makes the roles that let anybody ask a little later.
    let asking = async {
        loop {
            let served = desk.served(super::GROUP).await.unwrap_or_default();
            let is_told = named.iter().all(|name| served.contains(*name));
            if is_told && desk.who().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
    desk
}

#[tokio::test]
async fn what_is_there_and_who_asks_is_told() {
    let fake = Fake::new();
    let desk = what_is_there_is_told(&fake.kubeconfig()).await;
    assert_eq!(desk.namespace("argocd").await.unwrap(), Presence::There);
    assert_eq!(desk.namespace("gone").await.unwrap(), Presence::Missing);
    assert_snapshot!(desk.who().await.unwrap(), @"the service account `promoter` of the namespace `towpath`");
    fake.argo.deny("get namespaces");
    assert_eq!(desk.namespace("gone").await.unwrap(), Presence::Untold);
}

#[tokio::test]
async fn a_real_cluster_tells_what_is_there_and_who_asks() {
    let Some(real) = Real::start().await else {
        return;
    };
    let desk = what_is_there_is_told(&real.kubeconfig()).await;
    assert_eq!(desk.namespace("argocd").await.unwrap(), Presence::There);
    assert_eq!(desk.namespace("gone").await.unwrap(), Presence::Missing);
    assert!(desk.served("nowhere.dev").await.unwrap().is_empty());
    // Whoever may do nothing else.
    let desk = what_is_there_is_told(&real.server.kubeconfig("reader")).await;
    assert_eq!(desk.namespace("gone").await.unwrap(), Presence::Untold);
    assert_snapshot!(desk.who().await.unwrap(), @"the user `reader`");
}

#[tokio::test]
async fn who_may_not_write_a_status_is_told_that_it_is_the_status() {
    let fake = Fake::new();
    fake.apply(policy("one", "a")).await;
    let all = resources(&fake.kubeconfig(), &["argocd"]);
    all.read().await;
    let place = format!("{GROUP}/{POLICIES}/one/status");
    let refused = Fault::Refused {
        status: 403,
        words: "no",
    };
    fake.argo.break_with(&place, refused);
    let one = named(&all.seen().unwrap(), "one");
    let error = all.write_status(&one, &json!({})).await.unwrap_err();
    assert_snapshot!(error, @"Kubernetes forbids us to `patch` `promotionpolicies/status` in the namespace `argocd`: no");
    assert_snapshot!(error.hint().unwrap(), @"allow it by a Role with the verb `patch` on `promotionpolicies/status` of the group `towpath.dev`, bound to us in the namespace `argocd`");
}

#[tokio::test]
async fn one_that_is_nested_too_deeply_is_told_and_hides_no_other() {
    let fake = Fake::new();
    let mut deep = policy("deep", "a");
    let nested = (0..200).fold(json!(1), |inner, _| json!([inner]));
    deep["spec"]["environments"][0]["update"] = nested;
    fake.apply(deep).await;
    fake.apply(policy("one", "a")).await;
    let following = Following::start(resources(&fake.kubeconfig(), &["argocd"]));
    let seen = following
        .until("both", |seen| seen.resources.len() == 2)
        .await;
    let told: BTreeSet<bool> = seen.resources.iter().map(|one| one.spec.is_ok()).collect();
    assert_eq!(told, BTreeSet::from([false, true]));
}

/// Every policy and route that the project ships or tests with, as somebody would apply it.
fn examples() -> Vec<(PathBuf, Json)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, files),
                false => files.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("config"), &mut files);
    collect(&root.join("tests/scenarios"), &mut files);
    files.sort();
    let mut examples = Vec::new();
    let is_policies = |file: &&PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap();
        name.ends_with(".yaml") && name != "world.yaml"
    };
    for file in files.iter().filter(is_policies) {
        let text = std::fs::read_to_string(file).unwrap();
        for document in text.split("\n---") {
            let Ok(mut object) = serde_yaml::from_str::<Json>(document) else {
                continue;
            };
            if object["kind"] == "PromotionPolicy" || object["kind"] == "Route" {
                object["apiVersion"] = json!("towpath.dev/v1alpha1");
                examples.push((file.clone(), object));
            }
        }
    }
    examples
}

/// Specs of policies that a server refuses.
fn wrong() -> Vec<Json> {
    let with = |environment: Json| json!({ "repository": "d", "images": { "a": "x" }, "environments": [environment] });
    let gates = |gates: Json| with(json!({ "name": "dev", "gates": gates }));
    let tags = |tags: Json| with(json!({ "name": "dev", "tags": tags }));
    let check = |check: Json| gates(json!({ "checks": [check] }));
    vec![
        json!({ "repository": "d", "environments": [{ "name": "dev" }] }),
        json!({ "images": { "a": "x" }, "environments": [{ "name": "dev" }] }),
        json!({ "repository": "d", "images": { "a": "x" } }),
        json!({ "repository": "d", "images": { "a": "x" }, "environments": [] }),
        json!({ "repository": "d", "images": { "a": "x" }, "environments": [{ "name": "dev" }, { "name": "dev" }] }),
        json!({ "repository": "d", "images": { "a": "x" }, "for-each": "apps/x", "environments": [{ "name": "dev" }] }),
        tags(json!({ "ignore": ["x"] })),
        tags(json!({ "pattern": "a", "regex": "b" })),
        tags(json!({ "follow": "a", "semver": "b" })),
        check(json!({ "name": "a" })),
        check(json!({ "name": "a", "prometheus": { "url": "u", "query": "q" } })),
        check(json!({ "name": "a", "http": { "url": "u", "body": "b" } })),
        gates(json!({ "soak": "1" })),
    ]
}

#[tokio::test]
async fn a_real_server_takes_all_examples_and_refuses_what_it_can_know_with_our_words() {
    let Some(real) = Real::start().await else {
        return;
    };
    let examples = examples();
    assert!(examples.len() > 200, "{}", examples.len());
    for (file, object) in examples {
        let judged = real.judged(&object).await;
        assert_eq!(judged, "", "{}: {object:#}", file.display());
    }
    let mut told = Vec::new();
    for spec in wrong() {
        let mut object = policy("wrong", "a");
        object["spec"] = spec;
        told.push(real.judged(&object).await);
    }
    let mut long = policy("one", "a");
    long["metadata"]["name"] = json!("a".repeat(64));
    told.push(real.judged(&long).await);
    assert_snapshot!(told.join("\n"), @r#"
    [spec.images: Required value, <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]
    spec: Invalid value: name the manifests `repository` as the settings call it, or a `route` that does
    spec: Invalid value: write `environments`, or name the `route` whose environments the policy has
    spec: Invalid value: name at least one environment
    spec.environments: Invalid value: two environments have one name; give each a name of its own
    spec: Invalid value: `for-each` says with `{policy}` which part of the folders is the name: `apps/{policy}`
    spec.environments[0].tags: Invalid value: say which tags count: write `semver`, `pattern`, `regex` or `follow`
    spec.environments[0].tags: Invalid value: `pattern` and `regex` cannot stand together; write one of them
    spec.environments[0].tags: Invalid value: `follow` stands alone: it names the one tag that is promoted
    spec.environments[0].gates.checks[0]: Invalid value: a check asks one server: write either `http` or `prometheus`
    spec.environments[0].gates.checks[0].prometheus: Invalid value: a query is judged by exactly one of `above` and `below`
    spec.environments[0].gates.checks[0].http: Invalid value: a `GET` has no body; write `method: POST`, or leave `body` out
    spec.environments[0].gates.soak: Invalid value: "1": spec.environments[0].gates.soak in body should match '^[0-9]+ ?[a-z]+( ?[0-9]+ ?[a-z]+)*$'
    <nil>: Invalid value: a name has at most 63 characters, since branches and pull requests are named after it
    "#);
    // What nobody knows is kept, so that towpath can tell of it.
    let mut unknown = policy("unknown", "a");
    unknown["spec"]["environments"][0]["gatess"] = json!({ "soak": "1h" });
    real.apply(unknown).await;
    let kept = real.get("unknown").await;
    assert_eq!(kept["spec"]["environments"][0]["gatess"]["soak"], "1h");
}
