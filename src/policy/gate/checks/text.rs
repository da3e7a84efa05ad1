//! Texts of checks that name what is asked about: `https://smoke.example.com/{policy}/{version}`.
//!
//! A brace that opens no name is a brace: PromQL and JSON are full of them, and `{word}` has no meaning in either.
//! Invariant: what is filled in are names, tags and digests, made of letters, digits, `-`, `_`, `.` and `:`. None of these has a
//! meaning within a string of PromQL or JSON, nor in the path or query of a URL, so that nothing has to be escaped.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::image::{Digest, Tag};
use crate::policy::{EnvironmentName, PolicyName};

/// A text with names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    Name(Name),
}

/// What a text can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// What people call the version: its tag, or where a tag is followed its digest.
    Version,
    Tag,
    Digest,
    Policy,
    Environment,
    /// The environment that versions come from, the first where there are several.
    Before,
}

/// What the names stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) policy: &'a PolicyName,
    pub(crate) environment: &'a EnvironmentName,
    /// Where versions come from other environments, the first of these.
    pub(crate) before: Option<&'a EnvironmentName>,
    pub(crate) tag: &'a Tag,
    pub(crate) digest: &'a Digest,
    /// Whether the tag is followed, so that its digests are the versions.
    pub(crate) is_followed: bool,
}

/// Why a text is none: it names what nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown part `{{{word}}}`")]
pub(crate) struct ParseTextError {
    pub(crate) word: String,
    /// In bytes of the text.
    pub(crate) place: Range<usize>,
}

impl Name {
    pub(crate) const ALL: [Self; 6] = [
        Self::Version,
        Self::Tag,
        Self::Digest,
        Self::Policy,
        Self::Environment,
        Self::Before,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Tag => "tag",
            Self::Digest => "digest",
            Self::Policy => "policy",
            Self::Environment => "environment",
            Self::Before => "before",
        }
    }
}

impl About<'_> {
    fn value(&self, name: Name) -> &str {
        match name {
            Name::Version if self.is_followed => self.digest.as_str(),
            Name::Version | Name::Tag => self.tag.as_str(),
            Name::Digest => self.digest.as_str(),
            Name::Policy => self.policy.as_str(),
            Name::Environment => self.environment.as_str(),
            Name::Before => self.before.map_or("", EnvironmentName::as_str),
        }
    }
}

impl Text {
    /// The text with what its names stand for.
    pub(crate) fn fill(&self, about: &About<'_>) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Words(words) => words,
            Part::Name(name) => about.value(*name),
        });
        parts.collect()
    }

    /// What stands before the first name.
    pub(crate) fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Part::Words(words)) => words,
            Some(Part::Name(_)) | None => "",
        }
    }

    pub(crate) fn names(&self, name: Name) -> bool {
        self.0.contains(&Part::Name(name))
    }
}

impl FromStr for Text {
    type Err = ParseTextError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let (mut words_from, mut at) = (0, 0);
        while let Some(open) = s[at..].find('{').map(|open| at + open) {
            let inside = &s[open + 1..];
            let length = inside.find(|c: char| !c.is_ascii_lowercase());
            at = open + 1;
            let Some(length) = length.filter(|end| *end > 0 && inside[*end..].starts_with('}'))
            else {
                continue;
            };
            let word = &inside[..length];
            at += length + 1;
            let known = Name::ALL.into_iter().find(|name| name.as_str() == word);
            let name = known.ok_or_else(|| ParseTextError {
                word: word.to_owned(),
                place: open..at,
            })?;
            parts.push(Part::Words(s[words_from..open].to_owned()));
            parts.push(Part::Name(name));
            words_from = at;
        }
        parts.push(Part::Words(s[words_from..].to_owned()));
        Ok(Self(parts))
    }
}

impl fmt::Display for Text {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Words(words) => f.write_str(words),
            Part::Name(name) => write!(f, "{{{}}}", name.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Name, Text};

    fn filled(text: &str, is_followed: bool) -> String {
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let about = About {
            policy: &"portal".parse().unwrap(),
            environment: &"production".parse().unwrap(),
            before: Some(&"staging".parse().unwrap()),
            tag: &"v1.5.0".parse().unwrap(),
            digest: &digest,
            is_followed,
        };
        let text: Text = text.parse().unwrap();
        text.fill(&about).replace(digest.as_str(), "DIGEST")
    }

    #[test]
    fn names_are_filled_in_and_other_braces_are_braces() {
        for (text, expected) in [
            ("", ""),
            (
                "{policy}/{environment}/{before}/{tag}@{digest}",
                "portal/production/staging/v1.5.0@DIGEST",
            ),
            (
                r#"sum(rate(errors{app="{policy}",version=~"{version}|x{2}"}[5m])) by (a)"#,
                r#"sum(rate(errors{app="portal",version=~"v1.5.0|x{2}"}[5m])) by (a)"#,
            ),
            (
                r#"{"version":"{version}","a":{}}"#,
                r#"{"version":"v1.5.0","a":{}}"#,
            ),
            ("{{policy}} { tag} {tag", "{portal} { tag} {tag"),
        ] {
            assert_eq!(filled(text, false), expected, "{text}");
            assert_eq!(text.parse::<Text>().unwrap().to_string(), text);
        }
        assert_eq!(filled("{version} {tag}", true), "DIGEST v1.5.0");
        assert!("{before}".parse::<Text>().unwrap().names(Name::Before));
    }

    #[test]
    fn a_name_that_nobody_knows_is_refused_at_its_place() {
        let error = "a{polcy}b".parse::<Text>().unwrap_err();
        assert_eq!(error.to_string(), "unknown part `{polcy}`");
        assert_eq!(error.place, 1..8);
    }
}
