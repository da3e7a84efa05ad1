//! What Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview>.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    /// `success` or `error`.
    pub(super) status: String,
    pub(super) data: Option<Data>,
    #[serde(default)]
    pub(super) error_type: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    /// VictoriaMetrics': whether some of its storage nodes did not answer.
    ///
    /// <https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#cluster-availability>
    #[serde(default)]
    pub(super) is_partial: bool,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Vector(Vec<One>),
    Matrix(Vec<Many>),
    Scalar(Sample),
    String(serde::de::IgnoredAny),
}

/// A series at one time; one of native histograms has no value.
#[derive(Deserialize)]
pub(super) struct One {
    pub(super) metric: BTreeMap<String, String>,
    pub(super) value: Option<Sample>,
}

/// A series over a time.
#[derive(Deserialize)]
pub(super) struct Many {
    pub(super) metric: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) values: Vec<Sample>,
    #[serde(default)]
    pub(super) histograms: Vec<serde::de::IgnoredAny>,
}

/// Seconds since 1970, and a number as text, since JSON knows no `NaN`.
#[derive(Deserialize)]
pub(super) struct Sample(pub(super) f64, pub(super) String);
