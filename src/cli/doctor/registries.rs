//! Registries: some images of each are listed, as the daemon would list them, and nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::clocks::Told;
use super::finding::{Finding, Group, Subject};
use super::{Bounds, SILENT, Seen, told};
use crate::cli::check::count;
use crate::cli::edges::options;
use crate::cli::run::Setup;
use crate::cli::status::limit_text;
use crate::daemon::{self, registry_status};
use crate::image::Repository;
use crate::observe::Wants;
use crate::policy::{Policy, PolicyName};
use crate::registry::{HostStanding, Options, Registry};

/// Images of one registry that are listed: what is right for some of them is mostly right for all, and listings cost requests.
const IMAGES_MAX: usize = 5;

pub(super) async fn look(setup: &Setup, bounds: &Bounds) -> Seen {
    let registry = Registry::new(Options {
        cache: None,
        ..options(&setup.settings)
    });
    let mut hosts: BTreeMap<String, Vec<Repository>> = BTreeMap::new();
    let (of_fleets, unnamed) = of_fleets(setup);
    let images: BTreeSet<Repository> = setup.wants().images.into_iter().chain(of_fleets).collect();
    for image in images {
        let host = registry.origin(&image).registry().to_owned();
        hosts.entry(host).or_default().push(image);
    }
    let named = setup.settings.registries.keys();
    let unused = named.filter(|host| !hosts.contains_key(*host));
    let unused: Vec<Finding> = unused.map(|host| unused_registry(host)).collect();
    let each = hosts.into_iter();
    let each = join_all(each.map(|(host, images)| of_host(&registry, (host, images), bounds)));
    let mut seen = Seen::default();
    for of_host in each.await {
        seen.findings.extend(of_host.findings);
        seen.clocks.extend(of_host.clocks);
    }
    seen.findings.extend(unused);
    seen.findings.extend(unnamed.into_iter().map(|fleet| {
        let words = "images that have the name of a folder, so they were not asked for";
        Subject::new(Group::Registries, format!("fleet {fleet}")).unknown(words)
    }));
    seen
}

/// The images that all policies of a fleet have, and the fleets that have others too. Which folders there are is read with the mirrors.
fn of_fleets(setup: &Setup) -> (Vec<Repository>, Vec<&PolicyName>) {
    let images = |policy: Policy| Wants::of(&[policy], &setup.branches).images;
    let (mut shared, mut unnamed) = (Vec::new(), Vec::new());
    for fleet in &setup.fleets {
        let name = &fleet.sample.name;
        let another: Option<PolicyName> = format!("{name}-x").parse().ok();
        let another = another.and_then(|another| fleet.policy(&another).ok());
        let another = another.map(images).unwrap_or_default();
        for image in images(fleet.sample.clone()) {
            match another.contains(&image) {
                true => shared.push(image),
                false => unnamed.push(name),
            }
        }
    }
    unnamed.dedup();
    (shared, unnamed)
}

fn unused_registry(host: &str) -> Finding {
    Subject::new(Group::Registries, host)
        .unknown("no policy has an image there, so it was not asked")
}

async fn of_host(
    registry: &Registry,
    (host, images): (String, Vec<Repository>),
    bounds: &Bounds,
) -> Seen {
    let asked = images.iter().take(IMAGES_MAX);
    let asked = asked.map(|image| of_image(registry, image, bounds));
    let mut findings = join_all(asked).await;
    let subject = Subject::new(Group::Registries, &host);
    if images.len() > IMAGES_MAX {
        let rest = images.len() - IMAGES_MAX;
        findings.push(subject.unknown(format!("{rest} more images of it were not asked for")));
    }
    let standings = registry.standings().into_iter();
    let standing = standings.into_iter().find(|standing| standing.host == host);
    let mut clocks = Vec::new();
    if let Some(standing) = standing {
        clocks.extend(clock(&host, &standing));
        findings.extend(limits(&subject, standing));
    }
    Seen { findings, clocks }
}

async fn of_image(registry: &Registry, image: &Repository, bounds: &Bounds) -> Finding {
    let subject = Subject::new(Group::Registries, image);
    let Some(listed) = bounds.ask(registry.tags(image, daemon::now())).await else {
        return subject.error(SILENT, None);
    };
    let listing = match listed {
        Ok(listing) => listing,
        Err(error) => return subject.error(told(&error), error.hint()),
    };
    let tags = count(listing.tags.len(), "tag", "tags");
    match registry.way(image).await {
        Ok(way) => {
            let (credentials, login) = (way.credentials, way.login);
            subject.ok(format!("{tags}, with {credentials}; login: {login}"))
        }
        Err(error) => subject.error(told(&error), error.hint()),
    }
}

fn clock(host: &str, standing: &HostStanding) -> Option<Told> {
    Some(Told {
        host: host.to_owned(),
        theirs: standing.clock?,
        ours: daemon::now(),
    })
}

fn limits(subject: &Subject, standing: HostStanding) -> Option<Finding> {
    let at = daemon::now();
    let limits = registry_status(standing, at).limits;
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|limit| limit_text(limit, Some(at)))
        .collect();
    let is_spent = |text: &String| text.starts_with("no ") || text.starts_with("0 ");
    match (limits.iter().any(is_spent), limits.is_empty()) {
        (_, true) => None,
        (true, false) => {
            let hint =
                "it is left alone until then; log in, lengthen `poll-interval`, or ask for more";
            Some(subject.warning(limits.join("; "), hint))
        }
        (false, false) => Some(subject.ok(limits.join("; "))),
    }
}
