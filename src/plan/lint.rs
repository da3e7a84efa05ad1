//! A second look at a finished plan, in every test and in production: what must hold of any plan, whatever
//! the decisions were.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use super::{Change, PlannedCommit, ProposalChange, Scope};
use crate::image::Tag;
use crate::ledger::Promotion;
use crate::manifest::RepoPath;
use crate::policy::{Environment, EnvironmentName, PolicyName};
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

/// The environments of the policies that promote.
type Environments<'a> = HashMap<(&'a PolicyName, &'a EnvironmentName), &'a Environment>;

/// Finds breaches, and drops the changes that hold one.
pub(super) fn lint(
    scope: &Scope<'_>,
    world: &World,
    (changes, proposals): (&mut Vec<Change>, &mut Vec<ProposalChange>),
) -> Vec<Breach> {
    let of_changes = changes.iter().flat_map(|change| &change.commits);
    let rebuilt = proposals.iter().filter_map(|p| p.rebuild.as_ref());
    let planned = of_changes.chain(rebuilt.map(|rebuild| &rebuild.commit));
    let promotions = planned.flat_map(|commit| &commit.promotions);
    let promoted: HashSet<PolicyName> = promotions.map(|p| p.policy.clone()).collect();
    let policies = scope.policies.iter();
    let policies = policies.filter(|policy| promoted.contains(&policy.name));
    let environments: Environments<'_> = policies
        .flat_map(|policy| policy.environments.iter().map(move |e| (policy, e)))
        .map(|(policy, environment)| ((&policy.name, &environment.name), environment))
        .collect();
    let mut breaches = Vec::new();
    let mut is_sound = |commits: &[&PlannedCommit]| {
        let before = breaches.len();
        let mut seen = BTreeSet::new();
        for promotion in commits.iter().flat_map(|commit| &commit.promotions) {
            let Promotion {
                policy,
                environment,
                images: _,
                gates: _,
            } = promotion;
            if !seen.insert((policy, environment)) {
                breaches.push(Breach::EnvironmentTwice {
                    policy: policy.clone(),
                    environment: environment.clone(),
                });
            }
        }
        for commit in commits {
            breaches.extend(breaches_of(&environments, world, commit));
        }
        breaches.len() == before
    };
    changes.retain(|change| is_sound(&change.commits.iter().collect::<Vec<_>>()));
    proposals.retain(|proposal| {
        let rebuild = proposal.rebuild.iter();
        is_sound(&rebuild.map(|rebuild| &rebuild.commit).collect::<Vec<_>>())
    });
    breaches
}

fn breaches_of(
    environments: &Environments<'_>,
    world: &World,
    commit: &PlannedCommit,
) -> Vec<Breach> {
    let sites: BTreeSet<RepoPath> = commit
        .promotions
        .iter()
        .filter_map(|promotion| environments.get(&(&promotion.policy, &promotion.environment)))
        .flat_map(|environment| &environment.update)
        .flat_map(|update| update.site.files())
        .collect();
    let policy = &commit.promotions[0].policy;
    let outside = commit.files.keys().filter(|file| !sites.contains(file));
    let files = outside.map(|file| Breach::FileOutsideSites {
        policy: policy.clone(),
        file: file.clone(),
    });

    let moves = commit.promotions.iter().flat_map(|promotion| {
        let images = promotion.images.values();
        images.map(move |moved| (&promotion.policy, moved))
    });
    let unlisted = moves.filter(|(_, moved)| {
        let facts = world.images.get(&moved.repository);
        let listing = facts.map(|facts| &facts.listing);
        !matches!(listing, Some(Fact::Known(listing)) if listing.tags.contains(&moved.tag))
    });
    let tags = unlisted.map(|(policy, moved)| Breach::TagNotListed {
        policy: policy.clone(),
        tag: moved.tag.clone(),
    });
    files.chain(tags).collect()
}
