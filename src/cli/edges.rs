//! How the edges are reached, as the settings say: registries, git servers and forges.

use super::Failure;
use crate::config::{
    self, ForgeSettings, RegistrySettings, RepositorySettings, RepositoryUrl, Settings,
};
use crate::daemon;
use crate::forge::{self, ForgeError};
use crate::git::{self, Remote};
use crate::login::{Clock, Environment, SourcesByPath};
use crate::plan::{Dialect, HidesBy};
use crate::policy::RepositoryName;
use crate::registry::{self, Connection, HostOptions, Options};

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
