//! The language in which the files' shapes are defined: one definition gives the reader and the JSON Schema.
//!
//! `shape!` defines a map with known keys as a struct. A field's type says what may stand there; its doc
//! comment is what an editor shows; what stands behind `or` is told where something else than a map stands
//! there. Reading never stops at the first fault: a part that cannot be read is reported and left out.
//! Not here: which maps there are (`raw`, `forms`).

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Value as Json, json};

use super::problem::Faults;
use super::source::Span;
use super::tree::{Entry, Key, Node, PlainKind, Scalar, Value, plain_kind};

/// Longest key for which a nearest known key is sought, in characters.
const NEAREST_LENGTH_MAX: usize = 40;

/// What may stand somewhere in a file.
pub(super) trait Shape: Sized {
    /// Reads a value; `None` when a fault says why it cannot be.
    fn read(node: &Node, faults: &mut Faults) -> Option<Self>;

    /// The JSON Schema of the same; `None` where there is none.
    fn schema() -> Option<Json>;

    /// What to write where the key is missing and must not be, where its name does not tell.
    const HINT_WHERE_MISSING: Option<&str> = None;

    /// What a missing key means; `None` where it must not be missing.
    fn absent() -> Option<Self> {
        None
    }
}

/// A scalar that is a noun of its own.
pub(super) trait Leaf: Sized {
    /// Whether a bare number is read as its text, since the noun knows what is wrong with it.
    const TAKES_NUMBERS: bool = false;

    fn parse(text: &str) -> Result<Self, Refusal>;

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

/// Why a scalar is not what it should be.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// The bytes of the text that are wrong, if not all are.
    pub(super) part: Option<Range<usize>>,
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            part: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Span,
    /// Offset of the text's first character, where the file spells it exactly like the text.
    verbatim: Option<usize>,
}

impl<T> Placed<T> {
    pub(super) fn new(value: T, span: Span) -> Self {
        Self {
            value,
            span,
            verbatim: None,
        }
    }

    /// The span of a part of the text, given in bytes of the text.
    pub(super) fn part(&self, part: Option<Range<usize>>) -> Span {
        match (self.verbatim, part) {
            (Some(start), Some(part)) if start + part.end <= self.span.end => Span {
                start: start + part.start,
                end: start + part.end,
                ..self.span
            },
            _ => self.span,
        }
    }
}

impl<T: Leaf> Shape for Placed<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let scalar = match &node.value {
            Value::Scalar(scalar) if T::TAKES_NUMBERS => scalar,
            _ => text(node, faults)?,
        };
        let placed = Placed {
            value: (),
            span: node.span,
            verbatim: scalar.verbatim,
        };
        match T::parse(&scalar.text) {
            Ok(value) => Some(Self {
                value,
                span: placed.span,
                verbatim: placed.verbatim,
            }),
            Err(refusal) => {
                refuse(faults, placed.part(refusal.part.clone()), refusal);
                None
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(T::schema())
    }
}

/// Notes a refusal at its place.
pub(super) fn refuse(faults: &mut Faults, span: Span, refusal: Refusal) {
    match refusal.hint {
        Some(hint) => faults.error_with_hint(span, refusal.message, hint),
        None => faults.error(span, refusal.message),
    }
}

/// Gives a node's text, or says why it is none. A number is none: `1.10` would be `1.1` to an editor.
pub(super) fn text<'a>(node: &'a Node, faults: &mut Faults) -> Option<&'a Scalar> {
    match &node.value {
        Value::Scalar(scalar) if scalar.plain && plain_kind(&scalar.text) != PlainKind::Text => {
            faults.error_with_hint(
                node.span,
                format!("expected a text, found {}", node.kind()),
                format!("write it in quotes: \"{}\"", scalar.text),
            );
            None
        }
        Value::Scalar(scalar) => Some(scalar),
        Value::Empty | Value::List(_) | Value::Map(_) | Value::Refused => {
            unexpected(node, "a text", faults);
            None
        }
    }
}

/// Notes that something else was expected here.
pub(super) fn unexpected(node: &Node, expected: &str, faults: &mut Faults) {
    unexpected_with((node, None), expected, faults);
}

/// The same with what to write, where that is known.
pub(super) fn unexpected_with(
    (node, hint): (&Node, Option<&str>),
    expected: &str,
    faults: &mut Faults,
) {
    let message = format!("expected {expected}, found {}", node.kind());
    match (&node.value, hint) {
        (Value::Refused, _) => {}
        (Value::Empty, hint) => {
            let hint = hint.unwrap_or("give it a value, or remove the key");
            faults.error_with_hint(node.owner, message, hint);
        }
        (Value::Scalar(_) | Value::List(_) | Value::Map(_), Some(hint)) => {
            faults.error_with_hint(node.span, message, hint);
        }
        (Value::Scalar(_) | Value::List(_) | Value::Map(_), None) => {
            faults.error(node.span, message);
        }
    }
}

impl Leaf for String {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.trim() {
            "" => Err(Refusal::new("expected a text, found an empty one")),
            _ => Ok(text.to_owned()),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl Shape for bool {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Scalar(Scalar {
                text, plain: true, ..
            }) if plain_kind(text) == PlainKind::Boolean => Some(text.eq_ignore_ascii_case("true")),
            _ => {
                // What other languages, and YAML before its version 1.2, read as one.
                let meant = match &node.value {
                    Value::Scalar(scalar) => match &*scalar.text.to_lowercase() {
                        "true" | "yes" | "on" | "y" | "1" => Some("write `true`"),
                        "false" | "no" | "off" | "n" | "0" => Some("write `false`"),
                        _ => None,
                    },
                    Value::Empty | Value::List(_) | Value::Map(_) | Value::Refused => None,
                };
                unexpected_with((node, meant), "`true` or `false`", faults);
                None
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "boolean" }))
    }
}

impl<T: Shape> Shape for Option<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        T::read(node, faults).map(Some)
    }

    fn schema() -> Option<Json> {
        T::schema()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::List(items) = &node.value else {
            unexpected(node, "a list", faults);
            return None;
        };
        Some(
            items
                .iter()
                .filter_map(|item| T::read(item, faults))
                .collect(),
        )
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "array", "items": T::schema()? }))
    }
}

/// A value with the span of all of it, and of what introduces it.
#[derive(Clone, Debug)]
pub(super) struct Block<T> {
    pub(super) value: T,
    pub(super) owner: Span,
    pub(super) span: Span,
}

impl<T: Shape> Shape for Block<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        T::read(node, faults).map(|value| Self {
            value,
            owner: node.owner,
            span: node.span,
        })
    }

    fn schema() -> Option<Json> {
        T::schema()
    }
}

/// A map whose keys people choose, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Named<K, T> {
    pub(super) entries: Vec<NamedEntry<K, T>>,
}

/// One entry of a [`Named`] map.
#[derive(Clone, Debug)]
pub(super) struct NamedEntry<K, T> {
    pub(super) key: Placed<K>,
    /// `None` where a fault says why, so that what refers to the key is not called unknown.
    pub(super) value: Option<T>,
}

impl<K: Leaf, T: Shape> Shape for Named<K, T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let hint = match &node.value {
                Value::Scalar(_) | Value::List(_) => Some("each name is a key: `NAME: ...`"),
                Value::Empty | Value::Map(_) | Value::Refused => None,
            };
            unexpected_with((node, hint), "a map", faults);
            return None;
        };
        if entries.is_empty() {
            faults.error(node.span, "expected at least one entry, found none");
        }
        let read = |entry: &Entry| {
            let value = T::read(&entry.node, faults);
            let span = entry.key.span;
            match K::parse(&entry.key.text) {
                Ok(key) => Some(NamedEntry {
                    key: Placed::new(key, span),
                    value,
                }),
                Err(refusal) => {
                    refuse(faults, span, refusal);
                    None
                }
            }
        };
        Some(Self {
            entries: entries.iter().filter_map(read).collect(),
        })
    }

    fn schema() -> Option<Json> {
        let mut schema = json!({
            "type": "object",
            "additionalProperties": T::schema()?,
            "minProperties": 1,
        });
        let key = K::schema();
        if key.get("enum").is_some() {
            schema["propertyNames"] = key;
        }
        Some(schema)
    }
}

/// A known key of a map, for its schema.
pub(super) struct Known {
    key: &'static str,
    doc: &'static [&'static str],
    required: bool,
    schema: Option<Json>,
}

impl Known {
    pub(super) fn new<T: Shape>(key: &'static str, doc: &'static [&'static str]) -> Self {
        Self {
            key,
            doc,
            required: T::absent().is_none(),
            schema: T::schema(),
        }
    }
}

/// The entries of a map while its fields are read.
pub(super) struct Fields<'a> {
    node: &'a Node,
    entries: &'a [Entry],
    /// Known keys that an unknown one probably means.
    meant: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens a map and reports the keys that are not `known`; where it is none, `hint` says what to write.
    pub(super) fn open(
        (node, hint): (&'a Node, Option<&str>),
        known: &[&'static str],
        faults: &mut Faults,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            unexpected_with((node, hint), "a map", faults);
            return None;
        };
        let is_unknown = |entry: &&Entry| !known.contains(&&*entry.key.text);
        let meant = entries
            .iter()
            .filter(is_unknown)
            .filter_map(|entry| unknown_key(&entry.key, known, faults))
            .collect();
        Some(Self {
            node,
            entries,
            meant,
        })
    }

    /// Reads the value of one key; `None` where it is missing and must not be.
    pub(super) fn take<T: Shape>(&self, key: &'static str, faults: &mut Faults) -> Option<T> {
        match self.entries.iter().find(|entry| entry.key.text == key) {
            Some(entry) => T::read(&entry.node, faults).or_else(T::absent),
            None => T::absent().or_else(|| {
                if !self.meant.contains(&key) {
                    let message = format!("the key `{key}` is missing");
                    match T::HINT_WHERE_MISSING {
                        Some(hint) => faults.error_with_hint(self.node.owner, message, hint),
                        None => faults.error(self.node.owner, message),
                    }
                }
                None
            }),
        }
    }
}

/// Reports an unknown key and gives the known one that it probably means.
pub(super) fn unknown_key(
    key: &Key,
    known: &[&'static str],
    faults: &mut Faults,
) -> Option<&'static str> {
    let nearest = match faults.are_full() {
        true => None,
        false => nearest(&key.text, known),
    };
    let hint = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: {}", list(known)),
    };
    faults.error_with_hint(key.span, format!("unknown key `{}`", key.text), hint);
    nearest
}

/// Lists words in backticks, each once.
pub(super) fn list(words: &[&str]) -> String {
    let mut told = BTreeSet::new();
    let each = words.iter().filter(|word| told.insert(**word));
    let quoted: Vec<_> = each.map(|word| format!("`{word}`")).collect();
    match quoted.is_empty() {
        true => "none".to_owned(),
        false => quoted.join(", "),
    }
}

/// The known word that `word` is most probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > NEAREST_LENGTH_MAX {
        return None;
    }
    // Case and joints are what people mix up most: `pageSize`, `page_size`, `page-size`.
    let fold = |word: &str| word.to_lowercase().replace(['-', '_'], "");
    let word = fold(word);
    known
        .iter()
        .map(|known| {
            let folded = fold(known);
            let part = folded.len() > 3 && word.len() > 3 && {
                folded.starts_with(&word) || word.starts_with(&folded)
            };
            let distance = strsim::damerau_levenshtein(&word, &folded);
            (if part { distance.min(1) } else { distance }, *known)
        })
        .filter(|(distance, known)| *distance <= (known.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, known)| known)
}

/// The schema of a map with known keys.
pub(super) fn map_schema(doc: &[&str], known: Vec<Known>) -> Json {
    let required: Vec<_> = known.iter().filter(|k| k.required).map(|k| k.key).collect();
    let properties: serde_json::Map<String, Json> = known
        .into_iter()
        .filter_map(|known| {
            let mut schema = known.schema?;
            schema["description"] = Json::String(paragraph(known.doc));
            Some((known.key.to_owned(), schema))
        })
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": paragraph(doc),
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Joins the lines of a doc comment.
pub(super) fn paragraph(doc: &[&str]) -> String {
    let lines: Vec<_> = doc.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// Defines a map with known keys: the struct, its reader, and its schema. Keys under `also` are read and
/// checked like the others, and nothing is kept of them.
macro_rules! shape {
    ($(
        $(#[doc = $doc:literal])*
        struct $name:ident $(or $hint:literal)? {$(
            $(#[doc = $field_doc:literal])*
            $field:ident: $type:ty = $key:literal,
        )*}
        $(also {$(
            $(#[doc = $also_doc:literal])*
            $also_type:ty = $also_key:literal,
        )*})?
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(in crate::config) struct $name {$(
            $(#[doc = $field_doc])*
            pub(in crate::config) $field: $type,
        )*}

        impl $crate::config::shape::Shape for $name {
            fn read(
                node: &$crate::config::tree::Node,
                faults: &mut $crate::config::problem::Faults,
            ) -> Option<Self> {
                let known = [
                    $($key,)*
                    $($($also_key,)*)?
                ];
                let hints: &[&str] = &[$($hint)?];
                let node = (node, hints.first().copied());
                let fields = $crate::config::shape::Fields::open(node, &known, faults)?;
                $(let $field = fields.take::<$type>($key, faults);)*
                $($(fields.take::<$also_type>($also_key, faults);)*)?
                Some(Self { $($field: $field?,)* })
            }

            fn schema() -> Option<serde_json::Value> {
                let known = vec![
                    $($crate::config::shape::Known::new::<$type>($key, &[$($field_doc),*]),)*
                    $($($crate::config::shape::Known::new::<$also_type>(
                        $also_key,
                        &[$($also_doc),*],
                    ),)*)?
                ];
                Some($crate::config::shape::map_schema(&[$($doc),*], known))
            }
        }
    )*};
}
pub(super) use shape;
