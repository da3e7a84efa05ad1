//! YAML text in, trees with places out.
//!
//! What could make a small file cost much is refused here, before anything else looks at it: depth, number
//! of values, aliases. Duplicate keys are faults. Invariant: a tree is at most [`DEPTH_MAX`] deep.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Tag};

use super::problem::Faults;
use super::source::Span;

/// Deepest nesting. The deepest policy that makes sense has nine levels.
const DEPTH_MAX: usize = 32;

/// Most values in one file: a policy of one image and three environments has about 30, so this is
/// 3,000 of them, and 15 MB of tree.
const NODES_MAX: usize = 100_000;

/// One value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    /// What introduces the value: its key, the dash before it, or else its start. Says where a key is missing.
    pub(super) owner: Span,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that a fault already speaks of.
    Refused,
}

/// A scalar as it is meant and as it is written.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes, so that `1.10` and `true` are no texts.
    pub(super) plain: bool,
    /// Offset of the first character of the text, where the file spells it exactly like the text.
    pub(super) verbatim: Option<usize>,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Node {
    /// The value under `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|entry| entry.key.text == key)
                .map(|entry| &entry.node),
            Value::Empty | Value::Scalar(_) | Value::List(_) | Value::Refused => None,
        }
    }

    /// The value's kind, for people.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Empty | Value::Refused => "nothing",
            Value::Scalar(scalar) if !scalar.plain => "a text",
            Value::Scalar(scalar) => match plain_kind(&scalar.text) {
                PlainKind::Text => "a text",
                PlainKind::Boolean => "`true` or `false`",
                PlainKind::Number => "a number",
            },
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// What a scalar without quotes is to YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainKind {
    Text,
    Boolean,
    Number,
}

/// Tells what a scalar without quotes is, by the core schema of YAML 1.2:
/// <https://yaml.org/spec/1.2.2/#1032-tag-resolution>.
pub(super) fn plain_kind(text: &str) -> PlainKind {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = [("0x", 16), ("0o", 8)].iter().any(|(prefix, radix)| {
        text.strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(*radix)))
    });
    let number_like = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse::<f64>().is_ok();
    match text {
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => PlainKind::Boolean,
        _ if based || number_like || matches!(unsigned, ".inf" | ".Inf" | ".INF") => {
            PlainKind::Number
        }
        _ => PlainKind::Text,
    }
}

/// A list or map that is not complete yet.
struct Frame {
    start: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<Entry>, Keys),
}

/// The keys of a map that is not complete yet.
#[derive(Default)]
struct Keys {
    /// The key whose value comes next.
    current: Option<Key>,
    seen: HashMap<String, Span>,
}

struct Builder<'a> {
    file: usize,
    text: &'a str,
    faults: &'a mut Faults,
    stack: Vec<Frame>,
    documents: Vec<Node>,
    nodes: usize,
}

/// Reads all documents of `text`. What cannot be read ends the reading; the documents before it are kept.
pub(super) fn parse(file: usize, text: &str, faults: &mut Faults) -> Vec<Node> {
    let mut options = Options::default();
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    options.set_emit_comments(false);
    let mut builder = Builder {
        file,
        text,
        faults,
        stack: Vec::new(),
        documents: Vec::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span.byte_range().unwrap_or(0..0)),
            Err(error) => {
                let offset = error.marker().byte_offset().unwrap_or(0);
                let span = builder.span(offset..offset);
                let message = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => too_deep(),
                    _ => format!("not valid YAML: {}", error.info()),
                };
                builder.faults.error(span, message);
                None
            }
        };
        if taken.is_none() {
            break;
        }
    }
    builder.documents
}

impl Builder<'_> {
    /// A span within the text, whatever the parser says.
    fn span(&self, range: Range<usize>) -> Span {
        let floor = |offset: usize| {
            (0..=offset.min(self.text.len()))
                .rev()
                .find(|&offset| self.text.is_char_boundary(offset))
                .unwrap_or(0)
        };
        Span {
            file: self.file,
            start: floor(range.start),
            end: floor(range.end),
        }
    }

    /// Takes one event; `None` ends the reading.
    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Option<()> {
        match event {
            Event::Scalar(text, _, _, None) if self.awaits_key() => self.key(&text, range),
            Event::Scalar(text, style, _, tag) if !self.awaits_key() => {
                let is_text = |tag: &Tag| tag.core_suffix() == Some("str");
                let value = match tag {
                    None => self.scalar(text.into_owned(), style, &range),
                    Some(tag) if is_text(&tag) => {
                        self.scalar(text.into_owned(), ScalarStyle::DoubleQuoted, &range)
                    }
                    Some(_) => self.refused(&range, "YAML tags are not supported here"),
                };
                self.place(range, value)
            }
            Event::Alias(_) if !self.awaits_key() => {
                let value = self.refused(&range, "aliases are not supported: write the value out");
                self.place(range, value)
            }
            Event::Scalar(..) | Event::Alias(_) => {
                self.refused(&range, "a key must be a plain text");
                None
            }
            Event::SequenceStart(..) => self.open(range, Content::List(Vec::new())),
            Event::MappingStart(..) => self.open(range, Content::Map(Vec::new(), Keys::default())),
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.stack.pop().expect("an end follows its start");
                self.close(frame, range)
            }
            // The event type is the parser's and may grow; what is left here carries no values.
            _ => Some(()),
        }
    }

    /// Notes why a value cannot be used.
    fn refused(&mut self, range: &Range<usize>, reason: &str) -> Value {
        self.faults.error(self.span(range.clone()), reason);
        Value::Refused
    }

    fn awaits_key(&self) -> bool {
        let content = self.stack.last().map(|frame| &frame.content);
        matches!(content, Some(Content::Map(_, keys)) if keys.current.is_none())
    }

    fn scalar(&self, text: String, style: ScalarStyle, range: &Range<usize>) -> Value {
        let plain = style == ScalarStyle::Plain;
        let empty = range.is_empty() || matches!(&*text, "~" | "null" | "Null" | "NULL");
        if plain && empty {
            return Value::Empty;
        }
        let quote = usize::from(!plain);
        let start = range.start + quote;
        let written = self.text.get(start..range.end.saturating_sub(quote));
        Value::Scalar(Scalar {
            verbatim: written.is_some_and(|w| w == text).then_some(start),
            text,
            plain,
        })
    }

    fn key(&mut self, text: &str, range: Range<usize>) -> Option<()> {
        let span = self.span(range);
        let Some(Frame {
            content: Content::Map(_, keys),
            ..
        }) = self.stack.last_mut()
        else {
            unreachable!("a key is awaited in maps only");
        };
        let first = keys.seen.insert(text.to_owned(), span);
        keys.current = Some(Key {
            text: text.to_owned(),
            span,
        });
        if let Some(first) = first {
            let line = 1 + self.text[..first.start].matches('\n').count();
            self.faults.error(
                span,
                format!("the key `{text}` stands here twice; first in line {line}"),
            );
        }
        Some(())
    }

    fn open(&mut self, range: Range<usize>, content: Content) -> Option<()> {
        if self.awaits_key() {
            let reason = "a key must be a plain text, and braces in a value need quotes";
            self.refused(&range, reason);
            return None;
        }
        if self.stack.len() >= DEPTH_MAX {
            self.refused(&range, &too_deep());
            return None;
        }
        self.stack.push(Frame {
            start: range.start,
            content,
        });
        Some(())
    }

    /// Makes a value of a list or map that is complete.
    fn close(&mut self, frame: Frame, range: Range<usize>) -> Option<()> {
        // The end that the parser tells for a block is where the next thing starts.
        let flow_end = |last: Option<usize>| match self.text[..range.end].ends_with(['}', ']']) {
            true => range.end,
            false => last.unwrap_or(frame.start),
        };
        let (end, value) = match frame.content {
            Content::List(items) => {
                let end = flow_end(items.last().map(|item| item.span.end));
                (end, Value::List(items))
            }
            Content::Map(entries, _) => {
                let end = flow_end(
                    entries
                        .last()
                        .map(|entry| entry.node.span.end.max(entry.key.span.end)),
                );
                (end, Value::Map(entries))
            }
        };
        self.place(frame.start..end.max(frame.start), value)
    }

    /// Puts a complete value where it belongs.
    fn place(&mut self, range: Range<usize>, value: Value) -> Option<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.refused(&range, &format!("more than {NODES_MAX} values in one file"));
            return None;
        }
        let span = self.span(range);
        let dash = self.dash_before(span.start);
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.documents.push(Node {
                owner: introduction(&value).unwrap_or(span),
                span,
                value,
            }),
            Some(Content::List(items)) => items.push(Node {
                owner: dash.unwrap_or(Span {
                    end: (span.start + 1).min(span.end),
                    ..span
                }),
                span,
                value,
            }),
            Some(Content::Map(entries, keys)) => {
                let key = keys.current.take().expect("a value follows its key");
                let node = Node {
                    owner: key.span,
                    span,
                    value,
                };
                entries.push(Entry { key, node });
            }
        }
        Some(())
    }

    /// The dash that introduces an item of a block list.
    fn dash_before(&self, start: usize) -> Option<Span> {
        let before = self.text[..start].trim_end();
        before
            .ends_with('-')
            .then(|| self.span(before.len() - 1..before.len()))
    }
}

fn too_deep() -> String {
    format!("values are nested deeper than {DEPTH_MAX} levels")
}

/// The first key of a map, which stands for all of it where a whole document is meant.
fn introduction(value: &Value) -> Option<Span> {
    match value {
        Value::Map(entries) => entries.first().map(|entry| entry.key.span),
        Value::Empty | Value::Scalar(_) | Value::List(_) | Value::Refused => None,
    }
}

/// Spells the keys that lead to `span`, such as `spec.environments[1].tags`.
pub(super) fn key_path(documents: &[Node], span: Span) -> String {
    let mut path = String::new();
    let mut current = documents.iter().find(|node| node.span.holds(span));
    while let Some(node) = current {
        current = match &node.value {
            Value::Empty | Value::Scalar(_) | Value::Refused => None,
            Value::List(items) => {
                let introduced = |item: &Node| item.owner.holds(span) || item.span.holds(span);
                let index = items.iter().position(introduced);
                path.extend(index.map(|index| format!("[{index}]")));
                index
                    .map(|index| &items[index])
                    .filter(|item| !item.owner.holds(span))
            }
            Value::Map(entries) => {
                let within = |e: &&Entry| e.key.span.holds(span) || e.node.span.holds(span);
                let entry = entries.iter().find(within);
                if let Some(entry) = entry {
                    push_key(&mut path, &entry.key.text);
                }
                entry
                    .map(|entry| &entry.node)
                    .filter(|node| node.span.holds(span))
            }
        };
    }
    path
}

fn push_key(path: &mut String, key: &str) {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    match (key.chars().all(is_word), path.is_empty()) {
        (true, true) => path.push_str(key),
        (true, false) => path.extend([".", key]),
        (false, _) => path.extend(["[\"", key, "\"]"]),
    }
}
