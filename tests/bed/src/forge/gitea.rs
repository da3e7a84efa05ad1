//! Gitea's API, <https://docs.gitea.com/api/>, after its sources of 1.26 (`routers/api/v1/repo`), and Forgejo's.

use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, Review, State, Status, Way, Word};
use super::{FakeForge, stamp};

/// The most on a page (`MAX_RESPONSE_ITEMS`).
const PAGE_SIZE_MAX: usize = 50;

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    if request.header("authorization") != Some(&format!("token {}", FakeForge::TOKEN)) {
        return refusal(401, "invalid username, password or token");
    }
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    if path == ["api", "v1", "version"] {
        return Reply::new(200, json!({ "version": "1.26.0" }));
    }
    let ["api", "v1", "repos", owner, name, below @ ..] = &path[..] else {
        return missing();
    };
    let full = format!("{owner}/{name}");
    if !state.repositories.contains_key(&full) {
        return missing();
    }
    let now = match request.method == "GET" {
        true => state.clock,
        false => state.tick(),
    };
    let (page_size_max, people) = (state.page_size_max, state.people.clone());
    let repository = state.repository(&full);
    repository.look();
    let place = Place { root, full: &full };
    match (&*request.method, below) {
        ("GET", []) => {
            let permissions = json!({ "admin": false, "push": true, "pull": true });
            Reply::new(
                200,
                json!({ "full_name": full, "archived": false, "permissions": permissions }),
            )
        }
        ("GET", ["branches", branch]) => Reply::new(
            200,
            json!({ "name": branch, "protected": false, "user_can_push": true }),
        ),
        ("GET", ["pulls"]) => list(repository, request, &place, page_size_max),
        ("POST", ["pulls"]) => open(repository, request, &place, now),
        ("POST", ["statuses", commit]) => set_status(repository, request, commit),
        ("GET", ["milestones"]) => {
            let wanted = request.query.get("name").map(|name| name.to_lowercase());
            let titles = repository.milestones.iter().enumerate();
            let is_wanted = |title: &str| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| title.to_lowercase().contains(wanted))
            };
            let all = titles
                .filter(|(_, title)| is_wanted(title))
                .map(|(index, title)| json!({ "id": index + 1, "title": title, "state": "open" }));
            paged(all.collect(), request, page_size_max)
        }
        (method, [kind @ ("pulls" | "issues"), number, rest @ ..]) => {
            let number = number.parse().unwrap_or(0);
            if !repository.pulls.contains_key(&number) {
                return missing();
            }
            let about = About {
                number,
                now,
                place,
                page_size_max,
                knows: &|login| people.contains(login),
            };
            of_one(repository, request, (method, kind, rest), &about)
        }
        _ => missing(),
    }
}

struct Place<'a> {
    root: &'a str,
    full: &'a str,
}

/// A request about one pull request.
struct About<'a> {
    number: u64,
    now: i64,
    place: Place<'a>,
    page_size_max: usize,
    knows: &'a dyn Fn(&str) -> bool,
}

pub(super) fn refusal(status: u16, words: &str) -> Reply {
    let url = "http://127.0.0.1/api/swagger";
    Reply::new(status, json!({ "message": words, "url": url }))
}

fn missing() -> Reply {
    let mut reply = refusal(404, "The target couldn't be found.");
    if let Some(body) = &mut reply.body {
        body["errors"] = json!([]);
    }
    reply
}

fn list(repository: &Repository, request: &Request, place: &Place<'_>, most: usize) -> Reply {
    let query = |key: &str| request.query.get(key).map(String::as_str);
    let state = query("state").unwrap_or("open");
    let is_wanted = |pull: &&Pull| state == "all" || (state == "open") == (pull.end == End::Open);
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(is_wanted).collect();
    match query("sort") {
        Some("recentupdate") => pulls.sort_by_key(|pull| (-pull.updated, pull.number)),
        Some("oldest") => {}
        _ => pulls.reverse(),
    }
    let all = pulls.into_iter().map(|pull| {
        let mut told = told(pull, repository, place);
        // Lists have the field, and nobody in it.
        told["merged_by"] = Json::Null;
        told
    });
    paged(all.collect(), request, most)
}

/// `page` and `limit`; links begin with the server's own idea of its address, which is another in this fake on purpose.
fn paged(all: Vec<Json>, request: &Request, most: usize) -> Reply {
    let asked = request.number("limit").unwrap_or(30);
    let size = usize::try_from(asked).unwrap_or(1);
    let size = size.min(PAGE_SIZE_MAX).min(most).max(1);
    let page = request.number("page").unwrap_or(1).max(1);
    let start = (usize::try_from(page).unwrap_or(1) - 1) * size;
    let total = all.len();
    let items: Vec<Json> = all.into_iter().skip(start).take(size).collect();
    let reply = Reply::new(200, Json::Array(items)).with("x-total-count", total);
    match start + size < total {
        true => reply.with(
            "link",
            format!("<http://gitea.invalid/?page={}>; rel=\"next\"", page + 1),
        ),
        false => reply,
    }
}

fn open(repository: &mut Repository, request: &Request, place: &Place<'_>, now: i64) -> Reply {
    let (Some(title), Some(head), Some(base)) = (
        request.text("title"),
        request.text("head"),
        request.text("base"),
    ) else {
        return refusal(422, "[]: Required");
    };
    if head == base {
        return refusal(
            422,
            "Invalid PullRequest: There are no changes between the head and the base",
        );
    }
    if repository.branches.head(&head).is_none() || repository.branches.head(&base).is_none() {
        return missing();
    }
    if let Some(pull) = repository.open_with(&head).filter(|pull| pull.base == base) {
        let words = format!(
            "pull request already exists for these targets [id: {}, issue_id: {}, head_repo_id: 1, base_repo_id: 1, head_branch: {head}, base_branch: {base}]",
            pull.number, pull.number
        );
        return refusal(409, &words);
    }
    let number = {
        let pull = repository.open(now, (&head, &base));
        pull.title = title;
        pull.body = request.text("body").unwrap_or_default();
        pull.number
    };
    Reply::new(201, told(&repository.pulls[&number], repository, place))
}

fn of_one(
    repository: &mut Repository,
    request: &Request,
    (method, kind, rest): (&str, &str, &[&str]),
    about: &About<'_>,
) -> Reply {
    let About {
        number, now, place, ..
    } = about;
    let labels = repository.labels.clone();
    let pull = repository.pulls.get_mut(number).expect("the caller looked");
    if method != "GET" {
        pull.updated = *now;
    }
    match (method, kind, rest) {
        ("GET", "pulls", []) => Reply::new(200, told(&repository.pulls[number], repository, place)),
        ("PATCH", "pulls", []) => change(repository, request, about),
        ("POST", "issues", ["comments"]) => {
            pull.comments.extend(request.text("body"));
            Reply::new(201, json!({ "id": now, "body": request.text("body") }))
        }
        ("POST", "issues", ["labels"]) => {
            let known = request.texts("labels").into_iter();
            pull.labels
                .extend(known.filter(|name| labels.contains(name)));
            let all = pull
                .labels
                .iter()
                .map(|name| json!({ "id": 1, "name": name }));
            Reply::new(200, all.collect())
        }
        ("POST", "pulls", ["requested_reviewers"]) => {
            let people = request.texts("reviewers");
            if !people.iter().all(|login| (about.knows)(login)) {
                return missing();
            }
            pull.reviewers.extend(people);
            pull.reviewers.extend(request.texts("team_reviewers"));
            Reply::new(201, json!([]))
        }
        ("GET", "pulls", ["reviews"]) => {
            let all = pull.reviews.iter().map(self::review);
            paged(all.collect(), request, about.page_size_max)
        }
        ("POST", "pulls", ["merge"]) => merge(repository, request, about),
        ("DELETE", "pulls", ["merge"]) => match pull.auto_merge.take() {
            Some(_) => Reply::empty(204),
            None => missing(),
        },
        _ => missing(),
    }
}

fn change(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let wanted = request.body["milestone"].as_u64();
    let milestone = wanted.map(|id| {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index.and_then(|index| repository.milestones.get(index).cloned())
    });
    let pull = repository
        .pulls
        .get_mut(&about.number)
        .expect("the caller looked");
    if let Some(title) = request.text("title").filter(|title| !title.is_empty()) {
        pull.title = title;
    }
    if let Some(body) = request.text("body") {
        pull.body = body;
    }
    let assignees = request.texts("assignees");
    if let Some(unknown) = assignees.iter().find(|login| !(about.knows)(login)) {
        let words = format!(
            "Assignee does not exist: [name: user does not exist [uid: 0, name: {unknown}]]"
        );
        return refusal(422, &words);
    }
    pull.assignees.extend(assignees);
    if let Some(milestone) = milestone {
        let Some(milestone) = milestone else {
            return refusal(500, "");
        };
        pull.milestone = Some(milestone);
    }
    let by = FakeForge::USER.to_owned();
    match (request.text("state").as_deref(), &pull.end) {
        (None, _) => {}
        (Some(_), End::Merged { .. }) => {
            let words = "cannot change state of this pull request, it was already merged";
            return refusal(412, words);
        }
        (Some("closed"), End::Open) => pull.end = End::Closed { by, at: about.now },
        (Some("open"), End::Closed { .. }) => pull.end = End::Open,
        (Some(_), End::Open | End::Closed { .. }) => {}
    }
    let pull = &repository.pulls[&about.number];
    Reply::new(201, told(pull, repository, &about.place))
}

fn merge(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let waits =
        request.body["merge_when_checks_succeed"] == json!(true) && repository.requires_checks;
    let pull = repository
        .pulls
        .get_mut(&about.number)
        .expect("the caller looked");
    let name = request.text("Do").or_else(|| request.text("do"));
    let way = match name.as_deref() {
        Some("merge") => Way::Merge,
        Some("squash") => Way::Squash,
        Some("rebase") => Way::Rebase,
        _ => return refusal(422, "[Do]: Required"),
    };
    if is_draft(pull) {
        return refusal(405, "Work in progress PRs cannot be merged");
    }
    if waits {
        if pull.auto_merge.is_some() {
            return refusal(
                409,
                "pull request is already scheduled to auto merge when checks succeed [pull_id: 1]",
            );
        }
        pull.auto_merge = name;
        return Reply::empty(201);
    }
    if repository.requires_checks {
        return refusal(
            405,
            "not ready to be merged: [Not all required status checks successful]",
        );
    }
    if request
        .text("head_commit_id")
        .is_some_and(|head| head != pull.head_commit)
    {
        return refusal(409, "head out of date");
    }
    match repository.merge(about.number, way, (FakeForge::USER, about.now)) {
        Some(_) => Reply::empty(200),
        None => missing(),
    }
}

fn set_status(repository: &mut Repository, request: &Request, commit: &str) -> Reply {
    let state = request.text("state").unwrap_or_default();
    let why = request.text("description").unwrap_or_default();
    let name = request.text("context").unwrap_or("default".to_owned());
    let told = json!({ "status": state, "description": why, "context": name });
    repository
        .statuses
        .insert((commit.to_owned(), name), Status { state, why });
    Reply::new(201, told)
}

fn is_draft(pull: &Pull) -> bool {
    let title = pull.title.to_lowercase();
    pull.is_draft || title.starts_with("wip:") || title.starts_with("[wip]")
}

fn told(pull: &Pull, repository: &Repository, place: &Place<'_>) -> Json {
    let Place { root, full } = place;
    let Pull { number, .. } = pull;
    let html = format!("{root}/{full}/pulls/{number}");
    let (merged, closed) = match &pull.end {
        End::Open => (None, None),
        End::Merged { commit, by, at } => (Some((commit, by, *at)), Some(*at)),
        End::Closed { at, .. } => (None, Some(*at)),
    };
    // A branch that is gone is only known by what Gitea keeps of it.
    let name = match repository.branches.head(&pull.head) {
        Some(_) => pull.head.clone(),
        None => format!("refs/pull/{number}/head"),
    };
    let head_id = match pull.is_from_fork {
        true => 1_000_000 + repository.id,
        false => repository.id,
    };
    let of = |id: u64| json!({ "id": id, "full_name": full });
    json!({
        "id": 9000 + number,
        "url": html,
        "number": number,
        "user": user(FakeForge::USER),
        "title": pull.title,
        "body": pull.body,
        "labels": pull.labels.iter().map(|name| json!({ "id": 1, "name": name })).collect::<Vec<_>>(),
        "milestone": pull.milestone.as_ref().map(|title| json!({ "title": title })),
        "assignees": pull.assignees.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "state": if pull.end == End::Open { "open" } else { "closed" },
        "draft": is_draft(pull),
        "is_locked": false,
        "comments": pull.comments.len(),
        "html_url": html,
        "mergeable": true,
        "merged": merged.is_some(),
        "merged_at": merged.map(|(_, _, at)| stamp(at)),
        "merge_commit_sha": merged.map(|(commit, _, _)| commit),
        "merged_by": merged.map(|(_, by, _)| user(by)),
        "base": { "label": pull.base, "ref": pull.base, "sha": repository.branches.head(&pull.base).unwrap_or_default(), "repo_id": repository.id, "repo": of(repository.id) },
        "head": { "label": pull.head, "ref": name, "sha": pull.head_commit, "repo_id": head_id, "repo": of(head_id) },
        "created_at": stamp(pull.created),
        "updated_at": stamp(pull.updated),
        "closed_at": closed.map(stamp),
    })
}

fn review(review: &Review) -> Json {
    let state = match review.word {
        Word::Approved => "APPROVED",
        Word::WantsChanges => "REQUEST_CHANGES",
        Word::Comment => "COMMENT",
    };
    json!({
        "id": review.id,
        "user": user(&review.by),
        "team": null,
        "state": state,
        "commit_id": review.commit,
        "stale": false,
        "official": true,
        "dismissed": review.is_dismissed,
        "submitted_at": stamp(review.at),
    })
}

fn user(login: &str) -> Json {
    json!({ "id": 1, "login": login, "full_name": "", "is_admin": false })
}
