//! What the forge edge counts.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, IntGaugeVec, register_int_counter_vec, register_int_gauge_vec};

/// Requests by forge and HTTP status, or `failed` where there was no answer.
pub(super) static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_forge_requests_total",
        "Requests to the APIs of forges by HTTP status, or `failed` without an answer",
        &["forge", "status"]
    )
    .expect("the metric is registered once, under a name of its own")
});

/// What is left of a forge's limit, where it tells.
pub(super) static REMAINING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_forge_limit_remaining",
        "Requests that a forge says are left of its limit",
        &["forge"]
    )
    .expect("the metric is registered once, under a name of its own")
});
