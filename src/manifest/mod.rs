//! Where the version of an image stands in a manifests repository, and how it is read and written there.
//!
//! Not here: bytes and YAML (`edit`), and which version is wanted (`policy`, `plan`).
//! Invariant: a write changes the bytes of the version and nothing else, or is refused with file and line.

mod application;
mod chart;
mod commit;
mod fault;
mod helm;
mod kustomize;
mod markers;
mod name;
mod path;
mod place;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod set_image;
mod ssh_address;
mod workload;

use crate::edit::{self, Draft, Path, Reach, Scan, Shared};
use crate::image::{Digest, Repository, Tag};
use fault::{Cause, Fault};
use helm::Holds;
use place::Place;

pub(crate) use commit::{CommitId, CommitPlace, NamedCommit};
pub(crate) use fault::SiteError;
pub(crate) use path::{ParseRepoPathError, RepoPath};
pub(crate) use set_image::{ImageArgument, set_image};
pub(crate) use ssh_address::{ParseSshAddressError, SshAddress};

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
    /// The charts of a kustomization, `helmCharts:`, by the same paths.
    HelmCharts,
    /// Helm values: a map with `repository` or `name` and `tag` or `version`, a list of such, or one scalar.
    Helm { at: Path },
    /// Any scalar by path.
    Yaml { at: Path },
    /// Kubernetes objects: the containers that use the image, or what `at` leads to in them.
    Manifest { at: Option<Path> },
    /// Argo CD Applications and ApplicationSets: what their sources say of the image, or of `at` in a chart's values.
    Application { at: Option<Path> },
    /// The comments of Flux that name `policy`, as `namespace:name`.
    Markers { policy: String },
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
    /// Whether it is an Application or ApplicationSet of Argo CD: what that deploys lies elsewhere.
    pub(crate) fn is_application(&self) -> bool {
        matches!(self.form, Form::Application { .. })
    }

    /// The files in which the site may stand; exactly one of them has to exist.
    ///
    /// A path that ends as a kustomization is called is that file; any other is the folder of one.
    pub(crate) fn files(&self) -> Vec<RepoPath> {
        let name = self.path.as_str().rsplit('/').next().unwrap_or_default();
        let is_folder = match self.form {
            Form::Kustomize | Form::HelmCharts => !KUSTOMIZATIONS.contains(&name),
            Form::Helm { .. }
            | Form::Yaml { .. }
            | Form::Manifest { .. }
            | Form::Application { .. }
            | Form::Markers { .. } => false,
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
    let standings = match places(scan, &site.form, ask) {
        Ok(Some(places)) => place::read(&places, scan, ask),
        Ok(None) => kustomize::read(scan, ask),
        Err(fault) => Err(fault),
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
    let draft = |draft: &mut Draft<'_, '_>| match places(draft.scan(), &site.form, ask)? {
        Some(places) => place::write(&places, draft, ask, wanted),
        None => kustomize::write(draft, ask, wanted),
    };
    let scan = scan(file, text)?;
    edit::edited(&scan, draft).map_err(|fault: Fault| fault.of(file))
}

/// The places of a site, at least one; none where it is a kustomization, whose entries are read and written as a whole.
fn places(scan: &Scan<'_>, form: &Form, ask: Ask<'_>) -> Result<Option<Vec<Place>>, Fault> {
    match form {
        Form::Kustomize => return Ok(None),
        Form::HelmCharts => chart::of_kustomization(scan, ask),
        Form::Helm { at } => helm::places(scan, at, Holds::Image, ask),
        Form::Yaml { at } => helm::places(scan, at, Holds::Scalar, ask),
        Form::Manifest { at } => workload::places(scan, at.as_ref(), ask),
        Form::Application { at } => application::places(scan, at.as_ref(), ask),
        Form::Markers { policy } => markers::places(scan, policy, ask),
    }
    .map(Some)
}

/// The digest of a version, where it is needed.
fn known_digest(version: &Version) -> Result<&str, Cause> {
    let Version { tag, digest } = version;
    let unknown = || Cause::DigestUnknown { tag: tag.clone() };
    digest.as_ref().map(Digest::as_str).ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
