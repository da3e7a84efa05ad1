//! Markdown, and how text that others wrote is shown in it.
//!
//! Invariant: such text stands in code spans and code blocks, or as words without any character that Markdown or a forge knows; and what
//! forges look for in the raw text, code or not, is broken by a character without width.

use std::fmt::Write as _;

/// Longest text of others that is shown whole, in characters: a tag has 128 at most, a commit's subject 72 by custom.
const SHOWN_MAX: usize = 200;

/// A character without width that belongs to no word, number or path.
const JOINER: char = '\u{2060}';

/// What stands between two versions in the subject of a commit.
const ARROW: &str = " -> ";

/// What starts the words after which GitLab closes an issue as soon as the request is merged, in code spans too: it looks through
/// the raw text. <https://docs.gitlab.com/user/project/issues/managing_issues/#default-closing-pattern>
const CLOSING_WORDS: [&str; 4] = ["clos", "fix", "resolv", "implement"];

/// `text` on one line, cut where it is long, without what hides or turns around what is seen, and without what a forge would act on.
pub(in crate::plan) fn plain(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).map(seen).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    inert(&shown)
}

/// `text` as code.
pub(super) fn code(text: &str) -> String {
    let text = plain(text);
    let text = text.trim();
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    // A space keeps the fence apart from a backtick of the text, and is not shown.
    // <https://spec.commonmark.org/0.31.2/#code-spans>
    match text.starts_with('`') || text.ends_with('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// `text` as code in a cell of a table, which ends at each `|`, in code too. A backslash would help with some products only.
pub(super) fn cell(text: &str) -> String {
    code(&text.replace('|', "¦"))
}

/// A sentence: what stands in backticks is code, and so is each word that Markdown or a forge could read as something else.
pub(super) fn prose(text: &str) -> String {
    let mut shown = String::new();
    for (place, part) in text.split('`').enumerate() {
        let is_code = place % 2 == 1;
        if is_code {
            shown.push_str(&code(part));
            continue;
        }
        let words: Vec<String> = part.split(' ').map(word).collect();
        shown.push_str(&words.join(" "));
    }
    shown
}

fn word(word: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || ".,;:()'-+=/%?".contains(c);
    let starts_well = |c: char| c.is_alphanumeric() || "('-,;.".contains(c);
    let is_link = word.contains("://") || word.contains("www.");
    // GitHub reads it as the number of an issue.
    let is_number = word.to_ascii_lowercase().contains("gh-");
    let is_harmless = word.chars().all(harmless) && !is_link && !is_number;
    match word.is_empty() || (is_harmless && word.starts_with(starts_well)) {
        true => word.to_owned(),
        false => code(word),
    }
}

/// `text` for a place whose markup is not known: a template of the policy. Characters that Markdown knows are replaced by others that
/// look alike, and what would become a link stays text.
pub(super) fn anywhere(text: &str) -> String {
    let alike = |c: char| match c {
        '`' => '\'',
        '<' => '‹',
        '>' => '›',
        '[' | '{' => '(',
        ']' | '}' => ')',
        '|' => '¦',
        '*' => '∗',
        '~' => '∼',
        '\\' => '∖',
        '&' => '＆',
        '"' => '\'',
        other => other,
    };
    // An arrow between two versions is kept.
    let plain = plain(text);
    let parts = plain.split(ARROW);
    let parts: Vec<String> = parts
        .map(|part| part.chars().map(alike).collect())
        .collect();
    let text = parts
        .join(ARROW)
        .replace("://", &format!(":{JOINER}//"))
        .replace("www.", &format!("www{JOINER}."));
    // GitLab takes a line that starts with a slash for a command.
    match text.starts_with('/') {
        true => format!("{JOINER}{text}"),
        false => text,
    }
}

/// `text` as a block of code in `language`.
pub(super) fn block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let mut shown = format!("{fence}{language}\n");
    for line in text.lines() {
        let seen: String = line.trim_end_matches('\r').chars().map(seen).collect();
        writeln!(shown, "{}", inert(&seen)).expect("a string can be written");
    }
    shown + &fence
}

/// `text` within HTML.
pub(super) fn escaped_html(text: &str) -> String {
    let text = plain(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// `text` as it can be seen: without line breaks, and without characters that hide others or turn them around.
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn seen(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => {
            '\u{fffd}'
        }
        '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c => c,
    }
}

/// `text` without what a forge acts on wherever it stands: mentions, numbers of issues and requests, and words that close them.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    let mut start_of_word = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((place, c)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match c {
            ' ' if closes(&text[start_of_word..place]) => inert.push('\u{a0}'),
            // The head of a part of a diff, `@@ -1,3 +1,3 @@`, stays as it is.
            '@' | '#' | '!' if next.is_some_and(|next| next != c && !next.is_whitespace()) => {
                inert.push(c);
                inert.push(JOINER);
            }
            c => inert.push(c),
        }
        if c == ' ' {
            start_of_word = place + 1;
        }
    }
    inert
}

fn closes(word: &str) -> bool {
    let breaks = |c: char| !c.is_alphanumeric();
    let last = word.trim_end_matches(breaks).rsplit(breaks).next();
    let last = last.unwrap_or_default().to_ascii_lowercase();
    CLOSING_WORDS.iter().any(|start| last.starts_with(start))
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_MAX, anywhere, block, cell, code, escaped_html, plain, prose};

    #[test]
    fn what_forges_look_for_is_broken_without_being_seen() {
        for (text, expected) in [
            ("ping @team", "ping @\u{2060}team"),
            ("@@ -1 +1 @@ ##7", "@@ -1 +1 @@ ##\u{2060}7"),
            ("see #12 and !7", "see #\u{2060}12 and !\u{2060}7"),
            ("fixes #12", "fixes\u{a0}#\u{2060}12"),
            ("(Closes: ABC-12)", "(Closes:\u{a0}ABC-12)"),
            ("a # b @ c !", "a # b @ c !"),
            ("a\nb\tc", "a\u{fffd}b c"),
            ("v1\u{202e}2.4.1", "v1\u{fffd}2.4.1"),
        ] {
            assert_eq!(plain(text), expected);
        }
        let long = plain(&"é".repeat(SHOWN_MAX + 1));
        assert_eq!(long, format!("{}…", "é".repeat(SHOWN_MAX)));
    }

    #[test]
    fn code_ends_where_its_text_does() {
        for (text, expected) in [
            ("v1.4.2", "`v1.4.2`"),
            ("a`b", "``a`b``"),
            ("`a``", "``` `a`` ```"),
            (" ", "(empty)"),
            ("<!-- x -->", "`<!\u{2060}-- x -->`"),
        ] {
            assert_eq!(code(text), expected);
        }
        assert_eq!(cell("a|b"), "`a¦b`");
        assert_eq!(escaped_html("a<b>&c"), "a&lt;b&gt;&amp;c");
    }

    #[test]
    fn a_sentence_keeps_its_words_and_shows_the_rest_as_code() {
        for (text, expected) in [
            (
                "passed (26h in staging), since 09:00",
                "passed (26h in staging), since 09:00",
            ),
            ("`v1` waits for @team", "`v1` waits for `@\u{2060}team`"),
            (
                "see https://evil.example/ or www.evil.example",
                "see `https://evil.example/` or `www.evil.example`",
            ),
            ("`a`, `b`; `c`.", "`a`, `b`; `c`."),
            ("*bold* <b> [a](b) GH-12", "`*bold*` `<b>` `[a](b)` `GH-12`"),
            ("an `unclosed one", "an `unclosed one`"),
        ] {
            assert_eq!(prose(text), expected);
        }
    }

    #[test]
    fn a_value_of_a_template_is_text_wherever_it_stands() {
        assert_eq!(anywhere("[a](b) `c` <d> | *e*"), "(a)(b) 'c' ‹d› ¦ ∗e∗");
        assert_eq!(anywhere("> web v1 -> v2"), "› web v1 -> v2");
        assert_eq!(anywhere("/close"), "\u{2060}/close");
        assert_eq!(anywhere("https://a.b"), "https:\u{2060}//a.b");
    }

    #[test]
    fn a_block_has_a_fence_that_its_text_has_not() {
        insta::assert_snapshot!(block("diff", "-a\r\n+````\n"), @"
        `````diff
        -a
        +````
        `````
        ");
    }
}
