//! Scalars with a grammar of their own: hosts, branches, durations, URLs, and the nouns of other rooms.
//!
//! Invariant: a message never echoes what may be a secret.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use url::Url;

use super::problem::Faults;
use super::shape::{Leaf, Placed, Refusal, Shape, list, nearest, unexpected};
use super::tree::{Node, Scalar, Value};
use crate::edit::{Document, Path as YamlPath};
use crate::image::{RegistryKind, Repository};
use crate::manifest::{ParseSshAddressError, RepoPath, SshAddress, Write};
use crate::policy::{
    CheckName, ConnectionName, EnvironmentName, FolderPattern, Group, GroupName, ImageName,
    ParseSubjectTemplateError, PolicyName, RepositoryName, RouteName, Same, SubjectTemplate,
};

/// The one version of the language.
pub(super) const API_VERSION: &str = "towpath.dev/v1alpha1";

/// The least history that tells what a commit changes, and the most that is worth a limit.
const DEPTH_MIN: u32 = 2;
const DEPTH_MAX: u32 = 1_000_000;

/// Longest option of a push: 4 kB of the 64 that the protocol has room for.
const PUSH_OPTION_BYTES_MAX: usize = 4096;

/// Shortest time between two readings: below it, a registry would answer 429.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Longest: a year is never, and a sum of times has an end.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Largest page that a listing is asked for; registries cap it far below.
const PAGE_SIZE_MAX: u32 = 10_000;

/// Most requests per second that may be set: beyond it nothing is held back that 64 connections could send.
const REQUESTS_PER_SECOND_MAX: f64 = 1_000.0;

/// Fewest: one in 100 seconds.
const REQUESTS_PER_SECOND_MIN: f64 = 0.01;

/// Most requests in flight that may be set; eight times the default, and what one HTTP/2 connection commonly carries.
const REQUESTS_IN_FLIGHT_MAX: u32 = 64;

/// What a commit's subject may name.
const SUBJECT_PARTS: [&str; 3] = ["policy", "environment", "changes"];

/// The files and folders with policies.
#[derive(Clone, Debug)]
pub(super) struct PolicyFiles(pub(super) Vec<Placed<String>>);

impl Shape for PolicyFiles {
    const HINT_WHERE_MISSING: Option<&str> = Some(
        "name the files and folders with policies, `policies: [policies]`, or none, `policies: []`",
    );

    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        Vec::read(node, faults).map(Self)
    }

    fn schema() -> Option<Json> {
        <Vec<Placed<String>>>::schema()
    }
}

/// What stands beside a name for other tools.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notes;

impl Shape for Notes {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(_) | Value::Empty => Some(Self),
            Value::Scalar(_) | Value::List(_) | Value::Refused => {
                unexpected(node, "a map", faults);
                None
            }
        }
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "object" }))
    }
}

/// A namespace, which nothing in a file has: who reads one there would think that its limits count.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoNamespace;

impl Shape for NoNamespace {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        faults.error_with_hint(
            node.owner,
            "what stands in a file is in no namespace",
            "leave it out; `towpath check --resources` judges what is for `kubectl apply`",
        );
        None
    }

    fn schema() -> Option<Json> {
        None
    }
}

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

impl Leaf for Group {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "policy" => Ok(Self::Policy),
            "environment" => Ok(Self::Environment),
            other => Err(unknown_word(other, &["policy", "environment"])),
        }
    }

    fn schema() -> Json {
        json!({ "enum": ["policy", "environment"] })
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

/// A registry, or the part of one below a path: `ghcr.io`, `ghcr.io/acme`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RegistryName {
    pub(super) host: String,
    /// Empty for the whole registry.
    pub(super) prefix: String,
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, prefix } = self;
        match prefix.as_str() {
            "" => f.write_str(host),
            prefix => write!(f, "{host}/{prefix}"),
        }
    }
}

impl Leaf for RegistryName {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (host, prefix) = match text.split_once('/') {
            Some((host, prefix)) if !text.contains("://") => (host, prefix),
            Some(_) | None => (text, ""),
        };
        let HostName(host) = HostName::parse(host)?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        // Without the rule of Docker Hub that a name of one segment is below `library`.
        if !prefix.is_empty() && format!("x.invalid/{prefix}").parse::<Repository>().is_err() {
            return Err(Refusal::new(format!(
                "`{prefix}` is not the start of a repository's path"
            ))
            .hint("write a registry, or a registry and whole segments: `ghcr.io/acme`"));
        }
        Ok(Self { host, prefix })
    }
}

impl Leaf for RegistryKind {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let names = Self::ALL.map(Self::as_str);
        text.parse().map_err(|_| {
            let refusal = Refusal::new(format!("`{text}` is not a kind of registry"));
            match nearest(text, &names) {
                Some(name) => refusal.hint(format!("did you mean `{name}`?")),
                None => refusal.hint(format!("the kinds are `{}`", names.join("`, `"))),
            }
        })
    }

    fn schema() -> Json {
        json!({ "enum": Self::ALL.map(Self::as_str) })
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
pub(super) struct CommitSubject(pub(super) SubjectTemplate);

impl Leaf for CommitSubject {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(Refusal::new(
                "a subject is one line with at least one character",
            ));
        }
        let mut at = 0;
        while let Some(start) = text[at..].find(['{', '}']).map(|brace| at + brace) {
            let length = text[start..].find('}').map(|length| length + 1);
            let end = start + length.unwrap_or(text.len() - start);
            let part = &text[start..end];
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            if !name.is_some_and(|name| SUBJECT_PARTS.contains(&name)) {
                return Err(Refusal {
                    part: Some(start..end),
                    ..Refusal::new(format!("unknown part `{part}`"))
                        .hint("known: `{policy}`, `{environment}`, `{changes}`")
                });
            }
            at = end;
        }
        let template = text
            .parse()
            .map_err(|error: ParseSubjectTemplateError| Refusal::new(error.to_string()))?;
        Ok(Self(template))
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
            Ok(duration) if duration < POLL_INTERVAL_MIN => Err(Refusal::new(format!(
                "`{text}` is too short; the least is `1s`"
            ))),
            Ok(duration) if duration > POLL_INTERVAL_MAX => Err(Refusal::new(format!(
                "`{text}` is too long; the most is `365d`"
            ))),
            Ok(duration) => Ok(duration),
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
        let fits = |size: &u32| (1..=PAGE_SIZE_MAX).contains(size);
        number(node, (&expected, fits), faults).map(Self)
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX }))
    }
}

/// How many commits of a branch are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth(pub(super) u32);

impl Shape for Depth {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = format!("a number from {DEPTH_MIN} to {DEPTH_MAX}");
        let fits = |depth: &u32| (DEPTH_MIN..=DEPTH_MAX).contains(depth);
        number(node, (&expected, fits), faults).map(Self)
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "integer", "minimum": DEPTH_MIN, "maximum": DEPTH_MAX }))
    }
}

/// What a server's hooks are told.
#[derive(Clone, Debug)]
pub(super) struct PushOption(pub(super) String);

impl Leaf for PushOption {
    /// <https://git-scm.com/docs/gitprotocol-pack#_pushing_data_to_a_server>: a line of its own, of 65,516 bytes.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let fits = !text.is_empty() && text.len() <= PUSH_OPTION_BYTES_MAX;
        match fits && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(Refusal::new("this is not an option of a push").hint("such as `ci.skip`")),
        }
    }
}

/// How often a registry may be asked, as the time between two requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestsPerSecond(pub(super) Duration);

impl Shape for RequestsPerSecond {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected =
            format!("a number from {REQUESTS_PER_SECOND_MIN} to {REQUESTS_PER_SECOND_MAX}");
        let range = REQUESTS_PER_SECOND_MIN..=REQUESTS_PER_SECOND_MAX;
        let fits = |rate: &f64| range.contains(rate);
        let rate = number(node, (&expected, fits), faults)?;
        Some(Self(Duration::from_secs_f64(1.0 / rate)))
    }

    fn schema() -> Option<Json> {
        Some(
            json!({ "type": "number", "minimum": REQUESTS_PER_SECOND_MIN, "maximum": REQUESTS_PER_SECOND_MAX }),
        )
    }
}

/// How many requests may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestsInFlight(pub(super) u32);

impl Shape for RequestsInFlight {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = format!("a number from 1 to {REQUESTS_IN_FLIGHT_MAX}");
        let fits = |count: &u32| (1..=REQUESTS_IN_FLIGHT_MAX).contains(count);
        number(node, (&expected, fits), faults).map(Self)
    }

    fn schema() -> Option<Json> {
        Some(json!({ "type": "integer", "minimum": 1, "maximum": REQUESTS_IN_FLIGHT_MAX }))
    }
}

/// Reads a bare number that fits.
fn number<T: FromStr>(
    node: &Node,
    (expected, fits): (&str, impl Fn(&T) -> bool),
    faults: &mut Faults,
) -> Option<T> {
    let Value::Scalar(Scalar {
        text, plain: true, ..
    }) = &node.value
    else {
        unexpected(node, expected, faults);
        return None;
    };
    let number = text.parse().ok().filter(fits);
    if number.is_none() {
        faults.error(node.span, format!("`{text}` is not {expected}"));
    }
    number
}

impl Leaf for SocketAddr {
    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map_err(|_| {
            let told = text.rsplit(':').next().and_then(|port| port.parse().ok());
            let port: u16 = told.unwrap_or(8080);
            Refusal::new(format!("`{text}` is not an address and a port")).hint(format!(
                "write `127.0.0.1:{port}`, or `0.0.0.0:{port}` for all interfaces"
            ))
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

impl Leaf for Same {
    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "digest" => Ok(Self::Digest),
            "revision" => Ok(Self::Revision),
            other => Err(unknown_word(other, &["digest", "revision"])),
        }
    }

    fn schema() -> Json {
        json!({ "enum": ["digest", "revision"] })
    }
}

/// Where a proxy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyUrl(pub(super) Url);

impl Leaf for ProxyUrl {
    /// Echoes nothing of a URL that may hold a password.
    fn parse(text: &str) -> Result<Self, Refusal> {
        const FORM: &str = "write `http://proxy.example.com:3128`, or `none` for no proxy";
        let url = Url::parse(text).map_err(|_| Refusal::new("not a URL").hint(FORM))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Refusal::new("not the URL of an HTTP proxy").hint(FORM));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new("a URL never holds credentials")
                .hint("write `{ url: http://.., username: .., password: { env: NAME } }`"));
        }
        Ok(Self(url))
    }
}

/// Where a manifests repository is, as it is written.
#[derive(Clone, Debug)]
pub(super) enum WrittenUrl {
    Http(Url),
    Ssh(SshAddress),
    Local(PathBuf),
}

impl Leaf for WrittenUrl {
    /// Echoes nothing of a URL that may hold a password.
    fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let before_slash = text.split('/').next().unwrap_or_default();
            return match before_slash.contains(':') {
                true => Ok(Self::Ssh(ssh(text)?)),
                false => String::parse(text).map(|path| Self::Local(PathBuf::from(path))),
            };
        };
        match scheme {
            "https" | "http" => {}
            "ssh" | "git+ssh" => return Ok(Self::Ssh(ssh(text)?)),
            "file" => return Ok(Self::Local(PathBuf::from(rest))),
            _ => {
                return Err(
                    Refusal::new(format!("URLs with `{scheme}` are not supported"))
                        .hint("write an https or ssh URL, or a local path"),
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

impl Leaf for Document {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        Ok(text.parse::<Self>()?)
    }

    fn schema() -> Json {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^([0-9]+|[^/]+/.+)$" },
        ] })
    }
}

/// An image policy of Flux, as its markers name it: `flux-system:web`.
#[derive(Clone, Debug)]
pub(super) struct MarkerPolicy(pub(super) String);

impl Leaf for MarkerPolicy {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let is_name = |part: &&str| !part.is_empty() && part.chars().all(allowed);
        let parts: Vec<&str> = text.split(':').collect();
        match &parts[..] {
            [namespace, name] if is_name(namespace) && is_name(name) => Ok(Self(text.to_owned())),
            [namespace, name, "tag" | "name" | "digest"] => Err(Refusal::new(format!(
                "`{text}` names a part of what Flux's image policy says"
            ))
            .hint(format!(
                "write `{namespace}:{name}`, which stands for all of its markers"
            ))),
            _ => Err(Refusal::new(format!(
                "`{text}` is not the name of an image policy of Flux"
            ))
            .hint("write `NAMESPACE:NAME`, as the markers do: `flux-system:web`")),
        }
    }
}

fn ssh(text: &str) -> Result<SshAddress, Refusal> {
    let refused = |error: ParseSshAddressError| {
        Refusal::new(error.to_string()).hint("such as `git@git.example.com:acme/deploy.git` or `ssh://git@git.example.com:2222/acme/deploy.git`")
    };
    text.parse().map_err(refused)
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
    Repository, RepoPath, YamlPath, PolicyName, EnvironmentName, ImageName, RepositoryName, RouteName, FolderPattern, ConnectionName, GroupName, CheckName,
}

/// Refuses a word that is none of the known ones.
pub(super) fn unknown_word(text: &str, words: &[&'static str]) -> Refusal {
    let refusal = Refusal::new(format!("`{text}` is not one of {}", list(words)));
    match nearest(text, words) {
        Some(nearest) => refusal.hint(format!("did you mean `{nearest}`?")),
        None => refusal,
    }
}
