//! Where the version of an image stands in a manifests repository, and how it is read and written there.
//!
//! Not here: bytes and YAML (`edit`), and which version is wanted (`policy`, `plan`).
//! Invariant: a write changes the bytes of the version and nothing else, or is refused with file and line.

mod commit;
mod fault;
mod helm;
mod kustomize;
mod name;
mod path;
mod place;
mod set_image;

use crate::edit::{self, Draft, Path, Reach, Scan, Shared};
use crate::image::{Digest, Repository, Tag};
use fault::{Cause, Fault};
use helm::Holds;
use place::Place;

pub(crate) use commit::CommitId;
pub(crate) use fault::SiteError;
pub(crate) use path::RepoPath;
pub(crate) use set_image::{ImageArgument, set_image};

/// A site of a policy: a file, and where in it an image's version is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    pub(crate) path: RepoPath,
    pub(crate) form: Form,
    pub(crate) reach: Reach,
}

/// What kind of place a site is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The `images:` entry of a kustomization: the path is the folder that holds it, or the file itself.
    Kustomize,
    /// Helm values: a map with `repository` or `name` and `tag` or `version`, a list of such, or one scalar.
    Helm { at: Path },
    /// Any scalar by path.
    Yaml { at: Path },
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

/// What stands at one place of a site now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The tag as written, which may be no tag at all (an empty value, a template).
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
    /// One-based line of the version, or of the place where it would be added.
    pub(crate) line: usize,
    /// The path to the version, or to where it would be added; none in a file without values.
    pub(crate) path: Option<Path>,
    /// The places that change with it, since they say it by an alias.
    pub(crate) shared: Vec<Shared>,
}

/// The names under which kustomize looks for a kustomization in a folder.
pub(crate) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What is looked for at a site.
#[derive(Clone, Copy)]
struct Ask<'a> {
    image: &'a Repository,
    reach: &'a Reach,
}

impl Site {
    /// The files in which the site may stand; exactly one of them has to exist.
    ///
    /// A path that ends as a kustomization is called is that file; any other is the folder of one.
    pub(crate) fn files(&self) -> Vec<RepoPath> {
        let name = self.path.as_str().rsplit('/').next().unwrap_or_default();
        let is_folder = match self.form {
            Form::Kustomize => !KUSTOMIZATIONS.contains(&name),
            Form::Helm { .. } | Form::Yaml { .. } => false,
        };
        match is_folder {
            true => KUSTOMIZATIONS.map(|name| self.path.join(name)).to_vec(),
            false => vec![self.path.clone()],
        }
    }
}

/// Scans `text`, which stands in `file`: once, however many sites are read in it.
pub(crate) fn scan<'t>(file: &RepoPath, text: &'t str) -> Result<Scan<'t>, SiteError> {
    Scan::new(text).map_err(|refusal| Fault::from(refusal).of(file))
}

/// Reads what stands at `site` for `image` in `file`, one of [`Site::files`]; at least one place.
pub(crate) fn read(
    site: &Site,
    (file, scan): (&RepoPath, &Scan<'_>),
    image: &Repository,
) -> Result<Vec<Standing>, SiteError> {
    let reach = &site.reach;
    let ask = Ask { image, reach };
    let standings = match &site.form {
        Form::Kustomize => kustomize::read(scan, ask).map(|standing| vec![standing]),
        Form::Helm { .. } | Form::Yaml { .. } => {
            places(scan, &site.form, ask).and_then(|places| place::read(&places, scan, ask))
        }
    };
    standings.map_err(|fault| fault.of(file))
}

/// Gives back `text` with `version` of `image` written at `site`, as `write` says.
pub(crate) fn write(
    site: &Site,
    (file, text): (&RepoPath, &str),
    image: &Repository,
    wanted: (&Version, Write),
) -> Result<String, SiteError> {
    let reach = &site.reach;
    let ask = Ask { image, reach };
    let draft = |draft: &mut Draft<'_, '_>| match &site.form {
        Form::Kustomize => kustomize::write(draft, ask, wanted),
        Form::Helm { .. } | Form::Yaml { .. } => {
            let places = places(draft.scan(), &site.form, ask)?;
            place::write(&places, draft, ask, wanted)
        }
    };
    let scan = scan(file, text)?;
    edit::edited(&scan, draft).map_err(|fault: Fault| fault.of(file))
}

/// The places of a site that is no kustomization; at least one.
fn places(scan: &Scan<'_>, form: &Form, ask: Ask<'_>) -> Result<Vec<Place>, Fault> {
    match form {
        Form::Kustomize => unreachable!("a kustomization's entries are its own"),
        Form::Helm { at } => helm::places(scan, at, Holds::Image, ask),
        Form::Yaml { at } => helm::places(scan, at, Holds::Scalar, ask),
    }
}

/// The digest of a version, where it is needed.
fn known_digest(version: &Version) -> Result<&str, Cause> {
    let Version { tag, digest } = version;
    let unknown = || Cause::DigestUnknown { tag: tag.clone() };
    digest.as_ref().map(Digest::as_str).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
