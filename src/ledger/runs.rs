//! Which versions an environment ran, as its promotions tell: those that were taken back are left out.
//!
//! A version ran from its promotion on, and a newer one that takes its place does not end that. What takes it back is that
//! something older stands there: by another promotion (`towpath rollback`, a pin), or by a person's edit or revert, which the
//! next promotion tells by what it replaced.
//! Invariant: where it cannot be told which versions something takes back that a person wrote, it takes back all.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Moved, Recorded};
use crate::image::{Digest, Tag};

/// The versions that an environment ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs<'a> {
    /// Each by the place in `all` of the promotion that brought it first, without those that were taken back.
    runs: Vec<usize>,
    /// When each version came, whether it was taken back or not.
    came: BTreeMap<(&'a Tag, Option<&'a Digest>), Came>,
    all: &'a [Arc<Recorded>],
}

/// The promotions that brought a version, by their places among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Came {
    first: usize,
    /// The one by which it ran last.
    last: usize,
}

/// How versions compare, where their rule tells it: `a` to `b`, as both stand in files.
pub(crate) type Compare<'c> = &'c dyn Fn(&str, &Tag) -> Option<Ordering>;

impl<'a> Runs<'a> {
    /// Of all promotions of one image in one environment, in the order in which they came, where `standing` has what stands
    /// there now: the tag or digest of each place.
    pub(super) fn of(
        promotions: &'a [Arc<Recorded>],
        standing: &[String],
        compare: Compare<'_>,
    ) -> Self {
        let mut runs = Self {
            runs: Vec::new(),
            came: BTreeMap::new(),
            all: promotions,
        };
        let mut latest: Option<&Recorded> = None;
        for (place, promotion) in promotions.iter().enumerate() {
            if let Some(latest) = latest {
                let replaced = promotion.moved.replaced.as_deref().unwrap_or_default();
                runs.found(&replaced.split(", ").collect::<Vec<_>>(), latest, compare);
            }
            runs.came(place, compare);
            latest = Some(promotion);
        }
        runs.where_stands(standing, compare)
    }

    /// The same where this stands there, or is about to.
    pub(crate) fn where_stands(mut self, texts: &[String], compare: Compare<'_>) -> Self {
        if let Some(latest) = self.all.last() {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.found(&texts, latest, compare);
        }
        self
    }

    /// The promotions, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a Recorded> + use<'a, '_> {
        let all = self.all;
        self.runs.iter().map(|place| all[*place].as_ref())
    }

    /// The place of the promotion that brought `digest` as `tag` first, whether that was taken back or not: the order of the
    /// digests of a followed tag. Times would not tell which came before another, since clocks are put back.
    pub(crate) fn place_of(&self, tag: &Tag, digest: &Digest) -> Option<usize> {
        Some(self.came.get(&(tag, Some(digest)))?.first)
    }

    /// Adds what a promotion brought. What is newer than that was taken back by it.
    fn came(&mut self, place: usize, compare: Compare<'_>) {
        let moved = &self.all[place].moved;
        let key = (&moved.tag, moved.digest.as_ref());
        let before = self.came.get(&key).copied();
        if let Some(Came { last, .. }) = before {
            let since = match self.runs.binary_search(&last) {
                Ok(run) if is_same(&self.all[last].moved, moved) => {
                    self.runs.truncate(run + 1);
                    return;
                }
                Ok(run) | Err(run) => run,
            };
            // Digests of a followed tag have no order but that in which they came first.
            let is_digest = |run: &usize| self.all[*run].moved.tag == moved.tag;
            if self.runs[since..].iter().all(is_digest) {
                self.runs.truncate(since);
            }
        }
        let order = |run: &Recorded| compare(moved.tag.as_str(), &run.moved.tag);
        let is_known = |tag: &Tag| compare(tag.as_str(), tag).is_some();
        // What the registry lost may have been a step back.
        let may_be_older = |run: &Recorded| {
            moved.tag != run.moved.tag && !is_known(&moved.tag) && is_known(&run.moved.tag)
        };
        let is_newer = |run: &Recorded| match order(run) {
            Some(order) => order == Ordering::Less,
            None => may_be_older(run),
        };
        self.take_back(is_newer);
        let first = before.map_or(place, |before| before.first);
        self.came.insert(key, Came { first, last: place });
        self.runs.push(place);
    }

    /// Takes back what `texts` say, which were found where the `latest` promotion wrote. Where one of them is what it wrote, the
    /// others are places that it did not write.
    fn found(&mut self, texts: &[&str], latest: &Recorded, compare: Compare<'_>) {
        if texts.iter().any(|text| is_written(&latest.moved, text)) {
            return;
        }
        let ran = |text: &&str| self.position(|run| is_written(run, text));
        let places: Option<Vec<usize>> = texts.iter().map(ran).collect();
        if let Some(place) = places.and_then(|places| places.into_iter().min()) {
            self.runs.truncate(place + 1);
            return;
        }
        let may_be_newer = |run: &Recorded| {
            let is_older = |text: &&str| {
                compare(text, &run.moved.tag).is_some_and(|order| order != Ordering::Less)
            };
            is_same(&run.moved, &latest.moved) || texts.is_empty() || !texts.iter().all(is_older)
        };
        self.take_back(may_be_newer);
    }

    /// Takes back the latest, as long as they are meant: older ones stand before newer ones.
    fn take_back(&mut self, is_meant: impl Fn(&Recorded) -> bool) {
        let all = self.all;
        let kept = self.runs.iter().rposition(|run| !is_meant(&all[*run]));
        self.runs.truncate(kept.map_or(0, |place| place + 1));
    }

    fn position(&self, is_meant: impl Fn(&Moved) -> bool) -> Option<usize> {
        let all = self.all;
        self.runs.iter().rposition(|run| is_meant(&all[*run].moved))
    }
}

fn is_same(a: &Moved, b: &Moved) -> bool {
    (&a.repository, &a.tag, &a.digest) == (&b.repository, &b.tag, &b.digest)
}

/// Whether `text`, as it stood at a place of an image, is what the promotion wrote: the tag or the digest.
fn is_written(moved: &Moved, text: &str) -> bool {
    let digest = moved.digest.as_ref();
    text == moved.tag.as_str() || digest.is_some_and(|digest| text == digest.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Moved, Ordering, Recorded, Runs, Tag};

    /// Promotions as `REPLACED -> TAG`, a day apart.
    fn promotions(lines: &[&str]) -> Vec<Arc<Recorded>> {
        let promotion = |(day, line): (usize, &&str)| {
            let (replaced, tag) = line.split_once(" -> ").unwrap();
            let moved = Moved {
                repository: "ghcr.io/acme/web".parse().unwrap(),
                tag: tag.parse().unwrap(),
                digest: None,
                replaced: (!replaced.is_empty()).then(|| replaced.to_owned()),
                rejects: false,
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

    /// Versions are ordered by their number, and others by nothing.
    fn compare(a: &str, b: &Tag) -> Option<Ordering> {
        let number = |text: &str| text.strip_prefix('v')?.parse::<u64>().ok();
        Some(number(a)?.cmp(&number(b.as_str())?))
    }

    fn runs(lines: &[&str], standing: Option<&str>) -> String {
        let promotions = promotions(lines);
        let standing: Vec<String> = standing.into_iter().map(str::to_owned).collect();
        let runs = Runs::of(&promotions, &standing, &compare);
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
    fn what_a_person_wrote_takes_back_all_that_is_newer() {
        insta::assert_snapshot!(runs(&["v0 -> v2", "v2 -> v4", "v4 -> v6"], Some("v3")), @"v2 since 01");
        insta::assert_snapshot!(runs(&["v0 -> v2", "v2 -> v4", "v3 -> v6"], Some("v6")), @"v2 since 01, v6 since 03");
    }

    #[test]
    fn what_a_person_wrote_and_no_rule_can_order_takes_back_all() {
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2", "hotfix-7 -> v3"], Some("v3")), @"v3 since 03");
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v2"], Some("hotfix-7")), @"");
        insta::assert_snapshot!(runs(&["v0 -> v1"], None), @"");
    }

    #[test]
    fn a_promotion_to_what_never_ran_and_is_older_takes_back_what_is_newer() {
        insta::assert_snapshot!(runs(&["v0 -> v2", "v2 -> v4", "v4 -> v3"], Some("v3")), @"v2 since 01, v3 since 03");
    }

    #[test]
    fn a_promotion_over_places_that_differ_takes_nothing_back_if_one_had_the_latest() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "hotfix-7, v2 -> v3"], Some("v3"));
        insta::assert_snapshot!(told, @"v1 since 01, v2 since 02, v3 since 03");
    }

    #[test]
    fn a_promotion_to_what_nobody_can_order_any_more_takes_back_what_can_be() {
        insta::assert_snapshot!(runs(&["v0 -> v1", "v1 -> v3", "v3 -> gone", "gone -> v4"], Some("v4")), @"gone since 03, v4 since 04");
        insta::assert_snapshot!(runs(&["v0 -> gone", "gone -> lost", "lost -> v4"], Some("v4")), @"gone since 01, lost since 02, v4 since 03");
    }

    #[test]
    fn a_digest_of_a_followed_tag_that_comes_back_takes_back_what_came_since() {
        let mut promotions = promotions(&["a -> v1", "b -> v1", "c -> v1", "d -> v1"]);
        let digests = ["a1", "b2", "c3", "a1"].map(|byte| byte.repeat(32));
        let replaced = ["00", "00", "b2", "c3"].map(|byte| byte.repeat(32));
        for (promotion, (to, from)) in promotions.iter_mut().zip(digests.iter().zip(&replaced)) {
            let moved = &mut Arc::make_mut(promotion).moved;
            moved.digest = Some(format!("sha256:{to}").parse().unwrap());
            moved.replaced = Some(format!("sha256:{from}"));
        }
        let standing = [format!("sha256:{}", digests[3])];
        // The first was taken back before the second came.
        let runs = Runs::of(&promotions, &standing, &compare);
        let told: Vec<String> = runs
            .iter()
            .map(|run| run.at.strftime("%d").to_string())
            .collect();
        assert_eq!(told, ["04"]);
    }

    /// It was reverted and came again, or a new place got it: nothing tells which, so the later time counts.
    #[test]
    fn a_version_that_was_promoted_again_counts_from_then() {
        let told = runs(&["v0 -> v1", "v1 -> v2", "v1 -> v2"], Some("v2"));
        insta::assert_snapshot!(told, @"v1 since 01, v2 since 03");
    }
}
