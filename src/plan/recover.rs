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
use crate::image::Tag;
use crate::ledger::{HeldVersion, Ledger, Recorded};
use crate::manifest::{Standing, Version, Write};
use crate::policy::OnDegraded;
use crate::policy::gate::Condition;
use crate::world::World;

/// The promotion to the version before, or why it cannot come back, where it is due.
pub(super) fn recovered(
    subject: Subject<'_>,
    (sites, recorded, ledger): (Vec<(Located, Standing)>, &Recorded, &Ledger),
    rejected: &Rejected,
    (world, now): (&World, Timestamp),
    notes: &mut Notes,
) -> Option<Result<Promote, HoldReason>> {
    due(subject, recorded, notes).filter(|due| *due <= now)?;
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
    let to = as_it_ran(to, (subject, rule.followed()), ledger);
    Some(to.map(|to| promote(subject, (to, None), sites, Ground::Degraded)))
}

/// The version as the build that it was here before: no gate judges what its tag points to since.
fn as_it_ran(
    to: Version,
    (subject, followed): (Subject<'_>, Option<&Tag>),
    ledger: &Ledger,
) -> Result<Version, HoldReason> {
    let Subject {
        policy,
        environment,
        name,
        image,
    } = subject;
    let before = ledger.latest_of((&policy.name, &environment.name, name), &to.tag);
    let before = before.filter(|before| before.moved.repository == image.repository);
    let ran = before.and_then(|before| before.moved.digest.clone());
    match (ran, to.digest.clone()) {
        (Some(ran), Some(now)) if followed.is_none() && ran != now => {
            match environment.write_of(name) {
                Write::Digest | Write::TagAndDigest => Ok(Version {
                    digest: Some(ran),
                    ..to
                }),
                Write::Tag => Err(HoldReason::TagMoved {
                    tag: to.tag,
                    ran,
                    now,
                }),
            }
        }
        (_, _) => Ok(to),
    }
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
