//! A town with some applications: their registries, their manifests repository, its forge and a clock, all in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Telling;
use super::argo::{Argo, Target, Written};
use super::branch::{Branch, Brought};
use super::dice::Dice;
use super::record::{Moment, Record};
use super::registry::Registry;
use super::shape::{Place, Shape, URL, Way, start};
use super::text::{self, Build};
use crate::plan::{Dialect, HidesBy, Origins, Plan, PlannedCommit, Remembered, Scope};
use crate::policy::{Policy, RepositoryName, SubjectTemplate};
use crate::world::{BranchName, Fact, Proposal, PullRequests, Question, RepositoryAddress, World};

pub(super) const COMMITTER: &str = "towpath <towpath@localhost>";

/// How a plan was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    AsPlanned,
    /// In part, or something else was written first.
    Otherwise,
}

/// All that there is.
pub(super) struct Town {
    pub(super) dice: Dice,
    pub(super) shape: Shape,
    /// The true time, and how far the daemon's clock is off.
    pub(super) now: Timestamp,
    pub(super) skew: SignedDuration,
    /// Whether the daemon's clock is put forward and back.
    pub(super) does_clock_jump: bool,
    pub(super) record: Record,
    pub(super) is_calm: bool,
    /// By policy and image.
    pub(super) registries: BTreeMap<(usize, usize), Registry>,
    pub(super) branch: Branch,
    pub(super) argo: Argo,
    pub(super) is_forge_up: bool,
    pub(super) proposals: BTreeMap<String, Arc<Proposal>>,
    pub(super) requests: PullRequests,
    /// What the body of each pull request says that it brings.
    pub(super) told: BTreeMap<u64, Vec<(Place, Build)>>,
    pub(super) numbers: u64,
    telling: Telling,
    policies: Vec<Policy>,
    branches: BTreeMap<RepositoryName, String>,
    forges: BTreeMap<RepositoryName, Dialect>,
    subject: SubjectTemplate,
    origins: Origins,
    addresses: BTreeMap<RepositoryName, RepositoryAddress>,
    world: World,
    /// Of the plans before.
    pub(super) remembered: Remembered,
}

impl Town {
    /// As the dice of `seed` have it.
    pub(super) fn new(seed: u64, telling: Telling) -> Self {
        let mut dice = Dice(seed);
        let start = start(&mut dice);
        let shape = Shape::drawn(&mut dice, start);
        // Argo CD tells times of a clock of its own.
        let does_clock_jump = !shape.has_argo && dice.happens(20);
        let town = Self::of(shape, (dice, start), telling);
        Self {
            does_clock_jump,
            ..town
        }
    }

    /// Of this shape.
    pub(super) fn of(shape: Shape, (dice, start): (Dice, Timestamp), telling: Telling) -> Self {
        let registries = shape.places().map(|Place { policy, image, .. }| {
            let registry = Registry::new(shape.repository(policy, image));
            ((policy, image), registry)
        });
        let branches = Shape::branches();
        let forge = |name: &RepositoryName| (name.clone(), dialect());
        let mut town = Self {
            dice,
            now: start,
            skew: SignedDuration::ZERO,
            does_clock_jump: false,
            record: Record::new(&shape),
            is_calm: false,
            registries: registries.collect(),
            branch: Branch::new(),
            argo: Argo::default(),
            is_forge_up: true,
            proposals: BTreeMap::new(),
            requests: PullRequests::new(),
            told: BTreeMap::new(),
            numbers: 0,
            telling,
            policies: shape.read(),
            forges: branches.keys().map(forge).collect(),
            branches,
            subject: SubjectTemplate::default(),
            origins: Origins::default(),
            addresses: [(deploy(), RepositoryAddress::of(URL).unwrap())].into(),
            world: World::default(),
            remembered: Remembered::default(),
            shape,
        };
        town.tell(|| town.shape.written());
        town.begin();
        town
    }

    /// The first build of everything stands everywhere.
    fn begin(&mut self) {
        for registry in self.registries.values_mut() {
            let build = registry.push(self.now, true);
            registry.release(build, self.now);
        }
        for policy in 0..self.shape.policies.len() {
            for stop in 0..self.shape.stops.len() {
                let file = self.shape.file(policy, stop);
                let text = text::manifest(&self.shape, (policy, stop), 1);
                self.branch.set(&file, &text);
            }
        }
        self.branch.commit("ada", "begin", self.now);
        for place in self.shape.places() {
            self.record.stands(place, 1, self.now);
        }
        if self.shape.has_argo {
            self.argo.is_up = true;
            for target in self.targets() {
                let file = self.shape.file(target.0, target.1);
                let written = self.written(target);
                self.argo.add(target, (URL, &file), written, self.now);
            }
        }
    }

    /// Each environment of each policy.
    fn targets(&self) -> impl Iterator<Item = Target> + use<> {
        let (policies, stops) = (self.shape.policies.len(), self.shape.stops.len());
        (0..policies).flat_map(move |policy| (0..stops).map(move |stop| (policy, stop)))
    }

    /// What an Application would sync now.
    fn written(&self, (policy, stop): Target) -> Written {
        let text = self.branch.text(&self.shape.file(policy, stop));
        let versions = text::versions(&text).into_iter().enumerate();
        let images = versions
            .map(|(image, version)| format!("{}:{version}", self.shape.repository(policy, image)));
        Written {
            commit: self.branch.head().unwrap().clone(),
            images: images.collect(),
            builds: text::builds(&text),
        }
    }

    /// Argo CD goes on, where somebody may look.
    fn deploy(&mut self) {
        if !self.argo.is_up {
            return;
        }
        for target in self.targets() {
            let written = self.written(target);
            let is_bad = |image: usize, build: Build| {
                let registry = &self.registries[&(target.0, image)];
                registry
                    .builds
                    .get(&build)
                    .is_some_and(|built| built.is_bad)
            };
            let deployed = self.argo.applications.get_mut(&target).unwrap();
            let before = (deployed.health, deployed.since);
            deployed.go_on(written, (&mut self.dice, self.is_calm), (is_bad, self.now));
            let deployed = self.argo.applications[&target].clone();
            if before != (deployed.health, deployed.since) {
                self.tell(|| {
                    format!(
                        "{target:?} is {:?} with {:?}",
                        deployed.health, deployed.builds
                    )
                });
            }
            self.record.deployed(target, &deployed);
        }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.telling == Telling::Told {
            let told = format!("{} {}\n", self.now, what());
            std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
        }
    }

    /// The time that the daemon's clock shows.
    pub(super) fn clock(&self) -> Timestamp {
        self.now + self.skew
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            policies: &self.policies,
            branches: &self.branches,
            subject: &self.subject,
            forges: &self.forges,
            committer: COMMITTER,
            origins: &self.origins,
            addresses: &self.addresses,
            renders: false,
            is_sealed: false,
        }
    }

    /// What the daemon read last.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The daemon reads everything.
    pub(super) fn observe(&mut self) {
        let clock = self.clock();
        for registry in self.registries.values_mut() {
            let facts = registry.observe(&self.shape, clock);
            let repository = registry.repository.clone();
            self.world.images.insert(repository, facts);
        }
        self.observe_repository();
        if self.shape.has_argo {
            self.deploy();
            let applications = self.argo.observe(self.now);
            let connection = "main".parse().unwrap();
            self.world.applications.insert(connection, applications);
        }
    }

    /// It reads what it can have written.
    pub(super) fn observe_repository(&mut self) {
        let facts = self.branch.observe();
        self.world.branches.insert(named("main"), facts);
        let proposals = self.proposals.iter();
        let proposals =
            proposals.map(|(branch, proposal)| (named(branch), Fact::Known(proposal.clone())));
        self.world.proposals = proposals.collect();
        let requests = match self.is_forge_up {
            true => Fact::Known(Arc::new(self.requests.clone())),
            false => Fact::Unknown {
                why: "the forge is away".to_owned(),
            },
        };
        self.world.requests.insert(deploy(), requests);
    }

    pub(super) fn answer(&mut self, questions: &BTreeSet<Question>) {
        let does_fail = !self.is_calm && self.dice.happens(3);
        for question in questions {
            let repository = match question {
                Question::Digest { repository, .. } | Question::Description { repository, .. } => {
                    repository
                }
                Question::Created { .. }
                | Question::Vouched { .. }
                | Question::Commit { .. }
                | Question::Ancestry(_)
                | Question::Range(_)
                | Question::Rendered { .. }
                | Question::Check(_) => panic!("nothing here needs {question:?}"),
            };
            let mut registries = self.registries.values_mut();
            let registry = registries.find(|registry| registry.repository == *repository);
            let registry = registry.unwrap();
            match question {
                Question::Digest { tag, .. } => {
                    registry.ask(tag, registry.points_to(&self.shape, tag));
                }
                Question::Description { digest, .. } => registry.describe(digest, does_fail),
                Question::Created { .. }
                | Question::Vouched { .. }
                | Question::Commit { .. }
                | Question::Ancestry(_)
                | Question::Range(_)
                | Question::Rendered { .. }
                | Question::Check(_) => {}
            }
            let facts = registry.refreshed(&self.world.images[repository]);
            self.world.images.insert(repository.clone(), facts);
        }
    }

    /// Carries a plan out, or dies on the way, or finds that somebody was faster.
    pub(super) fn apply(&mut self, plan: Plan) -> Applied {
        if self.is_overtaken() {
            return Applied::Otherwise;
        }
        for change in plan.changes {
            if self.fails() {
                return Applied::Otherwise;
            }
            assert_eq!(Some(&change.base), self.branch.head());
            for commit in change.commits {
                self.deliver(&commit);
            }
        }
        for change in plan.proposals {
            if !self.propose(change) {
                return Applied::Otherwise;
            }
        }
        Applied::AsPlanned
    }

    /// Whether the daemon dies at this moment.
    pub(super) fn fails(&mut self) -> bool {
        !self.is_calm && self.dice.happens(8)
    }

    fn deliver(&mut self, commit: &PlannedCommit) {
        let clock = self.clock();
        assert!(self.branch.are_holds_read(), "nobody knows what is held");
        let (policy, stop, moved) = self.moved(commit);
        assert_eq!(self.shape.stops[stop].way, Way::Commit);
        let mut befores = Vec::new();
        self.assert_together((policy, stop), commit);
        for (image, before, build) in moved {
            let place = Place {
                policy,
                stop,
                image,
            };
            if self.record.is_rollback(place, build) {
                self.record.assert_may_roll_back(place, build, clock);
                self.record.rolled_back(place);
            } else {
                self.record.assert_open(place, clock);
                self.record
                    .assert_may_come(place, build, self.moment(place, build));
            }
            self.record.promoted(place, build, clock);
            befores.push((image, text::number(&before), before));
            self.tell(|| format!("towpath promotes {build} to {place:?}"));
        }
        for (path, file) in &commit.files {
            self.branch.files.insert(path.clone(), file.after.clone());
        }
        let id = self.branch.commit("towpath", &commit.message, clock);
        self.branch.brought.push(Brought {
            policy,
            stop,
            commit: id,
            moved: befores,
        });
    }

    /// That a release comes to all images, where they move together: what a person pinned comes by itself.
    pub(super) fn assert_together(&self, (policy, stop): Target, commit: &PlannedCommit) {
        if !self.shape.is_together {
            return;
        }
        let (_, _, moved) = self.moved(commit);
        let file = commit.files.values().next().unwrap();
        let builds = text::builds(&file.after);
        let is_pinned = |image: usize| {
            let place = Place {
                policy,
                stop,
                image,
            };
            self.record.ran[&place].pin.is_some()
        };
        for (image, _, build) in moved.into_iter().filter(|(image, _, _)| !is_pinned(*image)) {
            let is_same = builds.iter().all(|other| *other == build);
            assert!(is_same, "{build} of {image} comes alone: {builds:?}");
        }
    }

    /// By what a promotion is judged now.
    pub(super) fn moment(&self, place: Place, build: Build) -> Moment {
        let registry = &self.registries[&(place.policy, place.image)];
        let is_release = self.shape.stops[place.stop].release.is_some();
        let built = registry.builds.get(&build);
        let pushed = built.and_then(|built| match is_release {
            true => built.released,
            false => Some(built.pushed),
        });
        Moment {
            now: self.clock(),
            // What was deleted is a pin's, which no gate holds.
            pushed: pushed.unwrap_or(Timestamp::MAX),
            has_arm: built.is_some_and(|built| built.has_arm),
        }
    }

    /// What a commit of ours changes, told by its one file: the environment, and each image with the text before and the build after.
    pub(super) fn moved(
        &self,
        commit: &PlannedCommit,
    ) -> (usize, usize, Vec<(usize, String, Build)>) {
        assert_eq!(commit.files.len(), 1, "{commit:?}");
        let (path, file) = commit.files.iter().next().unwrap();
        let (policy, stop) = self.environment(path.as_str());
        assert_eq!(
            text::around(&file.before),
            text::around(&file.after),
            "more than versions changed"
        );
        let before = text::versions(&file.before);
        let versions = before.into_iter().zip(text::versions(&file.after));
        let moved = versions
            .enumerate()
            .filter(|(_, (before, after))| before != after);
        let moved: Vec<_> = moved
            .map(|(image, (before, after))| (image, before.to_owned(), text::number(after)))
            .collect();
        assert!(!moved.is_empty(), "{commit:?}");
        (policy, stop, moved)
    }

    /// The policy and the environment whose file it is.
    pub(super) fn environment(&self, path: &str) -> (usize, usize) {
        let mut places = self.shape.places();
        let place = places.find(|place| self.shape.file(place.policy, place.stop) == path);
        let place = place.unwrap_or_else(|| panic!("`{path}` is nobody's file"));
        (place.policy, place.stop)
    }

    /// The places that have not the newest build.
    pub(super) fn behind(&self) -> Vec<Place> {
        let ran = self.record.ran.iter().filter(|(place, ran)| {
            let registry = &self.registries[&(place.policy, place.image)];
            ran.current != registry.newest()
        });
        ran.map(|(place, _)| *place).collect()
    }

    pub(super) fn promotions(&self) -> usize {
        self.record.ran.values().map(|ran| ran.promotions).sum()
    }
}

fn deploy() -> RepositoryName {
    "deploy".parse().unwrap()
}

fn named(branch: &str) -> BranchName {
    BranchName {
        repository: deploy(),
        branch: branch.to_owned(),
    }
}

fn dialect() -> Dialect {
    Dialect {
        length_max: 65_536,
        folds: true,
        hides_by: HidesBy::Comment,
    }
}
