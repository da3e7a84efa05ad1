//! Bringing the mirror up to where the server is.
//!
//! Invariant: a branch of the mirror points to a commit only after all of it has arrived.

use std::collections::{BTreeMap, BTreeSet};

use git2::{AutotagOption, Direction, ErrorClass, FetchOptions, Oid, Repository};

use super::client::Client;
use super::http::RemoteError;
use super::remote::{Kept, Remote, RemoteUrl};
use super::store::OpenError;
use super::{commit_id, transport};
use crate::manifest::CommitId;

/// Where a branch stands at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    At(CommitId),
    /// The repository has branches, and this is not one.
    NoBranch,
    /// The repository has no commit at all.
    EmptyRepository,
}

impl Head {
    pub(crate) fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::At(commit) => Some(commit),
            Self::NoBranch | Self::EmptyRepository => None,
        }
    }
}

/// Why the mirror could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("`{branch}` is not a name that git allows for a branch")]
    BranchName { branch: String },
    #[error("failed to fetch from `{url}`")]
    Remote { url: RemoteUrl, source: RemoteError },
    #[error("failed to write to the mirror of `{url}`")]
    Mirror { url: RemoteUrl, source: git2::Error },
    #[error("failed to make the mirror of `{url}` anew")]
    Renew { url: RemoteUrl, source: OpenError },
}

impl FetchError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Remote { source, .. } => source.hint(),
            Self::BranchName { .. } | Self::Mirror { .. } | Self::Renew { .. } => None,
        }
    }
}

/// What a fetch found, and whether anything had to be brought.
pub(super) struct Fetched {
    pub(super) heads: BTreeMap<String, Head>,
    pub(super) brought: bool,
}

/// What is asked for: branches by name, and all whose name starts with one of `prefixes`, such as `towpath/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) branches: Vec<String>,
    pub(super) prefixes: Vec<String>,
}

impl Wanted {
    fn check(&self) -> Result<(), FetchError> {
        let under = self.prefixes.iter().map(|prefix| format!("{prefix}x"));
        for branch in self.branches.iter().cloned().chain(under) {
            if !git2::Reference::is_valid_name(&reference(&branch)) {
                return Err(FetchError::BranchName { branch });
            }
        }
        Ok(())
    }

    /// The branches by name, and those of `references` that have a prefix.
    fn names<'a>(&self, references: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let under = references.filter_map(|name| name.strip_prefix(BRANCHES));
        let under =
            under.filter(|name| self.prefixes.iter().any(|prefix| name.starts_with(prefix)));
        let named = self.branches.iter().map(String::as_str);
        named.chain(under).map(str::to_owned).collect()
    }
}

/// Fetches `wanted` into `mirror`. Nothing but the list of refs passes if the mirror has it.
pub(super) fn fetch(
    mirror: &Repository,
    (remote, client): (&Remote, Option<&Client>),
    wanted: &Wanted,
) -> Result<Fetched, FetchError> {
    wanted.check()?;
    let url = remote.url.clone();
    let (done, failure) = match (&remote.url, client) {
        (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), Some(client)) => {
            let fetch = |asked: Kept| {
                let address = transport::address(client);
                let fetch = || fetch_from(mirror, (address, remote.kept, remote.depth), wanted);
                transport::lend((client, asked), fetch)
            };
            match fetch(remote.kept) {
                // A server may say that it can leave objects out, and refuse to leave out all trees
                // (`uploadpackfilter`).
                (Err(Failed::There(_)), None) if remote.kept == Kept::Commits => {
                    fetch(Kept::Everything)
                }
                done => done,
            }
        }
        // libgit2 would take the path for a URL of a protocol that it does not know.
        (RemoteUrl::Local(path), _) if !path.exists() => {
            let source = RemoteError::NoFolder;
            return Err(FetchError::Remote { url, source });
        }
        (RemoteUrl::Local(path), _) => {
            let path = path.to_string_lossy();
            (fetch_from(mirror, (&path, remote.kept, None), wanted), None)
        }
        (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), None) => {
            unreachable!("a mirror of a server has a client")
        }
    };
    match (done, failure) {
        (Ok(fetched), _) => Ok(fetched),
        (Err(_), Some(source)) => Err(FetchError::Remote { url, source }),
        (Err(Failed::There(source)), None) => {
            let source = RemoteError::Git { source };
            Err(FetchError::Remote { url, source })
        }
        (Err(Failed::Here(source)), None) => Err(FetchError::Mirror { url, source }),
    }
}

/// Where the full name of a branch begins.
const BRANCHES: &str = "refs/heads/";

/// The full name of a branch.
pub(super) fn reference(branch: &str) -> String {
    format!("{BRANCHES}{branch}")
}

/// On which side git failed.
enum Failed {
    There(git2::Error),
    Here(git2::Error),
}

impl Failed {
    /// A server may refuse or stop in the midst of its answer, with the branch moved since it was listed for one; the
    /// mirror is none the worse for that.
    fn of_download(error: git2::Error) -> Self {
        match error.class() {
            ErrorClass::Net => Self::There(error),
            _ => Self::Here(error),
        }
    }
}

fn fetch_from(
    mirror: &Repository,
    (address, kept, depth): (&str, Kept, Option<u32>),
    wanted: &Wanted,
) -> Result<Fetched, Failed> {
    let mut remote = mirror.remote_anonymous(address).map_err(Failed::Here)?;
    remote.connect(Direction::Fetch).map_err(Failed::There)?;
    let listed: BTreeMap<String, Oid> = remote
        .list()
        .map_err(Failed::There)?
        .iter()
        .filter(|head| head.name().starts_with(BRANCHES))
        .map(|head| (head.name().to_owned(), head.oid()))
        .collect();

    let at = |branch: &String| listed.get(&reference(branch)).copied();
    let branches = wanted.names(listed.keys().map(String::as_str));
    let missing: Vec<String> = branches
        .iter()
        .filter(|branch| at(branch).is_some_and(|id| !has(mirror, &reference(branch), (id, kept))))
        .map(|branch| format!("+{0}:{0}", reference(branch)))
        .collect();
    if !missing.is_empty() {
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None);
        options.update_fetchhead(false);
        if let Some(depth) = depth {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        remote
            .download(&missing, Some(&mut options))
            .map_err(Failed::of_download)?;
    }
    // What failed until here is told above; the end of a connection that was read to its end is no news.
    let _ = remote.disconnect();

    // Those that are gone go first: `a` may have become `a/b`.
    let kept = known(mirror, wanted).map_err(Failed::Here)?;
    for branch in kept.iter().filter(|branch| at(branch).is_none()) {
        point(mirror, &reference(branch), None).map_err(Failed::Here)?;
    }
    let mut heads = BTreeMap::new();
    for branch in branches {
        let head = match at(&branch) {
            Some(id) => {
                point(mirror, &reference(&branch), Some(id)).map_err(Failed::Here)?;
                Head::At(commit_id(id))
            }
            None if listed.is_empty() => Head::EmptyRepository,
            None => Head::NoBranch,
        };
        heads.insert(branch, head);
    }
    let brought = !missing.is_empty();
    Ok(Fetched { heads, brought })
}

/// Whether `reference` of the mirror points to `id`, and what is kept of that commit is there.
fn has(mirror: &Repository, reference: &str, (id, kept): (Oid, Kept)) -> bool {
    let points = mirror.refname_to_id(reference).is_ok_and(|at| at == id);
    let is_there = |commit: git2::Commit<'_>| match kept {
        Kept::Everything => commit.tree().is_ok(),
        Kept::Commits => true,
    };
    points && mirror.find_commit(id).is_ok_and(is_there)
}

/// The branches of the mirror that `wanted` speaks of, whether they stand there or not.
fn known(mirror: &Repository, wanted: &Wanted) -> Result<BTreeSet<String>, git2::Error> {
    let mut names = Vec::new();
    for reference in mirror.references()? {
        names.extend(reference?.name().ok().map(str::to_owned));
    }
    Ok(wanted.names(names.iter().map(String::as_str)))
}

/// Points `reference` of the mirror to `id`, or removes it.
pub(super) fn point(
    mirror: &Repository,
    reference: &str,
    id: Option<Oid>,
) -> Result<(), git2::Error> {
    match (mirror.find_reference(reference), id) {
        (Ok(found), Some(id)) if found.target() == Some(id) => Ok(()),
        (_, Some(id)) => {
            mirror.find_commit(id)?;
            mirror.reference(reference, id, true, "fetch").map(drop)
        }
        (Ok(mut found), None) => found.delete(),
        (Err(_), None) => Ok(()),
    }
}
