//! Google Artifact Registry and `gcr.io`: `tags/list` itself tells when each image was uploaded, and lists all at once.
//!
//! A tag that is moved to an image that was there before keeps that image's time; the registry tells no other.
//! <https://github.com/google/go-containerregistry/blob/main/pkg/v1/google/list.go>

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::collect;
use super::wire::{GoogleManifest, GooglePage};
use crate::image::{Repository, Tag};
use crate::registry::Listing;
use crate::registry::error::RegistryError;
use crate::registry::http::Answer;

/// What a page of a listing tells of push times; nothing where it has none of Google's fields.
pub(in crate::registry) fn uploaded(answer: &Answer) -> BTreeMap<Tag, Timestamp> {
    let page: Option<GooglePage> = serde_json::from_slice(&answer.body).ok();
    let manifests = page.into_iter().flat_map(|page| page.manifest);
    let told = manifests.flat_map(|(_, manifest)| {
        let GoogleManifest {
            tag,
            time_uploaded_ms,
        } = manifest;
        let at =
            milliseconds(&time_uploaded_ms).and_then(|at| Timestamp::from_millisecond(at).ok());
        tag.into_iter().map(move |tag| (tag, at))
    });
    collect(told)
}

fn milliseconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The times that came with `listing`.
pub(super) fn told(
    repository: &Repository,
    listing: &Listing,
) -> Result<BTreeMap<Tag, Timestamp>, RegistryError> {
    match listing.uploaded.is_empty() && !listing.tags.is_empty() {
        true => Err(RegistryError::NoPushTimes {
            repository: repository.clone(),
        }),
        false => Ok(listing.uploaded.clone()),
    }
}
