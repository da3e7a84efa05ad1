//! Bitbucket Server and Data Center. <https://developer.atlassian.com/server/bitbucket/rest/v902/intro/>
//!
//! Peculiar: each change names the version that it was made from; nothing filters by time; who closed a pull request is not
//! told; reviewers who are left out of a change are removed by it.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use url::Url;

use super::alike::{cut, once_each, unsupported};
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Answer, Ask, Dialect, Line};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::turned::{Turned, with};
use super::wire::bitbucket_server::{Errors, Page, PullRequest as Wire, Ref, State as WireState};
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, State, Status,
    Update, Verdict, Wishes,
};
use crate::manifest::CommitId;

/// Entries on a page. What a server gives at most is its own to set, `page.max.pull.requests`: 100 unless it was changed.
/// <https://confluence.atlassian.com/bitbucketserver/bitbucket-config-properties-776640155.html>
const PAGE_SIZE: &str = "100";

/// Characters of a build's description, and of its key:
/// <https://developer.atlassian.com/server/bitbucket/rest/v902/api-group-builds-and-deployments/>
const DESCRIPTION_MAX: usize = 255;

/// How branches are called in full.
const BRANCHES: &str = "refs/heads/";

/// HTTP access tokens of people, projects and repositories.
/// <https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html>
const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |_| Shown::Bearer,
};

/// A repository on Bitbucket Server.
pub(super) struct BitbucketServer {
    line: Line,
    /// Its key.
    project: String,
    name: String,
}

impl BitbucketServer {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let (project, name) = options.place.path.split_once('/').unwrap_or_default();
        let (project, name) = (project.to_owned(), name.to_owned());
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self {
            line,
            project,
            name,
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let repository = ["projects", &self.project, "repos", &self.name];
        self.line.url(&[&repository, segments].concat())
    }

    fn pull_request(&self, number: u64, rest: &[&str]) -> Url {
        let number = number.to_string();
        self.url(&[&["pull-requests", &number], rest].concat())
    }

    fn about(&self, what: &str, number: u64) -> String {
        let (project, name) = (&self.project, &self.name);
        format!("{what} pull request {number} of `{project}/{name}`")
    }

    /// Those of `state`, newest first, while a page has any that changed at `since` or later.
    async fn list(
        &self,
        head_prefix: &str,
        (state, since): (&str, Timestamp),
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut url = self.url(&["pull-requests"]);
        url.query_pairs_mut()
            .append_pair("state", state)
            .append_pair("order", "NEWEST")
            .append_pair("limit", PAGE_SIZE);
        let what = format!("list pull requests of `{}/{}`", self.project, self.name);
        let is_recent = |one: &Wire| one.updated_date.0 >= since;
        let turn = |ask: &Ask, page: Page| -> Result<Turned<Wire>, ForgeError> {
            let goes_on = !page.is_last_page && page.values.iter().any(is_recent);
            let next = page.next_page_start.filter(|_| goes_on);
            let next = next.map(|start| with(&ask.url, "start", &start.to_string()));
            Ok((page.values, next))
        };
        let all = self.line.turned(Ask::list(url, what), turn).await?;
        // What a fork's branch is called is not ours to say.
        let ours = all.into_iter().filter(|one| {
            is_recent(one)
                && short(&one.from_ref).starts_with(head_prefix)
                && one.from_ref.repository.id == one.to_ref.repository.id
        });
        Ok(once_each(ours.map(|one| self.noun(one)).collect()))
    }

    async fn read(&self, number: u64) -> Result<Wire, ForgeError> {
        let url = self.pull_request(number, &[]);
        let ask = Ask::read(url, self.about("read", number));
        self.line.ask(&ask).await
    }

    /// Makes one change to a pull request; where it changed since it was read, once more on what it is then.
    async fn change(
        &self,
        mut now: Wire,
        change: impl Fn(&Wire) -> Ask,
    ) -> Result<Wire, ForgeError> {
        let ask = change(&now);
        let mut answer = self.line.send(&ask).await?;
        if is(&answer, "PullRequestOutOfDateException") {
            now = self.read(now.id).await?;
            answer = self.line.send(&change(&now)).await?;
        }
        let answer = self.line.judge(&ask, answer)?;
        self.line.parse(&ask, &answer)
    }

    fn noun(&self, one: Wire) -> PullRequest {
        let updated = one.updated_date.0;
        let at = one.closed_date.map_or(updated, |at| at.0);
        let merged = one.properties.merge_commit.and_then(|commit| commit.id.0);
        PullRequest {
            number: one.id,
            url: page_of(self.pull_request(one.id, &[])),
            head: short(&one.from_ref).to_owned(),
            base: short(&one.to_ref).to_owned(),
            head_commit: one.from_ref.latest_commit.and_then(|commit| commit.0),
            title: one.title,
            body: one.description,
            state: match one.state {
                WireState::Open => State::Open,
                WireState::Merged => State::Merged {
                    commit: merged,
                    at,
                    by: None,
                },
                WireState::Declined => State::Closed { at, by: None },
            },
            is_draft: one.draft,
            updated,
        }
    }

    fn opening(&self, new: &NewPullRequest, reviewers: &[&String]) -> Json {
        let branch = |name: &str| {
            json!({
                "id": format!("{BRANCHES}{name}"),
                "repository": { "slug": self.name, "project": { "key": self.project } },
            })
        };
        json!({
            "title": new.title,
            "description": new.body,
            "draft": new.is_draft,
            "fromRef": branch(&new.head),
            "toRef": branch(&new.base),
            "reviewers": people(reviewers.iter().copied()),
        })
    }
}

impl Client for BitbucketServer {
    async fn rights(&self, _branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses::repository(self.url(&[]));
        let path = format!("{}/{}", self.project, self.name);
        rights::ask(&self.line, &path, addresses).await
    }

    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError> {
        self.list(head_prefix, ("OPEN", Timestamp::MIN)).await
    }

    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        self.list(head_prefix, ("ALL", since)).await
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let mut complaints = unsupported(&self.line, &new.wishes);
        let mut reviewers: Vec<&String> = new.wishes.reviewers.iter().collect();
        let url = self.url(&["pull-requests"]);
        let what = format!("open a pull request in `{}/{}`", self.project, self.name);
        let mut ask = Ask::write(Method::POST, url, self.opening(new, &reviewers), what);
        let mut answer = self.line.send(&ask).await?;
        // One who may not review lets all of it fail.
        let refused = errors(&answer).errors;
        let refused = refused.into_iter().flat_map(|error| error.reviewer_errors);
        let refused: Vec<String> = refused.filter_map(|error| error.context).collect();
        if !refused.is_empty() {
            complaints.extend(self.line.judge(&ask, answer).err());
            reviewers.retain(|name| !refused.contains(name));
            ask.body = Some(self.opening(new, &reviewers));
            answer = self.line.send(&ask).await?;
        }
        if is(&answer, "DuplicatePullRequestException") {
            return Err(self.line.exists(&new.head));
        }
        let answer = self.line.judge(&ask, answer)?;
        let made: Wire = self.line.parse(&ask, &answer)?;
        if new.is_draft && !made.draft {
            let what = "open a draft: that takes version 8.18";
            complaints.push(self.line.unsupported(what));
        }
        Ok(Opened {
            pull_request: self.noun(made),
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
            let written = |now: &Wire| {
                let fields = json!({
                    "version": now.version,
                    "title": title.as_ref().unwrap_or(&now.title),
                    "description": body.as_ref().unwrap_or(&now.description),
                    "draft": now.draft,
                    "reviewers": people(now.reviewers.iter().map(|one| &one.user.name)),
                });
                Ask::write(Method::PUT, self.pull_request(number, &[]), fields, &*what)
            };
            now = self.change(now, written).await?;
        }
        if *close {
            let declined = |now: &Wire| {
                let url = self.pull_request(number, &["decline"]);
                let url = with(&url, "version", &now.version.to_string());
                Ask::write(Method::POST, url, json!({ "version": now.version }), &*what)
            };
            now = self.change(now, declined).await?;
        }
        Ok(self.noun(now))
    }

    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let url = self.pull_request(number, &["comments"]);
        let what = self.about("comment on", number);
        let ask = Ask::write(Method::POST, url, json!({ "text": text }), what);
        self.line.tell(&ask).await
    }

    /// By the builds of a repository, which all supported versions have; required builds go by the key.
    /// <https://developer.atlassian.com/server/bitbucket/rest/v902/api-group-builds-and-deployments/>
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError> {
        let Status { name, verdict, why } = status;
        let state = match verdict {
            Verdict::Passed => "SUCCESSFUL",
            Verdict::Waits => "INPROGRESS",
            Verdict::Failed => "FAILED",
        };
        let why = cut(why, DESCRIPTION_MAX);
        let body = json!({
            "key": name,
            "name": name,
            "state": state,
            "description": why,
            "url": page_of(self.url(&["commits", commit.as_str()])),
        });
        let url = self.url(&["commits", commit.as_str(), "builds"]);
        let what = format!("set the status `{name}`");
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// Auto-merge, since 8.15, where the repository's settings have it on. It is for the head that the pull request has then
    /// (`fromHash` of `RestAutoMergeRequest`) and `STALE` once that has moved.
    /// <https://developer.atlassian.com/server/bitbucket/rest/v902/api-group-pull-requests/>
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        let what = self.about("merge, when it is ready,", number);
        let ask = Ask::read(self.pull_request(number, &[]), &*what);
        let now: Wire = self.line.ask(&ask).await?;
        let is_at = now
            .from_ref
            .latest_commit
            .as_ref()
            .and_then(|at| at.0.as_ref());
        if is_at != Some(head) {
            return Err(self.line.not_yet(&ask, "its branch is at another commit"));
        }
        // <https://confluence.atlassian.com/bitbucketserver/pull-request-merge-strategies-844499235.html>
        let strategy = match way {
            MergeWay::Merge => "no-ff",
            MergeWay::Squash => "squash",
            MergeWay::Rebase => "rebase-ff-only",
        };
        let body = json!({
            "version": now.version,
            "strategyId": strategy,
            "autoMerge": true,
        });
        let url = self.pull_request(number, &["merge"]);
        let url = with(&url, "version", &now.version.to_string());
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// 404 before 8.15, which merges nothing by itself.
    /// <https://developer.atlassian.com/server/bitbucket/rest/v902/api-group-pull-requests/>
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        let url = self.pull_request(number, &["auto-merge"]);
        let what = self.about("take back the automatic merge of", number);
        let ask = Ask::bare(Method::DELETE, url, what);
        let answer = self.line.send(&ask).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            _ => self.line.judge(&ask, answer).map(drop),
        }
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let now = self.read(number).await?;
        let all = now.reviewers.into_iter().chain(now.participants);
        let approvals = all.filter(|one| one.status.as_deref() == Some("APPROVED"));
        let approvals = approvals.map(|one| Approval {
            by: one.user.name,
            at: None,
            commit: one.last_reviewed_commit.and_then(|commit| commit.0),
        });
        Ok(approvals.collect())
    }
}

/// Where people look at what the API has at `url`: below the same root.
fn page_of(url: Url) -> String {
    url.as_str().replacen("/rest/api/latest/", "/", 1)
}

fn people<'a>(names: impl Iterator<Item = &'a String>) -> Json {
    names
        .map(|name| json!({ "user": { "name": name } }))
        .collect()
}

fn short(branch: &Ref) -> &str {
    branch.id.strip_prefix(BRANCHES).unwrap_or(&branch.id)
}

/// What a refusal consists of.
fn errors(answer: &Answer) -> Errors {
    match answer.status {
        StatusCode::CONFLICT => serde_json::from_slice(&answer.body).unwrap_or_default(),
        _ => Errors::default(),
    }
}

fn is(answer: &Answer, class: &str) -> bool {
    errors(answer).has(class)
}
