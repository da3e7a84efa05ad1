//! Helm values, and any other scalar: a version at a path.
//!
//! Not here: `images:` of kustomizations.
//! Invariant: a place that names another image than the policy's is refused.

use super::{Cause, Fault, Standing, Version, Write};
use crate::edit::{Draft, New, NodeId, Path, Reason, Refusal, Scan};
use crate::image::{Digest, Repository};

/// What kind of place may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A map of a chart's values, or a scalar.
    MapOrScalar,
    /// A scalar only.
    Scalar,
}

/// Where the version stands.
enum Place {
    Map(Map),
    /// One scalar.
    Scalar(NodeId, Shape),
}

/// A chart's map for one image.
struct Map {
    node: NodeId,
    /// The key of `repository` or `name`, or else the last key, after which a tag is added.
    after: Option<NodeId>,
    tag: Option<(NodeId, Shape)>,
    digest: Option<NodeId>,
}

/// What a scalar holds.
enum Shape {
    /// `v1`, `v1@sha256:…`, or nothing yet.
    Tag,
    /// `sha256:…`
    Digest,
    /// `ghcr.io/acme/web:v1`, with the name as it is spelled.
    Reference { name: String },
}

/// What stands at `at` in `text`.
pub(super) fn read(
    text: &str,
    (at, form): (&Path, Form),
    image: &Repository,
) -> Result<Standing, Fault> {
    let scan = Scan::new(text)?;
    let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let standing = |node: NodeId, shape: &Shape| -> Result<Standing, Fault> {
        let (tag, digest) = shape.split(scan.editable(node)?);
        Ok(Standing {
            tag: owned(tag),
            digest: owned(digest),
            line: scan.line(node),
        })
    };
    match place(&scan, at, form, image)? {
        Place::Scalar(node, shape) => standing(node, &shape),
        Place::Map(map) => {
            let digest = map.digest.map(|node| scan.editable(node)).transpose()?;
            let standing = match &map.tag {
                Some((node, shape)) => standing(*node, shape)?,
                None => Standing {
                    tag: None,
                    digest: None,
                    line: scan.line(map.after.unwrap_or(map.node)),
                },
            };
            Ok(Standing {
                digest: owned(digest).or(standing.digest),
                ..standing
            })
        }
    }
}

/// The text with `version` at `at`, as `write` says.
///
/// Where a digest stands, a tag alone would change nothing that runs, so `write: tag` is refused there. A map without
/// a `digest` key gets `tag@digest` in its tag, which every chart passes on as it is.
pub(super) fn write(
    text: &str,
    (at, form): (&Path, Form),
    image: &Repository,
    (version, write): (&Version, Write),
) -> Result<String, Fault> {
    let scan = Scan::new(text)?;
    let mut draft = Draft::new(&scan);
    match place(&scan, at, form, image)? {
        Place::Scalar(node, shape) => {
            let new = shape
                .with(scan.editable(node)?, (version, write))
                .map_err(|cause| {
                    let line = Some(scan.line(node));
                    Fault { line, cause }
                })?;
            draft.set(node, &new)?;
        }
        Place::Map(map) => map.write(&scan, &mut draft, (version, write))?,
    }
    Ok(draft.finish()?)
}

fn place(scan: &Scan<'_>, at: &Path, form: Form, image: &Repository) -> Result<Place, Fault> {
    let node = scan.find_in_one(at).map_err(|miss| *miss.refusal)?;
    if scan.is_mapping(node) && form == Form::MapOrScalar {
        return Ok(Place::Map(Map::of(scan, node, image)?));
    }
    let value = scan.editable(node)?;
    let line = Some(scan.line(node));
    let mut shape = Shape::of(value, image).map_err(|cause| Fault { line, cause })?;
    // An empty value has no form of its own; the key's name tells.
    if value.is_empty() && at.last_key() == Some("digest") {
        shape = Shape::Digest;
    }
    Ok(Place::Scalar(node, shape))
}

impl Map {
    fn of(scan: &Scan<'_>, node: NodeId, image: &Repository) -> Result<Self, Fault> {
        let pair = |key: &str| scan.pair(node, key);
        let either = |first: &str, second: &str| -> Result<_, Refusal> {
            Ok(pair(first)?.or(pair(second)?))
        };
        let repository = either("repository", "name")?;
        let registry = pair("registry")?;
        let tag = either("tag", "version")?;
        if let Some((key, value)) = repository {
            let joined = joined(scan, registry.map(|(_, value)| value), value);
            if !joined.is_empty() && joined.parse().ok().as_ref() != Some(image) {
                let cause = Cause::OtherImage {
                    found: joined,
                    image: image.clone(),
                };
                return Err(Fault {
                    line: Some(scan.line(key)),
                    cause,
                });
            }
        }
        let is_merged = pair("<<")?;
        if let (None, Some((merge, _))) = (tag, is_merged) {
            let line = Some(scan.line(merge));
            return Err(Fault {
                line,
                cause: Cause::Edit(Reason::BehindAlias),
            });
        }
        if tag.is_none() && repository.is_none() {
            return Err(Fault {
                line: Some(scan.line(node)),
                cause: Cause::NotAnImageMap,
            });
        }
        Ok(Self {
            node,
            after: repository.map(|(key, _)| key),
            tag: tag.map(|(_, value)| (value, Shape::Tag)),
            digest: pair("digest")?.map(|(_, value)| value),
        })
    }

    fn write(
        &self,
        scan: &Scan<'_>,
        draft: &mut Draft<'_, '_>,
        (version, write): (&Version, Write),
    ) -> Result<(), Fault> {
        let Self {
            node,
            after,
            tag,
            digest,
        } = self;
        if let Some(digest) = *digest {
            let stands = !scan.editable(digest)?.is_empty();
            match write {
                Write::Tag if stands => {
                    let line = Some(scan.line(digest));
                    return Err(Fault {
                        line,
                        cause: Cause::DigestStands,
                    });
                }
                Write::Tag => {}
                Write::Digest | Write::TagAndDigest => {
                    draft.set(digest, super::known_digest(version)?)?;
                }
            }
        }
        let write = match digest {
            Some(_) => Write::Tag,
            None => write,
        };
        let fault = |node: NodeId| {
            move |cause| Fault {
                line: Some(scan.line(node)),
                cause,
            }
        };
        match tag {
            Some((value, shape)) => {
                let new = shape
                    .with(scan.editable(*value)?, (version, write))
                    .map_err(fault(*value))?;
                draft.set(*value, &new)?;
            }
            None => {
                let new = Shape::Tag
                    .with("", (version, write))
                    .map_err(fault(*node))?;
                draft.insert(*node, *after, &[("tag".to_owned(), New::Scalar(new))])?;
            }
        }
        Ok(())
    }
}

/// The repository that a map writes, its registry joined.
fn joined(scan: &Scan<'_>, registry: Option<NodeId>, repository: NodeId) -> String {
    let repository = scan.scalar(repository).unwrap_or_default();
    let registry = registry
        .and_then(|node| scan.scalar(node))
        .unwrap_or_default();
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

impl Shape {
    /// What a scalar that says `value` holds, if it belongs to `image`.
    fn of(value: &str, image: &Repository) -> Result<Self, Cause> {
        let (rest, _) = super::split_digest(value);
        let (name, tag) = super::split_tag(rest);
        if name.parse().ok().as_ref() == Some(image) {
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

    /// The tag and the digest of a scalar that says `value`.
    fn split<'v>(&self, value: &'v str) -> (Option<&'v str>, Option<&'v str>) {
        let (rest, digest) = super::split_digest(value);
        match self {
            Self::Tag => (Some(rest), digest),
            Self::Digest => (None, Some(value)),
            Self::Reference { .. } => (super::split_tag(rest).1, digest),
        }
    }

    /// What the scalar says with the version.
    fn with(&self, old: &str, (version, write): (&Version, Write)) -> Result<String, Cause> {
        let (old_tag, old_digest) = self.split(old);
        let tag = version.tag.as_str();
        if write == Write::Tag && old_digest.is_some_and(|digest| !digest.is_empty()) {
            return Err(Cause::DigestStands);
        }
        let digest = || super::known_digest(version);
        Ok(match (self, write) {
            (Self::Tag, Write::Tag) => tag.to_owned(),
            (Self::Tag, Write::Digest | Write::TagAndDigest) => format!("{tag}@{}", digest()?),
            (Self::Digest, Write::Tag) => return Err(Cause::DigestStands),
            (Self::Digest, Write::Digest | Write::TagAndDigest) => digest()?.to_owned(),
            (Self::Reference { name }, Write::Tag) => format!("{name}:{tag}"),
            (Self::Reference { name }, Write::Digest) if old_tag.is_none() => {
                format!("{name}@{}", digest()?)
            }
            (Self::Reference { name }, Write::Digest | Write::TagAndDigest) => {
                format!("{name}:{tag}@{}", digest()?)
            }
        })
    }
}
