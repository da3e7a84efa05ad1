//! One request to a service that gives logins, with its limits: time, size, and a few tries.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use super::{Environment, LoginError};

/// How long a connection and an answer may take. Such services answer in well under a second; metadata servers that are
/// not there do not answer at all, and a person waits for `check` or the first listing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Times that a request is tried, after failures of the connection, 429 and 5xx. The next listing is the longer wait.
const ATTEMPTS_MAX: u32 = 3;

/// The longest wait before the second try; it doubles from there.
const BACK_OFF: Duration = Duration::from_millis(300);

/// Largest answer: tokens are headers, and servers take no headers beyond 8 to 16 KiB.
const BYTES_MAX: usize = 64 * 1024;

/// Characters of a service's own words that are passed on.
const WORDS_MAX: usize = 200;

/// The way to the services; its client is made when the first is asked.
pub(super) struct Asker {
    /// The variables by which clouds tell their programs where services and identities are.
    pub(super) environment: Environment,
    client: OnceLock<Client>,
}

impl Asker {
    pub(super) fn new(environment: Environment) -> Self {
        Self {
            environment,
            client: OnceLock::new(),
        }
    }

    /// A client, for making requests that [`Asker::send`] takes.
    pub(super) fn client(&self, service: &'static str) -> Result<&Client, LoginError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Whoever comes first in the process installs it; a second time changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            // No such service redirects, and credentials go nowhere else.
            .redirect(redirect::Policy::none())
            .build();
        let client = client.map_err(|source| LoginError::NoTrust {
            service,
            source: source.without_url(),
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends what `request` makes, which is called for each try, and gives back the body of a success.
    pub(super) async fn send(
        &self,
        service: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Vec<u8>, LoginError> {
        let mut attempt = 1;
        loop {
            let error = match answer(service, request()).await {
                Err(error) if attempt < ATTEMPTS_MAX && is_passing(&error) => error,
                done => return done,
            };
            tracing::debug!(%error, attempt, "a login service failed; trying again");
            let most = BACK_OFF * 2_u32.pow(attempt - 1);
            tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
            attempt += 1;
        }
    }
}

async fn answer(service: &'static str, request: RequestBuilder) -> Result<Vec<u8>, LoginError> {
    let unreachable = |source: reqwest::Error| LoginError::Unreachable {
        service,
        source: source.without_url(),
    };
    let mut response: Response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > BYTES_MAX {
            let bytes_max = BYTES_MAX;
            return Err(LoginError::TooLarge { service, bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    match response.status() {
        status if status.is_success() => Ok(body),
        status => Err(LoginError::Refused {
            service,
            status,
            words: words(&body),
        }),
    }
}

fn is_passing(error: &LoginError) -> bool {
    match error {
        LoginError::Unreachable { .. } => true,
        LoginError::Refused { status, .. } => {
            *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
        }
        LoginError::Secret(_)
        | LoginError::DockerConfig(_)
        | LoginError::NoTrust { .. }
        | LoginError::Incomplete { .. }
        | LoginError::TooLarge { .. } => false,
    }
}

/// What a service says of its refusal, on one line.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(WORDS_MAX).collect()
}
