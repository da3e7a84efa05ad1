//! Signatures and attestations: which of the things that stand beside an image in its registry vouch for exactly that image, by a key or by an
//! identity.
//!
//! Reading order: `key` and `keyless` (who has signed), `report` (what scanners found), `wire`. Not here: reading them (`registry`), and whose
//! word counts where (`policy`). Nothing is asked of anybody: bytes in, a judgement out.
//! Invariant: what is not verified is not read; what verifies is about the digest that was asked for and no other.

#[cfg(test)]
mod instance;
mod key;
mod keyless;
mod report;
mod wire;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::image::{Attached, Digest, Layer, Reference, Repository};
use crate::policy::gate::{Claim, Matter, PredicateType, Report, Signer, Vouched};
use keyless::{Keyless, Signed};
use report::{ReportError, report};
use wire::{Bundle, Envelope, SimpleSigning, Statement};

pub(crate) use key::{KeyKind, PublicKey};
pub(crate) use keyless::{IdentityError, RootError, check_identity, check_root, trusted_until};

/// What an in-toto statement says that is a signature and no more; any other is an attestation, which a build may make of an image that
/// nobody approved: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What the older form calls itself: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
const SIMPLE_SIGNING: &str = "cosign container image signature";

/// What holds a statement: <https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md>.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// All versions of a bundle's media type start so: <https://docs.sigstore.dev/about/bundle/>.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Most reasons that are told of why nothing vouches: one for each kind of mistake that people make at once.
const REASONS_MAX: usize = 3;

/// Longest of them, in characters: an identity, an issuer, and the words around them. What is signed by nobody may say anything.
const REASON_LENGTH_MAX: usize = 300;

/// Why a claim cannot be judged, whatever stands beside the image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    #[error("the key that is asked for is none")]
    Key(#[from] key::ParseKeyError),
    #[error("the trust root that is asked for is none")]
    Root(#[from] RootError),
    #[error("the identity that is asked for is none")]
    Identity(#[from] IdentityError),
    #[error("the newest report of vulnerabilities cannot be read")]
    Report(#[from] ReportError),
    #[error(
        "which report of vulnerabilities is the newest cannot be told, since not all that stands beside the image was read: it is too large"
    )]
    Unread,
}

/// Why something does not vouch for an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NotVouched {
    #[error("it cannot be read: {why}")]
    Malformed { why: String },
    #[error("it is too large to be read")]
    TooLarge,
    #[error("it was not made with this key")]
    OtherKey,
    #[error("it has no certificate that says who made it")]
    NoCertificate,
    #[error("it cannot be trusted: {why}")]
    Untrusted { why: String },
    #[error("it was made by `{identity}` of `{issuer}`")]
    OtherIdentity { identity: String, issuer: String },
    #[error("it is about another image")]
    OtherImage,
    #[error("it is a signature of the image as `{name}`")]
    OtherName { name: String },
    /// Whether it is genuine or not, nobody asked for it.
    #[error("it is something else")]
    OtherMatter,
}

/// Who has signed, ready to be compared.
enum Trust {
    Key(PublicKey),
    Keyless(Box<Keyless>),
}

/// What vouches for an image.
struct Genuine {
    by: Option<String>,
    /// `None` for a signature.
    predicate: Option<Box<RawValue>>,
}

/// Whether a statement that says so of itself is what `matter` asks for.
pub(crate) fn is_wanted(matter: &Matter, predicate: &str) -> bool {
    match matter {
        Matter::Signature => predicate == SIGNATURE,
        Matter::Attestation(kind) => kind.is(predicate),
        Matter::Report => PredicateType::vulnerabilities().is(predicate),
    }
}

/// What becomes of `claim` about the image `digest` of `repository`, beside which `attached` stands.
///
/// A bundle names no repository; the older form of a signature does, and counts only under that name. When a key has signed is not asked:
/// who trusts a key trusts all that it signed.
pub(crate) fn judge(
    claim: &Claim,
    image: (&Repository, &Digest),
    attached: &[Attached],
) -> Result<Vouched, JudgeError> {
    let trust = Trust::of(&claim.signer)?;
    let mut reasons = BTreeSet::new();
    let mut newest: Option<(Option<String>, Result<Report, ReportError>)> = None;
    for attached in attached {
        let genuine = match trust.vouches(&claim.matter, image, attached) {
            Ok(genuine) => genuine,
            Err(NotVouched::OtherMatter) => continue,
            Err(why) => {
                reasons.insert(in_short(&why.to_string()));
                continue;
            }
        };
        let Genuine { by, predicate } = genuine;
        let report = match &claim.matter {
            Matter::Report => report(predicate.as_ref().map_or("null", |text| text.get())),
            Matter::Signature | Matter::Attestation(_) => {
                return Ok(Vouched::Yes { by, report: None });
            }
        };
        if newest
            .as_ref()
            .is_none_or(|(_, other)| is_newer(&report, other))
        {
            newest = Some((by, report));
        }
    }
    if let Some((by, report)) = newest {
        if attached.contains(&Attached::TooLarge) {
            return Err(JudgeError::Unread);
        }
        let report = Some(report?);
        return Ok(Vouched::Yes { by, report });
    }
    let reasons: Vec<String> = reasons.into_iter().take(REASONS_MAX).collect();
    let why = match reasons.is_empty() {
        true => "the registry has none beside it".to_owned(),
        false => format!(
            "what stands beside it does not count: {}",
            reasons.join(", ")
        ),
    };
    Ok(Vouched::No { why })
}

/// Whether a report counts instead of another. One that cannot be read may be the newest, and never hides behind one that can.
fn is_newer(report: &Result<Report, ReportError>, other: &Result<Report, ReportError>) -> bool {
    match (report, other) {
        (Ok(report), Ok(other)) => report.scanned > other.scanned,
        (Err(_), Ok(_)) => true,
        (Ok(_) | Err(_), Err(_)) => false,
    }
}

/// A reason on one line, of bounded length.
fn in_short(reason: &str) -> String {
    let printed = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = printed.clone().take(REASON_LENGTH_MAX).collect();
    if printed.count() > REASON_LENGTH_MAX {
        short.push_str("..");
    }
    short
}

impl Trust {
    fn of(signer: &Signer) -> Result<Self, JudgeError> {
        Ok(match signer {
            Signer::Key(key) => Self::Key(PublicKey::from_pem(&key.pem)?),
            Signer::Identity(identity) => Self::Keyless(Box::new(Keyless::new(identity)?)),
        })
    }

    /// Whether `attached` is what `matter` asks for.
    fn vouches(
        &self,
        matter: &Matter,
        (repository, digest): (&Repository, &Digest),
        attached: &Attached,
    ) -> Result<Genuine, NotVouched> {
        match attached {
            Attached::Bundle(bundle) => {
                let signed = match self {
                    Self::Key(key) => statement_of_bundle(key, bundle)?,
                    Self::Keyless(keyless) => keyless.bundle(bundle, digest)?,
                };
                says(matter, signed, digest)
            }
            Attached::Envelope(layer) => {
                let signed = match self {
                    Self::Key(key) => {
                        let envelope: Envelope =
                            serde_json::from_slice(&layer.content).map_err(malformed)?;
                        by_key(statement(key, &envelope)?)
                    }
                    Self::Keyless(keyless) => keyless.envelope(layer, digest)?,
                };
                says(matter, signed, digest)
            }
            Attached::Simple { layer, signature } => match matter {
                Matter::Signature => {
                    let by = self.signed_simply(layer, signature)?;
                    let simple = serde_json::from_slice(&layer.content).map_err(malformed)?;
                    is_of(&simple, repository, digest)?;
                    Ok(Genuine {
                        by,
                        predicate: None,
                    })
                }
                Matter::Attestation(_) | Matter::Report => Err(NotVouched::OtherMatter),
            },
            Attached::TooLarge => Err(NotVouched::TooLarge),
        }
    }

    /// Who has signed the content of a layer, where a certificate says so.
    fn signed_simply(&self, layer: &Layer, signature: &str) -> Result<Option<String>, NotVouched> {
        match self {
            Self::Key(key) => match key.has_signed(&layer.content, &base64(signature)?) {
                true => Ok(None),
                false => Err(NotVouched::OtherKey),
            },
            Self::Keyless(keyless) => keyless.simple(layer, signature).map(Some),
        }
    }
}

/// What a bundle states that `key` has signed.
fn statement_of_bundle(key: &PublicKey, bundle: &[u8]) -> Result<Signed, NotVouched> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(malformed)?;
    let Some(envelope) = bundle.dsse_envelope else {
        return Err(malformed("it holds no envelope"));
    };
    if !bundle.media_type.starts_with(BUNDLE) {
        return Err(malformed(format!(
            "it is of the type `{}`",
            bundle.media_type
        )));
    }
    Ok(by_key(statement(key, &envelope)?))
}

fn by_key(statement: Statement) -> Signed {
    Signed {
        by: None,
        statement,
    }
}

/// The statement in an envelope that `key` has signed.
fn statement(key: &PublicKey, envelope: &Envelope) -> Result<Statement, NotVouched> {
    if envelope.payload_type != IN_TOTO {
        return Err(malformed(format!("it holds `{}`", envelope.payload_type)));
    }
    let payload = base64(&envelope.payload)?;
    let signed = pre_authentication(&envelope.payload_type, &payload);
    let mut is_signed = false;
    for signature in &envelope.signatures {
        is_signed |= key.has_signed(&signed, &base64(&signature.sig)?);
    }
    match is_signed {
        true => serde_json::from_slice(&payload).map_err(malformed),
        false => Err(NotVouched::OtherKey),
    }
}

/// The bytes that are signed: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_length, length) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {type_length} {payload_type} {length} ").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Whether a genuine statement is what `matter` asks for, of the image `digest`.
fn says(
    matter: &Matter,
    Signed { by, statement }: Signed,
    digest: &Digest,
) -> Result<Genuine, NotVouched> {
    let Statement {
        subject,
        predicate_type,
        predicate,
    } = statement;
    if !is_wanted(matter, &predicate_type) {
        return Err(NotVouched::OtherMatter);
    }
    let is_about = subject.iter().any(|subject| {
        let algorithm_and_hex = digest.as_str().split_once(':');
        algorithm_and_hex.is_some_and(|(algorithm, hex)| {
            subject
                .digest
                .get(algorithm)
                .is_some_and(|signed| signed == hex)
        })
    });
    match is_about {
        true => Ok(Genuine { by, predicate }),
        false => Err(NotVouched::OtherImage),
    }
}

fn is_of(
    SimpleSigning { critical }: &SimpleSigning,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), NotVouched> {
    if critical.kind != SIMPLE_SIGNING {
        return Err(malformed(format!("it is of the type `{}`", critical.kind)));
    }
    if critical.image.digest != digest.as_str() {
        return Err(NotVouched::OtherImage);
    }
    let name = &critical.identity.reference;
    let named = name
        .parse()
        .map(|reference: Reference| reference.repository);
    match named.as_ref() == Ok(repository) {
        true => Ok(()),
        false => Err(NotVouched::OtherName { name: name.clone() }),
    }
}

fn base64(text: &str) -> Result<Vec<u8>, NotVouched> {
    STANDARD.decode(text.trim()).map_err(malformed)
}

fn malformed(why: impl ToString) -> NotVouched {
    NotVouched::Malformed {
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_keyless;
