//! What is written of a forge: which product it is, and where its API is.

use serde_json::{Value as Json, json};
use url::Url;

use super::nouns::unknown_word;
use super::shape::{Leaf, Refusal};
use crate::forge::Kind as ForgeKind;

/// Forgejo speaks as Gitea does.
const FORGEJO: &str = "forgejo";

impl Leaf for ForgeKind {
    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::named(text).ok_or_else(|| unknown_word(text, &forge_kinds()))
    }

    fn schema() -> Json {
        json!({ "enum": forge_kinds() })
    }
}

fn forge_kinds() -> Vec<&'static str> {
    let kinds = ForgeKind::ALL.into_iter().map(ForgeKind::name);
    kinds.chain([FORGEJO]).collect()
}

/// The root of an API.
#[derive(Clone, Debug)]
pub(super) struct ApiUrl(pub(super) Url);

impl Leaf for ApiUrl {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let url = Url::parse(text.trim_end_matches('/'))?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_web || url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::new("this is not the root of an API")
                .hint("write it such as `https://git.example.com/api/v4`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new("a URL here has no login in it")
                .hint("say beside it where the login is kept"));
        }
        Ok(Self(url))
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "uri" })
    }
}
