//! Azure DevOps' API for Git, version 7.1, after its description,
//! <https://github.com/MicrosoftDocs/vsts-rest-api-specs/blob/master/specification/git/7.1/git.json>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, State, Status, Way};
use super::{FakeForge, stamp};

/// Pull requests in a list, where nobody asks for another number.
const PAGE_SIZE: usize = 101;

/// Characters of a body in a list, and of any body.
const BODY_LENGTH_IN_LISTS: usize = 400;
const BODY_LENGTH_MAX: usize = 4_000;

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    let token = STANDARD.encode(format!(":{}", FakeForge::TOKEN));
    if request.header("authorization") != Some(&format!("Basic {token}")) {
        return Reply::new(
            203,
            json!("<html><title>Azure DevOps Services | Sign In</title></html>"),
        );
    }
    assert_eq!(
        request.query.get("api-version").map(String::as_str),
        Some("7.1")
    );
    let people: Vec<String> = state.people.iter().cloned().collect();
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (full, below) = match &path[..] {
        [_, "_apis", "identities"] => return identities(&people, request),
        // Repositories of a fake are in no projects.
        [
            organisation,
            _,
            "_apis",
            "git",
            "repositories",
            name,
            below @ ..,
        ] => (format!("{organisation}/{name}"), below),
        _ => return refusal(404, "The controller for path was not found."),
    };
    if !state.repositories.contains_key(&full) {
        return refusal(
            404,
            "TF401019: The Git repository does not exist or you do not have permissions for the operation you are attempting.",
        );
    }
    let is_question = matches!(below, ["pullrequestquery"]);
    let now = match request.method == "GET" || is_question {
        true => state.clock,
        false => state.tick(),
    };
    let about = About { root, now, people };
    let repository = state.repository(&full);
    repository.look();
    match (&*request.method, below) {
        ("GET", []) => Reply::new(200, json!({ "name": full })),
        ("GET", ["pullrequests"]) => list(repository, request, &about),
        ("POST", ["pullrequests"]) => open(repository, request, &about),
        ("POST", ["pullrequestquery"]) => query(repository, request, &about),
        ("POST", ["commits", commit, "statuses"]) => {
            set_status(repository, request, (*commit).to_owned())
        }
        (_, ["pullrequests" | "pullRequests", number, below @ ..]) => {
            let number = number.parse().unwrap_or(0);
            match repository.pulls.contains_key(&number) {
                true => of_one(repository, request, (number, below), &about),
                false => refusal(404, "TF401180: The requested pull request was not found."),
            }
        }
        _ => refusal(404, "The controller for path was not found."),
    }
}

struct About<'a> {
    root: &'a str,
    now: i64,
    people: Vec<String>,
}

impl About<'_> {
    fn id(&self, login: &str) -> String {
        let index = self.people.iter().position(|one| one == login);
        format!(
            "00000000-0000-4000-8000-{:012}",
            index.map_or(999, |index| index + 1)
        )
    }

    fn identity(&self, login: &str) -> Json {
        json!({ "id": self.id(login), "uniqueName": login, "displayName": login })
    }
}

pub(super) fn refusal(status: u16, words: &str) -> Reply {
    let body = json!({ "$id": "1", "innerException": null, "message": words, "typeKey": "Exception", "errorCode": 0, "eventId": 3000 });
    Reply::new(status, body)
}

fn identities(people: &[String], request: &Request) -> Reply {
    let about = About {
        root: "",
        now: 0,
        people: people.to_vec(),
    };
    let wanted = request
        .query
        .get("filterValue")
        .cloned()
        .unwrap_or_default();
    // A general search finds more than was meant.
    let found = people.iter().filter(|login| login.contains(&wanted));
    let told = found.map(|login| {
        json!({
            "id": about.id(login),
            "providerDisplayName": login,
            "isActive": true,
            "properties": { "Account": { "$type": "System.String", "$value": login } },
        })
    });
    let told: Vec<Json> = told.collect();
    Reply::new(200, json!({ "count": told.len(), "value": told }))
}

fn list(repository: &Repository, request: &Request, about: &About<'_>) -> Reply {
    let query = |key: &str| {
        let value = request.query.get(&format!("searchCriteria.{key}"));
        value.map(String::as_str)
    };
    let wanted = query("status").unwrap_or("active");
    let since = query("minTime").map(|since| {
        let since: Timestamp = since.parse().expect("the criteria have a time");
        since.as_second()
    });
    assert!(since.is_none() || query("queryTimeRangeType") == Some("closed"));
    let is_wanted = |pull: &&Pull| {
        let is_recent = since.is_none_or(|since| closed_at(pull).is_some_and(|at| at >= since));
        (wanted == "all" || wanted == state_name(pull)) && is_recent
    };
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(is_wanted).collect();
    pulls.reverse();
    let number = |key: &str| usize::try_from(request.number(key)?).ok();
    let (top, skip) = (
        number("$top").unwrap_or(PAGE_SIZE),
        number("$skip").unwrap_or(0),
    );
    let items = pulls.into_iter().skip(skip).take(top);
    let items = items.map(|pull| {
        let body = pull.body.chars().take(BODY_LENGTH_IN_LISTS).collect();
        told(
            &Pull {
                body,
                ..pull.clone()
            },
            repository,
            about,
        )
    });
    let items: Vec<Json> = items.collect();
    Reply::new(200, json!({ "count": items.len(), "value": items }))
}

fn open(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let branch = |key: &str| {
        let name = request.text(key)?;
        Some(name.strip_prefix("refs/heads/")?.to_owned())
    };
    let (Some(title), Some(head), Some(base)) = (
        request.text("title"),
        branch("sourceRefName"),
        branch("targetRefName"),
    ) else {
        return refusal(
            400,
            "A source and a target reference must be specified for a pull request.",
        );
    };
    let body = request.text("description").unwrap_or_default();
    if body.chars().count() > BODY_LENGTH_MAX {
        return too_long();
    }
    if repository
        .open_with(&head)
        .is_some_and(|pull| pull.base == base)
    {
        let words =
            "TF401179: An active pull request for the source and target branch already exists.";
        return refusal(409, words);
    }
    let list = |key: &str| request.body[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let labels: Vec<String> = list("labels")
        .iter()
        .map(|label| text(&label["name"]))
        .collect();
    let ids: Vec<String> = list("reviewers")
        .iter()
        .map(|one| text(&one["id"]))
        .collect();
    let reviewers = about
        .people
        .iter()
        .filter(|login| ids.contains(&about.id(login)));
    let pull = repository.open(about.now, (&head, &base));
    pull.title = title;
    pull.body = body;
    pull.is_draft = request.body["isDraft"] == json!(true);
    pull.labels.extend(labels);
    pull.reviewers.extend(reviewers.cloned());
    let number = pull.number;
    Reply::new(201, told(&repository.pulls[&number], repository, about))
}

fn too_long() -> Reply {
    let words = "Invalid argument value.\r\nParameter name: A description for a pull request must not be longer than 4000 characters.";
    refusal(400, words)
}

/// The pull requests that contain a commit.
fn query(repository: &Repository, request: &Request, about: &About<'_>) -> Reply {
    let query = &request.body["queries"][0];
    assert_eq!(query["type"], "commit");
    let commit = query["items"][0].as_str().unwrap_or_default();
    let found = repository
        .pulls
        .values()
        .filter(|pull| pull.head_commit == commit);
    let found: Vec<Json> = found.map(|pull| told(pull, repository, about)).collect();
    let mut by_commit = serde_json::Map::new();
    if !found.is_empty() {
        by_commit.insert(commit.to_owned(), Json::Array(found));
    }
    Reply::new(200, json!({ "queries": [query], "results": [by_commit] }))
}

fn of_one(
    repository: &mut Repository,
    request: &Request,
    (number, below): (u64, &[&str]),
    about: &About<'_>,
) -> Reply {
    let pull = repository
        .pulls
        .get_mut(&number)
        .expect("the caller looked");
    match (&*request.method, below) {
        ("GET", []) => {}
        ("PATCH", []) => {
            if let Some(refused) = change(pull, request, about.now) {
                return refused;
            }
            complete(repository, (number, about.now));
        }
        ("POST", ["threads"]) => {
            let text = request.body["comments"][0]["content"].as_str();
            pull.comments.extend(text.map(str::to_owned));
            return Reply::new(200, json!({ "id": about.now }));
        }
        // As if each were the second push.
        ("GET", ["iterations"]) => {
            let push = |id: u64, commit: &str| json!({ "id": id, "sourceRefCommit": { "commitId": commit } });
            let pushes = [push(1, &"1".repeat(40)), push(2, &pull.head_commit)];
            return Reply::new(200, json!({ "count": 2, "value": pushes }));
        }
        ("POST", ["statuses"]) => {
            assert_eq!(request.body["iterationId"], 2);
            let commit = pull.head_commit.clone();
            return set_status(repository, request, commit);
        }
        _ => return refusal(404, "The controller for path was not found."),
    }
    Reply::new(200, told(&repository.pulls[&number], repository, about))
}

fn change(pull: &mut Pull, request: &Request, now: i64) -> Option<Reply> {
    let body = request.text("description");
    if body
        .as_ref()
        .is_some_and(|body| body.chars().count() > BODY_LENGTH_MAX)
    {
        return Some(too_long());
    }
    let abandons = request.text("status").as_deref() == Some("abandoned");
    if abandons && pull.end != End::Open {
        return Some(refusal(
            400,
            "TF401181: The pull request cannot be edited due to its state.",
        ));
    }
    if let Some(title) = request.text("title") {
        pull.title = title;
    }
    if let Some(body) = body {
        pull.body = body;
    }
    if abandons {
        let by = FakeForge::USER.to_owned();
        pull.end = End::Closed { by, at: now };
    }
    match request.body["autoCompleteSetBy"]["id"].as_str() {
        Some("00000000-0000-0000-0000-000000000000") => pull.auto_merge = None,
        Some(_) => {
            let way = request.body["completionOptions"]["mergeStrategy"].as_str();
            pull.auto_merge = way.map(str::to_owned);
        }
        None => {}
    }
    pull.updated = now;
    None
}

/// Merges what is to be merged as soon as nothing is required.
fn complete(repository: &mut Repository, (number, now): (u64, i64)) {
    let way = match repository.pulls[&number].auto_merge.as_deref() {
        Some("squash") => Way::Squash,
        Some("rebase") => Way::Rebase,
        Some(_) => Way::Merge,
        None => return,
    };
    if !repository.requires_checks {
        repository.merge(number, way, (FakeForge::USER, now));
    }
}

fn set_status(repository: &mut Repository, request: &Request, commit: String) -> Reply {
    let context = &request.body["context"];
    let text = |key: &str| context[key].as_str().filter(|text| !text.is_empty());
    let Some(name) = text("name") else {
        return refusal(400, "Context.Name is required");
    };
    let name = match text("genre") {
        Some(genre) => format!("{genre}/{name}"),
        None => name.to_owned(),
    };
    let status = Status {
        state: request.text("state").unwrap_or_default(),
        why: request.text("description").unwrap_or_default(),
    };
    repository.statuses.insert((commit, name), status);
    Reply::new(200, json!({ "id": 1, "context": context }))
}

fn state_name(pull: &Pull) -> &'static str {
    match pull.end {
        End::Open => "active",
        End::Merged { .. } => "completed",
        End::Closed { .. } => "abandoned",
    }
}

fn closed_at(pull: &Pull) -> Option<i64> {
    match pull.end {
        End::Open => None,
        End::Merged { at, .. } | End::Closed { at, .. } => Some(at),
    }
}

fn told(pull: &Pull, repository: &Repository, about: &About<'_>) -> Json {
    let approvals = pull.approvals();
    let approvers = approvals.iter().map(|one| &one.by);
    let people: std::collections::BTreeSet<&String> =
        pull.reviewers.iter().chain(approvers).collect();
    let reviewer = |login: &String| {
        let is_approved = approvals.iter().any(|one| one.by == *login);
        let mut told = about.identity(login);
        told["vote"] = json!(if is_approved { 10 } else { 0 });
        told
    };
    let mut told = json!({
        "repository": { "id": format!("00000000-0000-4000-9000-{:012}", repository.id) },
        "pullRequestId": pull.number,
        "status": state_name(pull),
        "createdBy": about.identity(FakeForge::USER),
        "creationDate": stamp(pull.created),
        "title": pull.title,
        "sourceRefName": format!("refs/heads/{}", pull.head),
        "targetRefName": format!("refs/heads/{}", pull.base),
        "mergeStatus": "succeeded",
        "isDraft": pull.is_draft,
        "lastMergeSourceCommit": { "commitId": pull.head_commit },
        "reviewers": people.into_iter().map(reviewer).collect::<Vec<_>>(),
        "url": format!("{}/_apis/git/pullRequests/{}", about.root, pull.number),
    });
    if !pull.body.is_empty() {
        told["description"] = json!(pull.body);
    }
    if pull.is_from_fork {
        told["forkSource"] = json!({ "name": format!("refs/heads/{}", pull.head) });
    }
    match &pull.end {
        End::Open => {}
        End::Closed { by, at } => {
            told["closedDate"] = json!(stamp(*at));
            told["closedBy"] = about.identity(by);
        }
        End::Merged { commit, by, at } => {
            told["closedDate"] = json!(stamp(*at));
            told["closedBy"] = about.identity(by);
            told["lastMergeCommit"] = json!({ "commitId": commit });
        }
    }
    told
}
