//! One request to a service that gives logins, with its limits: time, size, and a few tries.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::{Host, Url};

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
    registry_client: OnceLock<Client>,
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
            registry_client: OnceLock::new(),
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

    /// A client that trusts `authorities` beside the system's: for the registry itself and for what its owner runs.
    pub(super) fn registry_client(
        &self,
        service: &'static str,
        authorities: &[Certificate],
    ) -> Result<&Client, LoginError> {
        let trusting = |builder: ClientBuilder| builder.tls_certs_merge(authorities.to_vec());
        made(&self.registry_client, service, trusting)
    }

    /// Sends what `request` makes, which is called for each try, and reads `what` from the body of a success.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        service: &'static str,
        what: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, LoginError> {
        let body = self.send(service, request).await?;
        let answer = serde_json::from_slice(&body).ok();
        answer.ok_or(LoginError::Incomplete { service, what })
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
                words: refusal(&reply.body),
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
    let date = server_time(response.headers());
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

/// What a service says of its refusal: of a JSON object the text that is for people, of all else how it starts.
fn refusal(body: &[u8]) -> String {
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    let told = [
        // OAuth 2.0: <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>.
        "/error_description",
        // Google's interfaces: <https://cloud.google.com/apis/design/errors#http_mapping>.
        "/error/message",
        // GitHub's.
        "/message",
        // Registries': <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>.
        "/errors/0/message",
    ];
    let told = told.iter().find_map(|path| json.pointer(path)?.as_str());
    let code = json.get("error").and_then(Json::as_str);
    match (code, told) {
        (Some(code), Some(told)) => words(&format!("{code}: {told}")),
        (Some(text), None) | (None, Some(text)) => words(text),
        (None, None) => words(&String::from_utf8_lossy(body)),
    }
}

/// What a server's clock showed when it answered: <https://www.rfc-editor.org/rfc/rfc9110#name-date>.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

/// Reads the address of a service that is sent secrets: https, or http to this very machine.
pub(crate) fn secure_url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let is_secure = match (url.scheme(), url.host()?) {
        ("https", _) => true,
        ("http", Host::Ipv4(address)) => address.is_loopback(),
        ("http", Host::Ipv6(address)) => address.is_loopback(),
        ("http", Host::Domain(name)) => name == "localhost",
        _ => false,
    };
    is_secure.then_some(url)
}

/// What a service says, on one line and not too long.
pub(crate) fn words(text: &str) -> String {
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::{refusal, secure_url};

    #[test]
    fn of_a_refusal_the_words_for_people_are_told() {
        for (body, expected) in [
            (
                r#"{"error": "invalid_grant", "error_description": "Invalid JWT\nSignature."}"#,
                "invalid_grant: Invalid JWT Signature.",
            ),
            (r#"{"error": "invalid_grant"}"#, "invalid_grant"),
            (
                r#"{"error": {"code": 403, "message": "no right"}}"#,
                "no right",
            ),
            (r#"{"message": "Not Found", "status": "404"}"#, "Not Found"),
            (r#"{"errors": [{"code": "DENIED", "message": "no"}]}"#, "no"),
            ("<html>\n gateway", "<html> gateway"),
            ("", ""),
        ] {
            assert_eq!(refusal(body.as_bytes()), expected);
        }
    }

    #[test]
    fn secrets_go_over_https_or_stay_on_the_machine() {
        for url in [
            "https://sts.googleapis.com/v1/token",
            "http://127.0.0.1:80/",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(secure_url(url).is_some(), "{url}");
        }
        for url in [
            "http://sts.googleapis.com/v1/token",
            "http://169.254.169.254/",
            "http://localhost.example.com/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "sts.googleapis.com",
            "",
        ] {
            assert!(secure_url(url).is_none(), "{url}");
        }
    }
}
