//! How promotions are delivered: what is written in, what is meant out.

use super::forms::{self, AutoMerge};
use super::raw::PullRequestDelivery;
use super::shape::Placed;
use crate::policy::{Deliver, PullRequests};

pub(super) fn delivery(deliver: Option<forms::Deliver>) -> Deliver {
    match deliver {
        None => Deliver::Commit { branch: None },
        Some(forms::Deliver::Commit(commit)) => Deliver::Commit {
            branch: commit.branch.map(|branch| branch.value.0),
        },
        Some(forms::Deliver::PullRequest(requests)) => {
            Deliver::PullRequest(Box::new(pull_requests(*requests)))
        }
    }
}

fn pull_requests(written: PullRequestDelivery) -> PullRequests {
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
    let set = |texts: Option<Vec<Placed<String>>>| {
        let texts = texts.into_iter().flatten();
        texts.map(|text| text.value).collect()
    };
    PullRequests {
        branch: branch.map(|branch| branch.value.0),
        group: group.map(|group| group.value).unwrap_or_default(),
        title: title.map(|title| title.value.0),
        body: body.map(|body| body.value.0),
        labels: set(labels),
        reviewers: set(reviewers),
        assignees: set(assignees),
        milestone: milestone.map(|title| title.value),
        is_draft: draft.unwrap_or(false),
        auto_merge: auto_merge.and_then(|AutoMerge(way)| way),
    }
}
