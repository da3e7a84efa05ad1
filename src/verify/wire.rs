//! What Sigstore's tools write beside an image, as JSON; only what is judged.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    pub(super) media_type: String,
    pub(super) dsse_envelope: Option<Envelope>,
}

/// <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) payload: String,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<Signature>,
}

#[derive(Deserialize)]
pub(super) struct Signature {
    pub(super) sig: String,
}

/// <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    pub(super) subject: Vec<Subject>,
    pub(super) predicate_type: String,
    /// Read once it is known to be of use: an SBOM is large.
    pub(super) predicate: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct Subject {
    /// Hexadecimal, by algorithm.
    #[serde(default)]
    pub(super) digest: BTreeMap<String, String>,
}

/// <https://github.com/containers/image/blob/main/docs/containers-signature.5.md>
#[derive(Deserialize)]
pub(super) struct SimpleSigning {
    pub(super) critical: Critical,
}

#[derive(Deserialize)]
pub(super) struct Critical {
    pub(super) identity: Identity,
    pub(super) image: Image,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
pub(super) struct Identity {
    #[serde(rename = "docker-reference")]
    pub(super) reference: String,
}

#[derive(Deserialize)]
pub(super) struct Image {
    #[serde(rename = "docker-manifest-digest")]
    pub(super) digest: String,
}

/// What a log promised, as cosign keeps it in an annotation:
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
#[derive(Deserialize)]
pub(super) struct LogEntry {
    #[serde(rename = "SignedEntryTimestamp")]
    pub(super) promise: String,
    #[serde(rename = "Payload")]
    pub(super) payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogPayload {
    /// In base64.
    pub(super) body: String,
    pub(super) integrated_time: i64,
    pub(super) log_index: i64,
    /// Hexadecimal.
    #[serde(rename = "logID")]
    pub(super) log_id: String,
}

/// What every entry of a log says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryKind {
    pub(super) kind: String,
    pub(super) api_version: String,
}

/// A report of a scanner, in cosign's form
/// (<https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md>) or in-toto's
/// (<https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md>).
#[derive(Deserialize)]
pub(super) struct Scan {
    pub(super) scanner: Scanner,
    #[serde(default)]
    pub(super) metadata: ScanMetadata,
}

#[derive(Deserialize)]
pub(super) struct Scanner {
    /// What the scanner prints, or a list of in-toto's.
    pub(super) result: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanMetadata {
    pub(super) scan_finished_on: Option<String>,
}

/// What Trivy prints: <https://trivy.dev/latest/docs/configuration/reporting/>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Trivy {
    /// Left out where there was nothing to look at.
    pub(super) results: Option<Vec<TrivyResult>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TrivyResult {
    pub(super) vulnerabilities: Option<Vec<TrivyVulnerability>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TrivyVulnerability {
    #[serde(rename = "VulnerabilityID")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) severity: String,
}

/// What Grype prints: <https://github.com/anchore/grype/blob/main/grype/presenter/models/document.go>.
#[derive(Deserialize)]
pub(super) struct Grype {
    pub(super) matches: Vec<GrypeMatch>,
}

#[derive(Deserialize)]
pub(super) struct GrypeMatch {
    pub(super) vulnerability: GrypeVulnerability,
}

#[derive(Deserialize)]
pub(super) struct GrypeVulnerability {
    pub(super) id: String,
    #[serde(default)]
    pub(super) severity: String,
}

/// A finding of in-toto's list; the first version has it in a map of its own.
#[derive(Deserialize)]
pub(super) struct Finding {
    pub(super) vulnerability: Option<FoundVulnerability>,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) severity: Vec<Score>,
}

#[derive(Deserialize)]
pub(super) struct FoundVulnerability {
    pub(super) id: String,
    #[serde(default)]
    pub(super) severity: Vec<Score>,
}

#[derive(Deserialize)]
pub(super) struct Score {
    /// A word, or a number of CVSS.
    pub(super) score: String,
}
