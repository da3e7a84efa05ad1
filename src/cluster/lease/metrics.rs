//! What is counted of leadership.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntGauge, register_int_counter, register_int_gauge};

static LEADER: LazyLock<IntGauge> = LazyLock::new(|| {
    register_int_gauge!(
        "towpath_leader",
        "1 where this process promotes: it leads, or it is the only one; 0 where it follows"
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

/// Shows whether we lead at the start.
pub(super) fn leads(leads: bool) {
    LEADER.set(leads.into());
    LazyLock::force(&TRANSITIONS);
}

/// Shows that we began or ceased to lead.
pub(super) fn turned(leads: bool) {
    LEADER.set(leads.into());
    TRANSITIONS.inc();
}
