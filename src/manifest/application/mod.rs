//! Argo CD Applications and ApplicationSets: finds what their sources say of an image.
//!
//! Not here: reading and writing the places (`place`), and what a chart's values look like (`helm`).
//! Invariant: every source that Argo CD reads is looked through, and none that it passes over. What patches make of the
//! sources (`templatePatch`, `kustomize.patches`) is not: a message names them where nothing else names the image.
//!
//! What Argo CD does with an Application, see
//! <https://github.com/argoproj/argo-cd/blob/master/pkg/apis/application/v1alpha1/types.go>:
//! * `sourceHydrator` wins over `sources`, and `sources` over `source`; what loses is not read at all.
//! * Each generator of an ApplicationSet may have a `template` of its own beside `spec.template`.
//! * `.argocd-source.yaml` beside the manifests holds parts of a source: a map with `kustomize` and `helm`.

mod chart;
mod images;
mod parameters;
mod patches;
mod values;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::place::{Missing, Place, Slot};
use super::{Ask, Cause, Fault};
use crate::edit::{Aliases, Known, NodeId, Path, Reason, Refusal, Scan};
use patches::Patch;

/// Most items of sources, images and parameters that are looked at: a thousand Applications of ten each. Aliases can
/// repeat a list without end.
const ITEMS_MAX: usize = 10_000;

/// Most generators within each other. Argo CD takes two.
const GENERATORS_DEPTH_MAX: usize = 4;

/// What a map of values behind an alias counts for, which may be half a million values each time.
const SHARED_VALUES_ITEMS: usize = 100;

/// Most bytes of values and patches in texts that are read: twice what a file may hold, which only aliases could exceed.
const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The places of the image, or of what `at` leads to in a chart's values; at least one.
pub(super) fn places(
    scan: &Scan<'_>,
    at: Option<&Path>,
    ask: Ask<'_>,
) -> Result<Vec<Place>, Fault> {
    let budget = Budget {
        items: Cell::new(ITEMS_MAX),
        text_bytes: Cell::new(TEXT_BYTES_MAX),
    };
    let walk = Walk {
        scan,
        ask,
        budget: &budget,
        alias: None,
    };
    let mut found = Gathered::default();
    for object in walk.objects()? {
        found.patch = found.patch.or_else(|| patches::of_template(walk, object));
        for (walk, source) in walk.sources(object)? {
            let mut more = source_places(walk, source, at)?;
            if let Some(at) = at {
                refuse_again(scan, at, (&found.places, &more.places))?;
                // They are the same, by an alias.
                if !found.places.is_empty() {
                    more.places.clear();
                }
            }
            found.add(more);
        }
    }
    let mut places = found.places_or_refuse(at, ask)?;
    refuse_apart(scan, &places)?;
    // Sources that share a part by an alias share its places.
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(identity(place)));
    Ok(places)
}

/// Refuses a text of values that would have to be searched in two ways, since a text is written once.
fn refuse_apart(scan: &Scan<'_>, places: &[Place]) -> Result<(), Fault> {
    let mut lookups = BTreeMap::new();
    for place in places {
        if let Place::Block { block, lookup } = place
            && lookups
                .insert(*block, lookup)
                .is_some_and(|before| before != lookup)
        {
            return Err(Fault::at(scan.line(*block), Cause::SeveralInText));
        }
    }
    Ok(())
}

/// Refuses a path that two sources have, which may be charts of two images.
fn refuse_again(
    scan: &Scan<'_>,
    at: &Path,
    (before, more): (&[Place], &[Place]),
) -> Result<(), Fault> {
    let nodes = |places: &[Place]| -> Vec<NodeId> {
        let nodes = places.iter().map(|place| identity(place).0);
        nodes.collect()
    };
    let (before, more) = (nodes(before), nodes(more));
    match (
        before.first(),
        more.iter().find(|node| !before.contains(node)),
    ) {
        (Some(first), Some(second)) => {
            let (at, again) = (at.clone(), scan.line(*second));
            Err(Fault::at(
                scan.line(*first),
                Cause::SeveralSources { at, again },
            ))
        }
        (Some(_), None) | (None, _) => Ok(()),
    }
}

/// The places in one source, and the names there.
fn source_places(walk: Walk<'_, '_>, source: NodeId, at: Option<&Path>) -> Result<Gathered, Fault> {
    let mut found = Gathered::default();
    if at.is_none() {
        if let Some((walk, kustomize)) = walk.child(source, "kustomize")? {
            found.add(images::places(walk, kustomize)?);
            found.patch = patches::of_kustomize(walk, kustomize);
        }
        found.add(chart::places(walk, source)?);
    }
    if let Some((walk, helm)) = walk.child(source, "helm")? {
        found.add(values::places(walk, helm, at)?);
    }
    Ok(found)
}

/// What tells one place from another: the value, or the map and the key that it lacks.
fn identity(place: &Place) -> (NodeId, String) {
    let (node, key) = match place {
        Place::One(slot, _) | Place::Two { tag: slot, .. } => match slot {
            Slot::Standing(node) | Slot::Parameter(node) => (*node, ""),
            Slot::Missing(Missing { map, key, .. }) => (*map, *key),
            Slot::MissingParameter { list, name } => (*list, name.as_str()),
        },
        Place::Block { block, .. } => (*block, ""),
    };
    (node, key.to_owned())
}

/// What was found: places, and what a message can tell where there is no place.
#[derive(Default)]
struct Gathered {
    places: Vec<Place>,
    /// Names like those that were looked for.
    names: Vec<String>,
    /// The first patch that may name the image.
    patch: Option<Patch>,
}

impl Gathered {
    fn add(
        &mut self,
        Self {
            places,
            names,
            patch,
        }: Self,
    ) {
        self.places.extend(places);
        self.names.extend(names);
        self.patch = self.patch.or(patch);
    }

    /// The places, at least one.
    fn places_or_refuse(self, at: Option<&Path>, ask: Ask<'_>) -> Result<Vec<Place>, Fault> {
        let Self {
            places,
            names,
            patch,
        } = self;
        if !places.is_empty() {
            return Ok(places);
        }
        let names = names.iter().map(String::as_str);
        let image = ask.image.clone();
        Err(match (at, patch) {
            (Some(at), _) => {
                let known = Known::of(names, &at.to_string());
                let at = at.clone();
                Cause::NoValue { at, known }.into()
            }
            (None, Some(Patch { key, line })) => Fault::at(line, Cause::InPatch { key, image }),
            (None, None) => {
                let known = Known::of(names, &image.to_string());
                Cause::NoneInSources { image, known }.into()
            }
        })
    }
}

/// How much more of a file is looked at.
struct Budget {
    items: Cell<usize>,
    text_bytes: Cell<usize>,
}

/// A way down in a file.
#[derive(Clone, Copy)]
struct Walk<'a, 't> {
    scan: &'a Scan<'t>,
    ask: Ask<'a>,
    budget: &'a Budget,
    /// The line of an alias or of a map with a merge key on the way, behind which others share what stands there.
    alias: Option<usize>,
}

impl Walk<'_, '_> {
    /// The Applications and ApplicationSets of the file, and maps that are parts of a source.
    fn objects(self) -> Result<Vec<NodeId>, Fault> {
        let Self { scan, ask, .. } = self;
        let document = ask.reach.document.as_ref();
        let all = match document {
            None => scan.objects(),
            Some(document) => {
                let mut all = scan.roots(Some(document))?;
                let is_list = |root: &NodeId| {
                    let kind = scan.kind_and_name(*root).0;
                    kind.is_some_and(|kind| kind.ends_with("List"))
                };
                for root in all.clone().into_iter().filter(is_list) {
                    let items = self.items(root, "items")?.into_iter();
                    all.extend(items.map(|(_, item)| item));
                }
                all
            }
        };
        let is_ours = |object: &NodeId| {
            let value = |key: &str| scan.pair(*object, key).ok().flatten();
            let version = value("apiVersion").and_then(|(_, version)| scan.scalar(version));
            match scan.kind_and_name(*object).0 {
                // Others have a kind of this name too.
                Some("Application" | "ApplicationSet") => {
                    version.is_none_or(|version| version.starts_with("argoproj.io/"))
                }
                Some(_) => false,
                None => value("kustomize").or(value("helm")).is_some(),
            }
        };
        let ours: Vec<NodeId> = all.iter().copied().filter(is_ours).collect();
        match ours.is_empty() {
            false => Ok(ours),
            true => {
                let names = all
                    .iter()
                    .filter_map(|object| match scan.kind_and_name(*object) {
                        (Some(kind), Some(name)) => Some(format!("{kind}/{name}")),
                        (kind, _) => kind.map(str::to_owned),
                    });
                let known = Known::These(names.collect());
                Err(Cause::NoApplication { known }.into())
            }
        }
    }

    /// The sources that Argo CD reads of an object.
    fn sources(self, object: NodeId) -> Result<Vec<(Self, NodeId)>, Fault> {
        let Some(kind) = self.scan.kind_and_name(object).0 else {
            return Ok(vec![(self, object)]);
        };
        let Some((walk, spec)) = self.child(object, "spec")? else {
            return Ok(Vec::new());
        };
        if kind == "Application" {
            return walk.sources_of_spec(spec);
        }
        let mut sources = walk.sources_of_template(spec)?;
        sources.extend(walk.sources_of_generators(spec, &[])?);
        Ok(sources)
    }

    fn sources_of_spec(self, spec: NodeId) -> Result<Vec<(Self, NodeId)>, Fault> {
        if let Some((walk, hydrator)) = self.child(spec, "sourceHydrator")? {
            return Ok(walk.child(hydrator, "drySource")?.into_iter().collect());
        }
        let sources = self.items(spec, "sources")?;
        match sources.is_empty() {
            true => Ok(self.child(spec, "source")?.into_iter().collect()),
            false => Ok(sources),
        }
    }

    fn sources_of_template(self, holder: NodeId) -> Result<Vec<(Self, NodeId)>, Fault> {
        let Some((walk, template)) = self.child(holder, "template")? else {
            return Ok(Vec::new());
        };
        match walk.child(template, "spec")? {
            Some((walk, spec)) => walk.sources_of_spec(spec),
            None => Ok(Vec::new()),
        }
    }

    /// The sources in the templates of generators, which hold generators of their own where they combine them.
    ///
    /// `above` are the maps on the way that have generators, to which an alias may not lead back.
    fn sources_of_generators(
        self,
        holder: NodeId,
        above: &[NodeId],
    ) -> Result<Vec<(Self, NodeId)>, Fault> {
        let generators = self.items(holder, "generators")?;
        let is_too_deep = above.len() == GENERATORS_DEPTH_MAX || above.contains(&holder);
        if !generators.is_empty() && is_too_deep {
            let limit = GENERATORS_DEPTH_MAX;
            let line = self.scan.line(holder);
            return Err(Fault::at(line, Cause::GeneratorsTooDeep { limit }));
        }
        let above = [above, &[holder]].concat();
        let mut sources = Vec::new();
        for (walk, generator) in generators {
            for (_, settings) in walk.scan.pairs(generator) {
                let (walk, settings) = walk.enter(settings);
                sources.extend(walk.sources_of_template(settings)?);
                sources.extend(walk.sources_of_generators(settings, &above)?);
            }
        }
        Ok(sources)
    }

    /// The last part of the image's name, without which no text names it.
    fn last_name(&self) -> &str {
        let path = self.ask.image.path();
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The value of `key` in a map, unless it is null.
    fn child(self, map: NodeId, key: &str) -> Result<Option<(Self, NodeId)>, Refusal> {
        let scan = self.scan;
        let (walk, node) = match scan.pair(map, key)? {
            Some((_, value)) => {
                scan.refuse_merged_below(map, key)?;
                self.enter(value)
            }
            None => match scan.merged(map, key)? {
                Some((_, value)) => {
                    let alias = self.alias.or(Some(scan.line(map)));
                    Self { alias, ..self }.enter(value)
                }
                None => return Ok(None),
            },
        };
        Ok(Some((walk, node)).filter(|_| !scan.is_null(node)))
    }

    /// What the value of `key` in a map lists.
    fn items(self, map: NodeId, key: &str) -> Result<Vec<(Self, NodeId)>, Fault> {
        let Some((walk, list)) = self.child(map, key)? else {
            return Ok(Vec::new());
        };
        if !walk.scan.is_sequence(list) {
            let reason = walk.scan.unexpected(list, key.to_owned(), "a list");
            return Err(Refusal::at(walk.scan.line(list), reason).into());
        }
        let items: Vec<NodeId> = walk.scan.items(list).collect();
        walk.count(items.len())?;
        Ok(items.into_iter().map(|item| walk.enter(item)).collect())
    }

    /// Counts items that are looked at.
    fn count(self, items: usize) -> Result<(), Fault> {
        let what = "items of sources, images and parameters";
        let limit = ITEMS_MAX;
        spend(&self.budget.items, (items, Cause::TooMany { limit, what }))
    }

    /// Counts bytes of texts that are read.
    fn count_text(self, bytes: usize) -> Result<(), Fault> {
        let (limit, what) = (TEXT_BYTES_MAX, "bytes of values and patches in texts");
        let refused = Cause::TooMany { limit, what };
        spend(&self.budget.text_bytes, (bytes, refused))
    }

    /// A value, or what it is an alias of.
    fn enter(self, node: NodeId) -> (Self, NodeId) {
        let Self { scan, alias, .. } = self;
        let alias = match scan.is_alias(node) {
            true => alias.or(Some(scan.line(node))),
            false => alias,
        };
        (Self { alias, ..self }, scan.resolved(node))
    }

    /// Refuses a place to which the way led through an alias, where that may not be.
    fn refuse_shared(self) -> Result<(), Refusal> {
        match (self.alias, self.ask.reach.aliases) {
            (Some(line), Aliases::Refused) => Err(Refusal::at(line, Reason::BehindAlias)),
            (Some(_), Aliases::Followed) | (None, _) => Ok(()),
        }
    }

    /// What the value of `key` in a map says; nothing where it says nothing.
    fn text(self, map: NodeId, key: &str) -> Result<Option<(Self, NodeId, String)>, Refusal> {
        let found = self.child(map, key)?;
        Ok(found.and_then(|(walk, node)| {
            let text = walk.scan.scalar(node).filter(|text| !text.is_empty())?;
            Some((walk, node, text.to_owned()))
        }))
    }
}

/// Takes `cost` from what is left, or gives the reason why that is too much.
fn spend(left: &Cell<usize>, (cost, refused): (usize, Cause)) -> Result<(), Fault> {
    let rest = left.get().checked_sub(cost).ok_or(refused)?;
    left.set(rest);
    Ok(())
}

/// Refuses a version that Argo CD fills in from its build environment before others read it, see
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/build-environment/>.
fn refuse_filled(scan: &Scan<'_>, (node, version): (NodeId, &str)) -> Result<(), Fault> {
    match version.contains('$') {
        true => {
            let text = version.to_owned();
            Err(Fault::at(scan.line(node), Cause::Filled { text }))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod precedence;
#[cfg(test)]
mod tests;
