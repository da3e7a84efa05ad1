//! What an answer says of the forge's limits: for how long nothing may be asked, and how much is left.
//!
//! Pure but for the type of headers. What cannot be read was never said. A time of day is measured by the forge's own
//! clock, the `Date` of the same answer, so that ours need not be right.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest quiet that is believed: limits turn over within the hour (GitHub, Bitbucket Cloud), and a wrong header must
/// not stop a repository for longer than somebody takes to look.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// The quiet after a refusal that says nothing more; GitHub asks for a minute at least.
///
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately>
const QUIET: Duration = Duration::from_secs(60);

/// The shortest quiet after a refusal: one that says `Retry-After: 0`, or whose window turns over right now, is not answered
/// with the same request in a millisecond.
const QUIET_MIN: Duration = Duration::from_secs(1);

/// What an answer says of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Nothing may be asked for so long.
    pub(super) quiet: Option<Duration>,
    /// Whether this very request was refused for it.
    pub(super) is_refused: bool,
    /// Requests that are left in this window.
    pub(super) remaining: Option<u64>,
}

/// What an answer with this status and these headers says; `words` are the forge's, where it refused.
///
/// * GitHub refuses with 403 or 429: by its primary limit with `x-ratelimit-remaining: 0` and the time of
///   `x-ratelimit-reset`, by its secondary ones with `Retry-After`, or with words alone.
///   <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
/// * GitLab refuses with 429, and tells `RateLimit-Remaining` and `RateLimit-Reset`, a time.
///   <https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers>
/// * Bitbucket Cloud refuses with 429. <https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>
/// * Azure DevOps refuses with 429, and may say `Retry-After` with any answer when it is about to; `X-RateLimit-Reset` is a
///   time. <https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits#api-client-experience>
pub(super) fn told(status: StatusCode, headers: &HeaderMap, words: &str) -> Told {
    let after = retry_after(headers);
    let remaining = number(headers, "remaining");
    let is_spent = remaining == Some(0) && !is_another_resource(headers);
    let reset = reset_in(headers).filter(|_| is_spent);
    let is_refused = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => after.is_some(),
        StatusCode::FORBIDDEN => {
            after.is_some() || remaining == Some(0) || words.contains("rate limit")
        }
        _ => false,
    };
    let quiet = match is_refused {
        true => {
            let told = after.or_else(|| reset_in(headers));
            Some(told.map_or(QUIET, |told| told.max(QUIET_MIN)))
        }
        false => after.or(reset),
    };
    Told {
        quiet: quiet.map(|quiet| quiet.min(QUIET_MAX)),
        is_refused,
        remaining: remaining.filter(|_| !is_another_resource(headers)),
    }
}

/// GitHub counts GraphQL and searches apart from the rest.
fn is_another_resource(headers: &HeaderMap) -> bool {
    text(headers, "x-ratelimit-resource").is_some_and(|resource| resource != "core")
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let after = text(headers, RETRY_AFTER.as_str())?.trim();
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => until(date(after)?, headers),
    }
}

/// The time from the answer to the reset, which every product that tells one tells in seconds since 1970.
fn reset_in(headers: &HeaderMap) -> Option<Duration> {
    let reset = number(headers, "reset")?;
    until(
        Timestamp::from_second(reset.try_into().ok()?).ok()?,
        headers,
    )
}

fn until(then: Timestamp, headers: &HeaderMap) -> Option<Duration> {
    let wait = then.duration_since(date(text(headers, DATE.as_str())?)?);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

fn number(headers: &HeaderMap, what: &str) -> Option<u64> {
    let names = ["x-ratelimit-", "ratelimit-"];
    let mut texts = names
        .iter()
        .filter_map(|prefix| text(headers, &format!("{prefix}{what}")));
    texts.next()?.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::told;

    /// Seconds of quiet, whether it is a refusal, and what is left.
    fn of(status: u16, lines: &[&str], words: &str) -> (Option<u64>, bool, Option<u64>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let told = told(StatusCode::from_u16(status).unwrap(), &headers, words);
        let quiet = told.quiet.map(|quiet| quiet.as_secs());
        (quiet, told.is_refused, told.remaining)
    }

    const DATE: &str = "date: Wed, 21 Oct 2026 07:27:30 GMT";

    #[test]
    fn githubs_primary_limit_lasts_until_its_reset_by_its_own_clock() {
        let spent = [
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 1792567680",
            DATE,
        ];
        assert_eq!(of(403, &spent, ""), (Some(30), true, Some(0)));
        assert_eq!(of(429, &spent, ""), (Some(30), true, Some(0)));
        assert_eq!(
            of(200, &spent, ""),
            (Some(30), false, Some(0)),
            "the last one"
        );
        let left = [
            "x-ratelimit-remaining: 4999",
            "x-ratelimit-reset: 1792567680",
            DATE,
        ];
        assert_eq!(of(200, &left, ""), (None, false, Some(4999)));
        assert_eq!(
            of(403, &left, "Resource not accessible"),
            (None, false, Some(4999))
        );
    }

    #[test]
    fn githubs_secondary_limit_is_told_by_a_wait_or_by_words_alone() {
        assert_eq!(of(403, &["retry-after: 17"], ""), (Some(17), true, None));
        let words = "You have exceeded a secondary rate limit.";
        assert_eq!(of(403, &[], words), (Some(60), true, None));
        assert_eq!(of(403, &[], "Must have admin rights"), (None, false, None));
    }

    #[test]
    fn a_refusal_that_lets_us_try_again_at_once_is_heeded_for_a_second() {
        assert_eq!(of(429, &["retry-after: 0"], ""), (Some(1), true, None));
        let turned = ["retry-after: Wed, 21 Oct 2026 07:27:29 GMT", DATE];
        assert_eq!(of(503, &turned, ""), (Some(1), true, None));
        assert_eq!(of(200, &["retry-after: 0"], ""), (Some(0), false, None));
    }

    #[test]
    fn what_graphql_has_left_is_not_what_the_rest_has_left() {
        let spent = [
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 1792567680",
            "x-ratelimit-resource: graphql",
            DATE,
        ];
        assert_eq!(of(200, &spent, ""), (None, false, None));
    }

    #[test]
    fn gitlab_bitbucket_and_azure_are_understood_too() {
        let gitlab = [
            "RateLimit-Remaining: 0",
            "RateLimit-Reset: 1792567660",
            DATE,
        ];
        assert_eq!(of(429, &gitlab, "Retry later"), (Some(10), true, Some(0)));
        assert_eq!(of(429, &[], ""), (Some(60), true, None));
        let azure = ["Retry-After: 5", "X-RateLimit-Remaining: 3"];
        assert_eq!(of(200, &azure, ""), (Some(5), false, Some(3)));
        let dated = ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", DATE];
        assert_eq!(of(503, &dated, ""), (Some(30), true, None));
        assert_eq!(of(503, &[], ""), (None, false, None));
    }

    #[test]
    fn what_cannot_be_read_was_not_said_and_what_is_too_long_is_cut() {
        assert_eq!(of(200, &["retry-after: soon"], ""), (None, false, None));
        let ever = ["retry-after: 99999999999"];
        assert_eq!(of(429, &ever, ""), (Some(7200), true, None));
        let wild = [
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 18446744073709551615",
            DATE,
        ];
        assert_eq!(of(200, &wild, ""), (None, false, Some(0)));
    }
}
