//! Values that have several forms or a grammar of their own: `deliver: commit` or `deliver: { commit: { .. } }`.
//!
//! A form is chosen by what is written (a text, or the key of a map) before it is read, so that messages
//! speak of the form that was meant. Invariant: what stands where a secret belongs is never echoed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use url::Url;

use super::problem::Faults;
use super::raw::{CommitDelivery, HelmUpdate, ImageEntry, PullRequestDelivery, YamlUpdate};
use super::settings::RepositoryUrl;
use super::shape::{
    LATER, Leaf, Placed, Refusal, Shape, list, nearest, refuse, shape, text, unexpected,
    unknown_key,
};
use super::tree::{Node, Scalar, Value};
use crate::edit::Path as YamlPath;
use crate::image::Repository;
use crate::manifest::{RepoPath, Write};
use crate::policy::{EnvironmentName, ImageName, PolicyName, RepositoryName};

/// The one version of the language.
pub(super) const API_VERSION: &str = "towpath.dev/v1alpha1";

/// Shortest time between two readings: below it, a registry would answer 429.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Largest page that a listing is asked for; registries cap it far below.
const PAGE_SIZE_MAX: u32 = 10_000;

/// What a commit's subject may name.
const SUBJECT_PARTS: [&str; 3] = ["policy", "environment", "changes"];

/// The value of `apiVersion`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiVersion;

impl Leaf for ApiVersion {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            API_VERSION => Ok(Self),
            other => Err(Refusal::new(format!("unknown version `{other}`"))
                .hint(format!("this version of towpath reads `{API_VERSION}`"))),
        }
    }

    fn schema() -> Json {
        json!({ "const": API_VERSION })
    }
}

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

/// Where a version is written.
#[derive(Clone, Debug)]
pub(super) enum Update {
    Kustomize(Placed<RepoPath>),
    Helm(HelmUpdate),
    Yaml(YamlUpdate),
}

impl Shape for Update {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return Placed::read(node, faults).map(Self::Kustomize);
        };
        match choose(
            node,
            &["helm", "yaml"],
            &["manifest", "application"],
            faults,
        )? {
            "helm" => HelmUpdate::read(node, faults).map(Self::Helm),
            _ => YamlUpdate::read(node, faults).map(Self::Yaml),
        }
    }

    fn schema() -> Option<Json> {
        let folder = <Placed<RepoPath> as Shape>::schema()?;
        Some(json!({ "anyOf": [folder, HelmUpdate::schema()?, YamlUpdate::schema()?] }))
    }
}

/// How a promotion is delivered.
#[derive(Clone, Debug)]
pub(super) enum Deliver {
    Commit(CommitDelivery),
    PullRequest(PullRequestDelivery),
}

impl Shape for Deliver {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return match choose(node, &["commit", "pull-request"], &[], faults)? {
                "commit" => CommitDelivery::read(node.get("commit")?, faults).map(Self::Commit),
                _ => PullRequestDelivery::read(node.get("pull-request")?, faults)
                    .map(Self::PullRequest),
            };
        }
        let words = ["commit", "pull-request"];
        match word(node, &words, faults)? {
            "commit" => Some(Self::Commit(CommitDelivery { branch: None })),
            _ => Some(Self::PullRequest(PullRequestDelivery {
                labels: None,
                reviewers: None,
                draft: None,
                auto_merge: None,
                group: None,
            })),
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
        let short = <Placed<Repository> as Shape>::schema()?;
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
        Some(json!({ "enum": ["version", "number", "timestamp", "created", "first-seen"] }))
    }
}

/// The value of `group`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group;

impl Leaf for Group {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "environment" => Ok(Self),
            other => Err(Refusal::new(format!("`{other}` is not `environment`"))),
        }
    }

    fn schema() -> Json {
        json!({ "const": "environment" })
    }
}

/// How to log in.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    Token(TokenCredentials),
    Basic(BasicCredentials),
}

shape! {
    /// A token.
    struct TokenCredentials {
        /// Where the token is kept.
        token: SecretPlace = "token",
    }

    /// A user name and a password.
    struct BasicCredentials {
        /// The user name.
        username: Placed<String> = "username",
        /// Where the password is kept.
        password: SecretPlace = "password",
    }

    /// A secret in an environment variable.
    struct SecretEnv {
        /// The name of the environment variable that holds the secret.
        env: Placed<VariableName> = "env",
    }

    /// A secret in a file.
    struct SecretFile {
        /// The file that holds the secret, relative to the settings file. It is read anew each time.
        file: Placed<String> = "file",
    }
}

impl Shape for Credentials {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ token: { env: NAME } }", faults);
        };
        let forms = ["token", "username"];
        let form = match node.get("token").is_none() && node.get("password").is_some() {
            true => "username",
            false => choose(node, &forms, &["ssh-key", "github-app"], faults)?,
        };
        match form {
            "token" => TokenCredentials::read(node, faults).map(Self::Token),
            _ => BasicCredentials::read(node, faults).map(Self::Basic),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [TokenCredentials::schema()?, BasicCredentials::schema()?] }))
    }
}

/// Where a secret is kept.
#[derive(Clone, Debug)]
pub(super) enum SecretPlace {
    Env(SecretEnv),
    File(SecretFile),
}

impl Shape for SecretPlace {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(_) = &node.value else {
            return never_written_here(node, "{ env: NAME }", faults);
        };
        match choose(node, &["env", "file"], &[], faults)? {
            "env" => SecretEnv::read(node, faults).map(Self::Env),
            _ => SecretFile::read(node, faults).map(Self::File),
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "anyOf": [SecretEnv::schema()?, SecretFile::schema()?] }))
    }
}

/// Refuses a secret that stands in the file, without a word of it.
fn never_written_here<T>(node: &Node, form: &str, faults: &mut Faults) -> Option<T> {
    match &node.value {
        Value::Empty => unexpected(node, &format!("a map such as `{form}`"), faults),
        Value::Refused => {}
        Value::Scalar(_) | Value::List(_) | Value::Map(_) => faults.error_with_hint(
            node.span,
            "a secret is never written in this file",
            "name where it is kept: `{ env: NAME }` or `{ file: PATH }`",
        ),
    }
    None
}

/// Finds the one key that tells which form a map has.
fn choose(
    node: &Node,
    known: &[&'static str],
    later: &[&str],
    faults: &mut Faults,
) -> Option<&'static str> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    if let Some(entry) = entries.iter().find(|e| later.contains(&&*e.key.text)) {
        let key = &entry.key;
        faults.error(key.span, format!("`{}` {LATER}", key.text));
        return None;
    }
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
                None => faults.error(node.owner, format!("expected one of {}", list(known))),
            }
            None
        }
    }
}

/// Reads one of a few words.
fn word(node: &Node, words: &[&'static str], faults: &mut Faults) -> Option<&'static str> {
    let Scalar { text, .. } = text(node, faults)?;
    let found = words.iter().find(|word| *word == text);
    if found.is_none() {
        let refusal = unknown_word(text, words);
        refuse(faults, node.span, refusal);
    }
    found.copied()
}

/// Refuses a word that is none of the known ones.
fn unknown_word(text: &str, words: &[&'static str]) -> Refusal {
    let refusal = Refusal::new(format!("`{text}` is not one of {}", list(words)));
    match nearest(text, words) {
        Some(nearest) => refusal.hint(format!("did you mean `{nearest}`?")),
        None => refusal,
    }
}

fn keyed(key: &str, schema: Json) -> Json {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { key: schema },
        "required": [key],
    })
}

/// The name of an environment variable.
#[derive(Clone, Debug)]
pub(super) struct VariableName(pub(super) String);

impl Leaf for VariableName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = !text.is_empty() && text.chars().all(allowed);
        match valid && !text.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(Self(text.to_owned())),
            // The text may be the secret itself.
            false => Err(
                Refusal::new("this is not the name of an environment variable")
                    .hint("letters, digits and `_`, such as `DEPLOY_TOKEN`"),
            ),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

/// A registry's host, with its port where it has one.
#[derive(Clone, Debug)]
pub(super) struct HostName(pub(super) String);

impl Leaf for HostName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.contains("://") || text.contains('/') {
            return Err(Refusal::new("this is not a host").hint(
                "write the host alone, without scheme or path: `registry.example.com:5000`",
            ));
        }
        let repository = format!("{text}/x").parse::<Repository>();
        match repository.map(|r| (r.registry().to_owned(), r.path().to_owned())) {
            // Docker Hub's own names are one host, and `docker/x` is no host but a namespace there.
            Ok((host, path)) if matches!(&*path, "x" | "library/x") => Ok(Self(host)),
            _ => Err(Refusal::new(format!("`{text}` is not a registry's host"))
                .hint("a host has a dot or a port: `registry.example.com`, `registry:5000`")),
        }
    }
}

/// The name of a git branch.
#[derive(Clone, Debug)]
pub(super) struct BranchName(pub(super) String);

impl Leaf for BranchName {
    /// The rules of `git check-ref-format`: <https://git-scm.com/docs/git-check-ref-format>.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
        let part_is_valid =
            |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
        let valid = text.chars().all(allowed)
            && text.split('/').all(part_is_valid)
            && !text.contains("..")
            && !text.contains("@{")
            && !text.starts_with('-')
            && !text.ends_with('.')
            && text != "@";
        match (valid, text.strip_prefix("refs/heads/")) {
            (true, None) => Ok(Self(text.to_owned())),
            (true, Some(name)) => Err(Refusal::new("this is a reference, not a branch name")
                .hint(format!("write `{name}`"))),
            (false, _) => Err(Refusal::new(format!("`{text}` is not a branch name"))),
        }
    }
}

/// The template of a commit's first line.
#[derive(Clone, Debug)]
pub(super) struct CommitSubject(pub(super) String);

impl Leaf for CommitSubject {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(Refusal::new(
                "a subject is one line with at least one character",
            ));
        }
        for (start, _) in text.match_indices('{') {
            let rest = &text[start + 1..];
            let length = rest.find('}').unwrap_or(rest.len());
            let name = &rest[..length];
            if !SUBJECT_PARTS.contains(&name) {
                let end = (start + length + 2).min(text.len());
                let message = format!("unknown part `{}`", &text[start..end]);
                return Err(Refusal {
                    part: Some(start..end),
                    ..Refusal::new(message).hint("known: `{policy}`, `{environment}`, `{changes}`")
                });
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl Leaf for Duration {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.chars().all(|c| c.is_ascii_digit()) {
            return Err(Refusal::new(format!("the duration `{text}` has no unit"))
                .hint(format!("write `{text}s`, `{text}m` or `{text}h`")));
        }
        match humantime::parse_duration(text) {
            Ok(duration) if duration >= POLL_INTERVAL_MIN => Ok(duration),
            Ok(_) => Err(Refusal::new(format!(
                "`{text}` is too short; the least is `1s`"
            ))),
            Err(_) => Err(Refusal::new(format!("`{text}` is not a duration"))
                .hint("write a number and a unit: `30s`, `5m`, `1h 30m`")),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+ ?[a-z]+( ?[0-9]+ ?[a-z]+)*$" })
    }
}

/// How many tags one page of a listing holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageSize(pub(super) u32);

impl Shape for PageSize {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = format!("a number from 1 to {PAGE_SIZE_MAX}");
        let Value::Scalar(Scalar {
            text, plain: true, ..
        }) = &node.value
        else {
            unexpected(node, &expected, faults);
            return None;
        };
        let size = text.parse().ok();
        let size = size.filter(|size| (1..=PAGE_SIZE_MAX).contains(size));
        if size.is_none() {
            faults.error(node.span, format!("`{text}` is not {expected}"));
        }
        size.map(Self)
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX }))
    }
}

impl Leaf for SocketAddr {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| {
            Refusal::new(format!("`{text}` is not an address and a port"))
                .hint("write `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces")
        })
    }
}

impl Leaf for Write {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "tag" => Ok(Self::Tag),
            "digest" => Ok(Self::Digest),
            "tag@digest" => Ok(Self::TagAndDigest),
            other => Err(unknown_word(other, &["tag", "digest", "tag@digest"])),
        }
    }

    fn schema() -> Json {
        json!({ "enum": ["tag", "digest", "tag@digest"] })
    }
}

impl Leaf for RepositoryUrl {
    /// Echoes nothing of a URL that may hold a password.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let before_slash = text.split('/').next().unwrap_or_default();
            return match before_slash.contains(':') {
                true => Err(ssh_is_later()),
                false => String::parse(text).map(|path| Self::Local(PathBuf::from(path))),
            };
        };
        match scheme {
            "https" | "http" => {}
            "ssh" | "git+ssh" => return Err(ssh_is_later()),
            "file" => return Ok(Self::Local(PathBuf::from(rest))),
            _ => {
                return Err(
                    Refusal::new(format!("URLs with `{scheme}` are not supported"))
                        .hint("write an https URL, or a local path"),
                );
            }
        }
        let url = Url::parse(text).map_err(|error| Refusal::new(format!("not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new("a URL never holds credentials")
                .hint("remove the part before `@`; name the secret under `credentials`"));
        }
        Ok(Self::Http(url))
    }
}

fn ssh_is_later() -> Refusal {
    Refusal::new(format!("ssh {LATER}")).hint("use the https URL and a token under `credentials`")
}

/// Nouns of other rooms that read themselves.
macro_rules! leaves {
    ($($name:ty,)*) => {$(
        impl Leaf for $name {
            fn parse(text: &str) -> Result<Self, Refusal> {
                text.parse().map_err(|error: <$name as FromStr>::Err| error.into())
            }
        }
    )*};
}

leaves! {
    Repository, RepoPath, YamlPath, PolicyName, EnvironmentName, ImageName, RepositoryName,
}
