//! Google Cloud against fakes that check what they are sent: keys, other providers, and what they refuse.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tempfile::TempDir;

use super::super::fake::{
    Fake, another_key, environment, key, listed, login, logins, refusal, verified,
};
use super::super::{Environment, Google, GoogleIdentity, MARGIN_MAX, Source};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::secret::Secret;

const HOST: &str = "europe-docker.pkg.dev";

fn by_file(path: &Path) -> Source {
    let secret = Secret::File(path.to_owned());
    Source::Google(Google::Named(GoogleIdentity::Key(secret)))
}

fn nothing() -> Environment {
    environment(&[])
}

/// Writes a service account's key file that names the token service at `host`.
fn write_key(path: &Path, host: &str, private_key: &str) {
    let text = json!({
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "key-1",
        "private_key": private_key,
        "client_email": "pull@acme.iam.gserviceaccount.com",
        "token_uri": format!("http://{host}/token"),
    });
    std::fs::write(path, text.to_string()).unwrap();
}

/// Writes credentials by which Google's services at `host` believe another provider.
fn write_external(path: &Path, host: &str, impersonated: bool, source: &serde_json::Value) {
    let account = "projects/-/serviceAccounts/pull@acme.iam.gserviceaccount.com";
    let mut text = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{host}/v1/token"),
        "credential_source": source,
    });
    if impersonated {
        let url = format!("http://{host}/v1/{account}:generateAccessToken");
        text["service_account_impersonation_url"] = url.into();
    }
    std::fs::write(path, text.to_string()).unwrap();
}

fn granted(token: &str) -> (u16, String) {
    let body = json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" });
    (200, body.to_string())
}

#[tokio::test]
async fn a_service_account_proves_itself_by_its_key_and_may_read_images() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.json");
    let tokens = Fake::start(|_| granted("ya29.granted"));
    write_key(&file, &tokens.host, &key().serialize_pem());
    let access = Access::Token {
        username: "oauth2accesstoken".to_owned(),
        password: "ya29.granted".to_owned(),
        life: Duration::from_secs(60),
    };
    let registry = MemoryRegistry::start(access).unwrap();
    registry.push("acme/web", "v1", &Image::default());
    let tags = listed(&registry.host(), by_file(&file), nothing()).await;
    assert_eq!(tags.unwrap(), ["v1"]);

    let [asked] = &tokens.take()[..] else {
        panic!("one request")
    };
    assert_eq!((&*asked.method, &*asked.path), ("POST", "/token"));
    let form = asked.form();
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!((form.len(), &*form["grant_type"]), (2, grant));
    let (header, claims) = verified(&form["assertion"], key());
    let expected = json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" });
    assert_eq!(header, expected);
    let claims = claims.to_string().replace(&tokens.host, "SERVICE");
    assert_snapshot!(claims, @r#"{"aud":"http://SERVICE/token","exp":1767269370,"iat":1767268770,"iss":"pull@acme.iam.gserviceaccount.com","scope":"https://www.googleapis.com/auth/devstorage.read_only https://www.googleapis.com/auth/cloud-platform.read-only"}"#);
}

#[tokio::test]
async fn a_new_key_counts_at_the_next_grant() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.json");
    let tokens = Fake::start(|_| granted("t"));
    let new = another_key();
    let logins = logins(HOST, by_file(&file), nothing());
    for key in [key(), &new] {
        write_key(&file, &tokens.host, &key.serialize_pem());
        login(&logins).await;
        let form = tokens.take()[0].form();
        verified(&form["assertion"], key);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3599) - MARGIN_MAX).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn another_provider_vouches_by_a_file_that_is_read_anew() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("external.json");
    let subject = folder.path().join("token");
    let exchange = Fake::start(|_| granted("ya29.federated"));
    write_external(&file, &exchange.host, false, &json!({ "file": subject }));
    let logins = logins(HOST, by_file(&file), nothing());
    for token in ["eyJ.one", "eyJ.two"] {
        std::fs::write(&subject, token).unwrap();
        let expected = ("oauth2accesstoken".to_owned(), "ya29.federated".to_owned());
        assert_eq!(login(&logins).await, expected);
        let form = exchange.take()[0].form();
        assert_eq!(form["subject_token"], token);
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        assert_eq!(form["grant_type"], grant);
        assert_eq!(form["scope"], super::SCOPES.join(" "));
        assert!(form["audience"].starts_with("//iam.googleapis.com/"));
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3599) - MARGIN_MAX).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn another_provider_vouches_by_a_url_for_a_service_account() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("external.json");
    let google = Fake::start(|asked| match &*asked.path {
        "/v1/token" => granted("ya29.federated"),
        _ => {
            let body = r#"{"accessToken": "ya29.account", "expireTime": "2026-01-01T13:00:00Z"}"#;
            (200, body.to_owned())
        }
    });
    let provider = Fake::start(|_| (200, r#"{"value": "eyJ.subject", "count": 1}"#.to_owned()));
    let source = json!({
        "url": format!("http://{}/token?audience=google", provider.host),
        "headers": { "X-Marked": "yes" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    write_external(&file, &google.host, true, &source);
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
    let source = Source::Google(Google::Ambient);
    let logins = logins(HOST, source, environment(&variables));
    let found = login(&logins).await;
    assert_eq!(found.1, "ya29.account");
    let place = logins
        .place("acme/web")
        .await
        .replace(file.to_str().unwrap(), "FILE");
    assert_eq!(place, "the Google credentials in file `FILE`");

    assert_eq!(provider.take()[0].headers["x-marked"], "yes");
    let asked = google.take();
    let form = asked[0].form();
    assert_eq!(form["subject_token"], "eyJ.subject");
    assert_eq!(form["scope"], super::IMPERSONATION_SCOPE);
    assert_eq!(asked[1].headers["authorization"], "Bearer ya29.federated");
    assert_snapshot!(asked[1].path, @"/v1/projects/-/serviceAccounts/pull@acme.iam.gserviceaccount.com:generateAccessToken");
    assert_snapshot!(asked[1].body, @r#"{"lifetime":"3600s","scope":["https://www.googleapis.com/auth/devstorage.read_only","https://www.googleapis.com/auth/cloud-platform.read-only"]}"#);
}

#[tokio::test]
async fn what_google_refuses_is_told_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.json");
    let mut all = Vec::new();
    for (status, body) in [
        (
            400,
            r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#,
        ),
        (
            400,
            r#"{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}"#,
        ),
        (
            400,
            r#"{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}"#,
        ),
    ] {
        let tokens = Fake::start(move |_| (status, body.to_owned()));
        write_key(&file, &tokens.host, &key().serialize_pem());
        let logins = logins(HOST, by_file(&file), nothing());
        all.push(refusal(&logins, &file).await);
        assert_eq!(tokens.take().len(), 1, "no second try");
    }
    let google = Fake::start(|asked| match &*asked.path {
        "/v1/token" => granted("ya29.federated"),
        _ => {
            let message = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
            let error = json!({ "error": { "code": 403, "message": message, "status": "PERMISSION_DENIED" } });
            (403, error.to_string())
        }
    });
    let subject = folder.path().join("token");
    std::fs::write(&subject, "eyJ.one").unwrap();
    write_external(&file, &google.host, true, &json!({ "file": subject }));
    let logins = logins(HOST, by_file(&file), nothing());
    all.push(refusal(&logins, &file).await);
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the Google credentials in file `FILE`: Google's token service answered with status 400, saying `invalid_grant: Invalid JWT Signature.` [the key was deleted: make a new one]
    failed to get a login for the Google credentials in file `FILE`: Google's token service answered with status 400, saying `invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.` [check the clock: it is some minutes off]
    failed to get a login for the Google credentials in file `FILE`: Google's token service answered with status 400, saying `invalid_grant: Invalid grant: account not found` [the service account does not exist, or no longer]
    failed to get a login for the Google credentials in file `FILE`: Google's service account credentials service answered with status 403, saying `Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).` [give the identity the role `roles/iam.workloadIdentityUser` on the service account]
    ");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_told_without_its_text() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key.json");
    let mut all = Vec::new();
    let of_key = |uri: &str, key: &str| {
        json!({
            "type": "service_account", "private_key_id": "k", "private_key": key,
            "client_email": "a@b", "token_uri": uri,
        })
    };
    let external = |source| {
        json!({
            "type": "external_account", "audience": "a", "subject_token_type": "t",
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source,
        })
    };
    for text in [
        "hunter2".to_owned(),
        json!({ "type": "service_account", "private_key": "hunter2" }).to_string(),
        json!({ "type": "authorized_user", "refresh_token": "hunter2" }).to_string(),
        of_key("https://oauth2.googleapis.com/token", "hunter2").to_string(),
        of_key("http://oauth2.googleapis.com/token", &key().serialize_pem()).to_string(),
        external(json!({ "environment_id": "aws1" })).to_string(),
        external(json!({ "url": "http://example.com/hunter2" })).to_string(),
        external(json!({ "file": "/none/token" })).to_string(),
    ] {
        std::fs::write(&file, text).unwrap();
        let told = refusal(&logins(HOST, by_file(&file), nothing()), &file).await;
        assert!(!told.contains("hunter2"), "{told}");
        all.push(told);
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the Google credentials in file `FILE`: file `FILE` holds no Google credentials in JSON
    failed to get a login for the Google credentials in file `FILE`: file `FILE` holds no Google credentials in JSON
    failed to get a login for the Google credentials in file `FILE`: file `FILE` holds no Google credentials of the type `service_account` or `external_account`
    failed to get a login for the Google credentials in file `FILE`: file `FILE` holds no private RSA key in PEM form
    failed to get a login for the Google credentials in file `FILE`: file `FILE` names a service that is not asked over https
    failed to get a login for the Google credentials in file `FILE`: file `FILE` holds no `credential_source` with a `file` or a `url`
    failed to get a login for the Google credentials in file `FILE`: file `FILE` names a service that is not asked over https
    failed to get a login for the Google credentials in file `FILE`: failed to read the secret in `/none/token`: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn where_no_metadata_server_answers_a_credentials_file_is_named() {
    let elsewhere = environment(&[("GCE_METADATA_HOST", "127.0.0.1:1")]);
    let logins = logins(HOST, Source::Google(Google::Ambient), elsewhere);
    let told = refusal(&logins, Path::new("none")).await;
    let (_, hint) = told.split_once(" [").unwrap();
    assert_snapshot!(hint, @"elsewhere than on Google Cloud, name a credentials file by `key`, or by `GOOGLE_APPLICATION_CREDENTIALS`]");
}
