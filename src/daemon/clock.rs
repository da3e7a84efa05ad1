//! The one clock of the program. Everything else takes the time as a parameter.

use jiff::Timestamp;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one clock; everything else is handed the time"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
