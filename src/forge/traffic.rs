//! How much is asked of a forge at a time, shared by all repositories that are there with the same credentials.
//!
//! Invariant: nothing is sent before the time until which the forge wants quiet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Requests under way at a time. With 0.3 s an answer that is 13 a second: a hundred repositories are listed in 8 s, far
/// below the hundred at a time at which GitHub refuses, <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.
const IN_FLIGHT_MAX: usize = 4;

/// The longest quiet that is waited out in line; a longer one is told to the caller, whose next round comes anyway.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// The lanes of all forges.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
}

/// What is under way to one forge with one set of credentials: limits are counted by that.
#[derive(Debug)]
pub(super) struct Lane {
    in_flight: Semaphore,
    /// One permit, for the write that goes next.
    next_write: Semaphore,
    times: Mutex<Times>,
}

#[derive(Debug)]
struct Times {
    quiet_until: Instant,
    /// When the next write may go.
    next_write: Instant,
}

/// The forge wants quiet for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quiet(pub(super) Duration);

impl Traffic {
    pub(super) fn lane(&self, name: String) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(name).or_default())
    }
}

impl Default for Lane {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            next_write: Semaphore::new(1),
            times: Mutex::new(Times {
                quiet_until: now,
                next_write: now,
            }),
        }
    }
}

impl Lane {
    /// Waits for a turn. A write goes `gap` after the one before; a read is of no gap.
    pub(super) async fn turn(&self, gap: Duration) -> Result<SemaphorePermit<'_>, Quiet> {
        // A write that waits for its time is in no read's way.
        let _next_write = match gap.is_zero() {
            true => None,
            false => {
                let permit = acquired(&self.next_write).await;
                let time = self.times().next_write;
                sleep_until(time).await;
                Some(permit)
            }
        };
        let permit = acquired(&self.in_flight).await;
        // The time of quiet may have come while this one waited.
        loop {
            let until = self.times().quiet_until;
            let rest = until.saturating_duration_since(Instant::now());
            if rest > WAIT_MAX {
                return Err(Quiet(rest));
            }
            if rest.is_zero() {
                break;
            }
            sleep_until(until).await;
        }
        if !gap.is_zero() {
            self.times().next_write = Instant::now() + gap;
        }
        Ok(permit)
    }

    /// Lets nothing through for so long.
    pub(super) fn close_for(&self, quiet: Duration) {
        let mut times = self.times();
        times.quiet_until = times.quiet_until.max(Instant::now() + quiet);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquired(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    let permit = semaphore.acquire().await;
    permit.expect("nobody closes the lane")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::{IN_FLIGHT_MAX, Quiet, Traffic, WAIT_MAX};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn writes_keep_their_distance_and_reads_do_not() {
        let lane = Traffic::default().lane("a".to_owned());
        let start = Instant::now();
        for _ in 0..10 {
            drop(lane.turn(Duration::ZERO).await.unwrap());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..3 {
            drop(lane.turn(SECOND).await.unwrap());
        }
        assert_eq!(start.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn writes_that_wait_for_their_time_keep_no_read_from_going() {
        let lane = Traffic::default().lane("a".to_owned());
        let start = Instant::now();
        let writes = (0..=IN_FLIGHT_MAX).map(|_| async { drop(lane.turn(SECOND).await) });
        let read = async {
            drop(lane.turn(Duration::ZERO).await.unwrap());
            start.elapsed()
        };
        let (_, waited) = tokio::join!(join_all(writes), read);
        assert_eq!(waited, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_quiet_is_waited_out_and_a_long_one_is_told() {
        let lane = Traffic::default().lane("a".to_owned());
        let start = Instant::now();
        lane.close_for(WAIT_MAX);
        drop(lane.turn(Duration::ZERO).await.unwrap());
        assert_eq!(start.elapsed(), WAIT_MAX);
        lane.close_for(60 * SECOND);
        lane.close_for(SECOND);
        let refused = lane.turn(Duration::ZERO).await.unwrap_err();
        assert_eq!(refused, Quiet(60 * SECOND));
        tokio::time::advance(55 * SECOND).await;
        assert!(lane.turn(Duration::ZERO).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn repositories_with_the_same_credentials_share_a_lane() {
        let traffic = Traffic::default();
        let lane = traffic.lane("a".to_owned());
        let mut held = Vec::new();
        for _ in 0..IN_FLIGHT_MAX {
            held.push(lane.turn(Duration::ZERO).await.unwrap());
        }
        let same = traffic.lane("a".to_owned());
        let other = traffic.lane("b".to_owned());
        assert!(other.turn(Duration::ZERO).await.is_ok());
        let waits = tokio::time::timeout(SECOND, same.turn(Duration::ZERO)).await;
        assert!(waits.is_err());
        held.clear();
        assert!(same.turn(Duration::ZERO).await.is_ok());
    }
}
