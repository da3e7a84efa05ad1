//! Blocks: YAML as the text of a literal block (`values: |`), read and edited as YAML of its own.
//!
//! Not here: the edits themselves (`draft`).
//! Invariant: lines of the block that keep their text keep their bytes.

use std::ops::Range;

use super::refusal::{Reason, Refusal};
use super::scan::{Kind, NodeId, Scan, Style};

impl Scan<'_> {
    /// The YAML that a literal block holds, and how many lines stand above it in the file.
    pub(crate) fn inner(&self, block: NodeId) -> Result<(Scan<'_>, usize), Refusal> {
        let place = &self.nodes[block.0];
        let text = match &place.token.kind {
            Kind::Scalar(text, Style::Literal) => text,
            Kind::Document
            | Kind::Scalar(..)
            | Kind::Alias(_)
            | Kind::Mapping(_)
            | Kind::Sequence(_) => {
                let found = self.describe(block);
                return Err(Refusal::at(place.line, Reason::NotLiteral { found }));
            }
        };
        let above = place.line.saturating_sub(1 + leading_blank_lines(text));
        match Scan::new(text) {
            Ok(scan) => Ok((scan, above)),
            Err(refusal) => Err(refusal.in_block(above)),
        }
    }

    /// The bytes of a literal block that say the lines in which `old`, its text, and `new` differ, and what takes
    /// their place.
    pub(super) fn replaced_lines(
        &self,
        block: NodeId,
        (old, new): (&str, &str),
    ) -> Option<(Range<usize>, String)> {
        let span = &self.nodes[block.0].span;
        let indent = &self.text[self.line_start(span.start)..span.start];
        let lines: Vec<&str> = old.split('\n').collect();
        let wanted: Vec<&str> = new.split('\n').collect();
        let alike = |(one, other): &(&&str, &&str)| one == other;
        let head = lines.iter().zip(&wanted).take_while(alike).count();
        let ends = lines[head..].iter().rev().zip(wanted[head..].iter().rev());
        let tail = ends.take_while(alike).count();
        let (gone, added) = (head..lines.len() - tail, &wanted[head..wanted.len() - tail]);
        // The lines of the text follow each other in the file, from the first that is not blank.
        let blank = leading_blank_lines(old);
        let is_indent = !indent.is_empty() && indent.bytes().all(|byte| byte == b' ');
        if gone.start < blank || !is_indent {
            return None;
        }
        let line = |number: usize| self.line_after(self.line_start(span.start), number - blank);
        let newline = self.line_ending(span.start);
        let added: Vec<String> = added
            .iter()
            .map(|text| match text.is_empty() {
                true => String::new(),
                false => format!("{indent}{text}"),
            })
            .collect();
        let added = added.join(newline);
        let start = line(gone.start);
        Some(match gone.is_empty() {
            // An end of file without a newline.
            true if start > 0 && !self.text[..start].ends_with('\n') => {
                (start..start, format!("{newline}{added}"))
            }
            true => (start..start, format!("{added}{newline}")),
            false => (start..self.line_end(line(gone.end - 1)), added),
        })
    }

    /// Where the line stands that follows the one at `start` after `count` lines.
    fn line_after(&self, start: usize, count: usize) -> usize {
        (0..count).fold(start, |at, _| {
            let rest = &self.text[at..];
            rest.find('\n').map_or(self.text.len(), |end| at + end + 1)
        })
    }
}

impl Refusal {
    /// The refusal of a text that stands below `above` lines of the file.
    pub(crate) fn in_block(self, above: usize) -> Self {
        Self {
            line: Some(above + self.line.unwrap_or(1)),
            ..self
        }
    }
}

fn leading_blank_lines(text: &str) -> usize {
    text.len() - text.trim_start_matches('\n').len()
}
