//! The part of a world file that is about the ancestry of commits.

use serde::{Deserialize, Serialize};

use super::Ancestry;
use crate::world::Fact;
use crate::world::saved::{LoadWorldError, parse};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedAncestry {
    repository: String,
    ancestor: String,
    descendant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    holds: bool,
}

pub(in crate::world) fn save(ancestry: &Ancestry, fact: &Fact<bool>) -> SavedAncestry {
    let Ancestry {
        repository,
        ancestor,
        descendant,
    } = ancestry;
    let (unknown, holds) = match fact {
        Fact::Unknown { why } => (Some(why.clone()), false),
        Fact::Known(holds) => (None, *holds),
    };
    SavedAncestry {
        repository: repository.to_string(),
        ancestor: ancestor.to_string(),
        descendant: descendant.to_string(),
        unknown,
        holds,
    }
}

pub(in crate::world) fn load(
    saved: SavedAncestry,
) -> Result<(Ancestry, Fact<bool>), LoadWorldError> {
    let ancestry = Ancestry {
        repository: parse(&saved.repository, "a name")?,
        ancestor: parse(&saved.ancestor, "a commit")?,
        descendant: parse(&saved.descendant, "a commit")?,
    };
    let fact = match saved.unknown {
        Some(why) => Fact::Unknown { why },
        None => Fact::Known(saved.holds),
    };
    Ok((ancestry, fact))
}
