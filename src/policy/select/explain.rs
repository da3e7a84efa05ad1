//! Explanations: what became of every tag, in one sentence each.
//!
//! Invariant: an explanation follows from the same ranking as the choice, so the two never disagree.

use std::cmp::Ordering;
use std::fmt;

use super::candidate::{Candidate, compare};
use super::choose::{Ranking, rank};
use super::rule::TagRule;
use super::{Exclusion, Fact, Tags};
use crate::image::Tag;

/// What became of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Newest,
    /// Of those that may come; others that fit the rule may not, or not yet.
    NewestOfThose,
    Older {
        than: Tag,
    },
    /// Another spelling of a version that is a candidate already.
    Spelling {
        of: Tag,
    },
    /// As new as another tag, which is not the same version.
    Tied {
        with: Tag,
        fact: Fact,
    },
    /// What would order it is not known.
    Unordered {
        fact: Fact,
    },
    Excluded(Exclusion),
}

/// Explains every tag, newest first, then those that are no candidates.
pub(crate) fn explain(
    rule: &TagRule,
    known: &dyn Tags,
    current: Option<&str>,
) -> Vec<(Tag, Verdict)> {
    explain_ranking(rank(rule, known), current)
}

/// The same of a ranking.
pub(crate) fn explain_ranking(ranking: Ranking<'_>, current: Option<&str>) -> Vec<(Tag, Verdict)> {
    let current: Option<Tag> = current.and_then(|text| text.parse().ok());
    let candidates = ranking.preferred(current.as_ref());
    let mut excluded = ranking.excluded();
    excluded.sort_unstable();
    let of_candidate = |place: usize| match ranking.fact() {
        Some(fact) => verdict(&candidates, place, fact),
        None => Verdict::Newest,
    };
    let judged = candidates.iter().enumerate();
    let is_barred = excluded.iter().any(|(why, _)| why.is_bar());
    let judged = judged.map(|(place, candidate)| match of_candidate(place) {
        Verdict::Newest if is_barred => (candidate.tag.clone(), Verdict::NewestOfThose),
        verdict => (candidate.tag.clone(), verdict),
    });
    let excluded = excluded.into_iter();
    let excluded = excluded.map(|(why, tag)| (tag.clone(), Verdict::Excluded(why)));
    judged.chain(excluded).collect()
}

fn verdict(candidates: &[Candidate<'_>], place: usize, fact: Fact) -> Verdict {
    let (newest, this) = (&candidates[0], &candidates[place]);
    if candidates.len() > 1 && !this.knows(fact) {
        return Verdict::Unordered { fact };
    }
    let order = |other: &Candidate<'_>| compare(fact, other, this);
    let first = candidates.partition_point(|other| order(other) == Ordering::Greater);
    if place > first && this.is_spelling_of(&candidates[first]) {
        let of = candidates[first].tag.clone();
        return Verdict::Spelling { of };
    }
    if first > 0 {
        let than = newest.tag.clone();
        return Verdict::Older { than };
    }
    if this.is_ambiguous(fact) {
        return Verdict::Unordered { fact };
    }
    let mut equal = candidates
        .iter()
        .take_while(|other| order(other) == Ordering::Equal);
    match equal.find(|other| !other.is_spelling_of(this)) {
        Some(other) => Verdict::Tied {
            with: other.tag.clone(),
            fact,
        },
        None => Verdict::Newest,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest"),
            Self::NewestOfThose => f.write_str("the newest of those that may come"),
            Self::Older { than } => write!(f, "older than `{than}`"),
            Self::Spelling { of } => write!(f, "another spelling of `{of}`"),
            Self::Tied { with, fact } => write!(f, "has the same {fact} as `{with}`"),
            Self::Unordered { fact } => write!(f, "its {fact} is not known"),
            Self::Excluded(exclusion) => exclusion.fmt(f),
        }
    }
}
