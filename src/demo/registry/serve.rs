//! The registry's side of the protocol: manifests, blobs and logins, with the faults that are on.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Extracted};
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LINK, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::response::Builder;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::delivery::Delivery;
use super::faults::{Fault, Faults};
use super::pages::{self, NoPage, Page};
use super::pushes;
use super::store::{Content, Repository};
use super::{Access, Kind, PushApi, Shared, State, lock};

const DIGEST_HEADER: &str = "Docker-Content-Digest";

type Parameters = BTreeMap<String, String>;
pub(super) type Answer = Response<Body>;

/// One request, taken apart.
pub(super) struct Request<'a> {
    method: &'a Method,
    pub(super) path: &'a str,
    pub(super) parameters: &'a Parameters,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Serves until `stopped`; requests that are in flight then are cut.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    state: Shared,
    stopped: oneshot::Receiver<()>,
) {
    let listener = tokio::net::TcpListener::from_std(listener);
    let listener = listener.expect("the listener was made ready for the runtime");
    let router = Router::new().fallback(answer).with_state(state);
    tokio::select! {
        _ = axum::serve(listener, router) => {}
        _ = stopped => {}
    }
}

async fn answer(
    Extracted(state): Extracted<Shared>,
    Query(parameters): Query<Parameters>,
    parts: Parts,
    body: Bytes,
) -> Answer {
    let request = Request {
        method: &parts.method,
        path: parts.uri.path(),
        parameters: &parameters,
        headers: &parts.headers,
        body: &body,
    };
    let (answer, delivery) = {
        let mut state = lock(&state);
        let kind = kind(state.push_api, request.path);
        *state.requests.entry(kind).or_default() += 1;
        match kind {
            Kind::Token => (token(&mut state, &request), Delivery::Whole),
            Kind::Tags | Kind::Manifest | Kind::Blob | Kind::Pushes | Kind::Other => {
                let delivery = Delivery::choose(&mut state.faults);
                let mut answer = match pull_limit(&mut state, (&request, kind)) {
                    Some(refusal) => refusal,
                    None => registry(&mut state, &request),
                };
                tell_limits(&state, kind, &mut answer);
                (answer, delivery)
            }
        }
    };
    delivery.carry_out(answer).await
}

fn kind(api: Option<PushApi>, path: &str) -> Kind {
    let starts = match api {
        Some(PushApi::Acr) => "/acr/v1/",
        Some(PushApi::DockerHub) => "/v2/namespaces/",
        Some(PushApi::GitLab) => "/gitlab/v1/",
        Some(PushApi::Harbor) => "/api/v2.0/",
        Some(PushApi::Quay) => "/api/v1/",
        Some(PushApi::Google) | None => "//",
    };
    match path {
        path if path.starts_with(starts) => Kind::Pushes,
        "/v2/auth/token" => Kind::Pushes,
        "/token" => Kind::Token,
        path if path.ends_with("/tags/list") => Kind::Tags,
        path if path.contains("/manifests/") => Kind::Manifest,
        path if path.contains("/blobs/") => Kind::Blob,
        _ => Kind::Other,
    }
}

/// Counts a pull, and refuses it in Docker Hub's words where none is left.
fn pull_limit(state: &mut State, (request, kind): (&Request<'_>, Kind)) -> Option<Answer> {
    let is_pull = kind == Kind::Manifest && *request.method == Method::GET;
    let words = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";
    (is_pull && !state.faults.pull()).then(|| error(429, "TOOMANYREQUESTS", words))
}

fn tell_limits(state: &State, kind: Kind, answer: &mut Answer) {
    let mut tell = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    };
    if let Some(left) = state.faults.pulls().filter(|_| kind == Kind::Manifest) {
        tell("ratelimit-limit", "100;w=21600");
        tell("ratelimit-remaining", &format!("{left};w=21600"));
    }
    for (name, value) in state.faults.says() {
        tell(name, value);
    }
}

fn registry(state: &mut State, request: &Request<'_>) -> Answer {
    if let Some((status, retry_after)) = state.faults.refusal() {
        let mut answer = error(status, "FAULT", "this fault was asked for");
        if let Some(value) = retry_after.and_then(|value| value.parse().ok()) {
            answer.headers_mut().insert(RETRY_AFTER, value);
        }
        return answer;
    }
    if state.faults.has(&Fault::WebPage) {
        let page = "<html>\n<title>Sign in</title></html>";
        return finish(Response::builder().header(CONTENT_TYPE, "text/html"), page);
    }
    if request.path == "/v2/" {
        return json_answer(&json!({}));
    }
    if let Some(answer) = pushes::answer(state, request) {
        return answer;
    }
    let Some((name, rest)) = split(request.path) else {
        return error(404, "NOT_FOUND", "no such page");
    };
    if let Some(refusal) = challenged(state, request, (name, "pull")) {
        return refusal;
    }
    if rest == "tags/list"
        && request.parameters.contains_key("last")
        && let Some(repository) = state.repositories.get_mut(name)
        && let Some(tag) = state.faults.deleted()
    {
        repository.delete(&tag);
    }
    let Some(repository) = state.repositories.get(name) else {
        return error(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    match rest {
        "tags/list" => tags(state, (name, repository), request),
        rest => content(state, repository, (request, rest)),
    }
}

/// The repository's name and the rest: names have slashes, so the end decides.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/v2/")?;
    ["/tags/", "/manifests/", "/blobs/"]
        .iter()
        .find_map(|mark| {
            let at = path.rfind(mark)?;
            Some((&path[..at], &path[at + 1..]))
        })
}

/// A refusal with a challenge, where the request lacks the login for `action`.
pub(super) fn challenged(
    state: &State,
    request: &Request<'_>,
    scope: (&str, &str),
) -> Option<Answer> {
    let challenge = challenge(state, request, scope)?;
    let mut answer = error(401, "UNAUTHORIZED", "authentication required");
    if let Ok(value) = challenge.parse() {
        answer.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    Some(answer)
}

/// What the request lacks, if anything, as a challenge.
fn challenge(state: &State, request: &Request<'_>, (name, action): (&str, &str)) -> Option<String> {
    let given = request.headers.get(AUTHORIZATION);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match &state.access {
        Access::Anonymous => None,
        Access::Basic { username, password } => {
            (given != basic(username, password)).then(|| r#"Basic realm="memory""#.to_owned())
        }
        Access::Token { .. } => {
            let scope = format!("repository:{name}:{action}");
            let token = given.strip_prefix("Bearer ").unwrap_or_default();
            let good =
                |(granted, until): &(String, Instant)| *granted == scope && Instant::now() < *until;
            let realm = state.faults.realm();
            let realm = realm.unwrap_or_else(|| format!("http://{}/token", host(request)));
            let challenge = format!(r#"Bearer realm="{realm}",service="memory",scope="{scope}""#);
            (!state.tokens.get(token).is_some_and(good)).then_some(challenge)
        }
    }
}

fn token(state: &mut State, request: &Request<'_>) -> Answer {
    let Access::Token {
        username,
        password,
        life,
    } = state.access.clone()
    else {
        return error(404, "NOT_FOUND", "no tokens here");
    };
    let given = request.headers.get(AUTHORIZATION);
    let is_right = given.is_some_and(|value| value == basic(&username, &password).as_str());
    if !is_right || state.faults.has(&Fault::TokenRefused) {
        return error(403, "DENIED", "the account is locked");
    }
    let scope = request.parameters.get("scope").cloned().unwrap_or_default();
    let mut token = format!("token-{}-{}", state.tokens.len(), fastrand::u64(..));
    state
        .tokens
        .insert(token.clone(), (scope, Instant::now() + life));
    if state.faults.has(&Fault::TokenBroken) {
        token.push('\n');
    }
    json_answer(&json!({ "token": token, "expires_in": life.as_secs() }))
}

fn tags(state: &State, (name, repository): (&str, &Repository), request: &Request<'_>) -> Answer {
    let url = format!("http://{}/v2/{name}/tags/list", host(request));
    let page = pages::page((repository, &url), request.parameters, &state.faults);
    let Page { tags, link } = match page {
        Ok(page) => page,
        Err(NoPage::TooLarge) => {
            let message = "invalid number of results requested";
            return error(400, "PAGINATION_NUMBER_INVALID", message);
        }
        Err(NoPage::TagGone) => {
            return finish(Response::builder().status(StatusCode::NOT_FOUND), "");
        }
    };
    let is_null = tags.is_empty() || state.faults.has(&Fault::NullTags);
    let mut body = json!({ "name": name, "tags": (!is_null).then_some(&tags) });
    if state.push_api == Some(PushApi::Google) && state.faults.pushes_refused().is_none() {
        body["manifest"] = google(repository, (&tags, &state.faults));
    }
    let mut answer = json_answer(&body);
    if let Some(link) = link.and_then(|link| link.parse().ok()) {
        answer.headers_mut().insert(LINK, link);
    }
    answer
}

/// What Google's registries add: each manifest with its tags. Times are texts at `gcr.io`, and numbers elsewhere.
fn google(repository: &Repository, (tags, faults): (&[&str], &Faults)) -> Value {
    let mut manifests = serde_json::Map::new();
    let of_page = |(tag, _): &&(String, String)| tags.contains(&tag.as_str());
    let told = repository.tags.iter().filter(of_page);
    for (number, (tag, digest)) in told.filter(|(tag, _)| !faults.hides_push(tag)).enumerate() {
        let at = repository.pushed.get(tag);
        let at = at.map_or(0, |at| at.as_millisecond());
        let at = match number % 2 {
            0 => json!(at),
            _ => json!(at.to_string()),
        };
        let manifest = json!({
            "imageSizeBytes": "123",
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "tag": [tag],
            "timeCreatedMs": "1",
            "timeUploadedMs": at,
        });
        manifests.insert(digest.clone(), manifest);
    }
    Value::Object(manifests)
}

fn content(
    state: &State,
    repository: &Repository,
    (request, rest): (&Request<'_>, &str),
) -> Answer {
    let found = match rest.split_once('/') {
        Some(("manifests", reference)) => repository.resolve(reference),
        Some((_, digest)) => {
            let found = repository.blobs.get_key_value(digest);
            found.map(|(digest, content)| (digest.as_str(), content))
        }
        None => None,
    };
    let Some((digest, Content { media_type, bytes })) = found else {
        return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    let moved = state.faults.storage();
    if let Some(to) = moved.filter(|_| rest.starts_with("blobs/")) {
        let builder = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
        return finish(
            builder.header(LOCATION, format!("{to}{}", request.path)),
            "",
        );
    }
    let tag = format!("\"{digest}\"");
    let mut builder = Response::builder()
        .header(CONTENT_TYPE, *media_type)
        .header(ETAG, &tag);
    if !state.faults.has(&Fault::NoDigest) {
        builder = builder.header(DIGEST_HEADER, digest);
    }
    if request
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| *known == *tag)
    {
        return finish(builder.status(StatusCode::NOT_MODIFIED), "");
    }
    if *request.method == Method::HEAD {
        return finish(builder.header(CONTENT_LENGTH, bytes.len()), "");
    }
    let mut bytes = bytes.clone();
    if state.faults.has(&Fault::OtherContent) {
        bytes.push(b' ');
    }
    finish(builder, bytes)
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let mut answer = json_answer(&body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    answer
}

pub(super) fn json_answer(body: &serde_json::Value) -> Answer {
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    finish(builder, body.to_string())
}

fn finish(builder: Builder, body: impl Into<Body>) -> Answer {
    let answer = builder.body(body.into());
    answer.expect("the headers are plain ASCII")
}

pub(super) fn host<'a>(request: &Request<'a>) -> &'a str {
    let host = request.headers.get(HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The `Authorization` of a user: base64, <https://www.rfc-editor.org/rfc/rfc7617#section-2>.
pub(super) fn basic(username: &str, password: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for piece in format!("{username}:{password}").into_bytes().chunks(3) {
        let byte = |at: usize| u32::from(piece.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let sextet = (bits >> (18 - 6 * at)) & 63;
            let is_padding = at > piece.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(ALPHABET[sextet as usize])
            });
        }
    }
    text
}
