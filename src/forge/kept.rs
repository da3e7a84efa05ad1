//! What lists said when they were last read, so that one that did not change costs an answer without a body.
//!
//! GitHub counts no such answer: <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate>.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use reqwest::header::{ETAG, HeaderMap, HeaderValue};

use super::http::Answer;

/// The most that is kept for one repository, packed. A page of 100 pull requests of 25 KB (GitHub's say everything about
/// their repository three times over) is 2.5 MB and packs to a tenth: 32 such pages, of which a list of 1,000 takes ten.
const BYTES_MAX: usize = 8 << 20;

/// Answers by their addresses.
pub(super) struct Kept(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    by_url: BTreeMap<String, Page>,
    bytes: usize,
    bytes_max: usize,
    /// Counts up with each use.
    clock: u64,
}

struct Page {
    etag: HeaderValue,
    headers: HeaderMap,
    packed: Vec<u8>,
    used: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Self::with(BYTES_MAX)
    }
}

impl Kept {
    fn with(bytes_max: usize) -> Self {
        Self(Mutex::new(Pages {
            bytes_max,
            ..Pages::default()
        }))
    }

    /// What the answer from `url` was called.
    pub(super) fn etag(&self, url: &str) -> Option<HeaderValue> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.by_url.get(url).map(|page| page.etag.clone())
    }

    /// The headers and the body that are still so.
    pub(super) fn get(&self, url: &str) -> Option<(HeaderMap, Vec<u8>)> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.clock += 1;
        let used = pages.clock;
        let page = pages.by_url.get_mut(url)?;
        page.used = used;
        let mut body = Vec::new();
        DeflateDecoder::new(&*page.packed)
            .read_to_end(&mut body)
            .ok()?;
        Some((page.headers.clone(), body))
    }

    /// Keeps `answer` if it has a name, in place of what was longest not asked for.
    pub(super) fn put(&self, url: &str, answer: &Answer) {
        let Some(etag) = answer.headers.get(ETAG) else {
            return;
        };
        let Some(packed) = packed(&answer.body) else {
            return;
        };
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.remove(url);
        if packed.len() > pages.bytes_max {
            return;
        }
        while pages.bytes + packed.len() > pages.bytes_max {
            let oldest = pages.by_url.iter().min_by_key(|(_, page)| page.used);
            let Some(oldest) = oldest.map(|(url, _)| url.clone()) else {
                break;
            };
            pages.remove(&oldest);
        }
        pages.clock += 1;
        pages.bytes += packed.len();
        let page = Page {
            etag: etag.clone(),
            headers: answer.headers.clone(),
            packed,
            used: pages.clock,
        };
        pages.by_url.insert(url.to_owned(), page);
    }
}

impl Pages {
    fn remove(&mut self, url: &str) {
        if let Some(page) = self.by_url.remove(url) {
            self.bytes -= page.packed.len();
        }
    }
}

fn packed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{ETAG, HeaderMap, HeaderValue};

    use super::{Answer, Kept};

    fn answer(etag: Option<&'static str>, body: Vec<u8>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(etag) = etag {
            headers.insert(ETAG, HeaderValue::from_static(etag));
        }
        let status = StatusCode::OK;
        Answer {
            status,
            headers,
            body,
        }
    }

    #[test]
    fn only_what_has_a_name_is_kept_and_the_latest_counts() {
        let kept = Kept::default();
        kept.put("a", &answer(None, b"[]".to_vec()));
        assert_eq!(kept.etag("a"), None);
        for body in ["[1]", "[2]"] {
            kept.put("a", &answer(Some("\"x\""), body.into()));
            let (headers, found) = kept.get("a").unwrap();
            assert_eq!((found, headers.len()), (body.into(), 1));
        }
        assert_eq!(kept.etag("a").unwrap(), "\"x\"");
        assert!(kept.get("b").is_none());
    }

    #[test]
    fn what_was_longest_not_asked_for_makes_room() {
        let kept = Kept::with(3500);
        // Noise does not pack.
        let mut noise = fastrand::Rng::with_seed(1);
        let mut body = || (0..1000).map(|_| noise.u8(..)).collect::<Vec<u8>>();
        for url in ["a", "b", "e"] {
            kept.put(url, &answer(Some("\"x\""), body()));
        }
        assert!(kept.get("a").is_some() && kept.get("e").is_some());
        kept.put("c", &answer(Some("\"x\""), body()));
        assert!(kept.etag("b").is_none());
        assert!(kept.etag("a").is_some() && kept.etag("c").is_some());
        kept.put(
            "d",
            &answer(Some("\"x\""), [body(), body(), body(), body()].concat()),
        );
        assert!(kept.etag("d").is_none() && kept.etag("a").is_some());
    }
}
