//! What a pod has to give: how soon it is ready, and what it holds and does when nothing is new, with the default intervals.

use std::time::{Duration, Instant};

use towpath::demo_registry::Image;

use crate::fleet::{Fleet, Login, Plan, Tree};
use crate::measure::{Samples, data_kib, memory_kib, processor_time};
use crate::table::{Aim, Met, Table};

/// Image repositories, each with a policy and a file of its own.
const SIZES: [usize; 2] = [100, 10_000];
const TAGS_EACH: usize = 50;
/// Half of the default interval of registries, and all of that of git, so that each second of it is like any other.
const WATCHED: Duration = Duration::from_secs(60);
/// What a registry of one's own bears; the first reading of 10,000, each with its token, takes 40 s with it, whatever else is done.
const PER_SECOND: u64 = 500;

pub(crate) fn home(table: &mut Table) {
    for size in SIZES {
        of(size, table);
    }
}

fn of(size: usize, table: &mut Table) {
    let fleet = Fleet::start(Plan {
        policies: size,
        images: size,
        poll_interval: "2m",
        login: Login::Token,
        tree: Tree::Each,
    });
    for n in 0..size {
        let name = format!("acme/app-{n:04}");
        for old in 0..TAGS_EACH {
            let tag = format!("old-{old}-{:07x}", old * 2_641 + 0x100_0000);
            fleet.registry.push(&name, &tag, &Image::default());
        }
    }
    fleet.set_pace(PER_SECOND);
    let start = || {
        let started = Instant::now();
        let daemon = fleet.daemon();
        daemon.wait_until("a first view", || {
            daemon.log().contains("first complete view")
        });
        (daemon, Samples::new([started.elapsed()]))
    };
    let (first, cold) = start();
    drop(first);
    let (daemon, warm) = start();
    let what = format!("daemon, {size} repositories of {TAGS_EACH} tags: start to ready");
    table.times(&what, &cold, Aim::None);
    table.times("the same, with what it kept", &warm, Aim::None);
    // What follows from the first polls is not yet the steady state.
    std::thread::sleep(WATCHED);
    let (started, busy) = (Instant::now(), processor_time(daemon.id()));
    std::thread::sleep(WATCHED);
    let (span, busy) = (started.elapsed(), processor_time(daemon.id()) - busy);
    let share = busy.as_secs_f64() / span.as_secs_f64() * 100.0;
    let told = format!("{share:.1} %");
    table.single("the same, idle, of one processor", &told, "", Met::NoAim);
    let mebibytes = |kib: Option<u64>| kib.unwrap_or_default().div_ceil(1024);
    let (all, data) = (memory_kib(daemon.id()), data_kib(daemon.id()));
    let told = format!(
        "{} MiB ({} MiB without mapped files)",
        mebibytes(all),
        mebibytes(data)
    );
    table.single("the same, idle memory", &told, "", Met::NoAim);
}
