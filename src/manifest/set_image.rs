//! `set image`: what a person says about an image of a kustomization, as `kustomize edit set image` takes it.
//!
//! Not here: the entries themselves (`kustomize`).
//! Invariant: a version is replaced as a whole; what the argument does not speak of stays.

use std::str::FromStr;

use super::kustomize::{Part, Wanted, apply_to_name};
use super::name::{split_digest, split_tag};
use crate::edit::{Refusal, Scan, edited};
use crate::image::Tag;

/// What `set image` is to write: `NAME=[NEWNAME][:TAG][@DIGEST]`, or the same without `NAME=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageArgument {
    name: String,
    /// The image that takes the place of `name`; what stands there is kept where it is not given.
    new_name: Option<String>,
    tag: Part<String>,
    digest: Part<String>,
}

/// Why a text is not an image argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{argument}` is not NAME=REFERENCE: {reason}")]
pub(crate) struct ParseImageArgumentError {
    argument: String,
    reason: String,
}

/// The kustomization `text` with the image as `argument` says; an entry is added if none is there.
///
/// An entry is found by `name`, letter by letter or as the same repository, or else by `newName`. The version is
/// replaced as a whole, as `kustomize edit set image` does: a tag alone takes an old digest away.
pub(crate) fn set_image(text: &str, argument: &ImageArgument) -> Result<String, Refusal> {
    let scan = Scan::new(text)?;
    edited(&scan, |draft| {
        apply_to_name(draft, &argument.name, argument.wanted())
    })
}

impl ImageArgument {
    fn wanted(&self) -> Wanted<'_> {
        fn borrowed(part: &Part<String>) -> Part<&str> {
            match part {
                Part::Keep => Part::Keep,
                Part::Drop => Part::Drop,
                Part::Set(value) => Part::Set(value),
            }
        }
        Wanted {
            new_name: self.new_name.as_deref(),
            tag: borrowed(&self.tag),
            digest: borrowed(&self.digest),
        }
    }
}

impl FromStr for ImageArgument {
    type Err = ParseImageArgumentError;

    /// Reads the forms of `kustomize edit set image`; `*` keeps what stands there.
    ///
    /// A digest is taken as it is given: this writes what a person says, and does not ask whether it exists.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refused = |reason: &str| ParseImageArgumentError {
            argument: s.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, reference) = s
            .split_once('=')
            .map_or((None, s), |(name, rest)| (Some(name), rest));
        let (rest, digest) = split_digest(reference);
        let (written, tag) = split_tag(rest);
        let name = name.unwrap_or(written);
        let is_word =
            |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '=');
        if matches!(name, "" | "*") || name.contains('@') || !is_word(name) {
            return Err(refused("the name is not one"));
        }
        if !is_word(written)
            || tag == Some("")
            || digest.is_some_and(|digest| digest.is_empty() || !is_word(digest))
        {
            return Err(refused(
                "the reference is not NEWNAME, `:` and a tag, `@` and a digest",
            ));
        }
        if let Some(tag) = tag.filter(|&tag| tag != "*") {
            tag.parse::<Tag>()
                .map_err(|error| refused(&error.to_string()))?;
        }
        let new_name = Some(written).filter(|&new| !matches!(new, "" | "*") && new != name);
        if new_name.is_none() && tag.is_none() && digest.is_none() {
            return Err(refused("it names no new image, tag or digest"));
        }
        let part = |given: Option<&str>, other: Option<&str>| match (given, other) {
            (Some("*"), _) | (None, None) => Part::Keep,
            (Some(value), _) => Part::Set(value.to_owned()),
            (None, Some(_)) => Part::Drop,
        };
        Ok(Self {
            name: name.to_owned(),
            new_name: new_name.map(str::to_owned),
            tag: part(tag, digest),
            digest: part(digest, tag),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageArgument, ParseImageArgumentError, set_image};
    use crate::edit::cases;

    fn edit(text: &str, argument: &str) -> Result<String, String> {
        let argument: ImageArgument = argument
            .parse()
            .map_err(|error: ParseImageArgumentError| error.to_string())?;
        set_image(text, &argument).map_err(|refusal| match refusal.line {
            Some(line) => format!("{line}: {refusal}"),
            None => refusal.to_string(),
        })
    }

    #[test]
    fn images_are_set_as_the_cases_say() {
        cases::check(include_str!("../../tests/edits/kustomizations.json"), edit);
        cases::check(
            include_str!("../../tests/edits/kustomizations-observed.json"),
            edit,
        );
    }
}
