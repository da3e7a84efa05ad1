//! Scan: text -> its values, each with the bytes where it stands.
//!
//! Not here: what a path means (`find`), and any change (`draft`).
//! Invariant: nodes stand in the order of the text, a node's descendants right behind it; every span is a range
//! of bytes of the scanned text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::refusal::{Reason, Refusal};

/// Longest text that is scanned, in bytes. The largest values files seen are under 1 MiB; 4 MiB take 0.1 s.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most nodes of a text. A node takes about 130 bytes, so these take at most 65 MB; 4 MiB of ordinary YAML have 400,000.
const NODES_MAX: usize = 500_000;

/// Refuses a text so long that it is not scanned, before it is read.
pub(crate) fn refuse_large(bytes: u64) -> Result<(), Refusal> {
    let limit = TEXT_BYTES_MAX as u64;
    match bytes > limit {
        true => Err(Refusal::of_file(Reason::TooLarge { bytes, limit })),
        false => Ok(()),
    }
}

/// A scanned text.
pub(crate) struct Scan<'t> {
    pub(super) text: &'t str,
    pub(super) nodes: Vec<Node<'t>>,
    /// Where each anchor is defined, by the number that its aliases have.
    anchors: BTreeMap<usize, NodeId>,
}

/// A node of one [`Scan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(super) usize);

/// One value, or one document.
pub(super) struct Node<'t> {
    pub(super) token: Token<'t>,
    /// Bytes of the value itself, without anchor, tag and comment. Empty where nothing is written.
    pub(super) span: Range<usize>,
    /// First byte with anchor and tag.
    pub(super) start: usize,
    pub(super) line: usize,
    /// Index past the last descendant.
    pub(super) past: usize,
}

/// What a value says, wherever it stands. Two texts mean the same if their tokens are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) depth: usize,
    /// Number of the anchor, 0 if there is none.
    pub(super) anchor: usize,
    pub(super) tag: Option<Box<str>>,
}

/// The kinds of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    Document,
    Scalar(Cow<'t, str>, Style),
    Alias(usize),
    Mapping(Context),
    Sequence(Context),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// How a collection is written, and what stands inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// By lines and indentation.
    Block,
    /// By brackets and commas.
    Flow,
}

/// What an event of the parser does. Depths are not known yet.
enum Step<'t> {
    Open(Token<'t>),
    /// Opens and closes at once.
    Leaf(Token<'t>),
    Close,
    /// An anchor of the value that was opened last.
    Anchor,
    Nothing,
}

impl<'t> Step<'t> {
    fn of(event: Event<'t>, span: &Span) -> Self {
        match event {
            Event::DocumentStart(..) => Self::Open(token(Kind::Document)),
            Event::Scalar(value, style, anchor, tag) => {
                let kind = match bytes(span).is_empty() && style == ScalarStyle::Plain {
                    true => Kind::Scalar(Cow::Borrowed(""), Style::Plain),
                    false => Kind::Scalar(value, style_of(style)),
                };
                Self::Leaf(properties(kind, anchor, tag.as_deref()))
            }
            Event::Alias(anchor) => Self::Leaf(token(Kind::Alias(anchor))),
            Event::MappingStart(style, anchor, tag) => {
                let kind = Kind::Mapping(context(style));
                Self::Open(properties(kind, anchor, tag.as_deref()))
            }
            Event::SequenceStart(style, anchor, tag) => {
                let kind = Kind::Sequence(context(style));
                Self::Open(properties(kind, anchor, tag.as_deref()))
            }
            Event::DocumentEnd | Event::MappingEnd | Event::SequenceEnd => Self::Close,
            Event::Anchor(..) => Self::Anchor,
            // The parser is asked for no other events.
            _ => Self::Nothing,
        }
    }
}

fn parse(text: &str) -> impl Iterator<Item = Result<(Event<'_>, Span), ScanError>> {
    let options = granit_parser::options! { emit_anchor_events: true };
    Parser::new_from_str_with_options(text, options)
}

impl<'t> Scan<'t> {
    /// Scans `text`, or says where and why it cannot be edited.
    pub(crate) fn new(text: &'t str) -> Result<Self, Refusal> {
        refuse_large(text.len() as u64)?;
        // Go's reader ends a line at these, comments too; by YAML 1.2 they are letters like others.
        let line_ends = ['\u{85}', '\u{2028}', '\u{2029}'];
        if !text.is_ascii()
            && let Some(at) = text.find(line_ends)
        {
            let line = 1 + text[..at].matches('\n').count();
            return Err(Refusal::at(line, Reason::OddLineEnd));
        }
        let mut scan = Self {
            text,
            nodes: Vec::new(),
            anchors: BTreeMap::new(),
        };
        let mut open = Vec::new();
        for item in parse(text) {
            let (event, span) = item.map_err(|error| syntax(text, &error))?;
            scan.take(&mut open, event, &span)?;
        }
        Ok(scan)
    }

    /// The documents that hold more than comments, in order.
    pub(crate) fn documents(&self) -> impl Iterator<Item = NodeId> {
        self.all_documents()
            .filter(|&document| self.root(document).is_some_and(|root| !self.is_empty(root)))
    }

    /// All documents, also the empty ones, in order.
    pub(crate) fn all_documents(&self) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.nodes.first(), |node| self.nodes.get(node.past))
            .scan(0, |at, node| Some(NodeId(std::mem::replace(at, node.past))))
    }

    /// The value that a document holds.
    pub(crate) fn root(&self, document: NodeId) -> Option<NodeId> {
        self.children(document).next()
    }

    /// One-based line on which a value starts.
    pub(crate) fn line(&self, node: NodeId) -> usize {
        self.nodes[node.0].line
    }

    /// Whether nothing is written where the value would stand.
    pub(crate) fn is_empty(&self, node: NodeId) -> bool {
        let node = &self.nodes[node.0];
        matches!(node.token.kind, Kind::Scalar(_, Style::Plain)) && node.span.is_empty()
    }

    /// Whether a value is empty, or null in a word, with no anchor or tag.
    pub(crate) fn is_null(&self, node: NodeId) -> bool {
        let token = &self.nodes[node.0].token;
        let says_null = match &token.kind {
            Kind::Scalar(value, Style::Plain) => {
                matches!(&**value, "" | "~" | "null" | "Null" | "NULL")
            }
            Kind::Scalar(..) | Kind::Document | Kind::Alias(_) => false,
            Kind::Mapping(_) | Kind::Sequence(_) => false,
        };
        says_null && token.anchor == 0 && token.tag.is_none()
    }

    /// How new keys and values between brackets are written: as JSON in a file that is JSON.
    pub(super) fn flow_style(&self) -> Style {
        let root = self
            .documents()
            .next()
            .and_then(|document| self.root(document));
        let key = root
            .and_then(|root| self.pairs(root).next())
            .map(|(key, _)| key);
        let kind = |node: NodeId| &self.nodes[node.0].token.kind;
        let is_flow = root.is_some_and(|root| *kind(root) == Kind::Mapping(Context::Flow));
        match key.map(kind) {
            Some(Kind::Scalar(_, Style::DoubleQuoted)) if is_flow => Style::DoubleQuoted,
            _ => Style::Plain,
        }
    }

    /// What a scalar says, an alias followed; an empty value says nothing.
    pub(crate) fn scalar(&self, node: NodeId) -> Option<&str> {
        match &self.nodes[self.resolved(node).0].token.kind {
            Kind::Scalar(value, _) => Some(value),
            Kind::Document | Kind::Alias(_) | Kind::Mapping(_) | Kind::Sequence(_) => None,
        }
    }

    /// The node that an alias stands for, or the node itself.
    pub(crate) fn resolved(&self, node: NodeId) -> NodeId {
        match self.nodes[node.0].token.kind {
            Kind::Alias(anchor) => self.anchors.get(&anchor).copied().unwrap_or(node),
            Kind::Document | Kind::Scalar(..) | Kind::Mapping(_) | Kind::Sequence(_) => node,
        }
    }

    pub(super) fn has_anchors(&self) -> bool {
        !self.anchors.is_empty()
    }

    pub(crate) fn is_alias(&self, node: NodeId) -> bool {
        matches!(self.nodes[node.0].token.kind, Kind::Alias(_))
    }

    pub(crate) fn is_mapping(&self, node: NodeId) -> bool {
        matches!(self.nodes[node.0].token.kind, Kind::Mapping(_))
    }

    pub(crate) fn is_sequence(&self, node: NodeId) -> bool {
        matches!(self.nodes[node.0].token.kind, Kind::Sequence(_))
    }

    /// The kind of a value in words.
    pub(crate) fn describe(&self, node: NodeId) -> &'static str {
        match self.nodes[node.0].token.kind {
            Kind::Document => "a document",
            Kind::Scalar(..) if self.is_empty(node) => "empty",
            Kind::Scalar(..) => "a scalar",
            Kind::Alias(_) => "an alias",
            Kind::Mapping(_) => "a map",
            Kind::Sequence(_) => "a list",
        }
    }

    /// The items of a sequence.
    pub(crate) fn items(&self, sequence: NodeId) -> impl Iterator<Item = NodeId> {
        let is_sequence = self.is_sequence(sequence);
        self.children(sequence).filter(move |_| is_sequence)
    }

    /// Keys and values of a mapping.
    pub(crate) fn pairs(&self, mapping: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> {
        let mut children = self.children(mapping);
        let is_mapping = self.is_mapping(mapping);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
            .take_while(move |_| is_mapping)
    }

    /// The key and the value of `key` in a mapping; the same key twice is refused.
    pub(crate) fn pair(
        &self,
        mapping: NodeId,
        key: &str,
    ) -> Result<Option<(NodeId, NodeId)>, Refusal> {
        let mut found = self
            .pairs(mapping)
            .filter(|&(name, _)| self.scalar(name) == Some(key));
        let (first, again) = (found.next(), found.next());
        match (first, again) {
            (Some((name, _)), Some((other, _))) => Err(Refusal::at(
                self.line(name),
                Reason::DuplicateKey {
                    key: key.to_owned(),
                    again: self.line(other),
                },
            )),
            (first, _) => Ok(first),
        }
    }

    /// Whether `node` is `above` or stands in it.
    pub(super) fn is_in(&self, node: NodeId, above: NodeId) -> bool {
        (above.0..self.nodes[above.0].past).contains(&node.0)
    }

    /// All nodes, in the order of the text.
    pub(super) fn all_nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.nodes.len()).map(NodeId)
    }

    pub(super) fn children(&self, parent: NodeId) -> impl Iterator<Item = NodeId> {
        let past = self.nodes[parent.0].past;
        let mut next = parent.0 + 1;
        std::iter::from_fn(move || {
            let child = (next < past).then_some(NodeId(next))?;
            next = self.nodes[next].past;
            Some(child)
        })
    }

    fn take(
        &mut self,
        open: &mut Vec<usize>,
        event: Event<'t>,
        span: &Span,
    ) -> Result<(), Refusal> {
        match Step::of(event, span) {
            Step::Open(token) => {
                if let Kind::Mapping(_) = token.kind {
                    self.refuse_template(open, &token.kind, span)?;
                }
                self.push(open, token, span)?;
            }
            Step::Leaf(token) => {
                self.push(open, token, span)?;
                self.close(open, span);
            }
            Step::Close => self.close(open, span),
            Step::Anchor => {
                if let Some(node) = self.nodes.last_mut() {
                    node.start = node.start.min(bytes(span).start);
                }
            }
            Step::Nothing => {}
        }
        Ok(())
    }

    // A call of its own would move each node twice more: a tenth of the whole scan.
    #[inline(always)]
    fn push(
        &mut self,
        open: &mut Vec<usize>,
        mut token: Token<'t>,
        span: &Span,
    ) -> Result<(), Refusal> {
        if self.nodes.len() == NODES_MAX {
            return Err(Refusal::of_file(Reason::TooManyNodes { limit: NODES_MAX }));
        }
        let id = self.nodes.len();
        token.depth = open.len();
        if token.anchor != 0 {
            self.anchors.insert(token.anchor, NodeId(id));
        }
        let mut range = bytes(span);
        if let Kind::Scalar(value, Style::Literal | Style::Folded) = &token.kind
            && !value.ends_with("\n\n")
        {
            // Blank lines below a block scalar that does not keep them are between it and what follows.
            let written = self.text[range.clone()].trim_end().len();
            let line = self.text[range.start + written..range.end].find('\n');
            range.end = line.map_or(range.end, |newline| range.start + written + newline + 1);
        }
        if range.is_empty()
            && let Some(end) = self.end_of_lone_key(open, range.start)
        {
            range = end..end;
        }
        let tag_start = span.tag_start().and_then(|mark| mark.byte_offset());
        self.nodes.push(Node {
            token,
            start: tag_start.unwrap_or(range.start).min(range.start),
            span: range,
            line: span.start.line(),
            past: id + 1,
        });
        open.push(id);
        Ok(())
    }

    /// Where a key between braces ends whose empty value, for want of a colon, is told to stand at the next token: `{a}`.
    ///
    /// Between the two there may be comments.
    fn end_of_lone_key(&self, open: &[usize], value: usize) -> Option<usize> {
        let &parent = open.last()?;
        let is_flow = self.nodes[parent].token.kind == Kind::Mapping(Context::Flow);
        let key = self.nodes.last().filter(|_| is_flow)?;
        let is_scalar = matches!(key.token.kind, Kind::Scalar(..));
        let between = self.text.get(key.span.end..value)?.trim_ascii_start();
        let is_lone = is_scalar && (between.is_empty() || between.starts_with('#'));
        is_lone.then_some(key.span.end)
    }

    fn close(&mut self, open: &mut Vec<usize>, span: &Span) {
        let Some(id) = open.pop() else { return };
        let past = self.nodes.len();
        let node = &mut self.nodes[id];
        node.past = past;
        if let Kind::Mapping(Context::Flow) | Kind::Sequence(Context::Flow) = node.token.kind {
            node.span.end = bytes(span).end;
        }
        // A block collection ends where its last value does; the parser says where the next token starts.
        if let Some(&parent) = open.last() {
            let end = self.nodes[id].span.end;
            let parent = &mut self.nodes[parent];
            parent.span.end = parent.span.end.max(end);
        }
    }

    /// `{{ … }}` is a flow map whose key is a flow map: valid YAML that nobody means.
    fn refuse_template(&self, open: &[usize], kind: &Kind<'_>, span: &Span) -> Result<(), Refusal> {
        let parent_is_flow = open
            .last()
            .is_some_and(|&id| self.nodes[id].token.kind == Kind::Mapping(Context::Flow));
        let start = bytes(span).start;
        let is_template = parent_is_flow
            && *kind == Kind::Mapping(Context::Flow)
            && self.text[..start].ends_with('{');
        match is_template {
            true => Err(Refusal::at(span.start.line(), Reason::Templated)),
            false => Ok(()),
        }
    }
}

fn token(kind: Kind<'_>) -> Token<'_> {
    Token {
        kind,
        depth: 0,
        anchor: 0,
        tag: None,
    }
}

fn properties<'t>(kind: Kind<'t>, anchor: usize, tag: Option<&granit_parser::Tag>) -> Token<'t> {
    Token {
        kind,
        depth: 0,
        anchor,
        tag: tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into()),
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range()
        .expect("a parser of a string knows byte offsets")
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

fn context(style: StructureStyle) -> Context {
    match style {
        StructureStyle::Block => Context::Block,
        StructureStyle::Flow => Context::Flow,
    }
}

/// A syntax error; in a template the template is the better word for it.
fn syntax(text: &str, error: &ScanError) -> Refusal {
    let template = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches("- ");
        let value = line.split_once(": ").map_or("", |(_, value)| value);
        line.starts_with("{{") || value.trim_start().starts_with("{{")
    });
    if let Some(before) = template {
        return Refusal::at(before + 1, Reason::Templated);
    }
    let mark = error.marker();
    Refusal::at(
        mark.line(),
        Reason::Syntax {
            column: mark.col() + 1,
            message: error.info(),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Reason, Scan, TEXT_BYTES_MAX};

    fn refusal(text: &str) -> String {
        match Scan::new(text) {
            Ok(_) => "scanned".to_owned(),
            Err(refusal) => format!("{}: {refusal}", refusal.line.unwrap_or_default()),
        }
    }

    #[test]
    fn bombs_are_refused_or_scanned_at_once() {
        let level = |level: usize| {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            format!("a{level}: &a{level} [{items}]\n")
        };
        let aliases: String = ["a0: &a0 [x, x]\n".to_owned()]
            .into_iter()
            .chain((1..9).map(level))
            .collect();
        let deep_map: String = (0..5000)
            .map(|depth| format!("{:depth$}a:\n", ""))
            .collect();
        let start = Instant::now();
        assert_eq!(refusal(&aliases), "scanned");
        for bomb in [
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            deep_map,
        ] {
            assert_ne!(refusal(&bomb), "scanned", "{}", &bomb[..20]);
        }
        // No measure of speed: they take milliseconds in a release build, and a bomb that goes off takes hours.
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn the_empty_value_of_a_key_without_a_colon_stands_right_behind_it() {
        for (text, end) in [("{a  }", 2), ("{b: c, a\n# d\n}", 8), ("{a: # d\n}", 2)] {
            let scan = Scan::new(text).unwrap();
            let value = scan.nodes.last().unwrap();
            assert_eq!(value.span, end..end, "{text:?}");
        }
    }

    #[test]
    fn a_text_over_the_limit_is_not_scanned() {
        let text = "#".repeat(TEXT_BYTES_MAX + 1);
        assert!(Scan::new(&text[1..]).is_ok());
        let reason = Scan::new(&text).err().map(|refusal| refusal.reason);
        assert!(matches!(reason, Some(Reason::TooLarge { .. })));
        let items = "- 1\n".repeat(600_000);
        assert_eq!(refusal(&items), "0: the file has more than 500000 values");
    }
}
