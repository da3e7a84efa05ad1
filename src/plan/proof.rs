//! What is told of the gates of a proposal: in its pull request, and as statuses of its commit.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{Gate, GateVerdict};
use super::{Decided, Decision};
use crate::policy::gate::{Finding, GateName, Verdict};

/// The gate that people are, by `.towpath/holds.yaml`.
pub(super) const HOLDS: &str = "holds";

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
