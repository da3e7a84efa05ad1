//! What a check expects of an answer over HTTP: its status, and values in its JSON.

use std::fmt;
use std::sync::Arc;

use regex::bytes::Regex;

use crate::policy::expression::{Size, in_short, read, shared};

/// Characters of a text that are told: one line.
const TOLD_LENGTH_MAX: usize = 200;

/// What is expected, all of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expect {
    /// One of these; never empty.
    pub(crate) status: Vec<Statuses>,
    pub(crate) json: Vec<Condition>,
}

/// One status, or a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statuses {
    One(u16),
    /// `2xx` by its first digit.
    Class(u16),
}

/// What is expected of one value in the JSON of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    /// A JSON pointer: <https://www.rfc-editor.org/rfc/rfc6901>.
    pub(crate) pointer: String,
    pub(crate) test: Test,
}

/// How a value is judged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Equals(Scalar),
    Matches(Pattern),
    AtLeast(f64),
    AtMost(f64),
}

/// A pattern of a whole text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Arc<Regex>,
}

/// A value in the JSON of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Number(f64),
    Truth(bool),
    Null,
    /// A text of which too much is there to pass it on.
    Long,
    /// A list or a map, of which nothing is told.
    Many,
}

impl Expect {
    /// What is otherwise, if anything is.
    pub(super) fn otherwise(
        &self,
        status: u16,
        value: impl Fn(&str) -> Option<Scalar>,
    ) -> Option<String> {
        if !self.status.iter().any(|expected| expected.has(status)) {
            let expected: Vec<String> = self.status.iter().map(Statuses::to_string).collect();
            return Some(format!("answered {status}, not {}", expected.join(" or ")));
        }
        self.json.iter().find_map(|condition| {
            let Condition { pointer, test } = condition;
            let is = match value(pointer) {
                None => "is not there".to_owned(),
                Some(value) if test.takes(&value) => return None,
                Some(value) => format!("is {value}"),
            };
            Some(format!(
                "answered {status}, and `{pointer}` {is}, not {test}"
            ))
        })
    }
}

impl Statuses {
    fn has(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(digit) => digit == status / 100,
        }
    }
}

impl Test {
    fn takes(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Self::Equals(expected), value) => expected == value,
            (Self::Matches(pattern), Scalar::Text(text)) => pattern.regex.is_match(text.as_bytes()),
            (Self::AtLeast(least), Scalar::Number(number)) => number >= least,
            (Self::AtMost(most), Scalar::Number(number)) => number <= most,
            (Self::Matches(_) | Self::AtLeast(_) | Self::AtMost(_), _) => false,
        }
    }
}

impl Pattern {
    /// Reads a pattern of a whole text.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        // By itself first: `a)|(b` is none, whatever stands around it.
        let written = read(text, (&[], Size::Texts)).map_err(|(_, why)| why)?;
        let regex = shared(&format!("^(?:{})$", written.text), Size::Texts);
        Ok(Self {
            text: text.to_owned(),
            regex: regex.map_err(|error| in_short(&error))?,
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => status.fmt(f),
            Self::Class(digit) => write!(f, "{digit}xx"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => value.fmt(f),
            Self::Matches(pattern) => write!(f, "like `{}`", pattern.text),
            Self::AtLeast(least) => write!(f, "{least} or more"),
            Self::AtMost(most) => write!(f, "{most} or less"),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                let printed = text.chars().map(|c| if c.is_control() { ' ' } else { c });
                let start: String = printed.clone().take(TOLD_LENGTH_MAX).collect();
                let rest = match printed.count() > TOLD_LENGTH_MAX {
                    true => "..",
                    false => "",
                };
                write!(f, "\"{start}{rest}\"")
            }
            Self::Number(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
            Self::Null => f.write_str("null"),
            Self::Long => f.write_str("a text that is too long"),
            Self::Many => f.write_str("a list or a map"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Expect, Pattern, Scalar, Statuses, Test};

    fn told(status: u16, test: Test, value: Option<Scalar>) -> String {
        let expect = Expect {
            status: vec![Statuses::Class(2), Statuses::One(304)],
            json: vec![Condition {
                pointer: "/a".to_owned(),
                test,
            }],
        };
        let otherwise = expect.otherwise(status, |pointer| {
            assert_eq!(pointer, "/a");
            value.clone()
        });
        otherwise.unwrap_or_else(|| "as expected".to_owned())
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn a_pattern_of_texts_may_have_classes_of_all_unicode_and_no_groups() {
        for honest in [r"\w+\.\w+\.\w+", ".{0,500}"] {
            assert!(Pattern::new(honest).is_ok(), "{honest}");
        }
        let grouped = Pattern::new(&format!("(?P<a>a{}|b)", "()".repeat(1000))).unwrap();
        assert_eq!(grouped.regex.captures_len(), 1);
        assert!(grouped.regex.is_match(b"b") && !grouped.regex.is_match(b"bb"));
        assert_eq!(Pattern::new("a)|(b").unwrap_err(), "unopened group");
        assert!(Pattern::new(r"\w{100}").is_err());
    }

    #[test]
    fn a_status_is_one_or_a_class() {
        let null = || Test::Equals(Scalar::Null);
        let told = |status| told(status, null(), Some(Scalar::Null));
        for status in [200, 299, 304] {
            assert_eq!(told(status), "as expected");
        }
        for status in [199, 300, 305] {
            assert_eq!(told(status), format!("answered {status}, not 2xx or 304"));
        }
    }

    #[test]
    fn a_value_is_compared_with_its_kind() {
        let equals = |test: Scalar, value| told(200, Test::Equals(test), value);
        assert_eq!(equals(text("ok"), Some(text("ok"))), "as expected");
        let told = equals(text("ok"), Some(text("no")));
        assert_eq!(told, "answered 200, and `/a` is \"no\", not \"ok\"");
        let told = equals(text("1"), Some(Scalar::Number(1.0)));
        assert_eq!(told, "answered 200, and `/a` is 1, not \"1\"");
        let told = equals(Scalar::Truth(true), None);
        assert_eq!(told, "answered 200, and `/a` is not there, not true");
    }

    #[test]
    fn a_pattern_is_of_the_whole_text() {
        let like = |value| told(200, Test::Matches(Pattern::new("ok|fine").unwrap()), value);
        assert_eq!(like(Some(text("fine"))), "as expected");
        let told = like(Some(text("fine!")));
        assert_eq!(
            told,
            "answered 200, and `/a` is \"fine!\", not like `ok|fine`"
        );
        assert!(Pattern::new("a)|(b").is_err());
    }

    #[test]
    fn a_text_is_compared_whole_and_told_in_short_on_one_line() {
        let like = |value| told(200, Test::Matches(Pattern::new("[a-z]*").unwrap()), value);
        let long = format!("{}!", "a".repeat(300));
        let shown = "a".repeat(200);
        assert_eq!(
            like(Some(text(&long))),
            format!("answered 200, and `/a` is \"{shown}..\", not like `[a-z]*`")
        );
        let told = told(200, Test::Equals(text("ok")), Some(text("ok\n")));
        assert_eq!(told, "answered 200, and `/a` is \"ok \", not \"ok\"");
        let told = like(Some(Scalar::Long));
        assert_eq!(
            told,
            "answered 200, and `/a` is a text that is too long, not like `[a-z]*`"
        );
    }

    #[test]
    fn a_bound_of_a_number_passes_itself() {
        let number = |number| Some(Scalar::Number(number));
        let least = |value| told(200, Test::AtLeast(2.0), value);
        let most = |value| told(200, Test::AtMost(2.0), value);
        assert_eq!(least(number(2.0)), "as expected");
        assert_eq!(most(number(2.0)), "as expected");
        let told = least(number(1.99));
        assert_eq!(told, "answered 200, and `/a` is 1.99, not 2 or more");
        let told = most(number(2.01));
        assert_eq!(told, "answered 200, and `/a` is 2.01, not 2 or less");
        let told = most(Some(Scalar::Many));
        assert_eq!(
            told,
            "answered 200, and `/a` is a list or a map, not 2 or less"
        );
    }
}
