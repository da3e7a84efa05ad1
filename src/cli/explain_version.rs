//! `towpath explain POLICY ENVIRONMENT IMAGE VERSION`: the whole chain of one version, as text and as JSON.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::explain::times;
use super::plan::{DecisionJson, decision_json, sentence};
use super::table;
use crate::plan::{Chain, HoldReason, Run, Stop};
use crate::policy::EnvironmentName;
use crate::policy::gate::{Condition, Finding, Verdict};
use crate::world::World;

/// The chain as people read it.
pub(super) fn as_text(chain: &Chain, environment: &EnvironmentName, world: &World) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let time = |time: Option<Timestamp>| or_dash(time.map(|time| time.to_string()));
    let [first_seen, pushed, created] = match chain.stops.first() {
        Some(stop) => times(world, &stop.decided.repository, &chain.tag),
        None => [None; 3],
    };
    let mut text = format!("{}\n", chain.tag);
    let seen = [
        ("first seen", time(first_seen)),
        ("pushed", time(pushed)),
        ("created", time(created)),
        (
            "digest",
            or_dash(chain.digest.as_ref().map(ToString::to_string)),
        ),
    ];
    text.push_str(&rows(seen.map(|(name, value)| (name.to_owned(), value))));
    for stop in &chain.stops {
        text.push_str(&stop_text(stop));
    }
    let (outcome, next) = chain.outcome(environment);
    write!(text, "\n{environment}: {outcome}").expect("a string can be written");
    if let Some(next) = next {
        write!(text, "; time alone may change that at {next}").expect("a string can be written");
    }
    text.push('\n');
    text
}

fn stop_text(stop: &Stop) -> String {
    let Stop {
        after,
        decided,
        verdict,
        ran,
        gates,
    } = stop;
    let after: Vec<String> = after.iter().map(ToString::to_string).collect();
    let after = match after.is_empty() {
        true => String::new(),
        false => format!(", after {}", after.join(" and ")),
    };
    let (outcome, reason) = sentence(&decided.decision);
    let mut told = vec![
        (
            "stands".to_owned(),
            decided
                .current
                .clone()
                .unwrap_or_else(|| "nothing".to_owned()),
        ),
        (
            "version".to_owned(),
            verdict.as_ref().map_or_else(
                || "the registry does not list it, as far as is known".to_owned(),
                ToString::to_string,
            ),
        ),
        ("ran".to_owned(), ran_text(ran)),
    ];
    if let Ok(Some(Run {
        health: Some(health),
        ..
    })) = ran
    {
        told.push(("health".to_owned(), health_text(health)));
    }
    match gates {
        Ok(gates) => told.extend(gates.iter().map(|finding| {
            let Finding {
                gate,
                verdict,
                why,
                next: _,
            } = finding;
            (
                gate.to_string(),
                format!("{}: {why}", verdict_text(*verdict)),
            )
        })),
        Err(why) => told.push(("gates".to_owned(), why.clone())),
    }
    told.push(("decision".to_owned(), format!("{outcome}: {reason}")));
    format!("\n{}{after}\n{}", decided.environment, rows(told))
}

/// Names with values, indented.
fn rows(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows = rows
        .into_iter()
        .map(|(name, value)| [format!("  {name}"), value]);
    table::pairs(&rows.collect::<Vec<_>>())
}

fn ran_text(ran: &Result<Option<Run>, HoldReason>) -> String {
    let run = match ran {
        Ok(Some(run)) => run,
        Ok(None) => return "no, or it was taken back or rejected".to_owned(),
        Err(reason) => return format!("unknown: {reason}"),
    };
    let Run {
        tag,
        since,
        commit,
        pull_request,
        stands,
        health: _,
    } = run;
    let mut text = format!("as `{tag}`");
    match since {
        Some(since) => write!(text, " since {since}"),
        None => write!(text, ", and no promotion tells since when"),
    }
    .expect("a string can be written");
    if let Some(commit) = commit {
        write!(text, ", by {}", commit.short()).expect("a string can be written");
    }
    if let Some(number) = pull_request {
        write!(text, " (#{number})").expect("a string can be written");
    }
    text.push_str(match stands {
        true => "; it stands there now",
        false => "; another version has taken its place",
    });
    text
}

fn health_text(health: &Condition) -> String {
    match health {
        Condition::Healthy { since } => format!("healthy since {since}"),
        Condition::NotYet { why, .. } => why.clone(),
        Condition::NeverSeen => "it was never seen healthy while it stood there".to_owned(),
        Condition::Unknown { why } => format!("unknown: {why}"),
    }
}

fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Waits => "waits",
        Verdict::Failed => "failed",
        Verdict::Unknown => "unknown",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainJson<'a> {
    version: &'a str,
    digest: Option<&'a str>,
    first_seen: Option<String>,
    pushed: Option<String>,
    created: Option<String>,
    environments: Vec<StopJson<'a>>,
    message: String,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopJson<'a> {
    environment: &'a str,
    after: Vec<&'a str>,
    /// What became of the version here; `null` where the registry does not list it.
    why: Option<String>,
    ran: Option<RunJson<'a>>,
    /// Why it is not known whether it ran.
    ran_unknown: Option<String>,
    gates: Vec<GateJson<'a>>,
    /// Why the gates cannot be asked.
    gates_unknown: Option<&'a str>,
    decision: DecisionJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunJson<'a> {
    tag: &'a str,
    since: Option<String>,
    commit: Option<String>,
    pull_request: Option<u64>,
    stands: bool,
    healthy_since: Option<String>,
    health: Option<String>,
}

#[derive(Serialize)]
struct GateJson<'a> {
    gate: &'static str,
    /// `passed`, `waits`, `failed` or `unknown`.
    verdict: &'static str,
    evidence: &'a str,
    next: Option<String>,
}

/// The chain as programs read it.
pub(super) fn as_json(chain: &Chain, environment: &EnvironmentName, world: &World) -> String {
    let [first_seen, pushed, created] = match chain.stops.first() {
        Some(stop) => times(world, &stop.decided.repository, &chain.tag),
        None => [None; 3],
    };
    let (message, next) = chain.outcome(environment);
    let json = ChainJson {
        version: chain.tag.as_str(),
        digest: chain.digest.as_ref().map(|digest| digest.as_str()),
        first_seen: first_seen.map(|time| time.to_string()),
        pushed: pushed.map(|time| time.to_string()),
        created: created.map(|time| time.to_string()),
        environments: chain.stops.iter().map(stop_json).collect(),
        message,
        next: next.map(|time| time.to_string()),
    };
    let mut text = serde_json::to_string_pretty(&json).expect("a chain has only strings and lists");
    text.push('\n');
    text
}

fn stop_json(stop: &Stop) -> StopJson<'_> {
    let Stop {
        after,
        decided,
        verdict,
        ran,
        gates,
    } = stop;
    let gate = |finding: &'_ Finding| -> (&'static str, &'static str, Option<String>) {
        let next = finding.next.map(|time| time.to_string());
        (finding.gate.as_str(), verdict_text(finding.verdict), next)
    };
    let told = gates.iter().flatten().map(|finding| {
        let (gate, verdict, next) = gate(finding);
        GateJson {
            gate,
            verdict,
            evidence: &finding.why,
            next,
        }
    });
    StopJson {
        environment: decided.environment.as_str(),
        after: after.iter().map(EnvironmentName::as_str).collect(),
        why: verdict.as_ref().map(ToString::to_string),
        ran: ran.as_ref().ok().and_then(Option::as_ref).map(run_json),
        ran_unknown: ran.as_ref().err().map(ToString::to_string),
        gates: told.collect(),
        gates_unknown: gates.as_ref().err().map(String::as_str),
        decision: decision_json(decided),
    }
}

fn run_json(run: &Run) -> RunJson<'_> {
    let Run {
        tag,
        since,
        commit,
        pull_request,
        stands,
        health,
    } = run;
    let healthy_since = match health {
        Some(Condition::Healthy { since }) => Some(since.to_string()),
        Some(Condition::NotYet { .. } | Condition::NeverSeen | Condition::Unknown { .. })
        | None => None,
    };
    RunJson {
        tag: tag.as_str(),
        since: since.map(|time| time.to_string()),
        commit: commit.as_ref().map(ToString::to_string),
        pull_request: *pull_request,
        stands: *stands,
        healthy_since,
        health: health.as_ref().map(health_text),
    }
}
