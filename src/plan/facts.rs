//! Facts that a decision rests on: taken from the world if they are there and may be trusted, else a reason to
//! hold, and the question that would end it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::HoldReason;
use crate::image::{Digest, Repository, Tag};
use crate::policy::select::{KnownTags, TagFacts};
use crate::world::{
    BranchFacts, BranchName, Fact, ImageFacts, Listing, Pushes, Question, Shrunk, World,
};

/// How old a listing may be. Pollers replace or fail a reading within minutes, so an older one means a replayed
/// world file or a stuck poller; neither may decide.
const LISTING_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What a branch holds, if it is known and there.
pub(super) fn branch_facts<'a>(
    branch: &BranchName,
    world: &'a World,
) -> Result<&'a BranchFacts, HoldReason> {
    match world.branches.get(branch) {
        Some(Fact::Known(facts)) if facts.head.is_some() => Ok(facts),
        Some(Fact::Known(_)) => Err(HoldReason::BranchMissing {
            branch: branch.clone(),
        }),
        Some(Fact::Unknown { why }) => Err(HoldReason::ManifestsUnknown { why: why.clone() }),
        None => Err(HoldReason::ManifestsUnknown {
            why: "it has not been read yet".to_owned(),
        }),
    }
}

/// The listing, if a decision may rest on it.
pub(super) fn trusted_listing<'a>(
    repository: &Repository,
    facts: &'a ImageFacts,
    now: Timestamp,
) -> Result<&'a Listing, HoldReason> {
    let listing = match &facts.listing {
        Fact::Known(listing) => listing,
        Fact::Unknown { why } => {
            return Err(HoldReason::RegistryUnknown {
                repository: repository.clone(),
                why: why.clone(),
            });
        }
    };
    if now.duration_since(listing.at) > LISTING_AGE_MAX {
        return Err(HoldReason::ListingOld { at: listing.at });
    }
    match listing.shrunk {
        Some(Shrunk { from, until }) => Err(HoldReason::ListingShrank {
            from,
            to: listing.tags.len(),
            until,
        }),
        None => Ok(listing),
    }
}

/// Whether the push times of the listing were read. Single tags may lack one, which is for the choice to judge.
pub(super) fn pushes_are_known(
    repository: &Repository,
    listing: &Listing,
) -> Result<(), HoldReason> {
    let repository = || repository.clone();
    let Some(Pushes { times, of_use: _ }) = &listing.pushes else {
        return Err(HoldReason::PushesUntold {
            repository: repository(),
        });
    };
    match times {
        Some(Fact::Known(_)) => Ok(()),
        Some(Fact::Unknown { why }) => Err(HoldReason::PushesUnknown {
            repository: repository(),
            why: why.clone(),
        }),
        // The policy is newer than the listing, and the next one has them.
        None => Err(HoldReason::FactsPending),
    }
}

/// Whether the creation times of `tags` are known; asks for those that nobody read yet.
pub(super) fn created_is_known(
    repository: &Repository,
    tags: Vec<&Tag>,
    facts: &ImageFacts,
    questions: &mut BTreeSet<Question>,
) -> Result<(), HoldReason> {
    for tag in tags {
        match facts
            .tags
            .get(tag)
            .and_then(|details| details.created.as_ref())
        {
            Some(Fact::Known(_)) => {}
            Some(Fact::Unknown { why }) => {
                return Err(HoldReason::FactUnknown {
                    tag: tag.clone(),
                    why: why.clone(),
                });
            }
            None => {
                let (repository, tag) = (repository.clone(), tag.clone());
                questions.insert(Question::Created { repository, tag });
            }
        }
    }
    match questions.is_empty() {
        true => Ok(()),
        false => Err(HoldReason::FactsPending),
    }
}

/// What is known of every tag of a listing.
pub(super) fn known_tags(facts: &ImageFacts, listing: &Listing) -> KnownTags {
    let created = |tag: &Tag| match facts.tags.get(tag)?.created {
        Some(Fact::Known(time)) => time,
        Some(Fact::Unknown { .. }) | None => None,
    };
    let of_tag = |(tag, first_seen): (&Tag, &Timestamp)| TagFacts {
        tag: tag.clone(),
        pushed: listing.pushed(tag),
        created: created(tag),
        first_seen: Some(*first_seen),
    };
    KnownTags {
        tags: listing.tags.iter().map(of_tag).collect(),
        pushes: listing.pushes.as_ref().map(|pushes| pushes.of_use),
    }
}

/// The digest of `tag`, or the question for it.
pub(super) fn digest_of(
    repository: &Repository,
    tag: &Tag,
    facts: &ImageFacts,
    questions: &mut BTreeSet<Question>,
) -> Result<Digest, HoldReason> {
    match facts
        .tags
        .get(tag)
        .and_then(|details| details.digest.as_ref())
    {
        Some(Fact::Known(digest)) => Ok(digest.clone()),
        Some(Fact::Unknown { why }) => Err(HoldReason::FactUnknown {
            tag: tag.clone(),
            why: why.clone(),
        }),
        None => {
            let (repository, tag) = (repository.clone(), tag.clone());
            questions.insert(Question::Digest { repository, tag });
            Err(HoldReason::FactsPending)
        }
    }
}
