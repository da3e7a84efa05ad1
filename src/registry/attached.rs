//! What stands beside an image in its registry and may vouch for it: bundles that refer to it, and what the tags of cosign's older form hold.
//!
//! Not here: what of it is genuine (`verify`). Invariant: content that is named by a digest is used only if it has that digest; a part of
//! what there is never leaves this file.

use reqwest::{Method, StatusCode};
use url::Url;

use super::error::RegistryError;
use super::host::{Host, Question, json};
use super::http::Answer;
use super::inspect::{ask, checked, manifest};
use super::link;
use super::list::follow;
use super::wire::{Descriptor, Manifest};
use crate::image::{Attached, Digest, Layer, Proof, Repository};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How the media type of a bundle starts, in each version: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// The annotation by which a bundle tells the type of its statement before it is read; a signature is one too:
/// <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";

/// A signature of cosign's older form, and the annotations that hold it and who made it:
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIMPLE_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// An attestation of that form, and the annotation with the type of its statement:
/// <https://github.com/sigstore/cosign/blob/main/specs/ATTESTATION_SPEC.md>.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const ENVELOPE_PREDICATE: &str = "predicateType";

/// Most bundles, signatures and attestations of one image, of each form: an attestation a week for a year, and signatures beside them.
const ATTACHED_MAX: usize = 64;

/// Most bytes of all that is read for one image: a large SBOM has 20 MiB, which in base64 are 27; that leaves 5 MiB for a report of a scanner,
/// and for signatures, of 10 KiB each. What does not fit any more is told to be too large.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Largest page of referrers: a descriptor has 500 bytes, and 4 MiB is 8,000 of them, as for manifests.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most pages: registries send at least some hundred on each, and no image has as many as [`PAGE_BYTES_MAX`] has room for.
const PAGES_MAX: usize = 16;

/// Reads all that may vouch for the image `digest`: the bundles first.
pub(super) async fn attached(
    host: &Host,
    (repository, digest): (&Repository, &Digest),
    is_wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Attached>, RegistryError> {
    let mut reading = Reading {
        host,
        repository,
        digest,
        found: Vec::new(),
        bytes_left: BYTES_MAX,
    };
    let is_told_unwanted = |descriptor: &Descriptor, annotation: &str| {
        let predicate = descriptor.annotations.get(annotation);
        predicate.is_some_and(|predicate| !is_wanted(predicate))
    };
    let bundles = referrers(host, repository, digest).await?.into_iter();
    let bundles = bundles.filter(|referrer| {
        let kind = referrer.artifact_type.as_deref();
        let is_bundle = kind.is_some_and(|kind| kind.starts_with(BUNDLE));
        is_bundle && !is_told_unwanted(referrer, BUNDLE_PREDICATE)
    });
    reading.bundles(bundles.collect()).await?;
    for (suffix, media_type) in [(".sig", SIMPLE), (".att", ENVELOPE)] {
        let manifest = tagged(host, repository, &tag(digest, suffix)).await?;
        let layers = manifest.layers.into_iter().flatten();
        let layers = layers.filter(|layer| {
            layer.media_type == media_type && !is_told_unwanted(layer, ENVELOPE_PREDICATE)
        });
        reading.layers(layers.collect()).await?;
    }
    Ok(reading.found)
}

/// What was read so far.
struct Reading<'a> {
    host: &'a Host,
    repository: &'a Repository,
    digest: &'a Digest,
    found: Vec<Attached>,
    bytes_left: usize,
}

impl Reading<'_> {
    async fn bundles(&mut self, referrers: Vec<Descriptor>) -> Result<(), RegistryError> {
        self.few(&referrers)?;
        for referrer in referrers {
            let Ok(digest) = referrer.digest.parse() else {
                continue;
            };
            let manifest = manifest(self.host, self.repository, &digest).await?;
            let mut layers = manifest.layers.into_iter().flatten();
            let layer = layers.find(|layer| layer.media_type.starts_with(BUNDLE));
            if let Some(layer) = layer {
                let bytes = self.blob(&layer).await?;
                self.found
                    .push(bytes.map_or(Attached::TooLarge, Attached::Bundle));
            }
        }
        Ok(())
    }

    /// Reads layers of the older form.
    async fn layers(&mut self, layers: Vec<Descriptor>) -> Result<(), RegistryError> {
        self.few(&layers)?;
        for mut descriptor in layers {
            let Some(content) = self.blob(&descriptor).await? else {
                self.found.push(Attached::TooLarge);
                continue;
            };
            let entry = descriptor.annotations.remove(LOG_ENTRY);
            let certificate = descriptor.annotations.remove(CERTIFICATE);
            // Written empty where a key has signed.
            let certificate = certificate.filter(|certificate| !certificate.is_empty());
            let proof = certificate.map(|certificate| Proof { certificate, entry });
            let layer = Layer { content, proof };
            let signature = descriptor.annotations.remove(SIMPLE_SIGNATURE);
            match (descriptor.media_type.as_str(), signature) {
                (SIMPLE, Some(signature)) => {
                    self.found.push(Attached::Simple { layer, signature });
                }
                (SIMPLE, None) => {}
                (_, _) => self.found.push(Attached::Envelope(layer)),
            }
        }
        Ok(())
    }

    /// Refuses to read a part of what there is.
    fn few(&self, descriptors: &[Descriptor]) -> Result<(), RegistryError> {
        match descriptors.len() > ATTACHED_MAX {
            true => Err(RegistryError::TooManyAttached {
                repository: self.repository.clone(),
                digest: self.digest.clone(),
                most: ATTACHED_MAX,
            }),
            false => Ok(()),
        }
    }

    /// The bytes of `layer`; `None` where they are more than may be.
    async fn blob(&mut self, layer: &Descriptor) -> Result<Option<Vec<u8>>, RegistryError> {
        let Ok(digest) = layer.digest.parse() else {
            return Ok(None);
        };
        let question = Question {
            repository: self.repository,
            method: Method::GET,
            url: &self.host.url(self.repository, &format!("blobs/{digest}")),
            accept: "*/*",
            bytes_max: self.bytes_left,
        };
        match self.host.ask(&question).await {
            Ok(answer) => {
                let body = checked(answer, self.repository, &digest)?.body;
                self.bytes_left = self.bytes_left.saturating_sub(body.len());
                Ok(Some(body))
            }
            Err(RegistryError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What refers to `digest`: by the registry's own list, or by the tag that clients keep where it has none:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.
async fn referrers(
    host: &Host,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<Descriptor>, RegistryError> {
    let mut url = host.url(repository, &format!("referrers/{digest}"));
    let mut found = Vec::new();
    for page in 0..PAGES_MAX {
        let answer = match page_of_referrers(host, repository, &url).await {
            Err(error) if page == 0 && knows_no_referrers(&error) => None,
            answer => Some(answer?).filter(is_index),
        };
        let Some(answer) = answer else {
            let index = tagged(host, repository, &tag(digest, "")).await?;
            return Ok(index.manifests.unwrap_or_default());
        };
        let index: Manifest = json(&answer, || {
            format!("what refers to `{repository}@{digest}`")
        })?;
        found.extend(index.manifests.into_iter().flatten());
        match link::next(&answer.headers) {
            Some(link) => url = follow(host, repository, (&answer, &link))?,
            None => return Ok(found),
        }
    }
    Err(RegistryError::PageLoop {
        repository: repository.clone(),
    })
}

async fn page_of_referrers(
    host: &Host,
    repository: &Repository,
    url: &Url,
) -> Result<Answer, RegistryError> {
    let question = Question {
        repository,
        method: Method::GET,
        url,
        accept: INDEX,
        bytes_max: PAGE_BYTES_MAX,
    };
    host.ask(&question).await
}

/// Registries from before this question answer it as they answer any that they do not know: most with 404.
fn knows_no_referrers(error: &RegistryError) -> bool {
    let is_refused =
        |status: StatusCode| status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED;
    matches!(error, RegistryError::NotFound { .. })
        || matches!(error, RegistryError::Answered { status, .. } if is_refused(*status))
}

/// Whether an answer is a list of referrers: some send their web page for whatever they do not know.
fn is_index(answer: &Answer) -> bool {
    let media_type = answer.header("content-type");
    media_type.is_some_and(|media_type| media_type.starts_with(INDEX))
}

/// The tag of what belongs to `digest`, at most 64 characters of its hex as both schemes have it:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.
fn tag(digest: &Digest, suffix: &str) -> String {
    let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or_default();
    format!("{algorithm}-{hex:.64}{suffix}")
}

/// The manifest that `tag` points at; an empty one where there is none.
async fn tagged(
    host: &Host,
    repository: &Repository,
    tag: &str,
) -> Result<Manifest, RegistryError> {
    match ask(host, repository, (Method::GET, "manifests", tag)).await {
        Ok(answer) => json(&answer, || format!("the manifest of `{repository}:{tag}`")),
        Err(RegistryError::NotFound { .. }) => Ok(Manifest::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn the_tag_of_a_long_digest_is_cut() {
        let digest = format!("sha512:{}", "0a".repeat(64)).parse().unwrap();
        assert_eq!(
            tag(&digest, ".sig"),
            format!("sha512-{}.sig", "0a".repeat(32))
        );
    }
}
