//! Lists whose pages say in their own words where the next one is: in the body, or not at all.
//!
//! Not here: lists that say it in the `Link` header (`http`).

use serde::de::DeserializeOwned;
use url::Url;

use super::error::ForgeError;
use super::http::{Ask, Line, PAGES_MAX};

/// What is on a page, and the address of the next one.
pub(super) type Turned<T> = (Vec<T>, Option<Url>);

impl Line {
    /// Reads a list page after page; `turn` takes a page apart.
    pub(super) async fn turned<P: DeserializeOwned, T>(
        &self,
        mut ask: Ask,
        turn: impl Fn(&Ask, P) -> Result<Turned<T>, ForgeError>,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.ask(&ask).await?;
            let (entries, next) = turn(&ask, page)?;
            all.extend(entries);
            match next {
                Some(url) => ask.url = url,
                None => return Ok(all),
            }
        }
        Err(self.too_many_pages(&ask))
    }
}

/// `url` with `name` set to `value`.
pub(super) fn with(url: &Url, name: &str, value: &str) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(key, _)| key != name)
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair(name, value);
    url
}
