//! The policies that fleets have, by the folders that there are.
//!
//! Invariant: a name has one policy or none. What keeps a fleet or a folder from its policy is told, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::Fleet;
use crate::policy::{Policy, PolicyName, RepositoryName};
use crate::world::{BranchName, Fact, Folders};

/// What is known of folders.
pub(crate) type Listed = BTreeMap<Folders, Fact<BTreeSet<String>>>;

/// All policies that there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expansion {
    /// By name.
    pub(crate) policies: Vec<Policy>,
    pub(crate) troubles: Vec<Trouble>,
}

/// Why a fleet has fewer policies than somebody may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The folders of a fleet could not be read.
    Unlisted {
        fleet: PolicyName,
        folders: Folders,
        why: String,
    },
    /// There are no folders.
    Empty { fleet: PolicyName, folders: Folders },
    /// The name of a folder is no name of a policy, or does not fit where it is to stand.
    Unfit {
        fleet: PolicyName,
        folder: String,
        why: String,
    },
    /// Two fleets have a folder of this name.
    Disputed {
        name: PolicyName,
        fleets: Vec<PolicyName>,
    },
}

impl Trouble {
    /// Whether it keeps from being promoted what should be.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Unlisted { .. } | Self::Disputed { .. } => true,
            Self::Empty { .. } | Self::Unfit { .. } => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted {
                fleet,
                folders,
                why,
            } => write!(
                f,
                "the fleet `{fleet}` has no policies until its folders {folders} can be read: {why}"
            ),
            Self::Empty { fleet, folders } => write!(
                f,
                "the fleet `{fleet}` has no policies, since there are no folders {folders}"
            ),
            Self::Unfit { fleet, folder, why } => write!(
                f,
                "the folder `{folder}` has no policy in the fleet `{fleet}`: {why}"
            ),
            Self::Disputed { name, fleets } => {
                let fleets: Vec<String> = fleets.iter().map(|fleet| format!("`{fleet}`")).collect();
                write!(
                    f,
                    "`{name}` stands still, since it has a folder in several fleets: {}; a policy of its own, by this name, would count instead",
                    fleets.join(", ")
                )
            }
        }
    }
}

/// The folders that a fleet has a policy for each of.
pub(crate) fn folders_of(fleet: &Fleet, branches: &BTreeMap<RepositoryName, String>) -> Folders {
    let repository = fleet.sample.repository.clone();
    Folders {
        branch: BranchName {
            branch: branches[&repository].clone(),
            repository,
        },
        pattern: fleet.folders.clone(),
    }
}

/// The policies of `plain` and of `fleets`. A policy that is written counts instead of one that a fleet has for its name.
pub(crate) fn expand(
    (plain, fleets): (&[Policy], &[Fleet]),
    branches: &BTreeMap<RepositoryName, String>,
    listed: &Listed,
) -> Expansion {
    let written: BTreeSet<&PolicyName> = plain.iter().map(|policy| &policy.name).collect();
    let mut of_name: BTreeMap<PolicyName, Vec<&Fleet>> = BTreeMap::new();
    let mut troubles = Vec::new();
    for fleet in fleets {
        let (folders, name) = (folders_of(fleet, branches), fleet.sample.name.clone());
        let unlisted = |why: &str| Trouble::Unlisted {
            fleet: name.clone(),
            folders: folders.clone(),
            why: why.to_owned(),
        };
        match listed.get(&folders) {
            None => troubles.push(unlisted("they have not been listed")),
            Some(Fact::Unknown { why }) => troubles.push(unlisted(why)),
            Some(Fact::Known(names)) if names.is_empty() => troubles.push(Trouble::Empty {
                fleet: name,
                folders,
            }),
            Some(Fact::Known(names)) => {
                for member in names {
                    match member.parse::<PolicyName>() {
                        Ok(member) => of_name.entry(member).or_default().push(fleet),
                        Err(error) => troubles.push(Trouble::Unfit {
                            folder: fleet.folders.folder_of(member).to_string(),
                            fleet: name.clone(),
                            why: error.to_string(),
                        }),
                    }
                }
            }
        }
    }
    let mut policies = plain.to_vec();
    of_name.retain(|name, _| !written.contains(name));
    for (name, fleets) in of_name {
        let [fleet] = fleets[..] else {
            let fleets = fleets.iter().map(|fleet| fleet.sample.name.clone());
            let fleets = fleets.collect();
            troubles.push(Trouble::Disputed { name, fleets });
            continue;
        };
        match fleet.policy(&name) {
            Ok(policy) => policies.push(policy),
            Err(why) => troubles.push(Trouble::Unfit {
                fleet: fleet.sample.name.clone(),
                folder: fleet.folders.folder_of(name.as_str()).to_string(),
                why,
            }),
        }
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    Expansion { policies, troubles }
}
