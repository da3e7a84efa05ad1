//! What is genuine and what is not, by what cosign made.

use std::fs;
use std::path::Path;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::key::ParseKeyError;
use super::{IN_TOTO, NotVouched, PublicKey, Trust, judge, pre_authentication};
use crate::image::{Attached, Layer};
use crate::policy::gate::{Claim, Matter, Signer, SignerKey, Vouched};

/// What cosign 3.1.2 made of one image by `cosign sign` and `cosign attest`, by kind of key. `tests/signatures/README.md` says how.
const KINDS: [&str; 3] = ["p256", "p384", "rsa"];
const DIGEST: &str = "sha256:326d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
const OTHER: &str = "sha256:426d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
const NAME: &str = "registry.example.com/acme/web";

fn made(kind: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures");
    fs::read_to_string(folder.join(kind).join(name)).unwrap()
}

fn key(kind: &str) -> Signer {
    signer(&made(kind, "key.pub"))
}

fn signer(pem: &str) -> Signer {
    Signer::Key(SignerKey {
        fingerprint: PublicKey::from_pem(pem).unwrap().fingerprint(),
        pem: pem.into(),
    })
}

fn bundle(kind: &str) -> Attached {
    Attached::Bundle(made(kind, "bundle.json").into_bytes())
}

fn simple(kind: &str) -> Attached {
    signed_simply(
        made(kind, "simple.json").into_bytes(),
        made(kind, "simple.sig"),
    )
}

fn signed_simply(content: Vec<u8>, signature: String) -> Attached {
    let proof = None;
    let layer = Layer { content, proof };
    Attached::Simple { layer, signature }
}

fn judged(kind: &str, (name, digest): (&str, &str), attached: &Attached) -> Result<(), NotVouched> {
    let image = (&name.parse().unwrap(), &digest.parse().unwrap());
    let genuine = Trust::of(&key(kind))
        .unwrap()
        .vouches(&Matter::Signature, image, attached);
    genuine.map(|_| ())
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
    let trust = Trust::of(&signer(&pem)).unwrap();
    let payload = made("p256", "simple.json").into_bytes();
    let signature = STANDARD.encode(pair.sign(&payload));
    let signed = signed_simply(payload, signature);
    let image = (&NAME.parse().unwrap(), &DIGEST.parse().unwrap());
    assert!(trust.vouches(&Matter::Signature, image, &signed).is_ok());
    let mut bundle: Value = serde_json::from_str(&made("p256", "bundle.json")).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let bytes = pre_authentication(IN_TOTO, &STANDARD.decode(payload).unwrap());
    let signature = STANDARD.encode(pair.sign(&bytes));
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = signature.into();
    let signed = Attached::Bundle(bundle.to_string().into_bytes());
    assert!(trust.vouches(&Matter::Signature, image, &signed).is_ok());
}

#[test]
fn an_ed25519_signature_of_a_hash_as_cosign_3_makes_it_is_not_taken() {
    for attached in [bundle("ed25519"), simple("ed25519")] {
        let judged = judged("ed25519", (NAME, DIGEST), &attached);
        assert_eq!(judged, Err(NotVouched::OtherKey));
    }
}

#[test]
fn a_signature_by_another_key_is_none() {
    for (kind, other) in KINDS.iter().zip(KINDS.iter().cycle().skip(1)) {
        for attached in [bundle(other), simple(other)] {
            assert_eq!(
                judged(kind, (NAME, DIGEST), &attached),
                Err(NotVouched::OtherKey),
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
            Err(NotVouched::OtherImage)
        );
    }
    let long = format!("sha512:{}{}", &DIGEST[7..], &DIGEST[7..]);
    assert_eq!(
        judged("p256", (NAME, &long), &bundle("p256")),
        Err(NotVouched::OtherImage)
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
    let judged = judged("p256", (NAME, DIGEST), &attestation);
    assert_eq!(judged, Err(NotVouched::OtherMatter));
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
        Err(NotVouched::OtherKey)
    );
    let forged = made("p256", "simple.json").replace(DIGEST, OTHER);
    let attached = signed_simply(forged.into_bytes(), made("p256", "simple.sig"));
    assert_eq!(
        judged("p256", (NAME, OTHER), &attached),
        Err(NotVouched::OtherKey)
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
    it cannot be read: it is of the type `text/plain`
    it cannot be read: Invalid symbol 63, offset 0.
    it was not made with this key
    ");
    let simple = |payload: &str, signature: &str| {
        refused(signed_simply(
            payload.as_bytes().to_vec(),
            signature.to_owned(),
        ))
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
        ParseKeyError::Private
    );
    assert_eq!(
        read("-----BEGIN CERTIFICATE-----\ne30=\n-----END CERTIFICATE-----\n"),
        ParseKeyError::Certificate
    );
    assert_eq!(
        read("-----BEGIN PUBLIC KEY-----\ne30=\n-----END PUBLIC KEY-----\n"),
        ParseKeyError::Unsupported
    );
}

#[test]
fn a_key_is_known_by_the_name_that_bundles_give_it() {
    for kind in KINDS {
        let bundle: serde_json::Value = serde_json::from_str(&made(kind, "bundle.json")).unwrap();
        let hint = &bundle["verificationMaterial"]["publicKey"]["hint"];
        let hint = format!("SHA256:{}", hint.as_str().unwrap());
        let Signer::Key(SignerKey { fingerprint, .. }) = key(kind) else {
            unreachable!()
        };
        assert_eq!(hint, fingerprint, "{kind}");
    }
}

fn claimed(matter: Matter, attached: &[Attached]) -> Vouched {
    let claim = Claim {
        signer: key("p256"),
        matter,
    };
    let image = (&NAME.parse().unwrap(), &DIGEST.parse().unwrap());
    judge(&claim, image, attached).unwrap()
}

fn attestation() -> Matter {
    Matter::Attestation("custom".parse().unwrap())
}

#[test]
fn one_signature_among_others_suffices() {
    let all = [bundle("p384"), Attached::TooLarge, simple("p256")];
    let yes = Vouched::Yes {
        by: None,
        report: None,
    };
    assert_eq!(claimed(Matter::Signature, &all), yes);
    let attested = Attached::Bundle(made("p256", "attestation.json").into_bytes());
    assert_eq!(claimed(attestation(), &[bundle("p256"), attested]), yes);
}

#[test]
fn why_nothing_vouches_is_told_once_for_each_reason() {
    let why = |matter, attached: &[Attached]| match claimed(matter, attached) {
        Vouched::No { why } => why,
        Vouched::Yes { .. } => unreachable!(),
    };
    insta::assert_snapshot!(why(Matter::Signature, &[]), @"the registry has none beside it");
    insta::assert_snapshot!(why(attestation(), &[bundle("p256"), simple("p256")]), @"the registry has none beside it");
    let others = [
        bundle("p384"),
        simple("rsa"),
        Attached::TooLarge,
        Attached::Bundle(b"{".to_vec()),
    ];
    insta::assert_snapshot!(why(Matter::Signature, &others), @"what stands beside it does not count: it cannot be read: EOF while parsing an object at line 1 column 1, it is too large to be read, it was not made with this key");
}

/// What cosign 3.1.2 made by `cosign attest --type vuln` of what Trivy would print, in both forms.
#[test]
fn a_report_is_read_from_both_forms_of_attestation() {
    let claim = Claim {
        signer: key("image"),
        matter: Matter::Report,
    };
    let digest = "sha256:bd308404134a03a58dc2dbb815df980baccd3f3b3e08f5d11269df95b037562f";
    let image = (&NAME.parse().unwrap(), &digest.parse().unwrap());
    let envelope = Layer {
        content: made("image", "envelope.json").into_bytes(),
        proof: None,
    };
    let bundle = made("image", "vulnerabilities.json").into_bytes();
    let bundle = Attached::Bundle(bundle);
    // What is not read may be newer.
    let unread = judge(&claim, image, &[bundle.clone(), Attached::TooLarge]);
    insta::assert_snapshot!(unread.unwrap_err(), @"which report of vulnerabilities is the newest cannot be told, since not all that stands beside the image was read: it is too large");
    for attached in [bundle, Attached::Envelope(envelope)] {
        let Vouched::Yes { by: None, report } = judge(&claim, image, &[attached]).unwrap() else {
            panic!("it does not vouch")
        };
        let report = report.unwrap();
        assert_eq!(report.scanned, "2026-01-02T03:05:00Z".parse().ok());
        let findings = report.findings.iter();
        let findings: Vec<_> = findings
            .map(|(id, severity)| format!("{id} {severity}"))
            .collect();
        assert_eq!(
            findings,
            [
                "CVE-2026-1000 critical",
                "CVE-2026-1001 medium",
                "CVE-2026-1002 low"
            ]
        );
    }
}
