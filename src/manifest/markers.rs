//! Markers: the comments by which Flux knows what to update.
//!
//! Not here: reading and writing the places (`place`), and which comment belongs to which value (`edit`).
//! Invariant: a marker that may be the policy's is followed or refused, never passed over.
//!
//! What Flux does with them, see
//! <https://github.com/fluxcd/image-automation-controller/blob/main/internal/update/setters.go>, and what was seen of it:
//! * A marker is a whole comment of JSON behind a value on its line, between brackets also behind the comma; what is
//!   written beside the JSON makes it no marker.
//! * It is read behind plain and quoted values, and behind the header of a block. It is passed over behind a key, behind a
//!   closing bracket and behind an alias, and on a line of its own, except above a scalar in a list.
//! * A suffix that it does not know makes it the marker of a policy that is not there, and is passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{is_image, split_digest, split_tag};
use super::place::{self, Place, Shape, Slot};
use super::{Ask, Cause, Fault};
use crate::edit::{Aliases, Comment, Known, NodeId, Reason, Refusal, Scan};

/// The key of a marker, and the word without which a comment is none, not even a misspelled one.
const KEY: &str = "$imagepolicy";
const WORD: &str = "imagepolicy";

/// What a marked value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Reference,
    Tag,
    Name,
    Digest,
}

/// What a comment says.
struct Marker {
    /// `namespace:name`.
    policy: String,
    part: Result<Part, Cause>,
}

/// A marked tag or digest, and the map that it is a value of.
#[derive(Clone, Copy)]
struct Marked {
    node: NodeId,
    map: Option<NodeId>,
}

/// The places of the image; at least one.
pub(super) fn places(scan: &Scan<'_>, policy: &str, ask: Ask<'_>) -> Result<Vec<Place>, Fault> {
    let mut policies = BTreeSet::new();
    let mut named = None;
    let mut spoken_of = None;
    let mut found = Found::default();
    for comment in scan.comments_with(WORD) {
        let Some(marker) = marker(comment)? else {
            let is_ours = [format!("\"{policy}\""), format!("\"{policy}:")]
                .iter()
                .any(|quoted| comment.text.contains(quoted));
            spoken_of = spoken_of.or(is_ours.then_some(comment.line));
            continue;
        };
        if marker.policy != policy {
            policies.insert(marker.policy);
            continue;
        }
        let part = marker
            .part
            .map_err(|cause| Fault::at(comment.line, cause))?;
        let nothing = || Cause::MarksNothing {
            policy: policy.to_owned(),
        };
        let value = comment
            .value
            .ok_or_else(|| Fault::at(comment.line, nothing()))?;
        named = named.or(Some(comment.line));
        found.take(scan, (value, part), ask)?;
        place::refuse_too_many(found.count())?;
    }
    let policy = policy.to_owned();
    let places = found.places();
    match (named, spoken_of) {
        (Some(_), _) if !places.is_empty() => Ok(places),
        (Some(line), _) => Err(Fault::at(line, Cause::MarksNoVersion { policy })),
        (None, Some(line)) => Err(Fault::at(line, Cause::MarkerInComment { policy })),
        (None, None) => {
            let known = Known::of(policies.iter().map(String::as_str), &policy);
            Err(Cause::NotMarked { policy, known }.into())
        }
    }
}

/// What a comment that holds the word says; nothing if it only speaks of markers, or comments out a line that has one.
fn marker(comment: Comment<'_>) -> Result<Option<Marker>, Fault> {
    let Comment { text, line, value } = comment;
    let refused = || {
        let text = text.to_owned();
        Fault::at(line, Cause::NotAMarker { text })
    };
    if !text.starts_with('{') {
        return match value.is_some() && text.contains(KEY) {
            true => Err(refused()),
            false => Ok(None),
        };
    }
    let pairs: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| refused())?;
    let setter = pairs.get(KEY).ok_or_else(refused)?;
    let mut words = setter.splitn(3, ':');
    let (Some(namespace), Some(name), suffix) = (words.next(), words.next(), words.next()) else {
        return Err(refused());
    };
    if namespace.is_empty() || name.is_empty() {
        return Err(refused());
    }
    let part = match suffix {
        None => Ok(Part::Reference),
        Some("tag") => Ok(Part::Tag),
        Some("name") => Ok(Part::Name),
        Some("digest") => Ok(Part::Digest),
        Some(other) => Err(Cause::MarkerSuffix {
            suffix: other.to_owned(),
        }),
    };
    let policy = format!("{namespace}:{name}");
    Ok(Some(Marker { policy, part }))
}

/// What is marked.
#[derive(Default)]
struct Found {
    references: BTreeMap<NodeId, Shape>,
    tags: BTreeMap<NodeId, Marked>,
    digests: BTreeMap<NodeId, Marked>,
}

impl Found {
    /// Takes a marked value, if it is what its marker says.
    fn take(
        &mut self,
        scan: &Scan<'_>,
        (value, part): (NodeId, Part),
        ask: Ask<'_>,
    ) -> Result<(), Fault> {
        let line = scan.line(value);
        let other = |found: &str| {
            let (found, image) = (found.to_owned(), ask.image.clone());
            Fault::at(line, Cause::OtherImage { found, image })
        };
        if part == Part::Name {
            let name = scan.scalar(value).unwrap_or_default();
            return match is_image(name, ask.image) {
                true => Ok(()),
                false => Err(other(name)),
            };
        }
        let node = match ask.reach.aliases {
            Aliases::Followed => scan.resolved(value),
            Aliases::Refused if scan.is_alias(value) => {
                return Err(Refusal::at(line, Reason::Alias).into());
            }
            Aliases::Refused => value,
        };
        let map = scan.owner(value).map(|(map, _)| map);
        let text = scan.editable(node)?;
        let refused = |part: &'static str| {
            let found = text.to_owned();
            Err(Fault::at(line, Cause::MarksOther { part, found }))
        };
        let rest = split_digest(text).0;
        match part {
            Part::Name => {}
            Part::Reference if text.is_empty() => return refused("a whole reference"),
            Part::Reference => {
                let name = split_tag(rest).0;
                if !is_image(name, ask.image) {
                    return Err(other(name));
                }
                let name = name.to_owned();
                self.references.insert(node, Shape::Reference { name });
            }
            Part::Tag if rest.contains(['/', ':']) => return refused("a tag"),
            Part::Tag => {
                self.tags.insert(node, Marked { node, map });
            }
            Part::Digest if !text.is_empty() && !text.starts_with("sha") => {
                return refused("a digest");
            }
            Part::Digest => {
                self.digests.insert(node, Marked { node, map });
            }
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.references.len() + self.tags.len() + self.digests.len()
    }

    /// The places, in the order of the text. A tag and a digest of one map belong together; of those that are left, the
    /// first tag and the first digest do, and so on, where there are as many.
    fn places(self) -> Vec<Place> {
        let Self {
            references,
            tags,
            mut digests,
        } = self;
        let mut places = BTreeMap::new();
        for (node, shape) in references {
            places.insert(node, Place::One(Slot::Standing(node), shape));
        }
        let in_map = |digest: &Marked| Some((digest.map?, *digest));
        let mut beside: BTreeMap<NodeId, Marked> = digests.values().filter_map(in_map).collect();
        let mut lone_tags = Vec::new();
        for tag in tags.into_values() {
            match tag.map.and_then(|map| beside.remove(&map)) {
                Some(digest) => {
                    digests.remove(&digest.node);
                    places.insert(tag.node, two(tag, digest));
                }
                None => lone_tags.push(tag),
            }
        }
        if lone_tags.len() == digests.len() {
            let pairs = lone_tags.into_iter().zip(digests.into_values());
            places.extend(pairs.map(|(tag, digest)| (tag.node, two(tag, digest))));
        } else {
            let one = |marked: Marked, shape| {
                let slot = Slot::Standing(marked.node);
                (marked.node, Place::One(slot, shape))
            };
            places.extend(lone_tags.into_iter().map(|tag| one(tag, Shape::Tag)));
            places.extend(
                digests
                    .into_values()
                    .map(|digest| one(digest, Shape::Digest)),
            );
        }
        places.into_values().collect()
    }
}

fn two(tag: Marked, digest: Marked) -> Place {
    Place::Two {
        tag: Slot::Standing(tag.node),
        digest: digest.node,
    }
}
