//! Helm values, and any other value at a path: finds the places of an image's version.
//!
//! Not here: reading and writing the places (`place`), and the entries of kustomizations.
//! Invariant: a place that names another image than the policy's is refused.

use super::name::{is_image, is_version_of, split_digest, split_tag};
use super::place::{Missing, Place, Shape, Slot};
use super::{Ask, Cause, Fault, chart};
use crate::edit::{Aliases, Known, Miss, NodeId, Path, Reason, Refusal, Scan, Target};

/// What may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A chart's map of an image, a list of such maps or of references, or a scalar.
    Image,
    /// A scalar only.
    Scalar,
}

/// Where to look in the values of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    At(Path, Holds),
    /// Wherever a map or a whole reference names the image.
    Anywhere,
}

/// The keys under which a chart's map names its image, and those of its version; beside an earlier one a later one may
/// be of another kind, such as the name of a container.
pub(super) const NAME_KEYS: [&str; 3] = ["repository", "image", "name"];
pub(super) const TAG_KEYS: [&str; 2] = ["tag", "version"];

/// The places at `at` in a file of values.
pub(super) fn places(
    scan: &Scan<'_>,
    at: &Path,
    holds: Holds,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    let found = scan.find_in_one(at, ask.reach);
    let way = match &found {
        Ok(target) => scan.way_to(target.node()),
        Err(Miss { gap: Some(gap), .. }) => scan.way_to(gap.parent),
        Err(_) => {
            return found
                .map(|_| Vec::new())
                .map_err(|miss| Refusal::from(miss).into());
        }
    };
    let first = scan.all_documents().next();
    let root = way.first().copied();
    if let Some(root) = root.filter(|_| holds == Holds::Image)
        && first.and_then(|first| scan.root(first)) != Some(root)
    {
        return Err(Fault::at(scan.line(root), Cause::NotFirstDocument));
    }
    // Values that stand in another file, as a HelmRelease's do, start somewhere on the way.
    let registry = way.iter().rev().find_map(|&map| registry_of_all(scan, map));
    let values = Values {
        scan,
        registry,
        ask,
    };
    values.places(found, at, holds)
}

/// The places in the values that a text of its own holds.
pub(super) fn places_in(
    scan: &Scan<'_>,
    lookup: &Lookup,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    match lookup {
        Lookup::At(at, holds) => places(scan, at, *holds, ask),
        Lookup::Anywhere => {
            let mut places = Vec::new();
            for root in scan.roots(None)? {
                places.extend(places_below(scan, root, lookup, ask)?);
            }
            Ok(places)
        }
    }
}

/// The places in the values that `root`, a map of a file that holds more, is.
pub(super) fn places_below(
    scan: &Scan<'_>,
    root: NodeId,
    lookup: &Lookup,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    let values = Values {
        scan,
        registry: registry_of_all(scan, root),
        ask,
    };
    match lookup {
        Lookup::At(at, holds) => {
            let found = scan.find(root, at, ask.reach.aliases);
            values.places(found, at, *holds)
        }
        Lookup::Anywhere => {
            let mut places = Vec::new();
            values.collect(root, &mut places)?;
            Ok(places)
        }
    }
}

/// The values of one chart.
#[derive(Clone, Copy)]
struct Values<'a, 't> {
    scan: &'a Scan<'t>,
    /// `global.imageRegistry`, from which all images of the chart are taken.
    registry: Option<NodeId>,
    ask: Ask<'a>,
}

/// `global.imageRegistry` of values.
fn registry_of_all(scan: &Scan<'_>, values: NodeId) -> Option<NodeId> {
    let look = |map: NodeId, key: &str| {
        let pair = scan.lookup(map, key).ok().flatten();
        pair.map(|(_, value)| scan.resolved(value))
    };
    look(look(values, "global")?, "imageRegistry")
}

impl Values<'_, '_> {
    /// The places at a path, by what was found there.
    fn places(
        self,
        found: Result<Target, Miss>,
        at: &Path,
        holds: Holds,
    ) -> Result<Vec<Place>, Fault> {
        let node = match found {
            Ok(Target::Node(node)) => node,
            Ok(Target::Text { block, path }) => {
                let lookup = Lookup::At(path, holds);
                return Ok(vec![Place::Block { block, lookup }]);
            }
            Err(miss) => return self.missing(miss, at).map(|place| vec![place]),
        };
        if holds == Holds::Image && self.scan.is_mapping(node) {
            return Ok(vec![self.map(node)?]);
        }
        if holds == Holds::Image && self.scan.is_sequence(node) {
            return self.list(node);
        }
        let value = self.scan.editable(node)?;
        self.refuse_name(node, value)?;
        let key = self
            .scan
            .owner(node)
            .and_then(|(map, key)| Some((map, self.scan.scalar(key?)?)));
        if let Some((map, key)) = key
            && chart::has_version(self.scan, map, key)
        {
            let shape = chart::shape(self.scan, node, value)?;
            return Ok(vec![Place::One(Slot::Standing(node), shape)]);
        }
        // An empty value has no form of its own; the key's name tells.
        let shape = match value.is_empty() && at.last_key() == Some("digest") {
            true => Shape::Digest,
            false => Shape::of(value, self.ask.image)
                .map_err(|cause| Fault::at(self.scan.line(node), cause))?,
        };
        Ok(vec![Place::One(Slot::Standing(node), shape)])
    }

    /// Refuses the name of an image whose version stands beside it.
    fn refuse_name(self, node: NodeId, value: &str) -> Result<(), Fault> {
        let scan = self.scan;
        let Some((map, Some(key))) = scan.owner(node) else {
            return Ok(());
        };
        let is_name = scan.scalar(key).is_some_and(|key| NAME_KEYS.contains(&key));
        if !is_name || is_version_of(value, self.ask.image) {
            return Ok(());
        }
        match self.tag(map)? {
            Some((tag, _)) => {
                let key = scan.scalar(tag).unwrap_or_default().to_owned();
                Err(Fault::at(scan.line(node), Cause::VersionBeside { key }))
            }
            None => Ok(()),
        }
    }

    /// The place of a `tag`, `version` or `digest` that the image's own map lacks.
    fn missing(self, miss: Miss, at: &Path) -> Result<Place, Fault> {
        let keys = || TAG_KEYS.into_iter().chain(["digest"]);
        let last = at.last_key();
        let key = last.and_then(|last| keys().find(|key| *key == last));
        let (Some(key), Some(gap)) = (key, &miss.gap) else {
            return Err(Refusal::from(miss).into());
        };
        let is_last = gap.depth + 1 == at.steps().len() && self.scan.is_mapping(gap.parent);
        let name = match is_last {
            true => self.name(gap.parent)?,
            false => None,
        };
        if is_last && chart::has_version(self.scan, gap.parent, key) {
            return Err(Fault::at(self.scan.line(gap.parent), chart::by_helm("")));
        }
        // Without a name beside it, or a value that it overrides, the key may only be misspelled.
        if name.is_none() && gap.merged.is_none() {
            return Err(Refusal::from(miss).into());
        }
        let slot = Missing {
            map: gap.parent,
            after: self.place_after(gap.parent, name.map(|(key, _)| key))?,
            key,
            merged: gap.merged,
        };
        let shape = match key {
            "digest" => Shape::Digest,
            _ => Shape::Tag,
        };
        Ok(Place::One(Slot::Missing(slot), shape))
    }

    /// The places in the items of a list that are the image.
    fn list(self, list: NodeId) -> Result<Vec<Place>, Fault> {
        let scan = self.scan;
        let mut places = Vec::new();
        let mut names = Vec::new();
        for item in scan.items(list) {
            let map = scan.resolved(item);
            let name = match scan.is_mapping(map) {
                true => self.name(map)?.map(|(_, name)| name),
                false => scan.scalar(item).map(str::to_owned),
            };
            let Some(name) = name else { continue };
            let (bare, _) = split_tag(split_digest(&name).0);
            if self.is_image(map, bare) {
                places.push(self.item(item)?);
            }
            names.push(bare.to_owned());
        }
        match places.is_empty() {
            false => Ok(places),
            true => Err(Fault::at(
                scan.line(list),
                Cause::NoneHere {
                    what: "item",
                    image: self.ask.image.clone(),
                    known: Known::of(
                        names.iter().map(String::as_str),
                        &self.ask.image.to_string(),
                    ),
                },
            )),
        }
    }

    fn item(self, item: NodeId) -> Result<Place, Fault> {
        let node = self.followed(item)?;
        if self.scan.is_mapping(node) {
            return self.map(node);
        }
        let value = self.scan.editable(node)?;
        let shape = Shape::of(value, self.ask.image)
            .map_err(|cause| Fault::at(self.scan.line(node), cause))?;
        Ok(Place::One(Slot::Standing(node), shape))
    }

    /// Every place below `node` that names the image.
    fn collect(self, node: NodeId, places: &mut Vec<Place>) -> Result<(), Fault> {
        let scan = self.scan;
        if let Some(text) = scan.scalar(node) {
            if !scan.is_alias(node) && is_version_of(text, self.ask.image) {
                places.push(self.item(node)?);
            }
            return Ok(());
        }
        if scan.is_mapping(node) && self.names_image(node)? {
            places.push(self.map(node)?);
            return Ok(());
        }
        for (_, value) in scan.pairs(node) {
            self.collect(value, places)?;
        }
        for item in scan.items(node) {
            self.collect(item, places)?;
        }
        Ok(())
    }

    /// Whether a map is surely the image's own: it names it as an image, and has, or could have, a tag.
    fn names_image(self, map: NodeId) -> Result<bool, Fault> {
        let Some((key, name)) = self.name(map)? else {
            return Ok(false);
        };
        // A name and a version may be anything's.
        let is_tagged = match self.scan.scalar(key) {
            Some("repository") => true,
            Some("image") => self.tag(map)?.is_some(),
            _ => false,
        };
        Ok(is_tagged && self.is_image(map, &name))
    }

    /// The place of a chart's map for one image.
    fn map(self, map: NodeId) -> Result<Place, Fault> {
        let Self { scan, ask, .. } = self;
        let name = self.name(map)?;
        let tag = self.tag(map)?;
        if let Some((key, text)) = &name
            && is_version_of(text, ask.image)
            && scan.pair(map, "tag")?.is_none()
            && let Some((_, value)) = scan.pair(map, scan.scalar(*key).unwrap_or_default())?
        {
            let shape = Shape::of(text, ask.image)?;
            return Ok(Place::One(Slot::Standing(value), shape));
        }
        if let Some((key, text)) = &name
            && !text.is_empty()
            && !self.is_image(map, text)
        {
            let cause = Cause::OtherImage {
                found: text.clone(),
                image: ask.image.clone(),
            };
            return Err(Fault::at(scan.line(*key), cause));
        }
        let merged = scan.merged(map, "tag")?.map(|(_, value)| value);
        if name.is_none() && tag.is_none() && merged.is_none() {
            return Err(Fault::at(scan.line(map), Cause::NotAnImageMap));
        }
        for key in TAG_KEYS.into_iter().chain(["digest"]) {
            scan.refuse_merged_below(map, key)?;
        }
        let slot = match tag {
            Some((_, value)) => Slot::Standing(value),
            None => Slot::Missing(Missing {
                map,
                after: self.place_after(map, name.as_ref().map(|(key, _)| *key))?,
                key: "tag",
                merged,
            }),
        };
        Ok(match self.digest(map)? {
            Some(digest) => Place::Two { tag: slot, digest },
            None => Place::One(slot, Shape::Tag),
        })
    }

    /// The digest that a map has of its own or, where aliases are followed, by its merge key.
    fn digest(self, map: NodeId) -> Result<Option<NodeId>, Refusal> {
        let scan = self.scan;
        match (scan.pair(map, "digest")?, scan.merged(map, "digest")?) {
            (Some((_, own)), _) => self.followed(own).map(Some),
            (None, Some((_, shared))) if self.ask.reach.aliases == Aliases::Followed => {
                self.followed(shared).map(Some)
            }
            // It would go on deciding what runs.
            (None, Some((_, shared)))
                if scan.scalar(shared).is_some_and(|text| !text.is_empty()) =>
            {
                Err(Refusal::at(scan.line(map), Reason::BehindAlias))
            }
            (None, _) => Ok(None),
        }
    }

    /// The key and the value of a map's tag: its own, or a shared one where aliases are followed.
    fn tag(self, map: NodeId) -> Result<Option<(NodeId, NodeId)>, Fault> {
        let look = |key| match self.ask.reach.aliases {
            Aliases::Refused => self.scan.pair(map, key),
            Aliases::Followed => self.scan.lookup(map, key),
        };
        for key in TAG_KEYS {
            if let Some((key, value)) = look(key)? {
                return Ok(Some((key, self.followed(value)?)));
            }
        }
        Ok(None)
    }

    /// The key of `map` after which a key is added: that of the image's name, or the last where a merge key that may
    /// give the same stands.
    fn place_after(self, map: NodeId, name: Option<NodeId>) -> Result<Option<NodeId>, Refusal> {
        let merges = self.scan.pair(map, "<<")?.is_some();
        let own = |&name: &NodeId| self.scan.pairs(map).any(|(key, _)| key == name);
        Ok(name.filter(own).filter(|_| !merges))
    }

    /// The key under which a map names its image, and the name with the registry that stands beside it.
    fn name(self, map: NodeId) -> Result<Option<(NodeId, String)>, Fault> {
        let scan = self.scan;
        let registry = scan.lookup(map, "registry")?.map(|(_, value)| value);
        let registry = registry
            .and_then(|node| scan.scalar(node))
            .unwrap_or_default();
        let mut first = None;
        for key in NAME_KEYS {
            if let Some((key, value)) = scan.lookup(map, key)?
                && let Some(name) = scan.scalar(value)
            {
                if is_version_of(name, self.ask.image) {
                    return Ok(Some((key, name.to_owned())));
                }
                first = first.or(Some((key, joined(registry, name))));
            }
        }
        Ok(first)
    }

    /// Whether `name`, which a map gives, is the image, as it stands or under the registry that all images of the
    /// chart are taken from.
    fn is_image(self, map: NodeId, name: &str) -> bool {
        let Self {
            scan,
            registry,
            ask,
        } = self;
        let look = |key: &str| {
            let pair = scan.lookup(map, key).ok().flatten();
            pair.and_then(|(_, value)| scan.scalar(value))
        };
        let bare = NAME_KEYS.into_iter().find_map(look);
        let is_global = registry
            .and_then(|node| scan.scalar(node))
            .filter(|registry| !registry.is_empty())
            .zip(bare)
            .is_some_and(|(registry, bare)| is_image(&joined(registry, bare), ask.image));
        is_global || is_image(name, ask.image)
    }

    /// The place that an alias stands for, where that may be taken.
    fn followed(self, node: NodeId) -> Result<NodeId, Refusal> {
        match self.ask.reach.aliases {
            Aliases::Followed => Ok(self.scan.resolved(node)),
            Aliases::Refused if self.scan.is_alias(node) => {
                Err(Refusal::at(self.scan.line(node), Reason::Alias))
            }
            Aliases::Refused => Ok(node),
        }
    }
}

/// The repository that a map writes, its registry joined.
pub(super) fn joined(registry: &str, repository: &str) -> String {
    match (registry.trim_end_matches('/'), repository) {
        (_, "") => String::new(),
        ("", repository) => repository.to_owned(),
        // Some values repeat the registry in the repository.
        (registry, repository) => match repository.strip_prefix(registry) {
            Some(rest) if rest.starts_with('/') => repository.to_owned(),
            _ => format!("{registry}/{repository}"),
        },
    }
}
