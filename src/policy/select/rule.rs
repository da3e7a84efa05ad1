//! Rules: what a policy says under `tags`, checked, and what it makes of one tag.
//!
//! Not here: which candidate is chosen (`choose`). Where the text stood in a file, the caller knows.
//! Invariant: a rule that exists can be applied; nothing about its text fails later.

use std::fmt;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};

use super::constraint::{Admission, Constraint, ConstraintError};
use super::prerelease::{Prerelease, PrereleaseError, label_of};
use super::shape::{Part, Reading, Shape, ShapeError};
use super::{Exclusion, Fact};
use crate::image::version::{ParseVersionError, Version};
use crate::image::{ParseTagError, Tag};

/// The words under `newest-by`, in the order in which the default tries them.
const ORDERS: [(&str, Option<Order>); 7] = [
    ("version", Some(Order::By(Fact::Version))),
    ("number", Some(Order::By(Fact::Number))),
    ("timestamp", Some(Order::By(Fact::Timestamp))),
    ("commits", None),
    ("pushed", None),
    ("created", Some(Order::By(Fact::Created))),
    ("first-seen", Some(Order::By(Fact::FirstSeen))),
];

/// A rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleText {
    pub(crate) semver: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) regex: Option<String>,
    pub(crate) follow: Option<String>,
    /// `none` or `any` alone, or labels. Left out is not `none`: then a constraint may ask by naming a pre-release.
    pub(crate) prerelease: Option<Vec<String>>,
    pub(crate) newest_by: Option<String>,
    pub(crate) ignore: Vec<String>,
}

/// Which tags are candidates in an environment, and how they are ordered.
#[derive(Clone, Debug)]
pub(crate) struct TagRule {
    text: RuleText,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Follow(Tag),
    Match(Match),
}

#[derive(Clone, Debug)]
struct Match {
    constraint: Option<Constraint>,
    shape: Option<Shape>,
    prerelease: Option<Prerelease>,
    ignore: Vec<Ignore>,
    order: Order,
}

#[derive(Clone, Debug)]
struct Ignore {
    glob: Arc<str>,
    matcher: GlobMatcher,
}

/// What orders the candidates of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    By(Fact),
    /// The creation time, or the first sight where no image says when it was made.
    Times,
    /// One tag is followed: there is nothing to order.
    Follow,
}

/// What an observer must find out about the candidates beyond their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Names,
    Created,
    FirstSeen,
    /// Both: the first sight counts where no image says when it was made.
    CreatedAndFirstSeen,
}

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
    #[error("`{word}` is not an order{}: write one of {}", nearest(word), orders())]
    Order { word: String },
    #[error("`newest-by: {word}` is not available yet: write one of {}", orders())]
    Later { word: String },
    #[error("`newest-by: {word}` needs `{{{word}}}` in the pattern")]
    NoPart { word: String },
    #[error("`{glob}` is not a glob: {reason}")]
    Glob { glob: String, reason: String },
}

fn orders() -> String {
    let available = ORDERS.iter().filter(|(_, order)| order.is_some());
    let names: Vec<String> = available.map(|(word, _)| format!("`{word}`")).collect();
    names.join(", ")
}

/// A question with the nearest order, where one is near.
fn nearest(word: &str) -> String {
    let similarity = |name: &str| strsim::jaro_winkler(name, word);
    let best = ORDERS
        .iter()
        .map(|(name, _)| *name)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .filter(|name| similarity(name) > 0.7);
    best.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
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
            Self::Ignore(_) => "ignore",
        })
    }
}

/// Rules are equal when they are written alike: everything else follows from the text.
impl PartialEq for TagRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
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
            Some(kind) if problems.is_empty() => Ok(Self { text, kind }),
            _ => {
                problems.sort_by_key(|problem| (problem.key, problem.offset));
                Err(problems)
            }
        }
    }

    /// The rule as it is written.
    pub(crate) fn text(&self) -> &RuleText {
        &self.text
    }

    /// The one tag that is followed, where the rule follows one.
    pub(crate) fn followed(&self) -> Option<&Tag> {
        match &self.kind {
            Kind::Follow(tag) => Some(tag),
            Kind::Match(_) => None,
        }
    }

    /// What orders this rule's candidates, beyond their names.
    pub(crate) fn needs(&self) -> Needs {
        match self.order() {
            Order::By(Fact::Created) => Needs::Created,
            Order::By(Fact::FirstSeen) => Needs::FirstSeen,
            Order::Times => Needs::CreatedAndFirstSeen,
            Order::By(Fact::Version | Fact::Number | Fact::Timestamp) | Order::Follow => {
                Needs::Names
            }
        }
    }

    /// The tags whose facts the choice reads: the candidates, and `current` where the rule can order it.
    pub(crate) fn candidates<'a>(
        &self,
        tags: impl IntoIterator<Item = &'a Tag>,
        current: Option<&str>,
    ) -> Vec<&'a Tag> {
        let wanted = |tag: &Tag| {
            self.judge(tag).is_ok() || (current == Some(tag.as_str()) && self.read(tag).is_ok())
        };
        tags.into_iter().filter(|tag| wanted(tag)).collect()
    }

    pub(super) fn order(&self) -> Order {
        match &self.kind {
            Kind::Follow(_) => Order::Follow,
            Kind::Match(matching) => matching.order,
        }
    }

    /// Whether a tag is a candidate, and what its name says.
    pub(super) fn judge(&self, tag: &Tag) -> Result<Reading, Exclusion> {
        let matching = match &self.kind {
            Kind::Follow(followed) if tag == followed => return Ok(Reading::default()),
            Kind::Follow(tag) => return Err(Exclusion::NotFollowed { tag: tag.clone() }),
            Kind::Match(matching) => matching,
        };
        if is_attachment(tag.as_str()) {
            return Err(Exclusion::Attachment);
        }
        let ignored = |ignore: &&Ignore| ignore.matcher.is_match(tag.as_str());
        if let Some(ignore) = matching.ignore.iter().find(ignored) {
            let glob = Arc::clone(&ignore.glob);
            return Err(Exclusion::Ignored { glob });
        }
        let reading = matching.read(tag.as_str())?;
        if let Some(version) = &reading.version {
            matching.admit(version)?;
        }
        Ok(reading)
    }

    /// What the name of a tag says, candidate or not.
    pub(super) fn read(&self, tag: &Tag) -> Result<Reading, Exclusion> {
        match &self.kind {
            Kind::Follow(tag) => Err(Exclusion::NotFollowed { tag: tag.clone() }),
            Kind::Match(matching) => matching.read(tag.as_str()),
        }
    }
}

impl Match {
    fn reads_whole_versions(&self) -> bool {
        let in_shape = self.shape.as_ref().is_some_and(Shape::spells_version);
        self.constraint.is_some() && !in_shape
    }

    fn read(&self, tag: &str) -> Result<Reading, Exclusion> {
        let reading = match &self.shape {
            Some(shape) => shape.read(tag)?,
            None => Reading::default(),
        };
        if !self.reads_whole_versions() {
            return Ok(reading);
        }
        let version = tag.parse().map_err(|error| match error {
            ParseVersionError::NotVersion => Exclusion::NotVersion,
            ParseVersionError::Partial => Exclusion::Partial,
        })?;
        Ok(Reading {
            version: Some(version),
            version_at: 0..tag.len(),
            ..reading
        })
    }

    fn admit(&self, version: &Version) -> Result<(), Exclusion> {
        let asked = self.prerelease.as_ref();
        let admission = match &self.constraint {
            Some(constraint) => constraint.admits(version, asked),
            None if asked.unwrap_or(&Prerelease::None).takes(version) => Admission::Admitted,
            None => Admission::Prerelease,
        };
        match (admission, &self.constraint) {
            (Admission::Outside, Some(constraint)) => Err(Exclusion::Outside {
                constraint: constraint.text(),
            }),
            (Admission::Prerelease, _) => Err(Exclusion::Prerelease {
                asks: match label_of(version) {
                    "" => "any".to_owned(),
                    label => label.to_ascii_lowercase(),
                },
            }),
            (Admission::Admitted | Admission::Outside, _) => Ok(()),
        }
    }
}

/// Cosign's `sha256-<hex>.sig`, `.att` and `.sbom`, and the tags in which registries without a referrers API list what
/// belongs to an image: `sha256-<hex>`.
fn is_attachment(tag: &str) -> bool {
    let Some((algorithm, rest)) = tag.split_once('-') else {
        return false;
    };
    let (hex, suffix) = rest.split_once('.').unwrap_or((rest, ""));
    let is_hex = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let known = matches!(algorithm, "sha256" | "sha512");
    match suffix {
        "sig" | "att" | "sbom" => known && is_hex,
        // Clients cut a longer digest to 64 digits here, since a tag has 128 characters at most.
        "" => known && is_hex && hex.len() >= 64,
        _ => false,
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
            ignore,
        } = text;
        for (present, key) in [
            (semver.is_some(), RuleKey::Semver),
            (pattern.is_some(), RuleKey::Pattern),
            (regex.is_some(), RuleKey::Regex),
            (prerelease.is_some(), RuleKey::Prerelease(0)),
            (newest_by.is_some(), RuleKey::NewestBy),
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
        let ignore: Vec<Ignore> = ignore
            .iter()
            .enumerate()
            .filter_map(|(place, glob)| self.ignore(place, glob))
            .collect();
        let order = newest_by.as_deref().map(|word| self.order(word));
        // What the keys say together is judged only where each of them can be read.
        if !self.problems.is_empty() {
            return None;
        }
        let versions = semver.is_some() || shape.as_ref().is_some_and(Shape::spells_version);
        if pattern.is_some()
            && semver.is_some()
            && !shape.as_ref().is_some_and(Shape::spells_version)
        {
            self.refuse(RuleKey::Pattern, 0, RuleError::NoVersion);
        }
        if prerelease.is_some() && !versions {
            self.refuse(RuleKey::Prerelease(0), 0, RuleError::NoPrerelease);
        }
        let given = |fact: Fact| match fact {
            Fact::Version => versions,
            Fact::Number => shape.as_ref().is_some_and(|s| s.has(Part::Number)),
            Fact::Timestamp => shape.as_ref().is_some_and(|s| s.has(Part::Timestamp)),
            Fact::Created | Fact::FirstSeen => true,
        };
        let order = match order.flatten() {
            Some(Order::By(fact)) if !given(fact) => {
                let word = newest_by.clone().unwrap_or_default();
                self.refuse(RuleKey::NewestBy, 0, RuleError::NoPart { word });
                Order::By(fact)
            }
            Some(order) => order,
            None => [Fact::Version, Fact::Number, Fact::Timestamp]
                .into_iter()
                .find(|&fact| given(fact))
                .map_or(Order::Times, Order::By),
        };
        Some(Match {
            constraint,
            shape,
            prerelease,
            ignore,
            order,
        })
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

    fn ignore(&mut self, place: usize, glob: &str) -> Option<Ignore> {
        match Glob::new(glob) {
            Ok(parsed) => Some(Ignore {
                glob: glob.into(),
                matcher: parsed.compile_matcher(),
            }),
            Err(error) => {
                let reason = error.kind().to_string();
                let glob = glob.to_owned();
                self.refuse(RuleKey::Ignore(place), 0, RuleError::Glob { glob, reason });
                None
            }
        }
    }

    fn order(&mut self, word: &str) -> Option<Order> {
        let word = word.to_owned();
        match ORDERS.into_iter().find(|(name, _)| *name == word) {
            Some((_, Some(order))) => return Some(order),
            Some((_, None)) => self.refuse(RuleKey::NewestBy, 0, RuleError::Later { word }),
            None => self.refuse(RuleKey::NewestBy, 0, RuleError::Order { word }),
        }
        None
    }
}
