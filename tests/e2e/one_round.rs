//! One round of `plan` and `apply` over a local repository.

use std::os::unix::fs::PermissionsExt as _;

use towpath::demo_registry::Image;

use crate::lab::{Lab, kustomization, portal_policy, promotions};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";

#[test]
fn a_new_build_becomes_a_commit_that_changes_only_its_bytes() {
    let lab = Lab::portal();
    lab.push(&[
        "develop-9-1b2c3d4",
        "develop-10-2c3d4e5",
        "latest",
        "main-99-2c3d4e5",
    ]);
    let before = lab.pushed(OVERLAY);

    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        lab.pushed(OVERLAY),
        before.replace("develop-1-0a1b2c3", "develop-10-2c3d4e5")
    );
    let commit = lab.git(&[
        "-C",
        "deploy.git",
        "log",
        "-1",
        "--format=%an <%ae>%n%cn <%ce>%n%B",
        "main",
    ]);
    let digest = lab
        .registry
        .push("acme/web", "develop-10-2c3d4e5", &Image::default());
    let commit = commit
        .replace(&lab.registry.host(), "REGISTRY")
        .replace(&digest, "DIGEST");
    insta::assert_snapshot!(commit.trim_end(), @"
    towpath <towpath@localhost>
    towpath <towpath@localhost>
    promote portal to dev: web develop-1-0a1b2c3 -> develop-10-2c3d4e5

    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Image: web REGISTRY/acme/web:develop-10-2c3d4e5@DIGEST
    Towpath-Replaces: web develop-1-0a1b2c3
    ");
    assert_eq!(lab.git(&["-C", "deploy.git", "fsck", "--strict"]), "");
    let mode = lab
        .path()
        .join("cache")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "the cache is nobody else's business");
}

#[test]
fn a_second_round_changes_nothing_and_asks_the_registry_once() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    let head = lab.git(&["-C", "deploy.git", "rev-parse", "main"]);
    lab.registry.take_requests();

    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.git(&["-C", "deploy.git", "rev-parse", "main"]), head);
    assert_eq!(lab.registry.take_requests().values().sum::<u64>(), 1);
}

#[test]
fn many_policies_share_one_listing_and_one_push() {
    let lab = Lab::new(&[]);
    let image = lab.image("acme/web");
    let folders: Vec<String> = (0..20)
        .map(|n| format!("apps/app-{n}/overlays/dev"))
        .collect();
    let files: Vec<(String, String)> = folders
        .iter()
        .map(|folder| {
            (
                format!("{folder}/kustomization.yaml"),
                kustomization(&image, "develop-1-0a1b2c3"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    lab.commit("apps", &files);
    let policies: Vec<String> = folders
        .iter()
        .enumerate()
        .map(|(n, folder)| portal_policy(&format!("app-{n}"), &image, folder))
        .collect();
    lab.policies(&policies.join("---\n"));
    lab.push(&["develop-1-0a1b2c3", "develop-2-1b2c3d4"]);
    lab.git(&[
        "-C",
        "deploy.git",
        "config",
        "core.logAllRefUpdates",
        "true",
    ]);
    lab.registry.take_requests();

    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(promotions(&lab).values().sum::<usize>(), 20);
    // One listing and one look at the digest, whatever the number of policies.
    assert_eq!(lab.registry.take_requests().values().sum::<u64>(), 2);
    assert_eq!(ran.stdout.matches("pushed ").count(), 20);
}

#[test]
fn a_revert_by_a_person_is_respected_until_something_newer_comes() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    lab.commit("back", &[]);
    lab.git(&["-C", "work", "revert", "--no-edit", "HEAD~1"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);

    let held = lab.run(&["apply"]);
    assert_eq!(held.code, Some(0), "{held:?}");
    assert!(
        held.stdout
            .contains("a person undid the promotion to `develop-2-1b2c3d4`"),
        "{held:?}"
    );
    assert!(lab.pushed(OVERLAY).contains("develop-1-0a1b2c3"));

    lab.push(&["develop-3-2c3d4e5"]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(lab.pushed(OVERLAY).contains("develop-3-2c3d4e5"));
}

#[test]
fn a_revert_counts_though_the_promotion_came_in_by_the_other_side_of_a_merge() {
    let lab = Lab::portal();
    lab.commit("base", &[]);
    lab.git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "local"]);
    lab.push(&["develop-2-1b2c3d4"]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    // `git pull` makes the person's own line the first parent, and the promotion's the second.
    lab.git(&[
        "-C",
        "work",
        "pull",
        "-q",
        "--no-rebase",
        "--no-edit",
        "origin",
        "main",
    ]);
    lab.git(&["-C", "work", "revert", "--no-edit", "HEAD^2"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);

    let held = lab.run(&["apply"]);
    assert!(
        held.stdout
            .contains("a person undid the promotion to `develop-2-1b2c3d4`"),
        "{held:?}"
    );
    assert!(lab.pushed(OVERLAY).contains("develop-1-0a1b2c3"));
}

#[test]
fn a_plan_shows_the_decision_and_the_diff_and_writes_nothing() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    let head = lab.git(&["-C", "deploy.git", "rev-parse", "main"]);

    let ran = lab.run(&["plan", "--diff", "--exit-code"]);

    assert_eq!(ran.code, Some(4), "{ran:?}");
    let digest = lab
        .registry
        .push("acme/web", "develop-2-1b2c3d4", &Image::default());
    insta::assert_snapshot!(ran.stdout.replace(&digest, "DIGEST"), @"
    POLICY  ENVIRONMENT  IMAGE  CURRENT            CANDIDATE          DECISION  NEXT  REASON
    portal  dev          web    develop-1-0a1b2c3  develop-2-1b2c3d4  promote   -     `develop-2-1b2c3d4` is newer than `develop-1-0a1b2c3`

        promote portal to dev: web develop-1-0a1b2c3 -> develop-2-1b2c3d4

        Towpath-Policy: portal
        Towpath-Environment: dev
        Towpath-Image: web REGISTRY/acme/web:develop-2-1b2c3d4@DIGEST
        Towpath-Replaces: web develop-1-0a1b2c3
    --- a/apps/portal/overlays/dev/kustomization.yaml
    +++ b/apps/portal/overlays/dev/kustomization.yaml
    @@ -4,4 +4,4 @@
     
     images:
       - name: REGISTRY/acme/web   # built by CI
    -    newTag: develop-1-0a1b2c3   # moves by itself
    +    newTag: develop-2-1b2c3d4   # moves by itself
    ");
    assert_eq!(lab.git(&["-C", "deploy.git", "rev-parse", "main"]), head);
    lab.run(&["apply"]);
    assert_eq!(lab.run(&["plan", "--exit-code"]).code, Some(0));
}

#[test]
fn a_saved_world_is_planned_elsewhere_as_it_was_here() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    let here = lab.run(&["plan", "--diff"]);
    assert_eq!(lab.run(&["observe", "--save", "world.yaml"]).code, Some(0));
    std::fs::remove_dir_all(lab.path().join("deploy.git")).unwrap();

    let there = lab.run(&["plan", "--diff", "--world", "world.yaml"]);

    assert_eq!(there.stdout, here.stdout);
    assert_eq!(there.code, Some(0));
}

#[test]
fn explain_says_of_every_tag_why_it_is_or_is_not_the_one() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4", "latest", "v1.0.0"]);
    let ran = lab.run(&["explain", "portal", "dev"]);
    let columns = ran.stdout.lines().map(|line| {
        let words: Vec<&str> = line
            .split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        words
            .into_iter()
            .filter(|word| !word.starts_with("20"))
            .collect::<Vec<_>>()
            .join(" | ")
    });
    insta::assert_snapshot!(columns.collect::<Vec<_>>().join("\n"), @"
    portal dev web (REGISTRY/acme/web)
    stands: | develop-1-0a1b2c3
    decision: | promote: `develop-2-1b2c3d4` is newer than `develop-1-0a1b2c3`

    TAG | FIRST SEEN | PUSHED | CREATED | WHY
    develop-2-1b2c3d4 | - | - | the newest
    develop-1-0a1b2c3 | - | - | older than `develop-2-1b2c3d4`
    latest | - | - | does not match the pattern `develop-{number}-{sha}`
    v1.0.0 | - | - | does not match the pattern `develop-{number}-{sha}`
    ");
}
