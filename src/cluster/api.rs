//! Applications and projects by Argo CD's own HTTP API, for a daemon that runs elsewhere.
//!
//! <https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/>. The list has no pages, and its `fields=` knows
//! neither the history nor the revisions of several sources (`appFields` in
//! <https://github.com/argoproj/argo-cd/blob/master/pkg/apiclient/application/forwarder_overwrite.go>); so it is read as a
//! whole, while it comes, and what is not used is never kept. Its stream may miss what happens between the list and its own
//! beginning (`Watch` in <https://github.com/argoproj/argo-cd/blob/master/server/application/application.go>), so the list
//! is read again at an interval, and the time of a reading is that of the list.
//! Invariant: the token goes to the origin of the API and nowhere else, is read anew for each request, and stands in no error.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use super::error::ClusterError;
use super::kept::{Kept, Objects, Part};
use super::nouns::{Kind, beginning};
use super::wire::{List, StreamLine, Told};
use super::{Options, Server, back_off, now};
use crate::login::authorities;
use crate::secret::Secret;
use crate::world::{Application, ObjectName, SyncWindow};

/// Largest list: 40,000 Applications of 25 KB. It is read while it comes, so this bounds time and not memory.
const LIST_BYTES_MAX: usize = 1 << 30;

/// Largest line of the stream: an object of Kubernetes has 1.5 MiB at most in etcd, and JSON is not much longer there.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Largest answer that only says what is wrong.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Parts of an answer that wait for the parser: of 16 KiB each 128 KiB.
const CHUNKS_MAX: usize = 8;

/// The only place that there is; a token sees all namespaces that it may.
const PLACE: usize = 0;

/// Argo CD's API.
pub(super) struct Api {
    host: String,
    url: Url,
    token: Secret,
    projects: Vec<String>,
    client: Client,
    options: Options,
}

/// Why there is no answer, and the server's own wish for a wait.
struct Failed {
    error: ClusterError,
    wait: Option<Duration>,
}

impl Api {
    pub(super) fn new(options: Options) -> Result<Self, ClusterError> {
        let Server::ArgoCd {
            url,
            token,
            ca_file,
            plain_http,
            projects,
        } = options.server.clone()
        else {
            unreachable!("it is made for Argo CD's API");
        };
        let host = url.host_str().unwrap_or_default();
        let host = url
            .port()
            .map_or(host.to_owned(), |port| format!("{host}:{port}"));
        if url.scheme() != "https" && !plain_http {
            return Err(ClusterError::PlainHttp { host });
        }
        // Whoever comes first in the process installs it; a second time changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5).min(options.pace.answer))
            .redirect(Policy::none())
            .tls_certs_merge(authorities(ca_file.as_deref())?);
        let client = client.build().map_err(|source| ClusterError::NoTls {
            host: host.clone(),
            source: source.without_url(),
        })?;
        Ok(Self {
            host,
            url,
            token,
            projects,
            client,
            options,
        })
    }

    /// Lists at an interval and follows the stream in between, for ever.
    pub(super) async fn follow(&self, kept: &Kept) {
        let mut failures = 0;
        loop {
            let next = Instant::now() + self.options.pace.poll;
            let listed = self.list_all(kept).await;
            let wait = match listed {
                Ok(version) => {
                    failures = 0;
                    self.follow_until(next, version, kept).await;
                    continue;
                }
                Err(Failed { wait, .. }) => wait,
            };
            let own = back_off(&self.options.pace, failures);
            failures += 1;
            sleep(wait.unwrap_or_default().max(own)).await;
        }
    }

    pub(super) async fn read(&self, kept: &Kept) {
        let _ = self.list_all(kept).await;
    }

    /// The server answers when the refresh is done; it has begun as soon as the request is there, so a slow one is no failure.
    pub(super) async fn refresh(&self, application: &ObjectName) -> Result<(), ClusterError> {
        let ObjectName { namespace, name } = application;
        let mut url = self.address(&["applications", name]);
        let mut query = url.query_pairs_mut();
        query.append_pair("refresh", "normal");
        query.append_pair("appNamespace", namespace);
        drop(query);
        let what = format!("refresh the Application `{application}`");
        let asked = async {
            let request = self.request(url)?;
            self.opened(&what, request.send().await).await
        };
        match timeout(self.options.pace.answer, asked).await {
            Ok(Ok(_)) | Err(_) => Ok(()),
            Ok(Err(Failed { error, .. })) => Err(error),
        }
    }

    /// Reads Applications and projects, and gives the version that the stream goes on from.
    async fn list_all(&self, kept: &Kept) -> Result<String, Failed> {
        let mut url = self.address(&["applications"]);
        self.narrow(&mut url);
        let listed = self.list::<Application>(url, kept).await;
        let projects = self.list::<Vec<SyncWindow>>(self.address(&["projects"]), kept);
        if let Err(Failed { error, .. }) = projects.await {
            kept.fail::<Vec<SyncWindow>>(PLACE, &error, now(self.options.clock));
        }
        if let Err(Failed { error, .. }) = &listed {
            tracing::debug!(
                host = self.host,
                "Argo CD cannot be read: {}",
                error.whole()
            );
            kept.fail::<Application>(PLACE, error, now(self.options.clock));
        }
        listed
    }

    async fn list<T: Kind + Part>(&self, url: Url, kept: &Kept) -> Result<String, Failed> {
        let what = format!("list {}", T::RESOURCE);
        let begun = now(self.options.clock);
        let asked = async {
            let request = self.request(url)?;
            let response = self.opened(&what, request.send().await).await?;
            self.parsed::<List<T::Wire>>(&what, response).await
        };
        let list = match timeout(self.options.pace.answer, asked).await {
            Ok(list) => list?,
            Err(_) => {
                let server = self.host.clone();
                return Err(ClusterError::Silent { server, what }.into());
            }
        };
        let mut objects: Objects<T> = BTreeMap::new();
        for wire in list.items {
            let (name, object) = T::noun(wire);
            objects.insert(name, Arc::new(object));
        }
        kept.put_all(PLACE, objects, begun);
        Ok(list.metadata.resource_version.unwrap_or_default())
    }

    /// Follows the stream until `end`, and waits for it where there is no stream: a proxy on the way may not let one through.
    async fn follow_until(&self, end: Instant, version: String, kept: &Kept) {
        let streamed = timeout_at(end, self.stream(version, kept)).await;
        if let Ok(ended) = streamed {
            let why = ended.err().map(|Failed { error, .. }| error.whole());
            tracing::debug!(host = self.host, why, "the stream of Argo CD ended");
            tokio::time::sleep_until(end).await;
        }
    }

    async fn stream(&self, version: String, kept: &Kept) -> Result<(), Failed> {
        let mut url = self.address(&["stream", "applications"]);
        self.narrow(&mut url);
        url.query_pairs_mut()
            .append_pair("resourceVersion", &version);
        let what = "stream applications";
        let request = self.request(url)?;
        let mut response = self.opened(what, request.send().await).await?;
        let mut lines: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(what, e))? {
            lines.extend_from_slice(&chunk);
            while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = lines.drain(..=end).collect();
                self.take(&line, kept)?;
            }
            if lines.len() > LINE_BYTES_MAX {
                return Err(self.too_large(what, LINE_BYTES_MAX).into());
            }
        }
        Ok(())
    }

    /// Takes in one line of the stream. The time of the reading stays that of the list.
    fn take(&self, line: &[u8], kept: &Kept) -> Result<(), Failed> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let what = "stream applications".to_owned();
        let server = self.host.clone();
        let Ok(line) = serde_json::from_slice::<StreamLine>(line) else {
            return Err(ClusterError::NotUnderstood { server, what }.into());
        };
        if let Some(told) = line.error {
            return Err(ClusterError::Answered {
                server,
                what,
                code: 200,
                words: words(told),
            }
            .into());
        }
        let Some(event) = line.result else {
            return Ok(());
        };
        let is_there = event.kind != "DELETED";
        let (name, application) = Application::noun(event.application);
        kept.change(PLACE, (name, is_there.then_some(application)));
        Ok(())
    }

    fn address(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        url
    }

    /// Names what is wanted of all Applications.
    fn narrow(&self, url: &mut Url) {
        let projects = self.projects.iter().map(|name| ("projects", name));
        let selector = self.options.selector.iter().map(|text| ("selector", text));
        let wanted: Vec<_> = projects.chain(selector).collect();
        if !wanted.is_empty() {
            url.query_pairs_mut().extend_pairs(wanted);
        }
    }

    fn request(&self, url: Url) -> Result<RequestBuilder, ClusterError> {
        let host = || self.host.clone();
        let token = self.token.read();
        let token = token.map_err(|source| ClusterError::Token {
            host: host(),
            source,
        })?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let mut value = value.map_err(|_| ClusterError::TokenUnusable { host: host() })?;
        value.set_sensitive(true);
        Ok(self.client.get(url).header(AUTHORIZATION, value))
    }

    /// Judges an answer by its head.
    async fn opened(
        &self,
        what: &str,
        answer: reqwest::Result<Response>,
    ) -> Result<Response, Failed> {
        let response = answer.map_err(|error| self.broken(what, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
        let wait = after.map(Duration::from_secs);
        let words = words_of(response).await;
        let (server, what) = (self.host.clone(), what.to_owned());
        let error = match status {
            StatusCode::UNAUTHORIZED => ClusterError::Unauthorized { server, what },
            StatusCode::FORBIDDEN => ClusterError::Denied {
                server,
                what,
                words,
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => {
                ClusterError::Limited {
                    server,
                    until: now(self.options.clock) + wait.unwrap_or_default(),
                }
            }
            status if status.is_redirection() => ClusterError::Redirected { server, what },
            status => ClusterError::Answered {
                server,
                what,
                code: status.as_u16(),
                words,
            },
        };
        Err(Failed { error, wait })
    }

    /// Parses an answer while it comes, on a thread that may wait.
    async fn parsed<T: DeserializeOwned + Send + 'static>(
        &self,
        what: &str,
        mut response: Response,
    ) -> Result<T, Failed> {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let parser = tokio::task::spawn_blocking(move || {
            serde_json::from_reader(io::BufReader::new(Chunks {
                receiver,
                rest: Vec::new(),
                read: 0,
            }))
        });
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(what, e))? {
            bytes += chunk.len();
            if bytes > LIST_BYTES_MAX {
                return Err(self.too_large(what, LIST_BYTES_MAX).into());
            }
            // A parser that has seen enough waits for no more, and says why below.
            if sender.send(chunk.to_vec()).await.is_err() {
                break;
            }
        }
        drop(sender);
        let parsed = parser
            .await
            .expect("parsing does not panic and is not cancelled");
        // What serde says of a value may hold the value.
        parsed.map_err(|_| {
            let (server, what) = (self.host.clone(), what.to_owned());
            ClusterError::NotUnderstood { server, what }.into()
        })
    }

    fn too_large(&self, what: &str, bytes_max: usize) -> ClusterError {
        ClusterError::TooLarge {
            server: self.host.clone(),
            what: what.to_owned(),
            bytes_max,
        }
    }

    fn broken(&self, what: &str, error: reqwest::Error) -> ClusterError {
        ClusterError::Unreachable {
            server: self.host.clone(),
            what: what.to_owned(),
            source: error.without_url().into(),
        }
    }
}

impl From<ClusterError> for Failed {
    fn from(error: ClusterError) -> Self {
        Self { error, wait: None }
    }
}

/// Reads what comes in parts; ends where they end.
struct Chunks {
    receiver: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
    read: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.rest.len() {
            match self.receiver.blocking_recv() {
                Some(chunk) => (self.rest, self.read) = (chunk, 0),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len() - self.read);
        buffer[..count].copy_from_slice(&self.rest[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

/// The words of a refusal: <https://github.com/grpc-ecosystem/grpc-gateway>'s JSON, or how it starts.
async fn words_of(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < REFUSAL_BYTES_MAX
    {
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice(&body) {
        Ok(told) => words(told),
        Err(_) => beginning(&String::from_utf8_lossy(&body)),
    }
}

fn words(told: Told) -> String {
    beginning(&told.message.or(told.error).unwrap_or_default())
}
