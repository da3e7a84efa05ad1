//! Promotions: the images that moved in one environment of one policy, and the trailers that tell it.
//!
//! Invariant: what [`Promotion::trailers`] writes, [`Promotion::read`] reads back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::message::{Block, ENVIRONMENT, GATE, IMAGE, POLICY, REJECTS, REPLACES, blocks};
use crate::image::{Digest, Reference, Repository, Tag};
use crate::policy::{EnvironmentName, ImageName, PolicyName};

/// One promotion: the images that moved in one environment of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promotion {
    pub(crate) policy: PolicyName,
    pub(crate) environment: EnvironmentName,
    pub(crate) images: BTreeMap<ImageName, Moved>,
    /// How the gates stood that judged it, one line each: `web soak: it has run in ...`.
    pub(crate) gates: Vec<String>,
}

/// Where one image moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) repository: Repository,
    pub(crate) tag: Tag,
    pub(crate) digest: Option<Digest>,
    /// What stood there before, as it was written; `None` where nothing did.
    pub(crate) replaced: Option<String>,
    /// Whether what stood there before may not come again: it was degraded, and so this took its place.
    pub(crate) rejects: bool,
}

impl Promotion {
    /// The trailers of the promotion's commit, one per line, the last line ended.
    pub(crate) fn trailers(&self) -> String {
        let Self {
            policy,
            environment,
            images,
            gates,
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
        for (image, moved) in images {
            if let (true, Some(replaced)) = (moved.rejects, &moved.replaced) {
                line(format_args!("{REJECTS}: {image} {replaced}"));
            }
        }
        for gate in gates {
            line(format_args!("{GATE}: {gate}"));
        }
        text
    }

    /// Reads the promotions that a commit message tells: one commit may hold those of several policies, and a squash those of
    /// several commits, of which the later counts.
    pub(crate) fn read(message: &str) -> Vec<Self> {
        let mut promotions: Vec<Self> = Vec::new();
        for promotion in blocks(message).iter().filter_map(Self::of_block) {
            let is_same = |other: &&mut Self| {
                (&other.policy, &other.environment) == (&promotion.policy, &promotion.environment)
            };
            match promotions.iter_mut().find(is_same) {
                Some(earlier) => {
                    earlier.images.extend(promotion.images);
                    earlier.gates = promotion.gates;
                }
                None => promotions.push(promotion),
            }
        }
        promotions
    }

    fn of_block(block: &Block<'_>) -> Option<Self> {
        let replaced = block.all(REPLACES).filter_map(|v| v.split_once(' '));
        let replaced: BTreeMap<&str, &str> = replaced.collect();
        let rejects = block.all(REJECTS).filter_map(|v| v.split_once(' '));
        let rejects: BTreeMap<&str, &str> = rejects.collect();
        let mut images = BTreeMap::new();
        for value in block.all(IMAGE) {
            let (image, reference) = value.split_once(' ')?;
            let Reference {
                repository,
                tag,
                digest,
            } = reference.parse().ok()?;
            let replaced = replaced.get(image).map(|text| (*text).to_owned());
            let rejects = replaced.is_some() && rejects.get(image).copied() == replaced.as_deref();
            images.insert(
                image.parse().ok()?,
                Moved {
                    repository,
                    tag: tag?,
                    digest,
                    replaced,
                    rejects,
                },
            );
        }
        if images.is_empty() {
            return None;
        }
        Some(Self {
            policy: block.one(POLICY)?.parse().ok()?,
            environment: block.one(ENVIRONMENT)?.parse().ok()?,
            images,
            gates: block.all(GATE).map(str::to_owned).collect(),
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
            rejects: false,
        };
        Promotion {
            policy: "portal".parse().unwrap(),
            environment: "production".parse().unwrap(),
            images: [("web".parse().unwrap(), moved)].into(),
            gates: vec!["web soak: it has run in `staging`".to_owned()],
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
        Towpath-Gate: web soak: it has run in `staging`
        ");
        assert_eq!(Promotion::read(&message), vec![promotion()]);
        let with_signature = format!("{message}Signed-off-by: A <a@example.com>\n");
        assert_eq!(Promotion::read(&with_signature), vec![promotion()]);
    }

    #[test]
    fn what_may_not_come_again_is_told() {
        let mut back = promotion();
        back.images
            .values_mut()
            .for_each(|moved| moved.rejects = true);
        let trailers = back.trailers();
        assert!(
            trailers.contains("\nTowpath-Rejects: web v1.4.2\n"),
            "{trailers}"
        );
        let message = format!("promote portal to production\n\n{trailers}");
        assert_eq!(Promotion::read(&message), vec![back]);
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
            assert_eq!(Promotion::read(&message), vec![], "{message}");
        }
    }

    #[test]
    fn one_commit_may_hold_the_promotions_of_several_policies() {
        let mut other = promotion();
        other.policy = "shop".parse().unwrap();
        let message = format!(
            "promote production\n\n{}{}",
            promotion().trailers(),
            other.trailers()
        );
        assert_eq!(Promotion::read(&message), vec![promotion(), other]);
    }

    /// What forges make of our message when they squash, one form each.
    #[test]
    fn a_squash_is_read_however_the_forge_writes_it() {
        let trailers = promotion().trailers();
        let indented: String = trailers
            .lines()
            .map(|line| format!("    {line}\r\n"))
            .collect();
        let wrapped = trailers.replace("web ghcr.io", "web\nghcr.io");
        for message in [
            format!(
                "promote (#12)\n\n* promote portal\n\n{trailers}\n* fix it by hand\n\nCo-authored-by: A <a@example.com>\n"
            ),
            format!(
                "promote (#12)\n\n{trailers}\n---------\n\nCo-authored-by: A <a@example.com>\n"
            ),
            format!("promote (#12)\n\n{wrapped}"),
            format!(
                "Squashed commit of the following:\n\ncommit 0a1b2c3\nAuthor: towpath <t@example.com>\n\n{indented}"
            ),
            format!("promote\n\nA body.\n\n<!-- towpath\n{trailers}-->\n"),
            format!("promote\n\n{trailers}\n\nSee merge request acme/deploy!12"),
        ] {
            assert_eq!(Promotion::read(&message), vec![promotion()], "{message}");
        }
    }

    #[test]
    fn the_later_of_two_messages_in_a_squash_counts() {
        let mut later = promotion();
        later
            .images
            .values_mut()
            .for_each(|moved| moved.tag = "v1.6.0".parse().unwrap());
        let message = format!(
            "promote (#12)\n\n* one\n\n{}\n* two\n\n{}",
            promotion().trailers(),
            later.trailers()
        );
        assert_eq!(Promotion::read(&message), vec![later]);
    }

    #[test]
    fn a_revert_by_a_button_is_no_promotion_whatever_it_quotes() {
        let trailers = promotion().trailers();
        for message in [
            format!("Revert \"promote portal\" (#13)\n\nReverts acme/deploy#12\n\n{trailers}"),
            format!("undo it\n\nThis reverts merge request !12\n\n{trailers}"),
            format!("Reapply \"promote portal\"\n\n{trailers}"),
            format!(
                "both (#14)\n\n* promote\n\n{trailers}\n* Revert \"promote\"\n\nThis reverts commit 0a1b2c3.\n"
            ),
        ] {
            assert_eq!(Promotion::read(&message), vec![], "{message}");
        }
    }
}
