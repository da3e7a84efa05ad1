//! That the real Gitea does what the tests of forges build on: pull requests, their reviews and ends, git, webhooks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use bed::gitea::{Account, Gitea, MergeWay};
use bed::{git, program, wait_until};

const BRANCH: &str = "towpath/prod/web";
const FILE: &str = "apps/web/kustomization.yaml";
const TEXT: &str = "newTag: v2\n";

#[tokio::test]
async fn a_pull_request_is_approved_and_merged_by_each_way_and_read_back() {
    let Some(gitea) = Gitea::start() else {
        return;
    };
    for (way, name, told) in [
        (
            MergeWay::Merge,
            "merged",
            (
                2,
                "Merge pull request 'web to v2 in prod' (#1) from towpath/prod/web into main",
            ),
        ),
        (
            MergeWay::Rebase,
            "rebased",
            (1, "write apps/web/kustomization.yaml"),
        ),
        (MergeWay::Squash, "squashed", (1, "web to v2 in prod (#1)")),
    ] {
        let (number, head) = opened(&gitea, name).await;
        gitea
            .commit(&gitea.owner, (name, "main"), ("other", ""))
            .await;
        let open = gitea.pull_request(name, number).await;
        assert_eq!(open["state"], "open");
        assert_eq!(open["merged"], false);
        assert_eq!(open["head"]["ref"], BRANCH);
        assert_eq!(open["head"]["sha"], head.as_str());
        assert_eq!(open["user"]["login"], gitea.bot.name);

        gitea.approve(name, number).await;
        gitea.merge(name, number, way).await;

        let merged = gitea.pull_request(name, number).await;
        assert_eq!(merged["merged"], true);
        assert_eq!(merged["merged_by"]["login"], gitea.owner.name);
        let clone = clone(&gitea, &gitea.bot, name);
        let commit = git(clone.path(), &["rev-parse", "HEAD"]);
        assert_eq!(merged["merge_commit_sha"], commit.as_str());
        let parents = git(clone.path(), &["log", "-1", "--format=%P"]);
        let subject = git(clone.path(), &["log", "-1", "--format=%s"]);
        assert_eq!((parents.split(' ').count(), subject.as_str()), told);
        let is_kept = parents.contains(&head);
        assert_eq!(is_kept, way == MergeWay::Merge);
        let text = std::fs::read_to_string(clone.path().join(FILE)).unwrap();
        assert_eq!(text, TEXT);
        let reviews = format!("repos/{}/{name}/pulls/{number}/reviews", gitea.owner.name);
        assert_eq!(gitea.get(&reviews).await[0]["state"], "APPROVED");
    }
}

#[tokio::test]
async fn one_that_is_closed_is_not_merged_and_its_branch_can_be_deleted_and_pushed_again() {
    let Some(gitea) = Gitea::start() else {
        return;
    };
    let (number, head) = opened(&gitea, "deploy").await;
    let clone = clone(&gitea, &gitea.bot, "deploy");
    gitea.close("deploy", number).await;
    let closed = gitea.pull_request("deploy", number).await;
    assert_eq!(closed["state"], "closed");
    assert_eq!(closed["merged"], false);

    gitea.delete_branch(&gitea.bot, "deploy", BRANCH).await;
    let list = ["ls-remote", "--heads", "origin", BRANCH];
    assert_eq!(git(clone.path(), &list), "");
    let branch = format!("{head}:refs/heads/{BRANCH}");
    git(clone.path(), &["push", "--quiet", "origin", &branch]);
    assert!(git(clone.path(), &list).starts_with(&head));
}

#[tokio::test]
async fn a_webhook_tells_of_a_pull_request_and_is_signed() {
    let Some(gitea) = Gitea::start() else {
        return;
    };
    let (number, _) = opened(&gitea, "deploy").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    gitea.tell("deploy", &url, "hunter2").await;

    gitea.close("deploy", number).await;
    let (head, body) = delivered(&listener);
    let header = |name: &str| {
        let mut pairs = head.iter().filter_map(|line| line.split_once(": "));
        let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.unwrap().1
    };
    assert_eq!(header("x-gitea-event"), "pull_request");
    assert_eq!(header("x-gitea-signature"), signature("hunter2", &body));
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["action"], "closed");
    assert_eq!(told["number"], number);
}

/// A repository with a pull request of the bot's: its number, and the commit at its head.
async fn opened(gitea: &Gitea, repository: &str) -> (u64, String) {
    gitea.create_repository(repository).await;
    gitea.create_branch(&gitea.bot, repository, BRANCH).await;
    let commit = gitea.commit(&gitea.bot, (repository, BRANCH), (FILE, TEXT));
    let commit = commit.await;
    let number = gitea.open(repository, BRANCH, "web to v2 in prod").await;
    (number, commit)
}

/// A clone as `who`, by git itself.
fn clone(gitea: &Gitea, who: &Account, repository: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let login = format!("http://{}:{}@", who.name, who.token);
    let url = gitea.clone_url(repository).replace("http://", &login);
    git(folder.path(), &["clone", "--quiet", &url, "."]);
    folder
}

/// The lines of the next request's head, and its body.
fn delivered(listener: &TcpListener) -> (Vec<String>, Vec<u8>) {
    listener.set_nonblocking(true).unwrap();
    let mut stream = None;
    wait_until("a delivery", || {
        stream = listener.accept().ok().map(|(stream, _)| stream);
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    stream.set_nonblocking(false).unwrap();
    let request = request(&stream);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    request
}

fn request(stream: &TcpStream) -> (Vec<String>, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let lines = reader.by_ref().lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

/// HMAC by SHA-256 in hexadecimal.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut child = Command::new(program("openssl"))
        .args(["dgst", "-sha256", "-hmac", secret, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}
