//! The gate `checks`: what other servers say when they are asked about a version, over HTTP or of Prometheus.
//!
//! Reading order: this file, `text` (what a question may name), `expect` (what is expected of an answer over HTTP). Not here: the
//! asking (`probe`), and when it is due (`plan`). Invariant: no answer and no data are unknown, and never a pass.

mod expect;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{Finding, GateName, Verdict};
use crate::policy::CheckName;

pub(crate) use expect::{Condition, Expect, Pattern, Scalar, Statuses, Test};
pub(crate) use text::{About, Name, ParseTextError, Text};

/// One question to a server, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// As people call it.
    pub(crate) name: CheckName,
    pub(crate) ask: Ask,
    /// How long an answer counts, and how often the server is asked while it is not as expected.
    pub(crate) every: SignedDuration,
}

/// Who is asked what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    Http {
        method: Method,
        url: Text,
        headers: BTreeMap<String, String>,
        body: Option<Text>,
        expect: Expect,
    },
    Prometheus {
        url: Text,
        headers: BTreeMap<String, String>,
        query: Text,
        bound: Bound,
        /// How long each sample must have been within the bound; `None` looks at the latest alone.
        over: Option<SignedDuration>,
    },
}

/// How a server is asked over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Get,
    Post,
}

/// What every sample must be; the bound itself is beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Above(f64),
    Below(f64),
}

/// A question with all names filled in; the same one is asked once, however many policies have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Inquiry {
    Http {
        method: Method,
        url: String,
        headers: BTreeMap<String, String>,
        body: Option<String>,
        /// The JSON pointers at which values are wanted.
        pointers: BTreeSet<String>,
    },
    Prometheus {
        /// The root of the server, without `/api/v1`.
        url: String,
        headers: BTreeMap<String, String>,
        query: String,
        over: Option<SignedDuration>,
    },
}

/// What a server answered, as far as anybody asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answered {
    Http {
        status: u16,
        /// Those that are there, by their pointers; `None` where the body is no JSON.
        values: Option<BTreeMap<String, Scalar>>,
    },
    Prometheus {
        series: Vec<Series>,
        /// The first moment of the time that was asked about at which no series has a sample.
        gap: Option<Timestamp>,
    },
}

/// What one series has had over the time that was asked about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// As Prometheus writes it: `{app="portal"}`.
    pub(crate) labels: String,
    /// NaN where one of the samples is.
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

/// How one check stands: a verdict, and words that follow its name.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    words: String,
}

impl Check {
    /// What is asked about a version.
    pub(crate) fn inquiry(&self, about: &About<'_>) -> Inquiry {
        match self.ask.clone() {
            Ask::Http {
                method,
                url,
                headers,
                body,
                expect,
            } => Inquiry::Http {
                method,
                url: url.fill(about),
                headers,
                body: body.map(|body| body.fill(about)),
                pointers: expect.json.into_iter().map(|one| one.pointer).collect(),
            },
            Ask::Prometheus {
                url,
                headers,
                query,
                bound: _,
                over,
            } => Inquiry::Prometheus {
                url: url.fill(about),
                headers,
                query: query.fill(about),
                over,
            },
        }
    }

    /// How a version stands of which the server answered this, or of which it could not be asked, with the reason.
    pub(crate) fn judge(&self, answered: Result<&Answered, &str>) -> Judged {
        let judged = |verdict, words| Judged { verdict, words };
        let unknown = |words: String| judged(Verdict::Unknown, words);
        match (&self.ask, answered) {
            (_, Err(why)) => unknown(format!("could not be asked: {why}")),
            (Ask::Http { expect, .. }, Ok(Answered::Http { status, values })) => {
                let value = |pointer: &str| values.as_ref()?.get(pointer).cloned();
                match expect.otherwise(*status, value) {
                    Some(words) if values.is_none() && !expect.json.is_empty() => {
                        judged(Verdict::Waits, format!("{words} (it answered no JSON)"))
                    }
                    Some(words) => judged(Verdict::Waits, words),
                    None => judged(Verdict::Passed, format!("answered {status}")),
                }
            }
            (Ask::Prometheus { bound, over, .. }, Ok(Answered::Prometheus { series, gap })) => {
                let long = over.map(|over| format!(" for {over:#}"));
                let long = long.unwrap_or_default();
                let is_none = |one: &&Series| one.lowest.is_nan() || one.highest.is_nan();
                let is_beyond = |one: &&Series| !bound.holds(one);
                if series.is_empty() {
                    return unknown("has no data".to_owned());
                }
                if let Some(Series { labels, .. }) = series.iter().find(is_none) {
                    return unknown(format!("is not a number for `{labels}`"));
                }
                if let Some(beyond) = series.iter().find(is_beyond) {
                    let (labels, value) = (&beyond.labels, bound.worst(beyond));
                    let words = format!("was {value} for `{labels}`, not {bound}{long}");
                    return judged(Verdict::Waits, words);
                }
                match gap {
                    Some(at) => judged(
                        Verdict::Waits,
                        format!("has no data of {at}, so it was not shown to be {bound}{long}"),
                    ),
                    None => judged(Verdict::Passed, format!("was {bound}{long}")),
                }
            }
            (Ask::Http { .. }, Ok(Answered::Prometheus { .. }))
            | (Ask::Prometheus { .. }, Ok(Answered::Http { .. })) => {
                unknown("was answered by another kind of server".to_owned())
            }
        }
    }
}

/// What all checks find together; `asked` is when the first of them was answered, and `next` when the first is asked again.
pub(crate) fn found(
    judged: &[(&Check, Judged)],
    (asked, next): (Timestamp, Option<Timestamp>),
) -> Finding {
    let verdicts = judged.iter().map(|(_, judged)| judged.verdict);
    let verdict = verdicts.max().unwrap_or(Verdict::Passed);
    let told = judged.iter().filter(|(_, one)| one.verdict == verdict);
    let told: Vec<String> = told
        .map(|(check, one)| format!("`{}` {}", check.name.as_str(), one.words))
        .collect();
    let told = told.join("; ");
    let why = match verdict {
        Verdict::Passed => format!("{told}{AT}{asked}"),
        Verdict::Waits | Verdict::Failed | Verdict::Unknown => told,
    };
    Finding {
        gate: GateName::Checks,
        verdict,
        why,
        next,
    }
}

/// What stands before the time of checks that passed.
const AT: &str = ", at ";

/// Whether two texts tell of the same checks that passed, maybe at different times.
pub(crate) fn tell_the_same(one: &str, other: &str) -> bool {
    let facts = |text: &str| text.rsplit_once(AT).map(|(facts, _)| facts.to_owned());
    facts(one).is_some() && facts(one) == facts(other)
}

impl Bound {
    fn holds(self, series: &Series) -> bool {
        match self {
            Self::Above(bound) => series.lowest > bound,
            Self::Below(bound) => series.highest < bound,
        }
    }

    /// The sample that is farthest from what is expected.
    fn worst(self, series: &Series) -> f64 {
        match self {
            Self::Above(_) => series.lowest,
            Self::Below(_) => series.highest,
        }
    }
}

impl Inquiry {
    /// The root of the server that is asked.
    pub(crate) fn server(&self) -> &str {
        let (Self::Http { url, .. } | Self::Prometheus { url, .. }) = self;
        let host = url.find("://").map_or(0, |scheme| scheme + 3);
        let end = url[host..].find(['/', '?', '#']);
        end.map_or(url, |end| &url[..host + end])
    }
}

impl Method {
    pub(crate) const ALL: [Self; 2] = [Self::Get, Self::Post];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(bound) => write!(f, "above {bound}"),
            Self::Below(bound) => write!(f, "below {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        Answered, Ask, Bound, Check, Expect, Method, Scalar, Series, Statuses, Verdict, found,
        tell_the_same,
    };

    fn check(ask: Ask) -> Check {
        Check {
            name: "smoke".parse().unwrap(),
            ask,
            every: jiff::SignedDuration::from_mins(1),
        }
    }

    fn http() -> Check {
        check(Ask::Http {
            method: Method::Get,
            url: "https://smoke.example.com".parse().unwrap(),
            headers: BTreeMap::new(),
            body: None,
            expect: Expect {
                status: vec![Statuses::One(200)],
                json: Vec::new(),
            },
        })
    }

    fn prometheus(bound: Bound, over: Option<&str>) -> Check {
        check(Ask::Prometheus {
            url: "https://prometheus.example.com/root".parse().unwrap(),
            headers: BTreeMap::new(),
            query: "errors".parse().unwrap(),
            bound,
            over: over.map(|over| over.parse().unwrap()),
        })
    }

    fn told(check: &Check, answered: Result<&Answered, &str>) -> String {
        let asked = "2026-11-22T14:02:00Z".parse().unwrap();
        let found = found(&[(check, check.judge(answered))], (asked, None));
        format!("{:?}: {}", found.verdict, found.why)
    }

    fn series(samples: &[(f64, f64)], gap: Option<&str>) -> Answered {
        let one = |(index, (lowest, highest)): (usize, &(f64, f64))| Series {
            labels: format!("{{pod=\"{index}\"}}"),
            lowest: *lowest,
            highest: *highest,
        };
        Answered::Prometheus {
            series: samples.iter().enumerate().map(one).collect(),
            gap: gap.map(|gap| gap.parse().unwrap()),
        }
    }

    #[test]
    fn an_answer_over_http_passes_as_expected_and_waits_otherwise() {
        let told = |answered: Result<u16, &str>| {
            let answered = answered.map(|status| Answered::Http {
                status,
                values: None,
            });
            told(&http(), answered.as_ref().map_err(|why| *why))
        };
        insta::assert_snapshot!(told(Ok(200)), @"Passed: `smoke` answered 200, at 2026-11-22T14:02:00Z");
        insta::assert_snapshot!(told(Ok(503)), @"Waits: `smoke` answered 503, not 200");
        insta::assert_snapshot!(told(Err("it is away")), @"Unknown: `smoke` could not be asked: it is away");
    }

    #[test]
    fn every_sample_of_every_series_is_within_the_bound_which_is_beyond_it() {
        let below = prometheus(Bound::Below(0.01), Some("10m"));
        let above = prometheus(Bound::Above(2.0), None);
        let told = |check, answered| told(check, Ok(&answered));
        insta::assert_snapshot!(told(&below, series(&[(0.0, 0.009), (0.0, 0.0)], None)), @"Passed: `smoke` was below 0.01 for 10m, at 2026-11-22T14:02:00Z");
        insta::assert_snapshot!(told(&below, series(&[(0.0, 0.009), (0.0, 0.01)], None)), @r#"Waits: `smoke` was 0.01 for `{pod="1"}`, not below 0.01 for 10m"#);
        insta::assert_snapshot!(told(&above, series(&[(2.001, 9.0)], None)), @"Passed: `smoke` was above 2, at 2026-11-22T14:02:00Z");
        insta::assert_snapshot!(told(&above, series(&[(2.0, 9.0)], None)), @r#"Waits: `smoke` was 2 for `{pod="0"}`, not above 2"#);
    }

    #[test]
    fn no_data_is_unknown_and_a_gap_is_waited_out() {
        let below = prometheus(Bound::Below(1.0), Some("10m"));
        let told = |answered| told(&below, Ok(&answered));
        insta::assert_snapshot!(told(series(&[], None)), @"Unknown: `smoke` has no data");
        insta::assert_snapshot!(told(series(&[(f64::NAN, f64::NAN)], None)), @r#"Unknown: `smoke` is not a number for `{pod="0"}`"#);
        let gap = series(&[(0.0, 0.5)], Some("2026-11-22T13:52:00Z"));
        insta::assert_snapshot!(told(gap), @"Waits: `smoke` has no data of 2026-11-22T13:52:00Z, so it was not shown to be below 1 for 10m");
    }

    #[test]
    fn the_worst_of_several_checks_is_told() {
        let (one, other) = (http(), prometheus(Bound::Above(0.0), None));
        let asked = "2026-11-22T14:02:00Z".parse().unwrap();
        let answered = Answered::Http {
            status: 200,
            values: Some([("/a".to_owned(), Scalar::Null)].into()),
        };
        let passed = || (&one, one.judge(Ok(&answered)));
        let all = [passed(), (&other, other.judge(Ok(&series(&[], None))))];
        let told = found(&all, (asked, None));
        assert_eq!(told.verdict, Verdict::Unknown);
        assert_eq!(told.why, "`smoke` has no data");
        let all = [
            passed(),
            (&other, other.judge(Ok(&series(&[(1.0, 1.0)], None)))),
        ];
        insta::assert_snapshot!(found(&all, (asked, None)).why, @"`smoke` answered 200; `smoke` was above 0, at 2026-11-22T14:02:00Z");
    }

    #[test]
    fn words_are_the_same_but_for_their_time() {
        let at = |status: u16, at: &str| format!("`smoke` answered {status}, at {at}");
        let (one, later) = ("2026-11-22T14:02:00Z", "2026-11-22T14:03:00Z");
        assert!(tell_the_same(&at(200, one), &at(200, later)));
        assert!(!tell_the_same(&at(200, one), &at(204, one)));
        assert!(!tell_the_same("", ""));
    }

    #[test]
    fn a_server_is_the_root_of_its_urls() {
        let below = prometheus(Bound::Below(1.0), None);
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let about = super::About {
            policy: &"portal".parse().unwrap(),
            environment: &"production".parse().unwrap(),
            before: None,
            tag: &"v1.5.0".parse().unwrap(),
            digest: &digest,
            is_followed: false,
        };
        let inquiry = below.inquiry(&about);
        assert_eq!(inquiry.server(), "https://prometheus.example.com");
    }
}
