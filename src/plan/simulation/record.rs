//! What is true of the town, kept from the contents of files alone: trailers, ledgers and plans are not looked at.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// What one environment ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// Builds that came and were not taken back, with the time.
    pub(super) since: BTreeMap<u64, Timestamp>,
    pub(super) current: u64,
    /// Builds that people took back since the latest promotion: nobody sees it where they bring them back before the next.
    away: BTreeMap<u64, Timestamp>,
    /// The newest build that a person took away, until he resumes.
    pub(super) undone: Option<u64>,
    /// Builds that people rejected here, in the file with the holds and by closing a pull request.
    pub(super) rejected: Vec<u64>,
    pub(super) closed: Vec<u64>,
    pub(super) pin: Option<u64>,
    pub(super) is_stopped: bool,
}

/// What all environments ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) environments: BTreeMap<&'static str, Ran>,
    pub(super) promotions: usize,
}

/// What must be true before a build may come to an environment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) before: Option<&'static str>,
    pub(super) soak: SignedDuration,
}

impl Ran {
    /// A promotion tells what stood there before it.
    pub(super) fn forget(&mut self) {
        self.away.clear();
    }
}

impl Record {
    /// That the program wrote `build` in `environment`, by a commit of its own.
    pub(super) fn promoted(
        &mut self,
        (environment, build): (&'static str, u64),
        terms: Terms,
        now: Timestamp,
    ) {
        self.promotions += 1;
        let here = &self.environments[environment];
        let current = here.current;
        assert_ne!(
            current, build,
            "`{environment}` was written and has it already"
        );
        assert!(!here.is_stopped, "`{environment}` is stopped");
        match here.pin {
            Some(pin) => assert_eq!(pin, build, "`{environment}` is pinned"),
            None => {
                assert!(
                    build > current,
                    "`{environment}` went down from {current} to {build}"
                );
                let undone = here.undone;
                assert!(
                    undone.is_none_or(|undone| build > undone),
                    "{build} came to `{environment}` though {undone:?} was undone there"
                );
                let is_rejected = here.rejected.contains(&build) || here.closed.contains(&build);
                assert!(!is_rejected, "{build} is rejected in `{environment}`");
                self.assert_ripe((environment, build), terms, now);
            }
        }
        self.stands(environment, build, now);
        self.of(environment).forget();
    }

    /// That `build` ran before as long as it must.
    pub(super) fn assert_ripe(
        &self,
        (environment, build): (&str, u64),
        terms: Terms,
        now: Timestamp,
    ) {
        let Some(before) = terms.before else { return };
        let since = self.environments[before].since.get(&build);
        let Some(since) = since else {
            panic!("{build} came to `{environment}` and did not run in `{before}`")
        };
        let soaked = now.duration_since(*since);
        assert!(
            soaked >= terms.soak,
            "{build} came to `{environment}` after {soaked:#}"
        );
    }

    /// That `build` stands in `environment` now, whoever wrote it.
    pub(super) fn stands(&mut self, environment: &'static str, build: u64, now: Timestamp) {
        let here = self.environments.entry(environment).or_default();
        let newer = here.since.split_off(&(build + 1));
        here.away.extend(newer);
        let back = here.away.range(..=build).map(|(build, at)| (*build, *at));
        let back: Vec<_> = back.collect();
        here.since.extend(back);
        here.since.entry(build).or_insert(now);
        here.current = build;
    }

    pub(super) fn of(&mut self, environment: &'static str) -> &mut Ran {
        self.environments.entry(environment).or_default()
    }
}
