//! `WWW-Authenticate`: how a registry says which login it wants.
//!
//! Grammar: <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>. Several challenges may stand in one header or in
//! several; names of schemes and parameters are compared without case, and values may be quoted strings.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One login that is offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// By name in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

/// All challenges of an answer, in its order.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect()
}

fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return found;
        }
        let unspaced = after.trim_start();
        match (unspaced.strip_prefix('='), found.last_mut()) {
            (Some(text), Some(challenge)) => {
                let (value, after) = value(text.trim_start());
                challenge
                    .parameters
                    .insert(word.to_ascii_lowercase(), value);
                rest = after;
            }
            // A parameter without a scheme before it belongs to nothing.
            (Some(_), None) => return found,
            (None, _) => {
                found.push(Challenge {
                    scheme: word.to_ascii_lowercase(),
                    parameters: BTreeMap::new(),
                });
                rest = after;
            }
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// A token, or a quoted string without its quotes and escapes.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

    use super::{Challenge, challenges};

    fn of(header: &str) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_str(header).unwrap());
        challenges(&headers)
    }

    #[test]
    fn quoted_strings_may_hold_commas_and_escapes() {
        let found = of(
            r#"Bearer realm="https://auth.example.com/token",SERVICE = "a, \"b\"" , scope="repository:acme/web:pull,push""#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(
            found[0].parameters["realm"],
            "https://auth.example.com/token"
        );
        assert_eq!(found[0].parameters["service"], r#"a, "b""#);
        assert_eq!(
            found[0].parameters["scope"],
            "repository:acme/web:pull,push"
        );
    }

    #[test]
    fn several_challenges_in_one_header_are_told_apart() {
        let found = of(r#"Negotiate, BASIC realm="a", Bearer realm=b,error="invalid_token""#);
        let schemes: Vec<_> = found.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(found[2].parameters["error"], "invalid_token");
    }

    #[test]
    fn what_is_no_challenge_gives_none_and_does_not_hang() {
        for bad in ["", ",,,", "realm=\"a\"", "(((", "\"open"] {
            assert_eq!(of(bad), [], "{bad}");
        }
        assert_eq!(of("Bearer realm=\"open")[0].parameters["realm"], "open");
    }
}
