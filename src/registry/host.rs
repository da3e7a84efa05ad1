//! One registry: where it is, how it is asked, and what an answer's status means.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use url::Url;

use super::access::{Access, LOGINS_TRIED_MAX};
use super::budget::{Budget, IN_FLIGHT, Standings};
use super::client::Connections;
use super::error::RegistryError;
use super::http::{Answer, Ask, Authorization, JSON, Line, Purpose};
use super::pushed::{PushApi, Tokens};
use super::{HostOptions, Timeouts};
use crate::image::{RegistryKind, Repository};
use crate::login::{EcrImages, Login};

/// Docker Hub's API does not stand where its images are named.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Where Docker Hub tells what its registry does not.
const DOCKER_HUB_API: &str = "hub.docker.com";

/// A registry and everything that is kept about it between requests.
pub(super) struct Host {
    /// The root of the registry's API, `https://ghcr.io/`.
    origin: Url,
    line: Line,
    access: Access,
    /// Which API beside the distribution API tells push times, where there is one.
    pub(super) push_api: Option<PushApi>,
    /// Where that API is, if it is on another host.
    elsewhere: Option<(Url, Line)>,
    /// Logins at that API apart from those of the registry: the same credentials give tokens of other scopes.
    access_beside: Access,
    pub(super) tokens: Tokens,
    paging: Mutex<Paging>,
    /// Whether the registry has been asked once.
    is_met: AtomicBool,
    /// Held by the first question of all: the others wait for what it learns, above all which login is wanted.
    meeting: tokio::sync::Mutex<()>,
}

/// What is known of a registry's pages.
#[derive(Clone, Copy)]
pub(super) struct Paging {
    /// The page size that the registry takes; `None` once it has refused every one.
    pub(super) size: Option<usize>,
    /// The most tags that one page has had.
    pub(super) longest: usize,
}

/// One request about a repository.
pub(super) struct Question<'a> {
    pub(super) repository: &'a Repository,
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) accept: &'static str,
    pub(super) bytes_max: usize,
}

/// How a registry stands, for people.
pub(crate) struct HostStanding {
    pub(crate) host: String,
    pub(crate) kind: RegistryKind,
    /// Requests by HTTP status, or `failed`.
    pub(crate) outcomes: BTreeMap<String, u64>,
    pub(crate) budget: Standings,
    /// What its clock shows now, if it told.
    pub(crate) clock: Option<Timestamp>,
}

impl<'a> Question<'a> {
    fn ask(&self, authorization: &'a Authorization) -> Ask<'a>
    where
        Self: 'a,
    {
        let purpose = match self.url.path().contains("/manifests/") {
            true => Purpose::Manifest,
            false => Purpose::Other,
        };
        Ask {
            repository: self.repository,
            purpose,
            method: self.method.clone(),
            url: self.url,
            accept: self.accept,
            authorization,
            content: None,
            bytes_max: self.bytes_max,
        }
    }
}

impl Host {
    pub(super) fn new(
        host: &str,
        options: &HostOptions,
        (connections, timeouts): (Arc<Connections>, Timeouts),
        access: Access,
    ) -> Result<Self, RegistryError> {
        let kind = options.kind.unwrap_or(RegistryKind::of_host(host));
        let line = |host: &str| Line {
            host: host.to_owned(),
            kind,
            connections: Arc::clone(&connections),
            budget: Budget::new(
                host,
                options.pace.or(kind.pace()),
                options.in_flight.unwrap_or(IN_FLIGHT),
            ),
            timeouts,
            outcomes: Mutex::default(),
            told_time: Mutex::default(),
        };
        let elsewhere = (host == DOCKER_HUB.0).then(|| {
            let origin = Url::parse(&format!("https://{DOCKER_HUB_API}/"));
            (origin.expect("it is a URL"), line(DOCKER_HUB_API))
        });
        Ok(Self {
            origin: origin(host, options)?,
            line: line(host),
            push_api: PushApi::of(kind),
            elsewhere,
            access_beside: access.beside(),
            tokens: Tokens::default(),
            paging: Mutex::new(Paging {
                size: Some(options.page_size.unwrap_or(kind.page_size())),
                longest: 0,
            }),
            is_met: AtomicBool::new(false),
            meeting: tokio::sync::Mutex::default(),
            access,
        })
    }

    /// The URL of `rest` under the repository: `/v2/library/nginx/manifests/latest`.
    pub(super) fn url(&self, repository: &Repository, rest: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&format!("/v2/{}/{rest}", repository.path()));
        url
    }

    /// The URL of a path with a query at the API beside the registry's.
    pub(super) fn api_url(&self, path: &str, query: &str) -> Url {
        let origin = self.elsewhere.as_ref().map(|(origin, _)| origin);
        let mut url = origin.unwrap_or(&self.origin).clone();
        url.set_path(path);
        url.set_query((!query.is_empty()).then_some(query));
        url
    }

    /// The host of the API beside the registry's.
    pub(super) fn api_host(&self) -> &str {
        &self.line_beside().host
    }

    fn line_beside(&self) -> &Line {
        let line = self.elsewhere.as_ref().map(|(_, line)| line);
        line.unwrap_or(&self.line)
    }

    pub(super) fn is_same_origin(&self, url: &Url) -> bool {
        url.origin() == self.origin.origin()
    }

    /// The scheme, host and port, for messages.
    pub(super) fn origin_text(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    pub(super) fn standing(&self) -> HostStanding {
        let Line {
            host,
            kind,
            budget,
            outcomes,
            ..
        } = &self.line;
        let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        HostStanding {
            host: host.clone(),
            kind: *kind,
            outcomes: outcomes.clone(),
            budget: budget.standings(),
            clock: self.line.clock(),
        }
    }

    pub(super) fn kind(&self) -> RegistryKind {
        self.line.kind
    }

    pub(super) fn paging(&self) -> Paging {
        *self.lock_paging()
    }

    pub(super) fn set_page_size(&self, size: Option<usize>) {
        self.lock_paging().size = size;
    }

    /// Notes that a page had `length` tags.
    pub(super) fn saw_page(&self, length: usize) {
        let longest = &mut self.lock_paging().longest;
        *longest = length.max(*longest);
    }

    /// Asks, logs in where the registry wants it, and gives back a success or says why there is none.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer, RegistryError> {
        if self.is_met.load(Ordering::Acquire) {
            return self.ask_by(&self.access, question).await;
        }
        // A thousand repositories that are read for the first time would else be refused a thousand times.
        let first = self.meeting.lock().await;
        if self.is_met.load(Ordering::Acquire) {
            drop(first);
            return self.ask_by(&self.access, question).await;
        }
        let outcome = self.ask_by(&self.access, question).await;
        self.is_met.store(true, Ordering::Release);
        outcome
    }

    /// Asks the API beside the registry's in the same way: it sends the registry's own challenges.
    pub(super) async fn ask_beside(
        &self,
        question: &Question<'_>,
    ) -> Result<Answer, RegistryError> {
        self.ask_by(&self.access_beside, question).await
    }

    async fn ask_by(
        &self,
        access: &Access,
        question: &Question<'_>,
    ) -> Result<Answer, RegistryError> {
        let repository = question.repository;
        let mut sent = access.standing(&self.line, repository).await?;
        let mut answer = self.line.exchange(&question.ask(&sent)).await?;
        for round in 0..LOGINS_TRIED_MAX {
            if answer.status != StatusCode::UNAUTHORIZED {
                break;
            }
            let refused = (&answer, &sent, round);
            let renewed = access.renewed(&self.line, repository, refused).await?;
            let Some(authorization) = renewed else {
                break;
            };
            answer = self.line.exchange(&question.ask(&authorization)).await?;
            sent = authorization;
        }
        self.judge(question, answer).await
    }

    /// The login for `repository`, for an API that wants it in a way of its own.
    pub(super) async fn login(&self, repository: &Repository) -> Result<Login, RegistryError> {
        self.access_beside
            .found(self.line_beside(), repository)
            .await
    }

    /// Where the credentials for `repository` come from, and what the registry asked for.
    pub(super) async fn way(&self, repository: &Repository) -> (String, String) {
        (self.access.place(repository).await, self.access.scheme())
    }

    /// Asks ECR for a page of the images of `repository`; `None` where the login is no AWS identity.
    pub(super) async fn ecr_images(
        &self,
        repository: &Repository,
        after: Option<&str>,
    ) -> Result<Option<EcrImages>, RegistryError> {
        let images = self.access.ecr_images(repository, after).await;
        images.map_err(|source| RegistryError::Credentials {
            host: self.line.host.clone(),
            source,
        })
    }

    /// Asks the API beside the registry's with this login.
    pub(super) async fn ask_as(
        &self,
        question: &Question<'_>,
        login: &Authorization,
    ) -> Result<Answer, RegistryError> {
        let answer = self.line_beside().exchange(&question.ask(login)).await?;
        self.judge(question, answer).await
    }

    /// Posts `json` to the API beside the registry's, which it tells who asks.
    pub(super) async fn post(
        &self,
        question: &Question<'_>,
        json: &SecretString,
    ) -> Result<Answer, RegistryError> {
        let ask = Ask {
            method: Method::POST,
            content: Some((JSON, json)),
            ..question.ask(&Authorization::Anonymous)
        };
        let answer = self.line_beside().exchange(&ask).await?;
        self.judge(question, answer).await
    }

    async fn judge(
        &self,
        question: &Question<'_>,
        answer: Answer,
    ) -> Result<Answer, RegistryError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let repository = question.repository.clone();
        let words = answer.words();
        Err(match answer.status {
            StatusCode::UNAUTHORIZED => RegistryError::Unauthorized {
                credentials: self.access.place(&repository).await,
                repository,
                words,
            },
            StatusCode::FORBIDDEN => RegistryError::Forbidden {
                credentials: self.access.place(&repository).await,
                repository,
                words,
            },
            StatusCode::NOT_FOUND => RegistryError::NotFound {
                what: self.what(question),
            },
            status => RegistryError::Answered {
                host: self.line.host.clone(),
                status,
                words,
            },
        })
    }

    /// What a question is about, as people write it.
    fn what(&self, question: &Question<'_>) -> String {
        let repository = question.repository;
        let path = question.url.path();
        match path.rsplit_once('/') {
            Some((kind, tag)) if kind.ends_with("/manifests") && !tag.contains(':') => {
                format!("`{repository}:{tag}`")
            }
            Some((_, digest)) if digest.contains(':') => format!("`{repository}@{digest}`"),
            _ => format!("`{repository}`"),
        }
    }

    fn lock_paging(&self) -> MutexGuard<'_, Paging> {
        self.paging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The root of the API of the registry that images name `host`.
pub(super) fn origin(host: &str, options: &HostOptions) -> Result<Url, RegistryError> {
    let scheme = if options.plain_http { "http" } else { "https" };
    let address = if host == DOCKER_HUB.0 {
        DOCKER_HUB.1
    } else {
        host
    };
    let origin = Url::parse(&format!("{scheme}://{address}/"));
    origin.map_err(|_| RegistryError::BadHost {
        host: host.to_owned(),
    })
}

/// Reads `answer` as JSON, or says what came instead.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    answer: &Answer,
    what: impl FnOnce() -> String,
) -> Result<T, RegistryError> {
    serde_json::from_slice(&answer.body).map_err(|source| RegistryError::NotJson {
        what: what(),
        content_type: answer
            .header("content-type")
            .unwrap_or("unknown")
            .to_owned(),
        start: answer.start(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Access, Connections, Host};
    use crate::image::Repository;
    use crate::login::{Clock, Environment, Logins, Target};
    use crate::registry::client::Tls;
    use crate::registry::{Connection, HostOptions, RegistryError, Timeouts};

    fn host(name: &str, options: HostOptions) -> Result<Host, RegistryError> {
        let timeouts = Timeouts::default();
        let connections = Connections::new(Connection::default(), Tls::Perhaps, timeouts);
        let sources = options.logins.clone();
        let target = Target::of_host("any");
        let logins = Logins::new(target, sources, Environment::default(), Clock::default());
        let access = Access::new(options.clone(), logins);
        Host::new(name, &options, (Arc::new(connections), timeouts), access)
    }

    fn url(image: &str, options: HostOptions) -> String {
        let repository: Repository = image.parse().unwrap();
        let host = host(repository.registry(), options).unwrap();
        host.url(&repository, "tags/list").to_string()
    }

    #[test]
    fn docker_hub_is_asked_where_its_api_stands() {
        let url = url("nginx", HostOptions::default());
        assert_eq!(
            url,
            "https://registry-1.docker.io/v2/library/nginx/tags/list"
        );
    }

    #[test]
    fn addresses_and_ports_are_asked_as_written_and_by_plain_http_only_where_said() {
        let plain = HostOptions {
            plain_http: true,
            ..HostOptions::default()
        };
        assert_eq!(
            url("[::1]:5000/a", plain),
            "http://[::1]:5000/v2/a/tags/list"
        );
        let url = url("localhost:443/a/b", HostOptions::default());
        assert_eq!(url, "https://localhost/v2/a/b/tags/list");
    }

    #[test]
    fn a_host_that_no_url_can_hold_is_an_error() {
        let host = host("1.2.3.999", HostOptions::default());
        let error = host.err().unwrap().to_string();
        assert_eq!(error, "`1.2.3.999` is not a host that can be asked");
    }
}
