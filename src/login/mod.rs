//! How a registry or a git server is logged in to: where its credentials come from, and the login that they give now.
//!
//! Reading order: this file, `ask` (one request to a service that gives logins), `authorities` (whom to trust on the way), `jwt`
//! (how a key proves itself there), then one file for each source. Not here: what a registry's challenge wants (`registry`).
//! Invariant: no message and no `Debug` holds a secret. What the settings name is read anew each time; what a service
//! grants is kept until shortly before it expires, and forgotten when the registry refused it; a failure for some seconds.

mod ask;
mod authorities;
mod aws;
mod azure;
mod docker_config;
mod error;
mod github_app;
mod google;
mod helper;
mod jwt;
mod kubernetes;
mod recent;
mod way;
mod wire;

#[cfg(test)]
mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Certificate;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use url::Url;

use crate::secret::{Credentials, SecretError};
use ask::Asker;
use aws::KeptKeys;
use docker_config::DockerLogin;
use helper::{Helper, HelperError};
use kubernetes::Keyring;
use recent::Recent;

pub(crate) use ask::{secure_url, server_time, words};
pub(crate) use authorities::{AuthoritiesError, authorities};
pub(crate) use aws::{Aws, AwsError, Ecr, EcrImages, Identity, Role};
pub(crate) use azure::{Azure, Proof};
pub(crate) use docker_config::{DockerConfig, DockerConfigError};
pub(crate) use error::LoginError;
pub(crate) use github_app::{GithubApp, Purpose};
pub(crate) use google::{Google, GoogleIdentity};
pub(crate) use kubernetes::{PullSecrets, Which, is_object_name};
pub(crate) use way::{ClusterWay, ClusterWayError, told_cause};

/// A granted login is not used in the last tenth of its life, or its last 5 minutes if that is less: a listing may take
/// as long from its first page to its last.
const MARGIN_MAX: Duration = Duration::from_secs(5 * 60);

/// Longest life that a grant is believed to have: services give an hour to twelve, and a sum of times has an end.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a service that failed is left alone. A metadata server that is not there takes 3 to 15 s to say nothing: 2,000
/// repositories that each asked for themselves, one after the other, would wait for hours.
const FAILED_FOR: Duration = Duration::from_secs(10);

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
    /// An identity in Azure.
    Azure(Azure),
    /// A file says it, for each repository; where it says nothing, access is anonymous.
    DockerConfig(DockerConfig),
    /// An installation of a GitHub App.
    GithubApp(GithubApp),
    /// A Google Cloud identity.
    Google(Google),
    /// Pull secrets of a Kubernetes cluster, for each repository; where they say nothing, access is anonymous.
    PullSecrets(PullSecrets),
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
    /// A refresh token for the registry's token service.
    Identity(SecretString),
}

/// What tells one login from another, and neither from anything else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint([u8; 32]);

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

/// The registry that logins are for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// As images name it.
    pub(crate) host: String,
    /// The root of its API.
    pub(crate) origin: Url,
    /// The authorities that it is trusted by beside the system's.
    pub(crate) authorities: Vec<Certificate>,
}

/// The logins for one registry, as they are now.
pub(crate) struct Logins {
    target: Target,
    held: BTreeMap<String, Held>,
    asker: Asker,
}

/// A source, with what it granted.
struct Held {
    source: Source,
    /// Whoever holds the lock is the one who asks for a new grant.
    granted: tokio::sync::Mutex<Grant>,
    aws_keys: KeptKeys,
    /// What programs said.
    helped: Recent<Helper, Result<Option<Login>, HelperError>>,
    /// What pull secrets say.
    keyring: Keyring,
}

/// What a service gave for some time.
#[derive(Default)]
enum Grant {
    #[default]
    None,
    Login {
        login: Login,
        at: Instant,
        good_until: Instant,
    },
    Failed {
        error: Arc<LoginError>,
        at: Instant,
    },
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

impl Source {
    /// Whether a registry at `host` is one that the source has logins for, as far as names tell.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        match self {
            // The settings say which ECR an AWS identity is for.
            Self::Own(_) | Self::Aws(_) | Self::DockerConfig(_) | Self::PullSecrets(_) => true,
            Self::Azure(_) => Azure::is_for(host),
            Self::GithubApp(app) => app.is_for(host),
            Self::Google(_) => Google::is_for(host),
        }
    }

    /// Where the login comes from, for messages.
    pub(crate) fn place(&self, environment: &Environment) -> String {
        match self {
            Self::Own(Credentials::Basic { username, password }) => {
                format!("the user `{username}` with the password in {password}")
            }
            Self::Own(Credentials::Token(token)) => format!("the token in {token}"),
            Self::Aws(aws) => aws.place(environment),
            Self::Azure(azure) => azure.place(environment),
            Self::DockerConfig(file) => format!("the {file}"),
            Self::GithubApp(app) => app.to_string(),
            Self::Google(google) => google.identity(environment).to_string(),
            Self::PullSecrets(secrets) => secrets.to_string(),
        }
    }
}

impl SourcesByPath {
    /// Gives the repositories below `prefix` a source, unless they have one.
    pub(crate) fn insert(&mut self, prefix: String, source: Source) {
        self.0.entry(prefix).or_insert(source);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.values()
    }
}

impl Logins {
    pub(crate) fn new(
        target: Target,
        sources: SourcesByPath,
        environment: Environment,
        clock: Clock,
    ) -> Self {
        let held = |(prefix, source)| {
            let held = Held {
                source,
                granted: tokio::sync::Mutex::default(),
                aws_keys: KeptKeys::default(),
                helped: Recent::default(),
                keyring: Keyring::default(),
            };
            (prefix, held)
        };
        Self {
            target,
            held: sources.0.into_iter().map(held).collect(),
            asker: Asker::new(environment, clock),
        }
    }

    /// The login for the repository `path`, as it is now.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, LoginError> {
        let Some(held) = self.closest(path) else {
            return Ok(Found::anonymous());
        };
        // On the heap, or each request would carry the room that the largest of these exchanges takes.
        Box::pin(self.find_by(held, path)).await
    }

    async fn find_by(&self, held: &Held, path: &str) -> Result<Found, LoginError> {
        match &held.source {
            Source::Own(own) => Ok(Found {
                login: own_login(own)?,
                place: held.source.place(&self.asker.environment),
            }),
            Source::Aws(aws) => self.granted(held, aws.grant(&self.asker)).await,
            Source::Azure(azure) => {
                let grant = azure.grant(&self.asker, &self.target);
                self.granted(held, grant).await
            }
            Source::DockerConfig(file) => self.by_docker_config(held, file, path).await,
            Source::GithubApp(app) => {
                let grant = app.grant(&self.asker, &self.target);
                self.granted(held, grant).await
            }
            Source::Google(google) => self.granted(held, google.grant(&self.asker)).await,
            Source::PullSecrets(secrets) => {
                let wanted = (&*self.target.host, path);
                let environment = &self.asker.environment;
                Ok(held.keyring.find(secrets, wanted, environment).await?)
            }
        }
    }

    /// Where the login for the repository `path` comes from, for messages.
    pub(crate) async fn place(&self, path: &str) -> String {
        let Some(held) = self.closest(path) else {
            return Found::anonymous().place;
        };
        let place = held.source.place(&self.asker.environment);
        match &held.source {
            // Which of several logins it is stands in what was read.
            Source::DockerConfig(_) | Source::PullSecrets(_) => match self.find(path).await {
                Ok(found) => found.place,
                Err(_) => format!("the login of {place}"),
            },
            Source::Own(_)
            | Source::Aws(_)
            | Source::Azure(_)
            | Source::GithubApp(_)
            | Source::Google(_) => place,
        }
    }

    /// Forgets `login`, with which the registry refused `path`; says whether another may fare better: a new one, or one
    /// that came since.
    pub(crate) async fn refused(&self, path: &str, login: &Login) -> bool {
        let Some(held) = self.closest(path) else {
            return false;
        };
        let refused = login.fingerprint();
        match &held.source {
            Source::Own(_) => false,
            Source::DockerConfig(_) => {
                held.helped.refused().await;
                let found = self.find(path).await;
                found.is_ok_and(|found| found.login.fingerprint() != refused)
            }
            Source::Aws(_) | Source::Azure(_) | Source::GithubApp(_) | Source::Google(_) => {
                held.granted.lock().await.forget(refused)
            }
            Source::PullSecrets(secrets) => {
                let refused = (&*self.target.host, path, refused);
                let environment = &self.asker.environment;
                held.keyring.refused(secrets, refused, environment).await
            }
        }
    }

    async fn by_docker_config(
        &self,
        held: &Held,
        file: &DockerConfig,
        path: &str,
    ) -> Result<Found, LoginError> {
        match file.login(&self.target.host, path)? {
            Some(DockerLogin::Entry(found)) => Ok(found),
            Some(DockerLogin::Helper { helper, server }) => {
                let place = format!("the program `{}` of the {file}", helper.program());
                let environment = &self.asker.environment;
                let get = helper.get(&server, environment);
                Ok(match held.helped.get(helper.clone(), get).await? {
                    Some(login) => Found { login, place },
                    None => Found::nothing_in(&place),
                })
            }
            None => Ok(Found::nothing_in(&format!("the {file}"))),
        }
    }

    /// Asks ECR for a page of the images of the repository `path`, the first or the one `after` another, in the name of its
    /// AWS identity; `None` where it has none, or the registry does not tell.
    pub(crate) async fn ecr_images(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<Option<EcrImages>, LoginError> {
        let held = self.closest(path);
        match held.map(|held| (&held.source, &held.aws_keys)) {
            Some((Source::Aws(aws), kept)) => aws.images(&self.asker, kept, (path, after)).await,
            Some((
                Source::Own(_)
                | Source::Azure(_)
                | Source::DockerConfig(_)
                | Source::GithubApp(_)
                | Source::Google(_)
                | Source::PullSecrets(_),
                _,
            ))
            | None => Ok(None),
        }
    }

    async fn granted(
        &self,
        held: &Held,
        grant: impl Future<Output = Result<(Login, Duration), LoginError>>,
    ) -> Result<Found, LoginError> {
        let place = held.source.place(&self.asker.environment);
        // Held while the grant is asked for, on purpose: the others that wait here want this very login.
        let mut kept = held.granted.lock().await;
        let now = Instant::now();
        match &*kept {
            Grant::Login {
                login, good_until, ..
            } if now < *good_until => {
                let login = login.clone();
                return Ok(Found { login, place });
            }
            Grant::Failed { error, at } if now < *at + FAILED_FOR => {
                let source = Arc::clone(error);
                return Err(LoginError::NotGranted { place, source });
            }
            Grant::None | Grant::Login { .. } | Grant::Failed { .. } => {}
        }
        match grant.await {
            Ok((login, life)) => {
                let life = life.min(LIFE_MAX);
                *kept = Grant::Login {
                    login: login.clone(),
                    at: now,
                    good_until: now + life.saturating_sub((life / 10).min(MARGIN_MAX)),
                };
                Ok(Found { login, place })
            }
            Err(error) => {
                let source = Arc::new(error);
                *kept = Grant::Failed {
                    error: Arc::clone(&source),
                    at: Instant::now(),
                };
                Err(LoginError::NotGranted { place, source })
            }
        }
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

impl Grant {
    /// Forgets the login that was `refused`, unless it is fresh; says whether there is or may be another.
    fn forget(&mut self, refused: Fingerprint) -> bool {
        match self {
            Self::Login { login, at, .. } if login.fingerprint() == refused => {
                let is_old = at.elapsed() >= REFUSED_AFTER;
                if is_old {
                    *self = Self::None;
                }
                is_old
            }
            Self::None | Self::Login { .. } => true,
            Self::Failed { .. } => false,
        }
    }
}

impl Login {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let (kind, name, secret) = match self {
            Self::Anonymous => ("anonymous", "", ""),
            Self::Basic { username, password } => ("basic", &**username, password.expose_secret()),
            Self::Bearer(token) => ("bearer", "", token.expose_secret()),
            Self::Identity(token) => ("identity", "", token.expose_secret()),
        };
        let mut hash = Sha256::new();
        for part in [kind, name, secret] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }
}

impl Environment {
    /// The value of `name`, if it has one that is not empty.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let value = match self {
            Self::Process => std::env::var(name).ok(),
            #[cfg(test)]
            Self::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
impl Target {
    /// A registry over https.
    pub(crate) fn of_host(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            origin: format!("https://{host}/").parse().unwrap(),
            authorities: Vec::new(),
        }
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

    /// Where a source was looked through and has no login.
    fn nothing_in(source: &str) -> Self {
        Self {
            login: Login::Anonymous,
            place: format!("anonymous access (no login in {source})"),
        }
    }
}

fn own_login(own: &Credentials) -> Result<Login, SecretError> {
    Ok(match own {
        Credentials::Basic { username, password } => Login::Basic {
            username: username.clone(),
            password: password.read()?,
        },
        Credentials::Token(token) => Login::Bearer(token.read()?),
    })
}

#[cfg(test)]
mod tests;
