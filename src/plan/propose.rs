//! Proposals: what becomes of the branch and the pull request of each environment that people review.
//!
//! A proposal is a branch with one commit of ours on its base, and the forge's pull request for it. What stands is compared
//! with what the promotions of the round would make: nothing is touched that is right already, so that no approval is
//! dismissed for nothing. Not here: what pull requests say (`request`), and doing any of it (`apply`).
//! Invariant: a branch with a commit of somebody else is not written, and one branch never has two open pull requests.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::bundle::{Brought, Bundle, Standing, bundles};
use super::change::{Draft, Overlay, PlannedCommit, commit, draft, hold_promotions};
use super::compare::{makes_the_same, moves_alike, superseded};
use super::evidence::{evidence, rendered};
use super::held::resumed;
use super::proof::{NOBODY, gates, judged};
use super::request::hidden::{self, Flags, Promotions};
use super::request::{Gate, Proposed, RequestFacts, RequestTemplates, RequestText};
use super::{Decided, Decision, Ground, HoldReason, Scope, request, seal};
use crate::ledger::Promotion;
use crate::manifest::CommitId;
use crate::policy::gate::Verdict;
use crate::policy::{Environment, EnvironmentName, PolicyName, PullRequests};
use crate::world::{BranchName, Fact, Proposal, PullRequest, Question, World};

/// What is to be done about one proposal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProposalChange {
    pub(crate) head: BranchName,
    /// The branch that it goes to.
    pub(crate) base: String,
    /// The environment, and the policies whose promotions it has.
    pub(crate) environment: EnvironmentName,
    pub(crate) policies: BTreeSet<PolicyName>,
    /// The branch is made anew.
    pub(crate) rebuild: Option<Rebuild>,
    /// Where the branch stands, if it is not made anew.
    pub(crate) tip: Option<CommitId>,
    /// How the gates stand, told as statuses of the commit whenever the pull request is written.
    pub(crate) gates: Vec<Gate>,
    pub(crate) request: RequestChange,
    /// The branch is deleted, if it still stands there.
    pub(crate) drop: Option<CommitId>,
}

/// A proposal's one commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rebuild {
    /// Where the branch stands; `None` where there is none.
    pub(crate) expected: Option<CommitId>,
    pub(crate) parent: CommitId,
    pub(crate) commit: PlannedCommit,
}

/// What is to be done about a pull request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RequestChange {
    /// It stays as it is, or there is no forge.
    Keep,
    Open {
        text: RequestText,
        options: Box<PullRequests>,
    },
    Update {
        number: u64,
        text: RequestText,
        /// What people are told of the change.
        comment: Option<String>,
        /// What is wished besides; nothing where the pull request is left alone.
        options: Option<Box<PullRequests>>,
    },
    /// It says what it should, and the forge did not do all that is wished so far, or is to take something back.
    Wish {
        number: u64,
        /// As it stands.
        text: RequestText,
        options: Box<PullRequests>,
    },
    Close {
        number: u64,
        /// The body that says who closed it.
        body: String,
        comment: String,
    },
}

/// Makes the changes of proposals that the promotions among `decisions` ask for. What waits for people becomes a hold.
pub(super) fn proposals(
    (scope, world, now): (&Scope<'_>, &World, Timestamp),
    decisions: &mut [Decided],
    questions: &mut BTreeSet<Question>,
) -> Vec<ProposalChange> {
    let mut changes = Vec::new();
    for (head, bundle) in bundles(scope, decisions) {
        match Standing::read(scope, world, (&head, &bundle.base)) {
            Ok(standing) => {
                let proposer = Proposer {
                    scope,
                    world,
                    now,
                    head: &head,
                    bundle: &bundle,
                    standing,
                };
                changes.extend(proposer.propose(decisions, questions));
            }
            Err(reason) => {
                for (_, _, range) in &bundle.members {
                    hold_promotions(&mut decisions[range.clone()], &reason);
                }
            }
        }
    }
    changes
}

/// Decides about one proposal.
pub(super) struct Proposer<'p, 'a> {
    pub(super) scope: &'p Scope<'a>,
    pub(super) world: &'p World,
    pub(super) now: Timestamp,
    pub(super) head: &'p BranchName,
    pub(super) bundle: &'p Bundle<'a>,
    pub(super) standing: Standing<'p>,
}

impl Proposer<'_, '_> {
    fn propose(
        &self,
        decisions: &mut [Decided],
        questions: &mut BTreeSet<Question>,
    ) -> Option<ProposalChange> {
        let standing = self.standing;
        let is_done_with =
            |tip: &Proposal| tip.tip == *standing.base_head || standing.is_merged(tip);
        let is_theirs = |tip: &&Proposal| !self.is_ours(tip) && !is_done_with(tip);
        if let Some(foreign) = standing.proposal.filter(is_theirs) {
            return self.leave_alone(foreign, decisions);
        }
        self.hold_what_was_merged(decisions);
        if self
            .decided(decisions)
            .any(|decided| decided.is_being_read())
        {
            self.hold(decisions, &HoldReason::FactsPending);
            return None;
        }
        self.keep_times(decisions);
        let drafts = self.drafts(decisions);
        if drafts.is_empty() {
            return self.end(decisions);
        }
        let mut commit = commit(self.scope, drafts);
        if self.scope.is_sealed {
            seal::put_on(&mut commit);
        }
        if self.lacks_only_the_unknown(&commit, decisions) {
            let options = self.options(decisions, self.approved());
            self.hold(decisions, &self.awaits());
            return self.merge_no_more(&options);
        }
        let is_right = |tip: &&Proposal| self.is_right(tip, &commit);
        let rebuild = match standing.proposal.filter(is_right) {
            Some(_) => None,
            None => Some(Rebuild {
                expected: standing.proposal.map(|tip| tip.tip.clone()),
                parent: standing.base_head.clone(),
                commit: commit.clone(),
            }),
        };
        let approved = match &rebuild {
            Some(_) => NOBODY,
            None => self.approved(),
        };
        self.count_approvals(decisions, approved);
        let options = self.options(decisions, approved);
        let text = match self.text((&commit, rebuild.is_none()), decisions) {
            Ok(text) => text,
            Err(asked) => {
                questions.extend(asked);
                self.hold(decisions, &HoldReason::FactsPending);
                return None;
            }
        };
        let request = text.map_or(RequestChange::Keep, |text| {
            self.request((text, options), &commit, rebuild.is_some())
        });
        if rebuild.is_none()
            && let RequestChange::Keep | RequestChange::Wish { .. } = request
        {
            self.hold(decisions, &self.awaits());
            let wishes = request != RequestChange::Keep;
            return wishes.then(|| self.change(None, request, None));
        }
        let change = self.change(rebuild, request, None);
        Some(ProposalChange {
            gates: gates(self.decided(decisions)),
            ..change
        })
    }

    /// What the pull request says, if there is a forge, or what has to be asked first; `stands` tells whether the branch does.
    fn text(
        &self,
        (commit, stands): (&PlannedCommit, bool),
        decisions: &[Decided],
    ) -> Result<Option<RequestText>, BTreeSet<Question>> {
        let Some(dialect) = self.standing.dialect else {
            return Ok(None);
        };
        let told_on = self.standing.proposal.filter(|_| stands);
        let told = self.standing.open.and_then(|open| hidden::read(&open.body));
        let told = told.map(|hidden| hidden.flags).unwrap_or_default();
        let flags = Flags {
            told_on: told_on.map(|tip| tip.tip.clone()),
            wished: told.wished,
            merges: told.merges,
            ..Flags::default()
        };
        let mut asked = BTreeSet::new();
        let facts = self.facts((commit, flags), decisions, &mut asked);
        match asked.is_empty() {
            true => Ok(Some(request::text(&facts, dialect, self.templates()))),
            false => Err(asked),
        }
    }

    pub(super) fn decided<'d>(
        &self,
        decisions: &'d [Decided],
    ) -> impl Iterator<Item = &'d Decided> {
        let members = self.bundle.members.iter();
        members.flat_map(|(_, _, range)| &decisions[range.clone()])
    }

    /// Holds what a pull request brought already: either the branch was read before it was merged, or a person undid it in a
    /// way that git does not tell, since a squash may lose what its commit said.
    fn hold_what_was_merged(&self, decisions: &mut [Decided]) {
        let promotes = |decided: &Decided| matches!(decided.decision, Decision::Promote(_));
        if !self.decided(decisions).any(promotes) {
            return;
        }
        let merged = self.standing.merged(&self.bundle.base);
        for (policy, environment, range) in &self.bundle.members {
            let resumed = resumed((self.scope, self.world), (policy, &environment.name));
            for decided in &mut decisions[range.clone()] {
                let Decision::Promote(promote) = &decided.decision else {
                    continue;
                };
                let image = decided.image.clone();
                let stands = decided.current.as_deref().unwrap_or_default();
                let key = (policy.name.clone(), environment.name.clone(), image);
                let Some(Brought { moved, at, number }) = merged.get(&key) else {
                    continue;
                };
                let is_lifted = resumed
                    .is_some_and(|resumed| resumed.lifts_what_came(*at, (&decided.image, stands)));
                let is_pinned = matches!(promote.ground, Ground::Pinned { .. });
                let is_same = moved.tag == promote.to.tag && moved.digest == promote.to.digest;
                if is_same && !is_lifted && !is_pinned {
                    decided.decision = Decision::Hold(HoldReason::Merged { number: *number });
                }
            }
            if policy.together {
                hold_with_what_was_merged(&mut decisions[range.clone()]);
            }
        }
    }

    /// Whether the proposal is as `commit` would be but for images of which too little is known to tell, or that a server said
    /// other things of before: those stay, so that what is away or sick for a while dismisses no approval.
    fn lacks_only_the_unknown(&self, commit: &PlannedCommit, decisions: &[Decided]) -> bool {
        let Some(tip) = self.standing.proposal else {
            return false;
        };
        let unknown = self
            .decided(decisions)
            .filter(|decided| match &decided.decision {
                Decision::Promote(_) => false,
                Decision::Hold(reason) => reason.is_unknown() || reason.is_unproven(),
            });
        let mut standing = Promotion::read(&tip.message);
        let mut is_cut = false;
        for decided in unknown {
            let key = (&decided.policy, &decided.environment);
            for promotion in &mut standing {
                if (&promotion.policy, &promotion.environment) == key {
                    is_cut |= promotion.images.remove(&decided.image).is_some();
                }
            }
        }
        is_cut && moves_alike(&standing, &commit.promotions)
    }

    /// Writes the promotions of each policy. One that cannot be written is held, and stops no other.
    fn drafts(&self, decisions: &mut [Decided]) -> Vec<Draft> {
        let mut overlay = Overlay::new();
        let mut drafts = Vec::new();
        for (policy, environment, range) in &self.bundle.members {
            let group = &mut decisions[range.clone()];
            let promotes = |decided: &Decided| matches!(decided.decision, Decision::Promote(_));
            if !group.iter().any(promotes) {
                continue;
            }
            match draft((policy, environment), group, (self.standing.base, &overlay)) {
                Ok(draft) => {
                    draft.lay(&mut overlay);
                    drafts.push(draft);
                }
                Err(why) => hold_promotions(group, &HoldReason::SiteRefused { why }),
            }
        }
        drafts
    }

    /// Whether a commit is one that towpath made and nobody touched since: it promotes, by our name or with our seal.
    fn is_ours(&self, tip: &Proposal) -> bool {
        promotes(tip) && (tip.committer == self.scope.committer || seal::is_whole(tip))
    }

    /// Whether the branch stands as it would be made. What was merged once, or was made for another branch, is made anew.
    fn is_right(&self, tip: &Proposal, commit: &PlannedCommit) -> bool {
        let goes_elsewhere = |open: &PullRequest| open.base != self.bundle.base.branch;
        makes_the_same(tip, commit)
            && !self.standing.is_merged(tip)
            && !self.standing.open.is_some_and(goes_elsewhere)
    }

    /// What the pull request has to become.
    fn request(
        &self,
        (text, options): (RequestText, PullRequests),
        commit: &PlannedCommit,
        is_rebuilt: bool,
    ) -> RequestChange {
        let options = Box::new(options);
        let Some(open) = self.standing.open else {
            return RequestChange::Open { text, options };
        };
        if open.base != self.bundle.base.branch {
            // The next round opens another one.
            let comment = format!(
                "Promotions go to `{}` now, by another pull request. Closed by towpath; this rejects nothing.",
                self.bundle.base.branch
            );
            return self.closing(open, comment).unwrap_or(RequestChange::Keep);
        }
        if !is_rebuilt && text.is_told_by(&open.body) {
            let wish = self.wish(open, text.flags(), options);
            return wish.unwrap_or(RequestChange::Keep);
        }
        let before = hidden::read(&open.body).and_then(|hidden| match hidden.promotions {
            Promotions::Here(before) => Some(before),
            Promotions::InCommit => None,
        });
        let comment = before
            .filter(|before| !moves_alike(before, &commit.promotions))
            .map(|before| superseded(&before, &commit.promotions));
        RequestChange::Update {
            number: open.number,
            text,
            comment,
            options: Some(options),
        }
    }

    /// Wishes what was lost when somebody ended towpath, and what the forge would not do yet.
    fn wish(
        &self,
        open: &PullRequest,
        flags: Flags,
        options: Box<PullRequests>,
    ) -> Option<RequestChange> {
        let tip = &self.standing.proposal?.tip;
        let is_due = flags.lack_wishes(&options)
            || flags.lack_the_merge(&options, tip)
            || flags.merge_too_much(&options);
        if !is_due {
            return None;
        }
        Some(RequestChange::Wish {
            number: open.number,
            // What others wrote around our own words stays.
            text: self.as_it_stands(open, flags)?,
            options,
        })
    }

    /// What is wished at this moment: that the forge merges by itself only while no gate of the moment is closed to what it
    /// would merge, and servers say what is expected. What people pin comes at once, and what is settled is not there.
    pub(super) fn options(
        &self,
        decisions: &[Decided],
        approved: &Fact<BTreeSet<String>>,
    ) -> PullRequests {
        let may_come = |decided: &Decided| match &decided.decision {
            Decision::Promote(promote) => !matches!(promote.ground, Ground::Pinned { .. }),
            Decision::Hold(reason) => !reason.settles(),
        };
        let is_unproven = |decided: &Decided| match &decided.decision {
            Decision::Promote(_) => false,
            Decision::Hold(reason) => reason.is_unproven(),
        };
        let is_closed = |environment: &Environment| {
            let gates = &environment.gates;
            let mut found = gates.judge_moment(self.now);
            found.extend(gates.approvals.as_ref().map(|gate| judged(gate, approved)));
            found.iter().any(|one| one.verdict != Verdict::Passed)
        };
        let mut members = self.bundle.members.iter();
        let is_barred = members.any(|(_, environment, range)| {
            let decisions = &decisions[range.clone()];
            decisions.iter().any(is_unproven)
                || (decisions.iter().any(may_come) && is_closed(environment))
        });
        match is_barred {
            true => self.without_merging(),
            false => self.bundle.options.clone(),
        }
    }

    pub(super) fn without_merging(&self) -> PullRequests {
        PullRequests {
            auto_merge: None,
            ..self.bundle.options.clone()
        }
    }

    /// Takes back that the forge merges by itself, of a pull request that else stays as it is.
    pub(super) fn merge_no_more(&self, options: &PullRequests) -> Option<ProposalChange> {
        let open = self.standing.open?;
        let flags = hidden::read(&open.body)?.flags;
        if !flags.merge_too_much(options) {
            return None;
        }
        let request = RequestChange::Wish {
            number: open.number,
            text: self.as_it_stands(open, flags)?,
            options: Box::new(options.clone()),
        };
        Some(self.change(None, request, None))
    }

    /// What the pull request says, with what is known about each version.
    fn facts(
        &self,
        (commit, flags): (&PlannedCommit, Flags),
        decisions: &[Decided],
        questions: &mut BTreeSet<Question>,
    ) -> RequestFacts {
        let known = (decisions, &self.standing.base.ledger);
        let proposed = commit.promotions.iter().map(|promotion| Proposed {
            promotion: promotion.clone(),
            evidence: evidence(promotion, known, (self.scope, self.world), questions),
            gates: gates(
                self.decided(decisions)
                    .filter(|decided| decided.policy == promotion.policy),
            ),
        });
        let promotions = proposed.collect();
        let base = (&self.head.repository, self.standing.base_head);
        let rendered = rendered((commit, base), (self.scope, self.world), questions);
        RequestFacts {
            rendered,
            environment: self.bundle.environment.clone(),
            base: self.bundle.base.clone(),
            subject: commit.message.lines().next().unwrap_or_default().to_owned(),
            promotions,
            files: commit.files.clone(),
            flags,
        }
    }

    fn templates(&self) -> RequestTemplates<'_> {
        let PullRequests { title, body, .. } = self.bundle.options;
        RequestTemplates {
            title: title.as_ref(),
            body: body.as_ref(),
        }
    }

    /// What the decisions wait for, where all is as it should be.
    fn awaits(&self) -> HoldReason {
        HoldReason::Proposed {
            branch: self.head.branch.clone(),
            request: self
                .standing
                .open
                .map(|open| (open.number, open.url.clone())),
        }
    }

    pub(super) fn hold(&self, decisions: &mut [Decided], reason: &HoldReason) {
        for (_, _, range) in &self.bundle.members {
            hold_promotions(&mut decisions[range.clone()], reason);
        }
    }

    pub(super) fn change(
        &self,
        rebuild: Option<Rebuild>,
        request: RequestChange,
        drop: Option<CommitId>,
    ) -> ProposalChange {
        let policies = self.bundle.members.iter();
        ProposalChange {
            head: self.head.clone(),
            base: self.bundle.base.branch.clone(),
            environment: self.bundle.environment.clone(),
            policies: policies.map(|(policy, ..)| policy.name.clone()).collect(),
            tip: self.standing.proposal.map(|tip| tip.tip.clone()),
            rebuild,
            gates: Vec::new(),
            request,
            drop,
        }
    }
}

/// Holds what moves together with something that was merged already.
fn hold_with_what_was_merged(decisions: &mut [Decided]) {
    let mut merged = decisions
        .iter()
        .filter_map(|decided| match &decided.decision {
            Decision::Hold(reason @ HoldReason::Merged { .. }) => Some(reason.clone()),
            Decision::Hold(_) | Decision::Promote(_) => None,
        });
    if let Some(reason) = merged.next() {
        hold_promotions(decisions, &reason);
    }
}

/// Whether a commit is like those of proposals: one parent, and our trailers.
pub(super) fn promotes(tip: &Proposal) -> bool {
    tip.parents.len() == 1 && !Promotion::read(&tip.message).is_empty()
}
