//! Values that have several forms: `deliver: commit` or `deliver: { commit: { .. } }`.
//!
//! A form is chosen by what is written (a text, or the key of a map) before it is read, so that messages
//! speak of the form that was meant. Invariant: what stands where a secret belongs is never echoed.

use serde_json::{Value as Json, json};

use super::artifact::Artifact;
use super::blank::Blank;
use super::logins::SecretPlace;
use super::nouns::{ProxyUrl, unknown_word};
use super::problem::Faults;
use super::raw::{
    ApplicationUpdate, CommitDelivery, ForgeEntry, HelmUpdate, ImageEntry, KustomizationUpdate,
    ManifestUpdate, MarkersUpdate, PullRequestDelivery, YamlUpdate,
};
use super::shape::{Placed, Shape, list, nearest, refuse, shape, text, unexpected, unknown_key};
use super::tree::{Node, PlainKind, Scalar, Value, plain_kind};
use crate::forge::Kind as ForgeKind;
use crate::manifest::RepoPath;
use crate::policy::MergeWay;

/// One value or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Placed<T>>);

impl<T: Shape> Shape for OneOrMany<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let values: Vec<_> = match &node.value {
            Value::List(items) => {
                if items.is_empty() {
                    faults.error(node.span, "expected at least one, found an empty list");
                }
                let read = |item| T::read(item, faults).map(|v| Placed::new(v, item.span));
                items.iter().filter_map(read).collect()
            }
            Value::Scalar(_) | Value::Map(_) | Value::Empty | Value::Refused => {
                let value = T::read(node, faults).map(|value| Placed::new(value, node.span));
                value.into_iter().collect()
            }
        };
        // Without a value, a fault says why; what stands beside it is looked at all the same.
        Some(Self(values))
    }

    fn schema() -> Option<Json> {
        let one = T::schema()?;
        Some(json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] }))
    }
}

/// A program that is run, if any.
#[derive(Clone, Debug)]
pub(super) enum Program {
    No,
    InPath,
    At(Placed<String>),
}

impl Shape for Program {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar)
                if scalar.plain && plain_kind(&scalar.text) == PlainKind::Boolean =>
            {
                bool::read(node, faults).map(|is_wanted| match is_wanted {
                    true => Self::InPath,
                    false => Self::No,
                })
            }
            Value::Scalar(_) | Value::Map(_) | Value::List(_) | Value::Empty | Value::Refused => {
                Placed::read(node, faults).map(Self::At)
            }
        }
    }

    fn schema() -> Option<Json> {
        let file = <Placed<String> as Shape>::schema()?;
        Some(json!({ "anyOf": [{ "type": "boolean" }, file] }))
    }
}

/// Where a version is written.
#[derive(Clone, Debug)]
pub(super) enum Update {
    Kustomize(KustomizationUpdate),
    Helm(HelmUpdate),
    Yaml(YamlUpdate),
    Manifest(ManifestUpdate),
    Application(ApplicationUpdate),
    Markers(MarkersUpdate),
}

impl Shape for Update {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            let folder = |kustomization| KustomizationUpdate {
                kustomization,
                image: None,
            };
            return Placed::read(node, faults).map(|path| Self::Kustomize(folder(path)));
        };
        let forms = [
            "kustomization",
            "helm",
            "yaml",
            "manifest",
            "application",
            "markers",
        ];
        match choose(node, &forms, faults)? {
            "kustomization" => KustomizationUpdate::read(node, faults).map(Self::Kustomize),
            "helm" => HelmUpdate::read(node, faults).map(Self::Helm),
            "manifest" => ManifestUpdate::read(node, faults).map(Self::Manifest),
            "application" => ApplicationUpdate::read(node, faults).map(Self::Application),
            "markers" => MarkersUpdate::read(node, faults).map(Self::Markers),
            _ => YamlUpdate::read(node, faults).map(Self::Yaml),
        }
    }

    fn schema() -> Option<Json> {
        let folder = <Placed<Blank<RepoPath>> as Shape>::schema()?;
        Some(json!({ "anyOf": [
            folder,
            KustomizationUpdate::schema()?,
            HelmUpdate::schema()?,
            YamlUpdate::schema()?,
            ManifestUpdate::schema()?,
            ApplicationUpdate::schema()?,
            MarkersUpdate::schema()?,
        ] }))
    }
}

/// How a promotion is delivered.
#[derive(Clone, Debug)]
pub(super) enum Deliver {
    Commit(CommitDelivery),
    PullRequest(Box<PullRequestDelivery>),
}

impl Shape for Deliver {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return match choose(node, &["commit", "pull-request"], faults)? {
                "commit" => CommitDelivery::read(node.get("commit")?, faults).map(Self::Commit),
                _ => PullRequestDelivery::read(node.get("pull-request")?, faults)
                    .map(|requests| Self::PullRequest(Box::new(requests))),
            };
        }
        let words = ["commit", "pull-request"];
        match word(node, &words, faults)? {
            "commit" => Some(Self::Commit(CommitDelivery { branch: None })),
            _ => Some(Self::PullRequest(Box::new(PullRequestDelivery::DEFAULT))),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            { "enum": ["commit", "pull-request"] },
            keyed("commit", CommitDelivery::schema()?),
            keyed("pull-request", PullRequestDelivery::schema()?),
        ] }))
    }
}

/// Where the pull requests of a repository are.
#[derive(Clone, Debug)]
pub(super) enum Forge {
    None,
    At(Box<ForgeEntry>),
}

impl Shape for Forge {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => ForgeEntry::read(node, faults).map(|entry| Self::At(Box::new(entry))),
            Value::Scalar(scalar) if scalar.text == "none" => Some(Self::None),
            Value::Scalar(_) | Value::Empty | Value::List(_) | Value::Refused => {
                let kind = Placed::read(node, faults)?;
                Some(Self::At(Box::new(ForgeEntry {
                    kind: Some(kind),
                    url: None,
                    repository: None,
                    credentials: None,
                })))
            }
        }
    }

    fn schema() -> Option<Json> {
        let kind = <Placed<ForgeKind> as Shape>::schema()?;
        Some(json!({ "anyOf": [{ "const": "none" }, kind, ForgeEntry::schema()?] }))
    }
}

/// Whether and how the forge merges a pull request by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct AutoMerge(pub(super) Option<MergeWay>);

impl Shape for AutoMerge {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value
            && scalar.plain
            && plain_kind(&scalar.text) == PlainKind::Boolean
        {
            return bool::read(node, faults)
                .map(|is_wished| Self(is_wished.then_some(MergeWay::Merge)));
        }
        let names = MergeWay::ALL.map(MergeWay::name);
        let word = word(node, &names, faults)?;
        Some(Self(
            MergeWay::ALL.into_iter().find(|way| way.name() == word),
        ))
    }

    fn schema() -> Option<Json> {
        let names = MergeWay::ALL.map(MergeWay::name);
        Some(json!({ "anyOf": [{ "type": "boolean" }, { "enum": names }] }))
    }
}

/// An image, with or without rules of its own.
#[derive(Clone, Debug)]
pub(super) struct Image(pub(super) ImageEntry);

impl Shape for Image {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return ImageEntry::read(node, faults).map(Self);
        }
        Placed::read(node, faults).map(|repository| {
            Self(ImageEntry {
                repository,
                tags: None,
            })
        })
    }

    fn schema() -> Option<Json> {
        let short = <Placed<Blank<Artifact>> as Shape>::schema()?;
        Some(json!({ "anyOf": [short, ImageEntry::schema()?] }))
    }
}

/// `none`, `any`, or a list of labels; each word with its place.
#[derive(Clone, Debug)]
pub(super) struct Prerelease(pub(super) Vec<Placed<String>>);

impl Shape for Prerelease {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::read(node, faults).map(Self),
            // The rule knows what is meant by these, and quotes would not help.
            Value::Scalar(word) if matches!(&*word.text, "true" | "false") => {
                Some(Self(vec![Placed::new(word.text.clone(), node.span)]))
            }
            Value::Scalar(_) => Placed::read(node, faults).map(|word| Self(vec![word])),
            Value::Empty | Value::Map(_) | Value::Refused => {
                unexpected(
                    node,
                    "`none`, `any`, or a list such as `[rc, beta]`",
                    faults,
                );
                None
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [
            { "enum": ["none", "any"] },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }))
    }
}

/// The value of `newest-by`; the rule itself knows which words there are.
#[derive(Clone, Debug)]
pub(super) struct Newest(pub(super) Placed<String>);

impl Shape for Newest {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        Placed::read(node, faults).map(Self)
    }

    fn schema() -> Option<Json> {
        Some(
            json!({ "enum": ["version", "number", "timestamp", "commits", "pushed", "created", "first-seen"] }),
        )
    }
}

/// The proxy on the way to a registry.
#[derive(Clone, Debug)]
pub(super) enum Proxy {
    None,
    At(Placed<ProxyUrl>),
    WithLogin(ProxyWithLogin),
}

impl Shape for Proxy {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) => ProxyWithLogin::read(node, faults).map(Self::WithLogin),
            Value::Scalar(Scalar { text, .. }) if text == "none" => Some(Self::None),
            Value::Scalar(_) | Value::List(_) | Value::Empty | Value::Refused => {
                Placed::read(node, faults).map(Self::At)
            }
        }
    }

    fn schema() -> Option<Json> {
        let url = <Placed<ProxyUrl> as Shape>::schema()?;
        Some(json!({ "anyOf": [{ "enum": ["none"] }, url, ProxyWithLogin::schema()?] }))
    }
}

shape! {
    /// A proxy that asks who comes.
    struct ProxyWithLogin {
        /// Its URL: `http://proxy.example.com:3128`.
        url: Placed<ProxyUrl> = "url",
        /// The user name.
        username: Placed<String> = "username",
        /// Where the password is kept.
        password: SecretPlace = "password",
    }
}

/// Finds the one key that tells which form a map has.
pub(super) fn choose(
    node: &Node,
    known: &[&'static str],
    faults: &mut Faults,
) -> Option<&'static str> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let mut found = known.iter().filter(|key| node.get(key).is_some());
    match (found.next(), found.next()) {
        (Some(first), None) => Some(first),
        (Some(first), Some(second)) => {
            let place = entries
                .iter()
                .rfind(|entry| known.contains(&&*entry.key.text));
            let span = place.map_or(node.owner, |entry| entry.key.span);
            faults.error(
                span,
                format!("`{first}` and `{second}` cannot stand together"),
            );
            None
        }
        (None, _) => {
            let unknown = entries
                .iter()
                .find(|e| nearest(&e.key.text, known).is_some());
            match unknown {
                Some(entry) => {
                    unknown_key(&entry.key, known, faults);
                }
                None => {
                    let message = format!("expected one of {}", list(known));
                    match known.contains(&"helm") {
                        true => faults.error_with_hint(
                            node.owner,
                            message,
                            "a kustomization is named by its folder alone: `update: apps/web`",
                        ),
                        false => faults.error(node.owner, message),
                    }
                }
            }
            None
        }
    }
}

/// Reads one of a few words.
pub(super) fn word(
    node: &Node,
    words: &[&'static str],
    faults: &mut Faults,
) -> Option<&'static str> {
    let Scalar { text, .. } = text(node, faults)?;
    let found = words.iter().find(|word| *word == text);
    if found.is_none() {
        let refusal = unknown_word(text, words);
        refuse(faults, node.span, refusal);
    }
    found.copied()
}

pub(super) fn keyed(key: &str, schema: Json) -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { key: schema },
        "required": [key],
    })
}
