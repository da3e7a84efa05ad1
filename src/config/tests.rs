//! What people see when settings or policies are wrong, and that good ones are read as they are meant.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{
    Config, HookSource, Problems, ProgramPlace, Proxy, RenderSettings, RepositoryUrl, Signing, load,
};
use crate::forge::Kind as ForgeKind;
use crate::image::RegistryKind;
use crate::login::{
    Aws, Azure, DockerConfig, Ecr, GithubApp, Google, GoogleIdentity, Identity, Proof, PullSecrets,
    Purpose, Role, Source, SourcesByPath, Which,
};
use crate::manifest::Write;
use crate::policy::select::choose::Downgrade;
use crate::policy::{Deliver, MergeWay, PullRequests};
use crate::registry::EventKind;
use crate::secret::{Credentials, Guard, Secret};

/// The least that a settings file can say.
pub(super) const SETTINGS: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories:
  deploy: { url: ../deploy.git }
policies: [policies]
";

/// A policy without a fault, up to its environments.
pub(super) const POLICY: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: portal }
spec:
  repository: deploy
  images: { web: ghcr.io/acme/portal-web }
  environments:
";

/// A folder with settings and one file of policies.
pub(super) fn folder(settings: &str, policies: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("towpath.yaml"), settings).unwrap();
    fs::write(folder.path().join("policies/portal.yaml"), policies).unwrap();
    folder
}

pub(super) fn load_in(folder: &Path) -> Result<Config, Problems> {
    load(&folder.join("towpath.yaml"))
}

/// The whole report, with the folder left out.
fn report(settings: &str, policies: &str) -> String {
    let folder = folder(settings, policies);
    let problems = load_in(folder.path()).expect_err("something is wrong");
    let prefix = format!("{}/", folder.path().display());
    problems.to_string().replace(&prefix, "")
}

/// The messages alone, each with its line and column.
pub(super) fn messages(settings: &str, policies: &str) -> String {
    messages_in(folder(settings, policies).path())
}

/// The same of a folder that is there.
pub(super) fn messages_in(folder: &Path) -> String {
    let problems = load_in(folder).expect_err("something is wrong");
    let line = |problem: &super::Problem| {
        let place = problem.place.as_ref();
        let place = place.map_or(String::new(), |p| format!("{}:{} ", p.line, p.column));
        let hint = problem.hint.as_ref();
        let hint = hint.map_or(String::new(), |hint| format!(" [{hint}]"));
        format!("{place}{}{hint}", problem.message)
    };
    let lines: Vec<_> = problems.list.iter().map(line).collect();
    let prefix = format!("{}/", folder.display());
    lines.join("\n").replace(&prefix, "")
}

/// Messages for one environment's YAML below [`POLICY`].
fn environment(yaml: &str) -> String {
    messages(SETTINGS, &format!("{POLICY}{yaml}"))
}

#[test]
fn a_policy_is_read_as_it_is_meant() {
    let environments = "
    - name: dev
      tags: { pattern: \"develop-{sha}\" }
      update: apps/portal/overlays/dev
    - name: production
      tags: { semver: \">=1.0.0\" }
      update: [{ helm: values.yaml, at: image }, { yaml: a.yaml, at: spec.version }]
      write: tag@digest
      deliver: { pull-request: { labels: [promotion], draft: true, auto-merge: squash } }
";
    let folder = folder(SETTINGS, &format!("{POLICY}{environments}"));
    let config = load_in(folder.path()).unwrap();
    let [policy] = &*config.policies else {
        panic!("one policy")
    };
    let [dev, production] = &*policy.environments else {
        panic!("two environments")
    };
    assert_eq!(
        (dev.write, &dev.deliver),
        (None, &Deliver::Commit { branch: None })
    );
    assert_eq!(
        (production.write, production.update.len()),
        (Some(Write::TagAndDigest), 2)
    );
    let requests = PullRequests {
        labels: ["promotion".to_owned()].into(),
        is_draft: true,
        auto_merge: Some(MergeWay::Squash),
        ..PullRequests::default()
    };
    assert_eq!(production.deliver, Deliver::PullRequest(Box::new(requests)));
    assert!(dev.rules.len() == 1 && dev.downgrade == Downgrade::Forbidden);
}

#[test]
fn settings_have_defaults_and_paths_relative_to_their_file() {
    let extra = "
registries:
  index.docker.io:
    credentials: { username: bot, password: { file: secret } }
    poll-interval: 1h 30m
  registry.example.com: { kind: harbor, page-size: 500, requests-per-second: 0.5, requests-in-flight: 2 }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    fs::write(folder.path().join("secret"), "x").unwrap();
    let config = load_in(folder.path()).unwrap();
    let settings = config.settings;
    assert_eq!(
        settings.commit.subject.to_string(),
        "promote {policy} to {environment}: {changes}"
    );
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    let registry = &settings.registries["docker.io"];
    assert_eq!(registry.poll_interval, Duration::from_secs(5400));
    assert_eq!((registry.kind, registry.pace), (None, None));
    let own = &settings.registries["registry.example.com"];
    assert_eq!(
        (own.kind, own.page_size, own.pace, own.requests_in_flight),
        (
            Some(RegistryKind::Harbor),
            Some(500),
            Some(Duration::from_secs(2)),
            Some(2)
        )
    );
    let password = Secret::File(folder.path().join("secret"));
    let username = "bot".to_owned();
    assert_eq!(
        registry.logins,
        Source::Own(Credentials::Basic { username, password }).into()
    );
    assert!(config.warnings.is_empty());
}

#[test]
fn a_docker_config_file_is_for_the_registries_without_credentials_of_their_own() {
    let extra = "
docker-config: /run/secrets/.dockerconfigjson
registries:
  a.example.com: { plain-http: true }
  b.example.com: { credentials: { docker-config: b.json } }
  c.example.com: { credentials: { token: { file: secret } } }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    fs::write(folder.path().join("secret"), "x").unwrap();
    fs::write(
        folder.path().join("b.json"),
        "{\"auths\": {\n\"b.example.com\": {\"auth\": \"hunter2!\"}}}",
    )
    .unwrap();
    let config = load_in(folder.path()).unwrap();
    let all = DockerConfig::new("/run/secrets/.dockerconfigjson".into());
    let own = DockerConfig::new(folder.path().join("b.json"));
    let token = Credentials::Token(Secret::File(folder.path().join("secret")));
    let registries = config.settings.registries.into_iter();
    let found: Vec<_> = registries
        .map(|(host, settings)| (host, settings.logins))
        .collect();
    let expected = [
        ("a.example.com", Source::DockerConfig(all.clone())),
        ("b.example.com", Source::DockerConfig(own)),
        ("c.example.com", token.into()),
    ];
    let expected = expected.map(|(host, from)| (host.to_owned(), SourcesByPath::from(from)));
    assert_eq!(found, expected);
    assert_eq!(
        config.settings.shared_login,
        Some(Source::DockerConfig(all))
    );
    let warnings: Vec<_> = config.warnings.iter().map(|w| &*w.message).collect();
    let warnings = warnings.join("\n");
    let warnings = warnings.replace(&folder.path().display().to_string(), "FOLDER");
    assert_snapshot!(warnings, @"
    failed to read the Docker config file `/run/secrets/.dockerconfigjson`: No such file or directory (os error 2)
    the entry `b.example.com` of the Docker config file `FOLDER/b.json`, line 2, has an `auth` that is not base64
    ");
}

#[test]
fn a_part_of_a_registry_has_credentials_of_its_own_and_nothing_else() {
    let extra = "
registries:
  ghcr.io/acme: { credentials: { token: { file: acme } } }
  ghcr.io: { credentials: { google: {} }, poll-interval: 1m }
  docker.io/acme/web: { credentials: { google: { service-account: pull } } }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    fs::write(folder.path().join("acme"), "x").unwrap();
    let registries = load_in(folder.path()).unwrap().settings.registries;
    let pull = GoogleIdentity::Account("pull".to_owned());
    let acme = Secret::File(folder.path().join("acme"));
    let mut ghcr = SourcesByPath::from(Source::Google(Google::Ambient));
    ghcr.insert("acme".to_owned(), Credentials::Token(acme).into());
    assert_eq!(registries["ghcr.io"].logins, ghcr);
    assert_eq!(registries["ghcr.io"].poll_interval.as_secs(), 60);
    let mut hub = SourcesByPath::default();
    hub.insert("acme/web".to_owned(), Source::Google(Google::Named(pull)));
    assert_eq!(registries["docker.io"].logins, hub);

    let extra = "
registries:
  ghcr.io/acme: { plain-http: true, page-size: 3 }
  ghcr.io/acme/: { credentials: { google: { account: x } } }
  ghcr.io/Acme: {}
";
    assert_snapshot!(messages(&format!("{SETTINGS}{extra}"), ""), @"
    8:3 `page-size` is for a whole registry, and this is a part of one [write it under `ghcr.io`]
    8:3 `plain-http` is for a whole registry, and this is a part of one [write it under `ghcr.io`]
    9:3 `ghcr.io` is sent these credentials, though by its name it is no registry that they are for
    9:3 the registry `ghcr.io/acme` stands here twice
    9:45 unknown key `account` [known here: `service-account`, `key`]
    10:3 `Acme` is not the start of a repository's path [write a registry, or a registry and whole segments: `ghcr.io/acme`]
    ");
}

#[test]
fn a_registry_has_a_certificate_of_ours_and_a_proxy_of_its_own() {
    let extra = "
registries:
  a.example.com: { proxy: none, client-certificate: { certificate: own.pem, key: own.key } }
  b.example.com: { proxy: 'http://proxy.example.com:3128' }
  c.example.com: { proxy: { url: 'https://proxy.example.com', username: bot, password: { file: own.key } } }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    for file in ["own.pem", "own.key"] {
        fs::write(folder.path().join(file), "x").unwrap();
    }
    let config = load_in(folder.path()).unwrap();
    assert!(config.warnings.is_empty());
    let registries = config.settings.registries;
    let own = registries["a.example.com"].client_certificate.clone();
    assert_eq!(own.unwrap().key, folder.path().join("own.key"));
    assert_eq!(registries["a.example.com"].proxy, Proxy::None);
    let at = |url: &str, login| Proxy::At {
        url: url.parse().unwrap(),
        login,
    };
    let plain = at("http://proxy.example.com:3128", None);
    assert_eq!(registries["b.example.com"].proxy, plain);
    let password = Secret::File(folder.path().join("own.key"));
    let login = Some(("bot".to_owned(), password));
    let with_login = at("https://proxy.example.com", login);
    assert_eq!(registries["c.example.com"].proxy, with_login);

    let extra = "
registries:
  a.example.com: { proxy: 'http://bot:hunter2@proxy.example.com' }
  b.example.com: { proxy: 'socks5://proxy.example.com' }
  c.example.com: { proxy: { url: 'http://p', username: bot, password: hunter2 } }
  d.example.com: { client-certificate: { certificate: own.pem } }
";
    assert_snapshot!(messages(&format!("{SETTINGS}{extra}"), ""), @"
    8:27 a URL never holds credentials [write `{ url: http://.., username: .., password: { env: NAME } }`]
    9:27 not the URL of an HTTP proxy [write `http://proxy.example.com:3128`, or `none` for no proxy]
    10:71 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    11:20 the key `key` is missing
    ");
}

#[test]
fn a_mirror_names_what_it_is_a_copy_of() {
    let extra = "
registries:
  harbor.example.com/hub: { mirror-of: index.docker.io }
  cache.example.com: { mirror-of: quay.io/acme, poll-interval: 1m }
";
    let settings = load_in(folder(&format!("{SETTINGS}{extra}"), "").path())
        .unwrap()
        .settings;
    let mirrors: Vec<_> = settings
        .mirrors
        .iter()
        .map(|(m, of)| format!("{m} {of}"))
        .collect();
    assert_eq!(
        mirrors,
        [
            "cache.example.com quay.io/acme",
            "harbor.example.com/hub docker.io"
        ]
    );

    let extra = "
registries:
  a.example.com: { mirror-of: a.example.com/hub }
  b.example.com/x/y: { mirror-of: b.example.com/x }
  c.example.com/x: { mirror-of: c.example.com/xy }
  d.example.com: { mirror-of: 'https://docker.io' }
";
    assert_snapshot!(messages(&format!("{SETTINGS}{extra}"), ""), @"
    8:31 `a.example.com` cannot be a mirror of `a.example.com/hub`
    9:35 `b.example.com/x/y` cannot be a mirror of `b.example.com/x`
    11:31 this is not a host [write the host alone, without scheme or path: `registry.example.com:5000`]
    ");
}

#[test]
fn an_aws_identity_is_for_the_ecr_that_the_host_or_a_region_names() {
    let extra = "
registries:
  123456789012.dkr.ecr.eu-west-1.amazonaws.com: { credentials: { aws: {} } }
  public.ecr.aws:
    credentials: { aws: { access-key-id: AKIAIOSFODNN7EXAMPLE, secret-access-key: { file: key } } }
  images.example.com:
    credentials:
      aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/pull', external-id: x }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    fs::write(folder.path().join("key"), "x").unwrap();
    let registries = load_in(folder.path()).unwrap().settings.registries;
    let ambient = |registry: Option<Ecr>| Aws {
        registry: registry.unwrap(),
        identity: Identity::Ambient,
        role: None,
    };
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let private = ambient(Ecr::of_host(host));
    assert_eq!(registries[host].logins, Source::Aws(private).into());
    let public = Aws {
        identity: Identity::Key {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::File(folder.path().join("key")),
            session_token: None,
        },
        ..ambient(Ecr::of_host("public.ecr.aws"))
    };
    assert_eq!(
        registries["public.ecr.aws"].logins,
        Source::Aws(public).into()
    );
    let named = Aws {
        role: Some(Role {
            arn: "arn:aws:iam::123456789012:role/pull".to_owned(),
            external_id: Some("x".to_owned()),
        }),
        ..ambient(Ecr::of_region("eu-west-1"))
    };
    assert_eq!(
        registries["images.example.com"].logins,
        Source::Aws(named).into()
    );
}

#[test]
fn an_aws_identity_is_whole_and_is_for_an_ecr() {
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let told = |host: &str, aws: &str| {
        let entry = format!("registries: {{ {host}: {{ credentials: {{ aws: {aws} }} }} }}\n");
        messages(&format!("{SETTINGS}{entry}"), "")
    };
    let told = [
        told("images.example.com", "{}"),
        told("images.example.com", "{ region: Ireland }"),
        told(host, "{ region: eu-west-1, external-id: x }"),
        told(host, "{ access-key-id: AKIAIOSFODNN7EXAMPLE }"),
        told(host, "{ session-token: { file: towpath.yaml } }"),
        told(
            host,
            "{ access-key-id: wJalrXUtnFEMI/K7MDENG+, secret-access-key: hunter2 }",
        ),
        told(host, "{ role: pull }"),
        messages(
            &format!("{SETTINGS}registries: {{ {host}: {{ credentials: aws }} }}\n"),
            "",
        ),
    ];
    assert_snapshot!(told.join("\n"), @"
    6:15 `images.example.com` is not a registry of ECR [write its host as `123456789012.dkr.ecr.eu-west-1.amazonaws.com` or `public.ecr.aws`; for a name of your own, write `region` beside]
    6:67 `Ireland` is not a region of AWS [such as `eu-west-1`]
    6:93 `123456789012.dkr.ecr.eu-west-1.amazonaws.com` says its region itself [remove `region`]
    6:117 `external-id` is for a `role`, and there is none
    6:15 `access-key-id` and `secret-access-key` belong together [write both, or neither for the identity that towpath runs as]
    6:15 `access-key-id` and `secret-access-key` belong together [write both, or neither for the identity that towpath runs as]
    6:100 this is not the id of an access key [capital letters and digits, such as `AKIAIOSFODNN7EXAMPLE`]
    6:143 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    6:91 `pull` is not the ARN of a role [such as `arn:aws:iam::123456789012:role/towpath`]
    6:76 expected a map, found a text [write `{ aws: {} }` for the identity that towpath runs as]
    ");
}

#[test]
fn identities_in_clouds_are_read_as_they_are_meant() {
    let extra = "
registries:
  a.azurecr.io: { credentials: { azure: {} } }
  b.azurecr.io:
    credentials: { azure: { tenant-id: contoso, client-id: app-1, client-secret: { file: secret } } }
  ghcr.io:
    credentials: { github-app: { app-id: 1234, installation-id: 5678, private-key: { file: secret } } }
  ghe.example.com:
    credentials:
      github-app: { app-id: Iv1.0a, private-key: { file: secret }, api: https://ghe.example.com/api/v3 }
  eu.gcr.io: { credentials: { google: { key: { file: secret } } } }
  r.example.com: { credentials: { azure: { client-id: app-1 } } }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    fs::write(folder.path().join("secret"), "x").unwrap();
    let config = load_in(folder.path()).unwrap();
    let secret = || Secret::File(folder.path().join("secret"));
    let ambient = |client_id: Option<&str>| {
        Source::Azure(Azure::Ambient {
            tenant_id: None,
            client_id: client_id.map(str::to_owned),
        })
    };
    let application = Azure::Application {
        tenant_id: "contoso".to_owned(),
        client_id: "app-1".to_owned(),
        proof: Proof::Secret(secret()),
    };
    let app = |app_id: &str, installation_id, api: Option<&str>| {
        Source::GithubApp(GithubApp {
            app_id: app_id.to_owned(),
            installation_id,
            private_key: secret(),
            api: api.map(|api| api.parse().unwrap()),
            purpose: Purpose::Packages,
        })
    };
    let key = Google::Named(GoogleIdentity::Key(secret()));
    let api = Some("https://ghe.example.com/api/v3");
    for (host, source) in [
        ("a.azurecr.io", ambient(None)),
        ("b.azurecr.io", Source::Azure(application)),
        ("ghcr.io", app("1234", Some(5678), None)),
        ("ghe.example.com", app("Iv1.0a", None, api)),
        ("eu.gcr.io", Source::Google(key)),
        ("r.example.com", ambient(Some("app-1"))),
    ] {
        let logins = &config.settings.registries[host].logins;
        assert_eq!(logins, &SourcesByPath::from(source), "{host}");
    }
    let warnings: Vec<_> = config.warnings.iter().map(|w| &*w.message).collect();
    assert_snapshot!(warnings.join("\n"), @"`r.example.com` is sent these credentials, though by its name it is no registry that they are for");
}

#[test]
fn what_an_identity_lacks_or_has_twice_is_told() {
    let extra = "
registries:
  a.azurecr.io: { credentials: { azure: { client-id: app-1, client-secret: { file: one } } } }
  b.azurecr.io:
    credentials: { azure: { client-secret: { file: one }, client-certificate: { file: two } } }
  c.azurecr.io: { credentials: { azure: { client-secret: hunter2 } } }
  ghcr.io/a: { credentials: { github-app: { app-id: 1234 } } }
  ghcr.io/b:
    credentials:
      github-app:
        app-id: hunter 2
        installation-id: hunter2
        private-key: hunter2
        api: http://ghe.example.com/hunter2
  a.pkg.dev: { credentials: { google: { service-account: pull, key: { file: one } } } }
  b.pkg.dev: { credentials: { google: {}, azure: {} } }
  r.example.com: { credentials: { ssh-key: { file: one } } }
";
    let told = messages(&format!("{SETTINGS}{extra}"), "");
    assert!(!told.contains("hunter"), "{told}");
    assert_snapshot!(told, @"
    8:84 an application needs a `tenant-id` and a `client-id` too
    8:84 failed to read the secret in `one`
    10:87 `client-secret` and `client-certificate` cannot stand together
    11:58 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    12:31 the key `private-key` is missing
    16:17 this is not the id of a GitHub App [its settings page shows the app id, such as `123456`, and the client id]
    17:26 this is not the number of an installation [it stands at the end of the URL of the installation's page]
    18:22 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    19:14 this is not the URL of an API over https [that of a GitHub Enterprise Server is `https://HOST/api/v3`]
    20:77 `service-account` and `key` cannot stand together
    21:43 `azure` and `google` cannot stand together
    22:20 expected one of `aws`, `azure`, `docker-config`, `github-app`, `google`, `pull-secret`, `pull-secrets`, `service-account`, `token`, `username`, `password`
    ");
    let report = report(&format!("{SETTINGS}{extra}"), "");
    assert!(!report.contains("hunter"), "{report}");
    let git =
        "url: ../deploy.git, credentials: { github-app: { app-id: 1 }, token: { env: HOME } }";
    let git = SETTINGS.replace("url: ../deploy.git", git);
    assert_snapshot!(messages(&git, ""), @"4:75 `github-app` and `token` cannot stand together");
}

#[test]
fn a_docker_config_file_is_a_path_and_stands_alone() {
    let told = |credentials: &str| {
        let entry = format!("registries: {{ a.example.com: {{ credentials: {credentials} }} }}\n");
        messages(&format!("{SETTINGS}{entry}"), "")
    };
    let of_git = "url: ../deploy.git, credentials: { docker-config: a.json }";
    let told = [
        told("{ docker-config: a.json, username: bot }"),
        told("{ docker-config: { auths: { a: { auth: hunter2 } } } }"),
        told("{ docker-confg: a.json }"),
        messages(&SETTINGS.replace("url: ../deploy.git", of_git), ""),
    ];
    assert_snapshot!(told.join("\n"), @"
    6:70 `docker-config` and `username` cannot stand together
    6:62 expected a text, found a map
    6:47 unknown key `docker-confg` [did you mean `docker-config`?]
    4:33 expected one of `github-app`, `ssh-key`, `token`, `username`, `password`
    ");
    let inline = "docker-config: { auths: { a.example.com: { auth: hunter2 } } }";
    let report = report(&format!("{SETTINGS}{inline}\n"), "");
    assert!(report.contains("auth: ***"), "{report}");
}

#[test]
fn pull_secrets_are_named_for_a_registry_or_for_all_that_have_nothing_of_their_own() {
    let extra = "
credentials: { pull-secret: all }
registries:
  a.example.com: { plain-http: true }
  b.example.com: { credentials: { pull-secrets: [one, two.x], namespace: apps } }
  b.example.com/acme: { credentials: { service-account: default } }
";
    let folder = folder(&format!("{SETTINGS}{extra}"), "");
    let settings = load_in(folder.path()).unwrap().settings;
    let secrets = |namespace: Option<&str>, which| {
        let namespace = namespace.map(str::to_owned);
        Source::PullSecrets(PullSecrets { namespace, which })
    };
    let named = |names: &[&str]| Which::Named(names.iter().map(|name| (*name).into()).collect());
    let all = secrets(None, named(&["all"]));
    assert_eq!(settings.shared_login, Some(all.clone()));
    let logins = |host: &str| settings.registries[host].logins.clone();
    assert_eq!(logins("a.example.com"), all.into());
    let mut b = SourcesByPath::from(secrets(Some("apps"), named(&["one", "two.x"])));
    let account = Which::ServiceAccount("default".to_owned());
    b.insert("acme".to_owned(), secrets(None, account));
    assert_eq!(logins("b.example.com"), b);

    let told = |line: &str| messages(&format!("{SETTINGS}{line}\n"), "");
    let told = [
        told("credentials: { pull-secret: a }\ndocker-config: b.json"),
        told("credentials: { pull-secret: a, service-account: b }"),
        told("credentials: { pull-secret: hunter2/../x }"),
        told("credentials: { pull-secrets: [] }"),
        told("credentials: { pull-secrets: [a, A], namespace: [x] }"),
        told("credentials: { token: { env: X } }"),
        told("credentials: hunter2"),
    ];
    assert_snapshot!(told.join("\n"), @"
    7:16 `docker-config` and `credentials` cannot stand together
    7:16 failed to read the Docker config file `b.json`: No such file or directory (os error 2)
    6:32 `pull-secret` and `service-account` cannot stand together
    6:29 this is no name of a Kubernetes object [a name has lower-case letters, digits, `-` and `.`]
    6:30 expected at least one, found an empty list
    6:34 this is no name of a Kubernetes object [a name has lower-case letters, digits, `-` and `.`]
    6:49 expected a text, found a list
    6:1 expected one of `pull-secret`, `pull-secrets`, `service-account`
    6:14 expected a map such as `{ pull-secret: NAME }`, found a text
    ");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let settings = SETTINGS.replace("url: ../deploy.git", "url: ../deploy.git, brnch: main");
    assert_snapshot!(report(&settings, ""), @"
    error: unknown key `brnch`
      --> towpath.yaml:4:33
        |
      4 |   deploy: { url: ../deploy.git, brnch: main }
        |                                 ^^^^^
      at: repositories.deploy.brnch
      hint: did you mean `branch`?
    ");
    assert_snapshot!(environment("  - { name: dev, tags: { semverr: 1.x }, udpate: a, allowDowngrade: true }"), @"
    8:26 unknown key `semverr` [did you mean `semver`?]
    8:42 unknown key `udpate` [did you mean `update`?]
    8:53 unknown key `allowDowngrade` [did you mean `allow-downgrade`?]
    ");
    assert_snapshot!(environment("  - { name: dev, tags: { semver: 1.x }, update: a, colour: red }"), @"8:52 unknown key `colour` [known here: `name`, `tags`, `after`, `same`, `update`, `write`, `deliver`, `allow-downgrade`, `gates`, `argo-cd`, `on-degraded`]");
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    assert_snapshot!(environment("  - { name: [dev], tags: 1.x, update: { helm: a.yaml }, allow-downgrade: yes }"), @r#"
    8:13 expected a text, found a list
    8:26 expected a map, found a text [write `tags: { semver: ">=1.0" }`; `pattern`, `regex` and `follow` say it of tags of other forms]
    8:31 the key `at` is missing
    8:74 expected `true` or `false`, found a text [write `true`]
    "#);
    assert_snapshot!(environment("  - { name: dev, tags: { semver: 1.10 }, update: a }"), @r#"8:34 expected a text, found a number [write it in quotes: "1.10"]"#);
    assert_snapshot!(environment("  - { name: dev, tags: { semver: 1.x, prerelease: true }, update: a }"), @"8:51 `true` is not a label of pre-releases: write `any`, or labels such as `rc`");
    assert_snapshot!(environment("  - name: dev\n    tags:\n    update: []\n"), @r#"
    9:5 expected a map, found nothing [write `tags: { semver: ">=1.0" }`; `pattern`, `regex` and `follow` say it of tags of other forms]
    10:13 expected at least one, found an empty list
    "#);
    assert_snapshot!(messages(&SETTINGS.replace("[policies]", "policies"), ""), @"5:11 expected a list, found a text");
}

#[test]
fn a_duplicate_key_is_refused() {
    let twice = format!(
        "{POLICY}  - {{ name: dev, tags: {{ semver: 1.x }}, update: a }}\n  images: {{ a: b/c }}\n"
    );
    assert_snapshot!(report(SETTINGS, &twice), @"
    error: the key `images` stands here twice; first in line 6
      --> policies/portal.yaml:9:3
        |
      9 |   images: { a: b/c }
        |   ^^^^^^
      at: spec.images
    ");
}

#[test]
fn a_missing_key_is_reported_once_and_where_it_belongs() {
    let policy = "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {}\nspec:\n  repository: deploy\n";
    assert_snapshot!(messages(SETTINGS, policy), @"3:1 the key `name` is missing");
    let misspelled = POLICY.replace("repository", "repositry");
    let policy = format!("{misspelled}  - {{ name: dev, tags: {{ semver: 1.x }}, update: a }}");
    assert_snapshot!(messages(SETTINGS, &policy), @"5:3 unknown key `repositry` [did you mean `repository`?]");
    assert_snapshot!(environment("  - { name: dev, update: a }"), @r#"8:3 `dev` does not say which versions may come here [add `tags: { semver: ">=1.0.0" }`, for example, or `after` with the environment that they come from]"#);
}

#[test]
fn a_wrong_rule_points_into_the_text() {
    let wrong = "  - name: dev\n    tags: { semver: \">=1.2 <x.y\", newest-by: commitz, ignore: [\"[\"] }\n    update: a\n";
    assert_snapshot!(report(SETTINGS, &format!("{POLICY}{wrong}")), @r#"
    error: `x.y` is not a version such as `1.2.3`, `1.2` or `1.x`, with one of `^ ~ > >= < <= = !=` before it
      --> policies/portal.yaml:9:29
        |
      9 |     tags: { semver: ">=1.2 <x.y", newest-by: commitz, ignore: ["["] }
        |                             ^^^
      at: spec.environments[0].tags.semver

    error: `commitz` is not an order (did you mean `commits`?): write one of `version`, `number`, `timestamp`, `commits`, `pushed`, `created`, `first-seen`
      --> policies/portal.yaml:9:46
        |
      9 |     tags: { semver: ">=1.2 <x.y", newest-by: commitz, ignore: ["["] }
        |                                              ^^^^^^^
      at: spec.environments[0].tags.newest-by

    error: `[` is not a glob: unclosed character class; missing ']'
      --> policies/portal.yaml:9:64
        |
      9 |     tags: { semver: ">=1.2 <x.y", newest-by: commitz, ignore: ["["] }
        |                                                                ^^^
      at: spec.environments[0].tags.ignore[0]
    "#);
}

#[test]
fn a_source_is_a_repository_of_the_settings_with_its_branch_or_another() {
    let tags = |source: &str| format!("{{ pattern: 'main-{{sha}}', source: {source} }}");
    let wrong = format!(
        "
    - {{ name: dev, tags: {}, update: a }}
    - {{ name: qa, tags: {}, update: b }}
    - {{ name: next, tags: {}, update: c }}
    - {{ name: prod, tags: {{ semver: '*', source: deploy }}, update: d }}
",
        tags("code"),
        tags("{ repository: deploy, branc: main }"),
        tags("{ repository: deploy, branch: 'a b' }"),
    );
    assert_snapshot!(environment(&wrong), @"
    9:59 the settings name no repository `code` [known: `deploy`]
    10:80 unknown key `branc` [did you mean `branch`?]
    11:90 `a b` is not a branch name
    12:50 `source` orders nothing here: it needs `{sha}` in the pattern, and `newest-by: commits` where something else would order
    ");
    let settings = SETTINGS.replace(
        "repositories:\n",
        "repositories:\n  code: { url: ../code.git, branch: trunk }\n",
    );
    let right = format!(
        "{POLICY}
    - {{ name: dev, tags: {}, update: a }}
    - {{ name: qa, tags: {}, update: b }}
",
        tags("code"),
        tags("{ repository: code, branch: release }"),
    );
    let folder = folder(&settings, &right);
    let config = load(&folder.path().join("towpath.yaml")).unwrap();
    let environments = config.policies[0].environments.iter();
    let rules = environments.flat_map(|environment| environment.rules.values());
    let sources = rules.filter_map(|rule| rule.source());
    let sources: Vec<String> = sources.map(ToString::to_string).collect();
    assert_eq!(sources, ["`trunk` in `code`", "`release` in `code`"]);
}

#[test]
fn a_followed_tag_cannot_be_written_by_its_name() {
    assert_snapshot!(environment("
    - { name: dev, tags: { follow: latest }, update: a, write: tag }
    - { name: qa, tags: { follow: latest }, update: b }
    - { name: next, tags: { follow: latest }, update: c, write: tag@digest }
    - { name: prod, tags: { semver: '*' }, update: d, write: tag }
"), @"9:64 a followed tag keeps its name, so writing it would change nothing [write `digest` or `tag@digest`, or leave `write` out]");
}

#[test]
fn what_this_version_cannot_do_is_recognised() {
    let later = "  - { name: dev, gates: { healthy: true }, tags: { semver: 1.x }, update: a }";
    assert_snapshot!(environment(later), @"8:36 `healthy` is about how a version is in the environment before, and there is none [name it with `after`, or leave `healthy` out]");
}

#[test]
fn an_ssh_url_has_a_key_and_known_hosts_and_others_have_none() {
    let with = |repository: &str| SETTINGS.replace("url: ../deploy.git", repository);
    let alone = with("url: git@git.example.com:acme/deploy.git");
    assert_snapshot!(messages(&alone, ""), @"
    4:18 an SSH URL is logged in to with a key, and none is named [write `credentials: { ssh-key: { file: PATH } }`]
    4:18 the keys by which the host is known are not named [write `known-hosts: FILE`, with what `ssh-keyscan HOST` prints in the file, after comparing it with what the server's operator publishes]
    ");
    let token =
        "url: ssh://git@h:22/x, credentials: { token: { env: HOME } }, known-hosts: towpath.yaml";
    assert_snapshot!(messages(&with(token), ""), @"4:18 an SSH URL is logged in to with a key, and none is named [write `credentials: { ssh-key: { file: PATH } }`]");
    let no_ssh =
        "url: https://h/x, credentials: { ssh-key: { env: HOME } }, known-hosts: towpath.yaml";
    assert_snapshot!(messages(&with(no_ssh), ""), @"
    4:62 `ssh-key` is for SSH URLs, and this repository's is none
    4:85 `known-hosts` is for SSH URLs, and this repository's is none
    ");
    let both = "url: git@h:x, credentials: { ssh-key: { env: HOME }, token: { env: HOME } }";
    assert_snapshot!(messages(&with(both), ""), @"
    4:18 an SSH URL is logged in to with a key, and none is named [write `credentials: { ssh-key: { file: PATH } }`]
    4:18 the keys by which the host is known are not named [write `known-hosts: FILE`, with what `ssh-keyscan HOST` prints in the file, after comparing it with what the server's operator publishes]
    4:66 `ssh-key` and `token` cannot stand together
    ");
    let password = "url: ssh://git:hunter2@h/x";
    assert_snapshot!(messages(&with(password), ""), @"4:18 not the address of a repository over SSH: a password never stands in it [such as `git@git.example.com:acme/deploy.git` or `ssh://git@git.example.com:2222/acme/deploy.git`]");
    let gone = "url: git@h:x, credentials: { ssh-key: { file: gone }, passphrase: hunter2 }, known-hosts: gone";
    assert_snapshot!(messages(&with(gone), ""), @"
    4:59 failed to read the secret in `gone`
    4:79 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    4:103 there is no file `gone`
    ");
    let good = "url: git@h:x, credentials: { ssh-key: { env: HOME }, passphrase: { env: HOME } }, known-hosts: towpath.yaml";
    let folder = folder(&with(good), "");
    let config = load_in(folder.path()).unwrap();
    let RepositoryUrl::Ssh { address, login } =
        &config.settings.repositories.values().next().unwrap().url
    else {
        panic!("it is an SSH URL");
    };
    assert_eq!(address.to_string(), "git@h:x");
    assert_eq!(login.known_hosts, folder.path().join("towpath.yaml"));
    assert!(login.key.passphrase.is_some());
}

#[test]
fn depth_push_options_and_the_signing_key_are_checked() {
    let wrong = "url: ../deploy.git, depth: 1, push-options: [\"a\\tb\", ci.skip]";
    let wrong = SETTINGS.replace("url: ../deploy.git", wrong);
    let sign = "commit: { sign: { ssh-key: hunter2 } }\n";
    assert_snapshot!(messages(&format!("{wrong}{sign}"), ""), @"
    4:40 `1` is not a number from 2 to 1000000
    4:58 this is not an option of a push [such as `ci.skip`]
    6:28 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    ");
    let both = "{ sign: { gpg-key: { env: HOME }, ssh-key: { env: HOME } } }";
    assert_snapshot!(messages(&format!("{SETTINGS}commit: {both}\n"), ""), @"6:43 `ssh-key` and `gpg-key` cannot stand together");
    let good = "url: ../deploy.git, depth: 500, push-options: [ci.skip]";
    let good = SETTINGS.replace("url: ../deploy.git", good);
    let folder = folder(
        &format!("{good}commit: {{ sign: {{ gpg-key: {{ env: HOME }} }} }}\n"),
        "",
    );
    let settings = load_in(folder.path()).unwrap().settings;
    let repository = settings.repositories.values().next().unwrap();
    assert_eq!(repository.depth, Some(500));
    assert_eq!(repository.push_options, ["ci.skip"]);
    assert!(settings.commit.sign.is_some());
}

#[test]
fn a_forge_signs_commits_only_where_each_repository_that_is_promoted_to_is_on_one_that_does() {
    let policy = format!("{POLICY}    - {{ name: dev, tags: {{ semver: 1.x }}, update: a }}\n");
    let on = |repository: &str| {
        let settings = SETTINGS.replace("url: ../deploy.git", repository);
        format!("{settings}commit: {{ sign: forge }}\n")
    };
    let wrong = |repository: &str| messages(&on(repository), &policy);
    let login = "credentials: { token: { env: HOME } }";
    assert_snapshot!(wrong("url: ../deploy.git"), @"6:17 `deploy` has no forge that could sign [sign with a key (`ssh-key`), which every forge takes]");
    assert_snapshot!(wrong(&format!("url: 'https://codeberg.org/a/b', {login}")), @"6:17 `deploy` is on Gitea, which signs no commits by its API [sign with a key (`ssh-key`), which every forge takes]");
    assert_snapshot!(wrong(&format!("url: 'https://git.example.com/a/b', {login}")), @"6:17 no forge is known for `deploy`: which product hosts `git.example.com` cannot be told from its name [in the settings of `deploy`, name the product, such as `forge: gitlab`]");
    assert_snapshot!(wrong("url: 'https://github.com/a/b'"), @"6:17 `deploy` names no login for the API of its forge, which makes the commits [write `credentials` under the `forge` of `deploy`, or of `deploy` itself]");
    let other = format!("{SETTINGS}commit: {{ sign: github }}\n");
    assert_snapshot!(messages(&other, &policy), @"6:17 expected `forge`, or a map such as `{ ssh-key: { file: PATH } }`, found a text");

    let github = on(&format!("url: 'https://github.com/a/b', {login}"));
    let gitlab = on(&format!("url: 'https://gitlab.com/a/b', {login}"));
    // A repository that nothing is promoted to may be anywhere.
    let unused = (on("url: ../deploy.git"), String::new());
    for (settings, policies) in [(github, policy.clone()), (gitlab, policy), unused] {
        let folder = folder(&settings, &policies);
        let config = load_in(folder.path()).unwrap();
        assert_eq!(config.settings.commit.sign, Some(Signing::Forge));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}

#[test]
fn one_place_has_one_environment_however_it_is_written() {
    let twice = "
    - { name: dev, tags: { semver: 1.x }, update: [a, { helm: v.yaml, at: image.tag }] }
    - { name: qa, tags: { semver: 1.x }, update: a, deliver: { commit: { branch: main } } }
    - { name: prod, tags: { semver: 1.x }, update: { yaml: v.yaml, at: image.tag } }
    - { name: next, tags: { semver: 1.x }, update: a, deliver: { commit: { branch: next } } }
";
    assert_snapshot!(environment(twice), @"
    10:50 `dev` of `portal` writes here too, in policies/portal.yaml:9:52
    11:52 `dev` of `portal` writes here too, in policies/portal.yaml:9:55
    ");
}

#[test]
fn what_is_proposed_together_goes_to_one_branch() {
    let environment = |branch: &str, folder: &str| {
        format!(
            "  - {{ name: prod, tags: {{ semver: 1.x }}, update: {folder}, deliver: {{ pull-request: {{ group: environment, branch: {branch} }} }} }}\n"
        )
    };
    let portal = format!("{POLICY}{}", environment("main", "apps/portal"));
    let shop = POLICY.replace("name: portal", "name: shop");
    let both = format!("{portal}---\n{shop}{}", environment("release", "apps/shop"));
    assert_snapshot!(messages(SETTINGS, &both), @"17:13 what is proposed for `prod` together goes to one branch: here to `release`, and to `main` in policies/portal.yaml:8:13 [name the same `branch`, or leave `group: environment` out]");
}

#[test]
fn an_image_that_is_written_nowhere_is_told() {
    let policy = POLICY.replace(
        "{ web: ghcr.io/acme/portal-web }",
        "{ web: a.b/web, api: a.b/api }",
    );
    let update =
        "  - { name: dev, tags: { semver: 1.x }, update: { helm: v.yaml, at: image, image: web } }";
    assert_snapshot!(messages(SETTINGS, &format!("{policy}{update}")), @"6:27 no environment says where `api` is written");
}

#[test]
fn names_must_be_known() {
    let wrong = format!("{POLICY}  - {{ name: dev, tags: {{ semver: 1.x }}, update: {{ helm: v.yaml, at: image, image: wbe }} }}")
        .replace("repository: deploy", "repository: deplyo");
    assert_snapshot!(messages(SETTINGS, &wrong), @"
    5:15 the settings name no repository `deplyo` [known: `deploy`]
    8:83 the policy has no image `wbe` [known: `web`]
    ");
}

#[test]
fn two_that_claim_the_same_show_both_places() {
    let environment = "  - { name: dev, tags: { semver: 1.x }, update: apps/portal }\n";
    let other =
        "  - { name: dev, tags: { semver: 2.x }, update: apps/portal/kustomization.yaml }\n";
    let policies = format!("{POLICY}{environment}{other}---\n{POLICY}{environment}");
    assert_snapshot!(report(SETTINGS, &policies), @"
    error: a second environment `dev`; the first is in policies/portal.yaml:8:13
      --> policies/portal.yaml:9:13
        |
      9 |   - { name: dev, tags: { semver: 2.x }, update: apps/portal/kustomization.yaml }
        |             ^^^
      at: spec.environments[1].name

    error: `dev` of `portal` writes here too, in policies/portal.yaml:8:49
      --> policies/portal.yaml:9:49
        |
      9 |   - { name: dev, tags: { semver: 2.x }, update: apps/portal/kustomization.yaml }
        |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      at: spec.environments[1].update

    error: a second policy `portal`; the first is in policies/portal.yaml:3:19
      --> policies/portal.yaml:13:19
        |
     13 | metadata: { name: portal }
        |                   ^^^^^^
      at: metadata.name

    error: `dev` of `portal` writes here too, in policies/portal.yaml:8:49
      --> policies/portal.yaml:18:49
        |
     18 |   - { name: dev, tags: { semver: 1.x }, update: apps/portal }
        |                                                 ^^^^^^^^^^^
      at: spec.environments[0].update
    ");
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    let settings = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories:
  one: { url: 'https://bot:hunter2@git.example.com/a.git', credentials: { token: hunter2 } }
  two:
    url: https://git.example.com/b.git
    credentials: { tokn: hunter2, password: { env: hunter 2 } }
  three: { url: http://git.example.com/c.git, token: hunter2 }
policies: []
";
    let report = report(settings, "");
    assert!(!report.contains("hunter"), "{report}");
    assert_snapshot!(report, @"
    error: a URL never holds credentials
      --> towpath.yaml:4:15
        |
      4 |   one: { url: 'https://***@git.example.com/a.git', credentials: { token: *** } }
        |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      at: repositories.one.url
      hint: remove the part before `@`; name the secret under `credentials`

    error: a secret is never written in this file
      --> towpath.yaml:4:82
        |
      4 |   one: { url: 'https://***@git.example.com/a.git', credentials: { token: *** } }
        |                                                                          ^^^
      at: repositories.one.credentials.token
      hint: name where it is kept: `{ env: NAME }` or `{ file: PATH }`

    error: the key `username` is missing
      --> towpath.yaml:7:5
        |
      7 |     credentials: { tokn: ***, password: { env: *** } }
        |     ^^^^^^^^^^^
      at: repositories.two.credentials

    error: unknown key `tokn`
      --> towpath.yaml:7:20
        |
      7 |     credentials: { tokn: ***, password: { env: *** } }
        |                    ^^^^
      at: repositories.two.credentials.tokn
      hint: known here: `username`, `password`

    error: this is not the name of an environment variable
      --> towpath.yaml:7:52
        |
      7 |     credentials: { tokn: ***, password: { env: *** } }
        |                                                ^^^
      at: repositories.two.credentials.password.env
      hint: letters, digits and `_`, such as `DEPLOY_TOKEN`

    error: this URL has no TLS, so anyone on the way can read and change what is sent
      --> towpath.yaml:8:17
        |
      8 |   three: { url: http://git.example.com/c.git, token: *** }
        |                 ^^^^
      at: repositories.three.url
      hint: use https, or allow it with `plain-http: true`

    error: unknown key `token`
      --> towpath.yaml:8:47
        |
      8 |   three: { url: http://git.example.com/c.git, token: *** }
        |                                               ^^^^^
      at: repositories.three.token
      hint: known here: `url`, `branch`, `credentials`, `known-hosts`, `plain-http`, `ca-file`, `poll-interval`, `depth`, `push-options`, `forge`
    ");
    let broken = settings.replace("policies: []", "policies: [\nx");
    assert!(!self::report(&broken, "").contains("hunter"));
    let not_yaml = settings.replace("{ token: hunter2 }", "{ token: hunter2");
    assert!(!self::report(&not_yaml, "").contains("hunter"));
}

#[test]
fn an_interval_is_a_second_to_a_year() {
    let with = |interval: &str| {
        let entry = format!("{{ url: ../deploy.git, poll-interval: {interval} }}");
        SETTINGS.replace("{ url: ../deploy.git }", &entry)
    };
    for good in ["1s", "365d"] {
        assert!(load_in(folder(&with(good), "").path()).is_ok(), "{good}");
    }
    let bad = ["999ms", "366d", "18446744073709551615s"];
    let all = bad.map(|interval| messages(&with(interval), ""));
    assert_snapshot!(all.join("\n"), @"
    4:48 `999ms` is too short; the least is `1s`
    4:48 `366d` is too long; the most is `365d`
    4:48 `18446744073709551615s` is too long; the most is `365d`
    ");
}

#[test]
fn urls_and_durations_say_what_they_lack() {
    let settings = SETTINGS.replace(
        "{ url: ../deploy.git }",
        "{ url: http://git.example.com/a.git, poll-interval: 90, branch: 'a..b' }",
    );
    let settings = format!(
        "{settings}commit: {{ subject: 'promote {{polcy}}' }}\nlisten: '8080'\nregistries: {{ 'https://a.b': {{ page-size: 0, kind: dockerhub, requests-per-second: NaN, requests-in-flight: 65 }} }}\n"
    );
    assert_snapshot!(messages(&settings, ""), @"
    4:18 this URL has no TLS, so anyone on the way can read and change what is sent [use https, or allow it with `plain-http: true`]
    4:63 the duration `90` has no unit [write `90s`, `90m` or `90h`]
    4:75 `a..b` is not a branch name
    6:29 unknown part `{polcy}` [known: `{policy}`, `{environment}`, `{changes}`]
    7:9 `8080` is not an address and a port [write `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces]
    8:15 this is not a host [write the host alone, without scheme or path: `registry.example.com:5000`]
    8:43 `0` is not a number from 1 to 10000
    8:52 `dockerhub` is not a kind of registry [did you mean `docker-hub`?]
    8:84 `NaN` is not a number from 0.01 to 1000
    8:109 `65` is not a number from 1 to 64
    ");
}

#[test]
fn a_template_of_a_pull_request_is_read_with_the_policies() {
    let policy = |options: &str| {
        format!(
            "apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: {{ name: portal }}
spec:
  repository: deploy
  images: {{ web: ghcr.io/acme/web }}
  environments:
    - name: production
      tags: {{ semver: '>=1.0.0' }}
      update: apps/portal
      deliver: {{ pull-request: {{ {options} }} }}
"
        )
    };
    let refused = |options: &str| messages(SETTINGS, &policy(options));
    assert_snapshot!(refused("title: 'to {{ enviroment }}'"), @"11:48 unknown name `enviroment`, known are `branch`, `environment`, `images`, `policies`, `policy`, `repository`, `subject` (line 1, column 7 of the template)");
    assert_snapshot!(refused(r#"body: "{{ body }}\n{% set x = body %}""#), @"11:40 unknown statement `set`, known are `if`, `elif`, `else`, `endif`, `for`, `endfor` (line 2, column 3 of the template)");
    assert_snapshot!(refused("title: '{{ body }}', body: ''"), @"
    11:45 unknown name `body`, known are `branch`, `environment`, `images`, `policies`, `policy`, `repository`, `subject` (line 1, column 4 of the template)
    11:62 a template says something (line 1, column 1 of the template)
    ");
    let options = "title: '[{{ environment }}] {{ subject }}', body: '{{ body }}'";
    let folder = folder(SETTINGS, &policy(options));
    let loaded = load_in(folder.path()).unwrap();
    let Deliver::PullRequest(requests) = &loaded.policies[0].environments[0].deliver else {
        panic!("a pull request")
    };
    assert!(requests.title.is_some() && requests.body.is_some());
}

#[test]
fn a_subject_has_no_brace_but_those_of_its_parts() {
    let subject =
        |text: &str| messages(&format!("{SETTINGS}commit: {{ subject: '{text}' }}\n"), "");
    assert_snapshot!(subject("a } b"), @"6:23 unknown part `}` [known: `{policy}`, `{environment}`, `{changes}`]");
    assert_snapshot!(subject("{policy}}"), @"6:29 unknown part `}` [known: `{policy}`, `{environment}`, `{changes}`]");
    assert_snapshot!(subject("{po{policy}"), @"6:21 unknown part `{po{policy}` [known: `{policy}`, `{environment}`, `{changes}`]");
}

#[test]
fn what_is_not_yaml_names_the_place() {
    assert_snapshot!(report(SETTINGS, "a: [1, 2\nb: c\n"), @"
    error: not valid YAML: illegal placement of ':' indicator
      --> policies/portal.yaml:2:2
        |
      2 | b: c
        |  ^
    ");
    assert_snapshot!(messages(SETTINGS, "a: &x 1\nb: *x\nc: !secret d\n"), @"
    1:1 the key `kind` is missing [write `kind: PromotionPolicy`, `kind: Route` or `kind: Settings`]
    2:4 aliases are not supported: write the value out
    3:12 YAML tags are not supported here
    ");
    assert_snapshot!(messages(SETTINGS, "kind: {{ .Values.kind }}\n"), @"1:8 a key must be a plain text, and braces in a value need quotes");
}

#[test]
fn each_document_says_what_it_is() {
    let policies =
        "x: 1\n---\n- a\n---\nkind: PromotionPolice\n---\nkind: Settings\n---\n# nothing\n";
    assert_snapshot!(messages(SETTINGS, policies), @"
    1:1 the key `kind` is missing [write `kind: PromotionPolicy`, `kind: Route` or `kind: Settings`]
    3:1 expected a map, found a list
    5:7 unknown kind `PromotionPolice` [did you mean `PromotionPolicy`?]
    7:7 settings stand in the settings file alone
    ");
    assert_snapshot!(messages(&format!("{SETTINGS}---\nkind: Settings\n"), ""), @"7:1 a second `Settings` document");
    assert_snapshot!(messages("apiVersion: towpath.dev/v2\nkind: PromotionPolicy\n", ""), @"
    1:1 there is no document of kind `Settings` in this file
    1:1 the key `metadata` is missing
    1:1 the key `spec` is missing
    1:13 unknown version `towpath.dev/v2` [this version of towpath reads `towpath.dev/v1alpha1`]
    ");
    assert_snapshot!(messages("", ""), @"1:1 there is no document of kind `Settings` in this file");
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder(SETTINGS, "");
    let missing = load(&folder.path().join("nowhere.yaml")).unwrap_err();
    assert_eq!(missing.list.len(), 1);
    assert!(
        missing.list[0]
            .message
            .starts_with("there is no file or folder")
    );
    assert_snapshot!(messages(&SETTINGS.replace("[policies]", "[policies, nowhere]"), ""), @"5:22 there is no file or folder `nowhere`");
}

#[test]
fn an_unset_secret_is_a_warning() {
    let credentials = "url: ../deploy.git, credentials: { token: { env: TOWPATH_TEST_UNSET } }";
    let settings = SETTINGS.replace("url: ../deploy.git", credentials);
    let config = load_in(folder(&settings, "").path()).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(|w| &*w.message).collect();
    assert_eq!(
        warnings,
        ["the environment variable `TOWPATH_TEST_UNSET` is not set"]
    );
}

#[test]
fn hooks_are_read_with_one_source_or_several() {
    let hooks = "
hooks:
  listen: 0.0.0.0:8081
  registry:
    harbor:
      - { token: { file: one }, host: harbor.example.com }
      - { token: { env: TOWPATH_TEST_UNSET } }
    ghcr: { hmac: { file: one } }
    distribution: { unauthenticated: true }
";
    let folder = folder(&format!("{SETTINGS}{hooks}"), "");
    fs::write(folder.path().join("one"), "x").unwrap();
    let config = load_in(folder.path()).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(|w| &*w.message).collect();
    assert_eq!(
        warnings,
        ["the environment variable `TOWPATH_TEST_UNSET` is not set"]
    );
    let hooks = config.settings.hooks.unwrap();
    assert_eq!(hooks.listen.to_string(), "0.0.0.0:8081");
    let one = || Secret::File(folder.path().join("one"));
    let source = |guard, host: Option<&str>| HookSource {
        guard,
        host: host.map(str::to_owned),
    };
    let unset = Secret::Env("TOWPATH_TEST_UNSET".to_owned());
    let harbor = vec![
        source(Guard::Token(one()), Some("harbor.example.com")),
        source(Guard::Token(unset), None),
    ];
    let expected = [
        ("distribution", vec![source(Guard::Open, None)]),
        ("ghcr", vec![source(Guard::Hmac(one()), None)]),
        ("harbor", harbor),
    ];
    assert_eq!(hooks.registries, expected.into());
}

#[test]
fn what_is_wrong_with_hooks_is_told() {
    let told = |hooks: &str| messages(&format!("{SETTINGS}{hooks}"), "");
    assert_snapshot!(told("hooks:
  listen: 127.0.0.1:8080
  registry:
    harbour: { token: { env: X } }
    quay: {}
    harbor: { token: { env: X }, hmac: { env: X } }
    zot: { token: hunter2 }
    acr: { unauthenticated: false }
    ecr: [{ unauthenticated: true }, { token: { env: PATH } }]
    google: { token: { env: PATH }, host: https://x.example.com }
    generic: []
    github: { hmac: { env: PATH } }
    ghcr: { hmac: { env: PATH } }
    gitlab: { hmac: { env: PATH } }
"), @"
    7:11 health and metrics are served on this address [give the hooks a port of their own, since others may reach them]
    9:5 `harbour` is not one of `acr`, `distribution`, `docker-hub`, `ecr`, `generic`, `ghcr`, `gitlab`, `google`, `harbor`, `quay`, `zot` [did you mean `harbor`?]
    10:5 expected one of `token`, `hmac`, `unauthenticated`
    11:34 `token` and `hmac` cannot stand together
    12:19 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    13:29 `unauthenticated` is `true` or not there [name a secret: `token: { env: NAME }`]
    14:30 this opens the hook to all, whatever stands beside it [leave it as the only entry, or take it out]
    15:43 this is not a host [write the host alone, without scheme or path: `registry.example.com:5000`]
    16:14 expected at least one, found an empty list
    17:5 `github` is not one of `acr`, `distribution`, `docker-hub`, `ecr`, `generic`, `ghcr`, `gitlab`, `google`, `harbor`, `quay`, `zot` [did you mean `ghcr`?]
    19:28 `gitlab` does not sign what it sends; write `token`
    ");
    assert_snapshot!(told("hooks: { listen: 0.0.0.0:8081 }"), @"6:1 `hooks` does not say who may tell [write `registry`, `forge` or both, each with the kinds that tell]");
    let open = "registry: { zot: { unauthenticated: true } }";
    assert_snapshot!(told(&format!("hooks: {{ listen: localhost:8081, {open} }}")), @"6:18 `localhost:8081` is not an address and a port [write `127.0.0.1:8081`, or `0.0.0.0:8081` for all interfaces]");
}

#[test]
fn forges_may_tell_by_a_signature_a_token_or_as_they_like() {
    let hooks = "
hooks:
  forge:
    github: [{ hmac: { file: one } }, { hmac: { env: PATH } }]
    gitlab: { token: { file: one } }
    gitea: { hmac: { file: one } }
    forgejo: { token: { env: PATH } }
    azure-devops: { unauthenticated: true }
";
    let folder = folder(&format!("{SETTINGS}{hooks}"), "");
    fs::write(folder.path().join("one"), "x").unwrap();
    let config = load_in(folder.path()).unwrap();
    assert_eq!(config.warnings, []);
    let one = || Secret::File(folder.path().join("one"));
    let other = || Secret::Env("PATH".to_owned());
    let expected = [
        (
            ForgeKind::Github,
            vec![Guard::Hmac(one()), Guard::Hmac(other())],
        ),
        (ForgeKind::Gitlab, vec![Guard::Token(one())]),
        (
            ForgeKind::Gitea,
            vec![Guard::Hmac(one()), Guard::Token(other())],
        ),
        (ForgeKind::AzureDevops, vec![Guard::Open]),
    ];
    assert_eq!(config.settings.hooks.unwrap().forges, expected.into());

    let told = |hooks: &str| messages(&format!("{SETTINGS}{hooks}"), "");
    assert_snapshot!(told("hooks:
  forge:
    githup: { hmac: { env: PATH } }
    github: { token: hunter2 }
    bitbucket-server: {}
    gitea: { hmac: { env: PATH }, host: git.example.com }
    forgejo: { unauthenticated: true }
    gitlab: { hmac: { env: PATH } }
    azure-devops: [{ hmac: { env: PATH } }, hunter2]
"), @"
    8:5 `githup` is not one of `github`, `gitlab`, `gitea`, `bitbucket-cloud`, `bitbucket-server`, `azure-devops`, `forgejo` [did you mean `github`?]
    9:22 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    10:5 expected one of `token`, `hmac`, `unauthenticated`
    11:35 unknown key `host` [known here: `hmac`]
    12:33 this opens the hook to all, whatever stands beside it [leave it as the only entry, or take it out]
    13:28 `gitlab` does not sign what it sends; write `token`
    14:35 `azure-devops` does not sign what it sends; write `token`
    14:45 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    ");
}

#[test]
fn settings_and_events_know_the_same_kinds_of_registries() {
    for kind in EventKind::ALL {
        let name = kind.name();
        let hooks = format!("hooks: {{ registry: {{ {name}: {{ unauthenticated: true }} }} }}");
        let config = load_in(folder(&format!("{SETTINGS}{hooks}"), "").path()).unwrap();
        let hooks = config.settings.hooks.unwrap();
        let known = hooks.registries.keys().map(|name| EventKind::named(name));
        assert_eq!(known.collect::<Vec<_>>(), [Some(kind)], "{name}");
    }
}

#[test]
fn a_pull_request_needs_a_forge_that_can_be_told() {
    let told = |forge: &str, deliver: &str| {
        let url = "url: https://git.example.com/acme/deploy.git";
        let settings = SETTINGS.replace("url: ../deploy.git", &format!("{url}{forge}"));
        let environment = format!(
            "    - {{ name: production, tags: {{ semver: '*' }}, update: apps, deliver: {deliver} }}\n"
        );
        messages(&settings, &format!("{POLICY}{environment}"))
    };
    assert_snapshot!(told("", "pull-request"), @"8:73 no forge is known for `deploy`: which product hosts `git.example.com` cannot be told from its name [in the settings of `deploy`, name the product, such as `forge: gitlab`, or write `forge: none`: people merge its branches with git]");
    assert_snapshot!(told(", forge: gitlap", "pull-request"), @"
    4:66 `gitlap` is not one of `github`, `gitlab`, `gitea`, `bitbucket-cloud`, `bitbucket-server`, `azure-devops`, `forgejo` [did you mean `gitlab`?]
    8:73 no forge is known for `deploy`: which product hosts `git.example.com` cannot be told from its name [in the settings of `deploy`, name the product, such as `forge: gitlab`, or write `forge: none`: people merge its branches with git]
    ");
    for good in [
        ", forge: gitlab",
        ", forge: none",
        ", forge: { kind: forgejo, url: 'https://git.example.com/api/v1', repository: a/b, credentials: { token: { env: PATH } } }",
        ", plain-http: true, forge: { kind: gitlab, url: 'http://git.example.com/api/v4' }",
    ] {
        let settings = SETTINGS.replace(
            "url: ../deploy.git",
            &format!("url: https://git.example.com/acme/deploy.git{good}"),
        );
        let environment = "    - { name: production, tags: { semver: '*' }, update: apps, deliver: pull-request }\n";
        let config = load_in(folder(&settings, &format!("{POLICY}{environment}")).path()).unwrap();
        assert_eq!(config.warnings, [], "{good}");
    }
    assert_snapshot!(told(", forge: bitbucket-cloud", "pull-request"), @"8:73 no forge is known for `deploy`: Bitbucket Cloud is at `bitbucket.org`, and not at `git.example.com` [in the settings of `deploy`, write `kind: bitbucket-server` under `forge` for a Bitbucket of your own, or say by `url` and `repository` where the API is]");
    assert_eq!(told(", forge: hub", "{ commit: {} }").lines().count(), 1);
    assert_snapshot!(told(", forge: { kind: gitlab, url: 'http://git.example.com/api/v4' }", "pull-request"), @"4:88 this URL has no TLS, so anyone on the way can read and change what is sent [use https, or allow it with `plain-http: true`]");
    assert_snapshot!(told(", forge: { kind: github, credentials: { ssh-key: { env: PATH } } }", "pull-request"), @"4:113 a forge is asked over HTTP, where `ssh-key` opens nothing [write `token`, or `github-app`]");
}

#[test]
fn a_branch_for_proposals_that_git_would_not_take_is_refused() {
    let told = |name: &str, deliver: &str| {
        let environment = format!(
            "    - {{ name: {name}, tags: {{ semver: '*' }}, update: apps, deliver: {{ pull-request: {deliver} }} }}\n"
        );
        messages(SETTINGS, &format!("{POLICY}{environment}"))
            .lines()
            .filter(|line| !line.contains("no forge is known"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(told("prod.lock", "{ branch: main }"), @"8:15 proposals would have the branch `towpath/prod.lock/portal`, and git takes no name that ends with `.lock`");
    assert_snapshot!(told("production", "{ branch: towpath }"), @"8:15 proposals would have the branch `towpath/production/portal`, which git cannot keep beside `towpath`, where they go");
    assert_snapshot!(told("production", "{ branch: towpath/production }"), @"8:15 proposals would have the branch `towpath/production/portal`, which git cannot keep beside `towpath/production`, where they go");
    assert_snapshot!(told("production", "{ branch: towpath/production/portal/x }"), @"8:15 proposals would have the branch `towpath/production/portal`, which git cannot keep beside `towpath/production/portal/x`, where they go");
    assert_snapshot!(told("production", "{ branch: towpath/production/_all, group: environment }"), @"8:15 proposals would have the branch `towpath/production/_all`, which git cannot keep beside `towpath/production/_all`, where they go");
    for good in ["towpath-main", "towpath/main", "towpath/prod"] {
        let environment = format!(
            "    - {{ name: production, tags: {{ semver: '*' }}, update: apps, deliver: {{ pull-request: {{ branch: {good} }} }} }}\n"
        );
        assert!(load_in(folder(SETTINGS, &format!("{POLICY}{environment}")).path()).is_ok());
    }
}

#[test]
fn bombs_are_refused_at_once() {
    let laughs: String = (1..9)
        .map(|i| {
            format!(
                "l{i}: &l{i} [{}]\n",
                vec![format!("*l{}", i - 1); 9].join(", ")
            )
        })
        .collect();
    let wrong_keys: String = (0..100_000).map(|i| format!("k{i}: x\n")).collect();
    let bombs = [
        format!("l0: &l0 lol\n{laughs}"),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        (0..5_000)
            .map(|i| format!("{}a:\n", " ".repeat(i % 500)))
            .collect(),
        format!("[{}]", "a,".repeat(1_000_000)),
        "x".repeat(5 * 1024 * 1024),
        format!("apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\n{wrong_keys}"),
    ];
    for bomb in bombs {
        let folder = folder(SETTINGS, &bomb);
        let start = Instant::now();
        let problems = load_in(folder.path()).unwrap_err();
        let took = start.elapsed();
        let told = &problems.list[0].message;
        // No measure of speed: a bomb that goes off takes hours, and the slowest machine that does other things less than this.
        assert!(took < Duration::from_secs(60), "{told}: {took:?}");
        assert!(problems.list.len() <= 200);
    }
}

#[test]
fn a_thousand_policies_are_read_in_a_time_that_grows_with_their_number() {
    let folder = folder(SETTINGS, "");
    for i in 0..1_000 {
        let environments: String = ["dev", "staging", "production"]
            .iter()
            .map(|e| {
                format!(
                    "  - {{ name: {e}, tags: {{ semver: '>=1.0.0' }}, update: apps/app-{i}/{e} }}\n"
                )
            })
            .collect();
        let policy = POLICY.replace("portal", &format!("app-{i}"));
        let path = folder.path().join(format!("policies/app-{i}.yaml"));
        fs::write(path, format!("{policy}{environments}")).unwrap();
    }
    let start = Instant::now();
    let config = load_in(folder.path()).unwrap();
    let took = start.elapsed();
    assert_eq!(config.policies.len(), 1_000);
    // No measure of speed: it takes a second or two, and where each policy reads all others, many minutes.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_program_that_renders_is_named_by_its_file_or_found_in_path() {
    let rendered = |render: &str| {
        let folder = folder(&format!("{SETTINGS}{render}"), "");
        let config = load_in(folder.path()).unwrap();
        let below = |place: Option<ProgramPlace>| match place {
            Some(ProgramPlace::At(file)) => {
                let file = file.strip_prefix(folder.path()).unwrap();
                file.display().to_string()
            }
            Some(ProgramPlace::InPath) => "in PATH".to_owned(),
            None => "none".to_owned(),
        };
        let warnings = config.warnings.len();
        let RenderSettings { kustomize, helm } = config.settings.render;
        format!("{}, {}, {warnings} warnings", below(kustomize), below(helm))
    };
    assert_eq!(rendered(""), "none, none, 0 warnings");
    let both = "render: { kustomize: true, helm: bin/helm }\n";
    assert_eq!(rendered(both), "in PATH, bin/helm, 1 warnings");
    let off = "render: { kustomize: false, helm: 'towpath.yaml' }\n";
    assert_eq!(rendered(off), "none, towpath.yaml, 0 warnings");
    let wrong = format!("{SETTINGS}render: {{ kustomise: true, kustomize: 1, helm: [x] }}\n");
    assert_snapshot!(messages(&wrong, ""), @r#"
    6:11 unknown key `kustomise` [did you mean `kustomize`?]
    6:39 expected a text, found a number [write it in quotes: "1"]
    6:48 expected a text, found a list
    "#);
}

#[test]
fn columns_count_characters_and_a_byte_order_mark_is_none() {
    let settings = SETTINGS.replace("kind: Settings", "kind: Settings\r\nübel: 1");
    assert_snapshot!(messages(&format!("\u{feff}{settings}"), ""), @"3:1 unknown key `übel` [known here: `repositories`, `registries`, `docker-config`, `credentials`, `policies`, `freezes`, `trust-root`, `commit`, `render`, `cache`, `listen`, `hooks`, `leadership`, `pod-events`, `log`, `custom-resources`, `argo-cd`, `servers`, `groups`, `apiVersion`, `kind`]");
    assert!(load_in(folder(&format!("\u{feff}{SETTINGS}"), "").path()).is_ok());
    assert!(load_in(folder(&SETTINGS.replace('\n', "\r\n"), "").path()).is_ok());
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_what_to_write() {
    let policy = format!("{POLICY}    - {{ name: dev, tags: '>=1.0', update: apps/dev }}\n");
    let settings = |written: &str| format!("{SETTINGS}{written}\n");
    for (written, told) in [
        ("log: debug", "write `log: { level: debug }`"),
        ("pod-events: yes", "write `true`"),
        ("pod-events: 'false'", "write `false`"),
        (
            "custom-resources: team-a",
            "write `custom-resources: { namespaces: { team-a: {} } }`",
        ),
        (
            "custom-resources: { namespaces: [team-a] }",
            "each name is a key: `NAME: ...`",
        ),
        (
            "custom-resources:\n  namespaces:\n    team-a:",
            "`{}` sets no limits, `{ paths: apps/team-a }` some",
        ),
    ] {
        let messages = messages(&settings(written), "");
        assert!(messages.ends_with(&format!("[{told}]")), "{messages}");
    }
    assert_snapshot!(messages(SETTINGS, &policy), @r#"8:26 expected a map, found a text [write `tags: { semver: ">=1.0" }`; `pattern`, `regex` and `follow` say it of tags of other forms]"#);
    assert_snapshot!(messages(&SETTINGS.replace("policies:", "policy:"), ""), @"
    1:1 the key `policies` is missing [name the files and folders with policies, `policies: [policies]`, or none, `policies: []`]
    5:1 unknown key `policy` [known here: `repositories`, `registries`, `docker-config`, `credentials`, `policies`, `freezes`, `trust-root`, `commit`, `render`, `cache`, `listen`, `hooks`, `leadership`, `pod-events`, `log`, `custom-resources`, `argo-cd`, `servers`, `groups`, `apiVersion`, `kind`]
    ");
    assert_snapshot!(messages(&SETTINGS.replace("policies: [policies]", "listen: 127.0.0.1:80"), ""), @"1:1 the key `policies` is missing [name the files and folders with policies, `policies: [policies]`, or none, `policies: []`]");
}
