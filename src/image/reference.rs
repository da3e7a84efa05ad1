//! Repositories and references, as people write them in manifests.
//!
//! Docker Hub's short names and their long forms are one repository: `nginx`, `docker.io/nginx` and
//! `index.docker.io/library/nginx` are equal. How a name was spelled stays in the file, never here.

use std::fmt;
use std::str::FromStr;

use super::{Digest, Tag};

/// The registry that a name without a host means.
const DOCKER_HUB: &str = "docker.io";

/// Longest repository name, host and path, in characters.
///
/// The limit of the reference grammar that registries and clients share:
/// <https://pkg.go.dev/github.com/distribution/reference>.
const REPOSITORY_LENGTH_MAX: usize = 255;

/// A repository in a registry, such as `ghcr.io/acme/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Repository {
    /// Host, with the port where one is written: `ghcr.io`, `localhost:5000`, `[::1]:5000`.
    registry: String,
    /// Path in the registry, with Docker Hub's `library/` written out: `library/nginx`.
    path: String,
}

/// A repository with the version that is written beside it, if any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) repository: Repository,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{reference}` is not an image reference: {reason}")]
pub(crate) struct ParseReferenceError {
    reference: String,
    reason: String,
}

impl Repository {
    /// The registry's host, with its port where one is written.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, as its API wants it.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Repository {
    type Err = ParseReferenceError;

    /// Parses a name without tag or digest.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let reference: Reference = s.parse()?;
        if reference.tag.is_some() || reference.digest.is_some() {
            return Err(refused(s, "a repository has no tag and no digest"));
        }
        Ok(reference.repository)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (rest, digest) = match s.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|e| refused(s, e))?)),
            None => (s, None),
        };
        // A colon before the last slash belongs to a port, never to a tag.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].find(':') {
            Some(colon) => {
                let tag = rest[name_start + colon + 1..]
                    .parse()
                    .map_err(|e| refused(s, e))?;
                (&rest[..name_start + colon], Some(tag))
            }
            None => (rest, None),
        };
        let repository = parse_repository(name).map_err(|reason| refused(s, reason))?;
        Ok(Self {
            repository,
            tag,
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn refused(reference: &str, reason: impl ToString) -> ParseReferenceError {
    ParseReferenceError {
        reference: reference.to_owned(),
        reason: reason.to_string(),
    }
}

fn parse_repository(name: &str) -> Result<Repository, String> {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let registry = match registry {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    };
    if !host_is_valid(registry) {
        return Err(format!("`{registry}` is not a host"));
    }
    if let Some(component) = path
        .split('/')
        .find(|component| !component_is_valid(component))
    {
        return Err(match component.chars().any(|c| c.is_ascii_uppercase()) {
            true => format!("`{component}` must be lower case"),
            false if component.is_empty() => "a part of the name is empty".to_owned(),
            false => format!("`{component}` is not a repository name"),
        });
    }
    let path = match registry == DOCKER_HUB && !path.contains('/') {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    if registry.len() + 1 + path.len() > REPOSITORY_LENGTH_MAX {
        return Err(format!(
            "it is longer than {REPOSITORY_LENGTH_MAX} characters"
        ));
    }
    Ok(Repository {
        registry: registry.to_owned(),
        path,
    })
}

/// Whether the first part of a name is a registry's host rather than a Docker Hub namespace.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

fn host_is_valid(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", rest),
            _ => return false,
        },
        None => registry
            .find(':')
            .map_or((registry, ""), |colon| registry.split_at(colon)),
    };
    let label_is_valid = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    port_is_valid && host.split('.').all(label_is_valid)
}

/// One part of a path: lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn component_is_valid(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let joined_well = component
        .split(|c: char| c.is_ascii_alphanumeric())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'));
    alphanumeric(first)
        && alphanumeric(last)
        && joined_well
        && bytes
            .iter()
            .all(|&b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::{Reference, Repository};

    #[test]
    fn docker_hubs_short_and_long_names_are_one_repository() {
        let short: Repository = "nginx".parse().unwrap();
        for long in [
            "docker.io/nginx",
            "library/nginx",
            "index.docker.io/library/nginx",
        ] {
            assert_eq!(long.parse::<Repository>().unwrap(), short, "{long}");
        }
        assert_eq!(short.to_string(), "docker.io/library/nginx");
        let other: Repository = "harbor.example.com/nginx".parse().unwrap();
        assert_eq!(other.path(), "nginx");
    }

    #[test]
    fn a_colon_before_the_last_slash_is_a_port() {
        let reference: Reference = "registry:5000/team/app:v1".parse().unwrap();
        assert_eq!(reference.repository.registry(), "registry:5000");
        assert_eq!(reference.repository.path(), "team/app");
        assert_eq!(reference.tag.unwrap().as_str(), "v1");
        let bare: Reference = "localhost:5000/app".parse().unwrap();
        assert_eq!(
            (bare.repository.registry(), bare.tag),
            ("localhost:5000", None)
        );
    }

    #[test]
    fn a_tag_and_a_digest_may_stand_together() {
        let text = format!("ghcr.io/acme/web:v1@sha256:{}", "ab".repeat(32));
        let reference: Reference = text.parse().unwrap();
        assert!(reference.tag.is_some() && reference.digest.is_some());
        assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        let reason = |text: &str| text.parse::<Reference>().unwrap_err().to_string();
        insta::assert_snapshot!(reason("ghcr.io/Org/app:1"), @"`ghcr.io/Org/app:1` is not an image reference: `Org` must be lower case");
        insta::assert_snapshot!(reason("a//b"), @"`a//b` is not an image reference: a part of the name is empty");
        insta::assert_snapshot!(reason("a/b:~1.2"), @"`a/b:~1.2` is not an image reference: `~1.2` is not a tag: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`");
        for bad in [
            "",
            "Foo/bar:1",
            "x/y:",
            "foo@sha256:abc",
            "a/b:*",
            "localhost:5000/app:~1.2",
            "-a/b",
            "a/b-",
            "a..b",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ipv6_hosts_and_ports_are_understood() {
        let reference: Reference = "[::1]:5000/x:1".parse().unwrap();
        assert_eq!(reference.repository.registry(), "[::1]:5000");
        assert!("[::z]:5000/x".parse::<Reference>().is_err());
        assert!("host:99999/x".parse::<Reference>().is_err());
    }

    #[test]
    fn every_reference_of_the_table_is_read_as_it_says() {
        let table = include_str!("../../tests/references/cases.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(table).unwrap();
        assert!(cases.len() > 40);
        for case in &cases {
            let input = case["input"].as_str().unwrap();
            let Ok(reference) = input.parse::<Reference>() else {
                assert!(case["path"].is_null(), "`{input}` is a reference");
                continue;
            };
            assert_eq!(
                case["registry"],
                *reference.repository.registry(),
                "{input}"
            );
            assert_eq!(case["path"], *reference.repository.path(), "{input}");
            let tag = reference.tag.as_ref().map(super::Tag::as_str);
            assert_eq!(case["tag"].as_str(), tag, "{input}");
            let digest = reference.digest.as_ref().map(super::Digest::as_str);
            assert_eq!(case["digest"].as_str(), digest, "{input}");
        }
    }
}
