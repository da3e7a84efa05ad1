//! The probe edge: asks other servers what checks want to know, over HTTP or of Prometheus.
//!
//! Reading order: this file (one request, with its limits), `prometheus` (what is asked there and what comes of the answer) and
//! `wire` (what it sends). Not here: whether an answer is as expected (`policy`), and when to ask (`plan`).
//! Invariant: a secret goes to the server that the settings name it for and nowhere else, is read anew for each request, and stands
//! in no error; no redirect is followed, and no more is passed on of an answer than was asked for.

mod error;
mod metrics;
mod prometheus;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use url::Url;

use crate::login::{Clock, authorities, server_time};
use crate::policy::gate::checks::{Answered, Inquiry, Method, Scalar};
use crate::secret::{Credentials, Secret, SecretError};

pub(crate) use error::ProbeError;

/// Largest answer: 200 series with 1,000 samples of 30 bytes are 6 MB, and what says whether something works is a page of JSON.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Longest text that is passed on: what says how something is has a line, and a message some. It is compared whole or not at all.
const TEXT_BYTES_MAX: usize = 2_000;

/// The longest wish for quiet that is believed: a wrong header must not stop an environment for longer than somebody takes to look.
const QUIET_MAX: Duration = Duration::from_secs(60 * 60);

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) connect: Duration,
    /// From the first byte of a request to the last of its answer.
    pub(crate) total: Duration,
}

impl Default for Pace {
    /// Checks are asked every ten seconds at the most often, and what takes longer is asked again before it answers.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(10),
        }
    }
}

/// How servers are asked.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Those that need something, by host, with the port where it is not that of the scheme.
    pub(crate) servers: BTreeMap<String, Server>,
    pub(crate) pace: Pace,
    pub(crate) clock: Clock,
}

/// What a server needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) credentials: Option<Credentials>,
    /// Headers whose values are secrets.
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) plain_http: bool,
}

/// Asks servers.
pub(crate) struct Probe {
    others: Client,
    servers: BTreeMap<String, (Server, Client)>,
    clock: Clock,
}

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) told: Result<Answered, ProbeError>,
    pub(crate) beside: Beside,
}

/// What a server says beside its answer.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Until when it wishes not to be asked again.
    pub(crate) not_before: Option<Timestamp>,
    /// What its clock shows.
    pub(crate) clock: Option<Timestamp>,
}

/// One request on its way.
struct Line<'p> {
    url: Url,
    /// For messages: the host, with its port.
    host: String,
    server: Option<&'p Server>,
    client: &'p Client,
}

/// The start of an answer.
struct Opened {
    response: Response,
    beside: Beside,
}

impl Probe {
    /// Makes ready; nothing is asked yet.
    pub(crate) fn new(options: Options) -> Result<Self, ProbeError> {
        let Options {
            servers,
            pace,
            clock,
        } = options;
        let with_client = |(host, server): (String, Server)| {
            let client = client(&host, server.ca_file.as_deref(), pace)?;
            Ok::<_, ProbeError>((host, (server, client)))
        };
        Ok(Self {
            others: client("checks", None, pace)?,
            servers: servers
                .into_iter()
                .map(with_client)
                .collect::<Result<_, _>>()?,
            clock,
        })
    }

    /// Asks once: whoever needs the answer asks again.
    pub(crate) async fn ask(&self, inquiry: &Inquiry) -> Reply {
        let mut beside = Beside::default();
        let told = match inquiry {
            Inquiry::Http {
                method,
                url,
                headers,
                body,
                pointers,
            } => {
                let request = (*method, url.as_str(), body.clone());
                self.http(request, (headers, pointers), &mut beside).await
            }
            Inquiry::Prometheus { .. } => self.prometheus(inquiry, &mut beside).await,
        };
        Reply { told, beside }
    }

    async fn http(
        &self,
        (method, url, body): (Method, &str, Option<String>),
        (headers, pointers): (&BTreeMap<String, String>, &BTreeSet<String>),
        beside: &mut Beside,
    ) -> Result<Answered, ProbeError> {
        let line = self.line(url)?;
        let mut request = match method {
            Method::Get => line.client.get(line.url.clone()),
            Method::Post => line.client.post(line.url.clone()),
        };
        let has = |name: HeaderName| headers.keys().any(|key| key == name.as_str());
        if !has(ACCEPT) && !pointers.is_empty() {
            request = request.header(ACCEPT, "application/json");
        }
        if let Some(body) = body {
            if !has(CONTENT_TYPE) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(body);
        }
        let opened = self.send(&line, request, headers).await?;
        let response = opened.response;
        *beside = opened.beside;
        let status = response.status().as_u16();
        let values = match pointers.is_empty() {
            // Nobody wants to know what it says.
            true => Some(BTreeMap::new()),
            false => values(&line.whole(response).await?, pointers),
        };
        Ok(Answered::Http { status, values })
    }

    /// The way to the server of `url`, if the settings allow it.
    fn line(&self, url: &str) -> Result<Line<'_>, ProbeError> {
        let unusable = || ProbeError::NotAUrl {
            url: url.to_owned(),
        };
        let url: Url = url.parse().map_err(|_| unusable())?;
        let host = host_of(&url).ok_or_else(unusable)?;
        let named = self.servers.get(&host);
        let server = named.map(|(server, _)| server);
        match (url.scheme(), server) {
            ("https", _)
            | (
                "http",
                Some(Server {
                    plain_http: true, ..
                }),
            ) => {}
            ("http", _) => return Err(ProbeError::PlainHttp { host }),
            _ => return Err(unusable()),
        }
        let client = named.map_or(&self.others, |(_, client)| client);
        Ok(Line {
            url,
            host,
            server,
            client,
        })
    }

    async fn send(
        &self,
        line: &Line<'_>,
        request: RequestBuilder,
        headers: &BTreeMap<String, String>,
    ) -> Result<Opened, ProbeError> {
        let request = request.headers(line.headers(headers)?);
        let outcome = request.send().await;
        let status = outcome.as_ref().map(Response::status).ok();
        let label = status.map_or("failed".to_owned(), |status| status.as_u16().to_string());
        metrics::REQUESTS
            .with_label_values(&[&line.host, &label])
            .inc();
        let response = outcome.map_err(|error| line.failed(error))?;
        let Clock(now) = self.clock;
        let beside = Beside {
            not_before: quiet(response.status(), response.headers(), now()),
            clock: server_time(response.headers()),
        };
        Ok(Opened { response, beside })
    }
}

impl Line<'_> {
    /// The headers of a request: those of the check, and those with the secrets of the server.
    fn headers(&self, of_check: &BTreeMap<String, String>) -> Result<HeaderMap, ProbeError> {
        let mut headers = HeaderMap::new();
        let mut insert = |name: &str, value: &str, is_secret: bool| {
            let value = HeaderValue::from_str(value).ok();
            let pair = name.parse::<HeaderName>().ok().zip(value);
            let (name, mut value) = pair.ok_or_else(|| ProbeError::HeaderUnusable {
                host: self.host.clone(),
                name: name.to_owned(),
            })?;
            value.set_sensitive(is_secret);
            headers.insert(name, value);
            Ok::<_, ProbeError>(())
        };
        for (name, value) in of_check {
            insert(name, value, false)?;
        }
        let Some(server) = self.server else {
            return Ok(headers);
        };
        let unread = |source| ProbeError::Secret {
            host: self.host.clone(),
            source,
        };
        for (name, secret) in &server.headers {
            insert(name, secret.read().map_err(unread)?.expose_secret(), true)?;
        }
        if let Some(credentials) = &server.credentials {
            let shown = shown(credentials).map_err(unread)?;
            insert(AUTHORIZATION.as_str(), shown.expose_secret(), true)?;
        }
        Ok(headers)
    }

    /// The whole body of an answer.
    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, ProbeError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ProbeError::TooLarge {
                    host: self.host.clone(),
                    bytes_max: ANSWER_BYTES_MAX,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: reqwest::Error) -> ProbeError {
        let host = self.host.clone();
        match error.is_timeout() {
            true => ProbeError::TimedOut { host },
            false => ProbeError::Unreachable {
                host,
                source: error.without_url(),
            },
        }
    }
}

fn client(host: &str, ca_file: Option<&Path>, pace: Pace) -> Result<Client, ProbeError> {
    // Whoever comes first in the process installs it; a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(pace.connect)
        .timeout(pace.total)
        // A redirect is an answer: what a check asks is told by the server that it names, or not at all.
        .redirect(Policy::none())
        .tls_certs_merge(authorities(ca_file)?);
    client.build().map_err(|source| ProbeError::NoTls {
        host: host.to_owned(),
        source: source.without_url(),
    })
}

/// The host of a URL as settings name it.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// The value of `Authorization`.
fn shown(credentials: &Credentials) -> Result<SecretString, SecretError> {
    Ok(match credentials {
        Credentials::Token(token) => format!("Bearer {}", token.read()?.expose_secret()).into(),
        Credentials::Basic { username, password } => {
            let both = format!("{username}:{}", password.read()?.expose_secret());
            format!("Basic {}", STANDARD.encode(both)).into()
        }
    })
}

/// Until when a server that is asked too much wishes to be left alone: seconds, or a date.
///
/// <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
fn quiet(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let is_asked = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let text = headers.get(RETRY_AFTER).filter(|_| is_asked)?;
    let text = text.to_str().ok()?.trim();
    let latest = now + QUIET_MAX;
    let until = match text.parse::<u32>() {
        Ok(seconds) => now + Duration::from_secs(seconds.into()),
        Err(_) => rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?,
    };
    (until > now).then_some(until.min(latest))
}

/// What stands at `pointers`, where it is anything; `None` where the body is no JSON.
fn values(body: &[u8], pointers: &BTreeSet<String>) -> Option<BTreeMap<String, Scalar>> {
    let json: Json = serde_json::from_slice(body).ok()?;
    let values = pointers.iter().filter_map(|pointer| {
        let value = match json.pointer(pointer)? {
            Json::Null => Scalar::Null,
            Json::Bool(truth) => Scalar::Truth(*truth),
            Json::Number(number) => Scalar::Number(number.as_f64()?),
            Json::String(text) if text.len() > TEXT_BYTES_MAX => Scalar::Long,
            Json::String(text) => Scalar::Text(text.clone()),
            Json::Array(_) | Json::Object(_) => Scalar::Many,
        };
        Some((pointer.clone(), value))
    });
    Some(values.collect())
}

#[cfg(test)]
#[path = "../../tests/contract/probe.rs"]
mod contract;
