//! One request to one forge, with its limits: time, size, retries, and the forge's own wish for quiet.
//!
//! Not here: what an answer means (each product's file). Invariant: credentials go to the origin of the API and nowhere
//! else, are read anew for each request, and stand in no error. A write is sent again only where it surely did nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, IF_NONE_MATCH, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::Url;

use super::credentials::{Credentials, Shown};
use super::error::ForgeError;
use super::kept::Kept;
use super::limit::{self, Told};
use super::link;
use super::metrics;
use super::traffic::{Lane, Quiet, Traffic, WAIT_MAX};
use super::{Options, Pace, words};
use crate::login::{Clock, Login, authorities};

/// Times that a read is tried. The waits are at most 0.5 and 1 s: long enough for a balancer to drop a sick backend, short
/// against any interval.
const ATTEMPTS_MAX: u32 = 3;

/// Redirects that are followed, all on the same origin: a repository that was renamed is one, one that moved twice two.
const REDIRECTS_MAX: u32 = 3;

/// Largest answer. A page of 100 pull requests with bodies of 64 KiB and 30 KB of the forge's own about each is 9.6 MB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The most pages of one list: 10,000 pull requests at 100 a page.
pub(super) const PAGES_MAX: usize = 100;

const USER_AGENT: &str = concat!("towpath/", env!("CARGO_PKG_VERSION"));

/// How a product wants to be spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) accept: &'static str,
    /// Sent with each request.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) token: fn(&str) -> Shown,
}

/// The way to the API of one repository's forge.
pub(super) struct Line {
    host: String,
    /// Without a slash at its end.
    api: Url,
    credentials: Option<Credentials>,
    dialect: Dialect,
    client: Client,
    lane: Arc<Lane>,
    kept: Kept,
    pace: Pace,
    clock: Clock,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Json>,
    /// What it is to do, for messages: `open a pull request in `acme/deploy``.
    pub(super) what: String,
    /// Whether the answer is remembered, and asked for only if it changed.
    pub(super) is_kept: bool,
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Ask {
    pub(super) fn read(url: Url, what: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url,
            body: None,
            what: what.into(),
            is_kept: false,
        }
    }

    /// Reads a list, or what else may not have changed.
    pub(super) fn list(url: Url, what: impl Into<String>) -> Self {
        let is_kept = true;
        Self {
            is_kept,
            ..Self::read(url, what)
        }
    }

    pub(super) fn write(method: Method, url: Url, body: Json, what: impl Into<String>) -> Self {
        Self {
            method,
            body: Some(body),
            ..Self::read(url, what)
        }
    }
}

impl Line {
    pub(super) fn new(
        options: Options,
        dialect: Dialect,
        traffic: &Traffic,
    ) -> Result<Self, ForgeError> {
        let Options {
            place,
            credentials,
            ca_file,
            plain_http,
            pace,
            clock,
        } = options;
        let host = host_of(&place.api);
        if place.api.scheme() != "https" && !plain_http {
            return Err(ForgeError::PlainHttp { host });
        }
        // Whoever comes first in the process installs it; a second time changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authorities = authorities(ca_file.as_deref())?;
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(pace.connect)
            .timeout(pace.total)
            .redirect(Policy::none())
            .tls_certs_merge(authorities.clone());
        let client = client.build().map_err(|source| ForgeError::NoTls {
            host: host.clone(),
            source: source.without_url(),
        })?;
        let at = (host.as_str(), &place.api);
        let credentials =
            credentials.map(|source| Credentials::new(source, at, authorities, clock));
        let lane = traffic.lane(format!("{} {}", place.api, whose(credentials.as_ref())));
        Ok(Self {
            host,
            api: place.api,
            credentials,
            dialect,
            client,
            lane,
            kept: Kept::default(),
            pace,
            clock,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// An address below the API's root; each segment is encoded, so that a name with a slash stays one.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Asks, and judges the answer: what is no success is an error.
    pub(super) async fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, ForgeError> {
        let answer = self.send(ask).await?;
        self.parse(ask, &self.judge(ask, answer)?)
    }

    /// Asks for what answers with nothing that matters.
    pub(super) async fn tell(&self, ask: &Ask) -> Result<(), ForgeError> {
        let answer = self.send(ask).await?;
        self.judge(ask, answer).map(drop)
    }

    /// Reads a list page after page by the `Link` header, until `wants_more` of a page says no.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        mut ask: Ask,
        wants_more: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let answer = self.send(&ask).await?;
            let answer = self.judge(&ask, answer)?;
            let page: Vec<T> = self.parse(&ask, &answer)?;
            let goes_on = wants_more(&page);
            all.extend(page);
            match link::next(&answer.headers).filter(|_| goes_on) {
                Some(next) => ask.url = self.following(&ask, &next)?,
                None => return Ok(all),
            }
        }
        Err(self.too_many_pages(&ask))
    }

    /// The address of a next page, which may be relative and has to be of the same origin.
    pub(super) fn following(&self, ask: &Ask, next: &str) -> Result<Url, ForgeError> {
        let url = ask.url.join(next).ok();
        let url = url.filter(|url| url.origin() == self.api.origin());
        url.ok_or_else(|| self.malformed(ask, "its next page is on another server"))
    }

    pub(super) fn too_many_pages(&self, ask: &Ask) -> ForgeError {
        ForgeError::TooManyPages {
            host: self.host.clone(),
            what: ask.what.clone(),
            pages_max: PAGES_MAX,
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        answer: &Answer,
    ) -> Result<T, ForgeError> {
        // What serde_json says of a value may hold the value, so only the place is passed on.
        serde_json::from_slice(&answer.body).map_err(|error| {
            let what = match error.is_data() {
                true => "JSON of another shape",
                false => "no whole JSON",
            };
            let (line, column) = (error.line(), error.column());
            self.malformed(ask, &format!("{what}, at line {line}, column {column}"))
        })
    }

    pub(super) fn malformed(&self, ask: &Ask, why: &str) -> ForgeError {
        ForgeError::Malformed {
            host: self.host.clone(),
            what: ask.what.clone(),
            why: why.to_owned(),
        }
    }

    pub(super) fn not_found(&self, what: impl Into<String>) -> ForgeError {
        ForgeError::NotFound {
            host: self.host.clone(),
            what: what.into(),
            credentials: whose(self.credentials.as_ref()),
        }
    }

    pub(super) fn unsupported(&self, what: &'static str) -> ForgeError {
        let host = self.host.clone();
        ForgeError::Unsupported { host, what }
    }

    pub(super) fn exists(&self, head: &str) -> ForgeError {
        ForgeError::Exists {
            host: self.host.clone(),
            head: head.to_owned(),
        }
    }

    /// What was understood and not done, for a reason that no status tells.
    pub(super) fn rejected(&self, ask: &Ask, words: &str) -> ForgeError {
        ForgeError::Rejected {
            host: self.host.clone(),
            what: ask.what.clone(),
            status: StatusCode::UNPROCESSABLE_ENTITY,
            words: words.to_owned(),
        }
    }

    /// What the forge may do later.
    pub(super) fn not_yet(&self, ask: &Ask, words: impl Into<String>) -> ForgeError {
        ForgeError::NotYet {
            host: self.host.clone(),
            what: ask.what.clone(),
            words: words.into(),
        }
    }

    /// Makes an error of an answer that is no success.
    pub(super) fn judge(&self, ask: &Ask, answer: Answer) -> Result<Answer, ForgeError> {
        let host = self.host.clone();
        let what = ask.what.clone();
        let credentials = whose(self.credentials.as_ref());
        match answer.status {
            // Azure DevOps answers so to a token that it does not know, with the page where people sign in.
            StatusCode::NON_AUTHORITATIVE_INFORMATION => Err(ForgeError::Refused {
                host,
                credentials,
                what,
                words: "it shows the page to sign in".to_owned(),
            }),
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ForgeError::Refused {
                host,
                credentials,
                what,
                words: answer.words(),
            }),
            StatusCode::NOT_FOUND => Err(ForgeError::NotFound {
                host,
                what,
                credentials,
            }),
            status => Err(ForgeError::Rejected {
                host,
                what,
                status,
                words: answer.words(),
            }),
        }
    }

    /// Asks until there is an answer that is worth having, whatever its status: tries again after a refusal for too many
    /// requests, and where doing it twice does not matter after 5xx and failures of the connection too.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Answer, ForgeError> {
        let mut ask = ask.clone();
        let mut redirects = 0;
        let mut attempt = 1;
        loop {
            let tried = self.attempt(&ask).await;
            let is_last = attempt == ATTEMPTS_MAX;
            let is_harmless = ask.method.is_idempotent();
            match tried {
                Ok(answer) if answer.status.is_redirection() && redirects < REDIRECTS_MAX => {
                    ask.url = self.redirected(&ask, &answer)?;
                    redirects += 1;
                    continue;
                }
                Ok(answer) if answer.status.is_redirection() => {
                    return Err(self.malformed(&ask, "one redirect after another"));
                }
                Ok(answer) => {
                    let told = self.heed(&answer);
                    let is_sick = answer.status.is_server_error() && is_harmless;
                    match told.quiet.filter(|_| told.is_refused) {
                        Some(quiet) if is_last || quiet > WAIT_MAX => {
                            return Err(self.limited(quiet));
                        }
                        // The lane holds the next try back.
                        Some(_) => {}
                        None if is_sick && !is_last => self.back_off(attempt).await,
                        None => return Ok(answer),
                    }
                }
                Err(Failed::NotSent(error)) if !is_last => {
                    tracing::debug!(forge = self.host, %error, "failed to reach the forge");
                    self.back_off(attempt).await;
                }
                Err(Failed::MaybeSent(error)) if is_harmless && !is_last => {
                    tracing::debug!(forge = self.host, %error, "no whole answer of the forge");
                    self.back_off(attempt).await;
                }
                Err(Failed::NotSent(error) | Failed::MaybeSent(error) | Failed::Never(error)) => {
                    return Err(error);
                }
            }
            attempt += 1;
        }
    }

    /// Exponential with full jitter, so that many callers do not come back as one.
    async fn back_off(&self, attempt: u32) {
        let most = self.pace.back_off * 2_u32.pow(attempt - 1);
        tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
    }

    /// Takes in what `answer` says of limits.
    fn heed(&self, answer: &Answer) -> Told {
        let words = match answer.status.is_success() {
            true => String::new(),
            false => answer.words(),
        };
        let told = limit::told(answer.status, &answer.headers, &words);
        if let Some(quiet) = told.quiet {
            self.lane.close_for(quiet);
        }
        if let Some(remaining) = told.remaining {
            let gauge = metrics::REMAINING.with_label_values(&[&self.host]);
            gauge.set(remaining.try_into().unwrap_or(i64::MAX));
        }
        told
    }

    fn limited(&self, quiet: Duration) -> ForgeError {
        let Clock(now) = self.clock;
        ForgeError::Limited {
            host: self.host.clone(),
            until: now() + quiet,
        }
    }

    /// Where a request is to go instead. Browsers, and every client that follows by itself, make reads of writes at 301 to 303;
    /// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects>.
    fn redirected(&self, ask: &Ask, answer: &Answer) -> Result<Url, ForgeError> {
        let to = answer.headers.get(LOCATION);
        let to = to.and_then(|to| ask.url.join(to.to_str().ok()?).ok());
        let Some(to) = to else {
            return Err(self.malformed(ask, "a redirect to nowhere"));
        };
        let keeps_method = matches!(
            answer.status,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        let is_followed =
            to.origin() == self.api.origin() && (ask.method == Method::GET || keeps_method);
        match is_followed {
            true => Ok(to),
            false => Err(ForgeError::Redirected {
                host: self.host.clone(),
                what: ask.what.clone(),
                to: format!("{}{}", to.origin().ascii_serialization(), to.path()),
            }),
        }
    }

    /// Tries once; once more where what was granted before is refused and can be granted anew.
    async fn attempt(&self, ask: &Ask) -> Result<Answer, Failed> {
        let Some(credentials) = &self.credentials else {
            return self.attempt_as(ask, None).await;
        };
        let login = credentials.find().await.map_err(Failed::Never)?;
        let answer = self.attempt_as(ask, Some(&login)).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !credentials.renews(&login).await {
            return Ok(answer);
        }
        let login = credentials.find().await.map_err(Failed::Never)?;
        self.attempt_as(ask, Some(&login)).await
    }

    async fn attempt_as(&self, ask: &Ask, login: Option<&Login>) -> Result<Answer, Failed> {
        let gap = match ask.method.is_safe() {
            true => Duration::ZERO,
            false => self.pace.write_gap,
        };
        let turn = self.lane.turn(gap).await;
        let _turn = turn.map_err(|Quiet(rest)| Failed::Never(self.limited(rest)))?;
        let mut request = self.client.request(ask.method.clone(), ask.url.clone());
        request = request.header(ACCEPT, self.dialect.accept);
        for (name, value) in self.dialect.headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        if let (Some(credentials), Some(login)) = (&self.credentials, login) {
            let header = credentials.header(login, self.dialect.token);
            if let Some(header) = header.map_err(Failed::Never)? {
                request = request.header(AUTHORIZATION, header);
            }
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let known = ask.is_kept.then(|| self.kept.etag(ask.url.as_str()));
        if let Some(etag) = known.flatten() {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let outcome = request.send().await;
        let status = outcome.as_ref().map(Response::status).ok();
        let label = status.map_or("failed".to_owned(), |status| status.as_u16().to_string());
        metrics::REQUESTS
            .with_label_values(&[&self.host, &label])
            .inc();
        let response = outcome.map_err(|error| self.failed(ask, error))?;
        self.remembered(ask, self.whole(ask, response).await?)
    }

    /// The answer itself, or what it says is still so.
    fn remembered(&self, ask: &Ask, mut answer: Answer) -> Result<Answer, Failed> {
        if !ask.is_kept {
            return Ok(answer);
        }
        match answer.status {
            StatusCode::NOT_MODIFIED => {
                let Some((headers, body)) = self.kept.get(ask.url.as_str()) else {
                    // It made room for another answer while this one was asked for.
                    let error = self.malformed(ask, "what was not remembered did not change");
                    return Err(Failed::MaybeSent(error));
                };
                // What was kept says where the list goes on; this answer, what is left of limits.
                let fresh = std::mem::replace(&mut answer.headers, headers);
                for (name, value) in &fresh {
                    answer.headers.insert(name, value.clone());
                }
                answer.status = StatusCode::OK;
                answer.body = body;
            }
            StatusCode::OK => self.kept.put(ask.url.as_str(), &answer),
            _ => {}
        }
        Ok(answer)
    }

    async fn whole(&self, ask: &Ask, mut response: Response) -> Result<Answer, Failed> {
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| self.failed(ask, error))? else {
                break;
            };
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failed::Never(ForgeError::TooLarge {
                    host: self.host.clone(),
                    what: ask.what.clone(),
                    bytes_max: ANSWER_BYTES_MAX,
                }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    fn failed(&self, ask: &Ask, error: reqwest::Error) -> Failed {
        let host = self.host.clone();
        let source = error.without_url();
        match (source.is_connect(), source.is_timeout()) {
            (true, _) => Failed::NotSent(ForgeError::Unreachable { host, source }),
            (false, true) => Failed::Never(ForgeError::TimedOut {
                host,
                what: ask.what.clone(),
            }),
            (false, false) => Failed::MaybeSent(ForgeError::Unreachable { host, source }),
        }
    }
}

/// Why there is no answer, and whether the forge may have done what it was asked.
enum Failed {
    NotSent(ForgeError),
    MaybeSent(ForgeError),
    /// Trying again makes nothing better, or would take as long again.
    Never(ForgeError),
}

impl Answer {
    /// The forge's own words.
    pub(super) fn words(&self) -> String {
        words::of(&self.body)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Where credentials come from, for messages.
fn whose(credentials: Option<&Credentials>) -> String {
    match credentials {
        None => "a request without credentials".to_owned(),
        Some(credentials) => credentials.place().to_owned(),
    }
}

fn host_of(api: &Url) -> String {
    let host = api.host_str().unwrap_or_default();
    match api.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
