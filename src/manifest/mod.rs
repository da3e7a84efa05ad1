//! Where the version of an image stands in a manifests repository, and how it is read and written there.
//!
//! Not here: bytes and YAML (`edit`), and which version is wanted (`policy`, `plan`).
//! Invariant: a write changes the bytes of the version and nothing else, or is refused with file and line.

mod commit;
mod helm;
mod kustomize;
mod path;

use crate::edit::{self, Path, Reason, Refusal};
use crate::image::{Digest, Repository, Tag};
use helm::Form;

pub(crate) use commit::{CommitId, ParseCommitIdError};
pub(crate) use kustomize::{ImageArgument, ParseImageArgumentError, set_image};
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

/// The names under which kustomize looks for a kustomization in a folder.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A [`SiteError`] before the file's name is put to it.
#[derive(Debug)]
struct Fault {
    line: Option<usize>,
    cause: Cause,
}

/// Why a site cannot be read or written exactly.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Edit(#[from] Reason),
    #[error(
        "a digest stands here and would go on deciding what runs; remove it, or let the policy `write: tag@digest`"
    )]
    DigestStands,
    #[error("the digest of `{tag}` is not known, and this site is written with it")]
    DigestUnknown { tag: Tag },
    #[error("`{found}` stands here, not `{image}`")]
    OtherImage { found: String, image: Repository },
    #[error("the map has no `repository`, `name`, `tag` or `version`")]
    NotAnImageMap,
}

impl Site {
    /// The files in which the site may stand; exactly one of them has to exist.
    ///
    /// A path that ends as a kustomization is called is that file; any other is the folder of one.
    pub(crate) fn files(&self) -> Vec<RepoPath> {
        match self {
            Self::Kustomize { path } => {
                let name = path.as_str().rsplit('/').next().unwrap_or_default();
                match KUSTOMIZATIONS.contains(&name) {
                    true => vec![path.clone()],
                    false => KUSTOMIZATIONS.map(|name| path.join(name)).to_vec(),
                }
            }
            Self::Helm { file, .. } | Self::Yaml { file, .. } => vec![file.clone()],
        }
    }
}

/// Reads what stands at `site` for `image` in `file`, one of [`Site::files`].
pub(crate) fn read(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
) -> Result<Standing, SiteError> {
    let standing = |text: &str| match site {
        Site::Kustomize { .. } => kustomize::read(text, image),
        Site::Helm { at, .. } => helm::read(text, (at, Form::MapOrScalar), image),
        Site::Yaml { at, .. } => helm::read(text, (at, Form::Scalar), image),
    };
    let text = edit::text(bytes).map_err(Fault::from);
    text.and_then(standing).map_err(|fault| fault.of(file))
}

/// Gives back `bytes` with `version` of `image` written at `site`, as `write` says.
pub(crate) fn write(
    site: &Site,
    file: &RepoPath,
    bytes: &[u8],
    image: &Repository,
    wanted: (&Version, Write),
) -> Result<Vec<u8>, SiteError> {
    let written = |text: &str| match site {
        Site::Kustomize { .. } => kustomize::write(text, image, wanted),
        Site::Helm { at, .. } => helm::write(text, (at, Form::MapOrScalar), image, wanted),
        Site::Yaml { at, .. } => helm::write(text, (at, Form::Scalar), image, wanted),
    };
    let text = edit::text(bytes).map_err(Fault::from);
    let text = text.and_then(written).map_err(|fault| fault.of(file))?;
    Ok(text.into_bytes())
}

impl Fault {
    fn of(self, file: &RepoPath) -> SiteError {
        let Self { line, cause } = self;
        SiteError {
            file: file.clone(),
            line,
            reason: cause.to_string(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(Refusal { line, reason }: Refusal) -> Self {
        let cause = Cause::Edit(reason);
        Self { line, cause }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self { line: None, cause }
    }
}

/// The digest of a version, where it is needed.
fn known_digest(version: &Version) -> Result<&str, Cause> {
    let Version { tag, digest } = version;
    let unknown = || Cause::DigestUnknown { tag: tag.clone() };
    digest.as_ref().map(Digest::as_str).ok_or_else(unknown)
}

/// Splits `v1@sha256:…` at its `@`.
fn split_digest(text: &str) -> (&str, Option<&str>) {
    text.split_once('@')
        .map_or((text, None), |(rest, digest)| (rest, Some(digest)))
}

/// Splits `localhost:5000/web:v1` at the colon that belongs to a tag.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let name = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name..].split_once(':') {
        Some((last, tag)) => (&text[..name + last.len()], Some(tag)),
        None => (text, None),
    }
}

/// The name of a repository as people write it, Docker Hub's in short.
///
/// Kustomize compares names letter by letter, and manifests have the short ones.
fn familiar(image: &Repository) -> String {
    match (image.registry(), image.path()) {
        ("docker.io", path) => path.strip_prefix("library/").unwrap_or(path).to_owned(),
        _ => image.to_string(),
    }
}
