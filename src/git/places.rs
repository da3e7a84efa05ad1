//! Where commits stand on a branch: the order in which the branch came to hold them.
//!
//! The branch's own line are the first parents of its head, from the root on. A commit's place is the number of the first
//! commit of that line which holds it, and then the length of the longest way from it to a root. So a commit stands after all that it
//! was made on, and a place stays what it is for as long as the branch only grows.

use std::collections::{BTreeMap, HashMap};

use git2::{Oid, Repository, Sort};

use super::oid;
use super::read::ReadError;
use crate::manifest::{CommitId, CommitPlace, NamedCommit};

/// Digits of a whole name.
const DIGITS: usize = 40;

/// Commits that one handle of the mirror reads: 10 MB of them.
const READ_BY_ONE_HANDLE: usize = 10_000;

/// The places of all commits of a branch, 28 bytes each and the tree's own: 60 MB for a million.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) head: CommitId,
    /// Commits of the branch's own line.
    length: u32,
    places: BTreeMap<Oid, CommitPlace>,
}

impl Places {
    /// The places of the branch that stands at `head`; those of `before` are kept if the branch has only grown since.
    pub(super) fn of(
        mirror: &Repository,
        head: &CommitId,
        before: Option<Self>,
    ) -> Result<Self, ReadError> {
        mirror
            .find_commit(oid(head))
            .map_err(|source| ReadError::new(head, source))?;
        let broken = |source| ReadError::Broken {
            commit: head.clone(),
            source,
        };
        let end = before.as_ref().map(|before| oid(&before.head));
        let (line, joins) = line(mirror, oid(head), end).map_err(broken)?;
        let mut places = match before.filter(|_| joins) {
            Some(before) => before,
            None => Self {
                head: head.clone(),
                length: 0,
                places: BTreeMap::new(),
            },
        };
        places.head = head.clone();
        places.grow(mirror, &line).map_err(broken)?;
        Ok(places)
    }

    /// What `name`, or all names that start with it, stand for on the branch.
    pub(super) fn find(&self, name: &str) -> NamedCommit {
        let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if name.is_empty() || !is_hex || name.len() > DIGITS {
            return NamedCommit::None;
        }
        let filled = |with: char| {
            let rest = std::iter::repeat_n(with, DIGITS - name.len());
            let digits: String = name.chars().chain(rest).collect();
            Oid::from_str(&digits).expect("40 hex digits name an object")
        };
        let named = self.places.range(filled('0')..=filled('f'));
        NamedCommit::of(named.map(|(_, place)| *place))
    }

    /// Takes in the commits of `line`, the older first, and all that they hold.
    fn grow(&mut self, mirror: &Repository, line: &[Oid]) -> Result<(), git2::Error> {
        let mut new = self.made(mirror, line)?;
        for id in line {
            self.length += 1;
            let mut waiting = vec![*id];
            while let Some(id) = waiting.pop() {
                // What is placed already was held by an earlier commit of the line, with all that it was made on.
                let Some(Made { depth, parents }) = new.remove(&id) else {
                    continue;
                };
                let line = self.length;
                self.places.insert(id, CommitPlace { line, depth });
                waiting.extend(parents);
            }
        }
        Ok(())
    }

    /// The commits that the last of `line` holds and that have no place yet.
    fn made(&self, mirror: &Repository, line: &[Oid]) -> Result<HashMap<Oid, Made>, git2::Error> {
        let mut made: HashMap<Oid, Made> = HashMap::new();
        let Some(head) = line.last() else {
            return Ok(made);
        };
        let mut parents = Parents::new(mirror)?;
        let handle = Repository::open_bare(mirror.path())?;
        let mut walk = handle.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(*head)?;
        if let Some(known) = line.first() {
            for parent in parents.of(*known)? {
                let is_placed = self.places.contains_key(&parent);
                if is_placed {
                    walk.hide(parent)?;
                }
            }
        }
        for id in walk {
            let id = id?;
            let parents = parents.of(id)?;
            let depth_of = |parent: &Oid| {
                let placed = || self.places.get(parent).map(|place| place.depth);
                made.get(parent).map(|made| made.depth).or_else(placed)
            };
            let depth = parents.iter().filter_map(depth_of).max().unwrap_or(0) + 1;
            made.insert(id, Made { depth, parents });
        }
        Ok(made)
    }
}

/// Reads the parents of commits. libgit2 keeps each object that it read, about 1 kB for a commit, as long as the handle
/// lives; so none lives long.
struct Parents<'a> {
    mirror: &'a Repository,
    handle: Repository,
    read: usize,
}

impl<'a> Parents<'a> {
    fn new(mirror: &'a Repository) -> Result<Self, git2::Error> {
        Ok(Self {
            mirror,
            handle: Repository::open_bare(mirror.path())?,
            read: 0,
        })
    }

    fn of(&mut self, id: Oid) -> Result<Vec<Oid>, git2::Error> {
        if self.read == READ_BY_ONE_HANDLE {
            *self = Self::new(self.mirror)?;
        }
        self.read += 1;
        Ok(self.handle.find_commit(id)?.parent_ids().collect())
    }
}

/// A commit without a place.
struct Made {
    depth: u32,
    parents: Vec<Oid>,
}

/// The first parents of `head`, the older first and `head` the last: up to `end`, without it, or all. Says whether it
/// ends there.
fn line(mirror: &Repository, head: Oid, end: Option<Oid>) -> Result<(Vec<Oid>, bool), git2::Error> {
    let mut parents = Parents::new(mirror)?;
    let mut line = Vec::new();
    let mut next = Some(head);
    while let Some(id) = next.filter(|id| Some(*id) != end) {
        line.push(id);
        next = parents.of(id)?.first().copied();
    }
    line.reverse();
    Ok((line, next.is_some()))
}
