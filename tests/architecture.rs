//! Holds the code to the map in `docs/architecture.md`: rooms, arrows, purity, headers, sizes, and what may be built.
//!
//! Not here: what the compiler, clippy and cargo-deny can say, and the rules themselves (`rules`), which are
//! functions from text to problems so that each is also tried on text that breaks it.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/rust.rs"]
mod rust;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rust::{Source, blanked, without_tests};

#[test]
fn every_room_is_on_the_map_and_every_arrow_goes_up() {
    let rooms = rules::rooms(&read("docs/architecture.md"));
    assert!(rooms.len() > 10, "the table was not found: {rooms:?}");
    let folders = folders(&project().join("src"));
    let mut problems = rules::unmapped(&rooms, &folders);
    problems.extend(rules::downward(&rooms));
    problems.extend(rules::misplaced(&rooms, &read("src/lib.rs")));
    assert_none(&problems);
}

#[test]
fn rooms_use_only_what_the_map_allows() {
    let rooms = rules::rooms(&read("docs/architecture.md"));
    assert_none(&each_source(|source| rules::wrong_arrows(source, &rooms)));
}

#[test]
fn core_rooms_reach_for_nothing_outside() {
    let rooms = rules::rooms(&read("docs/architecture.md"));
    assert_none(&each_source(|source| rules::impure(source, &rooms)));
}

#[test]
fn wire_shapes_stay_at_the_edge() {
    assert_none(&each_source(rules::escaped_shapes));
}

#[test]
fn files_stay_short() {
    assert_none(&each_source(rules::too_long));
}

#[test]
fn every_file_says_what_it_is_for_and_no_lint_is_switched_off() {
    let mut problems = Vec::new();
    for path in files(&project(), ".rs") {
        let name = relative(&path);
        let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
        problems.extend(rules::headerless(&name, &text));
        problems.extend(rules::switched_off(&name, &text));
    }
    assert_none(&problems);
}

#[test]
fn one_tls_and_one_crypto_library_are_built() {
    assert_none(&rules::banned(&read("Cargo.lock")));
}

#[test]
fn no_file_names_a_build_machine() {
    let mut problems = Vec::new();
    for path in files(&project(), "") {
        if let Ok(text) = std::fs::read_to_string(&path) {
            problems.extend(rules::machine_paths(&relative(&path), &text));
        }
    }
    assert_none(&problems);
}

// Walking the project.

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = project().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    let below = path.strip_prefix(project()).unwrap_or(path);
    below.to_string_lossy().into_owned()
}

fn folders(folder: &Path) -> BTreeSet<String> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the entry can be read").path())
        .collect();
    entries.sort();
    entries
}

/// The project's files whose name ends with `extension`; what is built and what git keeps is left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        let is_ours = !path.ends_with("target") && !path.ends_with(".git");
        if path.is_dir() && is_ours {
            found.extend(files(&path, extension));
        } else if path.is_file() && is_ours && path.to_string_lossy().ends_with(extension) {
            found.push(path);
        }
    }
    found
}

/// The problems of every file in `src` that is no test.
fn each_source(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let root = project().join("src");
    let mut sources = Vec::new();
    let mut tests = BTreeSet::new();
    for path in files(&root, ".rs") {
        let below = path.strip_prefix(&root).expect("the file is below src");
        let name = below.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
        let home = name
            .strip_suffix("mod.rs")
            .map_or_else(|| name.replace(".rs", "/"), str::to_owned);
        let modules = without_tests(&blanked(&text)).1;
        tests.extend(modules.iter().map(|module| format!("{home}{module}")));
        sources.push(Source::new(&name, &text));
    }
    let is_test = |source: &Source| {
        let mut modules = tests.iter();
        modules.any(|test| {
            let rest = source.path.strip_prefix(test.as_str());
            rest.is_some_and(|rest| rest.starts_with(['/', '.']))
        })
    };
    let production = sources.iter().filter(|source| !is_test(source));
    production.flat_map(rule).collect()
}

#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
