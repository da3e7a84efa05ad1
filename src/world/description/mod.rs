//! What a version of an image says of itself. Whoever built it wrote that, so it is shown; only its platforms decide, where a policy asks for some.

pub(super) mod saved;

use jiff::Timestamp;

/// What one digest says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) created: Option<Timestamp>,
    /// `linux/amd64`, `linux/arm/v7`.
    pub(crate) platforms: Vec<String>,
    pub(crate) labels: Labels,
}

/// The labels that tell where an image comes from, as <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
/// names them: `org.opencontainers.image.source`, and so on. What a base image says stays where nobody says something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) source: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) url: Option<String>,
}
