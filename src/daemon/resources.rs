//! Custom resources while the daemon runs: how old their reading is, and their status, which whoever leads writes.
//!
//! Not here: what a status says (`resource_status`), and what the resources mean (`config`).
//! Invariant: what stands there already is not written again, and one object is written at most once in [`GATHER`], whatever
//! configurations follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value as Json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::resource_status::{Known, status};
use super::{Shared, Work, metrics};
use crate::cluster::resources::{Resource, ResourceId, Resources, Seen};
use crate::config::{Judged, Verdict};
use crate::observe::whole_message;
use crate::plan::Decided;
use crate::policy::PolicyName;
use crate::web::NamespaceStatus;

/// How long is waited for further news before a status is written: a round, its push and the reading after it take a few seconds, and
/// nobody looks more often.
const GATHER: Duration = Duration::from_secs(5);

/// How often it is looked whether everything is written, without any news: somebody may have changed a status, or a write failed.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Writes that are under way at once: of 10 ms each, 10,000 resources take 13 s.
const WRITES_MAX: usize = 8;

/// The custom resources that policies come from.
pub(crate) struct CustomResources {
    pub(crate) resources: Arc<Resources>,
    /// The names of the policies that they bring.
    pub(crate) names: BTreeSet<PolicyName>,
    /// Those whose status we write.
    pub(crate) judged: Vec<Judged>,
    /// How many there are, and how many of them count, by namespace.
    pub(crate) counts: BTreeMap<String, (usize, usize)>,
    /// The applications of each fleet among them.
    pub(crate) members: BTreeMap<PolicyName, BTreeSet<PolicyName>>,
    /// What keeps a policy or applications of a fleet from counting.
    pub(crate) troubles: BTreeMap<PolicyName, Vec<String>>,
    /// It outlasts the work.
    pub(crate) decided: Arc<LastDecided>,
}

/// What was decided last of each policy of custom resources.
#[derive(Default)]
pub(crate) struct LastDecided {
    by_policy: Mutex<BTreeMap<PolicyName, Vec<Decided>>>,
    /// When statuses were last written.
    written: Mutex<Option<Instant>>,
    news: Notify,
}

/// Notes what a round decided, in which the decisions of one policy stand together.
pub(super) fn note(work: &Work, decided: &[Decided]) {
    if let Some(custom) = &work.custom_resources {
        custom.decided.note(decided, &custom.names);
    }
}

impl LastDecided {
    fn note(&self, decided: &[Decided], names: &BTreeSet<PolicyName>) {
        let mut is_new = false;
        let mut by_policy = self.by_policy();
        for of_one in decided.chunk_by(|one, other| one.policy == other.policy) {
            let name = &of_one[0].policy;
            if !names.contains(name) {
                continue;
            }
            if by_policy.get(name).is_none_or(|before| before != of_one) {
                by_policy.insert(name.clone(), of_one.to_vec());
                is_new = true;
            }
        }
        if is_new {
            self.news.notify_one();
        }
    }

    /// Forgets the policies that are not there any more.
    pub(crate) fn retain(&self, is_there: impl Fn(&PolicyName) -> bool) {
        self.by_policy().retain(|name, _| is_there(name));
    }

    /// Waits until statuses may be written again.
    async fn turn(&self) {
        let last = *self.written();
        if let Some(last) = last {
            sleep_until(last + GATHER).await;
        }
    }

    fn written(&self) -> MutexGuard<'_, Option<Instant>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, names: impl Iterator<Item = PolicyName>) -> Vec<Vec<Decided>> {
        let by_policy = self.by_policy();
        names
            .map(|name| by_policy.get(&name).cloned().unwrap_or_default())
            .collect()
    }

    fn by_policy(&self) -> MutexGuard<'_, BTreeMap<PolicyName, Vec<Decided>>> {
        let by_policy = self.by_policy.lock();
        by_policy.unwrap_or_else(PoisonError::into_inner)
    }
}

impl CustomResources {
    /// How the reading of each namespace stands.
    pub(super) fn shown(&self) -> Vec<NamespaceStatus> {
        let Seen { namespaces, .. } = self.resources.seen().unwrap_or_default();
        let shown = namespaces.into_iter().map(|seen| {
            let counts = self.counts.get(&seen.namespace).copied();
            let (resources, refused) = counts.unwrap_or_default();
            NamespaceStatus {
                namespace: seen.namespace,
                resources,
                refused,
                read_at: seen.heard.map(|heard| heard.to_string()),
                error: seen.failure,
            }
        });
        shown.collect()
    }

    /// What was decided of a resource, and what keeps it from counting.
    fn known_of(&self, judged: &Judged) -> (Vec<Vec<Decided>>, Vec<String>) {
        let Ok(name) = judged.id.name.parse::<PolicyName>() else {
            return Default::default();
        };
        let troubles = self.troubles.get(&name).cloned().unwrap_or_default();
        let decided = match &judged.verdict {
            Verdict::Policy => self.decided.of(std::iter::once(name)),
            Verdict::Fleet => {
                let members = self.members.get(&name).into_iter().flatten();
                self.decided.of(members.cloned())
            }
            Verdict::Route | Verdict::Refused(_) | Verdict::Taken(_) => Vec::new(),
        };
        (decided, troubles)
    }
}

/// Says how old the readings are, and writes the statuses while we lead, until it is cut.
pub(super) async fn keep(shared: Arc<Shared>) {
    let Some(custom) = &shared.work.custom_resources else {
        return std::future::pending().await;
    };
    let mut lead = shared.work.lead.clone();
    let mut complaint = None;
    loop {
        for seen in custom.resources.seen().unwrap_or_default().namespaces {
            metrics::resources_read(&seen);
        }
        if lead.term().is_some() {
            custom.decided.turn().await;
            let failed = write_all(&shared, custom).await;
            if failed.is_some() && failed != complaint {
                let why = &failed;
                tracing::warn!(why, "the status of custom resources cannot be written");
            }
            complaint = failed;
        }
        tokio::select! {
            () = custom.decided.news.notified() => {}
            () = lead.changed() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        sleep(GATHER).await;
    }
}

/// Writes what does not stand there yet, and gives the first reason why that could not be.
async fn write_all(shared: &Shared, custom: &CustomResources) -> Option<String> {
    let Seen { resources, .. } = custom.resources.seen()?;
    let there: BTreeMap<&ResourceId, _> = resources.iter().map(|one| (&one.id, one)).collect();
    let due = custom.judged.iter().filter_map(|judged| {
        let resource = there.get(&judged.id)?;
        // Of what changed since, the next work tells.
        if (resource.generation, &resource.uid) != (judged.generation, &judged.uid) {
            return None;
        }
        let (decided, troubles) = custom.known_of(judged);
        let known = Known {
            judged,
            troubles: &troubles,
            decided: &decided,
        };
        let now = (shared.work.clock)();
        let status = status(known, &resource.status, now);
        (!resource.status.says(&status)).then_some((*resource, status))
    });
    let due: Vec<(&Arc<Resource>, Json)> = due.collect();
    let mut first = None;
    for some in due.chunks(WRITES_MAX) {
        // One that ceased to lead meanwhile leaves the rest to the next.
        shared.work.lead.term()?;
        *custom.decided.written() = Some(Instant::now());
        let writes = some.iter();
        let writes = writes.map(|(one, status)| custom.resources.write_status(one, status));
        // What changed meanwhile is news, and written after it.
        let writes: Vec<_> = writes.collect();
        for error in join_all(writes).await.into_iter().filter_map(Result::err) {
            first.get_or_insert_with(|| whole_message(&error, error.hint()));
        }
    }
    first
}
