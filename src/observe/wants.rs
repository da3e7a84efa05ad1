//! What has to be read for a set of policies.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Repository;
use crate::manifest::RepoPath;
use crate::policy::select::PushUse;
use crate::policy::{Deliver, Policy, RepositoryName, SourceBranch};
use crate::world::{BranchName, Folders};

/// What has to be read, each thing once however many policies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) images: BTreeSet<Repository>,
    /// The image repositories with a policy that push times may order: all that do not stand here need none.
    pub(crate) pushes: BTreeMap<Repository, PushUse>,
    /// The branches of each manifests repository, and the files that may hold a site there.
    pub(crate) branches: BTreeMap<RepositoryName, BTreeMap<String, BTreeSet<RepoPath>>>,
    /// The folders of each manifests repository that fleets have a policy for each of.
    pub(crate) folders: BTreeMap<RepositoryName, BTreeSet<Folders>>,
    /// The branches of the proposals that each manifests repository may have.
    pub(crate) proposals: BTreeMap<RepositoryName, BTreeSet<String>>,
    /// Those of these that people approve at the forge.
    pub(crate) approvals: BTreeMap<RepositoryName, BTreeSet<String>>,
    /// The branches of each source repository whose history orders tags.
    pub(crate) sources: BTreeMap<RepositoryName, BTreeSet<String>>,
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
            // The holds stand there, whichever branches the promotions go to.
            let own_branch = branches[&policy.repository].clone();
            of_repository.entry(own_branch).or_default();
            for environment in &policy.environments {
                for (name, image) in &policy.images {
                    let is_written = environment.sites_of(name).next().is_some();
                    if let Some(source) = environment.rules[name].source().filter(|_| is_written) {
                        let SourceBranch { repository, branch } = source.clone();
                        wants.sources.entry(repository).or_default().insert(branch);
                    }
                    if let Some(of_use) = environment.rules[name].push_use().filter(|_| is_written)
                    {
                        let wanted = wants.pushes.entry(image.repository.clone());
                        let wanted = wanted.or_insert(of_use);
                        // A rule that names them needs them wherever a registry tells them.
                        *wanted = (*wanted).max(of_use);
                    }
                }
                if let Deliver::PullRequest(requests) = &environment.deliver {
                    let of_repository = wants.proposals.entry(policy.repository.clone());
                    let head = requests.head(&policy.name, &environment.name);
                    of_repository.or_default().insert(head.clone());
                    if environment.gates.approvals.is_some() {
                        let of_repository = wants.approvals.entry(policy.repository.clone());
                        of_repository.or_default().insert(head);
                    }
                }
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

    /// Adds what fleets need for their policies to be known.
    pub(crate) fn with_folders(mut self, folders: impl IntoIterator<Item = Folders>) -> Self {
        for wanted in folders {
            let BranchName { repository, branch } = wanted.branch.clone();
            let branches = self.branches.entry(repository.clone()).or_default();
            branches.entry(branch).or_default();
            self.folders.entry(repository).or_default().insert(wanted);
        }
        self
    }

    /// Whether a fleet has a policy for each of these folders.
    pub(crate) fn has_folders(&self, folders: &Folders) -> bool {
        let wanted = self.folders.get(&folders.branch.repository);
        wanted.is_some_and(|wanted| wanted.contains(folders))
    }

    /// Whether the history of a branch orders tags.
    pub(crate) fn has_source(&self, SourceBranch { repository, branch }: &SourceBranch) -> bool {
        let branches = self.sources.get(repository);
        branches.is_some_and(|branches| branches.contains(branch))
    }

    /// Whether a branch is that of a proposal.
    pub(crate) fn has_proposal(&self, name: &BranchName) -> bool {
        let branches = self.proposals.get(&name.repository);
        branches.is_some_and(|branches| branches.contains(&name.branch))
    }

    /// The files that are wanted of a branch, if it is.
    pub(crate) fn files(&self, name: &BranchName) -> Option<&BTreeSet<RepoPath>> {
        self.branches.get(&name.repository)?.get(&name.branch)
    }
}
