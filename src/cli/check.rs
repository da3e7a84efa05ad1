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
use crate::config::{
    self, Config, Judged, Manifests, Problem, Problems, Severity, WrittenIn, check_holds,
};
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

    /// Also judge the custom resources in these files and folders before `kubectl apply`; `-` is standard input.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    resources: Vec<PathBuf>,

    /// The namespace of those that name none.
    #[arg(long, value_name = "NAME", requires = "resources")]
    namespace: Option<String>,

    /// How to print: `text` for people on stderr, `json` for editors and CI on stdout.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What was found.
struct Checked {
    /// `None` where the files are wrong.
    config: Option<Config>,
    problems: Problems,
    /// Why custom resources of the cluster could not be judged.
    unread: Option<Failure>,
    /// How many custom resources stand in the files that were named, if some were.
    manifests: Option<usize>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let manifests = manifests(&args)?;
    let file = &args.source.config.config;
    let loaded = config::load(file);
    let (there, unread) = match resources::of_cluster(&loaded, &args.source).await {
        Ok(there) => (there, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let applied = config::load_applied(file, &there, &manifests);
    let asked = (!args.resources.is_empty()).then_some(&manifests);
    let mut checked = Checked {
        unread,
        ..Checked::new(applied, asked)
    };
    if let (Some(config), Some(holds)) = (&checked.config, &args.holds) {
        let text = fs::read_to_string(holds);
        let text = text.with_context(|| format!("failed to read `{}`", holds.display()))?;
        match check_holds(holds, &text, (&config.policies, &config.fleets)) {
            Ok((_, problems)) | Err(problems) => checked.add(problems),
        }
    }
    if let (Some(config), true, 0) = (&checked.config, args.sites, checked.errors()) {
        let missing = missing(&args.source, config.clone()).await?;
        checked.problems.list.extend(missing);
    }
    match args.output {
        Output::Text => print_text(file, &checked)?,
        Output::Json => print(&as_json(&checked))?,
    }
    let is_valid = checked.errors() == 0;
    match checked.unread {
        Some(failure) => Err(failure),
        None if is_valid => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(INVALID)),
    }
}

/// The custom resources in the files that `args` name.
fn manifests(args: &Args) -> Result<Manifests, Failure> {
    let mut manifests = Manifests::new(args.namespace.clone());
    for path in &args.resources {
        match path.to_str() {
            Some("-") => manifests.read_from(Path::new("<stdin>"), io::stdin().lock())?,
            Some(_) | None => manifests.read(path)?,
        }
    }
    Ok(manifests)
}

impl Checked {
    fn new(loaded: Result<Config, Problems>, manifests: Option<&Manifests>) -> Self {
        let none = || Problems {
            list: Vec::new(),
            omitted: 0,
        };
        let mut checked = Self {
            config: None,
            problems: none(),
            unread: None,
            manifests: manifests.map(Manifests::count),
        };
        match loaded {
            Ok(mut config) => {
                checked.problems.list = mem::take(&mut config.warnings);
                leave_out_refused(&mut config);
                // Who asks of what is to be applied is not asked to mend what is there.
                let is_asked = |judged: &Judged| manifests.is_none_or(|all| all.has(&judged.id));
                config.judged.retain(is_asked);
                checked.problems.list.extend(config.refused());
                checked.config = Some(config);
            }
            Err(problems) => checked.add(problems),
        }
        let nameless = manifests.into_iter().flat_map(Manifests::problems).cloned();
        checked.problems.list.extend(nameless);
        checked
    }

    fn add(&mut self, Problems { list, omitted }: Problems) {
        self.problems.list.extend(list);
        self.problems.omitted += omitted;
    }

    /// How many problems make the files unusable, those that are not listed included.
    fn errors(&self) -> usize {
        let Problems { list, omitted } = &self.problems;
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        list.iter().filter(is_error).count() + omitted
    }
}

/// Leaves what does not count out of what is told to stand somewhere.
fn leave_out_refused(config: &mut Config) {
    let refused = config
        .judged
        .iter()
        .filter(|judged| judged.verdict.problems().is_some());
    let refused: BTreeSet<_> = refused.map(|judged| &judged.id).collect();
    config.written_in.retain(|_, place| match place {
        WrittenIn::Resource { id, .. } => !refused.contains(id),
        WrittenIn::File(_) => true,
    });
}

/// The places of all policies that are not there at the heads of their branches, or cannot be written.
async fn missing(source: &SourceArgs, config: Config) -> Result<Vec<Problem>, Failure> {
    let setup = Setup::new(config).with_cache(source.cache.as_deref());
    let setup = setup.with_folders_now().await?;
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

fn print_text(file: &Path, checked: &Checked) -> Result<(), Failure> {
    let Checked {
        config,
        problems,
        unread,
        ..
    } = checked;
    let errors = count(checked.errors(), "problem", "problems");
    match config {
        // Beside the failure, which the end tells.
        Some(_) if unread.is_some() && checked.errors() == 0 => Ok(()),
        Some(config) if checked.errors() == 0 => {
            let warnings = problems.list.iter();
            let warnings = warnings.map(|warning| format!("{warning}\n\n"));
            write_to(io::stderr().lock(), &warnings.collect::<String>())?;
            let summary = summary(config);
            let warnings = match problems.list.len() {
                0 => String::new(),
                some => format!("; {}", count(some, "warning", "warnings")),
            };
            let manifests = checked.manifests.map(|found| {
                let found = count(found, "custom resource", "custom resources");
                format!("; {found} to apply")
            });
            let manifests = manifests.unwrap_or_default();
            print(&format!(
                "{}: {summary}{manifests}{warnings}\n",
                file.display()
            ))
        }
        Some(_) | None => {
            let text = format!("{problems}\n\n{}: {errors}\n", file.display());
            write_to(io::stderr().lock(), &text)
        }
    }
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

fn as_json(checked: &Checked) -> String {
    let Checked {
        config,
        problems: Problems { list, omitted },
        unread,
        manifests: _,
    } = checked;
    let policies = config.iter().flat_map(|config| &config.written_in);
    let refused = config.iter().flat_map(|config| &config.judged);
    let refused = refused.filter_map(|Judged { id, verdict, .. }| {
        let problems = verdict.problems()?;
        Some(json!({
            "writtenIn": id.to_string(),
            "problems": problems.list.iter().map(problem).collect::<Vec<_>>(),
        }))
    });
    let policies = policies
        .map(|(name, place)| json!({ "name": name.as_str(), "writtenIn": place.to_string() }));
    let report = json!({
        "valid": checked.errors() == 0 && unread.is_none(),
        "policies": policies.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "problems": list.iter().map(problem).collect::<Vec<_>>(),
        "omitted": omitted,
        "unread": unread.as_ref().map(Failure::message),
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
