//! <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/>

use serde::Deserialize;

use super::told::{Commit, Time};

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Page<T> {
    pub(in crate::forge) values: Vec<T>,
    pub(in crate::forge) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct PullRequest {
    pub(in crate::forge) id: u64,
    pub(in crate::forge) title: String,
    pub(in crate::forge) summary: Option<Text>,
    pub(in crate::forge) state: State,
    #[serde(default)]
    pub(in crate::forge) draft: bool,
    pub(in crate::forge) updated_on: Time,
    pub(in crate::forge) source: End,
    pub(in crate::forge) destination: End,
    pub(in crate::forge) merge_commit: Option<Named>,
    pub(in crate::forge) closed_by: Option<User>,
    pub(in crate::forge) links: Links,
    #[serde(default)]
    pub(in crate::forge) close_source_branch: bool,
    /// Not in lists.
    #[serde(default)]
    pub(in crate::forge) reviewers: Vec<User>,
    /// Not in lists.
    #[serde(default)]
    pub(in crate::forge) participants: Vec<Participant>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Text {
    pub(in crate::forge) raw: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::forge) enum State {
    Open,
    Merged,
    Declined,
    Superseded,
}

/// One of the two branches.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct End {
    pub(in crate::forge) branch: Branch,
    /// `null` once a fork is gone.
    pub(in crate::forge) repository: Option<Repository>,
    pub(in crate::forge) commit: Option<Named>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Branch {
    pub(in crate::forge) name: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(in crate::forge) struct Repository {
    pub(in crate::forge) full_name: String,
}

/// A commit, mostly by its first 12 digits.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Named {
    pub(in crate::forge) hash: Commit,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Links {
    pub(in crate::forge) html: Link,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Link {
    pub(in crate::forge) href: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct User {
    pub(in crate::forge) uuid: String,
    /// What a person is called; not every kind of account has one.
    pub(in crate::forge) nickname: Option<String>,
    pub(in crate::forge) display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Member {
    pub(in crate::forge) user: User,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Participant {
    pub(in crate::forge) user: User,
    #[serde(default)]
    pub(in crate::forge) approved: bool,
    pub(in crate::forge) participated_on: Option<Time>,
}

/// Why nothing was done.
#[derive(Debug, Default, Deserialize)]
pub(in crate::forge) struct Refusal {
    #[serde(default)]
    pub(in crate::forge) error: Failure,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::forge) struct Failure {
    #[serde(default)]
    pub(in crate::forge) fields: Fields,
}

/// What is wrong, by what it is wrong with.
#[derive(Debug, Default, Deserialize)]
pub(in crate::forge) struct Fields {
    #[serde(default)]
    pub(in crate::forge) reviewers: Vec<String>,
}

/// One entry of what happened to a pull request; what is no update is left out.
#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Activity {
    pub(in crate::forge) update: Option<Change>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Change {
    pub(in crate::forge) state: State,
    pub(in crate::forge) date: Time,
}

impl User {
    pub(in crate::forge) fn name(self) -> String {
        self.nickname.or(self.display_name).unwrap_or(self.uuid)
    }
}
