//! What holds for every registry: the same tests against the one in memory, docker-registry (distribution 2.8),
//! distribution v3, crane's registry, and zot; with a password behind TLS, and with tokens where the server knows them.
//! Where a server is known to differ, its `Quirks` say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bed::registry::{Distribution, DockerRegistry, PASSWORD, USERNAME};
use bed::{Authority, CraneRegistry, Pusher, ZotRegistry};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{Connection, HostOptions, Options, Registry, RegistryError};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::image::{Attached, Layer, Proof, Repository};
use crate::login::{DockerConfig, Source, SourcesByPath};
use crate::secret::{Credentials, Secret};

const NOON: Timestamp = Timestamp::UNIX_EPOCH;

/// A server under test.
struct Subject {
    server: Server,
    host: String,
    /// The repository under test.
    path: String,
    ca_file: Option<PathBuf>,
    folder: TempDir,
    quirks: Quirks,
}

enum Server {
    /// The registry in memory is filled directly.
    Memory(MemoryRegistry),
    Docker(DockerRegistry),
    Crane(CraneRegistry),
    Zot(ZotRegistry),
}

/// In what a server differs from the rest.
struct Quirks {
    /// Distribution 2.8 sends all tags at once, whatever is asked.
    pages: bool,
    /// crane's registry pages and does not say where the next page is.
    links: bool,
    /// zot gives no page after a tag that is gone.
    loses_its_place: bool,
}

macro_rules! for_each_server {
    ($($test:ident,)*) => {
        for_each_server!(@one memory_with_password [$($test,)*]);
        for_each_server!(@one memory_with_tokens [$($test,)*]);
        for_each_server!(@one docker_with_password [$($test,)*]);
        for_each_server!(@one docker_with_tokens [$($test,)*]);
        for_each_server!(@one v3_with_password [$($test,)*]);
        for_each_server!(@one v3_with_tokens [$($test,)*]);
        for_each_server!(@one crane_with_password [$($test,)*]);
        for_each_server!(@one zot_with_password [$($test,)*]);
        for_each_server!(@one zot_with_tokens [$($test,)*]);
    };
    (@one $server:ident [$($test:ident,)*]) => {
        mod $server {
            $(
                #[tokio::test]
                async fn $test() {
                    // One that is left out on purpose has said so.
                    if let Some(subject) = super::Subject::$server() {
                        super::$test(subject).await;
                    }
                }
            )*
        }
    };
}

for_each_server! {
    every_tag_is_listed_once_whatever_the_page_size,
    five_thousand_tags_are_read_in_pages_of_a_hundred,
    names_as_long_as_they_get_are_read,
    tags_of_signatures_and_referrers_are_listed_like_any_other,
    a_repository_that_lost_its_last_tag_has_none,
    the_digest_of_a_tag_is_that_of_its_last_push,
    an_image_tells_its_time_and_labels_and_platform,
    an_index_tells_its_platforms_and_the_time_of_its_first_image,
    a_chart_tells_nothing_and_is_no_error,
    what_stands_beside_an_image_is_read_in_each_form,
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
    for page_size in [1, 2, 3, 4, 5, 6, 1000] {
        let registry = subject.registry_with(|options| options.page_size = Some(page_size));
        let listing = registry.tags(&subject.repository(), NOON).await.unwrap();
        let found: Vec<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert_eq!(
            found,
            ["_a", "develop-0a1b2c3", "latest", "v1.10.0", "v1.2.0"]
        );
        assert_eq!((listing.invalid, listing.shrunk), (0, None));
    }
    let page = subject.raw("tags/list?n=2").await;
    assert_eq!(page.headers().contains_key("link"), subject.quirks.links);
    let after_one_that_is_gone = subject.raw("tags/list?n=2&last=gone").await.status();
    let is_lost = after_one_that_is_gone == StatusCode::NOT_FOUND;
    assert_eq!(is_lost, subject.quirks.loses_its_place);
}

async fn five_thousand_tags_are_read_in_pages_of_a_hundred(subject: Subject) {
    let tags: Vec<_> = (0..5_000).map(|number| format!("build-{number}")).collect();
    subject.push_many(&tags).await;
    let registry = subject.registry_with(|options| options.page_size = Some(100));
    let listing = registry.tags(&subject.repository(), NOON).await.unwrap();
    let found: BTreeSet<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(listing.tags.len(), 5_000);
    assert_eq!(found, tags.iter().map(String::as_str).collect());
    let page = subject.raw("tags/list?n=100").await;
    let page: Value = page.json().await.unwrap();
    let length = page["tags"].as_array().unwrap().len();
    assert_eq!(length, if subject.quirks.pages { 100 } else { 5_000 });
}

async fn names_as_long_as_they_get_are_read(mut subject: Subject) {
    let start = format!("{}/a/b-c/d.e/f__g/1/", subject.host);
    let path = format!("a/b-c/d.e/f__g/1/{}", "x".repeat(255 - start.len()));
    subject.path = path;
    let tag = format!("V_{}", "9".repeat(126));
    let pushed = subject.push(&tag, &image("2026-01-01T00:00:00Z")).await;
    let (registry, repository) = (subject.registry(), subject.repository());
    assert_eq!(repository.to_string().len(), 255);
    let listing = registry.tags(&repository, NOON).await.unwrap();
    assert_eq!(listing.tags[0].tag.as_str(), tag);
    let digest = registry.digest(&repository, &listing.tags[0].tag).await;
    assert_eq!(digest.unwrap().as_str(), pushed);
}

/// The names by <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md> and by
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.
async fn tags_of_signatures_and_referrers_are_listed_like_any_other(subject: Subject) {
    let hex = "0a".repeat(32);
    let suffixes = ["", ".att", ".sbom", ".sig"];
    let mut tags: Vec<_> = suffixes
        .map(|suffix| format!("sha256-{hex}{suffix}"))
        .into();
    tags.push("v1".to_owned());
    for tag in &tags {
        subject.push(tag, &image("2026-01-01T00:00:00Z")).await;
    }
    let registry = subject.registry();
    let listing = registry.tags(&subject.repository(), NOON).await.unwrap();
    let found: Vec<_> = listing.tags.iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(
        (found, listing.invalid),
        (tags.iter().map(String::as_str).collect(), 0)
    );
}

async fn a_repository_that_lost_its_last_tag_has_none(subject: Subject) {
    subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    subject.delete("v1").await;
    let registry = subject.registry();
    let listing = registry.tags(&subject.repository(), NOON).await.unwrap();
    assert_eq!(listing.tags, []);
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

/// As cosign 3 and cosign 2 push them; where the registry does not keep what refers to an image, the client does, by a tag.
async fn what_stands_beside_an_image_is_read_in_each_form(subject: Subject) {
    let digest = subject.push("v1", &image("2026-01-01T00:00:00Z")).await;
    let registry = subject.registry();
    let (repository, wanted) = (subject.repository(), digest.parse().unwrap());
    let all = |_: &str| true;
    let before = registry.attached(&repository, &wanted, &all).await;
    assert_eq!(before.unwrap(), []);
    let (bundle, payload, envelope) = (b"a bundle", b"a payload", b"an envelope");
    subject.attach_bundle(&digest, bundle).await;
    let signature = json!({
        "dev.cosignproject.cosign/signature": "c2ln",
        "dev.sigstore.cosign/certificate": "a certificate",
        "dev.sigstore.cosign/bundle": "{}",
    });
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    let layer = (kind, payload.as_slice(), signature);
    subject.attach_layer((&digest, "sig"), layer).await;
    let predicate = json!({ "dev.cosignproject.cosign/signature": "", "predicateType": "https://spdx.dev/Document" });
    let kind = "application/vnd.dsse.envelope.v1+json";
    let layer = (kind, envelope.as_slice(), predicate);
    subject.attach_layer((&digest, "att"), layer).await;

    let layer = |content: &[u8], proof| {
        let content = content.to_vec();
        Layer { content, proof }
    };
    let proof = Proof {
        certificate: "a certificate".to_owned(),
        entry: Some("{}".to_owned()),
    };
    let attached = [
        Attached::Bundle(bundle.to_vec()),
        Attached::Simple {
            layer: layer(payload, Some(proof)),
            signature: "c2ln".to_owned(),
        },
        Attached::Envelope(layer(envelope, None)),
    ];
    let found = registry.attached(&repository, &wanted, &all).await;
    assert_eq!(found.unwrap(), attached);
    // What says that it is of another type is not read.
    let not_spdx = |predicate: &str| predicate != "https://spdx.dev/Document";
    let found = registry.attached(&repository, &wanted, &not_spdx).await;
    assert_eq!(found.unwrap(), attached[..2]);
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
        let registry = subject.registry_by_docker_config();
        let of_inner = registry.tags(&subject.repository(), NOON).await;
        assert_eq!(of_inner.is_ok(), inner == PASSWORD);
        let of_outer = registry.tags(&other, NOON).await.unwrap_err();
        let not_there = matches!(of_outer, RegistryError::NotFound { .. });
        assert_eq!(not_there, outer == PASSWORD, "{of_outer}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn image(created: &str) -> Image {
    let revision = "org.opencontainers.image.revision".to_owned();
    Image {
        created: Some(created.parse().unwrap()),
        labels: BTreeMap::from([(revision, "0a1b2c3".to_owned())]),
    }
}

impl Subject {
    fn memory_with_password() -> Option<Self> {
        Self::memory(Access::Basic {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
        })
    }

    fn memory_with_tokens() -> Option<Self> {
        Self::memory(Access::Token {
            username: USERNAME.to_owned(),
            password: PASSWORD.to_owned(),
            life: Duration::from_secs(300),
        })
    }

    fn docker_with_password() -> Option<Self> {
        let start = |authority: &Authority| {
            let server = Distribution::debian().with_password(authority);
            Some(Server::Docker(server))
        };
        Self::with_tls(start, Quirks::OLD)
    }

    fn docker_with_tokens() -> Option<Self> {
        let server = Distribution::debian().with_tokens();
        Some(Self::without_tls(Server::Docker(server), Quirks::OLD))
    }

    fn v3_with_password() -> Option<Self> {
        let start = |authority: &Authority| {
            let server = Distribution::v3()?.with_password(authority);
            Some(Server::Docker(server))
        };
        Self::with_tls(start, Quirks::NONE)
    }

    fn v3_with_tokens() -> Option<Self> {
        let server = Distribution::v3()?.with_tokens();
        Some(Self::without_tls(Server::Docker(server), Quirks::NONE))
    }

    fn crane_with_password() -> Option<Self> {
        let start = |authority: &Authority| {
            let server = CraneRegistry::with_password(authority)?;
            Some(Server::Crane(server))
        };
        Self::with_tls(start, Quirks::CRANE)
    }

    fn zot_with_password() -> Option<Self> {
        let start = |authority: &Authority| {
            let server = ZotRegistry::with_password(authority)?;
            Some(Server::Zot(server))
        };
        Self::with_tls(start, Quirks::ZOT)
    }

    fn zot_with_tokens() -> Option<Self> {
        let server = Server::Zot(ZotRegistry::with_tokens()?);
        Some(Self::without_tls(server, Quirks::ZOT))
    }

    fn memory(access: Access) -> Option<Self> {
        let server = MemoryRegistry::start(access).unwrap();
        Some(Self::without_tls(Server::Memory(server), Quirks::NONE))
    }

    fn with_tls(start: impl FnOnce(&Authority) -> Option<Server>, quirks: Quirks) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let server = start(&authority)?;
        Some(Self::new(server, Some(authority.ca_file), folder, quirks))
    }

    fn without_tls(server: Server, quirks: Quirks) -> Self {
        Self::new(server, None, tempfile::tempdir().unwrap(), quirks)
    }

    fn new(server: Server, ca_file: Option<PathBuf>, folder: TempDir, quirks: Quirks) -> Self {
        let subject = Self {
            host: server.host(),
            server,
            path: "acme/web".to_owned(),
            ca_file,
            folder,
            quirks,
        };
        std::fs::write(subject.password_file(), PASSWORD).unwrap();
        subject
    }

    fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    fn repository(&self) -> Repository {
        format!("{}/{}", self.host, self.path).parse().unwrap()
    }

    fn registry(&self) -> Registry {
        self.registry_with(|_| {})
    }

    /// A registry that is told of a Docker config file, and of no host.
    fn registry_by_docker_config(&self) -> Registry {
        Registry::new(Options {
            others: HostOptions {
                plain_http: self.ca_file.is_none(),
                connection: Connection {
                    ca_file: self.ca_file.clone(),
                    ..Connection::default()
                },
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
            connection: Connection {
                ca_file: self.ca_file.clone(),
                ..Connection::default()
            },
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
        if let Server::Memory(server) = &self.server {
            return server.push(&self.path, tag, image);
        }
        let source = MemoryRegistry::start(Access::Anonymous).unwrap();
        let digest = source.push(&self.path, tag, image);
        self.copy(&source, &[tag]).await;
        digest
    }

    /// Pushes a blob and gives its digest.
    async fn upload(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        match &self.server {
            Server::Memory(server) => server.upload(&self.path, &digest, bytes.to_vec()),
            Server::Docker(_) | Server::Crane(_) | Server::Zot(_) => {
                let pusher = self.server.pusher();
                pusher.upload(&self.path, &digest, bytes.to_vec()).await;
            }
        }
        digest
    }

    /// Pushes a manifest as it is; whether the registry keeps what it refers to.
    async fn put(&self, reference: &str, manifest: &Value) -> bool {
        match &self.server {
            Server::Memory(server) => {
                server.put(&self.path, reference, manifest);
                false
            }
            Server::Docker(_) | Server::Crane(_) | Server::Zot(_) => {
                let answer = self
                    .server
                    .pusher()
                    .put(&self.path, reference, manifest)
                    .await;
                answer.headers().contains_key("oci-subject")
            }
        }
    }

    /// Pushes what refers to the image `digest`, and the tag that says so where the registry does not.
    async fn refer(&self, digest: &str, referrer: &Value) {
        if self.put("referrer", referrer).await {
            return;
        }
        let text = referrer.to_string();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": referrer["mediaType"],
                "artifactType": referrer["artifactType"],
                "digest": sha256(text.as_bytes()),
                "size": text.len(),
            }],
        });
        self.put(&digest.replace(':', "-"), &index).await;
    }

    /// Attaches a bundle to the image `digest`.
    async fn attach_bundle(&self, digest: &str, bundle: &[u8]) {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let layer =
            json!({ "mediaType": kind, "digest": self.upload(bundle).await, "size": bundle.len() });
        let mut referrer = self.of_layer(&layer).await;
        referrer["artifactType"] = kind.into();
        referrer["subject"] =
            json!({ "mediaType": referrer["mediaType"], "digest": digest, "size": 1 });
        self.refer(digest, &referrer).await;
    }

    /// Attaches a layer of cosign's older form.
    async fn attach_layer(
        &self,
        (digest, suffix): (&str, &str),
        (kind, content, annotations): (&str, &[u8], Value),
    ) {
        let layer = json!({
            "mediaType": kind,
            "digest": self.upload(content).await,
            "size": content.len(),
            "annotations": annotations,
        });
        let tag = format!("{}.{suffix}", digest.replace(':', "-"));
        self.put(&tag, &self.of_layer(&layer).await).await;
    }

    /// A manifest with one layer and no config to speak of.
    async fn of_layer(&self, layer: &Value) -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": self.upload(b"{}").await, "size": 2 },
            "layers": [layer],
        })
    }

    async fn push_index(&self, tag: &str, image: &Image) -> String {
        if let Server::Memory(server) = &self.server {
            return server.push_index(&self.path, tag, image);
        }
        let source = MemoryRegistry::start(Access::Anonymous).unwrap();
        let manifest = source.push(&self.path, tag, image);
        let digest = source.push_index(&self.path, tag, image);
        self.copy(&source, &[&manifest, tag]).await;
        digest
    }

    async fn copy(&self, source: &MemoryRegistry, references: &[&str]) {
        let pusher = self.server.pusher();
        pusher.copy(&source.host(), &self.path, references).await;
    }

    /// Puts `tags` on images, on one and the same where the server is real.
    async fn push_many(&self, tags: &[String]) {
        let image = image("2026-01-01T00:00:00Z");
        let (first, rest) = tags.split_first().unwrap();
        self.push(first, &image).await;
        match &self.server {
            Server::Memory(server) => {
                for tag in rest {
                    server.push(&self.path, tag, &image);
                }
            }
            Server::Docker(server) => server.store_tags(&self.path, first, rest),
            Server::Crane(server) => server.open_pusher().tag(&self.path, first, rest).await,
            Server::Zot(server) => server.store_tags(&self.path, first, rest),
        }
    }

    /// Deletes the one tag of an image.
    async fn delete(&self, tag: &str) {
        match &self.server {
            Server::Memory(server) => server.delete(&self.path, tag),
            // A tag goes with its image, and no other way.
            Server::Docker(server) => {
                let tag = tag.parse().unwrap();
                let digest = self.registry().digest(&self.repository(), &tag).await;
                let digest = digest.unwrap();
                server.pusher().delete(&self.path, digest.as_str()).await;
            }
            Server::Crane(_) | Server::Zot(_) => {
                self.server.pusher().delete(&self.path, tag).await;
            }
        }
    }

    /// What the server itself answers to a GET.
    async fn raw(&self, rest: &str) -> reqwest::Response {
        self.server.pusher().get(&self.path, rest).await
    }
}

impl Server {
    fn host(&self) -> String {
        match self {
            Self::Memory(server) => server.host(),
            Self::Docker(server) => server.host.clone(),
            Self::Crane(server) => server.host.clone(),
            Self::Zot(server) => server.host.clone(),
        }
    }

    fn pusher(&self) -> Pusher {
        match self {
            Self::Memory(server) => {
                let host = server.host();
                let token_url = format!("http://{host}/token?service=memory");
                Pusher::new(&host, None, Some(token_url))
            }
            Self::Docker(server) => server.pusher(),
            Self::Crane(server) => server.pusher(),
            Self::Zot(server) => server.pusher(),
        }
    }
}

impl Quirks {
    const NONE: Self = Self {
        pages: true,
        links: true,
        loses_its_place: false,
    };
    const OLD: Self = Self {
        pages: false,
        links: false,
        ..Self::NONE
    };
    const CRANE: Self = Self {
        links: false,
        ..Self::NONE
    };
    const ZOT: Self = Self {
        loses_its_place: true,
        ..Self::NONE
    };
}
