//! Readings against registries that take their time, and that tell push times.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{News, Sources, Wants};
use crate::demo::registry::{self as demo, Access, Fault, Image, Kind, MemoryRegistry};
use crate::git::{Kept, Mirror, Remote, RemoteUrl};
use crate::image::{Digest, RegistryKind, Repository, Tag};
use crate::login::Clock;
use crate::manifest::{CommitPlace, NamedCommit};
use crate::policy::gate::{Claim, Matter, Signer, SignerKey, Vouched};
use crate::policy::select::PushUse;
use crate::policy::{RepositoryName, SourceBranch};
use crate::registry::{HostOptions, Options, PushApi, Registry};
use crate::verify::PublicKey;
use crate::world::{Ancestry, Fact, Question};

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
    (
        Sources::new(
            registry,
            (BTreeMap::new(), BTreeMap::new()),
            (BTreeMap::new(), None),
        ),
        repository,
    )
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

/// The time at which all is asked.
fn clock() -> Timestamp {
    Timestamp::from_second(100).unwrap()
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_others_that_were_asked_with_it() {
    let (sources, repository) = ground();
    sources
        .list(&repository, &Wants::default(), Timestamp::UNIX_EPOCH)
        .await;
    tokio::select! {
        () = sources.ask(questions(&repository), clock) => panic!("`b` takes longer"),
        () = tokio::time::sleep(THINKS / 2) => {}
    }
    assert!(is_known(&sources, &repository, "a"));
    assert!(!is_known(&sources, &repository, "b"));
}

#[tokio::test]
async fn a_digest_that_was_asked_before_the_latest_listing_is_not_kept() {
    let (sources, repository) = ground();
    sources
        .list(&repository, &Wants::default(), Timestamp::UNIX_EPOCH)
        .await;
    let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60);
    let list_anew = async {
        tokio::time::sleep(THINKS / 2).await;
        sources.list(&repository, &Wants::default(), later).await
    };
    tokio::join!(sources.ask(questions(&repository), clock), list_anew);
    assert!(
        !is_known(&sources, &repository, "b"),
        "it may have moved since"
    );
    sources.ask(questions(&repository), clock).await;
    assert!(is_known(&sources, &repository, "b"));
}

#[tokio::test]
async fn what_is_wanted_no_more_is_forgotten_and_what_still_is_carries_on() {
    let (sources, repository) = ground();
    let now = Timestamp::UNIX_EPOCH;
    let mut wants = Wants::default();
    wants.images.insert(repository.clone());
    sources.list(&repository, &wants, now).await;
    let interval = Duration::from_secs(60);
    sources.keep_only(&wants);
    let carried = sources.carried(&repository, &wants, (now, interval));
    assert!(carried.is_some());

    sources.keep_only(&Wants::default());
    assert!(sources.image(&repository).is_none());
    let carried = sources.carried(&repository, &wants, (now, interval));
    assert!(carried.is_none());
}

/// A registry whose push times come by Harbor's API or, with another login, by Quay's.
fn telling_registry(api: PushApi) -> (MemoryRegistry, Sources, Repository) {
    let server = MemoryRegistry::start(Access::Anonymous).unwrap();
    server.tell_pushes(match api == PushApi::Quay {
        true => demo::PushApi::Quay,
        false => demo::PushApi::Harbor,
    });
    server.push("acme/web", "a", &Image::default());
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    server.set_pushed("acme/web", "a", at);
    let options = HostOptions {
        plain_http: true,
        kind: Some(match api == PushApi::Quay {
            true => RegistryKind::Quay,
            false => RegistryKind::Harbor,
        }),
        ..HostOptions::default()
    };
    let registry = Registry::new(Options {
        hosts: BTreeMap::from([(server.host(), options)]),
        ..Options::default()
    });
    let repository = format!("{}/acme/web", server.host()).parse().unwrap();
    (
        server,
        Sources::new(
            registry,
            (BTreeMap::new(), BTreeMap::new()),
            (BTreeMap::new(), None),
        ),
        repository,
    )
}

fn wanting(repository: &Repository, of_use: Option<PushUse>) -> Wants {
    Wants {
        pushes: of_use
            .map(|of_use| (repository.clone(), of_use))
            .into_iter()
            .collect(),
        ..Wants::default()
    }
}

#[tokio::test]
async fn push_times_are_read_only_where_a_policy_needs_them() {
    for (api, wanted, is_read) in [
        (PushApi::Harbor, None, false),
        (PushApi::Harbor, Some(PushUse::ByDefault), true),
        (PushApi::Harbor, Some(PushUse::OnRequest), true),
        (PushApi::Quay, None, false),
        (PushApi::Quay, Some(PushUse::ByDefault), false),
        (PushApi::Quay, Some(PushUse::OnRequest), true),
    ] {
        let (server, sources, repository) = telling_registry(api);
        let wants = wanting(&repository, wanted);
        sources
            .list(&repository, &wants, Timestamp::UNIX_EPOCH)
            .await;
        let requests = server.take_requests();
        assert_eq!(
            requests.contains_key(&Kind::Pushes),
            is_read,
            "{api} {wanted:?}"
        );
        let Fact::Known(listing) = sources.image(&repository).unwrap().listing else {
            panic!("it was listed");
        };
        assert_eq!(listing.pushed(&"a".parse().unwrap()).is_some(), is_read);
        assert!(
            listing
                .pushes
                .as_ref()
                .is_some_and(|pushes| pushes.times.is_some() == is_read)
        );
    }
}

#[tokio::test]
async fn push_times_that_cannot_be_read_are_unknown_beside_a_good_listing() {
    let (server, sources, repository) = telling_registry(PushApi::Harbor);
    let wants = wanting(&repository, Some(PushUse::ByDefault));
    server.fail(Fault::PushesRefused { status: 403 });
    let list = async || {
        let news = sources
            .list(&repository, &wants, Timestamp::UNIX_EPOCH)
            .await;
        let Fact::Known(listing) = sources.image(&repository).unwrap().listing else {
            panic!("it was listed");
        };
        (news, listing.pushes.clone().unwrap())
    };
    let (_, failed) = list().await;
    assert_eq!(failed.of_use, PushUse::ByDefault, "what orders stays");
    assert!(matches!(failed.times, Some(Fact::Unknown { .. })));
    assert_eq!(list().await.0, News::Same);
    server.heal();
    let (news, read) = list().await;
    assert!(matches!(read.times, Some(Fact::Known(_))));
    assert_eq!(news, News::Changed, "what waited for it decides anew");
}

/// A source repository with one commit on `main`, the sources that read it, and the name of the commit.
fn history() -> (tempfile::TempDir, Sources, String) {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("code.git");
    bed::create_bare(&bare);
    let commit = "commit refs/heads/main\ncommitter Ada <ada@example.com> 1 +0000\ndata 1\nx\n";
    bed::import(&bare, commit.as_bytes());
    let head = bed::git(&bare, &["rev-parse", "main"]);
    let remote = Remote {
        kept: Kept::Commits,
        ..Remote::new("code".to_owned(), RemoteUrl::Local(bare), Clock::default())
    };
    let mirror = Mirror::open(remote, folder.path().join("mirror")).unwrap();
    let histories = BTreeMap::from([("code".parse().unwrap(), mirror)]);
    let registry = Registry::new(Options::default());
    let sources = Sources::new(
        registry,
        (BTreeMap::new(), histories),
        (BTreeMap::new(), None),
    );
    (folder, sources, head)
}

/// A manifests repository with one commit on `main`, and what reads it.
fn manifests() -> (tempfile::TempDir, Sources, Wants) {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("deploy.git");
    bed::create_bare(&bare);
    bed::import(&bare, commit_of("refs/heads/main", 1).as_bytes());
    let remote = Remote::new(
        "deploy".to_owned(),
        RemoteUrl::Local(bare),
        Clock::default(),
    );
    let mirror = Mirror::open(remote, folder.path().join("mirror")).unwrap();
    let name: RepositoryName = "deploy".parse().unwrap();
    let branches = BTreeMap::from([("main".to_owned(), BTreeSet::new())]);
    let wants = Wants {
        branches: BTreeMap::from([(name.clone(), branches)]),
        ..Wants::default()
    };
    let registry = Registry::new(Options::default());
    let mirrors = (BTreeMap::from([(name, mirror)]), BTreeMap::new());
    let sources = Sources::new(registry, mirrors, (BTreeMap::new(), None));
    (folder, sources, wants)
}

/// A commit at this second, on what stands there.
fn commit_of(branch: &str, second: i64) -> String {
    let from = match second {
        1 => String::new(),
        _ => format!("from {branch}^0\n"),
    };
    format!("commit {branch}\ncommitter Ada <ada@example.com> {second} +0000\ndata 1\nx\n{from}")
}

#[tokio::test]
async fn that_a_commit_is_not_known_to_be_an_ancestor_is_asked_again_after_the_next_fetch() {
    let (folder, sources, wants) = manifests();
    let bare = folder.path().join("deploy.git");
    let name: RepositoryName = "deploy".parse().unwrap();
    let head = || bed::git(&bare, &["rev-parse", "main"]).parse().unwrap();
    sources.fetch(&name, &wants).await;
    let ancestor = head();
    bed::import(&bare, commit_of("refs/heads/main", 2).as_bytes());
    let ancestry = Ancestry {
        repository: name.clone(),
        ancestor,
        descendant: head(),
    };
    let ask = async || {
        let question = Question::Ancestry(ancestry.clone());
        sources.ask(BTreeSet::from([question]), clock).await;
    };
    let known = || sources.world(&wants).ancestry.get(&ancestry).cloned();
    // Argo CD was faster than the fetch.
    ask().await;
    assert_eq!(known(), Some(Fact::Known(false)));
    sources.fetch(&name, &wants).await;
    assert_eq!(known(), None);
    ask().await;
    sources.fetch(&name, &wants).await;
    assert_eq!(known(), Some(Fact::Known(true)), "that never ends");
}

fn source(branch: &str) -> SourceBranch {
    SourceBranch {
        repository: "code".parse().unwrap(),
        branch: branch.to_owned(),
    }
}

/// Asks about a commit of which a tag was seen so many seconds after 1970, at the 100th second.
async fn ask_commit(sources: &Sources, branch: &str, (commit, seen): (&str, i64)) {
    let question = Question::Commit {
        source: source(branch),
        commit: commit.to_owned(),
        seen: Timestamp::from_second(seen).unwrap(),
    };
    sources.ask(BTreeSet::from([question]), clock).await;
}

#[tokio::test]
async fn a_source_is_fetched_again_only_for_what_may_have_come_since() {
    let (_folder, sources, head) = history();
    let code = BTreeSet::from(["main".to_owned()]);
    let second = |second| Timestamp::from_second(second).unwrap();
    let repository = "code".parse().unwrap();
    sources.fetch_source(&repository, &code, second(50)).await;
    let known = |name: &str| match sources.source(&source("main")) {
        Some(Fact::Known(facts)) => (facts.fetched, facts.commits.get(name).copied()),
        other => panic!("{other:?}"),
    };
    let place = NamedCommit::One(CommitPlace { line: 1, depth: 1 });

    // It is there: no fetch could tell more.
    ask_commit(&sources, "main", (&head[..7], 60)).await;
    assert_eq!(known(&head[..7]), (second(50), Some(place)));
    // It was not there when the branch was fetched, after its tag was seen.
    ask_commit(&sources, "main", ("fffffff", 49)).await;
    assert_eq!(known("fffffff"), (second(50), Some(NamedCommit::None)));
    // The same commit in a tag that was seen since.
    ask_commit(&sources, "main", ("fffffff", 50)).await;
    assert_eq!(known("fffffff"), (second(100), Some(NamedCommit::None)));
    assert_eq!(
        known(&head[..7]).1,
        Some(place),
        "what is known stays known"
    );
    // A fetch that began earlier and ends later says nothing new.
    sources.fetch_source(&repository, &code, second(70)).await;
    assert_eq!(known(&head[..7]), (second(100), Some(place)));
}

#[tokio::test]
async fn a_source_without_its_branch_is_unknown_in_words() {
    let (_folder, sources, head) = history();
    ask_commit(&sources, "next", (&head[..7], 1)).await;
    let Some(Fact::Unknown { why }) = sources.source(&source("next")) else {
        panic!("there is no such branch");
    };
    assert_eq!(why, "`code` has no branch `next`");
}

#[tokio::test]
async fn what_a_digest_says_of_itself_outlives_listings_unless_it_could_not_be_read() {
    let (server, sources, repository) = telling_registry(PushApi::Harbor);
    let labels = [
        ("source", "https://github.com/acme/web"),
        ("revision", "0a1b2c3"),
    ];
    let label = |(name, value): (&str, &str)| {
        (format!("org.opencontainers.image.{name}"), value.to_owned())
    };
    let image = Image {
        created: Some(Timestamp::UNIX_EPOCH),
        labels: BTreeMap::from(labels.map(label)),
    };
    let digest: Digest = server.push("acme/web", "b", &image).parse().unwrap();
    let missing: Digest = format!("sha256:{:064}", 1).parse().unwrap();
    let question = |digest: &Digest| Question::Description {
        repository: repository.clone(),
        digest: digest.clone(),
    };
    let wants = Wants::default();
    let list = || sources.list(&repository, &wants, Timestamp::UNIX_EPOCH);
    list().await;
    let both = BTreeSet::from([question(&digest), question(&missing)]);
    sources.ask(both, clock).await;
    let described = sources.image(&repository).unwrap().described;
    let Fact::Known(description) = &described[&digest] else {
        panic!("{described:?}")
    };
    assert_eq!(description.created, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(description.labels.revision.as_deref(), Some("0a1b2c3"));
    let source = description.labels.source.as_deref();
    assert_eq!(source, Some("https://github.com/acme/web"));
    assert!(matches!(described[&missing], Fact::Unknown { .. }));

    assert_eq!(list().await, News::Changed, "one may be asked again");
    let described = sources.image(&repository).unwrap().described;
    assert_eq!(described.keys().collect::<Vec<_>>(), [&digest]);
    assert_eq!(list().await, News::Same);
}

/// The image that cosign's signature in `tests/signatures/image` is of, and what is put beside it.
fn signed_image(server: &MemoryRegistry, folder: &str) -> (Digest, Claim) {
    let folder = format!("{}/tests/signatures/{folder}", env!("CARGO_MANIFEST_DIR"));
    let pem = std::fs::read_to_string(format!("{folder}/key.pub")).unwrap();
    let digest = server.push("acme/web", "v1.5.0", &Image::default());
    let signer = Signer::Key(SignerKey {
        fingerprint: PublicKey::from_pem(&pem).unwrap().fingerprint(),
        pem: pem.into(),
    });
    let matter = Matter::Signature;
    (digest.parse().unwrap(), Claim { signer, matter })
}

/// Puts cosign's signature beside the image, as cosign does where the registry keeps no list of what refers to it.
fn sign(server: &MemoryRegistry, digest: &Digest) {
    let path = "tests/signatures/image/signature.json";
    let bundle = std::fs::read(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let sha256 = |bytes: &[u8]| {
        let hash = Sha256::digest(bytes);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    };
    let (kind, blob) = (
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        sha256(&bundle),
    );
    let referrer = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "layers": [{ "mediaType": kind, "digest": blob, "size": bundle.len() }],
        "subject": { "digest": digest.as_str() },
    });
    server.upload("acme/web", &blob, bundle);
    let referrer = server.put("acme/web", "referrer", &referrer);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{ "artifactType": kind, "digest": referrer }],
    });
    server.put("acme/web", &digest.as_str().replace(':', "-"), &index);
}

#[tokio::test]
async fn an_image_that_is_signed_later_is_asked_for_again_and_one_that_was_signed_never() {
    let (server, sources, repository) = telling_registry(PushApi::Harbor);
    let (digest, claim) = signed_image(&server, "image");
    let (_, other) = signed_image(&server, "p256");
    let wants = Wants::default();
    let list = || sources.list(&repository, &wants, Timestamp::UNIX_EPOCH);
    let ask = |claims: &[&Claim]| {
        let question = |claim: &&Claim| Question::Vouched {
            repository: repository.clone(),
            digest: digest.clone(),
            claim: (*claim).clone(),
        };
        sources.ask(claims.iter().map(question).collect(), clock)
    };
    let known = |claim: &Claim| {
        let vouched = sources.image(&repository).unwrap().vouched;
        vouched.get(&digest)?.get(&claim.name()).cloned()
    };
    list().await;
    ask(&[&claim]).await;
    let Some(Fact::Known(Vouched::No { why })) = known(&claim) else {
        panic!("nobody has signed it")
    };
    assert_eq!(why, "the registry has none beside it");
    assert_eq!(list().await, News::Changed, "it may be signed by now");
    assert_eq!(known(&claim), None);

    sign(&server, &digest);
    ask(&[&claim, &other]).await;
    let yes = Fact::Known(Vouched::Yes {
        by: None,
        report: None,
    });
    assert_eq!(known(&claim), Some(yes.clone()));
    assert!(matches!(
        known(&other),
        Some(Fact::Known(Vouched::No { .. }))
    ));
    list().await;
    assert_eq!((known(&claim), known(&other)), (Some(yes.clone()), None));

    // A registry that is away takes nothing back.
    server.fail(Fault::Refuse {
        status: 403,
        retry_after: None,
        times: u32::MAX,
    });
    ask(&[&other]).await;
    assert!(matches!(known(&other), Some(Fact::Unknown { .. })));
    list().await;
    assert_eq!((known(&claim), known(&other)), (Some(yes), None));
}
