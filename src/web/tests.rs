//! The hooks as a registry meets them, over TCP: who may come in, what is answered in words, and what has an end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use insta::assert_snapshot;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Bells, HookKind, HookSource, Hooks, listen};
use crate::forge::{Kind, Place};
use crate::image::Repository;
use crate::policy::RepositoryName;
use crate::registry::EventKind;
use crate::secret::{Guard, Secret};

const WEB: &str = "r.example.com/acme/web";
const HOOK: &str = "/hooks/registry/generic";
/// A header that says nothing.
const OTHER: &str = "X-Other: hunter2";
const EVENT: &str = r#"{"repository": "r.example.com/acme/web"}"#;

/// Hooks that are served.
struct Served {
    address: SocketAddr,
    bells: Arc<Bells>,
    hooks: Arc<Hooks>,
}

impl Served {
    async fn start(sources: impl IntoIterator<Item = (HookKind, Vec<HookSource>)>) -> Self {
        let bells = Arc::new(Bells::default());
        bells.hang(&[(WEB.parse().unwrap(), WEB.parse().unwrap())].into());
        let hooks = Arc::new(Hooks::new(bells.clone()));
        hooks.open(sources.into_iter().collect());
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(hooks.clone().serve(listener));
        Self {
            address,
            bells,
            hooks,
        }
    }

    async fn generic(sources: Vec<HookSource>) -> Self {
        Self::start([(HookKind::Registry(EventKind::Generic), sources)]).await
    }

    /// The whole answer to `request`, after which the connection ends.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The answer may come, and the connection end, before all is written.
        drop(stream.write_all(request.as_bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    /// The status and the words for a message with this header at `target`.
    async fn post(&self, target: &str, header: &str, body: &str) -> String {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        status(&self.send(&request).await)
    }

    /// The same for an event at the generic hook.
    async fn event(&self, header: &str) -> String {
        self.post(HOOK, header, EVENT).await
    }

    /// Sends the start of a request and waits for what comes of it.
    async fn send_and_hold(&self, start: &str) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
    }

    /// Hooks for forges of one kind, and `deploy` on such a forge.
    async fn forge(kind: Kind, guard: Guard) -> Self {
        let served = Self::start([(HookKind::Forge(kind), vec![source(guard)])]).await;
        let place = Place {
            kind,
            api: "https://git.example.com/api".parse().unwrap(),
            path: "acme/deploy".to_owned(),
        };
        let places = [(deploy(), place)].into();
        served.bells.hang_manifests(&places);
        served
    }

    fn deploy_is_due(&self) -> bool {
        let bell = self.bells.of_manifests(&deploy());
        let is_due = bell.due().now_or_never().is_some();
        bell.answer();
        is_due
    }

    fn is_due(&self) -> bool {
        let web: Repository = WEB.parse().unwrap();
        let bell = self.bells.of(&web);
        let is_due = bell.due().now_or_never().is_some();
        bell.answer();
        is_due
    }
}

fn deploy() -> RepositoryName {
    "deploy".parse().unwrap()
}

/// `202: words`, and the headers that matter.
fn status(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let mut text = format!("{status}: {}", body.trim_end());
    for line in head.lines() {
        if ["allow:", "retry-after:", "www-auth"]
            .iter()
            .any(|name| line.starts_with(name))
        {
            write!(text, " [{line}]").unwrap();
        }
    }
    text
}

fn kept(value: &str) -> (NamedTempFile, Secret) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), value).unwrap();
    let secret = Secret::File(file.path().to_owned());
    (file, secret)
}

fn source(guard: Guard) -> HookSource {
    HookSource { guard, host: None }
}

fn signed(key: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hmac::sign(&key, body.as_bytes());
    let digits = signature.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("X-Hub-Signature-256: sha256={}", digits.collect::<String>())
}

fn basic(password: &str) -> String {
    let login = STANDARD.encode(format!("towpath:{password}"));
    format!("Authorization: Basic {login}")
}

#[tokio::test]
async fn a_token_is_taken_wherever_products_can_put_it_and_no_other_token_is() {
    let (_file, secret) = kept("hunter2");
    let served = Served::generic(vec![source(Guard::Token(secret))]).await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    for (header, query, expected) in [
        (bearer("hunter2"), "", "202"),
        (bearer("hunter2").to_lowercase(), "", "202"),
        (basic("hunter2"), "", "202"),
        ("Authorization: hunter2".to_owned(), "", "202"),
        ("X-Gitlab-Token: hunter2".to_owned(), "", "202"),
        (OTHER.to_owned(), "?token=hunter2", "202"),
        (OTHER.to_owned(), "?a=b&token=%68unter2", "202"),
        (bearer("wrong"), "?token=hunter2", "202"),
        (OTHER.to_owned(), "", "401"),
        (OTHER.to_owned(), "?tokens=hunter2", "401"),
        (OTHER.to_owned(), "?token=", "403"),
        (bearer("wrong"), "", "403"),
        (bearer("hunter22"), "", "403"),
        ("Authorization: Digest hunter2".to_owned(), "", "403"),
        ("Authorization: Basic hunter2".to_owned(), "", "403"),
        (basic("hunter"), "", "403"),
        ("X-Gitlab-Token: ".to_owned(), "", "403"),
        (signed("hunter2", EVENT), "", "403"),
    ] {
        let answer = served.post(&format!("{HOOK}{query}"), &header, EVENT).await;
        assert!(answer.starts_with(expected), "{header} {query}: {answer}");
        assert_eq!(served.is_due(), expected == "202", "{header} {query}");
    }
}

#[tokio::test]
async fn a_signature_is_taken_over_the_very_body_and_no_token_instead() {
    let (_file, secret) = kept("hunter2");
    let served = Served::generic(vec![source(Guard::Hmac(secret))]).await;
    let other = EVENT.replace("web", "api");
    for (header, expected) in [
        (signed("hunter2", EVENT), "202"),
        (signed("hunter2", EVENT).replace("sha256=", "sha1="), "403"),
        (signed("hunter2", EVENT) + "0", "403"),
        (signed("hunter2", &other), "403"),
        (signed("hunter", EVENT), "403"),
        ("X-Hub-Signature-256: sha256=".to_owned(), "403"),
        ("X-Hub-Signature-256: sha256=zz".to_owned(), "403"),
        ("Authorization: Bearer hunter2".to_owned(), "403"),
        (OTHER.to_owned(), "401"),
    ] {
        let answer = served.event(&header).await;
        assert!(answer.starts_with(expected), "{header}: {answer}");
        assert_eq!(served.is_due(), expected == "202", "{header}");
    }
}

#[tokio::test]
async fn each_of_several_sources_is_known_by_its_secret_and_rotates_at_once() {
    let (file, one) = kept("one");
    let (_other, two) = kept("two");
    let mapped = HookSource {
        guard: Guard::Token(two),
        host: Some("elsewhere.example.com".to_owned()),
    };
    let served = Served::generic(vec![source(Guard::Token(one)), mapped]).await;
    let mut told = Vec::new();
    for token in ["one", "two", "three"] {
        let header = format!("Authorization: Bearer {token}");
        told.push(served.event(&header).await);
    }
    std::fs::write(file.path(), "three").unwrap();
    told.push(served.event("Authorization: Bearer three").await);
    std::fs::write(file.path(), "").unwrap();
    told.push(served.event("Authorization: Bearer three").await);
    told.push(served.event("Authorization: Bearer two").await);
    assert_snapshot!(told.join("\n"), @"
    202: image repositories that are due: 1
    202: nothing of this is watched: no policy uses `elsewhere.example.com/acme/web`
    403: the token or signature is not the one that the settings name
    202: image repositories that are due: 1
    503: the secret of this hook has no value
    202: nothing of this is watched: no policy uses `elsewhere.example.com/acme/web`
    ");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_answered_in_words() {
    let served = Served::generic(vec![source(Guard::Open)]).await;
    let json = "Content-Type: application/json; charset=utf-8";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let mut told = Vec::new();
    for (target, header, body) in [
        (HOOK, json, EVENT),
        (HOOK, "Content-Type: application/vnd.x+json", EVENT),
        (HOOK, json, r#"{"repository": []}"#),
        (HOOK, json, r#"{"repository": "nginx"}"#),
        ("/hooks/registry/harbor", json, EVENT),
        ("/hooks/registry/generic/", json, EVENT),
        ("/hooks/registry/", json, EVENT),
        ("/healthz", json, EVENT),
        ("/metrics", json, EVENT),
        (HOOK, form, EVENT),
        (HOOK, json, "{"),
        (HOOK, json, "{}"),
    ] {
        told.push(served.post(target, header, body).await);
    }
    let head = |line: &str, header: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n")
    };
    let post = format!("POST {HOOK}");
    // Nothing is sent that is not read, since the answer would get lost with the connection.
    let large = "x".repeat(512 * 1024 + 1);
    for request in [
        head(&format!("GET {HOOK}"), OTHER),
        head(&post, "Content-Length: 524289"),
        head(&post, "Transfer-Encoding: chunked") + "80001\r\n" + &large,
    ] {
        told.push(status(&served.send(&request).await));
    }
    assert_snapshot!(told.join("\n"), @"
    202: image repositories that are due: 1
    202: image repositories that are due: 1
    202: this is no push of a tag, as `generic` tells of one
    202: nothing of this is watched: no policy uses `docker.io/library/nginx`
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    415: an event is JSON: have it sent with the content type `application/json`
    400: the body is not JSON at line 1, column 1
    400: the body is not an event of the kind `generic` at line 1, column 2
    405: a hook is called with POST [allow: POST]
    413: an event has at most 524288 bytes
    413: an event has at most 524288 bytes
    ");
}

#[tokio::test]
async fn what_is_no_longer_in_the_settings_is_no_longer_served() {
    let served = Served::generic(vec![source(Guard::Open)]).await;
    assert!(served.event(OTHER).await.starts_with("202"));
    served.hooks.open(BTreeMap::new());
    assert!(served.event(OTHER).await.starts_with("404"));
}

#[tokio::test]
async fn more_events_than_a_kind_may_send_are_refused_for_a_second_and_none_is_lost() {
    let of_kind = |kind| (HookKind::Registry(kind), vec![source(Guard::Open)]);
    let served = Served::start([EventKind::Generic, EventKind::Harbor].map(of_kind)).await;
    // 20 connections that send 600 each.
    let body = EVENT.len();
    let request = format!(
        "POST /hooks/registry/generic HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n\r\n{EVENT}"
    );
    let last = request.replacen("Host: x", "Host: x\r\nConnection: close", 1);
    let requests = request.repeat(599) + &last;
    let answers = join_all((0..20).map(|_| served.send(&requests)))
        .await
        .concat();
    let accepted = answers.matches("HTTP/1.1 202").count();
    let refused = answers.matches("HTTP/1.1 429").count();
    assert_eq!(accepted + refused, 12_000);
    assert!(accepted >= 10_000, "{accepted}");
    assert!(served.is_due());
    let other = r#"{"type": "PULL_ARTIFACT"}"#;
    let other = served.post("/hooks/registry/harbor", OTHER, other).await;
    assert_eq!(
        other,
        "202: this is no push of a tag, as `harbor` tells of one"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_go_on_is_cut_off_and_keeps_nobody_out() {
    let served = Served::generic(vec![source(Guard::Open)]).await;
    let starts = [
        "",
        "POST /hooks/registry/generic HTTP/1.1\r\nHo",
        "POST /hooks/registry/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{",
    ];
    let slow = (0..200).map(|n| served.send_and_hold(starts[n % starts.len()]));
    join_all(slow).await;
    assert!(served.event(OTHER).await.starts_with("202"));
}

/// A push to `acme/deploy`, as GitHub, Gitea and Bitbucket Cloud tell it.
const PUSH: &str = r#"{"repository": {"full_name": "acme/deploy"}}"#;

#[tokio::test]
async fn what_a_forge_signs_makes_its_repository_due_and_nothing_else_does() {
    let names = [
        (Kind::Github, "X-Hub-Signature-256"),
        (Kind::Gitea, "X-Gitea-Signature"),
        (Kind::BitbucketCloud, "X-Hub-Signature"),
    ];
    for (kind, name) in names {
        let (_file, secret) = kept("hunter2");
        let served = Served::forge(kind, Guard::Hmac(secret)).await;
        let hook = format!("/hooks/forge/{}", kind.name());
        let signed = |key: &str, body: &str| signed(key, body).replace("X-Hub-Signature-256", name);
        let other = PUSH.replace("deploy", "other");
        for (header, body, expected, is_due) in [
            (signed("hunter2", PUSH), PUSH, "202", true),
            (signed("hunter2", &other), &*other, "202", false),
            (signed("hunter2", "{}"), "{}", "202", false),
            (signed("hunter2", "{"), "{", "400", false),
            (signed("hunter2", &other), PUSH, "403", false),
            (signed("hunter3", PUSH), PUSH, "403", false),
            (signed("hunter2", PUSH) + "0", PUSH, "403", false),
            (format!("{name}: sha256="), PUSH, "403", false),
            (
                "Authorization: Bearer hunter2".to_owned(),
                PUSH,
                "403",
                false,
            ),
            (OTHER.to_owned(), PUSH, "401", false),
        ] {
            let answer = served.post(&hook, &header, body).await;
            assert!(answer.starts_with(expected), "{kind} {header}: {answer}");
            assert_eq!(served.deploy_is_due(), is_due, "{kind} {header}: {answer}");
        }
    }
}

#[tokio::test]
async fn forges_that_sign_nothing_show_a_token() {
    let address = "https://dev.azure.com/acme/shop/_git/deploy";
    let push = format!(
        r#"{{"eventType": "git.push", "resource": {{"repository": {{"remoteUrl": "{address}"}}}}}}"#
    );
    let merge =
        r#"{"object_kind": "merge_request", "project": {"path_with_namespace": "acme/deploy"}}"#;
    let gitlab = |token: &str| format!("X-Gitlab-Token: {token}");
    let (_file, secret) = kept("hunter2");
    let served = Served::forge(Kind::Gitlab, Guard::Token(secret.clone())).await;
    for (header, expected) in [
        (gitlab("hunter2"), "202"),
        (gitlab("hunter"), "403"),
        (signed("hunter2", merge), "401"),
        (OTHER.to_owned(), "401"),
    ] {
        let answer = served.post("/hooks/forge/gitlab", &header, merge).await;
        assert!(answer.starts_with(expected), "{header}: {answer}");
        assert_eq!(served.deploy_is_due(), expected == "202", "{header}");
    }
    let served = Served::forge(Kind::AzureDevops, Guard::Token(secret)).await;
    let place = Place::parse(None, address).unwrap();
    served.bells.hang_manifests(&[(deploy(), place)].into());
    for (header, expected) in [(basic("hunter2"), "202"), (basic("hunter"), "403")] {
        let answer = served
            .post("/hooks/forge/azure-devops", &header, &push)
            .await;
        assert!(answer.starts_with(expected), "{header}: {answer}");
        assert_eq!(served.deploy_is_due(), expected == "202", "{header}");
    }
}

#[tokio::test]
async fn what_a_forge_is_answered_says_what_became_of_its_event() {
    let served = Served::forge(Kind::Gitea, Guard::Open).await;
    let event = "X-Gitea-Event: push";
    let mut told = Vec::new();
    for (target, header, body) in [
        ("/hooks/forge/gitea", event, PUSH),
        ("/hooks/forge/forgejo", event, PUSH),
        ("/hooks/forge/gitea", "X-Gitea-Event: issue_comment", PUSH),
        ("/hooks/forge/gitea", event, &*PUSH.replace("deploy", "hub")),
        ("/hooks/forge/gitea", event, "[]"),
        ("/hooks/forge/github", event, PUSH),
        ("/hooks/forge/gitea/", event, PUSH),
        ("/hooks/registry/gitea", event, PUSH),
    ] {
        told.push(served.post(target, header, body).await);
    }
    assert_snapshot!(told.join("\n"), @"
    202: manifests repositories that are due: 1
    202: manifests repositories that are due: 1
    202: this is no push, pull request or review
    202: nothing of this is watched: no policy delivers to a repository `acme/hub` on Gitea
    400: the body is not an event of Gitea at line 1, column 2
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    404: there is no such hook: the settings name those that are served under `hooks`
    ");
}
