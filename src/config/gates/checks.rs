//! The gate `checks` as it is written: questions to other servers, and what is expected of their answers.
//!
//! Not here: secrets, which stand with the servers that they are for (`servers`). Invariant: a URL that exists here was one once,
//! with names such as there will be.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use url::Url;

use super::super::forms::OneOrMany;
use super::super::nouns::unknown_word;
use super::super::problem::Faults;
use super::super::servers::{HeaderName, host_of};
use super::super::shape::{Block, Leaf, Named, Placed, Refusal, Shape, nearest, shape, unexpected};
use super::super::source::Span;
use super::super::tree::{Node, PlainKind, Value, plain_kind};
use super::{Age, Known};
use crate::policy::CheckName;
use crate::policy::gate::checks::{
    About, Ask, Bound, Check, Condition, Expect, Method, Name, Pattern, Scalar, Statuses, Test,
    Text,
};

/// How long an answer counts where nothing is said.
const EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The most often that a server is asked, and how long one answer may count.
const EVERY_MIN: SignedDuration = SignedDuration::from_secs(10);
const EVERY_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The longest time that samples are looked at: beyond it they are ten minutes apart, and hide what was in between.
const OVER_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Headers by which people prove who they are.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Headers that belong to the connection.
const OWN: [&str; 6] = [
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

shape! {
    /// A question to another server, and the answer that lets a version pass.
    struct CheckEntry {
        /// What the check is called: `smoke`, `error-rate`.
        name: Placed<CheckName> = "name",
        /// A request over HTTP.
        http: Option<Block<HttpEntry>> = "http",
        /// A query of Prometheus, or of what speaks its API.
        prometheus: Option<Block<PrometheusEntry>> = "prometheus",
        /// How long an answer counts, and how often the server is asked while it is not as expected: `10s` to `1h`. Default: `1m`.
        every: Option<Placed<Age>> = "every",
    }

    /// A request over HTTP. In `url` and `body`, `{version}`, `{tag}`, `{digest}`, `{policy}`, `{environment}` and `{before}` are filled in.
    struct HttpEntry {
        /// The URL, such as `https://smoke.example.com/{policy}/{version}`. Redirects are not followed.
        url: Placed<Text> = "url",
        /// `GET` or `POST`. Default: `GET`.
        method: Option<Placed<Method>> = "method",
        /// Headers that are no secrets, by their names.
        headers: Option<Named<HeaderName, Placed<HeaderValue>>> = "headers",
        /// The body of a `POST`, JSON unless a header says otherwise.
        body: Option<Placed<Text>> = "body",
        /// What is expected of the answer. Default: a status from 200 to 299.
        expect: Option<ExpectEntry> = "expect",
    }

    /// What is expected of an answer over HTTP, all of it.
    struct ExpectEntry {
        /// The status: `200`, `2xx`, or a list of these. Default: `2xx`.
        status: Option<OneOrMany<Placed<Statuses>>> = "status",
        /// A value in the JSON of the answer, or a list of these: `{ path: /status, equals: ok }`.
        json: Option<OneOrMany<Block<ConditionEntry>>> = "json",
    }

    /// What is expected of one value: exactly one of `equals`, `matches`, `at-least` and `at-most`.
    struct ConditionEntry {
        /// Where the value stands, as a JSON pointer: `/status`, `/checks/0/name`.
        path: Placed<Pointer> = "path",
        /// The value: a text, a number, `true` or `false`. A text of more than 2,000 bytes is never as expected.
        equals: Option<Literal> = "equals",
        /// A regular expression that the whole text matches.
        matches: Option<Placed<Pattern>> = "matches",
        /// The least that the number may be.
        at_least: Option<Placed<Number>> = "at-least",
        /// The most that the number may be.
        at_most: Option<Placed<Number>> = "at-most",
    }

    /// A query of Prometheus, of which every sample of every series is above or below a bound. In `url` and `query`, `{version}`, `{tag}`, `{digest}`, `{policy}`, `{environment}` and `{before}` are filled in.
    struct PrometheusEntry {
        /// The root of the server, without `/api/v1`: `https://prometheus.example.com`.
        url: Placed<Text> = "url",
        /// Headers that are no secrets, by their names: `X-Scope-OrgID: shop`.
        headers: Option<Named<HeaderName, Placed<HeaderValue>>> = "headers",
        /// The query, in PromQL.
        query: Placed<Text> = "query",
        /// What every sample is greater than.
        above: Option<Placed<Number>> = "above",
        /// What every sample is less than.
        below: Option<Placed<Number>> = "below",
        /// How long it must have been so, up to now: `10m`, up to `7d`. Default: only the latest samples are looked at.
        over: Option<Placed<Age>> = "for",
    }
}

impl Leaf for Text {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::new("expected a text, found an empty one"));
        }
        text.parse()
            .map_err(|error: crate::policy::gate::checks::ParseTextError| {
                let known = Name::ALL.map(Name::as_str);
                let hint = match nearest(&error.word, &known) {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => format!("known here: `{{{}}}`", known.join("}`, `{")),
                };
                Refusal {
                    part: Some(error.place.clone()),
                    ..Refusal::from(error).hint(hint)
                }
            })
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl Leaf for Method {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| unknown_word(text, &Self::ALL.map(Self::as_str)))
    }

    fn schema() -> Json {
        json!({ "enum": Self::ALL.map(Self::as_str) })
    }
}

impl Leaf for Statuses {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
        let class = class.filter(|digit| (1..=5).contains(digit));
        let one = text.parse().ok().filter(|one| (100..=599).contains(one));
        let statuses = class.map(Self::Class).or(one.map(Self::One));
        statuses.ok_or_else(|| {
            Refusal::new(format!("`{text}` is not a status of HTTP")).hint("write `200` or `2xx`")
        })
    }

    fn schema() -> Json {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 599 },
            { "type": "string", "pattern": "^[1-5]([0-9][0-9]|xx)$" },
        ] })
    }
}

impl Leaf for Pattern {
    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::new(text).map_err(|why| {
            let message = format!("`{text}` is not a regular expression that can be used: {why}");
            Refusal::new(message)
        })
    }
}

/// The value of a header: one line.
#[derive(Clone, Debug)]
pub(in crate::config) struct HeaderValue(String);

impl Leaf for HeaderValue {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let is_line = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        match is_line && !text.trim().is_empty() {
            true => Ok(Self(text.to_owned())),
            // The text may be a secret.
            false => Err(Refusal::new("a header is one line of ASCII characters")),
        }
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"] })
    }
}

/// A JSON pointer.
#[derive(Clone, Debug)]
pub(in crate::config) struct Pointer(String);

impl Leaf for Pointer {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        let steps: Vec<&str> = text
            .trim_start_matches('$')
            .split(['.', '[', ']'])
            .filter(|step| !step.is_empty())
            .collect();
        Err(Refusal::new(format!("`{text}` is not a JSON pointer"))
            .hint(format!("write `/{}`", steps.join("/"))))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^/" })
    }
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Number(f64);

impl Leaf for Number {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number
            .map(Self)
            .ok_or_else(|| Refusal::new(format!("`{text}` is not a number")))
    }

    fn schema() -> Json {
        json!({ "type": "number" })
    }
}

/// A value as JSON has it: what stands there without quotes may be a number or a truth.
#[derive(Clone, Debug)]
pub(in crate::config) struct Literal(Scalar);

impl Shape for Literal {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Scalar(scalar) = &node.value else {
            unexpected(node, "a text, a number, `true` or `false`", faults);
            return None;
        };
        let kind = match scalar.plain {
            true => plain_kind(&scalar.text),
            false => PlainKind::Text,
        };
        Some(Self(match kind {
            PlainKind::Text => Scalar::Text(scalar.text.clone()),
            PlainKind::Boolean => Scalar::Truth(scalar.text.eq_ignore_ascii_case("true")),
            PlainKind::Number => match Number::parse(&scalar.text) {
                Ok(Number(number)) => Scalar::Number(number),
                Err(refusal) => {
                    faults.error(node.span, refusal.message);
                    return None;
                }
            },
        }))
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": ["string", "number", "boolean"] }))
    }
}

/// What the checks of an environment mean.
pub(super) fn checks(
    written: Option<Vec<Block<CheckEntry>>>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for block in written.into_iter().flatten() {
        let name = &block.value.name;
        if checks.iter().any(|check| check.name == name.value) {
            let message = format!("a second check `{}`", name.value);
            faults.error(name.span, message);
        }
        checks.extend(check(block, known, faults));
    }
    checks
}

fn check(block: Block<CheckEntry>, known: &Known<'_>, faults: &mut Faults) -> Option<Check> {
    let Block { value, owner, span } = block;
    let CheckEntry {
        name,
        http,
        prometheus,
        every,
    } = value;
    let every = every.map_or(EVERY, |every| {
        let Age(long) = every.value;
        if !(EVERY_MIN..=EVERY_MAX).contains(&long) {
            faults.error(every.span, "a server is asked every `10s` to `1h`");
        }
        long
    });
    let ask = match (http, prometheus) {
        (Some(http), None) => of_http(http.value, known, faults),
        (None, Some(prometheus)) => of_prometheus(prometheus, known, faults),
        (Some(_), Some(prometheus)) => {
            faults.error(
                prometheus.owner,
                "`http` and `prometheus` cannot stand together; write two checks",
            );
            None
        }
        (None, None) => {
            // What is missing beside something wrong may only be misspelled.
            if !faults.touch(span) {
                let hint = "write `http: { url: URL }` or `prometheus: { url: URL, query: QUERY, below: NUMBER }`";
                faults.error_with_hint(owner, "this check does not say who is asked", hint);
            }
            None
        }
    };
    let name = name.value;
    Some(Check {
        name,
        ask: ask?,
        every,
    })
}

fn of_http(entry: HttpEntry, known: &Known<'_>, faults: &mut Faults) -> Option<Ask> {
    let HttpEntry {
        url,
        method,
        headers: written,
        body,
        expect: expected,
    } = entry;
    let method = method.map_or(Method::Get, |method| method.value);
    if let Some(body) = body.as_ref().filter(|_| method == Method::Get) {
        let hint = "write `method: POST`, or leave `body` out";
        faults.error_with_hint(body.span, "a `GET` has no body", hint);
    }
    for text in [Some(&url), body.as_ref()].into_iter().flatten() {
        names(text, known, faults);
    }
    usable(&url, known, faults);
    Some(Ask::Http {
        method,
        url: url.value,
        headers: headers(written, faults),
        body: body.map(|body| body.value),
        expect: expect(expected, faults),
    })
}

fn expect(written: Option<ExpectEntry>, faults: &mut Faults) -> Expect {
    let (status, json) = match written {
        Some(ExpectEntry { status, json }) => (status, json),
        None => (None, None),
    };
    let status = status.map_or(vec![Statuses::Class(2)], |OneOrMany(all)| {
        all.into_iter().map(|one| one.value.value).collect()
    });
    let json = json.into_iter().flat_map(|OneOrMany(all)| all);
    Expect {
        status,
        json: json
            .filter_map(|one| condition(one.value, faults))
            .collect(),
    }
}

fn condition(block: Block<ConditionEntry>, faults: &mut Faults) -> Option<Condition> {
    let Block { value, owner, span } = block;
    let ConditionEntry {
        path,
        equals,
        matches,
        at_least,
        at_most,
    } = value;
    let tests = [
        equals.map(|Literal(value)| Test::Equals(value)),
        matches.map(|pattern| Test::Matches(pattern.value)),
        at_least.map(|number| Test::AtLeast(number.value.0)),
        at_most.map(|number| Test::AtMost(number.value.0)),
    ];
    let mut tests = tests.into_iter().flatten();
    match (tests.next(), tests.next()) {
        (Some(test), None) => Some(Condition {
            pointer: path.value.0,
            test,
        }),
        (None, _) if faults.touch(span) => None,
        (None, _) | (Some(_), Some(_)) => {
            let message =
                "a condition is exactly one of `equals`, `matches`, `at-least` and `at-most`";
            let hint = "several conditions are a list: `json: [{ .. }, { .. }]`";
            faults.error_with_hint(owner, message, hint);
            None
        }
    }
}

fn of_prometheus(
    block: Block<PrometheusEntry>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Option<Ask> {
    let Block { value, owner, span } = block;
    let PrometheusEntry {
        url,
        headers: written,
        query,
        above,
        below,
        over,
    } = value;
    for text in [&url, &query] {
        names(text, known, faults);
    }
    if let Some(sample) = usable(&url, known, faults).filter(|sample| sample.query().is_some()) {
        let message = format!(
            "`?{}` is no part of a root",
            sample.query().unwrap_or_default()
        );
        let hint = "write the query as `query`, and the URL without `/api/v1`";
        faults.error_with_hint(url.span, message, hint);
    }
    if let Some(over) = over.as_ref().filter(|over| over.value.0 > OVER_MAX) {
        let hint = "let the query look further back: `max_over_time(..)`";
        faults.error_with_hint(over.span, "samples of `7d` are looked at, at most", hint);
    }
    let bound = match (above, below) {
        (Some(above), None) => Bound::Above(above.value.0),
        (None, Some(below)) => Bound::Below(below.value.0),
        (None, None) if faults.touch(span) => return None,
        (None, None) | (Some(_), Some(_)) => {
            let message = "a query is judged by exactly one of `above` and `below`";
            faults.error(owner, message);
            return None;
        }
    };
    Some(Ask::Prometheus {
        url: url.value,
        headers: headers(written, faults),
        query: query.value,
        bound,
        over: over.map(|over| over.value.0),
    })
}

/// Refuses to name the environment before where there is none.
fn names(text: &Placed<Text>, known: &Known<'_>, faults: &mut Faults) {
    if text.value.names(Name::Before) && !known.is_after {
        let message =
            "`{before}` is the environment that versions come from, and there is none here";
        faults.error_with_hint(text.span, message, "name it with `after`");
    }
}

/// The URL with sample names, if it is one that may be asked; else says what is wrong.
fn usable(written: &Placed<Text>, known: &Known<'_>, faults: &mut Faults) -> Option<Url> {
    let sample = sample(&written.value);
    let url: Option<Url> = sample.parse().ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        let hint = "a URL begins with `https://`, and `{digest}` cannot be a part of a host";
        faults.error_with_hint(written.span, "this is not the URL of a server", hint);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "write `credentials` of its host under `servers` in the settings";
        faults.error_with_hint(written.span, "a login never stands in a URL", hint);
    }
    let host = host_of(&url)?;
    let is_allowed = |servers: &BTreeMap<String, crate::probe::Server>| {
        servers.get(&host).is_some_and(|server| server.plain_http)
    };
    // Whose host depends on the policy is judged when it is asked.
    let has_names = written.value.to_string().split('/').nth(2)?.contains('{');
    if url.scheme() == "http" && !has_names && !known.servers.is_none_or(is_allowed) {
        faults.error_with_hint(
            written.part(Some(0.."http".len())),
            "this URL has no TLS, so anyone on the way can write the answer",
            format!("use https, or write `servers: {{ \"{host}\": {{ plain-http: true }} }}` in the settings"),
        );
    }
    Some(url)
}

fn sample(text: &Text) -> String {
    let (name, tag) = ("x".parse(), "v1.0.0".parse());
    let environment = "x".parse().expect("it is a name");
    let digest = format!("sha256:{}", "0".repeat(64)).parse();
    text.fill(&About {
        policy: &name.expect("it is a name"),
        environment: &environment,
        before: Some(&environment),
        tag: &tag.expect("it is a tag"),
        digest: &digest.expect("it is a digest"),
        is_followed: false,
    })
}

fn headers(
    written: Option<Named<HeaderName, Placed<HeaderValue>>>,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for entry in written.into_iter().flat_map(|headers| headers.entries) {
        let Placed { value, span, .. } = entry.key;
        let HeaderName(name) = value;
        refused(&name, span, faults);
        if let Some(value) = entry.value {
            headers.insert(name, value.value.0);
        }
    }
    headers
}

fn refused(name: &str, span: Span, faults: &mut Faults) {
    if SECRETS.contains(&name) {
        let hint = "write `credentials`, or `headers` with secrets, of its host under `servers` in the settings";
        faults.error_with_hint(span, "a secret never stands in a policy", hint);
    } else if OWN.contains(&name) {
        faults.error(span, format!("`{name}` is what the connection says itself"));
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::super::tests::{POLICY, SETTINGS, folder, messages};
    use super::super::super::{Config, load};
    use crate::policy::gate::checks::{Ask, Bound, Method, Scalar, Statuses, Test};
    use crate::probe::Server;
    use crate::secret::{Credentials, Secret};

    /// A policy with one environment for each of `checks`: `dev-0`, `dev-1`.
    fn policy(checks: &[&str]) -> String {
        let environment = |(index, checks): (usize, &&str)| {
            format!(
                "    - name: dev-{index}\n      tags: {{ semver: 1.x }}\n      update: a{index}\n      gates: {{ checks: [\n{checks}\n      ] }}\n"
            )
        };
        let environments: String = checks.iter().enumerate().map(environment).collect();
        format!("{POLICY}{environments}")
    }

    fn read(settings: &str, checks: &[&str]) -> Config {
        let folder = folder(settings, &policy(checks));
        let config = load(&folder.path().join("towpath.yaml"));
        config.unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn refused(checks: &[&str]) -> String {
        messages(SETTINGS, &policy(checks))
    }

    #[test]
    fn checks_are_read_as_they_are_meant() {
        let config = read(
            SETTINGS,
            &[
                "{ name: a, http: { url: 'https://a.example.com/{version}' } }",
                "{ name: b, every: 30s, http: { url: 'https://b.example.com', method: POST, headers: { X-Team: shop, X-N: 1 }, body: '{\"v\":\"{tag}\"}', expect: { status: [200, 4xx], json: [{ path: /a, equals: ok }, { path: /b, equals: 1 }, { path: /c, equals: true }, { path: /d, equals: \"1\" }, { path: /e, at-least: 0.5 }, { path: /f, matches: \"v.*\" }] } } }",
                "{ name: c, prometheus: { url: 'https://p.example.com/root', query: 'up{app=\"{policy}\"}', above: 0, for: 10m } }, { name: d, prometheus: { url: 'https://p.example.com', query: up, below: -1.5e3 } }",
            ],
        );
        let environments = &config.policies[0].environments;
        let checks = |index: usize| &environments[index].gates.checks;
        let Ask::Http { method, expect, .. } = &checks(0)[0].ask else {
            panic!("it is asked over HTTP");
        };
        assert_eq!(
            (*method, expect.status.as_slice(), expect.json.len()),
            (Method::Get, &[Statuses::Class(2)][..], 0)
        );
        let Ask::Http {
            headers,
            body,
            expect,
            ..
        } = &checks(1)[0].ask
        else {
            panic!("it is asked over HTTP");
        };
        assert_eq!(checks(1)[0].every.as_secs(), 30);
        assert_eq!(headers["x-team"], "shop");
        assert_eq!(headers["x-n"], "1");
        assert_eq!(body.as_ref().unwrap().to_string(), "{\"v\":\"{tag}\"}");
        let equals: Vec<_> = expect.json.iter().map(|one| one.test.clone()).collect();
        let text = |text: &str| Test::Equals(Scalar::Text(text.to_owned()));
        assert_eq!(equals[0], text("ok"));
        assert_eq!(equals[1], Test::Equals(Scalar::Number(1.0)));
        assert_eq!(equals[2], Test::Equals(Scalar::Truth(true)));
        assert_eq!(equals[3], text("1"));
        assert_eq!(equals[4], Test::AtLeast(0.5));
        let bound = |index: usize| match &checks(2)[index].ask {
            Ask::Prometheus { bound, over, .. } => (*bound, over.map(|over| over.as_secs())),
            Ask::Http { .. } => panic!("it is asked of Prometheus"),
        };
        assert_eq!(bound(0), (Bound::Above(0.0), Some(600)));
        assert_eq!(bound(1), (Bound::Below(-1500.0), None));
    }

    #[test]
    fn what_is_wrong_with_a_check_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ name: a }",
            "{ name: a, http: {} }",
            "{ name: a, http: { url: 'https://a' }, prometheus: { url: 'https://a', query: up, above: 1 } }",
            "{ name: 'A b', http: { url: 'https://a' } }",
            "{ name: a, every: 5s, http: { url: 'https://a' } }, { name: a, http: { url: 'https://a' } }",
            "{ name: a, htp: { url: 'https://a' } }",
        ]), @"
        12:1 this check does not say who is asked [write `http: { url: URL }` or `prometheus: { url: URL, query: QUERY, below: NUMBER }`]
        18:12 the key `url` is missing
        24:40 `http` and `prometheus` cannot stand together; write two checks
        30:9 `A b` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit
        36:19 a server is asked every `10s` to `1h`
        36:61 a second check `a`
        42:12 unknown key `htp` [did you mean `http`?]
        ");
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ name: a, http: { url: 'ftp://a' } }",
            "{ name: a, http: { url: 'https://ann:s3cret@a' } }",
            "{ name: a, http: { url: 'http://a.example.com:81/x' } }",
            "{ name: a, http: { url: 'https://{digest}.a' } }",
            "{ name: a, http: { url: 'https://a/{polcy}/{before}' } }",
            "{ name: a, http: { url: 'https://a/{before}' } }",
            "{ name: a, http: { url: 'https://a', body: x } }",
            "{ name: a, http: { url: 'https://a', method: PUT } }",
            "{ name: a, http: { url: 'https://a', headers: { Authorization: x, host: y, 'a b': z } } }",
        ]), @r#"
        12:25 this is not the URL of a server [a URL begins with `https://`, and `{digest}` cannot be a part of a host]
        18:25 a login never stands in a URL [write `credentials` of its host under `servers` in the settings]
        24:26 this URL has no TLS, so anyone on the way can write the answer [use https, or write `servers: { "a.example.com:81": { plain-http: true } }` in the settings]
        30:25 this is not the URL of a server [a URL begins with `https://`, and `{digest}` cannot be a part of a host]
        36:36 unknown part `{polcy}` [did you mean `{policy}`?]
        42:25 `{before}` is the environment that versions come from, and there is none here [name it with `after`]
        48:44 a `GET` has no body [write `method: POST`, or leave `body` out]
        54:46 `PUT` is not one of `GET`, `POST`
        60:49 a secret never stands in a policy [write `credentials`, or `headers` with secrets, of its host under `servers` in the settings]
        60:67 `host` is what the connection says itself
        60:76 `a b` is not the name of a header [letters, digits and `-`: `X-Api-Key`]
        "#);
    }

    #[test]
    fn what_is_wrong_with_an_expectation_is_told_at_its_place() {
        let expect =
            |expect: &str| format!("{{ name: a, http: {{ url: 'https://a', expect: {expect} }} }}");
        let all = [
            "{ status: 99 }",
            "{ status: 9xx }",
            "{ status: [] }",
            "{ json: { path: $.a.b, equals: 1 } }",
            "{ json: { path: /a } }",
            "{ json: { path: /a, equals: 1, at-most: 2 } }",
            "{ json: { path: /a, matches: '(' } }",
            "{ json: { path: /a, at-least: many } }",
            "{ json: { path: /a, equals: [1] } }",
            "{ cel: 'a < 1' }",
        ]
        .map(expect);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_snapshot!(refused(&all), @"
        12:56 `99` is not a status of HTTP [write `200` or `2xx`]
        18:56 `9xx` is not a status of HTTP [write `200` or `2xx`]
        24:56 expected at least one, found an empty list
        30:62 `$.a.b` is not a JSON pointer [write `/a/b`]
        36:48 a condition is exactly one of `equals`, `matches`, `at-least` and `at-most` [several conditions are a list: `json: [{ .. }, { .. }]`]
        42:48 a condition is exactly one of `equals`, `matches`, `at-least` and `at-most` [several conditions are a list: `json: [{ .. }, { .. }]`]
        48:75 `(` is not a regular expression that can be used: unclosed group
        54:76 `many` is not a number
        60:74 expected a text, a number, `true` or `false`, found a list
        66:48 unknown key `cel` [known here: `status`, `json`]
        ");
    }

    #[test]
    fn what_is_wrong_with_a_query_is_told_at_its_place() {
        assert_snapshot!(refused(&[
            "{ name: a, prometheus: { url: 'https://p', query: up } }",
            "{ name: a, prometheus: { url: 'https://p', query: up, above: 1, below: 2 } }",
            "{ name: a, prometheus: { url: 'https://p?x=y', query: up, above: 1 } }",
            "{ name: a, prometheus: { url: 'https://p', query: up, above: .inf } }",
            "{ name: a, prometheus: { url: 'https://p', query: up, above: 1, for: 8d } }",
            "{ name: a, prometheus: { url: 'https://p', query: 'up{app=\"{app}\"}', above: 1 } }",
        ]), @"
        12:12 a query is judged by exactly one of `above` and `below`
        18:12 a query is judged by exactly one of `above` and `below`
        24:31 `?x=y` is no part of a root [write the query as `query`, and the URL without `/api/v1`]
        30:62 `.inf` is not a number
        36:70 samples of `7d` are looked at, at most [let the query look further back: `max_over_time(..)`]
        42:60 unknown part `{app}` [known here: `{version}`, `{tag}`, `{digest}`, `{policy}`, `{environment}`, `{before}`]
        ");
    }

    #[test]
    fn a_server_has_its_secrets_in_the_settings() {
        let settings = format!(
            "{SETTINGS}servers:
  prometheus:9090: {{ plain-http: true, credentials: {{ token: {{ env: PATH }} }} }}
  A.example.com: {{ credentials: {{ username: ann, password: {{ env: PATH }} }}, headers: {{ X-Api-Key: {{ env: PATH }} }} }}
"
        );
        let config = read(
            &settings,
            &["{ name: a, prometheus: { url: 'http://prometheus:9090', query: up, above: 0 } }"],
        );
        let secret = || Secret::Env("PATH".to_owned());
        let servers = config.settings.servers;
        assert_eq!(
            servers["prometheus:9090"],
            Server {
                plain_http: true,
                credentials: Some(Credentials::Token(secret())),
                ..Server::default()
            }
        );
        let password = secret();
        let username = "ann".to_owned();
        assert_eq!(
            servers["a.example.com"],
            Server {
                credentials: Some(Credentials::Basic { username, password }),
                headers: [("x-api-key".to_owned(), secret())].into(),
                ..Server::default()
            }
        );
        assert_eq!(config.warnings, []);
        let wrong = format!(
            "{SETTINGS}servers:
  https://a.example.com: {{}}
  a.example.com: {{ credentials: s3cret }}
  A.example.com: {{ headers: {{ 'a b': {{ env: X }}, X-Key: s3cret }} }}
  b b: {{}}
"
        );
        let some = policy(&["{ name: a, http: { url: 'https://a' } }"]);
        assert_snapshot!(messages(&wrong, &some), @"
        7:3 `https://a.example.com` is not the host of a server [write the host alone, without scheme or path]
        8:33 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
        9:3 the server `a.example.com` stands here twice
        9:31 `a b` is not the name of a header [letters, digits and `-`: `X-Api-Key`]
        9:57 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
        10:3 `b b` is not the host of a server [such as `prometheus.example.com` or `prometheus:9090`]
        ");
    }
}
