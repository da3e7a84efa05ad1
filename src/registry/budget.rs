//! How hard one registry may be asked: requests in flight, and the moment before which it wants none.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Requests in flight to one registry at a time.
///
/// A listing of 100 pages at 50 ms each takes 5 s; eight of them side by side list 100 such repositories in about
/// a minute, and no registry that we know calls eight connections abuse.
const IN_FLIGHT_MAX: usize = 8;

/// The longest `Retry-After` that is waited out within one call.
///
/// A fifth of the total time that a call may take (5 min): waiting longer only hides the fact from people.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// What one registry allows at this moment.
pub(super) struct Budget {
    permits: Semaphore,
    quiet: Mutex<Option<Quiet>>,
}

/// A time during which a registry wants no requests.
#[derive(Clone, Copy)]
struct Quiet {
    until: Instant,
    /// What the registry asked for. People are told this and not what is left of it, which is another text each time.
    asked: Duration,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            permits: Semaphore::new(IN_FLIGHT_MAX),
            quiet: Mutex::new(None),
        }
    }

    /// Waits for leave to send one request; the error says for how long the registry wanted none, if what is left of
    /// that is too long to wait.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Duration> {
        loop {
            let permit = self.permits.acquire().await;
            let permit = permit.expect("the semaphore is never closed");
            // Asked with the permit in hand: the registry may have said "wait" while this request stood in line.
            let Some(Quiet { until, asked }) = self.quiet() else {
                return Ok(permit);
            };
            if until.saturating_duration_since(Instant::now()) > RETRY_AFTER_MAX {
                return Err(asked);
            }
            drop(permit);
            sleep_until(until).await;
        }
    }

    /// Holds back all requests for `asked` from now.
    pub(super) fn close_for(&self, asked: Duration) {
        let until = Instant::now() + asked;
        let mut quiet = self.lock();
        if quiet.is_none_or(|standing| standing.until < until) {
            *quiet = Some(Quiet { until, asked });
        }
    }

    fn quiet(&self) -> Option<Quiet> {
        self.lock().filter(|quiet| quiet.until > Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Quiet>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Budget, RETRY_AFTER_MAX};

    #[tokio::test(start_paused = true)]
    async fn a_closed_registry_is_asked_again_when_its_time_has_come() {
        let budget = Budget::new();
        let start = Instant::now();
        budget.close_for(Duration::from_secs(20));
        budget.close_for(Duration::from_secs(5));
        assert!(budget.turn().await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_bound_is_told_at_once() {
        let budget = Budget::new();
        let asked = RETRY_AFTER_MAX + Duration::from_secs(10);
        budget.close_for(asked);
        let start = Instant::now();
        for _ in 0..2 {
            // The same each time, so that it is news once.
            assert_eq!(budget.turn().await.err(), Some(asked));
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert!(budget.turn().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_requests_are_in_flight() {
        let budget = Budget::new();
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(budget.turn().await.unwrap());
        }
        let ninth = tokio::time::timeout(Duration::from_secs(1), budget.turn());
        assert!(ninth.await.is_err());
    }
}
