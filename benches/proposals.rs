//! The daemon when nothing is new and 1,000 environments wait for people, each with a pull request of its own.

use std::time::{Duration, Instant};

use bed::forge::{FakeForge, Product};
use bed::git;
use serde_json::Value;

use crate::fleet::{APPLICATIONS, Fleet, Login, Plan, Tree, towpath};
use crate::measure::{memory_kib, memory_peak_kib, processor_time};
use crate::table::{Met, Table};

const POLL: Duration = Duration::from_secs(2);
/// Polls come a tenth early at most.
const POLL_LEAST: Duration = Duration::from_millis(1800);
const WATCHED: Duration = Duration::from_secs(30);
/// How often a repository is read by default, and how often all open ones are listed, in an hour.
const READINGS_PER_HOUR: usize = 60;
const WHOLE_PER_HOUR: usize = 1;
const PAGE: usize = 100;

pub(crate) fn proposals(table: &mut Table) {
    let mut fleet = Fleet::start(Plan {
        policies: APPLICATIONS,
        images: 100,
        poll_interval: "2s",
        login: Login::Anonymous,
        tree: Tree::Applications,
    });
    fleet.propose();
    fleet.push_tags(0..100);
    let start = Instant::now();
    fleet.set_forge("none");
    assert!(run(&fleet, &["apply"]).0, "the branches are pushed");
    let pushed = start.elapsed();
    let forge = FakeForge::start(Product::Github);
    let opened = open_all(&fleet, &forge);
    table.single(
        "1,000 proposals: their branches pushed, one by one, `towpath apply`",
        &format!("{:.1} s", pushed.as_secs_f64()),
        "",
        Met::NoAim,
    );

    let daemon = fleet.daemon();
    let mut readings = 0;
    daemon.wait_until("the second reading", || {
        let is_first_page = |line: &&String| line.contains("state=all") && !line.contains("&page=");
        let requests = forge.take_requests();
        readings += requests.iter().filter(is_first_page).count();
        readings > 2
    });
    let (start, busy) = (Instant::now(), processor_time(daemon.id()));
    forge.take_requests();
    std::thread::sleep(WATCHED);
    let requests = forge.take_requests();
    let (span, busy) = (start.elapsed(), processor_time(daemon.id()) - busy);

    let is_list = |line: &String| line.starts_with("GET ") && line.contains("/pulls?");
    assert!(requests.iter().all(is_list), "{requests:?}");
    let readings = (span.as_nanos() / POLL_LEAST.as_nanos() + 1) as usize;
    assert!(requests.len() <= readings, "{requests:?}");
    let polls = span.as_secs_f64() / POLL.as_secs_f64();
    table.single(
        "steady state, 1,000 open pull requests, 30 s: requests to the forge",
        &format!("{} lists, nothing else", requests.len()),
        &format!("one per reading: about {polls:.0}"),
        Met::Yes,
    );
    let per_hour = READINGS_PER_HOUR + WHOLE_PER_HOUR * opened.div_ceil(PAGE);
    table.single(
        "the same with the default interval, in an hour",
        &per_hour.to_string(),
        "",
        Met::NoAim,
    );
    let share = busy.as_secs_f64() / span.as_secs_f64() * 100.0;
    table.single(
        "the same, of one processor",
        &format!("{share:.1} %"),
        "",
        Met::NoAim,
    );
    let (now, peak) = (memory_kib(daemon.id()), memory_peak_kib(daemon.id()));
    let mebibytes = |kib: Option<u64>| kib.unwrap_or_default().div_ceil(1024);
    let text = format!("{} MiB, {} MiB at most", mebibytes(now), mebibytes(peak));
    table.single("the same, memory", &text, "", Met::NoAim);
}

/// Opens every pull request that would be, as a forge has it, and gives their number: towpath itself opens one a second.
fn open_all(fleet: &Fleet, forge: &FakeForge) -> usize {
    fleet.set_forge(&format!(
        "{{ kind: github, url: '{}', repository: acme/deploy, credentials: {{ token: {{ file: '{}' }} }} }}",
        forge.api(),
        fleet.path().join("token").display()
    ));
    std::fs::write(fleet.path().join("token"), FakeForge::TOKEN)
        .expect("the folder can be written");
    let repository = forge.repository("acme/deploy");
    let heads = git(
        &fleet.bare,
        &[
            "for-each-ref",
            "--format=%(refname:lstrip=2) %(objectname)",
            "refs/heads",
        ],
    );
    for head in heads.lines() {
        let (branch, commit) = head.split_once(' ').expect("git prints two words");
        repository.push(branch, commit);
    }
    let (_, planned) = run(fleet, &["plan", "--output", "json"]);
    let planned: Value = serde_json::from_str(&planned).expect("the plan is JSON");
    let proposals = planned["proposals"]
        .as_array()
        .expect("the plan has proposals");
    for proposal in proposals {
        let text = |key: &str| proposal[key].as_str().unwrap_or_default();
        assert_eq!(
            (text("pullRequest"), &proposal["message"]),
            ("open", &Value::Null)
        );
        let number = repository.open(text("branch"), text("base"));
        repository.retitle(number, text("title"));
        repository.rewrite(number, text("body"));
    }
    assert_eq!(proposals.len(), APPLICATIONS);
    proposals.len()
}

/// Whether a run of the program went well, and what it printed.
fn run(fleet: &Fleet, arguments: &[&str]) -> (bool, String) {
    let output = towpath(fleet.path()).args(arguments).output();
    let output = output.expect("the program can be started");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    (output.status.success(), text)
}
