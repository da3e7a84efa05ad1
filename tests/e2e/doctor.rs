//! The doctor: what it finds where all is well, and where something is not.

use bed::GitServer;
use bed::argo::{Argo, Fault, POLICIES};
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::lab::Lab;

/// What differs from machine to machine taken out.
fn steady(text: &str) -> String {
    let size = without_sizes(text, "MiB");
    let build = std::env::consts::ARCH;
    size.replace(build, "ARCH")
        .replace("release build", "debug build")
}

/// `text` with the number before each `unit` replaced.
fn without_sizes(text: &str, unit: &str) -> String {
    let words = text.split(' ').collect::<Vec<_>>();
    let number = |index: usize| {
        let next = words.get(index + 1).copied().unwrap_or_default();
        next.starts_with(unit) && words[index].chars().all(|c| c.is_ascii_digit())
    };
    let words = words
        .iter()
        .enumerate()
        .map(|(index, word)| match number(index) {
            true => "SOME",
            false => word,
        });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_well_installation_has_a_line_for_each_thing_that_was_asked() {
    let mut lab = Lab::portal();
    let server = GitServer::start();
    lab.serve_from(&server);
    let argo = Argo::new("t0ken");
    argo.serve_kubernetes(&lab.path().join("kubeconfig"));
    lab.argo_cd("{ main: { kubernetes: { kubeconfig: kubeconfig }, refresh: true } }");
    lab.leadership("{ namespace: argocd, kubeconfig: kubeconfig }");
    let ran = lab.run(&["doctor"]);
    let host = server.http("deploy.git");
    let head = lab.git(&["-C", "deploy.git", "rev-parse", "--short=7", "main"]);
    let text = steady(&ran.stdout)
        .replace(&host, "URL")
        .replace(head.trim(), "HEAD");
    assert_snapshot!(text, @"
    HERE
      ok  towpath                   version 0.1.0, revision unknown, debug build for ARCH linux
      ok  settings                  towpath.yaml: 1 policy, 1 environment, 1 image, 1 repository
      ok  cache                     `./cache` can be written and is not there yet; SOME MiB are free
      ok  hooks                     none: what is new is found by polling
    CLOCKS
      ok  this machine              agrees with 2 servers within a minute
    REGISTRIES
      ok  REGISTRY/acme/web  1 tag, with anonymous access; login: none was asked for
    REPOSITORIES
      ok  deploy                    `URL` is read; `main` is at HEAD
      ok  deploy                    we may push, as far as the server tells before a push; it does not tell of protected branches
    CLUSTERS
      ok  argo-cd/main              Kubernetes v1.33.1 answers
      ok  argo-cd/main              we may get, list, watch, patch applications.argoproj.io; get, list, watch appprojects.argoproj.io in the namespace `argocd`
      ok  argo-cd/main              0 Applications and their projects
      ok  leadership                Kubernetes v1.33.1 answers
      ok  leadership                we may create leases.coordination.k8s.io; get, update leases.coordination.k8s.io/towpath in the namespace `argocd`

    0 errors, 0 warnings, 0 unknown, 13 ok
    ");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    // Nothing was written: not even the cache is there.
    assert!(!lab.path().join("cache").exists());
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_ends_with_one() {
    let mut lab = Lab::portal();
    lab.set("DEPLOY_TOKEN", "hunter2");
    lab.repository("url: 'http://127.0.0.1:1/deploy.git', plain-http: true, credentials: { token: { env: DEPLOY_TOKEN } }");
    lab.registry.fail(towpath::demo_registry::Fault::Refuse {
        status: 403,
        retry_after: None,
        times: 100,
    });
    let argo = Argo::new("t0ken");
    argo.serve_kubernetes(&lab.path().join("kubeconfig"));
    argo.deny("patch applications");
    argo.break_with(
        "/apis/argoproj.io",
        Fault::Refused {
            status: 403,
            words: "no",
        },
    );
    lab.argo_cd("{ main: { kubernetes: { kubeconfig: kubeconfig }, refresh: true } }");
    let ran = lab.run(&["doctor", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(!ran.stdout.contains("hunter2"));
    let told: Json = serde_json::from_str(&ran.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap();
    let errors = findings
        .iter()
        .filter(|finding| finding["state"] == "error");
    let text = |value: &Json| value.as_str().unwrap_or("nothing").to_owned();
    let errors: Vec<String> = errors
        .map(|finding| {
            let words = ["subject", "message", "hint"].map(|key| text(&finding[key]));
            words.join(" | ")
        })
        .collect();
    assert_snapshot!(errors.join("\n"), @"
    REGISTRY/acme/web | `REGISTRY` forbids anonymous access to read `acme/web`, saying `FAULT: this fault was asked for` | give the credentials leave to pull from `REGISTRY/acme/web`
    deploy | `http://127.0.0.1:1/deploy.git`: failed to reach the server: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111) | nothing
    argo-cd/main | we may not patch applications.argoproj.io in the namespace `argocd` | allow it by a Role there, bound to the service account `promoter` of the namespace `towpath`
    argo-cd/main | Kubernetes forbids us to `list` `applications` in the namespace `argocd`: no (allow it by a Role with the verb `list` on `applications` of the group `argoproj.io`, bound to us in the namespace `argocd`) | nothing
    ");
}

/// The lines of one group.
fn group<'t>(text: &'t str, name: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != name).skip(1);
    let lines: Vec<&'t str> = lines.take_while(|line| line.starts_with(' ')).collect();
    lines.join("\n")
}

/// A lab whose settings name custom resources of `namespaces`, and the cluster that has them.
fn with_custom_resources(namespaces: &str) -> (Lab, Argo) {
    let mut lab = Lab::portal();
    let argo = Argo::new("t0ken");
    argo.serve_kubernetes(&lab.path().join("kubeconfig"));
    let settings = format!("{{ kubeconfig: kubeconfig, namespaces: {namespaces} }}");
    lab.custom_resources(&settings);
    let policy = json!({
        "apiVersion": "towpath.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": { "name": "api" },
        "spec": {
            "repository": "deploy",
            "images": { "api": lab.image("acme/api") },
            "environments": [{ "name": "dev", "tags": { "pattern": "v{version}" }, "update": "apps/api" }],
        },
    });
    argo.apply(POLICIES, policy);
    (lab, argo)
}

#[test]
fn custom_resources_are_read_and_what_they_name_is_looked_at() {
    let (lab, argo) = with_custom_resources("{ argocd: {} }");
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "REGISTRIES"), @"
    error    REGISTRY/acme/api  `REGISTRY/acme/api` does not exist
    ok       REGISTRY/acme/web  1 tag, with anonymous access; login: none was asked for
    ");
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       custom-resources          Kubernetes v1.33.1 answers
    ok       custom-resources          we may get, list, watch promotionpolicies.towpath.dev; patch promotionpolicies/status.towpath.dev; get, list, watch routes.towpath.dev; patch routes/status.towpath.dev in the namespace `argocd`
    ok       custom-resources          1 policy or route in `argocd`
    ");
    let ran = lab.run(&["doctor", "--files-only"]);
    assert!(!ran.stdout.contains("CLUSTERS"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("acme/api"), "{}", ran.stdout);

    // One that is wrong is told, and so is a server that does not answer; the files are looked at all the same.
    let mut wrong = argo.get(POLICIES, "api").unwrap();
    wrong["spec"]["repository"] = json!("nowhere");
    argo.apply(POLICIES, wrong);
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       custom-resources          Kubernetes v1.33.1 answers
    ok       custom-resources          we may get, list, watch promotionpolicies.towpath.dev; patch promotionpolicies/status.towpath.dev; get, list, watch routes.towpath.dev; patch routes/status.towpath.dev in the namespace `argocd`
    warning  custom-resources          1 policy or route in `argocd`; not accepted: 1
                                       hint: `towpath check` says why
    ");
    argo.break_with("/apis/towpath.dev", Fault::Reset);
    let ran = lab.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("acme/web"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("they cannot be read: "),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_lacks_for_custom_resources_is_one_error_for_each_who_has_to_mend_it() {
    let (lab, argo) = with_custom_resources("{ argocd: {}, gone: {} }");
    for right in [
        "list promotionpolicies",
        "watch routes",
        "patch promotionpolicies",
    ] {
        argo.deny(right);
    }
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       custom-resources          Kubernetes v1.33.1 answers
    error    custom-resources          there is no namespace `gone`
                                       hint: make it, or take it out of the settings
    error    custom-resources          we may not list promotionpolicies.towpath.dev; patch promotionpolicies/status.towpath.dev; watch routes.towpath.dev in the namespace `argocd`
                                       hint: allow it by a Role there, bound to the service account `promoter` of the namespace `towpath`
    ok       custom-resources          we may get, watch promotionpolicies.towpath.dev; get, list routes.towpath.dev; patch routes/status.towpath.dev in the namespace `argocd`
    ok       custom-resources          1 policy or route in `argocd`
    ok       custom-resources          0 policies and routes in `gone`
    ");
    // Who may not ask for namespaces is not told of one that is not there.
    argo.deny("get namespaces");
    let none = Fault::Refused {
        status: 404,
        words: "the server could not find the requested resource",
    };
    argo.break_with("/apis/towpath.dev", none);
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       custom-resources          Kubernetes v1.33.1 answers
    error    custom-resources          the cluster has no definition of `promotionpolicies`, `promotionpolicies/status`, `routes`, `routes/status` of the group `towpath.dev`
                                       hint: the chart's `customResources.install` makes them, as does `towpath schema crds | kubectl apply --server-side -f -`
    error    custom-resources          we may not list promotionpolicies.towpath.dev; patch promotionpolicies/status.towpath.dev; watch routes.towpath.dev in the namespace `argocd`
                                       hint: allow it by a Role there, bound to the service account `promoter` of the namespace `towpath`
    error    custom-resources          we may not list promotionpolicies.towpath.dev; patch promotionpolicies/status.towpath.dev; watch routes.towpath.dev in the namespace `gone`
                                       hint: allow it by a Role there, bound to the service account `promoter` of the namespace `towpath`
    ok       custom-resources          we may get, watch promotionpolicies.towpath.dev; get, list routes.towpath.dev; patch routes/status.towpath.dev in the namespace `argocd`
    ok       custom-resources          we may get, watch promotionpolicies.towpath.dev; get, list routes.towpath.dev; patch routes/status.towpath.dev in the namespace `gone`
    ");
}

#[test]
fn a_shard_asks_for_its_own_lease_and_a_pod_for_what_it_belongs_to() {
    let mut lab = Lab::portal();
    let argo = Argo::new("t0ken");
    let kubeconfig = lab.path().join("kubeconfig");
    argo.serve_kubernetes(&kubeconfig);
    lab.leadership("{ namespace: argocd, kubeconfig: kubeconfig }");
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    lab.write("towpath.yaml", &format!("{settings}pod-events: true\n"));
    lab.set("KUBECONFIG", kubeconfig.to_str().unwrap());
    lab.set("TOWPATH_SHARD", "2/3");
    lab.set("POD_OWNER", "Deployment/towpath-2");
    argo.deny("get deployments");
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       leadership       Kubernetes v1.33.1 answers
    ok       leadership       we may create leases.coordination.k8s.io; get, update leases.coordination.k8s.io/towpath-2-of-3 in the namespace `argocd`
    ok       pod-events       Kubernetes v1.33.1 answers
    error    pod-events       we may not get deployments.apps/towpath-2 in the namespace `default`
                              hint: allow it by a Role there, bound to the service account `promoter` of the namespace `towpath`; the chart's `podEvents` makes both
    ok       pod-events       we may create, patch events.events.k8s.io in the namespace `default`
    ");
}

#[test]
fn a_pod_that_belongs_to_what_is_nothing_is_told() {
    let mut lab = Lab::portal();
    let kubeconfig = lab.path().join("kubeconfig");
    Argo::new("t0ken").serve_kubernetes(&kubeconfig);
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    lab.write("towpath.yaml", &format!("{settings}pod-events: true\n"));
    lab.set("KUBECONFIG", kubeconfig.to_str().unwrap());
    lab.set("POD_OWNER", "towpath");
    let ran = lab.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    assert_snapshot!(group(&ran.stdout, "CLUSTERS"), @"
    ok       pod-events                Kubernetes v1.33.1 answers
    ok       pod-events                we may create, patch events.events.k8s.io in the namespace `default`
    error    pod-events                POD_OWNER is `towpath`, which is neither `Deployment/NAME` nor `StatefulSet/NAME`
    ");
}

#[test]
fn images_of_fleets_are_listed_where_all_folders_have_the_same() {
    let lab = Lab::portal();
    let fleet = |name: &str, image: &str| {
        format!(
            "kind: PromotionPolicy
metadata: {{ name: {name} }}
spec:
  repository: deploy
  for-each: \"{name}/{{policy}}\"
  images: {{ web: \"{image}\" }}
  environments:
    - {{ name: dev, tags: {{ semver: 1.x }}, update: \"{name}/{{policy}}\" }}
"
        )
    };
    let shared = fleet("shared", &lab.image("acme/web"));
    let own = fleet("own", &lab.image("acme/{policy}"));
    lab.policies(&format!("{shared}---\n{own}"));
    let ran = lab.run(&["doctor"]);
    assert_snapshot!(group(&ran.stdout, "REGISTRIES"), @"
    ok       REGISTRY/acme/web  1 tag, with anonymous access; login: none was asked for
    unknown  fleet own                 images that have the name of a folder, so they were not asked for
    ");
}

#[test]
fn settings_that_are_invalid_are_the_first_thing_to_mend() {
    let lab = Lab::portal();
    lab.write(
        "towpath.yaml",
        "apiVersion: towpath.dev/v1alpha1\nkind: Settings\n",
    );
    let ran = lab.run(&["doctor"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(
        ran.stderr.contains("`repositories` is missing"),
        "{}",
        ran.stderr
    );
}
