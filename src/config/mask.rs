//! What no snippet may show: secrets that someone wrote into a file by mistake.
//!
//! Where a file cannot be read as YAML, masks go by lines; they rather hide too much.

use std::ops::Range;

use super::tree::{Entry, Node, Value};

/// Words in keys whose values may be secrets, however the key is spelled.
const WORDS: [&str; 6] = ["credential", "token", "passw", "secret", "key", "auth"];

/// Keys below such a key whose values are names of places, not secrets.
const NAMES: [&str; 7] = [
    "env",
    "file",
    "username",
    "docker-config",
    "namespace",
    "pull-secret",
    "service-account",
];

/// Finds the byte ranges that no snippet of `text` may show, in order.
pub(super) fn find(text: &str, documents: &[Node]) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    for document in documents {
        visit(document, Shown::Yes, &mut masks);
    }
    let read_to = documents.last().map_or(0, |document| document.span.end);
    by_line(text, read_to, &mut masks);
    in_urls(text, &mut masks);
    masks.sort_by_key(|mask| mask.start);
    masks
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

fn visit(node: &Node, shown: Shown, masks: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Scalar(_) if shown == Shown::No => masks.push(node.span.start..node.span.end),
        Value::Scalar(_) | Value::Empty | Value::Refused => {}
        Value::List(items) => items.iter().for_each(|item| visit(item, shown, masks)),
        Value::Map(entries) => {
            for Entry { key, node } in entries {
                let is_name = NAMES.contains(&&*key.text) && is_short_word(node);
                let shown = match shown {
                    Shown::No if is_name => Shown::Yes,
                    Shown::Yes if is_secret(&key.text) => Shown::No,
                    shown => shown,
                };
                visit(node, shown, masks);
            }
        }
    }
}

/// Whether a key's name says that its value may be a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    WORDS.iter().any(|word| key.contains(word)) && key != "author"
}

/// Whether a value can be a variable's name, a path or a user, rather than a secret in the wrong place.
fn is_short_word(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => {
            scalar.text.len() <= 64 && !scalar.text.contains(char::is_whitespace)
        }
        Value::Empty | Value::Refused | Value::List(_) | Value::Map(_) => false,
    }
}

/// Hides the rest of each line after a telling key, from where the text could not be read.
fn by_line(text: &str, read_to: usize, masks: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        if let Some(colon) = line.find(':')
            && end > read_to
            && is_secret(&line[..colon])
        {
            masks.push(start + colon + 1..end.max(start + colon + 1));
        }
        start += line.len();
    }
}

/// Hides what stands between `://` and `@`.
fn in_urls(text: &str, masks: &mut Vec<Range<usize>>) {
    let mut end = 0;
    for (index, separator) in text.match_indices("://") {
        let start = index + separator.len();
        // Within a URL that was looked at; to look again at each would take its length to the second power.
        if start < end {
            continue;
        }
        // A password with a `/` in it makes no valid URL, and is hidden all the same.
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        let url = text[start..].split(is_end).next().unwrap_or_default();
        end = start + url.len();
        if let Some(at) = url.rfind('@') {
            masks.push(start..start + at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn what_looks_like_one_url_after_the_other_is_one_mask() {
        let text = "://@".repeat(100_000);
        let all = 3..text.len() - 1;
        assert_eq!(find(&text, &[]), [all]);
    }
}
