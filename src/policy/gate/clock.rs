//! What clocks on walls show: a moment as people of a zone write it, and the moment at which a clock comes to a time.
//!
//! Not here: which zones there are; each value holds its own, with all its rules.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A moment as a clock of `zone` shows it: `2026-11-23T09:00 Europe/Rome (Mon)`. Where the clock shows that twice, its offset stands
/// there too.
pub(super) struct Shown<'a>(pub(super) Timestamp, pub(super) &'a TimeZone);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at, zone) = self;
        let clock = zone.to_datetime(*at);
        let text = clock.to_string();
        f.write_str(text.strip_suffix(":00").unwrap_or(&text))?;
        if zone.to_ambiguous_timestamp(clock).is_ambiguous() {
            write!(f, "{}", zone.to_offset(*at))?;
        }
        let name = zone.iana_name().unwrap_or("(a zone without a name)");
        write!(f, " {name} ({})", short(clock.weekday()))
    }
}

/// Which of two moments is meant where a clock that goes back shows a time twice.
#[derive(Clone, Copy)]
pub(super) enum Twice {
    First,
    Second,
}

/// When a clock of `zone` shows `time`, or, where it goes forward past that time, when it does so. `None` beyond the end of time.
pub(super) fn moment(time: DateTime, zone: &TimeZone, twice: Twice) -> Option<Timestamp> {
    let offset = match (zone.to_ambiguous_timestamp(time).offset(), twice) {
        (AmbiguousOffset::Unambiguous { offset }, _) => offset,
        (AmbiguousOffset::Fold { before, .. }, Twice::First) => before,
        (AmbiguousOffset::Fold { after, .. }, Twice::Second) => after,
        (AmbiguousOffset::Gap { after, .. }, _) => {
            // By the new offset, a time that is passed over lies before the clock is changed.
            let before = after.to_timestamp(time).ok()?;
            return zone.following(before).next().map(|jump| jump.timestamp());
        }
    };
    offset.to_timestamp(time).ok()
}

/// A day of the week, as policies write it.
fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use jiff::tz::{TimeZone, TimeZoneDatabase};

    use super::{Shown, Twice, moment};

    pub(in crate::policy::gate) fn zone(name: &str) -> TimeZone {
        TimeZoneDatabase::bundled().get(name).unwrap()
    }

    pub(in crate::policy::gate) fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn of_clock(time: &str, twice: Twice) -> String {
        let found = moment(time.parse().unwrap(), &zone("Europe/Rome"), twice);
        found.unwrap().to_string()
    }

    #[test]
    fn a_moment_is_shown_as_the_clocks_of_its_zone_show_it() {
        let rome = zone("Europe/Rome");
        let shown = |text: &str| Shown(at(text), &rome).to_string();
        assert_eq!(
            shown("2026-11-23T08:00:00Z"),
            "2026-11-23T09:00 Europe/Rome (Mon)"
        );
        assert_eq!(
            shown("2026-07-23T07:00:01Z"),
            "2026-07-23T09:00:01 Europe/Rome (Thu)"
        );
        let midnight = Shown(at("2026-11-22T00:00:00Z"), &TimeZone::UTC).to_string();
        assert_eq!(midnight, "2026-11-22T00:00 UTC (Sun)");
    }

    #[test]
    fn of_an_hour_that_comes_twice_it_is_told_which_is_meant() {
        let rome = zone("Europe/Rome");
        let shown = |text: &str| Shown(at(text), &rome).to_string();
        assert_eq!(
            shown("2026-10-25T00:30:00Z"),
            "2026-10-25T02:30+02 Europe/Rome (Sun)"
        );
        assert_eq!(
            shown("2026-10-25T01:30:00Z"),
            "2026-10-25T02:30+01 Europe/Rome (Sun)"
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first_or_the_second() {
        assert_eq!(
            of_clock("2026-10-25T02:30", Twice::First),
            "2026-10-25T00:30:00Z"
        );
        assert_eq!(
            of_clock("2026-10-25T02:30", Twice::Second),
            "2026-10-25T01:30:00Z"
        );
    }

    #[test]
    fn a_time_that_never_comes_is_when_the_clock_passes_it() {
        for twice in [Twice::First, Twice::Second] {
            assert_eq!(of_clock("2026-03-29T02:00", twice), "2026-03-29T01:00:00Z");
            assert_eq!(of_clock("2026-03-29T02:30", twice), "2026-03-29T01:00:00Z");
            assert_eq!(of_clock("2026-03-29T03:00", twice), "2026-03-29T01:00:00Z");
            assert_eq!(of_clock("2026-03-29T03:01", twice), "2026-03-29T01:01:00Z");
        }
    }
}
