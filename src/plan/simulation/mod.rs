//! Weeks of pushes, faults, decisions of people and restarts, from a seed: what must hold at each step, and that all goes on
//! once the faults end.
//!
//! Nothing here is real but the deciding: registry, git, forge, people and clock are in `town`. A seed that fails is printed;
//! `TOWPATH_SEED=7 cargo test --lib simulation` runs that one alone and tells each step. `TOWPATH_SEEDS` says how many are run.

mod people;
mod record;
mod town;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use jiff::{SignedDuration, Timestamp};

use super::{Decided, Decision, Plan, plan};
use town::Town;

/// How many seeds are run, each of which lives once: SECONDS of two cores in a build for tests.
const SEEDS: u64 = 800;

/// How long people, registries and machines do what they like; each of so many seeds lives through weeks of it.
const NOISE: SignedDuration = SignedDuration::from_hours(2 * 24);
const WEEKS: SignedDuration = SignedDuration::from_hours(14 * 24);
const WEEKS_EVERY: u64 = 32;

/// How long it is quiet then: a weekend, the longest soak and the freeze, and a day for each to come to the next.
const QUIET: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The longest that the daemon sleeps: until the next listing, if nothing else wakes it. Where it is quiet it sleeps longer, so
/// that it goes on by the moments that it computed; a listing counts for a day.
const NAP_MAX: SignedDuration = SignedDuration::from_mins(100);
const QUIET_NAP_MAX: SignedDuration = SignedDuration::from_hours(23);

/// Rounds of questions before a plan must be complete.
const ASKS_MAX: usize = 20;

#[test]
fn weeks_of_noise_break_no_promise_and_quiet_brings_the_newest_everywhere() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("TOWPATH_SEED") {
        live(seed, Telling::Told);
        return;
    }
    let seeds = number("TOWPATH_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let some = || {
        let (mut failed, mut promotions) = (Vec::new(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (failed, promotions);
            }
            match catch_unwind(AssertUnwindSafe(|| live(seed, Telling::Silent))) {
                Ok(count) => promotions += count,
                Err(_) => failed.push(seed),
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let lived: Vec<(Vec<u64>, usize)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(some)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    });
    let failed: BTreeSet<u64> = lived
        .iter()
        .flat_map(|(failed, _)| failed.clone())
        .collect();
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
    // A town in which nothing happens proves nothing.
    let promotions: usize = lived.iter().map(|(_, promotions)| promotions).sum();
    assert!(promotions > 0, "nothing was promoted");
}

/// Whether each step of a life is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Told,
    Silent,
}

/// Lives through the days of one seed; gives how many promotions there were.
fn live(seed: u64, telling: Telling) -> usize {
    let mut town = Town::new(seed, telling);
    let noise = match seed % WEEKS_EVERY {
        0 => WEEKS,
        _ => NOISE,
    };
    let noisy_until = town.now + noise;
    while town.now < noisy_until {
        town.let_something_happen();
        round(&mut town);
        let nap = SignedDuration::from_secs(1) + town.dice.duration(NAP_MAX);
        sleep(&mut town, nap, noisy_until);
    }
    town.calm_down();
    let quiet_until = town.now + QUIET;
    while town.now < quiet_until {
        round(&mut town);
        town.merge_all();
        sleep(&mut town, QUIET_NAP_MAX, quiet_until);
    }
    town.assert_all_have_the_newest();
    town.record.promotions
}

/// One round of the daemon, as far as nothing ends it early.
fn round(town: &mut Town) {
    town.observe();
    let plan = decide(town);
    for decided in &plan.decisions {
        if let Decision::Hold(reason) = &decided.decision {
            assert!(!reason.to_string().is_empty(), "{decided:?}");
            town.tell(|| format!("  {}: {reason}", decided.environment));
        }
    }
    assert!(plan.breaches.is_empty(), "{:?}", plan.breaches);
    town.apply(plan);
}

/// The plan, once all its questions are answered.
fn decide(town: &mut Town) -> Plan {
    for _ in 0..ASKS_MAX {
        let plan = plan(&town.scope(), town.world(), town.now);
        if plan.questions.is_empty() {
            return plan;
        }
        town.answer(&plan.questions);
    }
    panic!("its questions do not end")
}

/// Sleeps until time or something new wakes the daemon; nothing may change in between by time alone.
fn sleep(town: &mut Town, nap: SignedDuration, end: Timestamp) {
    // What was written is read again at once.
    town.observe();
    let plan_now = decide(town);
    let wake_at = plan_now
        .decisions
        .iter()
        .filter_map(|decided| decided.next)
        .min();
    assert!(
        wake_at.is_none_or(|at| at > town.now),
        "it would wake in the past: {wake_at:?}"
    );
    let next = town.now + nap;
    let next = wake_at.map_or(next, |at| at.min(next)).min(end);
    // The last moment before it wakes, or one anywhere.
    let span = next.duration_since(town.now);
    let at = match town.dice.happens(50) {
        true => next - SignedDuration::from_nanos(1),
        false => town.now + town.dice.duration(span),
    };
    if at > town.now && at < next {
        let then = plan(&town.scope(), town.world(), at);
        assert_eq!(
            said(&plan_now.decisions),
            said(&then.decisions),
            "time alone changed it by {at}, and it slept until {next}"
        );
    }
    town.now = next;
}

/// Decisions as people read them.
fn said(decisions: &[Decided]) -> BTreeSet<String> {
    let line = |decided: &Decided| {
        let said = match &decided.decision {
            Decision::Promote(promote) => promote.to_string(),
            Decision::Hold(reason) => reason.to_string(),
        };
        format!("{}: {said}", decided.environment)
    };
    decisions.iter().map(line).collect()
}
