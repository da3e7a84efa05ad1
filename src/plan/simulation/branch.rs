//! The branch of the manifests repository: its files, its commits, and what the daemon reads of both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::text::Build;
use crate::config;
use crate::ledger::{Commit, HOLDS_FILE, Hold, Ledger};
use crate::manifest::{CommitId, RepoPath};
use crate::world::{BranchFacts, Fact, File};

/// The files of one commit.
pub(super) type Tree = BTreeMap<RepoPath, Arc<str>>;

/// The branch.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    pub(super) files: Tree,
    pub(super) is_up: bool,
    /// Oldest first.
    commits: Vec<Commit>,
    /// The files at each commit.
    trees: BTreeMap<CommitId, Tree>,
    pub(super) brought: Vec<Brought>,
    /// The file with the holds, read; `None` where nobody can read it.
    holds: Option<Vec<Hold>>,
    /// What the commits tell that the daemon read, up to that one.
    ledger: (Ledger, usize),
    facts: Option<Arc<BranchFacts>>,
    ids: u64,
}

/// A commit of the branch that brought a promotion.
#[derive(Clone, Debug)]
pub(super) struct Brought {
    pub(super) policy: usize,
    pub(super) stop: usize,
    pub(super) commit: CommitId,
    /// Each image that moved, with the build and the text that stood there before.
    pub(super) moved: Vec<(usize, Build, String)>,
}

impl Branch {
    pub(super) fn new() -> Self {
        Self {
            is_up: true,
            holds: Some(Vec::new()),
            ..Self::default()
        }
    }

    pub(super) fn text(&self, path: &str) -> Arc<str> {
        self.files[&repo_path(path)].clone()
    }

    pub(super) fn set(&mut self, path: &str, text: &str) {
        self.files.insert(repo_path(path), text.into());
    }

    /// Writes the file with the holds; `None` writes what nobody can read.
    pub(super) fn set_holds(&mut self, text: Option<&str>) {
        self.set(HOLDS_FILE, text.unwrap_or("holds: ["));
        self.holds = text.map(|text| config::holds(Path::new(HOLDS_FILE), text).unwrap());
    }

    pub(super) fn are_holds_read(&self) -> bool {
        self.holds.is_some()
    }

    pub(super) fn head(&self) -> Option<&CommitId> {
        self.commits.last().map(|commit| &commit.id)
    }

    pub(super) fn new_id(&mut self) -> CommitId {
        self.ids += 1;
        format!("{:040x}", self.ids).parse().unwrap()
    }

    pub(super) fn tree(&self, id: &CommitId) -> &Tree {
        &self.trees[id]
    }

    /// A commit of the files as they are now, on the head.
    pub(super) fn commit(&mut self, who: &str, message: &str, time: Timestamp) -> CommitId {
        let parents = self.head().cloned().into_iter().collect();
        self.add(who, message, (time, parents))
    }

    /// A person merges `commit`, which brings `path` as `text` has it.
    pub(super) fn merge(
        &mut self,
        commit: Commit,
        (path, text): (RepoPath, Arc<str>),
        message: &str,
    ) -> CommitId {
        let time = commit.time;
        let parents = self.head().into_iter().chain([&commit.id]);
        let parents = parents.cloned().collect();
        self.commits.push(commit);
        self.files.insert(path, text);
        self.add("ada", message, (time, parents))
    }

    fn add(
        &mut self,
        who: &str,
        message: &str,
        (time, parents): (Timestamp, Vec<CommitId>),
    ) -> CommitId {
        let id = self.new_id();
        self.trees.insert(id.clone(), self.files.clone());
        self.commits.push(Commit {
            id: id.clone(),
            parents,
            time,
            author: who.to_owned(),
            committer: who.to_owned(),
            message: message.to_owned(),
        });
        id
    }

    /// What the daemon reads of it.
    pub(super) fn observe(&mut self) -> Fact<Arc<BranchFacts>> {
        if !self.is_up {
            return Fact::Unknown {
                why: "git is away".to_owned(),
            };
        }
        let (ledger, read) = &mut self.ledger;
        if let Some(facts) = self.facts.as_ref().filter(|_| *read == self.commits.len()) {
            return Fact::Known(facts.clone());
        }
        let newest_first: Vec<Commit> = self.commits[*read..].iter().rev().cloned().collect();
        ledger.read("main", &newest_first);
        *read = self.commits.len();
        let ledger = ledger.clone();
        let files = self.files.iter();
        let files = files.map(|(path, text)| (path.clone(), File::Text(text.clone())));
        let holds = match &self.holds {
            Some(holds) => Fact::Known(holds.clone()),
            None => Fact::Unknown {
                why: "it is no YAML".to_owned(),
            },
        };
        let facts = Arc::new(BranchFacts {
            head: self.head().cloned(),
            files: files.collect(),
            ledger,
            holds,
        });
        self.facts = Some(facts.clone());
        Fact::Known(facts)
    }

    /// The latest commit that brought a promotion to one environment.
    pub(super) fn latest(&self, policy: usize, stop: usize) -> Option<&Brought> {
        let is_here = |brought: &&Brought| (brought.policy, brought.stop) == (policy, stop);
        self.brought.iter().rfind(is_here)
    }
}

pub(super) fn repo_path(text: &str) -> RepoPath {
    text.parse().unwrap()
}
