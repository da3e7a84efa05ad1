//! `towpath approve`: somebody agrees that this version comes there, which the gate `approvals` counts.

use std::process::ExitCode;

use super::Failure;
use super::pin::{Args, hold};
use crate::ledger::HoldKind;
use crate::policy::{Deliver, Environment};

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    hold(args, HoldKind::Approve).await
}

/// Refuses an approval that nothing would count.
pub(super) fn refuse_uncounted(environment: &Environment, person: &str) -> Result<(), Failure> {
    let name = &environment.name;
    let (message, hint) = match (&environment.gates.approvals, &environment.deliver) {
        (Some(gate), Deliver::Commit { .. }) if gate.counts(person) => return Ok(()),
        (Some(_), Deliver::Commit { .. }) => (
            format!("`{person}` is not among those whose approval counts for `{name}`"),
            "add whom you are to `groups` in the settings or `from` of the gate; `--force` approves it all the same",
        ),
        (Some(_), Deliver::PullRequest(_)) => (
            format!("what comes to `{name}` is approved at the forge"),
            "approve its pull request there",
        ),
        (None, Deliver::Commit { .. } | Deliver::PullRequest(_)) => (
            format!("nothing that comes to `{name}` waits for approvals"),
            "write `gates: { approvals: { count: 1 } }`; `--force` approves it all the same",
        ),
    };
    Err(Failure::from(anyhow::anyhow!("{message}")).with_hint(hint))
}
