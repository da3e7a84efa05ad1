//! When tags were pushed: the part of a world file. The facts are in `mod`.

pub(super) mod saved;
