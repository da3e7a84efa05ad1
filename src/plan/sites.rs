//! Every place that a policy writes, with what stands there: no decision, so no registry is needed.

use super::Scope;
use super::contested::{Contested, Owner};
use super::facts::branch_facts;
use super::remembered::Remembered;
use super::standing::{Ask, Located, SiteStandings, Standings, on_one_line};
use crate::image::Repository;
use crate::manifest::{self, Site, Standing, Version, Write};
use crate::policy::{EnvironmentName, ImageName, Policy};
use crate::world::{BranchFacts, BranchName, File, World};

/// One site of one image in one environment.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) environment: EnvironmentName,
    pub(crate) image: ImageName,
    pub(crate) branch: BranchName,
    pub(crate) site: Site,
    /// What stands at its places, or why they cannot be read.
    pub(crate) standings: SiteStandings,
    /// Why no version could be written to places that can be read.
    pub(crate) refused: Option<String>,
}

/// Lists the sites of `policy` in the order of its environments, their images, and their sites.
pub(crate) fn sites(scope: &Scope<'_>, policy: &Policy, world: &World) -> Vec<Listed> {
    let branches = policy.environments.iter();
    let branches: Vec<BranchName> = branches.map(|e| scope.branch(policy, e)).collect();
    let of_environment = || policy.environments.iter().zip(&branches);
    let asks = of_environment().flat_map(|(environment, branch)| {
        policy.images.iter().flat_map(move |(name, image)| {
            let image = &image.repository;
            environment.sites_of(name).map(move |site| Ask {
                branch,
                site,
                image,
            })
        })
    });
    let standings = Standings::read(asks, world, &mut Remembered::default());
    let known = |(_, branch): &(_, &BranchName)| branch_facts(branch, world).is_ok();
    let written = of_environment()
        .filter(known)
        .flat_map(|(environment, branch)| {
            let standings = &standings;
            policy.images.iter().flat_map(move |(name, image)| {
                let owner = Owner::new(policy, &environment.name, name);
                let each = standings.each(environment, name, (branch, &image.repository));
                each.map(move |(_, standings)| (owner, branch, standings))
            })
        });
    let contested = Contested::among(written);
    let mut listed = Vec::new();
    for (environment, branch) in of_environment() {
        for (name, image) in &policy.images {
            let owner = Owner::new(policy, &environment.name, name);
            let of_image = |site: &Site, standings: SiteStandings, refused| Listed {
                environment: environment.name.clone(),
                image: name.clone(),
                branch: branch.clone(),
                site: site.clone(),
                standings,
                refused,
            };
            let facts = match branch_facts(branch, world) {
                Ok(facts) => facts,
                Err(reason) => {
                    let sites = environment.sites_of(name);
                    listed.extend(sites.map(|site| of_image(site, Err(reason.to_string()), None)));
                    continue;
                }
            };
            let each = standings.each(environment, name, (branch, &image.repository));
            listed.extend(each.map(|(site, standings)| {
                let refused = standings.as_ref().ok().and_then(|standings| {
                    let place = (branch, &standings[..]);
                    let of_image = (&image.repository, environment.write_of(name));
                    let contested = contested.by_another(owner, place);
                    contested.or_else(|| try_write(standings, facts, of_image).err())
                });
                of_image(site, standings.clone(), refused)
            }));
        }
    }
    listed
}

/// Writes a version that nobody has, and forgets the result: what refuses that would refuse a promotion too.
fn try_write(
    standings: &[(Located, Standing)],
    facts: &BranchFacts,
    (image, write): (&Repository, Write),
) -> Result<(), String> {
    let Some((Located { site, file }, _)) = standings.first() else {
        return Ok(());
    };
    let Some(File::Text(text)) = facts.files.get(file) else {
        return Ok(());
    };
    let version = Version {
        tag: "v0.0.0-tried".parse().expect("a tag"),
        digest: format!("sha256:{:064}", 0).parse().ok(),
    };
    manifest::write(site, (file, text), image, (&version, write))
        .map(|_| ())
        .map_err(|error| on_one_line(&error.to_string()))
}
