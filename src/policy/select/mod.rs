//! Which tags are candidates, and which of two is newer.
//!
//! Reading order: `rule` (what a policy says), `check` (from its text), `constraint`, `prerelease` and `shape` (its parts),
//! `candidate` (what orders them), `choose` (the choice), `told` (its words) and `explain` (what became of every tag).
//! Invariant: the order of the candidates is total, and a choice depends on the set of tags alone, never on their order.

mod candidate;
pub(crate) mod check;
pub(crate) mod choose;
mod constraint;
pub(crate) mod explain;
mod prerelease;
#[cfg(test)]
mod properties;
pub(crate) mod rule;
mod shape;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::Tag;
use crate::manifest::NamedCommit;
use crate::policy::gate::{Finding, Verdict};
use crate::policy::{EnvironmentName, ImageName, SourceBranch};
pub(crate) use rule::TagRule;
use shape::Part;

/// From this Jaro-Winkler similarity on, a word is taken for a slip of another. Found by trying: `numer` is near
/// `number` and `ts` near `timestamp`, while `commit` is near nothing.
const SIMILARITY_MIN: f64 = 0.7;

/// What is known of one tag of a listing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TagFacts {
    pub(crate) tag: Tag,
    /// When the registry says that the tag was last pushed.
    pub(crate) pushed: Option<Timestamp>,
    /// When the image says it was made.
    pub(crate) created: Option<Timestamp>,
    /// When this program saw the tag for the first time.
    pub(crate) first_seen: Option<Timestamp>,
}

/// The times that are known of one tag, as [`TagFacts`] has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) pushed: Option<Timestamp>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) first_seen: Option<Timestamp>,
}

/// The tags of a whole listing, each once, each at its place. A trait because a snapshot has them as they were read, thousands of
/// listings that nobody is to copy, and others tell them one by one.
pub(crate) trait Tags {
    fn count(&self) -> usize;

    fn at(&self, place: usize) -> &Tag;

    fn times(&self, place: usize) -> Times;

    fn place_of(&self, tag: &str) -> Option<usize>;

    /// Where the registry tells push times: when they order candidates.
    fn pushes(&self) -> Option<PushUse>;

    /// The same for all listings.
    fn histories(&self) -> &Arc<Histories>;
}

/// The tags of a listing that is told one by one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KnownTags {
    pub(crate) tags: Vec<TagFacts>,
    pub(crate) pushes: Option<PushUse>,
    pub(crate) histories: Arc<Histories>,
}

impl Tags for KnownTags {
    fn count(&self) -> usize {
        self.tags.len()
    }

    fn at(&self, place: usize) -> &Tag {
        &self.tags[place].tag
    }

    fn times(&self, place: usize) -> Times {
        let TagFacts {
            tag: _,
            pushed,
            created,
            first_seen,
        } = self.tags[place];
        Times {
            pushed,
            created,
            first_seen,
        }
    }

    fn place_of(&self, tag: &str) -> Option<usize> {
        self.tags.iter().position(|facts| facts.tag.as_str() == tag)
    }

    fn pushes(&self) -> Option<PushUse> {
        self.pushes
    }

    fn histories(&self) -> &Arc<Histories> {
        &self.histories
    }
}

/// Of each source that is known, what names of commits stand for, as far as that was asked.
pub(crate) type Histories = BTreeMap<SourceBranch, Arc<NamedCommits>>;

/// What names of commits, in lower case, stand for on one branch.
pub(crate) type NamedCommits = BTreeMap<String, NamedCommit>;

/// When push times order candidates. A registry is of one kind or the other for good: whether its push times can be
/// read at the moment never changes what orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PushUse {
    /// Wherever neither the rule nor the names say what orders.
    ByDefault,
    /// Only where the rule says `newest-by: pushed`.
    OnRequest,
}

/// The fact that says which of two candidates is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Version,
    Number,
    Timestamp,
    /// Where the commit that the name holds stands on a branch of its source.
    Commits,
    Pushed,
    Created,
    FirstSeen,
}

/// The time that made a candidate the newest, where no part of its name did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dated {
    Pushed(Timestamp),
    Created(Timestamp),
    FirstSeen(Timestamp),
}

/// Why a tag is not a candidate. Nearest to being one first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exclusion {
    /// A person rejected it; `words` say who, why and where.
    Rejected {
        words: Arc<str>,
    },
    /// It did not run in an environment before, or was rolled back there.
    NotRun {
        environment: EnvironmentName,
    },
    /// A gate does not let it pass, or not yet.
    Gated {
        finding: Arc<Finding>,
    },
    /// An image that moves together with this one does not have it, or it may not come there, for a reason of that image.
    Together {
        image: ImageName,
        why: Option<Arc<Self>>,
    },
    /// A pre-release that nobody asked for, and the word that would ask for it.
    Prerelease {
        asks: String,
    },
    Outside {
        constraint: Arc<str>,
    },
    Ignored {
        glob: Arc<str>,
    },
    /// The tag has the shape, but this part is not what its name says.
    Unreadable {
        part: Part,
    },
    /// The commit that the name holds is not on the branch whose history orders.
    OffBranch {
        source: SourceBranch,
    },
    Partial,
    NotVersion,
    /// `shape` reads: the pattern `develop-{sha}`.
    Mismatch {
        shape: Arc<str>,
    },
    NotFollowed {
        tag: Tag,
    },
    Attachment,
}

/// Whether a sentence speaks of one tag or of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    One,
    Many,
}

impl Exclusion {
    /// What a gate found, where one keeps the tag back.
    pub(crate) fn finding(&self) -> Option<&Finding> {
        let Self::Gated { finding } = self else {
            return None;
        };
        Some(finding)
    }

    /// Whether the tag fits the rule, and what became of it or what people say keeps it back.
    fn is_bar(&self) -> bool {
        match self {
            Self::Rejected { .. }
            | Self::NotRun { .. }
            | Self::Gated { .. }
            | Self::Together { .. } => true,
            Self::Prerelease { .. }
            | Self::Outside { .. }
            | Self::Ignored { .. }
            | Self::Unreadable { .. }
            | Self::OffBranch { .. }
            | Self::Partial
            | Self::NotVersion
            | Self::Mismatch { .. }
            | Self::NotFollowed { .. }
            | Self::Attachment => false,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, number: Number) -> fmt::Result {
        let (is, does, it, name) = match number {
            Number::One => ("is", "does", "it", "names"),
            Number::Many => ("are", "do", "them", "name"),
        };
        let waits = match number {
            Number::One => "waits",
            Number::Many => "wait",
        };
        let one = number == Number::One;
        match self {
            Self::Rejected { words } => write!(f, "{is} rejected{words}"),
            Self::NotRun { environment } if one => write!(f, "has not run in `{environment}`"),
            Self::NotRun { environment } => write!(f, "have not run in `{environment}`"),
            Self::Gated { finding } => {
                let Finding {
                    gate,
                    verdict,
                    why,
                    next: _,
                } = &**finding;
                match verdict {
                    Verdict::Failed => write!(f, "{does} not pass `{gate}`: {why}"),
                    Verdict::Passed | Verdict::Waits | Verdict::Unknown => {
                        write!(f, "{waits} for `{gate}`: {why}")
                    }
                }
            }
            Self::Together { image, why: None } => {
                write!(f, "{waits} for `{image}`, which does not have {it} yet")
            }
            Self::Together {
                image,
                why: Some(why),
            } => write!(f, "{waits} for `{image}`: there it {why}"),
            Self::Prerelease { asks } if one => {
                write!(f, "is a pre-release (`prerelease: {asks}` would take it)")
            }
            Self::Prerelease { asks } => {
                write!(f, "are pre-releases (`prerelease: {asks}` would take {it})")
            }
            Self::Outside { constraint } => write!(f, "{is} outside `{constraint}`"),
            Self::Ignored { glob } => write!(f, "{is} ignored by `{glob}`"),
            Self::Unreadable { part } => write!(f, "{does} not hold a readable `{part}`"),
            Self::OffBranch { source } => write!(f, "{name} no commit of {source}"),
            Self::Partial if one => f.write_str("is a partial version, which moves"),
            Self::Partial => f.write_str("are partial versions, which move"),
            Self::NotVersion if one => f.write_str("is not a semantic version"),
            Self::NotVersion => f.write_str("are not semantic versions"),
            Self::Mismatch { shape } => write!(f, "{does} not match {shape}"),
            Self::NotFollowed { tag } => write!(f, "{is} not `{tag}`"),
            Self::Attachment if one => f.write_str("is a signature or an attachment, not an image"),
            Self::Attachment => f.write_str("are signatures or attachments, not images"),
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Number::One)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::Number => "number",
            Self::Timestamp => "timestamp",
            Self::Commits => "commit",
            Self::Pushed => "push time",
            Self::Created => "creation time",
            Self::FirstSeen => "time of first sight",
        })
    }
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fact, at) = match self {
            Self::Pushed(at) => ("pushed", at),
            Self::Created(at) => ("created", at),
            Self::FirstSeen(at) => ("first seen", at),
        };
        write!(f, "{fact} {}", at.strftime("%Y-%m-%d %H:%M UTC"))
    }
}

/// A question with the nearest of the known words, where one is near.
fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let similar = known.map(|name| (strsim::jaro_winkler(name, word), name));
    let nearest = similar.max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((similarity, name)) if similarity > SIMILARITY_MIN => {
            format!(" (did you mean `{name}`?)")
        }
        Some(_) | None => String::new(),
    }
}
