//! The registry API's JSON, as much of it as is used. Fields that are not named here may be anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A page of `tags/list`.
#[derive(Deserialize)]
pub(super) struct TagPage {
    /// Has to be there, so that an answer of another kind is never an empty listing; `null` is one, as
    /// distribution v3 says it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) tags: Option<Vec<String>>,
}

/// What a token service hands out. Services use either name for the token.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    pub(super) expires_in: Option<u64>,
    /// What to ask with from now on.
    pub(super) refresh_token: Option<String>,
}

impl TokenAnswer {
    pub(super) fn into_token(self) -> Option<String> {
        let Self {
            token,
            access_token,
            expires_in: _,
            refresh_token: _,
        } = self;
        token.or(access_token).filter(|token| !token.is_empty())
    }
}

/// An image manifest or an index: which one is told by its fields, since media types are often left out.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    /// What this belongs to, if it is a signature or another attachment.
    pub(super) subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// A pointer to content.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    /// What it is, where it is a manifest that refers to another.
    pub(super) artifact_type: Option<String>,
    pub(super) platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What an image runs on.
#[derive(Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    pub(super) variant: Option<String>,
}

/// An image's config.
#[derive(Deserialize)]
pub(super) struct ImageConfig {
    pub(super) created: Option<String>,
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    pub(super) variant: Option<String>,
    pub(super) config: Option<RunConfig>,
}

/// How the image's containers are run.
#[derive(Deserialize)]
pub(super) struct RunConfig {
    #[serde(rename = "Labels")]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// What registries say when they refuse.
#[derive(Deserialize)]
pub(super) struct ErrorAnswer {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
    /// Token services often say it this way.
    message: Option<String>,
    details: Option<String>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl ErrorAnswer {
    pub(super) fn into_words(self) -> Option<String> {
        let Self {
            errors,
            message,
            details,
        } = self;
        let first = errors.into_iter().next().map(|entry| {
            match (entry.code.as_str(), entry.message.as_str()) {
                ("", said) | (said, "") => said.to_owned(),
                (code, message) => format!("{code}: {message}"),
            }
        });
        first
            .or(message)
            .or(details)
            .filter(|said| !said.is_empty())
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
