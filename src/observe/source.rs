//! Reads what names of commits stand for in the histories of source repositories.
//!
//! Invariant: that a commit is not on a branch is told with the time of the fetch that says so, since it may come later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Sources, whole_message};
use crate::git::{LoggedCommit, Mirror, Range};
use crate::manifest::{CommitId, NamedCommit};
use crate::policy::select::NamedCommits;
use crate::policy::{RepositoryName, SourceBranch};
use crate::world::{CommitRange, Fact, RangeCommits, SourceCommit, SourceFacts, World};

/// Least time between two fetches that questions ask for: builds of a branch that orders nothing, pushed all at once, would
/// else be a fetch for each listing that shows one.
const BETWEEN_FETCHES: Duration = Duration::from_secs(1);

/// Names of commits that are kept from one fetch to the next: at 120 bytes 12 MB. Beyond, plans ask again for those that
/// they need.
const NAMES_KEPT_MAX: usize = 100_000;

/// Commits of a range that are kept: as many as a body shows at most, since more is what nobody reads.
const RANGE_COMMITS_MAX: usize = 50;

/// Letters of a subject or a name that are kept: those that are shown, and one that tells that there are more.
const WORDS_MAX: usize = 201;

/// Ranges that are kept from one fetch to the next: those of 250 promotions under way. Of 50 commits with 200 bytes each this is
/// 2.5 MB.
const RANGES_KEPT_MAX: usize = 250;

/// Names of commits, each with the time at which the last tag that holds it was seen.
pub(super) type Commits = BTreeMap<String, Timestamp>;

impl Sources {
    /// The latest reading of a source.
    pub(crate) fn source(&self, name: &SourceBranch) -> Option<Fact<SourceFacts>> {
        self.readings().sources.get(name).cloned()
    }

    /// Fetches `branches` of a source repository, and looks up anew what was asked of them before.
    pub(crate) async fn fetch_source(
        &self,
        repository: &RepositoryName,
        branches: &BTreeSet<String>,
        now: Timestamp,
    ) {
        let mirror = &self.histories[repository];
        self.forget_ranges(repository);
        let names: Vec<String> = branches.iter().cloned().collect();
        let source = |branch: String| SourceBranch {
            repository: repository.clone(),
            branch,
        };
        match mirror.fetch(&names, &[]).await {
            Ok(heads) => {
                for (branch, head) in heads {
                    let source = source(branch);
                    let fact = self.look_up(mirror, &source, (head.commit(), now)).await;
                    self.readings().keep_newer(source, (fact, now));
                }
            }
            Err(error) => {
                let why = whole_message(&error, error.hint());
                let mut readings = self.readings();
                for branch in names {
                    let why = why.clone();
                    readings.keep_newer(source(branch), (Fact::Unknown { why }, now));
                }
            }
        }
    }

    /// What a branch that was fetched at `now` says of the commits that are known of it.
    async fn look_up(
        &self,
        mirror: &Mirror,
        source: &SourceBranch,
        (head, now): (Option<&CommitId>, Timestamp),
    ) -> Fact<SourceFacts> {
        let Some(head) = head.cloned() else {
            let SourceBranch { repository, branch } = source;
            return Fact::Unknown {
                why: format!("`{repository}` has no branch `{branch}`"),
            };
        };
        let known = match self.source(source) {
            Some(Fact::Known(before)) if before.head == head => Ok(before.commits),
            Some(Fact::Known(before)) if before.commits.len() <= NAMES_KEPT_MAX => {
                let names = before.commits.keys().cloned().collect();
                named(mirror, &head, names).await.map(Arc::new)
            }
            Some(Fact::Known(_) | Fact::Unknown { .. }) | None => Ok(Arc::default()),
        };
        match known {
            Ok(commits) => Fact::Known(SourceFacts {
                head,
                fetched: now,
                commits,
            }),
            Err(why) => Fact::Unknown { why },
        }
    }

    /// Finds out what `commits` stand for, and fetches the branch where the last fetch may be too old to tell.
    pub(super) async fn ask_history(
        &self,
        source: SourceBranch,
        commits: Commits,
        clock: fn() -> Timestamp,
    ) {
        if self.is_told(&source, &commits).await {
            return;
        }
        if let Some(Fact::Known(facts)) = self.source(&source) {
            let ago = clock().duration_since(facts.fetched).unsigned_abs();
            tokio::time::sleep(BETWEEN_FETCHES.saturating_sub(ago)).await;
            // Others may have asked meanwhile.
            if self.is_told(&source, &commits).await {
                return;
            }
        }
        let branch = BTreeSet::from([source.branch.clone()]);
        self.fetch_source(&source.repository, &branch, clock())
            .await;
        self.is_told(&source, &commits).await;
    }

    /// Reads which commits lie in `range`; what is not there yet is fetched once.
    pub(super) async fn ask_range(&self, range: CommitRange, clock: fn() -> Timestamp) {
        let mut read = self.read_range(&range).await;
        if let Ok(None) = read {
            let branches = self.stale_branches(&range.repository, clock());
            if !branches.is_empty() {
                self.fetch_source(&range.repository, &branches, clock())
                    .await;
                read = self.read_range(&range).await;
            }
        }
        let fact = match read {
            Ok(Some(commits)) => Fact::Known(Arc::new(commits)),
            Ok(None) => Fact::Unknown {
                why: format!("`{}` does not have both commits", range.repository),
            },
            Err(why) => Fact::Unknown { why },
        };
        self.readings().ranges.insert(range, fact);
    }

    async fn read_range(&self, range: &CommitRange) -> Result<Option<RangeCommits>, String> {
        let CommitRange {
            repository,
            from,
            to,
        } = range.clone();
        let Some(mirror) = self.histories.get(&repository) else {
            return Ok(None);
        };
        let read = mirror.range((from, to), RANGE_COMMITS_MAX).await;
        let read = read.map_err(|error| whole_message(&error, None::<&str>))?;
        Ok(read.map(|Range { newest, count }| RangeCommits {
            newest: newest.into_iter().map(shown).collect(),
            count,
        }))
    }

    /// The branches of a source that were not fetched just now.
    fn stale_branches(&self, repository: &RepositoryName, now: Timestamp) -> BTreeSet<String> {
        let readings = self.readings();
        let of_repository = readings.sources.iter().filter(|(source, fact)| {
            let is_fresh = matches!(fact, Fact::Known(facts) if now.duration_since(facts.fetched).unsigned_abs() < BETWEEN_FETCHES);
            source.repository == *repository && !is_fresh
        });
        let branches = of_repository.map(|(source, _)| source.branch.clone());
        branches.collect()
    }

    /// Forgets what could not be read of a source's ranges, so that it is asked again; and all where they are too many.
    fn forget_ranges(&self, repository: &RepositoryName) {
        let ranges = &mut self.readings().ranges;
        let are_many = ranges.len() > RANGES_KEPT_MAX;
        ranges.retain(|range, fact| {
            range.repository != *repository || (matches!(fact, Fact::Known(_)) && !are_many)
        });
    }

    /// Looks `commits` up in what was fetched last, and says whether that answers the question.
    async fn is_told(&self, source: &SourceBranch, commits: &Commits) -> bool {
        let Some(Fact::Known(facts)) = self.source(source) else {
            return false;
        };
        let missing = commits
            .keys()
            .filter(|name| !facts.commits.contains_key(*name));
        let missing: BTreeSet<String> = missing.cloned().collect();
        if !missing.is_empty() {
            let found = named(&self.histories[&source.repository], &facts.head, missing).await;
            self.keep_commits(source, &facts.head, found);
        }
        let Some(Fact::Known(facts)) = self.source(source) else {
            return false;
        };
        commits
            .iter()
            .all(|(name, seen)| match facts.commits.get(name) {
                Some(NamedCommit::None) => facts.fetched > *seen,
                Some(NamedCommit::One(_) | NamedCommit::Several { .. }) => true,
                None => false,
            })
    }

    /// Keeps what was found in the history of `head`, unless the branch has moved since.
    fn keep_commits(
        &self,
        source: &SourceBranch,
        head: &CommitId,
        found: Result<NamedCommits, String>,
    ) {
        let mut readings = self.readings();
        let Some(fact) = readings.sources.get_mut(source) else {
            return;
        };
        match (fact, found) {
            (Fact::Known(facts), Ok(found)) if facts.head == *head => {
                Arc::make_mut(&mut facts.commits).extend(found);
            }
            (Fact::Known(_), Ok(_)) | (Fact::Unknown { .. }, _) => {}
            (fact, Err(why)) => *fact = Fact::Unknown { why },
        }
    }
}

impl World {
    /// Keeps the reading of a fetch that began at `now`, unless a later one was faster.
    fn keep_newer(&mut self, source: SourceBranch, (fact, now): (Fact<SourceFacts>, Timestamp)) {
        match self.sources.get(&source) {
            Some(Fact::Known(facts)) if facts.fetched > now => {}
            Some(Fact::Known(_) | Fact::Unknown { .. }) | None => {
                self.sources.insert(source, fact);
            }
        }
    }
}

/// What is shown of a commit.
fn shown(commit: LoggedCommit) -> SourceCommit {
    let cut = |text: &str| text.chars().take(WORDS_MAX).collect();
    SourceCommit {
        id: commit.id,
        subject: cut(commit.message.lines().next().unwrap_or_default()),
        author: cut(&commit.author.name),
    }
}

/// What `names` stand for in the history of `head`: one message to the mirror.
async fn named(
    mirror: &Mirror,
    head: &CommitId,
    names: BTreeSet<String>,
) -> Result<NamedCommits, String> {
    let found = mirror.places(head.clone(), names).await;
    found.map_err(|error| whole_message(&error, None::<&str>))
}
