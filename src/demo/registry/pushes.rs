//! What registries tell of pushes beside the distribution API, in the shapes that each of them has recorded.
//!
//! Not here: Google's, which stands in `tags/list` itself (`serve`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, LINK};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::serve::{Answer, Request, basic, challenged, error, host, json_answer};
use super::store::Repository;
use super::{Access, PushApi, State};

/// The token that Docker Hub's API gives out.
const HUB_TOKEN: &str = "hub-token";

/// The user whose password is an OAuth token of Quay's.
const QUAY_USER: &str = "$oauthtoken";

/// A tag, what it points at, and since when.
struct Push<'a> {
    tag: &'a str,
    digest: &'a str,
    at: Option<Timestamp>,
}

/// A page of tags, newest push first.
struct Page<'a> {
    tags: Vec<Push<'a>>,
    /// The number of the next page, from 1.
    next: Option<usize>,
}

/// Answers `request` if it is for the API that `state` speaks.
pub(super) fn answer(state: &mut State, request: &Request<'_>) -> Option<Answer> {
    let api = state.push_api?;
    let path = request.path;
    if api == PushApi::DockerHub && path == "/v2/auth/token" {
        return Some(hub_token(&state.access, request));
    }
    let (name, parameters) = match api {
        PushApi::Acr => (
            path.strip_prefix("/acr/v1/")?.strip_suffix("/_tags")?,
            ["n", "last"],
        ),
        PushApi::DockerHub => (
            path.strip_prefix("/v2/namespaces/")?
                .strip_suffix("/tags")?,
            ["page_size", "page"],
        ),
        PushApi::GitLab => (
            path.strip_prefix("/gitlab/v1/repositories/")?
                .strip_suffix("/tags/list/")?,
            ["n", "last"],
        ),
        PushApi::Google => return None,
        PushApi::Harbor => (
            path.strip_prefix("/api/v2.0/projects/")?
                .strip_suffix("/artifacts")?,
            ["page_size", "page"],
        ),
        PushApi::Quay => (
            path.strip_prefix("/api/v1/repository/")?
                .strip_suffix("/tag/")?,
            ["limit", "page"],
        ),
    };
    let name = name.replace("/repositories/", "/").replace("%252F", "/");
    if let Some(status) = state.faults.pushes_refused() {
        return Some(error(status, "FAULT", "this fault was asked for"));
    }
    if let Some(refusal) = refusal(state, api, (request, &name)) {
        return Some(refusal);
    }
    let Some(repository) = state.repositories.get(&name) else {
        return Some(error(404, "NOT_FOUND", "no such repository"));
    };
    let page = page(repository, request.parameters, (parameters, &state.faults));
    Some(told(api, &page, (request, &name)))
}

/// Why the login does not do, if it does not.
fn refusal(state: &State, api: PushApi, (request, name): (&Request<'_>, &str)) -> Option<Answer> {
    let (username, password) = match &state.access {
        Access::Anonymous => return None,
        Access::Basic { username, password }
        | Access::Token {
            username, password, ..
        } => (username, password),
    };
    let wanted = match api {
        PushApi::Acr => return challenged(state, request, (name, "metadata_read")),
        PushApi::GitLab | PushApi::Google => return challenged(state, request, (name, "pull")),
        PushApi::DockerHub => format!("Bearer {HUB_TOKEN}"),
        PushApi::Harbor => basic(username, password),
        PushApi::Quay if username == QUAY_USER => format!("Bearer {password}"),
        // Robot accounts are for the registry alone.
        PushApi::Quay => String::new(),
    };
    let given = request.headers.get(AUTHORIZATION);
    let is_right = given.is_some_and(|given| *given == *wanted);
    (!is_right).then(|| error(401, "UNAUTHORIZED", "authentication required"))
}

fn hub_token(access: &Access, request: &Request<'_>) -> Answer {
    let (Access::Basic { username, password }
    | Access::Token {
        username, password, ..
    }) = access
    else {
        return error(401, "UNAUTHORIZED", "no users here");
    };
    let login: Option<Value> = serde_json::from_slice(request.body).ok();
    match login == Some(json!({ "identifier": username, "secret": password })) {
        true => json_answer(&json!({ "access_token": HUB_TOKEN })),
        false => error(401, "UNAUTHORIZED", "incorrect authentication credentials"),
    }
}

fn page<'a>(
    repository: &'a Repository,
    parameters: &BTreeMap<String, String>,
    ([size, number], faults): ([&str; 2], &Faults),
) -> Page<'a> {
    let number_of = |name| {
        parameters
            .get(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let size = number_of(size).unwrap_or(10);
    let size = faults
        .push_pages()
        .map_or(size, |most| most.min(size))
        .max(1);
    let number = number_of(number).unwrap_or(1).max(1);
    let told = repository
        .tags
        .iter()
        .filter(|(tag, _)| !faults.hides_push(tag));
    let push = |(tag, digest): &'a (String, String)| Push {
        tag,
        digest,
        at: repository.pushed.get(tag).copied(),
    };
    let mut tags: Vec<Push<'_>> = told.map(push).collect();
    tags.sort_by_key(|push| (Reverse(push.at), push.tag));
    let first = (number - 1) * size;
    let more = tags.len() > first + size;
    let following = match faults.has(&Fault::PushLoop) {
        true => number,
        false => number + 1,
    };
    Page {
        tags: tags.into_iter().skip(first).take(size).collect(),
        next: more.then_some(following),
    }
}

fn told(api: PushApi, page: &Page<'_>, (request, name): (&Request<'_>, &str)) -> Answer {
    let Page { tags, next } = page;
    let of_tags = |shape: fn(&Push<'_>) -> Value| tags.iter().map(shape).collect::<Vec<_>>();
    let (body, parameter) = match api {
        PushApi::Acr => (
            json!({ "registry": host(request), "imageName": name, "tags": of_tags(acr) }),
            "last",
        ),
        PushApi::GitLab => (json!(of_tags(gitlab)), "last"),
        PushApi::Harbor => (json!(of_tags(harbor)), "page"),
        PushApi::Quay => {
            let number = next.map_or(1, |next| next - 1);
            let body =
                json!({ "tags": of_tags(quay), "page": number, "has_additional": next.is_some() });
            return json_answer(&body);
        }
        PushApi::DockerHub => {
            let next =
                next.map(|next| format!("https://hub.docker.com{}?page={next}", request.path));
            return json_answer(
                &json!({ "count": 7, "next": next, "previous": null, "results": of_tags(hub) }),
            );
        }
        PushApi::Google => (json!({}), "last"),
    };
    let mut answer = json_answer(&body);
    if let Some(next) = next {
        let link = format!(r#"<{}?{parameter}={next}>; rel="next""#, request.path);
        answer
            .headers_mut()
            .extend(link.parse().ok().map(|link| (LINK, link)));
    }
    answer
}

fn acr(push: &Push<'_>) -> Value {
    let Push { tag, digest, at } = push;
    json!({
        "name": tag,
        "digest": digest,
        "createdTime": "2018-09-28T23:37:52.0607933Z",
        "lastUpdateTime": text(*at),
        "signed": false,
        "changeableAttributes": { "deleteEnabled": true, "listEnabled": true },
    })
}

fn hub(push: &Push<'_>) -> Value {
    let Push { tag, digest, at } = push;
    json!({
        "creator": 1,
        "images": [{ "architecture": "amd64", "digest": digest, "last_pushed": text(*at), "os": "linux" }],
        "last_updated": "2026-03-09T00:00:00.000001Z",
        "name": tag,
        "tag_status": "active",
        "tag_last_pulled": null,
        "tag_last_pushed": text(*at),
        "v2": true,
    })
}

/// As the specification shows it: `published_at` is newer than the rest, and older servers leave it out.
fn gitlab(push: &Push<'_>) -> Value {
    let Push { tag, digest, at } = push;
    json!({
        "name": tag,
        "digest": digest,
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size_bytes": 286_734_237,
        "created_at": "1970-01-01T00:00:00.633Z",
        "updated_at": text(*at),
    })
}

fn harbor(push: &Push<'_>) -> Value {
    let Push { tag, digest, at } = push;
    json!({
        "digest": digest,
        "push_time": "2020-01-01T00:00:00.000Z",
        "pull_time": "0001-01-01T00:00:00.000Z",
        "extra_attrs": { "architecture": "amd64", "os": "linux" },
        "tags": [{ "id": 1, "name": tag, "immutable": false, "push_time": text(*at), "pull_time": "0001-01-01T00:00:00.000Z" }],
        "type": "IMAGE",
    })
}

fn quay(push: &Push<'_>) -> Value {
    let Push { tag, digest, at } = push;
    json!({
        "name": tag,
        "reversion": false,
        "start_ts": at.map(Timestamp::as_second),
        "manifest_digest": digest,
        "is_manifest_list": false,
        "size": 1,
        "last_modified": "Mon, 02 Mar 2026 09:00:00 -0000",
    })
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
