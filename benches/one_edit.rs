//! One edit in the repository of 30,000 files, the mirror warm, to a commit that was pushed over HTTP.

use std::process::Command;
use std::time::Duration;

use bed::git;

use crate::fleet::{Fleet, Login, Plan, Seen, Tree};
use crate::measure::{Samples, time};
use crate::table::{Aim, Table};

const RUNS: usize = 11;

/// What a person with a kept clone runs; the pull is there because somebody else may have pushed, as here.
const BY_HAND: &str = "git pull -q --ff-only && sed -i 's/newTag: .*/newTag: RUN/' apps/app-0500/overlays/dev/kustomization.yaml && git commit -qam promote && git push -q";

pub(crate) fn one_edit(table: &mut Table) {
    let mut fleet = Fleet::start(Plan {
        policies: 1,
        images: 1,
        poll_interval: "1s",
        login: Login::Anonymous,
        tree: Tree::Applications,
    });
    git(fleet.path(), &["clone", "-q", &fleet.url(), "clone"]);
    fleet.watch_to_end("apply");
    let (mut seen, mut by_hand) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let base = fleet.head();
        fleet.push_tags([0]);
        seen.push(fleet.watch_to_end("apply"));
        assert_eq!(fleet.commits_since(&base), 1, "one tag, one commit");
        by_hand.push(time(&mut script(&fleet, run)));
    }
    let aim = Aim::Time(Duration::from_millis(200));
    let samples = |time: fn(&Seen) -> Duration| Samples::new(seen.iter().map(time));
    table.times(
        "one edit in 30,000 files, `towpath apply`: tags known to pushed",
        &samples(Seen::known_to_pushed),
        aim,
    );
    table.times(
        "the same, the whole process",
        &samples(|seen| seen.ended),
        aim,
    );
    let peaks = Samples::new(seen.iter().map(|seen| seen.memory_peak_kib));
    table.memory("the same, peak memory", &peaks, Aim::None);
    let by_hand = Samples::new(by_hand);
    table.times(
        "for comparison: kept clone, `git pull`, `sed -i`, `git commit`, `git push`",
        &by_hand,
        Aim::None,
    );
    daemon(table, &mut fleet);
}

/// The same by the daemon, which gathers for 20 ms what comes together.
fn daemon(table: &mut Table, fleet: &mut Fleet) {
    let daemon = fleet.daemon();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });
    let mut times = Vec::new();
    for _ in 0..RUNS {
        // Not in step with the polls.
        std::thread::sleep(Duration::from_millis(300));
        fleet.registry.take_requests();
        fleet.push_tags([0]);
        times.push(fleet.watch_to_push(&daemon).known_to_pushed());
    }
    table.times(
        "the same, `towpath run`: tag listed to pushed, with its 20 ms of gathering",
        &Samples::new(times),
        Aim::Time(Duration::from_millis(200)),
    );
}

fn script(fleet: &Fleet, run: usize) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(fleet.path().join("clone"));
    command.args([
        "-c",
        &BY_HAND.replace("RUN", &format!("develop-{run}-by-hand")),
    ]);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada");
        command.env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    command
}
