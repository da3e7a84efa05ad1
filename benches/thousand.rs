//! 1,000 policies with a new tag each, in one repository of 30,000 files: one push.

use std::time::Duration;

use towpath::demo_registry::Kind;

use crate::fleet::{APPLICATIONS, Fleet, Login, Plan, Seen, Tree};
use crate::measure::Samples;
use crate::table::{Aim, Table};

const RUNS: usize = 5;

pub(crate) fn thousand(table: &mut Table) {
    let mut fleet = Fleet::start(Plan {
        policies: APPLICATIONS,
        images: APPLICATIONS,
        poll_interval: "1m",
        login: Login::Anonymous,
        tree: Tree::Applications,
    });
    let idle = fleet.watch_to_end("apply");
    let mut seen = Vec::new();
    for _ in 0..RUNS {
        let (base, pushes) = (fleet.head(), fleet.pushes());
        fleet.push_tags(0..APPLICATIONS);
        let run = fleet.watch_to_end("apply");
        assert_eq!(fleet.commits_since(&base), APPLICATIONS, "one commit each");
        assert_eq!(fleet.pushes() - pushes, 1, "one push for all");
        let digests = run.requests.get(&Kind::Manifest).copied();
        assert_eq!(
            digests,
            Some(1000),
            "each new tag's digest is asked for once"
        );
        seen.push(run);
    }
    let samples = |time: fn(&Seen) -> Duration| Samples::new(seen.iter().map(time));
    table.times(
        "1,000 policies with a new tag each, one push, `towpath apply`: tags known to pushed",
        &samples(Seen::known_to_pushed),
        Aim::Time(Duration::from_secs(2)),
    );
    table.times(
        "the same, last digest known to pushed",
        &samples(Seen::digests_to_pushed),
        Aim::None,
    );
    let peaks = Samples::new(seen.iter().map(|seen| seen.memory_peak_kib));
    table.memory("the same, peak memory", &peaks, Aim::Mebibytes(100));
    table.times(
        "the same, process start to tags known",
        &samples(|seen| seen.tags_known),
        Aim::None,
    );
    table.times(
        "the same, the whole process",
        &samples(|seen| seen.ended),
        Aim::None,
    );
    let cold = Samples::new([idle.ended]);
    table.times(
        "the first `apply`, nothing new, with the clone",
        &cold,
        Aim::None,
    );
}
