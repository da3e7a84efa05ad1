//! Watching: the settings and policies are read anew when they change, in files or in the cluster.
//!
//! Folders are watched, not files: Kubernetes changes a mounted ConfigMap by turning a link, after which a
//! watch on a file would see nothing ever again. A slow poll stands behind the watch, and contents decide:
//! a wake-up without a change is silent.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::followed::Followed;
use super::{Config, Fingerprint, Problems, Reading, read};
use crate::cluster::resources::Resources;

/// How long to wait for further changes: an editor or a ConfigMap swap makes several in a row.
const SETTLE: Duration = Duration::from_millis(200);

/// How long to wait for further changes of custom resources: one who applies many takes some milliseconds for each, and a new
/// configuration begins all readings anew.
const SETTLE_RESOURCES: Duration = Duration::from_secs(1);

/// How long to wait for them at most: whoever changes one again and again has all registries asked once in this time, and not more.
const SETTLE_RESOURCES_MAX: Duration = Duration::from_secs(30);

/// How often to look without being woken: on network file systems nothing wakes us.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a reading had all that the settings name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsWhole {
    Yes,
    No,
}

/// How long to wait for further changes of custom resources: twice as long as before while they do not cease.
#[derive(Default)]
struct Patience {
    last: Option<(Instant, Duration)>,
    /// Whether news came since the last reading.
    is_woken: bool,
}

impl Patience {
    /// When to read after news at `now`; `None` where earlier news said so.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if std::mem::replace(&mut self.is_woken, true) {
            return None;
        }
        let wait = match self.last {
            Some((last, wait)) if now < last + SETTLE_RESOURCES_MAX => {
                (wait * 2).min(SETTLE_RESOURCES_MAX)
            }
            Some(_) | None => SETTLE_RESOURCES,
        };
        self.last = Some((now + wait, wait));
        Some(now + wait)
    }
}

/// A watch over the settings and the policies that they name.
pub(crate) struct Watch {
    settings: PathBuf,
    last: Fingerprint,
    /// `None` where the system has no watches left; then only the poll is there.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    wakes: mpsc::Receiver<()>,
    poll_interval: Duration,
    /// The custom resources, where the settings name some.
    followed: Option<Followed>,
    patience: Patience,
    clock: fn() -> Timestamp,
    /// When the files are read next.
    due: Instant,
}

impl Watch {
    /// Reads the files, and watches them from then on, and the custom resources that they name: those are in what [`Self::whole`] gives.
    pub(crate) fn start(
        settings: &Path,
        clock: fn() -> Timestamp,
    ) -> (Self, Result<Config, Problems>) {
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
            followed: None,
            patience: Patience::default(),
            clock,
            due: Instant::now() + POLL_INTERVAL,
        };
        // What changes between the first reading and the start of the watch must not be missed.
        let first = read(settings, &[]);
        watch.follow(&first);
        let Reading {
            config,
            fingerprint,
            folders: _,
        } = read(settings, &[]);
        watch.last = fingerprint;
        watch.follow_resources(&config);
        (watch, config)
    }

    /// Waits for the custom resources, and gives the first configuration that has them; `None` where the settings name none. May be
    /// dropped at any time.
    pub(crate) async fn whole(&mut self) -> Option<Result<Config, Problems>> {
        while let Some(followed) = &mut self.followed {
            if followed.known().is_none() {
                tokio::select! {
                    () = followed.resources.changed() => continue,
                    // Other settings may name others, or none.
                    () = sleep_until(self.due) => {}
                    Some(()) = self.wakes.recv() => sleep(SETTLE).await,
                }
            }
            if let (reading, IsWhole::Yes) = self.reading().await {
                self.last = reading.fingerprint;
                return Some(reading.config);
            }
        }
        None
    }

    /// The custom resources, where the settings name some.
    pub(crate) fn resources(&self) -> Option<Arc<Resources>> {
        let followed = self.followed.as_ref()?;
        Some(followed.resources.clone())
    }

    /// Waits until the files or the custom resources differ from the last reading, and gives what they are now: a new version, or
    /// what is wrong with it. May be dropped at any time without losing a change.
    pub(crate) async fn changed(&mut self) -> Result<Config, Problems> {
        loop {
            self.until_due().await;
            let (reading, is_whole) = self.reading().await;
            // What cannot be read yet is not taken for nothing.
            let counts = is_whole == IsWhole::Yes || reading.config.is_err();
            if counts && reading.fingerprint != self.last {
                self.last = reading.fingerprint;
                return reading.config;
            }
        }
    }

    /// Reads everything now.
    async fn reading(&mut self) -> (Reading, IsWhole) {
        let settings = self.settings.clone();
        let known = self.followed.as_mut().map(Followed::known);
        let (resources, is_whole) = match known {
            None => (Vec::new(), IsWhole::Yes),
            Some(Some(resources)) => (resources, IsWhole::Yes),
            Some(None) => (Vec::new(), IsWhole::No),
        };
        let reading = tokio::task::spawn_blocking(move || read(&settings, &resources))
            .await
            .expect("reading the settings does not panic");
        // Not before the reading, so that one which is dropped half-way is done again.
        self.due = Instant::now() + self.poll_interval;
        self.patience.is_woken = false;
        self.follow(&reading);
        match self.follow_resources(&reading.config) {
            true => (reading, IsWhole::No),
            false => (reading, is_whole),
        }
    }

    /// Follows the custom resources that the settings name now, and says whether they are others than before. Where the settings are
    /// wrong, those before count on.
    fn follow_resources(&mut self, config: &Result<Config, Problems>) -> bool {
        let Ok(Config { settings, .. }) = config else {
            return false;
        };
        let named = settings.custom_resources.as_ref();
        let is_followed = match &self.followed {
            Some(followed) => followed.is_of(named),
            None => named.is_none(),
        };
        if !is_followed {
            let clock = self.clock;
            self.followed = named.map(|named| Followed::start(named.clone(), clock));
            if self.followed.is_none() {
                self.due = Instant::now();
            }
        }
        !is_followed
    }

    /// Waits for the next reading, which a wake-up brings nearer. What it waits for outlives a drop.
    async fn until_due(&mut self) {
        while Instant::now() < self.due {
            let resources = self.resources();
            let news = async {
                match resources {
                    Some(resources) => resources.changed().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = sleep_until(self.due) => {}
                () = news => {
                    if let Some(due) = self.patience.due(Instant::now()) {
                        self.due = self.due.min(due);
                    }
                }
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

    use super::{Patience, SETTLE_RESOURCES, SETTLE_RESOURCES_MAX, Watch};
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

    fn start(settings: &Path) -> (Watch, Result<Config, Problems>) {
        Watch::start(settings, || unreachable!("no cluster is named"))
    }

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
        let (mut watch, first) = start(&folder.path().join("towpath.yaml"));
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
        let (mut watch, first) = start(&settings);
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
        let (mut watch, _) = start(&settings);
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
        let (mut watch, first) = start(&settings);
        assert!(first.is_err(), "the folder of policies is missing");
        watch.watcher = None;
        watch.due = tokio::time::Instant::now();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&changed), [""; 0]);
    }

    #[tokio::test]
    async fn custom_resources_that_the_settings_begin_to_name_are_waited_for_and_go_with_that_name()
    {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        fs::write(&settings, SETTINGS).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let argo = bed::argo::Argo::new("token");
        argo.serve_kubernetes(&folder.path().join("kubeconfig"));
        let object = serde_yaml::from_str(&policy("one")).unwrap();
        argo.apply(bed::argo::POLICIES, object);
        let (mut watch, first) = Watch::start(&settings, crate::daemon::now);
        assert_eq!(names(&first), [""; 0]);
        assert!(watch.whole().await.is_none());

        let named = "custom-resources: { kubeconfig: kubeconfig, namespaces: { argocd: { images: '**' } } }\n";
        fs::write(&settings, format!("{SETTINGS}{named}")).unwrap();
        let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&changed), ["one"]);
        argo.apply(
            bed::argo::POLICIES,
            serde_yaml::from_str(&policy("two")).unwrap(),
        );
        let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&changed), ["one", "two"]);

        fs::write(&settings, SETTINGS).unwrap();
        let changed = timeout(PATIENCE, watch.changed()).await.unwrap();
        assert_eq!(names(&changed), [""; 0]);
        assert!(watch.resources().is_none());
    }

    #[test]
    fn who_changes_resources_again_and_again_waits_longer_until_it_is_quiet() {
        let mut patience = Patience::default();
        let mut now = tokio::time::Instant::now();
        let news = |patience: &mut Patience, now| {
            patience.is_woken = false;
            let due = patience.due(now).unwrap();
            assert!(patience.due(now).is_none(), "it is said already");
            (due, due - now)
        };
        let mut waits = Vec::new();
        for _ in 0..7 {
            let (due, wait) = news(&mut patience, now);
            waits.push(wait.as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        let (_, wait) = news(&mut patience, now + SETTLE_RESOURCES_MAX);
        assert_eq!(wait, SETTLE_RESOURCES);
    }

    #[tokio::test]
    async fn settings_that_are_mended_end_the_wait_for_a_cluster_that_never_answers() {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        let named = "custom-resources: { kubeconfig: kubeconfig, namespaces: { argocd: { images: '**' } } }\n";
        fs::write(&settings, format!("{SETTINGS}{named}")).unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let argo = bed::argo::Argo::new("token");
        argo.serve_kubernetes(&folder.path().join("kubeconfig"));
        let gone = bed::argo::Fault::Refused {
            status: 500,
            words: "the server is not there",
        };
        argo.break_with("/apis/towpath.dev", gone);
        let (mut watch, first) = Watch::start(&settings, crate::daemon::now);
        assert_eq!(names(&first), [""; 0]);
        fs::write(&settings, SETTINGS).unwrap();
        let whole = timeout(PATIENCE, watch.whole()).await.unwrap();
        assert!(whole.is_none());
    }
}
