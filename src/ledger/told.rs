//! The history of a branch in the order in which its commits came to stand there.
//!
//! A promotion that came by a pull request was made when it was proposed and counts from when it was merged, so its time is
//! that of the merge. Not here: what messages say (`promotion`, `hold`).
//! Invariant: what a branch's own line held first comes first, whatever the clocks of those who committed said.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::message;
use crate::manifest::CommitId;

/// A commit as the ledger reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: CommitId,
    /// The commit before it on the branch first, then what it merges.
    pub(crate) parents: Vec<CommitId>,
    /// When it was committed.
    pub(crate) time: Timestamp,
    /// The name of its author.
    pub(crate) author: String,
    /// The name of its committer.
    pub(crate) committer: String,
    pub(crate) message: String,
}

/// A commit, and how it came to stand on the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    pub(crate) commit: &'a Commit,
    /// What brought it, where it was made elsewhere.
    pub(crate) merge: Option<&'a Commit>,
}

impl Told<'_> {
    /// When it came to stand on the branch.
    pub(crate) fn at(self) -> Timestamp {
        self.merge.unwrap_or(self.commit).time
    }

    /// The number of the pull request that brought it, where a message tells.
    pub(crate) fn pull_request(self) -> Option<u64> {
        let merge = self
            .merge
            .and_then(|merge| message::pull_request(&merge.message));
        merge.or_else(|| message::pull_request(&self.commit.message))
    }

    /// Who approved it, where a message tells.
    pub(crate) fn approvers(self) -> Vec<String> {
        let merge = self.merge.map(|merge| message::approvers(&merge.message));
        let mut names = merge.unwrap_or_default();
        names.extend(message::approvers(&self.commit.message));
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// `commits` of `branch`, newest first as git logs them, in the order in which they came to stand there, oldest first.
pub(crate) fn told<'a>(branch: &str, commits: &'a [Commit]) -> Vec<Told<'a>> {
    let places: BTreeMap<&CommitId, usize> = commits
        .iter()
        .enumerate()
        .map(|(place, commit)| (&commit.id, place))
        .collect();
    let known = |id: &CommitId| places.get(id).copied();
    let mut line = Vec::new();
    let mut next = (!commits.is_empty()).then_some(0);
    while let Some(place) = next {
        line.push(place);
        let commit = &commits[place];
        next = own_parent(branch, commit).and_then(known);
    }
    let mut seen: BTreeSet<usize> = line.iter().copied().collect();
    let mut all = Vec::with_capacity(commits.len());
    for place in line.into_iter().rev() {
        let on_line = &commits[place];
        // The later a commit, the lower its place; a parent is never met before what was made on it.
        let mut brought = Vec::new();
        let mut open: Vec<usize> = on_line.parents.iter().filter_map(known).collect();
        while let Some(place) = open.pop() {
            if seen.insert(place) {
                brought.push(place);
                open.extend(commits[place].parents.iter().filter_map(known));
            }
        }
        brought.sort_unstable_by(|a, b| b.cmp(a));
        all.extend(brought.into_iter().map(|place| Told {
            commit: &commits[place],
            merge: Some(on_line),
        }));
        all.push(Told {
            commit: on_line,
            merge: None,
        });
    }
    all
}

/// The parent that was on the branch before. Whoever pulls the branch before he pushes makes a merge whose first parent is
/// his own line: git names what such a merge brought, and that is the branch.
fn own_parent<'a>(branch: &str, commit: &'a Commit) -> Option<&'a CommitId> {
    let subject = message::subject(&commit.message);
    let merged = subject
        .strip_prefix("Merge branch '")
        .or_else(|| subject.strip_prefix("Merge remote-tracking branch 'origin/"));
    let merged = merged.and_then(|rest| rest.split('\'').next());
    match &commit.parents[..] {
        [_, branch_before] if merged == Some(branch) => Some(branch_before),
        [first, ..] => Some(first),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Commit, told};

    /// Commits as `id parents time subject`, newest first.
    fn commits(lines: &[(u8, &[u8], i64, &str)]) -> Vec<Commit> {
        let id = |n: &u8| format!("{n:02x}").repeat(20).parse().unwrap();
        let commit = |(n, parents, time, message): &(u8, &[u8], i64, &str)| Commit {
            id: id(n),
            parents: parents.iter().map(id).collect(),
            time: jiff::Timestamp::from_second(*time).unwrap(),
            author: "a".to_owned(),
            committer: "a".to_owned(),
            message: (*message).to_owned(),
        };
        lines.iter().map(commit).collect()
    }

    fn order(commits: &[Commit]) -> String {
        let told = told("main", commits);
        let one = |told: &super::Told<'_>| {
            let by = told
                .merge
                .map(|merge| format!(" by {}", &merge.id.as_str()[..2]));
            let id = &told.commit.id.as_str()[..2];
            format!("{id}@{}{}", told.at().as_second(), by.unwrap_or_default())
        };
        told.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_a_merge_brought_counts_from_the_merge() {
        // 2 was proposed before 3 was pushed, and merged after it.
        let history = commits(&[
            (4, &[3, 2], 40, "Merge pull request #1 from a/b"),
            (3, &[1], 30, "direct"),
            (2, &[1], 20, "proposed"),
            (1, &[], 10, "root"),
        ]);
        assert_eq!(order(&history), "01@10, 03@30, 02@40 by 04, 04@40");
    }

    #[test]
    fn whoever_pulled_before_he_pushed_brought_nothing_that_was_there() {
        let history = commits(&[
            (
                4,
                &[3, 2],
                40,
                "Merge branch 'main' of https://git.example.com/acme/deploy",
            ),
            (3, &[1], 30, "his own"),
            (2, &[1], 20, "pushed meanwhile"),
            (1, &[], 10, "root"),
        ]);
        assert_eq!(order(&history), "01@10, 02@20, 03@40 by 04, 04@40");
    }

    #[test]
    fn a_proposal_that_was_pulled_by_hand_counts_from_then() {
        let subject =
            "Merge branch 'towpath/production/portal' of https://git.example.com/acme/deploy";
        let history = commits(&[
            (3, &[1, 2], 40, subject),
            (2, &[1], 20, "proposed"),
            (1, &[], 10, "root"),
        ]);
        assert_eq!(order(&history), "01@10, 02@40 by 03, 03@40");
    }

    #[test]
    fn a_part_of_the_history_is_told_like_the_whole() {
        let history = commits(&[
            (5, &[4, 3], 50, "Merge pull request #2 from a/c"),
            (4, &[2], 40, "direct"),
            (3, &[1], 15, "proposed"),
        ]);
        assert_eq!(order(&history), "04@40, 03@50 by 05, 05@50");
        assert_eq!(order(&[]), "");
    }
}
