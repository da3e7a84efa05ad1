//! The gate `freeze`: times in which nothing moves, once or every year.
//!
//! Where a clock that goes back shows an end of a freeze twice, it is frozen from the first time, or until the second.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::clock::{Shown, Twice, moment};
use super::{Finding, GateName, Verdict};

/// The years that a freeze may name; another is misspelled.
const YEARS: RangeInclusive<i16> = 2000..=2999;

/// A year that has a 29th of February.
const LEAP_YEAR: i16 = 2000;

/// Years of every kind: a leap year, the one after it, the one before the next, and one between.
const YEARS_OF_EVERY_KIND: Range<i16> = LEAP_YEAR..LEAP_YEAR + 4;

/// Years from one leap day to the next, at most: from 2096 to 2104.
const LEAP_YEARS_APART_MAX: i16 = 8;

/// A time in which nothing moves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Freeze {
    when: When,
    zone: TimeZone,
    reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Once(Range<Timestamp>),
    Yearly { from: FreezeEnd, to: FreezeEnd },
}

/// Where a freeze begins or ends, as it is written: `2026-12-20`, `2026-12-20T18:00`, or of every year `12-20`, `12-20T18:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FreezeEnd {
    /// `None` for every year.
    year: Option<i16>,
    /// Month and day, of a leap year where it is of every year.
    month: i8,
    day: i8,
    /// `None` for a whole day, which belongs to the freeze.
    time: Option<Time>,
}

/// Why a text is not where a freeze begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a date, nor a date and a time of day")]
pub(crate) struct ParseFreezeEndError {
    text: String,
}

/// Why two ends are not those of a freeze.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FreezeError {
    #[error("one end of the freeze is in one year, and the other in every year")]
    Mixed,
    #[error("the freeze ends before it begins")]
    Backwards,
    #[error("the freeze of one year goes on into that of the next, so it never ends")]
    Endless,
}

impl FromStr for FreezeEnd {
    type Err = ParseFreezeEndError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let end = match s.split_once('T') {
            Some((date, time)) => clock_time(time).and_then(|time| end(date, Some(time))),
            None => end(s, None),
        };
        end.ok_or_else(|| ParseFreezeEndError { text: s.to_owned() })
    }
}

fn end(date: &str, time: Option<Time>) -> Option<FreezeEnd> {
    let parts: Vec<&str> = date.split('-').collect();
    let (year, month, day) = match parts[..] {
        [year, month, day] => (Some(digits(year, 4)?), month, day),
        [month, day] => (None, month, day),
        [..] => return None,
    };
    let end = FreezeEnd {
        year,
        month: i8::try_from(digits(month, 2)?).ok()?,
        day: i8::try_from(digits(day, 2)?).ok()?,
        time,
    };
    let is_meant = year.is_none_or(|year| YEARS.contains(&year));
    let exists = end.date(year.unwrap_or(LEAP_YEAR)).is_some();
    (is_meant && exists).then_some(end)
}

/// `18:00`.
fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let hour = i8::try_from(digits(hour, 2)?).ok()?;
    let minute = i8::try_from(digits(minute, 2)?).ok()?;
    Time::new(hour, minute, 0, 0).ok()
}

/// A number of exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<i16> {
    let are_digits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().ok())?
}

impl FreezeEnd {
    fn date(self, year: i16) -> Option<Date> {
        Date::new(year, self.month, self.day).ok()
    }

    /// What a clock shows when a freeze begins so in `year`. A leap day that the year lacks is the day after.
    fn begins(self, year: i16) -> Option<DateTime> {
        match (self.date(year), self.time) {
            (Some(date), time) => Some(date.to_datetime(time.unwrap_or(Time::midnight()))),
            (None, _) => Some(Date::new(year, 3, 1).ok()?.to_datetime(Time::midnight())),
        }
    }

    /// What a clock shows when a freeze has ended so in `year`: at the time, or when the day is over.
    fn ends(self, year: i16) -> Option<DateTime> {
        match (self.date(year), self.time) {
            (Some(date), None) => {
                let day_after = date.checked_add(1.day()).ok()?;
                Some(day_after.to_datetime(Time::midnight()))
            }
            (Some(_), Some(_)) | (None, _) => self.begins(year),
        }
    }
}

/// What a clock shows at both ends of a freeze of every year that begins in `year`.
fn clock_span(from: FreezeEnd, to: FreezeEnd, year: i16) -> Option<Range<DateTime>> {
    let ends_in_the_same_year = to.ends(LEAP_YEAR)? > from.begins(LEAP_YEAR)?;
    let last_year = match ends_in_the_same_year {
        true => year,
        false => year.checked_add(1)?,
    };
    Some(from.begins(year)?..to.ends(last_year)?)
}

fn time_span(clock: Range<DateTime>, zone: &TimeZone) -> Option<Range<Timestamp>> {
    Some(moment(clock.start, zone, Twice::First)?..moment(clock.end, zone, Twice::Second)?)
}

impl Freeze {
    /// Nothing moves from one end to the other, by the clocks of `zone`.
    pub(crate) fn new(
        (from, to): (FreezeEnd, FreezeEnd),
        zone: TimeZone,
        reason: Option<String>,
    ) -> Result<Self, FreezeError> {
        let when = match (from.year, to.year) {
            (None, None) => {
                let goes_on = |year| {
                    let this = clock_span(from, to, year);
                    let next = clock_span(from, to, year + 1);
                    this.zip(next)
                        .is_some_and(|(this, next)| this.end >= next.start)
                };
                match YEARS_OF_EVERY_KIND.into_iter().any(goes_on) {
                    true => return Err(FreezeError::Endless),
                    false => When::Yearly { from, to },
                }
            }
            (Some(first), Some(last)) => {
                let clock = from.begins(first).zip(to.ends(last));
                let clock = clock.filter(|(begins, ends)| begins < ends);
                let span = clock.and_then(|(begins, ends)| time_span(begins..ends, &zone));
                When::Once(span.ok_or(FreezeError::Backwards)?)
            }
            (Some(_), None) | (None, Some(_)) => return Err(FreezeError::Mixed),
        };
        Ok(Self { when, zone, reason })
    }

    /// How every version stands `now`.
    pub(crate) fn judge(&self, now: Timestamp) -> Finding {
        let shown = |at| Shown(at, &self.zone);
        let (verdict, why, next) = match self.span(now) {
            Some(span) if now < span.start => {
                let why = format!("not frozen before {}", shown(span.start));
                (Verdict::Passed, why, Some(span.start))
            }
            Some(span) if now < span.end => {
                let reason = self.reason.as_ref();
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                let why = format!("frozen until {}{reason}", shown(span.end));
                (Verdict::Waits, why, Some(span.end))
            }
            Some(span) => {
                let why = format!("the freeze ended at {}", shown(span.end));
                (Verdict::Passed, why, None)
            }
            None => (Verdict::Passed, "not frozen".to_owned(), None),
        };
        Finding {
            gate: GateName::Freeze,
            verdict,
            why,
            next,
        }
    }

    /// The one that is on `now`, or the next, or the last.
    fn span(&self, now: Timestamp) -> Option<Range<Timestamp>> {
        let (from, to) = match &self.when {
            When::Once(span) => return Some(span.clone()),
            When::Yearly { from, to } => (*from, *to),
        };
        let year = self.zone.to_datetime(now).year();
        // That of last year may still be on.
        let years = year.saturating_sub(1)..=year.saturating_add(LEAP_YEARS_APART_MAX);
        let spans = years.filter_map(|year| time_span(clock_span(from, to, year)?, &self.zone));
        spans
            .filter(|span| !span.is_empty())
            .find(|span| now < span.end)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::clock::tests::{at, zone};
    use super::{Freeze, FreezeEnd, FreezeError, Verdict};

    fn freeze(from: &str, to: &str, zone_name: &str) -> Result<Freeze, FreezeError> {
        let ends = (from.parse().unwrap(), to.parse().unwrap());
        Freeze::new(ends, zone(zone_name), Some("year end".to_owned()))
    }

    /// Each verdict and its words, from `now` on as often as it changes.
    fn story((from, to): (&str, &str), now: &str, count: usize) -> String {
        let freeze = freeze(from, to, "Europe/Rome").unwrap();
        let mut now = at(now);
        let mut lines = Vec::new();
        for _ in 0..count {
            let found = freeze.judge(now);
            lines.push(format!("{now} {:?}: {}", found.verdict, found.why));
            let Some(next) = found.next else { break };
            let before = freeze.judge(next - SignedDuration::from_secs(1));
            assert_eq!(before, found);
            assert_ne!(freeze.judge(next).verdict, found.verdict);
            now = next;
        }
        lines.join("\n")
    }

    #[test]
    fn a_freeze_holds_from_its_first_day_to_the_end_of_its_last() {
        insta::assert_snapshot!(story(("2026-12-20", "2027-01-06"), "2026-12-01T00:00:00Z", 4), @"
        2026-12-01T00:00:00Z Passed: not frozen before 2026-12-20T00:00 Europe/Rome (Sun)
        2026-12-19T23:00:00Z Waits: frozen until 2027-01-07T00:00 Europe/Rome (Thu): year end
        2027-01-06T23:00:00Z Passed: the freeze ended at 2027-01-07T00:00 Europe/Rome (Thu)
        ");
    }

    #[test]
    fn a_freeze_with_times_ends_at_the_time() {
        insta::assert_snapshot!(story(("2026-12-24T18:00", "2026-12-27T06:00"), "2026-12-24T00:00:00Z", 4), @"
        2026-12-24T00:00:00Z Passed: not frozen before 2026-12-24T18:00 Europe/Rome (Thu)
        2026-12-24T17:00:00Z Waits: frozen until 2026-12-27T06:00 Europe/Rome (Sun): year end
        2026-12-27T05:00:00Z Passed: the freeze ended at 2026-12-27T06:00 Europe/Rome (Sun)
        ");
    }

    #[test]
    fn a_freeze_of_every_year_comes_again_and_goes_on_into_the_next_year() {
        insta::assert_snapshot!(story(("12-20", "01-06"), "2026-11-21T00:00:00Z", 5), @"
        2026-11-21T00:00:00Z Passed: not frozen before 2026-12-20T00:00 Europe/Rome (Sun)
        2026-12-19T23:00:00Z Waits: frozen until 2027-01-07T00:00 Europe/Rome (Thu): year end
        2027-01-06T23:00:00Z Passed: not frozen before 2027-12-20T00:00 Europe/Rome (Mon)
        2027-12-19T23:00:00Z Waits: frozen until 2028-01-07T00:00 Europe/Rome (Fri): year end
        2028-01-06T23:00:00Z Passed: not frozen before 2028-12-20T00:00 Europe/Rome (Wed)
        ");
        insta::assert_snapshot!(story(("08-10T12:00", "08-20"), "2027-01-01T00:00:00Z", 3), @"
        2027-01-01T00:00:00Z Passed: not frozen before 2027-08-10T12:00 Europe/Rome (Tue)
        2027-08-10T10:00:00Z Waits: frozen until 2027-08-21T00:00 Europe/Rome (Sat): year end
        2027-08-20T22:00:00Z Passed: not frozen before 2028-08-10T12:00 Europe/Rome (Thu)
        ");
    }

    #[test]
    fn a_leap_day_is_frozen_where_there_is_one() {
        insta::assert_snapshot!(story(("02-28", "02-29"), "2027-01-01T00:00:00Z", 5), @"
        2027-01-01T00:00:00Z Passed: not frozen before 2027-02-28T00:00 Europe/Rome (Sun)
        2027-02-27T23:00:00Z Waits: frozen until 2027-03-01T00:00 Europe/Rome (Mon): year end
        2027-02-28T23:00:00Z Passed: not frozen before 2028-02-28T00:00 Europe/Rome (Mon)
        2028-02-27T23:00:00Z Waits: frozen until 2028-03-01T00:00 Europe/Rome (Wed): year end
        2028-02-29T23:00:00Z Passed: not frozen before 2029-02-28T00:00 Europe/Rome (Wed)
        ");
        insta::assert_snapshot!(story(("02-29", "03-01"), "2027-01-01T00:00:00Z", 5), @"
        2027-01-01T00:00:00Z Passed: not frozen before 2027-03-01T00:00 Europe/Rome (Mon)
        2027-02-28T23:00:00Z Waits: frozen until 2027-03-02T00:00 Europe/Rome (Tue): year end
        2027-03-01T23:00:00Z Passed: not frozen before 2028-02-29T00:00 Europe/Rome (Tue)
        2028-02-28T23:00:00Z Waits: frozen until 2028-03-02T00:00 Europe/Rome (Thu): year end
        2028-03-01T23:00:00Z Passed: not frozen before 2029-03-01T00:00 Europe/Rome (Thu)
        ");
        insta::assert_snapshot!(story(("02-29", "02-29"), "2096-03-01T00:00:00Z", 3), @"
        2096-03-01T00:00:00Z Passed: not frozen before 2104-02-29T00:00 Europe/Rome (Fri)
        2104-02-28T23:00:00Z Waits: frozen until 2104-03-01T00:00 Europe/Rome (Sat): year end
        2104-02-29T23:00:00Z Passed: not frozen before 2108-02-29T00:00 Europe/Rome (Wed)
        ");
        insta::assert_snapshot!(story(("2028-02-29", "2028-02-29"), "2028-01-01T00:00:00Z", 3), @"
        2028-01-01T00:00:00Z Passed: not frozen before 2028-02-29T00:00 Europe/Rome (Tue)
        2028-02-28T23:00:00Z Waits: frozen until 2028-03-01T00:00 Europe/Rome (Wed): year end
        2028-02-29T23:00:00Z Passed: the freeze ended at 2028-03-01T00:00 Europe/Rome (Wed)
        ");
    }

    #[test]
    fn an_end_that_comes_twice_is_the_first_and_the_last_time() {
        insta::assert_snapshot!(story(("2026-10-25T02:30", "2026-10-25T02:45"), "2026-10-24T00:00:00Z", 3), @"
        2026-10-24T00:00:00Z Passed: not frozen before 2026-10-25T02:30+02 Europe/Rome (Sun)
        2026-10-25T00:30:00Z Waits: frozen until 2026-10-25T02:45+01 Europe/Rome (Sun): year end
        2026-10-25T01:45:00Z Passed: the freeze ended at 2026-10-25T02:45+01 Europe/Rome (Sun)
        ");
    }

    #[test]
    fn an_end_that_never_comes_is_when_the_clock_passes_it() {
        insta::assert_snapshot!(story(("2026-03-29T02:30", "2026-03-29T04:00"), "2026-03-29T00:00:00Z", 3), @"
        2026-03-29T00:00:00Z Passed: not frozen before 2026-03-29T03:00 Europe/Rome (Sun)
        2026-03-29T01:00:00Z Waits: frozen until 2026-03-29T04:00 Europe/Rome (Sun): year end
        2026-03-29T02:00:00Z Passed: the freeze ended at 2026-03-29T04:00 Europe/Rome (Sun)
        ");
        insta::assert_snapshot!(story(("2026-03-29T01:00", "2026-03-29T02:30"), "2026-03-28T00:00:00Z", 3), @"
        2026-03-28T00:00:00Z Passed: not frozen before 2026-03-29T01:00 Europe/Rome (Sun)
        2026-03-29T00:00:00Z Waits: frozen until 2026-03-29T03:00 Europe/Rome (Sun): year end
        2026-03-29T01:00:00Z Passed: the freeze ended at 2026-03-29T03:00 Europe/Rome (Sun)
        ");
    }

    #[test]
    fn a_freeze_without_a_reason_names_its_end_alone() {
        let ends = ("2026-12-20".parse().unwrap(), "2026-12-20".parse().unwrap());
        let freeze = Freeze::new(ends, zone("UTC"), None).unwrap();
        let found = freeze.judge(at("2026-12-20T12:00:00Z"));
        assert_eq!(found.why, "frozen until 2026-12-21T00:00 UTC (Mon)");
    }

    #[test]
    fn ends_that_make_no_freeze_are_refused() {
        for (from, to, why) in [
            ("2026-12-20", "01-06", FreezeError::Mixed),
            ("12-20", "2027-01-06", FreezeError::Mixed),
            ("2026-12-20", "2026-12-19", FreezeError::Backwards),
            (
                "2026-12-20T10:00",
                "2026-12-20T10:00",
                FreezeError::Backwards,
            ),
            ("01-01", "12-31", FreezeError::Endless),
            ("06-01", "05-31", FreezeError::Endless),
            ("03-01", "02-28", FreezeError::Endless),
            ("12-20T10:00", "12-20T10:00", FreezeError::Endless),
        ] {
            assert_eq!(freeze(from, to, "UTC").unwrap_err(), why, "{from} {to}");
        }
        for (from, to) in [
            ("01-02", "12-31"),
            ("2026-12-20", "2026-12-20"),
            ("12-20", "12-20"),
        ] {
            assert!(freeze(from, to, "UTC").is_ok(), "{from} {to}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2027-02-29",
            "02-30",
            "26-12-20",
            "1999-12-31",
            "3000-01-01",
            "2026-12-20T24:00",
            "2026-12-20T9:00",
            "2026-12-20 18:00",
            "2026-12-20T18:00:00",
            "2026-12-20T18:00Z",
            "+126-12-20",
            "12-2é",
        ] {
            assert!(text.parse::<FreezeEnd>().is_err(), "{text}");
        }
        assert!("02-29".parse::<FreezeEnd>().is_ok());
        assert!("2028-02-29".parse::<FreezeEnd>().is_ok());
    }

    #[test]
    fn over_years_each_half_day_is_as_the_calendar_says_and_each_change_is_foretold() {
        for name in [
            "Europe/Rome",
            "America/Havana",
            "Australia/Lord_Howe",
            "UTC",
        ] {
            let zone = zone(name);
            let freeze = freeze("10-25", "03-14", name).unwrap();
            let step = SignedDuration::from_hours(12);
            let (mut now, end) = (at("2026-01-01T00:00:00Z"), at("2037-01-01T00:00:00Z"));
            let mut found = freeze.judge(now);
            let mut changes = 0;
            while now < end {
                now += step;
                let date = zone.to_datetime(now).date();
                let day = (date.month(), date.day());
                let is_frozen = day >= (10, 25) || day <= (3, 14);
                let judged = freeze.judge(now);
                assert_eq!(judged.verdict == Verdict::Waits, is_frozen, "{name} {now}");
                if judged.verdict != found.verdict {
                    let foretold = found.next.unwrap();
                    assert!(foretold <= now && foretold > now - step, "{name} {now}");
                    changes += 1;
                }
                found = judged;
            }
            assert_eq!(changes, 22, "{name}");
        }
    }

    #[test]
    fn at_the_end_of_time_nothing_breaks() {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let found = freeze("12-20", "01-06", "Europe/Rome").unwrap().judge(now);
            assert!(!found.why.is_empty());
        }
    }
}
