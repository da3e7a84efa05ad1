//! The words of promotion commits.

use crate::image::Digest;
use crate::ledger::{Moved, Promotion};
use crate::policy::SubjectTemplate;

/// Longest subject before the list of changes is cut: what forges show of it in one line, generously.
const SUBJECT_LENGTH_MAX: usize = 120;

/// The whole message of the commit that makes `promotion`.
pub(super) fn message(template: &SubjectTemplate, promotion: &Promotion) -> String {
    let changes: Vec<String> = promotion
        .images
        .iter()
        .map(|(image, moved)| format!("{image} {}", change(moved)))
        .collect();
    let subject = |changes: &str| template.fill(&promotion.policy, &promotion.environment, changes);
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
}
