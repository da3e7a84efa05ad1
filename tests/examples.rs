//! Everything that is shipped as an example is run: the files in `config/` are checked as they stand.

use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn check(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towpath"))
        .arg("check")
        .args(args)
        .current_dir(root())
        .env_remove("TOWPATH_CONFIG")
        .env("DEPLOY_TOKEN", "x")
        .env("REGISTRY_PASSWORD", "x")
        .output()
        .expect("the program was built for this test")
}

#[test]
fn the_examples_have_no_problems_and_no_warnings() {
    let output = check(&[]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "config/towpath.yaml: 4 policies, 11 environments, 5 images, 1 repository\n"
    );
    assert!(output.status.success());
}

#[test]
fn each_example_names_the_schema_for_editors() {
    let policies = std::fs::read_dir(root().join("config/policies")).unwrap();
    let files = policies.map(|entry| entry.unwrap().path());
    for file in files.chain([root().join("config/towpath.yaml")]) {
        let text = std::fs::read_to_string(&file).unwrap();
        let named = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# yaml-language-server: $schema="))
            .unwrap_or_else(|| panic!("{} names no schema", file.display()));
        let schema = file.parent().unwrap().join(named);
        assert!(schema.is_file(), "{}", schema.display());
    }
}

#[test]
fn each_place_that_the_examples_write_is_in_the_sample_repository() {
    let policies = std::fs::read_dir(root().join("config/policies")).unwrap();
    let mut places = 0;
    for entry in policies {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("update: "))
        {
            let path = line
                .trim_start_matches("{ helm: ")
                .trim_start_matches("{ yaml: ");
            let path = path.split(',').next().unwrap();
            assert!(root().join("manifests").join(path).exists(), "{path}");
            places += 1;
        }
    }
    assert_eq!(places, 11);
}

#[test]
fn wrong_settings_end_with_code_3_and_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("towpath.yaml");
    let text =
        "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositries: {}\npolicies: [a, b]\n";
    std::fs::write(&settings, text).unwrap();
    let path = settings.to_str().unwrap();
    let output = check(&["--config", path]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("hint: did you mean `repositories`?"),
        "{stderr}"
    );

    let output = check(&["--config", path, "--output", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["problems"][0]["line"], 3);
}
