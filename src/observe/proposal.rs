//! Reads what stands at the tip of a proposal's branch.

use std::sync::Arc;

use super::branch::file;
use super::whole_message;
use crate::git::{Changed, ChangesError, Mirror};
use crate::manifest::CommitId;
use crate::world::{Fact, Proposal};

/// Reads the tip of a proposal. What `before` already knows is not read again.
pub(super) async fn read(
    mirror: &Mirror,
    tip: CommitId,
    before: Option<&Fact<Arc<Proposal>>>,
) -> Fact<Arc<Proposal>> {
    if let Some(Fact::Known(before)) = before
        && before.tip == tip
    {
        return Fact::Known(before.clone());
    }
    match read_at(mirror, tip).await {
        Ok(proposal) => Fact::Known(Arc::new(proposal)),
        Err(error) => Fact::Unknown {
            why: whole_message(&error, None::<&str>),
        },
    }
}

async fn read_at(mirror: &Mirror, tip: CommitId) -> Result<Proposal, ChangesError> {
    let Changed {
        parents,
        author: _,
        committer,
        message,
        files,
    } = mirror.changes(tip.clone()).await?;
    let files = files.into_iter();
    Ok(Proposal {
        tip,
        parents,
        committer: committer.to_string(),
        message,
        files: files.map(|(path, entry)| (path, file(entry))).collect(),
    })
}
