//! `towpath rollback`: puts the version before back, by the environment's own way of delivery, and pins it.
//!
//! The plan is made of a world in which the pin stands already, so a rollback is what any round would make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::history::commits;
use super::holds::{At, Draft, WhyArgs, Writer, WriterArgs, named_environment, target, uneditable};
use super::run::{Live, Setup};
use super::{Failure, print};
use crate::apply::{ALWAYS, Delivery, Places, apply};
use crate::config::{holds, with_hold};
use crate::daemon::now;
use crate::ledger::{
    Act, Entry, HOLDS_FILE, HeldVersion, Hold, HoldEvent, HoldKind, Moved, Promotion, Target, What,
    chronicle,
};
use crate::manifest::CommitId;
use crate::observe::whole_message;
use crate::plan::{
    Change, Decision, FileChange, HoldReason, Plan, PlannedCommit, Scope, plan, sites,
};
use crate::policy::{Environment, ImageName, Policy};
use crate::world::{BranchName, Fact};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    writer: WriterArgs,

    #[command(flatten)]
    why: WhyArgs,

    /// The policy.
    policy: String,

    /// One of its environments.
    environment: String,

    /// This version instead of the one before.
    #[arg(long, value_name = "VERSION")]
    to: Option<HeldVersion>,

    /// Only this image, by the policy's own name for it. [default: all of them]
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args {
        writer,
        why,
        policy,
        environment,
        to,
        image,
    } = args;
    let setup = Setup::now(&writer.source)
        .await?
        .only(std::slice::from_ref(&policy))?;
    let policy = &setup.policies[0];
    let environment = named_environment(policy, &environment)?;
    let target = target(policy, environment, image.as_deref())?;
    let until = why.until.map(|until| until.at(now())).transpose()?;
    let live = setup.connect().await?;
    live.sources.read_all(&live.wants, now()).await;
    let writer = Writer::new(&setup, &live, &policy.repository, &writer);
    let written = writer
        .write(async |at| {
            let back = match &to {
                Some(version) => BTreeMap::from([(target.image.clone(), version.clone())]),
                None => versions_before((&setup, &live), (policy, environment), &target).await?,
            };
            let pins = back.into_iter().map(|(image, version)| Hold {
                target: Target {
                    image,
                    ..target.clone()
                },
                kind: HoldKind::Pin(version),
                reason: Some(why.reason.clone()),
                by: Some(writer.by()),
                until,
                line: 0,
            });
            draft(&writer, (policy, environment), pins.collect(), at).await
        })
        .await?;
    let Some((commit, Back { told, elsewhere })) = written else {
        print("nothing was committed\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    print(&format!("{told}: {}\n", writer.told(&commit)))?;
    deliver(&setup, &live, elsewhere).await
}

/// What comes of a rollback beside the commit.
struct Back {
    told: String,
    /// What goes to other branches than the one where the pin stands.
    elsewhere: Vec<Change>,
}

/// The version that each image had before the one that stands there; all in one where they are the same.
async fn versions_before(
    (setup, live): (&Setup, &Live),
    (policy, environment): (&Policy, &Environment),
    target: &Target,
) -> Result<BTreeMap<Option<ImageName>, HeldVersion>, Failure> {
    let own = &setup.settings.repositories[&policy.repository].branch;
    let name = BranchName {
        repository: policy.repository.clone(),
        branch: environment.branch(own).to_owned(),
    };
    let entries = chronicle(&name.branch, &commits(live, &name).await?);
    let world = live.sources.world(&live.wants);
    let mut before = BTreeMap::new();
    for image in policy
        .images
        .keys()
        .filter(|image| target.covers(&policy.name, &environment.name, image))
    {
        let listed = sites(&setup.scope(), policy, &world).into_iter();
        let here = listed
            .filter(|listed| listed.environment == environment.name && listed.image == *image);
        let stands: BTreeSet<String> = here
            .flat_map(|listed| listed.standings.into_iter().flatten())
            .flat_map(|(_, standing)| [standing.tag, standing.digest].into_iter().flatten())
            .collect();
        let of_image = (policy, environment, image);
        if let Some(version) = before_what_stands(&entries, of_image, &stands) {
            before.insert(Some(image.clone()), version);
        }
    }
    let versions: BTreeSet<&HeldVersion> = before.values().collect();
    match versions.len() {
        0 => Err(Failure::from(anyhow::anyhow!(
            "the history of `{}` tells no version before the one that stands there",
            name.branch
        ))
        .with_hint("name one by `--to VERSION`")),
        1 if target.image.is_none() && before.len() == policy.images.len() => Ok(before
            .into_values()
            .take(1)
            .map(|version| (None, version))
            .collect()),
        _ => Ok(before),
    }
}

/// The version that an image had before the one that `stands` there: what was undone or rolled back since is not gone to.
fn before_what_stands(
    entries: &[Entry],
    (policy, environment, image): (&Policy, &Environment, &ImageName),
    stands: &BTreeSet<String>,
) -> Option<HeldVersion> {
    let is_followed = environment.rules[image].followed().is_some();
    let version = |moved: &Moved| match is_followed {
        true => moved.digest.clone().map(HeldVersion::Digest),
        false => Some(HeldVersion::Tag(moved.tag.clone())),
    };
    let moved = |promotion: &Promotion| {
        let here = (&policy.name, &environment.name);
        let is_here = (&promotion.policy, &promotion.environment) == here;
        promotion.images.get(image).filter(|_| is_here).cloned()
    };
    // A rollback promotes and pins in one commit.
    let decided = entries.iter().filter_map(|entry| match entry.what {
        What::Decided(_) => Some(&entry.commit),
        What::Promoted(_) | What::Undone(_) => None,
    });
    let rollbacks: BTreeSet<&CommitId> = decided.collect();
    // Each version that stood, on those that it came after.
    let mut stood: Vec<HeldVersion> = Vec::new();
    for entry in entries {
        match &entry.what {
            What::Promoted(promotion) => {
                let Some(moved) = moved(promotion) else {
                    continue;
                };
                let Some(new) = version(&moved) else {
                    continue;
                };
                let back = stood.iter().rposition(|version| *version == new);
                let is_back = moved.rejects || rollbacks.contains(&entry.commit);
                match back.filter(|_| is_back) {
                    Some(at) => stood.truncate(at + 1),
                    // What it took the place of was degraded.
                    None if moved.rejects => {
                        stood.pop();
                        stood.push(new);
                    }
                    None => {
                        let replaced = moved.replaced.and_then(|text| text.parse().ok());
                        stood.extend(replaced.filter(|_| stood.is_empty()));
                        stood.push(new);
                    }
                }
            }
            What::Undone(promotion) => {
                let undone = moved(promotion).and_then(|moved| version(&moved));
                if undone.is_some() && stood.last() == undone.as_ref() {
                    stood.pop();
                }
            }
            What::Decided(_) => {}
        }
    }
    let is_standing = |version: &HeldVersion| stands.contains(&version.to_string());
    if let Some(at) = stood.iter().rposition(is_standing) {
        stood.truncate(at);
    }
    stood.into_iter().rfind(|version| !is_standing(version))
}

/// The pins, and the files as the plan writes them where the pins stand.
async fn draft(
    writer: &Writer<'_>,
    (policy, environment): (&Policy, &Environment),
    pins: Vec<Hold>,
    At { text, holds: _ }: At,
) -> Result<(Draft, Back), Failure> {
    let mut after = text.clone();
    for pin in &pins {
        after = Some(with_hold(after.as_deref(), pin).map_err(|refusal| uneditable(&refusal))?);
    }
    let after = after.unwrap_or_default();
    let held = holds(Path::new(HOLDS_FILE), &after).map_err(Failure::config)?;
    let planned = planned(writer, (policy, environment), (&pins, held)).await;
    for decided in &planned.decisions {
        match &decided.decision {
            // A pull request comes of the pin, now or as soon as its forge answers.
            Decision::Promote(_)
            | Decision::Hold(
                HoldReason::AtPin { .. }
                | HoldReason::Proposed { .. }
                | HoldReason::ForgeUnknown { .. }
                | HoldReason::ForeignCommits { .. },
            ) => {}
            Decision::Hold(reason) => {
                let message = format!("`{}` cannot go back: {reason}", decided.image);
                return Err(anyhow::anyhow!(message).into());
            }
        }
    }
    let is_here = |change: &Change| change.branch == writer.branch;
    let (here, elsewhere): (Vec<_>, Vec<_>) = planned.changes.into_iter().partition(is_here);
    let commits: Vec<PlannedCommit> = here.into_iter().flat_map(|change| change.commits).collect();
    let versions: Vec<String> = pins.iter().map(words).collect();
    let place = format!("{} in {}", policy.name, environment.name);
    let (place, versions) = (&place, versions.join(", "));
    let told = match (commits.is_empty(), elsewhere.is_empty()) {
        (false, _) => format!("rolled {place} back to {versions} and pinned it"),
        (true, false) => format!("pinned {place} to {versions}"),
        (true, true) => {
            format!(
                "pinned {place} to {versions}; what lacks it gets it by the next round of towpath"
            )
        }
    };
    let subject = format!("roll back {place} to {versions}");
    let promotions = commits.iter().flat_map(|commit| &commit.promotions);
    let promoted = promotions.map(Promotion::trailers);
    let trailers: String = promoted.chain(pins.iter().map(trailers)).collect();
    let files = commits.into_iter().flat_map(|commit| commit.files);
    let bytes = |(path, file): (_, FileChange)| (path, file.after.as_bytes().to_vec());
    let draft = Draft {
        message: format!("{subject}\n\n{trailers}"),
        holds: (text, after),
        files: files.map(bytes).collect(),
    };
    Ok((draft, Back { told, elsewhere }))
}

/// The trailers of a pin.
fn trailers(pin: &Hold) -> String {
    let Hold {
        target,
        kind,
        reason,
        by: _,
        until,
        line: _,
    } = pin;
    let event = HoldEvent {
        target: target.clone(),
        act: Act::Hold(kind.clone()),
        reason: reason.clone(),
        until: *until,
    };
    event.trailers()
}

/// The plan for what is pinned, as it will be where the pins stand; what it lacks is asked.
async fn planned(
    writer: &Writer<'_>,
    (policy, environment): (&Policy, &Environment),
    (pins, held): (&[Hold], Vec<Hold>),
) -> Plan {
    let mut only = policy.clone();
    only.environments = vec![environment.clone()];
    only.images.retain(|image, _| {
        let covers = |pin: &Hold| pin.target.covers(&policy.name, &environment.name, image);
        pins.iter().any(covers)
    });
    let only = [only];
    let scope = Scope {
        policies: &only,
        ..writer.setup.scope()
    };
    let sources = &writer.live.sources;
    let mut asked = BTreeSet::new();
    loop {
        let mut world = sources.world(&writer.live.wants);
        if let Some(Fact::Known(facts)) = world.branches.get_mut(&writer.branch) {
            Arc::make_mut(facts).holds = Fact::Known(held.clone());
        }
        let plan = plan(&scope, &world, now());
        let new: BTreeSet<_> = plan.questions.difference(&asked).cloned().collect();
        if new.is_empty() {
            return plan;
        }
        asked.extend(new.iter().cloned());
        sources.ask(new, now).await;
    }
}

fn words(pin: &Hold) -> String {
    let version = match &pin.kind {
        HoldKind::Pin(version) => version.to_string(),
        HoldKind::Reject(_) | HoldKind::Stop | HoldKind::Approve(_) => {
            unreachable!("a rollback pins")
        }
    };
    match &pin.target.image {
        Some(image) => format!("{image} {version}"),
        None => version,
    }
}

/// Pushes what goes to other branches; what is lost to others there, the next round of towpath brings, since the pin stands.
async fn deliver(setup: &Setup, live: &Live, changes: Vec<Change>) -> Result<ExitCode, Failure> {
    let places = Places {
        mirrors: live.sources.mirrors(),
        forges: live.sources.forges(),
        signature: &setup.signature,
        may_write: ALWAYS,
        now: now(),
    };
    let outcomes = apply(changes, places).await;
    let mut code = ExitCode::SUCCESS;
    for outcome in outcomes {
        let BranchName { repository, branch } = &outcome.branch;
        let place = format!("`{branch}` of `{repository}`");
        print(&match outcome.result {
            Delivery::Pushed { commits } => {
                let lines = commits
                    .iter()
                    .map(|(_, commit)| format!("commit {} on {place}\n", commit.short()));
                lines.collect()
            }
            Delivery::Moved | Delivery::Withheld => {
                format!("{place} moved meanwhile; the next round of towpath writes the version\n")
            }
            Delivery::Failed { error, commits: _ } => {
                code = ExitCode::FAILURE;
                let why = whole_message(&error, error.hint());
                format!(
                    "the push to {place} failed: {why}; the next round of towpath tries again\n"
                )
            }
        })?;
    }
    Ok(code)
}
