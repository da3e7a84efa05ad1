//! How promotions are delivered: what is written in, what is meant out.

use super::blank::{Blank, Fill, Names};
use super::forms::{self, AutoMerge};
use super::problem::Faults;
use super::raw::PullRequestDelivery;
use super::shape::Placed;
use crate::policy::{Deliver, EnvironmentName, PolicyName, PullRequests};

/// What the part of a branch's name may not end with: <https://git-scm.com/docs/git-check-ref-format>. The other rules are
/// kept by the names of policies and environments already.
const LOCK: &str = ".lock";

/// What is meant; names that do not fit are noted and left out.
pub(super) fn delivery(
    deliver: Option<&forms::Deliver>,
    names: Names<'_>,
    faults: &mut Faults,
) -> Deliver {
    match deliver {
        None => Deliver::Commit { branch: None },
        Some(forms::Deliver::Commit(commit)) => Deliver::Commit {
            branch: one(commit.branch.as_ref(), names, faults).map(|branch| branch.0),
        },
        Some(forms::Deliver::PullRequest(requests)) => {
            Deliver::PullRequest(Box::new(pull_requests(requests, names, faults)))
        }
    }
}

fn pull_requests(
    written: &PullRequestDelivery,
    names: Names<'_>,
    faults: &mut Faults,
) -> PullRequests {
    let PullRequestDelivery {
        branch,
        group,
        title,
        body,
        labels,
        reviewers,
        assignees,
        milestone,
        draft,
        auto_merge,
    } = written;
    let mut set = |texts: &Option<Vec<Placed<Blank<String>>>>| {
        let texts = texts.iter().flatten();
        texts
            .filter_map(|text| text.filled(names, faults))
            .collect()
    };
    PullRequests {
        labels: set(labels),
        reviewers: set(reviewers),
        assignees: set(assignees),
        branch: one(branch.as_ref(), names, faults).map(|branch| branch.0),
        group: group.as_ref().map(|group| group.value).unwrap_or_default(),
        title: title.as_ref().map(|title| title.value.0.clone()),
        body: body.as_ref().map(|body| body.value.0.clone()),
        milestone: one(milestone.as_ref(), names, faults),
        is_draft: draft.unwrap_or(false),
        auto_merge: auto_merge.and_then(|AutoMerge(way)| way),
    }
}

/// Why git takes no branch for proposals beside `base`, the branch that they go to.
pub(super) fn no_head(
    requests: &PullRequests,
    (policy, environment): (&PolicyName, &EnvironmentName),
    base: Option<&str>,
) -> Option<String> {
    let head = requests.head(policy, environment);
    if head.split('/').any(|part| part.ends_with(LOCK)) {
        return Some(format!(
            "proposals would have the branch `{head}`, and git takes no name that ends with `{LOCK}`"
        ));
    }
    // Branches are kept like files: one has no other below it.
    let is_below = |branch: &str, other: &str| {
        let rest = branch.strip_prefix(other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let base = base.filter(|base| is_below(&head, base) || is_below(base, &head))?;
    Some(format!(
        "proposals would have the branch `{head}`, which git cannot keep beside `{base}`, where they go"
    ))
}

fn one<T: Fill>(
    written: Option<&Placed<Blank<T>>>,
    names: Names<'_>,
    faults: &mut Faults,
) -> Option<T> {
    written?.filled(names, faults)
}
