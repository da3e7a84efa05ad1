//! Whether this process may write, for whoever is about to.
//!
//! Invariant: the answer is of the moment in which it is asked. A process that was paused asks its own clock when it goes on, and not
//! what it knew before.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::metrics;

/// Whether this process may write.
#[derive(Clone)]
pub(crate) enum Lead {
    /// There is no other.
    Alone,
    /// One of several may, whoever holds the Lease.
    Shared(Follower),
}

/// One of several, with what it was told last.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(super) lease: Arc<LeaseName>,
    pub(super) told: watch::Receiver<Standing>,
}

/// Which Lease, and by which name we stand for it.
#[derive(Debug)]
pub(crate) struct LeaseName {
    /// `NAMESPACE/NAME`.
    pub(crate) lease: String,
    pub(crate) us: String,
}

/// What is known of who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whoever the Lease names, as it was read last.
    pub(crate) holder: Option<String>,
    /// Until when we lead, if nothing more is heard.
    pub(super) until: Option<Instant>,
    /// How often we began to.
    pub(super) term: u64,
}

impl Standing {
    pub(crate) fn leads(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

impl Lead {
    /// That of a process that needs to ask nobody.
    pub(crate) fn alone() -> Self {
        metrics::begin("", true);
        Self::Alone
    }

    /// Whether we lead at this moment, and did ever since `term` began.
    pub(crate) fn leads_in(&self, term: Option<u64>) -> bool {
        term.is_some() && self.term() == term
    }

    /// The number of the term in which we lead, if we do. Another number tells that somebody else may have led in between.
    pub(crate) fn term(&self) -> Option<u64> {
        match self {
            Self::Alone => Some(0),
            Self::Shared(Follower { told, .. }) => {
                let standing = told.borrow();
                standing.leads().then_some(standing.term)
            }
        }
    }

    /// Waits until somebody else leads than before. May be dropped at any time.
    pub(crate) async fn changed(&mut self) {
        let is_told = match self {
            Self::Alone => false,
            // Nobody tells any more once it was given up.
            Self::Shared(Follower { told, .. }) => told.changed().await.is_ok(),
        };
        if !is_told {
            std::future::pending::<()>().await;
        }
    }

    /// Which Lease there is, and what is known of it.
    pub(crate) fn shown(&self) -> Option<(&LeaseName, Standing)> {
        match self {
            Self::Alone => None,
            Self::Shared(Follower { lease, told }) => Some((lease, told.borrow().clone())),
        }
    }
}
