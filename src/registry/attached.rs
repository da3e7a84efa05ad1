//! What stands beside an image in its registry and may sign it: bundles that refer to it, and what the tag of cosign's older form holds.
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
use crate::image::{Digest, Repository};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How the media type of a bundle starts, in each version: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// A signature of cosign's older form, and the annotation that holds it:
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIMPLE_SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Most bundles and signatures of one image, of each form: an attestation a week for a year, and signatures beside them.
const ATTACHED_MAX: usize = 64;

/// Largest of them: a signature with its certificate and its proofs has 10 KiB, an attestation of a build up to some hundred. Together
/// with [`ATTACHED_MAX`], 32 MiB. What is larger, as an SBOM may be, is passed over, and is no signature.
const ATTACHED_BYTES_MAX: usize = 512 * 1024;

/// Largest page of referrers: a descriptor has 500 bytes, and 4 MiB is 8,000 of them, as for manifests.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most pages: registries send at least some hundred on each, and no image has as many as [`PAGE_BYTES_MAX`] has room for.
const PAGES_MAX: usize = 16;

/// Something beside an image, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// A bundle of Sigstore: a signature or an attestation.
    Bundle(Vec<u8>),
    /// A signature of cosign's older form, in base64, and what is signed.
    Simple { payload: Vec<u8>, signature: String },
}

/// Reads all that may sign the image `digest`: the bundles first.
pub(super) async fn attached(
    host: &Host,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<Attached>, RegistryError> {
    let too_many = || RegistryError::TooManyAttached {
        repository: repository.clone(),
        digest: digest.clone(),
        most: ATTACHED_MAX,
    };
    let mut found = Vec::new();
    let is_bundle = |referrer: &Descriptor| {
        let kind = referrer.artifact_type.as_deref();
        kind.is_some_and(|kind| kind.starts_with(BUNDLE))
    };
    let referrers = referrers(host, repository, digest).await?;
    let bundles: Vec<Descriptor> = referrers.into_iter().filter(is_bundle).collect();
    if bundles.len() > ATTACHED_MAX {
        return Err(too_many());
    }
    for bundle in bundles {
        let Ok(digest) = bundle.digest.parse() else {
            continue;
        };
        let manifest = manifest(host, repository, &digest).await?;
        let mut layers = manifest.layers.into_iter().flatten();
        let layer = layers.find(|layer| layer.media_type.starts_with(BUNDLE));
        if let Some(layer) = layer
            && let Some(bytes) = blob(host, repository, &layer).await?
        {
            found.push(Attached::Bundle(bytes));
        }
    }
    let signatures = signatures(host, repository, digest).await?;
    if signatures.len() > ATTACHED_MAX {
        return Err(too_many());
    }
    for (layer, signature) in signatures {
        if let Some(payload) = blob(host, repository, &layer).await? {
            found.push(Attached::Simple { payload, signature });
        }
    }
    Ok(found)
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

/// The layers of cosign's tag for `digest`, each with its signature.
async fn signatures(
    host: &Host,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<(Descriptor, String)>, RegistryError> {
    let manifest = tagged(host, repository, &tag(digest, ".sig")).await?;
    let layers = manifest.layers.into_iter().flatten();
    let signed = layers.filter(|layer| layer.media_type == SIMPLE);
    let signed = signed.filter_map(|mut layer| {
        let signature = layer.annotations.remove(SIMPLE_SIGNATURE)?;
        Some((layer, signature))
    });
    Ok(signed.collect())
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

/// The bytes of `layer`; `None` where they are more than a signature has.
async fn blob(
    host: &Host,
    repository: &Repository,
    layer: &Descriptor,
) -> Result<Option<Vec<u8>>, RegistryError> {
    let Ok(digest) = layer.digest.parse() else {
        return Ok(None);
    };
    let question = Question {
        repository,
        method: Method::GET,
        url: &host.url(repository, &format!("blobs/{digest}")),
        accept: "*/*",
        bytes_max: ATTACHED_BYTES_MAX,
    };
    match host.ask(&question).await {
        Ok(answer) => Ok(Some(checked(answer, repository, &digest)?.body)),
        Err(RegistryError::TooLarge { .. }) => Ok(None),
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
