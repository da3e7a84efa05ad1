//! What is asked of single versions of an image: their digests, creation times, and what they say of themselves.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Sources, fact, listed_at};
use crate::image::{Digest, Repository, Tag};
use crate::registry::Metadata;
use crate::world::{Description, Fact, Labels, TagDetails};

/// What is asked of an image.
pub(super) enum Asked {
    Created(Tag),
    Digest(Tag),
    Description(Digest),
}

impl Sources {
    /// Asks one thing, and keeps the answer.
    pub(super) async fn answer(&self, repository: Repository, asked: Asked) {
        let asked_at = self.image(&repository).and_then(|facts| listed_at(&facts));
        match asked {
            Asked::Created(tag) => {
                let created = Some(self.created(&repository, &tag).await);
                let details = TagDetails {
                    digest: None,
                    created,
                };
                self.keep(&repository, asked_at, (tag, details));
            }
            Asked::Digest(tag) => {
                let digest = Some(fact(self.registry.digest(&repository, &tag).await));
                let details = TagDetails {
                    digest,
                    created: None,
                };
                self.keep(&repository, asked_at, (tag, details));
            }
            Asked::Description(digest) => {
                let description = self.description(&repository, &digest).await;
                self.keep_description(&repository, digest, description);
            }
        }
    }

    /// Keeps an answer. A digest that was asked before the latest listing may be older than that, and is dropped:
    /// whoever needs it asks again.
    fn keep(
        &self,
        repository: &Repository,
        asked_at: Option<Timestamp>,
        (tag, TagDetails { digest, created }): (Tag, TagDetails),
    ) {
        let mut readings = self.readings();
        let Some(facts) = readings.images.get_mut(repository) else {
            return;
        };
        let is_current = listed_at(facts) == asked_at;
        let known = Arc::make_mut(&mut facts.tags).entry(tag).or_default();
        known.digest = digest.filter(|_| is_current).or(known.digest.take());
        known.created = created.or(known.created.take());
    }

    /// Keeps what a digest says of itself, which cannot change.
    fn keep_description(
        &self,
        repository: &Repository,
        digest: Digest,
        description: Fact<Description>,
    ) {
        let mut readings = self.readings();
        if let Some(facts) = readings.images.get_mut(repository) {
            Arc::make_mut(&mut facts.described).insert(digest, description);
        }
    }

    async fn created(&self, repository: &Repository, tag: &Tag) -> Fact<Option<Timestamp>> {
        let digest = match self.registry.digest(repository, tag).await {
            Ok(digest) => digest,
            Err(error) => return fact(Err(error)),
        };
        let metadata = self.registry.metadata(repository, &digest).await;
        fact(metadata.map(|metadata| metadata.created))
    }

    async fn description(&self, repository: &Repository, digest: &Digest) -> Fact<Description> {
        let metadata = self.registry.metadata(repository, digest).await;
        fact(metadata.map(described))
    }
}

fn described(metadata: Metadata) -> Description {
    let Metadata {
        created,
        mut labels,
        platforms,
    } = metadata;
    let mut label = |name: &str| labels.remove(&format!("org.opencontainers.image.{name}"));
    Description {
        created,
        platforms,
        labels: Labels {
            source: label("source"),
            revision: label("revision"),
            version: label("version"),
            url: label("url"),
        },
    }
}
