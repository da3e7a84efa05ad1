//! What servers said that checks ask about versions.

pub(super) mod saved;

use jiff::{SignedDuration, Timestamp};

use super::Fact;
use crate::policy::gate::checks::Answered;

/// What a server said of one question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// When it answered, or did not.
    pub(crate) at: Timestamp,
    /// Until when it wishes not to be asked again.
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) told: Fact<Answered>,
}

impl Answer {
    /// When the server is asked again, where an answer counts for so long.
    pub(crate) fn due(&self, every: SignedDuration) -> Timestamp {
        // What would be due after the end of time never is.
        let due = self.at.saturating_add(every).unwrap_or(Timestamp::MAX);
        self.not_before
            .map_or(due, |not_before| due.max(not_before))
    }

    /// Whether it still counts at `now`. One of a time to come is of a clock that was put back since.
    pub(crate) fn counts(&self, every: SignedDuration, now: Timestamp) -> bool {
        self.at <= now && now < self.due(every)
    }

    pub(crate) fn told(&self) -> Result<&Answered, &str> {
        match &self.told {
            Fact::Known(answered) => Ok(answered),
            Fact::Unknown { why } => Err(why),
        }
    }
}
