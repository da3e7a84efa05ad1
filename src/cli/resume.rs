//! `towpath resume`: promotions go on; holds are taken out of the file, and what a person undid or wrote counts no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use super::holds::{At, Draft, Writer, WriterArgs, message, parse_reason, uneditable};
use super::run::Setup;
use super::stop::TargetArgs;
use super::{Failure, print};
use crate::config::without_holds;
use crate::daemon::now;
use crate::ledger::{Act, HOLDS_FILE, Hold, HoldEvent, Target};
use crate::plan::{sites, written_whole};
use crate::policy::{ImageName, Policy};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    writer: WriterArgs,

    /// Why.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,

    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args {
        writer,
        reason,
        target,
    } = args;
    let setup = Setup::now(&writer.source).await?;
    let (target, repository) = target.resolve(&setup)?;
    let live = setup.connect().await?;
    let writer = Writer::new(&setup, &live, &repository, &writer);
    let subject = format!("resume {target}");
    let written = writer
        .write(async |At { text, holds }| {
            let before = text.clone().unwrap_or_default();
            let after = resumed(&before, &holds, &target)?;
            let covers = |hold: &&Hold| {
                reaches(&hold.target, &target) && hold.is_in_force(now()) && !hold.is_approval()
            };
            let (ended, others): (Vec<&Hold>, Vec<&Hold>) = holds
                .iter()
                .filter(covers)
                .partition(|hold| is_ended(&hold.target, &target));
            let told = (
                ended.len(),
                others.into_iter().cloned().collect::<Vec<Hold>>(),
            );
            let event = HoldEvent {
                act: Act::Resume {
                    stands: Some(stands(&writer, &target)).filter(|stands| !stands.is_empty()),
                },
                target: target.clone(),
                reason: reason.clone(),
                until: None,
            };
            let draft = Draft {
                message: message(&subject, &event),
                holds: (text, after),
                files: BTreeMap::new(),
            };
            Ok((draft, told))
        })
        .await?;
    print(&match written {
        Some((commit, (ended, others))) => {
            let ended = match ended {
                0 => "no hold was in the file".to_owned(),
                1 => "1 hold ended".to_owned(),
                some => format!("{some} holds ended"),
            };
            let told = writer.told(&commit);
            format!("resumed {target}, {ended}: {told}\n{}", still_held(&others))
        }
        None => "nothing was committed\n".to_owned(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The file without what `target` ends. What covers more than one environment of one policy is there or is refused, since
/// nothing else would come of it.
fn resumed(text: &str, holds: &[Hold], target: &Target) -> Result<String, Failure> {
    let is_one = target.policy.is_some() && target.environment.is_some();
    if !is_one
        && !holds
            .iter()
            .any(|hold| is_ended(&hold.target, target) && !hold.is_approval())
    {
        return Err(anyhow::anyhow!("nothing holds {target} in `{HOLDS_FILE}`").into());
    }
    let mut images: BTreeSet<Option<ImageName>> = BTreeSet::from([None]);
    images.extend(holds.iter().map(|hold| hold.target.image.clone()));
    images.into_iter().try_fold(text.to_owned(), |text, image| {
        let target = Target {
            image,
            ..target.clone()
        };
        without_holds(&text, &target).map_err(|refusal| uneditable(&refusal))
    })
}

/// Whether a hold on `held` ends with `target`: one of exactly that policy and environment, on whichever image.
fn is_ended(held: &Target, target: &Target) -> bool {
    (&held.policy, &held.environment) == (&target.policy, &target.environment)
}

/// Whether a hold on `held` holds something of `target`.
fn reaches(held: &Target, target: &Target) -> bool {
    fn meets<T: PartialEq>(held: Option<&T>, target: Option<&T>) -> bool {
        held.zip(target).is_none_or(|(held, target)| held == target)
    }
    meets(held.policy.as_ref(), target.policy.as_ref())
        && meets(held.environment.as_ref(), target.environment.as_ref())
}

/// The texts that stand there now: what a person writes later is another decision.
fn stands(writer: &Writer<'_>, target: &Target) -> Vec<(ImageName, String)> {
    let (Some(policy), Some(environment)) = (&target.policy, &target.environment) else {
        return Vec::new();
    };
    let named = |known: &&Policy| known.name == *policy;
    let Some(policy) = writer.setup.policies.iter().find(named) else {
        return Vec::new();
    };
    let world = writer.live.sources.world(&writer.live.wants);
    let mut stands = BTreeSet::new();
    for listed in sites(&writer.setup.scope(), policy, &world) {
        if listed.environment != *environment {
            continue;
        }
        for (_, standing) in listed.standings.into_iter().flatten() {
            stands.insert((
                listed.image.clone(),
                written_whole(&standing).unwrap_or_default(),
            ));
        }
    }
    stands.into_iter().collect()
}

/// The holds that cover it still, and what ends them.
fn still_held(others: &[Hold]) -> String {
    let mut text = String::new();
    for hold in others {
        let Hold {
            target, kind, line, ..
        } = hold;
        let ends = match (&target.policy, &target.environment) {
            (Some(policy), Some(environment)) => format!("towpath resume {policy} {environment}"),
            (Some(policy), None) => format!("towpath resume {policy}"),
            (None, Some(environment)) => format!("towpath resume --environment {environment}"),
            (None, None) => "towpath resume --all".to_owned(),
        };
        writeln!(
            text,
            "still held: {kind}, {target} ({HOLDS_FILE}:{line}); `{ends}` ends it"
        )
        .expect("a string can be written");
    }
    text
}
