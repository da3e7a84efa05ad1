//! Listings that a new configuration need not have made anew.
//!
//! Not here: which configurations read registries alike (`cli`), and when the next listing is due (`daemon`).
//! Invariant: what asked for a listing is not lost between two configurations: one that was not made to the end is owed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{Sources, Wants};
use crate::image::Repository;
use crate::policy::select::PushUse;
use crate::world::{Fact, ImageFacts, Pushes, World};

/// What was read of image repositories.
#[derive(Default)]
pub(crate) struct Listings {
    images: BTreeMap<Repository, ImageFacts>,
    owed: BTreeSet<Repository>,
}

impl Sources {
    /// Notes that `repository` is to be listed.
    pub(crate) fn owe(&self, repository: &Repository) {
        self.owed().insert(repository.clone());
    }

    /// Notes that `repository` was listed, and that nothing asks for more.
    pub(crate) fn settle(&self, repository: &Repository) {
        self.owed().remove(repository);
    }

    /// The reading of `repository` and its age, if another one within `interval` would be for nothing: it says all that `wants` needs.
    pub(crate) fn carried(
        &self,
        repository: &Repository,
        wants: &Wants,
        (now, interval): (Timestamp, Duration),
    ) -> Option<(ImageFacts, Duration)> {
        if self.owed().contains(repository) {
            return None;
        }
        let facts = self.image(repository)?;
        let Fact::Known(listing) = &facts.listing else {
            return None;
        };
        let age = Duration::try_from(now.duration_since(listing.at)).ok()?;
        let wanted = wants.pushes.get(repository).copied();
        let is_good = age < interval && says_pushes(listing.pushes.as_ref(), wanted);
        is_good.then_some((facts, age))
    }

    /// Forgets what was read of image repositories that `wants` does not name: else whoever names others again and again would have
    /// all of them kept.
    pub(crate) fn keep_only(&self, wants: &Wants) {
        let is_wanted = |repository: &Repository| wants.images.contains(repository);
        self.readings()
            .images
            .retain(|repository, _| is_wanted(repository));
        self.owed().retain(is_wanted);
    }

    /// All that was read of image repositories, for other sources that read the same registries in the same way.
    pub(crate) fn listings(&self) -> Listings {
        Listings {
            images: self.readings().images.clone(),
            owed: self.owed().clone(),
        }
    }

    /// The same with what others read before.
    pub(crate) fn with_listings(self, Listings { images, owed }: Listings) -> Self {
        *self.readings() = World {
            images,
            ..World::default()
        };
        *self.owed() = owed;
        self
    }
}

/// Whether a listing has the push times, where they are wanted and can be had.
fn says_pushes(pushes: Option<&Pushes>, wanted: Option<PushUse>) -> bool {
    let (Some(Pushes { of_use, times }), Some(wanted)) = (pushes, wanted) else {
        return true;
    };
    wanted < *of_use || matches!(times, Some(Fact::Known(_)))
}
