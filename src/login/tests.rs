//! Which source has the login, and how long a grant is kept: against a metadata server on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insta::assert_snapshot;
use secrecy::ExposeSecret as _;

use super::{
    Clock, Environment, FAILED_FOR, Google, LIFE_MAX, Login, LoginError, Logins, MARGIN_MAX,
    REFUSED_AFTER, Source, SourcesByPath, Target,
};
use crate::secret::{Credentials, Secret};

fn token(path: &str) -> Source {
    Credentials::Token(Secret::File(path.into())).into()
}

fn logins(sources: SourcesByPath) -> Logins {
    Logins::new(
        Target::of_host("r.example.com"),
        sources,
        Environment::default(),
        Clock::default(),
    )
}

/// Answers each request with this status and body, where `{n}` is the number of the request; the place and the count.
fn service(status: &'static str, body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    // Ends with the test's process; a connection is one request.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let is_marked = head
                .iter()
                .any(|line| line.eq_ignore_ascii_case("metadata-flavor: google"));
            let body = match is_marked {
                true => body.replace("{n}", &n.to_string()),
                false => "not marked".to_owned(),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, count)
}

fn google(address: &str) -> Logins {
    let sources = Source::Google(Google::Ambient).into();
    let variable = ("GCE_METADATA_HOST".to_owned(), address.to_owned());
    let environment = Environment::Given(BTreeMap::from([variable]));
    Logins::new(
        Target::of_host("europe-docker.pkg.dev"),
        sources,
        environment,
        Clock::default(),
    )
}

async fn password(logins: &Logins) -> String {
    match logins.find("acme/web").await.unwrap().login {
        Login::Basic { username, password } => {
            assert_eq!(username, "oauth2accesstoken");
            password.expose_secret().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

/// Lets `time` go by without waiting for it.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn told(error: LoginError, address: &str) -> String {
    format!("{:#}", anyhow::Error::new(error)).replace(address, "SERVICE")
}

#[tokio::test]
async fn the_closest_prefix_in_whole_segments_has_the_login() {
    let mut sources = SourcesByPath::default();
    for prefix in ["", "acme", "acme/web", "acme-b"] {
        sources.insert(prefix.to_owned(), token(&format!("/none/{prefix}")));
    }
    let logins = logins(sources);
    for (path, expected) in [
        ("other", ""),
        ("acme", "acme"),
        ("acme/api", "acme"),
        ("acme/web", "acme/web"),
        ("acme/web/x", "acme/web"),
        ("acme/web2", "acme"),
        ("acme-b/x", "acme-b"),
        ("acme-c/x", ""),
    ] {
        let place = logins.place(path).await;
        let end = format!("`/none/{expected}`");
        assert!(place.ends_with(&end), "{path}: {place}");
    }
}

#[tokio::test]
async fn without_a_source_access_is_anonymous() {
    let logins = logins(SourcesByPath::default());
    let found = logins.find("acme/web").await.unwrap();
    assert!(matches!(found.login, Login::Anonymous));
    assert_eq!(found.place, "anonymous access");
    assert!(!logins.refused("acme/web", &found.login).await);
}

#[tokio::test]
async fn a_grant_is_kept_until_shortly_before_it_expires() {
    let (address, count) = service("200 OK", r#"{"access_token": "t{n}", "expires_in": 3599}"#);
    let logins = google(&address);
    let many = (0..10).map(|_| password(&logins));
    let all = futures_util::future::join_all(many).await;
    assert_eq!(all, ["t1"; 10]);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3598) - MARGIN_MAX).await;
    assert_eq!(password(&logins).await, "t1");
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(password(&logins).await, "t2");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_grant_is_forgotten_unless_it_is_fresh() {
    let (address, _) = service("200 OK", r#"{"access_token": "t{n}", "expires_in": 3599}"#);
    let logins = google(&address);
    let first = logins.find("acme/web").await.unwrap().login;
    assert!(!logins.refused("acme/web", &first).await);
    assert_eq!(password(&logins).await, "t1");
    pass(REFUSED_AFTER).await;
    assert!(logins.refused("acme/web", &first).await);
    assert_eq!(password(&logins).await, "t2");
    // Others were refused with the first one too, and come with the news a little later.
    assert!(logins.refused("acme/api", &first).await);
    assert_eq!(password(&logins).await, "t2");
}

#[tokio::test]
async fn a_grant_that_is_said_to_live_for_ever_is_a_grant() {
    let body = r#"{"access_token": "t{n}", "expires_in": 18446744073709551615}"#;
    let (address, _) = service("200 OK", body);
    let logins = google(&address);
    assert_eq!(password(&logins).await, "t1");
    pass(LIFE_MAX).await;
    assert_eq!(password(&logins).await, "t2");
}

#[tokio::test]
async fn a_service_that_failed_is_asked_again_after_some_seconds_however_many_want_a_login() {
    let (address, count) = service("404 Not Found", "no such account");
    let logins = google(&address);
    let many = (0..10).map(|_| logins.find("acme/web"));
    let all = futures_util::future::join_all(many).await;
    for found in all {
        let error = told(found.unwrap_err(), &address);
        assert!(error.ends_with("saying `no such account`"), "{error}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    pass(FAILED_FOR).await;
    assert!(logins.find("acme/web").await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_a_service_says_is_told_and_what_it_gives_is_not() {
    let mut all = Vec::new();
    for (status, body) in [
        ("404 Not Found", "no\n such\u{1b}[31m account"),
        ("200 OK", r#"{"access_token": "hunter2"}"#),
        ("503 Service Unavailable", ""),
    ] {
        let (address, _) = service(status, body);
        let logins = google(&address);
        let error = logins.find("acme/web").await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
        all.push(told(error, &address));
        let place = logins.place("acme/web").await;
        assert_eq!(
            place,
            "the service account `default` of Google's metadata server"
        );
    }
    assert_snapshot!(all.join("\n"), @"
    failed to get a login for the service account `default` of Google's metadata server: Google's metadata server answered with status 404, saying `no such [31m account`
    failed to get a login for the service account `default` of Google's metadata server: Google's metadata server gave an answer without an access token
    failed to get a login for the service account `default` of Google's metadata server: Google's metadata server answered with status 503
    ");
}
