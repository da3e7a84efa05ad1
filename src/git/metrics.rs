//! Counters of what passed between the mirrors and their servers.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Fetches by outcome: `new` commits, `unchanged`, `failed`.
pub(super) static FETCHES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_git_fetches_total",
        "Fetches from git servers by repository and outcome",
        &["repository", "outcome"]
    )
    .expect("the counter is registered once")
});

/// Pushes by outcome: `done`, `moved`, `rejected`, `failed`.
pub(super) static PUSHES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_git_pushes_total",
        "Pushes to git servers by repository and outcome",
        &["repository", "outcome"]
    )
    .expect("the counter is registered once")
});
