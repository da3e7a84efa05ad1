//! `towpath demo`: promotions as they happen, on this machine and with nothing but this program.

use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::apply::outcomes_text;
use super::plan::{as_text, commit_diff};
use super::run::{Live, Setup};
use super::signals::stop_on_signals;
use super::{Failure, print};
use crate::apply::Delivery;
use crate::daemon::{Report, now, round, settle};
use crate::demo::{Script, Stage};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Play the script once, without pauses, and end.
    #[arg(long)]
    once: bool,

    /// How long to wait between builds.
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = humantime::parse_duration)]
    pause: Duration,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    // Before there is anything to remove.
    let stop = stop_on_signals()?;
    let stage = Stage::set(now())?;
    let setup = Setup::load(&stage.settings())?;
    let live = setup.connect().await?;
    print(&opening(&args, &stage))?;
    tokio::select! {
        played = play(&args, &stage, (&setup, &live)) => played?,
        () = stop.cancelled() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where everything is, so that other verbs can be tried on it meanwhile.
fn opening(args: &Args, stage: &Stage) -> String {
    let ends = match args.once {
        true => String::new(),
        false => format!(
            "New tags appear every {}. Ctrl-C ends it, and removes all of it.\n",
            humantime::format_duration(args.pause)
        ),
    };
    format!(
        "registry    {}\nrepository  {}\nsettings    {}\n{ends}\n",
        stage.registry(),
        stage.repository().display(),
        stage.settings().display()
    )
}

/// Plays the script: a build appears, a round is made, and what it did is shown.
async fn play(args: &Args, stage: &Stage, (setup, live): (&Setup, &Live)) -> Result<(), Failure> {
    let hands = live.hands(setup);
    live.sources.read_all(&live.wants, now()).await;
    print(&as_text(&settle(hands).await, false))?;
    let steps = if args.once { Script::STEPS } else { usize::MAX };
    for builds in Script::default().take(steps) {
        if !args.once {
            tokio::time::sleep(args.pause).await;
        }
        print("\n")?;
        for build in &builds {
            stage.push(build, now());
            print(&format!("new tag {build}\n"))?;
        }
        live.sources.read_all(&live.wants, now()).await;
        let _plan = settle(hands).await;
        let report = round(hands, &CancellationToken::new()).await;
        print(&outcomes_text(&report))?;
        print(&diffs(&report))?;
    }
    print("\n")?;
    print(&as_text(&settle(hands).await, false))
}

/// What the pushed commits changed.
fn diffs(report: &Report) -> String {
    let pushed = report
        .outcomes
        .iter()
        .flat_map(|outcome| match &outcome.result {
            Delivery::Pushed { commits } => commits.as_slice(),
            Delivery::Moved | Delivery::Withheld | Delivery::Failed { .. } => &[],
        });
    pushed
        .map(|(commit, _)| format!("\n{}", commit_diff(commit)))
        .collect()
}
