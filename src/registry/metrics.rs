//! What the registry edge counts.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, CounterVec, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    register_counter_vec, register_int_counter_vec, register_int_gauge_vec,
};
use tokio::time::Instant;

use super::budget::Quota;
use super::limit::Told;

/// Requests by registry and HTTP status, or `failed` where there was no answer.
pub(super) static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_registry_requests_total",
        "Requests to registries and their token services by HTTP status, or `failed` without an answer",
        &["registry", "status"]
    )
    .expect("the metric is registered once, under a name of its own")
});

/// Tags that were not in the listing before.
pub(super) static TAGS_SEEN: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_registry_tags_seen_total",
        "Tags seen for the first time",
        &["registry"]
    )
    .expect("the metric is registered once, under a name of its own")
});

static IN_FLIGHT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_registry_requests_in_flight",
        "Requests to a registry that are under way",
        &["registry"]
    )
    .expect("the metric is registered once, under a name of its own")
});

static WAITED: LazyLock<CounterVec> = LazyLock::new(|| {
    register_counter_vec!(
        "towpath_registry_wait_seconds_total",
        "Seconds that requests to a registry stood in line before they were sent, all added up",
        &["registry"]
    )
    .expect("the metric is registered once, under a name of its own")
});

static LIMIT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_registry_limit",
        "Requests or pulls that a registry says it allows in a window",
        &["registry", "quota"]
    )
    .expect("the metric is registered once, under a name of its own")
});

static REMAINING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_registry_limit_remaining",
        "Requests or pulls that a registry says are left of its limit",
        &["registry", "quota"]
    )
    .expect("the metric is registered once, under a name of its own")
});

static QUIET: LazyLock<Quiet> = LazyLock::new(|| {
    let quiet = Quiet::default();
    let registered = prometheus::register(Box::new(quiet.clone()));
    registered.expect("the metric is registered once, under a name of its own");
    quiet
});

/// The metrics of one registry.
pub(super) struct OfHost {
    host: String,
    pub(super) in_flight: IntGauge,
    pub(super) waited: Counter,
}

impl OfHost {
    pub(super) fn new(host: &str) -> Self {
        // There from the start, so that alerts have a zero to compare with.
        let key = (host.to_owned(), Quota::Requests);
        QUIET.lock().entry(key).or_insert_with(Instant::now);
        Self {
            in_flight: IN_FLIGHT.with_label_values(&[host]),
            waited: WAITED.with_label_values(&[host]),
            host: host.to_owned(),
        }
    }

    /// Shows what the registry said of a limit.
    pub(super) fn told(&self, quota: Quota, told: &Told) {
        let labels = [self.host.as_str(), quota.as_str()];
        if let Some(limit) = told.limit {
            LIMIT.with_label_values(&labels).set(limit.into());
        }
        REMAINING
            .with_label_values(&labels)
            .set(told.remaining.into());
    }

    /// Shows until when the registry wants nothing that counts to `quota`.
    pub(super) fn quiet_until(&self, quota: Quota, until: Instant) {
        QUIET.lock().insert((self.host.clone(), quota), until);
    }
}

/// A gauge that counts down by itself.
#[derive(Clone)]
struct Quiet {
    gauge: GaugeVec,
    until: Arc<Mutex<BTreeMap<(String, Quota), Instant>>>,
}

impl Default for Quiet {
    fn default() -> Self {
        let opts = Opts::new(
            "towpath_registry_quiet_seconds",
            "Seconds for which nothing is asked because the registry wants none of it, from now",
        );
        Self {
            gauge: GaugeVec::new(opts, &["registry", "quota"]).expect("the names are of letters"),
            until: Arc::default(),
        }
    }
}

impl Quiet {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Quota), Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Quiet {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        for ((host, quota), until) in &*self.lock() {
            let rest = until.saturating_duration_since(now);
            let labels = [host.as_str(), quota.as_str()];
            self.gauge
                .with_label_values(&labels)
                .set(rest.as_secs_f64());
        }
        self.gauge.collect()
    }
}
