//! Kubernetes objects: finds the containers that use an image, and Flux's OCIRepositories that are it.
//!
//! Not here: reading and writing the places (`place`).
//! Invariant: a value that several containers share is one place.
//!
//! An image stands in the items of `containers`, `initContainers` and `ephemeralContainers`, and in image volumes,
//! wherever an object has such a list: kinds nest pods in their own ways, and new kinds come. Kustomize looks for them in
//! the same way, though not for ephemeral containers.

use std::collections::{BTreeMap, BTreeSet};

use super::helm::{self, Holds, Lookup};
use super::name::{familiar, is_image, split_digest, split_tag};
use super::place::{self, Place, Shape, Slot};
use super::{Ask, Cause, Fault, chart};
use crate::edit::{Aliases, Known, Miss, NodeId, Path, Reason, Refusal, Scan};

/// Most pairs that merge keys may give the maps of a file, so that none takes long. Of thousands of containers each may
/// merge a map of dozens.
const MERGED_PAIRS_MAX: usize = 100_000;

/// The lists of containers in a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// The places of the image; at least one.
pub(super) fn places(
    scan: &Scan<'_>,
    at: Option<&Path>,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    let roots = scan.roots(ask.reach.document.as_ref())?;
    let is_object = |root: &NodeId| scan.kind_and_name(*root).0.is_some();
    let objects: Vec<NodeId> = roots.into_iter().filter(is_object).collect();
    let Some(&first) = objects.first() else {
        return Err(Cause::NoObjects.into());
    };
    if let Some(at) = at {
        return places_at(scan, &objects, at, ask);
    }
    let mut search = Search::new(scan, ask);
    for &object in &objects {
        search.visit(object, Part::Any)?;
    }
    let mut places = Vec::new();
    for &object in &objects {
        if let Some(name) = chart::oci_repository(scan, object) {
            search.names.entry(name).or_insert(scan.line(object));
            if is_image(name, ask.image) {
                places.push(chart::of_flux(scan, object, ask)?);
            }
        }
    }
    if search.places.is_empty() && places.is_empty() {
        return Err(search.nothing(first, &objects));
    }
    for &node in &search.places {
        let shape = Shape::of(scan.editable(node)?, ask.image)?;
        places.push(Place::One(Slot::Standing(node), shape));
    }
    Ok(places)
}

/// The places at a path, in the one object that has it.
fn places_at(
    scan: &Scan<'_>,
    objects: &[NodeId],
    at: &Path,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    let root = match objects {
        [one] => *one,
        _ => match scan.find_in_one(at, ask.reach) {
            Ok(target) => scan.root_above(target.node()),
            Err(Miss { gap: Some(gap), .. }) => scan.root_above(gap.parent),
            Err(miss) => return Err(in_words(*miss.refusal, at)),
        },
    };
    let lookup = Lookup::At(at.clone(), Holds::Image);
    helm::places_below(scan, root, &lookup, ask)
}

/// A refusal, with what a site can say against it.
fn in_words(refusal: Refusal, at: &Path) -> Fault {
    match refusal {
        Refusal {
            line,
            reason: Reason::SeveralDocuments { again, .. },
        } => {
            let path = at.clone();
            let cause = Cause::SeveralObjects { path, again };
            Fault { line, cause }
        }
        refusal => refusal.into(),
    }
}

/// What a value is to the objects, by the keys that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Any,
    Containers,
    Container,
    Volumes,
    Volume,
    ImageVolume,
    Image,
}

impl Part {
    /// What the value of `key` is.
    fn of_key(self, key: &str) -> Self {
        match (self, key) {
            (_, key) if CONTAINERS.contains(&key) => Self::Containers,
            (_, "volumes") => Self::Volumes,
            (Self::Container, "image") | (Self::ImageVolume, "reference") => Self::Image,
            (Self::Volume, "image") => Self::ImageVolume,
            _ => Self::Any,
        }
    }

    /// What the items of a list are.
    fn of_item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Volumes => Self::Volume,
            Self::Any | Self::Container | Self::Volume | Self::ImageVolume | Self::Image => {
                Self::Any
            }
        }
    }
}

/// A walk through objects.
struct Search<'a, 't> {
    scan: &'a Scan<'t>,
    ask: Ask<'a>,
    /// The values that are the image.
    places: BTreeSet<NodeId>,
    /// The names of all images, each with its first line.
    names: BTreeMap<&'a str, usize>,
    /// Whether the image stands in what an alias leads to: each is looked through once.
    aliased: BTreeMap<(NodeId, Part), bool>,
    merged_pairs: usize,
}

impl<'a, 't> Search<'a, 't> {
    fn new(scan: &'a Scan<'t>, ask: Ask<'a>) -> Self {
        Self {
            scan,
            ask,
            places: BTreeSet::new(),
            names: BTreeMap::new(),
            aliased: BTreeMap::new(),
            merged_pairs: 0,
        }
    }

    /// Whether the image stands in `node`; its places are noted.
    fn visit(&mut self, node: NodeId, part: Part) -> Result<bool, Fault> {
        let scan = self.scan;
        if scan.is_alias(node) {
            return self.visit_alias(node, part);
        }
        if scan.is_mapping(node) {
            return self.visit_map(node, part);
        }
        if let (Part::Image, Some(text)) = (part, scan.scalar(node)) {
            let (name, _) = split_tag(split_digest(text).0);
            if name.is_empty() {
                return Ok(false);
            }
            self.names.entry(name).or_insert(scan.line(node));
            let is_ours = is_image(name, self.ask.image);
            if is_ours {
                self.places.insert(node);
            }
            return Ok(is_ours);
        }
        let mut found = false;
        for item in scan.items(node) {
            found |= self.visit(item, part.of_item())?;
        }
        Ok(found)
    }

    fn visit_map(&mut self, map: NodeId, part: Part) -> Result<bool, Fault> {
        let scan = self.scan;
        let mut found = BTreeSet::new();
        let mut merge = None;
        for (key, value) in scan.pairs(map) {
            let name = scan.scalar(key).unwrap_or_default();
            if name == "<<" {
                merge = Some(key);
                continue;
            }
            let value_part = part.of_key(name);
            if value_part != Part::Any {
                scan.pair(map, name)?;
            }
            if self.visit(value, value_part)? {
                found.insert(name);
            }
        }
        self.refuse_twice(map, &found)?;
        let found_merged = match merge {
            Some(merge) => self.visit_merged((map, part), merge, &found)?,
            None => false,
        };
        Ok(found_merged || !found.is_empty())
    }

    /// Refuses a key of a map that stands there again, if the image stands in one of the two.
    fn refuse_twice(&self, map: NodeId, found: &BTreeSet<&str>) -> Result<(), Fault> {
        if found.is_empty() {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        for (key, _) in self.scan.pairs(map) {
            let name = self.scan.scalar(key).unwrap_or_default();
            if found.contains(name) && !seen.insert(name) {
                self.scan.pair(map, name)?;
            }
        }
        Ok(())
    }

    /// Whether the image stands in what a map has by its merge key alone; it is `found` in what it has of its own.
    fn visit_merged(
        &mut self,
        (map, part): (NodeId, Part),
        merge: NodeId,
        found: &BTreeSet<&str>,
    ) -> Result<bool, Fault> {
        let scan = self.scan;
        let name_of = |(key, _): (NodeId, NodeId)| scan.scalar(key).unwrap_or_default();
        let own: BTreeMap<&str, NodeId> = scan
            .pairs(map)
            .map(|pair| (name_of(pair), pair.0))
            .collect();
        let mut found_merged = false;
        for (key, value) in scan.merged_pairs(map)? {
            self.merged_pairs += 1;
            if self.merged_pairs > MERGED_PAIRS_MAX {
                let limit = MERGED_PAIRS_MAX;
                return Err(Fault::at(scan.line(map), Cause::TooManyMerged { limit }));
            }
            let name = name_of((key, value));
            if let Some(&key) = own.get(name) {
                if found.contains(name) && merge > key {
                    scan.refuse_merged_below(map, name)?;
                }
                continue;
            }
            let value = scan.resolved(value);
            if self.visit_shared(value, part.of_key(name))? {
                self.refuse_shared(map, Reason::BehindAlias)?;
                found_merged = true;
            }
        }
        Ok(found_merged)
    }

    fn visit_alias(&mut self, alias: NodeId, part: Part) -> Result<bool, Fault> {
        let found = self.visit_shared(self.scan.resolved(alias), part)?;
        if found {
            let reason = match part {
                Part::Image => Reason::Alias,
                Part::Any
                | Part::Containers
                | Part::Container
                | Part::Volumes
                | Part::Volume
                | Part::ImageVolume => Reason::BehindAlias,
            };
            self.refuse_shared(alias, reason)?;
        }
        Ok(found)
    }

    /// Visits what stands elsewhere too: once, and never within itself.
    fn visit_shared(&mut self, node: NodeId, part: Part) -> Result<bool, Fault> {
        if self.scan.is_alias(node) {
            return Ok(false);
        }
        if let Some(&found) = self.aliased.get(&(node, part)) {
            return Ok(found);
        }
        self.aliased.insert((node, part), false);
        let found = self.visit(node, part)?;
        self.aliased.insert((node, part), found);
        Ok(found)
    }

    fn refuse_shared(&self, node: NodeId, reason: Reason) -> Result<(), Fault> {
        match self.ask.reach.aliases {
            Aliases::Followed => Ok(()),
            Aliases::Refused => Err(Refusal::at(self.scan.line(node), reason).into()),
        }
    }

    /// Why nothing was found in `objects`, of which there is a `first`.
    fn nothing(&self, first: NodeId, objects: &[NodeId]) -> Fault {
        let Self { scan, ask, .. } = *self;
        let other = |&object: &NodeId| Some((object, other_form(scan, object)?));
        if let (true, Some((object, (kind, form)))) =
            (self.names.is_empty(), objects.iter().find_map(other))
        {
            let kind = kind.to_owned();
            return Fault::at(scan.line(object), Cause::OtherForm { kind, form });
        }
        let image = ask.image.clone();
        if let Some((line, path)) = objects
            .iter()
            .find_map(|&object| elsewhere(scan, object, ask))
        {
            return Fault::at(line, Cause::NotInContainers { image, path });
        }
        let names = self.names.keys().copied();
        let known = Known::of(names, &familiar(&image));
        let line = match &known {
            Known::Nearest(name) => self.names.get(name.as_str()),
            Known::These(_) | Known::Elsewhere(_) => self.names.values().min(),
        };
        let line = line.copied().unwrap_or(scan.line(first));
        let what = "container";
        Fault::at(line, Cause::NoneHere { what, image, known })
    }
}

/// Where an object of another kind names the image, if a path of the document leads there.
fn elsewhere(scan: &Scan<'_>, object: NodeId, ask: Ask<'_>) -> Option<(usize, Path)> {
    let is_root = scan.root_above(object) == object;
    let places = helm::places_below(scan, object, &Lookup::Anywhere, ask).ok()?;
    let first = place::read(places.get(..1)?, scan, ask).ok()?.pop()?;
    first
        .path
        .filter(|_| is_root)
        .map(|path| (first.line, path))
}

/// The kind of an object that has no containers, and the form of site that it is.
fn other_form<'s>(scan: &'s Scan<'_>, object: NodeId) -> Option<(&'s str, &'static str)> {
    let version = scan.pair(object, "apiVersion").ok().flatten();
    let version = version.and_then(|(_, value)| scan.scalar(value));
    let (group, _) = version?.split_once('/')?;
    let kind = scan.kind_and_name(object).0?;
    match (group, kind) {
        ("kustomize.config.k8s.io", _) => Some((kind, "by its folder")),
        ("argoproj.io", "Application" | "ApplicationSet") => {
            Some((kind, "as `{ application: FILE }`"))
        }
        _ => None,
    }
}
