//! What stands at the sites of one image in one environment.

use crate::image::Repository;
use crate::manifest::{self, RepoPath, Site, Standing};
use crate::policy::{Environment, ImageName};
use crate::world::{BranchFacts, File};

/// A site in the file where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Located {
    pub(crate) site: Site,
    pub(crate) file: RepoPath,
}

/// Reads every site of `image`, or says why one cannot be read.
pub(super) fn read_sites(
    environment: &Environment,
    image: &ImageName,
    repository: &Repository,
    facts: &BranchFacts,
) -> Result<Vec<(Located, Standing)>, String> {
    environment
        .sites_of(image)
        .map(|site| {
            let (file, text) = find_file(site, facts)?;
            let standing = manifest::read(site, file, text.as_bytes(), repository)
                .map_err(|error| error.to_string())?;
            Ok((
                Located {
                    site: site.clone(),
                    file: file.clone(),
                },
                standing,
            ))
        })
        .collect()
}

/// The one file of `site` that exists, as text.
fn find_file<'a>(site: &Site, facts: &'a BranchFacts) -> Result<(&'a RepoPath, &'a str), String> {
    let mut found = None;
    let files = site.files();
    for path in &files {
        let Some((path, file)) = facts.files.get_key_value(path) else {
            continue;
        };
        let text = match file {
            File::Missing => continue,
            File::Text(text) => text.as_ref(),
            File::NotUtf8 => return Err(format!("`{path}` is not UTF-8")),
            File::Symlink => {
                return Err(format!(
                    "`{path}` is or stands behind a symbolic link, which is never followed"
                ));
            }
            File::FolderOrSubmodule => return Err(format!("`{path}` is not a file")),
            File::TooLarge { size_bytes } => {
                return Err(format!("`{path}` is too large to edit: {size_bytes} bytes"));
            }
        };
        if let Some((other, _)) = found {
            return Err(format!("both `{other}` and `{path}` exist; keep one"));
        }
        found = Some((path, text));
    }
    found.ok_or_else(|| match files.as_slice() {
        [only] => format!("`{only}` does not exist"),
        several => {
            let names: Vec<String> = several.iter().map(|path| format!("`{path}`")).collect();
            format!("none of {} exists", names.join(", "))
        }
    })
}
