//! The versions that ran in an environment, from where they go on to the next.
//!
//! Not here: which of them may go on (`screen`).

use jiff::Timestamp;

use super::health::{Asked, Watch};
use crate::image::{Digest, Tag};
use crate::ledger::{Recorded, Runs};
use crate::manifest::{CommitId, Standing};
use crate::policy::{Environment, EnvironmentName};

/// A version that ran in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) tag: Tag,
    pub(super) digest: Option<Digest>,
    /// `None` where no promotion tells it.
    pub(super) since: Option<Timestamp>,
    /// What brought it, where a promotion did.
    pub(super) commit: Option<CommitId>,
    /// Whether it stands there now.
    pub(super) stands: bool,
}

/// The versions that ran in an environment, the first that came first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RanIn<'a> {
    pub(super) environment: &'a EnvironmentName,
    pub(super) versions: Vec<Ran>,
    /// How Argo CD has it, where that matters.
    pub(super) watch: Option<Watch<'a>>,
    pub(super) runs: Runs<'a>,
}

impl Ran {
    /// It, to ask for its health.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            tag: &self.tag,
            digest: self.digest.as_ref(),
            stands: self.stands,
            commit: self.commit.as_ref(),
        }
    }

    /// Whether it is what stands at a place.
    pub(super) fn is_at(&self, standing: &Standing) -> bool {
        let has = |text: &String| self.digest.as_ref().map(Digest::as_str) == Some(text);
        match (&standing.tag, &standing.digest) {
            (Some(tag), None) => tag == self.tag.as_str(),
            (Some(tag), Some(digest)) => {
                tag == self.tag.as_str() && (self.digest.is_none() || has(digest))
            }
            (None, Some(digest)) => has(digest),
            (None, None) => false,
        }
    }

    /// What a promotion brought.
    pub(super) fn brought(by: &Recorded) -> Self {
        Self {
            tag: by.moved.tag.clone(),
            digest: by.moved.digest.clone(),
            since: Some(by.at),
            commit: Some(by.came_by().clone()),
            stands: false,
        }
    }

    /// What stands at a place, if it is a tag.
    pub(super) fn standing(standing: &Standing) -> Option<Self> {
        Some(Self {
            tag: standing.tag.as_ref()?.parse().ok()?,
            digest: standing.digest.as_ref().and_then(|text| text.parse().ok()),
            since: None,
            commit: None,
            stands: true,
        })
    }
}

impl<'a> RanIn<'a> {
    /// What ran in `environment`, where `standing` stands at its sites.
    pub(super) fn new<'s>(
        environment: &'a Environment,
        runs: Runs<'a>,
        standing: impl Iterator<Item = &'s Standing>,
    ) -> Self {
        let mut versions: Vec<Ran> = runs.iter().map(Ran::brought).collect();
        for standing in standing {
            match versions.iter_mut().rfind(|ran| ran.is_at(standing)) {
                Some(ran) => ran.stands = true,
                None => versions.extend(Ran::standing(standing)),
            }
        }
        Self {
            environment: &environment.name,
            versions,
            watch: None,
            runs,
        }
    }
}
