//! The rules of the house, each from text to problems, and each tried on text that breaks it.

use std::collections::BTreeSet;

use crate::rust::{Source, blanked, climb, depth, has_word, segments};

/// The longest a file may be before its tests: past this it holds a second noun.
const LINES_MAX: usize = 600;

/// Parts of the standard library that reach out of the program. (`net` also holds plain addresses.)
const IMPURE_STD: [&str; 4] = ["env", "fs", "process", "thread"];

/// Crates that reach out of the program.
const IMPURE_CRATES: [&str; 6] = ["axum", "git2", "kube", "notify", "reqwest", "tokio"];

/// Words that bring a clock or a wait.
const IMPURE_WORDS: [&str; 6] = [
    "async",
    "await",
    "Timestamp::now",
    "Zoned::now",
    "SystemTime",
    "Instant",
];

/// Files that hold the shape of an outside format, and rooms that are one.
const FORMAT_FILES: [&str; 3] = ["wire", "saved", "cache"];
const FORMAT_ROOMS: [&str; 2] = ["config", "cli"];

/// Crates that must not be in the tree at all.
const BANNED_CRATES: [&str; 4] = ["native-tls", "openssl", "openssl-src", "openssl-sys"];

/// Which part of the house a room belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Core,
    Edge,
    Shell,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Room {
    name: String,
    kind: Kind,
    may_use: Vec<String>,
}

/// Reads the table: rows of four cells whose second names a kind.
pub(crate) fn rooms(document: &str) -> Vec<Room> {
    let mut rooms: Vec<Room> = Vec::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, kind, _, may_use, ""] = cells[..] else {
            continue;
        };
        let Some(kind) = kind_named(kind) else {
            continue;
        };
        let may_use = match may_use {
            "-" => Vec::new(),
            "all above" => rooms.iter().map(|room| room.name.clone()).collect(),
            names => names.split(", ").map(str::to_owned).collect(),
        };
        rooms.push(Room {
            name: name.to_owned(),
            kind,
            may_use,
        });
    }
    rooms
}

fn kind_named(name: &str) -> Option<Kind> {
    match name {
        "core" => Some(Kind::Core),
        "edge" => Some(Kind::Edge),
        "shell" => Some(Kind::Shell),
        _ => None,
    }
}

/// Folders without a row, and rows without a folder.
pub(crate) fn unmapped(rooms: &[Room], folders: &BTreeSet<String>) -> Vec<String> {
    let mapped: BTreeSet<String> = rooms.iter().map(|room| room.name.clone()).collect();
    let unknown = folders
        .difference(&mapped)
        .map(|name| format!("src/{name} is not on the map"));
    let missing = mapped
        .difference(folders)
        .map(|name| format!("`{name}` is on the map and has no folder"));
    unknown.chain(missing).collect()
}

/// Arrows to a room that does not stand above, or that belongs to a later kind.
pub(crate) fn downward(rooms: &[Room]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, room) in rooms.iter().enumerate() {
        for used in &room.may_use {
            match rooms[..index].iter().find(|above| above.name == *used) {
                None => problems.push(format!("`{used}` does not stand above `{}`", room.name)),
                Some(above) if above.kind > room.kind => {
                    problems.push(format!("`{}` may not use `{used}`", room.name));
                }
                Some(_) => {}
            }
        }
    }
    problems
}

/// Rooms that `lib.rs` does not name, or names under another kind.
pub(crate) fn misplaced(rooms: &[Room], library: &str) -> Vec<String> {
    let mut kind = None;
    let mut named = BTreeSet::new();
    for line in library.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(';')) {
            named.insert((kind, name.to_owned()));
        } else if line.starts_with("// Core:") {
            kind = Some(Kind::Core);
        } else if line.starts_with("// Edges:") {
            kind = Some(Kind::Edge);
        } else if line.starts_with("// Shell:") {
            kind = Some(Kind::Shell);
        }
    }
    let absent = rooms
        .iter()
        .filter(|room| !named.contains(&(Some(room.kind), room.name.clone())));
    absent
        .map(|room| {
            format!(
                "src/lib.rs does not name `{}` as {:?}",
                room.name, room.kind
            )
        })
        .collect()
}

/// Paths from one room to another that the table does not allow.
pub(crate) fn wrong_arrows(source: &Source, rooms: &[Room]) -> Vec<String> {
    let path = &source.path;
    let Some(name) = source.room() else {
        let is_door = matches!(path.as_str(), "lib.rs" | "main.rs");
        return if is_door {
            Vec::new()
        } else {
            vec![format!("src/{path} stands in no room")]
        };
    };
    let Some(room) = rooms.iter().find(|room| room.name == name) else {
        return vec![format!("src/{path} stands in no room of the map")];
    };
    let mut problems: Vec<String> = segments(&source.code, "crate")
        .into_iter()
        .filter(|used| used != name && !room.may_use.contains(used))
        .map(|used| format!("src/{path} uses `{used}`, which the map does not allow"))
        .collect();
    if climb(&source.code) > depth(path) {
        problems.push(format!("src/{path} leaves its room by `super::`"));
    }
    problems
}

/// What a core room must not name.
pub(crate) fn impure(source: &Source, rooms: &[Room]) -> Vec<String> {
    let is_core =
        |room: &&Room| room.kind == Kind::Core && Some(room.name.as_str()) == source.room();
    if rooms.iter().find(is_core).is_none() {
        return Vec::new();
    }
    let standard = segments(&source.code, "std");
    let parts = IMPURE_STD
        .into_iter()
        .filter(|part| standard.contains(*part))
        .map(|part| format!("std::{part}"));
    let crates = IMPURE_CRATES
        .into_iter()
        .filter(|name| !segments(&source.code, name).is_empty())
        .map(str::to_owned);
    let words = IMPURE_WORDS
        .into_iter()
        .filter(|word| has_word(&source.code, word))
        .map(str::to_owned);
    parts
        .chain(crates)
        .chain(words)
        .map(|found| format!("src/{} is core and names `{found}`", source.path))
        .collect()
}

/// Serde on domain types, and wire shapes that other rooms could see.
pub(crate) fn escaped_shapes(source: &Source) -> Vec<String> {
    let path = &source.path;
    let is_format = source
        .room()
        .is_some_and(|room| FORMAT_ROOMS.contains(&room))
        || path
            .split(['/', '.'])
            .any(|part| FORMAT_FILES.contains(&part));
    let mut problems = Vec::new();
    for word in ["Serialize", "Deserialize"] {
        if !is_format && has_word(&source.code, word) {
            problems.push(format!(
                "src/{path} is no file of a format and names `{word}`"
            ));
        }
    }
    let shows_wire = |line: &str| line.starts_with("pub") && line.ends_with(" mod wire;");
    if source.code.lines().any(shows_wire) {
        problems.push(format!("src/{path} shows its wire shapes"));
    }
    problems
}

pub(crate) fn too_long(source: &Source) -> Vec<String> {
    let lines = source.code.lines().count();
    let is_long = lines > LINES_MAX;
    let problem = format!("src/{} has {lines} lines before its tests", source.path);
    is_long.then_some(problem).into_iter().collect()
}

pub(crate) fn headerless(name: &str, text: &str) -> Option<String> {
    let has_header = text.starts_with("//! ");
    (!has_header).then(|| format!("{name} does not open with a `//!` header"))
}

pub(crate) fn switched_off(name: &str, text: &str) -> Option<String> {
    let code = blanked(text);
    let switches = ["#[allow(", "#![allow("];
    let found = switches.iter().any(|switch| code.contains(switch));
    found.then(|| format!("{name} switches a lint off; expect it, with a reason"))
}

/// Crates in the lock file that must not be built. `ring` may be named by rustls-webpki alone: that is a weak
/// feature (`ring?/alloc`), which Cargo writes down and does not build; whoever turned it on would name it too.
pub(crate) fn banned(lock: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let name = quoted(package.lines().next().unwrap_or_default());
        if BANNED_CRATES.contains(&name) {
            problems.push(format!("Cargo.lock holds `{name}`"));
        }
        let needs_ring = package
            .lines()
            .any(|line| quoted(line) == "ring" && line.starts_with(' '));
        if needs_ring && name != "rustls-webpki" {
            problems.push(format!("`{name}` needs `ring`"));
        }
    }
    problems
}

fn quoted(line: &str) -> &str {
    line.split('"').nth(1).unwrap_or_default()
}

/// Paths that only one machine has. They are spelled in halves here, so that this file does not find itself.
pub(crate) fn machine_paths(name: &str, text: &str) -> Vec<String> {
    let paths = [["/wo", "rk/"], ["../sh", "ared"], ["/tmp/", "wt/"]];
    let found = paths.map(|halves| halves.concat()).into_iter();
    found
        .filter(|path| text.contains(path.as_str()))
        .map(|path| format!("{name} names `{path}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        LINES_MAX, Source, banned, downward, escaped_shapes, headerless, impure, machine_paths,
        misplaced, rooms, switched_off, too_long, unmapped, wrong_arrows,
    };
    use crate::assert_none;
    use crate::rust::without_tests;

    const TABLE: &str = "\
| room | kind | holds | may use |
|---|---|---|---|
| image | core | names | - |
| plan | core | decisions | image |
| git | edge | a mirror | - |
| cli | shell | verbs | all above |
";

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found_in_any_spelling() {
        let rooms = rooms(TABLE);
        for text in [
            "use crate::git::Mirror;",
            "use crate::{image::Tag, git::{Mirror, Push}};",
            "fn f() { crate::git::push() }",
            "use super::git::Mirror;",
            "use crate::unheard::Of;",
        ] {
            let source = Source::new("plan/mod.rs", text);
            assert_eq!(wrong_arrows(&source, &rooms).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_arrow_of_the_table_a_test_a_comment_and_a_string_are_free() {
        let rooms = rooms(TABLE);
        for text in [
            "use crate::image::Tag;",
            "use crate::plan::Plan;",
            "#[cfg(test)]\nmod tests {\n use crate::git::Mirror;\n}\n",
            "// see crate::git::Mirror\nconst S: &str = \"crate::git\"; const R: &str = r#\"\"crate::git\"#;",
            "const Q: char = '\"'; /* crate::git /* nested */ crate::git */ const E: char = '\\''; // crate::git",
        ] {
            let source = Source::new("plan/mod.rs", text);
            assert_none(&wrong_arrows(&source, &rooms));
        }
        let deeper = Source::new("plan/decide.rs", "use super::Plan;");
        assert_none(&wrong_arrows(&deeper, &rooms));
    }

    #[test]
    fn code_after_a_test_item_is_still_judged() {
        let rooms = rooms(TABLE);
        let text = "#[cfg(test)]\nmod tests { const B: &str = \"}{\"; }\nuse crate::git::Mirror;";
        let source = Source::new("plan/mod.rs", text);
        assert_eq!(wrong_arrows(&source, &rooms).len(), 1);
        assert_eq!(without_tests("#[cfg(test)]\nmod tests;").1, ["tests"]);
    }

    #[test]
    fn a_file_outside_any_room_is_found() {
        let rooms = rooms(TABLE);
        for path in ["utils.rs", "helpers/mod.rs"] {
            assert_eq!(wrong_arrows(&Source::new(path, ""), &rooms).len(), 1);
        }
        assert_none(&wrong_arrows(&Source::new("main.rs", ""), &rooms));
    }

    #[test]
    fn a_table_that_points_down_or_from_core_to_an_edge_is_found() {
        let down = TABLE.replace("| names | - |", "| names | plan |");
        assert_eq!(downward(&rooms(&down)).len(), 1);
        let late = "| zoo | core | animals | git |\n";
        assert_eq!(downward(&rooms(&format!("{TABLE}{late}"))).len(), 1);
        assert_none(&downward(&rooms(TABLE)));
    }

    #[test]
    fn a_folder_without_a_row_and_a_row_without_a_folder_are_found() {
        let folders = ["image", "plan", "git", "utils"].map(str::to_owned).into();
        let problems = unmapped(&rooms(TABLE), &folders);
        assert_eq!(
            problems,
            [
                "src/utils is not on the map",
                "`cli` is on the map and has no folder"
            ]
        );
        let library = "// Core: plain\nmod git;\nmod image;\nmod plan;\n// Shell: last\nmod cli;\n";
        assert_eq!(misplaced(&rooms(TABLE), library).len(), 1);
    }

    #[test]
    fn a_core_room_that_reaches_out_is_found() {
        let rooms = rooms(TABLE);
        for text in [
            "async fn f() {}",
            "use tokio::sync::mpsc;",
            "fn f() { git2::Repository::open(p); }",
            "use std::fs;",
            "use std::{fmt, env};",
            "let now = jiff::Timestamp::now();",
            "use std::time::Instant;",
        ] {
            let core = Source::new("plan/mod.rs", text);
            assert_eq!(impure(&core, &rooms).len(), 1, "{text}");
            let edge = Source::new("git/mod.rs", text);
            assert_none(&impure(&edge, &rooms));
        }
        let plain = Source::new(
            "plan/mod.rs",
            "struct Instantly; use std::fmt; fn notify() {}",
        );
        assert_none(&impure(&plain, &rooms));
    }

    #[test]
    fn a_wire_shape_in_the_wrong_place_is_found() {
        let shape = "#[derive(Deserialize)]\nstruct Listing;";
        assert_eq!(
            escaped_shapes(&Source::new("registry/list.rs", shape)).len(),
            1
        );
        assert_none(&escaped_shapes(&Source::new("registry/wire.rs", shape)));
        assert_none(&escaped_shapes(&Source::new("config/raw/policy.rs", shape)));
        let shown = Source::new("registry/mod.rs", "pub(crate) mod wire;");
        assert_eq!(escaped_shapes(&shown).len(), 1);
    }

    #[test]
    fn a_long_file_counts_without_its_tests() {
        let body = "fn f() {}\n".repeat(LINES_MAX);
        let tested = format!("{body}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(500));
        assert_eq!(
            too_long(&Source::new("git/mod.rs", &format!("{body}fn g() {{}}\n"))).len(),
            1
        );
        assert_none(&too_long(&Source::new("git/mod.rs", &body)));
        let long_tests = Source::new("git/mod.rs", &tested);
        assert!(long_tests.code.lines().count() <= LINES_MAX + 1);
    }

    #[test]
    fn a_missing_header_and_a_lint_switched_off_are_found() {
        assert!(headerless("a.rs", "use std::fmt;\n").is_some());
        assert!(headerless("a.rs", "//! What it is.\n").is_none());
        assert!(switched_off("a.rs", "#[allow(dead_code)]\nfn f() {}").is_some());
        assert!(switched_off("a.rs", "// #[allow(dead_code)]\n").is_none());
    }

    #[test]
    fn a_banned_crate_in_the_lock_file_is_found() {
        let webpki = "[[package]]\nname = \"rustls-webpki\"\ndependencies = [\n \"ring\",\n]\n";
        assert_none(&banned(webpki));
        assert_eq!(banned("[[package]]\nname = \"openssl-sys\"\n").len(), 1);
        assert_eq!(banned(&webpki.replace("-webpki", "")).len(), 1);
    }

    #[test]
    fn a_path_of_a_build_machine_is_found() {
        let line = ["cp /wo", "rk/main/x ."].concat();
        assert_eq!(machine_paths("Makefile", &line).len(), 1);
        assert_none(&machine_paths("Makefile", "cp /var/cache/x ."));
    }
}
