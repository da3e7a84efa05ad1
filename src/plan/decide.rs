//! Decides for one image in one environment: the steps, in order.
//!
//! Each step either yields what the next one needs or a [`HoldReason`]; the first reason wins.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::choice::{Choice, followed, is_lifted, order_is_known, with_bars};
use super::contested::{Contested, Owner};
use super::facts::{ListedTags, branch_facts, histories, image_facts, trusted_listing};
use super::health::{Asked, Connected};
use super::held::{Held, Ruling};
use super::pin::{has, pinned};
use super::ran::{Ran, RanIn};
use super::recover::{degraded, recovered};
use super::remembered::Remembered;
use super::screen::Screen;
use super::standing::{Ask, Located, Standings, current_text, written};
use super::together::{Judgement, judge_together};
use super::{Decided, Decision, Ground, HoldReason, Promote, Scope};
use crate::image::{Repository, Tag};
use crate::ledger::{HeldVersion, Recorded, Rejections};
use crate::manifest::{CommitId, Standing};
use crate::policy::gate::{Condition, Finding};
use crate::policy::select::choose::{Ranking, Selection, compare_names};
use crate::policy::select::{Exclusion, Histories, TagRule};
use crate::policy::{
    After, Deliver, Environment, EnvironmentName, ImageName, OnDegraded, Policy, PolicyImage,
};
use crate::world::{BranchName, Fact, ImageFacts, Question, World};

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

impl<'a> Desk<'a> {
    /// What `rule` makes of the listing of `repository`, which is known.
    fn ranking(&mut self, repository: &'a Repository, rule: &'a TagRule) -> Ranking<'a> {
        let tags = &self.tags[repository];
        let ranked = self.remembered.ranked(rule, tags);
        Ranking::new(rule, tags, ranked)
    }
}

impl<'a> Subject<'a> {
    fn owner(self) -> Owner<'a> {
        Owner::new(self.policy, &self.environment.name, self.name)
    }
}

/// What comes to light on the way to a decision, whichever it is.
#[derive(Default)]
pub(super) struct Notes {
    current: Option<String>,
    pub(super) health: Option<Condition>,
    pub(super) candidate: Option<Tag>,
    pub(super) questions: BTreeSet<Question>,
    /// When time alone may let a candidate pass that waits.
    pub(super) next: Option<Timestamp>,
    /// The candidates that may not come, or not yet.
    pub(super) barred: BTreeMap<Tag, Exclusion>,
    /// What stands at all sites, where it is the newest of the candidates that may come.
    pub(super) stays: Option<Tag>,
    /// What a person pinned.
    pub(super) pin: Option<(HeldVersion, Ruling)>,
}

/// What decisions are made from, and what they share.
pub(super) struct Desk<'a> {
    pub(super) world: &'a World,
    pub(super) scope: &'a Scope<'a>,
    pub(super) rejections: &'a Rejections,
    pub(super) now: Timestamp,
    pub(super) tags: &'a BTreeMap<&'a Repository, ListedTags<'a>>,
    standings: &'a Standings,
    contested: &'a Contested<'a>,
    pub(super) connected: &'a Connected<'a>,
    /// What each rule makes of each listing, once however many policies share the two.
    remembered: &'a mut Remembered,
}

/// Decides for every image in every environment where it stands.
pub(super) fn decide_all(
    scope: &Scope<'_>,
    (world, rejections): (&World, &Rejections),
    (now, remembered): (Timestamp, &mut Remembered),
) -> Vec<Judged> {
    let facts = (scope, world, rejections, now);
    at_desk(facts, remembered, |subjects, desk| {
        let mut all = Vec::new();
        for group in subjects.chunk_by(moves_with) {
            let judged = judge_together(group, desk);
            let subjects = group.iter().map(|(subject, _)| *subject);
            all.extend(
                subjects
                    .zip(judged)
                    .map(|(subject, judged)| decide(subject, judged, desk.now)),
            );
        }
        all
    })
}

/// The candidates for `image` that may not come to `environment`, or not yet, each with what bars it: as far down as to the
/// newest that may, or to what stands there.
pub(super) fn barred(
    scope: &Scope<'_>,
    (world, rejections): (&World, &Rejections),
    (environment, image): (&EnvironmentName, &ImageName),
    now: Timestamp,
) -> BTreeMap<Tag, Exclusion> {
    let facts = (scope, world, rejections, now);
    at_desk(facts, &mut Remembered::default(), |subjects, desk| {
        let is_meant = |(subject, _): &(Subject<'_>, BranchName)| {
            (&subject.environment.name, subject.name) == (environment, image)
        };
        let mut groups = subjects.chunk_by(moves_with);
        let meant = groups.find_map(|group| Some((group, group.iter().position(is_meant)?)));
        meant.map_or_else(BTreeMap::new, |(group, place)| {
            let (_, notes) = judge_together(group, desk).swap_remove(place);
            notes.barred
        })
    })
}

/// Lays out what decisions are made from.
pub(super) fn at_desk<T>(
    (scope, world, rejections, now): (&Scope<'_>, &World, &Rejections, Timestamp),
    remembered: &mut Remembered,
    work: impl for<'a> FnOnce(&'a [(Subject<'a>, BranchName)], &mut Desk<'a>) -> T,
) -> T {
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
    let standings = Standings::read(asks, world, remembered);
    let known = |(_, branch): &&(Subject<'_>, BranchName)| branch_facts(branch, world).is_ok();
    let written = subjects.iter().filter(known).flat_map(|(subject, branch)| {
        let place = (branch, &subject.image.repository);
        let each = standings.each(subject.environment, subject.name, place);
        each.map(move |(_, standings)| (subject.owner(), branch, standings))
    });
    let histories = histories(world);
    let mut desk = Desk {
        world,
        scope,
        rejections,
        now,
        tags: &listed_tags(world, &histories),
        standings: &standings,
        contested: &Contested::among(written),
        connected: &Connected::of(world),
        remembered,
    };
    work(&subjects, &mut desk)
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

/// Whether two images, one after the other, move together.
fn moves_with((a, _): &(Subject<'_>, BranchName), (b, _): &(Subject<'_>, BranchName)) -> bool {
    a.policy.together
        && (&a.policy.name, &a.environment.name) == (&b.policy.name, &b.environment.name)
}

/// The tags of every image whose listing is known.
fn listed_tags<'a>(
    world: &'a World,
    histories: &'a Arc<Histories>,
) -> BTreeMap<&'a Repository, ListedTags<'a>> {
    let known = |(repository, facts): (&'a Repository, &'a ImageFacts)| {
        Some((repository, ListedTags::of(facts, histories)?))
    };
    world.images.iter().filter_map(known).collect()
}

fn decide(subject: Subject<'_>, (judged, mut notes): Judgement, now: Timestamp) -> Judged {
    let decision = match judged.and_then(|promote| now_or_later(promote, subject, now, &mut notes))
    {
        Ok(promote) => Decision::Promote(promote),
        Err(reason) => Decision::Hold(reason),
    };
    let Notes {
        current,
        health,
        candidate,
        questions,
        next,
        barred: _,
        stays: _,
        pin: _,
    } = notes;
    let until = match &decision {
        Decision::Hold(reason) => reason.until(),
        Decision::Promote(_) => None,
    };
    let next = until.into_iter().chain(next).min();
    let decided = Decided {
        policy: subject.policy.name.clone(),
        environment: subject.environment.name.clone(),
        image: subject.name.clone(),
        repository: subject.image.repository.clone(),
        current,
        candidate,
        decision,
        health,
        next,
    };
    Judged { decided, questions }
}

/// Judges one image, to which the tags in `bars` may not come, since they may not come to an image that it moves with.
pub(super) fn judge<'a>(
    (subject, branch): &'a (Subject<'a>, BranchName),
    desk: &mut Desk<'a>,
    bars: &BTreeMap<Tag, Exclusion>,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let subject = *subject;
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
    let place = (branch, at_head.head.as_ref());
    notes.health = health(
        subject,
        place,
        (&sites, recorded),
        desk,
        &mut notes.questions,
    );

    let named = (policy, &environment.name, name);
    let held = Held::of(desk.scope, (world, desk.rejections), named, desk.now)?;
    if let Some(ruling) = held.stop {
        return Err(HoldReason::Stopped {
            ruling: Box::new(ruling),
        });
    }
    if let Some((version, ruling)) = held.pin {
        notes.pin = Some((version.clone(), ruling.clone()));
        return pinned((version, ruling), subject, sites, (world, notes));
    }
    let standing: Vec<_> = match environment.on_degraded {
        OnDegraded::Hold => Vec::new(),
        OnDegraded::Rollback { .. } => sites.clone(),
    };
    let rejected = held.rejected(image_facts(repository, world)?);
    let now = desk.now;
    let chosen = chosen(subject, (sites, recorded), held, (desk, bars), notes);
    let brought = recorded.filter(|recorded| {
        let brought = Ran::brought(recorded);
        !standing.is_empty() && standing.iter().all(|(_, standing)| brought.is_at(standing))
    });
    let reason = match chosen {
        Ok(promote) => return Ok(promote),
        Err(reason) => degraded(reason, (subject, now), brought, notes),
    };
    match brought.filter(|_| !reason.is_unknown()) {
        Some(recorded) => {
            let sites = (standing, recorded, &at_head.ledger);
            let recovered = recovered(subject, sites, &rejected, (world, now), notes);
            recovered.unwrap_or(Err(reason))
        }
        None => Err(reason),
    }
}

/// The version that the rule and the gates choose for `sites`, where nobody stopped or pinned it.
fn chosen<'a>(
    subject: Subject<'a>,
    (sites, recorded): (Vec<(Located, Standing)>, Option<&Recorded>),
    held: Held<'_>,
    (desk, bars): (&mut Desk<'a>, &BTreeMap<Tag, Exclusion>),
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    let Subject {
        environment,
        name,
        image,
        ..
    } = subject;
    let (repository, world) = (&image.repository, desk.world);
    let facts = image_facts(repository, world)?;
    let rejected = held.rejected(facts);
    let listing = trusted_listing(repository, facts, desk.now)?;
    let rule = &environment.rules[name];
    let screen = Screen {
        subject,
        facts,
        before: ran_before(subject, desk)?,
        approved: &held.approved,
        answers: &world.checks,
        now: desk.now,
    };
    let tags = &desk.tags[repository];
    let ranking = &desk.ranking(repository, rule);
    let Some(tag) = rule.followed() else {
        let choice = Choice {
            subject,
            rule,
            tags,
            ranking,
            recorded,
            rejected: &rejected,
            resumed: held.resumed,
            screen: &screen,
        };
        order_is_known(choice, &sites, (listing, facts, world), notes)?;
        return with_bars(choice, bars, sites, notes);
    };
    match ranking.choose(None, environment.downgrade) {
        Selection::Hold(hold) => Err(HoldReason::NoChoice(hold)),
        Selection::Choose { .. } | Selection::Newest { .. } => {
            let recorded = recorded.filter(|recorded| {
                let is_lifted =
                    |(_, standing): &_| is_lifted(held.resumed, name, (recorded, standing));
                !sites.iter().all(is_lifted)
            });
            followed((tag, &rejected), (&screen, recorded), sites, notes)
        }
    }
}

/// Promotes at a moment that the gates allow. What people merge is proposed at any time; what they pin, and
/// what brings a degraded environment back, comes at once.
fn now_or_later(
    promote: Promote,
    subject: Subject<'_>,
    now: Timestamp,
    notes: &mut Notes,
) -> Result<Promote, HoldReason> {
    if matches!(promote.ground, Ground::Pinned { .. } | Ground::Degraded) {
        return Ok(promote);
    }
    let moment = subject.environment.gates.judge_moment(now);
    let nexts = moment.iter().filter_map(|finding| finding.next);
    notes.next = notes.next.into_iter().chain(nexts).min();
    match (&subject.environment.deliver, Finding::weightiest(&moment)) {
        (Deliver::Commit { .. }, Some(finding)) => Err(HoldReason::Gated {
            tag: promote.to.tag,
            finding: Box::new(finding.clone()),
        }),
        (Deliver::Commit { .. }, None) | (Deliver::PullRequest(_), _) => {
            Ok(Promote { moment, ..promote })
        }
    }
}

/// How Argo CD has what stands at the first of `sites`, as far as it is known.
fn health<'a>(
    Subject {
        policy,
        environment,
        name,
        ..
    }: Subject<'a>,
    place: (&BranchName, Option<&'a CommitId>),
    (sites, recorded): (&[(Located, Standing)], Option<&Recorded>),
    desk: &Desk<'a>,
    questions: &mut BTreeSet<Question>,
) -> Option<Condition> {
    if !desk.connected.is_connected() {
        return None;
    }
    let (_, first) = sites.first()?;
    let brought = recorded.map(Ran::brought);
    let brought = brought.filter(|brought| brought.is_at(first));
    let version = brought.or_else(|| Ran::standing(first))?;
    let watch = desk
        .connected
        .watch((desk.scope, policy), (environment, name), place)?;
    let asked = Asked {
        stands: true,
        ..version.asked()
    };
    watch.condition(asked, questions).ok()
}

/// What ran in the environments that versions come from.
pub(super) fn ran_before<'a>(
    subject: Subject<'a>,
    desk: &mut Desk<'a>,
) -> Result<Vec<RanIn<'a>>, HoldReason> {
    let Some(After { environments, .. }) = &subject.environment.after else {
        return Ok(Vec::new());
    };
    let before = environments.iter().map(|before| {
        let mut all = subject.policy.environments.iter();
        let before = all.find(|environment| environment.name == *before);
        before.expect("a policy is checked to have the environments that it names")
    });
    before.map(|before| ran_in(before, subject, desk)).collect()
}

pub(super) fn ran_in<'a>(
    before: &'a Environment,
    subject: Subject<'a>,
    desk: &mut Desk<'a>,
) -> Result<RanIn<'a>, HoldReason> {
    let Subject {
        policy,
        environment: _,
        name,
        image,
    } = subject;
    let (world, rejections) = (desk.world, desk.rejections);
    let branch = desk.scope.branch(policy, before);
    let at_head = branch_facts(&branch, world)?;
    let place = (&branch, &image.repository);
    let sites = desk.standings.of(before, name, place);
    let sites = sites.map_err(|why| HoldReason::SiteRefused {
        why: format!("what runs in `{}` cannot be read: {why}", before.name),
    })?;
    let named = (policy, &before.name, name);
    let held = Held::of(desk.scope, (world, rejections), named, desk.now)?;
    let facts = image_facts(&image.repository, world)?;
    let rejected = held.rejected(facts);
    if let Fact::Unknown { why } = &facts.listing {
        return Err(HoldReason::RegistryUnknown {
            repository: image.repository.clone(),
            why: why.clone(),
        });
    }
    let rule = &before.rules[name];
    let text = |standing: &Standing| match rule.followed() {
        // The digest is the version.
        Some(_) => standing.digest.clone().or_else(|| written(standing)),
        None => written(standing),
    };
    let is_pinned = |standing: &Standing| match &held.pin {
        Some((version, _)) => has(standing, version),
        None => true,
    };
    let sites = sites.iter().map(|(_, standing)| standing);
    let standing: Vec<String> = sites.clone().filter_map(text).collect();
    let ranking = desk.ranking(&image.repository, rule);
    let compare = |text: &str, other: &Tag| match compare_names(rule, text, other) {
        // Two spellings of one version have an order where both are candidates.
        Some(Ordering::Equal) if text != other.as_str() => {
            let order = ranking.compare(text, other.as_str());
            order.or(Some(Ordering::Equal))
        }
        Some(order) => Some(order),
        None => ranking.compare(text, other.as_str()),
    };
    let key = (&policy.name, &before.name, name);
    let mut runs = at_head.ledger.runs(key, &standing, &compare);
    if let Some((version, _)) = &held.pin {
        // What a pin takes back is not to go on with the same push.
        runs = runs.where_stands(&[version.to_string()], &compare);
    }
    let mut ran_in = RanIn::new(before, runs, sites.filter(|standing| is_pinned(standing)));
    if subject.environment.gates.healthy.is_some() {
        let head = at_head.head.as_ref();
        let (whose, named) = ((desk.scope, policy), (before, name));
        ran_in.watch = desk.connected.watch(whose, named, (&branch, head));
    }
    ran_in.versions.retain(|ran| {
        let digest = ran.digest.as_ref();
        let by_digest = digest.and_then(|digest| rejected.digest(digest));
        rejected.tag(&ran.tag).or(by_digest).is_none()
    });
    Ok(ran_in)
}
