//! Where versions come from: other environments that they must have run in.

use std::collections::BTreeSet;

use super::{EnvironmentName, ImageName};

/// The environments that a version must have run in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct After {
    /// Never empty, in the order of the file. A version must have run in all of them.
    pub(crate) environments: Vec<EnvironmentName>,
    /// What makes a tag the same build as another.
    pub(crate) same: Same,
    /// The images whose tags are named by a rule of their own here: a tag that matches it is a candidate if it is the same build
    /// as one that ran before. Of the others, what ran before is the candidate.
    pub(crate) named: BTreeSet<ImageName>,
}

/// What makes two tags the same build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Same {
    /// One digest.
    #[default]
    Digest,
    /// One `org.opencontainers.image.revision`, of the same repository:
    /// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>.
    Revision,
}

/// Where the candidates of one image come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidates<'a> {
    /// The registry: every tag that the rule takes.
    Registry,
    /// What ran in the environments before, under the tag that it ran under.
    Ran(&'a After),
    /// Every tag that the rule takes and that is the same build as one that ran before.
    SameBuild(&'a After),
}

impl After {
    /// Where the candidates of `image` come from.
    pub(super) fn candidates(&self, image: &ImageName) -> Candidates<'_> {
        match self.named.contains(image) {
            true => Candidates::SameBuild(self),
            false => Candidates::Ran(self),
        }
    }
}
