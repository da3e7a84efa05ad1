//! The doctor: what it finds where all is well, and where something is not.

use bed::GitServer;
use bed::argo::{Argo, Fault};
use serde_json::Value as Json;

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
    insta::assert_snapshot!(text, @"
    HERE
      ok  towpath                   version 0.1.0, debug build for ARCH linux
      ok  settings                  towpath.yaml: 1 policy, 1 environment, 1 image, 1 repository
      ok  cache                     `./cache` can be written and is not there yet; SOME MiB are free
      ok  hooks                     none: what is new is found by polling
    CLOCKS
      ok  this machine              agrees with `REGISTRY` within a minute
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
    insta::assert_snapshot!(errors.join("\n"), @"
    REGISTRY/acme/web | `REGISTRY` forbids anonymous access to read `acme/web`, saying `FAULT: this fault was asked for` | give the credentials leave to pull from `REGISTRY/acme/web`
    deploy | `http://127.0.0.1:1/deploy.git`: failed to reach the server: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111) | nothing
    argo-cd/main | we may not patch applications.argoproj.io in the namespace `argocd` | allow it by a Role bound to us in the namespace `argocd`; the chart has it
    argo-cd/main | Kubernetes forbids us to `list` `applications` in the namespace `argocd`: no (allow it by a Role with the verb `list` on `applications` of the group `argoproj.io`, bound to us in the namespace `argocd`) | nothing
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
