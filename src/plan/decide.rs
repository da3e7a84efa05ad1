//! Decides for one image in one environment: the steps, in order.
//!
//! Each step either yields what the next one needs or a [`HoldReason`]; the first reason wins.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::contested::{Contested, Owner};
use super::facts::{
    branch_facts, commits_are_known, created_is_known, digest_of, histories, image_facts,
    known_tags, pushes_are_known, trusted_listing,
};
use super::held::{Held, Rejected};
use super::pin::pinned;
use super::standing::{Ask, Located, Standings, on_one_line, shared};
use super::{Decided, Decision, Ground, HoldReason, Promote, Scope};
use crate::image::{Repository, Tag};
use crate::ledger::{HeldVersion, Recorded, Rejections, Resumed};
use crate::manifest::{Standing, Version};
use crate::policy::select::choose::{Downgrade, Over, Ranking, Selection, SelectionHold, rank};
use crate::policy::select::rule::Needs;
use crate::policy::select::{Dated, Fact as OrderFact, KnownTags, TagFacts, TagRule};
use crate::policy::{Environment, ImageName, Policy, PolicyImage};
use crate::world::{BranchName, Fact, ImageFacts, Listing, Question, World};

/// A decision, and what it would have liked to know.
pub(super) struct Judged {
    pub(super) decided: Decided,
    pub(super) questions: BTreeSet<Question>,
}

/// What is decided about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) policy: &'a Policy,
    pub(super) environment: &'a Environment,
    pub(super) name: &'a ImageName,
    pub(super) image: &'a PolicyImage,
}

impl<'a> Subject<'a> {
    fn owner(self) -> Owner<'a> {
        (&self.policy.name, &self.environment.name, self.name)
    }
}

/// What comes to light on the way to a decision, whichever it is.
#[derive(Default)]
pub(super) struct Notes {
    current: Option<String>,
    pub(super) candidate: Option<Tag>,
    pub(super) questions: BTreeSet<Question>,
}

/// What decisions are made from, and what they share.
struct Desk<'a> {
    world: &'a World,
    scope: &'a Scope<'a>,
    rejections: &'a Rejections,
    now: Timestamp,
    tags: &'a BTreeMap<&'a Repository, KnownTags>,
    standings: &'a Standings<'a>,
    contested: &'a Contested<'a>,
    /// What each rule makes of each listing, once however many policies share the two.
    rankings: BTreeMap<(&'a Repository, &'a TagRule), Ranking<'a>>,
}

/// What an ordering rule chooses from.
#[derive(Clone, Copy)]
struct Choice<'a> {
    subject: Subject<'a>,
    rule: &'a TagRule,
    tags: &'a KnownTags,
    ranking: &'a Ranking<'a>,
    recorded: Option<&'a Recorded>,
    rejected: &'a Rejected,
    resumed: Option<&'a Resumed>,
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

/// Decides for every image in every environment where it stands.
pub(super) fn decide_all(
    scope: &Scope<'_>,
    (world, rejections): (&World, &Rejections),
    now: Timestamp,
) -> Vec<Judged> {
    let subjects = subjects(scope);
    let asks = subjects.iter().flat_map(|(subject, branch)| {
        let image = &subject.image.repository;
        let sites = subject.environment.sites_of(subject.name);
        sites.map(move |site| Ask {
            branch,
            site,
            image,
        })
    });
    let standings = Standings::read(asks, world);
    let known = |(_, branch): &&(Subject<'_>, BranchName)| branch_facts(branch, world).is_ok();
    let written = subjects.iter().filter(known).flat_map(|(subject, branch)| {
        let place = (branch, &subject.image.repository);
        let each = standings.each(subject.environment, subject.name, place);
        each.map(move |(_, standings)| (subject.owner(), branch, standings))
    });
    let mut desk = Desk {
        world,
        scope,
        rejections,
        now,
        tags: &all_known_tags(world),
        standings: &standings,
        contested: &Contested::among(written),
        rankings: BTreeMap::new(),
    };
    let judged = subjects
        .iter()
        .map(|(subject, branch)| decide(*subject, branch, &mut desk));
    judged.collect()
}

/// What is decided about, with the branch that it is written to.
fn subjects<'a>(scope: &Scope<'a>) -> Vec<(Subject<'a>, BranchName)> {
    let mut subjects = Vec::new();
    for policy in scope.policies {
        for environment in &policy.environments {
            let branch = scope.branch(policy, environment);
            for (name, image) in &policy.images {
                if environment.sites_of(name).next().is_some() {
                    let subject = Subject {
                        policy,
                        environment,
                        name,
                        image,
                    };
                    subjects.push((subject, branch.clone()));
                }
            }
        }
    }
    subjects
}

/// The tags of every image whose listing is known.
fn all_known_tags(world: &World) -> BTreeMap<&Repository, KnownTags> {
    let histories = histories(world);
    let known = |(repository, facts): (_, &ImageFacts)| match &facts.listing {
        Fact::Known(listing) => Some((repository, known_tags(facts, listing, histories.clone()))),
        Fact::Unknown { .. } => None,
    };
    world.images.iter().filter_map(known).collect()
}

fn decide<'a>(subject: Subject<'a>, branch: &'a BranchName, desk: &mut Desk<'a>) -> Judged {
    let mut notes = Notes::default();
    let decision = match judge(subject, branch, desk, &mut notes) {
        Ok(promote) => Decision::Promote(promote),
        Err(reason) => Decision::Hold(reason),
    };
    let Notes {
        current,
        candidate,
        questions,
    } = notes;
    let next = match &decision {
        Decision::Hold(reason) => reason.until(),
        Decision::Promote(_) => None,
    };
    let decided = Decided {
        policy: subject.policy.name.clone(),
        environment: subject.environment.name.clone(),
        image: subject.name.clone(),
        repository: subject.image.repository.clone(),
        current,
        candidate,
        decision,
        next,
    };
    Judged { decided, questions }
}

fn judge<'a>(
    subject: Subject<'a>,
    branch: &'a BranchName,
    desk: &mut Desk<'a>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let Subject {
        policy,
        environment,
        name,
        image,
    } = subject;
    let repository = &image.repository;
    let world = desk.world;
    let at_head = branch_facts(branch, world)?;
    let sites = desk
        .standings
        .of(environment, name, (branch, repository))
        .map_err(|why| HoldReason::SiteRefused { why })?;
    notes.current = current_text(&sites);
    let contested = desk.contested.by_another(subject.owner(), (branch, &sites));
    if let Some(why) = contested {
        return Err(HoldReason::SiteRefused { why });
    }
    let recorded = at_head.ledger.latest(&policy.name, &environment.name, name);
    let recorded = recorded.filter(|recorded| recorded.moved.repository == *repository);

    let named = (policy, &environment.name, name);
    let held = Held::of(desk.scope, (world, desk.rejections), named, desk.now)?;
    if let Some(ruling) = held.stop {
        return Err(HoldReason::Stopped {
            ruling: Box::new(ruling),
        });
    }
    if let Some(pin) = held.pin {
        return pinned(pin, subject, sites, (world, notes));
    }
    let facts = image_facts(repository, world)?;
    let rejected = held.rejected(facts);
    let listing = trusted_listing(repository, facts, desk.now)?;
    let rule = &environment.rules[name];
    let tags = &desk.tags[repository];
    let ranking = desk.rankings.entry((repository, rule));
    let ranking = ranking.or_insert_with(|| rank(rule, tags));
    let Some(tag) = rule.followed() else {
        let choice = Choice {
            subject,
            rule,
            tags,
            ranking,
            recorded,
            rejected: &rejected,
            resumed: held.resumed,
        };
        order_is_known(choice, &sites, (listing, facts, world), notes)?;
        return with_rejections(choice, sites, facts, notes);
    };
    match ranking.choose(None, environment.downgrade) {
        Selection::Hold(hold) => Err(HoldReason::NoChoice(hold)),
        Selection::Choose { .. } | Selection::Newest { .. } => {
            let recorded = recorded.filter(|recorded| {
                let is_lifted =
                    |(_, standing): &_| is_lifted(held.resumed, name, (recorded, standing));
                !sites.iter().all(is_lifted)
            });
            followed((tag, &rejected), (subject, recorded), sites, (facts, notes))
        }
    }
}

/// Whether that is known by which the rule orders what it chooses from and what stands there.
fn order_is_known(
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
    match rule.needs(tags.pushes) {
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

/// What stands at the sites, in one text; several where they differ.
fn current_text(sites: &[(Located, Standing)]) -> Option<String> {
    let texts: BTreeSet<String> = sites
        .iter()
        .filter_map(|(_, standing)| written(standing))
        .collect();
    (!texts.is_empty()).then(|| texts.into_iter().collect::<Vec<_>>().join(", "))
}

/// A version as it stands, on one line: the tag, or the digest where there is no tag.
pub(crate) fn written(standing: &Standing) -> Option<String> {
    let text = standing.tag.as_ref().or(standing.digest.as_ref())?;
    Some(on_one_line(text))
}

/// Promotes the newest candidate that nobody rejected. Where one that was rejected would come instead or stands there, that
/// is the reason to hold.
fn with_rejections(
    choice: Choice<'_>,
    sites: Vec<(Located, Standing)>,
    facts: &ImageFacts,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let Choice {
        ranking, rejected, ..
    } = choice;
    if rejected.is_empty() {
        return ordered(choice, sites, facts, notes);
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
    let left = ranking.without(&rejected.tags());
    let choice = Choice {
        ranking: &left,
        ..choice
    };
    match (ordered(choice, sites, facts, notes), instead) {
        (Err(HoldReason::Newest | HoldReason::NoChoice(_)), Some((ruling, tag))) => {
            notes.candidate = Some(tag.clone());
            let (version, ruling) = (HeldVersion::Tag(tag), Box::new(ruling));
            Err(HoldReason::Rejected { version, ruling })
        }
        (decision, _) => decision,
    }
}

/// Promotes the newest candidate to the sites that have an older version.
fn ordered(
    choice: Choice<'_>,
    sites: Vec<(Located, Standing)>,
    facts: &ImageFacts,
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
        return Err(HoldReason::Newest);
    };
    notes.candidate = Some(tag.clone());
    let repository = &choice.subject.image.repository;
    let digest = digest_of(repository, &tag, facts, &mut notes.questions)?;
    // A digest that stands alone is only known for what it is when the candidate's digest is.
    moving.retain(|(_, standing, _)| {
        standing.tag.is_some() || standing.digest.as_deref() != Some(digest.as_str())
    });
    if moving.is_empty() {
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
    Ok(promote((version, dated), moving, ground))
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
    let ours = recorded.filter(|recorded| is_written(recorded, standing));
    let known_by_digest = ours.map(|recorded| recorded.moved.tag.to_string());
    let current = standing
        .tag
        .clone()
        .or(known_by_digest)
        .or_else(|| standing.digest.clone());
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
        Some(recorded) => match is_newer_than_undone(choice, recorded) {
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

/// Whether the best candidate is newer than the promotion that a person wrote over.
///
/// A tag that is gone from the listing was there, and so made, pushed and seen, when it was promoted.
fn is_newer_than_undone(choice: Choice<'_>, undone: &Recorded) -> bool {
    let tag = &undone.moved.tag;
    let (current, downgrade) = (Some(tag.as_str()), Downgrade::Forbidden);
    let selection = match choice.tags.tags.iter().any(|facts| facts.tag == *tag) {
        true => choice.ranking.choose(current, downgrade),
        false => {
            let gone = TagFacts {
                tag: tag.clone(),
                pushed: Some(undone.at),
                created: Some(undone.at),
                first_seen: Some(undone.at),
            };
            let mut tags = choice.tags.clone();
            tags.tags.push(gone);
            let ranking = rank(choice.rule, &tags).without(&choice.rejected.tags());
            ranking.choose(current, downgrade)
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
fn is_lifted(
    resumed: Option<&Resumed>,
    image: &ImageName,
    (recorded, standing): (&Recorded, &Standing),
) -> bool {
    let text = written(standing).unwrap_or_default();
    resumed.is_some_and(|resumed| resumed.lifts(recorded, (image, &text)))
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

/// Promotes the digest that a followed tag points to.
fn followed(
    (tag, rejected): (&Tag, &Rejected),
    (subject, recorded): (Subject<'_>, Option<&Recorded>),
    sites: Vec<(Located, Standing)>,
    (facts, notes): (&ImageFacts, &mut Notes),
) -> Result<Promote, HoldReason> {
    notes.candidate = Some(tag.clone());
    let repository = &subject.image.repository;
    let digest = digest_of(repository, tag, facts, &mut notes.questions)?;
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
    let undone = recorded.filter(|recorded| recorded.moved.digest.as_ref() == Some(&digest));
    if let Some(recorded) = undone {
        return Err(HoldReason::Undone {
            recorded: Box::new(recorded.clone()),
        });
    }
    let version = Version {
        tag: tag.clone(),
        digest: Some(digest),
    };
    Ok(promote((version, None), moving, Ground::OtherDigest))
}

pub(super) fn promote(
    (to, dated): (Version, Option<Dated>),
    moving: Vec<(Located, Standing)>,
    ground: Ground,
) -> Promote {
    let from = current_text(&moving);
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
    }
}
