//! What a folder of a repository renders to before and after a change: `kustomize build` and `helm template`, run on a copy.
//!
//! Reading order: this file, `root` (what renders a file, and what has to be read for it), `program` (how it is run), `object` (which
//! objects differ). Not here: reading the repository (`git`), and how the difference is shown (`plan`).
//! Invariant: a program sees regular files of one commit and nothing else: an empty environment, a home that is empty, no network as
//! far as that can be had, and an end. No value of a Secret comes out.

mod object;
mod program;
mod root;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::{OnceCell, Semaphore};

use crate::manifest::RepoPath;
use program::run;

pub(crate) use object::Object;
pub(crate) use program::{in_path, version};
pub(crate) use root::{Root, candidates, unread};

/// Most files that a rendering may need: a large chart with all its dependencies has some hundreds.
pub(crate) const FILES_MAX: usize = 2_000;

/// Most bytes of them: 2,000 manifests of 8 kB.
pub(crate) const FILES_BYTES_MAX: usize = 16 << 20;

/// Programs at once. Each takes a core for about a second; promotions go on meanwhile.
const RUNS_AT_ONCE_MAX: usize = 2;

/// What is remembered: of 20 kB each, which is a large Deployment before and after, 64 MiB are the objects of 3,000 folders.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// How many answers are remembered, empty ones and refusals too.
const KEPT_MAX: usize = 4_096;

/// Files by their paths in the repository.
pub(crate) type Files = BTreeMap<RepoPath, Arc<[u8]>>;

/// Where the programs are, and what they made of what they were given.
pub(crate) struct Renderer {
    kustomize: Option<PathBuf>,
    helm: Option<PathBuf>,
    /// A folder of our own, for copies.
    scratch: PathBuf,
    runs: Semaphore,
    kept: Mutex<HashMap<Key, Arc<OnceCell<Compared>>>>,
}

/// The programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Kustomize,
    Helm,
}

/// The objects that differ, or why that is not known.
type Compared = Result<Arc<Vec<Object>>, RenderError>;

/// A checksum of all that an answer depends on.
type Key = [u8; 32];

/// Why something is not rendered. What is said stands in pull requests: no path of the machine, nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("it needs more than {FILES_MAX} files, or more than {} MiB of them", FILES_BYTES_MAX >> 20)]
    ManyFiles,
    #[error("there is no kustomization in `{folder}` that can be read")]
    Kustomization { folder: RepoPath },
    #[error("`{file}` names `{entry}`, which is not in this repository")]
    Elsewhere { file: RepoPath, entry: String },
    #[error("`{file}` has `{field}`, and no plugins and no charts are run from kustomizations")]
    Plugin { file: RepoPath, field: String },
    #[error("`{program}` cannot be run: {words}")]
    NotRun { program: Program, words: String },
    #[error("`{program}` did not end within {} s", program::TIMEOUT.as_secs())]
    Slow { program: Program },
    #[error("`{program}` rendered more than {} MiB", program::OUTPUT_BYTES_MAX >> 20)]
    LongOutput { program: Program },
    #[error("`{program}` says: {words}")]
    Failed { program: Program, words: String },
    #[error("what `{program}` rendered is no list of objects")]
    NoObjects { program: Program },
    #[error("more than {} KiB of objects change", object::CHANGED_BYTES_MAX >> 10)]
    ManyChanges,
    #[error("the chart renders to something else each time")]
    Varies,
}

impl Renderer {
    /// Renders with these programs, on copies below `scratch`, which is nobody else's: what a killed run left there goes.
    pub(crate) fn new(kustomize: Option<PathBuf>, helm: Option<PathBuf>, scratch: PathBuf) -> Self {
        if let Err(error) = fs::remove_dir_all(&scratch)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "what was rendered before could not be removed");
        }
        Self {
            kustomize,
            helm,
            scratch,
            runs: Semaphore::new(RUNS_AT_ONCE_MAX),
            kept: Mutex::default(),
        }
    }

    fn program(&self, program: Program) -> Option<&Path> {
        match program {
            Program::Kustomize => self.kustomize.as_deref(),
            Program::Helm => self.helm.as_deref(),
        }
    }

    /// The objects that `root` renders to otherwise once `changed` stand in place of what `files` have. Nothing is rendered twice.
    pub(crate) async fn compare(
        &self,
        root: &Root,
        files: &Files,
        changed: &BTreeMap<RepoPath, Arc<str>>,
    ) -> Compared {
        let after = overlaid(files, changed);
        let key = key(root, [files, &after]);
        let cell = self.cell(key);
        let compared = cell.get_or_init(|| self.compare_now(root, files, &after));
        let compared = compared.await.clone();
        if matches!(compared, Err(RenderError::NotRun { .. })) {
            self.kept().remove(&key);
        }
        compared
    }

    async fn compare_now(&self, root: &Root, before: &Files, after: &Files) -> Compared {
        let program = root.program();
        let before = self.render(root, before).await?;
        let rendered = self.render(root, after).await?;
        let again = match program {
            Program::Kustomize => None,
            // Charts may draw lots, for passwords and certificates: that would be news each time.
            Program::Helm => Some(self.render(root, after).await?),
        };
        let compared = tokio::task::spawn_blocking(move || {
            let compare = |after: &str| object::compare(program, &before, after);
            let objects = compare(&rendered)?;
            match again.filter(|again| *again != rendered) {
                Some(again) if compare(&again)? != objects => Err(RenderError::Varies),
                Some(_) | None => Ok(Arc::new(objects)),
            }
        });
        compared.await.expect("comparing does not panic")
    }

    /// What `root` renders to.
    async fn render(&self, root: &Root, files: &Files) -> Result<String, RenderError> {
        let program = root.program();
        let not_run = |error: io::Error| RenderError::NotRun {
            program,
            words: error.kind().to_string(),
        };
        let Some(file) = self.program(program) else {
            let words = "it is not set up".to_owned();
            return Err(RenderError::NotRun { program, words });
        };
        let permit = self.runs.acquire().await;
        let _permit = permit.expect("nobody closes it");
        let (scratch, files) = (self.scratch.clone(), files.clone());
        let copied = tokio::task::spawn_blocking(move || copy(&scratch, &files));
        let copied = copied.await.expect("copying does not panic");
        let copy = copied.map_err(not_run)?;
        let arguments = root.arguments(&copy.path().join(TREE));
        run((program, file), &arguments, copy.path()).await
    }

    fn cell(&self, key: Key) -> Arc<OnceCell<Compared>> {
        let mut kept = self.kept();
        let bytes = |cell: &Arc<OnceCell<Compared>>| match cell.get() {
            Some(Ok(objects)) => objects.iter().map(Object::size).sum(),
            Some(Err(_)) | None => 0,
        };
        let is_full =
            kept.len() > KEPT_MAX || kept.values().map(bytes).sum::<usize>() > KEPT_BYTES_MAX;
        if is_full {
            kept.clear();
        }
        kept.entry(key).or_default().clone()
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Arc<OnceCell<Compared>>>> {
        self.kept
            .lock()
            .expect("nothing panics while it holds what is kept")
    }

    /// Whether a program for it is set up.
    pub(crate) fn renders(&self, root: &Root) -> bool {
        self.program(root.program()).is_some()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kustomize => "kustomize",
            Self::Helm => "helm",
        })
    }
}

/// Where the files stand in a copy; the program's home is beside it.
const TREE: &str = "tree";

/// Writes `files` into a new folder, which goes with what is given back.
fn copy(scratch: &Path, files: &Files) -> io::Result<TempDir> {
    fs::create_dir_all(scratch)?;
    let folder = tempfile::tempdir_in(scratch)?;
    fs::create_dir(folder.path().join(program::HOME))?;
    let tree = folder.path().join(TREE);
    fs::create_dir(&tree)?;
    for (path, bytes) in files {
        let file = tree.join(path.as_str());
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, bytes)?;
    }
    Ok(folder)
}

/// `files` with `changed` in their places; what has no place there is not rendered.
pub(crate) fn overlaid(files: &Files, changed: &BTreeMap<RepoPath, Arc<str>>) -> Files {
    let mut after = files.clone();
    for (path, bytes) in &mut after {
        if let Some(text) = changed.get(path) {
            *bytes = text.as_bytes().into();
        }
    }
    after
}

fn key(root: &Root, sides: [&Files; 2]) -> Key {
    let mut hash = Sha256::new();
    let mut take = |bytes: &[u8]| {
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    for argument in root.arguments(Path::new(TREE)) {
        take(argument.as_encoded_bytes());
    }
    for files in sides {
        take(&files.len().to_le_bytes());
        for (path, bytes) in files {
            take(path.as_str().as_bytes());
            take(bytes);
        }
    }
    hash.finalize().into()
}

impl Root {
    pub(crate) fn program(&self) -> Program {
        match self {
            Self::Kustomization { .. } => Program::Kustomize,
            Self::Chart { .. } => Program::Helm,
        }
    }

    /// What the program is told where the repository's files stand in `tree`.
    fn arguments(&self, tree: &Path) -> Vec<OsString> {
        match self {
            // <https://kubectl.docs.kubernetes.io/references/kustomize/cmd/build/>; helm and plugins are off unless they are asked for.
            Self::Kustomization { folder } => vec![
                "build".into(),
                "--load-restrictor".into(),
                "LoadRestrictionsRootOnly".into(),
                tree.join(folder.as_str()).into(),
            ],
            // <https://helm.sh/docs/helm/helm_template/>; no cluster is asked, and no host's name.
            Self::Chart { folder, values } => {
                let chart = tree.join(folder.as_str()).into();
                let mut arguments: Vec<OsString> = vec!["template".into(), chart];
                if let Some(values) = values {
                    arguments.push("--values".into());
                    arguments.push(tree.join(values.as_str()).into());
                }
                arguments
            }
        }
    }
}

#[cfg(test)]
mod tests;
