//! The words of promotion commits.

use std::fmt;
use std::str::FromStr;

use crate::image::Digest;
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
        .map(|(image, moved)| format!("{image} {}", change(moved)))
        .collect();
    let subject = |changes: &str| {
        template
            .0
            .replace("{policy}", promotion.policy.as_str())
            .replace("{environment}", promotion.environment.as_str())
            .replace("{changes}", changes)
    };
    let whole = subject(&changes.join(", "));
    let trailers = promotion.trailers();
    if whole.len() <= SUBJECT_LENGTH_MAX || changes.len() == 1 {
        return format!("{whole}\n\n{trailers}");
    }
    let cut = subject(&format!("{} images", changes.len()));
    format!("{cut}\n\n{}\n\n{trailers}", changes.join("\n"))
}

/// `v1.4.2 -> v1.5.0`. Where the tag stays or only a digest stood there, the digests tell the change.
fn change(moved: &Moved) -> String {
    let Moved {
        repository: _,
        tag,
        digest,
        replaced,
    } = moved;
    match (replaced, digest) {
        (None, _) => tag.to_string(),
        (Some(from), Some(digest)) if from == tag.as_str() || from.parse::<Digest>().is_ok() => {
            format!("{} -> {}", short(from), digest.short())
        }
        (Some(from), _) => format!("{from} -> {tag}"),
    }
}

/// A text as it stands at a site, a digest in its short form.
pub(crate) fn short(text: &str) -> &str {
    match text.parse::<Digest>() {
        // The short form is a prefix of the whole.
        Ok(digest) => &text[..digest.short().len()],
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{SubjectTemplate, message};
    use crate::ledger::{Moved, Promotion};

    fn promotion(images: &[(&str, Option<&str>)]) -> Promotion {
        let moved = |(tag, replaced): &(&str, Option<&str>)| Moved {
            repository: "ghcr.io/acme/web".parse().unwrap(),
            tag: tag.parse().unwrap(),
            digest: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
            replaced: replaced.map(str::to_owned),
        };
        let named = images.iter().enumerate();
        Promotion {
            policy: "portal".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            images: named
                .map(|(n, image)| (format!("web-{n}").parse().unwrap(), moved(image)))
                .collect(),
        }
    }

    fn subject(images: &[(&str, Option<&str>)]) -> String {
        message(&SubjectTemplate::default(), &promotion(images))
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_subject_says_what_changes_in_the_words_that_tell_it() {
        let old = format!("sha256:{}", "cd".repeat(32));
        insta::assert_snapshot!(subject(&[("v2", Some("v1"))]), @"promote portal to dev: web-0 v1 -> v2");
        insta::assert_snapshot!(subject(&[("v2", None)]), @"promote portal to dev: web-0 v2");
        insta::assert_snapshot!(subject(&[("latest", Some("latest"))]), @"promote portal to dev: web-0 latest -> sha256:abababababab");
        insta::assert_snapshot!(subject(&[("latest", Some(&old))]), @"promote portal to dev: web-0 sha256:cdcdcdcdcdcd -> sha256:abababababab");
    }

    #[test]
    fn many_images_move_to_the_body_and_stay_out_of_the_trailers() {
        let images = vec![("develop-20-1b2c3d4", Some("develop-19-0a1b2c3")); 4];
        let text = message(&SubjectTemplate::default(), &promotion(&images));
        assert!(text.starts_with("promote portal to dev: 4 images\n\nweb-0 develop-19-0a1b2c3 -> develop-20-1b2c3d4\nweb-1 "), "{text}");
        assert_eq!(Promotion::read(&text), Some(promotion(&images)));
    }

    #[test]
    fn a_template_with_another_brace_is_refused() {
        assert!("promote {policy}".parse::<SubjectTemplate>().is_ok());
        for bad in ["", "{polcy}", "a\nb", "{"] {
            assert!(bad.parse::<SubjectTemplate>().is_err(), "{bad:?}");
        }
    }
}
