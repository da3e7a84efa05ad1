//! Why a registry could not be read, in words that serve a person.
//!
//! Not here: what to do about it in a round (a failed reading is a fact that holds). Invariant: no message holds a
//! credential, a token, or a URL that may carry a signature; sources are stripped of their URLs.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::budget::Quota;
use super::fault::TlsFault;
use super::limit::Told;
use super::pushed::PushApi;
use crate::image::{Digest, Repository};
use crate::login::LoginError;
use crate::secret::SecretError;

/// Why a registry could not be asked or would not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("`{host}` is not a host that can be asked")]
    BadHost { host: String },
    #[error(
        "what `{repository}` is a copy of, below `{of}`, has no name that a repository can have"
    )]
    OriginUnusable { repository: Repository, of: String },
    #[error("failed to set up TLS for `{host}`")]
    NoTrust {
        host: String,
        source: reqwest::Error,
    },
    #[error("failed to read `{}`", path.display())]
    CertificateFile { path: PathBuf, source: io::Error },
    #[error("`{}` and `{}` are not a certificate and its key in PEM form", chain.display(), key.display())]
    CertificateUnusable { chain: PathBuf, key: PathBuf },
    #[error("`{}` holds no CA certificate in PEM form", path.display())]
    CaFileEmpty { path: PathBuf },
    #[error("failed to reach `{host}`")]
    Unreachable {
        host: String,
        source: reqwest::Error,
    },
    /// The connection to the proxy failed, or it let nothing through.
    #[error("failed to reach `{host}` by the proxy `{}`", proxy.authority())]
    ProxyFailed {
        host: String,
        proxy: Url,
        source: reqwest::Error,
    },
    #[error("failed to read the password for the proxy `{}`", proxy.authority())]
    ProxyLogin { proxy: Url, source: SecretError },
    #[error("`{host}` answered too slowly: nothing for {}", humantime::format_duration(*limit))]
    Silent { host: String, limit: Duration },
    #[error("reading {what} took longer than {}", humantime::format_duration(*limit))]
    TimedOut { what: String, limit: Duration },
    #[error("the name of `{host}` cannot be resolved")]
    NameUnknown {
        host: String,
        source: reqwest::Error,
    },
    #[error("failed to agree on TLS with `{host}`: {fault}")]
    TlsFailed { host: String, fault: TlsFault },
    #[error("`{host}` redirects where towpath does not follow")]
    Redirected {
        host: String,
        source: reqwest::Error,
    },
    #[error("`{}` refused {credentials} for `{}`{}", repository.registry(), repository.path(), said(words))]
    Unauthorized {
        repository: Repository,
        /// The place of the credentials, or that there are none.
        credentials: String,
        words: String,
    },
    #[error("`{}` forbids {credentials} to read `{}`{}", repository.registry(), repository.path(), said(words))]
    Forbidden {
        repository: Repository,
        credentials: String,
        words: String,
    },
    #[error("`{host}` tells push times to an AWS identity, and its credentials are none")]
    AwsNeeded { host: String },
    #[error("failed to read the credentials for `{host}`")]
    Credentials { host: String, source: LoginError },
    #[error("`{host}` asks for a login that towpath does not know: `{challenge}`")]
    ChallengeUnknown { host: String, challenge: String },
    #[error("`{host}` sends its login to `{realm}`, which is not https")]
    RealmPlain { host: String, realm: Url },
    #[error(
        "`{host}` wants its credentials sent to `{realm_host}`, which the settings do not name"
    )]
    RealmUntrusted { host: String, realm_host: String },
    #[error("the token service `{realm_host}` of `{host}` refused {credentials} with status {}{}", status.as_u16(), said(words))]
    TokenRefused {
        host: String,
        realm_host: String,
        credentials: String,
        status: StatusCode,
        words: String,
    },
    #[error("the token for `{host}` cannot be sent: it has characters that no header may hold")]
    TokenUnusable { host: String },
    #[error("the token service of `{host}` gave an answer without a token")]
    TokenMissing { host: String },
    #[error("{what} does not exist")]
    NotFound { what: String },
    #[error("`{host}` takes no more requests for now{}", asks_to_wait(*wait))]
    TooManyRequests {
        host: String,
        /// How long the registry asks to be left alone, from when it was said.
        wait: Option<Duration>,
    },
    #[error("{}", limit_reached(host, *quota, *told, *wait))]
    LimitReached {
        host: String,
        quota: Quota,
        /// What it said of the limit, if anything.
        told: Option<Told>,
        /// How long until there is the next one, from when it was said.
        wait: Duration,
    },
    #[error("`{host}` answered with status {}{}", status.as_u16(), said(words))]
    Answered {
        host: String,
        status: StatusCode,
        words: String,
    },
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge { what: String, bytes_max: usize },
    #[error("the listing of `{repository}` has more than {pages_max} pages or {tags_max} tags")]
    TooLong {
        repository: Repository,
        pages_max: usize,
        tags_max: usize,
    },
    #[error("more than {most} bundles or signatures belong to `{repository}@{}`", digest.short())]
    TooManyAttached {
        repository: Repository,
        digest: Digest,
        most: usize,
    },
    #[error("failed to read push times from the API of {api}")]
    PushTimes { api: PushApi, source: Box<Self> },
    #[error("the listing of `{repository}` tells no push times, as Google's do")]
    NoPushTimes { repository: Repository },
    #[error(
        "the listing of `{repository}` goes in a circle: a page brings nothing new and leads on"
    )]
    PageLoop { repository: Repository },
    #[error(
        "the listing of `{repository}` broke off: its registry does not find the next page, as when tags are deleted while they are listed"
    )]
    PlaceLost { repository: Repository },
    #[error("the listing of `{repository}` goes on at `{link}`, which is not `{origin}`")]
    CrossOriginLink {
        repository: Repository,
        link: String,
        origin: String,
    },
    #[error(
        "{what} came as `{content_type}` and is not what the registry API defines; it starts with `{start}`"
    )]
    NotJson {
        what: String,
        content_type: String,
        start: String,
        source: serde_json::Error,
    },
    #[error("`{repository}@{}` is no image but {what}", digest.short())]
    NotAnImage {
        repository: Repository,
        digest: Digest,
        /// What it is instead: `` a signature or an attestation (`application/vnd.in-toto+json`) ``.
        what: String,
    },
    #[error("`{}` gave content with the digest `{}` for `{}`", repository.registry(), found.short(), wanted.short())]
    DigestMismatch {
        repository: Repository,
        wanted: Digest,
        found: Digest,
    },
}

impl RegistryError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoTrust { host, .. } => format!(
                "install CA certificates (the package `ca-certificates`), set SSL_CERT_FILE, or give `{host}` a `ca-file` in the settings"
            ),
            Self::NameUnknown { host, .. } => format!(
                "check the spelling of `{host}` and the name servers of this machine; behind a proxy, set `HTTPS_PROXY` or the registry's `proxy`"
            ),
            Self::TlsFailed { host, fault } => return hint_of(host, fault),
            Self::Unauthorized { repository, .. } => format!(
                "check that the repository exists, and the `credentials` of `{}` in the settings",
                repository.registry()
            ),
            Self::Forbidden { repository, .. } => {
                format!("give the credentials leave to pull from `{repository}`")
            }
            Self::RealmUntrusted { host, realm_host } => format!(
                "if `{realm_host}` may have these credentials, add it to `realms` of `{host}` in the settings"
            ),
            Self::TokenRefused { host, .. } => {
                format!("check the `credentials` of `{host}` in the settings")
            }
            Self::AwsNeeded { host } => format!(
                "give `{host}` `credentials: {{ aws: {{}} }}` in the settings, or order by something else than `pushed`"
            ),
            Self::Credentials { source, .. } => return source.hint().map(str::to_owned),
            Self::LimitReached {
                host,
                quota: Quota::Pulls,
                ..
            } => format!(
                "`{host}` allows more pulls to those with `credentials`; creation times alone are read by pulls, so `newest-by` anything but `created` needs none"
            ),
            Self::TooManyRequests { host, .. } | Self::LimitReached { host, .. } => format!(
                "a longer `poll-interval` or fewer `requests-per-second` for `{host}` ask less often, and most registries allow more to those with `credentials`"
            ),
            Self::CrossOriginLink { repository, .. } => format!(
                "a proxy in front of `{}` has to pass on the host and scheme it was asked with",
                repository.registry()
            ),
            Self::ProxyFailed { host, .. } => format!("check `proxy` of `{host}` in the settings"),
            Self::PushTimes { api, source } => return push_times_hint(*api, source),
            Self::NotAnImage { .. } => {
                "let `ignore` in the policy's `tags` name tags of this kind".to_owned()
            }
            Self::Silent { .. }
            | Self::NoPushTimes { .. }
            | Self::TimedOut { .. }
            | Self::BadHost { .. }
            | Self::OriginUnusable { .. }
            | Self::CertificateFile { .. }
            | Self::CertificateUnusable { .. }
            | Self::CaFileEmpty { .. }
            | Self::Unreachable { .. }
            | Self::ProxyLogin { .. }
            | Self::Redirected { .. }
            | Self::ChallengeUnknown { .. }
            | Self::RealmPlain { .. }
            | Self::TokenUnusable { .. }
            | Self::TokenMissing { .. }
            | Self::NotFound { .. }
            | Self::Answered { .. }
            | Self::TooLarge { .. }
            | Self::TooLong { .. }
            | Self::TooManyAttached { .. }
            | Self::PageLoop { .. }
            | Self::PlaceLost { .. }
            | Self::NotJson { .. }
            | Self::DigestMismatch { .. } => return None,
        };
        Some(hint)
    }
}

fn hint_of(host: &str, fault: &TlsFault) -> Option<String> {
    Some(match fault {
        TlsFault::UnknownIssuer => {
            format!(
                "if it is an authority of your own, name its `ca-file` under `{host}` in the settings"
            )
        }
        TlsFault::NotTls => {
            format!("if `{host}` speaks plain http, say `plain-http: true` in the settings")
        }
        TlsFault::WantsCertificate => {
            format!("name the `client-certificate` for `{host}` in the settings")
        }
        TlsFault::Expired | TlsFault::NotYetValid => {
            format!("renew the certificate of `{host}`, or check the clock of this machine")
        }
        TlsFault::OtherNames(_) | TlsFault::Revoked | TlsFault::Other(_) => return None,
    })
}

/// A refusal is most often of what the API itself needs beyond the registry's needs.
fn push_times_hint(api: PushApi, source: &RegistryError) -> Option<String> {
    let is_refused = matches!(
        source,
        RegistryError::Unauthorized { .. }
            | RegistryError::Forbidden { .. }
            | RegistryError::NotFound { .. }
    );
    match api.hint().filter(|_| is_refused) {
        Some(hint) => Some(format!(
            "{hint}, or write `newest-by: created` in the policy"
        )),
        None => source.hint(),
    }
}

fn said(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!(", saying `{words}`"),
    }
}

fn asks_to_wait(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(" and asks to wait {}", short(wait)))
        .unwrap_or_default()
}

fn limit_reached(host: &str, quota: Quota, told: Option<Told>, wait: Duration) -> String {
    let noun = quota.as_str();
    let wait = short(wait);
    let limit = told.and_then(|told| {
        let window = told.window.map(|window| format!(" in {}", short(window)));
        Some((told.limit?, told.remaining, window.unwrap_or_default()))
    });
    match limit {
        Some((limit, 0, window)) => {
            format!(
                "`{host}` allows no more {noun} for now: all {limit}{window} are used up, and the next comes in {wait}"
            )
        }
        Some((limit, left, window)) => {
            format!(
                "`{host}` has few {noun} left, {left} of {limit}{window}: they are spread, one in {wait}"
            )
        }
        None => format!("`{host}` allows no more {noun} for now, and the next in {wait}"),
    }
}

/// Whole seconds, at least one.
fn short(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(time.as_secs().max(1)))
}
