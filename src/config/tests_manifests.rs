//! Custom resources that are checked before they are applied: which documents count, and the places that problems have.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use super::tests::{POLICY, SETTINGS, folder};
use super::{Config, Manifests, load_applied};
use crate::cluster::resources::Resource;

const DEV: &str = "    - { name: dev, tags: { semver: '*' }, update: apps/portal }\n";

/// What a chart renders: objects of other kinds, two policies, and what else Kubernetes knows of an object.
const RENDERED: &str = r#"---
# Source: app/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: { name: api, labels: &labels { app: api } }
spec: { selector: { matchLabels: *labels } }
---
# Source: app/templates/route.yaml
apiVersion: route.openshift.io/v1
kind: Route
metadata: { name: api }
spec: { to: { kind: Service, name: api } }
---
# Source: app/templates/policy.yaml
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata:
  name: api
  namespace: team-a
  labels: { app.kubernetes.io/managed-by: Helm }
  annotations: { note: "checked" }
spec:
  repository: deploy
  images: { app: ghcr.io/acme/api }
  environments:
    - { name: dev, tags: { semver: '*' }, updates: apps/team-a/api }
---
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: web }
spec:
  repository: deploy
  images: { app: ghcr.io/acme/web }
  environments:
    - { name: dev, tags: { semver: '*' }, update: apps/team-b/web }
status: { summary: 1 newest }
"#;

fn settings(limits: &str) -> String {
    format!("{SETTINGS}custom-resources: {{ namespaces: {limits} }}\n")
}

fn manifests(namespace: Option<&str>, text: &str) -> Manifests {
    let mut manifests = Manifests::new(namespace.map(str::to_owned));
    let read = manifests.read_from(Path::new("app.yaml"), text.as_bytes());
    read.unwrap();
    manifests
}

/// What becomes of `manifests` beside the files and what is there.
fn applied(
    settings: &str,
    files: &str,
    there: &[(&str, i64, &str)],
    manifests: &Manifests,
) -> Config {
    let resource = |(namespace, created, text): &(&str, i64, &str)| {
        Resource::sample(&serde_yaml::from_str(text).unwrap(), namespace, *created)
    };
    let there: Vec<_> = there.iter().map(resource).collect();
    let folder = folder(settings, files);
    let loaded = load_applied(&folder.path().join("towpath.yaml"), &there, manifests);
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems, and what is right, one line each.
fn told(settings: &str, there: &[(&str, i64, &str)], manifests: &Manifests) -> String {
    let config = applied(settings, &format!("{POLICY}{DEV}"), there, manifests);
    let problem = |problem: &super::Problem| {
        let place = problem.place.as_ref();
        let place = place.map_or(String::new(), |at| format!(":{}:{}", at.line, at.column));
        let hint = problem.hint.as_ref();
        let hint = hint.map_or(String::new(), |hint| format!(" [{hint}]"));
        format!(
            "{}{place} {}{hint}",
            problem.file.display(),
            problem.message
        )
    };
    let nameless = manifests.problems().iter().map(problem);
    let right = config
        .judged
        .iter()
        .filter(|judged| judged.verdict.problems().is_none());
    let right = right.map(|judged| format!("{} is right", judged.id));
    let lines: Vec<String> = nameless
        .chain(config.refused().map(|one| problem(&one)))
        .chain(right)
        .collect();
    lines.join("\n")
}

#[test]
fn what_a_chart_renders_is_judged_by_its_lines_and_other_kinds_are_skipped() {
    let settings = settings("{ team-a: { paths: apps/team-a, images: '**' } }");
    let manifests = manifests(Some("team-a"), RENDERED);
    assert_eq!(manifests.count(), 2);
    assert_snapshot!(told(&settings, &[], &manifests), @"
    app.yaml:26:43 unknown key `updates` [did you mean `update`?]
    app.yaml:34:3 `dev` may not write `apps/team-b/web/kustomization.yaml` [`custom-resources.namespaces.team-a.paths` of the settings says which: `apps/team-a`]
    ");
}

#[test]
fn a_problem_shows_the_line_of_the_file() {
    let settings = settings("{ team-a: { images: '**' } }");
    let config = applied(&settings, "", &[], &manifests(Some("team-a"), RENDERED));
    let problem = config.refused().next().unwrap();
    assert_snapshot!(problem, @"
    error: unknown key `updates`
      --> app.yaml:26:43
        |
     26 |     - { name: dev, tags: { semver: '*' }, updates: apps/team-a/api }
        |                                           ^^^^^^^
      at: spec.environments[0].updates
      hint: did you mean `update`?
    ");
}

#[test]
fn a_namespace_that_the_settings_do_not_name_is_told_and_so_is_one_that_is_missing() {
    let elsewhere = manifests(None, RENDERED);
    assert_snapshot!(told(&settings("{ team-b: {} }"), &[], &elsewhere), @"
    app.yaml:30:1 the key `metadata.namespace` is missing [write it, or name the namespace of all that have none with `--namespace`]
    app.yaml:15:1 custom resources of the namespace `team-a` do not count [`custom-resources.namespaces` of the settings says which do: `team-b`]
    ");
    assert_snapshot!(told(SETTINGS, &[], &manifests(Some("team-a"), RENDERED)), @"
    app.yaml:15:1 custom resources of the namespace `team-a` do not count [`custom-resources.namespaces` of the settings says which do: none]
    app.yaml:28:1 custom resources of the namespace `team-a` do not count [`custom-resources.namespaces` of the settings says which do: none]
    ");
}

#[test]
fn what_is_there_keeps_its_age_and_what_is_new_is_the_youngest() {
    let policy = |name: &str, path: &str| {
        format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: {name}, namespace: team-a }}\nspec:\n  repository: deploy\n  images: {{ app: ghcr.io/acme/app }}\n  environments: [{{ name: dev, tags: {{ semver: '*' }}, update: {path} }}]\n"
        )
    };
    let settings = settings("{ team-a: { images: '**' } }");
    let (old, young) = (policy("old", "apps/old"), policy("young", "apps/young"));
    let there = [("team-a", 1, &*old), ("team-a", 2, &*young)];
    let text = [policy("old", "apps/young"), policy("new", "apps/young")].join("---\n");
    assert_snapshot!(told(&settings, &there, &manifests(None, &text)), @"
    promotionpolicies/team-a/young:10:13 `dev` of `old` writes here too, in app.yaml:7:62
    app.yaml:15:62 `dev` of `old` writes here too, in app.yaml:7:62
    promotionpolicies/team-a/old is right
    ");
}

#[test]
fn what_does_not_say_what_it_is_is_told() {
    let text = r#"kind: PromotionPolicy
metadata: { name: copied-from-a-file }
---
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicies
metadata: { name: a }
---
apiVersion: towpath.dev/v1alpha1
kind: Route
metadata: { generateName: route- }
---
apiVersion: towpath.dev/v1alpha1
kind: Route
metadata: { name: {{ .Release.Name }} }
---
apiVersion: v1
kind: List
items: [{ apiVersion: towpath.dev/v1alpha1, kind: Route }]
---
apiVersion: towpath.dev/v1alpha1
kind: Settings
---
not: [ YAML
---
apiVersion: towpath.dev/v2
kind: Route
metadata: { name: later, namespace: team-a }
spec: {}
---
apiVersion: towpath.dev/v1alpha1
kind: Route
metadata: { name: later, namespace: team-a }
"#;
    assert_snapshot!(told(&settings("{ team-a: { images: '**' } }"), &[], &manifests(None, text)), @"
    app.yaml:1:1 the key `apiVersion` is missing [an API server needs `apiVersion: towpath.dev/v1alpha1` in each document]
    app.yaml:5:7 unknown kind `PromotionPolicies` [did you mean `PromotionPolicy`?]
    app.yaml:10:1 the key `metadata.name` is missing [commits and branches are named after it, so `generateName` is none]
    app.yaml:10:1 the key `metadata.namespace` is missing [write it, or name the namespace of all that have none with `--namespace`]
    app.yaml:14:20 a key must be a plain text, and braces in a value need quotes
    app.yaml:30:1 `routes/team-a/later` stands here twice; first in app.yaml:24
    app.yaml:25:13 unknown version `towpath.dev/v2` [this version of towpath reads `towpath.dev/v1alpha1`]
    app.yaml:28:1 the key `environments` is missing
    ");
}

#[test]
fn files_that_hold_none_are_told_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.yaml"), "kind: Deployment\n").unwrap();
    let mut manifests = Manifests::new(None);
    manifests.read(folder.path()).unwrap();
    assert_eq!(manifests.count(), 0);
    let warning = manifests.problems()[0].to_string();
    let warning = warning.replace(&folder.path().display().to_string(), "FOLDER");
    assert_snapshot!(warning, @"
    warning: there is no `PromotionPolicy` and no `Route` of `towpath.dev` here
      --> FOLDER
    ");
    let missing = manifests.read(&folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("there is no file or folder"));
}

#[test]
fn policies_in_files_may_have_labels_and_annotations_and_are_in_no_namespace() {
    let named = |metadata: &str| {
        let metadata = format!("metadata: {{ name: portal, {metadata} }}");
        format!("{POLICY}{DEV}").replace("metadata: { name: portal }", &metadata)
    };
    let files = named("labels: { app: a }, annotations: { note: b }");
    assert_eq!(
        super::tests::load_in(folder(SETTINGS, &files).path())
            .unwrap()
            .policies
            .len(),
        1
    );
    let messages = super::tests::messages(SETTINGS, &named("namespace: team-a, labels: a"));
    assert_snapshot!(messages, @"
    3:27 what stands in a file is in no namespace [leave it out; `towpath check --resources` judges what is for `kubectl apply`]
    3:54 expected a map, found a text
    ");
}
