//! A GitHub App against a fake of GitHub that checks the app's signature.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tempfile::TempDir;

use super::super::fake::{
    Asked, Fake, another_key, environment, key, listed, login, logins, pkcs1_pem, refusal, verified,
};
use super::super::{GithubApp, MARGIN_MAX, Purpose, Source};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::secret::Secret;

fn app(file: &Path, api: &Fake, installation_id: Option<u64>) -> Source {
    Source::GithubApp(GithubApp {
        app_id: "1234".to_owned(),
        installation_id,
        private_key: Secret::File(file.to_owned()),
        api: Some(format!("http://{}/api/v3", api.host).parse().unwrap()),
        purpose: Purpose::Packages,
    })
}

/// A file with the key as GitHub gives it.
fn key_file(folder: &TempDir) -> std::path::PathBuf {
    let file = folder.path().join("app.pem");
    std::fs::write(&file, pkcs1_pem(key())).unwrap();
    file
}

fn granted(_: &Asked) -> (u16, String) {
    let body = json!({
        "token": "ghs_granted",
        "expires_at": "2026-01-01T13:00:00Z",
        "permissions": { "packages": "read" },
    });
    (201, body.to_string())
}

fn assertion(asked: &Asked) -> &str {
    let header = &asked.headers["authorization"];
    header.strip_prefix("Bearer ").unwrap()
}

#[tokio::test]
async fn an_installation_is_asked_for_a_token_that_reads_packages_and_no_more() {
    let folder = TempDir::new().unwrap();
    let github = Fake::start(granted);
    let access = Access::Token {
        username: "x-access-token".to_owned(),
        password: "ghs_granted".to_owned(),
        life: Duration::from_secs(60),
    };
    let registry = MemoryRegistry::start(access).unwrap();
    registry.push("acme/web", "v1", &Image::default());
    let source = app(&key_file(&folder), &github, Some(5678));
    let tags = listed(&registry.host(), source, environment(&[])).await;
    assert_eq!(tags.unwrap(), ["v1"]);

    let [asked] = &github.take()[..] else {
        panic!("one request")
    };
    let path = "/api/v3/app/installations/5678/access_tokens";
    assert_eq!((&*asked.method, &*asked.path), ("POST", path));
    assert_eq!(asked.body, r#"{"permissions":{"packages":"read"}}"#);
    assert_eq!(asked.headers["accept"], "application/vnd.github+json");
    assert_eq!(asked.headers["x-github-api-version"], "2022-11-28");
    let (header, claims) = verified(assertion(asked), key());
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT" }));
    // From a minute before noon to nine after it.
    let expected = json!({ "iss": "1234", "iat": 1_767_268_740, "exp": 1_767_269_340 });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_token_for_a_repository_may_do_what_the_app_may() {
    let folder = tempfile::tempdir().unwrap();
    let github = Fake::start(granted);
    let Source::GithubApp(mut wanted) = app(&key_file(&folder), &github, Some(1)) else {
        unreachable!("an app was made");
    };
    wanted.purpose = Purpose::Repository;
    let logins = logins("github.com", Source::GithubApp(wanted), environment(&[]));
    logins.find("").await.unwrap();
    assert_eq!(github.take()[0].body, "{}");
}

#[tokio::test]
async fn a_token_is_renewed_within_its_hour_by_the_key_of_then() {
    let folder = TempDir::new().unwrap();
    let file = key_file(&folder);
    let github = Fake::start(granted);
    let logins = logins("ghcr.io", app(&file, &github, Some(1)), environment(&[]));
    let new = another_key();
    for (key, pem) in [(key(), pkcs1_pem(key())), (&new, new.serialize_pem())] {
        std::fs::write(&file, pem).unwrap();
        let expected = ("x-access-token".to_owned(), "ghs_granted".to_owned());
        assert_eq!(login(&logins).await, expected);
        login(&logins).await;
        let asked = github.take();
        assert_eq!(asked.len(), 1);
        verified(assertion(&asked[0]), key);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600) - MARGIN_MAX).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn the_only_installation_need_not_be_named() {
    let folder = TempDir::new().unwrap();
    let file = key_file(&folder);
    let mut all = Vec::new();
    for ids in [&[7][..], &[], &[7, 8]] {
        let list = ids.iter().map(|id| json!({ "id": id, "account": {} }));
        let list = serde_json::Value::from_iter(list).to_string();
        let github = Fake::start(move |asked| match &*asked.path {
            "/api/v3/app/installations" => (200, list.clone()),
            "/api/v3/app/installations/7/access_tokens" => granted(asked),
            other => panic!("{other}"),
        });
        let logins = logins("ghcr.io", app(&file, &github, None), environment(&[]));
        match ids {
            [_] => assert_eq!(login(&logins).await.1, "ghs_granted"),
            _ => all.push(refusal(&logins, &file).await),
        }
        let asked = github.take();
        verified(assertion(&asked[0]), key());
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: the GitHub App is not installed anywhere [install it in the organization or account that owns the images, with the right to read packages]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: the GitHub App is installed in several places [name one with `installation-id`; it stands at the end of the installation's URL]
    ");
}

#[tokio::test]
async fn what_github_refuses_is_told_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = key_file(&folder);
    let mut all = Vec::new();
    for (status, message) in [
        (
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ),
        (
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ),
        (401, "A JSON web token could not be decoded"),
        (404, "Integration not found"),
        (404, "Not Found"),
        (
            422,
            "The permissions requested are not granted to this installation.",
        ),
    ] {
        let body = json!({ "message": message, "documentation_url": "https://docs.github.com" });
        let github = Fake::start(move |_| (status, body.to_string()));
        let logins = logins("ghcr.io", app(&file, &github, Some(1)), environment(&[]));
        all.push(refusal(&logins, &file).await);
    }
    std::fs::write(&file, "hunter2").unwrap();
    let github = Fake::start(granted);
    let logins = logins("ghcr.io", app(&file, &github, Some(1)), environment(&[]));
    all.push(refusal(&logins, &file).await);
    assert!(github.take().is_empty());
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 401, saying `'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires` [check the clock: it is some minutes off]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 401, saying `'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued` [check the clock: it is some minutes off]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 401, saying `A JSON web token could not be decoded` [check that the key is one of this app's, and `app-id`]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 404, saying `Integration not found` [check `app-id` and `installation-id`]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 404, saying `Not Found`
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: GitHub answered with status 422, saying `The permissions requested are not granted to this installation.` [give the app the repository permission `Packages: Read-only`, and accept it where it is installed]
    failed to get a login for the GitHub App `1234` with the key in file `FILE`: file `FILE` holds no private RSA key in PEM form
    ");
}
