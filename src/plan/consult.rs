//! What others say of a candidate: people who approve it, and servers that checks ask.
//!
//! Invariant: no answer counts longer than its check says, and none is asked for that still counts.

use std::collections::BTreeSet;

use super::HoldReason;
use super::decide::Subject;
use super::screen::Screen;
use crate::image::{Digest, Tag};
use crate::ledger::HeldVersion;
use crate::policy::gate::checks::{self, About, Check, Judged};
use crate::policy::gate::{Approvals, Finding, Verdict};
use crate::world::Question;

/// What has to be asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Before anything can be decided.
    pub(super) first: BTreeSet<Question>,
    /// Since what is known may have changed; it holds until then.
    pub(super) anew: BTreeSet<Question>,
}

impl Asked {
    /// How many questions are for servers.
    pub(super) fn servers(&self) -> usize {
        let is_check = |question: &&Question| matches!(question, Question::Check(_));
        self.first.iter().filter(is_check).count()
    }

    pub(super) fn all(self) -> impl Iterator<Item = Question> {
        self.first.into_iter().chain(self.anew)
    }
}

impl Screen<'_> {
    /// Whether enough people agreed to a version.
    pub(super) fn agreed(&self, approvals: &Approvals, (tag, digest): (&Tag, &Digest)) -> Finding {
        let Subject {
            policy,
            environment,
            name,
            ..
        } = self.subject;
        let mut names = vec![HeldVersion::Digest(digest.clone())];
        let version = match environment.rules[name].followed() {
            // By the name of the tag all its digests would be approved, also those to come.
            Some(_) => digest.as_str(),
            None => {
                names.push(HeldVersion::Tag(tag.clone()));
                tag.as_str()
            }
        };
        let approved = names.iter().filter_map(|name| self.approved.get(name));
        let approved = approved.flatten().cloned().collect();
        let remedy = format!(
            "towpath approve {} {} {version} --reason '...'",
            policy.name, environment.name
        );
        approvals.judge(Ok(&approved), Some(&remedy))
    }

    /// What servers say of a version, all of which are asked where an answer is too old to promote by.
    pub(super) fn checked(
        &self,
        (tag, digest): (&Tag, &Digest),
        asked: &mut Asked,
    ) -> Result<Finding, HoldReason> {
        let Subject {
            policy,
            environment,
            name,
            ..
        } = self.subject;
        let after = environment.after.as_ref();
        let about = About {
            policy: &policy.name,
            environment: &environment.name,
            before: after.and_then(|after| after.environments.first()),
            tag,
            digest,
            is_followed: environment.rules[name].followed().is_some(),
        };
        let mut judged: Vec<(&Check, Judged)> = Vec::new();
        let (mut answered, mut next) = (self.now, None);
        for check in &environment.gates.checks {
            let inquiry = check.inquiry(&about);
            let answer = self.answers.get(&inquiry);
            let answer = answer.map(|answer| (answer, check.judge(answer.told())));
            match answer {
                Some((answer, found)) if answer.counts(check.every, self.now) => {
                    answered = answered.min(answer.at);
                    next = next.into_iter().chain([answer.due(check.every)]).min();
                    judged.push((check, found));
                }
                Some((_, found)) if found.verdict != Verdict::Passed => {
                    asked.anew.insert(Question::Check(inquiry));
                    judged.push((check, found));
                }
                Some(_) | None => {
                    asked.first.insert(Question::Check(inquiry));
                }
            }
        }
        match judged.len() == environment.gates.checks.len() {
            true => Ok(checks::found(&judged, (answered, next))),
            false => Err(HoldReason::FactsPending),
        }
    }
}
