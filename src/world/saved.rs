//! World files: the facts of a round as YAML, so that a decision can be replayed elsewhere and later.
//!
//! The shapes here are the format, apart from the types they save. Invariant: a file without today's
//! `apiVersion` is refused, and what is saved loads as the same world.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ancestry::saved::{self as ancestry, SavedAncestry};
use super::applications::saved::{self as applications, SavedApplications};
use super::checks::saved::{self as checks, SavedCheck};
use super::description::saved::{self as description, SavedDescriptions};
use super::folders::saved::{self as folders, SavedFolders};
use super::history::saved::{self as history, SavedHold, SavedPromotion, SavedResumed};
use super::pushes::saved::{self as pushes, SavedPushes};
use super::range::saved::{self as range, SavedRange};
use super::rendered::saved::{self as rendered, SavedRendering};
use super::requests::saved::{self as requests, SavedProposal, SavedRequests};
use super::source::saved::{self as source, SavedSource};
use super::vouched::saved::{self as vouched, SavedClaims};
use super::{BranchFacts, BranchName, Fact, File, ImageFacts, Listing, Shrunk, TagDetails, World};
use crate::image::Tag;

/// The version of the format.
const API_VERSION: &str = "towpath.dev/v1alpha1";

/// The kind of document.
const KIND: &str = "World";

/// Why a world file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadWorldError {
    #[error("it is not a world file")]
    Shape(#[source] serde_yaml::Error),
    #[error("its `apiVersion` and `kind` are `{found}`, not `{API_VERSION}` and `{KIND}`")]
    Version { found: String },
    #[error("`{text}` in it is not {what}")]
    Value { text: String, what: &'static str },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedWorld {
    api_version: String,
    kind: String,
    at: String,
    images: BTreeMap<String, SavedImage>,
    branches: Vec<SavedBranch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    folders: Vec<SavedFolders>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<SavedSource>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    proposals: Vec<SavedProposal>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pull_requests: BTreeMap<String, SavedRequests>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<SavedRange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    renderings: Vec<SavedRendering>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    applications: BTreeMap<String, SavedApplications>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ancestry: Vec<SavedAncestry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checks: Vec<SavedCheck>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedImage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shrunk: Option<SavedShrunk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushes: Option<SavedPushes>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, SavedTag>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    described: SavedDescriptions,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    vouched: SavedClaims,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedShrunk {
    from: usize,
    until: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedTag {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest_unknown: Option<String>,
    /// A time, or `none` where the image says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_unknown: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SavedBranch {
    repository: String,
    branch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, SavedFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    promotions: Vec<SavedPromotion>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resumed: Vec<SavedResumed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holds_unknown: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<SavedHold>,
}

/// A file's text, or what is there instead.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SavedFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is: Option<Instead>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_bytes: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Instead {
    Missing,
    Symlink,
    NotUtf8,
    LfsPointer,
    NotAFile,
    Submodule,
    TooLarge,
}

/// Writes `world`, observed at `at`, as a world file.
pub(crate) fn save(world: &World, at: Timestamp) -> String {
    let World {
        images,
        branches,
        folders,
        sources,
        proposals,
        requests: by_repository,
        ranges,
        rendered: renderings,
        applications: by_connection,
        ancestry: by_commits,
        checks: by_inquiry,
    } = world;
    let saved = SavedWorld {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        at: at.to_string(),
        images: images
            .iter()
            .map(|(name, facts)| (name.to_string(), save_image(facts)))
            .collect(),
        branches: branches
            .iter()
            .map(|(name, fact)| save_branch(name, fact))
            .collect(),
        folders: folders
            .iter()
            .map(|(folders, fact)| folders::save(folders, fact))
            .collect(),
        sources: sources
            .iter()
            .map(|(name, fact)| source::save(name, fact))
            .collect(),
        proposals: proposals
            .iter()
            .map(|(name, fact)| requests::save_proposal(name, fact))
            .collect(),
        pull_requests: by_repository
            .iter()
            .map(|(name, fact)| (name.to_string(), requests::save_requests(fact)))
            .collect(),
        ranges: ranges
            .iter()
            .map(|(range, fact)| range::save(range, fact))
            .collect(),
        renderings: renderings
            .iter()
            .map(|(rendering, fact)| rendered::save(rendering, fact))
            .collect(),
        applications: by_connection
            .iter()
            .map(|(name, fact)| (name.to_string(), applications::save(fact)))
            .collect(),
        ancestry: by_commits
            .iter()
            .map(|(commits, fact)| ancestry::save(commits, fact))
            .collect(),
        checks: by_inquiry.iter().map(checks::save).collect(),
    };
    serde_yaml::to_string(&saved).expect("a world file has only strings, numbers, lists and maps")
}

/// Reads a world file: the facts and the time at which they were observed.
pub(crate) fn load(text: &str) -> Result<(World, Timestamp), LoadWorldError> {
    let head: Head = serde_yaml::from_str(text).map_err(LoadWorldError::Shape)?;
    if head.api_version != API_VERSION || head.kind != KIND {
        return Err(LoadWorldError::Version {
            found: format!("{} {}", head.api_version, head.kind),
        });
    }
    let saved: SavedWorld = serde_yaml::from_str(text).map_err(LoadWorldError::Shape)?;
    let mut world = World::default();
    for (name, image) in saved.images {
        world
            .images
            .insert(parse(&name, "a repository")?, load_image(image)?);
    }
    for branch in saved.branches {
        let (name, fact) = load_branch(branch)?;
        world.branches.insert(name, fact);
    }
    for of_pattern in saved.folders {
        let (name, fact) = folders::load(of_pattern)?;
        world.folders.insert(name, fact);
    }
    for source in saved.sources {
        let (name, fact) = source::load(source)?;
        world.sources.insert(name, fact);
    }
    for proposal in saved.proposals {
        let (name, fact) = requests::load_proposal(proposal)?;
        world.proposals.insert(name, fact);
    }
    for of_repository in saved.pull_requests {
        let (name, fact) = requests::load_requests(of_repository)?;
        world.requests.insert(name, fact);
    }
    for saved in saved.ranges {
        let (range, fact) = range::load(saved)?;
        world.ranges.insert(range, fact);
    }
    for saved in saved.renderings {
        let (rendering, fact) = rendered::load(saved)?;
        world.rendered.insert(rendering, fact);
    }
    for (name, of_connection) in saved.applications {
        let name = parse(&name, "a connection's name")?;
        world
            .applications
            .insert(name, applications::load(of_connection)?);
    }
    for of_commits in saved.ancestry {
        let (commits, fact) = ancestry::load(of_commits)?;
        world.ancestry.insert(commits, fact);
    }
    for saved in saved.checks {
        let (inquiry, answer) = checks::load(saved)?;
        world.checks.insert(inquiry, answer);
    }
    Ok((world, parse(&saved.at, "a time")?))
}

pub(super) fn parse<T: std::str::FromStr>(
    text: &str,
    what: &'static str,
) -> Result<T, LoadWorldError> {
    text.parse().map_err(|_| LoadWorldError::Value {
        text: text.to_owned(),
        what,
    })
}

fn save_image(facts: &ImageFacts) -> SavedImage {
    let ImageFacts {
        listing,
        tags: details,
        described,
        vouched: claims,
    } = facts;
    let mut tags: BTreeMap<String, SavedTag> = BTreeMap::new();
    let mut pushes = None;
    let (unknown, listed, shrunk) = match listing {
        Fact::Known(listing) => {
            for (tag, first_seen) in listing.tags.iter() {
                let saved = SavedTag {
                    first_seen: Some(first_seen.to_string()),
                    pushed: listing.pushed(tag).map(|at| at.to_string()),
                    ..SavedTag::default()
                };
                tags.insert(tag.to_string(), saved);
            }
            pushes = listing.pushes.as_ref().map(pushes::save);
            let shrunk = listing.shrunk.map(|Shrunk { from, until }| SavedShrunk {
                from,
                until: until.to_string(),
            });
            (None, Some(listing.at.to_string()), shrunk)
        }
        Fact::Unknown { why } => (Some(why.clone()), None, None),
    };
    for (tag, TagDetails { digest, created }) in details.iter() {
        let saved = tags.entry(tag.to_string()).or_default();
        match digest {
            Some(Fact::Known(digest)) => saved.digest = Some(digest.to_string()),
            Some(Fact::Unknown { why }) => saved.digest_unknown = Some(why.clone()),
            None => {}
        }
        match created {
            Some(Fact::Known(time)) => {
                saved.created = Some(time.map_or("none".to_owned(), |time| time.to_string()));
            }
            Some(Fact::Unknown { why }) => saved.created_unknown = Some(why.clone()),
            None => {}
        }
    }
    SavedImage {
        unknown,
        listed,
        shrunk,
        pushes,
        tags,
        described: description::save(described),
        vouched: vouched::save(claims),
    }
}

fn load_image(saved: SavedImage) -> Result<ImageFacts, LoadWorldError> {
    let SavedImage {
        unknown,
        listed,
        shrunk,
        pushes,
        tags: saved_tags,
        described,
        vouched: claims,
    } = saved;
    let mut tags = BTreeMap::new();
    let mut pushed = BTreeMap::new();
    let mut details = BTreeMap::new();
    for (name, saved) in saved_tags {
        let tag: Tag = parse(&name, "a tag")?;
        if let Some(first_seen) = &saved.first_seen {
            tags.insert(tag.clone(), parse(first_seen, "a time")?);
        }
        if let Some(at) = &saved.pushed {
            if pushes.is_none() {
                return Err(LoadWorldError::Value {
                    text: name,
                    what: "a tag with a push time, since its image has no `pushes`",
                });
            }
            pushed.insert(tag.clone(), parse(at, "a time")?);
        }
        let is_listed = saved.first_seen.is_some();
        let loaded = load_details(saved)?;
        if !is_listed && loaded == TagDetails::default() {
            return Err(LoadWorldError::Value {
                text: name,
                what: "a listed tag, since it has no `first-seen`",
            });
        }
        if loaded != TagDetails::default() {
            details.insert(tag, loaded);
        }
    }
    let shrunk = shrunk
        .map(|SavedShrunk { from, until }| {
            parse(&until, "a time").map(|until| Shrunk { from, until })
        })
        .transpose()?;
    let listing = match (unknown, listed) {
        (Some(why), _) => Fact::Unknown { why },
        (None, Some(at)) => Fact::Known(Arc::new(Listing {
            at: parse(&at, "a time")?,
            tags: tags.into_iter().collect(),
            shrunk,
            pushes: pushes.map(|saved| pushes::load(saved, pushed)),
        })),
        (None, None) => Fact::Unknown {
            why: "the world file has no listing of it".to_owned(),
        },
    };
    Ok(ImageFacts {
        listing,
        tags: Arc::new(details),
        described: Arc::new(description::load(described)?),
        vouched: Arc::new(vouched::load(claims)?),
    })
}

fn load_details(saved: SavedTag) -> Result<TagDetails, LoadWorldError> {
    let SavedTag {
        first_seen: _,
        pushed: _,
        digest,
        digest_unknown,
        created,
        created_unknown,
    } = saved;
    let digest = match (digest, digest_unknown) {
        (Some(text), _) => Some(Fact::Known(parse(&text, "a digest")?)),
        (None, why) => why.map(|why| Fact::Unknown { why }),
    };
    let created = match (created.as_deref(), created_unknown) {
        (Some("none"), _) => Some(Fact::Known(None)),
        (Some(text), _) => Some(Fact::Known(Some(parse(text, "a time")?))),
        (None, why) => why.map(|why| Fact::Unknown { why }),
    };
    Ok(TagDetails { digest, created })
}

fn save_branch(name: &BranchName, fact: &Fact<Arc<BranchFacts>>) -> SavedBranch {
    let BranchName { repository, branch } = name;
    let (repository, branch) = (repository.to_string(), branch.clone());
    match fact {
        Fact::Unknown { why } => SavedBranch {
            repository,
            branch,
            unknown: Some(why.clone()),
            head: None,
            files: BTreeMap::new(),
            promotions: Vec::new(),
            resumed: Vec::new(),
            holds_unknown: None,
            holds: Vec::new(),
        },
        Fact::Known(facts) => {
            let BranchFacts {
                head,
                files,
                ledger,
                holds,
            } = facts.as_ref();
            let (holds_unknown, holds) = history::save_holds(holds);
            SavedBranch {
                repository,
                branch,
                unknown: None,
                head: head.as_ref().map(ToString::to_string),
                files: files
                    .iter()
                    .map(|(path, file)| (path.to_string(), save_file(file)))
                    .collect(),
                promotions: history::save_promotions(ledger),
                resumed: history::save_resumed(ledger),
                holds_unknown,
                holds,
            }
        }
    }
}

pub(super) fn save_file(file: &File) -> SavedFile {
    let instead = |is| SavedFile {
        is: Some(is),
        ..SavedFile::default()
    };
    match file {
        File::Text(text) => SavedFile {
            text: Some(text.to_string()),
            ..SavedFile::default()
        },
        File::NotUtf8 => instead(Instead::NotUtf8),
        File::Symlink => instead(Instead::Symlink),
        File::LfsPointer => instead(Instead::LfsPointer),
        File::Folder => instead(Instead::NotAFile),
        File::Submodule => instead(Instead::Submodule),
        File::TooLarge { size_bytes } => SavedFile {
            size_bytes: Some(*size_bytes),
            ..instead(Instead::TooLarge)
        },
        File::Missing => instead(Instead::Missing),
    }
}

fn load_branch(saved: SavedBranch) -> Result<(BranchName, Fact<Arc<BranchFacts>>), LoadWorldError> {
    let SavedBranch {
        repository,
        branch,
        unknown,
        head,
        files,
        promotions,
        resumed,
        holds_unknown,
        holds,
    } = saved;
    let name = BranchName {
        repository: parse(&repository, "a repository's name")?,
        branch,
    };
    if let Some(why) = unknown {
        return Ok((name, Fact::Unknown { why }));
    }
    let head = head.map(|head| parse(&head, "a commit")).transpose()?;
    let mut loaded = BTreeMap::new();
    for (path, file) in files {
        loaded.insert(parse(&path, "a path")?, load_file(file));
    }
    let mut ledger = history::load_promotions(promotions)?;
    history::load_resumed(&mut ledger, resumed)?;
    Ok((
        name,
        Fact::Known(Arc::new(BranchFacts {
            head,
            files: loaded,
            ledger,
            holds: history::load_holds(holds_unknown, holds)?,
        })),
    ))
}

pub(super) fn load_file(saved: SavedFile) -> File {
    let SavedFile {
        text,
        is,
        size_bytes,
    } = saved;
    match (text, is) {
        (Some(text), _) => File::Text(text.into()),
        (None, Some(Instead::TooLarge)) => File::TooLarge {
            size_bytes: size_bytes.unwrap_or_default(),
        },
        (None, Some(Instead::NotUtf8)) => File::NotUtf8,
        (None, Some(Instead::Symlink)) => File::Symlink,
        (None, Some(Instead::LfsPointer)) => File::LfsPointer,
        (None, Some(Instead::NotAFile)) => File::Folder,
        (None, Some(Instead::Submodule)) => File::Submodule,
        (None, Some(Instead::Missing) | None) => File::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::{load, save};

    const TEXT: &str = "\
apiVersion: towpath.dev/v1alpha1
kind: World
at: 2026-03-02T09:00:00Z
images:
  ghcr.io/acme/web:
    listed: 2026-03-02T08:59:00Z
    shrunk: { from: 9, until: 2026-03-02T09:30:00Z }
    tags:
      v1: { first-seen: 2026-03-01T00:00:00Z, created: none }
      v2: { first-seen: 2026-03-01T00:00:00Z, digest-unknown: down, created: 2026-02-01T00:00:00Z }
  ghcr.io/acme/api:
    unknown: it is down
    described:
      sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: { created: 2026-02-01T00:00:00Z, platforms: [linux/amd64], source: https://github.com/acme/api, revision: 0a1b2c3 }
      sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: { unknown: it is down }
      sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc: {}
    vouched:
      sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:
        signature with a key: { vouched: true }
        signature by somebody: { vouched: true, by: https://github.com/acme/web }
        signature by another: { vouched: false, why: there is no signature }
        attestation of something: { unknown: it is down }
        vulnerabilities: { vouched: true, report: { scanned: 2026-03-01T00:00:00Z, findings: { high: [CVE-1, CVE-2], unknown: [CVE-3] } } }
  pushed.example.com/acme/a:
    listed: 2026-03-02T08:59:00Z
    pushes: { order: by-default }
    tags:
      v1: { first-seen: 2026-03-01T00:00:00Z, pushed: 2026-02-01T00:00:00.123Z }
      v2: { first-seen: 2026-03-01T00:00:00Z }
  pushed.example.com/acme/b: { listed: 2026-03-02T08:59:00Z, pushes: { order: on-request, not-asked: true } }
  pushed.example.com/acme/c: { listed: 2026-03-02T08:59:00Z, pushes: { order: on-request, unknown: it is down } }
branches:
  - { repository: deploy, branch: dev, unknown: it is down }
  - { repository: deploy, branch: live, holds-unknown: line 1 is wrong }
  - repository: deploy
    branch: main
    head: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b
    files:
      a.yaml: { text: \"a: 1\\r\\n\" }
      b.yaml: { is: symlink }
      c.yaml: { is: too-large, size-bytes: 7 }
      d.yaml: { is: lfs-pointer }
      e.yaml: { is: submodule }
    promotions:
      - { commit: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, at: 2026-03-01T10:00:00Z, policy: p, environment: dev, image: web, reference: ghcr.io/acme/web:v1 }
      - { commit: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, at: 2026-03-01T10:00:00Z, policy: p, environment: live, image: web, reference: ghcr.io/acme/web:v1, merge: 0b0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, pull-request: 7, since-resumed: true }
    holds:
      - { line: 3, policy: p, environment: dev, image: web, pin: v1, reason: R, by: Ada, until: 2026-03-05T10:00:00Z }
      - { line: 4, policy: p, reject: [v1, v2] }
      - { line: 5, stop: true }
    resumed:
      - { commit: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, at: 2026-03-01T10:00:00Z, policy: p, environment: dev }
      - { commit: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, at: 2026-03-01T10:00:00Z, policy: p, environment: live, stands: [web v1] }
folders:
  - { repository: deploy, branch: main, pattern: 'apps/{policy}', names: [api, Web] }
  - { repository: deploy, branch: main, pattern: 'libs/{policy}', unknown: it is down }
sources:
  - { repository: code, branch: dev, unknown: it is down }
  - repository: code
    branch: main
    head: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b
    fetched: 2026-03-02T08:59:30Z
    commits:
      '0000001': { is: none }
      0a0b0c0: { is: one, line: 3, depth: 4 }
      0a0b0c1: { is: several, line: 2, depth: 2 }
ranges:
  - { repository: code, from: 0a0b0c0, to: 0a0b0c1, unknown: it is down }
  - repository: code
    from: 0a0b0c0
    to: 0a0b0c2
    count: 7
    newest:
      - { commit: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, subject: \"fix: a\", author: Ada }
renderings:
  - { repository: deploy, base: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b, changed: aa, unknown: it is down }
  - repository: deploy
    base: 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b
    changed: bb
    folders:
      - { folder: ., program: helm, files: [values.yaml], unknown: it is no chart }
      - folder: apps/web
        program: kustomize
        files: [apps/web/kustomization.yaml]
        objects:
          - { name: Deployment web, before: \"a: 1\\n\", after: \"\" }
applications:
  other: { unknown: it is down }
  main:
    at: 2026-03-02T08:59:59Z
    projects-unknown: not allowed
    applications:
      argocd/portal-dev: { project: default, sources: [{ url: 'https://git.example.com/acme/deploy', path: . }], sync: Unknown, health: Unknown }
      argocd/portal:
        project: shop
        destination-name: prod
        destination-namespace: portal
        destination-server: https://10.0.0.1
        sources:
          - { url: 'https://charts.example.com', chart: web, target-revision: 1.x }
          - { url: 'git@git.example.com:acme/deploy.git', target-revision: main, value-files: [envs/prod.yaml] }
        hydrated: true
        automated: true
        skipped: true
        being-deleted: true
        refresh-due: true
        controller-namespace: argo
        sync: OutOfSync
        revisions: [1.2.0, 0a0b0c0d0e0f0a0b0c0d0e0f0a0b0c0d0e0f0a0b]
        health: Degraded
        health-message: it crashes
        health-since: 2026-03-02T08:00:00Z
        images: ['ghcr.io/acme/web:v1']
        operation: { phase: Failed, message: no, finished: 2026-03-02T08:00:00Z, revisions: [1.2.0, 0a0b] }
        conditions: [{ kind: SyncError, message: no }]
        history: [{ at: 2026-03-02T07:00:00Z, revisions: [1.1.0, 0a0b] }]
        reconciled: 2026-03-02T08:59:00Z
  third:
    at: 2026-03-02T08:59:59Z
    projects:
      argocd/shop: [{ kind: deny, schedule: '0 22 * * *', seconds: 3600, zone: Europe/Rome, applications: ['*'], namespaces: [a], clusters: [b], needs-all: true, lets-people-sync: true }, { kind: allow, schedule: x }]
checks:
- { prometheus: { url: https://p.example.com, query: up, headers: { x-scope-orgid: a } }, at: 2026-03-01T00:00:00Z, unknown: away }
- { prometheus: { url: https://p.example.com, query: up, over: 10m }, at: 2026-03-01T00:00:00Z, series: [{ labels: '{}', lowest: '-inf', highest: '0.25' }], gap: 2026-03-01T00:00:00Z }
- { http: { method: GET, url: https://s.example.com }, at: 2026-03-01T00:00:00Z, not-before: 2026-03-02T00:00:00Z, status: 503 }
- { http: { method: POST, url: https://s.example.com, headers: { a: b }, body: c, pointers: [/a] }, at: 2026-03-01T00:00:00Z, status: 200, values: { /a: !number 1.5, /b: !text x, /c: !truth true, /d: 'null', /e: many } }
";

    #[test]
    fn what_is_saved_loads_as_the_same_world() {
        let (world, at) = load(TEXT).unwrap();
        assert_eq!((world.images.len(), world.branches.len()), (5, 3));
        let counts = (world.sources.len(), world.folders.len(), world.ranges.len());
        assert_eq!(counts, (2, 2, 2));
        assert_eq!(world.rendered.len(), 2);
        assert_eq!((world.applications.len(), world.checks.len()), (3, 4));
        assert_eq!(load(&save(&world, at)).unwrap(), (world, at));
    }

    #[test]
    fn a_tag_that_says_nothing_is_refused_since_it_would_not_count() {
        let text = TEXT.replace("{ first-seen: 2026-03-01T00:00:00Z, created: none }", "{}");
        let error = load(&text).unwrap_err();
        insta::assert_snapshot!(error, @"`v1` in it is not a listed tag, since it has no `first-seen`");
        let text = TEXT.replace("with a key: { vouched: true }", "with a key: {}");
        let error = load(&text).unwrap_err();
        insta::assert_snapshot!(error, @"`signature with a key` in it is not a claim, since it has neither `vouched` nor `unknown`");
        let text = TEXT.replace("    pushes: { order: by-default }\n", "");
        let error = load(&text).unwrap_err();
        insta::assert_snapshot!(error, @"`v1` in it is not a tag with a push time, since its image has no `pushes`");
    }
}
