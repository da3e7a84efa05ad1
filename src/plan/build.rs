//! What gates find that judge a build by its digest: what it is built for, and who vouches for it.

use std::collections::BTreeSet;

use super::HoldReason;
use super::facts::digest_of;
use super::screen::{RanAs, Screen};
use crate::image::{Digest, Tag};
use crate::policy::gate::{Claim, Finding, Gates, Vouched};
use crate::world::{Fact, Question};

impl Screen<'_> {
    /// What those gates find that judge a build by its digest.
    pub(super) fn judge_build(
        &self,
        tag: &Tag,
        ran_as: &RanAs<'_>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Vec<Finding>, HoldReason> {
        let Gates {
            healthy: _,
            soak: _,
            min_age: _,
            windows: _,
            freezes: _,
            platforms,
            signature,
            attestations,
            approvals: _,
            checks: _,
        } = &self.subject.environment.gates;
        let mut findings = Vec::new();
        if platforms.is_none() && signature.is_none() && attestations.is_none() {
            return Ok(findings);
        }
        let digest = match self.ran_digest(ran_as) {
            Some(digest) => digest,
            None => digest_of(&self.subject.image.repository, tag, self.facts, questions)?,
        };
        // All is asked at once that is not known.
        let described = platforms
            .as_ref()
            .map(|_| self.described(&digest, questions));
        let signed = signature
            .as_ref()
            .map(|gate| self.vouched(&digest, gate.claims(), questions));
        let attested = attestations
            .as_ref()
            .map(|gate| self.vouched(&digest, gate.claims(), questions));
        if let Some((gate, described)) = platforms.as_ref().zip(described) {
            let built = described?.map(|described| described.platforms.as_slice());
            findings.push(gate.judge(built));
        }
        if let Some((gate, answers)) = signature.as_ref().zip(signed) {
            findings.push(gate.judge(&answers?));
        }
        if let Some((gate, answers)) = attestations.as_ref().zip(attested) {
            findings.push(gate.judge(&answers?, self.now));
        }
        Ok(findings)
    }

    /// What became of `claims` about an image, or why that could not be read.
    fn vouched(
        &self,
        digest: &Digest,
        claims: impl Iterator<Item = Claim>,
        questions: &mut BTreeSet<Question>,
    ) -> Result<Vec<Result<&Vouched, &str>>, HoldReason> {
        let known = self.facts.vouched.get(digest);
        let (mut answers, mut is_pending) = (Vec::new(), false);
        for claim in claims {
            match known.and_then(|known| known.get(&claim.name())) {
                Some(Fact::Known(vouched)) => answers.push(Ok(vouched)),
                Some(Fact::Unknown { why }) => answers.push(Err(why.as_str())),
                None => {
                    is_pending = true;
                    questions.insert(Question::Vouched {
                        repository: self.subject.image.repository.clone(),
                        digest: digest.clone(),
                        claim,
                    });
                }
            }
        }
        match is_pending {
            true => Err(HoldReason::FactsPending),
            false => Ok(answers),
        }
    }
}
