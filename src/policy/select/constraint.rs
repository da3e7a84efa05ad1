//! Constraints: the language of version ranges, such as `>=1.2 <2 || ^3.1`.
//!
//! The operators mean what this ecosystem's tools mean by them, with one difference on purpose: `<2.0.0` never admits a
//! pre-release of `2.0.0`. Everything is written out as plain comparisons, and matching is by precedence alone.

use std::sync::Arc;

use super::prerelease::Prerelease;
use crate::image::version::{Version, parse_number};

/// The operators, longest first where one begins another.
const OPERATORS: [(&str, Operator); 8] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Not),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
    ("^", Operator::Caret),
    ("~", Operator::Tilde),
];

/// A checked constraint.
#[derive(Clone, Debug)]
pub(super) struct Constraint {
    text: Arc<str>,
    /// One of these must hold. Never empty.
    alternatives: Vec<Alternative>,
}

/// What a constraint says of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    /// In range, but a pre-release that nobody asked for.
    Prerelease,
    Outside,
}

/// Why a text is not a constraint, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct ConstraintError {
    /// Bytes before the offending part.
    pub(super) offset: usize,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error(
        "a version is missing here: write one such as `1.2.3`, `1.2` or `1.x`, or `*` for every version"
    )]
    Missing,
    #[error(
        "`{part}` is not a version such as `1.2.3`, `1.2` or `1.x`, with one of `^ ~ > >= < <= = !=` before it"
    )]
    NotVersion { part: String },
    #[error("`{operator}` is not an operator: write one of `^ ~ > >= < <= = !=`")]
    Operator { operator: String },
    #[error(
        "`{part}` is not a pre-release: letters, digits and `-` in parts joined by dots, such as `rc.1`"
    )]
    Prerelease { part: String },
    #[error("a number cannot follow `x` or `*`: write `1.x` for every `1`")]
    AfterWildcard,
    #[error("`{part}` matches no version")]
    Nothing { part: String },
    #[error("a range `1.2 - 1.4` takes plain versions, without `{operator}`")]
    RangeOperator { operator: &'static str },
    #[error("alternatives are joined by `||`")]
    Bar,
}

#[derive(Clone, Debug)]
struct Alternative {
    /// All of these must hold.
    comparisons: Vec<Comparison>,
    /// A pre-release is named, which asks for all of them.
    names_prerelease: bool,
}

#[derive(Clone, Debug)]
enum Comparison {
    AtLeast(Version),
    Above(Version),
    Below(Version),
    AtMost(Version),
    Exactly(Version),
    Not(Version),
    /// Below the first or at least the second.
    Outside(Version, Version),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Not,
    Above,
    AtLeast,
    Below,
    AtMost,
    Tilde,
    Caret,
}

/// A version with parts left out: `1`, `1.2.x`, `*-0`.
#[derive(Clone, Debug)]
struct Partial {
    /// One to three numbers, or none for `*`.
    numbers: Vec<u64>,
    prerelease: Option<String>,
}

impl Constraint {
    /// Reads a constraint; the error is the first part that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, ConstraintError> {
        let mut alternatives = Vec::new();
        let mut start = 0;
        for part in text.split("||") {
            alternatives.push(
                Scanner {
                    text,
                    at: start,
                    end: start + part.len(),
                }
                .alternative()?,
            );
            start += part.len() + 2;
        }
        Ok(Self {
            text: text.into(),
            alternatives,
        })
    }

    /// The constraint as it was written.
    pub(super) fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Judges one version; `asked` is what the rule says of pre-releases, if anything.
    pub(super) fn admits(&self, version: &Version, asked: Option<&Prerelease>) -> Admission {
        let mut nearest = Admission::Outside;
        for alternative in &self.alternatives {
            if !alternative.comparisons.iter().all(|c| c.holds(version)) {
                continue;
            }
            let default = match alternative.names_prerelease {
                true => Prerelease::Any,
                false => Prerelease::None,
            };
            if asked.unwrap_or(&default).takes(version) {
                return Admission::Admitted;
            }
            nearest = Admission::Prerelease;
        }
        nearest
    }
}

impl Comparison {
    fn holds(&self, version: &Version) -> bool {
        match self {
            Self::AtLeast(bound) => version >= bound,
            Self::Above(bound) => version > bound,
            Self::Below(bound) => version < bound,
            Self::AtMost(bound) => version <= bound,
            Self::Exactly(bound) => version == bound,
            Self::Not(bound) => version != bound,
            Self::Outside(first, end) => version < first || version >= end,
        }
    }
}

/// Reads one alternative: `text[at..end]`.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Scanner<'a> {
    fn alternative(mut self) -> Result<Alternative, ConstraintError> {
        let mut alternative = Alternative {
            comparisons: Vec::new(),
            names_prerelease: false,
        };
        self.skip(|c| c.is_ascii_whitespace() || c == ',');
        if self.rest().is_empty() {
            return Err(self.refused(Reason::Missing));
        }
        while !self.rest().is_empty() {
            let start = self.at;
            let operator = self.operator()?;
            self.skip(|c| c.is_ascii_whitespace());
            let (partial, word) = self.partial()?;
            alternative.names_prerelease |= partial.prerelease.is_some();
            let upper = self.range_end()?;
            match (operator, upper) {
                (None, Some(upper)) => {
                    alternative.names_prerelease |= upper.prerelease.is_some();
                    alternative
                        .comparisons
                        .push(Comparison::AtLeast(partial.first()));
                    alternative.comparisons.extend(upper.at_most());
                }
                (Some((symbol, _)), Some(_)) => {
                    self.at = start;
                    return Err(self.refused(Reason::RangeOperator { operator: symbol }));
                }
                (operator, None) => {
                    let operator = operator.map_or(Operator::Equal, |(_, operator)| operator);
                    let Some(comparisons) = partial.compared(operator) else {
                        let part = format!("{}{word}", symbol_of(operator));
                        self.at = start;
                        return Err(self.refused(Reason::Nothing { part }));
                    };
                    alternative.comparisons.extend(comparisons);
                }
            }
            self.skip(|c| c.is_ascii_whitespace() || c == ',');
        }
        Ok(alternative)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..self.end]
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.at = self.end - self.rest().trim_start_matches(skipped).len();
    }

    fn refused(&self, reason: Reason) -> ConstraintError {
        ConstraintError {
            offset: self.at,
            reason,
        }
    }

    fn operator(&mut self) -> Result<Option<(&'static str, Operator)>, ConstraintError> {
        let symbols = |c: char| "^~<>=!".contains(c);
        let rest = self.rest();
        let length = rest.find(|c| !symbols(c)).unwrap_or(rest.len());
        let written = &rest[..length];
        if written.is_empty() {
            return Ok(None);
        }
        let known = OPERATORS.into_iter().find(|(symbol, _)| *symbol == written);
        let Some(operator) = known else {
            return Err(self.refused(Reason::Operator {
                operator: written.to_owned(),
            }));
        };
        self.at += length;
        Ok(Some(operator))
    }

    /// The version that stands here, and its text.
    fn partial(&mut self) -> Result<(Partial, &'a str), ConstraintError> {
        let rest = self.rest();
        let ends = |c: char| c.is_ascii_whitespace() || ",<>=!^~|".contains(c);
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if word.is_empty() {
            return Err(self.refused(match rest.starts_with('|') {
                true => Reason::Bar,
                false => Reason::Missing,
            }));
        }
        let partial = self.parse_partial(word)?;
        self.at += word.len();
        Ok((partial, word))
    }

    fn parse_partial(&mut self, word: &str) -> Result<Partial, ConstraintError> {
        let start = self.at;
        let not_version = |scanner: &Self| {
            let part = word.to_owned();
            Err(scanner.refused(Reason::NotVersion { part }))
        };
        let unprefixed = word.strip_prefix('v').unwrap_or(word);
        let (core, prerelease) = match unprefixed.split_once('-') {
            Some((core, prerelease)) => (core, Some(prerelease)),
            None => (unprefixed, None),
        };
        let mut numbers = Vec::new();
        let mut wildcard = false;
        let mut at = start + word.len() - unprefixed.len();
        for (place, part) in core.split('.').enumerate() {
            let number = parse_number(part).filter(|&n| n < u64::MAX);
            match (part, number) {
                _ if place == 3 => return not_version(self),
                ("x" | "X" | "*", _) => wildcard = true,
                (_, Some(_)) if wildcard => {
                    self.at = at;
                    return Err(self.refused(Reason::AfterWildcard));
                }
                (_, Some(number)) => numbers.push(number),
                (_, None) => return not_version(self),
            }
            at += part.len() + 1;
        }
        if let Some(part) = prerelease
            && Version::new(0, 0, 0).with_prerelease(part).is_none()
        {
            self.at = at;
            let part = part.to_owned();
            return Err(self.refused(Reason::Prerelease { part }));
        }
        let prerelease = prerelease.map(str::to_owned);
        Ok(Partial {
            numbers,
            prerelease,
        })
    }

    /// The upper end, where ` - ` follows.
    fn range_end(&mut self) -> Result<Option<Partial>, ConstraintError> {
        let after = self.rest().trim_start();
        let spaced = after.len() < self.rest().len();
        let Some(upper) = after.strip_prefix('-') else {
            return Ok(None);
        };
        if !spaced || !upper.starts_with(|c: char| c.is_ascii_whitespace()) {
            return Ok(None);
        }
        self.at = self.end - upper.trim_start().len();
        if let Some((symbol, _)) = self.operator()? {
            self.at -= symbol.len();
            return Err(self.refused(Reason::RangeOperator { operator: symbol }));
        }
        Ok(Some(self.partial()?.0))
    }
}

fn symbol_of(operator: Operator) -> &'static str {
    let known = OPERATORS.iter().find(|(_, other)| *other == operator);
    known.map_or("", |(symbol, _)| symbol)
}

impl Partial {
    fn number(&self, place: usize) -> u64 {
        self.numbers.get(place).copied().unwrap_or(0)
    }

    fn is_full(&self) -> bool {
        self.numbers.len() == 3
    }

    /// The first version meant. Parts left out stand for all their values, pre-releases included.
    fn first(&self) -> Version {
        let (major, minor, patch) = (self.number(0), self.number(1), self.number(2));
        match &self.prerelease {
            Some(prerelease) => Version::new(major, minor, patch)
                .with_prerelease(prerelease)
                .expect("the pre-release was checked when it was read"),
            None if self.is_full() => Version::new(major, minor, patch),
            None => Version::lowest(major, minor, patch),
        }
    }

    /// The end of the versions that share the first `places` numbers; `None` for `*`, which has no end.
    ///
    /// The end is the lowest pre-release of the next version, so that `<2` never admits `2.0.0-rc.1`.
    fn end(&self, places: usize) -> Option<Version> {
        match places {
            0 => None,
            1 => Some(Version::lowest(self.number(0) + 1, 0, 0)),
            2 => Some(Version::lowest(self.number(0), self.number(1) + 1, 0)),
            _ => Some(Version::lowest(
                self.number(0),
                self.number(1),
                self.number(2) + 1,
            )),
        }
    }

    fn at_most(&self) -> Option<Comparison> {
        match self.is_full() {
            true => Some(Comparison::AtMost(self.first())),
            false => self.end(self.numbers.len()).map(Comparison::Below),
        }
    }

    fn below(&self) -> Comparison {
        Comparison::Below(match &self.prerelease {
            Some(_) => self.first(),
            None => Version::lowest(self.number(0), self.number(1), self.number(2)),
        })
    }

    /// From the first version meant up to `end`.
    fn until(&self, end: Option<Version>) -> Vec<Comparison> {
        let first = Comparison::AtLeast(self.first());
        [first]
            .into_iter()
            .chain(end.map(Comparison::Below))
            .collect()
    }

    /// What `operator` before this version means; `None` where nothing can match.
    fn compared(&self, operator: Operator) -> Option<Vec<Comparison>> {
        let given = self.numbers.len();
        let end = self.end(given);
        match operator {
            Operator::Equal if self.is_full() => Some(vec![Comparison::Exactly(self.first())]),
            Operator::Equal => Some(self.until(end)),
            Operator::Not if self.is_full() => Some(vec![Comparison::Not(self.first())]),
            Operator::Not => Some(vec![Comparison::Outside(self.first(), end?)]),
            Operator::Above if self.is_full() => Some(vec![Comparison::Above(self.first())]),
            Operator::Above => Some(vec![Comparison::AtLeast(end?)]),
            Operator::AtLeast => Some(vec![Comparison::AtLeast(self.first())]),
            Operator::Below if given == 0 => None,
            Operator::Below => Some(vec![self.below()]),
            Operator::AtMost => Some(self.at_most().into_iter().collect()),
            Operator::Tilde => Some(self.until(self.end(given.min(2)))),
            Operator::Caret => {
                let leading_zeros = self.numbers.iter().take_while(|&&n| n == 0).count();
                Some(self.until(self.end((leading_zeros + 1).min(given))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Constraint};
    use crate::policy::select::prerelease::Prerelease;

    fn admitted(constraint: &str, asked: Option<&Prerelease>, versions: &str) -> String {
        let constraint = Constraint::parse(constraint)
            .unwrap_or_else(|e| panic!("`{constraint}` is a constraint: {e}"));
        let taken: Vec<&str> = versions
            .split(' ')
            .filter(|v| constraint.admits(&v.parse().unwrap(), asked) == Admission::Admitted)
            .collect();
        taken.join(" ")
    }

    #[test]
    fn operators_mean_what_the_ecosystem_means() {
        let versions = "0.0.3 0.0.4 0.2.3 0.3.0 1.2.3 1.2.4 1.3.0 1.4.9 1.5.0 2.0.0 2.1.0";
        for (constraint, expected) in [
            ("*", versions),
            ("x", versions),
            ("^1.2.4", "1.2.4 1.3.0 1.4.9 1.5.0"),
            ("^1", "1.2.3 1.2.4 1.3.0 1.4.9 1.5.0"),
            ("^0", "0.0.3 0.0.4 0.2.3 0.3.0"),
            ("^0.2.3", "0.2.3"),
            ("^0.2", "0.2.3"),
            ("^0.0.3", "0.0.3"),
            ("^0.0", "0.0.3 0.0.4"),
            ("~1", "1.2.3 1.2.4 1.3.0 1.4.9 1.5.0"),
            ("~1.2", "1.2.3 1.2.4"),
            ("~1.2.4", "1.2.4"),
            ("1", "1.2.3 1.2.4 1.3.0 1.4.9 1.5.0"),
            ("1.2", "1.2.3 1.2.4"),
            ("1.2.x", "1.2.3 1.2.4"),
            ("1.X.X", "1.2.3 1.2.4 1.3.0 1.4.9 1.5.0"),
            ("1.2.3", "1.2.3"),
            ("= v1.2.3", "1.2.3"),
            ("=1.2", "1.2.3 1.2.4"),
            (">1.2", "1.3.0 1.4.9 1.5.0 2.0.0 2.1.0"),
            (">1", "2.0.0 2.1.0"),
            (">1.2.3", "1.2.4 1.3.0 1.4.9 1.5.0 2.0.0 2.1.0"),
            (">= 1.5", "1.5.0 2.0.0 2.1.0"),
            ("<=1.4", "0.0.3 0.0.4 0.2.3 0.3.0 1.2.3 1.2.4 1.3.0 1.4.9"),
            ("<1.4", "0.0.3 0.0.4 0.2.3 0.3.0 1.2.3 1.2.4 1.3.0"),
            (">=1.2 !=1.x", "2.0.0 2.1.0"),
            (">=1.2 !=1.2.4 <1.4", "1.2.3 1.3.0"),
            ("1.2 - 1.4", "1.2.3 1.2.4 1.3.0 1.4.9"),
            ("v1.2.4 - v1.3.0", "1.2.4 1.3.0"),
            ("1.2 - 1.4 !=1.3.0", "1.2.3 1.2.4 1.4.9"),
            (">=1.2, <1.4", "1.2.3 1.2.4 1.3.0"),
            (">1.2.3<1.4", "1.2.4 1.3.0"),
            ("0.2.x || >=2,<2.1", "0.2.3 2.0.0"),
            (">=1.05.000 <2", "1.5.0"),
        ] {
            assert_eq!(
                admitted(constraint, None, versions),
                expected,
                "{constraint}"
            );
        }
    }

    #[test]
    fn pre_releases_come_only_where_asked_for() {
        let versions = "1.0.0-0 1.2.0-rc.1 1.2.3 1.3.0-rc.1 1.3.0-rc.2 2.0.0-0 2.0.0-rc.1 2.0.0";
        for (constraint, expected) in [
            ("*", "1.2.3 2.0.0"),
            (">=1.0.0-0", versions),
            (">=1.2.3-0 <2.0.0", "1.2.3 1.3.0-rc.1 1.3.0-rc.2"),
            ("<2.0.0-0", "1.0.0-0 1.2.0-rc.1 1.2.3 1.3.0-rc.1 1.3.0-rc.2"),
            ("<2.0.0-rc.2 >1.5", "2.0.0-0 2.0.0-rc.1"),
            ("1.x-0", "1.0.0-0 1.2.0-rc.1 1.2.3 1.3.0-rc.1 1.3.0-rc.2"),
            ("*-0", versions),
            (">=0-0", versions),
            ("^1.3.0-rc.1", "1.3.0-rc.1 1.3.0-rc.2"),
            ("~1.2.3-0", "1.2.3"),
            ("1.3.0-rc.1", "1.3.0-rc.1"),
            ("1.x || >=2-0", "1.2.3 2.0.0-0 2.0.0-rc.1 2.0.0"),
        ] {
            assert_eq!(
                admitted(constraint, None, versions),
                expected,
                "{constraint}"
            );
        }
    }

    #[test]
    fn with_any_an_upper_bound_still_keeps_its_own_pre_releases_out() {
        let versions = "1.1.9 1.2.0-rc.1 1.2.3 1.3.0-rc.1 2.0.0-0 2.0.0-rc.1 2.0.0";
        for (constraint, expected) in [
            (">=1.2.0 <2.0.0", "1.2.3 1.3.0-rc.1"),
            (">=1.2 <2", "1.2.0-rc.1 1.2.3 1.3.0-rc.1"),
            ("1.2.x", "1.2.0-rc.1 1.2.3"),
            ("^1.2.0", "1.2.3 1.3.0-rc.1"),
            ("1.2.0 - 1.9", "1.2.3 1.3.0-rc.1"),
            ("<=2.0.0 >=1.3.0", "2.0.0-0 2.0.0-rc.1 2.0.0"),
        ] {
            let any = Some(&Prerelease::Any);
            assert_eq!(
                admitted(constraint, any, versions),
                expected,
                "{constraint}"
            );
        }
        let none = Some(&Prerelease::None);
        assert_eq!(admitted(">=1.3.0-0", none, versions), "2.0.0");
    }

    #[test]
    fn an_error_points_at_the_part_and_says_what_is_allowed() {
        let refused = |text: &str| {
            let error = Constraint::parse(text).unwrap_err();
            format!("{}: {error}", error.offset)
        };
        insta::assert_snapshot!(refused("latest"), @"0: `latest` is not a version such as `1.2.3`, `1.2` or `1.x`, with one of `^ ~ > >= < <= = !=` before it");
        insta::assert_snapshot!(refused(">=1.2 <abc"), @"7: `abc` is not a version such as `1.2.3`, `1.2` or `1.x`, with one of `^ ~ > >= < <= = !=` before it");
        insta::assert_snapshot!(refused(">=1 || ~>2"), @"7: `~>` is not an operator: write one of `^ ~ > >= < <= = !=`");
        insta::assert_snapshot!(refused("1.x ||"), @"6: a version is missing here: write one such as `1.2.3`, `1.2` or `1.x`, or `*` for every version");
        insta::assert_snapshot!(refused(">=1.2 <"), @"7: a version is missing here: write one such as `1.2.3`, `1.2` or `1.x`, or `*` for every version");
        insta::assert_snapshot!(refused(">=1.2.3-rc..1"), @"8: `rc..1` is not a pre-release: letters, digits and `-` in parts joined by dots, such as `rc.1`");
        insta::assert_snapshot!(refused("1.x.3"), @"4: a number cannot follow `x` or `*`: write `1.x` for every `1`");
        insta::assert_snapshot!(refused("^1 !=*"), @"3: `!=*` matches no version");
        insta::assert_snapshot!(refused("^1.2 - 1.4"), @"0: a range `1.2 - 1.4` takes plain versions, without `^`");
        insta::assert_snapshot!(refused("1.2 - <1.4"), @"6: a range `1.2 - 1.4` takes plain versions, without `<`");
        insta::assert_snapshot!(refused("1.2 | 1.4"), @"4: alternatives are joined by `||`");
        for bad in [
            "",
            " ",
            "1.2.3.4",
            "1.2.3+build",
            "é",
            "99999999999999999999",
            "18446744073709551615",
            "-1",
            "1.2 -1.4",
            "||",
            "v",
            "1.",
        ] {
            assert!(Constraint::parse(bad).is_err(), "{bad}");
        }
    }
}
