//! Scalars: how a string is written so that every reader gets that very string.
//!
//! Not here: where it is written (`draft`).
//! Invariant: what is written without quotes is a string by YAML 1.1 and by the YAML 1.2 core schema.

use std::borrow::Cow;

use super::scan::{Context, Style};

/// Writes `value` in `style`, or in double quotes where that style cannot hold it.
pub(super) fn write(value: &str, style: Style, context: Context) -> (String, Style) {
    match style {
        Style::Plain if is_plain(value, context) => (value.to_owned(), Style::Plain),
        Style::SingleQuoted if value.chars().all(is_printable) => (
            format!("'{}'", value.replace('\'', "''")),
            Style::SingleQuoted,
        ),
        Style::Plain
        | Style::SingleQuoted
        | Style::DoubleQuoted
        | Style::Literal
        | Style::Folded => (double_quoted(value), Style::DoubleQuoted),
    }
}

/// Whether `value` may stand without quotes: it is one plain scalar, and a string to every reader.
fn is_plain(value: &str, context: Context) -> bool {
    const FIRST_REFUSED: &[char] = &[
        '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@',
        '`', '=', '<', ' ',
    ];
    const FLOW_REFUSED: &[char] = &[',', '[', ']', '{', '}', '?'];
    let is_one_scalar = !value.starts_with(FIRST_REFUSED)
        && !value.ends_with([' ', ':'])
        && !value.contains(": ")
        && !value.contains(" #")
        && value.chars().all(is_printable)
        && (context == Context::Block || !value.contains(FLOW_REFUSED));
    is_one_scalar && value != "..." && !is_word(value) && !is_number(value) && !is_date(value)
}

/// Characters that need no escape. A tab is one by the letter of YAML, and invisible to people.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// The words that are no strings: null and the booleans of YAML 1.1, in any case.
///
/// See <https://yaml.org/type/bool.html>, <https://yaml.org/type/null.html>.
fn is_word(value: &str) -> bool {
    const WORDS: [&str; 11] = [
        "", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    ];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Whether some reader takes `value` as a number, sexagesimal ones (`12:30`) and `1_000` included.
///
/// See <https://yaml.org/type/int.html>, <https://yaml.org/type/float.html>; readers differ in detail, and quotes
/// around a string that only looks like a number cost nothing.
fn is_number(value: &str) -> bool {
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    let is_signed = unsigned.len() < value.len();
    let starts_as_number = |c: char| c.is_ascii_digit() || c == '.' || (is_signed && c == '_');
    // Go's readers leave `_` out wherever it stands.
    let lower = unsigned.replace('_', "").to_ascii_lowercase();
    if matches!(lower.trim_start_matches('.'), "inf" | "nan" | "infinity") {
        return true;
    }
    if !unsigned.starts_with(starts_as_number) || !lower.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    if let Some(digits) = lower.strip_prefix("0x") {
        let in_float = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | 'p' | '+' | '-');
        return digits.chars().all(in_float);
    }
    if let Some(digits) = lower.strip_prefix("0o").or(lower.strip_prefix("0b")) {
        return digits
            .trim_start_matches(['+', '-'])
            .bytes()
            .all(|b| b.is_ascii_digit());
    }
    let is_sexagesimal = lower.contains(':')
        && lower
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    is_sexagesimal || is_decimal(&lower)
}

/// Digits, at most one `.`, and an exponent.
fn is_decimal(lower: &str) -> bool {
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((lower, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole) && digits(fraction) && !exponent.is_empty() && digits(exponent)
}

/// Whether some reader takes `value` as a date or a time: `2024-01-02`, and anything after `T` or a space.
///
/// See <https://yaml.org/type/timestamp.html>.
fn is_date(value: &str) -> bool {
    let end = value
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(value.len());
    let (date, time) = value.split_at(end);
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    let is_day = matches!(parts[..], [4, 1..=2, 1..=2]);
    is_day && (time.is_empty() || time.starts_with(['T', 't', ' ']))
}

fn double_quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        quoted.push_str(&escaped(character));
    }
    quoted.push('"');
    quoted
}

fn escaped(character: char) -> Cow<'static, str> {
    match character {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        other if is_printable(other) => other.to_string().into(),
        other if u32::from(other) <= 0xff => format!("\\x{:02x}", u32::from(other)).into(),
        other => format!("\\u{:04x}", u32::from(other)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, Style, write};

    fn plain(value: &str) -> bool {
        write(value, Style::Plain, Context::Block).1 == Style::Plain
    }

    /// What some reader takes as a number, a date, a word, or as syntax.
    const NOT_STRINGS: &[&str] = &[
        "",
        "1.20",
        "16",
        "0755",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "null",
        "~",
        "a: b",
        "tag #1",
        "-latest",
        "*anchor",
        "&anchor",
        "@ref",
        "0123456",
        "1_000",
        "12:30",
        "1:2:3.4",
        "2024-01-02",
        "2024-1-2",
        "2024-01-02T03:04:05Z",
        "1e3",
        "12e4567",
        "1234e56",
        "72044e0",
        "1E+5",
        ".5",
        "5.",
        "0x1f",
        "0X1F",
        "0o17",
        "0b11",
        ".inf",
        "-.INF",
        ".NaN",
        "nan",
        "NULL",
        "Yes",
        "OFF",
        "N",
        "=",
        "<<",
        "+1",
        "-1",
        "1234567",
        "190:20:30",
        "a:",
        " a",
        "a ",
        "a\tb",
        "a\nb",
        "[a",
        "{a",
        "%a",
        "`a",
        "!a",
        "|",
        ">",
        "? a",
        "#a",
        "...",
        "---",
        "'a",
        "\"a",
        "0_1",
        "+_0",
        "._3",
        "1__0",
        "685_230.15",
        "\u{feff}a",
        "+12e03",
        "0x1p-2",
        ",a",
    ];

    #[test]
    fn what_every_reader_takes_as_a_string_stays_without_quotes() {
        for value in [
            "v1.0.0",
            "myapp",
            "1.2.3",
            "sha256-abc",
            "release-2024",
            "main-0a1b2c3",
            "nginx:v1",
            "0a1b2c3",
            "20240102-abc",
            "2024.06.1",
            "1.2.3-rc.1",
            "v1@sha256:abc",
            "12e4567a",
            "e3",
            "1-2",
            "é",
            "a#b",
            "latest",
            "1.x",
            "_1",
            "24.04-lts",
            "0.1.0-rc1",
            "2024-01-02-abc",
            "inferno",
            "1:a",
            "10.0.0.1:80/x",
        ] {
            assert!(plain(value), "{value}");
        }
    }

    #[test]
    fn what_some_reader_takes_as_something_else_gets_quotes() {
        for value in NOT_STRINGS {
            assert!(!plain(value), "{value:?}");
        }
    }

    #[test]
    fn commas_and_brackets_need_quotes_only_between_brackets() {
        for value in ["a,b", "a]", "a}b", "a{", "a?b"] {
            assert!(plain(value));
            let (_, style) = write(value, Style::Plain, Context::Flow);
            assert_eq!(style, Style::DoubleQuoted, "{value}");
        }
    }

    #[test]
    fn quotes_are_escaped_in_their_own_way() {
        let written = |value, style| write(value, style, Context::Block).0;
        assert_eq!(written("it's", Style::SingleQuoted), "'it''s'");
        assert_eq!(written("a\nb", Style::SingleQuoted), "\"a\\nb\"");
        assert_eq!(
            written("a\"\\\u{7f}\u{2028}", Style::DoubleQuoted),
            r#""a\"\\\x7f\u2028""#
        );
    }
}
