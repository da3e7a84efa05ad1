//! Pushing commits and deleting branches: once, and only from where the caller says that the branch must stand.
//!
//! Not here: how commits are made (`build`), how a branch is moved (`branch`), and trying again on what the branch
//! became (`apply`).
//! Invariant: what was pushed stands in the mirror too, so that it need not be fetched.

use std::collections::BTreeMap;
use std::io::Write as _;

use std::fmt;

use git2::Repository;
use jiff::Timestamp;

use super::branch::{Branch, Step, Stepped};
use super::build::{Built, build};
use super::client::Client;
use super::fetch::{point, reference};
use super::http::RemoteError;
use super::made::MadeCommit;
use super::oid;
use super::read::ReadError;
use super::remote::{Remote, RemoteUrl};
use super::sign::{SignError, Signer};
use crate::manifest::{CommitId, RepoPath};

/// A chain of commits for one branch.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) branch: String,
    /// Where the branch must stand; `None`: there must be none, and it is made.
    pub(crate) expected: Option<CommitId>,
    /// What the first commit is made on: any commit that the mirror has from the server. The branch's own where it
    /// only grows.
    pub(crate) parent: CommitId,
    /// Oldest first; never empty. A commit without files has the tree of its parent.
    pub(crate) commits: Vec<NewCommit>,
    /// Told to the server's hooks, if the server takes options.
    pub(crate) options: Vec<String>,
}

/// A commit to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewCommit {
    pub(crate) message: String,
    pub(crate) maker: Maker,
    /// The new bytes of each file that changes. A file that stands keeps its mode; a new one gets `100644`.
    pub(crate) files: BTreeMap<RepoPath, Vec<u8>>,
}

/// Who makes a commit.
#[derive(Clone, Debug)]
pub(crate) enum Maker {
    /// We do, and sign it where there is a key.
    Us {
        author: Person,
        committer: Person,
        time: Timestamp,
    },
    /// Somebody else did, and signed it: it passes if it is what we would have made.
    Them(MadeCommit),
}

/// Who wrote or committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}

impl fmt::Display for Person {
    /// As git writes a person: the characters that would end a part early are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |text: &str| {
            let plain = |c: &char| !matches!(c, '<' | '>' | '\n' | '\r' | '\0');
            let text: String = text.chars().filter(plain).collect();
            text.trim().to_owned()
        };
        write!(f, "{} <{}>", clean(&self.name), clean(&self.email))
    }
}

/// What became of a push that the server did not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The branch stands at the last of these, which are in the order of the commits asked for.
    Done { ids: Vec<CommitId> },
    /// The branch did not stand where it must; nothing was changed. `None`: there is none.
    Moved { head: Option<CommitId> },
}

/// What became of a deletion that the server did not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Deleted {
    /// There is no such branch any more, whoever deleted it.
    Done,
    /// The branch stands elsewhere; nothing was changed.
    Moved { head: CommitId },
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
    #[error("failed to sign a commit")]
    Sign(#[source] SignError),
    #[error("the forge made another commit than it was asked for: {what} differs")]
    Altered { what: &'static str },
    #[error("the forge did not sign the commit that it made")]
    Unsigned,
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
            Self::Sign(error) => error.hint(),
            Self::Rejected { words, .. } => is_about_protection(words).then_some(
                "the branch is protected: deliver by pull request, or let towpath's user push to it",
            ),
            Self::Unsigned => Some(
                "GitHub signs what an App or a user makes by its API, GitLab where commits of its web pages are signed (`Web-based commit signing`)",
            ),
            Self::BranchName { .. }
            | Self::NotAFile { .. }
            | Self::Base(_)
            | Self::Altered { .. } => None,
        }
    }
}

/// Whether a server refused since the branch is protected. What each says:
/// * GitHub: `GH006: Protected branch update failed`, and of its rule sets `GH013: Repository rule violations found`
///   (<https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/troubleshooting-rules>);
/// * GitLab: `You are not allowed to push code to protected branches on this project`;
/// * Gitea and Forgejo: `branch main is protected from ...`, `Not allowed to push to protected branch main`;
/// * Bitbucket: `Permission denied to update branch main`, of the Data Center `You are not permitted to ... branch permissions`,
///   `Branch refs/heads/main can only be modified through pull requests`;
/// * Azure DevOps: `TF402455: Pushes to this branch are not permitted; you must use a pull request`.
fn is_about_protection(words: &str) -> bool {
    let words = words.to_lowercase();
    let told = [
        "gh006",
        "gh013",
        "protected branch",
        "is protected from",
        "permission denied to update branch",
        "branch permissions",
        "through pull requests",
        "tf402455",
    ];
    told.iter().any(|told| words.contains(told))
}

/// Pushes, and lets the mirror know what was pushed.
pub(super) fn push(
    mirror: &Repository,
    (remote, client): (&Remote, Option<&Client>),
    push: &Push,
) -> Result<Pushed, PushError> {
    let reference = valid(&push.branch)?;
    let failed = |source| failed(remote, source);
    let (branch, head) = Branch::look((remote, client), &reference).map_err(failed)?;
    if head != push.expected {
        return Ok(Pushed::Moved { head });
    }
    let signing = remote.signing.as_ref();
    let signer = signing.map(|key| Signer::read(key, (remote.clock.0)()));
    let signer = signer.transpose();
    let signer = signer.map_err(PushError::Sign)?;
    let Built { ids, pack } = build(mirror, &push.parent, &push.commits, signer.as_ref())?;
    // The same commits at the same time are the same: nothing is left to send.
    let Some(tip) = ids.last().filter(|tip| push.expected.as_ref() != Some(tip)) else {
        return Ok(Pushed::Done { ids });
    };
    let options = [&remote.push_options[..], &push.options].concat();
    let step = Step {
        from: push.expected.as_ref(),
        to: Some(tip),
        pack: &pack,
        options: &options,
    };
    match branch.take(&step).map_err(failed)? {
        Stepped::Done => {
            keep(mirror, &pack, (&reference, tip));
            Ok(Pushed::Done { ids })
        }
        Stepped::Elsewhere { head } => Ok(Pushed::Moved { head }),
        Stepped::Refused { words } => Err(PushError::Rejected {
            branch: push.branch.clone(),
            words,
        }),
    }
}

/// Deletes a branch that stands at `expected`, at the server and in the mirror.
pub(super) fn delete(
    mirror: &Repository,
    (remote, client): (&Remote, Option<&Client>),
    (branch, expected): (&str, &CommitId),
) -> Result<Deleted, PushError> {
    let reference = valid(branch)?;
    let failed = |source| failed(remote, source);
    let (at, head) = Branch::look((remote, client), &reference).map_err(failed)?;
    let stepped = match head {
        Some(head) if head == *expected => {
            let step = Step {
                from: Some(expected),
                to: None,
                pack: &[],
                options: &remote.push_options,
            };
            at.take(&step).map_err(failed)?
        }
        head => Stepped::Elsewhere { head },
    };
    match stepped {
        Stepped::Done | Stepped::Elsewhere { head: None } => {
            if let Err(error) = point(mirror, &reference, None) {
                tracing::warn!(%error, "the mirror did not let go of a branch; the next fetch does");
            }
            Ok(Deleted::Done)
        }
        Stepped::Elsewhere { head: Some(head) } => Ok(Deleted::Moved { head }),
        Stepped::Refused { words } => Err(PushError::Rejected {
            branch: branch.to_owned(),
            words,
        }),
    }
}

/// The full name of `branch`, if git allows it.
fn valid(branch: &str) -> Result<String, PushError> {
    let reference = reference(branch);
    match git2::Reference::is_valid_name(&reference) {
        true => Ok(reference),
        false => Err(PushError::BranchName {
            branch: branch.to_owned(),
        }),
    }
}

fn failed(remote: &Remote, source: RemoteError) -> PushError {
    let url = remote.url.clone();
    PushError::Remote { url, source }
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
pub(super) fn store(repository: &Repository, pack: &[u8]) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    let mut writer = odb.packwriter()?;
    let written = writer.write_all(pack);
    written.map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::PushError;

    #[test]
    fn a_refusal_about_a_protected_branch_says_what_to_do() {
        let hint = |words: &str| {
            let (branch, words) = ("main".to_owned(), words.to_owned());
            PushError::Rejected { branch, words }.hint()
        };
        for words in [
            "error: GH006: Protected branch update failed for refs/heads/main.",
            "error: GH013: Repository rule violations found for refs/heads/main.",
            "GitLab: You are not allowed to push code to protected branches on this project.",
            "Gitea: Not allowed to push to protected branch main",
            "Forgejo: branch main is protected from force push",
            "remote: Permission denied to update branch main.",
            "Branch refs/heads/main can only be modified through pull requests.",
            "TF402455: Pushes to this branch are not permitted; you must use a pull request",
        ] {
            assert!(
                hint(words).is_some_and(|hint| hint.contains("pull request")),
                "{words}"
            );
        }
        assert_eq!(hint("frozen until Monday\npre-receive hook declined"), None);
    }
}
