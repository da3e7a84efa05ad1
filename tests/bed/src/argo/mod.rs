//! Argo CD in this process: its objects, served as the Kubernetes API does and as its own API does, and made to fail.
//!
//! Reading order: this file (what a test may do), `kubernetes`, `leases`, `api`. What is said is written after
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/>, and after Argo CD's sources; the contract runs on a real
//! API server too.

mod api;
mod events;
mod kubernetes;
mod leases;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::forge::Request;
use crate::forge::server::read;

pub use events::EVENTS;
pub use leases::LEASES;

/// The resources that there are.
pub const APPLICATIONS: &str = "applications";
pub const PROJECTS: &str = "appprojects";
/// The custom resources of towpath.
pub const POLICIES: &str = "promotionpolicies";
pub const ROUTES: &str = "routes";
/// What runs programs.
pub const DEPLOYMENTS: &str = "deployments";

/// What goes wrong with each request until it is healed.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer with this status and these words, in the API's own shape.
    Refused { status: u16, words: &'static str },
    /// Too many requests, or too busy: come back after so many seconds.
    Busy { status: u16, seconds: u64 },
    /// The connection is closed before the first byte.
    Reset,
    /// Nothing is answered before the fault is healed.
    Silence,
    /// A success that is no JSON.
    Nonsense,
}

/// Which API a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Kubernetes,
    ArgoCd,
}

/// The objects, and whoever is served them.
#[derive(Clone)]
pub struct Argo {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Rung by every change.
    changed: Condvar,
}

struct State {
    /// By resource, namespace and name.
    objects: BTreeMap<(String, String, String), Json>,
    events: Vec<Event>,
    version: u64,
    /// What happened before is forgotten.
    forgotten: u64,
    /// Watches that began before this was raised are cut.
    cuts: u64,
    fault: Option<Fault>,
    /// What is faulty: the beginning of a path, or the verb `watch`. Empty for all.
    faulty: String,
    /// What a review of our rights says no to: `patch applications`.
    denied: BTreeSet<String>,
    token: String,
    /// `METHOD target` of each request with the right token.
    asked: Vec<String>,
    watchers: usize,
}

#[derive(Clone)]
struct Event {
    version: u64,
    kind: &'static str,
    resource: String,
    object: Json,
}

impl Argo {
    /// A server that takes this token and has nothing.
    pub fn new(token: &str) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            events: Vec::new(),
            version: 1000,
            forgotten: 0,
            cuts: 0,
            fault: None,
            faulty: String::new(),
            denied: BTreeSet::new(),
            token: token.to_owned(),
            asked: Vec::new(),
            watchers: 0,
        };
        let shared = Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Serves the Kubernetes API, and writes a kubeconfig that leads there with the token in `token.txt` beside it.
    pub fn serve_kubernetes(&self, kubeconfig: &Path) -> SocketAddr {
        let address = self.serve(Speaks::Kubernetes);
        let token = kubeconfig.with_file_name("token.txt");
        std::fs::write(&token, &self.state().token).expect("the folder can be written");
        let user = json!({ "tokenFile": token });
        write_kubeconfig(
            kubeconfig,
            &json!({ "server": format!("http://{address}") }),
            &user,
        );
        address
    }

    /// Serves Argo CD's own API.
    pub fn serve_argo_cd(&self) -> SocketAddr {
        self.serve(Speaks::ArgoCd)
    }

    /// Makes or changes an object, which gets the next version; a name without a namespace is in `argocd`.
    pub fn put(&self, resource: &str, object: Json) {
        self.put_if(resource, object, |_| true);
    }

    /// The same where what stands there `is_so`, and gives what stands there then.
    fn put_if(
        &self,
        resource: &str,
        mut object: Json,
        is_so: impl Fn(Option<&Json>) -> bool,
    ) -> Option<Json> {
        let mut state = self.state();
        if object["metadata"].get("namespace").is_none() {
            object["metadata"]["namespace"] = json!("argocd");
        }
        let key = key(resource, &object);
        if !is_so(state.objects.get(&key)) {
            return None;
        }
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let before = state.objects.insert(key, object.clone());
        let kind = before.map_or("ADDED", |_| "MODIFIED");
        state.tell(kind, resource, object.clone());
        self.shared.changed.notify_all();
        Some(object)
    }

    /// Makes a custom resource as an API server does, or changes what it says: with an identity, its age, and a generation that
    /// counts on. What stands of how it is, stays.
    pub fn apply(&self, resource: &str, mut object: Json) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let before = self.get(resource, name);
        let metadata = before.as_ref().map(|before| before["metadata"].clone());
        let generation = metadata.as_ref().and_then(|one| one["generation"].as_i64());
        let made = self.state().version;
        object["metadata"]["uid"] = match &metadata {
            Some(metadata) => metadata["uid"].clone(),
            None => json!(format!("uid-{made}")),
        };
        object["metadata"]["creationTimestamp"] = match &metadata {
            Some(metadata) => metadata["creationTimestamp"].clone(),
            // Versions start at 1000.
            None => json!(format!(
                "2026-03-01T{:02}:{:02}:00Z",
                made / 60 % 24,
                made % 60
            )),
        };
        object["metadata"]["generation"] = json!(generation.unwrap_or(0) + 1);
        if let Some(before) = before {
            object["status"] = before["status"].clone();
        }
        self.put(resource, object);
    }

    /// Takes an object of `argocd` away.
    pub fn delete(&self, resource: &str, name: &str) {
        let mut state = self.state();
        let key = (resource.to_owned(), "argocd".to_owned(), name.to_owned());
        if let Some(mut object) = state.objects.remove(&key) {
            state.version += 1;
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.tell("DELETED", resource, object);
        }
        self.shared.changed.notify_all();
    }

    /// Takes an object away without a word, as what happens while nobody is connected.
    pub fn lose(&self, resource: &str, name: &str) {
        let key = (resource.to_owned(), "argocd".to_owned(), name.to_owned());
        self.state().objects.remove(&key);
    }

    pub fn get(&self, resource: &str, name: &str) -> Option<Json> {
        let key = (resource.to_owned(), "argocd".to_owned(), name.to_owned());
        self.state().objects.get(&key).cloned()
    }

    /// Sends whoever wants them a bookmark of the version now.
    pub fn bookmark(&self) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version.to_string();
        for (resource, kind) in [(APPLICATIONS, "Application"), (PROJECTS, "AppProject")] {
            let object = json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
                "metadata": { "resourceVersion": version, "creationTimestamp": null },
            });
            state.tell("BOOKMARK", resource, object);
        }
        self.shared.changed.notify_all();
    }

    /// Forgets what happened until now, as etcd does when it compacts.
    pub fn forget(&self) {
        let mut state = self.state();
        state.version += 1;
        state.forgotten = state.version;
        state.events.clear();
    }

    /// Cuts all watches in the middle.
    pub fn cut(&self) {
        self.state().cuts += 1;
        self.shared.changed.notify_all();
    }

    /// Makes all requests fail whose path begins with this, or all watches where it is `watch`.
    pub fn break_with(&self, faulty: &str, fault: Fault) {
        let mut state = self.state();
        faulty.clone_into(&mut state.faulty);
        state.fault = Some(fault);
    }

    /// All objects of a resource.
    pub fn objects(&self, resource: &str) -> Vec<Json> {
        self.state()
            .all(resource, None)
            .into_iter()
            .cloned()
            .collect()
    }

    /// Tells those who ask for it that they have no such right: `patch applications`.
    pub fn deny(&self, right: &str) {
        self.state().denied.insert(right.to_owned());
    }

    /// Takes the fault away.
    pub fn heal(&self) {
        self.state().fault = None;
        self.shared.changed.notify_all();
    }

    /// Takes another token from now on.
    pub fn take_token(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// What was asked since this was called last.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// Waits until so many watches are open.
    pub fn wait_for_watchers(&self, count: usize) {
        crate::wait_until("watches to be opened", || self.state().watchers == count);
    }

    fn serve(&self, speaks: Speaks) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let argo = self.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let argo = argo.clone();
                std::thread::spawn(move || {
                    if let Some(request) = read(&stream) {
                        // Whoever asked may be gone.
                        let _ = argo.answer(speaks, &request, &stream);
                    }
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        address
    }

    fn answer(&self, speaks: Speaks, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
        let expected = format!("Bearer {}", self.state().token);
        let is_known = request.header("authorization") == Some(&expected);
        let (is_watch, refusal): (bool, fn(u16, &str) -> Json) = match speaks {
            Speaks::Kubernetes => (kubernetes::is_watch(request), kubernetes::status),
            Speaks::ArgoCd => (api::is_stream(request), api::error),
        };
        if !is_known {
            return reply(stream, 401, &refusal(401, "Unauthorized"), &[]);
        }
        let asked = format!("{} {}", request.method, request.target);
        self.state().asked.push(asked);
        match self.fault_of(request, is_watch) {
            Some(Fault::Refused { status, words }) => {
                return reply(stream, status, &refusal(status, words), &[]);
            }
            Some(Fault::Busy { status, seconds }) => {
                let after = ("retry-after", seconds.to_string());
                return reply(
                    stream,
                    status,
                    &refusal(status, "too many requests"),
                    &[after],
                );
            }
            Some(Fault::Reset) => return Ok(()),
            Some(Fault::Nonsense) => return reply(stream, 200, &json!("<html>"), &[]),
            Some(Fault::Silence) => {
                let state = self.state();
                let healed = |state: &mut State| state.fault.is_some();
                drop(self.shared.changed.wait_while(state, healed));
                return Ok(());
            }
            None => {}
        }
        match speaks {
            Speaks::Kubernetes => kubernetes::answer(self, request, stream),
            Speaks::ArgoCd => api::answer(self, request, stream),
        }
    }

    fn fault_of(&self, request: &Request, is_watch: bool) -> Option<Fault> {
        let state = self.state();
        let is_meant = match state.faulty.as_str() {
            "watch" => is_watch,
            path => request.target.starts_with(path),
        };
        state.fault.clone().filter(|_| is_meant)
    }

    /// Sends what happens from `version` on, until `end`, a cut, or whoever listens is gone.
    fn stream(
        &self,
        stream: &TcpStream,
        (version, end): (u64, Option<Instant>),
        line: impl Fn(&Event) -> Option<Json>,
    ) -> std::io::Result<()> {
        begin(stream)?;
        let mut reached = version;
        let mut state = self.state();
        let cuts = state.cuts;
        state.watchers += 1;
        let done = loop {
            let new = state.events.iter().filter(|event| event.version > reached);
            let new: Vec<Event> = new.cloned().collect();
            reached = state.version.max(reached);
            drop(state);
            let sent = new
                .iter()
                .filter_map(&line)
                .try_for_each(|line| chunk(stream, &line));
            state = self.state();
            if sent.is_err() || state.cuts != cuts {
                break sent;
            }
            if state.version > reached {
                continue;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => break (&*stream).write_all(b"0\r\n\r\n"),
                // Now and then, for listeners that are gone.
                left => {
                    let wait = left.unwrap_or(WAIT_MAX).min(WAIT_MAX);
                    let waited = self.shared.changed.wait_timeout(state, wait);
                    (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        state.watchers -= 1;
        done
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest that a stream does not look around.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_millis(100);

impl State {
    fn tell(&mut self, kind: &'static str, resource: &str, object: Json) {
        let version = self.version;
        let resource = resource.to_owned();
        self.events.push(Event {
            version,
            kind,
            resource,
            object,
        });
    }

    /// The objects of a resource in a namespace, or in all, by their names.
    fn all(&self, resource: &str, namespace: Option<&str>) -> Vec<&Json> {
        let objects = self.objects.iter().filter(|((of, within, _), _)| {
            of == resource && namespace.is_none_or(|namespace| namespace == within)
        });
        objects.map(|(_, object)| object).collect()
    }
}

/// Writes a kubeconfig of one context, `here`.
pub fn write_kubeconfig(file: &Path, cluster: &Json, user: &Json) {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{ "name": "here", "cluster": cluster }],
        "users": [{ "name": "me", "user": user }],
        "contexts": [{ "name": "here", "context": { "cluster": "here", "user": "me" } }],
    });
    std::fs::write(file, kubeconfig.to_string()).expect("the folder can be written");
}

/// Whether an object has all labels of a selector of the form `key=value,…`.
fn is_selected(object: &Json, selector: Option<&String>) -> bool {
    let mut parts = selector.into_iter().flat_map(|text| text.split(','));
    parts.all(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        object["metadata"]["labels"][key] == value
    })
}

fn key(resource: &str, object: &Json) -> (String, String, String) {
    let text = |key: &str| {
        object["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (resource.to_owned(), text("namespace"), text("name"))
}

fn reply(
    mut stream: &TcpStream,
    status: u16,
    body: &Json,
    headers: &[(&str, String)],
) -> std::io::Result<()> {
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n" + &body).as_bytes())?;
    stream.flush()
}

fn begin(mut stream: &TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

fn chunk(mut stream: &TcpStream, line: &Json) -> std::io::Result<()> {
    // As an API server writes an event: what happened comes first.
    let line = match (line.get("type"), line.get("object")) {
        (Some(kind), Some(object)) => format!("{{\"type\":{kind},\"object\":{object}}}\n"),
        _ => format!("{line}\n"),
    };
    stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())?;
    stream.flush()
}
