//! Gitea, and Forgejo: <https://docs.gitea.com/api/>, <https://forgejo.org/docs/latest/user/api-usage/>.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::alike;
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Ask, Dialect, Line, PAGES_MAX};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, Status, Update,
    Wishes, wire,
};
use crate::manifest::CommitId;

/// <https://docs.gitea.com/development/api-usage#authentication>. All versions know `token`, newer ones `Bearer` too.
const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |_| Shown::Token,
};

/// As many as a server gives at most, if its owner did not say otherwise (`MAX_RESPONSE_ITEMS`).
const PAGE_SIZE: &str = "50";

/// What makes a pull request a draft, if a server's owner did not say otherwise (`WORK_IN_PROGRESS_PREFIXES`).
const DRAFT: &str = "WIP: ";

/// A repository on Gitea.
pub(super) struct Gitea {
    line: Line,
    path: String,
}

impl Gitea {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let path = options.place.path.clone();
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self { line, path })
    }

    fn url(&self, below: &[&str]) -> Url {
        let repository: Vec<&str> = self.path.split('/').collect();
        self.line
            .url(&[&["repos"], &repository[..], below].concat())
    }

    fn list(&self, query: &[(&str, &str)]) -> Ask {
        let mut url = self.url(&["pulls"]);
        url.query_pairs_mut().extend_pairs(query);
        Ask::list(url, format!("list pull requests of `{}`", self.path))
    }

    async fn listed(
        &self,
        ask: Ask,
        head_prefix: &str,
        wants_more: impl Fn(&[wire::PullRequest]) -> bool,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let told = self.pages(&ask, wants_more).await?;
        let ours = told.into_iter().filter(|told: &wire::PullRequest| {
            told.head.label.starts_with(head_prefix) && alike::is_of_same_repository(told)
        });
        let all: Result<Vec<_>, _> = ours.map(|told| self.noun(&ask, told)).collect();
        all.map(alike::once_each)
    }

    /// Reads a list by the numbers of its pages: its links begin with the address that the server believes to have.
    async fn pages<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        wants_more: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for number in 1..=PAGES_MAX {
            let mut ask = ask.clone();
            ask.url
                .query_pairs_mut()
                .append_pair("limit", PAGE_SIZE)
                .append_pair("page", &number.to_string());
            let answer = self.line.send(&ask).await?;
            let answer = self.line.judge(&ask, answer)?;
            let page: Vec<T> = self.line.parse(&ask, &answer)?;
            let is_last = page.is_empty() || !wants_more(&page);
            all.extend(page);
            let total = answer.header("x-total-count");
            let total: Option<usize> = total.and_then(|total| total.parse().ok());
            if is_last || total.is_some_and(|total| all.len() >= total) {
                return Ok(all);
            }
        }
        Err(self.line.too_many_pages(ask))
    }

    /// The title is told without what makes it a draft.
    fn noun(&self, ask: &Ask, mut told: wire::PullRequest) -> Result<PullRequest, ForgeError> {
        let head = std::mem::take(&mut told.head.label);
        if let Some(title) = told.title.strip_prefix(DRAFT).filter(|_| told.draft) {
            told.title = title.to_owned();
        }
        alike::pull_request(&self.line, ask, told, head)
    }

    async fn read(&self, number: u64, what: &str) -> Result<PullRequest, ForgeError> {
        let ask = Ask::read(self.url(&["pulls", &number.to_string()]), what);
        let told = self.line.ask(&ask).await?;
        self.noun(&ask, told)
    }

    fn about(&self, what: &str, number: u64) -> String {
        format!("{what} pull request {number} of `{}`", self.path)
    }

    /// By their names, since Gitea 1.19 and Forgejo; those that do not exist are left out in silence.
    async fn add_labels(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        if wishes.labels.is_empty() {
            return Ok(());
        }
        let url = self.url(&["issues", &number.to_string(), "labels"]);
        let what = self.about(
            &format!("put the labels {} on", alike::listed(&wishes.labels)),
            number,
        );
        let ask = Ask::write(Method::POST, url, json!({ "labels": wishes.labels }), what);
        let all: Vec<wire::Label> = self.line.ask(&ask).await?;
        let is_missing = |wanted: &&String| !all.iter().any(|label| label.name == **wanted);
        let missing: Vec<&String> = wishes.labels.iter().filter(is_missing).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => {
                let names = alike::listed(missing);
                Err(self
                    .line
                    .rejected(&ask, &format!("there is no label {names}")))
            }
        }
    }

    async fn assign(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        if wishes.assignees.is_empty() {
            return Ok(());
        }
        let what = format!("assign {} to", alike::listed(&wishes.assignees));
        let url = self.url(&["pulls", &number.to_string()]);
        let body = json!({ "assignees": wishes.assignees });
        let ask = Ask::write(Method::PATCH, url, body, self.about(&what, number));
        self.line.tell(&ask).await
    }

    async fn set_milestone(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        let Some(title) = &wishes.milestone else {
            return Ok(());
        };
        let what = self.about(&format!("set the milestone `{title}` of"), number);
        let mut url = self.url(&["milestones"]);
        url.query_pairs_mut().append_pair("name", title);
        let ask = Ask::list(url, what.clone());
        let all: Vec<wire::Milestone> = self.pages(&ask, |_| true).await?;
        let Some(found) = all.into_iter().find(|one| one.title == *title) else {
            return Err(self.line.rejected(&ask, "no open milestone has this title"));
        };
        let url = self.url(&["pulls", &number.to_string()]);
        let body = json!({ "milestone": found.id });
        self.line
            .tell(&Ask::write(Method::PATCH, url, body, what))
            .await
    }

    async fn ask_for_review(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        if wishes.reviewers.is_empty() {
            return Ok(());
        }
        let (people, teams) = alike::people_and_teams(&wishes.reviewers);
        let url = self.url(&["pulls", &number.to_string(), "requested_reviewers"]);
        let what = format!("ask {} to review", alike::listed(&wishes.reviewers));
        let body = json!({ "reviewers": people, "team_reviewers": teams });
        let ask = Ask::write(Method::POST, url, body, self.about(&what, number));
        self.line.tell(&ask).await
    }
}

impl Client for Gitea {
    async fn rights(&self, branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses {
            branch: Some(self.url(&["branches", branch])),
            version: Some(self.line.url(&["version"])),
            token: None,
            ..Addresses::repository(self.url(&[]))
        };
        rights::ask(&self.line, &self.path, addresses).await
    }

    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let ask = self.list(&[("state", "open")]);
        self.listed(ask, head_prefix, |_| true).await
    }

    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let ask = self.list(&[("state", "all"), ("sort", "recentupdate")]);
        let wants_more = |page: &[_]| alike::reaches_to(page, since);
        let mut all = self.listed(ask, head_prefix, wants_more).await?;
        all.retain(|one| one.updated >= since);
        Ok(all)
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let title = match new.is_draft {
            true => format!("{DRAFT}{}", new.title),
            false => new.title.clone(),
        };
        let body = json!({
            "title": title,
            "head": new.head,
            "base": new.base,
            "body": new.body,
        });
        let what = format!("open a pull request in `{}`", self.path);
        let ask = Ask::write(Method::POST, self.url(&["pulls"]), body, what);
        let taken = (&*new.head, StatusCode::CONFLICT);
        let told = alike::open(&self.line, &ask, taken).await?;
        let pull_request = self.noun(&ask, told)?;
        let complaints = self.wish(pull_request.number, &new.wishes).await;
        Ok(Opened {
            pull_request,
            complaints,
        })
    }

    async fn wish(&self, number: u64, wishes: &Wishes) -> Vec<ForgeError> {
        let outcomes = [
            self.add_labels(number, wishes).await,
            self.assign(number, wishes).await,
            self.set_milestone(number, wishes).await,
            self.ask_for_review(number, wishes).await,
        ];
        outcomes.into_iter().filter_map(Result::err).collect()
    }

    async fn update(&self, number: u64, update: &Update) -> Result<PullRequest, ForgeError> {
        let what = self.about("change", number);
        let mut update = update.clone();
        if let Some(title) = &mut update.title
            && self.read(number, &what).await?.is_draft
        {
            title.insert_str(0, DRAFT);
        }
        let change = alike::change(update);
        let url = self.url(&["pulls", &number.to_string()]);
        let ask = Ask::write(Method::PATCH, url, change, what);
        let told = self.line.ask(&ask).await?;
        self.noun(&ask, told)
    }

    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let url = self.url(&["issues", &number.to_string(), "comments"]);
        let body = json!({ "body": text });
        let ask = Ask::write(Method::POST, url, body, self.about("comment on", number));
        self.line.tell(&ask).await
    }

    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError> {
        let Status { name, verdict, why } = status;
        let url = self.url(&["statuses", commit.as_str()]);
        let body = json!({
            "state": alike::status_name(*verdict),
            "context": name,
            "description": why,
        });
        let what = format!(
            "set the status `{name}` of commit {} in `{}`",
            commit.short(),
            self.path
        );
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// Gitea looks at `head_commit_id` only where it merges at once, so the head is compared here too.
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        let what = self.about("turn on the automatic merge of", number);
        let found = self.read(number, &what).await?;
        let way = match way {
            MergeWay::Merge => "merge",
            MergeWay::Squash => "squash",
            MergeWay::Rebase => "rebase",
        };
        let body = json!({
            "Do": way,
            "head_commit_id": head.as_str(),
            "merge_when_checks_succeed": true,
        });
        let url = self.url(&["pulls", &number.to_string(), "merge"]);
        let ask = Ask::write(Method::POST, url, body, what);
        if found.head_commit.as_ref() != Some(head) {
            return Err(self.line.not_yet(&ask, "its head is another commit"));
        }
        let answer = self.line.send(&ask).await?;
        let is_armed =
            answer.status == StatusCode::CONFLICT && answer.words().contains("already scheduled");
        // It has not found out yet whether it merges at all: `Please try again later`.
        let is_early = answer.status == StatusCode::METHOD_NOT_ALLOWED
            && answer.words().contains("try again later");
        match (is_armed, is_early) {
            (true, _) => Ok(()),
            (false, true) => Err(self.line.not_yet(&ask, answer.words())),
            (false, false) => self.line.judge(&ask, answer).map(drop),
        }
    }

    /// 404 where nothing is scheduled: <https://docs.gitea.com/api/#tag/repository/operation/repoCancelScheduledAutoMerge>.
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        let url = self.url(&["pulls", &number.to_string(), "merge"]);
        let what = self.about("turn off the automatic merge of", number);
        let ask = Ask::bare(Method::DELETE, url, what);
        let answer = self.line.send(&ask).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            _ => self.line.judge(&ask, answer).map(drop),
        }
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let url = self.url(&["pulls", &number.to_string(), "reviews"]);
        let ask = Ask::list(url, self.about("read the reviews of", number));
        let reviews = self.pages(&ask, |_| true).await?;
        Ok(alike::approvals(reviews))
    }
}
