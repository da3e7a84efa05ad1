//! Markers: the comments by which Flux knows what to update.
//!
//! Not here: reading and writing the places (`place`).

use super::place::Place;
use super::{Ask, Fault};
use crate::edit::Scan;

/// The places of the image; at least one.
pub(super) fn places(_scan: &Scan<'_>, _policy: &str, _ask: Ask<'_>) -> Result<Vec<Place>, Fault> {
    Ok(Vec::new())
}
