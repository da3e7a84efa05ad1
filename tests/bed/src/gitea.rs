//! Gitea, a forge: repositories over HTTP, pull requests with reviews, webhooks.
//!
//! As everywhere, it works in the background: a pull request that was opened just now cannot be merged for a moment.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::built;
use crate::process::{Process, READY_WITHIN, free_port};
use crate::push::client;
use crate::registry::{PASSWORD, folder};

const OWNER: &str = "ada";
const BOT: &str = "bot";

/// Branches and pull requests, their comments and labels, and whose token it is:
/// <https://docs.gitea.com/development/oauth2-provider#scopes>.
const BOT_SCOPES: &str = "write:repository,write:issue,read:user";

/// The name of its settings, in its folder.
const SETTINGS: &str = "gitea.ini";

/// Addresses that were given out in this process, from `127.0.0.2` on.
static GIVEN_OUT: AtomicU8 = AtomicU8::new(0);

/// A running Gitea with two users and no repository.
#[must_use = "the server ends when this is dropped"]
pub struct Gitea {
    process: Option<Process>,
    program: PathBuf,
    folder: TempDir,
    client: Client,
    address: SocketAddr,
    /// Where it is: `http://127.0.0.2:41213`.
    pub url: String,
    /// Has every right, owns the repositories, and reviews.
    pub owner: Account,
    /// May push to the repositories and open pull requests, and has a token for just that.
    pub bot: Account,
}

/// A user, and the token of theirs.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: &'static str,
    pub token: String,
}

/// How a pull request becomes part of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeWay {
    Merge,
    Rebase,
    Squash,
}

impl Gitea {
    /// A Gitea at an address that no other in this process has, or `None` where it is left out on purpose.
    pub fn start() -> Option<Self> {
        let program = built("gitea")?;
        let folder = folder();
        let last = 2 + GIVEN_OUT.fetch_add(1, Ordering::Relaxed) % 250;
        let address = SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), free_port());
        let settings = write_settings(folder.path(), &program, address);
        let process = start(&program, folder.path(), address);
        let account = |name, more: &[&str]| create_account(&program, &settings, (name, more));
        Some(Self {
            owner: account(OWNER, &["--admin", "--access-token-scopes", "all"]),
            bot: account(BOT, &["--access-token-scopes", BOT_SCOPES]),
            process: Some(process),
            program,
            folder,
            client: client(None),
            address,
            url: format!("http://{address}"),
        })
    }

    /// Ends Gitea; all that it has stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts what [`Gitea::stop`] ended, at the same address.
    pub fn resume(&mut self) {
        let process = start(&self.program, self.folder.path(), self.address);
        self.process = Some(process);
    }

    /// Where a repository lies; hooks of a test's own belong in `hooks/NAME.d`, beside Gitea's.
    pub fn folder(&self, repository: &str) -> PathBuf {
        let repositories = self.folder.path().join("data/gitea-repositories");
        repositories.join(OWNER).join(format!("{repository}.git"))
    }

    /// Where git finds a repository.
    pub fn clone_url(&self, repository: &str) -> String {
        format!("{}/{OWNER}/{repository}.git", self.url)
    }

    /// Makes a repository whose branch `main` has one commit, and lets the bot push to it.
    pub async fn create_repository(&self, name: &str) {
        let body = json!({ "name": name, "auto_init": true });
        self.ask(&self.owner, Method::POST, "user/repos", &body)
            .await;
        let path = self.path(name, &format!("collaborators/{BOT}"));
        let body = json!({ "permission": "write" });
        self.ask(&self.owner, Method::PUT, &path, &body).await;
    }

    /// Makes a branch where `main` is.
    pub async fn create_branch(&self, who: &Account, repository: &str, name: &str) {
        let path = self.path(repository, "branches");
        let body = json!({ "new_branch_name": name, "old_ref_name": "main" });
        self.ask(who, Method::POST, &path, &body).await;
    }

    pub async fn delete_branch(&self, who: &Account, repository: &str, name: &str) {
        let path = self.path(repository, &format!("branches/{name}"));
        self.ask(who, Method::DELETE, &path, &Value::Null).await;
    }

    /// Writes a file on a branch and gives the commit.
    pub async fn commit(
        &self,
        who: &Account,
        (repository, branch): (&str, &str),
        (file, text): (&str, &str),
    ) -> String {
        let change = json!({
            "operation": "upload",
            "path": file,
            "content": STANDARD.encode(text),
        });
        let body =
            json!({ "branch": branch, "message": format!("write {file}"), "files": [change] });
        let path = self.path(repository, "contents");
        let answer = self.ask(who, Method::POST, &path, &body).await;
        text_of(&answer["commit"]["sha"])
    }

    /// Opens a pull request of the bot's, from `head` to `main`, and gives its number.
    pub async fn open(&self, repository: &str, head: &str, title: &str) -> u64 {
        let body = json!({ "base": "main", "head": head, "title": title });
        let path = self.path(repository, "pulls");
        let answer = self.ask(&self.bot, Method::POST, &path, &body).await;
        answer["number"]
            .as_u64()
            .expect("a pull request has a number")
    }

    /// A pull request as Gitea tells of it.
    pub async fn pull_request(&self, repository: &str, number: u64) -> Value {
        let path = self.path(repository, &format!("pulls/{number}"));
        self.get(&path).await
    }

    /// Approves a pull request as the owner.
    pub async fn approve(&self, repository: &str, number: u64) {
        let path = self.path(repository, &format!("pulls/{number}/reviews"));
        let body = json!({ "event": "APPROVED", "body": "looks good" });
        self.ask(&self.owner, Method::POST, &path, &body).await;
    }

    /// Merges a pull request as the owner, as soon as Gitea has found out whether it can be.
    pub async fn merge(&self, repository: &str, number: u64, way: MergeWay) {
        let path = self.path(repository, &format!("pulls/{number}/merge"));
        let body = json!({ "do": way.name() });
        let start = Instant::now();
        loop {
            let answer = self.send(&self.owner, Method::POST, &path, &body).await;
            let is_early = answer.status() == StatusCode::METHOD_NOT_ALLOWED;
            let Err(words) = read(answer).await else {
                return;
            };
            let is_early = is_early && words.contains("try again later");
            assert!(is_early && start.elapsed() < READY_WITHIN, "{words}");
        }
    }

    /// Closes a pull request as the owner, unmerged.
    pub async fn close(&self, repository: &str, number: u64) {
        let path = self.path(repository, &format!("pulls/{number}"));
        let body = json!({ "state": "closed" });
        self.ask(&self.owner, Method::PATCH, &path, &body).await;
    }

    /// Lets Gitea tell `url` of pushes, pull requests and reviews, signed by `secret`.
    pub async fn tell(&self, repository: &str, url: &str, secret: &str) {
        let body = json!({
            "type": "gitea",
            "active": true,
            "config": { "url": url, "content_type": "json", "secret": secret },
            "events": ["push", "pull_request", "pull_request_review"],
        });
        let path = self.path(repository, "hooks");
        self.ask(&self.owner, Method::POST, &path, &body).await;
    }

    /// What the API has at `path`, for the owner.
    pub async fn get(&self, path: &str) -> Value {
        self.ask(&self.owner, Method::GET, path, &Value::Null).await
    }

    /// What the API answers to `who`; a refusal fails the test.
    pub async fn ask(&self, who: &Account, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.send(who, method, path, body).await;
        read(answer).await.unwrap_or_else(|words| panic!("{words}"))
    }

    async fn send(&self, who: &Account, method: Method, path: &str, body: &Value) -> Response {
        let url = format!("{}/api/v1/{path}", self.url);
        let request = self.client.request(method, url);
        let request = request.header("authorization", format!("token {}", who.token));
        let request = match body {
            Value::Null => request,
            body => request.json(body),
        };
        request.send().await.expect("Gitea answers")
    }

    fn path(&self, repository: &str, rest: &str) -> String {
        format!("repos/{OWNER}/{repository}/{rest}")
    }
}

impl MergeWay {
    fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Rebase => "rebase",
            Self::Squash => "squash",
        }
    }
}

fn start(program: &Path, folder: &Path, address: SocketAddr) -> Process {
    let mut command = Command::new(program);
    command.args(["web", "--config"]).arg(folder.join(SETTINGS));
    let process = Process::start(command, &folder.join("log"));
    process.wait_until("Gitea to listen", || TcpStream::connect(address).is_ok());
    process
}

fn write_settings(folder: &Path, program: &Path, address: SocketAddr) -> PathBuf {
    let beside = program.parent().expect("a program is in a folder");
    let settings = include_str!("gitea.ini")
        .replace("{folder}", &folder.display().to_string())
        .replace("{static}", &beside.display().to_string())
        .replace("{ip}", &address.ip().to_string())
        .replace("{port}", &address.port().to_string());
    let file = folder.join(SETTINGS);
    std::fs::write(&file, settings).expect("the folder can be written");
    file
}

/// Makes a user and a token, beside the running server.
fn create_account(
    program: &Path,
    settings: &Path,
    (name, more): (&'static str, &[&str]),
) -> Account {
    let mut command = Command::new(program);
    command
        .args(["admin", "user", "create", "--config"])
        .arg(settings);
    command.args([
        "--username",
        name,
        "--email",
        &format!("{name}@example.com"),
    ]);
    command.args(["--password", PASSWORD, "--must-change-password=false"]);
    command
        .args(["--access-token", "--access-token-name", "bed"])
        .args(more);
    let output = command.output().expect("Gitea can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told = String::from_utf8_lossy(&output.stdout);
    let token = told.split_whitespace().next_back().unwrap_or_default();
    Account {
        name,
        token: token.to_owned(),
    }
}

/// What was answered, or a refusal in words.
async fn read(answer: Response) -> Result<Value, String> {
    let (status, url) = (answer.status(), answer.url().to_string());
    let text = answer.text().await.expect("Gitea's answer is text");
    if !status.is_success() {
        return Err(format!("Gitea answered {status} at {url}: {text}"));
    }
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("Gitea sends a text").to_owned()
}
