//! What was found of signatures and attestations when somebody asked. A yes stays: what was signed once stays signed. A no does not,
//! since an image is signed after it was pushed.

pub(super) mod saved;

use std::collections::BTreeMap;

use super::Fact;
use crate::policy::gate::{ClaimName, Vouched};

/// What became of the claims about one digest.
pub(crate) type Claims = BTreeMap<ClaimName, Fact<Vouched>>;
