//! An HTTP listener for strangers: bounded in connections, in time and in what it keeps in memory.
//!
//! Not here: what is answered (`hooks`). Invariant: whatever a peer sends or does not send, its connection ends in time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; more wait in the kernel's queue. With a head and a body for each, 64 times (16 KiB + 512 KiB)
/// is 33 MiB of memory at the worst, and a registry sends its events over one or two.
const CONNECTIONS_MAX: usize = 64;

/// The head of a request: a URL and some headers, of which the largest is a token of 2 KiB or so.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long the head of a request may take, and how long a connection may wait for its next request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept, however many requests come over it.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// How long a connection may take to end after that: one more request with its head and its body, 10 s each, and an answer.
const LAST_REQUEST: Duration = Duration::from_secs(25);

/// How long to wait after the system refused a connection, which it does while it has no free file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `answer` on `listener` until the program ends.
pub(super) async fn serve<F, A>(listener: TcpListener, answer: F) -> io::Result<()>
where
    F: Fn(SocketAddr, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<String>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.clone().acquire_owned().await;
        let place = place.expect("nobody closes the semaphore");
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection to the hooks could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            let answer = move |request| answer(from, request);
            if let Err(error) = converse(stream, answer).await {
                tracing::debug!(%from, %error, "a connection to the hooks broke");
            }
            drop(place);
        });
    }
}

/// Answers the requests of one connection until its peer, its time or an error ends it.
async fn converse<F, A>(stream: TcpStream, answer: F) -> hyper::Result<()>
where
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<String>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = tokio::time::sleep(CONNECTION_LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    // Whoever does not read its answer is cut off.
    tokio::time::timeout(LAST_REQUEST, connection)
        .await
        .unwrap_or(Ok(()))
}
