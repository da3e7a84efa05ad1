//! Questions to Prometheus, and to what speaks its API: Thanos, Mimir, VictoriaMetrics.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>. A query is sent as a form, since URLs end at some thousand bytes.
//! Invariant: an answer that its server says is not whole is none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::wire::{Data, Envelope, Many, One, Sample};
use super::{Beside, Line, Probe, ProbeError};
use crate::login::{Clock, words};
use crate::policy::gate::checks::{Answered, Inquiry, Series};

/// Most samples of a series that are asked for: a day has one each 87 s, and Prometheus gives 11,000 at most.
const SAMPLES_MAX: i64 = 1_000;

/// Shortest time between two samples, in seconds: servers are seldom scraped more often.
const STEP_MIN: i64 = 15;

/// The time that is asked about.
#[derive(Clone, Copy)]
struct Span {
    start: i64,
    end: i64,
    step: i64,
}

/// A series with its samples, each with its time before it.
type Sampled = (String, Vec<(f64, f64)>);

impl Probe {
    pub(super) async fn prometheus(
        &self,
        inquiry: &Inquiry,
        beside: &mut Beside,
    ) -> Result<Answered, ProbeError> {
        let Inquiry::Prometheus {
            url,
            headers,
            query,
            over,
        } = inquiry
        else {
            unreachable!("it is asked of Prometheus");
        };
        let Clock(now) = self.clock;
        let span = over.map(|over| Span::before(now(), over));
        let line = self.line(url)?;
        let mut form = vec![("query", query.clone())];
        let verb = match span {
            // The server's own clock says when now is.
            None => "query",
            Some(Span { start, end, step }) => {
                let number = |number: i64| number.to_string();
                form.push(("start", number(start)));
                form.push(("end", number(end)));
                form.push(("step", number(step)));
                "query_range"
            }
        };
        let request = line.client.post(below(&line.url, verb)).form(&form);
        let opened = self.send(&line, request, headers).await?;
        let response = opened.response;
        *beside = opened.beside;
        let status = response.status();
        let body = line.whole(response).await?;
        let envelope: Option<Envelope> = serde_json::from_slice(&body).ok();
        match envelope {
            Some(envelope) if status.is_success() => answered(envelope, span, &line),
            Some(envelope) => Err(ProbeError::Refused {
                host: line.host,
                status,
                words: words(&format!("{}: {}", envelope.error_type, envelope.error)),
            }),
            None if status.is_success() => {
                Err(line.not_understood("what is not Prometheus's JSON"))
            }
            None => Err(ProbeError::Refused {
                host: line.host,
                status,
                words: words(&String::from_utf8_lossy(&body)),
            }),
        }
    }
}

impl Line<'_> {
    fn not_understood(&self, what: &'static str) -> ProbeError {
        let host = self.host.clone();
        ProbeError::NotUnderstood { host, what }
    }
}

impl Span {
    fn before(now: Timestamp, over: SignedDuration) -> Self {
        let (end, long) = (now.as_second(), over.as_secs().max(1));
        Self {
            start: end - long,
            end,
            step: (long / SAMPLES_MAX + 1).max(STEP_MIN).min(long),
        }
    }

    /// The first moment at which none of `samples`, which are in order, is: they may be up to a step from where they were asked for,
    /// since some servers round times to steps.
    fn gap(self, samples: &[f64]) -> Option<Timestamp> {
        let step = seconds(self.step);
        let mut expected = seconds(self.start);
        for sample in samples {
            if *sample - expected >= step {
                break;
            }
            expected = *sample + step;
        }
        // The last one covers what is left until the end, where that is less than a step.
        (expected <= seconds(self.end)).then(|| time(expected))
    }
}

/// The address of `verb` below the root of a server, which may have a path.
fn below(root: &Url, verb: &str) -> Url {
    let mut url = root.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", verb]);
    }
    url
}

fn answered(
    envelope: Envelope,
    span: Option<Span>,
    line: &Line<'_>,
) -> Result<Answered, ProbeError> {
    let Envelope {
        status,
        data,
        error_type: _,
        error: _,
        warnings,
        is_partial,
    } = envelope;
    if let Some(warning) = warnings.first() {
        // Thanos and Mimir tell so of stores that they could not reach.
        return Err(ProbeError::Warned {
            host: line.host.clone(),
            words: words(warning),
        });
    }
    if is_partial {
        return Err(ProbeError::Warned {
            host: line.host.clone(),
            words: "a part of its storage did not answer".to_owned(),
        });
    }
    let series = data.filter(|_| status == "success").and_then(series);
    let series = series.ok_or_else(|| line.not_understood("what has no samples"))?;
    let mut times: Vec<f64> = series
        .iter()
        .flat_map(|(_, samples)| samples)
        .map(|(at, _)| *at)
        .collect();
    times.sort_by(f64::total_cmp);
    let gap = match span {
        Some(span) if !times.is_empty() => span.gap(&times),
        Some(_) | None => None,
    };
    let with_samples = series
        .into_iter()
        .filter(|(_, samples)| !samples.is_empty());
    let series = with_samples.map(|(labels, samples)| {
        let values = || samples.iter().map(|(_, value)| *value);
        Series {
            labels,
            lowest: values().reduce(least).unwrap_or(f64::NAN),
            highest: values().reduce(most).unwrap_or(f64::NAN),
        }
    });
    Ok(Answered::Prometheus {
        series: extremes(series.collect()),
        gap,
    })
}

/// The lesser of two, or NaN where one is.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

/// The greater of two, or NaN where one is.
fn most(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The samples of each series, with their times; `None` where there is something else.
fn series(data: Data) -> Option<Vec<Sampled>> {
    let sample = |Sample(at, value): Sample| Some((at, value.parse().ok()?));
    match data {
        Data::Vector(all) => {
            let each = all
                .into_iter()
                .map(|One { metric, value }| Some((labels(&metric), vec![sample(value?)?])));
            each.collect()
        }
        Data::Matrix(all) => {
            let each = all.into_iter().map(|many| {
                let Many {
                    metric,
                    values,
                    histograms,
                } = many;
                let values: Option<Vec<_>> = values.into_iter().map(sample).collect();
                Some((labels(&metric), values.filter(|_| histograms.is_empty())?))
            });
            each.collect()
        }
        Data::Scalar(value) => Some(vec![("{}".to_owned(), vec![sample(value)?])]),
        Data::String(_) => None,
    }
}

/// As Prometheus writes a series: `errors{app="portal"}`.
fn labels(metric: &BTreeMap<String, String>) -> String {
    let name = metric.get("__name__").map_or("", String::as_str);
    let labels = metric.iter().filter(|(label, _)| *label != "__name__");
    let labels: Vec<String> = labels
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    words(&format!("{name}{{{}}}", labels.join(",")))
}

/// Of many series those by which all are judged: one with what is no number, the lowest and the highest.
fn extremes(mut all: Vec<Series>) -> Vec<Series> {
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let no_number = all.iter().find(|one| one.lowest.is_nan());
    let lowest = all.iter().min_by(|a, b| a.lowest.total_cmp(&b.lowest));
    // The first of those that are equal.
    let highest = all
        .iter()
        .rev()
        .max_by(|a, b| a.highest.total_cmp(&b.highest));
    let mut kept: Vec<Series> = Vec::new();
    for series in [no_number, lowest, highest].into_iter().flatten() {
        if !kept.contains(series) {
            kept.push(series.clone());
        }
    }
    kept
}

/// Exact: seconds of this millennium have 35 bits.
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

fn time(seconds: f64) -> Timestamp {
    Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::MAX)
}
