//! Gates of age: how long a version ran in the environment before (`soak`), and how long it has been in the registry (`min-age`).

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::{Finding, GateName, Verdict};
use crate::policy::EnvironmentName;

/// How long a version must have run in the environment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Soak(pub(crate) SignedDuration);

/// How long ago a version must have been pushed or first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MinAge(pub(crate) SignedDuration);

/// The earliest time at which `MinAge` may count a version from, and what tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The registry's word.
    Pushed(Timestamp),
    /// Our own clock.
    FirstSeen(Timestamp),
}

/// Since when a version has run in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoakSince {
    /// Since it was promoted there, which is all that git tells.
    Came(Timestamp),
    /// Since Argo CD showed it healthy there.
    Healthy(Timestamp),
}

impl Soak {
    /// How a version stands that has run in `environment` since `since`.
    pub(crate) fn judge(
        self,
        (environment, since): (&EnvironmentName, SoakSince),
        now: Timestamp,
    ) -> Finding {
        let (words, rest, since) = match since {
            SoakSince::Came(at) => ("it came to", "was not taken back there", at),
            SoakSince::Healthy(at) => ("it was healthy in", "was not degraded since", at),
        };
        let why = |until: Timestamp| match until <= now {
            true => format!("{words} `{environment}` at {since} and {rest}"),
            false => format!("{words} `{environment}` at {since}, and soaks until {until}"),
        };
        ripe(GateName::Soak, (since, self.0), now, why)
    }
}

impl MinAge {
    /// How a version stands that is there since `since`.
    pub(crate) fn judge(self, since: Since, now: Timestamp) -> Finding {
        let (words, at) = match since {
            Since::Pushed(at) => ("it was pushed at", at),
            Since::FirstSeen(at) => ("it was first seen at", at),
        };
        // People read times to the second.
        let next_second = TimestampRound::new()
            .smallest(Unit::Second)
            .mode(RoundMode::Ceil);
        let at = at.round(next_second).unwrap_or(at);
        let why = |until: Timestamp| match until <= now {
            true => format!("{words} {at}"),
            false => format!("{words} {at}, and is old enough from {until}"),
        };
        ripe(GateName::MinAge, (at, self.0), now, why)
    }
}

/// What passes `age` after `since`.
fn ripe(
    gate: GateName,
    (since, age): (Timestamp, SignedDuration),
    now: Timestamp,
    why: impl FnOnce(Timestamp) -> String,
) -> Finding {
    // What would be ripe after the end of time never is.
    let until = since.saturating_add(age).unwrap_or(Timestamp::MAX);
    let verdict = match until <= now {
        true => Verdict::Passed,
        false => Verdict::Waits,
    };
    Finding {
        gate,
        verdict,
        why: why(until),
        next: (until > now).then_some(until),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Finding, MinAge, Since, Soak, SoakSince, Verdict};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn soak(now: &str) -> Finding {
        let environment = "staging".parse().unwrap();
        let since = SoakSince::Came(at("2026-11-20T10:00:00Z"));
        Soak(SignedDuration::from_hours(24)).judge((&environment, since), at(now))
    }

    #[test]
    fn a_version_has_soaked_at_the_second_at_which_the_time_is_over_and_not_before() {
        let before = soak("2026-11-21T09:59:59Z");
        assert_eq!(before.verdict, Verdict::Waits);
        assert_eq!(before.next, Some(at("2026-11-21T10:00:00Z")));
        insta::assert_snapshot!(before.why, @"it came to `staging` at 2026-11-20T10:00:00Z, and soaks until 2026-11-21T10:00:00Z");
        let then = soak("2026-11-21T10:00:00Z");
        assert_eq!((then.verdict, then.next), (Verdict::Passed, None));
        insta::assert_snapshot!(then.why, @"it came to `staging` at 2026-11-20T10:00:00Z and was not taken back there");
    }

    #[test]
    fn an_age_beyond_the_end_of_time_never_passes() {
        let found = MinAge(SignedDuration::MAX).judge(
            Since::FirstSeen(at("2026-11-20T10:00:00Z")),
            at("2026-11-21T10:00:00Z"),
        );
        assert_eq!(
            (found.verdict, found.next),
            (Verdict::Waits, Some(Timestamp::MAX))
        );
    }

    #[test]
    fn who_tells_the_age_is_told() {
        let age = MinAge(SignedDuration::from_hours(1));
        let since = at("2026-11-21T10:00:00Z");
        let pushed = age.judge(Since::Pushed(since), at("2026-11-21T10:30:00Z"));
        insta::assert_snapshot!(pushed.why, @"it was pushed at 2026-11-21T10:00:00Z, and is old enough from 2026-11-21T11:00:00Z");
        let seen = age.judge(Since::FirstSeen(since), at("2026-11-21T11:00:00Z"));
        insta::assert_snapshot!(seen.why, @"it was first seen at 2026-11-21T10:00:00Z");
    }
}
