//! The part of a world file that is about what servers said to checks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::policy::gate::checks::{Answered, Inquiry, Method, Scalar, Series};
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::world) struct SavedCheck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<SavedRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prometheus: Option<SavedQuery>,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Missing where the body is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<BTreeMap<String, SavedScalar>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series: Option<Vec<SavedSeries>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedRequest {
    method: SavedMethod,
    url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pointers: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum SavedMethod {
    Get,
    Post,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedQuery {
    url: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedScalar {
    Text(String),
    Number(f64),
    Truth(bool),
    Null,
    Long,
    Many,
}

/// Samples as Prometheus writes them, which knows `NaN` and `+Inf`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSeries {
    labels: String,
    lowest: String,
    highest: String,
}

pub(in crate::world) fn save((inquiry, answer): (&Inquiry, &Answer)) -> SavedCheck {
    let Answer {
        at,
        not_before,
        told,
    } = answer;
    let (http, prometheus) = save_inquiry(inquiry.clone());
    let saved = SavedCheck {
        http,
        prometheus,
        at: at.to_string(),
        not_before: not_before.map(|at| at.to_string()),
        unknown: None,
        status: None,
        values: None,
        series: None,
        gap: None,
    };
    match told.clone() {
        Fact::Unknown { why } => SavedCheck {
            unknown: Some(why),
            ..saved
        },
        Fact::Known(Answered::Http { status, values }) => {
            let save = |(pointer, value)| (pointer, save_scalar(value));
            SavedCheck {
                status: Some(status),
                values: values.map(|values| values.into_iter().map(save).collect()),
                ..saved
            }
        }
        Fact::Known(Answered::Prometheus { series, gap }) => SavedCheck {
            series: Some(series.into_iter().map(save_series).collect()),
            gap: gap.map(|at| at.to_string()),
            ..saved
        },
    }
}

fn save_inquiry(inquiry: Inquiry) -> (Option<SavedRequest>, Option<SavedQuery>) {
    match inquiry {
        Inquiry::Http {
            method,
            url,
            headers,
            body,
            pointers,
        } => {
            let method = match method {
                Method::Get => SavedMethod::Get,
                Method::Post => SavedMethod::Post,
            };
            let saved = SavedRequest {
                method,
                url,
                headers,
                body,
                pointers,
            };
            (Some(saved), None)
        }
        Inquiry::Prometheus {
            url,
            headers,
            query,
            over,
        } => {
            let saved = SavedQuery {
                url,
                headers,
                query,
                over: over.map(|over| format!("{over:#}")),
            };
            (None, Some(saved))
        }
    }
}

fn save_scalar(scalar: Scalar) -> SavedScalar {
    match scalar {
        Scalar::Text(text) => SavedScalar::Text(text),
        Scalar::Number(number) => SavedScalar::Number(number),
        Scalar::Truth(truth) => SavedScalar::Truth(truth),
        Scalar::Null => SavedScalar::Null,
        Scalar::Long => SavedScalar::Long,
        Scalar::Many => SavedScalar::Many,
    }
}

fn save_series(series: Series) -> SavedSeries {
    let Series {
        labels,
        lowest,
        highest,
    } = series;
    SavedSeries {
        labels,
        lowest: lowest.to_string(),
        highest: highest.to_string(),
    }
}

pub(in crate::world) fn load(saved: SavedCheck) -> Result<(Inquiry, Answer), LoadWorldError> {
    let SavedCheck {
        http,
        prometheus,
        at,
        not_before,
        unknown,
        status,
        values,
        series,
        gap,
    } = saved;
    let time = |text: String| parse::<Timestamp>(&text, "a time");
    let inquiry = load_inquiry(http, prometheus)?;
    let told = match (unknown, series, status) {
        (Some(why), _, _) => Fact::Unknown { why },
        (None, Some(series), _) => Fact::Known(Answered::Prometheus {
            series: series
                .into_iter()
                .map(load_series)
                .collect::<Result<_, _>>()?,
            gap: gap.map(time).transpose()?,
        }),
        (None, None, Some(status)) => {
            let load = |(pointer, value)| (pointer, load_scalar(value));
            Fact::Known(Answered::Http {
                status,
                values: values.map(|values| values.into_iter().map(load).collect()),
            })
        }
        (None, None, None) => return Err(not_a_check("no answer")),
    };
    let answer = Answer {
        at: time(at)?,
        not_before: not_before.map(time).transpose()?,
        told,
    };
    Ok((inquiry, answer))
}

fn load_inquiry(
    http: Option<SavedRequest>,
    prometheus: Option<SavedQuery>,
) -> Result<Inquiry, LoadWorldError> {
    match (http, prometheus) {
        (Some(request), None) => {
            let SavedRequest {
                method,
                url,
                headers,
                body,
                pointers,
            } = request;
            let method = match method {
                SavedMethod::Get => Method::Get,
                SavedMethod::Post => Method::Post,
            };
            Ok(Inquiry::Http {
                method,
                url,
                headers,
                body,
                pointers,
            })
        }
        (None, Some(query)) => {
            let SavedQuery {
                url,
                headers,
                query,
                over,
            } = query;
            let over = over.map(|over| parse(&over, "a duration"));
            Ok(Inquiry::Prometheus {
                url,
                headers,
                query,
                over: over.transpose()?,
            })
        }
        (Some(_), Some(_)) | (None, None) => Err(not_a_check("no question")),
    }
}

fn not_a_check(text: &str) -> LoadWorldError {
    LoadWorldError::Value {
        text: text.to_owned(),
        what: "what a server was asked and answered",
    }
}

fn load_scalar(saved: SavedScalar) -> Scalar {
    match saved {
        SavedScalar::Text(text) => Scalar::Text(text),
        SavedScalar::Number(number) => Scalar::Number(number),
        SavedScalar::Truth(truth) => Scalar::Truth(truth),
        SavedScalar::Null => Scalar::Null,
        SavedScalar::Long => Scalar::Long,
        SavedScalar::Many => Scalar::Many,
    }
}

fn load_series(saved: SavedSeries) -> Result<Series, LoadWorldError> {
    let SavedSeries {
        labels,
        lowest,
        highest,
    } = saved;
    Ok(Series {
        labels,
        lowest: parse(&lowest, "a number")?,
        highest: parse(&highest, "a number")?,
    })
}
