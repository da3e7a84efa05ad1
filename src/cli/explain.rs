//! `towpath explain`: every tag of one environment's images, and why it is or is not the one.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::plan::{DecisionJson, also, decision_json, sentence};
use super::run::Setup;
use super::{Failure, Output, SourceArgs, print, table};
use crate::daemon::{now, settle};
use crate::image::{Repository, Tag};
use crate::plan::{Explained, explain};
use crate::world::{Fact, TagDetails, World};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// The policy.
    policy: String,

    /// One of its environments.
    environment: String,

    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let setup = Setup::now(&args.source).await?;
    let setup = setup.only(std::slice::from_ref(&args.policy))?;
    let policy = &setup.policies[0];
    let named =
        |environment: &&crate::policy::Environment| environment.name.as_str() == args.environment;
    let Some(environment) = policy.environments.iter().find(named) else {
        let names: Vec<_> = policy
            .environments
            .iter()
            .map(|environment| format!("`{}`", environment.name))
            .collect();
        let message = format!(
            "policy `{}` has no environment `{}`",
            policy.name, args.environment
        );
        return Err(Failure::usage(message).with_hint(format!("it has {}", names.join(", "))));
    };
    let live = setup.connect().await?;
    live.sources.read_all(&live.wants, now()).await;
    let _plan = settle(live.hands(&setup)).await;
    let world = live.sources.world(&live.wants);
    let explained = explain(&setup.scope(), (policy, environment), (&world, now()));
    print(&match args.output {
        Output::Text => explained
            .iter()
            .map(|explained| as_text(explained, &world))
            .collect(),
        Output::Json => as_json(&explained, &world),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(Explained { decided, tags }: &Explained, world: &World) -> String {
    let (outcome, reason) = sentence(&decided.decision);
    let current = decided.current.as_deref().unwrap_or("nothing");
    let also: String = also(decided)
        .map(|place| format!("  by alias:  {place}\n"))
        .collect();
    let mut text = format!(
        "{} {} {} ({})\n  stands:    {current}\n  decision:  {outcome}: {reason}\n{also}\n",
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
fn times(world: &World, repository: &Repository, tag: &Tag) -> [Option<Timestamp>; 3] {
    let Some(facts) = world.images.get(repository) else {
        return [None; 3];
    };
    let (first_seen, pushed) = match &facts.listing {
        Fact::Known(listing) => (listing.tags.get(tag).copied(), listing.pushed(tag)),
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
