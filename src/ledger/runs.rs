//! Which versions an environment ran, as its promotions tell: those that people took back are left out.
//!
//! A version ran from its promotion on, and a newer one that takes its place does not end that. What takes it back is a return
//! to something that stood there before: by another promotion (`towpath rollback`, a pin), or by a person's edit or revert,
//! which the next promotion tells by what it replaced.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Moved, Recorded};
use crate::image::Digest;

/// The versions that an environment ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs<'a> {
    /// Each by the promotion that brought it first, in that order, without those that were taken back.
    runs: Vec<&'a Recorded>,
    all: &'a [Arc<Recorded>],
}

impl<'a> Runs<'a> {
    /// Of all promotions of one image in one environment, in the order in which they came.
    pub(super) fn of(promotions: &'a [Arc<Recorded>]) -> Self {
        let mut runs = Self {
            runs: Vec::new(),
            all: promotions,
        };
        let mut latest: Option<&Recorded> = None;
        for promotion in promotions {
            if let Some(latest) = latest {
                let stood = promotion.moved.replaced.as_deref();
                if !stood.is_some_and(|text| is_written(&latest.moved, text)) {
                    runs.return_to(|moved| stood.is_some_and(|text| is_written(moved, text)));
                }
            }
            match runs.position(|moved| is_same(moved, &promotion.moved)) {
                Some(_) => runs.return_to(|moved| is_same(moved, &promotion.moved)),
                None => runs.runs.push(promotion),
            }
            latest = Some(promotion);
        }
        runs
    }

    /// The same where `text` stands there now, which the latest promotion may not have written.
    pub(crate) fn with_standing(mut self, text: Option<&str>) -> Self {
        let stands = |moved: &Moved| text.is_some_and(|text| is_written(moved, text));
        if !self.runs.last().is_some_and(|latest| stands(&latest.moved)) {
            self.return_to(stands);
        }
        self
    }

    /// The promotions, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a Recorded> + use<'a, '_> {
        self.runs.iter().copied()
    }

    /// When the build `digest` last came, whether it was taken back or not.
    pub(crate) fn came(&self, digest: &Digest) -> Option<Timestamp> {
        let is_it = |promotion: &&Arc<Recorded>| promotion.moved.digest.as_ref() == Some(digest);
        Some(self.all.iter().rfind(is_it)?.at)
    }

    /// Takes back all that came after what `is_meant` says stands there again; where nothing is known of that, the latest.
    fn return_to(&mut self, is_meant: impl Fn(&Moved) -> bool) {
        let kept = match self.position(is_meant) {
            Some(place) => place + 1,
            None => self.runs.len().saturating_sub(1),
        };
        self.runs.truncate(kept);
    }

    fn position(&self, is_meant: impl Fn(&Moved) -> bool) -> Option<usize> {
        self.runs.iter().rposition(|run| is_meant(&run.moved))
    }
}

fn is_same(a: &Moved, b: &Moved) -> bool {
    (&a.repository, &a.tag, &a.digest) == (&b.repository, &b.tag, &b.digest)
}

/// Whether `text`, as it stood at the places of an image, has what the promotion wrote: the tag or the digest. Where places
/// differ, it names several.
fn is_written(moved: &Moved, text: &str) -> bool {
    text.split(", ").any(|one| {
        one == moved.tag.as_str()
            || moved
                .digest
                .as_ref()
                .is_some_and(|digest| one == digest.as_str())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Moved, Recorded, Runs};

    /// Promotions as `REPLACED -> TAG`, a day apart.
    fn promotions(lines: &[&str]) -> Vec<Arc<Recorded>> {
        let promotion = |(day, line): (usize, &&str)| {
            let (replaced, tag) = line.split_once(" -> ").unwrap();
            let moved = Moved {
                repository: "ghcr.io/acme/web".parse().unwrap(),
                tag: tag.parse().unwrap(),
                digest: None,
                replaced: (!replaced.is_empty()).then(|| replaced.to_owned()),
            };
            Arc::new(Recorded {
                commit: format!("{day:02x}").repeat(20).parse().unwrap(),
                at: format!("2026-11-{:02}T10:00:00Z", day + 1).parse().unwrap(),
                merge: None,
                pull_request: None,
                is_since_resumed: false,
                moved,
            })
        };
        lines.iter().enumerate().map(promotion).collect()
    }

    fn runs(lines: &[&str], standing: Option<&str>) -> String {
        let promotions = promotions(lines);
        let runs = Runs::of(&promotions).with_standing(standing);
        let told = runs.iter().map(|run| {
            let day = run.at.strftime("%d");
            format!("{} since {day}", run.moved.tag)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_newer_version_does_not_end_that_the_one_before_ran() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "v2 -> v3"], Some("v3"));
        insta::assert_snapshot!(told, @"v1 since 01, v2 since 02, v3 since 03");
    }

    #[test]
    fn a_version_that_was_rolled_back_did_not_run_until_it_comes_again() {
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2", "v2 -> v1"], Some("v1")), @"v1 since 01");
        let again = ["v0 -> v1", "v1 -> v2", "v2 -> v1", "v1 -> v2"];
        insta::assert_snapshot!(runs(&again, Some("v2")), @"v1 since 01, v2 since 04");
    }

    #[test]
    fn a_return_takes_back_everything_that_came_since() {
        let told = runs(
            &["v0 -> v1", "v1 -> v2", "v2 -> v3", "v3 -> v1"],
            Some("v1"),
        );
        insta::assert_snapshot!(told, @"v1 since 01");
    }

    #[test]
    fn a_revert_is_known_by_what_the_next_promotion_replaced_or_by_what_stands_there() {
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2"], Some("v1")), @"v1 since 01");
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2", "v1 -> v3"], Some("v3")), @"v1 since 01, v3 since 03");
    }

    #[test]
    fn what_a_person_wrote_over_a_version_takes_back_that_one_alone() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "hotfix-7 -> v3"], Some("v3"));
        insta::assert_snapshot!(told, @"v1 since 01, v3 since 03");
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2"], Some("hotfix-7")), @"v1 since 01");
        insta::assert_snapshot!(runs(&["v0 -> v1"], None), @"");
    }

    #[test]
    fn a_promotion_over_places_that_differ_takes_nothing_back_if_one_had_the_latest() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "hotfix-7, v2 -> v3"], Some("v3"));
        insta::assert_snapshot!(told, @"v1 since 01, v2 since 02, v3 since 03");
    }

    /// It was reverted and came again, or a new place got it: nothing tells which, so the later time counts.
    #[test]
    fn a_version_that_was_promoted_again_counts_from_then() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "v1 -> v2"], Some("v2"));
        insta::assert_snapshot!(told, @"v1 since 01, v2 since 03");
    }
}
