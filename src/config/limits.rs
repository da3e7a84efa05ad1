//! How far the policies of one namespace may go: what the settings let its custom resources name, write and ask.
//!
//! Not here: what no resource may say at all, such as the path of a file beside the settings (`gates/signature`).
//! Invariant: a policy that came from a resource, or a fleet of one, exists only within the limits of its namespace.

use std::collections::BTreeSet;
use std::fmt;

use url::Url;

use super::forms::OneOrMany;
use super::servers::{ServerName, host_of};
use super::shape::{Leaf, Placed, Refusal, shape};
use crate::image::Repository;
use crate::policy::gate::checks::Ask;
use crate::policy::{Deliver, Environment, Glob, HEAD_PREFIX, Policy, RepositoryName};

shape! {
    /// How far the policies of a namespace may go. Nothing means: to all repositories and registries that the settings name, and to no server.
    struct NamespaceEntry or "`{}` sets no limits, `{ paths: apps/team-a }` some" {
        /// The repositories of the settings that its policies may name, as manifests repository or as source: `deploy`, or a list. Default: all.
        repositories: Option<OneOrMany<Placed<RepositoryName>>> = "repositories",
        /// The branches that they may write, as globs: `main`, `["main", "env/*"]`. Default: all.
        branches: Option<OneOrMany<Placed<PathGlob>>> = "branches",
        /// The folders and files that they may write, as globs; what lies below counts: `apps/team-a`, `["apps/team-a-*"]`. Default: all.
        paths: Option<OneOrMany<Placed<PathGlob>>> = "paths",
        /// The images that they may name, as globs of their full names (`docker.io/library/nginx`); what lies below counts: `ghcr.io/acme/team-a`; `**` are all. Default: those of the hosts that the settings name under `registries`.
        images: Option<OneOrMany<Placed<PathGlob>>> = "images",
        /// The servers that their checks may ask, by host, with the logins that the settings have for them: `prometheus.example.com`. Default: none.
        servers: Option<OneOrMany<Placed<ServerName>>> = "servers",
    }
}

/// A glob of paths, in which `*` ends at a `/` and `**` does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathGlob(Glob);

/// How far the policies of one namespace may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    namespace: String,
    repositories: Option<BTreeSet<RepositoryName>>,
    branches: Option<Vec<PathGlob>>,
    paths: Option<Vec<PathGlob>>,
    images: Option<Vec<PathGlob>>,
    /// The hosts of the registries that the settings name, whose images count where nothing is said of images.
    registries: BTreeSet<String>,
    servers: BTreeSet<String>,
}

/// What a policy goes beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beyond {
    /// The key of `spec` under which that stands, unless it stands in a route.
    pub(super) key: &'static str,
    /// What the policy would do.
    pub(super) message: String,
    pub(super) hint: String,
}

impl Leaf for PathGlob {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let written = text.trim_end_matches('/');
        if written.is_empty() || written.starts_with('/') {
            return Err(Refusal::new(format!("`{text}` is no path of a repository"))
                .hint("write it from the root of the repository: `apps/team-a`"));
        }
        Glob::of_paths(written)
            .map(Self)
            .map_err(|why| Refusal::new(format!("`{text}` is not a glob: {why}")))
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Limits {
    pub(super) fn new(namespace: &str, entry: NamespaceEntry) -> Self {
        let NamespaceEntry {
            repositories,
            branches,
            paths,
            images,
            servers,
        } = entry;
        fn values<T>(written: Option<OneOrMany<Placed<T>>>) -> Option<Vec<T>> {
            let OneOrMany(all) = written?;
            Some(all.into_iter().map(|one| one.value.value).collect())
        }
        let servers = values(servers).unwrap_or_default().into_iter();
        Self {
            namespace: namespace.to_owned(),
            repositories: values(repositories).map(|all| all.into_iter().collect()),
            branches: values(branches),
            paths: values(paths),
            images: values(images),
            registries: BTreeSet::new(),
            servers: servers.map(|ServerName(host)| host).collect(),
        }
    }

    /// Sets which registries the settings name.
    pub(super) fn know_registries<'a>(&mut self, hosts: impl Iterator<Item = &'a String>) {
        self.registries = hosts.cloned().collect();
    }

    /// The repositories that they may name, if not all.
    pub(super) fn repositories(&self) -> Option<&BTreeSet<RepositoryName>> {
        self.repositories.as_ref()
    }

    /// Everything that `policy`, whose repository has the branch `default`, goes beyond.
    pub(super) fn judge(&self, policy: &Policy, default: Option<&String>) -> Vec<Beyond> {
        let mut beyond = self.judge_repositories(policy);
        let images = policy.images.values();
        beyond.extend(images.filter_map(|image| self.judge_image(&image.repository)));
        for environment in &policy.environments {
            beyond.extend(self.judge_branch(environment, default));
            beyond.extend(self.judge_paths(environment));
            beyond.extend(self.judge_checks(environment));
        }
        beyond
    }

    fn judge_image(&self, image: &Repository) -> Option<Beyond> {
        let name = image.to_string();
        let does = || format!("the image `{name}` is not one that may be named here");
        let Some(globs) = self.images.as_deref() else {
            let is_known = self.registries.contains(image.registry());
            return match is_known {
                true => None,
                // Else whoever writes resources could have us ask any host.
                false => Some(Beyond {
                    key: "images",
                    message: does(),
                    hint: format!(
                        "without `custom-resources.namespaces.{}.images` in the settings, only those of the registries that `registries` names may be",
                        self.namespace
                    ),
                }),
            };
        };
        match allows(Some(globs), &name) {
            true => None,
            false => Some(self.beyond(("images", does()), "images", shown(Some(globs)))),
        }
    }

    /// The same of what all policies of a fleet have in common, whatever their names are.
    pub(super) fn judge_repositories(&self, policy: &Policy) -> Vec<Beyond> {
        let Some(allowed) = &self.repositories else {
            return Vec::new();
        };
        let rules = policy
            .environments
            .iter()
            .flat_map(|one| one.rules.values());
        let sources = rules.filter_map(|rule| rule.source());
        let sources = sources.map(|source| ("environments", &source.repository));
        let own = std::iter::once(("repository", &policy.repository));
        let named: BTreeSet<_> = own.chain(sources).collect();
        let beyond = named
            .into_iter()
            .filter(|(_, name)| !allowed.contains(*name));
        let told = beyond.map(|(key, name)| {
            let does = format!("the repository `{name}` is not one that may be named here");
            let names = allowed.iter().map(|name| format!("`{name}`"));
            self.beyond((key, does), "repositories", names.collect())
        });
        told.collect()
    }

    fn judge_branch(&self, environment: &Environment, default: Option<&String>) -> Option<Beyond> {
        let own = match &environment.deliver {
            Deliver::Commit { branch } => branch.as_ref(),
            Deliver::PullRequest(requests) => requests.branch.as_ref(),
        };
        let branch = own.or(default)?;
        let does = format!("`{}` may not write the branch `{branch}`", environment.name);
        if own.is_some() && branch.starts_with(HEAD_PREFIX) {
            return Some(Beyond {
                key: "environments",
                message: does,
                hint: format!(
                    "what starts with `{HEAD_PREFIX}` is for proposals, of other policies too"
                ),
            });
        }
        let branches = self.branches.as_deref();
        let beyond = || self.beyond(("environments", does), "branches", shown(branches));
        (!allows(branches, branch)).then(beyond)
    }

    fn judge_paths(&self, environment: &Environment) -> impl Iterator<Item = Beyond> {
        let paths = self.paths.as_deref();
        // A folder may have one of several files; one of them tells enough.
        let beyond = environment.update.iter().filter_map(move |update| {
            let mut files = update.site.files().into_iter();
            files.find(|file| !allows(paths, file.as_str()))
        });
        beyond.map(move |file| {
            let does = format!("`{}` may not write `{file}`", environment.name);
            self.beyond(("environments", does), "paths", shown(paths))
        })
    }

    fn judge_checks(&self, environment: &Environment) -> impl Iterator<Item = Beyond> {
        environment.gates.checks.iter().filter_map(|check| {
            let (Ask::Http { url, .. } | Ask::Prometheus { url, .. }) = &check.ask;
            let url = url.to_string();
            let host = url.parse::<Url>().ok().as_ref().and_then(host_of);
            if host
                .as_ref()
                .is_some_and(|host| self.servers.contains(host))
            {
                return None;
            }
            let (name, host) = (&environment.name, host.unwrap_or(url));
            let does = format!(
                "the check `{}` of `{name}` may not ask `{host}`",
                check.name
            );
            let servers = self.servers.iter().map(|host| format!("`{host}`"));
            Some(self.beyond(("environments", does), "servers", servers.collect()))
        })
    }

    fn beyond(
        &self,
        (key, message): (&'static str, String),
        limit: &str,
        allowed: Vec<String>,
    ) -> Beyond {
        let Self { namespace, .. } = self;
        let allowed = match allowed.is_empty() {
            true => "none".to_owned(),
            false => allowed.join(", "),
        };
        Beyond {
            key,
            message,
            hint: format!(
                "`custom-resources.namespaces.{namespace}.{limit}` of the settings says which: {allowed}"
            ),
        }
    }
}

/// Whether `path`, or a folder that it lies in, is one of those that are meant; `None` means all.
fn allows(globs: Option<&[PathGlob]>, path: &str) -> bool {
    let Some(globs) = globs else {
        return true;
    };
    let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
    let mut places = folders.chain([path]);
    places.any(|place| globs.iter().any(|PathGlob(glob)| glob.is_match(place)))
}

fn shown(globs: Option<&[PathGlob]>) -> Vec<String> {
    let globs = globs.unwrap_or_default().iter();
    globs.map(ToString::to_string).collect()
}
