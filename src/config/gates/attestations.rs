//! What must have been stated of an image, as it is written.
//!
//! Not here: what the types of statements are, and what a report may say (`policy`).

use serde_json::{Value as Json, json};

use super::super::forms::OneOrMany;
use super::super::problem::Faults;
use super::super::shape::{Block, Leaf, Placed, Refusal, list, shape};
use super::Age;
use super::signature::{
    IdentityGlob, Issuer, KeyText, SignerEntry, SignerFiles, Signers, TrustRootEntry,
};
use crate::policy::gate::{
    Attestation, Attestations, Limits, PredicateType, Severity, SeverityLimit, Signature, Signer,
};

/// The word for a limit that no vulnerability is within.
const NONE: &str = "none";

shape! {
    /// A statement that must be there, and by whom.
    struct AttestationEntry {
        /// What it says of itself: `slsaprovenance`, `spdx`, `cyclonedx`, `vuln`, `openvex`, `link`, `custom`, or the URI of its type.
        kind: Placed<PredicateType> = "type",
        /// A public key: its file, relative to this one, or the key itself in PEM; or a list of these, of which one suffices. Default: who `signature` names.
        key: Option<OneOrMany<Placed<KeyText>>> = "key",
        /// The name in the certificate of who made it without a key. `*` stands for anything but `/`, `**` for anything.
        identity: Option<Placed<IdentityGlob>> = "identity",
        /// Who knows them by this name: `https://token.actions.githubusercontent.com`.
        issuer: Option<Placed<Issuer>> = "issuer",
        /// Whose certificates and logs are believed. Default: that of the settings, or else Sigstore's public instance.
        trust_root: Option<TrustRootEntry> = "trust-root",
        /// The worst vulnerability that a report of the type `vuln` may name: `none`, `negligible`, `low`, `medium`, `high`, `critical`. Default: any.
        max_severity: Option<Placed<SeverityLimit>> = "max-severity",
        /// Vulnerabilities that do not count, whatever their severity: `[CVE-2024-1234]`.
        allow: Option<OneOrMany<Placed<String>>> = "allow",
        /// How long ago the scan may have been: `7d`. Default: however long.
        max_age: Option<Placed<Age>> = "max-age",
    }
}

impl Leaf for PredicateType {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|error| {
            let words: Vec<&str> = Self::words().collect();
            Refusal::from(error).hint(format!(
                "write one of {}, or the URI of a type",
                list(&words)
            ))
        })
    }
}

impl Leaf for SeverityLimit {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let severities = Severity::ALL.into_iter();
        let mut known = severities.filter(|severity| *severity != Severity::Unknown);
        match known.clone().find(|severity| severity.as_str() == text) {
            Some(severity) => Ok(Self::UpTo(severity)),
            None if text == NONE => Ok(Self::NoFinding),
            None => {
                let mut words = vec![NONE];
                words.extend(known.by_ref().map(Severity::as_str));
                Err(Refusal::new(format!("`{text}` is not a severity"))
                    .hint(format!("write one of {}", list(&words))))
            }
        }
    }

    fn schema() -> Json {
        let known = Severity::ALL.map(Severity::as_str);
        let known = known.into_iter().filter(|word| *word != "unknown");
        let words: Vec<&str> = [NONE].into_iter().chain(known).collect();
        json!({ "enum": words })
    }
}

impl Signers<AttestationEntry> {
    pub(super) fn find(&mut self, files: &mut SignerFiles<'_>) {
        let AttestationEntry {
            key,
            identity,
            issuer,
            trust_root,
            ..
        } = self.written.value.clone();
        let signer = SignerEntry {
            key,
            identity,
            issuer,
            trust_root,
        };
        self.found = files.signers(&signer, self.written.span);
    }
}

/// What attestations mean, made by those whom `signature` names where they name nobody.
pub(super) fn attestations(
    OneOrMany(written): OneOrMany<Signers<AttestationEntry>>,
    signature: Option<&Signature>,
    faults: &mut Faults,
) -> Attestations {
    let attestations = written.into_iter().map(|Placed { value, .. }| {
        let Signers { written, found } = value;
        attestation(written, (found, signature), faults)
    });
    Attestations(attestations.collect())
}

fn attestation(
    Block { value, owner, span }: Block<AttestationEntry>,
    (mut signers, signature): (Vec<Signer>, Option<&Signature>),
    faults: &mut Faults,
) -> Attestation {
    let AttestationEntry {
        kind,
        key: _,
        identity: _,
        issuer: _,
        trust_root: _,
        max_severity,
        allow,
        max_age,
    } = value;
    if signers.is_empty() && !faults.touch(span) {
        match signature {
            Some(Signature(of_signature)) => signers.clone_from(of_signature),
            None => faults.error_with_hint(
                owner,
                "it is not said who must have made this statement",
                "write `key: cosign.pub`, or `identity` and `issuer`; or the gate `signature`, whose signers count here too",
            ),
        }
    }
    let places = [
        (
            "max-severity",
            max_severity.as_ref().map(|limit| limit.span),
        ),
        (
            "allow",
            allow
                .as_ref()
                .and_then(|OneOrMany(ids)| ids.first())
                .map(|id| id.span),
        ),
        ("max-age", max_age.as_ref().map(|age| age.span)),
    ];
    let is_report = kind.value == PredicateType::vulnerabilities();
    let mut places = places
        .into_iter()
        .filter_map(|(key, place)| Some((key, place?)));
    if let Some((key, place)) = places.clone().next().filter(|_| !is_report) {
        faults.error_with_hint(
            place,
            format!(
                "`{key}` is about reports of vulnerabilities, and this is about `{}`",
                kind.value
            ),
            "write it where `type` is `vuln`",
        );
    }
    let is_limited = places.next().is_some();
    let allow = allow.into_iter().flat_map(|OneOrMany(ids)| ids);
    let limits = Limits {
        severity: max_severity.map(|limit| limit.value),
        allow: allow.map(|id| id.value.value).collect(),
        age: max_age.map(|age| age.value.0),
    };
    if let (None, Some(_), None) = (limits.severity, limits.allow.first(), limits.age) {
        faults.error_with_hint(
            span,
            "`allow` changes nothing without `max-severity`",
            "say which vulnerabilities the others are: `max-severity: none`",
        );
    }
    Attestation {
        kind: kind.value,
        signers,
        limits: is_limited.then_some(limits),
    }
}
