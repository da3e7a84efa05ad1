//! What is read and written at the sites of each form.

use super::{Form, RepoPath, Site, SiteError, Standing, Version, Write, read, scan, write};
use crate::edit::{Aliases, Reach};
use crate::image::Repository;

mod charts;
mod markers;
mod workload;

const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn file() -> RepoPath {
    "app/file.yaml".parse().unwrap()
}

fn site(form: Form) -> Site {
    let path = file();
    let reach = Reach::default();
    Site { path, form, reach }
}

fn kustomize() -> Site {
    kustomization("app")
}

fn kustomization(path: &str) -> Site {
    Site {
        path: path.parse().unwrap(),
        ..site(Form::Kustomize)
    }
}

fn helm(at: &str) -> Site {
    let at = at.parse().unwrap();
    site(Form::Helm { at })
}

fn yaml(at: &str) -> Site {
    let at = at.parse().unwrap();
    site(Form::Yaml { at })
}

fn web() -> Repository {
    "ghcr.io/acme/web".parse().unwrap()
}

fn short(text: &str) -> String {
    text.replace(OLD, "OLD").replace(NEW, "NEW")
}

fn long(text: &str) -> String {
    text.replace("OLD", OLD).replace("NEW", NEW)
}

fn message(error: SiteError) -> String {
    short(&error.to_string())
}

/// What stands at a site: `tag@digest:line` of each place, `-` for what is not there.
fn standing(site: &Site, text: &str) -> String {
    let word = |text: Option<String>| text.map_or("-".to_owned(), |text| short(&text));
    let text = long(text);
    let place = |standing: Standing| {
        let Standing {
            tag, digest, line, ..
        } = standing;
        format!("{}@{}:{line}", word(tag), word(digest))
    };
    match standings(site, &text) {
        Ok(standings) => standings
            .into_iter()
            .map(place)
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => message(error),
    }
}

/// The paths of a site's places, each with the places that change with it.
fn paths(site: &Site, text: &str) -> String {
    let place = |standing: Standing| {
        let path = standing
            .path
            .map_or("-".to_owned(), |path| path.to_string());
        let shared = standing.shared.iter();
        let shared: Vec<String> = shared
            .map(|shared| format!("{}:{}", shared.path, shared.line))
            .collect();
        match shared.is_empty() {
            true => path,
            false => format!("{path} with {}", shared.join(", ")),
        }
    };
    match standings(site, text) {
        Ok(standings) => standings
            .into_iter()
            .map(place)
            .collect::<Vec<_>>()
            .join("; "),
        Err(error) => message(error),
    }
}

fn standings(site: &Site, text: &str) -> Result<Vec<Standing>, SiteError> {
    let file = file();
    let scan = scan(&file, text)?;
    read(site, (&file, &scan), &web())
}

/// The text with `v2@NEW` at a site.
fn written(site: &Site, mode: Write, text: &str) -> String {
    let version = Version {
        tag: "v2".parse().unwrap(),
        digest: Some(NEW.parse().unwrap()),
    };
    match write(site, (&file(), &long(text)), &web(), (&version, mode)) {
        Ok(text) => short(&text),
        Err(error) => message(error),
    }
}

#[test]
fn a_kustomization_is_a_folder_with_one_or_the_file_itself() {
    let files = |path: &str| {
        kustomization(path)
            .files()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(files("a/kustomization.yml"), "a/kustomization.yml");
    assert_eq!(
        files("a"),
        "a/kustomization.yaml a/kustomization.yml a/Kustomization"
    );
    assert_eq!(
        files("."),
        "kustomization.yaml kustomization.yml Kustomization"
    );
    assert_eq!(helm("x").files(), [file()]);
}

#[test]
fn the_entry_that_names_the_image_last_is_the_site() {
    let by_new_name = "images:\n- name: ghcr.io/acme/web\n  newName: other/web\n  newTag: v0\n- name: app\n  newName: ghcr.io/acme/web\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), by_new_name), "v1@-:7");
    let by_name = "images:\n- name: ghcr.io/acme/web\n  digest: OLD\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), by_name), "v1@OLD:4");
    assert_eq!(
        standing(&kustomize(), "resources: []\nimages: []\n"),
        "-@-:2"
    );
    assert_eq!(standing(&kustomize(), ""), "-@-:1");
    assert_eq!(
        written(&kustomize(), Write::Tag, by_new_name),
        by_new_name.replace("v1", "v2")
    );
}

#[test]
fn an_entry_that_renames_the_image_is_its_site_where_no_other_is() {
    let mirrored =
        "images:\n- name: ghcr.io/acme/web\n  newName: mirror.example.com/acme/web\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), mirrored), "v1@-:4");
    // A second entry of this name would be dead: kustomize has renamed the image before it gets there.
    assert_eq!(
        written(&kustomize(), Write::Tag, mirrored),
        mirrored.replace("v1", "v2")
    );
}

#[test]
fn entries_that_follow_each_other_for_one_image_are_all_written() {
    // Kustomize carries the entries out in turn, so what the first makes of `app` the second changes again.
    let chained = "images:\n- name: app\n  newName: ghcr.io/acme/web\n  newTag: v0\n- name: ghcr.io/acme/web\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), chained), "v0@-:4 v1@-:6");
    assert_eq!(
        written(&kustomize(), Write::Tag, chained),
        chained.replace("v0", "v2").replace("v1", "v2")
    );
}

#[test]
fn a_kustomization_gets_what_the_policy_writes() {
    let tagged = "images:\n- name: ghcr.io/acme/web\n  newTag: v1\n";
    let edit = |mode, text| written(&kustomize(), mode, text);
    assert_eq!(edit(Write::Tag, tagged), tagged.replace("v1", "v2"));
    let both = "images:\n- name: ghcr.io/acme/web\n  newTag: v2\n  digest: NEW\n";
    assert_eq!(edit(Write::TagAndDigest, tagged), both);
    // A tag that stands beside the digest stays true.
    assert_eq!(edit(Write::Digest, tagged), both);
    assert_eq!(
        edit(Write::Digest, "images: []\n"),
        "images: [{name: ghcr.io/acme/web, digest: NEW}]\n"
    );
    assert_eq!(edit(Write::TagAndDigest, "images:\n"), both);
    let combined = "images:\n- name: ghcr.io/acme/web\n  newTag: v1@OLD\n";
    assert_eq!(standing(&kustomize(), combined), "v1@OLD:3");
    assert_eq!(
        edit(Write::TagAndDigest, combined),
        combined.replace("v1@OLD", "v2@NEW")
    );
    insta::assert_snapshot!(edit(Write::Tag, &both.replace("NEW", "OLD")), @"app/file.yaml:4: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
}

#[test]
fn a_values_map_is_read_and_written() {
    let site = helm("web.image");
    for (text, stands, after) in [
        (
            "web:\n  image:\n    repository: ghcr.io/acme/web\n    tag: \"v1\" # t\n",
            "v1@-:4",
            None,
        ),
        (
            "web:\n  image: {registry: ghcr.io, repository: acme/web, tag: v1, digest: \"\"}\n",
            "v1@-:2",
            None,
        ),
        (
            "web:\n  image:\n    name: ghcr.io/acme/web\n    version: v1\n",
            "v1@-:4",
            None,
        ),
        (
            "web:\n  image:\n    tag: v1\n    pullPolicy: Always\n",
            "v1@-:3",
            None,
        ),
        (
            "web:\n  image:\n    repository: ghcr.io/acme/web # r\n    pullPolicy: Always\n",
            "-@-:3",
            Some(
                "web:\n  image:\n    repository: ghcr.io/acme/web # r\n    tag: v2\n    pullPolicy: Always\n",
            ),
        ),
    ] {
        assert_eq!(standing(&site, text), stands, "{text}");
        let after = after.map_or(text.replace("v1", "v2"), str::to_owned);
        assert_eq!(written(&site, Write::Tag, text), after);
    }
}

#[test]
fn a_values_map_takes_a_digest_in_its_key_or_in_its_tag() {
    let site = helm("image");
    let keyed = "image:\n  tag: v1\n  digest: OLD\n";
    assert_eq!(standing(&site, keyed), "v1@OLD:2");
    assert_eq!(
        written(&site, Write::Digest, keyed),
        "image:\n  tag: v2\n  digest: NEW\n"
    );
    let tagged = "image: {tag: v1}\n";
    assert_eq!(
        written(&site, Write::TagAndDigest, tagged),
        "image: {tag: v2@NEW}\n"
    );
    insta::assert_snapshot!(written(&site, Write::Tag, keyed), @"app/file.yaml:3: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
}

#[test]
fn one_scalar_is_a_tag_a_digest_or_a_whole_reference() {
    for (site, text, mode, stands, after) in [
        (
            helm("a.tag"),
            "a: {tag: v1}",
            Write::Tag,
            "v1@-:1",
            "a: {tag: v2}",
        ),
        (
            helm("a.tag"),
            "a: {tag: }",
            Write::Tag,
            "-@-:1",
            "a: {tag: v2}",
        ),
        (
            helm("a.tag"),
            "a: {tag: v1@OLD}",
            Write::TagAndDigest,
            "v1@OLD:1",
            "a: {tag: v2@NEW}",
        ),
        (
            helm("a.digest"),
            "a: {digest: }",
            Write::Digest,
            "-@-:1",
            "a: {digest: NEW}",
        ),
        (yaml("d"), "d: OLD", Write::Digest, "-@OLD:1", "d: NEW"),
        (
            yaml("i"),
            "i: 'ghcr.io/acme/web:v1'",
            Write::Tag,
            "v1@-:1",
            "i: 'ghcr.io/acme/web:v2'",
        ),
        (
            yaml("i"),
            "i: ghcr.io/acme/web",
            Write::Tag,
            "-@-:1",
            "i: ghcr.io/acme/web:v2",
        ),
        (
            yaml("i"),
            "i: ghcr.io/acme/web@OLD",
            Write::Digest,
            "-@OLD:1",
            "i: ghcr.io/acme/web@NEW",
        ),
        (
            yaml("i"),
            "i: ghcr.io/acme/web:v1@OLD",
            Write::TagAndDigest,
            "v1@OLD:1",
            "i: ghcr.io/acme/web:v2@NEW",
        ),
    ] {
        assert_eq!(standing(&site, text), stands, "{text}");
        assert_eq!(written(&site, mode, text), after);
    }
}

#[test]
fn a_site_that_is_not_the_images_or_not_exact_is_refused() {
    let tag = |site: Site, text: &str| written(&site, Write::Tag, text);
    insta::assert_snapshot!(tag(helm("i"), "i:\n  repository: ghcr.io/acme/api\n  tag: v1\n"), @"app/file.yaml:2: `ghcr.io/acme/api` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(tag(helm("i"), "i:\n  registry: quay.io\n  repository: acme/web\n  tag: v1\n"), @"app/file.yaml:3: `quay.io/acme/web` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(tag(yaml("i"), "i: nginx:1.27\n"), @"app/file.yaml:1: `nginx` stands here, not `ghcr.io/acme/web`");
    insta::assert_snapshot!(tag(helm("i"), "i: {pullPolicy: Always}\n"), @"app/file.yaml:1: the map has no `repository`, `name`, `image`, `tag` or `version`");
    insta::assert_snapshot!(tag(yaml("i"), "i: {tag: v1}\n"), @"app/file.yaml:1: the value is a map, not a scalar");
    insta::assert_snapshot!(tag(helm("image.tga"), "image: {tag: v1}\n"), @"app/file.yaml:1: `image` has no key `tga`; the nearest is `tag`");
    insta::assert_snapshot!(tag(helm("a.b"), "a:\n  {{- toYaml . }}\n"), @"app/file.yaml:2: the file is templated (`{{ … }}`); only plain YAML can be edited");
    insta::assert_snapshot!(tag(helm("a"), ""), @"app/file.yaml: the file holds no values");
    insta::assert_snapshot!(tag(yaml("i"), "i: ghcr.io/acme/web:v1@OLD\n"), @"app/file.yaml:1: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`");
}

#[test]
fn a_digest_that_is_not_known_is_not_made_up() {
    let version = Version {
        tag: "v2".parse().unwrap(),
        digest: None,
    };
    for site in [kustomize(), helm("i")] {
        let place = (&file(), "i: {tag: v1}\n");
        let error = write(&site, place, &web(), (&version, Write::TagAndDigest));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("the digest of `v2` is not known")
        );
    }
}

#[test]
fn docker_hub_images_are_added_by_the_name_that_manifests_have() {
    let version = Version {
        tag: "v2".parse().unwrap(),
        digest: None,
    };
    for (image, name) in [("nginx", "nginx"), ("docker.io/acme/web", "acme/web")] {
        let image = image.parse().unwrap();
        let text = write(&kustomize(), (&file(), ""), &image, (&version, Write::Tag)).unwrap();
        assert_eq!(text, format!("images:\n- name: {name}\n  newTag: v2\n"));
    }
}

#[test]
fn what_kustomize_would_read_in_another_way_is_refused() {
    let tag = |text: &str| written(&kustomize(), Write::Tag, text);
    insta::assert_snapshot!(tag("images:\n- name: ghcr.io/acme/web\n  newtag: v1\n"), @"app/file.yaml:3: `newtag` stands here, which is read as `newTag`; write `newTag`");
    insta::assert_snapshot!(tag("Images:\n- name: ghcr.io/acme/web\n"), @"app/file.yaml:1: `Images` stands here, which is read as `images`; write `images`");
    insta::assert_snapshot!(tag("imageTags:\n- name: ghcr.io/acme/web\n"), @"app/file.yaml:1: `imageTags` stands here and wins over `images`; run `kustomize edit fix` once");
    insta::assert_snapshot!(tag("images:\n- name: ghcr.io/acme/.*\n  newTag: v1\n"), @"app/file.yaml:2: kustomize takes the name `ghcr.io/acme/.*` for a pattern that `ghcr.io/acme/web` matches too; write the image's name out");
    // A pattern that the image does not match is another image's.
    let other = "images:\n- name: ghcr.io/other/.*\n  newTag: v1\n- name: ghcr.io/acme/web\n  newTag: v1\n  tagSuffix: -x\n";
    assert_eq!(
        tag(other),
        other.replace("web\n  newTag: v1", "web\n  newTag: v2")
    );
}

#[test]
fn a_pattern_too_large_to_be_tried_is_refused() {
    let tag = |name: &str| {
        let text = format!("images:\n- name: {name}\n- name: ghcr.io/acme/web\n  newTag: v1\n");
        standing(&kustomize(), &text)
    };
    insta::assert_snapshot!(tag(r"x\w{60}{60}1"), @r"app/file.yaml:2: kustomize takes the name `x\w{60}{60}1…` for a pattern, which is too large to say whether `ghcr.io/acme/web` matches it; write the image's name out");
    insta::assert_snapshot!(tag(&"(a|b)".repeat(60)), @"app/file.yaml:2: kustomize takes the name `(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)…` for a pattern, which is too large to say whether `ghcr.io/acme/web` matches it; write the image's name out");
    insta::assert_snapshot!(tag(r"x\p{L}+"), @r"app/file.yaml:2: kustomize takes the name `x\p{L}+…` for a pattern, which is too large to say whether `ghcr.io/acme/web` matches it; write the image's name out");
    insta::assert_snapshot!(tag(r"(?iu)x\w+"), @r"app/file.yaml:2: kustomize takes the name `(?iu)x\w+…` for a pattern, which is too large to say whether `ghcr.io/acme/web` matches it; write the image's name out");
    let kept = [
        r"'[\w.-]+/other/[^/]*'",
        r"x\w{60}1",
        r"(?i)ghcr\.io/(a|b)/.*",
        "'[a'",
    ];
    for name in kept {
        assert_eq!(tag(name), "v1@-:4", "{name}");
    }
    let names = (0..2000).map(|n| format!("- name: x{n}\\w{{60}}1\n"));
    let text: String = ["images:\n".to_owned()].into_iter().chain(names).collect();
    assert_eq!(standing(&kustomize(), &text), "-@-:1");
}

#[test]
fn the_places_of_all_texts_in_a_file_are_counted_together() {
    let application = |counts: [usize; 2]| {
        let item = "          - {repository: ghcr.io/acme/web, tag: v1}\n";
        let source = |count: usize| {
            let items = item.repeat(count);
            format!("  - chart: a\n    helm:\n      values: |\n        images:\n{items}")
        };
        let sources = counts.map(source).concat();
        format!("apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  sources:\n{sources}")
    };
    let site = site(Form::Application { at: None });
    let found = standing(&site, &application([500, 500]));
    assert_eq!(found.split(' ').count(), 1000);
    insta::assert_snapshot!(standing(&site, &application([500, 501])), @"app/file.yaml:512: the image stands in more than 1000 places here, which is more than one can review");
}

#[test]
fn a_digest_stands_in_one_place_of_an_entry_alone() {
    let both = "images:\n- name: ghcr.io/acme/web\n  newTag: v1@OLD\n  digest: OLD\n";
    let parted = "images:\n- name: ghcr.io/acme/web\n  newTag: v2\n  digest: NEW\n";
    assert_eq!(written(&kustomize(), Write::TagAndDigest, both), parted);
    assert_eq!(written(&kustomize(), Write::Digest, both), parted);
}

#[test]
fn a_values_map_may_name_its_image_under_any_registry_that_counts() {
    let site = helm("image");
    for text in [
        "image: {image: ghcr.io/acme/web, tag: v1}\n",
        "image: {image: 'ghcr.io/acme/web:v1'}\n",
        "global: {imageRegistry: ghcr.io}\nimage: {registry: docker.io, repository: acme/web, tag: v1}\n",
        "global:\n  imageRegistry: \"\"\nimage: {registry: ghcr.io, repository: acme/web, tag: v1}\n",
        "x: &x {repository: ghcr.io/acme/web}\nimage:\n  <<: *x\n  tag: v1\n",
    ] {
        assert!(standing(&site, text).starts_with("v1@-:"), "{text}");
        assert_eq!(written(&site, Write::Tag, text), text.replace("v1", "v2"));
    }
}

#[test]
fn each_entry_that_is_written_is_read_and_one_that_only_renames_needs_no_version() {
    let two = "images:\n- name: web\n  newName: ghcr.io/acme/web\n  newTag: v3\n- name: app\n  newName: ghcr.io/acme/web\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), two), "v3@-:4 v1@-:7");
    let renamed = "images:\n- name: app\n  newName: ghcr.io/acme/web\n- name: ghcr.io/acme/web\n  newTag: v1\n";
    assert_eq!(standing(&kustomize(), renamed), "v1@-:5");
    assert_eq!(
        written(&kustomize(), Write::Tag, renamed),
        renamed.replace("v1", "v2")
    );
    let too_early = "images:\n- name: ghcr.io/acme/web\n  newTag: v1\n- name: app\n  newName: ghcr.io/acme/web\n";
    assert_eq!(standing(&kustomize(), too_early), "v1@-:3 -@-:4");
}

#[test]
fn a_name_beside_an_image_is_of_another_kind() {
    let site = helm("x");
    let listed = "x: {name: web, image: ghcr.io/acme/web, tag: v1}\n";
    assert_eq!(
        written(&site, Write::Tag, listed),
        listed.replace("v1", "v2")
    );
    let versioned = "x: {image: 'ghcr.io/acme/web:v1', version: \"3\"}\n";
    assert_eq!(
        written(&site, Write::Tag, versioned),
        versioned.replace("v1", "v2")
    );
    insta::assert_snapshot!(written(&site, Write::Tag, "x: {name: ghcr.io/acme/web, image: other, tag: v1}\n"), @"app/file.yaml:1: `other` stands here, not `ghcr.io/acme/web`");
}

#[test]
fn the_registry_of_all_images_counts_for_lists_and_in_values_that_stand_in_another_file() {
    let list = "global: {imageRegistry: ghcr.io}\nimages:\n- {repository: acme/api, tag: v1}\n- {repository: acme/web, tag: v1}\n";
    assert_eq!(paths(&helm("images"), list), "images[1].tag");
    let release = "kind: HelmRelease\nspec:\n  values:\n    global: {imageRegistry: ghcr.io}\n    image: {repository: acme/web, tag: v1}\n";
    assert_eq!(standing(&helm("spec.values.image"), release), "v1@-:5");
}

#[test]
fn the_name_of_an_image_is_no_place_for_its_version() {
    let text = "image: {repository: ghcr.io/acme/web, tag: v1}\n";
    insta::assert_snapshot!(written(&helm("image.repository"), Write::Tag, text), @"app/file.yaml:1: `tag` beside this holds the version; let `at` name that, or the map that holds both");
    insta::assert_snapshot!(written(&yaml("image.repository"), Write::Tag, text), @"app/file.yaml:1: `tag` beside this holds the version; let `at` name that, or the map that holds both");
}

#[test]
fn null_says_nothing() {
    for text in ["image: {tag: null, digest: ~}\n", "image: {tag: ~}\n"] {
        assert_eq!(standing(&helm("image"), text), "-@-:1");
    }
    assert_eq!(
        written(
            &helm("image"),
            Write::Tag,
            "image: {tag: null, digest: ~}\n"
        ),
        "image: {tag: v2, digest: ~}\n"
    );
}

#[test]
fn a_digest_beside_the_tag_moves_to_the_key_of_its_own() {
    let text = "image: {tag: v1@OLD, digest: \"\"}\n";
    assert_eq!(
        written(&helm("image"), Write::TagAndDigest, text),
        "image: {tag: v2, digest: \"NEW\"}\n"
    );
}

#[test]
fn a_map_may_hold_a_container() {
    let text = "extra:\n- name: web\n  image: ghcr.io/acme/web:v1\n";
    let site = helm("extra[name=web]");
    assert_eq!(paths(&site, text), "extra[name=web].image");
    assert_eq!(written(&site, Write::Tag, text), text.replace("v1", "v2"));
}

#[test]
fn a_digest_that_comes_by_a_merge_key_is_no_less_in_the_way() {
    let text = "d: &d {digest: OLD}\nimage: {<<: *d, tag: v1}\n";
    insta::assert_snapshot!(written(&helm("image"), Write::Tag, text), @"app/file.yaml:2: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
    let empty = text.replace("OLD", "''");
    assert_eq!(
        written(&helm("image"), Write::Tag, &empty),
        empty.replace("v1", "v2")
    );
}

#[test]
fn a_list_of_values_has_the_image_in_its_items() {
    let site = helm("images");
    let maps = "images:\n- {repository: ghcr.io/acme/api, tag: v1}\n- {repository: ghcr.io/acme/web, tag: v1}\n";
    assert_eq!(paths(&site, maps), "images[1].tag");
    assert_eq!(
        written(&site, Write::Tag, maps),
        maps.replace("web, tag: v1", "web, tag: v2")
    );
    let references = "images: [ghcr.io/acme/api:v1, 'ghcr.io/acme/web:v1']\n";
    assert_eq!(standing(&site, references), "v1@-:1");
    insta::assert_snapshot!(standing(&site, "images: [ghcr.io/acme/wep:v1]\n"), @"app/file.yaml:1: no item here is `ghcr.io/acme/web`; the nearest is `ghcr.io/acme/wep`");
    insta::assert_snapshot!(standing(&site, "images: []\n"), @"app/file.yaml:1: no item here is `ghcr.io/acme/web`; there is nothing");
}

#[test]
fn a_missing_key_is_added_to_the_images_own_map() {
    let text = "image:\n  repository: ghcr.io/acme/web\n";
    let tag = "image:\n  repository: ghcr.io/acme/web\n  tag: v2\n";
    assert_eq!(written(&helm("image.tag"), Write::Tag, text), tag);
    let digest = "image:\n  repository: ghcr.io/acme/web\n  digest: NEW\n";
    assert_eq!(written(&yaml("image.digest"), Write::Digest, text), digest);
    insta::assert_snapshot!(written(&helm("image.tga"), Write::Tag, text), @"app/file.yaml:2: `image` has no key `tga`; there is `repository`");
    insta::assert_snapshot!(written(&helm("image.tag"), Write::Tag, "image: {pullPolicy: Always}\n"), @"app/file.yaml:1: `image` has no key `tag`; there is `pullPolicy`");
}

#[test]
fn a_value_that_comes_by_a_merge_key_is_overridden_in_its_own_map() {
    let text =
        "d: &d {repository: ghcr.io/acme/web, tag: v1}\nimage:\n  <<: *d\n  pullPolicy: Always\n";
    for site in [helm("image"), helm("image.tag")] {
        assert_eq!(standing(&site, text), "v1@-:3");
        let own = text.replace("Always\n", "Always\n  tag: v2\n");
        assert_eq!(written(&site, Write::Tag, text), own);
    }
    let below = "d: &d {tag: v1}\nimage:\n  tag: v1\n  <<: *d\n";
    insta::assert_snapshot!(written(&helm("image"), Write::Tag, below), @"app/file.yaml:3: `tag` stands here, and a merge key (`<<`) below it on line 4 gives it again; readers disagree on which one counts, so let the merge key stand first");
    insta::assert_snapshot!(written(&helm("image.tag"), Write::Tag, below), @"app/file.yaml:3: `tag` stands here, and a merge key (`<<`) below it on line 4 gives it again; readers disagree on which one counts, so let the merge key stand first");
}

#[test]
fn an_alias_is_followed_where_the_policy_says_so_and_all_that_share_it_are_named() {
    let followed = |at: &str| {
        let aliases = Aliases::Followed;
        let reach = Reach {
            aliases,
            ..Reach::default()
        };
        Site { reach, ..helm(at) }
    };
    let text = "a: &a {image: {tag: &t v1}}\nb: {<<: *a}\nc: {tag: *t}\nd: *a\ne: {<<: *a, image: {tag: v0}}\n";
    for at in ["b.image.tag", "c.tag", "d.image", "a.image"] {
        assert_eq!(
            paths(&followed(at), text),
            "a.image.tag with b.image.tag:2, d.image.tag:4, c.tag:3"
        );
        assert_eq!(
            written(&followed(at), Write::Tag, text),
            text.replace("v1", "v2")
        );
    }
    // The anchor's own place needs no leave, and what changes with it is told all the same.
    assert_eq!(
        paths(&helm("a.image.tag"), text),
        "a.image.tag with b.image.tag:2, d.image.tag:4, c.tag:3"
    );
    insta::assert_snapshot!(standing(&helm("c.tag"), text), @"app/file.yaml:3: the value is an alias of an anchor that others share; write it out here, name the anchor's own place, or say `through-alias: true`");
    insta::assert_snapshot!(standing(&helm("d.image"), text), @"app/file.yaml:4: the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true`");
}

#[test]
fn yaml_in_the_text_of_a_block_is_edited_as_yaml() {
    let text = "spec:\r\n  values: |-\r\n\r\n    # note\r\n    image:\r\n      repository: ghcr.io/acme/web # r\r\n      tag: \"v1\"\r\n  other: x\r\n";
    for at in ["spec.values.image", "spec.values.image.tag"] {
        assert_eq!(standing(&helm(at), text), "v1@-:7");
        assert_eq!(paths(&helm(at), text), "spec.values.image.tag");
        assert_eq!(
            written(&helm(at), Write::Tag, text),
            text.replace("v1", "v2")
        );
    }
    let missing = text.replace("      tag: \"v1\"\r\n", "");
    assert_eq!(
        written(&helm("spec.values.image"), Write::Tag, &missing),
        text.replace("\"v1\"", "v2")
    );
    insta::assert_snapshot!(standing(&helm("spec.values.image.tga"), text), @"app/file.yaml:6: `image` has no key `tga`; the nearest is `tag`");
    insta::assert_snapshot!(standing(&helm("spec.other.image"), text), @"app/file.yaml:8: `spec.other` is a scalar, not a map");
}

#[test]
fn a_values_file_counts_by_its_first_document() {
    let text = "a: {tag: v1}\n---\nb: {tag: v1}\n";
    assert_eq!(standing(&helm("a.tag"), text), "v1@-:1");
    insta::assert_snapshot!(standing(&helm("b.tag"), text), @"app/file.yaml:3: Helm reads the first document of a values file only, and this is another");
    assert_eq!(standing(&yaml("b.tag"), text), "v1@-:3");
}

#[test]
fn a_document_is_named_by_its_number_or_its_object() {
    let text = "kind: A\nmetadata: {name: x}\nv: v1\n---\nkind: AList\nitems:\n- kind: A\n  metadata: {name: y}\n  v: v1\n";
    let site = |document: &str| {
        let reach = Reach {
            document: Some(document.parse().unwrap()),
            ..Reach::default()
        };
        Site { reach, ..yaml("v") }
    };
    assert_eq!(standing(&site("0"), text), "v1@-:3");
    assert_eq!(standing(&site("A/x"), text), "v1@-:3");
    assert_eq!(standing(&site("A/y"), text), "v1@-:9");
    insta::assert_snapshot!(standing(&site("A/z"), text), @"app/file.yaml: the file has no object `A/z`; the nearest is `A/y`");
    insta::assert_snapshot!(standing(&site("2"), text), @"app/file.yaml: there is no document 2; the file has 2, counted from 0");
    insta::assert_snapshot!(standing(&site("A/x"), &format!("{text}---\nkind: A\nmetadata: {{name: x}}\n")), @"app/file.yaml:1: the file has several objects `A/x`, another on line 11");
}

#[test]
fn an_encrypted_file_is_changed_outside_of_its_checksum_alone() {
    let sealed = |more: &str| {
        format!("image: {{tag: v1}}\nkey: ENC[AES256_GCM,data:x]\nsops:\n  mac: ENC[x]\n{more}")
    };
    insta::assert_snapshot!(written(&helm("image"), Write::Tag, &sealed("")), @"app/file.yaml:1: the file is encrypted with SOPS, whose checksum covers this value; change it with `sops`");
    let partly = sealed("  mac_only_encrypted: true\n");
    assert_eq!(
        written(&helm("image"), Write::Tag, &partly),
        partly.replace("v1", "v2")
    );
    assert_eq!(standing(&helm("image"), &partly), "v1@-:1");
    let missing = partly.replace("tag: v1", "repository: ghcr.io/acme/web");
    insta::assert_snapshot!(written(&helm("image"), Write::Tag, &missing), @"app/file.yaml:1: the file is encrypted with SOPS, whose checksum covers this value; change it with `sops`");
}
