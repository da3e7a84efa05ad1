//! What was asked and answered, written down to be held against the products' own descriptions (`scripts/forge-descriptions`).

use std::fs::OpenOptions;
use std::io::Write as _;

use serde_json::json;

use super::Product;
use super::server::{Reply, Request};

/// The variable that names the file. Without it nothing is written.
const FILE: &str = "TOWPATH_FORGE_RECORD";

/// Adds an exchange, as one line of JSON.
pub(super) fn write(product: Product, request: &Request, reply: &Reply) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let line = json!({
        "product": format!("{product:?}"),
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "body": request.body,
        "status": reply.status,
        "reply": reply.body,
    });
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .expect("the record can be written");
    // One write, so that tests beside each other do not mix their lines.
    file.write_all(format!("{line}\n").as_bytes())
        .expect("the record can be written");
}
