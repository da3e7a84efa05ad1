//! The words of promotion commits.

use std::collections::BTreeSet;

use super::SharedPlace;
use crate::image::Digest;
use crate::ledger::{Moved, Promotion};
use crate::policy::SubjectTemplate;

/// Longest subject before the list of changes is cut: what forges show of it in one line, generously.
const SUBJECT_LENGTH_MAX: usize = 120;

/// How many places that change by an alias are named one by one: with the rest of a message, a page.
const SHARED_SHOWN_MAX: usize = 30;

/// The whole message of the commit that makes `promotions` of one environment, with which `shared` change.
pub(super) fn message(
    template: &SubjectTemplate,
    promotions: &[Promotion],
    shared: &BTreeSet<SharedPlace>,
) -> String {
    let [first, others @ ..] = promotions else {
        unreachable!("a commit makes a promotion");
    };
    let is_group = !others.is_empty();
    let of_promotion = |promotion: &Promotion| {
        let policy = match is_group {
            true => format!("{} ", promotion.policy),
            false => String::new(),
        };
        let images = promotion.images.iter();
        let lines = images.map(move |(image, moved)| format!("{policy}{image} {}", change(moved)));
        lines.collect::<Vec<_>>()
    };
    let changes: Vec<String> = promotions.iter().flat_map(of_promotion).collect();
    let policy = match is_group {
        true => format!("{} policies", promotions.len()),
        false => first.policy.to_string(),
    };
    let subject = |changes: &str| template.fill(&policy, &first.environment, changes);
    let whole = subject(&changes.join(", "));
    let mut paragraphs = match whole.len() <= SUBJECT_LENGTH_MAX || changes.len() == 1 {
        true => vec![whole],
        false => {
            let cut = subject(&format!("{} images", changes.len()));
            vec![cut, changes.join("\n")]
        }
    };
    let also: Vec<String> = also_changes(shared)
        .map(|place| format!("Also changes, by an alias: {place}"))
        .collect();
    if !also.is_empty() {
        paragraphs.push(also.join("\n"));
    }
    paragraphs.push(promotions.iter().map(Promotion::trailers).collect());
    paragraphs.join("\n\n")
}

/// The places that change by an alias, at most a page of them.
pub(crate) fn also_changes(shared: &BTreeSet<SharedPlace>) -> impl Iterator<Item = String> {
    // One that is left out would take the line that says so.
    let shown = match shared.len() > SHARED_SHOWN_MAX {
        true => SHARED_SHOWN_MAX - 1,
        false => shared.len(),
    };
    let left = shared.len() - shown;
    let more = (left > 0).then(|| format!("{left} more places, which `towpath sites` lists"));
    let places = shared.iter().take(shown).map(ToString::to_string);
    places.chain(more)
}

/// `v1.4.2 -> v1.5.0`. Where the tag stays or only a digest stood there, the digests tell the change.
fn change(moved: &Moved) -> String {
    let Moved {
        repository: _,
        tag,
        digest,
        replaced,
        rejects: _,
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
    use std::collections::BTreeSet;

    use super::{SHARED_SHOWN_MAX, SharedPlace, SubjectTemplate, message};
    use crate::ledger::{Moved, Promotion};

    fn promotion(images: &[(&str, Option<&str>)]) -> Promotion {
        let moved = |(tag, replaced): &(&str, Option<&str>)| Moved {
            repository: "ghcr.io/acme/web".parse().unwrap(),
            tag: tag.parse().unwrap(),
            digest: Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap()),
            replaced: replaced.map(str::to_owned),
            rejects: false,
        };
        let named = images.iter().enumerate();
        Promotion {
            policy: "portal".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            images: named
                .map(|(n, image)| (format!("web-{n}").parse().unwrap(), moved(image)))
                .collect(),
            gates: Vec::new(),
        }
    }

    fn subject(images: &[(&str, Option<&str>)]) -> String {
        message(
            &SubjectTemplate::default(),
            &[promotion(images)],
            &BTreeSet::new(),
        )
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
        let text = message(
            &SubjectTemplate::default(),
            &[promotion(&images)],
            &BTreeSet::new(),
        );
        assert!(text.starts_with("promote portal to dev: 4 images\n\nweb-0 develop-19-0a1b2c3 -> develop-20-1b2c3d4\nweb-1 "), "{text}");
        assert_eq!(Promotion::read(&text), vec![promotion(&images)]);
    }

    #[test]
    fn the_body_names_what_changes_by_an_alias_and_at_most_a_page_of_it() {
        let body = |count: usize| {
            let shared = |line: usize| SharedPlace {
                file: "apps/values.yaml".parse().unwrap(),
                line,
                path: format!("\"a\n\n{line}\".tag").parse().unwrap(),
            };
            let shared: BTreeSet<SharedPlace> = (1..=count).map(shared).collect();
            let one = promotion(&[("v2", Some("v1"))]);
            let text = message(
                &SubjectTemplate::default(),
                std::slice::from_ref(&one),
                &shared,
            );
            assert_eq!(Promotion::read(&text), vec![one]);
            let paragraphs: Vec<&str> = text.split("\n\n").collect();
            let [_subject, body, _trailers] = paragraphs[..] else {
                panic!("{text}")
            };
            body.to_owned()
        };
        insta::assert_snapshot!(body(2), @r#"
        Also changes, by an alias: apps/values.yaml:1 "a  1".tag
        Also changes, by an alias: apps/values.yaml:2 "a  2".tag
        "#);
        let most = body(SHARED_SHOWN_MAX);
        assert_eq!(most.lines().count(), SHARED_SHOWN_MAX);
        assert!(!most.contains("more"), "{most}");
        let more = body(SHARED_SHOWN_MAX + 1);
        assert_eq!(more.lines().count(), SHARED_SHOWN_MAX);
        insta::assert_snapshot!(more.lines().last().unwrap(), @"Also changes, by an alias: 2 more places, which `towpath sites` lists");
    }
}
