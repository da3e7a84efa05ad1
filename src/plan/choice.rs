//! The choice for one image in one environment, once it is known what stands there: an order of tags, or a followed one.
//!
//! Not here: which facts that needs and whether they are there (`decide`), and which candidates may come (`screen`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decide::{Notes, Subject};
use super::facts::{commits_are_known, created_is_known, digest_of, pushes_are_known};
use super::held::Rejected;
use super::screen::{Passed, Screen, Screened};
use super::standing::{Located, current_text, on_one_line, shared, written, written_whole};
use super::together::keeps_back;
use super::{Ground, HoldReason, Promote};
use crate::image::{Digest, Tag};
use crate::ledger::{HeldVersion, Recorded, Resumed};
use crate::manifest::{Standing, Version, Write};
use crate::policy::select::choose::{Downgrade, Over, Ranking, Selection, SelectionHold, rank};
use crate::policy::select::rule::Needs;
use crate::policy::select::{
    Dated, Exclusion, Fact as OrderFact, KnownTags, TagFacts, TagRule, Tags, Times,
};
use crate::policy::{Candidates, ImageName};
use crate::world::{ImageFacts, Listing, World};

/// What an ordering rule chooses from.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) rule: &'a TagRule,
    pub(super) tags: &'a dyn Tags,
    pub(super) ranking: &'a Ranking<'a>,
    pub(super) recorded: Option<&'a Recorded>,
    pub(super) rejected: &'a Rejected,
    pub(super) resumed: Option<&'a Resumed>,
    pub(super) screen: &'a Screen<'a>,
}

/// Where the rule would have one site go.
enum Step {
    Stay {
        at: Tag,
    },
    Go {
        to: Tag,
        over: Over,
        dated: Option<Dated>,
    },
}

/// Whether that is known by which the rule orders what it chooses from and what stands there.
pub(super) fn order_is_known(
    choice: Choice<'_>,
    sites: &[(Located, Standing)],
    (listing, facts, world): (&Listing, &ImageFacts, &World),
    notes: &mut Notes,
) -> Result<(), HoldReason> {
    let Choice {
        rule,
        tags,
        ranking,
        recorded,
        ..
    } = choice;
    let repository = &choice.subject.image.repository;
    let standing = sites
        .iter()
        .filter_map(|(_, standing)| standing.tag.as_deref());
    let recorded = recorded.map(|recorded| recorded.moved.tag.as_str());
    let compared: Vec<&str> = standing.chain(recorded).collect();
    match rule.needs(tags.pushes()) {
        Needs::Commits => {
            let source = rule.source().expect("a rule by commits has a source");
            let asked = ranking.commits_asked_about(&compared);
            commits_are_known(source, asked, (listing, world), &mut notes.questions)
        }
        Needs::Pushed => pushes_are_known(repository, listing),
        Needs::Created | Needs::CreatedAndFirstSeen => {
            let asked = ranking.asked_about(&compared);
            created_is_known(repository, asked, facts, &mut notes.questions)
        }
        Needs::Names | Needs::FirstSeen => Ok(()),
    }
}

/// Promotes the newest candidate that may come to the images that this one moves with, too. Where there is none, why the newest may
/// not is the reason to hold.
pub(super) fn with_bars(
    choice: Choice<'_>,
    bars: &BTreeMap<Tag, Exclusion>,
    sites: Vec<(Located, Standing)>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    if bars.is_empty() {
        return with_rejections(choice, sites, notes);
    }
    let newer = newer(choice, &sites);
    let left = choice.ranking.without(bars);
    let choice = Choice {
        ranking: &left,
        ..choice
    };
    let decision = with_rejections(choice, sites, notes);
    let has_none = match &decision {
        Err(HoldReason::Newest) => true,
        Err(HoldReason::NoChoice(hold)) => {
            matches!(
                hold,
                SelectionHold::NoCandidate { .. } | SelectionHold::Below { .. }
            )
        }
        Ok(_) | Err(_) => false,
    };
    match keeps_back(&newer, bars) {
        Some((tag, reason)) if has_none => {
            notes.candidate = Some(tag);
            Err(reason)
        }
        Some(_) | None => decision,
    }
}

/// The candidates that are newer than what stands at some site.
fn newer<'a>(choice: Choice<'a>, sites: &[(Located, Standing)]) -> Vec<&'a Tag> {
    let newer = sites.iter().map(|(_, standing)| {
        let current = known_as(choice.recorded, standing);
        choice.ranking.newer_than(current.as_deref())
    });
    newer.max_by_key(Vec::len).unwrap_or_default()
}

/// Promotes the newest candidate that nobody rejected. Where one that was rejected would come instead or stands there, that
/// is the reason to hold.
pub(super) fn with_rejections(
    choice: Choice<'_>,
    sites: Vec<(Located, Standing)>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let Choice {
        ranking, rejected, ..
    } = choice;
    if rejected.is_empty() {
        return screened(choice, sites, notes);
    }
    let downgrade = choice.subject.environment.downgrade;
    let whole = sites.iter().map(|(_, standing)| {
        let current = standing.tag.as_deref().or(standing.digest.as_deref());
        match ranking.choose(current, downgrade) {
            Selection::Choose { tag, .. } | Selection::Newest { tag } => Some(tag),
            Selection::Hold(_) => None,
        }
    });
    let instead = whole
        .flatten()
        .find_map(|tag| Some((rejected.tag(&tag)?.clone(), tag)));
    notes.barred = rejected.tags();
    notes.barred.extend(passed_over(choice, &sites));
    let left = ranking.without(&notes.barred);
    let choice = Choice {
        ranking: &left,
        ..choice
    };
    match (screened(choice, sites, notes), instead) {
        (Err(HoldReason::Newest | HoldReason::NoChoice(_)), Some((ruling, tag))) => {
            notes.candidate = Some(tag.clone());
            let (version, ruling) = (HeldVersion::Tag(tag), Box::new(ruling));
            Err(HoldReason::Rejected { version, ruling })
        }
        (decision, _) => decision,
    }
}

/// What is not newer than the version that was taken back last since it was degraded: that had taken its place, or a person undid it
/// before.
fn passed_over(choice: Choice<'_>, sites: &[(Located, Standing)]) -> BTreeMap<Tag, Exclusion> {
    let back = choice.recorded.filter(|recorded| recorded.moved.rejects);
    let degraded = back.and_then(|recorded| recorded.moved.replaced.as_deref()?.parse().ok());
    let Some(degraded) = degraded.filter(|tag: &Tag| choice.rejected.tag(tag).is_some()) else {
        return BTreeMap::new();
    };
    let newer_still = choice.ranking.newer_than(Some(degraded.as_str()));
    let words: Arc<str> =
        format!(" with `{degraded}`, which is newer and was degraded here").into();
    let all = newer(choice, sites).into_iter();
    let all = all.filter(|tag| **tag != degraded && !newer_still.contains(tag));
    let rejected = all.map(|tag| {
        let words = words.clone();
        (tag.clone(), Exclusion::Rejected { words })
    });
    rejected.collect()
}

/// Promotes the newest candidate that may come from the environments before and that the gates let pass. Where newer ones
/// only wait, why the newest does is the reason to hold.
fn screened(
    choice: Choice<'_>,
    sites: Vec<(Located, Standing)>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let Choice {
        ranking, screen, ..
    } = choice;
    if screen.is_open() {
        return ordered(choice, (sites, BTreeMap::new()), notes);
    }
    let newer = newer(choice, &sites);
    let mut screened = screen.screen(newer.into_iter(), &mut notes.questions)?;
    let mut left = ranking.without(&screened.barred);
    // What would come though it was not judged is judged too. Each turn judges one, and there are not more than are listed.
    while !screened.is_cut()
        && let Some(tag) = unjudged(choice, &left, (&sites, &screened))
    {
        screen.screen_also(&tag, &mut screened, &mut notes.questions)?;
        left = ranking.without(&screened.barred);
    }
    let is_cut = screened.is_cut();
    let Screened {
        barred,
        first,
        passed,
        next,
        ..
    } = screened;
    notes.next = next;
    notes.barred.extend(barred);
    if let (true, Some((tag, reason))) = (is_cut, &first) {
        notes.candidate = Some(tag.clone());
        return Err(reason.clone());
    }
    let choice = Choice {
        ranking: &left,
        ..choice
    };
    match (ordered(choice, (sites, passed), notes), first) {
        (Err(HoldReason::Newest | HoldReason::NoChoice(_)), Some((tag, reason))) => {
            notes.candidate = Some(tag);
            Err(reason)
        }
        (decision, _) => decision,
    }
}

/// What the rule would have come to some site from `left`, and no gate was asked about.
fn unjudged(
    choice: Choice<'_>,
    left: &Ranking<'_>,
    (sites, screened): (&[(Located, Standing)], &Screened),
) -> Option<Tag> {
    let downgrade = choice.subject.environment.downgrade;
    let mut coming = sites.iter().filter_map(|(_, standing)| {
        let current = known_as(choice.recorded, standing);
        match left.choose(current.as_deref(), downgrade) {
            Selection::Choose { tag, .. } => Some(tag),
            Selection::Newest { .. } | Selection::Hold(_) => None,
        }
    });
    coming.find(|tag| !screened.passed.contains_key(tag))
}

/// Promotes the newest candidate to the sites that have an older version. Where gates judge, it is one of those that passed.
fn ordered(
    choice: Choice<'_>,
    (sites, mut passed): (Vec<(Located, Standing)>, BTreeMap<Tag, Passed>),
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let mut moving: Vec<(Located, Standing, Over)> = Vec::new();
    let mut target = None;
    let is_ours = |standing: &Standing| {
        let recorded = choice.recorded;
        recorded.is_some_and(|recorded| is_written(recorded, standing))
    };
    let stands = sites.iter().any(|(_, standing)| is_ours(standing));
    for (located, standing) in sites {
        // A revert takes a promotion from every site, so an empty one beside it is new.
        let is_new = stands && written(&standing).is_none();
        let recorded = choice.recorded.filter(|_| !is_new);
        match step(Choice { recorded, ..choice }, &standing, notes)? {
            Step::Stay { at } => notes.candidate = Some(at),
            Step::Go { to, over, dated } => {
                // Sites of one image differ at most in the spelling of the same version.
                target.get_or_insert((to, dated));
                moving.push((located, standing, over));
            }
        }
    }
    let Some((tag, dated)) = target else {
        notes.stays = notes.candidate.clone();
        return Err(HoldReason::Newest);
    };
    notes.candidate = Some(tag.clone());
    let repository = &choice.subject.image.repository;
    let facts = choice.screen.facts;
    let Passed { digest, findings } = passed.remove(&tag).unwrap_or_default();
    let digest = match (
        digest,
        choice.subject.environment.write_of(choice.subject.name),
    ) {
        // What is written names the build itself.
        (Some(ran), Write::Digest | Write::TagAndDigest) => ran,
        (ran, _) => {
            let now = digest_of(repository, &tag, facts, &mut notes.questions)?;
            match ran.filter(|ran| *ran != now) {
                Some(ran) => return Err(HoldReason::TagMoved { tag, ran, now }),
                None => now,
            }
        }
    };
    // A digest that stands alone is only known for what it is when the candidate's digest is.
    moving.retain(|(_, standing, _)| {
        standing.tag.is_some() || standing.digest.as_deref() != Some(digest.as_str())
    });
    if moving.is_empty() {
        notes.stays = Some(tag);
        return Err(HoldReason::Newest);
    }
    let ground = moving.iter().map(|(_, _, over)| ground(*over)).max();
    let ground = ground.expect("something moves");
    let moving = moving
        .into_iter()
        .map(|(located, standing, _)| (located, standing))
        .collect();
    let version = Version {
        tag,
        digest: Some(digest),
    };
    Ok(Promote {
        findings,
        ..promote(choice.subject, (version, dated), moving, ground)
    })
}

fn ground(over: Over) -> Ground {
    match over {
        Over::Nothing => Ground::Nothing,
        Over::Older => Ground::Newer,
        Over::Newer => Ground::Downgrade,
        Over::Unordered => Ground::Unordered,
    }
}

/// Where the rule would have one site go, unless a person's decision stands against it.
fn step(choice: Choice<'_>, standing: &Standing, notes: &mut Notes) -> Result<Step, HoldReason> {
    let Choice {
        subject,
        ranking,
        recorded,
        ..
    } = choice;
    let downgrade = subject.environment.downgrade;
    let current = known_as(recorded, standing);
    let (to, over, dated) = match ranking.choose(current.as_deref(), downgrade) {
        Selection::Newest { tag } => return Ok(Step::Stay { at: tag }),
        Selection::Hold(SelectionHold::Unknown {
            tag,
            fact: OrderFact::Pushed,
        }) => return Err(HoldReason::PushPending { tag }),
        Selection::Hold(hold) => return Err(HoldReason::NoChoice(hold)),
        Selection::Choose { tag, over, dated } => (tag, over, dated),
    };
    notes.candidate = Some(to.clone());
    let overwritten = recorded.filter(|recorded| {
        let is_lifted = is_lifted(choice.resumed, subject.name, (recorded, standing));
        !is_written(recorded, standing) && !is_lifted
    });
    match overwritten {
        None => Ok(Step::Go { to, over, dated }),
        Some(recorded) if over == Over::Unordered && !is_reverted_digest(recorded, standing) => {
            Err(HoldReason::Pinned {
                value: written(standing).unwrap_or_default(),
            })
        }
        Some(recorded) => match is_newer_than_undone(choice, &to, recorded) {
            true if over == Over::Unordered => {
                let over = Over::Older;
                Ok(Step::Go { to, over, dated })
            }
            true => Ok(Step::Go { to, over, dated }),
            false => Err(HoldReason::Undone {
                recorded: Box::new(recorded.clone()),
            }),
        },
    }
}

/// The text by which the rule knows what stands there: the tag, also of a digest that a promotion of ours wrote alone.
fn known_as(recorded: Option<&Recorded>, standing: &Standing) -> Option<String> {
    let ours = recorded.filter(|recorded| is_written(recorded, standing));
    let known_by_digest = ours.map(|recorded| recorded.moved.tag.to_string());
    let tag = standing.tag.clone().or(known_by_digest);
    tag.or_else(|| standing.digest.clone())
}

/// Whether the candidate `to` is newer than the promotion that a person wrote over.
///
/// A tag that is gone from the listing was there, and so made, pushed and seen, when it was promoted.
fn is_newer_than_undone(choice: Choice<'_>, to: &Tag, undone: &Recorded) -> bool {
    let tag = &undone.moved.tag;
    let (current, downgrade) = (Some(tag.as_str()), Downgrade::Forbidden);
    let tags = choice.tags;
    let selection = match tags.place_of(tag.as_str()).is_some() {
        true => choice.ranking.choose(current, downgrade),
        false => {
            let by_creation = choice.ranking.fact() == Some(OrderFact::Created);
            let gone = TagFacts {
                tag: tag.clone(),
                pushed: Some(undone.at),
                // A single known time would make creation the order of what has none.
                created: by_creation.then_some(undone.at),
                first_seen: Some(undone.at),
            };
            let to = tags.place_of(to.as_str()).map(|place| {
                let Times {
                    pushed,
                    created,
                    first_seen,
                } = tags.times(place);
                TagFacts {
                    tag: to.clone(),
                    pushed,
                    created,
                    first_seen,
                }
            });
            let known = KnownTags {
                tags: to.into_iter().chain([gone]).collect(),
                pushes: tags.pushes(),
                histories: tags.histories().clone(),
            };
            rank(choice.rule, &known).choose(current, downgrade)
        }
    };
    match selection {
        // The branch was written anew without it: no candidate is what the person undid.
        Selection::Choose { .. } | Selection::Hold(SelectionHold::Strayed { .. }) => true,
        Selection::Newest { .. } | Selection::Hold(_) => false,
    }
}

/// Whether the digest that the promotion replaced stands there again: no rule can order it, and it is older all the same.
fn is_reverted_digest(recorded: &Recorded, standing: &Standing) -> bool {
    standing.tag.is_none()
        && standing.digest.is_some()
        && standing.digest == recorded.moved.replaced
}

/// Whether a person resumed promotions after he wrote what stands there over `recorded`.
pub(super) fn is_lifted(
    resumed: Option<&Resumed>,
    image: &ImageName,
    (recorded, standing): (&Recorded, &Standing),
) -> bool {
    let lifts = |text: Option<String>| {
        let text = text.unwrap_or_default();
        resumed.is_some_and(|resumed| resumed.lifts(recorded, (image, &text)))
    };
    // Earlier versions told the tag alone, which tells nothing where it is the promotion's too.
    let is_told_by_tag = standing.tag.as_deref() != Some(recorded.moved.tag.as_str());
    lifts(written_whole(standing)) || is_told_by_tag && lifts(written(standing))
}

/// Whether what stands there is what the promotion wrote.
fn is_written(recorded: &Recorded, standing: &Standing) -> bool {
    let tag = standing
        .tag
        .as_ref()
        .map(|tag| tag == recorded.moved.tag.as_str());
    let digest = match (&standing.digest, &recorded.moved.digest) {
        (Some(standing), Some(recorded)) => Some(standing == recorded.as_str()),
        (None, _) | (_, None) => None,
    };
    match (tag, digest) {
        (None, None) => false,
        (tag, digest) => tag != Some(false) && digest != Some(false),
    }
}

/// Promotes the digest that a followed tag points to, or by which it ran before.
pub(super) fn followed(
    (tag, rejected): (&Tag, &Rejected),
    (screen, recorded): (&Screen<'_>, Option<&Recorded>),
    sites: Vec<(Located, Standing)>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    notes.candidate = Some(tag.clone());
    let Subject {
        environment,
        name,
        image,
        ..
    } = screen.subject;
    let points_to =
        |notes: &mut Notes| digest_of(&image.repository, tag, screen.facts, &mut notes.questions);
    let (digest, findings) = match environment.candidates(name) {
        Candidates::Registry | Candidates::SameBuild(_) => {
            let digest = points_to(notes)?;
            let passed = screen.judge_followed(tag, &mut notes.questions)?;
            (digest, passed.findings)
        }
        Candidates::Ran(_) => {
            let standing = sites.iter().map(|(_, standing)| standing);
            let newest = screen.newest_digest(tag, standing, &mut notes.questions)?;
            notes.next = newest.next;
            match (newest.passed, newest.first) {
                (Some((digest, findings)), _) => (digest, findings),
                (None, Some(reason)) => return Err(reason),
                (None, None) => return Err(HoldReason::Newest),
            }
        }
    };
    if let Some(ruling) = rejected.tag(tag).or_else(|| rejected.digest(&digest)) {
        let (version, ruling) = (HeldVersion::Digest(digest), Box::new(ruling.clone()));
        return Err(HoldReason::Rejected { version, ruling });
    }
    let has_it = |standing: &Standing| standing.digest.as_deref() == Some(digest.as_str());
    let moving: Vec<_> = sites
        .into_iter()
        .filter(|(_, standing)| !has_it(standing))
        .collect();
    if moving.is_empty() {
        return Err(HoldReason::Newest);
    }
    let undone = recorded.filter(|recorded| {
        let moved = &recorded.moved;
        let is_older = |undone: &Digest| screen.came_before(tag, &digest, undone);
        moved.digest.as_ref() == Some(&digest) || moved.digest.as_ref().is_some_and(is_older)
    });
    if let Some(recorded) = undone {
        return Err(HoldReason::Undone {
            recorded: Box::new(recorded.clone()),
        });
    }
    let version = Version {
        tag: tag.clone(),
        digest: Some(digest),
    };
    Ok(Promote {
        findings,
        ..promote(screen.subject, (version, None), moving, Ground::OtherDigest)
    })
}

pub(super) fn promote(
    subject: Subject<'_>,
    (to, dated): (Version, Option<Dated>),
    moving: Vec<(Located, Standing)>,
    ground: Ground,
) -> Promote {
    let from = replaced(subject, &moving);
    let with = |(located, standing): &(Located, Standing)| {
        shared(&located.file, standing).collect::<Vec<_>>()
    };
    let also = moving.iter().flat_map(with).collect();
    let mut sites: Vec<Located> = moving.into_iter().map(|(located, _)| located).collect();
    sites.dedup();
    Promote {
        to,
        dated,
        from,
        sites,
        also,
        ground,
        findings: Vec::new(),
        moment: Vec::new(),
    }
}

/// What is replaced, in one text: where a tag is followed, its digests are the versions.
fn replaced(subject: Subject<'_>, moving: &[(Located, Standing)]) -> Option<String> {
    let by_digest = subject.environment.rules[subject.name].followed();
    let digests = moving
        .iter()
        .filter_map(|(_, standing)| standing.digest.as_deref().map(on_one_line));
    let digests: BTreeSet<String> = digests.filter(|_| by_digest.is_some()).collect();
    match digests.is_empty() {
        true => current_text(moving),
        false => Some(digests.into_iter().collect::<Vec<_>>().join(", ")),
    }
}
