//! What Applications ran while they were watched, and since when they were healthy with it.
//!
//! Argo CD tells how an Application is now, and a version that a newer one took the place of counts by how it was then. Invariant:
//! what nobody saw healthy is not said to have been; a new process has seen nothing but what Applications say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Reference, Repository};
use crate::world::{Application, HealthStatus, ObjectName, Seen, SyncStatus};

/// Images of one Application that are kept, the last that came: with twenty builds an hour those of a day. At 120 bytes each an
/// Application has 60 KB of them at most, and one with a build a day and a month of uptime 4 KB.
const SEEN_MAX: usize = 512;

/// What each Application ran, the image that was seen first before the others.
#[derive(Debug, Default)]
pub(crate) struct Diary(BTreeMap<ObjectName, Arc<Vec<Seen>>>);

impl Diary {
    /// Notes how an Application is at `now`.
    pub(crate) fn note(&mut self, name: &ObjectName, application: &Application, now: Timestamp) {
        if application.images.is_empty() && !self.0.contains_key(name) {
            return;
        }
        let seen = self.0.entry(name.clone()).or_default();
        let mut noted = seen.as_ref().clone();
        for image in &application.images {
            if noted.iter().all(|one| one.image != *image) {
                let image = image.clone();
                let healthy = None;
                noted.push(Seen { image, healthy });
            }
        }
        noted.drain(..noted.len().saturating_sub(SEEN_MAX));
        judge(&mut noted, application, now);
        if noted != **seen {
            *seen = Arc::new(noted);
        }
    }

    /// Forgets what is not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&ObjectName) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }

    pub(crate) fn all(&self) -> BTreeMap<ObjectName, Arc<Vec<Seen>>> {
        self.0.clone()
    }
}

/// Notes since when the Application is healthy with what it runs, or that it is degraded with it. Progress and drift end nothing.
fn judge(noted: &mut [Seen], application: &Application, now: Timestamp) {
    let is_synced = application.sync.status == SyncStatus::Synced;
    match application.health.status {
        HealthStatus::Healthy if is_synced => {
            let since = application.healthy_since().unwrap_or(now);
            for image in &application.images {
                for one in noted.iter_mut().filter(|one| one.image == *image) {
                    one.healthy.get_or_insert(since);
                }
            }
        }
        HealthStatus::Degraded => {
            // What a rollout that fails leaves running beside the new version is not what fails.
            let mut latest: BTreeMap<Option<Repository>, usize> = BTreeMap::new();
            for (place, one) in noted.iter().enumerate() {
                if application.images.contains(&one.image) {
                    latest.insert(repository(&one.image), place);
                }
            }
            for place in latest.into_values() {
                noted[place].healthy = None;
            }
        }
        HealthStatus::Healthy
        | HealthStatus::Progressing
        | HealthStatus::Suspended
        | HealthStatus::Missing
        | HealthStatus::Unknown => {}
    }
}

fn repository(image: &str) -> Option<Repository> {
    let reference: Reference = image.parse().ok()?;
    Some(reference.repository)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::{Application, Diary, HealthStatus, Timestamp};
    use crate::world::{Health, SyncState, SyncStatus};

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minutes)
    }

    /// The diary of an Application that was so, each line a minute after the one before: `HEALTH TAG...`, and `*` behind the
    /// health where it is out of sync.
    fn told(lines: &[&str]) -> String {
        let name = "argocd/web".parse().unwrap();
        let mut diary = Diary::default();
        for (minute, line) in (0..).zip(lines) {
            let mut words = line.split(' ');
            let health = words.next().unwrap();
            let status = match health.strip_suffix('*') {
                Some(_) => SyncStatus::OutOfSync,
                None => SyncStatus::Synced,
            };
            let application = Application {
                images: words.map(|tag| format!("ghcr.io/acme/web:{tag}")).collect(),
                sync: SyncState {
                    status,
                    revisions: Vec::new(),
                },
                health: Health {
                    status: HealthStatus::of(health.trim_end_matches('*')).unwrap(),
                    message: String::new(),
                    since: None,
                },
                ..Application::sample()
            };
            diary.note(&name, &application, at(minute));
        }
        let all = diary.all();
        let seen = all[&name].iter().map(|one| {
            let tag = one.image.rsplit(':').next().unwrap();
            match one.healthy {
                Some(since) => format!("{tag} {}", since.strftime("%M")),
                None => format!("{tag} no"),
            }
        });
        seen.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_version_counts_from_when_it_was_first_healthy_and_synced() {
        insta::assert_snapshot!(told(&["Progressing v1", "Healthy* v1", "Healthy v1", "Healthy v1"]), @"v1 02");
        insta::assert_snapshot!(told(&["Progressing v1", "Missing v1"]), @"v1 no");
    }

    #[test]
    fn progress_and_drift_do_not_start_it_again() {
        insta::assert_snapshot!(told(&["Healthy v1", "Progressing v1", "Healthy* v1", "Healthy v1"]), @"v1 00");
    }

    #[test]
    fn a_version_that_was_degraded_counts_from_when_it_recovered() {
        insta::assert_snapshot!(told(&["Healthy v1", "Degraded v1"]), @"v1 no");
        insta::assert_snapshot!(told(&["Healthy v1", "Degraded v1", "Progressing v1", "Healthy v1"]), @"v1 03");
    }

    #[test]
    fn a_newer_version_ends_nothing_and_takes_nothing_with_it_when_it_fails() {
        insta::assert_snapshot!(told(&["Healthy v1", "Progressing v1 v2", "Degraded v1 v2", "Healthy v3"]), @"v1 00, v2 no, v3 03");
    }

    #[test]
    fn a_version_that_failed_and_was_replaced_stays_unseen() {
        insta::assert_snapshot!(told(&["Healthy v1", "Degraded v1", "Healthy v2"]), @"v1 no, v2 02");
    }
}
