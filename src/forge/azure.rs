//! Azure DevOps Services and Server: pull requests of Git repositories, API version 7.1.
//! <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/?view=azure-devops-rest-7.1>
//!
//! Peculiar: a list cuts bodies at 400 characters; nothing tells when a pull request last changed; policies look at the
//! statuses of pull requests, not of commits; people are looked up on another host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use url::Url;

use super::alike::{once_each, unsupported};
use super::credentials::Shown;
use super::error::ForgeError;
use super::http::{Ask, Dialect, Line};
use super::rights::{self, Addresses, Rights};
use super::traffic::Traffic;
use super::turned::{Turned, with};
use super::wire::azure::{
    CommitRef, Found, Identity, Iteration, Person, PullRequest as Wire, State as WireState, Values,
};
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, State, Status,
    Update, Verdict, Wishes,
};
use crate::manifest::CommitId;

const API_VERSION: &str = "7.1";

/// Entries on a page, about as many as there are if nobody asks: 101.
const PAGE_SIZE: usize = 100;

/// Characters of a body in a list: `description field will be truncated up to 400 symbols in the result`.
/// <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/get-pull-requests>
const BODY_LENGTH_IN_LISTS: usize = 400;

/// The most bodies that are remembered: of 4,000 characters each, 4 MB and rarely more.
const BODIES_MAX: usize = 1_024;

/// How branches are called in full.
const BRANCHES: &str = "refs/heads/";

/// Where the people of all organisations are looked up. A server of one's own knows its people itself.
const CLOUD: &str = "dev.azure.com";
const PEOPLE_OF_CLOUD: &str = "https://vssps.dev.azure.com";

/// Who nobody is.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A vote from which on it is an approval: 5 is `approved with suggestions`, 10 `approved`.
/// <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-reviewers>
const APPROVED: i32 = 5;

/// Personal access tokens are the password of nobody in particular; those of Entra are bearers.
/// <https://learn.microsoft.com/en-us/azure/devops/integrate/get-started/authentication/authentication-guidance>
const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |token| match token.starts_with("eyJ") {
        true => Shown::Bearer,
        false => Shown::PasswordOf(""),
    },
};

/// A repository on Azure DevOps.
pub(super) struct AzureDevops {
    line: Line,
    /// To where people are looked up.
    people: Box<Line>,
    /// `ORGANISATION/PROJECT/NAME`.
    path: String,
    /// What pull requests looked like in a list, with their whole body.
    bodies: Mutex<BTreeMap<u64, (PullRequest, String)>>,
}

impl AzureDevops {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let path = options.place.path.clone();
        let mut people = options.clone();
        people.place.api = people_of(people.place.api);
        Ok(Self {
            line: Line::new(options, DIALECT, traffic)?,
            people: Box::new(Line::new(people, DIALECT, traffic)?),
            path,
            bodies: Mutex::default(),
        })
    }

    /// Organisation, project and name.
    fn segments(&self) -> [&str; 3] {
        let mut segments = self.path.splitn(3, '/');
        [(); 3].map(|()| segments.next().unwrap_or_default())
    }

    fn url(&self, segments: &[&str]) -> Url {
        let [organisation, project, name] = self.segments();
        let repository = [organisation, project, "_apis", "git", "repositories", name];
        let url = self.line.url(&[&repository, segments].concat());
        with(&url, "api-version", API_VERSION)
    }

    fn about(&self, what: &str, number: u64) -> String {
        format!("{what} pull request {number} of `{}`", self.path)
    }

    fn pull_request(&self, number: u64) -> Url {
        self.url(&["pullrequests", &number.to_string()])
    }

    /// What belongs to a pull request, which is described in other letters.
    fn of_pull_request(&self, number: u64, what: &str) -> Url {
        self.url(&["pullRequests", &number.to_string(), what])
    }

    /// The page where people look at a pull request.
    fn page_of(&self, number: u64) -> String {
        let [organisation, project, name] = self.segments();
        let number = number.to_string();
        let page = [organisation, project, "_git", name, "pullrequest", &number];
        self.line.url(&page).to_string()
    }

    async fn list(
        &self,
        head_prefix: &str,
        criteria: &[(&str, &str)],
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut url = self.url(&["pullrequests"]);
        url.query_pairs_mut()
            .extend_pairs(criteria)
            .append_pair("$top", &PAGE_SIZE.to_string());
        let what = format!("list pull requests of `{}`", self.path);
        let turn = |ask: &Ask, page: Values<Wire>| -> Result<Turned<Wire>, ForgeError> {
            let is_full = page.value.len() == PAGE_SIZE;
            let next = is_full.then(|| {
                let skipped = ask.url.query_pairs().find(|(key, _)| key == "$skip");
                let skipped = skipped.and_then(|(_, skipped)| skipped.parse().ok());
                let skip: usize = skipped.unwrap_or(0) + PAGE_SIZE;
                with(&ask.url, "$skip", &skip.to_string())
            });
            Ok((page.value, next))
        };
        let all = self.line.turned(Ask::list(url, what), turn).await?;
        let mut found = Vec::new();
        // What a fork's branch is called is not ours to say.
        let ours = all.into_iter().filter(|one| {
            short(&one.source_ref_name).starts_with(head_prefix) && one.fork_source.is_none()
        });
        for one in ours {
            found.push(self.whole(self.noun(one)).await?);
        }
        Ok(once_each(found))
    }

    /// A pull request of a list with all of its body, which is read again once anything that the list tells has changed.
    async fn whole(&self, listed: PullRequest) -> Result<PullRequest, ForgeError> {
        // How characters outside of the first plane count is not said.
        if listed.body.encode_utf16().count() < BODY_LENGTH_IN_LISTS {
            return Ok(listed);
        }
        let number = listed.number;
        let known = self.bodies(|bodies| bodies.get(&number).cloned());
        if let Some((_, body)) = known.filter(|(seen, _)| *seen == listed) {
            return Ok(PullRequest { body, ..listed });
        }
        let body = self.read(number).await?.description;
        self.bodies(|bodies| {
            if bodies.len() >= BODIES_MAX {
                bodies.clear();
            }
            bodies.insert(number, (listed.clone(), body.clone()));
        });
        Ok(PullRequest { body, ..listed })
    }

    fn bodies<T>(&self, act: impl FnOnce(&mut BTreeMap<u64, (PullRequest, String)>) -> T) -> T {
        act(&mut self.bodies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self, number: u64) -> Result<Wire, ForgeError> {
        let url = self.pull_request(number);
        let ask = Ask::read(url, self.about("read", number));
        self.line.ask(&ask).await
    }

    async fn patch(&self, number: u64, body: Json, what: &str) -> Result<Wire, ForgeError> {
        self.bodies(|bodies| bodies.remove(&number));
        let url = self.pull_request(number);
        self.line
            .ask(&Ask::write(Method::PATCH, url, body, what))
            .await
    }

    /// People by login, mail address or whole name, as reviewers are named.
    async fn reviewers(
        &self,
        names: &BTreeSet<String>,
        complaints: &mut Vec<ForgeError>,
    ) -> Result<Vec<Json>, ForgeError> {
        let mut found = Vec::new();
        for name in names {
            let [organisation, ..] = self.segments();
            let mut url = self.people.url(&[organisation, "_apis", "identities"]);
            url.query_pairs_mut()
                .append_pair("searchFilter", "General")
                .append_pair("filterValue", name)
                .append_pair("api-version", API_VERSION);
            let what = format!("find the user `{name}`");
            let people: Values<Person> = self.people.ask(&Ask::read(url, &*what)).await?;
            let mut people = people.value.into_iter();
            match people.find(|person| person.is_called(name)) {
                Some(person) => found.push(json!({ "id": person.id })),
                None => complaints.push(self.line.not_found(what)),
            }
        }
        Ok(found)
    }

    /// The active pull requests whose branch is at `commit`, with the number of the push that brought it there.
    async fn at(&self, commit: &CommitId) -> Result<Vec<(u64, u64)>, ForgeError> {
        let query = json!({ "queries": [{ "type": "commit", "items": [commit.as_str()] }] });
        let url = self.url(&["pullrequestquery"]);
        let what = format!("find the pull requests of `{}`", commit.short());
        let found: Found = self
            .line
            .ask(&Ask::write(Method::POST, url, query, what))
            .await?;
        let all = found.results.into_iter().flat_map(BTreeMap::into_values);
        let active = all.flatten().filter(|one| {
            one.status == WireState::Active && is_at(one.last_merge_source_commit.as_ref(), commit)
        });
        let mut places = Vec::new();
        for one in active {
            let number = one.pull_request_id;
            let url = self.of_pull_request(number, "iterations");
            let ask = Ask::list(url, self.about("read the pushes to", number));
            let pushes: Values<Iteration> = self.line.ask(&ask).await?;
            let mut pushes = pushes.value.into_iter().rev();
            let push = pushes.find(|push| is_at(push.source_ref_commit.as_ref(), commit));
            places.extend(push.map(|push| (number, push.id)));
        }
        Ok(places)
    }

    fn noun(&self, one: Wire) -> PullRequest {
        let closed = one.closed_date.map(|at| at.0);
        let updated = closed.unwrap_or(one.creation_date.0);
        let by = one.closed_by.and_then(Identity::name);
        let commit = |commit: Option<CommitRef>| commit.and_then(|commit| commit.commit_id.0);
        PullRequest {
            number: one.pull_request_id,
            url: self.page_of(one.pull_request_id),
            head: short(&one.source_ref_name).to_owned(),
            head_commit: commit(one.last_merge_source_commit),
            base: short(&one.target_ref_name).to_owned(),
            title: one.title,
            body: one.description,
            state: match one.status {
                WireState::Active | WireState::NotSet => State::Open,
                WireState::Completed => State::Merged {
                    commit: commit(one.last_merge_commit),
                    at: updated,
                    by,
                },
                WireState::Abandoned => State::Closed { at: updated, by },
            },
            is_draft: one.is_draft,
            updated,
        }
    }
}

impl Client for AzureDevops {
    async fn rights(&self, _branch: &str) -> Result<Rights, ForgeError> {
        let addresses = Addresses::repository(self.url(&[]));
        rights::ask(&self.line, &self.path, addresses).await
    }

    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError> {
        let active = [("searchCriteria.status", "active")];
        self.list(head_prefix, &active).await
    }

    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut found = self.open_pull_requests(head_prefix).await?;
        let since_then = since.to_string();
        let closed = [
            ("searchCriteria.status", "all"),
            ("searchCriteria.queryTimeRangeType", "closed"),
            ("searchCriteria.minTime", &*since_then),
        ];
        let closed = self.list(head_prefix, &closed).await?;
        let closed: Vec<PullRequest> = closed
            .into_iter()
            .filter(|one| one.state != State::Open && one.updated >= since)
            .collect();
        // One that was closed between the two requests is closed.
        found.retain(|one| closed.iter().all(|other| other.number != one.number));
        found.extend(closed);
        Ok(found)
    }

    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        let without_labels = Wishes {
            labels: BTreeSet::new(),
            ..new.wishes.clone()
        };
        let mut complaints = unsupported(&self.line, &without_labels);
        let reviewers = self
            .reviewers(&new.wishes.reviewers, &mut complaints)
            .await?;
        let labels = new
            .wishes
            .labels
            .iter()
            .map(|label| json!({ "name": label }));
        let body = json!({
            "sourceRefName": format!("{BRANCHES}{}", new.head),
            "targetRefName": format!("{BRANCHES}{}", new.base),
            "title": new.title,
            "description": new.body,
            "isDraft": new.is_draft,
            "labels": labels.collect::<Vec<Json>>(),
            "reviewers": reviewers,
        });
        let what = format!("open a pull request in `{}`", self.path);
        let ask = Ask::write(Method::POST, self.url(&["pullrequests"]), body, what);
        let answer = self.line.send(&ask).await?;
        // `TF401179: An active pull request for the source and target branch already exists.`
        if answer.status == StatusCode::CONFLICT && answer.words().contains("TF401179") {
            return Err(self.line.exists(&new.head));
        }
        let answer = self.line.judge(&ask, answer)?;
        let made = self.line.parse(&ask, &answer)?;
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
        let texts = [("title", title), ("description", body)];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let fields: serde_json::Map<String, Json> = texts
            .map(|(name, text)| (name.to_owned(), json!(text)))
            .collect();
        let mut now = None;
        if !fields.is_empty() {
            now = Some(self.patch(number, fields.into(), &what).await?);
        }
        if *close {
            now = Some(
                self.patch(number, json!({ "status": "abandoned" }), &what)
                    .await?,
            );
        }
        let now = match now {
            Some(now) => now,
            None => self.read(number).await?,
        };
        Ok(self.noun(now))
    }

    /// <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-threads/create>
    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        let url = self.of_pull_request(number, "threads");
        // A thread that is closed asks nobody to resolve it, which a policy may demand of those that are active.
        let body = json!({
            "comments": [{ "parentCommentId": 0, "content": text, "commentType": "text" }],
            "status": "closed",
        });
        let what = self.about("comment on", number);
        self.line
            .tell(&Ask::write(Method::POST, url, body, what))
            .await
    }

    /// Said of the pull requests that are at the commit, for this push alone, since policies look there; of the commit itself
    /// where there is none. <https://learn.microsoft.com/en-us/azure/devops/repos/git/pull-request-status>
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError> {
        let Status { name, verdict, why } = status;
        let state = match verdict {
            Verdict::Passed => "succeeded",
            Verdict::Waits => "pending",
            Verdict::Failed => "failed",
        };
        let (genre, name_alone) = name.split_once('/').unwrap_or(("", name));
        let mut body = json!({
            "state": state,
            "description": why,
            "context": { "genre": genre, "name": name_alone },
        });
        let what = format!("set the status `{name}`");
        let places = self.at(commit).await?;
        for (number, push) in &places {
            body["iterationId"] = json!(push);
            let url = self.of_pull_request(*number, "statuses");
            self.line
                .tell(&Ask::write(Method::POST, url, body.clone(), &*what))
                .await?;
        }
        if places.is_empty() {
            let url = self.url(&["commits", commit.as_str(), "statuses"]);
            self.line
                .tell(&Ask::write(Method::POST, url, body, what))
                .await?;
        }
        Ok(())
    }

    /// Auto-complete, in the name of who opened the pull request, since nobody may set it for another. It knows no expected
    /// head: that is looked at before, and what is pushed later is for the policies of the branch.
    /// <https://learn.microsoft.com/en-us/azure/devops/repos/git/complete-pull-requests#complete-automatically>
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        let what = self.about("merge, when it is ready,", number);
        let ask = Ask::read(self.pull_request(number), &*what);
        let now: Wire = self.line.ask(&ask).await?;
        if !is_at(now.last_merge_source_commit.as_ref(), head) {
            return Err(self.line.not_yet(&ask, "its branch is at another commit"));
        }
        let strategy = match way {
            MergeWay::Merge => "noFastForward",
            MergeWay::Squash => "squash",
            MergeWay::Rebase => "rebase",
        };
        let body = json!({
            "autoCompleteSetBy": { "id": now.created_by.id },
            "completionOptions": {
                "mergeStrategy": strategy,
                "deleteSourceBranch": false,
                "transitionWorkItems": false,
            },
        });
        self.patch(number, body, &what).await.map(drop)
    }

    /// Auto-complete set by nobody, as its own command line does: `az repos pr update --auto-complete false`.
    /// <https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/update>
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        let what = self.about("take back the automatic merge of", number);
        let body = json!({ "autoCompleteSetBy": { "id": NOBODY } });
        self.patch(number, body, &what).await.map(drop)
    }

    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        let now = self.read(number).await?;
        let people = now.reviewers.into_iter().filter(|one| !one.is_container);
        let approvals = people.filter(|one| one.vote >= APPROVED);
        let names = approvals.filter_map(|one| one.unique_name.or(one.display_name));
        let approvals = names.map(|by| Approval {
            by,
            at: None,
            commit: None,
        });
        Ok(approvals.collect())
    }
}

/// The API that knows the people of those at `api`.
fn people_of(api: Url) -> Url {
    match (api.host_str(), PEOPLE_OF_CLOUD.parse()) {
        (Some(CLOUD), Ok(cloud)) => cloud,
        (Some(_) | None, _) => api,
    }
}

fn short(branch: &str) -> &str {
    branch.strip_prefix(BRANCHES).unwrap_or(branch)
}

fn is_at(told: Option<&CommitRef>, commit: &CommitId) -> bool {
    told.and_then(|told| told.commit_id.0.as_ref()) == Some(commit)
}

#[cfg(test)]
mod tests {
    use super::people_of;

    #[test]
    fn people_are_looked_up_elsewhere_in_the_cloud_alone() {
        let of = |api: &str| people_of(api.parse().unwrap()).to_string();
        assert_eq!(of("https://dev.azure.com"), "https://vssps.dev.azure.com/");
        assert_eq!(
            of("https://tfs.example.com/tfs"),
            "https://tfs.example.com/tfs"
        );
    }
}
