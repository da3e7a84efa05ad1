//! Whether our clock agrees with those of the servers that were asked.
//!
//! Not here: how a server tells its time (each edge; HTTP's `Date` has whole seconds).

use jiff::{SignedDuration, Timestamp};

use super::finding::{Finding, Group, Subject};

/// How much clocks may differ. Tokens are signed with leeways of a minute or so, and windows and soak have minutes; answers that took
/// long are within it too.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(60);

/// What a server's clock showed when ours showed `ours`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) host: String,
    pub(super) theirs: Timestamp,
    pub(super) ours: Timestamp,
}

impl Told {
    /// How far ours is ahead.
    fn ahead(&self) -> SignedDuration {
        self.ours.duration_since(self.theirs)
    }
}

/// Says which clock is wrong: ours, if most differ from it, or else those that differ.
pub(super) fn compare(told: &[Told]) -> Vec<Finding> {
    let ours = Subject::new(Group::Clocks, "this machine");
    if told.is_empty() {
        return vec![ours.unknown("no server told the time")];
    }
    let (wrong, right): (Vec<&Told>, Vec<&Told>) =
        told.iter().partition(|one| one.ahead().abs() > SKEW_MAX);
    if wrong.len() > right.len() {
        let mut skews: Vec<SignedDuration> = wrong.iter().map(|one| one.ahead()).collect();
        skews.sort();
        let skew = words(skews[skews.len() / 2]);
        let hosts: Vec<String> = wrong.iter().map(|one| format!("`{}`", one.host)).collect();
        let message = format!("our clock is {skew} that of {}", hosts.join(", "));
        let hint = "set it (chrony, systemd-timesyncd): windows open and close, and soak and holds end, by it, and \
            tokens that are signed with it (GitHub Apps, AWS, Google, Azure) are refused";
        return vec![ours.warning(message, hint)];
    }
    let mut findings = vec![ours.ok(match right.len() {
        1 => format!("agrees with `{}` within a minute", right[0].host),
        some => format!("agrees with {some} servers within a minute"),
    })];
    findings.extend(wrong.into_iter().map(|one| {
        let skew = words(-one.ahead());
        let hint = "its own times are off: of pushes, pull requests and health, and the ends of its tokens";
        Subject::new(Group::Clocks, &one.host).warning(format!("its clock is {skew} ours"), hint)
    }));
    findings
}

/// `5m 2s ahead of`.
fn words(ahead: SignedDuration) -> String {
    let span = humantime::format_duration(ahead.unsigned_abs());
    match ahead.is_negative() {
        true => format!("{span} behind"),
        false => format!("{span} ahead of"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::finding::as_text;
    use super::{Told, compare};

    fn told(seconds_ahead: &[i64]) -> String {
        let told = seconds_ahead.iter().enumerate().map(|(number, ahead)| {
            let theirs = jiff::Timestamp::from_second(1_800_000_000).unwrap();
            Told {
                host: format!("host-{number}"),
                theirs,
                ours: theirs + jiff::SignedDuration::from_secs(*ahead),
            }
        });
        as_text(&compare(&told.collect::<Vec<_>>()))
    }

    #[test]
    fn a_minute_is_no_difference_and_a_second_more_is() {
        assert_snapshot!(told(&[60, -60, 0]), @"
        CLOCKS
          ok  this machine  agrees with 3 servers within a minute

        0 errors, 0 warnings, 0 unknown, 1 ok
        ");
        assert_snapshot!(told(&[61, 0, 0]), @"
        CLOCKS
          ok       this machine  agrees with 2 servers within a minute
          warning  host-0        its clock is 1m 1s behind ours
                                 hint: its own times are off: of pushes, pull requests and health, and the ends of its tokens

        0 errors, 1 warning, 0 unknown, 1 ok
        ");
        assert_snapshot!(told(&[61]), @"
        CLOCKS
          warning  this machine  our clock is 1m 1s ahead of that of `host-0`
                                 hint: set it (chrony, systemd-timesyncd): windows open and close, and soak and holds end, by it, and tokens that are signed with it (GitHub Apps, AWS, Google, Azure) are refused

        0 errors, 1 warning, 0 unknown, 0 ok
        ");
    }

    #[test]
    fn where_most_differ_it_is_our_clock_that_is_wrong() {
        assert_snapshot!(told(&[-302, -301, 0]), @"
        CLOCKS
          warning  this machine  our clock is 5m 1s behind that of `host-0`, `host-1`
                                 hint: set it (chrony, systemd-timesyncd): windows open and close, and soak and holds end, by it, and tokens that are signed with it (GitHub Apps, AWS, Google, Azure) are refused

        0 errors, 1 warning, 0 unknown, 0 ok
        ");
        assert_snapshot!(told(&[]), @"
        CLOCKS
          unknown  this machine  no server told the time

        0 errors, 0 warnings, 1 unknown, 0 ok
        ");
    }
}
