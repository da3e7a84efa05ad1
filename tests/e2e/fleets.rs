//! Fleets: one policy for each folder that there is.

use super::lab::{Lab, kustomization};

/// A fleet that moves `acme/NAME` in `apps/NAME`.
fn fleet(lab: &Lab, name: &str, parent: &str) -> String {
    let image = lab.image("acme/{policy}");
    format!(
        "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  for-each: \"{parent}/{{policy}}\"\n  images: {{ app: \"{image}\" }}\n  environments:\n    - {{ name: dev, tags: {{ pattern: \"develop-{{number}}-{{sha}}\" }}, update: \"{parent}/{{policy}}\" }}\n"
    )
}

fn file(parent: &str, name: &str) -> String {
    format!("{parent}/{name}/kustomization.yaml")
}

/// Adds the application `name` with `develop-1-0a1b2c3`, and `develop-2-1b2c3d4` to be promoted.
fn application(lab: &Lab, parent: &str, name: &str) {
    let repository = format!("acme/{name}");
    for tag in ["develop-1-0a1b2c3", "develop-2-1b2c3d4"] {
        lab.registry.push(&repository, tag, &Default::default());
    }
    let text = kustomization(&lab.image(&repository), "develop-1-0a1b2c3");
    lab.commit(name, &[(&file(parent, name), &text)]);
}

fn is_promoted(lab: &Lab, parent: &str, name: &str) -> bool {
    lab.pushed(&file(parent, name))
        .contains("develop-2-1b2c3d4")
}

#[test]
fn a_folder_that_appears_has_a_policy_and_one_that_goes_has_none_without_a_restart() {
    let lab = Lab::new(&[("README.md", "x")]);
    lab.policies(&fleet(&lab, "services", "apps"));
    let daemon = lab.start();
    daemon.wait_until("the empty fleet", || {
        daemon.log().contains("since there are no folders")
    });
    application(&lab, "apps", "web");
    daemon.wait_until("the first application", || is_promoted(&lab, "apps", "web"));
    application(&lab, "apps", "api");
    daemon.wait_until("the second", || is_promoted(&lab, "apps", "api"));

    lab.git(&["-C", "work", "pull", "-q", "origin", "main"]);
    lab.git(&["-C", "work", "rm", "-rq", "apps/web"]);
    lab.git(&["-C", "work", "commit", "-qm", "gone"]);
    lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    daemon.wait_until("the end of the first", || {
        let metrics = super::daemon::get(&daemon, "/metrics");
        metrics.contains("acme/api") && !metrics.contains("acme/web")
    });
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
}

#[test]
fn verbs_know_the_policies_of_a_fleet_and_a_world_file_has_the_same() {
    let lab = Lab::new(&[
        ("apps/My_App/x", "x"),
        ("apps/.hidden/x", "x"),
        ("apps/file", "x"),
    ]);
    application(&lab, "apps", "web");
    application(&lab, "apps", "api");
    lab.policies(&fleet(&lab, "services", "apps"));
    let planned = lab.run(&["plan"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let rows = planned.stdout.lines().skip(1).take(2);
    let names: Vec<_> = rows
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(names, ["api", "web"]);
    assert!(
        planned.stdout.contains("`apps/My_App` has no policy"),
        "{}",
        planned.stdout
    );
    assert!(!planned.stdout.contains("hidden"), "{}", planned.stdout);

    let observed = lab.run(&["observe", "--save", "world.yaml"]);
    assert_eq!(observed.code, Some(0), "{observed:?}");
    assert!(
        observed.stdout.contains("apps/{policy}"),
        "{}",
        observed.stdout
    );
    let replayed = lab.run(&["plan", "--world", "world.yaml"]);
    assert_eq!(replayed.stdout, planned.stdout);
    let pinned = lab.run(&["pin", "web", "dev", "develop-1-0a1b2c3", "--reason", "why"]);
    assert_eq!(pinned.code, Some(0), "{pinned:?}");
    let applied = lab.run(&["apply"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(is_promoted(&lab, "apps", "api") && !is_promoted(&lab, "apps", "web"));
}

#[test]
fn folders_of_one_name_in_two_fleets_stand_still_until_a_policy_of_that_name_decides() {
    let lab = Lab::new(&[]);
    application(&lab, "apps", "web");
    application(&lab, "apps", "api");
    application(&lab, "jobs", "web");
    let fleets = format!(
        "{}---\n{}",
        fleet(&lab, "services", "apps"),
        fleet(&lab, "batch", "jobs")
    );
    lab.policies(&fleets);
    let applied = lab.run(&["apply"]);
    assert_eq!(applied.code, Some(1), "{applied:?}");
    assert!(
        applied.stdout.contains("`web` stands still"),
        "{}",
        applied.stdout
    );
    assert!(is_promoted(&lab, "apps", "api"));
    assert!(!is_promoted(&lab, "apps", "web") && !is_promoted(&lab, "jobs", "web"));

    let own = fleet(&lab, "web", "jobs").replace("  for-each: \"jobs/{policy}\"\n", "");
    lab.policies(&format!("{fleets}---\n{own}"));
    let applied = lab.run(&["apply"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(is_promoted(&lab, "jobs", "web") && !is_promoted(&lab, "apps", "web"));
}

#[test]
fn a_fleet_whose_folders_cannot_be_read_stops_nothing_else() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    let settings = settings.replace(
        "repositories:\n",
        "repositories:\n  away: { url: away.git }\n",
    );
    lab.write("towpath.yaml", &settings);
    let away = fleet(&lab, "services", "apps").replace("repository: deploy", "repository: away");
    lab.write(
        "policies/away.yaml",
        &format!("apiVersion: towpath.dev/v1alpha1\n{away}"),
    );
    let applied = lab.run(&["apply"]);
    assert_eq!(applied.code, Some(1), "{applied:?}");
    assert!(
        applied.stdout.contains("until its folders"),
        "{}",
        applied.stdout
    );
    assert!(
        lab.pushed("apps/portal/overlays/dev/kustomization.yaml")
            .contains("develop-2-1b2c3d4")
    );
}
