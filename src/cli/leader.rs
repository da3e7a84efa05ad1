//! Stands for the lead where the settings say that there are others.

use crate::cluster::lease::{Election, Lead, Options, Pace};
use crate::config::{LeadershipSettings, Settings};
use crate::daemon;
use crate::login::{Clock, Environment};

use super::Failure;
use super::shard::Shard;

/// This process among others, or alone.
pub(super) struct Leader(Option<Election>);

impl Leader {
    /// Begins to stand for the lead, of a shard where there are some. Nobody waits for it: until it comes, we follow.
    pub(super) async fn start(settings: &Settings, shard: Option<Shard>) -> Result<Self, Failure> {
        let Some(leadership) = &settings.leadership else {
            return Ok(Self(None));
        };
        let LeadershipSettings {
            lease,
            namespace,
            way,
        } = leadership.clone();
        let environment = Environment::default();
        let options = Options {
            way,
            namespace,
            name: match shard {
                Some(shard) => shard.lease(&lease),
                None => lease,
            },
            us: us(&environment),
            pace: Pace::default(),
            environment,
            clock: Clock(daemon::now),
        };
        let election = Election::start(options).await.map_err(|error| {
            let hint = error.hint();
            let failure =
                Failure::from(anyhow::Error::new(error).context("failed to stand for the lead"));
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        })?;
        Ok(Self(Some(election)))
    }

    pub(super) fn lead(&self) -> Lead {
        self.0.as_ref().map_or_else(Lead::alone, Election::lead)
    }

    /// Waits until nobody stands for the lead any more, which is a bug.
    pub(super) async fn ended(&mut self) -> String {
        match &mut self.0 {
            Some(election) => election.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Leaves the lead to whoever comes next.
    pub(super) async fn give_up(self) {
        if let Some(election) = self.0 {
            election.give_up().await;
        }
    }
}

/// Who we are: the pod, or the host, and a word of this process's own. One that starts anew in the same pod must not take the lease
/// of the one before for its own while that may still run.
fn us(environment: &Environment) -> String {
    let host = || {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    };
    let pod = environment.var("POD_NAME").unwrap_or_else(host);
    format!("{pod}_{:08x}", fastrand::u32(..))
}
