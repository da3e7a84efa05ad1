//! `towpath observe`: reads everything that the policies need, and shows or saves it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::run::Setup;
use super::{Failure, SourceArgs, print, table};
use crate::daemon::{now, settle};
use crate::policy::gate::checks::Inquiry;
use crate::world::{self, BranchName, Fact, File, Listing, SourceFacts, World};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// Save the world to this file, for `plan --world`.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let setup = Setup::now(&args.source).await?;
    let live = setup.connect().await?;
    let at = now();
    live.sources.read_all(&live.wants, at).await;
    let _plan = settle(live.hands(&setup)).await;
    let world = live.sources.world(&live.wants);
    if let Some(file) = &args.save {
        let text = world::save(&world, at);
        std::fs::write(file, text)
            .with_context(|| format!("failed to save the world to `{}`", file.display()))?;
    }
    print(&summary(&world))?;
    Ok(match has_unknown(&world) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn summary(world: &World) -> String {
    let images = world
        .images
        .iter()
        .map(|(name, facts)| match &facts.listing {
            Fact::Known(listing) => {
                let tags = format!("{} tags", listing.tags.len());
                let state = match pushes_unknown(listing) {
                    Some(why) => format!("{tags}, push times unknown: {why}"),
                    None => tags,
                };
                [name.to_string(), state]
            }
            Fact::Unknown { why } => [name.to_string(), format!("unknown: {why}")],
        });
    let branches = world.branches.iter().map(|(name, fact)| {
        let state = match fact {
            Fact::Known(facts) => match &facts.head {
                Some(head) => {
                    let there = facts.files.values().filter(|file| **file != File::Missing);
                    format!("{}, {} files read", head.short(), there.count())
                }
                None => "no such branch".to_owned(),
            },
            Fact::Unknown { why } => format!("unknown: {why}"),
        };
        [format!("{} {}", name.repository, name.branch), state]
    });
    let sources = world.sources.iter().map(|(name, fact)| {
        let state = match fact {
            Fact::Known(SourceFacts { head, commits, .. }) => {
                format!("{}, {} commits looked up", head.short(), commits.len())
            }
            Fact::Unknown { why } => format!("unknown: {why}"),
        };
        [format!("{} {}", name.repository, name.branch), state]
    });
    let folders = world.folders.iter().map(|(folders, fact)| {
        let state = match fact {
            Fact::Known(names) => format!("{} folders", names.len()),
            Fact::Unknown { why } => format!("unknown: {why}"),
        };
        let BranchName { repository, branch } = &folders.branch;
        [format!("{repository} {branch} {}", folders.pattern), state]
    });
    let rows = images.chain(branches).chain(folders).chain(sources);
    table::render(
        ["SOURCE", "READING"],
        &rows.chain(asked(world)).collect::<Vec<_>>(),
    )
}

/// What servers said that know of pull requests, of Applications, and of what checks ask.
fn asked(world: &World) -> impl Iterator<Item = [String; 2]> {
    let connections = world.applications.iter().map(|(name, fact)| {
        let state = match fact {
            Fact::Known(applications) => format!("{} Applications", applications.all.len()),
            Fact::Unknown { why } => format!("unknown: {why}"),
        };
        [format!("Argo CD {name}"), state]
    });
    let forges = world.requests.iter().map(|(name, fact)| {
        let state = match fact {
            Fact::Known(requests) => {
                let all: usize = requests.values().map(Vec::len).sum();
                format!("{all} pull requests")
            }
            Fact::Unknown { why } => format!("unknown: {why}"),
        };
        [format!("forge of {name}"), state]
    });
    let checks = world.checks.iter().map(|(inquiry, answer)| {
        let state = match answer.told() {
            Ok(_) => format!("answered at {}", answer.at),
            Err(why) => format!("unknown: {why}"),
        };
        [question(inquiry), state]
    });
    forges.chain(connections).chain(checks)
}

/// What a server was asked by a check.
fn question(inquiry: &Inquiry) -> String {
    match inquiry {
        Inquiry::Http { url, .. } => url.clone(),
        Inquiry::Prometheus { url, query, .. } => format!("{url} {query}"),
    }
}

/// Why the push times of a listing could not be read, if that is so.
fn pushes_unknown(listing: &Listing) -> Option<&str> {
    match &listing.pushes.as_ref()?.times {
        Some(Fact::Unknown { why }) => Some(why),
        Some(Fact::Known(_)) | None => None,
    }
}

fn has_unknown(world: &World) -> bool {
    let listings = world.images.values().any(|facts| match &facts.listing {
        Fact::Known(listing) => pushes_unknown(listing).is_some(),
        Fact::Unknown { .. } => true,
    });
    listings
        || world.folders.values().any(is_unknown)
        || world.branches.values().any(is_unknown)
        || world.sources.values().any(is_unknown)
        || world.requests.values().any(is_unknown)
        || world.applications.values().any(is_unknown)
        || world.checks.values().any(|answer| answer.told().is_err())
}

fn is_unknown<T>(fact: &Fact<T>) -> bool {
    matches!(fact, Fact::Unknown { .. })
}
