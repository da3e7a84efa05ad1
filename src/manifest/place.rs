//! Places: where one version stands in a text, what it says, and how another takes its place.
//!
//! Not here: finding the places (one file for each form).
//! Invariant: what stands beside the version (a name, a form of writing) is kept.

use std::cell::Cell;

use super::helm::{self, Lookup};
use super::name::{is_image, split_digest, split_tag};
use super::{Ask, Cause, Fault, Standing, Version, Write, chart, known_digest};
use crate::edit::{
    AliasesLeft, Draft, New, NodeId, Path, Reach, Refusal, Scan, Step, Whereabouts, edited,
};
use crate::image::{Digest, Repository};

/// Most places of one site. More nobody reviews.
const PLACES_MAX: usize = 1000;

/// Where one version is written.
pub(super) enum Place {
    /// One text.
    One(Slot, Shape),
    /// The texts of a tag and of a digest; an empty digest says nothing.
    Two { tag: Slot, digest: NodeId },
    /// Values of a chart in the text of a block.
    Block { block: NodeId, lookup: Lookup },
}

/// Where one text stands, or is to be added.
pub(super) enum Slot {
    Standing(NodeId),
    /// A key that a map has not, or has by its merge key alone.
    Missing(Missing),
    /// The value of a parameter that Helm reads as `--set` does, which takes some words for numbers and the like.
    Parameter(NodeId),
    /// A parameter that a list of parameters has not.
    MissingParameter {
        list: NodeId,
        name: String,
    },
}

/// A key that is to be added to a map.
pub(super) struct Missing {
    pub(super) map: NodeId,
    /// The key that it follows; none is the last one.
    pub(super) after: Option<NodeId>,
    pub(super) key: &'static str,
    /// What the map has by its merge key.
    pub(super) merged: Option<NodeId>,
}

/// What a text holds.
pub(super) enum Shape {
    /// `v1`, `v1@sha256:…`, or nothing yet.
    Tag,
    /// `v1`, whatever stands there: the digest has a place of its own.
    BareTag,
    /// `sha256:…`
    Digest,
    /// `ghcr.io/acme/web:v1`, with the name as it is spelled.
    Reference { name: String },
    /// `v1`, beside which there is no room for a digest.
    TagAlone,
    /// The version of a Helm chart in a registry, whose `+` is `_` in the tag, see
    /// <https://helm.sh/docs/topics/registries/>.
    ChartVersion,
}

/// What may still be told of a site, in all its texts.
struct Left {
    places: Cell<usize>,
    aliases: AliasesLeft,
}

/// What stands at `places`.
pub(super) fn read(
    places: &[Place],
    scan: &Scan<'_>,
    ask: Ask<'_>,
) -> Result<Vec<Standing>, Fault> {
    let left = Left {
        places: Cell::new(PLACES_MAX),
        aliases: AliasesLeft::default(),
    };
    read_within(&left, places, scan, ask)
}

fn read_within(
    left: &Left,
    places: &[Place],
    scan: &Scan<'_>,
    ask: Ask<'_>,
) -> Result<Vec<Standing>, Fault> {
    refuse_too_many(places.len())?;
    // Of a block those in it count.
    let is_own = |place: &&Place| !matches!(place, Place::Block { .. });
    let own = places.iter().filter(is_own).count();
    let limit = PLACES_MAX;
    let fewer = left.places.get().checked_sub(own);
    left.places
        .set(fewer.ok_or(Cause::TooManyPlaces { limit })?);
    let mut whereabouts = Whereabouts::new(scan, &left.aliases);
    let mut standings = Vec::new();
    for place in places {
        match place {
            Place::One(slot, shape) => standings.push(slot.standing(&mut whereabouts, shape)?),
            Place::Two { tag, digest } => {
                let standing = tag.standing(&mut whereabouts, &Shape::Tag)?;
                let digest = Some(text_at(scan, *digest)?.to_owned());
                standings.push(Standing {
                    digest: digest.filter(|text| !text.is_empty()).or(standing.digest),
                    ..standing
                });
            }
            Place::Block { block, lookup } => {
                let (inner, above) = scan.inner(*block)?;
                let reach = Reach::default();
                let found = helm::places_in(
                    &inner,
                    lookup,
                    Ask {
                        reach: &reach,
                        ..ask
                    },
                )
                .and_then(|places| {
                    read_within(
                        left,
                        &places,
                        &inner,
                        Ask {
                            reach: &reach,
                            ..ask
                        },
                    )
                })
                .map_err(|fault| fault.in_block(above))?;
                let outer = whereabouts.path_to(*block);
                standings.extend(found.into_iter().map(|standing| Standing {
                    line: standing.line + above,
                    path: match (&outer, standing.path) {
                        (Some(outer), Some(path)) => Some(outer.join(&path)),
                        (outer, path) => path.or(outer.clone()),
                    },
                    ..standing
                }));
            }
        }
    }
    Ok(standings)
}

/// Drafts `version` at `places`, as `write` says.
///
/// Where a digest stands, a tag alone would change nothing that runs, so `write: tag` is refused there. A place without
/// room for a digest gets `tag@digest` in its tag, which every chart passes on as it is.
pub(super) fn write(
    places: &[Place],
    draft: &mut Draft<'_, '_>,
    ask: Ask<'_>,
    (version, write): (&Version, Write),
) -> Result<(), Fault> {
    refuse_too_many(places.len())?;
    let scan = draft.scan();
    for place in places {
        match place {
            Place::One(slot, shape) => slot.write(draft, shape, (version, write))?,
            Place::Two { tag, digest } => {
                let stands = !text_at(scan, *digest)?.is_empty();
                match write {
                    Write::Tag if stands => {
                        return Err(Fault::at(scan.line(*digest), Cause::DigestStands));
                    }
                    Write::Tag => tag.write(draft, &Shape::Tag, (version, Write::Tag))?,
                    Write::Digest | Write::TagAndDigest => {
                        draft.set(*digest, known_digest(version)?)?;
                        // A digest beside the old tag goes: it has a place of its own.
                        tag.write(draft, &Shape::BareTag, (version, Write::Tag))?;
                    }
                }
            }
            Place::Block { block, lookup } => {
                let (inner, above) = scan.inner(*block)?;
                let reach = Reach::default();
                let ask = Ask {
                    reach: &reach,
                    ..ask
                };
                let text = edited(&inner, |draft| {
                    let places = helm::places_in(draft.scan(), lookup, ask)?;
                    self::write(&places, draft, ask, (version, write))
                });
                let text = text.map_err(|fault: Fault| fault.in_block(above))?;
                draft.set_text(*block, &text)?;
            }
        }
    }
    Ok(())
}

/// Refuses a site of so many places that nobody would review them.
pub(super) fn refuse_too_many(count: usize) -> Result<(), Cause> {
    let limit = PLACES_MAX;
    match count > limit {
        true => Err(Cause::TooManyPlaces { limit }),
        false => Ok(()),
    }
}

/// What a place says; null says nothing.
fn text_at<'s>(scan: &'s Scan<'_>, node: NodeId) -> Result<&'s str, Refusal> {
    let text = scan.editable(node)?;
    Ok(if scan.is_null(node) { "" } else { text })
}

impl Slot {
    fn standing(
        &self,
        whereabouts: &mut Whereabouts<'_, '_>,
        shape: &Shape,
    ) -> Result<Standing, Fault> {
        let scan = whereabouts.scan();
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        match self {
            Self::Standing(node) | Self::Parameter(node) => {
                let (tag, digest) = shape.split(text_at(scan, *node)?);
                Ok(Standing {
                    tag: owned(tag).map(|tag| shape.tag(tag)),
                    digest: owned(digest),
                    line: scan.line(*node),
                    path: whereabouts.path_to(*node),
                    shared: whereabouts.shared(*node, &[])?,
                })
            }
            Self::Missing(Missing {
                map,
                after,
                key,
                merged,
            }) => {
                let text = merged
                    .and_then(|node| scan.scalar(node))
                    .unwrap_or_default();
                let (tag, digest) = shape.split(text);
                let own = Path::of(vec![Step::Key((*key).to_owned())]);
                Ok(Standing {
                    tag: owned(tag),
                    digest: owned(digest),
                    line: scan.line(after.unwrap_or(*map)),
                    path: whereabouts.path_to(*map).map(|path| path.key(key)).or(own),
                    shared: whereabouts.shared(*map, &[Step::Key((*key).to_owned())])?,
                })
            }
            Self::MissingParameter { list, name } => {
                let below = [
                    Step::Item {
                        key: "name".to_owned(),
                        value: name.clone(),
                    },
                    Step::Key("value".to_owned()),
                ];
                let own = Path::of(below.to_vec());
                Ok(Standing {
                    tag: None,
                    digest: None,
                    line: scan.line(*list),
                    path: match (whereabouts.path_to(*list), own) {
                        (Some(list), Some(own)) => Some(list.join(&own)),
                        (list, own) => own.or(list),
                    },
                    shared: whereabouts.shared(*list, &below)?,
                })
            }
        }
    }

    fn write(
        &self,
        draft: &mut Draft<'_, '_>,
        shape: &Shape,
        wanted: (&Version, Write),
    ) -> Result<(), Fault> {
        let scan = draft.scan();
        match self {
            Self::Standing(node) => {
                let new = shape
                    .with(text_at(scan, *node)?, wanted)
                    .map_err(|cause| Fault::at(scan.line(*node), cause))?;
                draft.set(*node, &new)?;
            }
            Self::Parameter(node) => {
                let new = shape.with(scan.editable(*node)?, wanted);
                let new = new.and_then(text_of_parameter);
                let new = new.map_err(|cause| Fault::at(scan.line(*node), cause))?;
                draft.set(*node, &new)?;
            }
            Self::MissingParameter { list, name } => {
                let new = shape.with("", wanted).and_then(text_of_parameter);
                let new = new.map_err(|cause| Fault::at(scan.line(*list), cause))?;
                let pair = |key: &str, value: String| (key.to_owned(), New::Scalar(value));
                let item = vec![pair("name", name.clone()), pair("value", new)];
                draft.append(*list, &New::Map(item))?;
            }
            Self::Missing(Missing {
                map,
                after,
                key,
                merged,
            }) => {
                let old = merged
                    .and_then(|node| scan.scalar(node))
                    .unwrap_or_default();
                let new = shape
                    .with(old, wanted)
                    .map_err(|cause| Fault::at(scan.line(*map), cause))?;
                if merged.is_none() || new != old {
                    draft.insert(*map, *after, &[((*key).to_owned(), New::Scalar(new))])?;
                }
            }
        }
        Ok(())
    }
}

impl Shape {
    /// What a text that says `value` holds, if it belongs to `image`.
    pub(super) fn of(value: &str, image: &Repository) -> Result<Self, Cause> {
        let (rest, _) = split_digest(value);
        let (name, tag) = split_tag(rest);
        if is_image(name, image) {
            let name = name.to_owned();
            return Ok(Self::Reference { name });
        }
        if value.parse::<Digest>().is_ok() {
            return Ok(Self::Digest);
        }
        match tag.is_some() || name.contains('/') {
            true => Err(Cause::OtherImage {
                found: name.to_owned(),
                image: image.clone(),
            }),
            false => Ok(Self::Tag),
        }
    }

    /// The tag and the digest of a text that says `value`.
    fn split<'v>(&self, value: &'v str) -> (Option<&'v str>, Option<&'v str>) {
        let (rest, digest) = split_digest(value);
        match self {
            Self::Tag | Self::TagAlone | Self::ChartVersion => (Some(rest), digest),
            Self::BareTag => (Some(rest), None),
            Self::Digest => (None, Some(value)),
            Self::Reference { name } => {
                let tag = rest.strip_prefix(name.as_str());
                (tag.and_then(|tag| tag.strip_prefix(':')), digest)
            }
        }
    }

    /// A tag as the registry has it, of which `tag` stands in the text.
    fn tag(&self, tag: String) -> String {
        match self {
            Self::ChartVersion => tag.replace('+', "_"),
            Self::Tag | Self::BareTag | Self::TagAlone | Self::Digest | Self::Reference { .. } => {
                tag
            }
        }
    }

    /// What the text says with the version.
    fn with(&self, old: &str, (version, write): (&Version, Write)) -> Result<String, Cause> {
        let (old_tag, old_digest) = self.split(old);
        let tag = version.tag.as_str();
        if write == Write::Tag && old_digest.is_some_and(|digest| !digest.is_empty()) {
            return Err(Cause::DigestStands);
        }
        let digest = || known_digest(version);
        Ok(match (self, write) {
            (Self::Tag | Self::TagAlone, Write::Tag) | (Self::BareTag, _) => tag.to_owned(),
            (Self::Tag, Write::Digest | Write::TagAndDigest) => format!("{tag}@{}", digest()?),
            (Self::TagAlone, Write::Digest | Write::TagAndDigest) => return Err(Cause::TagAlone),
            (Self::Digest, Write::Tag) => return Err(Cause::DigestStands),
            (Self::Digest, Write::Digest | Write::TagAndDigest) => digest()?.to_owned(),
            (Self::Reference { name }, Write::Tag) => format!("{name}:{tag}"),
            (Self::Reference { name }, Write::Digest) if old_tag.is_none() => {
                format!("{name}@{}", digest()?)
            }
            (Self::Reference { name }, Write::Digest | Write::TagAndDigest) => {
                format!("{name}:{tag}@{}", digest()?)
            }
            (Self::ChartVersion, Write::Tag) if chart::is_version(tag) => tag.replace('_', "+"),
            (Self::ChartVersion, Write::Tag) => {
                let tag = tag.to_owned();
                return Err(Cause::NoChartVersion { tag });
            }
            (Self::ChartVersion, Write::Digest | Write::TagAndDigest) => {
                return Err(Cause::ChartDigest);
            }
        })
    }
}

/// The value of a parameter, unless Helm would read something else than a text.
///
/// Seen of `helm --set` 3: the words in any case, and numbers that a signed word of 64 bits holds, but for those with
/// leading zeros.
fn text_of_parameter(value: String) -> Result<String, Cause> {
    let is_word = ["true", "false", "null"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word));
    let is_number = value == "0" || !value.starts_with('0') && value.parse::<i64>().is_ok();
    match is_word || is_number {
        true => Err(Cause::NotText { value }),
        false => Ok(value),
    }
}
