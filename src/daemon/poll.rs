//! Lists one image repository again and again, and wakes the workers that use it when the reading changed.
//!
//! It is time when the interval is over, or at once when an event rang the repository's bell.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument as _, debug_span};

use super::{Shared, log, metrics};
use crate::image::Repository;
use crate::observe::News;
use crate::web::Bell;
use crate::world::{Fact, ImageFacts};

/// How far an interval is stretched or shortened at random, so that many pollers spread out.
const JITTER: f64 = 0.1;

/// Least time between two readings that events ask for. A server allows many more; a flood of events would not.
const BETWEEN_EVENTS: Duration = Duration::from_secs(1);

/// When to read again after an event whose reading brought nothing new. Some registries and forges tell of a change before
/// they show it: caches and replicas follow within a second or so. After 6 s, the next poll is soon enough.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// When a repository is to be read again.
pub(super) struct Pace {
    interval: Duration,
    /// When the next poll is due. It has nothing to do with how long a reading took or stood in line, so that a wave of
    /// readings, as the first ones are, does not come again at every interval.
    due: Instant,
    bell: Arc<Bell>,
    /// When an event last had the repository read.
    by_event: Option<Instant>,
    /// What is left of [`LOOK_AGAIN`] since then.
    looks: &'static [Duration],
}

/// Polls `repository` until it is cut.
pub(super) async fn poll(shared: Arc<Shared>, repository: Repository) {
    let interval = shared.work.intervals.images[&repository];
    let mut pace = Pace::new(interval, shared.work.bells.of(&repository));
    let sources = &shared.work.sources;
    let mut first = true;
    let now = (shared.work.clock)();
    let carried = sources.carried(&repository, &shared.work.wants, (now, interval));
    if let Some((facts, age)) = carried {
        metrics::listed(&repository, &facts);
        shared.first_reading_done();
        first = false;
        pace.go_on(age);
        pace.next(News::Same).await;
    }
    loop {
        let before = sources.image(&repository);
        sources.owe(&repository);
        pace.begin();
        let now = (shared.work.clock)();
        let listing = sources.list(&repository, &shared.work.wants, now);
        let span = debug_span!("listing", image = %repository);
        let news = listing.instrument(span).await;
        let after = sources.image(&repository);
        if let Some(after) = &after {
            log::listing(&repository, before.as_ref(), after);
            metrics::listed(&repository, after);
        }
        if std::mem::take(&mut first) {
            shared.first_reading_done();
        }
        match news {
            News::Changed => shared.wake_users_of(&repository),
            News::Same => {}
        }
        let news = brought(before.as_ref(), after.as_ref());
        if !pace.looks_again(news) {
            sources.settle(&repository);
        }
        pace.next(news).await;
    }
}

/// Whether a listing shows what an event may have told of. That its digests are not known yet is no news here, though it
/// is to the workers: it is so of every listing after a promotion.
fn brought(before: Option<&ImageFacts>, after: Option<&ImageFacts>) -> News {
    let listing = |facts: Option<&ImageFacts>| match &facts?.listing {
        Fact::Known(listing) => Some(listing.clone()),
        Fact::Unknown { .. } => None,
    };
    let (Some(before), Some(after)) = (listing(before), listing(after)) else {
        return News::Same;
    };
    match before.tags == after.tags && before.pushes == after.pushes {
        true => News::Same,
        false => News::Changed,
    }
}

impl Pace {
    pub(super) fn new(interval: Duration, bell: Arc<Bell>) -> Self {
        Self {
            interval,
            due: Instant::now() + interval.mul_f64(fastrand::f64()),
            bell,
            by_event: None,
            looks: &[],
        }
    }

    /// Goes on after a reading of this age that was made before: the next is due when it would have been.
    fn go_on(&mut self, age: Duration) {
        let latest = Instant::now() + self.interval.saturating_sub(age);
        self.due = self.due.min(latest);
    }

    /// Whether a reading with `news` does not show yet what an event told of.
    fn looks_again(&self, news: News) -> bool {
        news == News::Same && !self.looks.is_empty()
    }

    /// Says that a reading begins: what rings from here on may be missing in it.
    pub(super) fn begin(&self) {
        self.bell.answer();
    }

    /// Waits until the repository is to be listed again after a listing with `news`.
    async fn next(&mut self, news: News) {
        let wait = self.after(news);
        tokio::select! {
            biased;
            () = self.rung() => {}
            () = sleep(wait) => {}
        }
    }

    /// How long the next reading can wait, if no event comes, after one with `news`.
    pub(super) fn after(&mut self, news: News) -> Duration {
        let now = Instant::now();
        while self.due <= now {
            self.due += jittered(self.interval);
        }
        let poll = self.due - now;
        match (news, self.looks.split_first()) {
            (News::Same, Some((wait, rest))) => {
                self.looks = rest;
                poll.min(*wait)
            }
            (News::Changed, _) | (News::Same, None) => {
                self.looks = &[];
                poll
            }
        }
    }

    /// Waits until an event asks for a reading. May be dropped at any time.
    pub(super) async fn rung(&mut self) {
        self.bell.due().await;
        if let Some(before) = self.by_event {
            sleep_until(before + BETWEEN_EVENTS).await;
        }
        self.by_event = Some(Instant::now());
        self.looks = &LOOK_AGAIN;
    }
}

/// `interval`, give or take [`JITTER`].
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pace;
    use crate::observe::News;
    use crate::web::{Bell, Rung};

    const HOUR: Duration = Duration::from_secs(3600);

    fn pace() -> Pace {
        Pace {
            interval: HOUR,
            due: Instant::now(),
            bell: Arc::default(),
            by_event: None,
            looks: &[],
        }
    }

    /// Seconds until the next listing, which takes no time.
    async fn seconds(pace: &mut Pace, news: News) -> f64 {
        let start = Instant::now();
        pace.next(news).await;
        pace.bell.answer();
        start.elapsed().as_secs_f64()
    }

    fn about(seconds: f64, expected: f64) -> bool {
        (seconds - expected).abs() < 0.01
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_event_the_interval_decides() {
        let mut pace = pace();
        for news in [News::Changed, News::Same] {
            let seconds = seconds(&mut pace, news).await;
            assert!((3240.0..3960.1).contains(&seconds), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_listed_when_it_is_an_interval_old_at_the_latest() {
        let mut pace = Pace::new(HOUR, Arc::default());
        pace.go_on(HOUR - Duration::from_secs(1));
        assert!(seconds(&mut pace, News::Same).await < 1.01);
        let mut pace = Pace::new(HOUR, Arc::default());
        pace.go_on(Duration::ZERO);
        pace.bell.ring();
        assert!(about(seconds(&mut pace, News::Same).await, 0.0));
        assert!(pace.looks_again(News::Same) && !pace.looks_again(News::Changed));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_answered_at_once_and_twice_more_while_nothing_is_new() {
        let mut pace = pace();
        pace.bell.ring();
        assert!(about(seconds(&mut pace, News::Same).await, 0.0));
        assert!(about(seconds(&mut pace, News::Same).await, 1.0));
        assert!(about(seconds(&mut pace, News::Same).await, 5.0));
        assert!(seconds(&mut pace, News::Same).await > 3000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn news_end_the_looking() {
        let mut pace = pace();
        pace.bell.ring();
        assert!(about(seconds(&mut pace, News::Same).await, 0.0));
        assert!(about(seconds(&mut pace, News::Same).await, 1.0));
        assert!(seconds(&mut pace, News::Changed).await > 3000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_listing_a_second() {
        let mut pace = pace();
        let bell: Arc<Bell> = pace.bell.clone();
        let flood = tokio::spawn(async move {
            for _ in 0..10_000 {
                bell.ring();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let start = Instant::now();
        let mut listings = 0;
        while !flood.is_finished() {
            pace.next(News::Changed).await;
            pace.bell.answer();
            listings += 1;
        }
        assert!(
            (10..=12).contains(&listings),
            "{listings} in {:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_listing_and_one_more_for_what_rang_during_it() {
        let mut pace = pace();
        for _ in 0..10_000 {
            pace.bell.ring();
        }
        assert!(about(seconds(&mut pace, News::Changed).await, 0.0));
        assert_eq!(pace.bell.ring(), Rung::Now);
        for _ in 0..10_000 {
            assert_eq!(pace.bell.ring(), Rung::Already);
        }
        assert!(about(seconds(&mut pace, News::Changed).await, 1.0));
        assert!(seconds(&mut pace, News::Changed).await > 3000.0);
    }
}
