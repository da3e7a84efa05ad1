//! How hard one registry may be asked: requests per second, requests in flight, and what it says of its own limits.
//!
//! Whoever wants to ask stands in line, and the line is fair among repositories: each has one place in it, whatever it has
//! to ask, and goes to its end for the next request. A repository of a thousand pages and one with hundreds of questions
//! about its tags get one turn in as many as there are repositories that wait; so each of the others is delayed by one
//! request of theirs and not by all. (Two queues do it, both first come, first served: one of a repository's own requests,
//! whose head alone stands in that of the registry, whose head alone waits for time and for a request in flight to end.)
//!
//! The token service of a registry counts to the registry: it mostly is the same host, those that are not (Docker Hub's,
//! GitLab's) count all requests of an address together, and a token is of no use where nothing may be asked with it.
//! Storage to which a registry sends on is not counted: the registry chose it, and it serves whole layers to everybody.
//!
//! Invariant: in any second no more than one second's requests and [`BURST`] are sent; nothing is sent while the registry
//! wants no requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::limit::{Advice, Told};
use super::metrics;
use super::patience::Standing;

/// Requests in flight to one registry at a time, where the settings say none.
///
/// A listing of 100 pages at 50 ms each takes 5 s; eight of them side by side list 100 such repositories in about
/// a minute, and no registry that we know calls eight connections abuse.
pub(super) const IN_FLIGHT: usize = 8;

/// Requests that may be sent at once after a quiet time: a listing with its refusal and its token, and as much again. A
/// small installation is complete at once, and a second at 5 per second still has no more than 11.
pub(super) const BURST: u32 = 6;

/// The longest time of quiet that is waited out within one call.
///
/// A fifth of the total time that a call may take (5 min): waiting longer only hides the fact from people.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a registry counts apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quota {
    /// Everything that is asked.
    Requests,
    /// Manifests that are fetched, where these are counted apart.
    Pulls,
}

impl Quota {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pulls => "pulls",
        }
    }
}

/// What one registry allows at this moment.
pub(super) struct Budget {
    in_flight: Semaphore,
    in_flight_max: usize,
    /// Held by the one who is next.
    line: tokio::sync::Mutex<()>,
    /// By repository: held by that one of its requests that stands in the line.
    lanes: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    waiting: AtomicUsize,
    requests: Gate,
    /// Has no line: whoever waits here keeps nobody from asking for what is no pull.
    pulls: Gate,
    metrics: metrics::OfHost,
}

/// Leave to send one request, until it is dropped.
pub(super) struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
    in_flight: IntGauge,
}

/// Why nothing may be asked for longer than is waited out. People are told what was said, and not what is left of it, which
/// is another text each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) quota: Quota,
    pub(super) wait: Duration,
    /// The limit that is reached, where it is that and not a plain wish.
    pub(super) told: Option<Told>,
}

/// What a budget looks like, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standings {
    /// The time between two requests.
    pub(crate) pace: Option<Duration>,
    pub(crate) in_flight: usize,
    pub(crate) in_flight_max: usize,
    pub(crate) waiting: usize,
    pub(crate) quotas: Vec<QuotaStanding>,
}

/// What is known of one quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotaStanding {
    pub(crate) quota: Quota,
    /// What was told last, and how long ago.
    pub(crate) told: Option<(Told, Duration)>,
    /// For how long from now nothing may be asked.
    pub(crate) quiet_for: Option<Duration>,
}

impl Budget {
    pub(super) fn new(host: &str, pace: Option<Duration>, in_flight: usize) -> Self {
        Self {
            in_flight: Semaphore::new(in_flight),
            in_flight_max: in_flight,
            line: tokio::sync::Mutex::default(),
            lanes: Mutex::default(),
            waiting: AtomicUsize::new(0),
            requests: Gate::new(Quota::Requests, pace),
            pulls: Gate::new(Quota::Pulls, None),
            metrics: metrics::OfHost::new(host),
        }
    }

    /// Waits for leave to send one request about the repository `lane`; the error says why there will be none for long.
    pub(super) async fn turn(&self, lane: &str, costs: Quota) -> Result<Turn<'_>, Closed> {
        let _standing = Standing::begin();
        let _waiting = Waiting::begin(self);
        match costs {
            Quota::Requests => {}
            Quota::Pulls => self.pulls.pass().await?,
        }
        let lane = self.lane(lane);
        let _place = lane.lock().await;
        let _first = self.line.lock().await;
        let permit = self.in_flight.acquire().await;
        let permit = permit.expect("the semaphore is never closed");
        // Asked last: the registry may have said "wait" while this request stood in line.
        self.requests.pass().await?;
        self.metrics.in_flight.inc();
        Ok(Turn {
            _permit: permit,
            in_flight: self.metrics.in_flight.clone(),
        })
    }

    /// Holds back what counts to `quota` for `asked` from now.
    pub(super) fn close_for(&self, quota: Quota, asked: Duration) {
        self.gate(quota).close_for(asked, None);
        self.show(quota);
    }

    /// Takes in what the registry says of a limit.
    pub(super) fn heed(&self, quota: Quota, told: Told) {
        self.gate(quota).heed(told);
        self.metrics.told(quota, &told);
        self.show(quota);
    }

    pub(super) fn standings(&self) -> Standings {
        let free = self.in_flight.available_permits();
        Standings {
            pace: self.requests.pace,
            in_flight: self.in_flight_max.saturating_sub(free),
            in_flight_max: self.in_flight_max,
            waiting: self.waiting.load(Ordering::Relaxed),
            quotas: [&self.requests, &self.pulls].map(Gate::standing).into(),
        }
    }

    fn show(&self, quota: Quota) {
        let quiet = self.gate(quota).lock().quiet;
        if let Some(Quiet { until, .. }) = quiet {
            self.metrics.quiet_until(quota, until);
        }
    }

    fn gate(&self, quota: Quota) -> &Gate {
        match quota {
            Quota::Requests => &self.requests,
            Quota::Pulls => &self.pulls,
        }
    }

    fn lane(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match lanes.get(name) {
            Some(lane) => Arc::clone(lane),
            None => Arc::clone(lanes.entry(name.to_owned()).or_default()),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

/// Counts itself among those who wait, and how long it did.
struct Waiting<'a> {
    budget: &'a Budget,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(budget: &'a Budget) -> Self {
        budget.waiting.fetch_add(1, Ordering::Relaxed);
        Self {
            budget,
            since: Instant::now(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(1, Ordering::Relaxed);
        self.budget
            .metrics
            .waited
            .inc_by(self.since.elapsed().as_secs_f64());
    }
}

/// What may pass in time: so many per second, fewer where few are left, none in a time of quiet.
struct Gate {
    quota: Quota,
    pace: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the bucket will be full again. Each request moves it on by the pace, and one may pass for as long as it is
    /// less than [`BURST`] of them ahead.
    full_at: Option<Instant>,
    spread: Option<Spread>,
    quiet: Option<Quiet>,
    told: Option<(Told, Instant)>,
}

/// What is left of a limit, given out evenly.
#[derive(Clone, Copy)]
struct Spread {
    pace: Duration,
    next: Instant,
    until: Instant,
    told: Told,
}

/// A time during which a registry wants no requests.
#[derive(Clone, Copy)]
struct Quiet {
    until: Instant,
    asked: Duration,
    told: Option<Told>,
}

/// What a request has to do to pass.
enum Step {
    Go,
    WaitUntil(Instant),
    Refuse(Closed),
}

impl Gate {
    fn new(quota: Quota, pace: Option<Duration>) -> Self {
        Self {
            quota,
            pace,
            state: Mutex::default(),
        }
    }

    async fn pass(&self) -> Result<(), Closed> {
        loop {
            match self.step(Instant::now()) {
                Step::Go => return Ok(()),
                Step::WaitUntil(at) => sleep_until(at).await,
                Step::Refuse(closed) => return Err(closed),
            }
        }
    }

    fn step(&self, now: Instant) -> Step {
        let mut state = self.lock();
        state.quiet = state.quiet.filter(|quiet| quiet.until > now);
        state.spread = state.spread.filter(|spread| spread.until > now);
        let refuse = |wait, told| {
            Step::Refuse(Closed {
                quota: self.quota,
                wait,
                told,
            })
        };
        if let Some(Quiet { until, asked, told }) = state.quiet {
            return match until.duration_since(now) > WAIT_MAX {
                true => refuse(asked, told),
                false => Step::WaitUntil(until),
            };
        }
        if let Some(spread) = state.spread.filter(|spread| spread.next > now) {
            return match spread.next.duration_since(now) > WAIT_MAX {
                true => refuse(spread.pace, Some(spread.told)),
                false => Step::WaitUntil(spread.next),
            };
        }
        if let Some(pace) = self.pace {
            let full_at = state.full_at.map_or(now, |full_at| full_at.max(now));
            let from = full_at.checked_sub(pace * (BURST - 1));
            if let Some(from) = from.filter(|from| *from > now) {
                return Step::WaitUntil(from);
            }
            state.full_at = Some(full_at + pace);
        }
        if let Some(spread) = &mut state.spread {
            spread.next = now + spread.pace;
        }
        Step::Go
    }

    fn close_for(&self, asked: Duration, told: Option<Told>) {
        let until = Instant::now() + asked;
        let quiet = &mut self.lock().quiet;
        if quiet.is_none_or(|standing| standing.until < until) {
            *quiet = Some(Quiet { until, asked, told });
        }
    }

    fn heed(&self, told: Told) {
        let now = Instant::now();
        let advice = told.advice();
        {
            let mut state = self.lock();
            state.told = Some((told, now));
            state.spread = match advice {
                Advice::Plenty | Advice::Spent(_) => None,
                Advice::Spread { pace, lasts } => {
                    let pace = self.bearable(pace);
                    let next = state.spread.map_or(now + pace, |spread| spread.next);
                    Some(Spread {
                        pace,
                        next: next.min(now + pace),
                        until: now + lasts,
                        told,
                    })
                }
            };
            // There is more again, though earlier than was said. A plain wish for quiet may be about something else, but for
            // pulls, of which nothing else is counted.
            if told.remaining > 0 {
                let stays = |quiet: &Quiet| quiet.told.is_none() && self.quota != Quota::Pulls;
                state.quiet = state.quiet.filter(stays);
            }
        }
        if let Advice::Spent(wait) = advice {
            self.close_for(wait, Some(told));
        }
    }

    /// Requests go on slowly to the last one, for a listing is nothing before its last page; pulls can be done without, and
    /// whoever shares the limit needs them.
    fn bearable(&self, pace: Duration) -> Duration {
        match self.quota {
            Quota::Requests => pace.min(WAIT_MAX),
            Quota::Pulls => pace,
        }
    }

    fn standing(&self) -> QuotaStanding {
        let now = Instant::now();
        let state = self.lock();
        let rest = state
            .quiet
            .map(|quiet| quiet.until.saturating_duration_since(now));
        QuotaStanding {
            quota: self.quota,
            told: state.told.map(|(told, at)| (told, now.duration_since(at))),
            quiet_for: rest.filter(|rest| *rest > Duration::ZERO),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep, sleep_until, timeout};

    use super::{BURST, Budget, Closed, IN_FLIGHT, Quota, WAIT_MAX};
    use crate::registry::limit::Told;

    /// How long an answer takes here.
    const ANSWER: Duration = Duration::from_millis(50);

    fn budget(per_second: Option<u32>) -> Budget {
        let pace = per_second.map(|rate| Duration::from_secs(1) / rate);
        Budget::new("budget.example.com", pace, IN_FLIGHT)
    }

    async fn pass(budget: &Budget) -> Result<(), Closed> {
        budget.turn("a", Quota::Requests).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_registry_is_asked_again_when_its_time_has_come() {
        let budget = budget(None);
        let start = Instant::now();
        budget.close_for(Quota::Requests, Duration::from_secs(20));
        budget.close_for(Quota::Requests, Duration::from_secs(5));
        assert!(pass(&budget).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_bound_is_told_at_once() {
        let budget = budget(None);
        let wait = WAIT_MAX + Duration::from_secs(10);
        budget.close_for(Quota::Requests, wait);
        let closed = Closed {
            quota: Quota::Requests,
            wait,
            told: None,
        };
        let start = Instant::now();
        for _ in 0..2 {
            // The same each time, so that it is news once.
            assert_eq!(pass(&budget).await, Err(closed));
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert!(pass(&budget).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_requests_are_in_flight() {
        let budget = budget(None);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(budget.turn("a", Quota::Requests).await.unwrap());
        }
        let ninth = timeout(Duration::from_secs(1), pass(&budget));
        assert!(ninth.await.is_err());
        assert_eq!(budget.standings().in_flight, 8);
        held.pop();
        assert!(pass(&budget).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_requests_are_sent_at_once_and_the_rest_at_the_pace() {
        let budget = budget(Some(5));
        let start = Instant::now();
        for _ in 0..BURST {
            pass(&budget).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for n in 1..=10 {
            pass(&budget).await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_millis(200) * n);
        }
        sleep(Duration::from_secs(3600)).await;
        let start = Instant::now();
        for _ in 0..=BURST {
            pass(&budget).await.unwrap();
        }
        let saved = "an hour of silence saves up no more than a burst";
        assert_eq!(start.elapsed(), Duration::from_millis(200), "{saved}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_requests_of_a_window_are_spread_over_what_is_left_of_it() {
        let budget = budget(None);
        let seconds = Duration::from_secs;
        let told = |remaining, reset| Told {
            limit: Some(100),
            remaining,
            window: Some(seconds(60)),
            resets_in: Some(seconds(reset)),
        };
        let start = Instant::now();
        budget.heed(Quota::Requests, told(10, 20));
        for left in (0..10).rev() {
            pass(&budget).await.unwrap();
            let reset = seconds(20).saturating_sub(start.elapsed());
            budget.heed(Quota::Requests, told(left, reset.as_secs()));
        }
        assert_eq!(
            start.elapsed(),
            seconds(20),
            "the last one when the window ends"
        );
        budget.heed(Quota::Requests, told(0, 30));
        pass(&budget).await.unwrap();
        assert_eq!(
            start.elapsed(),
            seconds(50),
            "none is left, so the reset is waited for"
        );
        let hour = Told {
            resets_in: Some(seconds(3600)),
            ..told(0, 0)
        };
        budget.heed(Quota::Requests, hour);
        let closed = pass(&budget).await.unwrap_err();
        assert_eq!((closed.wait, closed.told), (seconds(3600), Some(hour)));
        budget.heed(Quota::Requests, told(100, 60));
        assert!(
            pass(&budget).await.is_ok(),
            "the registry has more sooner than it said"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_requests_of_an_hour_are_slow_and_no_errors_while_pulls_are_left_to_others() {
        let budget = budget(None);
        let told = Told {
            limit: Some(60),
            remaining: 6,
            window: None,
            resets_in: Some(Duration::from_secs(3600)),
        };
        let start = Instant::now();
        for quota in [Quota::Requests, Quota::Pulls] {
            budget.heed(quota, told);
        }
        for _ in 0..3 {
            pass(&budget).await.unwrap();
        }
        assert_eq!(start.elapsed(), WAIT_MAX * 3);
        let pull = budget.turn("a", Quota::Pulls).await.map(drop);
        assert_eq!(pull.unwrap_err().wait, Duration::from_secs(600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_of_pulls_that_is_used_up_stops_nothing_but_pulls() {
        let budget = budget(None);
        budget.close_for(Quota::Pulls, Duration::from_secs(6 * 3600));
        let pull = budget.turn("a", Quota::Pulls).await.map(drop);
        assert_eq!(pull.unwrap_err().quota, Quota::Pulls);
        budget.close_for(Quota::Pulls, Duration::from_secs(1));
        let start = Instant::now();
        pass(&budget).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// When each request of each lane was sent, where `lanes` have so many to send, all at once or one after the other.
    async fn sent(
        budget: Budget,
        lanes: &[(&'static str, usize, Manner)],
    ) -> BTreeMap<&'static str, Vec<Duration>> {
        let (budget, start) = (Arc::new(budget), Instant::now());
        let sent: Arc<Mutex<BTreeMap<_, Vec<_>>>> = Arc::default();
        let mut running = JoinSet::new();
        for (lane, count, manner) in lanes.iter().copied() {
            let (tasks, each) = match manner {
                Manner::AtOnce => (count, 1),
                Manner::InTurn => (1, count),
            };
            for _ in 0..tasks {
                let (budget, sent) = (Arc::clone(&budget), Arc::clone(&sent));
                running.spawn(async move {
                    for _ in 0..each {
                        let _turn = budget.turn(lane, Quota::Requests).await.unwrap();
                        sent.lock()
                            .unwrap()
                            .entry(lane)
                            .or_default()
                            .push(start.elapsed());
                        sleep(ANSWER).await;
                    }
                });
            }
        }
        running.join_all().await;
        Arc::into_inner(sent).unwrap().into_inner().unwrap()
    }

    #[derive(Clone, Copy)]
    enum Manner {
        AtOnce,
        InTurn,
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_thousand_pages_nor_hundreds_of_questions_hold_up_another_repository() {
        let lanes = [
            ("questions", 640, Manner::AtOnce),
            ("pages", 1000, Manner::InTurn),
            ("small", 3, Manner::InTurn),
        ];
        let sent = sent(budget(Some(10)), &lanes).await;
        // Three lanes at ten a second: each gets its turn once in 0.3 s.
        let small = sent["small"].last().unwrap();
        assert!(*small <= Duration::from_millis(1000), "{small:?}");
        let at_a_minute = |lane: &str| sent[lane].iter().filter(|at| at.as_secs() < 60).count();
        let shares = (at_a_minute("questions"), at_a_minute("pages"));
        assert!(shares.0.abs_diff(shares.1) <= 10, "{shares:?}");
        assert_eq!((sent["questions"].len(), sent["pages"].len()), (640, 1000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_in_line_leaves_the_others_their_places() {
        let budget = budget(Some(1));
        for _ in 0..BURST {
            pass(&budget).await.unwrap();
        }
        let impatient = timeout(
            Duration::from_millis(100),
            budget.turn("b", Quota::Requests),
        );
        assert!(impatient.await.is_err());
        let start = Instant::now();
        pass(&budget).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(900));
        assert_eq!(budget.standings().waiting, 0);
    }

    /// Two thousand repositories, listed every minute by pollers like the daemon's for ten minutes: 33 requests a second on
    /// average, of 50 that are allowed. The in-process registry cannot stand here: it answers over real sockets, and a paused
    /// clock runs on whenever everybody waits for one.
    #[tokio::test(start_paused = true)]
    async fn two_thousand_repositories_are_listed_within_the_budget_and_evenly() {
        const REPOSITORIES: usize = 2_000;
        const RATE: usize = 50;
        fastrand::seed(7);
        let budget = Arc::new(budget(Some(50)));
        let start = Instant::now();
        let sent: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let mut pollers = JoinSet::new();
        for repository in 0..REPOSITORIES {
            let (budget, sent) = (Arc::clone(&budget), Arc::clone(&sent));
            pollers.spawn(async move {
                let mut polls = 0_usize;
                // As the daemon does: a place of its own within the interval, whatever the line does to a listing.
                let interval = Duration::from_secs(60);
                let mut due = start + interval.mul_f64(fastrand::f64());
                while start.elapsed() < Duration::from_secs(600) {
                    // A token first, which is good for five minutes.
                    let requests = if polls.is_multiple_of(5) { 2 } else { 1 };
                    for _ in 0..requests {
                        let _turn = budget
                            .turn(&repository.to_string(), Quota::Requests)
                            .await
                            .unwrap();
                        sent.lock().unwrap().push(start.elapsed());
                        sleep(ANSWER).await;
                    }
                    polls += 1;
                    while due <= Instant::now() {
                        due += interval.mul_f64(0.9 + 0.2 * fastrand::f64());
                    }
                    sleep_until(due).await;
                }
                polls
            });
        }
        let polls = pollers.join_all().await;
        let sent = Arc::into_inner(sent).unwrap().into_inner().unwrap();
        let tokens: usize = polls.iter().map(|polls| polls.div_ceil(5)).sum();
        assert_eq!(sent.len(), polls.iter().sum::<usize>() + tokens);
        let (least, most) = (polls.iter().min().unwrap(), polls.iter().max().unwrap());
        assert!(
            most - least <= 2,
            "no repository is left behind: {least} to {most}"
        );

        // In whichever second: the first of the requests that are a burst and a second's worth apart are further apart.
        let most = RATE + BURST as usize;
        let is_within = |sent: &[Duration]| sent[most] - sent[0] >= Duration::from_secs(1);
        assert!(sent.windows(most + 1).all(is_within));
        let in_seconds = |from: u64, to: u64| {
            let range = Duration::from_secs(from)..Duration::from_secs(to);
            sent.iter().filter(|at| range.contains(*at)).count()
        };
        // The first listings, with a token each, fill the budget and nothing more.
        for second in 0..79 {
            let count = in_seconds(second, second + 1);
            assert!(
                (RATE - 1..=most).contains(&count),
                "second {second}: {count}"
            );
        }
        // From then on each has its place in the minute: 333 listings in ten seconds, and the tokens of five minutes.
        let tens: Vec<usize> = (18..60).map(|n| in_seconds(n * 10, n * 10 + 10)).collect();
        let range = 280..=RATE * 10 + BURST as usize;
        assert!(tens.iter().all(|count| range.contains(count)), "{tens:?}");
    }
}
