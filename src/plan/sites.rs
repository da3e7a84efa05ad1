//! Every place that a policy writes, with what stands there: no decision, so no registry is needed.

use super::Scope;
use super::facts::branch_facts;
use super::standing::{Ask, SiteStandings, Standings};
use crate::manifest::Site;
use crate::policy::{EnvironmentName, ImageName, Policy};
use crate::world::{BranchName, World};

/// One site of one image in one environment.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) environment: EnvironmentName,
    pub(crate) image: ImageName,
    pub(crate) branch: BranchName,
    pub(crate) site: Site,
    /// What stands at its places, or why they cannot be read.
    pub(crate) standings: SiteStandings,
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
    let standings = Standings::read(asks, world);
    let mut listed = Vec::new();
    for (environment, branch) in of_environment() {
        let unknown = branch_facts(branch, world).err();
        for (name, image) in &policy.images {
            let of_image = |site: &Site, standings: SiteStandings| Listed {
                environment: environment.name.clone(),
                image: name.clone(),
                branch: branch.clone(),
                site: site.clone(),
                standings,
            };
            match &unknown {
                Some(reason) => listed.extend(
                    environment
                        .sites_of(name)
                        .map(|site| of_image(site, Err(reason.to_string()))),
                ),
                None => listed.extend(
                    standings
                        .each(environment, name, (branch, &image.repository))
                        .map(|(site, standings)| of_image(site, standings.clone())),
                ),
            }
        }
    }
    listed
}
