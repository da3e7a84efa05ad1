//! The facts of one round: what the registries list, what the manifests repositories hold, and what Argo CD made of it.
//!
//! Not here: judgement (`plan`) and reading (`observe`). A fact that could not be read is [`Fact::Unknown`]
//! with the reason, never an absence.

mod ancestry;
mod applications;
mod checks;
mod description;
mod folders;
mod history;
mod listed;
mod pushes;
mod range;
mod rendered;
mod requests;
mod saved;
mod source;
mod vouched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag};
use crate::ledger::{Hold, Ledger};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::gate::Claim;
use crate::policy::gate::checks::Inquiry;
use crate::policy::select::PushUse;
use crate::policy::{ConnectionName, RepositoryName, SourceBranch};

pub(crate) use ancestry::Ancestry;
pub(crate) use applications::{
    Application, Applications, Condition, Deployment, Destination, Health, HealthStatus,
    ObjectName, Operation, OperationPhase, Readers, RepositoryAddress, Seen, Source, SyncState,
    SyncStatus, SyncWindow, Syncing, WindowKind,
};
pub(crate) use checks::Answer;
pub(crate) use description::{Description, Labels};
pub(crate) use folders::Folders;
pub(crate) use listed::SeenTags;
pub(crate) use range::{CommitRange, RangeCommits, SourceCommit};
pub(crate) use rendered::{Rendered, RenderedFolder, RenderedObject, Rendering};
pub(crate) use requests::{Proposal, PullRequest, PullRequests, RequestState};
pub(crate) use saved::{load, save};
pub(crate) use source::SourceFacts;
pub(crate) use vouched::Claims;

/// Everything that one round decides from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct World {
    pub(crate) images: BTreeMap<Repository, ImageFacts>,
    pub(crate) branches: BTreeMap<BranchName, Fact<Arc<BranchFacts>>>,
    /// The names of the folders that fleets have a policy for each of.
    pub(crate) folders: BTreeMap<Folders, Fact<BTreeSet<String>>>,
    pub(crate) sources: BTreeMap<SourceBranch, Fact<SourceFacts>>,
    /// The branches of proposals that stand at the server, of the manifests repositories that were read.
    pub(crate) proposals: BTreeMap<BranchName, Fact<Arc<Proposal>>>,
    /// By manifests repository; those without a forge have none.
    pub(crate) requests: BTreeMap<RepositoryName, Fact<Arc<PullRequests>>>,
    /// What lies between versions that somebody is to read about.
    pub(crate) ranges: BTreeMap<CommitRange, Fact<Arc<RangeCommits>>>,
    /// What planned changes render to, where somebody is to read it.
    pub(crate) rendered: BTreeMap<Rendering, Fact<Arc<Rendered>>>,
    /// By connection to Argo CD.
    pub(crate) applications: BTreeMap<ConnectionName, Fact<Arc<Applications>>>,
    /// Which commits of manifests repositories have which others behind them; asked because a decision lacked it.
    pub(crate) ancestry: BTreeMap<Ancestry, Fact<bool>>,
    /// What servers said of what checks asked.
    pub(crate) checks: BTreeMap<Inquiry, Answer>,
}

/// A branch of a manifests repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BranchName {
    pub(crate) repository: RepositoryName,
    pub(crate) branch: String,
}

/// A reading of the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact<T> {
    Known(T),
    /// The reading failed; `why` is a whole message for people.
    Unknown {
        why: String,
    },
}

/// What a registry says of one repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageFacts {
    pub(crate) listing: Fact<Arc<Listing>>,
    /// What was asked of single tags, because a decision lacked it.
    pub(crate) tags: Arc<BTreeMap<Tag, TagDetails>>,
    /// What single versions say of themselves, because somebody is to read it.
    pub(crate) described: Arc<BTreeMap<Digest, Fact<Description>>>,
    /// Who vouches for single versions, because a gate asks for it.
    pub(crate) vouched: Arc<BTreeMap<Digest, Claims>>,
}

/// A complete listing of a repository's tags.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listing {
    /// When the registry answered.
    pub(crate) at: Timestamp,
    pub(crate) tags: SeenTags,
    /// Set where it is less than half of the last one that was believed.
    pub(crate) shrunk: Option<Shrunk>,
    /// `None`: this registry does not tell when tags were pushed.
    pub(crate) pushes: Option<Pushes>,
}

impl Listing {
    /// When `tag` was last pushed, where that is known.
    pub(crate) fn pushed(&self, tag: &Tag) -> Option<Timestamp> {
        self.push_times()?.get(tag).copied()
    }

    /// The push times, where they are known.
    pub(crate) fn push_times(&self) -> Option<&Arc<BTreeMap<Tag, Timestamp>>> {
        match &self.pushes.as_ref()?.times {
            Some(Fact::Known(times)) => Some(times),
            Some(Fact::Unknown { .. }) | None => None,
        }
    }
}

/// What a registry that tells push times told of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pushes {
    pub(crate) of_use: PushUse,
    /// `None`: nobody needed them when the tags were listed. A tag that is missing was pushed between the two readings.
    pub(crate) times: Option<Fact<Arc<BTreeMap<Tag, Timestamp>>>>,
}

/// A listing that lost more than half of its tags at once, and is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shrunk {
    /// How many tags there were before.
    pub(crate) from: usize,
    /// When it is believed, if it stays so.
    pub(crate) until: Timestamp,
}

/// Facts of one tag beyond its name; each is `None` until a decision needed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TagDetails {
    pub(crate) digest: Option<Fact<Digest>>,
    /// The creation time in the image config, `Known(None)` where it says none.
    pub(crate) created: Option<Fact<Option<Timestamp>>>,
}

/// A question that is asked only when a decision waits for the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// When was the image of `tag` created?
    Created { repository: Repository, tag: Tag },
    /// Which digest does `tag` point to?
    Digest { repository: Repository, tag: Tag },
    /// What does the image `digest` say of itself?
    Description {
        repository: Repository,
        digest: Digest,
    },
    /// What became of a claim about the image `digest`?
    Vouched {
        repository: Repository,
        digest: Digest,
        claim: Claim,
    },
    /// What does `commit`, in lower case, stand for on the branch of `source`? It is fetched again if nothing there and the
    /// last fetch began before `seen`.
    Commit {
        source: SourceBranch,
        commit: String,
        seen: Timestamp,
    },
    /// Does one commit have another behind it?
    Ancestry(Ancestry),
    /// Which commits lie between two versions?
    Range(CommitRange),
    /// What does a commit render to otherwise with these files?
    Rendered {
        rendering: Rendering,
        files: BTreeMap<RepoPath, Arc<str>>,
    },
    /// What does a server say that a check asks?
    Check(Inquiry),
}

/// What a branch holds at its head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BranchFacts {
    /// `None` where the branch does not exist.
    pub(crate) head: Option<CommitId>,
    /// The files that some policy names.
    pub(crate) files: BTreeMap<RepoPath, File>,
    pub(crate) ledger: Ledger,
    /// What people decided. Those on the repository's own branch count, for all its branches.
    pub(crate) holds: Fact<Vec<Hold>>,
}

/// What stands at a path of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Text(Arc<str>),
    NotUtf8,
    /// A symbolic link, at the path or on the way to it; it is never followed.
    Symlink,
    /// Its text is kept in Git LFS, outside of the repository.
    LfsPointer,
    Folder,
    /// It belongs to another repository, or a folder on the way to it does.
    Submodule,
    TooLarge {
        size_bytes: usize,
    },
    Missing,
}
