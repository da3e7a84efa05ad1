//! Shapes of tags: a pattern or a regular expression with named parts, and what the parts of a tag say.
//!
//! Not here: constraints on the version that a part spells, and what orders the candidates.
//! Invariant: a shape matches whole tags only.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::bytes::Regex;
use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

use super::{Exclusion, did_you_mean};
use crate::image::Tag;
use crate::image::version::{Version, parse_number};
use crate::policy::expression::{Size, check_length, in_short, names_ascii, read, shared};

/// Digits of the name of a commit, shortened or whole; the expression of `{sha}` has the same.
const SHA_LENGTHS: RangeInclusive<usize> = 7..=64;

/// A named part of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Sha,
    Number,
    Timestamp,
    Version,
    Major,
    Minor,
    Patch,
    Branch,
    Any,
}

/// A pattern or regular expression that tags can be read by.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    reader: Reader,
    parts: Vec<Part>,
    /// How the rule spells it, for people: `` the pattern `develop-{sha}` ``.
    spelled: Arc<str>,
}

/// What finds the parts in a tag.
#[derive(Clone, Debug)]
enum Reader {
    Straight(Straight),
    Compiled(Compiled),
}

/// A regular expression, and of each part the number of its group, which is found sooner than its name.
#[derive(Clone, Debug)]
struct Compiled {
    regex: Arc<Regex>,
    groups: Vec<(Part, usize)>,
}

/// Where each part stands in a tag, by its number.
#[derive(Debug, Default, PartialEq)]
struct Spans([Option<(usize, usize)>; Part::ALL.len()]);

impl Spans {
    fn of(&self, part: Part) -> Option<Range<usize>> {
        self.0[part as usize].map(|(start, end)| start..end)
    }
}

/// A pattern whose parts end where a character comes that they cannot have. It is read from left to right without a guess, in a
/// tenth of the time that its regular expression takes, and millions of tags are read.
#[derive(Clone, Debug)]
struct Straight(Vec<Piece>);

/// A piece of such a pattern.
#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Part(Part, Kind),
}

/// The characters that a part has.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Digits,
    Hex,
}

impl Kind {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }

    /// How many of them a part has.
    fn lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Digits => 1..=usize::MAX,
            Self::Hex => SHA_LENGTHS,
        }
    }
}

impl Straight {
    /// `None` where a part could end at several places.
    fn of(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            let part = Part::named(name)?;
            let kind = match part {
                Part::Number | Part::Major | Part::Minor | Part::Patch => Kind::Digits,
                Part::Sha => Kind::Hex,
                Part::Timestamp | Part::Version | Part::Branch | Part::Any => return None,
            };
            if after.bytes().next().is_some_and(|next| kind.has(next)) {
                return None;
            }
            pieces.push(Piece::Text(text.into()));
            pieces.push(Piece::Part(part, kind));
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        Some(Self(pieces))
    }

    /// Where the parts stand in `tag`, where the whole of it matches.
    fn spans(&self, tag: &str) -> Option<Spans> {
        let mut spans = Spans::default();
        let mut at = 0;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => {
                    tag[at..].starts_with(&**text).then_some(())?;
                    at += text.len();
                }
                Piece::Part(part, kind) => {
                    let length = tag[at..].bytes().take_while(|byte| kind.has(*byte)).count();
                    kind.lengths().contains(&length).then_some(())?;
                    spans.0[*part as usize] = Some((at, at + length));
                    at += length;
                }
            }
        }
        (at == tag.len()).then_some(spans)
    }
}

/// What the name of one tag says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) version: Option<Version>,
    /// Where the version stands in the tag.
    pub(super) version_at: Range<usize>,
    pub(super) number: Option<u128>,
    pub(super) timestamp: Option<Timestamp>,
    /// Where the name of a commit stands in the tag; empty where none does.
    pub(super) sha_at: Range<usize>,
}

impl Reading {
    /// The name of a commit that the tag holds, in lower case; empty where it holds none.
    pub(super) fn sha(&self, tag: &Tag) -> String {
        tag.as_str()[self.sha_at.clone()].to_ascii_lowercase()
    }
}

/// What is wrong with a pattern or a regular expression, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShapeProblem {
    /// Bytes before the offending part.
    pub(super) offset: usize,
    pub(super) reason: ShapeError,
}

/// Why a text is not a pattern or a regular expression for tags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("the pattern is empty: write one such as `main-{{number}}-{{sha}}`")]
    Empty,
    #[error(
        "`{name}` is not a part of a tag{}: the parts are {}",
        did_you_mean(name, Part::ALL.iter().map(|part| part.name())),
        known_parts()
    )]
    UnknownPart { name: String },
    #[error("`{part}` stands here a second time")]
    Repeated { part: Part },
    #[error(
        "`{part}` touches the part before it, so where one ends would be a guess: put text between them"
    )]
    Touching { part: Part },
    #[error("`{part}` needs `{needed}`")]
    Needs { part: Part, needed: Part },
    #[error("`{part}` cannot stand beside `{{version}}`, which holds it")]
    InVersion { part: Part },
    #[error("`{{` is not closed: parts are written `{{sha}}`")]
    Unclosed,
    #[error("`}}` closes nothing: parts are written `{{sha}}`")]
    Unopened,
    #[error("`{character}` cannot stand in a tag: letters, digits, `_`, `.` and `-` can")]
    Character { character: char },
    #[error("the pattern cannot be read: {reason}")]
    Pattern { reason: String },
    #[error("the regular expression cannot be read: {reason}")]
    Regex { reason: String },
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Sha,
        Self::Number,
        Self::Timestamp,
        Self::Version,
        Self::Branch,
        Self::Any,
        Self::Major,
        Self::Minor,
        Self::Patch,
    ];

    /// The name that patterns and groups use.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha => "sha",
            Self::Number => "number",
            Self::Timestamp => "timestamp",
            Self::Version => "version",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
            Self::Branch => "branch",
            Self::Any => "any",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The text that a part of a pattern matches. What it cannot say, such as a month of 1 to 12, `read` checks.
    fn expression(self) -> &'static str {
        match self {
            Self::Sha => "[0-9a-fA-F]{7,64}",
            Self::Number | Self::Major | Self::Minor | Self::Patch => "[0-9]+",
            Self::Timestamp => "[0-9]{14}|[0-9]{8}[Tt][0-9]{6}[Zz]?|[0-9]{10}",
            Self::Version => r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
            Self::Branch | Self::Any => "[0-9A-Za-z_.-]+",
        }
    }
}

/// Written as in a pattern: `{sha}`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.name())
    }
}

fn known_parts() -> String {
    let names: Vec<String> = Part::ALL.iter().map(|part| format!("`{part}`")).collect();
    names.join(", ")
}

impl Shape {
    /// Reads a pattern such as `main-{number}-{sha}`.
    pub(super) fn of_pattern(pattern: &str) -> Result<Self, Vec<ShapeProblem>> {
        let (expression, named) = read_pattern(pattern)?;
        let reader = match Straight::of(pattern) {
            Some(straight) => Reader::Straight(straight),
            None => {
                let compiled = Compiled::new(&expression, (&named, Size::Pattern));
                Reader::Compiled(compiled.map_err(|problem| vec![problem])?)
            }
        };
        Ok(Self {
            reader,
            parts: parts(&named),
            spelled: format!("the pattern `{pattern}`").into(),
        })
    }

    /// Compiles a regular expression, which must match whole tags; its named groups are parts.
    pub(super) fn of_regex(text: &str) -> Result<Self, Vec<ShapeProblem>> {
        let names = Part::ALL.map(Part::name);
        let written = read(text, (&names, Size::Tags)).map_err(|(offset, reason)| {
            let reason = ShapeError::Regex { reason };
            vec![ShapeProblem { offset, reason }]
        })?;
        let mut named = Vec::new();
        let mut problems = Vec::new();
        for name in group_names(&written.meaning) {
            let offset = text.find(&format!("<{name}>")).map_or(0, |at| at + 1);
            match Part::named(&name) {
                Some(part) => named.push((offset, part)),
                None => problems.push(ShapeProblem {
                    offset,
                    reason: ShapeError::UnknownPart { name },
                }),
            }
        }
        problems.extend(misplaced(&named));
        if !problems.is_empty() {
            return Err(problems);
        }
        let compiled = Compiled::new(&written.text, (&named, Size::Tags));
        Ok(Self {
            reader: Reader::Compiled(compiled.map_err(|problem| vec![problem])?),
            parts: parts(&named),
            spelled: format!("the regular expression `{text}`").into(),
        })
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Whether the parts spell a version, whole or partial.
    pub(super) fn spells_version(&self) -> bool {
        self.has(Part::Version) || self.has(Part::Major)
    }

    /// What the parts of `tag` say, where the whole of it matches.
    pub(super) fn read(&self, tag: &str) -> Result<Reading, Exclusion> {
        let spans = match &self.reader {
            Reader::Straight(straight) => straight.spans(tag),
            Reader::Compiled(compiled) => compiled.spans(tag),
        };
        let Some(spans) = spans else {
            return Err(Exclusion::Mismatch {
                shape: Arc::clone(&self.spelled),
            });
        };
        let mut reading = Reading::default();
        for &part in &self.parts {
            let read = read_part(part, (tag, &spans), &mut reading);
            read.ok_or(Exclusion::Unreadable { part })?;
        }
        Ok(reading)
    }
}

impl Compiled {
    fn new(expression: &str, (named, size): Named<'_>) -> Result<Self, ShapeProblem> {
        let whole = format!(r"\A(?:{expression})\z");
        // Tags are ASCII, and classes of all Unicode make large machines; some cannot be said without.
        let ascii = names_ascii(expression).then(|| shared(&format!("(?-u){whole}"), size));
        let regex = match ascii {
            Some(Ok(regex)) => Ok(regex),
            Some(Err(_)) | None => shared(&whole, size),
        };
        let regex = regex.map_err(|error| ShapeProblem {
            offset: 0,
            reason: ShapeError::Regex {
                reason: in_short(&error),
            },
        })?;
        let group = |part: Part| {
            let mut names = regex.capture_names();
            // `{any}` may stand several times, and nothing is read from it.
            names
                .position(|name| name == Some(part.name()))
                .unwrap_or(0)
        };
        Ok(Self {
            groups: named.iter().map(|&(_, part)| (part, group(part))).collect(),
            regex: regex.clone(),
        })
    }

    /// Where the parts stand in `tag`.
    fn spans(&self, tag: &str) -> Option<Spans> {
        let found = self.regex.captures(tag.as_bytes())?;
        let mut spans = Spans::default();
        for &(part, group) in &self.groups {
            spans.0[part as usize] = found.get(group).map(|text| (text.start(), text.end()));
        }
        Some(spans)
    }
}

/// Parts with the bytes before each, and how large what is made of them may be.
type Named<'a> = (&'a [(usize, Part)], Size);

fn parts(named: &[(usize, Part)]) -> Vec<Part> {
    named.iter().map(|&(_, part)| part).collect()
}

/// A regular expression, and its parts with the bytes before each.
type Spelled = (String, Vec<(usize, Part)>);

/// The regular expression of a pattern, and its parts.
fn read_pattern(pattern: &str) -> Result<Spelled, Vec<ShapeProblem>> {
    check_length(pattern, Size::Pattern).map_err(|reason| {
        let reason = ShapeError::Pattern { reason };
        vec![ShapeProblem { offset: 0, reason }]
    })?;
    let mut reader = PatternReader::default();
    reader.read(pattern);
    let PatternReader {
        expression,
        parts: named,
        mut problems,
        before: _,
    } = reader;
    problems.extend(misplaced(&named));
    if pattern.is_empty() {
        problems.push(ShapeProblem {
            offset: 0,
            reason: ShapeError::Empty,
        });
    }
    match problems.is_empty() {
        true => Ok((expression, named)),
        false => Err(problems),
    }
}

/// The names of the groups of an expression, in their order.
fn group_names(expression: &Hir) -> Vec<String> {
    match expression.kind() {
        HirKind::Capture(Capture { name, sub, .. }) => {
            let own = name.iter().map(|name| name.to_string());
            own.chain(group_names(sub)).collect()
        }
        HirKind::Repetition(Repetition { sub, .. }) => group_names(sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => {
            subs.iter().flat_map(group_names).collect()
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => Vec::new(),
    }
}

/// Parts that stand twice, or without the part that they belong to.
fn misplaced(named: &[(usize, Part)]) -> Vec<ShapeProblem> {
    let has = |part: Part| named.iter().any(|&(_, other)| other == part);
    let mut problems = Vec::new();
    for (place, &(offset, part)) in named.iter().enumerate() {
        let repeated = named[..place].iter().any(|&(_, other)| other == part);
        let (in_version, needed) = match part {
            Part::Major => (true, None),
            Part::Minor => (true, Some(Part::Major)),
            Part::Patch => (true, Some(Part::Minor)),
            Part::Sha | Part::Number | Part::Timestamp => (false, None),
            Part::Version | Part::Branch | Part::Any => (false, None),
        };
        let reason = match needed.filter(|&needed| !has(needed)) {
            _ if repeated && part != Part::Any => ShapeError::Repeated { part },
            _ if in_version && has(Part::Version) => ShapeError::InVersion { part },
            Some(needed) => ShapeError::Needs { part, needed },
            None => continue,
        };
        problems.push(ShapeProblem { offset, reason });
    }
    problems
}

/// Turns a pattern into a regular expression, one character or part after the other.
#[derive(Default)]
struct PatternReader {
    expression: String,
    parts: Vec<(usize, Part)>,
    problems: Vec<ShapeProblem>,
    /// The literal character before, if a part does not end here.
    before: Option<char>,
}

impl PatternReader {
    fn read(&mut self, pattern: &str) {
        let mut at = 0;
        while let Some(next) = pattern[at..].chars().next() {
            at = match (next, pattern[at..].find('}')) {
                ('{', Some(length)) => {
                    self.part(at, &pattern[at + 1..at + length]);
                    at + length + 1
                }
                ('{', None) => {
                    self.refuse(at, ShapeError::Unclosed);
                    pattern.len()
                }
                _ => {
                    self.literal(at, next);
                    at + next.len_utf8()
                }
            };
        }
    }

    fn refuse(&mut self, offset: usize, reason: ShapeError) {
        self.problems.push(ShapeProblem { offset, reason });
    }

    fn literal(&mut self, at: usize, character: char) {
        match character {
            '}' => self.refuse(at, ShapeError::Unopened),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') => {}
            character => self.refuse(at, ShapeError::Character { character }),
        }
        let mut buffer = [0; 4];
        let text = character.encode_utf8(&mut buffer);
        self.expression.push_str(&regex::escape(text));
        self.before = Some(character);
    }

    fn part(&mut self, at: usize, name: &str) {
        let before = self.before.take();
        let Some(part) = Part::named(name) else {
            let name = name.to_owned();
            return self.refuse(at, ShapeError::UnknownPart { name });
        };
        if at > 0 && before.is_none() {
            self.refuse(at, ShapeError::Touching { part });
        }
        // After a letter or a digit a `v` would be part of a word, and `v{version}` has one already.
        let in_word = before.is_some_and(|c| c.is_ascii_alphanumeric());
        let prefix = if part == Part::Version && !in_word {
            "v?"
        } else {
            ""
        };
        // `{any}` may stand several times, which a named group may not; nothing is read from it.
        let group = match part == Part::Any {
            true => "?:".to_owned(),
            false => format!("?P<{}>", part.name()),
        };
        let expression = part.expression();
        for piece in ["(", &group, prefix, "(?:", expression, "))"] {
            self.expression.push_str(piece);
        }
        self.parts.push((at, part));
    }
}

/// Reads one part into `reading`; `None` where its text is not what the name promises.
fn read_part(part: Part, (tag, spans): (&str, &Spans), reading: &mut Reading) -> Option<()> {
    if part == Part::Any {
        return Some(());
    }
    let at = spans.of(part)?;
    let text = &tag[at.clone()];
    match part {
        Part::Number => reading.number = Some(parse_long_number(text)?),
        Part::Timestamp => reading.timestamp = Some(parse_timestamp(text)?),
        Part::Version => {
            reading.version = Some(text.parse().ok()?);
            reading.version_at = at;
        }
        Part::Major => {
            let number = |part: Part| spans.of(part).map_or(Some(0), |at| parse_number(&tag[at]));
            let (minor, patch) = (number(Part::Minor)?, number(Part::Patch)?);
            reading.version = Some(Version::new(number(Part::Major)?, minor, patch));
            let last = spans.of(Part::Patch).or_else(|| spans.of(Part::Minor));
            let end = last.map_or(at.end, |last| last.end);
            reading.version_at = at.start..end;
        }
        Part::Sha => {
            let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
            (hex && SHA_LENGTHS.contains(&text.len())).then_some(())?;
            reading.sha_at = at;
        }
        // Read with the major number.
        Part::Minor | Part::Patch => {}
        Part::Branch | Part::Any => {}
    }
    Some(())
}

fn parse_long_number(digits: &str) -> Option<u128> {
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// `20240102030405`, `20240102T030405Z`, or unix seconds of 10 digits (the years 2001 to 2286); all in UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let digits: String = match text.len() {
        10 | 14 => text.to_owned(),
        _ => {
            let unzoned = text.strip_suffix(['Z', 'z']).unwrap_or(text);
            let (date, time) = unzoned.split_once(['T', 't'])?;
            let shaped = date.len() == 8 && time.len() == 6;
            shaped.then(|| format!("{date}{time}"))?
        }
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.len() == 10 {
        return Timestamp::from_second(digits.parse().ok()?).ok();
    }
    let two = |at: usize| digits[at..at + 2].parse::<i8>().ok();
    let year: i16 = digits[..4].parse().ok()?;
    let time = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::{
        Compiled, Reader, Shape, ShapeProblem, Size, Straight, parse_timestamp, read_pattern,
    };

    fn problems(found: Result<Shape, Vec<ShapeProblem>>) -> String {
        let lines: Vec<String> = found
            .unwrap_err()
            .into_iter()
            .map(|problem| format!("{}: {}", problem.offset, problem.reason))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_pattern_matches_whole_tags_with_parts_that_are_what_they_say() {
        for (pattern, taken, left) in [
            (
                "develop-{sha}",
                "develop-0a1b2c3 develop-1234567",
                "develop-0a1b2c develop-0a1b2c3-debug xdevelop-0a1b2c3 develop-xyzxyzx",
            ),
            (
                "main-{number}-{sha}",
                "main-7-0a1b2c3 main-007-0a1b2c3",
                "main--0a1b2c3 main-7",
            ),
            (
                "{timestamp}",
                "20240102030405 20240102T030405Z 1704164645",
                "20241302030405 20240102 2024-01-02",
            ),
            (
                "v{version}-alpine",
                "v1.2.3-alpine v1.2.3-rc.1-alpine",
                "v1.2.3 1.2.3-alpine vv1.2.3-alpine v1.2.3-alpine3",
            ),
            (
                "app-{version}",
                "app-1.2.3 app-v1.2.3",
                "app-1.2 app-1.2.3_x",
            ),
            ("{major}.{minor}", "1.2 2024.06", "1 1.2.3 v1.2"),
            ("{branch}-{number}", "feature-x-12 a-1", "feature-x -1"),
            ("{any}-{version}-{any}", "a-1.2.3-b", "a-1.2.3"),
            ("a.b", "a.b", "axb"),
        ] {
            let shape = Shape::of_pattern(pattern).unwrap();
            for tag in taken.split(' ') {
                assert!(shape.read(tag).is_ok(), "{pattern} takes {tag}");
            }
            for tag in left.split(' ') {
                assert!(shape.read(tag).is_err(), "{pattern} leaves {tag}");
            }
        }
    }

    #[test]
    fn a_version_in_a_pattern_keeps_its_pre_release_and_loses_the_text_around() {
        let shape = Shape::of_pattern("v{version}-alpine").unwrap();
        let reading = shape.read("v1.2.3-rc.1-alpine").unwrap();
        assert_eq!(reading.version.unwrap().to_string(), "1.2.3-rc.1");
        assert_eq!(reading.version_at, 1..11);
    }

    #[test]
    fn timestamps_of_all_three_forms_are_one_instant() {
        let expected = "2024-01-02T03:04:05Z".parse().ok();
        for text in [
            "20240102030405",
            "20240102T030405Z",
            "20240102T030405",
            "1704164645",
        ] {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        }
        for text in ["20240230030405", "20240102T0304Z", "", "2024010203040x"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_with_parts_that_end_by_themselves_are_read_without_a_regular_expression() {
        let is_straight = |pattern| {
            matches!(
                Shape::of_pattern(pattern).unwrap().reader,
                Reader::Straight(_)
            )
        };
        for pattern in [
            "main-{number}-{sha}",
            "{major}.{minor}",
            "{sha}_{number}",
            "latest",
        ] {
            assert!(is_straight(pattern), "{pattern}");
        }
        for pattern in [
            "v{version}",
            "{timestamp}",
            "{branch}-{number}",
            "{sha}-{any}",
        ] {
            assert!(!is_straight(pattern), "{pattern}");
        }
        assert!(!is_straight("{number}0-{sha}") && !is_straight("{sha}a"));
    }

    proptest! {
        #[test]
        fn a_pattern_says_the_same_with_its_regular_expression_and_without(
            pattern in "(main-|x)?\\{(number|sha|major)\\}([-._]([a-g0-2]?)(\\{(sha|minor|patch)\\})?)?",
            tag in "(main-|x)?[0-9a-g]{1,70}([-._][0-9a-g]{0,70})?",
        ) {
            if let Ok((expression, named)) = read_pattern(&pattern)
                && let Some(straight) = Straight::of(&pattern)
            {
                let compiled = Compiled::new(&expression, (&named, Size::Pattern)).unwrap();
                prop_assert_eq!(straight.spans(&tag), compiled.spans(&tag));
            }
        }
    }

    #[test]
    fn a_wrong_pattern_is_explained_at_its_column() {
        insta::assert_snapshot!(problems(Shape::of_pattern("main-{commit}-{numer}")), @r#"
        5: `commit` is not a part of a tag: the parts are `{sha}`, `{number}`, `{timestamp}`, `{version}`, `{branch}`, `{any}`, `{major}`, `{minor}`, `{patch}`
        14: `numer` is not a part of a tag (did you mean `number`?): the parts are `{sha}`, `{number}`, `{timestamp}`, `{version}`, `{branch}`, `{any}`, `{major}`, `{minor}`, `{patch}`
        "#);
        insta::assert_snapshot!(problems(Shape::of_pattern("{version}{any}")), @"9: `{any}` touches the part before it, so where one ends would be a guess: put text between them");
        insta::assert_snapshot!(problems(Shape::of_pattern("a/{sha}-{sha}-{minor}")), @r#"
        1: `/` cannot stand in a tag: letters, digits, `_`, `.` and `-` can
        8: `{sha}` stands here a second time
        14: `{minor}` needs `{major}`
        "#);
        insta::assert_snapshot!(problems(Shape::of_pattern("main-{sha")), @"5: `{` is not closed: parts are written `{sha}`");
        insta::assert_snapshot!(problems(Shape::of_pattern("main-sha}")), @"8: `}` closes nothing: parts are written `{sha}`");
        insta::assert_snapshot!(problems(Shape::of_pattern(&"{sha}-".repeat(20_000))), @"0: the pattern cannot be read: it is longer than 1024 bytes");
        insta::assert_snapshot!(problems(Shape::of_pattern("")), @"0: the pattern is empty: write one such as `main-{number}-{sha}`");
        insta::assert_snapshot!(problems(Shape::of_pattern("{version}-{major}")), @"10: `{major}` cannot stand beside `{version}`, which holds it");
    }

    #[test]
    fn a_regular_expression_is_anchored_and_its_groups_are_parts() {
        let shape = Shape::of_regex("main-(?P<number>[0-9]+)|b").unwrap();
        assert!(shape.read("main-7-debug").is_err());
        assert_eq!(shape.read("main-7").unwrap().number, Some(7));
        for honest in [
            r"v?(?P<version>\d+\.\d+\.\d+)",
            r"(?P<branch>[\w.-]+)-(?P<timestamp>\d{14}|\d{8}T\d{6}Z?)-(?P<sha>\w{7,64})",
            r"release-\d{1,4}\.\d{1,4}-.{1,128}",
            r"(?i)(?P<branch>[^é]\W+)",
        ] {
            assert!(Shape::of_regex(honest).is_ok(), "{honest}");
        }
        for (written, tag) in [
            ("(?i)ſh-.*", "sh-1"),
            (r"(?i)\u212A-.*", "k-1"),
            (r"(?i)\x{17F}-.*", "S-1"),
        ] {
            assert!(
                Shape::of_regex(written).unwrap().read(tag).is_ok(),
                "{written}"
            );
        }
        let unicode = Shape::of_regex(r"\p{Lu}-[^é]").unwrap();
        assert!(unicode.read("A-b").is_ok() && unicode.read("a-b").is_err());
        insta::assert_snapshot!(problems(Shape::of_regex(r"\p{L}{100}")), @r"0: the regular expression cannot be read: it needs more than the 262144 bytes that one may have; shorter repetitions, and `[0-9A-Za-z_]` in place of `\w`, need less");
        insta::assert_snapshot!(problems(Shape::of_regex("[aA-zZ")), @"0: the regular expression cannot be read: unclosed character class");
        insta::assert_snapshot!(problems(Shape::of_regex("main-(?P<ts>.*)")), @"9: `ts` is not a part of a tag (did you mean `timestamp`?): the parts are `{sha}`, `{number}`, `{timestamp}`, `{version}`, `{branch}`, `{any}`, `{major}`, `{minor}`, `{patch}`");
    }
}
