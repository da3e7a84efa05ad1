//! One image repository with 100,000 tags, and 1,000 image repositories: what a daemon needs for them above one that watches a
//! single small repository.

use std::time::{Duration, Instant};

use towpath::demo_registry::{Image, Kind};

use crate::fleet::{APPLICATIONS, Fleet, Login, Plan, Tree};
use crate::measure::{Samples, memory_kib, memory_peak_kib};
use crate::table::{Aim, Met, Table};

const TAGS: usize = 100_000;
const PAGE: u64 = 1_000;

/// What was seen of a daemon up to its second look at everything.
struct Seen {
    first_view: Duration,
    memory_kib: u64,
    memory_peak_kib: u64,
}

pub(crate) fn large(table: &mut Table) {
    let small = one_repository();
    let idle = watch(&small, 1);
    let fleet = one_repository();
    for n in 0..TAGS {
        let tag = format!("main-{n}-{:07x}", n * 2_641 + 0x100_0000);
        fleet
            .registry
            .push("acme/app-0000", &tag, &Image::default());
    }
    let pages = (TAGS as u64 + 1).div_ceil(PAGE);
    let full = watch(&fleet, pages);
    let samples = |seen: &Seen| Samples::new([seen.first_view]);
    table.times(
        "daemon, one repository of one tag: start to first complete view",
        &samples(&idle),
        Aim::None,
    );
    table.times(
        "the same, of 100,000 tags in pages of 1,000",
        &samples(&full),
        Aim::None,
    );
    above(
        table,
        "the same, memory at most above one tag, two listings",
        (&idle, &full),
        Some(64),
    );

    let many = Fleet::start(Plan {
        policies: APPLICATIONS,
        images: APPLICATIONS,
        poll_interval: "10s",
        login: Login::Token,
        tree: Tree::Applications,
    });
    let seen = watch(&many, APPLICATIONS as u64);
    table.times(
        "daemon, 1,000 repositories of one tag and their policies: start to first complete view",
        &samples(&seen),
        Aim::None,
    );
    above(
        table,
        "the same, memory at most above one repository, two listings of each",
        (&idle, &seen),
        None,
    );
}

fn one_repository() -> Fleet {
    Fleet::start(Plan {
        policies: 1,
        images: 1,
        poll_interval: "5s",
        login: Login::Anonymous,
        tree: Tree::Values(1),
    })
}

/// Runs a daemon until it has listed everything twice, in so many requests each time.
fn watch(fleet: &Fleet, requests: u64) -> Seen {
    fleet.registry.take_requests();
    let started = Instant::now();
    let daemon = fleet.daemon();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });
    let first_view = started.elapsed();
    let mut listings = 0;
    daemon.wait_until("a second listing", || {
        let taken = fleet.registry.take_requests();
        listings += taken.get(&Kind::Tags).copied().unwrap_or_default();
        listings >= 2 * requests
    });
    let id = daemon.id();
    Seen {
        first_view,
        memory_kib: memory_kib(id).expect("the daemon runs"),
        memory_peak_kib: memory_peak_kib(id).expect("the daemon runs"),
    }
}

fn above(table: &mut Table, what: &str, (idle, seen): (&Seen, &Seen), most: Option<u64>) {
    let mebibytes = |kib: u64| kib.div_ceil(1024);
    let above = mebibytes(seen.memory_peak_kib.saturating_sub(idle.memory_kib));
    let text = format!(
        "{above} MiB ({} MiB of them kept)",
        mebibytes(seen.memory_kib.saturating_sub(idle.memory_kib))
    );
    let (aim, met) = match most {
        None => (String::new(), Met::NoAim),
        Some(most) if above < most => (format!("< {most} MiB"), Met::Yes),
        Some(most) => (format!("< {most} MiB"), Met::No),
    };
    table.single(what, &text, &aim, met);
}

const CROWD: usize = 2_000;
const TAGS_EACH: usize = 200;
/// A twentieth of two minutes, so that half a minute has as many polls as ten have.
const POLL: Duration = Duration::from_secs(6);
const WATCHED: Duration = Duration::from_secs(30);
const PER_SECOND: u64 = 500;
/// Requests that may come at once after a pause: what the budget lets through beyond its pace.
const BURST: u64 = 6;

/// 2,000 repositories of 200 tags behind one budget, with time compressed twenty times: how many requests, how evenly, and how
/// much memory.
pub(crate) fn crowd(table: &mut Table) {
    let fleet = Fleet::start(Plan {
        policies: APPLICATIONS,
        images: APPLICATIONS,
        poll_interval: "6s",
        login: Login::Token,
        tree: Tree::Applications,
    });
    fleet.add_watched(APPLICATIONS..CROWD);
    for n in 0..CROWD {
        for old in 0..TAGS_EACH {
            let tag = format!("old-{old}-{:07x}", old * 2_641 + 0x100_0000);
            let name = format!("acme/app-{n:04}");
            fleet.registry.push(&name, &tag, &Image::default());
        }
    }
    fleet.set_pace(PER_SECOND);
    let daemon = fleet.daemon();
    daemon.wait_until("a first view", || {
        daemon.log().contains("first complete view")
    });
    // The first polls, and what follows from them, come as fast as the budget lets them.
    std::thread::sleep(2 * POLL);
    fleet.registry.take_requests();
    let (start, mut seconds) = (Instant::now(), Vec::new());
    for second in 1..=WATCHED.as_secs() {
        let end = Duration::from_secs(second);
        std::thread::sleep(end.saturating_sub(start.elapsed()));
        let taken = fleet.registry.take_requests();
        let others: u64 = taken
            .iter()
            .filter(|(kind, _)| !matches!(kind, Kind::Tags | Kind::Token))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(others, 0, "nothing but listings and tokens: {taken:?}");
        seconds.push(taken.values().sum::<u64>());
    }
    let total: u64 = seconds.iter().sum();
    let polls = CROWD as f64 * start.elapsed().as_secs_f64() / POLL.as_secs_f64();
    let (least, most) = (seconds.iter().min(), seconds.iter().max());
    let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    assert!(most <= PER_SECOND + BURST + PER_SECOND / 20, "{seconds:?}");
    table.single(
        "2,000 repositories polled five times each behind a budget of 500 a second: requests",
        &format!("{total} in {} s", seconds.len()),
        &format!("one per poll: about {polls:.0}"),
        Met::NoAim,
    );
    table.single(
        "the same, in one second",
        &format!("{least} to {most}"),
        &format!("at most {PER_SECOND}"),
        Met::NoAim,
    );
    let mebibytes = |kib: Option<u64>| kib.unwrap_or_default().div_ceil(1024);
    let (now, peak) = (memory_kib(daemon.id()), memory_peak_kib(daemon.id()));
    let text = format!("{} MiB, {} MiB at most", mebibytes(now), mebibytes(peak));
    table.single("the same, memory", &text, "", Met::NoAim);
}
