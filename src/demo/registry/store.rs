//! What the registry holds: real manifests and configs by digest, and tags that point at them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An image to push.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// When it was built; an image without a time is an artifact that is no image, such as a chart.
    pub created: Option<Timestamp>,
    pub labels: BTreeMap<String, String>,
}

/// Content with its media type.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// One repository.
#[derive(Debug, Default)]
pub(super) struct Repository {
    /// In the order of pushes.
    pub(super) tags: Vec<(String, String)>,
    /// When each was pushed, where somebody said so.
    pub(super) pushed: BTreeMap<String, Timestamp>,
    pub(super) manifests: BTreeMap<String, Content>,
    pub(super) blobs: BTreeMap<String, Content>,
}

impl Repository {
    /// Puts an image of one platform under `tag`.
    pub(super) fn push(&mut self, tag: &str, image: &Image) -> String {
        let manifest = self.manifest(tag, image);
        self.point(tag, manifest)
    }

    /// Puts an index under `tag`: an attestation first, then the same image for two platforms.
    pub(super) fn push_index(&mut self, tag: &str, image: &Image) -> String {
        let manifest = self.manifest(tag, image);
        let platform = |os: &str, architecture: &str| {
            json!({
                "mediaType": MANIFEST,
                "digest": manifest,
                "size": self.manifests[&manifest].bytes.len(),
                "platform": { "os": os, "architecture": architecture },
            })
        };
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                platform("unknown", "unknown"),
                platform("linux", "amd64"),
                platform("linux", "arm64"),
            ],
        });
        let digest = keep(&mut self.manifests, INDEX, &index);
        self.point(tag, digest)
    }

    /// Puts a manifest under `tag` as it is.
    pub(super) fn put(&mut self, tag: &str, manifest: &Value) -> String {
        let digest = keep(&mut self.manifests, MANIFEST, manifest);
        self.point(tag, digest)
    }

    pub(super) fn upload(&mut self, digest: &str, bytes: Vec<u8>) {
        let media_type = "application/octet-stream";
        let content = Content { media_type, bytes };
        self.blobs.insert(digest.to_owned(), content);
    }

    pub(super) fn delete(&mut self, tag: &str) {
        self.tags.retain(|(name, _)| name != tag);
    }

    /// The digest and content of a tag or a digest.
    pub(super) fn resolve(&self, reference: &str) -> Option<(&str, &Content)> {
        let tagged = self.tags.iter().find(|(name, _)| name == reference);
        let digest = tagged.map_or(reference, |(_, digest)| digest);
        let (digest, content) = self.manifests.get_key_value(digest)?;
        Some((digest, content))
    }

    fn manifest(&mut self, tag: &str, image: &Image) -> String {
        let (media_type, config) = match image.created {
            Some(created) => {
                let config = json!({
                    "architecture": "amd64",
                    "os": "linux",
                    "created": created.to_string(),
                    "config": { "Labels": image.labels },
                    "rootfs": { "type": "layers", "diff_ids": [] },
                });
                (CONFIG, config)
            }
            None => (
                "application/vnd.cncf.helm.config.v1+json",
                json!({ "name": tag }),
            ),
        };
        let size = config.to_string().len();
        let config = keep(&mut self.blobs, media_type, &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": media_type, "digest": config, "size": size },
            "layers": [],
            // Two pushes of equal images under two tags are two builds.
            "annotations": { "org.opencontainers.image.ref.name": tag },
        });
        keep(&mut self.manifests, MANIFEST, &manifest)
    }

    fn point(&mut self, tag: &str, digest: String) -> String {
        match self.tags.iter_mut().find(|(name, _)| name == tag) {
            Some((_, standing)) => standing.clone_from(&digest),
            None => self.tags.push((tag.to_owned(), digest.clone())),
        }
        digest
    }
}

fn keep(
    contents: &mut BTreeMap<String, Content>,
    media_type: &'static str,
    value: &Value,
) -> String {
    let bytes = value.to_string().into_bytes();
    let hash = Sha256::digest(&bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = format!("sha256:{hex}");
    contents.insert(digest.clone(), Content { media_type, bytes });
    digest
}
