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
    not_before: Mutex<Option<Instant>>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            permits: Semaphore::new(IN_FLIGHT_MAX),
            not_before: Mutex::new(None),
        }
    }

    /// Waits for leave to send one request; the error says how long the registry still wants none, if that is too
    /// long to wait.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Duration> {
        loop {
            let permit = self.permits.acquire().await;
            let permit = permit.expect("the semaphore is never closed");
            // Asked with the permit in hand: the registry may have said "wait" while this request stood in line.
            let Some(moment) = self.closed_until() else {
                return Ok(permit);
            };
            let wait = moment.saturating_duration_since(Instant::now());
            if wait > RETRY_AFTER_MAX {
                return Err(wait);
            }
            drop(permit);
            sleep_until(moment).await;
        }
    }

    /// Holds back all requests for `wait` from now.
    pub(super) fn close_for(&self, wait: Duration) {
        let moment = Instant::now() + wait;
        let mut not_before = self.lock();
        *not_before = Some(not_before.map_or(moment, |standing| standing.max(moment)));
    }

    fn closed_until(&self) -> Option<Instant> {
        self.lock().filter(|moment| *moment > Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        budget.close_for(RETRY_AFTER_MAX + Duration::from_secs(1));
        let start = Instant::now();
        assert!(budget.turn().await.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1)).await;
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
