//! Faults of the world: one policy holds with a clear sentence, the others go on, nothing is half-written.

use towpath::demo_registry::{Fault, Image};

use crate::lab::{Lab, kustomization, portal_policy};

/// A lab with a second, healthy policy `other` for `acme/other` beside `portal`, both with something new.
fn two_policies(portal_overlay: &str) -> Lab {
    let lab = Lab::new(&[]);
    let (web, other) = (lab.image("acme/web"), lab.image("acme/other"));
    lab.commit(
        "apps",
        &[
            ("apps/portal/kustomization.yaml", portal_overlay),
            (
                "apps/other/kustomization.yaml",
                &kustomization(&other, "develop-1-0a1b2c3"),
            ),
        ],
    );
    let portal = portal_policy("portal", &web, "apps/portal");
    lab.policies(&format!(
        "{portal}---\n{}",
        portal_policy("other", &other, "apps/other")
    ));
    lab.push(&["develop-1-0a1b2c3", "develop-2-1b2c3d4"]);
    for tag in ["develop-1-0a1b2c3", "develop-2-1b2c3d4"] {
        lab.registry.push("acme/other", tag, &Image::default());
    }
    lab
}

/// Applies, expects that `other` was promoted and `portal` was not touched, and gives the row of `portal`.
fn held_row(lab: &Lab) -> String {
    let before = lab.pushed("apps/portal/kustomization.yaml");
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        lab.pushed("apps/portal/kustomization.yaml"),
        before,
        "{ran:?}"
    );
    assert!(
        lab.pushed("apps/other/kustomization.yaml")
            .contains("develop-2-1b2c3d4"),
        "{ran:?}"
    );
    let row = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("portal"))
        .unwrap_or_default();
    row.split("  ")
        .filter(|cell| !cell.is_empty())
        .last()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[test]
fn files_that_cannot_be_edited_exactly_hold_with_file_and_line() {
    let entry = "images:\n  - name: REGISTRY/acme/web\n";
    let reasons: Vec<String> = [
        (
            "templated",
            format!("{{{{- if .x }}}}\n{entry}    newTag: develop-1-0a1b2c3\n{{{{- end }}}}\n"),
        ),
        (
            "key twice",
            format!("{entry}    newTag: develop-1-0a1b2c3\n    newTag: develop-0-0a1b2c3\n"),
        ),
        (
            "alias",
            format!("x: &tag develop-1-0a1b2c3\n{entry}    newTag: *tag\n"),
        ),
        (
            "block scalar",
            format!("{entry}    newTag: |-\n      develop-1-0a1b2c3\n"),
        ),
    ]
    .into_iter()
    .map(|(name, text)| {
        let lab = two_policies("");
        let text = text.replace("REGISTRY", &lab.registry.host());
        lab.commit(name, &[("apps/portal/kustomization.yaml", &text)]);
        format!("{name}: {}", held_row(&lab))
    })
    .collect();
    insta::assert_snapshot!(reasons.join("\n"), @"
    templated: apps/portal/kustomization.yaml:1: the file is templated (`{{ … }}`); only plain YAML can be edited
    key twice: apps/portal/kustomization.yaml:3: `newTag` stands here and again on line 4; readers disagree on which one counts
    alias: apps/portal/kustomization.yaml:4: the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`
    block scalar: apps/portal/kustomization.yaml:3: the value is a block scalar (`|` or `>`); write it on one line
    ");
}

#[test]
fn a_missing_file_holds_only_its_policy() {
    let lab = two_policies("");
    lab.git(&["-C", "work", "rm", "-q", "apps/portal/kustomization.yaml"]);
    lab.git(&["-C", "work", "commit", "-q", "-m", "gone"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout
            .contains("none of `apps/portal/kustomization.yaml`"),
        "{ran:?}"
    );
    assert!(
        lab.pushed("apps/other/kustomization.yaml")
            .contains("develop-2-1b2c3d4")
    );
}

#[test]
fn a_symbolic_link_is_never_followed() {
    let lab = two_policies("x: y\n");
    std::fs::remove_file(lab.path().join("work/apps/portal/kustomization.yaml")).unwrap();
    std::os::unix::fs::symlink(
        "../other/kustomization.yaml",
        lab.path().join("work/apps/portal/kustomization.yaml"),
    )
    .unwrap();
    lab.git(&["-C", "work", "add", "-A"]);
    lab.git(&["-C", "work", "commit", "-q", "-m", "link"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("symbolic link"), "{ran:?}");
    assert!(
        lab.pushed("apps/other/kustomization.yaml")
            .contains("develop-2-1b2c3d4")
    );
}

#[test]
fn a_branch_that_does_not_exist_holds_in_words() {
    let mut lab = Lab::portal();
    let url = format!(
        "url: {}, branch: release",
        lab.path().join("deploy.git").display()
    );
    lab.repository(&url);
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("`deploy` has no branch `release`"),
        "{ran:?}"
    );
}

#[test]
fn a_registry_that_fails_is_said_in_words_and_works_again_when_the_fault_ends() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    lab.registry.fail(Fault::Refuse {
        status: 403,
        retry_after: None,
        times: 100,
    });
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("are unknown:"), "{ran:?}");
    assert_eq!(lab.subjects().len(), 2);

    lab.registry.heal();
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(
        lab.pushed("apps/portal/overlays/dev/kustomization.yaml")
            .contains("develop-2-1b2c3d4")
    );
}
