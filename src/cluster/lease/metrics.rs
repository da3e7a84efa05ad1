//! What is counted of leadership.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntGaugeVec, register_int_counter, register_int_gauge_vec};

static LEADER: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    register_int_gauge_vec!(
        "towpath_leader",
        "1 where this process promotes: it leads, or it is the only one; 0 where it follows",
        &["lease"]
    )
    .expect("the name is used once")
});

static TRANSITIONS: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "towpath_leader_transitions_total",
        "How often this process began or ceased to lead"
    )
    .expect("the name is used once")
});

/// Shows whether we lead at the start, by `NAMESPACE/NAME` of the Lease; empty where there is none.
pub(super) fn begin(lease: &str, leads: bool) {
    show(lease, leads);
    LazyLock::force(&TRANSITIONS);
}

/// Shows that we began or ceased to lead.
pub(super) fn turned(lease: &str, leads: bool) {
    show(lease, leads);
    TRANSITIONS.inc();
}

fn show(lease: &str, leads: bool) {
    LEADER.with_label_values(&[lease]).set(leads.into());
}
