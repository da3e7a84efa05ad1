//! What people see when the places of a policy are wrong, and that good ones are read as they are meant.

use std::sync::Arc;

use insta::assert_snapshot;

use super::load;
use super::tests::{POLICY, SETTINGS, folder, messages};
use crate::edit::{Aliases, Reach};
use crate::manifest::Form;
use crate::policy::select::choose::{Downgrade, Selection, select};
use crate::policy::select::{KnownTags, TagFacts};
use crate::policy::{Policy, Update};

/// The images of a policy with two.
const TWO_IMAGES: &str = "{ web: a.b/web, api: a.b/api }";

/// Messages for the environments of a policy with one image, each with what stands behind `update:`.
fn updates(updates: &[&str]) -> String {
    messages(SETTINGS, &policy(updates))
}

/// The same for a policy with two images.
fn updates_of_two(updates: &[&str]) -> String {
    let policy = policy(updates).replace("{ web: ghcr.io/acme/portal-web }", TWO_IMAGES);
    messages(SETTINGS, &policy)
}

fn policy(updates: &[&str]) -> String {
    let environments = updates.iter().enumerate().map(|(n, update)| {
        format!("  - {{ name: e{n}, tags: {{ semver: 1.x }}, update: {update} }}\n")
    });
    format!("{POLICY}{}", environments.collect::<String>())
}

/// What a policy with two images and one environment names as its places.
fn read(update: &str) -> Vec<Update> {
    let policy = policy(&[update]).replace("{ web: ghcr.io/acme/portal-web }", TWO_IMAGES);
    let folder = folder(SETTINGS, &policy);
    let config = load(&folder.path().join("towpath.yaml"));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    config.policies[0].environments[0].update.clone()
}

#[test]
fn each_form_is_read_as_it_is_meant() {
    let form = |update: &Update| {
        let Update { site, image } = update;
        let Reach { document, aliases } = &site.reach;
        let form = match &site.form {
            Form::Kustomize => "kustomize".to_owned(),
            Form::HelmCharts => "charts".to_owned(),
            Form::Helm { at } => format!("helm {at}"),
            Form::Yaml { at } => format!("yaml {at}"),
            Form::Manifest { at: None } => "manifest".to_owned(),
            Form::Manifest { at: Some(at) } => format!("manifest {at}"),
            Form::Application { at: None } => "application".to_owned(),
            Form::Application { at: Some(at) } => format!("application {at}"),
            Form::Markers { policy } => format!("markers {policy}"),
        };
        let image = image.as_ref().map_or("all", |image| image.as_str());
        let document = document.as_ref().map(ToString::to_string);
        let aliases = match aliases {
            Aliases::Refused => "",
            Aliases::Followed => " through-alias",
        };
        let document = document.map_or(String::new(), |document| format!(" of {document}"));
        format!("{} {form}{document}{aliases}: {image}", site.path)
    };
    let all = read(
        "[a, { helm: b.yaml, at: image, image: web, through-alias: true }, { yaml: c.yaml, at: v, document: 0, image: web },
          { yaml: c.yaml, at: v, document: '1', image: api, through-alias: false }, { manifest: d.yaml, document: CronJob/x },
          { manifest: e.yaml, image: web }, { manifest: f.yaml, at: spec.image, image: web },
          { application: g.yaml, through-alias: true }, { application: h.yaml, at: web.image, image: web },
          { markers: i.yaml, policies: { \"flux-system:web\": web, flux-system:api.x: api } },
          { kustomization: j }, { kustomization: k, image: api }]",
    );
    let lines: Vec<String> = all.iter().map(form).collect();
    assert_snapshot!(lines.join("\n"), @"
    a kustomize: all
    b.yaml helm image through-alias: web
    c.yaml yaml v of 0: web
    c.yaml yaml v of 1: api
    d.yaml manifest of CronJob/x: all
    e.yaml manifest: web
    f.yaml manifest spec.image: web
    g.yaml application through-alias: all
    h.yaml application web.image: web
    i.yaml markers flux-system:web: web
    i.yaml markers flux-system:api.x: api
    j kustomize: all
    k kustomize: api
    ");
}

#[test]
fn a_chart_stands_among_the_charts_of_a_kustomization() {
    let images = "{ web: ghcr.io/acme/web, chart: { repository: oci://ghcr.io/acme/charts/web, tags: { semver: '1' } } }";
    let update = "[a, { kustomization: b, image: web }, { kustomization: c/kustomization.yaml, image: chart }, { application: d.yaml, image: chart }]";
    let policy = policy(&[update]).replace("{ web: ghcr.io/acme/portal-web }", images);
    let folder = folder(SETTINGS, &policy);
    let config = load(&folder.path().join("towpath.yaml")).unwrap();
    let Policy {
        images,
        environments,
        ..
    } = &config.policies[0];
    let line = |Update { site, image }: &Update| {
        let image = image.as_ref().map_or("all", |image| image.as_str());
        format!("{} {:?}: {image}", site.path, site.form)
    };
    let lines: Vec<String> = environments[0].update.iter().map(line).collect();
    assert_snapshot!(lines.join("\n"), @"
    a Kustomize: web
    a HelmCharts: chart
    b Kustomize: web
    c/kustomization.yaml HelmCharts: chart
    d.yaml Application { at: None }: chart
    ");
    let repositories: Vec<String> = images.values().map(|i| i.repository.to_string()).collect();
    assert_eq!(
        repositories,
        ["ghcr.io/acme/charts/web", "ghcr.io/acme/web"]
    );
    let chooses = |name: &str| {
        let rule = &environments[0].rules[&name.parse().unwrap()];
        let facts = TagFacts {
            tag: "1.2.3_b1".parse().unwrap(),
            pushed: None,
            created: None,
            first_seen: None,
        };
        let known = KnownTags {
            tags: vec![facts],
            pushes: None,
            histories: Arc::default(),
        };
        let selection = select(rule, &known, None, Downgrade::Forbidden);
        matches!(selection, Selection::Choose { .. })
    };
    assert!(chooses("chart") && !chooses("web"));
}

#[test]
fn a_wrong_place_is_told_with_all_that_is_wrong_in_it() {
    assert_snapshot!(updates(&["{ manifest: ../a.yaml, at: 'a..b', document: -1, through-alias: yes, imge: web }"]), @"
    8:60 `../a.yaml` is not a path inside the repository: `..` leads out of the repository
    8:75 `a..b` is not a path: a key is empty
    8:93 `-1` names no document: write its number from 0 on, or `KIND/NAME` as in `Deployment/web`
    8:112 expected `true` or `false`, found a text [write `true`]
    8:117 unknown key `imge` [did you mean `image`?]
    ");
    assert_snapshot!(updates(&["{ application: a.yaml, document: Application/, aplication: b }"]), @"
    8:81 `Application/` names no document: write its number from 0 on, or `KIND/NAME` as in `Deployment/web`
    8:95 unknown key `aplication` [did you mean `application`?]
    ");
    assert_snapshot!(updates(&["{ helm: a.yaml, at: image, document: 1 }"]), @"8:75 unknown key `document` [known here: `helm`, `at`, `through-alias`, `image`]");
    assert_snapshot!(updates(&["{ manifest: a.yaml, yaml: a.yaml, at: x }"]), @"8:68 `yaml` and `manifest` cannot stand together");
    assert_snapshot!(updates(&["{ manifests: a.yaml }"]), @"8:50 unknown key `manifests` [did you mean `manifest`?]");
    assert_snapshot!(updates(&["{ file: a.yaml }"]), @"8:40 expected one of `kustomization`, `helm`, `yaml`, `manifest`, `application`, `markers` [a kustomization is named by its folder alone: `update: apps/web`]");
}

#[test]
fn markers_name_policies_of_flux_and_known_images() {
    assert_snapshot!(updates(&["{ markers: a.yaml, policies: {} }", "{ markers: b.yaml }"]), @"
    8:77 expected at least one entry, found none
    9:40 the key `policies` is missing
    ");
    assert_snapshot!(updates(&["{ markers: a.yaml, policies: { web: web, 'ns:web:tag': web, 'Ns:x': web, 'ns:w': wbe, 'ns:x': } }"]), @"
    8:79 `web` is not the name of an image policy of Flux [write `NAMESPACE:NAME`, as the markers do: `flux-system:web`]
    8:89 `ns:web:tag` names a part of what Flux's image policy says [write `ns:web`, which stands for all of its markers]
    8:108 `Ns:x` is not the name of an image policy of Flux [write `NAMESPACE:NAME`, as the markers do: `flux-system:web`]
    8:129 the policy has no image `wbe` [known: `web`]
    8:134 expected a text, found nothing [give it a value, or remove the key]
    ");
}

#[test]
fn a_place_for_one_image_needs_its_name_where_the_policy_has_several() {
    assert_snapshot!(updates_of_two(&["[{ manifest: a.yaml, at: spec.image }, { application: b.yaml, at: image }, { helm: c.yaml, at: image }]"]), @"
    8:49 the policy has several images, and this place holds one [say which with `image: web`]
    8:87 the policy has several images, and this place holds one [say which with `image: web`]
    8:123 the policy has several images, and this place holds one [say which with `image: web`]
    ");
    assert_eq!(read("{ manifest: a.yaml }")[0].image, None);
}

#[test]
fn a_path_and_what_is_below_it_are_one_place() {
    assert_snapshot!(updates(&["{ helm: v.yaml, at: image }", "{ helm: v.yaml, at: image.tag }", "{ yaml: v.yaml, at: image.tag.x }", "{ helm: v.yaml, at: images }"]), @"
    9:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48
    10:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48
    ");
    // A list may hold both images of one environment; whether it does, the file tells.
    let both =
        "[{ helm: v.yaml, at: images, image: web }, { helm: v.yaml, at: images, image: api }]";
    assert_eq!(read(both).len(), 2);
}

#[test]
fn a_file_is_shared_by_images_by_documents_and_by_policies_of_flux() {
    let by_image = "[{ manifest: a.yaml, image: web }, { manifest: a.yaml, image: api }, { application: b.yaml, image: web }, { application: b.yaml, image: api }]";
    assert_eq!(read(by_image).len(), 4);
    let environments = [
        "{ manifest: a.yaml, document: Deployment/dev }",
        "{ manifest: a.yaml, document: Deployment/production }",
        "{ yaml: b.yaml, at: spec.version, document: 0 }",
        "{ yaml: b.yaml, at: spec.version, document: 1 }",
        "{ markers: c.yaml, policies: { 'ns:dev': web } }",
        "{ markers: c.yaml, policies: { 'ns:production': web } }",
    ];
    let folder = folder(SETTINGS, &policy(&environments));
    assert!(load(&folder.path().join("towpath.yaml")).is_ok());
}

#[test]
fn two_environments_that_would_find_one_place_are_refused() {
    assert_snapshot!(updates(&["{ manifest: a.yaml }", "{ manifest: a.yaml, document: Deployment/web }", "{ manifest: a.yaml, at: spec.image }", "{ yaml: a.yaml, at: spec.version }"]), @"
    9:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48 [if they mean different documents, say which with `document`]
    10:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48 [if they mean different documents, say which with `document`]
    11:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48 [if they mean different documents, say which with `document`]
    ");
    assert_snapshot!(updates(&["{ application: a.yaml, document: 0 }", "{ application: a.yaml, document: Application/web }", "{ yaml: b.yaml, at: v, document: 0 }", "{ yaml: b.yaml, at: v, document: X/web }"]), @"
    9:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48 [name both documents in one way, by number or by `KIND/NAME`]
    11:48 `e2` of `portal` writes here too, in policies/portal.yaml:10:48 [name both documents in one way, by number or by `KIND/NAME`]
    ");
    assert_snapshot!(updates(&["{ markers: a.yaml, policies: { 'ns:web': web } }", "{ markers: a.yaml, policies: { 'ns:web': web } }"]), @"9:79 `e0` of `portal` writes here too, in policies/portal.yaml:8:79");
    assert_snapshot!(updates(&["a", "{ yaml: a/kustomization.yaml, at: 'images[0].newTag' }"]), @"9:48 `e0` of `portal` writes here too, in policies/portal.yaml:8:48");
}

#[test]
fn one_environment_may_write_its_image_in_several_ways_in_one_file() {
    let update = "[{ manifest: a.yaml }, { manifest: a.yaml, at: spec.image, image: web }, { yaml: a.yaml, at: metadata.labels.version, image: web }]";
    assert_eq!(read(update).len(), 3);
}
