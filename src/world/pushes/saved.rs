//! The part of a world file that is about push times; the times themselves stand at the tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::policy::select::PushUse;
use crate::world::{Fact, Pushes};

/// What becomes of push times; the times themselves stand at the tags.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::world) struct SavedPushes {
    order: SavedPushUse,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    not_asked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedPushUse {
    ByDefault,
    OnRequest,
}

pub(in crate::world) fn save(Pushes { of_use, times }: &Pushes) -> SavedPushes {
    SavedPushes {
        order: match of_use {
            PushUse::ByDefault => SavedPushUse::ByDefault,
            PushUse::OnRequest => SavedPushUse::OnRequest,
        },
        not_asked: times.is_none(),
        unknown: match times {
            Some(Fact::Unknown { why }) => Some(why.clone()),
            Some(Fact::Known(_)) | None => None,
        },
    }
}

pub(in crate::world) fn load(saved: SavedPushes, times: BTreeMap<Tag, Timestamp>) -> Pushes {
    let SavedPushes {
        order,
        not_asked,
        unknown,
    } = saved;
    Pushes {
        of_use: match order {
            SavedPushUse::ByDefault => PushUse::ByDefault,
            SavedPushUse::OnRequest => PushUse::OnRequest,
        },
        times: match (not_asked, unknown) {
            (true, _) => None,
            (false, Some(why)) => Some(Fact::Unknown { why }),
            (false, None) => Some(Fact::Known(Arc::new(times))),
        },
    }
}
