//! Drafts: edits of one scanned text, put together and carried out at once.
//!
//! Not here: finding the place (`find`), what a place allows (`place`), the letters of a scalar (`scalar`), the measures
//! of a file (`layout`), and the proof (`edited`). Invariant: a draft knows every value that the new text must have.

use std::ops::Range;

use super::layout::Lists;
use super::new::{Hand, New, bare, inline_pairs, pair_lines, pair_tokens};
use super::refusal::{Reason, Refusal};
use super::scalar;
use super::scan::{Context, Kind, NodeId, Scan, Style, Token};

/// Edits of one text that do not touch each other.
pub(crate) struct Draft<'s, 't> {
    scan: &'s Scan<'t>,
    splices: Vec<Splice>,
    changes: Vec<Change>,
}

/// Bytes that are replaced.
struct Splice {
    range: Range<usize>,
    text: String,
}

/// Nodes that the new text has in place of some of the old ones.
struct Change {
    nodes: Range<usize>,
    by: Vec<Token<'static>>,
}

/// Where the entry that something follows ends, and how that entry stands.
struct Neighbour {
    start: usize,
    end: usize,
}

impl<'s, 't> Draft<'s, 't> {
    pub(crate) fn new(scan: &'s Scan<'t>) -> Self {
        Self {
            scan,
            splices: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Writes `value` over a scalar, in its style. A scalar that already says it is left as it is.
    pub(crate) fn set(&mut self, node: NodeId, value: &str) -> Result<(), Refusal> {
        let says_it = match &self.scan.nodes[node.0].token.kind {
            Kind::Scalar(old, _) => old == value && !self.scan.is_empty(node),
            Kind::Document | Kind::Alias(_) | Kind::Mapping(_) | Kind::Sequence(_) => false,
        };
        if says_it {
            return Ok(());
        }
        self.scan.editable(node)?;
        match self.scan.is_empty(node) {
            true => self.fill(node, &New::Scalar(value.to_owned()))?,
            false => self.overwrite(node, value),
        }
        Ok(())
    }

    /// Gives a key another name; its value stays.
    pub(crate) fn rename(&mut self, key: NodeId, name: &str) -> Result<(), Refusal> {
        self.scan.editable(key)?;
        self.overwrite(key, name);
        Ok(())
    }

    /// Writes `new` where a value is empty or null.
    pub(crate) fn fill(&mut self, node: NodeId, new: &New) -> Result<(), Refusal> {
        let scan = self.scan;
        let refused = || Refusal::at(scan.line(node), Reason::Layout);
        let place = &scan.nodes[node.0];
        let (parent, key) = scan.owner(node).ok_or_else(refused)?;
        let hand = scan.hand(parent);
        let is_bare = place.start == place.span.start && place.token.anchor == 0;
        let is_inline =
            matches!(new, New::Scalar(_) | New::Word(_)) || hand.context == Context::Flow;
        if is_inline {
            let (at, text) = match is_bare {
                true => self.blank(node, parent, key)?,
                false => (place.span.end, " "),
            };
            let text = format!("{text}{}", new.inline(hand));
            // Where nothing is written, nothing is replaced: a comment may stand on the way.
            let end = if place.span.is_empty() {
                at
            } else {
                place.span.end
            };
            self.splice(at..at.max(end), text);
        } else {
            let colon = key
                .and_then(|key| scan.after_colon(key))
                .filter(|_| is_bare);
            let (key, colon) = key.zip(colon).ok_or_else(refused)?;
            if !place.span.is_empty() {
                self.splice(colon..place.span.end, String::new());
            }
            let column = scan.start_column(key);
            let measures = scan.measures();
            let at = scan.next_line(place.span.end.max(colon));
            let lines = new.lines(column + new.indent(measures), measures);
            self.add_lines(at, &lines)?;
        }
        let mut by = Vec::new();
        new.tokens(place.token.depth, hand, &mut by);
        if let [first, ..] = &mut by[..] {
            first.anchor = place.token.anchor;
            first.tag.clone_from(&place.token.tag);
        }
        self.changes.push(Change {
            nodes: node.0..place.past,
            by,
        });
        Ok(())
    }

    /// Makes `new` the content of a text that holds nothing but comments.
    pub(crate) fn fill_text(&mut self, new: &New) -> Result<(), Refusal> {
        let scan = self.scan;
        let documents: Vec<NodeId> = scan.all_documents().collect();
        let mut by = Vec::new();
        let nodes = match documents[..] {
            [] => {
                by.push(bare(Kind::Document, 0));
                0..0
            }
            [document] => scan
                .root(document)
                .filter(|&root| {
                    scan.is_empty(root) && scan.nodes[root.0].start == scan.nodes[root.0].span.start
                })
                .map(|root| root.0..root.0 + 1)
                .ok_or_else(|| Refusal::at(scan.line(document), Reason::Layout))?,
            [..] => {
                let count = documents.len();
                return Err(Refusal::of_file(Reason::NotOneDocument { count }));
            }
        };
        new.tokens(1, Hand::BLOCK, &mut by);
        let lines = new.lines(0, scan.measures());
        self.add_lines(scan.text.len(), &lines)?;
        self.changes.push(Change { nodes, by });
        Ok(())
    }

    /// Adds pairs to a mapping, after the pair of the key `after` or at the end.
    pub(crate) fn insert(
        &mut self,
        mapping: NodeId,
        after: Option<NodeId>,
        pairs: &[(String, New)],
    ) -> Result<(), Refusal> {
        let scan = self.scan;
        let hand = scan.hand(mapping);
        let neighbour = scan
            .pairs(mapping)
            .filter(|&(key, _)| after.is_none_or(|after| after == key))
            .last();
        let at = neighbour.map_or(mapping.0 + 1, |(_, value)| scan.nodes[value.0].past);
        match (hand.context, neighbour) {
            (Context::Flow, neighbour) => {
                scan.refuse_odd_keys(mapping)?;
                let items = inline_pairs(pairs, hand);
                let neighbour = neighbour.map(|(key, value)| Neighbour {
                    start: scan.nodes[key.0].start,
                    end: scan.pair_end(key, value),
                });
                self.add_between_brackets(mapping, neighbour, &items);
            }
            (Context::Block, Some((key, value))) => {
                if scan.is_long(key) {
                    return Err(Refusal::at(scan.line(key), Reason::LongKey));
                }
                let indent = scan.start_column(key);
                let lines = pair_lines(pairs, indent, scan.measures());
                let mut place = scan.next_line(scan.pair_end(key, value));
                if at == scan.nodes[mapping.0].past {
                    place = scan.after_comments(place, indent + usize::from(scan.is_root(mapping)));
                }
                self.add_lines(place, &lines)?;
            }
            (Context::Block, None) => {
                return Err(Refusal::at(scan.line(mapping), Reason::Layout));
            }
        }
        let depth = scan.nodes[mapping.0].token.depth + 1;
        let mut by = Vec::new();
        pair_tokens(pairs, depth, hand, &mut by);
        self.changes.push(Change { nodes: at..at, by });
        Ok(())
    }

    /// Adds an item at the end of a list.
    pub(crate) fn append(&mut self, sequence: NodeId, item: &New) -> Result<(), Refusal> {
        let scan = self.scan;
        let hand = scan.hand(sequence);
        let last = scan.items(sequence).last();
        match (hand.context, last) {
            (Context::Flow, last) => {
                let neighbour = last.map(|last| Neighbour {
                    start: scan.nodes[last.0].start,
                    end: scan.nodes[last.0].span.end,
                });
                self.add_between_brackets(sequence, neighbour, &[item.inline(hand)]);
            }
            (Context::Block, Some(last)) => {
                let indent = scan.column(scan.dash(last)?);
                let gap = scan.gap(last)?;
                let lines = item.item_lines(Lists { indent, gap }, scan.measures());
                let place = scan.next_line(scan.nodes[last.0].span.end);
                let key = scan.owner(sequence).and_then(|(_, key)| key);
                let is_inside = key.is_some_and(|key| scan.start_column(key) < indent);
                let place = scan.after_comments(place, indent + usize::from(!is_inside));
                self.add_lines(place, &lines)?;
            }
            (Context::Block, None) => {
                return Err(Refusal::at(scan.line(sequence), Reason::Layout));
            }
        }
        let mut by = Vec::new();
        item.tokens(scan.nodes[sequence.0].token.depth + 1, hand, &mut by);
        let at = scan.nodes[sequence.0].past;
        self.changes.push(Change { nodes: at..at, by });
        Ok(())
    }

    /// Takes a pair with a scalar value out of a mapping that has others.
    pub(crate) fn remove(&mut self, mapping: NodeId, key: NodeId) -> Result<(), Refusal> {
        let scan = self.scan;
        let pairs: Vec<(NodeId, NodeId)> = scan.pairs(mapping).collect();
        let refused = || Refusal::at(scan.line(key), Reason::Layout);
        let index = pairs
            .iter()
            .position(|pair| pair.0 == key)
            .ok_or_else(refused)?;
        let (key, value) = pairs[index];
        scan.editable(value)?;
        if pairs.len() == 1 || scan.is_long(key) {
            return Err(refused());
        }
        let (start, end) = (scan.nodes[key.0].start, scan.pair_end(key, value));
        let range = match (scan.context(mapping), index) {
            (Context::Flow, 0) => start..scan.nodes[pairs[1].0.0].start,
            (Context::Flow, _) => scan.pair_end(pairs[index - 1].0, pairs[index - 1].1)..end,
            (Context::Block, _) => self.lines_of(start, end),
        };
        // Some readers take a bracket right behind a colon as part of the key.
        let colon = index > 0 && scan.text[..range.start].ends_with(':');
        self.splice(range, if colon { " " } else { "" }.to_owned());
        let past = scan.nodes[value.0].past;
        self.changes.push(Change {
            nodes: key.0..past,
            by: Vec::new(),
        });
        Ok(())
    }

    /// Takes items out of a list. A block that is left with none is an empty value.
    pub(crate) fn take_out(
        &mut self,
        sequence: NodeId,
        is_taken: impl Fn(NodeId) -> bool,
    ) -> Result<(), Refusal> {
        let scan = self.scan;
        let refused = || Refusal::at(scan.line(sequence), Reason::Layout);
        let items: Vec<NodeId> = scan.items(sequence).collect();
        let taken = |item: NodeId| is_taken(item).then_some(item);
        let is_left = items.iter().any(|&item| !is_taken(item));
        let token = &scan.nodes[sequence.0].token;
        let context = scan.context(sequence);
        for (index, item) in items
            .iter()
            .enumerate()
            .filter_map(|(n, &i)| Some((n, taken(i)?)))
        {
            let place = &scan.nodes[item.0];
            let range = match context {
                Context::Block => {
                    let range = self.lines_of(scan.dash(item)?, place.span.end);
                    // What shares its line with another dash is the first line of a list in a list.
                    let has_own_lines = scan.text[range.clone()].trim_start().starts_with('-');
                    let at_start = range.start == scan.line_start(range.start);
                    if !has_own_lines || !(at_start || range.end == scan.text.len()) {
                        return Err(refused());
                    }
                    range
                }
                Context::Flow if items[..index].iter().all(|&before| is_taken(before)) => {
                    let next = items.get(index + 1).map(|next| scan.nodes[next.0].start);
                    place.start..next.unwrap_or(place.span.end)
                }
                Context::Flow => scan.nodes[items[index - 1].0].span.end..place.span.end,
            };
            self.splice(range, String::new());
            if is_left || context == Context::Flow {
                self.changes.push(Change {
                    nodes: item.0..place.past,
                    by: Vec::new(),
                });
            }
        }
        if !is_left && !items.is_empty() && context == Context::Block {
            if token.anchor != 0 || token.tag.is_some() {
                return Err(refused());
            }
            let nothing = bare(Kind::Scalar("".into(), Style::Plain), token.depth);
            self.changes.push(Change {
                nodes: sequence.0..scan.nodes[sequence.0].past,
                by: vec![nothing],
            });
        }
        Ok(())
    }

    pub(crate) fn scan(&self) -> &'s Scan<'t> {
        self.scan
    }

    /// One-based line of the first edit; none where there is nothing to do.
    pub(super) fn first_line(&self) -> Option<usize> {
        let first = self.splices.iter().map(|splice| splice.range.start).min()?;
        Some(1 + self.scan.text[..first].matches('\n').count())
    }

    /// Whether nothing but scalars, of which `allowed` is told each, get other bytes.
    pub(super) fn changes_only(&self, allowed: impl Fn(NodeId) -> bool) -> bool {
        self.changes.iter().all(|change| {
            let is_one = change.nodes.len() == 1 && change.by.len() == 1;
            is_one && allowed(NodeId(change.nodes.start))
        })
    }

    /// The text with the edits; none where two of them touch each other.
    pub(super) fn carried_out(&mut self) -> Option<String> {
        self.splices
            .sort_by_key(|splice| (splice.range.start, splice.range.end));
        let mut text = String::with_capacity(self.scan.text.len() + 256);
        let mut done = 0;
        for Splice { range, text: new } in &self.splices {
            text.push_str(self.scan.text.get(done..range.start)?);
            text.push_str(new);
            done = range.end;
        }
        text.push_str(self.scan.text.get(done..)?);
        Some(text)
    }

    /// The tokens that the new text must have.
    pub(super) fn expected(&mut self) -> impl Iterator<Item = &Token<'_>> {
        self.changes
            .sort_by_key(|change| (change.nodes.start, change.nodes.end));
        let starts = std::iter::once(0).chain(self.changes.iter().map(|change| change.nodes.end));
        let ends = self
            .changes
            .iter()
            .map(|change| change.nodes.start)
            .chain([self.scan.nodes.len()]);
        let kept = starts.zip(ends).map(|(start, end)| start..end.max(start));
        let added = self
            .changes
            .iter()
            .map(|change| &change.by[..])
            .chain([&[][..]]);
        kept.zip(added).flat_map(|(kept, added)| {
            let kept = self.scan.nodes[kept].iter().map(|node| &node.token);
            kept.chain(added)
        })
    }

    fn overwrite(&mut self, node: NodeId, value: &str) {
        let place = &self.scan.nodes[node.0];
        let context = self
            .scan
            .owner(node)
            .map_or(Context::Block, |(parent, _)| self.scan.context(parent));
        let style = match place.token.kind {
            Kind::Scalar(_, style) => style,
            Kind::Document | Kind::Alias(_) | Kind::Mapping(_) | Kind::Sequence(_) => Style::Plain,
        };
        let (text, style) = scalar::write(value, style, context);
        let token = Token {
            kind: Kind::Scalar(value.to_owned().into(), style),
            depth: place.token.depth,
            anchor: place.token.anchor,
            tag: place.token.tag.clone(),
        };
        self.splice(place.span.clone(), text);
        self.changes.push(Change {
            nodes: node.0..place.past,
            by: vec![token],
        });
    }

    /// Makes `text` what a literal block says; lines that it has already keep their bytes.
    pub(crate) fn set_text(&mut self, block: NodeId, text: &str) -> Result<(), Refusal> {
        let scan = self.scan;
        let place = &scan.nodes[block.0];
        let Kind::Scalar(old, style @ Style::Literal) = &place.token.kind else {
            return Err(Refusal::at(place.line, Reason::Layout));
        };
        if old == text {
            return Ok(());
        }
        let (range, new) = scan
            .replaced_lines(block, (old, text))
            .ok_or_else(|| Refusal::at(place.line, Reason::Layout))?;
        let by = Token {
            kind: Kind::Scalar(text.to_owned().into(), *style),
            ..place.token.to_owned()
        };
        self.splice(range, new);
        self.changes.push(Change {
            nodes: block.0..place.past,
            by: vec![by],
        });
        Ok(())
    }

    /// Where the value of an empty place starts, and what must stand before it.
    fn blank(
        &self,
        node: NodeId,
        parent: NodeId,
        key: Option<NodeId>,
    ) -> Result<(usize, &'static str), Refusal> {
        let scan = self.scan;
        let context = scan.context(parent);
        scan.refuse_odd_keys(parent)?;
        let start = match key {
            Some(key) => match scan.after_colon(key) {
                Some(start) => start,
                // A key over several lines, its tag and anchor included, may have no colon.
                None if scan.text[scan.nodes[key.0].start..scan.nodes[key.0].span.end]
                    .contains('\n') =>
                {
                    return Err(Refusal::at(scan.line(key), Reason::SeveralLines));
                }
                None if context == Context::Flow => return Ok((scan.nodes[key.0].span.end, ": ")),
                None => return Err(Refusal::at(scan.line(key), Reason::LongKey)),
            },
            None => scan.dash(node)? + 1,
        };
        // A space that already stands there is used, unless a comment needs it.
        let rest = scan.text[scan.after_blanks(start)..].chars().next();
        let is_free = scan.text[start..].starts_with(' ') && rest != Some('#');
        Ok(if is_free {
            (start + 1, "")
        } else {
            (start, " ")
        })
    }

    /// The bytes of a pair that has lines of its own, or the first line after a dash.
    fn lines_of(&self, start: usize, end: usize) -> Range<usize> {
        let scan = self.scan;
        let (line, next) = (scan.line_start(start), scan.next_line(end));
        let shares_line_with_dash = scan.after_blanks(line) != start;
        if shares_line_with_dash {
            return start..scan.after_blanks(next);
        }
        let is_last_without_newline = next == scan.text.len() && !scan.text.ends_with('\n');
        match is_last_without_newline && line > 0 {
            true => scan.line_end(scan.line_start(line - 1))..next,
            false => line..next,
        }
    }

    fn add_between_brackets(&mut self, parent: NodeId, last: Option<Neighbour>, items: &[String]) {
        let scan = self.scan;
        let Some(last) = last else {
            let at = scan.nodes[parent.0].span.start + 1;
            return self.splice(at..at, items.join(", "));
        };
        let line = scan.line_start(last.start);
        let indent = &scan.text[line..last.start];
        let after = scan.after_blanks(last.end);
        let comma = scan.text[after..].starts_with(',');
        let line_end = scan.line_end(last.end);
        let rest = &scan.text[after + usize::from(comma)..line_end.max(after + usize::from(comma))];
        let has_own_line = !indent.is_empty()
            && indent.trim_start().is_empty()
            && (rest.trim_start().is_empty() || rest.trim_start().starts_with('#'));
        if !has_own_line {
            // Some readers take a comma right behind a colon as part of the key.
            let blank = if scan.text[..last.end].ends_with(':') {
                " "
            } else {
                ""
            };
            return self.splice(last.end..last.end, format!("{blank}, {}", items.join(", ")));
        }
        // A comment after the last item stays on its line, and the last comma stays if there was one.
        if !comma {
            let comma = if scan.text[..last.end].ends_with(':') {
                " ,"
            } else {
                ","
            };
            self.splice(last.end..last.end, comma.to_owned());
        }
        let start = format!("{}{indent}", scan.line_ending(line_end));
        let end = if comma { "," } else { "" };
        let text = format!("{start}{}{end}", items.join(&format!(",{start}")));
        self.splice(line_end..line_end, text);
    }

    /// Adds whole lines at the start of a line or at the end of the text, whose last line stays as it ended.
    fn add_lines(&mut self, at: usize, lines: &[String]) -> Result<(), Refusal> {
        let newline = self.scan.line_ending(at);
        let text = &self.scan.text[..at];
        let lines = lines.join(newline);
        let is_open_end = !text.trim_start_matches('\u{feff}').is_empty() && !text.ends_with('\n');
        if !is_open_end {
            self.splice(at..at, format!("{lines}{newline}"));
            return Ok(());
        }
        // The line end that must come before the lines would become part of a block's value.
        if let Some(last) = self.scan.nodes.last()
            && let Kind::Scalar(_, Style::Literal | Style::Folded) = last.token.kind
        {
            return Err(Refusal::at(last.line, Reason::OpenBlock));
        }
        self.splice(at..at, format!("{newline}{lines}"));
        Ok(())
    }

    fn splice(&mut self, range: Range<usize>, text: String) {
        self.splices.push(Splice { range, text });
    }
}
