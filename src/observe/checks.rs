//! Asks the servers of checks, and keeps what they said.

use futures_util::{StreamExt as _, stream};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::{Sources, whole_message};
use crate::policy::gate::checks::Inquiry;
use crate::probe::{Probe, Reply};
use crate::world::{Answer, Fact};

/// Servers that are asked at once: a question is under way for ten seconds at most, so a hundred take a little more than a minute
/// where none is answered.
const ASKED_AT_ONCE_MAX: usize = 16;

/// How long an answer is kept that nobody asked for again: twice as long as any may count.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(2);

impl Sources {
    pub(super) async fn ask_servers(&self, inquiries: Vec<Inquiry>, clock: fn() -> Timestamp) {
        let Some(probe) = &self.probe else {
            return;
        };
        let answers = stream::iter(inquiries).map(|inquiry| async move {
            let answer = answer(probe, &inquiry, clock).await;
            let mut readings = self.readings();
            let is_of_use =
                |_: &Inquiry, kept: &mut Answer| answer.at.duration_since(kept.at) < KEPT_FOR;
            readings.checks.retain(is_of_use);
            readings.checks.insert(inquiry, answer);
        });
        let answers = answers.buffer_unordered(ASKED_AT_ONCE_MAX);
        answers.collect::<()>().await;
    }
}

async fn answer(probe: &Probe, inquiry: &Inquiry, clock: fn() -> Timestamp) -> Answer {
    let Reply { told, beside } = probe.ask(inquiry).await;
    // People read times to the second.
    let last_second = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Floor);
    let at = clock();
    Answer {
        at: at.round(last_second).unwrap_or(at),
        not_before: beside.not_before,
        told: match told {
            Ok(answered) => Fact::Known(answered),
            Err(error) => Fact::Unknown {
                why: whole_message(&error, error.hint()),
            },
        },
    }
}
