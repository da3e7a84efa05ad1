//! What forges tell by webhooks: a message in, the repository that has news out.
//!
//! Not here: who may tell (`web`), and what follows (`daemon`). Invariant: nothing of a message is believed but the name of a
//! repository, and it can only make one be looked at that is looked at anyway.

mod wire;

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::place::{Kind, Place};
use wire::{Azure, BitbucketCloud, BitbucketServer, Gitlab, HubLike};

/// What GitHub tells that may concern us: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>. Among the rest are
/// our own comments and statuses.
const GITHUB: [&str; 4] = ["push", "delete", "pull_request", "pull_request_review"];

/// The same of Gitea and Forgejo: <https://docs.gitea.com/usage/webhooks>. A review comes under what it says.
const GITEA: [&str; 5] = [
    "push",
    "delete",
    "pull_request",
    "pull_request_approved",
    "pull_request_rejected",
];

/// <https://docs.gitlab.com/user/project/integrations/webhook_events/>. Approvals come with the merge request.
const GITLAB: [&str; 2] = ["push", "merge_request"];

/// <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>.
const BITBUCKET_CLOUD: [&str; 8] = [
    "repo:push",
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:approved",
    "pullrequest:unapproved",
    "pullrequest:changes_request_created",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
];

/// <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>.
const BITBUCKET_SERVER: [&str; 10] = [
    "repo:refs_changed",
    "pr:opened",
    "pr:from_ref_updated",
    "pr:modified",
    "pr:reviewer:approved",
    "pr:reviewer:unapproved",
    "pr:reviewer:needs_work",
    "pr:merged",
    "pr:declined",
    "pr:deleted",
];

/// <https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#code>.
const AZURE_DEVOPS: [&str; 4] = [
    "git.push",
    "git.pullrequest.created",
    "git.pullrequest.updated",
    "git.pullrequest.merged",
];

/// One message as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// What [`event`] finds in its headers.
    pub(crate) event: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// The repository that has news, as [`Place::path`] names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct News {
    pub(crate) path: String,
}

/// Why a message cannot be read. Holds nothing of the message but a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error("the body is not JSON at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the body is not an event of {kind} at line {line}, column {column}")]
    OtherKind {
        kind: Kind,
        line: usize,
        column: usize,
    },
}

impl Place {
    /// Whether `news` are of this repository. Products tell names as they are shown, whatever case an address has.
    pub(crate) fn has(&self, news: &News) -> bool {
        self.path.to_lowercase() == news.path.to_lowercase()
    }
}

/// What sort of event a message is, where its headers tell.
pub(crate) fn event(kind: Kind, headers: &HeaderMap) -> Option<&str> {
    let name = match kind {
        Kind::Github => "x-github-event",
        Kind::Gitea if headers.contains_key("x-forgejo-event") => "x-forgejo-event",
        Kind::Gitea => "x-gitea-event",
        Kind::BitbucketCloud | Kind::BitbucketServer => "x-event-key",
        Kind::Gitlab | Kind::AzureDevops => return None,
    };
    text(headers, name)
}

/// The HMAC with SHA-256 over the body that a message shows: `sha256=HEX`, or the digits alone. GitLab and Azure DevOps sign
/// nothing; they show a token, and a password.
pub(crate) fn signature(kind: Kind, headers: &HeaderMap) -> Option<Vec<u8>> {
    let names: &[&str] = match kind {
        Kind::Github => &["x-hub-signature-256"],
        Kind::Gitea => &[
            "x-forgejo-signature",
            "x-gitea-signature",
            "x-hub-signature-256",
        ],
        // Both call it as GitHub called the one with SHA-1.
        Kind::BitbucketCloud | Kind::BitbucketServer => &["x-hub-signature"],
        Kind::Gitlab | Kind::AzureDevops => &[],
    };
    let shown = names.iter().find_map(|name| text(headers, name))?;
    let digits = shown.strip_prefix("sha256=").unwrap_or(shown).as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(*pair.get(1)?)?).ok();
    // What is no signature is one that is wrong, not none.
    Some(
        digits
            .chunks(2)
            .map(byte)
            .collect::<Option<_>>()
            .unwrap_or_default(),
    )
}

/// The repository that `message` says has news; `None` where it speaks of anything else.
pub(crate) fn news(kind: Kind, message: Message<'_>) -> Result<Option<News>, EventError> {
    let Message { event, body } = message;
    let is_one_of =
        |known: &[&str], told: Option<&str>| told.is_none_or(|told| known.contains(&told));
    let path = match kind {
        Kind::Github => {
            let told: HubLike = read(kind, body)?;
            told.into_path().filter(|_| is_one_of(&GITHUB, event))
        }
        Kind::Gitea => {
            let told: HubLike = read(kind, body)?;
            told.into_path().filter(|_| is_one_of(&GITEA, event))
        }
        Kind::Gitlab => {
            let told: Gitlab = read(kind, body)?;
            let is_known = is_one_of(&GITLAB, Some(told.object_kind.as_deref().unwrap_or("")));
            told.into_path().filter(|_| is_known)
        }
        Kind::BitbucketCloud => {
            let told: BitbucketCloud = read(kind, body)?;
            told.into_path()
                .filter(|_| is_one_of(&BITBUCKET_CLOUD, event))
        }
        Kind::BitbucketServer => {
            let told: BitbucketServer = read(kind, body)?;
            let is_known = is_one_of(&BITBUCKET_SERVER, event.or(told.event_key.as_deref()));
            told.into_path().filter(|_| is_known)
        }
        Kind::AzureDevops => {
            let told: Azure = read(kind, body)?;
            let is_known = is_one_of(
                &AZURE_DEVOPS,
                Some(told.event_type.as_deref().unwrap_or("")),
            );
            let address = told.into_address().filter(|_| is_known);
            // The organisation stands in the address alone.
            let place = address.and_then(|address| Place::parse(Some(kind), &address).ok());
            place.map(|place| place.path)
        }
    };
    Ok(path.map(|path| News { path }))
}

fn read<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, EventError> {
    // What serde_json says of a value may hold the value, so only the place is passed on.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.is_data() {
            true => EventError::OtherKind { kind, line, column },
            false => EventError::NotJson { line, column },
        }
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
