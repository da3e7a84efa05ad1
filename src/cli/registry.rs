//! `towpath registry`: what a registry says of one image, and how it was asked.
//!
//! Invariant: nothing is kept; the daemon's cache, and what it has seen first, are as before.

use std::collections::BTreeMap;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::edges::options;
use super::status::limit_text;
use super::{ConfigArgs, Failure, Output, print, table};
use crate::config;
use crate::daemon::{now, registry_status};
use crate::image::version::Version;
use crate::image::{Digest, Reference, Repository, Tag};
use crate::observe::whole_message;
use crate::registry::{Listing, Metadata, Options, Registry, RegistryError, Way};
use crate::web::{LimitStatus, RegistryStatus};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,

    /// The image, as policies write it, with a tag or without: `ghcr.io/acme/web:v1.4.2`. Without one, the tag that was pushed
    /// last is looked at, or the highest version, or the last by name.
    #[arg(value_name = "IMAGE")]
    image: Reference,

    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What was found, as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Survey {
    api_version: &'static str,
    kind: &'static str,
    image: String,
    /// Where it was read, which is elsewhere for a mirror.
    read_at: String,
    /// The registry's product.
    registry: String,
    credentials: String,
    login: String,
    tags: usize,
    /// Names in the listing that are no tags.
    invalid: usize,
    first: Option<String>,
    last: Option<String>,
    pages: usize,
    /// The last tag to be pushed, and when; nothing where the registry does not tell, or just now could not.
    pushed: Option<Pushed>,
    pushed_unknown: Option<String>,
    tag: Option<TagSurvey>,
    requests: BTreeMap<String, u64>,
    requests_per_second: Option<f64>,
    limits: Vec<LimitStatus>,
    #[serde(skip)]
    at: Timestamp,
}

#[derive(Serialize)]
struct Pushed {
    tag: String,
    at: String,
    /// For how many of the tags a time is known.
    times: usize,
}

#[derive(Serialize)]
struct TagSurvey {
    tag: String,
    digest: String,
    platforms: Vec<String>,
    created: Option<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = config::load(&args.config.config).map_err(Failure::config)?;
    let registry = Registry::new(Options {
        cache: None,
        ..options(&config.settings)
    });
    let survey = survey(&registry, &args.image).await.map_err(failure)?;
    print(&match args.output {
        Output::Text => as_text(&survey),
        Output::Json => {
            let text = serde_json::to_string_pretty(&survey);
            text.expect("a survey has only numbers, strings and lists") + "\n"
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn failure(error: RegistryError) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(anyhow::Error::new(error));
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

async fn survey(registry: &Registry, image: &Reference) -> Result<Survey, RegistryError> {
    let at = now();
    let repository = &image.repository;
    let listing = registry.tags(repository, at).await?;
    let (pushed, pushed_unknown) = match pushed(registry, (repository, &listing), at).await {
        Ok(pushed) => (pushed, None),
        Err(error) => (None, Some(whole_message(&error, error.hint()))),
    };
    let newest = pushed.as_ref().and_then(|pushed| pushed.tag.parse().ok());
    let Way {
        origin,
        credentials,
        login,
    } = registry.way(repository).await?;
    let tag = image.tag.clone().or(newest).or(latest(&listing));
    let tag = match (&image.digest, tag) {
        (None, Some(tag)) => {
            let digest = registry.digest(repository, &tag).await?;
            Some(looked_at(registry, (repository, tag.to_string()), &digest).await?)
        }
        (Some(digest), _) => Some(looked_at(registry, (repository, String::new()), digest).await?),
        (None, None) => None,
    };
    let standings = registry.standings().into_iter();
    let standing = standings.map(|standing| registry_status(standing, at));
    let standing = standing
        .into_iter()
        .find(|status| status.host == origin.registry());
    let standing = standing.expect("the registry was asked just now");
    let RegistryStatus {
        host: _,
        kind: registry,
        requests,
        requests_per_second,
        in_flight: _,
        in_flight_max: _,
        waiting: _,
        limits,
    } = standing;
    let name = |listed: Option<&crate::registry::ListedTag>| listed.map(|l| l.tag.to_string());
    Ok(Survey {
        api_version: "towpath.dev/v1alpha1",
        kind: "Registry",
        image: repository.to_string(),
        read_at: origin.to_string(),
        registry,
        credentials,
        login,
        tags: listing.tags.len(),
        invalid: listing.invalid,
        first: name(listing.tags.first()),
        last: name(listing.tags.last()),
        pages: listing.pages,
        pushed,
        pushed_unknown,
        tag,
        requests,
        requests_per_second,
        limits,
        at,
    })
}

/// The last push, if the registry tells.
async fn pushed(
    registry: &Registry,
    (repository, listing): (&Repository, &Listing),
    at: Timestamp,
) -> Result<Option<Pushed>, RegistryError> {
    let Some(api) = registry.push_api(repository) else {
        return Ok(None);
    };
    let times = registry.pushed(repository, (api, listing), at).await?;
    let last = times.iter().max_by_key(|(tag, at)| (*at, *tag));
    Ok(last.map(|(tag, at)| Pushed {
        tag: tag.to_string(),
        at: at.to_string(),
        times: times.len(),
    }))
}

/// The tag to look at where none is named and no push is told.
fn latest(listing: &Listing) -> Option<Tag> {
    let mut tags = listing.tags.iter().map(|listed| &listed.tag);
    let version = |tag: &&Tag| tag.as_str().parse::<Version>().ok();
    let released = tags.clone().filter_map(|tag| Some((version(&tag)?, tag)));
    let released = released
        .filter(|(version, _)| !version.is_prerelease())
        .max();
    released.map(|(_, tag)| tag).or(tags.next_back()).cloned()
}

async fn looked_at(
    registry: &Registry,
    (repository, tag): (&Repository, String),
    digest: &Digest,
) -> Result<TagSurvey, RegistryError> {
    let Metadata {
        created,
        labels: _,
        platforms,
    } = registry.metadata(repository, digest).await?;
    Ok(TagSurvey {
        tag,
        digest: digest.to_string(),
        platforms,
        created: created.map(|created| created.to_string()),
    })
}

fn as_text(survey: &Survey) -> String {
    let mut rows = vec![
        ("image", survey.image.clone()),
        ("registry", survey.registry.clone()),
    ];
    if survey.read_at != survey.image {
        rows.push(("read at", survey.read_at.clone()));
    }
    rows.push(("credentials", survey.credentials.clone()));
    rows.push(("login", survey.login.clone()));
    rows.push(("tags", tags(survey)));
    let pushed = match (&survey.pushed, &survey.pushed_unknown) {
        (Some(Pushed { tag, at, times }), _) => format!("`{tag}` at {at}, of {times} with a time"),
        (None, Some(why)) => format!("unknown: {why}"),
        (None, None) => "none told".to_owned(),
    };
    rows.push(("last push", pushed));
    if let Some(TagSurvey {
        tag,
        digest,
        platforms,
        created,
    }) = &survey.tag
    {
        let named = match tag.as_str() {
            "" => digest.clone(),
            tag => format!("`{tag}` is {digest}"),
        };
        let told = |text: Option<String>| text.unwrap_or("not told".to_owned());
        let platforms = (!platforms.is_empty()).then(|| platforms.join(", "));
        rows.push(("looked at", named));
        rows.push(("platforms", told(platforms)));
        rows.push(("created", told(created.clone())));
    }
    rows.push(("requests", requests(survey)));
    let limits = survey.limits.iter();
    let limits: Vec<String> = limits
        .filter_map(|limit| limit_text(limit, Some(survey.at)))
        .collect();
    rows.push((
        "limits",
        match limits.is_empty() {
            true => "none told".to_owned(),
            false => limits.join("; "),
        },
    ));
    let rows: Vec<[String; 2]> = rows
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value])
        .collect();
    table::pairs(&rows)
}

/// `1204 in 2 pages, from `a` to `v9`; 3 names are no tags`.
fn tags(survey: &Survey) -> String {
    let (Some(first), Some(last)) = (&survey.first, &survey.last) else {
        return "none".to_owned();
    };
    let pages = match survey.pages {
        1 => "1 page".to_owned(),
        pages => format!("{pages} pages"),
    };
    let invalid = match survey.invalid {
        0 => String::new(),
        count => format!("; names that are no tags: {count}"),
    };
    let count = survey.tags;
    format!("{count} in {pages}, by name from `{first}` to `{last}`{invalid}")
}

fn requests(survey: &Survey) -> String {
    let counts = survey.requests.iter();
    let counts: Vec<String> = counts
        .map(|(status, count)| format!("{count} of {status}"))
        .collect();
    let pace = match survey.requests_per_second {
        Some(pace) => format!("; at most {pace} a second"),
        None => String::new(),
    };
    format!("{}{pace}", counts.join(", "))
}
