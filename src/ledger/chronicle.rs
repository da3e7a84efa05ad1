//! All that a history tells of promotions, in order: what was promoted, what was undone, what people decided.
//!
//! Not here: what counts in the end ([`super::Ledger`]).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::message::{reason, undone};
use super::{Commit, HoldEvent, Promotion, Told, told};
use crate::manifest::CommitId;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it came to stand on the branch.
    pub(crate) at: Timestamp,
    pub(crate) what: What,
    /// Who made the commit, or merged it.
    pub(crate) by: String,
    pub(crate) approvers: Vec<String>,
    pub(crate) reason: Option<String>,
    pub(crate) commit: CommitId,
    /// What brought it, where it was made on another branch.
    pub(crate) merge: Option<CommitId>,
    pub(crate) pull_request: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Promoted(Promotion),
    /// A person undid a promotion.
    Undone(Promotion),
    Decided(HoldEvent),
}

/// What `commits` of `branch`, newest first as git logs them, tell, oldest first.
pub(crate) fn chronicle(branch: &str, commits: &[Commit]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut by_commit: BTreeMap<&CommitId, Vec<Promotion>> = BTreeMap::new();
    let mut by_number: BTreeMap<u64, Vec<Promotion>> = BTreeMap::new();
    for told in told(branch, commits) {
        let message = &told.commit.message;
        let mut add = |what| entries.push(entry(told, what));
        if let Some(undone) = undone(message) {
            let of_commit = by_commit
                .iter()
                .find(|(id, _)| undone.is_commit(id.as_str()));
            let of_number = || by_number.get(&undone.pull_request?);
            let promotions = of_commit
                .map(|(_, promotions)| promotions)
                .or_else(of_number);
            promotions
                .into_iter()
                .flatten()
                .cloned()
                .map(What::Undone)
                .for_each(&mut add);
        }
        // A merge tells again what it brought.
        if told.commit.parents.len() > 1 {
            continue;
        }
        let promotions = Promotion::read(message);
        promotions
            .iter()
            .cloned()
            .map(What::Promoted)
            .for_each(&mut add);
        HoldEvent::read(message)
            .into_iter()
            .map(What::Decided)
            .for_each(&mut add);
        if promotions.is_empty() {
            continue;
        }
        if let Some(number) = told.pull_request() {
            by_number.insert(number, promotions.clone());
        }
        if let Some(merge) = told.merge {
            by_commit
                .entry(&merge.id)
                .or_default()
                .extend(promotions.iter().cloned());
        }
        by_commit.insert(&told.commit.id, promotions);
    }
    entries
}

fn entry(told: Told<'_>, what: What) -> Entry {
    let reason = match &what {
        What::Decided(event) => event.reason.clone(),
        What::Promoted(_) => reason(&told.commit.message),
        What::Undone(_) => None,
    };
    Entry {
        at: told.at(),
        by: told.merge.unwrap_or(told.commit).author.clone(),
        approvers: told.approvers(),
        reason,
        commit: told.commit.id.clone(),
        merge: told.merge.map(|merge| merge.id.clone()),
        pull_request: told.pull_request(),
        what,
    }
}
