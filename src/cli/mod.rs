//! The command line: one file per verb.

mod select;

use std::process::ExitCode;

use clap::Parser as _;

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Select(select::Args),
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let Verb::Select(args) = Cli::parse().verb;
    match select::run(args) {
        Ok(code) => code,
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("error: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}
