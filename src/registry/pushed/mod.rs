//! When each tag was last pushed, from the registries that tell it: each by an API of its own, one file each.
//!
//! Not here: what is kept between readings (`cache`). Invariant: a reading is as whole as it says, or an error; a tag
//! without a time is missing, and never has a wrong one.

mod acr;
mod docker_hub;
mod ecr;
mod gitlab;
pub(super) mod google;
mod harbor;
mod quay;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use url::Url;

use super::Listing;
use super::error::RegistryError;
use super::host::{Host, Question};
use super::http::Answer;
use super::{link, list};
use crate::image::{RegistryKind, Repository, Tag};

pub(super) use docker_hub::Tokens;

/// Tags on one page. Every API gives as many, and some no more; between two polls hardly more are pushed.
const PAGE_SIZE: usize = 100;

/// Most pages of one reading: 50,000 tags. At 0.3 s each, as Docker Hub takes, half of the 5 minutes that a reading may
/// take.
const PAGES_MAX: usize = 500;

/// Largest page. Harbor tells of each image its whole config: 100 of 40 KiB are 4 MiB.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long it is enough to read what is new.
///
/// A tag that was moved to an older image may stand far down (Harbor sorts by the image), where only a whole reading
/// finds it. One of 10,000 tags costs 100 requests, which 6 hours add to the 180 of a poll every 2 minutes.
const WHOLE_EVERY: SignedDuration = SignedDuration::from_hours(6);

/// An API that tells push times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushApi {
    Acr,
    DockerHub,
    Ecr,
    GitLab,
    Google,
    Harbor,
    Quay,
}

/// What one has to have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushLogin {
    /// What lists tags is enough.
    Same,
    /// Another host has to be reached, or other credentials are needed.
    Other,
}

/// The push times of a repository, as they were last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PushTimes {
    pub(super) api: PushApi,
    /// When all of them were read.
    pub(super) whole_at: Timestamp,
    pub(super) times: BTreeMap<Tag, Timestamp>,
}

/// A page of tags with the times of their last pushes.
struct Page {
    times: BTreeMap<Tag, Timestamp>,
    /// Where the next page is, in the API's own terms.
    next: Option<String>,
}

impl PushApi {
    /// The API of a product.
    pub(super) fn of(kind: RegistryKind) -> Option<Self> {
        match kind {
            RegistryKind::Acr => Some(Self::Acr),
            RegistryKind::DockerHub => Some(Self::DockerHub),
            RegistryKind::Ecr => Some(Self::Ecr),
            RegistryKind::GitLab => Some(Self::GitLab),
            RegistryKind::Google => Some(Self::Google),
            RegistryKind::Harbor => Some(Self::Harbor),
            RegistryKind::Quay => Some(Self::Quay),
            RegistryKind::Ghcr | RegistryKind::EcrPublic | RegistryKind::Other => None,
        }
    }

    pub(crate) fn login(self) -> PushLogin {
        match self {
            Self::Acr | Self::GitLab | Self::Google | Self::Harbor => PushLogin::Same,
            Self::DockerHub | Self::Ecr | Self::Quay => PushLogin::Other,
        }
    }

    /// Whether its first page has what was pushed last.
    fn is_newest_first(self) -> bool {
        match self {
            Self::Acr | Self::DockerHub | Self::GitLab | Self::Harbor | Self::Quay => true,
            Self::Ecr | Self::Google => false,
        }
    }

    /// What a person can do where the API refuses, or is not there.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Self::Acr => {
                Some("let the credentials read metadata (`metadata/read`) of the repository")
            }
            Self::DockerHub => Some(
                "for a private repository, give `docker.io` a user with a token that may read it",
            ),
            Self::Ecr => None,
            Self::GitLab => Some("this API needs a registry with the metadata database"),
            Self::Google => None,
            Self::Harbor => Some("let the robot account list artifacts and tags"),
            Self::Quay => Some(
                "Quay's API takes no robot accounts: for a private repository, give the user `$oauthtoken` with an OAuth token as the password",
            ),
        }
    }

    /// The API of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let all = [
            Self::Acr,
            Self::DockerHub,
            Self::Ecr,
            Self::GitLab,
            Self::Google,
            Self::Harbor,
            Self::Quay,
        ];
        all.into_iter().find(|api| api.as_str() == name)
    }

    /// A short name, for people and for what is kept.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acr => "ACR",
            Self::DockerHub => "Docker Hub",
            Self::Ecr => "ECR",
            Self::GitLab => "GitLab",
            Self::Google => "Google",
            Self::Harbor => "Harbor",
            Self::Quay => "Quay",
        }
    }
}

impl fmt::Display for PushApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the push times of what `listing` lists: all of them, or where `before` holds them, what is new since.
pub(super) async fn read(
    host: &Host,
    repository: &Repository,
    (api, listing): (PushApi, &Listing),
    before: Option<PushTimes>,
    now: Timestamp,
) -> Result<PushTimes, RegistryError> {
    // What was read at a time that has not come was read by a wrong clock.
    let fresh = SignedDuration::ZERO..WHOLE_EVERY;
    let is_fresh = |before: &PushTimes| {
        before.api == api && fresh.contains(&now.duration_since(before.whole_at))
    };
    let before = before.filter(is_fresh);
    let read = match api {
        PushApi::Google => google::told(repository, listing).map(|times| (times, Timestamp::MIN)),
        PushApi::Acr
        | PushApi::DockerHub
        | PushApi::Ecr
        | PushApi::GitLab
        | PushApi::Harbor
        | PushApi::Quay => read_pages(host, repository, (api, listing), (before, now)).await,
    };
    let wrapped = |source| RegistryError::PushTimes {
        api,
        source: Box::new(source),
    };
    let (mut times, whole_at) = read.map_err(wrapped)?;
    let listed: BTreeSet<&Tag> = listing.tags.iter().map(|listed| &listed.tag).collect();
    times.retain(|tag, _| listed.contains(tag));
    Ok(PushTimes {
        api,
        whole_at,
        times,
    })
}

/// Reads pages, where the newest come first until one holds nothing new; the time says when all were read.
async fn read_pages(
    host: &Host,
    repository: &Repository,
    (api, listing): (PushApi, &Listing),
    (before, now): (Option<PushTimes>, Timestamp),
) -> Result<(BTreeMap<Tag, Timestamp>, Timestamp), RegistryError> {
    let mut read = BTreeMap::new();
    let mut visited = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = page(api, host, repository, after.as_deref()).await?;
        let news_is_first = before.as_ref().filter(|_| api.is_newest_first());
        let adds_nothing = news_is_first.is_some_and(|before| {
            let is_known = |(tag, at): (&Tag, &Timestamp)| before.times.get(tag) == Some(at);
            !page.times.is_empty() && page.times.iter().all(is_known)
        });
        read.extend(page.times);
        let Some(next) = page.next else {
            // What says the same is not written again, most of all where one page holds all.
            let same = before
                .filter(|before| before.times == read && !lacks_a_new_tag(listing, before, &read));
            let whole_at = same.map_or(now, |before| before.whole_at);
            return Ok((read, whole_at));
        };
        if let Some(before) = before.as_ref().filter(|_| adds_nothing)
            && !lacks_a_new_tag(listing, before, &read)
        {
            let mut times = before.times.clone();
            times.extend(read);
            return Ok((times, before.whole_at));
        }
        let repository = repository.clone();
        if !visited.insert(next.clone()) {
            return Err(RegistryError::PageLoop { repository });
        }
        if visited.len() == PAGES_MAX {
            return Err(RegistryError::TooLong {
                repository,
                pages_max: PAGES_MAX,
                tags_max: PAGES_MAX * PAGE_SIZE,
            });
        }
        after = Some(next);
    }
}

/// Whether a tag that came since the last whole reading is not among what was read. One that a whole reading did not find
/// is not looked for again: it comes on a first page, or with the next whole reading.
fn lacks_a_new_tag(listing: &Listing, before: &PushTimes, read: &BTreeMap<Tag, Timestamp>) -> bool {
    listing.tags.iter().any(|listed| {
        let is_known = before.times.contains_key(&listed.tag) || read.contains_key(&listed.tag);
        listed.first_seen > before.whole_at && !is_known
    })
}

/// Asks for the page `after` which another one said that there is more, or for the first.
async fn page(
    api: PushApi,
    host: &Host,
    repository: &Repository,
    after: Option<&str>,
) -> Result<Page, RegistryError> {
    match api {
        PushApi::Acr => acr::page(host, repository, after).await,
        PushApi::DockerHub => docker_hub::page(host, repository, after).await,
        PushApi::Ecr => ecr::page(host, repository, after).await,
        PushApi::GitLab => gitlab::page(host, repository, after).await,
        PushApi::Harbor => harbor::page(host, repository, after).await,
        PushApi::Quay => quay::page(host, repository, after).await,
        PushApi::Google => unreachable!("Google tells push times with the listing"),
    }
}

/// Asks for a page that another one linked to, or for the `first`, with the login of the registry.
async fn linked(
    host: &Host,
    repository: &Repository,
    (after, first): (Option<&str>, impl FnOnce() -> Url),
) -> Result<Answer, RegistryError> {
    let next = after.and_then(|after| after.parse().ok());
    let url = next.unwrap_or_else(first);
    host.ask_beside(&question(repository, &url)).await
}

/// Where the page after `answer` is, if that is still the same registry.
fn next_link(
    host: &Host,
    repository: &Repository,
    answer: &Answer,
) -> Result<Option<String>, RegistryError> {
    let link = link::next(&answer.headers);
    let next = link.map(|link| list::follow(host, repository, (answer, &link)));
    Ok(next.transpose()?.map(Into::into))
}

fn question<'a>(repository: &'a Repository, url: &'a Url) -> Question<'a> {
    Question {
        repository,
        method: Method::GET,
        url,
        accept: "application/json",
        bytes_max: PAGE_BYTES_MAX,
    }
}

/// What a page is, for messages.
fn what(repository: &Repository) -> String {
    format!("the list of push times of `{repository}`")
}

/// The tags and times of one page, without names that are no tags and without what is no time. Servers in Go write the
/// year 1 where there is no time.
fn collect(told: impl Iterator<Item = (String, Option<Timestamp>)>) -> BTreeMap<Tag, Timestamp> {
    told.filter_map(|(tag, at)| {
        let at = at.filter(|at| *at > Timestamp::UNIX_EPOCH)?;
        Some((tag.parse().ok()?, at))
    })
    .collect()
}

/// The number of the page after this one.
fn number_after(after: Option<&str>) -> usize {
    number(after) + 1
}

/// The number of a page, from 1.
fn number(after: Option<&str>) -> usize {
    after.and_then(|after| after.parse().ok()).unwrap_or(1)
}
