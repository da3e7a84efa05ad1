//! Who may call the hooks, as it is written: kinds of registries and forges, and their secrets.
//!
//! Not here: what that means (`check_hooks`). Invariant: what stands where a secret belongs is never echoed.

use serde_json::{Value as Json, json};

use super::forms::choose;
use super::logins::{SecretPlace, never_written_here};
use super::nouns::{HostName, unknown_word};
use super::problem::Faults;
use super::shape::{Leaf, Placed, Refusal, Shape, shape};
use super::tree::{Node, Value};

/// The kinds of registries that can tell of a push.
const HOOK_KINDS: [&str; 11] = [
    "acr",
    "distribution",
    "docker-hub",
    "ecr",
    "generic",
    "ghcr",
    "gitlab",
    "google",
    "harbor",
    "quay",
    "zot",
];

/// A kind of registry that can tell of a push.
#[derive(Clone, Copy, Debug)]
pub(super) struct HookKind(pub(super) &'static str);

impl Leaf for HookKind {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let known = HOOK_KINDS.into_iter().find(|kind| *kind == text);
        known.map(Self).ok_or_else(|| {
            let refusal = unknown_word(text, &HOOK_KINDS);
            // What is nearest in letters is another product.
            let meant = match text {
                "github" => "ghcr",
                "azure" => "acr",
                "aws" => "ecr",
                "docker" | "dockerhub" => "docker-hub",
                _ => return refusal,
            };
            refusal.hint(format!("did you mean `{meant}`?"))
        })
    }

    fn schema() -> Json {
        json!({ "enum": HOOK_KINDS })
    }
}

/// The value of `unauthenticated`, which only ever says that there is no secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unauthenticated;

impl Leaf for Unauthenticated {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "true" => Ok(Self),
            _ => Err(Refusal::new("`unauthenticated` is `true` or not there")
                .hint("name a secret: `token: { env: NAME }`")),
        }
    }

    fn schema() -> Json {
        json!({ "const": true })
    }
}

/// Who may tell that a tag was pushed.
#[derive(Clone, Debug)]
pub(super) enum HookSource {
    Token(TokenSource),
    Hmac(HmacSource),
    Open(OpenSource),
}

shape! {
    /// A registry that sends a token.
    struct TokenSource {
        /// Where the token is kept: it comes in `Authorization`, as it is, as `Bearer` or as the password of `Basic`, in `X-Gitlab-Token`, or as `?token=` in the URL.
        token: SecretPlace = "token",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }

    /// A registry that signs what it sends, in `X-Hub-Signature-256` as GitHub does.
    struct HmacSource {
        /// Where the key is kept.
        hmac: SecretPlace = "hmac",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }

    /// Anybody who can reach the address.
    struct OpenSource {
        /// `true`: there is no secret.
        unauthenticated: Placed<Unauthenticated> = "unauthenticated",
        /// The host by which policies name the registry, where the registry calls itself otherwise.
        host: Option<Placed<HostName>> = "host",
    }
}

/// Who may tell that a repository has news.
#[derive(Clone, Debug)]
pub(super) enum ForgeHook {
    Token(ForgeToken),
    Hmac(ForgeHmac),
    Open(ForgeOpen),
}

shape! {
    /// A forge that sends a token.
    struct ForgeToken {
        /// Where the token is kept: it comes in `X-Gitlab-Token`, in `Authorization`, as it is, as `Bearer` or as the password of `Basic`, or as `?token=` in the URL.
        token: SecretPlace = "token",
    }

    /// A forge that signs what it sends.
    struct ForgeHmac {
        /// Where the key is kept: the secret of the webhook.
        hmac: SecretPlace = "hmac",
    }

    /// Anybody who can reach the address.
    struct ForgeOpen {
        /// `true`: there is no secret.
        unauthenticated: Placed<Unauthenticated> = "unauthenticated",
    }
}

/// The keys of which each source has one.
const GUARDS: [&str; 3] = ["token", "hmac", "unauthenticated"];

impl Shape for ForgeHook {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ hmac: { env: NAME } }", faults);
        };
        match choose(node, &GUARDS, faults)? {
            "token" => ForgeToken::read(node, faults).map(Self::Token),
            "hmac" => ForgeHmac::read(node, faults).map(Self::Hmac),
            _ => ForgeOpen::read(node, faults).map(Self::Open),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            ForgeToken::schema()?,
            ForgeHmac::schema()?,
            ForgeOpen::schema()?,
        ] }))
    }
}

impl HookSource {
    /// What must be shown, and the host.
    pub(super) fn parts(self) -> (ForgeHook, Option<Placed<HostName>>) {
        match self {
            Self::Token(TokenSource { token, host }) => {
                (ForgeHook::Token(ForgeToken { token }), host)
            }
            Self::Hmac(HmacSource { hmac, host }) => (ForgeHook::Hmac(ForgeHmac { hmac }), host),
            Self::Open(OpenSource {
                unauthenticated,
                host,
            }) => (ForgeHook::Open(ForgeOpen { unauthenticated }), host),
        }
    }
}

impl Shape for HookSource {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ token: { env: NAME } }", faults);
        };
        match choose(node, &GUARDS, faults)? {
            "token" => TokenSource::read(node, faults).map(Self::Token),
            "hmac" => HmacSource::read(node, faults).map(Self::Hmac),
            _ => OpenSource::read(node, faults).map(Self::Open),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            TokenSource::schema()?,
            HmacSource::schema()?,
            OpenSource::schema()?,
        ] }))
    }
}
