//! GitLab's API, version 4, <https://docs.gitlab.com/api/merge_requests/>, after its sources (`lib/api`).

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, State, Status, Way};
use super::{FakeForge, making, stamp};

/// The most on a page.
const PAGE_SIZE_MAX: usize = 100;

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {}", FakeForge::TOKEN)) {
        return refusal(401, "401 Unauthorized");
    }
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (full, below) = match &path[..] {
        ["api", "v4", "users"] => return users(state, request),
        ["api", "v4", "projects", full, below @ ..] => (*full, below),
        _ => return refusal(404, "404 Not Found"),
    };
    if !state.repositories.contains_key(full) {
        return refusal(404, "404 Project Not Found");
    }
    let now = match request.method == "GET" {
        true => state.clock,
        false => state.tick(),
    };
    let about = About {
        place: Place { root, full },
        now,
        page_size_max: state.page_size_max,
        people: state.people.iter().cloned().collect(),
    };
    let repository = state.repository(full);
    repository.look();
    match (&*request.method, below) {
        ("GET", []) => {
            let method = match repository.always_rebases {
                true => "ff",
                false => "merge",
            };
            let permissions =
                json!({ "project_access": { "access_level": 40 }, "group_access": null });
            Reply::new(
                200,
                json!({ "id": repository.id, "merge_method": method, "archived": false, "permissions": permissions }),
            )
        }
        ("GET", ["repository", "branches", branch]) => Reply::new(
            200,
            json!({ "name": branch, "protected": false, "can_push": true }),
        ),
        ("GET", ["merge_requests"]) => list(repository, request, &about),
        ("POST", ["merge_requests"]) => open(repository, request, &about),
        ("GET", ["milestones"]) => milestones(repository, request),
        ("POST", ["repository", "commits"]) => making::gitlab(repository, request, now),
        ("POST", ["statuses", commit]) => set_status(repository, request, commit),
        ("GET", ["repository", "commits", commit, "statuses"]) => {
            let name = request.query.get("name").cloned().unwrap_or_default();
            let found = repository
                .statuses
                .get(&((*commit).to_owned(), name.clone()));
            let told = found.map(|status| told_status(&name, status));
            Reply::new(200, told.into_iter().collect())
        }
        (_, ["merge_requests", number, below @ ..]) => {
            let number = number.parse().unwrap_or(0);
            match repository.pulls.contains_key(&number) {
                true => of_one(repository, request, (number, below), &about),
                false => refusal(404, "404 Not found"),
            }
        }
        _ => refusal(404, "404 Not Found"),
    }
}

struct About<'a> {
    place: Place<'a>,
    now: i64,
    page_size_max: usize,
    /// The first has number 1.
    people: Vec<String>,
}

struct Place<'a> {
    root: &'a str,
    full: &'a str,
}

impl About<'_> {
    fn user(&self, login: &str) -> Json {
        let index = self.people.iter().position(|one| one == login);
        let id = index.map_or(0, |index| index + 1);
        json!({ "id": id, "username": login, "name": login, "state": "active" })
    }

    /// The people whose numbers stand in the list under `key`.
    fn named(&self, request: &Request, key: &str) -> Vec<String> {
        let ids = request.body[key].as_array().into_iter().flatten();
        let places = ids.filter_map(|id| usize::try_from(id.as_u64()?).ok()?.checked_sub(1));
        places
            .filter_map(|place| self.people.get(place).cloned())
            .collect()
    }
}

pub(super) fn refusal(status: u16, words: &str) -> Reply {
    Reply::new(status, json!({ "message": words }))
}

fn users(state: &State, request: &Request) -> Reply {
    let wanted = request.query.get("username");
    let people = state.people.iter().enumerate();
    let found = people.filter(|(_, login)| wanted == Some(login));
    let users = found.map(|(index, login)| json!({ "id": index + 1, "username": login }));
    Reply::new(200, users.collect())
}

fn milestones(repository: &Repository, request: &Request) -> Reply {
    let wanted = request.query.get("title");
    let titles = repository.milestones.iter().enumerate();
    let found = titles.filter(|(_, title)| wanted.is_none_or(|wanted| wanted == *title));
    let all = found.map(|(index, title)| json!({ "id": index + 1, "title": title }));
    Reply::new(200, all.collect())
}

fn list(repository: &Repository, request: &Request, about: &About<'_>) -> Reply {
    let query = |key: &str| request.query.get(key).map(String::as_str);
    // Without it, only what the user made is listed by some of the endpoints.
    assert_eq!(query("scope"), Some("all"));
    let wanted = query("state").unwrap_or("all");
    let since = query("updated_after").map(|since| since.parse::<Timestamp>());
    let since = match since {
        Some(Err(_)) => return refusal(400, "updated_after is invalid"),
        Some(Ok(since)) => Some(since.as_second()),
        None => None,
    };
    let is_wanted = |pull: &&Pull| {
        (wanted == "all" || wanted == state_name(pull))
            && since.is_none_or(|since| pull.updated >= since)
    };
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(is_wanted).collect();
    if query("sort") != Some("asc") {
        pulls.reverse();
    }
    let all: Vec<Json> = pulls
        .into_iter()
        .map(|pull| told(pull, repository, about))
        .collect();
    let number = |key: &str| usize::try_from(request.number(key)?).ok();
    let size = number("per_page").unwrap_or(20).min(PAGE_SIZE_MAX);
    let size = size.min(about.page_size_max).max(1);
    let page = number("page").unwrap_or(1).max(1);
    let (start, total) = ((page - 1) * size, all.len());
    let items: Vec<Json> = all.into_iter().skip(start).take(size).collect();
    let reply = Reply::new(200, Json::Array(items));
    if start + size >= total {
        return reply;
    }
    let (target, _) = request
        .target
        .split_once("&page=")
        .unwrap_or((&request.target, ""));
    let next = format!("{}{target}&page={}", about.place.root, page + 1);
    reply.with(
        "link",
        format!("<{next}>; rel=\"next\", <{next}>; rel=\"last\""),
    )
}

fn open(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let (Some(title), Some(head), Some(base)) = (
        request.text("title"),
        request.text("source_branch"),
        request.text("target_branch"),
    ) else {
        return refusal(400, "title is missing, source_branch is missing");
    };
    if let Some(pull) = repository.open_with(&head).filter(|pull| pull.base == base) {
        let number = pull.number;
        let words =
            format!("Another open merge request already exists for this source branch: !{number}");
        return Reply::new(409, json!({ "message": [words] }));
    }
    let milestones = repository.milestones.clone();
    let milestone = request.body["milestone_id"].as_u64();
    let milestone = milestone.and_then(|id| usize::try_from(id).ok()?.checked_sub(1));
    let labels = request.texts("labels");
    let pull = repository.open(about.now, (&head, &base));
    entitle(pull, &title);
    pull.body = request.text("description").unwrap_or_default();
    pull.labels.extend(labels);
    pull.reviewers.extend(about.named(request, "reviewer_ids"));
    pull.assignees.extend(about.named(request, "assignee_ids"));
    pull.milestone = milestone.and_then(|index| milestones.get(index).cloned());
    let number = pull.number;
    Reply::new(201, told(&repository.pulls[&number], repository, about))
}

/// Whether it is a draft stands in the title: <https://docs.gitlab.com/user/project/merge_requests/drafts/>.
fn entitle(pull: &mut Pull, title: &str) {
    pull.is_draft = title.to_lowercase().starts_with("draft:");
    let title = match pull.is_draft {
        true => title["draft:".len()..].trim_start(),
        false => title,
    };
    pull.title = title.to_owned();
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
    if request.method != "GET" {
        pull.updated = about.now;
    }
    match (&*request.method, below) {
        ("GET", []) => {}
        ("PUT", []) => change(pull, request, about.now),
        ("PUT", ["merge"]) => return merge(repository, request, (number, about.now)),
        // 201 either way: <https://docs.gitlab.com/api/merge_requests/#cancel-merge-when-pipeline-succeeds>
        ("POST", ["cancel_merge_when_pipeline_succeeds"]) => {
            return Reply::new(
                201,
                match pull.auto_merge.take() {
                    Some(_) => json!({ "status": "success" }),
                    None => {
                        json!({ "status": "error", "http_status": 406, "message": "Can't cancel the automatic merge" })
                    }
                },
            );
        }
        ("POST", ["notes"]) => {
            pull.comments.extend(request.text("body"));
            return Reply::new(
                201,
                json!({ "id": about.now, "body": request.text("body") }),
            );
        }
        ("GET", ["approvals"]) => {
            let approvals = pull.approvals();
            let approvals = approvals
                .iter()
                .map(|one| json!({ "user": about.user(&one.by), "approved_at": stamp(one.at) }));
            let approvals: Vec<Json> = approvals.collect();
            return Reply::new(200, json!({ "iid": number, "approved_by": approvals }));
        }
        _ => return refusal(404, "404 Not Found"),
    }
    Reply::new(200, told(&repository.pulls[&number], repository, about))
}

fn change(pull: &mut Pull, request: &Request, now: i64) {
    if let Some(title) = request.text("title") {
        entitle(pull, &title);
    }
    if let Some(body) = request.text("description") {
        pull.body = body;
    }
    let by = FakeForge::USER.to_owned();
    match (request.text("state_event").as_deref(), &pull.end) {
        (Some("close"), End::Open) => pull.end = End::Closed { by, at: now },
        (Some("reopen"), End::Closed { .. }) => pull.end = End::Open,
        _ => {}
    }
}

/// <https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request>
fn merge(repository: &mut Repository, request: &Request, (number, now): (u64, i64)) -> Reply {
    let pull = repository
        .pulls
        .get_mut(&number)
        .expect("the caller looked");
    let is_automatic = request.body["auto_merge"] == json!(true)
        || request.body["merge_when_pipeline_succeeds"] == json!(true);
    let is_squashed = request.body["squash"] == json!(true);
    if pull.is_draft || pull.end != End::Open || (repository.requires_checks && !is_automatic) {
        return refusal(405, "405 Method Not Allowed");
    }
    if request
        .text("sha")
        .is_some_and(|sha| sha != pull.head_commit)
    {
        let words = format!(
            "SHA does not match HEAD of source branch: {}",
            pull.head_commit
        );
        return refusal(409, &words);
    }
    let (way, name) = match (is_squashed, repository.always_rebases) {
        (true, _) => (Way::Squash, "squash"),
        (false, true) => (Way::Rebase, "rebase"),
        (false, false) => (Way::Merge, "merge"),
    };
    if repository.requires_checks {
        pull.auto_merge = Some(name.to_owned());
        return Reply::new(200, json!({ "iid": number, "state": "opened" }));
    }
    match repository.merge(number, way, (FakeForge::USER, now)) {
        Some(_) => Reply::new(200, json!({ "iid": number, "state": "merged" })),
        None => refusal(422, "Branch cannot be merged"),
    }
}

/// What waits cannot wait anew, and what is over is followed by another: `Ci::CreateCommitStatusService`.
fn set_status(repository: &mut Repository, request: &Request, commit: &str) -> Reply {
    let state = request.text("state").unwrap_or_default();
    let name = request.text("name").unwrap_or("default".to_owned());
    let why = request.text("description").unwrap_or_default();
    if !matches!(
        &*state,
        "pending" | "running" | "success" | "failed" | "canceled"
    ) {
        return refusal(400, "state does not have a valid value");
    }
    if why.chars().count() > 255 {
        return Reply::new(
            400,
            json!({ "message": { "description": ["is too long (maximum is 255 characters)"] } }),
        );
    }
    let key = (commit.to_owned(), name.clone());
    let known = repository.statuses.get(&key);
    if state == "pending" && known.is_some_and(|known| known.state == "pending") {
        let words = "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")";
        return refusal(400, words);
    }
    let status = Status { state, why };
    let told = told_status(&name, &status);
    repository.statuses.insert(key, status);
    Reply::new(201, told)
}

fn told_status(name: &str, status: &Status) -> Json {
    json!({ "id": 93, "name": name, "status": status.state, "description": status.why })
}

fn state_name(pull: &Pull) -> &'static str {
    match pull.end {
        End::Open => "opened",
        End::Merged { .. } => "merged",
        End::Closed { .. } => "closed",
    }
}

fn told(pull: &Pull, repository: &Repository, about: &About<'_>) -> Json {
    let Place { root, full } = about.place;
    let (merged, closed) = match &pull.end {
        End::Open => (None, None),
        End::Merged { commit, by, at } => (Some((commit, by, *at)), None),
        End::Closed { by, at } => (None, Some((by, *at))),
    };
    let users = |logins: &mut dyn Iterator<Item = &String>| -> Json {
        logins.map(|login| about.user(login)).collect()
    };
    let mark = if pull.is_draft { "Draft: " } else { "" };
    let source = match pull.is_from_fork {
        true => 1_000_000 + repository.id,
        false => repository.id,
    };
    json!({
        "id": 9000 + pull.number,
        "iid": pull.number,
        "project_id": repository.id,
        "title": format!("{mark}{}", pull.title),
        "description": pull.body,
        "state": state_name(pull),
        "created_at": stamp(pull.created),
        "updated_at": stamp(pull.updated),
        "merge_user": merged.map(|(_, by, _)| about.user(by)),
        "merged_at": merged.map(|(_, _, at)| stamp(at)),
        "closed_by": closed.map(|(by, _)| about.user(by)),
        "closed_at": closed.map(|(_, at)| stamp(at)),
        "target_branch": pull.base,
        "source_branch": pull.head,
        "author": about.user(FakeForge::USER),
        "assignees": users(&mut pull.assignees.iter()),
        "reviewers": users(&mut pull.reviewers.iter()),
        "source_project_id": source,
        "target_project_id": repository.id,
        "labels": pull.labels,
        "draft": pull.is_draft,
        "milestone": pull.milestone.as_ref().map(|title| json!({ "title": title })),
        "sha": pull.head_commit,
        "merge_commit_sha": merged.map(|(commit, _, _)| commit),
        "squash_commit_sha": null,
        "web_url": format!("{root}/{full}/-/merge_requests/{}", pull.number),
    })
}
