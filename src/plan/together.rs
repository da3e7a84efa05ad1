//! Images that move together: a release is one tag that all of them have, and all of an environment get it or none does.
//!
//! Each image is judged as if it were alone, but for the tags that another of them lacks or bars, until what they bar is the same
//! for all. So the newest release that passes for all comes, however many newer ones wait.
//! Invariant: where one image is held or unknown, none is promoted, but to what a person pinned.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::decide::{Desk, Notes, Subject, judge};
use super::{HoldReason, Promote};
use crate::image::Tag;
use crate::policy::gate::{Finding, Verdict};
use crate::policy::select::Exclusion;
use crate::world::{BranchName, SeenTags};

/// Why one image keeps another back that moves together with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Apart {
    /// It does not have the tag.
    Lacks,
    /// The tag may not come to it.
    Barred(Arc<Exclusion>),
    /// It has the tag, and another one that is newer there.
    Newer(Tag),
    /// Nothing comes to it, whichever tag it is.
    Held(Box<HoldReason>),
}

/// What was judged of one image, and what came to light on the way.
pub(super) type Judgement = (Result<Promote, HoldReason>, Notes);

/// The tags that may not come to an image, or that it lacks.
type Bars = BTreeMap<Tag, Option<Arc<Exclusion>>>;

/// Judges images that move together; one alone as it is.
pub(super) fn judge_together<'a>(
    group: &'a [(Subject<'a>, BranchName)],
    desk: &mut Desk<'a>,
) -> Vec<Judgement> {
    if let [alone] = group {
        let mut notes = Notes::default();
        return vec![(judge(alone, desk, &BTreeMap::new(), &mut notes), notes)];
    }
    let mut bars: Vec<Bars> = group
        .iter()
        .map(|(subject, _)| lacks(*subject, group, desk))
        .collect();
    loop {
        let mut judged = Vec::new();
        for place in 0..group.len() {
            let others = of_others(place, group, &bars);
            let mut notes = Notes::default();
            let judgement = judge(&group[place], desk, &others, &mut notes);
            judged.push((judgement, notes, others));
        }
        let mut is_stable = true;
        for (bars, (_, notes, _)) in bars.iter_mut().zip(&judged) {
            for (tag, exclusion) in &notes.barred {
                // Each turn adds a tag at least, and there are not more than are listed.
                is_stable &= bars.contains_key(tag);
                bars.entry(tag.clone())
                    .or_insert_with(|| Some(Arc::new(exclusion.clone())));
            }
        }
        if is_stable {
            // What ends a wait of one image may end that of all.
            let nexts = judged.iter().filter_map(|(_, notes, _)| notes.next);
            let whys = bars.iter().flat_map(BTreeMap::values).flatten();
            let nexts = nexts.chain(whys.filter_map(|why| why.finding()?.next));
            let next = nexts.min();
            let judged = judged.into_iter().map(|(judgement, mut notes, others)| {
                notes.barred.extend(others);
                notes.next = next;
                (judgement, notes)
            });
            return agreed(group, judged.collect());
        }
    }
}

/// The tags that others of `group` have and this image has not, where its listing is known.
fn lacks(subject: Subject<'_>, group: &[(Subject<'_>, BranchName)], desk: &Desk<'_>) -> Bars {
    let tags = |subject: Subject<'_>| {
        let known = desk.tags.get(&subject.image.repository)?;
        Some(&known.listing.tags)
    };
    let Some(own) = tags(subject) else {
        return Bars::new();
    };
    let all = group.iter().filter_map(|(other, _)| tags(*other));
    let lacked = all
        .flat_map(SeenTags::names)
        .filter(|tag| !own.contains(tag));
    lacked.map(|tag| (tag.clone(), None)).collect()
}

/// What may not come to the image at `place`, since it may not come to another one.
fn of_others(
    place: usize,
    group: &[(Subject<'_>, BranchName)],
    bars: &[Bars],
) -> BTreeMap<Tag, Exclusion> {
    let mut all = BTreeMap::new();
    let own = &bars[place];
    for (other, ((subject, _), bars)) in group.iter().zip(bars).enumerate() {
        if other == place {
            continue;
        }
        // What bars it here is judged anew in each turn, so that it is asked about what ends that.
        for (tag, why) in bars.iter().filter(|(tag, _)| !own.contains_key(*tag)) {
            all.entry(tag.clone())
                .or_insert_with(|| Exclusion::Together {
                    image: subject.name.clone(),
                    why: why.clone(),
                });
        }
    }
    all
}

/// Of the tags in `newer`, newest first, the one to tell of that others keep back, and why they do.
///
/// What waits and will pass tells more than what is newer and has not come as far.
pub(super) fn keeps_back(
    newer: &[&Tag],
    bars: &BTreeMap<Tag, Exclusion>,
) -> Option<(Tag, HoldReason)> {
    let kept = newer.iter().filter_map(|tag| {
        let Exclusion::Together { image, why } = bars.get(*tag)? else {
            return None;
        };
        let why = why.clone().map_or(Apart::Lacks, Apart::Barred);
        Some((*tag, image, why))
    });
    let kept: Vec<_> = kept.collect();
    let waits = kept.iter().find(|(_, _, why)| !why.settles());
    let (tag, image, why) = waits.or(kept.first())?.clone();
    let (tag, image) = (tag.clone(), image.clone());
    Some((tag.clone(), HoldReason::Together { tag, image, why }))
}

/// Holds each promotion that does not come with the same to all others.
fn agreed(group: &[(Subject<'_>, BranchName)], mut judged: Vec<Judgement>) -> Vec<Judgement> {
    let kept: Vec<_> = (0..judged.len())
        .map(|place| {
            let (Ok(promote), notes) = &judged[place] else {
                return None;
            };
            let mut others = judged.iter().zip(group).enumerate();
            others.find_map(|(other, (judgement, (subject, _)))| {
                let why = (other != place).then(|| apart((promote, notes), judgement))??;
                Some(HoldReason::Together {
                    tag: promote.to.tag.clone(),
                    image: subject.name.clone(),
                    why,
                })
            })
        })
        .collect();
    for ((judgement, _), kept) in judged.iter_mut().zip(kept) {
        if let Some(reason) = kept {
            *judgement = Err(reason);
        }
    }
    tell_who_lacks(group, &mut judged);
    judged
}

/// Says of an image that others wait for what it does not have: of its own tags it has the newest.
fn tell_who_lacks(group: &[(Subject<'_>, BranchName)], judged: &mut [Judgement]) {
    let lacking = judged.iter().filter_map(|(judgement, _)| match judgement {
        Err(
            reason @ HoldReason::Together {
                image,
                why: Apart::Lacks,
                ..
            },
        ) => Some((image.clone(), reason.clone())),
        Ok(_) | Err(_) => None,
    });
    let lacking: BTreeMap<_, _> = lacking.collect();
    for ((judgement, _), (subject, _)) in judged.iter_mut().zip(group) {
        if let (Err(HoldReason::Newest), Some(reason)) = (&*judgement, lacking.get(subject.name)) {
            *judgement = Err(reason.clone());
        }
    }
}

/// Why a promotion may not come without another image, which was judged otherwise.
fn apart((promote, notes): (&Promote, &Notes), (other, others): &Judgement) -> Option<Apart> {
    let held = |reason: &HoldReason| Some(Apart::Held(Box::new(reason.clone())));
    match (&notes.pin, &others.pin) {
        // What a person pins for several images comes to all of them or to none; else it comes by itself.
        (Some(pin), Some(same)) if pin == same => match other {
            Ok(_) | Err(HoldReason::AtPin { .. }) => None,
            Err(reason) => held(reason),
        },
        (Some(_), _) => None,
        (None, Some((version, ruling))) => held(&HoldReason::AtPin {
            version: version.clone(),
            ruling: Box::new(ruling.clone()),
        }),
        (None, None) => match (other, &others.stays) {
            (Ok(other), _) if other.to.tag == promote.to.tag => None,
            (Ok(other), _) => Some(Apart::Newer(other.to.tag.clone())),
            (Err(_), Some(stays)) if *stays == promote.to.tag => None,
            (Err(HoldReason::Newest), Some(stays)) => Some(Apart::Newer(stays.clone())),
            (Err(reason), _) => held(reason),
        },
    }
}

impl Apart {
    /// What holds the other image, where it is not the tag alone.
    pub(super) fn reason(&self) -> Option<&HoldReason> {
        match self {
            Self::Held(reason) => Some(reason),
            Self::Lacks | Self::Barred(_) | Self::Newer(_) => None,
        }
    }

    /// What a gate of the other image found, where one keeps the release back.
    pub(super) fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Barred(why) => why.finding(),
            Self::Lacks | Self::Newer(_) | Self::Held(_) => None,
        }
    }

    /// Whether nothing is left to promote, as far as all facts are known.
    pub(super) fn settles(&self) -> bool {
        match self {
            Self::Lacks => true,
            Self::Barred(why) => {
                let finding = why.finding();
                finding.is_none_or(|finding| finding.verdict == Verdict::Failed)
            }
            Self::Newer(_) => false,
            Self::Held(reason) => reason.settles(),
        }
    }

    /// When time alone could end it, if that is known.
    pub(super) fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Barred(why) => why.finding()?.next,
            Self::Lacks | Self::Newer(_) => None,
            Self::Held(reason) => reason.until(),
        }
    }
}

impl fmt::Display for Apart {
    /// What follows "`v1.5.0` waits for `worker`".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks => f.write_str(", which does not have it yet"),
            Self::Barred(why) => write!(f, ": there it {why}"),
            Self::Newer(newest) => write!(
                f,
                ", where `{newest}` is the newest of those that may come; a release that is the newest of all images ends this"
            ),
            Self::Held(reason) => write!(f, ": {reason}"),
        }
    }
}
