//! What was learnt from registries, on disk, so that a restart neither asks again nor forgets when a tag was seen.
//!
//! The files may be deleted or damaged at any time: what cannot be read was never there, and what cannot be written
//! is a warning. Losing them only costs requests, and the first-seen times. Formats carry a version; files are
//! replaced by renaming.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::metrics::TAGS_SEEN;
use super::pushed::{PushApi, PushTimes};
use super::seen::{Seen, accept};
use super::{Listing, Metadata};
use crate::image::{Digest, Repository, Tag};

/// Version of all formats.
const VERSION: u32 = 1;

/// Most images whose metadata is kept. With labels of 4 KiB at most this is 80 MB, with the usual 400 bytes 8 MB.
const METADATA_MAX: usize = 20_000;

/// Largest file that is read: a full metadata file, with room for JSON's escapes.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Everything remembered about registries.
pub(super) struct Cache {
    /// `None`: memory only.
    folder: Option<PathBuf>,
    metadata: Mutex<BTreeMap<Digest, Metadata>>,
    seen: Mutex<BTreeMap<Repository, Seen>>,
    pushed: Mutex<BTreeMap<Repository, PushTimes>>,
}

/// One line of the metadata file.
#[derive(Deserialize, Serialize)]
struct MetadataLine {
    version: u32,
    digest: String,
    created: Option<String>,
    labels: BTreeMap<String, String>,
    platforms: Vec<String>,
}

/// A repository's file: tags by the time at which they were first seen, since most share one.
#[derive(Deserialize, Serialize)]
struct SeenFile {
    version: u32,
    repository: String,
    shrunk_since: Option<String>,
    seen: BTreeMap<String, Vec<String>>,
}

/// A repository's push times.
#[derive(Deserialize, Serialize)]
struct PushedFile {
    version: u32,
    repository: String,
    api: String,
    whole_at: String,
    pushed: BTreeMap<String, String>,
}

impl Cache {
    /// Opens what stands in `folder`, which need not exist.
    pub(super) fn open(folder: Option<PathBuf>) -> Self {
        let folder = folder.map(|folder| folder.join("registry"));
        let metadata = folder.as_deref().map(read_metadata).unwrap_or_default();
        Self {
            folder,
            metadata: Mutex::new(metadata),
            seen: Mutex::new(BTreeMap::new()),
            pushed: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn metadata(&self, digest: &Digest) -> Option<Metadata> {
        lock(&self.metadata).get(digest).cloned()
    }

    /// Keeps what `digest` said of itself; at the bound half of the images go, by digest, which is as good as by lot.
    pub(super) fn keep_metadata(&self, digest: &Digest, metadata: &Metadata) {
        let mut all = lock(&self.metadata);
        let is_full = all.len() >= METADATA_MAX;
        if is_full {
            let half = all.keys().nth(METADATA_MAX / 2).cloned();
            *all = half.map(|half| all.split_off(&half)).unwrap_or_default();
        }
        all.insert(digest.clone(), metadata.clone());
        let Some(folder) = &self.folder else { return };
        let path = metadata_file(folder);
        let written = match is_full {
            true => replace(
                &path,
                &all.iter().map(|(d, m)| line(d, m)).collect::<String>(),
            ),
            false => append(&path, &line(digest, metadata)),
        };
        warn_of(&path, written);
    }

    /// Takes in a complete listing and says when its tags were first seen.
    pub(super) fn accept(
        &self,
        repository: &Repository,
        tags: BTreeSet<Tag>,
        now: Timestamp,
    ) -> Listing {
        let before = self.seen(repository);
        let (after, listing) = accept(before.as_ref(), tags, now);
        if before.as_ref() != Some(&after) {
            let known = before.unwrap_or_default().tags;
            let new = after.tags.keys().filter(|tag| !known.contains_key(*tag));
            let new = new.count();
            TAGS_SEEN
                .with_label_values(&[repository.registry()])
                .inc_by(new as u64);
            if let Some(folder) = &self.folder {
                let path = file_of(folder, "seen", repository);
                warn_of(&path, replace(&path, &seen_text(repository, &after)));
            }
            lock(&self.seen).insert(repository.clone(), after);
        }
        listing
    }

    /// The push times that were last kept.
    pub(super) fn push_times(&self, repository: &Repository) -> Option<PushTimes> {
        if let Some(times) = lock(&self.pushed).get(repository) {
            return Some(times.clone());
        }
        let times = read_pushed(self.folder.as_deref()?, repository)?;
        lock(&self.pushed).insert(repository.clone(), times.clone());
        Some(times)
    }

    pub(super) fn keep_push_times(&self, repository: &Repository, times: PushTimes) {
        if lock(&self.pushed).get(repository) == Some(&times) {
            return;
        }
        if let Some(folder) = &self.folder {
            let path = file_of(folder, "pushed", repository);
            warn_of(&path, replace(&path, &pushed_text(repository, &times)));
        }
        lock(&self.pushed).insert(repository.clone(), times);
    }

    fn seen(&self, repository: &Repository) -> Option<Seen> {
        if let Some(seen) = lock(&self.seen).get(repository) {
            return Some(seen.clone());
        }
        let seen = read_seen(self.folder.as_deref()?, repository)?;
        lock(&self.seen).insert(repository.clone(), seen.clone());
        Some(seen)
    }
}

fn metadata_file(folder: &Path) -> PathBuf {
    folder.join("metadata.jsonl")
}

/// A repository's name has slashes and colons and may be longer than a file's; its hash has none and is not.
fn file_of(folder: &Path, kind: &str, repository: &Repository) -> PathBuf {
    let hash = Sha256::digest(repository.to_string());
    let name: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.join(kind).join(format!("{name}.json"))
}

fn line(digest: &Digest, metadata: &Metadata) -> String {
    let Metadata {
        created,
        labels,
        platforms,
    } = metadata;
    let line = MetadataLine {
        version: VERSION,
        digest: digest.to_string(),
        created: created.map(|created| created.to_string()),
        labels: labels.clone(),
        platforms: platforms.clone(),
    };
    let text = serde_json::to_string(&line).expect("strings are JSON");
    format!("{text}\n")
}

/// Reads what can be read; a line that was cut short by a crash is passed over.
fn read_metadata(folder: &Path) -> BTreeMap<Digest, Metadata> {
    let text = read(&metadata_file(folder)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let line: MetadataLine = serde_json::from_str(line).ok()?;
        let metadata = Metadata {
            created: line.created.and_then(|created| created.parse().ok()),
            labels: line.labels,
            platforms: line.platforms,
        };
        (line.version == VERSION).then_some((line.digest.parse().ok()?, metadata))
    });
    lines.take(METADATA_MAX).collect()
}

fn seen_text(repository: &Repository, seen: &Seen) -> String {
    let Seen { tags, shrunk_since } = seen;
    let mut by_time: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, first_seen) in tags {
        let at = by_time.entry(first_seen.to_string()).or_default();
        at.push(tag.to_string());
    }
    let file = SeenFile {
        version: VERSION,
        repository: repository.to_string(),
        shrunk_since: shrunk_since.map(|since| since.to_string()),
        seen: by_time,
    };
    serde_json::to_string(&file).expect("strings are JSON")
}

fn read_seen(folder: &Path, repository: &Repository) -> Option<Seen> {
    let text = read(&file_of(folder, "seen", repository))?;
    let file: SeenFile = serde_json::from_str(&text).ok()?;
    if file.version != VERSION || file.repository != repository.to_string() {
        return None;
    }
    let mut tags = BTreeMap::new();
    for (first_seen, names) in file.seen {
        let first_seen: Timestamp = first_seen.parse().ok()?;
        for name in names {
            tags.insert(name.parse().ok()?, first_seen);
        }
    }
    Some(Seen {
        tags,
        shrunk_since: file.shrunk_since.and_then(|since| since.parse().ok()),
    })
}

fn pushed_text(repository: &Repository, times: &PushTimes) -> String {
    let PushTimes {
        api,
        whole_at,
        times,
    } = times;
    let pushed = times
        .iter()
        .map(|(tag, at)| (tag.to_string(), at.to_string()));
    let file = PushedFile {
        version: VERSION,
        repository: repository.to_string(),
        api: api.to_string(),
        whole_at: whole_at.to_string(),
        pushed: pushed.collect(),
    };
    serde_json::to_string(&file).expect("strings are JSON")
}

fn read_pushed(folder: &Path, repository: &Repository) -> Option<PushTimes> {
    let text = read(&file_of(folder, "pushed", repository))?;
    let file: PushedFile = serde_json::from_str(&text).ok()?;
    if file.version != VERSION || file.repository != repository.to_string() {
        return None;
    }
    let parse = |(tag, at): (String, String)| Some((tag.parse().ok()?, at.parse().ok()?));
    Some(PushTimes {
        api: PushApi::of_name(&file.api)?,
        whole_at: file.whole_at.parse().ok()?,
        times: file.pushed.into_iter().map(parse).collect::<Option<_>>()?,
    })
}

fn read(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    (size <= FILE_BYTES_MAX).then(|| fs::read_to_string(path).ok())?
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    // Another process may use the same cache.
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&aside, text)?;
    fs::rename(&aside, path)
}

fn warn_of(path: &Path, written: io::Result<()>) {
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "failed to write the cache");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Cache, METADATA_MAX, lock};
    use crate::registry::Metadata;

    #[test]
    fn a_full_cache_forgets_half_and_takes_the_new_image() {
        let cache = Cache::open(None);
        let digest = |number: usize| format!("sha256:{number:064x}").parse().unwrap();
        for number in 0..METADATA_MAX {
            cache.keep_metadata(&digest(number), &Metadata::default());
        }
        assert_eq!(lock(&cache.metadata).len(), METADATA_MAX);
        cache.keep_metadata(&digest(METADATA_MAX), &Metadata::default());
        assert_eq!(lock(&cache.metadata).len(), METADATA_MAX / 2 + 1);
        assert!(cache.metadata(&digest(METADATA_MAX)).is_some());
    }
}
