//! Regular expressions that people write, in policies of files and of custom resources: bounded, and each compiled once however many
//! policies have it.
//!
//! Not here: what they are matched with. How many different ones the custom resources of a namespace may have is told in `config`, of
//! the keys under which they stand there: a new key with one belongs there too.
//! Invariant: none takes more memory than its [`Size`] lets it, nor more time than the length of the text it is matched with, times that.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use globset::GlobBuilder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, GroupKind, Visitor, visit};
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::Translator;

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

/// What a regular expression of tags may take as a machine: 10,922 states of 24 bytes at least. With the 129 places of the longest tag
/// that is less than the 2,097,152 bits with which the library steps back, so that it never makes the table of its slower way, which has
/// all groups of all states: of 1,000 groups 126 MB were measured. Nearly all are of ASCII, and take a few KiB.
const TAGS_BYTES_MAX: usize = 256 * 1024;

/// What a regular expression of texts may take as a machine: 21,845 states of 24 bytes at least; `.{0,500}` of all Unicode needs most of
/// it. 1.1 MB in use were the most that was measured, and 1.7 MB while it is made. At most it is 4 MB: the machine forwards and backwards
/// 1, the one of a single pass 1, and what is remembered of states 1.4, where no group is.
const TEXTS_BYTES_MAX: usize = 512 * 1024;

/// Bytes of a pattern or a glob: eight of the longest tags. Of letters alone at least 300 fit into the machine. What reads them
/// may take the square of it.
const PATTERN_LENGTH_MAX: usize = 1024;

/// Braces that a glob opens. Each may be within the one before, and takes some hundred bytes of the stack; the regular expression that
/// is made of it has a group for each, of which 250 may be nested.
const GLOB_BRACES_MAX: usize = 100;

/// Bytes of a regular expression. It is read as a whole before its machine is bounded, and then two characters can be a class of all
/// Unicode, such as `\w`: of 4 KiB of them 14 MB were measured, 59 MB where it is also without case, and 660 MB of 200 kB.
const REGEX_LENGTH_MAX: usize = 4 * 1024;

/// What may be remembered of a machine's states while it is in use, for each direction and thread: 500 states of 128 bytes. Beyond, it
/// is slower.
const STATES_BYTES_MAX: usize = 64 * 1024;

/// How large a compiled expression may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// One that we make of parts or of a glob.
    Pattern,
    /// One of tags that somebody wrote.
    Tags,
    /// One of any text that somebody wrote.
    Texts,
}

impl Size {
    fn bytes_max(self) -> usize {
        match self {
            Self::Pattern => PATTERN_BYTES_MAX,
            Self::Tags => TAGS_BYTES_MAX,
            Self::Texts => TEXTS_BYTES_MAX,
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

/// A glob that somebody wrote.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    text: Arc<str>,
    regex: Arc<Regex>,
}

impl Glob {
    /// A glob of names, in which `*` is anything; or why `text` is none.
    pub(crate) fn of_names(text: &str) -> Result<Self, String> {
        Self::new(text, &mut GlobBuilder::new(text))
    }

    /// A glob of paths, in which `*` ends at a `/` and `**` does not; or why `text` is none.
    pub(crate) fn of_paths(text: &str) -> Result<Self, String> {
        Self::new(text, GlobBuilder::new(text).literal_separator(true))
    }

    fn new(text: &str, builder: &mut GlobBuilder<'_>) -> Result<Self, String> {
        check_length(text, Size::Pattern)?;
        if text.matches('{').count() > GLOB_BRACES_MAX {
            return Err(format!("it has more than {GLOB_BRACES_MAX} `{{`"));
        }
        let glob = builder.build().map_err(|error| error.kind().to_string())?;
        // To the library's own matcher `.` is any byte.
        let regex = shared(&format!("(?s){}", glob.regex()), Size::Pattern);
        Ok(Self {
            text: text.into(),
            regex: regex.map_err(|error| in_short(&error))?,
        })
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

/// The same of the same kind.
impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Glob {}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Refuses a text that is too long to be read.
pub(super) fn check_length(text: &str, size: Size) -> Result<(), String> {
    let length_max = match size {
        Size::Pattern => PATTERN_LENGTH_MAX,
        Size::Tags | Size::Texts => REGEX_LENGTH_MAX,
    };
    match text.len() > length_max {
        true => Err(format!("it is longer than {length_max} bytes")),
        false => Ok(()),
    }
}

/// A regular expression that somebody wrote, read and not yet compiled.
pub(super) struct Written {
    pub(super) meaning: Hir,
    /// Its text without the groups that nobody asks for, which cost memory for each state.
    pub(super) text: String,
}

/// Reads a regular expression, of whose groups only those that are `named` count; or tells the bytes before what is wrong, and why.
pub(super) fn read(text: &str, (named, size): (&[&str], Size)) -> Result<Written, (usize, String)> {
    check_length(text, size).map_err(|reason| (0, reason))?;
    let parsed = Parser::new().parse(text);
    let ast = parsed.map_err(|e| (e.span().start.offset, e.kind().to_string()))?;
    let meaning = Translator::new().translate(text, &ast);
    let meaning = meaning.map_err(|e| (e.span().start.offset, e.kind().to_string()))?;
    let mut without = String::new();
    let mut at = 0;
    let Ok(opened) = visit(&ast, Unnamed(named, Vec::new()));
    for Range { start, end } in opened {
        without.push_str(&text[at..start]);
        without.push_str("(?:");
        at = end;
    }
    without.push_str(&text[at..]);
    Ok(Written {
        meaning,
        text: without,
    })
}

/// Whether all letters that an expression names are of ASCII. Without case, others can be of ASCII too: `ſ` is `s`.
pub(super) fn names_ascii(expression: &str) -> bool {
    let others = [r"\x{", r"\u", r"\U"];
    expression.is_ascii() && !others.iter().any(|escape| expression.contains(escape))
}

/// Finds what opens the groups that do not have one of these names.
struct Unnamed<'a>(&'a [&'a str], Vec<Range<usize>>);

impl Visitor for Unnamed<'_> {
    type Output = Vec<Range<usize>>;
    type Err = Infallible;

    fn finish(self) -> Result<Self::Output, Infallible> {
        Ok(self.1)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        if let Ast::Group(group) = ast {
            let start = group.span.start.offset;
            match &group.kind {
                GroupKind::CaptureIndex(_) => self.1.push(start..start + "(".len()),
                GroupKind::CaptureName { name, .. } if !self.0.contains(&&*name.name) => {
                    self.1.push(start..name.span.end.offset + ">".len());
                }
                GroupKind::CaptureName { .. } | GroupKind::NonCapturing(_) => {}
            }
        }
        Ok(())
    }
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

    use super::{Glob, Size, in_short, read, shared};

    #[test]
    fn equal_expressions_are_compiled_once_and_go_with_the_last_that_uses_them() {
        let (first, second) = (
            shared("only-here", Size::Tags).unwrap(),
            shared("only-here", Size::Tags).unwrap(),
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
            let error = shared(hostile, Size::Tags).unwrap_err();
            assert!(
                in_short(&error).starts_with("it needs more than"),
                "{error}"
            );
        }
        for honest in [r"\w+-\w+", r"v\d+\.\d+\.\d+", ".*ok.*", "(?i)pass|success"] {
            assert!(shared(honest, Size::Tags).is_ok(), "{honest}");
        }
        insta::assert_snapshot!(in_short(&shared(r"\w{100}", Size::Tags).unwrap_err()), @"it needs more than the 262144 bytes that one may have; shorter repetitions, and `[0-9A-Za-z_]` in place of `\\w`, need less");
    }

    #[test]
    fn a_glob_that_would_be_large_or_deep_is_refused_with_words() {
        let deep = |depth: usize| format!("a{}b{}", "{".repeat(depth), "}".repeat(depth));
        let hostile = [
            deep(20_000),
            deep(251),
            deep(101),
            "*?".repeat(60_000),
            "{a,b".to_owned(),
        ];
        let told = hostile.iter().map(|text| Glob::of_names(text).unwrap_err());
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
        it is longer than 1024 bytes
        it has more than 100 `{`
        it has more than 100 `{`
        it is longer than 1024 bytes
        unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        ");
        for of in [Glob::of_names, Glob::of_paths] {
            assert!(hostile.iter().all(|text| of(text).is_err()));
            assert!(of(&deep(100)).is_ok());
            assert!(of(&"a".repeat(300)).is_ok());
        }
        assert!(
            Glob::of_names("*-fffffff")
                .unwrap()
                .is_match("main/1-fffffff")
        );
        assert!(
            !Glob::of_paths("*-fffffff")
                .unwrap()
                .is_match("main/1-fffffff")
        );
        assert!(!Glob::of_names("v?").unwrap().is_match("v"));
    }

    #[test]
    fn a_regular_expression_that_is_long_or_deep_is_refused_with_words() {
        let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        let hostile = [
            deep(20_000),
            deep(2000),
            r"\w".repeat(100_000),
            "[".repeat(4000),
        ];
        let told = hostile.map(|text| {
            let (at, why) = read(&text, (&[], Size::Texts)).err().unwrap();
            format!("{at}: {why}")
        });
        insta::assert_snapshot!(told.join("\n"), @"
        0: it is longer than 4096 bytes
        250: exceed the maximum number of nested parentheses/brackets (250)
        0: it is longer than 4096 bytes
        3999: unclosed character class
        ");
    }

    #[test]
    fn groups_that_nobody_asks_for_are_none() {
        let written = r"((?i)é)\((?P<sha>[(]a)(?<other>b)(?:(c))";
        let text = |named: &[&str]| read(written, (named, Size::Texts)).ok().unwrap().text;
        assert_eq!(text(&[]), r"(?:(?i)é)\((?:[(]a)(?:b)(?:(?:c))");
        assert_eq!(text(&["sha"]), r"(?:(?i)é)\((?P<sha>[(]a)(?:b)(?:(?:c))");
        let regex = shared(&text(&[]), Size::Texts).unwrap();
        assert!(regex.is_match("É((abc".as_bytes()));
        assert_eq!(regex.captures_len(), 1);
    }
}
