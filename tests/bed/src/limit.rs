//! nginx in front of a registry, with the limit that registries have: `429 Too Many Requests` and `Retry-After`.

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::process::free_port;

/// What lets through so many requests at once and so many a second after them, and refuses all others.
/// <https://nginx.org/en/docs/http/ngx_http_limit_req_module.html>
#[must_use = "the server ends when this is dropped"]
pub struct RateLimit {
    nginx: Nginx,
    _folder: TempDir,
    /// Host and port, as they stand in image names.
    pub host: String,
}

impl RateLimit {
    /// Stands before the registry at `behind`, which has no TLS, and lets through `burst` requests at once and `rate` a
    /// second.
    pub fn before(behind: &str, burst: usize, rate: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = free_port();
        let host = format!("127.0.0.1:{port}");
        let servers = include_str!("limit-nginx.conf")
            .replace("LISTEN", &host)
            .replace("BEHIND", behind)
            .replace("RATE", &rate.to_string())
            // The first request does not count as part of nginx's burst.
            .replace("BURST", &(burst - 1).to_string());
        Self {
            nginx: Nginx::start(folder.path(), &servers, &[port]),
            _folder: folder,
            host,
        }
    }

    /// The requests so far, a line each: method, path with query, status.
    pub fn requests(&self) -> Vec<String> {
        self.nginx.requests()
    }
}
