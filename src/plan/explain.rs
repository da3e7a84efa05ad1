//! Why one environment has the version that it has: the decision, and what became of every tag.

use std::slice;

use jiff::Timestamp;

use super::decide::barred;
use super::facts::{ListedTags, histories};
use super::held::{Held, rejections};
use super::{Decided, Scope, plan};
use crate::image::Tag;
use crate::policy::select::choose::rank;
use crate::policy::select::explain::{Verdict, explain_ranking};
use crate::policy::{Environment, Policy};
use crate::world::World;

/// The decision for one image, with the tags that it was made from.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) decided: Decided,
    /// Newest first, then those that are no candidates; empty where the tags are unknown.
    pub(crate) tags: Vec<(Tag, Verdict)>,
}

/// Explains the decisions for every image of one environment.
pub(crate) fn explain(
    scope: &Scope<'_>,
    (policy, environment): (&Policy, &Environment),
    (world, now): (&World, Timestamp),
) -> Vec<Explained> {
    let rejections = rejections(scope, world);
    let decisions = plan(scope, world, now).decisions.into_iter();
    let of_environment = decisions
        .filter(|decided| decided.policy == policy.name && decided.environment == environment.name);
    of_environment
        .map(|decided| {
            let rule = &environment.rules[&decided.image];
            let facts = world.images.get(&decided.repository);
            let histories = histories(world);
            let listed = facts.and_then(|facts| Some((facts, ListedTags::of(facts, &histories)?)));
            let tags = match listed {
                Some((facts, listed)) => {
                    let subject = (policy, &environment.name, &decided.image);
                    let held = Held::of(scope, (world, &rejections), subject, now);
                    let rejected = held.map(|held| held.rejected(facts)).unwrap_or_default();
                    let alone = Scope {
                        policies: slice::from_ref(policy),
                        ..*scope
                    };
                    let place = (&environment.name, &decided.image);
                    let mut barred = barred(&alone, (world, &rejections), place, now);
                    barred.extend(rejected.tags());
                    let ranking = rank(rule, &listed).without(&barred);
                    explain_ranking(ranking, decided.current.as_deref())
                }
                None => Vec::new(),
            };
            Explained { decided, tags }
        })
        .collect()
}
