//! What a fake forge knows: repositories with their pull requests, as every product has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::{git, git_at};

/// Seconds since 1970 at which the clock of a fake starts: 21 September 2026.
const START: i64 = 1_790_000_000;

/// Everything that a fake knows.
#[derive(Debug)]
pub struct State {
    pub repositories: BTreeMap<String, Repository>,
    /// Seconds since 1970. Each change takes one.
    pub clock: i64,
    /// The most that stands on a page, whatever is asked for.
    pub page_size_max: usize,
    /// Whom the forge knows; nobody else can be assigned or asked for a review.
    pub people: BTreeSet<String>,
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repository {
    pub id: u64,
    pub branches: Branches,
    pub pulls: BTreeMap<u64, Pull>,
    /// By commit and name.
    pub statuses: BTreeMap<(String, String), Status>,
    /// Labels that exist.
    pub labels: BTreeSet<String>,
    /// Titles of open milestones, the first is number 1.
    pub milestones: Vec<String>,
    /// Whether something is required before a merge, so that an automatic one has something to wait for.
    pub requires_checks: bool,
    /// Whether a check that is not required failed.
    pub has_failed: bool,
    /// Whether merges are made by rebasing, where that is for the repository to say.
    pub always_rebases: bool,
    pub signs: Signs,
    next: u64,
}

/// Where the branches are.
#[derive(Clone, Debug)]
pub enum Branches {
    /// By what the test says.
    Told(BTreeMap<String, String>),
    /// In a bare repository.
    Git(PathBuf),
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub head: String,
    /// The last commit of the branch while it was open.
    pub head_commit: String,
    pub base: String,
    pub title: String,
    pub body: String,
    pub is_draft: bool,
    pub is_from_fork: bool,
    pub end: End,
    pub labels: BTreeSet<String>,
    pub assignees: BTreeSet<String>,
    pub reviewers: BTreeSet<String>,
    pub milestone: Option<String>,
    pub comments: Vec<String>,
    pub reviews: Vec<Review>,
    /// How it is merged when what is required is there, if somebody asked for it.
    pub auto_merge: Option<String>,
    pub created: i64,
    pub updated: i64,
    /// Counts the changes, for products that want it with each.
    pub version: u64,
}

/// What became of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Open,
    Merged { commit: String, by: String, at: i64 },
    Closed { by: String, at: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub id: u64,
    pub by: String,
    pub word: Word,
    pub is_dismissed: bool,
    pub commit: String,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Approved,
    WantsChanges,
    Comment,
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// As the product calls it.
    pub state: String,
    pub why: String,
}

/// Which commits that a product makes it signs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// All: GitHub those of an App, GitLab where that is turned on.
    Everything,
    /// GitHub those of a user: only what is made on a branch, by GraphQL.
    OnBranches,
    Nothing,
}

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Merge,
    Squash,
    Rebase,
}

impl Default for State {
    fn default() -> Self {
        Self {
            repositories: BTreeMap::new(),
            clock: START,
            page_size_max: 100,
            people: BTreeSet::new(),
        }
    }
}

impl State {
    /// A new moment.
    pub fn tick(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    pub fn repository(&mut self, path: &str) -> &mut Repository {
        let id = 1 + self.repositories.len() as u64;
        self.repositories
            .entry(path.to_owned())
            .or_insert_with(|| Repository::new(id))
    }
}

impl Repository {
    fn new(id: u64) -> Self {
        Self {
            id,
            branches: Branches::Told(BTreeMap::new()),
            pulls: BTreeMap::new(),
            statuses: BTreeMap::new(),
            labels: BTreeSet::new(),
            milestones: Vec::new(),
            requires_checks: true,
            has_failed: false,
            always_rebases: false,
            signs: Signs::Everything,
            next: 0,
        }
    }

    /// A number that was not given before.
    pub fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The open pull request with this branch.
    pub fn open_with(&self, head: &str) -> Option<&Pull> {
        let mut pulls = self.pulls.values();
        pulls.find(|pull| pull.end == End::Open && pull.head == head && !pull.is_from_fork)
    }

    /// Opens a pull request, which the caller has checked.
    pub fn open(&mut self, now: i64, (head, base): (&str, &str)) -> &mut Pull {
        let number = self.new_number();
        let pull = Pull {
            number,
            head: head.to_owned(),
            head_commit: self.branches.head(head).unwrap_or_default(),
            base: base.to_owned(),
            title: String::new(),
            body: String::new(),
            is_draft: false,
            is_from_fork: false,
            end: End::Open,
            labels: BTreeSet::new(),
            assignees: BTreeSet::new(),
            reviewers: BTreeSet::new(),
            milestone: None,
            comments: Vec::new(),
            reviews: Vec::new(),
            auto_merge: None,
            created: now,
            updated: now,
            version: 0,
        };
        self.pulls.entry(number).or_insert(pull)
    }

    /// Takes in where the branches of open pull requests are now.
    pub fn look(&mut self) {
        for pull in self.pulls.values_mut() {
            let head = match pull.end {
                End::Open => self.branches.head(&pull.head),
                End::Merged { .. } | End::Closed { .. } => None,
            };
            if let Some(head) = head.filter(|_| !pull.is_from_fork) {
                pull.head_commit = head;
            }
        }
    }

    /// Keeps what stands on the branches of pull requests now, whatever is pushed later.
    pub fn freeze(&mut self) {
        self.look();
        let pulls = self.pulls.values();
        let heads = pulls.map(|pull| (pull.head.clone(), pull.head_commit.clone()));
        self.branches = Branches::Told(heads.collect());
    }

    /// Merges and gives the commit of the base that has it; `None` where it does not merge.
    pub fn merge(&mut self, number: u64, way: Way, (by, at): (&str, i64)) -> Option<String> {
        self.look();
        let pull = self.pulls.get_mut(&number)?;
        if pull.end != End::Open {
            return None;
        }
        let commit = self.branches.merge(pull, way, at)?;
        pull.end = End::Merged {
            commit: commit.clone(),
            by: by.to_owned(),
            at,
        };
        pull.updated = at;
        Some(commit)
    }
}

impl Pull {
    /// The approvals that stand: the last word of each person that is more than a comment, if it is one.
    pub fn approvals(&self) -> Vec<&Review> {
        let mut words: BTreeMap<&str, &Review> = BTreeMap::new();
        let heard = self
            .reviews
            .iter()
            .filter(|review| review.word != Word::Comment);
        words.extend(heard.map(|review| (&*review.by, review)));
        let is_approval = |review: &&Review| review.word == Word::Approved && !review.is_dismissed;
        words.into_values().filter(is_approval).collect()
    }
}

impl Branches {
    /// The commit at which a branch stands.
    pub fn head(&self, branch: &str) -> Option<String> {
        match self {
            Self::Told(heads) => heads.get(branch).cloned(),
            Self::Git(folder) => {
                let name = format!("refs/heads/{branch}");
                let found = git(folder, &["for-each-ref", "--format=%(objectname)", &name]);
                Some(found.trim().to_owned()).filter(|found| !found.is_empty())
            }
        }
    }

    fn merge(&mut self, pull: &Pull, way: Way, at: i64) -> Option<String> {
        match self {
            Self::Told(heads) => {
                heads.get(&pull.head)?;
                // No commit in truth, and one of its own for each.
                let commit = format!("{:040x}", 0xabcd_0000_0000 + pull.number);
                heads.insert(pull.base.clone(), commit.clone());
                Some(commit)
            }
            Self::Git(folder) => Some(merged(folder, (pull, at), way)),
        }
    }
}

/// Merges in a bare repository, as forges do. What conflicts fails the test.
fn merged(folder: &Path, (pull, at): (&Pull, i64), way: Way) -> String {
    let run = |words: &[&str]| {
        let who = [
            "-c",
            "user.name=Forge",
            "-c",
            "user.email=forge@example.com",
        ];
        git_at(folder, at, &[&who, words].concat())
            .trim()
            .to_owned()
    };
    let base = run(&["rev-parse", &format!("refs/heads/{}", pull.base)]);
    let head = run(&["rev-parse", &format!("refs/heads/{}", pull.head)]);
    let tree = run(&["merge-tree", "--write-tree", &base, &head]);
    let Pull {
        number,
        title,
        body,
        ..
    } = pull;
    let commit = match way {
        Way::Merge => {
            let message = format!("Merge pull request #{number} from {}\n\n{title}", pull.head);
            run(&[
                "commit-tree",
                &tree,
                "-p",
                &base,
                "-p",
                &head,
                "-m",
                &message,
            ])
        }
        Way::Squash => {
            let message = format!("{title} (#{number})\n\n{body}");
            run(&["commit-tree", &tree, "-p", &base, "-m", &message])
        }
        Way::Rebase => {
            let message = run(&["log", "-1", "--format=%B", &head]);
            run(&["commit-tree", &tree, "-p", &base, "-m", &message])
        }
    };
    let name = format!("refs/heads/{}", pull.base);
    run(&["update-ref", &name, &commit, &base]);
    commit
}
