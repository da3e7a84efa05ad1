//! The git edge: a kept bare mirror of a manifests repository, and pushes that are test-and-set.
//!
//! Not here: what is written and why (`plan`), and when to try again (`apply`, `daemon`).
//! Invariant: there is never a working tree, a symlink is never followed, and a branch at the server moves only from
//! the commit that the caller read.

mod below;
mod branch;
mod build;
mod changes;
mod client;
mod fetch;
mod http;
mod join;
mod log;
mod made;
mod metrics;
mod mirror;
mod openpgp;
mod pack;
mod person;
mod places;
mod push;
mod reach;
mod read;
mod remote;
mod seed;
mod sign;
mod ssh;
mod store;
mod transport;
mod tree;
mod wire;

pub(crate) use below::Most;
pub(crate) use changes::{Changed, ChangesError};
pub(crate) use fetch::{FetchError, Head};
pub(crate) use log::{History, LoggedCommit, Range};
pub(crate) use made::MadeCommit;
pub(crate) use mirror::Mirror;
pub(crate) use person::configured_author;
pub(crate) use push::{Deleted, Maker, NewCommit, Person, Push, PushError, Pushed};
pub(crate) use reach::{Asked, Reach, reach};
pub(crate) use read::{Entry, ReadError};
pub(crate) use remote::{Kept, Remote, RemoteUrl};
pub(crate) use seed::{SeedError, seed};
pub(crate) use store::OpenError;

use crate::manifest::CommitId;

/// The name of a commit as libgit2 has it.
fn oid(id: &CommitId) -> git2::Oid {
    git2::Oid::from_str(id.as_str()).expect("a commit id is 40 hex digits")
}

/// The name of a commit as the core has it.
fn commit_id(oid: git2::Oid) -> CommitId {
    oid.to_string()
        .parse()
        .expect("libgit2 writes a SHA-1 as 40 hex digits")
}

#[cfg(test)]
#[path = "../../tests/contract/git.rs"]
mod contract;

#[cfg(test)]
#[path = "../../tests/contract/git_app.rs"]
mod by_app;

#[cfg(test)]
#[path = "../../tests/contract/git_branches.rs"]
mod branches;

#[cfg(test)]
#[path = "../../tests/contract/git_commits.rs"]
mod commits;

#[cfg(test)]
#[path = "../../tests/contract/git_figures.rs"]
mod figures;

#[cfg(test)]
#[path = "../../tests/contract/git_settings.rs"]
mod by_settings;

#[cfg(test)]
#[path = "../../tests/contract/git_ssh.rs"]
mod over_ssh;
