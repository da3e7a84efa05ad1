//! A path to one place in a YAML document, such as `spec.containers[name=web].image`.
//!
//! Not here: looking the path up in a document (`find`).
//! Invariant: a path has at least one step, and its text parses back to the same path.

use std::fmt;
use std::str::FromStr;

/// A path to one place in a YAML document.
///
/// Keys are joined by `.`; `[0]` is an item of a list by its index, `[name=web]` the one item whose `name` is
/// `web`. A key or a value that holds one of `.[]="\` is written in double quotes, with `\"` and `\\`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(Vec<Step>); // Invariant: not empty.

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The value of a key of a map.
    Key(String),
    /// An item of a list, counted from 0.
    Index(usize),
    /// The item of a list that is a map with this value under this key.
    Item { key: String, value: String },
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path: {reason}")]
pub(crate) struct ParsePathError {
    path: String,
    reason: &'static str,
}

/// Most steps of a path. Values files nest about ten deep, and the parser ends at 255.
const STEPS_MAX: usize = 64;

/// Characters that end a bare key or value.
const SPECIAL: [char; 6] = ['.', '[', ']', '=', '"', '\\'];

impl Path {
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The key that the path ends with, if it ends with one.
    pub(crate) fn last_key(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Key(key)) => Some(key),
            Some(Step::Index(_) | Step::Item { .. }) | None => None,
        }
    }

    /// The path without its first `count` steps, of which it has more.
    pub(crate) fn without_first(&self, count: usize) -> Self {
        Self(self.0[count..].to_vec())
    }

    /// The path that goes on by the steps of `rest`.
    pub(crate) fn join(&self, rest: &Self) -> Self {
        Self([&self.0[..], &rest.0[..]].concat())
    }

    /// The path to `key` of the map that this one leads to.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.join(&Self(vec![Step::Key(key.to_owned())]))
    }

    /// The path made of `steps`, if there are any.
    pub(crate) fn of(steps: Vec<Step>) -> Option<Self> {
        (!steps.is_empty()).then_some(Self(steps))
    }

    /// The first `count` steps as text, for messages; the root is `.`.
    pub(crate) fn prefix(&self, count: usize) -> String {
        match &self.0[..count] {
            [] => ".".to_owned(),
            steps => Self(steps.to_vec()).to_string(),
        }
    }

    /// Parses a path at the start of `text`, and gives what follows it: an empty text or one that starts with `=`.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Self, &str), ParsePathError> {
        let refused = |reason| ParsePathError {
            path: text.to_owned(),
            reason,
        };
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            if steps.len() > STEPS_MAX {
                return Err(refused("it has too many steps"));
            }
            let is_first = steps.is_empty();
            rest = match rest.chars().next() {
                None | Some('=') if !is_first => return Ok((Self(steps), rest)),
                Some('[') => {
                    let (step, rest) = parse_brackets(&rest[1..]).map_err(refused)?;
                    steps.push(step);
                    rest
                }
                Some('.') if !is_first => {
                    let (key, rest) = parse_word(&rest[1..]).map_err(refused)?;
                    steps.push(Step::Key(key));
                    rest
                }
                _ if is_first => {
                    let (key, rest) = parse_word(rest).map_err(refused)?;
                    steps.push(Step::Key(key));
                    rest
                }
                _ => return Err(refused("`.` or `[` must follow a key")),
            };
        }
    }
}

impl FromStr for Path {
    type Err = ParsePathError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match Self::parse_prefix(s)? {
            (path, "") => Ok(path),
            _ => Err(ParsePathError {
                path: s.to_owned(),
                reason: "a key that holds `=` needs double quotes",
            }),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(&word(key))?,
                Step::Key(key) => write!(f, ".{}", word(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Item { key, value } => write!(f, "[{}={}]", word(key), item_value(value))?,
            }
        }
        Ok(())
    }
}

/// The inside of brackets, up to and with the closing one.
fn parse_brackets(text: &str) -> Result<(Step, &str), &'static str> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if digits > 0 && text[digits..].starts_with(']') {
        let index = text[..digits]
            .parse()
            .map_err(|_| "the index is too large")?;
        return Ok((Step::Index(index), &text[digits + 1..]));
    }
    let hint = "brackets hold an index from 0 on, or `key=value`";
    let (key, rest) = parse_word(text).map_err(|_| hint)?;
    let rest = rest.strip_prefix('=').ok_or(hint)?;
    let (value, rest) = match rest.starts_with('"') {
        true => parse_word(rest)?,
        // Versions and host names hold dots, which mean nothing before the closing bracket.
        false => {
            let end = rest.find([']', '[', '"', '\\', '=']).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    let rest = rest.strip_prefix(']').ok_or("a bracket is not closed")?;
    Ok((Step::Item { key, value }, rest))
}

/// A key, bare or in double quotes.
fn parse_word(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(SPECIAL).unwrap_or(text.len());
        return match &text[..end] {
            "" => Err("a key is empty"),
            bare if bare.chars().any(char::is_control) => {
                Err("a control character needs double quotes")
            }
            bare => Ok((bare.to_owned(), &text[end..])),
        };
    };
    let mut word = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((word, &quoted[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => word.push(escaped),
                _ => return Err("in double quotes `\\` stands only before `\"` or `\\`"),
            },
            other => word.push(other),
        }
    }
    Err("a double quote is not closed")
}

fn word(text: &str) -> String {
    let bare = !text.is_empty() && !text.contains(SPECIAL) && !text.chars().any(char::is_control);
    match bare {
        true => text.to_owned(),
        false => quoted(text),
    }
}

fn item_value(text: &str) -> String {
    match text.contains([']', '[', '"', '\\', '=']) {
        true => quoted(text),
        false => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_oneof, proptest};
    use proptest::strategy::Strategy as _;

    use super::{Path, Step};

    fn steps(text: &str) -> Vec<Step> {
        text.parse::<Path>().unwrap().steps().to_vec()
    }

    fn key(text: &str) -> Step {
        Step::Key(text.to_owned())
    }

    #[test]
    fn keys_indexes_and_items_are_told_apart() {
        let item = Step::Item {
            key: "name".to_owned(),
            value: "web.v1".to_owned(),
        };
        assert_eq!(
            steps("spec.containers[name=web.v1].image"),
            [key("spec"), key("containers"), item, key("image")]
        );
        assert_eq!(
            steps(r#"images123[0]."a.b".c"#),
            [key("images123"), Step::Index(0), key("a.b"), key("c")]
        );
        assert_eq!(steps("[2].x"), [Step::Index(2), key("x")]);
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        let reason = |text: &str| text.parse::<Path>().unwrap_err().to_string();
        insta::assert_snapshot!(reason(""), @"`` is not a path: a key is empty");
        insta::assert_snapshot!(reason("a..b"), @"`a..b` is not a path: a key is empty");
        insta::assert_snapshot!(reason("a[-1]"), @"`a[-1]` is not a path: brackets hold an index from 0 on, or `key=value`");
        insta::assert_snapshot!(reason("a[x]"), @"`a[x]` is not a path: brackets hold an index from 0 on, or `key=value`");
        insta::assert_snapshot!(reason("a[name=x"), @"`a[name=x` is not a path: a bracket is not closed");
        insta::assert_snapshot!(reason("a[0]b"), @"`a[0]b` is not a path: `.` or `[` must follow a key");
        insta::assert_snapshot!(reason("\"a"), @r#"`"a` is not a path: a double quote is not closed"#);
        insta::assert_snapshot!(reason("a=b"), @"`a=b` is not a path: a key that holds `=` needs double quotes");
        assert!(vec!["a"; 64].join(".").parse::<Path>().is_ok());
        assert!(vec!["a"; 65].join(".").parse::<Path>().is_err());
        assert!("a[99999999999999999999]".parse::<Path>().is_err());
    }

    #[test]
    fn a_path_may_be_followed_by_an_equals_sign_and_anything() {
        let (path, rest) = Path::parse_prefix("a[name=b].c=d=e").unwrap();
        assert_eq!((path.to_string().as_str(), rest), ("a[name=b].c", "=d=e"));
    }

    proptest! {
        #[test]
        fn the_text_of_a_path_parses_back_to_it(steps in proptest::collection::vec(
            prop_oneof![
                any::<String>().prop_map(Step::Key),
                any::<usize>().prop_map(Step::Index),
                (any::<String>(), any::<String>()).prop_map(|(key, value)| Step::Item { key, value }),
            ],
            1..5,
        )) {
            let path = Path(steps);
            assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
        }
    }
}
