//! `towpath check`: says everything that is wrong with the settings and policies, or that nothing is.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use crate::config::{Config, Problem, Problems, Severity, load};

/// The exit code when the settings or policies cannot be used.
const INVALID: u8 = 3;

/// Checks the settings and policies and reports all problems at once.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The settings file.
    #[arg(
        long,
        value_name = "PATH",
        env = "TOWPATH_CONFIG",
        default_value = "config/towpath.yaml"
    )]
    config: PathBuf,
    /// How to print: `text` for people on stderr, `json` for editors and CI on stdout.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { config, output } = args;
    let checked = load(&config);
    let code = match checked {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(INVALID),
    };
    let printed = match output {
        Output::Text => print_text(&config, &checked),
        Output::Json => print_json(&checked),
    };
    match printed {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(code),
        printed => printed.map(|()| code).map_err(Into::into),
    }
}

fn print_text(path: &Path, checked: &Result<Config, Problems>) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    match checked {
        Ok(config) => {
            for warning in &config.warnings {
                writeln!(stderr, "{warning}\n")?;
            }
            let summary = summary(config);
            writeln!(io::stdout().lock(), "{}: {summary}", path.display())
        }
        Err(problems) => {
            writeln!(stderr, "{problems}\n")?;
            let errors = errors(problems);
            let noun = if errors == 1 { "problem" } else { "problems" };
            writeln!(stderr, "{}: {errors} {noun}", path.display())
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
fn summary(config: &Config) -> String {
    let Config {
        settings,
        policies,
        warnings,
    } = config;
    let environments = policies.iter().map(|p| p.environments.len()).sum();
    let images = policies.iter().map(|p| p.images.len()).sum();
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
    format!("{}{warnings}", parts.join(", "))
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn print_json(checked: &Result<Config, Problems>) -> io::Result<()> {
    let (problems, omitted) = match checked {
        Ok(config) => (&config.warnings, 0),
        Err(problems) => (&problems.list, problems.omitted),
    };
    let report = json!({
        "valid": checked.is_ok(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        "omitted": omitted,
    });
    writeln!(io::stdout().lock(), "{report:#}")
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
