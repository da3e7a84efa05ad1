//! Reading registries: tags, digests, and what an image says of itself, over the OCI distribution API.
//!
//! Not here: which tags are wanted (`policy/select`) and when to ask (`daemon`). Nothing is ever written to a
//! registry. Invariant: a listing is complete or an error; content named by a digest has that digest.

mod access;
mod attached;
mod budget;
mod cache;
mod challenge;
mod client;
mod error;
mod events;
mod fault;
mod host;
mod http;
mod inspect;
mod kind;
mod limit;
mod link;
mod list;
mod metrics;
mod mirrors;
mod patience;
mod pushed;
mod seen;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::image::{Attached, Digest, RegistryKind, Repository, Tag};
use crate::login::{Clock, Environment, Logins, SourcesByPath, Target};
use access::Access;
use cache::Cache;
use client::{Connections, Tls};
use host::Host;

pub(crate) use budget::QuotaStanding;
pub(crate) use client::{ClientCertificate, Connection, Proxy};
pub(crate) use error::RegistryError;
pub(crate) use events::{EventError, EventKind, Extent, Message, Named, pushed};
pub(crate) use host::HostStanding;
pub(crate) use mirrors::Mirrors;
pub(crate) use pushed::{PushApi, PushLogin};

/// How registries are read.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Options {
    /// By host, with the port where one is written.
    pub(crate) hosts: BTreeMap<String, HostOptions>,
    /// For the hosts that are not named.
    pub(crate) others: HostOptions,
    pub(crate) mirrors: Mirrors,
    /// A folder that may be deleted at any time; without one, nothing outlives the process.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) timeouts: Timeouts,
    /// Where clouds tell their programs who they are.
    pub(crate) environment: Environment,
    /// The clock for logins.
    pub(crate) clock: Clock,
}

/// How one registry is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostOptions {
    pub(crate) plain_http: bool,
    pub(crate) connection: Connection,
    pub(crate) logins: SourcesByPath,
    /// The product behind the host, where its name does not tell.
    pub(crate) kind: Option<RegistryKind>,
    pub(crate) page_size: Option<usize>,
    /// The time between two requests.
    pub(crate) pace: Option<Duration>,
    /// Requests under way at once.
    pub(crate) in_flight: Option<usize>,
    /// Further hosts that may be sent the credentials.
    pub(crate) realms: Vec<String>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// Without a byte from the other side.
    pub(crate) read: Duration,
    /// One listing, one digest, or one image's metadata, tries and pages included, time in line here aside.
    pub(crate) total: Duration,
    /// The longest wait after the first failed try; it doubles from there.
    pub(crate) back_off: Duration,
}

/// A complete listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// In the order of their names, whatever the registry's.
    pub(crate) tags: Vec<ListedTag>,
    /// Names in the listing that are no tags by the grammar, and so not among `tags`.
    pub(crate) invalid: usize,
    /// Requests that it took.
    pub(crate) pages: usize,
    /// Set while more than half of the tags have gone and that has not lasted yet.
    pub(crate) shrunk: Option<Shrunk>,
    /// When what the tags point at was uploaded, where the listing itself tells it.
    uploaded: BTreeMap<Tag, Timestamp>,
}

/// How a repository is asked for, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Where it is read, which is elsewhere for a mirror.
    pub(crate) origin: Repository,
    /// Where the credentials come from.
    pub(crate) credentials: String,
    /// What the registry asked for.
    pub(crate) login: String,
}

/// A listing that lost more than half of its tags at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shrunk {
    /// How many tags there were before.
    pub(crate) from: usize,
    /// When the listing is believed, if it stays so.
    pub(crate) until: Timestamp,
}

/// A tag and the time at which this program, or one before it with the same cache, saw it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedTag {
    pub(crate) tag: Tag,
    pub(crate) first_seen: Timestamp,
}

/// What an image says of itself; charts and other artifacts say when they were made, at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) created: Option<Timestamp>,
    pub(crate) labels: BTreeMap<String, String>,
    /// `linux/amd64`, `linux/arm/v7`.
    pub(crate) platforms: Vec<String>,
}

/// All registries, with their connections, tokens, and what is kept of their answers. Clones share these.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    options: BTreeMap<String, HostOptions>,
    others: HostOptions,
    mirrors: Mirrors,
    timeouts: Timeouts,
    environment: Environment,
    clock: Clock,
    cache: Cache,
    /// Held while a listing goes into the cache.
    accepting: tokio::sync::Mutex<()>,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    /// Shared among the hosts that are connected to alike.
    connections: Mutex<BTreeMap<(Connection, Tls), Arc<Connections>>>,
    /// When each repository was last listed whole, and how many tags it had.
    listed: Mutex<BTreeMap<Repository, (Timestamp, usize)>>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: Duration::from_secs(5 * 60),
            back_off: Duration::from_millis(500),
        }
    }
}

impl Registry {
    /// Makes ready to read; nothing is asked, and a host's own problems show when it is.
    pub(crate) fn new(options: Options) -> Self {
        let Options {
            hosts,
            others,
            mirrors,
            cache,
            timeouts,
            environment,
            clock,
        } = options;
        Self {
            inner: Arc::new(Inner {
                options: hosts,
                others,
                mirrors,
                timeouts,
                environment,
                clock,
                cache: Cache::open(cache),
                accepting: tokio::sync::Mutex::new(()),
                hosts: Mutex::default(),
                connections: Mutex::default(),
                listed: Mutex::default(),
            }),
        }
    }

    /// Where `repository` is read; at itself where its origin has no name that can be used.
    pub(crate) fn origin(&self, repository: &Repository) -> Repository {
        let origin = self.inner.mirrors.origin(repository);
        origin.unwrap_or_else(|_| repository.clone())
    }

    /// Lists all tags of `repository`; of what it is a copy of, if it is one.
    pub(crate) async fn tags(
        &self,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Listing, RegistryError> {
        let named = repository;
        let repository = &self.inner.mirrors.origin(named)?;
        let host = self.host(repository)?;
        let what = || format!("the tags of `{repository}`");
        let listed = self.within(what, list::list(&host, repository)).await?;
        let inner = Arc::clone(&self.inner);
        let repository = repository.clone();
        // Files of up to some megabytes, so not on a thread that others wait for; and one after the other, since a
        // thousand listings that end together would else take a thread each.
        let _turn = self.inner.accepting.lock().await;
        let accept = move || inner.cache.accept(&repository, listed.tags, now);
        let listing = tokio::task::spawn_blocking(accept).await;
        let listing = listing.expect("the cache does not panic and is not cancelled");
        let good = (now, listing.tags.len());
        self.lock_listed().insert(named.clone(), good);
        Ok(Listing {
            invalid: listed.invalid,
            pages: listed.pages,
            uploaded: listed.uploaded,
            ..listing
        })
    }

    /// How `repository` is asked for, as far as that is known: after a reading, all of it.
    pub(crate) async fn way(&self, repository: &Repository) -> Result<Way, RegistryError> {
        let origin = self.inner.mirrors.origin(repository)?;
        let (credentials, login) = self.host(&origin)?.way(&origin).await;
        Ok(Way {
            origin,
            credentials,
            login,
        })
    }

    /// The API of the repository's registry that tells push times, if there is one. Nothing is asked.
    pub(crate) fn push_api(&self, repository: &Repository) -> Option<PushApi> {
        let Inner {
            options,
            others,
            mirrors,
            ..
        } = &*self.inner;
        let origin = mirrors.origin(repository).ok()?;
        let host = origin.registry();
        let named = options.get(host).unwrap_or(others).kind;
        PushApi::of(named.unwrap_or(RegistryKind::of_host(host)))
    }

    /// When each tag of `listing`, the latest, was last pushed; a tag that is missing has no time yet.
    ///
    /// After the first time only what is new is asked for, restarts included where the cache survives.
    pub(crate) async fn pushed(
        &self,
        repository: &Repository,
        (api, listing): (PushApi, &Listing),
        now: Timestamp,
    ) -> Result<BTreeMap<Tag, Timestamp>, RegistryError> {
        let repository = &self.inner.mirrors.origin(repository)?;
        let host = self.host(repository)?;
        let what = || format!("the push times of `{repository}`");
        let before = self.inner.cache.push_times(repository);
        let reading = pushed::read(&host, repository, (api, listing), before, now);
        let read = self.within(what, reading).await?;
        let times = read.times.clone();
        let inner = Arc::clone(&self.inner);
        let repository = repository.clone();
        // As for listings: a file of up to some megabytes.
        let keep = move || inner.cache.keep_push_times(&repository, read);
        let done = tokio::task::spawn_blocking(keep).await;
        done.expect("the cache does not panic and is not cancelled");
        Ok(times)
    }

    /// Asks what `tag` points at now.
    pub(crate) async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Digest, RegistryError> {
        let repository = &self.inner.mirrors.origin(repository)?;
        let host = self.host(repository)?;
        let what = || format!("the digest of `{repository}:{tag}`");
        self.within(what, inspect::digest(&host, repository, tag))
            .await
    }

    /// Reads what stands beside the image `digest` and may vouch for it: all that is of a type that is wanted, or of none that can be told
    /// before it is read.
    pub(crate) async fn attached(
        &self,
        repository: &Repository,
        digest: &Digest,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<Attached>, RegistryError> {
        let repository = &self.inner.mirrors.origin(repository)?;
        let host = self.host(repository)?;
        let what = || format!("the signatures of `{repository}@{}`", digest.short());
        self.within(
            what,
            attached::attached(&host, (repository, digest), is_wanted),
        )
        .await
    }

    /// Reads what the image `digest` says of itself, once per digest for as long as the cache lives.
    pub(crate) async fn metadata(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Metadata, RegistryError> {
        if let Some(metadata) = self.inner.cache.metadata(digest) {
            return Ok(metadata);
        }
        let repository = &self.inner.mirrors.origin(repository)?;
        let host = self.host(repository)?;
        let what = || format!("the image `{repository}@{}`", digest.short());
        let metadata = self
            .within(what, inspect::metadata(&host, repository, digest))
            .await?;
        let inner = Arc::clone(&self.inner);
        let kept = (digest.clone(), metadata.clone());
        // A write, now and then of some megabytes.
        let keep = move || inner.cache.keep_metadata(&kept.0, &kept.1);
        let done = tokio::task::spawn_blocking(keep).await;
        done.expect("the cache does not panic and is not cancelled");
        Ok(metadata)
    }

    /// When `repository` was last listed whole, and how many tags it had then.
    pub(crate) fn last_listing(&self, repository: &Repository) -> Option<(Timestamp, usize)> {
        self.lock_listed().get(repository).copied()
    }

    /// How each registry stands that has been asked, by host.
    pub(crate) fn standings(&self) -> Vec<HostStanding> {
        let hosts = self.inner.hosts.lock();
        let hosts = hosts.unwrap_or_else(PoisonError::into_inner);
        hosts.values().map(|host| host.standing()).collect()
    }

    fn lock_listed(&self) -> MutexGuard<'_, BTreeMap<Repository, (Timestamp, usize)>> {
        let listed = self.inner.listed.lock();
        listed.unwrap_or_else(PoisonError::into_inner)
    }

    fn within<T>(
        &self,
        what: impl Fn() -> String,
        reading: impl Future<Output = Result<T, RegistryError>>,
    ) -> impl Future<Output = Result<T, RegistryError>> {
        let limit = self.inner.timeouts.total;
        let timed_out = move || {
            let what = what();
            Err(RegistryError::TimedOut { what, limit })
        };
        // On the heap for as long as it is under way, since thousands of pollers only wait for their next one.
        let reading = Box::pin(reading);
        async move {
            let outcome = patience::within(limit, reading).await;
            outcome.unwrap_or_else(timed_out)
        }
    }

    /// The repository's registry; one that cannot be set up is tried anew at the next call.
    fn host(&self, repository: &Repository) -> Result<Arc<Host>, RegistryError> {
        let Inner {
            options,
            others,
            timeouts,
            environment,
            clock,
            hosts,
            ..
        } = &*self.inner;
        let name = repository.registry();
        let mut hosts = hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let options = options.get(name).unwrap_or(others).clone();
        let sources = options.logins.clone();
        let target = Target {
            host: name.to_owned(),
            origin: host::origin(name, &options)?,
            authorities: client::authorities(options.connection.ca_file.as_deref())?,
        };
        let logins = Logins::new(target, sources, environment.clone(), *clock);
        let access = Access::new(options.clone(), logins);
        let host = Arc::new(Host::new(
            name,
            &options,
            (self.connections(&options), *timeouts),
            access,
        )?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    fn connections(&self, options: &HostOptions) -> Arc<Connections> {
        let tls = match options.plain_http {
            true => Tls::Perhaps,
            false => Tls::Always,
        };
        let connection = options.connection.clone();
        let mut all = self.inner.connections.lock();
        let all = all.as_mut().unwrap_or_else(|poison| poison.get_mut());
        let made = || Connections::new(connection.clone(), tls, self.inner.timeouts);
        let of_kind = all.entry((connection.clone(), tls));
        Arc::clone(of_kind.or_insert_with(|| Arc::new(made())))
    }
}

#[cfg(test)]
#[path = "../../tests/contract/registry.rs"]
mod contract;

#[cfg(test)]
#[path = "../../tests/contract/registry_connections.rs"]
mod connections;

#[cfg(test)]
#[path = "../../tests/contract/registry_faults.rs"]
mod faults;

#[cfg(test)]
#[path = "../../tests/contract/registry_real.rs"]
mod real;

#[cfg(test)]
#[path = "../../tests/contract/registry_pushed.rs"]
mod pushed_contract;

#[cfg(test)]
#[path = "../../tests/contract/identity.rs"]
mod identity;

#[cfg(test)]
#[path = "../../tests/contract/pull_secrets.rs"]
mod pull_secrets;
