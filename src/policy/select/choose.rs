//! The choice: the newest candidate, or why there is none.
//!
//! Not here: whether the choice may be promoted now (`plan`), and whether the listing is complete (`observe`).
//! Invariant: a choice is never older than what stands there, unless the caller allows a downgrade.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::slice;

use super::candidate::{Candidate, History, commit, compare};
use super::rule::{Order, TagRule};
use super::shape::Reading;
use super::{Dated, Exclusion, Fact, KnownTags, Number, PushUse, TagFacts};
use crate::image::Tag;
use crate::image::version::Version;
use crate::manifest::NamedCommit;
use crate::policy::SourceBranch;

/// Most kinds of excluded tags that a reason counts; the nearest to being candidates come first.
const EXCLUSIONS_SHOWN_MAX: usize = 3;

/// Most tied tags that a reason names: builds without a creation time of their own all tie.
const TIED_SHOWN_MAX: usize = 2;

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

/// All tags of a listing in order, as one rule has it. What stands at a site is not part of it, so sites may share one.
#[derive(Clone, Debug)]
pub(crate) struct Ranking<'a> {
    rule: &'a TagRule,
    facts: &'a [TagFacts],
    history: Option<History<'a>>,
    /// Newest first.
    pub(super) candidates: Vec<Candidate<'a>>,
    /// What ordered them.
    pub(super) fact: Option<Fact>,
    pub(super) excluded: Vec<(Exclusion, &'a Tag)>,
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
    known: &KnownTags,
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
            pushed: None,
            created: None,
            first_seen: None,
        };
        candidate.knows(fact).then_some(candidate)
    };
    Some(compare(fact, &candidate(&a)?, &candidate(b)?))
}

/// Puts the candidates in order, newest first, and sets the other tags aside.
pub(crate) fn rank<'a>(rule: &'a TagRule, known: &'a KnownTags) -> Ranking<'a> {
    let KnownTags {
        tags: facts,
        pushes,
        histories,
    } = known;
    let history = History::of(rule, histories);
    let mut candidates = Vec::new();
    let mut excluded = Vec::new();
    for facts in facts {
        let candidate = rule
            .judge(&facts.tag)
            .and_then(|reading| Candidate::new(facts, reading, history).on_branch(history));
        match candidate {
            Ok(candidate) => candidates.push(candidate),
            Err(exclusion) => excluded.push((exclusion, &facts.tag)),
        }
    }
    let known = |fact: Fact| candidates.iter().any(|c: &Candidate<'_>| c.knows(fact));
    let fact = match rule.order() {
        Order::Follow => None,
        Order::By(fact) => Some(fact),
        Order::Times if *pushes == Some(PushUse::ByDefault) => Some(Fact::Pushed),
        Order::Times if known(Fact::FirstSeen) && !known(Fact::Created) => Some(Fact::FirstSeen),
        Order::Times => Some(Fact::Created),
    };
    let mut ranking = Ranking {
        rule,
        facts,
        history,
        candidates,
        fact,
        excluded,
    };
    ranking.prefer(None);
    ranking
}

impl<'a> Ranking<'a> {
    /// The same without the candidates that may not come. What stands somewhere keeps its place all the same.
    pub(crate) fn without(&self, barred: &BTreeMap<Tag, Exclusion>) -> Self {
        let mut left = self.clone();
        left.candidates.retain(|candidate| {
            let exclusion = barred.get(candidate.tag).cloned();
            let is_barred = exclusion.is_some();
            left.excluded
                .extend(exclusion.map(|exclusion| (exclusion, candidate.tag)));
            !is_barred
        });
        left
    }

    /// The candidates that are newer than what stands at a site, newest first; all, where that cannot be ordered.
    pub(crate) fn newer_than(&self, current: Option<&str>) -> Vec<&'a Tag> {
        let tag: Option<Tag> = current.and_then(|text| text.parse().ok());
        let standing = match tag.as_ref().map(|tag| self.stand(tag)) {
            Some(Ok(Standing::Ordered(standing))) => Some(standing),
            Some(Ok(Standing::Nothing | Standing::Unordered) | Err(_)) | None => None,
        };
        let floor = self.fact.zip(standing.as_deref());
        let is_newer = |candidate: &&Candidate<'_>| {
            floor.is_none_or(|(fact, floor)| compare(fact, floor, candidate).is_lt())
        };
        let newer = self.candidates.iter().take_while(is_newer);
        newer.map(|candidate| candidate.tag).collect()
    }

    /// The place of each candidate, newest first.
    pub(crate) fn places(&self) -> BTreeMap<&'a str, usize> {
        let tags = self
            .candidates
            .iter()
            .map(|candidate| candidate.tag.as_str());
        tags.zip(0..).collect()
    }

    /// Chooses the newest candidate; `current` is the text that stands at the site.
    pub(crate) fn choose(&self, current: Option<&str>, downgrade: Downgrade) -> Selection {
        let standing_tag: Option<Tag> = current.and_then(|text| text.parse().ok());
        let Some(newest) = self.newest(standing_tag.as_ref()) else {
            return Selection::Hold(no_candidate(self.facts.len(), self.excluded.clone()));
        };
        let Some(fact) = self.fact else {
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
        let held = unknown(&self.candidates, &standing, fact)
            .or_else(|| below(newest, &standing, fact, downgrade))
            .or_else(|| tie(&self.candidates, &standing, fact));
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
        let candidate = |facts, reading| Candidate::new(facts, reading, self.history);
        if let Some(facts) = self.facts.iter().find(|facts| facts.tag == *tag) {
            return Ok(Standing::Ordered(Box::new(candidate(facts, reading))));
        }
        let current = Candidate {
            tag,
            commit: commit(tag, &reading, self.history),
            reading,
            pushed: None,
            created: None,
            first_seen: None,
        };
        let spelled_otherwise = self.facts.iter().find(|facts| {
            let other = self.rule.read(&facts.tag);
            other.is_ok_and(|reading| candidate(facts, reading).is_spelling_of(&current))
        });
        match spelled_otherwise {
            Some(TagFacts {
                tag: _,
                pushed,
                created,
                first_seen,
            }) => Ok(Standing::Ordered(Box::new(Candidate {
                pushed: *pushed,
                created: *created,
                first_seen: *first_seen,
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
        let wanted = |tag: &&Tag| compared.contains(&tag.as_str()) && self.rule.read(tag).is_ok();
        let excluded = self.excluded.iter().map(|(_, tag)| *tag).filter(wanted);
        let candidates = self.candidates.iter().map(|candidate| candidate.tag);
        candidates.chain(excluded).collect()
    }

    /// The names of commits that a choice reads, each with a tag that holds it: those of the candidates, whether on the branch
    /// or not, and of what among `compared` the rule can order.
    pub(crate) fn commits_asked_about(&self, compared: &[&str]) -> Vec<(String, Tag)> {
        let off_branch = |(why, _): &&(Exclusion, &Tag)| matches!(why, Exclusion::OffBranch { .. });
        let off_branch = self.excluded.iter().filter(off_branch);
        let off_branch = off_branch.map(|(_, tag)| (*tag).clone());
        let compared = compared.iter().filter_map(|text| text.parse().ok());
        let candidates = self.candidates.iter().map(|c| c.tag.clone());
        let tags = candidates.chain(off_branch).chain(compared);
        tags.filter_map(|tag| Some((self.rule.commit_in(&tag)?, tag)))
            .collect()
    }

    /// Puts first, where several candidates spell one version, the spelling that the site uses, then the one with `v`.
    pub(super) fn prefer(&mut self, current: Option<&Tag>) {
        let (fact, spelling) = (self.fact, Spelling::of(self.rule, current));
        self.candidates.sort_unstable_by(|a, b| {
            let by_fact = fact.map_or(Ordering::Equal, |fact| compare(fact, b, a));
            by_fact.then_with(|| spelling.rank(b).cmp(&spelling.rank(a)))
        });
    }

    /// The newest candidate in the spelling that the site uses.
    fn newest(&self, current: Option<&Tag>) -> Option<&Candidate<'a>> {
        let first = self.candidates.first()?;
        let is_as_new = |c: &&Candidate<'_>| {
            let order = self.fact.map(|fact| compare(fact, c, first));
            order.is_none_or(Ordering::is_eq)
        };
        let spelling = Spelling::of(self.rule, current);
        let newest = self.candidates.iter().take_while(is_as_new);
        newest.max_by(|a, b| spelling.rank(a).cmp(&spelling.rank(b)))
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

/// Candidates that cannot be ordered hold, rather than count as old: what is not known may be the newest.
fn unknown(
    candidates: &[Candidate<'_>],
    standing: &Standing<'_>,
    fact: Fact,
) -> Option<SelectionHold> {
    let compared = match standing {
        Standing::Ordered(current) => slice::from_ref(current.as_ref()),
        Standing::Nothing | Standing::Unordered => &[],
    };
    let alone = match (candidates, compared) {
        ([_], []) => true,
        ([only], [current]) => only.tag == current.tag,
        _ => false,
    };
    let lacking = candidates.iter().chain(compared).filter(|c| !c.knows(fact));
    // Which of several commits is meant is of no weight where even the latest is older than another candidate.
    let first = candidates.iter().take(1);
    let vague = first.chain(compared).filter(|c| c.is_ambiguous(fact));
    let tags = lacking.chain(vague).map(|c| c.tag);
    let tag = tags.min().filter(|_| !alone)?.clone();
    Some(SelectionHold::Unknown { tag, fact })
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
fn tie(candidates: &[Candidate<'_>], standing: &Standing<'_>, fact: Fact) -> Option<SelectionHold> {
    let newest = candidates.first()?;
    let compared = match standing {
        Standing::Ordered(current) => slice::from_ref(current.as_ref()),
        Standing::Nothing | Standing::Unordered => &[],
    };
    let equal: Vec<_> = candidates
        .iter()
        .take_while(|c| compare(fact, c, newest) == Ordering::Equal)
        .chain(
            compared
                .iter()
                .filter(|c| compare(fact, c, newest) == Ordering::Equal),
        )
        .collect();
    if equal.iter().all(|c| c.is_spelling_of(newest)) {
        return None;
    }
    let mut tags: Vec<Tag> = equal.into_iter().map(|c| c.tag.clone()).collect();
    tags.sort_unstable();
    tags.dedup();
    Some(SelectionHold::Tie { tags, fact })
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choose { tag, over, dated } => {
                write!(f, "`{tag}` is the newest candidate")?;
                if let Some(dated) = dated {
                    write!(f, ", {dated}")?;
                }
                match over {
                    Over::Nothing | Over::Older => Ok(()),
                    Over::Newer => f.write_str(", and a downgrade"),
                    Over::Unordered => f.write_str(", and replaces what the rule cannot order"),
                }
            }
            Self::Newest { tag } => write!(f, "nothing is newer than `{tag}`"),
            Self::Hold(hold) => hold.fmt(f),
        }
    }
}

impl fmt::Display for SelectionHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCandidate { seen: 0, .. } => f.write_str("the listing holds no tags"),
            Self::NoCandidate { seen, excluded } => {
                match seen {
                    1 => f.write_str("the only tag is no candidate:")?,
                    seen => write!(f, "none of the {seen} tags is a candidate:")?,
                }
                for (place, (count, exclusion)) in excluded.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(f, "{comma} {count} ")?;
                    let number = if *count == 1 {
                        Number::One
                    } else {
                        Number::Many
                    };
                    exclusion.write(f, number)?;
                }
                Ok(())
            }
            Self::Tie { tags, fact } => {
                let named: Vec<String> = tags
                    .iter()
                    .take(TIED_SHOWN_MAX)
                    .map(|tag| format!("`{tag}`"))
                    .collect();
                match tags.len() - named.len() {
                    0 => f.write_str(&named.join(" and "))?,
                    more => write!(f, "{} and {more} more", named.join(", "))?,
                }
                write!(f, " have the same {fact}, so none is the newest")
            }
            Self::Unknown {
                tag,
                fact: Fact::Commits,
            } => write!(
                f,
                "`{tag}` names several commits, so the newest is not known; `ignore` it, or build tags with more digits"
            ),
            Self::Unknown { tag, fact } => {
                write!(
                    f,
                    "the {fact} of `{tag}` is not known, so the newest is not known either"
                )
            }
            Self::Strayed { current, source } => write!(
                f,
                "`{current}` stands there and names no commit of {source}, so what is newer is not known; write a version of that branch to go on"
            ),
            Self::Below { current, newest } => {
                write!(
                    f,
                    "the newest candidate `{newest}` is older than `{current}`, which stands there"
                )
            }
            Self::Vanished { current } => {
                write!(
                    f,
                    "the listing no longer has `{current}`, which stands there"
                )
            }
        }
    }
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
