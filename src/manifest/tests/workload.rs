//! What is read and written in Kubernetes objects.

use proptest::prelude::{Just, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::{message, paths, site, standing, written};
use crate::edit::{Aliases, Reach};
use crate::manifest::{Form, Site, Version, Write, read, scan, write};

fn manifest() -> Site {
    site(Form::Manifest { at: None })
}

fn manifest_at(at: &str) -> Site {
    let at = Some(at.parse().unwrap());
    site(Form::Manifest { at })
}

fn followed(site: Site) -> Site {
    let aliases = Aliases::Followed;
    let reach = Reach {
        aliases,
        ..site.reach
    };
    Site { reach, ..site }
}

fn in_document(site: Site, document: &str) -> Site {
    let document = Some(document.parse().unwrap());
    let reach = Reach {
        document,
        ..site.reach
    };
    Site { reach, ..site }
}

/// Asserts that `v2` in place of each `v1` of the image is all that is written.
fn assert_only_versions_change(text: &str) {
    let wanted = text.replace("acme/web:v1", "acme/web:v2");
    assert_ne!(wanted, text);
    assert_eq!(written(&manifest(), Write::Tag, text), wanted);
}

const DEPLOYMENT: &str = "\
# the shop
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    note: 'ghcr.io/acme/web:v1 was here'
spec:
  template:
    spec:
      initContainers:
      - name: migrate
        image: ghcr.io/acme/web:v1
        args: [migrate]
      containers:
        - image: \"ghcr.io/acme/web:v1\"   # the shop itself
          name: web
        - name: proxy
          image: docker.io/envoyproxy/envoy:v1.30
      ephemeralContainers:
      - {name: debug, image: 'ghcr.io/acme/web:v1', tty: true}
      volumes:
      - name: assets
        image:
          reference: ghcr.io/acme/web:v1
          pullPolicy: IfNotPresent
      - name: none
        emptyDir: {}
";

#[test]
fn every_container_and_image_volume_of_the_image_is_a_place() {
    assert_eq!(
        paths(&manifest(), DEPLOYMENT),
        "spec.template.spec.initContainers[name=migrate].image; spec.template.spec.containers[name=web].image; \
         spec.template.spec.ephemeralContainers[name=debug].image; spec.template.spec.volumes[name=assets].image.reference"
    );
    assert_eq!(
        standing(&manifest(), DEPLOYMENT),
        "v1@-:13 v1@-:16 v1@-:21 v1@-:25"
    );
    let after = DEPLOYMENT
        .replace("acme/web:v1", "acme/web:v2")
        .replace("web:v2 was", "web:v1 was");
    assert_eq!(written(&manifest(), Write::Tag, DEPLOYMENT), after);
    assert_eq!(
        written(&manifest(), Write::Tag, &DEPLOYMENT.replace('\n', "\r\n")),
        after.replace('\n', "\r\n")
    );
}

#[test]
fn pods_are_found_in_every_kind_that_nests_them() {
    let pod = "containers: [{name: web, image: ghcr.io/acme/web:v1}]";
    for (kind, way) in [
        ("Pod", "spec"),
        ("Deployment", "spec: {template: {spec"),
        ("StatefulSet", "spec: {template: {spec"),
        ("DaemonSet", "spec: {template: {spec"),
        ("ReplicaSet", "spec: {template: {spec"),
        ("Job", "spec: {template: {spec"),
        ("CronJob", "spec: {jobTemplate: {spec: {template: {spec"),
        ("PodTemplate", "template: {spec"),
        ("Rollout", "spec: {template: {spec"),
        ("Service", "spec: {template: {spec"),
        ("Unheard", "spec: {replicas: [{pods: {main"),
        ("Unheard", "spec: {pods: [[{sub"),
    ] {
        let ends: String = way
            .chars()
            .rev()
            .filter_map(|character| match character {
                '{' => Some('}'),
                '[' => Some(']'),
                _ => None,
            })
            .collect();
        let text = format!("apiVersion: v1\nkind: {kind}\n{way}: {{{pod}}}{ends}\n");
        assert_eq!(standing(&manifest(), &text), "v1@-:3", "{text}");
        assert_only_versions_change(&text);
    }
}

#[test]
fn a_list_of_objects_and_several_documents_are_all_looked_through() {
    let item = |name: &str, image: &str| {
        format!(
            "- kind: Pod\n  metadata: {{name: {name}}}\n  spec:\n    containers:\n    - image: {image}\n"
        )
    };
    let list = format!(
        "kind: List\nitems:\n{}{}{}",
        item("a", "ghcr.io/acme/web:v1"),
        item("b", "ghcr.io/acme/api:v1"),
        item("c", "ghcr.io/acme/web:v1")
    );
    let text = format!(
        "{list}---\n# empty\n---\nnotes: x\n---\nkind: PodList\nitems: [{{spec: {{containers: [{{image: ghcr.io/acme/web}}]}}}}]\n"
    );
    assert_eq!(standing(&manifest(), &text), "v1@-:7 v1@-:17 -@-:24");
    assert_eq!(
        written(&manifest(), Write::Tag, &text),
        text.replace("acme/web:v1", "acme/web")
            .replace("acme/web", "acme/web:v2")
    );
    for (document, wanted) in [
        ("Pod/a", "v1@-:7"),
        ("Pod/c", "v1@-:17"),
        ("0", "v1@-:7 v1@-:17"),
        ("3", "-@-:24"),
    ] {
        assert_eq!(
            standing(&in_document(manifest(), document), &text),
            wanted,
            "{document}"
        );
    }
    insta::assert_snapshot!(standing(&in_document(manifest(), "Pod/b"), &text), @"app/file.yaml:12: no container here is `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/api`");
    insta::assert_snapshot!(standing(&in_document(manifest(), "2"), &text), @"app/file.yaml: no Kubernetes object stands here, none with `kind`; a values file is named as `{ helm: FILE, at: PATH }`, a kustomization by its folder");
}

/// What is written where a container has `image`.
fn image(image: &str, mode: Write) -> String {
    let text = |image: &str| format!("kind: Pod\nspec:\n  containers:\n  - image: {image} # x\n");
    let before = text(image);
    let after = written(&manifest(), mode, &before);
    match after
        .strip_prefix("kind: Pod\nspec:\n  containers:\n  - image: ")
        .and_then(|rest| rest.strip_suffix(" # x\n"))
    {
        Some(image) => image.to_owned(),
        None => after,
    }
}

#[test]
fn each_spelling_of_a_version_becomes_the_wanted_one() {
    for (before, tag, digest, both) in [
        (
            "ghcr.io/acme/web",
            "ghcr.io/acme/web:v2",
            "ghcr.io/acme/web@NEW",
            "ghcr.io/acme/web:v2@NEW",
        ),
        (
            "'ghcr.io/acme/web:v1'",
            "'ghcr.io/acme/web:v2'",
            "'ghcr.io/acme/web:v2@NEW'",
            "'ghcr.io/acme/web:v2@NEW'",
        ),
        (
            "&web \"ghcr.io/acme/web:latest\"",
            "&web \"ghcr.io/acme/web:v2\"",
            "&web \"ghcr.io/acme/web:v2@NEW\"",
            "&web \"ghcr.io/acme/web:v2@NEW\"",
        ),
    ] {
        assert_eq!(image(before, Write::Tag), tag);
        assert_eq!(image(before, Write::Digest), digest);
        assert_eq!(image(before, Write::TagAndDigest), both);
    }
    for before in ["ghcr.io/acme/web:v1@OLD", "ghcr.io/acme/web@OLD"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(image(before, Write::Tag), @"app/file.yaml:4: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
        }
        assert_eq!(
            image(before, Write::TagAndDigest),
            "ghcr.io/acme/web:v2@NEW"
        );
    }
    assert_eq!(
        image("ghcr.io/acme/web@OLD", Write::Digest),
        "ghcr.io/acme/web@NEW"
    );
}

#[test]
fn docker_hubs_names_are_one_image_and_keep_their_spelling() {
    let text = "kind: Pod\nspec:\n  containers:\n  - {name: a, image: nginx:v1}\n  - {name: b, image: docker.io/library/nginx:v1}\n  - {name: c, image: index.docker.io/nginx}\n  - {name: d, image: quay.io/nginx:v1}\n  - {name: e, image: nginx-exporter:v1}\n";
    let file = super::file();
    let image = "nginx".parse().unwrap();
    let version = Version {
        tag: "v2".parse().unwrap(),
        digest: None,
    };
    let after = write(&manifest(), (&file, text), &image, (&version, Write::Tag));
    assert_eq!(
        after.unwrap(),
        text.replace(" nginx:v1", " nginx:v2")
            .replace("library/nginx:v1", "library/nginx:v2")
            .replace("index.docker.io/nginx", "index.docker.io/nginx:v2")
    );
    let other = "ngins".parse().unwrap();
    let scan = scan(&file, text).unwrap();
    let error = read(&manifest(), (&file, &scan), &other).unwrap_err();
    insta::assert_snapshot!(message(error), @"app/file.yaml:4: no container here is `docker.io/library/ngins`; the nearest is `nginx`");
}

#[test]
fn what_only_looks_like_a_container_is_no_place() {
    let text = "kind: ConfigMap\nmetadata:\n  annotations: {last: '{\"containers\":[{\"image\":\"ghcr.io/acme/web:v1\"}]}'}\ndata:\n  pod.yaml: |\n    containers:\n    - image: ghcr.io/acme/web:v1\n  image: ghcr.io/acme/web:v1\n  containers: ghcr.io/acme/web:v1\nspec:\n  image: ghcr.io/acme/web:v1\n  containers: {web: {image: ghcr.io/acme/web:v1}}\n  volumes: [{csi: {image: ghcr.io/acme/web:v1}}, {image: ghcr.io/acme/web:v1}]\n  initContainers: [ghcr.io/acme/web:v1, [{image: ghcr.io/acme/web:v1}]]\n";
    insta::assert_snapshot!(standing(&manifest(), text), @"app/file.yaml:8: no container here is `ghcr.io/acme/web`, but `data.image` says it; name that place by `at`");
}

#[test]
fn an_image_that_no_container_uses_is_answered_with_those_that_are_there() {
    let pod = |images: &[&str]| {
        let item = |image: &&str| format!("  - image: {image}\n");
        let items: String = images.iter().map(item).collect();
        format!("kind: Pod\nspec:\n  containers:\n{items}")
    };
    insta::assert_snapshot!(standing(&manifest(), &pod(&["quay.io/x/y:1", "ghcr.io/acme/wep@OLD", "ghcr.io/acme/wep:v1"])), @"app/file.yaml:5: no container here is `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/wep`");
    insta::assert_snapshot!(standing(&manifest(), &pod(&["b:1", "a:1", "a:2", "''"])), @"app/file.yaml:4: no container here is `ghcr.io/acme/web`; there is `a`, `b`");
    insta::assert_snapshot!(standing(&manifest(), &pod(&["{x: y}"])), @"app/file.yaml:1: no container here is `ghcr.io/acme/web`; there is nothing");
    insta::assert_snapshot!(standing(&manifest(), "kind: Service\nspec: {}\n"), @"app/file.yaml:1: no container here is `ghcr.io/acme/web`; there is nothing");
}

#[test]
fn a_file_of_another_form_is_told_how_it_is_named() {
    for text in [
        "image:\n  repository: ghcr.io/acme/web\n  tag: v1\n",
        "resources: [a.yaml]\nimages: [{name: ghcr.io/acme/web}]\n",
        "",
        "- op: replace\n  value: ghcr.io/acme/web:v1\n",
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(standing(&manifest(), text), @"app/file.yaml: no Kubernetes object stands here, none with `kind`; a values file is named as `{ helm: FILE, at: PATH }`, a kustomization by its folder");
        }
    }
    insta::assert_snapshot!(standing(&manifest(), "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: ghcr.io/acme/web}]\n"), @"app/file.yaml:1: an object of kind `Kustomization` has no containers; as a site it is named by its folder");
    insta::assert_snapshot!(standing(&manifest(), "kind: Service\n---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: {}\n"), @"app/file.yaml:3: an object of kind `Application` has no containers; as a site it is named as `{ application: FILE }`");
    insta::assert_snapshot!(standing(&manifest(), "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {images: []}\n"), @"app/file.yaml:1: no container here is `ghcr.io/acme/web`; there is nothing");
}

#[test]
fn an_image_that_stands_outside_of_containers_is_answered_with_its_path() {
    insta::assert_snapshot!(standing(&manifest(), "kind: Cluster\nspec:\n  name: web\n  image: ghcr.io/acme/web:v1\n"), @"app/file.yaml:4: no container here is `ghcr.io/acme/web`, but `spec.image` says it; name that place by `at`");
    insta::assert_snapshot!(standing(&manifest(), "kind: HelmRelease\nspec:\n  values:\n    image:\n      repository: ghcr.io/acme/web\n      tag: v1\n"), @"app/file.yaml:6: no container here is `ghcr.io/acme/web`, but `spec.values.image.tag` says it; name that place by `at`");
    insta::assert_snapshot!(standing(&manifest(), "kind: Workflow\nspec:\n  templates:\n  - name: one\n    container: {image: ghcr.io/acme/web:v1}\n"), @"app/file.yaml:5: no container here is `ghcr.io/acme/web`, but `spec.templates[name=one].container.image` says it; name that place by `at`");
    let list =
        "kind: List\nitems:\n- kind: A\n  metadata: {name: x}\n  image: ghcr.io/acme/web:v1\n";
    insta::assert_snapshot!(standing(&manifest(), list), @"app/file.yaml:5: no container here is `ghcr.io/acme/web`, but `items[0].image` says it; name that place by `at`");
    insta::assert_snapshot!(standing(&in_document(manifest(), "A/x"), list), @"app/file.yaml:3: no container here is `ghcr.io/acme/web`; there is nothing");
}

const SHARED: &str = "\
kind: Pod
spec:
  initContainers:
  - &main
    name: web
    image: &image ghcr.io/acme/web:v1
  containers:
  - *main
  - <<: *main
    name: other
  - {name: third, image: *image}
  - {<<: *main, image: quay.io/other:v1}
";

#[test]
fn containers_that_share_an_anchor_are_one_place_if_the_policy_says_so() {
    insta::assert_snapshot!(standing(&manifest(), SHARED), @"app/file.yaml:8: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    let without = |line: &str| SHARED.replace(line, "");
    let first = without("  - *main\n");
    insta::assert_snapshot!(standing(&manifest(), &first), @"app/file.yaml:8: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    let second = first.replace("  - <<: *main\n    name: other\n", "");
    insta::assert_snapshot!(standing(&manifest(), &second), @"app/file.yaml:8: the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`");
    let third = second.replace("  - {name: third, image: *image}\n", "");
    assert_eq!(standing(&manifest(), &third), "v1@-:6");
    assert_eq!(
        written(&manifest(), Write::Tag, &third),
        third.replace("web:v1", "web:v2")
    );
    let site = followed(manifest());
    assert_eq!(
        paths(&site, SHARED),
        "spec.initContainers[name=web].image with spec.containers[0].image:8, spec.containers[name=other].image:9, spec.containers[name=third].image:11"
    );
    assert_eq!(
        written(&site, Write::Tag, SHARED),
        SHARED.replace("web:v1", "web:v2")
    );
}

#[test]
fn what_an_alias_leads_to_counts_by_where_the_alias_stands() {
    let text = "kind: Pod\nx-list: &list\n- image: ghcr.io/acme/web:v1\nx-image: &image ghcr.io/acme/web:v1\nx-volume: &volume {image: {reference: ghcr.io/acme/web:v1}}\nx-pod: &pod {other: *list}\nspec:\n  containers: *list\n  initContainers: [{image: *image}]\n  volumes: [*volume]\n";
    insta::assert_snapshot!(standing(&manifest(), text), @"app/file.yaml:8: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    let site = followed(manifest());
    assert_eq!(
        paths(&site, text),
        "x-list[0].image with x-pod.other[0].image:6, spec.containers[0].image:8; x-image with spec.initContainers[0].image:9; x-volume.image.reference with spec.volumes[0].image.reference:10"
    );
    assert_eq!(
        written(&site, Write::Tag, text),
        text.replace("web:v1", "web:v2")
    );
    let other = text.replace("acme/web", "acme/api");
    insta::assert_snapshot!(standing(&manifest(), &other), @"app/file.yaml:3: no container here is `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/api`");
}

#[test]
fn a_list_of_containers_that_is_merged_counts_unless_the_map_has_its_own() {
    let text = |own: &str| {
        format!(
            "kind: Pod\nbase: &base\n  containers: [{{image: ghcr.io/acme/web:v1}}]\nspec: {{<<: *base{own}}}\n"
        )
    };
    insta::assert_snapshot!(standing(&manifest(), &text("")), @"app/file.yaml:4: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    assert_eq!(standing(&followed(manifest()), &text("")), "v1@-:3");
    let own = text(", containers: [{image: quay.io/other:v1}]");
    assert_eq!(standing(&manifest(), &own), "v1@-:3");
    let below = "kind: Pod\nbase: &base {image: quay.io/x:v1}\nspec:\n  containers:\n  - image: ghcr.io/acme/web:v1\n    <<: *base\n";
    insta::assert_snapshot!(standing(&manifest(), below), @"app/file.yaml:5: `image` stands here, and a merge key (`<<`) below it on line 6 gives it again; readers disagree on which one counts, so let the merge key stand first");
    let twice =
        "kind: Pod\nspec:\n  containers: [{image: ghcr.io/acme/web:v1}]\n  containers: []\n";
    insta::assert_snapshot!(standing(&manifest(), twice), @"app/file.yaml:3: `containers` stands here and again on line 4; readers disagree on which one counts");
}

#[test]
fn loops_and_bombs_of_aliases_end() {
    let text = "kind: Pod\nspec: &spec\n  again: *spec\n  containers: &list\n  - &one\n    image: ghcr.io/acme/web:v1\n    containers: *list\n    image-of: {<<: *one}\n";
    assert_eq!(standing(&followed(manifest()), text), "v1@-:6");
    let level = |level: usize| {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("a{level}: &a{level} {{containers: [{items}]}}\n")
    };
    let bomb: String = ["kind: Pod\na0: &a0 {image: ghcr.io/acme/web:v1}\n".to_owned()]
        .into_iter()
        .chain((1..200).map(level))
        .collect();
    insta::assert_snapshot!(standing(&manifest(), &bomb), @"app/file.yaml:3: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    insta::assert_snapshot!(standing(&followed(manifest()), &bomb), @"app/file.yaml:100: more than 1000 places say what stands here by an alias, which is more than one can review");
    let base: String = (0..150).map(|key| format!("  k{key}: v\n")).collect();
    let merges = "- <<: *base\n".repeat(1_000);
    let text = format!("kind: Pod\nbase: &base\n{base}list:\n{merges}");
    insta::assert_snapshot!(standing(&manifest(), &text), @"app/file.yaml:820: merge keys (`<<`) give the maps of this file more than 100000 pairs");
    let many = |count| {
        let item = "  - image: ghcr.io/acme/web:v1\n";
        format!("kind: Pod\nspec:\n  containers:\n{}", item.repeat(count))
    };
    assert_eq!(standing(&manifest(), &many(1000)).split(' ').count(), 1000);
    insta::assert_snapshot!(standing(&manifest(), &many(1001)), @"app/file.yaml: the image stands in more than 1000 places here, which is more than one can review");
}

#[test]
fn tens_of_thousands_of_keys_that_lead_to_one_image_are_looked_through() {
    let keys: String = (0..60_000).map(|n| format!("  k{n}: *p\n")).collect();
    let text = |merge: &str| {
        format!(
            "kind: Pod\np: &p {{containers: [{{image: ghcr.io/acme/web:v1}}]}}\nb: &b {{k59999: v}}\nx:\n{keys}{merge}"
        )
    };
    let site = followed(manifest());
    insta::assert_snapshot!(standing(&site, &text("")), @"app/file.yaml:2: more than 1000 places say what stands here by an alias, which is more than one can review");
    insta::assert_snapshot!(standing(&site, &text("  <<: *b\n")), @"app/file.yaml:60004: `k59999` stands here, and a merge key (`<<`) below it on line 60005 gives it again; readers disagree on which one counts, so let the merge key stand first");
    insta::assert_snapshot!(standing(&site, &text("  k59999: *p\n")), @"app/file.yaml:60004: `k59999` stands here and again on line 60005; readers disagree on which one counts");
}

#[test]
fn the_aliases_of_all_places_are_counted_together() {
    let text = |aliases: usize| {
        let place = |n: usize| format!("- image: &i{n} ghcr.io/acme/web:v1\n");
        let places: String = (0..10).map(place).collect();
        let alias = |n: usize| format!("- *i{}\n", n % 10);
        let aliases: String = (0..aliases).map(alias).collect();
        format!("kind: Pod\ncontainers:\n{places}x:\n{aliases}")
    };
    assert_eq!(standing(&manifest(), &text(1000)).split(' ').count(), 10);
    insta::assert_snapshot!(standing(&manifest(), &text(1001)), @"app/file.yaml:12: more than 1000 places say what stands here by an alias, which is more than one can review");
}

#[test]
fn places_in_a_list_of_tens_of_thousands_are_named() {
    let item = |n: usize| match n % 60 {
        0 => format!("- {{name: n{n}, image: 'ghcr.io/acme/web:v1'}}\n"),
        _ => format!("- {{name: n{n}, image: a}}\n"),
    };
    let items: String = (0..60_000).map(item).collect();
    let text = format!("kind: Pod\ncontainers:\n{items}");
    let wanted: Vec<String> = (0..1000)
        .map(|n| format!("containers[name=n{}].image", 60 * n))
        .collect();
    assert_eq!(paths(&manifest(), &text), wanted.join("; "));
}

#[test]
fn an_image_in_a_kind_of_its_own_is_named_by_its_path() {
    let text = "kind: Cluster\nmetadata: {name: a}\nspec:\n  image: ghcr.io/acme/web:v1 # x\n  web: {repository: ghcr.io/acme/web, tag: v1}\n  images:\n  - ghcr.io/acme/api:v1\n  - ghcr.io/acme/web:v1\n  values: |\n    image: ghcr.io/acme/web:v1\n";
    for (at, before, after) in [
        (
            "spec.image",
            "image: ghcr.io/acme/web:v1 # x",
            "image: ghcr.io/acme/web:v2 # x",
        ),
        ("spec.web", "tag: v1", "tag: v2"),
        (
            "spec.images",
            "  - ghcr.io/acme/web:v1",
            "  - ghcr.io/acme/web:v2",
        ),
        (
            "spec.values.image",
            "    image: ghcr.io/acme/web:v1",
            "    image: ghcr.io/acme/web:v2",
        ),
    ] {
        let wanted = text.replace(before, after);
        assert_eq!(written(&manifest_at(at), Write::Tag, text), wanted, "{at}");
    }
    insta::assert_snapshot!(standing(&manifest_at("spec.imge"), text), @"app/file.yaml:4: `spec` has no key `imge`; the nearest is `image`");
    insta::assert_snapshot!(standing(&manifest_at("spec.images[0]"), text), @"app/file.yaml:7: `ghcr.io/acme/api` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(standing(&manifest_at("image"), "image: ghcr.io/acme/web:v1\n"), @"app/file.yaml: no Kubernetes object stands here, none with `kind`; a values file is named as `{ helm: FILE, at: PATH }`, a kustomization by its folder");
    let two = format!("{text}---\nkind: Other\nmetadata: {{name: a}}\n---\n{text}")
        .replacen("name: a", "name: b", 1);
    insta::assert_snapshot!(standing(&manifest_at("spec.image"), &two), @"app/file.yaml:4: `spec.image` is in several objects, again on line 18; say which one by `document: KIND/NAME`");
    let site = in_document(manifest_at("spec.image"), "Cluster/a");
    assert_eq!(standing(&site, &two), "v1@-:18");
    assert_eq!(
        written(&site, Write::TagAndDigest, &two),
        format!(
            "{}{}",
            &two[..two.len() / 2],
            two[two.len() / 2..].replace("web:v1 # x", "web:v2@NEW # x")
        )
    );
    let one = two.replacen("image: ghcr.io/acme/web:v1 # x", "x: y", 1);
    assert_eq!(standing(&manifest_at("spec.image"), &one), "v1@-:18");
    let list = "kind: List\nitems:\n- kind: A\n  metadata: {name: x}\n  image: ghcr.io/acme/web:v1\n- kind: A\n  metadata: {name: y}\n  image: ghcr.io/acme/web:v1\n";
    assert_eq!(
        standing(&in_document(manifest_at("image"), "A/y"), list),
        "v1@-:8"
    );
    insta::assert_snapshot!(standing(&manifest_at("image"), list), @"app/file.yaml:1: the document has no key `image`; there is `kind`, `items`");
}

#[test]
fn what_cannot_be_replaced_exactly_is_refused() {
    let text = |image: &str| format!("kind: Pod\nspec:\n  containers:\n  - image: {image}\n");
    insta::assert_snapshot!(standing(&manifest(), &text(">-\n      ghcr.io/acme/web:v1")), @"app/file.yaml:4: the value is a block scalar (`|` or `>`); write it on one line");
    insta::assert_snapshot!(standing(&manifest(), &text("\"ghcr.io/\\\n      acme/web:v1\"")), @"app/file.yaml:4: the value goes over several lines; write it on one line");
    insta::assert_snapshot!(standing(&manifest(), &text("!ref ghcr.io/acme/web:v1")), @"app/file.yaml:4: the value is tagged `!ref`, which a version is not; remove the tag");
    insta::assert_snapshot!(standing(&manifest(), &text("ghcr.io/acme/web:{{tag}}")), @"app/file.yaml:4: the value is a template (`{{ … }}`); edit what it is filled from");
    insta::assert_snapshot!(standing(&manifest(), &text("{{ .Values.image }}")), @"app/file.yaml:4: the file is templated (`{{ … }}`); only plain YAML can be edited");
    insta::assert_snapshot!(standing(&manifest(), &text("ghcr.io/acme/web:v1\n    image: x")), @"app/file.yaml:4: `image` stands here and again on line 5; readers disagree on which one counts");
}

/// An object with containers in many layouts, `v1` as the version of ours.
fn object() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("ghcr.io/acme/web:v1"),
        Just("ghcr.io/acme/web:v1"),
        Just("quay.io/other/web:v1"),
        Just("ghcr.io/acme/web-api:v1"),
        Just("web:v1"),
    ];
    let image = (name, prop_oneof![Just(""), Just("'"), Just("\"")])
        .prop_map(|(name, quote)| format!("{quote}{name}{quote}"));
    let container = (image, 0..3_usize).prop_map(|(image, layout)| match layout {
        0 => format!("{{image: {image}, name: c}}"),
        1 => format!("image: {image} # ghcr.io/acme/web:v0\n# INDENT  tty: true"),
        _ => format!("name: 'é'\n# INDENT  image:   {image}"),
    });
    let list = (
        prop_oneof![
            Just("containers"),
            Just("initContainers"),
            Just("ephemeralContainers")
        ],
        proptest::collection::vec(container, 1..4),
    );
    let layout = (
        prop_oneof![Just("\n"), Just("\r\n")],
        prop_oneof![Just(""), Just("  ")],
        prop_oneof![Just(""), Just("# é\n---\n")],
    );
    (layout, proptest::collection::vec(list, 1..4)).prop_map(|((newline, indent, head), lists)| {
        let lists = lists.iter().enumerate().map(|(index, (key, containers))| {
            let item = |container: &String| format!("    {indent}- {container}\n");
            let items: String = containers.iter().map(item).collect();
            format!("  at{index}:\n    {key}:\n{items}")
        });
        format!("{head}kind: Pod\nspec:\n{}", lists.collect::<String>())
            .replace("# INDENT", &format!("    {indent}"))
            .replace('\n', newline)
    })
}

fn with(tag: &str, text: &str) -> Result<String, String> {
    let version = Version {
        tag: tag.parse().unwrap(),
        digest: None,
    };
    let written = write(
        &manifest(),
        (&super::file(), text),
        &super::web(),
        (&version, Write::Tag),
    );
    written.map_err(message)
}

proptest! {
    #[test]
    fn a_version_is_written_over_its_own_bytes_and_back(text in object()) {
        let ours = text.matches("acme/web:v1").count();
        let standings = standing(&manifest(), &text);
        if ours == 0 {
            assert!(standings.contains("no container here"), "{standings}");
            return Ok(());
        }
        assert_eq!(standings.split(' ').count(), ours, "{text}");
        assert_eq!(with("v1", &text).unwrap(), text);
        let after = with("v2.0.0-rc.1", &text).unwrap();
        assert_eq!(after, text.replace("acme/web:v1", "acme/web:v2.0.0-rc.1"));
        assert_eq!(with("v1", &after).unwrap(), text);
    }
}
