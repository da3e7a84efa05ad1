//! Signatures and attestations: read when a gate asks for them, and verified at once, so that the world holds what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::task::spawn_blocking;

use super::{Sources, whole_message};
use crate::image::{Digest, Repository};
use crate::policy::gate::{Claim, ClaimName, Vouched};
use crate::verify;
use crate::world::{Claims, Fact, ImageFacts};

/// Images of which all that vouches for them is read at once. Each has up to 32 MiB there, and the half as much again while it is
/// verified: 200 MB.
const AT_ONCE_MAX: usize = 4;

/// Most versions of one image of which it is kept who vouches for them: as many as are described, of 300 bytes for each claim.
const VOUCHED_MAX: usize = 256;

/// The claims about each image.
pub(super) type Asked = BTreeMap<(Repository, Digest), Vec<Claim>>;

impl Sources {
    /// Judges claims, and keeps what comes of each.
    pub(super) async fn ask_vouched(&self, asked: Asked) {
        let answers = stream::iter(asked).map(|((repository, digest), claims)| async move {
            let found = self.vouched(&repository, &digest, claims).await;
            let mut readings = self.readings();
            if let Some(facts) = readings.images.get_mut(&repository) {
                let vouched = Arc::make_mut(&mut facts.vouched);
                vouched.entry(digest).or_default().extend(found);
            }
        });
        answers.buffer_unordered(AT_ONCE_MAX).collect::<()>().await;
    }

    async fn vouched(
        &self,
        repository: &Repository,
        digest: &Digest,
        claims: Vec<Claim>,
    ) -> Vec<(ClaimName, Fact<Vouched>)> {
        let is_wanted = |predicate: &str| {
            let mut claims = claims.iter();
            claims.any(|claim| verify::is_wanted(&claim.matter, predicate))
        };
        let attached = self.registry.attached(repository, digest, &is_wanted).await;
        let attached = match attached {
            Ok(attached) => attached,
            Err(error) => {
                let why = whole_message(&error, error.hint());
                let unknown = claims
                    .iter()
                    .map(|claim| (claim.name(), Fact::Unknown { why: why.clone() }));
                return unknown.collect();
            }
        };
        // What was signed names the image as it was where it came from.
        let (origin, digest) = (self.origin(repository), digest.clone());
        let judging = spawn_blocking(move || {
            let judged = claims.iter().map(|claim| {
                let fact = match verify::judge(claim, (&origin, &digest), &attached) {
                    Ok(vouched) => Fact::Known(vouched),
                    Err(error) => Fact::Unknown {
                        why: whole_message(&error, None::<&str>),
                    },
                };
                (claim.name(), fact)
            });
            judged.collect()
        });
        judging
            .await
            .expect("judging does not panic and is not cancelled")
    }
}

/// What is still known of who vouches for the digests of `before`. What was signed stays signed; what was not may be by now, what could not
/// be read is read again, and so are reports, of which there may be a newer one.
pub(super) fn still_vouched(before: &ImageFacts) -> Arc<BTreeMap<Digest, Claims>> {
    let stays =
        |fact: &Fact<Vouched>| matches!(fact, Fact::Known(Vouched::Yes { report: None, .. }));
    if before.vouched.len() > VOUCHED_MAX {
        return Arc::default();
    }
    if before
        .vouched
        .values()
        .flat_map(BTreeMap::values)
        .all(stays)
    {
        return before.vouched.clone();
    }
    let kept = before.vouched.iter().map(|(digest, claims)| {
        let claims = claims.iter().filter(|(_, fact)| stays(fact));
        let claims = claims.map(|(name, fact)| (name.clone(), fact.clone()));
        (digest.clone(), claims.collect())
    });
    Arc::new(
        kept.filter(|(_, claims): &(_, Claims)| !claims.is_empty())
            .collect(),
    )
}
