//! `towpath observe`: reads everything that the policies need, and shows or saves it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::run::Setup;
use super::{Failure, SourceArgs, print, table};
use crate::daemon::{now, settle};
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
    table::render(["SOURCE", "READING"], &rows.collect::<Vec<_>>())
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
    let mut branches = world.branches.values();
    let mut sources = world.sources.values();
    let mut folders = world.folders.values();
    listings
        || folders.any(|fact| matches!(fact, Fact::Unknown { .. }))
        || branches.any(|fact| matches!(fact, Fact::Unknown { .. }))
        || sources.any(|fact| matches!(fact, Fact::Unknown { .. }))
}
