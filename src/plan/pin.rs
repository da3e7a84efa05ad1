//! What becomes of an image that a person pinned: exactly that version stands there, whatever the rule would have.

use super::choice::promote;
use super::decide::{Notes, Subject};
use super::facts::{digest_of, image_facts, is_listed};
use super::held::{Place, Ruling};
use super::standing::Located;
use super::{Ground, HoldReason, Promote};
use crate::ledger::HeldVersion;
use crate::manifest::{Standing, Version};
use crate::world::World;

/// Promotes the version that a person pinned, up or down.
pub(super) fn pinned(
    (version, ruling): (&HeldVersion, Ruling),
    subject: Subject<'_>,
    mut sites: Vec<(Located, Standing)>,
    (world, notes): (&World, &mut Notes),
) -> Result<Promote, HoldReason> {
    let line = match ruling.place {
        Place::Line(line) => line,
        Place::PullRequest(_) | Place::Commit(_) => unreachable!("a pin stands in the file"),
    };
    let at_pin = |ruling| HoldReason::AtPin {
        version: version.clone(),
        ruling: Box::new(ruling),
    };
    sites.retain(|(_, standing)| !has(standing, version));
    if sites.is_empty() {
        return Err(at_pin(ruling));
    }
    let to = match wanted(version, subject, (world, notes))? {
        Ok(to) => to,
        Err(why) => {
            return Err(HoldReason::PinRefused {
                version: version.clone(),
                why,
                ruling: Box::new(ruling),
            });
        }
    };
    // A site without a tag says by its digest what it has.
    let digest = to.digest.as_ref().map(|digest| digest.as_str());
    sites.retain(|(_, standing)| standing.tag.is_some() || standing.digest.as_deref() != digest);
    match sites.is_empty() {
        true => Err(at_pin(ruling)),
        false => Ok(promote(subject, (to, None), sites, Ground::Pinned { line })),
    }
}

/// Whether `version` stands there.
pub(super) fn has(standing: &Standing, version: &HeldVersion) -> bool {
    match version {
        HeldVersion::Tag(tag) => standing.tag.as_deref() == Some(tag.as_str()),
        HeldVersion::Digest(digest) => standing.digest.as_deref() == Some(digest.as_str()),
    }
}

/// What is written for a version that is wanted whatever the rule would have, or why it cannot be.
pub(super) fn wanted(
    version: &HeldVersion,
    subject: Subject<'_>,
    (world, notes): (&World, &mut Notes),
) -> Result<Result<Version, &'static str>, HoldReason> {
    let repository = &subject.image.repository;
    match version {
        HeldVersion::Tag(tag) => {
            notes.candidate = Some(tag.clone());
            let facts = image_facts(repository, world)?;
            if !is_listed(tag, (repository, facts))? {
                return Ok(Err("the registry does not list it"));
            }
            let digest = digest_of(repository, tag, facts, &mut notes.questions)?;
            Ok(Ok(Version {
                tag: tag.clone(),
                digest: Some(digest),
            }))
        }
        HeldVersion::Digest(digest) => {
            let Some(tag) = subject.environment.rules[subject.name].followed() else {
                return Ok(Err("a digest can be pinned only where a tag is followed"));
            };
            notes.candidate = Some(tag.clone());
            // The tag is told with the digest, and by a tag that nobody knows nothing is promoted.
            let facts = image_facts(repository, world)?;
            if !is_listed(tag, (repository, facts))? {
                return Ok(Err("the registry does not list the tag that is followed"));
            }
            Ok(Ok(Version {
                tag: tag.clone(),
                digest: Some(digest.clone()),
            }))
        }
    }
}
