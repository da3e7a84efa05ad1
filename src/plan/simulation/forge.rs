//! Pull requests: what the daemon makes of them, and what people do with them.

use std::sync::Arc;

use super::branch::Brought;
use super::shape::Place;
use super::text::{self, Build};
use super::town::{COMMITTER, Town};
use crate::ledger::Commit;
use crate::manifest::{CommitId, RepoPath};
use crate::plan::request::RequestText;
use crate::plan::{ProposalChange, Rebuild, RequestChange};
use crate::world::{File, Proposal, PullRequest, RequestState};

impl Town {
    /// Carries a proposal out, step by step. Gives whether the daemon lives on.
    pub(super) fn propose(&mut self, change: ProposalChange) -> bool {
        let branch = change.head.branch;
        if let Some(rebuild) = change.rebuild {
            if self.fails() {
                return false;
            }
            self.rebuild(&branch, rebuild);
        }
        if self.fails() {
            return false;
        }
        self.ask(&branch, change.request);
        if self.fails() {
            return false;
        }
        let tip = self.proposals.get(&branch).map(|proposal| &proposal.tip);
        if tip.is_some() && tip == change.drop.as_ref() {
            self.proposals.remove(&branch);
        }
        true
    }

    fn rebuild(&mut self, branch: &str, rebuild: Rebuild) {
        let standing = self.proposals.get(branch);
        let standing = standing.map(|proposal| proposal.tip.clone());
        assert_eq!(standing, rebuild.expected);
        assert!(self.branch.are_holds_read(), "nobody knows what is held");
        let (policy, stop, moved) = self.moved(&rebuild.commit);
        self.assert_together((policy, stop), &rebuild.commit);
        for (image, _, build) in moved {
            let place = Place {
                policy,
                stop,
                image,
            };
            self.record
                .assert_may_come(place, build, self.moment(place, build));
            self.tell(|| format!("towpath pushes {build} to {branch}"));
        }
        let tip = self.branch.new_id();
        let files = rebuild.commit.files.into_iter();
        let files = files.map(|(path, file)| (path, File::Text(file.after)));
        let proposal = Proposal {
            tip: tip.clone(),
            parents: vec![rebuild.parent],
            committer: COMMITTER.to_owned(),
            message: rebuild.commit.message,
            files: files.collect(),
        };
        self.proposals.insert(branch.to_owned(), Arc::new(proposal));
        for request in self.requests.get_mut(branch).into_iter().flatten() {
            if request.state == RequestState::Open {
                request.head = Some(tip.clone());
            }
        }
    }

    fn ask(&mut self, branch: &str, request: RequestChange) {
        let now = self.now;
        let proposal = self.proposals.get(branch).cloned();
        let brought = proposal.as_ref().map(|proposal| self.brought(proposal));
        let head = proposal.map(|proposal| proposal.tip.clone());
        let all = self.requests.entry(branch.to_owned()).or_default();
        let is_open = |request: &PullRequest| request.state == RequestState::Open;
        let of_number = |number: u64| move |request: &&mut PullRequest| request.number == number;
        match request {
            RequestChange::Keep => {}
            RequestChange::Open { text, .. } => {
                assert!(
                    !all.iter().any(is_open),
                    "a second pull request for `{branch}`"
                );
                let RequestText { title, body, .. } = text;
                self.numbers += 1;
                all.push(PullRequest {
                    number: self.numbers,
                    url: format!("https://forge.example.com/{}", self.numbers),
                    head,
                    base: "main".to_owned(),
                    title,
                    body,
                    state: RequestState::Open,
                    approvals: None,
                });
                self.told
                    .extend(brought.map(|brought| (self.numbers, brought)));
                self.tell(|| format!("towpath opens #{}", self.numbers));
            }
            RequestChange::Update { number, text, .. } => {
                let request = all.iter_mut().find(of_number(number)).unwrap();
                request.title = text.title;
                request.body = text.body;
                self.told.extend(brought.map(|brought| (number, brought)));
                self.tell(|| format!("towpath writes #{number}"));
            }
            RequestChange::Wish { number, .. } => panic!("nothing is wished of #{number}"),
            RequestChange::Close { number, body, .. } => {
                let request = all.iter_mut().find(of_number(number)).unwrap();
                request.body = body;
                let by = Some("towpath".to_owned());
                request.state = RequestState::Closed { at: now, by };
                self.tell(|| format!("towpath closes #{number}"));
            }
        }
    }

    /// What a proposal would bring, told by its file and the one that it was made on.
    fn brought(&self, proposal: &Proposal) -> Vec<(Place, Build)> {
        let (path, after) = file_of(proposal);
        let before = &self.branch.tree(&proposal.parents[0])[path];
        let (policy, stop) = self.environment(path.as_str());
        let builds = text::builds(before).into_iter().zip(text::builds(after));
        let moved = builds
            .enumerate()
            .filter(|(_, (before, after))| before != after);
        let place = |image| Place {
            policy,
            stop,
            image,
        };
        moved
            .map(|(image, (_, after))| (place(image), after))
            .collect()
    }

    /// The branches that have an open pull request.
    pub(super) fn open_branches(&self) -> Vec<String> {
        let is_open = |request: &PullRequest| request.state == RequestState::Open;
        let open = self
            .requests
            .iter()
            .filter(|(_, all)| all.iter().any(is_open));
        open.map(|(branch, _)| branch.clone()).collect()
    }

    fn open_request(&mut self, branch: &str) -> &mut PullRequest {
        let mut all = self.requests.get_mut(branch).unwrap().iter_mut();
        all.find(|request| request.state == RequestState::Open)
            .unwrap()
    }

    /// A person merges, if nothing else changed the file meanwhile.
    pub(super) fn merge(&mut self, branch: &str) {
        let Some(proposal) = self.proposals.get(branch).cloned() else {
            return;
        };
        let (path, after) = file_of(&proposal);
        let base = self.branch.tree(&proposal.parents[0]);
        let standing = self.branch.files[path].clone();
        if base.get(path) != Some(&standing) {
            return;
        }
        let brought = self.brought(&proposal);
        if brought
            .iter()
            .any(|(place, build)| !self.is_there(*place, *build))
        {
            return;
        }
        let (policy, stop) = self.environment(path.as_str());
        let now = self.now;
        let request = self.open_request(branch);
        let by = Some("ada".to_owned());
        request.state = RequestState::Merged { at: now, by };
        let number = request.number;
        let commit = self.merge_by(&proposal, (path, after), number);
        let befores = text::versions(&standing);
        let moved = brought.iter().map(|(place, _)| {
            let before = befores[place.image];
            (place.image, text::number(before), before.to_owned())
        });
        self.branch.brought.push(Brought {
            policy,
            stop,
            commit,
            moved: moved.collect(),
        });
        for (place, build) in brought {
            self.record.promoted(place, build, now);
            self.tell(|| format!("a person merges #{number} with {build}"));
        }
        if self.dice.happens(50) {
            self.proposals.remove(branch);
        }
    }

    /// The commit by which it stands on the branch then: a merge, a squash, or the proposal's own made anew.
    fn merge_by(
        &mut self,
        proposal: &Proposal,
        (path, after): (&RepoPath, &Arc<str>),
        number: u64,
    ) -> CommitId {
        let message = &proposal.message;
        let (subject, rest) = message.split_once('\n').unwrap();
        let message = match self.dice.below(3) {
            0 => {
                let commit = Commit {
                    id: proposal.tip.clone(),
                    parents: proposal.parents.clone(),
                    time: self.now,
                    author: "towpath".to_owned(),
                    committer: "towpath".to_owned(),
                    message: message.clone(),
                };
                let message = format!("Merge pull request #{number} from acme/x\n\npromote\n");
                let file = (path.clone(), after.clone());
                return self.branch.merge(commit, file, &message);
            }
            1 => format!("{subject} (#{number})\n{rest}"),
            _ => message.clone(),
        };
        self.branch.files.insert(path.clone(), after.clone());
        self.branch.commit("ada", &message, self.now)
    }

    pub(super) fn close(&mut self, branch: &str) {
        let now = self.now;
        let request = self.open_request(branch);
        let by = Some("ada".to_owned());
        request.state = RequestState::Closed { at: now, by };
        let number = request.number;
        let told = self.told.get(&number).cloned().unwrap_or_default();
        self.tell(|| format!("a person closes #{number} with {told:?}"));
        for (place, build) in told {
            self.record.of(place).closed.insert(build);
        }
    }

    pub(super) fn delete_branch(&mut self, branch: &str) {
        self.proposals.remove(branch);
        self.tell(|| format!("a person deletes {branch}"));
    }
}

/// The one file that a proposal changes.
fn file_of(proposal: &Proposal) -> (&RepoPath, &Arc<str>) {
    let mut files = proposal.files.iter();
    match (files.next(), files.next()) {
        (Some((path, File::Text(text))), None) => (path, text),
        other => panic!("{other:?}"),
    }
}
