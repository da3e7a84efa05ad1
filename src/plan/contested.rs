//! Contested places: those that two would write, each to undo the other without end.
//!
//! Not here: what the policies alone tell of that (`config`). Only the files tell that an alias and its anchor are one
//! place, or an item by its index and by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::standing::{Located, SiteStandings};
use crate::edit::Path;
use crate::manifest::{Form, RepoPath, Standing};
use crate::policy::{EnvironmentName, ImageName, Policy, PolicyName, Seniority};
use crate::world::BranchName;

/// An image in an environment of a policy; whoever comes first is the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner<'a> {
    seniority: Seniority,
    policy: &'a PolicyName,
    environment: &'a EnvironmentName,
    image: &'a ImageName,
}

/// Who would write what.
#[derive(Default)]
pub(super) struct Contested<'a> {
    /// Who writes each file: most belong to one alone, and nothing in these is contested.
    files: HashMap<(&'a BranchName, &'a RepoPath), Writers<'a>>,
    /// By the place itself; the line tells documents apart.
    written: BTreeMap<(Spot<'a>, usize), BTreeSet<Owner<'a>>>,
    written_in_any_document: BTreeMap<Spot<'a>, BTreeSet<Owner<'a>>>,
    /// What changes with it by an alias.
    changed: BTreeMap<Spot<'a>, BTreeSet<Owner<'a>>>,
}

/// Who writes a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writers<'a> {
    One(Owner<'a>),
    Several,
}

/// What tells one place of a branch from another, but for documents.
type Spot<'a> = (&'a BranchName, &'a RepoPath, &'a Path);

impl<'a> Owner<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        environment: &'a EnvironmentName,
        image: &'a ImageName,
    ) -> Self {
        Self {
            seniority: policy.seniority,
            policy: &policy.name,
            environment,
            image,
        }
    }

    /// Whether a place that both would write is not `other`'s. Of two files, it is nobody's: people are to say which is wrong.
    fn bars(self, other: Owner<'_>) -> bool {
        self != other && self.seniority <= other.seniority
    }
}

impl<'a> Contested<'a> {
    /// Takes down all that would be written.
    pub(super) fn among(
        written: impl IntoIterator<Item = (Owner<'a>, &'a BranchName, &'a SiteStandings)>,
    ) -> Self {
        let written: Vec<_> = written.into_iter().collect();
        let mut all = Self {
            files: HashMap::with_capacity(written.len()),
            ..Self::default()
        };
        for (owner, branch, standings) in &written {
            for (located, _) in standings.iter().flatten() {
                let one = Writers::One(*owner);
                let writers = all.files.entry((branch, &located.file)).or_insert(one);
                if *writers != one {
                    *writers = Writers::Several;
                }
            }
        }
        for (owner, branch, standings) in written {
            for (located, standing) in standings.iter().flatten() {
                if !all.has_several_writers(branch, &located.file) {
                    continue;
                }
                let Some(spot) = spot(branch, located, standing) else {
                    continue;
                };
                let (_, file, _) = spot;
                let place = (spot, standing.line);
                all.written.entry(place).or_default().insert(owner);
                let any = all.written_in_any_document.entry(spot).or_default();
                any.insert(owner);
                for shared in &standing.shared {
                    let spot = (branch, file, &shared.path);
                    all.changed.entry(spot).or_default().insert(owner);
                }
            }
        }
        all
    }

    fn has_several_writers(&self, branch: &BranchName, file: &RepoPath) -> bool {
        match self.files.get(&(branch, file)) {
            Some(Writers::Several) => true,
            Some(Writers::One(_)) | None => false,
        }
    }

    /// Who else would write one of `sites` or change it, and keeps `owner` from it, in words; nobody, most of the time.
    pub(super) fn by_another(
        &self,
        owner: Owner<'_>,
        (branch, sites): (&BranchName, &[(Located, Standing)]),
    ) -> Option<String> {
        let other = |owners: Option<&BTreeSet<Owner<'a>>>| {
            owners?.iter().copied().find(|other| other.bars(owner))
        };
        for (located, standing) in sites {
            if !self.has_several_writers(branch, &located.file) {
                continue;
            }
            let Some(spot) = spot(branch, located, standing) else {
                continue;
            };
            let (_, file, _) = spot;
            let told = |other: Owner<'_>, what: &str| {
                let Owner {
                    seniority,
                    policy,
                    environment,
                    image,
                } = other;
                let line = standing.line;
                let first = match seniority < owner.seniority {
                    true => ", and that one came first",
                    false => "",
                };
                format!(
                    "{file}:{line}: `{environment}` of `{policy}` {what} for `{image}`; one place belongs to one image of one environment{first}"
                )
            };
            if let Some(other) = other(self.written.get(&(spot, standing.line))) {
                return Some(told(other, "writes here too"));
            }
            if let Some(other) = other(self.changed.get(&spot)) {
                return Some(told(other, "changes this too, by an alias,"));
            }
            for shared in &standing.shared {
                let changed = (branch, file, &shared.path);
                if let Some(other) = other(self.written_in_any_document.get(&changed)) {
                    let what = format!("writes `{}`, an alias of this,", shared.path);
                    return Some(told(other, &what));
                }
            }
        }
        None
    }
}

/// The spot of a place; none for an entry that a kustomization does not have yet, of which each image gets its own.
fn spot<'a>(
    branch: &'a BranchName,
    Located { site, file }: &'a Located,
    standing: &'a Standing,
) -> Option<Spot<'a>> {
    let path = standing.path.as_ref()?;
    let is_new_entry = site.form == Form::Kustomize && path.steps().len() == 1;
    (!is_new_entry).then_some((branch, file, path))
}

#[cfg(test)]
mod tests {
    use super::{Contested, Owner};
    use crate::edit::Reach;
    use crate::manifest::{Form, Site, Standing};
    use crate::plan::standing::{Located, SiteStandings};
    use crate::policy::{PolicyName, Seniority};
    use crate::world::BranchName;

    const OLDER: Seniority = Seniority::Resource(1);
    const YOUNGER: Seniority = Seniority::Resource(2);

    /// What keeps each of two policies from a place that both would write, by two paths.
    fn barred(first: Seniority, second: Seniority) -> [Option<String>; 2] {
        let located = |at: &str| Located {
            site: Site {
                path: "apps/values.yaml".parse().unwrap(),
                form: Form::Yaml {
                    at: at.parse().unwrap(),
                },
                reach: Reach::default(),
            },
            file: "apps/values.yaml".parse().unwrap(),
        };
        let standing = Standing {
            tag: Some("1.0.0".to_owned()),
            digest: None,
            line: 3,
            path: Some("images[0].tag".parse().unwrap()),
            shared: Vec::new(),
        };
        let branch = BranchName {
            repository: "deploy".parse().unwrap(),
            branch: "main".to_owned(),
        };
        let names: [PolicyName; 2] = ["one", "two"].map(|name| name.parse().unwrap());
        let (environment, image) = ("dev".parse().unwrap(), "web".parse().unwrap());
        let owner = |policy, seniority| Owner {
            seniority,
            policy,
            environment: &environment,
            image: &image,
        };
        let owners = [owner(&names[0], first), owner(&names[1], second)];
        let sites = ["images[0].tag", "images[name=web].tag"]
            .map(|at| vec![(located(at), standing.clone())]);
        let standings = sites.clone().map(SiteStandings::Ok);
        let written = owners.iter().zip(&standings);
        let written = written.map(|(owner, standings)| (*owner, &branch, standings));
        let contested = Contested::among(written);
        [0, 1].map(|one| contested.by_another(owners[one], (&branch, &sites[one])))
    }

    #[test]
    fn of_two_policies_whoever_comes_first_writes_and_of_two_in_files_nobody_does() {
        let [first, second] = barred(Seniority::File, OLDER);
        assert_eq!(first, None);
        insta::assert_snapshot!(second.unwrap(), @"apps/values.yaml:3: `dev` of `one` writes here too for `web`; one place belongs to one image of one environment, and that one came first");
        let [first, second] = barred(YOUNGER, OLDER);
        assert_eq!(second, None);
        insta::assert_snapshot!(first.unwrap(), @"apps/values.yaml:3: `dev` of `two` writes here too for `web`; one place belongs to one image of one environment, and that one came first");
        // Two applications of one fleet came at once.
        for seniority in [Seniority::File, OLDER] {
            let [first, second] = barred(seniority, seniority).map(Option::unwrap);
            insta::allow_duplicates! {
                insta::assert_snapshot!(first, @"apps/values.yaml:3: `dev` of `two` writes here too for `web`; one place belongs to one image of one environment");
                insta::assert_snapshot!(second, @"apps/values.yaml:3: `dev` of `one` writes here too for `web`; one place belongs to one image of one environment");
            }
        }
    }
}
