//! GitHub, and GitHub Enterprise Server: <https://docs.github.com/en/rest>.

mod commits;

use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;

use super::alike;
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Ask, Dialect, Line};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, Status, Update,
    Wishes, wire,
};
use crate::manifest::CommitId;

/// <https://docs.github.com/en/rest/about-the-rest-api/api-versions>.
const DIALECT: Dialect = Dialect {
    accept: "application/vnd.github+json",
    headers: &[("x-github-api-version", "2022-11-28")],
    token: |_| Shown::Bearer,
};

/// Characters of a status that are shown: <https://docs.github.com/en/rest/commits/statuses#create-a-commit-status> has no
/// limit in words, and refuses more with 422.
const STATUS_LENGTH_MAX: usize = 140;

const PAGE_SIZE: &str = "100";

const UNSTABLE: &str = "unstable";

const AUTO_MERGE: &str = "mutation($id: ID!, $way: PullRequestMergeMethod!, $head: GitObjectID!) { \
    enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $way, expectedHeadOid: $head}) { clientMutationId } }";

const NO_AUTO_MERGE: &str = "mutation($id: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $id}) { clientMutationId } }";

/// A repository on GitHub.
pub(super) struct Github {
    line: Line,
    path: String,
    /// What is made in the git database is not signed for whoever the credentials belong to.
    signs_nothing_there: AtomicBool,
}

impl Github {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let path = options.place.path.clone();
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self {
            line,
            path,
            signs_nothing_there: AtomicBool::new(false),
        })
    }

    /// An address below the repository's.
    fn url(&self, below: &[&str]) -> Url {
        let repository: Vec<&str> = self.path.split('/').collect();
        self.line
            .url(&[&["repos"], &repository[..], below].concat())
    }

    fn list(&self, query: &[(&str, &str)]) -> Ask {
        let mut url = self.url(&["pulls"]);
        url.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("per_page", PAGE_SIZE);
        Ask::list(url, format!("list pull requests of `{}`", self.path))
    }

    async fn listed(
        &self,
        ask: Ask,
        head_prefix: &str,
        wants_more: impl Fn(&[wire::PullRequest]) -> bool,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let told = self.line.pages(ask.clone(), wants_more).await?;
        let ours = told.into_iter().filter(|told| {
            told.head.name.starts_with(head_prefix) && alike::is_of_same_repository(told)
        });
        let all: Result<Vec<_>, _> = ours.map(|told| self.noun(&ask, told)).collect();
        all.map(alike::once_each)
    }

    fn noun(&self, ask: &Ask, mut told: wire::PullRequest) -> Result<PullRequest, ForgeError> {
        let head = std::mem::take(&mut told.head.name);
        alike::pull_request(&self.line, ask, told, head)
    }

    fn about(&self, what: &str, number: u64) -> String {
        format!("{what} pull request {number} of `{}`", self.path)
    }

    /// Labels that do not exist are made by it: <https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue>.
    async fn add_labels(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        if wishes.labels.is_empty() {
            return Ok(());
        }
        let url = self.url(&["issues", &number.to_string(), "labels"]);
        let what = format!("put the labels {} on", alike::listed(&wishes.labels));
        let body = json!({ "labels": wishes.labels });
        let ask = Ask::write(Method::POST, url, body, self.about(&what, number));
        self.line.tell(&ask).await
    }

    /// Who cannot be assigned is left out in silence:
    /// <https://docs.github.com/en/rest/issues/assignees#add-assignees-to-an-issue>.
    async fn assign(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        if wishes.assignees.is_empty() {
            return Ok(());
        }
        let url = self.url(&["issues", &number.to_string(), "assignees"]);
        let what = self.about(
            &format!("assign {} to", alike::listed(&wishes.assignees)),
            number,
        );
        let ask = Ask::write(
            Method::POST,
            url,
            json!({ "assignees": wishes.assignees }),
            what,
        );
        let issue: wire::Issue = self.line.ask(&ask).await?;
        let assigned = issue.assignees.unwrap_or_default();
        let is_missing = |wanted: &&String| {
            let is_same = |user: &wire::User| user.login.eq_ignore_ascii_case(wanted);
            !assigned.iter().any(is_same)
        };
        let missing: Vec<&String> = wishes.assignees.iter().filter(is_missing).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => {
                let names = alike::listed(missing);
                Err(self
                    .line
                    .rejected(&ask, &format!("{names} cannot be assigned")))
            }
        }
    }

    async fn set_milestone(&self, number: u64, wishes: &Wishes) -> Result<(), ForgeError> {
        let Some(title) = &wishes.milestone else {
            return Ok(());
        };
        let what = self.about(&format!("set the milestone `{title}` of"), number);
        let mut url = self.url(&["milestones"]);
        url.query_pairs_mut().append_pair("per_page", PAGE_SIZE);
        let ask = Ask::list(url, what.clone());
        let all: Vec<wire::Milestone> = self.line.pages(ask.clone(), |_| true).await?;
        let found = all.into_iter().find(|one| one.title == *title);
        let Some(milestone) = found.and_then(|one| one.number) else {
            return Err(self.line.rejected(&ask, "no open milestone has this title"));
        };
        let url = self.url(&["issues", &number.to_string()]);
        let body = json!({ "milestone": milestone });
        self.line
            .tell(&Ask::write(Method::PATCH, url, body, what))
            .await
    }

    /// All at once: GitHub refuses them all if it knows one of them not.
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

    /// Next to REST's root: `https://api.github.com/graphql`, `https://HOST/api/graphql`,
    /// <https://docs.github.com/en/enterprise-server@latest/graphql/guides/forming-calls-with-graphql#the-graphql-endpoint>.
    fn graphql(&self) -> Url {
        let mut url = self.line.url(&[]);
        let path = url.path().trim_end_matches('/');
        let path = format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(path));
        url.set_path(&path);
        url
    }

    /// Merges what has all that it requires: GitHub arms no automatic merge then. It refuses with 405 and 409 where the base or
    /// the head moved in the meantime, <https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>.
    async fn merge_now(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        let url = self.url(&["pulls", &number.to_string(), "merge"]);
        let way = match way {
            MergeWay::Merge => "merge",
            MergeWay::Squash => "squash",
            MergeWay::Rebase => "rebase",
        };
        let body = json!({ "sha": head.as_str(), "merge_method": way });
        let ask = Ask::write(Method::PUT, url, body, self.about("merge", number));
        let answer = self.line.send(&ask).await?;
        match answer.status {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT => {
                Err(self.line.not_yet(&ask, answer.words()))
            }
            _ => self.line.judge(&ask, answer).map(drop),
        }
    }
}

impl Client for Github {
    async fn rights(&self, branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses {
            branch: Some(self.url(&["branches", branch])),
            version: None,
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
        let ask = self.list(&[("state", "all"), ("sort", "updated"), ("direction", "desc")]);
        let wants_more = |page: &[_]| alike::reaches_to(page, since);
        let mut all = self.listed(ask, head_prefix, wants_more).await?;
        all.retain(|one| one.updated >= since);
        Ok(all)
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let body = json!({
            "title": new.title,
            "head": new.head,
            "base": new.base,
            "body": new.body,
            "draft": new.is_draft,
        });
        let what = format!("open a pull request in `{}`", self.path);
        let ask = Ask::write(Method::POST, self.url(&["pulls"]), body, what);
        let taken = (&*new.head, StatusCode::UNPROCESSABLE_ENTITY);
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
        let change = alike::change(update.clone());
        let url = self.url(&["pulls", &number.to_string()]);
        let ask = Ask::write(Method::PATCH, url, change, self.about("change", number));
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
            "description": alike::cut(why, STATUS_LENGTH_MAX),
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

    /// What is `clean` is merged at once, since GitHub refuses to arm it. What is `unstable` has all that is required too, and a
    /// check that runs or failed: it is refused as well, and is no reason to merge over that check.
    /// <https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge>,
    /// <https://docs.github.com/en/graphql/reference/enums#mergestatestatus>
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        let what = self.about("turn on the automatic merge of", number);
        let ask = Ask::list(self.url(&["pulls", &number.to_string()]), what.clone());
        let told: wire::PullRequest = self.line.ask(&ask).await?;
        if told.head.sha != head.as_str() {
            return Err(self.line.not_yet(&ask, "its head is another commit"));
        }
        if told.mergeable_state.as_deref() == Some(UNSTABLE) {
            let words = "a check that is not required has not passed";
            return Err(self.line.not_yet(&ask, words));
        }
        let Some(id) = told.node_id else {
            return Err(self
                .line
                .malformed(&ask, "a pull request without `node_id`"));
        };
        let way_name = match way {
            MergeWay::Merge => "MERGE",
            MergeWay::Squash => "SQUASH",
            MergeWay::Rebase => "REBASE",
        };
        let variables = json!({ "id": id, "way": way_name, "head": head.as_str() });
        let body = json!({ "query": AUTO_MERGE, "variables": variables });
        let ask = Ask::write(Method::POST, self.graphql(), body, what);
        let told: wire::GraphQl = self.line.ask(&ask).await?;
        match &*told.words() {
            "" => Ok(()),
            words if words.contains("in clean status") => self.merge_now(number, way, head).await,
            words if words.contains("in unstable status") => Err(self.line.not_yet(&ask, words)),
            words => Err(self.line.rejected(&ask, words)),
        }
    }

    /// GitHub refuses where nothing is armed: `Can't disable auto-merge for this pull request.`
    /// <https://docs.github.com/en/graphql/reference/mutations#disablepullrequestautomerge>
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        let what = self.about("turn off the automatic merge of", number);
        let ask = Ask::list(self.url(&["pulls", &number.to_string()]), what.clone());
        let told: wire::PullRequest = self.line.ask(&ask).await?;
        if told.auto_merge.is_none() {
            return Ok(());
        }
        let Some(id) = told.node_id else {
            return Err(self
                .line
                .malformed(&ask, "a pull request without `node_id`"));
        };
        let body = json!({ "query": NO_AUTO_MERGE, "variables": { "id": id } });
        let ask = Ask::write(Method::POST, self.graphql(), body, what);
        let told: wire::GraphQl = self.line.ask(&ask).await?;
        match &*told.words() {
            "" => Ok(()),
            words => Err(self.line.rejected(&ask, words)),
        }
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let mut url = self.url(&["pulls", &number.to_string(), "reviews"]);
        url.query_pairs_mut().append_pair("per_page", PAGE_SIZE);
        let ask = Ask::list(url, self.about("read the reviews of", number));
        let reviews = self.line.pages(ask, |_| true).await?;
        Ok(alike::approvals(reviews))
    }
}
