//! One of several leads, by a Lease: one contract for the fake and for a real API server, and the faults of the fake.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bed::argo::{Argo, Fault, LEASES};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{Election, Lead, Options, Pace};
use crate::cluster::{Desk, Namespace, Right};
use crate::login::{Clock, ClusterWay, Environment};

/// Fast where a real one is patient; a lease has a whole second at least.
const PACE: Pace = Pace {
    lease: Duration::from_secs(2),
    lead: Duration::from_millis(1200),
    look: Duration::from_millis(50),
    answer: Duration::from_secs(20),
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

const TOKEN: &str = "t0ken";

/// Where the Lease is.
const PLACE: &str = "/apis/coordination.k8s.io/v1/namespaces/argocd/leases";

/// A server, and somebody who may do everything there.
trait Cluster {
    fn kubeconfig(&self) -> PathBuf;

    /// The Lease as it stands.
    async fn lease(&self) -> Json;

    /// Writes it past everybody who stands for it.
    async fn put(&self, lease: Json);

    async fn delete(&self);
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

    async fn lease(&self) -> Json {
        self.argo.get(LEASES, "towpath").unwrap_or_default()
    }

    async fn put(&self, lease: Json) {
        self.argo.put(LEASES, lease);
    }

    async fn delete(&self) {
        self.argo.delete(LEASES, "towpath");
    }
}

struct Real {
    server: bed::ApiServer,
    admin: kube::Client,
}

impl Real {
    /// One with the namespace; `None` where it is left out on purpose.
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
        Some(real)
    }

    /// Lets `reader` do what the chart's Role lets its pods do, and no more.
    async fn let_lead(&self) {
        let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/argocd";
        let rule = |verbs: &[&str]| json!({ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs });
        let mut named = rule(&["get", "update"]);
        named["resourceNames"] = json!(["towpath"]);
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "towpath" },
            "rules": [rule(&["create"]), named],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "towpath" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "towpath" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader" }],
        });
        self.make(&format!("{group}/roles"), &role).await.unwrap();
        let place = format!("{group}/rolebindings");
        self.make(&place, &binding).await.unwrap();
    }

    async fn make(&self, place: &str, object: &Json) -> Result<Json, kube::Error> {
        let object = object.to_string().into_bytes();
        let request = kube::core::Request::new(place).create(&Default::default(), object);
        self.admin.request(request.unwrap()).await
    }
}

impl Cluster for Real {
    fn kubeconfig(&self) -> PathBuf {
        self.server.kubeconfig("admin")
    }

    async fn lease(&self) -> Json {
        let request = kube::core::Request::new(PLACE).get("towpath", &Default::default());
        let lease = self.admin.request(request.unwrap()).await;
        lease.unwrap_or_default()
    }

    /// Without a version it takes the place of whatever stands there, though somebody renews that meanwhile.
    async fn put(&self, mut lease: Json) {
        loop {
            let before = self.lease().await;
            if before.is_null() {
                self.make(PLACE, &lease).await.unwrap();
                return;
            }
            lease["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            let body = lease.to_string().into_bytes();
            let request = kube::core::Request::new(PLACE);
            let request = request.replace("towpath", &Default::default(), body);
            match self.admin.request::<Json>(request.unwrap()).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                answer => {
                    answer.unwrap();
                    return;
                }
            }
        }
    }

    async fn delete(&self) {
        let request = kube::core::Request::new(PLACE).delete("towpath", &Default::default());
        let _: Json = self.admin.request(request.unwrap()).await.unwrap();
    }
}

fn way(kubeconfig: &Path) -> ClusterWay {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ClusterWay {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: None,
    }
}

fn options(kubeconfig: &Path, us: &str) -> Options {
    Options {
        way: way(kubeconfig),
        namespace: Some("argocd".to_owned()),
        name: "towpath".to_owned(),
        us: us.to_owned(),
        pace: PACE,
        environment: Environment::default(),
        clock: Clock(crate::daemon::now),
    }
}

async fn stands(cluster: &impl Cluster, us: &str) -> Election {
    let options = options(&cluster.kubeconfig(), us);
    Election::start(options).await.unwrap()
}

/// Waits until it is as it `holds`.
async fn until(lead: &Lead, what: &str, holds: impl Fn(&Lead) -> bool) {
    let mut told = lead.clone();
    let waiting = async {
        while !holds(lead) {
            // The end of a term by the clock alone is told a little later.
            tokio::select! {
                () = told.changed() => {}
                () = tokio::time::sleep(PACE.look) => {}
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", lead.shown()));
}

fn is_leader(lead: &Lead) -> bool {
    lead.term().is_some()
}

async fn leads(lead: &Lead) {
    until(lead, "the lead", is_leader).await;
}

async fn follows(lead: &Lead, whom: &str) {
    let holder = |lead: &Lead| lead.shown().and_then(|(_, standing)| standing.holder);
    until(lead, whom, |lead| {
        !is_leader(lead) && holder(lead).as_deref() == Some(whom)
    })
    .await;
}

/// What a Lease says, with its times by how they compare.
fn told(lease: &Json) -> String {
    let spec = &lease["spec"];
    let text = |key: &str| spec[key].as_str().unwrap_or("nothing").to_owned();
    let renewed = match text("renewTime").cmp(&text("acquireTime")) {
        std::cmp::Ordering::Less => "before it was acquired",
        std::cmp::Ordering::Equal => "as it was acquired",
        std::cmp::Ordering::Greater => "since",
    };
    format!(
        "held by `{}` for {} s, renewed {renewed}, {} transitions",
        text("holderIdentity"),
        spec["leaseDurationSeconds"],
        spec["leaseTransitions"],
    )
}

/// Everything that has to be so on every server.
async fn contract(cluster: &impl Cluster) {
    // One leads, and the other follows.
    let one = stands(cluster, "one").await;
    leads(&one.lead()).await;
    let first = cluster.lease().await;
    let two = stands(cluster, "two").await;
    follows(&two.lead(), "one").await;
    assert!(is_leader(&one.lead()));

    // It is renewed under the same acquisition, and what others wrote beside stays.
    let mut labelled = cluster.lease().await;
    labelled["metadata"]["labels"] = json!({ "team": "shop" });
    cluster.put(labelled).await;
    let renewed = renewed(cluster).await;
    assert_eq!(
        told(&renewed),
        "held by `one` for 2 s, renewed since, 0 transitions"
    );
    assert_eq!(renewed["metadata"]["labels"]["team"], "shop");
    assert_eq!(renewed["spec"]["acquireTime"], first["spec"]["acquireTime"]);
    assert_eq!(one.lead().term(), Some(1), "nobody led in between");

    // Given up, it is nobody's, and the next one takes it.
    one.give_up().await;
    leads(&two.lead()).await;
    let taken = cluster.lease().await;
    assert_eq!(taken["spec"]["holderIdentity"], "two");
    assert_eq!(taken["spec"]["leaseTransitions"], 1);

    // One who ends without a word is followed when its lease is over.
    let three = stands(cluster, "three").await;
    follows(&three.lead(), "two").await;
    two.task.abort();
    leads(&three.lead()).await;
    assert!(!is_leader(&two.lead()), "it ceased by its own clock before");
    let three_leads = cluster.lease().await;
    assert_eq!(three_leads["spec"]["leaseTransitions"], 2);

    // Who is told that another has it follows at once.
    let mut stolen = cluster.lease().await;
    stolen["spec"]["holderIdentity"] = json!("nobody");
    cluster.put(stolen).await;
    follows(&three.lead(), "nobody").await;
    leads(&three.lead()).await;
    assert_eq!(three.lead().term(), Some(2), "it is another term");

    // A Lease that is deleted is made anew.
    cluster.delete().await;
    let made = async {
        while cluster.lease().await["spec"]["holderIdentity"] != "three" {
            tokio::time::sleep(PACE.look).await;
        }
    };
    tokio::time::timeout(PATIENCE, made).await.unwrap();

    // Who is last leaves it free.
    three.give_up().await;
    assert_eq!(
        told(&cluster.lease().await),
        "held by `` for 1 s, renewed as it was acquired, 0 transitions"
    );
}

/// The Lease as it is after one more renewal.
async fn renewed(cluster: &impl Cluster) -> Json {
    let before = cluster.lease().await["spec"]["renewTime"].clone();
    let renewing = async {
        loop {
            let lease = cluster.lease().await;
            if lease["spec"]["renewTime"] != before {
                return lease;
            }
            tokio::time::sleep(PACE.look).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewing).await.unwrap()
}

#[tokio::test]
async fn one_of_several_leads_and_the_next_takes_over_on_the_fake() {
    contract(&Fake::new()).await;
}

#[tokio::test]
async fn one_of_several_leads_and_the_next_takes_over_on_a_real_api_server() {
    let Some(real) = Real::start().await else {
        return;
    };
    contract(&real).await;
    // Who may do nothing leads nothing, and is told which right it lacks. The rights of the chart are enough to make the
    // Lease, to hold it and to give it up.
    real.delete().await;
    let mut api = super::LeaseApi::new(
        (
            way(&real.server.kubeconfig("reader")),
            Environment::default(),
        ),
        (Some("argocd".to_owned()), "towpath".to_owned()),
        PACE.answer,
    )
    .await
    .unwrap();
    let error = api.read().await.unwrap_err();
    assert_snapshot!(error, @r#"Kubernetes forbids us to get the Lease `argocd/towpath`: leases.coordination.k8s.io "towpath" is forbidden: User "reader" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "argocd""#);
    assert_snapshot!(error.hint().unwrap(), @"allow it by a Role with the verb `get` on `leases` of the group `coordination.k8s.io`, bound to us");
    real.let_lead().await;
    let reader = options(&real.server.kubeconfig("reader"), "reader");
    let reader = Election::start(reader).await.unwrap();
    leads(&reader.lead()).await;
    renewed(&real).await;
    reader.give_up().await;
    assert_eq!(real.lease().await["spec"]["holderIdentity"], "");
}

#[tokio::test]
async fn of_many_who_stand_at_once_one_leads() {
    let fake = Fake::new();
    let mut all = Vec::new();
    for number in 0..8 {
        all.push(stands(&fake, &format!("candidate-{number}")).await);
    }
    let holders = all.iter().map(|one| {
        let lead = one.lead();
        async move {
            until(&lead, "a leader", |lead| {
                lead.shown().is_some_and(|(_, told)| told.holder.is_some())
            })
            .await;
            lead.shown().unwrap().1.holder
        }
    });
    let holders = futures_util::future::join_all(holders).await;
    assert!(
        holders.iter().all(|holder| *holder == holders[0]),
        "{holders:?}"
    );
    let leaders = all.iter().filter(|one| is_leader(&one.lead()));
    assert_eq!(leaders.count(), 1);
}

#[tokio::test]
async fn a_leader_that_cannot_renew_ceases_to_lead_by_its_own_clock_and_leads_again() {
    let faults = [
        Fault::Reset,
        Fault::Silence,
        Fault::Nonsense,
        Fault::Refused {
            status: 403,
            words: "no",
        },
        Fault::Refused {
            status: 500,
            words: "etcd is away",
        },
    ];
    let stories = faults.map(async |fault| {
        let fake = Fake::new();
        let mut options = options(&fake.kubeconfig(), "one");
        options.pace.answer = Duration::from_millis(300);
        let one = Election::start(options).await.unwrap();
        leads(&one.lead()).await;
        let mut last = fake.lease().await;
        fake.argo.break_with(PLACE, fault.clone());
        while is_leader(&one.lead()) {
            last = fake.lease().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(last["spec"]["holderIdentity"], "one", "{fault:?}");
        fake.argo.heal();
        leads(&one.lead()).await;
        assert_eq!(one.lead().term(), Some(2), "{fault:?}");
    });
    futures_util::future::join_all(stories).await;
}

#[tokio::test]
async fn a_process_that_was_paused_knows_by_its_own_clock_that_it_leads_no_more() {
    let fake = Fake::new();
    let one = stands(&fake, "one").await;
    let lead = one.lead();
    leads(&lead).await;
    // Nothing else runs on this thread meanwhile, as in a process that was stopped.
    std::thread::sleep(PACE.lead);
    assert!(!is_leader(&lead));
    assert_eq!(lead.term(), None);
    // And it leads on where nobody else took the lease.
    leads(&lead).await;
    assert!(!lead.leads_in(Some(1)), "somebody else could have led");
    assert!(lead.leads_in(Some(2)));
}

#[test]
fn the_usual_pace_keeps_what_is_said_of_it() {
    let Pace {
        lease,
        lead,
        look,
        answer,
    } = Pace::default();
    let jittered = |wait: Duration| wait.mul_f64(1.2);
    let takes_over = jittered(look) + lease + 2 * Duration::from_millis(100);
    assert!(takes_over < Duration::from_secs(20), "{takes_over:?}");
    let two_renewals = jittered(look) + answer + jittered(look / 2) + answer;
    assert!(two_renewals <= lead, "{two_renewals:?}");
    assert!(lead + Duration::from_secs(5) <= lease);
}

#[tokio::test]
async fn a_process_without_others_always_leads() {
    let mut lead = Lead::alone();
    assert!(is_leader(&lead));
    assert!(lead.shown().is_none());
    let mut waiting = std::pin::pin!(lead.changed());
    let polled = poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
    assert!(polled.await.is_pending());
}

/// What is asked of somebody who has the chart's rights.
async fn rights_are_told(kubeconfig: &Path) {
    let (way, environment) = (way(kubeconfig), Environment::default());
    let desk = Desk::open(&way, &environment, PACE.answer).await.unwrap();
    let server = desk.server().await.unwrap();
    assert!(server.version.unwrap().starts_with("v1."));
    let may = async |verb: &'static str, name: Option<&str>| {
        let right = Right {
            verb,
            group: "coordination.k8s.io",
            resource: "leases",
            part: None,
            name: name.map(str::to_owned),
            namespace: Some(Namespace::Named("argocd".to_owned())),
        };
        desk.may(&right).await.unwrap()
    };
    assert!(may("create", None).await);
    assert!(may("get", Some("towpath")).await);
    assert!(may("update", Some("towpath")).await);
    assert!(!may("delete", Some("towpath")).await);
}

#[tokio::test]
async fn rights_are_told_before_they_are_used() {
    let fake = Fake::new();
    fake.argo.deny("delete leases");
    rights_are_told(&fake.kubeconfig()).await;
}

#[tokio::test]
async fn a_real_api_server_tells_the_rights_of_the_chart() {
    let Some(real) = Real::start().await else {
        return;
    };
    real.let_lead().await;
    // The server makes the roles that let anybody ask a little after it is there.
    let (way, environment) = (
        way(&real.server.kubeconfig("reader")),
        Environment::default(),
    );
    let desk = Desk::open(&way, &environment, PACE.answer).await.unwrap();
    let anything = Right {
        verb: "get",
        group: "",
        resource: "pods",
        part: None,
        name: None,
        namespace: None,
    };
    let asking = async {
        while desk.server().await.is_err() || desk.may(&anything).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap();
    rights_are_told(&real.server.kubeconfig("reader")).await;
}
