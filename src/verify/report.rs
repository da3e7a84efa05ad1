//! Reports of vulnerabilities: what Trivy, Grype and in-toto's own form say, as one list.
//!
//! Not here: what a report may say (`policy`).

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Error as JsonError;

use super::wire::{Finding, FoundVulnerability, Grype, Scan, ScanMetadata, Scanner, Score, Trivy};
use crate::policy::gate::{Report, Severity};

/// Most vulnerabilities of one image: the worst that we know, a full distribution of years ago, has 4,000.
const FINDINGS_MAX: usize = 20_000;

/// Longest name of one: `GHSA-` and `CVE-` have up to 20 letters, those of distributions 30.
const ID_LENGTH_MAX: usize = 100;

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("it is not a report of vulnerabilities")]
    Shape(#[source] JsonError),
    #[error("its result is neither Trivy's, nor Grype's, nor a list of in-toto's")]
    UnknownScanner,
    #[error("its result cannot be read as {scanner} writes it")]
    Result {
        scanner: &'static str,
        source: JsonError,
    },
    #[error("it names more than {FINDINGS_MAX} vulnerabilities")]
    TooMany,
    #[error(
        "it names a vulnerability with more than {ID_LENGTH_MAX} characters, or with others than letters, digits, `-`, `_`, `.` and `:`"
    )]
    Id,
}

/// Reads the predicate of an attestation of the type `vuln`.
pub(super) fn report(predicate: &str) -> Result<Report, ReportError> {
    let Scan {
        scanner: Scanner { result },
        metadata: ScanMetadata { scan_finished_on },
    } = serde_json::from_str(predicate).map_err(ReportError::Shape)?;
    let mut findings = BTreeMap::new();
    for (id, severity) in found(result.get())? {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if id.is_empty() || id.len() > ID_LENGTH_MAX || !id.chars().all(is_plain) {
            return Err(ReportError::Id);
        }
        let worst = findings.entry(id).or_insert(severity);
        *worst = severity.max(*worst);
        if findings.len() > FINDINGS_MAX {
            return Err(ReportError::TooMany);
        }
    }
    Ok(Report {
        // Where a scanner writes no time, it says `0001-01-01T00:00:00Z`.
        scanned: scan_finished_on
            .and_then(|at| at.parse().ok())
            .filter(|at: &jiff::Timestamp| at.as_second() > 0),
        findings,
    })
}

/// What a result says, one entry for each package that is concerned.
fn found(result: &str) -> Result<Vec<(String, Severity)>, ReportError> {
    let as_written_by = |scanner| move |source| ReportError::Result { scanner, source };
    if result.starts_with('[') {
        let list: Vec<Finding> = serde_json::from_str(result).map_err(as_written_by("in-toto"))?;
        return list.into_iter().map(of_in_toto).collect();
    }
    let keys: BTreeMap<String, IgnoredAny> =
        serde_json::from_str(result).map_err(as_written_by("a scanner"))?;
    if keys.contains_key("SchemaVersion") {
        let Trivy { results } = serde_json::from_str(result).map_err(as_written_by("Trivy"))?;
        let results = results.into_iter().flatten();
        let found = results.flat_map(|result| result.vulnerabilities.into_iter().flatten());
        return Ok(found.map(|one| (one.id, severity(&one.severity))).collect());
    }
    if keys.contains_key("matches") {
        let Grype { matches } = serde_json::from_str(result).map_err(as_written_by("Grype"))?;
        let found = matches.into_iter().map(|one| one.vulnerability);
        return Ok(found.map(|one| (one.id, severity(&one.severity))).collect());
    }
    Err(ReportError::UnknownScanner)
}

fn of_in_toto(finding: Finding) -> Result<(String, Severity), ReportError> {
    let Finding {
        vulnerability,
        id,
        severity: scores,
    } = finding;
    let (id, scores) = match (vulnerability, id) {
        (Some(FoundVulnerability { id, severity }), _) => (id, severity),
        (None, Some(id)) => (id, scores),
        (None, None) => return Err(ReportError::Id),
    };
    // Those who score do not agree; what none of them knows stays unknown.
    let known = scores.iter().map(|Score { score }| severity(score));
    let known = known.filter(|severity| *severity != Severity::Unknown);
    Ok((id, known.max().unwrap_or(Severity::Unknown)))
}

/// A word of a scanner, or a score by the bands of CVSS: <https://www.first.org/cvss/v3.1/specification-document#Qualitative-Severity-Rating-Scale>.
fn severity(text: &str) -> Severity {
    match text.to_ascii_lowercase().as_str() {
        "none" | "negligible" => Severity::Negligible,
        "low" => Severity::Low,
        "medium" | "moderate" => Severity::Medium,
        "high" | "important" => Severity::High,
        "critical" => Severity::Critical,
        number => match number.parse::<f64>() {
            Ok(score) if !(0.0..=10.0).contains(&score) => Severity::Unknown,
            Ok(score) if score >= 9.0 => Severity::Critical,
            Ok(score) if score >= 7.0 => Severity::High,
            Ok(score) if score >= 4.0 => Severity::Medium,
            Ok(score) if score > 0.0 => Severity::Low,
            Ok(_) => Severity::Negligible,
            Err(_) => Severity::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::report;

    /// What was found, and when; or why that cannot be told.
    fn read(result: &Json) -> String {
        let predicate = json!({ "scanner": { "result": result }, "metadata": {} });
        match report(&predicate.to_string()) {
            Ok(report) => {
                let findings = report.findings.iter();
                let findings = findings.map(|(id, severity)| format!("{id} {severity}"));
                findings.collect::<Vec<_>>().join(", ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn each_scanner_is_read_as_it_writes() {
        let trivy = json!({ "SchemaVersion": 2, "Results": [
            { "Target": "app" },
            { "Target": "os", "Vulnerabilities": [
                { "VulnerabilityID": "CVE-1", "Severity": "LOW", "Title": "something" },
                { "VulnerabilityID": "CVE-1", "Severity": "HIGH" },
                { "VulnerabilityID": "CVE-1", "Severity": "MEDIUM" },
                { "VulnerabilityID": "CVE-2" },
            ] },
        ] });
        assert_eq!(read(&trivy), "CVE-1 high, CVE-2 unknown");
        assert_eq!(read(&json!({ "SchemaVersion": 2 })), "");
        let grype = json!({ "matches": [
            { "vulnerability": { "id": "GHSA-fxph-q3j8-mv87", "severity": "Critical" } },
            { "vulnerability": { "id": "CVE-2", "severity": "Negligible" } },
        ] });
        assert_eq!(
            read(&grype),
            "CVE-2 negligible, GHSA-fxph-q3j8-mv87 critical"
        );
        let in_toto = json!([
            { "id": "CVE-1", "severity": [{ "method": "nvd", "score": "medium" }, { "method": "cvss_score", "score": "7.2" }] },
            { "vulnerability": { "id": "CVE-2", "severity": [{ "method": "other", "score": "moderate" }] } },
            { "id": "CVE-3", "severity": [] },
        ]);
        assert_eq!(read(&in_toto), "CVE-1 high, CVE-2 medium, CVE-3 unknown");
    }

    #[test]
    fn a_score_counts_by_the_bands_of_cvss() {
        for (score, severity) in [
            ("0.0", "negligible"),
            ("0.1", "low"),
            ("3.9", "low"),
            ("4.0", "medium"),
            ("7", "high"),
            ("8.9", "high"),
            ("9.0", "critical"),
            ("10", "critical"),
            ("10.1", "unknown"),
            ("-1", "unknown"),
            ("NaN", "unknown"),
            ("CVSS:3.1/AV:N", "unknown"),
        ] {
            let result = json!([{ "id": "CVE-1", "severity": [{ "score": score }] }]);
            assert_eq!(read(&result), format!("CVE-1 {severity}"), "{score}");
        }
    }

    #[test]
    fn what_is_no_report_says_why() {
        let id = |id: &str| json!([{ "id": id, "severity": [] }]);
        let told = [
            read(&json!({ "runs": [] })),
            read(&json!("text")),
            read(&json!({ "SchemaVersion": 2, "Results": {} })),
            read(&json!({ "matches": [{}] })),
            read(&json!([{}])),
            read(&id("CVE 1")),
            read(&id(&"9".repeat(101))),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        error: its result is neither Trivy's, nor Grype's, nor a list of in-toto's
        error: its result cannot be read as a scanner writes it
        error: its result cannot be read as Trivy writes it
        error: its result cannot be read as Grype writes it
        error: it names a vulnerability with more than 100 characters, or with others than letters, digits, `-`, `_`, `.` and `:`
        error: it names a vulnerability with more than 100 characters, or with others than letters, digits, `-`, `_`, `.` and `:`
        error: it names a vulnerability with more than 100 characters, or with others than letters, digits, `-`, `_`, `.` and `:`
        ");
        let many: Vec<Json> = (0..=super::FINDINGS_MAX)
            .map(|n| json!({ "id": format!("CVE-{n}"), "severity": [] }))
            .collect();
        insta::assert_snapshot!(read(&many.into()), @"error: it names more than 20000 vulnerabilities");
        insta::assert_snapshot!(report("{}").unwrap_err(), @"it is not a report of vulnerabilities");
    }

    #[test]
    fn a_time_that_is_none_is_not_told() {
        let scanned = |at: &str| {
            let predicate =
                json!({ "scanner": { "result": [] }, "metadata": { "scanFinishedOn": at } });
            report(&predicate.to_string()).unwrap().scanned
        };
        assert!(scanned("2026-01-02T03:04:05.5Z").is_some());
        assert_eq!(scanned("0001-01-01T00:00:00Z"), None);
        assert_eq!(scanned("yesterday"), None);
    }
}
