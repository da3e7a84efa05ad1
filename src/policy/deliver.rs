//! How promotions reach the manifests repository.

use std::collections::BTreeSet;
use std::fmt;

use super::template::Template;
use super::{EnvironmentName, PolicyName};

/// The start of the names of all branches that are proposals of ours.
pub(crate) const HEAD_PREFIX: &str = "towpath/";

/// The last part of the branch that has the promotions of all policies; no policy can have this name.
const ALL_POLICIES: &str = "_all";

/// How a promotion reaches the manifests repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deliver {
    /// A commit on `branch`, or on the repository's branch where none is named.
    Commit { branch: Option<String> },
    /// A pull request that people merge.
    PullRequest(Box<PullRequests>),
}

/// What pull requests are like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PullRequests {
    /// The branch that they go to; `None` for the repository's.
    pub(crate) branch: Option<String>,
    pub(crate) group: Group,
    /// In place of the commit's subject.
    pub(crate) title: Option<Template>,
    /// In place of our own words.
    pub(crate) body: Option<Template>,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) reviewers: BTreeSet<String>,
    pub(crate) assignees: BTreeSet<String>,
    /// By its title.
    pub(crate) milestone: Option<String>,
    pub(crate) is_draft: bool,
    /// How they are merged once all that the forge requires is there; `None` leaves that to people.
    pub(crate) auto_merge: Option<MergeWay>,
}

impl PullRequests {
    /// Whether anything is wished that a pull request does not say.
    pub(crate) fn has_wishes(&self) -> bool {
        !(self.labels.is_empty() && self.reviewers.is_empty() && self.assignees.is_empty())
            || self.milestone.is_some()
    }

    /// The branch on which promotions of `policy` in `environment` are proposed: `towpath/production/portal`.
    pub(crate) fn head(&self, policy: &PolicyName, environment: &EnvironmentName) -> String {
        let last = match self.group {
            Group::Policy => policy.as_str(),
            Group::Environment => ALL_POLICIES,
        };
        format!("{HEAD_PREFIX}{environment}/{last}")
    }
}

/// What one pull request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// The promotions of one policy in one environment.
    #[default]
    Policy,
    /// Those of all policies in one environment.
    Environment,
}

/// How a pull request becomes part of its branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MergeWay {
    Merge,
    Squash,
    Rebase,
}

impl MergeWay {
    pub(crate) const ALL: [Self; 3] = [Self::Merge, Self::Squash, Self::Rebase];

    /// As policies write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

impl fmt::Display for MergeWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
