//! `towpath registry`: what a person is told of a registry, and of why it cannot be read.

use std::time::Duration;

use insta::assert_snapshot;
use towpath::demo_registry::{Access, Image, MemoryRegistry, PushApi};

use crate::lab::Lab;

/// A registry that wants tokens, with three tags on two pages, and a lab whose settings know it.
fn lab(settings: &str) -> (Lab, MemoryRegistry) {
    let registry = MemoryRegistry::start(Access::Token {
        username: "alice".to_owned(),
        password: "s3cret".to_owned(),
        life: Duration::from_secs(300),
    })
    .unwrap();
    let created = Some("2026-01-02T03:04:05Z".parse().unwrap());
    let image = Image {
        created,
        ..Image::default()
    };
    for tag in ["v1.10.0", "v1.9.0", "latest"] {
        registry.push_index("acme/web", tag, &image);
    }
    let mut lab = Lab::new(&[]);
    lab.set("PASSWORD", "s3cret");
    lab.registry_settings(
        &registry.host(),
        &format!("plain-http: true, page-size: 2, credentials: {{ username: alice, password: {{ env: PASSWORD }} }}, {settings}"),
    );
    (lab, registry)
}

/// What is printed, with a fixed host and no digits of digests.
fn shown(text: &str, registry: &MemoryRegistry) -> String {
    let text = text.replace(&registry.host(), "HOST");
    let words = text
        .split(' ')
        .map(|word| match word.split_once("sha256:") {
            Some((start, rest)) => {
                let end = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
                format!("{start}sha256:..{end}")
            }
            None => word.to_owned(),
        });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_registry_is_shown_with_its_login_pages_pushes_and_limits() {
    let (mut lab, registry) = lab("kind: harbor");
    registry.tell_pushes(PushApi::Harbor);
    for (tag, at) in [
        ("v1.9.0", "2026-01-03T00:00:00Z"),
        ("v1.10.0", "2026-01-05T12:00:00Z"),
        ("latest", "2026-01-04T00:00:00Z"),
    ] {
        registry.set_pushed("acme/web", tag, at.parse().unwrap());
    }
    lab.registry_settings(
        "mirror.example.com",
        &format!("mirror-of: '{}'", registry.host()),
    );
    let ran = lab.run(&["registry", "mirror.example.com/acme/web"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(shown(&ran.stdout, &registry), @"
    image        mirror.example.com/acme/web
    registry     harbor
    read at      HOST/acme/web
    credentials  the user `alice` with the password in environment variable `PASSWORD`
    login        tokens of `127.0.0.1`
    tags         3 in 2 pages, by name from `latest` to `v1.9.0`
    last push    `v1.10.0` at 2026-01-05T12:00:00Z, of 3 with a time
    looked at    `v1.10.0` is sha256:..
    platforms    linux/amd64, linux/arm64
    created      2026-01-02T03:04:05Z
    requests     8 of 200, 1 of 401
    limits       none told
    ");
}

#[test]
fn a_tag_that_is_named_is_looked_at_and_json_says_the_same() {
    let (lab, registry) = lab("requests-per-second: 50");
    let image = format!("{}/acme/web", registry.host());
    let text = lab.run(&["registry", &image]).stdout;
    assert_snapshot!(shown(&text, &registry), @"
    image        HOST/acme/web
    registry     other
    credentials  the user `alice` with the password in environment variable `PASSWORD`
    login        tokens of `127.0.0.1`
    tags         3 in 2 pages, by name from `latest` to `v1.9.0`
    last push    none told
    looked at    `v1.10.0` is sha256:..
    platforms    linux/amd64, linux/arm64
    created      2026-01-02T03:04:05Z
    requests     7 of 200, 1 of 401; at most 50 a second
    limits       none told
    ");
    let ran = lab.run(&["registry", &format!("{image}:latest"), "--output", "json"]);
    assert_snapshot!(shown(&ran.stdout, &registry), @r#"
    {
      "apiVersion": "towpath.dev/v1alpha1",
      "kind": "Registry",
      "image": "HOST/acme/web",
      "readAt": "HOST/acme/web",
      "registry": "other",
      "credentials": "the user `alice` with the password in environment variable `PASSWORD`",
      "login": "tokens of `127.0.0.1`",
      "tags": 3,
      "invalid": 0,
      "first": "latest",
      "last": "v1.9.0",
      "pages": 2,
      "pushed": null,
      "pushedUnknown": null,
      "tag": {
        "tag": "latest",
        "digest": "sha256:..",
        "platforms": [
          "linux/amd64",
          "linux/arm64"
        ],
        "created": "2026-01-02T03:04:05Z"
      },
      "requests": {
        "200": 7,
        "401": 1
      },
      "requestsPerSecond": 50.0,
      "limits": []
    }
    "#);
}

#[test]
fn what_keeps_a_registry_from_being_read_is_told_with_what_to_do() {
    let (mut lab, registry) = lab("requests-per-second: 50");
    let image = format!("{}/acme/web", registry.host());
    let missing = lab.run(&["registry", &format!("{image}:v2")]);
    lab.set("PASSWORD", "hunter2");
    let refused = lab.run(&["registry", &image]);
    let unnamed = lab.run(&["registry", "acme web"]);
    let told = [missing, refused, unnamed].map(|ran| {
        assert_eq!(ran.stdout, "");
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        format!("{:?}: {}", ran.code, ran.stderr)
    });
    assert_snapshot!(shown(&told.join("\n"), &registry), @"
    Some(1): error: `HOST/acme/web:v2` does not exist

    Some(1): error: the token service `127.0.0.1` of `HOST` refused the user `alice` with the password in environment variable `PASSWORD` with status 403, saying `DENIED: the account is locked`
    hint: check the `credentials` of `HOST` in the settings

    Some(2): error: invalid value 'acme web' for '<IMAGE>': `acme web` is not an image reference: `acme web` is not a repository name

    For more information, try '--help'.
    ");
}
