//! What the registry edge counts.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

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
