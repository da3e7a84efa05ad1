//! One request to a service that gives logins, with its limits: time, size, and a few tries.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, redirect};

use super::{Clock, Environment, LoginError};

/// How long a connection and an answer may take. Such services answer in well under a second; metadata servers that are
/// not there do not answer at all, and a person waits for `check` or the first listing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Times that a request is tried, after failures of the connection, 429 and 5xx. The next listing is the longer wait.
const ATTEMPTS_MAX: u32 = 3;

/// The longest wait before the second try; it doubles from there.
const BACK_OFF: Duration = Duration::from_millis(300);

/// Largest answer: tokens are headers, and servers take no headers beyond 8 to 16 KiB.
pub(super) const BYTES_MAX: usize = 64 * 1024;

/// Characters of a service's own words that are passed on.
const WORDS_MAX: usize = 200;

/// The way to the services; its clients are made when the first is asked.
pub(super) struct Asker {
    /// The variables by which clouds tell their programs where services and identities are.
    pub(super) environment: Environment,
    clock: Clock,
    client: OnceLock<Client>,
    near_client: OnceLock<Client>,
}

/// What a service answered, whatever its status.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The time by the service's own clock.
    pub(super) date: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

impl Asker {
    pub(super) fn new(environment: Environment, clock: Clock) -> Self {
        Self {
            environment,
            clock,
            client: OnceLock::new(),
            near_client: OnceLock::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let Clock(now) = self.clock;
        now()
    }

    /// A client, for making requests that [`Asker::send`] takes.
    pub(super) fn client(&self, service: &'static str) -> Result<&Client, LoginError> {
        made(&self.client, service, |builder| builder)
    }

    /// A client for what is on this machine or beside it, such as metadata servers: nothing that it sends, or is told, goes
    /// by way of a proxy.
    pub(super) fn near_client(&self, service: &'static str) -> Result<&Client, LoginError> {
        made(&self.near_client, service, ClientBuilder::no_proxy)
    }

    /// Sends what `request` makes, which is called for each try, and gives back the body of a success.
    pub(super) async fn send(
        &self,
        service: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Vec<u8>, LoginError> {
        let reply = self.exchange(service, request).await?;
        match reply.status {
            status if status.is_success() => Ok(reply.body),
            status => Err(LoginError::Refused {
                service,
                status,
                words: words(&String::from_utf8_lossy(&reply.body)),
            }),
        }
    }

    /// Sends what `request` makes, which is called for each try, and gives back the last answer.
    pub(super) async fn exchange(
        &self,
        service: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Reply, LoginError> {
        self.exchange_large(service, BYTES_MAX, request).await
    }

    /// The same for answers that hold more than a login.
    pub(super) async fn exchange_large(
        &self,
        service: &'static str,
        bytes_max: usize,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Reply, LoginError> {
        let mut attempt = 1;
        loop {
            let outcome = answer(service, bytes_max, request()).await;
            if attempt == ATTEMPTS_MAX || !is_passing(&outcome) {
                return outcome;
            }
            let status = outcome.as_ref().map(|reply| reply.status.as_u16()).ok();
            tracing::debug!(
                service,
                status,
                attempt,
                "a login service failed; trying again"
            );
            let most = BACK_OFF * 2_u32.pow(attempt - 1);
            tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
            attempt += 1;
        }
    }
}

fn made<'a>(
    cell: &'a OnceLock<Client>,
    service: &'static str,
    change: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<&'a Client, LoginError> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    // Whoever comes first in the process installs it; a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        // No such service redirects, and credentials go nowhere else.
        .redirect(redirect::Policy::none());
    let client = change(builder)
        .build()
        .map_err(|source| LoginError::NoTrust {
            service,
            source: source.without_url(),
        })?;
    Ok(cell.get_or_init(|| client))
}

async fn answer(
    service: &'static str,
    bytes_max: usize,
    request: RequestBuilder,
) -> Result<Reply, LoginError> {
    let unreachable = |source: reqwest::Error| LoginError::Unreachable {
        service,
        source: source.without_url(),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let date = response.headers().get(DATE);
    let date = date.and_then(|date| {
        let parser = rfc2822::DateTimeParser::new();
        parser.parse_timestamp(date.to_str().ok()?).ok()
    });
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(LoginError::TooLarge { service, bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status(),
        date,
        body,
    })
}

fn is_passing(outcome: &Result<Reply, LoginError>) -> bool {
    match outcome {
        Ok(reply) => {
            reply.status == StatusCode::TOO_MANY_REQUESTS || reply.status.is_server_error()
        }
        Err(LoginError::Unreachable { .. }) => true,
        Err(_) => false,
    }
}

/// What a service says, on one line and not too long.
pub(super) fn words(text: &str) -> String {
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(WORDS_MAX).collect()
}
