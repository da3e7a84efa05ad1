//! Push times, read by each API that tells them from a registry that speaks it in the shapes that were recorded.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use bed::aws::Moto;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::{HostOptions, Listing, Options, PushApi, Registry, RegistryError, Timeouts};
use crate::demo::registry::{self as demo, Access, Fault, Image, Kind, MemoryRegistry};
use crate::image::{RegistryKind, Repository};
use crate::login::{Aws, Ecr, Environment, Identity, Source, SourcesByPath};
use crate::secret::{Credentials, Secret};

const NOON: Timestamp = Timestamp::UNIX_EPOCH;
const PASSWORD: &str = "s3cret";

/// A registry that tells pushes, and the reader under test.
struct Stage {
    api: PushApi,
    server: MemoryRegistry,
    registry: Registry,
    folder: TempDir,
}

macro_rules! for_each_api {
    ($($test:ident,)*) => {
        for_each_api!(@one acr Acr [$($test,)*]);
        for_each_api!(@one docker_hub DockerHub [$($test,)*]);
        for_each_api!(@one gitlab GitLab [$($test,)*]);
        for_each_api!(@one google Google [$($test,)*]);
        for_each_api!(@one harbor Harbor [$($test,)*]);
        for_each_api!(@one quay Quay [$($test,)*]);
    };
    (@one $module:ident $api:ident [$($test:ident,)*]) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Stage::new(super::PushApi::$api)).await;
                }
            )*
        }
    };
}

for_each_api! {
    each_tag_has_the_time_of_its_last_push,
    a_reading_where_nothing_is_new_is_one_page_restarts_included,
    a_tag_without_a_time_yet_is_missing_and_has_it_in_the_next_reading,
    an_api_that_fails_leaves_the_listing_alone_and_recovers,
    another_registry_behind_the_host_is_told_and_never_without_times,
}

async fn each_tag_has_the_time_of_its_last_push(stage: Stage) {
    stage.server.fail(Fault::PushPages { most: 2 });
    for (tag, second) in [("a", 10), ("b", 50), ("latest", 20), ("d", 40), ("e", 30)] {
        stage.push(tag, second);
    }
    let told = |text: &str| text.to_owned();
    assert_eq!(
        stage.told().await,
        told("a 10, b 50, d 40, e 30, latest 20")
    );
    stage.push("latest", 60);
    stage.server.delete(stage.path(), "b");
    assert_eq!(stage.told().await, told("a 10, d 40, e 30, latest 60"));
}

async fn a_reading_where_nothing_is_new_is_one_page_restarts_included(mut stage: Stage) {
    stage.server.fail(Fault::PushPages { most: 2 });
    for (tag, second) in [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("e", 50)] {
        stage.push(tag, second);
    }
    // One more where the first request is refused or has a token made; Google tells with the listing.
    let api = stage.api;
    let logins = match api {
        PushApi::Acr | PushApi::DockerHub | PushApi::GitLab => 1,
        PushApi::Ecr | PushApi::Google | PushApi::Harbor | PushApi::Quay => 0,
    };
    let pages = |count: u64| match api == PushApi::Google {
        true => 0,
        false => count,
    };
    stage.told().await;
    assert_eq!(stage.requests(), pages(3) + logins);
    stage.told().await;
    assert_eq!(stage.requests(), pages(1));
    stage.push("f", 60);
    stage.push("g", 70);
    stage.told().await;
    assert_eq!(
        stage.requests(),
        pages(2),
        "a page of news, and one without"
    );
    stage.restart();
    assert_eq!(
        stage.told().await,
        "a 10, b 20, c 30, d 40, e 50, f 60, g 70"
    );
    assert_eq!(stage.requests(), pages(1) + logins);
}

async fn a_tag_without_a_time_yet_is_missing_and_has_it_in_the_next_reading(stage: Stage) {
    stage.push("a", 10);
    stage.told().await;
    stage.push("b", 20);
    let tag = "b".to_owned();
    stage.server.fail(Fault::PushHidden { tag });
    assert_eq!(stage.told().await, "a 10");
    stage.server.heal();
    assert_eq!(stage.told().await, "a 10, b 20");
}

async fn an_api_that_fails_leaves_the_listing_alone_and_recovers(stage: Stage) {
    stage.push("a", 10);
    for status in [401, 403, 500] {
        stage.server.fail(Fault::PushesRefused { status });
        let listing = stage.listing(NOON).await;
        assert_eq!(listing.tags.len(), 1);
        let error = stage.pushed(&listing, NOON).await.unwrap_err();
        assert!(matches!(error, RegistryError::PushTimes { .. }));
        let told = stage.words(&error);
        assert!(
            !told.contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD),
            "{told}"
        );
        stage.server.heal();
        assert_eq!(stage.told().await, "a 10");
    }
}

async fn another_registry_behind_the_host_is_told_and_never_without_times(stage: Stage) {
    let other = MemoryRegistry::start(Access::Anonymous).unwrap();
    other.push(stage.path(), "a", &Image::default());
    let registry = registry(&other.host(), stage.api, &stage.folder);
    let repository: Repository = format!("{}/{}", other.host(), stage.path())
        .parse()
        .unwrap();
    let listing = registry.tags(&repository, NOON).await.unwrap();
    let read = registry
        .pushed(&repository, (stage.api, &listing), NOON)
        .await;
    assert!(matches!(read, Err(RegistryError::PushTimes { .. })));
}

#[tokio::test]
async fn what_an_api_needs_beyond_the_registry_is_told() {
    let mut told = String::new();
    for (api, status) in [
        (PushApi::Acr, 403),
        (PushApi::DockerHub, 404),
        (PushApi::GitLab, 404),
        (PushApi::Harbor, 403),
        (PushApi::Quay, 401),
    ] {
        let stage = Stage::new(api);
        stage.push("a", 10);
        stage.server.fail(Fault::PushesRefused { status });
        let error = stage.pushed(&stage.listing(NOON).await, NOON).await;
        writeln!(told, "{}\n", stage.words(&error.unwrap_err())).unwrap();
    }
    insta::assert_snapshot!(told, @"
    error: failed to read push times from the API of ACR
    caused by: `HOST` forbids the user `alice` with the password in file `FOLDER/password` to read `acme/web`, saying `FAULT: this fault was asked for`
    hint: let the credentials read metadata (`metadata/read`) of the repository, or write `newest-by: created` in the policy

    error: failed to read push times from the API of Docker Hub
    caused by: `HOST/acme/web` does not exist
    hint: for a private repository, give `docker.io` a user with a token that may read it, or write `newest-by: created` in the policy

    error: failed to read push times from the API of GitLab
    caused by: `HOST/acme/web` does not exist
    hint: this API needs a registry with the metadata database, or write `newest-by: created` in the policy

    error: failed to read push times from the API of Harbor
    caused by: `HOST` forbids the user `alice` with the password in file `FOLDER/password` to read `acme/team/web`, saying `FAULT: this fault was asked for`
    hint: let the robot account list artifacts and tags, or write `newest-by: created` in the policy

    error: failed to read push times from the API of Quay
    caused by: `HOST` refused the user `$oauthtoken` with the password in file `FOLDER/password` for `acme/web`, saying `FAULT: this fault was asked for`
    hint: Quay's API takes no robot accounts: for a private repository, give the user `$oauthtoken` with an OAuth token as the password, or write `newest-by: created` in the policy
    ");
}

#[tokio::test]
async fn a_token_of_docker_hub_is_had_once_for_many_readings_and_is_its_logins_alone() {
    let stage = Stage::new(PushApi::DockerHub);
    stage.push("a", 10);
    let listing = stage.listing(NOON).await;
    stage.requests();
    let many = (0..5).map(|_| stage.pushed(&listing, NOON));
    for times in futures_util::future::join_all(many).await {
        assert_eq!(times.unwrap().len(), 1);
    }
    assert_eq!(stage.requests(), 1 + 5);
    std::fs::write(stage.folder.path().join("password"), "hunter2").unwrap();
    let error = stage.pushed(&listing, NOON).await.unwrap_err();
    assert!(matches!(error, RegistryError::PushTimes { .. }), "{error}");
}

#[tokio::test]
async fn a_robot_account_of_quays_reads_what_is_public_alone() {
    let stage = Stage::with(PushApi::Quay, "acme+robot");
    stage.push("a", 10);
    let listing = stage.listing(NOON).await;
    let error = stage.pushed(&listing, NOON).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`$oauthtoken`"));
}

#[tokio::test]
async fn a_tag_that_was_moved_far_down_counts_by_the_next_whole_reading() {
    let stage = Stage::new(PushApi::GitLab);
    stage.server.fail(Fault::PushPages { most: 1 });
    stage.push("a", 50);
    stage.push("b", 40);
    stage.told().await;
    // Pushed before what is known, as if this API sorted by something else.
    stage.push("b", 30);
    let later = |hours: i64| NOON + SignedDuration::from_hours(hours);
    let almost = later(6) - SignedDuration::from_secs(1);
    assert_eq!(stage.told_at(almost).await, "a 50, b 40");
    assert_eq!(stage.told_at(later(6)).await, "a 50, b 30");
    // The clock was ahead.
    stage.push("b", 20);
    assert_eq!(stage.told_at(later(5)).await, "a 50, b 20");
}

#[tokio::test]
async fn a_page_that_leads_to_itself_ends_the_reading() {
    let stage = Stage::new(PushApi::Acr);
    stage.server.fail(Fault::PushPages { most: 1 });
    stage.server.fail(Fault::PushLoop);
    stage.push("a", 10);
    stage.push("b", 20);
    let listing = stage.listing(NOON).await;
    let error = stage.pushed(&listing, NOON).await.unwrap_err();
    assert!(
        stage.words(&error).contains("goes in a circle"),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_says_the_same_is_written_once() {
    for api in [PushApi::Google, PushApi::Quay] {
        let stage = Stage::new(api);
        stage.push("a", 10);
        let later = |minutes: i64| NOON + SignedDuration::from_mins(minutes);
        stage.told_at(NOON).await;
        let folder = stage.folder.path().join("cache/registry/pushed");
        std::fs::remove_dir_all(&folder).unwrap();
        stage.told_at(later(2)).await;
        assert!(!folder.exists());
        stage.push("b", 20);
        stage.told_at(later(4)).await;
        assert!(folder.exists());
    }
}

#[tokio::test]
async fn a_password_follows_no_redirect() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (&stream).write_all(answer.as_bytes()).unwrap();
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let stage = Stage::new(PushApi::DockerHub);
    stage.push("a", 10);
    let listing = stage.listing(NOON).await;
    let registry = registry(&host, PushApi::DockerHub, &stage.folder);
    let repository: Repository = format!("{host}/acme/web").parse().unwrap();
    let read = registry.pushed(&repository, (PushApi::DockerHub, &listing), NOON);
    let told = stage.words(&read.await.unwrap_err());
    assert!(told.contains("answered with status 307"), "{told}");
    let listener = server.join().unwrap();
    assert!(listener.accept().is_err(), "nobody came again");
}

#[test]
fn a_vendors_host_tells_its_api() {
    let api = |image: &str| {
        let repository = image.parse().unwrap();
        Registry::new(Options::default()).push_api(&repository)
    };
    for (image, expected) in [
        ("nginx", Some(PushApi::DockerHub)),
        ("acme.azurecr.io/a", Some(PushApi::Acr)),
        ("eu.gcr.io/acme/a", Some(PushApi::Google)),
        (
            "europe-west8-docker.pkg.dev/acme/a/b",
            Some(PushApi::Google),
        ),
        ("registry.gitlab.com/acme/a", Some(PushApi::GitLab)),
        ("quay.io/acme/a", Some(PushApi::Quay)),
        ("ghcr.io/acme/a", None),
        ("gcr.io.example.com/acme/a", None),
        ("harbor.example.com/acme/a", None),
    ] {
        assert_eq!(api(image), expected, "{image}");
    }
}

impl Stage {
    fn new(api: PushApi) -> Self {
        Self::with(api, username(api))
    }

    fn with(api: PushApi, username: &str) -> Self {
        let access = Access::Token {
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
            life: Duration::from_secs(300),
        };
        let server = MemoryRegistry::start(access).unwrap();
        server.tell_pushes(match api {
            PushApi::Ecr => unreachable!("ECR's API stands elsewhere"),
            PushApi::Acr => demo::PushApi::Acr,
            PushApi::DockerHub => demo::PushApi::DockerHub,
            PushApi::GitLab => demo::PushApi::GitLab,
            PushApi::Google => demo::PushApi::Google,
            PushApi::Harbor => demo::PushApi::Harbor,
            PushApi::Quay => demo::PushApi::Quay,
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        std::fs::write(folder.path().join("username"), username).unwrap();
        Self {
            api,
            registry: registry(&server.host(), api, &folder),
            server,
            folder,
        }
    }

    /// Harbor's names have more than two parts at times, which it wants escaped.
    fn path(&self) -> &'static str {
        match self.api == PushApi::Harbor {
            true => "acme/team/web",
            false => "acme/web",
        }
    }

    fn repository(&self) -> Repository {
        format!("{}/{}", self.server.host(), self.path())
            .parse()
            .unwrap()
    }

    fn push(&self, tag: &str, second: i64) {
        self.server.push(self.path(), tag, &Image::default());
        let at = Timestamp::from_second(second).unwrap();
        self.server.set_pushed(self.path(), tag, at);
    }

    /// A new process with the same cache.
    fn restart(&mut self) {
        self.registry = registry(&self.server.host(), self.api, &self.folder);
    }

    async fn listing(&self, now: Timestamp) -> Listing {
        self.registry.tags(&self.repository(), now).await.unwrap()
    }

    async fn pushed(
        &self,
        listing: &Listing,
        now: Timestamp,
    ) -> Result<BTreeMap<crate::image::Tag, Timestamp>, RegistryError> {
        let repository = self.repository();
        self.registry
            .pushed(&repository, (self.api, listing), now)
            .await
    }

    async fn told(&self) -> String {
        self.told_at(NOON).await
    }

    /// The push times in seconds, by tag.
    async fn told_at(&self, now: Timestamp) -> String {
        let listing = self.listing(now).await;
        let times = self.pushed(&listing, now).await.unwrap();
        let told = times
            .iter()
            .map(|(tag, at)| format!("{tag} {}", at.as_second()));
        told.collect::<Vec<_>>().join(", ")
    }

    /// Requests to the API since the last call.
    fn requests(&self) -> u64 {
        let requests = self.server.take_requests();
        requests.get(&Kind::Pushes).copied().unwrap_or(0)
    }

    /// Message, causes and hint, with a fixed host.
    fn words(&self, error: &RegistryError) -> String {
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
}

fn username(api: PushApi) -> &'static str {
    match api == PushApi::Quay {
        true => "$oauthtoken",
        false => "alice",
    }
}

fn registry(host: &str, api: PushApi, folder: &TempDir) -> Registry {
    let options = HostOptions {
        plain_http: true,
        logins: SourcesByPath::from(Source::Own(Credentials::Basic {
            username: std::fs::read_to_string(folder.path().join("username")).unwrap(),
            password: Secret::File(folder.path().join("password")),
        })),
        kind: Some(match api {
            PushApi::Ecr => RegistryKind::Ecr,
            PushApi::Acr => RegistryKind::Acr,
            PushApi::DockerHub => RegistryKind::DockerHub,
            PushApi::GitLab => RegistryKind::GitLab,
            PushApi::Google => RegistryKind::Google,
            PushApi::Harbor => RegistryKind::Harbor,
            PushApi::Quay => RegistryKind::Quay,
        }),
        pace: Some(Duration::from_millis(1)),
        ..HostOptions::default()
    };
    Registry::new(Options {
        hosts: BTreeMap::from([(host.to_owned(), options)]),
        cache: Some(folder.path().join("cache")),
        timeouts: Timeouts {
            back_off: Duration::from_millis(1),
            ..Timeouts::default()
        },
        ..Options::default()
    })
}

/// ECR's own API stands elsewhere and wants signatures, so it is moto that tells of the tags that the registry lists.
#[tokio::test]
async fn ecr_tells_an_aws_identity_and_nobody_else() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    let server = MemoryRegistry::start(Access::Anonymous).unwrap();
    moto.create_repository("acme/web").await;
    for tag in ["v1", "v2"] {
        server.push("acme/web", tag, &Image::default());
        moto.put_image("acme/web", tag).await;
    }
    let repository: Repository = format!("{}/acme/web", server.host()).parse().unwrap();
    let variables = [
        ("AWS_ACCESS_KEY_ID", &moto.access_key),
        ("AWS_SECRET_ACCESS_KEY", &moto.secret_key),
        ("AWS_ENDPOINT_URL", &moto.endpoint),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.clone()));
    let registry = |source: Option<Source>| {
        let options = HostOptions {
            plain_http: true,
            kind: Some(RegistryKind::Ecr),
            logins: source.map(SourcesByPath::from).unwrap_or_default(),
            ..HostOptions::default()
        };
        Registry::new(Options {
            hosts: BTreeMap::from([(server.host(), options)]),
            environment: Environment::Given(BTreeMap::from(variables.clone())),
            ..Options::default()
        })
    };
    let identity = Source::Aws(Aws {
        registry: Ecr::of_region("eu-west-1").unwrap(),
        identity: Identity::Ambient,
        role: None,
    });
    let aws = registry(Some(identity));
    let listing = aws.tags(&repository, NOON).await.unwrap();
    for _ in 0..2 {
        let times = aws
            .pushed(&repository, (PushApi::Ecr, &listing), NOON)
            .await
            .unwrap();
        let tags: Vec<_> = times.keys().map(ToString::to_string).collect();
        assert_eq!(tags, ["v1", "v2"]);
    }

    let anonymous = registry(None);
    let listing = anonymous.tags(&repository, NOON).await.unwrap();
    let error = anonymous
        .pushed(&repository, (PushApi::Ecr, &listing), NOON)
        .await;
    let text = format!("{:#}", anyhow::Error::new(error.unwrap_err()));
    insta::assert_snapshot!(text.replace(&server.host(), "HOST"), @"failed to read push times from the API of ECR: `HOST` tells push times to an AWS identity, and its credentials are none");
}
