//! The gate `healthy`: what Argo CD made of a version in the environment before.

use jiff::{SignedDuration, Timestamp};

use super::{Finding, GateName, Verdict};
use crate::policy::EnvironmentName;

/// The Applications of the environment before must be synced and healthy with the version for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Healthy {
    pub(crate) settle: SignedDuration,
}

/// How the Applications of one environment stand with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Since when they have been healthy with it, and were not degraded.
    Healthy {
        since: Timestamp,
    },
    /// They are not, and may come to be: one sentence.
    NotYet {
        why: String,
        /// Since when an Application that runs it is degraded, where one is and tells it.
        degraded: Option<Timestamp>,
    },
    /// They were not while it stood there, and a newer version has taken its place.
    NeverSeen,
    Unknown {
        why: String,
    },
}

impl Default for Healthy {
    /// Argo CD tells the health of a workload that has just been changed within a few seconds.
    fn default() -> Self {
        let settle = SignedDuration::from_secs(10);
        Self { settle }
    }
}

impl Condition {
    /// The same of a version that came then. An Application may have been healthy all the while: Argo CD keeps no history of a sync
    /// of some resources, or of any where it is told so.
    pub(crate) fn of_what_came(self, came: Option<Timestamp>) -> Self {
        match (self, came) {
            (Self::Healthy { since }, Some(came)) => Self::Healthy {
                since: since.max(came),
            },
            (condition, _) => condition,
        }
    }
}

impl Healthy {
    /// How a version stands with which `environment` is in this condition.
    pub(crate) fn judge(
        self,
        (environment, condition): (&EnvironmentName, &Condition),
        now: Timestamp,
    ) -> Finding {
        let (verdict, why, next) = match condition {
            Condition::Healthy { since } => {
                let settled = since.saturating_add(self.settle).unwrap_or(Timestamp::MAX);
                let why = format!("it has been healthy in `{environment}` since {since}");
                match settled <= now {
                    true => (Verdict::Passed, why, None),
                    false => {
                        let why = format!("{why}, and settles until {settled}");
                        (Verdict::Waits, why, Some(settled))
                    }
                }
            }
            Condition::NotYet { why, .. } => (Verdict::Waits, why.clone(), None),
            Condition::NeverSeen => {
                let why = format!(
                    "it was not seen healthy in `{environment}` before a newer version took its place"
                );
                (Verdict::Failed, why, None)
            }
            Condition::Unknown { why } => (Verdict::Unknown, why.clone(), None),
        };
        Finding {
            gate: GateName::Healthy,
            verdict,
            why,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Finding, Healthy, Timestamp, Verdict};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(condition: &Condition, now: &str) -> Finding {
        let environment = "staging".parse().unwrap();
        Healthy::default().judge((&environment, condition), at(now))
    }

    #[test]
    fn a_version_has_settled_at_the_second_at_which_the_time_is_over_and_not_before() {
        let since = at("2026-11-21T10:00:00Z");
        let before = judged(&Condition::Healthy { since }, "2026-11-21T10:00:09Z");
        assert_eq!(before.verdict, Verdict::Waits);
        assert_eq!(before.next, Some(at("2026-11-21T10:00:10Z")));
        insta::assert_snapshot!(before.why, @"it has been healthy in `staging` since 2026-11-21T10:00:00Z, and settles until 2026-11-21T10:00:10Z");
        let then = judged(&Condition::Healthy { since }, "2026-11-21T10:00:10Z");
        assert_eq!((then.verdict, then.next), (Verdict::Passed, None));
    }

    #[test]
    fn a_version_that_was_replaced_before_it_was_healthy_never_passes_and_lets_an_older_one() {
        let found = judged(&Condition::NeverSeen, "2026-11-21T10:00:00Z");
        assert_eq!(found.verdict, Verdict::Failed);
    }
}
