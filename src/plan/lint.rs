//! A second look at a finished plan, in every test and in production: what must hold of any plan, whatever
//! the decisions were.

use std::collections::BTreeSet;
use std::fmt;

use super::{Change, PlannedCommit, Scope};
use crate::image::Tag;
use crate::manifest::RepoPath;
use crate::policy::{EnvironmentName, PolicyName};
use crate::world::{Fact, World};

/// A rule that a planned commit broke: a bug of ours. The commit's branch gets no change this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// One environment would change twice in one push.
    EnvironmentTwice {
        policy: PolicyName,
        environment: EnvironmentName,
    },
    /// A file would change that none of the policy's sites names.
    FileOutsideSites { policy: PolicyName, file: RepoPath },
    /// A tag would be written that the registry did not list.
    TagNotListed { policy: PolicyName, tag: Tag },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnvironmentTwice {
                policy,
                environment,
            } => {
                write!(
                    f,
                    "the plan changes environment `{environment}` of policy `{policy}` twice"
                )
            }
            Self::FileOutsideSites { policy, file } => {
                write!(
                    f,
                    "the plan changes `{file}`, which is no site of policy `{policy}`"
                )
            }
            Self::TagNotListed { policy, tag } => {
                write!(
                    f,
                    "the plan writes tag `{tag}` for policy `{policy}`, which the registry did not list"
                )
            }
        }
    }
}

/// Finds breaches, and drops the changes that hold one.
pub(super) fn lint(scope: &Scope<'_>, world: &World, changes: &mut Vec<Change>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    changes.retain(|change| {
        let mut seen = BTreeSet::new();
        let before = breaches.len();
        for commit in &change.commits {
            let PlannedCommit { promotion, .. } = commit;
            if !seen.insert((&promotion.policy, &promotion.environment)) {
                let (policy, environment) =
                    (promotion.policy.clone(), promotion.environment.clone());
                breaches.push(Breach::EnvironmentTwice {
                    policy,
                    environment,
                });
            }
            breaches.extend(breaches_of(scope, world, commit));
        }
        breaches.len() == before
    });
    breaches
}

fn breaches_of(scope: &Scope<'_>, world: &World, commit: &PlannedCommit) -> Vec<Breach> {
    let policy = &commit.promotion.policy;
    let environments = scope
        .policies
        .iter()
        .filter(|p| p.name == *policy)
        .flat_map(|p| &p.environments);
    let sites: BTreeSet<RepoPath> = environments
        .filter(|environment| environment.name == commit.promotion.environment)
        .flat_map(|environment| {
            environment
                .update
                .iter()
                .flat_map(|update| update.site.files())
        })
        .collect();
    let outside = commit.files.keys().filter(|file| !sites.contains(file));
    let files = outside.map(|file| Breach::FileOutsideSites {
        policy: policy.clone(),
        file: file.clone(),
    });

    let unlisted = commit.promotion.images.values().filter(|moved| {
        let listing = world
            .images
            .get(&moved.repository)
            .map(|facts| &facts.listing);
        !matches!(listing, Some(Fact::Known(listing)) if listing.tags.contains_key(&moved.tag))
    });
    let tags = unlisted.map(|moved| Breach::TagNotListed {
        policy: policy.clone(),
        tag: moved.tag.clone(),
    });
    files.chain(tags).collect()
}
