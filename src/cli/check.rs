//! `towpath check`: says everything that is wrong with the settings and policies, or that nothing is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value as Json, json};

use super::run::Setup;
use super::{Failure, Output, SourceArgs, print, resources, write_to};
use crate::config::{Config, Problem, Problems, Severity, check_holds};
use crate::plan::sites;
use crate::policy::Policy;

/// The exit code when the settings or policies cannot be used.
const INVALID: u8 = 3;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// A file with holds, such as `.towpath/holds.yaml` in a clone; checked against the policies.
    #[arg(long, value_name = "FILE")]
    holds: Option<PathBuf>,

    /// Also fetch the manifests repositories, and tell which places of the policies are not there.
    #[arg(long)]
    sites: bool,

    /// How to print: `text` for people on stderr, `json` for editors and CI on stdout.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = &args.source.config.config;
    let mut checked = resources::load(&args.source).await?;
    if let (Ok(config), Some(holds)) = (&mut checked, &args.holds) {
        let text = fs::read_to_string(holds);
        let text = text.with_context(|| format!("failed to read `{}`", holds.display()))?;
        match check_holds(holds, &text, (&config.policies, &config.fleets)) {
            Ok((_, problems)) => config.warnings.extend(problems.list),
            Err(problems) => checked = Err(problems),
        }
    }
    if let Ok(config) = &mut checked {
        let refused: Vec<Problem> = config.refused().collect();
        if !refused.is_empty() {
            let warnings = mem::take(&mut config.warnings);
            checked = Err(Problems {
                list: warnings.into_iter().chain(refused).collect(),
                omitted: 0,
            });
        }
    }
    if let (Ok(config), true) = (&mut checked, args.sites) {
        let missing = missing(&args.source).await?;
        if !missing.is_empty() {
            let warnings = mem::take(&mut config.warnings);
            checked = Err(Problems {
                list: warnings.into_iter().chain(missing).collect(),
                omitted: 0,
            });
        }
    }
    match args.output {
        Output::Text => print_text(file, &checked)?,
        Output::Json => print(&as_json(&checked))?,
    }
    Ok(match checked {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(INVALID),
    })
}

/// The places of all policies that are not there at the heads of their branches, or cannot be written.
async fn missing(source: &SourceArgs) -> Result<Vec<Problem>, Failure> {
    let setup = Setup::now(source).await?;
    let live = setup.connect().await?;
    let repositories = setup.policies.iter().map(|policy| &policy.repository);
    for repository in repositories.collect::<BTreeSet<_>>() {
        live.sources.fetch(repository, &live.wants).await;
    }
    let world = live.sources.world(&live.wants);
    let of_policy = |policy: &Policy| {
        let listed = sites(&setup.scope(), policy, &world).into_iter();
        let missing = listed.filter_map(|listed| {
            let why = listed.standings.err().or(listed.refused)?;
            let (environment, image) = (&listed.environment, &listed.image);
            Some(Problem {
                severity: Severity::Error,
                file: source.config.config.clone(),
                place: None,
                message: format!("{} {environment} {image}: {why}", policy.name),
                hint: None,
            })
        });
        missing.collect::<Vec<_>>()
    };
    Ok(setup.policies.iter().flat_map(of_policy).collect())
}

fn print_text(file: &Path, checked: &Result<Config, Problems>) -> Result<(), Failure> {
    match checked {
        Ok(config) => {
            let warnings = config
                .warnings
                .iter()
                .map(|warning| format!("{warning}\n\n"));
            write_to(io::stderr().lock(), &warnings.collect::<String>())?;
            print(&format!("{}: {}\n", file.display(), summary(config)))
        }
        Err(problems) => {
            let errors = count(errors(problems), "problem", "problems");
            write_to(
                io::stderr().lock(),
                &format!("{problems}\n\n{}: {errors}\n", file.display()),
            )
        }
    }
}

/// How many problems make the files unusable, those that are not listed included.
fn errors(problems: &Problems) -> usize {
    let Problems { list, omitted } = problems;
    let is_error = |problem: &&Problem| problem.severity == Severity::Error;
    list.iter().filter(is_error).count() + omitted
}

/// What the settings and policies hold, in one line.
pub(super) fn summary(config: &Config) -> String {
    let Config {
        settings,
        policies,
        fleets,
        written_in: _,
        reserved: _,
        judged: _,
        warnings,
    } = config;
    let environments = policies.iter().map(|p| p.environments.len()).sum();
    let images = policies.iter().map(|p| p.images.len()).sum();
    let fleets = match fleets.len() {
        0 => String::new(),
        some => format!("{}, ", count(some, "fleet", "fleets")),
    };
    let parts = [
        count(policies.len(), "policy", "policies"),
        count(environments, "environment", "environments"),
        count(images, "image", "images"),
        count(settings.repositories.len(), "repository", "repositories"),
    ];
    let warnings = match warnings.len() {
        0 => String::new(),
        some => format!("; {}", count(some, "warning", "warnings")),
    };
    format!("{fleets}{}{warnings}", parts.join(", "))
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn as_json(checked: &Result<Config, Problems>) -> String {
    let (problems, omitted) = match checked {
        Ok(config) => (&config.warnings, 0),
        Err(problems) => (&problems.list, problems.omitted),
    };
    let policies = checked.iter().flat_map(|config| &config.written_in);
    let policies = policies
        .map(|(name, place)| json!({ "name": name.as_str(), "writtenIn": place.to_string() }));
    let report = json!({
        "valid": checked.is_ok(),
        "policies": policies.collect::<Vec<_>>(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        "omitted": omitted,
    });
    format!("{report:#}\n")
}

fn problem(problem: &Problem) -> Json {
    let Problem {
        severity,
        file,
        place,
        message,
        hint,
    } = problem;
    json!({
        "severity": severity.to_string(),
        "file": file.display().to_string(),
        "line": place.as_ref().map(|place| place.line),
        "column": place.as_ref().map(|place| place.column),
        "key": place.as_ref().map(|place| &place.key),
        "message": message,
        "hint": hint,
    })
}
