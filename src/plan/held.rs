//! What people decided about one image in one environment, as far as it counts now.
//!
//! Not here: how it was read (`observe`), and what becomes of it (`decide`).
//! Invariant: holds that nobody could read hold everything in their repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::request::hidden::{self, Promotions};
use super::{HoldReason, Scope, on_one_line};
use crate::image::{Digest, Tag};
use crate::ledger::{
    HOLDS_FILE, HeldVersion, Hold, HoldKind, Promotion, RejectedBy, Rejection, Rejections, Resumed,
};
use crate::manifest::CommitId;
use crate::policy::select::Exclusion;
use crate::policy::{Deliver, Environment, EnvironmentName, ImageName, Policy};
use crate::world::{BranchName, Fact, ImageFacts, Proposal, PullRequest, RequestState, World};

/// A decision of a person, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    pub(crate) place: Place,
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
}

/// Where a person's decision stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One-based, in the file with the holds.
    Line(usize),
    /// A pull request that was closed, by its number.
    PullRequest(u64),
    /// A commit that put the version before back.
    Commit(CommitId),
}

/// All that people decided about one image in one environment.
#[derive(Debug, Default)]
pub(super) struct Held<'a> {
    pub(super) stop: Option<Ruling>,
    pub(super) pin: Option<(&'a HeldVersion, Ruling)>,
    rejected: Vec<(&'a HeldVersion, Ruling)>,
    /// Who agreed to which version.
    pub(super) approved: BTreeMap<&'a HeldVersion, BTreeSet<String>>,
    pub(super) resumed: Option<&'a Resumed>,
}

/// What is no candidate, by name and by digest.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejected {
    tags: BTreeMap<Tag, Ruling>,
    digests: BTreeMap<Digest, Ruling>,
}

/// What people rejected by closing pull requests: exactly the versions that those promoted last.
pub(super) fn rejections(scope: &Scope<'_>, world: &World) -> Rejections {
    let mut rejections = rolled_back(scope, world);
    let mut closed: BTreeMap<BranchName, Vec<Closed<'_>>> = BTreeMap::new();
    for policy in scope.policies {
        for environment in &policy.environments {
            let Deliver::PullRequest(options) = &environment.deliver else {
                continue;
            };
            let head = BranchName {
                repository: policy.repository.clone(),
                branch: options.head(&policy.name, &environment.name),
            };
            let closed = closed
                .entry(head.clone())
                .or_insert_with(|| closed_by_people(&head, world));
            let base = scope.branch(policy, environment).branch;
            // One that goes elsewhere is not ours, whatever it says.
            for closed in closed.iter().filter(|(request, _)| request.base == base) {
                reject(closed, (policy, environment), &mut rejections);
            }
        }
    }
    rejections
}

/// The versions that were taken back since they were degraded.
fn rolled_back(scope: &Scope<'_>, world: &World) -> Rejections {
    let mut rejections = Rejections::new();
    for policy in scope.policies {
        for environment in &policy.environments {
            let Some(Fact::Known(facts)) = world.branches.get(&scope.branch(policy, environment))
            else {
                continue;
            };
            for (image, rule) in &environment.rules {
                let rollbacks = facts
                    .ledger
                    .rollbacks(&policy.name, &environment.name, image);
                let rejected = rollbacks.filter_map(|recorded| {
                    let replaced = recorded.moved.replaced.as_deref()?;
                    Some(Rejection {
                        version: match rule.followed() {
                            Some(_) => HeldVersion::Digest(replaced.parse().ok()?),
                            None => HeldVersion::Tag(replaced.parse().ok()?),
                        },
                        at: recorded.at,
                        by: None,
                        way: RejectedBy::Rollback {
                            commit: recorded.came_by().clone(),
                            is_since_resumed: recorded.is_since_resumed,
                        },
                    })
                });
                let mut rejected = rejected.peekable();
                if rejected.peek().is_some() {
                    let key = (policy.name.clone(), environment.name.clone(), image.clone());
                    rejections.entry(key).or_default().extend(rejected);
                }
            }
        }
    }
    rejections
}

/// A pull request that a person closed, and what it promoted.
type Closed<'a> = (&'a PullRequest, Vec<Promotion>);

fn closed_by_people<'a>(head: &BranchName, world: &'a World) -> Vec<Closed<'a>> {
    let Some(Fact::Known(requests)) = world.requests.get(&head.repository) else {
        return Vec::new();
    };
    let tip = match world.proposals.get(head) {
        Some(Fact::Known(tip)) => Some(tip.as_ref()),
        Some(Fact::Unknown { .. }) | None => None,
    };
    let of_branch = requests.get(&head.branch).into_iter().flatten();
    let closed = of_branch.filter_map(|request| match rejected_by(request, tip)? {
        Evidence::Body(promotions) | Evidence::Commit(promotions) => Some((request, promotions)),
    });
    closed.collect()
}

/// Where it stands what a pull request that a person closed had promoted.
pub(super) enum Evidence {
    /// In its body.
    Body(Vec<Promotion>),
    /// In the message of the commit that its branch stands at still, since somebody wrote the body anew, or they are too many.
    Commit(Vec<Promotion>),
}

/// What a person rejected by closing `request`, whose branch stands at `tip`.
pub(super) fn rejected_by(request: &PullRequest, tip: Option<&Proposal>) -> Option<Evidence> {
    let RequestState::Closed { .. } = &request.state else {
        return None;
    };
    let hidden = hidden::read(&request.body);
    match hidden.map(|hidden| (hidden.promotions, hidden.flags.closed_by_us)) {
        Some((_, true)) => None,
        Some((Promotions::Here(promotions), false)) => Some(Evidence::Body(promotions)),
        Some((Promotions::InCommit, false)) | None => {
            let tip = tip.filter(|tip| request.head.as_ref() == Some(&tip.tip))?;
            Some(Evidence::Commit(Promotion::read(&tip.message)))
        }
    }
}

/// Adds what closing a pull request rejects in an environment.
fn reject(
    (request, promotions): &Closed<'_>,
    (policy, environment): (&Policy, &Environment),
    rejections: &mut Rejections,
) {
    let RequestState::Closed { at, by } = &request.state else {
        return;
    };
    let here = promotions.iter().filter(|promotion| {
        promotion.policy == policy.name && promotion.environment == environment.name
    });
    for (image, moved) in here.flat_map(|promotion| &promotion.images) {
        let rule = environment.rules.get(image);
        let is_followed = rule.is_some_and(|rule| rule.followed().is_some());
        let version = match (is_followed, &moved.digest) {
            (true, Some(digest)) => HeldVersion::Digest(digest.clone()),
            (true, None) | (false, _) => HeldVersion::Tag(moved.tag.clone()),
        };
        let key = (policy.name.clone(), environment.name.clone(), image.clone());
        rejections.entry(key).or_default().push(Rejection {
            version,
            at: *at,
            by: by.clone(),
            way: RejectedBy::Closing(request.number),
        });
    }
}

/// The latest commit by which a person resumed the promotions of `environment`: on the repository's own branch, as holds are.
pub(super) fn resumed<'a>(
    (scope, world): (&Scope<'_>, &'a World),
    (policy, environment): (&Policy, &EnvironmentName),
) -> Option<&'a Resumed> {
    match world.branches.get(&own_branch(scope, policy))? {
        Fact::Known(facts) => facts.ledger.resumed(&policy.name, environment),
        Fact::Unknown { .. } => None,
    }
}

/// The branch with the holds.
fn own_branch(scope: &Scope<'_>, policy: &Policy) -> BranchName {
    let repository = policy.repository.clone();
    let branch = scope.branches[&repository].clone();
    BranchName { repository, branch }
}

impl<'a> Held<'a> {
    /// What counts at `now` for `image` of `policy` in `environment`.
    pub(super) fn of(
        scope: &Scope<'_>,
        (world, rejections): (&'a World, &'a Rejections),
        (policy, environment, image): (&Policy, &EnvironmentName, &ImageName),
        now: Timestamp,
    ) -> Result<Self, HoldReason> {
        let own_branch = own_branch(scope, policy);
        let unread = || "it has not been read yet".to_owned();
        let facts = match world.branches.get(&own_branch) {
            Some(Fact::Known(facts)) => facts,
            Some(Fact::Unknown { why }) => {
                return Err(HoldReason::ManifestsUnknown { why: why.clone() });
            }
            None => return Err(HoldReason::ManifestsUnknown { why: unread() }),
        };
        let holds = match &facts.holds {
            Fact::Known(holds) => holds,
            Fact::Unknown { why } => return Err(HoldReason::HoldsUnknown { why: why.clone() }),
        };
        let mut held = Self {
            resumed: facts.ledger.resumed(&policy.name, environment),
            ..Self::default()
        };
        let counts = |hold: &&Hold| {
            hold.is_in_force(now) && hold.target.covers(&policy.name, environment, image)
        };
        for hold in holds.iter().filter(counts) {
            held.add(hold);
        }
        let key = (policy.name.clone(), environment.clone(), image.clone());
        let closed = rejections.get(&key).into_iter().flatten();
        let resumed = held.resumed;
        let closed =
            closed.filter(|closed| resumed.is_none_or(|resumed| !closed.is_lifted(resumed)));
        held.rejected.extend(closed.map(|rejection| {
            let Rejection {
                version,
                at: _,
                by,
                way,
            } = rejection;
            let ruling = Ruling {
                place: match way {
                    RejectedBy::Closing(number) => Place::PullRequest(*number),
                    RejectedBy::Rollback {
                        commit,
                        is_since_resumed: _,
                    } => Place::Commit(commit.clone()),
                },
                by: by.clone(),
                reason: None,
                until: None,
            };
            (version, ruling)
        }));
        Ok(held)
    }

    fn add(&mut self, hold: &'a Hold) {
        let ruling = Ruling {
            place: Place::Line(hold.line),
            by: hold.by.clone(),
            reason: hold.reason.clone(),
            until: hold.until,
        };
        match &hold.kind {
            HoldKind::Stop => self.stop = Some(longest(self.stop.take(), ruling)),
            // What names the image is meant for it more than what names none.
            HoldKind::Pin(version) if self.pin.is_none() || hold.target.image.is_some() => {
                self.pin = Some((version, ruling));
            }
            HoldKind::Pin(_) => {}
            HoldKind::Approve(version) => {
                let people = self.approved.entry(version).or_default();
                people.extend(hold.by.as_deref().map(on_one_line));
            }
            HoldKind::Reject(versions) => {
                let each = versions.iter().map(|version| (version, ruling.clone()));
                self.rejected.extend(each);
            }
        }
    }

    /// What is no candidate; a tag is none where its digest is known to be rejected.
    pub(super) fn rejected(&self, facts: &ImageFacts) -> Rejected {
        let mut rejected = Rejected::default();
        for (version, ruling) in &self.rejected {
            match version {
                HeldVersion::Tag(tag) => rejected.tags.insert(tag.clone(), ruling.clone()),
                HeldVersion::Digest(digest) => {
                    rejected.digests.insert(digest.clone(), ruling.clone())
                }
            };
        }
        if rejected.digests.is_empty() {
            return rejected;
        }
        for (tag, details) in facts.tags.iter() {
            if let Some(Fact::Known(digest)) = &details.digest
                && let Some(ruling) = rejected.digests.get(digest)
            {
                rejected
                    .tags
                    .entry(tag.clone())
                    .or_insert_with(|| ruling.clone());
            }
        }
        rejected
    }
}

/// The stop that counts longer: the first of two without an end.
fn longest(first: Option<Ruling>, second: Ruling) -> Ruling {
    let Some(first) = first else {
        return second;
    };
    match (first.until, second.until) {
        (Some(one), Some(other)) if other > one => second,
        (Some(_), None) => second,
        (Some(_), Some(_)) | (None, _) => first,
    }
}

impl Rejected {
    pub(super) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }

    pub(super) fn tag(&self, tag: &Tag) -> Option<&Ruling> {
        self.tags.get(tag)
    }

    pub(super) fn digest(&self, digest: &Digest) -> Option<&Ruling> {
        self.digests.get(digest)
    }

    /// The tags that are no candidates, each with what a person said of it.
    pub(super) fn tags(&self) -> BTreeMap<Tag, Exclusion> {
        let told = |(tag, ruling): (&Tag, &Ruling)| {
            let words = ruling.to_string().into();
            (tag.clone(), Exclusion::Rejected { words })
        };
        self.tags.iter().map(told).collect()
    }
}

impl fmt::Display for Ruling {
    /// What follows `stopped`: ` by Ada until TIME: broken login (.towpath/holds.yaml:3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            by,
            reason,
            until,
        } = self;
        if let Some(by) = by {
            write!(f, " by {}", on_one_line(by))?;
        }
        if let Some(until) = until {
            write!(f, " until {until}")?;
        }
        if let Some(reason) = reason {
            write!(f, ": {}", on_one_line(reason))?;
        }
        match place {
            Place::Line(line) => write!(f, " ({HOLDS_FILE}:{line})"),
            Place::PullRequest(number) => write!(f, " (pull request #{number} was closed)"),
            Place::Commit(commit) => write!(
                f,
                ", since it was degraded here (commit {})",
                commit.short()
            ),
        }
    }
}
