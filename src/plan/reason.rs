//! Why an environment stays where it is: each reason is a type, and its one sentence is its `Display`.
//!
//! Invariant: `kind` is stable, since metrics, JSON output and people's scripts use it.

use std::fmt;

use jiff::Timestamp;

use super::held::Ruling;
use super::together::Apart;
use crate::image::{Digest, Repository, Tag};
use crate::ledger::{HeldVersion, Recorded};
use crate::manifest::CommitId;
use crate::policy::gate::{Finding, GateName, Verdict};
use crate::policy::select::choose::SelectionHold;
use crate::policy::{EnvironmentName, ImageName, SourceBranch};
use crate::world::BranchName;

/// Why an environment stays where it is. Each reason names what would end it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HoldReason {
    /// The version that stands there is the newest that the rule allows.
    Newest,
    /// It is the newest, and the environment is degraded with it.
    Degraded {
        why: String,
        /// When the version before comes back.
        until: Option<Timestamp>,
    },
    /// The rule chooses nothing.
    NoChoice(SelectionHold),
    /// The tags of the image could not be listed.
    RegistryUnknown { repository: Repository, why: String },
    /// The tags were not listed yet.
    NotListedYet { repository: Repository },
    /// The listing is too old to decide from.
    ListingOld { at: Timestamp },
    /// The listing lost more than half of its tags at once.
    ListingShrank {
        from: usize,
        to: usize,
        until: Timestamp,
    },
    /// A fact of some tag is being read.
    FactsPending,
    /// A fact of a tag could not be read.
    FactUnknown { tag: Tag, why: String },
    /// The newest candidate did not run in an environment before, or was rolled back there.
    NotRun {
        tag: Tag,
        environment: EnvironmentName,
    },
    /// A gate does not let the newest candidate pass.
    Gated { tag: Tag, finding: Box<Finding> },
    /// The tag points to another digest than the one by which it ran before.
    TagMoved { tag: Tag, ran: Digest, now: Digest },
    /// The push times of the image could not be read.
    PushesUnknown { repository: Repository, why: String },
    /// The registry does not tell push times, and the policy orders by them.
    PushesUntold { repository: Repository },
    /// The history that orders the tags could not be read.
    SourceUnknown { source: SourceBranch, why: String },
    /// `tag` was seen after the last fetch of the branch, which does not have its commit.
    SourceBehind { tag: Tag, source: SourceBranch },
    /// The registry lists `tag` and does not tell yet when it was pushed.
    PushPending { tag: Tag },
    /// The manifests repository could not be read.
    ManifestsUnknown { why: String },
    /// The branch does not exist.
    BranchMissing { branch: BranchName },
    /// The version cannot be read or written exactly where the policy says it stands.
    SiteRefused { why: String },
    /// A person undid the promotion to `recorded`, and nothing newer is there.
    Undone { recorded: Box<Recorded> },
    /// A person wrote a value over a promotion, and the rule cannot order it.
    Pinned { value: String },
    /// What would be promoted is proposed, and waits for people.
    Proposed {
        branch: String,
        /// The pull request's number and page, where there is a forge.
        request: Option<(u64, String)>,
    },
    /// The forge's pull requests could not be listed.
    ForgeUnknown { why: String },
    /// The branch of the proposal has a commit of somebody else.
    ForeignCommits {
        branch: String,
        commit: CommitId,
        by: String,
        /// Who towpath commits as, where that alone tells the commit from one of its own.
        ours: Option<String>,
    },
    /// A pull request brought the version, and it does not stand on the branch.
    Merged { number: u64 },
    /// A person stopped everything here.
    Stopped { ruling: Box<Ruling> },
    /// `version` would come next or stands here, and a person rejected it.
    Rejected {
        version: HeldVersion,
        ruling: Box<Ruling>,
    },
    /// The version that a person pinned stands here.
    AtPin {
        version: HeldVersion,
        ruling: Box<Ruling>,
    },
    /// The version that a person pinned cannot come here.
    PinRefused {
        version: HeldVersion,
        why: &'static str,
        ruling: Box<Ruling>,
    },
    /// What people decided could not be read.
    HoldsUnknown { why: String },
    /// `tag` would come, and `image`, which moves together with this one, keeps it back.
    Together {
        tag: Tag,
        image: ImageName,
        why: Apart,
    },
}

impl HoldReason {
    /// Whether it ends by itself within one round, or says that all is done.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Newest
            | Self::NotListedYet { .. }
            | Self::FactsPending
            | Self::SourceBehind { .. } => true,
            Self::Together { why, .. } => why.reason().is_some_and(Self::is_passing),
            Self::NoChoice(_)
            | Self::RegistryUnknown { .. }
            | Self::ListingOld { .. }
            | Self::ListingShrank { .. }
            | Self::FactUnknown { .. }
            | Self::NotRun { .. }
            | Self::Gated { .. }
            | Self::TagMoved { .. }
            | Self::PushesUnknown { .. }
            | Self::PushesUntold { .. }
            | Self::SourceUnknown { .. }
            | Self::PushPending { .. }
            | Self::ManifestsUnknown { .. }
            | Self::Degraded { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::Undone { .. }
            | Self::Pinned { .. }
            | Self::Proposed { .. }
            | Self::ForgeUnknown { .. }
            | Self::ForeignCommits { .. }
            | Self::Stopped { .. }
            | Self::Rejected { .. }
            | Self::AtPin { .. }
            | Self::PinRefused { .. }
            | Self::HoldsUnknown { .. }
            | Self::Merged { .. } => false,
        }
    }

    /// Whether nothing moves here until a person acts who has not decided anything yet.
    pub(crate) fn waits_for_person(&self) -> bool {
        match self {
            Self::Degraded { until, .. } => until.is_none(),
            Self::Gated { finding, .. } => finding.gate == GateName::Approvals,
            Self::Together { why, .. } => why.reason().is_some_and(Self::waits_for_person),
            Self::TagMoved { .. }
            | Self::PushesUntold { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::Proposed { .. }
            | Self::ForeignCommits { .. }
            | Self::PinRefused { .. }
            | Self::HoldsUnknown { .. } => true,
            Self::Newest
            | Self::NoChoice(_)
            | Self::RegistryUnknown { .. }
            | Self::NotListedYet { .. }
            | Self::ListingOld { .. }
            | Self::ListingShrank { .. }
            | Self::FactsPending
            | Self::FactUnknown { .. }
            | Self::NotRun { .. }
            | Self::PushesUnknown { .. }
            | Self::SourceUnknown { .. }
            | Self::SourceBehind { .. }
            | Self::PushPending { .. }
            | Self::ManifestsUnknown { .. }
            | Self::Undone { .. }
            | Self::Pinned { .. }
            | Self::ForgeUnknown { .. }
            | Self::Merged { .. }
            | Self::Stopped { .. }
            | Self::Rejected { .. }
            | Self::AtPin { .. } => false,
        }
    }

    /// Whether nothing is left to promote, as far as all facts are known.
    pub(crate) fn settles(&self) -> bool {
        match self {
            Self::Newest
            | Self::Degraded { .. }
            | Self::Undone { .. }
            | Self::Rejected { .. }
            | Self::NotRun { .. }
            | Self::AtPin { .. }
            | Self::Merged { .. } => true,
            Self::Gated { finding, .. } => finding.verdict == Verdict::Failed,
            Self::Together { why, .. } => why.settles(),
            Self::NoChoice(_)
            | Self::TagMoved { .. }
            | Self::NotListedYet { .. }
            | Self::FactsPending
            | Self::SourceBehind { .. }
            | Self::RegistryUnknown { .. }
            | Self::ListingOld { .. }
            | Self::ListingShrank { .. }
            | Self::FactUnknown { .. }
            | Self::PushesUnknown { .. }
            | Self::PushesUntold { .. }
            | Self::SourceUnknown { .. }
            | Self::PushPending { .. }
            | Self::ManifestsUnknown { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::Pinned { .. }
            | Self::Proposed { .. }
            | Self::ForgeUnknown { .. }
            | Self::ForeignCommits { .. }
            | Self::Stopped { .. }
            | Self::PinRefused { .. }
            | Self::HoldsUnknown { .. } => false,
        }
    }

    /// Whether too little is known to tell what should stand there, which another reading may end.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::RegistryUnknown { .. }
            | Self::NotListedYet { .. }
            | Self::ListingOld { .. }
            | Self::ListingShrank { .. }
            | Self::FactsPending
            | Self::FactUnknown { .. }
            | Self::PushesUnknown { .. }
            | Self::PushPending { .. }
            | Self::SourceUnknown { .. }
            | Self::SourceBehind { .. }
            | Self::ManifestsUnknown { .. }
            | Self::HoldsUnknown { .. }
            | Self::ForgeUnknown { .. } => true,
            Self::Gated { finding, .. } => finding.verdict == Verdict::Unknown,
            Self::Together { why, .. } => why.reason().is_some_and(Self::is_unknown),
            Self::Newest
            | Self::Degraded { .. }
            | Self::NoChoice(_)
            | Self::NotRun { .. }
            | Self::TagMoved { .. }
            | Self::PushesUntold { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::Undone { .. }
            | Self::Pinned { .. }
            | Self::Proposed { .. }
            | Self::ForeignCommits { .. }
            | Self::Merged { .. }
            | Self::Stopped { .. }
            | Self::Rejected { .. }
            | Self::AtPin { .. }
            | Self::PinRefused { .. } => false,
        }
    }

    /// Whether something is broken that a person or time has to mend, rather than decided.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::RegistryUnknown { .. }
            | Self::NotListedYet { .. }
            | Self::ListingOld { .. }
            | Self::FactsPending
            | Self::FactUnknown { .. }
            | Self::PushesUnknown { .. }
            | Self::PushesUntold { .. }
            | Self::SourceUnknown { .. }
            | Self::SourceBehind { .. }
            | Self::ManifestsUnknown { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::PinRefused { .. }
            | Self::HoldsUnknown { .. }
            | Self::ForgeUnknown { .. } => true,
            Self::Gated { finding, .. } => match finding.verdict {
                Verdict::Failed | Verdict::Unknown => true,
                Verdict::Passed | Verdict::Waits => false,
            },
            Self::Together { why, .. } => why.reason().is_some_and(Self::is_fault),
            Self::Newest
            | Self::Degraded { .. }
            | Self::NotRun { .. }
            | Self::TagMoved { .. }
            | Self::NoChoice(_)
            | Self::PushPending { .. }
            | Self::ListingShrank { .. }
            | Self::Undone { .. }
            | Self::Pinned { .. }
            | Self::Stopped { .. }
            | Self::Rejected { .. }
            | Self::AtPin { .. }
            | Self::Proposed { .. }
            | Self::ForeignCommits { .. }
            | Self::Merged { .. } => false,
        }
    }

    /// Whether a server said otherwise than expected, or nothing, which its next answer may change.
    pub(crate) fn is_unproven(&self) -> bool {
        let is_of_checks = |finding: &Finding| finding.gate == GateName::Checks;
        matches!(self, Self::Gated { finding, .. } if is_of_checks(finding))
            || matches!(self, Self::Together { why, .. } if why.finding().is_some_and(is_of_checks))
    }

    /// When time alone could end it, if that is known.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        match self {
            Self::ListingShrank { until, .. } => Some(*until),
            Self::Stopped { ruling }
            | Self::Rejected { ruling, .. }
            | Self::AtPin { ruling, .. }
            | Self::PinRefused { ruling, .. } => ruling.until,
            Self::Gated { finding, .. } => finding.next,
            Self::Degraded { until, .. } => *until,
            Self::Together { why, .. } => why.until(),
            Self::Newest
            | Self::NoChoice(_)
            | Self::NotRun { .. }
            | Self::TagMoved { .. }
            | Self::RegistryUnknown { .. }
            | Self::NotListedYet { .. }
            | Self::ListingOld { .. }
            | Self::FactsPending
            | Self::FactUnknown { .. }
            | Self::PushesUnknown { .. }
            | Self::PushesUntold { .. }
            | Self::SourceUnknown { .. }
            | Self::SourceBehind { .. }
            | Self::PushPending { .. }
            | Self::ManifestsUnknown { .. }
            | Self::BranchMissing { .. }
            | Self::SiteRefused { .. }
            | Self::Undone { .. }
            | Self::Pinned { .. }
            | Self::HoldsUnknown { .. }
            | Self::Proposed { .. }
            | Self::ForgeUnknown { .. }
            | Self::ForeignCommits { .. }
            | Self::Merged { .. } => None,
        }
    }

    /// A short, stable name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Degraded { .. } => "degraded",
            Self::NoChoice(why) => selection_kind(why),
            Self::RegistryUnknown { .. } => "registry-unknown",
            Self::NotListedYet { .. } => "not-listed-yet",
            Self::ListingOld { .. } => "listing-old",
            Self::ListingShrank { .. } => "listing-shrank",
            Self::FactsPending => "facts-pending",
            Self::FactUnknown { .. } => "fact-unknown",
            Self::NotRun { .. } => "not-run",
            Self::Gated { finding, .. } if finding.verdict == Verdict::Unknown => "gate-unknown",
            Self::Gated { finding, .. } => finding.gate.as_str(),
            Self::TagMoved { .. } => "tag-moved",
            Self::PushesUnknown { .. } => "pushes-unknown",
            Self::PushesUntold { .. } => "pushes-untold",
            Self::SourceUnknown { .. } => "source-unknown",
            Self::SourceBehind { .. } => "source-behind",
            Self::PushPending { .. } => "push-pending",
            Self::ManifestsUnknown { .. } => "manifests-unknown",
            Self::BranchMissing { .. } => "branch-missing",
            Self::SiteRefused { .. } => "site-refused",
            Self::Undone { .. } => "undone",
            Self::Pinned { .. } => "pinned",
            Self::Proposed { .. } => "proposed",
            Self::ForgeUnknown { .. } => "forge-unknown",
            Self::ForeignCommits { .. } => "foreign-commits",
            Self::Merged { .. } => "merged",
            Self::Stopped { .. } => "stopped",
            Self::Rejected { .. } => "rejected",
            Self::AtPin { .. } => "at-pin",
            Self::PinRefused { .. } => "pin-refused",
            Self::HoldsUnknown { .. } => "holds-unknown",
            Self::Together { .. } => "together",
        }
    }
}

fn selection_kind(hold: &SelectionHold) -> &'static str {
    match hold {
        SelectionHold::NoCandidate { .. } => "no-candidate",
        SelectionHold::Tie { .. } => "tie",
        SelectionHold::Unknown { .. } => "order-unknown",
        SelectionHold::Strayed { .. } => "current-strayed",
        SelectionHold::Below { .. } => "below-current",
        SelectionHold::Vanished { .. } => "current-vanished",
    }
}

impl fmt::Display for HoldReason {
    #[expect(clippy::too_many_lines, reason = "one sentence for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("it is the newest"),
            Self::Degraded { why, until } => {
                write!(f, "it is the newest, and {why}")?;
                match until {
                    Some(until) => write!(f, "; the version before comes back at {until}"),
                    None => Ok(()),
                }
            }
            Self::NoChoice(why) => why.fmt(f),
            Self::RegistryUnknown { repository, why } => {
                write!(f, "the tags of `{repository}` are unknown: {why}")
            }
            Self::NotListedYet { repository } => {
                write!(f, "the tags of `{repository}` have not been listed yet")
            }
            Self::ListingOld { at } => {
                write!(
                    f,
                    "the latest listing of tags is too old to decide from: it was read at {at}"
                )
            }
            Self::ListingShrank { from, to, until } => write!(
                f,
                "the listing shrank from {from} to {to} tags at once; it is believed from {until} on if it stays so"
            ),
            Self::FactsPending => f.write_str("facts of the candidates are being read"),
            Self::FactUnknown { tag, why } => write!(f, "facts of `{tag}` are unknown: {why}"),
            Self::NotRun { tag, environment } => write!(
                f,
                "`{tag}` has not run in `{environment}`, from where it would come, or was taken back or rejected there"
            ),
            Self::Gated { tag, finding } => gated(tag, finding, f),
            Self::TagMoved { tag, ran, now } => write!(
                f,
                "`{tag}` ran before as {} and points to {} now, which is another build; promote it there first, or write `digest` or `tag@digest` here",
                ran.short(),
                now.short()
            ),
            Self::PushesUnknown { repository, why } => {
                write!(f, "the push times of `{repository}` are unknown: {why}")
            }
            Self::PushesUntold { repository } => write!(
                f,
                "`{}` does not tell when tags were pushed; write `newest-by: created` or another order, or its `kind` in the settings if it is a Harbor, Quay or GitLab of your own",
                repository.registry()
            ),
            Self::SourceUnknown { source, why } => {
                write!(f, "the history of {source} is unknown: {why}")
            }
            Self::SourceBehind { tag, source } => write!(
                f,
                "`{tag}` names no commit of {source} as it was fetched before the tag was seen; it is fetched again"
            ),
            Self::PushPending { tag } => write!(
                f,
                "the registry does not tell yet when `{tag}` was pushed; it is asked again with the next listing"
            ),
            Self::ManifestsUnknown { why } => {
                write!(f, "the manifests repository is unknown: {why}")
            }
            Self::BranchMissing { branch } => {
                write!(
                    f,
                    "`{}` has no branch `{}`; create it with a first commit",
                    branch.repository, branch.branch
                )
            }
            Self::SiteRefused { why } => f.write_str(why),
            Self::Undone { recorded } => undone(recorded, f),
            Self::Pinned { value } => write!(
                f,
                "a person wrote `{value}` over a promotion and the rule cannot order it; `towpath resume` or a version that it can order ends this"
            ),
            Self::Proposed {
                branch,
                request: None,
            } => write!(f, "branch `{branch}` proposes it; it waits to be merged"),
            Self::Proposed {
                branch: _,
                request: Some((number, url)),
            } => write!(
                f,
                "pull request #{number} proposes it and waits for people: {url}"
            ),
            Self::ForgeUnknown { why } => write!(f, "the pull requests are unknown: {why}"),
            Self::ForeignCommits {
                branch,
                commit,
                by,
                ours: Some(ours),
            } => write!(
                f,
                "branch `{branch}` has a promotion that was committed as {by} ({}), and towpath commits as {ours} by its settings; merge its pull request to keep it; delete the branch to have it made anew",
                commit.short()
            ),
            Self::ForeignCommits {
                branch,
                commit,
                by,
                ours: None,
            } => write!(
                f,
                "branch `{branch}` has a commit that towpath did not make ({}, by {by}); merge its pull request to keep it; take the commit off the branch to give it back",
                commit.short()
            ),
            Self::Merged { number } => write!(
                f,
                "pull request #{number} brought it, and it does not stand on the branch: the next fetch shows it, or somebody undid it; a newer version or `towpath resume` ends this"
            ),
            Self::Stopped { ruling } => write!(f, "stopped{ruling}"),
            Self::Rejected { version, ruling } => write!(
                f,
                "`{}` is rejected{ruling}; a newer version or `towpath resume` ends this",
                version.short()
            ),
            Self::AtPin { version, ruling } => {
                write!(f, "`{}` is pinned{ruling}", version.short())
            }
            Self::PinRefused {
                version,
                why,
                ruling,
            } => write!(f, "`{}` is pinned{ruling}, and {why}", version.short()),
            Self::HoldsUnknown { why } => {
                write!(f, "what people decided is unknown, so nothing moves: {why}")
            }
            Self::Together { tag, image, why } => {
                write!(f, "`{tag}` waits for `{image}`")?;
                why.fmt(f)
            }
        }
    }
}

fn gated(tag: &Tag, finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Finding {
        gate, verdict, why, ..
    } = finding;
    match verdict {
        Verdict::Passed | Verdict::Waits => write!(f, "`{tag}` waits for `{gate}`: {why}"),
        Verdict::Failed => write!(f, "`{tag}` does not pass `{gate}`: {why}"),
        Verdict::Unknown => write!(f, "whether `{tag}` passes `{gate}` is unknown: {why}"),
    }
}

fn undone(recorded: &Recorded, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (tag, commit) = (&recorded.moved.tag, recorded.commit.short());
    write!(f, "a person undid the promotion to `{tag}` ({commit}")?;
    if let Some(number) = recorded.pull_request {
        write!(f, ", #{number}")?;
    }
    f.write_str("); a newer version or `towpath resume` ends this")
}
