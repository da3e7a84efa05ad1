//! What is counted of events.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

use crate::registry::EventKind;

static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_events_total",
        "Events that registries sent, by kind of registry and what became of them",
        &["kind", "outcome"]
    )
    .expect("the name is used once")
});

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It made at least one image repository due.
    Accepted,
    /// Nothing that it names is watched.
    Unknown,
    /// It tells of no push of a tag.
    NoPush,
    /// Whoever sent it may not.
    Refused,
    /// It could not be read.
    Malformed,
    /// There were too many before it.
    TooMany,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Unknown,
        Self::NoPush,
        Self::Refused,
        Self::Malformed,
        Self::TooMany,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::NoPush => "no-push",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooMany => "too-many",
        }
    }
}

/// Shows a kind that is served with all its outcomes at once, so that alerts on them have a zero to compare with.
pub(super) fn begin(kind: EventKind) {
    for outcome in Outcome::ALL {
        EVENTS.with_label_values(&[kind.name(), outcome.label()]);
    }
}

/// Counts one event.
pub(super) fn count(kind: EventKind, outcome: Outcome) {
    EVENTS
        .with_label_values(&[kind.name(), outcome.label()])
        .inc();
}
