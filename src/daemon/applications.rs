//! Follows one connection to Argo CD, and wakes the workers when something changed there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Shared, log, metrics};
use crate::policy::ConnectionName;
use crate::world::Fact;

/// Least time between two wake-ups: a sync changes an Application many times within a second, and a cluster that comes back
/// changes all of them.
const BETWEEN_WAKES: Duration = Duration::from_secs(1);

/// How often it is looked whether the reading is still good: it may grow stale without a word.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Follows `name` until it is cut.
pub(super) async fn follow(shared: Arc<Shared>, name: ConnectionName) {
    let connection = shared.work.sources.connection(&name);
    tokio::join!(connection.follow(), tell(&shared, &name));
}

/// Says what changed, and wakes the workers.
async fn tell(shared: &Shared, name: &ConnectionName) {
    let connection = shared.work.sources.connection(name);
    let mut before = None;
    loop {
        let news = timeout(LOOK_EVERY, connection.changed()).await;
        let Some(after) = connection.shown() else {
            continue;
        };
        log::applications(name, before.as_ref(), &after);
        if let Fact::Known(known) = &after {
            metrics::applications_read(name, known.at);
        }
        let is_known = matches!(after, Fact::Known(_));
        let was_known = before
            .replace(after)
            .map(|fact| matches!(fact, Fact::Known(_)));
        if was_known.is_none() {
            shared.first_reading_done();
        }
        if news.is_ok() || was_known != Some(is_known) {
            shared.wake_all();
            sleep(BETWEEN_WAKES).await;
        }
    }
}
