//! Keeps the latest reading of every source, and gives a round its snapshot.
//!
//! Not here: when to read (`daemon`) and what follows (`plan`). Invariant: a failed reading becomes
//! [`Fact::Unknown`] with its reason, and touches no other reading.

mod answers;
mod applications;
mod branch;
mod carried;
mod checks;
mod fleets;
mod folders;
mod proposal;
mod render;
mod requests;
mod source;
mod vouched;
mod wants;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::{join, join_all, join3};
use futures_util::stream;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;

use crate::cluster::Connection;
use crate::forge::Forge;
use crate::git::{Head, Mirror};
use crate::image::{Digest, Repository};
use crate::manifest::CommitId;
use crate::policy::select::PushUse;
use crate::policy::{ConnectionName, HEAD_PREFIX, RepositoryName, SourceBranch};
use crate::probe::Probe;
use crate::registry::{self, Registry, RegistryError};
use crate::render::Renderer;
use crate::world::{
    BranchFacts, BranchName, Description, Fact, ImageFacts, Listing, Pushes, Question, SeenTags,
    Shrunk, TagDetails, World,
};

use answers::Asked;
pub(crate) use branch::{HISTORY_LENGTH_MAX, holds_file, told};
pub(crate) use carried::Listings;
pub(crate) use fleets::{Expansion, Listed, Trouble, Written, expand, folders_of};
use requests::Requests;
use source::Commits;
use vouched::still_vouched;
pub(crate) use wants::Wants;

/// Questions about single tags that are under way at once, over all registries; each registry has its own,
/// lower bound.
const QUESTIONS_AT_ONCE_MAX: usize = 64;

/// Most versions of one image whose description is kept: those that come and go in 128 environments. Of 500 bytes each this
/// is 128 KB; what goes is asked again, of the registry's cache.
const DESCRIBED_MAX: usize = 256;

/// The registries and repositories that are read, and their latest readings.
pub(crate) struct Sources {
    registry: Registry,
    /// Of manifests repositories.
    mirrors: BTreeMap<RepositoryName, Mirror>,
    /// Of source repositories, with nothing but commits. One that is a manifests repository too has two: a long history
    /// that is fetched or looked through delays no promotion.
    histories: BTreeMap<RepositoryName, Mirror>,
    /// Of manifests repositories that have one that is used: for pull requests, or to make commits.
    forges: BTreeMap<RepositoryName, Forge>,
    requests: BTreeMap<RepositoryName, Requests>,
    /// `None` where nothing is rendered.
    renderer: Option<Renderer>,
    /// To Argo CD; each keeps its own reading.
    connections: BTreeMap<ConnectionName, Connection>,
    /// `None` where no server is asked.
    probe: Option<Probe>,
    readings: Mutex<World>,
    /// The image repositories that are to be listed, whoever does.
    owed: Mutex<BTreeSet<Repository>>,
}

/// Whether a reading differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Changed,
    Same,
}

impl Sources {
    pub(crate) fn new(
        registry: Registry,
        (mirrors, histories): (
            BTreeMap<RepositoryName, Mirror>,
            BTreeMap<RepositoryName, Mirror>,
        ),
        (forges, renderer): (BTreeMap<RepositoryName, Forge>, Option<Renderer>),
    ) -> Self {
        let unread = |name: &RepositoryName| (name.clone(), Requests::default());
        Self {
            registry,
            mirrors,
            histories,
            requests: forges.keys().map(unread).collect(),
            forges,
            renderer,
            connections: BTreeMap::new(),
            probe: None,
            readings: Mutex::new(World::default()),
            owed: Mutex::default(),
        }
    }

    /// The same with connections to Argo CD.
    pub(crate) fn with_connections(
        self,
        connections: BTreeMap<ConnectionName, Connection>,
    ) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// The same with what asks the servers of checks.
    pub(crate) fn with_probe(self, probe: Probe) -> Self {
        let probe = Some(probe);
        Self { probe, ..self }
    }

    /// Whether all connections show their Applications.
    pub(crate) fn knows_applications(&self) -> bool {
        let mut connections = self.connections.values();
        connections.all(|connection| matches!(connection.shown(), Some(Fact::Known(_))))
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = &ConnectionName> {
        self.connections.keys()
    }

    pub(crate) fn connection(&self, name: &ConnectionName) -> &Connection {
        &self.connections[name]
    }

    pub(crate) fn mirrors(&self) -> &BTreeMap<RepositoryName, Mirror> {
        &self.mirrors
    }

    /// Gives up the mirrors, so that they can be closed.
    pub(crate) fn into_mirrors(self) -> impl Iterator<Item = Mirror> {
        self.mirrors
            .into_values()
            .chain(self.histories.into_values())
    }

    /// Where `repository` is read, which is elsewhere for what a mirror copies.
    pub(crate) fn origin(&self, repository: &Repository) -> Repository {
        self.registry.origin(repository)
    }

    /// A snapshot of the latest readings of what `wants` names.
    pub(crate) fn world(&self, wants: &Wants) -> World {
        let readings = self.readings();
        let images = readings
            .images
            .iter()
            .filter(|(name, _)| wants.images.contains(*name));
        let branches = readings
            .branches
            .iter()
            .filter(|(name, _)| wants.files(name).is_some());
        let sources = readings.sources.iter();
        let sources = sources.filter(|(name, _)| wants.has_source(name));
        let proposals = readings.proposals.iter();
        let proposals = proposals.filter(|(name, _)| wants.has_proposal(name));
        let rendered = readings.rendered.iter();
        let rendered =
            rendered.filter(|(rendering, _)| wants.branches.contains_key(&rendering.repository));
        let requests = readings.requests.iter();
        let requests = requests.filter(|(name, _)| wants.proposals.contains_key(*name));
        let folders = readings.folders.iter();
        let folders = folders.filter(|(folders, _)| wants.has_folders(folders));
        World {
            applications: self
                .connections
                .iter()
                .map(|(name, connection)| (name.clone(), applications::shown(connection)))
                .collect(),
            ancestry: readings.ancestry.clone(),
            folders: folders
                .map(|(folders, fact)| (folders.clone(), fact.clone()))
                .collect(),
            proposals: proposals
                .map(|(name, fact)| (name.clone(), fact.clone()))
                .collect(),
            requests: requests
                .map(|(name, fact)| (name.clone(), fact.clone()))
                .collect(),
            sources: sources
                .map(|(name, fact)| (name.clone(), fact.clone()))
                .collect(),
            images: images
                .map(|(name, facts)| (name.clone(), facts.clone()))
                .collect(),
            branches: branches
                .map(|(name, fact)| (name.clone(), fact.clone()))
                .collect(),
            checks: readings.checks.clone(),
            ranges: readings.ranges.clone(),
            rendered: rendered
                .map(|(rendering, fact)| (rendering.clone(), fact.clone()))
                .collect(),
        }
    }

    /// Reads the registries and manifests repositories that `wants` names, side by side. Sources are read when a plan asks.
    pub(crate) async fn read_all(&self, wants: &Wants, now: Timestamp) {
        let listings = join_all(
            wants
                .images
                .iter()
                .map(|repository| self.list(repository, wants, now)),
        );
        let branches = join_all(
            wants
                .branches
                .keys()
                .map(|repository| self.fetch(repository, wants)),
        );
        let branches = branches.then(|_| {
            join_all(
                self.forges
                    .keys()
                    .filter(|repository| wants.proposals.contains_key(*repository))
                    .map(|repository| self.read_requests(repository, wants, (HEAD_PREFIX, now))),
            )
        });
        let connections = join_all(self.connections.values().map(Connection::read));
        join3(listings, branches, connections).await;
    }

    /// The latest reading of `repository`.
    pub(crate) fn image(&self, repository: &Repository) -> Option<ImageFacts> {
        self.readings().images.get(repository).cloned()
    }

    /// The latest reading of a branch.
    pub(crate) fn branch(&self, name: &BranchName) -> Option<Fact<Arc<BranchFacts>>> {
        self.readings().branches.get(name).cloned()
    }

    /// Lists the tags of `repository`, with their push times where `wants` needs them, and keeps the reading.
    ///
    /// A digest is only as fresh as the listing that it belongs to, so the known ones go with the old listing,
    /// and that counts as a change. Creation times stay, and so does what digests say of themselves.
    pub(crate) async fn list(
        &self,
        repository: &Repository,
        wants: &Wants,
        now: Timestamp,
    ) -> News {
        let listing = match self.registry.tags(repository, now).await {
            Ok(listed) => {
                let pushes = self.pushes(repository, wants, (&listed, now)).await;
                let tags = listed
                    .tags
                    .into_iter()
                    .map(|listed| (listed.tag, listed.first_seen));
                let tags: SeenTags = tags.collect();
                let tags = match self.image(repository).map(|facts| facts.listing) {
                    Some(Fact::Known(before)) => tags.or_as_before(&before.tags),
                    Some(Fact::Unknown { .. }) | None => tags,
                };
                Fact::Known(Arc::new(Listing {
                    at: now,
                    tags,
                    shrunk: listed
                        .shrunk
                        .map(|registry::Shrunk { from, until }| Shrunk { from, until }),
                    pushes,
                }))
            }
            Err(error) => Fact::Unknown {
                why: whole_message(&error, error.hint()),
            },
        };
        let mut readings = self.readings();
        let before = readings.images.get(repository);
        let known = before
            .map(|facts| facts.tags.as_ref())
            .into_iter()
            .flatten();
        let created = known.filter(|(_, details)| matches!(details.created, Some(Fact::Known(_))));
        let tags = created
            .map(|(tag, details)| {
                (
                    tag.clone(),
                    TagDetails {
                        digest: None,
                        created: details.created.clone(),
                    },
                )
            })
            .collect();
        let facts = ImageFacts {
            listing,
            tags: Arc::new(tags),
            described: before.map(still_described).unwrap_or_default(),
            vouched: before.map(still_vouched).unwrap_or_default(),
        };
        let news = match before.is_some_and(|before| says_the_same(before, &facts)) {
            true => News::Same,
            false => News::Changed,
        };
        readings.images.insert(repository.clone(), facts);
        news
    }

    /// What the registry tells of pushes; it is asked only where a policy needs the answer.
    async fn pushes(
        &self,
        repository: &Repository,
        wants: &Wants,
        (listing, now): (&registry::Listing, Timestamp),
    ) -> Option<Pushes> {
        let api = self.registry.push_api(repository)?;
        let of_use = match api.login() {
            registry::PushLogin::Same => PushUse::ByDefault,
            registry::PushLogin::Other => PushUse::OnRequest,
        };
        let wanted = wants.pushes.get(repository);
        let is_wanted =
            wanted.is_some_and(|wanted| of_use == PushUse::ByDefault || *wanted == of_use);
        let times = match is_wanted {
            true => Some(self.registry.pushed(repository, (api, listing), now).await),
            false => None,
        };
        let times = times.map(|times| match times {
            Ok(times) => Fact::Known(Arc::new(times)),
            Err(error) => Fact::Unknown {
                why: whole_message(&error, error.hint()),
            },
        });
        Some(Pushes { of_use, times })
    }

    /// Fetches the branches of `repository` that `wants` names, and those of proposals, and keeps what stands at their heads.
    pub(crate) async fn fetch(&self, repository: &RepositoryName, wants: &Wants) {
        let Some(branches) = wants.branches.get(repository) else {
            return;
        };
        let mirror = &self.mirrors[repository];
        let names: Vec<String> = branches.keys().cloned().collect();
        let proposals = wants.proposals.get(repository);
        let prefixes: Vec<String> = proposals
            .map(|_| HEAD_PREFIX.to_owned())
            .into_iter()
            .collect();
        let named = |branch: &str| BranchName {
            repository: repository.clone(),
            branch: branch.to_owned(),
        };
        match mirror.fetch(&names, &prefixes).await {
            Ok(heads) => {
                self.doubt_ancestry(repository);
                let stand: BTreeSet<CommitId> =
                    heads.values().filter_map(Head::commit).cloned().collect();
                self.forget_renderings(repository, &stand);
                for (branch, files) in branches {
                    let before = match self.branch(&named(branch)) {
                        Some(Fact::Known(before)) => Some(before),
                        Some(Fact::Unknown { .. }) | None => None,
                    };
                    let head = heads.get(branch).and_then(Head::commit).cloned();
                    let read = branch::read(mirror, (branch, head), files, before).await;
                    self.readings().branches.insert(named(branch), read);
                }
                for folders in wants.folders.get(repository).into_iter().flatten() {
                    let head = heads.get(&folders.branch.branch).and_then(Head::commit);
                    let read = folders::read(mirror, head, &folders.pattern).await;
                    self.readings().folders.insert(folders.clone(), read);
                }
                for branch in proposals.into_iter().flatten() {
                    let name = named(branch);
                    let tip = heads.get(branch).and_then(Head::commit);
                    self.read_proposal(mirror, name, tip).await;
                }
            }
            Err(error) => {
                let why = whole_message(&error, error.hint());
                let mut readings = self.readings();
                for branch in &names {
                    let unknown = Fact::Unknown { why: why.clone() };
                    readings.branches.insert(named(branch), unknown);
                }
                for folders in wants.folders.get(repository).into_iter().flatten() {
                    let unknown = Fact::Unknown { why: why.clone() };
                    readings.folders.insert(folders.clone(), unknown);
                }
            }
        }
    }

    async fn read_proposal(&self, mirror: &Mirror, name: BranchName, tip: Option<&CommitId>) {
        let Some(tip) = tip else {
            self.readings().proposals.remove(&name);
            return;
        };
        let before = self.readings().proposals.get(&name).cloned();
        let read = proposal::read(mirror, tip.clone(), before.as_ref()).await;
        self.readings().proposals.insert(name, read);
    }

    /// Asks `questions` and keeps each answer as it comes; those about the commits of one source are one.
    pub(crate) async fn ask(&self, questions: BTreeSet<Question>, clock: fn() -> Timestamp) {
        let mut commits: BTreeMap<SourceBranch, Commits> = BTreeMap::new();
        let mut of_images = Vec::new();
        let mut vouched = vouched::Asked::new();
        let (mut ranges, mut renderings) = (Vec::new(), Vec::new());
        let mut ancestries = Vec::new();
        let mut inquiries = Vec::new();
        for question in questions {
            match question {
                Question::Created { repository, tag } => {
                    of_images.push((repository, Asked::Created(tag)));
                }
                Question::Digest { repository, tag } => {
                    of_images.push((repository, Asked::Digest(tag)));
                }
                Question::Description { repository, digest } => {
                    of_images.push((repository, Asked::Description(digest)));
                }
                Question::Vouched {
                    repository,
                    digest,
                    claim,
                } => vouched.entry((repository, digest)).or_default().push(claim),
                Question::Commit {
                    source,
                    commit,
                    seen,
                } => {
                    let latest = commits.entry(source).or_default().entry(commit);
                    let latest = latest.or_insert(seen);
                    *latest = (*latest).max(seen);
                }
                Question::Ancestry(ancestry) => ancestries.push(self.ask_ancestry(ancestry)),
                Question::Range(range) => ranges.push(self.ask_range(range, clock)),
                Question::Rendered { rendering, files } => {
                    renderings.push(self.ask_rendering(rendering, files));
                }
                Question::Check(inquiry) => inquiries.push(inquiry),
            }
        }
        let histories = commits
            .into_iter()
            .map(|(source, commits)| self.ask_history(source, commits, clock));
        let answers = stream::iter(of_images);
        let answers = answers.map(|(repository, asked)| self.answer(repository, asked));
        let answers = answers.buffer_unordered(QUESTIONS_AT_ONCE_MAX);
        let of_images = join(answers.collect::<()>(), self.ask_vouched(vouched));
        let of_sources = join3(join_all(histories), join_all(ranges), join_all(ancestries));
        let elsewhere = join(join_all(renderings), self.ask_servers(inquiries, clock));
        join3(of_sources, elsewhere, of_images).await;
    }

    fn owed(&self) -> MutexGuard<'_, BTreeSet<Repository>> {
        let owed = self.owed.lock();
        owed.expect("nothing panics while it holds the names")
    }

    fn readings(&self) -> MutexGuard<'_, World> {
        self.readings
            .lock()
            .expect("no reader panics while it holds the readings")
    }
}

/// An answer, or why there is none.
fn fact<T>(answer: Result<T, RegistryError>) -> Fact<T> {
    match answer {
        Ok(known) => Fact::Known(known),
        Err(error) => Fact::Unknown {
            why: whole_message(&error, error.hint()),
        },
    }
}

/// What is still known of the digests of `before`: what could not be read is asked again.
fn still_described(before: &ImageFacts) -> Arc<BTreeMap<Digest, Fact<Description>>> {
    let is_known = |fact: &Fact<Description>| matches!(fact, Fact::Known(_));
    if before.described.len() > DESCRIBED_MAX {
        return Arc::default();
    }
    if before.described.values().all(is_known) {
        return before.described.clone();
    }
    let known = before.described.iter().filter(|(_, fact)| is_known(fact));
    Arc::new(
        known
            .map(|(digest, fact)| (digest.clone(), fact.clone()))
            .collect(),
    )
}

/// When the listing was made, if there is a good one.
fn listed_at(facts: &ImageFacts) -> Option<Timestamp> {
    match &facts.listing {
        Fact::Known(listing) => Some(listing.at),
        Fact::Unknown { .. } => None,
    }
}

/// Whether two readings differ in nothing but their time.
fn says_the_same(before: &ImageFacts, after: &ImageFacts) -> bool {
    let listings_agree = match (&before.listing, &after.listing) {
        (Fact::Known(before), Fact::Known(after)) => {
            before.tags == after.tags
                && before.shrunk == after.shrunk
                && before.pushes == after.pushes
        }
        (Fact::Unknown { why: before }, Fact::Unknown { why: after }) => before == after,
        (Fact::Known(_), Fact::Unknown { .. }) | (Fact::Unknown { .. }, Fact::Known(_)) => false,
    };
    listings_agree
        && before.tags == after.tags
        && before.described == after.described
        && before.vouched == after.vouched
}

/// An error with its causes and what to do about it, as one text for people.
pub(crate) fn whole_message(error: &dyn Error, hint: Option<impl fmt::Display>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match hint {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

#[cfg(test)]
mod tests;
