//! towpath: a GitOps image-promotion daemon. This file names the rooms of the program by kind.
//!
//! Read the world, decide, write the world. Facts become a `World`; a pure function makes a `Plan` with
//! reasons; `apply` carries it out with test-and-set writes. The order to read the rooms in, and which room may
//! use which, is the table in `docs/architecture.md`; `tests/architecture.rs` holds it.

// Core: plain functions over plain data; no async, no I/O, no clock.

// What an image is called.
mod image;

// Bytes in, bytes out: one value in YAML.
mod edit;

// Where the version of an image stands.
mod manifest;

// How images move, and which tag is the newest.
mod policy;

// What git history says of promotions.
mod ledger;

// The facts of one round.
mod world;

// Facts to decisions with reasons, decisions to commits.
mod plan;

// Edges: one foreign system each; nouns out.

// Where secrets are kept.
mod secret;

// Where registries' logins come from.
mod login;

// What Argo CD made of it.
mod cluster;

// Which signatures are genuine.
mod verify;
// What other servers say of a version.
mod probe;

// What people write.
mod config;

// What registries say.
mod registry;

// What repositories hold, and pushes.
mod git;

// Pull requests.
mod forge;

// What manifests render to.
mod render;

// Shell: puts edges and core together.

// The latest readings.
mod observe;

// Plans carried out.
mod apply;

// Health, metrics and status.
mod web;

// The loop.
mod daemon;

// The demonstration.
mod demo;

// The verbs.
mod cli;

pub use cli::main;
pub use demo::registry as demo_registry;
#[cfg(feature = "figures")]
pub use plan::figures;
