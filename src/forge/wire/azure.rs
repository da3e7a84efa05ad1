//! <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::told::{Commit, Time};

/// A list, or a page of one.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Values<T> {
    pub(in crate::forge) value: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct PullRequest {
    pub(in crate::forge) pull_request_id: u64,
    pub(in crate::forge) title: String,
    /// Left out where it is empty.
    #[serde(default)]
    pub(in crate::forge) description: String,
    pub(in crate::forge) status: State,
    #[serde(default)]
    pub(in crate::forge) is_draft: bool,
    pub(in crate::forge) creation_date: Time,
    pub(in crate::forge) closed_date: Option<Time>,
    pub(in crate::forge) closed_by: Option<Identity>,
    pub(in crate::forge) created_by: Identity,
    pub(in crate::forge) source_ref_name: String,
    pub(in crate::forge) target_ref_name: String,
    pub(in crate::forge) last_merge_source_commit: Option<CommitRef>,
    pub(in crate::forge) last_merge_commit: Option<CommitRef>,
    /// Where the branch is, if it is in a fork.
    pub(in crate::forge) fork_source: Option<ForkSource>,
    #[serde(default)]
    pub(in crate::forge) reviewers: Vec<Reviewer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) enum State {
    Active,
    Abandoned,
    Completed,
    NotSet,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Identity {
    pub(in crate::forge) id: String,
    /// The login. Groups and services have other things there.
    pub(in crate::forge) unique_name: Option<String>,
    pub(in crate::forge) display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Reviewer {
    pub(in crate::forge) unique_name: Option<String>,
    pub(in crate::forge) display_name: Option<String>,
    pub(in crate::forge) vote: i32,
    /// Whether it is a group, whose vote is that of a member who stands in the list too.
    #[serde(default)]
    pub(in crate::forge) is_container: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct CommitRef {
    pub(in crate::forge) commit_id: Commit,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct ForkSource {}

/// Found pull requests by the commit that was asked for.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Found {
    #[serde(default)]
    pub(in crate::forge) results: Vec<BTreeMap<String, Vec<PullRequest>>>,
}

/// One state of the branch, from one push to the next.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Iteration {
    pub(in crate::forge) id: u64,
    pub(in crate::forge) source_ref_commit: Option<CommitRef>,
}

/// <https://learn.microsoft.com/en-us/rest/api/azure/devops/ims/identities/read-identities>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Person {
    pub(in crate::forge) id: String,
    pub(in crate::forge) provider_display_name: Option<String>,
    #[serde(default)]
    pub(in crate::forge) properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::forge) struct Properties {
    pub(in crate::forge) account: Option<Property>,
    pub(in crate::forge) mail: Option<Property>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Property {
    #[serde(rename = "$value")]
    pub(in crate::forge) value: String,
}

impl Identity {
    pub(in crate::forge) fn name(self) -> Option<String> {
        self.unique_name.or(self.display_name)
    }
}

impl Person {
    /// Whether one of its names is `name`, in whatever letters.
    pub(in crate::forge) fn is_called(&self, name: &str) -> bool {
        let Properties { account, mail } = &self.properties;
        let names = [account, mail].into_iter().flatten();
        let names = names.map(|property| &property.value);
        let mut names = names.chain(&self.provider_display_name);
        names.any(|one| one.to_lowercase() == name.to_lowercase())
    }
}
