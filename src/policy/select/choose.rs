//! The choice: the newest candidate, or why there is none.
//!
//! Not here: whether the choice may be promoted now (`plan`), and whether the listing is complete (`observe`).
//! Invariant: a choice is never older than what stands there, unless the caller allows a downgrade.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;

use super::candidate::{Candidate, History, compare};
use super::rule::{Order, TagRule};
use super::shape::Reading;
use super::{Dated, Exclusion, Fact, PushUse, Tags, Times};
use crate::image::Tag;
use crate::image::version::Version;
use crate::manifest::NamedCommit;
use crate::policy::SourceBranch;

/// Most kinds of excluded tags that a reason counts; the nearest to being candidates come first.
const EXCLUSIONS_SHOWN_MAX: usize = 3;

/// Whether a rule may choose an older version than the one that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downgrade {
    Forbidden,
    Allowed,
}

/// What a rule makes of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Selection {
    /// `tag` should stand there.
    Choose {
        tag: Tag,
        over: Over,
        dated: Option<Dated>,
    },
    /// What stands there is the newest already.
    Newest {
        tag: Tag,
    },
    Hold(SelectionHold),
}

/// What a choice takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// No version stands there.
    Nothing,
    Older,
    /// A downgrade, which the caller allows.
    Newer,
    /// A text that the rule cannot order, such as `hotfix-7` under `semver`.
    Unordered,
}

/// Why nothing is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SelectionHold {
    /// No tag is a candidate. The counts of the nearest exclusions say why.
    NoCandidate {
        seen: usize,
        excluded: Vec<(usize, Exclusion)>,
    },
    /// Several tags are the newest: which one is meant would be a guess.
    Tie { tags: Vec<Tag>, fact: Fact },
    /// The fact that orders the candidates is not known of `tag`.
    Unknown { tag: Tag, fact: Fact },
    /// The commit of what stands there is not on the branch whose history orders.
    Strayed { current: Tag, source: SourceBranch },
    /// The newest candidate is older than what stands there.
    Below { current: Tag, newest: Tag },
    /// The listing does not have what stands there, so it may lack newer tags as well.
    Vanished { current: Tag },
}

/// The order that a rule gives the tags of a listing. It names places and holds no text, so that one of each listing is small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranked {
    /// The places of the candidates among the tags, newest first.
    places: Box<[u32]>,
    /// What ordered them.
    fact: Option<Fact>,
}

/// All tags of a listing in order, as one rule has it. What stands at a site is not part of it, so sites may share one.
#[derive(Clone)]
pub(crate) struct Ranking<'a> {
    rule: &'a TagRule,
    tags: &'a dyn Tags,
    history: Option<History<'a>>,
    ranked: Arc<Ranked>,
    /// The candidates that may not come, and others.
    barred: BTreeMap<Tag, Exclusion>,
}

/// What stands at the site, as far as the rule can order it.
enum Standing<'a> {
    Nothing,
    Unordered,
    Ordered(Box<Candidate<'a>>),
}

/// Chooses the newest candidate among `known`.
///
/// The result depends on the set of tags alone. `current` is the text that stands at the site.
pub(crate) fn select(
    rule: &TagRule,
    known: &dyn Tags,
    current: Option<&str>,
    downgrade: Downgrade,
) -> Selection {
    rank(rule, known).choose(current, downgrade)
}

/// How `a` compares to `b` where the names tell it: also of tags that no registry lists any more.
pub(crate) fn compare_names(rule: &TagRule, a: &str, b: &Tag) -> Option<Ordering> {
    let Order::By(fact) = rule.order() else {
        return None;
    };
    let a: Tag = a.parse().ok()?;
    let candidate = |tag| {
        let candidate = Candidate {
            tag,
            reading: rule.read(tag).ok()?,
            commit: None,
            times: Times::default(),
        };
        candidate.knows(fact).then_some(candidate)
    };
    Some(compare(fact, &candidate(&a)?, &candidate(b)?))
}

/// Puts the candidates in order, newest first, and sets the other tags aside.
pub(crate) fn rank<'a>(rule: &'a TagRule, tags: &'a dyn Tags) -> Ranking<'a> {
    Ranking::new(rule, tags, Arc::new(Ranked::of(rule, tags)))
}

impl Ranked {
    pub(crate) fn of(rule: &TagRule, tags: &dyn Tags) -> Self {
        let history = History::of(rule, tags.histories());
        let mut candidates = Vec::new();
        let mut places = Vec::new();
        for (at, place) in (0..tags.count()).zip(0_u32..) {
            if let Ok(candidate) = judge(rule, (tags, at), history) {
                places.push((place, candidates.len()));
                candidates.push(candidate);
            }
        }
        let known = |fact: Fact| candidates.iter().any(|c: &Candidate<'_>| c.knows(fact));
        let fact = match rule.order() {
            Order::Follow => None,
            Order::By(fact) => Some(fact),
            Order::Times if tags.pushes() == Some(PushUse::ByDefault) => Some(Fact::Pushed),
            Order::Times if known(Fact::FirstSeen) && !known(Fact::Created) => {
                Some(Fact::FirstSeen)
            }
            Order::Times => Some(Fact::Created),
        };
        let spelling = Spelling::of(rule, None);
        places.sort_unstable_by(|(_, a), (_, b)| {
            newest_first((&candidates[*a], &candidates[*b]), fact, &spelling)
        });
        let places = places.into_iter().map(|(place, _)| place).collect();
        Self { places, fact }
    }
}

/// The candidate at a place, or why the tag there is none.
fn judge<'a>(
    rule: &TagRule,
    (tags, place): (&'a dyn Tags, usize),
    history: Option<History<'_>>,
) -> Result<Candidate<'a>, Exclusion> {
    let tag = tags.at(place);
    let reading = rule.judge(tag)?;
    // Most rules look at names alone, and to find the times of millions of tags takes long.
    let times = match rule.is_by_time() {
        true => tags.times(place),
        false => Times::default(),
    };
    Candidate::new((tag, times), reading, history).on_branch(history)
}

/// The order of candidates: where several spell one version, the one to take comes first.
fn newest_first(
    (a, b): (&Candidate<'_>, &Candidate<'_>),
    fact: Option<Fact>,
    spelling: &Spelling<'_>,
) -> Ordering {
    let by_fact = fact.map_or(Ordering::Equal, |fact| compare(fact, b, a));
    by_fact.then_with(|| spelling.rank(b).cmp(&spelling.rank(a)))
}

impl<'a> Ranking<'a> {
    /// `ranked` is what the rule makes of these tags.
    pub(crate) fn new(rule: &'a TagRule, tags: &'a dyn Tags, ranked: Arc<Ranked>) -> Self {
        Self {
            rule,
            tags,
            history: History::of(rule, tags.histories()),
            ranked,
            barred: BTreeMap::new(),
        }
    }

    pub(crate) fn fact(&self) -> Option<Fact> {
        self.ranked.fact
    }

    /// The same without the candidates that may not come. What stands somewhere keeps its place all the same.
    pub(crate) fn without(&self, barred: &BTreeMap<Tag, Exclusion>) -> Self {
        let mut left = self.clone();
        for (tag, exclusion) in barred {
            let kept = left.barred.entry(tag.clone());
            kept.or_insert_with(|| exclusion.clone());
        }
        left
    }

    /// The places of the candidates, newest first.
    fn places(&self) -> impl DoubleEndedIterator<Item = usize> {
        let places = self.ranked.places.iter().map(|place| *place as usize);
        places.filter(|place| !self.barred.contains_key(self.tags.at(*place)))
    }

    /// The candidates, newest first; each is read when it is its turn.
    fn candidates(&self) -> impl DoubleEndedIterator<Item = Candidate<'a>> {
        self.places().map(|place| {
            let candidate = judge(self.rule, (self.tags, place), self.history);
            candidate.expect("it was a candidate when it was ranked")
        })
    }

    /// The candidates, where several spell one version the spelling that the site uses first, then the one with `v`.
    pub(super) fn preferred(&self, current: Option<&Tag>) -> Vec<Candidate<'a>> {
        let (fact, spelling) = (self.fact(), Spelling::of(self.rule, current));
        let mut candidates: Vec<_> = self.candidates().collect();
        candidates.sort_unstable_by(|a, b| newest_first((a, b), fact, &spelling));
        candidates
    }

    /// The tags that are no candidates, or may not come.
    pub(super) fn excluded(&self) -> Vec<(Exclusion, &'a Tag)> {
        let excluded = (0..self.tags.count()).filter_map(|place| {
            let tag = self.tags.at(place);
            let why = match judge(self.rule, (self.tags, place), self.history) {
                Ok(_) => self.barred.get(tag)?.clone(),
                Err(why) => why,
            };
            Some((why, tag))
        });
        excluded.collect()
    }

    /// The candidates that are newer than what stands at a site, newest first; all, where that cannot be ordered.
    pub(crate) fn newer_than(&self, current: Option<&str>) -> Vec<&'a Tag> {
        let tag: Option<Tag> = current.and_then(|text| text.parse().ok());
        let standing = match tag.as_ref().map(|tag| self.stand(tag)) {
            Some(Ok(Standing::Ordered(standing))) => Some(standing),
            Some(Ok(Standing::Nothing | Standing::Unordered) | Err(_)) | None => None,
        };
        match self.fact().zip(standing) {
            None => self.places().map(|place| self.tags.at(place)).collect(),
            Some((fact, floor)) => {
                let is_newer = |c: &Candidate<'_>| compare(fact, &floor, c).is_lt();
                let newer = self.candidates().take_while(is_newer);
                newer.map(|candidate| candidate.tag).collect()
            }
        }
    }

    /// How candidate `a` compares to candidate `b`, two spellings of one version too; `None` where one of them is none.
    pub(crate) fn compare(&self, a: &str, b: &str) -> Option<Ordering> {
        let turn = |text: &str| {
            let place = self.tags.place_of(text)?;
            let mut places = self.ranked.places.iter();
            places.position(|other| *other as usize == place)
        };
        // The newest stands first.
        Some(turn(b)?.cmp(&turn(a)?))
    }

    /// Chooses the newest candidate; `current` is the text that stands at the site.
    pub(crate) fn choose(&self, current: Option<&str>, downgrade: Downgrade) -> Selection {
        let standing_tag: Option<Tag> = current.and_then(|text| text.parse().ok());
        let leaders = self.leaders();
        let spelling = Spelling::of(self.rule, standing_tag.as_ref());
        let preferred =
            |a: &&Candidate<'_>, b: &&Candidate<'_>| spelling.rank(a).cmp(&spelling.rank(b));
        let Some(newest) = leaders.iter().max_by(preferred) else {
            return Selection::Hold(no_candidate(self.tags.count(), self.excluded()));
        };
        let Some(fact) = self.fact() else {
            let over = match current {
                None => Over::Nothing,
                Some(_) => Over::Unordered,
            };
            let tag = newest.tag.clone();
            return match standing_tag.as_ref() == Some(newest.tag) {
                true => Selection::Newest { tag },
                false => Selection::Choose {
                    tag,
                    over,
                    dated: None,
                },
            };
        };
        let standing = match (current, &standing_tag) {
            (None, _) => Standing::Nothing,
            (Some(_), None) => Standing::Unordered,
            (Some(_), Some(tag)) => match self.stand(tag) {
                Ok(standing) => standing,
                Err(hold) => return Selection::Hold(hold),
            },
        };
        let standing = match (self.strayed(&standing), downgrade) {
            (None, _) => standing,
            (Some(hold), Downgrade::Forbidden) => return Selection::Hold(hold),
            (Some(_), Downgrade::Allowed) => Standing::Unordered,
        };
        let held = self
            .unknown(&leaders, &standing, fact)
            .or_else(|| below(newest, &standing, fact, downgrade))
            .or_else(|| tie(&leaders, &standing, fact));
        if let Some(hold) = held {
            return Selection::Hold(hold);
        }
        let over = match &standing {
            Standing::Nothing => Over::Nothing,
            Standing::Unordered => Over::Unordered,
            Standing::Ordered(current) => match compare(fact, current, newest) {
                Ordering::Less => Over::Older,
                Ordering::Greater => Over::Newer,
                Ordering::Equal => {
                    let tag = current.tag.clone();
                    return Selection::Newest { tag };
                }
            },
        };
        Selection::Choose {
            tag: newest.tag.clone(),
            over,
            dated: newest.dated(fact),
        }
    }

    /// Finds out where the deployed tag stands among the others. A version that is listed in another spelling is there.
    fn stand<'t>(&self, tag: &'t Tag) -> Result<Standing<'t>, SelectionHold>
    where
        'a: 't,
    {
        let Some(reading) = read_standing(self.rule, tag) else {
            return Ok(Standing::Unordered);
        };
        let candidate =
            |place, reading| Candidate::new((tag, self.tags.times(place)), reading, self.history);
        if let Some(place) = self.tags.place_of(tag.as_str()) {
            return Ok(Standing::Ordered(Box::new(candidate(place, reading))));
        }
        let current = Candidate::new((tag, Times::default()), reading, self.history);
        let mut places = 0..self.tags.count();
        let spelled_otherwise = places.find(|place| {
            let (tag, times) = (self.tags.at(*place), self.tags.times(*place));
            let other = self.rule.read(tag);
            let other = other.map(|reading| Candidate::new((tag, times), reading, self.history));
            other.is_ok_and(|other| other.is_spelling_of(&current))
        });
        match spelled_otherwise {
            Some(place) => Ok(Standing::Ordered(Box::new(Candidate {
                times: self.tags.times(place),
                ..current
            }))),
            None => Err(SelectionHold::Vanished {
                current: tag.clone(),
            }),
        }
    }

    /// What stands there was built elsewhere, or its branch was written anew: candidates may be older, which no one can tell.
    fn strayed(&self, standing: &Standing<'_>) -> Option<SelectionHold> {
        match (standing, self.history) {
            (Standing::Ordered(current), Some(History { source, .. }))
                if current.commit == Some(NamedCommit::None) =>
            {
                let (current, source) = (current.tag.clone(), source.clone());
                Some(SelectionHold::Strayed { current, source })
            }
            (Standing::Nothing | Standing::Unordered | Standing::Ordered(_), _) => None,
        }
    }

    /// The tags whose facts a choice reads: the candidates, and those of `compared` that the rule can order.
    pub(crate) fn asked_about(&self, compared: &[&str]) -> Vec<&'a Tag> {
        let candidates: BTreeSet<usize> = self.places().collect();
        let compared = compared.iter().filter_map(|text| self.tags.place_of(text));
        let compared: BTreeSet<usize> = compared.collect();
        let others = compared.difference(&candidates).copied();
        let others = others.filter(|place| self.rule.read(self.tags.at(*place)).is_ok());
        let places = self.places().chain(others);
        places.map(|place| self.tags.at(place)).collect()
    }

    /// The names of commits that a choice reads, each with a tag that holds it: those of the candidates, whether on the branch
    /// or not, and of what among `compared` the rule can order.
    pub(crate) fn commits_asked_about(&self, compared: &[&str]) -> Vec<(String, Tag)> {
        let excluded = self.excluded().into_iter();
        let off_branch = excluded.filter(|(why, _)| matches!(why, Exclusion::OffBranch { .. }));
        let off_branch = off_branch.map(|(_, tag)| tag.clone());
        let compared = compared.iter().filter_map(|text| text.parse().ok());
        let candidates = self.places().map(|place| self.tags.at(place).clone());
        let tags = candidates.chain(off_branch).chain(compared);
        tags.filter_map(|tag| Some((self.rule.commit_in(&tag)?, tag)))
            .collect()
    }

    /// The candidates that are as new as any, in the order of their spelling.
    fn leaders(&self) -> Vec<Candidate<'a>> {
        let mut leaders: Vec<Candidate<'a>> = Vec::new();
        for candidate in self.candidates() {
            let as_new = |first: &Candidate<'_>| {
                let order = self.fact().map(|fact| compare(fact, &candidate, first));
                order.is_none_or(Ordering::is_eq)
            };
            if !leaders.first().is_none_or(as_new) {
                break;
            }
            leaders.push(candidate);
        }
        leaders
    }

    /// Candidates that cannot be ordered hold, rather than count as old: what is not known may be the newest.
    fn unknown(
        &self,
        leaders: &[Candidate<'_>],
        standing: &Standing<'_>,
        fact: Fact,
    ) -> Option<SelectionHold> {
        let compared = standing.ordered();
        let alone = match (self.places().take(2).count(), leaders, compared) {
            (1, _, []) => true,
            (1, [only], [current]) => only.tag == current.tag,
            _ => false,
        };
        if alone {
            return None;
        }
        // What is not known is less than what is, so it stands at the end.
        let lacking = self.candidates().rev().take_while(|c| !c.knows(fact));
        let lacking = lacking.map(|c| c.tag);
        let standing = compared.iter().filter(|c| !c.knows(fact));
        // Which of several commits is meant is of no weight where even the latest is older than another candidate.
        let first = leaders.iter().take(1);
        let vague = first.chain(compared).filter(|c| c.is_ambiguous(fact));
        let others = standing.chain(vague).map(|c| c.tag);
        let tag = lacking.min().into_iter().chain(others).min()?.clone();
        Some(SelectionHold::Unknown { tag, fact })
    }
}

impl<'a> Standing<'a> {
    /// What stands there, where it has a place among the candidates.
    fn ordered(&self) -> &[Candidate<'a>] {
        match self {
            Self::Ordered(current) => slice::from_ref(current.as_ref()),
            Self::Nothing | Self::Unordered => &[],
        }
    }
}

/// How the site spells versions.
struct Spelling<'a> {
    current: Option<&'a Tag>,
    /// Whether with `v`, where a version stands there.
    v: Option<bool>,
}

impl<'a> Spelling<'a> {
    fn of(rule: &TagRule, current: Option<&'a Tag>) -> Self {
        let reading = current.and_then(|tag| Some((tag, read_standing(rule, tag)?)));
        let version = reading.filter(|(_, reading)| reading.version.is_some());
        let v = version.map(|(tag, reading)| has_v(tag, &reading));
        Self { current, v }
    }

    /// The greatest is the spelling to take.
    fn rank<'c>(&self, candidate: &Candidate<'c>) -> (bool, bool, bool, &'c Tag) {
        let Self { current, v: in_use } = *self;
        let v = has_v(candidate.tag, &candidate.reading);
        let tag = candidate.tag;
        (Some(tag) == current, in_use == Some(v), v, tag)
    }
}

fn has_v(tag: &Tag, reading: &Reading) -> bool {
    let version = &tag.as_str()[reading.version_at.clone()];
    version.starts_with('v') || tag.as_str()[..reading.version_at.start].ends_with('v')
}

/// What the name of the deployed tag says. A partial version among whole ones counts as the first that it could mean, so
/// that `1.20` is neither followed by `1.19.5` nor rewritten to `1.20.0`.
fn read_standing(rule: &TagRule, tag: &Tag) -> Option<Reading> {
    match rule.read(tag) {
        Ok(reading) => Some(reading),
        Err(Exclusion::Partial) => Some(Reading {
            version: Version::first_of_partial(tag.as_str()),
            version_at: 0..tag.as_str().len(),
            ..Reading::default()
        }),
        Err(_) => None,
    }
}

fn no_candidate(seen: usize, mut excluded: Vec<(Exclusion, &Tag)>) -> SelectionHold {
    excluded.sort_unstable();
    let counted = excluded.chunk_by(|(a, _), (b, _)| a == b);
    let excluded = counted
        .take(EXCLUSIONS_SHOWN_MAX)
        .filter_map(|same| Some((same.len(), same.first()?.0.clone())))
        .collect();
    SelectionHold::NoCandidate { seen, excluded }
}

fn below(
    newest: &Candidate<'_>,
    standing: &Standing<'_>,
    fact: Fact,
    downgrade: Downgrade,
) -> Option<SelectionHold> {
    let Standing::Ordered(current) = standing else {
        return None;
    };
    let lower = compare(fact, newest, current) == Ordering::Less;
    (lower && downgrade == Downgrade::Forbidden).then(|| SelectionHold::Below {
        current: current.tag.clone(),
        newest: newest.tag.clone(),
    })
}

/// Different tags that are equally new, what stands there included.
fn tie(leaders: &[Candidate<'_>], standing: &Standing<'_>, fact: Fact) -> Option<SelectionHold> {
    let newest = leaders.first()?;
    let compared = standing.ordered().iter();
    let compared = compared.filter(|c| compare(fact, c, newest) == Ordering::Equal);
    let equal: Vec<_> = leaders.iter().chain(compared).collect();
    if equal.iter().all(|c| c.is_spelling_of(newest)) {
        return None;
    }
    let mut tags: Vec<Tag> = equal.into_iter().map(|c| c.tag.clone()).collect();
    tags.sort_unstable();
    tags.dedup();
    Some(SelectionHold::Tie { tags, fact })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::rank;
    use crate::policy::select::rule::RuleText;
    use crate::policy::select::{KnownTags, TagFacts, TagRule};

    #[test]
    fn facts_are_wanted_of_candidates_and_of_what_they_are_compared_with() {
        let rule = TagRule::new(RuleText {
            pattern: Some("develop-{sha}".to_owned()),
            ignore: vec!["*-fffffff".to_owned()],
            ..RuleText::default()
        })
        .unwrap();
        let facts = ["develop-0a1b2c3", "develop-fffffff", "latest"].map(|tag| TagFacts {
            tag: tag.parse().unwrap(),
            pushed: None,
            created: None,
            first_seen: None,
        });
        let known = KnownTags {
            tags: facts.to_vec(),
            pushes: None,
            histories: Arc::default(),
        };
        let ranking = rank(&rule, &known);
        let asked = |compared: &[&str]| {
            let tags = ranking.asked_about(compared);
            tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(asked(&["latest"]), ["develop-0a1b2c3"]);
        assert_eq!(
            asked(&["latest", "develop-fffffff"]),
            ["develop-0a1b2c3", "develop-fffffff"]
        );
    }
}
