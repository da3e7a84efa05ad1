//! A Sigstore of our own for tests: an authority, a log with one entry, and what is signed with them, in the forms that cosign writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
    date_time_ymd,
};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{IN_TOTO, pre_authentication};
use crate::image::{Attached, Layer, Proof};

/// Where Fulcio writes who knows the one that it certifies:
/// <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>.
const ISSUER: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 8];

/// When everything is signed, in the only day of each certificate: 2020-06-01T12:00:00Z.
pub(super) const SIGNED_AT: i64 = 1_591_012_800;

/// An authority and a log.
pub(super) struct Instance {
    authority: Issuer<'static, KeyPair>,
    certificate: Certificate,
    log: KeyPair,
}

/// Somebody who signs, certified by an instance.
pub(super) struct Person<'i> {
    instance: &'i Instance,
    key: KeyPair,
    certificate: Certificate,
    /// When the log says it was told.
    pub(super) at: i64,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

impl Instance {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) =
            (date_time_ymd(2019, 1, 1), date_time_ymd(2029, 1, 1));
        let certificate = params.self_signed(&key).unwrap();
        Self {
            authority: Issuer::new(params, key),
            certificate,
            log: KeyPair::generate().unwrap(),
        }
    }

    /// Its `trusted_root.json`. Without logs of certificates, none is asked to know of one.
    pub(super) fn root(&self) -> Json {
        let valid = json!({ "start": "2019-01-01T00:00:00Z" });
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": "https://rekor.example.com",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(self.log.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": { "keyId": base64(self.log_id()) },
            }],
            "certificateAuthorities": [{
                "subject": { "organization": "acme", "commonName": "fulcio" },
                "uri": "https://fulcio.example.com",
                "certChain": { "certificates": [{ "rawBytes": base64(self.certificate.der()) }] },
                "validFor": valid,
            }],
            "ctlogs": [],
            "timestampAuthorities": [],
        })
    }

    fn log_id(&self) -> Vec<u8> {
        Sha256::digest(self.log.subject_public_key_info()).to_vec()
    }

    /// Certifies somebody whom `issuer` knows by `name`.
    pub(super) fn person(&self, name: &str, issuer: &str) -> Person<'_> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let text = Ia5String::try_from(name).unwrap();
        params.subject_alt_names = vec![match name.contains("://") {
            true => SanType::URI(text),
            false => SanType::Rfc822Name(text),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 6, 1), date_time_ymd(2020, 6, 2));
        // A UTF8String in DER, of less than 128 bytes.
        let mut der = vec![0x0c, u8::try_from(issuer.len()).unwrap()];
        der.extend_from_slice(issuer.as_bytes());
        let extension = CustomExtension::from_oid_content(&ISSUER, der);
        params.custom_extensions = vec![extension];
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Person {
            instance: self,
            key,
            certificate,
            at: SIGNED_AT,
        }
    }
}

impl Person<'_> {
    /// A bundle with a statement, as cosign 3 writes it.
    pub(super) fn bundle(&self, statement: &Json) -> Json {
        let (envelope, entry) = self.envelope_and_entry(statement);
        let body = serde_json::to_vec(&entry).unwrap();
        let leaf = Sha256::digest([[0].as_slice(), &body].concat());
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": base64(self.certificate.der()) },
                "tlogEntries": [{
                    "logIndex": "0",
                    "logId": { "keyId": base64(self.instance.log_id()) },
                    "kindVersion": { "kind": "dsse", "version": "0.0.1" },
                    "integratedTime": self.at.to_string(),
                    "inclusionPromise": { "signedEntryTimestamp": self.promise(&body) },
                    "inclusionProof": {
                        "logIndex": "0",
                        "rootHash": base64(leaf),
                        "treeSize": "1",
                        "hashes": [],
                        "checkpoint": { "envelope": self.checkpoint(&leaf) },
                    },
                    "canonicalizedBody": base64(&body),
                }],
            },
            "dsseEnvelope": envelope,
        })
    }

    /// An attestation of the older form.
    pub(super) fn envelope(&self, statement: &Json) -> Attached {
        let (envelope, entry) = self.envelope_and_entry(statement);
        Attached::Envelope(self.layer(envelope.to_string().into_bytes(), &entry))
    }

    /// A signature of the older form.
    pub(super) fn simple(&self, name: &str, digest: &str) -> Attached {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": name },
                "image": { "docker-manifest-digest": digest },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let signature = base64(self.key.sign(&payload).unwrap());
        let entry = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex(Sha256::digest(&payload)) } },
                "signature": { "content": signature, "publicKey": { "content": base64(self.certificate.pem()) } },
            },
        });
        let layer = self.layer(payload, &entry);
        Attached::Simple { layer, signature }
    }

    fn envelope_and_entry(&self, statement: &Json) -> (Json, Json) {
        let payload = statement.to_string().into_bytes();
        let signature = self.key.sign(&pre_authentication(IN_TOTO, &payload));
        let signature = base64(signature.unwrap());
        let envelope = json!({
            "payload": base64(&payload),
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": signature }],
        });
        let hash =
            |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(Sha256::digest(bytes)) });
        let entry = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": hash(envelope.to_string().as_bytes()),
                "payloadHash": hash(&payload),
                "signatures": [{ "signature": signature, "verifier": base64(self.certificate.pem()) }],
            },
        });
        (envelope, entry)
    }

    fn layer(&self, content: Vec<u8>, entry: &Json) -> Layer {
        let body = serde_json::to_vec(entry).unwrap();
        let entry = json!({
            "SignedEntryTimestamp": self.promise(&body),
            "Payload": {
                "body": base64(&body),
                "integratedTime": self.at,
                "logIndex": 0,
                "logID": hex(self.instance.log_id()),
            },
        });
        Layer {
            content,
            proof: Some(Proof {
                certificate: self.certificate.pem(),
                entry: Some(entry.to_string()),
            }),
        }
    }

    /// What the log signs of an entry: <https://github.com/sigstore/rekor/blob/main/openapi.yaml>.
    fn promise(&self, body: &[u8]) -> String {
        let promised = json!({
            "body": base64(body),
            "integratedTime": self.at,
            "logID": hex(self.instance.log_id()),
            "logIndex": 0,
        });
        base64(
            self.instance
                .log
                .sign(promised.to_string().as_bytes())
                .unwrap(),
        )
    }

    /// The log's word that it has one entry: <https://github.com/transparency-dev/formats/blob/main/log/README.md>.
    fn checkpoint(&self, root: &[u8]) -> String {
        let note = format!("rekor.example.com\n1\n{}\n", base64(root));
        let signature = self.instance.log.sign(note.as_bytes()).unwrap();
        let signed = [&self.instance.log_id()[..4], &signature].concat();
        format!("{note}\n\u{2014} rekor.example.com {}\n", base64(signed))
    }
}
