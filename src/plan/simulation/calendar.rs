//! Windows and freezes as people read them off a clock on the wall: what the program must keep, told another way.

use jiff::civil::{Date, Time, Weekday};
use jiff::{Span, Timestamp};

/// Hours on some days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// As policies write it.
    pub(super) written: &'static str,
    days: &'static [Weekday],
    /// `None`: until the day ends.
    hours: (Time, Option<Time>),
    zone: &'static str,
}

const fn hour(hour: i8) -> Time {
    Time::constant(hour, 0, 0, 0)
}

const WORKDAYS: &[Weekday] = &[
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
];
const WEEKEND: &[Weekday] = &[Weekday::Saturday, Weekday::Sunday];
const ALL: &[Weekday] = &[
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// Offices, nights that go on into the next day, hours that a clock passes over or shows twice, and days that end as they do.
pub(super) const OPENINGS: [Opening; 5] = [
    Opening {
        written: r#"{ days: mon-fri, hours: "09:00-16:00", zone: Europe/Rome }"#,
        days: WORKDAYS,
        hours: (hour(9), Some(hour(16))),
        zone: "Europe/Rome",
    },
    Opening {
        written: r#"{ hours: "22:00-04:00", zone: America/New_York }"#,
        days: ALL,
        hours: (hour(22), Some(hour(4))),
        zone: "America/New_York",
    },
    Opening {
        written: r#"{ days: [sat, sun], hours: "23:00-03:00", zone: Europe/Berlin }"#,
        days: WEEKEND,
        hours: (hour(23), Some(hour(3))),
        zone: "Europe/Berlin",
    },
    Opening {
        written: r#"{ hours: "02:00-03:00", zone: Australia/Lord_Howe }"#,
        days: ALL,
        hours: (hour(2), Some(hour(3))),
        zone: "Australia/Lord_Howe",
    },
    Opening {
        written: r#"{ days: [sat, sun], hours: "16:00-24:00", zone: Asia/Kathmandu }"#,
        days: WEEKEND,
        hours: (hour(16), None),
        zone: "Asia/Kathmandu",
    },
];

impl Opening {
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        let there = now.in_tz(self.zone).unwrap();
        let (day, time) = (there.weekday(), there.time());
        let begins = |day| self.days.contains(&day);
        match self.hours {
            (from, None) => begins(day) && time >= from,
            (from, Some(to)) if from < to => begins(day) && from <= time && time < to,
            (from, Some(to)) => {
                (begins(day) && time >= from) || (begins(day.previous()) && time < to)
            }
        }
    }
}

/// Days on which nothing may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frost {
    first: Date,
    last: Date,
    is_yearly: bool,
}

const FROST_ZONE: &str = "Europe/Rome";

impl Frost {
    /// Some days from `start` on.
    pub(super) fn after(start: Timestamp, (begins, days): (i64, i64), is_yearly: bool) -> Self {
        let start = start.in_tz(FROST_ZONE).unwrap().date();
        let first = start + Span::new().days(begins);
        let last = first + Span::new().days(days);
        Self {
            first,
            last,
            is_yearly,
        }
    }

    /// As policies write it.
    pub(super) fn written(&self) -> String {
        let Self { first, last, .. } = self;
        let written = |date: &Date| match self.is_yearly {
            true => date.strftime("%m-%d").to_string(),
            false => date.to_string(),
        };
        let (from, to) = (written(first), written(last));
        format!("{{ from: {from}, to: {to}, zone: {FROST_ZONE} }}")
    }

    /// A life is shorter than a year, so the years in between need not be looked at.
    pub(super) fn is_frozen(&self, now: Timestamp) -> bool {
        let today = now.in_tz(FROST_ZONE).unwrap().date();
        self.first <= today && today <= self.last
    }
}
