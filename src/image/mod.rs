//! What an image is called: repositories, references, tags, digests, versions that compare, and whose registry a host is.
//!
//! Not here: which tags a policy wants (`policy/select`) and where images stand in files (`manifest`).
//! Invariant: a value of these types is valid by the grammar of the OCI distribution specification.

mod attached;
mod digest;
mod kind;
mod reference;
mod tag;
pub(crate) mod version;

pub(crate) use attached::{Attached, Layer, Proof};
pub(crate) use digest::Digest;
pub(crate) use kind::RegistryKind;
pub(crate) use reference::{Reference, Repository};
pub(crate) use tag::{ParseTagError, Tag};
