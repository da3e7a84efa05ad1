//! Templates of what pull requests say, as policies write them.

use super::shape::{Leaf, Refusal};
use crate::policy::template::{Template, TemplatePart};

/// The template of a pull request's title.
#[derive(Clone, Debug)]
pub(super) struct TitleTemplate(pub(super) Template);

/// The template of a pull request's body.
#[derive(Clone, Debug)]
pub(super) struct BodyTemplate(pub(super) Template);

impl Leaf for TitleTemplate {
    fn parse(text: &str) -> Result<Self, Refusal> {
        template(text, TemplatePart::Title).map(Self)
    }
}

impl Leaf for BodyTemplate {
    fn parse(text: &str) -> Result<Self, Refusal> {
        template(text, TemplatePart::Body).map(Self)
    }
}

fn template(text: &str, part: TemplatePart) -> Result<Template, Refusal> {
    Template::parse(text, part).map_err(|error| Refusal {
        part: Some(error.place..text.len()),
        ..Refusal::new(error.to_string())
    })
}
