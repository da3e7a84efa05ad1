//! A repository's tags, page by page. Invariant: the whole listing or an error; a part of one never leaves this file.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::Method;
use url::Url;

use super::error::RegistryError;
use super::host::{Host, Question, json};
use super::http::Answer;
use super::link;
use super::pushed::{PushApi, google};
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

/// Registries that give fewer tags than they are asked for, and say nothing of the rest, cut at a multiple of this: Quay's
/// page was 50 once, the usual are 100, 500 and 1000.
const CUT: usize = 50;

/// All tags of a repository.
pub(super) struct Listed {
    pub(super) tags: BTreeSet<Tag>,
    /// Names that are no tags by the grammar.
    pub(super) invalid: usize,
    /// Requests that it took.
    pub(super) pages: usize,
    /// When what the tags point at was uploaded, where the listing itself tells it.
    pub(super) uploaded: BTreeMap<Tag, Timestamp>,
}

/// A page as far as it matters for the next one.
struct PageEnd {
    length: usize,
    last: Option<String>,
    /// Whether it brought anything new.
    is_new: bool,
}

/// Reads the whole listing of `repository`, from the start again with smaller pages where the registry refuses their size,
/// at the first page or a later one; what it takes is kept. And once again where the registry lost its place.
pub(super) async fn list(host: &Host, repository: &Repository) -> Result<Listed, RegistryError> {
    let mut page_size = host.paging().size;
    let mut is_second_time = false;
    loop {
        let error = match pages(host, repository, page_size).await {
            Ok((listed, page_size)) => {
                host.set_page_size(page_size);
                return Ok(listed);
            }
            Err(error) => error,
        };
        if matches!(error, RegistryError::PlaceLost { .. }) && !is_second_time {
            is_second_time = true;
            continue;
        }
        let Some(size) = page_size.filter(|_| is_about_size(&error)) else {
            return Err(error);
        };
        page_size = (size > PAGE_SIZE_MODEST).then_some(PAGE_SIZE_MODEST);
    }
}

/// Reads page after page, and says of which size they really are.
async fn pages(
    host: &Host,
    repository: &Repository,
    mut page_size: Option<usize>,
) -> Result<(Listed, Option<usize>), RegistryError> {
    let mut listed = Listed {
        tags: BTreeSet::new(),
        invalid: 0,
        pages: 0,
        uploaded: BTreeMap::new(),
    };
    let mut visited = BTreeSet::new();
    let mut is_linked = false;
    // The length of a page after which there may be more, though nothing says so.
    let mut guess = None;
    let mut url = page_url(host, repository, (page_size, None));
    let mut answer = ask(host, repository, &url).await?;
    loop {
        let page: TagPage = json(&answer, || format!("the list of tags of `{repository}`"))?;
        let end = listed.add(page.tags.unwrap_or_default());
        host.saw_page(end.length);
        listed.pages += 1;
        if host.push_api == Some(PushApi::Google) {
            listed.uploaded.extend(google::uploaded(&answer));
        }
        if let Some(cut) = guess.take().filter(|_| end.is_new) {
            page_size = Some(cut);
        }
        let next = match link::next(&answer.headers) {
            Some(link) => {
                is_linked = true;
                follow(host, repository, (&answer, &link))?
            }
            None if is_linked || !end.is_new => return Ok((listed, page_size)),
            None if page_size == Some(end.length) => unlinked(host, repository, &end),
            None if looks_cut(host, &end) => {
                guess = Some(end.length);
                unlinked(host, repository, &end)
            }
            None => return Ok((listed, page_size)),
        };
        visited.insert(url);
        let repeats = end.length > 0 && !end.is_new;
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
        answer = match ask(host, &repository, &next).await {
            // There was nothing to ask for, and the registry says so in its own way.
            Err(error) if guess.is_some() && is_refusal(&error) => return Ok((listed, page_size)),
            // zot answers so where the tag that a page ended with is gone by now.
            Err(RegistryError::NotFound { .. }) => {
                return Err(RegistryError::PlaceLost { repository });
            }
            answer => answer?,
        };
        url = next;
    }
}

/// Whether a page that is shorter than was asked for, and leads nowhere, may have been cut all the same. A longer page
/// shows that no shorter one was.
fn looks_cut(host: &Host, end: &PageEnd) -> bool {
    let is_round = end.length > 0 && end.length.is_multiple_of(CUT);
    is_round && end.length >= host.paging().longest && !host.kind().links_pages()
}

impl Listed {
    fn count(&self) -> usize {
        self.tags.len() + self.invalid
    }

    fn add(&mut self, names: Vec<String>) -> PageEnd {
        let before = self.count();
        let (length, last) = (names.len(), names.last().cloned());
        for name in names {
            match name.parse() {
                Ok(tag) => {
                    self.tags.insert(tag);
                }
                Err(_) => self.invalid += 1,
            }
        }
        PageEnd {
            length,
            last,
            is_new: self.count() > before,
        }
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

/// Whether the registry knows no such page.
fn is_refusal(error: &RegistryError) -> bool {
    is_about_size(error) || matches!(error, RegistryError::NotFound { .. })
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
pub(super) fn follow(
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

/// Some registries page without a `Link`: after a page that is full there may be more.
fn unlinked(host: &Host, repository: &Repository, end: &PageEnd) -> Url {
    let size = Some(end.length);
    page_url(host, repository, (size, end.last.as_deref()))
}
