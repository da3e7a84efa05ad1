//! Bitbucket Cloud, API version 2.0. <https://developer.atlassian.com/cloud/bitbucket/rest/intro/>
//!
//! Peculiar: commits of pull requests come by their first 12 digits, so that heads are not told; a pull request does not say
//! when it was closed; reviewers who are left out of a change are removed by it; nothing merges by itself.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use url::Url;

use super::alike::{once_each, unsupported};
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Answer, Ask, Dialect, Line};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::turned::Turned;
use super::wire::bitbucket::{
    Activity, Member, Page, PullRequest as Wire, Refusal, State as WireState, User,
};
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, State, Status,
    Update, Verdict, Wishes,
};
use crate::manifest::CommitId;

/// Entries on a page of pull requests, the most that there are; elsewhere it is 100.
/// <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination>
const PAGE_SIZE: &str = "50";
const PAGE_SIZE_OF_MEMBERS: &str = "100";

/// All states. Without any, only open pull requests are listed; beside a filter they are said to count for nothing, so that
/// a single one has to stand in the filter. <https://github.com/MunifTanjim/node-bitbucket/issues/16>
const STATES: [&str; 4] = ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"];
const IS_OPEN: &str = " AND state = \"OPEN\"";

/// Where people look at a repository.
const PAGES: &str = "https://bitbucket.org";

/// Access tokens of workspaces, projects and repositories; tokens of people are passwords, with a user's name beside them.
/// <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication>
const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |_| Shown::Bearer,
};

/// A repository on Bitbucket Cloud.
pub(super) struct BitbucketCloud {
    line: Line,
    /// `WORKSPACE/NAME`.
    path: String,
}

impl BitbucketCloud {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let path = options.place.path.clone();
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self { line, path })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository: Vec<&str> = self.path.split('/').collect();
        self.line
            .url(&[&["repositories"], &repository[..], segments].concat())
    }

    fn pull_request(&self, number: u64, rest: &[&str]) -> Url {
        let number = number.to_string();
        self.url(&[&["pullrequests", &number], rest].concat())
    }

    fn about(&self, what: &str, number: u64) -> String {
        format!("{what} pull request {number} of `{}`", self.path)
    }

    /// Those whose branch starts with `head_prefix`, by a filter that finds it anywhere in the name.
    /// <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering>
    async fn list(&self, head_prefix: &str, filter: &str) -> Result<Vec<Wire>, ForgeError> {
        let mut url = self.url(&["pullrequests"]);
        let query = format!("source.branch.name ~ {}{filter}", quoted(head_prefix));
        url.query_pairs_mut()
            .extend_pairs(STATES.map(|state| ("state", state)))
            .append_pair("q", &query)
            .append_pair("sort", "created_on")
            .append_pair("pagelen", PAGE_SIZE);
        let what = format!("list pull requests of `{}`", self.path);
        let all = self
            .line
            .turned(Ask::list(url, what), |ask, page| self.turn(ask, page))
            .await?;
        // What a fork's branch is called is not ours to say.
        let ours = |one: &Wire| {
            one.source.branch.name.starts_with(head_prefix)
                && one.source.repository.is_some()
                && one.source.repository == one.destination.repository
        };
        Ok(all.into_iter().filter(ours).collect())
    }

    fn turn<T>(&self, ask: &Ask, page: Page<T>) -> Result<Turned<T>, ForgeError> {
        let next = page.next.map(|next| self.line.following(ask, &next));
        Ok((page.values, next.transpose()?))
    }

    async fn noun(&self, one: Wire) -> Result<PullRequest, ForgeError> {
        let updated = one.updated_on.0;
        let by = one.closed_by.map(User::name);
        let state = match one.state {
            WireState::Open => State::Open,
            WireState::Merged => State::Merged {
                commit: one.merge_commit.and_then(|commit| commit.hash.0),
                at: updated,
                by,
            },
            WireState::Declined => State::Closed {
                at: self.declined(one.id).await?.unwrap_or(updated),
                by,
            },
            WireState::Superseded => State::Closed { at: updated, by },
        };
        Ok(PullRequest {
            number: one.id,
            url: one.links.html.href,
            head: one.source.branch.name,
            head_commit: one.source.commit.and_then(|commit| commit.hash.0),
            base: one.destination.branch.name,
            title: one.title,
            body: one.summary.map(|text| text.raw).unwrap_or_default(),
            state,
            is_draft: one.draft,
            updated,
        })
    }

    /// When a pull request that is declined now was: what is told of it with the pull request itself is only when anything
    /// last happened, such as a comment much later. The newest entry comes first.
    async fn declined(&self, number: u64) -> Result<Option<Timestamp>, ForgeError> {
        let mut url = self.pull_request(number, &["activity"]);
        url.query_pairs_mut().append_pair("pagelen", PAGE_SIZE);
        let ask = Ask::list(url, self.about("read when somebody declined", number));
        let page: Page<Activity> = self.line.ask(&ask).await?;
        let updates = page.values.into_iter().filter_map(|entry| entry.update);
        let since = updates.take_while(|update| update.state == WireState::Declined);
        Ok(since.map(|update| update.date.0).min())
    }

    async fn read(&self, number: u64) -> Result<Wire, ForgeError> {
        let url = self.pull_request(number, &[]);
        let ask = Ask::read(url, self.about("read", number));
        self.line.ask(&ask).await
    }

    /// People by what the settings call them: `{UUID}`, an account's id, or a nickname among the workspace's members.
    async fn people(
        &self,
        names: &BTreeSet<String>,
        complaints: &mut Vec<ForgeError>,
    ) -> Result<Vec<Json>, ForgeError> {
        let mut found = Vec::new();
        let mut members: Option<Vec<Member>> = None;
        for name in names {
            let what = format!("find the user `{name}`");
            let uuid = if name.starts_with('{') {
                Some(name.clone())
            } else if is_account_id(name) {
                self.account(name, &what).await?
            } else {
                if members.is_none() {
                    members = Some(self.members().await?);
                }
                let mut users = members.iter().flatten().map(|member| &member.user);
                let user = users.find(|user| user.nickname.as_ref() == Some(name));
                user.map(|user| user.uuid.clone())
            };
            match uuid {
                Some(uuid) => found.push(json!({ "uuid": uuid })),
                None => complaints.push(self.line.not_found(what)),
            }
        }
        Ok(found)
    }

    async fn account(&self, id: &str, what: &str) -> Result<Option<String>, ForgeError> {
        let ask = Ask::read(self.line.url(&["users", id]), what);
        match self.line.ask::<User>(&ask).await {
            Ok(user) => Ok(Some(user.uuid)),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn members(&self) -> Result<Vec<Member>, ForgeError> {
        let workspace = self.path.split('/').next().unwrap_or_default();
        let mut url = self.line.url(&["workspaces", workspace, "members"]);
        url.query_pairs_mut()
            .append_pair("pagelen", PAGE_SIZE_OF_MEMBERS);
        let ask = Ask::list(url, format!("list the members of `{workspace}`"));
        self.line
            .turned(ask, |ask, page| self.turn(ask, page))
            .await
    }
}

impl Client for BitbucketCloud {
    async fn rights(&self, _branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses::repository(self.url(&[]));
        rights::ask(&self.line, &self.path, addresses).await
    }

    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let mut found = Vec::new();
        for one in self.list(head_prefix, IS_OPEN).await? {
            found.push(self.noun(one).await?);
        }
        Ok(once_each(found))
    }

    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        // Unlike a text, a time has no quotes.
        let filter = format!(" AND updated_on >= {since:.0}");
        let mut found = Vec::new();
        for one in self.list(head_prefix, &filter).await? {
            found.push(self.noun(one).await?);
        }
        Ok(once_each(found))
    }

    /// What a second pull request for a branch becomes is not documented: it is looked for first, and a refusal in such
    /// words is understood.
    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let open = self.list(&new.head, IS_OPEN).await?;
        if open.iter().any(|one| one.source.branch.name == new.head) {
            return Err(self.line.exists(&new.head));
        }
        let mut complaints = unsupported(&self.line, &new.wishes);
        let reviewers = self.people(&new.wishes.reviewers, &mut complaints).await?;
        let body = |reviewers: &[Json]| {
            json!({
                "title": new.title,
                "description": new.body,
                "source": { "branch": { "name": new.head } },
                "destination": { "branch": { "name": new.base } },
                "draft": new.is_draft,
                "reviewers": reviewers,
            })
        };
        let url = self.url(&["pullrequests"]);
        let what = format!("open a pull request in `{}`", self.path);
        let mut ask = Ask::write(Method::POST, url, body(&reviewers), what);
        let mut answer = self.line.send(&ask).await?;
        // One who may not review, such as the author or somebody without access, lets all of it fail.
        let words = refused_reviewers(&answer);
        if !words.is_empty() && !reviewers.is_empty() {
            complaints.push(self.line.rejected(&ask, &words.join("; ")));
            ask.body = Some(body(&[]));
            answer = self.line.send(&ask).await?;
        }
        let words = answer.words().to_lowercase();
        let is_second = words.contains("already") && words.contains("pull request");
        if !answer.status.is_success() && is_second {
            return Err(self.line.exists(&new.head));
        }
        let answer = self.line.judge(&ask, answer)?;
        let made = self.line.parse(&ask, &answer)?;
        Ok(Opened {
            pull_request: self.noun(made).await?,
            complaints,
        })
    }

    /// All is part of the request that opens it.
    async fn wish(&self, _: u64, _: &Wishes) -> Vec<ForgeError> {
        Vec::new()
    }

    async fn update(&self, number: u64, update: &Update) -> Result<PullRequest, ForgeError> {
        let Update { title, body, close } = update;
        let what = self.about("change", number);
        let mut now = self.read(number).await?;
        if title.is_some() || body.is_some() {
            let summary = now.summary.take().map(|text| text.raw);
            let reviewers = now
                .reviewers
                .iter()
                .map(|user| json!({ "uuid": user.uuid }));
            let fields = json!({
                "title": title.as_ref().unwrap_or(&now.title),
                "description": body.clone().or(summary).unwrap_or_default(),
                "reviewers": reviewers.collect::<Vec<Json>>(),
                "draft": now.draft,
                "close_source_branch": now.close_source_branch,
            });
            let url = self.pull_request(number, &[]);
            now = self
                .line
                .ask(&Ask::write(Method::PUT, url, fields, &*what))
                .await?;
        }
        if *close {
            let ask = Ask {
                method: Method::POST,
                ..Ask::read(self.pull_request(number, &["decline"]), what)
            };
            now = self.line.ask(&ask).await?;
        }
        self.noun(now).await
    }

    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let url = self.pull_request(number, &["comments"]);
        let body = json!({ "content": { "raw": text } });
        let what = self.about("comment on", number);
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/>
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError> {
        let Status { name, verdict, why } = status;
        let state = match verdict {
            Verdict::Passed => "SUCCESSFUL",
            Verdict::Waits => "INPROGRESS",
            Verdict::Failed => "FAILED",
        };
        let body = json!({
            "key": name,
            "name": name,
            "state": state,
            "description": why,
            "url": format!("{PAGES}/{}/commits/{}", self.path, commit.as_str()),
        });
        let url = self.url(&["commit", commit.as_str(), "statuses", "build"]);
        let what = format!("set the status `{name}`");
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// Pull requests merge when somebody says so, and only then: the API has no other way, see `pullrequest_merge_parameters`
    /// of <https://api.bitbucket.org/swagger.json>.
    async fn merge_when_ready(&self, _: u64, _: MergeWay, _: &CommitId) -> Result<(), ForgeError> {
        Err(self
            .line
            .unsupported("merge a pull request by itself when it is ready"))
    }

    /// It never merges by itself.
    async fn merge_no_more(&self, _: u64) -> Result<(), ForgeError> {
        Ok(())
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let now = self.read(number).await?;
        let approvals = now.participants.into_iter().filter(|one| one.approved);
        let approvals = approvals.map(|one| Approval {
            by: one.user.name(),
            at: one.participated_on.map(|at| at.0),
            commit: None,
        });
        Ok(approvals.collect())
    }
}

/// What is said of reviewers, where they are why nothing was done.
fn refused_reviewers(answer: &Answer) -> Vec<String> {
    if answer.status != StatusCode::BAD_REQUEST {
        return Vec::new();
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    refusal.error.fields.reviewers
}

/// As a text of the filter's language.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// `557058:2b05b2bd-…`, or 24 hex digits as old accounts have it; a nickname has no colon.
/// <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-users/>
fn is_account_id(name: &str) -> bool {
    name.contains(':') || name.len() == 24 && name.chars().all(|c| c.is_ascii_hexdigit())
}
