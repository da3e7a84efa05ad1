//! A manifests repository that is logged in to as a GitHub App: what the git server is shown.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::contract::told;
use super::fetch::Head;
use super::wire::line;
use super::{Mirror, Remote, RemoteUrl};
use crate::login::{Clock, GithubApp, Purpose, Source};
use crate::secret::Secret;

/// GitHub in small: its interface grants the token, its git server takes `good` alone and has an empty repository.
async fn start(token: &'static str, good: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let good = format!(
        "Basic {}",
        STANDARD.encode(format!("x-access-token:{good}"))
    );
    let answer = async move |uri: Uri, headers: HeaderMap| {
        seen.lock().unwrap().push(uri.path().to_owned());
        if uri.path().ends_with("/access_tokens") {
            let grant = format!(r#"{{"token": "{token}", "expires_at": "2030-01-01T00:00:00Z"}}"#);
            return (StatusCode::CREATED, grant).into_response();
        }
        if headers
            .get("authorization")
            .is_none_or(|given| *given != *good)
        {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let kind = "application/x-git-upload-pack-advertisement";
        let service = line("# service=git-upload-pack\n");
        let none = line(&format!(
            "{} capabilities^{{}}\0ofs-delta\n",
            "0".repeat(40)
        ));
        let refs = [&service[..], b"0000", &none, b"0000"].concat();
        ([("content-type", kind)], refs).into_response()
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (host, asked)
}

fn mirror(host: &str, folder: &std::path::Path) -> Mirror {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = folder.join("app.pem");
    let key_pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    std::fs::write(&key, key_pair.serialize_pem()).unwrap();
    let url = RemoteUrl::http(format!("http://{host}/acme/deploy.git").parse().unwrap());
    let app = GithubApp {
        app_id: "1234".to_owned(),
        installation_id: Some(5678),
        private_key: Secret::File(key),
        api: Some(format!("http://{host}/api/v3").parse().unwrap()),
        purpose: Purpose::Repository,
    };
    let remote = Remote {
        credentials: Some(Source::GithubApp(app)),
        ..Remote::new("deploy".to_owned(), url, Clock::default())
    };
    Mirror::open(remote, folder.join("mirror")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_app_is_the_password_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (host, asked) = start("ghs_one", "ghs_one").await;
    let mirror = mirror(&host, folder.path());
    let main = ["main".to_owned()];
    for _ in 0..2 {
        let heads = mirror.fetch(&main, &[]).await.unwrap();
        assert_eq!(heads["main"], Head::EmptyRepository);
    }
    let refs = "/acme/deploy.git/info/refs";
    let grant = "/api/v3/app/installations/5678/access_tokens";
    assert_eq!(*asked.lock().unwrap(), [grant, refs, refs]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_that_is_refused_is_not_asked_for_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let (host, asked) = start("ghs_one", "ghs_two").await;
    let mirror = mirror(&host, folder.path());
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    let words = told(&error);
    assert!(
        words.ends_with("the server refused the credentials"),
        "{words}"
    );
    assert!(!format!("{error:?}").contains("ghs_"));
    assert_eq!(asked.lock().unwrap().len(), 2);
}
