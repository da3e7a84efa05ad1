//! Azure Container Registry: `GET /acr/v1/NAME/_tags`, with the login of the registry, whose challenge names the scope
//! `metadata_read` as that of `tags/list` does.
//!
//! <https://learn.microsoft.com/rest/api/containerregistry/tag/get-list>

use super::wire::AcrTags;
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
        let path = format!("/acr/v1/{}/_tags", repository.path());
        let query = format!("n={PAGE_SIZE}&orderby=timedesc");
        host.api_url(&path, &query)
    };
    let answer = super::linked(host, repository, (after, first)).await?;
    let AcrTags { tags } = json(&answer, || super::what(repository))?;
    let told = tags.into_iter().map(|tag| {
        let at = tag.last_update_time.and_then(|at| at.parse().ok());
        (tag.name, at)
    });
    Ok(Page {
        times: collect(told),
        next: super::next_link(host, repository, &answer)?,
    })
}
