//! Weeks of pushes, faults, decisions of people and restarts, from a seed: what must hold at each step, and that all goes on
//! once the faults end.
//!
//! Nothing here is real but the deciding: registry, git, forge, Argo CD, people and clock are in `town`. A seed that fails is printed;
//! `TOWPATH_SEED=7 cargo test --lib simulation` runs that one alone and tells each step. `TOWPATH_SEEDS` says how many are run.

mod argo;
mod branch;
mod calendar;
mod dice;
mod forge;
mod people;
mod record;
mod registry;
mod shape;
mod text;
mod town;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use jiff::SignedDuration;

use super::{Decided, Decision, Plan, plan, plan_again};
use dice::Dice;
use shape::{Place, Shape};
use town::{Applied, Town};

/// How many seeds are run, each of which lives once: at 0.12 s of one core in a build for tests, two minutes of two.
const SEEDS: u64 = 2_000;

/// How long people, registries and machines do what they like, about as much as in two weeks; of so many seeds, one lives through
/// two weeks of it.
const NOISE: SignedDuration = SignedDuration::from_hours(18);
const WEEKS: SignedDuration = SignedDuration::from_hours(14 * 24);
const WEEKS_EVERY: u64 = 200;

/// How long it is quiet then at most: from weekend to weekend for each environment in a row, and the longest soak before it.
const QUIET: SignedDuration = SignedDuration::from_hours(4 * 8 * 24);

/// The longest that the daemon sleeps: until the next listing, if nothing else wakes it. Where it is quiet it sleeps longer, so
/// that it goes on by the moments that it computed; a listing counts for a day.
const NAP_MAX: SignedDuration = SignedDuration::from_mins(100);
const QUIET_NAP_MAX: SignedDuration = SignedDuration::from_hours(23);

/// A fast team: five builds each quarter of an hour, as often as its registry is listed.
const FAST_BUILDS: usize = 5;
const FAST_LISTED: SignedDuration = SignedDuration::from_mins(15);
const FAST_ROUNDS: usize = 7 * 24 * 4;
const FAST_SOAK: SignedDuration = SignedDuration::from_hours(24);

/// Of so many plans in a hundred, one that remembers nothing is made beside.
const COMPARED_PERCENT: usize = 10;

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
        if town.dice.happens(50) {
            // Nobody can tell apart what a forge and git tell of one second.
            town.now += SignedDuration::from_secs(1);
            town.let_something_happen();
        }
        let decided = round(&mut town);
        let nap = SignedDuration::from_secs(1) + town.dice.duration(NAP_MAX);
        sleep(&mut town, decided, nap);
    }
    town.calm_down();
    live_quietly(&mut town);
    town.promotions()
}

/// Until everything has the newest build: the daemon wakes when it said that it would, and people merge.
fn live_quietly(town: &mut Town) {
    let until = town.now + QUIET;
    while !town.behind().is_empty() {
        assert!(town.now < until, "{:?} stay behind", town.behind());
        let decided = round(town);
        let is_merged = town.merge_all();
        sleep(town, decided.filter(|_| !is_merged), QUIET_NAP_MAX);
    }
}

/// One round of the daemon, as far as nothing ends it early. Gives what was decided where that left everything as it was.
fn round(town: &mut Town) -> Option<Vec<Decided>> {
    town.observe();
    let plan = decide(town);
    let places: Vec<_> = town.shape.places().collect();
    assert_eq!(plan.decisions.len(), places.len(), "one decision for each");
    for decided in &plan.decisions {
        if let Decision::Hold(reason) = &decided.decision {
            assert!(!reason.to_string().is_empty(), "{decided:?}");
            town.tell(|| format!("  {} {}: {reason}", decided.environment, decided.image));
        }
    }
    assert!(plan.breaches.is_empty(), "{:?}", plan.breaches);
    let is_idle = plan.changes.is_empty() && plan.proposals.is_empty();
    let decisions = plan.decisions.clone();
    let applied = town.apply(plan);
    (is_idle && applied == Applied::AsPlanned).then_some(decisions)
}

/// The plan, once all its questions are answered.
fn decide(town: &mut Town) -> Plan {
    for _ in 0..ASKS_MAX {
        let mut remembered = mem::take(&mut town.remembered);
        let made = plan_again(&town.scope(), town.world(), town.clock(), &mut remembered);
        town.remembered = remembered;
        // What plans before remember makes no difference.
        if town.dice.happens(COMPARED_PERCENT) {
            let anew = plan(&town.scope(), town.world(), town.clock());
            assert_eq!(made.decisions, anew.decisions);
            assert_eq!(made.changes, anew.changes);
            assert_eq!(made.questions, anew.questions);
        }
        if made.questions.is_empty() {
            return made;
        }
        town.answer(&made.questions);
    }
    panic!("its questions do not end")
}

/// Sleeps until time or something new wakes the daemon, which was `decided` unless something was written since; nothing may
/// change in between by time alone.
fn sleep(town: &mut Town, decided: Option<Vec<Decided>>, nap: SignedDuration) {
    let decided = decided.unwrap_or_else(|| {
        town.observe_repository();
        decide(town).decisions
    });
    let clock = town.clock();
    let wake_at = decided.iter().filter_map(|decided| decided.next).min();
    assert!(
        wake_at.is_none_or(|at| at > clock),
        "it would wake in the past: {wake_at:?}"
    );
    let nap = wake_at.map_or(nap, |at| nap.min(at.duration_since(clock)));
    // The last moment before it wakes, or one anywhere.
    let after = match town.dice.below(4) {
        0 => nap - SignedDuration::from_nanos(1),
        1 => town.dice.duration(nap),
        _ => SignedDuration::ZERO,
    };
    if after.is_positive() && after < nap {
        let then = plan(&town.scope(), town.world(), clock + after);
        assert_eq!(
            said(&decided),
            said(&then.decisions),
            "time alone changed it after {after:#}, and it slept for {nap:#}"
        );
    }
    town.now += nap;
}

/// Twenty builds an hour for a week, a day of soak, and a registry that keeps them for a little longer than that.
#[test]
fn production_of_a_fast_team_always_has_its_newest_soaked_version_and_nothing_queues() {
    let start = "2026-03-23T08:00:00Z".parse().unwrap();
    let mut town = Town::of(Shape::fast(), (Dice(0), start), Telling::Silent);
    town.is_calm = true;
    let (dev, production) = (Place::of(0), Place::of(1));
    let mut ran = BTreeMap::new();
    for _ in 0..FAST_ROUNDS {
        let build = (0..FAST_BUILDS).map(|_| town.push_to(dev)).last().unwrap();
        town.delete_pushed_before(town.now - FAST_SOAK - FAST_LISTED);
        // What is new comes to dev, and what has soaked to production, by one commit each.
        let commits = town.branch.brought.len();
        assert!(round(&mut town).is_none(), "{build} moves nothing");
        assert!(town.branch.brought.len() <= commits + 2);
        assert_eq!(town.record.ran[&dev].current, build);
        ran.insert(town.now, build);
        let soaked = ran.range(..=town.now - FAST_SOAK).next_back();
        let newest = soaked.map_or(1, |(_, build)| *build);
        assert_eq!(town.record.ran[&production].current, newest);
        town.now += FAST_LISTED;
    }
    assert_eq!(town.promotions(), FAST_ROUNDS + FAST_ROUNDS * 6 / 7);
}

/// Decisions as people read them.
fn said(decisions: &[Decided]) -> BTreeSet<String> {
    let line = |decided: &Decided| {
        let said = match &decided.decision {
            Decision::Promote(promote) => promote.to_string(),
            Decision::Hold(reason) => reason.to_string(),
        };
        format!(
            "{} {} {}: {said}",
            decided.policy, decided.environment, decided.image
        )
    };
    decisions.iter().map(line).collect()
}
