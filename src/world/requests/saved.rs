//! How proposals and pull requests stand in a world file.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Proposal, PullRequest, PullRequests, RequestState};
use crate::policy::RepositoryName;
use crate::world::saved::{LoadWorldError, SavedFile, load_file, parse, save_file};
use crate::world::{BranchName, Fact};

/// The branch of a proposal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedProposal {
    repository: String,
    branch: String,
    #[serde(flatten)]
    stands: SavedTip,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedTip {
    Unknown(String),
    Tip {
        commit: String,
        parents: Vec<String>,
        committer: String,
        message: String,
        files: BTreeMap<String, SavedFile>,
    },
}

/// The pull requests of a repository.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::world) enum SavedRequests {
    Unknown(String),
    /// By branch.
    Known(BTreeMap<String, Vec<SavedRequest>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::world) struct SavedRequest {
    number: u64,
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    base: String,
    title: String,
    body: String,
    state: SavedState,
    /// When it was merged or closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Missing until a gate needs it.
    #[serde(
        rename = "approved-by",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    approved_by: Option<Vec<String>>,
    #[serde(
        rename = "approvals-unknown",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    approvals_unknown: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedState {
    Open,
    Merged,
    Closed,
}

pub(in crate::world) fn save_proposal(
    name: &BranchName,
    fact: &Fact<Arc<Proposal>>,
) -> SavedProposal {
    let stands = match fact {
        Fact::Unknown { why } => SavedTip::Unknown(why.clone()),
        Fact::Known(proposal) => {
            let Proposal {
                tip,
                parents,
                committer,
                message,
                files,
            } = proposal.as_ref();
            let files = files.iter();
            SavedTip::Tip {
                commit: tip.to_string(),
                parents: parents.iter().map(ToString::to_string).collect(),
                committer: committer.clone(),
                message: message.clone(),
                files: files
                    .map(|(path, file)| (path.to_string(), save_file(file)))
                    .collect(),
            }
        }
    };
    SavedProposal {
        repository: name.repository.to_string(),
        branch: name.branch.clone(),
        stands,
    }
}

pub(in crate::world) fn load_proposal(
    saved: SavedProposal,
) -> Result<(BranchName, Fact<Arc<Proposal>>), LoadWorldError> {
    let name = BranchName {
        repository: parse(&saved.repository, "a repository's name")?,
        branch: saved.branch,
    };
    let fact = match saved.stands {
        SavedTip::Unknown(why) => Fact::Unknown { why },
        SavedTip::Tip {
            commit,
            parents,
            committer,
            message,
            files,
        } => {
            let parents = parents.iter().map(|parent| parse(parent, "a commit"));
            let files = files
                .into_iter()
                .map(|(path, file)| Ok((parse(&path, "a path")?, load_file(file))));
            Fact::Known(Arc::new(Proposal {
                tip: parse(&commit, "a commit")?,
                parents: parents.collect::<Result<_, _>>()?,
                committer,
                message,
                files: files.collect::<Result<_, LoadWorldError>>()?,
            }))
        }
    };
    Ok((name, fact))
}

pub(in crate::world) fn save_requests(fact: &Fact<Arc<PullRequests>>) -> SavedRequests {
    match fact {
        Fact::Unknown { why } => SavedRequests::Unknown(why.clone()),
        Fact::Known(requests) => {
            let requests = requests.iter();
            let saved = requests.map(|(branch, of_branch)| {
                (branch.clone(), of_branch.iter().map(save_request).collect())
            });
            SavedRequests::Known(saved.collect())
        }
    }
}

fn save_request(request: &PullRequest) -> SavedRequest {
    let PullRequest {
        number,
        url,
        head,
        base,
        title,
        body,
        state,
        approvals,
    } = request.clone();
    let (state, ended) = match state {
        RequestState::Open => (SavedState::Open, None),
        RequestState::Merged { at, by } => (SavedState::Merged, Some((at, by))),
        RequestState::Closed { at, by } => (SavedState::Closed, Some((at, by))),
    };
    let (approved_by, approvals_unknown) = match approvals {
        None => (None, None),
        Some(Fact::Known(by)) => (Some(by.into_iter().collect()), None),
        Some(Fact::Unknown { why }) => (None, Some(why)),
    };
    let (at, by) = ended.map_or((None, None), |(at, by)| (Some(at.to_string()), by));
    SavedRequest {
        number,
        url,
        head: head.map(|head| head.to_string()),
        base,
        title,
        body,
        state,
        at,
        by,
        approved_by,
        approvals_unknown,
    }
}

pub(in crate::world) fn load_requests(
    (repository, saved): (String, SavedRequests),
) -> Result<(RepositoryName, Fact<Arc<PullRequests>>), LoadWorldError> {
    let name = parse(&repository, "a repository's name")?;
    let fact = match saved {
        SavedRequests::Unknown(why) => Fact::Unknown { why },
        SavedRequests::Known(saved) => {
            let mut requests = PullRequests::new();
            for (branch, saved) in saved {
                let of_branch = saved.into_iter().map(load_request);
                requests.insert(branch, of_branch.collect::<Result<_, _>>()?);
            }
            Fact::Known(Arc::new(requests))
        }
    };
    Ok((name, fact))
}

fn load_request(saved: SavedRequest) -> Result<PullRequest, LoadWorldError> {
    let at = |text: Option<String>| -> Result<Timestamp, LoadWorldError> {
        parse(&text.unwrap_or_default(), "the time at which it ended")
    };
    let head = saved.head.map(|head| parse(&head, "a commit"));
    let state = match saved.state {
        SavedState::Open => RequestState::Open,
        SavedState::Merged => RequestState::Merged {
            at: at(saved.at)?,
            by: saved.by,
        },
        SavedState::Closed => RequestState::Closed {
            at: at(saved.at)?,
            by: saved.by,
        },
    };
    Ok(PullRequest {
        number: saved.number,
        url: saved.url,
        head: head.transpose()?,
        base: saved.base,
        title: saved.title,
        body: saved.body,
        state,
        approvals: match (saved.approved_by, saved.approvals_unknown) {
            (_, Some(why)) => Some(Fact::Unknown { why }),
            (Some(by), None) => Some(Fact::Known(by.into_iter().collect())),
            (None, None) => None,
        },
    })
}
