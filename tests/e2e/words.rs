//! What the authors of custom resources are told, before and after they apply them.

use std::io::Write as _;
use std::process::Stdio;

use bed::argo::{Argo, Fault, POLICIES};
use serde_json::{Value as Json, json};

use crate::daemon::{address_of, get};
use crate::lab::Lab;

/// A lab whose settings read one namespace of a cluster, and that cluster.
fn story() -> (Lab, Argo) {
    let mut lab = Lab::portal();
    let argo = Argo::new("token");
    argo.serve_kubernetes(&lab.path().join("kubeconfig"));
    lab.custom_resources(
        "{ kubeconfig: kubeconfig, namespaces: { argocd: { paths: apps/team, images: '**' } } }",
    );
    (lab, argo)
}

fn policy(name: &str, environment: &Json) -> Json {
    json!({
        "apiVersion": "towpath.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "repository": "deploy", "images": { "web": "ghcr.io/acme/web" }, "environments": [environment],
        },
    })
}

/// One that misspells a key and has a tag rule without any.
fn wrong(name: &str) -> Json {
    let environment = json!({ "name": "dev", "tags": {}, "updates": "apps/team/a" });
    policy(name, &environment)
}

fn right(name: &str) -> Json {
    let update = format!("apps/team/{name}");
    policy(
        name,
        &json!({ "name": "dev", "tags": { "semver": "*" }, "update": update }),
    )
}

#[test]
fn what_is_to_be_applied_is_checked_from_standard_input() {
    let (lab, _argo) = story();
    let check = |text: &str| {
        let mut command = lab.command(&[
            "check",
            "--files-only",
            "--resources",
            "-",
            "--namespace",
            "argocd",
        ]);
        let pipe = || Stdio::piped();
        let command = command.stdin(pipe()).stdout(pipe()).stderr(pipe());
        let mut check = command.spawn().unwrap();
        let mut stdin = check.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let ended = check.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    };
    let rendered = |object: Json| {
        let object = serde_yaml::to_string(&object).unwrap();
        format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: other }}\n---\n{object}")
    };
    let (code, stdout, stderr) = check(&rendered(right("api")));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(stdout, @"towpath.yaml: 2 policies, 2 environments, 2 images, 1 repository; 1 custom resource to apply");
    let (code, stdout, stderr) = check(&rendered(wrong("api")));
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(stderr, @"
    error: a rule needs one of `semver`, `pattern`, `regex` or `follow`
      --> <stdin>:14:5
        |
     14 |     tags: {}
        |     ^^^^
      at: spec.environments[0].tags

    error: unknown key `updates`
      --> <stdin>:15:5
        |
     15 |     updates: apps/team/a
        |     ^^^^^^^
      at: spec.environments[0].updates
      hint: did you mean `update`?

    towpath.yaml: 2 problems
    ");
}

#[test]
fn one_that_is_refused_hides_none_that_is_right_and_explain_says_why() {
    let (lab, argo) = story();
    argo.apply(POLICIES, right("api"));
    argo.apply(POLICIES, wrong("shop"));
    let ran = lab.run(&["check", "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let report: Json = serde_json::from_str(&ran.stdout).unwrap();
    let place = |name: &str| format!("promotionpolicies/argocd/{name}");
    let portal = json!({ "name": "portal", "writtenIn": "./policies/all.yaml" });
    assert_eq!(
        report["policies"],
        json!([{ "name": "api", "writtenIn": place("api") }, portal])
    );
    let [refused] = &**report["refused"].as_array().unwrap() else {
        panic!("one is wrong: {report:#}")
    };
    assert_eq!(refused["writtenIn"], place("shop"));
    assert_eq!(refused["problems"], report["problems"]);
    assert_eq!(refused["problems"][0]["key"], "spec.environments[0].tags");
    assert_eq!(report["valid"], false);
    assert_eq!(report["unread"], Json::Null);

    let ran = lab.run(&["explain", "shop", "dev"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    let said = ran.stderr.find("error: ").unwrap();
    insta::assert_snapshot!(ran.stderr[said..], @"
    error: a rule needs one of `semver`, `pattern`, `regex` or `follow`
      --> promotionpolicies/argocd/shop:8:5
        |
      8 |     tags: {}
        |     ^^^^
      at: spec.environments[0].tags

    error: unknown key `updates`
      --> promotionpolicies/argocd/shop:9:5
        |
      9 |     updates: apps/team/a
        |     ^^^^^^^
      at: spec.environments[0].updates
      hint: did you mean `update`?

    hint: the policy is `promotionpolicies/argocd/shop`, which does not count until that is mended
    ");

    // What is there is not what is asked of.
    let mended = serde_yaml::to_string(&right("shop")).unwrap();
    lab.write("shop.yaml", &mended);
    let ran = lab.run(&["check", "--resources", "shop.yaml", "--namespace", "argocd"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_cluster_that_cannot_be_read_leaves_the_json_of_check_whole() {
    let (lab, argo) = story();
    argo.break_with(
        "/apis/towpath.dev",
        Fault::Refused {
            status: 403,
            words: "not for you",
        },
    );
    let ran = lab.run(&["check", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let report: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["policies"][0]["name"], "portal");
    let unread = report["unread"].as_str().unwrap();
    assert!(
        unread.starts_with("the custom resources cannot be read"),
        "{unread}"
    );
    assert!(ran.stderr.contains("--files-only"), "{}", ran.stderr);

    // The daemon goes on without them, and its status is no success.
    let daemon = lab.start();
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let address = address_of(&daemon, "listening");
    let ran = lab.run(&["status", "--address", &address]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stderr, @"
    error: the daemon failed in 1 reading
    hint: what stands under `error` says why
    ");
}

#[test]
fn a_change_of_the_log_alone_begins_nothing_anew() {
    let lab = Lab::portal();
    let settings = std::fs::read_to_string(lab.path().join("towpath.yaml")).unwrap();
    lab.write(
        "work/.towpath/holds.yaml",
        "holds:\n  - { policy: portal, environment: dev, stop: true, reason: a freeze }\n",
    );
    lab.commit("hold", &[]);
    let daemon = lab.start();
    daemon.wait_until("the hold", || daemon.log().contains("a freeze"));
    daemon.wait_until("readiness", || get(&daemon, "/readyz").contains("200 OK"));
    let told = |words: &str| daemon.log().matches(words).count();
    assert_eq!(told("first complete view"), 1);

    lab.write(
        "towpath.yaml",
        &format!("{settings}log: {{ rooms: {{ registry: debug }} }}\n"),
    );
    daemon.wait_until("the new log", || told("DEBUG asked") > 2);
    assert_eq!(told("new configuration"), 1, "{}", daemon.log());
    assert_eq!(told("first complete view"), 1, "{}", daemon.log());
    assert_eq!(told(" holds "), 1, "{}", daemon.log());
}
