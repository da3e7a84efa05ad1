//! From what stands under `tags` to a rule; what the rule refuses is put at its place in the file.

use super::problem::Faults;
use super::raw::Tags;
use super::shape::Placed;
use super::source::Span;
use crate::policy::select::TagRule;
use crate::policy::select::check::{RuleKey, RuleProblem};
use crate::policy::select::rule::RuleText;

/// Checks a rule; `place` is where its map is introduced.
pub(super) fn check(tags: &Tags, place: Span, faults: &mut Faults) -> Option<TagRule> {
    let Tags {
        semver,
        pattern,
        regex,
        follow,
        prerelease,
        newest_by,
        ignore,
        source: _,
    } = tags;
    let text = |text: &Option<Placed<String>>| text.as_ref().map(|text| text.value.clone());
    let words = |words: &[Placed<String>]| words.iter().map(|word| word.value.clone()).collect();
    let rule = TagRule::new(RuleText {
        semver: text(semver),
        pattern: text(pattern),
        regex: text(regex),
        follow: text(follow),
        prerelease: prerelease.as_ref().map(|prerelease| words(&prerelease.0)),
        newest_by: newest_by.as_ref().map(|newest| newest.0.value.clone()),
        ignore: ignore.as_deref().map(words).unwrap_or_default(),
    });
    let problems = match rule {
        Ok(rule) => return Some(rule),
        Err(problems) => problems,
    };
    for problem in problems {
        let span = span_of(&problem, tags).unwrap_or(place);
        faults.error(span, problem.reason.to_string());
    }
    None
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
