//! What the probe edge counts.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Requests by server and HTTP status, or `failed` where there was no answer.
pub(super) static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_check_requests_total",
        "Requests of checks to other servers by HTTP status, or `failed` without an answer",
        &["server", "status"]
    )
    .expect("the metric is registered once, under a name of its own")
});
