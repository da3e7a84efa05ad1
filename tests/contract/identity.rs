//! Identity tokens of Docker config files: what a token service is sent for them, and what is made of its answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::IntoResponse as _;
use insta::assert_snapshot;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE};
use tempfile::TempDir;
use url::form_urlencoded;

use super::{HostOptions, Listing, Options, Registry, RegistryError};
use crate::demo::registry::{Access, Image, Kind, MemoryRegistry};
use crate::image::Repository;
use crate::login::{DockerConfig, Source, SourcesByPath};

const NOON: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// A registry whose token service takes refresh tokens.
struct Service {
    host: String,
    state: Arc<Mutex<State>>,
    folder: TempDir,
}

#[derive(Default)]
struct State {
    /// The refresh token that is good.
    refresh: String,
    /// What it is exchanged for, once.
    next: Option<String>,
    /// Where requests for a token are sent on to.
    moved: Option<String>,
    /// Seconds that a token is good.
    life: u64,
    /// The forms that were sent.
    forms: Vec<BTreeMap<String, String>>,
}

impl Service {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            refresh: "one".to_owned(),
            life: 300,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let token = async move |headers: HeaderMap, body: String| {
            let mut state = shared.lock().unwrap();
            assert_eq!(headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
            assert!(!headers.contains_key(AUTHORIZATION));
            if let Some(to) = &state.moved {
                let headers = [(LOCATION, to.clone())];
                return (StatusCode::TEMPORARY_REDIRECT, headers, "").into_response();
            }
            let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes())
                .into_owned()
                .collect();
            let is_good = form.get("refresh_token") == Some(&state.refresh);
            state.forms.push(form);
            if !is_good {
                return (StatusCode::BAD_REQUEST, r#"{"error": "invalid_grant"}"#).into_response();
            }
            let mut answer =
                serde_json::json!({ "access_token": "good", "expires_in": state.life });
            if let Some(next) = state.next.take() {
                answer["refresh_token"] = next.clone().into();
                state.refresh = next;
            }
            answer.to_string().into_response()
        };
        let challenge = format!(r#"Bearer realm="http://{host}/token?a=b",service="s & t""#);
        let tags = async move |headers: HeaderMap| {
            let given = headers.get(AUTHORIZATION);
            match given.is_some_and(|value| value == "Bearer good") {
                true => r#"{"tags": ["v1"]}"#.into_response(),
                false => {
                    let headers = [(WWW_AUTHENTICATE, challenge.clone())];
                    (StatusCode::UNAUTHORIZED, headers, "{}").into_response()
                }
            }
        };
        let router = axum::Router::new()
            .route("/token", axum::routing::post(token))
            .fallback(axum::routing::get(tags));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let service = Self {
            host,
            state,
            folder: tempfile::tempdir().unwrap(),
        };
        service.write("identitytoken", "one");
        service
    }

    fn write(&self, key: &str, token: &str) {
        let entry = serde_json::json!({ "auth": "MDA6", key: token });
        let auths = serde_json::json!({ "auths": { &*self.host: entry } });
        std::fs::write(self.folder.path().join("config.json"), auths.to_string()).unwrap();
    }

    fn registry(&self) -> Registry {
        by_file(&self.folder)
    }

    async fn tags(&self, registry: &Registry) -> Result<Listing, RegistryError> {
        let repository = format!("{}/acme/web", self.host);
        registry.tags(&repository.parse().unwrap(), NOON).await
    }

    /// The refresh tokens that were sent.
    fn take_sent(&self) -> Vec<String> {
        let forms = std::mem::take(&mut self.state.lock().unwrap().forms);
        let token = |form: BTreeMap<String, String>| form["refresh_token"].clone();
        forms.into_iter().map(token).collect()
    }
}

fn by_file(folder: &TempDir) -> Registry {
    let file = DockerConfig::new(folder.path().join("config.json"));
    Registry::new(Options {
        others: HostOptions {
            plain_http: true,
            logins: SourcesByPath::from(Source::DockerConfig(file)),
            ..HostOptions::default()
        },
        ..Options::default()
    })
}

#[tokio::test]
async fn an_identity_token_is_exchanged_at_the_token_service() {
    let service = Service::start().await;
    let registry = service.registry();
    assert_eq!(service.tags(&registry).await.unwrap().tags.len(), 1);
    assert_eq!(service.tags(&registry).await.unwrap().tags.len(), 1);
    let form = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = BTreeMap::from([
        form("grant_type", "refresh_token"),
        form("service", "s & t"),
        form("scope", "repository:acme/web:pull"),
        form("client_id", "towpath"),
        form("refresh_token", "one"),
    ]);
    assert_eq!(service.state.lock().unwrap().forms, [expected]);
}

#[tokio::test]
async fn a_new_refresh_token_is_used_while_it_is_good_and_then_that_of_the_file_again() {
    let service = Service::start().await;
    let registry = service.registry();
    service.state.lock().unwrap().life = 0;
    service.state.lock().unwrap().next = Some("two".to_owned());
    for expected in [&["one"][..], &["two"]] {
        service.tags(&registry).await.unwrap();
        assert_eq!(service.take_sent(), expected);
    }
    service.state.lock().unwrap().refresh = "one".to_owned();
    service.tags(&registry).await.unwrap();
    assert_eq!(service.take_sent(), ["two", "one"]);
}

#[tokio::test]
async fn a_refused_identity_token_is_told_by_its_entry() {
    let service = Service::start().await;
    service.write("identitytoken", "hunter2");
    let registry = service.registry();
    let error = service.tags(&registry).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let folder = service.folder.path().display().to_string();
    let told = error
        .to_string()
        .replace(&service.host, "HOST")
        .replace(&folder, "FOLDER");
    assert_snapshot!(told, @r#"the token service `127.0.0.1` of `HOST` refused the entry `HOST` of the Docker config file `FOLDER/config.json` with status 400, saying `{"error": "invalid_grant"}`"#);
    assert_eq!(service.take_sent(), ["hunter2"]);
}

#[tokio::test]
async fn an_identity_token_follows_no_redirect() {
    let service = Service::start().await;
    let other = Service::start().await;
    let to = format!(
        "http://localhost:{}/token",
        other.host.rsplit(':').next().unwrap()
    );
    for to in [to, "/token?moved".to_owned()] {
        service.state.lock().unwrap().moved = Some(to);
        let registry = service.registry();
        let error = service.tags(&registry).await.unwrap_err();
        assert!(
            matches!(
                error,
                RegistryError::TokenRefused { .. } | RegistryError::Redirected { .. }
            ),
            "{error}"
        );
        assert!(service.take_sent().is_empty() && other.take_sent().is_empty());
    }
}

#[tokio::test]
async fn a_registry_token_is_sent_as_it_is() {
    let service = Service::start().await;
    service.write("registrytoken", "good");
    let registry = service.registry();
    assert_eq!(service.tags(&registry).await.unwrap().tags.len(), 1);
    assert!(service.take_sent().is_empty());
}

#[tokio::test]
async fn a_token_that_an_older_login_got_is_not_used_for_the_one_that_follows_it() {
    let server = MemoryRegistry::start(Access::Token {
        username: "alice".to_owned(),
        password: "s3cret".to_owned(),
        life: std::time::Duration::from_secs(300),
    });
    let server = server.unwrap();
    server.push("acme/web", "v1", &Image::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let write = |password: &str| {
        let entry = serde_json::json!({ "username": "alice", "password": password });
        let auths = serde_json::json!({ "auths": { server.host(): entry } });
        std::fs::write(&file, auths.to_string()).unwrap();
    };
    let registry = by_file(&folder);
    let repository: Repository = format!("{}/acme/web", server.host()).parse().unwrap();
    let tags = async || registry.tags(&repository, NOON).await.map(|_| ());
    write("s3cret");
    tags().await.unwrap();
    tags().await.unwrap();
    assert_eq!(server.take_requests()[&Kind::Token], 1);
    // A file that is being written takes nothing away.
    std::fs::write(&file, "{").unwrap();
    tags().await.unwrap();
    write("hunter2");
    let error = tags().await.unwrap_err();
    assert!(
        matches!(error, RegistryError::TokenRefused { .. }),
        "{error}"
    );
    write("s3cret");
    tags().await.unwrap();
}
