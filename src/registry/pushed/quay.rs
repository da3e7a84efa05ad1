//! Quay: `GET /api/v1/repository/NAME/tag/`. Anonymous for public repositories; else with an OAuth token, which Quay's
//! registry takes as the password of the user `$oauthtoken`. Robot accounts are for the registry alone.
//!
//! <https://docs.quay.io/api/>; its source, <https://github.com/quay/quay/blob/master/endpoints/api/tag.py>, gives at most
//! 100 tags a page, newest first, with times in whole seconds.

use jiff::Timestamp;

use super::wire::{QuayTag, QuayTags};
use super::{PAGE_SIZE, Page, collect, number, number_after};
use crate::image::Repository;
use crate::login::Login;
use crate::registry::access::bearer;
use crate::registry::error::RegistryError;
use crate::registry::host::{Host, json};
use crate::registry::http::Authorization;

/// The user whose password is an OAuth token.
const OAUTH_USER: &str = "$oauthtoken";

pub(super) async fn page(
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    let path = format!("/api/v1/repository/{}/tag/", repository.path());
    let page = number(after);
    let query = format!("onlyActiveTags=true&limit={PAGE_SIZE}&page={page}");
    let url = host.api_url(&path, &query);
    let login = match host.login(repository).await? {
        Login::Bearer(token) => Authorization::Bearer(bearer(host.api_host(), &token)?),
        Login::Basic { username, password } if username == OAUTH_USER => {
            Authorization::Bearer(bearer(host.api_host(), &password)?)
        }
        Login::Basic { .. } | Login::Anonymous | Login::Identity(_) => Authorization::Anonymous,
    };
    let answer = host
        .ask_as(&super::question(repository, &url), &login)
        .await?;
    let QuayTags {
        tags,
        has_additional,
    } = json(&answer, || super::what(repository))?;
    let told = tags.into_iter().map(|QuayTag { name, start_ts }| {
        let at = start_ts.and_then(|seconds| Timestamp::from_second(seconds).ok());
        (name, at)
    });
    Ok(Page {
        times: collect(told),
        next: has_additional.then(|| number_after(after).to_string()),
    })
}
