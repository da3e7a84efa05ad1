//! `towpath pin`: exactly this version stands there, older or newer.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::approve::refuse_uncounted;
use super::holds::{
    At, Draft, WhyArgs, Writer, WriterArgs, message, named_environment, refuse_unlisted, target,
    uneditable,
};
use super::run::Setup;
use super::{Failure, print};
use crate::config::with_hold;
use crate::daemon::now;
use crate::ledger::{Act, HOLDS_FILE, HeldVersion, Hold, HoldEvent, HoldKind};

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

    /// A tag; where a tag is followed, a digest too.
    #[arg(id = "held", value_name = "VERSION")]
    version: HeldVersion,

    /// Only this image, by the policy's own name for it. [default: all of them]
    #[arg(long, value_name = "NAME")]
    image: Option<String>,

    /// Hold a version too that the registry does not list.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    hold(args, HoldKind::Pin).await
}

/// Commits a hold of one version.
pub(super) async fn hold(
    args: Args,
    kind: impl Fn(HeldVersion) -> HoldKind,
) -> Result<ExitCode, Failure> {
    let Args {
        writer,
        why,
        policy,
        environment,
        version,
        image,
        force,
    } = args;
    let setup = Setup::now(&writer.source)
        .await?
        .only(std::slice::from_ref(&policy))?;
    let policy = &setup.policies[0];
    let environment = named_environment(policy, &environment)?;
    let target = target(policy, environment, image.as_deref())?;
    let until = why.until.map(|until| until.at(now())).transpose()?;
    let kind = kind(version.clone());
    let live = setup.connect().await?;
    let writer = Writer::new(&setup, &live, &policy.repository, &writer);
    if matches!(kind, HoldKind::Approve(_)) && !force {
        refuse_uncounted(environment, &writer.person())?;
    }
    if !force {
        refuse_unlisted(&live, (policy, environment), (&target, &version)).await?;
    }
    let hold = Hold {
        target: target.clone(),
        by: Some(match kind {
            HoldKind::Approve(_) => writer.person(),
            HoldKind::Pin(_) | HoldKind::Reject(_) | HoldKind::Stop => writer.by(),
        }),
        kind,
        reason: Some(why.reason.clone()),
        until,
        line: 0,
    };
    commit(&writer, &hold).await
}

/// Commits `hold`, unless it counts already.
pub(super) async fn commit(writer: &Writer<'_>, hold: &Hold) -> Result<ExitCode, Failure> {
    let event = HoldEvent {
        target: hold.target.clone(),
        act: Act::Hold(hold.kind.clone()),
        reason: hold.reason.clone(),
        until: hold.until,
    };
    let (subject, done) = words(hold);
    let written = writer
        .write(async |At { text, holds }| {
            if let Some(same) = holds.iter().find(|other| says_the_same(other, hold)) {
                return Err(already(same));
            }
            let after = with_hold(text.as_deref(), hold).map_err(|refusal| uneditable(&refusal))?;
            let draft = Draft {
                message: message(&subject, &event),
                holds: (text, after),
                files: BTreeMap::new(),
            };
            Ok((draft, ()))
        })
        .await?;
    print(&match written {
        Some((commit, ())) => format!("{done}: {}\n", writer.told(&commit)),
        None => "nothing was committed\n".to_owned(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whether `other` counts now and holds all that `hold` would, as long.
fn says_the_same(other: &Hold, hold: &Hold) -> bool {
    let holds_it = match (&other.kind, &hold.kind) {
        (HoldKind::Approve(that), HoldKind::Approve(this)) => that == this && other.by == hold.by,
        (HoldKind::Reject(those), HoldKind::Reject(these)) => {
            these.iter().all(|one| those.contains(one))
        }
        (those, these) => those == these,
    };
    let as_long = match (other.until, hold.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(that), Some(this)) => that >= this,
    };
    other.target == hold.target && holds_it && as_long && other.is_in_force(now())
}

fn already(same: &Hold) -> Failure {
    let by = same
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    let reason = same
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let (subject, _) = words(same);
    let message = format!(
        "it is so already{by}{reason} ({HOLDS_FILE}:{}: {subject})",
        same.line
    );
    anyhow::anyhow!(message).into()
}

/// The subject of the commit, and what was done, for people.
fn words(hold: &Hold) -> (String, String) {
    let target = &hold.target;
    match &hold.kind {
        HoldKind::Pin(version) => (
            format!("pin {target} to {version}"),
            format!("pinned {target} to {version}"),
        ),
        HoldKind::Reject(versions) => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            let versions = versions.join(", ");
            (
                format!("reject {versions} for {target}"),
                format!("rejected {versions} for {target}"),
            )
        }
        HoldKind::Stop => (format!("stop {target}"), format!("stopped {target}")),
        HoldKind::Approve(version) => (
            format!("approve {version} for {target}"),
            format!("approved {version} for {target}"),
        ),
    }
}
