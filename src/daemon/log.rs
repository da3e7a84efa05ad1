//! What a running daemon says: one line per change in the world, and one when a reason changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::round::Report;
use super::source::Heads;
use crate::apply::{Delivery, Outcome, ProposalEnd, ProposalOutcome};
use crate::cluster::ClusterError;
use crate::image::{Repository, Tag};
use crate::observe::whole_message;
use crate::plan::{Decided, Decision, HoldReason, RequestChange};
use crate::policy::{ConnectionName, EnvironmentName, ImageName, PolicyName, SourceBranch};
use crate::world::{Applications, Fact, ImageFacts, Listing, ObjectName};

/// New tags of one listing that are named. More come from an import or after a long outage, and are counted.
const NEW_TAGS_SAID_MAX: usize = 20;

/// What was last said of each decision.
pub(super) type Said = BTreeMap<(PolicyName, EnvironmentName, ImageName), String>;

/// Says what changed in a listing.
pub(super) fn listing(repository: &Repository, before: Option<&ImageFacts>, after: &ImageFacts) {
    match (before.map(|facts| &facts.listing), &after.listing) {
        (Some(Fact::Unknown { why: before }), Fact::Unknown { why }) if before == why => {}
        (_, Fact::Unknown { why }) => tracing::warn!(%repository, why, "listing failed"),
        (Some(Fact::Known(before)), Fact::Known(after)) => {
            new_tags(repository, before, after);
        }
        (Some(Fact::Unknown { .. }), Fact::Known(listing)) => {
            tracing::info!(%repository, tags = listing.tags.len(), "listing works again");
        }
        (None, Fact::Known(listing)) => {
            tracing::info!(%repository, tags = listing.tags.len(), "listed");
        }
    }
}

fn new_tags(repository: &Repository, before: &Listing, after: &Listing) {
    let is_new = |tag: &&Tag| !before.tags.contains(tag);
    let new: Vec<&Tag> = after.tags.names().filter(is_new).collect();
    if new.len() > NEW_TAGS_SAID_MAX {
        tracing::info!(%repository, tags = new.len(), "many new tags");
        return;
    }
    for tag in new {
        tracing::info!(%repository, %tag, "new tag");
    }
}

/// Says that Argo CD would not look at git at once.
pub(crate) fn not_refreshed(application: &ObjectName, error: &ClusterError) {
    let why = whole_message(error, error.hint());
    tracing::warn!(%application, why, "Argo CD was not asked to refresh it");
}

/// Says whether Argo CD's Applications are known, where that changed.
pub(super) fn applications(
    connection: &ConnectionName,
    before: Option<&Fact<Arc<Applications>>>,
    after: &Fact<Arc<Applications>>,
) {
    match (before, after) {
        (Some(Fact::Unknown { why: before }), Fact::Unknown { why }) if before == why => {}
        (_, Fact::Unknown { why }) => tracing::warn!(%connection, why, "Argo CD cannot be read"),
        (Some(Fact::Known(_)), Fact::Known(_)) => {}
        (Some(Fact::Unknown { .. }), Fact::Known(known)) => {
            tracing::info!(%connection, applications = known.all.len(), "Argo CD is read again");
        }
        (None, Fact::Known(known)) => {
            tracing::info!(%connection, applications = known.all.len(), "Argo CD is read");
        }
    }
    let windows = |fact: &Fact<Arc<Applications>>| match fact {
        Fact::Known(known) => match &known.projects {
            Fact::Unknown { why } => Some(why.clone()),
            Fact::Known(_) => None,
        },
        Fact::Unknown { .. } => None,
    };
    if let Some(why) = windows(after).filter(|why| before.and_then(windows).as_ref() != Some(why)) {
        tracing::warn!(%connection, why, "the sync windows of Argo CD cannot be read");
    }
}

/// Says where the branches of a source stand, and why that is not known, where it differs from what was before.
pub(super) fn source(before: Option<&Heads>, after: &Heads) {
    for (source, head) in after {
        let SourceBranch { repository, branch } = source;
        match (before.and_then(|before| before.get(source)), head) {
            (Some(Err(before)), Err(why)) if before == why => {}
            (_, Err(why)) => tracing::warn!(%repository, branch, why, "fetch of a source failed"),
            (Some(Err(_)), Ok(_)) => {
                tracing::info!(%repository, branch, "fetch of a source works again");
            }
            (None, Ok(head)) => {
                tracing::info!(%repository, branch, head = head.short(), "source fetched");
            }
            (Some(Ok(_)), Ok(_)) => {}
        }
    }
}

/// Says what a round did, and which reasons are new since `said`, and gives those back.
pub(super) fn report<'r>(report: &'r Report, said: &mut Said) -> Vec<&'r Decided> {
    for outcome in &report.outcomes {
        log_outcome(outcome);
    }
    for outcome in &report.proposals {
        log_proposal(outcome);
    }
    for breach in &report.plan.breaches {
        tracing::error!(%breach, "a plan broke a rule of the house and was dropped; please report this bug");
    }
    let decisions = report.plan.decisions.iter();
    let new = decisions.filter(|decided| log_decision(decided, said) == Novelty::New);
    new.collect()
}

/// Whether a reason was said before.
#[derive(PartialEq, Eq)]
enum Novelty {
    New,
    Known,
}

fn log_decision(decided: &Decided, said: &mut Said) -> Novelty {
    let Decided {
        policy,
        environment,
        image,
        decision,
        ..
    } = decided;
    let key = (policy.clone(), environment.clone(), image.clone());
    let reason = match decision {
        // All is well: what goes wrong from here on is news, though it be the same as before.
        Decision::Promote(_) | Decision::Hold(HoldReason::Newest) => {
            said.remove(&key);
            return Novelty::Known;
        }
        Decision::Hold(reason) => reason,
    };
    let text = reason.to_string();
    if !reason.is_passing() && said.get(&key) != Some(&text) {
        let candidate = decided.candidate.as_ref().map(ToString::to_string);
        tracing::info!(%policy, %environment, %image, candidate, reason = text, "holds");
        said.insert(key, text);
        return Novelty::New;
    }
    Novelty::Known
}

fn log_outcome(outcome: &Outcome) {
    let Outcome { branch, result } = outcome;
    let (repository, branch) = (&branch.repository, &branch.branch);
    match result {
        Delivery::Pushed { commits } => {
            for (planned, commit) in commits {
                let moves = planned.promotions.iter();
                for (promotion, image, moved) in moves.flat_map(|promotion| {
                    let images = promotion.images.iter();
                    images.map(move |(image, moved)| (promotion, image, moved))
                }) {
                    tracing::info!(
                        policy = %promotion.policy,
                        environment = %promotion.environment,
                        %image,
                        from = moved.replaced,
                        to = %moved.tag,
                        digest = moved.digest.as_ref().map(ToString::to_string),
                        %repository,
                        branch,
                        commit = commit.short(),
                        "{}",
                        if moved.rejects { "rolled back, since it was degraded" } else { "promoted" }
                    );
                }
            }
        }
        Delivery::Moved => {
            tracing::info!(%repository, branch, "the branch moved during the round; planning anew");
        }
        Delivery::Withheld => {
            tracing::info!(%repository, branch, "not pushed, since we lead no more");
        }
        Delivery::Failed { error, commits } => {
            let why = whole_message(error, error.hint());
            tracing::warn!(%repository, branch, commits = commits.len(), why, "push failed");
        }
    }
}

fn log_proposal(outcome: &ProposalOutcome) {
    let ProposalOutcome {
        change,
        pushed,
        request,
        complaints,
        end,
    } = outcome;
    let (repository, branch) = (&change.head.repository, &change.head.branch);
    if let (Some(commit), Some(rebuild)) = (pushed, &change.rebuild) {
        let subject = rebuild.commit.message.lines().next().unwrap_or_default();
        tracing::info!(%repository, branch, commit = commit.short(), subject, "proposed");
    }
    if let Some(request) = request {
        let number = request.number;
        let url = &request.url;
        match &change.request {
            RequestChange::Keep => {}
            RequestChange::Open { .. } => {
                tracing::info!(%repository, branch, number, url, "pull request opened");
            }
            RequestChange::Update { .. } => {
                tracing::info!(%repository, branch, number, url, "pull request updated");
            }
            RequestChange::Wish { .. } => {
                tracing::info!(%repository, branch, number, url, "what is wished of the pull request was done");
            }
            RequestChange::Close { .. } => {
                tracing::info!(%repository, branch, number, url, "pull request closed: nothing is left to promote");
            }
        }
    }
    for complaint in complaints {
        let why = whole_message(complaint, complaint.hint());
        tracing::warn!(%repository, branch, why, "a wish for a pull request was not fulfilled");
    }
    match end {
        ProposalEnd::Done => {}
        ProposalEnd::Moved => {
            tracing::info!(%repository, branch, "the branch of a proposal moved during the round; planning anew");
        }
        ProposalEnd::Withheld => {
            tracing::info!(%repository, branch, "a proposal is left to whoever leads");
        }
        ProposalEnd::PushFailed(error) => {
            let why = whole_message(error, error.hint());
            tracing::warn!(%repository, branch, why, "push of a proposal failed");
        }
        ProposalEnd::ForgeFailed(error) => {
            let why = whole_message(error, error.hint());
            tracing::warn!(%repository, branch, why, "the forge refused a pull request");
        }
    }
}
