//! A registry of one image, and what the daemon keeps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::shape::{Release, Shape, Tags};
use super::text::{Build, digest, tag};
use crate::image::{Digest, Repository, Tag};
use crate::policy::select::PushUse;
use crate::world::{
    Description, Fact, ImageFacts, Labels, Listing, Pushes, SeenTags, Shrunk, TagDetails,
};

/// How long a listing that lost more than half of its tags is not believed.
const SHRUNK_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Tags of every registry that no rule takes.
const OTHERS: [&str; 2] = ["1", "sha256-0a0b.sig"];

/// The builds of one image.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    pub(super) repository: Repository,
    pub(super) builds: BTreeMap<Build, Built>,
    pub(super) is_up: bool,
    /// Whether the registry tells no push times for a while.
    pub(super) is_silent: bool,
    /// What listings lack for a while.
    pub(super) hidden: BTreeSet<Build>,
    daemon: Kept,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Built {
    pub(super) pushed: Timestamp,
    pub(super) released: Option<Timestamp>,
    pub(super) has_arm: bool,
    /// Whether what runs it is degraded.
    pub(super) is_bad: bool,
}

/// What the daemon keeps.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// When it saw each tag first.
    seen: BTreeMap<Tag, Timestamp>,
    listed: SeenTags,
    shrunk_since: Option<Timestamp>,
    asked: BTreeMap<Tag, TagDetails>,
    described: BTreeMap<Digest, Fact<Description>>,
}

impl Registry {
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            repository,
            builds: BTreeMap::new(),
            is_up: true,
            is_silent: false,
            hidden: BTreeSet::new(),
            daemon: Kept::default(),
        }
    }

    pub(super) fn newest(&self) -> Build {
        self.builds.keys().next_back().copied().unwrap_or_default()
    }

    /// A new build.
    pub(super) fn push(&mut self, now: Timestamp, has_arm: bool) -> Build {
        let build = self.newest() + 1;
        let built = Built {
            pushed: now,
            released: None,
            has_arm,
            is_bad: false,
        };
        self.builds.insert(build, built);
        build
    }

    /// A build is released.
    pub(super) fn release(&mut self, build: Build, now: Timestamp) {
        if let Some(built) = self.builds.get_mut(&build) {
            built.released.get_or_insert(now);
        }
    }

    /// The daemon starts anew.
    pub(super) fn forget(&mut self) {
        self.daemon.asked.clear();
        self.daemon.described.clear();
    }

    /// It starts anew without its cache.
    pub(super) fn forget_all(&mut self) {
        self.daemon = Kept::default();
    }

    /// What the daemon knows after it listed the tags at `now`.
    pub(super) fn observe(&mut self, shape: &Shape, now: Timestamp) -> ImageFacts {
        let listing = match self.is_up {
            true => Fact::Known(Arc::new(self.listing(shape, now))),
            false => Fact::Unknown {
                why: "the registry is away".to_owned(),
            },
        };
        // What failed is asked again, and what is moved may have been.
        let latest = "latest".parse().unwrap();
        self.daemon.asked.remove(&latest);
        let is_known = |_: &Digest, fact: &mut Fact<Description>| matches!(fact, Fact::Known(_));
        self.daemon.described.retain(is_known);
        self.facts(listing)
    }

    fn facts(&self, listing: Fact<Arc<Listing>>) -> ImageFacts {
        ImageFacts {
            listing,
            tags: Arc::new(self.daemon.asked.clone()),
            described: Arc::new(self.daemon.described.clone()),
            vouched: Arc::default(),
        }
    }

    fn listing(&mut self, shape: &Shape, now: Timestamp) -> Listing {
        let listed = self.tags(shape);
        let Kept {
            seen, shrunk_since, ..
        } = &mut self.daemon;
        let tags: BTreeMap<Tag, Timestamp> = listed
            .keys()
            .map(|tag| (tag.clone(), seen.get(tag).copied().unwrap_or(now)))
            .collect();
        let from = seen.len();
        let since = shrunk_since.unwrap_or(now);
        let is_believed = tags.len() * 2 >= from || now.duration_since(since) >= SHRUNK_FOR;
        let shrunk = (!is_believed).then(|| Shrunk {
            from,
            until: since + SHRUNK_FOR,
        });
        *shrunk_since = shrunk.map(|_| since);
        match is_believed {
            true => seen.clone_from(&tags),
            false => seen.extend(tags.clone()),
        }
        let listed_tags: SeenTags = tags.into_iter().collect();
        let listed_tags = listed_tags.or_as_before(&self.daemon.listed);
        self.daemon.listed = listed_tags.clone();
        let times = match self.is_silent {
            true => Fact::Unknown {
                why: "the registry tells no times".to_owned(),
            },
            false => Fact::Known(Arc::new(listed)),
        };
        let pushes = Pushes {
            of_use: PushUse::OnRequest,
            times: Some(times),
        };
        Listing {
            at: now,
            tags: listed_tags,
            shrunk,
            pushes: (shape.tags == Tags::Pushed).then_some(pushes),
        }
    }

    /// All tags that a listing has, with the times at which they were pushed.
    fn tags(&self, shape: &Shape) -> BTreeMap<Tag, Timestamp> {
        let (first, last) = (&shape.stops[0], &shape.stops[shape.stops.len() - 1]);
        let mut tags = BTreeMap::new();
        for (build, built) in &self.builds {
            if self.hidden.contains(build) {
                continue;
            }
            tags.insert(tag(shape, first, *build), built.pushed);
            if let (Some(_), Some(at)) = (last.release, built.released) {
                tags.insert(tag(shape, last, *build), at);
            }
        }
        let others = OTHERS.map(|tag| (tag.parse().unwrap(), Timestamp::UNIX_EPOCH));
        tags.extend(others);
        tags
    }

    /// What is known once the registry answered for the digest of `tag`.
    pub(super) fn ask(&mut self, tag: &Tag, digest: Digest) {
        let details = TagDetails {
            digest: Some(Fact::Known(digest)),
            created: None,
        };
        self.daemon.asked.insert(tag.clone(), details);
    }

    /// What is known once it answered for an image.
    pub(super) fn describe(&mut self, asked: &Digest, does_fail: bool) {
        let hex = asked.as_str().strip_prefix("sha256:").unwrap();
        let build = Build::from_str_radix(&hex[..62], 16).unwrap();
        let has_arm = self.builds.get(&build).is_some_and(|built| built.has_arm);
        let platforms = ["linux/amd64", "linux/arm64"][..1 + usize::from(has_arm)].to_vec();
        let labels = Labels {
            revision: Some(format!("{build:040x}")),
            ..Labels::default()
        };
        let described = Description {
            created: None,
            platforms: platforms.into_iter().map(str::to_owned).collect(),
            labels,
        };
        let fact = match does_fail {
            true => Fact::Unknown {
                why: "the registry is slow".to_owned(),
            },
            false => Fact::Known(described),
        };
        self.daemon.described.insert(asked.clone(), fact);
    }

    /// The same facts with what was asked since.
    pub(super) fn refreshed(&self, facts: &ImageFacts) -> ImageFacts {
        self.facts(facts.listing.clone())
    }

    /// The digest to which `asked` points now.
    pub(super) fn points_to(&self, shape: &Shape, asked: &Tag) -> Digest {
        let last = &shape.stops[shape.stops.len() - 1];
        match asked.as_str() {
            "latest" => digest(self.newest(), None),
            text => {
                let is_release = text.starts_with("release-");
                let release: Option<Release> = last.release.filter(|_| is_release);
                digest(super::text::number(text), release)
            }
        }
    }
}
