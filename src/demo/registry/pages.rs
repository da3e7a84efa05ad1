//! `tags/list`: which page a client gets, and where it is sent for the next one.

use std::collections::BTreeMap;

use super::faults::{Fault, Faults};
use super::store::Repository;

/// Tags on a page where the client names no number.
const PAGE_SIZE_DEFAULT: usize = 100;

/// One page of a listing.
pub(super) struct Page<'a> {
    pub(super) tags: Vec<&'a str>,
    /// The `Link` header that leads on.
    pub(super) link: Option<String>,
}

/// Why there is no page.
pub(super) enum NoPage {
    /// The client asked for one larger than the registry gives.
    TooLarge,
    /// It would stand after a tag that is gone.
    TagGone,
}

/// Finds the page that `parameters` ask for in the listing at `url`.
pub(super) fn page<'a>(
    (repository, url): (&'a Repository, &str),
    parameters: &BTreeMap<String, String>,
    faults: &Faults,
) -> Result<Page<'a>, NoPage> {
    let asked = parameters.get("n").and_then(|n| n.parse().ok());
    let size = asked.unwrap_or(PAGE_SIZE_DEFAULT);
    let last = parameters.get("last");
    let limit = faults.page_size_max();
    let limit = limit.or(faults.later_page_size_max().filter(|_| last.is_some()));
    if asked.is_some() && limit.is_some_and(|most| size > most) {
        return Err(NoPage::TooLarge);
    }
    let size = faults.page_length_max().map_or(size, |most| size.min(most));
    let all = listed(repository, faults);
    let is_gone = last.is_some_and(|last| !all.contains(&last.as_str()));
    if is_gone && faults.has(&Fault::ForgetsDeletedTags) {
        return Err(NoPage::TagGone);
    }
    let start = start(&all, parameters);
    let tags: Vec<&str> = all.iter().skip(start).take(size).copied().collect();
    let is_last = start + tags.len() >= all.len();
    let next = next(url, (&tags, size), (is_last, faults));
    Ok(Page {
        tags,
        link: next.map(|next| format!(r#"<{next}>; rel="next""#)),
    })
}

fn listed<'a>(repository: &'a Repository, faults: &Faults) -> Vec<&'a str> {
    let tags = repository.tags.iter().map(|(tag, _)| tag.as_str());
    let mut tags: Vec<&str> = tags.collect();
    if !faults.has(&Fault::Unsorted) {
        tags.sort_unstable();
    }
    tags.truncate(faults.tags_max().unwrap_or(usize::MAX));
    tags
}

/// Where the page starts: after the tag that `last` or the cursor names, or after its place if it is gone.
fn start(all: &[&str], parameters: &BTreeMap<String, String>) -> usize {
    let last = parameters.get("last").cloned();
    let Some(last) = last.or(parameters.get("cursor").map(|cursor| reversed(cursor))) else {
        return 0;
    };
    let found = all.iter().position(|tag| **tag == last);
    found.map_or_else(|| all.partition_point(|tag| **tag <= *last), |at| at + 1)
}

fn next(
    url: &str,
    (tags, size): (&[&str], usize),
    (is_last, faults): (bool, &Faults),
) -> Option<String> {
    let last = tags.last().filter(|_| !faults.has(&Fault::NoLink))?;
    let path = url.find("/v2/").map_or(url, |at| &url[at..]);
    if is_last && faults.has(&Fault::PageLoop) {
        Some(format!("{path}?n={size}"))
    } else if is_last && faults.has(&Fault::EndlessPages) {
        Some(format!("{path}?n={size}&round={}", fastrand::u64(..)))
    } else if is_last && !faults.has(&Fault::LinkOnLastPage) {
        None
    } else if faults.has(&Fault::CrossOriginLink) {
        Some(format!("http://elsewhere.example.com{path}?n={size}"))
    } else if faults.has(&Fault::OpaqueCursor) {
        Some(format!("{url}?cursor={}&n={size}", reversed(last)))
    } else {
        Some(format!("{path}?last={last}&n={size}"))
    }
}

/// A cursor that nobody takes for a tag's name.
fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}
