//! What git tells of promotions, however the forge merged them. The merges are made as each forge makes them.

use crate::lab::{Lab, kustomization};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const BRANCH: &str = "towpath/dev/portal";

/// Proposes the next version as a commit of ours on a branch, as it would be for a pull request, and gives its message.
fn propose(lab: &Lab, from: u32, to: u32) -> String {
    let work = |args: &[&str]| lab.git(&[&["-C", "work"], args].concat());
    work(&["checkout", "-q", "main"]);
    work(&["checkout", "-q", "-B", BRANCH]);
    let image = lab.image("acme/web");
    let text = kustomization(&image, &format!("v{to}"));
    std::fs::write(lab.path().join("work").join(OVERLAY), text).unwrap();
    let message = format!(
        "promote portal to dev: web v{from} -> v{to}\n\nTowpath-Policy: portal\nTowpath-Environment: dev\nTowpath-Image: web {image}:v{to}@sha256:{}\nTowpath-Replaces: web v{from}\n",
        "ab".repeat(32)
    );
    let ours = ["-c", "user.name=towpath"];
    work(&[&ours[..], &["commit", "-q", "-a", "-m", &message]].concat());
    work(&["checkout", "-q", "main"]);
    message
}

/// The history as lines that say all but times and names of commits.
fn told(lab: &Lab, args: &[&str]) -> String {
    lab.git(&["-C", "work", "push", "-q", "origin", "main"]);
    let ran = lab.run(&[&["history", "--output", "json", "--reverse"], args].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).unwrap();
    let line = |row: &serde_json::Value| {
        let text = |key: &str| match &row[key] {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let merged = if row["merge"].is_null() {
            ""
        } else {
            ", by a merge"
        };
        format!(
            "{} {} -> {}: #{} approved by {}{merged}",
            text("what"),
            text("from"),
            text("to"),
            text("pullRequest"),
            text("approvedBy"),
        )
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn lab() -> Lab {
    let lab = Lab::portal();
    lab.git(&["-C", "work", "checkout", "-q", "-B", "main"]);
    lab
}

#[test]
fn a_promotion_is_told_however_its_pull_request_was_merged() {
    let lab = lab();
    let work = |args: &[&str]| lab.git(&[&["-C", "work"], args].concat());
    let merge = |message: &str| work(&["merge", "-q", "--no-ff", "-m", message, BRANCH]);
    let squash = |message: &str| {
        work(&["merge", "-q", "--squash", BRANCH]);
        work(&["commit", "-q", "-m", message]);
    };
    // GitHub: a merge, a squash of one commit, a squash of several with its wrapped lines, a rebase.
    propose(&lab, 1, 2);
    merge(
        "Merge pull request #12 from acme/towpath/dev/portal\n\npromote portal to dev: web v1 -> v2",
    );
    let message = propose(&lab, 2, 3);
    let (subject, body) = message.split_once("\n\n").unwrap();
    squash(&format!("{subject} (#13)\n\n{body}"));
    let message = propose(&lab, 3, 4);
    let (subject, body) = message.split_once("\n\n").unwrap();
    let wrapped = body.replace("Towpath-Image: web ", "Towpath-Image: web\n");
    squash(&format!(
        "{subject} (#14)\n\n* {subject}\n\n{wrapped}\n* by hand\n\n---------\n\nCo-authored-by: A Person <person@example.com>"
    ));
    propose(&lab, 4, 5);
    work(&["commit", "-q", "--allow-empty", "-m", "between"]);
    work(&["cherry-pick", BRANCH]);
    // GitLab: a squash that is merged.
    let message = propose(&lab, 5, 6);
    work(&["checkout", "-q", "-b", "squashed"]);
    squash(&message);
    work(&["checkout", "-q", "main"]);
    let text = "Merge branch 'towpath/dev/portal' into 'main'\n\npromote portal\n\nSee merge request acme/deploy!16\n\nApproved-by: Grace <grace@example.com>";
    work(&["merge", "-q", "--no-ff", "-m", text, "squashed"]);
    // Gitea, Bitbucket, Azure DevOps.
    propose(&lab, 6, 7);
    merge(
        "Merge pull request 'promote portal' (#17) from towpath/dev/portal into main\n\nReviewed-on: https://git.example.com/acme/deploy/pulls/17\nReviewed-by: Grace <grace@example.com>",
    );
    propose(&lab, 7, 8);
    merge(
        "Merged in towpath/dev/portal (pull request #18)\n\npromote portal\n\nApproved-by: Grace",
    );
    let message = propose(&lab, 8, 9);
    squash(&format!("Merged PR 19: {message}"));
    // A person, with git alone.
    propose(&lab, 9, 10);
    work(&["merge", "-q", "--no-ff", "--no-edit", BRANCH]);
    propose(&lab, 10, 11);
    work(&["merge", "-q", "--ff-only", BRANCH]);
    insta::assert_snapshot!(told(&lab, &[]), @r#"
    promoted v1 -> v2: #12 approved by [], by a merge
    promoted v2 -> v3: #13 approved by []
    promoted v3 -> v4: #14 approved by []
    promoted v4 -> v5: #- approved by []
    promoted v5 -> v6: #16 approved by ["Grace"], by a merge
    promoted v6 -> v7: #17 approved by ["Grace"], by a merge
    promoted v7 -> v8: #18 approved by ["Grace"], by a merge
    promoted v8 -> v9: #19 approved by []
    promoted v9 -> v10: #- approved by [], by a merge
    promoted v10 -> v11: #- approved by []
    "#);
}

#[test]
fn reverts_are_told_as_what_they_undo() {
    let lab = lab();
    let work = |args: &[&str]| lab.git(&[&["-C", "work"], args].concat());
    propose(&lab, 1, 2);
    work(&[
        "merge",
        "-q",
        "--no-ff",
        "-m",
        "Merge pull request #12 from acme/towpath/dev/portal",
        BRANCH,
    ]);
    work(&["revert", "--no-edit", "-m", "1", "HEAD"]);
    let message = propose(&lab, 1, 3);
    work(&["merge", "-q", "--squash", BRANCH]);
    let (subject, body) = message.split_once("\n\n").unwrap();
    work(&["commit", "-q", "-m", &format!("{subject} (#13)\n\n{body}")]);
    // GitHub's button, squashed.
    work(&["revert", "--no-commit", "HEAD"]);
    work(&[
        "commit",
        "-q",
        "-m",
        &format!("Revert \"{subject}\" (#14)\n\nReverts acme/deploy#13"),
    ]);
    insta::assert_snapshot!(told(&lab, &[]), @"
    promoted v1 -> v2: #12 approved by [], by a merge
    undone v2 -> v1: #- approved by []
    promoted v1 -> v3: #13 approved by []
    undone v3 -> v1: #14 approved by []
    ");
}

#[test]
fn the_time_of_a_promotion_is_that_of_its_merge_and_decides_which_is_the_latest() {
    let lab = lab();
    let work = |args: &[&str]| lab.git(&[&["-C", "work"], args].concat());
    // v3 was proposed first and merged last, so that v3 is what towpath wrote last.
    propose(&lab, 1, 3);
    work(&["branch", "-q", "-f", "first", BRANCH]);
    let message = propose(&lab, 1, 2);
    work(&["merge", "-q", "--squash", BRANCH]);
    work(&["commit", "-q", "-m", &message]);
    work(&[
        "merge",
        "-q",
        "--no-ff",
        "-X",
        "theirs",
        "-m",
        "Merge pull request #12 from acme/first",
        "first",
    ]);
    insta::assert_snapshot!(told(&lab, &[]), @"
    promoted v1 -> v2: #- approved by []
    promoted v1 -> v3: #12 approved by [], by a merge
    ");
}

#[test]
fn holds_are_told_beside_promotions_and_the_limit_keeps_the_newest() {
    let lab = lab();
    lab.git(&["-C", "work", "push", "-q", "origin", "main"]);
    lab.push(&["develop-2-1b2c3d4"]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    let author = ["--author", "Ada <ada@example.com>"];
    for words in [
        &[
            "pin",
            "portal",
            "dev",
            "develop-1-0a1b2c3",
            "--reason",
            "INC-1, \"bad\"",
        ][..],
        &["resume", "portal", "dev"],
        &[
            "stop",
            "--environment",
            "dev",
            "--reason",
            "freeze",
            "--until",
            "2099-01-01T00:00:00Z",
        ],
    ] {
        assert_eq!(
            lab.run(&[words, &author].concat()).code,
            Some(0),
            "{words:?}"
        );
    }
    let text = |args: &[&str]| {
        let ran = lab.run(&[&["history"], args].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    let rows = text(&[]);
    let without_when: Vec<String> = rows.lines().map(without_when).collect();
    insta::assert_snapshot!(without_when.join("\n"), @r#"
    WHAT | POLICY | ENVIRONMENT | IMAGE | CHANGE | BY | COMMIT | WHY
    stop | all | dev | - | Ada | COMMIT | freeze; until 2099-01-01T00:00:00Z
    resume | portal | dev | - | Ada | COMMIT
    pin develop-1-0a1b2c3 | portal | dev | - | Ada | COMMIT | INC-1, "bad"
    promoted | portal | dev | web | develop-1-0a1b2c3 -> develop-2-1b2c3d4 | towpath | COMMIT
    "#);
    let csv = text(&["portal", "dev", "--output", "csv", "--limit", "3"]);
    assert_eq!(csv.matches("\r\n").count(), 4, "{csv}");
    assert!(csv.contains(",\"INC-1, \"\"bad\"\"\","), "{csv}");
    assert!(
        !csv.contains("promoted"),
        "the oldest is over the limit: {csv}"
    );
    assert_eq!(
        text(&["--since", "2099-01-01T00:00:00Z"]).lines().count(),
        1
    );
    assert_eq!(lab.run(&["history", "shop"]).code, Some(2));
    assert_eq!(lab.run(&["history", "portal", "live"]).code, Some(2));
}

/// A line of the printed history without its time and the name of its commit.
fn without_when(line: &str) -> String {
    let is_commit = |word: &str| word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = line.split("  ").map(str::trim).skip(1);
    let words = words.filter(|word| !word.is_empty());
    let told = words.map(|word| if is_commit(word) { "COMMIT" } else { word });
    told.collect::<Vec<_>>().join(" | ")
}
