//! Shared: where a value stands, by its path, and which other places say it by an alias.
//!
//! Not here: the way from a path to a value (`find`).
//! Invariant: every alias is looked at once, so that aliases of aliases end.

use std::collections::BTreeSet;

use super::find::Miss;
use super::path::{Path, Step};
use super::refusal::{Known, Reason, Refusal};
use super::scan::{Kind, NodeId, Scan};

/// A place that says what another place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) path: Path,
    /// One-based line of the alias.
    pub(crate) line: usize,
}

/// Most aliases of one place. More nobody reviews, and each costs a walk through the file: 1,000 in a list of 100,000
/// take 0.1 s.
const SHARED_MAX: usize = 1000;

/// How many places elsewhere a message names.
const PLACES_SHOWN_MAX: usize = 3;

/// How many places elsewhere are looked at for that; each costs a walk through the file.
const PLACES_SEEN_MAX: usize = 200;

impl Scan<'_> {
    /// The path from the document's root to a value; none for the root itself and for what stands in a key.
    pub(crate) fn path_to(&self, node: NodeId) -> Option<Path> {
        Path::of(self.steps_to(node)?)
    }

    /// The places that change with what `below` leads to from `node`, since they say it, or what it stands in, by an
    /// alias.
    pub(crate) fn shared(&self, node: NodeId, below: &[Step]) -> Result<Vec<Shared>, Refusal> {
        let mut found = Vec::new();
        if self.has_anchors() {
            self.collect_shared(node, below, &mut BTreeSet::new(), &mut found)?;
        }
        Ok(found)
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
    ) -> Result<(), Refusal> {
        let Some(steps) = self.steps_to(node) else {
            return Ok(());
        };
        for (depth, anchored) in self.way_to(node).into_iter().enumerate() {
            for alias in self.aliases_of(anchored) {
                if !seen.insert(alias) {
                    continue;
                }
                if seen.len() > SHARED_MAX {
                    let reason = Reason::TooManyAliases { limit: SHARED_MAX };
                    return Err(Refusal::at(self.line(node), reason));
                }
                let rest: Vec<Step> = [&steps[depth..], below].concat();
                let Some(place) = self.place_of(alias, &rest) else {
                    continue;
                };
                let path = Path::of([place, rest.clone()].concat());
                let line = self.line(alias);
                found.extend(path.map(|path| Shared { path, line }));
                self.collect_shared(alias, &rest, seen, found)?;
            }
        }
        Ok(())
    }

    /// Where the value of an alias comes to stand; nowhere if the map that merges it has the next key of its own.
    fn place_of(&self, alias: NodeId, rest: &[Step]) -> Option<Vec<Step>> {
        let mut steps = self.steps_to(alias)?;
        let merge = |step: &Step| *step == Step::Key("<<".to_owned());
        let Some(depth) = steps.iter().rposition(merge) else {
            return Some(steps);
        };
        let map = *self.way_to(alias).get(depth)?;
        let is_own = match rest.first() {
            Some(Step::Key(key)) => self.pair(map, key).ok().flatten().is_some(),
            Some(Step::Index(_) | Step::Item { .. }) | None => false,
        };
        steps.truncate(depth);
        Some(steps).filter(|_| !is_own)
    }

    fn steps_to(&self, node: NodeId) -> Option<Vec<Step>> {
        let way = self.way_to(node);
        let step = |pair: &[NodeId]| self.step_to(pair[0], pair[1]);
        way.windows(2).map(step).collect()
    }

    /// The nodes from the root of the document down to `node`, both included.
    pub(crate) fn way_to(&self, node: NodeId) -> Vec<NodeId> {
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
        for (key, value) in places.take(PLACES_SEEN_MAX) {
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

#[cfg(test)]
mod tests {
    use super::{SHARED_MAX, Scan};
    use crate::edit::{Reach, Target};

    /// The places that change with the value at `path`, or why they are not told.
    fn shared(text: &str, path: &str) -> String {
        let scan = Scan::new(text).unwrap();
        let found = scan.find_in_one(&path.parse().unwrap(), &Reach::default());
        let Ok(Target::Node(node)) = found else {
            panic!("{path} is not there");
        };
        match scan.shared(node, &[]) {
            Ok(shared) => shared
                .iter()
                .map(|shared| format!("{}:{}", shared.path, shared.line))
                .collect::<Vec<_>>()
                .join(" "),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn aliases_of_aliases_are_found_and_overridden_ones_left_out() {
        let text = "a: &a {v: &v x, w: 1}\nb: &b {m: *a}\nc: [*b, {<<: *a}, {<<: [*a], v: y}]\nd: {<<: [*b]}\ne: *v\n";
        assert_eq!(
            shared(text, "a.v"),
            "b.m.v:2 c[0].m.v:3 d.m.v:4 c[1].v:3 e:5"
        );
        assert_eq!(
            shared(text, "a.w"),
            "b.m.w:2 c[0].m.w:3 d.m.w:4 c[1].w:3 c[2].w:3"
        );
    }

    #[test]
    fn a_loop_of_anchors_ends_and_a_bomb_of_aliases_is_refused() {
        assert_eq!(shared("a: &a\n  b: *a\n  v: x\n", "a.v"), "a.b.v:2");
        let list = |count: usize| format!("a: &a x\nb: [{}]\n", vec!["*a"; count].join(", "));
        assert_eq!(
            shared(&list(SHARED_MAX), "a").split(' ').count(),
            SHARED_MAX
        );
        insta::assert_snapshot!(shared(&list(100_000), "a"), @"more than 1000 places say this value by an alias, which is more than one can review");
        let level = |level: usize| {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            format!("a{level}: &a{level} [{items}]\n")
        };
        let bomb: String = ["a0: &a0 x\n".to_owned()]
            .into_iter()
            .chain((1..9).map(level))
            .collect();
        assert_eq!(shared(&bomb, "a0").split(' ').count(), 72);
    }
}
