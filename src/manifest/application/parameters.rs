//! `helm.parameters` of a source: items of `name` and `value`, which Argo CD hands to `helm template --set`, or to
//! `--set-string` where `forceString` is true.
//!
//! Not here: the values that stand beside them (`values`).
//! Invariant: a name leads where Helm takes it, and each name stands once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Walk, refuse_filled};
use crate::edit::{Known, NodeId, Reason, Refusal, Scan, Step};
use crate::manifest::helm::{NAME_KEYS, TAG_KEYS, joined};
use crate::manifest::name::{is_image, is_version_of};
use crate::manifest::place::{Place, Shape, Slot};
use crate::manifest::{Cause, Fault};

/// The parameters of one source.
pub(super) struct Parameters<'a, 't> {
    walk: Walk<'a, 't>,
    list: NodeId,
    all: Vec<Parameter<'a, 't>>,
    /// The places in `all` by [`flat`] paths.
    by_path: BTreeMap<String, Vec<usize>>,
}

/// One item of the list.
struct Parameter<'a, 't> {
    walk: Walk<'a, 't>,
    item: NodeId,
    name: String,
    /// Where the name leads in the values.
    steps: Vec<Step>,
    /// The value, if the item has one, and what it says.
    value: Option<NodeId>,
    text: String,
    is_forced: bool,
}

impl<'a, 't> Parameters<'a, 't> {
    /// The parameters of a source; none where it has no list of them.
    pub(super) fn of(walk: Walk<'a, 't>, helm: NodeId) -> Result<Option<Self>, Fault> {
        let Some((list_walk, list)) = walk.child(helm, "parameters")? else {
            return Ok(None);
        };
        let mut all = Vec::new();
        for (walk, item) in walk.items(helm, "parameters")? {
            let name = walk.text(item, "name")?.map(|(_, _, name)| name);
            let steps = name.as_deref().and_then(steps);
            let (Some(name), Some(steps)) = (name, steps) else {
                continue;
            };
            let value = walk.child(item, "value")?;
            let (walk, value) = match value {
                Some((walk, value)) => (walk, Some(value)),
                None => (walk, None),
            };
            let text = value.and_then(|value| walk.scan.scalar(value));
            let forced = walk.text(item, "forceString")?;
            all.push(Parameter {
                walk,
                item,
                steps,
                name,
                value,
                text: text.unwrap_or_default().to_owned(),
                is_forced: forced.is_some_and(|(_, _, word)| word == "true"),
            });
        }
        let mut by_path: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, parameter) in all.iter().enumerate() {
            if let Some(path) = flat(&parameter.steps) {
                by_path.entry(path).or_default().push(place);
            }
        }
        Ok(Some(Self {
            walk: list_walk,
            list,
            all,
            by_path,
        }))
    }

    pub(super) fn scan(&self) -> &Scan<'t> {
        self.walk.scan
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|parameter| parameter.name.as_str())
    }

    /// The images that parameters name, for messages.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        let names_one = |parameter: &&Parameter<'_, '_>| {
            let last = parameter.last_key();
            NAME_KEYS.into_iter().any(|key| last == Some(key)) && !parameter.text.is_empty()
        };
        let named = self.all.iter().filter(names_one);
        named.map(|parameter| parameter.text.as_str())
    }

    /// The places of what stands at a path: a parameter of that name, or those of an image's map.
    pub(super) fn at(&self, path: &[Step]) -> Result<Vec<Place>, Fault> {
        if let Some(parameter) = self.find(path)? {
            return Ok(vec![parameter.scalar()?]);
        }
        match self.map(path)? {
            places if !places.is_empty() => Ok(places),
            _ => Ok(self.missing(path)?.into_iter().collect()),
        }
    }

    /// Each parameter whose value is a whole reference to the image.
    pub(super) fn references(&self) -> Result<Vec<Place>, Fault> {
        let image = self.walk.ask.image;
        let is_version = |parameter: &&Parameter<'_, '_>| is_version_of(&parameter.text, image);
        let found = self.all.iter().filter(is_version);
        found.map(Parameter::scalar).collect()
    }

    /// The paths of maps of which parameters give a name, a tag or a digest, each once.
    pub(super) fn maps(&self) -> BTreeSet<&[Step]> {
        let mut maps = BTreeSet::new();
        for parameter in &self.all {
            let keys = NAME_KEYS.iter().chain(&TAG_KEYS).chain(&["digest"]);
            let is_part = keys.copied().any(|key| parameter.last_key() == Some(key));
            if let (true, [map @ .., _]) = (is_part, &parameter.steps[..]) {
                maps.insert(map);
            }
        }
        maps
    }

    /// Whether parameters name the image of a map, and give or could give its version.
    pub(super) fn names_image(&self, map: &[Step]) -> Result<bool, Fault> {
        let Some((name, key)) = self.name(map)? else {
            return Ok(false);
        };
        let is_tagged = self.tag(map)?.is_some() || key == "repository";
        Ok(is_tagged && self.is_image(map, name)?)
    }

    /// The place of an image's map, as far as parameters give it.
    fn map(&self, map: &[Step]) -> Result<Vec<Place>, Fault> {
        let (name, tag) = (self.name(map)?, self.tag(map)?);
        let digest = self.below(map, "digest")?;
        if let (Some((name, _)), None) = (name, tag)
            && is_version_of(&name.text, self.walk.ask.image)
        {
            return Ok(vec![name.scalar()?]);
        }
        if let Some((name, _)) = name
            && !name.text.is_empty()
            && !self.is_image(map, name)?
        {
            return Err(name.other_image());
        }
        let slot = match (tag, name) {
            (Some(tag), _) => tag.slot()?,
            (None, Some((name, key))) => match self.added(name, (key, "tag"))? {
                Some(slot) => slot,
                None => return Ok(Vec::new()),
            },
            (None, None) => {
                let digest = digest.filter(|digest| !digest.text.is_empty());
                let place = digest.map(|digest| digest.place(Shape::Digest));
                return place.into_iter().collect();
            }
        };
        Ok(vec![match digest {
            Some(digest) => {
                let (tag, digest) = (slot, digest.node()?);
                Place::Two { tag, digest }
            }
            None => Place::One(slot, Shape::Tag),
        }])
    }

    /// The place of a tag or a digest that is not there, beside a parameter that names the image.
    fn missing(&self, path: &[Step]) -> Result<Option<Place>, Fault> {
        let [map @ .., Step::Key(last)] = path else {
            return Ok(None);
        };
        let Some((name, key)) = self.name(map)? else {
            return Ok(None);
        };
        let is_digest = last == "digest";
        if !(is_digest || TAG_KEYS.contains(&last.as_str())) || !self.is_image(map, name)? {
            return Ok(None);
        }
        let shape = match is_digest {
            true => Shape::Digest,
            false => Shape::Tag,
        };
        let slot = self.added(name, (key, last))?;
        Ok(slot.map(|slot| Place::One(slot, shape)))
    }

    /// The parameter `key` that is to be added beside the one that ends with `last`.
    fn added(
        &self,
        beside: &Parameter<'_, '_>,
        (last, key): (&str, &str),
    ) -> Result<Option<Slot>, Refusal> {
        let Some(map) = beside.name.strip_suffix(last) else {
            return Ok(None);
        };
        let (list, name) = (self.list, format!("{map}{key}"));
        self.walk.refuse_shared()?;
        Ok(Some(Slot::MissingParameter { list, name }))
    }

    /// The parameter that names the image of a map, and the key under which it does.
    fn name(&self, map: &[Step]) -> Result<Option<(&Parameter<'a, 't>, &'static str)>, Fault> {
        for key in NAME_KEYS {
            if let Some(parameter) = self.below(map, key)? {
                return Ok(Some((parameter, key)));
            }
        }
        Ok(None)
    }

    fn tag(&self, map: &[Step]) -> Result<Option<&Parameter<'a, 't>>, Fault> {
        for key in TAG_KEYS {
            if let Some(parameter) = self.below(map, key)? {
                return Ok(Some(parameter));
            }
        }
        Ok(None)
    }

    /// Whether the name is the image, with the registry that another parameter gives.
    fn is_image(&self, map: &[Step], name: &Parameter<'_, '_>) -> Result<bool, Fault> {
        let image = self.walk.ask.image;
        let global = [Step::Key("global".to_owned())];
        for (map, key) in [(map, "registry"), (&global, "imageRegistry")] {
            if let Some(registry) = self.below(map, key)?
                && is_image(&joined(&registry.text, &name.text), image)
            {
                return Ok(true);
            }
        }
        Ok(is_image(&name.text, image))
    }

    fn below(&self, map: &[Step], key: &str) -> Result<Option<&Parameter<'a, 't>>, Fault> {
        self.find(&[map, &[Step::Key(key.to_owned())]].concat())
    }

    /// The one parameter at a path; where keys with dots stand, also by their bare text.
    fn find(&self, path: &[Step]) -> Result<Option<&Parameter<'a, 't>>, Fault> {
        let places = flat(path).and_then(|path| self.by_path.get(&path));
        let mut found: Vec<_> = places
            .into_iter()
            .flatten()
            .map(|&place| &self.all[place])
            .collect();
        let is_exact = |parameter: &&Parameter<'_, '_>| parameter.steps == path;
        if found.iter().any(is_exact) {
            found.retain(is_exact);
        }
        match found[..] {
            [first, second, ..] => {
                let scan = self.walk.scan;
                let (key, again) = (first.name.clone(), scan.line(second.item));
                let reason = Reason::DuplicateKey { key, again };
                Err(Refusal::at(scan.line(first.item), reason).into())
            }
            [one] => Ok(Some(one)),
            [] => Ok(None),
        }
    }
}

impl Parameter<'_, '_> {
    fn last_key(&self) -> Option<&str> {
        match self.steps.last() {
            Some(Step::Key(key)) => Some(key),
            Some(Step::Index(_) | Step::Item { .. }) | None => None,
        }
    }

    /// The place of the value, whatever it holds of the image.
    fn scalar(&self) -> Result<Place, Fault> {
        let is_digest = self.text.is_empty() && self.last_key() == Some("digest");
        let shape = match is_digest {
            true => Shape::Digest,
            false => Shape::of(&self.text, self.walk.ask.image)
                .map_err(|cause| Fault::at(self.line(), cause))?,
        };
        self.place(shape)
    }

    fn place(&self, shape: Shape) -> Result<Place, Fault> {
        Ok(Place::One(self.slot()?, shape))
    }

    fn slot(&self) -> Result<Slot, Fault> {
        let node = self.node()?;
        Ok(match self.is_forced {
            true => Slot::Standing(node),
            false => Slot::Parameter(node),
        })
    }

    /// The value, which an item without one has not.
    fn node(&self) -> Result<NodeId, Fault> {
        let Self { walk, name, .. } = self;
        let Some(node) = self.value else {
            let reason = Reason::NoKey {
                place: format!("parameters[name={name}]"),
                key: "value".to_owned(),
                known: Known::These(vec!["name".to_owned()]),
            };
            return Err(Refusal::at(self.line(), reason).into());
        };
        refuse_filled(walk.scan, (node, &self.text))?;
        walk.refuse_shared()?;
        Ok(node)
    }

    fn line(&self) -> usize {
        self.walk.scan.line(self.value.unwrap_or(self.item))
    }

    fn other_image(&self) -> Fault {
        let cause = Cause::OtherImage {
            found: self.text.clone(),
            image: self.walk.ask.image.clone(),
        };
        Fault::at(self.line(), cause)
    }
}

/// Where the name of a parameter leads, as `helm --set` reads it; none where it cannot be read.
///
/// A backslash takes the next character for what it is, `[0]` is an item of a list.
fn steps(name: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut chars = name.chars().peekable();
    loop {
        let mut key = String::new();
        while let Some(&next) = chars.peek().filter(|next| !matches!(next, '.' | '[')) {
            chars.next();
            key.push(match next {
                '\\' => chars.next()?,
                '=' | ',' => return None,
                next => next,
            });
        }
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key));
        while chars.next_if_eq(&'[').is_some() {
            let mut index = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                index.push(digit);
            }
            chars.next_if_eq(&']')?;
            steps.push(Step::Index(index.parse().ok()?));
        }
        match chars.next() {
            None => return Some(steps),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

/// A path with its keys as they are, so that `a\.b` and `a.b` are one; none where it has items by name.
fn flat(steps: &[Step]) -> Option<String> {
    let word = |step: &Step| match step {
        Step::Key(key) => Some(format!(".{key}")),
        Step::Index(index) => Some(format!("[{index}]")),
        Step::Item { .. } => None,
    };
    steps.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::steps;
    use crate::edit::Path;

    #[test]
    fn names_lead_where_helm_takes_them() {
        let read = |name| {
            let path = steps(name).and_then(Path::of);
            path.map_or("-".to_owned(), |path| path.to_string())
        };
        for (name, path) in [
            ("image.tag", "image.tag"),
            (r"a\.b.tag", r#""a.b".tag"#),
            ("images[0].tag", "images[0].tag"),
            ("a[0][1]", "a[0][1]"),
            (r"a\[0].tag", r#""a[0]".tag"#),
            (r"a\=b\,c", r#""a=b,c""#),
            (r"a\\.b", r#""a\\".b"#),
            ("a.", "-"),
            ("", "-"),
            ("a[x]", "-"),
            ("a[0]b", "-"),
            ("a=b", "-"),
        ] {
            assert_eq!(read(name), path, "{name}");
        }
    }
}
