//! Git's smart protocol over the program's own HTTP client: one TLS stack, one set of limits, typed failures.
//!
//! Not here: packs and refs (`fetch`, `push`) and pkt-lines (`wire`).
//! Invariant: credentials go to the host of the settings only, and reads alone are tried again.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use url::Url;

use super::remote::Remote;
use super::ssh::SshError;
use super::wire;
use crate::login::{
    AuthoritiesError, Environment, Found, Login, LoginError, Logins, SourcesByPath, Target,
    authorities,
};

/// How often a read is tried: once, and twice more after short waits. The next poll is the longer wait.
const ATTEMPTS_MAX: u32 = 3;

/// The longest wait between two attempts; a server that asks for more is left alone until the next poll.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The most that is kept of an answer: 500,000 refs of 128 bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The most that is read of an error page.
const WORDS_BYTES_MAX: usize = 16 << 10;

/// Redirects that are followed, all on the same host.
const REDIRECTS_MAX: usize = 3;

/// Why a server could not be asked or would not answer. Who it was stands in the error around it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("the server refused the credentials")]
    Unauthorized,
    #[error("the server asks for credentials, and none are set")]
    CredentialsMissing,
    #[error("the server forbids it{}", after_colon(words))]
    Forbidden { words: String },
    #[error("the server has no such repository")]
    NotFound,
    #[error("the server answered {status}{}", after_colon(words))]
    Status { status: StatusCode, words: String },
    #[error("the server redirects to `{to}`, which is not followed")]
    Redirected { to: String },
    #[error("the server does not speak git's smart protocol at this address")]
    NotGit,
    #[error("the server's answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the server took too long")]
    TimedOut,
    #[error("failed to reach the server")]
    Unreachable { source: reqwest::Error },
    #[error("failed to read the credentials")]
    Credentials { source: Box<LoginError> },
    #[error("there is no such folder")]
    NoFolder,
    #[error("git cannot read from there")]
    Git { source: git2::Error },
    #[error(transparent)]
    Ssh(#[from] SshError),
}

pub(super) fn after_colon(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

impl RemoteError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized | Self::CredentialsMissing => {
                Some("set `credentials` of the repository; a token may have expired")
            }
            Self::Forbidden { .. } => Some("the credentials need read and write access"),
            Self::NotFound => Some(
                "check `url`; forges also say so when the credentials may not see the repository",
            ),
            Self::NoFolder => Some("check `url`; a path is relative to the settings file"),
            Self::Redirected { .. } => Some("set `url` to the new address"),
            Self::Status { status, .. } if *status == StatusCode::PAYLOAD_TOO_LARGE => Some(
                "a proxy before the git server limits request bodies, such as nginx's `client_max_body_size`",
            ),
            Self::Unreachable { source } if is_about_trust(source) => Some(
                "if the server has a certificate of your own authority, name it as `ca-file` of the repository",
            ),
            Self::Credentials { source } => source.hint(),
            Self::Ssh(error) => error.hint(),
            Self::Status { .. }
            | Self::NotGit
            | Self::TooLarge
            | Self::TimedOut
            | Self::Unreachable { .. }
            | Self::Git { .. } => None,
        }
    }
}

impl From<reqwest::Error> for RemoteError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let source = error.without_url();
        Self::Unreachable { source }
    }
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("failed to set up TLS")]
    Tls { source: reqwest::Error },
}

/// The two services of a git server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// A repository at its HTTP server.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    url: Url,
    logins: Option<Arc<Logins>>,
    runtime: Handle,
    total: Duration,
}

/// A repository after its refs were asked for: where a redirect led, and until when it may take.
#[derive(Clone)]
pub(super) struct Session {
    http: Http,
    url: Url,
    deadline: Instant,
}

impl Http {
    pub(super) fn new(url: Url, remote: &Remote) -> Result<Self, ClientError> {
        let timeouts = remote.timeouts;
        let authorities = authorities(remote.ca_file.as_deref())?;
        let client = Client::builder()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            .redirect(Policy::custom(follow_on_the_same_host))
            // Forges look at the first word: what starts with `git/` gets git's protocol.
            .user_agent(concat!("git/2.0 (towpath ", env!("CARGO_PKG_VERSION"), ")"))
            .tls_certs_merge(authorities.clone());
        let client = client
            .build()
            .map_err(|source| ClientError::Tls { source })?;
        let target = Target {
            host: url.host_str().unwrap_or_default().to_owned(),
            origin: url.clone(),
            authorities,
        };
        let logins = |source| {
            let sources = SourcesByPath::from(source);
            Arc::new(Logins::new(
                target,
                sources,
                Environment::default(),
                remote.clock,
            ))
        };
        Ok(Self {
            client,
            url,
            logins: remote.credentials.clone().map(logins),
            runtime: Handle::current(),
            total: timeouts.total,
        })
    }

    /// Asks for the refs. The time for all that follows in the session starts here.
    pub(super) fn refs(&self, service: Service) -> Result<(Session, Response), RemoteError> {
        let deadline = Instant::now() + self.total;
        let mut url = self.url.clone();
        url.set_path(&format!("{}/info/refs", self.url.path()));
        url.set_query(Some(&format!("service={}", service.name())));
        let request = self.client.get(url);
        let response = self.wait(deadline, self.send(request, Retry::Bounded))?;
        let wanted = format!("application/x-{}-advertisement", service.name());
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| kind.as_bytes() != wanted.as_bytes()) {
            return Err(RemoteError::NotGit);
        }
        let mut url = response.url().clone();
        let path = url.path().trim_end_matches("/info/refs").to_owned();
        url.set_path(&path);
        url.set_query(None);
        let http = self.clone();
        Ok((
            Session {
                http,
                url,
                deadline,
            },
            response,
        ))
    }

    /// The login as it is now.
    async fn login(&self) -> Result<Login, RemoteError> {
        let Some(logins) = &self.logins else {
            return Ok(Login::Anonymous);
        };
        match logins.find("").await {
            Ok(Found { login, place: _ }) => Ok(login),
            Err(error) => Err(RemoteError::Credentials {
                source: Box::new(error),
            }),
        }
    }

    /// Whether another login may fare better than the one that the server refused.
    async fn renews(&self, refused: &Login) -> bool {
        match &self.logins {
            Some(logins) => logins.refused("", refused).await,
            None => false,
        }
    }

    async fn send(&self, request: RequestBuilder, retry: Retry) -> Result<Response, RemoteError> {
        let mut attempt = 1;
        let mut login = self.login().await?;
        let mut is_renewed = false;
        loop {
            let again = request
                .try_clone()
                .expect("the body of a request is in memory");
            let answer = signed(again, &login).send().await;
            let is_refused =
                matches!(&answer, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
            // A request that was refused did nothing, so even a push may be sent again.
            if is_refused && !is_renewed && self.renews(&login).await {
                login = self.login().await?;
                is_renewed = true;
                continue;
            }
            let may_retry = retry == Retry::Bounded && attempt < ATTEMPTS_MAX;
            let pause = pause_before_retry(&answer, attempt).filter(|_| may_retry);
            let Some(pause) = pause else {
                return self.judge(answer?).await;
            };
            tracing::debug!(attempt, ?pause, "asking the git server again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Turns what is not a success into an error with the server's words.
    async fn judge(&self, response: Response) -> Result<Response, RemoteError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).unwrap_or_default();
            let to = place_of(to);
            return Err(RemoteError::Redirected { to });
        }
        match (status, &self.logins) {
            (StatusCode::UNAUTHORIZED, None) => return Err(RemoteError::CredentialsMissing),
            (StatusCode::UNAUTHORIZED, Some(_)) => return Err(RemoteError::Unauthorized),
            (StatusCode::NOT_FOUND, _) => return Err(RemoteError::NotFound),
            _ => {}
        }
        let words = plain_words(response).await;
        Err(match status {
            StatusCode::FORBIDDEN => RemoteError::Forbidden { words },
            _ => RemoteError::Status { status, words },
        })
    }

    /// Blocks the mirror's thread, which is outside the runtime, until the answer is there.
    fn wait<T>(
        &self,
        deadline: Instant,
        answer: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        self.runtime.block_on(async {
            tokio::time::timeout_at(deadline.into(), answer)
                .await
                .unwrap_or(Err(RemoteError::TimedOut))
        })
    }
}

impl Session {
    /// Asks for objects. Asking twice changes nothing, so it is tried again.
    pub(super) fn upload_pack(&self, body: Vec<u8>) -> Result<Response, RemoteError> {
        self.post(Service::UploadPack, body, Retry::Bounded)
    }

    /// Sends a push, once.
    pub(super) fn receive_pack(&self, body: Vec<u8>) -> Result<Vec<u8>, RemoteError> {
        let response = self.post(Service::ReceivePack, body, Retry::Never)?;
        self.read_all(response)
    }

    /// The next bytes of an answer; none at its end.
    pub(super) fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, RemoteError> {
        let chunk = async { Ok(response.chunk().await?) };
        Ok(self.http.wait(self.deadline, chunk)?.map(Into::into))
    }

    /// A whole answer, if it is not too large.
    pub(super) fn read_all(&self, mut response: Response) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut response)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(RemoteError::TooLarge);
            }
            bytes.extend(chunk);
        }
        Ok(bytes)
    }

    fn post(&self, service: Service, body: Vec<u8>, retry: Retry) -> Result<Response, RemoteError> {
        let name = service.name();
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{name}", self.url.path()));
        let request = self.http.client.post(url).body(body);
        let request = request.header(CONTENT_TYPE, format!("application/x-{name}-request"));
        self.http
            .wait(self.deadline, self.http.send(request, retry))
    }
}

/// Whether a request may be sent more than once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    Bounded,
    Never,
}

/// A token is the password of a user whose name git servers do not look at, or GitHub's `x-access-token`.
fn signed(request: RequestBuilder, login: &Login) -> RequestBuilder {
    let (user, secret) = match login {
        Login::Anonymous => return request,
        Login::Basic { username, password } => (username.as_str(), password),
        Login::Bearer(token) | Login::Identity(token) => ("x-access-token", token),
    };
    request.basic_auth(user, Some(secret.expose_secret()))
}

/// How long to wait before a request that failed is worth another attempt; `None` where it is not.
fn pause_before_retry(answer: &Result<Response, reqwest::Error>, attempt: u32) -> Option<Duration> {
    let backoff = Duration::from_millis(200 * u64::from(attempt)).mul_f64(0.5 + fastrand::f64());
    let response = match answer {
        Err(error) => return is_passing(error).then_some(backoff),
        Ok(response) => response,
    };
    match response.status().as_u16() {
        429 | 500 | 502 | 503 | 504 => {}
        _ => return None,
    }
    let asked = response.headers().get(RETRY_AFTER);
    let seconds = asked.and_then(|asked| asked.to_str().ok()?.parse().ok());
    let pause = seconds.map_or(backoff, Duration::from_secs);
    (pause <= WAIT_MAX).then_some(pause)
}

/// A connection that failed for a reason which may pass. A certificate that is not trusted does not get better.
fn is_passing(error: &reqwest::Error) -> bool {
    !is_about_trust(error) && !error.is_timeout() && !error.is_redirect()
}

/// Whether TLS is at the bottom of it. An I/O error hides what it wraps from `source`.
fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    let wrapped = io.and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|inner| is_about_trust(inner))
        || error.source().is_some_and(is_about_trust)
}

/// Same scheme, host, and port, and not for ever; anything else comes back as the redirect that it is.
fn follow_on_the_same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same_origin = attempt
        .previous()
        .first()
        .is_some_and(|first| first.origin() == attempt.url().origin());
    if same_origin && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// Where a redirect leads, without the user and the query: both may hold what lets somebody in.
fn place_of(location: &str) -> String {
    let Ok(mut url) = Url::parse(location) else {
        let path = location.split(['?', '#']).next();
        return wire::tidy(path.unwrap_or_default());
    };
    // Both fail only where the URL cannot have a user at all.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The first words of an answer in plain text; a page of HTML says nothing to a person in a log.
async fn plain_words(mut response: Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let mut bytes = Vec::new();
    while plain && bytes.len() < WORDS_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    wire::tidy(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::place_of;

    #[test]
    fn a_redirect_is_told_without_what_lets_somebody_in() {
        let told = place_of("https://bot:hunter2@sso.example.com/login?ticket=s3cret#s3cret");
        assert_eq!(told, "https://sso.example.com/login");
        assert_eq!(place_of("/login?ticket=s3cret"), "/login");
    }
}
