//! Moving one branch at its server, from where it must stand to where it shall: making and deleting it too.
//!
//! Not here: what it is moved to (`build`), and what the mirror keeps of it (`push`).
//! Invariant: a step is taken once; whatever the answer, the caller learns whether the branch moved and to where.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use git2::{ErrorCode, Oid, Repository};

use super::client::{Client, Pushing};
use super::http::RemoteError;
use super::push::store;
use super::remote::{Remote, RemoteUrl};
use super::wire::{self, Advertisement, Banded, Report, Verdict};
use super::{commit_id, oid};
use crate::manifest::CommitId;

/// How long a locked branch of a local repository is waited for, 20 times 10 ms: git waits 100 ms and holds a lock for less.
const LOCK_WAITS_MAX: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// How old the lock of a local branch is when its process must have been killed: a hundred times what any holds it.
const LOCK_AGE_MAX: Duration = Duration::from_secs(10);

/// A branch's way from one commit to another. There is no branch where a commit is `None`.
pub(super) struct Step<'a> {
    pub(super) from: Option<&'a CommitId>,
    pub(super) to: Option<&'a CommitId>,
    /// What the server does not have yet; empty where the branch is deleted.
    pub(super) pack: &'a [u8],
    /// Sent where the server takes them.
    pub(super) options: &'a [String],
}

/// What became of a step.
pub(super) enum Stepped {
    Done,
    /// The branch did not stand where it must; nothing was changed.
    Elsewhere {
        head: Option<CommitId>,
    },
    Refused {
        words: String,
    },
}

/// A branch at its server, after it was looked at.
pub(super) struct Branch<'a> {
    reference: &'a str,
    at: At<'a>,
}

enum At<'a> {
    Server {
        client: &'a Client,
        pushing: Pushing,
        told: Advertisement,
    },
    Local {
        path: &'a Path,
        server: Repository,
    },
}

impl<'a> Branch<'a> {
    /// Looks where the branch stands.
    pub(super) fn look(
        (remote, client): (&'a Remote, Option<&'a Client>),
        reference: &'a str,
    ) -> Result<(Self, Option<CommitId>), RemoteError> {
        let (at, head) = match (&remote.url, client) {
            (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), Some(client)) => {
                let (pushing, told) = look(client, reference)?;
                let head = told.head.clone();
                let at = At::Server {
                    client,
                    pushing,
                    told,
                };
                (at, head)
            }
            (RemoteUrl::Local(path), _) => {
                let server = Repository::open(path).map_err(broken)?;
                let head = head(&server, reference).map_err(broken)?;
                (At::Local { path, server }, head)
            }
            (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), None) => {
                unreachable!("a mirror of a server has a client")
            }
        };
        Ok((Self { reference, at }, head))
    }

    /// Takes the step, if the branch stands where it must.
    pub(super) fn take(self, step: &Step<'_>) -> Result<Stepped, RemoteError> {
        match self.at {
            At::Server {
                client,
                pushing,
                told,
            } => take((client, pushing, &told), self.reference, step),
            At::Local { path, server } => {
                take_local((path, &server), self.reference, step).map_err(broken)
            }
        }
    }
}

fn broken(source: git2::Error) -> RemoteError {
    RemoteError::Git { source }
}

/// Asks where the branch stands and what the server can do.
fn look(client: &Client, reference: &str) -> Result<(Pushing, Advertisement), RemoteError> {
    let (pushing, refs) = client.start_push()?;
    let told = wire::advertisement(&refs, reference).map_err(|_| RemoteError::NotGit)?;
    Ok((pushing, told))
}

fn take(
    (client, pushing, told): (&Client, Pushing, &Advertisement),
    reference: &str,
    step: &Step<'_>,
) -> Result<Stepped, RemoteError> {
    if step.to.is_none() && !told.has("delete-refs") {
        let words = "it lets nobody delete branches".to_owned();
        return Ok(Stepped::Refused { words });
    }
    let sent = send(pushing, told, reference, step);
    if matches!(&sent, Ok(report) if report.verdict == Verdict::Accepted) {
        return Ok(Stepped::Done);
    }
    // A refusal may mean that somebody was faster, and an answer that was lost may have been a yes: the branch tells.
    if let Ok((_, told)) = look(client, reference) {
        if told.head.as_ref() == step.to {
            return Ok(Stepped::Done);
        }
        if sent.is_ok() && told.head.as_ref() != step.from {
            return Ok(Stepped::Elsewhere { head: told.head });
        }
    }
    let Report { words, .. } = sent?;
    Ok(Stepped::Refused { words })
}

/// Says once that a server takes no options.
fn tell_of_options(options: &[String]) {
    static TOLD: Once = Once::new();
    if !options.is_empty() {
        TOLD.call_once(|| {
            tracing::warn!("a git server takes no push options (`receive.advertisePushOptions`); they are not sent");
        });
    }
}

/// Sends the one command.
fn send(
    pushing: Pushing,
    server: &Advertisement,
    reference: &str,
    step: &Step<'_>,
) -> Result<Report, RemoteError> {
    let options = match server.has("push-options") {
        true => step.options,
        false => {
            tell_of_options(step.options);
            &[]
        }
    };
    let known = [
        "report-status",
        "delete-refs",
        "side-band-64k",
        "object-format=sha1",
        "quiet",
    ];
    let mut used: Vec<&str> = known.into_iter().filter(|name| server.has(name)).collect();
    if !options.is_empty() {
        used.push("push-options");
    }
    let banded = match server.has("side-band-64k") {
        true => Banded::Yes,
        false => Banded::No,
    };
    let name = |commit: Option<&CommitId>| commit.map_or(Oid::ZERO_SHA1, oid);
    let (from, to) = (name(step.from), name(step.to));
    let mut body = wire::line(&format!("{from} {to} {reference}\0 {}", used.join(" ")));
    body.extend_from_slice(wire::FLUSH);
    if !options.is_empty() {
        body.extend(options.iter().flat_map(|option| wire::line(option)));
        body.extend_from_slice(wire::FLUSH);
    }
    body.extend_from_slice(step.pack);
    let answer = pushing.send(body)?;
    wire::report(&answer, banded).map_err(|_| RemoteError::NotGit)
}

/// Takes a step in a repository on this machine. Its hooks do not run; the move of the branch is a compare-and-swap all the same.
fn take_local(
    (path, server): (&Path, &Repository),
    reference: &str,
    step: &Step<'_>,
) -> Result<Stepped, git2::Error> {
    if is_checked_out(server, reference) {
        let path = path.display();
        let words = format!("it is checked out in `{path}`; push to a bare repository");
        return Ok(Stepped::Refused { words });
    }
    if step.to.is_some() {
        store(server, step.pack)?;
    }
    match move_branch(server, reference, step) {
        Ok(()) => Ok(Stepped::Done),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::NotFound) => {
            let head = head(server, reference)?;
            Ok(Stepped::Elsewhere { head })
        }
        Err(error) => Err(error),
    }
}

/// Moves the branch of a local repository if it stands where it must.
///
/// A lock that another process holds is waited for, and one that a killed process left behind is taken away: this
/// program, killed while it pushed, would else keep itself from ever pushing again.
fn move_branch(server: &Repository, reference: &str, step: &Step<'_>) -> Result<(), git2::Error> {
    let mut waits = 0;
    loop {
        match try_to_move(server, reference, step) {
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

fn try_to_move(server: &Repository, reference: &str, step: &Step<'_>) -> Result<(), git2::Error> {
    let from = step.from.map_or(Oid::ZERO_SHA1, oid);
    let Some(to) = step.to else {
        let mut found = server.find_reference(reference)?;
        if found.target() != Some(from) {
            let moved = "the branch stands elsewhere";
            let class = git2::ErrorClass::Reference;
            return Err(git2::Error::new(ErrorCode::Modified, class, moved));
        }
        // Compares again, with the lock held.
        return found.delete();
    };
    let message = "push: towpath";
    let moved = server.reference_matching(reference, oid(to), true, from, message);
    moved.map(drop)
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
fn is_checked_out(server: &Repository, reference: &str) -> bool {
    let checked_out = server.head().ok().filter(|_| !server.is_bare());
    checked_out.is_some_and(|head| head.name_bytes() == reference.as_bytes())
}
