//! What a registry tells of its limits with each answer, in the forms that are about. Pure.
//!
//! Not here: what follows for the next request (`budget`). Headers are hints: what cannot be read was never said, and a time
//! of day is measured by the registry's own clock, the `Date` of the same answer.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap};

use super::http::date;

/// Longest window that is believed. Docker Hub's turns over in 6 hours, GitHub's in one; nothing known in more than a day.
pub(super) const WINDOW_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// From this number on, a reset is seconds since 1970 (this one was in 2001), and below it seconds from now.
const EPOCH_FROM: u64 = 1_000_000_000;

/// From this number on, it is milliseconds since 1970 (this one was in 2001 too).
const EPOCH_MILLISECONDS_FROM: u64 = 1_000 * EPOCH_FROM;

/// What is left counts as few from one in this many down, so that others who share the limit find the rest.
const FEW_SHARE: u32 = 10;

/// As few as this are few where nothing is said of how many there were.
const FEW: u32 = 10;

/// What an answer tells of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// How many a window allows.
    pub(crate) limit: Option<u32>,
    pub(crate) remaining: u32,
    /// How long a window is.
    pub(crate) window: Option<Duration>,
    /// When the next window begins, from the answer on.
    pub(crate) resets_in: Option<Duration>,
}

/// What follows for those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    Plenty,
    /// Few are left: one each `pace` lets them last.
    Spread {
        pace: Duration,
        lasts: Duration,
    },
    /// None is left before this time has passed.
    Spent(Duration),
}

impl Told {
    /// What to do, so that what is left lasts until there is more.
    ///
    /// Without a time of reset, as Docker Hub tells none, one comes back each `window / limit` on average.
    pub(super) fn advice(&self) -> Advice {
        let Self {
            limit,
            remaining,
            window,
            resets_in,
        } = *self;
        let average = window
            .zip(limit)
            .map(|(window, limit)| window / limit.max(1));
        if remaining == 0 {
            return match resets_in.or(average) {
                Some(wait) if wait > Duration::ZERO => Advice::Spent(wait),
                Some(_) | None => Advice::Plenty,
            };
        }
        if remaining > limit.map_or(FEW, |limit| limit / FEW_SHARE) {
            return Advice::Plenty;
        }
        let pace = resets_in.map(|rest| rest / remaining).or(average);
        match (pace, resets_in.or(window)) {
            (Some(pace), Some(lasts)) => Advice::Spread { pace, lasts },
            (None, _) | (_, None) => Advice::Plenty,
        }
    }

    /// How long there is none, if there is none now.
    pub(super) fn spent_for(&self) -> Option<Duration> {
        match self.advice() {
            Advice::Spent(wait) => Some(wait),
            Advice::Plenty | Advice::Spread { .. } => None,
        }
    }

    /// The time between two requests that this limit leaves; the longest is the tightest limit.
    fn spacing(&self) -> Duration {
        let rest = self.resets_in.or(self.window).unwrap_or_default();
        rest / self.remaining.saturating_add(1)
    }
}

/// What `headers` tell of the limit that is nearest.
pub(super) fn told(headers: &HeaderMap) -> Option<Told> {
    named(headers)
        .or_else(|| three(headers, "ratelimit"))
        .or_else(|| three(headers, "x-ratelimit"))
        .or_else(|| three(headers, "x-rate-limit"))
        .or_else(|| acr(headers))
}

/// `RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60`, one of several; the draft before had
/// `RateLimit: limit=100, remaining=50, reset=30` and `RateLimit-Policy: 100;w=60`.
///
/// <https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-10.txt>,
/// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-07>
fn named(headers: &HeaderMap) -> Option<Told> {
    let members = members(text(headers, "ratelimit")?);
    let policies = text(headers, "ratelimit-policy").map(self::members);
    let policies = policies.unwrap_or_default();
    let policy = |name: &str| policies.iter().find(|policy| policy.name == name);
    let flat = |key| members.iter().find_map(|member| value(member.name, key));
    if let Some(remaining) = flat("remaining") {
        let limit = flat("limit");
        let policy = limit.and_then(policy);
        return Some(Told {
            limit: limit.and_then(count),
            remaining: count(remaining)?,
            window: policy.and_then(|policy| seconds(policy.parameter("w")?)),
            resets_in: flat("reset").and_then(seconds),
        });
    }
    let all = members.iter().filter_map(|member| {
        let policy = policy(member.name);
        Some(Told {
            limit: policy.and_then(|policy| count(policy.parameter("q")?)),
            remaining: count(member.parameter("r")?)?,
            window: policy.and_then(|policy| seconds(policy.parameter("w")?)),
            resets_in: member.parameter("t").and_then(seconds),
        })
    });
    all.max_by_key(Told::spacing)
}

/// `RateLimit-Limit`, `-Remaining` and `-Reset`, with or without `X-`: of the first drafts, with seconds; of GitHub, GitLab
/// and Docker Hub's own API with seconds since 1970; of Docker Hub's registry as `100;w=21600`, without a reset.
///
/// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06>,
/// <https://docs.docker.com/docker-hub/usage/pulls/>,
/// <https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/>
fn three(headers: &HeaderMap, prefix: &str) -> Option<Told> {
    let part = |name: &str| text(headers, &format!("{prefix}-{name}")).map(members);
    let first = |members: &[Member<'_>]| members.first().and_then(|member| count(member.name));
    let window = |members: &Vec<Member<'_>>| {
        let mut windows = members.iter().filter_map(|member| member.parameter("w"));
        windows.next().and_then(seconds)
    };
    let (limit, remaining) = (part("limit"), part("remaining")?);
    Some(Told {
        limit: limit.as_deref().and_then(first),
        remaining: first(&remaining)?,
        window: limit
            .as_ref()
            .and_then(window)
            .or_else(|| window(&remaining)),
        resets_in: text(headers, &format!("{prefix}-reset"))
            .and_then(|reset| resets_in(reset, headers)),
    })
}

/// Azure tells how many calls this second still has: `x-ms-ratelimit-remaining-calls-per-second: 166.65`.
fn acr(headers: &HeaderMap) -> Option<Told> {
    let second = Some(Duration::from_secs(1));
    Some(Told {
        limit: None,
        remaining: count(text(headers, "x-ms-ratelimit-remaining-calls-per-second")?)?,
        window: second,
        resets_in: second,
    })
}

/// Seconds from now, a time in seconds or milliseconds, either with a fraction perhaps, or a date.
fn resets_in(reset: &str, headers: &HeaderMap) -> Option<Duration> {
    let number = whole(reset).parse::<u64>().ok();
    if let Some(reset) = number.filter(|reset| *reset < EPOCH_FROM) {
        return Some(Duration::from_secs(reset).min(WINDOW_MAX));
    }
    let reset = match number {
        Some(reset) if reset >= EPOCH_MILLISECONDS_FROM => reset / 1_000,
        Some(reset) => reset,
        None => u64::try_from(date(reset)?.as_second()).ok()?,
    };
    let now = date(text(headers, DATE.as_str())?)?.as_second();
    let now = u64::try_from(now).ok()?;
    Some(Duration::from_secs(reset.saturating_sub(now)).min(WINDOW_MAX))
}

/// A member of a list: what it is called, and what is said of it.
struct Member<'a> {
    name: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Member<'a> {
    fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters.iter().find_map(|text| value(text, key))
    }
}

/// `"a";r=1, "b";r=2`: no name that is known of holds a comma or semicolon, and one that did would only not be understood.
fn members(header: &str) -> Vec<Member<'_>> {
    let member = |text| {
        let mut parts = str::split(text, ';').map(str::trim);
        Member {
            name: parts.next().unwrap_or_default(),
            parameters: parts.collect(),
        }
    };
    header.split(',').map(member).collect()
}

/// What stands behind `key=`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (found, value) = text.split_once('=')?;
    (found.trim() == key).then(|| value.trim())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A whole number, or the whole part of one.
fn count(text: &str) -> Option<u32> {
    let count = whole(text).parse::<u64>().ok()?;
    Some(count.try_into().unwrap_or(u32::MAX))
}

/// The whole part of a number.
fn whole(text: &str) -> &str {
    text.split('.').next().unwrap_or_default().trim()
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = Duration::from_secs(text.trim().parse().ok()?);
    Some(seconds.min(WINDOW_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::{Advice, Told, told};

    fn of(lines: &[&str]) -> Option<Told> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        told(&headers)
    }

    /// Limit, remaining, window and reset in seconds.
    fn parts(lines: &[&str]) -> (Option<u32>, u32, Option<u64>, Option<u64>) {
        let told = of(lines).unwrap();
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        let times = (seconds(told.window), seconds(told.resets_in));
        (told.limit, told.remaining, times.0, times.1)
    }

    #[test]
    fn docker_hub_tells_pulls_and_their_window() {
        let lines = [
            "ratelimit-limit: 100;w=21600",
            "ratelimit-remaining: 87;w=21600",
        ];
        assert_eq!(parts(&lines), (Some(100), 87, Some(21_600), None));
    }

    #[test]
    fn the_current_draft_names_each_limit_and_the_tightest_counts() {
        let lines = [
            r#"RateLimit-Policy: "burst";q=100;w=60, "daily";q=10000;w=86400"#,
            r#"RateLimit: "burst";r=90;t=30, "daily";r=12;t=40000"#,
        ];
        assert_eq!(
            parts(&lines),
            (Some(10_000), 12, Some(86_400), Some(40_000))
        );
        assert_eq!(
            parts(&[r#"RateLimit: "default";r=5;t=9"#]),
            (None, 5, None, Some(9))
        );
    }

    #[test]
    fn older_drafts_are_read_too() {
        let lines = [
            "RateLimit: limit=100, remaining=50, reset=30",
            "RateLimit-Policy: 10;w=1, 100;w=60",
        ];
        assert_eq!(parts(&lines), (Some(100), 50, Some(60), Some(30)));
        let lines = [
            "RateLimit-Limit: 100, 100;w=10",
            "RateLimit-Remaining: 99",
            "RateLimit-Reset: 7",
        ];
        assert_eq!(parts(&lines), (Some(100), 99, Some(10), Some(7)));
    }

    #[test]
    fn a_reset_may_be_a_time_of_the_registrys_clock() {
        let lines = [
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 3",
            "x-ratelimit-reset: 1792567680",
        ];
        assert_eq!(
            parts(&lines),
            (Some(60), 3, None, None),
            "no clock to measure by"
        );
        let date = "Date: Wed, 21 Oct 2026 07:27:30 GMT";
        let with_date = [lines[0], lines[1], lines[2], date];
        assert_eq!(parts(&with_date), (Some(60), 3, None, Some(30)));
        let gitlab = [
            "RateLimit-Limit: 60",
            "RateLimit-Remaining: 0",
            "RateLimit-Reset: 1792567650",
            date,
        ];
        assert_eq!(parts(&gitlab), (Some(60), 0, None, Some(0)), "that is now");
        for reset in [
            "30",
            "30.9",
            "1792567680.25",
            "1792567680000",
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ] {
            let reset = format!("x-ratelimit-reset: {reset}");
            let told = parts(&["x-ratelimit-remaining: 3", &reset, date]);
            assert_eq!(told, (None, 3, None, Some(30)), "{reset}");
        }
    }

    #[test]
    fn azure_tells_what_is_left_of_the_second() {
        let lines = ["x-ms-ratelimit-remaining-calls-per-second: 166.65"];
        assert_eq!(parts(&lines), (None, 166, Some(1), Some(1)));
        assert_eq!(of(&lines).unwrap().advice(), Advice::Plenty);
    }

    #[test]
    fn what_cannot_be_read_was_not_said() {
        for lines in [
            &[][..],
            &["ratelimit-limit: 100"],
            &["ratelimit-remaining: many"],
            &["ratelimit-remaining: -1"],
            &["ratelimit: ,;=,\"a\";r"],
            &["x-ms-ratelimit-remaining-calls-per-second: NaN"],
        ] {
            assert_eq!(of(lines), None, "{lines:?}");
        }
        let huge = [
            "ratelimit-remaining: 99999999999",
            "ratelimit-reset: 99999999",
        ];
        assert_eq!(parts(&huge), (None, u32::MAX, None, Some(86_400)));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_is_read_without_a_panic(value in "[ -~]{0,40}|[0-9]{1,25}", other in "[0-9.=;,\"w rt]{0,30}") {
            for name in ["ratelimit", "ratelimit-remaining", "x-ratelimit-reset"] {
                let lines = [
                    format!("{name}: {value}"),
                    format!("ratelimit-limit: {other}"),
                    format!("x-ratelimit-remaining: {other}"),
                    format!("ratelimit-policy: {other}"),
                ];
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                if let Some(told) = of(&lines) {
                    let wait = told.spent_for().unwrap_or_default();
                    proptest::prop_assert!(wait <= super::WINDOW_MAX);
                }
            }
        }
    }

    #[test]
    fn the_last_tenth_is_spread_over_the_rest_of_the_window() {
        let minute = Some(Duration::from_secs(60));
        let left = |remaining| Told {
            limit: Some(100),
            remaining,
            window: minute,
            resets_in: Some(Duration::from_secs(30)),
        };
        assert_eq!(left(11).advice(), Advice::Plenty);
        let (pace, lasts) = (Duration::from_secs(3), Duration::from_secs(30));
        assert_eq!(left(10).advice(), Advice::Spread { pace, lasts });
        assert_eq!(left(0).advice(), Advice::Spent(lasts));
        let hub = Told {
            limit: Some(100),
            remaining: 0,
            window: Some(Duration::from_secs(21_600)),
            resets_in: None,
        };
        assert_eq!(hub.advice(), Advice::Spent(Duration::from_secs(216)));
    }
}
