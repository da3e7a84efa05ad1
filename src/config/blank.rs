//! Texts with `{policy}` and `{environment}` in them, so that many policies can share a route.
//!
//! Not here: the named parts of tags (`tags`), and what commits and pull requests say (`nouns`, `templates`).
//! Invariant: a text is looked at when it is read, with stand-ins for the names, so that what is wrong with it is told at its place.

use std::fmt;
use std::ops::Range;

use serde_json::Value as Json;

use super::artifact::Artifact;
use super::nouns::{BranchName, MarkerPolicy};
use super::problem::Faults;
use super::shape::{Leaf, Placed, Refusal, list, nearest, refuse};
use crate::edit::{Document, Path as YamlPath, Step};
use crate::manifest::RepoPath;

/// What stands for a dot of a name while a path in YAML is read, where a dot would end a key: a character that no script has.
const DOT: char = '\u{e000}';

/// A text that is a `T` once its names are filled in.
#[derive(Clone, Debug)]
pub(super) enum Blank<T> {
    /// It has no names.
    Whole(T),
    Open(Vec<Part>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Name(Name),
}

/// What a text can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Policy,
    Environment,
}

/// What the names stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) policy: &'a str,
    /// Empty for texts that know no environment.
    pub(super) environment: &'a str,
}

/// What can have names in it.
pub(super) trait Fill: Leaf + Clone {
    /// The names that it knows.
    const KNOWN: &'static [Name] = &[Name::Policy, Name::Environment];

    fn filled(parts: &[Part], names: Names<'_>) -> Result<Self, Refusal> {
        Self::parse(&text(parts, names))
    }
}

impl Fill for RepoPath {}
impl Fill for BranchName {}
impl Fill for Document {}
impl Fill for MarkerPolicy {}
impl Fill for String {}

impl Fill for Artifact {
    /// An image is one for all environments.
    const KNOWN: &'static [Name] = &[Name::Policy];
}

impl Fill for YamlPath {
    /// A name is never more than a part of one key.
    fn filled(
        parts: &[Part],
        Names {
            policy,
            environment,
        }: Names<'_>,
    ) -> Result<Self, Refusal> {
        let closed = |name: &str| name.replace('.', DOT.encode_utf8(&mut [0; 4]));
        let (policy, environment) = (closed(policy), closed(environment));
        let names = Names {
            policy: &policy,
            environment: &environment,
        };
        let path = Self::parse(&text(parts, names))?;
        let opened = |text: &str| text.replace(DOT, ".");
        let steps = path.steps().iter().map(|step| match step {
            Step::Key(key) => Step::Key(opened(key)),
            Step::Index(index) => Step::Index(*index),
            Step::Item { key, value } => Step::Item {
                key: opened(key),
                value: opened(value),
            },
        });
        Ok(Self::of(steps.collect()).unwrap_or(path))
    }
}

impl Name {
    fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Environment => "environment",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.word())
    }
}

impl<T: Fill> Blank<T> {
    /// Whether it is another text for another value of `name`.
    pub(super) fn names(&self, name: Name) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Open(parts) => parts.contains(&Part::Name(name)),
        }
    }
}

impl<T: Fill> Placed<Blank<T>> {
    /// The value with its names filled in; `None` where they do not fit, which is noted.
    pub(super) fn filled(&self, names: Names<'_>, faults: &mut Faults) -> Option<T> {
        let parts = match &self.value {
            Blank::Whole(value) => return Some(value.clone()),
            Blank::Open(parts) => parts,
        };
        match T::filled(parts, names) {
            Ok(value) => Some(value),
            Err(refusal) => {
                refuse(faults, self.span, refusal);
                None
            }
        }
    }
}

impl<T: Fill> Leaf for Blank<T> {
    const TAKES_NUMBERS: bool = T::TAKES_NUMBERS;

    fn parse(text: &str) -> Result<Self, Refusal> {
        if !text.contains(['{', '}']) {
            return T::parse(text).map(Self::Whole);
        }
        let parts = parts(text, T::KNOWN)?;
        let stand_ins = Names {
            policy: Name::Policy.word(),
            environment: Name::Environment.word(),
        };
        let of_stand_ins = |refusal| Refusal {
            part: None,
            ..refusal
        };
        T::filled(&parts, stand_ins).map_err(of_stand_ins)?;
        Ok(Self::Open(parts))
    }

    fn schema() -> Json {
        T::schema()
    }
}

/// Splits a text at its names.
pub(super) fn parts(text: &str, known: &[Name]) -> Result<Vec<Part>, Refusal> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(['{', '}']).map(|brace| at + brace) {
        let length = text[start..].find('}').map(|length| length + 1);
        let end = start + length.unwrap_or(text.len() - start);
        let name = name(text, start..end, known)?;
        if start > at {
            parts.push(Part::Text(text[at..start].to_owned()));
        }
        parts.push(Part::Name(name));
        at = end;
    }
    if at < text.len() {
        parts.push(Part::Text(text[at..].to_owned()));
    }
    Ok(parts)
}

fn name(text: &str, place: Range<usize>, known: &[Name]) -> Result<Name, Refusal> {
    let part = &text[place.clone()];
    let word = part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'));
    let found = known.iter().find(|name| word == Some(name.word()));
    let words: Vec<&str> = known.iter().map(|name| name.word()).collect();
    let spelled: Vec<String> = known.iter().map(ToString::to_string).collect();
    let spelled: Vec<&str> = spelled.iter().map(String::as_str).collect();
    found.copied().ok_or_else(|| Refusal {
        part: Some(place),
        ..Refusal::new(format!("unknown part `{part}`")).hint(
            match word.and_then(|word| nearest(word, &words)) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("known here: {}", list(&spelled)),
            },
        )
    })
}

fn text(
    parts: &[Part],
    Names {
        policy,
        environment,
    }: Names<'_>,
) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Name(Name::Policy) => policy.to_owned(),
        Part::Name(Name::Environment) => environment.to_owned(),
    };
    parts.iter().map(text).collect()
}
