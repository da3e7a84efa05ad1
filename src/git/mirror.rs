//! The handle of a mirror, and its thread.
//!
//! libgit2 blocks, so each mirror has one thread that is spoken to by messages.
//! Invariant: one message at a time touches the mirror. A caller that stops waiting does not stop the work half-way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use git2::Repository;
use tokio::sync::oneshot;

use super::below::{Below, Most, below};
use super::changes::{Changed, ChangesError, changes};
use super::client::Client;
use super::fetch::{FetchError, Fetched, Head, Wanted, fetch};
use super::join::{JoinError, Packs, join_packs};
use super::log::{History, Range, log, range};
use super::made::{executables, raw};
use super::metrics;
use super::places::Places;
use super::push::{Deleted, Push, PushError, Pushed, delete, push};
use super::read::{Entry, ReadError, folders, read};
use super::remote::Remote;
use super::store::{OpenError, Store};
use crate::manifest::{CommitId, NamedCommit, RepoPath};

/// A kept bare mirror of one repository. Its thread ends when this is dropped and the work at hand is done.
pub(crate) struct Mirror {
    messages: Sender<Message>,
    thread: JoinHandle<()>,
}

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

enum Message {
    Fetch {
        wanted: Wanted,
        reply: Reply<BTreeMap<String, Head>, FetchError>,
    },
    Read {
        commit: CommitId,
        paths: Vec<RepoPath>,
        reply: Reply<BTreeMap<RepoPath, Entry>, ReadError>,
    },
    Folders {
        commit: CommitId,
        parent: RepoPath,
        reply: Reply<BTreeSet<String>, ReadError>,
    },
    Below {
        folder: (CommitId, RepoPath),
        most: Most,
        reply: Reply<Below, ReadError>,
    },
    Log {
        range: (CommitId, Option<CommitId>),
        limit: usize,
        reply: Reply<History, ReadError>,
    },
    Range {
        ends: (String, String),
        limit: usize,
        reply: Reply<Option<Range>, ReadError>,
    },
    Changes {
        commit: CommitId,
        reply: Reply<Changed, ChangesError>,
    },
    Places {
        head: CommitId,
        commits: BTreeSet<String>,
        reply: Reply<BTreeMap<String, NamedCommit>, ReadError>,
    },
    Raw {
        commits: Vec<CommitId>,
        reply: Reply<Vec<Vec<u8>>, ReadError>,
    },
    Executables {
        commit: CommitId,
        paths: BTreeSet<RepoPath>,
        reply: Reply<BTreeSet<RepoPath>, ReadError>,
    },
    Push {
        push: Push,
        reply: Reply<Pushed, PushError>,
    },
    Delete {
        branch: String,
        expected: CommitId,
        reply: Reply<Deleted, PushError>,
    },
}

impl Mirror {
    /// Opens the mirror in `folder`, or makes one; asks nothing of the server yet. Runs inside a tokio runtime.
    pub(crate) fn open(remote: Remote, folder: PathBuf) -> Result<Self, OpenError> {
        let client = Client::of(&remote)?;
        let store = Store::take(folder, identity(&remote), remote.kept)?;
        let repository = store.open()?;
        let (messages, inbox) = mpsc::channel();
        let name = format!("mirror-{}", remote.name);
        let worker = Worker {
            remote,
            client,
            store,
            repository,
            is_broken: false,
            places: None,
        };
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || worker.run(&inbox))
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self { messages, thread })
    }

    /// Brings `branches` up to date, and all others whose name starts with one of `prefixes`, and tells where they
    /// stand at the server.
    pub(crate) async fn fetch(
        &self,
        branches: &[String],
        prefixes: &[String],
    ) -> Result<BTreeMap<String, Head>, FetchError> {
        let wanted = Wanted {
            branches: branches.to_vec(),
            prefixes: prefixes.to_vec(),
        };
        self.ask(|reply| Message::Fetch { wanted, reply }).await
    }

    /// Reads what stands at each of `paths` in `commit`, which was fetched or pushed before.
    pub(crate) async fn read(
        &self,
        commit: CommitId,
        paths: Vec<RepoPath>,
    ) -> Result<BTreeMap<RepoPath, Entry>, ReadError> {
        self.ask(|reply| Message::Read {
            commit,
            paths,
            reply,
        })
        .await
    }

    /// The names of the folders right within `parent` in `commit`, which was fetched or pushed before.
    pub(crate) async fn folders(
        &self,
        commit: CommitId,
        parent: RepoPath,
    ) -> Result<BTreeSet<String>, ReadError> {
        self.ask(|reply| Message::Folders {
            commit,
            parent,
            reply,
        })
        .await
    }

    /// Reads all regular files below a folder of a commit, which was fetched or pushed before; `None` where they are more than `most`.
    pub(crate) async fn below(
        &self,
        folder: (CommitId, RepoPath),
        most: Most,
    ) -> Result<Below, ReadError> {
        self.ask(|reply| Message::Below {
            folder,
            most,
            reply,
        })
        .await
    }

    /// The history of `head`, newest first, `limit` commits at most; from `known` on, if `head` holds that.
    pub(crate) async fn log(
        &self,
        head: CommitId,
        known: Option<CommitId>,
        limit: usize,
    ) -> Result<History, ReadError> {
        let range = (head, known);
        self.ask(|reply| Message::Log {
            range,
            limit,
            reply,
        })
        .await
    }

    /// The commits that the second of `ends` holds and the first does not, the newest `limit` of them; `None` where the mirror
    /// has not exactly one commit whose name starts so.
    pub(crate) async fn range(
        &self,
        ends: (String, String),
        limit: usize,
    ) -> Result<Option<Range>, ReadError> {
        self.ask(|reply| Message::Range { ends, limit, reply })
            .await
    }

    /// Tells of one commit, and what stands in it at each path that it changes against its first parent.
    pub(crate) async fn changes(&self, commit: CommitId) -> Result<Changed, ChangesError> {
        self.ask(|reply| Message::Changes { commit, reply }).await
    }

    /// What `commits`, which are names or the starts of names, stand for on the branch at `head`.
    pub(crate) async fn places(
        &self,
        head: CommitId,
        commits: BTreeSet<String>,
    ) -> Result<BTreeMap<String, NamedCommit>, ReadError> {
        self.ask(|reply| Message::Places {
            head,
            commits,
            reply,
        })
        .await
    }

    /// The bytes of `commits`, which were fetched.
    pub(crate) async fn raw(&self, commits: Vec<CommitId>) -> Result<Vec<Vec<u8>>, ReadError> {
        self.ask(|reply| Message::Raw { commits, reply }).await
    }

    /// Those of `paths` that are executable files in `commit`.
    pub(crate) async fn executables(
        &self,
        commit: CommitId,
        paths: BTreeSet<RepoPath>,
    ) -> Result<BTreeSet<RepoPath>, ReadError> {
        self.ask(|reply| Message::Executables {
            commit,
            paths,
            reply,
        })
        .await
    }

    /// Makes commits on `push.parent` and moves the branch there, if it stands where it is expected.
    pub(crate) async fn push(&self, push: Push) -> Result<Pushed, PushError> {
        self.ask(|reply| Message::Push { push, reply }).await
    }

    /// Deletes `branch`, if it stands at `expected`.
    pub(crate) async fn delete(
        &self,
        branch: String,
        expected: CommitId,
    ) -> Result<Deleted, PushError> {
        self.ask(|reply| Message::Delete {
            branch,
            expected,
            reply,
        })
        .await
    }

    /// Ends the thread after the work at hand and gives the folder free.
    pub(crate) async fn close(self) {
        let Self { messages, thread } = self;
        drop(messages);
        // The thread is waited for where waiting is allowed; a panic there has been reported by then.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    async fn ask<T, E>(&self, message: impl FnOnce(Reply<T, E>) -> Message) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(message(reply))
            .expect("the mirror's thread lives as long as its handle");
        answer
            .await
            .expect("the mirror's thread answers each message")
    }
}

/// What tells a mirror from others that could stand in its folder. One with a part of the history is no whole one.
fn identity(remote: &Remote) -> String {
    match remote.depth {
        None => remote.url.to_string(),
        Some(depth) => format!("{} {depth}", remote.url),
    }
}

/// What the thread owns.
struct Worker {
    remote: Remote,
    client: Option<Client>,
    store: Store,
    repository: Repository,
    /// Objects that should be there could not be read: the next fetch makes the mirror anew.
    is_broken: bool,
    /// Of the branch that was asked about last.
    places: Option<Places>,
}

impl Worker {
    #[expect(clippy::too_many_lines, reason = "one arm for each message")]
    fn run(mut self, inbox: &Receiver<Message>) {
        // A caller that no longer waits is no failure: what was done stays done.
        for message in inbox {
            match message {
                Message::Fetch { wanted, reply } => {
                    let _ = reply.send(self.fetch(&wanted));
                }
                Message::Read {
                    commit,
                    paths,
                    reply,
                } => {
                    let entries = read(&self.repository, &commit, paths);
                    let _ = reply.send(entries.inspect_err(|error| self.note(error)));
                }
                Message::Folders {
                    commit,
                    parent,
                    reply,
                } => {
                    let folders = folders(&self.repository, &commit, &parent);
                    let _ = reply.send(folders.inspect_err(|error| self.note(error)));
                }
                Message::Below {
                    folder: (commit, folder),
                    most,
                    reply,
                } => {
                    let below = below(&self.repository, (&commit, &folder), most);
                    let _ = reply.send(below.inspect_err(|error| self.note(error)));
                }
                Message::Log {
                    range: (head, known),
                    limit,
                    reply,
                } => {
                    let history = log(&self.repository, (&head, known.as_ref()), limit);
                    let _ = reply.send(history.inspect_err(|error| self.note(error)));
                }
                Message::Range {
                    ends: (from, to),
                    limit,
                    reply,
                } => {
                    let range = range(&self.repository, (&from, &to), limit);
                    let _ = reply.send(range.inspect_err(|error| self.note(error)));
                }
                Message::Changes { commit, reply } => {
                    let changed = changes(&self.repository, &commit);
                    let _ = reply.send(changed.inspect_err(|error| match error {
                        ChangesError::Read(error) => self.note(error),
                        ChangesError::TooMany { .. }
                        | ChangesError::TooLarge { .. }
                        | ChangesError::Cut { .. }
                        | ChangesError::Path { .. } => {}
                    }));
                }
                Message::Places {
                    head,
                    commits,
                    reply,
                } => {
                    let places = self.places(&head, commits);
                    let _ = reply.send(places.inspect_err(|error| self.note(error)));
                }
                Message::Raw { commits, reply } => {
                    let raw = raw(&self.repository, &commits);
                    let _ = reply.send(raw.inspect_err(|error| self.note(error)));
                }
                Message::Executables {
                    commit,
                    paths,
                    reply,
                } => {
                    let found = executables(&self.repository, &commit, paths);
                    let _ = reply.send(found.inspect_err(|error| self.note(error)));
                }
                Message::Push { push, reply } => {
                    let _ = reply.send(self.push(&push));
                }
                Message::Delete {
                    branch,
                    expected,
                    reply,
                } => {
                    let at = (&self.remote, self.client.as_ref());
                    let deleted = delete(&self.repository, at, (&branch, &expected));
                    let _ = reply.send(deleted);
                }
            }
        }
    }

    fn note(&mut self, error: &ReadError) {
        match error {
            ReadError::Broken { .. } => self.is_broken = true,
            ReadError::UnknownCommit { .. } => {}
        }
    }

    fn fetch(&mut self, wanted: &Wanted) -> Result<BTreeMap<String, Head>, FetchError> {
        let fetched = self.fetch_or_renew(wanted);
        let outcome = match &fetched {
            Ok(fetched) if fetched.brought => "new",
            Ok(_) => "unchanged",
            Err(_) => "failed",
        };
        metrics::FETCHES
            .with_label_values(&[self.remote.name.as_str(), outcome])
            .inc();
        Ok(fetched?.heads)
    }

    /// Fetches; a mirror that cannot take it is thrown away and made anew, once.
    fn fetch_or_renew(&mut self, wanted: &Wanted) -> Result<Fetched, FetchError> {
        self.join_packs();
        if !self.is_broken {
            match self.fetch_into(&self.repository, wanted) {
                Err(FetchError::Mirror { source, .. }) => {
                    tracing::warn!(repository = self.remote.name, error = %source, "the mirror is broken and is made anew");
                }
                fetched => return fetched,
            }
        }
        self.repository = self.renewed()?;
        self.is_broken = false;
        self.fetch_into(&self.repository, wanted)
    }

    /// Joins the packs of a mirror that has many; one that cannot be read for that is as good as broken.
    fn join_packs(&mut self) {
        let reopen = || Repository::open_bare(self.repository.path());
        let joined = join_packs(&self.repository).and_then(|packs| match packs {
            Packs::Few => Ok(None),
            Packs::Joined => match reopen() {
                Ok(repository) => Ok(Some(repository)),
                Err(source) => Err(JoinError::Reopen { source }),
            },
        });
        match joined {
            Ok(None) => {}
            Ok(Some(repository)) => self.repository = repository,
            Err(error) => {
                tracing::warn!(repository = self.remote.name, %error, "the mirror is broken and is made anew");
                self.is_broken = true;
            }
        }
    }

    fn fetch_into(&self, mirror: &Repository, wanted: &Wanted) -> Result<Fetched, FetchError> {
        fetch(mirror, (&self.remote, self.client.as_ref()), wanted)
    }

    fn renewed(&self) -> Result<Repository, FetchError> {
        self.store.renew().map_err(|source| FetchError::Renew {
            url: self.remote.url.clone(),
            source,
        })
    }

    fn places(
        &mut self,
        head: &CommitId,
        commits: BTreeSet<String>,
    ) -> Result<BTreeMap<String, NamedCommit>, ReadError> {
        let places = match self.places.take() {
            Some(places) if places.head == *head => places,
            before => Places::of(&self.repository, head, before)?,
        };
        let found = commits.into_iter().map(|name| {
            let named = places.find(&name);
            (name, named)
        });
        let found = found.collect();
        self.places = Some(places);
        Ok(found)
    }

    fn push(&mut self, wanted: &Push) -> Result<Pushed, PushError> {
        let pushed = push(
            &self.repository,
            (&self.remote, self.client.as_ref()),
            wanted,
        );
        let outcome = match &pushed {
            Ok(Pushed::Done { .. }) => "done",
            Ok(Pushed::Moved { .. }) => "moved",
            Err(PushError::Rejected { .. }) => "rejected",
            Err(PushError::Base(error)) => {
                self.note(error);
                "failed"
            }
            Err(
                PushError::BranchName { .. }
                | PushError::Sign(_)
                | PushError::NotAFile { .. }
                | PushError::Altered { .. }
                | PushError::Unsigned
                | PushError::Remote { .. },
            ) => "failed",
        };
        metrics::PUSHES
            .with_label_values(&[self.remote.name.as_str(), outcome])
            .inc();
        pushed
    }
}
