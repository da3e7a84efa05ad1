//! Find: a path in a document -> the value it names.
//!
//! Not here: which document is meant (`document`), and what may be done with the value (`draft`).
//! Invariant: a path names at most one value; where it could name two, it is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::path::{Path, Step};
use super::refusal::{Known, Reason, Refusal};
use super::scan::{Kind, NodeId, Scan, Style};

/// Most maps that the merge key of one map may name, with those that these name in turn. Files seen name one or two.
const MERGED_MAPS_MAX: usize = 100;

/// Most keys of these. A map that merges another is three nodes, so that a file holds 160,000: each looks at as many.
const MERGED_PAIRS_MAX: usize = 300;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A value of the text itself.
    Node(NodeId),
    /// A value of the YAML that a literal block (`|`) holds.
    Text { block: NodeId, path: Path },
}

/// What to do where a value is an alias, or comes by a merge key: it stands elsewhere, and others share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aliases {
    #[default]
    Refused,
    /// The place that they all share is taken.
    Followed,
}

/// Why a path names nothing in a document.
#[derive(Debug)]
pub(crate) struct Miss {
    /// Boxed, since it is rare and much larger than what is found.
    pub(crate) refusal: Box<Refusal>,
    /// Where the path ends early, if only keys are missing.
    pub(crate) gap: Option<Gap>,
}

/// The place where the rest of a path could be added.
#[derive(Debug)]
pub(crate) struct Gap {
    /// A map, or a value that is empty or null.
    pub(crate) parent: NodeId,
    /// How many steps of the path lead to it.
    pub(crate) depth: usize,
    /// What the map has under the missing key by its merge key, which a key of its own would take the place of.
    pub(crate) merged: Option<NodeId>,
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Self {
        let refusal = Box::new(refusal);
        Self { refusal, gap: None }
    }
}

impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Self {
        *miss.refusal
    }
}

impl Scan<'_> {
    /// Finds the one value at `path` below `root`.
    ///
    /// A key that itself holds dots is found by its bare text where the nested keys are not there.
    pub(crate) fn find(&self, root: NodeId, path: &Path, aliases: Aliases) -> Result<Target, Miss> {
        self.descend(root, (path, 0), aliases)
    }

    fn descend(
        &self,
        node: NodeId,
        (path, depth): (&Path, usize),
        aliases: Aliases,
    ) -> Result<Target, Miss> {
        let step = path.steps().get(depth);
        let node = match aliases {
            Aliases::Followed => self.resolved(node),
            Aliases::Refused if self.is_alias(node) && step.is_some() => {
                return Err(Refusal::at(self.line(node), Reason::BehindAlias).into());
            }
            Aliases::Refused => node,
        };
        let Some(step) = step else {
            return Ok(Target::Node(node));
        };
        if let Kind::Scalar(_, Style::Literal) = self.nodes[node.0].token.kind {
            let path = path.without_first(depth);
            return Ok(Target::Text { block: node, path });
        }
        match step {
            Step::Key(key) => self.descend_by_key(node, (path, depth, key), aliases),
            Step::Index(index) => {
                let place = path.prefix(depth);
                self.expect_list(node, &place)?;
                let item = self.items(node).nth(*index).ok_or_else(|| {
                    let length = self.items(node).count();
                    let index = *index;
                    let reason = Reason::NoIndex {
                        place,
                        index,
                        length,
                    };
                    Refusal::at(self.line(node), reason)
                })?;
                self.descend(item, (path, depth + 1), aliases)
            }
            Step::Item { key, value } => {
                let place = path.prefix(depth);
                self.expect_list(node, &place)?;
                let item = self.item(node, place, (key, value))?;
                self.descend(item, (path, depth + 1), aliases)
            }
        }
    }

    fn descend_by_key(
        &self,
        node: NodeId,
        (path, depth, key): (&Path, usize, &str),
        aliases: Aliases,
    ) -> Result<Target, Miss> {
        if !self.is_mapping(node) {
            let place = path.prefix(depth);
            let reason = match self.is_sequence(node) {
                true => Reason::ListNeedsItem { place },
                false => self.unexpected(node, place, "a map"),
            };
            let gap = Gap {
                parent: node,
                depth,
                merged: None,
            };
            return Err(Miss {
                refusal: Box::new(Refusal::at(self.line(node), reason)),
                gap: Some(gap).filter(|_| self.is_null(node)),
            });
        }
        let mut miss = None;
        let mut name = String::new();
        for (count, step) in path.steps()[depth..].iter().enumerate() {
            let Step::Key(part) = step else { break };
            if count > 0 {
                name.push('.');
            }
            name.push_str(part);
            let Some((_, value)) = self.pair(node, &name)? else {
                continue;
            };
            match self.descend(value, (path, depth + count + 1), aliases) {
                Ok(found) => {
                    self.refuse_merged_below(node, &name)?;
                    return Ok(found);
                }
                Err(first) => miss = miss.or(Some(first)),
            }
        }
        match miss {
            Some(miss) => Err(miss),
            None => self.descend_by_merge(node, (path, depth, key), aliases),
        }
    }

    /// Looks for a key that a map has by its merge key alone, or says that it has none.
    fn descend_by_merge(
        &self,
        node: NodeId,
        (path, depth, key): (&Path, usize, &str),
        aliases: Aliases,
    ) -> Result<Target, Miss> {
        let merged = self.merged(node, key)?;
        let reason = match (merged, aliases) {
            (Some((_, value)), Aliases::Followed) => {
                return self.descend(value, (path, depth + 1), aliases);
            }
            (Some(_), Aliases::Refused) => Reason::BehindAlias,
            (None, _) => {
                let names = self.pairs(node).filter_map(|(name, _)| self.scalar(name));
                Reason::NoKey {
                    place: path.prefix(depth),
                    key: key.to_owned(),
                    known: Known::of(names, key),
                }
            }
        };
        // A key of the map's own would hide the whole merged value, of which a deeper path names a part.
        let is_whole = merged.is_none() || depth + 1 == path.steps().len();
        let gap = Gap {
            parent: node,
            depth,
            merged: merged.map(|(_, value)| value),
        };
        Err(Miss {
            refusal: Box::new(Refusal::at(self.line(node), reason)),
            gap: Some(gap).filter(|_| is_whole),
        })
    }

    /// The key and the value of `key` in a mapping, or else in what it merges by `<<`.
    pub(crate) fn lookup(
        &self,
        mapping: NodeId,
        key: &str,
    ) -> Result<Option<(NodeId, NodeId)>, Refusal> {
        match self.pair(mapping, key)? {
            Some(pair) => Ok(Some(pair)),
            None => self.merged(mapping, key),
        }
    }

    /// The key and the value that a mapping has by its merge key, were there no `key` of its own.
    ///
    /// Of several merged maps the first that has the key counts, see <https://yaml.org/type/merge.html>.
    pub(crate) fn merged(
        &self,
        mapping: NodeId,
        key: &str,
    ) -> Result<Option<(NodeId, NodeId)>, Refusal> {
        for map in self.merged_maps(mapping)? {
            if let Some(pair) = self.pair(map, key)? {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }

    /// The pairs that a mapping gets by its merge key, each key once; one of the mapping's own counts before them.
    pub(crate) fn merged_pairs(&self, mapping: NodeId) -> Result<Vec<(NodeId, NodeId)>, Refusal> {
        let mut names = BTreeSet::new();
        let mut merged = Vec::new();
        for map in self.merged_maps(mapping)? {
            let is_new = |&(key, _): &(NodeId, NodeId)| {
                self.scalar(key)
                    .is_some_and(|name| name != "<<" && names.insert(name))
            };
            merged.extend(self.pairs(map).filter(is_new));
        }
        Ok(merged)
    }

    /// Refuses a key of a mapping's own that a merge key below it gives again.
    ///
    /// By <https://yaml.org/type/merge.html> the own key counts; to readers such as Helm's and kustomize's the last one.
    pub(crate) fn refuse_merged_below(&self, mapping: NodeId, key: &str) -> Result<(), Refusal> {
        let (Some((own, _)), Some((merge, _))) =
            (self.pair(mapping, key)?, self.pair(mapping, "<<")?)
        else {
            return Ok(());
        };
        match merge > own && self.merged(mapping, key)?.is_some() {
            true => {
                let (key, merge) = (key.to_owned(), self.line(merge));
                let reason = Reason::MergedBelow { key, merge };
                Err(Refusal::at(self.line(own), reason))
            }
            false => Ok(()),
        }
    }

    /// The maps that a mapping merges by `<<`, and those that these merge in turn: each once, the first to count first.
    fn merged_maps(&self, mapping: NodeId) -> Result<Vec<NodeId>, Refusal> {
        let Some((merge, mut waiting)) = self.merges(mapping)? else {
            return Ok(Vec::new());
        };
        let refused = |limit, what| {
            let reason = Reason::TooManyMerged { limit, what };
            Refusal::at(self.line(merge), reason)
        };
        let mut seen = BTreeSet::from([mapping]);
        let mut maps = Vec::new();
        let (mut named, mut pairs) = (waiting.len(), 0);
        while let Some(map) = waiting.pop().filter(|_| named <= MERGED_MAPS_MAX) {
            if !seen.insert(map) {
                continue;
            }
            maps.push(map);
            pairs += self.pairs(map).take(MERGED_PAIRS_MAX + 1).count();
            if pairs > MERGED_PAIRS_MAX {
                return Err(refused(MERGED_PAIRS_MAX, "keys"));
            }
            if let Some((_, more)) = self.merges(map)? {
                named += more.len();
                waiting.extend(more);
            }
        }
        match named > MERGED_MAPS_MAX {
            true => Err(refused(MERGED_MAPS_MAX, "maps")),
            false => Ok(maps),
        }
    }

    /// The merge key of a mapping, and what it names, the last first; of a list too long at most one more than may be.
    fn merges(&self, mapping: NodeId) -> Result<Option<(NodeId, Vec<NodeId>)>, Refusal> {
        let Some((key, value)) = self.pair(mapping, "<<")? else {
            return Ok(None);
        };
        let value = self.resolved(value);
        let mut maps: Vec<NodeId> = match self.is_sequence(value) {
            true => self.items(value).take(MERGED_MAPS_MAX + 1).collect(),
            false => vec![value],
        };
        maps.reverse();
        let maps = maps.into_iter().map(|map| self.resolved(map)).collect();
        Ok(Some((key, maps)))
    }

    /// The one item of a list that has `value` under `key`.
    fn item(
        &self,
        list: NodeId,
        place: String,
        (key, value): (&str, &str),
    ) -> Result<NodeId, Refusal> {
        let mut names = Vec::new();
        let mut found = Vec::new();
        // What aliases stand for is looked up once, since a short list may name a long map often.
        let mut aliased: BTreeMap<NodeId, Option<&str>> = BTreeMap::new();
        for item in self.items(list) {
            let map = self.resolved(item);
            let name = match aliased.get(&map) {
                Some(name) => *name,
                None => self
                    .lookup(map, key)?
                    .map(|(_, name)| self.scalar(name).unwrap_or_default()),
            };
            if map != item {
                aliased.insert(map, name);
            }
            let Some(name) = name else { continue };
            names.push(name);
            if name == value {
                found.push(item);
            }
        }
        let item = format!("{key}: {value}");
        match found[..] {
            [found] => Ok(found),
            [] => {
                let known = Known::of(names.into_iter(), value);
                let reason = Reason::NoItem { place, item, known };
                Err(Refusal::at(self.line(list), reason))
            }
            [first, second, ..] => {
                let again = self.line(second);
                let reason = Reason::SeveralItems { place, item, again };
                Err(Refusal::at(self.line(first), reason))
            }
        }
    }

    fn expect_list(&self, node: NodeId, place: &str) -> Result<(), Refusal> {
        match self.is_sequence(node) {
            true => Ok(()),
            false => {
                let reason = self.unexpected(node, place.to_owned(), "a list");
                Err(Refusal::at(self.line(node), reason))
            }
        }
    }

    pub(crate) fn unexpected(&self, node: NodeId, place: String, wanted: &'static str) -> Reason {
        Reason::Unexpected {
            place,
            found: self.describe(node),
            wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Aliases, MERGED_MAPS_MAX, MERGED_PAIRS_MAX, Path, Scan, Target};
    use crate::edit::Reach;

    fn found(text: &str, path: &str) -> String {
        found_with(text, path, Aliases::Refused)
    }

    fn found_with(text: &str, path: &str, aliases: Aliases) -> String {
        let scan = Scan::new(text).unwrap();
        let document = scan.documents().next().unwrap();
        let root = scan.root(document).unwrap();
        let path: Path = path.parse().unwrap();
        match scan.find(root, &path, aliases) {
            Ok(Target::Node(node)) => {
                format!("{}: {}", scan.line(node), scan.scalar(node).unwrap_or("-"))
            }
            Ok(Target::Text { block, path }) => format!("{}: | {path}", scan.line(block)),
            Err(miss) => format!(
                "{} [line {}]",
                miss.refusal,
                miss.refusal.line.unwrap_or_default()
            ),
        }
    }

    const PODS: &str = "spec:\n  containers:\n  - name: web\n    image: a:1\n  - name: log\n    image: b:2\n  - name: log\nimage.tag: v1\nimage:\n  name: x\n";

    #[test]
    fn items_are_found_by_index_and_by_what_they_say() {
        assert_eq!(found(PODS, "spec.containers[1].image"), "6: b:2");
        assert_eq!(found(PODS, "spec.containers[name=web].image"), "4: a:1");
    }

    #[test]
    fn a_key_with_dots_is_found_where_the_nested_keys_are_absent() {
        assert_eq!(found(PODS, "image.tag"), "8: v1");
        assert_eq!(found("a: {b: 1}\na.b: 2\n", "a.b"), "1: 1");
        assert_eq!(found("a: {b: 1}\na.b: 2\n", "\"a.b\""), "2: 2");
    }

    #[test]
    fn a_miss_says_where_and_what_is_there() {
        insta::assert_snapshot!(found(PODS, "spec.contaners[0]"), @"`spec` has no key `contaners`; the nearest is `containers` [line 2]");
        insta::assert_snapshot!(found(PODS, "nothing"), @"the document has no key `nothing`; there is `spec`, `image.tag`, `image` [line 1]");
        insta::assert_snapshot!(found(PODS, "spec.containers.image"), @"`spec.containers` is a list; say which item, as in `[0]` or `[name=web]` [line 3]");
        insta::assert_snapshot!(found(PODS, "spec.containers[9]"), @"there is no item 9 in `spec.containers`, whose length is 3 [line 3]");
        insta::assert_snapshot!(found(PODS, "spec.containers[name=wbe]"), @"`spec.containers` has no item with `name: wbe`; the nearest is `web` [line 3]");
        insta::assert_snapshot!(found(PODS, "spec.containers[name=log]"), @"`spec.containers` has several items with `name: log`, another on line 7 [line 5]");
        insta::assert_snapshot!(found(PODS, "image[0]"), @"`image` is a map, not a list [line 10]");
        insta::assert_snapshot!(found(PODS, "image.name.x"), @"`image.name` is a scalar, not a map [line 10]");
        insta::assert_snapshot!(found("a: 1\nb: 2\na: 3\n", "a"), @"`a` stands here and again on line 3; readers disagree on which one counts [line 1]");
        insta::assert_snapshot!(found("a: &x {b: 1}\nc: *x\n", "c.b"), @"the value comes from an alias of an anchor that others share; name the anchor's own place, or say `through-alias: true` [line 2]");
    }

    const MERGED: &str = "d: &d\n  image: &i {tag: v1, repository: r}\n  x: &x y\na:\n  <<: *d\nb:\n  image: {<<: *i, tag: v2}\nc:\n  - &c {x: first}\n  - <<: [*c, *d]\n    z: *x\n";

    #[test]
    fn merge_keys_are_understood_where_aliases_are_followed() {
        let followed = |path| found_with(MERGED, path, Aliases::Followed);
        assert_eq!(followed("a.image.tag"), "2: v1");
        assert_eq!(followed("b.image.tag"), "7: v2");
        assert_eq!(followed("b.image.repository"), "2: r");
        assert_eq!(followed("c[1].x"), "9: first");
        assert_eq!(followed("c[1].image.tag"), "2: v1");
        assert_eq!(followed("c[1].z"), "3: y");
        assert_eq!(found(MERGED, "b.image.tag"), "7: v2");
        assert!(found(MERGED, "a.image.tag").contains("alias of an anchor"));
    }

    #[test]
    fn a_map_that_merges_itself_ends() {
        let text = "a: &a\n  <<: *a\n  b: &b {<<: [*a, *b]}\n";
        assert!(found_with(text, "a.c", Aliases::Followed).contains("no key `c`"));
        assert!(found_with(text, "a.b.c", Aliases::Followed).contains("no key `c`"));
    }

    #[test]
    fn a_merge_key_names_no_more_maps_and_keys_than_a_person_follows() {
        let in_list = |count: usize| {
            let list = vec!["*a"; count].join(", ");
            format!("a: &a {{x: y}}\nl: &l [{list}]\nm: {{<<: *l}}\n")
        };
        let followed = |text: &str, path: &str| found_with(text, path, Aliases::Followed);
        assert_eq!(followed(&in_list(MERGED_MAPS_MAX), "m.x"), "1: y");
        insta::assert_snapshot!(followed(&in_list(MERGED_MAPS_MAX + 1), "m.x"), @"the merge key (`<<`) here leads to more than 100 maps, which is more than one can follow; write out what the map is to have [line 3]");
        let chain = |count: usize| {
            let link = |n: usize| format!("a{n}: &a{n} {{<<: *a{}}}\n", n - 1);
            let links: String = (1..=count).map(link).collect();
            format!("a0: &a0 {{x: y}}\n{links}")
        };
        assert_eq!(followed(&chain(MERGED_MAPS_MAX), "a100.x"), "1: y");
        insta::assert_snapshot!(followed(&chain(MERGED_MAPS_MAX + 1), "a101.x"), @"the merge key (`<<`) here leads to more than 100 maps, which is more than one can follow; write out what the map is to have [line 102]");
        let keys = |count: usize| {
            let keys: String = (1..count).map(|n| format!("k{n}: v, ")).collect();
            format!("a: &a {{{keys}x: y}}\nm: {{<<: *a}}\n")
        };
        assert_eq!(followed(&keys(MERGED_PAIRS_MAX), "m.x"), "1: y");
        insta::assert_snapshot!(followed(&keys(MERGED_PAIRS_MAX + 1), "m.x"), @"the merge key (`<<`) here leads to more than 300 keys, which is more than one can follow; write out what the map is to have [line 2]");
    }

    #[test]
    fn a_bomb_of_merge_keys_is_refused() {
        let list = vec!["*a"; 30_000].join(", ");
        let maps = "- {<<: *l}\n".repeat(20_000);
        let text = format!("a: &a {{x: y}}\nl: &l [{list}]\nmaps:\n{maps}");
        insta::assert_snapshot!(found(&text, "maps[name=web].tag"), @"the merge key (`<<`) here leads to more than 100 maps, which is more than one can follow; write out what the map is to have [line 4]");
        let keys: String = (0..50_000).map(|n| format!("k{n}: v, ")).collect();
        let text = format!("a: &a {{{keys}}}\nmaps:\n{}", "- *a\n".repeat(50_000));
        insta::assert_snapshot!(found(&text, "maps[name=web].tag"), @"`maps` has no item with `name: web`; there is nothing [line 3]");
    }

    #[test]
    fn a_path_that_ends_elsewhere_as_it_was_written_is_told() {
        let text = "web:\n  image:\n    tag: v1\n    repository: r\napi:\n  image: {tag: v2}\n";
        let found = |path: &str| {
            let scan = Scan::new(text).unwrap();
            let miss = scan.find_in_one(&path.parse().unwrap(), &Reach::default());
            miss.unwrap_err().refusal.to_string()
        };
        insta::assert_snapshot!(found("image.tag"), @"the document has no key `image`; the nearest is `web.image.tag` (line 3), `api.image.tag` (line 6)");
        insta::assert_snapshot!(found("image.repository"), @"the document has no key `image`; the nearest is `web.image.repository` (line 4)");
        insta::assert_snapshot!(found("wep.image.tag"), @"the document has no key `wep`; the nearest is `web`");
    }

    #[test]
    fn a_path_goes_on_in_the_text_of_a_literal_block() {
        let text = "helm:\n  values: |\n    image:\n      tag: v1\n  folded: >\n    a: 1\n";
        assert_eq!(found(text, "helm.values.image.tag"), "3: | image.tag");
        insta::assert_snapshot!(found(text, "helm.folded.a"), @"`helm.folded` is a scalar, not a map [line 6]");
    }
}
