//! What is counted of events.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, register_int_counter_vec};

use super::door::HookKind;

static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_events_total",
        "Events that registries sent, by kind of registry and what became of them",
        &["kind", "outcome"]
    )
    .expect("the name is used once")
});

static FORGE_EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_forge_events_total",
        "Events that forges sent, by kind of forge and what became of them",
        &["kind", "outcome"]
    )
    .expect("the name is used once")
});

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It made at least one repository due.
    Accepted,
    /// Nothing that it names is watched.
    Unknown,
    /// It tells of no push of a tag, or of nothing that concerns a promotion.
    NoNews,
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
        Self::NoNews,
        Self::Refused,
        Self::Malformed,
        Self::TooMany,
    ];

    fn label(self, kind: HookKind) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::NoNews => match kind {
                HookKind::Registry(_) => "no-push",
                HookKind::Forge(_) => "no-news",
            },
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooMany => "too-many",
        }
    }
}

/// Shows a kind that is served with all its outcomes at once, so that alerts on them have a zero to compare with.
pub(super) fn begin(kind: HookKind) {
    for outcome in Outcome::ALL {
        counter(kind, outcome);
    }
}

/// Counts one event.
pub(super) fn count(kind: HookKind, outcome: Outcome) {
    counter(kind, outcome).inc();
}

fn counter(kind: HookKind, outcome: Outcome) -> IntCounter {
    let events = match kind {
        HookKind::Registry(_) => &EVENTS,
        HookKind::Forge(_) => &FORGE_EVENTS,
    };
    events.with_label_values(&[kind.name(), outcome.label(kind)])
}
