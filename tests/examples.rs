//! Everything that is shipped as an example is run: the files in `config/` are checked as they stand, and find their places
//! in `manifests/`.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

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
        .env("CODE_TOKEN", "x")
        .env("REGISTRY_PASSWORD", "x")
        .env("PROMETHEUS_TOKEN", "x")
        .output()
        .expect("the program was built for this test")
}

#[test]
fn the_examples_have_no_problems_and_no_warnings() {
    let output = check(&[]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "config/towpath.yaml: 8 policies, 19 environments, 10 images, 1 repository\n"
    );
    assert!(output.status.success());
    let output = check(&["--config", "config/by-commits.yaml"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "config/by-commits.yaml: 1 policy, 2 environments, 1 image, 2 repositories\n"
    );
    for (file, holds) in [
        ("config/smallest.yaml", "1 policy, 3 environments, 1 image"),
        ("config/replicas.yaml", "1 policy, 1 environment, 1 image"),
        (
            "config/custom-resources.yaml",
            "1 policy, 1 environment, 1 image",
        ),
        (
            "config/fleet.yaml",
            "1 fleet, 2 policies, 9 environments, 3 images",
        ),
    ] {
        let output = check(&["--config", file, "--files-only"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{file}: {holds}, 1 repository\n")
        );
    }
    let output = check(&["--holds", "config/holds.yaml"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

/// The lines of each document of a file, with the one that starts it, without comments and empty ones.
fn documents(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let mut documents = vec![Vec::new()];
    let lines = text.lines().map(str::trim_end);
    for line in lines.filter(|line| !line.is_empty() && !line.trim_start().starts_with('#')) {
        if line == "---" {
            documents.push(Vec::new());
        }
        documents.last_mut().unwrap().push(line.to_owned());
    }
    documents
}

#[test]
fn the_plain_case_takes_twenty_lines_and_a_further_application_four() {
    let plain = documents("config/smallest.yaml");
    assert!(plain.iter().flatten().count() <= 20, "{plain:#?}");
    // Nothing is squeezed onto lines that nobody would write.
    assert!(plain.iter().flatten().all(|line| line.len() <= 100));
    let further = documents("config/fleet.yaml");
    let api = further
        .iter()
        .find(|lines| lines.iter().any(|line| line.contains("name: api")));
    assert!(api.unwrap().len() <= 4, "{api:#?}");
}

#[test]
fn each_example_names_the_schema_for_editors() {
    let policies = std::fs::read_dir(root().join("config/policies")).unwrap();
    let files = policies.map(|entry| entry.unwrap().path());
    let settings = [
        "config/towpath.yaml",
        "config/by-commits.yaml",
        "config/holds.yaml",
        "config/smallest.yaml",
        "config/replicas.yaml",
        "config/custom-resources.yaml",
        "config/fleet.yaml",
    ];
    for file in files.chain(settings.map(|name| root().join(name))) {
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
fn each_place_that_the_examples_write_holds_a_version_in_the_sample_repository() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("deploy");
    copy(&root().join("manifests"), &repository);
    let git = |args: &[&str]| {
        let mut command = Command::new(bed::program("git"));
        command.args(args).current_dir(&repository);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        for name in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{name}_NAME"), "A Person");
            command.env(format!("GIT_{name}_EMAIL"), "person@acme.example");
        }
        assert!(command.status().unwrap().success(), "git {args:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "sample"]);
    let settings = "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories:\n  deploy: { url: deploy }\ncache: cache\npolicies: [policies]\n";
    std::fs::write(folder.path().join("towpath.yaml"), settings).unwrap();
    copy(
        &root().join("config/policies"),
        &folder.path().join("policies"),
    );
    let mut rows = Vec::new();
    let mut policies: Vec<_> = std::fs::read_dir(root().join("config/policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    policies.sort();
    for policy in policies {
        let name = policy.file_stem().unwrap().to_str().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_towpath"))
            .args(["sites", name, "--config", "towpath.yaml"])
            .current_dir(folder.path())
            .env_clear()
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {printed}");
        rows.extend(printed.lines().skip(1).map(in_short));
    }
    insta::assert_snapshot!(rows.join("\n"), @r#"
    dev agent platform/agent/dev.yaml:11 data."values.yaml".image.tag 2026.11.1-rc1
    production agent platform/agent/production.yaml:11 data."values.yaml".image.tag 2026.10.3
    dev migrations apps/api/overlays/dev/kustomization.yaml:13 images[name=api-migrations].newTag main-20261118093012-6c1e2fa
    dev server apps/api/overlays/dev/kustomization.yaml:10 images[name=api-server].newTag main-20261118093012-6c1e2fa
    staging migrations apps/api/overlays/staging/kustomization.yaml:13 images[name=api-migrations].newTag 2.3.0-rc.2
    staging server apps/api/overlays/staging/kustomization.yaml:10 images[name=api-server].newTag 2.3.0-rc.2
    production migrations apps/api/overlays/production/kustomization.yaml:13 images[name=api-migrations].newTag 2.2.1
    production server apps/api/overlays/production/kustomization.yaml:10 images[name=api-server].newTag 2.2.4
    dev console argocd/console-dev.yaml:19 spec.source.helm.values.image.tag main-512
    production console argocd/console-production.yaml:25 spec.template.spec.source.helm.valuesObject.image.tag v0.9.1
    dev auth clusters/dev/gateway.yaml:17 spec.values.auth.image main-41-5b6a7c8
    dev gateway clusters/dev/gateway.yaml:15 spec.values.image.tag main-77-9d0c1e2
    production auth clusters/production/gateway.yaml:17 spec.values.auth.image v0.6.3
    production gateway clusters/production/gateway.yaml:15 spec.values.image.tag v1.1.0
    dev web apps/portal/overlays/dev/kustomization.yaml:11 images[name=registry.example.com/acme/portal-web].newTag develop-1041-3f9c2ab
    staging web apps/portal/overlays/staging/kustomization.yaml:8 images[name=registry.example.com/acme/portal-web].newTag staging-388-b81d04e
    production web apps/portal/overlays/production/kustomization.yaml:11 images[name=registry.example.com/acme/portal-web].newTag v1.4.2
    dev report apps/report/dev.yaml:17 spec.template.spec.initContainers[name=schema].image main-871
    dev report apps/report/dev.yaml:21 spec.template.spec.containers[name=report].image main-871
    dev report apps/report/dev.yaml:43 spec.jobTemplate.spec.template.spec.containers[name=nightly].image main-871
    production report apps/report/production.yaml:17 spec.template.spec.initContainers[name=schema].image v3.2.0
    production report apps/report/production.yaml:21 spec.template.spec.containers[name=report].image v3.2.0
    production report apps/report/production.yaml:43 spec.jobTemplate.spec.template.spec.containers[name=nightly].image v3.2.0
    dev scanner platform/scanner/dev.yaml:7 spec.version v1.2.0-alpine
    production scanner platform/scanner/production.yaml:7 spec.version v1.1.0-alpine
    dev worker apps/worker/values-dev.yaml:3 image.tag build-2207
    staging worker apps/worker/values-staging.yaml:1 image.tag 1.9.0-beta.3
    production worker apps/worker/values-production.yaml:4 image.tag 1.8.3@sha256:1c3b1d0a5e1f
    "#);
}

/// A row of a table with its columns one space apart.
fn in_short(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &place),
            false => {
                std::fs::copy(entry.path(), place).unwrap();
            }
        }
    }
}

#[test]
fn each_form_of_a_site_is_read_as_the_documentation_writes_it() {
    let document = std::fs::read_to_string(root().join("docs/policies.md")).unwrap();
    let (_, table) = document
        .split_once("| form | finds |\n|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut forms = 0;
    for row in rows {
        let form = row.split('`').nth(1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories: { deploy: { url: deploy } }\npolicies: [policy.yaml]\n";
        std::fs::write(folder.path().join("towpath.yaml"), text).unwrap();
        let text = format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: ghcr.io/acme/web }}\n  environments:\n    - {{ name: dev, tags: {{ semver: '*' }}, update: {form} }}\n"
        );
        std::fs::write(folder.path().join("policy.yaml"), text).unwrap();
        let settings = folder.path().join("towpath.yaml");
        let output = check(&["--config", settings.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{form}: {told}");
        forms += 1;
    }
    assert_eq!(forms, 9);
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
