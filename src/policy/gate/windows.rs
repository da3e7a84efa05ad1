//! The gate `windows`: the hours of the week in which a version may come.
//!
//! The clock on the wall in a window's zone decides, and nothing else: hours that it passes over when it goes forward open nothing, and
//! hours that it shows twice when it goes back are open twice.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::clock::Shown;
use super::{Finding, GateName, Verdict};

const DAY: i32 = 24 * 60;
const WEEK: i32 = 7 * DAY;

/// How far ahead the next change is looked for: a year has every change of every clock, and another month the week after it. What is open
/// that long never closes.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The days as policies write them, in the order of the week.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A window as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// None for all of them.
    pub(crate) days: Vec<Days>,
    /// None for the whole day.
    pub(crate) hours: Vec<Hours>,
    pub(crate) zone: TimeZone,
}

/// Days of the week: `mon`, `mon-fri`, `sat-mon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days([bool; 7]); // Invariant: at least one.

/// Hours of a day: `09:00-16:00`. `22:00-04:00` go on into the next day, and belong to the day on which they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    /// In minutes from midnight.
    start: i32,
    /// In minutes from the same midnight, after the start and at most a day after it.
    end: i32,
}

/// Why a text is not days of the week.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a day of the week, nor one and another with `-` between them")]
pub(crate) struct ParseDaysError {
    text: String,
}

/// Why a text is not hours of a day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseHoursError {
    #[error("`{text}` is not hours of a day")]
    Form { text: String },
    #[error("`{text}` ends where it starts")]
    Empty { text: String },
}

/// The windows of an environment: at any time, one of them is open, or none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows(Vec<Calendar>);

/// All windows of one zone.
#[derive(Clone, Debug, PartialEq)]
struct Calendar {
    zone: TimeZone,
    week: Week,
}

/// When something is open in a week that comes again and again, in minutes from the midnight before Monday.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Week {
    /// Whether it is open in the last minute of the week.
    is_open_before: bool,
    /// The minutes with which it opens and closes in turn, in order; an even number, since a week ends as it begins.
    changes: Vec<i32>,
}

impl FromStr for Days {
    type Err = ParseDaysError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (first, last) = s.split_once('-').unwrap_or((s, s));
        let place = |day: &str| DAYS.iter().position(|known| *known == day);
        let (Some(first), Some(last)) = (place(first), place(last)) else {
            return Err(ParseDaysError { text: s.to_owned() });
        };
        let mut days = [false; 7];
        for after_first in 0..=(last + 7 - first) % 7 {
            days[(first + after_first) % 7] = true;
        }
        Ok(Self(days))
    }
}

impl FromStr for Hours {
    type Err = ParseHoursError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let both = s.split_once('-');
        let both = both.and_then(|(start, end)| Some((minutes(start)?, minutes(end)?)));
        match both.filter(|(start, _)| *start < DAY) {
            None => Err(ParseHoursError::Form { text: s.to_owned() }),
            Some((start, end)) if start == end => {
                Err(ParseHoursError::Empty { text: s.to_owned() })
            }
            Some((start, end)) if start < end => Ok(Self { start, end }),
            Some((start, end)) => Ok(Self {
                start,
                end: end + DAY,
            }),
        }
    }
}

/// `09:30` in minutes; `24:00` is the end of the day.
fn minutes(text: &str) -> Option<i32> {
    let (hour, minute) = text.split_once(':')?;
    let are_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(hour) || !are_digits(minute) {
        return None;
    }
    let (hour, minute): (i32, i32) = (hour.parse().ok()?, minute.parse().ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

impl Windows {
    /// All windows together: what one of them opens is open.
    pub(crate) fn new(windows: Vec<Window>) -> Self {
        let mut zones: Vec<(TimeZone, Vec<Window>)> = Vec::new();
        for window in windows {
            match zones.iter_mut().find(|(zone, _)| *zone == window.zone) {
                Some((_, of_zone)) => of_zone.push(window),
                None => zones.push((window.zone.clone(), vec![window])),
            }
        }
        let calendar = |(zone, windows): (TimeZone, Vec<Window>)| {
            let week = Week::new(windows.iter().flat_map(Window::spans));
            Calendar { zone, week }
        };
        Self(zones.into_iter().map(calendar).collect())
    }

    /// How every version stands `now`.
    pub(crate) fn judge(&self, now: Timestamp) -> Finding {
        let is_open = self.is_open(now);
        let next = self.change(now);
        let why = match (is_open, next) {
            (true, Some((at, zone))) => format!("open until {}", Shown(at, zone)),
            (true, None) => "always open".to_owned(),
            (false, Some((at, zone))) => format!("opens at {}", Shown(at, zone)),
            (false, None) => "does not open again".to_owned(),
        };
        Finding {
            gate: GateName::Windows,
            verdict: match is_open {
                true => Verdict::Passed,
                false => Verdict::Waits,
            },
            why,
            next: next.map(|(at, _)| at),
        }
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.0.iter().any(|calendar| calendar.is_open(at))
    }

    /// The first moment after `now` at which all windows together open or close, and the zone of the one that does it.
    fn change(&self, now: Timestamp) -> Option<(Timestamp, &TimeZone)> {
        let is_open = self.is_open(now);
        let end = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let mut at = now;
        while at < end {
            let changes = self.0.iter().filter_map(|calendar| {
                let change = calendar.change(at)?;
                Some((change, &calendar.zone))
            });
            let (change, zone) = changes.min_by_key(|(change, _)| *change)?;
            if self.is_open(change) != is_open {
                return Some((change, zone));
            }
            at = change;
        }
        None
    }
}

impl Calendar {
    fn is_open(&self, at: Timestamp) -> bool {
        self.week.is_open(minute_of_week(self.zone.to_datetime(at)))
    }

    /// The first moment after `now` at which it opens or closes.
    fn change(&self, now: Timestamp) -> Option<Timestamp> {
        let is_open = self.is_open(now);
        let mut from = now;
        loop {
            let clock = self.zone.to_datetime(from);
            let minute = minute_of_week(clock);
            let minutes = SignedDuration::from_mins(i64::from(self.week.change(minute)? - minute));
            let into_the_minute =
                SignedDuration::new(clock.second().into(), clock.subsec_nanosecond());
            let by_the_clock = from.checked_add(minutes - into_the_minute).ok();
            let jump = self
                .zone
                .following(from)
                .next()
                .map(|jump| jump.timestamp());
            // Until the clock is changed, it goes as time does.
            let Some(jump) = jump.filter(|jump| by_the_clock.is_none_or(|at| *jump <= at)) else {
                return by_the_clock;
            };
            if self.is_open(jump) != is_open {
                return Some(jump);
            }
            from = jump;
        }
    }
}

impl Window {
    /// From when until when it is open, in minutes of the week; what goes on into the next week ends after its own.
    fn spans(&self) -> impl Iterator<Item = (i32, i32)> + '_ {
        let is_meant =
            |day: usize| self.days.is_empty() || self.days.iter().any(|days| days.0[day]);
        let midnights = (0..WEEK).step_by(24 * 60).enumerate();
        let midnights = midnights.filter(move |(day, _)| is_meant(*day));
        let hours = match self.hours.as_slice() {
            [] => &[Hours { start: 0, end: DAY }],
            hours => hours,
        };
        midnights.flat_map(move |(_, midnight)| {
            let span = move |hours: &Hours| (midnight + hours.start, midnight + hours.end);
            hours.iter().map(span)
        })
    }
}

impl Week {
    fn new(spans: impl Iterator<Item = (i32, i32)>) -> Self {
        let mut open_count = 0;
        let mut steps: BTreeMap<i32, i32> = BTreeMap::new();
        for (start, end) in spans {
            *steps.entry(start).or_default() += 1;
            *steps.entry(end % WEEK).or_default() -= 1;
            open_count += i32::from(end >= WEEK);
        }
        let is_open_before = open_count > 0;
        let mut changes = Vec::new();
        for (minute, step) in steps {
            let was_open = open_count > 0;
            open_count += step;
            if was_open != (open_count > 0) {
                changes.push(minute);
            }
        }
        Self {
            is_open_before,
            changes,
        }
    }

    fn is_open(&self, minute: i32) -> bool {
        let changes = self.changes.partition_point(|change| *change <= minute);
        self.is_open_before ^ (changes % 2 == 1)
    }

    /// The first minute after `minute` with which it opens or closes, counted on into the next week.
    fn change(&self, minute: i32) -> Option<i32> {
        let later = self.changes.iter().find(|change| **change > minute);
        let of_next_week = || self.changes.first().map(|change| change + WEEK);
        later.copied().or_else(of_next_week)
    }
}

fn minute_of_week(clock: DateTime) -> i32 {
    let day = i32::from(clock.weekday().to_monday_zero_offset());
    day * DAY + i32::from(clock.hour()) * 60 + i32::from(clock.minute())
}

#[cfg(test)]
mod tests {
    use jiff::civil::{DateTime, Weekday};
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
    use proptest::{collection, sample};

    use super::super::clock::tests::{at, zone};
    use super::{Days, Finding, Hours, Verdict, Window, Windows};

    fn window(days: &str, hours: &str, zone_name: &str) -> Window {
        let parts = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        Window {
            days: parts(days)
                .iter()
                .map(|days| days.parse().unwrap())
                .collect(),
            hours: parts(hours)
                .iter()
                .map(|hours| hours.parse().unwrap())
                .collect(),
            zone: zone(zone_name),
        }
    }

    fn windows(days: &str, hours: &str, zone: &str) -> Windows {
        Windows::new(vec![window(days, hours, zone)])
    }

    /// Each verdict and its words, from `now` on as often as it changes.
    fn story(windows: &Windows, now: &str, count: usize) -> String {
        let mut now = at(now);
        let mut lines = Vec::new();
        for _ in 0..count {
            let Finding {
                verdict, why, next, ..
            } = windows.judge(now);
            lines.push(format!("{now} {verdict:?}: {why}"));
            let Some(next) = next else { break };
            let second = SignedDuration::from_secs(1);
            assert_eq!(
                windows.judge(next - second).verdict,
                verdict,
                "before {next}"
            );
            assert_ne!(windows.judge(next).verdict, verdict, "at {next}");
            now = next;
        }
        lines.join("\n")
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_until_before_its_last() {
        let office = windows("mon-fri", "09:00-16:00", "Europe/Rome");
        insta::assert_snapshot!(story(&office, "2026-11-20T14:59:59Z", 4), @"
        2026-11-20T14:59:59Z Passed: open until 2026-11-20T16:00 Europe/Rome (Fri)
        2026-11-20T15:00:00Z Waits: opens at 2026-11-23T09:00 Europe/Rome (Mon)
        2026-11-23T08:00:00Z Passed: open until 2026-11-23T16:00 Europe/Rome (Mon)
        2026-11-23T15:00:00Z Waits: opens at 2026-11-24T09:00 Europe/Rome (Tue)
        ");
    }

    #[test]
    fn hours_across_midnight_belong_to_the_day_on_which_they_begin() {
        let night = windows("fri", "22:00-04:00", "Europe/Rome");
        insta::assert_snapshot!(story(&night, "2026-11-26T23:00:00Z", 4), @"
        2026-11-26T23:00:00Z Waits: opens at 2026-11-27T22:00 Europe/Rome (Fri)
        2026-11-27T21:00:00Z Passed: open until 2026-11-28T04:00 Europe/Rome (Sat)
        2026-11-28T03:00:00Z Waits: opens at 2026-12-04T22:00 Europe/Rome (Fri)
        2026-12-04T21:00:00Z Passed: open until 2026-12-05T04:00 Europe/Rome (Sat)
        ");
        let sunday = windows("sun", "22:00-04:00", "UTC");
        insta::assert_snapshot!(story(&sunday, "2026-11-23T03:59:59Z", 3), @"
        2026-11-23T03:59:59Z Passed: open until 2026-11-23T04:00 UTC (Mon)
        2026-11-23T04:00:00Z Waits: opens at 2026-11-29T22:00 UTC (Sun)
        2026-11-29T22:00:00Z Passed: open until 2026-11-30T04:00 UTC (Mon)
        ");
    }

    #[test]
    fn several_windows_are_open_where_one_of_them_is() {
        let hours = windows("mon wed", "08:00-10:00 09:00-12:00 14:00-15:00", "UTC");
        insta::assert_snapshot!(story(&hours, "2026-11-23T07:00:00Z", 6), @"
        2026-11-23T07:00:00Z Waits: opens at 2026-11-23T08:00 UTC (Mon)
        2026-11-23T08:00:00Z Passed: open until 2026-11-23T12:00 UTC (Mon)
        2026-11-23T12:00:00Z Waits: opens at 2026-11-23T14:00 UTC (Mon)
        2026-11-23T14:00:00Z Passed: open until 2026-11-23T15:00 UTC (Mon)
        2026-11-23T15:00:00Z Waits: opens at 2026-11-25T08:00 UTC (Wed)
        2026-11-25T08:00:00Z Passed: open until 2026-11-25T12:00 UTC (Wed)
        ");
        let world = Windows::new(vec![
            window("mon", "09:00-17:00", "Europe/Rome"),
            window("mon", "09:00-17:00", "America/New_York"),
        ]);
        insta::assert_snapshot!(story(&world, "2026-11-23T00:00:00Z", 3), @"
        2026-11-23T00:00:00Z Waits: opens at 2026-11-23T09:00 Europe/Rome (Mon)
        2026-11-23T08:00:00Z Passed: open until 2026-11-23T17:00 America/New_York (Mon)
        2026-11-23T22:00:00Z Waits: opens at 2026-11-30T09:00 Europe/Rome (Mon)
        ");
    }

    #[test]
    fn days_alone_are_whole_days_and_hours_alone_are_of_all_days() {
        let weekend = windows("sat-sun", "", "Europe/Rome");
        insta::assert_snapshot!(story(&weekend, "2026-11-20T12:00:00Z", 3), @"
        2026-11-20T12:00:00Z Waits: opens at 2026-11-21T00:00 Europe/Rome (Sat)
        2026-11-20T23:00:00Z Passed: open until 2026-11-23T00:00 Europe/Rome (Mon)
        2026-11-22T23:00:00Z Waits: opens at 2026-11-28T00:00 Europe/Rome (Sat)
        ");
        let evening = windows("", "18:00-24:00", "Europe/Rome");
        insta::assert_snapshot!(story(&evening, "2026-11-20T12:00:00Z", 3), @"
        2026-11-20T12:00:00Z Waits: opens at 2026-11-20T18:00 Europe/Rome (Fri)
        2026-11-20T17:00:00Z Passed: open until 2026-11-21T00:00 Europe/Rome (Sat)
        2026-11-20T23:00:00Z Waits: opens at 2026-11-21T18:00 Europe/Rome (Sat)
        ");
        let around = windows("sat-mon", "", "UTC");
        insta::assert_snapshot!(story(&around, "2026-11-20T12:00:00Z", 3), @"
        2026-11-20T12:00:00Z Waits: opens at 2026-11-21T00:00 UTC (Sat)
        2026-11-21T00:00:00Z Passed: open until 2026-11-24T00:00 UTC (Tue)
        2026-11-24T00:00:00Z Waits: opens at 2026-11-28T00:00 UTC (Sat)
        ");
    }

    #[test]
    fn what_never_closes_says_so_at_once() {
        let halves = windows("", "00:00-12:00 12:00-24:00", "Europe/Rome");
        insta::assert_snapshot!(story(&halves, "2026-11-20T12:00:00Z", 3), @"2026-11-20T12:00:00Z Passed: always open");
        let zones = Windows::new(vec![
            window("", "00:00-12:00", "UTC"),
            window("", "14:00-03:00", "Asia/Dubai"),
            window("", "09:00-17:00", "Asia/Tokyo"),
            window("", "08:00-10:00", "UTC"),
            window("", "15:00-24:00", "UTC"),
            window("", "12:00-15:00", "UTC"),
        ]);
        insta::assert_snapshot!(story(&zones, "2026-11-20T12:00:00Z", 3), @"2026-11-20T12:00:00Z Passed: always open");
    }

    #[test]
    fn an_hour_that_does_not_exist_opens_nothing() {
        let lost = windows("sun", "02:00-03:00", "Europe/Rome");
        insta::assert_snapshot!(story(&lost, "2026-03-28T12:00:00Z", 2), @"
        2026-03-28T12:00:00Z Waits: opens at 2026-04-05T02:00 Europe/Rome (Sun)
        2026-04-05T00:00:00Z Passed: open until 2026-04-05T03:00 Europe/Rome (Sun)
        ");
        let begins_in_it = windows("sun", "02:30-04:00", "Europe/Rome");
        insta::assert_snapshot!(story(&begins_in_it, "2026-03-28T12:00:00Z", 3), @"
        2026-03-28T12:00:00Z Waits: opens at 2026-03-29T03:00 Europe/Rome (Sun)
        2026-03-29T01:00:00Z Passed: open until 2026-03-29T04:00 Europe/Rome (Sun)
        2026-03-29T02:00:00Z Waits: opens at 2026-04-05T02:30 Europe/Rome (Sun)
        ");
        let ends_in_it = windows("sun", "01:00-02:30", "Europe/Rome");
        insta::assert_snapshot!(story(&ends_in_it, "2026-03-28T12:00:00Z", 3), @"
        2026-03-28T12:00:00Z Waits: opens at 2026-03-29T01:00 Europe/Rome (Sun)
        2026-03-29T00:00:00Z Passed: open until 2026-03-29T03:00 Europe/Rome (Sun)
        2026-03-29T01:00:00Z Waits: opens at 2026-04-05T01:00 Europe/Rome (Sun)
        ");
    }

    #[test]
    fn an_hour_that_comes_twice_is_open_twice() {
        let whole = windows("sun", "02:00-03:00", "Europe/Rome");
        insta::assert_snapshot!(story(&whole, "2026-10-24T12:00:00Z", 3), @"
        2026-10-24T12:00:00Z Waits: opens at 2026-10-25T02:00+02 Europe/Rome (Sun)
        2026-10-25T00:00:00Z Passed: open until 2026-10-25T03:00 Europe/Rome (Sun)
        2026-10-25T02:00:00Z Waits: opens at 2026-11-01T02:00 Europe/Rome (Sun)
        ");
        let part = windows("sun", "02:00-02:30", "Europe/Rome");
        insta::assert_snapshot!(story(&part, "2026-10-24T12:00:00Z", 5), @"
        2026-10-24T12:00:00Z Waits: opens at 2026-10-25T02:00+02 Europe/Rome (Sun)
        2026-10-25T00:00:00Z Passed: open until 2026-10-25T02:30+02 Europe/Rome (Sun)
        2026-10-25T00:30:00Z Waits: opens at 2026-10-25T02:00+01 Europe/Rome (Sun)
        2026-10-25T01:00:00Z Passed: open until 2026-10-25T02:30+01 Europe/Rome (Sun)
        2026-10-25T01:30:00Z Waits: opens at 2026-11-01T02:00 Europe/Rome (Sun)
        ");
        let across = windows("sun", "01:30-02:30", "Europe/Rome");
        insta::assert_snapshot!(story(&across, "2026-10-24T12:00:00Z", 5), @"
        2026-10-24T12:00:00Z Waits: opens at 2026-10-25T01:30 Europe/Rome (Sun)
        2026-10-24T23:30:00Z Passed: open until 2026-10-25T02:30+02 Europe/Rome (Sun)
        2026-10-25T00:30:00Z Waits: opens at 2026-10-25T02:00+01 Europe/Rome (Sun)
        2026-10-25T01:00:00Z Passed: open until 2026-10-25T02:30+01 Europe/Rome (Sun)
        2026-10-25T01:30:00Z Waits: opens at 2026-11-01T01:30 Europe/Rome (Sun)
        ");
    }

    #[test]
    fn a_day_that_a_zone_left_out_opens_nothing() {
        // Samoa went over the date line, and had no 30th of December.
        let friday = windows("fri", "", "Pacific/Apia");
        insta::assert_snapshot!(story(&friday, "2011-12-24T12:00:00Z", 3), @"
        2011-12-24T12:00:00Z Waits: opens at 2012-01-06T00:00 Pacific/Apia (Fri)
        2012-01-05T10:00:00Z Passed: open until 2012-01-07T00:00 Pacific/Apia (Sat)
        2012-01-06T10:00:00Z Waits: opens at 2012-01-13T00:00 Pacific/Apia (Fri)
        ");
    }

    #[test]
    fn zones_that_are_open_in_turn_close_where_one_changes_its_clock_before_the_other() {
        let turns = Windows::new(vec![
            window("", "00:00-12:00", "Europe/Rome"),
            window("", "06:00-18:00", "America/New_York"),
        ]);
        insta::assert_snapshot!(story(&turns, "2026-11-20T12:00:00Z", 5), @"
        2026-11-20T12:00:00Z Passed: open until 2027-03-14T18:00 America/New_York (Sun)
        2027-03-14T22:00:00Z Waits: opens at 2027-03-15T00:00 Europe/Rome (Mon)
        2027-03-14T23:00:00Z Passed: open until 2027-03-15T18:00 America/New_York (Mon)
        2027-03-15T22:00:00Z Waits: opens at 2027-03-16T00:00 Europe/Rome (Tue)
        2027-03-15T23:00:00Z Passed: open until 2027-03-16T18:00 America/New_York (Tue)
        ");
    }

    #[test]
    fn a_leap_day_and_a_turn_of_the_year_are_days_like_others() {
        let tuesday = windows("tue", "09:00-10:00", "UTC");
        insta::assert_snapshot!(story(&tuesday, "2028-02-28T00:00:00Z", 3), @"
        2028-02-28T00:00:00Z Waits: opens at 2028-02-29T09:00 UTC (Tue)
        2028-02-29T09:00:00Z Passed: open until 2028-02-29T10:00 UTC (Tue)
        2028-02-29T10:00:00Z Waits: opens at 2028-03-07T09:00 UTC (Tue)
        ");
        let thursday = windows("thu", "23:00-01:00", "Europe/Rome");
        insta::assert_snapshot!(story(&thursday, "2026-12-31T12:00:00Z", 3), @"
        2026-12-31T12:00:00Z Waits: opens at 2026-12-31T23:00 Europe/Rome (Thu)
        2026-12-31T22:00:00Z Passed: open until 2027-01-01T01:00 Europe/Rome (Fri)
        2027-01-01T00:00:00Z Waits: opens at 2027-01-07T23:00 Europe/Rome (Thu)
        ");
    }

    #[test]
    fn at_the_end_of_time_nothing_breaks() {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let found = windows("mon", "09:00-10:00", "Europe/Rome").judge(now);
            assert!(!found.why.is_empty());
        }
    }

    #[test]
    fn what_is_no_day_and_what_are_no_hours_is_refused() {
        for text in ["", "monday", "Mon", "mon-", "mon-fri-sun", "mon,wed"] {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
        for text in [
            "",
            "9:00-16:00",
            "09:00",
            "09:00-16:60",
            "24:00-25:00",
            "24:00-01:00",
            "09:00-24:01",
            "+9:00-10:00",
            "09-16",
        ] {
            let error = text.parse::<Hours>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not hours of a day"));
        }
        let error = "09:00-09:00".parse::<Hours>().unwrap_err();
        assert_eq!(error.to_string(), "`09:00-09:00` ends where it starts");
        assert!("00:00-24:00".parse::<Hours>().is_ok());
    }

    /// Zones whose clocks change in their own ways: late, by half an hour, at midnight, backwards in winter, around a fast, never.
    const ZONES: [&str; 8] = [
        "Europe/Rome",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Havana",
        "Europe/Dublin",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "UTC",
    ];

    /// What a window means, minute by minute, and nothing more.
    fn is_open(window: &[(Weekday, i32, i32)], clock: DateTime) -> bool {
        let minute = i32::from(clock.hour()) * 60 + i32::from(clock.minute());
        let today = clock.weekday();
        window.iter().any(|(day, start, end)| match start < end {
            true => *day == today && (*start..*end).contains(&minute),
            false => (*day == today && minute >= *start) || (day.next() == today && minute < *end),
        })
    }

    #[test]
    fn over_years_every_quarter_of_an_hour_is_as_the_clock_says_and_each_change_is_foretold() {
        let written = [
            ("mon", 22 * 60, 2 * 60 + 30),
            ("sun", 60, 3 * 60),
            ("thu", 9 * 60, 16 * 60),
        ];
        let day = |name: &str| match name {
            "mon" => Weekday::Monday,
            "thu" => Weekday::Thursday,
            _ => Weekday::Sunday,
        };
        let oracle = written.map(|(name, start, end)| (day(name), start, end));
        let hours = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        for name in ZONES {
            let of_day = |(name_of_day, start, end): (&str, i32, i32)| {
                window(
                    name_of_day,
                    &format!("{}-{}", hours(start), hours(end)),
                    name,
                )
            };
            let windows = Windows::new(written.map(of_day).into());
            let zone = zone(name);
            let mut now = at("2027-01-01T00:00:00Z");
            let end = at("2029-01-02T00:00:00Z");
            let mut foretold = windows.judge(now).next.unwrap();
            let mut was_open = is_open(&oracle, zone.to_datetime(now));
            let mut changes = 0;
            while now < end {
                now += SignedDuration::from_mins(15);
                let open = is_open(&oracle, zone.to_datetime(now));
                assert_eq!(windows.is_open(now), open, "{name} {now}");
                assert_eq!(open != was_open, now == foretold, "{name} {now} {foretold}");
                if open != was_open {
                    foretold = windows.judge(now).next.unwrap();
                    changes += 1;
                }
                was_open = open;
            }
            assert!(changes > 600, "{name} {changes}");
        }
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let days = sample::select(vec!["mon", "mon-fri", "sat-sun", "sun-tue", "wed"]);
        let time =
            (0..24_i32, 0..60_i32).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
        let hours = (time.clone(), time)
            .prop_filter_map("they end where they start", |(start, end)| {
                format!("{start}-{end}").parse::<Hours>().ok()
            });
        let zones = sample::select(ZONES.to_vec());
        (
            collection::vec(days, 0..3),
            collection::vec(hours, 0..3),
            zones,
        )
            .prop_map(|(days, hours, name)| Window {
                days: days.into_iter().map(|days| days.parse().unwrap()).collect(),
                hours,
                zone: zone(name),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_verdict_holds_until_the_moment_that_it_names_and_no_longer(
            written in collection::vec(any_window(), 1..4),
            seconds in 0..1_000_000_000_i64,
            nanoseconds in 0..1_000_000_000_i32,
            fractions in collection::vec(any::<u32>(), 12),
        ) {
            let windows = Windows::new(written);
            let now = Timestamp::new(1_750_000_000 + seconds, nanoseconds).unwrap();
            let found = windows.judge(now);
            prop_assert_eq!(found.verdict == Verdict::Passed, windows.is_open(now));
            let end = found.next.unwrap_or(now + SignedDuration::from_hours(24 * 400));
            prop_assert!(end > now);
            let whole = now.duration_until(end).as_nanos();
            for fraction in fractions {
                let part = whole * i128::from(fraction) / (i128::from(u32::MAX) + 1);
                let then = now + SignedDuration::from_nanos_i128(part);
                let judged = windows.judge(then);
                prop_assert_eq!((judged.verdict, judged.next.is_none() || judged.next == found.next), (found.verdict, true), "{}", then);
            }
            if let Some(next) = found.next {
                prop_assert!(windows.judge(next - SignedDuration::from_secs(1).min(now.duration_until(next))).verdict == found.verdict);
                prop_assert!(windows.judge(next).verdict != found.verdict);
            }
        }
    }

    #[test]
    fn zones_that_are_written_apart_count_together() {
        let two = Windows::new(vec![window("mon", "", "UTC"), window("tue", "", "UTC")]);
        assert_eq!(two, windows("mon-tue", "", "UTC"));
        assert_eq!(two.0.len(), 1);
        assert_eq!(two.0[0].zone, TimeZone::UTC);
    }
}
