//! What a mirror promises, held against a path, plain HTTP, and TLS with a password alike.
//!
//! Not here: figures (`git_figures.rs`).

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bed::{GitServer, create_bare, git, import, install_hook, wait_until};
use jiff::Timestamp;
use tempfile::TempDir;

use super::fetch::{FetchError, Head};
use super::http::RemoteError;
use super::metrics;
use super::reach::{Asked, Reach, reach};
use super::store::OpenError;
use super::{
    Entry, History, LoggedCommit, Maker, Mirror, Most, NewCommit, Person, Push, PushError, Pushed,
    ReadError, Remote, RemoteUrl,
};
use crate::login::{Clock, Source};
use crate::manifest::{CommitId, RepoPath};
use crate::secret::{Credentials, Secret};

const KUSTOMIZATION: &str = "apps/web/overlays/dev/kustomization.yaml";

/// A server and one repository on it for each way to speak to it.
pub(super) struct Ground {
    server: GitServer,
    folder: TempDir,
}

/// One repository, spoken to in one way.
pub(super) struct Place {
    pub(super) way: &'static str,
    /// The repository at the server.
    pub(super) bare: PathBuf,
    pub(super) remote: Remote,
    mirror: PathBuf,
}

impl Ground {
    pub(super) fn new() -> Self {
        // The second test of a process finds the provider installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), GitServer::PASSWORD).unwrap();
        let server = GitServer::start();
        Self { server, folder }
    }

    fn place(&self, way: &'static str) -> Place {
        let name = format!("{way}.git");
        let bare = self.server.create(&name);
        let url = match way {
            "local" => bare.display().to_string(),
            "http" => self.server.http(&name),
            "https" => self.server.https(&name),
            other => unreachable!("{other}"),
        };
        let mut remote = self.remote(&url);
        if way == "https" {
            remote.ca_file = Some(self.server.ca_file().to_owned());
            remote.credentials = Some(Source::from(Credentials::Basic {
                username: GitServer::USER.to_owned(),
                password: Secret::File(self.folder.path().join("password")),
            }));
        }
        let mirror = self.folder.path().join(way);
        Place {
            way,
            bare,
            remote,
            mirror,
        }
    }

    fn remote(&self, url: &str) -> Remote {
        Remote::new(
            "deploy".to_owned(),
            match url.starts_with('/') {
                true => RemoteUrl::Local(url.into()),
                false => RemoteUrl::http(url.parse().unwrap()),
            },
            Clock::default(),
        )
    }

    /// The same repository content in each way.
    pub(super) fn seeded(&self) -> Vec<Place> {
        let places = ["local", "http", "https"].map(|way| self.place(way));
        for place in &places {
            import(&place.bare, seed().as_bytes());
        }
        places.into()
    }

    /// The folder of a place's mirror.
    pub(super) fn mirror_of(&self, place: &Place) -> PathBuf {
        self.elsewhere(place.way).join("mirror.git")
    }

    fn elsewhere(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Place {
    pub(super) fn open(&self) -> Mirror {
        let open = || Mirror::open(self.remote.clone(), self.mirror.clone());
        // A program that another test starts holds a copy of every lock for the moment between its fork and its exec.
        let start = Instant::now();
        loop {
            match open() {
                Err(OpenError::InUse { .. }) if start.elapsed() < Duration::from_secs(5) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => return opened.unwrap(),
            }
        }
    }

    pub(super) fn head(&self) -> CommitId {
        git(&self.bare, &["rev-parse", "main"]).parse().unwrap()
    }
}

pub(super) fn seed() -> String {
    let mut stream = String::from("feature done\n");
    for (number, content) in ["newTag: v1\n", "newTag: v2\n"].iter().enumerate() {
        let message = format!("change {number}");
        write!(
            stream,
            "commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\ndata {}\n{message}\n",
            1_700_000_000 + number,
            message.len()
        )
        .unwrap();
        for (mode, path, data) in [
            ("100644", KUSTOMIZATION, *content),
            ("100755", "bin/run", "#!/bin/sh\n"),
            ("120000", "apps/link", "web"),
            ("120000", "outside", "/etc/passwd"),
        ] {
            write!(
                stream,
                "M {mode} inline {path}\ndata {}\n{data}\n",
                data.len()
            )
            .unwrap();
        }
        writeln!(
            stream,
            "M 160000 1f7a7a472abf3dd9643fd615f6da379c4acb3e3a vendored\n"
        )
        .unwrap();
    }
    stream.push_str("done\n");
    stream
}

pub(super) fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

pub(super) fn commit(message: &str, files: &[(&str, &str)]) -> NewCommit {
    let ada = Person {
        name: "Ada".to_owned(),
        email: "ada@example.com".to_owned(),
    };
    NewCommit {
        message: message.to_owned(),
        maker: Maker::Us {
            author: ada.clone(),
            committer: ada,
            time: Timestamp::from_second(1_767_225_600).unwrap(),
        },
        files: files
            .iter()
            .map(|(file, bytes)| (path(file), bytes.as_bytes().to_vec()))
            .collect(),
    }
}

pub(super) fn push_of(base: &CommitId, commits: Vec<NewCommit>) -> Push {
    Push {
        branch: "main".to_owned(),
        expected: Some(base.clone()),
        parent: base.clone(),
        commits,
        options: Vec::new(),
    }
}

pub(super) async fn head_of(mirror: &Mirror) -> CommitId {
    let heads = mirror.fetch(&["main".to_owned()], &[]).await.unwrap();
    heads["main"].commit().unwrap().clone()
}

async fn bytes_of(mirror: &Mirror, commit: &CommitId, file: &str) -> String {
    let mut entries = mirror.read(commit.clone(), vec![path(file)]).await.unwrap();
    match entries.remove(&path(file)) {
        Some(Entry::File { bytes }) => String::from_utf8(bytes).unwrap(),
        other => panic!("{file} is {other:?}"),
    }
}

pub(super) async fn history_of(mirror: &Mirror, head: &CommitId) -> Vec<LoggedCommit> {
    match mirror.log(head.clone(), None, usize::MAX).await.unwrap() {
        History::Whole(commits) | History::Since(commits) | History::Cut(commits) => commits,
    }
}

pub(super) fn done(pushed: Pushed) -> Vec<CommitId> {
    match pushed {
        Pushed::Done { ids } => ids,
        moved @ Pushed::Moved { .. } => panic!("{moved:?}"),
    }
}

/// The error and all that caused it, as people see it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        write!(text, ": {inner}").unwrap();
        source = inner.source();
    }
    text
}

#[tokio::test]
async fn a_commit_that_is_older_than_its_parent_by_the_clocks_is_told_before_it_all_the_same() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let mut commits = ["ahead", "behind"].map(|message| commit(message, &[("x", message)]));
        let Maker::Us { time, .. } = &mut commits[1].maker else {
            panic!("{commits:?}");
        };
        *time = Timestamp::from_second(1_600_000_000).unwrap();
        let ids = done(mirror.push(push_of(&base, commits.to_vec())).await.unwrap());
        let log = mirror.log(ids[1].clone(), None, 10).await.unwrap();
        let History::Whole(log) = log else {
            panic!("{log:?}");
        };
        let messages: Vec<_> = log.iter().map(|commit| commit.message.trim()).collect();
        assert_eq!(messages, ["behind", "ahead", "change 1", "change 0"]);
    }
}

#[tokio::test]
async fn a_fetched_commit_can_be_read_and_its_history_told() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        assert_eq!(head, place.head(), "{}", place.way);
        assert_eq!(
            bytes_of(&mirror, &head, KUSTOMIZATION).await,
            "newTag: v2\n"
        );

        let History::Whole(log) = mirror.log(head.clone(), None, 10).await.unwrap() else {
            panic!("nothing was known");
        };
        let messages: Vec<_> = log.iter().map(|commit| commit.message.as_str()).collect();
        assert_eq!(messages, ["change 1", "change 0"]);
        assert_eq!(log[0].time.as_second(), 1_700_000_001);
        assert_eq!(log[0].author.email, "ada@example.com");
        let newest = mirror.log(head.clone(), Some(log[1].id.clone()), 10).await;
        let newest_alone = log[..1].to_vec();
        assert_eq!(newest.unwrap(), History::Since(newest_alone.clone()));
        let same = mirror.log(head.clone(), Some(head.clone()), 10).await;
        assert_eq!(same.unwrap(), History::Since(Vec::new()));
        let first = log[1].id.clone();
        let rewritten = mirror.log(first, Some(head.clone()), 10).await;
        assert_eq!(rewritten.unwrap(), History::Whole(log[1..].to_vec()));
        let bounded = mirror.log(head, None, 1).await;
        assert_eq!(bounded.unwrap(), History::Cut(newest_alone));
    }
}

#[tokio::test]
async fn a_fetch_that_finds_nothing_new_is_one_request() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let before = ground.server.requests().len();
        assert_eq!(head_of(&mirror).await, head);
        let requests = ground.server.requests().split_off(before);
        match place.way {
            "local" => assert_eq!(requests, [""; 0]),
            way => assert_eq!(
                requests,
                [format!(
                    "GET /{way}.git/info/refs?service=git-upload-pack 200"
                )]
            ),
        }
    }
}

#[tokio::test]
async fn folders_are_listed_without_files_links_and_submodules() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let folders = async |parent: &str| {
            let folders = mirror.folders(head.clone(), path(parent)).await.unwrap();
            folders.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(folders(".").await, "apps bin");
        assert_eq!(folders("apps").await, "web");
        for nothing in ["bin", "apps/link", "vendored", "apps/nowhere", "bin/run"] {
            assert_eq!(folders(nothing).await, "", "{nothing}");
        }
    }
}

#[tokio::test]
async fn a_symlink_is_reported_and_never_followed() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let expected = [
            ("apps/link", Entry::Symlink),
            ("apps/link/overlays/dev/kustomization.yaml", Entry::Symlink),
            ("outside", Entry::Symlink),
            ("vendored", Entry::Submodule),
            ("vendored/file.yaml", Entry::Submodule),
            ("apps", Entry::Folder),
            (".", Entry::Folder),
            ("apps/api", Entry::Missing),
            ("bin/run/deeper", Entry::Missing),
        ];
        let paths = expected.iter().map(|(text, _)| path(text)).collect();
        let entries = mirror.read(head.clone(), paths).await.unwrap();
        for (text, entry) in expected {
            assert_eq!(entries[&path(text)], entry, "{text}");
        }
        for file in [
            "apps/link/x.yaml",
            "apps/link",
            "vendored/x",
            "bin/run/x",
            "apps",
        ] {
            let push = push_of(&head, vec![commit("no", &[(file, "x")])]);
            let error = mirror.push(push).await.unwrap_err();
            assert!(
                matches!(error, PushError::NotAFile { .. }),
                "{file}: {error:?}"
            );
        }
        assert_eq!(place.head(), head);
    }
}

#[tokio::test]
async fn all_regular_files_below_a_folder_are_read_unless_they_are_too_many() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let below = async |folder: &str, files, bytes| {
            let most = Most { files, bytes };
            let below = mirror.below((head.clone(), path(folder)), most);
            below.await.unwrap()
        };
        let all = below(".", 9, 1_000).await.unwrap();
        let sizes: usize = all.values().map(Vec::len).sum();
        let count = all.len();
        assert_eq!(all[&path(KUSTOMIZATION)], b"newTag: v2\n");
        assert!(all.keys().eq(&[path(KUSTOMIZATION), path("bin/run")]));
        let apps = below("apps/web/", 9, 1_000).await.unwrap();
        assert!(apps.keys().eq(&[path(KUSTOMIZATION)]), "{apps:?}");
        assert!(below(".", count, sizes).await.is_some());
        assert_eq!(below(".", count - 1, sizes).await, None);
        assert_eq!(below(".", count, sizes - 1).await, None);
        for folder in ["missing", "outside", "vendored", "apps/link", KUSTOMIZATION] {
            assert_eq!(below(folder, 9, 1_000).await.unwrap().len(), 0, "{folder}");
        }
        let unknown: CommitId = "0".repeat(40).parse().unwrap();
        let most = Most { files: 9, bytes: 9 };
        let refused = mirror.below((unknown, path(".")), most).await.unwrap_err();
        assert!(matches!(refused, ReadError::UnknownCommit { .. }));
    }
}

#[tokio::test]
async fn folders_without_an_end_in_breadth_or_depth_are_too_much_and_end_nothing() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let repository = git2::Repository::open(&place.bare).unwrap();
        let tree_of = |names: &[String], below: git2::Oid| {
            let mut builder = repository.treebuilder(None).unwrap();
            for name in names {
                builder.insert(name, below, 0o040_000).unwrap();
            }
            builder.write().unwrap()
        };
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        // Ten trees, and 10,000,000,000 folders.
        let ten: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let wide = (0..10).fold(empty, |below, _| tree_of(&ten, below));
        let deep = (0..1_500).fold(empty, |below, _| tree_of(&["d".to_owned()], below));
        for tree in [wide, deep] {
            let parent = repository
                .find_commit(base.as_str().parse().unwrap())
                .unwrap();
            let tree = repository.find_tree(tree).unwrap();
            let who = git2::Signature::new("a", "a@example.com", &git2::Time::new(1, 0)).unwrap();
            let id = repository.commit(None, &who, &who, "bomb", &tree, &[&parent]);
            let id = id.unwrap();
            repository
                .reference("refs/heads/main", id, true, "bomb")
                .unwrap();
            mirror.fetch(&["main".to_owned()], &[]).await.unwrap();
            let most = Most {
                files: 2_000,
                bytes: 1_000,
            };
            let commit: CommitId = id.to_string().parse().unwrap();
            assert_eq!(mirror.below((commit, path(".")), most).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_file_larger_than_the_cap_is_told_by_its_size() {
    let ground = Ground::new();
    let place = ground.place("http");
    for (size, message) in [(4 << 20, "at the cap"), ((4 << 20) + 1, "past it")] {
        let content = "x".repeat(size);
        let stream = format!(
            "commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 1\nx\nM 100644 inline big.yaml\ndata {size}\n{content}\n"
        );
        import(&place.bare, stream.as_bytes());
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let entries = mirror.read(head, vec![path("big.yaml")]).await.unwrap();
        let entry = &entries[&path("big.yaml")];
        match message {
            "at the cap" => assert!(matches!(entry, Entry::File { .. })),
            _ => assert_eq!(*entry, Entry::TooLarge { size }),
        }
        mirror.close().await;
    }
}

#[tokio::test]
async fn a_push_changes_its_files_and_nothing_else_and_needs_no_fetch_after() {
    let mut ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let files = [
            (KUSTOMIZATION, "newTag: v3\n"),
            ("bin/run", "#!/bin/bash\n"),
            ("new/folder/file.yaml", "a: 1\n"),
        ];
        let push = push_of(
            &head,
            vec![commit("promote web\n\nTowpath-Policy: web", &files)],
        );
        let ids = done(mirror.push(push).await.unwrap());
        assert_eq!(ids, [place.head()]);
        git(&place.bare, &["fsck", "--strict"]);
        let range = format!("{head}..main");
        assert_eq!(
            git(
                &place.bare,
                &["log", "--format=%an <%ae> %at %cn %B", &range]
            ),
            "Ada <ada@example.com> 1767225600 Ada promote web\n\nTowpath-Policy: web"
        );
        let changed = git(&place.bare, &["diff", "--raw", "--abbrev=1", &range]);
        let changed: Vec<_> = changed
            .lines()
            .map(|line| {
                let parts: Vec<_> = line.split_whitespace().collect();
                format!("{} {} {} {}", parts[0], parts[1], parts[4], parts[5])
            })
            .collect();
        assert_eq!(
            changed,
            [
                ":100644 100644 M apps/web/overlays/dev/kustomization.yaml",
                ":100755 100755 M bin/run",
                ":000000 100644 A new/folder/file.yaml",
            ]
        );
        ground.server.stop();
        assert_eq!(
            bytes_of(&mirror, &ids[0], KUSTOMIZATION).await,
            "newTag: v3\n"
        );
        assert_eq!(history_of(&mirror, &ids[0]).await.len(), 3);
        ground.server.resume();
        assert_eq!(head_of(&mirror).await, ids[0]);
    }
}

#[tokio::test]
async fn many_commits_go_in_one_push_and_the_next_push_builds_on_them() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        // Enough files in one folder for deltas, and enough versions of it to end a chain of them.
        let many = |text: &str| -> Vec<(String, String)> {
            (0..130)
                .map(|n| {
                    (
                        format!("apps/app-{n:03}/values.yaml"),
                        format!("tag: {text}-{n}\n"),
                    )
                })
                .collect()
        };
        let first = many("v1");
        let files: Vec<_> = first
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let ids = done(
            mirror
                .push(push_of(&base, vec![commit("all", &files)]))
                .await
                .unwrap(),
        );
        let commits = many("v2")
            .iter()
            .map(|(file, bytes)| commit(file, &[(file, bytes)]))
            .collect();
        let before = ground.server.requests().len();
        let ids = done(mirror.push(push_of(&ids[0], commits)).await.unwrap());
        let requests = ground.server.requests().split_off(before);
        assert_eq!(
            requests.len(),
            if place.way == "local" { 0 } else { 2 },
            "{requests:?}"
        );
        assert_eq!(ids.len(), 130);
        assert_eq!(ids[129], place.head());
        git(&place.bare, &["fsck", "--strict"]);
        git(&place.mirror.join("mirror.git"), &["fsck", "--strict"]);
        let counted = git(&place.bare, &["rev-list", "--count", "main"]);
        assert_eq!(counted, "133");
        let shown = git(&place.bare, &["show", "main~64:apps/app-066/values.yaml"]);
        assert_eq!(shown, "tag: v1-66");
        // There and back again: a folder that was the base of a delta stands again.
        let there = commit("there", &[("apps/app-001/values.yaml", "tag: x\n")]);
        let back = commit("back", &[("apps/app-001/values.yaml", "tag: v2-1\n")]);
        let push = push_of(&ids[129], vec![there.clone(), back, there]);
        let ids = done(mirror.push(push).await.unwrap());
        git(&place.bare, &["fsck", "--strict"]);
        assert_eq!(
            bytes_of(&mirror, &ids[1], "apps/app-001/values.yaml").await,
            "tag: v2-1\n"
        );
    }
}

#[tokio::test]
async fn a_push_on_a_base_that_is_not_the_head_any_more_changes_nothing() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let tree = format!("{base}^{{tree}}");
        let theirs = git(
            &place.bare,
            &["commit-tree", "-m", "theirs", "-p", base.as_str(), &tree],
        );
        git(&place.bare, &["update-ref", "refs/heads/main", &theirs]);
        let push = push_of(&base, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
        let head: CommitId = theirs.parse().unwrap();
        let moved = Pushed::Moved {
            head: Some(head.clone()),
        };
        assert_eq!(mirror.push(push).await.unwrap(), moved);
        assert_eq!(place.head(), head);
        assert_eq!(head_of(&mirror).await, head);
        let push = push_of(&head, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
        let _ = done(mirror.push(push).await.unwrap());
    }
}

#[tokio::test]
async fn a_branch_that_moves_while_the_push_is_on_its_way_wins() {
    let ground = Ground::new();
    let place = ground.place("http");
    import(&place.bare, seed().as_bytes());
    let mirror = place.open();
    let base = head_of(&mirror).await;
    let tree = format!("{base}^{{tree}}");
    let theirs = git(
        &place.bare,
        &["commit-tree", "-m", "theirs", "-p", base.as_str(), &tree],
    );
    let script = format!("unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {theirs}");
    install_hook(&place.bare, "pre-receive", &script);
    let push = push_of(&base, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
    let moved = Pushed::Moved {
        head: Some(theirs.parse().unwrap()),
    };
    assert_eq!(mirror.push(push).await.unwrap(), moved);
    assert_eq!(place.head().as_str(), theirs);
}

#[tokio::test]
async fn a_hook_that_rejects_is_quoted() {
    let ground = Ground::new();
    for place in ground
        .seeded()
        .into_iter()
        .filter(|place| place.way != "local")
    {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        install_hook(
            &place.bare,
            "pre-receive",
            "echo 'frozen until Monday' >&2; exit 1",
        );
        let push = push_of(&base, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
        let error = mirror.push(push.clone()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server rejected the push to `main`: frozen until Monday\npre-receive hook declined"
        );
        assert_eq!(place.head(), base);
        std::fs::remove_file(place.bare.join("hooks/pre-receive")).unwrap();
        let _ = done(mirror.push(push).await.unwrap());
    }
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_done_if_the_branch_says_so() {
    let ground = Ground::new();
    let place = ground.place("http");
    import(&place.bare, seed().as_bytes());
    let mirror = place.open();
    let base = head_of(&mirror).await;
    install_hook(&place.bare, "post-receive", "kill -9 $PPID");
    let push = push_of(&base, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
    let ids = done(mirror.push(push).await.unwrap());
    assert_eq!(place.head(), ids[0]);
}

#[tokio::test]
async fn a_server_that_dies_half_way_has_changed_nothing_and_the_push_can_be_repeated() {
    let ground = Ground::new();
    let place = ground.place("http");
    import(&place.bare, seed().as_bytes());
    let mirror = place.open();
    let base = head_of(&mirror).await;
    install_hook(&place.bare, "pre-receive", "kill -9 $PPID");
    let push = push_of(&base, vec![commit("ours", &[(KUSTOMIZATION, "x: 1\n")])]);
    mirror.push(push.clone()).await.unwrap_err();
    assert_eq!(place.head(), base);
    std::fs::remove_file(place.bare.join("hooks/pre-receive")).unwrap();
    let _ = done(mirror.push(push).await.unwrap());
    git(&place.bare, &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_missing_branch_and_an_empty_repository_are_told_apart() {
    let ground = Ground::new();
    for way in ["local", "http", "https"] {
        let place = ground.place(way);
        let mirror = place.open();
        let main = ["main".to_owned()];
        let heads = mirror.fetch(&main, &[]).await.unwrap();
        assert_eq!(heads["main"], Head::EmptyRepository, "{way}");
        import(&place.bare, seed().as_bytes());
        let both = ["main".to_owned(), "release".to_owned()];
        let heads = mirror.fetch(&both, &[]).await.unwrap();
        assert_eq!(heads["main"], Head::At(place.head()));
        assert_eq!(heads["release"], Head::NoBranch);
        let mut push = push_of(&place.head(), vec![commit("x", &[("x.yaml", "x: 1\n")])]);
        push.branch = "release".to_owned();
        assert_eq!(
            mirror.push(push).await.unwrap(),
            Pushed::Moved { head: None }
        );
        git(&place.bare, &["update-ref", "-d", "refs/heads/main"]);
        let heads = mirror.fetch(&main, &[]).await.unwrap();
        assert_eq!(heads["main"], Head::EmptyRepository);
        let error = mirror.fetch(&["a..b".to_owned()], &[]).await.unwrap_err();
        assert!(matches!(error, FetchError::BranchName { .. }));
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_missing_or_unset_are_told_without_being_printed() {
    let ground = Ground::new();
    let place = ground.place("https");
    import(&place.bare, seed().as_bytes());
    let wrong = ground.elsewhere("wrong");
    std::fs::write(&wrong, "hunter2").unwrap();
    let with = |credentials: Option<Credentials>| Remote {
        credentials: credentials.map(Source::from),
        ..place.remote.clone()
    };
    let main = ["main".to_owned()];
    let token = Credentials::Token(Secret::File(wrong.clone()));
    let mirror = Mirror::open(with(Some(token)), ground.elsewhere("1")).unwrap();
    let error = mirror.fetch(&main, &[]).await.unwrap_err();
    assert_eq!(
        told(&error),
        format!(
            "failed to fetch from `{}`: the server refused the credentials",
            place.remote.url
        )
    );
    assert!(!format!("{error:?}").contains("hunter2"));

    let mirror = Mirror::open(with(None), ground.elsewhere("2")).unwrap();
    let error = mirror.fetch(&main, &[]).await.unwrap_err();
    assert!(told(&error).ends_with(": the server asks for credentials, and none are set"));

    let gone = Credentials::Token(Secret::File(ground.elsewhere("gone")));
    let mirror = Mirror::open(with(Some(gone)), ground.elsewhere("3")).unwrap();
    let error = mirror.fetch(&main, &[]).await.unwrap_err();
    assert!(told(&error).contains(": failed to read the credentials: "));
}

#[tokio::test]
async fn a_rotated_password_counts_at_once() {
    let ground = Ground::new();
    let place = ground.place("https");
    import(&place.bare, seed().as_bytes());
    let file = ground.elsewhere("password");
    let mirror = place.open();
    std::fs::write(&file, "old").unwrap();
    mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    std::fs::write(&file, GitServer::PASSWORD).unwrap();
    let head = head_of(&mirror).await;
    std::fs::write(&file, "old").unwrap();
    let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    let error = mirror.push(push).await.unwrap_err();
    let unauthorized = matches!(
        error,
        PushError::Remote {
            source: RemoteError::Unauthorized,
            ..
        }
    );
    assert!(unauthorized, "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_down_is_told_and_the_mirror_goes_on_when_it_is_back() {
    let mut ground = Ground::new();
    for place in ground
        .seeded()
        .into_iter()
        .filter(|place| place.way != "local")
    {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        ground.server.stop();
        let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
        assert!(
            told(&error).contains("failed to reach the server"),
            "{}",
            told(&error)
        );
        let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
        let error = mirror.push(push.clone()).await.unwrap_err();
        assert!(told(&error).contains("failed to reach the server"));
        assert_eq!(
            bytes_of(&mirror, &head, KUSTOMIZATION).await,
            "newTag: v2\n"
        );
        ground.server.resume();
        assert_eq!(head_of(&mirror).await, head);
        let _ = done(mirror.push(push).await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_after_the_time_out() {
    let ground = Ground::new();
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/x.git", silent.local_addr().unwrap());
    let mut remote = ground.remote(&url);
    remote.timeouts.idle = Duration::from_millis(100);
    let mirror = Mirror::open(remote, ground.elsewhere("m")).unwrap();
    let start = Instant::now();
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(
        told(&error).ends_with("the server took too long"),
        "{}",
        told(&error)
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_not_a_repository_is_told_apart() {
    let ground = Ground::new();
    let gone = ground.elsewhere("gone").display().to_string();
    let busy = ground.server.http("busy/x.git");
    for (number, (url, expected)) in [
        (
            ground.server.http("nothing.git"),
            "the server has no such repository",
        ),
        (
            ground.server.http("page/x"),
            "the server does not speak git's smart protocol",
        ),
        (
            busy.replace(".git", ""),
            "the server answered 503 Service Unavailable: come back later",
        ),
        (gone, "there is no such folder"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = ground.elsewhere(&number.to_string());
        let mirror = Mirror::open(ground.remote(&url), folder).unwrap();
        let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
        assert!(told(&error).contains(expected), "{}", told(&error));
    }
    let busy = |request: &&String| request.contains("/busy/");
    assert_eq!(ground.server.requests().iter().filter(busy).count(), 3);
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only() {
    let ground = Ground::new();
    let place = ground.place("http");
    import(&place.bare, seed().as_bytes());
    let remote = ground.remote(&ground.server.http("renamed/http.git"));
    let mirror = Mirror::open(remote, ground.elsewhere("renamed")).unwrap();
    let head = head_of(&mirror).await;
    let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    let _ = done(mirror.push(push).await.unwrap());

    let remote = ground.remote(&ground.server.http("elsewhere/http.git"));
    let mirror = Mirror::open(remote, ground.elsewhere("elsewhere")).unwrap();
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(told(&error).contains("the server redirects to `http://localhost:"));
    assert!(!told(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_ends_the_talk() {
    let ground = Ground::new();
    let place = ground.place("https");
    let mut remote = place.remote.clone();
    remote.ca_file = None;
    let mirror = Mirror::open(remote.clone(), place.mirror.clone()).unwrap();
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(told(&error).contains("certificate"), "{}", told(&error));
    assert_eq!(ground.server.requests(), [""; 0]);

    remote.ca_file = Some(ground.elsewhere("password"));
    let error = Mirror::open(remote.clone(), ground.elsewhere("m"))
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .ends_with("holds no certificate in PEM form")
    );
    remote.ca_file = Some(ground.elsewhere("gone.pem"));
    assert!(Mirror::open(remote, ground.elsewhere("m")).is_err());
}

#[tokio::test]
async fn a_mirror_that_is_broken_foreign_or_deleted_is_made_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("packs cut", |mirror| {
            for entry in std::fs::read_dir(mirror.join("objects/pack")).unwrap() {
                let path = entry.unwrap().path();
                let mut permissions = std::fs::metadata(&path).unwrap().permissions();
                #[expect(
                    clippy::permissions_set_readonly_false,
                    reason = "the file is the test's own"
                )]
                permissions.set_readonly(false);
                std::fs::set_permissions(&path, permissions).unwrap();
                let size = std::fs::metadata(&path).unwrap().len();
                let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(size / 2).unwrap();
            }
        }),
        ("packs gone", |mirror| {
            std::fs::remove_dir_all(mirror.join("objects")).unwrap();
        }),
        ("all gone", |mirror| {
            std::fs::remove_dir_all(mirror).unwrap();
        }),
        ("a branch locked by a process that was killed", |mirror| {
            std::fs::write(mirror.join("refs/heads/main.lock"), "").unwrap();
            std::fs::remove_file(mirror.join("refs/heads/main")).unwrap();
        }),
        ("somebody else's", |mirror| {
            std::fs::write(mirror.join("towpath"), "https://other.example.com/x.git").unwrap();
        }),
        ("no repository", |mirror| {
            std::fs::write(mirror.join("HEAD"), "garbage").unwrap();
        }),
    ];
    let ground = Ground::new();
    for place in ground.seeded() {
        for (damage, wreck) in damages {
            let mirror = place.open();
            let head = head_of(&mirror).await;
            mirror.close().await;
            wreck(&place.mirror.join("mirror.git"));
            let mirror = place.open();
            assert_eq!(head_of(&mirror).await, head, "{}: {damage}", place.way);
            assert_eq!(
                bytes_of(&mirror, &head, KUSTOMIZATION).await,
                "newTag: v2\n",
                "{damage}"
            );
            mirror.close().await;
        }
    }
}

#[tokio::test]
async fn a_mirror_that_is_deleted_in_use_is_back_with_the_next_fetch() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        std::fs::remove_dir_all(place.mirror.join("mirror.git")).unwrap();
        assert_eq!(head_of(&mirror).await, head);
        assert_eq!(
            bytes_of(&mirror, &head, KUSTOMIZATION).await,
            "newTag: v2\n"
        );
        let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
        let _ = done(mirror.push(push).await.unwrap());
    }
}

/// A server whose branch stands at `head`, and which gives nobody anything of it.
fn server_that_refuses(head: &CommitId) -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let line = |text: String| String::from_utf8(super::wire::line(&text)).unwrap();
    let refs = [
        line("# service=git-upload-pack\n".to_owned()),
        "0000".to_owned(),
        line(format!("{head} refs/heads/main\0side-band-64k ofs-delta\n")),
        "0000".to_owned(),
    ];
    let refusal = line("ERR upload-pack: not our ref".to_owned());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let is_get = lines.next().is_some_and(|line| line.starts_with("GET"));
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let (kind, body) = match is_get {
                true => ("advertisement", refs.concat()),
                false => ("result", refusal.clone()),
            };
            let _ = std::io::Write::write_all(
                &mut stream,
                format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        }
    });
    format!("http://{address}/deploy.git")
}

#[tokio::test]
async fn a_server_that_gives_nothing_does_not_cost_the_mirror() {
    let ground = Ground::new();
    let nowhere = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse().unwrap();
    let remote = ground.remote(&server_that_refuses(&nowhere));
    let folder = ground.elsewhere("mirror");
    let mirror = Mirror::open(remote, folder.clone()).unwrap();
    let mark = folder.join("mirror.git/mark");
    std::fs::write(&mark, "").unwrap();
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(matches!(error, FetchError::Remote { .. }), "{error:?}");
    assert!(mark.exists(), "it was made anew");
}

#[tokio::test]
async fn a_commit_that_was_never_fetched_is_unknown() {
    let ground = Ground::new();
    let place = ground.place("http");
    import(&place.bare, seed().as_bytes());
    let mirror = place.open();
    let head = head_of(&mirror).await;
    let nowhere: CommitId = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".parse().unwrap();
    let error = mirror
        .read(nowhere.clone(), vec![path("x")])
        .await
        .unwrap_err();
    assert!(
        matches!(error, ReadError::UnknownCommit { .. }),
        "{error:?}"
    );
    assert!(mirror.log(nowhere, None, 1).await.is_err());
    let before = ground.server.requests().len();
    assert_eq!(head_of(&mirror).await, head);
    assert_eq!(
        ground.server.requests().len(),
        before + 1,
        "the mirror is not made anew"
    );
}

#[tokio::test]
async fn a_mirror_has_one_user_and_is_free_when_it_is_closed_or_dropped() {
    let ground = Ground::new();
    let place = ground.place("local");
    let mirror = place.open();
    let again = || Mirror::open(place.remote.clone(), place.mirror.clone());
    let error = again().err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    mirror.close().await;
    let mirror = again().unwrap();
    drop(mirror);
    wait_until("the thread to end", || again().is_ok());
}

/// How many packs a mirror has.
fn packs(place: &Place) -> usize {
    let packs = std::fs::read_dir(place.mirror.join("mirror.git/objects/pack"));
    let is_index = |path: &PathBuf| path.extension().is_some_and(|end| end == "idx");
    let paths = packs.unwrap().map(|entry| entry.unwrap().path());
    paths.filter(is_index).count()
}

#[tokio::test]
async fn a_mirror_with_many_packs_joins_them_without_asking_the_server() {
    let ground = Ground::new();
    for way in ["local", "http"] {
        let place = ground.place(way);
        import(&place.bare, seed().as_bytes());
        let mirror = place.open();
        let mut head = head_of(&mirror).await;
        for number in 0..=super::join::PACKS_MAX {
            let content = format!("newTag: v{number}\n");
            let change = commit(&format!("change {number}"), &[(KUSTOMIZATION, &content)]);
            let pushed = mirror.push(push_of(&head, vec![change])).await.unwrap();
            head = done(pushed).pop().unwrap();
        }
        assert!(packs(&place) > super::join::PACKS_MAX);
        let before = ground.server.requests().len();
        assert_eq!(head_of(&mirror).await, head);
        let requests = ground.server.requests().len() - before;
        assert_eq!(requests, usize::from(way == "http"), "the refs alone");

        assert!(packs(&place) < super::join::PACKS_MAX / 2, "{way}");
        let history = history_of(&mirror, &head).await;
        assert_eq!(history.len(), super::join::PACKS_MAX + 3);
        let last = format!("newTag: v{}\n", super::join::PACKS_MAX);
        assert_eq!(bytes_of(&mirror, &head, KUSTOMIZATION).await, last);
        mirror.close().await;
        let mirror = place.mirror.join("mirror.git");
        assert_eq!(git(&mirror, &["fsck", "--strict"]), "");
    }
}

#[tokio::test]
async fn a_mirror_whose_packs_cannot_be_joined_is_made_anew() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let head = head_of(&mirror).await;
        let folder = place.mirror.join("mirror.git/objects/pack");
        for number in 0..=super::join::PACKS_MAX {
            for end in ["idx", "pack"] {
                std::fs::write(folder.join(format!("pack-{number:040}.{end}")), "").unwrap();
            }
        }
        assert_eq!(head_of(&mirror).await, head);
        assert_eq!(
            bytes_of(&mirror, &head, KUSTOMIZATION).await,
            "newTag: v2\n"
        );
        assert_eq!(packs(&place), 1);
    }
}

#[tokio::test]
async fn a_branch_that_is_checked_out_is_not_moved_beneath_its_owner() {
    let ground = Ground::new();
    let place = ground.place("local");
    import(&place.bare, seed().as_bytes());
    let clone = ground.elsewhere("clone");
    let (from, to) = (
        place.bare.display().to_string(),
        clone.display().to_string(),
    );
    git(&place.bare, &["clone", "--quiet", &from, &to]);
    let mirror = Mirror::open(ground.remote(&to), place.mirror.clone()).unwrap();
    let head = head_of(&mirror).await;
    let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    let error = mirror.push(push).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the server rejected the push to `main`: it is checked out in `{to}`; push to a bare repository"
        )
    );
}

#[tokio::test]
async fn two_mirrors_that_push_at_once_never_lose_a_commit() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let one = place.open();
        let two = Mirror::open(
            place.remote.clone(),
            ground.elsewhere(&format!("{}-2", place.way)),
        )
        .unwrap();
        let wins = async |mirror: &Mirror, name: &str| {
            let mut wins = 0;
            for number in 0..5 {
                let base = head_of(mirror).await;
                let file = format!("{name}-{number}.yaml");
                let push = push_of(&base, vec![commit(&file, &[(&file, "x: 1\n")])]);
                if let Pushed::Done { .. } = mirror.push(push).await.unwrap() {
                    wins += 1;
                }
            }
            wins
        };
        let (first, second) = tokio::join!(wins(&one, "one"), wins(&two, "two"));
        let counted = git(&place.bare, &["rev-list", "--count", "main"]);
        assert_eq!(counted, (2 + first + second).to_string(), "{}", place.way);
        let files = git(&place.bare, &["ls-tree", "--name-only", "main"]);
        let written = files.lines().filter(|file| file.ends_with(".yaml")).count();
        assert_eq!(written, first + second);
    }
}

#[tokio::test]
async fn fetches_and_pushes_are_counted_by_outcome() {
    let ground = Ground::new();
    let mut place = ground.place("local");
    place.remote.name = "counted".to_owned();
    import(&place.bare, seed().as_bytes());
    let mirror = place.open();
    let base = head_of(&mirror).await;
    head_of(&mirror).await;
    for _ in 0..2 {
        let push = push_of(&base, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
        let _ = mirror.push(push).await.unwrap();
    }
    let fetches = |outcome| {
        metrics::FETCHES
            .with_label_values(&["counted", outcome])
            .get()
    };
    let pushes = |outcome| {
        metrics::PUSHES
            .with_label_values(&["counted", outcome])
            .get()
    };
    assert_eq!((fetches("new"), fetches("unchanged")), (1, 1));
    assert_eq!((pushes("done"), pushes("moved")), (1, 1));
}

/// A new repository on a path of this machine, and its mirror; both live in the folder.
fn local() -> (tempfile::TempDir, PathBuf, Mirror) {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("deploy.git");
    create_bare(&bare);
    import(&bare, seed().as_bytes());
    let remote = Remote::new(
        "deploy".to_owned(),
        RemoteUrl::Local(bare.clone()),
        Clock::default(),
    );
    let mirror = Mirror::open(remote, folder.path().join("mirror")).unwrap();
    (folder, bare, mirror)
}

#[tokio::test]
async fn a_new_repository_on_a_path_can_be_used_without_a_server() {
    let (_folder, bare, mirror) = local();
    install_hook(&bare, "pre-receive", "exit 1");
    let head = head_of(&mirror).await;
    let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    // Hooks of a local repository do not run.
    let ids = done(mirror.push(push).await.unwrap());
    assert_eq!(git(&bare, &["rev-parse", "main"]), ids[0].as_str());
}

#[tokio::test]
async fn a_lock_that_a_killed_process_left_on_a_local_branch_is_taken_away_once_it_is_old() {
    let (_folder, bare, mirror) = local();
    let head = head_of(&mirror).await;
    let push = || push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    let lock = std::fs::File::create(bare.join("refs/heads/main.lock")).unwrap();
    let refused = mirror.push(push()).await.unwrap_err();
    assert!(told(&refused).contains("lock"), "{}", told(&refused));
    let modified = lock.metadata().unwrap().modified().unwrap();
    let minute = std::time::Duration::from_secs(60);
    lock.set_modified(modified - minute).unwrap();
    let ids = done(mirror.push(push()).await.unwrap());
    assert_eq!(git(&bare, &["rev-parse", "main"]), ids[0].as_str());
}

#[tokio::test]
async fn whether_a_repository_can_be_read_and_pushed_to_is_told_without_a_fetch_or_a_push() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let asked = |branch: &str| {
            let branch = branch.to_owned();
            reach(place.remote.clone(), branch, Asked::ReadAndPush)
        };
        let Reach { head, push, clock } = asked("main").await.unwrap();
        // SSH does not tell the time, nor does a path.
        assert_eq!(
            clock.is_some(),
            place.way.starts_with("http"),
            "{}",
            place.way
        );
        let main = git(&place.bare, &["rev-parse", "main"]);
        assert_eq!(head.unwrap().commit().unwrap().as_str(), main);
        // A path asks nobody.
        let is_told = place.way != "local";
        assert_eq!(push.map(|push| push.is_ok()), is_told.then_some(true));
        let elsewhere = asked("elsewhere").await.unwrap().head.unwrap();
        assert_eq!(elsewhere, Head::NoBranch, "{}", place.way);
        assert!(!place.mirror.exists());

        git(&place.bare, &["config", "http.receivepack", "false"]);
        let Reach { head, push, .. } = asked("main").await.unwrap();
        assert!(head.is_ok(), "{}", place.way);
        let refused = push.map(|push| push.unwrap_err());
        assert_eq!(refused.is_some(), is_told);
        if let Some(refused) = refused {
            assert!(
                matches!(refused, RemoteError::Forbidden { .. }),
                "{refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_empty_or_not_there_is_told_so() {
    let ground = Ground::new();
    for way in ["local", "http", "https"] {
        let place = ground.place(way);
        let head = reach(place.remote.clone(), "main".to_owned(), Asked::Read);
        let reached = head.await.unwrap();
        assert_eq!(reached.head.unwrap(), Head::EmptyRepository, "{way}");
        assert!(reached.push.is_none());
    }
    let nowhere = ground.remote(&ground.server.http("nowhere.git"));
    let nowhere = reach(nowhere, "main".to_owned(), Asked::Read)
        .await
        .unwrap();
    assert!(matches!(nowhere.head, Err(RemoteError::NotFound)));
    let no_folder = ground.remote("/nowhere/at/all");
    let no_folder = reach(no_folder, "main".to_owned(), Asked::Read)
        .await
        .unwrap();
    assert!(matches!(no_folder.head, Err(RemoteError::NoFolder)));
}
