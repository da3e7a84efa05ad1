//! From facts to intent: one decision with its reason for each image in each environment, and the commits
//! that carry the promotions out.
//!
//! Not here: reading (`observe`) and doing (`apply`). Invariant: [`plan`] is a pure function, and a plan is
//! complete: `apply` makes no choice.

mod build;
mod bundle;
mod chain;
mod change;
mod choice;
mod compare;
mod consult;
mod contested;
mod decide;
mod describe;
mod evidence;
mod explain;
mod facts;
#[cfg(feature = "figures")]
pub mod figures;
mod health;
mod held;
mod lint;
mod pin;
mod proof;
mod propose;
mod ran;
mod reason;
mod recover;
mod remembered;
pub(crate) mod request;
mod retire;
mod screen;
mod seal;
#[cfg(test)]
mod simulation;
mod sites;
mod standing;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::image::{Digest, Repository, Tag};
use crate::ledger::HOLDS_FILE;
use crate::manifest::Version;
use crate::policy::gate::{Condition, Finding};
use crate::policy::select::Dated;
use crate::policy::{
    Environment, EnvironmentName, ImageName, Policy, PolicyName, RepositoryName, SubjectTemplate,
};
use crate::world::{BranchName, Question, RepositoryAddress, World};
pub(crate) use request::source::{Origins, Web};
pub(crate) use request::{Dialect, Gate, GateVerdict, HidesBy};

pub(crate) use chain::{Chain, Run, Stop, chain};
pub(crate) use change::{Change, FileChange, PlannedCommit};
pub(crate) use describe::{also_changes, short};
pub(crate) use explain::{Explained, explain};
pub(crate) use health::{Place, deployers, deployers_of_each};
pub(crate) use lint::Breach;
pub(crate) use propose::{ProposalChange, Rebuild, RequestChange};
pub(crate) use reason::HoldReason;
pub(crate) use remembered::Remembered;
pub(crate) use sites::{Listed, sites};
pub(crate) use standing::{Located, SharedPlace, on_one_line, shared, written_whole};

/// What one round intends, and why everything else stays where it is.
#[derive(Debug)]
#[must_use]
pub(crate) struct Plan {
    /// In the order of policies, their environments, and their images.
    pub(crate) decisions: Vec<Decided>,
    /// One per branch, in the order of their names.
    pub(crate) changes: Vec<Change>,
    /// One per proposal that changes, in the order of their branches.
    pub(crate) proposals: Vec<ProposalChange>,
    /// What some decision waits for; with the answers in the world, plan again.
    pub(crate) questions: BTreeSet<Question>,
    /// Rules of the house that the plan broke: our own bugs. Their changes are left out.
    pub(crate) breaches: Vec<Breach>,
}

/// The decision for one image in one environment of one policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) policy: PolicyName,
    pub(crate) environment: EnvironmentName,
    pub(crate) image: ImageName,
    pub(crate) repository: Repository,
    /// What stands at the sites now: a tag, a digest, or several where they differ; `None` where nothing
    /// does or it could not be read.
    pub(crate) current: Option<String>,
    /// The version that the rule would have here, where there is one.
    pub(crate) candidate: Option<Tag>,
    pub(crate) decision: Decision,
    /// How Argo CD has what stands there now; `None` where it is not connected, or nothing stands there.
    pub(crate) health: Option<Condition>,
    /// When time alone could change the decision.
    pub(crate) next: Option<Timestamp>,
}

/// What to do about one image in one environment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    Promote(Promote),
    Hold(HoldReason),
}

/// A version that goes to the sites of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Promote {
    pub(crate) to: Version,
    /// The time that makes it the newest, where one does.
    pub(crate) dated: Option<Dated>,
    /// What it replaces, as it was written.
    pub(crate) from: Option<String>,
    /// The sites that do not have it yet.
    pub(crate) sites: Vec<Located>,
    /// The places that change with these, since they say by an alias what stands there.
    pub(crate) also: BTreeSet<SharedPlace>,
    pub(crate) ground: Ground,
    /// What the gates found that judge a version; all passed.
    pub(crate) findings: Vec<Finding>,
    /// What those find that judge the moment. Where people merge, some may not pass.
    pub(crate) moment: Vec<Finding>,
}

/// Why a version may take the place of what stands there; the most notable last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// No version stands there.
    Nothing,
    Newer,
    /// The followed tag points to another digest.
    OtherDigest,
    /// It is older, and the policy allows that.
    Downgrade,
    /// The rule cannot order what stands there, and no person wrote it over a promotion.
    Unordered,
    /// What stands there is degraded, and this stood there before.
    Degraded,
    /// A person pinned it here, by a line of the file with the holds.
    Pinned {
        line: usize,
    },
}

/// Decides everything from `world` as it stands at `now`.
pub(crate) fn plan(scope: &Scope<'_>, world: &World, now: Timestamp) -> Plan {
    plan_again(scope, world, now, &mut Remembered::default())
}

/// The same, sooner where readings are still those of the plan before.
pub(crate) fn plan_again(
    scope: &Scope<'_>,
    world: &World,
    now: Timestamp,
    remembered: &mut Remembered,
) -> Plan {
    let rejections = held::rejections(scope, world);
    let mut decisions = decide::decide_all(scope, (world, &rejections), (now, remembered));
    remembered.forget_unused();
    let mut questions: BTreeSet<Question> = decisions
        .iter_mut()
        .flat_map(|outcome| std::mem::take(&mut outcome.questions))
        .collect();
    let mut decisions: Vec<Decided> = decisions
        .into_iter()
        .map(|outcome| outcome.decided)
        .collect();
    let mut changes = change::changes(scope, world, &mut decisions);
    let mut proposals = propose::proposals((scope, world, now), &mut decisions, &mut questions);
    let breaches = lint::lint(scope, world, (&mut changes, &mut proposals));
    Plan {
        decisions,
        changes,
        proposals,
        questions,
        breaches,
    }
}

impl Plan {
    /// When time alone could change its decisions.
    pub(crate) fn nexts(&self) -> impl Iterator<Item = Timestamp> {
        self.decisions.iter().filter_map(|decided| decided.next)
    }
}

impl Decided {
    /// Whether facts are being read, so that the next round tells more.
    fn is_being_read(&self) -> bool {
        match &self.decision {
            Decision::Promote(_) => false,
            Decision::Hold(reason) => reason.is_passing() && reason.is_unknown(),
        }
    }
}

impl fmt::Display for Promote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            to,
            dated,
            from,
            sites: _,
            also: _,
            ground,
            findings: _,
            moment: _,
        } = self;
        let tag = &to.tag;
        let from = from.as_deref().map_or("nothing", describe::short);
        match ground {
            Ground::Nothing => {
                write!(f, "`{tag}` is the newest, and no version stands there yet")
            }
            Ground::Newer => write!(f, "`{tag}` is newer than `{from}`"),
            Ground::Downgrade => write!(
                f,
                "`{tag}` is the newest candidate, and the policy allows to go down from `{from}`"
            ),
            Ground::Unordered => write!(
                f,
                "`{tag}` replaces `{from}`, which the rule cannot order and nobody holds"
            ),
            Ground::Degraded => write!(f, "`{tag}` comes back, since `{from}` is degraded here"),
            Ground::OtherDigest if from == tag.as_str() => {
                write!(f, "`{tag}` points to a digest that does not stand there")
            }
            Ground::OtherDigest => write!(f, "`{tag}` points to another digest than `{from}`"),
            Ground::Pinned { line } => {
                let digest = to.digest.as_ref().filter(|_| from.starts_with("sha256:"));
                let version = digest.map_or(tag.as_str(), Digest::short);
                write!(
                    f,
                    "`{version}` is pinned here instead of `{from}` ({HOLDS_FILE}:{line})"
                )
            }
        }?;
        match dated {
            Some(dated) => write!(f, " ({dated})"),
            None => Ok(()),
        }
    }
}

/// What is planned: the policies and the settings that plans depend on.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) policies: &'a [Policy],
    /// The branch of each manifests repository.
    pub(crate) branches: &'a BTreeMap<RepositoryName, String>,
    pub(crate) subject: &'a SubjectTemplate,
    /// How the forge of each manifests repository writes; those without a forge are missing.
    pub(crate) forges: &'a BTreeMap<RepositoryName, Dialect>,
    pub(crate) origins: &'a Origins,
    /// Where each manifests repository is, to find the Applications that read it.
    pub(crate) addresses: &'a BTreeMap<RepositoryName, RepositoryAddress>,
    /// Whether pull requests show what they render to.
    pub(crate) renders: bool,
    /// Who commits promotions, as git writes a person: by this a commit is known to be ours.
    pub(crate) committer: &'a str,
    /// Whether the commits of proposals are sealed, since a forge commits them in its own name.
    pub(crate) is_sealed: bool,
}

impl Scope<'_> {
    /// The branch that the promotions of `environment` go to.
    fn branch(&self, policy: &Policy, environment: &Environment) -> BranchName {
        let default = &self.branches[&policy.repository];
        let branch = environment.branch(default).to_owned();
        BranchName {
            repository: policy.repository.clone(),
            branch,
        }
    }
}
