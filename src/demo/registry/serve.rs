//! The registry's side of the protocol: paging, manifests, blobs, logins, and the faults that are on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Extracted};
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LINK, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::response::Builder;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use futures_util::stream;
use serde_json::json;
use tokio::sync::oneshot;

use super::faults::Fault;
use super::store::{Content, Repository};
use super::{Access, Kind, Shared, State, lock};

/// Tags on a page where the client names no number.
const PAGE_SIZE_DEFAULT: usize = 100;

const DIGEST_HEADER: &str = "Docker-Content-Digest";

type Parameters = BTreeMap<String, String>;
type Answer = Response<Body>;

/// One request, taken apart.
struct Request<'a> {
    method: &'a Method,
    path: &'a str,
    parameters: &'a Parameters,
    headers: &'a HeaderMap,
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
    method: Method,
    uri: Uri,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Answer {
    let request = Request {
        method: &method,
        path: uri.path(),
        parameters: &parameters,
        headers: &headers,
    };
    let (answer, delivery) = {
        let mut state = lock(&state);
        let kind = kind(request.path);
        *state.requests.entry(kind).or_default() += 1;
        match kind {
            Kind::Token => (token(&mut state, &request), Delivery::Whole),
            Kind::Tags | Kind::Manifest | Kind::Blob | Kind::Other => {
                let delivery = Delivery::choose(&mut state);
                (registry(&mut state, &request), delivery)
            }
        }
    };
    delivery.carry_out(answer).await
}

fn kind(path: &str) -> Kind {
    match path {
        "/token" => Kind::Token,
        path if path.ends_with("/tags/list") => Kind::Tags,
        path if path.contains("/manifests/") => Kind::Manifest,
        path if path.contains("/blobs/") => Kind::Blob,
        _ => Kind::Other,
    }
}

fn registry(state: &mut State, request: &Request<'_>) -> Answer {
    let refused = state.faults.take(|fault| {
        if let Fault::Refuse {
            status,
            retry_after,
            times,
        } = fault
        {
            Some(((*status, retry_after.clone()), times))
        } else {
            None
        }
    });
    if let Some((status, retry_after)) = refused {
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
    let Some((name, rest)) = split(request.path) else {
        return error(404, "NOT_FOUND", "no such page");
    };
    if let Some(challenge) = challenge(state, request, name) {
        let mut answer = error(401, "UNAUTHORIZED", "authentication required");
        if let Ok(value) = challenge.parse() {
            answer.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        return answer;
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

/// What the request lacks, if anything, as a challenge.
fn challenge(state: &State, request: &Request<'_>, name: &str) -> Option<String> {
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
            let scope = format!("repository:{name}:pull");
            let token = given.strip_prefix("Bearer ").unwrap_or_default();
            let good =
                |(granted, until): &(String, Instant)| *granted == scope && Instant::now() < *until;
            let realm = state.faults.find(|fault| {
                if let Fault::Realm { url } = fault {
                    Some(url.clone())
                } else {
                    None
                }
            });
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
    let has = |fault| state.faults.has(fault);
    let asked = request.parameters.get("n").and_then(|n| n.parse().ok());
    let most = state.faults.find(|fault| {
        if let Fault::PageSizeLimit { most } = fault {
            Some(*most)
        } else {
            None
        }
    });
    if most.is_some_and(|most| asked.is_some_and(|asked: usize| asked > most)) {
        return error(
            400,
            "PAGINATION_NUMBER_INVALID",
            "invalid number of results requested",
        );
    }
    let mut all: Vec<&str> = repository
        .tags
        .iter()
        .map(|(tag, _)| tag.as_str())
        .collect();
    if !has(&Fault::Unsorted) {
        all.sort_unstable();
    }
    let shrunk = state.faults.find(|fault| {
        if let Fault::Shrunk { tags } = fault {
            Some(*tags)
        } else {
            None
        }
    });
    all.truncate(shrunk.unwrap_or(usize::MAX));
    let last = request
        .parameters
        .get("last")
        .or(request.parameters.get("cursor"));
    let start = last.map_or(0, |last| {
        // Hidden cursors are the tag's name backwards: enough that nobody can make one from a tag.
        let last: String = match request.parameters.contains_key("cursor") {
            true => last.chars().rev().collect(),
            false => last.clone(),
        };
        let after = all.iter().position(|tag| **tag == last).map(|at| at + 1);
        after.unwrap_or_else(|| all.partition_point(|tag| **tag <= *last))
    });
    let size = asked.unwrap_or(PAGE_SIZE_DEFAULT);
    let page: Vec<&str> = all.iter().skip(start).take(size).copied().collect();
    let is_last = start + page.len() >= all.len();
    let empty = page.is_empty() || has(&Fault::NullTags);
    let body = json!({ "name": name, "tags": (!empty).then_some(&page) });
    let mut answer = json_answer(&body);
    let next = page
        .last()
        .filter(|_| !is_last || has(&Fault::LinkOnLastPage));
    let base = format!("/v2/{name}/tags/list");
    let link = match next {
        _ if has(&Fault::NoLink) => None,
        None if has(&Fault::PageLoop) && !page.is_empty() => Some(format!("{base}?n={size}")),
        None if has(&Fault::EndlessPages) => {
            Some(format!("{base}?n={size}&round={}", fastrand::u64(..)))
        }
        None => None,
        Some(_) if has(&Fault::CrossOriginLink) => {
            Some(format!("http://elsewhere.example.com{base}?n={size}"))
        }
        Some(last) if has(&Fault::OpaqueCursor) => {
            let cursor: String = last.chars().rev().collect();
            Some(format!(
                "http://{}{base}?cursor={cursor}&n={size}",
                host(request)
            ))
        }
        Some(last) => Some(format!("{base}?last={last}&n={size}")),
    };
    if let Some(value) = link.and_then(|link| format!(r#"<{link}>; rel="next""#).parse().ok()) {
        answer.headers_mut().insert(LINK, value);
    }
    answer
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
    let moved = state.faults.find(|fault| {
        if let Fault::RedirectBlobs { to } = fault {
            Some(to.clone())
        } else {
            None
        }
    });
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

/// How an answer reaches the client.
enum Delivery {
    Whole,
    Cut,
    Slow(Duration),
    Stalled,
    Giant,
}

impl Delivery {
    fn choose(state: &mut State) -> Self {
        let cut = state.faults.take(|fault| {
            if let Fault::Cut { times } = fault {
                Some(((), times))
            } else {
                None
            }
        });
        let slow = state.faults.find(|fault| {
            if let Fault::Slow { pause } = fault {
                Some(*pause)
            } else {
                None
            }
        });
        match (cut, slow) {
            (Some(()), _) => Self::Cut,
            (None, Some(pause)) => Self::Slow(pause),
            (None, None) if state.faults.has(&Fault::Stalled) => Self::Stalled,
            (None, None) if state.faults.has(&Fault::Giant) => Self::Giant,
            (None, None) => Self::Whole,
        }
    }

    async fn carry_out(self, answer: Answer) -> Answer {
        match self {
            Self::Whole => answer,
            Self::Stalled => std::future::pending().await,
            Self::Cut => answer.map(|_| {
                let cut = std::io::Error::other("cut");
                let parts = [Ok(Bytes::from_static(b"{\"name\":")), Err(cut)];
                Body::from_stream(stream::iter(parts))
            }),
            Self::Slow(pause) => answer.map(|_| {
                Body::from_stream(stream::unfold((), move |()| async move {
                    tokio::time::sleep(pause).await;
                    Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
                }))
            }),
            Self::Giant => answer.map(|_| {
                let piece = Bytes::from_static(&[b' '; 64 * 1024]);
                Body::from_stream(stream::iter(std::iter::repeat_with(move || {
                    Ok::<_, Infallible>(piece.clone())
                })))
            }),
        }
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let mut answer = json_answer(&body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    answer
}

fn json_answer(body: &serde_json::Value) -> Answer {
    let builder = Response::builder().header(CONTENT_TYPE, "application/json");
    finish(builder, body.to_string())
}

fn finish(builder: Builder, body: impl Into<Body>) -> Answer {
    let answer = builder.body(body.into());
    answer.expect("the headers are plain ASCII")
}

fn host<'a>(request: &Request<'a>) -> &'a str {
    let host = request.headers.get(HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The `Authorization` of a user: base64, <https://www.rfc-editor.org/rfc/rfc7617#section-2>.
fn basic(username: &str, password: &str) -> String {
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
