//! What an image is called: repositories, references, tags, digests, and versions that compare.
//!
//! Not here: which tags a policy wants (`policy/select`) and where images stand in files (`manifest`).
//! Invariant: a value of these types is valid by the grammar of the OCI distribution specification.

mod digest;
mod reference;
mod tag;
pub(crate) mod version;

pub(crate) use digest::Digest;
pub(crate) use reference::{Reference, Repository};
pub(crate) use tag::{ParseTagError, Tag};
