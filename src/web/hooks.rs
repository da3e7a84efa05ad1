//! `POST /hooks/registry/KIND` and `/hooks/forge/KIND`: a registry says that a tag was pushed, a forge that a repository or a pull
//! request changed, and the repository becomes due.
//!
//! Not here: who may come in (`door`), what a message says (`registry`, `forge`), what being due means (`bells`, `daemon`), and the
//! bounds of connections (`server`). Invariant: whoever may call can make what is watched be read, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;

use super::bells::{Bells, Rung};
use super::door::{Door, HookKind, HookSource, Refusal, Told};
use super::metrics::{self, Outcome};
use super::server;
use crate::forge::News;
use crate::registry::Named;

/// The most characters of a repository's path that an answer repeats: as long as a whole name may be.
const PATH_MAX: usize = 255;

/// The doors by who calls.
type Doors = BTreeMap<HookKind, Arc<Door>>;

/// The hooks that are served.
#[derive(Debug)]
pub(crate) struct Hooks {
    doors: Mutex<Doors>,
    bells: Arc<Bells>,
}

impl Hooks {
    /// Serves nothing until it is told what.
    pub(crate) fn new(bells: Arc<Bells>) -> Self {
        Self {
            doors: Mutex::default(),
            bells,
        }
    }

    /// Serves `sources` from now on and nothing else.
    pub(crate) fn open(&self, sources: BTreeMap<HookKind, Vec<HookSource>>) {
        let door = |(kind, sources)| {
            metrics::begin(kind);
            (kind, Arc::new(Door::new(kind, sources)))
        };
        *self.doors() = sources.into_iter().map(door).collect();
    }

    /// Answers on `listener` until the program ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let answer = move |from, request| {
            let hooks = self.clone();
            async move { hooks.answer(from, request).await }
        };
        server::serve(listener, answer).await
    }

    async fn answer(&self, from: SocketAddr, request: Request<Incoming>) -> Response<String> {
        let Some(door) = self.door(request.uri().path()) else {
            tracing::debug!(%from, "a request for no hook");
            return refused(&Refusal::NoHook);
        };
        match door.enter(request).await {
            Ok((source, told)) => {
                let (outcome, text) = match told {
                    Told::Pushes(named) => self.ring(door.kind(), source, named),
                    Told::News(news) => self.ring_manifests(door.kind(), news),
                };
                metrics::count(door.kind(), outcome);
                answered(StatusCode::ACCEPTED, text)
            }
            Err(refusal) => {
                door.tell(from, &refusal);
                metrics::count(door.kind(), refusal.outcome());
                refused(&refusal)
            }
        }
    }

    fn door(&self, path: &str) -> Option<Arc<Door>> {
        let kind = HookKind::at(path)?;
        self.doors().get(&kind).cloned()
    }

    /// Makes due what is watched of `named`, and says what was done.
    fn ring(&self, kind: HookKind, source: &HookSource, named: Vec<Named>) -> (Outcome, String) {
        let event = kind.name();
        if named.is_empty() {
            tracing::debug!(event, "an event that is no push of a tag");
            let text = format!("this is no push of a tag, as `{event}` tells of one");
            return (Outcome::NoNews, text);
        }
        let mut watched = 0;
        let mut unwatched = String::new();
        for named in named {
            let named = Named {
                host: source.host.clone().or(named.host),
                ..named
            };
            let rung = self.bells.ring(&named);
            if rung.is_empty() {
                let Named { host, path, .. } = &named;
                tracing::debug!(event, host, path, "an event of what is not watched");
                unwatched = no_policy(&named);
            }
            watched += rung.len();
            for (repository, rung) in rung {
                match rung {
                    Rung::Now => tracing::info!(%repository, event, "due by an event"),
                    Rung::Already => tracing::debug!(%repository, event, "due already"),
                }
            }
        }
        match watched {
            0 => (
                Outcome::Unknown,
                format!("nothing of this is watched: {unwatched}"),
            ),
            watched => (
                Outcome::Accepted,
                format!("image repositories that are due: {watched}"),
            ),
        }
    }

    /// Makes due the manifests repositories that have `news`, and says what was done.
    fn ring_manifests(&self, kind: HookKind, news: Option<News>) -> (Outcome, String) {
        let (HookKind::Forge(forge), Some(news)) = (kind, news) else {
            let event = kind.name();
            tracing::debug!(event, "an event that concerns no promotion");
            let text = "this is no push, pull request or review".to_owned();
            return (Outcome::NoNews, text);
        };
        let event = forge.name();
        let rung = self.bells.ring_manifests(forge, &news);
        if rung.is_empty() {
            let path: String = news.path.chars().take(PATH_MAX).collect();
            tracing::debug!(event, path, "an event of a repository that is not watched");
            let text = format!(
                "nothing of this is watched: no policy delivers to a repository `{path}` on {forge}"
            );
            return (Outcome::Unknown, text);
        }
        for (repository, rung) in &rung {
            match rung {
                Rung::Now => tracing::info!(%repository, event, "due by an event"),
                Rung::Already => tracing::debug!(%repository, event, "due already"),
            }
        }
        let text = format!("manifests repositories that are due: {}", rung.len());
        (Outcome::Accepted, text)
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors
            .lock()
            .expect("nothing panics while it holds the doors")
    }
}

/// How the name that an event tells was understood, for whoever compares it with a policy.
fn no_policy(Named { host, path, .. }: &Named) -> String {
    let path: String = path.chars().take(PATH_MAX).collect();
    match host {
        Some(host) => format!("no policy uses `{host}/{path}`"),
        None => format!("no policy uses `{path}` of any registry"),
    }
}

fn refused(refusal: &Refusal) -> Response<String> {
    let mut response = answered(refusal.status(), refusal.to_string());
    if let Some((name, value)) = refusal.header() {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn answered(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text + "\n");
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
