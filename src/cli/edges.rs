//! How the edges are reached, as the settings say: registries, git servers and forges.

use std::collections::BTreeMap;

use super::Failure;
use crate::cluster::{self, ClusterError};
use crate::config::{
    self, ArgoCdSettings, ForgeSettings, ProgramPlace, RegistrySettings, RenderSettings,
    RepositorySettings, RepositoryUrl, Settings,
};
use crate::daemon;
use crate::forge::{self, ForgeError};
use crate::git::{self, Remote};
use crate::login::{Clock, Environment, SourcesByPath};
use crate::plan::{Dialect, HidesBy, Origins, Web};
use crate::policy::{ConnectionName, RepositoryName};
use crate::probe::{self, ProbeError};
use crate::registry::{self, Connection, HostOptions, Options};
use crate::render::{Renderer, in_path};
use crate::world::RepositoryAddress;

/// How registries are read, as the settings say.
pub(super) fn options(settings: &Settings) -> Options {
    let hosts = settings.registries.iter().map(|(host, settings)| {
        let RegistrySettings {
            logins,
            plain_http,
            ca_file,
            client_certificate,
            proxy,
            poll_interval: _,
            kind,
            page_size,
            pace,
            requests_in_flight,
            realms,
        } = settings.clone();
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        (
            host.clone(),
            HostOptions {
                plain_http,
                connection: Connection {
                    ca_file,
                    certificate: client_certificate.map(|own| registry::ClientCertificate {
                        chain: own.certificate,
                        key: own.key,
                    }),
                    proxy: match proxy {
                        config::Proxy::Environment => registry::Proxy::Environment,
                        config::Proxy::None => registry::Proxy::None,
                        config::Proxy::At { url, login } => registry::Proxy::At { url, login },
                    },
                },
                logins,
                kind,
                page_size: page_size.map(count),
                pace,
                in_flight: requests_in_flight.map(count),
                realms,
            },
        )
    });
    let others = settings.shared_login.clone();
    Options {
        hosts: hosts.collect(),
        others: HostOptions {
            logins: others.map(SourcesByPath::from).unwrap_or_default(),
            ..HostOptions::default()
        },
        mirrors: settings.mirrors.clone().into(),
        cache: Some(settings.cache.join("registries")),
        timeouts: registry::Timeouts::default(),
        environment: Environment::default(),
        clock: Clock(daemon::now),
    }
}

/// A repository as the settings say.
pub(super) fn remote(name: &RepositoryName, settings: &RepositorySettings) -> Remote {
    let RepositorySettings {
        url,
        branch: _,
        credentials,
        ca_file,
        poll_interval: _,
        forge: _,
        depth,
        push_options,
    } = settings.clone();
    let url = match url {
        RepositoryUrl::Http(url) => git::RemoteUrl::http(url),
        RepositoryUrl::Ssh { address, login } => git::RemoteUrl::Ssh(Box::new((address, login))),
        RepositoryUrl::Local(path) => git::RemoteUrl::Local(path),
    };
    Remote {
        credentials,
        ca_file,
        depth,
        push_options,
        ..Remote::new(name.to_string(), url, Clock(daemon::now))
    }
}

/// The forge of a repository, as the settings say.
pub(super) fn forge(settings: &RepositorySettings) -> Option<forge::Options> {
    let ForgeSettings::At { place, credentials } = &settings.forge else {
        return None;
    };
    let credentials = credentials.as_deref().or(settings.credentials.as_ref());
    Some(forge::Options {
        place: place.clone(),
        credentials: credentials.cloned(),
        ca_file: settings.ca_file.clone(),
        // The settings allow it, or they would have been refused.
        plain_http: place.api.scheme() == "http",
        pace: forge::Pace::of(place.kind),
        clock: Clock(daemon::now),
    })
}

/// A connection to Argo CD, as the settings say.
pub(super) fn argo_cd(settings: &ArgoCdSettings) -> cluster::Options {
    let ArgoCdSettings {
        server,
        selector,
        refresh,
        events,
        poll_interval,
    } = settings.clone();
    cluster::Options {
        server,
        selector,
        refresh,
        events,
        pace: cluster::Pace::polling(poll_interval),
        environment: Environment::default(),
        clock: Clock(daemon::now),
    }
}

/// How the servers of checks are asked, as the settings say.
pub(super) fn probe(settings: &Settings) -> probe::Options {
    probe::Options {
        servers: settings.servers.clone(),
        pace: probe::Pace::default(),
        clock: Clock(daemon::now),
    }
}

/// How the forges of a kind write.
pub(super) fn dialect(kind: forge::Kind) -> Dialect {
    let forge::Markup { folds, hiding } = kind.markup();
    Dialect {
        length_max: kind.body_length_max(),
        folds,
        hides_by: match hiding {
            forge::Hiding::Comment => HidesBy::Comment,
            forge::Hiding::LinkDefinition => HidesBy::LinkDefinition,
        },
    }
}

/// What the settings tell of where images come from; the histories of `sources` are kept.
pub(super) fn origins<'a>(
    repositories: &BTreeMap<RepositoryName, RepositorySettings>,
    sources: impl Iterator<Item = &'a RepositoryName>,
) -> Origins {
    let mut origins = Origins::default();
    for RepositorySettings { url, forge, .. } in repositories.values() {
        let ForgeSettings::At { place, .. } = forge else {
            continue;
        };
        // Pages below a path are not addressed as those of a host of its own.
        let path = place.api.path();
        let root = path.find("/rest/api").or_else(|| path.find("/api/"));
        if root.is_some_and(|root| root > 0) {
            continue;
        }
        for address in [page(url), Some(of_place(place))].into_iter().flatten() {
            origins.add_host(&address, web(place.kind));
        }
    }
    for name in sources {
        let RepositorySettings { url, forge, .. } = &repositories[name];
        let of_forge = match forge {
            ForgeSettings::At { place, .. } => Some(of_place(place)),
            ForgeSettings::None | ForgeSettings::Unknown(_) => None,
        };
        for address in [page(url), of_forge].into_iter().flatten() {
            origins.add_history(&address, name);
        }
    }
    origins
}

/// Where each manifests repository is.
pub(super) fn repository_addresses(
    repositories: &BTreeMap<RepositoryName, RepositorySettings>,
) -> BTreeMap<RepositoryName, RepositoryAddress> {
    let address = |(name, settings): (&RepositoryName, &RepositorySettings)| {
        let url = match &settings.url {
            RepositoryUrl::Http(url) => url.to_string(),
            RepositoryUrl::Ssh { address, .. } => address.to_string(),
            RepositoryUrl::Local(path) => format!("file://{}", path.display()),
        };
        Some((name.clone(), RepositoryAddress::of(&url)?))
    };
    repositories.iter().filter_map(address).collect()
}

/// What pages are named by: they are served by https, whatever git uses.
fn page(url: &RepositoryUrl) -> Option<String> {
    match url {
        RepositoryUrl::Http(url) => Some(url.as_str().replacen("http://", "https://", 1)),
        RepositoryUrl::Ssh { address, .. } => Some(address.to_string()),
        RepositoryUrl::Local(_) => None,
    }
}

/// The page of a repository at the host of its API.
fn of_place(place: &forge::Place) -> String {
    let host = place.api.host_str().unwrap_or_default();
    let port = place.api.port().map(|port| format!(":{port}"));
    let port = port.unwrap_or_default();
    format!("https://{host}{port}/{}", place.path)
}

/// How the pages of a kind of forge are addressed.
fn web(kind: forge::Kind) -> Web {
    match kind {
        forge::Kind::Github => Web::Github,
        forge::Kind::Gitlab => Web::Gitlab,
        forge::Kind::Gitea => Web::Gitea,
        forge::Kind::BitbucketCloud => Web::BitbucketCloud,
        forge::Kind::BitbucketServer => Web::BitbucketServer,
        forge::Kind::AzureDevops => Web::AzureDevops,
    }
}

/// What renders, as the settings say; `None` where nothing does.
pub(super) fn renderer(settings: &Settings) -> Option<Renderer> {
    let RenderSettings { kustomize, helm } = &settings.render;
    let found = |place: &Option<ProgramPlace>, name: &str| match place {
        None => None,
        Some(ProgramPlace::At(file)) => Some(file.clone()),
        Some(ProgramPlace::InPath) => {
            let found = in_path(name);
            if found.is_none() {
                tracing::warn!(
                    program = name,
                    "there is no such program in PATH, so nothing is rendered by it"
                );
            }
            found
        }
    };
    let (kustomize, helm) = (found(kustomize, "kustomize"), found(helm, "helm"));
    let is_wanted = settings.render != RenderSettings::default();
    is_wanted.then(|| Renderer::new(kustomize, helm, settings.cache.join("render")))
}

pub(super) fn unmade(name: &RepositoryName, error: ForgeError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(
        anyhow::Error::new(error).context(format!("failed to set up the forge of `{name}`")),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

pub(super) fn unconnected(name: &ConnectionName, error: ClusterError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(
        anyhow::Error::new(error)
            .context(format!("failed to set up the Argo CD connection `{name}`")),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

pub(super) fn unprobed(error: ProbeError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(
        anyhow::Error::new(error).context("failed to set up what asks the servers of checks"),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

pub(super) fn unopened(name: &RepositoryName, error: git::OpenError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(
        anyhow::Error::new(error).context(format!("failed to open the mirror of `{name}`")),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
