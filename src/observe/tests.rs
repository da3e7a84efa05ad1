//! Readings against a registry that takes its time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Sources;
use crate::image::{Repository, Tag};
use crate::registry::{HostOptions, Options, Registry};
use crate::world::{Fact, Question};

/// How long the registry thinks before it says what a tag points at.
const THINKS: Duration = Duration::from_millis(400);

/// A registry that lists `a` and `b` at once, says at once what `a` points at, and thinks about `b`.
fn thoughtful_registry() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let request = lines.next().unwrap_or_default();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
                let digest = format!("Docker-Content-Digest: sha256:{:064}\r\n", 1);
                let answer = match request {
                    listing if listing.contains("/tags/list") => {
                        format!("{head}Content-Length: 18\r\n\r\n{{\"tags\":[\"a\",\"b\"]}}")
                    }
                    asked => {
                        if asked.contains("/b ") {
                            std::thread::sleep(THINKS);
                        }
                        format!("{head}{digest}Content-Length: 0\r\n\r\n")
                    }
                };
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    host
}

fn ground() -> (Sources, Repository) {
    let host = thoughtful_registry();
    let options = HostOptions {
        plain_http: true,
        ..HostOptions::default()
    };
    let registry = Registry::new(Options {
        hosts: BTreeMap::from([(host.clone(), options)]),
        ..Options::default()
    });
    let repository = format!("{host}/acme/web").parse().unwrap();
    (Sources::new(registry, BTreeMap::new()), repository)
}

fn questions(repository: &Repository) -> BTreeSet<Question> {
    let question = |tag: &str| Question::Digest {
        repository: repository.clone(),
        tag: tag.parse().unwrap(),
    };
    BTreeSet::from(["a", "b"].map(question))
}

fn is_known(sources: &Sources, repository: &Repository, tag: &str) -> bool {
    let tag: Tag = tag.parse().unwrap();
    let facts = sources.image(repository).unwrap();
    let details = facts.tags.get(&tag);
    details.is_some_and(|details| matches!(details.digest, Some(Fact::Known(_))))
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_others_that_were_asked_with_it() {
    let (sources, repository) = ground();
    sources.list(&repository, Timestamp::UNIX_EPOCH).await;
    tokio::select! {
        () = sources.ask(questions(&repository)) => panic!("`b` takes longer"),
        () = tokio::time::sleep(THINKS / 2) => {}
    }
    assert!(is_known(&sources, &repository, "a"));
    assert!(!is_known(&sources, &repository, "b"));
}

#[tokio::test]
async fn a_digest_that_was_asked_before_the_latest_listing_is_not_kept() {
    let (sources, repository) = ground();
    sources.list(&repository, Timestamp::UNIX_EPOCH).await;
    let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60);
    let list_anew = async {
        tokio::time::sleep(THINKS / 2).await;
        sources.list(&repository, later).await
    };
    tokio::join!(sources.ask(questions(&repository)), list_anew);
    assert!(
        !is_known(&sources, &repository, "b"),
        "it may have moved since"
    );
    sources.ask(questions(&repository)).await;
    assert!(is_known(&sources, &repository, "b"));
}
