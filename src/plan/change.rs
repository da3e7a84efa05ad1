//! Groups the promotions of a plan into commits, one per policy and environment, and commits into one change
//! per branch.
//!
//! Invariant: each commit's files build on those of the commits before it, so that policies may share a file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::standing::on_one_line;
use super::{Decided, Decision, Ground, HoldReason, Promote, Scope, SharedPlace, describe};
use crate::ledger::{Moved, Promotion};
use crate::manifest::{self, CommitId, RepoPath};
use crate::policy::{Deliver, Environment, Policy};
use crate::world::{BranchFacts, BranchName, Fact, File, World};

/// Commits for one branch, to be pushed at once if its head is still `base`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) branch: BranchName,
    pub(crate) base: CommitId,
    /// In the order in which they follow each other; never empty.
    pub(crate) commits: Vec<PlannedCommit>,
}

/// The commit of one policy's promotion in one environment, or of those of several policies in one proposal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedCommit {
    /// Never empty.
    pub(crate) promotions: Vec<Promotion>,
    pub(crate) message: String,
    pub(crate) files: BTreeMap<RepoPath, FileChange>,
}

/// A file before and after a commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileChange {
    pub(crate) before: Arc<str>,
    pub(crate) after: Arc<str>,
}

/// Texts of one branch as the commits planned so far leave them.
pub(super) type Overlay = BTreeMap<RepoPath, Arc<str>>;

/// What one policy's promotion in one environment changes.
pub(super) struct Draft {
    pub(super) promotion: Promotion,
    /// The places that change with it by an alias.
    pub(super) shared: BTreeSet<SharedPlace>,
    pub(super) files: BTreeMap<RepoPath, FileChange>,
}

impl Draft {
    /// Leaves what it writes in `overlay`.
    pub(super) fn lay(&self, overlay: &mut Overlay) {
        let texts = self.files.iter();
        overlay.extend(texts.map(|(path, file)| (path.clone(), file.after.clone())));
    }
}

/// Makes the changes that carry out the promotions among `decisions`. A promotion that cannot be written
/// becomes a hold, with all that would share its commit.
pub(super) fn changes(scope: &Scope<'_>, world: &World, decisions: &mut [Decided]) -> Vec<Change> {
    let mut changes: BTreeMap<BranchName, (Change, Overlay)> = BTreeMap::new();
    let policies: BTreeMap<_, _> = scope
        .policies
        .iter()
        .map(|policy| (&policy.name, policy))
        .collect();
    let same_commit =
        |a: &Decided, b: &Decided| (&a.policy, &a.environment) == (&b.policy, &b.environment);
    for group in decisions.chunk_by_mut(same_commit) {
        if !group
            .iter()
            .any(|decided| matches!(decided.decision, Decision::Promote(_)))
        {
            continue;
        }
        let policy = policies[&group[0].policy];
        let of_group = |environment: &&Environment| environment.name == group[0].environment;
        let environment = policy.environments.iter().find(of_group);
        let environment = environment.expect("a decision is about an environment of its policy");
        let branch = scope.branch(policy, environment);
        let Some(Fact::Known(facts)) = world.branches.get(&branch) else {
            continue;
        };
        let Some(base) = facts.head.clone() else {
            continue;
        };
        if matches!(environment.deliver, Deliver::PullRequest(_)) {
            continue;
        }
        let (change, overlay) = changes.entry(branch.clone()).or_insert_with(|| {
            (
                Change {
                    branch,
                    base,
                    commits: Vec::new(),
                },
                Overlay::new(),
            )
        });
        match draft((policy, environment), group, (facts, overlay)) {
            Ok(draft) => {
                draft.lay(overlay);
                change.commits.push(commit(scope, vec![draft]));
            }
            Err(why) => hold_promotions(group, &HoldReason::SiteRefused { why }),
        }
    }
    changes
        .into_values()
        .map(|(change, _)| change)
        .filter(|change| !change.commits.is_empty())
        .collect()
}

/// The commit of `drafts`, each of which builds on the one before.
pub(super) fn commit(scope: &Scope<'_>, drafts: Vec<Draft>) -> PlannedCommit {
    let mut promotions = Vec::new();
    let mut shared = BTreeSet::new();
    let mut files: BTreeMap<RepoPath, FileChange> = BTreeMap::new();
    for draft in drafts {
        promotions.push(draft.promotion);
        shared.extend(draft.shared);
        for (path, file) in draft.files {
            match files.entry(path) {
                Entry::Vacant(first) => drop(first.insert(file)),
                Entry::Occupied(mut standing) => standing.get_mut().after = file.after,
            }
        }
    }
    let message = describe::message(scope.subject, &promotions, &shared);
    PlannedCommit {
        promotions,
        message,
        files,
    }
}

/// Writes the promotions among the decisions of one environment.
pub(super) fn draft(
    (policy, environment): (&Policy, &Environment),
    decisions: &[Decided],
    (facts, overlay): (&BranchFacts, &Overlay),
) -> Result<Draft, String> {
    let mut files: BTreeMap<RepoPath, FileChange> = BTreeMap::new();
    let mut images = BTreeMap::new();
    let mut gates = Vec::new();
    let mut shared = BTreeSet::new();
    for decided in decisions {
        let Decision::Promote(Promote {
            to,
            dated: _,
            from,
            sites,
            also,
            ground,
            findings,
            moment: _,
        }) = &decided.decision
        else {
            continue;
        };
        for located in sites {
            let file = files.entry(located.file.clone()).or_insert_with(|| {
                let before = standing_text(&located.file, facts, overlay);
                FileChange {
                    after: before.clone(),
                    before,
                }
            });
            let version = (to, environment.write_of(&decided.image));
            let place = (&located.file, &*file.after);
            let after = manifest::write(&located.site, place, &decided.repository, version);
            file.after = after
                .map_err(|error| on_one_line(&error.to_string()))?
                .into();
        }
        let moved = Moved {
            repository: decided.repository.clone(),
            tag: to.tag.clone(),
            digest: to.digest.clone(),
            replaced: from.clone(),
            rejects: *ground == Ground::Degraded,
        };
        let proofs = findings.iter();
        gates.extend(
            proofs.map(|finding| format!("{} {}: {}", decided.image, finding.gate, finding.why)),
        );
        images.insert(decided.image.clone(), moved);
        shared.extend(also.iter().cloned());
    }
    files.retain(|_, file| file.before != file.after);
    if files.is_empty() {
        return Err("writing the version would change no byte".to_owned());
    }
    let promotion = Promotion {
        policy: policy.name.clone(),
        environment: environment.name.clone(),
        images,
        gates,
    };
    Ok(Draft {
        promotion,
        shared,
        files,
    })
}

fn standing_text(path: &RepoPath, facts: &BranchFacts, overlay: &Overlay) -> Arc<str> {
    if let Some(text) = overlay.get(path) {
        return text.clone();
    }
    match facts.files.get(path) {
        Some(File::Text(text)) => text.clone(),
        _ => unreachable!("a site was located in `{path}`, so it is text"),
    }
}

/// Makes the promotions among `decisions` holds.
pub(super) fn hold_promotions(decisions: &mut [Decided], reason: &HoldReason) {
    for decided in decisions {
        if matches!(decided.decision, Decision::Promote(_)) {
            decided.next = decided.next.into_iter().chain(reason.until()).min();
            decided.decision = Decision::Hold(reason.clone());
        }
    }
}
