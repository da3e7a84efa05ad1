//! The words of promotion commits.

use std::fmt;
use std::str::FromStr;

use crate::ledger::{Moved, Promotion};

/// Longest subject before the list of changes is cut: what forges show of it in one line, generously.
const SUBJECT_LENGTH_MAX: usize = 120;

/// The placeholders of a subject template.
const PLACEHOLDERS: [&str; 3] = ["{policy}", "{environment}", "{changes}"];

/// How the subject of a promotion commit is written: `promote {policy} to {environment}: {changes}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubjectTemplate(String); // Invariant: one line; the only braces are placeholders.

/// Why a text is not a subject template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{template}` is not a subject: one line, with `{{policy}}`, `{{environment}}` and `{{changes}}` as its only braces"
)]
pub(crate) struct ParseSubjectTemplateError {
    template: String,
}

impl FromStr for SubjectTemplate {
    type Err = ParseSubjectTemplateError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let literal = PLACEHOLDERS.iter().fold(s.to_owned(), |text, placeholder| {
            text.replace(placeholder, "")
        });
        if s.trim().is_empty() || s.contains(char::is_control) || literal.contains(['{', '}']) {
            return Err(ParseSubjectTemplateError {
                template: s.to_owned(),
            });
        }
        Ok(Self(s.to_owned()))
    }
}

impl Default for SubjectTemplate {
    fn default() -> Self {
        Self("promote {policy} to {environment}: {changes}".to_owned())
    }
}

impl fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole message of the commit that makes `promotion`.
pub(super) fn message(template: &SubjectTemplate, promotion: &Promotion) -> String {
    let changes: Vec<String> = promotion
        .images
        .iter()
        .map(|(image, moved)| {
            let Moved {
                tag,
                digest,
                replaced,
                ..
            } = moved;
            let to = match digest {
                // A moving tag says nothing; its digest does.
                Some(digest) if replaced.as_deref() == Some(tag.as_str()) => {
                    digest.short().to_owned()
                }
                _ => tag.to_string(),
            };
            match replaced {
                Some(from) => format!("{image} {from} -> {to}"),
                None => format!("{image} {to}"),
            }
        })
        .collect();
    let subject = |changes: &str| {
        template
            .0
            .replace("{policy}", promotion.policy.as_str())
            .replace("{environment}", promotion.environment.as_str())
            .replace("{changes}", changes)
    };
    let listed = changes.join(", ");
    let trailers = promotion.trailers();
    match subject(&listed) {
        whole if whole.len() <= SUBJECT_LENGTH_MAX || changes.len() == 1 => {
            format!("{whole}\n\n{trailers}")
        }
        _ => {
            let cut = subject(&format!("{} images", changes.len()));
            format!("{cut}\n\n{}\n\n{trailers}", changes.join("\n"))
        }
    }
}
