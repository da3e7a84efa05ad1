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
use tokio::time::{sleep, timeout};

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
            // Without a watcher the channel is closed, and would wake us without end.
            let woken = async {
                match self.wakes.recv().await {
                    Some(()) => sleep(SETTLE).await,
                    None => std::future::pending().await,
                }
            };
            // Time running out is the poll.
            let _ = timeout(self.poll_interval, woken).await;
            let settings = self.settings.clone();
            let reading = tokio::task::spawn_blocking(move || read(&settings))
                .await
                .expect("reading the settings does not panic");
            self.follow(&reading);
            if reading.fingerprint != self.last {
                self.last = reading.fingerprint;
                return reading.config;
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
            let known = self.watched.contains(folder);
            match known
                .then_some(Ok(()))
                .unwrap_or_else(|| watcher.watch(folder, RecursiveMode::NonRecursive))
            {
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
