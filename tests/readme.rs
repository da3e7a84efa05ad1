//! What the README shows is run: its example is checked as it stands there, and its first command plays to the end.
//!
//! Invariant: nothing of the README is repeated here, so that the two cannot drift.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use bed::Process;
use tempfile::TempDir;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The block of YAML that the README calls `file`.
fn file_of(readme: &str, file: &str) -> String {
    let (_, after) = readme
        .split_once(&format!("`{file}`:\n\n```yaml\n"))
        .unwrap_or_else(|| panic!("the README shows no `{file}`"));
    after.split_once("```").unwrap().0.to_owned()
}

/// Runs the program in `folder` with nothing in its environment.
fn towpath(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("DEPLOY_TOKEN", "x")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_example_of_the_readme_has_no_problems_and_no_warnings() {
    let folder = TempDir::new().unwrap();
    for file in ["towpath.yaml", "portal.yaml"] {
        std::fs::write(folder.path().join(file), file_of(&readme(), file)).unwrap();
    }
    let ran = towpath(folder.path(), &["check", "--config", "towpath.yaml"]);
    assert_eq!(text(&ran.stderr), "");
    assert_eq!(
        text(&ran.stdout),
        "towpath.yaml: 1 policy, 3 environments, 1 image, 1 repository\n"
    );
}

#[test]
fn the_readme_and_the_reference_name_every_verb_and_no_other() {
    let folder = TempDir::new().unwrap();
    let help = text(&towpath(folder.path(), &["--help"]).stdout);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let verbs: BTreeSet<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // A deeper line goes on with the one before.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    let readme = readme();
    let (_, table) = readme.split_once("## Verbs\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let named: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split([' ', '`']).next())
        .collect();
    assert_eq!(named, verbs);

    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let reference = std::fs::read_to_string(reference).unwrap();
    let headings: BTreeSet<&str> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("## `"))
        .flat_map(|line| line.trim_end_matches('`').split("`, `"))
        .collect();
    assert_eq!(headings, verbs);
}

#[test]
fn the_demonstration_promotes_all_that_may_be_promoted() {
    let folder = TempDir::new().unwrap();
    let ran = towpath(folder.path(), &["demo", "--once"]);
    assert_eq!(text(&ran.stderr), "");
    assert!(ran.status.success());
    let printed = text(&ran.stdout);
    let pushed = printed.lines().filter(|line| line.starts_with("pushed "));
    assert_eq!(pushed.count(), 14, "{printed}");

    let (_, last) = printed.rsplit_once("POLICY ").unwrap();
    let rows: Vec<String> = last.lines().skip(1).map(in_short).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    agent dev agent: 2026.11.1-rc2, 2026.11.1-rc2: hold, it is the newest
    agent production agent: 2026.10.3, 2026.10.3: hold, it is the newest
    api dev migrations: main-20261121101500-0b4c7d1, main-20261121101500-0b4c7d1: hold, it is the newest
    api dev server: main-20261121101500-0b4c7d1, main-20261121101500-0b4c7d1: hold, it is the newest
    api staging migrations: 2.3.0-rc.2, 2.3.0-rc.2: hold, it is the newest
    api staging server: 2.3.0-rc.3, 2.3.0-rc.3: hold, it is the newest
    api production migrations: 2.2.1, 2.2.1: hold, it is the newest
    api production server: 2.2.4, 2.2.4: hold, it is the newest
    console dev console: main-513, main-513: hold, it is the newest
    console production console: v0.9.1, v0.9.1: hold, it is the newest
    gateway dev auth: main-41-5b6a7c8, main-41-5b6a7c8: hold, it is the newest
    gateway dev gateway: main-78-0e1f2a3, main-78-0e1f2a3: hold, it is the newest
    gateway production auth: v0.6.3, v0.6.3: hold, it is the newest
    gateway production gateway: v1.1.0, v1.1.0: hold, it is the newest
    portal dev web: develop-1042-81d04e7, develop-1042-81d04e7: hold, it is the newest
    portal staging web: staging-389-5c2a9f0, staging-389-5c2a9f0: hold, it is the newest
    portal production web: v1.4.2, v1.5.0: hold, branch `towpath/production/portal` proposes it; it waits to be merged
    report dev report: main-872, main-872: hold, it is the newest
    report production report: v3.2.0, v3.2.0: hold, it is the newest
    scanner dev scanner: v1.3.0-alpine, v1.3.0-alpine: hold, it is the newest
    scanner production scanner: v1.1.0-alpine, v1.3.0-alpine: hold, branch `towpath/production/scanner` proposes it; it waits to be merged
    worker dev worker: build-2208, build-2208: hold, it is the newest
    worker staging worker: 1.9.0-beta.4, 1.9.0-beta.4: hold, it is the newest
    worker production worker: 1.8.3, 1.8.3: hold, it is the newest
    ");
}

#[test]
fn the_demonstration_removes_what_it_made_whoever_ends_it() {
    for signal in ["INT", "TERM"] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        let places = TempDir::new_in(folder.path()).unwrap();
        command.arg("demo").env("TMPDIR", places.path());
        let mut demo = Process::start(command, &folder.path().join("log"));
        demo.wait_until("the first plan", || demo.log().contains("it is the newest"));
        demo.signal(signal);
        assert_eq!(demo.wait(), Some(0), "{}", demo.log());
        assert_eq!(std::fs::read_dir(places.path()).unwrap().count(), 0);
    }
}

/// A row of the plan without its padding and its `NEXT`.
fn in_short(row: &str) -> String {
    let cells: Vec<&str> = row
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    let [
        policy,
        environment,
        image,
        current,
        candidate,
        decision,
        _next,
        reason,
    ] = cells[..]
    else {
        panic!("`{row}` has other columns");
    };
    format!("{policy} {environment} {image}: {current}, {candidate}: {decision}, {reason}")
}
