//! The signals that end a process: the first lets it end what it is doing, the second does not.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// A token that SIGTERM or SIGINT cancels. A second signal ends the process at once.
pub(super) fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signalled().await;
        tracing::info!("stopping after the change at hand");
        token.cancel();
        signalled().await;
        tracing::info!("stopping at once");
        end_at_once();
    });
    Ok(stop)
}

#[expect(
    clippy::exit,
    reason = "any gentler end waits for threads that wait for servers"
)]
fn end_at_once() {
    std::process::exit(1);
}
