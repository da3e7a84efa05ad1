//! Which of several processes writes: whoever holds a Lease of Kubernetes.
//!
//! Reading order: this file (the task that stands for the Lease), `record` (what is decided), `api` (what is sent), `lead` (what others are
//! told). Not here: what is not done by one who follows (`daemon`, `apply`).
//! Invariant: one who leads ceases to by its own clock, before anybody else may begin to. That saves work and noise; what keeps two
//! from doing harm for the moment in which a paused process goes on is that every push is a compare-and-swap.

mod api;
mod lead;
mod metrics;
mod record;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::login::{Clock, ClusterWay, Environment};
use api::{LeaseApi, record_of, saying};
use lead::{Follower, Standing};
use record::{Moment, Record, Seen, Step, decide};

pub(crate) use api::LeaseError;
pub(crate) use lead::{Lead, LeaseName};

/// Writes in one turn: the first loses to somebody who changed a label, say, and the second to nobody but one who took the lease.
const WRITES_MAX: usize = 2;

/// How one stands for a Lease.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) way: ClusterWay,
    /// `None`: that of the pod's account, or of the kubeconfig's context.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    /// Who we are, which nobody else may be, and no process of ours that ran before.
    pub(crate) us: String,
    pub(crate) pace: Pace,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
}

/// How long things take. Those of [`Pace::default`] are those of Kubernetes' own controllers.
///
/// One that is killed renewed its lease at its last moment at the latest. Another sees that renewal one look later, 2.4 s with its
/// jitter, waits for the whole lease from there, 15 s, and takes it then with one write: after 17.4 s and the time of two answers, which
/// are milliseconds. One that gives its lease up is followed after one look, 2.4 s at the most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a lease counts after it was last seen renewed. Whole seconds, as the API takes it.
    pub(crate) lease: Duration,
    /// How long we lead after the last renewal that worked was sent. What is left of the lease, 5 s, is for a push that began
    /// before that, and for clocks that do not run alike.
    pub(crate) lead: Duration,
    /// How often a lease is renewed, or looked at; up to a fifth longer, so that many do not come as one. After a failure it is
    /// tried again in half of that: of a server that says nothing (2.4 s, 3 s without an answer, 1.2 s, 3 s, 9.6 s in all) two
    /// renewals are asked for before we cease to lead.
    pub(crate) look: Duration,
    /// How long one answer may take.
    pub(crate) answer: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            lead: Duration::from_secs(10),
            look: Duration::from_secs(2),
            answer: Duration::from_secs(3),
        }
    }
}

/// The task that stands for a Lease.
pub(crate) struct Election {
    lead: Lead,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Election {
    /// Begins to stand for it; nothing is known yet.
    pub(crate) async fn start(options: Options) -> Result<Self, LeaseError> {
        let Options {
            way,
            namespace,
            name,
            us,
            pace,
            environment,
            clock,
        } = options;
        let api = LeaseApi::new((way, environment), (namespace, name), pace.answer).await?;
        let (tell, told) = watch::channel(Standing::default());
        let lease = LeaseName {
            lease: api.lease(),
            us: us.clone(),
        };
        metrics::begin(&lease.lease, false);
        let candidate = Candidate {
            us,
            pace,
            clock,
            api,
            known: None,
            until: None,
            tell,
            complaint: None,
        };
        let stop = CancellationToken::new();
        Ok(Self {
            lead: Lead::Shared(Follower {
                lease: Arc::new(lease),
                told,
            }),
            task: tokio::spawn(candidate.stand(stop.clone())),
            stop,
        })
    }

    pub(crate) fn lead(&self) -> Lead {
        self.lead.clone()
    }

    /// Waits until nobody stands for the lease any more, which is a bug unless it was given up. May be dropped at any time.
    pub(crate) async fn ended(&mut self) -> String {
        match (&mut self.task).await {
            Ok(()) => "nobody stands for the Lease any more".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Gives the lease up, if it is ours, so that another takes it at once. Takes no longer than two answers may.
    pub(crate) async fn give_up(self) {
        self.stop.cancel();
        // Whoever was told that it ended knows.
        if !self.task.is_finished()
            && let Err(error) = self.task.await
        {
            tracing::error!(%error, "the lease was not given up; please report this bug");
        }
    }
}

/// One who would lead.
struct Candidate {
    us: String,
    pace: Pace,
    clock: Clock,
    api: LeaseApi,
    /// The Lease as it was read or written last.
    known: Option<(Lease, Seen)>,
    /// Until when we lead, if no other renewal works.
    until: Option<Instant>,
    tell: watch::Sender<Standing>,
    /// What was said last of a failure, so that it is said once.
    complaint: Option<String>,
}

impl Candidate {
    async fn stand(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let next = self.turn().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(next) => {}
            }
        }
        self.resign().await;
    }

    /// Looks, takes or renews, says how that stands, and gives when to do so again.
    async fn turn(&mut self) -> Instant {
        let done = self.look_and_write().await;
        self.show();
        let jitter = 1.0 + fastrand::f64() / 5.0;
        let look = Instant::now() + self.pace.look.mul_f64(jitter);
        match done {
            Ok(followed) => {
                if self.complaint.take().is_some() {
                    tracing::info!(
                        lease = self.api.lease(),
                        "the Lease is read and written again"
                    );
                }
                followed.map_or(look, |until| look.min(until))
            }
            Err(error) => {
                self.complain(&error);
                Instant::now() + (self.pace.look / 2).mul_f64(jitter)
            }
        }
    }

    /// Renews or takes the lease where that is due, and gives until when somebody else leads.
    async fn look_and_write(&mut self) -> Result<Option<Instant>, LeaseError> {
        // Whoever leads knows what stands there, and is told otherwise when it writes.
        if !self.tell.borrow().leads() {
            self.read().await?;
        }
        for _ in 0..WRITES_MAX {
            let now = self.now();
            let seen = self.known.as_ref().map(|(_, seen)| seen);
            let record = match decide(&self.us, self.pace.lease, seen, now) {
                Step::Write(record) => record,
                Step::Follow { until } => {
                    self.until = None;
                    return Ok(Some(until));
                }
            };
            match self.write(&record).await? {
                Some(lease) => {
                    self.keep(Some(lease), now.steady);
                    // From before it was sent: nobody can have seen it earlier.
                    self.until = Some(now.steady + self.pace.lead);
                    return Ok(None);
                }
                None => self.read().await?,
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<(), LeaseError> {
        let lease = self.api.read().await?;
        self.keep(lease, Instant::now());
        Ok(())
    }

    /// Writes `record` over what is known, if nobody was faster.
    async fn write(&mut self, record: &Record) -> Result<Option<Lease>, LeaseError> {
        let lease = self.known.as_ref().map(|(lease, _)| lease.clone());
        let lease = lease.unwrap_or_else(|| self.api.blank());
        self.api.write(&saying(lease, record)).await
    }

    fn keep(&mut self, lease: Option<Lease>, at: Instant) {
        let before = self.known.take().map(|(_, seen)| seen);
        self.known = lease.map(|lease| {
            let record = record_of(&lease, self.pace.lease);
            let seen = Seen::after(before, record, at);
            (lease, seen)
        });
    }

    fn now(&self) -> Moment {
        let Clock(wall) = self.clock;
        Moment {
            steady: Instant::now(),
            wall: wall(),
        }
    }

    fn holder(&self) -> Option<&String> {
        let (_, seen) = self.known.as_ref()?;
        seen.record.holder.as_ref()
    }

    /// Tells how it stands, and wakes whoever waits for that where it is news.
    fn show(&self) {
        let now = Instant::now();
        let before = self.tell.borrow().clone();
        let until = self.until.filter(|until| now < *until);
        let goes_on = before.until.is_some_and(|until| now < until);
        let next = Standing {
            holder: self.holder().cloned(),
            until,
            // One that ended for a moment is another: somebody else could have led.
            term: before.term + u64::from(until.is_some() && !goes_on),
        };
        self.say(&before, &next);
        let news = |standing: &Standing| {
            let Standing {
                holder,
                until,
                term,
            } = standing.clone();
            (holder, until.is_some(), term)
        };
        let is_news = news(&before) != news(&next);
        self.tell.send_if_modified(|standing| {
            *standing = next;
            is_news
        });
    }

    fn say(&self, before: &Standing, next: &Standing) {
        let lease = self.api.lease();
        match (before.until.is_some(), next.until.is_some()) {
            (false, true) => {
                metrics::turned(&lease, true);
                tracing::info!(lease, us = self.us, "leads");
            }
            (true, false) => {
                metrics::turned(&lease, false);
                let holder = next.holder.as_ref().filter(|holder| **holder != self.us);
                let why = match holder {
                    Some(_) => "somebody else has the lease",
                    None => "it could not be renewed in time",
                };
                tracing::warn!(lease, holder, why, "leads no more");
            }
            (false, false) if before.holder != next.holder => {
                tracing::info!(lease, leader = next.holder, "follows");
            }
            (true, true) | (false, false) => {}
        }
    }

    fn complain(&mut self, error: &LeaseError) {
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            let cause = error.source().map(ToString::to_string);
            let hint = error.hint();
            tracing::warn!(cause, hint, "{complaint}");
            self.complaint = Some(complaint);
        }
    }

    /// Leaves the lease to whoever comes next, if it is ours.
    async fn resign(mut self) {
        if self.tell.borrow().until.is_some() {
            metrics::turned(&self.api.lease(), false);
        }
        self.tell.send_modify(|standing| standing.until = None);
        let Some((_, Seen { record, .. })) = &self.known else {
            return;
        };
        if record.holder.as_ref() != Some(&self.us) {
            return;
        }
        let given_up = record.given_up(self.now().wall);
        match self.write(&given_up).await {
            Ok(Some(_)) => tracing::info!(lease = self.api.lease(), "gave the lease up"),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the lease could not be given up; it ends by itself");
            }
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/contract/lease.rs"]
mod contract;
