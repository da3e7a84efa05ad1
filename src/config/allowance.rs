//! How much the custom resources of one namespace may be in all, so that whoever makes too many takes nothing from others.
//!
//! Not here: how large one may be (`cluster`), and how far its policies may go (`limits`).
//! Invariant: what is too much is told by the texts alone, before anything is made of them.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Most custom resources: ten for each of a hundred applications of one team.
const RESOURCES_MAX: usize = 1000;

/// Most bytes of all of them as text: 4 KiB each, and what one file may have. As trees they have 150 MB at the worst.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most different patterns and globs: one for each policy. Of 0.15 MB at the worst they have 150 MB; of 40 kB, as usual, 40 MB, and
/// nothing where they are read without a regular expression, as most are.
const PATTERNS_MAX: usize = 1000;

/// Most different regular expressions: one for each of a hundred applications. Of 0.5 MB at the worst they have 50 MB.
const REGEXES_MAX: usize = 100;

/// What was taken of what a namespace may have.
#[derive(Default)]
pub(super) struct Allowance<'a> {
    resources: usize,
    bytes: usize,
    expressions: Expressions<'a>,
}

/// The texts of which machines are made.
#[derive(Default)]
struct Expressions<'a> {
    patterns: BTreeSet<&'a str>,
    regexes: BTreeSet<&'a str>,
}

/// What is too much.
pub(super) struct Excess {
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
