//! What a Lease says, and what one who would lead makes of it. Plain functions; the time is a parameter.
//!
//! As client-go decides it: <https://github.com/kubernetes/client-go/blob/master/tools/leaderelection/leaderelection.go>.
//! Invariant: two wall clocks are never compared. Whether a record is over is told by our own steady clock, from when we first saw it
//! as it is; the times in it are for people.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// What a lease that was given up lasts. Nobody waits for it, since nobody holds it; the API takes no 0.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// What a Lease says of who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `None` where nobody does.
    pub(super) holder: Option<String>,
    /// How long it counts after a renewal, as whoever wrote it says.
    pub(super) lasts: Duration,
    /// Since when the holder leads, by its own clock.
    pub(super) acquired: Option<Timestamp>,
    pub(super) renewed: Option<Timestamp>,
    /// How often it went from one to another.
    pub(super) transitions: i32,
}

/// A record, and since when it is known to be so.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) record: Record,
    since: Instant,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The clock that is judged by.
    pub(super) steady: Instant,
    /// The one that is written down.
    pub(super) wall: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Lead, or go on to, if the Lease still is as it was read.
    Write(Record),
    /// Somebody else leads, until then at least.
    Follow { until: Instant },
}

impl Seen {
    /// What is known after `record` was read at `now`: one that did not change is as old as before.
    pub(super) fn after(before: Option<Self>, record: Record, now: Instant) -> Self {
        match before {
            Some(before) if before.record == record => before,
            Some(_) | None => Self { record, since: now },
        }
    }
}

impl Record {
    /// What `self` becomes when its holder gives it up.
    pub(super) fn given_up(&self, now: Timestamp) -> Self {
        Self {
            holder: None,
            lasts: GIVEN_UP,
            acquired: Some(now),
            renewed: Some(now),
            transitions: self.transitions,
        }
    }
}

/// What `us`, whose leases last for `lasts`, does where `seen` was read. `None` where there is no Lease.
pub(super) fn decide(us: &str, lasts: Duration, seen: Option<&Seen>, now: Moment) -> Step {
    let ours = |acquired, transitions| {
        Step::Write(Record {
            holder: Some(us.to_owned()),
            lasts,
            acquired: Some(acquired),
            renewed: Some(now.wall),
            transitions,
        })
    };
    let Some(Seen { record, since }) = seen else {
        return ours(now.wall, 0);
    };
    let one_more = record.transitions.saturating_add(1);
    match &record.holder {
        None => ours(now.wall, one_more),
        Some(holder) if holder == us => {
            ours(record.acquired.unwrap_or(now.wall), record.transitions)
        }
        Some(_) => {
            let until = *since + record.lasts;
            match now.steady < until {
                true => Step::Follow { until },
                false => ours(now.wall, one_more),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use tokio::time::Instant;

    use super::{Moment, Record, Seen, Step, decide};

    const LASTS: Duration = Duration::from_secs(15);
    const TICK: Duration = Duration::from_nanos(1);

    /// Noon on the wall at `start` on the steady clock.
    fn wall(seconds: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        noon + SignedDuration::from_secs(seconds)
    }

    fn record(holder: Option<&str>) -> Record {
        Record {
            holder: holder.map(str::to_owned),
            lasts: LASTS,
            acquired: Some(wall(-60)),
            renewed: Some(wall(-1)),
            transitions: 3,
        }
    }

    fn decided(seen: Option<&Seen>, steady: Instant) -> Step {
        let wall = wall(100);
        decide("us", LASTS, seen, Moment { steady, wall })
    }

    fn ours(acquired: Timestamp, transitions: i32) -> Step {
        Step::Write(Record {
            holder: Some("us".to_owned()),
            lasts: LASTS,
            acquired: Some(acquired),
            renewed: Some(wall(100)),
            transitions,
        })
    }

    #[test]
    fn where_there_is_no_lease_it_is_made() {
        assert_eq!(decided(None, Instant::now()), ours(wall(100), 0));
    }

    #[test]
    fn what_nobody_holds_is_taken_at_once() {
        let start = Instant::now();
        let seen = Seen::after(None, record(None), start);
        assert_eq!(decided(Some(&seen), start), ours(wall(100), 4));
    }

    #[test]
    fn our_own_is_renewed_and_says_since_when_we_lead() {
        let start = Instant::now();
        let seen = Seen::after(None, record(Some("us")), start);
        assert_eq!(decided(Some(&seen), start), ours(wall(-60), 3));
        // Nobody took it since, however long ago it ended.
        assert_eq!(decided(Some(&seen), start + 10 * LASTS), ours(wall(-60), 3));
    }

    #[test]
    fn anothers_is_left_alone_until_it_ends_and_taken_at_that_very_moment() {
        let start = Instant::now();
        let seen = Seen::after(None, record(Some("them")), start);
        let until = start + LASTS;
        assert_eq!(decided(Some(&seen), start), Step::Follow { until });
        assert_eq!(decided(Some(&seen), until - TICK), Step::Follow { until });
        assert_eq!(decided(Some(&seen), until), ours(wall(100), 4));
    }

    #[test]
    fn a_record_counts_from_when_it_was_first_seen_whatever_its_own_times_say() {
        let start = Instant::now();
        for renewed in [wall(-1_000_000), wall(1_000_000)] {
            let record = Record {
                renewed: Some(renewed),
                ..record(Some("them"))
            };
            let seen = Seen::after(None, record.clone(), start);
            let seen = Seen::after(Some(seen), record, start + LASTS - TICK);
            let until = start + LASTS;
            assert_eq!(decided(Some(&seen), until - TICK), Step::Follow { until });
            assert_eq!(decided(Some(&seen), until), ours(wall(100), 4));
        }
    }

    #[test]
    fn a_renewal_begins_the_time_anew() {
        let start = Instant::now();
        let seen = Seen::after(None, record(Some("them")), start);
        let renewed = Record {
            renewed: Some(wall(0)),
            ..record(Some("them"))
        };
        let later = start + LASTS - TICK;
        let seen = Seen::after(Some(seen), renewed, later);
        let until = later + LASTS;
        assert_eq!(decided(Some(&seen), start + LASTS), Step::Follow { until });
    }

    #[test]
    fn anothers_counts_for_as_long_as_it_says() {
        let start = Instant::now();
        let record = Record {
            lasts: 2 * LASTS,
            ..record(Some("them"))
        };
        let seen = Seen::after(None, record, start);
        let until = start + 2 * LASTS;
        assert_eq!(decided(Some(&seen), until - TICK), Step::Follow { until });
    }

    #[test]
    fn what_is_given_up_is_nobodys_and_keeps_its_count() {
        let given_up = record(Some("us")).given_up(wall(100));
        assert_eq!((given_up.holder.as_ref(), given_up.transitions), (None, 3));
        let seen = Seen::after(None, given_up, Instant::now());
        assert_eq!(decided(Some(&seen), Instant::now()), ours(wall(100), 4));
    }
}
