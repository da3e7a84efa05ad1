//! Why a text cannot be read or edited exactly: every reason, and its sentence.
//!
//! Not here: the file's name, which the caller knows.
//! Invariant: a reason that belongs to a place carries its line.

use std::collections::BTreeSet;
use std::fmt;

/// A text, or one place of it, that cannot be edited exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Refusal {
    /// One-based line of the place, if the reason has one.
    pub(crate) line: Option<usize>,
    pub(crate) reason: Reason,
}

/// Why an edit is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the file is {bytes} bytes long; at most {limit} are read")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the file has more than {limit} values")]
    TooManyNodes { limit: usize },
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    #[error("the file is templated (`{{{{ … }}}}`); only plain YAML can be edited")]
    Templated,
    #[error("the value is a template (`{{{{ … }}}}`); edit what it is filled from")]
    Template,
    #[error("not valid YAML at column {column}: {message}")]
    Syntax { column: usize, message: String },
    #[error("`{key}` stands here and again on line {again}; readers disagree on which one counts")]
    DuplicateKey { key: String, again: usize },
    #[error("{} has no key `{key}`; {known}", named(place))]
    NoKey {
        place: String,
        key: String,
        known: Known,
    },
    #[error("there is no item {index} in `{place}`, whose length is {length}")]
    NoIndex {
        place: String,
        index: usize,
        length: usize,
    },
    #[error("`{place}` has no item with `{item}`; {known}")]
    NoItem {
        place: String,
        /// `key: value`.
        item: String,
        known: Known,
    },
    #[error("`{place}` has several items with `{item}`, another on line {again}")]
    SeveralItems {
        place: String,
        item: String,
        again: usize,
    },
    #[error("`{place}` is a list; say which item, as in `[0]` or `[name=web]`")]
    ListNeedsItem { place: String },
    #[error("`{place}` is {found}, not {wanted}")]
    Unexpected {
        place: String,
        found: &'static str,
        wanted: &'static str,
    },
    #[error("the value is {found}, not a scalar")]
    NotScalar { found: &'static str },
    #[error("the file holds no values")]
    Empty,
    #[error(
        "the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`"
    )]
    Alias,
    #[error(
        "the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`"
    )]
    BehindAlias,
    #[error(
        "more than {limit} places say what stands here by an alias, which is more than one can review"
    )]
    TooManyAliases { limit: usize },
    #[error(
        "the merge key (`<<`) here leads to more than {limit} {what}, which is more than one can follow; write out what the map is to have"
    )]
    TooManyMerged {
        limit: usize,
        /// `maps`, `keys`.
        what: &'static str,
    },
    #[error("the value is a block scalar (`|` or `>`); write it on one line")]
    BlockScalar,
    #[error(
        "`{key}` stands here, and a merge key (`<<`) below it on line {merge} gives it again; readers disagree on which one counts, so let the merge key stand first"
    )]
    MergedBelow { key: String, merge: usize },
    #[error("`{written}` stands here, which is read as `{key}`; write `{key}`")]
    OtherCase { written: String, key: String },
    #[error("`imageTags` stands here and wins over `images`; run `kustomize edit fix` once")]
    OldKey,
    #[error("the value is {found}, not a literal block (`|`) whose text could be edited")]
    NotLiteral { found: &'static str },
    #[error(
        "the file is encrypted with SOPS, whose checksum covers this value; change it with `sops`"
    )]
    Sealed,
    #[error("the value goes over several lines; write it on one line")]
    SeveralLines,
    #[error("the value is tagged `{tag}`, which a version is not; remove the tag")]
    Tagged { tag: String },
    #[error("`? key` stands here in its long form, which cannot be extended; write `key: value`")]
    LongKey,
    #[error("`{path}` is in several documents, again on line {again}; it must be in one")]
    SeveralDocuments { path: String, again: usize },
    #[error("the file has {count} documents; it must have one")]
    NotOneDocument { count: usize },
    #[error("the file has no object `{object}`; {known}")]
    NoObject {
        /// `Kind/name`.
        object: String,
        known: Known,
    },
    #[error("the file has several objects `{object}`, another on line {again}")]
    SeveralObjects { object: String, again: usize },
    #[error("there is no document {number}; the file has {count}, counted from 0")]
    NoDocument { number: usize, count: usize },
    #[error(
        "a character that some readers take for the end of a line (U+0085, U+2028 or U+2029) stands here; remove it, or write it as an escape in double quotes"
    )]
    OddLineEnd,
    #[error("the file ends within this block, without a line end; add one first")]
    OpenBlock,
    #[error("the layout here leaves no exact place for the edit; write it by hand once")]
    Layout,
    #[error("the edit would change more than was asked; nothing was written")]
    NotExact,
}

/// What stands where something was looked for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// A name much like the one that was asked for.
    Nearest(String),
    /// The names that are there, at most [`NAMES_SHOWN_MAX`] of them.
    These(Vec<String>),
    /// Places elsewhere in the file, each with its line.
    Elsewhere(Vec<String>),
}

/// How many names a message lists.
const NAMES_SHOWN_MAX: usize = 6;

/// How alike two names must be, from 0 to 1, for one to be called the nearest.
const LIKENESS_MIN: f64 = 0.6;

impl Refusal {
    pub(crate) fn at(line: usize, reason: Reason) -> Self {
        Self {
            line: Some(line),
            reason,
        }
    }

    pub(crate) fn of_file(reason: Reason) -> Self {
        Self { line: None, reason }
    }
}

impl Known {
    /// Picks the name nearest to `wanted`, or lists what there is.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Self {
        let names: Vec<&str> = names.collect();
        // A name this long is unlike; to compare many such would take long.
        let is_near = |name: &&&str| name.len() <= 8 * wanted.len();
        let near: BTreeSet<&&str> = names.iter().filter(is_near).collect();
        let nearest = near
            .into_iter()
            .map(|name| (strsim::normalized_damerau_levenshtein(name, wanted), name))
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        match nearest {
            Some((likeness, name)) if likeness >= LIKENESS_MIN => Self::Nearest((*name).to_owned()),
            _ => Self::These(
                names
                    .into_iter()
                    .take(NAMES_SHOWN_MAX)
                    .map(str::to_owned)
                    .collect(),
            ),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(name) => write!(f, "the nearest is `{name}`"),
            Self::Elsewhere(places) => write!(f, "the nearest is {}", places.join(", ")),
            Self::These(names) if names.is_empty() => f.write_str("there is nothing"),
            Self::These(names) => write!(f, "there is `{}`", names.join("`, `")),
        }
    }
}

/// A place as people name it.
fn named(place: &str) -> String {
    match place {
        "." => "the document".to_owned(),
        place => format!("`{place}`"),
    }
}
