//! The cases of `tests/edits/`: before, edits, and what comes of them. Only tests read them.
//!
//! Not here: the cases themselves, which need no Rust.
//! Invariant: every case is run, and all that fail are shown at once.

use serde::Deserialize;

/// One case of `tests/edits/*.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// A sentence that says what is shown.
    name: String,
    before: String,
    /// The arguments of the verb, carried out in order.
    set: Vec<String>,
    /// The text after the edits, if they are not refused.
    after: Option<String>,
    /// The refusal, as `line: reason`.
    refused: Option<String>,
}

/// Runs each case of a table through `edit`, which carries out one argument.
pub(crate) fn check(table: &str, edit: impl Fn(&str, &str) -> Result<String, String>) {
    let cases: Vec<Case> = serde_json::from_str(table).unwrap();
    let mut failures = Vec::new();
    for Case {
        name,
        before,
        set,
        after,
        refused,
    } in &cases
    {
        let got = set
            .iter()
            .try_fold(before.clone(), |text, argument| edit(&text, argument));
        let wanted = match (after, refused) {
            (Some(after), None) => Ok(after.clone()),
            (None, Some(refused)) => Err(refused.clone()),
            _ => panic!("`{name}` needs one of `after` and `refused`"),
        };
        if got != wanted {
            failures.push(format!("{name}\n  wanted {wanted:?}\n  got    {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Gives each argument of a table, with the text that it is for, as the input of a fuzz target.
pub(crate) fn each_input(table: &str, check: impl Fn(&[u8])) {
    let cases: Vec<Case> = serde_json::from_str(table).unwrap();
    assert!(!cases.is_empty());
    for Case { before, set, .. } in &cases {
        for argument in set {
            check(format!("{argument}\0{before}").as_bytes());
        }
    }
}

/// Runs what a fuzz target has kept through its check.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(files.len() > 10, "{} files", files.len());
    for file in files {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input)));
        assert!(failed.is_ok(), "{} fails", path.display());
    }
}
