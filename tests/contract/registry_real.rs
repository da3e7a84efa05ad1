//! What only a real server shows: a limit that refuses, an address of the newer kind, the password of a cloud.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;

use bed::aws::{ECR_PASSWORD, ECR_USER};
use bed::registry::{Distribution, DockerRegistry, PASSWORD, USERNAME};
use bed::{Authority, RateLimit};
use jiff::Timestamp;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Connection, HostOptions, Options, Registry};
use crate::demo::registry::{Access, Image, MemoryRegistry};
use crate::image::Repository;
use crate::login::{Source, SourcesByPath};
use crate::secret::{Credentials, Secret};

const NOON: Timestamp = Timestamp::UNIX_EPOCH;

/// Requests that the registry behind the limit takes at once, and each second.
const BURST: usize = 12;

/// Repositories to list: several times the burst, two requests each, since the first one is sent for a token.
const REPOSITORIES: usize = 30;

#[tokio::test]
async fn a_listing_of_many_repositories_goes_through_a_limit_that_refuses() {
    let docker = DockerRegistry::with_tokens();
    let paths: Vec<_> = (0..REPOSITORIES).map(|n| format!("acme/web-{n}")).collect();
    for path in &paths {
        push(&docker, path).await;
    }
    let limit = RateLimit::before(&docker.host, BURST, BURST);
    let (registry, _folder) = reader(&limit.host, (USERNAME, PASSWORD), None);
    let mut readings = JoinSet::new();
    for path in &paths {
        let repository: Repository = format!("{}/{path}", limit.host).parse().unwrap();
        let registry = registry.clone();
        readings.spawn(async move { registry.tags(&repository, NOON).await });
    }
    for listing in readings.join_all().await {
        assert_eq!(listing.unwrap().tags.len(), 1);
    }
    let requests = limit.requests();
    let count = |status: StatusCode| {
        let end = format!(" {}", status.as_u16());
        requests.iter().filter(|line| line.ends_with(&end)).count()
    };
    let refused = count(StatusCode::TOO_MANY_REQUESTS);
    let taken = requests.len() - refused;
    assert_eq!(count(StatusCode::OK), REPOSITORIES);
    assert!(taken > 2 * BURST, "the limit was never met: {requests:?}");
    assert!(0 < refused && refused < taken, "{refused} of {taken}");
}

#[tokio::test]
async fn a_registry_at_an_ipv6_address_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let [first, second] = [Some(Distribution::debian()), Distribution::v3()];
    for distribution in [first, second].into_iter().flatten() {
        let distribution = distribution.on(Ipv6Addr::LOCALHOST);
        let docker = distribution.with_password(&authority);
        assert!(docker.host.starts_with("[::1]:"));
        assert_reads(&docker, (USERNAME, PASSWORD), Some(&authority.ca_file)).await;
    }
}

#[tokio::test]
async fn a_registry_behind_the_password_of_ecr_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let docker = DockerRegistry::with_password(&authority);
    assert_reads(&docker, (ECR_USER, ECR_PASSWORD), Some(&authority.ca_file)).await;
}

async fn assert_reads(docker: &DockerRegistry, login: (&str, &str), ca_file: Option<&Path>) {
    let digest = push(docker, "acme/web").await;
    let (registry, _folder) = reader(&docker.host, login, ca_file);
    let repository: Repository = format!("{}/acme/web", docker.host).parse().unwrap();
    let listing = registry.tags(&repository, NOON).await.unwrap();
    let found = registry.digest(&repository, &listing.tags[0].tag).await;
    assert_eq!(found.unwrap().as_str(), digest);
}

/// Pushes an image and gives its digest.
async fn push(docker: &DockerRegistry, path: &str) -> String {
    let source = MemoryRegistry::start(Access::Anonymous).unwrap();
    let digest = source.push(path, "v1", &Image::default());
    let pusher = docker.pusher();
    pusher.copy(&source.host(), path, &["v1"]).await;
    digest
}

/// A reader with this login, and the folder where its password stands.
fn reader(
    host: &str,
    (username, password): (&str, &str),
    ca_file: Option<&Path>,
) -> (Registry, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, password).unwrap();
    let options = HostOptions {
        plain_http: ca_file.is_none(),
        connection: Connection {
            ca_file: ca_file.map(Path::to_owned),
            ..Connection::default()
        },
        logins: SourcesByPath::from(Source::Own(Credentials::Basic {
            username: username.to_owned(),
            password: Secret::File(file),
        })),
        ..HostOptions::default()
    };
    let registry = Registry::new(Options {
        hosts: BTreeMap::from([(host.to_owned(), options)]),
        ..Options::default()
    });
    (registry, folder)
}
