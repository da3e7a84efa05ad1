//! Checking: from the text of a rule to a rule, or to every problem of it.
//!
//! Where the text stood in a file, the caller knows: a problem names its key, and the place within the value.

use std::fmt;

use super::constraint::{Constraint, ConstraintError};
use super::prerelease::{Prerelease, PrereleaseError};
use super::rule::{Kind, Match, Of, Order, RuleText, TagRule};
use super::shape::{Part, Shape, ShapeError};
use super::{Fact, did_you_mean};
use crate::image::{ParseTagError, Tag};
use crate::policy::Glob;

/// The words under `newest-by`, in the order in which the default tries them.
const ORDERS: [(&str, Fact); 7] = [
    ("version", Fact::Version),
    ("number", Fact::Number),
    ("timestamp", Fact::Timestamp),
    ("commits", Fact::Commits),
    ("pushed", Fact::Pushed),
    ("created", Fact::Created),
    ("first-seen", Fact::FirstSeen),
];

/// The key of a rule that a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RuleKey {
    /// The rule as a whole.
    Tags,
    Semver,
    Pattern,
    Regex,
    Follow,
    /// The word of this number.
    Prerelease(usize),
    NewestBy,
    Source,
    /// The glob of this number.
    Ignore(usize),
}

/// What is wrong with a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleProblem {
    pub(crate) key: RuleKey,
    /// Bytes before the offending part, within the value.
    pub(crate) offset: usize,
    pub(crate) reason: RuleError,
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("a rule needs one of `semver`, `pattern`, `regex` or `follow`")]
    Empty,
    #[error("`{key}` cannot stand beside `{other}`")]
    Beside { key: RuleKey, other: RuleKey },
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Prerelease(#[from] PrereleaseError),
    #[error(transparent)]
    Follow(#[from] ParseTagError),
    #[error("`semver` needs the version in the pattern: write `{{version}}` where it stands")]
    NoVersion,
    #[error("`prerelease` needs versions: add `semver`, or `{{version}}` in the pattern")]
    NoPrerelease,
    #[error(
        "`{word}` is not an order{}: write one of {}",
        did_you_mean(word, known()),
        orders()
    )]
    Order { word: String },
    #[error(
        "`newest-by: {word}` needs `{part}` in the pattern, or the group of that name in the regex"
    )]
    NoPart { word: String, part: Part },
    #[error("`newest-by: commits` needs `source`: name the repository whose history orders")]
    NoSource,
    #[error(
        "`source` orders nothing here: it needs `{{sha}}` in the pattern, and `newest-by: commits` where something else would order"
    )]
    IdleSource,
    #[error("`{glob}` is not a glob: {reason}")]
    Glob { glob: String, reason: String },
}

fn known() -> impl Iterator<Item = &'static str> {
    ORDERS.iter().map(|(word, _)| *word)
}

fn orders() -> String {
    let names: Vec<String> = known().map(|word| format!("`{word}`")).collect();
    names.join(", ")
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "tags",
            Self::Semver => "semver",
            Self::Pattern => "pattern",
            Self::Regex => "regex",
            Self::Follow => "follow",
            Self::Prerelease(_) => "prerelease",
            Self::NewestBy => "newest-by",
            Self::Source => "source",
            Self::Ignore(_) => "ignore",
        })
    }
}

impl TagRule {
    /// Checks a rule; the error holds every problem, in the order of the keys.
    pub(crate) fn new(text: RuleText) -> Result<Self, Vec<RuleProblem>> {
        let mut check = Check::default();
        let kind = match &text.follow {
            Some(tag) => check.follow(tag, &text).map(Kind::Follow),
            None => check.matching(&text).map(Kind::Match),
        };
        let mut problems = check.problems;
        match kind {
            Some(kind) if problems.is_empty() => {
                let of = Of::Image;
                Ok(Self { text, kind, of })
            }
            _ => {
                problems.sort_by_key(|problem| (problem.key, problem.offset));
                Err(problems)
            }
        }
    }
}

/// Collects the problems of a rule while it is read.
#[derive(Default)]
struct Check {
    problems: Vec<RuleProblem>,
}

impl Check {
    fn refuse(&mut self, key: RuleKey, offset: usize, reason: impl Into<RuleError>) {
        let reason = reason.into();
        self.problems.push(RuleProblem {
            key,
            offset,
            reason,
        });
    }

    fn follow(&mut self, tag: &str, text: &RuleText) -> Option<Tag> {
        let RuleText {
            semver,
            pattern,
            regex,
            follow: _,
            prerelease,
            newest_by,
            source,
            ignore,
        } = text;
        for (present, key) in [
            (semver.is_some(), RuleKey::Semver),
            (pattern.is_some(), RuleKey::Pattern),
            (regex.is_some(), RuleKey::Regex),
            (prerelease.is_some(), RuleKey::Prerelease(0)),
            (newest_by.is_some(), RuleKey::NewestBy),
            (source.is_some(), RuleKey::Source),
            (!ignore.is_empty(), RuleKey::Ignore(0)),
        ] {
            if present {
                let other = RuleKey::Follow;
                self.refuse(key, 0, RuleError::Beside { key, other });
            }
        }
        let parsed = tag.parse();
        parsed
            .map_err(|error: ParseTagError| self.refuse(RuleKey::Follow, 0, error))
            .ok()
    }

    fn matching(&mut self, text: &RuleText) -> Option<Match> {
        let RuleText {
            semver,
            pattern,
            regex,
            follow: _,
            prerelease,
            newest_by,
            source: _,
            ignore,
        } = text;
        if semver.is_none() && pattern.is_none() && regex.is_none() {
            self.refuse(RuleKey::Tags, 0, RuleError::Empty);
        }
        let constraint = semver.as_deref().and_then(|semver| self.constraint(semver));
        let shape = self.shape(pattern.as_deref(), regex.as_deref());
        let prerelease = prerelease
            .as_deref()
            .and_then(|words| self.prerelease(words));
        let ignore: Vec<Glob> = ignore
            .iter()
            .enumerate()
            .filter_map(|(place, glob)| self.ignore(place, glob))
            .collect();
        let written = newest_by.as_deref().and_then(|word| self.order(word));
        // What the keys say together is judged only where each of them can be read.
        if !self.problems.is_empty() {
            return None;
        }
        let versions = semver.is_some() || shape.as_ref().is_some_and(Shape::spells_version);
        if semver.is_some() && pattern.is_some() && !shape.as_ref()?.spells_version() {
            self.refuse(RuleKey::Pattern, 0, RuleError::NoVersion);
        }
        if prerelease.is_some() && !versions {
            self.refuse(RuleKey::Prerelease(0), 0, RuleError::NoPrerelease);
        }
        let order = self.ordered(text, written, (shape.as_ref(), versions));
        Some(Match {
            constraint,
            shape,
            prerelease,
            ignore,
            order,
        })
    }

    /// What orders the candidates: what is written, or the first that the names give.
    fn ordered(
        &mut self,
        text: &RuleText,
        written: Option<Fact>,
        (shape, versions): (Option<&Shape>, bool),
    ) -> Order {
        let lacks = |part: Part| !shape.is_some_and(|shape| shape.has(part));
        let missing = |fact: Fact| match fact {
            Fact::Version => (!versions).then_some(Part::Version),
            Fact::Number => Some(Part::Number).filter(|part| lacks(*part)),
            Fact::Timestamp => Some(Part::Timestamp).filter(|part| lacks(*part)),
            Fact::Commits => Some(Part::Sha).filter(|part| lacks(*part)),
            Fact::Pushed | Fact::Created | Fact::FirstSeen => None,
        };
        let by_name = [Fact::Version, Fact::Number, Fact::Timestamp];
        let by_source = text.source.as_ref().map(|_| Fact::Commits);
        let mut by_default = by_name.into_iter().chain(by_source);
        let given = |fact: &Fact| missing(*fact).is_none();
        let fact = written.or_else(|| by_default.find(given));
        let source = text.source.is_some();
        if let (Some(fact), Some(word)) = (written, &text.newest_by)
            && let Some(part) = missing(fact)
        {
            let word = word.clone();
            self.refuse(RuleKey::NewestBy, 0, RuleError::NoPart { word, part });
        }
        if fact == Some(Fact::Commits) && !source {
            self.refuse(RuleKey::NewestBy, 0, RuleError::NoSource);
        }
        if fact != Some(Fact::Commits) && source {
            self.refuse(RuleKey::Source, 0, RuleError::IdleSource);
        }
        fact.map_or(Order::Times, Order::By)
    }

    fn constraint(&mut self, text: &str) -> Option<Constraint> {
        let parsed = Constraint::parse(text);
        parsed
            .map_err(|error| self.refuse(RuleKey::Semver, error.offset, error))
            .ok()
    }

    fn shape(&mut self, pattern: Option<&str>, regex: Option<&str>) -> Option<Shape> {
        if pattern.is_some() && regex.is_some() {
            let (key, other) = (RuleKey::Regex, RuleKey::Pattern);
            self.refuse(key, 0, RuleError::Beside { key, other });
        }
        let by_pattern = pattern.map(|text| (RuleKey::Pattern, Shape::of_pattern(text)));
        let by_regex = regex.map(|text| (RuleKey::Regex, Shape::of_regex(text)));
        let mut shape = None;
        for (key, compiled) in [by_pattern, by_regex].into_iter().flatten() {
            match compiled {
                Ok(compiled) => shape = Some(compiled),
                Err(problems) => problems
                    .into_iter()
                    .for_each(|problem| self.refuse(key, problem.offset, problem.reason)),
            }
        }
        shape
    }

    fn prerelease(&mut self, words: &[String]) -> Option<Prerelease> {
        let parsed = Prerelease::parse(words);
        parsed
            .map_err(|(place, error)| self.refuse(RuleKey::Prerelease(place), 0, error))
            .ok()
    }

    fn ignore(&mut self, place: usize, glob: &str) -> Option<Glob> {
        match Glob::of_names(glob) {
            Ok(glob) => Some(glob),
            Err(reason) => {
                let glob = glob.to_owned();
                self.refuse(RuleKey::Ignore(place), 0, RuleError::Glob { glob, reason });
                None
            }
        }
    }

    fn order(&mut self, word: &str) -> Option<Fact> {
        let order = ORDERS.into_iter().find(|(name, _)| *name == word);
        if order.is_none() {
            let word = word.to_owned();
            self.refuse(RuleKey::NewestBy, 0, RuleError::Order { word });
        }
        order.map(|(_, fact)| fact)
    }
}

#[cfg(test)]
mod tests {
    use super::{RuleText, TagRule};
    use crate::policy::SourceBranch;
    use crate::policy::select::rule::Needs;

    fn refused(text: RuleText) -> String {
        let lines: Vec<String> = TagRule::new(text)
            .unwrap_err()
            .into_iter()
            .map(|problem| format!("{} at {}: {}", problem.key, problem.offset, problem.reason))
            .collect();
        lines.join("\n")
    }

    fn pattern(text: &str) -> RuleText {
        RuleText {
            pattern: Some(text.to_owned()),
            ..RuleText::default()
        }
    }

    #[test]
    fn every_problem_of_a_rule_is_told_with_its_key() {
        insta::assert_snapshot!(refused(RuleText::default()), @"tags at 0: a rule needs one of `semver`, `pattern`, `regex` or `follow`");
        insta::assert_snapshot!(refused(RuleText {
            semver: Some(">=1 <".to_owned()),
            regex: Some("(".to_owned()),
            prerelease: Some(vec!["rc".to_owned(), "any".to_owned()]),
            newest_by: Some("commit".to_owned()),
            ignore: vec!["ok-*".to_owned(), "{a".to_owned()],
            ..pattern("{sha}{}")
        }), @"
        semver at 5: a version is missing here: write one such as `1.2.3`, `1.2` or `1.x`, or `*` for every version
        pattern at 5: `` is not a part of a tag: the parts are `{sha}`, `{number}`, `{timestamp}`, `{version}`, `{branch}`, `{any}`, `{major}`, `{minor}`, `{patch}`
        regex at 0: `regex` cannot stand beside `pattern`
        regex at 0: the regular expression cannot be read: unclosed group
        prerelease at 0: `any` stands alone: write `none`, `any`, or a list of labels such as `rc, beta`
        newest-by at 0: `commit` is not an order (did you mean `commits`?): write one of `version`, `number`, `timestamp`, `commits`, `pushed`, `created`, `first-seen`
        ignore at 0: `{a` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        ");
        insta::assert_snapshot!(refused(RuleText {
            follow: Some("a b".to_owned()),
            newest_by: Some("created".to_owned()),
            ..pattern("{sha}")
        }), @r#"
        pattern at 0: `pattern` cannot stand beside `follow`
        follow at 0: `a b` is not a tag: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`
        newest-by at 0: `newest-by` cannot stand beside `follow`
        "#);
    }

    #[test]
    fn keys_that_need_each_other_are_told_apart() {
        insta::assert_snapshot!(refused(RuleText {
            semver: Some("*".to_owned()),
            ..pattern("develop-{sha}")
        }), @"pattern at 0: `semver` needs the version in the pattern: write `{version}` where it stands");
        insta::assert_snapshot!(refused(RuleText {
            prerelease: Some(vec!["any".to_owned()]),
            newest_by: Some("number".to_owned()),
            ..pattern("develop-{sha}")
        }), @"
        prerelease at 0: `prerelease` needs versions: add `semver`, or `{version}` in the pattern
        newest-by at 0: `newest-by: number` needs `{number}` in the pattern, or the group of that name in the regex
        ");
    }

    #[test]
    fn a_source_orders_by_commits_and_nothing_else() {
        let source = || {
            Some(SourceBranch {
                repository: "code".parse().unwrap(),
                branch: "main".to_owned(),
            })
        };
        let by = |word: &str, text: &str| RuleText {
            newest_by: Some(word.to_owned()),
            ..pattern(text)
        };
        insta::assert_snapshot!(refused(by("commits", "main-{sha}")), @"newest-by at 0: `newest-by: commits` needs `source`: name the repository whose history orders");
        insta::assert_snapshot!(refused(by("commits", "main-{number}")), @"
        newest-by at 0: `newest-by: commits` needs `{sha}` in the pattern, or the group of that name in the regex
        newest-by at 0: `newest-by: commits` needs `source`: name the repository whose history orders
        ");
        insta::assert_snapshot!(refused(RuleText { source: source(), ..pattern("{number}-{sha}") }), @"source at 0: `source` orders nothing here: it needs `{sha}` in the pattern, and `newest-by: commits` where something else would order");
        insta::assert_snapshot!(refused(RuleText { source: source(), ..by("pushed", "{sha}") }), @"source at 0: `source` orders nothing here: it needs `{sha}` in the pattern, and `newest-by: commits` where something else would order");
        insta::assert_snapshot!(refused(RuleText { source: source(), follow: Some("latest".to_owned()), ..RuleText::default() }), @"source at 0: `source` cannot stand beside `follow`");
        for text in [pattern("main-{sha}"), by("commits", "{number}-{sha}")] {
            let rule = TagRule::new(RuleText {
                source: source(),
                ..text
            })
            .unwrap();
            assert_eq!(rule.needs(None), Needs::Commits);
        }
    }
}
