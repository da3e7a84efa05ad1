//! The part of a world file that is about what images say of themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Description, Labels};
use crate::image::Digest;
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

/// By their digests.
pub(in crate::world) type SavedDescriptions = BTreeMap<String, SavedDescription>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedDescription {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

pub(in crate::world) fn save(described: &BTreeMap<Digest, Fact<Description>>) -> SavedDescriptions {
    let saved = described.iter();
    saved
        .map(|(digest, fact)| (digest.to_string(), save_one(fact)))
        .collect()
}

pub(in crate::world) fn load(
    saved: SavedDescriptions,
) -> Result<BTreeMap<Digest, Fact<Description>>, LoadWorldError> {
    let described = saved.into_iter();
    described
        .map(|(digest, saved)| Ok((parse(&digest, "a digest")?, load_one(saved)?)))
        .collect()
}

fn save_one(fact: &Fact<Description>) -> SavedDescription {
    let (unknown, description) = match fact {
        Fact::Known(description) => (None, description.clone()),
        Fact::Unknown { why } => (Some(why.clone()), Description::default()),
    };
    let Description {
        created,
        platforms,
        labels:
            Labels {
                source,
                revision,
                version,
                url,
            },
    } = description;
    SavedDescription {
        unknown,
        created: created.map(|created| created.to_string()),
        platforms,
        source,
        revision,
        version,
        url,
    }
}

fn load_one(saved: SavedDescription) -> Result<Fact<Description>, LoadWorldError> {
    let SavedDescription {
        unknown,
        created,
        platforms,
        source,
        revision,
        version,
        url,
    } = saved;
    if let Some(why) = unknown {
        return Ok(Fact::Unknown { why });
    }
    let created = created
        .map(|created| parse(&created, "a time"))
        .transpose()?;
    Ok(Fact::Known(Description {
        created,
        platforms,
        labels: Labels {
            source,
            revision,
            version,
            url,
        },
    }))
}
