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

use jiff::{SignedDuration, Timestamp};

use super::{Decided, Decision, Plan, plan};
use crate::world::World;
use town::{Town, Way};

/// How many seeds are run: about half a minute of one core in a build for tests, at a second for each way of delivery.
const SEEDS: u64 = 16;

/// How long people, registries and machines do what they like, and how long it is quiet then.
const NOISE: SignedDuration = SignedDuration::from_hours(7 * 24);
const QUIET: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The longest that the daemon sleeps: until the next listing, if nothing else wakes it.
const LISTING_INTERVAL_MAX: SignedDuration = SignedDuration::from_mins(240);

/// Rounds of questions before a plan must be complete.
const ASKS_MAX: usize = 20;

#[test]
fn weeks_of_noise_break_no_promise_and_quiet_brings_the_newest_everywhere() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds: Vec<u64> = match number("TOWPATH_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TOWPATH_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let is_told = seeds.len() == 1;
    let mut failed = Vec::new();
    let mut promotions = 0;
    for seed in seeds {
        for way in [Way::Commit, Way::PullRequest] {
            let lived = catch_unwind(AssertUnwindSafe(|| live(seed, way, is_told)));
            match lived {
                Ok(count) => promotions += count,
                Err(_) => failed.push((seed, way)),
            }
        }
    }
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
    // A town in which nothing happens proves nothing.
    assert!(promotions > 0, "nothing was promoted");
}

/// Lives through the weeks of one seed; gives how many promotions there were.
fn live(seed: u64, way: Way, is_told: bool) -> usize {
    let mut town = Town::new(seed, way);
    town.is_told = is_told;
    let noisy_until = town.now + NOISE;
    while town.now < noisy_until {
        town.let_something_happen();
        round(&mut town);
        sleep(&mut town, noisy_until);
    }
    town.calm_down();
    let quiet_until = town.now + QUIET;
    while town.now < quiet_until {
        round(&mut town);
        town.merge_all();
        sleep(&mut town, quiet_until);
    }
    town.assert_all_have_the_newest();
    town.record.promotions
}

/// One round of the daemon, as far as nothing ends it early.
fn round(town: &mut Town) {
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
        let world = town.world();
        let scope = town.scope();
        let plan = plan(&scope, &world, town.now);
        if plan.questions.is_empty() {
            return plan;
        }
        town.answer(&plan.questions);
    }
    panic!("its questions do not end")
}

/// Sleeps until time or something new wakes the daemon; nothing may change in between by time alone.
fn sleep(town: &mut Town, end: Timestamp) {
    // What was written is read again at once.
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
    // Nothing is told apart that happens within one second.
    let nap = SignedDuration::from_secs(1) + town.dice.duration(LISTING_INTERVAL_MAX);
    let next = town.now + nap;
    let next = wake_at.map_or(next, |at| at.min(next)).min(end);
    let world: World = town.world();
    let before = said(&plan_now.decisions);
    // The last second before it wakes, and one anywhere.
    let span = next.duration_since(town.now);
    let last = next - SignedDuration::from_nanos(1);
    for at in [last, town.now + town.dice.duration(span)] {
        if at > town.now && at < next {
            let then = said(&plan(&town.scope(), &world, at).decisions);
            assert_eq!(
                before, then,
                "time alone changed it by {at}, and it slept until {next}"
            );
        }
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
