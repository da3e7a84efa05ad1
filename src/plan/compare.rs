//! Whether what stands of a proposal is what would be made, and what to tell people where it is not.

use std::collections::BTreeSet;

use super::change::PlannedCommit;
use crate::ledger::Promotion;
use crate::world::{File, Proposal};

/// Whether the proposal's commit is what `commit` would be.
pub(super) fn makes_the_same(tip: &Proposal, commit: &PlannedCommit) -> bool {
    let files = commit.files.iter();
    let texts = files.map(|(path, file)| (path, &*file.after));
    let standing = tip.files.iter().map(|(path, file)| match file {
        File::Text(text) => (path, &**text),
        File::NotUtf8
        | File::Symlink
        | File::LfsPointer
        | File::Folder
        | File::Submodule
        | File::TooLarge { .. }
        | File::Missing => (path, ""),
    });
    tip.message.trim_end() == commit.message.trim_end() && standing.eq(texts)
}

/// Whether both bring the same versions of the same images to the same places.
pub(super) fn moves_alike(a: &[Promotion], b: &[Promotion]) -> bool {
    let versions = |promotions: &[Promotion]| {
        let moves = promotions.iter().flat_map(|promotion| {
            let key = (promotion.policy.clone(), promotion.environment.clone());
            let images = promotion.images.iter();
            images.map(move |(image, moved)| {
                let version = (moved.tag.clone(), moved.digest.clone());
                (
                    key.clone(),
                    image.clone(),
                    moved.repository.clone(),
                    version,
                )
            })
        });
        moves.collect::<BTreeSet<_>>()
    };
    versions(a) == versions(b)
}

/// What people are told where a newer version takes the place of one that they may have looked at.
pub(super) fn superseded(before: &[Promotion], after: &[Promotion]) -> String {
    let tags = |promotions: &[Promotion]| {
        let moves = promotions.iter().flat_map(|promotion| {
            let images = promotion.images.iter();
            images.map(|(image, moved)| format!("{image} `{}`", moved.tag))
        });
        moves.collect::<BTreeSet<_>>()
    };
    let (before, after) = (tags(before), tags(after));
    let list = |texts: Vec<&String>| {
        let texts: Vec<&str> = texts.into_iter().map(String::as_str).collect();
        texts.join(", ")
    };
    let gone = list(before.difference(&after).collect());
    let new = list(after.difference(&before).collect());
    match (gone.is_empty(), new.is_empty()) {
        (false, false) => format!("This proposes {new} now, in place of {gone}."),
        (true, false) => format!("This proposes {new} now, too."),
        (false, true) => format!("This proposes {gone} no more."),
        (true, true) => "This proposes the same tags now, with other digests.".to_owned(),
    }
}
