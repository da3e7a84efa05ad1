//! GitLab, of gitlab.com and self-managed: merge requests, API version 4. <https://docs.gitlab.com/api/merge_requests/>
//!
//! Peculiar: a draft is a title that starts with `Draft:`; people and milestones are numbers; a status that waits cannot be
//! said anew; how a merge is made is the project's to say, but for squashing.

mod commits;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;

use super::alike::{cut, once_each};
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Ask, Dialect, Line};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::wire::gitlab::{
    Approvals, MergeMethod, MergeRequest, Milestone, Project, State as WireState,
    Status as WireStatus, User,
};
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, State, Status,
    Update, Verdict, Wishes,
};
use crate::manifest::CommitId;

/// Entries on a page, the most that there are: <https://docs.gitlab.com/api/rest/#pagination>
const PAGE_SIZE: &str = "100";

/// Characters of a status's description: the column is a `character varying` of 255.
/// <https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/generic_commit_status.rb>
const DESCRIPTION_MAX: usize = 255;

/// How a title says that it is a draft: <https://docs.gitlab.com/user/project/merge_requests/drafts/>
const DRAFT: &str = "Draft: ";

/// Personal, project and group tokens, and those of OAuth, all go so.
/// <https://docs.gitlab.com/api/rest/authentication/#personalprojectgroup-access-tokens>
const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |_| Shown::Bearer,
};

/// A project on GitLab.
pub(super) struct Gitlab {
    line: Line,
    /// With all its groups.
    path: String,
}

impl Gitlab {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let path = options.place.path.clone();
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self { line, path })
    }

    fn url(&self, segments: &[&str]) -> Url {
        self.line
            .url(&[&["projects", &self.path], segments].concat())
    }

    fn merge_request(&self, number: u64, rest: &[&str]) -> Url {
        let number = number.to_string();
        self.url(&[&["merge_requests", &number], rest].concat())
    }

    fn about(&self, what: &str, number: u64) -> String {
        format!("{what} merge request {number} of `{}`", self.path)
    }

    async fn list(
        &self,
        head_prefix: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut url = self.url(&["merge_requests"]);
        url.query_pairs_mut()
            .append_pair("scope", "all")
            .append_pair("order_by", "created_at")
            .append_pair("sort", "asc")
            .append_pair("per_page", PAGE_SIZE)
            .extend_pairs(parameters);
        let ask = Ask::list(url, format!("list merge requests of `{}`", self.path));
        let all: Vec<MergeRequest> = self.line.pages(ask, |_| true).await?;
        // What a fork's branch is called is not ours to say.
        let ours = all.into_iter().filter(|one| {
            one.source_branch.starts_with(head_prefix)
                && one.source_project_id == Some(one.target_project_id)
        });
        Ok(once_each(ours.map(noun).collect()))
    }

    /// The numbers of people by their names; who is not there is a complaint.
    async fn people(
        &self,
        names: BTreeSet<&String>,
        complaints: &mut Vec<ForgeError>,
    ) -> Result<BTreeMap<String, u64>, ForgeError> {
        let mut found = BTreeMap::new();
        for name in names {
            let mut url = self.line.url(&["users"]);
            url.query_pairs_mut().append_pair("username", name);
            let what = format!("find the user `{name}`");
            let users: Vec<User> = self.line.ask(&Ask::read(url, &*what)).await?;
            match users.first() {
                Some(user) => drop(found.insert(name.clone(), user.id)),
                None => complaints.push(self.line.not_found(what)),
            }
        }
        Ok(found)
    }

    async fn milestone(
        &self,
        title: &str,
        complaints: &mut Vec<ForgeError>,
    ) -> Result<Option<u64>, ForgeError> {
        let mut url = self.url(&["milestones"]);
        url.query_pairs_mut()
            .append_pair("title", title)
            // Those of the groups too; the name that versions before 16.7 know is `include_parent_milestones`.
            .append_pair("include_ancestors", "true")
            .append_pair("include_parent_milestones", "true");
        let what = format!("find the milestone `{title}`");
        let found: Vec<Milestone> = self.line.ask(&Ask::read(url, &*what)).await?;
        if found.is_empty() {
            complaints.push(self.line.not_found(what));
        }
        Ok(found.first().map(|one| one.id))
    }

    /// What was wished and is not so: GitLab leaves out, without a word, labels that may not be made, and all but one
    /// reviewer and assignee where the licence has no more.
    /// <https://docs.gitlab.com/user/project/merge_requests/reviews/#multiple-reviewers>
    fn left_out(&self, new: &NewPullRequest, made: &MergeRequest) -> Vec<ForgeError> {
        let has = |label: &&String| !made.labels.contains(label);
        let labels = new.wishes.labels.iter().filter(has);
        let labels = labels.map(|label| self.line.not_found(format!("label it `{label}`")));
        let mut complaints: Vec<ForgeError> = labels.collect();
        let is_cut = |wished: &BTreeSet<String>, made: &[User]| {
            let are = |user: &User| wished.contains(&user.username);
            wished.len() > 1 && made.iter().filter(|user| are(user)).count() == 1
        };
        if is_cut(&new.wishes.reviewers, &made.reviewers) {
            let what = "ask more than one person for a review without GitLab Premium";
            complaints.push(self.line.unsupported(what));
        }
        if is_cut(&new.wishes.assignees, &made.assignees) {
            let what = "assign more than one person without GitLab Premium";
            complaints.push(self.line.unsupported(what));
        }
        complaints
    }

    /// Says it, and tells `false` where GitLab refuses for what was said before.
    async fn say(
        &self,
        commit: &CommitId,
        (status, state): (&Status, &str),
    ) -> Result<bool, ForgeError> {
        let Status { name, why, .. } = status;
        let why = cut(why, DESCRIPTION_MAX);
        let body = json!({ "state": state, "name": name, "description": why });
        let url = self.url(&["statuses", commit.as_str()]);
        let ask = Ask::write(Method::POST, url, body, format!("set the status `{name}`"));
        let answer = self.line.send(&ask).await?;
        let is_refused = answer.status == StatusCode::BAD_REQUEST
            && answer.words().contains("Cannot transition status");
        if is_refused {
            return Ok(false);
        }
        self.line.judge(&ask, answer).map(|_| true)
    }

    /// Whether `status` is what GitLab shows already.
    async fn is_said(
        &self,
        commit: &CommitId,
        (status, state): (&Status, &str),
    ) -> Result<bool, ForgeError> {
        let mut url = self.url(&["repository", "commits", commit.as_str(), "statuses"]);
        url.query_pairs_mut().append_pair("name", &status.name);
        let ask = Ask::read(url, format!("read the status `{}`", status.name));
        let shown: Vec<WireStatus> = self.line.ask(&ask).await?;
        let why = cut(&status.why, DESCRIPTION_MAX);
        let is_same =
            |one: &WireStatus| one.status == state && one.description.as_ref() == Some(&why);
        Ok(shown.iter().any(is_same))
    }
}

impl Client for Gitlab {
    async fn rights(&self, branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses {
            branch: Some(self.url(&["repository", "branches", branch])),
            version: Some(self.line.url(&["version"])),
            token: Some(self.line.url(&["personal_access_tokens", "self"])),
            ..Addresses::repository(self.url(&[]))
        };
        rights::ask(&self.line, &self.path, addresses).await
    }

    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError> {
        self.list(head_prefix, &[("state", "opened")]).await
    }

    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let since = since.to_string();
        self.list(head_prefix, &[("state", "all"), ("updated_after", &since)])
            .await
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let mut complaints = Vec::new();
        let names = new.wishes.reviewers.union(&new.wishes.assignees).collect();
        let people = self.people(names, &mut complaints).await?;
        let numbers = |names: &BTreeSet<String>| -> Vec<u64> {
            names
                .iter()
                .filter_map(|name| people.get(name).copied())
                .collect()
        };
        let milestone = match &new.wishes.milestone {
            Some(title) => self.milestone(title, &mut complaints).await?,
            None => None,
        };
        let mut body = json!({
            "source_branch": new.head,
            "target_branch": new.base,
            "title": titled(&new.title, new.is_draft),
            "description": new.body,
            "labels": new.wishes.labels,
            "reviewer_ids": numbers(&new.wishes.reviewers),
            "assignee_ids": numbers(&new.wishes.assignees),
        });
        if let Some(milestone) = milestone {
            body["milestone_id"] = json!(milestone);
        }
        let what = format!("open a merge request in `{}`", self.path);
        let ask = Ask::write(Method::POST, self.url(&["merge_requests"]), body, what);
        let answer = self.line.send(&ask).await?;
        // `Another open merge request already exists for this source branch: !5`, `MergeRequest#conflicting_mr_message` in
        // <https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/merge_request.rb>.
        if answer.status == StatusCode::CONFLICT && answer.words().contains("already exists") {
            return Err(self.line.exists(&new.head));
        }
        let answer = self.line.judge(&ask, answer)?;
        let made: MergeRequest = self.line.parse(&ask, &answer)?;
        complaints.extend(self.left_out(new, &made));
        Ok(Opened {
            pull_request: noun(made),
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
        let url = self.merge_request(number, &[]);
        let mut fields = serde_json::Map::new();
        if let Some(title) = title {
            let now: MergeRequest = self.line.ask(&Ask::read(url.clone(), &*what)).await?;
            fields.insert("title".to_owned(), json!(titled(title, now.draft)));
        }
        if let Some(body) = body {
            fields.insert("description".to_owned(), json!(body));
        }
        if *close {
            fields.insert("state_event".to_owned(), json!("close"));
        }
        let ask = match fields.is_empty() {
            true => Ask::read(url, what),
            false => Ask::write(Method::PUT, url, fields.into(), what),
        };
        self.line.ask(&ask).await.map(noun)
    }

    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let url = self.merge_request(number, &["notes"]);
        let what = self.about("comment on", number);
        let ask = Ask::write(Method::POST, url, json!({ "body": text }), what);
        self.line.tell(&ask).await
    }

    /// A status that waits cannot wait anew, not even for another reason, and one that is over begins a new one
    /// (`Ci::CreateCommitStatusService`). So a new reason ends the old status first, as `canceled`, which no rule takes for
    /// passed. <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError> {
        let state = match status.verdict {
            Verdict::Passed => "success",
            Verdict::Waits => "pending",
            Verdict::Failed => "failed",
        };
        if self.say(commit, (status, state)).await? || self.is_said(commit, (status, state)).await?
        {
            return Ok(());
        }
        self.say(commit, (status, "canceled")).await?;
        match self.say(commit, (status, state)).await? {
            true => Ok(()),
            false => Err(self
                .line
                .unsupported("change a status that another one is changing")),
        }
    }

    /// `auto_merge` since 17.11, `merge_when_pipeline_succeeds` before. Where nothing is waited for it merges at once.
    /// <https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request>
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        if way == MergeWay::Rebase {
            let ask = Ask::list(self.url(&[]), format!("read the project `{}`", self.path));
            let project: Project = self.line.ask(&ask).await?;
            if project.merge_method.unwrap_or(MergeMethod::Merge) == MergeMethod::Merge {
                let what =
                    "rebase a merge request of a project whose merge method is a merge commit";
                return Err(self.line.unsupported(what));
            }
        }
        let body = json!({
            "sha": head.as_str(),
            "squash": way == MergeWay::Squash,
            "auto_merge": true,
            "merge_when_pipeline_succeeds": true,
        });
        let url = self.merge_request(number, &["merge"]);
        let what = self.about("merge, when it is ready,", number);
        let ask = Ask::write(Method::PUT, url, body, what);
        let answer = self.line.send(&ask).await?;
        // 405 and 422 where it cannot be merged, which is so too while that is being found out; 409 where the head is another.
        // <https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request>
        match answer.status {
            StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::CONFLICT
            | StatusCode::UNPROCESSABLE_ENTITY => Err(self.line.not_yet(&ask, answer.words())),
            _ => self.line.judge(&ask, answer).map(drop),
        }
    }

    /// Where nothing waits, the answer is 201 too, with words that say so; the documentation has 406.
    /// <https://docs.gitlab.com/api/merge_requests/#cancel-merge-when-pipeline-succeeds>
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        let url = self.merge_request(number, &["cancel_merge_when_pipeline_succeeds"]);
        let what = self.about("take back the automatic merge of", number);
        let ask = Ask::bare(Method::POST, url, what);
        let answer = self.line.send(&ask).await?;
        match answer.status {
            StatusCode::NOT_ACCEPTABLE => Ok(()),
            _ => self.line.judge(&ask, answer).map(drop),
        }
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let url = self.merge_request(number, &["approvals"]);
        let ask = Ask::list(url, self.about("read who approved", number));
        let approvals: Approvals = self.line.ask(&ask).await?;
        let all = approvals.approved_by.into_iter().map(|one| Approval {
            by: one.user.username,
            at: one.approved_at.map(|at| at.0),
            commit: None,
        });
        Ok(all.collect())
    }
}

fn titled(title: &str, is_draft: bool) -> String {
    let mark = if is_draft { DRAFT } else { "" };
    format!("{mark}{title}")
}

fn noun(one: MergeRequest) -> PullRequest {
    let name = |user: Option<User>| user.map(|user| user.username);
    let head_commit = one.sha.and_then(|sha| sha.0);
    // A fast-forward makes no commit of its own.
    let made = [one.merge_commit_sha, one.squash_commit_sha];
    let made = made.into_iter().flatten().find_map(|commit| commit.0);
    let updated = one.updated_at.0;
    let title = match one.draft {
        true => one.title.strip_prefix(DRAFT).unwrap_or(&one.title),
        false => &one.title,
    };
    PullRequest {
        number: one.iid,
        url: one.web_url,
        head: one.source_branch,
        head_commit: head_commit.clone(),
        base: one.target_branch,
        title: title.to_owned(),
        body: one.description.unwrap_or_default(),
        state: match one.state {
            WireState::Opened | WireState::Locked => State::Open,
            WireState::Merged => State::Merged {
                commit: made.or(head_commit),
                at: one.merged_at.map_or(updated, |at| at.0),
                by: name(one.merge_user.or(one.merged_by)),
            },
            WireState::Closed => State::Closed {
                at: one.closed_at.map_or(updated, |at| at.0),
                by: name(one.closed_by),
            },
        },
        is_draft: one.draft,
        updated,
    }
}
