//! Regular expressions that people write, in policies of files and of custom resources: bounded, and each compiled once however many
//! policies have it.
//!
//! Not here: what they are matched with. How many different ones the custom resources of a namespace may have is told in `config`, of
//! the keys under which they stand there: a new key with one belongs there too.
//! Invariant: none takes more memory than its [`Size`] lets it, nor more time than the length of the text it is matched with, times that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use globset::Glob;
use regex::bytes::{Regex, RegexBuilder};

/// The compiled expressions that somebody uses. Policies share a few patterns, and each takes up to 50 kB and 0.2 ms to compile: for
/// 1,000 policies that would be half of the memory, and most of the start. By their sizes too: whether one is refused does not depend on
/// what others wrote.
static COMPILED: Mutex<Compiled> = Mutex::new(Compiled {
    by_text: BTreeMap::new(),
    look_at: 0,
});

struct Compiled {
    by_text: BTreeMap<(Size, String), Weak<Regex>>,
    /// At how many it is looked which of them nobody uses any more: twice as many as were in use the last time, so that looking takes
    /// no more time than adding.
    look_at: usize,
}

/// What a pattern of parts, or a glob, may take as a machine. `{branch}-{timestamp}-{version}-{sha}` takes 12 KiB, and one of 128
/// characters, the longest tag, 15 KiB.
const PATTERN_BYTES_MAX: usize = 32 * 1024;

/// What a regular expression may take as a machine: two `\w` of all Unicode, or 3,000 characters. With what is made of it, and
/// while it is in use, it has 0.5 MB at the worst; the library's own limit would be 10 MiB, and 20 MB.
const REGEX_BYTES_MAX: usize = 128 * 1024;

/// What may be remembered of a machine's states while it is in use, for each direction and thread: 500 states of 128 bytes. Beyond, it
/// is slower.
const STATES_BYTES_MAX: usize = 64 * 1024;

/// How large a compiled expression may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// One that we make of parts or of a glob.
    Pattern,
    /// One that somebody wrote.
    Regex,
}

impl Size {
    fn bytes_max(self) -> usize {
        match self {
            Self::Pattern => PATTERN_BYTES_MAX,
            Self::Regex => REGEX_BYTES_MAX,
        }
    }
}

/// The compiled `expression`, the same one for all who ask while it is in use.
pub(super) fn shared(expression: &str, size: Size) -> Result<Arc<Regex>, regex::Error> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (size, expression.to_owned());
    if let Some(regex) = compiled.by_text.get(&key).and_then(Weak::upgrade) {
        return Ok(regex);
    }
    let regex = RegexBuilder::new(expression)
        .size_limit(size.bytes_max())
        .dfa_size_limit(STATES_BYTES_MAX)
        .build()?;
    if compiled.by_text.len() >= compiled.look_at {
        let is_used = |regex: &Weak<Regex>| regex.strong_count() > 0;
        compiled.by_text.retain(|_, regex| is_used(regex));
        compiled.look_at = 2 * compiled.by_text.len() + 1;
    }
    let regex = Arc::new(regex);
    compiled.by_text.insert(key, Arc::downgrade(&regex));
    Ok(regex)
}

/// The compiled glob of tags, or why `text` is none.
pub(super) fn glob(text: &str) -> Result<Arc<Regex>, String> {
    let glob = Glob::new(text).map_err(|error| error.kind().to_string())?;
    shared(glob.regex(), Size::Pattern).map_err(|error| in_short(&error))
}

/// What is wrong with an expression that can be read, in one line.
pub(super) fn in_short(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(bytes) => format!(
            "it needs more than the {bytes} bytes that one may have; shorter repetitions, and `[0-9A-Za-z_]` in place of `\\w`, need less"
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Size, glob, in_short, shared};

    #[test]
    fn equal_expressions_are_compiled_once_and_go_with_the_last_that_uses_them() {
        let (first, second) = (
            shared("only-here", Size::Regex).unwrap(),
            shared("only-here", Size::Regex).unwrap(),
        );
        assert!(Arc::ptr_eq(&first, &second));
        let gone = Arc::downgrade(&first);
        drop((first, second));
        assert_eq!(gone.strong_count(), 0);
    }

    #[test]
    fn an_expression_that_would_be_large_is_refused_with_words() {
        for hostile in [
            r"\w{100}",
            "(a{1000}){1000}",
            r".*a.{5000}",
            "((a)|(b)){2000}",
        ] {
            let error = shared(hostile, Size::Regex).unwrap_err();
            assert!(
                in_short(&error).starts_with("it needs more than"),
                "{error}"
            );
        }
        for honest in [r"\w+-\w+", r"v\d+\.\d+\.\d+", ".*ok.*", "(?i)pass|success"] {
            assert!(shared(honest, Size::Regex).is_ok(), "{honest}");
        }
        insta::assert_snapshot!(in_short(&shared(r"\w{100}", Size::Regex).unwrap_err()), @"it needs more than the 131072 bytes that one may have; shorter repetitions, and `[0-9A-Za-z_]` in place of `\\w`, need less");
        let why = glob(&"?a".repeat(10_000)).unwrap_err();
        assert!(
            why.starts_with("it needs more than the 32768 bytes"),
            "{why}"
        );
        assert!(glob("*-fffffff").unwrap().is_match(b"main-1-fffffff"));
        assert!(!glob("v?").unwrap().is_match(b"v"));
    }
}
