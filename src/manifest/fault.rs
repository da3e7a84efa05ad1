//! Faults: why a site cannot be read or written exactly.
//!
//! Not here: what is wrong with the YAML itself (`edit::Reason`).

use super::RepoPath;
use crate::edit::{Known, Reason, Refusal};
use crate::image::{Repository, Tag};

/// Why a site cannot be read or written exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub(crate) struct SiteError {
    pub(crate) file: RepoPath,
    /// One-based.
    pub(crate) line: Option<usize>,
    pub(crate) reason: String,
}

/// A [`SiteError`] before the file's name is put to it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    pub(super) cause: Cause,
}

/// Why a site cannot be read or written exactly.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
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
    #[error("the map has no `repository`, `name`, `image`, `tag` or `version`")]
    NotAnImageMap,
    #[error("Helm reads the first document of a values file only, and this is another")]
    NotFirstDocument,
    #[error(
        "kustomize takes the name `{name}` for a pattern that `{image}` matches too; write the image's name out"
    )]
    PatternName { name: String, image: Repository },
    #[error("no {what} here is `{image}`; {known}")]
    NoneHere {
        /// What was looked through: `item`, `container`.
        what: &'static str,
        image: Repository,
        known: Known,
    },
}

impl Fault {
    pub(super) fn at(line: usize, cause: Cause) -> Self {
        Self {
            line: Some(line),
            cause,
        }
    }

    /// The fault of YAML that stands in a block below `above` lines of the file.
    pub(super) fn in_block(self, above: usize) -> Self {
        let Self { line, cause } = self;
        Self {
            line: Some(above + line.unwrap_or(1)),
            cause,
        }
    }

    pub(super) fn of(self, file: &RepoPath) -> SiteError {
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
