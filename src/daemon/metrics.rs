//! What the daemon counts.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard};

use jiff::Timestamp;
use prometheus::{
    GaugeVec, Histogram, IntCounter, IntCounterVec, IntGaugeVec, register_gauge_vec,
    register_histogram, register_int_counter, register_int_counter_vec, register_int_gauge_vec,
};

use super::round::Report;
use crate::apply::{Delivery, ProposalEnd, ProposalOutcome};
use crate::cluster::resources::NamespaceSeen;
use crate::image::Repository;
use crate::observe::{Sources, Wants};
use crate::plan::{Decision, Plan, RequestChange};
use crate::policy::{ConnectionName, RepositoryName};
use crate::world::{BranchName, Fact, ImageFacts};

static DECISIONS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_decisions",
        "Decisions of the latest round, by manifests repository, outcome (promote, hold) and reason",
        &["repository", "outcome", "reason"]
    )
    .expect("the name is used once")
});

static PROMOTIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_promotions_total",
        "Images promoted by commits that were pushed",
        &["policy", "environment"]
    )
    .expect("the name is used once")
});

static PROPOSALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_proposals_total",
        "Branches of proposals pushed, and pull requests opened, updated and closed, or failed",
        &["outcome"]
    )
    .expect("the name is used once")
});

static PUSH_CONFLICTS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "towpath_push_conflicts_total",
        "Pushes that found the branch moved, and were planned anew"
    )
    .expect("the name is used once")
});

static ROUND_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    register_histogram!(
        "towpath_round_duration_seconds",
        "Duration of rounds, pushes included"
    )
    .expect("the name is used once")
});

static READ_AT: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "towpath_reading_timestamp_seconds",
        "Unix time of the latest good reading of a source; its age is time() minus this",
        &["kind", "source"]
    )
    .expect("the name is used once")
});

static RESOURCES_UP: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_custom_resources_up",
        "Whether the custom resources of a namespace are read: 1, or 0 before the first reading and while the server refuses or fails",
        &["source"]
    )
    .expect("the name is used once")
});

static TAGS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_registry_tags",
        "Tags in the latest complete listing of an image repository",
        &["repository"]
    )
    .expect("the name is used once")
});

/// The label pairs that the latest round of each manifests repository set, so that gone ones can be cleared.
type DecisionLabels = BTreeMap<RepositoryName, BTreeMap<[&'static str; 2], i64>>;
static DECIDED: Mutex<DecisionLabels> = Mutex::new(BTreeMap::new());

/// Begins to count under a new configuration: gauges of what stands in it no more would age for ever. The counters that
/// have no labels appear at once, so that alerts on them have a zero to compare with.
pub(super) fn begin() {
    LazyLock::force(&PUSH_CONFLICTS);
    LazyLock::force(&ROUND_SECONDS);
    DECISIONS.reset();
    READ_AT.reset();
    RESOURCES_UP.reset();
    TAGS.reset();
    decided().clear();
}

/// Counts one round of `repository`.
pub(super) fn round(repository: &RepositoryName, report: &Report) {
    let Report {
        plan,
        outcomes,
        proposals,
        duration,
    } = report;
    ROUND_SECONDS.observe(duration.as_secs_f64());
    count_decisions(repository, plan);
    for outcome in outcomes {
        match &outcome.result {
            Delivery::Pushed { commits } => {
                for promotion in commits.iter().flat_map(|(commit, _)| &commit.promotions) {
                    let labels = [promotion.policy.as_str(), promotion.environment.as_str()];
                    let images = u64::try_from(promotion.images.len()).unwrap_or(u64::MAX);
                    PROMOTIONS.with_label_values(&labels).inc_by(images);
                }
            }
            Delivery::Moved => PUSH_CONFLICTS.inc(),
            Delivery::Withheld | Delivery::Failed { .. } => {}
        }
    }
    proposals.iter().for_each(count_proposal);
}

/// Counts what became of one proposal.
fn count_proposal(outcome: &ProposalOutcome) {
    if outcome.pushed.is_some() {
        PROPOSALS.with_label_values(&["pushed"]).inc();
    }
    let asked = match &outcome.change.request {
        RequestChange::Keep | RequestChange::Wish { .. } => None,
        RequestChange::Open { .. } => Some("opened"),
        RequestChange::Update { .. } => Some("updated"),
        RequestChange::Close { .. } => Some("closed"),
    };
    if let (Some(asked), true) = (asked, outcome.request.is_some()) {
        PROPOSALS.with_label_values(&[asked]).inc();
    }
    match &outcome.end {
        ProposalEnd::Done | ProposalEnd::Withheld => {}
        ProposalEnd::Moved => PUSH_CONFLICTS.inc(),
        ProposalEnd::PushFailed(_) | ProposalEnd::ForgeFailed(_) => {
            PROPOSALS.with_label_values(&["failed"]).inc();
        }
    }
}

fn count_decisions(repository: &RepositoryName, plan: &Plan) {
    let mut decided = decided();
    let counts = decided.entry(repository.clone()).or_default();
    counts.values_mut().for_each(|count| *count = 0);
    for decision in plan.decisions.iter().map(|decided| &decided.decision) {
        let labels = match decision {
            Decision::Promote(_) => ["promote", "newer"],
            Decision::Hold(reason) => ["hold", reason.kind()],
        };
        *counts.entry(labels).or_default() += 1;
    }
    for ([outcome, reason], count) in counts {
        DECISIONS
            .with_label_values(&[repository.as_str(), outcome, reason])
            .set(*count);
    }
}

fn decided() -> MutexGuard<'static, DecisionLabels> {
    DECIDED
        .lock()
        .expect("nothing panics while it holds the labels")
}

/// Notes a listing.
pub(super) fn listed(repository: &Repository, facts: &ImageFacts) {
    let Fact::Known(listing) = &facts.listing else {
        return;
    };
    let name = repository.to_string();
    set_read_at(["image", &name], listing.at);
    TAGS.with_label_values(&[&name])
        .set(i64::try_from(listing.tags.len()).unwrap_or(i64::MAX));
}

/// Notes a fetch of `repository`, if it gave every branch, and tells whether it did.
pub(super) fn fetched(
    repository: &RepositoryName,
    sources: &Sources,
    wants: &Wants,
    now: Timestamp,
) -> bool {
    let Some(branches) = wants.branches.get(repository) else {
        return false;
    };
    let all_known = branches.keys().all(|branch| {
        let name = BranchName {
            repository: repository.clone(),
            branch: branch.clone(),
        };
        matches!(sources.branch(&name), Some(Fact::Known(_)))
    });
    if all_known {
        set_read_at(["manifests", repository.as_str()], now);
    }
    all_known
}

/// Notes a fetch of a source repository that gave every branch.
pub(super) fn source_fetched(repository: &RepositoryName, now: Timestamp) {
    set_read_at(["source", repository.as_str()], now);
}

/// Notes as of when the Applications of a connection to Argo CD are known.
pub(super) fn applications_read(connection: &ConnectionName, at: Timestamp) {
    set_read_at(["applications", connection.as_str()], at);
}

/// Notes how the reading of a namespace's custom resources stands.
pub(super) fn resources_read(seen: &NamespaceSeen) {
    let NamespaceSeen {
        namespace,
        heard,
        failure,
    } = seen;
    let is_read = heard.is_some() && failure.is_none();
    RESOURCES_UP
        .with_label_values(&[namespace])
        .set(i64::from(is_read));
    if let Some(heard) = heard {
        set_read_at(["custom-resources", namespace], *heard);
    }
}

/// Notes that nothing is known yet of the custom resources of these namespaces.
pub(crate) fn resources_awaited<'a>(namespaces: impl Iterator<Item = &'a str>) {
    for namespace in namespaces {
        RESOURCES_UP.with_label_values(&[namespace]).set(0);
    }
}

fn set_read_at(labels: [&str; 2], at: Timestamp) {
    READ_AT
        .with_label_values(&labels)
        .set(at.as_duration().as_secs_f64());
}
