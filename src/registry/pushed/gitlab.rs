//! GitLab: the registry's own API beside the distribution API, with the same tokens. Only registries with the metadata
//! database have it, as that of gitlab.com does.
//!
//! <https://gitlab.com/gitlab-org/container-registry/-/blob/master/docs/spec/gitlab/api.md>

use jiff::Timestamp;

use super::wire::GitLabTag;
use super::{PAGE_SIZE, Page, collect};
use crate::image::Repository;
use crate::registry::error::RegistryError;
use crate::registry::host::{Host, json};

pub(super) async fn page(
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    let first = || {
        let path = format!("/gitlab/v1/repositories/{}/tags/list/", repository.path());
        host.api_url(&path, &format!("n={PAGE_SIZE}&sort=-published_at"))
    };
    let answer = super::linked(host, repository, (after, first)).await?;
    let tags: Vec<GitLabTag> = json(&answer, || super::what(repository))?;
    let told = tags.into_iter().map(|tag| {
        let GitLabTag {
            name,
            created_at,
            updated_at,
            published_at,
        } = tag;
        // Older ones do not add the third, which is the later of the others.
        let times = [created_at, updated_at, published_at].into_iter().flatten();
        let times = times.filter_map(|at| at.parse::<Timestamp>().ok());
        (name, times.max())
    });
    Ok(Page {
        times: collect(told),
        next: super::next_link(host, repository, &answer)?,
    })
}
