//! How long deciding takes for very many policies from a snapshot, and how much memory: nothing is read and nothing written.

use std::hint::black_box;
use std::process;
use std::time::{Duration, Instant};

use towpath::figures::{ManyPolicies, POLICIES};

use crate::measure::{Samples, data_kib, forget_memory_peak, memory_kib, memory_peak_kib};
use crate::table::{Aim, Table};

const RUNS: usize = 11;

pub(crate) fn decide(table: &mut Table) {
    let this = process::id();
    let running = "this process runs";
    let empty = data_kib(this).expect(running);
    let many = ManyPolicies::default();
    let snapshot = data_kib(this).expect(running);
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // What the runs before left to the allocator counts again.
        let left = data_kib(this).expect(running).saturating_sub(snapshot);
        let before = memory_kib(this).expect(running);
        forget_memory_peak();
        let start = Instant::now();
        let promotions = black_box(many.decide());
        times.push(start.elapsed());
        let peak = memory_peak_kib(this).expect(running);
        memory.push(left + peak.saturating_sub(before));
        assert_eq!(promotions, POLICIES / 100, "one in a hundred has news");
    }
    let what = format!(
        "{POLICIES} policies of 3 environments decided from a snapshot, 500 tags each, one thread"
    );
    let aim = Aim::Time(Duration::from_millis(300));
    table.times(&what, &Samples::new(times), aim);
    let what = "the same, peak memory above the snapshot";
    table.memory(what, &Samples::new(memory), Aim::Mebibytes(200));
    let snapshot = Samples::new([snapshot.saturating_sub(empty)]);
    table.memory("the snapshot and the policies", &snapshot, Aim::None);
}
