//! `towpath plan`: every environment with its decision and the reason, and the commits that would be pushed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use similar::TextDiff;

use super::run::Setup;
use super::{Failure, Output, SourceArgs, print, table};
use crate::daemon::{now, settle};
use crate::observe::Trouble;
use crate::plan::{
    Change, Decided, Decision, Plan, PlannedCommit, ProposalChange, RequestChange, SharedPlace,
    also_changes, plan, short,
};
use crate::policy::PolicyName;
use crate::policy::select::Dated;
use crate::world::{self, World};

/// Exit code of `--exit-code` where something would be promoted.
const NOT_EMPTY: u8 = 4;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// Only these policies.
    #[arg(value_name = "POLICY")]
    policies: Vec<String>,

    /// Print the exact file diffs of every commit.
    #[arg(long)]
    diff: bool,

    /// Exit with 4 where something would be promoted.
    #[arg(long)]
    exit_code: bool,

    /// Plan from a world file of `observe --save` instead of the world.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// Plan as of this time, RFC 3339. [default: now, or when the world file was observed]
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
    let setup = setup.only(&args.policies)?;
    let (plan, at) = match saved {
        Some((world, observed)) => {
            let at = args.at.unwrap_or(observed);
            (plan(&setup.scope(), &world, at), at)
        }
        None => {
            let live = setup.connect().await?;
            live.sources.read_all(&live.wants, now()).await;
            (settle(live.hands(&setup)).await, now())
        }
    };
    print(&match args.output {
        Output::Text => as_text(&plan, args.diff) + &setup.troubles_text(),
        Output::Json => as_json(&plan, at, &setup.troubles),
    })?;
    Ok(match setup.has_faults() {
        true => ExitCode::FAILURE,
        false => exit_code(&plan, args.exit_code),
    })
}

/// The facts in a world file, and when they were observed.
pub(super) fn load_world(file: &Path) -> Result<(World, Timestamp), Failure> {
    use anyhow::Context as _;
    let name = || format!("failed to read the world file `{}`", file.display());
    let text = std::fs::read_to_string(file).with_context(name)?;
    Ok(world::load(&text).with_context(name)?)
}

/// 1 where something is broken, 4 where asked for and something would be promoted, else 0.
fn exit_code(plan: &Plan, not_empty: bool) -> ExitCode {
    if has_faults(plan) {
        return ExitCode::FAILURE;
    }
    let is_empty = plan.changes.is_empty() && plan.proposals.is_empty();
    match not_empty && !is_empty {
        true => ExitCode::from(NOT_EMPTY),
        false => ExitCode::SUCCESS,
    }
}

/// Whether something keeps the plan from saying what is right, rather than holding it back.
pub(super) fn has_faults(plan: &Plan) -> bool {
    let is_fault = |decided: &Decided| match &decided.decision {
        Decision::Hold(reason) => reason.is_fault(),
        Decision::Promote(_) => false,
    };
    !plan.breaches.is_empty() || plan.decisions.iter().any(is_fault)
}

/// The plan as people read it.
pub(super) fn as_text(plan: &Plan, diff: bool) -> String {
    let rows: Vec<[String; 8]> = plan.decisions.iter().map(row).collect();
    let header = [
        "POLICY",
        "ENVIRONMENT",
        "IMAGE",
        "CURRENT",
        "CANDIDATE",
        "DECISION",
        "NEXT",
        "REASON",
    ];
    let mut text = table::render(header, &rows);
    for decided in &plan.decisions {
        let Decided {
            policy,
            environment,
            image,
            ..
        } = decided;
        for place in also(decided) {
            writeln!(
                text,
                "{policy} {environment} {image} also changes, by an alias: {place}"
            )
            .expect("a string can be written");
        }
    }
    for proposal in &plan.proposals {
        writeln!(text, "{}", proposal_line(proposal)).expect("a string can be written");
    }
    for breach in &plan.breaches {
        writeln!(text, "bug: {breach}").expect("a string can be written");
    }
    if diff {
        let commits = plan.changes.iter().flat_map(|change| &change.commits);
        let rebuilt = plan.proposals.iter().filter_map(|p| p.rebuild.as_ref());
        for commit in commits.chain(rebuilt.map(|rebuild| &rebuild.commit)) {
            text.push('\n');
            text.push_str(&commit_diff(commit));
        }
    }
    text
}

/// What would be done about a proposal: `deploy towpath/production/portal -> main: push the branch, open a pull request`.
fn proposal_line(proposal: &ProposalChange) -> String {
    let ProposalChange {
        head,
        base,
        rebuild,
        request,
        drop,
        ..
    } = proposal;
    let push = rebuild.as_ref().map(|rebuild| match rebuild.expected {
        Some(_) => "rebuild the branch".to_owned(),
        None => "push the branch".to_owned(),
    });
    let ask = match request {
        RequestChange::Keep => None,
        RequestChange::Open { .. } => Some("open a pull request".to_owned()),
        RequestChange::Update { number, .. } => Some(format!("update pull request #{number}")),
        RequestChange::Wish { number, .. } => {
            Some(format!("ask for what is wished of pull request #{number}"))
        }
        RequestChange::Close { number, .. } => Some(format!("close pull request #{number}")),
    };
    let drop = drop.as_ref().map(|_| "delete the branch".to_owned());
    let deeds: Vec<String> = [push, ask, drop].into_iter().flatten().collect();
    let (repository, branch) = (&head.repository, &head.branch);
    format!("{repository} {branch} -> {base}: {}", deeds.join(", "))
}

fn row(decided: &Decided) -> [String; 8] {
    let Decided {
        policy,
        environment,
        image,
        repository: _,
        current,
        candidate,
        decision,
        health: _,
        next,
    } = decided;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (outcome, reason) = sentence(decision);
    [
        policy.to_string(),
        environment.to_string(),
        image.to_string(),
        or_dash(current.as_deref().map(shortened)),
        or_dash(candidate.as_ref().map(ToString::to_string)),
        outcome.to_owned(),
        or_dash(next.map(|time| time.to_string())),
        reason,
    ]
}

/// The places that change with a promotion by an alias.
pub(super) fn also(decided: &Decided) -> impl Iterator<Item = String> {
    also_changes(shared_with(decided))
}

fn shared_with(decided: &Decided) -> &BTreeSet<SharedPlace> {
    const NONE: &BTreeSet<SharedPlace> = &BTreeSet::new();
    match &decided.decision {
        Decision::Promote(promote) => &promote.also,
        Decision::Hold(_) => NONE,
    }
}

/// What stands there, digests in their short form.
fn shortened(current: &str) -> String {
    current
        .split(", ")
        .map(short)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The outcome and its one sentence.
pub(super) fn sentence(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::Promote(promote) => ("promote", promote.to_string()),
        Decision::Hold(reason) => ("hold", reason.to_string()),
    }
}

/// A planned commit: its message, indented as `git log` does, and the diff of its files.
pub(super) fn commit_diff(commit: &PlannedCommit) -> String {
    let mut text = String::new();
    for line in commit.message.trim_end().lines() {
        text.push_str(format!("    {line}").trim_end());
        text.push('\n');
    }
    text + &files_diff(commit)
}

/// The unified diff of the files of a planned commit.
fn files_diff(commit: &PlannedCommit) -> String {
    let PlannedCommit {
        promotions: _,
        message: _,
        files,
    } = commit;
    let mut text = String::new();
    for (path, file) in files {
        let diff = TextDiff::from_lines(file.before.as_ref(), file.after.as_ref());
        let (before, after) = (format!("a/{path}"), format!("b/{path}"));
        let unified = diff
            .unified_diff()
            .context_radius(3)
            .header(&before, &after)
            .to_string();
        text.push_str(&unified);
    }
    text
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanJson<'a> {
    api_version: &'static str,
    kind: &'static str,
    at: String,
    decisions: Vec<DecisionJson<'a>>,
    changes: Vec<ChangeJson<'a>>,
    proposals: Vec<ProposalJson<'a>>,
    fleets: Vec<TroubleJson>,
}

/// Why a fleet has fewer policies than somebody may think.
#[derive(Serialize)]
struct TroubleJson {
    message: String,
    broken: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecisionJson<'a> {
    policy: &'a str,
    environment: &'a str,
    image: &'a str,
    repository: String,
    current: Option<&'a str>,
    candidate: Option<&'a str>,
    decision: &'static str,
    /// A stable name.
    reason: &'static str,
    message: String,
    next: Option<String>,
    /// The time that makes a promotion's version the newest, where one does.
    newest_by: Option<DatedJson>,
    /// The places that change with a promotion, since they say by an alias what stands there.
    also_changes: Vec<SharedJson>,
}

/// A time that orders versions.
#[derive(Serialize)]
struct DatedJson {
    /// As under `newest-by`: `pushed`, `created` or `first-seen`.
    order: &'static str,
    at: String,
}

/// A place that says by an alias what stands elsewhere.
#[derive(Serialize)]
pub(super) struct SharedJson {
    file: String,
    line: usize,
    path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeJson<'a> {
    repository: &'a str,
    branch: &'a str,
    base: &'a str,
    commits: Vec<CommitJson<'a>>,
}

/// What is to be done about the branch and the pull request of a proposal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProposalJson<'a> {
    repository: &'a str,
    branch: &'a str,
    base: &'a str,
    environment: &'a str,
    policies: Vec<&'a str>,
    /// Where the branch is made anew.
    message: Option<&'a str>,
    diff: Option<String>,
    /// `keep`, `open`, `update` or `close`.
    pull_request: &'static str,
    number: Option<u64>,
    title: Option<&'a str>,
    body: Option<&'a str>,
    deletes_branch: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommitJson<'a> {
    policy: &'a str,
    environment: &'a str,
    message: &'a str,
    files: Vec<String>,
    diff: String,
}

/// The plan as programs read it.
fn as_json(plan: &Plan, at: Timestamp, troubles: &[Trouble]) -> String {
    let json = PlanJson {
        api_version: "towpath.dev/v1alpha1",
        kind: "Plan",
        at: at.to_string(),
        decisions: plan.decisions.iter().map(decision_json).collect(),
        changes: plan.changes.iter().map(change_json).collect(),
        proposals: plan.proposals.iter().map(proposal_json).collect(),
        fleets: troubles.iter().map(trouble_json).collect(),
    };
    let mut text = serde_json::to_string_pretty(&json).expect("a plan has only strings and lists");
    text.push('\n');
    text
}

fn trouble_json(trouble: &Trouble) -> TroubleJson {
    TroubleJson {
        message: trouble.to_string(),
        broken: trouble.is_fault(),
    }
}

pub(super) fn decision_json(decided: &Decided) -> DecisionJson<'_> {
    let (outcome, message) = sentence(&decided.decision);
    DecisionJson {
        policy: decided.policy.as_str(),
        environment: decided.environment.as_str(),
        image: decided.image.as_str(),
        repository: decided.repository.to_string(),
        current: decided.current.as_deref(),
        candidate: decided.candidate.as_ref().map(crate::image::Tag::as_str),
        decision: outcome,
        reason: match &decided.decision {
            Decision::Promote(_) => "newer",
            Decision::Hold(reason) => reason.kind(),
        },
        message,
        next: decided.next.map(|time| time.to_string()),
        newest_by: match &decided.decision {
            Decision::Promote(promote) => promote.dated.map(dated_json),
            Decision::Hold(_) => None,
        },
        also_changes: shared_with(decided).iter().map(shared_json).collect(),
    }
}

fn dated_json(dated: Dated) -> DatedJson {
    let (order, at) = match dated {
        Dated::Pushed(at) => ("pushed", at),
        Dated::Created(at) => ("created", at),
        Dated::FirstSeen(at) => ("first-seen", at),
    };
    DatedJson {
        order,
        at: at.to_string(),
    }
}

pub(super) fn shared_json(SharedPlace { file, line, path }: &SharedPlace) -> SharedJson {
    SharedJson {
        file: file.to_string(),
        line: *line,
        path: path.to_string(),
    }
}

fn change_json(change: &Change) -> ChangeJson<'_> {
    let commits = change.commits.iter().map(|commit| CommitJson {
        policy: commit.promotions[0].policy.as_str(),
        environment: commit.promotions[0].environment.as_str(),
        message: &commit.message,
        files: commit.files.keys().map(ToString::to_string).collect(),
        diff: files_diff(commit),
    });
    ChangeJson {
        repository: change.branch.repository.as_str(),
        branch: &change.branch.branch,
        base: change.base.as_str(),
        commits: commits.collect(),
    }
}

fn proposal_json(proposal: &ProposalChange) -> ProposalJson<'_> {
    let (pull_request, number, text) = match &proposal.request {
        RequestChange::Keep => ("keep", None, None),
        RequestChange::Open { text, .. } => ("open", None, Some(text)),
        RequestChange::Update { number, text, .. } => ("update", Some(*number), Some(text)),
        RequestChange::Wish { number, .. } => ("wish", Some(*number), None),
        RequestChange::Close { number, .. } => ("close", Some(*number), None),
    };
    let commit = proposal.rebuild.as_ref().map(|rebuild| &rebuild.commit);
    ProposalJson {
        repository: proposal.head.repository.as_str(),
        branch: &proposal.head.branch,
        base: &proposal.base,
        environment: proposal.environment.as_str(),
        policies: proposal.policies.iter().map(PolicyName::as_str).collect(),
        message: commit.map(|commit| commit.message.as_str()),
        diff: commit.map(files_diff),
        pull_request,
        number,
        title: text.map(|text| text.title.as_str()),
        body: text.map(|text| text.body.as_str()),
        deletes_branch: proposal.drop.is_some(),
    }
}
