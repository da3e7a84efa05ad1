//! <https://developer.atlassian.com/server/bitbucket/rest/v902/api-group-pull-requests/>

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::told::Commit;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(in crate::forge) struct Millis(pub(in crate::forge) Timestamp);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = i64::deserialize(deserializer)?;
        let time = Timestamp::from_millisecond(millis);
        time.map(Self).map_err(D::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Page {
    pub(in crate::forge) values: Vec<PullRequest>,
    pub(in crate::forge) is_last_page: bool,
    pub(in crate::forge) next_page_start: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct PullRequest {
    pub(in crate::forge) id: u64,
    pub(in crate::forge) version: i64,
    pub(in crate::forge) title: String,
    /// Left out where it is empty.
    #[serde(default)]
    pub(in crate::forge) description: String,
    pub(in crate::forge) state: State,
    /// Since 8.18.
    #[serde(default)]
    pub(in crate::forge) draft: bool,
    pub(in crate::forge) updated_date: Millis,
    pub(in crate::forge) closed_date: Option<Millis>,
    pub(in crate::forge) from_ref: Ref,
    pub(in crate::forge) to_ref: Ref,
    #[serde(default)]
    pub(in crate::forge) reviewers: Vec<Participant>,
    #[serde(default)]
    pub(in crate::forge) participants: Vec<Participant>,
    #[serde(default)]
    pub(in crate::forge) properties: Properties,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::forge) enum State {
    Open,
    Merged,
    Declined,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Ref {
    /// `refs/heads/main`.
    pub(in crate::forge) id: String,
    pub(in crate::forge) latest_commit: Option<Commit>,
    pub(in crate::forge) repository: Repository,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct Repository {
    pub(in crate::forge) id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Participant {
    pub(in crate::forge) user: User,
    pub(in crate::forge) status: Option<String>,
    pub(in crate::forge) last_reviewed_commit: Option<Commit>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct User {
    pub(in crate::forge) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Properties {
    pub(in crate::forge) merge_commit: Option<MergeCommit>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct MergeCommit {
    pub(in crate::forge) id: Commit,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::forge) struct Errors {
    #[serde(default)]
    pub(in crate::forge) errors: Vec<Error>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::forge) struct Error {
    pub(in crate::forge) exception_name: Option<String>,
    /// Which reviewers it is about.
    #[serde(default)]
    pub(in crate::forge) reviewer_errors: Vec<ReviewerError>,
}

#[derive(Debug, Deserialize)]
pub(in crate::forge) struct ReviewerError {
    pub(in crate::forge) context: Option<String>,
}

impl Errors {
    /// Whether one of them is of a class of that name, whatever its package.
    pub(in crate::forge) fn has(&self, class: &str) -> bool {
        let mut names = self
            .errors
            .iter()
            .filter_map(|error| error.exception_name.as_ref());
        names.any(|name| name.rsplit('.').next() == Some(class))
    }
}
