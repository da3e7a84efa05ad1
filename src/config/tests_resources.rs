//! What becomes of custom resources beside the files: what counts, what is left out with which words, and that none stops another.

use std::sync::Arc;

use insta::assert_snapshot;

use super::tests::{POLICY, SETTINGS, folder};
use super::{Config, Verdict, load_with};
use crate::cluster::resources::Resource;
use crate::policy::PolicyName;

/// A policy of the files that writes `apps/portal`.
const DEV: &str = "    - { name: dev, tags: { semver: '*' }, update: apps/portal }\n";

/// What stands in the namespace, made at the second.
type Made<'a> = (&'a str, i64, &'a str);

/// Settings that read `team-a` and `team-b` with these limits.
fn settings(limits: &str) -> String {
    format!(
        "{SETTINGS}custom-resources: {{ namespaces: {limits} }}\nregistries: {{ ghcr.io: {{ poll-interval: 5m }} }}\n"
    )
}

fn config(settings: &str, files: &str, made: &[Made<'_>]) -> Config {
    loaded(settings, files, made).0
}

/// The same with the folder of the files.
fn loaded(settings: &str, files: &str, made: &[Made<'_>]) -> (Config, String) {
    let resource = |(namespace, created, text): &Made<'_>| {
        let object = serde_yaml::from_str(text).unwrap();
        Resource::sample(&object, namespace, *created)
    };
    let mut resources: Vec<Arc<Resource>> = made.iter().map(resource).collect();
    resources.sort_by_key(|resource| resource.created);
    let folder = folder(settings, files);
    let loaded = load_with(&folder.path().join("towpath.yaml"), &resources);
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    (config, folder.path().display().to_string())
}

/// What became of each resource, one line each.
fn judged(settings: &str, files: &str, made: &[Made<'_>]) -> String {
    let (config, folder) = loaded(settings, files, made);
    let lines = config.judged.iter().map(|judged| {
        let verdict = match &judged.verdict {
            Verdict::Policy => "a policy".to_owned(),
            Verdict::Fleet => "a fleet".to_owned(),
            Verdict::Route => "a route".to_owned(),
            Verdict::Refused(problems) => problems.by_key(1024),
            Verdict::Taken(problems) => format!("taken: {}", problems.by_key(1024)),
        };
        format!("{}: {verdict}", judged.id)
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").replace(&folder, "FOLDER")
}

fn names(config: &Config) -> Vec<&str> {
    let names = config.policies.iter().map(|policy| policy.name.as_str());
    names.collect()
}

/// A policy that writes one folder.
fn policy(name: &str, path: &str) -> String {
    with_environment(
        name,
        &format!("{{ name: dev, tags: {{ semver: '*' }}, update: {path} }}"),
    )
}

fn with_environment(name: &str, environment: &str) -> String {
    format!(
        "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  images: {{ app: ghcr.io/acme/{name} }}\n  environments: [{environment}]\n"
    )
}

#[test]
fn policies_of_files_and_resources_stand_side_by_side_and_say_where_they_are() {
    let settings = settings("{ team-a: {} }");
    let files = format!("{POLICY}{DEV}");
    let api = policy("api", "apps/api");
    let config = config(&settings, &files, &[("team-a", 1, &api)]);
    assert_eq!(names(&config), ["api", "portal"]);
    let place = |name: &str| config.written_in[&name.parse::<PolicyName>().unwrap()].to_string();
    assert_eq!(place("api"), "promotionpolicies/team-a/api");
    assert!(place("portal").ends_with("policies/portal.yaml"));
}

#[test]
fn a_resource_that_is_wrong_is_left_out_with_the_words_of_files_and_stops_no_other() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let made = [
        (
            "team-a",
            1,
            &*with_environment(
                "unknown-key",
                "{ name: dev, tags: { semver: '*' }, updates: apps/x }",
            ),
        ),
        (
            "team-a",
            2,
            "kind: PromotionPolicy\nmetadata: { name: nothing }\nspec: {}\n",
        ),
        (
            "team-a",
            3,
            "kind: PromotionPolicy\nmetadata: { name: none }\n",
        ),
        (
            "team-a",
            4,
            &*policy("elsewhere", "apps/x").replace("deploy", "deplox"),
        ),
        ("team-b", 5, &*policy("good", "apps/good")),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/unknown-key: spec.environments[0].updates: unknown key `updates` (did you mean `update`?)
    promotionpolicies/team-a/nothing: spec: the keys `repository`, `images`, `environments` are missing
    promotionpolicies/team-a/none: spec: expected a map, found nothing (give it a value, or remove the key)
    promotionpolicies/team-a/elsewhere: spec.repository: the settings name no repository `deplox` (known: `deploy`)
    promotionpolicies/team-b/good: a policy
    ");
    assert_eq!(names(&config(&settings, "", &made)), ["good"]);
}

#[test]
fn of_two_that_have_one_name_or_write_one_place_the_files_count_and_then_the_older() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let files = format!("{POLICY}{DEV}");
    let made = [
        ("team-a", 1, &*policy("portal", "apps/other")),
        ("team-b", 3, &*policy("api", "apps/api")),
        ("team-a", 2, &*policy("api", "apps/api-of-a")),
        (
            "team-b",
            4,
            "kind: PromotionPolicy\nmetadata: { name: thief }\nspec: { repository: deploy, images: { web: ghcr.io/acme/portal-web }, environments: [{ name: dev, tags: { semver: '*' }, update: apps/portal }] }\n",
        ),
    ];
    assert_snapshot!(judged(&settings, &files, &made), @"
    promotionpolicies/team-a/portal: taken: metadata.name: the files have a policy `portal` (a name is one policy's among all namespaces; give this one another)
    promotionpolicies/team-a/api: a policy
    promotionpolicies/team-b/api: taken: metadata.name: the namespace `team-a` has a policy `api` (a name is one policy's among all namespaces; give this one another)
    promotionpolicies/team-b/thief: spec.environments[0].update: `dev` of `portal` writes here too, in FOLDER/policies/portal.yaml:8:51
    ");
}

#[test]
fn what_is_left_out_takes_no_place_from_those_after_it() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let wrong = with_environment(
        "api",
        "{ name: dev, tags: { semver: '*' }, update: apps/api, write: nothing }",
    );
    let wrong_in_one = "kind: PromotionPolicy\nmetadata: { name: both }\nspec: { repository: deploy, images: { app: ghcr.io/acme/api }, environments: [{ name: dev, tags: { semver: '*' }, update: apps/api }, { name: next, after: nowhere, update: apps/both }] }\n";
    let made = [
        ("team-a", 1, &*wrong),
        ("team-a", 2, wrong_in_one),
        (
            "team-b",
            3,
            &*policy("later", "apps/api").replace("acme/later", "acme/api"),
        ),
    ];
    let config = config(&settings, "", &made);
    assert_eq!(names(&config), ["later"]);
    assert!(config.judged[2].verdict == Verdict::Policy);
}

#[test]
fn a_route_is_there_for_its_own_namespace_and_counts_before_one_of_the_files() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let route = |path: &str| {
        format!(
            "kind: Route\nmetadata: {{ name: standard }}\nspec: {{ repository: deploy, environments: [{{ name: dev, tags: {{ semver: '*' }}, update: '{path}/{{policy}}' }}] }}\n"
        )
    };
    let on_route = |name: &str| {
        format!(
            "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec: {{ route: standard, images: {{ app: ghcr.io/acme/{name} }} }}\n"
        )
    };
    let made = [
        ("team-a", 3, &*route("a")),
        ("team-a", 1, &*on_route("one")),
        ("team-b", 2, &*on_route("two")),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    routes/team-a/standard: a route
    promotionpolicies/team-a/one: a policy
    promotionpolicies/team-b/two: spec.route: there is no route `standard` (a document of `kind: Route` makes one)
    ");
    let files = format!(
        "apiVersion: towpath.dev/v1alpha1\n{}---\n{}",
        route("files"),
        on_route("three")
    );
    let config = config(&settings, &files, &made);
    let paths = config.policies.iter().map(|policy| {
        let site = &policy.environments[0].update[0].site;
        site.path.to_string()
    });
    let paths: Vec<String> = paths.collect();
    assert_eq!(paths, ["a/one", "files/three", "files/two"]);

    let broken = route("a").replace("semver", "semvr");
    let made = [("team-a", 3, &*broken), ("team-a", 1, &*on_route("one"))];
    assert_snapshot!(judged(&settings, "", &made), @"
    routes/team-a/standard: spec.environments[0].tags.semvr: unknown key `semvr` (did you mean `semver`?)
    promotionpolicies/team-a/one: spec.route: the route `standard` is not accepted (its own conditions say why)
    ");
}

/// Policies within the limits of the test below, and beyond each of them.
fn at_the_limits() -> Vec<String> {
    let site = |name: &str, more: &str| {
        with_environment(
            name,
            &format!("{{ name: dev, tags: {{ semver: '*' }}, {more} }}"),
        )
    };
    let check = |name: &str, url: &str| {
        let more = format!(
            "update: apps/team-a/c, gates: {{ checks: [{{ name: smoke, http: {{ url: '{url}' }} }}] }}"
        );
        site(name, &more)
    };
    let source = "kind: PromotionPolicy\nmetadata: { name: a-source }\nspec: { repository: deploy, images: { app: ghcr.io/acme/a }, environments: [{ name: dev, tags: { pattern: '{sha}', newest-by: commits, source: code }, update: apps/team-a/s }] }\n";
    vec![
        policy("a-good", "apps/team-a/good"),
        policy("a-other-repository", "apps/team-a/x").replace("deploy", "code"),
        policy("b-other-image", "apps/team-a/y"),
        policy("a-other-folder", "apps/team-a-and-more"),
        site("a-file", "update: { yaml: shared/x/team-a.yaml, at: tag }"),
        site(
            "a-other-file",
            "update: { yaml: shared/x/y/team-a.yaml, at: tag }",
        ),
        site(
            "a-branch",
            "update: apps/team-a/z, deliver: { commit: { branch: a/b } }",
        ),
        site(
            "a-other-branch",
            "update: apps/team-a/z, deliver: { pull-request: { branch: prod } }",
        ),
        check("a-check", "https://smoke.example.com/{version}"),
        check("a-other-check", "https://metadata.example.com/"),
        check("a-any-check", "https://{policy}.example.com/"),
        source.to_owned(),
    ]
}

#[test]
fn a_resource_goes_no_further_than_the_limits_of_its_namespace() {
    let limits = "{ team-a: { repositories: deploy, branches: [main, 'a/*'], paths: [apps/team-a, 'shared/*/team-a.yaml'], images: 'ghcr.io/acme/a*', servers: smoke.example.com } }";
    let settings = settings(limits).replace(
        "  deploy: { url: ../deploy.git }\n",
        "  deploy: { url: ../deploy.git }\n  code: { url: ../code.git }\n",
    );
    let texts = at_the_limits();
    let made = (1..).zip(&texts);
    let made: Vec<Made<'_>> = made
        .map(|(at, text)| ("team-a", at, text.as_str()))
        .collect();
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/a-good: a policy
    promotionpolicies/team-a/a-other-repository: spec.repository: the repository `code` is not one that may be named here (`custom-resources.namespaces.team-a.repositories` of the settings says which: `deploy`)
    promotionpolicies/team-a/b-other-image: spec.images: the image `ghcr.io/acme/b-other-image` is not one that may be named here (`custom-resources.namespaces.team-a.images` of the settings says which: `ghcr.io/acme/a*`)
    promotionpolicies/team-a/a-other-folder: spec.environments: `dev` may not write `apps/team-a-and-more/kustomization.yaml` (`custom-resources.namespaces.team-a.paths` of the settings says which: `apps/team-a`, `shared/*/team-a.yaml`)
    promotionpolicies/team-a/a-file: a policy
    promotionpolicies/team-a/a-other-file: spec.environments: `dev` may not write `shared/x/y/team-a.yaml` (`custom-resources.namespaces.team-a.paths` of the settings says which: `apps/team-a`, `shared/*/team-a.yaml`)
    promotionpolicies/team-a/a-branch: a policy
    promotionpolicies/team-a/a-other-branch: spec.environments: `dev` may not write the branch `prod` (`custom-resources.namespaces.team-a.branches` of the settings says which: `main`, `a/*`)
    promotionpolicies/team-a/a-check: a policy
    promotionpolicies/team-a/a-other-check: spec.environments: the check `smoke` of `dev` may not ask `metadata.example.com` (`custom-resources.namespaces.team-a.servers` of the settings says which: `smoke.example.com`)
    promotionpolicies/team-a/a-any-check: spec.environments: the check `smoke` of `dev` may not ask `{policy}.example.com` (`custom-resources.namespaces.team-a.servers` of the settings says which: `smoke.example.com`)
    promotionpolicies/team-a/a-source: spec.environments: the repository `code` is not one that may be named here (`custom-resources.namespaces.team-a.repositories` of the settings says which: `deploy`)
    ");
}

#[test]
fn what_is_refused_keeps_its_name_from_those_that_are_younger() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let files = format!("{POLICY}{DEV}");
    let wrong = policy("api", "apps/a").replace("semver", "semvr");
    let unreadable = "kind: PromotionPolicy\nmetadata: { name: web }\nspec: []\n";
    let made = [
        ("team-a", 1, &*wrong),
        ("team-a", 2, unreadable),
        ("team-b", 3, &*policy("api", "apps/b")),
        ("team-b", 4, &*policy("web", "apps/c")),
        ("team-b", 5, &*policy("portal", "apps/d")),
    ];
    assert_snapshot!(judged(&settings, &files, &made), @"
    promotionpolicies/team-a/api: spec.environments[0].tags.semvr: unknown key `semvr` (did you mean `semver`?)
    promotionpolicies/team-a/web: spec: expected a map, found a list
    promotionpolicies/team-b/api: taken: metadata.name: the namespace `team-a` has a policy `api` (a name is one policy's among all namespaces; give this one another)
    promotionpolicies/team-b/web: taken: metadata.name: the namespace `team-a` has a policy `web` (a name is one policy's among all namespaces; give this one another)
    promotionpolicies/team-b/portal: taken: metadata.name: the files have a policy `portal` (a name is one policy's among all namespaces; give this one another)
    ");
    let (config, _) = loaded(&settings, &files, &made);
    assert_eq!(names(&config), ["portal"]);
    let reserved: Vec<String> = config.reserved.values().map(ToString::to_string).collect();
    assert_eq!(
        reserved,
        [
            "promotionpolicies/team-a/api",
            "promotionpolicies/team-a/web"
        ]
    );
    // Once it is mended, or gone, the name is as free as it ever was.
    assert_eq!(
        names(&self::config(&settings, "", &made[2..])),
        ["api", "portal", "web"]
    );
}

#[test]
fn without_images_only_registries_that_the_settings_name_are_asked() {
    let image = |name: &str, image: &str| {
        policy(name, &format!("apps/{name}")).replace(&format!("ghcr.io/acme/{name}"), image)
    };
    let made = [
        ("team-a", 1, &*image("known", "ghcr.io/anybody/app")),
        ("team-a", 2, &*image("other", "metadata.internal:8080/app")),
        ("team-b", 3, &*image("any", "metadata.internal:8080/app")),
    ];
    assert_snapshot!(judged(&settings("{ team-a: {}, team-b: { images: '**' } }"), "", &made), @"
    promotionpolicies/team-a/known: a policy
    promotionpolicies/team-a/other: spec.images: the image `metadata.internal:8080/app` is not one that may be named here (without `custom-resources.namespaces.team-a.images` in the settings, only those of the registries that `registries` names may be)
    promotionpolicies/team-b/any: a policy
    ");
}

#[test]
fn a_resource_is_told_no_names_that_its_namespace_may_not_use() {
    let settings = settings("{ team-a: { repositories: deploy }, team-b: {} }").replace(
        "  deploy: { url: ../deploy.git }\n",
        "  deploy: { url: ../deploy.git }\n  secret: { url: ../secret.git }\n",
    ) + "argo-cd: { secret-cluster: { kubernetes: {} } }\n";
    let argo = "{ name: dev, tags: { semver: '*' }, update: apps/argo, argo-cd: { connection: secret-clusters, applications: x } }";
    let made = [
        (
            "team-a",
            1,
            &*policy("one", "apps/one").replace("deploy", "deplox"),
        ),
        (
            "team-b",
            2,
            &*policy("two", "apps/two").replace("deploy", "deplox"),
        ),
        ("team-a", 3, &*with_environment("three", argo)),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/one: spec.repository: the settings name no repository `deplox` (known: `deploy`)
    promotionpolicies/team-b/two: spec.repository: the settings name no repository `deplox` (known: `deploy`, `secret`)
    promotionpolicies/team-a/three: spec.environments[0].argo-cd.connection: the settings have no connection `secret-clusters` to Argo CD (whoever keeps the settings knows its name)
    ");
}

#[test]
fn the_patterns_of_a_namespace_are_so_many_and_take_nothing_from_another() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let object = |name: &str, tags: &str| {
        let environment = format!("{{ name: dev, tags: {tags}, update: apps/{name} }}");
        serde_yaml::from_str(&with_environment(name, &environment)).unwrap()
    };
    let made = |count: i64, tags: &dyn Fn(i64) -> String| -> Vec<Arc<Resource>> {
        let one = |number: i64| {
            let object = object(&format!("p{number}"), &tags(number));
            Resource::sample(&object, "team-a", number)
        };
        let last = Resource::sample(&object("of-b", &tags(0)), "team-b", count + 1);
        (0..count).map(one).chain([last]).collect()
    };
    let judged = |resources: &[Arc<Resource>]| {
        let folder = folder(&settings, "");
        let config = load_with(&folder.path().join("towpath.yaml"), resources).unwrap();
        let refused: Vec<String> = config.refused().map(|one| one.to_string()).collect();
        (config.policies.len(), refused)
    };
    let regex = |number: i64| format!("{{ regex: 'a{number}-(?P<number>[0-9]+)' }}");
    assert_eq!(judged(&made(100, &regex)), (101, Vec::new()));
    let (count, refused) = judged(&made(101, &regex));
    assert_eq!(count, 101);
    assert_snapshot!(refused.join("\n"), @"
    error: a namespace has 100 different regular expressions at most
      --> promotionpolicies/team-a/p100:1:1
        |
      1 | 
        | ^
      hint: the oldest count; write `pattern`, or a route, which has one for many policies
    ");
    // The same one as often as anybody likes, and patterns for each.
    assert_eq!(judged(&made(300, &|_| regex(0))), (301, Vec::new()));
    let pattern = |number: i64| {
        format!(
            "{{ pattern: 'a{number}-{{number}}', ignore: ['*-{}'] }}",
            number % 2
        )
    };
    assert_eq!(judged(&made(998, &pattern)).0, 999);
    let (count, refused) = judged(&made(999, &pattern));
    assert_eq!(count, 999);
    assert_snapshot!(refused.join("\n"), @"
    error: a namespace has 1000 different patterns and globs at most
      --> promotionpolicies/team-a/p998:1:1
        |
      1 | 
        | ^
      hint: the oldest count; a route has one for many policies
    ");
}

#[test]
fn a_pattern_that_would_be_large_is_refused_in_a_resource_as_in_a_file() {
    let settings = settings("{ team-a: {} }");
    let hostile = "{ name: dev, tags: { regex: '(?P<sha>(a|b){9999})' }, update: apps/x }";
    let made = [("team-a", 1, &*with_environment("hostile", hostile))];
    assert_snapshot!(judged(&settings, "", &made), @r"promotionpolicies/team-a/hostile: spec.environments[0].tags.regex: the regular expression cannot be read: it needs more than the 262144 bytes that one may have; shorter repetitions, and `[0-9A-Za-z_]` in place of `\w`, need less");
}

#[test]
fn without_limits_all_is_allowed_but_to_ask_servers() {
    let settings = settings("{ team-a: {} }");
    let asks = "{ name: dev, tags: { semver: '*' }, update: anywhere/else, gates: { checks: [{ name: q, prometheus: { url: 'https://prometheus.example.com', query: up, above: 0 } }] } }";
    let made = [
        ("team-a", 1, &*policy("free", "anywhere")),
        ("team-a", 2, &*with_environment("asks", asks)),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/free: a policy
    promotionpolicies/team-a/asks: spec.environments: the check `q` of `dev` may not ask `prometheus.example.com` (`custom-resources.namespaces.team-a.servers` of the settings says which: none)
    ");
}

#[test]
fn a_resource_reads_no_file_of_the_daemon() {
    let settings = settings("{ team-a: {} }");
    let signed = |name: &str, signature: &str| {
        let environment = format!(
            "{{ name: dev, tags: {{ semver: '*' }}, update: apps/{name}, gates: {{ signature: {signature} }} }}"
        );
        with_environment(name, &environment)
    };
    let identity = "{ identity: a@example.com, issuer: 'https://accounts.example.com'";
    let made = [
        ("team-a", 1, &*signed("key", "{ key: /etc/shadow }")),
        (
            "team-a",
            2,
            &*signed(
                "root",
                &format!("{identity}, trust-root: {{ file: /etc/shadow }} }}"),
            ),
        ),
        ("team-a", 3, &*signed("identity", &format!("{identity} }}"))),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/key: spec.environments[0].gates.signature.key: a custom resource cannot name a file (write the public key itself, in PEM)
    promotionpolicies/team-a/root: spec.environments[0].gates.signature.trust-root.file: a custom resource cannot name a file (leave it out; `trust-root` of the settings counts for all policies)
    promotionpolicies/team-a/identity: a policy
    ");
}

#[test]
fn a_resource_shares_no_pull_request_with_others_whose_changes_it_could_merge() {
    let settings = settings("{ team-a: {} }");
    let deliver = |name: &str, deliver: &str| {
        let environment = format!(
            "{{ name: dev, tags: {{ semver: '*' }}, update: apps/{name}, deliver: {{ pull-request: {deliver} }} }}"
        );
        with_environment(name, &environment)
    };
    let made = [
        ("team-a", 1, &*deliver("alone", "{ auto-merge: true }")),
        (
            "team-a",
            2,
            &*deliver("grouped", "{ group: environment, auto-merge: true }"),
        ),
    ];
    assert_snapshot!(judged(&settings, "", &made), @"
    promotionpolicies/team-a/alone: a policy
    promotionpolicies/team-a/grouped: spec: a custom resource shares no pull request with other policies (leave `group: environment` out)
    ");
}

#[test]
fn a_namespace_that_the_settings_do_not_name_has_no_say() {
    let settings = settings("{ team-a: {} }");
    let made = [("team-b", 1, &*policy("api", "apps/api"))];
    let config = config(&settings, "", &made);
    assert!(config.policies.is_empty() && config.judged.is_empty());
}

#[test]
fn texts_come_from_the_cluster_as_they_were_written_there() {
    let settings = settings("{ team-a: {} }");
    for semver in [
        "1.10",
        "true",
        "0x10",
        "1e3",
        "~",
        "null",
        "*",
        "'1'",
        "1 - 2 # no",
        "",
    ] {
        let object = serde_json::json!({
            "kind": "PromotionPolicy", "metadata": { "name": "api" },
            "spec": {
                "repository": "deploy", "images": { "app": "ghcr.io/acme/api" },
                "environments": [{ "name": "dev", "tags": { "follow": semver }, "update": "apps/api" }],
            },
        });
        let resource = Resource::sample(&object, "team-a", 1);
        let folder = folder(&settings, "");
        let config = load_with(&folder.path().join("towpath.yaml"), &[resource]).unwrap();
        let problems = config.judged[0].verdict.problems();
        let told = problems
            .map(|problems| problems.by_key(1024))
            .unwrap_or_default();
        assert!(!told.contains("in quotes"), "{semver}: {told}");
    }
}

#[test]
fn a_fleet_of_a_resource_has_policies_within_the_limits_alone() {
    let settings = settings("{ team-a: { paths: 'apps/a-*' } }");
    let fleet = "kind: PromotionPolicy\nmetadata: { name: all }\nspec: { for-each: 'apps/{policy}', repository: deploy, images: { app: 'ghcr.io/acme/{policy}' }, environments: [{ name: dev, tags: { semver: '*' }, update: 'apps/{policy}' }] }\n";
    let config = config(&settings, "", &[("team-a", 1, fleet)]);
    let [fleet] = &*config.fleets else {
        panic!("one fleet")
    };
    assert!(fleet.policy(&"a-web".parse().unwrap()).is_ok());
    let why = fleet.policy(&"b-web".parse().unwrap()).unwrap_err();
    assert_snapshot!(why, @"`dev` may not write `apps/b-web/kustomization.yaml` (`custom-resources.namespaces.team-a.paths` of the settings says which: `apps/a-*`)");
}

#[test]
fn a_namespace_with_too_many_takes_nothing_from_another() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let many = (0..1002).map(|number| {
        let name = format!("p{number}");
        let object = serde_yaml::from_str(&policy(&name, &format!("apps/{name}"))).unwrap();
        Resource::sample(&object, "team-a", number)
    });
    let object = serde_yaml::from_str(&policy("late", "apps/late")).unwrap();
    let late = Resource::sample(&object, "team-b", 2000);
    let resources: Vec<_> = many.chain([late]).collect();
    let folder = folder(&settings, "");
    let config = load_with(&folder.path().join("towpath.yaml"), &resources).unwrap();
    assert_eq!(config.policies.len(), 1001);
    let refused: Vec<String> = config.refused().map(|one| one.message).collect();
    assert_eq!(refused.len(), 2);
    assert_snapshot!(refused[0], @"a namespace has 1000 policies and routes at most, with 4194304 bytes");
}

#[test]
fn a_namespace_with_too_much_text_takes_nothing_from_another() {
    let settings = settings("{ team-a: {}, team-b: {} }");
    let object = |name: &str, title: &str| -> serde_json::Value {
        let environment =
            format!("{{ name: dev, tags: {{ semver: '*' }}, update: {name}, {title} }}");
        serde_yaml::from_str(&with_environment(name, &environment)).unwrap()
    };
    let title = format!(
        "deliver: {{ pull-request: {{ title: {} }} }}",
        "x".repeat(16_000)
    );
    let large = (0..300)
        .map(|number| Resource::sample(&object(&format!("p{number}"), &title), "team-a", number));
    let late = |namespace, number| {
        Resource::sample(
            &object(&format!("of-{namespace}"), "write: tag"),
            namespace,
            number,
        )
    };
    let resources: Vec<_> = large
        .chain([late("team-a", 400), late("team-b", 500)])
        .collect();
    let folder = folder(&settings, "");
    let config = load_with(&folder.path().join("towpath.yaml"), &resources).unwrap();
    let last = config.judged.iter().rev().take(2);
    let last: Vec<(&str, bool)> = last
        .map(|judged| (&*judged.id.name, judged.verdict == Verdict::Policy))
        .collect();
    assert_eq!(last, [("of-team-b", true), ("of-team-a", false)]);
}

#[test]
fn a_resource_writes_no_branch_of_proposals() {
    let settings = settings("{ team-a: {} }");
    let thief = with_environment(
        "thief",
        "{ name: dev, tags: { semver: '*' }, update: apps/thief, deliver: { commit: { branch: towpath/production/portal } } }",
    );
    assert_snapshot!(judged(&settings, "", &[("team-a", 1, &thief)]), @"promotionpolicies/team-a/thief: spec.environments: `dev` may not write the branch `towpath/production/portal` (what starts with `towpath/` is for proposals, of other policies too)");
}

#[test]
fn files_that_are_wrong_are_wrong_whatever_resources_there_are() {
    let settings = settings("{ team-a: {} }");
    let folder = folder(&settings, "kind: Nothing\n");
    let object = serde_yaml::from_str(&policy("api", "apps/api")).unwrap();
    let resource = Resource::sample(&object, "team-a", 1);
    assert!(load_with(&folder.path().join("towpath.yaml"), &[resource]).is_err());
}

#[test]
fn settings_of_custom_resources_that_are_wrong_say_so() {
    let wrong = settings(
        "{ Team: {}, team-a: { repositories: deplox, paths: /apps, branches: 'a[', servers: 'https://x/' , images: [] } }",
    );
    assert_snapshot!(super::tests::messages(&wrong, ""), @"
    6:35 this is no name of a Kubernetes object [a name has lower-case letters, digits, `-` and `.`]
    6:69 the settings name no repository `deplox` [known: `deploy`]
    6:84 `/apps` is no path of a repository [write it from the root of the repository: `apps/team-a`]
    6:101 `a[` is not a glob: unclosed character class; missing ']'
    6:116 `https://x/` is not the host of a server [write the host alone, without scheme or path]
    6:139 expected at least one, found an empty list
    ");
}

#[test]
fn all_that_is_wrong_with_a_resource_is_told_as_far_as_there_is_room() {
    let settings = settings("{ team-a: {} }");
    let wrong = with_environment(
        "wrong",
        "{ name: dev, tags: { semvr: '*' }, updates: a, deliver: psuh, gates: { saok: 1h } }",
    );
    let config = config(&settings, "", &[("team-a", 1, &wrong)]);
    let Verdict::Refused(problems) = &config.judged[0].verdict else {
        panic!("it is wrong")
    };
    assert_snapshot!(problems.by_key(1024), @"spec.environments[0].deliver: `psuh` is not one of `commit`, `pull-request`; spec.environments[0].gates.saok: unknown key `saok` (did you mean `soak`?); spec.environments[0].tags.semvr: unknown key `semvr` (did you mean `semver`?); spec.environments[0].updates: unknown key `updates` (did you mean `update`?)");
    let whole = problems.by_key(1024);
    assert_eq!(problems.by_key(whole.chars().count()), whole);
    assert_snapshot!(problems.by_key(whole.chars().count() - 1), @"spec.environments[0].deliver: `psuh` is not one of `commit`, `pull-request`; spec.environments[0].gates.saok: unknown key `saok` (did you mean `soak`?); spec.environments[0].tags.semvr: unknown key `semvr` (did you mean `semver`?); and 1 more");
    assert_snapshot!(problems.by_key(1), @"spec.environments[0].deliver: `psuh` is not one of `commit`, `pull-request`; and 3 more");
}

/// A route of the namespace with these environments, made before all others.
fn route(environments: &[String]) -> Arc<Resource> {
    let text = format!(
        "kind: Route\nmetadata: {{ name: standard }}\nspec: {{ repository: deploy, environments: [{}] }}\n",
        environments.join(", ")
    );
    Resource::sample(&serde_yaml::from_str(&text).unwrap(), "team-a", 0)
}

/// As many policies that name it.
fn routed(count: i64) -> impl Iterator<Item = Arc<Resource>> {
    (1..=count).map(|number| {
        let text = format!(
            "kind: PromotionPolicy\nmetadata: {{ name: p{number} }}\nspec: {{ route: standard, images: {{ app: 'ghcr.io/acme/p{number}' }} }}\n"
        );
        Resource::sample(&serde_yaml::from_str(&text).unwrap(), "team-a", number)
    })
}

/// How many policies these resources make, and what is said of the others.
fn counted(resources: impl Iterator<Item = Arc<Resource>>) -> (usize, Vec<String>) {
    let resources: Vec<_> = resources.collect();
    let folder = folder(&settings("{ team-a: {}, team-b: {} }"), "");
    let config = load_with(&folder.path().join("towpath.yaml"), &resources).unwrap();
    let judged = config.judged.iter();
    let told = judged.filter_map(|one| {
        Some(format!(
            "{}: {}",
            one.id,
            one.verdict.problems()?.by_key(1024)
        ))
    });
    (config.policies.len() + config.fleets.len(), told.collect())
}

#[test]
fn what_a_route_says_counts_for_each_policy_that_names_it() {
    let many: Vec<String> = (0..60)
        .map(|number| {
            format!(
                "{{ name: e{number}, tags: {{ semver: '*' }}, update: 'apps/{{policy}}/{{environment}}' }}"
            )
        })
        .collect();
    // 333 of 60 are 19,980.
    let with = |count| std::iter::once(route(&many)).chain(routed(count));
    assert_eq!(counted(with(333)), (333, Vec::new()));
    let (count, refused) = counted(with(334));
    assert_eq!(count, 333);
    assert_snapshot!(refused.join("\n"), @"promotionpolicies/team-a/p334: spec: the policies of a namespace have 20000 places at most, and 16777216 bytes with what their routes say, all of it counted for each image (the oldest count; fewer environments, or fewer images of one policy, need less)");

    let title = "x".repeat(16_000);
    let deliver = format!("deliver: {{ pull-request: {{ title: {title} }} }}");
    let long = [format!(
        "{{ name: dev, tags: {{ semver: '*' }}, update: 'apps/{{policy}}', {deliver} }}"
    )];
    let with = |count| std::iter::once(route(&long)).chain(routed(count));
    assert_eq!(counted(with(999)).1.len(), 0);
    let longer = [long[0].replace(&title, &"x".repeat(17_000))];
    let with = |count| std::iter::once(route(&longer)).chain(routed(count));
    assert_ne!(counted(with(999)).1.len(), 0);
}

#[test]
fn every_place_and_every_image_counts() {
    let of_lists = |count: usize| {
        let places: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
        let environment = format!(
            "{{ name: dev, tags: {{ semver: '*' }}, update: [{}] }}",
            places.join(", ")
        );
        let object = serde_yaml::from_str(&with_environment("lists", &environment)).unwrap();
        counted(std::iter::once(Resource::sample(&object, "team-a", 1))).0
    };
    assert_eq!((of_lists(2000), of_lists(20_001)), (1, 0));
    let of_images = |count: usize| {
        let mut object: serde_json::Value =
            serde_yaml::from_str(&policy("images", "'apps/{policy}'")).unwrap();
        let images = (0..count).map(|number| {
            let image = format!("ghcr.io/acme/i{number}");
            (format!("i{number}"), image.into())
        });
        object["spec"]["images"] = serde_json::Value::Object(images.collect());
        counted(std::iter::once(Resource::sample(&object, "team-a", 1))).0
    };
    // Of 250 images a text of 12 kB counts for each.
    assert_eq!((of_images(250), of_images(5000)), (1, 0));
}

#[test]
fn a_namespace_has_so_many_fleets() {
    let fleet = |number: i64| {
        let text = format!(
            "kind: PromotionPolicy\nmetadata: {{ name: f{number} }}\nspec: {{ for-each: 'f{number}/{{policy}}', repository: deploy, images: {{ app: 'ghcr.io/acme/{{policy}}' }}, environments: [{{ name: dev, tags: {{ semver: '*' }}, update: 'f{number}/{{policy}}' }}] }}\n"
        );
        Resource::sample(&serde_yaml::from_str(&text).unwrap(), "team-a", number)
    };
    assert_eq!(counted((0..100).map(fleet)), (100, Vec::new()));
    let (count, refused) = counted((0..101).map(fleet));
    assert_eq!(count, 100);
    assert_snapshot!(refused.join("\n"), @"promotionpolicies/team-a/f100: a namespace has 100 fleets at most (the oldest count; one has a policy for each folder of its convention)");
}

#[test]
fn where_the_route_of_a_namespace_is_too_much_that_of_the_files_takes_not_its_place() {
    let files = format!(
        "apiVersion: towpath.dev/v1alpha1\nkind: Route\nmetadata: {{ name: standard }}\nspec: {{ repository: deploy, environments: [{{ name: dev, tags: {{ semver: '*' }}, update: 'apps/{{policy}}' }}] }}\n---\n{POLICY}{DEV}"
    );
    let title = "x".repeat(4 * 1024 * 1024);
    let large = [format!(
        "{{ name: dev, tags: {{ semver: '*' }}, update: 'apps/{{policy}}', deliver: {{ pull-request: {{ title: {title} }} }} }}"
    )];
    let resources: Vec<_> = routed(1).chain([route(&large)]).collect();
    let folder = folder(&settings("{ team-a: {} }"), &files);
    let config = load_with(&folder.path().join("towpath.yaml"), &resources).unwrap();
    assert_eq!(names(&config), ["portal"]);
    let judged = config.judged.iter();
    let told = judged.filter_map(|one| {
        Some(format!(
            "{}: {}",
            one.id,
            one.verdict.problems()?.by_key(1024)
        ))
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    routes/team-a/standard: a namespace has 1000 policies and routes at most, with 4194304 bytes (the oldest count)
    promotionpolicies/team-a/p1: spec.route: the route `standard` is not accepted (its own conditions say why)
    ");
}
