//! Settings as written in, settings as used out: defaults, paths, and what keys mean together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::forms::{OneOrMany, Program, Proxy as ProxyWritten, ProxyWithLogin};
use super::logins::{
    ClusterCredentials, PullSecretCredentials, PullSecretsCredentials,
    RegistryCredentials as RegistryWritten, SecretPlace, ServiceAccountCredentials,
    SigningCredentials,
};
use super::nouns::{PolicyFiles, RegistryName};
use super::problem::Faults;
use super::raw::{self, Author, Commit, RegistryEntry, Render, RepositoryEntry};
use super::settings::{
    ClientCertificate, CommitSettings, Person, ProgramPlace, Proxy, RegistrySettings,
    RenderSettings, Settings,
};
use super::shape::{Named, Placed};
use super::source::Span;
use crate::login::{DockerConfig, Environment, PullSecrets, Purpose, Source, Which};
use crate::policy::{ConnectionName, GroupName, RepositoryName, SubjectTemplate};
use crate::secret::Secret;

/// The branch where none is named.
pub(super) const BRANCH: &str = "main";

/// Checks settings whose paths are relative to `folder`.
pub(super) fn check(raw: raw::Settings, folder: &Path, faults: &mut Faults) -> Settings {
    let raw::Settings {
        repositories,
        registries,
        docker_config,
        credentials,
        policies: _,
        freezes: _,
        trust_root: _,
        commit: written,
        render,
        cache,
        listen,
        hooks,
        leadership,
        pod_events,
        log,
        custom_resources,
        argo_cd,
        servers,
        groups,
    } = raw;
    let mut check = Check { folder, faults };
    let shared_login = check.shared_login(docker_config, credentials);
    let listen = listen.map_or(([127, 0, 0, 1], 8080).into(), |listen| listen.value);
    let mut settings = Settings {
        repositories: BTreeMap::new(),
        registries: BTreeMap::new(),
        mirrors: BTreeMap::new(),
        shared_login,
        commit: check.commit(written),
        render: check.render(render),
        cache: cache.map_or_else(default_cache, |cache| folder.join(cache.value)),
        listen,
        hooks: hooks.map(|hooks| check.hooks(hooks, listen)),
        leadership: leadership.map(|block| check.leadership(block.value)),
        pod_events: pod_events.unwrap_or(false),
        log: log.map(|block| check.log(block.value)),
        custom_resources: check.custom_resources(custom_resources, &repositories),
        argo_cd: argo_cd.map_or_else(BTreeMap::new, |named| check.argo_cd(named)),
        servers: servers.map_or_else(BTreeMap::new, |named| check.servers(named)),
        groups: people(groups),
    };
    for entry in repositories.entries {
        let Some(repository) = entry.value else {
            continue;
        };
        if let Some(repository) = check.repository(repository) {
            settings.repositories.insert(entry.key.value, repository);
        }
    }
    check.registries(registries, &mut settings);
    for limits in settings
        .custom_resources
        .iter_mut()
        .flat_map(|named| named.namespaces.values_mut())
    {
        limits.know_registries(settings.registries.keys());
    }
    for registry in settings.registries.values_mut() {
        if let Some(source) = settings.shared_login.clone() {
            registry.logins.insert(String::new(), source);
        }
    }
    settings
}

pub(super) struct Check<'a> {
    pub(super) folder: &'a Path,
    pub(super) faults: &'a mut Faults,
}

impl Check<'_> {
    fn registries(
        &mut self,
        registries: Option<Named<RegistryName, RegistryEntry>>,
        settings: &mut Settings,
    ) {
        let mut named = BTreeSet::new();
        for entry in registries.into_iter().flat_map(|named| named.entries) {
            let Some(registry) = entry.value else {
                continue;
            };
            let name = entry.key;
            if !named.insert(name.value.clone()) {
                let message = format!("the registry `{}` stands here twice", name.value);
                self.faults.error(name.span, message);
            }
            if let Some(of) = &registry.mirror_of {
                self.mirror(&name, of);
                let (mirror, of) = (name.value.to_string(), of.value.to_string());
                settings.mirrors.insert(mirror, of);
            }
            let of_host = settings.registries.entry(name.value.host.clone());
            self.registry(&name, registry, of_host.or_default());
        }
    }

    /// Refuses a mirror of itself.
    fn mirror(&mut self, name: &Placed<RegistryName>, of: &Placed<RegistryName>) {
        let below =
            |a: &RegistryName, b: &RegistryName| format!("{a}/").starts_with(&format!("{b}/"));
        if below(&of.value, &name.value) || below(&name.value, &of.value) {
            let message = format!("`{}` cannot be a mirror of `{}`", name.value, of.value);
            self.faults.error(of.span, message);
        }
    }

    /// Adds what an entry says to its host's settings; one for a part of a registry says only how to log in there, and
    /// what it mirrors.
    fn registry(
        &mut self,
        name: &Placed<RegistryName>,
        entry: RegistryEntry,
        settings: &mut RegistrySettings,
    ) {
        let RegistryEntry {
            credentials,
            plain_http,
            ca_file,
            client_certificate,
            proxy,
            poll_interval,
            kind,
            page_size,
            mirror_of: _,
            requests_per_second,
            requests_in_flight,
            realms,
        } = entry;
        let RegistryName { host, prefix } = &name.value;
        if let Some(written) = credentials {
            let source = self.source(written, name);
            if !source.is_for(host) {
                let message = format!(
                    "`{host}` is sent these credentials, though by its name it is no registry that they are for"
                );
                self.faults.warning(name.span, message);
            }
            settings.logins.insert(prefix.clone(), source);
        }
        let whole_only = [
            ("plain-http", plain_http.is_some()),
            ("ca-file", ca_file.is_some()),
            ("client-certificate", client_certificate.is_some()),
            ("proxy", proxy.is_some()),
            ("poll-interval", poll_interval.is_some()),
            ("kind", kind.is_some()),
            ("page-size", page_size.is_some()),
            ("requests-per-second", requests_per_second.is_some()),
            ("requests-in-flight", requests_in_flight.is_some()),
            ("realms", realms.is_some()),
        ];
        if !prefix.is_empty() {
            for (key, _) in whole_only.iter().filter(|(_, is_written)| *is_written) {
                let message = format!("`{key}` is for a whole registry, and this is a part of one");
                let hint = format!("write it under `{host}`");
                self.faults.error_with_hint(name.span, message, &hint);
            }
            return;
        }
        let default = RegistrySettings::default();
        *settings = RegistrySettings {
            logins: std::mem::take(&mut settings.logins),
            plain_http: plain_http.unwrap_or(default.plain_http),
            ca_file: ca_file.map(|file| self.existing(file)),
            client_certificate: client_certificate.map(|own| ClientCertificate {
                certificate: self.existing(own.certificate),
                key: self.existing(own.key),
            }),
            proxy: proxy.map_or(default.proxy, |proxy| self.proxy(proxy)),
            poll_interval: poll_interval.map_or(default.poll_interval, |interval| interval.value),
            kind: kind.map(|kind| kind.value),
            page_size: page_size.map(|size| size.0),
            pace: requests_per_second.map(|rate| rate.0),
            requests_in_flight: requests_in_flight.map(|count| count.0),
            realms: realms
                .into_iter()
                .flatten()
                .map(|realm| realm.value.0)
                .collect(),
        };
    }

    fn proxy(&mut self, written: ProxyWritten) -> Proxy {
        match written {
            ProxyWritten::None => Proxy::None,
            ProxyWritten::At(url) => Proxy::At {
                url: url.value.0,
                login: None,
            },
            ProxyWritten::WithLogin(ProxyWithLogin {
                url,
                username,
                password,
            }) => Proxy::At {
                url: url.value.0,
                login: Some((username.value, self.secret(password))),
            },
        }
    }

    fn shared_login(
        &mut self,
        docker_config: Option<Placed<String>>,
        credentials: Option<ClusterCredentials>,
    ) -> Option<Source> {
        if let (Some(file), Some(_)) = (&docker_config, &credentials) {
            let message = "`docker-config` and `credentials` cannot stand together";
            self.faults.error(file.span, message);
        }
        let file = docker_config.map(|file| Source::DockerConfig(self.docker_config(file)));
        file.or(credentials.map(|written| Source::PullSecrets(pull_secrets(written))))
    }

    fn source(&mut self, written: RegistryWritten, name: &Placed<RegistryName>) -> Source {
        match written {
            RegistryWritten::Own(own) => self.credentials(own).into(),
            RegistryWritten::Aws(written) => Source::Aws(self.aws(written.aws, name)),
            RegistryWritten::DockerConfig(file) => {
                Source::DockerConfig(self.docker_config(file.docker_config))
            }
            RegistryWritten::Azure(written) => Source::Azure(self.azure(written.azure)),
            RegistryWritten::Cluster(written) => Source::PullSecrets(pull_secrets(written)),
            RegistryWritten::GithubApp(written) => {
                Source::GithubApp(self.github_app(written.github_app, Purpose::Packages))
            }
            RegistryWritten::Google(written) => Source::Google(self.google(written.google)),
        }
    }

    /// Warns of a secret that has no value now: it may come later, and only what needs it is held.
    pub(super) fn secret(&mut self, place: SecretPlace) -> Secret {
        let (secret, span) = match place {
            SecretPlace::Env(env) => (Secret::Env(env.env.value.0), env.env.span),
            SecretPlace::File(file) => {
                let path = self.folder.join(file.file.value);
                (Secret::File(path), file.file.span)
            }
        };
        if let Err(error) = secret.read() {
            self.faults.warning(span, error.to_string());
        }
        secret
    }

    /// Warns of what is wrong with the file now: another program writes it, and may yet do so.
    fn docker_config(&mut self, file: Placed<String>) -> DockerConfig {
        let config = DockerConfig::new(self.folder.join(file.value));
        for problem in config.problems(&Environment::default()) {
            let problem = anyhow::Error::new(problem);
            self.faults.warning(file.span, format!("{problem:#}"));
        }
        config
    }

    fn commit(&mut self, written: Option<Commit>) -> CommitSettings {
        let (author, committer, subject, sign) = match written {
            Some(Commit {
                author,
                committer,
                subject,
                sign,
            }) => (author, committer, subject, sign),
            None => (None, None, None, None),
        };
        let person = |author: Author| Person {
            name: author.name.value,
            email: author.email.value,
        };
        let author = author.map_or_else(
            || Person {
                name: "towpath".to_owned(),
                email: "towpath@localhost".to_owned(),
            },
            person,
        );
        CommitSettings {
            committer: committer.map_or_else(|| author.clone(), person),
            author,
            subject: subject.map_or_else(SubjectTemplate::default, |subject| subject.value.0),
            sign: sign.map(|written| self.signing(written)),
        }
    }

    fn render(&mut self, written: Option<Render>) -> RenderSettings {
        let Some(Render { kustomize, helm }) = written else {
            return RenderSettings::default();
        };
        let mut place = |written: Option<Program>| match written? {
            Program::No => None,
            Program::InPath => Some(ProgramPlace::InPath),
            Program::At(file) => Some(ProgramPlace::At(self.existing(file))),
        };
        RenderSettings {
            kustomize: place(kustomize),
            helm: place(helm),
        }
    }

    /// Warns of a file that is not there now.
    pub(super) fn existing(&mut self, file: Placed<String>) -> PathBuf {
        let path = self.folder.join(file.value);
        if !path.is_file() {
            let message = format!("there is no file `{}`", path.display());
            self.faults.warning(file.span, message);
        }
        path
    }
}

/// The people of each group.
fn people(
    named: Option<Named<GroupName, Vec<Placed<String>>>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let groups = named.into_iter().flat_map(|named| named.entries);
    let of_group = |people: Vec<Placed<String>>| people.into_iter().map(|one| one.value).collect();
    let groups = groups.map(|group| {
        let people = group.value.map(of_group).unwrap_or_default();
        (group.key.value.as_str().to_owned(), people)
    });
    groups.collect()
}

/// The cluster is not asked: settings are checked elsewhere too.
fn pull_secrets(written: ClusterCredentials) -> PullSecrets {
    let (which, namespace) = match written {
        ClusterCredentials::One(PullSecretCredentials {
            pull_secret,
            namespace,
        }) => (Which::Named(vec![pull_secret.value.0]), namespace),
        ClusterCredentials::Several(PullSecretsCredentials {
            pull_secrets: OneOrMany(names),
            namespace,
        }) => {
            let names = names.into_iter().map(|name| name.value.value.0).collect();
            (Which::Named(names), namespace)
        }
        ClusterCredentials::Account(ServiceAccountCredentials {
            service_account,
            namespace,
        }) => (Which::ServiceAccount(service_account.value.0), namespace),
    };
    PullSecrets {
        namespace: namespace.map(|name| name.value.0),
        which,
    }
}

/// The user's cache folder, or the system's where there is no user.
fn default_cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home_cache = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home_cache)
        .unwrap_or_else(|| PathBuf::from("/var/cache"))
        .join("towpath")
}

/// What the settings name, for policies to use.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The repositories, each with its branch.
    pub(super) branches: BTreeMap<RepositoryName, String>,
    /// The connections to Argo CD.
    pub(super) connections: BTreeSet<ConnectionName>,
}

/// What the settings name, for policies to use.
pub(super) fn known(raw: &raw::Settings) -> Known {
    let connections = raw.argo_cd.iter().flat_map(|named| &named.entries);
    Known {
        branches: branches(raw),
        connections: connections.map(|entry| entry.key.value.clone()).collect(),
    }
}

fn branches(raw: &raw::Settings) -> BTreeMap<RepositoryName, String> {
    let branch =
        |entry: &RepositoryEntry| entry.branch.as_ref().map(|branch| branch.value.0.clone());
    let entries = raw.repositories.entries.iter();
    let named = entries.map(|entry| {
        let branch = entry.value.as_ref().and_then(branch);
        (
            entry.key.value.clone(),
            branch.unwrap_or_else(|| BRANCH.to_owned()),
        )
    });
    named.collect()
}

/// Where the settings say that forges sign commits.
pub(super) fn forge_signs(raw: &raw::Settings) -> Option<Span> {
    match raw.commit.as_ref()?.sign.as_ref()? {
        SigningCredentials::Forge(place) => Some(*place),
        SigningCredentials::Ssh(_) | SigningCredentials::OpenPgp(_) => None,
    }
}

/// Where the settings name files and folders with policies.
pub(super) fn policy_entries(raw: &raw::Settings) -> Vec<(PathBuf, Span)> {
    let entry = |entry: &Placed<String>| (PathBuf::from(&entry.value), entry.span);
    let PolicyFiles(written) = &raw.policies;
    written.iter().map(entry).collect()
}
