//! `towpath stop`: nothing moves, in one environment or in all that the words cover.

use std::process::ExitCode;

use super::Failure;
use super::holds::{WhyArgs, Writer, WriterArgs, named_environment};
use super::pin::commit;
use super::run::Setup;
use crate::daemon::now;
use crate::ledger::{Hold, HoldKind, Target};
use crate::policy::{Policy, RepositoryName};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    writer: WriterArgs,

    #[command(flatten)]
    why: WhyArgs,

    #[command(flatten)]
    target: TargetArgs,
}

/// What is stopped or resumed.
#[derive(clap::Args)]
pub(super) struct TargetArgs {
    /// The policy.
    policy: Option<String>,

    /// One of its environments. [default: all of them]
    environment: Option<String>,

    /// This environment of every policy.
    #[arg(long = "environment", value_name = "NAME", conflicts_with = "policy")]
    everywhere: Option<String>,

    /// Everything in the repository.
    #[arg(long, conflicts_with_all = ["policy", "everywhere"])]
    all: bool,

    /// The manifests repository, where no policy is named and there are several.
    #[arg(long, value_name = "NAME", conflicts_with = "policy")]
    repository: Option<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Args {
        writer,
        why,
        target,
    } = args;
    let setup = Setup::now(&writer.source).await?;
    let (target, repository) = target.resolve(&setup)?;
    let until = why.until.map(|until| until.at(now())).transpose()?;
    let live = setup.connect().await?;
    let writer = Writer::new(&setup, &live, &repository, &writer);
    let hold = Hold {
        target,
        kind: HoldKind::Stop,
        reason: Some(why.reason),
        by: Some(writer.by()),
        until,
        line: 0,
    };
    commit(&writer, &hold).await
}

impl TargetArgs {
    /// What the words cover, and in which repository.
    pub(super) fn resolve(&self, setup: &Setup) -> Result<(Target, RepositoryName), Failure> {
        if let Some(name) = &self.policy {
            setup.refuse_unknown(std::slice::from_ref(name))?;
            let named = |policy: &&Policy| policy.name.as_str() == name;
            let policy = setup.policies.iter().find(named);
            let policy = policy.expect("an unknown policy was refused");
            let environment = self.environment.as_ref();
            let environment = environment
                .map(|name| named_environment(policy, name))
                .transpose()?;
            let target = Target {
                policy: Some(policy.name.clone()),
                environment: environment.map(|environment| environment.name.clone()),
                image: None,
            };
            return Ok((target, policy.repository.clone()));
        }
        let repository = self.repository(setup)?;
        let environments = setup
            .policies
            .iter()
            .filter(|policy| policy.repository == repository);
        let environment = match &self.everywhere {
            None if self.all => None,
            None => {
                let hint = "`--all` is everything in the repository";
                return Err(
                    Failure::usage("name a policy, or `--environment NAME`").with_hint(hint)
                );
            }
            Some(name) => {
                let mut known = environments.flat_map(|policy| &policy.environments);
                let found = known.find(|environment| environment.name.as_str() == name);
                let unknown = || {
                    let message =
                        format!("no policy of `{repository}` has an environment `{name}`");
                    Failure::usage(message)
                };
                Some(found.ok_or_else(unknown)?.name.clone())
            }
        };
        let target = Target {
            environment,
            ..Target::default()
        };
        Ok((target, repository))
    }

    /// The repository that is named, or the only one.
    fn repository(&self, setup: &Setup) -> Result<RepositoryName, Failure> {
        let mut names: Vec<&RepositoryName> = setup
            .policies
            .iter()
            .map(|policy| &policy.repository)
            .collect();
        names.sort_unstable();
        names.dedup();
        let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let hint = format!("the manifests repositories are {}", known.join(", "));
        match &self.repository {
            Some(name) => {
                let found = names.into_iter().find(|known| known.as_str() == name);
                let unknown = || {
                    Failure::usage(format!("there is no manifests repository `{name}`"))
                        .with_hint(hint)
                };
                found.cloned().ok_or_else(unknown)
            }
            None => match names[..] {
                [only] => Ok(only.clone()),
                [] => Err(Failure::usage("there are no policies")),
                [..] => Err(
                    Failure::usage("name the manifests repository by `--repository`")
                        .with_hint(hint),
                ),
            },
        }
    }
}
