//! A limit of time that does not run while a request stands in line here, before it was sent.
//!
//! Two thousand repositories at five requests a second are a line of 400 seconds: that is the budget at work and no
//! failure of the registry, whose own slowness is what the limit is for.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static STOOD: Stood;
}

/// How long a reading has stood in line.
#[derive(Default)]
struct Stood {
    before: Cell<Duration>,
    since: Cell<Option<Instant>>,
}

impl Stood {
    fn total(&self) -> Duration {
        let now = self.since.get().map(|since| since.elapsed());
        self.before.get() + now.unwrap_or_default()
    }
}

/// Whoever holds it stands in line.
pub(super) struct Standing(());

impl Standing {
    /// Begins to stand; outside of [`within`] nobody counts.
    pub(super) fn begin() -> Self {
        let _ = STOOD.try_with(|stood| stood.since.set(Some(Instant::now())));
        Self(())
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = STOOD.try_with(|stood| {
            stood.before.set(stood.total());
            stood.since.set(None);
        });
    }
}

/// Waits for what another request for the same repository does: that one stands in line, or is under a limit of
/// its own. Not for what thousands wait for, one after the other.
pub(super) async fn in_line<T>(wait: impl Future<Output = T>) -> T {
    let _standing = Standing::begin();
    wait.await
}

/// Runs `reading` for at most `limit`, time in line aside; `None` when it took longer. A reading asks one thing after
/// the other, so it stands in one line at a time.
pub(super) async fn within<T>(limit: Duration, reading: impl Future<Output = T>) -> Option<T> {
    let timed = async {
        let started = Instant::now();
        let deadline = || started + limit + STOOD.with(Stood::total);
        let mut reading = pin!(reading);
        loop {
            tokio::select! {
                done = &mut reading => return Some(done),
                () = sleep_until(deadline()) => {
                    if Instant::now() >= deadline() {
                        return None;
                    }
                }
            }
        }
    };
    STOOD.scope(Stood::default(), timed).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::{Standing, within};

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn time_in_line_does_not_count_and_all_other_time_does() {
        let stand = async |seconds| {
            let _standing = Standing::begin();
            sleep(Duration::from_secs(seconds)).await;
        };
        let patient = async {
            stand(400).await;
            sleep(Duration::from_secs(5)).await;
            stand(100).await;
            sleep(Duration::from_secs(4)).await;
        };
        assert_eq!(within(LIMIT, patient).await, Some(()));
        let slow = async {
            stand(400).await;
            sleep(Duration::from_secs(11)).await;
        };
        assert_eq!(within(LIMIT, slow).await, None);
    }
}
