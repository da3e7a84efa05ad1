//! What becomes of an environment that a promotion made degraded: where the policy says so, the version before comes back.
//!
//! Invariant: never in a loop. Only what a promotion of ours brought is taken back, what was taken back is rejected from then on, and
//! what came back is not taken back again.

use jiff::{SignedDuration, Timestamp};

use super::choice::promote;
use super::decide::{Notes, Subject};
use super::held::Rejected;
use super::pin::wanted;
use super::standing::Located;
use super::{Ground, HoldReason, Promote};
use crate::ledger::{HeldVersion, Recorded};
use crate::manifest::Standing;
use crate::policy::OnDegraded;
use crate::policy::gate::Condition;
use crate::world::World;

/// The promotion to the version before, where it is due.
pub(super) fn recovered(
    subject: Subject<'_>,
    (sites, recorded): (Vec<(Located, Standing)>, &Recorded),
    rejected: &Rejected,
    (world, now): (&World, Timestamp),
    notes: &mut Notes,
) -> Option<Promote> {
    let due = due(subject, recorded, notes)?;
    if due > now {
        notes.next = notes.next.into_iter().chain([due]).min();
        return None;
    }
    let before = recorded.moved.replaced.as_deref()?;
    let rule = &subject.environment.rules[subject.name];
    let version = match rule.followed() {
        Some(_) => HeldVersion::Digest(before.parse().ok()?),
        None => HeldVersion::Tag(before.parse().ok()?),
    };
    let is_rejected = match &version {
        HeldVersion::Tag(tag) => rejected.tag(tag).is_some(),
        HeldVersion::Digest(digest) => rejected.digest(digest).is_some(),
    };
    if is_rejected {
        return None;
    }
    let candidate = notes.candidate.take();
    let to = wanted(&version, subject, (world, notes));
    let Ok(Ok(to)) = to else {
        notes.candidate = candidate;
        return None;
    };
    Some(promote(subject, (to, None), sites, Ground::Degraded))
}

/// Why nothing comes: `reason`, unless that is that all is done, where it did no good. Notes when the version before comes back,
/// whatever the reason.
pub(super) fn degraded(
    reason: HoldReason,
    (subject, now): (Subject<'_>, Timestamp),
    recorded: Option<&Recorded>,
    notes: &mut Notes,
) -> HoldReason {
    let due = recorded.and_then(|recorded| due(subject, recorded, notes));
    let until = due.filter(|due| *due > now);
    notes.next = notes.next.into_iter().chain(until).min();
    match (reason, &notes.health) {
        (
            HoldReason::Newest,
            Some(Condition::NotYet {
                why,
                degraded: Some(_),
            }),
        ) => HoldReason::Degraded {
            why: why.clone(),
            until,
        },
        (reason, _) => reason,
    }
}

/// When what stands there is to be taken back, if it is degraded since a promotion of ours brought it.
fn due(subject: Subject<'_>, recorded: &Recorded, notes: &Notes) -> Option<Timestamp> {
    let OnDegraded::Rollback { grace } = subject.environment.on_degraded else {
        return None;
    };
    let Some(Condition::NotYet {
        degraded: Some(since),
        ..
    }) = notes.health
    else {
        return None;
    };
    // What was degraded before it came is not its fault; clocks of clusters and git servers may differ by some seconds.
    let came = recorded.at.saturating_sub(CLOCKS).unwrap_or(Timestamp::MIN);
    let is_to_blame = since >= came && !recorded.moved.rejects;
    let due = since.saturating_add(grace).unwrap_or(Timestamp::MAX);
    is_to_blame.then_some(due)
}

/// How much the clocks of a cluster and of whoever commits may differ.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);
