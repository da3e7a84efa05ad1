//! One round: decide from the latest readings, apply, and do so again at once where somebody was faster.
//!
//! Invariant: a round reads nothing from registries; what a decision lacks is a question for the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use crate::apply::{
    Delivery, MayWrite, Outcome, Places, ProposalEnd, ProposalOutcome, Signature, apply, propose,
};
use crate::forge::{ForgeError, PullRequest};
use crate::observe::{Sources, Wants};
use crate::plan::{Change, Plan, ProposalChange, Remembered, Scope, deployers, plan_again};
use crate::policy::{ConnectionName, RepositoryName};
use crate::world::{ObjectName, Question};

/// How often a round plans anew because a branch moved under it. Each attempt loses only to a push of somebody
/// else within the milliseconds between fetch and push; five such losses in a row mean that a robot fights for
/// the branch, and the next poll is soon enough.
const ATTEMPTS_MAX: usize = 5;

/// Proposals that are carried out before it is asked whether a commit is due: a forge that takes one write a second takes 8 s
/// for as many that are opened, and no commit should wait for hundreds.
const PROPOSALS_AT_ONCE: usize = 8;

/// What a round needs.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) sources: &'a Sources,
    pub(crate) wants: &'a Wants,
    pub(crate) signature: &'a Signature,
    pub(crate) may_write: MayWrite<'a>,
    pub(crate) clock: fn() -> Timestamp,
    /// Of the plans before. No two plans are made at once, so none waits for it.
    pub(crate) remembered: &'a Mutex<Remembered>,
}

/// What a round did.
#[derive(Debug)]
#[must_use]
pub(crate) struct Report {
    /// The last plan that was made; its changes are in the outcomes.
    pub(crate) plan: Plan,
    /// What became of every change, lost races included.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) proposals: Vec<ProposalOutcome>,
    pub(crate) duration: Duration,
}

/// Asks what the plan lacks until it lacks nothing that was not asked before, and gives that plan back.
pub(crate) async fn settle(hands: Hands<'_>) -> Plan {
    let mut asked: BTreeSet<Question> = BTreeSet::new();
    loop {
        let plan = plan_now(hands);
        let new: BTreeSet<Question> = plan.questions.difference(&asked).cloned().collect();
        if new.is_empty() {
            return plan;
        }
        asked.extend(new.iter().cloned());
        hands.sources.ask(new, hands.clock).await;
    }
}

/// Decides and applies, again and at once where a branch moved meanwhile. Who may not write decides all the same, so that what a
/// decision lacks is asked for and people see how it stands; the changes stay in the plan.
///
/// Commits come first: what they change may be what a proposal builds on, so proposals are planned on what they left. One that
/// is refused holds up no proposal.
pub(crate) async fn round(hands: Hands<'_>, stop: &CancellationToken) -> Report {
    let repositories: Vec<&str> = hands
        .wants
        .branches
        .keys()
        .map(RepositoryName::as_str)
        .collect();
    let span = debug_span!("round", repositories = repositories.join(" "));
    Box::pin(round_within(hands, stop)).instrument(span).await
}

async fn round_within(hands: Hands<'_>, stop: &CancellationToken) -> Report {
    let started = Instant::now();
    let (mut outcomes, mut proposals): (Vec<Outcome>, Vec<ProposalOutcome>) = Default::default();
    let mut attempt = 1;
    let plan = loop {
        let mut plan = plan_now(hands);
        if !(hands.may_write)() {
            break plan;
        }
        let changes = std::mem::take(&mut plan.changes);
        let wished = std::mem::take(&mut plan.proposals);
        let done = apply(changes, places(hands)).await;
        let moves = |outcome: &Outcome| match outcome.result {
            Delivery::Pushed { .. } | Delivery::Moved => true,
            Delivery::Withheld | Delivery::Failed { .. } => false,
        };
        let is_deferred = !wished.is_empty() && done.iter().any(moves);
        let (proposed, is_cut) = match is_deferred {
            true => (Vec::new(), false),
            false => propose_some(wished, hands, stop).await,
        };
        refresh(hands, (&done, &proposed)).await;
        let is_moved = done
            .iter()
            .any(|outcome| matches!(outcome.result, Delivery::Moved))
            || proposed
                .iter()
                .any(|outcome| matches!(outcome.end, ProposalEnd::Moved));
        outcomes.extend(done);
        proposals.extend(proposed);
        let goes_on = is_moved || is_deferred || is_cut;
        if !goes_on || attempt == ATTEMPTS_MAX || stop.is_cancelled() {
            break plan;
        }
        attempt += 1;
    };
    Report {
        plan,
        outcomes,
        proposals,
        duration: started.elapsed(),
    }
}

/// Carries out `wished`, some at a time, until a commit is due or it is time to stop. Also whether something is left.
async fn propose_some(
    wished: Vec<ProposalChange>,
    hands: Hands<'_>,
    stop: &CancellationToken,
) -> (Vec<ProposalOutcome>, bool) {
    let before: Vec<Change> = plan_now(hands).changes;
    let mut outcomes = Vec::new();
    let mut wished = wished.into_iter().peekable();
    while wished.peek().is_some() {
        let some = wished.by_ref().take(PROPOSALS_AT_ONCE).collect();
        outcomes.extend(propose(some, places(hands)).await);
        let is_left = wished.peek().is_some();
        if is_left && (stop.is_cancelled() || plan_now(hands).changes != before) {
            return (outcomes, true);
        }
    }
    (outcomes, false)
}

fn places(hands: Hands<'_>) -> Places<'_> {
    Places {
        mirrors: hands.sources.mirrors(),
        forges: hands.sources.forges(),
        signature: hands.signature,
        may_write: hands.may_write,
        now: (hands.clock)(),
    }
}

/// The Applications that deploy what was pushed to branches that they read, as far as they are known.
pub(crate) fn deployers_of(
    outcomes: &[Outcome],
    hands: Hands<'_>,
) -> BTreeSet<(ConnectionName, ObjectName)> {
    let pushed = outcomes.iter().filter_map(|outcome| match &outcome.result {
        Delivery::Pushed { commits } => Some((&outcome.branch, commits)),
        Delivery::Moved | Delivery::Withheld | Delivery::Failed { .. } => None,
    });
    let mut pushed = pushed.peekable();
    if pushed.peek().is_none() {
        return BTreeSet::new();
    }
    let world = hands.sources.world(hands.wants);
    let found = pushed.map(|(branch, commits)| {
        let promotions = commits.iter().flat_map(|(commit, _)| &commit.promotions);
        deployers(&hands.scope, &world, (branch, promotions))
    });
    found.flatten().collect()
}

/// Reads anew what was written.
async fn refresh(hands: Hands<'_>, (done, proposed): (&[Outcome], &[ProposalOutcome])) {
    let pushed = done.iter().map(|outcome| &outcome.branch.repository);
    let proposed_to = proposed
        .iter()
        .map(|outcome| &outcome.change.head.repository);
    let touched: BTreeSet<RepositoryName> = pushed.chain(proposed_to).cloned().collect();
    let mut written: BTreeMap<&RepositoryName, Vec<PullRequest>> = BTreeMap::new();
    for outcome in proposed {
        let repository = &outcome.change.head.repository;
        if let Some(request) = &outcome.request {
            let of_repository = written.entry(repository).or_default();
            of_repository.push(request.clone());
        }
        if let ProposalEnd::ForgeFailed(ForgeError::Exists { .. }) = outcome.end {
            hands.sources.doubt_requests(repository);
        }
    }
    // All at once: the whole reading is made anew.
    for (repository, written) in written {
        hands.sources.keep_requests(repository, written);
    }
    for repository in &touched {
        hands.sources.fetch(repository, hands.wants).await;
    }
}

fn plan_now(hands: Hands<'_>) -> Plan {
    let _span = debug_span!("decide", policies = hands.scope.policies.len()).entered();
    let world = hands.sources.world(hands.wants);
    let remembered = hands.remembered.lock();
    // A plan that panicked left it whole: each entry is good by itself.
    let mut remembered = remembered.unwrap_or_else(PoisonError::into_inner);
    plan_again(&hands.scope, &world, (hands.clock)(), &mut remembered)
}
