//! What a forge says when it refuses, in its own words, short and on one line.

use serde_json::Value as Json;

/// Characters of a forge's own words that are passed on.
const LENGTH_MAX: usize = 300;

/// Texts that are looked for: a form with so many faults is told by its first ones.
const TEXTS_MAX: usize = 100;

/// Where words stand.
const KEYS: [&str; 5] = ["message", "error", "errors", "detail", "error_description"];

/// The words of an answer with this body.
pub(super) fn of(body: &[u8]) -> String {
    let json: Option<Json> = serde_json::from_slice(body).ok();
    let mut words = Vec::new();
    if let Some(json) = &json {
        collect(json, &mut words);
    }
    let text = match words.is_empty() {
        true => String::from_utf8_lossy(&body[..body.len().min(LENGTH_MAX)]).into_owned(),
        false => words.join("; "),
    };
    let spaced = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = spaced.filter(|word| !word.is_empty()).collect();
    match &words[..] {
        [] => "it says nothing more".to_owned(),
        words => words.join(" ").chars().take(LENGTH_MAX).collect(),
    }
}

/// Finds the texts below [`KEYS`]. So tell them GitHub (`message`, `errors[].message`), Gitea and Azure DevOps (`message`),
/// GitLab (`message` as a text, a list, or lists by field; `error`), Bitbucket Cloud (`error.message`, `error.detail`) and
/// Server (`errors[].message`).
fn collect(json: &Json, words: &mut Vec<String>) {
    match json {
        _ if words.len() == TEXTS_MAX => {}
        Json::String(text) if !words.contains(text) => words.push(text.clone()),
        Json::Array(all) => all.iter().for_each(|one| collect(one, words)),
        Json::Object(fields) => {
            for found in KEYS.iter().filter_map(|key| fields.get(*key)) {
                match found {
                    Json::Object(by_field)
                        if !KEYS.iter().any(|key| by_field.contains_key(*key)) =>
                    {
                        by_field.values().for_each(|one| collect(one, words));
                    }
                    other => collect(other, words),
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{LENGTH_MAX, of};

    #[test]
    fn each_products_shape_of_an_error_is_understood() {
        for (body, words) in [
            (
                r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","message":"No commits"}]}"#,
                "Validation Failed; No commits",
            ),
            (
                r#"{"message":"Validation Failed","errors":["Only one word"]}"#,
                "Validation Failed; Only one word",
            ),
            (
                r#"{"message":"[]: Required","url":"https://gitea.example.com/api/swagger"}"#,
                "[]: Required",
            ),
            (
                r#"{"message":["Another open merge request already exists"]}"#,
                "Another open merge request already exists",
            ),
            (
                r#"{"message":{"source_branch":["is invalid","is invalid"]}}"#,
                "is invalid",
            ),
            (
                r#"{"error":"insufficient_scope","error_description":"higher privileges"}"#,
                "insufficient_scope; higher privileges",
            ),
            (
                r#"{"type":"error","error":{"message":"no such branch","detail":"towpath/x"}}"#,
                "no such branch; towpath/x",
            ),
            (
                r#"{"errors":[{"context":null,"message":"PROJ/deploy is archived"}]}"#,
                "PROJ/deploy is archived",
            ),
            ("<html>\n <b>502</b>\u{1b}[31m", "<html> <b>502</b> [31m"),
            ("", "it says nothing more"),
            ("{}", "{}"),
        ] {
            assert_eq!(of(body.as_bytes()), words, "{body}");
        }
    }

    #[test]
    fn a_list_of_words_without_end_is_read_no_further_than_is_told() {
        let all: Vec<String> = (0..1_000_000)
            .map(|number| format!("\"{number}\""))
            .collect();
        let body = format!(r#"{{"errors":[{}]}}"#, all.join(","));
        let words = of(body.as_bytes());
        assert!(words.starts_with("0; 1; 2; "), "{words}");
        assert_eq!(words.chars().count(), LENGTH_MAX);
    }

    #[test]
    fn words_without_end_are_cut() {
        let body = format!(r#"{{"message":"{}"}}"#, "ä".repeat(1000));
        assert_eq!(of(body.as_bytes()).chars().count(), LENGTH_MAX);
        assert_eq!(of(&[0xff; 1000]).chars().count(), LENGTH_MAX);
    }
}
