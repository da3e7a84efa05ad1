//! <https://docs.gitlab.com/api/merge_requests/>

use serde::Deserialize;

use super::told::{Commit, Time};

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct MergeRequest {
    pub(in crate::forge) iid: u64,
    pub(in crate::forge) web_url: String,
    pub(in crate::forge) source_branch: String,
    pub(in crate::forge) target_branch: String,
    /// `null` once the branch of a fork is gone.
    pub(in crate::forge) source_project_id: Option<u64>,
    pub(in crate::forge) target_project_id: u64,
    pub(in crate::forge) sha: Option<Commit>,
    pub(in crate::forge) title: String,
    pub(in crate::forge) description: Option<String>,
    pub(in crate::forge) state: State,
    #[serde(default)]
    pub(in crate::forge) draft: bool,
    pub(in crate::forge) updated_at: Time,
    pub(in crate::forge) merged_at: Option<Time>,
    pub(in crate::forge) closed_at: Option<Time>,
    /// Since 14.7; before, `merged_by`.
    pub(in crate::forge) merge_user: Option<User>,
    pub(in crate::forge) merged_by: Option<User>,
    pub(in crate::forge) closed_by: Option<User>,
    pub(in crate::forge) merge_commit_sha: Option<Commit>,
    pub(in crate::forge) squash_commit_sha: Option<Commit>,
    #[serde(default)]
    pub(in crate::forge) labels: Vec<String>,
    #[serde(default)]
    pub(in crate::forge) reviewers: Vec<User>,
    #[serde(default)]
    pub(in crate::forge) assignees: Vec<User>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::forge) enum State {
    Opened,
    Closed,
    /// While it is being merged.
    Locked,
    Merged,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct User {
    pub(in crate::forge) id: u64,
    pub(in crate::forge) username: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Milestone {
    pub(in crate::forge) id: u64,
}

/// <https://docs.gitlab.com/api/projects/#get-a-single-project>
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Project {
    pub(in crate::forge) merge_method: Option<MergeMethod>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::forge) enum MergeMethod {
    #[serde(rename = "merge")]
    Merge,
    #[serde(rename = "rebase_merge")]
    RebaseMerge,
    #[serde(rename = "ff")]
    FastForward,
}

/// <https://docs.gitlab.com/api/commits/#list-commit-statuses>
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Status {
    pub(in crate::forge) status: String,
    pub(in crate::forge) description: Option<String>,
}

/// <https://docs.gitlab.com/api/merge_request_approvals/>
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Approvals {
    #[serde(default)]
    pub(in crate::forge) approved_by: Vec<ApprovedBy>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct ApprovedBy {
    pub(in crate::forge) user: User,
    /// Since 18.
    pub(in crate::forge) approved_at: Option<Time>,
}

/// A commit that was made.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct MadeCommit {
    pub(in crate::forge) id: Commit,
}
