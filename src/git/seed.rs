//! A new bare repository with one commit, for the demonstration.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Repository, RepositoryInitOptions, Signature, Time};
use jiff::Timestamp;

use super::push::Person;

/// The branch that a new repository has.
const BRANCH: &str = "main";

/// Why a repository could not be made.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SeedError(#[from] git2::Error);

/// Makes a bare repository in `folder` whose branch `main` holds `files`.
pub(crate) fn seed(
    folder: &Path,
    files: &[(&str, String)],
    (author, at): (&Person, Timestamp),
) -> Result<(), SeedError> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).initial_head(BRANCH);
    let repository = Repository::init_opts(folder, &options)?;
    let mut tree = TreeUpdateBuilder::new();
    for (path, text) in files {
        tree.upsert(path, repository.blob(text.as_bytes())?, FileMode::Blob);
    }
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let tree = repository.find_tree(tree.create_updated(&repository, &empty)?)?;
    let signature = Signature::new(&author.name, &author.email, &Time::new(at.as_second(), 0))?;
    let branch = format!("refs/heads/{BRANCH}");
    repository.commit(
        Some(&branch),
        &signature,
        &signature,
        "the sample\n",
        &tree,
        &[],
    )?;
    Ok(())
}
