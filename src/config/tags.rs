//! From what stands under `tags` to a rule; what the rule refuses is put at its place in the file.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::check_settings::BRANCH;
use super::problem::Faults;
use super::raw::{SourceEntry, Tags};
use super::shape::{Placed, Shape};
use super::source::Span;
use super::tree::{Node, Value};
use crate::policy::select::TagRule;
use crate::policy::select::check::{RuleError, RuleKey, RuleProblem};
use crate::policy::select::rule::RuleText;
use crate::policy::{RepositoryName, SourceBranch};

/// A rule as a policy has it, whose source has not been looked up in the settings.
#[derive(Clone, Debug)]
pub(super) struct WrittenRule {
    rule: TagRule,
    pub(super) source: Option<SourceEntry>,
}

impl WrittenRule {
    /// The rule; `branches` holds the branch of each repository, where the settings can be read.
    pub(super) fn rule(&self, branches: Option<&BTreeMap<RepositoryName, String>>) -> TagRule {
        let rule = self.rule.clone();
        match &self.source {
            Some(source) => rule.of_source(source_branch(source, branches)),
            None => rule,
        }
    }
}

/// A source, by its name or with its branch.
#[derive(Clone, Debug)]
pub(super) struct Source(SourceEntry);

impl Shape for Source {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return SourceEntry::read(node, faults).map(Self);
        }
        let branch = None;
        Placed::read(node, faults).map(|repository| Self(SourceEntry { repository, branch }))
    }

    fn schema() -> Option<Json> {
        let short = <Placed<RepositoryName> as Shape>::schema()?;
        Some(json!({ "anyOf": [short, SourceEntry::schema()?] }))
    }
}

impl Shape for WrittenRule {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let tags = Tags::read(node, faults)?;
        // What is missing beside something wrong may only be misspelled.
        let whole = !faults.touch(node.span);
        let problems = match TagRule::new(text(&tags)) {
            Ok(rule) => {
                let source = tags.source.map(|Source(source)| source);
                return Some(Self { rule, source });
            }
            Err(problems) => problems,
        };
        for problem in problems {
            if whole || !speaks_of_several_keys(&problem.reason) {
                let span = span_of(&problem, &tags).unwrap_or(node.owner);
                faults.error(span, problem.reason.to_string());
            }
        }
        None
    }

    fn schema() -> Option<Json> {
        Tags::schema()
    }
}

/// The rule as it is written, without its places.
fn text(tags: &Tags) -> RuleText {
    let Tags {
        semver,
        pattern,
        regex,
        follow,
        prerelease,
        newest_by,
        source,
        ignore,
    } = tags;
    let text = |text: &Option<Placed<String>>| text.as_ref().map(|text| text.value.clone());
    let words = |words: &[Placed<String>]| words.iter().map(|word| word.value.clone()).collect();
    RuleText {
        semver: text(semver),
        pattern: text(pattern),
        regex: text(regex),
        follow: text(follow),
        prerelease: prerelease.as_ref().map(|prerelease| words(&prerelease.0)),
        newest_by: newest_by.as_ref().map(|newest| newest.0.value.clone()),
        source: source.as_ref().map(|source| source_branch(&source.0, None)),
        ignore: ignore.as_deref().map(words).unwrap_or_default(),
    }
}

/// The branch that a source means: the repository's own where none is named.
fn source_branch(
    SourceEntry { repository, branch }: &SourceEntry,
    branches: Option<&BTreeMap<RepositoryName, String>>,
) -> SourceBranch {
    let named = branch.as_ref().map(|branch| &branch.value.0);
    let own = || branches?.get(&repository.value);
    SourceBranch {
        repository: repository.value.clone(),
        branch: named
            .or_else(own)
            .map_or(BRANCH, |branch| branch)
            .to_owned(),
    }
}

/// Whether an error would go away if a key that could not be read were there.
fn speaks_of_several_keys(error: &RuleError) -> bool {
    match error {
        RuleError::Empty
        | RuleError::NoVersion
        | RuleError::NoPrerelease
        | RuleError::NoPart { .. }
        | RuleError::NoSource
        | RuleError::IdleSource => true,
        RuleError::Beside { .. }
        | RuleError::Constraint(_)
        | RuleError::Shape(_)
        | RuleError::Prerelease(_)
        | RuleError::Follow(_)
        | RuleError::Order { .. }
        | RuleError::Glob { .. } => false,
    }
}

/// Where the text that a problem is about stands, from the offending character on.
fn span_of(problem: &RuleProblem, tags: &Tags) -> Option<Span> {
    if problem.key == RuleKey::Source {
        return Some(tags.source.as_ref()?.0.repository.span);
    }
    let placed = match problem.key {
        RuleKey::Tags | RuleKey::Source => None,
        RuleKey::Semver => tags.semver.as_ref(),
        RuleKey::Pattern => tags.pattern.as_ref(),
        RuleKey::Regex => tags.regex.as_ref(),
        RuleKey::Follow => tags.follow.as_ref(),
        RuleKey::Prerelease(index) => tags.prerelease.as_ref()?.0.get(index),
        RuleKey::NewestBy => tags.newest_by.as_ref().map(|newest| &newest.0),
        RuleKey::Ignore(index) => tags.ignore.as_ref()?.get(index),
    }?;
    let length = placed.value.len();
    match problem.offset {
        0 => Some(placed.span),
        offset => Some(placed.part(Some(offset.min(length)..length))),
    }
}
