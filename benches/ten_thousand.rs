//! One policy that writes 10,000 files of 25 lines: one commit, one push.

use std::time::Duration;

use crate::fleet::{Fleet, Login, Plan, Seen, Tree};
use crate::measure::Samples;
use crate::table::{Aim, Table};

const FILES: usize = 10_000;
const RUNS: usize = 5;

pub(crate) fn ten_thousand(table: &mut Table) {
    let mut fleet = Fleet::start(Plan {
        policies: 1,
        images: 1,
        poll_interval: "1m",
        login: Login::Anonymous,
        tree: Tree::Values(FILES),
    });
    fleet.watch_to_end("apply");
    let mut seen = Vec::new();
    for _ in 0..RUNS {
        let base = fleet.head();
        fleet.push_tags([0]);
        seen.push(fleet.watch_to_end("apply"));
        assert_eq!(fleet.commits_since(&base), 1, "one commit for all");
        assert_eq!(
            fleet.changed_since(&base),
            (FILES, FILES, FILES),
            "one line each"
        );
    }
    let samples = |time: fn(&Seen) -> Duration| Samples::new(seen.iter().map(time));
    let aim = Aim::Time(Duration::from_millis(500));
    table.times(
        "one policy that writes 10,000 files of 25 lines, `towpath apply`: tags known to pushed",
        &samples(Seen::known_to_pushed),
        aim,
    );
    table.times(
        "the same, the whole process",
        &samples(|seen| seen.ended),
        Aim::None,
    );
    let peaks = Samples::new(seen.iter().map(|seen| seen.memory_peak_kib));
    table.memory("the same, peak memory", &peaks, Aim::Mebibytes(60));
}
