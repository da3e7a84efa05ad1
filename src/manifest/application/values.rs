//! The values that a source gives to a chart: its parameters, and a map or a text of values.
//!
//! Not here: the parameters' names (`parameters`), and what values look like (`manifest::helm`).
//! Invariant: of the places that say one thing all that Argo CD reads are found, since the first of them counts and
//! the others would say what no longer runs.
//!
//! What counts, see <https://github.com/argoproj/argo-cd/blob/master/pkg/apis/application/v1alpha1/values.go>:
//! parameters before values; and `valuesObject`, if it stands, in place of `values`, which is then not read.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::parameters::Parameters;
use super::{Gathered, SHARED_VALUES_ITEMS, Walk, identity};
use crate::edit::{NodeId, Path, Reach, Reason, Refusal, Scan, Step};
use crate::manifest::helm::{self, Holds, Lookup, TAG_KEYS};
use crate::manifest::place::{Place, Shape, Slot};
use crate::manifest::{Ask, Cause, Fault};

/// The places in the parameters and the values of one source.
pub(super) fn places(
    walk: Walk<'_, '_>,
    helm: NodeId,
    at: Option<&Path>,
) -> Result<Gathered, Fault> {
    let parameters = Parameters::of(walk, helm)?;
    let (values, unread) = SourceValues::of(walk, helm)?;
    let source = Source { parameters, values };
    let places = match at {
        Some(at) => source.at(at.steps())?,
        None => source.anywhere()?,
    };
    if let (true, Some(unread)) = (places.is_empty(), unread) {
        let lookup = at.map_or(Lookup::Anywhere, |at| Lookup::At(at.clone(), Holds::Image));
        if unread.layer(&lookup).is_ok_and(|layer| layer.stands) {
            let line = walk.scan.line(unread.node);
            return Err(Fault::at(line, Cause::ValuesUnread));
        }
    }
    let names = match (places.is_empty(), at) {
        (true, Some(_)) => source.keys(),
        (true, None) => source.images(),
        (false, _) => Vec::new(),
    };
    Ok(Gathered {
        places,
        names,
        patch: None,
    })
}

/// What one source gives to its chart.
struct Source<'a, 't> {
    parameters: Option<Parameters<'a, 't>>,
    values: Option<SourceValues<'a, 't>>,
}

/// The values of a source, in a map of the file or in a text.
struct SourceValues<'a, 't> {
    walk: Walk<'a, 't>,
    node: NodeId,
    is_text: bool,
    /// What a text says, with the number of lines above it; read once.
    inner: OnceCell<Result<(Scan<'a>, usize), Refusal>>,
    /// What a text says that is no block to edit.
    other: OnceCell<Option<Scan<'a>>>,
}

/// What one of the places of values says at a path.
#[derive(Default)]
struct Layer {
    places: Vec<Place>,
    /// What tells the places from others of the same values, also of a text's.
    identities: BTreeSet<(NodeId, String)>,
    /// Whether a version stands there, or is only to be added.
    stands: bool,
    /// The line of a digest that has a place of its own, and of one that is not empty.
    digest: Option<usize>,
    pinned: Option<usize>,
    line: usize,
}

impl Source<'_, '_> {
    fn at(&self, path: &[Step]) -> Result<Vec<Place>, Fault> {
        let above = self.parameters_at(path)?;
        let below = self.below(path, &above, self.values_at(path))?;
        Ok(self.over(path, (above, below))?.places)
    }

    /// What values say at a path below parameters, where what is wrong there may not matter.
    fn below(
        &self,
        path: &[Step],
        above: &Layer,
        found: Result<Layer, Fault>,
    ) -> Result<Layer, Fault> {
        let Err(fault) = found else {
            return found;
        };
        let is_named = match &self.parameters {
            Some(parameters) => parameters.names_image(path)?,
            None => false,
        };
        if is_named && matches!(fault.cause, Cause::OtherImage { .. }) {
            return match above.stands {
                true => Ok(Layer::default()),
                // The name comes from a parameter, and the version still from the values.
                false => self.version_at(path),
            };
        }
        let is_unreadable = matches!(
            fault.cause,
            Cause::Edit(Reason::Templated | Reason::Syntax { .. })
        );
        let is_beside = matches!(fault.cause, Cause::NotAnImageMap);
        match is_unreadable && above.stands || is_beside && !above.places.is_empty() {
            true => Ok(Layer::default()),
            false => Err(fault),
        }
    }

    /// The version that values give to a map, whatever they name there.
    fn version_at(&self, map: &[Step]) -> Result<Layer, Fault> {
        for key in TAG_KEYS {
            let path = [map, &[Step::Key(key.to_owned())]].concat();
            let layer = self.values_at(&path)?;
            if layer.stands {
                return Ok(layer);
            }
        }
        Ok(Layer::default())
    }

    /// What parameters and values say at a path, as [`Layer::before`] joins them.
    fn over(&self, path: &[Step], (above, below): (Layer, Layer)) -> Result<Layer, Fault> {
        // Values that are no map of the image to a search may still hold a digest that counts.
        let digest = [path, &[Step::Key("digest".to_owned())]].concat();
        if above.digest.or(below.digest).is_none()
            && !above.places.is_empty()
            && let Ok(Layer {
                pinned: Some(digest),
                ..
            }) = self.values_at(&digest)
        {
            return Err(Fault::at(above.line, Cause::Apart { digest }));
        }
        above.before(below)
    }

    fn anywhere(&self) -> Result<Vec<Place>, Fault> {
        let values = match &self.values {
            Some(values) => values.layer(&Lookup::Anywhere)?,
            None => Layer::default(),
        };
        let mut places = Vec::new();
        let mut won = BTreeSet::new();
        if let Some(parameters) = &self.parameters {
            for map in parameters.maps() {
                let is_named = parameters.names_image(map)?;
                let found = self.values_at(map);
                let is_found = found.as_ref().is_ok_and(|below| {
                    !below.places.is_empty() && below.identities.is_subset(&values.identities)
                });
                // A map of the values that names another image may be here for its other keys.
                if !is_named && !is_found {
                    continue;
                }
                let above = self.parameters_at(map)?;
                let below = self.below(map, &above, found)?;
                if above.stands && !below.stands {
                    won.extend(below.identities.iter().cloned());
                }
                let layer = self.over(map, (above, below))?;
                // What the values' own search finds in a text is taken there as a whole.
                let is_block = |place: &Place| matches!(place, Place::Block { .. });
                let is_taken = |place: &Place| is_found && is_block(place);
                places.extend(layer.places.into_iter().filter(|place| !is_taken(place)));
            }
            places.extend(parameters.references()?);
        }
        let is_won = |place: &Place| match place {
            Place::Block { .. } => values.identities.is_subset(&won),
            Place::One(..) | Place::Two { .. } => won.contains(&identity(place)),
        };
        places.extend(values.places.into_iter().filter(|place| !is_won(place)));
        Ok(places)
    }

    fn parameters_at(&self, path: &[Step]) -> Result<Layer, Fault> {
        let Some(parameters) = &self.parameters else {
            return Ok(Layer::default());
        };
        Ok(Layer::of(parameters.scan(), parameters.at(path)?))
    }

    fn values_at(&self, path: &[Step]) -> Result<Layer, Fault> {
        match (&self.values, Path::of(path.to_vec())) {
            (Some(values), Some(path)) => values.layer(&Lookup::At(path, Holds::Image)),
            (Some(_), None) | (None, _) => Ok(Layer::default()),
        }
    }

    /// The names of the parameters and the paths of the values.
    fn keys(&self) -> Vec<String> {
        let names = self.parameters.iter().flat_map(Parameters::names);
        let mut keys: Vec<String> = names.map(str::to_owned).collect();
        self.look(|scan, root| leaves(scan, (root, None), &mut keys));
        keys
    }

    /// The images that parameters and values name.
    fn images(&self) -> Vec<String> {
        let images = self.parameters.iter().flat_map(Parameters::images);
        let mut images: Vec<String> = images.map(str::to_owned).collect();
        self.look(|scan, root| image_names(scan, root, &mut images));
        images
    }

    /// Calls `see` with the root of the values, if they can be read.
    fn look(&self, mut see: impl FnMut(&Scan<'_>, NodeId)) {
        let Some(values) = &self.values else {
            return;
        };
        match values.is_text {
            false => see(values.walk.scan, values.node),
            true => {
                if let Ok(Ok((scan, _))) = values.text() {
                    for root in scan.roots(None).unwrap_or_default() {
                        see(scan, root);
                    }
                }
            }
        }
    }
}

impl<'a, 't> SourceValues<'a, 't> {
    /// The values that Argo CD reads, `valuesObject` or else `values`, and those that it does not read.
    fn of(walk: Walk<'a, 't>, helm: NodeId) -> Result<(Option<Self>, Option<Self>), Fault> {
        let new = |walk, node, is_text| Self {
            walk,
            node,
            is_text,
            inner: OnceCell::new(),
            other: OnceCell::new(),
        };
        let text = walk.child(helm, "values")?;
        let text = text.filter(|(walk, node)| walk.scan.scalar(*node) != Some(""));
        if let Some((walk, node)) = text
            && walk.scan.scalar(node).is_none()
        {
            let wanted = "a text; what takes a map is `valuesObject`";
            let reason = walk.scan.unexpected(node, "helm.values".to_owned(), wanted);
            return Err(Refusal::at(walk.scan.line(node), reason).into());
        }
        let text = text.map(|(walk, node)| new(walk, node, true));
        let Some((walk, node)) = walk.child(helm, "valuesObject")? else {
            return Ok((text, None));
        };
        if !walk.scan.is_mapping(node) {
            let place = "helm.valuesObject".to_owned();
            let reason = walk.scan.unexpected(node, place, "a map");
            return Err(Refusal::at(walk.scan.line(node), reason).into());
        }
        if walk.alias.is_some() {
            walk.count(SHARED_VALUES_ITEMS)?;
        }
        Ok((Some(new(walk, node, false)), text))
    }

    /// What the values say; nothing where they lack the path.
    fn layer(&self, lookup: &Lookup) -> Result<Layer, Fault> {
        let (walk, node) = (self.walk, self.node);
        if self.is_text {
            return self.layer_of_text(lookup);
        }
        let places = helm::places_below(walk.scan, node, lookup, walk.ask);
        let places = unless_missing(places)?;
        if !places.is_empty() {
            walk.refuse_shared()?;
        }
        Ok(Layer::of(walk.scan, places))
    }

    /// The YAML in a text, and the number of lines above it.
    fn text(&self) -> Result<&Result<(Scan<'a>, usize), Refusal>, Fault> {
        let (walk, node) = (self.walk, self.node);
        if self.inner.get().is_none() {
            walk.count_text(walk.scan.scalar(node).unwrap_or_default().len())?;
        }
        Ok(self.inner.get_or_init(|| walk.scan.inner(node)))
    }

    fn layer_of_text(&self, lookup: &Lookup) -> Result<Layer, Fault> {
        let (walk, node) = (self.walk, self.node);
        let reach = Reach::default();
        let ask = Ask {
            reach: &reach,
            ..walk.ask
        };
        let text = walk.scan.scalar(node).unwrap_or_default();
        // So a text is only asked to be readable where it may matter.
        if *lookup == Lookup::Anywhere && !text.contains(walk.last_name()) {
            return Ok(Layer::default());
        }
        let places = |scan: &Scan<'_>| unless_missing(helm::places_in(scan, lookup, ask));
        let (inner, above) = match self.text()? {
            Ok(inner) => inner,
            Err(refusal) => {
                // Text of another form matters only where it has what is looked for.
                let other = self.other.get_or_init(|| Scan::new(text).ok());
                return match other.as_ref().map(places) {
                    Some(Ok(places)) if places.is_empty() => Ok(Layer::default()),
                    Some(_) | None => Err(refusal.clone().into()),
                };
            }
        };
        let places = places(inner).map_err(|fault| fault.in_block(*above))?;
        let layer = Layer::of(inner, places);
        if layer.places.is_empty() {
            return Ok(layer);
        }
        walk.refuse_shared()?;
        let (block, lookup) = (node, lookup.clone());
        Ok(Layer {
            places: vec![Place::Block { block, lookup }],
            digest: layer.digest.map(|line| line + above),
            pinned: layer.pinned.map(|line| line + above),
            line: layer.line + above,
            ..layer
        })
    }
}

impl Layer {
    fn of(scan: &Scan<'_>, places: Vec<Place>) -> Self {
        let mut layer = Self {
            identities: places.iter().map(identity).collect(),
            ..Self::default()
        };
        for place in &places {
            let (node, _) = identity(place);
            layer.line = scan.line(node);
            let (slot, digest) = match place {
                Place::One(slot, Shape::Digest) => (slot, Some(node)),
                Place::One(slot, _) => (slot, None),
                Place::Two { tag, digest } => (tag, Some(*digest)),
                Place::Block { .. } => continue,
            };
            layer.stands |= matches!(slot, Slot::Standing(_) | Slot::Parameter(_))
                || matches!(place, Place::Two { .. });
            let line = |digest: NodeId| scan.line(digest);
            let says_one =
                |digest: &NodeId| scan.scalar(*digest).is_some_and(|text| !text.is_empty());
            layer.digest = layer.digest.or(digest.map(line));
            layer.pinned = layer.pinned.or(digest.filter(says_one).map(line));
        }
        Self { places, ..layer }
    }

    /// This layer with the one that it wins over: what stands is written in both, what is missing is added once.
    fn before(mut self, below: Self) -> Result<Self, Fault> {
        match (self.stands, below.stands) {
            (true, false) => Ok(self),
            (false, true) => Ok(below),
            (false, false) if self.places.is_empty() => Ok(below),
            (false, false) => Ok(self),
            (true, true) => {
                let (line, digest) = match (self.digest, below.digest) {
                    (Some(digest), None) => (below.line, Some(digest)),
                    (None, Some(digest)) => (self.line, Some(digest)),
                    (Some(_), Some(_)) | (None, None) => (0, None),
                };
                // A tag and a digest would each be written as if the other were not.
                if let Some(digest) = digest {
                    return Err(Fault::at(line, Cause::Apart { digest }));
                }
                self.places.extend(below.places);
                Ok(self)
            }
        }
    }
}

/// No places where values lack the path that was asked for.
fn unless_missing(places: Result<Vec<Place>, Fault>) -> Result<Vec<Place>, Fault> {
    match places {
        Err(Fault {
            cause:
                Cause::Edit(
                    Reason::NoKey { .. }
                    | Reason::NoItem { .. }
                    | Reason::NoIndex { .. }
                    | Reason::Empty,
                ),
            ..
        }) => Ok(Vec::new()),
        places => places,
    }
}

/// Adds the paths of the scalars and the lists below a map.
fn leaves(scan: &Scan<'_>, (node, path): (NodeId, Option<&Path>), found: &mut Vec<String>) {
    for (key, value) in scan.pairs(node) {
        let Some(key) = scan.scalar(key) else {
            continue;
        };
        let own = Path::of(vec![Step::Key(key.to_owned())]);
        let path = path.map(|path| path.key(key)).or(own);
        match &path {
            Some(path) if scan.is_mapping(value) => leaves(scan, (value, Some(path)), found),
            Some(path) => found.push(path.to_string()),
            None => {}
        }
    }
}

/// Adds what stands below a value under the keys that images have.
fn image_names(scan: &Scan<'_>, node: NodeId, found: &mut Vec<String>) {
    for (key, value) in scan.pairs(node) {
        let is_name = matches!(scan.scalar(key), Some("repository" | "image"));
        match scan.scalar(value).filter(|text| !text.is_empty()) {
            Some(text) if is_name => found.push(text.to_owned()),
            Some(_) | None => image_names(scan, value, found),
        }
    }
    for item in scan.items(node) {
        image_names(scan, item, found);
    }
}
