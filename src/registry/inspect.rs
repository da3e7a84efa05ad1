//! What stands behind a tag and a digest: manifests, indexes and image configs.
//!
//! Invariant: content that is named by a digest is used only if it has that digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256, Sha512};

use super::Metadata;
use super::error::RegistryError;
use super::host::{Host, Question, json};
use super::http::Answer;
use super::wire::{Descriptor, ImageConfig, Manifest, Platform};
use crate::image::{Digest, Repository, Tag};

/// Every form of manifest that stands for an image; what a registry has is answered only where it is asked for.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The configs that describe an image; charts and other artifacts have others.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// How the media types start of what belongs to an image, and is none; each of its layers or itself as a whole:
/// * cosign's signatures and bundles, <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md> and
///   <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>;
/// * the Notary Project's signatures,
///   <https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md>;
/// * attestations of BuildKit, <https://docs.docker.com/build/metadata/attestations/attestation-storage/>.
const ATTACHMENTS: [&str; 5] = [
    "application/vnd.dev.cosign.",
    "application/vnd.dev.sigstore.bundle",
    "application/vnd.cncf.notary.signature",
    "application/vnd.dsse.envelope",
    "application/vnd.in-toto+json",
];

/// When a manifest was made, as it says itself: Helm writes it in charts, whose configs have no time.
const CREATED: &str = "org.opencontainers.image.created";

/// Largest manifest: the 4 MiB that the distribution specification wants registries to take.
const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest image config. Each layer adds a line of history, about 300 bytes; 4 MiB is far beyond 127 layers.
const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Labels kept of an image, in bytes of keys and values: 20 of the usual length, source and revision first.
const LABELS_BYTES_MAX: usize = 4 * 1024;

/// What `tag` points at now.
pub(super) async fn digest(
    host: &Host,
    repository: &Repository,
    tag: &Tag,
) -> Result<Digest, RegistryError> {
    match ask(host, repository, (Method::HEAD, "manifests", tag.as_str())).await {
        Ok(answer) => {
            if let Some(digest) = told_digest(&answer) {
                return Ok(digest);
            }
        }
        // Some proxies let no HEAD through.
        Err(RegistryError::Answered { status, .. }) if status == StatusCode::METHOD_NOT_ALLOWED => {
        }
        Err(error) => return Err(error),
    }
    let answer = ask(host, repository, (Method::GET, "manifests", tag.as_str())).await?;
    let manifest = json(&answer, || format!("the manifest of `{repository}:{tag}`"))?;
    let digest = sha256(&answer.body);
    refuse_attachment(&manifest, (repository, &digest))?;
    Ok(digest)
}

/// Reads what the image `digest` says of itself: its manifest, through an index where there is one, and its config.
pub(super) async fn metadata(
    host: &Host,
    repository: &Repository,
    digest: &Digest,
) -> Result<Metadata, RegistryError> {
    let manifest = manifest(host, repository, digest).await?;
    refuse_attachment(&manifest, (repository, digest))?;
    let Some(images) = manifest.manifests else {
        return image(host, repository, manifest).await;
    };
    let images: Vec<Descriptor> = images
        .into_iter()
        .filter(|image| !is_attestation(image))
        .collect();
    let platforms = images
        .iter()
        .filter_map(|image| image.platform.as_ref())
        .map(name);
    let platforms: Vec<String> = platforms.collect();
    let Some(first) = images.first() else {
        return Err(RegistryError::NotAnImage {
            repository: repository.clone(),
            digest: digest.clone(),
            what: "an index that lists none".to_owned(),
        });
    };
    let first = manifest_of(host, repository, first).await?;
    let found = image(host, repository, first).await?;
    Ok(Metadata { platforms, ..found })
}

async fn manifest_of(
    host: &Host,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<Manifest, RegistryError> {
    match descriptor.digest.parse() {
        Ok(digest) => manifest(host, repository, &digest).await,
        Err(_) => Ok(Manifest::default()),
    }
}

pub(super) async fn manifest(
    host: &Host,
    repository: &Repository,
    digest: &Digest,
) -> Result<Manifest, RegistryError> {
    let answer = content(host, repository, ("manifests", digest)).await?;
    json(&answer, || {
        format!("the manifest `{repository}@{}`", digest.short())
    })
}

async fn image(
    host: &Host,
    repository: &Repository,
    manifest: Manifest,
) -> Result<Metadata, RegistryError> {
    let config = manifest.config.filter(is_image_config);
    let Some(digest) = config.and_then(|config| config.digest.parse::<Digest>().ok()) else {
        let told = manifest.annotations.get(CREATED);
        return Ok(Metadata {
            created: told.and_then(|text| created(text)),
            ..Metadata::default()
        });
    };
    let answer = content(host, repository, ("blobs", &digest)).await?;
    let what = || format!("the image config `{repository}@{}`", digest.short());
    let config: ImageConfig = json(&answer, what)?;
    let platform = Platform {
        os: config.os,
        architecture: config.architecture,
        variant: config.variant,
    };
    Ok(Metadata {
        created: config.created.as_deref().and_then(created),
        labels: kept(
            config
                .config
                .and_then(|config| config.labels)
                .unwrap_or_default(),
        ),
        platforms: vec![name(&platform)],
    })
}

/// Fetches content by its digest, and checks it.
async fn content(
    host: &Host,
    repository: &Repository,
    (kind, wanted): (&str, &Digest),
) -> Result<Answer, RegistryError> {
    let answer = ask(host, repository, (Method::GET, kind, wanted.as_str())).await?;
    checked(answer, repository, wanted)
}

/// Gives content back that has the digest by which it was asked for.
pub(super) fn checked(
    answer: Answer,
    repository: &Repository,
    wanted: &Digest,
) -> Result<Answer, RegistryError> {
    let found = match wanted.as_str().starts_with("sha512:") {
        true => sha512(&answer.body),
        false => sha256(&answer.body),
    };
    if found != *wanted {
        return Err(RegistryError::DigestMismatch {
            repository: repository.clone(),
            wanted: wanted.clone(),
            found,
        });
    }
    Ok(answer)
}

pub(super) async fn ask(
    host: &Host,
    repository: &Repository,
    (method, kind, reference): (Method, &str, &str),
) -> Result<Answer, RegistryError> {
    let (accept, bytes_max) = match kind {
        "manifests" => (ACCEPT, MANIFEST_BYTES_MAX),
        _ => ("*/*", CONFIG_BYTES_MAX),
    };
    let question = Question {
        repository,
        method,
        url: &host.url(repository, &format!("{kind}/{reference}")),
        accept,
        bytes_max,
    };
    host.ask(&question).await
}

fn told_digest(answer: &Answer) -> Option<Digest> {
    answer.header("docker-content-digest")?.parse().ok()
}

fn sha256(bytes: &[u8]) -> Digest {
    digest_text("sha256", &Sha256::digest(bytes))
}

fn sha512(bytes: &[u8]) -> Digest {
    digest_text("sha512", &Sha512::digest(bytes))
}

fn digest_text(algorithm: &str, hash: &[u8]) -> Digest {
    let mut text = format!("{algorithm}:");
    for byte in hash {
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    text.parse().expect("a hash in hex is a digest")
}

fn is_image_config(config: &Descriptor) -> bool {
    IMAGE_CONFIGS.contains(&config.media_type.as_str())
}

/// Refuses what belongs to an image under whatever tag it stands.
fn refuse_attachment(
    manifest: &Manifest,
    (repository, digest): (&Repository, &Digest),
) -> Result<(), RegistryError> {
    match attachment(manifest) {
        None => Ok(()),
        Some(media_type) => Err(RegistryError::NotAnImage {
            repository: repository.clone(),
            digest: digest.clone(),
            what: format!("a signature or another attachment (`{media_type}`)"),
        }),
    }
}

/// The media type of a manifest that belongs to an image, if it is one.
///
/// It names its `subject`; older ones are known by their own type or by those of their layers. An image that names a
/// subject, as one that was converted may, stays an image.
fn attachment(manifest: &Manifest) -> Option<&str> {
    let known = |media_type: &&str| {
        ATTACHMENTS
            .iter()
            .any(|start| media_type.starts_with(start))
    };
    let config = manifest.config.as_ref();
    let of_config = config.map(|config| config.media_type.as_str());
    let own = manifest.artifact_type.as_deref().or(of_config);
    let mut layers = manifest.layers.iter().flatten();
    let first = layers.next().map(|layer| layer.media_type.as_str());
    let of_layers = first.filter(known).filter(|_| {
        let mut others = layers.map(|layer| layer.media_type.as_str());
        others.all(|media_type| known(&media_type))
    });
    let is_referrer = manifest.subject.is_some() && !config.is_some_and(is_image_config);
    own.filter(|own| is_referrer || known(own)).or(of_layers)
}

/// Build tools put provenance beside the images, as a manifest for a platform that is none.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let platform = descriptor.platform.as_ref();
    descriptor
        .annotations
        .contains_key("vnd.docker.reference.type")
        || platform.is_some_and(|platform| platform.os == "unknown")
}

fn name(platform: &Platform) -> String {
    let Platform {
        os,
        architecture,
        variant,
    } = platform;
    match variant {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    }
}

/// Build tools that know no time write Go's zero time, year 1.
fn created(text: &str) -> Option<Timestamp> {
    let created: Timestamp = text.parse().ok()?;
    (created >= Timestamp::UNIX_EPOCH).then_some(created)
}

/// The labels that fit, those of the OCI image specification first, then the shortest.
fn kept(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels: Vec<_> = labels.into_iter().collect();
    let size = |(key, value): &(String, String)| key.len() + value.len();
    labels.sort_by_key(|label| {
        (
            !label.0.starts_with("org.opencontainers.image."),
            size(label),
        )
    });
    let mut total = 0;
    labels
        .into_iter()
        .take_while(|label| {
            total += size(label);
            total <= LABELS_BYTES_MAX
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{from_value, json};

    use super::{LABELS_BYTES_MAX, attachment, created, is_attestation, kept};

    #[test]
    fn a_zero_time_is_no_time() {
        assert_eq!(created("0001-01-01T00:00:00Z"), None);
        assert_eq!(created("yesterday"), None);
        assert!(created("1970-01-01T00:00:00Z").is_some());
        assert!(created("2026-03-01T12:00:00.123456789+02:00").is_some());
    }

    #[test]
    fn what_belongs_to_an_image_is_known_by_its_subject_its_type_or_its_layers() {
        let [image, helm, empty] = ["oci.image", "cncf.helm", "oci.empty"].map(|name| {
            let name = match name {
                "oci.empty" => "application/vnd.oci.empty.v1+json".to_owned(),
                name => format!("application/vnd.{name}.config.v1+json"),
            };
            json!({ "mediaType": name, "digest": "sha256:x" })
        });
        let layer = |name: &str| json!({ "mediaType": name, "digest": "sha256:x" });
        let tar = layer("application/vnd.oci.image.layer.v1.tar+gzip");
        let in_toto = layer("application/vnd.in-toto+json");
        let found = |manifest: serde_json::Value| {
            attachment(&from_value(manifest).unwrap()).map(str::to_owned)
        };
        let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let notary = "application/vnd.cncf.notary.signature";
        for (manifest, expected) in [
            (json!({ "config": image, "layers": [tar] }), None),
            (json!({ "config": image, "layers": [] }), None),
            (json!({ "config": helm, "layers": [tar] }), None),
            (json!({ "manifests": [] }), None),
            // An image that was converted names what it was made from.
            (
                json!({ "config": image, "layers": [tar], "subject": tar }),
                None,
            ),
            (
                json!({ "config": empty, "layers": [layer("text/plain")], "subject": tar, "artifactType": "application/spdx+json" }),
                Some("application/spdx+json"),
            ),
            (
                json!({ "config": layer(notary), "layers": [layer("application/jose+json")] }),
                Some(notary),
            ),
            (
                json!({ "config": empty, "artifactType": bundle }),
                Some(bundle),
            ),
            (
                json!({ "config": image, "layers": [in_toto, in_toto] }),
                Some("application/vnd.in-toto+json"),
            ),
            (json!({ "config": image, "layers": [in_toto, tar] }), None),
            (
                json!({ "config": image, "layers": [layer("application/vnd.dev.cosign.simplesigning.v1+json")] }),
                Some("application/vnd.dev.cosign.simplesigning.v1+json"),
            ),
        ] {
            let text = manifest.to_string();
            assert_eq!(found(manifest).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_platform_of_an_index_is_no_platform() {
        let is_attestation = |descriptor: serde_json::Value| {
            let descriptor = from_value(descriptor).unwrap();
            is_attestation(&descriptor)
        };
        let platform = |os: &str, architecture: &str| json!({ "digest": "sha256:x", "platform": { "os": os, "architecture": architecture } });
        assert!(is_attestation(platform("unknown", "unknown")));
        assert!(!is_attestation(platform("linux", "arm64")));
        assert!(!is_attestation(json!({ "digest": "sha256:x" })));
        let annotations = json!({ "vnd.docker.reference.type": "attestation-manifest" });
        let annotated = json!({ "digest": "sha256:x", "annotations": annotations });
        assert!(is_attestation(annotated));
    }

    #[test]
    fn labels_that_name_source_and_revision_are_kept_before_all_others() {
        let mut labels = BTreeMap::new();
        labels.insert("a".to_owned(), "x".repeat(LABELS_BYTES_MAX - 40));
        labels.insert("b".to_owned(), "small".to_owned());
        let revision = "org.opencontainers.image.revision".to_owned();
        labels.insert(revision.clone(), "0a1b2c3".to_owned());
        let kept = kept(labels);
        assert!(kept.contains_key(&revision) && kept.contains_key("b"));
        assert!(!kept.contains_key("a"));
    }
}
