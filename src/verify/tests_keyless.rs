//! Signatures by identity: what an instance of our own signs, each part of it changed once.

use serde_json::{Value as Json, json};

use super::instance::{Instance, SIGNED_AT};
use super::{IdentityError, SIGNATURE, check_identity, check_root, judge};
use crate::image::{Attached, Layer};
use crate::policy::gate::{Claim, Identity, Matter, Report, Severity, Signer, TrustRoot, Vouched};

const DIGEST: &str = "sha256:326d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
const OTHER: &str = "sha256:426d78deb0f8314f10970804e816db8caad9be61914d17f8bfbbf93dcd0c7f06";
const NAME: &str = "registry.example.com/acme/web";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const BUILD: &str = "https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1.5.0";
const BUILDS: &str = "https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*";

fn statement(predicate_type: &str, digest: &str) -> Json {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": &digest[7..] } }],
        "predicateType": predicate_type,
        "predicate": {},
    })
}

fn bundle(bundle: &Json) -> Attached {
    Attached::Bundle(bundle.to_string().into_bytes())
}

fn claim(instance: &Instance, (name, issuer): (&str, &str), matter: Matter) -> Claim {
    let json = instance.root().to_string();
    let signer = Signer::Identity(Identity {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        root: TrustRoot::Own {
            fingerprint: check_root(&json).unwrap(),
            json: json.into(),
        },
    });
    Claim { signer, matter }
}

fn judged(claim: &Claim, digest: &str, attached: Attached) -> Vouched {
    let image = (&NAME.parse().unwrap(), &digest.parse().unwrap());
    judge(claim, image, &[attached]).unwrap()
}

/// Why something does not vouch.
fn why_not(claim: &Claim, attached: Attached) -> String {
    match judged(claim, DIGEST, attached) {
        Vouched::No { why } => why,
        Vouched::Yes { .. } => panic!("it vouches"),
    }
}

fn yes() -> Vouched {
    Vouched::Yes {
        by: Some(BUILD.to_owned()),
        report: None,
    }
}

#[test]
fn what_an_identity_signs_verifies_in_each_form() {
    let instance = Instance::new();
    let build = instance.person(BUILD, ISSUER);
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let signed = bundle(&build.bundle(&statement(SIGNATURE, DIGEST)));
    assert_eq!(judged(&signature, DIGEST, signed), yes());
    assert_eq!(
        judged(&signature, DIGEST, build.simple(NAME, DIGEST)),
        yes()
    );
    let spdx = Matter::Attestation("spdx".parse().unwrap());
    let spdx = claim(&instance, (BUILDS, ISSUER), spdx);
    let stated = statement("https://spdx.dev/Document", DIGEST);
    assert_eq!(judged(&spdx, DIGEST, bundle(&build.bundle(&stated))), yes());
    assert_eq!(judged(&spdx, DIGEST, build.envelope(&stated)), yes());
}

#[test]
fn a_person_signs_by_an_address_of_mail() {
    let instance = Instance::new();
    let ada = instance.person("ada@example.com", "https://accounts.google.com");
    let anybody = ("*@example.com", "https://accounts.google.com");
    let claim = claim(&instance, anybody, Matter::Signature);
    let by = Some("ada@example.com".to_owned());
    let signed = judged(&claim, DIGEST, ada.simple(NAME, DIGEST));
    assert_eq!(signed, Vouched::Yes { by, report: None });
}

#[test]
fn who_is_named_otherwise_or_known_by_another_is_not_the_one() {
    let instance = Instance::new();
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let stated = statement(SIGNATURE, DIGEST);
    let told = [
        (BUILD.replace("acme", "mallory").as_str(), ISSUER),
        (&BUILD.replace("release", "test"), ISSUER),
        (&BUILD.replace("v1.5.0", "v1/5.0"), ISSUER),
        (BUILD, "https://accounts.google.com"),
    ]
    .map(|(name, issuer)| {
        let other = instance.person(name, issuer);
        why_not(&signature, bundle(&other.bundle(&stated)))
    });
    insta::assert_snapshot!(told.join("\n"), @"
    what stands beside it does not count: it was made by `https://github.com/mallory/web/.github/workflows/release.yaml@refs/tags/v1.5.0` of `https://token.actions.githubusercontent.com`
    what stands beside it does not count: it was made by `https://github.com/acme/web/.github/workflows/test.yaml@refs/tags/v1.5.0` of `https://token.actions.githubusercontent.com`
    what stands beside it does not count: it was made by `https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1/5.0` of `https://token.actions.githubusercontent.com`
    what stands beside it does not count: it was made by `https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1.5.0` of `https://accounts.google.com`
    ");
}

#[test]
fn a_signature_of_another_image_or_under_another_root_is_none() {
    let (instance, other) = (Instance::new(), Instance::new());
    let build = instance.person(BUILD, ISSUER);
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let elsewhere = claim(&other, (BUILDS, ISSUER), Matter::Signature);
    let signed = |digest| bundle(&build.bundle(&statement(SIGNATURE, digest)));
    let told = [
        why_not(&signature, signed(OTHER)),
        why_not(&signature, build.simple(NAME, OTHER)),
        why_not(
            &signature,
            build.simple("registry.example.com/acme/admin", DIGEST),
        ),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    what stands beside it does not count: it cannot be trusted: artifact mismatch: artifact hash does not match any subject in attestation
    what stands beside it does not count: it is about another image
    what stands beside it does not count: it is a signature of the image as `registry.example.com/acme/admin`
    ");
    for signed in [signed(DIGEST), build.simple(NAME, DIGEST)] {
        let why = why_not(&elsewhere, signed);
        assert!(why.contains("No log key valid"), "{why}");
    }
}

#[test]
fn an_attestation_is_no_signature_and_a_signature_no_attestation() {
    let instance = Instance::new();
    let build = instance.person(BUILD, ISSUER);
    let of = |matter| claim(&instance, (BUILDS, ISSUER), matter);
    let spdx = bundle(&build.bundle(&statement("https://spdx.dev/Document", DIGEST)));
    let none = "the registry has none beside it";
    assert_eq!(why_not(&of(Matter::Signature), spdx), none);
    let attestation = Matter::Attestation("spdx".parse().unwrap());
    assert_eq!(why_not(&of(attestation), build.simple(NAME, DIGEST)), none);
}

#[test]
fn what_was_changed_after_it_was_signed_vouches_for_nothing() {
    let instance = Instance::new();
    let build = instance.person(BUILD, ISSUER);
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let signed = build.bundle(&statement(SIGNATURE, DIGEST));
    let forged = build.bundle(&statement(SIGNATURE, OTHER));
    let entry = "/verificationMaterial/tlogEntries/0";
    let parts = [
        "/dsseEnvelope/payload".to_owned(),
        "/dsseEnvelope/signatures/0/sig".to_owned(),
        format!("{entry}/inclusionPromise/signedEntryTimestamp"),
        format!("{entry}/inclusionProof/rootHash"),
        format!("{entry}/inclusionProof/checkpoint/envelope"),
        format!("{entry}/canonicalizedBody"),
    ];
    for part in parts {
        let mut changed = signed.clone();
        *changed.pointer_mut(&part).unwrap() = forged.pointer(&part).unwrap().clone();
        let why = why_not(&signature, bundle(&changed));
        assert!(why.contains("it cannot be trusted"), "{part}: {why}");
    }
    let mut unproved = signed.clone();
    let proof = unproved.pointer_mut(entry).unwrap().as_object_mut();
    proof.unwrap().remove("inclusionProof");
    insta::assert_snapshot!(why_not(&signature, bundle(&unproved)), @"what stands beside it does not count: it cannot be trusted: Bundle error: application/vnd.dev.sigstore.bundle.v0.3+json bundle must have an inclusion proof");
}

#[test]
fn who_signed_after_the_certificate_had_expired_is_nobody() {
    let instance = Instance::new();
    let mut build = instance.person(BUILD, ISSUER);
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    build.at = SIGNED_AT + 24 * 60 * 60;
    let late = bundle(&build.bundle(&statement(SIGNATURE, DIGEST)));
    insta::assert_snapshot!(why_not(&signature, late), @"what stands beside it does not count: it cannot be trusted: certificate chain is invalid: certificate chain validation failed: CertExpired { time: UnixTime(1591099200), not_after: UnixTime(1591056000) }");
    insta::assert_snapshot!(why_not(&signature, build.simple(NAME, DIGEST)), @"what stands beside it does not count: it cannot be trusted: certificate chain is invalid: certificate chain validation failed: CertExpired { time: UnixTime(1591099200), not_after: UnixTime(1591056000) }");
}

#[test]
fn a_log_must_know_of_what_is_signed_in_the_older_form() {
    let instance = Instance::new();
    let build = instance.person(BUILD, ISSUER);
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let simple = || match build.simple(NAME, DIGEST) {
        Attached::Simple { layer, signature } => (layer, signature),
        other => panic!("{other:?}"),
    };
    let changed = |change: &dyn Fn(&mut Layer)| {
        let (mut layer, text) = simple();
        change(&mut layer);
        let signed = Attached::Simple {
            layer,
            signature: text,
        };
        why_not(&signature, signed)
    };
    let (stranger, _) = simple();
    let told = [
        changed(&|layer| layer.proof = None),
        changed(&|layer| layer.proof.as_mut().unwrap().entry = None),
        changed(&|layer| layer.proof.as_mut().unwrap().entry = Some("{}".to_owned())),
        changed(&|layer| layer.proof.as_mut().unwrap().certificate = "none".to_owned()),
        // The log knows of another signature of the same.
        changed(&|layer| layer.proof.clone_from(&stranger.proof)),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    what stands beside it does not count: it has no certificate that says who made it
    what stands beside it does not count: it cannot be trusted: no log tells when it was made
    what stands beside it does not count: it cannot be read: missing field `SignedEntryTimestamp` at line 1 column 2
    what stands beside it does not count: it cannot be read: no items found
    what stands beside it does not count: it cannot be trusted: log entry does not match the bundle: signature in bundle does not match signature in Rekor entry
    ");
}

#[test]
fn a_key_proves_no_identity() {
    let instance = Instance::new();
    let signature = claim(&instance, (BUILDS, ISSUER), Matter::Signature);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures/p256/");
    let by_key = std::fs::read(format!("{folder}bundle.json")).unwrap();
    insta::assert_snapshot!(why_not(&signature, Attached::Bundle(by_key)), @"what stands beside it does not count: it has no certificate that says who made it");
    insta::assert_snapshot!(why_not(&signature, Attached::Bundle(b"{}".to_vec())), @"what stands beside it does not count: it cannot be read: JSON error: missing field `verificationMaterial` at line 1 column 2");
}

#[test]
fn the_newest_report_counts() {
    let instance = Instance::new();
    let build = instance.person(BUILD, ISSUER);
    let claim = claim(&instance, (BUILDS, ISSUER), Matter::Report);
    let report = |day: u32, severity: &str| {
        let mut stated = statement("https://in-toto.io/attestation/vulns/v0.2", DIGEST);
        stated["predicate"] = json!({
            "scanner": { "result": [{ "id": "CVE-2026-1", "severity": [{ "method": "nvd", "score": severity }] }] },
            "metadata": { "scanFinishedOn": format!("2026-03-0{day}T00:00:00Z") },
        });
        bundle(&build.bundle(&stated))
    };
    let image = (&NAME.parse().unwrap(), &DIGEST.parse().unwrap());
    let all = [report(1, "low"), report(3, "high"), report(2, "medium")];
    let newest = Report {
        scanned: "2026-03-03T00:00:00Z".parse().ok(),
        findings: [("CVE-2026-1".to_owned(), Severity::High)].into(),
    };
    assert_eq!(
        judge(&claim, image, &all).unwrap(),
        Vouched::Yes {
            by: Some(BUILD.to_owned()),
            report: Some(newest),
        }
    );
    // What may be the newest and cannot be read hides behind no other.
    let mut none = statement("https://in-toto.io/attestation/vulns/v0.2", DIGEST);
    let empty = bundle(&build.bundle(&none));
    none["predicate"] = Json::Null;
    let none = bundle(&build.bundle(&none));
    assert!(judge(&claim, image, &[none]).is_err());
    let [first, ..] = all;
    let error = judge(&claim, image, &[first, empty]).unwrap_err();
    insta::assert_snapshot!(error, @"the newest report of vulnerabilities cannot be read");
}

#[test]
fn a_trust_root_is_known_by_its_text_and_must_name_an_authority() {
    let instance = Instance::new();
    assert!(check_root(&instance.root().to_string()).is_ok());
    let public = sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
    assert!(check_root(public).is_ok());
    let mut none = instance.root();
    none["certificateAuthorities"] = json!([]);
    let mut broken = instance.root();
    broken["tlogs"][0]["publicKey"]["rawBytes"] = "e30=".into();
    let told = [
        none.to_string(),
        broken.to_string(),
        "{}".to_owned(),
        String::new(),
    ];
    let told = told.map(|json| check_root(&json).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @"
    it names no authority of certificates
    it is not a trusted root of Sigstore
    it is not a trusted root of Sigstore
    it is not a trusted root of Sigstore
    ");
}

#[test]
fn a_glob_of_identities_that_is_deep_or_large_is_refused() {
    let deep = format!("a{}a{}", "{".repeat(251), "}".repeat(251));
    for hostile in [deep, format!("a{}", "*?".repeat(60_000))] {
        let error = check_identity(&hostile).unwrap_err();
        assert!(matches!(error, IdentityError::NotGlob { .. }), "{error}");
    }
}

#[test]
fn a_glob_of_identities_names_somebody() {
    assert!(check_identity(BUILDS).is_ok());
    assert!(check_identity("*@example.com").is_ok());
    let told = ["**", "*/**", "", "https://github.com/[acme"];
    let told = told.map(|name| check_identity(name).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @"
    `**` is anybody whom the issuer knows
    `*/**` is anybody whom the issuer knows
    `` is anybody whom the issuer knows
    `https://github.com/[acme` is not a glob: unclosed character class; missing ']'
    ");
}
