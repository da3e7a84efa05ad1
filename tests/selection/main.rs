//! Selection cases, each run through `towpath select`.
//!
//! `cases.json` holds one case a line: the lines of the list, the rule by its keys, the commits of its source (newest first), what stands there, and the tag that is
//! `chosen` (null: none), or `error` for a bad rule. `because` gives the reason where other tools choose differently. Many
//! cases are drawn from the tests and issues of other image updaters.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CASES: &str = include_str!("cases.json");

/// The arguments that a case's rule means.
fn arguments(case: &Value) -> Vec<String> {
    let mut arguments = Vec::new();
    for (key, value) in case["rule"].as_object().expect("a rule is a map") {
        match value {
            Value::String(text) => arguments.push(format!("--{key}={text}")),
            Value::Bool(true) => arguments.push(format!("--{key}")),
            Value::Array(list) => {
                let texts = list.iter().filter_map(Value::as_str);
                arguments.extend(texts.map(|text| format!("--{key}={text}")));
            }
            other => panic!("`{other}` is not the value of an option"),
        }
    }
    if let Some(commits) = case["source"].as_array() {
        let names: Vec<&str> = commits.iter().filter_map(Value::as_str).collect();
        arguments.push(format!("--source={}", history(&names)));
    }
    let current = case["current"].as_str();
    arguments.extend(current.map(|current| format!("--current={current}")));
    arguments
}

/// A file with these commits, newest first; equal ones share it.
fn history(names: &[&str]) -> String {
    let text = names.join("\n");
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{:x}.commits", hasher.finish()));
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn select(arguments: &[String], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(["select", "--tags", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A bad rule is refused before the list is read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What a case expects, and what happened, as `exit code: stdout`.
fn run(case: &Value, lines: &[&str]) -> (String, String) {
    let expected = match (case["error"].as_bool(), case["chosen"].as_str()) {
        (Some(true), _) => "2: ".to_owned(),
        (_, Some(tag)) => format!("0: {tag}"),
        (_, None) => "1: ".to_owned(),
    };
    let output = select(&arguments(case), &lines.join("\n"));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code().unwrap();
    (expected, format!("{code}: {}", stdout.trim_end()))
}

#[test]
fn every_case_chooses_what_it_says_in_any_order_of_the_list() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let tags = case["tags"].as_array().unwrap();
        let mut lines: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
        for _ in 0..2 {
            let (expected, happened) = run(case, &lines);
            if expected != happened {
                wrong.push(format!(
                    "{}: expected {expected}, was {happened}",
                    case["name"]
                ));
            }
            lines.reverse();
        }
    }
    assert!(cases.len() > 120, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn with(arguments: &[&str], input: &str) -> Output {
    let owned: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
    select(&owned, input)
}

#[test]
fn the_chosen_tag_stands_alone_on_stdout() {
    let output = with(
        &["--semver", "^1"],
        "1.0.0\r\n\r\n1.1.0\t2026-01-02T03:04:05Z\r\n",
    );
    assert_eq!(text(&output.stdout), "1.1.0\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn the_reason_for_no_choice_stands_on_stderr() {
    let output = with(
        &["--semver", "^2"],
        "1.0.0\n2.0.0-rc.1\n2.1.0-rc.1\nlatest\n",
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    insta::assert_snapshot!(text(&output.stderr), @"error: none of the 4 tags is a candidate: 2 are pre-releases (`prerelease: rc` would take them), 1 is outside `^2`, 1 is not a semantic version");
    let output = with(&["--semver", "^1", "--current", "1.1.0"], "1.0.0\n");
    insta::assert_snapshot!(text(&output.stderr), @"error: the listing no longer has `1.1.0`, which stands there");
    let output = with(&["--semver", "^1", "--current", "2.0.0"], "1.0.0\n2.0.0\n");
    insta::assert_snapshot!(text(&output.stderr), @"error: the newest candidate `1.0.0` is older than `2.0.0`, which stands there");
    let output = with(
        &["--pattern", "{sha}"],
        "0a1b2c3\t2026-01-02T03:04:05Z\n0a1b2c4\t2026-01-02T03:04:05Z",
    );
    insta::assert_snapshot!(text(&output.stderr), @"error: `0a1b2c3` and `0a1b2c4` have the same creation time, so none is the newest");
    let output = with(&["--semver", "*"], "");
    insta::assert_snapshot!(text(&output.stderr), @"error: the listing holds no tags");
}

#[test]
fn a_bad_rule_is_refused_with_all_problems_and_their_columns() {
    let arguments = [
        "--semver",
        ">=1.2 <abc",
        "--ignore",
        "[",
        "--newest-by",
        "crated",
    ];
    let output = with(&arguments, "1.0.0\n");
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(text(&output.stderr), @r#"
    error: `abc` is not a version such as `1.2.3`, `1.2` or `1.x`, with one of `^ ~ > >= < <= = !=` before it
      --semver >=1.2 <abc
                      ^
    error: `crated` is not an order (did you mean `created`?): write one of `version`, `number`, `timestamp`, `commits`, `pushed`, `created`, `first-seen`
      --newest-by crated
                  ^
    error: `[` is not a glob: unclosed character class; missing ']'
      --ignore [
               ^
    "#);
}

#[test]
fn a_line_that_is_no_tag_is_refused_with_its_number() {
    let output = with(&["--semver", "*"], "1.0.0\n1 0\n");
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stderr), @"
    error: failed to read line 2 of the tags
    caused by: `1 0` is not a tag: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`
    ");
    let output = with(&["--semver", "*"], "1.0.0\tyesterday\n");
    insta::assert_snapshot!(text(&output.stderr), @"
    error: failed to read line 1 of the tags
    caused by: `yesterday` is not a time as RFC 3339 writes it, such as `2026-11-21T08:30:00Z`
    ");
}

#[test]
fn an_explanation_lists_every_tag_newest_first() {
    let list =
        "1.2.3\nv1.2.3\n1.2.2\n1.3.0-rc.1\n1.2\n2.0.0\n1.2.3-debug\nsha256-0a.sig\n1234567\n";
    let output = with(
        &["--semver", "1.x", "--ignore", "*-debug", "--explain"],
        list,
    );
    insta::assert_snapshot!(text(&output.stdout), @r#"
    * v1.2.3         the newest
      1.2.3          another spelling of `v1.2.3`
      1.2.2          older than `v1.2.3`
      1.3.0-rc.1     is a pre-release (`prerelease: rc` would take it)
      2.0.0          is outside `1.x`
      1.2.3-debug    is ignored by `*-debug`
      1.2            is a partial version, which moves
      1234567        is not a semantic version
      sha256-0a.sig  is a signature or an attachment, not an image
    "#);
    let list = "main-0a1b2c3\t2026-01-02T03:04:05Z\nmain-0a1b2c4\t2026-01-02T03:04:05Z\nmain-0a1b2c5\nmain-zz\n";
    let output = with(&["--pattern", "main-{sha}", "--explain"], list);
    insta::assert_snapshot!(text(&output.stdout), @r#"
    main-0a1b2c4  has the same creation time as `main-0a1b2c3`
    main-0a1b2c3  has the same creation time as `main-0a1b2c4`
    main-0a1b2c5  its creation time is not known
    main-zz       does not match the pattern `main-{sha}`
    "#);
}

#[test]
fn json_says_what_was_decided_and_why() {
    let arguments = [
        "--semver",
        "*",
        "--current",
        "hotfix-7",
        "--output",
        "json",
        "--explain",
    ];
    let output = with(&arguments, "1.2.3\n1.2.2\nhotfix-7\n");
    insta::assert_snapshot!(text(&output.stdout), @r#"
    {
      "tag": "1.2.3",
      "decision": "replace",
      "reason": "`1.2.3` is the newest candidate, and replaces what the rule cannot order",
      "current": "hotfix-7",
      "seen": 3,
      "candidates": [
        "1.2.3",
        "1.2.2"
      ],
      "tags": [
        {
          "tag": "1.2.3",
          "candidate": true,
          "verdict": "the newest"
        },
        {
          "tag": "1.2.2",
          "candidate": true,
          "verdict": "older than `1.2.3`"
        },
        {
          "tag": "hotfix-7",
          "candidate": false,
          "verdict": "is not a semantic version"
        }
      ]
    }
    "#);
}

#[test]
fn the_time_that_orders_is_told_with_the_choice() {
    let list = "main-0a1b2c3\t\t2026-11-20T14:02:59.5Z\nmain-0a1b2c4\t2026-11-21T08:00:00Z\t2026-11-20T14:02:00Z\n";
    let output = with(&["--pattern", "main-{sha}", "--output", "json"], list);
    insta::assert_snapshot!(text(&output.stdout), @r#"
    {
      "tag": "main-0a1b2c3",
      "decision": "choose",
      "reason": "`main-0a1b2c3` is the newest candidate, pushed 2026-11-20 14:02 UTC",
      "current": null,
      "seen": 2,
      "candidates": [
        "main-0a1b2c3",
        "main-0a1b2c4"
      ]
    }
    "#);
    let output = with(
        &["--pattern", "main-{sha}"],
        "main-0a1b2c3\t\t2026-11-20T14:02:59Z\nmain-0a1b2c4\t2026-11-21T08:00:00Z\n",
    );
    insta::assert_snapshot!(text(&output.stderr), @"error: the push time of `main-0a1b2c4` is not known, so the newest is not known either");
}
