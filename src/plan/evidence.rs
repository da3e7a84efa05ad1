//! What a reviewer is told about a version: where it runs, since when, what lies between it and the one before, and what the change
//! renders to.
//!
//! Invariant: nothing here decides. What could not be read is left out of the pull request; what was not asked yet is asked first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::request::hidden::checksum_of;
use super::request::source::{Between, Labelled, between};
use super::request::{Evidence, RunsIn};
use super::{Decided, Decision, PlannedCommit, Scope};
use crate::image::{Digest, Repository, Tag};
use crate::ledger::{Ledger, Moved, Promotion};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::{ImageName, RepositoryName};
use crate::world::{
    CommitRange, Description, Fact, ImageFacts, Question, RangeCommits, Rendered, Rendering, World,
};

/// What is known about the versions of one promotion, or what has to be asked first.
pub(super) fn evidence(
    promotion: &Promotion,
    (decisions, ledger): (&[Decided], &Ledger),
    (scope, world): (&Scope<'_>, &World),
    questions: &mut BTreeSet<Question>,
) -> BTreeMap<ImageName, Evidence> {
    let images = promotion.images.iter();
    let evidence = images.filter_map(|(image, moved)| {
        let view = View {
            promotion,
            image,
            moved,
            decisions,
            ledger,
            scope,
            world,
            facts: world.images.get(&moved.repository)?,
        };
        Some((image.clone(), view.evidence(questions)?))
    });
    evidence.collect()
}

/// What `commit` renders to on its base; asked where nobody did yet, and `None` where nobody is to.
pub(super) fn rendered(
    (commit, (repository, base)): (&PlannedCommit, (&RepositoryName, &CommitId)),
    (scope, world): (&Scope<'_>, &World),
    questions: &mut BTreeSet<Question>,
) -> Option<Fact<Arc<Rendered>>> {
    if !scope.renders {
        return None;
    }
    let files = commit.files.iter();
    let files: BTreeMap<RepoPath, Arc<str>> = files
        .map(|(path, file)| (path.clone(), file.after.clone()))
        .collect();
    let texts = files.iter();
    let texts = texts.map(|(path, text)| format!("{path} {} {text}", text.len()));
    let rendering = Rendering {
        repository: repository.clone(),
        base: base.clone(),
        changed: checksum_of(&texts.collect::<String>()),
    };
    let known = world.rendered.get(&rendering).cloned();
    if known.is_none() {
        questions.insert(Question::Rendered { rendering, files });
    }
    known
}

/// One image of a promotion.
struct View<'a> {
    promotion: &'a Promotion,
    image: &'a ImageName,
    moved: &'a Moved,
    decisions: &'a [Decided],
    ledger: &'a Ledger,
    scope: &'a Scope<'a>,
    world: &'a World,
    facts: &'a ImageFacts,
}

impl View<'_> {
    fn evidence(&self, questions: &mut BTreeSet<Question>) -> Option<Evidence> {
        let own = self.of_image().find(|decided| self.is_here(decided))?;
        let Decision::Promote(promote) = &own.decision else {
            return None;
        };
        let digest = promote.to.digest.clone();
        let described = digest.as_ref().and_then(|to| self.described(to, questions));
        Some(Evidence {
            ground: promote.ground,
            dated: promote.dated,
            platforms: described
                .map(|described| described.platforms.clone())
                .unwrap_or_default(),
            runs_in: self.runs_in(),
            between: described.and_then(|described| self.between(described, questions)),
            also: promote.also.clone(),
            digest,
        })
    }

    /// The decisions about the image, in every environment of the policy.
    fn of_image(&self) -> impl Iterator<Item = &Decided> {
        let (policy, image) = (&self.promotion.policy, self.image);
        let decisions = self.decisions.iter();
        decisions.filter(move |decided| decided.policy == *policy && decided.image == *image)
    }

    fn is_here(&self, decided: &Decided) -> bool {
        decided.environment == self.promotion.environment
    }

    fn runs_in(&self) -> Vec<RunsIn> {
        let tag = &self.moved.tag;
        let has_it = |decided: &&Decided| {
            !self.is_here(decided) && decided.current.as_deref() == Some(tag.as_str())
        };
        let runs_in = self.of_image().filter(has_it).map(|decided| {
            let policy = &self.promotion.policy;
            let recorded = self.ledger.latest(policy, &decided.environment, self.image);
            let brought = recorded.filter(|recorded| recorded.moved.tag == *tag);
            RunsIn {
                environment: decided.environment.clone(),
                since: brought.map(|recorded| (recorded.at, recorded.commit.clone())),
                health: decided.health.clone(),
            }
        });
        runs_in.collect()
    }

    fn between(&self, to: &Description, questions: &mut BTreeSet<Question>) -> Option<Between> {
        let from = self.replaced(questions);
        let from = from.and_then(|(version, digest)| {
            let described = self.described(&digest, questions)?;
            Some((version, described))
        });
        let from = from.as_ref().map(|(version, described)| Labelled {
            version,
            labels: &described.labels,
        });
        let to = Labelled {
            version: self.moved.tag.as_str(),
            labels: &to.labels,
        };
        let origins = self.scope.origins;
        let mut between = between(from, to, origins)?;
        let range = origins.range(&between);
        between.commits = range.and_then(|range| self.commits(range, questions));
        Some(between)
    }

    /// The commits of `range`; asked where nobody did yet.
    fn commits(
        &self,
        range: CommitRange,
        questions: &mut BTreeSet<Question>,
    ) -> Option<Arc<RangeCommits>> {
        match self.world.ranges.get(&range) {
            Some(Fact::Known(commits)) => Some(commits.clone()),
            Some(Fact::Unknown { .. }) => None,
            None => {
                questions.insert(Question::Range(range));
                None
            }
        }
    }

    /// What the promotion replaces, and its digest where that is known.
    fn replaced(&self, questions: &mut BTreeSet<Question>) -> Option<(String, Digest)> {
        let replaced = self.moved.replaced.clone()?;
        if let Ok(digest) = replaced.parse() {
            return Some((replaced, digest));
        }
        let Promotion {
            policy,
            environment,
            images: _,
            gates: _,
        } = self.promotion;
        let recorded = self.ledger.latest(policy, environment, self.image);
        let written = recorded.filter(|recorded| recorded.moved.tag.as_str() == replaced);
        if let Some(digest) = written.and_then(|recorded| recorded.moved.digest.clone()) {
            return Some((replaced, digest));
        }
        let tag: Tag = replaced.parse().ok()?;
        let details = self.facts.tags.get(&tag);
        match details.and_then(|details| details.digest.as_ref()) {
            Some(Fact::Known(digest)) => Some((replaced, digest.clone())),
            Some(Fact::Unknown { .. }) => None,
            None => {
                if matches!(&self.facts.listing, Fact::Known(listing) if listing.tags.contains(&tag))
                {
                    let repository: Repository = self.moved.repository.clone();
                    questions.insert(Question::Digest { repository, tag });
                }
                None
            }
        }
    }

    /// What `digest` says of itself; asked where nobody did yet.
    fn described(
        &self,
        digest: &Digest,
        questions: &mut BTreeSet<Question>,
    ) -> Option<&Description> {
        match self.facts.described.get(digest) {
            Some(Fact::Known(described)) => Some(described),
            Some(Fact::Unknown { .. }) => None,
            None => {
                questions.insert(Question::Description {
                    repository: self.moved.repository.clone(),
                    digest: digest.clone(),
                });
                None
            }
        }
    }
}
