//! The whole chain of one version of an image: in each environment, in the order in which versions come through them, whether it
//! is a candidate there, whether it ran, and what each gate finds, also those that pass.
//!
//! Invariant: it follows from the same screen as the decisions, so the two never disagree.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::decide::{Desk, Subject, at_desk, ran_before, ran_in};
use super::facts::{branch_facts, digest_of};
use super::held::{Held, rejections};
use super::ran::{Ran, RanIn};
use super::remembered::Remembered;
use super::screen::Screen;
use super::{Decided, Decision, Explained, HoldReason, Scope, explain};
use crate::image::{Digest, Tag};
use crate::manifest::CommitId;
use crate::policy::gate::{Condition, Finding, GateName, Gates, Verdict as Found};
use crate::policy::select::explain::Verdict;
use crate::policy::{Environment, EnvironmentName, ImageName, Policy};
use crate::world::{BranchName, Question, World};

/// What became of one version of one image.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) tag: Tag,
    pub(crate) digest: Option<Digest>,
    /// Those before stand before those after.
    pub(crate) stops: Vec<Stop>,
    /// What would be known better with an answer.
    pub(crate) questions: BTreeSet<Question>,
}

/// One environment on the way of a version.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) after: Vec<EnvironmentName>,
    pub(crate) decided: Decided,
    /// Whether it is a candidate here; `None` where the registry does not list it, or its tags are unknown.
    pub(crate) verdict: Option<Verdict>,
    /// Where it ran here; or why that is not known.
    pub(crate) ran: Result<Option<Run>, HoldReason>,
    /// What each gate finds, those of the moment last; or why they cannot be asked.
    pub(crate) gates: Result<Vec<Finding>, String>,
}

/// How a version ran in an environment.
#[derive(Debug)]
pub(crate) struct Run {
    /// By this tag of the same build.
    pub(crate) tag: Tag,
    pub(crate) since: Option<Timestamp>,
    pub(crate) commit: Option<CommitId>,
    pub(crate) pull_request: Option<u64>,
    pub(crate) stands: bool,
    /// `None` where Argo CD is not connected or does not deploy it.
    pub(crate) health: Option<Condition>,
}

/// Tells the chain of `tag` of one image, through all environments of its policy.
pub(crate) fn chain(
    scope: &Scope<'_>,
    (policy, image): (&Policy, &ImageName),
    (world, now): (&World, Timestamp),
    tag: &Tag,
) -> Chain {
    let repository = &policy.images[image].repository;
    let mut questions = BTreeSet::new();
    let digest = world.images.get(repository).and_then(|facts| {
        let digest = digest_of(repository, tag, facts, &mut questions);
        digest.ok()
    });
    let rejections = rejections(scope, world);
    let facts = (scope, world, &rejections, now);
    let mut lived = at_desk(facts, &mut Remembered::default(), |subjects, desk| {
        let of_image = |(subject, _): &&(Subject<'_>, BranchName)| {
            (&subject.policy.name, subject.name) == (&policy.name, image)
        };
        let mut lived = BTreeMap::new();
        for subject in subjects.iter().filter(of_image) {
            let ran = ran(subject, desk, (tag, digest.as_ref()), &mut questions);
            let gates = gates(subject.0, desk, tag, &mut questions);
            lived.insert(subject.0.environment.name.clone(), (ran, gates));
        }
        lived
    });
    let stops = in_order(policy).into_iter().filter_map(|environment| {
        let (ran, gates) = lived.remove(&environment.name)?;
        let explained = explain(scope, (policy, environment), (world, now));
        let mut of_image = explained.into_iter();
        let Explained { decided, tags } = of_image.find(|one| one.decided.image == *image)?;
        let after = environment.after.as_ref();
        Some(Stop {
            after: after
                .map(|after| after.environments.clone())
                .unwrap_or_default(),
            decided,
            verdict: tags
                .into_iter()
                .find_map(|(other, verdict)| (other == *tag).then_some(verdict)),
            ran,
            gates,
        })
    });
    let stops = stops.collect();
    Chain {
        tag: tag.clone(),
        digest,
        stops,
        questions,
    }
}

/// The environments, each behind those that versions come to it from; else as they are written.
fn in_order(policy: &Policy) -> Vec<&Environment> {
    let mut ordered: Vec<&Environment> = Vec::new();
    let mut left: Vec<&Environment> = policy.environments.iter().collect();
    while !left.is_empty() {
        let is_next = |environment: &&Environment| {
            let before = environment
                .after
                .iter()
                .flat_map(|after| &after.environments);
            let mut waits = before.filter(|name| left.iter().any(|other| other.name == **name));
            waits.next().is_none()
        };
        // A policy is checked to have no circle.
        let place = left.iter().position(is_next).unwrap_or_default();
        ordered.push(left.remove(place));
    }
    ordered
}

/// How `tag`, or the same build by another tag, ran in the environment of `subject`.
fn ran<'a>(
    (subject, branch): &'a (Subject<'a>, BranchName),
    desk: &mut Desk<'a>,
    (tag, digest): (&Tag, Option<&Digest>),
    questions: &mut BTreeSet<Question>,
) -> Result<Option<Run>, HoldReason> {
    let RanIn { versions, runs, .. } = ran_in(subject.environment, *subject, desk)?;
    let is_build = |ran: &&Ran| digest.is_some() && ran.digest.as_ref() == digest;
    let by_tag = versions.iter().rfind(|ran| ran.tag == *tag);
    let Some(ran) = by_tag.or_else(|| versions.iter().rfind(is_build)) else {
        return Ok(None);
    };
    let head = branch_facts(branch, desk.world)?.head.as_ref();
    let named = (subject.environment, subject.name);
    let watch = desk
        .connected
        .watch((desk.scope, subject.policy), named, (branch, head));
    let watch = watch.filter(|_| desk.connected.is_connected());
    let health = watch.map(|watch| watch.condition(ran.asked(), questions));
    let recorded = runs.iter().rfind(|recorded| {
        let moved = &recorded.moved;
        (&moved.tag, &moved.digest) == (&ran.tag, &ran.digest)
    });
    Ok(Some(Run {
        tag: ran.tag.clone(),
        since: ran.since,
        commit: ran.commit.clone(),
        pull_request: recorded.and_then(|recorded| recorded.pull_request),
        stands: ran.stands,
        health: health.transpose()?,
    }))
}

/// What the gates find of `tag` in the environment of `subject`.
fn gates<'a>(
    subject: Subject<'a>,
    desk: &mut Desk<'a>,
    tag: &Tag,
    questions: &mut BTreeSet<Question>,
) -> Result<Vec<Finding>, String> {
    let Some(facts) = desk.world.images.get(&subject.image.repository) else {
        return Err("the tags of the image have not been listed yet".to_owned());
    };
    let before = ran_before(subject, desk).map_err(|reason| reason.to_string())?;
    let named = (subject.policy, &subject.environment.name, subject.name);
    let held = Held::of(desk.scope, (desk.world, desk.rejections), named, desk.now);
    let held = held.map_err(|reason| reason.to_string())?;
    let screen = Screen {
        subject,
        facts,
        before,
        approved: &held.approved,
        answers: &desk.world.checks,
        now: desk.now,
    };
    let found = screen.findings(tag, questions);
    match found.map_err(|reason| reason.to_string())? {
        Ok(mut findings) => {
            findings.extend(subject.environment.gates.judge_moment(desk.now));
            findings.extend(not_yet_asked(subject.environment, &findings));
            Ok(findings)
        }
        Err(environment) => Err(format!(
            "it has not run in `{environment}`, or was taken back or rejected there"
        )),
    }
}

/// What those gates find that are asked later than `found`.
fn not_yet_asked(environment: &Environment, found: &[Finding]) -> Vec<Finding> {
    let Gates {
        approvals, checks, ..
    } = &environment.gates;
    let is_found = |gate| found.iter().any(|finding| finding.gate == gate);
    let waits = |gate, why: &str| Finding {
        gate,
        verdict: Found::Waits,
        why: why.to_owned(),
        next: None,
    };
    let approvals = (approvals.is_some() && !is_found(GateName::Approvals))
        .then(|| waits(GateName::Approvals, "they are counted in its pull request"));
    let checks = (!checks.is_empty() && !is_found(GateName::Checks)).then(|| {
        waits(
            GateName::Checks,
            "servers are asked once nothing else is waited for",
        )
    });
    approvals.into_iter().chain(checks).collect()
}

impl Chain {
    /// What the version waits for on its way to `environment` and what would move it, in one sentence; and when time alone may.
    pub(crate) fn outcome(&self, environment: &EnvironmentName) -> (String, Option<Timestamp>) {
        let tag = &self.tag;
        let of_environment = |stop: &&Stop| stop.decided.environment == *environment;
        let Some(stop) = self.stops.iter().find(of_environment) else {
            return (
                format!("no place in `{environment}` is written for this image"),
                None,
            );
        };
        let Stop {
            decided,
            verdict,
            ran,
            ..
        } = stop;
        let stands = matches!(ran, Ok(Some(Run { stands: true, .. })));
        match (&decided.decision, verdict) {
            (_, _) if stands => (format!("`{tag}` stands in `{environment}`"), None),
            (Decision::Promote(promote), _) if promote.to.tag == *tag => (
                format!("`{tag}` comes to `{environment}` with the next round: {promote}"),
                None,
            ),
            (Decision::Hold(reason), _) if decided.candidate.as_ref() == Some(tag) => {
                (reason.to_string(), decided.next)
            }
            (_, Some(Verdict::Excluded(exclusion))) => {
                let next = exclusion.finding().and_then(|finding| finding.next);
                (format!("`{tag}` {exclusion}"), next)
            }
            (Decision::Promote(promote), Some(_)) => (
                format!("`{tag}` is passed over for `{}`: {promote}", promote.to.tag),
                None,
            ),
            (Decision::Hold(reason), Some(verdict)) => (
                format!("`{tag}` is {verdict}; `{environment}` holds: {reason}"),
                decided.next,
            ),
            (_, None) => (
                format!("the registry does not list `{tag}`, as far as its tags are known"),
                None,
            ),
        }
    }
}
