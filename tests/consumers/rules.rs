//! What kustomize and helm do, where a rule of ours stands on it: inline trees, and what is rendered.

use std::path::Path;

use crate::run;

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// The values of `image:` and `reference:` in what kustomize renders of `manifest`, with `images` in its kustomization.
fn images(kustomize: &Path, images: &str, manifest: &str) -> String {
    let kustomization = format!("resources: [manifest.yaml]\n{images}\n");
    let folder = run::folder(&[
        ("manifest.yaml", manifest),
        ("kustomization.yaml", &kustomization),
    ]);
    match run::kustomize(kustomize, folder.path()) {
        Ok(rendered) => shown(&rendered),
        Err(error) => error.trim().to_owned(),
    }
}

fn shown(rendered: &str) -> String {
    let images: Vec<&str> = rendered
        .lines()
        .filter_map(|line| {
            line.split_once("image: ")
                .or(line.split_once("reference: "))
        })
        .map(|(_, image)| image)
        .collect();
    images.join(" ").replace(DIGEST, "DIGEST")
}

/// A pod that runs `references`.
fn pod(references: &[&str]) -> String {
    let containers: String = references
        .iter()
        .enumerate()
        .map(|(n, reference)| format!("  - {{ name: c{n}, image: '{reference}' }}\n"))
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: p }}\nspec:\n  containers:\n{containers}"
    )
}

#[test]
fn kustomize_compares_names_letter_by_letter() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let hub = [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
    ];
    for name in hub {
        let rendered = images(
            &kustomize,
            &format!("images: [{{ name: {name}, newTag: set }}]"),
            &pod(&hub),
        );
        let want = hub.map(|other| match other == name {
            true => format!("{other}:set"),
            false => other.to_owned(),
        });
        assert_eq!(rendered, want.join(" "));
    }
}

#[test]
fn kustomize_applies_tags_digests_and_suffixes_so() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let rendered = |entries: &str, image: &str| {
        let entries = entries.replace("DIGEST", DIGEST);
        images(
            &kustomize,
            &format!("images: {entries}"),
            &pod(&[&image.replace("DIGEST", DIGEST)]),
        )
    };
    let cases = [
        ("[{ name: app, newTag: v2 }]", "app:v1"),
        ("[{ name: app, newTag: v2 }]", "app"),
        ("[{ name: app, newTag: v2 }]", "app:v1@DIGEST"),
        ("[{ name: app, digest: 'DIGEST' }]", "app:v1"),
        ("[{ name: app, newTag: v2, digest: 'DIGEST' }]", "app:v1"),
        ("[{ name: app, newTag: 'v2@DIGEST' }]", "app:v1"),
        (
            "[{ name: app, newTag: 'v2@DIGEST', digest: 'DIGEST' }]",
            "app:v1",
        ),
        ("[{ name: app, newTag: v2, tagSuffix: -x }]", "app:v1"),
        ("[{ name: app, digest: 'DIGEST', tagSuffix: -x }]", "app:v1"),
        ("[{ name: app, newName: web }]", "app:v1"),
        ("[{ name: app, newTag: '' }]", "app:v1"),
        ("[{ name: app, newTag: }]", "app:v1"),
        ("[]", "app:v1"),
        ("", "app:v1"),
    ];
    let table: Vec<String> = cases
        .iter()
        .map(|(entries, image)| format!("{image} with {entries}: {}", rendered(entries, image)))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    app:v1 with [{ name: app, newTag: v2 }]: app:v2
    app with [{ name: app, newTag: v2 }]: app:v2
    app:v1@DIGEST with [{ name: app, newTag: v2 }]: app:v2
    app:v1 with [{ name: app, digest: 'DIGEST' }]: app@DIGEST
    app:v1 with [{ name: app, newTag: v2, digest: 'DIGEST' }]: app:v2@DIGEST
    app:v1 with [{ name: app, newTag: 'v2@DIGEST' }]: app:v2@DIGEST
    app:v1 with [{ name: app, newTag: 'v2@DIGEST', digest: 'DIGEST' }]: app:v2@DIGEST@DIGEST
    app:v1 with [{ name: app, newTag: v2, tagSuffix: -x }]: app:v2
    app:v1 with [{ name: app, digest: 'DIGEST', tagSuffix: -x }]: app@DIGEST
    app:v1 with [{ name: app, newName: web }]: web:v1
    app:v1 with [{ name: app, newTag: '' }]: app:v1
    app:v1 with [{ name: app, newTag: }]: app:v1
    app:v1 with []: app:v1
    app:v1 with : app:v1
    "#);
}

#[test]
fn an_entry_of_a_kustomization_sees_what_the_entries_before_it_made() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let cases = [
        "[{ name: app, newName: web }, { name: web, newTag: v2 }]",
        "[{ name: web, newTag: v2 }, { name: app, newName: web }]",
        "[{ name: app, newName: web, newTag: v2 }, { name: web, newTag: v3 }]",
        "[{ name: app, newTag: v2 }, { name: app, newTag: v3 }]",
        "[{ name: app, newTag: v2 }, { name: app, digest: 'DIGEST' }]",
        "[{ name: app, digest: 'DIGEST' }, { name: app, newTag: v2 }]",
        "[{ name: app, newTag: v2 }, { name: 'a.*', newTag: v3 }]",
    ];
    let table: Vec<String> = cases
        .iter()
        .map(|entries| {
            let written = format!("images: {}", entries.replace("DIGEST", DIGEST));
            format!(
                "{entries}: {}",
                images(&kustomize, &written, &pod(&["app:v1"]))
            )
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    [{ name: app, newName: web }, { name: web, newTag: v2 }]: web:v2
    [{ name: web, newTag: v2 }, { name: app, newName: web }]: web:v1
    [{ name: app, newName: web, newTag: v2 }, { name: web, newTag: v3 }]: web:v3
    [{ name: app, newTag: v2 }, { name: app, newTag: v3 }]: app:v3
    [{ name: app, newTag: v2 }, { name: app, digest: 'DIGEST' }]: app@DIGEST
    [{ name: app, digest: 'DIGEST' }, { name: app, newTag: v2 }]: app:v2
    [{ name: app, newTag: v2 }, { name: 'a.*', newTag: v3 }]: app:v3
    "#);
}

#[test]
fn kustomize_reads_keys_in_any_case_and_lets_a_late_merge_win() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let rendered = |images: &str| self::images(&kustomize, images, &pod(&["app:v1"]));
    // Whatever the order of the two.
    assert_eq!(
        rendered("images: [{ name: app, newTag: v2, newtag: v3 }]"),
        "app:v3"
    );
    assert_eq!(
        rendered("images: [{ name: app, newtag: v3, newTag: v2 }]"),
        "app:v3"
    );
    assert_eq!(rendered("Images: [{ name: app, newTag: v2 }]"), "app:v2");
    let old_key = "imageTags: [{ name: app, newTag: v3 }]\nimages: [{ name: app, newTag: v2 }]";
    assert!(rendered(old_key).ends_with("app:v3"));
    let anchored = "images:\n- &a { name: app, newTag: v3 }\n";
    let early = format!("{anchored}- {{ <<: *a, name: app, newTag: v2 }}");
    let late = format!("{anchored}- {{ name: app, newTag: v2, <<: *a }}");
    assert_eq!([rendered(&early), rendered(&late)], ["app:v2", "app:v3"]);
}

#[test]
fn kustomize_sets_images_of_containers_and_image_volumes_in_every_kind() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let manifest = "\
apiVersion: v1
kind: Pod
metadata: { name: p }
spec:
  containers: [{ name: c, image: app:container }]
  initContainers: [{ name: i, image: app:init }]
  ephemeralContainers: [{ name: e, image: app:ephemeral }]
  volumes: [{ name: v, image: { reference: app:volume } }]
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: c }
spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: c, image: app:cronjob }] } } } } }
---
apiVersion: v1
kind: List
items: [{ apiVersion: v1, kind: Pod, metadata: { name: l }, spec: { containers: [{ name: c, image: app:list }] } }]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: r }
spec: { template: { spec: { containers: [{ name: c, image: app:rollout }] } } }
---
apiVersion: example.com/v1
kind: Thing
metadata: { name: t }
spec: { image: app:other-path }
";
    let rendered = images(&kustomize, "images: [{ name: app, newTag: set }]", manifest);
    let mut rendered: Vec<&str> = rendered.split_whitespace().collect();
    rendered.sort_unstable();
    let untouched = ["app:ephemeral", "app:other-path"];
    assert_eq!(rendered[..2], untouched);
    assert_eq!(rendered[2..], ["app:set"; 6]);
}

#[test]
fn a_component_sets_images_before_the_overlay_that_includes_it() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages: [{ name: app, newTag: component }]\n";
    let folder = run::folder(&[
        ("base/pod.yaml", &pod(&["app:v1"])),
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("component/kustomization.yaml", component),
        (
            "one/kustomization.yaml",
            "resources: [../base]\ncomponents: [../component]\n",
        ),
        (
            "both/kustomization.yaml",
            "resources: [../base]\ncomponents: [../component]\nimages: [{ name: app, newTag: overlay }]\n",
        ),
    ]);
    let rendered =
        |name: &str| shown(&run::kustomize(&kustomize, &folder.path().join(name)).unwrap());
    assert_eq!(rendered("one"), "app:component");
    assert_eq!(rendered("both"), "app:overlay");
}

#[test]
fn helm_takes_a_late_merge_over_a_key_and_only_the_first_document() {
    let Some(helm) = bed::built("helm") else {
        return;
    };
    let chart = "apiVersion: v2\nname: shows\nversion: 0.1.0\n";
    let template = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}\n";
    let rendered = |values: &str| {
        let values = values.replace("DIGEST", DIGEST);
        let folder = run::folder(&[
            ("Chart.yaml", chart),
            ("templates/a.yaml", template),
            ("values.yaml", &values),
        ]);
        shown(&run::helm(&helm, folder.path(), &[]).unwrap())
    };
    let anchored = "x: &x { repository: app, tag: anchored }\n";
    for (values, want) in [
        ("image: { <<: *x }", "app:anchored"),
        ("image: { <<: *x, tag: own }", "app:own"),
        ("image: { tag: own, <<: *x }", "app:anchored"),
        (
            "image: { repository: app, tag: one }\n---\nimage: { repository: app, tag: two }",
            "app:one",
        ),
        (
            "image: { repository: app, tag: 'v1@DIGEST' }",
            "app:v1@DIGEST",
        ),
    ] {
        assert_eq!(rendered(&format!("{anchored}{values}\n")), want, "{values}");
    }
}
