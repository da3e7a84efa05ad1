//! Tells people who look at Kubernetes what a round did: Events on the Applications that it concerns, and on our own Deployment.
//!
//! Not here: how they are told, and that nobody waits for it (`cluster/events`). Invariant: only whoever leads tells of Applications.

use std::collections::BTreeMap;

use super::Work;
use super::round::Report;
use crate::apply::{Delivery, Outcome};
use crate::cluster::{Event, Mood};
use crate::ledger::Moved;
use crate::manifest::CommitId;
use crate::observe::{Wants, whole_message};
use crate::plan::{Decided, Decision, HoldReason, Place, Scope, deployers_of_each};
use crate::world::BranchName;

/// Tells what `report` says, and of those that are `held` for a new reason.
pub(super) fn report(
    work: &Work,
    (scope, wants): (&Scope<'_>, &Wants),
    report: &Report,
    held: &[&Decided],
) {
    for outcome in &report.outcomes {
        push(work, outcome);
    }
    let mut connections = work.sources.connections();
    let is_wanted = connections.any(|name| work.sources.connection(name).tells());
    if !is_wanted || work.lead.term().is_none() {
        return;
    }
    let mut told: BTreeMap<&BranchName, Vec<(Place<'_>, Event)>> = BTreeMap::new();
    for outcome in &report.outcomes {
        if let Delivery::Pushed { commits } = &outcome.result {
            let promotions = commits.iter().flat_map(|(planned, commit)| {
                let promotions = planned.promotions.iter();
                promotions.map(move |promotion| (promotion, commit))
            });
            let events = promotions.flat_map(|(promotion, commit)| {
                let images = promotion.images.iter();
                images.map(move |(image, moved)| {
                    let place = (&promotion.policy, &promotion.environment, image);
                    (place, promoted(place, moved, commit))
                })
            });
            told.entry(&outcome.branch).or_default().extend(events);
        }
    }
    // Few holds of the first round, which are all new, are worth an Event.
    let held = held
        .iter()
        .filter_map(|one| Some((of_hold(one)?, branch(scope, one)?, *one)));
    let held: Vec<(Event, BranchName, &Decided)> = held.collect();
    for (event, branch, decided) in &held {
        let place = (&decided.policy, &decided.environment, &decided.image);
        told.entry(branch).or_default().push((place, event.clone()));
    }
    if told.is_empty() {
        return;
    }
    let world = work.sources.world(wants);
    for (branch, events) in told {
        let places = events.iter().map(|(place, _)| *place);
        let concerned = deployers_of_each(scope, &world, (branch, places));
        for ((_, event), applications) in events.iter().zip(concerned) {
            for (connection, application) in applications {
                let connection = work.sources.connection(&connection);
                connection.tell(&application, event.clone());
            }
        }
    }
}

/// The branch that is promoted to.
fn branch(scope: &Scope<'_>, decided: &Decided) -> Option<BranchName> {
    let mut policies = scope.policies.iter();
    let policy = policies.find(|policy| policy.name == decided.policy)?;
    let mut environments = policy.environments.iter();
    let environment = environments.find(|one| one.name == decided.environment)?;
    let own = &scope.branches[&policy.repository];
    Some(BranchName {
        repository: policy.repository.clone(),
        branch: environment.branch(own).to_owned(),
    })
}

fn promoted((policy, environment, image): Place<'_>, moved: &Moved, commit: &CommitId) -> Event {
    let Moved {
        tag,
        replaced,
        rejects,
        ..
    } = moved;
    let from = replaced.as_ref().map(|from| format!("{from} -> "));
    let from = from.unwrap_or_default();
    let commit = commit.short();
    let where_to = format!("in `{environment}` of policy `{policy}` by commit {commit}");
    match rejects {
        false => Event {
            mood: Mood::Normal,
            reason: "Promoted",
            action: "Promoting",
            note: format!("promoted {image} {from}{tag} {where_to}"),
        },
        true => Event {
            mood: Mood::Warning,
            reason: "RolledBack",
            action: "RollingBack",
            note: format!("rolled back {image} {from}{tag} {where_to}, since it was degraded"),
        },
    }
}

/// What is told of a hold, if it is worth an Event.
fn of_hold(decided: &Decided) -> Option<Event> {
    let Decision::Hold(reason) = &decided.decision else {
        return None;
    };
    let (policy, environment, image) = (&decided.policy, &decided.environment, &decided.image);
    let note = format!("{image} in `{environment}` of policy `{policy}`: {reason}");
    let (mood, word) = if let HoldReason::Degraded { .. } = reason {
        (Mood::Warning, "Degraded")
    } else if let HoldReason::Proposed { .. } = reason {
        // What people do every day.
        (Mood::Normal, "Proposed")
    } else if reason.waits_for_person() {
        (Mood::Warning, "Held")
    } else {
        return None;
    };
    Some(Event {
        mood,
        reason: word,
        action: "Holding",
        note,
    })
}

/// Tells of ourselves that a push failed.
fn push(work: &Work, outcome: &Outcome) {
    let Outcome { branch, result } = outcome;
    if let (Delivery::Failed { error, .. }, Some(pod)) = (result, &work.pod) {
        let BranchName { repository, branch } = branch;
        let why = whole_message(error, error.hint());
        pod.of_us(Event {
            mood: Mood::Warning,
            reason: "PushFailed",
            action: "Pushing",
            note: format!("push to `{branch}` of `{repository}` failed: {why}"),
        });
    }
}
