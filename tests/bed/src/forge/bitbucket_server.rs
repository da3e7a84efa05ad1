//! Bitbucket Server's API, after its description of version 9.2,
//! <https://dac-static.atlassian.com/server/bitbucket/9.2.swagger.v3.json>.

use serde_json::{Value as Json, json};

use super::FakeForge;
use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, State, Status, Way};

/// The most on a page (`page.max.pull.requests`).
const PAGE_SIZE_MAX: usize = 100;

const PULL: &str = "com.atlassian.bitbucket.pull";

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {}", FakeForge::TOKEN)) {
        return refusal(
            401,
            "Authentication failed. Please check your credentials and try again.",
        );
    }
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let [
        "rest",
        "api",
        "latest",
        "projects",
        project,
        "repos",
        name,
        below @ ..,
    ] = &path[..]
    else {
        return refusal(404, "null for uri");
    };
    let full = format!("{project}/{name}");
    if !state.repositories.contains_key(&full) {
        return refusal(404, &format!("Repository {full} does not exist."));
    }
    let now = match request.method == "GET" {
        true => state.clock,
        false => state.tick(),
    };
    let about = About {
        root,
        full: &full,
        now,
        page_size_max: state.page_size_max,
        people: state.people.iter().cloned().collect(),
    };
    let repository = state.repository(&full);
    repository.look();
    match (&*request.method, below) {
        ("GET", []) => Reply::new(200, json!({ "name": full })),
        ("GET", ["pull-requests"]) => list(repository, request, &about),
        ("POST", ["pull-requests"]) => open(repository, request, &about),
        ("POST", ["commits", commit, "builds"]) => set_status(repository, request, commit),
        (_, ["pull-requests", number, below @ ..]) => {
            let number = number.parse().unwrap_or(0);
            match repository.pulls.contains_key(&number) {
                true => of_one(repository, request, (number, below), &about),
                false => refusal(
                    404,
                    &format!("Pull request {number} does not exist in {full}."),
                ),
            }
        }
        _ => refusal(404, "null for uri"),
    }
}

struct About<'a> {
    root: &'a str,
    full: &'a str,
    now: i64,
    page_size_max: usize,
    people: Vec<String>,
}

pub(super) fn refusal(status: u16, words: &str) -> Reply {
    let error = json!({ "context": null, "message": words, "exceptionName": null });
    Reply::new(status, json!({ "errors": [error] }))
}

fn conflict(class: &str, words: &str) -> Reply {
    let name = format!("{PULL}.{class}");
    let error = json!({ "context": null, "message": words, "exceptionName": name });
    Reply::new(409, json!({ "errors": [error] }))
}

fn list(repository: &Repository, request: &Request, about: &About<'_>) -> Reply {
    let wanted = request.query.get("state").map_or("OPEN", String::as_str);
    let is_wanted = |pull: &&Pull| wanted == "ALL" || wanted == state_name(pull);
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(is_wanted).collect();
    pulls.sort_by_key(|pull| (-pull.updated, pull.number));
    let number = |key: &str| usize::try_from(request.number(key)?).ok();
    let size = number("limit").unwrap_or(25).min(PAGE_SIZE_MAX);
    let size = size.min(about.page_size_max).max(1);
    let start = number("start").unwrap_or(0);
    let is_last = start + size >= pulls.len();
    let items = pulls.into_iter().skip(start).take(size);
    let items: Vec<Json> = items.map(|pull| told(pull, repository, about)).collect();
    let mut body = json!({ "size": items.len(), "limit": size, "start": start, "isLastPage": is_last, "values": items });
    if !is_last {
        body["nextPageStart"] = json!(start + size);
    }
    Reply::new(200, body)
}

fn open(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let branch = |key: &str| {
        let id = request.body[key]["id"].as_str()?;
        Some(id.strip_prefix("refs/heads/").unwrap_or(id).to_owned())
    };
    let (Some(title), Some(head), Some(base)) =
        (request.text("title"), branch("fromRef"), branch("toRef"))
    else {
        return refusal(400, "The pull request is malformed.");
    };
    let wished = reviewers(request);
    let unknown: Vec<&String> = wished
        .iter()
        .filter(|name| !about.people.contains(name))
        .collect();
    if !unknown.is_empty() {
        return invalid_reviewers(&unknown);
    }
    if repository.branches.head(&head).is_none() {
        return refusal(
            404,
            &format!(
                "Repository \"{}\" does not have a branch \"{head}\".",
                about.full
            ),
        );
    }
    if repository
        .open_with(&head)
        .is_some_and(|pull| pull.base == base)
    {
        let words = "Only one pull request may be open for a given source and target branch";
        return conflict("DuplicatePullRequestException", words);
    }
    let pull = repository.open(about.now, (&head, &base));
    pull.title = title;
    pull.body = request.text("description").unwrap_or_default();
    pull.is_draft = request.body["draft"] == json!(true);
    pull.reviewers.extend(wished);
    let number = pull.number;
    Reply::new(201, told(&repository.pulls[&number], repository, about))
}

fn reviewers(request: &Request) -> Vec<String> {
    let all = request.body["reviewers"].as_array().into_iter().flatten();
    let names = all.filter_map(|one| one["user"]["name"].as_str());
    names.map(str::to_owned).collect()
}

fn invalid_reviewers(unknown: &[&String]) -> Reply {
    let errors = unknown.iter().map(|name| {
        json!({ "context": name, "message": format!("`{name}` is not a user"), "exceptionName": null })
    });
    let errors: Vec<Json> = errors.collect();
    let name = format!("{PULL}.InvalidPullRequestReviewersException");
    let words = format!(
        "Errors encountered while adding some reviewers to this pull request: `{}`.",
        unknown[0]
    );
    let error = json!({
        "context": "reviewers",
        "message": words,
        "exceptionName": name,
        "reviewerErrors": errors,
        "validReviewers": [],
    });
    Reply::new(409, json!({ "errors": [error] }))
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
    // Each change of the pull request itself names the version that it was made from.
    let needs_version = matches!(
        (&*request.method, below),
        ("PUT", []) | ("POST", ["decline" | "merge"])
    );
    let version = request.body["version"]
        .as_u64()
        .or(request.number("version"));
    if needs_version && version != Some(pull.version) {
        let words = "You are attempting to modify a pull request based on out-of-date information.";
        return conflict("PullRequestOutOfDateException", words);
    }
    if needs_version && pull.end != End::Open {
        let words = "This pull request has already been closed.";
        return conflict("IllegalPullRequestStateException", words);
    }
    if needs_version {
        pull.version += 1;
    }
    if request.method != "GET" {
        pull.updated = about.now;
    }
    match (&*request.method, below) {
        ("GET", []) => {}
        ("PUT", []) => {
            pull.title = request.text("title").unwrap_or_default();
            pull.body = request.text("description").unwrap_or_default();
            pull.is_draft = request.body["draft"] == json!(true);
            // Whoever is not in the list is no reviewer any more.
            pull.reviewers = reviewers(request).into_iter().collect();
        }
        ("POST", ["decline"]) => {
            let by = FakeForge::USER.to_owned();
            pull.end = End::Closed { by, at: about.now };
        }
        ("POST", ["comments"]) => {
            pull.comments.extend(request.text("text"));
            return Reply::new(201, json!({ "id": about.now }));
        }
        ("POST", ["merge"]) => return merge(repository, request, (number, about)),
        ("DELETE", ["auto-merge"]) => {
            pull.auto_merge = None;
            return Reply::empty(204);
        }
        _ => return refusal(404, "null for uri"),
    }
    Reply::new(200, told(&repository.pulls[&number], repository, about))
}

fn merge(
    repository: &mut Repository,
    request: &Request,
    (number, about): (u64, &About<'_>),
) -> Reply {
    let requires_checks = repository.requires_checks;
    let pull = repository
        .pulls
        .get_mut(&number)
        .expect("the caller looked");
    let strategy = request.text("strategyId").unwrap_or("no-ff".to_owned());
    let way = match &*strategy {
        "no-ff" => Way::Merge,
        "squash" => Way::Squash,
        "rebase-ff-only" => Way::Rebase,
        _ => return refusal(400, &format!("The strategy {strategy} is not enabled.")),
    };
    let is_automatic = request.body["autoMerge"] == json!(true);
    match (requires_checks, is_automatic) {
        (true, true) => pull.auto_merge = Some(strategy),
        (true, false) => {
            let words = "Merging the pull request has been vetoed.";
            return conflict("PullRequestMergeVetoedException", words);
        }
        (false, _) => drop(repository.merge(number, way, (FakeForge::USER, about.now))),
    }
    Reply::new(200, told(&repository.pulls[&number], repository, about))
}

fn set_status(repository: &mut Repository, request: &Request, commit: &str) -> Reply {
    let (Some(key), Some(state), Some(_)) = (
        request.text("key"),
        request.text("state"),
        request.text("url"),
    ) else {
        return refusal(400, "key, state and url are required");
    };
    let why = request.text("description").unwrap_or_default();
    if key.len() > 255 || why.chars().count() > 255 {
        return refusal(400, "Please enter a value of 255 characters or less");
    }
    repository
        .statuses
        .insert((commit.to_owned(), key), Status { state, why });
    Reply::empty(204)
}

fn state_name(pull: &Pull) -> &'static str {
    match pull.end {
        End::Open => "OPEN",
        End::Merged { .. } => "MERGED",
        End::Closed { .. } => "DECLINED",
    }
}

fn told(pull: &Pull, repository: &Repository, about: &About<'_>) -> Json {
    let (project, name) = about.full.split_once('/').unwrap_or_default();
    let millis = |seconds: i64| seconds * 1000;
    let end = |branch: &str, commit: &str, id: u64| {
        json!({
            "id": format!("refs/heads/{branch}"),
            "displayId": branch,
            "latestCommit": commit,
            "type": "BRANCH",
            "repository": { "slug": name, "id": id, "project": { "key": project } },
        })
    };
    let source = match pull.is_from_fork {
        true => 1_000_000 + repository.id,
        false => repository.id,
    };
    let approvals = pull.approvals();
    let reviewer = |login: &String| {
        let approval = approvals.iter().find(|one| one.by == *login);
        let mut told = json!({
            "user": { "name": login, "slug": login },
            "role": "REVIEWER",
            "approved": approval.is_some(),
            "status": if approval.is_some() { "APPROVED" } else { "UNAPPROVED" },
        });
        if let Some(approval) = approval {
            told["lastReviewedCommit"] = json!(approval.commit);
        }
        told
    };
    let approvers = approvals.iter().map(|one| &one.by);
    let reviewers: std::collections::BTreeSet<&String> =
        pull.reviewers.iter().chain(approvers).collect();
    let mut told = json!({
        "id": pull.number,
        "version": pull.version,
        "title": pull.title,
        "state": state_name(pull),
        "open": pull.end == End::Open,
        "closed": pull.end != End::Open,
        "draft": pull.is_draft,
        "createdDate": millis(pull.created),
        "updatedDate": millis(pull.updated),
        "fromRef": end(&pull.head, &pull.head_commit, source),
        "toRef": end(&pull.base, &"0".repeat(40), repository.id),
        "locked": false,
        "author": { "user": { "name": FakeForge::USER }, "role": "AUTHOR", "approved": false },
        "reviewers": reviewers.into_iter().map(reviewer).collect::<Vec<_>>(),
        "participants": [],
        "links": { "self": [{ "href": format!("{}/projects/{project}/repos/{name}/pull-requests/{}", about.root, pull.number) }] },
    });
    if !pull.body.is_empty() {
        told["description"] = json!(pull.body);
    }
    match &pull.end {
        End::Open => {}
        End::Closed { at, .. } => told["closedDate"] = json!(millis(*at)),
        End::Merged { commit, at, .. } => {
            told["closedDate"] = json!(millis(*at));
            told["properties"] =
                json!({ "mergeCommit": { "id": commit, "displayId": commit.get(..11) } });
        }
    }
    told
}
