//! The policies that fleets have, by the folders that there are.
//!
//! Invariant: a name has one policy or none. What keeps a fleet or a folder from its policy is told, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::{Fleet, WrittenIn};
use crate::policy::{Policy, PolicyName, RepositoryName};
use crate::world::{BranchName, Fact, Folders};

/// What is known of folders.
pub(crate) type Listed = BTreeMap<Folders, Fact<BTreeSet<String>>>;

/// All policies that there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expansion {
    /// By name.
    pub(crate) policies: Vec<Policy>,
    /// The policies of each fleet that is a custom resource.
    pub(crate) members: BTreeMap<PolicyName, BTreeSet<PolicyName>>,
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
    /// A custom resource would have a policy of a name that a fleet of the files has, or an older resource.
    Taken { name: PolicyName, by: WrittenIn },
}

impl Trouble {
    /// Whether it keeps from being promoted what should be.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Unlisted { .. } | Self::Disputed { .. } | Self::Taken { .. } => true,
            Self::Empty { .. } | Self::Unfit { .. } => false,
        }
    }
}

impl Trouble {
    /// The policy or fleet that it is about, as it is written.
    pub(crate) fn about(&self) -> &str {
        match self {
            Self::Unlisted { fleet, .. }
            | Self::Empty { fleet, .. }
            | Self::Unfit { fleet, .. } => fleet.as_str(),
            Self::Disputed { name, .. } => name.as_str(),
            Self::Taken { name, by } => match by {
                WrittenIn::File(_) => name.as_str(),
                WrittenIn::Resource { id, .. } => &id.name,
            },
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
            Self::Taken { name, by } => write!(
                f,
                "`{name}` of {by} stands still, since the files, or an older custom resource, have a policy of that name"
            ),
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

/// What is written, in files and in custom resources.
#[derive(Clone, Copy)]
pub(crate) struct Written<'a> {
    pub(crate) policies: &'a [Policy],
    pub(crate) fleets: &'a [Fleet],
    /// Where each of them stands.
    pub(crate) places: &'a BTreeMap<PolicyName, WrittenIn>,
}

/// All policies that are written and that fleets have. A policy that is written counts instead of one that a fleet has for its name;
/// but nothing of a custom resource counts instead of what the files have, or an older resource of another namespace.
pub(crate) fn expand(
    written: Written<'_>,
    branches: &BTreeMap<RepositoryName, String>,
    listed: &Listed,
) -> Expansion {
    let Written {
        policies,
        fleets,
        places,
    } = written;
    let age = |name: &PolicyName| match places.get(name) {
        Some(WrittenIn::Resource { number, id }) => Some((*number, id.namespace.as_str())),
        Some(WrittenIn::File(_)) | None => None,
    };
    let mut expansion = Expansion::default();
    let of_files = |policy: &&Policy| age(&policy.name).is_none();
    let plain: Vec<Policy> = policies.iter().filter(of_files).cloned().collect();
    let (of_resources, of_files): (Vec<&Fleet>, Vec<&Fleet>) = fleets
        .iter()
        .partition(|fleet| age(&fleet.sample.name).is_some());
    let disputed = of_files_alone(plain, &of_files, (branches, listed), &mut expansion);
    let names = expansion.policies.iter().map(|policy| policy.name.clone());
    let mut taken: BTreeSet<PolicyName> = names.chain(disputed).collect();

    // Which policy comes first, of which resource it is, and the policy.
    let mut offers: Vec<(usize, &PolicyName, Policy)> = Vec::new();
    let mut own: BTreeSet<(&str, &PolicyName)> = BTreeSet::new();
    for policy in policies {
        if let Some((number, namespace)) = age(&policy.name) {
            offers.push((number, &policy.name, policy.clone()));
            own.insert((namespace, &policy.name));
        }
    }
    for fleet in of_resources {
        let Some((number, namespace)) = age(&fleet.sample.name) else {
            continue;
        };
        let members = members(fleet, (branches, listed), &mut expansion.troubles);
        let is_free = |name: &PolicyName| !own.contains(&(namespace, name));
        for name in members.into_iter().filter(is_free) {
            match fleet.policy(&name) {
                Ok(policy) => offers.push((number, &fleet.sample.name, policy)),
                Err(why) => expansion.troubles.push(unfit(fleet, &name, why)),
            }
        }
    }
    offers.sort_by_key(|(number, ..)| *number);
    for (_, of, policy) in offers {
        match taken.insert(policy.name.clone()) {
            true => {
                if *of != policy.name {
                    let members = expansion.members.entry(of.clone()).or_default();
                    members.insert(policy.name.clone());
                }
                expansion.policies.push(policy);
            }
            false => expansion.troubles.push(Trouble::Taken {
                name: policy.name,
                by: places[of].clone(),
            }),
        }
    }
    expansion.policies.sort_by(|a, b| a.name.cmp(&b.name));
    expansion
}

/// The policies of the files, and of fleets in files. Gives the names that stand still, since two fleets have them.
fn of_files_alone(
    plain: Vec<Policy>,
    fleets: &[&Fleet],
    known: Known<'_>,
    expansion: &mut Expansion,
) -> Vec<PolicyName> {
    let written: BTreeSet<PolicyName> = plain.iter().map(|policy| policy.name.clone()).collect();
    let mut of_name: BTreeMap<PolicyName, Vec<&Fleet>> = BTreeMap::new();
    for fleet in fleets {
        for member in members(fleet, known, &mut expansion.troubles) {
            of_name.entry(member).or_default().push(fleet);
        }
    }
    expansion.policies = plain;
    of_name.retain(|name, _| !written.contains(name));
    let mut disputed = Vec::new();
    for (name, fleets) in of_name {
        let [fleet] = fleets[..] else {
            disputed.push(name.clone());
            let fleets = fleets.iter().map(|fleet| fleet.sample.name.clone());
            let fleets = fleets.collect();
            expansion.troubles.push(Trouble::Disputed { name, fleets });
            continue;
        };
        match fleet.policy(&name) {
            Ok(policy) => expansion.policies.push(policy),
            Err(why) => expansion.troubles.push(unfit(fleet, &name, why)),
        }
    }
    disputed
}

/// The branch of each repository, and the folders that are there.
type Known<'a> = (&'a BTreeMap<RepositoryName, String>, &'a Listed);

/// The names that the folders of a fleet give; what keeps it from having any is told.
fn members(
    fleet: &Fleet,
    (branches, listed): Known<'_>,
    troubles: &mut Vec<Trouble>,
) -> Vec<PolicyName> {
    let (folders, name) = (folders_of(fleet, branches), fleet.sample.name.clone());
    let unlisted = |why: &str| Trouble::Unlisted {
        fleet: name.clone(),
        folders: folders.clone(),
        why: why.to_owned(),
    };
    let mut members = Vec::new();
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
                    Ok(member) => members.push(member),
                    Err(error) => troubles.push(Trouble::Unfit {
                        folder: fleet.folders.folder_of(member).to_string(),
                        fleet: name.clone(),
                        why: error.to_string(),
                    }),
                }
            }
        }
    }
    members
}

fn unfit(fleet: &Fleet, name: &PolicyName, why: String) -> Trouble {
    Trouble::Unfit {
        fleet: fleet.sample.name.clone(),
        folder: fleet.folders.folder_of(name.as_str()).to_string(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value as Json, json};

    use super::{Expansion, Listed, Written, expand, folders_of};
    use crate::cluster::resources::Resource;
    use crate::config::load_with;
    use crate::world::Fact;

    const SETTINGS: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories: { deploy: { url: deploy.git } }
custom-resources: { namespaces: { team-a: {}, team-b: {} } }
policies: []
---
kind: PromotionPolicy
metadata: { name: platform }
spec:
  for-each: apps/{policy}
  repository: deploy
  images: { web: 'ghcr.io/acme/{policy}' }
  environments: [{ name: dev, tags: { semver: '*' }, update: 'apps/{policy}' }]
";

    /// A policy, or a fleet of the folders below `apps-of-NAME`.
    fn object(name: &str, is_fleet: bool) -> Json {
        let mut object = json!({
            "kind": "PromotionPolicy", "metadata": { "name": name },
            "spec": {
                "repository": "deploy", "images": { "web": "ghcr.io/acme/{policy}" },
                "environments": [{ "name": "dev", "tags": { "semver": "*" }, "update": format!("of-{name}/{{policy}}") }],
            },
        });
        if is_fleet {
            object["spec"]["for-each"] = json!(format!("of-{name}/{{policy}}"));
        }
        object
    }

    #[test]
    fn what_the_files_have_counts_and_then_what_is_older_but_for_policies_of_the_same_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("towpath.yaml");
        std::fs::write(&file, SETTINGS).unwrap();
        let made = [
            ("team-a", "api", false),
            ("team-b", "fleet-b", true),
            ("team-b", "own", false),
            ("team-a", "late", false),
            ("team-a", "fleet-a", true),
        ];
        let resource = |(number, (namespace, name, is_fleet)): (i64, &(&str, &str, bool))| {
            Resource::sample(&object(name, *is_fleet), namespace, number)
        };
        let resources: Vec<_> = (0..).zip(&made).map(resource).collect();
        let config = load_with(&file, &resources).unwrap();
        let branches = BTreeMap::from([("deploy".parse().unwrap(), "main".to_owned())]);
        let names = |fleet: &str| match fleet {
            "platform" => &["api", "web"][..],
            "fleet-b" => &["web", "own", "late", "shared"],
            _ => &["shared", "free"],
        };
        let listed = config.fleets.iter().map(|fleet| {
            let names = names(fleet.sample.name.as_str()).iter();
            let names = names.map(|name| (*name).to_owned()).collect();
            (folders_of(fleet, &branches), Fact::Known(names))
        });
        let listed: Listed = listed.collect();
        let written = Written {
            policies: &config.policies,
            fleets: &config.fleets,
            places: &config.written_in,
        };
        let Expansion {
            policies, troubles, ..
        } = expand(written, &branches, &listed);
        let path = |policy: &crate::policy::Policy| {
            let site = &policy.environments[0].update[0].site;
            site.path.to_string()
        };
        let paths: Vec<String> = policies.iter().map(path).collect();
        let expected = [
            "apps/api",
            "of-fleet-a/free",
            "of-fleet-b/late",
            "of-own/own",
            "of-fleet-b/shared",
            "apps/web",
        ];
        assert_eq!(paths, expected);
        let told: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        `api` of promotionpolicies/team-a/api stands still, since the files, or an older custom resource, have a policy of that name
        `web` of promotionpolicies/team-b/fleet-b stands still, since the files, or an older custom resource, have a policy of that name
        `late` of promotionpolicies/team-a/late stands still, since the files, or an older custom resource, have a policy of that name
        `shared` of promotionpolicies/team-a/fleet-a stands still, since the files, or an older custom resource, have a policy of that name
        ");
    }
}
