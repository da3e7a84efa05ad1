//! Properties: what holds for every text and every edit. A fuzzer thinks them up, and the tests replay what it found.
//!
//! Not here: the fuzz targets (`fuzz/`), and properties of texts that are made to measure (`assign`, `scalar`).
//! Invariant: a check returns, or panics for an input that breaks a property; it is built for tests and fuzzers only.

use std::marker::PhantomData;
use std::ops::Range;

use serde::de::DeserializeSeed as _;
use serde_yaml::{Deserializer, Value};

use super::assign;
use super::document::Reach;
use super::edited::edited;
use super::path::Path;
use super::refusal::Refusal;
use super::scalar;
use super::scan::{Context, Kind, NodeId, Scan, Style};

/// Checks one edit, written as `ARGUMENT NUL TEXT`: the argument is `PATH=VALUE`, or `#N=VALUE` for the N-th scalar.
pub(crate) fn check(input: &[u8]) {
    let Some((argument, text)) = split(input) else {
        return;
    };
    let scan = Scan::new(text);
    if let Ok(scan) = &scan {
        check_spans(scan);
    }
    match argument.strip_prefix('#') {
        Some(rest) => {
            let place = rest.split_once('=').zip(scan.as_ref().ok());
            let Some(((number, value), scan)) = place else {
                return;
            };
            let scalars = scalars(scan);
            let number: usize = number.parse().unwrap_or_default();
            if let Some(&(node, context)) = scalars.get(number % scalars.len().max(1)) {
                check_scalar(scan, (node, context), value);
            }
        }
        None => {
            let parsed = Path::parse_prefix(argument).ok();
            if let Some((path, rest)) = parsed
                && let Some(value) = rest.strip_prefix('=')
            {
                check_path(text, (&path, value));
            }
        }
    }
}

/// The argument and the text of an input, if it is text.
pub(crate) fn split(input: &[u8]) -> Option<(&str, &str)> {
    super::text(input).ok()?.split_once('\0')
}

/// What libyaml, an independent reader, makes of each document; none where it refuses, or reads something else than we.
///
/// Its YAML is 1.1, as that of Go's readers: they take U+2028 for the end of a line, and `&a:` for an anchor and a colon.
pub(crate) fn readings(scan: &Scan<'_>) -> Option<Vec<Value>> {
    let documents: Vec<NodeId> = scan.all_documents().collect();
    // It takes a byte order mark for a column of the first line, and its mind about tabs and bare carriage returns
    // depends on what stands before them.
    let text = scan.text.trim_start_matches('\u{feff}');
    let is_odd = text.replace("\r\n", "").contains(['\t', '\r', '\u{feff}']);
    if is_odd {
        return None;
    }
    let values: Option<Vec<Value>> = Deserializer::from_str(text)
        .map(|document| PhantomData::<Value>.deserialize(document).ok())
        .collect();
    let values = values?;
    let agrees = |(&document, value): (&NodeId, &Value)| {
        let root = scan.root(document);
        root.is_none_or(|root| agrees(scan, root, value))
    };
    let is_same = values.len() == documents.len() && documents.iter().zip(&values).all(agrees);
    is_same.then_some(values)
}

/// Whether another reader finds what the scan found at a node.
fn agrees(scan: &Scan<'_>, node: NodeId, value: &Value) -> bool {
    if let Value::Tagged(tagged) = value {
        return agrees(scan, node, &tagged.value);
    }
    match (&scan.nodes[node.0].token.kind, value) {
        (Kind::Alias(_), _) => true,
        (Kind::Scalar(said, _), Value::String(read)) => said == read,
        (Kind::Scalar(..), Value::Null | Value::Bool(_) | Value::Number(_)) => true,
        (Kind::Mapping(_), Value::Mapping(map)) => {
            let same = |((key, value), (read_key, read)): ((_, _), (&Value, &Value))| {
                agrees(scan, key, read_key) && agrees(scan, value, read)
            };
            scan.pairs(node).count() == map.len() && scan.pairs(node).zip(map).all(same)
        }
        (Kind::Sequence(_), Value::Sequence(list)) => {
            let same = |(item, read)| agrees(scan, item, read);
            scan.items(node).count() == list.len() && scan.items(node).zip(list).all(same)
        }
        (Kind::Document | Kind::Scalar(..) | Kind::Mapping(_) | Kind::Sequence(_), _) => false,
    }
}

/// The values of `after` that are not those of `before`, in order. A list or a map that lost something is one of them.
pub(crate) fn differences<'v>(before: &Value, after: &'v Value) -> Vec<&'v Value> {
    match (before, after) {
        (Value::Mapping(old), Value::Mapping(new))
            if old.keys().all(|key| new.contains_key(key)) =>
        {
            let differing = |(key, value)| match old.get(key) {
                Some(old) => differences(old, value),
                None => vec![value],
            };
            new.iter().flat_map(differing).collect()
        }
        (Value::Sequence(old), Value::Sequence(new)) if old.len() <= new.len() => {
            let pairs = old.iter().zip(new);
            let kept = pairs.flat_map(|(old, new)| differences(old, new));
            kept.chain(&new[old.len()..]).collect()
        }
        (Value::Tagged(old), Value::Tagged(new)) if old.tag == new.tag => {
            differences(&old.value, &new.value)
        }
        _ if before == after => Vec::new(),
        _ => vec![after],
    }
}

/// Whether all that is written in `before`, one place left out, stands in `after` in the same order.
pub(crate) fn is_kept(before: &str, left_out: Range<usize>, after: &str) -> bool {
    let is_written = |byte: &u8| !byte.is_ascii_whitespace();
    let (head, tail) = (&before[..left_out.start], &before[left_out.end..]);
    let mut rest = after.bytes();
    let mut written = head.bytes().chain(tail.bytes()).filter(is_written);
    written.all(|byte| rest.any(|other| other == byte))
}

impl Scan<'_> {
    pub(crate) fn text(&self) -> &str {
        self.text
    }

    /// Whether a node is a block that may hold YAML of its own.
    fn is_text(&self, node: NodeId) -> bool {
        matches!(
            self.nodes[node.0].token.kind,
            Kind::Scalar(_, Style::Literal)
        )
    }

    /// The bytes of a value, for properties of other rooms.
    pub(crate) fn span(&self, node: NodeId) -> Range<usize> {
        self.nodes[node.0].span.clone()
    }
}

fn set(scan: &Scan<'_>, node: NodeId, value: &str) -> Result<String, Refusal> {
    edited(scan, |draft| draft.set(node, value))
}

/// Each scalar that is no key, with the kind of collection that it stands in, in the order of the text.
fn scalars(scan: &Scan<'_>) -> Vec<(NodeId, Context)> {
    let mut scalars = Vec::new();
    let roots = scan
        .all_documents()
        .filter_map(|document| scan.root(document));
    let mut open: Vec<(NodeId, Context)> = roots.map(|root| (root, Context::Block)).collect();
    while let Some((node, context)) = open.pop() {
        match scan.nodes[node.0].token.kind {
            Kind::Scalar(..) => scalars.push((node, context)),
            Kind::Mapping(inside) => {
                open.extend(scan.pairs(node).map(|(_, value)| (value, inside)));
            }
            Kind::Sequence(inside) => open.extend(scan.items(node).map(|item| (item, inside))),
            Kind::Document | Kind::Alias(_) => {}
        }
    }
    scalars.sort_by_key(|&(node, _)| node);
    scalars
}

/// Every node stands where its span says.
fn check_spans(scan: &Scan<'_>) {
    let mut past_leaf = 0;
    for (id, node) in scan.nodes.iter().enumerate() {
        let span = &node.span;
        assert!(node.start <= span.start && node.line > 0);
        assert!(id < node.past && node.past <= scan.nodes.len());
        let before = scan.text.get(node.start..span.start);
        let written = scan.text.get(span.clone());
        let (Some(_), Some(written)) = (before, written) else {
            panic!("{:?} of {:?} cuts a character", node.token, scan.text);
        };
        let is_there = match &node.token.kind {
            Kind::Document | Kind::Scalar(_, Style::Literal | Style::Folded) => true,
            Kind::Mapping(Context::Block) | Kind::Sequence(Context::Block) => true,
            // A pair without braces in a list between brackets is a map of its own.
            Kind::Mapping(Context::Flow) => {
                !written.starts_with('{') || is_between(written, '{', '}')
            }
            Kind::Sequence(Context::Flow) => is_between(written, '[', ']'),
            Kind::Alias(_) => written.starts_with('*'),
            Kind::Scalar(value, Style::Plain) => written == value || written.contains(['\n', '\r']),
            Kind::Scalar(_, Style::SingleQuoted) => is_between(written, '\'', '\''),
            Kind::Scalar(_, Style::DoubleQuoted) => is_between(written, '"', '"'),
        };
        assert!(is_there, "{:?} does not stand at {written:?}", node.token);
        if let Kind::Scalar(..) | Kind::Alias(_) = node.token.kind {
            assert!(past_leaf <= span.start, "{:?} overlaps", node.token);
            past_leaf = span.end;
        }
    }
}

fn is_between(written: &str, open: char, close: char) -> bool {
    written.len() > 1 && written.starts_with(open) && written.ends_with(close)
}

/// An edit of a scalar changes the bytes of its span, says its value, and can be taken back.
fn check_scalar(scan: &Scan<'_>, (node, context): (NodeId, Context), value: &str) {
    let (text, place) = (scan.text, &scan.nodes[node.0]);
    let Kind::Scalar(old, style) = &place.token.kind else {
        unreachable!("only scalars are picked");
    };
    if !scan.is_empty(node)
        && let Ok(same) = set(scan, node, old)
    {
        assert_eq!(same, text, "what stands there was written again");
    }
    let Ok(after) = set(scan, node, value) else {
        return;
    };
    let edited = Scan::new(&after).unwrap_or_else(|refusal| panic!("{after:?}: {refusal}"));
    assert_eq!(edited.scalar(node), Some(value), "{after:?}");
    assert_eq!(edited.nodes.len(), scan.nodes.len(), "{after:?}");
    for (id, (old, new)) in scan.nodes.iter().zip(&edited.nodes).enumerate() {
        assert!(id == node.0 || old.token == new.token, "{after:?}");
    }
    assert_eq!(
        set(&edited, node, value).as_deref(),
        Ok(&after[..]),
        "not at rest"
    );
    check_reading(scan, &edited, value);
    if scan.is_empty(node) {
        assert!(is_kept(text, 0..0, &after), "{after:?}");
        return;
    }
    let span = place.span.clone();
    assert!(after.starts_with(&text[..span.start]), "{after:?}");
    assert!(after.ends_with(&text[span.end..]), "{after:?}");
    let Kind::Scalar(_, new_style) = edited.nodes[node.0].token.kind else {
        unreachable!("it says the value");
    };
    let is_written_so = scalar::write(old, *style, context).0 == text[span];
    // A template that was written by hand is no version, and stays.
    let is_template = value.contains("{{");
    if *style == new_style && is_written_so && !is_template {
        assert_eq!(
            set(&edited, node, old).as_deref(),
            Ok(text),
            "not taken back"
        );
    }
}

/// An edit by path replaces one value or adds one, and is at rest then.
fn check_path(text: &str, (path, value): (&Path, &str)) {
    let Ok(after) = assign(text, &Reach::default(), (path, value)) else {
        return;
    };
    let edited = Scan::new(&after).unwrap_or_else(|refusal| panic!("{after:?}: {refusal}"));
    let again = assign(&after, &Reach::default(), (path, value));
    assert_eq!(again.as_deref(), Ok(&after[..]), "not at rest");
    let mut ids = (0..edited.nodes.len()).map(NodeId);
    let is_said = ids.any(|id| edited.scalar(id) == Some(value) || edited.is_text(id));
    assert!(is_said, "{after:?}");
    let before = Scan::new(text).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"));
    if before.nodes.len() < edited.nodes.len() {
        let ids = (0..before.nodes.len()).map(NodeId);
        let nulls = ids.filter(|&id| before.is_null(id));
        let mut left_out = nulls.map(|id| before.span(id)).chain(std::iter::once(0..0));
        let is_kept = left_out.any(|left_out| is_kept(text, left_out, &after));
        assert!(is_kept, "something is lost: {after:?}");
    }
    check_reading(&before, &edited, value);
}

/// Whoever could read the text reads it with the new value, and finds nothing else changed.
fn check_reading(before: &Scan<'_>, after: &Scan<'_>, value: &str) {
    let Some(old) = readings(before) else { return };
    let holds_texts = (0..before.nodes.len()).any(|id| before.is_text(NodeId(id)));
    let (before, after, read) = (before.text, after.text, readings(after));
    let Some(new) = read else {
        panic!("libyaml could read {before:?} and cannot read {after:?}");
    };
    // A text of comments alone has no document before its first value.
    if old.len() != new.len() {
        assert!(
            old.is_empty() || old == [Value::Null],
            "{before:?} {after:?}"
        );
        return;
    }
    let pairs = old.iter().zip(&new);
    let differing: Vec<&Value> = pairs.flat_map(|(old, new)| differences(old, new)).collect();
    // Each alias of an edited anchor differs too.
    let is_one = differing.len() <= 1 || before.contains('*');
    assert!(is_one, "{differing:?} differ in {after:?}");
    // What changed within YAML in a block is the whole block for this reader.
    if holds_texts {
        return;
    }
    for found in differing {
        assert_eq!(innermost(found), value, "{after:?}");
    }
}

/// The string in maps of one key.
fn innermost(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Mapping(map) if map.len() == 1 => map.values().next().map_or("", innermost),
        Value::Tagged(tagged) => innermost(&tagged.value),
        other => panic!("{other:?} is no string"),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::edit::cases;

    #[test]
    fn what_a_fuzzer_found_holds() {
        cases::replay("edit", check);
    }

    #[test]
    fn the_cases_hold() {
        for table in [
            include_str!("../../tests/edits/values.json"),
            include_str!("../../tests/edits/values-observed.json"),
        ] {
            cases::each_input(table, |input| {
                check(input);
                let (_, text) = super::split(input).unwrap();
                for number in 0..text.len() {
                    check(format!("#{number}=v2.0 é\0{text}").as_bytes());
                }
            });
        }
    }
}
