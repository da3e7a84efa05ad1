//! An OCI registry that lives in memory and listens on loopback: for `towpath demo`, tests and benchmarks.
//!
//! It speaks the real protocol, so that the registry room is used as in production; `tests/contract` holds it to what
//! real servers do. Not here: pushing over HTTP. It ends when it is dropped.

mod delivery;
mod faults;
mod pages;
mod pushes;
mod serve;
mod store;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::oneshot;

use faults::Faults;
use store::Repository;

pub use faults::Fault;
pub use store::Image;

/// Who may read.
#[derive(Clone, Debug)]
pub enum Access {
    Anonymous,
    Basic {
        username: String,
        password: String,
    },
    /// Tokens for those who give these credentials, each good for `life`.
    Token {
        username: String,
        password: String,
        life: Duration,
    },
}

/// A kind of request, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Tags,
    Manifest,
    Blob,
    Token,
    /// To the API that tells push times.
    Pushes,
    Other,
}

/// An API that tells push times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushApi {
    Acr,
    DockerHub,
    GitLab,
    /// In `tags/list` itself.
    Google,
    Harbor,
    Quay,
}

/// A running registry.
#[derive(Debug)]
#[must_use = "the registry ends when this is dropped"]
pub struct MemoryRegistry {
    address: SocketAddr,
    state: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server and its owner share.
type Shared = Arc<Mutex<State>>;

#[derive(Debug)]
struct State {
    access: Access,
    repositories: BTreeMap<String, Repository>,
    push_api: Option<PushApi>,
    faults: Faults,
    requests: BTreeMap<Kind, u64>,
    /// Tokens given out: for which scope, and until when.
    tokens: BTreeMap<String, (String, Instant)>,
}

impl MemoryRegistry {
    /// Starts an empty registry on a free port of 127.0.0.1, on a thread of its own.
    pub fn start(access: Access) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            access,
            repositories: BTreeMap::new(),
            push_api: None,
            faults: Faults::default(),
            requests: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::clone(&state);
        let serve = move || runtime.block_on(serve::serve(listener, shared, stopped));
        let thread = std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(serve)?;
        Ok(Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The host as it stands in image names: `127.0.0.1:41213`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Puts an image under `tag` and gives its digest.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> String {
        self.repository(repository, |repository| repository.push(tag, image))
    }

    /// Puts an index of two platforms under `tag` and gives its digest.
    pub fn push_index(&self, repository: &str, tag: &str, image: &Image) -> String {
        self.repository(repository, |repository| repository.push_index(tag, image))
    }

    /// Puts a manifest under `tag` as it is, and gives its digest.
    pub fn put(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        self.repository(repository, |repository| repository.put(tag, manifest))
    }

    /// Puts a blob.
    pub fn upload(&self, repository: &str, digest: &str, bytes: Vec<u8>) {
        self.repository(repository, |repository| repository.upload(digest, bytes));
    }

    /// Speaks `api` from now on, too.
    pub fn tell_pushes(&self, api: PushApi) {
        lock(&self.state).push_api = Some(api);
    }

    /// Says when `tag` was pushed.
    pub fn set_pushed(&self, repository: &str, tag: &str, at: Timestamp) {
        self.repository(repository, |repository| {
            repository.pushed.insert(tag.to_owned(), at);
        });
    }

    pub fn delete(&self, repository: &str, tag: &str) {
        self.repository(repository, |repository| repository.delete(tag));
    }

    /// Turns a fault on, beside those that are on.
    pub fn fail(&self, fault: Fault) {
        lock(&self.state).faults.add(fault);
    }

    /// Turns all faults off.
    pub fn heal(&self) {
        lock(&self.state).faults.clear();
    }

    /// Lets all tokens expire.
    pub fn expire_tokens(&self) {
        lock(&self.state).tokens.clear();
    }

    /// Requests since the last call, by kind.
    pub fn take_requests(&self) -> BTreeMap<Kind, u64> {
        std::mem::take(&mut lock(&self.state).requests)
    }

    fn repository<T>(&self, name: &str, act: impl FnOnce(&mut Repository) -> T) -> T {
        let mut state = lock(&self.state);
        act(state.repositories.entry(name.to_owned()).or_default())
    }
}

impl Drop for MemoryRegistry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; one more here would end the process.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
