//! Reads which folders of a convention there are.

use std::collections::BTreeSet;

use super::whole_message;
use crate::git::{Entry, Mirror, ReadError};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::FolderPattern;
use crate::world::Fact;

/// Most folders of one pattern: twice the 10,000 policies that one daemon is made for.
const FOLDERS_MAX: usize = 20_000;

/// The names of the folders of `pattern` at `head`.
pub(super) async fn read(
    mirror: &Mirror,
    head: Option<&CommitId>,
    pattern: &FolderPattern,
) -> Fact<BTreeSet<String>> {
    let unknown = |why: String| Fact::Unknown { why };
    let Some(head) = head else {
        return unknown("there is no such branch".to_owned());
    };
    match read_at(mirror, head, pattern).await {
        Ok(names) if names.len() > FOLDERS_MAX => {
            unknown(format!("they are more than {FOLDERS_MAX}"))
        }
        Ok(names) => Fact::Known(names),
        Err(error) => unknown(whole_message(&error, None::<&str>)),
    }
}

async fn read_at(
    mirror: &Mirror,
    head: &CommitId,
    pattern: &FolderPattern,
) -> Result<BTreeSet<String>, ReadError> {
    let folders = mirror
        .folders(head.clone(), pattern.parent().clone())
        .await?;
    // As for the globs of a shell.
    let shown = folders.iter().filter(|folder| !folder.starts_with('.'));
    let names = shown.filter_map(|folder| pattern.name_in(folder));
    // What a folder must have in it, is there only where git's names make a path that we would write.
    let placed = names.filter_map(|name| {
        let folder: RepoPath = pattern.folder_of(name).as_str().parse().ok()?;
        Some((name, folder))
    });
    let placed: Vec<(&str, RepoPath)> = placed.collect();
    let paths = placed.iter().map(|(_, folder)| folder.clone()).collect();
    let entries = mirror.read(head.clone(), paths).await?;
    let is_there = |folder: &RepoPath| matches!(entries.get(folder), Some(Entry::Folder));
    let names = placed.into_iter().filter(|(_, folder)| is_there(folder));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}
