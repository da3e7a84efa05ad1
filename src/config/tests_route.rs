//! What people see when the order of environments, routes or fleets are wrong, and that good ones are read as they are meant.

use insta::assert_snapshot;

use super::tests::{POLICY, SETTINGS, folder, load_in, messages};
use super::{Config, Fleet};
use crate::manifest::Write;
use crate::policy::select::{PushUse, TagRule};
use crate::policy::{After, Deliver, Environment, Policy};

/// A route from development to production.
const ROUTE: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: Route
metadata: { name: standard }
spec:
  repository: deploy
  environments:
    - name: dev
      tags: { pattern: \"main-{number}-{sha}\" }
      update: \"apps/{policy}/overlays/{environment}\"
    - name: staging
      after: dev
      update: \"apps/{policy}/overlays/{environment}\"
    - name: production
      after: [staging]
      tags: { semver: \">=1.0.0\" }
      same: revision
      update: \"apps/{policy}/overlays/{environment}\"
      deliver: { pull-request: { branch: \"env/{environment}\", labels: [\"app/{policy}\"] } }
";

/// Where each of its environments is written.
const SITE: &str = "\"apps/{policy}/overlays/{environment}\"";

/// Further applications on the route.
fn on_route(names: &[&str]) -> String {
    let policy = |name: &&str| {
        format!(
            "---\nkind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec: {{ route: standard, images: {{ app: \"ghcr.io/acme/{{policy}}\" }} }}\n"
        )
    };
    names.iter().map(policy).collect()
}

fn config(policies: &str) -> Config {
    let folder = folder(SETTINGS, policies);
    load_in(folder.path()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The warnings of what can be used all the same.
fn warnings(policies: &str) -> String {
    let config = config(policies);
    let lines: Vec<_> = config.warnings.iter().map(|w| w.message.clone()).collect();
    lines.join("\n")
}

/// Messages for environments of a policy, with their first word for a name.
fn environments(environments: &[&str]) -> String {
    messages(SETTINGS, &plain(environments))
}

fn plain(environments: &[&str]) -> String {
    let line = |text: &&str| {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        format!("  - {{ name: {name}, update: {name}{rest} }}\n")
    };
    format!(
        "{POLICY}{}",
        environments.iter().map(line).collect::<String>()
    )
}

/// Each environment with where it writes, where its versions come from, and the rule of its first image.
fn in_short(policy: &Policy) -> String {
    let line = |environment: &Environment| {
        let image = policy.images.keys().next().unwrap();
        let paths = environment.update.iter().map(|u| u.site.path.to_string());
        let before = |after: &After| {
            let names = after.environments.iter().map(|name| name.as_str());
            names.collect::<Vec<_>>().join(" and ")
        };
        let from = match &environment.after {
            None => "the registry".to_owned(),
            Some(after) if after.named.contains(image) => {
                format!("the same {:?} as in {}", after.same, before(after))
            }
            Some(after) => format!("what ran in {}", before(after)),
        };
        let paths: Vec<_> = paths.collect();
        format!(
            "{}: {} from {from}, {}\n",
            environment.name,
            paths.join(", "),
            text(&environment.rules[image])
        )
    };
    policy.environments.iter().map(line).collect()
}

/// What a rule was made of.
fn text(rule: &TagRule) -> String {
    let written = format!("{rule:?}");
    let (text, _) = written.split_once("}, kind").unwrap();
    let text = text.trim_start_matches("TagRule { text: RuleText { ");
    let said = text.split(", ").filter(|key| key.contains("Some("));
    said.collect::<Vec<_>>().join(", ")
}

#[test]
fn versions_come_from_the_environments_before_or_from_the_registry() {
    let config = config(&plain(&[
        "prod , after: [qa-1, qa-2], write: digest",
        "qa-1 , after: dev",
        "qa-2 , after: dev, tags: { semver: 1.x }",
        "dev , tags: { follow: latest }",
    ]));
    assert_snapshot!(in_short(&config.policies[0]), @r#"
    prod: prod from what ran in qa-1 and qa-2, follow: Some("latest")
    qa-1: qa-1 from what ran in dev, follow: Some("latest")
    qa-2: qa-2 from the same Digest as in dev, semver: Some("1.x")
    dev: dev from the registry, follow: Some("latest")
    "#);
    let [production, ..] = &config.policies[0].environments[..] else {
        panic!("there are four")
    };
    assert_eq!(production.write, Some(Write::Digest));
}

#[test]
fn a_rule_that_an_environment_takes_over_is_a_rule_in_all_respects() {
    assert_snapshot!(environments(&["dev , tags: { follow: latest }", "prod , after: dev, write: tag"]), @"9:52 a followed tag keeps its name, so writing it would change nothing [write `digest` or `tag@digest`, or leave `write` out]");
    let of_pushes = config(&plain(&[
        "dev , tags: { pattern: \"{sha}\" }",
        "prod , after: dev",
    ]));
    let rules = of_pushes.policies[0].environments.iter();
    let uses: Vec<_> = rules
        .map(|e| e.rules.values().next().unwrap().push_use())
        .collect();
    assert_eq!(uses, [Some(PushUse::ByDefault); 2]);
}

#[test]
fn environments_come_after_others_that_there_are() {
    assert_snapshot!(environments(&[
        "dev , tags: { semver: 1.x }",
        "staging , after: [dve, dev, dev]",
        "prod , after: prod",
        "eu , after: nowhere",
        "us ",
        "asia , tags: { semver: 1.x }, same: digest",
    ]), @"
    9:47 there is no environment `dve` [did you mean `dev`?]
    9:57 `dev` stands here twice
    10:40 `prod` comes after itself
    11:36 there is no environment `nowhere` [known: `dev`, `staging`, `prod`, `eu`, `us`, `asia`]
    13:62 `same` tells which tags are builds that ran before, so it needs `after`
    ");
    assert_eq!(
        warnings(&plain(&[
            "dev , tags: { semver: 1.x }",
            "prod , after: dev, same: revision"
        ])),
        "`same` changes nothing here: without `tags`, what ran before comes as it is"
    );
}

#[test]
fn a_circle_is_told_as_a_chain_and_what_is_behind_it_is_told_too() {
    assert_snapshot!(environments(&[
        "a , after: c",
        "b , after: a",
        "c , after: b",
        "d , after: [dev, c], tags: { semver: 1.x }",
        "dev , tags: { semver: 1.x }",
        "x , after: y",
        "y , after: x",
    ]), @"
    8:34 these environments come after each other in a circle, so no version reaches them: `a` after `c` after `b` after `a`
    11:40 no version reaches `d`, since it comes after environments in a circle
    13:34 these environments come after each other in a circle, so no version reaches them: `x` after `y` after `x`
    ");
}

#[test]
fn an_image_that_never_ran_in_the_environment_before_cannot_come() {
    let policy = plain(&["dev , tags: { semver: 1.x }", "prod , after: dev"])
        .replace(
            "{ web: ghcr.io/acme/portal-web }",
            "{ web: a.b/web, worker: a.b/worker }",
        )
        .replace("update: dev", "update: { kustomization: dev, image: web }");
    assert_snapshot!(messages(SETTINGS, &policy), @"9:40 `worker` is written in `prod` and not in `dev`, where it must have run before");
}

#[test]
fn a_policy_is_what_its_route_says_with_the_names_filled_in() {
    let config = config(&format!("{ROUTE}{}", on_route(&["api"])));
    let [api] = &config.policies[..] else {
        panic!("one policy")
    };
    assert_snapshot!(in_short(api), @r#"
    dev: apps/api/overlays/dev from the registry, pattern: Some("main-{number}-{sha}")
    staging: apps/api/overlays/staging from what ran in dev, pattern: Some("main-{number}-{sha}")
    production: apps/api/overlays/production from the same Revision as in staging, semver: Some(">=1.0.0")
    "#);
    let image = api.images.values().next().unwrap();
    assert_eq!(image.repository.to_string(), "ghcr.io/acme/api");
    let Deliver::PullRequest(requests) = &api.environments[2].deliver else {
        panic!("a pull request")
    };
    assert_eq!(requests.branch.as_deref(), Some("env/production"));
    assert!(requests.labels.contains("app/api"));
    assert!(config.warnings.is_empty() && !api.together);
}

#[test]
fn what_a_policy_says_of_an_environment_counts_key_by_key_and_one_of_its_own_follows() {
    let own = "\
---
kind: PromotionPolicy
metadata: { name: api }
spec:
  route: standard
  images: { app: ghcr.io/acme/api }
  environments:
    - { name: staging, tags: { semver: 1.x }, write: digest }
    - { name: production, update: { helm: values.yaml, at: \"{policy}.image\" }, deliver: commit }
    - { name: canary, after: staging, update: \"apps/{policy}/canary\" }
";
    let loaded = config(&format!("{ROUTE}{own}"));
    assert_snapshot!(in_short(&loaded.policies[0]), @r#"
    dev: apps/api/overlays/dev from the registry, pattern: Some("main-{number}-{sha}")
    staging: apps/api/overlays/staging from the same Digest as in dev, semver: Some("1.x")
    production: values.yaml from the same Revision as in staging, semver: Some(">=1.0.0")
    canary: apps/api/canary from what ran in staging, semver: Some("1.x")
    "#);
    let environments = &loaded.policies[0].environments;
    assert_eq!(environments[1].write, Some(Write::Digest));
    assert_eq!(environments[2].deliver, Deliver::Commit { branch: None });
    let wrong = own
        .replace("name: canary, after: staging", "name: canary")
        .replace("name: staging", "name: stagng");
    assert_snapshot!(messages(SETTINGS, &format!("{ROUTE}{wrong}")), @"
    26:15 the route `standard` has no environment `stagng` [did you mean `staging`?]
    28:15 the route `standard` has no environment `canary` [known: `dev`, `staging`, `production`; one of this policy alone says which it comes `after`]
    ");
}

#[test]
fn what_is_wrong_in_a_route_is_told_once_and_at_its_place() {
    let thousand: Vec<String> = (0..1_000).map(|n| format!("app-{n}")).collect();
    let thousand: Vec<&str> = thousand.iter().map(String::as_str).collect();
    let policies = on_route(&thousand);
    let wrong = ROUTE
        .replace("after: dev", "after: dve")
        .replace("repository: deploy", "repository: other")
        .replace(
            "{policy}/overlays/{environment}\"\n    - name: staging",
            "{policies}\"\n    - name: staging",
        );
    assert_snapshot!(messages(SETTINGS, &format!("{wrong}{policies}")), @"
    5:15 the settings name no repository `other` [known: `deploy`]
    9:21 unknown part `{policies}` [known here: `{policy}`, `{environment}`]
    11:14 there is no environment `dve` [did you mean `dev`?]
    ");
    let same_place = ROUTE.replacen(SITE, "{ helm: values.yaml, at: image }", 1);
    assert_snapshot!(messages(SETTINGS, &format!("{same_place}{policies}")), @"9:15 `dev` of `app-0` writes here too, in policies/portal.yaml:9:15 (in policy `app-1`) [`{policy}` in the path tells apart the policies that share it]");
    let misfit = ROUTE.replacen("apps/{policy}/overlays", ".{policy}", 1);
    let git = on_route(&["web", "git"]);
    assert_snapshot!(messages(SETTINGS, &format!("{misfit}{git}")), @"9:15 `.git/dev` is not a path inside the repository: `.git` is git's own (in policy `git`)");
}

#[test]
fn routes_are_found_by_name_and_one_that_nothing_uses_is_told() {
    let policies = on_route(&["api"]);
    let typo = policies.replace("route: standard", "route: standart");
    assert_snapshot!(messages(SETTINGS, &format!("{ROUTE}{typo}")), @"22:16 there is no route `standart` [did you mean `standard`?]");
    let second = ROUTE.replace("apiVersion: towpath.dev/v1alpha1", "---");
    assert_snapshot!(messages(SETTINGS, &format!("{ROUTE}{second}{policies}")), @"21:19 a second route `standard`; the first is in policies/portal.yaml:3:19");
    assert_snapshot!(messages(SETTINGS, policies.trim_start_matches("---\n")), @"
    1:1 the key `apiVersion` is missing [the first document of a file starts with `apiVersion: towpath.dev/v1alpha1`]
    3:16 there is no route `standard` [a document of `kind: Route` makes one]
    ");
    assert_eq!(warnings(ROUTE), "no policy uses the route `standard`");
    let unread = ROUTE.replace("  environments:", "  environment:");
    assert_snapshot!(messages(SETTINGS, &format!("{unread}{policies}")), @"6:3 unknown key `environment` [did you mean `environments`?]");
}

#[test]
fn names_are_filled_in_wherever_places_are_told() {
    let loaded = config(
        "\
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: web.v2 }
spec:
  repository: deploy
  images: { app: \"oci://ghcr.io/acme/{policy}\" }
  environments:
    - name: dev
      tags: { semver: 1.x }
      update:
        - { yaml: \"all-{environment}.yaml\", at: \"apps.{policy}.tag\", document: \"Fleet/{policy}\" }
        - { helm: values.yaml, at: \"apps[name={policy}-{environment}].tag\" }
        - { application: \"argocd/{policy}.yaml\", document: \"Application/{policy}-{environment}\" }
        - { markers: flux.yaml, policies: { \"flux-system:{policy}\": app } }
        - { manifest: \"{policy}/{environment}.yaml\" }
",
    );
    let updates = &loaded.policies[0].environments[0].update;
    let sites: Vec<_> = updates
        .iter()
        .map(|update| format!("{:?}", update.site))
        .collect();
    assert_snapshot!(sites.join("\n"), @r#"
    Site { path: RepoPath("all-dev.yaml"), form: Yaml { at: Path([Key("apps"), Key("web.v2"), Key("tag")]) }, reach: Reach { document: Some(Object { kind: "Fleet", name: "web.v2" }), aliases: Refused } }
    Site { path: RepoPath("values.yaml"), form: Helm { at: Path([Key("apps"), Item { key: "name", value: "web.v2-dev" }, Key("tag")]) }, reach: Reach { document: None, aliases: Refused } }
    Site { path: RepoPath("argocd/web.v2.yaml"), form: Application { at: None }, reach: Reach { document: Some(Object { kind: "Application", name: "web.v2-dev" }), aliases: Refused } }
    Site { path: RepoPath("flux.yaml"), form: Markers { policy: "flux-system:web.v2" }, reach: Reach { document: None, aliases: Refused } }
    Site { path: RepoPath("web.v2/dev.yaml"), form: Manifest { at: None }, reach: Reach { document: None, aliases: Refused } }
    "#);
}

#[test]
fn names_that_are_not_known_are_told_with_the_nearest() {
    let policy = POLICY.replace("ghcr.io/acme/portal-web", "\"ghcr.io/acme/{environment}\"");
    let lines = "
  - { name: a, tags: { semver: 1.x }, update: \"apps/{polcy}\" }
  - { name: b, tags: { semver: 1.x }, update: \"apps/{\", deliver: { commit: { branch: \"{branch}\" } } }
  - { name: c, tags: { semver: 1.x }, update: \"apps//{policy}\" }
  - { name: d, tags: { semver: 1.x }, update: d, deliver: { pull-request: { group: environment, branch: \"{policy}\" } } }
";
    assert_snapshot!(messages(SETTINGS, &format!("{policy}{lines}")), @"
    6:32 unknown part `{environment}` [known here: `{policy}`]
    9:53 unknown part `{polcy}` [did you mean `{policy}`?]
    10:53 unknown part `{` [known here: `{policy}`, `{environment}`]
    10:87 unknown part `{branch}` [known here: `{policy}`, `{environment}`]
    11:47 `apps//policy` is not a path inside the repository: a part of it is empty or `.`
    12:105 `group: environment` proposes for all policies together, so it goes to one branch [leave `{policy}` out here, or leave `group` out]
    ");
}

#[test]
fn images_move_together_by_one_rule() {
    let two = |images: &str| {
        plain(&["dev , tags: { semver: 1.x }"]).replace(
            "images: { web: ghcr.io/acme/portal-web }",
            &format!("images: {images}\n  together: true"),
        )
    };
    let images = "{ web: a.b/web, api: a.b/api }";
    assert!(config(&two(images)).policies[0].together);
    assert_eq!(warnings(&two(images)), "");
    assert_eq!(
        warnings(&two("{ web: a.b/web }")),
        "`together` changes nothing for one image"
    );
    let own = "{ web: a.b/web, api: { repository: a.b/api, tags: { semver: 2.x } } }";
    assert_snapshot!(messages(SETTINGS, &two(own)), @"
    6:27 `api` has `tags` of its own, and with `together` a release is one tag that all images have [write one rule for all of them under `environments`]
    ");
    let followed = two(images).replace("semver: 1.x", "follow: latest");
    assert_snapshot!(messages(SETTINGS, &followed), @"9:3 `dev` follows a tag, and with `together` a release is one tag that all images have: nothing tells which of their digests belong together [write a rule that tells versions apart, such as `semver` or `pattern`, or leave `together` out]");
}

/// The one fleet that there is.
fn fleet(policies: &str) -> Fleet {
    let mut loaded = config(policies);
    assert_eq!((loaded.policies.len(), loaded.fleets.len()), (0, 1));
    loaded.fleets.remove(0)
}

/// A fleet on the route.
fn of_folders(for_each: &str) -> String {
    on_route(&["services"]).replace(
        "route: standard",
        &format!("route: standard, for-each: {for_each}"),
    )
}

#[test]
fn a_fleet_gives_a_policy_for_each_name() {
    let services = fleet(&format!("{ROUTE}{}", of_folders("\"apps/{policy}\"")));
    assert_eq!(services.folders.to_string(), "apps/{policy}");
    let web = services.policy(&"web".parse().unwrap()).unwrap();
    assert_eq!((web.name.as_str(), web.images.len()), ("web", 1));
    assert_snapshot!(in_short(&web), @r#"
    dev: apps/web/overlays/dev from the registry, pattern: Some("main-{number}-{sha}")
    staging: apps/web/overlays/staging from what ran in dev, pattern: Some("main-{number}-{sha}")
    production: apps/web/overlays/production from the same Revision as in staging, semver: Some(">=1.0.0")
    "#);
    let unfit = services.policy(&"a.-b".parse().unwrap());
    assert_snapshot!(unfit.unwrap_err(), @"`ghcr.io/acme/a.-b` is not an image reference: `a.-b` is not a repository name");
}

#[test]
fn a_fleet_is_checked_as_a_whole() {
    let patterns = [
        "apps",
        "\"apps/{policy}/{environment}\"",
        "\"../{policy}\"",
        "[a]",
    ];
    let told =
        patterns.map(|for_each| messages(SETTINGS, &format!("{ROUTE}{}", of_folders(for_each))));
    assert_snapshot!(told.join("\n"), @"
    22:36 `apps` does not name `{policy}` once, and nothing else in braces: `apps/{policy}`
    22:36 `apps/{policy}/{environment}` does not name `{policy}` once, and nothing else in braces: `apps/{policy}`
    22:36 `../{policy}` is not a path inside the repository: `..` leads out of the repository
    22:36 expected a text, found a list
    ");
    let apart = of_folders("\"apps/{policy}\"");
    let one_place = ROUTE.replacen(SITE, "{ helm: values.yaml, at: image }", 1);
    assert_snapshot!(messages(SETTINGS, &format!("{one_place}{apart}")), @"22:36 two policies of this fleet cannot stand side by side: `dev` of `services` writes here too, in policies/portal.yaml:9:15 (`{policy}` in the path tells apart the policies that share it)");
    let twice = format!(
        "{ROUTE}{apart}{}",
        apart.replace("name: services", "name: others")
    );
    assert_snapshot!(messages(SETTINGS, &twice), @"26:36 there is a fleet for these folders in policies/portal.yaml:22:36");
    // What fleets and policies meet in, only the folders tell.
    let beside = format!("{ROUTE}{apart}{}", on_route(&["services-2"]));
    assert_eq!(config(&beside).policies.len(), 1);
}

#[test]
fn the_examples_of_the_design_are_read() {
    let portal = "\
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata:
  name: portal
spec:
  repository: deploy
  images:
    web: ghcr.io/acme/portal-web
  environments:
    - name: dev                                    # development builds, straight to the branch
      tags: { pattern: \"develop-{sha}\" }
      update: apps/portal/overlays/dev
    - name: staging
      tags: { pattern: \"staging-{sha}\" }
      update: apps/portal/overlays/staging
    - name: production                             # releases, reviewed by people
      tags: { semver: \">=1.0.0\" }
      update: apps/portal/overlays/production
      deliver: pull-request
---
kind: Route
metadata: { name: standard }
spec:
  repository: deploy
  environments:
    - name: dev
      tags: { pattern: \"main-{number}-{sha}\" }
      update: \"apps/{policy}/overlays/dev\"
    - name: staging
      after: dev
      update: \"apps/{policy}/overlays/staging\"
    - name: production
      after: staging
      tags: { semver: \">=1.0.0\" }
      update: \"apps/{policy}/overlays/production\"
      deliver: pull-request
---
kind: PromotionPolicy
metadata: { name: api }
spec: { route: standard, images: { api: ghcr.io/acme/api } }
---
kind: PromotionPolicy
metadata: { name: services }
spec:
  route: standard
  for-each: \"apps/{policy}\"                        # one policy per folder that exists at the branch head
  images: { app: \"ghcr.io/acme/{policy}\" }
";
    let settings = SETTINGS.replace(
        "url: ../deploy.git",
        "url: https://github.com/acme/deploy, credentials: { token: { env: HOME } }",
    );
    let folder = folder(&settings, portal);
    let config = load_in(folder.path()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.policies.len(), config.fleets.len()), (2, 1));
    assert_eq!(config.warnings, []);
}
