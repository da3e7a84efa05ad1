//! What a planned change renders to. Somebody is to read it, and it decides nothing.

pub(super) mod saved;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Fact;
use crate::manifest::{CommitId, RepoPath};
use crate::policy::RepositoryName;

/// Some files of a commit, replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rendering {
    pub(crate) repository: RepositoryName,
    pub(crate) base: CommitId,
    /// A checksum of the files' paths and new texts.
    pub(crate) changed: String,
}

/// What is rendered of the folders that the files are in; one folder may be rendered in several ways.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) folders: Vec<RenderedFolder>,
}

/// A kustomization, or a chart with some values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RenderedFolder {
    pub(crate) folder: RepoPath,
    /// `kustomize`, `helm`.
    pub(crate) program: String,
    /// The changed files that show in it.
    pub(crate) files: BTreeSet<RepoPath>,
    /// Those that differ.
    pub(crate) objects: Fact<Arc<Vec<RenderedObject>>>,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderedObject {
    /// `Deployment shop/web`
    pub(crate) name: String,
    /// Empty where it is new.
    pub(crate) before: Arc<str>,
    /// Empty where it goes.
    pub(crate) after: Arc<str>,
}
