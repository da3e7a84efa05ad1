//! Who may come in by a hook, and how often; from what costs least to what costs most.
//!
//! Invariant: neither a body nor a query string reaches a log or an answer, and no message names a secret's value.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode};
use url::form_urlencoded;

use super::metrics::Outcome;
use crate::forge::{self, News};
use crate::registry::{EventError, EventKind, Message, Named, pushed};
use crate::secret::{Guard, SecretError};

/// The largest body. Events have 1 to 20 KiB; one with a whole manifest, or with a pipeline of hundreds of jobs, some 300.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Events of one kind that are taken in a second, in the long run. Each costs some 50 microseconds, so that 1,000 are a
/// twentieth of one processor.
const PER_SECOND_MAX: f64 = 1_000.0;

/// Events of one kind that are taken at once after a quiet time: what a registry kept while towpath was down, or a
/// mirror that pushes a thousand images with ten tags each.
const BURST_MAX: f64 = 10_000.0;

/// How often refusals of one kind are told in the log. The others are counted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HookKind {
    Registry(EventKind),
    Forge(forge::Kind),
}

/// Who may call for one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookSource {
    pub(crate) guard: Guard,
    /// The host by which policies name the registry, where it calls itself otherwise.
    pub(crate) host: Option<String>,
}

/// What an event says.
#[derive(Debug)]
pub(super) enum Told {
    /// Tags were pushed to these.
    Pushes(Vec<Named>),
    /// This repository has news, if any has.
    News(Option<News>),
}

/// The way in for one kind.
#[derive(Debug)]
pub(super) struct Door {
    kind: HookKind,
    sources: Vec<HookSource>,
    allowance: Mutex<Allowance>,
    refusals: Mutex<Refusals>,
}

/// How many events may still come now; it fills up with time.
#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

/// The refusals since the last that was told.
#[derive(Debug, Default)]
struct Refusals {
    untold: u64,
    told_at: Option<Instant>,
}

/// The secrets that a request shows.
struct Shown {
    tokens: Vec<String>,
    signature: Option<Vec<u8>>,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is no such hook: the settings name those that are served under `hooks`")]
    NoHook,
    #[error("a hook is called with POST")]
    NotPost,
    #[error("an event is JSON: have it sent with the content type `application/json`")]
    NotJson,
    #[error("this hook wants a token or a signature, and there is none")]
    NoSecret,
    #[error("the token or signature is not the one that the settings name")]
    WrongSecret,
    #[error("the secret of this hook has no value")]
    Unguarded(#[source] SecretError),
    #[error("too many events of this kind: the next poll brings what they tell")]
    TooMany,
    #[error("an event has at most {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error(transparent)]
    Unreadable(EventError),
    #[error(transparent)]
    UnreadableNews(forge::EventError),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoHook => StatusCode::NOT_FOUND,
            Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoSecret => StatusCode::UNAUTHORIZED,
            Self::WrongSecret => StatusCode::FORBIDDEN,
            Self::Unguarded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Unreadable(_) | Self::UnreadableNews(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// A header that goes with the status.
    pub(super) fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::NotPost => Some((ALLOW, "POST")),
            Self::NoSecret => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::TooMany => Some((RETRY_AFTER, "1")),
            Self::NoHook
            | Self::NotJson
            | Self::WrongSecret
            | Self::Unguarded(_)
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken
            | Self::Unreadable(_)
            | Self::UnreadableNews(_) => None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::NoSecret | Self::WrongSecret | Self::Unguarded(_) => Outcome::Refused,
            Self::TooMany => Outcome::TooMany,
            Self::NoHook
            | Self::NotPost
            | Self::NotJson
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken
            | Self::Unreadable(_)
            | Self::UnreadableNews(_) => Outcome::Malformed,
        }
    }
}

impl HookKind {
    /// The kind that is called at `path`.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/hooks/")?.split_once('/')? {
            ("registry", name) => EventKind::named(name).map(Self::Registry),
            ("forge", name) => forge::Kind::named(name).map(Self::Forge),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Registry(kind) => kind.name(),
            Self::Forge(kind) => kind.name(),
        }
    }

    /// What the message in `body` says.
    fn told(self, headers: &HeaderMap, body: &[u8]) -> Result<Told, Refusal> {
        match self {
            Self::Registry(kind) => {
                let message = Message {
                    event_type: text(headers, "ce-type"),
                    body,
                };
                let named = pushed(kind, message).map_err(Refusal::Unreadable)?;
                Ok(Told::Pushes(named.into_iter().collect()))
            }
            Self::Forge(kind) => {
                let message = forge::Message {
                    event: forge::event(kind, headers),
                    body,
                };
                let news = forge::news(kind, message).map_err(Refusal::UnreadableNews)?;
                Ok(Told::News(news))
            }
        }
    }
}

impl Door {
    pub(super) fn new(kind: HookKind, sources: Vec<HookSource>) -> Self {
        Self {
            kind,
            sources,
            allowance: Mutex::new(Allowance {
                left: BURST_MAX,
                at: Instant::now(),
            }),
            refusals: Mutex::default(),
        }
    }

    pub(super) fn kind(&self) -> HookKind {
        self.kind
    }

    /// Who sent `request`, and what it says.
    pub(super) async fn enter(
        &self,
        request: Request<Incoming>,
    ) -> Result<(&HookSource, Told), Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(Refusal::NotPost);
        }
        if !is_json(&parts.headers) {
            return Err(Refusal::NotJson);
        }
        let shown = Shown::by(&parts, self.kind);
        let (source, body) = match (self.by_token(&shown), &shown.signature) {
            (Ok(source), _) => (source, read(body).await?),
            (Err(_), Some(signature)) if self.wants_signatures() => {
                let body = read(body).await?;
                (self.by_signature(signature, &body)?, body)
            }
            (Err(refusal), _) => return Err(refusal),
        };
        self.allow(Instant::now())?;
        Ok((source, self.kind.told(&parts.headers, &body)?))
    }

    /// Tells a refusal in the log, or counts it where another was told lately.
    pub(super) fn tell(&self, from: SocketAddr, refusal: &Refusal) {
        let (event, cause) = (self.kind.name(), refusal.source().map(ToString::to_string));
        let now = Instant::now();
        let mut refusals = self.refusals.lock().expect("arithmetic does not panic");
        match refusals.count(now) {
            Some(count) => {
                tracing::warn!(event, %from, count, cause, "an event was refused: {refusal}");
            }
            None => tracing::debug!(event, %from, cause, "an event was refused: {refusal}"),
        }
    }

    fn allow(&self, now: Instant) -> Result<(), Refusal> {
        let mut allowance = self.allowance.lock().expect("arithmetic does not panic");
        allowance.take(now)
    }

    fn wants_signatures(&self) -> bool {
        let is_hmac = |source: &HookSource| matches!(source.guard, Guard::Hmac(_));
        self.sources.iter().any(is_hmac)
    }

    fn by_token(&self, shown: &Shown) -> Result<&HookSource, Refusal> {
        let nothing_shown = shown.tokens.is_empty() && shown.signature.is_none();
        let otherwise = match nothing_shown {
            true => Refusal::NoSecret,
            false => Refusal::WrongSecret,
        };
        self.first(otherwise, |guard| match guard {
            Guard::Open => Ok(true),
            Guard::Token(_) | Guard::Hmac(_) => guard.takes_token(&shown.tokens),
        })
    }

    fn by_signature(&self, signature: &[u8], body: &[u8]) -> Result<&HookSource, Refusal> {
        self.first(Refusal::WrongSecret, |guard| {
            guard.takes_signature(signature, body)
        })
    }

    /// The first source that `takes` what was shown. A secret without a value keeps none of the others from it.
    fn first(
        &self,
        mut otherwise: Refusal,
        takes: impl Fn(&Guard) -> Result<bool, SecretError>,
    ) -> Result<&HookSource, Refusal> {
        for source in &self.sources {
            match takes(&source.guard) {
                Ok(true) => return Ok(source),
                Ok(false) => {}
                Err(error) => otherwise = Refusal::Unguarded(error),
            }
        }
        Err(otherwise)
    }
}

impl Allowance {
    /// Takes one, if there is one.
    fn take(&mut self, now: Instant) -> Result<(), Refusal> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * PER_SECOND_MAX).min(BURST_MAX);
        self.at = now;
        if self.left < 1.0 {
            return Err(Refusal::TooMany);
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Refusals {
    /// Counts one, and gives the count of all that are told by telling this one, if it is to be told.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let is_early = |at: Instant| now.saturating_duration_since(at) < TELL_EVERY;
        if self.told_at.is_some_and(is_early) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Shown {
    /// Wherever products can put a secret: some take a header, some only what follows `Bearer` or `Basic`, and some
    /// can only call a URL.
    fn by(parts: &Parts, kind: HookKind) -> Self {
        let Parts { headers, uri, .. } = parts;
        let mut tokens = Vec::new();
        if let Some(authorization) = text(headers, AUTHORIZATION.as_str()) {
            tokens.push(authorization.to_owned());
            tokens.extend(after_scheme(authorization));
        }
        tokens.extend(text(headers, "x-gitlab-token").map(str::to_owned));
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let of_query = query.filter(|(name, _)| name == "token");
        tokens.extend(of_query.map(|(_, value)| value.into_owned()));
        let signature = match kind {
            // <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
            HookKind::Registry(_) => text(headers, "x-hub-signature-256")
                .map(|signature| unhex(signature).unwrap_or_default()),
            HookKind::Forge(kind) => forge::signature(kind, headers),
        };
        Self { tokens, signature }
    }
}

/// The token in `Bearer TOKEN`, or the password in `Basic BASE64`.
fn after_scheme(authorization: &str) -> Option<String> {
    let (scheme, rest) = authorization.split_once(' ')?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    login
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// The bytes of `sha256=HEX`.
fn unhex(signature: &str) -> Option<Vec<u8>> {
    let digits = signature.strip_prefix("sha256=")?.as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? * 16 + digit(*pair.get(1)?)?).ok();
    digits.chunks(2).map(byte).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the content is said to be JSON of any sort, or nothing is said, as by Pub/Sub without its envelope.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(Refusal::TooLarge);
    }
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WITHIN, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::Broken),
        Err(_) => Err(Refusal::TooSlow),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Allowance, BURST_MAX, PER_SECOND_MAX, Refusals, TELL_EVERY};

    #[test]
    fn a_burst_is_taken_at_once_and_then_so_many_in_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance {
            left: BURST_MAX,
            at: start,
        };
        let mut taken = |after: f64| {
            let now = start + Duration::from_secs_f64(after);
            (0..20_000).filter(|_| allowance.take(now).is_ok()).count()
        };
        assert_eq!(taken(0.0), 10_000);
        assert_eq!(taken(0.5 / PER_SECOND_MAX), 0);
        assert_eq!(taken(1.0), 1_000);
        assert_eq!(taken(3600.0), 10_000);
    }

    #[test]
    fn refusals_are_told_once_a_minute_with_their_number() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        assert_eq!(refusals.count(start), Some(1));
        for _ in 0..9 {
            assert_eq!(refusals.count(start + TELL_EVERY / 2), None);
        }
        assert_eq!(refusals.count(start + TELL_EVERY), Some(10));
    }
}
