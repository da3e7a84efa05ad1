//! `towpath apply`: one round, then the end; for CI and cron.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::plan::{as_text, has_faults};
use super::run::Setup;
use super::{Failure, SourceArgs, print};
use crate::apply::{Delivery, Outcome, ProposalEnd, ProposalOutcome};
use crate::daemon::{Report, deployers_of, not_refreshed, now, round, settle};
use crate::manifest::CommitId;
use crate::observe::whole_message;
use crate::plan::{PlannedCommit, RequestChange};
use crate::policy::{Deliver, Policy};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,

    /// Only these policies.
    #[arg(value_name = "POLICY")]
    policies: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let setup = Setup::now(&args.source).await?;
    refuse_parts(&setup.policies, &args.policies)?;
    let setup = setup.only(&args.policies)?;
    let live = setup.connect().await?;
    live.sources.read_all(&live.wants, now()).await;
    let hands = live.hands(&setup);
    let planned = settle(hands).await;
    let report = round(hands, &CancellationToken::new()).await;
    let deployers = deployers_of(&report.outcomes, hands);
    for (application, error) in live.sources.compare_now(deployers).await {
        not_refreshed(&application, &error);
    }
    print(&(as_text(&planned, false) + &setup.troubles_text()))?;
    print(&outcomes_text(&report))?;
    let failed = report
        .outcomes
        .iter()
        .any(|outcome| matches!(outcome.result, Delivery::Failed { .. }));
    let lost = matches!(
        report.outcomes.last(),
        Some(Outcome {
            result: Delivery::Moved,
            ..
        })
    );
    let failed = failed
        || report.proposals.iter().any(|outcome| match outcome.end {
            ProposalEnd::Done | ProposalEnd::Moved | ProposalEnd::Withheld => false,
            ProposalEnd::PushFailed(_) | ProposalEnd::ForgeFailed(_) => true,
        });
    match failed || lost || has_faults(&report.plan) || setup.has_faults() {
        true => Ok(ExitCode::FAILURE),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// Refuses some of the policies that are proposed together: what the others promote would fall out of the pull request.
fn refuse_parts(policies: &[Policy], names: &[String]) -> Result<(), Failure> {
    let heads = |policy: &Policy| {
        let environments = policy.environments.iter();
        let heads = environments.filter_map(|environment| match &environment.deliver {
            Deliver::Commit { branch: _ } => None,
            Deliver::PullRequest(requests) => {
                let head = requests.head(&policy.name, &environment.name);
                Some((policy.repository.clone(), head))
            }
        });
        heads.collect::<Vec<_>>()
    };
    let is_named = |policy: &&Policy| names.iter().any(|name| name == policy.name.as_str());
    let (named, others): (Vec<_>, Vec<_>) = policies.iter().partition(is_named);
    let of_named = named.iter().flat_map(|policy| {
        let heads = heads(policy).into_iter();
        heads.map(|head| (head, &policy.name))
    });
    let of_named: BTreeMap<_, _> = of_named.collect();
    for other in others {
        let name = heads(other).iter().find_map(|head| of_named.get(head));
        if let Some(name) = name {
            let message = format!("`{name}` is proposed together with `{}`", other.name);
            let hint = "name all that are (`group: environment`), or none";
            return Err(Failure::usage(message).with_hint(hint));
        }
    }
    Ok(())
}

/// What became of every change, a line each.
pub(super) fn outcomes_text(report: &Report) -> String {
    let outcomes = report.outcomes.iter().flat_map(outcome_lines);
    let proposals = report.proposals.iter().flat_map(proposal_lines);
    outcomes
        .chain(proposals)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn outcome_lines(Outcome { branch, result }: &Outcome) -> Vec<String> {
    let place = format!("{} {}", branch.repository, branch.branch);
    match result {
        Delivery::Pushed { commits } => {
            let line = |(planned, commit): &(PlannedCommit, CommitId)| {
                let subject = planned.message.lines().next().unwrap_or_default();
                format!("pushed {} to {place}: {subject}", commit.short())
            };
            commits.iter().map(line).collect()
        }
        Delivery::Moved => vec![format!("{place} moved during the round; planned anew")],
        Delivery::Withheld => vec![format!("{place} is left to whoever leads")],
        Delivery::Failed { error, commits } => {
            let why = whole_message(error, error.hint());
            let line = |planned: &PlannedCommit| {
                let subject = planned.message.lines().next().unwrap_or_default();
                format!("not pushed to {place}: {subject}")
            };
            let lines = commits.iter().map(line);
            lines
                .chain([format!("the push to {place} failed: {why}")])
                .collect()
        }
    }
}

fn proposal_lines(outcome: &ProposalOutcome) -> Vec<String> {
    let ProposalOutcome {
        change,
        pushed,
        request,
        complaints,
        end,
    } = outcome;
    let place = format!("{} {}", change.head.repository, change.head.branch);
    let mut lines = Vec::new();
    if let (Some(commit), Some(rebuild)) = (pushed, &change.rebuild) {
        let subject = rebuild.commit.message.lines().next().unwrap_or_default();
        lines.push(format!("pushed {} to {place}: {subject}", commit.short()));
    }
    if let Some(request) = request {
        let deed = match &change.request {
            RequestChange::Keep => "kept",
            RequestChange::Open { .. } => "opened",
            RequestChange::Update { .. } => "updated",
            RequestChange::Wish { .. } => "asked for what is wished of",
            RequestChange::Close { .. } => "closed",
        };
        lines.push(format!(
            "{deed} pull request #{}: {}",
            request.number, request.url
        ));
    }
    for complaint in complaints {
        let why = whole_message(complaint, complaint.hint());
        lines.push(format!("{place}: {why}"));
    }
    match end {
        ProposalEnd::Done => {}
        ProposalEnd::Moved => lines.push(format!("{place} moved during the round; planned anew")),
        ProposalEnd::Withheld => lines.push(format!("{place} is left to whoever leads")),
        ProposalEnd::PushFailed(error) => {
            let why = whole_message(error, error.hint());
            lines.push(format!("the push to {place} failed: {why}"));
        }
        ProposalEnd::ForgeFailed(error) => {
            let why = whole_message(error, error.hint());
            lines.push(format!("the pull request of {place} failed: {why}"));
        }
    }
    lines
}
