//! Harbor: the tagged artifacts of a repository, with the user and password of the registry at each request; a robot
//! account has to be allowed to list artifacts and tags.
//!
//! `listArtifacts` in <https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml>. Its order is that of the
//! artifacts' own push times; a tag has its time from when it was put on its artifact.

use super::wire::HarborArtifact;
use super::{PAGE_SIZE, Page, collect, number, number_after};
use crate::image::Repository;
use crate::login::Login;
use crate::registry::access::bearer;
use crate::registry::error::RegistryError;
use crate::registry::host::{Host, json};
use crate::registry::http::Authorization;
use crate::registry::link;

pub(super) async fn page(
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    let (project, name) = repository.path().split_once('/').unwrap_or_default();
    // The name is one segment, so that its slashes are escaped, and that once more for the proxies in front.
    let name = name.replace('/', "%252F");
    let path = format!("/api/v2.0/projects/{project}/repositories/{name}/artifacts");
    let page = number(after);
    let query =
        format!("with_tag=true&q=tags%3D*&sort=-push_time&page={page}&page_size={PAGE_SIZE}");
    let url = host.api_url(&path, &query);
    let login = match host.login(repository).await? {
        Login::Basic { username, password } => Authorization::Basic { username, password },
        Login::Bearer(token) => Authorization::Bearer(bearer(host.api_host(), &token)?),
        Login::Anonymous | Login::Identity(_) => Authorization::Anonymous,
    };
    let answer = host
        .ask_as(&super::question(repository, &url), &login)
        .await?;
    let artifacts: Vec<HarborArtifact> = json(&answer, || super::what(repository))?;
    let tags = artifacts.into_iter().flat_map(|artifact| artifact.tags);
    let told = tags.flatten().map(|tag| {
        let at = tag.push_time.and_then(|at| at.parse().ok());
        (tag.name, at)
    });
    let more = link::next(&answer.headers).map(|_| number_after(after).to_string());
    Ok(Page {
        times: collect(told),
        next: more,
    })
}
