//! Proposals that towpath lets go of: those that are somebody else's now, and those in which nothing is promoted any more.
//!
//! Invariant: what a person did on a branch is never undone, and closing a pull request here rejects nothing.

use std::time::Duration;

use super::held::{Evidence, rejected_by};
use super::proof::HOLDS;
use super::propose::{ProposalChange, Proposer, RequestChange, promotes};
use super::request::hidden::{self, Flags};
use super::request::{Gate, GateVerdict, RequestText, markdown};
use super::{Decided, Decision, HoldReason};
use crate::world::{Proposal, PullRequest};

/// How long a pull request that is listed as open may have been merged already. Forges show a change within seconds; this
/// is room for clocks that differ.
const LAG_MAX: Duration = Duration::from_secs(120);

impl Proposer<'_, '_> {
    /// Says once that the branch is somebody else's now.
    pub(super) fn leave_alone(
        &self,
        tip: &Proposal,
        decisions: &mut [Decided],
    ) -> Option<ProposalChange> {
        let reason = HoldReason::ForeignCommits {
            branch: self.head.branch.clone(),
            commit: tip.tip.clone(),
            by: tip.committer.clone(),
            // Where a forge commits in its own name, a promotion that is not ours lost its seal, whoever committed it.
            ours: (promotes(tip) && !self.scope.is_sealed).then(|| self.scope.committer.to_owned()),
        };
        self.hold(decisions, &reason);
        let open = self.standing.open?;
        let hidden = hidden::read(&open.body)?;
        if hidden.flags.hands_off.is_some() {
            return None;
        }
        let flags = Flags {
            hands_off: Some(tip.tip.clone()),
            ..hidden.flags
        };
        let text = self.as_it_stands(open, flags)?;
        let name = tip.committer.rsplit_once(" <");
        let by = markdown::plain(name.map_or(&tip.committer, |(name, _)| name));
        let comment = format!(
            "`{}` has a commit that towpath did not make ({}, by {by}), so towpath leaves branch and pull request alone from here on. Merge it, or close it to reject what it promotes; to give it back to towpath, take that commit off the branch.",
            self.head.branch,
            tip.tip.short(),
        );
        let request = RequestChange::Update {
            number: open.number,
            text,
            comment: Some(comment),
            options: None,
        };
        Some(self.change(None, request, None))
    }

    /// What to do where nothing is promoted: what stood there may be done with.
    pub(super) fn end(&self, decisions: &[Decided]) -> Option<ProposalChange> {
        let is_settled = self
            .decided(decisions)
            .all(|decided| match &decided.decision {
                Decision::Hold(reason) => reason.settles(),
                Decision::Promote(_) => false,
            });
        if !is_settled {
            let told = self.tell_what_holds(decisions);
            return told.or_else(|| self.merge_no_more(&self.options(decisions, self.approved())));
        }
        if self.may_be_merged(decisions) {
            return None;
        }
        // What nothing else tells any more is not deleted.
        let is_evidence = |tip: &&Proposal| {
            let mut requests = self.standing.requests.iter();
            requests.any(|one| matches!(rejected_by(one, Some(tip)), Some(Evidence::Commit(_))))
        };
        let proposal = self.standing.proposal.filter(|tip| !is_evidence(tip));
        let drop = proposal.map(|tip| tip.tip.clone());
        let comment = format!(
            "Nothing is left to promote here: `{}` has what this proposed, or a newer version, or the version may not come here any more. Closed by towpath; this rejects nothing.",
            self.bundle.base.branch
        );
        let closing = self.standing.open;
        let closing = closing.and_then(|open| self.closing(open, comment));
        match (closing, self.standing.open) {
            // A person opened again what was closed here: it is that person's now.
            (None, Some(_)) => None,
            (Some(close), _) => Some(self.change(None, close, drop)),
            (None, None) => drop.map(|tip| self.change(None, RequestChange::Keep, Some(tip))),
        }
    }

    /// Says in the statuses of a pull request that waits what holds it: a person who stopped everything here, or a gate that does
    /// not let its version pass any more.
    pub(super) fn tell_what_holds(&self, decisions: &[Decided]) -> Option<ProposalChange> {
        let (gate, why) = self
            .decided(decisions)
            .find_map(|decided| match &decided.decision {
                Decision::Hold(reason @ HoldReason::Stopped { .. }) => {
                    Some((HOLDS.to_owned(), reason.to_string()))
                }
                Decision::Hold(HoldReason::Gated { finding, .. }) => {
                    Some((finding.gate.to_string(), finding.why.clone()))
                }
                Decision::Hold(_) | Decision::Promote(_) => None,
            })?;
        let (open, tip) = (self.standing.open?, self.standing.proposal?);
        let hidden = hidden::read(&open.body)?;
        let flags = Flags {
            told_on: Some(tip.tip.clone()),
            held: Some(gate.clone()),
            ..hidden.flags.clone()
        };
        if flags == hidden.flags && flags.merges.is_none() {
            return None;
        }
        let request = RequestChange::Update {
            number: open.number,
            text: self.as_it_stands(open, flags)?,
            comment: None,
            options: Some(Box::new(self.without_merging())),
        };
        let gate = Gate {
            name: gate,
            verdict: GateVerdict::Waits,
            evidence: why,
        };
        let change = self.change(None, request, None);
        Some(ProposalChange {
            gates: vec![gate],
            ..change
        })
    }

    /// Whether git got just now what the pull request that is open promotes: lists of forges lag, and one that was merged is
    /// not to be closed.
    fn may_be_merged(&self, decisions: &[Decided]) -> bool {
        let ledger = &self.standing.base.ledger;
        self.standing.open.is_some()
            && self.decided(decisions).any(|decided| {
                let Decided {
                    policy,
                    environment,
                    image,
                    ..
                } = decided;
                let recorded = ledger.latest(policy, environment, image);
                recorded.is_some_and(|recorded| {
                    self.now.duration_since(recorded.at).unsigned_abs() < LAG_MAX
                })
            })
    }

    pub(super) fn closing(&self, open: &PullRequest, comment: String) -> Option<RequestChange> {
        let hidden = hidden::read(&open.body)?;
        if hidden.flags.closed_by_us {
            return None;
        }
        let flags = Flags {
            closed_by_us: true,
            ..hidden.flags
        };
        Some(RequestChange::Close {
            number: open.number,
            body: self.with_flags(open, flags)?,
            comment,
        })
    }

    /// What a pull request says, with other flags.
    pub(super) fn as_it_stands(&self, open: &PullRequest, flags: Flags) -> Option<RequestText> {
        Some(RequestText {
            title: open.title.clone(),
            body: self.with_flags(open, flags)?,
            complaints: Vec::new(),
            hides_by: self.standing.dialect?.hides_by,
        })
    }

    /// The body as it is, with other flags.
    pub(super) fn with_flags(&self, request: &PullRequest, flags: Flags) -> Option<String> {
        hidden::with_flags(&request.body, flags, self.standing.dialect?.hides_by)
    }
}
