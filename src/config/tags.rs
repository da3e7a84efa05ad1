//! From what stands under `tags` to a rule; what the rule refuses is put at its place in the file.

use serde_json::Value as Json;

use super::problem::Faults;
use super::raw::Tags;
use super::shape::{Placed, Shape};
use super::source::Span;
use super::tree::Node;
use crate::policy::select::TagRule;
use crate::policy::select::check::{RuleError, RuleKey, RuleProblem};
use crate::policy::select::rule::RuleText;

impl Shape for TagRule {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let tags = Tags::read(node, faults)?;
        // What is missing beside something wrong may only be misspelled.
        let whole = !faults.touch(node.span);
        let problems = match Self::new(text(&tags)) {
            Ok(rule) => return Some(rule),
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
        ignore: ignore.as_deref().map(words).unwrap_or_default(),
    }
}

/// Whether an error would go away if a key that could not be read were there.
fn speaks_of_several_keys(error: &RuleError) -> bool {
    match error {
        RuleError::Empty
        | RuleError::NoVersion
        | RuleError::NoPrerelease
        | RuleError::NoPart { .. } => true,
        RuleError::Beside { .. }
        | RuleError::Constraint(_)
        | RuleError::Shape(_)
        | RuleError::Prerelease(_)
        | RuleError::Follow(_)
        | RuleError::Order { .. }
        | RuleError::Later { .. }
        | RuleError::Glob { .. } => false,
    }
}

/// Where the text that a problem is about stands, from the offending character on.
fn span_of(problem: &RuleProblem, tags: &Tags) -> Option<Span> {
    let placed = match problem.key {
        RuleKey::Tags => None,
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
