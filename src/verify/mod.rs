//! Signatures: which of the things that stand beside an image in its registry are signatures of exactly that image, by a key.
//!
//! Not here: reading them (`registry`), and which keys count where (`policy`). Nothing is asked of anybody: bytes in, a judgement out.
//! Invariant: what is not verified is not read; what verifies is about the digest that was asked for and no other.

#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the gate `signature` is to use it")
)]

mod key;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::image::{Digest, Reference, Repository};
use wire::{Bundle, SimpleSigning, Statement};

pub(crate) use key::PublicKey;

/// What an in-toto statement says that is a signature and no more; any other is an attestation, which a build may make of an image that
/// nobody approved: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What the older form calls itself: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
const SIMPLE_SIGNING: &str = "cosign container image signature";

/// What holds a statement: <https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md>.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// All versions of a bundle's media type start so: <https://docs.sigstore.dev/about/bundle/>.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// What stands in a registry beside an image, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// A bundle of Sigstore, found by the image's referrers.
    Bundle(Vec<u8>),
    /// A layer of the tag `sha256-<hex>.sig`, and the signature in its annotation, in base64.
    Simple { payload: Vec<u8>, signature: String },
}

/// Why something is not a signature of an image by a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error("it cannot be read: {why}")]
    Malformed { why: String },
    #[error("it was not made with this key")]
    OtherKey,
    #[error("it is an attestation (`{predicate}`)")]
    Attestation { predicate: String },
    #[error("it is a signature of another image")]
    OtherImage,
    #[error("it is a signature of the image as `{name}`")]
    OtherName { name: String },
}

/// Whether `attached` is a signature of the image `digest` of `repository` by `key`.
///
/// A bundle names no repository; the older form does, and counts only under that name. When it was made is not asked: who trusts a key
/// trusts all that it signed.
pub(crate) fn verify(
    key: &PublicKey,
    (repository, digest): (&Repository, &Digest),
    attached: &Attached,
) -> Result<(), NotSigned> {
    match attached {
        Attached::Bundle(bundle) => {
            let statement = statement(key, bundle)?;
            is_signature_of(&statement, digest)
        }
        Attached::Simple { payload, signature } => {
            let signature = base64(signature)?;
            if !key.has_signed(payload, &signature) {
                return Err(NotSigned::OtherKey);
            }
            let simple = serde_json::from_slice(payload).map_err(malformed)?;
            is_of(&simple, repository, digest)
        }
    }
}

/// The statement of a bundle, which `key` has signed.
fn statement(key: &PublicKey, bundle: &[u8]) -> Result<Statement, NotSigned> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(malformed)?;
    let Some(envelope) = bundle.dsse_envelope else {
        return Err(malformed("it holds no envelope"));
    };
    if !bundle.media_type.starts_with(BUNDLE) || envelope.payload_type != IN_TOTO {
        let why = format!("`{}` of `{}`", bundle.media_type, envelope.payload_type);
        return Err(malformed(why));
    }
    let payload = base64(&envelope.payload)?;
    let signed = pre_authentication(&envelope.payload_type, &payload);
    let mut is_signed = false;
    for signature in &envelope.signatures {
        is_signed |= key.has_signed(&signed, &base64(&signature.sig)?);
    }
    match is_signed {
        true => serde_json::from_slice(&payload).map_err(malformed),
        false => Err(NotSigned::OtherKey),
    }
}

/// The bytes that are signed: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_length, length) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {type_length} {payload_type} {length} ").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

fn is_signature_of(statement: &Statement, digest: &Digest) -> Result<(), NotSigned> {
    if statement.predicate_type != SIGNATURE {
        let predicate = statement.predicate_type.clone();
        return Err(NotSigned::Attestation { predicate });
    }
    let is_about = statement.subject.iter().any(|subject| {
        let algorithm_and_hex = digest.as_str().split_once(':');
        algorithm_and_hex.is_some_and(|(algorithm, hex)| {
            subject
                .digest
                .get(algorithm)
                .is_some_and(|signed| signed == hex)
        })
    });
    match is_about {
        true => Ok(()),
        false => Err(NotSigned::OtherImage),
    }
}

fn is_of(
    SimpleSigning { critical }: &SimpleSigning,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), NotSigned> {
    if critical.kind != SIMPLE_SIGNING {
        return Err(malformed(format!("it is of the type `{}`", critical.kind)));
    }
    if critical.image.digest != digest.as_str() {
        return Err(NotSigned::OtherImage);
    }
    let name = &critical.identity.reference;
    let named = name
        .parse()
        .map(|reference: Reference| reference.repository);
    match named.as_ref() == Ok(repository) {
        true => Ok(()),
        false => Err(NotSigned::OtherName { name: name.clone() }),
    }
}

fn base64(text: &str) -> Result<Vec<u8>, NotSigned> {
    STANDARD.decode(text.trim()).map_err(malformed)
}

fn malformed(why: impl ToString) -> NotSigned {
    NotSigned::Malformed {
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::key::ParseKeyError;
    use super::{Attached, IN_TOTO, NotSigned, PublicKey, pre_authentication, verify};

    /// What cosign 3.1.2 made of one image by `cosign sign` and `cosign attest`, by kind of key. `tests/signatures/README.md` says how.
    const KINDS: [&str; 3] = ["p256", "p384", "rsa"];
    const DIGEST: &str = "sha256:326d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
    const OTHER: &str = "sha256:426d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
    const NAME: &str = "registry.example.com/acme/web";

    fn made(kind: &str, name: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures");
        fs::read_to_string(folder.join(kind).join(name)).unwrap()
    }

    fn key(kind: &str) -> PublicKey {
        PublicKey::from_pem(&made(kind, "key.pub")).unwrap()
    }

    fn bundle(kind: &str) -> Attached {
        Attached::Bundle(made(kind, "bundle.json").into_bytes())
    }

    fn simple(kind: &str) -> Attached {
        Attached::Simple {
            payload: made(kind, "simple.json").into_bytes(),
            signature: made(kind, "simple.sig"),
        }
    }

    fn judged(
        kind: &str,
        (name, digest): (&str, &str),
        attached: &Attached,
    ) -> Result<(), NotSigned> {
        verify(
            &key(kind),
            (&name.parse().unwrap(), &digest.parse().unwrap()),
            attached,
        )
    }

    #[test]
    fn what_cosign_signs_verifies_in_both_forms_and_with_each_kind_of_key() {
        for kind in KINDS {
            for attached in [bundle(kind), simple(kind)] {
                assert_eq!(
                    judged(kind, (NAME, DIGEST), &attached),
                    Ok(()),
                    "{kind} {attached:?}"
                );
            }
        }
    }

    #[test]
    fn an_ed25519_key_signs_the_bytes_themselves() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = pair.public_key().as_der().unwrap();
        let pem = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
        let key = PublicKey::from_pem(&pem).unwrap();
        let payload = made("p256", "simple.json").into_bytes();
        let signature = STANDARD.encode(pair.sign(&payload));
        let signed = Attached::Simple { payload, signature };
        let image = (&NAME.parse().unwrap(), &DIGEST.parse().unwrap());
        assert_eq!(verify(&key, image, &signed), Ok(()));
        let mut bundle: Value = serde_json::from_str(&made("p256", "bundle.json")).unwrap();
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let bytes = pre_authentication(IN_TOTO, &STANDARD.decode(payload).unwrap());
        let signature = STANDARD.encode(pair.sign(&bytes));
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = signature.into();
        let signed = Attached::Bundle(bundle.to_string().into_bytes());
        assert_eq!(verify(&key, image, &signed), Ok(()));
    }

    #[test]
    fn an_ed25519_signature_of_a_hash_as_cosign_3_makes_it_is_not_taken() {
        for attached in [bundle("ed25519"), simple("ed25519")] {
            let judged = judged("ed25519", (NAME, DIGEST), &attached);
            assert_eq!(judged, Err(NotSigned::OtherKey));
        }
    }

    #[test]
    fn a_signature_by_another_key_is_none() {
        for (kind, other) in KINDS.iter().zip(KINDS.iter().cycle().skip(1)) {
            for attached in [bundle(other), simple(other)] {
                assert_eq!(
                    judged(kind, (NAME, DIGEST), &attached),
                    Err(NotSigned::OtherKey),
                    "{kind} {other}"
                );
            }
        }
    }

    #[test]
    fn a_signature_of_another_image_is_none() {
        for attached in [bundle("p256"), simple("p256")] {
            assert_eq!(
                judged("p256", (NAME, OTHER), &attached),
                Err(NotSigned::OtherImage)
            );
        }
        let long = format!("sha512:{}{}", &DIGEST[7..], &DIGEST[7..]);
        assert_eq!(
            judged("p256", (NAME, &long), &bundle("p256")),
            Err(NotSigned::OtherImage)
        );
    }

    #[test]
    fn the_older_form_counts_only_under_the_name_that_it_says() {
        let elsewhere = judged(
            "p256",
            ("registry.example.com/acme/admin", DIGEST),
            &simple("p256"),
        );
        insta::assert_snapshot!(elsewhere.unwrap_err(), @"it is a signature of the image as `registry.example.com/acme/web`");
    }

    #[test]
    fn an_attestation_by_the_key_is_no_signature() {
        let attestation = Attached::Bundle(made("p256", "attestation.json").into_bytes());
        let error = judged("p256", (NAME, DIGEST), &attestation).unwrap_err();
        insta::assert_snapshot!(error, @"it is an attestation (`https://cosign.sigstore.dev/attestation/v1`)");
    }

    #[test]
    fn what_was_changed_after_it_was_signed_is_no_signature() {
        let text = made("p256", "bundle.json");
        let mut parts: Value = serde_json::from_str(&text).unwrap();
        let payload = parts["dsseEnvelope"]["payload"].as_str().unwrap();
        let statement = String::from_utf8(STANDARD.decode(payload).unwrap()).unwrap();
        let forged = statement.replace(&DIGEST[7..], &OTHER[7..]);
        assert_ne!(forged, statement);
        parts["dsseEnvelope"]["payload"] = STANDARD.encode(forged).into();
        let attached = Attached::Bundle(parts.to_string().into_bytes());
        assert_eq!(
            judged("p256", (NAME, OTHER), &attached),
            Err(NotSigned::OtherKey)
        );
        let Attached::Simple { payload, signature } = simple("p256") else {
            unreachable!()
        };
        let payload = String::from_utf8(payload)
            .unwrap()
            .replace(DIGEST, OTHER)
            .into_bytes();
        let attached = Attached::Simple { payload, signature };
        assert_eq!(
            judged("p256", (NAME, OTHER), &attached),
            Err(NotSigned::OtherKey)
        );
    }

    #[test]
    fn what_is_no_signature_at_all_says_why() {
        let refused = |attached: Attached| {
            judged("p256", (NAME, DIGEST), &attached)
                .unwrap_err()
                .to_string()
        };
        let bundles = [
            "",
            "[]",
            "{}",
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{}}"#,
            r#"{"mediaType":"text/plain","dsseEnvelope":{"payload":"","payloadType":"x","signatures":[]}}"#,
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payload":"?","payloadType":"application/vnd.in-toto+json","signatures":[]}}"#,
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}}"#,
        ];
        let lines = bundles.map(|bundle| refused(Attached::Bundle(bundle.as_bytes().to_vec())));
        insta::assert_snapshot!(lines.join("\n"), @"
        it cannot be read: EOF while parsing a value at line 1 column 0
        it cannot be read: invalid length 0, expected struct Bundle with 2 elements at line 1 column 2
        it cannot be read: missing field `mediaType` at line 1 column 2
        it cannot be read: it holds no envelope
        it cannot be read: `text/plain` of `x`
        it cannot be read: Invalid symbol 63, offset 0.
        it was not made with this key
        ");
        let simple = |payload: &str, signature: &str| {
            refused(Attached::Simple {
                payload: payload.as_bytes().to_vec(),
                signature: signature.to_owned(),
            })
        };
        insta::assert_snapshot!([simple("{}", "?"), simple("{}", ""), simple("", "e30=")].join("\n"), @"
        it cannot be read: Invalid symbol 63, offset 0.
        it was not made with this key
        it was not made with this key
        ");
    }

    #[test]
    fn what_is_no_public_key_is_refused_and_never_echoed() {
        let read = |text: &str| PublicKey::from_pem(text).unwrap_err();
        assert_eq!(read(""), ParseKeyError::NotPem);
        assert_eq!(read(&made("p256", "bundle.json")), ParseKeyError::NotPem);
        assert_eq!(
            read("-----BEGIN PRIVATE KEY-----\ne30=\n-----END PRIVATE KEY-----\n"),
            ParseKeyError::NotPem
        );
        assert_eq!(
            read("-----BEGIN PUBLIC KEY-----\ne30=\n-----END PUBLIC KEY-----\n"),
            ParseKeyError::Unsupported
        );
    }

    #[test]
    fn a_key_is_known_by_the_name_that_bundles_give_it() {
        for kind in KINDS {
            let bundle: serde_json::Value =
                serde_json::from_str(&made(kind, "bundle.json")).unwrap();
            let hint = &bundle["verificationMaterial"]["publicKey"]["hint"];
            assert_eq!(hint.as_str().unwrap(), key(kind).id(), "{kind}");
        }
    }
}
