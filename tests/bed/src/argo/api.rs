//! The objects as Argo CD's own API serves them, after `server/application` and `server/project` of
//! <https://github.com/argoproj/argo-cd>.

use std::net::TcpStream;

use serde_json::{Value as Json, json};

use super::{APPLICATIONS, Argo, PROJECTS, is_selected, reply};
use crate::forge::Request;

pub(super) fn is_stream(request: &Request) -> bool {
    request.path.iter().any(|segment| segment == "stream")
}

/// A refusal as grpc-gateway words it.
pub(super) fn error(status: u16, words: &str) -> Json {
    let code = match status {
        401 => 16,
        403 => 7,
        404 => 5,
        _ => 13,
    };
    json!({ "error": words, "code": code, "message": words })
}

pub(super) fn answer(argo: &Argo, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    // Argo CD may be served below a path.
    let path = path.strip_prefix(&["root"]).unwrap_or(&path);
    match (request.method.as_str(), path) {
        ("GET", ["api", "v1", "applications"]) => {
            let mut list = list(argo, APPLICATIONS);
            if let Some(items) = list["items"].as_array_mut() {
                items.retain(|object| is_wanted(request, object));
            }
            reply(stream, 200, &list, &[])
        }
        ("GET", ["api", "v1", "projects"]) => reply(stream, 200, &list(argo, PROJECTS), &[]),
        ("GET", ["api", "v1", "applications", name]) => refresh(argo, request, name, stream),
        ("GET", ["api", "v1", "stream", "applications"]) => {
            let version = request.number("resourceVersion").unwrap_or(0);
            argo.stream(stream, (version, None), |event| {
                let is_told = event.resource == APPLICATIONS
                    && event.kind != "BOOKMARK"
                    && is_wanted(request, &event.object);
                is_told.then(
                    || json!({ "result": { "type": event.kind, "application": event.object } }),
                )
            })
        }
        _ => reply(stream, 404, &error(404, "Not Found"), &[]),
    }
}

fn list(argo: &Argo, resource: &str) -> Json {
    let state = argo.state();
    let items = state.all(resource, None);
    // Go's way to write none.
    let items = match items.is_empty() {
        true => Json::Null,
        false => json!(items),
    };
    json!({ "metadata": { "resourceVersion": state.version.to_string() }, "items": items })
}

fn is_wanted(request: &Request, object: &Json) -> bool {
    let project = request.query.get("projects");
    let is_of = project.is_none_or(|project| object["spec"]["project"] == project.as_str());
    is_of && is_selected(object, request.query.get("selector"))
}

fn refresh(argo: &Argo, request: &Request, name: &str, stream: &TcpStream) -> std::io::Result<()> {
    let Some(mut object) = argo.get(APPLICATIONS, name) else {
        // Whether it is there is nobody's business.
        return reply(stream, 403, &error(403, "permission denied"), &[]);
    };
    if let Some(kind) = request.query.get("refresh") {
        object["metadata"]["annotations"]["argocd.argoproj.io/refresh"] = json!(kind);
        argo.put(APPLICATIONS, object.clone());
    }
    reply(stream, 200, &object, &[])
}
