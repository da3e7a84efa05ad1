//! Signatures that cosign made, from a real registry to a commit: `tests/signatures/README.md` says how.

use std::path::Path;

use bed::ZotRegistry;
use bed::registry::{PASSWORD, USERNAME};
use insta::assert_snapshot;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use towpath::demo_registry::MemoryRegistry;

use crate::lab::{Lab, kustomization};
use crate::real_servers::block_on;

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const OLD: &str = "v1.4.2";

/// The image that cosign signed, by its tag in the demonstration's registry.
pub(crate) const SIGNED: &str = "v1.5.0";
const SIGNED_DIGEST: &str =
    "sha256:bd308404134a03a58dc2dbb815df980baccd3f3b3e08f5d11269df95b037562f";

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &[u8] = b"{}";

pub(crate) fn made(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/image");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// What refers to the signed image, with the bundle of this name.
fn referrer(bundle: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(EMPTY), "size": EMPTY.len() },
        "layers": [{ "mediaType": BUNDLE, "digest": sha256(bundle.as_bytes()), "size": bundle.len() }],
        "subject": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": SIGNED_DIGEST, "size": 308 },
    })
}

/// Puts bundles beside the signed image in a registry that keeps no list of what refers to an image.
pub(crate) fn attach(registry: &MemoryRegistry, names: &[&str]) {
    let manifests = names.iter().map(|name| {
        let bundle = made(name);
        registry.upload(
            "acme/web",
            &sha256(bundle.as_bytes()),
            bundle.clone().into(),
        );
        let digest = registry.put("acme/web", name, &referrer(&bundle));
        json!({ "artifactType": BUNDLE, "digest": digest })
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests.collect::<Vec<_>>(),
    });
    registry.put("acme/web", &SIGNED_DIGEST.replace(':', "-"), &index);
}

/// A lab whose images are in a zot, and whose policy asks for signatures and reports.
struct Signed {
    lab: Lab,
    zot: ZotRegistry,
}

impl Signed {
    fn start() -> Option<Self> {
        let zot = ZotRegistry::with_tokens()?;
        let mut lab = Lab::new(&[]);
        lab.registry_settings(
            &zot.host,
            &format!("plain-http: true, credentials: {{ username: {USERNAME}, password: {{ env: PASSWORD }} }}"),
        );
        lab.set("PASSWORD", PASSWORD);
        let image = format!("{}/acme/web", zot.host);
        lab.push(&[OLD, SIGNED]);
        let source = lab.registry.host();
        block_on(zot.pusher().copy(&source, "acme/web", &[OLD, SIGNED]));
        lab.commit("portal", &[(OVERLAY, &kustomization(&image, OLD))]);
        lab.write("policies/cosign.pub", &made("key.pub"));
        lab.policies(&format!(
            "kind: PromotionPolicy
metadata: {{ name: portal }}
spec:
  repository: deploy
  images: {{ web: {image} }}
  environments:
    - name: dev
      tags: {{ semver: \">=1.0.0\" }}
      gates:
        signature: {{ key: cosign.pub }}
        attestations: {{ type: vuln, max-severity: medium, allow: CVE-2026-1000 }}
      update: apps/portal/overlays/dev
"
        ));
        Some(Self { lab, zot })
    }

    fn attach(&self, name: &str) {
        let (bundle, pusher) = (made(name), self.zot.pusher());
        block_on(async {
            for bytes in [EMPTY, bundle.as_bytes()] {
                let digest = sha256(bytes);
                pusher.upload("acme/web", &digest, bytes.to_vec()).await;
            }
            let referrer = referrer(&bundle);
            let digest = sha256(referrer.to_string().as_bytes());
            let answer = pusher.put("acme/web", &digest, &referrer).await;
            assert_eq!(answer.headers()["oci-subject"], SIGNED_DIGEST);
        });
    }

    /// What is decided, and why.
    fn decided(&self) -> String {
        let ran = self.lab.run(&["apply"]);
        let row = ran.stdout.lines().find(|line| line.starts_with("portal"));
        let row = row.unwrap_or_else(|| panic!("{ran:?}"));
        let words: Vec<&str> = row.split_whitespace().skip(3).collect();
        words.join(" ")
    }
}

#[test]
fn an_image_in_a_real_registry_comes_once_it_is_signed_and_scanned() {
    let Some(signed) = Signed::start() else {
        return;
    };
    assert_snapshot!(signed.decided(), @"v1.4.2 v1.5.0 hold - `v1.5.0` waits for `signature`: it is not signed with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`: the registry has none beside it");
    signed.attach("signature.json");
    assert_snapshot!(signed.decided(), @"v1.4.2 v1.5.0 hold - `v1.5.0` waits for `attestations`: `vuln` is not attested with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`: the registry has none beside it");
    signed.attach("vulnerabilities.json");
    assert_snapshot!(signed.decided(), @"v1.4.2 v1.5.0 promote - `v1.5.0` is newer than `v1.4.2`");
    let message = signed
        .lab
        .git(&["-C", "deploy.git", "log", "-1", "--format=%B", "main"]);
    let gates = message
        .lines()
        .filter(|line| line.starts_with("Towpath-Gate"));
    assert_snapshot!(gates.collect::<Vec<_>>().join("\n"), @"
    Towpath-Gate: web signature: it is signed with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`
    Towpath-Gate: web attestations: `vuln` has 2 findings up to medium, 1 allowed, scanned at 2026-01-02T03:05:00Z, attested with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`
    ");
    assert_snapshot!(signed.decided(), @"v1.5.0 v1.5.0 hold - it is the newest");
}

#[test]
fn an_image_that_another_key_signed_stays_where_it_is() {
    let Some(signed) = Signed::start() else {
        return;
    };
    signed.attach("signature.json");
    signed.attach("vulnerabilities.json");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/p256");
    let other = std::fs::read_to_string(folder.join("key.pub")).unwrap();
    signed.lab.write("policies/cosign.pub", &other);
    assert_snapshot!(signed.decided(), @"v1.4.2 v1.5.0 hold - `v1.5.0` waits for `signature`: it is not signed with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`: what stands beside it does not count: it was not made with this key");
    let explained = signed.lab.run(&["explain", "portal", "dev"]);
    let line = explained.stdout.lines().find(|line| line.contains(SIGNED));
    assert_snapshot!(line.unwrap_or(&explained.stdout), @"  decision:  hold: `v1.5.0` waits for `signature`: it is not signed with the key `SHA256:VUACYRT9bzpN/o3IaOjZ0hFQMk+55UFSlyO+Kw4X9ZQ=`: what stands beside it does not count: it was not made with this key");
}
