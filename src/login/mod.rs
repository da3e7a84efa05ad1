//! How a registry is logged in to: where its credentials come from, and the login that they give now.
//!
//! Reading order: this file, `ask` (one request to a service that gives logins), then one file for each source. Not here:
//! what a registry's challenge wants (`registry`).
//! Invariant: no message and no `Debug` holds a secret. What the settings name is read anew each time; what a service
//! grants is kept until shortly before it expires, and forgotten when the registry refused it.

mod ask;
mod aws;
mod docker_config;
mod error;
mod google;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::secret::Credentials;
use ask::Asker;
use aws::KeptKeys;

pub(crate) use aws::{Aws, AwsError, Ecr, EcrImages, Identity, Role};
pub(crate) use docker_config::{DockerConfig, DockerConfigError};
pub(crate) use error::LoginError;
pub(crate) use google::Google;

/// A granted login is not used in the last tenth of its life, or its last 5 minutes if that is less: a listing may take
/// as long from its first page to its last.
const MARGIN_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a grant has to stand before a refusal makes us ask for another. Services keep their grants for an hour and
/// more; who is refused with a fresh one lacks a right, and a listing every two minutes must not become a grant as often.
const REFUSED_AFTER: Duration = Duration::from_secs(10 * 60);

/// Where the login for a registry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The settings say it.
    Own(Credentials),
    /// An AWS identity.
    Aws(Aws),
    /// A file says it, for each repository; where it says nothing, access is anonymous.
    DockerConfig(DockerConfig),
    /// A Google Cloud identity.
    Google(Google),
}

/// Where the logins for one registry come from: each source for the repositories below a path, the empty one for all.
/// The closest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourcesByPath(BTreeMap<String, Source>);

/// What is shown to a registry, or to its token service.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Anonymous,
    Basic {
        username: String,
        password: SecretString,
    },
    /// A bearer token for the registry itself.
    Bearer(SecretString),
}

/// A login for a repository.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) login: Login,
    /// Where it comes from, for messages: `the token in file /run/secrets/token`.
    pub(crate) place: String,
}

/// Environment variables.
#[derive(Clone, Debug, Default)]
pub(crate) enum Environment {
    /// Those of the process.
    #[default]
    Process,
    /// These and no others.
    #[cfg(test)]
    Given(BTreeMap<String, String>),
}

/// The clock whose time is signed where a service wants that, and by which its dates are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) fn() -> Timestamp);

/// The logins for one registry, as they are now.
pub(crate) struct Logins {
    host: String,
    held: BTreeMap<String, Held>,
    asker: Asker,
}

/// A source, with what it granted.
struct Held {
    source: Source,
    /// Whoever holds the lock is the one who asks for a new grant.
    granted: tokio::sync::Mutex<Option<Granted>>,
    aws_keys: KeptKeys,
}

/// A login that a service gave for some time.
struct Granted {
    login: Login,
    at: Instant,
    good_until: Instant,
}

impl From<Credentials> for Source {
    fn from(own: Credentials) -> Self {
        Self::Own(own)
    }
}

impl From<Source> for SourcesByPath {
    fn from(source: Source) -> Self {
        Self(BTreeMap::from([(String::new(), source)]))
    }
}

impl SourcesByPath {
    /// Gives the repositories below `prefix` a source, unless they have one.
    pub(crate) fn insert(&mut self, prefix: String, source: Source) {
        self.0.entry(prefix).or_insert(source);
    }
}

impl Logins {
    pub(crate) fn new(
        host: &str,
        sources: SourcesByPath,
        environment: Environment,
        clock: Clock,
    ) -> Self {
        let held = |(prefix, source)| {
            let held = Held {
                source,
                granted: tokio::sync::Mutex::default(),
                aws_keys: KeptKeys::default(),
            };
            (prefix, held)
        };
        Self {
            host: host.to_owned(),
            held: sources.0.into_iter().map(held).collect(),
            asker: Asker::new(environment, clock),
        }
    }

    /// The login for the repository `path`, as it is now.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, LoginError> {
        let Some(held) = self.closest(path) else {
            return Ok(Found::anonymous());
        };
        match &held.source {
            Source::Own(own) => Found::own(own),
            Source::Aws(aws) => {
                let login = self.granted(held, aws.grant(&self.asker)).await?;
                let place = aws.place(&self.asker.environment);
                Ok(Found { login, place })
            }
            Source::DockerConfig(file) => Ok(Found::by_docker_config(file, &self.host, path)?),
            Source::Google(google) => {
                let login = self.granted(held, google.grant(&self.asker)).await?;
                let place = google.to_string();
                Ok(Found { login, place })
            }
        }
    }

    /// Where the login for the repository `path` comes from, for messages.
    pub(crate) async fn place(&self, path: &str) -> String {
        match self.find(path).await {
            Ok(found) => found.place,
            Err(_) => self.closest(path).map_or_else(
                || Found::anonymous().place,
                |held| format!("the login of {}", held.source),
            ),
        }
    }

    /// Forgets what was granted for `path`, which the registry refused; says whether a new grant may fare better.
    pub(crate) async fn refused(&self, path: &str) -> bool {
        let Some(held) = self.closest(path) else {
            return false;
        };
        let mut granted = held.granted.lock().await;
        let is_old = |granted: &Granted| granted.at.elapsed() >= REFUSED_AFTER;
        granted.take_if(|granted| is_old(granted)).is_some()
    }

    /// Asks ECR for a page of the images of the repository `path`, the first or the one `after` another, in the name of its
    /// AWS identity; `None` where it has none, or the registry does not tell.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the reading of push times calls it")
    )]
    pub(crate) async fn ecr_images(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<Option<EcrImages>, LoginError> {
        let held = self.closest(path);
        match held.map(|held| (&held.source, &held.aws_keys)) {
            Some((Source::Aws(aws), kept)) => aws.images(&self.asker, kept, (path, after)).await,
            Some((Source::Own(_) | Source::DockerConfig(_) | Source::Google(_), _)) | None => {
                Ok(None)
            }
        }
    }

    async fn granted(
        &self,
        held: &Held,
        grant: impl Future<Output = Result<(Login, Duration), LoginError>>,
    ) -> Result<Login, LoginError> {
        // Held while the grant is asked for, on purpose: the others that wait here want this very login.
        let mut kept = held.granted.lock().await;
        if let Some(granted) = &*kept
            && Instant::now() < granted.good_until
        {
            return Ok(granted.login.clone());
        }
        let at = Instant::now();
        let (login, life) = grant.await?;
        *kept = Some(Granted {
            login: login.clone(),
            at,
            good_until: at + life.saturating_sub((life / 10).min(MARGIN_MAX)),
        });
        Ok(login)
    }

    /// The source of the longest prefix of `path`, in whole segments.
    fn closest(&self, path: &str) -> Option<&Held> {
        let is_below = |prefix: &str| match path.strip_prefix(prefix) {
            Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        // The prefixes of one path are in the order of their lengths.
        let mut below = self.held.iter().filter(|(prefix, _)| is_below(prefix));
        below.next_back().map(|(_, held)| held)
    }
}

impl Environment {
    /// The value of `name`, if it has one that is not empty.
    fn var(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            #[cfg(test)]
            Self::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl Default for Clock {
    fn default() -> Self {
        Self(crate::daemon::now)
    }
}

impl Found {
    fn anonymous() -> Self {
        Self {
            login: Login::Anonymous,
            place: "anonymous access".to_owned(),
        }
    }

    fn own(own: &Credentials) -> Result<Self, LoginError> {
        Ok(match own {
            Credentials::Basic { username, password } => Self {
                place: format!("the user `{username}` with the password in {password}"),
                login: Login::Basic {
                    username: username.clone(),
                    password: password.read()?,
                },
            },
            Credentials::Token(token) => Self {
                place: format!("the token in {token}"),
                login: Login::Bearer(token.read()?),
            },
        })
    }

    fn by_docker_config(
        file: &DockerConfig,
        host: &str,
        path: &str,
    ) -> Result<Self, DockerConfigError> {
        Ok(match file.login(host, path)? {
            Some(found) => Self {
                place: format!("the entry `{}` of the {file}", found.entry),
                login: Login::Basic {
                    username: found.username,
                    password: found.password,
                },
            },
            None => Self {
                place: format!("anonymous access (no login in the {file})"),
                login: Login::Anonymous,
            },
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(Credentials::Basic { username, password }) => {
                write!(f, "the user `{username}` with the password in {password}")
            }
            Self::Own(Credentials::Token(token)) => write!(f, "the token in {token}"),
            Self::Aws(aws) => aws.fmt(f),
            Self::DockerConfig(file) => write!(f, "the {file}"),
            Self::Google(google) => google.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
