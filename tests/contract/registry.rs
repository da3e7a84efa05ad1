//! What holds for every registry: the same tests against the one in memory and against docker-registry, with a
//! password behind TLS and with tokens. Where a server is known to differ, its `Quirks` say so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::registry::{DockerRegistry, PASSWORD, USERNAME};
use bed::{Authority, Pusher};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{HostOptions, Options, Registry, RegistryError};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::image::Repository;
use crate::login::{DockerConfig, Source, SourcesByPath};
use crate::secret::{Credentials, Secret};

const NOON: Timestamp = Timestamp::UNIX_EPOCH;
const REPOSITORY: &str = "acme/web";

/// A server under test.
struct Subject {
    server: Server,
    host: String,
    ca_file: Option<PathBuf>,
    folder: TempDir,
    quirks: Quirks,
}

enum Server {
    /// The registry in memory is filled directly.
    Memory(MemoryRegistry),
    Docker(DockerRegistry),
}

/// In what a server differs from the rest.
#[derive(Default)]
struct Quirks {
    /// docker-registry 2.8 sends all tags at once, whatever is asked.
    pages: bool,
}

macro_rules! for_each_server {
    ($($test:ident,)*) => {
        for_each_server!(@one memory_with_password [$($test,)*]);
        for_each_server!(@one memory_with_tokens [$($test,)*]);
        for_each_server!(@one docker_with_password [$($test,)*]);
        for_each_server!(@one docker_with_tokens [$($test,)*]);
    };
    (@one $server:ident [$($test:ident,)*]) => {
        mod $server {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::Subject::$server()).await;
                }
            )*
        }
    };
}

for_each_server! {
    every_tag_is_listed_once_whatever_the_page_size,
    the_digest_of_a_tag_is_that_of_its_last_push,
    an_image_tells_its_time_and_labels_and_platform,
    an_index_tells_its_platforms_and_the_time_of_its_first_image,
    a_chart_tells_nothing_and_is_no_error,
    what_is_not_there_is_named,
    a_wrong_password_is_told_by_its_place,
    a_password_that_was_changed_is_read_anew,
    a_docker_config_file_logs_in_where_the_settings_name_no_registry,
    each_repository_has_the_closest_entry_of_a_docker_config_file,
}

async fn every_tag_is_listed_once_whatever_the_page_size(subject: Subject) {
    let tags = ["v1.10.0", "v1.2.0", "latest", "_a", "develop-0a1b2c3"];
    for tag in tags {
        subject.push(tag, &image("2026-01-01T00:00:00Z")).await;
    }
    for page_size in [1, 2, 5, 1000] {
        let registry = subject.registry_with(|options| options.page_size = page_size);
        let listing = registry.tags(&subject.repository(), NOON).await.unwrap();
        let found: Vec<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert_eq!(
            found,
            ["_a", "develop-0a1b2c3", "latest", "v1.10.0", "v1.2.0"]
        );
        assert_eq!((listing.invalid, listing.shrunk), (0, None));
    }
    let page = subject.raw("tags/list?n=2").await;
    assert_eq!(page.headers().contains_key("link"), subject.quirks.pages);
}

async fn the_digest_of_a_tag_is_that_of_its_last_push(subject: Subject) {
    let registry = subject.registry();
    let tag = "latest".parse().unwrap();
    for created in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
        let pushed = subject.push("latest", &image(created)).await;
        let digest = registry.digest(&subject.repository(), &tag).await.unwrap();
        assert_eq!(digest.as_str(), pushed);
    }
}

async fn an_image_tells_its_time_and_labels_and_platform(subject: Subject) {
    let pushed = subject.push("v1", &image("2026-01-01T12:30:00Z")).await;
    let registry = subject.registry();
    let digest = pushed.parse().unwrap();
    let metadata = registry
        .metadata(&subject.repository(), &digest)
        .await
        .unwrap();
    assert_eq!(metadata.created, "2026-01-01T12:30:00Z".parse().ok());
    assert_eq!(
        metadata.labels["org.opencontainers.image.revision"],
        "0a1b2c3"
    );
    assert_eq!(metadata.platforms, ["linux/amd64"]);
}

async fn an_index_tells_its_platforms_and_the_time_of_its_first_image(subject: Subject) {
    let pushed = subject
        .push_index("v1", &image("2026-01-01T12:30:00Z"))
        .await;
    let registry = subject.registry();
    let (repository, tag) = (subject.repository(), "v1".parse().unwrap());
    let digest = registry.digest(&repository, &tag).await.unwrap();
    assert_eq!(digest.as_str(), pushed);
    let metadata = registry.metadata(&repository, &digest).await.unwrap();
    assert_eq!(metadata.created, "2026-01-01T12:30:00Z".parse().ok());
    assert_eq!(metadata.platforms, ["linux/amd64", "linux/arm64"]);
}

async fn a_chart_tells_nothing_and_is_no_error(subject: Subject) {
    let pushed = subject.push("1.0.0", &Image::default()).await;
    let digest = pushed.parse().unwrap();
    let registry = subject.registry();
    let metadata = registry
        .metadata(&subject.repository(), &digest)
        .await
        .unwrap();
    assert_eq!(metadata, super::Metadata::default());
}

async fn what_is_not_there_is_named(subject: Subject) {
    let registry = subject.registry();
    subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    let tag = "v2".parse().unwrap();
    let repository = subject.repository();
    let error = registry.digest(&repository, &tag).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{repository}:v2` does not exist")
    );
    let other: Repository = format!("{}/no/such", subject.host).parse().unwrap();
    let error = registry.tags(&other, NOON).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`{other}` does not exist"));
}

async fn a_wrong_password_is_told_by_its_place(subject: Subject) {
    std::fs::write(subject.password_file(), "hunter2").unwrap();
    let repository = subject.repository();
    let error = subject
        .registry()
        .tags(&repository, NOON)
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        RegistryError::Unauthorized { .. } | RegistryError::TokenRefused { .. }
    ));
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(USERNAME) && text.contains("password"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert!(error.hint().unwrap().contains("`credentials`"));
    let registry = subject.registry_with(|options| options.logins = SourcesByPath::default());
    let error = registry.tags(&repository, NOON).await.unwrap_err();
    assert!(error.to_string().contains("anonymous access"), "{error}");
}

async fn a_password_that_was_changed_is_read_anew(subject: Subject) {
    subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    let registry = subject.registry();
    let repository = subject.repository();
    std::fs::write(subject.password_file(), "old").unwrap();
    assert!(registry.tags(&repository, NOON).await.is_err());
    std::fs::write(subject.password_file(), PASSWORD).unwrap();
    assert!(registry.tags(&repository, NOON).await.is_ok());
}

async fn a_docker_config_file_logs_in_where_the_settings_name_no_registry(subject: Subject) {
    subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    let (registry, repository) = (subject.registry_by_docker_config(), subject.repository());
    let told = async || {
        let error = registry.tags(&repository, NOON).await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(!text.contains("hunter2"), "{text}");
        error.to_string()
    };
    let file = format!("Docker config file `{}`", subject.docker_config().display());

    let text = told().await;
    assert!(text.contains("failed to read the credentials"), "{text}");
    subject.write_docker_config(&[("other.example.com", PASSWORD)]);
    let text = told().await;
    let place = format!("anonymous access (no login in the {file})");
    assert!(text.contains(&place), "{text}");
    subject.write_docker_config(&[(&subject.host, "hunter2")]);
    let text = told().await;
    let place = format!("refused the entry `{}` of the {file}", subject.host);
    assert!(text.contains(&place), "{text}");

    // The file is mended, and nothing else.
    let url = format!("https://{}/v2/", subject.host);
    subject.write_docker_config(&[(&url, PASSWORD)]);
    let listing = registry.tags(&repository, NOON).await.unwrap();
    assert_eq!(listing.tags.len(), 1);
}

async fn each_repository_has_the_closest_entry_of_a_docker_config_file(subject: Subject) {
    subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    let namespace = format!("{}/acme", subject.host);
    let close = format!("{namespace}/web");
    let other: Repository = format!("{namespace}/api").parse().unwrap();
    for (outer, inner) in [("hunter2", PASSWORD), (PASSWORD, "hunter2")] {
        subject.write_docker_config(&[(&namespace, outer), (&close, inner)]);
        // A token that was given out before this change is still good, so each time starts without one.
        let registry = subject.registry_by_docker_config();
        let of_inner = registry.tags(&subject.repository(), NOON).await;
        assert_eq!(of_inner.is_ok(), inner == PASSWORD);
        let of_outer = registry.tags(&other, NOON).await.unwrap_err();
        let not_there = matches!(of_outer, RegistryError::NotFound { .. });
        assert_eq!(not_there, outer == PASSWORD, "{of_outer}");
    }
}

fn image(created: &str) -> Image {
    let revision = "org.opencontainers.image.revision".to_owned();
    Image {
        created: Some(created.parse().unwrap()),
        labels: BTreeMap::from([(revision, "0a1b2c3".to_owned())]),
    }
}

impl Subject {
    fn memory_with_password() -> Self {
        Self::memory(Access::Basic {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
        })
    }

    fn memory_with_tokens() -> Self {
        Self::memory(Access::Token {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            life: Duration::from_secs(300),
        })
    }

    fn docker_with_password() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let server = DockerRegistry::with_password(&authority);
        Self {
            host: server.host.clone(),
            server: Server::Docker(server),
            ca_file: Some(authority.ca_file),
            folder,
            quirks: Quirks::default(),
        }
        .ready()
    }

    fn docker_with_tokens() -> Self {
        let server = DockerRegistry::with_tokens();
        Self {
            host: server.host.clone(),
            server: Server::Docker(server),
            ca_file: None,
            folder: tempfile::tempdir().unwrap(),
            quirks: Quirks::default(),
        }
        .ready()
    }

    fn memory(access: Access) -> Self {
        let server = MemoryRegistry::start(access).unwrap();
        Self {
            host: server.host(),
            server: Server::Memory(server),
            ca_file: None,
            folder: tempfile::tempdir().unwrap(),
            quirks: Quirks { pages: true },
        }
        .ready()
    }

    fn ready(self) -> Self {
        std::fs::write(self.password_file(), PASSWORD).unwrap();
        self
    }

    fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    fn repository(&self) -> Repository {
        format!("{}/{REPOSITORY}", self.host).parse().unwrap()
    }

    fn registry(&self) -> Registry {
        self.registry_with(|_| {})
    }

    /// A registry that is told of a Docker config file, and of no host.
    fn registry_by_docker_config(&self) -> Registry {
        Registry::new(Options {
            others: HostOptions {
                plain_http: self.ca_file.is_none(),
                ca_file: self.ca_file.clone(),
                logins: SourcesByPath::from(Source::DockerConfig(DockerConfig::new(
                    self.docker_config(),
                ))),
                ..HostOptions::default()
            },
            ..Options::default()
        })
    }

    fn docker_config(&self) -> PathBuf {
        self.folder.path().join("config.json")
    }

    /// Writes what `docker login` would, with these passwords of the same user.
    fn write_docker_config(&self, entries: &[(&str, &str)]) {
        let entry = |(name, password): &(&str, &str)| {
            let auth = STANDARD.encode(format!("{USERNAME}:{password}"));
            format!("\"{name}\": {{\"auth\": \"{auth}\"}}")
        };
        let entries: Vec<_> = entries.iter().map(entry).collect();
        let text = format!("{{\"auths\": {{{}}}}}", entries.join(", "));
        std::fs::write(self.docker_config(), text).unwrap();
    }

    fn registry_with(&self, change: impl FnOnce(&mut HostOptions)) -> Registry {
        let mut options = HostOptions {
            plain_http: self.ca_file.is_none(),
            ca_file: self.ca_file.clone(),
            logins: SourcesByPath::from(Source::Own(Credentials::Basic {
                username: USERNAME.to_owned(),
                password: Secret::File(self.password_file()),
            })),
            ..HostOptions::default()
        };
        change(&mut options);
        Registry::new(Options {
            hosts: BTreeMap::from([(self.host.clone(), options)]),
            others: HostOptions::default(),
            cache: None,
            ..Options::default()
        })
    }

    async fn push(&self, tag: &str, image: &Image) -> String {
        match &self.server {
            Server::Memory(server) => server.push(REPOSITORY, tag, image),
            Server::Docker(server) => {
                let source = MemoryRegistry::start(Access::Anonymous).unwrap();
                let digest = source.push(REPOSITORY, tag, image);
                let references = [digest.as_str(), tag];
                server
                    .pusher()
                    .copy(&source.host(), REPOSITORY, &references)
                    .await;
                digest
            }
        }
    }

    async fn push_index(&self, tag: &str, image: &Image) -> String {
        match &self.server {
            Server::Memory(server) => server.push_index(REPOSITORY, tag, image),
            Server::Docker(server) => {
                let source = MemoryRegistry::start(Access::Anonymous).unwrap();
                let manifest = source.push(REPOSITORY, tag, image);
                let digest = source.push_index(REPOSITORY, tag, image);
                let references = [manifest.as_str(), tag];
                server
                    .pusher()
                    .copy(&source.host(), REPOSITORY, &references)
                    .await;
                digest
            }
        }
    }

    /// What the server itself answers to a GET.
    async fn raw(&self, rest: &str) -> reqwest::Response {
        let pusher = match &self.server {
            Server::Docker(server) => server.pusher(),
            Server::Memory(_) => {
                let token_url = format!("http://{}/token?service=memory", self.host);
                Pusher::new(&self.host, None, Some(token_url))
            }
        };
        pusher.get(REPOSITORY, rest).await
    }
}
