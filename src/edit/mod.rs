//! Byte-faithful edits of YAML: text in, text out. Scan, find, write in the style that stands there.
//!
//! Not here: what images are and where they stand (`manifest`), files and their reading (the edges).
//! Invariant: the text that comes back differs from the one that went in by the asked edit alone: it was
//! scanned again, and every other node, with its style, anchor and tag, is what it was.

mod assign;
mod block;
#[cfg(test)]
pub(crate) mod cases;
mod comment;
mod document;
mod draft;
mod edited;
mod find;
mod layout;
mod new;
mod path;
mod place;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod refusal;
mod scalar;
mod scan;
mod seal;
mod shared;

pub(crate) use assign::assign;
pub(crate) use comment::Comment;
pub(crate) use document::{Document, Reach};
pub(crate) use draft::Draft;
pub(crate) use edited::edited;
pub(crate) use find::{Aliases, Miss, Target};
pub(crate) use new::New;
pub(crate) use path::{ParsePathError, Path, Step};
pub(crate) use refusal::{Known, Reason, Refusal};
pub(crate) use scan::{NodeId, Scan, refuse_large};
pub(crate) use shared::{AliasesLeft, Shared, Whereabouts};

/// Reads `bytes` as text, or says at which line they are not UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Refusal::at(line, Reason::NotUtf8)
    })
}

#[cfg(test)]
#[path = "../../tests/corpus/edits.rs"]
mod corpus;
