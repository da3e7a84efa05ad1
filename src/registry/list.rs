//! A repository's tags, page by page. Invariant: the whole listing or an error; a part of one never leaves this file.

use std::collections::BTreeSet;

use reqwest::Method;
use url::Url;

use super::error::RegistryError;
use super::host::{Host, Question, json};
use super::http::Answer;
use super::link;
use super::wire::TagPage;
use crate::image::{Repository, Tag};

/// Largest page. A registry that knows no pages sends all tags at once: 16 MiB is 128,000 tags of the full 128
/// characters with quotes and comma.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most pages. At 100 a page, the smallest default seen in the wild that still pages, this is [`TAGS_MAX`].
const PAGES_MAX: usize = 5_000;

/// Most tags. At 60 bytes each with their set this is 30 MB; the largest public repositories have about 100,000.
const TAGS_MAX: usize = 500_000;

/// What is asked for where a larger page is refused; every registry that pages takes it.
const PAGE_SIZE_MODEST: usize = 100;

/// All tags of a repository.
pub(super) struct Listed {
    pub(super) tags: BTreeSet<Tag>,
    /// Names that are no tags by the grammar.
    pub(super) invalid: usize,
}

/// Reads the whole listing of `repository`.
pub(super) async fn list(host: &Host, repository: &Repository) -> Result<Listed, RegistryError> {
    let mut listed = Listed {
        tags: BTreeSet::new(),
        invalid: 0,
    };
    let mut visited = BTreeSet::new();
    let mut is_linked = false;
    let (mut url, mut answer) = first_page(host, repository).await?;
    loop {
        let page: TagPage = json(&answer, || format!("the list of tags of `{repository}`"))?;
        let page = page.tags.unwrap_or_default();
        let (length, last) = (page.len(), page.last().cloned());
        let before = listed.count();
        listed.add(page);
        let is_new = listed.count() > before;
        let next = match link::next(&answer.headers) {
            Some(link) => {
                is_linked = true;
                follow(host, repository, (&answer, &link))?
            }
            None if is_linked || !is_new => return Ok(listed),
            None => match unlinked(host, repository, (length, last)) {
                Some(url) => url,
                None => return Ok(listed),
            },
        };
        visited.insert(url);
        let repeats = length > 0 && !is_new;
        let repository = repository.clone();
        if repeats || visited.contains(&next) {
            return Err(RegistryError::PageLoop { repository });
        }
        if visited.len() == PAGES_MAX || listed.count() > TAGS_MAX {
            return Err(RegistryError::TooLong {
                repository,
                pages_max: PAGES_MAX,
                tags_max: TAGS_MAX,
            });
        }
        answer = ask(host, &repository, &next).await?;
        url = next;
    }
}

impl Listed {
    fn count(&self) -> usize {
        self.tags.len() + self.invalid
    }

    fn add(&mut self, names: Vec<String>) {
        for name in names {
            match name.parse() {
                Ok(tag) => {
                    self.tags.insert(tag);
                }
                Err(_) => self.invalid += 1,
            }
        }
    }
}

/// Asks for the first page, with smaller pages where the registry refuses the size; what it takes is kept.
async fn first_page(host: &Host, repository: &Repository) -> Result<(Url, Answer), RegistryError> {
    let mut page_size = host.page_size();
    loop {
        let url = page_url(host, repository, (page_size, None));
        let error = match ask(host, repository, &url).await {
            Ok(answer) => {
                host.set_page_size(page_size);
                return Ok((url, answer));
            }
            Err(error) => error,
        };
        let Some(size) = page_size.filter(|_| is_about_size(&error)) else {
            return Err(error);
        };
        page_size = (size > PAGE_SIZE_MODEST).then_some(PAGE_SIZE_MODEST);
    }
}

async fn ask(host: &Host, repository: &Repository, url: &Url) -> Result<Answer, RegistryError> {
    let question = Question {
        repository,
        method: Method::GET,
        url,
        accept: "application/json",
        bytes_max: PAGE_BYTES_MAX,
    };
    host.ask(&question).await
}

/// Whether the registry may mean the page size; 401, 403, 404 and 429 are errors of their own.
fn is_about_size(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Answered { status, .. } if status.is_client_error())
}

fn page_url(
    host: &Host,
    repository: &Repository,
    (page_size, last): (Option<usize>, Option<&str>),
) -> Url {
    let mut url = host.url(repository, "tags/list");
    if let Some(size) = page_size {
        url.query_pairs_mut().append_pair("n", &size.to_string());
    }
    if let Some(last) = last {
        url.query_pairs_mut().append_pair("last", last);
    }
    url
}

/// Where a page's `link` leads, if that is still the same registry.
fn follow(
    host: &Host,
    repository: &Repository,
    (answer, link): (&Answer, &str),
) -> Result<Url, RegistryError> {
    match answer.url.join(link) {
        Ok(url) if host.is_same_origin(&url) => Ok(url),
        other => Err(RegistryError::CrossOriginLink {
            repository: repository.clone(),
            link: other.map_or(link.to_owned(), |url| url.origin().ascii_serialization()),
            origin: host.origin_text(),
        }),
    }
}

/// Some registries page without a `Link`: after a page that is exactly full there may be more.
fn unlinked(
    host: &Host,
    repository: &Repository,
    (length, last): (usize, Option<String>),
) -> Option<Url> {
    let page_size = host.page_size().filter(|size| *size == length)?;
    Some(page_url(
        host,
        repository,
        (Some(page_size), last.as_deref()),
    ))
}
