//! Shared: where a value stands, by its path, and which other places say it by an alias.
//!
//! Not here: the way from a path to a value (`find`).
//! Invariant: every alias is looked at once, so that aliases of aliases end.

use std::collections::BTreeSet;

use super::find::Miss;
use super::path::{Path, Step};
use super::refusal::{Known, Reason};
use super::scan::{Kind, NodeId, Scan};

/// A place that says what another place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) path: Path,
    /// One-based line of the alias.
    pub(crate) line: usize,
}

/// How many places elsewhere a message names.
const PLACES_SHOWN_MAX: usize = 3;

impl Scan<'_> {
    /// The path from the document's root to a value; none for the root itself and for what stands in a key.
    pub(crate) fn path_to(&self, node: NodeId) -> Option<Path> {
        Path::of(self.steps_to(node)?)
    }

    /// The places that change with what `below` leads to from `node`, since they say it, or what it stands in, by an
    /// alias.
    pub(crate) fn shared(&self, node: NodeId, below: &[Step]) -> Vec<Shared> {
        let mut found = Vec::new();
        if self.has_anchors() {
            self.collect_shared(node, below, &mut BTreeSet::new(), &mut found);
        }
        found
    }

    /// What the document holds that `node` is in.
    pub(crate) fn root_above(&self, node: NodeId) -> NodeId {
        self.way_to(node).first().copied().unwrap_or(node)
    }

    /// Adds the aliases of `node` and of what it stands in; `below` leads on from each to what changes.
    fn collect_shared(
        &self,
        node: NodeId,
        below: &[Step],
        seen: &mut BTreeSet<NodeId>,
        found: &mut Vec<Shared>,
    ) {
        let Some(steps) = self.steps_to(node) else {
            return;
        };
        for (depth, anchored) in self.way_to(node).into_iter().enumerate() {
            for alias in self.aliases_of(anchored) {
                if !seen.insert(alias) {
                    continue;
                }
                let rest: Vec<Step> = [&steps[depth..], below].concat();
                let Some((place, is_hidden)) = self.place_of(alias, &rest) else {
                    continue;
                };
                if is_hidden {
                    continue;
                }
                let path = Path::of([place, rest.clone()].concat());
                let line = self.line(alias);
                found.extend(path.map(|path| Shared { path, line }));
                self.collect_shared(alias, &rest, seen, found);
            }
        }
    }

    /// Where the value of an alias comes to stand, and whether the map that merges it has the next key of its own.
    fn place_of(&self, alias: NodeId, rest: &[Step]) -> Option<(Vec<Step>, bool)> {
        let mut steps = self.steps_to(alias)?;
        let merge = |step: &Step| *step == Step::Key("<<".to_owned());
        let Some(depth) = steps.iter().rposition(merge) else {
            return Some((steps, false));
        };
        let map = *self.way_to(alias).get(depth)?;
        steps.truncate(depth);
        let own = match rest.first() {
            Some(Step::Key(key)) => self.pair(map, key).ok().flatten().is_some(),
            Some(Step::Index(_) | Step::Item { .. }) | None => false,
        };
        Some((steps, own))
    }

    fn steps_to(&self, node: NodeId) -> Option<Vec<Step>> {
        let way = self.way_to(node);
        let step = |pair: &[NodeId]| self.step_to(pair[0], pair[1]);
        way.windows(2).map(step).collect()
    }

    /// The nodes from the root of the document down to `node`, both included.
    fn way_to(&self, node: NodeId) -> Vec<NodeId> {
        let holds = |above: &NodeId| above.0 <= node.0 && node.0 < self.nodes[above.0].past;
        let document = self.all_documents().find(holds);
        let mut way: Vec<NodeId> = document
            .and_then(|document| self.root(document))
            .into_iter()
            .collect();
        while let Some(&last) = way.last().filter(|&&last| last != node) {
            match self.children(last).find(holds) {
                Some(child) => way.push(child),
                None => break,
            }
        }
        way
    }

    /// The step from a collection to one of its values.
    fn step_to(&self, parent: NodeId, child: NodeId) -> Option<Step> {
        if self.is_mapping(parent) {
            let (key, _) = self.pairs(parent).find(|&(_, value)| value == child)?;
            return self.scalar(key).map(|key| Step::Key(key.to_owned()));
        }
        let name = |item: NodeId| {
            self.pairs(item)
                .find(|&(key, _)| self.scalar(key) == Some("name"))
        };
        let name_of = |item: NodeId| name(item).and_then(|(_, value)| self.scalar(value));
        if let Some(own) = name_of(child).filter(|name| !name.is_empty())
            && self
                .items(parent)
                .filter(|&item| name_of(item) == Some(own))
                .count()
                == 1
        {
            let (key, value) = ("name".to_owned(), own.to_owned());
            return Some(Step::Item { key, value });
        }
        let index = self.items(parent).position(|item| item == child)?;
        Some(Step::Index(index))
    }

    /// `miss` with the places elsewhere that end as `path` does, where no key beside the missing one is like it.
    pub(super) fn with_places_elsewhere(&self, mut miss: Miss, path: &Path) -> Miss {
        if let Reason::NoKey { known, .. } = &mut miss.refusal.reason
            && matches!(known, Known::These(_))
        {
            let places = self.places_ending_as(path);
            if !places.is_empty() {
                *known = Known::Elsewhere(places);
            }
        }
        miss
    }

    /// The scalars whose path ends with the most of `path`, as `PATH (line N)`.
    fn places_ending_as(&self, path: &Path) -> Vec<String> {
        let (Some(Step::Key(last)), steps) = (path.steps().last(), path.steps()) else {
            return Vec::new();
        };
        let values = (0..self.nodes.len())
            .map(NodeId)
            .filter(|&node| self.is_mapping(node));
        let places = values
            .flat_map(|map| self.pairs(map))
            .filter(|&(key, value)| {
                self.scalar(key) == Some(last)
                    && matches!(self.nodes[value.0].token.kind, Kind::Scalar(..))
            });
        let mut likely = Vec::new();
        let mut most = 1;
        for (key, value) in places {
            let Some(place) = self.path_to(value) else {
                continue;
            };
            let ends = place.steps().iter().rev().zip(steps.iter().rev());
            let common = ends.take_while(|(one, other)| one == other).count();
            if common > most {
                likely.clear();
                most = common;
            }
            if common == most {
                likely.push(format!("`{place}` (line {})", self.line(key)));
            }
        }
        likely.truncate(PLACES_SHOWN_MAX);
        likely
    }
}
