//! Policies: how the images of one application move through its environments.
//!
//! Not here: how policies are written in files (`config`), and what to do about one (`plan`).

mod after;
mod argo_cd;
mod deliver;
mod expression;
mod folders;
pub(crate) mod gate;
pub(crate) mod select;
mod subject;
pub(crate) mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::image::Repository;
use crate::manifest::{Site, Write};
use gate::Gates;
use select::TagRule;
use select::choose::Downgrade;

pub(crate) use after::{After, Candidates, Same};
pub(crate) use argo_cd::{ApplicationName, ArgoCd, OnDegraded};
pub(crate) use deliver::{Deliver, Group, HEAD_PREFIX, MergeWay, PullRequests};
pub(crate) use expression::Glob;
pub(crate) use folders::FolderPattern;
pub(crate) use subject::{ParseSubjectTemplateError, SubjectTemplate};

/// How the images of one application move.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: PolicyName,
    /// The manifests repository, by its name in the settings.
    pub(crate) repository: RepositoryName,
    pub(crate) images: BTreeMap<ImageName, PolicyImage>,
    /// Whether a release is one tag that all images have, and all of them move at once.
    pub(crate) together: bool,
    /// In the order of the file.
    pub(crate) environments: Vec<Environment>,
    pub(crate) seniority: Seniority,
}

/// Which of two policies comes first where only one can have something: the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Seniority {
    /// It stands in a file.
    File,
    /// It came from a custom resource; the smaller the number, the older that is.
    Resource(usize),
}

/// One image of a policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PolicyImage {
    pub(crate) repository: Repository,
}

/// One stop: which versions may come here, where they are written, and how they are delivered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Environment {
    pub(crate) name: EnvironmentName,
    /// The rule of each image of the policy; where versions come from other environments and none is written, that of the
    /// first of these.
    pub(crate) rules: BTreeMap<ImageName, Arc<TagRule>>,
    /// The environments that versions come from; `None` where they come from the registry alone.
    pub(crate) after: Option<After>,
    pub(crate) gates: Gates,
    pub(crate) argo_cd: ArgoCd,
    pub(crate) on_degraded: OnDegraded,
    /// Never empty.
    pub(crate) update: Vec<Update>,
    /// What is written; `None` leaves it to the rule of each image.
    pub(crate) write: Option<Write>,
    pub(crate) deliver: Deliver,
    pub(crate) downgrade: Downgrade,
}

impl Environment {
    /// The branch that promotions go to, `default` being the repository's own.
    pub(crate) fn branch<'a>(&'a self, default: &'a str) -> &'a str {
        let own = match &self.deliver {
            Deliver::Commit { branch } => branch,
            Deliver::PullRequest(requests) => &requests.branch,
        };
        own.as_deref().unwrap_or(default)
    }

    /// Where the candidates of `image` come from.
    pub(crate) fn candidates(&self, image: &ImageName) -> Candidates<'_> {
        match &self.after {
            None => Candidates::Registry,
            Some(after) => after.candidates(image),
        }
    }

    /// What is written of `image` here. A followed tag keeps its name, so only its digest can move.
    pub(crate) fn write_of(&self, image: &ImageName) -> Write {
        let default = match self.rules[image].followed() {
            Some(_) => Write::Digest,
            None => Write::Tag,
        };
        self.write.unwrap_or(default)
    }

    /// The places where `image` is written here.
    pub(crate) fn sites_of<'a>(&'a self, image: &'a ImageName) -> impl Iterator<Item = &'a Site> {
        let stands_there =
            move |update: &&Update| update.image.as_ref().is_none_or(|named| named == image);
        self.update
            .iter()
            .filter(stands_there)
            .map(|update| &update.site)
    }
}

/// A site and, where the policy has several images, which of them stands there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub(crate) site: Site,
    /// `None`: every image of the policy (a kustomization finds each by its repository).
    pub(crate) image: Option<ImageName>,
}

/// A branch of a source repository, whose history says which of two builds is newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceBranch {
    /// By its name in the settings.
    pub(crate) repository: RepositoryName,
    pub(crate) branch: String,
}

impl fmt::Display for SourceBranch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `{}`", self.branch, self.repository)
    }
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit"
)]
pub(crate) struct ParseNameError {
    name: String,
}

/// Longest name, in characters: a DNS label, so that names can become Kubernetes names and branch names.
const NAME_LENGTH_MAX: usize = 63;

fn parse_name(s: &str) -> Result<String, ParseNameError> {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = s.starts_with(alphanumeric) && s.ends_with(alphanumeric);
    let allowed = s.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '.'));
    if !ends_well || !allowed || s.len() > NAME_LENGTH_MAX || s.contains("..") {
        return Err(ParseNameError { name: s.to_owned() });
    }
    Ok(s.to_owned())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(String);

        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                parse_name(s).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A policy's name: `portal`.
    PolicyName;
    /// An environment's name: `staging`.
    EnvironmentName;
    /// The policy's own name of one of its images: `web`.
    ImageName;
    /// A route's name: `standard`.
    RouteName;
    /// The settings' name of a manifests or source repository: `deploy`.
    RepositoryName;
    /// The settings' name of a connection to Argo CD: `main`.
    ConnectionName;
    /// The settings' name of some people: `release-managers`.
    GroupName;
    /// A policy's name of a question to a server: `smoke`.
    CheckName;
}
