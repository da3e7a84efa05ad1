//! What is true of the town, kept from the contents of files alone: trailers, ledgers and plans are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::argo::{Deployed, Target};
use super::shape::{Place, Shape};
use super::text::Build;
use crate::world::HealthStatus;

/// How long a version must have been healthy, where nothing is said of it.
const SETTLE: SignedDuration = SignedDuration::from_secs(10);

/// What one image of one environment ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// Builds that came and were not taken back, with the time that their commit tells.
    pub(super) since: BTreeMap<Build, Timestamp>,
    pub(super) current: Build,
    /// Builds that people took back since the latest promotion: nobody sees it where they bring them back before the next.
    away: BTreeMap<Build, Timestamp>,
    /// The newest build that a person took away, until he resumes.
    pub(super) undone: Option<Build>,
    /// Builds that people rejected here, in the file with the holds and by closing a pull request.
    pub(super) rejected: BTreeSet<Build>,
    pub(super) closed: BTreeSet<Build>,
    pub(super) pin: Option<Build>,
    pub(super) stop: Option<Stopped>,
    /// A person wrote what no rule can order over a promotion, and did not resume.
    pub(super) is_hotfixed: bool,
    /// The build that was promoted last, and all that ever were.
    promoted: Option<Build>,
    /// What that replaced and when it came, unless it took a degraded one back.
    replaced: Option<(Build, Timestamp)>,
    /// What was taken back since it was degraded.
    rolled_back: BTreeSet<Build>,
    /// Since when what ran here was healthy with each build, if it was not degraded with it since.
    healthy: BTreeMap<Build, Timestamp>,
    pub(super) came: BTreeSet<Build>,
    pub(super) promotions: usize,
}

/// How long a person stopped an environment for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Until(Timestamp),
    UntilResumed,
}

/// What all environments ran.
#[derive(Clone, Debug)]
pub(super) struct Record {
    shape: Shape,
    pub(super) ran: BTreeMap<Place, Ran>,
    /// Since when each environment is degraded, where one is.
    degraded: BTreeMap<Target, Timestamp>,
    /// How far the daemon's clock was off at most.
    pub(super) skew_max: SignedDuration,
}

/// When a promotion is judged, by the daemon's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    /// When the build was pushed.
    pub(super) pushed: Timestamp,
    pub(super) has_arm: bool,
}

impl Ran {
    pub(super) fn is_stopped(&self, now: Timestamp) -> bool {
        match self.stop {
            None => false,
            Some(Stopped::Until(until)) => now < until,
            Some(Stopped::UntilResumed) => true,
        }
    }

    /// That a person resumes here.
    pub(super) fn resume(&mut self) {
        self.undone = None;
        self.pin = None;
        self.rejected.clear();
        self.closed.clear();
        self.rolled_back.clear();
        self.stop = None;
        self.is_hotfixed = false;
    }

    /// That a person writes `build`: he takes away what was promoted last, if that is newer.
    pub(super) fn overwrite(&mut self, build: Build) {
        let newer = self.promoted.filter(|promoted| *promoted > build);
        self.undone = self.undone.max(newer);
        self.is_hotfixed &= build == 0;
    }
}

impl Record {
    pub(super) fn new(shape: &Shape) -> Self {
        let ran = shape.places().map(|place| (place, Ran::default()));
        Self {
            shape: shape.clone(),
            ran: ran.collect(),
            degraded: BTreeMap::new(),
            skew_max: SignedDuration::ZERO,
        }
    }

    pub(super) fn of(&mut self, place: Place) -> &mut Ran {
        self.ran.get_mut(&place).unwrap()
    }

    /// That the program writes `build`, by a commit or to a proposal of its own.
    pub(super) fn assert_may_come(&self, place: Place, build: Build, moment: Moment) {
        let here = &self.ran[&place];
        let current = here.current;
        assert_ne!(current, build, "{place:?} was written and has it already");
        assert!(!here.is_stopped(moment.now), "{place:?} is stopped");
        if let Some(pin) = here.pin {
            assert_eq!(pin, build, "{place:?} is pinned");
            return;
        }
        assert!(!here.is_hotfixed, "{build} came to {place:?} over a hotfix");
        assert!(
            build > current,
            "{place:?} went down from {current} to {build}"
        );
        let undone = here.undone;
        assert!(
            undone.is_none_or(|undone| build > undone),
            "{build} came to {place:?} though {undone:?} was undone there"
        );
        let by_people = here.rejected.contains(&build) || here.closed.contains(&build);
        let is_rejected = by_people || here.rolled_back.contains(&build);
        assert!(!is_rejected, "{build} is rejected in {place:?}");
        self.assert_ripe(place, build, moment);
    }

    /// That `build` is what it must be, and ran before as long as it must.
    fn assert_ripe(&self, place: Place, build: Build, moment: Moment) {
        let stop = &self.shape.stops[place.stop];
        for before in &stop.after {
            let before = Place {
                stop: *before,
                ..place
            };
            let ran = &self.ran[&before];
            let Some(mut since) = ran.since.get(&build) else {
                panic!("{build} came to {place:?} and did not run in {before:?}")
            };
            if self.shape.has_argo {
                let target = (before.policy, before.stop);
                assert!(
                    !self.degraded.contains_key(&target),
                    "{build} came to {place:?} while {before:?} is degraded"
                );
                since = ran.healthy.get(&build).unwrap_or_else(|| {
                    panic!("{build} came to {place:?} and was not healthy in {before:?}")
                });
                let settled = moment.now.duration_since(*since);
                assert!(
                    settled >= SETTLE,
                    "{build} came to {place:?} after {settled:#}"
                );
            }
            let soaked = moment.now.duration_since(*since);
            assert!(
                soaked >= stop.soak || stop.soak.is_zero(),
                "{build} came to {place:?} after {soaked:#} in {before:?}"
            );
        }
        // When it was first seen is told by the same clock.
        let age = moment.now.duration_since(moment.pushed) + self.skew_max * 2;
        assert!(age >= stop.min_age, "{build} came to {place:?} at {age:#}");
        assert!(
            moment.has_arm || !stop.needs_arm,
            "{build} came to {place:?} and lacks its platform"
        );
    }

    /// That the moment is one at which promotions may come to the environment by a commit.
    pub(super) fn assert_open(&self, place: Place, now: Timestamp) {
        let stop = &self.shape.stops[place.stop];
        if self.ran[&place].pin.is_some() {
            return;
        }
        let openings = &stop.openings;
        let is_open = openings.is_empty() || openings.iter().any(|opening| opening.is_open(now));
        assert!(
            is_open,
            "something came to {place:?} while its window is closed"
        );
        let is_frozen = stop.frost.is_some_and(|frost| frost.is_frozen(now));
        assert!(!is_frozen, "something came to {place:?} while it is frozen");
    }

    /// How Argo CD has an environment now.
    pub(super) fn deployed(&mut self, target: Target, deployed: &Deployed) {
        let (policy, stop) = target;
        match deployed.health {
            HealthStatus::Degraded => self.degraded.insert(target, deployed.since),
            _ => self.degraded.remove(&target),
        };
        for (image, build) in deployed.builds.iter().enumerate() {
            let here = self.of(Place {
                policy,
                stop,
                image,
            });
            match deployed.health {
                HealthStatus::Degraded => here.healthy.remove(build),
                HealthStatus::Healthy => {
                    Some(*here.healthy.entry(*build).or_insert(deployed.since))
                }
                _ => None,
            };
        }
    }

    /// Whether `build` is no promotion, but takes one back.
    pub(super) fn is_rollback(&self, place: Place, build: Build) -> bool {
        let here = &self.ran[&place];
        here.pin.is_none() && build < here.current && self.shape.stops[place.stop].grace.is_some()
    }

    /// That a degraded promotion is taken back by `build`: the one before, once, after the grace.
    pub(super) fn assert_may_roll_back(&self, place: Place, build: Build, now: Timestamp) {
        let here = &self.ran[&place];
        assert!(!here.is_stopped(now), "{place:?} is stopped");
        assert_eq!(
            here.promoted,
            Some(here.current),
            "a person wrote {place:?}"
        );
        let Some((before, came)) = here.replaced else {
            panic!("{place:?} was taken back before")
        };
        assert_eq!(build, before, "another came back to {place:?}");
        let is_rejected = here.rejected.contains(&build) || here.closed.contains(&build);
        assert!(!is_rejected, "{build} is rejected in {place:?}");
        let Some(since) = self.degraded.get(&(place.policy, place.stop)) else {
            panic!("{place:?} is not degraded")
        };
        // The cluster's clock may differ from the daemon's by as much.
        let came = came - SignedDuration::from_secs(30);
        assert!(*since >= came, "{place:?} was degraded before");
        let grace = self.shape.stops[place.stop].grace.unwrap();
        assert!(now.duration_since(*since) >= grace, "{place:?} has time");
    }

    /// That what stands there is taken back.
    pub(super) fn rolled_back(&mut self, place: Place) {
        let here = self.of(place);
        here.rolled_back.insert(here.current);
    }

    /// That a promotion of `build` stands there now.
    pub(super) fn promoted(&mut self, place: Place, build: Build, at: Timestamp) {
        let before = self.ran[&place].current;
        self.stands(place, build, at);
        let here = self.of(place);
        here.replaced = (build > before).then_some((before, at));
        // A promotion tells what stood there before it.
        here.away.clear();
        here.promoted = Some(build);
        here.came.insert(build);
        here.promotions += 1;
    }

    /// That `build` stands there now, whoever wrote it.
    pub(super) fn stands(&mut self, place: Place, build: Build, at: Timestamp) {
        let here = self.of(place);
        let newer = here.since.split_off(&(build + 1));
        here.away.extend(newer);
        let back = here.away.range(..=build).map(|(build, at)| (*build, *at));
        let back: Vec<_> = back.collect();
        here.since.extend(back);
        here.since.entry(build).or_insert(at);
        here.current = build;
    }
}
