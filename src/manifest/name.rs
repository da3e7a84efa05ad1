//! Names: how images and their versions are spelled in manifests.
//!
//! Not here: what a valid reference is (`image`), since manifests also hold others, and those have to be told.

use crate::image::Repository;

/// Splits `v1@sha256:…` at its `@`.
pub(super) fn split_digest(text: &str) -> (&str, Option<&str>) {
    text.split_once('@')
        .map_or((text, None), |(rest, digest)| (rest, Some(digest)))
}

/// Splits `localhost:5000/web:v1` at the colon that belongs to a tag.
pub(super) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let name = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name..].split_once(':') {
        Some((last, tag)) => (&text[..name + last.len()], Some(tag)),
        None => (text, None),
    }
}

/// Whether a text names `image`, in whichever spelling.
pub(super) fn is_image(text: &str, image: &Repository) -> bool {
    text.parse().ok().as_ref() == Some(image)
}

/// Whether a text is a whole reference to a version of `image`; a name alone may be anything.
pub(super) fn is_version_of(text: &str, image: &Repository) -> bool {
    let (rest, digest) = split_digest(text);
    let (name, tag) = split_tag(rest);
    (tag.is_some() || digest.is_some()) && is_image(name, image)
}

/// The name of a repository as people write it, Docker Hub's in short.
///
/// Kustomize compares names letter by letter, and manifests have the short ones.
pub(super) fn familiar(image: &Repository) -> String {
    match (image.registry(), image.path()) {
        ("docker.io", path) => path.strip_prefix("library/").unwrap_or(path).to_owned(),
        _ => image.to_string(),
    }
}
