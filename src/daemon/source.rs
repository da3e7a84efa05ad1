//! Fetches one source repository again and again, and wakes the workers that use it when its branches moved.
//!
//! What a decision cannot wait for is fetched when it asks (`observe`); so this only sees to it that nothing is older than
//! the interval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::sleep;

use super::poll::jittered;
use super::{Shared, log, metrics};
use crate::manifest::CommitId;
use crate::policy::{RepositoryName, SourceBranch};
use crate::world::Fact;

/// Where the branches stand, or why that is not known.
pub(super) type Heads = BTreeMap<SourceBranch, Result<CommitId, String>>;

/// Polls `repository` until it is cut.
pub(super) async fn poll(shared: Arc<Shared>, repository: RepositoryName) {
    let work = &shared.work;
    let branches = &work.wants.sources[&repository];
    let interval = work.intervals.repositories[&repository];
    let mut heads = None;
    loop {
        let now = (work.clock)();
        work.sources.fetch_source(&repository, branches, now).await;
        let before = heads.replace(heads_of(&shared, &repository, branches));
        let after = heads.as_ref().expect("they were just read");
        log::source(before.as_ref(), after);
        if after.values().all(Result::is_ok) {
            metrics::source_fetched(&repository, now);
        }
        if before.is_none() {
            shared.first_reading_done();
        }
        if before.as_ref() != Some(after) {
            shared.wake_readers_of(&repository);
        }
        sleep(jittered(interval)).await;
    }
}

fn heads_of(shared: &Shared, repository: &RepositoryName, branches: &BTreeSet<String>) -> Heads {
    let head = |branch: &String| {
        let source = SourceBranch {
            repository: repository.clone(),
            branch: branch.clone(),
        };
        let head = match shared.work.sources.source(&source)? {
            Fact::Known(facts) => Ok(facts.head),
            Fact::Unknown { why } => Err(why),
        };
        Some((source, head))
    };
    branches.iter().filter_map(head).collect()
}
