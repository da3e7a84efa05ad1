//! What is proposed together, and what stands of it: the branch, and the pull requests that it had.
//!
//! Invariant: what could not be read is a reason to hold, and never taken for nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use super::request::Dialect;
use super::request::hidden::{self, Promotions};
use super::{Decided, HoldReason, Scope};
use crate::ledger::{Key, Moved, Promotion};
use crate::manifest::CommitId;
use crate::policy::{Deliver, Environment, EnvironmentName, Policy, PullRequests};
use crate::world::{BranchFacts, BranchName, Fact, Proposal, PullRequest, RequestState, World};

/// What is proposed together, as indices of decisions.
pub(super) struct Bundle<'a> {
    pub(super) base: BranchName,
    pub(super) environment: &'a EnvironmentName,
    pub(super) options: &'a PullRequests,
    /// The decisions of each policy in the environment.
    pub(super) members: Vec<(&'a Policy, &'a Environment, Range<usize>)>,
}

/// What stands of a proposal.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) base: &'a BranchFacts,
    pub(super) base_head: &'a CommitId,
    pub(super) proposal: Option<&'a Proposal>,
    /// How its forge writes; `None` where there is none.
    pub(super) dialect: Option<Dialect>,
    pub(super) open: Option<&'a PullRequest>,
    /// All that the branch had, the first that was opened first.
    pub(super) requests: &'a [PullRequest],
}

/// What is proposed together, by its branch.
pub(super) fn bundles<'a>(
    scope: &Scope<'a>,
    decisions: &[Decided],
) -> BTreeMap<BranchName, Bundle<'a>> {
    let mut bundles: BTreeMap<BranchName, Bundle<'a>> = BTreeMap::new();
    let policies: BTreeMap<_, _> = scope.policies.iter().map(|p| (&p.name, p)).collect();
    let mut start = 0;
    let same =
        |a: &Decided, b: &Decided| (&a.policy, &a.environment) == (&b.policy, &b.environment);
    for group in decisions.chunk_by(same) {
        let range = start..start + group.len();
        start = range.end;
        let policy = policies[&group[0].policy];
        let mut environments = policy.environments.iter();
        let environment = environments.find(|e| e.name == group[0].environment);
        let environment = environment.expect("a decision is about an environment of its policy");
        let Deliver::PullRequest(options) = &environment.deliver else {
            continue;
        };
        let base = scope.branch(policy, environment);
        let head = BranchName {
            repository: policy.repository.clone(),
            branch: options.head(&policy.name, &environment.name),
        };
        let bundle = bundles.entry(head).or_insert_with(|| Bundle {
            base,
            environment: &environment.name,
            options,
            members: Vec::new(),
        });
        bundle.members.push((policy, environment, range));
    }
    bundles
}

impl<'a> Standing<'a> {
    pub(super) fn read(
        scope: &Scope<'_>,
        world: &'a World,
        (head, base): (&BranchName, &BranchName),
    ) -> Result<Self, HoldReason> {
        let goes_to = &base.branch;
        let unread = || HoldReason::ManifestsUnknown {
            why: "it was not read yet".to_owned(),
        };
        let base = match world.branches.get(base).ok_or_else(unread)? {
            Fact::Known(facts) => facts,
            Fact::Unknown { why } => return Err(HoldReason::ManifestsUnknown { why: why.clone() }),
        };
        let base_head = base.head.as_ref().ok_or_else(unread)?;
        let proposal = match world.proposals.get(head) {
            None => None,
            Some(Fact::Known(proposal)) => Some(proposal.as_ref()),
            Some(Fact::Unknown { why }) => {
                return Err(HoldReason::ManifestsUnknown { why: why.clone() });
            }
        };
        let dialect = scope.forges.get(&head.repository).copied();
        let requests: &[PullRequest] = match (dialect, world.requests.get(&head.repository)) {
            (None, _) => &[],
            (Some(_), Some(Fact::Known(requests))) => requests
                .get(&head.branch)
                .map(Vec::as_slice)
                .unwrap_or_default(),
            (Some(_), Some(Fact::Unknown { why })) => {
                return Err(HoldReason::ForgeUnknown { why: why.clone() });
            }
            (Some(_), None) => {
                let why = "its pull requests were not listed yet".to_owned();
                return Err(HoldReason::ForgeUnknown { why });
            }
        };
        let is_open = |request: &&PullRequest| request.state == RequestState::Open;
        let open = || requests.iter().rev().filter(is_open);
        let here = open().find(|request| request.base == *goes_to);
        // One that a person opened from the branch to elsewhere is not ours.
        let elsewhere = || open().find(|request| hidden::read(&request.body).is_some());
        Ok(Self {
            base,
            base_head,
            proposal,
            dialect,
            open: here.or_else(elsewhere),
            requests,
        })
    }

    /// Whether a pull request was merged when its branch stood where it stands now.
    pub(super) fn is_merged(self, tip: &Proposal) -> bool {
        self.requests.iter().any(|request| match request.state {
            RequestState::Merged { .. } => request.head.as_ref() == Some(&tip.tip),
            RequestState::Open | RequestState::Closed { .. } => false,
        })
    }

    /// The promotion of each image to `base` that was merged last.
    pub(super) fn merged(self, base: &BranchName) -> BTreeMap<Key, Brought> {
        let mut merged = BTreeMap::new();
        for request in self.requests {
            let RequestState::Merged { at, .. } = request.state else {
                continue;
            };
            let hidden = hidden::read(&request.body).filter(|_| request.base == base.branch);
            let Some(Promotions::Here(promotions)) = hidden.map(|hidden| hidden.promotions) else {
                continue;
            };
            for promotion in promotions {
                let Promotion {
                    policy,
                    environment,
                    images,
                    gates: _,
                } = promotion;
                for (image, moved) in images {
                    let key = (policy.clone(), environment.clone(), image);
                    let number = request.number;
                    merged.insert(key, Brought { moved, at, number });
                }
            }
        }
        merged
    }
}

/// What a merged pull request brought.
pub(super) struct Brought {
    pub(super) moved: Moved,
    pub(super) at: Timestamp,
    pub(super) number: u64,
}
