//! `towpath sites`: every place that a policy would write, and what stands there now.
//!
//! Invariant: a site that cannot be read hides no other.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::plan::{SharedJson, load_world, shared_json};
use super::run::Setup;
use super::{Failure, Output, SourceArgs, print, table};
use crate::manifest::Standing;
use crate::plan::{Listed, Located, SharedPlace, on_one_line, shared, short, sites};
use crate::policy::Policy;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// The policy.
    policy: String,

    /// Only this environment.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,

    /// Only this image, by the policy's own name for it.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,

    /// Read a world file of `observe --save` instead of the repository.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let saved = args.world.as_deref().map(load_world).transpose()?;
    let setup = match &saved {
        Some((world, _)) => Setup::in_world(&args.source, world)?,
        None => Setup::now(&args.source).await?,
    };
    let setup = setup.only(std::slice::from_ref(&args.policy))?;
    let policy = &setup.policies[0];
    known(policy, &args)?;
    let world = match saved {
        Some((world, _)) => world,
        None => {
            let live = setup.connect().await?;
            live.sources.fetch(&policy.repository, &live.wants).await;
            live.sources.world(&live.wants)
        }
    };
    let mut listed = sites(&setup.scope(), policy, &world);
    let is_asked = |name: &str, asked: &Option<String>| asked.as_ref().is_none_or(|a| a == name);
    listed.retain(|listed| {
        is_asked(listed.environment.as_str(), &args.environment)
            && is_asked(listed.image.as_str(), &args.image)
    });
    print(&match args.output {
        Output::Text => as_text(&listed),
        Output::Json => as_json(policy, &listed),
    })?;
    let is_sound = |listed: &Listed| listed.standings.is_ok() && listed.refused.is_none();
    Ok(match listed.iter().all(is_sound) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Refuses an environment or an image that the policy does not have.
fn known(policy: &Policy, args: &Args) -> Result<(), Failure> {
    let environments = policy.environments.iter();
    let environments: Vec<&str> = environments.map(|e| e.name.as_str()).collect();
    let images: Vec<&str> = policy.images.keys().map(|image| image.as_str()).collect();
    let asked = [
        ("environment", &args.environment, environments),
        ("image", &args.image, images),
    ];
    for (what, asked, names) in asked {
        if let Some(asked) = asked
            && !names.contains(&asked.as_str())
        {
            let message = format!("policy `{}` has no {what} `{asked}`", policy.name);
            let hint = format!("it has `{}`", names.join("`, `"));
            return Err(Failure::usage(message).with_hint(hint));
        }
    }
    Ok(())
}

/// The sites as people read them: a row for each place, and for each that changes with it.
fn as_text(listed: &[Listed]) -> String {
    let rows: Vec<[String; 6]> = listed.iter().flat_map(rows).collect();
    let header = ["ENVIRONMENT", "IMAGE", "FILE", "PATH", "CURRENT", "NOTE"];
    table::render(header, &rows)
}

fn rows(listed: &Listed) -> Vec<[String; 6]> {
    let Listed {
        environment,
        image,
        branch: _,
        site,
        standings,
        refused,
    } = listed;
    let row = |file: String, [path, current, note]: [String; 3]| {
        let (environment, image) = (environment.to_string(), image.to_string());
        [environment, image, file, path, current, note]
    };
    let dash = || "-".to_owned();
    let standings = match standings {
        Ok(standings) => standings,
        Err(why) => return vec![row(site.path.to_string(), [dash(), dash(), why.clone()])],
    };
    let mut rows = Vec::new();
    for (Located { file, .. }, standing) in standings {
        let path = standing
            .path
            .as_ref()
            .map(|path| on_one_line(&path.to_string()));
        let current = current(standing);
        let note = match (refused, &current) {
            (Some(why), _) => why.clone(),
            (None, Some(_)) => String::new(),
            (None, None) => "no version stands here yet".to_owned(),
        };
        let current = current.unwrap_or_else(dash);
        let line = standing.line;
        rows.push(row(
            format!("{file}:{line}"),
            [path.unwrap_or_else(dash), current.clone(), note],
        ));
        for SharedPlace {
            file,
            line: at,
            path,
        } in shared(file, standing)
        {
            let note = format!("an alias, which changes with line {line}");
            rows.push(row(
                format!("{file}:{at}"),
                [on_one_line(&path.to_string()), current.clone(), note],
            ));
        }
    }
    rows
}

/// What stands at a place, a digest in its short form.
fn current(standing: &Standing) -> Option<String> {
    let digest = standing.digest.as_deref().map(short);
    let text = match (standing.tag.as_deref(), digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => return None,
    };
    Some(on_one_line(&text))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SitesJson<'a> {
    api_version: &'static str,
    kind: &'static str,
    policy: &'a str,
    sites: Vec<SiteJson<'a>>,
}

#[derive(Serialize)]
struct SiteJson<'a> {
    environment: &'a str,
    image: &'a str,
    repository: &'a str,
    branch: &'a str,
    /// As the policy names it: a file, or the folder of a kustomization.
    path: &'a str,
    places: Vec<PlaceJson<'a>>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceJson<'a> {
    file: &'a str,
    line: usize,
    path: Option<String>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
    also_changes: Vec<SharedJson>,
}

/// The sites as programs read them.
fn as_json(policy: &Policy, listed: &[Listed]) -> String {
    let json = SitesJson {
        api_version: "towpath.dev/v1alpha1",
        kind: "Sites",
        policy: policy.name.as_str(),
        sites: listed.iter().map(site_json).collect(),
    };
    let mut text = serde_json::to_string_pretty(&json).expect("sites have only strings and lists");
    text.push('\n');
    text
}

fn site_json(listed: &Listed) -> SiteJson<'_> {
    let places = listed.standings.iter().flatten();
    SiteJson {
        environment: listed.environment.as_str(),
        image: listed.image.as_str(),
        repository: listed.branch.repository.as_str(),
        branch: &listed.branch.branch,
        path: listed.site.path.as_str(),
        places: places.map(place_json).collect(),
        error: listed
            .standings
            .as_ref()
            .err()
            .or(listed.refused.as_ref())
            .map(String::as_str),
    }
}

fn place_json((Located { file, .. }, standing): &(Located, Standing)) -> PlaceJson<'_> {
    let also = shared(file, standing);
    PlaceJson {
        file: file.as_str(),
        line: standing.line,
        path: standing.path.as_ref().map(ToString::to_string),
        tag: standing.tag.as_deref(),
        digest: standing.digest.as_deref(),
        also_changes: also.map(|shared| shared_json(&shared)).collect(),
    }
}
