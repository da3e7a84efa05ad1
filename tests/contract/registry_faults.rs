//! Everything a registry can do wrong, and what is said of it; each fault ends, and reading goes on by itself.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bed::Authority;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::metrics::REQUESTS;
use super::{HostOptions, Listing, Options, Registry, RegistryError, Timeouts};
use crate::demo::registry::{Access, Fault, Image, Kind, MemoryRegistry};
use crate::image::{Attached, Layer, RegistryKind, Repository};
use crate::login::{DockerConfig, Source, SourcesByPath};
use crate::secret::{Credentials, Secret};

const NOON: Timestamp = Timestamp::UNIX_EPOCH;
const PATH: &str = "acme/web";
const PASSWORD: &str = "s3cret";

/// More often than a read is tried.
const ALWAYS: u32 = 1000;

/// A registry that can be made to fail, and the reader under test.
struct Stage {
    server: MemoryRegistry,
    registry: Registry,
    folder: TempDir,
}

impl Stage {
    /// Five tags, read two at a time.
    fn new() -> Self {
        Self::with(Access::Anonymous, |_| {})
    }

    fn with_tokens() -> Self {
        let access = Access::Token {
            username: "alice".to_owned(),
            password: PASSWORD.to_owned(),
            life: Duration::from_secs(300),
        };
        Self::with(access, |_| {})
    }

    fn with(access: Access, change: impl FnOnce(&mut Options)) -> Self {
        let server = MemoryRegistry::start(access).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        for number in 1..=5 {
            server.push(PATH, &format!("v{number}"), &image());
        }
        let mut options = options(&server, &folder);
        change(&mut options);
        Self {
            registry: Registry::new(options),
            server,
            folder,
        }
    }

    fn repository(&self) -> Repository {
        format!("{}/{PATH}", self.server.host()).parse().unwrap()
    }

    async fn tags(&self) -> Result<Listing, RegistryError> {
        self.registry.tags(&self.repository(), NOON).await
    }

    /// What a failed listing tells people; afterwards the fault ends, and the next listing has to be whole.
    async fn failure(&self, fault: Fault) -> String {
        self.server.fail(fault);
        let error = self.tags().await.unwrap_err();
        self.server.heal();
        assert_eq!(self.tags().await.unwrap().tags.len(), 5);
        self.told(&error)
    }

    /// Message, causes and hint as the command line prints them, with a fixed host.
    fn told(&self, error: &RegistryError) -> String {
        let mut text = format!("error: {error}");
        let mut cause = error.source();
        while let Some(source) = cause {
            write!(text, "\ncaused by: {source}").unwrap();
            cause = source.source();
        }
        if let Some(hint) = error.hint() {
            write!(text, "\nhint: {hint}").unwrap();
        }
        let folder = self.folder.path().display().to_string();
        text.replace(&self.server.host(), "HOST")
            .replace(&folder, "FOLDER")
    }

    fn count(&self) -> BTreeMap<Kind, u64> {
        self.server.take_requests()
    }
}

fn options(server: &MemoryRegistry, folder: &TempDir) -> Options {
    let host = HostOptions {
        plain_http: true,
        logins: SourcesByPath::from(Source::Own(Credentials::Basic {
            username: "alice".to_owned(),
            password: Secret::File(folder.path().join("password")),
        })),
        page_size: Some(2),
        ..HostOptions::default()
    };
    Options {
        hosts: BTreeMap::from([(server.host(), host)]),
        others: HostOptions::default(),
        cache: Some(folder.path().join("cache")),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(5),
            total: Duration::from_secs(20),
            back_off: Duration::from_millis(1),
        },
        ..Options::default()
    }
}

fn image() -> Image {
    Image {
        created: Some(NOON),
        labels: BTreeMap::new(),
    }
}

fn refuse(status: u16, times: u32) -> Fault {
    Fault::Refuse {
        status,
        retry_after: None,
        times,
    }
}

fn wait(retry_after: &str, times: u32) -> Fault {
    Fault::Refuse {
        status: 429,
        retry_after: Some(retry_after.to_owned()),
        times,
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_named() {
    let mut stage = Stage::new();
    let repository = stage.repository();
    let gone = std::mem::replace(
        &mut stage.server,
        MemoryRegistry::start(Access::Anonymous).unwrap(),
    );
    let host = gone.host();
    drop(gone);
    let error = stage.registry.tags(&repository, NOON).await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error).replace(&host, "HOST"), @r"
    error: failed to reach `HOST`
    caused by: error sending request
    caused by: client error (Connect)
    caused by: tcp connect error
    caused by: Connection refused (os error 111)
    ");
}

#[tokio::test]
async fn refusals_are_told_in_the_registrys_own_words() {
    let stage = Stage::new();
    insta::assert_snapshot!(stage.failure(refuse(401, 1)).await, @r"
    error: `HOST` refused the user `alice` with the password in file `FOLDER/password` for `acme/web`, saying `FAULT: this fault was asked for`
    hint: check that the repository exists, and the `credentials` of `HOST` in the settings
    ");
    insta::assert_snapshot!(stage.failure(refuse(403, 1)).await, @r"
    error: `HOST` forbids the user `alice` with the password in file `FOLDER/password` to read `acme/web`, saying `FAULT: this fault was asked for`
    hint: give the credentials leave to pull from `HOST/acme/web`
    ");
    insta::assert_snapshot!(stage.failure(refuse(404, 1)).await, @"error: `HOST/acme/web` does not exist");
    insta::assert_snapshot!(stage.failure(refuse(500, ALWAYS)).await, @"error: `HOST` answered with status 500, saying `FAULT: this fault was asked for`");
    insta::assert_snapshot!(stage.failure(refuse(418, ALWAYS)).await, @"error: `HOST` answered with status 418, saying `FAULT: this fault was asked for`");
}

#[tokio::test]
async fn passing_failures_are_tried_again_and_three_of_them_go_unseen() {
    for fault in [refuse(500, 3), refuse(429, 3), Fault::Cut { times: 3 }] {
        let stage = Stage::new();
        stage.server.fail(fault);
        assert_eq!(stage.tags().await.unwrap().tags.len(), 5);
        assert_eq!(stage.count()[&Kind::Tags], 3 + 3);
        let host = stage.server.host();
        let answered = REQUESTS.with_label_values(&[host.as_str(), "200"]).get();
        let failed = REQUESTS.with_label_values(&[host.as_str(), "failed"]).get();
        let refused = ["429", "500"].map(|s| REQUESTS.with_label_values(&[host.as_str(), s]).get());
        assert_eq!((answered, failed + refused[0] + refused[1]), (3, 3));
    }
    let stage = Stage::new();
    insta::assert_snapshot!(stage.failure(Fault::Cut { times: 4 }).await.lines().next().unwrap(), @"error: failed to reach `HOST`");
    assert_eq!(stage.count()[&Kind::Tags], 4 + 3);
}

#[tokio::test]
async fn a_registry_that_asks_for_quiet_gets_it_from_every_request() {
    let stage = Stage::new();
    stage.server.fail(wait("1", 1));
    let start = std::time::Instant::now();
    assert_eq!(stage.tags().await.unwrap().tags.len(), 5);
    let digest = stage
        .registry
        .digest(&stage.repository(), &"v1".parse().unwrap())
        .await;
    assert!(digest.is_ok());
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_wait_is_told_at_once_and_nothing_is_asked_in_it() {
    let stage = Stage::new();
    stage.server.fail(wait("600", 1));
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"
    error: `HOST` takes no more requests for now and asks to wait 10m
    hint: a longer `poll-interval` or fewer `requests-per-second` for `HOST` ask less often, and most registries allow more to those with `credentials`
    ");
    let again = stage.tags().await.unwrap_err();
    assert!(matches!(
        again,
        RegistryError::TooManyRequests { wait: Some(_), .. }
    ));
    assert_eq!(stage.count()[&Kind::Tags], 1);
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_given_up() {
    let stage = Stage::with(Access::Anonymous, |options| {
        options.timeouts.read = Duration::from_millis(200);
    });
    insta::assert_snapshot!(stage.failure(Fault::Stalled).await, @"error: `HOST` answered too slowly: nothing for 200ms");
}

#[tokio::test]
async fn a_registry_that_drips_is_given_up_in_the_end() {
    let stage = Stage::with(Access::Anonymous, |options| {
        options.timeouts.total = Duration::from_millis(500);
    });
    let pause = Duration::from_millis(20);
    insta::assert_snapshot!(stage.failure(Fault::Slow { pause }).await, @"error: reading the tags of `HOST/acme/web` took longer than 500ms");
}

#[tokio::test]
async fn what_is_no_listing_is_shown_by_its_start() {
    let stage = Stage::new();
    insta::assert_snapshot!(stage.failure(Fault::WebPage).await, @r"
    error: the list of tags of `HOST/acme/web` came as `text/html` and is not what the registry API defines; it starts with `<html> <title>Sign in</title></html>`
    caused by: expected value at line 1 column 1
    ");
}

#[tokio::test]
async fn a_listing_that_never_ends_is_cut_at_its_bound() {
    let stage = Stage::new();
    insta::assert_snapshot!(stage.failure(Fault::Giant).await, @"error: the answer of `HOST` to `/v2/acme/web/tags/list` is larger than 16777216 bytes");
    let endless = stage.failure(Fault::EndlessPages).await;
    assert_eq!(endless, stage.failure(Fault::PageLoop).await);
    insta::assert_snapshot!(endless, @"error: the listing of `HOST/acme/web` goes in a circle: a page brings nothing new and leads on");
}

#[tokio::test]
async fn a_listing_that_goes_on_elsewhere_is_not_followed() {
    let stage = Stage::new();
    insta::assert_snapshot!(stage.failure(Fault::CrossOriginLink).await, @r"
    error: the listing of `HOST/acme/web` goes on at `http://elsewhere.example.com`, which is not `http://HOST`
    hint: a proxy in front of `HOST` has to pass on the host and scheme it was asked with
    ");
}

#[tokio::test]
async fn a_listing_is_whole_whatever_way_its_pages_are_linked() {
    for fault in [
        Fault::NoLink,
        Fault::LinkOnLastPage,
        Fault::OpaqueCursor,
        Fault::PageSizeLimit { most: 1 },
        Fault::Unsorted,
    ] {
        let stage = Stage::new();
        stage.server.push(PATH, "v6", &image());
        stage.server.fail(fault.clone());
        let listing = stage.tags().await.unwrap();
        let tags: Vec<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert_eq!(tags, ["v1", "v2", "v3", "v4", "v5", "v6"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_tag_that_is_deleted_between_two_pages_takes_no_other_with_it() {
    // The pages are v1 and v2, v3 and v4, v5.
    for (tag, left) in [
        ("v2", ["v1", "v2", "v3", "v4", "v5"].as_slice()),
        ("v3", &["v1", "v2", "v4", "v5"]),
        ("v5", &["v1", "v2", "v3", "v4"]),
    ] {
        let stage = Stage::new();
        let tag = tag.to_owned();
        stage.server.fail(Fault::DeletedBetweenPages { tag });
        let listing = stage.tags().await.unwrap();
        let tags: Vec<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert_eq!(tags, left);
    }
}

#[tokio::test]
async fn a_listing_that_loses_its_place_at_a_deleted_tag_is_read_from_the_start_again() {
    let stage = Stage::new();
    let delete = |tag: &str| {
        let tag = tag.to_owned();
        stage.server.fail(Fault::DeletedBetweenPages { tag });
    };
    stage.server.fail(Fault::ForgetsDeletedTags);
    delete("v2");
    assert_eq!(stage.tags().await.unwrap().tags.len(), 4);
    // The pages are v1 and v3, v4 and v5; then v1 and v4, v5.
    delete("v3");
    delete("v4");
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"error: the listing of `HOST/acme/web` broke off: its registry does not find the next page, as when tags are deleted while they are listed");
    assert_eq!(stage.tags().await.unwrap().tags.len(), 2);
}

#[tokio::test]
async fn a_full_last_page_ends_a_listing_whose_pages_were_linked() {
    let stage = Stage::new();
    stage.server.push(PATH, "v6", &image());
    stage.tags().await.unwrap();
    assert_eq!(stage.count()[&Kind::Tags], 3);
}

#[tokio::test]
async fn a_page_size_that_was_refused_is_not_asked_for_again() {
    let stage = Stage::with(Access::Anonymous, |options| {
        for host in options.hosts.values_mut() {
            host.page_size = Some(1000);
        }
    });
    stage.server.fail(Fault::PageSizeLimit { most: 100 });
    stage.tags().await.unwrap();
    assert_eq!(stage.count()[&Kind::Tags], 2);
    stage.tags().await.unwrap();
    assert_eq!(stage.count()[&Kind::Tags], 1);
}

#[tokio::test]
async fn a_page_size_that_is_refused_at_a_later_page_is_given_up_from_the_start() {
    let stage = Stage::with(Access::Anonymous, |options| {
        for host in options.hosts.values_mut() {
            host.page_size = Some(120);
        }
    });
    for number in 0..150 {
        stage
            .server
            .push("acme/many", &format!("build-{number}"), &image());
    }
    stage.server.fail(Fault::LaterPageSizeLimit { most: 100 });
    let repository = format!("{}/acme/many", stage.server.host());
    let repository = repository.parse().unwrap();
    for requests in [4, 2] {
        let listing = stage.registry.tags(&repository, NOON).await.unwrap();
        assert_eq!(listing.tags.len(), 150);
        assert_eq!(stage.count()[&Kind::Tags], requests);
    }
}

#[tokio::test]
async fn pages_that_are_cut_without_a_word_are_read_to_the_end() {
    let stage = Stage::with(Access::Anonymous, |options| {
        for host in options.hosts.values_mut() {
            host.page_size = None;
        }
    });
    for number in 0..120 {
        stage
            .server
            .push("acme/many", &format!("build-{number}"), &image());
    }
    stage.server.fail(Fault::NoLink);
    stage.server.fail(Fault::ShortPages { most: 50 });
    let repository = format!("{}/acme/many", stage.server.host());
    let repository = repository.parse().unwrap();
    for _ in 0..2 {
        let listing = stage.registry.tags(&repository, NOON).await.unwrap();
        assert_eq!(listing.tags.len(), 120);
        assert_eq!(stage.count()[&Kind::Tags], 3);
    }
    assert_eq!(stage.tags().await.unwrap().tags.len(), 5);
    assert_eq!(
        stage.count()[&Kind::Tags],
        1,
        "a short page is the last one"
    );
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_told_and_nothing_is_asked_before_its_end() {
    let stage = Stage::with(Access::Anonymous, |options| {
        for host in options.hosts.values_mut() {
            host.page_size = None;
        }
    });
    for (name, value) in [
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1800"),
    ] {
        let value = value.to_owned();
        stage.server.fail(Fault::Says { name, value });
    }
    assert!(stage.tags().await.is_ok(), "this one was still allowed");
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"
    error: `HOST` allows no more requests for now: all 60 are used up, and the next comes in 30m
    hint: a longer `poll-interval` or fewer `requests-per-second` for `HOST` ask less often, and most registries allow more to those with `credentials`
    ");
    assert_eq!(stage.count()[&Kind::Tags], 1);
}

#[tokio::test]
async fn pulls_that_are_used_up_stop_neither_listings_nor_digests() {
    let stage = Stage::with(Access::Anonymous, |options| {
        for host in options.hosts.values_mut() {
            host.kind = Some(RegistryKind::DockerHub);
        }
    });
    let repository = stage.repository();
    let tags = ["v1", "v2"].map(|tag| tag.parse().unwrap());
    let other = format!("sha256:{}", "f".repeat(64)).parse().unwrap();
    stage.server.fail(Fault::PullLimit { pulls: 0 });
    let error = stage
        .registry
        .metadata(&repository, &other)
        .await
        .unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"
    error: `HOST` allows no more pulls for now: all 100 in 6h are used up, and the next comes in 3m 36s
    hint: `HOST` allows more pulls to those with `credentials`; creation times alone are read by pulls, so `newest-by` anything but `created` needs none
    ");
    assert_eq!(stage.count()[&Kind::Manifest], 1, "it is not tried again");
    assert!(stage.registry.digest(&repository, &tags[0]).await.is_ok());
    assert!(stage.tags().await.is_ok());
    stage.count();
    assert!(stage.registry.metadata(&repository, &other).await.is_err());
    assert_eq!(stage.count(), BTreeMap::new(), "what is used up is known");
    stage.server.heal();
    stage.server.fail(Fault::PullLimit { pulls: 100 });
    assert!(stage.registry.digest(&repository, &tags[1]).await.is_ok());
    let error = stage
        .registry
        .metadata(&repository, &other)
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn null_is_an_empty_listing_and_is_marked_where_there_were_tags() {
    let stage = Stage::new();
    stage.server.fail(Fault::NullTags);
    let listing = stage.tags().await.unwrap();
    assert_eq!((listing.tags.len(), listing.shrunk), (0, None));
    stage.server.heal();
    stage.tags().await.unwrap();
    stage.server.fail(Fault::NullTags);
    let shrunk = stage.tags().await.unwrap().shrunk;
    assert_eq!(shrunk.map(|shrunk| shrunk.from), Some(5));
}

#[tokio::test]
async fn a_shrunk_listing_is_marked_until_it_has_lasted_an_hour_restarts_included() {
    let stage = Stage::new();
    stage.tags().await.unwrap();
    stage.server.fail(Fault::Shrunk { tags: 2 });
    let mut marks = Vec::new();
    for minutes in [1, 60, 61, 62] {
        let now = NOON + SignedDuration::from_mins(minutes);
        let registry = Registry::new(options(&stage.server, &stage.folder));
        let listing = registry.tags(&stage.repository(), now).await.unwrap();
        marks.push(listing.shrunk.map(|shrunk| shrunk.from));
    }
    assert_eq!(marks, [Some(5), Some(5), None, None]);
}

#[tokio::test]
async fn a_name_that_is_no_tag_is_dropped_and_counted() {
    let stage = Stage::new();
    stage.server.push(PATH, "~odd", &image());
    let listing = stage.tags().await.unwrap();
    assert_eq!((listing.tags.len(), listing.invalid), (5, 1));
}

#[tokio::test]
async fn a_digest_that_is_not_told_is_computed() {
    let stage = Stage::new();
    stage.server.fail(Fault::NoDigest);
    let pushed = stage.server.push(PATH, "v1", &image());
    let digest = stage
        .registry
        .digest(&stage.repository(), &"v1".parse().unwrap())
        .await;
    assert_eq!(digest.unwrap().as_str(), pushed);
}

#[tokio::test]
async fn content_that_has_another_digest_is_refused() {
    let stage = Stage::new();
    let digest = stage.server.push(PATH, "v1", &image()).parse().unwrap();
    stage.server.fail(Fault::OtherContent);
    let error = stage
        .registry
        .metadata(&stage.repository(), &digest)
        .await
        .unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"error: `HOST` gave content with the digest `sha256:3ec38b30bda9` for `sha256:ff7bba3442c3`");
    stage.server.heal();
    let metadata = stage.registry.metadata(&stage.repository(), &digest).await;
    assert_eq!(metadata.unwrap().created, Some(NOON));
}

#[tokio::test]
async fn a_redirect_to_plain_http_elsewhere_is_not_followed() {
    let stage = Stage::new();
    let digest = stage.server.push(PATH, "v1", &image()).parse().unwrap();
    let to = "http://elsewhere.example.com".to_owned();
    stage.server.fail(Fault::RedirectBlobs { to });
    let error = stage
        .registry
        .metadata(&stage.repository(), &digest)
        .await
        .unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @r"
    error: `HOST` redirects where towpath does not follow
    caused by: error following redirect
    caused by: `http://elsewhere.example.com` is neither https nor where the request went
    ");
}

#[tokio::test]
async fn a_redirect_to_storage_is_followed_without_the_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::start(&Authority::new(folder.path()));
    let access = Access::Basic {
        username: "alice".to_owned(),
        password: PASSWORD.to_owned(),
    };
    let stage = Stage::with(access, |options| {
        for host in options.hosts.values_mut() {
            host.connection.ca_file = Some(storage.ca_file.clone());
        }
    });
    let digest = stage.server.push(PATH, "v1", &image()).parse().unwrap();
    let to = format!("https://{}", storage.host);
    stage.server.fail(Fault::RedirectBlobs { to });
    let error = stage
        .registry
        .metadata(&stage.repository(), &digest)
        .await
        .unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
    let head = storage.head().to_lowercase();
    assert!(head.starts_with("get /v2/acme/web/blobs/sha256:"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::start(&Authority::new(folder.path()));
    let stage = Stage::new();
    let repository = format!("{}/{PATH}", storage.host).parse().unwrap();
    let error = stage.registry.tags(&repository, NOON).await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error).replace(&storage.host, "HOST"), @"
    error: failed to agree on TLS with `HOST`: its certificate is signed by no authority that is trusted
    hint: if it is an authority of your own, name its `ca-file` under `HOST` in the settings
    ");
}

#[tokio::test]
async fn a_registry_without_tls_is_not_read_unless_the_settings_say_so() {
    let stage = Stage::with(Access::Anonymous, |options| options.hosts.clear());
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"
    error: failed to agree on TLS with `HOST`: it does not answer in TLS
    hint: if `HOST` speaks plain http, say `plain-http: true` in the settings
    ");
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_named_and_read_again() {
    let mut file = PathBuf::new();
    let stage = Stage::with(Access::Anonymous, |options| {
        file = options.cache.clone().unwrap().with_file_name("ca.pem");
        for host in options.hosts.values_mut() {
            host.connection.ca_file = Some(file.clone());
        }
    });
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"
    error: failed to read `FOLDER/ca.pem`
    caused by: No such file or directory (os error 2)
    ");
    std::fs::write(&file, "nothing").unwrap();
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @"error: `FOLDER/ca.pem` holds no CA certificate in PEM form");
    assert_eq!(Authority::new(stage.folder.path()).ca_file, file);
    assert!(stage.tags().await.is_ok());
}

/// Runs itself again in an environment like that of an empty container image.
#[tokio::test]
async fn without_ca_certificates_plain_http_is_read_and_https_is_told_what_is_missing() {
    const NAME: &str = "registry::faults::without_ca_certificates_plain_http_is_read_and_https_is_told_what_is_missing";
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|file| file != "/dev/null") {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "/dev/null")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let stage = Stage::new();
    assert!(stage.tags().await.is_ok());
    let stage = Stage::with(Access::Anonymous, |options| options.hosts.clear());
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @r"
    error: failed to set up TLS for `HOST`
    caused by: builder error
    caused by: unexpected error: No CA certificates were loaded from the system
    hint: install CA certificates (the package `ca-certificates`), set SSL_CERT_FILE, or give `HOST` a `ca-file` in the settings
    ");
}

#[tokio::test]
async fn a_token_service_that_refuses_is_quoted() {
    let stage = Stage::with_tokens();
    insta::assert_snapshot!(stage.failure(Fault::TokenRefused).await, @r"
    error: the token service `127.0.0.1` of `HOST` refused the user `alice` with the password in file `FOLDER/password` with status 403, saying `DENIED: the account is locked`
    hint: check the `credentials` of `HOST` in the settings
    ");
    let stage = Stage::with_tokens();
    insta::assert_snapshot!(stage.failure(Fault::TokenBroken).await, @"error: the token for `HOST` cannot be sent: it has characters that no header may hold");
}

#[tokio::test]
async fn credentials_go_to_no_token_service_that_the_settings_do_not_name() {
    let stage = Stage::with_tokens();
    let url = "http://elsewhere.example.com/token".to_owned();
    insta::assert_snapshot!(stage.failure(Fault::Realm { url }).await, @r"
    error: `HOST` wants its credentials sent to `elsewhere.example.com`, which the settings do not name
    hint: if `elsewhere.example.com` may have these credentials, add it to `realms` of `HOST` in the settings
    ");
    let url = "ftp://elsewhere.example.com/token".to_owned();
    stage.server.expire_tokens();
    insta::assert_snapshot!(stage.failure(Fault::Realm { url }).await, @"error: `HOST` sends its login to `ftp://elsewhere.example.com/token`, which is not https");
}

/// A registry whose token service, on another host by name, gives a token to everybody and keeps what it was sent.
async fn generous_registry() -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    let token = async move |headers: HeaderMap| {
        kept.lock().unwrap().push(headers);
        r#"{"token": "for-everybody"}"#
    };
    let challenge = format!(r#"Bearer realm="http://localhost:{port}/token""#);
    let tags = async move |headers: HeaderMap| match headers.contains_key(AUTHORIZATION) {
        true => (StatusCode::OK, HeaderMap::new(), r#"{"tags": ["v1"]}"#),
        false => {
            let challenge = HeaderValue::from_str(&challenge).unwrap();
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]);
            (StatusCode::UNAUTHORIZED, headers, "{}")
        }
    };
    let router = axum::Router::new()
        .route("/token", axum::routing::get(token))
        .fallback(axum::routing::get(tags));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("127.0.0.1:{port}"), sent)
}

#[tokio::test]
async fn a_token_service_that_anonymous_reading_taught_gets_no_credentials() {
    let (host, sent) = generous_registry().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let registry = Registry::new(Options {
        others: HostOptions {
            plain_http: true,
            logins: SourcesByPath::from(Source::DockerConfig(DockerConfig::new(file.clone()))),
            ..HostOptions::default()
        },
        ..Options::default()
    });
    let repository = |path: &str| format!("{host}/{path}").parse::<Repository>().unwrap();
    // `alice:hunter2`, for one of two repositories.
    let entry = format!(r#""{host}/acme/secret": {{"auth": "YWxpY2U6aHVudGVyMg=="}}"#);
    std::fs::write(&file, format!(r#"{{"auths": {{{entry}}}}}"#)).unwrap();

    let open = registry.tags(&repository("acme/web"), NOON).await.unwrap();
    assert_eq!(open.tags.len(), 1);
    let error = registry.tags(&repository("acme/secret"), NOON).await;
    assert!(
        matches!(error, Err(RegistryError::RealmUntrusted { .. })),
        "{error:?}"
    );
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].contains_key(AUTHORIZATION));
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_named_by_their_place() {
    let stage = Stage::with_tokens();
    std::fs::remove_file(stage.folder.path().join("password")).unwrap();
    let error = stage.tags().await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @r"
    error: failed to read the credentials for `HOST`
    caused by: failed to read the secret in `FOLDER/password`
    caused by: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn a_token_service_that_moved_is_found_again() {
    let stage = Stage::with_tokens();
    stage.tags().await.unwrap();
    stage.server.expire_tokens();
    let url = format!("http://{}/moved", stage.server.host());
    stage.server.fail(Fault::Realm { url });
    assert!(stage.tags().await.is_err());
    stage.server.heal();
    assert_eq!(stage.tags().await.unwrap().tags.len(), 5);
}

#[tokio::test]
async fn a_token_that_the_settings_give_is_sent_as_it_is() {
    let stage = Stage::with_tokens();
    let host = stage.server.host();
    let file = stage.folder.path().join("token");
    let mut options = options(&stage.server, &stage.folder);
    for host in options.hosts.values_mut() {
        host.logins = Source::Own(Credentials::Token(Secret::File(file.clone()))).into();
    }
    let registry = Registry::new(options);
    std::fs::write(&file, "made-up").unwrap();
    let error = registry.tags(&stage.repository(), NOON).await.unwrap_err();
    insta::assert_snapshot!(stage.told(&error), @r"
    error: `HOST` refused the token in file `FOLDER/token` for `acme/web`, saying `UNAUTHORIZED: authentication required`
    hint: check that the repository exists, and the `credentials` of `HOST` in the settings
    ");
    let client = reqwest::Client::new();
    let url = format!("http://{host}/token?scope=repository:{PATH}:pull");
    let request = client.get(url).basic_auth("alice", Some(PASSWORD));
    let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    std::fs::write(&file, answer["token"].as_str().unwrap()).unwrap();
    stage.count();
    let listing = registry.tags(&stage.repository(), NOON).await.unwrap();
    assert_eq!(listing.tags.len(), 5);
    assert_eq!(stage.count(), BTreeMap::from([(Kind::Tags, 3)]));
}

#[tokio::test]
async fn a_token_that_no_longer_counts_is_renewed_once() {
    let stage = Stage::with_tokens();
    stage.tags().await.unwrap();
    stage.server.expire_tokens();
    stage.count();
    stage.tags().await.unwrap();
    assert_eq!(
        stage.count(),
        BTreeMap::from([(Kind::Tags, 1 + 3), (Kind::Token, 1)])
    );
}

#[tokio::test]
async fn a_token_is_not_used_past_its_life() {
    let access = Access::Token {
        username: "alice".to_owned(),
        password: PASSWORD.to_owned(),
        life: Duration::ZERO,
    };
    let stage = Stage::with(access, |_| {});
    // Every request finds its token out of date: the registry is asked, refuses, and a fresh token is refused too.
    let error = stage.tags().await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }));
    assert_eq!(
        stage.count(),
        BTreeMap::from([(Kind::Tags, 2), (Kind::Token, 1)])
    );
    stage.tags().await.unwrap_err();
    assert_eq!(stage.count()[&Kind::Token], 2);
}

#[tokio::test]
async fn many_readers_of_one_repository_share_one_token_request() {
    let stage = Stage::with_tokens();
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let (registry, repository) = (stage.registry.clone(), stage.repository());
        readers.spawn(async move { registry.tags(&repository, NOON).await.is_ok() });
    }
    assert!(readers.join_all().await.iter().all(|read| *read));
    assert_eq!(stage.count()[&Kind::Token], 1);
}

#[tokio::test]
async fn a_steady_state_is_one_request_per_repository() {
    let stage = Stage::with_tokens();
    let repositories: Vec<Repository> = (0..100)
        .map(|number| {
            let path = format!("fleet/app-{number}");
            stage.server.push(&path, "v1", &image());
            format!("{}/{path}", stage.server.host()).parse().unwrap()
        })
        .collect();
    // One refusal says which login is wanted; the others know.
    let first = BTreeMap::from([(Kind::Tags, 101), (Kind::Token, 100)]);
    for expected in [first, BTreeMap::from([(Kind::Tags, 100)])] {
        let mut readers = JoinSet::new();
        for repository in repositories.clone() {
            let registry = stage.registry.clone();
            readers.spawn(async move { registry.tags(&repository, NOON).await.is_ok() });
        }
        assert!(readers.join_all().await.iter().all(|read| *read));
        assert_eq!(stage.count(), expected);
    }
}

#[tokio::test]
async fn metadata_is_read_once_per_digest_restarts_included() {
    let stage = Stage::new();
    let digest = stage.server.push(PATH, "v1", &image()).parse().unwrap();
    for _ in 0..2 {
        let registry = Registry::new(options(&stage.server, &stage.folder));
        for _ in 0..2 {
            let metadata = registry
                .metadata(&stage.repository(), &digest)
                .await
                .unwrap();
            assert_eq!(metadata.created, Some(NOON));
        }
    }
    assert_eq!(
        stage.count(),
        BTreeMap::from([(Kind::Manifest, 1), (Kind::Blob, 1)])
    );
}

#[tokio::test]
async fn a_cache_that_is_damaged_or_gone_costs_only_requests() {
    let stage = Stage::new();
    let digest = stage.server.push(PATH, "v1", &image()).parse().unwrap();
    let cache = stage.folder.path().join("cache/registry");
    stage
        .registry
        .metadata(&stage.repository(), &digest)
        .await
        .unwrap();
    stage.tags().await.unwrap();
    let seen = std::fs::read_dir(cache.join("seen"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    for file in [cache.join("metadata.jsonl"), seen.path()] {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    }
    for _ in 0..2 {
        let registry = Registry::new(options(&stage.server, &stage.folder));
        assert!(
            registry
                .metadata(&stage.repository(), &digest)
                .await
                .is_ok()
        );
        assert_eq!(
            registry
                .tags(&stage.repository(), NOON)
                .await
                .unwrap()
                .tags
                .len(),
            5
        );
        std::fs::remove_dir_all(&cache).unwrap();
    }
}

#[tokio::test]
async fn first_seen_times_outlive_a_restart() {
    let stage = Stage::new();
    stage.tags().await.unwrap();
    stage.server.push(PATH, "v6", &image());
    let registry = Registry::new(options(&stage.server, &stage.folder));
    let later = NOON + SignedDuration::from_mins(5);
    let listing = registry.tags(&stage.repository(), later).await.unwrap();
    let times: Vec<_> = listing.tags.iter().map(|tag| tag.first_seen).collect();
    assert_eq!(times, [NOON, NOON, NOON, NOON, NOON, later]);
}

/// A server with TLS that takes one request, keeps its head, and finds nothing.
struct Storage {
    host: String,
    ca_file: PathBuf,
    thread: JoinHandle<std::io::Result<String>>,
}

impl Storage {
    fn start(authority: &Authority) -> Self {
        let certificate = authority.issue(&["127.0.0.1"]);
        let chain = vec![CertificateDer::from_pem_file(certificate.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(certificate.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let config = Arc::new(config);
        let thread = std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            let connection =
                rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
            let mut stream = rustls::StreamOwned::new(connection, socket);
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head)?;
            stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )?;
            stream.conn.send_close_notify();
            stream.flush()?;
            Ok(String::from_utf8_lossy(&head[..length]).into_owned())
        });
        Self {
            host,
            ca_file: authority.ca_file.clone(),
            thread,
        }
    }

    fn head(self) -> String {
        self.thread.join().unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_copy_is_read_at_its_origin_and_never_at_the_mirror() {
    let mut mirrors = BTreeMap::new();
    let stage = Stage::with(Access::Anonymous, |options| {
        let origin = options.hosts.keys().next().unwrap().clone();
        mirrors.insert("mirror.example.com/hub".to_owned(), origin);
        options.mirrors = mirrors.clone().into();
    });
    let copy: Repository = format!("mirror.example.com/hub/{PATH}").parse().unwrap();
    let listing = stage.registry.tags(&copy, NOON).await.unwrap();
    assert_eq!(listing, stage.tags().await.unwrap());
    let tag = "v1".parse().unwrap();
    let digest = stage.registry.digest(&copy, &tag).await.unwrap();
    let metadata = stage.registry.metadata(&copy, &digest).await.unwrap();
    assert_eq!(metadata.created, Some(NOON));
}

#[tokio::test]
async fn what_is_too_large_to_vouch_for_an_image_is_told_and_the_rest_is_read() {
    let stage = Stage::new();
    let digest = format!("sha256:{:064}", 1);
    let (large, small) = (format!("sha256:{:064}", 2), sha256(b"{}"));
    stage.server.upload(PATH, &large, vec![b' '; 33 << 20]);
    stage.server.upload(PATH, &small, b"{}".to_vec());
    let layer = |digest: &str| json!({ "mediaType": "application/vnd.dsse.envelope.v1+json", "digest": digest });
    let manifest = json!({ "layers": [layer(&large), layer(&small)] });
    let tag = format!("{}.att", digest.replace(':', "-"));
    stage.server.put(PATH, &tag, &manifest);
    let (repository, digest) = (stage.repository(), digest.parse().unwrap());
    let attached = stage.registry.attached(&repository, &digest, &|_| true);
    let small = Layer {
        content: b"{}".to_vec(),
        proof: None,
    };
    let expected = [Attached::TooLarge, Attached::Envelope(small)];
    assert_eq!(attached.await.unwrap(), expected);
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
