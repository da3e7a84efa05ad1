//! Leases as the Kubernetes API serves them: whoever writes names the version that it read, and is refused where there is another.

use std::net::TcpStream;

use serde_json::Value as Json;

use super::kubernetes::status;
use super::{Argo, reply};
use crate::forge::Request;

/// The resource that they are.
pub const LEASES: &str = "leases";

/// Answers what is asked of `name`, or of all where none is named.
pub(super) fn answer(
    argo: &Argo,
    request: &Request,
    name: Option<&str>,
    stream: &TcpStream,
) -> std::io::Result<()> {
    let (code, body) = match (request.method.as_str(), name) {
        ("GET", Some(name)) => match argo.get(LEASES, name) {
            Some(lease) => (200, lease),
            None => refused(404, name, "not found"),
        },
        ("POST", None) => create(argo, &request.body),
        ("PUT", Some(name)) => replace(argo, &request.body, name),
        _ => (405, status(405, "not allowed here")),
    };
    reply(stream, code, &body, &[])
}

fn create(argo: &Argo, lease: &Json) -> (u16, Json) {
    match argo.put_if(LEASES, lease.clone(), |before| before.is_none()) {
        Some(lease) => (201, lease),
        None => {
            let name = lease["metadata"]["name"].as_str().unwrap_or_default();
            refused(409, name, "already exists")
        }
    }
}

fn replace(argo: &Argo, lease: &Json, name: &str) -> (u16, Json) {
    let version = |lease: &Json| lease["metadata"]["resourceVersion"].clone();
    let is_same = |before: Option<&Json>| before.map(version) == Some(version(lease));
    match argo.put_if(LEASES, lease.clone(), is_same) {
        Some(lease) => (200, lease),
        None => refused(409, name, "the object has been modified"),
    }
}

fn refused(code: u16, name: &str, words: &str) -> (u16, Json) {
    let words = format!("leases.coordination.k8s.io \"{name}\": {words}");
    (code, status(code, &words))
}
