//! Stub.
#[derive(clap::Args)]
pub(super) struct Args {}
pub(super) async fn run(_: Args) -> Result<std::process::ExitCode, super::Failure> {
    Ok(std::process::ExitCode::SUCCESS)
}
