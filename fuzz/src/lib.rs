//! The core rooms that are fuzzed, built from their sources: without git, TLS and HTTP a target is built in a minute.
//!
//! Not here: what is checked (`properties` of each room).
//! Invariant: only rooms that use nothing but each other.
#![cfg(fuzzing)]
#![expect(
    dead_code,
    unused_imports,
    reason = "the program uses the rest of these rooms"
)]

#[path = "../../src/edit/mod.rs"]
mod edit;
#[path = "../../src/image/mod.rs"]
mod image;
#[path = "../../src/manifest/mod.rs"]
mod manifest;

/// Checks one edit of a value.
pub fn edit(input: &[u8]) {
    edit::properties::check(input);
}

/// Checks one image that is set in a kustomization.
pub fn kustomization(input: &[u8]) {
    manifest::properties::check(input);
}
