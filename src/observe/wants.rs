//! What has to be read for a set of policies.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::manifest::RepoPath;
use crate::policy::{Policy, RepositoryName};
use crate::world::BranchName;

/// What has to be read, each thing once however many policies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) images: BTreeSet<Repository>,
    /// The branches of each manifests repository, and the files that may hold a site there.
    pub(crate) branches: BTreeMap<RepositoryName, BTreeMap<String, BTreeSet<RepoPath>>>,
}

impl Wants {
    /// What `policies` need; `branches` holds the default branch of each manifests repository.
    pub(crate) fn of(policies: &[Policy], branches: &BTreeMap<RepositoryName, String>) -> Self {
        let mut wants = Self::default();
        for policy in policies {
            wants
                .images
                .extend(policy.images.values().map(|image| image.repository.clone()));
            let of_repository = wants.branches.entry(policy.repository.clone()).or_default();
            for environment in &policy.environments {
                let branch = environment.branch(&branches[&policy.repository]).to_owned();
                let files = environment
                    .update
                    .iter()
                    .flat_map(|update| update.site.files());
                of_repository.entry(branch).or_default().extend(files);
            }
        }
        wants
    }

    /// The files that are wanted of a branch, if it is.
    pub(crate) fn files(&self, name: &BranchName) -> Option<&BTreeSet<RepoPath>> {
        self.branches.get(&name.repository)?.get(&name.branch)
    }
}
