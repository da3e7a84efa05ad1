//! The stage of the story: all servers, two replicas of the daemon, and what is true at every moment of it.
//!
//! Invariant: whoever waits here looks at what runs, so that a version which runs in an environment without having run in
//! the one before is seen, however short it is there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bed::argocd::{ArgoCd, HOOK_SECRET};
use bed::gitea::{Account, Gitea};
use bed::registry::{Distribution, DockerRegistry, PASSWORD, USERNAME};
use bed::{ApiServer, Authority, Cluster, NODE, Process, install_hook, say};
use jiff::Timestamp;
use serde_json::{Value, json};
use towpath::demo_registry::Image;

use crate::lab::Lab;
use crate::real_servers::block_on;

pub(super) const REPOSITORY: &str = "deploy";
pub(super) const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];
const REPLICAS: [&str; 2] = ["one", "two"];

/// What runs everywhere before the story begins.
pub(super) const FIRST: &str = "v1.0.0";

/// How long a step may take: twelve times the lease of a leader that was killed, on a machine that is busy.
const STEP_MAX: Duration = Duration::from_secs(180);

/// How often a step is looked at: each time costs the API server a handful of small readings.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Everything that the story has.
#[must_use = "all of it ends when this is dropped"]
pub(super) struct Stage {
    replicas: BTreeMap<&'static str, Replica>,
    pub(super) lab: Lab,
    argo: ArgoCd,
    pub(super) gitea: Gitea,
    pub(super) registry: DockerRegistry,
    cluster: Cluster,
    _authority: Authority,
    /// Digests of what was pushed, by tag.
    digests: BTreeMap<String, String>,
    /// Image references that ran with all replicas ready, by environment.
    ran: RefCell<BTreeMap<&'static str, BTreeSet<String>>>,
    holds: usize,
    began: Instant,
}

/// One of the two daemons, and how often it was started.
#[derive(Default)]
struct Replica {
    lives: usize,
    process: Option<Process>,
}

impl Stage {
    /// All servers, with [`FIRST`] in all environments and nobody who promotes; `None` where a program is left out on
    /// purpose.
    pub(super) fn set() -> Option<Self> {
        let began = Instant::now();
        let cluster = block_on(Cluster::start())?;
        let gitea = Gitea::start()?;
        let argo = block_on(ArgoCd::start(&cluster.api))?;
        let mut lab = Lab::new(&[]);
        let authority = Authority::new(lab.path());
        let registry = Distribution::v3()?.with_password(&authority);
        on_gitea(&mut lab, &gitea);
        block_on(gitea.tell(REPOSITORY, &argo.hook(), HOOK_SECRET));
        let ca_file = authority.ca_file.display();
        lab.set("REGISTRY_PASSWORD", PASSWORD);
        lab.registry_settings(&registry.host, &format!(
            "ca-file: '{ca_file}', credentials: {{ username: {USERNAME}, password: {{ env: REGISTRY_PASSWORD }} }}"
        ));
        block_on(let_in(&cluster.api));
        let kubeconfig = cluster.api.kubeconfig("reader");
        let kubeconfig = kubeconfig.display();
        lab.argo_cd(&format!(
            "{{ main: {{ kubernetes: {{ kubeconfig: '{kubeconfig}' }}, refresh: true }} }}"
        ));
        lab.leadership(&format!(
            "{{ kubeconfig: '{kubeconfig}', namespace: argocd }}"
        ));
        let replicas = REPLICAS.map(|pod| (pod, Replica::default()));
        let mut stage = Self {
            replicas: replicas.into(),
            lab,
            argo,
            gitea,
            registry,
            cluster,
            _authority: authority,
            digests: BTreeMap::new(),
            ran: RefCell::default(),
            holds: 0,
            began,
        };
        stage.says("all servers answer");
        stage.furnish();
        Some(stage)
    }

    /// The application in all environments, Argo CD's Applications of it, and the policy.
    fn furnish(&mut self) {
        self.push(FIRST);
        let image = self.image();
        let overlay = |environment| {
            let path = format!("{}/kustomization.yaml", overlay(environment));
            (path, overlay_text(&image, FIRST))
        };
        let mut files: Vec<(String, String)> = ENVIRONMENTS.map(overlay).to_vec();
        let base = |name: &str| format!("apps/portal/base/{name}");
        files.push((base("deployment.yaml"), deployment(&image)));
        let list = "resources: [deployment.yaml]\n".to_owned();
        files.push((base("kustomization.yaml"), list));
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (&**p, &**t)).collect();
        self.lab.commit("portal", &files);
        for environment in ENVIRONMENTS {
            let application = application(environment, &self.gitea.clone_url(REPOSITORY));
            block_on(self.cluster.api.create(APPLICATIONS, &application));
        }
        self.lab.policies(&policy(&image));
    }

    pub(super) fn image(&self) -> String {
        format!("{}/acme/web", self.registry.host)
    }

    /// Builds and pushes a version.
    pub(super) fn push(&mut self, tag: &str) {
        let image = Image {
            created: Some(Timestamp::UNIX_EPOCH),
            labels: [("version".to_owned(), tag.to_owned())].into(),
        };
        let digest = self.lab.registry.push("acme/web", tag, &image);
        let source = self.lab.registry.host();
        block_on(self.registry.pusher().copy(&source, "acme/web", &[tag]));
        self.digests.insert(tag.to_owned(), digest);
        self.says(&format!("{tag} is pushed to the registry"));
    }

    /// How a version is called in manifests once it was promoted.
    pub(super) fn reference(&self, tag: &str) -> String {
        format!("{}:{tag}@{}", self.image(), self.digests[tag])
    }

    /// Starts a replica, which may not know anything yet.
    pub(super) fn start(&mut self, pod: &'static str) {
        let mut command = self.lab.command(&["run", "--cache", pod]);
        command.env("POD_NAME", pod);
        let replica = self.replicas.entry(pod).or_default();
        replica.lives += 1;
        let life = replica.lives;
        let process = Process::start(command, &self.log(pod, life));
        self.replicas.entry(pod).or_default().process = Some(process);
    }

    pub(super) fn start_all(&mut self) {
        for pod in REPLICAS {
            self.start(pod);
        }
    }

    /// The replica that holds the Lease, and lives.
    pub(super) fn leader(&self) -> Option<&'static str> {
        let lease = block_on(self.cluster.api.get(LEASE))?;
        let holder = lease["spec"]["holderIdentity"].as_str()?;
        let pod = holder.split('_').next()?;
        let (pod, replica) = self.replicas.get_key_value(pod)?;
        let log = replica.process.as_ref()?.log();
        // The Lease of one that was killed names it for a while, also when it lives again.
        log.contains("leads lease=").then_some(*pod)
    }

    /// Kills a replica, as a node does that loses its power.
    pub(super) fn kill(&mut self, pod: &str) {
        let replica = self.replicas.get_mut(pod).unwrap();
        let mut process = replica.process.take().unwrap();
        process.signal("KILL");
        assert_eq!(process.wait(), None);
    }

    /// Ends a replica as Kubernetes does.
    pub(super) fn end(&mut self, pod: &str) {
        let replica = self.replicas.get_mut(pod).unwrap();
        let mut process = replica.process.take().unwrap();
        process.signal("TERM");
        assert_eq!(process.wait(), Some(0), "{}", process.log());
    }

    /// Kills the leader, waits until the other one leads, and starts the first again.
    pub(super) fn leader_is_killed(&mut self, when: &str) {
        let leader = self.leader().expect("somebody leads");
        self.kill(leader);
        self.says(&format!("KILL: the leader `{leader}`, {when}"));
        self.other_leads(leader);
    }

    /// The same with a farewell.
    pub(super) fn leader_is_ended(&mut self, when: &str) {
        let leader = self.leader().expect("somebody leads");
        self.end(leader);
        self.says(&format!("TERM: the leader `{leader}`, {when}"));
        self.other_leads(leader);
    }

    fn other_leads(&mut self, gone: &'static str) {
        self.until("the other replica to lead", |stage| {
            stage.leader().is_some()
        });
        self.start(gone);
    }

    /// Kills both.
    pub(super) fn all_are_killed(&mut self, when: &str) {
        for pod in REPLICAS {
            self.kill(pod);
        }
        self.says(&format!("KILL: both replicas, {when}"));
    }

    /// Ends both as Kubernetes does.
    pub(super) fn all_are_ended(&mut self) {
        for pod in REPLICAS {
            self.end(pod);
        }
    }

    /// What replicas said in all their lives that only a bug makes them say.
    pub(super) fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for (pod, replica) in &self.replicas {
            for life in 1..=replica.lives {
                let log = std::fs::read_to_string(self.log(pod, life)).unwrap();
                let lines = log.lines().filter(|line| line.contains(" ERROR "));
                errors.extend(lines.map(|line| format!("{pod}: {line}")));
            }
        }
        errors
    }

    fn log(&self, pod: &str, life: usize) -> PathBuf {
        self.lab.path().join(format!("{pod}-{life}.log"))
    }

    /// Starts both, one of them without what it had kept.
    pub(super) fn all_begin_anew(&mut self) {
        std::fs::remove_dir_all(self.lab.path().join(REPLICAS[0])).unwrap();
        self.start_all();
        self.until("a leader", |stage| stage.leader().is_some());
    }

    /// Lets the next push to the repository wait for its end.
    pub(super) fn hold_the_next_push(&mut self) {
        self.holds += 1;
        let n = self.holds;
        let repository = self.gitea.folder(REPOSITORY);
        let hook = format!(
            "if mkdir began-{n} 2>/dev/null; then while [ -e began-{n} ] && [ ! -e on-{n} ]; do sleep 0.1; done; fi"
        );
        install_hook(&repository, HOOK, &hook);
    }

    pub(super) fn a_push_is_held(&self) -> bool {
        let began = format!("began-{}", self.holds);
        self.gitea.folder(REPOSITORY).join(began).exists()
    }

    /// Lets the push go on, if whoever pushed still lives.
    pub(super) fn let_the_push_go_on(&self) {
        let repository = self.gitea.folder(REPOSITORY);
        std::fs::remove_file(repository.join("hooks").join(HOOK)).unwrap();
        std::fs::write(repository.join(format!("on-{}", self.holds)), "").unwrap();
    }

    /// What a replica says of anything, in any of its lives.
    pub(super) fn said(&self, words: &str) -> bool {
        let replicas = self.replicas.values();
        let mut living = replicas.filter_map(|replica| replica.process.as_ref());
        living.any(|process| process.log().contains(words))
    }

    /// Waits until `condition` holds, with an eye on what runs.
    pub(super) fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        loop {
            self.look();
            if condition(self) {
                break;
            }
            assert!(
                start.elapsed() < STEP_MAX,
                "waited in vain for {what}\n{}",
                self.logs()
            );
            std::thread::sleep(LOOK_EVERY);
        }
        self.says(&format!("{what} ({:.1} s)", start.elapsed().as_secs_f64()));
    }

    pub(super) fn says(&self, text: &str) {
        say(&format!(
            "[{:6.1} s] {text}",
            self.began.elapsed().as_secs_f64()
        ));
    }

    /// Takes in what runs now: nothing runs in an environment that was not ready in the one before.
    fn look(&self) {
        let mut ran = self.ran.borrow_mut();
        for (n, environment) in ENVIRONMENTS.into_iter().enumerate() {
            let place = format!("/apis/apps/v1/namespaces/portal-{environment}/deployments/web");
            let Some(deployment) = block_on(self.cluster.api.get(&place)) else {
                continue;
            };
            let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
            let image = image.as_str().unwrap();
            let is_first = image.ends_with(&format!(":{FIRST}"));
            if let Some(before) = n.checked_sub(1).map(|n| ENVIRONMENTS[n]) {
                let before = ran.get(before);
                let has_run = before.is_some_and(|ran| ran.contains(image));
                assert!(
                    is_first || has_run,
                    "{environment} runs {image} first of all"
                );
            }
            if is_ready(&deployment) {
                ran.entry(environment).or_default().insert(image.to_owned());
            }
        }
    }

    /// Whether Argo CD and the cluster say that exactly this runs in an environment, on all replicas.
    pub(super) fn runs(&self, environment: &str, reference: &str) -> bool {
        let place = format!("{APPLICATIONS}/portal-{environment}");
        let Some(application) = block_on(self.cluster.api.get(&place)) else {
            return false;
        };
        let status = &application["status"];
        let is_healthy =
            status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy";
        is_healthy && status["summary"]["images"] == json!([reference])
    }

    /// What an Application of the story is now, as the API server has it.
    pub(super) fn application(&self, environment: &str) -> Value {
        let place = format!("{APPLICATIONS}/portal-{environment}");
        block_on(self.cluster.api.get(&place)).unwrap_or_default()
    }

    /// Runs git where Gitea keeps the repository, which works while Gitea is down too.
    pub(super) fn git(&self, args: &[&str]) -> String {
        let folder = self.gitea.folder(REPOSITORY).display().to_string();
        self.lab.git(&[&["-C", &folder], args].concat())
    }

    /// What stands in git for an environment.
    pub(super) fn is_written(&self, branch: &str, environment: &str, tag: &str) -> bool {
        let name = format!("refs/heads/{branch}");
        let place = format!("{name}:{}/kustomization.yaml", overlay(environment));
        !self.git(&["for-each-ref", &name]).is_empty()
            && self
                .git(&["show", &place])
                .contains(&format!("newTag: {tag}"))
    }

    /// Environment and image of each promotion on `main`, the first first.
    pub(super) fn promotions(&self) -> Vec<(String, String)> {
        let format = "--format=%(trailers:key=Towpath-Environment,valueonly,separator=%x2c)\t%(trailers:key=Towpath-Image,valueonly,separator=%x2c)";
        let log = self.git(&["log", "--reverse", format, "main"]);
        let lines = log.lines().filter_map(|line| line.split_once('\t'));
        let pairs = lines.filter(|(environment, _)| !environment.is_empty());
        pairs
            .map(|(e, image)| (e.to_owned(), image.to_owned()))
            .collect()
    }

    /// Pull requests, the first first: title and whether it was merged.
    pub(super) fn pull_requests(&self) -> Vec<(String, bool)> {
        let owner = self.gitea.owner.name;
        let path = format!("repos/{owner}/{REPOSITORY}/pulls?state=all&sort=oldest");
        let all = block_on(self.gitea.get(&path));
        let mut all: Vec<&Value> = all.as_array().unwrap().iter().collect();
        all.sort_by_key(|one| one["number"].as_u64());
        let told = |one: &&Value| {
            let title = one["title"].as_str().unwrap();
            (title.to_owned(), one["merged"] == json!(true))
        };
        all.iter().map(told).collect()
    }

    /// What everybody said last, for whoever reads of a failure.
    fn logs(&self) -> String {
        let process = |(pod, replica): (&&str, &Replica)| {
            let log = replica.process.as_ref().map(Process::log);
            format!("--- {pod}\n{}\n", end_of(&log.unwrap_or_default()))
        };
        let replicas: String = self.replicas.iter().map(process).collect();
        let argo = end_of(&self.argo.log());
        let shown = ENVIRONMENTS.map(|name| self.application(name)["status"].to_string());
        let shown = shown.join("\n");
        format!("{replicas}--- Argo CD\n{argo}\n--- Applications\n{shown}")
    }
}

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/argocd/leases/towpath";

/// Beside Gitea's own hook.
const HOOK: &str = "pre-receive.d/held";

/// Makes Gitea the home of the lab's repository.
fn on_gitea(lab: &mut Lab, gitea: &Gitea) {
    block_on(gitea.create_repository(REPOSITORY));
    let url = gitea.clone_url(REPOSITORY);
    lab.set("GITEA_TOKEN", &gitea.bot.token);
    lab.repository(&format!(
        "url: '{url}', plain-http: true, forge: gitea, credentials: {{ username: {}, password: {{ env: GITEA_TOKEN }} }}",
        gitea.bot.name
    ));
    let Account { name, token } = &gitea.owner;
    let own = url.replace("http://", &format!("http://{name}:{token}@"));
    lab.git(&["-C", "work", "remote", "set-url", "origin", &own]);
}

/// Lets `reader` do what the documentation says a daemon has to be let do, and no more.
async fn let_in(api: &ApiServer) {
    let place = "/apis/rbac.authorization.k8s.io/v1/namespaces/argocd";
    let named = json!({ "name": "towpath" });
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    api.create(
        &format!("{place}/roles"),
        &json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": named,
            "rules": [
                rule("argoproj.io", "applications", &["list", "watch", "patch"]),
                rule("argoproj.io", "appprojects", &["list", "watch"]),
                rule("coordination.k8s.io", "leases", &["create", "get", "update"]),
            ],
        }),
    )
    .await;
    api.create(&format!("{place}/rolebindings"), &json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": named,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "towpath" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader" }],
    })).await;
}

fn overlay(environment: &str) -> String {
    format!("apps/portal/overlays/{environment}")
}

fn overlay_text(image: &str, tag: &str) -> String {
    format!("resources: [../../base]\nimages:\n  - name: {image}\n    newTag: {tag}\n")
}

/// Pods that name their node, since nothing here schedules them.
fn deployment(image: &str) -> String {
    let labels = json!({ "app": "web" });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "nodeName": NODE, "containers": [{ "name": "web", "image": image }] },
            },
        },
    });
    format!("{deployment:#}\n")
}

fn application(environment: &str, url: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": format!("portal-{environment}") },
        "spec": {
            "project": "default",
            "source": { "repoURL": url, "path": overlay(environment), "targetRevision": "main" },
            "destination": { "server": "https://kubernetes.default.svc", "namespace": format!("portal-{environment}") },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true }, "syncOptions": ["CreateNamespace=true"] },
        },
    })
}

fn policy(image: &str) -> String {
    let environment = |name: &str, more: &str| {
        let update = overlay(name);
        format!("    - {{ name: {name}, write: tag@digest, update: {update}, {more} }}\n")
    };
    // Long enough for a test to see a version in staging before it is proposed.
    let gates = |soak| format!("gates: {{ healthy: {{ settle: 1s }}, soak: {soak} }}");
    format!(
        "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: \"{image}\" }}\n  environments:\n{}{}{}",
        environment("dev", "tags: { semver: '*' }"),
        environment("staging", &format!("after: dev, {}", gates("5s"))),
        environment(
            "production",
            &format!("after: staging, {}, deliver: pull-request", gates("20s"))
        ),
    )
}

/// Whether the controllers have taken in what was asked for last, and all of it is there.
fn is_ready(deployment: &Value) -> bool {
    let (wanted, status) = (&deployment["spec"]["replicas"], &deployment["status"]);
    let is_seen = status["observedGeneration"] == deployment["metadata"]["generation"];
    let counts = ["replicas", "updatedReplicas", "readyReplicas"];
    is_seen && counts.iter().all(|count| &status[count] == wanted)
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
