//! Rules: what a policy says under `tags`, and what it makes of one tag.
//!
//! Not here: how a rule is made of its text (`check`), and which candidate is chosen (`choose`).
//! Invariant: a rule that exists can be applied; nothing about its text fails later.

use std::cmp::Ordering;
use std::sync::Arc;

use globset::GlobMatcher;

use super::constraint::{Admission, Constraint};
use super::prerelease::{Prerelease, label_of};
use super::shape::{Reading, Shape};
use super::{Exclusion, Fact, PushUse};
use crate::image::Tag;
use crate::image::version::{ParseVersionError, Version};

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
    pub(crate) ignore: Vec<String>,
}

/// Which tags are candidates in an environment, and how they are ordered.
#[derive(Clone, Debug)]
pub(crate) struct TagRule {
    pub(super) text: RuleText,
    pub(super) kind: Kind,
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
    pub(super) ignore: Vec<Ignore>,
    pub(super) order: Order,
}

/// A glob of tags to leave out.
#[derive(Clone, Debug)]
pub(super) struct Ignore {
    pub(super) glob: Arc<str>,
    pub(super) matcher: GlobMatcher,
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
    Pushed,
    Created,
    FirstSeen,
    /// Both: the first sight counts where no image says when it was made.
    CreatedAndFirstSeen,
}

/// Rules are equal when they are written alike: everything else follows from the text.
impl PartialEq for TagRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
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
        self.text.cmp(&other.text)
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

    /// What orders this rule's candidates, beyond their names, where a registry's push times are of use as `pushes` says.
    pub(crate) fn needs(&self, pushes: Option<PushUse>) -> Needs {
        match self.order() {
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
                Fact::Version | Fact::Number | Fact::Timestamp | Fact::Created | Fact::FirstSeen,
            )
            | Order::Follow => None,
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
        let ignored = |ignore: &&Ignore| ignore.matcher.is_match(tag.as_str());
        if let Some(ignore) = matching.ignore.iter().find(ignored) {
            let glob = Arc::clone(&ignore.glob);
            return Err(Exclusion::Ignored { glob });
        }
        let reading = matching.read(tag.as_str())?;
        if let Some(version) = &reading.version {
            matching.admit(version)?;
        }
        Ok(reading)
    }

    /// What the name of a tag says, candidate or not.
    pub(super) fn read(&self, tag: &Tag) -> Result<Reading, Exclusion> {
        match &self.kind {
            Kind::Follow(tag) => Err(Exclusion::NotFollowed { tag: tag.clone() }),
            Kind::Match(matching) => matching.read(tag.as_str()),
        }
    }
}

impl Match {
    fn reads_whole_versions(&self) -> bool {
        let in_shape = self.shape.as_ref().is_some_and(Shape::spells_version);
        self.constraint.is_some() && !in_shape
    }

    fn read(&self, tag: &str) -> Result<Reading, Exclusion> {
        let reading = match &self.shape {
            Some(shape) => shape.read(tag)?,
            None => Reading::default(),
        };
        if !self.reads_whole_versions() {
            return Ok(reading);
        }
        let version = tag.parse().map_err(|error| match error {
            ParseVersionError::NotVersion => Exclusion::NotVersion,
            ParseVersionError::Partial => Exclusion::Partial,
        })?;
        Ok(Reading {
            version: Some(version),
            version_at: 0..tag.len(),
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

/// Cosign's `sha256-<hex>.sig`, `.att` and `.sbom`, and the tags in which registries without a referrers API list what
/// belongs to an image: `sha256-<hex>`.
fn is_attachment(tag: &str) -> bool {
    let Some((algorithm, rest)) = tag.split_once('-') else {
        return false;
    };
    let (hex, suffix) = rest.split_once('.').unwrap_or((rest, ""));
    let is_hex = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let known = matches!(algorithm, "sha256" | "sha512");
    match suffix {
        "sig" | "att" | "sbom" => known && is_hex,
        // Clients cut a longer digest to 64 digits here, since a tag has 128 characters at most.
        "" => known && is_hex && hex.len() >= 64,
        _ => false,
    }
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
        for suffix in ["", ".sig", ".att", ".sbom"] {
            assert!(is_attachment(&format!("{digest}{suffix}")), "{suffix}");
        }
        for tag in [
            "sha256-0a1b2c3",
            "sha256",
            "sha256-.sig",
            "1.2.3.sig",
            "sha256-0a.tar",
        ] {
            assert!(!is_attachment(tag), "{tag}");
        }
    }
}
