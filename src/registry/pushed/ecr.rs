//! Amazon ECR: the tagged images of a repository, told to an AWS identity that may `ecr:DescribeImages`.
//!
//! <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html>. Not here: how it is asked (`login`),
//! since it is another service than the registry, with signed requests. Its order is no promise, so every reading is whole; a
//! moved tag keeps the time of the image that it was moved to.

use super::{Page, collect};
use crate::image::Repository;
use crate::registry::error::RegistryError;
use crate::registry::host::Host;

pub(super) async fn page(
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    let told = host.ecr_images(repository, after).await?;
    let told = told.ok_or_else(|| RegistryError::AwsNeeded {
        host: repository.registry().to_owned(),
    })?;
    let tags = told.images.into_iter().flat_map(|(tags, pushed)| {
        let named = move |tag| (tag, pushed);
        tags.into_iter().map(named)
    });
    Ok(Page {
        times: collect(tags),
        next: told.next,
    })
}
