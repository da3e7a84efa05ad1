//! The binary from end to end: real git repositories, registries on loopback, and what people would see.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod approvals;
mod charts;
mod commits;
mod custom_resources;
mod daemon;
mod doctor;
mod events;
mod faults;
mod fleets;
mod hard_times;
mod health;
mod history;
mod holds;
mod lab;
mod leadership;
mod manifests;
mod one_round;
mod proposals;
mod pushing;
mod real_servers;
mod registry_faults;
mod registry_verb;
mod secrets;
mod signatures;
mod steady;
#[cfg(feature = "otel")]
mod traces;
mod verbs;
mod whole_story;
mod words;
