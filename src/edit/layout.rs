//! Layout: how a file is laid out around a place, so that what is added looks like what stands there.
//!
//! Not here: what is added (`draft`).
//! Invariant: reads only; every offset is on a character's border.

use super::refusal::{Reason, Refusal};
use super::scan::{Context, Kind, NodeId, Scan};

/// Columns of indentation for a nested map where the file shows none.
const STEP: usize = 2;

/// How the lists of a file are indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lists {
    /// Columns from the key to the dash.
    pub(super) indent: usize,
    /// Columns from the dash to the item.
    pub(super) gap: usize,
}

/// How a file is indented.
#[derive(Clone, Copy)]
pub(super) struct Measures {
    /// Columns by which the keys of a nested map are indented.
    pub(super) step: usize,
    pub(super) lists: Lists,
}

impl Scan<'_> {
    /// How the file is indented, as its first map and its first list show.
    pub(super) fn measures(&self) -> Measures {
        Measures {
            step: self.step(),
            lists: self.lists(),
        }
    }

    /// The line ending in use at `offset`.
    pub(super) fn line_ending(&self, offset: usize) -> &'static str {
        let before = self.text[..offset].rfind('\n');
        let newline = before.or_else(|| self.text.find('\n'));
        match newline.is_some_and(|at| self.text[..at].ends_with('\r')) {
            true => "\r\n",
            false => "\n",
        }
    }

    /// Columns between the start of the line and `offset`.
    pub(super) fn column(&self, offset: usize) -> usize {
        let line = self.line_start(offset);
        self.text[line..offset]
            .trim_start_matches('\u{feff}')
            .chars()
            .count()
    }

    pub(super) fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Where the line after the one that holds `end` starts. A block scalar already ends there.
    pub(super) fn next_line(&self, end: usize) -> usize {
        if self.text[..end].ends_with('\n') {
            return end;
        }
        self.text[end..]
            .find('\n')
            .map_or(self.text.len(), |at| end + at + 1)
    }

    /// The start of a line moved over the comments right there that stand at `column` or deeper: they belong to what
    /// is above, and what is added below must not take them.
    pub(super) fn after_comments(&self, line: usize, column: usize) -> usize {
        let mut line = line;
        while self.text[..line].ends_with('\n') {
            let start = self.after_blanks(line);
            let is_own = self.text[start..].starts_with('#') && start - line >= column;
            if !is_own {
                break;
            }
            line = self.next_line(start);
        }
        line
    }

    /// Where a line's text ends, its line ending left out.
    pub(super) fn line_end(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        let line = rest.split('\n').next().unwrap_or(rest);
        offset + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// `offset` moved over spaces and tabs.
    pub(super) fn after_blanks(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        self.text.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    /// Where the colon after a key ends, if one follows on its line.
    pub(super) fn after_colon(&self, key: NodeId) -> Option<usize> {
        let at = self.after_blanks(self.nodes[key.0].span.end);
        self.text[at..].starts_with(':').then_some(at + 1)
    }

    /// Where a key with its value ends.
    pub(super) fn pair_end(&self, key: NodeId, value: NodeId) -> usize {
        let end = self.nodes[value.0].span.end;
        match self.is_empty(value) && self.nodes[value.0].start == end {
            true => self.after_colon(key).unwrap_or(end),
            false => end,
        }
    }

    /// Where the dash of a block sequence's item stands.
    pub(super) fn dash(&self, item: NodeId) -> Result<usize, Refusal> {
        let before = self.text[..self.nodes[item.0].start].trim_end();
        match before.strip_suffix('-') {
            Some(rest) => Ok(rest.len()),
            None => Err(Refusal::at(self.line(item), Reason::Layout)),
        }
    }

    /// Columns by which the file indents the keys of a nested map.
    fn step(&self) -> usize {
        let mappings = self
            .block_values()
            .filter(|&(_, value)| self.is_mapping(value));
        let mut steps = mappings.filter_map(|(key, value)| {
            let (child, _) = self.pairs(value).next()?;
            self.start_column(child).checked_sub(self.start_column(key))
        });
        steps.find(|&step| step > 0).unwrap_or(STEP)
    }

    /// How the first list of the file is indented; lists that nothing shows are written as kustomize writes them.
    fn lists(&self) -> Lists {
        let sequences = self
            .block_values()
            .filter(|&(_, value)| self.is_sequence(value));
        let mut lists = sequences.filter_map(|(key, value)| {
            let item = self.items(value).next()?;
            let dash = self.column(self.dash(item).ok()?);
            Some(Lists {
                indent: dash.checked_sub(self.start_column(key))?,
                gap: self.gap(item).ok()?,
            })
        });
        lists.next().unwrap_or(Lists { indent: 0, gap: 1 })
    }

    /// Columns from an item's dash to the item, 1 where the item starts on a later line.
    pub(super) fn gap(&self, item: NodeId) -> Result<usize, Refusal> {
        let dash = self.dash(item)?;
        let between = &self.text[dash + 1..self.nodes[item.0].start];
        let is_blank = !between.is_empty() && between.bytes().all(|b| b == b' ');
        Ok(if is_blank { between.len() } else { 1 })
    }

    pub(super) fn start_column(&self, node: NodeId) -> usize {
        self.column(self.nodes[node.0].start)
    }

    /// Keys of block mappings with values that are block collections, in order.
    fn block_values(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let is_block = |node: NodeId| {
            let kind = &self.nodes[node.0].token.kind;
            matches!(
                kind,
                Kind::Mapping(Context::Block) | Kind::Sequence(Context::Block)
            )
        };
        (0..self.nodes.len())
            .map(NodeId)
            .filter(move |&node| is_block(node) && self.is_mapping(node))
            .flat_map(|mapping| self.pairs(mapping))
            .filter(move |&(_, value)| is_block(value))
    }
}
