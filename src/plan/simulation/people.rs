//! What people do, and what breaks: at random, by the dice of the seed.

use jiff::SignedDuration;

use super::town::{ENVIRONMENTS, MergeWay, Town, Way};
use crate::ledger::{Act, HoldEvent, Target};

/// The dice of a seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the numbers below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// Whether something of `percent` happens.
    pub(super) fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Some seconds, at most `longest`.
    pub(super) fn duration(&mut self, longest: SignedDuration) -> SignedDuration {
        let seconds = u64::try_from(longest.as_secs()).unwrap_or_default();
        SignedDuration::from_secs(i64::try_from(self.below(seconds + 1)).unwrap_or_default())
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices[place]
    }
}

impl Town {
    /// Nothing, or one thing.
    pub(super) fn let_something_happen(&mut self) {
        match self.dice.below(100) {
            0..40 => self.push(),
            40..44 => self.is_registry_up = !self.is_registry_up,
            44..47 => self.restart(),
            47..50 => self.revert(),
            50..52 => self.write_by_hand(),
            52..54 => self.pin(),
            54..56 => self.reject(),
            56..57 => self.stop(),
            57..64 => self.resume(),
            64..67 => self.delete_old_tags(),
            67..80 => self.people_look_at_pull_requests(),
            _ => {}
        }
    }

    /// Ends all that keeps versions back.
    pub(super) fn calm_down(&mut self) {
        self.tell(|| "all is quiet".to_owned());
        self.is_registry_up = true;
        self.is_calm = true;
        for environment in ENVIRONMENTS {
            self.resume_in(environment);
        }
        self.push();
    }

    /// A person merges what waits.
    pub(super) fn merge_all(&mut self) {
        for branch in self.open_branches() {
            self.merge(&branch);
        }
    }

    fn restart(&mut self) {
        self.tell(|| "the daemon starts anew".to_owned());
        self.asked.clear();
    }

    /// Takes the latest promotion of an environment back, by git.
    fn revert(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        let Some((commit, before)) = self.latest_promotion(environment) else {
            return;
        };
        let undone = self.record.of(environment).current;
        if before == undone || !self.is_there(before) {
            return;
        }
        let here = self.record.of(environment);
        here.undone = here.undone.max(Some(undone));
        let subject = format!("promote {environment}");
        self.write(
            environment,
            before,
            &format!("Revert \"{subject}\"\n\nThis reverts commit {commit}.\n"),
        );
        self.tell(|| format!("a person reverts {environment} from {undone} to {before}"));
    }

    /// Writes an older build over what stands there.
    fn write_by_hand(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        let current = self.record.of(environment).current;
        if current < 2 {
            return;
        }
        let build = 1 + self.dice.below(current - 1);
        if !self.is_there(build) {
            return;
        }
        let here = self.record.of(environment);
        here.undone = here.undone.max(Some(current));
        self.write(environment, build, "fix by hand");
        self.tell(|| format!("a person writes {build} over {current} in {environment}"));
    }

    fn pin(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        let Some(build) = self.some_build() else {
            return;
        };
        if self.record.of(environment).pin.is_some() {
            return;
        }
        self.record.of(environment).pin = Some(build);
        self.write_holds(&format!("pin {environment}"));
        self.tell(|| format!("a person pins {build} in {environment}"));
    }

    fn reject(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        let Some(build) = self.some_build() else {
            return;
        };
        self.record.of(environment).rejected.push(build);
        self.write_holds(&format!("reject {environment}"));
        self.tell(|| format!("a person rejects {build} in {environment}"));
    }

    fn stop(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        self.record.of(environment).is_stopped = true;
        self.write_holds(&format!("stop {environment}"));
        self.tell(|| format!("a person stops {environment}"));
    }

    fn resume(&mut self) {
        let environment = self.dice.one_of(&ENVIRONMENTS);
        self.resume_in(environment);
    }

    fn resume_in(&mut self, environment: &'static str) {
        let stands = self.stands(environment);
        let here = self.record.of(environment);
        here.undone = None;
        here.pin = None;
        here.rejected.clear();
        here.closed.clear();
        here.is_stopped = false;
        let event = HoldEvent {
            target: Target {
                policy: Some(self.policy_name()),
                environment: Some(environment.parse().unwrap()),
                image: None,
            },
            act: Act::Resume {
                stands: Some(vec![("api".parse().unwrap(), stands)]),
            },
            reason: None,
            until: None,
        };
        self.write_holds(&format!("resume {environment}\n\n{}", event.trailers()));
        self.tell(|| format!("a person resumes {environment}"));
    }

    fn people_look_at_pull_requests(&mut self) {
        let branches = self.open_branches();
        if self.way == Way::Commit || branches.is_empty() {
            return;
        }
        let branch = &branches[0];
        match self.dice.below(10) {
            0..7 => self.merge(branch),
            7..9 => self.close(branch),
            _ => self.delete_branch(branch),
        }
    }

    pub(super) fn merge_way(&mut self) -> MergeWay {
        self.dice
            .one_of(&[MergeWay::Merge, MergeWay::Squash, MergeWay::Rebase])
    }
}
