//! Argo CD: what it deploys of the branch, how healthy that is, and what the daemon saw of it while it watched.
//!
//! What is seen is noted by the diary of the real connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::dice::Dice;
use super::text::Build;
use crate::cluster::Diary;
use crate::manifest::CommitId;
use crate::world::{
    Application, Applications, Fact, Health, HealthStatus, ObjectName, RepositoryAddress, Source,
    SyncState, SyncStatus,
};

/// The environment of a policy, by its numbers.
pub(super) type Target = (usize, usize);

/// All Applications, one for each environment of each policy.
#[derive(Default)]
pub(super) struct Argo {
    pub(super) applications: BTreeMap<Target, Deployed>,
    pub(super) is_up: bool,
    diary: Diary,
}

/// What an Application runs.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    name: ObjectName,
    source: Source,
    commit: CommitId,
    /// Of each image, as its workloads name it.
    images: Vec<String>,
    pub(super) builds: Vec<Build>,
    pub(super) health: HealthStatus,
    pub(super) since: Timestamp,
    /// Degraded, whatever runs.
    has_trouble: bool,
}

/// What stands in the file of an environment.
pub(super) struct Written {
    pub(super) commit: CommitId,
    pub(super) images: Vec<String>,
    pub(super) builds: Vec<Build>,
}

impl Argo {
    /// An Application that reads `file` of the repository at `url`, and runs what stands there.
    pub(super) fn add(
        &mut self,
        target: Target,
        (url, file): (&str, &str),
        written: Written,
        now: Timestamp,
    ) {
        let Written {
            commit,
            images,
            builds,
        } = written;
        let source = Source {
            url: url.to_owned(),
            address: RepositoryAddress::of(url),
            path: None,
            chart: Some("web".to_owned()),
            target_revision: "main".to_owned(),
            value_files: vec![file.parse().unwrap()],
        };
        let deployed = Deployed {
            name: format!("argocd/app-{}-{}", target.0, target.1)
                .parse()
                .unwrap(),
            source,
            commit,
            images,
            builds,
            health: HealthStatus::Healthy,
            since: now,
            has_trouble: false,
        };
        self.applications.insert(target, deployed);
    }

    /// The daemon starts anew.
    pub(super) fn forget(&mut self) {
        self.diary = Diary::default();
    }

    /// What the daemon knows after it looked at `now`.
    pub(super) fn observe(&mut self, now: Timestamp) -> Fact<Arc<Applications>> {
        if !self.is_up {
            return Fact::Unknown {
                why: "Argo CD is away".to_owned(),
            };
        }
        let all = self.applications.values();
        let all: BTreeMap<_, _> = all
            .map(|deployed| (deployed.name.clone(), Arc::new(deployed.told())))
            .collect();
        for (name, application) in &all {
            self.diary.note(name, application, now);
        }
        Fact::Known(Arc::new(Applications {
            at: now,
            all,
            projects: Fact::Known(BTreeMap::new()),
            seen: self.diary.all(),
        }))
    }
}

impl Deployed {
    /// Goes on with what is written: syncs it, and finds out how it is.
    pub(super) fn go_on(
        &mut self,
        written: Written,
        (dice, is_calm): (&mut Dice, bool),
        (is_bad, now): (impl Fn(usize, Build) -> bool, Timestamp),
    ) {
        if self.builds != written.builds {
            if !is_calm && dice.happens(30) {
                return;
            }
            self.commit = written.commit;
            self.images = written.images;
            self.builds = written.builds;
            // A rollout to what is as bad does not mend it in between.
            let is_degraded = self.health == HealthStatus::Degraded;
            if !is_degraded {
                self.become_(HealthStatus::Progressing, now);
            }
        }
        self.has_trouble = match self.has_trouble {
            true => !is_calm && dice.happens(70),
            false => !is_calm && dice.happens(2),
        };
        let is_slow = !is_calm && dice.happens(30);
        if self.health == HealthStatus::Progressing && is_slow {
            return;
        }
        let has_bad = self
            .builds
            .iter()
            .enumerate()
            .any(|(image, build)| is_bad(image, *build));
        self.become_(
            match has_bad || self.has_trouble {
                true => HealthStatus::Degraded,
                false => HealthStatus::Healthy,
            },
            now,
        );
    }

    fn become_(&mut self, health: HealthStatus, now: Timestamp) {
        if self.health != health {
            (self.health, self.since) = (health, now);
        }
    }

    /// What Argo CD says of it.
    fn told(&self) -> Application {
        Application {
            sources: vec![self.source.clone()],
            sync: SyncState {
                status: SyncStatus::Synced,
                revisions: vec![self.commit.to_string()],
            },
            health: Health {
                status: self.health,
                message: String::new(),
                since: Some(self.since),
            },
            images: self.images.clone(),
            ..Application::sample()
        }
    }
}
