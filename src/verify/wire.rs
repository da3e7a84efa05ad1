//! What Sigstore's tools write beside an image, as JSON; only what is judged.

use std::collections::BTreeMap;

use serde::Deserialize;

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
