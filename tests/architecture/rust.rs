//! Reads Rust as far as the rules need it: code apart from comments, strings and tests, and the names in paths.
//!
//! Not here: a parser. Text that `rustfmt` would not leave as it is may be misread.

use std::collections::BTreeSet;

/// A file of Rust.
pub(crate) struct Source {
    /// Below `src`, such as `git/wire.rs`.
    pub(crate) path: String,
    /// The text without comments, the content of strings, and items under `#[cfg(test)]`.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            code: without_tests(&blanked(text)).0,
        }
    }

    pub(crate) fn room(&self) -> Option<&str> {
        self.path.split_once('/').map(|(room, _)| room)
    }
}

/// The first names after `root::`, in single paths and in groups.
pub(crate) fn segments(code: &str, root: &str) -> BTreeSet<String> {
    let start = format!("{root}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        if code[..at].ends_with(is_word) || code[..at].ends_with(':') {
            continue;
        }
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            None => found.insert(leading_name(rest)),
            Some(group) => {
                found.extend(group_names(group));
                true
            }
        };
    }
    found
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

/// The first name of each path in `a::b, c::{d, e}, f}...`.
fn group_names(group: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut depth = 0_u32;
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().expect("a name was begun").push(c),
            _ => {}
        }
    }
    let trimmed = names.iter().map(|path| leading_name(path.trim_start()));
    trimmed.filter(|name| !name.is_empty()).collect()
}

/// The longest run of `super::`.
pub(crate) fn climb(code: &str) -> usize {
    (0..8)
        .take_while(|n| code.contains(&"super::".repeat(n + 1)))
        .count()
}

/// How many `super::` lead from a file to its room.
pub(crate) fn depth(path: &str) -> usize {
    let steps = path.matches('/').count();
    if path.ends_with("/mod.rs") {
        steps - 1
    } else {
        steps
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let follows = code[at + word.len()..].starts_with(is_word);
        !follows && !code[..at].ends_with(is_word)
    })
}

/// The code without items under `#[cfg(test)]`, and the names of test modules that stand in files of their own.
pub(crate) fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut modules = Vec::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let (item, next) = after.split_at(item_length(after));
        let module = item
            .trim()
            .strip_suffix(';')
            .and_then(|i| i.rsplit_once("mod "));
        modules.extend(module.map(|(_, name)| name.to_owned()));
        rest = next;
    }
    kept.push_str(rest);
    (kept, modules)
}

/// The length of the item that `code` begins with: up to its `;`, or the brace that closes it.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + c.len_utf8();
        }
    }
    code.len()
}

/// The text with comments, strings and characters blanked; lines stay where they are.
pub(crate) fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, is_code) = token(rest);
        let (token, next) = rest.split_at(length);
        if is_code {
            out.push_str(token);
        } else {
            let blank = |c| if c == '\n' { '\n' } else { ' ' };
            out.extend(token.chars().map(blank));
        }
        rest = next;
    }
    out
}

/// The length of the token that `text` begins with, and whether it is code.
fn token(text: &str) -> (usize, bool) {
    let first = text.chars().next().expect("the text is not empty");
    let word = leading_name(text);
    if let Some(length) = raw_string_length(text, &word) {
        return (length, false);
    }
    if !word.is_empty() {
        return (word.len(), true);
    }
    if text.starts_with("//") {
        return (text.find('\n').unwrap_or(text.len()), false);
    }
    if text.starts_with("/*") {
        return (block_comment_length(text), false);
    }
    match first {
        '"' => (string_length(text), false),
        '\'' => character_length(text).map_or((1, true), |length| (length, false)),
        other => (other.len_utf8(), true),
    }
}

fn raw_string_length(text: &str, word: &str) -> Option<usize> {
    if !matches!(word, "r" | "br" | "cr") {
        return None;
    }
    let rest = &text[word.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let at = body.find(&end).unwrap_or(body.len() - end.len());
    Some(text.len() - body.len() + at + end.len())
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        match rest {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; a lifetime is none.
fn character_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    let (_, first) = characters.next()?;
    let (at, second) = characters.next()?;
    if first == '\\' {
        let from = at + second.len_utf8();
        return text[from..].find('\'').map(|end| from + end + 1);
    }
    (second == '\'').then_some(at + 1)
}
