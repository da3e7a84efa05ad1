//! Watching: the settings and policies are read anew when they change.
//!
//! Folders are watched, not files: Kubernetes changes a mounted ConfigMap by turning a link, after which a
//! watch on a file would see nothing ever again. A slow poll stands behind the watch, and contents decide:
//! a wake-up without a change is silent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Config, Fingerprint, Problems, Reading, read};

/// How long to wait for further changes: an editor or a ConfigMap swap makes several in a row.
const SETTLE: Duration = Duration::from_millis(200);

/// How often to look without being woken: on network file systems nothing wakes us.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// A watch over the settings and the policies that they name.
pub(crate) struct Watch {
    settings: PathBuf,
    last: Fingerprint,
    /// `None` where the system has no watches left; then only the poll is there.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    wakes: mpsc::Receiver<()>,
    poll_interval: Duration,
    /// When the files are read next.
    due: Instant,
}

impl Watch {
    /// Reads the files, and watches them from then on.
    pub(crate) fn start(settings: &Path) -> (Self, Result<Config, Problems>) {
        // One waiting wake-up says as much as many.
        let (wake, wakes) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let is_read = event.is_ok_and(|event| event.kind.is_access());
            if !is_read {
                // A full channel holds a wake-up already.
                let _ = wake.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the settings; polling"))
            .ok();
        let mut watch = Self {
            settings: settings.to_owned(),
            last: Fingerprint(Vec::new()),
            watcher,
            watched: BTreeSet::new(),
            wakes,
            poll_interval: POLL_INTERVAL,
            due: Instant::now() + POLL_INTERVAL,
        };
        // What changes between the first reading and the start of the watch must not be missed.
        let first = read(settings);
        watch.follow(&first);
        let Reading {
            config,
            fingerprint,
            folders: _,
        } = read(settings);
        watch.last = fingerprint;
        (watch, config)
    }

    /// Waits until the files differ from the last reading, and gives what they are now: a new version, or
    /// what is wrong with it. May be dropped at any time without losing a change.
    pub(crate) async fn changed(&mut self) -> Result<Config, Problems> {
        loop {
            self.until_due().await;
            let settings = self.settings.clone();
            let reading = tokio::task::spawn_blocking(move || read(&settings))
                .await
                .expect("reading the settings does not panic");
            // Not before the reading, so that one which is dropped half-way is done again.
            self.due = Instant::now() + self.poll_interval;
            self.follow(&reading);
            if reading.fingerprint != self.last {
                self.last = reading.fingerprint;
                return reading.config;
            }
        }
    }

    /// Waits for the next reading, which a wake-up brings nearer. What it waits for outlives a drop.
    async fn until_due(&mut self) {
        while Instant::now() < self.due {
            tokio::select! {
                () = sleep_until(self.due) => {}
                wake = self.wakes.recv() => match wake {
                    Some(()) => self.due = self.due.min(Instant::now() + SETTLE),
                    // Without a watcher only the poll is left.
                    None => sleep_until(self.due).await,
                }
            }
        }
    }

    /// Watches the folders that count now.
    fn follow(&mut self, reading: &Reading) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.watched.difference(&reading.folders) {
            // A folder that was deleted is not watched any more; that is what we want.
            let _ = watcher.unwatch(gone);
        }
        let mut watched = BTreeSet::new();
        for folder in &reading.folders {
            let following = match self.watched.contains(folder) {
                true => Ok(()),
                false => watcher.watch(folder, RecursiveMode::NonRecursive),
            };
            match following {
                Ok(()) => {
                    watched.insert(folder.clone());
                }
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "cannot watch; polling");
                }
            }
        }
        self.watched = watched;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::Watch;
    use crate::config::{Config, Problems};

    const SETTINGS: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: Settings
repositories:
  deploy: { url: ../deploy.git }
policies: [policies]
";

    /// Far longer than a change takes, far shorter than the poll.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn policy(name: &str) -> String {
        format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  images: {{ a: ghcr.io/acme/a }}\n  environments: [{{ name: dev, tags: {{ semver: 1.x }}, update: {name} }}]\n"
        )
    }

    fn names(config: &Result<Config, Problems>) -> Vec<&str> {
        let config = config.as_ref().unwrap();
        config.policies.iter().map(|p| p.name.as_str()).collect()
    }

    /// Mounts a version of a ConfigMap as the kubelet does: a folder of its own, and one turned link.
    fn mount(folder: &Path, version: &str, content: &str) {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("policy.yaml"), content).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if fs::symlink_metadata(folder.join("policy.yaml")).is_err() {
            symlink("..data/policy.yaml", folder.join("policy.yaml")).unwrap();
        }
    }

    #[tokio::test]
    async fn a_turned_link_of_a_configmap_is_a_change_each_time() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("towpath.yaml"), SETTINGS).unwrap();
        let policies = folder.path().join("policies");
        mount(&policies, "..2026_01", &policy("one"));
        let (mut watch, first) = Watch::start(&folder.path().join("towpath.yaml"));
        assert_eq!(names(&first), ["one"]);
        for (version, name) in [("..2026_02", "two"), ("..2026_03", "three")] {
            mount(&policies, version, &policy(name));
            let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
            assert_eq!(names(&changed), [name]);
        }
    }

    #[tokio::test]
    async fn a_bad_version_is_told_once_and_a_good_one_follows() {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        fs::write(&settings, SETTINGS).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let file = folder.path().join("policies/a.yaml");
        fs::write(&file, policy("one")).unwrap();
        let (mut watch, first) = Watch::start(&settings);
        assert_eq!(names(&first), ["one"]);

        fs::write(&file, "kind: PromotionPolicy\nspecc: {}\n").unwrap();
        let bad = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert!(bad.is_err());
        // The same contents anew are no change.
        fs::write(&file, "kind: PromotionPolicy\nspecc: {}\n").unwrap();
        let again = timeout(Duration::from_secs(1), watch.changed()).await;
        assert!(again.is_err());

        fs::write(&file, policy("two")).unwrap();
        let good = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&good), ["two"]);

        fs::remove_file(&settings).unwrap();
        assert!(timeout(PATIENCE, watch.changed()).await.unwrap().is_err());
        fs::write(&settings, SETTINGS).unwrap();
        let good = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&good), ["two"]);
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_loses_no_change() {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        fs::write(&settings, SETTINGS).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let (mut watch, _) = Watch::start(&settings);
        fs::write(folder.path().join("policies/a.yaml"), policy("one")).unwrap();
        let start = std::time::Instant::now();
        let changed = loop {
            match timeout(Duration::from_millis(20), watch.changed()).await {
                Ok(changed) => break changed,
                Err(_) => assert!(start.elapsed() < PATIENCE),
            }
        };
        assert_eq!(names(&changed), ["one"]);
    }

    #[tokio::test]
    async fn the_poll_finds_what_no_watch_tells() {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        fs::write(&settings, SETTINGS).unwrap();
        let (mut watch, first) = Watch::start(&settings);
        assert!(first.is_err(), "the folder of policies is missing");
        watch.watcher = None;
        watch.due = tokio::time::Instant::now();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&changed), [""; 0]);
    }
}
