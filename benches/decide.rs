//! How long deciding takes for very many policies from a snapshot, and how much memory: nothing is read and nothing written.

use std::hint::black_box;
use std::process;
use std::time::{Duration, Instant};

use towpath::figures::{ManyPolicies, POLICIES};

use crate::measure::{Samples, data_kib, forget_memory_peak, memory_kib, memory_peak_kib};
use crate::table::{Aim, Table};

const RUNS: usize = 11;

pub(crate) fn decide(table: &mut Table) {
    let empty = data();
    let mut many = ManyPolicies::default();
    let snapshot = data();
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        many.forget();
        let (took, most) = measure(&mut many, snapshot);
        times.push(took);
        memory.push(most);
    }
    let what = format!(
        "{POLICIES} policies of 3 environments decided from a snapshot, 500 tags each, one thread: the first time"
    );
    let aim = Aim::Time(Duration::from_millis(300));
    table.times(&what, &Samples::new(times), aim);
    let peak = "the same, peak memory above the snapshot";
    table.memory(peak, &Samples::new(memory), Aim::Mebibytes(200));

    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        many.change();
        let (took, most) = measure(&mut many, snapshot);
        times.push(took);
        memory.push(most);
    }
    let what = "the same again, with news of 300 images and 300 files";
    table.times(what, &Samples::new(times), aim);
    table.memory(peak, &Samples::new(memory), Aim::Mebibytes(200));
    let snapshot = Samples::new([snapshot.saturating_sub(empty)]);
    table.memory("the snapshot and the policies", &snapshot, Aim::None);
}

/// The time that it takes, and the most memory above `snapshot`. What earlier runs left to the allocator counts again.
fn measure(many: &mut ManyPolicies, snapshot: u64) -> (Duration, u64) {
    let this = process::id();
    let left = data().saturating_sub(snapshot);
    let before = memory_kib(this).expect("this process runs");
    forget_memory_peak();
    let start = Instant::now();
    let promotions = black_box(many.decide());
    let took = start.elapsed();
    let peak = memory_peak_kib(this).expect("this process runs");
    assert_eq!(promotions, POLICIES / 100, "one in a hundred has news");
    (took, left + peak.saturating_sub(before))
}

fn data() -> u64 {
    data_kib(process::id()).expect("this process runs")
}
