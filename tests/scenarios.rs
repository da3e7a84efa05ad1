//! Scenarios: a settings file, policies and a world file in, the printed plan out. A new case needs no Rust.
//!
//! Where a scenario has an `explain.txt`, its first line is what is asked, `$ towpath explain POLICY ENVIRONMENT IMAGE VERSION`, and the
//! rest is what is printed.
//!
//! `TOWPATH_BLESS=1 cargo test --test scenarios` writes what the program prints now; read the difference.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::process::Command;

#[test]
fn each_scenario_is_planned_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let bless = std::env::var_os("TOWPATH_BLESS").is_some();
    let mut folders: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() > 10, "the scenarios are gone");
    let mut failures = Vec::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let printed = plan(&folder);
        let expected = folder.join("plan.txt");
        if bless {
            std::fs::write(&expected, &printed).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != printed {
            failures.push(format!("{name}:\n{printed}"));
        }
        let explanation = folder.join("explain.txt");
        let Ok(expected) = std::fs::read_to_string(&explanation) else {
            continue;
        };
        let asked = expected.lines().next().unwrap();
        let words = asked.strip_prefix("$ towpath ").unwrap();
        let printed = format!(
            "{asked}\n{}",
            run(&folder, &words.split(' ').collect::<Vec<_>>())
        );
        if bless {
            std::fs::write(&explanation, &printed).unwrap();
        } else if expected != printed {
            failures.push(format!("{name}:\n{printed}"));
        }
    }
    assert!(
        failures.is_empty(),
        "planned otherwise:\n{}",
        failures.join("\n")
    );
}

/// What `plan --diff` prints for a scenario, and its exit code.
fn plan(folder: &Path) -> String {
    run(folder, &["plan", "--diff"])
}

/// What a verb prints for a scenario, and its exit code.
fn run(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .current_dir(folder)
        .env_clear()
        .args(words)
        .args(["--config", "towpath.yaml", "--world", "world.yaml"])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let code = output
        .status
        .code()
        .map_or("a signal".to_owned(), |code| code.to_string());
    format!("{stdout}{stderr}exit code: {code}\n")
}
