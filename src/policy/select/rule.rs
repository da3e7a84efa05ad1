//! Rules: what a policy says under `tags`, and what it makes of one tag.
//!
//! Not here: how a rule is made of its text (`check`), and which candidate is chosen (`choose`).
//! Invariant: a rule that exists can be applied; nothing about its text fails later.

use std::cmp::Ordering;
use std::sync::Arc;

use super::constraint::{Admission, Constraint};
use super::prerelease::{Prerelease, label_of};
use super::shape::{Reading, Shape};
use super::{Exclusion, Fact, PushUse};
use crate::image::Tag;
use crate::image::version::{ParseVersionError, Version};
use crate::policy::{Glob, SourceBranch};

/// Hex digits of a digest in a tag, at least: those of SHA-256.
const HEX_LENGTH_MIN: usize = 64;

/// A rule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleText {
    pub(crate) semver: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) regex: Option<String>,
    pub(crate) follow: Option<String>,
    /// `none` or `any` alone, or labels. Left out is not `none`: then a constraint may ask by naming a pre-release.
    pub(crate) prerelease: Option<Vec<String>>,
    pub(crate) newest_by: Option<String>,
    /// Whose history orders by `commits`.
    pub(crate) source: Option<SourceBranch>,
    pub(crate) ignore: Vec<String>,
}

/// Which tags are candidates in an environment, and how they are ordered.
#[derive(Clone, Debug)]
pub(crate) struct TagRule {
    pub(super) text: RuleText,
    pub(super) kind: Kind,
    pub(super) of: Of,
}

/// What the tags of a rule are tags of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Image,
    /// A Helm chart, in whose tags build metadata follows a `_`.
    Chart,
}

/// The two kinds of rules.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Follow(Tag),
    Match(Match),
}

/// A rule for several tags.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) constraint: Option<Constraint>,
    pub(super) shape: Option<Shape>,
    pub(super) prerelease: Option<Prerelease>,
    /// Tags to leave out.
    pub(super) ignore: Vec<Glob>,
    pub(super) order: Order,
}

/// What orders the candidates of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    By(Fact),
    /// The push time, where the registry gives it; else the creation time, or the first sight where no image says when
    /// it was made.
    Times,
    /// One tag is followed: there is nothing to order.
    Follow,
}

/// What an observer must find out about the candidates beyond their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Names,
    /// Where the commits that the names hold stand in the history of the rule's source.
    Commits,
    Pushed,
    Created,
    FirstSeen,
    /// Both: the first sight counts where no image says when it was made.
    CreatedAndFirstSeen,
}

/// Rules are equal when they are written alike, for tags of the same: everything else follows from these.
impl PartialEq for TagRule {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for TagRule {}

impl PartialOrd for TagRule {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Lets rules be keys; the order itself means nothing.
impl Ord for TagRule {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.text, self.of).cmp(&(&other.text, other.of))
    }
}

impl TagRule {
    /// The one tag that is followed, where the rule follows one.
    pub(crate) fn followed(&self) -> Option<&Tag> {
        match &self.kind {
            Kind::Follow(tag) => Some(tag),
            Kind::Match(_) => None,
        }
    }

    /// The same rule, for the tags of a Helm chart. A pattern or a regular expression spells the tag itself, with its `_`.
    pub(crate) fn of_chart(self) -> Self {
        let of = Of::Chart;
        Self { of, ..self }
    }

    /// The same rule, ordered by the history of this branch if it has a source.
    pub(crate) fn of_source(mut self, source: SourceBranch) -> Self {
        self.text.source = self.text.source.map(|_| source);
        self
    }

    /// The branch whose history orders this rule's candidates, if one does.
    pub(crate) fn source(&self) -> Option<&SourceBranch> {
        self.text.source.as_ref()
    }

    /// What orders this rule's candidates, beyond their names, where a registry's push times are of use as `pushes` says.
    pub(crate) fn needs(&self, pushes: Option<PushUse>) -> Needs {
        match self.order() {
            Order::By(Fact::Commits) => Needs::Commits,
            Order::By(Fact::Pushed) => Needs::Pushed,
            Order::By(Fact::Created) => Needs::Created,
            Order::By(Fact::FirstSeen) => Needs::FirstSeen,
            Order::Times if pushes == Some(PushUse::ByDefault) => Needs::Pushed,
            Order::Times => Needs::CreatedAndFirstSeen,
            Order::By(Fact::Version | Fact::Number | Fact::Timestamp) | Order::Follow => {
                Needs::Names
            }
        }
    }

    /// How this rule may come to need push times.
    pub(crate) fn push_use(&self) -> Option<PushUse> {
        match self.order() {
            Order::By(Fact::Pushed) => Some(PushUse::OnRequest),
            Order::Times => Some(PushUse::ByDefault),
            Order::By(
                Fact::Version
                | Fact::Number
                | Fact::Timestamp
                | Fact::Commits
                | Fact::Created
                | Fact::FirstSeen,
            )
            | Order::Follow => None,
        }
    }

    /// Whether a time may order the candidates.
    pub(super) fn is_by_time(&self) -> bool {
        match self.order() {
            Order::By(Fact::Pushed | Fact::Created | Fact::FirstSeen) | Order::Times => true,
            Order::By(Fact::Version | Fact::Number | Fact::Timestamp | Fact::Commits)
            | Order::Follow => false,
        }
    }

    pub(super) fn order(&self) -> Order {
        match &self.kind {
            Kind::Follow(_) => Order::Follow,
            Kind::Match(matching) => matching.order,
        }
    }

    /// Whether a tag is a candidate, and what its name says.
    pub(super) fn judge(&self, tag: &Tag) -> Result<Reading, Exclusion> {
        let matching = match &self.kind {
            Kind::Follow(followed) if tag == followed => return Ok(Reading::default()),
            Kind::Follow(tag) => return Err(Exclusion::NotFollowed { tag: tag.clone() }),
            Kind::Match(matching) => matching,
        };
        if is_attachment(tag.as_str()) {
            return Err(Exclusion::Attachment);
        }
        let ignored = |glob: &&Glob| glob.is_match(tag.as_str());
        if let Some(glob) = matching.ignore.iter().find(ignored) {
            let glob = Arc::clone(glob.text());
            return Err(Exclusion::Ignored { glob });
        }
        let reading = matching.read(tag.as_str(), self.of)?;
        if let Some(version) = &reading.version {
            matching.admit(version)?;
        }
        Ok(reading)
    }

    /// The name of the commit that a tag holds, in lower case, candidate or not.
    pub(crate) fn commit_in(&self, tag: &Tag) -> Option<String> {
        Some(self.read(tag).ok()?.sha(tag)).filter(|name| !name.is_empty())
    }

    /// What the name of a tag says, candidate or not.
    pub(super) fn read(&self, tag: &Tag) -> Result<Reading, Exclusion> {
        match &self.kind {
            Kind::Follow(tag) => Err(Exclusion::NotFollowed { tag: tag.clone() }),
            Kind::Match(matching) => matching.read(tag.as_str(), self.of),
        }
    }
}

impl Match {
    fn reads_whole_versions(&self) -> bool {
        let in_shape = self.shape.as_ref().is_some_and(Shape::spells_version);
        self.constraint.is_some() && !in_shape
    }

    fn read(&self, tag: &str, of: Of) -> Result<Reading, Exclusion> {
        let reading = match &self.shape {
            Some(shape) => shape.read(tag)?,
            None => Reading::default(),
        };
        if !self.reads_whole_versions() {
            return Ok(reading);
        }
        let read = match of {
            Of::Image => tag.parse().map(|version| (version, tag.len())),
            Of::Chart => Version::of_chart(tag),
        };
        let (version, length) = read.map_err(|error| match error {
            ParseVersionError::NotVersion => Exclusion::NotVersion,
            ParseVersionError::Partial => Exclusion::Partial,
        })?;
        Ok(Reading {
            version: Some(version),
            version_at: 0..length,
            ..reading
        })
    }

    fn admit(&self, version: &Version) -> Result<(), Exclusion> {
        let asked = self.prerelease.as_ref();
        let admission = match &self.constraint {
            Some(constraint) => constraint.admits(version, asked),
            None if asked.unwrap_or(&Prerelease::None).takes(version) => Admission::Admitted,
            None => Admission::Prerelease,
        };
        match (admission, &self.constraint) {
            (Admission::Outside, Some(constraint)) => Err(Exclusion::Outside {
                constraint: constraint.text(),
            }),
            (Admission::Prerelease, _) => Err(Exclusion::Prerelease {
                asks: match label_of(version) {
                    "" => "any".to_owned(),
                    label => label.to_ascii_lowercase(),
                },
            }),
            (Admission::Admitted | Admission::Outside, _) => Ok(()),
        }
    }
}

/// Whether a tag names what belongs to an image, by the image's digest:
/// * `sha256-<hex>`, in which registries without a referrers API list it, notation's signatures and cosign's bundles too:
///   <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>;
/// * `sha256-<hex>.<suffix>`, cosign's `.sig`, `.att` and `.sbom` and what others keep in the same way:
///   <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery>; cosign's three also behind
///   a prefix, which `--attachment-tag-prefix` puts there.
///
/// Clients cut a longer digest to 64 digits, since a tag has 128 characters at most. Build caches have no such names:
/// `buildcache` may be an image's.
fn is_attachment(tag: &str) -> bool {
    let is_digest = |text: &str, length_min: usize| {
        let Some(("sha256" | "sha512", hex)) = text.split_once('-') else {
            return false;
        };
        hex.len() >= length_min && hex.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut suffixes = [".sig", ".att", ".sbom"].iter();
    let of_cosign = suffixes.find_map(|suffix| {
        let before = tag.strip_suffix(suffix)?;
        before.rfind("sha").map(|at| &before[at..])
    });
    // Asked first, since hardly a tag begins so.
    let names_digest = tag.starts_with("sha") && {
        let stem = tag.split('.').next().unwrap_or(tag);
        is_digest(stem, HEX_LENGTH_MIN)
    };
    // A person's shorthand with cosign's suffix is meant for the same.
    names_digest || of_cosign.is_some_and(|text| is_digest(text, 1))
}

#[cfg(test)]
mod tests {
    use super::{Needs, PushUse, RuleText, TagRule, is_attachment};

    fn pattern(text: &str) -> RuleText {
        RuleText {
            pattern: Some(text.to_owned()),
            ..RuleText::default()
        }
    }

    #[test]
    fn a_rule_asks_for_no_more_facts_than_its_order_needs() {
        let needs = |text: RuleText| {
            let rule = TagRule::new(text).unwrap();
            let of = [None, Some(PushUse::OnRequest), Some(PushUse::ByDefault)];
            of.map(|pushes| rule.needs(pushes))
        };
        let whatever = |needs: Needs| [needs; 3];
        assert_eq!(needs(pattern("v{version}")), whatever(Needs::Names));
        assert_eq!(
            needs(pattern("main-{number}-{sha}")),
            whatever(Needs::Names)
        );
        let times = Needs::CreatedAndFirstSeen;
        assert_eq!(
            needs(pattern("develop-{sha}")),
            [times, times, Needs::Pushed]
        );
        for (word, expected) in [
            ("pushed", Needs::Pushed),
            ("created", Needs::Created),
            ("first-seen", Needs::FirstSeen),
        ] {
            let text = RuleText {
                newest_by: Some(word.to_owned()),
                ..pattern("v{version}")
            };
            assert_eq!(needs(text), whatever(expected));
        }
    }

    #[test]
    fn signatures_and_fallback_tags_are_attachments() {
        let digest = format!("sha256-{}", "0a".repeat(32));
        for suffix in ["", ".sig", ".att", ".sbom", ".cosign", ".0a1b2c3.vex"] {
            assert!(is_attachment(&format!("{digest}{suffix}")), "{suffix}");
        }
        for tag in [
            format!("release-{digest}.sig"),
            format!("v1.2-{digest}.att"),
            format!("sha512-{}", "0a".repeat(32)),
            format!("sha512-{}", "0a".repeat(60)),
            "sha256-0a.sig".to_owned(),
        ] {
            assert!(is_attachment(&tag), "{tag}");
        }
        for tag in [
            format!("main-{digest}"),
            format!("main-{digest}.tar"),
            digest.replace("0a", "0g"),
            digest[..70].to_owned(),
        ] {
            assert!(!is_attachment(&tag), "{tag}");
        }
        for tag in [
            "sha256-0a1b2c3",
            "sha256",
            "sha256-.sig",
            "1.2.3.sig",
            "sha256-0a.tar",
            "buildcache",
        ] {
            assert!(!is_attachment(tag), "{tag}");
        }
    }
}
