//! The worker of one manifests repository: fetches it when due, and makes a round whenever a reading changed.
//!
//! Invariant: `stop` is looked at between rounds only, so that a push is never cut in half by us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::round::{Hands, Report, round};
use super::{Shared, log, metrics, poll};
use crate::observe::Wants;
use crate::plan::Scope;
use crate::policy::{Policy, RepositoryName};
use crate::web::Health;
use crate::world::Question;

/// How long a worker waits after a wake-up for the others that come with it: polls of many repositories end
/// together, and one push should carry all that they bring.
const GATHER: Duration = Duration::from_millis(100);

/// Works for `repository` until `stop`.
pub(super) async fn work(shared: Arc<Shared>, repository: RepositoryName, index: usize) {
    let work = &shared.work;
    let of_repository = |policy: &&Policy| policy.repository == repository;
    let policies: Vec<Policy> = work
        .policies
        .iter()
        .filter(of_repository)
        .cloned()
        .collect();
    let wants = Wants::of(&policies, &work.branches);
    let scope = Scope {
        policies: &policies,
        branches: &work.branches,
        subject: &work.subject,
    };
    let hands = Hands {
        scope,
        sources: &work.sources,
        wants: &wants,
        signature: &work.signature,
        clock: work.clock,
    };
    let interval = work.intervals.manifests[&repository];
    let mut said = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let mut asking = JoinSet::new();
    let mut fetch_due = Instant::now();
    let mut first = true;
    while !shared.stop.is_cancelled() {
        if Instant::now() >= fetch_due {
            work.sources.fetch(&repository, &wants).await;
            metrics::fetched(&repository, &work.sources, &wants, (work.clock)());
            fetch_due = Instant::now() + poll::jittered(interval);
            if std::mem::take(&mut first) {
                shared.first_reading_done();
            }
        }
        let report = round(hands).await;
        log::report(&report, &mut said);
        metrics::round(&repository, &report);
        for batch in new_questions(&report, &mut asked) {
            let (shared, repository) = (shared.clone(), repository.clone());
            asking.spawn(async move {
                shared.work.sources.ask(batch).await;
                shared.wake[&repository].notify_one();
            });
        }
        while asking.try_join_next().is_some() {}
        wait(&shared, (&repository, index), fetch_due).await;
    }
}

/// What the plan lacks and was not asked yet, one batch per registry, so that a slow one delays only its own.
fn new_questions(report: &Report, asked: &mut BTreeSet<Question>) -> Vec<BTreeSet<Question>> {
    let questions = &report.plan.questions;
    // What the plan no longer lacks was answered, and may be asked again after the next listing.
    asked.retain(|question| questions.contains(question));
    let mut batches: BTreeMap<String, BTreeSet<Question>> = BTreeMap::new();
    for question in questions.difference(asked) {
        let registry = question.repository().registry().to_owned();
        batches
            .entry(registry)
            .or_default()
            .insert(question.clone());
    }
    asked.extend(questions.iter().cloned());
    batches.into_values().collect()
}

/// Waits until something may have changed or the next fetch is due, and shows signs of life meanwhile.
async fn wait(shared: &Shared, (repository, index): (&RepositoryName, usize), fetch_due: Instant) {
    loop {
        shared.health.turned(index);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.wake[repository].notified() => return sleep(GATHER).await,
            () = sleep_until(fetch_due) => return,
            () = sleep(Health::TURN_EVERY) => {}
        }
    }
}
