//! What a policy moves: the repository of an image or of a Helm chart.
//!
//! Not here: the other nouns of the files (`nouns`).

use super::shape::{Leaf, Refusal};
use crate::image::Repository;

/// The repository of an image, or with `oci://` before it that of a Helm chart, as Helm and Argo CD write it.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) repository: Repository,
    pub(super) kind: ArtifactKind,
}

/// What is kept in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArtifactKind {
    Image,
    Chart,
}

impl Leaf for Artifact {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (name, kind) = match text.strip_prefix("oci://") {
            Some(name) => (name, ArtifactKind::Chart),
            None => (text, ArtifactKind::Image),
        };
        let repository = name.parse()?;
        Ok(Self { repository, kind })
    }
}
