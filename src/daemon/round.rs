//! One round: decide from the latest readings, apply, and do so again at once where somebody was faster.
//!
//! Invariant: a round reads nothing from registries; what a decision lacks is a question for the caller.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::apply::{
    Delivery, Outcome, Places, ProposalEnd, ProposalOutcome, Signature, apply, propose,
};
use crate::forge::ForgeError;
use crate::observe::{Sources, Wants};
use crate::plan::{Plan, Scope, plan};
use crate::policy::RepositoryName;
use crate::world::Question;

/// How often a round plans anew because a branch moved under it. Each attempt loses only to a push of somebody
/// else within the milliseconds between fetch and push; five such losses in a row mean that a robot fights for
/// the branch, and the next poll is soon enough.
const ATTEMPTS_MAX: usize = 5;

/// What a round needs.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) sources: &'a Sources,
    pub(crate) wants: &'a Wants,
    pub(crate) signature: &'a Signature,
    pub(crate) clock: fn() -> Timestamp,
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

/// Decides and applies, again and at once where a branch moved meanwhile.
///
/// Commits come first: what they change may be what a proposal builds on, so proposals are planned on what they left.
pub(crate) async fn round(hands: Hands<'_>) -> Report {
    let started = Instant::now();
    let (mut outcomes, mut proposals) = (Vec::new(), Vec::new());
    let mut attempt = 1;
    let plan = loop {
        let mut plan = plan_now(hands);
        let changes = std::mem::take(&mut plan.changes);
        let wished = std::mem::take(&mut plan.proposals);
        let deferred = !changes.is_empty() && !wished.is_empty();
        let done = apply(
            changes,
            hands.sources.mirrors(),
            hands.signature,
            (hands.clock)(),
        )
        .await;
        let proposed = match deferred {
            true => Vec::new(),
            false => propose(wished, places(hands)).await,
        };
        refresh(hands, (&done, &proposed)).await;
        let moved = done
            .iter()
            .any(|outcome| matches!(outcome.result, Delivery::Moved))
            || proposed
                .iter()
                .any(|outcome| matches!(outcome.end, ProposalEnd::Moved));
        outcomes.extend(done);
        proposals.extend(proposed);
        if !(moved || deferred) || attempt == ATTEMPTS_MAX {
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

fn places(hands: Hands<'_>) -> Places<'_> {
    Places {
        mirrors: hands.sources.mirrors(),
        forges: hands.sources.forges(),
        signature: hands.signature,
        now: (hands.clock)(),
    }
}

/// Reads anew what was written.
async fn refresh(hands: Hands<'_>, (done, proposed): (&[Outcome], &[ProposalOutcome])) {
    let pushed = done.iter().map(|outcome| &outcome.branch.repository);
    let proposed_to = proposed
        .iter()
        .map(|outcome| &outcome.change.head.repository);
    let touched: BTreeSet<RepositoryName> = pushed.chain(proposed_to).cloned().collect();
    for outcome in proposed {
        let repository = &outcome.change.head.repository;
        if let Some(written) = &outcome.request {
            hands.sources.keep_request(repository, written.clone());
        }
        if let ProposalEnd::ForgeFailed(ForgeError::Exists { .. }) = outcome.end {
            hands.sources.doubt_requests(repository);
        }
    }
    for repository in &touched {
        hands.sources.fetch(repository, hands.wants).await;
    }
}

fn plan_now(hands: Hands<'_>) -> Plan {
    plan(
        &hands.scope,
        &hands.sources.world(hands.wants),
        (hands.clock)(),
    )
}
