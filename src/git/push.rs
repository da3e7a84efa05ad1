//! Pushing commits: one push, and only from the commit that the caller read.
//!
//! Not here: how commits are made (`build`), and trying again on what the branch became (`apply`).
//! Invariant: a push is sent once; whatever its answer, the caller learns whether the branch moved and to where.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use git2::{ErrorCode, Repository};
use jiff::Timestamp;

use super::build::{Built, build};
use super::fetch::reference;
use super::http::{Http, RemoteError, Service, Session};
use super::read::ReadError;
use super::remote::{Remote, RemoteUrl};
use super::wire::{self, Advertisement, Banded, Report, Verdict};
use super::{commit_id, oid};
use crate::manifest::{CommitId, RepoPath};

/// How long a locked branch of a local repository is waited for, 20 times 10 ms: git waits 100 ms and holds a lock for less.
const LOCK_WAITS_MAX: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// How old the lock of a local branch is when its process must have been killed: a hundred times what any holds it.
const LOCK_AGE_MAX: Duration = Duration::from_secs(10);

/// A chain of commits for one branch.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) branch: String,
    /// Where the branch must stand; the first commit's parent.
    pub(crate) base: CommitId,
    /// Oldest first.
    pub(crate) commits: Vec<NewCommit>,
}

/// A commit to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewCommit {
    pub(crate) message: String,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) time: Timestamp,
    /// The new bytes of each file that changes. A file that stands keeps its mode; a new one gets `100644`.
    pub(crate) files: BTreeMap<RepoPath, Vec<u8>>,
}

/// Who wrote or committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// What became of a push that the server did not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The branch stands at the last of these, which are in the order of the commits asked for.
    Done { ids: Vec<CommitId> },
    /// The branch did not stand at the base any more; nothing was changed. `None`: it is gone.
    Moved { head: Option<CommitId> },
}

/// Why nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error("`{branch}` is not a name that git allows for a branch")]
    BranchName { branch: String },
    #[error(
        "`{path}` cannot be written: it, or something on the way to it, is not what git calls a file or folder"
    )]
    NotAFile { path: RepoPath },
    #[error(transparent)]
    Base(ReadError),
    #[error("the server rejected the push to `{branch}`: {words}")]
    Rejected {
        branch: String,
        /// What hooks printed, and the server's reason.
        words: String,
    },
    #[error("failed to push to `{url}`")]
    Remote { url: RemoteUrl, source: RemoteError },
}

impl PushError {
    /// What a person can do about it, if we know.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Remote { source, .. } => source.hint(),
            Self::BranchName { .. }
            | Self::NotAFile { .. }
            | Self::Base(_)
            | Self::Rejected { .. } => None,
        }
    }
}

/// Pushes, and lets the mirror know what was pushed.
pub(super) fn push(
    mirror: &Repository,
    (remote, http): (&Remote, Option<&Http>),
    push: &Push,
) -> Result<Pushed, PushError> {
    if !git2::Reference::is_valid_name(&reference(&push.branch)) {
        let branch = push.branch.clone();
        return Err(PushError::BranchName { branch });
    }
    let failed = |failure| match failure {
        Failed::Push(error) => error,
        Failed::Remote(source) => PushError::Remote {
            url: remote.url.clone(),
            source,
        },
    };
    match (&remote.url, http) {
        (RemoteUrl::Http(_), Some(http)) => push_http(mirror, http, push).map_err(failed),
        (RemoteUrl::Local(path), _) => push_local(mirror, path, push).map_err(failed),
        (RemoteUrl::Http(_), None) => unreachable!("a mirror of an HTTP address has a client"),
    }
}

enum Failed {
    Push(PushError),
    Remote(RemoteError),
}

impl From<PushError> for Failed {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

impl From<RemoteError> for Failed {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<git2::Error> for Failed {
    fn from(source: git2::Error) -> Self {
        Self::Remote(RemoteError::Git { source })
    }
}

fn push_http(mirror: &Repository, http: &Http, push: &Push) -> Result<Pushed, Failed> {
    let reference = reference(&push.branch);
    let (session, told) = look(http, &reference)?;
    if told.head.as_ref() != Some(&push.base) {
        return Ok(Pushed::Moved { head: told.head });
    }
    let Built { ids, pack } = build(mirror, &push.base, &push.commits)?;
    let Some(tip) = ids.last().cloned() else {
        return Ok(Pushed::Done { ids });
    };
    let sent = send(&session, &told, (&reference, &push.base, &tip), &pack);
    let done = match &sent {
        Ok(report) if report.verdict == Verdict::Accepted => true,
        // A refusal may mean that somebody was faster, and an answer that was lost may have been a yes: the branch tells.
        Ok(_) | Err(_) => match look(http, &reference) {
            Ok((_, told)) if told.head.as_ref() == Some(&tip) => true,
            Ok((_, told)) if sent.is_ok() && told.head.as_ref() != Some(&push.base) => {
                return Ok(Pushed::Moved { head: told.head });
            }
            Ok(_) | Err(_) => false,
        },
    };
    if done {
        keep(mirror, &pack, (&reference, &tip));
        return Ok(Pushed::Done { ids });
    }
    let Report { words, .. } = sent?;
    let branch = push.branch.clone();
    Err(Failed::Push(PushError::Rejected { branch, words }))
}

/// Asks where the branch stands and what the server can do.
fn look(http: &Http, reference: &str) -> Result<(Session, Advertisement), RemoteError> {
    let (session, response) = http.refs(Service::ReceivePack)?;
    let bytes = session.read_all(response)?;
    let told = wire::advertisement(&bytes, reference).map_err(|_| RemoteError::NotGit)?;
    Ok((session, told))
}

/// Sends the one push: move `reference` from `base` to `tip`, with the objects in `pack`.
fn send(
    session: &Session,
    server: &Advertisement,
    (reference, base, tip): (&str, &CommitId, &CommitId),
    pack: &[u8],
) -> Result<Report, RemoteError> {
    let known = [
        "report-status",
        "side-band-64k",
        "object-format=sha1",
        "quiet",
    ];
    let used: Vec<&str> = known.into_iter().filter(|name| server.has(name)).collect();
    let banded = match server.has("side-band-64k") {
        true => Banded::Yes,
        false => Banded::No,
    };
    let mut body = wire::line(&format!("{base} {tip} {reference}\0 {}", used.join(" ")));
    body.extend_from_slice(wire::FLUSH);
    body.extend_from_slice(pack);
    let answer = session.receive_pack(body)?;
    wire::report(&answer, banded).map_err(|_| RemoteError::NotGit)
}

/// Keeps what was pushed, so that it need not be fetched. If that fails, the next fetch brings it.
fn keep(mirror: &Repository, pack: &[u8], (reference, tip): (&str, &CommitId)) {
    let kept = store(mirror, pack).and_then(|()| {
        mirror
            .reference(reference, oid(tip), true, "push")
            .map(drop)
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "the mirror did not keep what was pushed; the next fetch brings it");
    }
}

/// Writes the objects of a pack into a repository.
fn store(repository: &Repository, pack: &[u8]) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    let mut writer = odb.packwriter()?;
    let written = writer.write_all(pack);
    written.map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit()?;
    Ok(())
}

/// Pushes into a repository on this machine. Its hooks do not run; the move of the branch is a compare-and-swap all the same.
fn push_local(mirror: &Repository, path: &Path, push: &Push) -> Result<Pushed, Failed> {
    let reference = reference(&push.branch);
    let server = Repository::open(path)?;
    let head = head(&server, &reference)?;
    if head.as_ref() != Some(&push.base) {
        return Ok(Pushed::Moved { head });
    }
    refuse_checked_out(&server, path, push)?;
    let Built { ids, pack } = build(mirror, &push.base, &push.commits)?;
    let Some(tip) = ids.last().cloned() else {
        return Ok(Pushed::Done { ids });
    };
    store(&server, &pack)?;
    let moved = move_branch(&server, &reference, (&push.base, &tip));
    match moved {
        Ok(()) => {
            keep(mirror, &pack, (&reference, &tip));
            Ok(Pushed::Done { ids })
        }
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::NotFound) => {
            let head = self::head(&server, &reference)?;
            Ok(Pushed::Moved { head })
        }
        Err(error) => Err(error.into()),
    }
}

/// Moves the branch of a local repository if it stands at `base`.
///
/// A lock that another process holds is waited for, and one that a killed process left behind is taken away: this
/// program, killed while it pushed, would else keep itself from ever pushing again.
fn move_branch(
    server: &Repository,
    reference: &str,
    (base, tip): (&CommitId, &CommitId),
) -> Result<(), git2::Error> {
    let mut waits = 0;
    loop {
        let message = "push: towpath";
        let moved = server.reference_matching(reference, oid(tip), true, oid(base), message);
        match moved.map(drop) {
            Err(error) if error.code() == ErrorCode::Locked && waits < LOCK_WAITS_MAX => {
                waits += 1;
                std::thread::sleep(LOCK_WAIT);
            }
            Err(error) if error.code() == ErrorCode::Locked && drop_old_lock(server, reference) => {
                tracing::warn!(reference, "took away the lock of a process that was killed");
                waits = 0;
            }
            moved => return moved,
        }
    }
}

/// Whether an old lock stood there and is gone.
fn drop_old_lock(server: &Repository, reference: &str) -> bool {
    let lock = server.commondir().join(format!("{reference}.lock"));
    let modified = lock.symlink_metadata().and_then(|lock| lock.modified());
    let age = modified.ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > LOCK_AGE_MAX) && std::fs::remove_file(lock).is_ok()
}

fn head(server: &Repository, reference: &str) -> Result<Option<CommitId>, git2::Error> {
    match server.refname_to_id(reference) {
        Ok(id) => Ok(Some(commit_id(id))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A branch that somebody has in a working tree must not move beneath it, as git's own push refuses too.
fn refuse_checked_out(server: &Repository, path: &Path, push: &Push) -> Result<(), Failed> {
    let checked_out = server.head().ok().filter(|_| !server.is_bare());
    let at: Option<Vec<u8>> = checked_out.map(|head| head.name_bytes().to_vec());
    if at.as_deref() != Some(reference(&push.branch).as_bytes()) {
        return Ok(());
    }
    Err(Failed::Push(PushError::Rejected {
        branch: push.branch.clone(),
        words: format!(
            "it is checked out in `{}`; push to a bare repository",
            path.display()
        ),
    }))
}
