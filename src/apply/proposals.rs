//! Carries out what a plan says of proposals: the branch first, then its pull request, then what people are told.
//!
//! Each step is safe to be the last one: the next round sees what stands and goes on from there.
//! Invariant: a pull request is never opened for a branch that was not pushed, nor a branch deleted before its pull request is closed.

use futures_util::StreamExt as _;
use futures_util::stream;
use tracing::{Instrument as _, debug_span};

use super::Places;
use super::write::{Ground, WriteError, Written, write};
use crate::forge::{
    Forge, ForgeError, MergeWay, NewPullRequest, PullRequest, Status, Update, Verdict, Wishes,
};
use crate::git::Deleted;
use crate::manifest::CommitId;
use crate::plan::request::RequestText;
use crate::plan::request::hidden::Flags;
use crate::plan::{Gate, GateVerdict, ProposalChange, Rebuild, RequestChange};
use crate::policy::{self, PullRequests};
use crate::world::BranchName;

/// Proposals that are carried out at once: git takes one after the other, and a forge some at a time.
const AT_ONCE_MAX: usize = 4;

/// What became of one proposal.
#[derive(Debug)]
#[must_use]
pub(crate) struct ProposalOutcome {
    pub(crate) change: ProposalChange,
    /// Where its branch stands now, if it was pushed.
    pub(crate) pushed: Option<CommitId>,
    /// The pull request as it is now, if it was written.
    pub(crate) request: Option<PullRequest>,
    /// What was wished and could not be done, and stops nothing.
    pub(crate) complaints: Vec<ForgeError>,
    pub(crate) end: ProposalEnd,
}

/// How far it came.
#[derive(Debug)]
pub(crate) enum ProposalEnd {
    Done,
    /// Somebody else moved the branch first; plan again from its new head.
    Moved,
    /// We may not write any more; what was not done yet is left to whoever may.
    Withheld,
    PushFailed(WriteError),
    ForgeFailed(ForgeError),
}

/// Carries out `changes`, some at a time. One that fails stops no other.
pub(crate) async fn propose(
    changes: Vec<ProposalChange>,
    places: Places<'_>,
) -> Vec<ProposalOutcome> {
    let outcomes = stream::iter(changes).map(|change| {
        let BranchName { repository, branch } = &change.head;
        let span = debug_span!("proposal", %repository, branch);
        one(change, places).instrument(span)
    });
    outcomes.buffered(AT_ONCE_MAX).collect().await
}

async fn one(change: ProposalChange, places: Places<'_>) -> ProposalOutcome {
    let mut outcome = ProposalOutcome {
        change,
        pushed: None,
        request: None,
        complaints: Vec::new(),
        end: ProposalEnd::Done,
    };
    if let Err(end) = outcome.carry_out(places).await {
        outcome.end = end;
    }
    outcome
}

impl ProposalOutcome {
    async fn carry_out(&mut self, places: Places<'_>) -> Result<(), ProposalEnd> {
        let mirror = &places.mirrors[&self.change.head.repository];
        let forge = places.forges.get(&self.change.head.repository);
        if !(places.may_write)() {
            return Err(ProposalEnd::Withheld);
        }
        if let Some(forge) = forge {
            let taken_back = self.merge_no_more(forge).await;
            taken_back.map_err(ProposalEnd::ForgeFailed)?;
        }
        if let Some(rebuild) = self.change.rebuild.clone() {
            self.pushed = Some(push(&self.change, rebuild, places).await?);
        }
        if !(places.may_write)() {
            return Err(ProposalEnd::Withheld);
        }
        if let Some(forge) = forge {
            self.ask(forge).await.map_err(ProposalEnd::ForgeFailed)?;
        }
        if let Some(tip) = self.change.drop.clone() {
            if !(places.may_write)() {
                return Err(ProposalEnd::Withheld);
            }
            let deleted = mirror.delete(self.change.head.branch.clone(), tip).await;
            match deleted.map_err(|error| ProposalEnd::PushFailed(error.into()))? {
                Deleted::Done => {}
                Deleted::Moved { .. } => return Err(ProposalEnd::Moved),
            }
        }
        Ok(())
    }

    /// Where the branch stands now.
    fn tip(&self) -> Option<&CommitId> {
        self.pushed.as_ref().or(self.change.tip.as_ref())
    }

    /// Takes back what the forge was told to merge and may not any more: before all else, since it may merge what is pushed too.
    /// Where that fails nothing more is done, and the next round tries again.
    async fn merge_no_more(&mut self, forge: &Forge) -> Result<(), ForgeError> {
        let (number, text, options) = match &self.change.request {
            RequestChange::Update {
                number,
                text,
                options: Some(options),
                ..
            }
            | RequestChange::Wish {
                number,
                text,
                options,
            } => (*number, text, options),
            RequestChange::Keep
            | RequestChange::Open { .. }
            | RequestChange::Update { options: None, .. }
            | RequestChange::Close { .. } => return Ok(()),
        };
        if !text.flags().merge_too_much(options) {
            return Ok(());
        }
        forge.merge_no_more(number).await
    }

    /// Says of the branch's commit how the gates stand: before the pull request is written, whose body says that it was done.
    /// What the forge forbids is a complaint; what may be done later is not done.
    async fn tell(&mut self, forge: &Forge) -> Result<(), ForgeError> {
        let Some(tip) = self.tip().cloned() else {
            return Ok(());
        };
        for gate in &self.change.gates {
            match forge.set_status(&tip, &status(gate)).await {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => self.complaints.push(error),
            }
        }
        Ok(())
    }

    /// Does what is to be done on the forge.
    async fn ask(&mut self, forge: &Forge) -> Result<(), ForgeError> {
        match self.change.request.clone() {
            RequestChange::Keep => self.tell(forge).await?,
            RequestChange::Open { text, options } => self.open(forge, text, &options).await?,
            RequestChange::Update {
                number,
                text,
                comment,
                options,
            } => {
                self.tell(forge).await?;
                let tip = self.tip().cloned();
                let text = text.noting(|flags| flags.told_on = tip.or(flags.told_on.take()));
                let update = Update {
                    title: Some(text.title.clone()),
                    body: Some(text.body.clone()),
                    close: false,
                };
                self.request = Some(forge.update(number, &update).await?);
                self.comment(forge, number, comment).await;
                if let Some(options) = options {
                    self.wish(forge, (number, text), &options).await;
                }
            }
            RequestChange::Wish {
                number,
                text,
                options,
            } => self.wish(forge, (number, text), &options).await,
            RequestChange::Close {
                number,
                body,
                comment,
            } => {
                self.tell(forge).await?;
                let update = Update {
                    title: None,
                    body: Some(body),
                    close: true,
                };
                self.request = Some(forge.update(number, &update).await?);
                self.comment(forge, number, Some(comment)).await;
            }
        }
        Ok(())
    }

    /// Opens the pull request. Its body says what is done by then; the rest is done after it, and noted in one more request.
    async fn open(
        &mut self,
        forge: &Forge,
        text: RequestText,
        options: &PullRequests,
    ) -> Result<(), ForgeError> {
        let kind = forge.place().kind;
        let tip = self.tip().cloned();
        let mut text = text;
        if !kind.tells_pull_requests() {
            self.tell(forge).await?;
            text = text.noting(|flags| flags.told_on = tip.clone());
        }
        if kind.wishes_with_opening() {
            text = text.noting(|flags| flags.wished = options.has_wishes());
        }
        let new = new_request(&self.change, text.clone(), options);
        let opened = forge.open(&new).await?;
        let number = opened.pull_request.number;
        self.request = Some(opened.pull_request);
        let is_final = self.complain(opened.complaints);
        let mut done = text.flags();
        done.wished |= options.has_wishes() && is_final;
        if kind.tells_pull_requests() {
            self.tell(forge).await?;
            done.told_on = tip;
        }
        self.merge_later(forge, (number, options), &mut done).await;
        self.note(forge, (number, text), done).await;
        Ok(())
    }

    /// Wishes what was not wished yet, and notes what need not be wished again.
    async fn wish(
        &mut self,
        forge: &Forge,
        (number, text): (u64, RequestText),
        options: &PullRequests,
    ) {
        let mut done = text.flags();
        if done.merge_too_much(options) {
            done.merges = None;
        }
        if done.lack_wishes(options) {
            let complaints = forge.wish(number, &wishes(options)).await;
            done.wished = self.complain(complaints);
        }
        self.merge_later(forge, (number, options), &mut done).await;
        self.note(forge, (number, text), done).await;
    }

    /// Takes complaints in; whether nothing among them may be otherwise the next time.
    fn complain(&mut self, complaints: Vec<ForgeError>) -> bool {
        let is_final = !complaints.iter().any(ForgeError::is_transient);
        self.complaints.extend(complaints);
        is_final
    }

    /// Writes into the pull request what was done. Where that fails, it is done once more in the next round.
    async fn note(&mut self, forge: &Forge, (number, text): (u64, RequestText), done: Flags) {
        if done == text.flags() {
            return;
        }
        let update = Update {
            body: Some(text.noting(|flags| *flags = done).body),
            ..Update::default()
        };
        match forge.update(number, &update).await {
            Ok(request) => self.request = Some(request),
            Err(error) => self.complaints.push(error),
        }
    }

    /// Tells people. What cannot be told stands in the pull request all the same.
    async fn comment(&mut self, forge: &Forge, number: u64, comment: Option<String>) {
        if let Some(comment) = comment {
            let told = forge.comment(number, &comment).await;
            self.complaints.extend(told.err());
        }
    }

    /// Lets the forge merge what stands on the branch, if the policy wishes that. What it will not do yet is asked for again
    /// in the next round, without a word.
    async fn merge_later(
        &mut self,
        forge: &Forge,
        (number, options): (u64, &PullRequests),
        done: &mut Flags,
    ) {
        let Some((way, head)) = options.auto_merge.zip(self.tip().cloned()) else {
            return;
        };
        if !done.lack_the_merge(options, &head) {
            return;
        }
        let way = match way {
            policy::MergeWay::Merge => MergeWay::Merge,
            policy::MergeWay::Squash => MergeWay::Squash,
            policy::MergeWay::Rebase => MergeWay::Rebase,
        };
        let is_final = match forge.merge_when_ready(number, way, &head).await {
            Ok(()) => true,
            Err(error @ ForgeError::NotYet { .. }) => {
                tracing::debug!(number, %error, "the forge does not merge yet");
                false
            }
            Err(error) => self.complain(vec![error]),
        };
        if is_final {
            done.merges = Some(head);
        }
    }
}

async fn push(
    change: &ProposalChange,
    rebuild: Rebuild,
    places: Places<'_>,
) -> Result<CommitId, ProposalEnd> {
    let Rebuild {
        expected,
        parent,
        commit,
    } = rebuild;
    let pushed = write(&change.head, Ground { expected, parent }, &[commit], places).await;
    match pushed.map_err(ProposalEnd::PushFailed)? {
        Written::Done { ids } => Ok(ids.into_iter().next_back().expect("one commit was pushed")),
        Written::Moved => Err(ProposalEnd::Moved),
        Written::Withheld => Err(ProposalEnd::Withheld),
    }
}

fn status(gate: &Gate) -> Status {
    let Gate {
        name,
        verdict,
        evidence,
    } = gate;
    Status {
        name: format!("towpath/{name}"),
        verdict: match verdict {
            GateVerdict::Passed => Verdict::Passed,
            GateVerdict::Waits => Verdict::Waits,
        },
        why: evidence.clone(),
    }
}

fn new_request(
    change: &ProposalChange,
    text: RequestText,
    options: &PullRequests,
) -> NewPullRequest {
    let RequestText { title, body, .. } = text;
    NewPullRequest {
        head: change.head.branch.clone(),
        base: change.base.clone(),
        title,
        body,
        is_draft: options.is_draft,
        wishes: wishes(options),
    }
}

fn wishes(options: &PullRequests) -> Wishes {
    let PullRequests {
        branch: _,
        group: _,
        title: _,
        body: _,
        labels,
        reviewers,
        assignees,
        milestone,
        is_draft: _,
        auto_merge: _,
    } = options.clone();
    Wishes {
        labels,
        reviewers,
        assignees,
        milestone,
    }
}
