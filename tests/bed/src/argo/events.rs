//! Events as the Kubernetes API serves them: made whole, and then only their series changes.
//!
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/events.go>

use std::net::TcpStream;

use serde_json::Value as Json;

use super::kubernetes::status;
use super::{Argo, reply};
use crate::forge::Request;

/// The resource that they are.
pub const EVENTS: &str = "events";

pub(super) fn answer(
    argo: &Argo,
    request: &Request,
    name: Option<&str>,
    stream: &TcpStream,
) -> std::io::Result<()> {
    let (code, body) = match (request.method.as_str(), name) {
        ("POST", None) => create(argo, &request.body),
        ("PATCH", Some(name)) => again(argo, &request.body, name),
        _ => (405, status(405, "not allowed here")),
    };
    reply(stream, code, &body, &[])
}

fn create(argo: &Argo, event: &Json) -> (u16, Json) {
    let is_there = |pointer: &&str| {
        let text = event.pointer(pointer).and_then(Json::as_str);
        text.is_some_and(|text| !text.is_empty())
    };
    let needed = [
        "/metadata/name",
        "/eventTime",
        "/reportingController",
        "/reportingInstance",
        "/action",
        "/reason",
        "/regarding/name",
    ];
    let missing = needed.iter().find(|pointer| !is_there(pointer));
    let note = event["note"].as_str().unwrap_or_default();
    let is_known = matches!(event["type"].as_str(), Some("Normal" | "Warning"));
    let is_here = event.pointer("/regarding/namespace") == event.pointer("/metadata/namespace");
    if let Some(missing) = missing {
        return (422, status(422, &format!("{missing} must be specified")));
    }
    if note.len() > 1024 || !is_known || !is_here {
        return (422, status(422, "the Event is invalid"));
    }
    argo.put(EVENTS, event.clone());
    (201, event.clone())
}

fn again(argo: &Argo, patch: &Json, name: &str) -> (u16, Json) {
    let Some(mut event) = argo.get(EVENTS, name) else {
        let words = format!("events.events.k8s.io \"{name}\" not found");
        return (404, status(404, &words));
    };
    let is_series_alone = patch.as_object().is_some_and(|patch| {
        let mut keys = patch.keys();
        keys.next().is_some_and(|key| key == "series") && keys.next().is_none()
    });
    let counts = patch.pointer("/series/count").and_then(Json::as_u64);
    if !is_series_alone || counts.is_none_or(|count| count < 2) {
        return (
            422,
            status(422, "only the series changes, which counts from 2"),
        );
    }
    event["series"] = patch["series"].clone();
    argo.put(EVENTS, event.clone());
    (200, event)
}
