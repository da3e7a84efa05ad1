//! What a reviewer is told of the objects that a merge would change, by the real kustomize and helm.

use bed::forge::Way;

use super::{HEAD, OVERLAY, Story, V1, V2, V3};

const BASE: &str = "apps/portal/base/kustomization.yaml";
const DEPLOYMENT: &str = "apps/portal/base/deployment.yaml";
const VALUES: &str = "charts/portal/values-production.yaml";

/// A story that renders, and whose policy writes an overlay and the values of a chart; `None` where a program is left out.
fn rendering() -> Option<Story> {
    let (kustomize, helm) = (bed::built("kustomize")?, bed::built("helm")?);
    let mut story = Story::new("");
    let settings = format!(
        "{{ kustomize: {}, helm: {} }}",
        kustomize.display(),
        helm.display()
    );
    story.lab.renders_by(&settings);
    let image = story.lab.image("acme/web");
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: portal }}\nspec:\n  template:\n    spec:\n      containers: [{{ name: web, image: {image} }}]\n"
    );
    let values = format!("image: {{ repository: {image}, tag: {V1} }}\n");
    story.lab.commit(
        "base and chart",
        &[
            (BASE, "resources: [deployment.yaml]\n"),
            (DEPLOYMENT, &deployment),
            ("charts/portal/Chart.yaml", "apiVersion: v2\nname: portal\nversion: 1.0.0\n"),
            ("charts/portal/values.yaml", "replicas: 2\n"),
            (VALUES, &values),
            (
                "charts/portal/templates/all.yaml",
                "kind: StatefulSet\nmetadata: { name: portal }\nspec: { replicas: {{ .Values.replicas }}, image: {{ .Values.image.tag }} }\n---\nkind: Secret\nmetadata: { name: portal }\nstringData: { key: hunter2-{{ .Values.image.tag }} }\n",
            ),
        ],
    );
    let overlay = story
        .lab
        .pushed(OVERLAY)
        .replace("../../base", "../../base\nnamespace: portal");
    story.lab.commit("namespace", &[(OVERLAY, &overlay)]);
    let update = format!("[apps/portal/overlays/production, {{ helm: {VALUES}, at: image }}]");
    story.lab.policies(&format!(
        "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: production, tags: {{ semver: '*' }}, update: {update}, deliver: pull-request }}\n"
    ));
    Some(story)
}

/// What the pull request tells of objects and files.
fn told(story: &Story) -> String {
    let body = story.repository().pull(1).body;
    let start = body.find("### Changed").unwrap();
    let (section, _) = body[start..].split_once("\n\n### How").unwrap();
    section.replace(&story.lab.registry.host(), "REGISTRY")
}

#[test]
fn a_reviewer_sees_what_kustomize_and_helm_make_of_the_promotion() {
    let Some(story) = rendering() else { return };
    story.lab.push(&[V2]);
    story.round();
    insta::assert_snapshot!(told(&story), @"
    ### Changed objects

    <details>
    <summary><code>Deployment portal/portal</code> of <code>apps/portal/overlays/production</code> (+1 −1)</summary>

    ```diff
    @@ -7,5 +7,5 @@
       template:
         spec:
           containers:
    -      - image: REGISTRY/acme/web:v1.4.2
    +      - image: REGISTRY/acme/web:v1.5.0
             name: web
    ```

    </details>

    <details>
    <summary><code>Secret portal</code> of <code>charts/portal</code> (+1 −1)</summary>

    ```diff
    @@ -2,4 +2,4 @@
     metadata:
       name: portal
     stringData:
    -  key: (hidden, the value before)
    +  key: (hidden, the value after)
    ```

    </details>

    <details>
    <summary><code>StatefulSet portal</code> of <code>charts/portal</code> (+1 −1)</summary>

    ```diff
    @@ -1,4 +1,4 @@
     # Source: portal/templates/all.yaml
     kind: StatefulSet
     metadata: { name: portal }
    -spec: { replicas: 2, image: v1.4.2 }
    +spec: { replicas: 2, image: v1.5.0 }
    ```

    </details>

    ### Changed files

    * `apps/portal/overlays/production/kustomization.yaml` (+1 −1)
    * `charts/portal/values-production.yaml` (+1 −1)
    ");
    for _ in 0..2 {
        story.quiet_round();
    }
    let lab = &story.lab;
    let planned = lab.run(&["plan"]).stdout;
    assert_eq!(lab.run(&["observe", "--save", "world.yaml"]).code, Some(0));
    let world = std::fs::read_to_string(lab.path().join("world.yaml")).unwrap();
    assert!(world.contains("renderings:") && world.contains("StatefulSet portal"));
    assert_eq!(lab.run(&["plan", "--world", "world.yaml"]).stdout, planned);
    let left = std::fs::read_dir(lab.path().join("cache/render")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn the_text_is_written_anew_where_the_rendering_changed_and_the_branch_is_not() {
    let Some(story) = rendering() else { return };
    story.lab.push(&[V2]);
    story.round();
    story.writes();
    let tip = story.tip(HEAD);

    story.lab.commit("elsewhere", &[("README.md", "new")]);
    story.quiet_round();
    let patched = story
        .lab
        .pushed(DEPLOYMENT)
        .replace("name: web", "name: server");
    story.lab.commit("another name", &[(DEPLOYMENT, &patched)]);
    story.round();

    assert_eq!(story.writes(), ["PATCH /api/v3/repos/acme/deploy/pulls/1"]);
    assert!(told(&story).contains("name: server"), "{}", told(&story));
    assert_eq!(story.tip(HEAD), tip);
}

#[test]
fn what_cannot_be_rendered_is_told_in_one_line_and_stops_nothing() {
    let Some(story) = rendering() else { return };
    let base = "resources: [deployment.yaml, 'https://example.com/x.yaml']\n";
    let chart = "apiVersion: v2\nname: portal\nversion: 1.0.0\ntype: library\n";
    story.lab.commit(
        "broken",
        &[(BASE, base), ("charts/portal/Chart.yaml", chart)],
    );
    story.lab.push(&[V2]);
    story.round();
    insta::assert_snapshot!(told(&story), @"
    ### Changed objects

    * `apps/portal/overlays/production` could not be rendered: `apps/portal/base/kustomization.yaml` names `https://example.com/x.yaml`, which is not in this repository
    * `charts/portal` could not be rendered: `helm` says: library charts are not installable

    ### Changed files

    <details>
    <summary><code>apps/portal/overlays/production/kustomization.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -5,4 +5,4 @@

     images:
       - name: REGISTRY/acme/web   # built by CI
    -    newTag: v1.4.2   # moves by itself
    +    newTag: v1.5.0   # moves by itself
    ```

    </details>

    <details>
    <summary><code>charts/portal/values-production.yaml</code> (+1 −1)</summary>

    ```diff
    @@ -1,1 +1,1 @@
    -image: { repository: REGISTRY/acme/web, tag: v1.4.2 }
    +image: { repository: REGISTRY/acme/web, tag: v1.5.0 }
    ```

    </details>
    ");
    story.quiet_round();
}

#[test]
fn a_daemon_renders_what_it_proposes_and_goes_on_when_that_is_switched_off() {
    let Some(mut story) = rendering() else { return };
    story.lab.push(&[V2]);
    let daemon = story.lab.start();
    let body = |story: &Story| match story.repository().count() {
        0 => String::new(),
        _ => story.repository().pull(1).body,
    };
    daemon.wait_until("the pull request", || {
        body(&story).contains("Changed objects")
    });
    story.lab.push(&[V3]);
    daemon.wait_until("the newer version", || {
        let body = body(&story);
        body.contains("Changed objects") && body.contains(&format!("image: {V3}"))
    });
    story.lab.renders_by("{ helm: false }");
    daemon.wait_until("the body without objects", || {
        let body = body(&story);
        body.contains("Changed files") && !body.contains("Changed objects")
    });
    story.repository().merge(1, "ada", Way::Squash);
    daemon.wait_until("the end of the branch", || story.tip(HEAD).is_none());
    assert_eq!(story.deployed(), V3);
}
