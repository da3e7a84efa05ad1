//! The daemon when nothing is new: 1,000 policies share 100 image repositories behind a token service.

use std::time::{Duration, Instant};

use towpath::demo_registry::Kind;

use crate::fleet::{APPLICATIONS, Fleet, Login, Plan, Tree};
use crate::measure::{memory_kib, memory_peak_kib, processor_time};
use crate::table::{Aim, Met, Table};

const IMAGES: usize = 100;
const POLL: Duration = Duration::from_secs(5);
/// Polls come a tenth early at most.
const POLL_LEAST: Duration = Duration::from_millis(4500);
const WATCHED: Duration = Duration::from_secs(30);

pub(crate) fn idle(table: &mut Table) {
    let fleet = Fleet::start(Plan {
        policies: APPLICATIONS,
        images: IMAGES,
        poll_interval: "5s",
        login: Login::Token,
        tree: Tree::Applications,
    });
    let started = Instant::now();
    let daemon = fleet.daemon();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });
    let ready = crate::measure::Samples::new([started.elapsed()]);
    table.times(
        "daemon, 1,000 policies: start to first complete view, with the clone",
        &ready,
        Aim::None,
    );
    // The first poll after the start, and what follows from it, is not yet the steady state.
    std::thread::sleep(2 * POLL);

    fleet.registry.take_requests();
    let (start, busy) = (Instant::now(), processor_time(daemon.id()));
    std::thread::sleep(WATCHED);
    let requests = fleet.registry.take_requests();
    let (span, busy) = (start.elapsed(), processor_time(daemon.id()) - busy);

    let total: u64 = requests.values().sum();
    let listings = requests.get(&Kind::Tags).copied().unwrap_or_default();
    assert_eq!(
        total, listings,
        "nothing but listings is asked for: {requests:?}"
    );
    let most = (IMAGES as u64) * (span.as_nanos() / POLL_LEAST.as_nanos() + 1) as u64;
    assert!(
        listings <= most,
        "{listings} listings in {span:?}, {most} polls at most"
    );
    let polls = span.as_secs_f64() / POLL.as_secs_f64() * IMAGES as f64;
    table.single(
        "steady state, 1,000 policies on 100 repositories, 30 s: requests",
        &format!("{listings} listings, nothing else"),
        &format!("one per poll: about {polls:.0}"),
        Met::Yes,
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
