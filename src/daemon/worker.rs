//! The worker of one manifests repository: reads it when due or at once when an event rang its bell, and makes a round whenever
//! a reading changed.
//!
//! Invariant: `stop` is looked at between rounds, and in one between proposals, so that a push is never cut in half by us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{Instrument as _, debug_span};

use super::ask::Asking;
use super::poll::Pace;
use super::round::{Hands, Report, deployers_of, round};
use super::{Shared, Work, log, metrics, resources, tell};
use crate::apply::{Delivery, MadeBy, Outcome, ProposalEnd, ProposalOutcome};
use crate::cluster::lease::Lead;
use crate::observe::{News, Sources, Wants};
use crate::plan::{Remembered, Scope};
use crate::policy::{ConnectionName, HEAD_PREFIX, Policy, RepositoryName};
use crate::web::Health;
use crate::world::{BranchName, ObjectName, World};

/// How long a worker waits after a wake-up for one more, and after each of those, since one push should carry all that
/// comes together. Polls that are answered by one registry end a few milliseconds apart: at the start, after an outage, and
/// when one pipeline pushes several images. A push that comes alone waits no longer than this.
const GATHER: Duration = Duration::from_millis(20);

/// How long it gathers at most while wake-ups keep coming: five gaps. By then it is a stream, and what comes later goes
/// with the next push.
const GATHER_MAX: Duration = Duration::from_millis(100);

/// After this long Argo CD has looked at git by itself, as it does by default:
/// <https://argo-cd.readthedocs.io/en/stable/faq/#how-often-does-argo-cd-check-for-changes-to-my-git-or-helm-repository>.
const LOOKS_BY_ITSELF: Duration = Duration::from_secs(180);

/// How long is slept at most where nothing is to come: a clock that was put on is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// Works for `repository` until `stop`.
pub(super) async fn work(shared: Arc<Shared>, repository: RepositoryName, index: usize) {
    let work = &shared.work;
    let policies = policies_of(work, &repository);
    let folders = work.wants.folders.get(&repository);
    let folders = folders.into_iter().flatten().cloned();
    let wants = Wants::of(&policies, &work.branches).with_folders(folders);
    let committer = work.signature.committer.to_string();
    let scope = scope(work, &policies, &committer);
    let remembered = Mutex::new(Remembered::default());
    let interval = work.intervals.repositories[&repository];
    let mut reading = Reading {
        pace: Pace::new(interval, work.bells.of_manifests(&repository)),
        due: Instant::now(),
        lead: work.lead.clone(),
        term: None,
    };
    let mut said = BTreeMap::new();
    let mut asking = Asking::default();
    let mut untold = Untold::default();
    let mut first = true;
    while !shared.stop.is_cancelled() {
        if reading.is_due() {
            reading.pace.begin();
            let news = tokio::select! {
                () = shared.stop.cancelled() => break,
                news = read(&work.sources, &repository, (&wants, (work.clock)()))
                    .instrument(debug_span!("fetch", %repository)) => news,
            };
            if work
                .fleets
                .are_outdated(&work.sources.world(&wants).folders)
            {
                // These policies are not those of the branch: new work follows at once.
                work.fleets.moved.notify_one();
                shared.stop.cancelled().await;
                break;
            }
            let now = (work.clock)();
            if metrics::fetched(&repository, &work.sources, &wants, now) {
                shared.fetched().insert(repository.clone(), now);
            }
            reading.due = Instant::now() + reading.pace.after(news);
            if std::mem::take(&mut first) {
                shared.first_reading_done();
            }
        }
        // Who leads since a moment ago has not read yet.
        let may_write = || work.lead.leads_in(reading.term);
        let hands = Hands {
            scope,
            sources: &work.sources,
            wants: &wants,
            signature: &work.signature,
            may_write: &may_write,
            clock: work.clock,
            remembered: &remembered,
        };
        let begun = (work.clock)();
        let report = round(hands, &shared.stop).await;
        let held = log::report(&report, &mut said);
        tell::report(work, (&scope, &wants), &report, &held);
        metrics::round(&repository, &report);
        resources::note(work, &report.plan.decisions);
        asking.ask(&shared, &report.plan.questions);
        let patience = Patience::after(&report);
        let turn = Instant::now() + rest(report.plan.nexts(), (begun, (work.clock)()));
        compare_now(&work.sources, untold.told(report.outcomes, hands));
        let place = (&repository, index);
        wait(&shared, place, (&mut reading, patience, &mut asking), turn).await;
    }
    asking.end().await;
}

/// What was pushed while it was not known which Applications there are: as they come to be known, there is another round.
#[derive(Default)]
struct Untold(Vec<(Instant, Outcome)>);

impl Untold {
    /// The Applications to tell of these and of what was kept; none while they are not known.
    fn told(
        &mut self,
        outcomes: Vec<Outcome>,
        hands: Hands<'_>,
    ) -> BTreeSet<(ConnectionName, ObjectName)> {
        let Self(untold) = self;
        let now = Instant::now();
        untold.retain(|(pushed, _)| now.duration_since(*pushed) < LOOKS_BY_ITSELF);
        untold.extend(outcomes.into_iter().map(|outcome| (now, outcome)));
        if untold.is_empty() || !hands.sources.knows_applications() {
            return BTreeSet::new();
        }
        let pushed: Vec<Outcome> = untold.drain(..).map(|(_, outcome)| outcome).collect();
        deployers_of(&pushed, hands)
    }
}

/// Asks Argo CD to look at what was pushed; no round waits for that, and it is tried once, since Argo CD looks by itself soon.
fn compare_now(sources: &Arc<Sources>, applications: BTreeSet<(ConnectionName, ObjectName)>) {
    if applications.is_empty() {
        return;
    }
    let sources = sources.clone();
    tokio::spawn(async move {
        for (application, error) in sources.compare_now(applications).await {
            log::not_refreshed(&application, &error);
        }
    });
}

fn policies_of(work: &Work, repository: &RepositoryName) -> Vec<Policy> {
    let is_of = |policy: &&Policy| policy.repository == *repository;
    work.policies.iter().filter(is_of).cloned().collect()
}

/// What is planned of a repository that has `policies`.
fn scope<'a>(work: &'a Work, policies: &'a [Policy], committer: &'a str) -> Scope<'a> {
    Scope {
        policies,
        branches: &work.branches,
        subject: &work.subject,
        forges: &work.forges,
        origins: &work.origins,
        addresses: &work.addresses,
        renders: work.renders,
        committer,
        is_sealed: work.signature.made_by == MadeBy::Forge,
    }
}

/// When the repository is read next.
struct Reading {
    pace: Pace,
    due: Instant,
    lead: Lead,
    /// The term for which it was read, if we led then.
    term: Option<u64>,
}

impl Reading {
    /// Whether it is time. Whoever begins to lead reads before it writes anything what the one before wrote last.
    fn is_due(&mut self) -> bool {
        let term = self.lead.term();
        let begins = term.is_some() && term != self.term;
        self.term = term;
        begins || Instant::now() >= self.due
    }
}

/// Reads what people do: pull requests last, so that one whose promotion was fetched is not listed as open.
async fn read(
    sources: &Sources,
    repository: &RepositoryName,
    (wants, now): (&Wants, Timestamp),
) -> News {
    let shown = || {
        let World {
            branches,
            requests,
            proposals,
            images: _,
            folders: _,
            sources: _,
            ranges: _,
            rendered: _,
            applications: _,
            ancestry: _,
            checks: _,
        } = sources.world(wants);
        (branches, requests, proposals)
    };
    let before = shown();
    sources.fetch(repository, wants).await;
    if wants.proposals.contains_key(repository) {
        let prefix = (HEAD_PREFIX, now);
        sources.read_requests(repository, wants, prefix).await;
    }
    match shown() == before {
        true => News::Same,
        false => News::Changed,
    }
}

/// What ends a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Whatever may have changed.
    UntilNews,
    /// The next reading alone: a server that refuses a push would refuse it again at each wake-up.
    UntilReading,
}

impl Patience {
    fn after(report: &Report) -> Self {
        let last: BTreeMap<&BranchName, &Delivery> = report
            .outcomes
            .iter()
            .map(|outcome| (&outcome.branch, &outcome.result))
            .collect();
        let is_done = |result: &&Delivery| match result {
            // Who is withheld waits for the lead, which is news.
            Delivery::Pushed { .. } | Delivery::Withheld => true,
            Delivery::Moved | Delivery::Failed { .. } => false,
        };
        let is_proposed = |outcome: &ProposalOutcome| match outcome.end {
            ProposalEnd::Done | ProposalEnd::Withheld => true,
            ProposalEnd::Moved | ProposalEnd::PushFailed(_) | ProposalEnd::ForgeFailed(_) => false,
        };
        let proposals = report.proposals.iter();
        let last_proposals: BTreeMap<&BranchName, bool> = proposals
            .map(|outcome| (&outcome.change.head, is_proposed(outcome)))
            .collect();
        match last.values().all(is_done) && last_proposals.into_values().all(|done| done) {
            true => Self::UntilNews,
            false => Self::UntilReading,
        }
    }
}

/// Waits until something may have changed or the next reading is due, and shows signs of life meanwhile.
async fn wait(
    shared: &Shared,
    (repository, index): (&RepositoryName, usize),
    (reading, patience, asking): (&mut Reading, Patience, &mut Asking),
    turn: Instant,
) {
    let hears_news = patience == Patience::UntilNews;
    loop {
        shared.health.turned(index);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            // At once: the answers are only as good as the listing that they belong to.
            () = asking.answered(), if hears_news => return,
            () = shared.wake[repository].notified(), if hears_news => {
                return gather(&shared.wake[repository]).await;
            }
            () = reading.pace.rung() => {
                reading.due = Instant::now();
                return;
            }
            () = sleep_until(reading.due) => return,
            () = reading.lead.changed() => return,
            () = sleep_until(turn), if hears_news => return,
            () = sleep(Health::TURN_EVERY) => {}
        }
    }
}

/// How long it is until time alone may change a decision of a round that `begun` then, at most [`SLEEP_MAX`]. What came while the
/// round pushed is due at once.
fn rest(nexts: impl Iterator<Item = Timestamp>, (begun, now): (Timestamp, Timestamp)) -> Duration {
    let next = nexts.filter(|next| *next > begun).min();
    let rest = next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    rest.unwrap_or(SLEEP_MAX).min(SLEEP_MAX)
}

/// Waits for the wake-ups that come with the first.
async fn gather(wake: &Notify) {
    let end = Instant::now() + GATHER_MAX;
    while Instant::now() < end && timeout(GATHER, wake.notified()).await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio::time::{Instant, sleep};

    use super::{GATHER, GATHER_MAX, SLEEP_MAX, Timestamp, gather, rest};

    #[test]
    fn a_moment_that_came_while_a_round_pushed_is_due_at_once_and_one_before_it_is_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let rest = |nexts: &[i64]| {
            let nexts = nexts.iter().map(|next| at(*next));
            rest(nexts, (at(100), at(105))).as_secs()
        };
        assert_eq!(rest(&[103, 110]), 0);
        assert_eq!(rest(&[100, 110]), 5);
        for far in [&[][..], &[100], &[1_000_000]] {
            assert_eq!(rest(far), SLEEP_MAX.as_secs());
        }
    }

    /// How long is gathered where wake-ups come with this gap.
    async fn gathered(gap: Duration) -> Duration {
        let wake = Arc::new(Notify::new());
        let (rung, start) = (wake.clone(), Instant::now());
        let ringing = tokio::spawn(async move {
            for _ in 0..100 {
                sleep(gap).await;
                rung.notify_one();
            }
        });
        gather(&wake).await;
        ringing.abort();
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_that_comes_alone_waits_for_one_gap_and_a_stream_for_so_long_and_no_longer() {
        let ms = Duration::from_millis;
        assert_eq!(gathered(ms(60_000)).await.as_millis(), GATHER.as_millis());
        let stream = gathered(ms(10)).await;
        assert!(
            stream >= GATHER_MAX && stream <= GATHER_MAX + GATHER,
            "{stream:?}"
        );
    }
}
