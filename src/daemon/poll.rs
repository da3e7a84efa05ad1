//! Lists one image repository again and again, and wakes the workers that use it when the reading changed.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, log, metrics};
use crate::image::Repository;
use crate::observe::News;

/// How far an interval is stretched or shortened at random, so that many pollers spread out.
const JITTER: f64 = 0.1;

/// Polls `repository` until it is cut.
pub(super) async fn poll(shared: Arc<Shared>, repository: Repository) {
    let interval = shared.work.intervals.images[&repository];
    let mut first = true;
    loop {
        let before = shared.work.sources.image(&repository);
        let news = shared
            .work
            .sources
            .list(&repository, &shared.work.wants, (shared.work.clock)())
            .await;
        if let Some(after) = shared.work.sources.image(&repository) {
            log::listing(&repository, before.as_ref(), &after);
            metrics::listed(&repository, &after);
        }
        if std::mem::take(&mut first) {
            shared.first_reading_done();
        }
        match news {
            News::Changed => shared.wake_users_of(&repository),
            News::Same => {}
        }
        tokio::time::sleep(jittered(interval)).await;
    }
}

/// `interval`, give or take [`JITTER`].
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}
