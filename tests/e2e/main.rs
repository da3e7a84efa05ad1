//! The binary from end to end: real git repositories, registries on loopback, and what people would see.

mod daemon;
mod faults;
mod lab;
mod one_round;
mod verbs;
