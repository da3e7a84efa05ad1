//! Whether a repository can be read and pushed to, asked without fetching or changing anything.
//!
//! Not here: what a protected branch refuses, which only the push itself, or the forge's API, tells.

use std::path::Path;
use std::time::Duration;

use git2::Repository;
use jiff::Timestamp;

use super::client::Client;
use super::fetch::{Head, reference};
use super::http::{ClientError, RemoteError};
use super::remote::{Remote, RemoteUrl, Timeouts};
use super::{commit_id, wire};

/// A person waits: what takes longer is not well, whatever it is.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(10),
    total: Duration::from_secs(12),
};

/// What ends a list of refs.
const FLUSH: &[u8] = b"0000";

/// What is asked of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Read,
    ReadAndPush,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) head: Result<Head, RemoteError>,
    /// Whether it would take a push of ours: it looks at rights before it lists what a push may change,
    /// <https://git-scm.com/docs/http-protocol#_smart_server_response>. `None` where it was not asked, or nobody can tell.
    pub(crate) push: Option<Result<(), RemoteError>>,
    /// What its clock shows, where it tells.
    pub(crate) clock: Option<Timestamp>,
}

/// Asks `remote` where `branch` stands, and whether we may push to it at all.
pub(crate) async fn reach(
    remote: Remote,
    branch: String,
    asked: Asked,
) -> Result<Reach, ClientError> {
    let remote = Remote {
        timeouts: TIMEOUTS,
        ..remote
    };
    let client = Client::of(&remote)?;
    // It blocks, as all of git does here.
    let asking = move || match (&remote.url, client) {
        (RemoteUrl::Local(path), _) => Reach {
            head: head_of(path, &branch),
            push: None,
            clock: None,
        },
        (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), Some(client)) => {
            let refs = client.refs();
            let (refs, clock) = match refs {
                Ok((refs, clock)) => (Ok(refs), clock),
                Err(error) => (Err(error), None),
            };
            let head = refs.and_then(|refs| head_of_refs(&refs, &branch));
            let push = match (asked, &head) {
                // It would only be told the same again.
                (Asked::Read, _) | (Asked::ReadAndPush, Err(_)) => None,
                (Asked::ReadAndPush, Ok(_)) => Some(client.start_push().map(drop)),
            };
            Reach { head, push, clock }
        }
        (RemoteUrl::Http(_) | RemoteUrl::Ssh(_), None) => {
            unreachable!("a server has a client")
        }
    };
    let answer = tokio::task::spawn_blocking(asking).await;
    Ok(answer.expect("asking does not panic and is not cancelled"))
}

fn head_of_refs(refs: &[u8], branch: &str) -> Result<Head, RemoteError> {
    match wire::advertisement(refs, &reference(branch)) {
        Ok(told) => Ok(told.head.map_or(Head::NoBranch, Head::At)),
        // A server without refs has nothing to list its abilities beside.
        Err(_) if refs.ends_with(FLUSH) => Ok(Head::EmptyRepository),
        Err(_) => Err(RemoteError::NotGit),
    }
}

fn head_of(path: &Path, branch: &str) -> Result<Head, RemoteError> {
    if !path.exists() {
        return Err(RemoteError::NoFolder);
    }
    let repository = Repository::open(path).map_err(|source| RemoteError::Git { source })?;
    if let Ok(id) = repository.refname_to_id(&reference(branch)) {
        return Ok(Head::At(commit_id(id)));
    }
    let references = repository.references();
    let mut references = references.map_err(|source| RemoteError::Git { source })?;
    Ok(match references.next() {
        None => Head::EmptyRepository,
        Some(_) => Head::NoBranch,
    })
}
