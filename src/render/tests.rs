//! Renderings by the real programs and by programs that misbehave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::{Files, Object, Program, RenderError, Renderer, Root, candidates, overlaid, unread};
use crate::manifest::RepoPath;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn files(files: &[(&str, &str)]) -> Files {
    let files = files.iter();
    files
        .map(|(name, text)| (path(name), text.as_bytes().into()))
        .collect()
}

/// Some of `all`, with `from` made `to`.
fn changed(all: &Files, file: &str, (from, to): (&str, &str)) -> BTreeMap<RepoPath, Arc<str>> {
    let text = std::str::from_utf8(&all[&path(file)]).unwrap();
    BTreeMap::from([(path(file), text.replace(from, to).into())])
}

/// What renders `file` among `all`.
fn root(all: &Files, file: &str) -> Option<Root> {
    let candidates = candidates(&path(file)).into_iter();
    let present = candidates.filter(|path| all.contains_key(path)).collect();
    Root::of(&path(file), &present)
}

/// Whether all that `root` needs is there once all has been read.
fn refused(all: &Files, root: &Root) -> Option<String> {
    let whole = BTreeSet::from([path(".")]);
    unread(root, all, &whole)
        .err()
        .map(|error| error.to_string())
}

/// A renderer with programs of these texts, in a folder that is empty otherwise.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// A program for kustomize that is this script.
    fn script(&self, text: &str) -> Renderer {
        let file = self.folder.path().join("program");
        let text = text.replace("FOLDER", &self.folder.path().display().to_string());
        fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Renderer::new(Some(file.clone()), Some(file), self.scratch())
    }

    /// The real programs, where they are not left out.
    fn real(&self) -> Option<Renderer> {
        let kustomize = bed::built("kustomize")?;
        let helm = bed::built("helm")?;
        Some(Renderer::new(Some(kustomize), Some(helm), self.scratch()))
    }

    /// Nothing is left of copies.
    fn is_clean(&self) -> bool {
        fs::read_dir(self.scratch()).is_ok_and(|mut entries| entries.next().is_none())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

/// A kustomization with a base, a component and a secret.
fn overlay() -> Files {
    files(&[
        (
            "apps/web/base/kustomization.yaml",
            "resources: [deployment.yaml, service.yaml]\n",
        ),
        (
            "apps/web/base/deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  template:\n    spec:\n      containers: [{ name: web, image: acme/web }]\n",
        ),
        (
            "apps/web/base/service.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: { name: web }\n",
        ),
        (
            "apps/web/production/kustomization.yaml",
            "resources: [../base/]\ncomponents: [../../../components/labels]\nnamespace: shop\nimages:\n- { name: acme/web, newTag: v1 }\nsecretGenerator:\n- { name: db, files: [password=db.txt], options: { annotations: { tag: v1 } } }\n",
        ),
        ("apps/web/production/db.txt", "hunter2\n"),
        (
            "components/labels/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: { team: shop }\n",
        ),
    ])
}

fn chart() -> Files {
    files(&[
        (
            "charts/web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        ),
        ("charts/web/values.yaml", "tag: v0\nreplicas: 1\n"),
        ("charts/web/values-production.yaml", "tag: v1\n"),
        (
            "charts/web/templates/deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-{{ .Chart.Name }}\nspec:\n  replicas: {{ .Values.replicas }}\n  image: acme/web:{{ .Values.tag }}\n",
        ),
        (
            "charts/web/templates/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: { name: web }\nstringData:\n  password: {{ randAlphaNum 8 }}\n  of: {{ .Values.tag }}-hunter2\n",
        ),
    ])
}

fn told(objects: &[Object]) -> String {
    let told = objects.iter().map(|object| {
        let Object {
            name,
            before,
            after,
        } = object;
        format!("= {name}\n{before}->\n{after}")
    });
    told.collect()
}

#[test]
fn a_file_is_rendered_by_the_kustomization_of_its_folder_or_the_chart_around_it() {
    let mut all = overlay();
    all.extend(chart());
    let folder = |name: &str| Some(Root::Kustomization { folder: path(name) });
    let of_chart = |values: Option<&str>| {
        Some(Root::Chart {
            folder: path("charts/web"),
            values: values.map(path),
        })
    };
    for (file, expected) in [
        (
            "apps/web/production/kustomization.yaml",
            folder("apps/web/production"),
        ),
        ("apps/web/base/deployment.yaml", folder("apps/web/base")),
        ("apps/web/other/deployment.yaml", None),
        ("charts/web/values.yaml", of_chart(None)),
        ("charts/web/Chart.yaml", of_chart(None)),
        ("charts/web/templates/deployment.yaml", of_chart(None)),
        (
            "charts/web/values-production.yaml",
            of_chart(Some("charts/web/values-production.yaml")),
        ),
        (
            "charts/web/env/production.yml",
            of_chart(Some("charts/web/env/production.yml")),
        ),
        ("values.yaml", None),
    ] {
        assert_eq!(root(&all, file), expected, "{file}");
    }
    let at_the_root = files(&[("Chart.yaml", ""), ("kustomization.yaml", "{}")]);
    assert_eq!(root(&at_the_root, "a.yaml"), folder("."));
}

#[test]
fn what_a_kustomization_is_made_of_is_read_folder_by_folder() {
    let all = overlay();
    let root = root(&all, "apps/web/production/kustomization.yaml").unwrap();
    let (mut known, mut read) = (Files::new(), BTreeSet::new());
    let mut steps = Vec::new();
    loop {
        let missing = unread(&root, &known, &read).unwrap();
        if missing.is_empty() {
            break;
        }
        steps.push(missing.iter().map(ToString::to_string).collect::<Vec<_>>());
        for folder in missing {
            let below = |path: &RepoPath| path.as_str().starts_with(&format!("{folder}/"));
            let found = all.iter().filter(|(path, _)| below(path));
            known.extend(found.map(|(path, bytes)| (path.clone(), bytes.clone())));
            read.insert(folder);
        }
    }
    assert_eq!(
        steps,
        [
            vec!["apps/web/production"],
            vec!["apps/web/base", "components/labels"]
        ]
    );
    assert_eq!(known, all);
}

#[test]
fn a_kustomization_that_would_fetch_or_run_something_is_refused() {
    let refused = |kustomization: &str| {
        let all = files(&[
            ("a/kustomization.yaml", kustomization),
            ("a/https:/x.y/kustomization.yaml", "{}"),
            ("b.yaml", ""),
        ]);
        refused(&all, &Root::Kustomization { folder: path("a") })
    };
    for kustomization in [
        "resources: [https://x.y/z]",
        "resources: ['https://x.y']",
        "Resources: [http://x.y/z.yaml]",
        "resources: [git@x.y:z/z]",
        "resources: [x.y/z?ref=v1]",
        "resources: [/etc/passwd]",
        "resources: [../../../b.yaml]",
        "resources: [missing.yaml]",
        "components: [github.com/acme/web]",
        "bases: ['ssh://git@x.y/z']",
        "x: &x { resources: [https://x.y/z] }\n<<: *x",
        "patches: [{ path: https://x.y/z }]",
        "patches: [{ PATH: HTTPS://x.y/z }]",
        "patchesStrategicMerge: [http://localhost/z]",
        "patchesJson6902: [{ path: http://localhost/z }]",
        "replacements: [{ path: http://localhost/z }]",
        "openapi: { path: http://localhost/z }",
        "crds: [http://localhost/z]",
        "configurations: ['http:x']",
        "configMapGenerator: [{ files: [a=http://localhost/z] }]",
        "secretGenerator: [{ envs: [http://localhost/z] }]",
        "secretGenerator: [{ env: http://localhost/z }]",
        "generators: [x.yaml]",
        "transformers: [b.yaml]",
        "validators: ['kind: X']",
        "helmCharts: [{ name: x, repo: https://x.y }]",
        "helmChartInflationGenerator: [{ chartName: x }]",
        "resources: [b.yaml",
        "- a",
    ] {
        let refused = refused(kustomization);
        // What is no map names nothing; the program refuses it.
        assert!(
            refused.is_some() || kustomization == "- a",
            "{kustomization}"
        );
    }
    for kustomization in [
        "resources: [../b.yaml]",
        "configMapGenerator: [{ literals: ['a=https://x.y'] }]",
        "patches: [{ patch: 'kind: X' }]",
        "transformers: []",
        "helmCharts:",
    ] {
        assert_eq!(refused(kustomization), None, "{kustomization}");
    }
    insta::assert_snapshot!(refused("resources: [https://x.y/z]").unwrap(), @"`a/kustomization.yaml` names `https://x.y/z`, which is not in this repository");
    insta::assert_snapshot!(refused("helmCharts: [{}]").unwrap(), @"`a/kustomization.yaml` has `helmCharts`, and no plugins and no charts are run from kustomizations");
    insta::assert_snapshot!(refused("resources: [missing]").unwrap(), @"there is no kustomization in `a/missing` that can be read");
}

#[tokio::test]
async fn kustomize_renders_what_changes_and_no_secret() {
    let bench = Bench::new();
    let Some(renderer) = bench.real() else { return };
    let all = overlay();
    let file = "apps/web/production/kustomization.yaml";
    let root = root(&all, file).unwrap();
    let changed = changed(&all, file, ("v1", "v2"));
    let objects = renderer.compare(&root, &all, &changed).await.unwrap();
    insta::assert_snapshot!(told(&objects), @"
    = Deployment shop/web
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      annotations:
        team: shop
      name: web
      namespace: shop
    spec:
      template:
        metadata:
          annotations:
            team: shop
        spec:
          containers:
          - image: acme/web:v1
            name: web
    ->
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      annotations:
        team: shop
      name: web
      namespace: shop
    spec:
      template:
        metadata:
          annotations:
            team: shop
        spec:
          containers:
          - image: acme/web:v2
            name: web
    = Secret shop/db-4hk62chm85
    apiVersion: v1
    data:
      password: (hidden)
    kind: Secret
    metadata:
      annotations:
        tag: (hidden, the value before)
        team: (hidden)
      name: db-4hk62chm85
      namespace: shop
    type: Opaque
    ->
    apiVersion: v1
    data:
      password: (hidden)
    kind: Secret
    metadata:
      annotations:
        tag: (hidden, the value after)
        team: (hidden)
      name: db-4hk62chm85
      namespace: shop
    type: Opaque
    ");
    assert!(bench.is_clean());
    let same = renderer.compare(&root, &all, &BTreeMap::new()).await;
    assert_eq!(same.unwrap().len(), 0);
}

#[tokio::test]
async fn helm_renders_what_changes_and_what_is_drawn_by_lot_is_told_where_it_is_a_secret_alone() {
    let bench = Bench::new();
    let Some(renderer) = bench.real() else { return };
    let mut all = chart();
    let file = "charts/web/values-production.yaml";
    let root = root(&all, file).unwrap();
    let changed = changed(&all, file, ("v1", "v2"));
    let objects = renderer.compare(&root, &all, &changed).await.unwrap();
    insta::assert_snapshot!(told(&objects), @"
    = Deployment release-name-web
    # Source: web/templates/deployment.yaml
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: release-name-web
    spec:
      replicas: 1
      image: acme/web:v1
    ->
    # Source: web/templates/deployment.yaml
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: release-name-web
    spec:
      replicas: 1
      image: acme/web:v2
    = Secret web
    apiVersion: v1
    kind: Secret
    metadata:
      name: web
    stringData:
      password: (hidden, the value before)
      of: (hidden, the value before)
    ->
    apiVersion: v1
    kind: Secret
    metadata:
      name: web
    stringData:
      password: (hidden, the value after)
      of: (hidden, the value after)
    ");

    let drawn = b"kind: ConfigMap\nmetadata: { name: a }\nlot: {{ randAlphaNum 8 }}\n";
    all.insert(path("charts/web/templates/lot.yaml"), drawn[..].into());
    let varies = renderer.compare(&root, &all, &changed).await;
    assert_eq!(varies, Err(RenderError::Varies));
}

#[tokio::test]
async fn what_cannot_be_rendered_is_told_without_a_path_of_the_machine() {
    let bench = Bench::new();
    let Some(renderer) = bench.real() else { return };
    let said = async |all: &Files, file: &str| {
        let root = root(all, file).unwrap();
        let refused = renderer.compare(&root, all, &BTreeMap::new()).await;
        let refused = refused.unwrap_err().to_string();
        let place = bench.folder.path().display().to_string();
        assert!(!refused.contains(&place), "{refused}");
        refused
    };
    let mut all = overlay();
    all.remove(&path("apps/web/base/service.yaml"));
    insta::assert_snapshot!(said(&all, "apps/web/base/kustomization.yaml").await, @"`kustomize` says: accumulating resources: accumulation err='accumulating resources from 'service.yaml': evalsymlink failure on 'apps/web/base/service.yaml' : lstat apps/web/base/service.yaml: no such file or directory'…");
    let mut all = chart();
    let chart = b"apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{ name: db, version: 1.0.0, repository: 'https://x.y' }]\n";
    all.insert(path("charts/web/Chart.yaml"), chart[..].into());
    insta::assert_snapshot!(said(&all, "charts/web/values.yaml").await, @"`helm` says: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: db");
}

#[tokio::test]
async fn a_program_finds_nothing_but_the_files_and_runs_once_for_them() {
    let bench = Bench::new();
    let renderer = bench.script("echo \"$*\" >>FOLDER/ran\nset >FOLDER/set\nread -r line <\"$4/a.yaml\"\necho \"kind: A\nline: $line\"\n");
    let all = files(&[("x/kustomization.yaml", "{}"), ("x/a.yaml", "one\n")]);
    let root = Root::Kustomization { folder: path("x") };
    let changed = changed(&all, "x/a.yaml", ("one", "two"));
    let compare = || renderer.compare(&root, &all, &changed);
    let (first, second) = tokio::join!(compare(), compare());
    let third = compare().await.unwrap();
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        (third.clone(), third.clone())
    );
    insta::assert_snapshot!(told(&third), @"
    = A 
    kind: A
    line: one
    ->
    kind: A
    line: two
    ");
    let ran = bench.text("ran");
    assert_eq!(ran.lines().count(), 2, "{ran}");
    assert!(ran.lines().all(|line| {
        line.starts_with("build --load-restrictor LoadRestrictionsRootOnly ")
            && line.ends_with("/tree/x")
    }));
    let set = bench.text("set");
    assert!(!set.contains("CARGO"), "{set}");
    assert!(set.contains("HTTPS_PROXY='http://127.0.0.1:9'"), "{set}");
    assert!(bench.is_clean());
    // A file beside the folders that were read is none of the copy.
    let beside = BTreeMap::from([(path("y.yaml"), Arc::from("new"))]);
    assert_eq!(overlaid(&all, &beside), all);
}

/// Whether the process of this number runs; one that has ended and that nobody waits for does not.
fn runs(id: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(id.trim()).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
    let bench = Bench::new();
    let renderer = bench.script("/bin/sleep 1000 &\necho $! >FOLDER/started.new\n/bin/mv FOLDER/started.new FOLDER/started\nwait\n");
    let all = files(&[("kustomization.yaml", "{}")]);
    let root = Root::Kustomization { folder: path(".") };
    let nothing = BTreeMap::new();
    // The clock stands still until the program has started the other.
    let started = async {
        while bench.text("started").is_empty() {
            tokio::task::spawn_blocking(std::thread::yield_now)
                .await
                .unwrap();
        }
        assert!(runs(&bench.text("started")));
        std::future::pending::<()>().await;
    };
    let slow = tokio::select! {
        compared = renderer.compare(&root, &all, &nothing) => compared,
        () = started => unreachable!("it waits for ever"),
    };
    let program = Program::Kustomize;
    assert_eq!(slow, Err(RenderError::Slow { program }));
    while runs(&bench.text("started")) {
        std::thread::yield_now();
    }
    assert!(bench.is_clean());
}

#[tokio::test]
async fn a_program_that_misbehaves_is_told_in_words() {
    let root = Root::Kustomization { folder: path(".") };
    let all = files(&[("kustomization.yaml", "{}")]);
    let said = async |script: &str| {
        let bench = Bench::new();
        let renderer = bench.script(script);
        let compared = renderer.compare(&root, &all, &BTreeMap::new()).await;
        compared.unwrap_err().to_string()
    };
    insta::assert_snapshot!(said("echo 'Error: no such thing' >&2\nexit 1").await, @"`kustomize` says: no such thing");
    insta::assert_snapshot!(said("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done").await, @"`kustomize` rendered more than 16 MiB");
    insta::assert_snapshot!(said("printf '\\377'").await, @"what `kustomize` rendered is no list of objects");

    let bench = Bench::new();
    let missing = bench.folder.path().join("missing");
    let renderer = Renderer::new(Some(missing), None, bench.scratch());
    let refused = renderer.compare(&root, &all, &BTreeMap::new()).await;
    insta::assert_snapshot!(refused.unwrap_err(), @"`kustomize` cannot be run: entity not found");
    let chart = Root::Chart {
        folder: path("."),
        values: None,
    };
    assert!(renderer.renders(&root) && !renderer.renders(&chart));
}

#[tokio::test]
async fn a_program_may_use_half_a_gigabyte_of_memory() {
    let bench = Bench::new();
    // The limit comes a moment after the start.
    let script = "until [ \"$(ulimit -d)\" = 524288 ]; do :; done\nread -r line <\"$4/a.yaml\"\necho \"kind: $line\"\n";
    let renderer = bench.script(script);
    let all = files(&[("kustomization.yaml", "{}"), ("a.yaml", "One\n")]);
    let root = Root::Kustomization { folder: path(".") };
    let changed = changed(&all, "a.yaml", ("One", "Two"));
    let objects = renderer.compare(&root, &all, &changed).await.unwrap();
    assert_eq!(objects.len(), 2, "{objects:?}");
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let bench = Bench::new();
    let left = bench.scratch().join("left");
    fs::create_dir_all(&left).unwrap();
    let _renderer = Renderer::new(None, None, bench.scratch());
    assert!(!left.exists());
}
