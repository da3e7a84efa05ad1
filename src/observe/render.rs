//! What a planned change renders to: reads what that takes out of the mirror, and lets it be rendered.
//!
//! Invariant: an answer comes within a bounded time, whatever is rendered, and what could not be rendered is told in words that may
//! stand in a pull request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{Sources, whole_message};
use crate::git::{Entry, Mirror, Most, ReadError};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::RepositoryName;
use crate::render::{
    FILES_BYTES_MAX, FILES_MAX, Files, Object, RenderError, Renderer, Root, candidates, overlaid,
    unread,
};
use crate::world::{Fact, Rendered, RenderedFolder, RenderedObject, Rendering};

/// Folders of one change that are rendered. One promotion changes one to three; a group of an environment has as many as anybody reads.
const FOLDERS_MAX: usize = 50;

/// Folders that are read at once. Fewer are rendered at once.
const FOLDERS_AT_ONCE: usize = 4;

/// How long a pull request waits for what it renders to: 50 folders at 0.4 s each, three times, two at once, take 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why one of so many folders is not rendered.
const MANY: &str = "too many other folders change with it";

/// The new texts of files, by their paths.
type Changed = BTreeMap<RepoPath, Arc<str>>;

impl Sources {
    /// Renders a change, and keeps what came of it.
    pub(super) async fn ask_rendering(&self, rendering: Rendering, changed: Changed) {
        let rendered = self.rendered(&rendering, &changed).await;
        self.readings().rendered.insert(rendering, rendered);
    }

    async fn rendered(&self, rendering: &Rendering, changed: &Changed) -> Fact<Arc<Rendered>> {
        let Rendering {
            repository, base, ..
        } = rendering;
        let (Some(mirror), Some(renderer)) = (self.mirrors.get(repository), self.renderer.as_ref())
        else {
            let why = "nothing renders it".to_owned();
            return Fact::Unknown { why };
        };
        let roots = match roots((mirror, renderer), base, changed).await {
            Ok(roots) => roots,
            Err(error) => {
                let why = whole_message(&error, None::<&str>);
                return Fact::Unknown { why };
            }
        };
        let end = Instant::now() + PATIENCE;
        let work = Work {
            mirror,
            renderer,
            base,
            changed,
            end,
        };
        let folders = stream::iter(roots.into_iter().enumerate())
            .map(|(place, (root, files))| work.folder(place, root, files))
            .buffered(FOLDERS_AT_ONCE)
            .collect()
            .await;
        Fact::Known(Arc::new(Rendered { folders }))
    }

    /// Forgets what was rendered of other commits than those at the heads of `repository`, and what could not be read.
    pub(super) fn forget_renderings(
        &self,
        repository: &RepositoryName,
        heads: &BTreeSet<CommitId>,
    ) {
        self.readings().rendered.retain(|rendering, fact| {
            let is_known = matches!(fact, Fact::Known(_));
            rendering.repository != *repository || (is_known && heads.contains(&rendering.base))
        });
    }
}

/// What renders the changed files, with those that each root has.
async fn roots(
    (mirror, renderer): (&Mirror, &Renderer),
    base: &CommitId,
    changed: &Changed,
) -> Result<BTreeMap<Root, BTreeSet<RepoPath>>, ReadError> {
    let paths: BTreeSet<RepoPath> = changed.keys().flat_map(candidates).collect();
    let entries = mirror.read(base.clone(), paths.into_iter().collect());
    let entries = entries.await?.into_iter();
    let is_file = |entry: &Entry| matches!(entry, Entry::File { .. });
    let present = entries.filter(|(_, entry)| is_file(entry));
    let present: BTreeSet<RepoPath> = present.map(|(path, _)| path).collect();
    let mut roots: BTreeMap<Root, BTreeSet<RepoPath>> = BTreeMap::new();
    for file in changed.keys() {
        if let Some(root) = Root::of(file, &present).filter(|root| renderer.renders(root)) {
            roots.entry(root).or_default().insert(file.clone());
        }
    }
    Ok(roots)
}

/// A change that is rendered.
#[derive(Clone, Copy)]
struct Work<'a> {
    mirror: &'a Mirror,
    renderer: &'a Renderer,
    base: &'a CommitId,
    changed: &'a Changed,
    end: Instant,
}

impl Work<'_> {
    async fn folder(self, place: usize, root: Root, files: BTreeSet<RepoPath>) -> RenderedFolder {
        let objects = match place < FOLDERS_MAX {
            true => timeout_at(self.end, self.objects(&root)).await,
            false => Ok(Err(MANY.to_owned())),
        };
        let late = |_| Err(format!("it took longer than {} s", PATIENCE.as_secs()));
        let objects = objects.unwrap_or_else(late);
        if let Err(why) = &objects {
            let (folder, program) = (root.folder(), root.program());
            tracing::info!(%folder, %program, why, "not rendered");
        }
        RenderedFolder {
            folder: root.folder().clone(),
            program: root.program().to_string(),
            files,
            objects: match objects {
                Ok(objects) => Fact::Known(Arc::new(objects)),
                Err(why) => Fact::Unknown { why },
            },
        }
    }

    async fn objects(self, root: &Root) -> Result<Vec<RenderedObject>, String> {
        let said = |error: RenderError| error.to_string();
        let files = self.files(root).await?;
        let objects = self.renderer.compare(root, &files, self.changed).await;
        let objects = objects.map_err(said)?;
        let shown = objects.iter().map(|object| {
            let Object {
                name,
                before,
                after,
            } = object.clone();
            RenderedObject {
                name,
                before,
                after,
            }
        });
        Ok(shown.collect())
    }

    /// All files that `root` is rendered from, before and after the change.
    async fn files(self, root: &Root) -> Result<Files, String> {
        let (mut files, mut read) = (Files::new(), BTreeSet::new());
        loop {
            let said = |error: RenderError| error.to_string();
            let after = overlaid(&files, self.changed);
            let mut missing = unread(root, &files, &read).map_err(said)?;
            missing.extend(unread(root, &after, &read).map_err(said)?);
            if missing.is_empty() {
                return Ok(files);
            }
            for folder in missing {
                let left = Most {
                    files: FILES_MAX.saturating_sub(files.len()),
                    bytes: FILES_BYTES_MAX
                        .saturating_sub(files.values().map(|bytes| bytes.len()).sum()),
                };
                let below = self.mirror.below((self.base.clone(), folder.clone()), left);
                // Why the mirror cannot be read is nothing that reviewers could use.
                let below = below.await.map_err(|_| "it could not be read".to_owned())?;
                let below = below.ok_or_else(|| said(RenderError::ManyFiles))?;
                let below = below.into_iter();
                files.extend(below.map(|(path, bytes)| (path, bytes.into())));
                read.insert(folder);
            }
        }
    }
}
