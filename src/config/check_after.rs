//! The order of environments: each comes after others that there are, and none after itself.

use std::collections::BTreeMap;

use super::check_environment::after_names;
use super::check_policy::Check;
use super::raw::Environment as RawEnvironment;
use super::shape::{Block, Placed, list, nearest};
use super::source::Span;
use crate::policy::EnvironmentName;

/// Most environments of one policy: a route to 20 regions with three rings each. 10,000 policies that share a route of so many
/// take 600 MB.
pub(super) const ENVIRONMENTS_MAX: usize = 64;

impl Check<'_> {
    /// Refuses more environments than a policy can have.
    pub(super) fn few(&mut self, environments: &[Block<RawEnvironment>]) {
        if let Some(first) = environments.get(ENVIRONMENTS_MAX) {
            let message = format!("these are more than {ENVIRONMENTS_MAX} environments");
            self.faults.error(first.owner, message);
        }
    }

    /// Refuses a name that two environments have.
    pub(super) fn once_each(&mut self, environments: &[Block<RawEnvironment>]) {
        let mut seen = BTreeMap::new();
        for environment in environments {
            let Placed { value, span, .. } = &environment.value.name;
            if let Some(first) = seen.insert(value, *span) {
                let first = self.at(first);
                let message = format!("a second environment `{value}`; the first is in {first}");
                self.faults.error(*span, message);
            }
        }
    }

    /// Refuses environments that come after none that there is, after themselves, or after each other in a circle.
    pub(super) fn order(&mut self, environments: &[Block<RawEnvironment>]) {
        let names = environments.iter().map(|e| &e.value.name.value);
        let names: Vec<&EnvironmentName> = names.collect();
        // For each, where those are that it comes after, and where that is said.
        let mut before: Vec<Vec<(usize, Span)>> = Vec::new();
        for environment in environments {
            let name = &environment.value.name.value;
            let mut of_one: Vec<(usize, Span)> = Vec::new();
            for written in after_names(&environment.value) {
                match names.iter().position(|other| **other == written.value) {
                    _ if written.value == *name => {
                        let message = format!("`{name}` comes after itself");
                        self.faults.error(written.span, message);
                    }
                    None => self.no_environment(written, &names),
                    Some(index) if of_one.iter().any(|(other, _)| *other == index) => {
                        let message = format!("`{}` stands here twice", written.value);
                        self.faults.error(written.span, message);
                    }
                    Some(index) => of_one.push((index, written.span)),
                }
            }
            before.push(of_one);
        }
        self.circles(&names, &before);
    }

    fn no_environment(&mut self, written: &Placed<EnvironmentName>, names: &[&EnvironmentName]) {
        let known: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        let hint = match nearest(written.value.as_str(), &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", list(&known)),
        };
        let message = format!("there is no environment `{}`", written.value);
        self.faults.error_with_hint(written.span, message, hint);
    }

    /// Tells each circle once, and the environments behind one, which nothing reaches.
    fn circles(&mut self, names: &[&EnvironmentName], before: &[Vec<(usize, Span)>]) {
        let stuck = stuck(before);
        let first = |index: usize| before[index].iter().find(|(other, _)| stuck[*other]);
        let mut is_told = vec![false; names.len()];
        for start in (0..names.len()).filter(|index| stuck[*index]) {
            let mut walk: Vec<(usize, Span)> = Vec::new();
            let mut at = start;
            while !is_told[at] && walk.iter().all(|(index, _)| *index != at) {
                let Some((next, span)) = first(at) else { break };
                walk.push((at, *span));
                at = *next;
            }
            let circle = walk.iter().position(|(index, _)| *index == at);
            for (index, span) in &walk[..circle.unwrap_or(walk.len())] {
                is_told[*index] = true;
                let message = format!(
                    "no version reaches `{}`, since it comes after environments in a circle",
                    names[*index]
                );
                self.faults.error(*span, message);
            }
            let Some(circle) = circle.map(|start| &walk[start..]) else {
                continue;
            };
            let chain: Vec<String> = circle
                .iter()
                .map(|(index, _)| format!("`{}`", names[*index]))
                .collect();
            for (index, _) in circle {
                is_told[*index] = true;
            }
            let message = format!(
                "these environments come after each other in a circle, so no version reaches them: {} after {}",
                chain.join(" after "),
                chain[0]
            );
            self.faults.error(circle[0].1, message);
        }
    }
}

/// Which environments are in a circle or behind one.
fn stuck(before: &[Vec<(usize, Span)>]) -> Vec<bool> {
    let mut stuck = vec![true; before.len()];
    while let Some(free) = (0..before.len())
        .find(|index| stuck[*index] && before[*index].iter().all(|(other, _)| !stuck[*other]))
    {
        stuck[free] = false;
    }
    stuck
}
