//! One request to one registry, with its limits: time, size, retries, and the registry's own wish for quiet.
//!
//! Not here: logins (`access`) and what an answer means. Invariant: no body is read beyond its cap, and
//! `Authorization` never reaches another origin (reqwest drops it on redirects that change host, port or scheme).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{
    ACCEPT, AGE, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Body, Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::Timeouts;
use super::budget::{Budget, Closed, Quota, WAIT_MAX};
use super::client::Connections;
use super::error::RegistryError;
use super::fault::{self, Fault};
use super::limit::{self, Told, WINDOW_MAX};
use super::metrics::REQUESTS;
use super::wire::ErrorAnswer;
use crate::image::{RegistryKind, Repository};

/// Times that a read is tried. With the default back-off the waits are at most 0.5, 1 and 2 s: long enough for a
/// balancer to drop a sick backend, short against any poll interval.
const ATTEMPTS_MAX: u32 = 4;

/// Characters of a registry's own words that are passed on.
const WORDS_MAX: usize = 200;

/// How long nothing is pulled after a refusal that says nothing more: at Docker Hub's limit for those without a login, 100 in
/// 6 hours, a pull comes back every 216 s.
const PULLS_WAIT: Duration = Duration::from_secs(216);

/// Types of what is sent.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";

/// The way to one registry.
pub(super) struct Line {
    pub(super) host: String,
    pub(super) kind: RegistryKind,
    pub(super) connections: Arc<Connections>,
    pub(super) budget: Budget,
    pub(super) timeouts: Timeouts,
    /// Requests by status, or `failed`.
    pub(super) outcomes: Mutex<BTreeMap<String, u64>>,
    /// The time that it told last, and when that was.
    pub(super) told_time: Mutex<Option<(Timestamp, Instant)>>,
}

/// One request.
pub(super) struct Ask<'a> {
    /// Whose place in the line it takes.
    pub(super) repository: &'a Repository,
    pub(super) purpose: Purpose,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) accept: &'static str,
    pub(super) authorization: &'a Authorization,
    /// What is sent, which may hold a secret, and of which type it is.
    pub(super) content: Option<(&'static str, &'a SecretString)>,
    pub(super) bytes_max: usize,
}

/// What a request is for, as far as registries count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Manifest,
    /// Listings and blobs.
    Other,
    /// A token service, whose own limits are not the registry's.
    Login,
}

/// What is sent to prove who asks.
#[derive(Clone)]
pub(super) enum Authorization {
    Anonymous,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer(HeaderValue),
}

/// An answer with its whole body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Where the answer came from in the end.
    pub(super) url: Url,
    pub(super) body: Vec<u8>,
}

impl Line {
    /// Asks until there is an answer that is worth having: tries again after 429, 5xx, and failures of the
    /// connection, up to a bound. Any other status is the caller's to judge.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let mut attempt = 1;
        loop {
            let Failed { error, next } = match self.attempt(ask).await {
                Ok(answer) => match self.heed(ask, &answer, attempt) {
                    None => return Ok(answer),
                    Some(failed) => failed,
                },
                Err(error) => error.into(),
            };
            match next {
                Next::Never => return Err(error),
                Next::BackOff | Next::InLine if attempt == ATTEMPTS_MAX => return Err(error),
                Next::BackOff => tokio::time::sleep(self.back_off(attempt)).await,
                Next::InLine => {}
            }
            attempt += 1;
        }
    }

    /// Exponential with full jitter, so that many callers do not come back as one.
    fn back_off(&self, attempt: u32) -> Duration {
        let most = self.timeouts.back_off * 2_u32.pow(attempt - 1);
        most.mul_f64(fastrand::f64())
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let lane = ask.repository.path();
        let turn = self.budget.turn(lane, self.costs(ask)).await;
        let _turn = turn.map_err(|closed| self.closed(closed))?;
        let client = self.connections.client(&self.host)?;
        let request = client
            .request(ask.method.clone(), ask.url.clone())
            .header(ACCEPT, ask.accept);
        let request = match ask.authorization {
            Authorization::Anonymous => request,
            Authorization::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            Authorization::Bearer(value) => request.header(AUTHORIZATION, value.clone()),
        };
        let request = match ask.content {
            None => request,
            Some((kind, text)) => {
                // Wrapped, it can be sent once, and so never follows a redirect to another host.
                let body = Body::wrap(Body::from(text.expose_secret().to_owned()));
                request.header(CONTENT_TYPE, kind).body(body)
            }
        };
        let outcome = request.send().await;
        let status = outcome.as_ref().ok().map(Response::status);
        self.count(status);
        // Without its query, which may hold what another page or storage is opened by.
        let (registry, method, path) = (&self.host, &ask.method, ask.url.path());
        let status = status.map(|status| status.as_u16());
        tracing::debug!(%registry, %method, path, status, "asked");
        let response = outcome.map_err(|source| self.failure(source))?;
        // What a cache kept has the time at which it was made: <https://www.rfc-editor.org/rfc/rfc9111#section-5.1>.
        let is_fresh = !response.headers().contains_key(AGE);
        let time = response.headers().get(DATE).filter(|_| is_fresh);
        if let Some(time) = time.and_then(|time| date(time.to_str().ok()?)) {
            let mut told = self.lock_told_time();
            *told = Some((time, Instant::now()));
        }
        self.read(response, ask).await
    }

    /// What the clock of the registry, or of its token service, shows now, as far as it told.
    pub(super) fn clock(&self) -> Option<Timestamp> {
        let (time, heard) = (*self.lock_told_time())?;
        time.checked_add(heard.elapsed()).ok()
    }

    fn lock_told_time(&self) -> MutexGuard<'_, Option<(Timestamp, Instant)>> {
        let told = self.told_time.lock();
        told.unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, status: Option<StatusCode>) {
        let label = status.map_or("failed".to_owned(), |status| status.as_u16().to_string());
        REQUESTS
            .with_label_values(&[self.host.as_str(), &label])
            .inc();
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        *outcomes.entry(label).or_default() += 1;
    }

    /// What a request counts to before it is sent.
    fn costs(&self, ask: &Ask<'_>) -> Quota {
        match ask.purpose {
            Purpose::Manifest if self.kind.counts_pulls() && ask.method == Method::GET => {
                Quota::Pulls
            }
            Purpose::Manifest | Purpose::Other | Purpose::Login => Quota::Requests,
        }
    }

    /// Takes in what `answer` says of limits, and tells what is wrong if it is not worth having.
    fn heed(&self, ask: &Ask<'_>, answer: &Answer, attempt: u32) -> Option<Failed> {
        let told = match ask.purpose {
            Purpose::Login => None,
            Purpose::Manifest | Purpose::Other => limit::told(&answer.headers),
        };
        let quota = match ask.purpose {
            Purpose::Manifest if self.kind.counts_pulls() => Quota::Pulls,
            Purpose::Manifest | Purpose::Other | Purpose::Login => Quota::Requests,
        };
        if let Some(told) = told {
            self.budget.heed(quota, told);
        }
        if !is_passing(answer.status) {
            return None;
        }
        let mut wait = retry_after(&answer.headers);
        if answer.status != StatusCode::TOO_MANY_REQUESTS {
            if let Some(wait) = wait {
                self.budget.close_for(Quota::Requests, wait);
            }
            let error = RegistryError::Answered {
                host: self.host.clone(),
                status: answer.status,
                words: answer.words(),
            };
            let next = wait.map_or(Next::BackOff, Next::after);
            return Some(Failed { error, next });
        }
        wait = wait.or(told.and_then(|told| told.spent_for()));
        if quota == Quota::Pulls && is_about_pulls(answer, told) {
            return Some(self.no_pulls(wait, told));
        }
        // Without a time to wait, everybody backs off and not this request alone: the limit is everybody's.
        let pause = wait.unwrap_or_else(|| self.back_off(attempt));
        self.budget.close_for(Quota::Requests, pause);
        Some(Failed {
            error: self.told_to_wait(wait),
            next: Next::after(pause),
        })
    }

    /// The quota of pulls is used up, which concerns nothing but pulls.
    fn no_pulls(&self, wait: Option<Duration>, told: Option<Told>) -> Failed {
        let wait = wait.unwrap_or(PULLS_WAIT);
        self.budget.close_for(Quota::Pulls, wait);
        let quota = Quota::Pulls;
        Failed {
            error: self.closed(Closed { quota, wait, told }),
            next: Next::Never,
        }
    }

    async fn read(&self, mut response: Response, ask: &Ask<'_>) -> Result<Answer, RegistryError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|source| self.failure(source))?
        {
            if body.len() + chunk.len() > ask.bytes_max {
                return Err(RegistryError::TooLarge {
                    what: format!("the answer of `{}` to `{}`", self.host, ask.url.path()),
                    bytes_max: ask.bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status(),
            url: response.url().clone(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    fn closed(&self, closed: Closed) -> RegistryError {
        let Closed { quota, wait, told } = closed;
        match (quota, told) {
            (Quota::Requests, None) => self.told_to_wait(Some(wait)),
            (Quota::Requests | Quota::Pulls, told) => RegistryError::LimitReached {
                host: self.host.clone(),
                quota,
                told,
                wait,
            },
        }
    }

    fn told_to_wait(&self, wait: Option<Duration>) -> RegistryError {
        RegistryError::TooManyRequests {
            host: self.host.clone(),
            wait,
        }
    }

    fn failure(&self, source: reqwest::Error) -> RegistryError {
        let host = self.host.clone();
        // URLs of storage carry signatures.
        let source = source.without_url();
        if source.is_timeout() {
            let limit = match source.is_connect() {
                true => self.timeouts.connect,
                false => self.timeouts.read,
            };
            return RegistryError::Silent { host, limit };
        }
        if source.is_redirect() {
            return RegistryError::Redirected { host, source };
        }
        let proxy = self.connections.proxy().filter(|_| source.is_connect());
        match (fault::of(&source), proxy) {
            (Some(Fault::Tls(fault)), _) => RegistryError::TlsFailed { host, fault },
            (Some(Fault::Name) | None, Some(proxy)) => RegistryError::ProxyFailed {
                host,
                proxy: proxy.clone(),
                source,
            },
            (Some(Fault::Name), None) => RegistryError::NameUnknown { host, source },
            (None, None) => RegistryError::Unreachable { host, source },
        }
    }
}

/// An attempt without an answer that is worth having.
struct Failed {
    error: RegistryError,
    next: Next,
}

/// Whether it is worth another try.
enum Next {
    Never,
    /// After a pause of its own.
    BackOff,
    /// At once: the budget holds it back for as long as is right.
    InLine,
}

impl Next {
    fn after(wait: Duration) -> Self {
        match wait > WAIT_MAX {
            true => Self::Never,
            false => Self::InLine,
        }
    }
}

impl From<RegistryError> for Failed {
    fn from(error: RegistryError) -> Self {
        use RegistryError::{ProxyFailed, Silent, Unreachable};
        let next = match matches!(
            error,
            Unreachable { .. } | ProxyFailed { .. } | Silent { .. }
        ) {
            true => Next::BackOff,
            false => Next::Never,
        };
        Self { error, next }
    }
}

impl Answer {
    /// The registry's own words, short and on one line.
    pub(super) fn words(&self) -> String {
        let told: Option<ErrorAnswer> = serde_json::from_slice(&self.body).ok();
        match told.and_then(ErrorAnswer::into_words) {
            Some(words) => one_line(&words),
            None => self.start(),
        }
    }

    /// How the body starts, on one line.
    pub(super) fn start(&self) -> String {
        let bytes = &self.body[..self.body.len().min(WORDS_MAX)];
        one_line(&String::from_utf8_lossy(bytes))
    }

    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Whether a later try may succeed where this one did not.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Whether a refusal means pulls alone. Docker Hub says so in words, or in numbers where there are no words (`HEAD`); the
/// refusal that is about all requests of an address is a bare one: <https://docs.docker.com/docker-hub/usage/>.
fn is_about_pulls(answer: &Answer, told: Option<Told>) -> bool {
    answer.words().contains("pull rate limit") || told.is_some_and(|told| told.remaining == 0)
}

/// How long the registry asks to be left alone: seconds, or a date that is measured by the registry's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds).min(WINDOW_MAX));
    }
    let wait = date(after)?.duration_since(date(text(DATE)?)?);
    let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
    Some(wait.min(WINDOW_MAX))
}

/// A date as headers write it.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn one_line(text: &str) -> String {
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{one_line, retry_after};

    #[test]
    fn retry_after_may_be_seconds_or_a_date_by_the_registrys_clock() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("17"));
        assert_eq!(retry_after(&headers).unwrap().as_secs(), 17);
        let date = HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT");
        headers.insert(RETRY_AFTER, date);
        assert_eq!(retry_after(&headers), None, "no clock to measure by");
        for (now, seconds) in [("07:27:30", 30), ("07:28:00", 0), ("07:29:00", 0)] {
            let now = format!("Wed, 21 Oct 2026 {now} GMT");
            headers.insert(DATE, HeaderValue::from_str(&now).unwrap());
            assert_eq!(retry_after(&headers).unwrap().as_secs(), seconds);
        }
    }

    #[test]
    fn words_of_a_registry_cannot_draw_on_a_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\n\tb "), "a [31m b");
    }
}
