//! Shared: where a value stands, by its path, and which other places say it by an alias.
//!
//! Not here: the way from a path to a value (`find`).
//! Invariant: every alias is looked at once for a value, so that aliases of aliases end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

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

/// Most aliases of the places of one site. More nobody reviews.
const SHARED_MAX: usize = 1000;

/// Longest name by which an item of a list is called, in bytes: that of a Kubernetes object has at most 253.
const NAME_BYTES_MAX: usize = 253;

/// How many places elsewhere a message names.
const PLACES_SHOWN_MAX: usize = 3;

/// How many places elsewhere are looked at for that; each costs a walk down the file.
const PLACES_SEEN_MAX: usize = 200;

/// How many aliases may still be told, whichever text they stand in.
pub(crate) struct AliasesLeft(Cell<usize>);

/// Where the values of one text stand. What the paths to many of them have in common is looked through once.
pub(crate) struct Whereabouts<'s, 't> {
    scan: &'s Scan<'t>,
    aliases_left: &'s AliasesLeft,
    documents: Vec<NodeId>,
    /// The children of what was come through, in order.
    children: BTreeMap<NodeId, Vec<NodeId>>,
    /// The names of the items of a list, where one item alone has the name.
    names: BTreeMap<NodeId, Vec<Option<&'s str>>>,
    /// The aliases of each anchor, by its number; none before one was asked for.
    aliases: Option<BTreeMap<usize, Vec<NodeId>>>,
}

impl Default for AliasesLeft {
    fn default() -> Self {
        Self(Cell::new(SHARED_MAX))
    }
}

impl<'s, 't> Whereabouts<'s, 't> {
    pub(crate) fn new(scan: &'s Scan<'t>, aliases_left: &'s AliasesLeft) -> Self {
        Self {
            scan,
            aliases_left,
            documents: scan.all_documents().collect(),
            children: BTreeMap::new(),
            names: BTreeMap::new(),
            aliases: None,
        }
    }

    pub(crate) fn scan(&self) -> &'s Scan<'t> {
        self.scan
    }

    /// The path from the document's root to a value; none for the root itself and for what stands in a key.
    pub(crate) fn path_to(&mut self, node: NodeId) -> Option<Path> {
        Path::of(self.steps_to(node)?)
    }

    /// The places that change with what `below` leads to from `node`, since they say it, or what it stands in, by an
    /// alias.
    pub(crate) fn shared(&mut self, node: NodeId, below: &[Step]) -> Result<Vec<Shared>, Refusal> {
        let mut found = Vec::new();
        if self.scan.has_anchors() {
            self.collect_shared(node, below, &mut BTreeSet::new(), &mut found)?;
        }
        Ok(found)
    }

    /// Adds the aliases of `node` and of what it stands in; `below` leads on from each to what changes.
    fn collect_shared(
        &mut self,
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
                let AliasesLeft(left) = self.aliases_left;
                let Some(fewer) = left.get().checked_sub(1) else {
                    let reason = Reason::TooManyAliases { limit: SHARED_MAX };
                    return Err(Refusal::at(self.scan.line(node), reason));
                };
                left.set(fewer);
                let rest: Vec<Step> = [&steps[depth..], below].concat();
                let Some(place) = self.place_of(alias, &rest) else {
                    continue;
                };
                let path = Path::of([place, rest.clone()].concat());
                let line = self.scan.line(alias);
                found.extend(path.map(|path| Shared { path, line }));
                self.collect_shared(alias, &rest, seen, found)?;
            }
        }
        Ok(())
    }

    /// The aliases of the very value that `node` is; of very many only one more than may be told.
    fn aliases_of(&mut self, node: NodeId) -> Vec<NodeId> {
        let scan = self.scan;
        let anchor = scan.nodes[node.0].token.anchor;
        if anchor == 0 {
            return Vec::new();
        }
        let all = self.aliases.get_or_insert_with(|| {
            let mut all: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
            for alias in scan.all_nodes() {
                if let Kind::Alias(anchor) = scan.nodes[alias.0].token.kind {
                    all.entry(anchor).or_default().push(alias);
                }
            }
            all
        });
        let aliases = all.get(&anchor).into_iter().flatten().copied();
        aliases.take(SHARED_MAX + 1).collect()
    }

    /// Where the value of an alias comes to stand; nowhere if the map that merges it has the next key of its own.
    fn place_of(&mut self, alias: NodeId, rest: &[Step]) -> Option<Vec<Step>> {
        let mut steps = self.steps_to(alias)?;
        let merge = |step: &Step| *step == Step::Key("<<".to_owned());
        let Some(depth) = steps.iter().rposition(merge) else {
            return Some(steps);
        };
        let map = *self.way_to(alias).get(depth)?;
        let is_own = match rest.first() {
            Some(Step::Key(key)) => self.scan.pair(map, key).ok().flatten().is_some(),
            Some(Step::Index(_) | Step::Item { .. }) | None => false,
        };
        steps.truncate(depth);
        Some(steps).filter(|_| !is_own)
    }

    fn steps_to(&mut self, node: NodeId) -> Option<Vec<Step>> {
        let way = self.way_to(node);
        way.windows(2)
            .map(|pair| self.step_to(pair[0], pair[1]))
            .collect()
    }

    /// The nodes from the root of the document down to `node`, both included.
    fn way_to(&mut self, node: NodeId) -> Vec<NodeId> {
        let scan = self.scan;
        let document = last_up_to(&self.documents, node).and_then(|at| self.documents.get(at));
        let root = document.and_then(|&document| scan.root(document));
        let mut way: Vec<NodeId> = root
            .filter(|&root| scan.is_in(node, root))
            .into_iter()
            .collect();
        while let Some(&last) = way.last().filter(|&&last| last != node) {
            let children = self.children(last);
            match last_up_to(children, node).map(|at| children[at]) {
                Some(child) => way.push(child),
                None => break,
            }
        }
        way
    }

    /// The step from a collection to one of its values.
    fn step_to(&mut self, parent: NodeId, child: NodeId) -> Option<Step> {
        let scan = self.scan;
        let children = self.children(parent);
        let index = last_up_to(children, child)?;
        if scan.is_mapping(parent) {
            // Keys and values take turns.
            let key = (index % 2 == 1).then(|| children[index - 1])?;
            return scan.scalar(key).map(|key| Step::Key(key.to_owned()));
        }
        Some(match self.names(parent).get(index) {
            Some(Some(name)) => Step::Item {
                key: "name".to_owned(),
                value: (*name).to_owned(),
            },
            Some(None) | None => Step::Index(index),
        })
    }

    fn children(&mut self, parent: NodeId) -> &[NodeId] {
        let scan = self.scan;
        let children = || scan.children(parent).collect();
        self.children.entry(parent).or_insert_with(children)
    }

    /// The name of each item of a list, where that tells it from the others.
    fn names(&mut self, list: NodeId) -> &[Option<&'s str>] {
        let scan = self.scan;
        let name_of = |item: NodeId| {
            let name = |&(key, _): &(NodeId, NodeId)| scan.scalar(key) == Some("name");
            let (_, value) = scan.pairs(item).find(name)?;
            let is_name = |name: &&str| (1..=NAME_BYTES_MAX).contains(&name.len());
            scan.scalar(value).filter(is_name)
        };
        self.names.entry(list).or_insert_with(|| {
            let names: Vec<Option<&str>> = scan.items(list).map(name_of).collect();
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for name in names.iter().flatten() {
                *counts.entry(name).or_default() += 1;
            }
            let is_one = |name: &&str| counts.get(name) == Some(&1);
            names.into_iter().map(|name| name.filter(is_one)).collect()
        })
    }
}

/// Which of `nodes`, which stand in order, is the last not behind `node`.
fn last_up_to(nodes: &[NodeId], node: NodeId) -> Option<usize> {
    nodes.partition_point(|&other| other <= node).checked_sub(1)
}

impl Scan<'_> {
    /// The path from the document's root to a value; none for the root itself and for what stands in a key.
    pub(crate) fn path_to(&self, node: NodeId) -> Option<Path> {
        Whereabouts::new(self, &AliasesLeft::default()).path_to(node)
    }

    /// The places that change with what `below` leads to from `node`, as [`Whereabouts::shared`] says.
    pub(crate) fn shared(&self, node: NodeId, below: &[Step]) -> Result<Vec<Shared>, Refusal> {
        Whereabouts::new(self, &AliasesLeft::default()).shared(node, below)
    }

    /// The nodes from the root of the document down to `node`, both included.
    pub(crate) fn way_to(&self, node: NodeId) -> Vec<NodeId> {
        Whereabouts::new(self, &AliasesLeft::default()).way_to(node)
    }

    /// What the document holds that `node` is in.
    pub(crate) fn root_above(&self, node: NodeId) -> NodeId {
        let root = |document| self.root(document);
        let mut roots = self.all_documents().filter_map(root);
        roots.find(|&root| self.is_in(node, root)).unwrap_or(node)
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
        let aliases_left = AliasesLeft::default();
        let mut whereabouts = Whereabouts::new(self, &aliases_left);
        let mut likely = Vec::new();
        let mut most = 1;
        for (key, value) in places.take(PLACES_SEEN_MAX) {
            let Some(place) = whereabouts.path_to(value) else {
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
    use super::{NAME_BYTES_MAX, SHARED_MAX, Scan};
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
        insta::assert_snapshot!(shared(&list(100_000), "a"), @"more than 1000 places say what stands here by an alias, which is more than one can review");
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
    #[test]
    fn an_item_is_called_by_its_name_where_that_tells_it_from_the_others() {
        let long = "x".repeat(NAME_BYTES_MAX);
        let text = format!(
            "- {{name: a, v: 1}}\n- {{name: b, v: 1}}\n- {{name: a, v: 1}}\n- {{v: 1, name: ''}}\n- {{name: {long}, v: 1}}\n- {{name: x{long}, v: 1}}\n- 1\n"
        );
        let scan = Scan::new(&text).unwrap();
        let paths: Vec<String> = scan
            .all_nodes()
            .filter(|&node| scan.scalar(node) == Some("1"))
            .map(|node| scan.path_to(node).unwrap().to_string())
            .collect();
        let long = format!("[name={long}].v");
        assert_eq!(
            paths,
            [
                "[0].v",
                "[name=b].v",
                "[2].v",
                "[3].v",
                &long,
                "[5].v",
                "[6]"
            ]
        );
    }
}
