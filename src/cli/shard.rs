//! Which policies this process has, where several share them.
//!
//! All policies of one manifests repository belong together: pull requests that several of them share, the places that they write,
//! what git tells of them, and branches that nobody wants any more are all looked at there and nowhere else. So a shard has whole
//! repositories, and what is not there in a shard's view is not there.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::Failure;
use super::run::Setup;
use crate::login::Environment;
use crate::policy::RepositoryName;

/// The most shards: each of them is a process with a lease of its own, renewed every two seconds.
const COUNT_MAX: u32 = 1000;

/// A part of all policies, as it is written: `2/5`, or `auto/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrittenShard {
    /// `None`: the name of the pod says.
    number: Option<u32>,
    count: u32,
}

/// A part of all policies: those of the manifests repositories whose names fall to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    /// From 1.
    number: u32,
    count: u32,
}

/// Why a shard is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "write it as `2/5`, the second of five, or as `auto/5`, by the number at the end of the pod's name; there are at most {COUNT_MAX}"
)]
pub(super) struct ParseShardError;

impl FromStr for WrittenShard {
    type Err = ParseShardError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (number, count) = s.split_once('/').ok_or(ParseShardError)?;
        let count = count.parse().map_err(|_| ParseShardError)?;
        let number = match number {
            "auto" => None,
            number => Some(number.parse().map_err(|_| ParseShardError)?),
        };
        let is_one = number.is_none_or(|number| (1..=count).contains(&number));
        match is_one && (1..=COUNT_MAX).contains(&count) {
            true => Ok(Self { number, count }),
            false => Err(ParseShardError),
        }
    }
}

impl WrittenShard {
    /// The shard of this process. A StatefulSet counts its pods from 0: `towpath-1` has the second.
    pub(super) fn here(self, environment: &Environment) -> Result<Shard, Failure> {
        let Self { number, count } = self;
        let pod = || environment.var("POD_NAME").unwrap_or_default();
        let number = match number {
            Some(number) => number,
            None => match after(&pod()).filter(|number| *number <= count) {
                Some(number) => number,
                None => {
                    let message = format!("`{}` is no pod of {count} shards", pod());
                    let hint = "set POD_NAME to the name of a StatefulSet's pod, or write the number: `--shard 2/5`";
                    return Err(Failure::usage(message).with_hint(hint));
                }
            },
        };
        Ok(Shard { number, count })
    }
}

/// The number after the ordinal at the end of a pod's name.
fn after(pod: &str) -> Option<u32> {
    let (_, ordinal) = pod.rsplit_once('-')?;
    let ordinal: u32 = ordinal.parse().ok()?;
    ordinal.checked_add(1)
}

impl Shard {
    /// Whether a manifests repository falls to it: by the first four bytes of the SHA-256 of its name, as a number, modulo the count.
    /// The name is all that counts, so that a repository stays where it is whatever else comes or goes.
    fn has(self, repository: &RepositoryName) -> bool {
        let hash = Sha256::digest(repository.as_str().as_bytes());
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        number % self.count + 1 == self.number
    }

    /// Whether it is the one that does what one of all has to do.
    pub(super) fn is_first(self) -> bool {
        self.number == 1
    }

    /// The name of its Lease, where that of all is `lease`.
    pub(super) fn lease(self, lease: &str) -> String {
        format!("{lease}-{}-of-{}", self.number, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl Setup {
    /// Keeps what falls to `shard`, if there is one. Settings and policies were checked as a whole before.
    pub(super) fn of_shard(mut self, shard: Option<Shard>) -> Self {
        let Some(shard) = shard else {
            return self;
        };
        self.shard = Some(shard);
        self.fleets
            .retain(|fleet| shard.has(&fleet.sample.repository));
        self.drop_others();
        let of_policies = self.policies.iter().map(|policy| &policy.repository);
        let of_fleets = self.fleets.iter().map(|fleet| &fleet.sample.repository);
        let repositories: BTreeSet<&str> = of_policies
            .chain(of_fleets)
            .map(RepositoryName::as_str)
            .collect();
        let repositories = repositories.into_iter().collect::<Vec<_>>().join(", ");
        tracing::info!(%shard, repositories, "promotes a part of all policies");
        self
    }

    /// Drops the policies of other shards. Their names count until here, since no fleet makes another policy of such a name.
    pub(super) fn drop_others(&mut self) {
        if let Some(shard) = self.shard {
            self.policies.retain(|policy| shard.has(&policy.repository));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Setup, Shard, WrittenShard};
    use crate::login::Environment;
    use crate::policy::RepositoryName;
    use crate::world::Fact;

    fn pod(name: &str) -> Environment {
        Environment::Given(BTreeMap::from([("POD_NAME".to_owned(), name.to_owned())]))
    }

    fn here(written: &str, pod_name: &str) -> Result<String, String> {
        let written: WrittenShard = written.parse().map_err(|_| "refused".to_owned())?;
        let shard = written.here(&pod(pod_name));
        shard
            .map(|shard| shard.to_string())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_shard_is_a_number_of_a_count_or_that_of_the_pod() {
        for (written, expected) in [
            ("1/1", "1/1"),
            ("2/5", "2/5"),
            ("5/5", "5/5"),
            ("auto/5", "3/5"),
        ] {
            assert_eq!(here(written, "towpath-2"), Ok(expected.to_owned()));
        }
        for written in [
            "",
            "2",
            "/",
            "0/5",
            "6/5",
            "2/0",
            "2/5/7",
            "-1/5",
            "two/5",
            "auto",
            "1/1001",
            "1/99999999999",
        ] {
            assert_eq!(
                here(written, "towpath-2"),
                Err("refused".to_owned()),
                "{written}"
            );
        }
    }

    #[test]
    fn a_pod_that_is_none_of_the_shards_is_refused() {
        for name in [
            "",
            "towpath",
            "towpath-5",
            "towpath-7d9f8-x2x4c",
            "towpath-4294967295",
        ] {
            let refused = here("auto/5", name).unwrap_err();
            assert!(
                refused.contains("is no pod of 5 shards"),
                "{name}: {refused}"
            );
        }
        assert_eq!(here("auto/5", "towpath-4"), Ok("5/5".to_owned()));
    }

    fn shard_of(repository: &str, count: u32) -> u32 {
        let name: RepositoryName = repository.parse().unwrap();
        let has = |number: &u32| {
            Shard {
                number: *number,
                count,
            }
            .has(&name)
        };
        let mut numbers = (1..=count).filter(has);
        let number = numbers.next().unwrap();
        assert_eq!(numbers.next(), None, "`{repository}` falls to two shards");
        number
    }

    #[test]
    fn each_repository_falls_to_one_shard_which_never_changes() {
        // `printf %s deploy | sha256sum` begins with b7bd55c1, which is 0 modulo 5.
        let found = ["deploy", "shop", "infra"].map(|name| shard_of(name, 5));
        assert_eq!(found, [1, 3, 1]);
        assert_eq!(shard_of("deploy", 1), 1);
    }

    #[test]
    fn many_repositories_spread_evenly() {
        let mut counts = BTreeMap::new();
        for number in 0..1000 {
            *counts
                .entry(shard_of(&format!("team-{number}"), 5))
                .or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(
            counts.values().all(|count| (150..250).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_fleet_makes_no_policy_whose_name_another_shard_has() {
        let folder = tempfile::tempdir().unwrap();
        let settings = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories: { deploy: { url: deploy.git }, code: { url: code.git } }
policies: []
---
kind: PromotionPolicy
metadata: { name: services }
spec:
  for-each: apps/{policy}
  repository: deploy
  images: { web: 'ghcr.io/acme/{policy}' }
  environments: [{ name: dev, tags: { semver: '*' }, update: 'apps/{policy}' }]
---
kind: PromotionPolicy
metadata: { name: web }
spec:
  repository: code
  images: { web: ghcr.io/acme/web }
  environments: [{ name: dev, tags: { semver: '*' }, update: web }]
";
        let file = folder.path().join("towpath.yaml");
        std::fs::write(&file, settings).unwrap();
        let policies = |number| {
            let shard = Shard { number, count: 4 };
            let setup = Setup::load(&file).ok().unwrap().of_shard(Some(shard));
            let names = ["web", "api"].map(str::to_owned);
            let listed = setup.folders().map(|folders| {
                let names = Fact::Known(names.clone().into_iter().collect());
                (folders, names)
            });
            let setup = setup.clone().with_folders(&listed.collect());
            let names = setup.policies.iter().map(|policy| policy.name.to_string());
            names.collect::<Vec<_>>()
        };
        // `deploy` falls to the second, `code` to the third.
        assert_eq!(policies(1), [""; 0]);
        assert_eq!(policies(2), ["api"]);
        assert_eq!(policies(3), ["web"]);
    }
}
