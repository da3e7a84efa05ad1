//! Where the version of an image stands in a manifests repository, and how it is read and written there.
//!
//! Not here: bytes and YAML (`edit`), and which version is wanted (`policy`, `plan`).
//! Invariant: a write changes the bytes of the version and nothing else, or is refused with file and line.

mod commit;
mod path;

use crate::edit::Path;
use crate::image::{Digest, Repository, Tag};

pub(crate) use commit::{CommitId, ParseCommitIdError};
pub(crate) use path::{ParseRepoPathError, RepoPath};

/// A place in the manifests repository where an image's version is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// The `images:` entry of a kustomization: the folder that holds it, or the file itself.
    Kustomize { path: RepoPath },
    /// A Helm values file: a map with `repository` or `name` and `tag` or `version`, or one scalar.
    Helm { file: RepoPath, at: Path },
    /// Any scalar by path.
    Yaml { file: RepoPath, at: Path },
}

/// What is written at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Tag,
    Digest,
    TagAndDigest,
}

/// The version that a site gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) tag: Tag,
    /// Needed where the digest is written; recorded where it is known.
    pub(crate) digest: Option<Digest>,
}

/// What stands at a site now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The tag as written, which may be no tag at all (an empty value, a template).
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
    /// One-based line of the version, or of the place where it would be added.
    pub(crate) line: usize,
}

/// Why a site cannot be read or written exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub(crate) struct SiteError {
    pub(crate) file: RepoPath,
    /// One-based.
    pub(crate) line: Option<usize>,
    pub(crate) reason: String,
}

impl Site {
    /// The files in which the site may stand; exactly one of them has to exist.
    pub(crate) fn files(&self) -> Vec<RepoPath> {
        unimplemented!()
    }
}

/// Reads what stands at `site` for `image` in `file`, one of [`Site::files`].
pub(crate) fn read(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
) -> Result<Standing, SiteError> {
    let _ = (site, file, bytes, image);
    unimplemented!()
}

/// Gives back `bytes` with `version` of `image` written at `site`, as `write` says.
pub(crate) fn write(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
    (version, write): (&Version, Write),
) -> Result<Vec<u8>, SiteError> {
    let _ = (site, file, bytes, image, version, write);
    unimplemented!()
}
