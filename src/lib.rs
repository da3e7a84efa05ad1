//! towpath: a GitOps image-promotion daemon. This file is the map of the program, in reading order.
//!
//! Read the world, decide, write the world. Facts become a `World`; a pure function makes a `Plan` with
//! reasons; `apply` carries it out with test-and-set writes. A room imports only rooms that stand above it
//! here, and of those only what `docs/architecture.md` says; `tests/architecture.rs` holds it.

// Core: plain functions over plain data; no async, no I/O, no clock.
mod edit;
mod image;
mod ledger;
mod manifest;
mod plan;
mod policy;
mod world;

// Edges: one foreign system each; nouns out.
mod config;
mod git;
mod registry;
mod secret;

// Shell: puts edges and core together.
mod apply;
mod cli;
mod daemon;
mod demo;
mod observe;
mod web;

pub use cli::main;
pub use demo::registry as demo_registry;
