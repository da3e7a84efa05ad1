//! What people do, and what breaks: at random, by the dice of the seed.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::record::Stopped;
use super::registry::Registry;
use super::shape::{Place, Tags};
use super::text::{self, Build, HOTFIX};
use super::town::Town;
use crate::ledger::{Act, HoldEvent, Target};

/// How far a clock is put forward or back, and how long a stop lasts at most.
const SKEW_MAX: SignedDuration = SignedDuration::from_hours(5);
const STOP_MAX: SignedDuration = SignedDuration::from_hours(20);

impl Town {
    /// Nothing, or one thing.
    pub(super) fn let_something_happen(&mut self) {
        match self.dice.below(100) {
            0..30 => self.push(),
            30..36 => self.release(),
            36..41 => self.break_or_mend(),
            41..45 => self.restart(),
            45..48 => self.revert(),
            48..53 => self.commit_by_hand(),
            53..55 => self.pin(),
            55..57 => self.reject(),
            57..59 => self.stop(),
            59..67 => self.resume(),
            67..70 => self.delete_old_tags(),
            70..84 => self.look_at_a_pull_request(),
            84..88 => self.put_the_clock(),
            _ => {}
        }
    }

    /// Ends all that keeps versions back, and pushes what is to stand everywhere in the end.
    pub(super) fn calm_down(&mut self) {
        self.tell(|| "all is quiet".to_owned());
        self.is_calm = true;
        self.is_forge_up = true;
        self.branch.is_up = true;
        self.argo.is_up = self.shape.has_argo;
        self.skew = SignedDuration::ZERO;
        for registry in self.registries.values_mut() {
            registry.is_up = true;
            registry.is_silent = false;
            registry.hidden.clear();
            let build = registry.push(self.now, true);
            registry.release(build, self.now);
        }
        for policy in 0..self.shape.policies.len() {
            if self.shape.is_together {
                self.complete_releases(policy);
            }
            for stop in 0..self.shape.stops.len() {
                self.resume_in(policy, stop);
            }
        }
    }

    /// A person merges what waits. Gives whether there was something.
    pub(super) fn merge_all(&mut self) -> bool {
        let branches = self.open_branches();
        branches.iter().for_each(|branch| self.merge(branch));
        !branches.is_empty()
    }

    /// Whether a person commits between what the daemon read and what it would push, which is refused then.
    pub(super) fn is_overtaken(&mut self) -> bool {
        let is_overtaken = !self.is_calm && self.dice.happens(4);
        if is_overtaken {
            self.commit_by_hand();
        }
        is_overtaken
    }

    fn some_place(&mut self) -> Place {
        let places: Vec<Place> = self.shape.places().collect();
        self.dice.one_of(&places)
    }

    /// One of the builds that are there and that have a tag of `place`. Digests are ordered by where they ran alone, so of those
    /// it is one that came here.
    fn some_version(&mut self, place: Place) -> Option<Build> {
        let stop = &self.shape.stops[place.stop];
        let is_release = stop.release.is_some();
        let is_followed = !is_release && self.shape.tags == Tags::Followed;
        let came = &self.record.ran[&place].came;
        let registry = &self.registries[&(place.policy, place.image)];
        let builds = registry.builds.iter().filter(|(build, built)| {
            (built.released.is_some() || !is_release) && (came.contains(build) || !is_followed)
        });
        let builds: Vec<Build> = builds.map(|(build, _)| *build).collect();
        (!builds.is_empty()).then(|| self.dice.one_of(&builds))
    }

    pub(super) fn is_there(&self, place: Place, build: Build) -> bool {
        let registry = &self.registries[&(place.policy, place.image)];
        registry.builds.contains_key(&build)
    }

    /// A new build of the image of `place`.
    pub(super) fn push_to(&mut self, place: Place) -> Build {
        let registry = self.registries.get_mut(&(place.policy, place.image));
        registry.unwrap().push(self.now, true)
    }

    /// The registries keep no older builds.
    pub(super) fn delete_pushed_before(&mut self, oldest: Timestamp) {
        for registry in self.registries.values_mut() {
            registry.builds.retain(|_, built| built.pushed >= oldest);
        }
    }

    fn push(&mut self) {
        let Place { policy, image, .. } = self.some_place();
        let has_arm = self.dice.happens(80);
        let registry = self.registries.get_mut(&(policy, image)).unwrap();
        let build = registry.push(self.now, has_arm);
        registry.builds.get_mut(&build).unwrap().is_bad = self.dice.happens(15);
        self.tell(|| format!("build {build} of {policy}/{image} is pushed"));
        // The other images of a release come with it as a rule.
        if self.shape.is_together && self.dice.happens(70) {
            self.complete_releases(policy);
        }
    }

    /// All images of a policy have the build that one has.
    fn complete_releases(&mut self, policy: usize) {
        let of_policy = |(key, _): &(&(usize, usize), &mut Registry)| key.0 == policy;
        let newest = self.registries.iter();
        let newest = newest.filter(|(key, _)| key.0 == policy);
        let newest = newest.map(|(_, registry)| registry.newest()).max();
        for (_, registry) in self.registries.iter_mut().filter(of_policy) {
            while Some(registry.newest()) < newest {
                let build = registry.push(self.now, true);
                registry.release(build, self.now);
            }
        }
    }

    fn release(&mut self) {
        let place = self.some_place();
        let key = (place.policy, place.image);
        let builds: Vec<Build> = self.registries[&key].builds.keys().copied().collect();
        let build = self.dice.one_of(&builds);
        let registry = self.registries.get_mut(&key);
        registry.unwrap().release(build, self.now);
        self.tell(|| format!("build {build} of {place:?} is released"));
    }

    fn break_or_mend(&mut self) {
        let Place { policy, image, .. } = self.some_place();
        let registry = self.registries.get_mut(&(policy, image)).unwrap();
        let told = match self.dice.below(11) {
            10 => {
                self.argo.is_up = self.shape.has_argo && !self.argo.is_up;
                format!("Argo CD is up: {}", self.argo.is_up)
            }
            0..3 => {
                registry.is_up = !registry.is_up;
                format!("the registry is up: {}", registry.is_up)
            }
            3 => {
                registry.is_silent = !registry.is_silent;
                format!("it tells no times: {}", registry.is_silent)
            }
            4..7 => {
                let percent = self.dice.one_of(&[0, 20, 70]);
                let builds = registry.builds.keys().copied();
                registry.hidden = builds.filter(|_| self.dice.happens(percent)).collect();
                format!("its listing lacks {:?}", registry.hidden)
            }
            7 => {
                self.branch.is_up = !self.branch.is_up;
                format!("git is up: {}", self.branch.is_up)
            }
            8 => {
                self.is_forge_up = !self.is_forge_up;
                format!("the forge is up: {}", self.is_forge_up)
            }
            _ => {
                self.branch.set_holds(None);
                self.branch.commit("ada", "oops", self.now);
                "a person breaks the holds".to_owned()
            }
        };
        self.tell(|| told);
    }

    fn restart(&mut self) {
        let is_cache_lost = self.dice.happens(30);
        self.tell(|| format!("the daemon starts anew, without its cache: {is_cache_lost}"));
        self.argo.forget();
        for registry in self.registries.values_mut() {
            match is_cache_lost {
                true => registry.forget_all(),
                false => registry.forget(),
            }
        }
    }

    fn put_the_clock(&mut self) {
        if !self.does_clock_jump {
            return;
        }
        self.skew = match self.dice.below(3) {
            0 => SignedDuration::ZERO,
            1 => self.dice.duration(SKEW_MAX),
            _ => -self.dice.duration(SKEW_MAX),
        };
        self.record.skew_max = SKEW_MAX;
        self.tell(|| format!("the daemon's clock is off by {:#}", self.skew));
    }

    /// Deletes builds that are older than all that stand somewhere.
    fn delete_old_tags(&mut self) {
        for ((policy, image), registry) in &mut self.registries {
            let here = |place: &Place| (place.policy, place.image) == (*policy, *image);
            let ran = self.record.ran.iter().filter(|(place, _)| here(place));
            let needed = ran.map(|(_, ran)| ran.current).min();
            registry.builds.retain(|build, _| Some(*build) >= needed);
        }
    }

    /// Takes the latest promotion of an environment back, by git.
    fn revert(&mut self) {
        let Place { policy, stop, .. } = self.some_place();
        let Some(brought) = self.branch.latest(policy, stop).cloned() else {
            return;
        };
        let mut is_changed = false;
        for (image, before, version) in brought.moved {
            let place = Place {
                policy,
                stop,
                image,
            };
            let here = self.record.of(place);
            if before == here.current || before == 0 || !self.is_there(place, before) {
                continue;
            }
            self.record.of(place).overwrite(before);
            self.tell(|| format!("a person reverts {place:?} to {before}"));
            self.write(place, (before, &version));
            is_changed = true;
        }
        if is_changed {
            let commit = brought.commit;
            let message = format!("Revert \"promote\"\n\nThis reverts commit {commit}.\n");
            self.branch.commit("ada", &message, self.now);
        }
    }

    /// A person commits: something else, something beside a version, or a version.
    pub(super) fn commit_by_hand(&mut self) {
        let place = self.some_place();
        let file = self.shape.file(place.policy, place.stop);
        match self.dice.below(8) {
            0 => self.branch.set("README.md", &format!("{}\n", self.now)),
            1 | 2 => {
                let replicas = self.dice.below(9);
                let text = self.branch.text(&file);
                let lines = text
                    .lines()
                    .map(|line| match line.starts_with("replicas:") {
                        true => format!("replicas: {replicas}\n"),
                        false => format!("{line}\n"),
                    });
                let text: String = lines.collect();
                self.branch.set(&file, &text);
            }
            3 => self.write_hotfix(place),
            _ => self.write_some_build(place),
        }
        self.branch.commit("ada", "by hand", self.now);
    }

    fn write_hotfix(&mut self, place: Place) {
        let is_known_by_digest = self.shape.stops[place.stop].writes_digest;
        if self.record.of(place).came.is_empty() || is_known_by_digest {
            return;
        }
        let here = self.record.of(place);
        here.overwrite(0);
        here.is_hotfixed = true;
        self.tell(|| format!("a person writes a hotfix in {place:?}"));
        self.write(place, (0, HOTFIX));
    }

    fn write_some_build(&mut self, place: Place) {
        let Some(build) = self.some_version(place) else {
            return;
        };
        let here = self.record.of(place);
        if build == here.current {
            return;
        }
        here.overwrite(build);
        self.tell(|| format!("a person writes {build} in {place:?}"));
        let version = text::version(&self.shape, &self.shape.stops[place.stop], build);
        self.write(place, (build, &version));
    }

    fn write(&mut self, place: Place, (build, version): (Build, &str)) {
        let file = self.shape.file(place.policy, place.stop);
        let text = text::with_version(&self.branch.text(&file), place.image, version);
        self.branch.set(&file, &text);
        self.record.stands(place, build, self.now);
    }

    fn pin(&mut self) {
        let place = self.some_place();
        let Some(build) = self.some_version(place) else {
            return;
        };
        let here = self.record.of(place);
        if here.pin.is_some() {
            return;
        }
        here.pin = Some(build);
        self.write_holds("pin");
        self.tell(|| format!("a person pins {build} in {place:?}"));
    }

    fn reject(&mut self) {
        let place = self.some_place();
        let Some(build) = self.some_version(place) else {
            return;
        };
        self.record.of(place).rejected.insert(build);
        self.write_holds("reject");
        self.tell(|| format!("a person rejects {build} in {place:?}"));
    }

    fn stop(&mut self) {
        let place = self.some_place();
        let stop = match self.dice.happens(50) {
            true => Stopped::Until(self.now + self.dice.duration(STOP_MAX)),
            false => Stopped::UntilResumed,
        };
        self.record.of(place).stop = Some(stop);
        self.write_holds("stop");
        self.tell(|| format!("a person stops {place:?}: {stop:?}"));
    }

    fn resume(&mut self) {
        let Place { policy, stop, .. } = self.some_place();
        self.resume_in(policy, stop);
    }

    fn resume_in(&mut self, policy: usize, stop: usize) {
        let text = self.branch.text(&self.shape.file(policy, stop));
        let mut stands = Vec::new();
        for (image, version) in text::versions(&text).into_iter().enumerate() {
            let place = Place {
                policy,
                stop,
                image,
            };
            self.record.of(place).resume();
            let image = self.shape.images[image].parse().unwrap();
            stands.push((image, version.to_owned()));
        }
        let event = HoldEvent {
            target: Target {
                policy: Some(self.shape.policies[policy].parse().unwrap()),
                environment: Some(self.shape.stops[stop].name.parse().unwrap()),
                image: None,
            },
            act: Act::Resume {
                stands: Some(stands),
            },
            reason: None,
            until: None,
        };
        self.write_holds(&format!("resume\n\n{}", event.trailers()));
        self.tell(|| format!("a person resumes {policy} in {stop}"));
    }

    /// Writes the file with the holds as the record has them.
    fn write_holds(&mut self, message: &str) {
        let mut text = String::new();
        for (place, ran) in &self.record.ran {
            let stop = &self.shape.stops[place.stop];
            let (policy, image) = (
                self.shape.policies[place.policy],
                self.shape.images[place.image],
            );
            let mut line = |what: String| {
                let environment = stop.name;
                writeln!(text, "  - {{ policy: {policy}, environment: {environment}, image: {image}, {what}, reason: so }}").unwrap();
            };
            // Where a tag is followed, its digests are the versions.
            let version = |build| match text::tag(&self.shape, stop, build).as_str() {
                "latest" => text::digest(build, None).to_string(),
                tag => tag.to_owned(),
            };
            ran.pin
                .into_iter()
                .for_each(|build| line(format!("pin: \"{}\"", version(build))));
            for build in &ran.rejected {
                line(format!("reject: [\"{}\"]", version(*build)));
            }
            match ran.stop {
                None => {}
                Some(Stopped::UntilResumed) => line("stop: true".to_owned()),
                Some(Stopped::Until(until)) => line(format!("stop: true, until: {until}")),
            }
        }
        let text = match text.is_empty() {
            true => "holds: []\n".to_owned(),
            false => format!("holds:\n{text}"),
        };
        self.branch.set_holds(Some(&text));
        self.branch.commit("ada", message, self.now);
    }

    fn look_at_a_pull_request(&mut self) {
        let branches = self.open_branches();
        if branches.is_empty() || !self.is_forge_up {
            return;
        }
        let branch = &branches[self.dice.below(branches.len())];
        match self.dice.below(10) {
            0..7 => self.merge(branch),
            7..9 => self.close(branch),
            _ => self.delete_branch(branch),
        }
    }
}
