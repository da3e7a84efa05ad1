//! Facts that a decision rests on: taken from the world if they are there and may be trusted, else a reason to
//! hold, and the question that would end it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::HoldReason;
use crate::image::{Digest, Repository, Tag};
use crate::manifest::NamedCommit;
use crate::policy::SourceBranch;
use crate::policy::select::{Histories, PushUse, Tags, Times};
use crate::world::{
    BranchFacts, BranchName, Fact, ImageFacts, Listing, Pushes, Question, Shrunk, SourceFacts,
    World,
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

/// What the registry says of `repository`, once it said anything.
pub(super) fn image_facts<'a>(
    repository: &Repository,
    world: &'a World,
) -> Result<&'a ImageFacts, HoldReason> {
    let facts = world.images.get(repository);
    facts.ok_or_else(|| HoldReason::NotListedYet {
        repository: repository.clone(),
    })
}

/// Whether `tag` is there. A listing that lacks others tells it as well.
pub(super) fn is_listed(
    tag: &Tag,
    (repository, facts): (&Repository, &ImageFacts),
) -> Result<bool, HoldReason> {
    match &facts.listing {
        Fact::Known(listing) => Ok(listing.tags.contains(tag)),
        Fact::Unknown { why } => Err(HoldReason::RegistryUnknown {
            repository: repository.clone(),
            why: why.clone(),
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

/// Whether it is known what the commits in `asked` stand for; asks for those of which it is not. That one is not on the
/// branch counts only where the branch was fetched after the tag was seen.
pub(super) fn commits_are_known(
    source: &SourceBranch,
    asked: Vec<(String, Tag)>,
    (listing, world): (&Listing, &World),
    questions: &mut BTreeSet<Question>,
) -> Result<(), HoldReason> {
    let known = match world.sources.get(source) {
        Some(Fact::Known(facts)) => Some(facts),
        Some(Fact::Unknown { why }) => {
            let (source, why) = (source.clone(), why.clone());
            return Err(HoldReason::SourceUnknown { source, why });
        }
        None => None,
    };
    let mut held = Ok(());
    for (commit, tag) in asked {
        // What is not listed may not be chosen, and needs no fetch of its own. No tag was seen after the listing, whatever a
        // clock said that was put back since: no fetch would be late enough.
        let seen = listing.tags.get(&tag).unwrap_or(Timestamp::MIN);
        let seen = seen.min(listing.at);
        match known.map(|facts| (facts.commits.get(&commit), facts.fetched)) {
            Some((Some(NamedCommit::One(_) | NamedCommit::Several { .. }), _)) => continue,
            Some((Some(NamedCommit::None), fetched)) if fetched > seen => continue,
            Some((Some(NamedCommit::None), _)) => {
                let source = source.clone();
                held = held.and(Err(HoldReason::SourceBehind { tag, source }));
            }
            Some((None, _)) | None => held = Err(HoldReason::FactsPending),
        }
        let source = source.clone();
        questions.insert(Question::Commit {
            source,
            commit,
            seen,
        });
    }
    held
}

/// What names of commits stand for, by source.
pub(super) fn histories(world: &World) -> Arc<Histories> {
    let known = |(source, fact): (&SourceBranch, &Fact<SourceFacts>)| match fact {
        Fact::Known(facts) => Some((source.clone(), facts.commits.clone())),
        Fact::Unknown { .. } => None,
    };
    Arc::new(world.sources.iter().filter_map(known).collect())
}

/// The tags of a listing, with what is known of each in the snapshot.
#[derive(Clone, Copy)]
pub(super) struct ListedTags<'a> {
    pub(super) listing: &'a Listing,
    pub(super) facts: &'a ImageFacts,
    histories: &'a Arc<Histories>,
}

impl<'a> ListedTags<'a> {
    /// `None` where the listing is not known.
    pub(super) fn of(facts: &'a ImageFacts, histories: &'a Arc<Histories>) -> Option<Self> {
        let Fact::Known(listing) = &facts.listing else {
            return None;
        };
        Some(Self {
            listing,
            facts,
            histories,
        })
    }
}

impl Tags for ListedTags<'_> {
    fn count(&self) -> usize {
        self.listing.tags.len()
    }

    fn at(&self, place: usize) -> &Tag {
        &self.listing.tags.at(place).0
    }

    fn times(&self, place: usize) -> Times {
        let (tag, first_seen) = self.listing.tags.at(place);
        let created = self
            .facts
            .tags
            .get(tag)
            .and_then(|details| match details.created {
                Some(Fact::Known(time)) => time,
                Some(Fact::Unknown { .. }) | None => None,
            });
        Times {
            pushed: self.listing.pushed(tag),
            created,
            first_seen: Some(*first_seen),
        }
    }

    fn place_of(&self, tag: &str) -> Option<usize> {
        self.listing.tags.place_of(tag)
    }

    fn pushes(&self) -> Option<PushUse> {
        self.listing.pushes.as_ref().map(|pushes| pushes.of_use)
    }

    fn histories(&self) -> &Arc<Histories> {
        self.histories
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
