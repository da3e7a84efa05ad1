//! How much the custom resources of one namespace may be in all, so that whoever makes too many takes nothing from others.
//!
//! Not here: how large one may be (`cluster`), and how far its policies may go (`limits`).
//! Invariant: what is too much is told by what is written alone, before policies are made of it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Most custom resources: ten for each of a hundred applications of one team.
const RESOURCES_MAX: usize = 1000;

/// Most bytes of all of them as text: 4 KiB each, and what one file may have.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most fleets: one for each of a hundred kinds of applications. A branch has 20,000 folders of each at most.
const FLEETS_MAX: usize = 100;

/// Most places that its policies have, or the applications of its fleets: 1,000 of five environments and four images.
const PLACES_MAX: usize = 20_000;

/// Most bytes of its policies with what their routes say, or of the applications of its fleets: 4 KiB each, for four images. Read,
/// as many places and bytes as may be have 0.16 GB (333 policies of 60 environments with paths of 700 characters), and 0.4 GB where
/// these are made of the longest names by `{policy}`; those of fleets as much again.
const WRITTEN_MAX: usize = 16 * 1024 * 1024;

/// Most different patterns and globs: one for each policy. What each may take as a machine is bounded (`policy`), and most patterns are
/// read without one.
const PATTERNS_MAX: usize = 1000;

/// Most different regular expressions: one for each of a hundred applications. Of the 1.1 MB in use that were the most measured they have
/// 110 MB, and of the 4 MB that one takes at most (`policy`) 400 MB.
const REGEXES_MAX: usize = 100;

/// What was taken of what a namespace may have.
#[derive(Default)]
pub(super) struct Allowance<'a> {
    resources: usize,
    bytes: usize,
    fleets: usize,
    expressions: Expressions<'a>,
}

/// How much policies are, with what their routes say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent {
    /// One for each `update` of each environment, and for each image of the policy.
    pub(super) places: usize,
    /// Of what is written, as if each image had a policy of its own.
    pub(super) bytes: usize,
}

/// The texts of which machines are made.
#[derive(Default)]
struct Expressions<'a> {
    patterns: BTreeSet<&'a str>,
    regexes: BTreeSet<&'a str>,
}

/// What is too much.
pub(crate) struct Excess {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

impl<'a> Allowance<'a> {
    /// Takes what a resource needs, whose text has `bytes`. One that is too much takes its place and bytes all the same, so that it is
    /// the same ones that count however often they are counted.
    pub(super) fn take(&mut self, bytes: usize, spec: Option<&'a Json>) -> Result<(), Excess> {
        self.resources += 1;
        self.bytes += bytes;
        if self.resources > RESOURCES_MAX || self.bytes > BYTES_MAX {
            let message = format!(
                "a namespace has {RESOURCES_MAX} policies and routes at most, with {BYTES_MAX} bytes"
            );
            let hint = "the oldest count";
            return Err(Excess { message, hint });
        }
        let Some(spec) = spec else {
            return Ok(());
        };
        self.fleets += usize::from(spec.get("for-each").is_some());
        if self.fleets > FLEETS_MAX {
            let message = format!("a namespace has {FLEETS_MAX} fleets at most");
            let hint = "the oldest count; one has a policy for each folder of its convention";
            return Err(Excess { message, hint });
        }
        let mut own = Expressions::default();
        own.add(spec);
        let Expressions { patterns, regexes } = &mut self.expressions;
        let others = |own: &BTreeSet<_>, all: &BTreeSet<_>| own.difference(all).count();
        if patterns.len() + others(&own.patterns, patterns) > PATTERNS_MAX {
            let message =
                format!("a namespace has {PATTERNS_MAX} different patterns and globs at most");
            let hint = "the oldest count; a route has one for many policies";
            return Err(Excess { message, hint });
        }
        if regexes.len() + others(&own.regexes, regexes) > REGEXES_MAX {
            let message =
                format!("a namespace has {REGEXES_MAX} different regular expressions at most");
            let hint =
                "the oldest count; write `pattern`, or a route, which has one for many policies";
            return Err(Excess { message, hint });
        }
        patterns.append(&mut own.patterns);
        regexes.append(&mut own.regexes);
        Ok(())
    }
}

impl Extent {
    /// Adds what `more` is, unless that is more in all than those of a namespace may be.
    pub(crate) fn take(&mut self, more: Self) -> Result<(), Excess> {
        let both = Self {
            places: self.places.saturating_add(more.places),
            bytes: self.bytes.saturating_add(more.bytes),
        };
        if both.places > PLACES_MAX || both.bytes > WRITTEN_MAX {
            let message = format!(
                "the policies of a namespace have {PLACES_MAX} places at most, and {WRITTEN_MAX} bytes with what their routes say, all of it counted for each image"
            );
            let hint =
                "the oldest count; fewer environments, or fewer images of one policy, need less";
            return Err(Excess { message, hint });
        }
        *self = both;
        Ok(())
    }
}

impl<'a> Expressions<'a> {
    /// Adds all that stand under the keys that have some.
    fn add(&mut self, value: &'a Json) {
        match value {
            Json::Object(entries) => {
                for (key, value) in entries {
                    match key.as_str() {
                        "pattern" | "ignore" | "identity" => self.patterns.extend(texts(value)),
                        "regex" | "matches" => self.regexes.extend(texts(value)),
                        _ => {}
                    }
                    self.add(value);
                }
            }
            Json::Array(values) => values.iter().for_each(|value| self.add(value)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

/// A text, or those of a list.
fn texts(value: &Json) -> Vec<&str> {
    match value {
        Json::Array(values) => values.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
