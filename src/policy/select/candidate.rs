//! Candidates: tags with all that may order them, and which of two is newer.
//!
//! Not here: which of them is chosen (`choose`). Invariant: a commit counts as late as it may be, so that one that is not
//! known for sure is never passed over.

use std::cmp::Ordering;

use super::rule::TagRule;
use super::shape::Reading;
use super::{Dated, Exclusion, Fact, Histories, NamedCommits, Times};
use crate::image::Tag;
use crate::manifest::{CommitPlace, NamedCommit};
use crate::policy::SourceBranch;

/// A tag with what its name says.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) tag: &'a Tag,
    pub(super) reading: Reading,
    pub(super) commit: Option<NamedCommit>,
    pub(super) times: Times,
}

/// The history that orders the candidates of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    pub(super) source: &'a SourceBranch,
    /// `None` where it is not known.
    commits: Option<&'a NamedCommits>,
}

impl<'a> History<'a> {
    pub(super) fn of(rule: &'a TagRule, histories: &'a Histories) -> Option<Self> {
        let source = rule.source()?;
        let commits = histories.get(source).map(AsRef::as_ref);
        Some(Self { source, commits })
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn new(
        (tag, times): (&'a Tag, Times),
        reading: Reading,
        history: Option<History<'_>>,
    ) -> Self {
        Self {
            tag,
            commit: commit(tag, &reading, history),
            reading,
            times,
        }
    }

    /// The candidate, unless its commit is known not to be on the branch that orders.
    pub(super) fn on_branch(self, history: Option<History<'_>>) -> Result<Self, Exclusion> {
        match (self.commit, history) {
            (Some(NamedCommit::None), Some(History { source, .. })) => {
                let source = source.clone();
                Err(Exclusion::OffBranch { source })
            }
            (_, _) => Ok(self),
        }
    }

    /// Where the commit stands on the branch; the latest place that it may have.
    fn place(&self) -> Option<CommitPlace> {
        match self.commit? {
            NamedCommit::None => None,
            NamedCommit::One(place) | NamedCommit::Several { latest: place } => Some(place),
        }
    }

    /// Whether the name is that of several commits, so that it may be older than it stands in the order.
    pub(super) fn is_ambiguous(&self, fact: Fact) -> bool {
        let is_several = matches!(self.commit, Some(NamedCommit::Several { .. }));
        fact == Fact::Commits && is_several
    }

    /// Whether `fact` is known of this tag. What a name says is known of every candidate.
    pub(super) fn knows(&self, fact: Fact) -> bool {
        match fact {
            Fact::Pushed => self.times.pushed.is_some(),
            Fact::Created => self.times.created.is_some(),
            Fact::FirstSeen => self.times.first_seen.is_some(),
            Fact::Version => self.reading.version.is_some(),
            Fact::Number => self.reading.number.is_some(),
            Fact::Timestamp => self.reading.timestamp.is_some(),
            Fact::Commits => self.place().is_some(),
        }
    }

    /// The time that `fact` is, where it is one.
    pub(super) fn dated(&self, fact: Fact) -> Option<Dated> {
        match fact {
            Fact::Pushed => self.times.pushed.map(Dated::Pushed),
            Fact::Created => self.times.created.map(Dated::Created),
            Fact::FirstSeen => self.times.first_seen.map(Dated::FirstSeen),
            Fact::Version | Fact::Number | Fact::Timestamp | Fact::Commits => None,
        }
    }

    /// The text before and after the version.
    fn around(&self) -> (&str, &str) {
        let (text, at) = (self.tag.as_str(), &self.reading.version_at);
        (&text[..at.start], &text[at.end..])
    }

    /// Whether both tags spell one version, with the same text around it.
    pub(super) fn is_spelling_of(&self, other: &Self) -> bool {
        let versions = (&self.reading.version, &other.reading.version);
        let same_version = matches!(versions, (Some(a), Some(b)) if a == b);
        self.tag == other.tag || (same_version && self.around() == other.around())
    }
}

/// Which of two tags is newer by `fact`. What else the names say breaks a tie, as of two builds of one commit; a time stands
/// alone, since a name that says more would have been asked first.
pub(super) fn compare(fact: Fact, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let version = || a.reading.version.cmp(&b.reading.version);
    let number = || a.reading.number.cmp(&b.reading.number);
    let timestamp = || a.reading.timestamp.cmp(&b.reading.timestamp);
    match fact {
        Fact::Version => version().then_with(number).then_with(timestamp),
        Fact::Number => number().then_with(version).then_with(timestamp),
        Fact::Timestamp => timestamp().then_with(version).then_with(number),
        Fact::Commits => {
            let by_place = a.place().cmp(&b.place());
            by_place
                .then_with(version)
                .then_with(number)
                .then_with(timestamp)
        }
        Fact::Pushed => a.times.pushed.cmp(&b.times.pushed),
        Fact::Created => a.times.created.cmp(&b.times.created),
        Fact::FirstSeen => a.times.first_seen.cmp(&b.times.first_seen),
    }
}

/// What the name of a commit in `tag` stands for, where a history orders and that was asked.
pub(super) fn commit(
    tag: &Tag,
    reading: &Reading,
    history: Option<History<'_>>,
) -> Option<NamedCommit> {
    history?.commits?.get(&reading.sha(tag)).copied()
}
