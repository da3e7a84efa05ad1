//! Servers of checks: what is asked of them and what is passed on of their answers, and the faults that they have.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use bed::GitServer;
use insta::assert_snapshot;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::{ANSWER_BYTES_MAX, Options, Pace, Probe, Reply, Server, TEXT_BYTES_MAX};
use crate::login::Clock;
use crate::observe::whole_message;
use crate::policy::gate::checks::{Answered, Inquiry, Method, Scalar};
use crate::secret::{Credentials, Secret};

/// 2026-11-22T14:00:00Z.
const NOW: i64 = 1_795_356_000;

const PACE: Pace = Pace {
    connect: Duration::from_secs(10),
    total: Duration::from_secs(20),
};

/// What a fake was asked.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A server that gives one answer, and remembers what it was asked.
struct Fake {
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Made = Result<Response<Body>, axum::http::Error>;

impl Fake {
    async fn new(answer: impl Fn(&Seen) -> Made + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = seen.clone();
        let router = Router::new().fallback(async move |parts: Parts, body: Bytes| {
            let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
                (name.to_string(), value.to_str().unwrap().to_owned())
            };
            let seen = Seen {
                method: parts.method.to_string(),
                target: parts.uri.to_string(),
                headers: parts.headers.iter().map(header).collect(),
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            let answer = answer(&seen).unwrap();
            kept.lock().unwrap().push(seen);
            answer
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, seen }
    }

    /// One that answers so to everything.
    async fn saying(status: u16, body: impl ToString) -> Self {
        let body = body.to_string();
        Self::new(move |_| Response::builder().status(status).body(body.clone().into())).await
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.host)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn plain() -> Server {
    Server {
        plain_http: true,
        ..Server::default()
    }
}

fn probe(servers: &[(&Fake, Server)]) -> Probe {
    let servers = servers.iter();
    let servers = servers.map(|(fake, server)| (fake.host.clone(), server.clone()));
    probe_of(servers.collect())
}

fn probe_of(servers: BTreeMap<String, Server>) -> Probe {
    let options = Options {
        servers,
        pace: PACE,
        clock: Clock(|| Timestamp::from_second(NOW).unwrap()),
    };
    Probe::new(options).unwrap()
}

fn get(url: String, pointers: &[&str]) -> Inquiry {
    Inquiry::Http {
        method: Method::Get,
        url,
        headers: BTreeMap::new(),
        body: None,
        pointers: pointers.iter().map(ToString::to_string).collect(),
    }
}

fn query(url: String, over: Option<&str>) -> Inquiry {
    Inquiry::Prometheus {
        url,
        headers: BTreeMap::new(),
        query: "errors{app=\"portal\"}".to_owned(),
        over: over.map(|over| over.parse().unwrap()),
    }
}

/// What came of it, with the host left out.
fn told(reply: &Reply, fake: &Fake) -> String {
    let text = match &reply.told {
        Ok(Answered::Http { status, values }) => format!("{status} {values:?}"),
        Ok(Answered::Prometheus { series, gap }) => format!("{series:?} {gap:?}"),
        Err(error) => whole_message(error, error.hint()),
    };
    text.replace(&fake.host, "HOST")
}

async fn asked(fake: &Fake, inquiry: &Inquiry) -> String {
    told(&probe(&[(fake, plain())]).ask(inquiry).await, fake)
}

/// What is told of Prometheus where it says this.
async fn prometheus(over: Option<&str>, status: u16, answer: Json) -> String {
    let fake = Fake::saying(status, answer).await;
    asked(&fake, &query(fake.url("/root/"), over)).await
}

fn secret(value: &str) -> (tempfile::NamedTempFile, Secret) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), value).unwrap();
    let secret = Secret::File(file.path().to_owned());
    (file, secret)
}

#[tokio::test]
async fn of_an_answer_the_status_and_what_was_asked_for_are_told() {
    let body = json!({ "status": "ok", "count": 3, "up": true, "none": null, "of": [{ "a/b": "a\nb" }], "other": "hidden" });
    let fake = Fake::saying(203, body).await;
    let pointers = [
        "/status",
        "/count",
        "/up",
        "/none",
        "/of",
        "/of/0/a~1b",
        "/gone",
    ];
    let reply = asked(&fake, &get(fake.url("/api/x?a=b"), &pointers)).await;
    assert_snapshot!(reply, @r#"203 Some({"/count": Number(3.0), "/none": Null, "/of": Many, "/of/0/a~1b": Text("a\nb"), "/status": Text("ok"), "/up": Truth(true)})"#);
    let seen = &fake.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("GET", "/api/x?a=b"));
    assert_eq!(seen.headers["accept"], "application/json");
}

#[tokio::test]
async fn a_text_is_passed_on_as_it_is_or_not_at_all() {
    let long = "a".repeat(TEXT_BYTES_MAX);
    let body = json!({ "spaced": " ok\n ok", "long": long, "longer": format!("{long}!") });
    let fake = Fake::saying(200, body).await;
    let inquiry = get(fake.url("/"), &["/spaced", "/long", "/longer"]);
    let reply = probe(&[(&fake, plain())]).ask(&inquiry).await;
    let Answered::Http {
        values: Some(values),
        ..
    } = reply.told.unwrap()
    else {
        panic!("it was asked over HTTP for JSON");
    };
    assert_eq!(values["/spaced"], Scalar::Text(" ok\n ok".to_owned()));
    assert_eq!(values["/long"], Scalar::Text(long));
    assert_eq!(values["/longer"], Scalar::Long);
}

#[tokio::test]
async fn a_body_that_is_no_json_has_no_values_and_where_none_is_wanted_none_is_read() {
    let fake = Fake::saying(503, "x".repeat(ANSWER_BYTES_MAX + 1)).await;
    assert_eq!(asked(&fake, &get(fake.url("/"), &[])).await, "503 Some({})");
    let reply = asked(&fake, &get(fake.url("/"), &["/a"])).await;
    assert_snapshot!(reply, @"the answer of `HOST` is larger than 8388608 bytes");
    let fake = Fake::saying(200, "fine").await;
    assert_eq!(asked(&fake, &get(fake.url("/"), &["/a"])).await, "200 None");
}

#[tokio::test]
async fn a_post_has_its_body_and_its_own_headers() {
    let fake = Fake::saying(201, "").await;
    let post = |headers: &[(&str, &str)]| Inquiry::Http {
        method: Method::Post,
        url: fake.url("/"),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Some("{\"a\":1}".to_owned()),
        pointers: [].into(),
    };
    assert_eq!(asked(&fake, &post(&[])).await, "201 Some({})");
    let own = post(&[("content-type", "text/plain"), ("x-team", "shop")]);
    assert_eq!(asked(&fake, &own).await, "201 Some({})");
    let seen = fake.seen();
    assert_eq!((&*seen[0].method, &*seen[0].body), ("POST", "{\"a\":1}"));
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert_eq!(seen[1].headers["content-type"], "text/plain");
    assert_eq!(seen[1].headers["x-team"], "shop");
}

#[tokio::test]
async fn a_secret_goes_to_its_server_alone_and_is_read_anew_each_time() {
    let (file, token) = secret("s3cret-one\n");
    let (_other, key) = secret("s3cret-key");
    let (named, other) = (Fake::saying(200, "").await, Fake::saying(200, "").await);
    let of_named = Server {
        credentials: Some(Credentials::Token(token.clone())),
        headers: [("x-api-key".to_owned(), key)].into(),
        ..plain()
    };
    let of_other = Server {
        credentials: Some(Credentials::Basic {
            username: "ann".to_owned(),
            password: token,
        }),
        ..plain()
    };
    let probe = probe(&[(&named, of_named), (&other, of_other)]);
    for fake in [&named, &other] {
        assert!(probe.ask(&get(fake.url("/"), &[])).await.told.is_ok());
    }
    std::fs::write(file.path(), "s3cret-two").unwrap();
    assert!(probe.ask(&query(named.url(""), None)).await.told.is_err());
    let (of_named, of_other) = (named.seen(), other.seen());
    assert_eq!(of_named[0].headers["authorization"], "Bearer s3cret-one");
    assert_eq!(of_named[0].headers["x-api-key"], "s3cret-key");
    assert_eq!(of_named[1].headers["authorization"], "Bearer s3cret-two");
    // `ann:s3cret-one`, as printf and base64 make it.
    assert_eq!(
        of_other[0].headers["authorization"],
        "Basic YW5uOnMzY3JldC1vbmU="
    );
    assert!(!of_other[0].headers.contains_key("x-api-key"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Fake::saying(200, "").await;
    let to = other.url("/stolen");
    let fake = Fake::new(move |_| {
        let moved = Response::builder().status(StatusCode::FOUND);
        moved.header("location", to.clone()).body(Body::empty())
    })
    .await;
    let (_file, token) = secret("s3cret");
    let server = Server {
        credentials: Some(Credentials::Token(token)),
        ..plain()
    };
    let probe = probe(&[(&fake, server), (&other, plain())]);
    let reply = probe.ask(&get(fake.url("/"), &[])).await;
    assert_eq!(told(&reply, &fake), "302 Some({})");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_server_behind_tls_is_known_by_the_authority_that_the_settings_name() {
    let server = GitServer::start();
    server.create("deploy.git");
    let url = server.https("deploy.git/info/refs?service=git-upload-pack");
    let host = url.split('/').nth(2).unwrap().to_owned();
    let trusting = Server {
        ca_file: Some(server.ca_file().to_owned()),
        ..Server::default()
    };
    let strict = probe_of([].into()).ask(&get(url.clone(), &[])).await;
    let error = strict.told.unwrap_err();
    let message = whole_message(&error, error.hint());
    assert!(message.contains("certificate"), "{message}");
    let reply = probe_of([(host, trusting)].into())
        .ask(&get(url, &[]))
        .await;
    // It asks who comes.
    let status = match reply.told {
        Ok(Answered::Http { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status, 401);
}

#[tokio::test]
async fn what_cannot_be_asked_says_why_and_no_secret() {
    let fake = Fake::saying(200, "").await;
    let strict = probe(&[(&fake, Server::default())]);
    let reply = strict.ask(&get(fake.url("/?token=s3cret"), &[])).await;
    assert_snapshot!(told(&reply, &fake), @"`HOST` would be asked without TLS, which the settings do not allow (use https, or write `HOST: { plain-http: true }` under `servers` in the settings)");
    let reply = asked(&fake, &get("https://x:y".to_owned(), &[])).await;
    assert_snapshot!(reply, @"`https://x:y` is not the URL of a server (a URL begins with `https://`)");
    let reply = asked(&fake, &get("ftp://x/".to_owned(), &[])).await;
    assert_snapshot!(reply, @"`ftp://x/` is not the URL of a server (a URL begins with `https://`)");
    let unset = Server {
        credentials: Some(Credentials::Token(Secret::Env("TOWPATH_UNSET".to_owned()))),
        ..plain()
    };
    let reply = probe(&[(&fake, unset)]).ask(&get(fake.url("/"), &[])).await;
    assert_snapshot!(told(&reply, &fake), @"there is no secret for `HOST`: the environment variable `TOWPATH_UNSET` is not set");
    let (_file, token) = secret("s3cret\nof two lines");
    let server = Server {
        credentials: Some(Credentials::Token(token)),
        ..plain()
    };
    let reply = probe(&[(&fake, server)])
        .ask(&get(fake.url("/"), &[]))
        .await;
    assert_snapshot!(told(&reply, &fake), @"the header `authorization` for `HOST` cannot be sent (a header is one line of letters, digits and signs)");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_is_away_or_slow_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let options = Options {
        servers: [(host.clone(), plain())].into(),
        // Nobody ever answers: the connection waits to be taken.
        pace: Pace {
            total: Duration::from_millis(50),
            ..PACE
        },
        clock: Clock(|| Timestamp::UNIX_EPOCH),
    };
    let inquiry = get(format!("http://{host}/secret-path"), &[]);
    let reply = Probe::new(options).unwrap().ask(&inquiry).await;
    let message = reply.told.unwrap_err().to_string().replace(&host, "HOST");
    assert_snapshot!(message, @"`HOST` did not answer in time");
    drop(listener);
    let reply = probe_of([(host.clone(), plain())].into())
        .ask(&inquiry)
        .await;
    let error = reply.told.unwrap_err();
    let message = whole_message(&error, error.hint()).replace(&host, "HOST");
    assert!(message.starts_with("failed to reach `HOST`: "), "{message}");
    assert!(!message.contains("secret-path"), "{message}");
}

#[tokio::test]
async fn a_server_is_left_alone_for_as_long_as_it_wishes_and_no_longer_than_an_hour() {
    for (status, after, expected) in [
        (429, "90", Some(90)),
        (503, "Sun, 22 Nov 2026 14:05:00 GMT", Some(300)),
        (503, "100000", Some(3600)),
        (503, "soon", None),
        (503, "0", None),
        (200, "90", None),
    ] {
        let fake = Fake::new(move |_| {
            let answer = Response::builder().status(status);
            answer.header("retry-after", after).body(Body::empty())
        })
        .await;
        let reply = probe(&[(&fake, plain())])
            .ask(&get(fake.url("/"), &[]))
            .await;
        let rest = reply.beside.not_before.map(|at| at.as_second() - NOW);
        assert_eq!(rest, expected, "{status} {after}");
    }
}

/// <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>
#[tokio::test]
async fn prometheus_is_asked_for_the_latest_samples() {
    let answer = json!({ "status": "success", "data": { "resultType": "vector", "result": [
        { "metric": { "__name__": "up", "job": "b" }, "value": [1435781451.781, "0.5"] },
        { "metric": { "__name__": "up", "job": "c" }, "value": [1435781451.781, "0.7"] },
        { "metric": { "__name__": "up", "job": "a" }, "value": [1435781451.781, "+Inf"] },
    ] }, "infos": ["metric might not be a counter"] });
    let fake = Fake::saying(200, answer).await;
    let reply = asked(&fake, &query(fake.url("/root/"), None)).await;
    assert_snapshot!(reply, @r#"[Series { labels: "up{job=\"b\"}", lowest: 0.5, highest: 0.5 }, Series { labels: "up{job=\"a\"}", lowest: inf, highest: inf }] None"#);
    let seen = &fake.seen()[0];
    assert_eq!(
        (&*seen.method, &*seen.target),
        ("POST", "/root/api/v1/query")
    );
    assert_eq!(seen.body, "query=errors%7Bapp%3D%22portal%22%7D");
    assert_eq!(
        seen.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let scalar = json!({ "status": "success", "data": { "resultType": "scalar", "result": [1435781451.781, "1"] } });
    assert_snapshot!(prometheus(None, 200, scalar).await, @r#"[Series { labels: "{}", lowest: 1.0, highest: 1.0 }] None"#);
    let none = json!({ "status": "success", "data": { "resultType": "vector", "result": [] } });
    assert_snapshot!(prometheus(None, 200, none).await, @"[] None");
}

/// A series of the time that is asked about with these samples, of which the first is at its start.
fn series(job: &str, samples: &[(i64, &str)]) -> Json {
    let start = NOW - 60;
    let values = samples.iter().map(|(at, value)| json!([start + at, value]));
    json!({ "metric": { "job": job }, "values": values.collect::<Vec<_>>() })
}

fn matrix(series: &[Json]) -> Json {
    json!({ "status": "success", "data": { "resultType": "matrix", "result": series } })
}

/// <https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries>
#[tokio::test]
async fn prometheus_is_asked_for_all_samples_of_a_time() {
    let whole = [(0, "1"), (15, "2"), (30, "0.5"), (45, "1"), (60, "1")];
    let fake = Fake::saying(200, matrix(&[series("a", &whole)])).await;
    let reply = asked(&fake, &query(fake.url(""), Some("1m"))).await;
    assert_snapshot!(reply, @r#"[Series { labels: "{job=\"a\"}", lowest: 0.5, highest: 2.0 }] None"#);
    let seen = &fake.seen()[0];
    assert_eq!(seen.target, "/api/v1/query_range");
    assert_eq!(
        seen.body,
        "query=errors%7Bapp%3D%22portal%22%7D&start=1795355940&end=1795356000&step=15"
    );
    // Two that cover it together, as pods that come and go.
    let (first, second) = (series("a", &whole[..3]), series("b", &whole[2..]));
    let both = prometheus(Some("1m"), 200, matrix(&[first, second])).await;
    assert!(both.ends_with(" None"), "{both}");
    // A day has a sample each 87 s.
    asked(&fake, &query(fake.url(""), Some("24h"))).await;
    assert!(fake.seen()[1].body.ends_with("&step=87"));
}

#[tokio::test]
async fn a_time_that_no_sample_covers_is_a_gap() {
    for (samples, gap) in [
        (
            &[(15, "1"), (30, "1"), (45, "1"), (60, "1")][..],
            "13:59:00",
        ),
        (&[(0, "1"), (15, "1"), (45, "1"), (60, "1")][..], "13:59:30"),
        (&[(0, "1"), (15, "1"), (30, "1"), (45, "1")][..], "14:00:00"),
    ] {
        let reply = prometheus(Some("1m"), 200, matrix(&[series("a", samples)])).await;
        let expected = format!(" Some(2026-11-22T{gap}Z)");
        assert!(reply.ends_with(&expected), "{reply}");
    }
    let none = prometheus(Some("1m"), 200, matrix(&[])).await;
    assert_eq!(none, "[] None");
    // Rounded to whole steps, as VictoriaMetrics does.
    let rounded = [(-5, "1"), (10, "1"), (25, "1"), (40, "1"), (55, "1")];
    let reply = prometheus(Some("1m"), 200, matrix(&[series("a", &rounded)])).await;
    assert!(reply.ends_with(" None"), "{reply}");
}

#[tokio::test]
async fn a_sample_that_is_no_number_is_told_whatever_the_others_are() {
    for samples in [
        [(0, "NaN"), (15, "1"), (30, "1"), (45, "1"), (60, "1")],
        [(0, "1"), (15, "1"), (30, "NaN"), (45, "1"), (60, "1")],
    ] {
        let others = [(0, "0"), (15, "0"), (30, "0"), (45, "0"), (60, "9")];
        let both = matrix(&[series("a", &samples), series("b", &others)]);
        let reply = prometheus(Some("1m"), 200, both).await;
        assert!(
            reply.contains(r#"{ labels: "{job=\"a\"}", lowest: NaN, highest: NaN }"#),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn what_prometheus_does_not_answer_wholly_is_no_answer() {
    let vector = |one: Json| json!({ "status": "success", "data": { "resultType": "vector", "result": [one] } });
    let told = async |status, answer| prometheus(None, status, answer).await;
    let refused = json!({ "status": "error", "errorType": "bad_data", "error": "1:3: parse error:\nunexpected end" });
    assert_snapshot!(told(400, refused).await, @"`HOST` answered 400: bad_data: 1:3: parse error: unexpected end");
    assert_snapshot!(told(401, json!("no")).await, @r#"`HOST` answered 401: "no" (`credentials` of `HOST` stand under `servers` in the settings)"#);
    let mut partly = vector(json!({ "metric": {}, "value": [1, "1"] }));
    partly["warnings"] = json!(["store 10.0.0.1 is away"]);
    assert_snapshot!(told(200, partly).await, @"`HOST` answered with a warning: store 10.0.0.1 is away");
    // VictoriaMetrics, of storage nodes that are away.
    let mut partly = vector(json!({ "metric": {}, "value": [1, "1"] }));
    partly["isPartial"] = json!(true);
    assert_snapshot!(told(200, partly.clone()).await, @"`HOST` answered with a warning: a part of its storage did not answer");
    partly["isPartial"] = json!(false);
    assert!(told(200, partly).await.ends_with(" None"));
    for strange in [
        vector(json!({ "metric": {}, "histogram": [1, { "count": "1" }] })),
        vector(json!({ "metric": {}, "value": [1, "much"] })),
        json!({ "status": "success", "data": { "resultType": "string", "result": [1, "1"] } }),
        json!({ "status": "error" }),
    ] {
        let expected = "`HOST` answered what has no samples (the `url` of Prometheus is its root, without `/api/v1`)";
        assert_eq!(told(200, strange).await, expected);
    }
    assert_snapshot!(told(200, json!({ "hello": "s3cret" })).await, @"`HOST` answered what is not Prometheus's JSON (the `url` of Prometheus is its root, without `/api/v1`)");
}
