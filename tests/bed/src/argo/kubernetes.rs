//! The objects as the Kubernetes API serves them.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::events::{self, EVENTS};
use super::leases::{self, LEASES};
use super::{Argo, DEPLOYMENTS, POLICIES, ROUTES, is_selected, reply};
use crate::forge::Request;

pub(super) fn is_watch(request: &Request) -> bool {
    let watch = request.query.get("watch");
    watch.is_some_and(|watch| watch == "true" || watch == "1")
}

/// A `Status` as the API server words it.
pub(super) fn status(code: u16, message: &str) -> Json {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

pub(super) fn answer(argo: &Argo, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (namespace, resource, name) = match path[..] {
        [
            "apis",
            "coordination.k8s.io",
            "v1",
            "namespaces",
            "argocd",
            LEASES,
            ref name @ ..,
        ] => return leases::answer(argo, request, name.first().copied(), stream),
        [
            "apis",
            "events.k8s.io",
            "v1",
            "namespaces",
            "argocd",
            EVENTS,
            ref name @ ..,
        ] => return events::answer(argo, request, name.first().copied(), stream),
        [
            "apis",
            "apps",
            "v1",
            "namespaces",
            "argocd",
            DEPLOYMENTS,
            name,
        ] if request.method == "GET" => return get(argo, (DEPLOYMENTS, name), stream),
        ["version"] => return reply(stream, 200, &json!({ "gitVersion": "v1.33.1" }), &[]),
        [
            "apis",
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
        ] => {
            return review(argo, request, stream);
        }
        ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => {
            let mut review = request.body.clone();
            let username = "system:serviceaccount:towpath:promoter";
            review["status"] = json!({ "userInfo": { "username": username } });
            return reply(stream, 201, &review, &[]);
        }
        ["apis", "towpath.dev", "v1alpha1"] => return reply(stream, 200, &served(), &[]),
        ["api", "v1", "namespaces", namespace] => return show(argo, namespace, stream),
        ["apis", "argoproj.io" | "towpath.dev", "v1alpha1", resource] => (None, resource, None),
        [
            "apis",
            "argoproj.io" | "towpath.dev",
            "v1alpha1",
            "namespaces",
            namespace,
            resource,
        ] => (Some(namespace), resource, None),
        [
            "apis",
            "argoproj.io" | "towpath.dev",
            "v1alpha1",
            "namespaces",
            namespace,
            resource,
            name,
        ] => (Some(namespace), resource, Some(name)),
        [
            "apis",
            "towpath.dev",
            "v1alpha1",
            "namespaces",
            "argocd",
            resource,
            name,
            "status",
        ] if request.method == "PATCH" => {
            return patch_status(argo, request, (resource, name), stream);
        }
        _ => return reply(stream, 404, &status(404, "not found"), &[]),
    };
    match (request.method.as_str(), name) {
        ("GET", None) if is_watch(request) => watch(argo, request, (resource, namespace), stream),
        ("GET", None) => list(argo, request, (resource, namespace), stream),
        ("GET", Some(name)) => get(argo, (resource, name), stream),
        ("PATCH", Some(name)) => patch(argo, request, (resource, name), stream),
        _ => reply(stream, 405, &status(405, "not allowed here"), &[]),
    }
}

/// A page; `continue` is the version of the list and the number of the next object.
fn list(
    argo: &Argo,
    request: &Request,
    (resource, namespace): (&str, Option<&str>),
    stream: &TcpStream,
) -> std::io::Result<()> {
    let state = argo.state();
    let (version, start): (u64, usize) = match request.query.get("continue") {
        None => (state.version, 0),
        Some(token) => {
            let (version, start) = token.split_once(':').expect("it is a token of ours");
            (version.parse().unwrap_or(0), start.parse().unwrap_or(0))
        }
    };
    if version < state.forgotten {
        drop(state);
        let words =
            "The provided continue parameter is too old to display a consistent list result.";
        return reply(stream, 410, &status(410, words), &[]);
    }
    let selector = request.query.get("labelSelector");
    let mut all = state.all(resource, namespace);
    all.retain(|object| is_selected(object, selector));
    let limit = request.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let end = start.saturating_add(limit).min(all.len());
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if end < all.len() {
        metadata["continue"] = json!(format!("{version}:{end}"));
        metadata["remainingItemCount"] = json!(all.len() - end);
    }
    let page = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "List", "metadata": metadata, "items": &all[start.min(end)..end],
    });
    drop(state);
    reply(stream, 200, &page, &[])
}

fn watch(
    argo: &Argo,
    request: &Request,
    (resource, namespace): (&str, Option<&str>),
    stream: &TcpStream,
) -> std::io::Result<()> {
    let version = request.number("resourceVersion").unwrap_or(0);
    if version < argo.state().forgotten {
        // The server has begun to answer by then.
        super::begin(stream)?;
        let words = format!("too old resource version: {version}");
        let event = json!({ "type": "ERROR", "object": status(410, &words) });
        return super::chunk(stream, &event);
    }
    let seconds = request.number("timeoutSeconds");
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let wants_bookmarks = request
        .query
        .get("allowWatchBookmarks")
        .is_some_and(|is| is == "true");
    let selector = request.query.get("labelSelector");
    argo.stream(stream, (version, end), |event| {
        let is_bookmark = event.kind == "BOOKMARK";
        let is_here = namespace.is_none_or(|name| event.object["metadata"]["namespace"] == name);
        let is_meant = match is_bookmark {
            true => wants_bookmarks,
            false => is_here && is_selected(&event.object, selector),
        };
        let is_sent = event.resource == resource && is_meant;
        is_sent.then(|| json!({ "type": event.kind, "object": event.object }))
    })
}

/// One object, with the `uid` that an API server gives each.
fn get(argo: &Argo, (resource, name): (&str, &str), stream: &TcpStream) -> std::io::Result<()> {
    match argo.get(resource, name) {
        Some(mut object) => {
            object["metadata"]["uid"] = json!(format!("uid-of-{name}"));
            reply(stream, 200, &object, &[])
        }
        None => reply(stream, 404, &status(404, "not found"), &[]),
    }
}

/// Merges what stands under `status`, if the object still is of the version that is named. It gets no new generation by that.
fn patch_status(
    argo: &Argo,
    request: &Request,
    (resource, name): (&str, &str),
    stream: &TcpStream,
) -> std::io::Result<()> {
    let is_merge = request.header("content-type") == Some("application/merge-patch+json");
    let Some(mut object) = argo.get(resource, name).filter(|_| is_merge) else {
        let words = format!("{resource}.towpath.dev \"{name}\" not found");
        return reply(stream, 404, &status(404, &words), &[]);
    };
    let named = &request.body["metadata"]["resourceVersion"];
    if *named != object["metadata"]["resourceVersion"] {
        let words = "the object has been modified; please apply your changes to the latest version";
        return reply(stream, 409, &status(409, words), &[]);
    }
    merge(&mut object["status"], &request.body["status"]);
    argo.put(resource, object.clone());
    reply(stream, 200, &object, &[])
}

/// <https://www.rfc-editor.org/rfc/rfc7396>
fn merge(target: &mut Json, patch: &Json) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        match value.is_null() {
            true => drop(target.as_object_mut().map(|entries| entries.remove(key))),
            false => merge(&mut target[key], value),
        }
    }
}

/// Merges annotations, which is all that is asked for.
fn patch(
    argo: &Argo,
    request: &Request,
    (resource, name): (&str, &str),
    stream: &TcpStream,
) -> std::io::Result<()> {
    let is_merge = request.header("content-type") == Some("application/merge-patch+json");
    let Some(mut object) = argo.get(resource, name).filter(|_| is_merge) else {
        let words = format!("{resource}.argoproj.io \"{name}\" not found");
        return reply(stream, 404, &status(404, &words), &[]);
    };
    let annotations = request.body["metadata"]["annotations"].as_object();
    for (key, value) in annotations.into_iter().flatten() {
        object["metadata"]["annotations"][key] = value.clone();
    }
    argo.put(resource, object.clone());
    reply(stream, 200, &object, &[])
}

/// What is served of the group of towpath.
fn served() -> Json {
    let named = |name: &str| json!({ "name": name, "namespaced": true });
    let names = [POLICIES, ROUTES];
    let both = names.map(|name| [named(name), named(&format!("{name}/status"))]);
    json!({ "kind": "APIResourceList", "groupVersion": "towpath.dev/v1alpha1", "resources": both.concat() })
}

/// A namespace, to those who may know of it. There is one alone.
fn show(argo: &Argo, namespace: &str, stream: &TcpStream) -> std::io::Result<()> {
    let (code, body) = match namespace {
        _ if argo.state().denied.contains("get namespaces") => (403, status(403, "forbidden")),
        "argocd" => (200, json!({ "metadata": { "name": namespace } })),
        _ => (404, status(404, "not found")),
    };
    reply(stream, code, &body, &[])
}

/// Whoever asks may do all but what [`Argo::deny`] took.
fn review(argo: &Argo, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
    let asked = &request.body["spec"]["resourceAttributes"];
    let right = (asked["verb"].as_str(), asked["resource"].as_str());
    let (Some(verb), Some(resource)) = right else {
        return reply(stream, 400, &status(400, "no resource is asked about"), &[]);
    };
    let is_denied = argo.state().denied.contains(&format!("{verb} {resource}"));
    let mut review = request.body.clone();
    review["status"] = json!({ "allowed": !is_denied });
    reply(stream, 201, &review, &[])
}
