//! The other verbs as people meet them: help, errors, exit codes.

use crate::lab::{Lab, portal_policy};

#[test]
fn help_names_every_verb() {
    let lab = Lab::new(&[]);
    let ran = lab.run(&["--help"]);
    assert_eq!(ran.code, Some(0));
    insta::assert_snapshot!(ran.stdout, @"
    Promotes container images through environments by commits to a manifests git repository

    Usage: towpath [OPTIONS] <COMMAND>

    Commands:
      demo         Show promotions at work on this machine: an embedded registry, a sample repository,
                   new tags
      check        Check settings and policies, and report every problem with its place
      plan         Show every environment: what stands there, what may come, the decision and its reason
      apply        Make one round: read, decide, push; for CI and cron
      run          Promote without end: the daemon
      registry     Show what a registry says of an image, and how it was asked
      status       Show how a running daemon stands: registries, limits, the age of each reading
      doctor       Ask everything that the settings name whether it is reachable and lets us do our
                   work; changes nothing
      explain      Show every tag of one environment's images, and why it is or is not the one
      pin          Pin a version: exactly it stands in an environment, older or newer, until someone
                   resumes
      reject       Reject a version: it does not come to an environment, and the next best may
      approve      Approve a version: it may come to an environment by commits once enough people agree
      stop         Stop promotions, in one environment or in many
      resume       Resume promotions: end holds, and let go of what a person undid
      rollback     Put the version before back, as the environment is delivered, and pin it
      history      Show who promoted what, when and why, and what people decided; from git alone
      observe      Read everything that the policies need, and show or save it
      sites        List every place that a policy would write, and what stands there; asks no registry
      select       Choose one of a list of tags, as a policy would
      set          Change a version in a file and not a byte more
      schema       Print the JSON Schema of settings and policies
      completions  Print completions for a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
          --log <FILTER>         What is logged: a level, or tracing filters such as `towpath=debug`.
                                 [default: for run as the settings say, else warn] [env: TOWPATH_LOG=]
          --log-format <FORMAT>  What the log looks like on stderr [env: TOWPATH_LOG_FORMAT=] [default:
                                 text] [possible values: text, json]
      -h, --help                 Print help
      -V, --version              Print version
    ");
}

#[test]
fn a_policy_or_environment_that_does_not_exist_is_a_usage_error_that_names_those_that_do() {
    let lab = Lab::portal();
    let policy = lab.run(&["explain", "portall", "dev"]);
    assert_eq!(policy.code, Some(2));
    insta::assert_snapshot!(policy.stderr, @"
    error: there is no policy `portall`
    hint: the policies are `portal`
    ");
    let environment = lab.run(&["explain", "portal", "prod"]);
    assert_eq!(environment.code, Some(2));
    insta::assert_snapshot!(environment.stderr, @"
    error: policy `portal` has no environment `prod`
    hint: it has `dev`
    ");
}

#[test]
fn an_invalid_configuration_ends_every_verb_with_exit_code_3() {
    let lab = Lab::portal();
    let policies = std::fs::read_to_string(lab.path().join("policies/all.yaml")).unwrap();
    lab.write("policies/all.yaml", &policies.replace("pattern", "patern"));
    for verb in [
        vec!["check"],
        vec!["plan"],
        vec!["apply"],
        vec!["run"],
        vec!["observe"],
        vec!["explain", "portal", "dev"],
        vec!["sites", "portal"],
    ] {
        let ran = lab.run(&verb);
        assert_eq!(ran.code, Some(3), "{verb:?}: {ran:?}");
        assert!(
            ran.stderr.contains("did you mean `pattern`?") || ran.stderr.contains("`pattern`"),
            "{ran:?}"
        );
    }
}

#[test]
fn completions_are_printed_for_a_shell() {
    let lab = Lab::new(&[]);
    let ran = lab.run(&["completions", "bash"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("complete -F _towpath"), "{ran:?}");
}

#[test]
fn a_verb_that_finds_the_cache_in_use_says_what_to_do() {
    let lab = Lab::portal();
    let daemon = lab.start();
    daemon.wait_until("the start", || daemon.log().contains("listening"));
    let ran = lab.run(&["plan"]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(ran.stderr, @"
    error: failed to open the mirror of `deploy`
    caused by: the mirror in `./cache/mirrors/deploy` is in use by another process
    hint: the daemon, perhaps; give this run a folder of its own with `--cache`
    ");
    let ran = lab.run(&["explain", "portal", "dev", "--cache", "other"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(lab.path().join("other/mirrors/deploy").exists());
}

#[test]
fn a_secret_without_a_value_is_one_line_of_log() {
    let mut lab = Lab::portal();
    let url = lab.path().join("deploy.git");
    lab.repository(&format!(
        "url: {}, credentials: {{ token: {{ env: NOT_SET }} }}",
        url.display()
    ));
    let ran = lab.run(&["plan"]);
    let (_time, line) = ran.stderr.split_once(' ').unwrap();
    insta::assert_snapshot!(line, @" WARN the environment variable `NOT_SET` is not set file=towpath.yaml line=7");
}

#[test]
fn a_local_repository_that_is_not_there_is_told_in_words() {
    let mut lab = Lab::portal();
    lab.repository("url: elsewhere.git");
    let ran = lab.run(&["plan"]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(ran.stdout, @"
    POLICY  ENVIRONMENT  IMAGE  CURRENT  CANDIDATE  DECISION  NEXT  REASON
    portal  dev          web    -        -          hold      -     the manifests repository is unknown: failed to fetch from `./elsewhere.git`: there is no such folder (check `url`; a path is relative to the settings file)
    ");
}

#[test]
fn the_json_of_a_plan_has_the_diff_and_the_message_apart() {
    let lab = Lab::portal();
    lab.push(&["develop-2-1b2c3d4"]);
    let ran = lab.run(&["plan", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let commit = &json["changes"][0]["commits"][0];
    insta::assert_snapshot!(commit["diff"].as_str().unwrap(), @"
    --- a/apps/portal/overlays/dev/kustomization.yaml
    +++ b/apps/portal/overlays/dev/kustomization.yaml
    @@ -4,4 +4,4 @@
     
     images:
       - name: REGISTRY/acme/web   # built by CI
    -    newTag: develop-1-0a1b2c3   # moves by itself
    +    newTag: develop-2-1b2c3d4   # moves by itself
    ");
}

/// A repository with sites of several kinds, one of which cannot be read, and a policy that names them.
fn lab_with_sites() -> Lab {
    let lab = Lab::new(&[]);
    let (web, worker) = (lab.image("acme/web"), lab.image("acme/worker"));
    let digest = format!("sha256:{}", "ab".repeat(32));
    lab.commit(
        "sites",
        &[
            (
                "dev/kustomization.yaml",
                &format!(
                    "images:\n- name: web\n  newName: {web}\n  newTag: v1.0.0\n- name: worker\n  newName: {worker}\n  newTag: v2.0.0\n  digest: {digest}\n"
                ),
            ),
            (
                "values.yaml",
                &format!(
                    "web:\n  image: &web\n    repository: {web}\n    tag: v1.0.0\nmigration:\n  image: *web\nworker:\n  image:\n    repository: {worker}\n"
                ),
            ),
        ],
    );
    lab.policies(&format!(
        "kind: PromotionPolicy
metadata: {{ name: portal }}
spec:
  repository: deploy
  images: {{ web: {web}, worker: {worker} }}
  environments:
    - {{ name: dev, tags: {{ semver: '*' }}, update: dev }}
    - name: production
      tags: {{ semver: '*' }}
      update:
        - {{ helm: values.yaml, at: web.image, image: web }}
        - {{ helm: values.yaml, at: wroker.image, image: worker }}
        - {{ helm: values.yaml, at: worker.image, image: worker }}
        - {{ helm: production.yaml, at: image, image: worker }}
"
    ));
    lab
}

#[test]
fn sites_lists_every_place_and_hides_none_behind_one_that_cannot_be_read() {
    let lab = lab_with_sites();
    let ran = lab.run(&["sites", "portal"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(1), ""));
    insta::assert_snapshot!(ran.stdout, @"
    ENVIRONMENT  IMAGE   FILE                      PATH                        CURRENT                     NOTE
    dev          web     dev/kustomization.yaml:4  images[name=web].newTag     v1.0.0
    dev          worker  dev/kustomization.yaml:7  images[name=worker].newTag  v2.0.0@sha256:abababababab  dev/kustomization.yaml:8: a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`
    production   web     values.yaml:4             web.image.tag               v1.0.0
    production   web     values.yaml:6             migration.image.tag         v1.0.0                      an alias, which changes with line 4
    production   worker  values.yaml               -                           -                           values.yaml:1: the document has no key `wroker`; the nearest is `worker`
    production   worker  values.yaml:9             worker.image.tag            -                           no version stands here yet
    production   worker  production.yaml           -                           -                           `production.yaml` does not exist
    ");
    let ran = lab.run(&[
        "sites",
        "portal",
        "--environment",
        "production",
        "--image",
        "web",
    ]);
    assert_eq!(ran.code, Some(0));
    insta::assert_snapshot!(ran.stdout, @"
    ENVIRONMENT  IMAGE  FILE           PATH                 CURRENT  NOTE
    production   web    values.yaml:4  web.image.tag        v1.0.0
    production   web    values.yaml:6  migration.image.tag  v1.0.0   an alias, which changes with line 4
    ");
}

#[test]
fn the_sites_that_programs_read_have_all_that_stands_there() {
    let lab = lab_with_sites();
    let sites = |image: &str| {
        let ran = lab.run(&[
            "sites",
            "portal",
            "--environment=production",
            "--output=json",
            "--image",
            image,
        ]);
        (ran.code, ran.stdout)
    };
    let (code, web) = sites("web");
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(web, @r#"
    {
      "apiVersion": "towpath.dev/v1alpha1",
      "kind": "Sites",
      "policy": "portal",
      "sites": [
        {
          "environment": "production",
          "image": "web",
          "repository": "deploy",
          "branch": "main",
          "path": "values.yaml",
          "places": [
            {
              "file": "values.yaml",
              "line": 4,
              "path": "web.image.tag",
              "tag": "v1.0.0",
              "digest": null,
              "alsoChanges": [
                {
                  "file": "values.yaml",
                  "line": 6,
                  "path": "migration.image.tag"
                }
              ]
            }
          ],
          "error": null
        }
      ]
    }
    "#);
    let (code, worker) = sites("worker");
    assert_eq!(code, Some(1));
    let worker: serde_json::Value = serde_json::from_str(&worker).unwrap();
    insta::assert_snapshot!(worker["sites"][0]["error"], @r#""values.yaml:1: the document has no key `wroker`; the nearest is `worker`""#);
    insta::assert_snapshot!(worker["sites"][1]["places"][0], @r#"{"alsoChanges":[],"digest":null,"file":"values.yaml","line":9,"path":"worker.image.tag","tag":null}"#);
}

#[test]
fn sites_of_a_repository_that_cannot_be_read_are_told_with_the_reason() {
    let mut lab = lab_with_sites();
    lab.repository("url: elsewhere.git");
    let ran = lab.run(&["sites", "portal", "--environment", "dev", "--image", "web"]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(ran.stdout, @"
    ENVIRONMENT  IMAGE  FILE  PATH  CURRENT  NOTE
    dev          web    dev   -     -        the manifests repository is unknown: failed to fetch from `./elsewhere.git`: there is no such folder (check `url`; a path is relative to the settings file)
    ");
    let ran = lab.run(&["sites", "portal", "--image", "wbe"]);
    assert_eq!(ran.code, Some(2));
    insta::assert_snapshot!(ran.stderr, @"
    error: policy `portal` has no image `wbe`
    hint: it has `web`, `worker`
    ");
}

#[test]
fn sites_are_listed_from_saved_facts_too() {
    let lab = lab_with_sites();
    lab.run(&["observe", "--save", "world.yaml"]);
    let live = lab.run(&["sites", "portal"]);
    let saved = lab.run(&["sites", "portal", "--world", "world.yaml"]);
    assert_eq!(
        (live.code, live.stdout, live.stderr),
        (saved.code, saved.stdout, saved.stderr)
    );
}

#[test]
fn a_plan_and_an_explanation_name_what_changes_by_an_alias() {
    let lab = lab_with_sites();
    lab.push(&["v1.0.0", "v1.1.0"]);
    let ran = lab.run(&["explain", "portal", "production"]);
    let of_web = ran.stdout.split("\n\n").next().unwrap();
    insta::assert_snapshot!(of_web, @"
    portal production web (REGISTRY/acme/web)
      stands:    v1.0.0
      decision:  promote: `v1.1.0` is newer than `v1.0.0`
      by alias:  values.yaml:6 migration.image.tag
    ");
    let ran = lab.run(&["plan", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let also = |n: usize| json["decisions"][n]["alsoChanges"].to_string();
    // Of web in dev, which no alias says, and in production.
    insta::assert_snapshot!(also(0), @"[]");
    insta::assert_snapshot!(also(2), @r#"[{"file":"values.yaml","line":6,"path":"migration.image.tag"}]"#);
}

#[test]
fn a_place_that_is_not_there_is_found_by_a_check_that_looks() {
    let lab = Lab::portal();
    let (image, there) = (lab.image("acme/web"), "apps/portal/overlays/dev");
    lab.policies(&format!(
        "{}---\n{}",
        portal_policy("portal", &image, there),
        portal_policy("shop", &image, "apps/shop/overlays/dev")
    ));
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = lab.run(&["check", "--sites"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @"
    error: shop dev web: none of `apps/shop/overlays/dev/kustomization.yaml`, `apps/shop/overlays/dev/kustomization.yml`, `apps/shop/overlays/dev/Kustomization` exists
      --> towpath.yaml

    towpath.yaml: 1 problem
    ");
    lab.policies(&portal_policy("portal", &image, there));
    let ran = lab.run(&["check", "--sites"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
