//! `towpath run`: the daemon. The only place that builds the edges from the settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::failure::Kind;
use super::{ConfigArgs, Failure};
use crate::apply::Signature;
use crate::config::{self, Config, RegistrySettings, RepositorySettings, Settings};
use crate::daemon::{self, Hands, Intervals, Work};
use crate::git::{Mirror, Remote};
use crate::observe::{Sources, Wants};
use crate::plan::{Scope, SubjectTemplate};
use crate::policy::{Policy, RepositoryName};
use crate::registry::{HostOptions, Options, Registry};
use crate::web::{self, Health};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Checked settings and policies, nothing connected yet.
pub(super) struct Setup {
    pub(super) settings: Settings,
    pub(super) policies: Vec<Policy>,
    /// The branch of each manifests repository.
    branches: BTreeMap<RepositoryName, String>,
    subject: SubjectTemplate,
    signature: Signature,
}

/// The edges, connected as the settings say.
pub(super) struct Live {
    pub(super) sources: Arc<Sources>,
    pub(super) wants: Wants,
}

impl Setup {
    /// Loads and checks the settings in `file` and the policies that they name.
    pub(super) fn load(file: &Path) -> Result<Self, Failure> {
        config::load(file).map(Self::new).map_err(|problems| Failure::config(&problems))
    }

    fn new(config: Config) -> Self {
        let Config { settings, policies, .. } = config;
        let branch = |(name, repository): (&RepositoryName, &RepositorySettings)| {
            (name.clone(), repository.branch.clone())
        };
        let branches = settings.repositories.iter().map(branch).collect();
        let commit = &settings.commit;
        let signature = Signature { author: commit.author.clone(), committer: commit.committer.clone() };
        Self { branches, subject: commit.subject.clone(), signature, settings, policies }
    }

    /// Keeps the policies of these names; none named means all.
    pub(super) fn only(mut self, names: &[String]) -> Result<Self, Failure> {
        if let Some(unknown) = names.iter().find(|name| !self.policies.iter().any(|p| p.name.as_str() == *name)) {
            let known: Vec<String> = self.policies.iter().map(|policy| format!("`{}`", policy.name)).collect();
            let hint = format!("the policies are {}", known.join(", "));
            return Err(Failure::usage(format!("there is no policy `{unknown}`")).with_hint(hint));
        }
        if !names.is_empty() {
            self.policies.retain(|policy| names.iter().any(|name| name == policy.name.as_str()));
        }
        Ok(self)
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { policies: &self.policies, branches: &self.branches, subject: &self.subject }
    }

    /// Opens the mirrors and makes the registry client. Nothing is asked of any server yet.
    pub(super) async fn connect(&self) -> Result<Live, Failure> {
        let wants = Wants::of(&self.policies, &self.branches);
        let cache = cache_folder(&self.settings);
        let registry = registry(&self.settings, &cache);
        let mut mirrors = BTreeMap::new();
        for name in wants.branches.keys() {
            let settings = &self.settings.repositories[name];
            let folder = cache.join("mirrors").join(name.as_str());
            let mirror = Mirror::open(remote(name, settings), folder)
                .with_context(|| format!("failed to open the mirror of `{name}`"))?;
            mirrors.insert(name.clone(), mirror);
        }
        Ok(Live { sources: Arc::new(Sources::new(registry, mirrors)), wants })
    }
}

impl Live {
    pub(super) fn hands<'a>(&'a self, setup: &'a Setup) -> Hands<'a> {
        Hands {
            scope: setup.scope(),
            sources: &self.sources,
            wants: &self.wants,
            signature: &setup.signature,
            clock: daemon::now,
        }
    }
}
