//! Who may vouch for images: keys and identities as they are written, and the files that they stand in.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::tests::{POLICY, SETTINGS, folder, load_in, messages_in};
use super::{Config, Watch};
use crate::policy::gate::{Gates, Signature, Signer, TrustRoot};

const IDENTITY: &str = "identity: \"https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*\", issuer: \"https://token.actions.githubusercontent.com\"";

/// A public key that signs images of the tests.
fn key(kind: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures");
    fs::read_to_string(folder.join(kind).join("key.pub")).unwrap()
}

/// A folder with keys of all kinds beside a policy that has an environment for each of `gates`.
fn lab(settings: &str, gates: &[&str]) -> TempDir {
    let environment = |(index, gates): (usize, &&str)| {
        format!(
            "    - {{ name: dev-{index}, tags: {{ semver: 1.x }}, update: a{index}, gates: {{ {gates} }} }}\n"
        )
    };
    let environments: String = gates.iter().enumerate().map(environment).collect();
    let folder = folder(settings, &format!("{POLICY}{environments}"));
    for kind in ["p256", "p384", "rsa", "ed25519"] {
        let path = folder.path().join("policies").join(format!("{kind}.pub"));
        fs::write(path, key(kind)).unwrap();
    }
    fs::write(folder.path().join("policies/root.json"), ROOT).unwrap();
    folder
}

/// The public instance, which is as good as another.
const ROOT: &str = sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

fn read(settings: &str, gates: &[&str]) -> Config {
    load_in(lab(settings, gates).path()).unwrap()
}

fn gates(config: &Config) -> impl Iterator<Item = &Gates> {
    let environments = config.policies.iter().flat_map(|p| &p.environments);
    environments.map(|environment| &environment.gates)
}

fn refused(gates: &[&str]) -> String {
    messages_in(lab(SETTINGS, gates).path())
}

/// The claims that gates make of a version, and under which root.
fn claims(config: &Config) -> String {
    let mut lines = Vec::new();
    for (index, gates) in gates(config).enumerate() {
        let of_signature = gates.signature.iter().flat_map(|gate| gate.claims());
        let attestations = gates.attestations.iter();
        for claim in of_signature.chain(attestations.flat_map(|gate| gate.claims())) {
            let root = match &claim.signer {
                Signer::Identity(identity) => match &identity.root {
                    TrustRoot::Public => " (public)",
                    TrustRoot::Own { .. } => " (own)",
                },
                Signer::Key(_) => "",
            };
            let name = claim.name().to_string();
            let name = name.split(" under ").next().unwrap_or_default().to_owned();
            lines.push(format!("{index} {name}{root}"));
        }
    }
    lines.join("\n")
}

#[test]
fn who_may_vouch_is_read_as_it_is_meant() {
    let inline = key("rsa").replace('\n', "\\n");
    let config = read(
        SETTINGS,
        &[
            "signature: { key: p256.pub }",
            "signature: { key: [p256.pub, ./p384.pub] }",
            &format!("signature: {{ key: \"{inline}\" }}"),
            &format!("signature: [{{ key: p256.pub }}, {{ {IDENTITY} }}]"),
            &format!("signature: {{ {IDENTITY}, trust-root: {{ file: root.json }} }}"),
            "signature: { key: p256.pub }, attestations: { type: slsaprovenance }",
            &format!(
                "attestations: [{{ type: spdx, key: p384.pub }}, {{ type: vuln, {IDENTITY}, max-severity: none, allow: CVE-2026-1, max-age: 7d }}, {{ type: vuln, key: p256.pub }}]"
            ),
            "attestations: { type: \"https://example.com/tested/v1\", key: p256.pub }",
        ],
    );
    assert_snapshot!(claims(&config), @"
    0 signature with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    1 signature with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    1 signature with the key `SHA256:Jx8HCr4RYl6FkPOIispAuyS8VwzXKG4QRlT8k5GUOKI=`
    2 signature with the key `SHA256:kXN7Eq+0gSqunnnu+QoPIVFociKFgeMUA8rX2yqUBVw=`
    3 signature with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    3 signature by `https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*` of `https://token.actions.githubusercontent.com` (public)
    4 signature by `https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*` of `https://token.actions.githubusercontent.com` (own)
    5 signature with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    5 attestation `slsaprovenance` with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    6 attestation `spdx` with the key `SHA256:Jx8HCr4RYl6FkPOIispAuyS8VwzXKG4QRlT8k5GUOKI=`
    6 vulnerabilities by `https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*` of `https://token.actions.githubusercontent.com` (public)
    6 attestation `vuln` with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    7 attestation `https://example.com/tested/v1` with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`
    ");
    assert_eq!(config.warnings, []);
}

#[test]
fn what_is_wrong_with_who_may_vouch_is_told_at_its_place() {
    assert_snapshot!(refused(&[
        "signature: {}",
        "signature: { key: none.pub }",
        "signature: { key: ../towpath.yaml }",
        "signature: { key: \"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n\" }",
        "signature: { key: \"a\\nb\" }",
        "signature: { key: p256.pub, identity: ada@example.com, issuer: \"https://accounts.google.com\" }",
        "signature: { identity: ada@example.com }",
        "signature: { issuer: \"https://accounts.google.com\" }",
        "signature: { identity: \"**\", issuer: google }",
        &format!("signature: {{ {IDENTITY}, trust-root: {{ file: p256.pub }} }}"),
        "signature: { key: p256.pub, trust-root: { file: root.json } }",
        "signature: { kye: p256.pub }",
        "signature: []",
    ]), @"
    8:66 it is not said who must have signed [write `key: cosign.pub`, or `identity` and `issuer`]
    9:84 there is no file or folder `policies/none.pub`
    10:84 there is no public key in PEM [write the key as `cosign public-key` prints it, from `-----BEGIN PUBLIC KEY-----` on]
    11:84 it is a private key [name its public half, which `cosign public-key` prints, and take this one away from here]
    12:84 it is neither the path of a file nor a public key in PEM
    13:104 `key` and `identity` cannot stand together [write a list of both where one of them suffices]
    14:89 `identity` says nothing without `issuer`
    15:87 `issuer` says nothing without `identity`
    16:89 `**` is anybody whom the issuer knows
    16:103 `google` is not the address of an issuer [write it as certificates have it: `https://token.actions.githubusercontent.com`, `https://accounts.google.com`]
    17:236 `p256.pub` cannot be used: it is not a trusted root of Sigstore
    18:116 `trust-root` says nothing without `identity`
    19:81 unknown key `kye` [did you mean `key`?]
    20:79 expected at least one, found an empty list
    ");
}

#[test]
fn what_is_wrong_with_an_attestation_is_told_at_its_place() {
    assert_snapshot!(refused(&[
        "attestations: { type: spdx }",
        "attestations: { type: sbom, key: p256.pub }",
        "attestations: { key: p256.pub }",
        "attestations: { type: spdx, key: p256.pub, max-age: 7d }",
        "attestations: { type: vuln, key: p256.pub, max-severity: severe }",
        "attestations: { type: vuln, key: p256.pub, max-severity: unknown }",
        "attestations: { type: vuln, key: p256.pub, allow: CVE-2026-1 }",
        "attestations: { type: vuln, key: p256.pub, max-age: 7 }",
        "signature: { key: none.pub }, attestations: { type: spdx }",
    ]), @"
    8:66 it is not said who must have made this statement [write `key: cosign.pub`, or `identity` and `issuer`; or the gate `signature`, whose signers count here too]
    9:88 `sbom` is not a type of attestations [write one of `slsaprovenance`, `spdx`, `cyclonedx`, `vuln`, `openvex`, `link`, `custom`, or the URI of a type]
    10:66 the key `type` is missing
    11:118 `max-age` is about reports of vulnerabilities, and this is about `spdx` [write it where `type` is `vuln`]
    12:123 `severe` is not a severity [write one of `none`, `negligible`, `low`, `medium`, `high`, `critical`]
    13:123 `unknown` is not a severity [write one of `none`, `negligible`, `low`, `medium`, `high`, `critical`]
    14:80 `allow` changes nothing without `max-severity` [say which vulnerabilities the others are: `max-severity: none`]
    15:118 the duration `7` has no unit [write `7m`, `7h` or `7d`]
    16:84 there is no file or folder `policies/none.pub`
    ");
}

#[test]
fn a_key_with_which_cosign_signs_what_nobody_takes_is_warned_of() {
    let config = read(SETTINGS, &["signature: { key: ed25519.pub }"]);
    let [warning] = &config.warnings[..] else {
        panic!("{:?}", config.warnings)
    };
    assert_snapshot!(warning.message, @"cosign from version 3 on signs with such a key in a way (Ed25519ph) that neither `cosign verify` nor towpath takes; only signatures of the bytes themselves (Ed25519) count");
}

#[test]
fn the_trust_root_of_the_settings_counts_where_a_gate_names_none() {
    let settings = format!("{SETTINGS}trust-root: {{ file: policies/root.json }}\n");
    let config = read(&settings, &[&format!("signature: {{ {IDENTITY} }}")]);
    assert!(claims(&config).ends_with("(own)"), "{}", claims(&config));
    let settings = format!("{SETTINGS}trust-root: {{ file: none.json }}\n");
    assert_snapshot!(messages_in(lab(&settings, &["signature: { key: p256.pub }"]).path()), @"6:21 there is no file or folder `none.json`");
}

/// Routes and fleets are filled in where no file can be read any more.
#[test]
fn a_route_names_a_key_beside_its_own_file_for_all_its_policies() {
    let policies = "\
apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: portal }
spec: { route: standard, images: { web: ghcr.io/acme/web } }
---
kind: PromotionPolicy
metadata: { name: services }
spec: { route: standard, for-each: \"apps/{policy}\", images: { app: \"ghcr.io/acme/{policy}\" } }
";
    let folder = folder(SETTINGS, policies);
    let routes = folder.path().join("policies/routes");
    fs::create_dir(&routes).unwrap();
    fs::write(routes.join("cosign.pub"), key("p256")).unwrap();
    fs::write(routes.join("standard.yaml"), "\
apiVersion: towpath.dev/v1alpha1
kind: Route
metadata: { name: standard }
spec:
  repository: deploy
  environments:
    - { name: dev, tags: { semver: 1.x }, gates: { signature: { key: cosign.pub } }, update: \"apps/{policy}\" }
").unwrap();
    let config = load_in(folder.path()).unwrap();
    drop(folder);
    let fleet = &config.fleets[0];
    let of_fleet = fleet.policy(&"cart".parse().unwrap()).unwrap();
    for policy in [&config.policies[0], &fleet.sample, &of_fleet] {
        let Some(Signature(signers)) = &policy.environments[0].gates.signature else {
            panic!("{policy:?}")
        };
        assert_eq!(signers.len(), 1, "{}", policy.name);
    }
}

#[tokio::test]
async fn a_key_that_changes_is_a_change_of_the_configuration() {
    let folder = lab(SETTINGS, &["signature: { key: p256.pub }"]);
    let (mut watch, first) = Watch::start(&folder.path().join("towpath.yaml"), || {
        unreachable!("no cluster is named")
    });
    let first = claims(&first.unwrap());
    fs::write(folder.path().join("policies/p256.pub"), key("p384")).unwrap();
    let changed = claims(&watch.changed().await.unwrap());
    assert_ne!(first, changed);
    fs::remove_file(folder.path().join("policies/p256.pub")).unwrap();
    assert!(watch.changed().await.is_err());
}
