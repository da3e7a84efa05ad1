//! The forge edge: pull requests and commit statuses, on whatever product hosts the manifests repository.
//!
//! Reading order: this file, `place` and `address` (which product, and where the repository is on it), `http` (one request, with `traffic`,
//! `limit` and `kept`: when it may go, what the answer says of that, and what need not be sent again), then one file for each product. Not here: what a pull request says and when there is one (`plan`), and branches (`git`).
//! Invariant: nothing is decided here. A product's peculiarity stays in its own file; what it cannot do is said, not skipped.

#![expect(dead_code, reason = "that a gate failed is for gates that come next")]

mod address;
mod alike;
mod azure;
mod bitbucket;
mod bitbucket_server;
mod commits;
mod credentials;
mod error;
mod events;
mod gitea;
mod github;
mod gitlab;
mod http;
mod kept;
mod limit;
mod link;
mod metrics;
mod place;
mod rights;
mod traffic;
mod turned;
mod wire;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::login::{Clock, Source};
use crate::manifest::CommitId;

use azure::AzureDevops;
use bitbucket::BitbucketCloud;
use bitbucket_server::BitbucketServer;
use gitea::Gitea;
use github::Github;
use gitlab::Gitlab;

pub(crate) use commits::{Chain, Made, NewCommit, NewFile, Signed};
pub(crate) use error::ForgeError;
pub(crate) use events::{EventError, Message, News, event, news, signature};
pub(crate) use place::{Hiding, Kind, Markup, Place, PlaceError};
pub(crate) use rights::Rights;
pub(crate) use traffic::Traffic;

/// Longest time for a connection, and for a request from its first byte to the last of its answer: GitHub gives up after
/// 10 s, <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#timeouts>; the largest page is 10 MB,
/// which takes 16 s at 5 Mbit/s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait before the second try of a read; it doubles from there.
const BACK_OFF: Duration = Duration::from_millis(500);

/// The time between two writes: GitHub asks for a second, so that 50 pull requests of three requests each are opened in 150 s,
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests>.
const WRITE_GAP_OF_GITHUB: Duration = Duration::from_secs(1);

/// The same elsewhere: 300 a minute, a sixth of what GitLab.com allows,
/// <https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom>.
const WRITE_GAP: Duration = Duration::from_millis(200);

/// How one repository is reached on its forge.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) place: Place,
    /// `None`: anonymous, which can read what is public and write nothing.
    pub(crate) credentials: Option<Source>,
    /// Authorities to trust beside the system's, in PEM form.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether an API without TLS is spoken to.
    pub(crate) plain_http: bool,
    pub(crate) pace: Pace,
    /// By which a time of quiet is told.
    pub(crate) clock: Clock,
}

/// How fast we are and how long we wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a whole request.
    pub(crate) total: Duration,
    /// Before the second try, at most.
    pub(crate) back_off: Duration,
    /// Between two writes.
    pub(crate) write_gap: Duration,
}

/// One repository on its forge.
pub(crate) struct Forge {
    place: Place,
    product: Product,
}

/// The clients.
enum Product {
    Github(Github),
    Gitlab(Gitlab),
    Gitea(Gitea),
    BitbucketCloud(BitbucketCloud),
    BitbucketServer(BitbucketServer),
    AzureDevops(AzureDevops),
}

/// What a forge says of one pull request (GitLab: merge request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullRequest {
    /// Its number in the repository (GitLab: `iid`).
    pub(crate) number: u64,
    /// Its page, for people.
    pub(crate) url: String,
    /// The branch that it brings, and the commit that the forge last saw there.
    pub(crate) head: String,
    pub(crate) head_commit: Option<CommitId>,
    /// The branch that it goes to.
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) state: State,
    pub(crate) is_draft: bool,
    /// When anything about it last changed, by the forge's clock.
    pub(crate) updated: Timestamp,
}

/// How far a pull request has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Merged {
        /// The commit of the base branch that has it, where the forge tells.
        commit: Option<CommitId>,
        at: Timestamp,
        /// The login of who merged it, where the forge tells.
        by: Option<String>,
    },
    /// Closed without being merged.
    Closed {
        at: Timestamp,
        by: Option<String>,
    },
}

/// A pull request to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewPullRequest {
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) is_draft: bool,
    pub(crate) wishes: Wishes,
}

/// What is wished of a pull request beside what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) labels: BTreeSet<String>,
    /// Logins; a team is `org/team` where the forge has teams.
    pub(crate) reviewers: BTreeSet<String>,
    pub(crate) assignees: BTreeSet<String>,
    /// By its title.
    pub(crate) milestone: Option<String>,
}

/// A pull request that was opened, and what else was wished and could not be done: an unknown reviewer, a label without
/// the right to make it. Such a wish is no failure, since the pull request stands.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) pull_request: PullRequest,
    pub(crate) complaints: Vec<ForgeError>,
}

/// What changes of a pull request; `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    /// Whether it is closed, after its text was written.
    pub(crate) close: bool,
}

/// How a pull request becomes part of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MergeWay {
    Merge,
    Squash,
    Rebase,
}

/// What is said of a commit, under a name that branch protection can require: `towpath/soak`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// One line. Forges that show less cut it (GitHub: 140 characters).
    pub(crate) why: String,
}

/// What a [`Status`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Passed,
    /// Not yet.
    Waits,
    Failed,
}

/// That somebody approved a pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Approval {
    /// The login.
    pub(crate) by: String,
    pub(crate) at: Option<Timestamp>,
    /// What was approved, where the forge tells.
    pub(crate) commit: Option<CommitId>,
}

/// The same call on whichever product it is.
macro_rules! on_product {
    ($forge:ident, $client:ident => $call:expr) => {
        match &$forge.product {
            Product::Github($client) => $call,
            Product::Gitlab($client) => $call,
            Product::Gitea($client) => $call,
            Product::BitbucketCloud($client) => $call,
            Product::BitbucketServer($client) => $call,
            Product::AzureDevops($client) => $call,
        }
    };
}

impl Pace {
    pub(crate) fn of(kind: Kind) -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            total: TOTAL_TIMEOUT,
            back_off: BACK_OFF,
            write_gap: match kind {
                Kind::Github => WRITE_GAP_OF_GITHUB,
                Kind::Gitlab
                | Kind::Gitea
                | Kind::BitbucketCloud
                | Kind::BitbucketServer
                | Kind::AzureDevops => WRITE_GAP,
            },
        }
    }
}

impl Forge {
    /// Makes the client of one repository; asks nothing yet. Those of one process share `traffic`.
    pub(crate) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let place = options.place.clone();
        let product = match place.kind {
            Kind::Github => Product::Github(Github::new(options, traffic)?),
            Kind::Gitlab => Product::Gitlab(Gitlab::new(options, traffic)?),
            Kind::Gitea => Product::Gitea(Gitea::new(options, traffic)?),
            Kind::BitbucketCloud => Product::BitbucketCloud(BitbucketCloud::new(options, traffic)?),
            Kind::BitbucketServer => {
                Product::BitbucketServer(BitbucketServer::new(options, traffic)?)
            }
            Kind::AzureDevops => Product::AzureDevops(AzureDevops::new(options, traffic)?),
        };
        Ok(Self { place, product })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What the forge tells of our rights to the repository and its `branch`. Nothing is changed.
    pub(crate) async fn rights(&self, branch: &str) -> Result<Rights, ForgeError> {
        on_product!(self, client => client.rights(branch).await)
    }

    /// See [`Client::open_pull_requests`].
    pub(crate) async fn open_pull_requests(
        &self,
        head_prefix: &str,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        on_product!(self, client => client.open_pull_requests(head_prefix).await)
    }

    /// See [`Client::changed_pull_requests`].
    pub(crate) async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        on_product!(self, client => client.changed_pull_requests(head_prefix, since).await)
    }

    /// See [`Client::open`].
    pub(crate) async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError> {
        on_product!(self, client => client.open(new).await)
    }

    /// See [`Client::wish`].
    pub(crate) async fn wish(&self, number: u64, wishes: &Wishes) -> Vec<ForgeError> {
        on_product!(self, client => client.wish(number, wishes).await)
    }

    /// See [`Client::update`].
    pub(crate) async fn update(
        &self,
        number: u64,
        update: &Update,
    ) -> Result<PullRequest, ForgeError> {
        on_product!(self, client => client.update(number, update).await)
    }

    /// See [`Client::comment`].
    pub(crate) async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError> {
        on_product!(self, client => client.comment(number, text).await)
    }

    /// See [`Client::set_status`].
    pub(crate) async fn set_status(
        &self,
        commit: &CommitId,
        status: &Status,
    ) -> Result<(), ForgeError> {
        on_product!(self, client => client.set_status(commit, status).await)
    }

    /// See [`Client::merge_when_ready`].
    pub(crate) async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        on_product!(self, client => client.merge_when_ready(number, way, head).await)
    }

    /// See [`Client::merge_no_more`].
    pub(crate) async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError> {
        on_product!(self, client => client.merge_no_more(number).await)
    }

    /// See [`Client::approvals`].
    pub(crate) async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError> {
        on_product!(self, client => client.approvals(number).await)
    }
}

/// What each product's client does. One request for each, where the product allows it; lists come whole, page after page.
trait Client {
    /// What is told of our rights.
    async fn rights(&self, branch: &str) -> Result<Rights, ForgeError>;

    /// Every open pull request of the repository whose branch starts with `head_prefix`.
    async fn open_pull_requests(&self, head_prefix: &str) -> Result<Vec<PullRequest>, ForgeError>;

    /// Every pull request whose branch starts with `head_prefix`, in whatever state, that changed at `since` or later. A
    /// product that cannot tell what changed lists what is open and what was closed since.
    async fn changed_pull_requests(
        &self,
        head_prefix: &str,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError>;

    /// Opens a pull request. [`ForgeError::Exists`] where an open one has that branch.
    async fn open(&self, new: &NewPullRequest) -> Result<Opened, ForgeError>;

    /// Wishes again what [`Client::open`] wishes in requests of their own, and tells what could not be done. Twice does no harm.
    async fn wish(&self, number: u64, wishes: &Wishes) -> Vec<ForgeError>;

    /// Changes a pull request, and gives it as it is then.
    async fn update(&self, number: u64, update: &Update) -> Result<PullRequest, ForgeError>;

    /// Adds a comment.
    async fn comment(&self, number: u64, text: &str) -> Result<(), ForgeError>;

    /// Says of `commit` what `status` says, in place of what was said under its name before.
    async fn set_status(&self, commit: &CommitId, status: &Status) -> Result<(), ForgeError>;

    /// Lets the forge merge the pull request once all that it requires is there, if its head is still `head` by then.
    async fn merge_when_ready(
        &self,
        number: u64,
        way: MergeWay,
        head: &CommitId,
    ) -> Result<(), ForgeError>;

    /// Takes back what [`Client::merge_when_ready`] told. Where nothing waits to be merged, nothing is to be done.
    async fn merge_no_more(&self, number: u64) -> Result<(), ForgeError>;

    /// Who approved what stands in the pull request now.
    async fn approvals(&self, number: u64) -> Result<Vec<Approval>, ForgeError>;
}

#[cfg(test)]
#[path = "../../tests/contract/forge.rs"]
mod contract;

#[cfg(test)]
#[path = "../../tests/contract/forge_commits.rs"]
mod made_commits;

#[cfg(test)]
#[path = "../../tests/contract/forge_faults.rs"]
mod faults;

#[cfg(test)]
#[path = "../../tests/contract/forge_products.rs"]
mod products;

#[cfg(test)]
#[path = "../../tests/contract/forge_events.rs"]
mod events_contract;
