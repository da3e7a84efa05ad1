//! The gate `attestations`: what must have been stated of an image by those who may, and which vulnerabilities a report may name.
//!
//! Not here: whether a statement is genuine, and what reports of scanners look like (`verify`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::signature::{Claim, Matter, Signer, Vouched, Voucher, any, first};
use super::{Finding, GateName, Verdict};

/// Most vulnerabilities that a sentence names; it counts the others.
const NAMED_MAX: usize = 3;

/// Words for types of statements, and what each stands for, in all versions of it: those of `cosign attest --type`
/// (<https://github.com/sigstore/cosign/blob/main/cmd/cosign/cli/options/predicate.go>), and what in-toto has in place of cosign's own
/// (<https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md>).
const WORDS: [(&str, &[&str]); 7] = [
    ("slsaprovenance", &["https://slsa.dev/provenance"]),
    ("spdx", &["https://spdx.dev/Document"]),
    ("cyclonedx", &["https://cyclonedx.org/bom"]),
    (
        VULNERABILITIES,
        &[
            "https://cosign.sigstore.dev/attestation/vuln",
            // As cosign wrote it before its version 2.
            "cosign.sigstore.dev/attestation/vuln",
            "https://in-toto.io/attestation/vulns",
        ],
    ),
    ("openvex", &["https://openvex.dev/ns"]),
    ("link", &["https://in-toto.io/Link"]),
    ("custom", &["https://cosign.sigstore.dev/attestation/v1"]),
];

/// The word for reports of scanners.
const VULNERABILITIES: &str = "vuln";

/// What must have been stated of an image, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attestations(pub(crate) Vec<Attestation>);

/// One statement that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attestation {
    pub(crate) kind: PredicateType,
    /// Those of whom one must have made it.
    pub(crate) signers: Vec<Signer>,
    /// What a report of vulnerabilities may say, where that counts.
    pub(crate) limits: Option<Limits>,
}

/// The type of a statement: a word, or the URI itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PredicateType(String);

/// Why a text is not the type of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a type of attestations")]
pub(crate) struct ParsePredicateTypeError {
    text: String,
}

/// What a report may say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `None`: no limit.
    pub(crate) severity: Option<SeverityLimit>,
    /// Vulnerabilities that do not count.
    pub(crate) allow: BTreeSet<String>,
    /// How long ago the scan may have been.
    pub(crate) age: Option<SignedDuration>,
}

/// The worst vulnerability that a report may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeverityLimit {
    /// It may name none.
    NoFinding,
    UpTo(Severity),
}

/// What a scanner found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) scanned: Option<Timestamp>,
    /// Each vulnerability once, as bad as it is anywhere in the image.
    pub(crate) findings: BTreeMap<String, Severity>,
}

/// How bad a vulnerability is. One of which a scanner does not say it counts as the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Negligible,
    Low,
    Medium,
    High,
    Critical,
    Unknown,
}

impl Attestations {
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        self.0.iter().flat_map(|attestation| {
            let matter = match attestation.limits {
                Some(_) => Matter::Report,
                None => Matter::Attestation(attestation.kind.clone()),
            };
            let signers = attestation.signers.iter().cloned();
            signers.map(move |signer| Claim {
                signer,
                matter: matter.clone(),
            })
        })
    }

    /// How an image stands of which this became of each of the claims, or why that could not be read.
    pub(crate) fn judge(&self, mut answers: &[Result<&Vouched, &str>], now: Timestamp) -> Finding {
        let mut found = Vec::new();
        for attestation in &self.0 {
            let (own, others) = answers.split_at(attestation.signers.len());
            answers = others;
            found.push(attestation.judge(own, now));
        }
        let verdict = Finding::weightiest(&found).map_or(Verdict::Passed, |one| one.verdict);
        let told = found.iter().filter(|one| one.verdict == verdict);
        let whys: Vec<&str> = told.clone().map(|one| one.why.as_str()).collect();
        Finding {
            gate: GateName::Attestations,
            verdict,
            why: whys.join("; "),
            next: told.filter_map(|one| one.next).min(),
        }
    }
}

impl Attestation {
    fn judge(&self, answers: &[Result<&Vouched, &str>], now: Timestamp) -> Finding {
        let found = match &self.limits {
            Some(_) => latest(&self.signers, answers),
            None => first(&self.signers, answers),
        };
        let (verdict, why, next) = match found {
            Ok((signer, by, report)) => {
                let attested = format!("attested {}", signer.by(by));
                match (&self.limits, report) {
                    (Some(limits), Some(report)) => {
                        let (verdict, said, next) = limits.judge(report, now);
                        let why = format!("`{}` {said}, {attested}", self.kind);
                        (verdict, why, next)
                    }
                    (Some(_), None) => {
                        let why = format!("`{}` is {attested}, and was not read", self.kind);
                        (Verdict::Unknown, why, None)
                    }
                    (None, _) => {
                        let why = format!("`{}` is {attested}", self.kind);
                        (Verdict::Passed, why, None)
                    }
                }
            }
            Err(Ok(whys)) => {
                let by = any(&self.signers);
                let why = format!("`{}` is not attested {by}: {whys}", self.kind);
                (Verdict::Waits, why, None)
            }
            Err(Err(why)) => (Verdict::Unknown, why.to_owned(), None),
        };
        Finding {
            gate: GateName::Attestations,
            verdict,
            why,
            next,
        }
    }
}

/// The one whose report is the latest, or why none vouches. What is unknown may be a later one.
fn latest<'a>(
    signers: &'a [Signer],
    answers: &[Result<&'a Vouched, &'a str>],
) -> Result<Voucher<'a>, Result<String, &'a str>> {
    if let Some(why) = answers.iter().find_map(|answer| answer.err()) {
        return Err(Err(why));
    }
    let reports = signers.iter().zip(answers).filter_map(|pair| match pair {
        (signer, Ok(Vouched::Yes { by, report })) => Some((signer, by.as_deref(), report.as_ref())),
        (_, Ok(Vouched::No { .. }) | Err(_)) => None,
    });
    let scanned = |(_, _, report): &Voucher<'_>| report.and_then(|report| report.scanned);
    match reports.max_by_key(scanned) {
        Some(latest) => Ok(latest),
        None => first(signers, answers),
    }
}

impl Limits {
    fn judge(
        &self,
        Report { scanned, findings }: &Report,
        now: Timestamp,
    ) -> (Verdict, String, Option<Timestamp>) {
        let until = match (self.age, scanned) {
            (None, _) => None,
            (Some(_), None) => {
                let why = "does not say when the scan was".to_owned();
                return (Verdict::Waits, why, None);
            }
            // What would be too old after the end of time never is.
            (Some(age), Some(at)) => Some(at.saturating_add(age).unwrap_or(Timestamp::MAX)),
        };
        if let Some(until) = until.filter(|until| *until <= now) {
            let why = format!("waits for a newer scan, since this one counted until {until}");
            return (Verdict::Waits, why, None);
        }
        let (allowed, counting): (Vec<_>, Vec<_>) = findings
            .iter()
            .partition(|(id, _)| self.allow.contains(*id));
        let is_worse = |severity: Severity| {
            let limit = self.severity;
            limit.is_some_and(|limit| !limit.admits(severity))
        };
        let worse = counting.iter().filter(|(_, severity)| is_worse(**severity));
        let worse: Vec<_> = worse.copied().collect();
        if !worse.is_empty() {
            let why = format!("names what is worse than allowed: {}", worst_of(worse));
            return (Verdict::Failed, why, None);
        }
        let worst = counting.iter().map(|(_, severity)| **severity).max();
        let mut why = match (counting.len(), worst) {
            (1, Some(worst)) => format!("has 1 finding, {worst}"),
            (count, Some(worst)) => format!("has {count} findings up to {worst}"),
            (_, None) => "has no findings".to_owned(),
        };
        if !allowed.is_empty() {
            why = format!("{why}, {} allowed", allowed.len());
        }
        if let Some(at) = scanned {
            why = format!("{why}, scanned at {at}");
        }
        (Verdict::Passed, why, until)
    }
}

/// The worst of some vulnerabilities, and how many more there are.
fn worst_of(mut findings: Vec<(&String, &Severity)>) -> String {
    findings.sort_by_key(|(_, severity)| Reverse(**severity));
    let named = findings.iter().take(NAMED_MAX);
    let mut named: Vec<String> = named
        .map(|(id, severity)| format!("`{id}` ({severity})"))
        .collect();
    if findings.len() > NAMED_MAX {
        named.push(format!("{} more", findings.len() - NAMED_MAX));
    }
    named.join(", ")
}

impl SeverityLimit {
    fn admits(self, severity: Severity) -> bool {
        match self {
            Self::NoFinding => false,
            Self::UpTo(worst) => severity.min(Severity::Critical) <= worst,
        }
    }
}

impl PredicateType {
    /// The words that stand for types.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        WORDS.into_iter().map(|(word, _)| word)
    }

    /// That of reports of vulnerabilities.
    pub(crate) fn vulnerabilities() -> Self {
        Self(VULNERABILITIES.to_owned())
    }

    /// Whether a statement that says so of itself is of this type.
    pub(crate) fn is(&self, uri: &str) -> bool {
        let stands_for = WORDS.into_iter().find(|(word, _)| *word == self.0);
        let Some((_, all)) = stands_for else {
            return uri == self.0;
        };
        let of_any_version = |start: &&str| {
            let rest = uri.strip_prefix(*start);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        all.iter().any(of_any_version)
    }
}

impl FromStr for PredicateType {
    type Err = ParsePredicateTypeError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let is_uri = s.contains("://") && !s.chars().any(|c| c.is_whitespace() || c.is_control());
        match is_uri || Self::words().any(|word| word == s) {
            true => Ok(Self(s.to_owned())),
            false => Err(ParsePredicateTypeError { text: s.to_owned() }),
        }
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Severity {
    pub(crate) const ALL: [Self; 6] = [
        Self::Negligible,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
        Self::Unknown,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::signature::{Signer, SignerKey, Vouched};
    use super::{
        Attestation, Attestations, Finding, Limits, PredicateType, Report, Severity, SeverityLimit,
        Verdict,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn attestation(kind: &str, limits: Option<Limits>) -> Attestation {
        Attestation {
            kind: kind.parse().unwrap(),
            signers: vec![Signer::Key(SignerKey {
                fingerprint: "SHA256:a".to_owned(),
                pem: "".into(),
            })],
            limits,
        }
    }

    fn yes(report: Option<Report>) -> Vouched {
        Vouched::Yes { by: None, report }
    }

    fn report(scanned: Option<&str>, findings: &[(&str, Severity)]) -> Vouched {
        let findings = findings.iter();
        yes(Some(Report {
            scanned: scanned.map(at),
            findings: findings
                .map(|(id, severity)| ((*id).to_owned(), *severity))
                .collect(),
        }))
    }

    fn up_to(severity: Severity, allow: &[&str]) -> Limits {
        Limits {
            severity: Some(SeverityLimit::UpTo(severity)),
            allow: allow.iter().map(ToString::to_string).collect(),
            age: None,
        }
    }

    fn judged(limits: Limits, report: &Vouched, now: &str) -> Finding {
        Attestations(vec![attestation("vuln", Some(limits))]).judge(&[Ok(report)], at(now))
    }

    const NOW: &str = "2026-11-21T10:00:00Z";

    #[test]
    fn all_that_is_wanted_must_be_attested() {
        let wanted = Attestations(vec![
            attestation("spdx", None),
            attestation("slsaprovenance", None),
        ]);
        let (yes, no) = (
            yes(None),
            Vouched::No {
                why: "nothing stands beside it".to_owned(),
            },
        );
        let found = wanted.judge(&[Ok(&yes), Ok(&yes)], at(NOW));
        assert_eq!((found.verdict, found.next), (Verdict::Passed, None));
        insta::assert_snapshot!(found.why, @"`spdx` is attested with the key `SHA256:a`; `slsaprovenance` is attested with the key `SHA256:a`");
        let found = wanted.judge(&[Ok(&yes), Ok(&no)], at(NOW));
        assert_eq!(found.verdict, Verdict::Waits);
        insta::assert_snapshot!(found.why, @"`slsaprovenance` is not attested with the key `SHA256:a`: nothing stands beside it");
        let found = wanted.judge(&[Err("the registry is away"), Ok(&no)], at(NOW));
        assert_eq!(found.verdict, Verdict::Unknown);
        assert_eq!(found.why, "the registry is away");
    }

    #[test]
    fn a_report_passes_with_what_is_allowed_and_fails_with_anything_worse() {
        let limits = up_to(Severity::Medium, &["CVE-2026-1"]);
        let good = report(
            Some("2026-11-20T10:00:00Z"),
            &[
                ("CVE-2026-1", Severity::Critical),
                ("CVE-2026-2", Severity::Medium),
                ("CVE-2026-3", Severity::Low),
            ],
        );
        let found = judged(limits.clone(), &good, NOW);
        assert_eq!(found.verdict, Verdict::Passed);
        insta::assert_snapshot!(found.why, @"`vuln` has 2 findings up to medium, 1 allowed, scanned at 2026-11-20T10:00:00Z, attested with the key `SHA256:a`");
        let bad = report(
            None,
            &[
                ("CVE-2026-2", Severity::High),
                ("CVE-2026-3", Severity::Low),
                ("CVE-2026-4", Severity::Unknown),
                ("CVE-2026-5", Severity::Critical),
                ("CVE-2026-6", Severity::High),
                ("CVE-2026-7", Severity::High),
            ],
        );
        let found = judged(limits, &bad, NOW);
        assert_eq!((found.verdict, found.next), (Verdict::Failed, None));
        insta::assert_snapshot!(found.why, @"`vuln` names what is worse than allowed: `CVE-2026-4` (unknown), `CVE-2026-5` (critical), `CVE-2026-2` (high), 2 more, attested with the key `SHA256:a`");
    }

    #[test]
    fn of_the_reports_of_several_who_may_the_latest_counts_and_one_that_is_unknown_holds() {
        let mut wanted = attestation("vuln", Some(up_to(Severity::Medium, &[])));
        wanted.signers.extend(wanted.signers.clone());
        let wanted = Attestations(vec![wanted]);
        let old = report(Some("2026-11-19T10:00:00Z"), &[]);
        let new = report(
            Some("2026-11-20T10:00:00Z"),
            &[("CVE-2026-1", Severity::High)],
        );
        for answers in [[Ok(&old), Ok(&new)], [Ok(&new), Ok(&old)]] {
            let found = wanted.judge(&answers, at(NOW));
            assert_eq!(found.verdict, Verdict::Failed, "{answers:?}");
        }
        let none = Vouched::No {
            why: "nothing stands beside it".to_owned(),
        };
        let found = wanted.judge(&[Ok(&none), Ok(&old)], at(NOW));
        assert_eq!(found.verdict, Verdict::Passed);
        let found = wanted.judge(&[Ok(&old), Err("it cannot be read")], at(NOW));
        assert_eq!(found.verdict, Verdict::Unknown);
        assert_eq!(found.why, "it cannot be read");
    }

    #[test]
    fn a_report_of_which_nothing_is_known_passes_no_limit() {
        let found = judged(Limits::default(), &yes(None), NOW);
        assert_eq!(found.verdict, Verdict::Unknown);
        insta::assert_snapshot!(found.why, @"`vuln` is attested with the key `SHA256:a`, and was not read");
    }

    #[test]
    fn a_severity_is_allowed_up_to_and_with_the_one_that_is_named() {
        for (limit, severity, passes) in [
            (SeverityLimit::UpTo(Severity::High), Severity::High, true),
            (
                SeverityLimit::UpTo(Severity::High),
                Severity::Critical,
                false,
            ),
            (
                SeverityLimit::UpTo(Severity::High),
                Severity::Unknown,
                false,
            ),
            (
                SeverityLimit::UpTo(Severity::Critical),
                Severity::Unknown,
                true,
            ),
            (SeverityLimit::NoFinding, Severity::Negligible, false),
        ] {
            assert_eq!(limit.admits(severity), passes, "{limit:?} {severity}");
        }
        let clean = judged(
            Limits {
                severity: Some(SeverityLimit::NoFinding),
                ..Limits::default()
            },
            &report(None, &[]),
            NOW,
        );
        insta::assert_snapshot!(clean.why, @"`vuln` has no findings, attested with the key `SHA256:a`");
    }

    #[test]
    fn a_scan_counts_until_the_second_at_which_it_is_too_old() {
        let limits = Limits {
            age: Some(SignedDuration::from_hours(24)),
            ..Limits::default()
        };
        let scan = report(
            Some("2026-11-20T10:00:00Z"),
            &[("CVE-2026-1", Severity::High)],
        );
        let before = judged(limits.clone(), &scan, "2026-11-21T09:59:59Z");
        assert_eq!(before.verdict, Verdict::Passed);
        assert_eq!(before.next, Some(at("2026-11-21T10:00:00Z")));
        insta::assert_snapshot!(before.why, @"`vuln` has 1 finding, high, scanned at 2026-11-20T10:00:00Z, attested with the key `SHA256:a`");
        let then = judged(limits.clone(), &scan, "2026-11-21T10:00:00Z");
        assert_eq!((then.verdict, then.next), (Verdict::Waits, None));
        insta::assert_snapshot!(then.why, @"`vuln` waits for a newer scan, since this one counted until 2026-11-21T10:00:00Z, attested with the key `SHA256:a`");
        let undated = judged(limits, &report(None, &[]), NOW);
        assert_eq!(undated.verdict, Verdict::Waits);
        insta::assert_snapshot!(undated.why, @"`vuln` does not say when the scan was, attested with the key `SHA256:a`");
    }

    #[test]
    fn a_word_stands_for_a_type_in_all_its_versions() {
        let is = |kind: &str, uri: &str| kind.parse::<PredicateType>().unwrap().is(uri);
        for (kind, uri) in [
            ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
            ("slsaprovenance", "https://slsa.dev/provenance/v1"),
            ("spdx", "https://spdx.dev/Document"),
            ("spdx", "https://spdx.dev/Document/v2.3"),
            ("cyclonedx", "https://cyclonedx.org/bom"),
            ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
            ("vuln", "https://in-toto.io/attestation/vulns/v0.2"),
            ("https://example.com/x", "https://example.com/x"),
        ] {
            assert!(is(kind, uri), "{kind} {uri}");
        }
        for (kind, uri) in [
            ("spdx", "https://spdx.dev/Documents"),
            ("custom", "https://cosign.sigstore.dev/attestation/vuln/v1"),
            ("https://example.com/x", "https://example.com/x/v1"),
            ("vuln", "vuln"),
        ] {
            assert!(!is(kind, uri), "{kind} {uri}");
        }
        for text in ["sbom", "", "https://a b", "slsa provenance"] {
            let error = text.parse::<PredicateType>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not a type of attestations")
            );
        }
    }
}
