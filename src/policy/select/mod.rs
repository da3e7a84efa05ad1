//! Which tags are candidates, and which of two is newer.

/// Which tags are candidates in an environment, and how they are ordered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TagRule {}
