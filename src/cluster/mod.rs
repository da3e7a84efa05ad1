//! Argo CD, read only: its Applications and the sync windows of its projects, from the Kubernetes API or from its own; policies and
//! routes as custom resources; and the Lease by which one of several processes leads.
//!
//! Reading order: this file, `kept` (the latest reading), `diary` (what is remembered of those before), `kubernetes` and `api` (the two ways), `nouns` and `wire` (what is
//! sent); `resources` is another reading in the same way; `rights` (what we may), `events` (what we tell) and `lease` stand for themselves. Not here: whether
//! an Application is fit for a promotion (`plan`).
//! Invariant: nothing is written but the wish for a refresh and Events, both only where the settings say so, the status of our own custom
//! resources, and one Lease.

mod api;
mod diary;
mod error;
mod events;
mod kept;
mod kubernetes;
pub(crate) mod lease;
mod nouns;
pub(crate) mod resources;
mod rights;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::login::{Clock, ClusterWay, Environment};
use crate::secret::Secret;
use crate::world::{Applications, Fact, ObjectName};
use api::Api;
use kept::Kept;
use kubernetes::{Kubernetes, KubernetesOptions};

#[cfg(test)]
pub(crate) use diary::Diary;
pub(crate) use error::ClusterError;
pub(crate) use events::{Event, Mood, Owner, Reporter};
pub(crate) use rights::{Desk, Presence, Right};

/// The name of a Kubernetes API in messages: which one is meant, the connection's own name says.
const KUBERNETES: &str = "Kubernetes";

/// How a connection to Argo CD is made.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) server: Server,
    /// The labels that Applications have to have, as Kubernetes writes them: `team=shop,!internal`.
    pub(crate) selector: Option<String>,
    pub(crate) refresh: Refresh,
    pub(crate) events: Events,
    pub(crate) pace: Pace,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Kubernetes {
        way: ClusterWay,
        /// One at least.
        namespaces: Vec<Namespace>,
    },
    ArgoCd {
        /// The root of Argo CD, without `/api`.
        url: Url,
        token: Secret,
        ca_file: Option<PathBuf>,
        plain_http: bool,
        /// Empty for all.
        projects: Vec<String>,
    },
}

/// Where Applications lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Namespace {
    All,
    Named(String),
}

/// Whether Argo CD may be asked to look at git at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    Never,
    WhenAsked,
}

/// Whether people are told of promotions by Events on Applications, which only the Kubernetes API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    Never,
    Told,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The longest an answer that is not a watch may take.
    pub(crate) answer: Duration,
    /// How long one watch goes on before it is begun again where it ended. The server ends it; one that did not is dead, and
    /// so a broken connection is noticed within this time and [`Pace::silence`], without relying on bookmarks.
    pub(crate) watch: Duration,
    /// How much later than it should a server may end a watch.
    pub(crate) silence: Duration,
    /// The first wait after a failure; it doubles from there.
    pub(crate) back_off: Duration,
    pub(crate) back_off_max: Duration,
    /// How often Argo CD's own API is asked for the whole list; its stream may miss changes.
    pub(crate) poll: Duration,
    /// When a reading that nobody confirmed is not believed any more.
    pub(crate) stale_after: Duration,
}

impl Pace {
    /// The usual pace, with this interval between two lists of Argo CD's own API.
    pub(crate) fn polling(poll: Duration) -> Self {
        Self {
            // 2,000 Applications of 22 KB at 2 MB a second are 22 s.
            answer: Duration::from_secs(60),
            watch: Duration::from_secs(60),
            silence: Duration::from_secs(15),
            back_off: Duration::from_secs(1),
            back_off_max: Duration::from_secs(60),
            poll,
            // A watch that died unnoticed (75 s), or a list that failed once, and the time for a server to come back.
            stale_after: Duration::from_secs(60) + poll.saturating_mul(2),
        }
    }
}

/// A connection to Argo CD, with what it showed last.
pub(crate) struct Connection {
    way: Way,
    kept: Kept,
    clock: Clock,
    refresh: Refresh,
    /// Where Events are wanted.
    reporter: Option<Reporter>,
}

enum Way {
    Kubernetes(Box<Kubernetes>),
    Api(Box<Api>),
}

impl Connection {
    /// Makes ready; nothing is asked yet. Where Events are wanted, it runs inside a tokio runtime.
    pub(crate) fn new(options: Options) -> Result<Self, ClusterError> {
        let clock = options.clock;
        let reporter = match (&options.server, options.events) {
            (Server::Kubernetes { way, .. }, Events::Told) => {
                let environment = options.environment.clone();
                Some(Reporter::start(way.clone(), environment, clock))
            }
            (Server::Kubernetes { .. } | Server::ArgoCd { .. }, _) => None,
        };
        let refresh = options.refresh;
        let stale_after = options.pace.stale_after;
        let (way, places) = match options.server.clone() {
            Server::Kubernetes { way, namespaces } => {
                let places = namespaces.len();
                let kubernetes = Kubernetes::new(KubernetesOptions {
                    way,
                    namespaces,
                    selector: options.selector,
                    pace: options.pace,
                    environment: options.environment,
                    clock,
                });
                (Way::Kubernetes(Box::new(kubernetes)), places)
            }
            Server::ArgoCd { .. } => (Way::Api(Box::new(Api::new(options)?)), 1),
        };
        Ok(Self {
            way,
            kept: Kept::new(places, stale_after),
            clock,
            refresh,
            reporter,
        })
    }

    /// Follows what Argo CD says, for ever; a failure is a fact, and tried again. May be dropped at any time.
    pub(crate) async fn follow(&self) {
        match &self.way {
            Way::Kubernetes(kubernetes) => kubernetes.follow(&self.kept).await,
            Way::Api(api) => api.follow(&self.kept).await,
        }
    }

    /// Reads everything once.
    pub(crate) async fn read(&self) {
        match &self.way {
            Way::Kubernetes(kubernetes) => kubernetes.read(&self.kept).await,
            Way::Api(api) => api.read(&self.kept).await,
        }
    }

    /// What is known now; `None` before the first reading.
    pub(crate) fn shown(&self) -> Option<Fact<Arc<Applications>>> {
        let Clock(now) = self.clock;
        self.kept.shown(now())
    }

    /// Waits until something was said that was not known before. One who waits is woken. May be dropped at any time.
    pub(crate) async fn changed(&self) {
        self.kept.changed().await;
    }

    /// Whether the settings want Events.
    pub(crate) fn tells(&self) -> bool {
        self.reporter.is_some()
    }

    /// Tells people who look at `application` of what happened, if the settings want that. Nobody waits for it.
    pub(crate) fn tell(&self, application: &ObjectName, event: Event) {
        if let Some(reporter) = &self.reporter {
            reporter.of_application(application, event);
        }
    }

    /// Whether the settings let us ask for a refresh.
    pub(crate) fn may_refresh(&self) -> bool {
        self.refresh == Refresh::WhenAsked
    }

    /// Asks Argo CD to compare an Application with git now, which it does by itself every few minutes.
    pub(crate) async fn refresh(&self, application: &ObjectName) -> Result<(), ClusterError> {
        match (self.refresh, &self.way) {
            (Refresh::Never, _) => Err(ClusterError::NoRefresh),
            (Refresh::WhenAsked, Way::Kubernetes(kubernetes)) => {
                kubernetes.refresh(application).await
            }
            (Refresh::WhenAsked, Way::Api(api)) => api.refresh(application).await,
        }
    }
}

/// The wait before the next try, exponential with full jitter above a half, so that many do not come back as one.
fn back_off(pace: &Pace, failures: u32) -> Duration {
    let most = pace.back_off.saturating_mul(1 << failures.min(16));
    most.min(pace.back_off_max)
        .mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// The time now, as `clock` says.
fn now(clock: Clock) -> Timestamp {
    let Clock(now) = clock;
    now()
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all namespaces"),
            Self::Named(name) => write!(f, "the namespace `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "../../tests/contract/cluster.rs"]
mod contract;
