//! Figures of the git edge over HTTP on loopback, with a repository of 30,000 files in 1,000 applications.
//!
//! Run: `cargo test --release --lib git::figures -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::time::Instant;

use bed::{GitServer, git, import};

use super::contract::{commit, head_of, history_of, push_of};
use super::{Mirror, Pushed, Remote, RemoteUrl};
use crate::login::Clock;
use crate::manifest::CommitId;

const APPLICATIONS: usize = 1000;
const FILES_EACH: usize = 30;

fn repository() -> String {
    let mut stream = String::from(
        "feature done\ncommit refs/heads/main\ncommitter Ada <ada@example.com> 1 +0000\ndata 4\nseed\n",
    );
    for application in 0..APPLICATIONS {
        for file in 0..FILES_EACH {
            let path = match file {
                0 => "overlays/dev/kustomization.yaml".to_owned(),
                1..10 => format!("overlays/env-{file}/kustomization.yaml"),
                _ => format!("base/file-{file}.yaml"),
            };
            let content = format!(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n  - name: app-{application}\n    newTag: v1.{file}.0\n"
            );
            write!(
                stream,
                "M 100644 inline apps/app-{application:04}/{path}\ndata {}\n{content}\n",
                content.len()
            )
            .unwrap();
        }
    }
    stream + "done\n"
}

fn memory_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let digits = line.split_whitespace().nth(1).unwrap();
    digits.parse().unwrap()
}

fn reset_memory_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn file(application: usize) -> String {
    format!("apps/app-{application:04}/overlays/dev/kustomization.yaml")
}

fn timed(what: &str, start: Instant) {
    println!("{what}: {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a release build"]
async fn figures_of_fetch_read_log_and_push() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let server = GitServer::start();
    let bare = server.create("deploy.git");
    import(&bare, repository().as_bytes());
    git(&bare, &["repack", "-adq"]);
    let remote = Remote::new(
        "deploy".to_owned(),
        RemoteUrl::http(server.http("deploy.git").parse().unwrap()),
        Clock::default(),
    );
    let mirror = Mirror::open(remote, folder.path().join("mirror")).unwrap();

    let start = Instant::now();
    let mut head = head_of(&mirror).await;
    timed("clone", start);
    let start = Instant::now();
    head_of(&mirror).await;
    timed("fetch, nothing new", start);
    let start = Instant::now();
    let paths = (0..APPLICATIONS)
        .map(|n| file(n).parse().unwrap())
        .collect();
    mirror.read(head.clone(), paths).await.unwrap();
    timed("read of 1,000 files", start);

    for round in 0..3 {
        let text = format!("newTag: v2.{round}.0\n");
        let start = Instant::now();
        let paths = vec![file(7).parse().unwrap()];
        mirror.read(head.clone(), paths).await.unwrap();
        let push = push_of(&head, vec![commit("one", &[(&file(7), &text)])]);
        let Pushed::Done { ids } = mirror.push(push).await.unwrap() else {
            panic!("nobody else pushes");
        };
        timed("one edit, read to pushed", start);
        head = ids[0].clone();
    }

    let head = a_thousand_commits(&mirror, head).await;
    let start = Instant::now();
    let log = history_of(&mirror, &head).await;
    timed(&format!("log of {} commits", log.len()), start);
    let start = Instant::now();
    mirror
        .read(head, vec![file(7).parse().unwrap()])
        .await
        .unwrap();
    timed("read of one file at the end of the chain", start);
    git(&bare, &["fsck"]);
}

/// Pushes one commit for each application, twice, and gives where the branch stands then.
async fn a_thousand_commits(mirror: &Mirror, mut head: CommitId) -> CommitId {
    for round in 0..2 {
        reset_memory_peak();
        let before = memory_peak_kib();
        let commits = (0..APPLICATIONS)
            .map(|n| {
                commit(
                    "promote",
                    &[(&file(n), &format!("newTag: v3.{round}.{n}\n"))],
                )
            })
            .collect();
        let start = Instant::now();
        let Pushed::Done { ids } = mirror.push(push_of(&head, commits)).await.unwrap() else {
            panic!("nobody else pushes");
        };
        timed("1,000 commits, built to pushed", start);
        println!(
            "memory: {before} KiB before, {} KiB at most",
            memory_peak_kib()
        );
        head = ids[APPLICATIONS - 1].clone();
    }
    head
}
