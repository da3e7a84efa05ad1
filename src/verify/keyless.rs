//! Signatures by identity: a certificate of Sigstore says who has signed, and a log that it was while the certificate was valid. All of it
//! stands beside the image, so nobody is asked.
//!
//! What is signed in cosign's older form has the same parts in other places, and is put into a bundle of the oldest version here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, DigestBytes, HashAlgorithm, SignatureContent,
};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::wire::{EntryKind, LogEntry, LogPayload, Statement};
use super::{NotVouched, malformed};
use crate::image::{Digest, Layer, Proof};
use crate::policy::Glob;
use crate::policy::gate::{Identity, TrustRoot};

/// A bundle of the oldest version, whose log entry is promised and not proved:
/// <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>.
const OLDEST_BUNDLE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// Why a text is not a trust root.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootError {
    #[error("it is not a trusted root of Sigstore")]
    NotOne(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it names no authority of certificates")]
    NoAuthority,
}

/// Why a text is not a glob of identities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("`{name}` is not a glob: {why}")]
    NotGlob { name: String, why: String },
    #[error("`{name}` is anybody whom the issuer knows")]
    Anybody { name: String },
}

/// Whom to believe, and who must have signed.
pub(super) struct Keyless {
    verifier: Verifier,
    /// For bundles, whose log entries are proved.
    policy: VerificationPolicy,
    /// For the older form, whose log entries are promised.
    older_policy: VerificationPolicy,
    name: Glob,
    issuer: String,
}

/// A genuine statement, and the name in the certificate of who made it.
pub(super) struct Signed {
    pub(super) by: Option<String>,
    pub(super) statement: Statement,
}

/// Finds out whether `json` is a trust root, and gives its SHA-256.
pub(crate) fn check_root(json: &str) -> Result<String, RootError> {
    verifier(json)?;
    let hash = STANDARD.encode(Sha256::digest(json));
    Ok(format!("SHA256:{}", hash.trim_end_matches('=')))
}

/// When the first certificate ends of the authorities that certify at `now`; `None` where none does.
pub(crate) fn trusted_until(
    root: &TrustRoot,
    now: Timestamp,
) -> Result<Option<Timestamp>, RootError> {
    let (root, _) = verifier(root.json())?;
    let authorities = root.certificate_authorities.iter();
    let mut first = None;
    for authority in authorities {
        let valid_for = authority.valid_for.as_ref();
        if valid_for.is_some_and(|valid_for| !valid_for.contains(now)) {
            continue;
        }
        let mut end = valid_for.and_then(|valid_for| valid_for.end);
        for certificate in &authority.cert_chain.certificates {
            let read = parse_certificate_info(&certificate.raw_bytes);
            let read = read.map_err(|error| RootError::NotOne(error.into()))?;
            end = end.into_iter().chain([read.not_after]).min();
        }
        let end = end.filter(|end| *end > now);
        first = first.into_iter().chain(end).min();
    }
    Ok(first)
}

impl TrustRoot {
    /// As Sigstore writes it.
    fn json(&self) -> &str {
        match self {
            Self::Public => SIGSTORE_PRODUCTION_TRUSTED_ROOT,
            Self::Own { json, .. } => json,
        }
    }
}

/// Finds out whether `name` is a glob of identities: `*` is anything but `/`, and `**` is anything.
pub(crate) fn check_identity(name: &str) -> Result<(), IdentityError> {
    glob(name).map(|_| ())
}

fn glob(name: &str) -> Result<Glob, IdentityError> {
    if name.chars().all(|c| matches!(c, '*' | '?' | '/')) {
        let name = name.to_owned();
        return Err(IdentityError::Anybody { name });
    }
    Glob::of_paths(name).map_err(|why| IdentityError::NotGlob {
        name: name.to_owned(),
        why,
    })
}

fn verifier(json: &str) -> Result<(TrustedRoot, Verifier), RootError> {
    let root = TrustedRoot::from_json(json).map_err(|error| RootError::NotOne(error.into()))?;
    if root.certificate_authorities.is_empty() {
        return Err(RootError::NoAuthority);
    }
    let verifier = Verifier::new(&root).map_err(|error| RootError::NotOne(error.into()))?;
    Ok((root, verifier))
}

impl Keyless {
    pub(super) fn new(identity: &Identity) -> Result<Self, super::JudgeError> {
        let Identity { name, issuer, root } = identity;
        let (root, verifier) = verifier(root.json())?;
        // An instance without logs, such as GitHub's for private repositories, proves the time by timestamps alone.
        let mut policy = VerificationPolicy::any_identity();
        if root.ctlogs.is_empty() {
            policy = policy.skip_sct();
        }
        let older_policy = policy.clone().skip_tlog_unsafe();
        if root.tlogs.is_empty() {
            policy = policy.skip_tlog_unsafe();
        }
        Ok(Self {
            verifier,
            policy,
            older_policy,
            name: glob(name)?,
            issuer: issuer.clone(),
        })
    }

    /// What a bundle states of the image `digest`.
    pub(super) fn bundle(&self, bundle: &[u8], digest: &Digest) -> Result<Signed, NotVouched> {
        let bundle = std::str::from_utf8(bundle).map_err(malformed)?;
        let bundle = Bundle::from_json(bundle).map_err(malformed)?;
        self.stated(&bundle, digest, &self.policy)
    }

    /// What an envelope of the older form states of the image `digest`.
    pub(super) fn envelope(&self, layer: &Layer, digest: &Digest) -> Result<Signed, NotVouched> {
        let envelope: Json = serde_json::from_slice(&layer.content).map_err(malformed)?;
        let bundle = older(layer, ("dsseEnvelope", envelope))?;
        self.stated(&bundle, digest, &self.older_policy)
    }

    /// Who has signed the content of a layer of the older form.
    pub(super) fn simple(&self, layer: &Layer, signature: &str) -> Result<String, NotVouched> {
        let digest = STANDARD.encode(Sha256::digest(&layer.content));
        let content = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": digest },
            "signature": signature.trim(),
        });
        let bundle = older(layer, ("messageSignature", content))?;
        self.signer(
            Artifact::from_blob(&layer.content),
            &bundle,
            &self.older_policy,
        )
    }

    fn stated(
        &self,
        bundle: &Bundle,
        digest: &Digest,
        policy: &VerificationPolicy,
    ) -> Result<Signed, NotVouched> {
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(malformed("it holds no envelope"));
        };
        let by = Some(self.signer(artifact(digest)?, bundle, policy)?);
        let statement = serde_json::from_slice(envelope.payload.as_bytes()).map_err(malformed)?;
        Ok(Signed { by, statement })
    }

    /// The name in the certificate, where everything is as it should be.
    fn signer(
        &self,
        artifact: Artifact<'_>,
        bundle: &Bundle,
        policy: &VerificationPolicy,
    ) -> Result<String, NotVouched> {
        if bundle.signing_certificate().is_none() {
            return Err(NotVouched::NoCertificate);
        }
        let verified = self.verifier.verify(artifact, bundle, policy);
        let verified = verified.map_err(|error| NotVouched::Untrusted {
            why: error.to_string(),
        })?;
        let identity = verified.identity().map(|name| name.as_str().to_owned());
        let identity = identity.filter(|_| verified.certificate_verified());
        let identity = identity.ok_or(NotVouched::NoCertificate)?;
        let issuer = verified.issuer().unwrap_or_default();
        match issuer == self.issuer && self.name.is_match(&identity) {
            true => Ok(identity),
            false => Err(NotVouched::OtherIdentity {
                identity,
                issuer: issuer.to_owned(),
            }),
        }
    }
}

fn artifact(digest: &Digest) -> Result<Artifact<'static>, NotVouched> {
    let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or_default();
    let algorithm = match algorithm {
        "sha256" => HashAlgorithm::Sha2256,
        "sha512" => HashAlgorithm::Sha2512,
        other => return Err(malformed(format!("nothing is known of `{other}`"))),
    };
    let bytes = DigestBytes::from_hex(hex).map_err(malformed)?;
    let digest = ArtifactDigest::new(algorithm, bytes).map_err(malformed)?;
    Ok(Artifact::from_digest(digest))
}

/// The same in a bundle.
fn older(layer: &Layer, (key, content): (&str, Json)) -> Result<Bundle, NotVouched> {
    let proof = layer.proof.as_ref().ok_or(NotVouched::NoCertificate)?;
    let Proof { certificate, entry } = proof;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(malformed)?;
    let Some(entry) = entry else {
        return Err(NotVouched::Untrusted {
            why: "no log tells when it was made".to_owned(),
        });
    };
    let LogEntry { promise, payload } = serde_json::from_str(entry).map_err(malformed)?;
    let LogPayload {
        body,
        integrated_time,
        log_index,
        log_id,
    } = payload;
    let decoded = super::base64(&body)?;
    let EntryKind { kind, api_version } = serde_json::from_slice(&decoded).map_err(malformed)?;
    let log_id = DigestBytes::from_hex(&log_id).map_err(malformed)?;
    let mut bundle = json!({
        "mediaType": OLDEST_BUNDLE,
        "verificationMaterial": {
            "x509CertificateChain": { "certificates": [{ "rawBytes": STANDARD.encode(&certificate) }] },
            "tlogEntries": [{
                "logIndex": log_index.to_string(),
                "logId": { "keyId": STANDARD.encode(log_id.as_bytes()) },
                "kindVersion": { "kind": kind, "version": api_version },
                "integratedTime": integrated_time.to_string(),
                "inclusionPromise": { "signedEntryTimestamp": promise },
                "canonicalizedBody": body,
            }],
        },
    });
    bundle[key] = content;
    Bundle::from_json(&bundle.to_string()).map_err(malformed)
}
