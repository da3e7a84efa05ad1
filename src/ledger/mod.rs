//! What git history says: every promotion of ours is a commit whose trailers tell it, so no database has to survive.
//!
//! Not here: how commits are read (`git`), and what follows from them (`plan`).
//! Invariant: what [`Promotion::trailers`] writes, [`Promotion::read`] reads back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::image::{Digest, Reference, Repository, Tag};
use crate::manifest::CommitId;
use crate::policy::{EnvironmentName, ImageName, PolicyName};

const POLICY: &str = "Towpath-Policy";
const ENVIRONMENT: &str = "Towpath-Environment";
const IMAGE: &str = "Towpath-Image";
const REPLACES: &str = "Towpath-Replaces";

/// One promotion: the images that moved in one environment of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promotion {
    pub(crate) policy: PolicyName,
    pub(crate) environment: EnvironmentName,
    pub(crate) images: BTreeMap<ImageName, Moved>,
}

/// Where one image moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) repository: Repository,
    pub(crate) tag: Tag,
    pub(crate) digest: Option<Digest>,
    /// What stood there before, as it was written; `None` where nothing did.
    pub(crate) replaced: Option<String>,
}

/// The latest promotion of one image in one environment of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) commit: CommitId,
    pub(crate) at: Timestamp,
    pub(crate) moved: Moved,
}

/// The latest promotions that the history of one branch tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    latest: BTreeMap<(PolicyName, EnvironmentName, ImageName), Recorded>,
}

impl Ledger {
    /// The latest promotion of `image`, if the history that was read has one.
    pub(crate) fn latest(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        image: &ImageName,
    ) -> Option<&Recorded> {
        self.latest
            .get(&(policy.clone(), environment.clone(), image.clone()))
    }

    /// Adds a promotion that is newer than all that were recorded before.
    pub(crate) fn record(&mut self, commit: CommitId, at: Timestamp, promotion: Promotion) {
        let Promotion {
            policy,
            environment,
            images,
        } = promotion;
        for (image, moved) in images {
            let key = (policy.clone(), environment.clone(), image);
            self.latest.insert(
                key,
                Recorded {
                    commit: commit.clone(),
                    at,
                    moved,
                },
            );
        }
    }

    /// Every latest promotion, in the order of policy, environment, image.
    pub(crate) fn iter(
        &self,
    ) -> impl Iterator<Item = (&(PolicyName, EnvironmentName, ImageName), &Recorded)> {
        self.latest.iter()
    }
}

impl Promotion {
    /// The trailers of the promotion's commit, one per line, the last line ended.
    pub(crate) fn trailers(&self) -> String {
        let Self {
            policy,
            environment,
            images,
        } = self;
        let mut text = format!("{POLICY}: {policy}\n{ENVIRONMENT}: {environment}\n");
        let mut line = |trailer: std::fmt::Arguments<'_>| {
            text.write_fmt(trailer).expect("a string can be written");
            text.push('\n');
        };
        for (
            image,
            Moved {
                repository,
                tag,
                digest,
                ..
            },
        ) in images
        {
            let (tag, digest) = (Some(tag.clone()), digest.clone());
            let reference = Reference {
                repository: repository.clone(),
                tag,
                digest,
            };
            line(format_args!("{IMAGE}: {image} {reference}"));
        }
        for (image, Moved { replaced, .. }) in images {
            if let Some(replaced) = replaced {
                line(format_args!("{REPLACES}: {image} {replaced}"));
            }
        }
        text
    }

    /// Reads the promotion that a commit message tells, if it is one of ours.
    ///
    /// Trailers are the lines of the last paragraph, as `git interpret-trailers` understands them; a revert
    /// quotes only the subject, so it is never read as a promotion.
    pub(crate) fn read(message: &str) -> Option<Self> {
        let body = message.trim_end();
        let paragraph = body
            .rsplit("\n\n")
            .next()
            .filter(|last| last.len() < body.len())?;
        let trailers: Vec<(&str, &str)> = paragraph
            .lines()
            .filter_map(|line| line.trim_end().split_once(": "))
            .collect();
        let one = |key| {
            trailers
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        let all = |key| {
            trailers
                .iter()
                .filter(move |(name, _)| *name == key)
                .map(|(_, value)| *value)
        };

        let replaced: BTreeMap<&str, &str> =
            all(REPLACES).filter_map(|v| v.split_once(' ')).collect();
        let mut images = BTreeMap::new();
        for value in all(IMAGE) {
            let (image, reference) = value.split_once(' ')?;
            let Reference {
                repository,
                tag,
                digest,
            } = reference.parse().ok()?;
            let replaced = replaced.get(image).map(|text| (*text).to_owned());
            images.insert(
                image.parse().ok()?,
                Moved {
                    repository,
                    tag: tag?,
                    digest,
                    replaced,
                },
            );
        }
        if images.is_empty() {
            return None;
        }
        Some(Self {
            policy: one(POLICY)?.parse().ok()?,
            environment: one(ENVIRONMENT)?.parse().ok()?,
            images,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Moved, Promotion};

    fn promotion() -> Promotion {
        let moved = Moved {
            repository: "ghcr.io/acme/portal-web".parse().unwrap(),
            tag: "v1.5.0".parse().unwrap(),
            digest: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
            replaced: Some("v1.4.2".to_owned()),
        };
        Promotion {
            policy: "portal".parse().unwrap(),
            environment: "production".parse().unwrap(),
            images: [("web".parse().unwrap(), moved)].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let message = format!("promote portal to production\n\n{}", promotion().trailers());
        insta::assert_snapshot!(message, @r"
        promote portal to production

        Towpath-Policy: portal
        Towpath-Environment: production
        Towpath-Image: web ghcr.io/acme/portal-web:v1.5.0@sha256:abababababababababababababababababababababababababababababababab
        Towpath-Replaces: web v1.4.2
        ");
        assert_eq!(Promotion::read(&message), Some(promotion()));
        let with_signature = format!("{message}Signed-off-by: A <a@example.com>\n");
        assert_eq!(Promotion::read(&with_signature), Some(promotion()));
    }

    #[test]
    fn other_commits_and_reverts_are_no_promotions() {
        let trailers = promotion().trailers();
        for message in [
            "fix: something".to_owned(),
            String::new(),
            trailers.to_string(),
            format!(
                "Revert \"promote portal to production\"\n\n{trailers}\nThis reverts commit 0a1b2c3."
            ),
            "x\n\nTowpath-Policy: portal\nTowpath-Environment: dev\nTowpath-Image: web !!"
                .to_owned(),
        ] {
            assert_eq!(Promotion::read(&message), None, "{message}");
        }
    }
}
