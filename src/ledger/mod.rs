//! What git history says: promotions and decisions of people are commits whose trailers tell them, so no database has to
//! survive.
//!
//! Reading order: `message` (trailers, and what forges do to them), `promotion` and `hold` (what they say), `told` (in which
//! order), `chronicle` (all of it), and here, what counts in the end, with `runs`: which versions an environment ran. Not here: how commits are read (`git`), and what follows from them (`plan`).

mod chronicle;
mod hold;
mod message;
mod promotion;
mod runs;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::Tag;
use crate::manifest::CommitId;
use crate::policy::{EnvironmentName, ImageName, PolicyName};

pub(crate) use chronicle::{Entry, What, chronicle};
pub(crate) use hold::{Act, HOLDS_FILE, HeldVersion, Hold, HoldEvent, HoldKind, Target};
pub(crate) use message::without_trailers;
pub(crate) use promotion::{Moved, Promotion};
pub(crate) use runs::{Compare, Runs};
pub(crate) use told::{Commit, Told, told};

/// Versions that were rejected otherwise than by a hold, for each image.
pub(crate) type Rejections = BTreeMap<Key, Vec<Rejection>>;

/// A version whose pull request a person closed without merging it, or that was taken back since it was degraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The tag; where a tag is followed, the digest.
    pub(crate) version: HeldVersion,
    pub(crate) at: Timestamp,
    pub(crate) by: Option<String>,
    pub(crate) way: RejectedBy,
}

/// How a version was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RejectedBy {
    /// The pull request of this number was closed.
    Closing(u64),
    /// This commit put the version before back, since it was degraded.
    Rollback {
        commit: CommitId,
        /// As of [`Recorded::is_since_resumed`].
        is_since_resumed: bool,
    },
}

impl Rejection {
    /// Whether a person who resumed promotions lifted it.
    pub(crate) fn is_lifted(&self, resumed: &Resumed) -> bool {
        let is_since_resumed = match self.way {
            RejectedBy::Closing(_) => false,
            RejectedBy::Rollback {
                commit: _,
                is_since_resumed,
            } => is_since_resumed,
        };
        !is_since_resumed && self.at <= resumed.at
    }
}

/// An image in an environment of a policy.
pub(crate) type Key = (PolicyName, EnvironmentName, ImageName);

/// A promotion of one image in one environment of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) commit: CommitId,
    /// When it came to stand on the branch.
    pub(crate) at: Timestamp,
    /// The commit that brought it, where it was made on another branch.
    pub(crate) merge: Option<CommitId>,
    /// The pull request that brought it, where a message tells.
    pub(crate) pull_request: Option<u64>,
    /// Whether it came after the latest resumption that this branch tells: two commits may be of one second.
    pub(crate) is_since_resumed: bool,
    pub(crate) moved: Moved,
}

impl Recorded {
    /// The commit of the branch that brought it.
    pub(crate) fn came_by(&self) -> &CommitId {
        self.merge.as_ref().unwrap_or(&self.commit)
    }
}

/// The latest commit by which a person resumed promotions of one environment of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) commit: CommitId,
    /// When it came to stand on the branch.
    pub(crate) at: Timestamp,
    /// The texts that stood there then, by image; `None` where the commit does not tell, and all is resumed.
    pub(crate) stands: Option<BTreeSet<(ImageName, String)>>,
}

impl Resumed {
    /// Whether it ends what came of `text`, which a person wrote for `image` over `promotion`. What was written later is
    /// another decision.
    pub(crate) fn lifts(&self, promotion: &Recorded, place: (&ImageName, &str)) -> bool {
        !promotion.is_since_resumed && self.lifts_what_came(promotion.at, place)
    }

    /// Whether it ends what came of `text` in place of a promotion that came `at` that time. A tag alone stands for what it
    /// stood with.
    pub(crate) fn lifts_what_came(&self, at: Timestamp, (image, text): (&ImageName, &str)) -> bool {
        let is_tag = |stood: &str| stood.split_once('@').is_some_and(|(tag, _)| tag == text);
        let stood = |stands: &BTreeSet<(ImageName, String)>| {
            let mut here = stands.iter().filter(|(name, _)| name == image);
            here.any(|(_, stood)| stood == text || is_tag(stood))
        };
        at <= self.at && self.stands.as_ref().is_none_or(stood)
    }
}

/// What the history of one branch tells: the promotions, and what people resumed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// In the order in which they came; none is empty.
    promotions: BTreeMap<Key, Vec<Arc<Recorded>>>,
    resumed: BTreeMap<(PolicyName, EnvironmentName), Resumed>,
    /// Whether there is older history that was not read.
    is_cut: bool,
}

impl Ledger {
    /// Of a history whose older part is not kept.
    pub(crate) fn of_a_part() -> Self {
        Self {
            is_cut: true,
            ..Self::default()
        }
    }

    /// Whether all of the history was read: what an incomplete one does not tell may have been all the same.
    #[expect(dead_code, reason = "for decisions that need what is older")]
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_cut
    }

    /// The latest promotion of `image`, if the history that was read has one.
    pub(crate) fn latest(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        image: &ImageName,
    ) -> Option<&Recorded> {
        self.promotions(policy, environment, image)
            .last()
            .map(Arc::as_ref)
    }

    /// The latest promotion of `image` to `tag`, if the history that was read has one.
    pub(crate) fn latest_of(
        &self,
        (policy, environment, image): (&PolicyName, &EnvironmentName, &ImageName),
        tag: &Tag,
    ) -> Option<&Recorded> {
        let promotions = self.promotions(policy, environment, image).iter().rev();
        let mut promotions = promotions.map(Arc::as_ref);
        promotions.find(|recorded| recorded.moved.tag == *tag)
    }

    /// The versions of an image that an environment ran, as far as the history that was read tells, where `standing` has what
    /// stands at each of its places now.
    pub(crate) fn runs(
        &self,
        (policy, environment, image): (&PolicyName, &EnvironmentName, &ImageName),
        standing: &[String],
        compare: Compare<'_>,
    ) -> Runs<'_> {
        Runs::of(
            self.promotions(policy, environment, image),
            standing,
            compare,
        )
    }

    /// The promotions by which a degraded version was taken back, and which it may not come again.
    pub(crate) fn rollbacks(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        image: &ImageName,
    ) -> impl Iterator<Item = &Recorded> {
        let promotions = self.promotions(policy, environment, image).iter();
        let promotions = promotions.map(Arc::as_ref);
        promotions.filter(|recorded| recorded.moved.rejects)
    }

    fn promotions(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        image: &ImageName,
    ) -> &[Arc<Recorded>] {
        let key = (policy.clone(), environment.clone(), image.clone());
        self.promotions
            .get(&key)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// When promotions of `environment` were last resumed by a person.
    pub(crate) fn resumed(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
    ) -> Option<&Resumed> {
        self.resumed.get(&(policy.clone(), environment.clone()))
    }

    /// Adds what `commits` of `branch` tell, which are newer than all that was read before and come newest first.
    pub(crate) fn read(&mut self, branch: &str, commits: &[Commit]) {
        for told in told(branch, commits) {
            // A merge tells again what it brought.
            if told.commit.parents.len() > 1 {
                continue;
            }
            for promotion in Promotion::read(&told.commit.message) {
                self.promoted(told, promotion);
            }
            for event in HoldEvent::read(&told.commit.message) {
                self.decided(told, event);
            }
        }
    }

    fn promoted(&mut self, told: Told<'_>, promotion: Promotion) {
        let Promotion {
            policy,
            environment,
            images,
            gates: _,
        } = promotion;
        let place = (policy.clone(), environment.clone());
        let is_since_resumed = self.resumed.contains_key(&place);
        for (image, moved) in images {
            let recorded = Recorded {
                commit: told.commit.id.clone(),
                at: told.at(),
                merge: told.merge.map(|merge| merge.id.clone()),
                pull_request: told.pull_request(),
                is_since_resumed,
                moved,
            };
            self.record((policy.clone(), environment.clone(), image), recorded);
        }
    }

    fn decided(&mut self, told: Told<'_>, event: HoldEvent) {
        let (
            Target {
                policy: Some(policy),
                environment: Some(environment),
                ..
            },
            Act::Resume { stands },
        ) = (event.target, event.act)
        else {
            return;
        };
        let resumed = Resumed {
            commit: told.commit.id.clone(),
            at: told.at(),
            stands: stands.map(BTreeSet::from_iter),
        };
        let is_here = |key: &Key| (&key.0, &key.1) == (&policy, &environment);
        let here = self.promotions.iter_mut().filter(|(key, _)| is_here(key));
        for (_, promotions) in here {
            let since = promotions.iter_mut().rev();
            for promotion in since.take_while(|promotion| promotion.is_since_resumed) {
                Arc::make_mut(promotion).is_since_resumed = false;
            }
        }
        self.resume((policy, environment), resumed);
    }

    /// Adds a promotion that is newer than all that were recorded before.
    pub(crate) fn record(&mut self, key: Key, recorded: Recorded) {
        self.promotions
            .entry(key)
            .or_default()
            .push(Arc::new(recorded));
    }

    /// Adds a decision that is newer than all that were recorded before.
    pub(crate) fn resume(&mut self, key: (PolicyName, EnvironmentName), resumed: Resumed) {
        self.resumed.insert(key, resumed);
    }

    /// Every promotion, in the order of policy, environment, image, and then of time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Recorded)> {
        let promotions = self.promotions.iter();
        promotions.flat_map(|(key, of_image)| of_image.iter().map(move |one| (key, one.as_ref())))
    }

    /// The latest resumption of each environment, in the order of policy and environment.
    pub(crate) fn resumptions(
        &self,
    ) -> impl Iterator<Item = (&(PolicyName, EnvironmentName), &Resumed)> {
        self.resumed.iter()
    }
}
