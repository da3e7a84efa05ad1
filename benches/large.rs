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
