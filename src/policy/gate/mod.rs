//! Gates: conditions that a candidate must meet in an environment, each in a file of its own: options, verdict, tests.
//!
//! Not here: the facts that gates judge by, and what a verdict makes of a promotion (`plan`).
//! Invariant: a gate is a pure function of its options, facts and time; what cannot be read is `Unknown`, and holds.

mod age;
mod approvals;
mod attestations;
pub(crate) mod checks;
mod clock;
mod freeze;
mod healthy;
mod platforms;
mod signature;
mod windows;

use std::fmt;

use jiff::Timestamp;

use checks::Check;

pub(crate) use age::{MinAge, Since, Soak, SoakSince};
pub(crate) use approvals::{Approvals, Approvers};
pub(crate) use attestations::{
    Attestation, Attestations, Limits, PredicateType, Report, Severity, SeverityLimit,
};
pub(crate) use freeze::{Freeze, FreezeEnd, FreezeError};
pub(crate) use healthy::{Condition, Healthy};
pub(crate) use platforms::{Platform, Platforms};
pub(crate) use signature::{
    Claim, ClaimName, Identity, Matter, Signature, Signer, SignerKey, TrustRoot, Vouched,
};
pub(crate) use windows::{DAYS, Days, Hours, Window, Windows};

/// The gates of an environment; one that is not listed is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gates {
    /// Only where Argo CD is connected and the environment comes after another.
    pub(crate) healthy: Option<Healthy>,
    pub(crate) soak: Option<Soak>,
    pub(crate) min_age: Option<MinAge>,
    pub(crate) windows: Option<Windows>,
    /// Those of the policy and those of the settings.
    pub(crate) freezes: Vec<Freeze>,
    pub(crate) platforms: Option<Platforms>,
    pub(crate) signature: Option<Signature>,
    pub(crate) attestations: Option<Attestations>,
    pub(crate) approvals: Option<Approvals>,
    /// All must pass; none is no gate.
    pub(crate) checks: Vec<Check>,
}

/// What a gate is called in policies, in reasons and in commit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GateName {
    Healthy,
    Soak,
    MinAge,
    Windows,
    Freeze,
    Platforms,
    Signature,
    Attestations,
    Approvals,
    Checks,
}

/// How a gate stands for one version in one environment at one time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub(crate) struct Finding {
    pub(crate) gate: GateName,
    pub(crate) verdict: Verdict,
    /// One sentence without a full stop: what was proved, or what would end the wait. The same facts give the same words:
    /// times, and no "three hours ago".
    pub(crate) why: String,
    /// When time alone may change the verdict, either way.
    pub(crate) next: Option<Timestamp>,
}

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Passed,
    /// Not yet; time or an event ends it.
    Waits,
    /// This version never passes, unless somebody changes what it rests on: an older one may.
    Failed,
    /// What it rests on could not be read.
    Unknown,
}

impl Gates {
    /// Whether some of them judge a version by what it is and where it ran.
    pub(crate) fn judge_versions(&self) -> bool {
        let Self {
            healthy,
            soak,
            min_age,
            windows: _,
            freezes: _,
            platforms,
            signature,
            attestations,
            approvals,
            checks,
        } = self;
        let has_lived = healthy.is_some() || soak.is_some();
        let are_vouched = signature.is_some() || attestations.is_some();
        let are_known = has_lived || min_age.is_some() || platforms.is_some() || are_vouched;
        are_known || approvals.is_some() || !checks.is_empty()
    }

    /// What those find that judge the moment and no version, each gate once.
    pub(crate) fn judge_moment(&self, now: Timestamp) -> Vec<Finding> {
        let windows = self.windows.as_ref().map(|windows| windows.judge(now));
        let freezes = self.freezes.iter().map(|freeze| freeze.judge(now));
        windows.into_iter().chain(freezes.reduce(both)).collect()
    }
}

impl Finding {
    /// Of those that bar a version, the one to tell: what never passes first, then what is unknown, then what waits longest.
    pub(crate) fn weightiest(findings: &[Self]) -> Option<&Self> {
        let weight = |finding: &&Self| {
            let is_endless = finding.next.is_none();
            match finding.verdict {
                Verdict::Failed => (3, is_endless, finding.next),
                Verdict::Unknown => (2, is_endless, finding.next),
                Verdict::Waits => (1, is_endless, finding.next),
                Verdict::Passed => (0, false, None),
            }
        };
        let barred = findings
            .iter()
            .filter(|finding| finding.verdict != Verdict::Passed);
        // The first of those that weigh the same.
        barred.rev().max_by_key(weight)
    }
}

/// What two of one gate find together: both must pass.
fn both(a: Finding, b: Finding) -> Finding {
    let next = a.next.into_iter().chain(b.next).min();
    let first = match (a.verdict, b.verdict) {
        (Verdict::Passed, Verdict::Passed) if b.next == next => b,
        (Verdict::Passed, Verdict::Waits | Verdict::Failed | Verdict::Unknown) => b,
        (Verdict::Passed | Verdict::Waits | Verdict::Failed | Verdict::Unknown, _) => a,
    };
    Finding { next, ..first }
}

impl GateName {
    /// As policies write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Soak => "soak",
            Self::MinAge => "min-age",
            Self::Windows => "windows",
            Self::Freeze => "freeze",
            Self::Platforms => "platforms",
            Self::Signature => "signature",
            Self::Attestations => "attestations",
            Self::Approvals => "approvals",
            Self::Checks => "checks",
        }
    }
}

impl fmt::Display for GateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
