//! The words of a pull request: what a reviewer needs, from facts to a title and a body.
//!
//! Reading order: this file, `body` (the sections, and what goes first where a forge takes less), `diff`, `warning`, `markdown` (how
//! text that others wrote is shown), `hidden` (what towpath reads back). Not here: when there is a pull request (`plan`), and what the forge is
//! told besides. Invariant: the same facts make the same bytes, and no text that others wrote is read as markup, a mention or hidden data.

mod body;
mod diff;
pub(crate) mod hidden;
pub(super) mod markdown;
pub(crate) mod source;
mod warning;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::change::FileChange;
use super::{Ground, SharedPlace};
use crate::image::Digest;
use crate::ledger::{Moved, Promotion};
use crate::manifest::{CommitId, RepoPath};
use crate::policy::gate::Condition;
use crate::policy::select::Dated;
use crate::policy::template::{Template, TemplateSections};
use crate::policy::{EnvironmentName, ImageName};
use crate::world::{BranchName, Fact, Rendered};

use hidden::{Flags, Hidden, Promotions};
use markdown::code;
use source::Between;

/// Everything that a pull request tells.
#[derive(Clone, Debug)]
pub(crate) struct RequestFacts {
    pub(crate) environment: EnvironmentName,
    /// The branch that it goes to.
    pub(crate) base: BranchName,
    /// The first line of its commit.
    pub(crate) subject: String,
    /// One for each policy, in the order of their names; never empty. More than one where `group: environment` stands.
    pub(crate) promotions: Vec<Proposed>,
    pub(crate) files: BTreeMap<RepoPath, FileChange>,
    /// What the files render to; `None` where nobody is to tell.
    pub(crate) rendered: Option<Fact<Arc<Rendered>>>,
    pub(crate) flags: Flags,
}

/// The promotion of one policy, and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    pub(crate) promotion: Promotion,
    /// For each image of the promotion; one that is missing is told without.
    pub(crate) evidence: BTreeMap<ImageName, Evidence>,
    /// In the order in which the policy has them.
    pub(crate) gates: Vec<Gate>,
}

/// What is known about the version that one image goes to.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) ground: Ground,
    /// What the tag points to, where that is known and no digest is written.
    pub(crate) digest: Option<Digest>,
    /// When it was pushed or made, whatever of that orders.
    pub(crate) dated: Option<Dated>,
    /// `linux/amd64`; empty where that is not known.
    pub(crate) platforms: Vec<String>,
    /// The environments that have it, in the order of the policy.
    pub(crate) runs_in: Vec<RunsIn>,
    /// What lies between the version that goes and the one that comes.
    pub(crate) between: Option<Between>,
    /// The places that change with the sites.
    pub(crate) also: BTreeSet<SharedPlace>,
}

/// An environment that has the version already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunsIn {
    pub(crate) environment: EnvironmentName,
    /// When git got it, by which commit; `None` where no promotion of ours tells.
    pub(crate) since: Option<(Timestamp, CommitId)>,
    /// How Argo CD has it there, where it is connected.
    pub(crate) health: Option<Condition>,
}

/// A condition, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// As the policy names it: `soak`.
    pub(crate) name: String,
    pub(crate) verdict: GateVerdict,
    /// One sentence. The same facts give the same words: times, and no "three hours ago".
    pub(crate) evidence: String,
}

/// How a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GateVerdict {
    Passed,
    Waits,
}

/// What the forge makes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Longest body. It is counted in UTF-16 units, which is never less than characters.
    pub(crate) length_max: usize,
    /// Whether `<details>` folds; where it does not, tags are shown as they are written.
    pub(crate) folds: bool,
    pub(crate) hides_by: HidesBy,
}

/// How text stands in a body without being shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HidesBy {
    /// `<!-- text -->`
    Comment,
    /// `[name]: # (text)`: the definition of a link that nothing refers to.
    LinkDefinition,
}

/// What the policy says in place of our own words; `None` is ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestTemplates<'a> {
    pub(crate) title: Option<&'a Template>,
    pub(crate) body: Option<&'a Template>,
}

/// What a pull request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestText {
    pub(crate) title: String,
    /// Hidden data at its end included.
    pub(crate) body: String,
    /// Why a template was not used.
    pub(crate) complaints: Vec<String>,
    pub(crate) hides_by: HidesBy,
}

/// Writes the pull request of `facts`. A template that cannot be filled leaves its part to our own words, and reviewers see why.
pub(crate) fn text(
    facts: &RequestFacts,
    dialect: Dialect,
    templates: RequestTemplates<'_>,
) -> RequestText {
    let RequestTemplates { title, body } = templates;
    let mut complaints = Vec::new();
    let title = title.and_then(|template| {
        let values = body::values(facts, TemplateSections::default(), str::to_owned);
        let filled = template.fill(&values);
        filled
            .map_err(|error| complaints.push(format!("the template of the title: {error}")))
            .ok()
    });
    let title = markdown::plain(title.as_deref().unwrap_or(&facts.subject).trim());

    // The checksum of what is shown is as long whatever is shown.
    let mut hidden = facts.hidden(dialect);
    let longest = Hidden {
        flags: Flags::all(),
        ..hidden.clone()
    };
    let room = dialect
        .length_max
        .saturating_sub(units(&longest.block(dialect.hides_by)) + 3);
    let shown = body::shown(facts, (dialect, room), body, &complaints).or_else(|error| {
        complaints.push(format!("the template of the body: {error}"));
        body::shown(facts, (dialect, room), None, &complaints)
    });
    let shown = shown.expect("our own words need no template");
    let shown = hidden::unmarked(shown.trim_end());
    // A body that shows no gates is written anew with them too, since the statuses are.
    let gates: Vec<&Gate> = facts.promotions.iter().flat_map(|one| &one.gates).collect();
    hidden.shown = hidden::checksum_of(&format!("{title}\n{shown}\n{gates:?}"));
    RequestText {
        title,
        body: hidden::joined(&shown, &hidden.block(dialect.hides_by)),
        complaints,
        hides_by: dialect.hides_by,
    }
}

impl RequestText {
    /// What it says was done.
    pub(crate) fn flags(&self) -> Flags {
        let hidden = hidden::read(&self.body);
        hidden.map(|hidden| hidden.flags).unwrap_or_default()
    }

    /// The same, with what was done since.
    pub(crate) fn noting(self, note: impl FnOnce(&mut Flags)) -> Self {
        let mut flags = self.flags();
        note(&mut flags);
        match hidden::with_flags(&self.body, flags, self.hides_by) {
            Some(body) => Self { body, ..self },
            None => self,
        }
    }

    /// Whether a pull request with `body` says this already. What people and other programs wrote around it stays until it does
    /// not.
    pub(crate) fn is_told_by(&self, body: &str) -> bool {
        let told = hidden::read(body);
        told.is_some() && told == hidden::read(&self.body)
    }
}

impl RequestFacts {
    /// Every image that moves, in the order of policies and names.
    fn images(&self) -> impl Iterator<Item = (&Proposed, &ImageName, &Moved)> {
        self.promotions.iter().flat_map(|proposed| {
            let images = proposed.promotion.images.iter();
            images.map(move |(name, moved)| (proposed, name, moved))
        })
    }

    /// An image as it is spoken of: with its policy where there are several.
    fn name_of(&self, proposed: &Proposed, image: &ImageName) -> String {
        let image = code(image.as_str());
        match self.promotions.len() {
            1 => image,
            _ => format!("{} {image}", code(proposed.promotion.policy.as_str())),
        }
    }

    /// What the body hides. Promotions that would take more than half of it stand in the commit alone.
    fn hidden(&self, dialect: Dialect) -> Hidden {
        let promotions = self.promotions.iter();
        let hidden = Hidden {
            promotions: Promotions::Here(promotions.map(|one| one.promotion.clone()).collect()),
            flags: self.flags.clone(),
            shown: hidden::checksum_of(""),
        };
        match units(&hidden.block(dialect.hides_by)) > dialect.length_max / 2 {
            true => Hidden {
                promotions: Promotions::InCommit,
                ..hidden
            },
            false => hidden,
        }
    }
}

/// How long a text is for a forge: some count characters, some the halves of those beyond the first plane.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests;
