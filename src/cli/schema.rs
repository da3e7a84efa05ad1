//! `towpath schema`: prints the JSON Schema of settings and policies, for editors.

use std::process::ExitCode;

use super::{Failure, print};
use crate::config::{Kind, schema};

/// Prints the JSON Schema of what may be written in settings, policies, routes and holds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One kind of document; without it, a schema for files that hold any.
    kind: Option<KindArg>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArg {
    Settings,
    Policy,
    Route,
    Holds,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Settings => Self::Settings,
            KindArg::Policy => Self::Policy,
            KindArg::Route => Self::Route,
            KindArg::Holds => Self::Holds,
        }
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    print(&format!("{:#}\n", schema(args.kind.map(Kind::from))))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use crate::config::schema;

    #[test]
    fn the_schema_in_config_is_the_one_that_this_version_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/schema.json");
        let committed = std::fs::read_to_string(path).unwrap();
        let message = "renew it with `cargo run -- schema > config/schema.json`";
        assert_eq!(committed, format!("{:#}\n", schema(None)), "{message}");
    }
}
