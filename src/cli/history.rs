//! `towpath history`: who promoted what, when and why, and what people decided; from git alone.
//!
//! Not here: how messages are read (`ledger`).

use std::collections::BTreeSet;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::holds::{Until, named_environment, parse_until};
use super::run::{Live, Setup};
use super::{Failure, SourceArgs, print, table};
use crate::daemon::now;
use crate::git::History;
use crate::ledger::{Commit, Entry, HoldEvent, Moved, Promotion, Target, What, chronicle};
use crate::manifest::CommitId;
use crate::observe::{HISTORY_LENGTH_MAX, told};
use crate::plan::{on_one_line, short};
use crate::policy::ImageName;
use crate::world::{BranchName, Fact};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// Only this policy, and what people decided for all of them.
    policy: Option<String>,

    /// Only this environment of it.
    environment: Option<String>,

    /// Only what is not older: a time such as `2026-12-27T06:00:00Z`, or a while ago, such as `30d`.
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    since: Option<Until>,

    /// At most so many, the newest; 0 is all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,

    /// The oldest first.
    #[arg(long)]
    reverse: bool,

    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How the history is printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Csv,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let named: Vec<String> = args.policy.iter().cloned().collect();
    let setup = Setup::now(&args.source).await?.only(&named)?;
    if let (Some(name), [policy, ..]) = (&args.environment, &setup.policies[..]) {
        named_environment(policy, name)?;
    }
    let since = args.since.map(|since| since.ago(now())).transpose()?;
    let live = setup.connect().await?;
    let mut told = Vec::new();
    for (repository, branches) in &live.wants.branches {
        live.sources.fetch(repository, &live.wants).await;
        for branch in branches.keys() {
            let name = BranchName {
                repository: repository.clone(),
                branch: branch.clone(),
            };
            let commits = commits(&live, &name).await?;
            let entries = chronicle(branch, &commits).into_iter();
            told.extend(entries.map(|entry| (name.clone(), entry)));
        }
    }
    told.retain(|(_, entry)| {
        since.is_none_or(|since| entry.at >= since) && is_asked(&args, &entry.what)
    });
    // Branches that share a past tell it once.
    let mut seen = BTreeSet::new();
    told.retain(|(name, entry)| {
        let what = what(&entry.what);
        seen.insert((
            name.repository.clone(),
            entry.commit.clone(),
            what,
            place(&entry.what),
        ))
    });
    told.sort_by_key(|(_, entry)| entry.at);
    if args.limit > 0 {
        told.drain(..told.len().saturating_sub(args.limit));
    }
    if !args.reverse {
        told.reverse();
    }
    let rows: Vec<Row> = told
        .into_iter()
        .flat_map(|(name, entry)| rows(&name, entry))
        .collect();
    print(&match args.output {
        Format::Text => as_text(&rows),
        Format::Json => as_json(&rows),
        Format::Csv => as_csv(&rows),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The commits of a branch as it was fetched, newest first.
pub(super) async fn commits(live: &Live, name: &BranchName) -> Result<Vec<Commit>, Failure> {
    let head: Option<CommitId> = match live.sources.branch(name) {
        Some(Fact::Known(facts)) => facts.head.clone(),
        Some(Fact::Unknown { why }) => return Err(anyhow::anyhow!("{why}").into()),
        None => None,
    };
    let Some(head) = head else {
        return Ok(Vec::new());
    };
    let mirror = &live.sources.mirrors()[&name.repository];
    let history = mirror.log(head, None, HISTORY_LENGTH_MAX).await?;
    let (History::Since(commits) | History::Whole(commits) | History::Cut(commits)) = history;
    Ok(commits.into_iter().map(told).collect())
}

/// Whether an entry is about the policy and the environment that are asked for.
fn is_asked(args: &Args, what: &What) -> bool {
    let (policy, environment) = place(what);
    let meets = |asked: &Option<String>, told: Option<String>| match (asked, told) {
        (Some(asked), Some(told)) => *asked == told,
        (None, _) | (_, None) => true,
    };
    meets(&args.policy, policy) && meets(&args.environment, environment)
}

/// The policy and the environment of an entry; none is all of them.
fn place(what: &What) -> (Option<String>, Option<String>) {
    match what {
        What::Promoted(Promotion {
            policy,
            environment,
            ..
        })
        | What::Undone(Promotion {
            policy,
            environment,
            ..
        }) => (Some(policy.to_string()), Some(environment.to_string())),
        What::Decided(HoldEvent {
            target:
                Target {
                    policy,
                    environment,
                    ..
                },
            ..
        }) => (
            policy.as_ref().map(ToString::to_string),
            environment.as_ref().map(ToString::to_string),
        ),
    }
}

/// What happened, in one word or with the version that it is about.
fn what(what: &What) -> String {
    match what {
        What::Promoted(_) => "promoted".to_owned(),
        What::Undone(_) => "undone".to_owned(),
        What::Decided(event) => event.act.to_string(),
    }
}

/// One line of the history: what happened to one image, or what a person decided.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    at: String,
    what: String,
    policy: Option<String>,
    environment: Option<String>,
    image: Option<String>,
    from: Option<String>,
    to: Option<String>,
    digest: Option<String>,
    by: String,
    approved_by: Vec<String>,
    reason: Option<String>,
    until: Option<String>,
    commit: String,
    merge: Option<String>,
    pull_request: Option<u64>,
    repository: String,
    branch: String,
}

/// The lines of one entry.
fn rows(name: &BranchName, entry: Entry) -> Vec<Row> {
    let (policy, environment) = place(&entry.what);
    let row = || Row {
        at: entry.at.to_string(),
        what: what(&entry.what),
        policy: policy.clone(),
        environment: environment.clone(),
        image: None,
        from: None,
        to: None,
        digest: None,
        by: entry.by.clone(),
        approved_by: entry.approvers.clone(),
        reason: entry.reason.clone(),
        until: None,
        commit: entry.commit.to_string(),
        merge: entry.merge.as_ref().map(ToString::to_string),
        pull_request: entry.pull_request,
        repository: name.repository.to_string(),
        branch: name.branch.clone(),
    };
    let is_undone = matches!(entry.what, What::Undone(_));
    match &entry.what {
        What::Promoted(promotion) | What::Undone(promotion) => {
            let of_image = |(image, moved): (&ImageName, &Moved)| {
                let Moved {
                    repository: _,
                    tag,
                    digest,
                    replaced,
                    rejects,
                } = moved;
                let degraded = replaced.as_deref().filter(|_| *rejects && !is_undone);
                let (there, promoted) = (replaced.clone(), Some(tag.to_string()));
                let (from, to) = match is_undone {
                    true => (promoted, there),
                    false => (there, promoted),
                };
                let row = row();
                Row {
                    what: degraded.map_or(row.what, |_| "rolled back".to_owned()),
                    reason: degraded
                        .map(|version| format!("`{}` was degraded", short(version)))
                        .or(row.reason),
                    image: Some(image.to_string()),
                    from,
                    to,
                    digest: digest
                        .as_ref()
                        .filter(|_| !is_undone)
                        .map(ToString::to_string),
                    ..row
                }
            };
            let images = promotion.images.iter();
            images.map(of_image).collect()
        }
        What::Decided(event) => vec![Row {
            image: event.target.image.as_ref().map(ToString::to_string),
            until: event.until.map(|until: Timestamp| until.to_string()),
            ..row()
        }],
    }
}

fn as_text(rows: &[Row]) -> String {
    let or_all = |name: &Option<String>| name.clone().unwrap_or_else(|| "all".to_owned());
    let line = |row: &Row| {
        let change = match (&row.from, &row.to) {
            (None, None) => String::new(),
            (Some(from), Some(to)) if from == to => {
                let digest = row.digest.as_deref().map_or("another digest", short);
                format!("{to} -> {digest}")
            }
            (from, to) => {
                let text = |version: &Option<String>| {
                    on_one_line(version.as_deref().map_or("nothing", short))
                };
                format!("{} -> {}", text(from), text(to))
            }
        };
        let number = row.pull_request.map(|number| format!(" #{number}"));
        let approved = match &row.approved_by[..] {
            [] => None,
            names => Some(format!("approved by {}", names.join(", "))),
        };
        let until = row.until.as_ref().map(|until| format!("until {until}"));
        let why: Vec<String> = [row.reason.clone(), until, approved]
            .into_iter()
            .flatten()
            .collect();
        // Whoever commits writes what he likes there, and a terminal obeys it.
        [
            row.at.clone(),
            row.what.clone(),
            or_all(&row.policy),
            or_all(&row.environment),
            row.image.clone().unwrap_or_else(|| "-".to_owned()),
            change,
            on_one_line(&row.by),
            format!("{}{}", &row.commit[..7], number.unwrap_or_default()),
            on_one_line(&why.join("; ")),
        ]
    };
    let lines: Vec<[String; 9]> = rows.iter().map(line).collect();
    let header = [
        "WHEN",
        "WHAT",
        "POLICY",
        "ENVIRONMENT",
        "IMAGE",
        "CHANGE",
        "BY",
        "COMMIT",
        "WHY",
    ];
    table::render(header, &lines)
}

fn as_json(rows: &[Row]) -> String {
    let mut text =
        serde_json::to_string_pretty(rows).expect("a history has only strings, numbers and lists");
    text.push('\n');
    text
}

/// Rows as RFC 4180 has them: <https://www.rfc-editor.org/rfc/rfc4180>.
fn as_csv(rows: &[Row]) -> String {
    let mut text = "at,what,policy,environment,image,from,to,digest,by,approved-by,reason,until,commit,merge,pull-request,repository,branch\r\n".to_owned();
    for row in rows {
        let Row {
            at,
            what,
            policy,
            environment,
            image,
            from,
            to,
            digest,
            by,
            approved_by,
            reason,
            until,
            commit,
            merge,
            pull_request,
            repository,
            branch,
        } = row;
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            at.clone(),
            what.clone(),
            or_empty(policy),
            or_empty(environment),
            or_empty(image),
            or_empty(from),
            or_empty(to),
            or_empty(digest),
            by.clone(),
            approved_by.join(", "),
            or_empty(reason),
            or_empty(until),
            commit.clone(),
            or_empty(merge),
            pull_request
                .map(|number| number.to_string())
                .unwrap_or_default(),
            repository.clone(),
            branch.clone(),
        ];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell, in quotes where it needs them. What a spreadsheet would take for a formula begins with a quote.
fn quoted(cell: &str) -> String {
    let guarded = match cell.starts_with(['=', '+', '-', '@']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match guarded.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, as_text, quoted};

    #[test]
    fn no_text_of_a_commit_steers_the_terminal() {
        let row = Row {
            at: "2026-03-02T09:00:00Z".to_owned(),
            what: "promoted".to_owned(),
            policy: None,
            environment: None,
            image: None,
            from: Some("v1\u{1b}[2J".to_owned()),
            to: Some("v2".to_owned()),
            digest: None,
            by: "\u{1b}[31mAda".to_owned(),
            approved_by: vec!["Grace\u{7}".to_owned()],
            reason: None,
            until: None,
            commit: "0a".repeat(20),
            merge: None,
            pull_request: None,
            repository: "deploy".to_owned(),
            branch: "main".to_owned(),
        };
        let text = as_text(&[row]);
        let steers = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(steers), "{text:?}");
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_no_formula() {
        assert_eq!(quoted("v1.4.2"), "v1.4.2");
        assert_eq!(quoted("Ada, Grace"), "\"Ada, Grace\"");
        assert_eq!(quoted("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
