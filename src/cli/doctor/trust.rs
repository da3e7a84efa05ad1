//! The trust roots that gates believe: who certifies identities there today, and until when.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::finding::{Finding, Group, Subject};
use super::told;
use crate::cli::run::Setup;
use crate::policy::gate::{Attestation, Attestations, Signature, Signer, TrustRoot};
use crate::verify::trusted_until;

/// How long before the end it is said: a new trust root comes with a release of towpath, or from whoever runs the instance.
const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What to do about a root that ends.
const HINT: &str = "what is signed with newer certificates is not believed: upgrade towpath, or name the `trusted_root.json` of today as \
    `trust-root` in the settings";

pub(super) fn look(setup: &Setup, now: Timestamp) -> Vec<Finding> {
    let samples = setup.fleets.iter().map(|fleet| &fleet.sample);
    let policies = setup.policies.iter().chain(samples);
    let environments = policies.flat_map(|policy| &policy.environments);
    let signers = environments.flat_map(|environment| {
        let gates = &environment.gates;
        let signature = gates.signature.iter();
        let signature = signature.flat_map(|Signature(signers)| signers);
        let attestations = gates.attestations.iter();
        let attestations = attestations.flat_map(|Attestations(all)| all);
        let attestations = attestations.flat_map(|Attestation { signers, .. }| signers);
        signature.chain(attestations)
    });
    let roots = signers.filter_map(|signer| match signer {
        Signer::Identity(identity) => Some(&identity.root),
        Signer::Key(_) => None,
    });
    let roots: BTreeSet<&TrustRoot> = roots.collect();
    roots.into_iter().map(|root| of_root(root, now)).collect()
}

fn of_root(root: &TrustRoot, now: Timestamp) -> Finding {
    let subject = Subject::new(Group::Here, "trust root");
    let name = match root {
        TrustRoot::Public => "Sigstore's public instance as of this version".to_owned(),
        TrustRoot::Own { fingerprint, .. } => format!("a file, `{fingerprint}`"),
    };
    match trusted_until(root, now) {
        Ok(Some(end)) => {
            let day = end.strftime("%Y-%m-%d");
            let message = format!("{name}: the first certificate of its authorities ends on {day}");
            match end.duration_since(now) < NOTICE {
                true => subject.warning(message, HINT),
                false => subject.ok(message),
            }
        }
        Ok(None) => subject.warning(
            format!("{name}: no authority of it certifies any more"),
            HINT,
        ),
        Err(error) => subject.error(format!("{name}: {}", told(&error)), None),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::finding::as_text;
    use super::of_root;
    use crate::policy::gate::TrustRoot;

    #[test]
    fn a_trust_root_says_until_when_its_authorities_certify() {
        let told = |at: &str| as_text(&[of_root(&TrustRoot::Public, at.parse().unwrap())]);
        assert_snapshot!(told("2026-03-01T09:00:00Z"), @"
        HERE
          ok  trust root  Sigstore's public instance as of this version: the first certificate of its authorities ends on 2031-10-05

        0 errors, 0 warnings, 0 unknown, 1 ok
        ");
        assert_snapshot!(told("2031-10-01T09:00:00Z"), @"
        HERE
          warning  trust root  Sigstore's public instance as of this version: the first certificate of its authorities ends on 2031-10-05
                               hint: what is signed with newer certificates is not believed: upgrade towpath, or name the `trusted_root.json` of today as `trust-root` in the settings

        0 errors, 1 warning, 0 unknown, 0 ok
        ");
        assert_snapshot!(told("2040-03-01T09:00:00Z"), @"
        HERE
          warning  trust root  Sigstore's public instance as of this version: no authority of it certifies any more
                               hint: what is signed with newer certificates is not believed: upgrade towpath, or name the `trusted_root.json` of today as `trust-root` in the settings

        0 errors, 1 warning, 0 unknown, 0 ok
        ");
    }
}
