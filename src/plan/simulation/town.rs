//! A town with one application: its registry, its manifests repository, its forge and its clock, all in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Weekday;
use jiff::{SignedDuration, Timestamp};

use super::Telling;
use super::people::Dice;
use super::record::{Record, Terms};
use crate::config;
use crate::image::{Digest, Repository, Tag};
use crate::ledger::{Commit, HOLDS_FILE, Hold, Ledger};
use crate::manifest::{CommitId, RepoPath};
use crate::plan::request::RequestText;
use crate::plan::{
    Dialect, HidesBy, Origins, Plan, PlannedCommit, ProposalChange, RequestChange, Scope,
};
use crate::policy::{Policy, PolicyName, RepositoryName, SubjectTemplate};
use crate::world::{
    BranchFacts, BranchName, Description, Fact, File, ImageFacts, Labels, Listing, Proposal,
    PullRequest, PullRequests, Question, RepositoryAddress, RequestState, TagDetails, World,
};

pub(super) const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];

const COMMITTER: &str = "towpath <towpath@localhost>";

const SOAKS: [SignedDuration; 3] = [
    SignedDuration::ZERO,
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(24),
];

/// How production is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Commit,
    PullRequest,
}

/// How a person merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MergeWay {
    Merge,
    Squash,
    Rebase,
}

/// All that there is.
pub(super) struct Town {
    pub(super) dice: Dice,
    pub(super) way: Way,
    pub(super) now: Timestamp,
    pub(super) record: Record,
    telling: Telling,
    pub(super) is_registry_up: bool,
    pub(super) is_calm: bool,
    /// What the daemon asked; lost when it starts anew.
    pub(super) asked: BTreeMap<Tag, Digest>,
    /// Every build with the time of its push; those that were deleted are gone.
    builds: BTreeMap<u64, Timestamp>,
    policy: Policy,
    branches: BTreeMap<RepositoryName, String>,
    forges: BTreeMap<RepositoryName, Dialect>,
    subject: SubjectTemplate,
    origins: Origins,
    addresses: BTreeMap<RepositoryName, RepositoryAddress>,
    files: BTreeMap<RepoPath, Arc<str>>,
    /// Oldest first.
    commits: Vec<Commit>,
    /// What they tell, as far as it was read: up to that commit.
    ledger: (Ledger, usize),
    /// The files at each commit.
    trees: BTreeMap<CommitId, BTreeMap<RepoPath, Arc<str>>>,
    /// The commits of the branch that brought promotions: the environment, and what stood there before.
    promotions: Vec<(&'static str, CommitId, u64)>,
    proposals: BTreeMap<String, Arc<Proposal>>,
    requests: PullRequests,
    /// What the body of each pull request says that it brings.
    told: BTreeMap<u64, u64>,
    ids: u64,
    /// The file with the holds, read.
    holds: Vec<Hold>,
    world: World,
}

impl Town {
    pub(super) fn new(seed: u64, telling: Telling) -> Self {
        let mut dice = Dice(seed);
        let way = dice.one_of(&[Way::Commit, Way::PullRequest]);
        let repository: RepositoryName = "deploy".parse().unwrap();
        let mut town = Self {
            dice,
            way,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
            record: Record::default(),
            telling,
            is_registry_up: true,
            is_calm: false,
            asked: BTreeMap::new(),
            builds: BTreeMap::new(),
            policy: policy(way),
            branches: [(repository.clone(), "main".to_owned())].into(),
            forges: [(repository, dialect())].into(),
            subject: SubjectTemplate::default(),
            origins: Origins::default(),
            addresses: BTreeMap::new(),
            files: BTreeMap::new(),
            commits: Vec::new(),
            ledger: (Ledger::default(), 0),
            trees: BTreeMap::new(),
            promotions: Vec::new(),
            proposals: BTreeMap::new(),
            requests: PullRequests::new(),
            told: BTreeMap::new(),
            ids: 0,
            holds: Vec::new(),
            world: World::default(),
        };
        town.push();
        for environment in ENVIRONMENTS {
            town.write(environment, 1, "begin");
        }
        town
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.telling == Telling::Told {
            let told = format!("{} {}\n", self.now, what());
            std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
        }
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            policies: std::slice::from_ref(&self.policy),
            branches: &self.branches,
            subject: &self.subject,
            forges: &self.forges,
            committer: COMMITTER,
            origins: &self.origins,
            addresses: &self.addresses,
            renders: false,
            is_sealed: false,
        }
    }

    pub(super) fn policy_name(&self) -> PolicyName {
        self.policy.name.clone()
    }

    /// A new build is in the registry.
    pub(super) fn push(&mut self) {
        let build = self
            .builds
            .keys()
            .next_back()
            .map_or(1, |newest| newest + 1);
        self.builds.insert(build, self.now);
        self.tell(|| format!("build {build} is pushed"));
    }

    /// One of the builds that are there.
    pub(super) fn some_build(&mut self) -> Option<u64> {
        let place = self.dice.below(self.builds.len() as u64);
        self.builds
            .keys()
            .nth(usize::try_from(place).ok()?)
            .copied()
    }

    /// The tag that stands there.
    pub(super) fn stands(&mut self, environment: &'static str) -> String {
        tag(self.record.of(environment).current).to_string()
    }

    pub(super) fn is_there(&self, build: u64) -> bool {
        self.builds.contains_key(&build)
    }

    /// Deletes builds that are older than all that stand somewhere.
    pub(super) fn delete_old_tags(&mut self) {
        let needed = self
            .record
            .environments
            .values()
            .map(|ran| ran.current)
            .min();
        self.builds.retain(|build, _| Some(*build) >= needed);
    }

    /// What the daemon read last.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The daemon reads everything.
    pub(super) fn observe(&mut self) {
        self.observe_registry();
        self.observe_branch();
        self.observe_forge();
    }

    fn observe_registry(&mut self) {
        let tags = self.builds.iter().map(|(build, at)| (tag(*build), *at));
        let listing = match self.is_registry_up {
            true => Fact::Known(Arc::new(Listing {
                at: self.now,
                tags: tags.collect(),
                shrunk: None,
                pushes: None,
            })),
            false => Fact::Unknown {
                why: "the registry is away".to_owned(),
            },
        };
        let details = self.asked.iter().map(|(tag, digest)| {
            let digest = Some(Fact::Known(digest.clone()));
            let details = TagDetails {
                digest,
                created: None,
            };
            (tag.clone(), details)
        });
        let described = self.builds.keys().map(|build| {
            let description = Description {
                created: None,
                platforms: Vec::new(),
                labels: Labels::default(),
            };
            (digest(*build), Fact::Known(description))
        });
        let facts = ImageFacts {
            listing,
            tags: Arc::new(details.collect()),
            described: Arc::new(described.collect()),
            vouched: Arc::default(),
        };
        self.world.images.insert(repository(), facts);
    }

    /// Reads what was committed since it was last read.
    fn observe_branch(&mut self) {
        let name = self.named("main");
        let (ledger, read) = &mut self.ledger;
        if *read == self.commits.len() {
            return;
        }
        let newest_first: Vec<Commit> = self.commits[*read..].iter().rev().cloned().collect();
        ledger.read("main", &newest_first);
        *read = self.commits.len();
        let ledger = ledger.clone();
        let files = self.files.iter();
        let files = files.map(|(path, text)| (path.clone(), File::Text(text.clone())));
        let facts = BranchFacts {
            head: self.head(),
            files: files.collect(),
            ledger,
            holds: Fact::Known(self.holds.clone()),
        };
        let facts = Fact::Known(Arc::new(facts));
        self.world.branches.insert(name, facts);
    }

    fn observe_forge(&mut self) {
        let proposals = self.proposals.iter();
        let proposals =
            proposals.map(|(branch, proposal)| (self.named(branch), Fact::Known(proposal.clone())));
        self.world.proposals = proposals.collect();
        let requests = Fact::Known(Arc::new(self.requests.clone()));
        let repository = self.policy.repository.clone();
        self.world.requests.insert(repository, requests);
    }

    fn named(&self, branch: &str) -> BranchName {
        BranchName {
            repository: self.policy.repository.clone(),
            branch: branch.to_owned(),
        }
    }

    pub(super) fn answer(&mut self, questions: &BTreeSet<Question>) {
        for question in questions {
            match question {
                Question::Digest { tag: asked, .. } => {
                    let build = number(asked.as_str());
                    self.asked.insert(asked.clone(), digest(build));
                }
                Question::Created { .. }
                | Question::Description { .. }
                | Question::Vouched { .. }
                | Question::Commit { .. }
                | Question::Ancestry(_)
                | Question::Range(_)
                | Question::Rendered { .. }
                | Question::Check(_) => {
                    panic!("nothing here needs {question:?}")
                }
            }
        }
        self.observe_registry();
    }

    fn head(&self) -> Option<CommitId> {
        self.commits.last().map(|commit| commit.id.clone())
    }

    fn new_id(&mut self) -> CommitId {
        self.ids += 1;
        format!("{:040x}", self.ids).parse().unwrap()
    }

    /// Somebody's commit that writes `build` in `environment`.
    pub(super) fn write(&mut self, environment: &'static str, build: u64, message: &str) {
        self.files.insert(site(environment), values(build));
        let parents = self.head().into_iter().collect();
        self.commit("ada", message, parents);
        self.record.stands(environment, build, self.now);
    }

    /// Writes the file with the holds as the record has them.
    pub(super) fn write_holds(&mut self, message: &str) {
        let mut text = String::from("holds:\n");
        for (environment, ran) in &self.record.environments {
            let mut line = |what: String| {
                writeln!(
                    text,
                    "  - {{ policy: api, environment: {environment}, {what}, reason: so }}"
                )
                .unwrap();
            };
            if let Some(build) = ran.pin {
                line(format!("pin: {}", tag(build)));
            }
            for build in &ran.rejected {
                line(format!("reject: [{}]", tag(*build)));
            }
            if ran.is_stopped {
                line("stop: true".to_owned());
            }
        }
        if text == "holds:\n" {
            text = "holds: []\n".to_owned();
        }
        self.holds = config::holds(Path::new(HOLDS_FILE), &text).unwrap();
        self.files.insert(path(HOLDS_FILE), text.into());
        let parents = self.head().into_iter().collect();
        self.commit("ada", message, parents);
    }

    fn commit(&mut self, who: &str, message: &str, parents: Vec<CommitId>) -> CommitId {
        let id = self.new_id();
        self.commits.push(Commit {
            id: id.clone(),
            parents,
            time: self.now,
            author: who.to_owned(),
            committer: who.to_owned(),
            message: message.to_owned(),
        });
        self.trees.insert(id.clone(), self.files.clone());
        id
    }

    pub(super) fn latest_promotion(&self, environment: &str) -> Option<(CommitId, u64)> {
        let mut promotions = self.promotions.iter().rev();
        let latest = promotions.find(|(of, ..)| *of == environment)?;
        Some((latest.1.clone(), latest.2))
    }

    /// Carries a plan out, or dies on the way.
    pub(super) fn apply(&mut self, plan: Plan) {
        for change in plan.changes {
            if self.fails() {
                return;
            }
            assert_eq!(Some(&change.base), self.head().as_ref());
            for commit in change.commits {
                self.deliver(&commit);
            }
        }
        for change in plan.proposals {
            if !self.propose(change) {
                return;
            }
        }
    }

    fn fails(&mut self) -> bool {
        !self.is_calm && self.dice.happens(8)
    }

    fn deliver(&mut self, commit: &PlannedCommit) {
        let (environment, build) = moved(commit);
        let terms = terms(environment);
        let here = self.record.of(environment);
        let (before, is_pinned) = (here.current, here.pin.is_some());
        assert!(
            environment != "production" || is_pinned || is_open(self.now),
            "{build} came to `{environment}` while its window is closed"
        );
        self.record.promoted((environment, build), terms, self.now);
        for (path, file) in &commit.files {
            self.files.insert(path.clone(), file.after.clone());
        }
        let parents = self.head().into_iter().collect();
        let id = self.commit("towpath", &commit.message, parents);
        self.promotions.push((environment, id, before));
        self.tell(|| format!("towpath promotes {build} to {environment}"));
    }

    /// Carries a proposal out, step by step. Gives whether the daemon lives on.
    fn propose(&mut self, change: ProposalChange) -> bool {
        let branch = change.head.branch.clone();
        let mut build = self
            .proposals
            .get(&branch)
            .map(|proposal| proposed(proposal));
        if let Some(rebuild) = change.rebuild {
            if self.fails() {
                return false;
            }
            let standing = self
                .proposals
                .get(&branch)
                .map(|proposal| proposal.tip.clone());
            assert_eq!(standing, rebuild.expected);
            let (environment, new) = moved(&rebuild.commit);
            let mut record = self.record.clone();
            record.promoted((environment, new), terms(environment), self.now);
            let tip = self.new_id();
            let files = rebuild.commit.files.iter();
            let files = files.map(|(path, file)| (path.clone(), File::Text(file.after.clone())));
            let proposal = Proposal {
                tip: tip.clone(),
                parents: vec![rebuild.parent],
                committer: COMMITTER.to_owned(),
                message: rebuild.commit.message.clone(),
                files: files.collect(),
            };
            self.proposals.insert(branch.clone(), Arc::new(proposal));
            for request in self.requests.get_mut(&branch).into_iter().flatten() {
                if request.state == RequestState::Open {
                    request.head = Some(tip.clone());
                }
            }
            build = Some(new);
            self.tell(|| format!("towpath pushes {new} to {branch}"));
        }
        if self.fails() {
            return false;
        }
        self.ask(&branch, change.request, build);
        if self.fails() {
            return false;
        }
        if let Some(tip) = change.drop
            && self
                .proposals
                .get(&branch)
                .is_some_and(|proposal| proposal.tip == tip)
        {
            self.proposals.remove(&branch);
        }
        true
    }

    fn ask(&mut self, branch: &str, request: RequestChange, build: Option<u64>) {
        let now = self.now;
        let head = self
            .proposals
            .get(branch)
            .map(|proposal| proposal.tip.clone());
        let all = self.requests.entry(branch.to_owned()).or_default();
        let is_open = |request: &PullRequest| request.state == RequestState::Open;
        match request {
            RequestChange::Keep => {}
            RequestChange::Open { text, .. } => {
                assert!(
                    !all.iter().any(is_open),
                    "a second pull request for `{branch}`"
                );
                let RequestText { title, body, .. } = text;
                self.ids += 1;
                all.push(PullRequest {
                    number: self.ids,
                    url: format!("https://forge.example.com/{}", self.ids),
                    head,
                    base: "main".to_owned(),
                    title,
                    body,
                    state: RequestState::Open,
                    approvals: None,
                });
                self.told.extend(build.map(|build| (self.ids, build)));
                self.tell(|| format!("towpath opens #{}", self.ids));
            }
            RequestChange::Update { number, text, .. } => {
                let request = all
                    .iter_mut()
                    .find(|request| request.number == number)
                    .unwrap();
                request.title = text.title;
                request.body = text.body;
                self.told.extend(build.map(|build| (number, build)));
                self.tell(|| format!("towpath writes #{number}"));
            }
            RequestChange::Wish { number, .. } => panic!("nothing is wished of #{number}"),
            RequestChange::Close { number, body, .. } => {
                let request = all
                    .iter_mut()
                    .find(|request| request.number == number)
                    .unwrap();
                request.body = body;
                let by = Some("towpath".to_owned());
                request.state = RequestState::Closed { at: now, by };
                self.tell(|| format!("towpath closes #{number}"));
            }
        }
    }

    /// The branches that have an open pull request.
    pub(super) fn open_branches(&self) -> Vec<String> {
        let open = self.requests.iter().filter(|(_, all)| {
            all.iter()
                .any(|request| request.state == RequestState::Open)
        });
        open.map(|(branch, _)| branch.clone()).collect()
    }

    fn open_request(&mut self, branch: &str) -> &mut PullRequest {
        let mut all = self.requests.get_mut(branch).unwrap().iter_mut();
        all.find(|request| request.state == RequestState::Open)
            .unwrap()
    }

    /// A person merges, if nothing else changed the files meanwhile.
    pub(super) fn merge(&mut self, branch: &str) {
        let Some(proposal) = self.proposals.get(branch).cloned() else {
            return;
        };
        let base = &self.trees[&proposal.parents[0]];
        let is_clean = proposal
            .files
            .keys()
            .all(|path| base.get(path) == self.files.get(path));
        if !is_clean {
            return;
        }
        let (way, now) = (self.merge_way(), self.now);
        let by = Some("ada".to_owned());
        let request = self.open_request(branch);
        request.state = RequestState::Merged { at: now, by };
        let number = request.number;
        let build = proposed(&proposal);
        let before = self.record.of("production").current;
        let head = self.head();
        if way == MergeWay::Merge {
            let tree = self.files.clone();
            self.commits.push(Commit {
                id: proposal.tip.clone(),
                parents: proposal.parents.clone(),
                time: now,
                author: "towpath".to_owned(),
                committer: "towpath".to_owned(),
                message: proposal.message.clone(),
            });
            self.trees.insert(proposal.tip.clone(), tree);
        }
        for (path, file) in &proposal.files {
            if let File::Text(text) = file {
                self.files.insert(path.clone(), text.clone());
            }
        }
        let mut parents: Vec<CommitId> = head.into_iter().collect();
        let message = match way {
            MergeWay::Merge => {
                parents.push(proposal.tip.clone());
                format!("Merge pull request #{number} from acme/{branch}\n\npromote\n")
            }
            MergeWay::Squash => {
                let (subject, rest) = proposal.message.split_once('\n').unwrap();
                format!("{subject} (#{number})\n{rest}")
            }
            MergeWay::Rebase => proposal.message.clone(),
        };
        let id = self.commit("ada", &message, parents);
        self.promotions.push(("production", id, before));
        self.record.promotions += 1;
        self.record.stands("production", build, now);
        self.record.of("production").forget();
        if self.dice.happens(50) {
            self.proposals.remove(branch);
        }
        self.tell(|| format!("a person merges #{number} with {build} by {way:?}"));
    }

    pub(super) fn close(&mut self, branch: &str) {
        let now = self.now;
        let request = self.open_request(branch);
        let by = Some("ada".to_owned());
        request.state = RequestState::Closed { at: now, by };
        let number = request.number;
        let build = self.told.get(&number).copied();
        self.record.of("production").closed.extend(build);
        self.tell(|| format!("a person closes #{number} with {build:?}"));
    }

    pub(super) fn delete_branch(&mut self, branch: &str) {
        self.proposals.remove(branch);
        self.tell(|| format!("a person deletes {branch}"));
    }

    pub(super) fn assert_all_have_the_newest(&self) {
        let newest = self.builds.keys().next_back().copied();
        for (environment, ran) in &self.record.environments {
            assert_eq!(Some(ran.current), newest, "`{environment}` stays behind");
        }
    }
}

fn terms(environment: &str) -> Terms {
    let place = ENVIRONMENTS
        .iter()
        .position(|name| *name == environment)
        .unwrap();
    Terms {
        before: place.checked_sub(1).map(|before| ENVIRONMENTS[before]),
        soak: SOAKS[place],
    }
}

/// Whether the offices in Rome are open.
fn is_open(now: Timestamp) -> bool {
    let there = now.in_tz("Europe/Rome").unwrap();
    let is_weekend = matches!(there.weekday(), Weekday::Saturday | Weekday::Sunday);
    !is_weekend && (9..16).contains(&there.hour())
}

/// The environment and the build of a commit, by the file that it changes.
fn moved(commit: &PlannedCommit) -> (&'static str, u64) {
    assert_eq!(commit.files.len(), 1, "{commit:?}");
    let (path, file) = commit.files.iter().next().unwrap();
    let environment = ENVIRONMENTS
        .into_iter()
        .find(|name| site(name) == *path)
        .unwrap();
    (environment, number(&file.after))
}

fn proposed(proposal: &Proposal) -> u64 {
    match proposal.files.values().next().unwrap() {
        File::Text(text) => number(text),
        other => panic!("{other:?}"),
    }
}

/// The build that a tag, or a file with one, names.
fn number(text: &str) -> u64 {
    let (_, rest) = text.split_once("main-").unwrap();
    rest.split('-').next().unwrap().parse().unwrap()
}

fn tag(build: u64) -> Tag {
    format!("main-{build}-{:07x}", build * 7919 % 0x0fff_ffff)
        .parse()
        .unwrap()
}

fn digest(build: u64) -> Digest {
    format!("sha256:{build:064x}").parse().unwrap()
}

fn repository() -> Repository {
    "ghcr.io/acme/api".parse().unwrap()
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn site(environment: &str) -> RepoPath {
    path(&format!("apps/{environment}.yaml"))
}

fn values(build: u64) -> Arc<str> {
    format!(
        "image:\n  repository: ghcr.io/acme/api\n  tag: {}\n",
        tag(build)
    )
    .into()
}

fn dialect() -> Dialect {
    Dialect {
        length_max: 65_536,
        folds: true,
        hides_by: HidesBy::Comment,
    }
}

fn policy(way: Way) -> Policy {
    const SETTINGS: &str = "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories: { deploy: { url: /tmp/deploy, forge: none } }\npolicies: [policies.yaml]\n";
    let deliver = match way {
        Way::Commit => "commit",
        Way::PullRequest => "pull-request",
    };
    let policies = format!(
        r#"apiVersion: towpath.dev/v1alpha1
kind: PromotionPolicy
metadata: {{ name: api }}
spec:
  repository: deploy
  images: {{ api: ghcr.io/acme/api }}
  environments:
    - name: dev
      tags: {{ pattern: "main-{{number}}-{{sha}}" }}
      update: {{ helm: apps/dev.yaml, at: image }}
    - name: staging
      after: dev
      gates: {{ soak: 30m }}
      update: {{ helm: apps/staging.yaml, at: image }}
    - name: production
      after: staging
      gates: {{ soak: 24h, windows: {{ days: mon-fri, hours: "09:00-16:00", zone: Europe/Rome }} }}
      update: {{ helm: apps/production.yaml, at: image }}
      deliver: {deliver}
"#
    );
    let folder = tempfile::TempDir::new().unwrap();
    let settings = folder.path().join("towpath.yaml");
    std::fs::write(&settings, SETTINGS).unwrap();
    std::fs::write(folder.path().join("policies.yaml"), policies).unwrap();
    config::load(&settings).unwrap().policies.remove(0)
}
