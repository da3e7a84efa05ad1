//! Byte-faithful edits of YAML: scan, locate, write one scalar. Knows no images.

mod path;

pub(crate) use path::{ParsePathError, Path};
