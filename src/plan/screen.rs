//! Which candidates may come to an environment: those that ran in the environments before it, and that its gates let pass.
//!
//! The newest that may is taken, however many newer ones wait: so builds that follow each other fast never keep each other out.
//! Invariant: where something is unknown of a candidate, no older one is taken in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::HoldReason;
use super::consult::Asked;
use super::decide::Subject;
use super::facts::digest_of;
use super::ran::{Ran, RanIn};
use crate::image::{Digest, Tag};
use crate::ledger::HeldVersion;
use crate::manifest::Standing;
use crate::policy::gate::checks::Inquiry;
use crate::policy::gate::{Condition, Finding, GateName, Since, SoakSince, Verdict};
use crate::policy::select::Exclusion;
use crate::policy::{After, Candidates, Deliver, Environment, EnvironmentName, Same};
use crate::world::{Answer, Description, Fact, ImageFacts, Question};

/// Most facts that are asked for at once to find the newest candidate of a build that ran before: with a second for each, and
/// eight at a time, a round waits for less than three seconds.
const ASKED_MAX: usize = 20;

/// Most candidates about which servers are asked before no older one is tried: with one check a minute for each, a server is asked once in
/// twelve seconds about one image in one environment.
const CHECKED_MAX: usize = 5;

/// What became of the candidates that are newer than what stands there.
#[derive(Debug, Default)]
pub(super) struct Screened {
    /// Those that may not come, or not yet.
    pub(super) barred: BTreeMap<Tag, Exclusion>,
    /// The one of these to tell of, and why it may not.
    pub(super) first: Option<(Tag, HoldReason)>,
    /// Those that may; no other one comes.
    pub(super) passed: BTreeMap<Tag, Passed>,
    /// How many were refused by servers.
    refused: usize,
    /// When time alone may let one pass.
    pub(super) next: Option<Timestamp>,
}

/// The newest digest of a followed tag that may come.
#[derive(Debug, Default)]
pub(super) struct Newest {
    pub(super) passed: Option<(Digest, Vec<Finding>)>,
    /// Why the newest of those may not that may not.
    pub(super) first: Option<HoldReason>,
    /// When time alone may let one pass.
    pub(super) next: Option<Timestamp>,
}

/// A candidate that may come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Passed {
    /// The digest by which it ran before, where that is known.
    pub(super) digest: Option<Digest>,
    pub(super) findings: Vec<Finding>,
}

/// What candidates are judged by.
pub(super) struct Screen<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) facts: &'a ImageFacts,
    /// Of each environment before; empty where candidates come from the registry.
    pub(super) before: Vec<RanIn<'a>>,
    /// Who agreed to which version, by the file with the holds.
    pub(super) approved: &'a BTreeMap<&'a HeldVersion, BTreeSet<String>>,
    /// What servers said that checks ask.
    pub(super) answers: &'a BTreeMap<Inquiry, Answer>,
    pub(super) now: Timestamp,
}

/// Why a candidate may not come.
enum Barrier {
    NotRun(EnvironmentName),
    Gated(Finding),
}

/// A candidate that ran before: by its version in each of the environments, in their order.
pub(super) type RanAs<'r> = Vec<(&'r RanIn<'r>, &'r Ran)>;

impl Screen<'_> {
    /// Whether nothing bars any candidate.
    pub(super) fn is_open(&self) -> bool {
        self.before.is_empty() && !self.subject.environment.gates.judge_versions()
    }

    /// Judges `tags`, newest first, until one may come.
    pub(super) fn screen<'t>(
        &self,
        tags: impl Iterator<Item = &'t Tag>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Screened, HoldReason> {
        let mut screened = Screened::default();
        let mut asked = Asked::default();
        let result = self.screen_each(tags, &mut screened, &mut asked);
        let is_whole = asked.first.is_empty();
        questions.extend(asked.all());
        match is_whole {
            true => result.map(|()| screened),
            false => Err(HoldReason::FactsPending),
        }
    }

    /// Judges one more, which would come and is not among those that were judged: another spelling of a version, or an older one
    /// where the policy allows to go down.
    pub(super) fn screen_also(
        &self,
        tag: &Tag,
        screened: &mut Screened,
        questions: &mut BTreeSet<Question>,
    ) -> Result<(), HoldReason> {
        let mut asked = Asked::default();
        let judged = self.judge(tag, &mut asked);
        questions.extend(asked.all());
        match judged? {
            Ok(passed) => screened.pass(tag, passed),
            Err(barrier) => screened.bar(tag, barrier),
        }
        Ok(())
    }

    fn screen_each<'t>(
        &self,
        tags: impl Iterator<Item = &'t Tag>,
        screened: &mut Screened,
        asked: &mut Asked,
    ) -> Result<(), HoldReason> {
        for tag in tags {
            let unchecked = CHECKED_MAX - screened.refused;
            match self.judge(tag, asked) {
                // Nothing is decided before all is known of those that are newer.
                Err(HoldReason::FactsPending)
                    if asked.first.len() < ASKED_MAX && asked.servers() < unchecked => {}
                Err(reason) => return Err(reason),
                Ok(Ok(passed)) => {
                    screened.pass(tag, passed);
                    break;
                }
                Ok(Err(barrier)) => screened.bar(tag, barrier),
            }
            if screened.is_cut() {
                break;
            }
        }
        Ok(())
    }

    /// The newest digest by which the followed `tag` ran before and that may come, where `standing` is here.
    pub(super) fn newest_digest<'s>(
        &self,
        tag: &Tag,
        standing: impl Iterator<Item = &'s Standing>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Newest, HoldReason> {
        let mut newest = Newest::default();
        let Some(first) = self.before.first() else {
            return Ok(newest);
        };
        // What is older than what stands here never comes again, also where that was taken back since.
        let here = standing.filter_map(|one| one.digest.as_ref()?.parse().ok());
        let place = |digest: &Digest| first.runs.place_of(tag, digest);
        let floor = here.filter_map(|digest| place(&digest)).min();
        let is_newer = |ran: &&Ran| {
            let place = ran.digest.as_ref().and_then(place);
            floor.is_none_or(|floor| place > Some(floor))
        };
        let newer = first.versions.iter().filter(is_newer).rev();
        for digest in newer.filter_map(|ran| ran.digest.as_ref()) {
            let judged = match self.ran_by_digest(digest) {
                Ok(ran_as) => {
                    let mut asked = Asked::default();
                    let judged = self.pass(tag, &ran_as, &mut asked);
                    questions.extend(asked.all());
                    judged?
                }
                Err(environment) => Err(Barrier::NotRun(environment)),
            };
            match judged {
                Ok(Passed { findings, .. }) => {
                    newest.passed = Some((digest.clone(), findings));
                    break;
                }
                Err(barrier) => {
                    newest.next = newest.next.into_iter().chain(barrier.next()).min();
                    newest.first.get_or_insert_with(|| barrier.reason(tag));
                }
            }
        }
        Ok(newest)
    }

    /// Whether the followed `tag` pointed to `digest` before it pointed to `other`, as the environment before had them.
    pub(super) fn came_before(&self, tag: &Tag, digest: &Digest, other: &Digest) -> bool {
        let place = |ran_in: &RanIn<'_>, digest| ran_in.runs.place_of(tag, digest);
        self.before.first().is_some_and(|first| {
            let places = place(first, digest).zip(place(first, other));
            places.is_some_and(|(place, other)| place < other)
        })
    }

    /// How a build ran in the environments before, or the first in which it did not.
    fn ran_by_digest(&self, digest: &Digest) -> Result<RanAs<'_>, EnvironmentName> {
        let ran_as = self.before.iter().map(|ran_in| {
            let is_it = |ran: &&Ran| ran.digest.as_ref() == Some(digest);
            match ran_in.versions.iter().rfind(is_it) {
                Some(ran) => Ok((ran_in, ran)),
                None => Err(ran_in.environment.clone()),
            }
        });
        ran_as.collect()
    }

    /// Whether the build to which the followed `tag` points may come, or why not.
    pub(super) fn judge_followed(
        &self,
        tag: &Tag,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Passed, HoldReason> {
        let mut asked = Asked::default();
        let judged = self.judge(tag, &mut asked);
        questions.extend(asked.all());
        judged?.map_err(|barrier| barrier.reason(tag))
    }

    /// Whether `tag` may come, or what bars it.
    fn judge(&self, tag: &Tag, asked: &mut Asked) -> Result<Result<Passed, Barrier>, HoldReason> {
        let ran_as = match self.ran_as(tag, &mut asked.first)? {
            Ok(ran_as) => ran_as,
            Err(environment) => return Ok(Err(Barrier::NotRun(environment))),
        };
        self.pass(tag, &ran_as, asked)
    }

    /// How `tag` ran in the environments before, or the first in which it did not.
    fn ran_as(
        &self,
        tag: &Tag,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Result<RanAs<'_>, EnvironmentName>, HoldReason> {
        let Subject {
            environment, name, ..
        } = self.subject;
        let candidates = environment.candidates(name);
        let mut all = RanAs::new();
        for ran_in in &self.before {
            let ran = match candidates {
                Candidates::Registry => None,
                // By another digest it is another build.
                Candidates::Ran(_) => {
                    let digest = all.first().and_then(|(_, ran)| ran.digest.as_ref());
                    let is_it = |ran: &&Ran| {
                        let is_same = ran.digest.as_ref().zip(digest).is_none_or(|(a, b)| a == b);
                        ran.tag == *tag && is_same
                    };
                    ran_in.versions.iter().rfind(is_it)
                }
                Candidates::SameBuild(After { same, .. }) => {
                    self.same_build(tag, (*same, ran_in), questions)?
                }
            };
            match ran {
                Some(ran) => all.push((ran_in, ran)),
                None => return Ok(Err(ran_in.environment.clone())),
            }
        }
        Ok(Ok(all))
    }

    /// The version in `ran_in` that is the same build as `tag`.
    fn same_build<'r>(
        &self,
        tag: &Tag,
        (same, ran_in): (Same, &'r RanIn<'_>),
        questions: &mut BTreeSet<Question>,
    ) -> Result<Option<&'r Ran>, HoldReason> {
        let repository = &self.subject.image.repository;
        let digest = digest_of(repository, tag, self.facts, questions)?;
        for ran in ran_in.versions.iter().rev() {
            let ran_digest = match &ran.digest {
                Some(digest) => digest.clone(),
                None => digest_of(repository, &ran.tag, self.facts, questions)?,
            };
            if ran_digest == digest {
                return Ok(Some(ran));
            }
            match same {
                Same::Digest => {}
                Same::Revision => {
                    let revision = self.revision(tag, &digest, questions)?;
                    let ran_revision = self.revision(&ran.tag, &ran_digest, questions)?;
                    if revision.is_some() && revision == ran_revision {
                        return Ok(Some(ran));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The revision of the source that an image says it was made from.
    fn revision(
        &self,
        tag: &Tag,
        digest: &Digest,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Option<&str>, HoldReason> {
        match self.described(digest, questions)? {
            Ok(described) => Ok(described.labels.revision.as_deref()),
            Err(why) => Err(HoldReason::FactUnknown {
                tag: tag.clone(),
                why: why.to_owned(),
            }),
        }
    }

    /// What an image says of itself, or why that could not be read.
    pub(super) fn described(
        &self,
        digest: &Digest,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Result<&Description, &str>, HoldReason> {
        match self.facts.described.get(digest) {
            Some(Fact::Known(described)) => Ok(Ok(described)),
            Some(Fact::Unknown { why }) => Ok(Err(why)),
            None => {
                questions.insert(Question::Description {
                    repository: self.subject.image.repository.clone(),
                    digest: digest.clone(),
                });
                Err(HoldReason::FactsPending)
            }
        }
    }

    /// What each gate finds of `tag` that judges a version, or the first environment before in which it did not run.
    pub(super) fn findings(
        &self,
        tag: &Tag,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Result<Vec<Finding>, EnvironmentName>, HoldReason> {
        let mut asked = Asked::default();
        let found = self.ran_as(tag, &mut asked.first).and_then(|ran_as| {
            let found = ran_as.map(|ran_as| self.found(tag, &ran_as, &mut asked));
            match found {
                Ok(found) => found.map(Ok),
                Err(environment) => Ok(Err(environment)),
            }
        });
        questions.extend(asked.all());
        found
    }

    /// Whether the gates let `tag` pass.
    fn pass(
        &self,
        tag: &Tag,
        ran_as: &RanAs<'_>,
        asked: &mut Asked,
    ) -> Result<Result<Passed, Barrier>, HoldReason> {
        let findings = self.found(tag, ran_as, asked)?;
        match Finding::weightiest(&findings) {
            None => Ok(Ok(Passed {
                digest: self.ran_digest(ran_as),
                findings,
            })),
            Some(finding) => {
                let finding = finding.clone();
                match finding.verdict {
                    Verdict::Unknown => Err(Barrier::Gated(finding).reason(tag)),
                    Verdict::Passed | Verdict::Waits | Verdict::Failed => {
                        Ok(Err(Barrier::Gated(finding)))
                    }
                }
            }
        }
    }

    /// What the gates find of `tag` that judge a version: first those that look at what is known here, and only where nothing
    /// else is waited for those that ask servers.
    fn found(
        &self,
        tag: &Tag,
        ran_as: &RanAs<'_>,
        asked: &mut Asked,
    ) -> Result<Vec<Finding>, HoldReason> {
        let environment = self.subject.environment;
        let gates = &environment.gates;
        let mut findings = self.by_facts(tag, ran_as, &mut asked.first)?;
        let is_shut = match environment.deliver {
            Deliver::Commit { .. } => Finding::weightiest(&gates.judge_moment(self.now)).is_some(),
            // What people merge is proposed at any time.
            Deliver::PullRequest(_) => false,
        };
        let waits = is_shut || Finding::weightiest(&findings).is_some();
        if !gates.checks.is_empty() && !waits {
            let digest = self.digest(tag, ran_as, &mut asked.first)?;
            findings.push(self.checked((tag, &digest), asked)?);
        }
        Ok(findings)
    }

    /// What those gates find that judge how a version lived in one environment before.
    fn lived(
        &self,
        (ran_in, ran): (&RanIn<'_>, &Ran),
        questions: &mut BTreeSet<Question>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), HoldReason> {
        let gates = &self.subject.environment.gates;
        let environment = ran_in.environment;
        let mut since = Ok(ran.since.map(SoakSince::Came));
        if let (Some(healthy), Some(watch)) = (gates.healthy, &ran_in.watch) {
            let condition = watch.condition(ran.asked(), questions)?;
            let condition = condition.of_what_came(ran.since);
            findings.push(healthy.judge((environment, &condition), self.now));
            since = match condition {
                Condition::Healthy { since } => Ok(Some(SoakSince::Healthy(since))),
                Condition::NotYet { why, .. } => Err(why),
                Condition::NeverSeen | Condition::Unknown { .. } => return Ok(()),
            };
        }
        findings.extend(gates.soak.map(|soak| match since {
            Ok(Some(since)) => soak.judge((environment, since), self.now),
            Ok(None) => unknown_since(environment),
            Err(why) => not_begun(environment, &why),
        }));
        Ok(())
    }

    /// What the gates find that judge by what is known of a version.
    fn by_facts(
        &self,
        tag: &Tag,
        ran_as: &RanAs<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Vec<Finding>, HoldReason> {
        let Environment { gates, deliver, .. } = self.subject.environment;
        let mut findings = Vec::new();
        for (ran_in, ran) in ran_as {
            self.lived((ran_in, ran), questions, &mut findings)?;
        }
        if let Some(min_age) = gates.min_age {
            findings.push(match self.since(tag, ran_as) {
                Ok(since) => min_age.judge(since, self.now),
                Err(unknown) => unknown,
            });
        }
        findings.extend(self.judge_build(tag, ran_as, questions)?);
        // What people merge, they approve at the forge.
        if let (Some(approvals), Deliver::Commit { .. }) = (&gates.approvals, deliver) {
            let digest = self.digest(tag, ran_as, questions)?;
            findings.push(self.agreed(approvals, (tag, &digest)));
        }
        Ok(findings)
    }

    /// The digest of a candidate, or the question for it.
    fn digest(
        &self,
        tag: &Tag,
        ran_as: &RanAs<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Digest, HoldReason> {
        match self.ran_digest(ran_as) {
            Some(digest) => Ok(digest),
            None => digest_of(&self.subject.image.repository, tag, self.facts, questions),
        }
    }

    /// The digest by which a candidate is the version that ran before. One that has a tag of its own has a digest of its own.
    pub(super) fn ran_digest(&self, ran_as: &RanAs<'_>) -> Option<Digest> {
        match self.subject.environment.candidates(self.subject.name) {
            Candidates::Ran(_) => ran_as.first().and_then(|(_, ran)| ran.digest.clone()),
            Candidates::Registry | Candidates::SameBuild(_) => None,
        }
    }

    /// Since when a version is in the registry, as far as that is known. Of a followed tag its digest is the version, which is
    /// younger than the tag and at least as old as its first run.
    fn since(&self, tag: &Tag, ran_as: &RanAs<'_>) -> Result<Since, Finding> {
        let Fact::Known(listing) = &self.facts.listing else {
            return Err(unknown_age("the registry does not list it"));
        };
        let pushed = listing.pushed(tag).map(Since::Pushed);
        let Subject {
            environment, name, ..
        } = self.subject;
        if environment.rules[name].followed().is_some() {
            let ran = ran_as.iter().filter_map(|(_, ran)| ran.since).min();
            let since = ran.map(Since::FirstSeen).or(pushed);
            return since.ok_or_else(|| unknown_age("nobody tells when the tag was moved to it"));
        }
        let first_seen = || listing.tags.get(tag).map(Since::FirstSeen);
        let since = pushed.or_else(first_seen);
        since.ok_or_else(|| unknown_age("the registry does not list it"))
    }
}

impl Screened {
    /// Whether so many were refused by servers that no other one is tried.
    pub(super) fn is_cut(&self) -> bool {
        self.refused >= CHECKED_MAX
    }

    fn pass(&mut self, tag: &Tag, passed: Passed) {
        let nexts = passed.findings.iter().filter_map(|finding| finding.next);
        self.next = self.next.into_iter().chain(nexts).min();
        self.passed.insert(tag.clone(), passed);
    }

    fn bar(&mut self, tag: &Tag, barrier: Barrier) {
        self.refused += usize::from(barrier.is_of(GateName::Checks));
        let next = barrier.next();
        self.next = self.next.into_iter().chain(next).min();
        let exclusion = match &barrier {
            Barrier::NotRun(environment) => Exclusion::NotRun {
                environment: environment.clone(),
            },
            Barrier::Gated(finding) => Exclusion::Gated {
                finding: Arc::new(finding.clone()),
            },
        };
        self.barred.insert(tag.clone(), exclusion);
        // What waits and will pass tells more than what is newer and has not come as far.
        let is_nearer = |(_, first): &(Tag, HoldReason)| {
            matches!(first, HoldReason::NotRun { .. }) && matches!(barrier, Barrier::Gated(_))
        };
        if self.first.as_ref().is_none_or(is_nearer) {
            self.first = Some((tag.clone(), barrier.reason(tag)));
        }
    }
}

impl Barrier {
    fn is_of(&self, gate: GateName) -> bool {
        match self {
            Self::NotRun(_) => false,
            Self::Gated(finding) => finding.gate == gate,
        }
    }

    fn next(&self) -> Option<Timestamp> {
        match self {
            Self::NotRun(_) => None,
            Self::Gated(finding) => finding.next,
        }
    }

    fn reason(self, tag: &Tag) -> HoldReason {
        let tag = tag.clone();
        match self {
            Self::NotRun(environment) => HoldReason::NotRun { tag, environment },
            Self::Gated(finding) => HoldReason::Gated {
                tag,
                finding: Box::new(finding),
            },
        }
    }
}

fn unknown_since(environment: &EnvironmentName) -> Finding {
    Finding {
        gate: GateName::Soak,
        verdict: Verdict::Unknown,
        why: format!(
            "no promotion tells since when it has run in `{environment}`; a newer version that is promoted there ends this"
        ),
        next: None,
    }
}

fn not_begun(environment: &EnvironmentName, why: &str) -> Finding {
    Finding {
        gate: GateName::Soak,
        verdict: Verdict::Waits,
        why: format!("it counts from when it is healthy in `{environment}`: {why}"),
        next: None,
    }
}

fn unknown_age(why: &str) -> Finding {
    Finding {
        gate: GateName::MinAge,
        verdict: Verdict::Unknown,
        why: why.to_owned(),
        next: None,
    }
}
