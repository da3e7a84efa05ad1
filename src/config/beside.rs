//! Files beside the settings and policies: public keys and trust roots. Each is read once, and what it holds counts like what a policy says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::files;

/// The files that were named, with what stands in each or why that cannot be read.
#[derive(Default)]
pub(super) struct Beside {
    read: BTreeMap<PathBuf, Result<Arc<str>, String>>,
}

impl Beside {
    pub(super) fn text(&mut self, path: &Path) -> Result<Arc<str>, String> {
        let read = |path: &Path| match files::read(path) {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(error.to_string()),
        };
        let known = self.read.entry(path.to_owned());
        known.or_insert_with(|| read(path)).clone()
    }

    /// Adds what was read to what tells whether anything changed.
    pub(super) fn join(&self, fingerprint: &mut Sha256) {
        for (path, text) in &self.read {
            fingerprint.update(path.as_os_str().as_encoded_bytes());
            match text {
                Ok(text) => fingerprint.update(Sha256::digest(text.as_bytes())),
                Err(error) => fingerprint.update(error),
            }
        }
    }

    /// The folders in which a change can make the next reading differ.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let folders = self.read.keys().filter_map(|path| path.parent());
        folders.filter(|folder| folder.is_dir()).map(Path::to_owned)
    }
}
