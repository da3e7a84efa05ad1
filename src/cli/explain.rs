//! `towpath explain`: every tag of one environment's images, and why it is or is not the one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::plan::{DecisionJson, also, decision_json, load_world, sentence};
use super::run::Setup;
use super::{Failure, Output, SourceArgs, explain_version, print, table};
use crate::cluster::resources::ResourceId;
use crate::daemon::{now, settle};
use crate::image::{Repository, Tag};
use crate::plan::{Chain, Explained, chain, explain};
use crate::policy::{Environment, ImageName, Policy};
use crate::world::{Fact, TagDetails, World};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// The policy.
    policy: String,

    /// One of its environments.
    environment: String,

    /// One of its images.
    image: Option<String>,

    /// One version of the image, by its tag: its whole way through the environments.
    #[arg(value_name = "VERSION")]
    tag: Option<Tag>,

    /// Explain from a world file of `observe --save` instead of the world.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// Explain as of this time, RFC 3339. [default: now, or when the world file was observed]
    #[arg(long, value_name = "TIME", requires = "world")]
    at: Option<Timestamp>,

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
    let environment = environment(policy, &args.environment)?;
    let image = args.image.as_deref().map(|name| image(policy, name));
    let image = image.transpose()?;
    let version = image.zip(args.tag.as_ref());
    let (world, now) = match saved {
        Some((world, observed)) => (world, args.at.unwrap_or(observed)),
        None => (read(&setup, version).await?, now()),
    };
    let scope = setup.scope();
    print(&match version {
        Some((image, tag)) => {
            let chain = chain(&scope, (policy, image), (&world, now), tag);
            match args.output {
                Output::Text => explain_version::as_text(&chain, &environment.name, &world),
                Output::Json => explain_version::as_json(&chain, &environment.name, &world),
            }
        }
        None => {
            let mut explained = explain(&scope, (policy, environment), (&world, now));
            explained.retain(|one| image.is_none_or(|image| one.decided.image == *image));
            match args.output {
                Output::Text => {
                    let place = setup.resource_of(&policy.name);
                    let texts = explained
                        .iter()
                        .map(|one| as_text(one, place.as_ref(), &world));
                    texts.collect()
                }
                Output::Json => as_json(&explained, &world),
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the world until nothing is lacking: what decisions rest on, and what is asked of one version.
async fn read(setup: &Setup, version: Option<(&ImageName, &Tag)>) -> Result<World, Failure> {
    let live = setup.connect().await?;
    live.sources.read_all(&live.wants, now()).await;
    let hands = live.hands(setup);
    let _plan = settle(hands).await;
    let mut asked = BTreeSet::new();
    loop {
        let world = live.sources.world(&live.wants);
        let Some((image, tag)) = version else {
            return Ok(world);
        };
        let Chain { questions, .. } = chain(
            &setup.scope(),
            (&setup.policies[0], image),
            (&world, now()),
            tag,
        );
        let new: BTreeSet<_> = questions.difference(&asked).cloned().collect();
        if new.is_empty() {
            return Ok(world);
        }
        asked.extend(new.iter().cloned());
        hands.sources.ask(new, hands.clock).await;
    }
}

fn environment<'a>(policy: &'a Policy, name: &str) -> Result<&'a Environment, Failure> {
    let mut environments = policy.environments.iter();
    let named = environments.find(|environment| environment.name.as_str() == name);
    named.ok_or_else(|| {
        let names = policy.environments.iter().map(|one| one.name.as_str());
        lacks(policy, ("environment", name), names)
    })
}

fn image<'a>(policy: &'a Policy, name: &str) -> Result<&'a ImageName, Failure> {
    let named = policy.images.keys().find(|image| image.as_str() == name);
    named.ok_or_else(|| {
        let names = policy.images.keys().map(ImageName::as_str);
        lacks(policy, ("image", name), names)
    })
}

fn lacks<'a>(
    policy: &Policy,
    (what, name): (&str, &str),
    names: impl Iterator<Item = &'a str>,
) -> Failure {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let message = format!("policy `{}` has no {what} `{name}`", policy.name);
    Failure::usage(message).with_hint(format!("it has {}", names.join(", ")))
}

fn as_text(
    Explained { decided, tags }: &Explained,
    place: Option<&ResourceId>,
    world: &World,
) -> String {
    let (outcome, reason) = sentence(&decided.decision);
    let current = decided.current.as_deref().unwrap_or("nothing");
    let also: String = also(decided)
        .map(|place| format!("  by alias:  {place}\n"))
        .collect();
    let place = place.map(|place| format!("  resource:  {place}\n"));
    let place = place.unwrap_or_default();
    let mut text = format!(
        "{} {} {} ({})\n{place}  stands:    {current}\n  decision:  {outcome}: {reason}\n{also}\n",
        decided.policy, decided.environment, decided.image, decided.repository
    );
    let rows: Vec<[String; 5]> = tags
        .iter()
        .map(|(tag, verdict)| {
            let [first_seen, pushed, created] = times(world, &decided.repository, tag);
            let or_dash = |time: Option<String>| time.unwrap_or_else(|| "-".to_owned());
            let to_the_second = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            [
                tag.to_string(),
                or_dash(first_seen.map(to_the_second)),
                or_dash(pushed.map(to_the_second)),
                or_dash(created.map(to_the_second)),
                verdict.to_string(),
            ]
        })
        .collect();
    let header = ["TAG", "FIRST SEEN", "PUSHED", "CREATED", "WHY"];
    write!(text, "{}", table::render(header, &rows)).expect("a string can be written");
    text
}

/// When a tag was first seen and last pushed, and when its image was created, where that is known.
pub(super) fn times(world: &World, repository: &Repository, tag: &Tag) -> [Option<Timestamp>; 3] {
    let Some(facts) = world.images.get(repository) else {
        return [None; 3];
    };
    let (first_seen, pushed) = match &facts.listing {
        Fact::Known(listing) => (listing.tags.get(tag), listing.pushed(tag)),
        Fact::Unknown { .. } => (None, None),
    };
    let created = match facts.tags.get(tag) {
        Some(TagDetails {
            created: Some(Fact::Known(Some(time))),
            ..
        }) => Some(*time),
        Some(_) | None => None,
    };
    [first_seen, pushed, created]
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedJson<'a> {
    decision: DecisionJson<'a>,
    tags: Vec<TagJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagJson<'a> {
    tag: &'a str,
    first_seen: Option<String>,
    pushed: Option<String>,
    created: Option<String>,
    why: String,
}

fn as_json(explained: &[Explained], world: &World) -> String {
    let json: Vec<ExplainedJson<'_>> = explained
        .iter()
        .map(|Explained { decided, tags }| ExplainedJson {
            decision: decision_json(decided),
            tags: tags
                .iter()
                .map(|(tag, verdict)| {
                    let [first_seen, pushed, created] = times(world, &decided.repository, tag);
                    TagJson {
                        tag: tag.as_str(),
                        first_seen: first_seen.map(|time| time.to_string()),
                        pushed: pushed.map(|time| time.to_string()),
                        created: created.map(|time| time.to_string()),
                        why: verdict.to_string(),
                    }
                })
                .collect(),
        })
        .collect();
    let mut text =
        serde_json::to_string_pretty(&json).expect("an explanation has only strings and lists");
    text.push('\n');
    text
}
