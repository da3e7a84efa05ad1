//! Where the pull requests of a repository are: read off its address, as far as the settings do not say it.

use std::collections::{BTreeMap, BTreeSet};

use super::check_settings::Check;
use super::forms::Forge;
use super::logins::RepositoryCredentials;
use super::problem::Faults;
use super::settings::{ForgeSettings, RepositorySettings, RepositoryUrl, Settings};
use super::source::Span;
use crate::forge::{Place, PlaceError};
use crate::login::{Purpose, Source};
use crate::policy::{Policy, RepositoryName};

/// Why a pull request may not come to be.
pub(super) enum Doubt {
    /// It cannot be told where.
    Unknown(PlaceError),
    /// The API would be asked without a login.
    Anonymous,
    /// It has no forge: branches are merged by hand.
    Nowhere,
}

/// Refuses `sign: forge`, which stands at `place`, where a forge of a repository that policies promote to signs nothing.
pub(super) fn check_signatures<'p>(
    settings: &Settings,
    place: Span,
    policies: impl Iterator<Item = &'p Policy>,
    faults: &mut Faults,
) {
    let used: BTreeSet<_> = policies.map(|policy| &policy.repository).collect();
    for name in used {
        let Some(RepositorySettings {
            forge, credentials, ..
        }) = settings.repositories.get(name)
        else {
            continue;
        };
        let key = "sign with a key (`ssh-key`), which every forge takes";
        let (message, hint) = match forge {
            ForgeSettings::None => (
                format!("`{name}` has no forge that could sign"),
                key.to_owned(),
            ),
            ForgeSettings::Unknown(why) => (
                format!("no forge is known for `{name}`: {why}"),
                format!("in the settings of `{name}`, name the product, such as `forge: gitlab`"),
            ),
            ForgeSettings::At { place, .. } if !place.kind.signs_commits() => (
                format!(
                    "`{name}` is on {}, which signs no commits by its API",
                    place.kind
                ),
                key.to_owned(),
            ),
            ForgeSettings::At {
                credentials: None, ..
            } if credentials.is_none() => (
                format!(
                    "`{name}` names no login for the API of its forge, which makes the commits"
                ),
                format!("write `credentials` under the `forge` of `{name}`, or of `{name}` itself"),
            ),
            ForgeSettings::At { .. } => continue,
        };
        faults.error_with_hint(place, message, hint);
    }
}

/// The repositories where a pull request may not come to be.
pub(super) fn doubts(settings: &Settings) -> BTreeMap<RepositoryName, Doubt> {
    let repositories = settings.repositories.iter();
    let doubts = repositories.filter_map(|(name, settings)| {
        let doubt = match (&settings.forge, &settings.url) {
            (ForgeSettings::Unknown(why), _) => Doubt::Unknown(why.clone()),
            (
                ForgeSettings::At {
                    credentials: None, ..
                },
                RepositoryUrl::Ssh { .. },
            ) => Doubt::Anonymous,
            (ForgeSettings::None, _) => Doubt::Nowhere,
            (ForgeSettings::At { .. }, _) => return None,
        };
        Some((name.clone(), doubt))
    });
    doubts.collect()
}

impl Check<'_> {
    pub(super) fn forge(
        &mut self,
        written: Option<Forge>,
        (repository, plain_http): (&RepositoryUrl, Option<bool>),
    ) -> ForgeSettings {
        let address = match repository {
            RepositoryUrl::Http(url) => url.to_string(),
            RepositoryUrl::Ssh { address, login: _ } => address.to_string(),
            RepositoryUrl::Local(_) if written.is_none() => return ForgeSettings::None,
            RepositoryUrl::Local(_) => String::new(),
        };
        let (kind, api, path, credentials) = match written {
            Some(Forge::None) => return ForgeSettings::None,
            Some(Forge::At(entry)) => (entry.kind, entry.url, entry.repository, entry.credentials),
            None => (None, None, None, None),
        };
        let credentials = credentials.and_then(|written| match written {
            RepositoryCredentials::Own(own) => Some(self.credentials(own).into()),
            RepositoryCredentials::GithubApp(app) => {
                let app = self.github_app(app.github_app, Purpose::Repository);
                Some(Source::GithubApp(app))
            }
            RepositoryCredentials::Ssh(key) => {
                let message = "a forge is asked over HTTP, where `ssh-key` opens nothing";
                let hint = "write `token`, or `github-app`";
                self.faults
                    .error_with_hint(key.ssh_key.span(), message, hint);
                None
            }
        });
        if let Some(api) = &api
            && api.value.0.scheme() == "http"
            && plain_http != Some(true)
        {
            self.faults.error_with_hint(
                api.part(Some(0.."http".len())),
                "this URL has no TLS, so anyone on the way can read and change what is sent",
                "use https, or allow it with `plain-http: true`",
            );
        }
        let kind = kind.map(|kind| kind.value);
        let told = match (kind, &api, &path) {
            // All is said.
            (Some(kind), Some(api), Some(path)) => Ok(Place {
                kind,
                api: api.value.0.clone(),
                path: path.value.clone(),
            }),
            _ => Place::parse(kind, &address),
        };
        match told {
            Ok(place) => ForgeSettings::At {
                place: Place {
                    api: api.map_or(place.api, |api| api.value.0),
                    path: path.map_or(place.path, |path| path.value),
                    ..place
                },
                credentials: credentials.map(Box::new),
            },
            Err(error) => ForgeSettings::Unknown(error),
        }
    }
}
