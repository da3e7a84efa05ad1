//! GitHub's REST API, <https://docs.github.com/en/rest>, and the one mutation of GraphQL that turns on the automatic merge.

use serde_json::{Value as Json, json};

use super::server::{Reply, Request};
use super::state::{End, Pull, Repository, Review, State, Status, Way, Word};
use super::{FakeForge, making, stamp};

/// Characters that a status may have to say.
const STATUS_LENGTH_MAX: usize = 140;

pub(super) fn answer(state: &mut State, request: &Request, root: &str) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {}", FakeForge::TOKEN)) {
        return refusal(401, "Bad credentials");
    }
    if request.header("user-agent").is_none() {
        return refusal(403, "Request forbidden by administrative rules.");
    }
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (owner, name, below) = match &path[..] {
        ["api", "graphql"] => return graphql(state, request),
        ["api", "v3", "repos", owner, name, below @ ..] => (owner, name, below),
        _ => return refusal(404, "Not Found"),
    };
    let full = format!("{owner}/{name}");
    if !state.repositories.contains_key(&full) {
        return refusal(404, "Not Found");
    }
    let now = match request.method == "GET" {
        true => state.clock,
        false => state.tick(),
    };
    let (page_size_max, people) = (state.page_size_max, state.people.clone());
    let repository = state.repository(&full);
    repository.look();
    let place = Place {
        root,
        full: &full,
        id: repository.id,
        mergeable_state: match (repository.requires_checks, repository.has_failed) {
            (true, _) => "blocked",
            (false, true) => "unstable",
            (false, false) => "clean",
        },
    };
    if let ["git", below @ ..] = below {
        let reply = making::database(repository, request, (now, below));
        return reply.unwrap_or_else(|| refusal(404, "Not Found"));
    }
    match (&*request.method, below) {
        ("GET", []) => {
            let permissions = json!({ "admin": false, "push": true, "pull": true });
            let told = json!({ "full_name": full, "archived": false, "permissions": permissions });
            Reply::new(200, told).with("x-oauth-scopes", "repo, workflow")
        }
        ("GET", ["branches", branch]) => {
            Reply::new(200, json!({ "name": branch, "protected": false }))
        }
        ("GET", ["pulls"]) => list(repository, request, &place, page_size_max),
        ("POST", ["pulls"]) => open(repository, request, &place, now),
        ("POST", ["statuses", commit]) => set_status(repository, request, commit),
        ("GET", ["milestones"]) => {
            let titles = repository.milestones.iter().enumerate();
            let all = titles.map(|(index, title)| json!({ "id": 1000 + index, "number": index + 1, "title": title, "state": "open" }));
            paged(all.collect(), request, &place, page_size_max)
        }
        (method, [kind @ ("pulls" | "issues"), number, rest @ ..]) => {
            let number = number.parse().unwrap_or(0);
            if !repository.pulls.contains_key(&number) {
                return refusal(404, "Not Found");
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
        _ => refusal(404, "Not Found"),
    }
}

/// Where the repository is.
struct Place<'a> {
    root: &'a str,
    full: &'a str,
    id: u64,
    /// How open pull requests stand: <https://docs.github.com/en/graphql/reference/enums#mergestatestatus>.
    mergeable_state: &'static str,
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
    let body = json!({
        "message": words,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    });
    Reply::new(status, body)
}

fn invalid(resource: &str, words: &str) -> Reply {
    let error = json!({ "resource": resource, "code": "custom", "message": words });
    let mut reply = Reply::empty(422);
    reply.body = Some(json!({
        "message": "Validation Failed",
        "errors": [error],
        "documentation_url": "https://docs.github.com/rest",
    }));
    reply
}

fn list(repository: &Repository, request: &Request, place: &Place<'_>, most: usize) -> Reply {
    let query = |key: &str| request.query.get(key).map(String::as_str);
    let state = query("state").unwrap_or("open");
    let head = query("head");
    let is_wanted = |pull: &&Pull| {
        let is_open = pull.end == End::Open;
        let of_head = head.is_none_or(|head| head.ends_with(&format!(":{}", pull.head)));
        of_head && (state == "all" || (state == "open") == is_open)
    };
    let mut pulls: Vec<&Pull> = repository.pulls.values().filter(is_wanted).collect();
    match query("sort").unwrap_or("created") {
        "updated" => pulls.sort_by_key(|pull| (pull.updated, pull.number)),
        _ => pulls.sort_by_key(|pull| pull.number),
    }
    // The other order is the usual one unless a sort is asked for.
    if query("direction").unwrap_or("desc") == "desc" {
        pulls.reverse();
    }
    let all = pulls.into_iter().map(|pull| simple(pull, place));
    paged(all.collect(), request, place, most)
}

/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>.
fn paged(all: Vec<Json>, request: &Request, place: &Place<'_>, most: usize) -> Reply {
    let asked = request.number("per_page").unwrap_or(30).min(100);
    let size = most.min(usize::try_from(asked).unwrap_or(1)).max(1);
    let page = request.number("page").unwrap_or(1).max(1);
    let number = usize::try_from(page).unwrap_or(1);
    let start = (number - 1) * size;
    let is_last = start + size >= all.len();
    let items: Vec<Json> = all.into_iter().skip(start).take(size).collect();
    let reply = Reply::new(200, Json::Array(items));
    if is_last {
        return reply;
    }
    let path = request.path.join("/");
    let mut query: Vec<String> = Vec::new();
    for (key, value) in request.query.iter().filter(|(key, _)| *key != "page") {
        query.push(format!("{key}={value}"));
    }
    query.push(format!("page={}", page + 1));
    let next = format!("{}/{path}?{}", place.root, query.join("&"));
    reply.with(
        "link",
        format!("<{next}>; rel=\"next\", <{next}0>; rel=\"last\""),
    )
}

fn open(repository: &mut Repository, request: &Request, place: &Place<'_>, now: i64) -> Reply {
    let (Some(title), Some(head), Some(base)) = (
        request.text("title"),
        request.text("head"),
        request.text("base"),
    ) else {
        return invalid("PullRequest", "title, head and base are required");
    };
    if repository.open_with(&head).is_some() {
        let owner = place.full.split('/').next().unwrap_or_default();
        let words = format!("A pull request already exists for {owner}:{head}.");
        return invalid("PullRequest", &words);
    }
    let (Some(from), Some(to)) = (
        repository.branches.head(&head),
        repository.branches.head(&base),
    ) else {
        return invalid("PullRequest", "head or base is invalid");
    };
    if from == to {
        let words = format!("No commits between {base} and {head}");
        return invalid("PullRequest", &words);
    }
    let pull = repository.open(now, (&head, &base));
    pull.title = title;
    pull.body = request.text("body").unwrap_or_default();
    pull.is_draft = request.body["draft"] == json!(true);
    Reply::new(201, full(pull, place))
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
    let title_of_milestone = |wanted: &Json| {
        let index = usize::try_from(wanted.as_u64()?).ok()?.checked_sub(1)?;
        repository.milestones.get(index).cloned()
    };
    let milestone = title_of_milestone(&request.body["milestone"]);
    let pull = repository.pulls.get_mut(number).expect("the caller looked");
    if method != "GET" {
        pull.updated = *now;
        pull.version += 1;
    }
    match (method, kind, rest) {
        ("GET", "pulls", []) => Reply::new(200, full(pull, place)),
        ("PATCH", "pulls", []) => change(pull, request, about),
        ("PATCH", "issues", []) => {
            pull.milestone = milestone;
            let milestone = pull.milestone.as_ref();
            let milestone = milestone.map(|title| json!({ "title": title }));
            Reply::new(200, json!({ "number": number, "milestone": milestone }))
        }
        ("POST", "issues", ["comments"]) => {
            pull.comments.extend(request.text("body"));
            Reply::new(201, json!({ "id": now, "body": request.text("body") }))
        }
        ("POST", "issues", ["labels"]) => {
            pull.labels.extend(request.texts("labels"));
            let all = pull.labels.iter().map(|name| label(name));
            Reply::new(200, all.collect())
        }
        ("POST", "issues", ["assignees"]) => {
            let known = request.texts("assignees").into_iter();
            pull.assignees
                .extend(known.filter(|login| (about.knows)(login)));
            let assignees: Vec<Json> = pull.assignees.iter().map(|login| user(login)).collect();
            Reply::new(201, json!({ "number": number, "assignees": assignees }))
        }
        ("POST", "pulls", ["requested_reviewers"]) => {
            let people = request.texts("reviewers");
            if !people.iter().all(|login| (about.knows)(login)) {
                let words = "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.";
                return refusal(422, words);
            }
            pull.reviewers.extend(people);
            pull.reviewers.extend(request.texts("team_reviewers"));
            Reply::new(201, simple(pull, place))
        }
        ("GET", "pulls", ["reviews"]) => {
            let all = pull.reviews.iter().map(self::review);
            paged(all.collect(), request, place, about.page_size_max)
        }
        ("PUT", "pulls", ["merge"]) => merge(repository, request, about),
        _ => refusal(404, "Not Found"),
    }
}

fn change(pull: &mut Pull, request: &Request, about: &About<'_>) -> Reply {
    if let Some(title) = request.text("title") {
        pull.title = title;
    }
    if let Some(body) = request.text("body") {
        pull.body = body;
    }
    let by = FakeForge::USER.to_owned();
    match (request.text("state").as_deref(), &pull.end) {
        (Some("closed"), End::Open) => pull.end = End::Closed { by, at: about.now },
        (Some("open"), End::Closed { .. }) => pull.end = End::Open,
        _ => {}
    }
    Reply::new(200, full(pull, &about.place))
}

/// <https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>.
fn merge(repository: &mut Repository, request: &Request, about: &About<'_>) -> Reply {
    let pull = &repository.pulls[&about.number];
    if repository.requires_checks {
        return refusal(405, "Required status check \"ci\" is expected.");
    }
    if request
        .text("sha")
        .is_some_and(|sha| sha != pull.head_commit)
    {
        return refusal(
            409,
            "Head branch was modified. Review and try the merge again.",
        );
    }
    let way = match request.text("merge_method").as_deref() {
        Some("squash") => Way::Squash,
        Some("rebase") => Way::Rebase,
        _ => Way::Merge,
    };
    match repository.merge(about.number, way, (FakeForge::USER, about.now)) {
        Some(sha) => {
            let words = "Pull Request successfully merged";
            Reply::new(200, json!({ "sha": sha, "merged": true, "message": words }))
        }
        None => refusal(405, "Pull Request is not mergeable"),
    }
}

fn set_status(repository: &mut Repository, request: &Request, commit: &str) -> Reply {
    let state = request.text("state").unwrap_or_default();
    let why = request.text("description").unwrap_or_default();
    if !matches!(&*state, "error" | "failure" | "pending" | "success") {
        return invalid("Status", "State is not included in the list");
    }
    if why.chars().count() > STATUS_LENGTH_MAX {
        return invalid(
            "Status",
            "description is too long (maximum is 140 characters)",
        );
    }
    let name = request.text("context").unwrap_or("default".to_owned());
    let told = json!({ "state": state, "description": why, "context": name });
    repository
        .statuses
        .insert((commit.to_owned(), name), Status { state, why });
    Reply::new(201, told)
}

/// <https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge>.
fn graphql(state: &mut State, request: &Request) -> Reply {
    let refused = |words: &str| {
        let error = json!({ "type": "UNPROCESSABLE", "path": ["enablePullRequestAutoMerge"], "message": words });
        Reply::new(
            200,
            json!({ "data": { "enablePullRequestAutoMerge": null }, "errors": [error] }),
        )
    };
    let query = request.text("query").unwrap_or_default();
    if query.contains("createCommitOnBranch(input: $input)") {
        return commit_on_branch(state, request);
    }
    let arms = query.contains("enablePullRequestAutoMerge(input: {");
    let disarms = query.contains("disablePullRequestAutoMerge(input: {");
    assert!(arms || disarms, "{query}");
    let variables = &request.body["variables"];
    let id = variables["id"].as_str().unwrap_or_default();
    let now = state.tick();
    let mut all = state.repositories.values_mut();
    let found = all.find_map(|repository| {
        repository.look();
        let id_of = |number: &u64| node_id(repository.id, *number);
        let number = repository
            .pulls
            .keys()
            .copied()
            .find(|number| id_of(number) == id)?;
        Some((repository, number))
    });
    let Some((repository, number)) = found else {
        return refused(&format!(
            "Could not resolve to a node with the global id of '{id}'."
        ));
    };
    let (requires_checks, has_failed) = (repository.requires_checks, repository.has_failed);
    let pull = repository.pulls.get_mut(&number).expect("it was found");
    if disarms {
        pull.updated = now;
        return match pull.auto_merge.take() {
            Some(_) => Reply::new(
                200,
                json!({ "data": { "disablePullRequestAutoMerge": {} } }),
            ),
            None => refused("Can't disable auto-merge for this pull request."),
        };
    }
    if variables["head"] != json!(pull.head_commit) {
        return refused(
            "The expected head oid does not match the current head oid of the pull request.",
        );
    }
    match (requires_checks, has_failed) {
        (true, _) => {}
        (false, true) => return refused("Pull request Pull request is in unstable status"),
        (false, false) => return refused("Pull request Pull request is in clean status"),
    }
    pull.auto_merge = variables["way"].as_str().map(str::to_owned);
    pull.updated = now;
    let payload = json!({ "enablePullRequestAutoMerge": { "clientMutationId": null } });
    Reply::new(200, json!({ "data": payload }))
}

fn commit_on_branch(state: &mut State, request: &Request) -> Reply {
    let now = state.tick();
    let input = &request.body["variables"]["input"];
    let full = input["branch"]["repositoryNameWithOwner"].as_str();
    let repository = state.repository(full.unwrap_or_default());
    match making::on_branch(repository, (now, input)) {
        Ok(made) => {
            let payload = json!({ "commit": { "oid": made } });
            Reply::new(200, json!({ "data": { "createCommitOnBranch": payload } }))
        }
        Err(words) => {
            let error =
                json!({ "type": "STALE_DATA", "path": ["createCommitOnBranch"], "message": words });
            let data = json!({ "createCommitOnBranch": null });
            Reply::new(200, json!({ "data": data, "errors": [error] }))
        }
    }
}

fn node_id(repository: u64, number: u64) -> String {
    format!("PR_{repository}_{number}")
}

/// As lists have it.
fn simple(pull: &Pull, place: &Place<'_>) -> Json {
    let Place { root, full, id, .. } = place;
    let Pull { number, .. } = pull;
    let api = format!("{root}/api/v3/repos/{full}");
    let html = format!("{root}/{full}/pull/{number}");
    let owner = full.split('/').next().unwrap_or_default();
    let (merged, closed) = match &pull.end {
        End::Open => (None, None),
        End::Merged { at, .. } => (Some(*at), Some(*at)),
        End::Closed { at, .. } => (None, Some(*at)),
    };
    let side = |label: &str, name: &str, sha: &str, id: u64| {
        json!({
            "label": format!("{label}:{name}"), "ref": name, "sha": sha, "user": user(label),
            "repo": { "id": id, "name": full.split('/').nth(1), "full_name": full },
        })
    };
    let (head_owner, head_id) = match pull.is_from_fork {
        true => ("stranger", 1_000_000 + id),
        false => (owner, *id),
    };
    // A test merge has a commit too while it is open.
    let merge_commit = match &pull.end {
        End::Merged { commit, .. } => Some(commit.clone()),
        End::Open => Some("7".repeat(40)),
        End::Closed { .. } => None,
    };
    json!({
        "url": format!("{api}/pulls/{number}"),
        "id": 9000 + number,
        "node_id": node_id(*id, *number),
        "html_url": html,
        "issue_url": format!("{api}/issues/{number}"),
        "number": number,
        "state": if pull.end == End::Open { "open" } else { "closed" },
        "locked": false,
        "title": pull.title,
        "user": user(FakeForge::USER),
        // GitHub says nothing where the body is empty.
        "body": Some(&pull.body).filter(|body| !body.is_empty()),
        "labels": pull.labels.iter().map(|name| label(name)).collect::<Vec<_>>(),
        "milestone": pull.milestone.as_ref().map(|title| json!({ "title": title })),
        "created_at": stamp(pull.created),
        "updated_at": stamp(pull.updated),
        "closed_at": closed.map(stamp),
        "merged_at": merged.map(stamp),
        "merge_commit_sha": merge_commit,
        "assignees": pull.assignees.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "requested_reviewers": pull.reviewers.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "head": side(head_owner, &pull.head, &pull.head_commit, head_id),
        "base": side(owner, &pull.base, &"b".repeat(40), *id),
        "draft": pull.is_draft,
        "auto_merge": pull.auto_merge.as_ref().map(|way| json!({ "merge_method": way.to_lowercase() })),
    })
}

/// As a single one has it.
fn full(pull: &Pull, place: &Place<'_>) -> Json {
    let mut told = simple(pull, place);
    let by = match &pull.end {
        End::Merged { by, .. } => Some(user(by)),
        End::Open | End::Closed { .. } => None,
    };
    told["merged"] = json!(by.is_some());
    told["merged_by"] = json!(by);
    told["mergeable_state"] = json!(place.mergeable_state);
    told["comments"] = json!(pull.comments.len());
    told
}

fn review(review: &Review) -> Json {
    let state = match (review.is_dismissed, review.word) {
        (true, _) => "DISMISSED",
        (false, Word::Approved) => "APPROVED",
        (false, Word::WantsChanges) => "CHANGES_REQUESTED",
        (false, Word::Comment) => "COMMENTED",
    };
    json!({
        "id": review.id,
        "user": user(&review.by),
        "body": "",
        "state": state,
        "commit_id": review.commit,
        "submitted_at": stamp(review.at),
    })
}

fn label(name: &str) -> Json {
    json!({ "id": 1, "name": name, "color": "ededed", "default": false, "description": "" })
}

fn user(login: &str) -> Json {
    json!({ "login": login, "id": 1, "type": "User", "site_admin": false })
}
