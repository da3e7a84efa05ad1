//! The command line: one file per verb. Data goes to stdout, talk to stderr.
//!
//! Not here: what a verb does. Exit codes: 0 done, 1 failed or refused, 2 usage, 3 configuration invalid, 4 the
//! plan is not empty (`plan --exit-code`).

mod alike;
mod apply;
mod approve;
mod check;
mod completions;
mod demo;
mod doctor;
mod edges;
mod explain;
mod explain_version;
mod failure;
mod fleets;
mod history;
mod holds;
mod hooks;
mod leader;
mod log;
mod observe;
mod pin;
mod plan;
mod pod;
mod registry;
mod reject;
mod resources;
mod restart;
mod resume;
mod rollback;
mod run;
mod schema;
mod select;
mod set;
mod shard;
mod signals;
mod sites;
mod status;
mod stop;
mod table;
#[cfg(feature = "otel")]
mod traces;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use failure::Failure;
use log::Log;

/// Promotes container images through environments by commits to a manifests git repository.
#[derive(Parser)]
#[command(
    name = "towpath",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,

    #[command(flatten)]
    global: Global,
}

/// What every verb understands.
#[derive(Args)]
struct Global {
    /// What the log looks like on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        env = "TOWPATH_LOG_FORMAT",
        value_name = "FORMAT",
        display_order = 901
    )]
    log_format: LogFormat,

    /// What is logged: a level, or tracing filters such as `towpath=debug`. [default: for run as the settings say, else warn]
    #[arg(
        long,
        global = true,
        env = "TOWPATH_LOG",
        value_name = "FILTER",
        display_order = 900
    )]
    log: Option<String>,
}

/// Where the settings are.
#[derive(Args)]
struct ConfigArgs {
    /// The settings file.
    #[arg(
        long,
        default_value = "config/towpath.yaml",
        env = "TOWPATH_CONFIG",
        value_name = "FILE"
    )]
    config: PathBuf,
}

/// What the verbs that read servers understand.
#[derive(Args)]
struct SourceArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// A folder for mirrors and metadata, instead of the one that the settings name.
    #[arg(long, env = "TOWPATH_CACHE", value_name = "FOLDER")]
    cache: Option<PathBuf>,

    /// Leave out the custom resources that the settings name, and the cluster alone.
    #[arg(long)]
    files_only: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Show promotions at work on this machine: an embedded registry, a sample repository, new tags.
    Demo(demo::Args),
    /// Check settings and policies, and report every problem with its place.
    Check(check::Args),
    /// Show every environment: what stands there, what may come, the decision and its reason.
    Plan(plan::Args),
    /// Make one round: read, decide, push; for CI and cron.
    Apply(apply::Args),
    /// Promote without end: the daemon.
    Run(run::Args),
    /// Show what a registry says of an image, and how it was asked.
    Registry(registry::Args),
    /// Show how a running daemon stands: registries, limits, the age of each reading.
    Status(status::Args),
    /// Ask everything that the settings name whether it is reachable and lets us do our work; changes nothing.
    Doctor(doctor::Args),
    /// Show every tag of one environment's images, and why it is or is not the one.
    Explain(explain::Args),
    /// Pin a version: exactly it stands in an environment, older or newer, until someone resumes.
    Pin(pin::Args),
    /// Reject a version: it does not come to an environment, and the next best may.
    Reject(pin::Args),
    /// Approve a version: it may come to an environment by commits once enough people agree.
    Approve(pin::Args),
    /// Stop promotions, in one environment or in many.
    Stop(stop::Args),
    /// Resume promotions: end holds, and let go of what a person undid.
    Resume(resume::Args),
    /// Put the version before back, as the environment is delivered, and pin it.
    Rollback(rollback::Args),
    /// Show who promoted what, when and why, and what people decided; from git alone.
    History(history::Args),
    /// Read everything that the policies need, and show or save it.
    Observe(observe::Args),
    /// List every place that a policy would write, and what stands there; asks no registry.
    Sites(sites::Args),
    /// Choose one of a list of tags, as a policy would.
    Select(select::Args),
    /// Change a version in a file and not a byte more.
    Set(set::Args),
    /// Print the JSON Schema of settings and policies.
    Schema(schema::Args),
    /// Print completions for a shell.
    Completions(completions::Args),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let Cli { verb, global } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Clap's own codes: 0 for help and version, 2 for usage.
            let code = error.exit_code();
            let _ = error.print();
            return ExitCode::from(u8::try_from(code).unwrap_or(2));
        }
    };
    // Whoever installed one before us chose for the whole process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Until the end, which sends what is left of traces.
    let started = Log::start(&global, &verb);
    let (result, _traces) = match started {
        Ok((log, traces)) => (dispatch(verb, log), Some(traces)),
        Err(failure) => (Err(failure), None),
    };
    result.unwrap_or_else(|failure| {
        let _ = write_to(io::stderr().lock(), &failure.to_string());
        failure.exit_code()
    })
}

fn dispatch(verb: Verb, log: Log) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Demo(args) => block_on(demo::run(args)),
        Verb::Check(args) => block_on(check::run(args)),
        Verb::Plan(args) => block_on(plan::run(args)),
        Verb::Apply(args) => block_on(apply::run(args)),
        Verb::Run(args) => block_on(run::run(args, log)),
        Verb::Registry(args) => block_on(registry::run(args)),
        Verb::Status(args) => block_on(status::run(args)),
        Verb::Doctor(args) => block_on(doctor::run(args)),
        Verb::Explain(args) => block_on(explain::run(args)),
        Verb::Pin(args) => block_on(pin::run(args)),
        Verb::Reject(args) => block_on(reject::run(args)),
        Verb::Approve(args) => block_on(approve::run(args)),
        Verb::Stop(args) => block_on(stop::run(args)),
        Verb::Resume(args) => block_on(resume::run(args)),
        Verb::Rollback(args) => block_on(rollback::run(args)),
        Verb::History(args) => block_on(history::run(args)),
        Verb::Observe(args) => block_on(observe::run(args)),
        Verb::Sites(args) => block_on(sites::run(args)),
        Verb::Select(args) => select::run(args),
        Verb::Set(args) => set::run(args),
        Verb::Schema(args) => schema::run(args),
        Verb::Completions(args) => completions::run(args),
    }
}

fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // What still runs was left behind on purpose; nothing waits for it.
    runtime.shutdown_background();
    result
}

/// Writes `text` to stdout.
fn print(text: &str) -> Result<(), Failure> {
    write_to(io::stdout().lock(), text)
}

/// Writes `text` to a stream of the process. A reader that went away is no failure: it has seen enough.
fn write_to(mut stream: impl io::Write, text: &str) -> Result<(), Failure> {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
