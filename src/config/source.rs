//! The files and custom resources that were read, and places in them: spans, lines, columns, snippets.
//!
//! Invariant: a snippet never shows what a mask covers, so a secret that someone wrote into a file by
//! mistake does not reach a terminal or a log.

use std::ops::Range;
use std::path::PathBuf;

use super::tree::Node;
use crate::cluster::resources::ResourceId;

/// Longest part of a line that a snippet shows, in characters.
const SNIPPET_LENGTH_MAX: usize = 120;

/// What stands in a snippet for what must not be shown.
const MASK: &str = "***";

/// One file, or one custom resource.
pub(super) struct Source {
    /// As a person would write it: the settings' folder and the path below it.
    pub(super) path: PathBuf,
    pub(super) whence: Whence,
    /// The number of the text's first line in its file.
    pub(super) first_line: usize,
    pub(super) text: String,
    pub(super) documents: Vec<Node>,
    /// Byte ranges that no snippet may show.
    pub(super) masks: Vec<Range<usize>>,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whence {
    File,
    /// A custom resource, whose text we wrote ourselves: people know no lines of it.
    Resource(ResourceId),
    /// A document of a file that would be a custom resource.
    Manifest(ResourceId),
}

/// A place in one of the files, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// Index among the sources.
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// Whether `self` holds all of `other`. An empty span holds only itself.
    pub(super) fn holds(self, other: Self) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }
}

/// A line of a source with a marked part, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    pub(crate) text: String,
    /// How many characters stand before the mark, and how many it covers.
    pub(crate) mark: (usize, usize),
}

impl Source {
    /// Gives the one-based line and column, in characters, of a byte offset.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line_start = self.line_start(offset);
        let line = self.first_line + self.text[..line_start].matches('\n').count();
        (line, 1 + self.text[line_start..offset].chars().count())
    }

    /// Cuts out the line at which `span` starts, with what must not be shown masked.
    pub(super) fn snippet(&self, span: Span) -> Snippet {
        let line_start = self.line_start(span.start);
        let line_end = self.text[span.start..]
            .find('\n')
            .map_or(self.text.len(), |length| span.start + length);
        let line = self.text[line_start..line_end].trim_end();
        let (mut text, mut start, mut end) = (String::new(), None, None);
        let mut length = 0;
        for (index, c) in line.char_indices() {
            let offset = line_start + index;
            if offset >= span.start {
                start.get_or_insert(length);
            }
            if offset >= span.end {
                end.get_or_insert(length);
            }
            let mask = self.masks.iter().find(|mask| mask.contains(&offset));
            match mask {
                Some(mask) if offset == mask.start || index == 0 => {
                    text.push_str(MASK);
                    length += MASK.len();
                }
                Some(_) => {}
                None => {
                    text.push(if c.is_control() { ' ' } else { c });
                    length += 1;
                }
            }
        }
        let start = start.unwrap_or(length);
        let end = end.unwrap_or(length).max(start + 1);
        shorten(&text, start, end)
    }

    /// Where the line of `offset` starts. A byte order mark belongs to no line.
    fn line_start(&self, offset: usize) -> usize {
        let start = self.text[..offset].rfind('\n').map_or(0, |end| end + 1);
        match start {
            0 if self.text.starts_with('\u{feff}') && offset >= '\u{feff}'.len_utf8() => {
                '\u{feff}'.len_utf8()
            }
            start => start,
        }
    }
}

/// Keeps the part of a long line around the mark.
fn shorten(text: &str, start: usize, end: usize) -> Snippet {
    let from = match text.chars().count() <= SNIPPET_LENGTH_MAX {
        true => 0,
        false => start.saturating_sub(SNIPPET_LENGTH_MAX / 2),
    };
    let text: String = text.chars().skip(from).take(SNIPPET_LENGTH_MAX).collect();
    let length = (end - start)
        .min(SNIPPET_LENGTH_MAX.saturating_sub(start - from))
        .max(1);
    Snippet {
        text,
        mark: (start - from, length),
    }
}
