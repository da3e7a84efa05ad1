//! Bitbucket Cloud's API, version 2.0, after its description, <https://api.bitbucket.org/swagger.json>.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, State, Status};
use super::{FakeForge, stamp};

/// The most on a page of pull requests.
const PAGE_SIZE_MAX: usize = 50;

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {}", FakeForge::TOKEN)) {
        return refusal(401, "Token is invalid or not supported for this endpoint.");
    }
    let people: Vec<String> = state.people.iter().cloned().collect();
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (workspace, name, below) = match &path[..] {
        ["2.0", "workspaces", _, "members"] => {
            let users = people
                .iter()
                .map(|login| json!({ "user": user(&people, login) }));
            return Reply::new(200, json!({ "values": users.collect::<Vec<_>>() }));
        }
        ["2.0", "users", id] => {
            let found = people
                .iter()
                .find(|login| account_id(&people, login) == *id);
            return match found {
                Some(login) => Reply::new(200, user(&people, login)),
                None => refusal(404, "No such user"),
            };
        }
        ["2.0", "repositories", workspace, name, below @ ..] => (workspace, name, below),
        _ => return refusal(404, "Resource not found"),
    };
    let full = format!("{workspace}/{name}");
    if !state.repositories.contains_key(&full) {
        return refusal(
            404,
            "You may not have access to this repository or it no longer exists in this workspace.",
        );
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
        people,
    };
    let repository = state.repository(&full);
    repository.look();
    match (&*request.method, below) {
        ("GET", []) => Reply::new(200, json!({ "name": full })),
        ("GET", ["pullrequests"]) => list(repository, request, &about),
        ("POST", ["pullrequests"]) => open(repository, request, &about),
        ("POST", ["commit", commit, "statuses", "build"]) => {
            set_status(repository, request, commit)
        }
        (_, ["pullrequests", number, below @ ..]) => {
            let number = number.parse().unwrap_or(0);
            match repository.pulls.get_mut(&number) {
                Some(pull) => of_one(pull, request, below, &about),
                None => refusal(404, "Pull request not found"),
            }
        }
        _ => refusal(404, "Resource not found"),
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
    Reply::new(
        status,
        json!({ "type": "error", "error": { "message": words } }),
    )
}

fn list(repository: &Repository, request: &Request, about: &About<'_>) -> Reply {
    // Only open ones are listed where no state is asked for; several are asked for by repeating the name. A filter takes the
    // place of states: <https://github.com/MunifTanjim/node-bitbucket/issues/16>.
    let (_, query) = request.target.split_once('?').unwrap_or_default();
    let states = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("state="));
    let states: Vec<&str> = states.collect();
    let filter = request.query.get("q").map_or("", String::as_str);
    let is_state = |name: &str| {
        !filter.is_empty() || states.contains(&name) || states.is_empty() && name == "OPEN"
    };
    let is_wanted = |pull: &&Pull| is_state(state_name(pull)) && passes(pull, filter);
    let pulls = repository.pulls.values().filter(is_wanted);
    let all: Vec<Json> = pulls.map(|pull| in_list(pull, about)).collect();
    let number = |key: &str| usize::try_from(request.number(key)?).ok();
    let size = number("pagelen").unwrap_or(10).min(PAGE_SIZE_MAX);
    let size = size.min(about.page_size_max).max(1);
    let page = number("page").unwrap_or(1).max(1);
    let (start, total) = ((page - 1) * size, all.len());
    let items: Vec<Json> = all.into_iter().skip(start).take(size).collect();
    let mut body = json!({ "size": total, "page": page, "pagelen": size, "values": items });
    if start + size < total {
        let (target, _) = request
            .target
            .split_once("&page=")
            .unwrap_or((&request.target, ""));
        body["next"] = json!(format!("{}{target}&page={}", about.root, page + 1));
    }
    Reply::new(200, body)
}

/// The part of the filter's language that is used: comparisons with a text, or with a time, which has no quotes, joined by
/// `AND`.
/// <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering>
fn passes(pull: &Pull, filter: &str) -> bool {
    let clauses = filter.split(" AND ").filter(|clause| !clause.is_empty());
    clauses.into_iter().all(|clause| {
        let mut words = clause.splitn(3, ' ');
        let (field, operator) = (words.next(), words.next());
        let written = words.next().unwrap_or_default();
        let value = written.trim_matches('"');
        match (field, operator) {
            (Some("source.branch.name"), Some("~")) => {
                pull.head.to_lowercase().contains(&value.to_lowercase())
            }
            (Some("state"), Some("=")) => state_name(pull) == value,
            (Some("updated_on"), Some(">=")) => {
                let since: Timestamp = written.parse().expect("the filter has a time");
                pull.updated >= since.as_second()
            }
            _ => panic!("the fake does not know the filter `{clause}`"),
        }
    })
}

fn open(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let (title, head) = (
        text(&request.body["title"]),
        text(&request.body["source"]["branch"]["name"]),
    );
    let (Some(title), Some(head)) = (title, head) else {
        return refusal(400, "title: required key not provided");
    };
    let base = text(&request.body["destination"]["branch"]["name"]).unwrap_or("main".to_owned());
    let reviewers = match reviewers(request, about) {
        Ok(reviewers) => reviewers,
        Err(words) => {
            let fields = json!({ "reviewers": words });
            let error = json!({ "fields": fields, "message": "Bad request" });
            return Reply::new(400, json!({ "type": "error", "error": error }));
        }
    };
    if repository.branches.head(&head).is_none() {
        return refusal(400, "Branch not found");
    }
    if repository
        .open_with(&head)
        .is_some_and(|pull| pull.base == base)
    {
        return refusal(
            400,
            "There is already an open pull request from this branch.",
        );
    }
    let pull = repository.open(about.now, (&head, &base));
    pull.title = title;
    pull.body = request.text("description").unwrap_or_default();
    pull.is_draft = request.body["draft"] == json!(true);
    pull.reviewers.extend(reviewers);
    Reply::new(201, told(pull, about))
}

/// Who is to review, or why nobody can.
fn reviewers(request: &Request, about: &About<'_>) -> Result<Vec<String>, Vec<String>> {
    let all = request.body["reviewers"].as_array().into_iter().flatten();
    let mut found = Vec::new();
    let mut words = Vec::new();
    for one in all {
        let id = one["uuid"].as_str().unwrap_or_default();
        let login = about
            .people
            .iter()
            .find(|login| uuid(&about.people, login) == id);
        match login {
            Some(login) if login == FakeForge::USER => {
                words.push(format!(
                    "{login} is the author and cannot be included as a reviewer."
                ));
            }
            Some(login) => found.push(login.clone()),
            None => words.push("Malformed reviewers list".to_owned()),
        }
    }
    match words.is_empty() {
        true => Ok(found),
        false => Err(words),
    }
}

fn of_one(pull: &mut Pull, request: &Request, below: &[&str], about: &About<'_>) -> Reply {
    let is_change = request.method != "GET";
    if is_change {
        pull.updated = about.now;
    }
    let is_open = pull.end == End::Open;
    match (&*request.method, below) {
        ("GET", []) => {}
        ("PUT", []) | ("POST", ["decline"]) if !is_open => {
            return refusal(400, "This pull request is already closed.");
        }
        ("PUT", []) => {
            pull.title = request.text("title").unwrap_or_default();
            pull.body = request.text("description").unwrap_or_default();
            // Whoever is not in the list is no reviewer any more.
            pull.reviewers = reviewers(request, about)
                .unwrap_or_default()
                .into_iter()
                .collect();
        }
        ("POST", ["decline"]) => {
            let by = FakeForge::USER.to_owned();
            pull.end = End::Closed { by, at: about.now };
        }
        ("POST", ["comments"]) => {
            let text = request.body["content"]["raw"].as_str();
            pull.comments.extend(text.map(str::to_owned));
            return Reply::new(201, json!({ "id": about.now }));
        }
        ("GET", ["activity"]) => return Reply::new(200, json!({ "values": activity(pull) })),
        _ => return refusal(404, "Resource not found"),
    }
    Reply::new(200, told(pull, about))
}

/// What happened, the newest first.
fn activity(pull: &Pull) -> Vec<Json> {
    let update = |state: &str, at: i64| json!({ "update": { "state": state, "date": stamp(at) } });
    let comments = pull.comments.iter();
    let mut all: Vec<Json> = comments
        .map(|text| json!({ "comment": { "content": { "raw": text } } }))
        .collect();
    match pull.end {
        End::Open => {}
        End::Merged { at, .. } | End::Closed { at, .. } => all.push(update(state_name(pull), at)),
    }
    all.push(update("OPEN", pull.created));
    all
}

fn set_status(repository: &mut Repository, request: &Request, commit: &str) -> Reply {
    let (Some(key), Some(state)) = (request.text("key"), request.text("state")) else {
        return refusal(400, "key: required key not provided");
    };
    if request.text("url").is_none() {
        return refusal(400, "url: required key not provided");
    }
    if !matches!(&*state, "SUCCESSFUL" | "INPROGRESS" | "FAILED" | "STOPPED") {
        return refusal(400, "state: not a valid choice");
    }
    let why = request.text("description").unwrap_or_default();
    let told = json!({ "key": key, "state": state, "description": why });
    repository
        .statuses
        .insert((commit.to_owned(), key), Status { state, why });
    Reply::new(201, told)
}

fn state_name(pull: &Pull) -> &'static str {
    match pull.end {
        End::Open => "OPEN",
        End::Merged { .. } => "MERGED",
        End::Closed { .. } => "DECLINED",
    }
}

fn in_list(pull: &Pull, about: &About<'_>) -> Json {
    let mut told = told(pull, about);
    if let Some(fields) = told.as_object_mut() {
        fields.remove("reviewers");
        fields.remove("participants");
    }
    told
}

fn told(pull: &Pull, about: &About<'_>) -> Json {
    let full = about.full;
    let source = match pull.is_from_fork {
        true => format!("stranger/{full}"),
        false => full.to_owned(),
    };
    // Hashes are cut short.
    let end = |branch: &str, commit: &str, full: &str| {
        json!({
            "branch": { "name": branch },
            "commit": { "hash": commit.get(..12) },
            "repository": { "type": "repository", "full_name": full },
        })
    };
    let (merged, by) = match &pull.end {
        End::Open => (None, None),
        End::Merged { commit, by, .. } => (Some(commit), Some(by)),
        End::Closed { by, .. } => (None, Some(by)),
    };
    let people = &about.people;
    let approvals = pull.approvals();
    let participants = approvals.iter().map(|one| {
        json!({ "user": user(people, &one.by), "role": "REVIEWER", "approved": true, "state": "approved", "participated_on": stamp(one.at) })
    });
    json!({
        "type": "pullrequest",
        "id": pull.number,
        "title": pull.title,
        "description": pull.body,
        "summary": { "raw": pull.body, "markup": "markdown", "html": "" },
        "state": state_name(pull),
        "draft": pull.is_draft,
        "merge_commit": merged.map(|commit| json!({ "hash": commit.get(..12) })),
        "close_source_branch": false,
        "closed_by": by.map(|by| user(people, by)),
        "author": user(people, FakeForge::USER),
        "created_on": stamp(pull.created),
        "updated_on": stamp(pull.updated),
        "source": end(&pull.head, &pull.head_commit, &source),
        "destination": end(&pull.base, &"0".repeat(40), full),
        "reviewers": pull.reviewers.iter().map(|login| user(people, login)).collect::<Vec<_>>(),
        "participants": participants.collect::<Vec<_>>(),
        "links": { "html": { "href": format!("https://bitbucket.org/{full}/pull-requests/{}", pull.number) } },
    })
}

fn user(people: &[String], login: &str) -> Json {
    json!({
        "type": "user",
        "uuid": uuid(people, login),
        "account_id": account_id(people, login),
        "nickname": login,
        "display_name": login,
    })
}

fn uuid(people: &[String], login: &str) -> String {
    format!("{{00000000-0000-4000-8000-{:012}}}", place(people, login))
}

fn account_id(people: &[String], login: &str) -> String {
    format!(
        "557058:00000000-0000-4000-8000-{:012}",
        place(people, login)
    )
}

fn place(people: &[String], login: &str) -> usize {
    let found = people.iter().position(|one| one == login);
    found.map_or(999, |index| index + 1)
}
