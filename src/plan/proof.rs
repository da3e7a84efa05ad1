//! What is told of the gates of a proposal: in its pull request, and as statuses of its commit.

use std::collections::{BTreeMap, BTreeSet};

use super::propose::Proposer;
use super::request::{Gate, GateVerdict};
use super::{Decided, Decision, Ground};
use crate::ledger::{Moved, Promotion};
use crate::policy::gate::checks::tell_the_same;
use crate::policy::gate::{Approvals, Finding, GateName, Verdict};
use crate::world::{Fact, PullRequest};

/// The gate that people are, by `.towpath/holds.yaml`.
pub(super) const HOLDS: &str = "holds";

/// That nobody approved anything.
pub(super) const NOBODY: &Fact<BTreeSet<String>> = &Fact::Known(BTreeSet::new());

impl Proposer<'_, '_> {
    /// Who approved what stands on the branch; nobody where nothing is open, or was pushed just now: a forge may not have seen it yet.
    pub(super) fn approved(&self) -> &Fact<BTreeSet<String>> {
        let tip = self.standing.proposal.map(|proposal| &proposal.tip);
        let is_seen = |open: &&PullRequest| open.head.is_none() || open.head.as_ref() == tip;
        let open = self.standing.open.filter(is_seen);
        let approvals = open.and_then(|open| open.approvals.as_ref());
        approvals.unwrap_or(NOBODY)
    }

    /// Adds what is found of approvals to what is proposed: it stops no proposal, and stands in it.
    pub(super) fn count_approvals(
        &self,
        decisions: &mut [Decided],
        approved: &Fact<BTreeSet<String>>,
    ) {
        for (_, environment, range) in &self.bundle.members {
            let Some(gate) = &environment.gates.approvals else {
                continue;
            };
            for decided in &mut decisions[range.clone()] {
                // What people pin comes at once.
                if let Decision::Promote(promote) = &mut decided.decision
                    && !matches!(promote.ground, Ground::Pinned { .. })
                {
                    promote.moment.push(judged(gate, approved));
                }
            }
        }
    }

    /// Has checks that pass say when they did as the proposal tells it, which is made anew for other facts and not for each answer.
    pub(super) fn keep_times(&self, decisions: &mut [Decided]) {
        let told = self
            .standing
            .proposal
            .map(|tip| Promotion::read(&tip.message));
        let told = told.unwrap_or_default();
        let members = self.bundle.members.iter();
        for decided in members.flat_map(|(_, _, range)| range.clone()) {
            let Decided {
                policy,
                environment,
                image,
                decision: Decision::Promote(promote),
                ..
            } = &mut decisions[decided]
            else {
                continue;
            };
            let is_of = |one: &&Promotion| (&one.policy, &one.environment) == (policy, environment);
            let Some(Promotion { images, gates, .. }) = told.iter().find(is_of) else {
                continue;
            };
            let is_same =
                |moved: &Moved| moved.tag == promote.to.tag && moved.digest == promote.to.digest;
            if !images.get(image).is_some_and(is_same) {
                continue;
            }
            for finding in &mut promote.findings {
                let start = format!("{image} {}: ", finding.gate);
                let mut lines = gates.iter().filter_map(|line| line.strip_prefix(&start));
                if let Some(line) = lines.find(|line| tell_the_same(line, &finding.why)) {
                    line.clone_into(&mut finding.why);
                }
            }
        }
    }
}

/// What the gate finds of those who approved.
pub(super) fn judged(gate: &Approvals, approved: &Fact<BTreeSet<String>>) -> Finding {
    match approved {
        Fact::Known(approved) => gate.judge(Ok(approved), None),
        Fact::Unknown { why } => gate.judge(Err(why), None),
    }
}

/// How the gates stand of what is proposed, each gate once: that people are one, and then those of the environment.
pub(super) fn gates<'d>(decided: impl Iterator<Item = &'d Decided>) -> Vec<Gate> {
    let promotes = decided.filter_map(|decided| match &decided.decision {
        Decision::Promote(promote) => Some((decided, promote)),
        Decision::Hold(_) => None,
    });
    let mut found: BTreeMap<GateName, Vec<(&Decided, &Finding)>> = BTreeMap::new();
    for (decided, promote) in promotes {
        for finding in promote.findings.iter().chain(&promote.moment) {
            found
                .entry(finding.gate)
                .or_default()
                .push((decided, finding));
        }
    }
    let gates = found.into_iter().map(|(gate, found)| {
        let has_passed = |(_, finding): &(_, &Finding)| finding.verdict == Verdict::Passed;
        let verdict = match found.iter().all(has_passed) {
            true => GateVerdict::Passed,
            false => GateVerdict::Waits,
        };
        let all: BTreeSet<&str> = found
            .iter()
            .map(|(_, finding)| finding.why.as_str())
            .collect();
        let evidence = match all.len() {
            1 => all.into_iter().collect(),
            _ => {
                let each = found.iter().map(|(decided, finding)| {
                    format!("{} {}: {}", decided.policy, decided.image, finding.why)
                });
                each.collect::<Vec<_>>().join("; ")
            }
        };
        Gate {
            name: gate.to_string(),
            verdict,
            evidence,
        }
    });
    [nobody_holds()].into_iter().chain(gates).collect()
}

/// That no person stopped or rejected what is proposed.
fn nobody_holds() -> Gate {
    Gate {
        name: HOLDS.to_owned(),
        verdict: GateVerdict::Passed,
        evidence: "nobody stopped promotions here, and nobody rejected this version".to_owned(),
    }
}
