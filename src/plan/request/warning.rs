//! What a reviewer should know before merging, beyond what changes.
//!
//! Invariant: a warning follows from the facts alone, so that it goes as soon as its reason does.

use super::markdown::code;
use super::{Evidence, RequestFacts};
use crate::image::version::Version;
use crate::ledger::{HOLDS_FILE, Moved};
use crate::plan::{Ground, also_changes, short};

/// The warnings in Markdown, one sentence each.
pub(super) fn warnings(facts: &RequestFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = facts.images().count();
    if count > 1 {
        warnings.push(format!(
            "**{count} images** change at once: who merges or closes this, decides for all of them."
        ));
    }
    for (proposed, image, moved) in facts.images() {
        let evidence = proposed.evidence.get(image);
        let name = facts.name_of(proposed, image);
        warnings.extend(of_versions(moved, evidence).map(|words| format!("{name}: {words}")));
        let shared = evidence.map(|evidence| &evidence.also);
        for place in shared.into_iter().flat_map(also_changes) {
            warnings.push(format!(
                "{name}: **also changes, by an alias**: {}",
                code(&place)
            ));
        }
    }
    warnings
}

/// What is notable about the way from one version to the other.
fn of_versions(moved: &Moved, evidence: Option<&Evidence>) -> impl Iterator<Item = String> {
    let from = moved.replaced.as_deref();
    let (shown_from, shown_to) = (
        code(from.map_or("nothing", short)),
        code(moved.tag.as_str()),
    );
    let ground = match evidence.map(|evidence| evidence.ground) {
        Some(Ground::Nothing) => {
            Some("**first promotion**: no version stands there yet".to_owned())
        }
        Some(Ground::Downgrade) => Some(format!(
            "**downgrade**: {shown_to} is older than {shown_from}, and the policy allows that"
        )),
        Some(Ground::Unordered) => Some(format!(
            "the rule **cannot order** {shown_from}, and no person wrote it over a promotion"
        )),
        Some(Ground::Pinned { line }) => Some(format!(
            "a person **pinned** {shown_to}, in line {line} of {}",
            code(HOLDS_FILE)
        )),
        Some(Ground::Degraded) => Some(format!(
            "**rollback**: {shown_from} is degraded here, and will not come again"
        )),
        Some(Ground::Newer | Ground::OtherDigest) | None => None,
    };
    let version = |text: &str| text.parse::<Version>().ok();
    let major = match (from.and_then(version), version(moved.tag.as_str())) {
        (Some(from), Some(to)) if from.major() != to.major() => Some(format!(
            "**major version** {} → {}",
            from.major(),
            to.major()
        )),
        _ => None,
    };
    // What stands at several places is told in one text.
    let drift = from.filter(|from| from.contains(", ")).map(|from| {
        format!(
            "its places **differ** today ({}) and will be alike",
            code(from)
        )
    });
    [ground, major, drift].into_iter().flatten()
}
