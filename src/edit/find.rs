//! Find: a path in a document -> the value it names.
//!
//! Not here: what may be done with the value (`draft`).
//! Invariant: a path names at most one value; where it could name two, it is refused.

use super::path::{Path, Step};
use super::refusal::{Known, Reason, Refusal};
use super::scan::{NodeId, Scan};

/// Why a path names nothing in a document.
pub(crate) struct Miss {
    /// Boxed, since it is rare and much larger than what is found.
    pub(crate) refusal: Box<Refusal>,
    /// Where the path ends early, if only keys are missing.
    pub(crate) gap: Option<Gap>,
}

/// The place where the rest of a path could be added.
pub(crate) struct Gap {
    /// A map, or a value that is empty or null.
    pub(crate) parent: NodeId,
    /// How many steps of the path lead to it.
    pub(crate) depth: usize,
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Self {
        let refusal = Box::new(refusal);
        Self { refusal, gap: None }
    }
}

impl Scan<'_> {
    /// Finds the one value at `path` below `root`.
    ///
    /// A key that itself holds dots is found by its bare text where the nested keys are not there.
    pub(crate) fn find(&self, root: NodeId, path: &Path) -> Result<NodeId, Miss> {
        self.descend(root, path, 0)
    }

    fn descend(&self, node: NodeId, path: &Path, depth: usize) -> Result<NodeId, Miss> {
        let Some(step) = path.steps().get(depth) else {
            return Ok(node);
        };
        if self.is_alias(node) {
            return Err(Refusal::at(self.line(node), Reason::BehindAlias).into());
        }
        match step {
            Step::Key(key) => self.descend_by_key(node, path, (depth, key)),
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
                self.descend(item, path, depth + 1)
            }
            Step::Item { key, value } => {
                let place = path.prefix(depth);
                self.expect_list(node, &place)?;
                let item = self.item(node, place, (key, value))?;
                self.descend(item, path, depth + 1)
            }
        }
    }

    fn descend_by_key(
        &self,
        node: NodeId,
        path: &Path,
        (depth, key): (usize, &str),
    ) -> Result<NodeId, Miss> {
        let gap = Some(Gap {
            parent: node,
            depth,
        });
        if !self.is_mapping(node) {
            let place = path.prefix(depth);
            let reason = match self.is_sequence(node) {
                true => Reason::ListNeedsItem { place },
                false => self.unexpected(node, place, "a map"),
            };
            return Err(Miss {
                refusal: Box::new(Refusal::at(self.line(node), reason)),
                gap: gap.filter(|_| self.is_null(node)),
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
            match self.descend(value, path, depth + count + 1) {
                Ok(found) => return Ok(found),
                Err(first) => miss = miss.or(Some(first)),
            }
        }
        Err(miss.unwrap_or_else(|| {
            let names = self.pairs(node).filter_map(|(name, _)| self.scalar(name));
            let reason = Reason::NoKey {
                place: path.prefix(depth),
                key: key.to_owned(),
                known: Known::of(names, key),
            };
            Miss {
                refusal: Box::new(Refusal::at(self.line(node), reason)),
                gap,
            }
        }))
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
        for item in self.items(list) {
            let map = self.resolved(item);
            let Some((_, name)) = self.pair(map, key)? else {
                continue;
            };
            let name = self.scalar(name).unwrap_or_default();
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
    use super::{Path, Scan};

    fn found(text: &str, path: &str) -> String {
        let scan = Scan::new(text).unwrap();
        let document = scan.documents().next().unwrap();
        let root = scan.root(document).unwrap();
        let path: Path = path.parse().unwrap();
        match scan.find(root, &path) {
            Ok(node) => format!("{}: {}", scan.line(node), scan.scalar(node).unwrap_or("-")),
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
        insta::assert_snapshot!(found("a: &x {b: 1}\nc: *x\n", "c.b"), @"the value comes from an alias of an anchor that others share; name the anchor's own place instead [line 2]");
    }
}
