//! What `towpath demo` and the tests share: servers that live in memory.

pub mod registry;
