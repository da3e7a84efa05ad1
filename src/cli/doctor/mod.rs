//! `towpath doctor`: what is reachable, what we may do there, which clocks differ, which versions there are.
//!
//! Reading order: this file, `finding` (what is shown), then one file for each place that is asked. Nothing is written anywhere, the
//! cache included, and no secret is shown. Invariant: each question has its time and all of them have one, so it always ends.

mod clocks;
mod clusters;
mod custom;
mod finding;
mod here;
mod needed;
mod registries;
mod repositories;
mod servers;
mod trust;

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::run::Setup;
use super::shard::{Shard, WrittenShard};
use super::{Failure, Output, SourceArgs, print};
use crate::daemon;
use crate::login::Environment;
use crate::observe::whole_message;
use clocks::Told;
use finding::{Finding, State, as_json, as_text};

/// How long one question may take: a listing of 10,000 tags at 1,000 a page and ten pages a second takes a second or two.
const QUESTION_MAX: Duration = Duration::from_secs(15);

/// How long all may take: four times the longest, so that one slow server after the other is still told of.
const WHOLE_MAX: Duration = Duration::from_secs(60);

/// Questions at once. With [`WHOLE_MAX`] and [`QUESTION_MAX`] 64 that get no answer at all are asked in time.
const AT_ONCE: usize = 16;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// The part of all policies that this process promotes, as `towpath run` has it.
    #[arg(long, env = "TOWPATH_SHARD", value_name = "NUMBER/COUNT")]
    shard: Option<WrittenShard>,

    /// How to print: `text` for people, `json` for programs.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What one place gave.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    /// What the clocks there show.
    clocks: Vec<Told>,
}

/// What bounds the questions.
#[derive(Clone)]
struct Bounds {
    until: Instant,
    turns: Arc<Semaphore>,
}

impl Bounds {
    fn new() -> Self {
        Self {
            until: Instant::now() + WHOLE_MAX,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Asks, if there is time; `None` where there is no answer in time.
    async fn ask<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        let asked = async {
            let turn = self.turns.acquire().await;
            let _turn = turn.expect("the turns are never closed");
            timeout(QUESTION_MAX, question).await.ok()
        };
        timeout_at(self.until, asked).await.ok().flatten()
    }
}

/// What is said where there was no answer in time.
const SILENT: &str = "there was no answer in time";

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let SourceArgs { config, cache, .. } = &args.source;
    let here = |shard: WrittenShard| shard.here(&Environment::default());
    let shard: Option<Shard> = args.shard.map(here).transpose()?;
    let bounds = Bounds::new();
    let (loaded, custom) = custom::load(&args.source, &bounds).await?;
    let mut findings = here::settings(&config.config, &loaded);
    let setup = Setup::new(loaded).of_shard(shard);
    let setup = setup.with_cache(cache.as_deref());
    let all = tokio::join!(
        here::look(&setup, &bounds),
        registries::look(&setup, &bounds),
        repositories::look(&setup, &bounds),
        clusters::look(&setup, (custom, shard), &bounds),
        servers::look(&setup, &bounds),
    );
    let mut told = Vec::new();
    for seen in [all.0, all.1, all.2, all.3, all.4] {
        findings.extend(seen.findings);
        told.extend(seen.clocks);
    }
    // One host may hold a registry, repositories and their forge.
    told.sort_by(|a, b| a.host.cmp(&b.host));
    told.dedup_by(|a, b| a.host == b.host);
    findings.extend(clocks::compare(&told));
    // What was found in one group stays in its order.
    findings.sort_by_key(|finding| finding.group);
    print(&match args.output {
        Output::Text => as_text(&findings),
        Output::Json => format!("{:#}\n", as_json(&findings, daemon::now())),
    })?;
    let is_error = |finding: &Finding| finding.state == State::Error;
    Ok(ExitCode::from(u8::from(findings.iter().any(is_error))))
}

/// An error with its causes; what to do about it stands apart.
fn told(error: &dyn std::error::Error) -> String {
    whole_message(error, None::<&dyn Display>)
}
