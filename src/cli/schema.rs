//! `towpath schema`: prints the JSON Schema of settings and policies, for editors, and the definitions of custom resources.

use std::process::ExitCode;

use super::{Failure, print};
use crate::config::{Kind, definitions, schema};

/// Prints the JSON Schema of what may be written in settings, policies, routes and holds, or the definitions of custom resources.
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
    /// The definitions of policies and routes as custom resources of Kubernetes, in YAML.
    Crds,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let text = match args.kind {
        None => as_text(None),
        Some(KindArg::Settings) => as_text(Some(Kind::Settings)),
        Some(KindArg::Policy) => as_text(Some(Kind::Policy)),
        Some(KindArg::Route) => as_text(Some(Kind::Route)),
        Some(KindArg::Holds) => as_text(Some(Kind::Holds)),
        Some(KindArg::Crds) => definitions(),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(kind: Option<Kind>) -> String {
    format!("{:#}\n", schema(kind))
}

#[cfg(test)]
mod tests {
    use crate::config::{definitions, schema};

    #[test]
    fn the_schema_in_config_is_the_one_that_this_version_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/schema.json");
        let committed = std::fs::read_to_string(path).unwrap();
        let message = "renew it with `cargo run -- schema > config/schema.json`";
        assert_eq!(committed, format!("{:#}\n", schema(None)), "{message}");
    }

    #[test]
    fn the_definitions_in_the_chart_are_those_that_this_version_prints() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/chart/crds.yaml");
        let committed = std::fs::read_to_string(path).unwrap();
        let message = "renew them with `cargo run -- schema crds > chart/crds.yaml`, then scripts/plain-install";
        assert_eq!(committed, definitions(), "{message}");
    }
}
