//! What a forge tells of our rights to a repository, and of itself, without anything being changed.
//!
//! Products tell in fields of the same names, or not at all: GitHub <https://docs.github.com/en/rest/repos/repos#get-a-repository>
//! and <https://docs.github.com/en/rest/branches/branches#get-a-branch>, Gitea
//! <https://docs.gitea.com/api/#tag/repository/operation/repoGet>, GitLab <https://docs.gitlab.com/api/projects/#get-a-single-project>,
//! <https://docs.gitlab.com/api/branches/> and <https://docs.gitlab.com/api/personal_access_tokens/#self-inform>. What one does not
//! tell stays unknown.

use jiff::Timestamp;
use serde_json::Value as Json;
use url::Url;

use super::error::ForgeError;
use super::http::{Ask, Line};
use super::limit;
use crate::login::server_time;

/// GitLab's role *Developer*: <https://docs.gitlab.com/api/members/#roles>.
const DEVELOPER: u64 = 30;

/// What a forge tells; `None` where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether the account may push to the repository; its token may be allowed less.
    pub(crate) may_push: Option<bool>,
    pub(crate) is_archived: Option<bool>,
    /// Whether the branch is protected.
    pub(crate) is_protected: Option<bool>,
    /// Whether the account may push to the branch all the same.
    pub(crate) may_push_branch: Option<bool>,
    /// What the token may be used for, in the forge's own words.
    pub(crate) scopes: Option<String>,
    /// When the token ends, in the forge's own words.
    pub(crate) expires: Option<String>,
    pub(crate) version: Option<String>,
    /// Requests that are left.
    pub(crate) remaining: Option<u64>,
    /// What the forge's clock shows.
    pub(crate) clock: Option<Timestamp>,
}

/// Where the answers are.
pub(super) struct Addresses {
    pub(super) repository: Url,
    pub(super) branch: Option<Url>,
    pub(super) version: Option<Url>,
    /// What tells of the token that asks.
    pub(super) token: Option<Url>,
}

impl Addresses {
    /// Of a product of which nothing more is known.
    pub(super) fn repository(repository: Url) -> Self {
        Self {
            repository,
            branch: None,
            version: None,
            token: None,
        }
    }
}

/// Asks for the repository `path`, which must be there, and for what else may be told.
pub(super) async fn ask(
    line: &Line,
    path: &str,
    addresses: Addresses,
) -> Result<Rights, ForgeError> {
    let Addresses {
        repository,
        branch,
        version,
        token,
    } = addresses;
    let asked = Ask::read(repository, format!("read `{path}`"));
    let answer = line.judge(&asked, line.send(&asked).await?)?;
    let repository: Json = line.parse(&asked, &answer)?;
    let branch = beside(line, branch).await;
    let version = beside(line, version).await;
    let token = beside(line, token).await;
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let header = |name| answer.header(name).map(str::to_owned);
    let scopes = token.pointer("/scopes").and_then(Json::as_array);
    let scopes = scopes.map(|scopes| {
        let scopes: Vec<&str> = scopes.iter().filter_map(Json::as_str).collect();
        scopes.join(", ")
    });
    Ok(Rights {
        may_push: may_push(&repository),
        is_archived: repository.pointer("/archived").and_then(Json::as_bool),
        is_protected: branch.pointer("/protected").and_then(Json::as_bool),
        may_push_branch: ["/user_can_push", "/can_push"]
            .iter()
            .find_map(|pointer| branch.pointer(pointer)?.as_bool()),
        scopes: scopes.or_else(|| header("x-oauth-scopes")),
        expires: token
            .pointer("/expires_at")
            .and_then(text)
            .or_else(|| header("github-authentication-token-expiration")),
        version: version
            .pointer("/version")
            .and_then(text)
            .or_else(|| header("x-github-enterprise-version")),
        remaining: limit::told(answer.status, &answer.headers, "").remaining,
        clock: server_time(&answer.headers),
    })
}

/// What else is told, or nothing: who may not ask for it, or asks an older server, is not told.
async fn beside(line: &Line, url: Option<Url>) -> Json {
    let Some(url) = url else {
        return Json::Null;
    };
    let ask = Ask::read(url, "look at our rights");
    let answer = match line.send(&ask).await {
        Ok(answer) => line.judge(&ask, answer),
        Err(error) => Err(error),
    };
    let told = answer.and_then(|answer| line.parse(&ask, &answer));
    told.unwrap_or(Json::Null)
}

fn may_push(repository: &Json) -> Option<bool> {
    let permissions = repository.pointer("/permissions")?;
    if let Some(push) = permissions.pointer("/push") {
        return push.as_bool();
    }
    let level = |of: &str| {
        permissions
            .pointer(&format!("/{of}/access_level"))?
            .as_u64()
    };
    let levels = [level("project_access"), level("group_access")];
    levels
        .into_iter()
        .max()
        .flatten()
        .map(|level| level >= DEVELOPER)
}
