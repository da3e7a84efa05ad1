//! Groups the promotions of a plan into commits, one per policy and environment, and commits into one change
//! per branch.
//!
//! Invariant: each commit's files build on those of the commits before it, so that policies may share a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::standing::on_one_line;
use super::{Decided, Decision, HoldReason, Promote, Scope, describe};
use crate::ledger::{Moved, Promotion};
use crate::manifest::{self, CommitId, RepoPath};
use crate::policy::{Environment, Policy};
use crate::world::{BranchFacts, BranchName, Fact, File, World};

/// Commits for one branch, to be pushed at once if its head is still `base`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) branch: BranchName,
    pub(crate) base: CommitId,
    /// In the order in which they follow each other; never empty.
    pub(crate) commits: Vec<PlannedCommit>,
}

/// The commit of one policy's promotion in one environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedCommit {
    pub(crate) promotion: Promotion,
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
type Overlay = BTreeMap<RepoPath, Arc<str>>;

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
        match commit(scope, (policy, environment), group, (facts, overlay)) {
            Ok(commit) => {
                let texts = commit
                    .files
                    .iter()
                    .map(|(path, file)| (path.clone(), file.after.clone()));
                overlay.extend(texts);
                change.commits.push(commit);
            }
            Err(why) => hold_promotions(group, &why),
        }
    }
    changes
        .into_values()
        .map(|(change, _)| change)
        .filter(|change| !change.commits.is_empty())
        .collect()
}

/// Makes the commit for the promotions among the decisions of one environment.
fn commit(
    scope: &Scope<'_>,
    (policy, environment): (&Policy, &Environment),
    decisions: &[Decided],
    (facts, overlay): (&BranchFacts, &Overlay),
) -> Result<PlannedCommit, String> {
    let mut files: BTreeMap<RepoPath, FileChange> = BTreeMap::new();
    let mut images = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for decided in decisions {
        let Decision::Promote(Promote {
            to,
            dated: _,
            from,
            sites,
            also,
            ground: _,
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
        };
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
    };
    let message = describe::message(scope.subject, &promotion, &shared);
    Ok(PlannedCommit {
        promotion,
        message,
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

fn hold_promotions(decisions: &mut [Decided], why: &str) {
    for decided in decisions {
        if matches!(decided.decision, Decision::Promote(_)) {
            decided.decision = Decision::Hold(HoldReason::SiteRefused {
                why: why.to_owned(),
            });
        }
    }
}
