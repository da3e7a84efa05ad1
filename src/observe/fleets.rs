//! The policies that fleets have, by the folders that there are.
//!
//! Invariant: a name has one policy or none. What keeps a fleet or a folder from its policy is told, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::{Extent, Fleet, WrittenIn};
use crate::policy::{Policy, PolicyName, RepositoryName, Seniority};
use crate::world::{BranchName, Fact, Folders};

/// Most applications of all fleets of one namespace: as many as policies of its own, which are as much in all at most ([`Extent`]).
const MEMBERS_OF_NAMESPACE_MAX: usize = 1000;

/// Most folders without a policy that are named, of each fleet: enough to see what is wrong with them. A hundred fleets of 20,000
/// folders would have two million lines.
const UNFIT_NAMED_MAX: usize = 3;

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// As much is so for `count` more folders.
    MoreUnfit { fleet: PolicyName, count: usize },
    /// Two fleets have a folder of this name.
    Disputed {
        name: PolicyName,
        fleets: Vec<PolicyName>,
    },
    /// A custom resource would have a policy of a name that others have.
    Taken {
        name: PolicyName,
        by: WrittenIn,
        of: Owner,
    },
    /// The fleets of a namespace have too many applications, of which `beyond` of this one do not count.
    TooMany { fleet: PolicyName, beyond: usize },
}

/// Who has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Files,
    Namespace(String),
}

impl Trouble {
    /// Whether it keeps from being promoted what should be.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Unlisted { .. }
            | Self::Disputed { .. }
            | Self::Taken { .. }
            | Self::TooMany { .. } => true,
            Self::Empty { .. } | Self::Unfit { .. } | Self::MoreUnfit { .. } => false,
        }
    }
}

impl Trouble {
    /// The policy or fleet that it is about, as it is written.
    pub(crate) fn about(&self) -> &str {
        match self {
            Self::Unlisted { fleet, .. }
            | Self::Empty { fleet, .. }
            | Self::Unfit { fleet, .. }
            | Self::MoreUnfit { fleet, .. }
            | Self::TooMany { fleet, .. } => fleet.as_str(),
            Self::Disputed { name, .. } => name.as_str(),
            Self::Taken { name, by, of: _ } => match by {
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
            Self::MoreUnfit { fleet, count } => write!(
                f,
                "{count} more folders have no policy in the fleet `{fleet}`"
            ),
            Self::Disputed { name, fleets } => {
                let fleets: Vec<String> = fleets.iter().map(|fleet| format!("`{fleet}`")).collect();
                write!(
                    f,
                    "`{name}` stands still, since it has a folder in several fleets: {}; a policy of its own, by this name, would count instead",
                    fleets.join(", ")
                )
            }
            Self::Taken { name, by, of } => write!(
                f,
                "`{name}` of {by} stands still, since {of} a policy of that name"
            ),
            Self::TooMany { fleet, beyond } => write!(
                f,
                "the fleet `{fleet}` has no policy for {beyond} of its folders, since the fleets of a namespace have {MEMBERS_OF_NAMESPACE_MAX} applications at most, and as many places as its policies: the oldest fleets come first"
            ),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("the files have"),
            Self::Namespace(name) => write!(f, "the namespace `{name}` has"),
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
    /// The names of policies that do not count, which nobody else has.
    pub(crate) reserved: &'a BTreeMap<PolicyName, WrittenIn>,
}

/// What a custom resource has a name for.
struct Offer<'a> {
    /// The smaller, the older the resource is.
    number: usize,
    namespace: &'a str,
    name: PolicyName,
    what: Offered<'a>,
}

enum Offered<'a> {
    /// A policy that does not count.
    Nothing,
    Policy {
        of: &'a PolicyName,
        policy: Policy,
    },
}

/// All policies that are written and that fleets have. A policy that is written counts instead of one that a fleet has for its name:
/// else whoever adds a folder takes the branch, the pull requests and the holds of a policy, since a fleet is older than its folders.
/// But nothing of a custom resource counts instead of what the files have; of two resources that are both written, or both fleets, the
/// older counts; and where a namespace wrote what an older fleet of another one has, neither does: else it would take that one's.
pub(crate) fn expand(
    written: Written<'_>,
    branches: &BTreeMap<RepositoryName, String>,
    listed: &Listed,
) -> Expansion {
    let Written {
        policies,
        fleets,
        places,
        ..
    } = written;
    let mut expansion = Expansion::default();
    let mut troubles = Troubles::default();
    let is_of_files = |name: &PolicyName| age(places, name).is_none();
    let plain = policies.iter().filter(|policy| is_of_files(&policy.name));
    let plain: Vec<Policy> = plain.cloned().collect();
    let of_files = fleets.iter();
    let of_files: Vec<&Fleet> = of_files
        .filter(|fleet| is_of_files(&fleet.sample.name))
        .collect();
    let known = (branches, listed);
    let disputed = of_files_alone(plain, &of_files, known, (&mut expansion, &mut troubles));
    let names = expansion.policies.iter().map(|policy| policy.name.clone());
    let names = names.chain(disputed).map(|name| (name, (Owner::Files, 0)));
    let mut taken: BTreeMap<PolicyName, (Owner, usize)> = names.collect();
    let mut contested: BTreeSet<PolicyName> = BTreeSet::new();
    for offer in offers(written, known, &mut troubles) {
        let Offer {
            number,
            namespace,
            name,
            what,
        } = offer;
        let owner = Owner::Namespace(namespace.to_owned());
        let before = taken.get(&name).cloned();
        let is_later = before.as_ref().is_some_and(|(_, since)| *since > number);
        if let Some(by) = places.get(&name).filter(|_| is_later)
            && contested.insert(name.clone())
        {
            troubles.list.push(Trouble::Taken {
                name: name.clone(),
                by: by.clone(),
                of: owner.clone(),
            });
        }
        taken.entry(name.clone()).or_insert((owner, number));
        match (what, before) {
            (Offered::Nothing, _) => {}
            (Offered::Policy { of, policy }, None) => {
                if *of != name {
                    let members = expansion.members.entry(of.clone()).or_default();
                    members.insert(name);
                }
                let seniority = Seniority::Resource(number);
                expansion.policies.push(Policy {
                    seniority,
                    ..policy
                });
            }
            (Offered::Policy { of, .. }, Some((owner, _))) => troubles.list.push(Trouble::Taken {
                name,
                by: places[of].clone(),
                of: owner,
            }),
        }
    }
    expansion
        .policies
        .retain(|policy| !contested.contains(&policy.name));
    expansion.policies.sort_by(|a, b| a.name.cmp(&b.name));
    expansion.troubles = troubles.told();
    expansion
}

/// What is found to be wrong, of which no more is kept than people read.
#[derive(Default)]
struct Troubles {
    list: Vec<Trouble>,
    /// How many folders of each fleet have no policy.
    unfit: BTreeMap<PolicyName, usize>,
}

impl Troubles {
    /// Notes that a folder has no policy in its fleet.
    fn unfit(&mut self, fleet: &Fleet, name: &str, why: String) {
        let of = &fleet.sample.name;
        let count = self.unfit.entry(of.clone()).or_default();
        *count += 1;
        if *count <= UNFIT_NAMED_MAX {
            self.list.push(Trouble::Unfit {
                fleet: of.clone(),
                folder: fleet.folders.folder_of(name).to_string(),
                why,
            });
        }
    }

    fn told(self) -> Vec<Trouble> {
        let Self { mut list, unfit } = self;
        let more = unfit
            .into_iter()
            .filter(|(_, count)| *count > UNFIT_NAMED_MAX);
        list.extend(more.map(|(fleet, count)| Trouble::MoreUnfit {
            fleet,
            count: count - UNFIT_NAMED_MAX,
        }));
        list
    }
}

/// How old the custom resource of this name is, and whose; `None` for what the files have.
fn age<'a>(
    places: &'a BTreeMap<PolicyName, WrittenIn>,
    name: &PolicyName,
) -> Option<(usize, &'a str)> {
    match places.get(name) {
        Some(WrittenIn::Resource { number, id }) => Some((*number, id.namespace.as_str())),
        Some(WrittenIn::File(_)) | None => None,
    }
}

/// What the custom resources have names for: what is written, and then the applications of fleets, the oldest first of each.
fn offers<'a>(written: Written<'a>, known: Known<'_>, troubles: &mut Troubles) -> Vec<Offer<'a>> {
    let Written {
        policies,
        fleets,
        places,
        reserved,
    } = written;
    let mut offers = Vec::new();
    for name in reserved.keys() {
        let what = Offered::Nothing;
        offers.extend(Offer::of((reserved, name), name.clone(), what));
    }
    for policy in policies {
        let name = &policy.name;
        let policy = policy.clone();
        let what = Offered::Policy { of: name, policy };
        offers.extend(Offer::of((places, name), name.clone(), what));
    }
    offers.sort_by_key(|offer| offer.number);
    let own = offers.iter().map(|one| (one.namespace, one.name.clone()));
    let own: BTreeSet<(&str, PolicyName)> = own.collect();
    let mut of_resources: Vec<_> = fleets
        .iter()
        .filter_map(|fleet| Some((age(places, &fleet.sample.name)?, fleet)))
        .collect();
    of_resources.sort_by_key(|(age, _)| *age);
    let mut in_all: BTreeMap<&str, (usize, Extent)> = BTreeMap::new();
    for ((_, namespace), fleet) in of_resources {
        let of = &fleet.sample.name;
        let mut members = members(fleet, known, troubles);
        members.retain(|name| !own.contains(&(namespace, name.clone())));
        let (count, extent) = in_all.entry(namespace).or_default();
        let room = MEMBERS_OF_NAMESPACE_MAX - *count;
        let fitting = members.iter().take(room);
        let fitting = fitting.take_while(|_| extent.take(fleet.extent).is_ok());
        let fitting = fitting.count();
        if members.len() > fitting {
            let beyond = members.len() - fitting;
            let fleet = of.clone();
            troubles.list.push(Trouble::TooMany { fleet, beyond });
            members.truncate(fitting);
        }
        *count += fitting;
        for name in members {
            match fleet.policy(&name) {
                Ok(policy) => {
                    let what = Offered::Policy { of, policy };
                    offers.extend(Offer::of((places, of), name, what));
                }
                Err(why) => troubles.unfit(fleet, name.as_str(), why),
            }
        }
    }
    offers
}

impl<'a> Offer<'a> {
    /// What the resource of a name offers; nothing where the files have it.
    fn of(
        (places, of): (&'a BTreeMap<PolicyName, WrittenIn>, &PolicyName),
        name: PolicyName,
        what: Offered<'a>,
    ) -> Option<Self> {
        let (number, namespace) = age(places, of)?;
        Some(Self {
            number,
            namespace,
            name,
            what,
        })
    }
}

/// The policies of the files, and of fleets in files. Gives the names that stand still, since two fleets have them.
fn of_files_alone(
    plain: Vec<Policy>,
    fleets: &[&Fleet],
    known: Known<'_>,
    (expansion, troubles): (&mut Expansion, &mut Troubles),
) -> Vec<PolicyName> {
    let written: BTreeSet<PolicyName> = plain.iter().map(|policy| policy.name.clone()).collect();
    let mut of_name: BTreeMap<PolicyName, Vec<&Fleet>> = BTreeMap::new();
    for fleet in fleets {
        for member in members(fleet, known, troubles) {
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
            troubles.list.push(Trouble::Disputed { name, fleets });
            continue;
        };
        match fleet.policy(&name) {
            Ok(policy) => expansion.policies.push(policy),
            Err(why) => troubles.unfit(fleet, name.as_str(), why),
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
    troubles: &mut Troubles,
) -> Vec<PolicyName> {
    let (folders, name) = (folders_of(fleet, branches), fleet.sample.name.clone());
    let unlisted = |why: &str| Trouble::Unlisted {
        fleet: name.clone(),
        folders: folders.clone(),
        why: why.to_owned(),
    };
    let mut members = Vec::new();
    match listed.get(&folders) {
        None => troubles.list.push(unlisted("they have not been listed")),
        Some(Fact::Unknown { why }) => troubles.list.push(unlisted(why)),
        Some(Fact::Known(names)) if names.is_empty() => troubles.list.push(Trouble::Empty {
            fleet: name,
            folders,
        }),
        Some(Fact::Known(names)) => {
            for member in names {
                match member.parse::<PolicyName>() {
                    Ok(member) => members.push(member),
                    Err(error) => troubles.unfit(fleet, member, error.to_string()),
                }
            }
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Value as Json, json};

    use super::{Expansion, Listed, Written, expand, folders_of};
    use crate::cluster::resources::Resource;
    use crate::config::load_with;
    use crate::policy::Policy;
    use crate::world::Fact;

    const SETTINGS: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories: { deploy: { url: deploy.git } }
custom-resources: { namespaces: { team-a: {}, team-b: {} } }
registries: { ghcr.io: { poll-interval: 5m } }
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
    fn what_the_files_have_counts_and_then_what_is_written_and_then_what_older_fleets_have() {
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
            reserved: &config.reserved,
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
            "of-own/own",
            "of-fleet-b/shared",
            "apps/web",
        ];
        assert_eq!(paths, expected);
        let told: Vec<String> = troubles.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        `api` of promotionpolicies/team-a/api stands still, since the files have a policy of that name
        `late` of promotionpolicies/team-a/late stands still, since the namespace `team-b` has a policy of that name
        `late` of promotionpolicies/team-b/fleet-b stands still, since the namespace `team-a` has a policy of that name
        `web` of promotionpolicies/team-b/fleet-b stands still, since the files have a policy of that name
        `shared` of promotionpolicies/team-a/fleet-a stands still, since the namespace `team-b` has a policy of that name
        ");
    }

    /// What these resources have, where each fleet but that of the files has the folders.
    fn expanded(made: &[(&str, Json)], folders: &[String]) -> Expansion {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("towpath.yaml");
        std::fs::write(&file, SETTINGS).unwrap();
        let resources = (0..).zip(made);
        let resources: Vec<_> = resources
            .map(|(number, (namespace, object))| Resource::sample(object, namespace, number))
            .collect();
        let config = load_with(&file, &resources).unwrap();
        let branches = BTreeMap::from([("deploy".parse().unwrap(), "main".to_owned())]);
        let listed = config.fleets.iter().map(|fleet| {
            let names = match fleet.sample.name.as_str() {
                "platform" => BTreeSet::new(),
                "other" => BTreeSet::from(["own".to_owned()]),
                _ => folders.iter().cloned().collect(),
            };
            (folders_of(fleet, &branches), Fact::Known(names))
        });
        let listed: Listed = listed.collect();
        let written = Written {
            policies: &config.policies,
            fleets: &config.fleets,
            places: &config.written_in,
            reserved: &config.reserved,
        };
        expand(written, &branches, &listed)
    }

    fn told(expansion: &Expansion) -> String {
        let lines = expansion.troubles.iter().map(ToString::to_string);
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_policy_that_does_not_count_keeps_its_name_from_fleets_of_others_and_of_its_own_namespace()
    {
        let mut wrong = object("api", false);
        wrong["spec"]["repository"] = json!("nowhere");
        let of_another = [
            ("team-a", wrong.clone()),
            ("team-b", object("fleet-b", true)),
        ];
        let expansion = expanded(&of_another, &["api".to_owned()]);
        assert!(expansion.policies.is_empty());
        insta::assert_snapshot!(told(&expansion), @"
        the fleet `platform` has no policies, since there are no folders `apps/{policy}` on `main` of `deploy`
        `api` of promotionpolicies/team-b/fleet-b stands still, since the namespace `team-a` has a policy of that name
        ");
        let of_its_own = [("team-a", wrong), ("team-a", object("fleet-a", true))];
        assert!(
            expanded(&of_its_own, &["api".to_owned()])
                .policies
                .is_empty()
        );
    }

    #[test]
    fn a_namespace_has_so_many_applications_and_takes_nothing_from_another() {
        let made = [
            ("team-a", object("second", true)),
            ("team-a", object("first", true)),
            ("team-b", object("other", true)),
        ];
        let names = |count: usize| (0..count).map(|number| format!("app-{number:04}"));
        let expansion = expanded(&made[..1], &names(1000).collect::<Vec<_>>());
        assert_eq!(expansion.policies.len(), 1000);
        assert_eq!(expansion.troubles.len(), 1, "of the fleet without folders");

        let folders: Vec<String> = names(1001).collect();
        let expansion = expanded(&made, &folders);
        let members = |fleet: &str| {
            expansion
                .members
                .get(&fleet.parse().unwrap())
                .map(|all| all.len())
        };
        assert_eq!(
            (members("second"), members("first"), members("other")),
            (Some(1000), None, Some(1))
        );
        let told: Vec<String> = expansion.troubles.iter().map(ToString::to_string).collect();
        let of_many = told.iter().filter(|line| line.contains("of its folders,"));
        insta::assert_snapshot!(of_many.cloned().collect::<Vec<_>>().join("\n"), @"
        the fleet `second` has no policy for 1 of its folders, since the fleets of a namespace have 1000 applications at most, and as many places as its policies: the oldest fleets come first
        the fleet `first` has no policy for 1001 of its folders, since the fleets of a namespace have 1000 applications at most, and as many places as its policies: the oldest fleets come first
        ");
    }

    #[test]
    fn nobody_takes_the_policy_of_another_namespace_by_a_folder_nor_the_application_of_its_older_fleet_by_a_policy()
     {
        let mut wrong = object("web", false);
        wrong["spec"]["repository"] = json!("nowhere");
        let made = [
            ("team-a", object("old", true)),
            ("team-b", object("api", false)),
            ("team-b", wrong),
        ];
        let folders = ["api", "free", "web"].map(str::to_owned);
        let expansion = expanded(&made, &folders);
        let path = |one: &Policy| one.environments[0].update[0].site.path.to_string();
        let paths: Vec<String> = expansion.policies.iter().map(path).collect();
        assert_eq!(paths, ["of-old/free"]);
        insta::assert_snapshot!(told(&expansion), @"
        the fleet `platform` has no policies, since there are no folders `apps/{policy}` on `main` of `deploy`
        `api` of promotionpolicies/team-b/api stands still, since the namespace `team-a` has a policy of that name
        `api` of promotionpolicies/team-a/old stands still, since the namespace `team-b` has a policy of that name
        `web` of promotionpolicies/team-a/old stands still, since the namespace `team-b` has a policy of that name
        ");
    }

    #[test]
    fn of_many_folders_without_a_policy_some_are_named_and_the_rest_counted() {
        let folders: Vec<String> = (0..20_000)
            .map(|number| format!("No-{number:05}"))
            .collect();
        let expansion = expanded(&[("team-a", object("fleet", true))], &folders);
        insta::assert_snapshot!(told(&expansion), @"
        the fleet `platform` has no policies, since there are no folders `apps/{policy}` on `main` of `deploy`
        the folder `of-fleet/No-00000` has no policy in the fleet `fleet`: `No-00000` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit
        the folder `of-fleet/No-00001` has no policy in the fleet `fleet`: `No-00001` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit
        the folder `of-fleet/No-00002` has no policy in the fleet `fleet`: `No-00002` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit
        19997 more folders have no policy in the fleet `fleet`
        ");
        let expansion = expanded(&[("team-a", object("fleet", true))], &folders[..3]);
        assert!(!told(&expansion).contains("more"));
    }

    #[test]
    fn applications_count_with_all_that_they_write() {
        let mut fleet = object("fleet", true);
        for number in 1..4 {
            let image = format!("ghcr.io/acme/{{policy}}-{number}");
            fleet["spec"]["images"][format!("i{number}")] = json!(image);
        }
        let places = (0..10).map(|number| format!("of-fleet/{{policy}}/{number}"));
        let places: Vec<String> = places.collect();
        fleet["spec"]["environments"][0]["update"] = json!(places);
        let folders: Vec<String> = (0..501).map(|number| format!("app-{number:04}")).collect();
        let expansion = expanded(&[("team-a", fleet.clone())], &folders[..500]);
        assert_eq!(expansion.policies.len(), 500);
        let expansion = expanded(&[("team-a", fleet)], &folders);
        assert_eq!(expansion.policies.len(), 500);
        insta::assert_snapshot!(told(&expansion), @"
        the fleet `platform` has no policies, since there are no folders `apps/{policy}` on `main` of `deploy`
        the fleet `fleet` has no policy for 1 of its folders, since the fleets of a namespace have 1000 applications at most, and as many places as its policies: the oldest fleets come first
        ");
    }
}
