//! The pages of a running daemon, `/healthz`, `/readyz`, `/metrics` and `/status`, and on a listener of its own the hooks
//! for registries and forges.
//!
//! Not here: what is healthy and how things stand; the daemon says so through [`Health`] and a function that gives a
//! [`Status`]. Nothing on the pages can change anything; a hook can make a repository be read.

mod bells;
mod door;
mod hooks;
mod metrics;
mod server;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::TextEncoder;
use tokio::net::TcpListener;

#[cfg(test)]
pub(crate) use bells::Rung;
pub(crate) use bells::{Bell, Bells};
pub(crate) use door::{HookKind, HookSource};
pub(crate) use hooks::Hooks;
pub(crate) use wire::{
    BranchStatus, ImageStatus, LeadershipStatus, LimitStatus, NamespaceStatus, RegistryStatus,
    Status,
};

/// How long a worker may go without a turn before it counts as stuck: the longest fetch and push together,
/// 15 minutes each, doubled. It turns at least every [`Health::TURN_EVERY`] when all is well.
const STUCK_AFTER: Duration = Duration::from_secs(60 * 60);

/// What the daemon says of itself.
#[derive(Debug)]
pub(crate) struct Health {
    started: Instant,
    /// For each worker, the seconds after `started` at which it last turned.
    turned_seconds: Mutex<Vec<u64>>,
    ready: AtomicBool,
}

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on `{address}`")]
pub(crate) struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

impl Health {
    /// How often a worker turns when nothing happens.
    pub(crate) const TURN_EVERY: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            turned_seconds: Mutex::default(),
            ready: AtomicBool::new(false),
        }
    }

    /// Says that there are `count` workers from now on, which all turn now.
    pub(crate) fn watch_workers(&self, count: usize) {
        *self.turns() = vec![self.started.elapsed().as_secs(); count];
    }

    /// Says that the worker `index` turns.
    pub(crate) fn turned(&self, index: usize) {
        if let Some(turned) = self.turns().get_mut(index) {
            *turned = self.started.elapsed().as_secs();
        }
    }

    /// Says that the first complete view is there.
    pub(crate) fn became_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn is_stuck(&self) -> bool {
        let oldest = self.started.elapsed().saturating_sub(STUCK_AFTER).as_secs();
        self.turns().iter().any(|turned| *turned < oldest)
    }

    fn turns(&self) -> MutexGuard<'_, Vec<u64>> {
        self.turned_seconds
            .lock()
            .expect("nothing panics while it holds the turns")
    }
}

/// Binds `address`; port 0 takes a free one.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address, source })
}

/// Serves the pages until the program ends, which waits for no client: nothing here is worth it, and a connection
/// that stays open must not keep the program from ending.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    status: impl Fn() -> Status + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let pages = Router::new()
        .route("/status", get(async move || as_json(&status())))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(counts))
        .with_state(health);
    axum::serve(listener, pages).await
}

async fn healthz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    match health.is_stuck() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "the loop is stuck\n"),
        false => (StatusCode::OK, "ok\n"),
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    match health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no complete view of registries and repositories yet\n",
        ),
    }
}

async fn counts() -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&prometheus::gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn as_json(status: &Status) -> impl IntoResponse + use<> {
    let text = serde_json::to_string(status).expect("a status has only numbers, strings and lists");
    ([(header::CONTENT_TYPE, "application/json")], text)
}

#[cfg(test)]
mod tests;
