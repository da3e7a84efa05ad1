//! New: values that are to be added, as text and as the tokens that the text must scan to.
//!
//! Not here: where they are added (`draft`).
//! Invariant: the text and the tokens of a value say the same.

use super::layout::{Lists, Measures};
use super::scalar;
use super::scan::{Context, Kind, Style, Token};

/// A value that is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum New {
    Scalar(String),
    /// A word that is written bare though it is no text, such as `true`.
    Word(&'static str),
    Map(Vec<(String, Self)>),
    List(Vec<Self>),
}

/// How new scalars and collections are written.
#[derive(Clone, Copy)]
pub(super) struct Hand {
    pub(super) context: Context,
    /// The style of scalars, unless one needs quotes.
    pub(super) style: Style,
}

impl Hand {
    pub(super) const BLOCK: Self = Self {
        context: Context::Block,
        style: Style::Plain,
    };

    fn write(self, text: &str) -> (String, Style) {
        scalar::write(text, self.style, self.context)
    }
}

impl New {
    /// The value on one line.
    pub(super) fn inline(&self, hand: Hand) -> String {
        let inside = Hand {
            context: Context::Flow,
            ..hand
        };
        match self {
            Self::Scalar(value) => hand.write(value).0,
            Self::Word(word) => (*word).to_owned(),
            Self::Map(pairs) => format!("{{{}}}", inline_pairs(pairs, inside).join(", ")),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.inline(inside)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// The value as lines of a block.
    pub(super) fn lines(&self, indent: usize, measures: Measures) -> Vec<String> {
        match self {
            Self::Scalar(_) | Self::Word(_) => {
                vec![format!("{:indent$}{}", "", self.inline(Hand::BLOCK))]
            }
            Self::Map(pairs) => pair_lines(pairs, indent, measures),
            Self::List(items) => {
                let gap = measures.lists.gap;
                let item_lines = |item: &Self| item.item_lines(Lists { indent, gap }, measures);
                items.iter().flat_map(item_lines).collect()
            }
        }
    }

    /// The value as lines of an item, its dash at `lists.indent`.
    pub(super) fn item_lines(
        &self,
        Lists { indent, gap }: Lists,
        measures: Measures,
    ) -> Vec<String> {
        let inner = indent + 1 + gap;
        let mut lines = self.lines(inner, measures);
        if let [first, ..] = &mut lines[..] {
            *first = format!("{:indent$}-{:gap$}{}", "", "", &first[inner..]);
        }
        lines
    }

    /// Columns from a key to the value below it.
    pub(super) fn indent(&self, measures: Measures) -> usize {
        match self {
            Self::List(_) => measures.lists.indent,
            Self::Map(_) | Self::Scalar(_) | Self::Word(_) => measures.step,
        }
    }

    /// The tokens of the value.
    pub(super) fn tokens(&self, depth: usize, hand: Hand, out: &mut Vec<Token<'static>>) {
        match self {
            Self::Scalar(value) => {
                let (_, style) = hand.write(value);
                out.push(bare(Kind::Scalar(value.clone().into(), style), depth));
            }
            Self::Word(word) => out.push(bare(Kind::Scalar((*word).into(), Style::Plain), depth)),
            Self::Map(pairs) => {
                out.push(bare(Kind::Mapping(hand.context), depth));
                pair_tokens(pairs, depth + 1, hand, out);
            }
            Self::List(items) => {
                out.push(bare(Kind::Sequence(hand.context), depth));
                for item in items {
                    item.tokens(depth + 1, hand, out);
                }
            }
        }
    }
}

/// Each pair on one line.
pub(super) fn inline_pairs(pairs: &[(String, New)], hand: Hand) -> Vec<String> {
    let inline = |(key, value): &(String, New)| {
        let (key, _) = hand.write(key);
        format!("{key}: {}", value.inline(hand))
    };
    pairs.iter().map(inline).collect()
}

/// The pairs as lines of a block.
pub(super) fn pair_lines(
    pairs: &[(String, New)],
    indent: usize,
    measures: Measures,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in pairs {
        let (key, _) = Hand::BLOCK.write(key);
        match value {
            New::Scalar(_) | New::Word(_) => {
                let value = value.inline(Hand::BLOCK);
                lines.push(format!("{:indent$}{key}: {value}", ""));
            }
            New::Map(_) | New::List(_) => {
                lines.push(format!("{:indent$}{key}:", ""));
                lines.extend(value.lines(indent + value.indent(measures), measures));
            }
        }
    }
    lines
}

pub(super) fn pair_tokens(
    pairs: &[(String, New)],
    depth: usize,
    hand: Hand,
    out: &mut Vec<Token<'static>>,
) {
    for (key, value) in pairs {
        let (_, style) = hand.write(key);
        out.push(bare(Kind::Scalar(key.clone().into(), style), depth));
        value.tokens(depth, hand, out);
    }
}

/// A token without anchor and tag.
pub(super) fn bare(kind: Kind<'static>, depth: usize) -> Token<'static> {
    Token {
        kind,
        depth,
        anchor: 0,
        tag: None,
    }
}
