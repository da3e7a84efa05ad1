//! `towpath reject`: this version is no candidate there; the next best may come.

use std::process::ExitCode;

use super::Failure;
use super::pin::{Args, hold};
use crate::ledger::HoldKind;

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    hold(args, |version| HoldKind::Reject(vec![version])).await
}
