//! Forges in this process that speak the API of a product, remember what they were told, and can be made to fail.
//!
//! Reading order: this file (what a test may do), `state` (what every product has), then the products' own ways. What a
//! product says is written after its documentation and held against its description; see `tests/contract/forge.rs`.

mod azure;
mod bitbucket;
mod bitbucket_server;
mod gitea;
mod github;
mod gitlab;
mod making;
mod record;
pub(crate) mod server;
mod state;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

pub use server::{Reply, Request};
pub use state::{Branches, End, Pull, Repository, Review, Signs, State, Status, Way, Word};

use server::Sent;

/// How the products call their lists of pull requests.
const LISTS: [&str; 4] = ["pulls", "merge_requests", "pullrequests", "pull-requests"];

/// Which product is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    Github,
    Gitlab,
    Gitea,
    BitbucketCloud,
    BitbucketServer,
    AzureDevops,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing is done, and this is the answer; its body is the product's own shape of an error with these words.
    Refused { status: u16, words: &'static str },
    /// The product's way to say: too many requests, wait so many seconds. Nothing is done.
    Limited { seconds: u64 },
    /// This was the last request of the window, which ends so many seconds later. It is done.
    LastOfWindow { seconds: u64 },
    /// The connection breaks off before anything is done.
    Reset,
    /// It is done, and then the connection breaks off.
    ResetAfter,
    /// Half of the answer, and the connection breaks off.
    Half,
    /// JSON that ends in the middle.
    CutJson,
    /// Nothing is done and nothing answered before the fault is healed.
    Silence,
    /// It is done, and nothing is answered before the fault is healed.
    SilenceAfter,
    /// It is done and answered once the fault is healed.
    Late,
    /// Lists tell what was so when the fault began.
    StaleLists,
    /// This answer, in place of the product's, after it was done.
    Answer(Reply),
}

/// A forge on loopback.
#[must_use = "the forge ends when this is dropped"]
pub struct FakeForge {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    product: Product,
    address: SocketAddr,
    inner: Mutex<Inner>,
    healed: Condvar,
}

struct Inner {
    state: State,
    /// The state that lists tell of, where they lag.
    stale: Option<BTreeMap<String, Repository>>,
    /// What goes wrong, and how often still.
    fault: Option<(Fault, u32)>,
    /// How many requests go well before.
    spared: usize,
    /// The requests that wait for the fault to be healed.
    waiting: Vec<String>,
    requests: Vec<String>,
    /// Answers that said that nothing changed.
    unchanged: usize,
    is_over: bool,
}

impl FakeForge {
    /// What requests have to show.
    pub const TOKEN: &str = "s3cret-token";

    /// The user that the token belongs to.
    pub const USER: &str = "towpath-bot";

    pub fn start(product: Product) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener has an address");
        let shared = Arc::new(Shared {
            product,
            address,
            inner: Mutex::new(Inner {
                state: State::default(),
                stale: None,
                fault: None,
                spared: 0,
                waiting: Vec::new(),
                requests: Vec::new(),
                unchanged: 0,
                is_over: false,
            }),
            healed: Condvar::new(),
        });
        let answering = Arc::clone(&shared);
        let answer: Arc<dyn Fn(Request) -> Sent + Send + Sync> =
            Arc::new(move |request| answering.answer(&request));
        let ending = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ending.inner().is_over {
                    return;
                }
                server::serve_one(stream, Arc::clone(&answer));
            }
        });
        Self { address, shared }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The root of the API.
    pub fn api(&self) -> String {
        let path = match self.shared.product {
            Product::Github => "/api/v3",
            Product::Gitlab => "/api/v4",
            Product::Gitea => "/api/v1",
            Product::BitbucketCloud => "/2.0",
            Product::BitbucketServer => "/rest/api/latest",
            Product::AzureDevops => "",
        };
        format!("http://{}{path}", self.address)
    }

    /// Makes something go wrong, so many times.
    pub fn fail(&self, fault: Fault, times: u32) {
        let mut inner = self.shared.inner();
        if let Fault::StaleLists = fault {
            let mut repositories = inner.state.repositories.clone();
            repositories.values_mut().for_each(Repository::freeze);
            inner.stale = Some(repositories);
            return;
        }
        inner.fault = Some((fault, times));
        inner.spared = 0;
    }

    /// The same after so many requests that go well.
    pub fn fail_after(&self, spared: usize, fault: Fault, times: u32) {
        self.fail(fault, times);
        self.shared.inner().spared = spared;
    }

    /// The first request that waits for the fault to be healed, if one does.
    pub fn waiting(&self) -> Option<String> {
        self.shared.inner().waiting.first().cloned()
    }

    /// Ends what goes wrong.
    pub fn heal(&self) {
        let mut inner = self.shared.inner();
        inner.fault = None;
        inner.waiting.clear();
        inner.stale = None;
        self.shared.healed.notify_all();
    }

    /// The requests since the last time, as `GET /path?query`.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.inner().requests)
    }

    /// How many answers since the last time said that nothing changed.
    pub fn take_unchanged(&self) -> usize {
        std::mem::take(&mut self.shared.inner().unchanged)
    }

    /// The most that stands on a page from now on.
    pub fn set_page_size_max(&self, most: usize) {
        self.shared.inner().state.page_size_max = most;
    }

    /// What time it is, in seconds since 1970; each change takes one.
    pub fn set_clock(&self, seconds: i64) {
        self.shared.inner().state.clock = seconds;
    }

    pub fn clock(&self) -> i64 {
        self.shared.inner().state.clock
    }

    /// Makes a person known.
    pub fn know(&self, login: &str) {
        let mut inner = self.shared.inner();
        inner.state.people.insert(login.to_owned());
    }

    /// A repository, made if there is none: without branches until it is told of some.
    pub fn repository(&self, path: &str) -> FakeRepository<'_> {
        self.shared.inner().state.repository(path);
        FakeRepository {
            shared: &self.shared,
            path: path.to_owned(),
        }
    }
}

impl Drop for FakeForge {
    fn drop(&mut self) {
        self.heal();
        self.shared.inner().is_over = true;
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// What a person does in a repository on a forge.
pub struct FakeRepository<'a> {
    shared: &'a Shared,
    path: String,
}

impl FakeRepository<'_> {
    /// Has its branches in this bare repository from now on.
    pub fn keep_branches_in(&self, folder: &Path) {
        self.change(|_, repository| repository.branches = Branches::Git(folder.to_owned()));
    }

    /// Lets a branch stand at `commit`.
    pub fn push(&self, branch: &str, commit: &str) {
        self.change(|now, repository| {
            let Branches::Told(heads) = &mut repository.branches else {
                panic!("the branches are in a git repository");
            };
            heads.insert(branch.to_owned(), commit.to_owned());
            let of_branch = |pull: &&mut Pull| pull.end == End::Open && pull.head == branch;
            for pull in repository.pulls.values_mut().filter(of_branch) {
                pull.updated = now;
            }
        });
    }

    pub fn delete_branch(&self, branch: &str) {
        self.change(|_, repository| {
            repository.look();
            match &mut repository.branches {
                Branches::Told(heads) => {
                    heads.remove(branch);
                }
                Branches::Git(folder) => {
                    let name = format!("refs/heads/{branch}");
                    crate::git(folder, &["update-ref", "-d", &name]);
                }
            }
        });
    }

    pub fn add_label(&self, name: &str) {
        self.change(|_, repository| repository.labels.insert(name.to_owned()));
    }

    pub fn add_milestone(&self, title: &str) {
        self.change(|_, repository| repository.milestones.push(title.to_owned()));
    }

    /// Whether merges wait for something.
    pub fn require_checks(&self, requires_checks: bool) {
        self.change(|_, repository| repository.requires_checks = requires_checks);
    }

    /// Lets a check that is not required fail, or pass.
    pub fn fail_a_check(&self, has_failed: bool) {
        self.change(|_, repository| repository.has_failed = has_failed);
    }

    /// What it signs of what it is asked to commit.
    pub fn sign(&self, signs: Signs) {
        self.change(|_, repository| repository.signs = signs);
    }

    /// Lets merges be made by rebasing.
    pub fn rebase_always(&self) {
        self.change(|_, repository| repository.always_rebases = true);
    }

    /// Opens a pull request by hand.
    pub fn open(&self, head: &str, base: &str) -> u64 {
        self.change(|now, repository| repository.open(now, (head, base)).number)
    }

    /// Opens one from a fork, with a branch of the same name there.
    pub fn open_from_fork(&self, head: &str, base: &str) -> u64 {
        self.change(|now, repository| {
            let pull = repository.open(now, (head, base));
            pull.is_from_fork = true;
            pull.head_commit = "f".repeat(40);
            pull.number
        })
    }

    /// Merges, and gives the commit of the base that has it.
    pub fn merge(&self, number: u64, by: &str, way: Way) -> String {
        let merged = self.change(|now, repository| repository.merge(number, way, (by, now)));
        merged.expect("the pull request is open and its branch is there")
    }

    pub fn close(&self, number: u64, by: &str) {
        let by = by.to_owned();
        self.touch(number, |now, pull| pull.end = End::Closed { by, at: now });
    }

    pub fn reopen(&self, number: u64) {
        self.touch(number, |_, pull| pull.end = End::Open);
    }

    pub fn retitle(&self, number: u64, title: &str) {
        self.touch(number, |_, pull| pull.title = title.to_owned());
    }

    /// Takes its labels off, and the order to merge it.
    pub fn take_back(&self, number: u64) {
        self.touch(number, |_, pull| {
            pull.labels.clear();
            pull.auto_merge = None;
        });
    }

    /// Writes its body anew.
    pub fn rewrite(&self, number: u64, body: &str) {
        self.touch(number, |_, pull| pull.body = body.to_owned());
    }

    /// Says something about what stands in the pull request now.
    pub fn review(&self, number: u64, by: &str, word: Word) {
        self.change(|now, repository| {
            repository.look();
            let id = repository.new_number();
            let pull = repository.pulls.get_mut(&number).expect("it was opened");
            pull.updated = now;
            pull.reviews.push(Review {
                id,
                by: by.to_owned(),
                word,
                is_dismissed: false,
                commit: pull.head_commit.clone(),
                at: now,
            });
        });
    }

    /// Dismisses what a person said.
    pub fn dismiss(&self, number: u64, by: &str) {
        self.touch(number, |_, pull| {
            let of_person = |review: &&mut Review| review.by == by;
            for review in pull.reviews.iter_mut().filter(of_person) {
                review.is_dismissed = true;
            }
        });
    }

    /// A pull request as it is.
    pub fn pull(&self, number: u64) -> Pull {
        let mut inner = self.shared.inner();
        let repository = inner.state.repository(&self.path);
        repository.look();
        repository.pulls[&number].clone()
    }

    /// The numbers of those that are open.
    pub fn open_ones(&self) -> Vec<u64> {
        let mut inner = self.shared.inner();
        let all = inner.state.repository(&self.path).pulls.values();
        let open = all.filter(|pull| pull.end == End::Open);
        open.map(|pull| pull.number).collect()
    }

    /// How many pull requests there are, in whatever state.
    pub fn count(&self) -> usize {
        self.shared.inner().state.repository(&self.path).pulls.len()
    }

    /// What was said of a commit, by name.
    pub fn statuses(&self, commit: &str) -> BTreeMap<String, Status> {
        let mut inner = self.shared.inner();
        let all = &inner.state.repository(&self.path).statuses;
        let of_commit = all.iter().filter(|((of, _), _)| of == commit);
        of_commit
            .map(|((_, name), status)| (name.clone(), status.clone()))
            .collect()
    }

    fn touch(&self, number: u64, change: impl FnOnce(i64, &mut Pull)) {
        self.change(|now, repository| {
            let pull = repository.pulls.get_mut(&number).expect("it was opened");
            pull.updated = now;
            pull.version += 1;
            change(now, pull);
        });
    }

    fn change<T>(&self, change: impl FnOnce(i64, &mut Repository) -> T) -> T {
        let mut inner = self.shared.inner();
        let now = inner.state.tick();
        change(now, inner.state.repository(&self.path))
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Sent {
        let mut inner = self.inner();
        let line = format!("{} {}", request.method, request.target);
        inner.requests.push(line.clone());
        let fault = inner.take_fault();
        match fault {
            None | Some(Fault::StaleLists) => {
                let reply = self.reply(&mut inner, request);
                record::write(self.product, request, &reply);
                Sent::Whole(reply)
            }
            Some(Fault::Refused { status, words }) => Sent::Whole(self.refusal(status, words)),
            Some(Fault::Limited { seconds }) => Sent::Whole(self.limited(seconds)),
            Some(Fault::LastOfWindow { seconds }) => {
                let reset = inner.state.clock + i64::try_from(seconds).unwrap_or(0);
                let reply = self.reply(&mut inner, request);
                let reply = reply.with("x-ratelimit-remaining", 0);
                let reply = reply.with("x-ratelimit-reset", reset);
                Sent::Whole(reply.with("date", date(inner.state.clock)))
            }
            Some(Fault::Reset) => Sent::Nothing,
            Some(Fault::ResetAfter) => {
                self.reply(&mut inner, request);
                Sent::Nothing
            }
            Some(Fault::Half) => Sent::Half(self.reply(&mut inner, request)),
            Some(Fault::CutJson) => Sent::CutJson(self.reply(&mut inner, request)),
            Some(Fault::Answer(reply)) => {
                self.reply(&mut inner, request);
                Sent::Whole(reply)
            }
            Some(fault @ (Fault::Silence | Fault::SilenceAfter | Fault::Late)) => {
                if let Fault::SilenceAfter = fault {
                    self.reply(&mut inner, request);
                }
                inner.waiting.push(line);
                while inner.fault.is_some() {
                    let waited = self.healed.wait(inner);
                    inner = waited.unwrap_or_else(PoisonError::into_inner);
                }
                match fault {
                    Fault::Late => Sent::Whole(self.reply(&mut inner, request)),
                    _ => Sent::Nothing,
                }
            }
        }
    }

    /// What the product says, by its present state, or for lists by the one that it lags behind in.
    fn reply(&self, inner: &mut Inner, request: &Request) -> Reply {
        let root = format!("http://{}", self.address);
        let is_list = request.method == "GET"
            && request
                .path
                .last()
                .is_some_and(|last| LISTS.contains(&&**last));
        let reply = match inner.stale.clone().filter(|_| is_list) {
            Some(repositories) => {
                let mut stale = State {
                    repositories,
                    people: inner.state.people.clone(),
                    ..State::default()
                };
                self.product.answer(&mut stale, request, &root)
            }
            None => self.product.answer(&mut inner.state, request, &root),
        };
        let reply = self.product.named(request, reply);
        inner.unchanged += usize::from(reply.status == 304);
        reply
    }

    fn refusal(&self, status: u16, words: &str) -> Reply {
        match self.product {
            Product::Github => github::refusal(status, words),
            Product::Gitlab => gitlab::refusal(status, words),
            Product::Gitea => gitea::refusal(status, words),
            Product::BitbucketCloud => bitbucket::refusal(status, words),
            Product::BitbucketServer => bitbucket_server::refusal(status, words),
            Product::AzureDevops => azure::refusal(status, words),
        }
    }

    fn limited(&self, seconds: u64) -> Reply {
        let words = "You have exceeded a secondary rate limit.";
        let reply = match self.product {
            Product::Github => github::refusal(403, words),
            Product::Gitlab
            | Product::Gitea
            | Product::BitbucketCloud
            | Product::BitbucketServer
            | Product::AzureDevops => self.refusal(429, "Too Many Requests"),
        };
        reply.with("retry-after", seconds)
    }
}

impl Inner {
    fn take_fault(&mut self) -> Option<Fault> {
        let (fault, times) = self.fault.as_mut()?;
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        let found = fault.clone();
        if let Fault::Silence | Fault::SilenceAfter | Fault::Late = found {
            return Some(found);
        }
        *times -= 1;
        if *times == 0 {
            self.fault = None;
        }
        Some(found)
    }
}

impl Product {
    fn answer(self, state: &mut State, request: &Request, root: &str) -> Reply {
        match self {
            Self::Github => github::answer(state, request, root),
            Self::Gitlab => gitlab::answer(state, request, root),
            Self::Gitea => gitea::answer(state, request, root),
            Self::BitbucketCloud => bitbucket::answer(state, request, root),
            Self::BitbucketServer => bitbucket_server::answer(state, request, root),
            Self::AzureDevops => azure::answer(state, request, root),
        }
    }

    /// Gives what was read a name by which it is known again, where the product does.
    fn named(self, request: &Request, reply: Reply) -> Reply {
        let has_names = match self {
            Self::Github | Self::Gitlab => true,
            Self::Gitea | Self::BitbucketCloud | Self::BitbucketServer | Self::AzureDevops => false,
        };
        if !has_names || request.method != "GET" || reply.status != 200 {
            return reply;
        }
        let etag = format!("W/\"{:016x}\"", fingerprint(&format!("{:?}", reply.body)));
        let reply = reply.with("etag", &etag);
        match request.header("if-none-match") == Some(&etag) {
            true => Reply {
                status: 304,
                body: None,
                ..reply
            },
            false => reply,
        }
    }
}

/// FNV, <https://datatracker.ietf.org/doc/html/rfc9923>.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// `2026-09-21T14:13:20Z`.
fn stamp(seconds: i64) -> String {
    moment(seconds).to_string()
}

/// `Mon, 21 Sep 2026 14:13:20 GMT`.
fn date(seconds: i64) -> String {
    moment(seconds)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("tests stay within the calendar")
}
