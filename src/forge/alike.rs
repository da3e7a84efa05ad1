//! What GitHub and Gitea say alike: their shapes made nouns; and what several products cannot do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value as Json, json};

use super::error::ForgeError;
use super::http::{Ask, Line};
use super::{Approval, PullRequest, State, Update, Verdict, Wishes, wire};

/// Opens a pull request for the branch `head`; `taken` is how it is refused where an open one has that branch.
pub(super) async fn open(
    line: &Line,
    ask: &Ask,
    (head, taken): (&str, StatusCode),
) -> Result<wire::PullRequest, ForgeError> {
    let answer = line.send(ask).await?;
    if answer.status == taken && answer.words().contains("pull request already exists") {
        return Err(line.exists(head));
    }
    line.parse(ask, &line.judge(ask, answer)?)
}

/// The fields that `update` changes.
pub(super) fn change(update: Update) -> Json {
    let Update { title, body, close } = update;
    let mut change = json!({});
    if let Some(title) = title {
        change["title"] = json!(title);
    }
    if let Some(body) = body {
        change["body"] = json!(body);
    }
    if close {
        change["state"] = json!("closed");
    }
    change
}

/// Makes a noun of a pull request, whose branch is `head`.
pub(super) fn pull_request(
    line: &Line,
    ask: &Ask,
    told: wire::PullRequest,
    head: String,
) -> Result<PullRequest, ForgeError> {
    let time = |text: &str| -> Result<Timestamp, ForgeError> {
        let time = text.parse();
        time.map_err(|_| line.malformed(ask, "a time that is none"))
    };
    let updated = time(&told.updated_at)?;
    let state = match (&told.merged_at, &*told.state) {
        (Some(at), _) => State::Merged {
            commit: told.merge_commit_sha.and_then(|sha| sha.parse().ok()),
            at: time(at)?,
            by: told.merged_by.map(|user| user.login),
        },
        (None, "open") => State::Open,
        (None, "closed") => State::Closed {
            at: told.closed_at.as_deref().map_or(Ok(updated), time)?,
            by: None,
        },
        (None, _) => return Err(line.malformed(ask, "a state that is neither open nor closed")),
    };
    Ok(PullRequest {
        number: told.number,
        url: told.html_url,
        head,
        head_commit: told.head.sha.parse().ok(),
        base: told.base.name,
        title: told.title,
        body: told.body.unwrap_or_default(),
        state,
        is_draft: told.draft,
        updated,
    })
}

/// Whether the branch is in the repository itself: whoever has a fork may call branches there as they like.
pub(super) fn is_of_same_repository(told: &wire::PullRequest) -> bool {
    match (&told.head.repo, &told.base.repo) {
        (Some(head), Some(base)) => head.id == base.id,
        (None, _) | (_, None) => false,
    }
}

/// Whether the last of a page, of which the first changed last, changed at `since` or later.
pub(super) fn reaches_to(page: &[wire::PullRequest], since: Timestamp) -> bool {
    let last = page.last().and_then(|last| last.updated_at.parse().ok());
    last.is_some_and(|updated: Timestamp| updated >= since)
}

/// What moved from one page to the next while they were read stands in both: the first is the later.
pub(super) fn once_each(all: Vec<PullRequest>) -> Vec<PullRequest> {
    let mut seen = BTreeSet::new();
    let is_first = |one: &PullRequest| seen.insert(one.number);
    all.into_iter().filter(is_first).collect()
}

/// Whose last word is an approval that stands. A comment takes none back.
pub(super) fn approvals(reviews: Vec<wire::Review>) -> Vec<Approval> {
    let mut words: BTreeMap<String, Option<Approval>> = BTreeMap::new();
    for review in reviews {
        let Some(user) = review.user else {
            continue;
        };
        let is_approved = match &*review.state {
            "APPROVED" => !review.dismissed,
            "CHANGES_REQUESTED" | "REQUEST_CHANGES" | "DISMISSED" => false,
            _ => continue,
        };
        let approval = is_approved.then(|| Approval {
            by: user.login.clone(),
            at: review.submitted_at.and_then(|at| at.parse().ok()),
            commit: review.commit_id.and_then(|sha| sha.parse().ok()),
        });
        words.insert(user.login, approval);
    }
    words.into_values().flatten().collect()
}

/// How both call a verdict.
pub(super) fn status_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "success",
        Verdict::Waits => "pending",
        Verdict::Failed => "failure",
    }
}

/// The first `most` characters, of which the last says that there were more.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// Users, and teams of an organisation without its name: `acme/reviewers`.
pub(super) fn people_and_teams(reviewers: &BTreeSet<String>) -> (Vec<&str>, Vec<&str>) {
    let (teams, people): (Vec<&str>, Vec<&str>) = reviewers
        .iter()
        .map(String::as_str)
        .partition(|name| name.contains('/'));
    let team = |name: &'_ str| -> usize { name.find('/').map_or(0, |slash| slash + 1) };
    let teams = teams.into_iter().map(|name| &name[team(name)..]).collect();
    (people, teams)
}

/// What is wished beside reviewers, where a product has nothing of it.
pub(super) fn unsupported(line: &Line, wishes: &Wishes) -> Vec<ForgeError> {
    let Wishes {
        labels,
        reviewers: _,
        assignees,
        milestone,
    } = wishes;
    let wished = [
        (!labels.is_empty(), "label pull requests"),
        (!assignees.is_empty(), "assign pull requests"),
        (milestone.is_some(), "put pull requests into milestones"),
    ];
    let wished = wished.into_iter().filter(|(is_wished, _)| *is_wished);
    wished.map(|(_, what)| line.unsupported(what)).collect()
}

/// Names for a message: `ada`, `bob`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{approvals, cut, wire};

    fn review(login: &str, state: &str, dismissed: bool) -> wire::Review {
        wire::Review {
            user: Some(wire::User {
                login: login.to_owned(),
            }),
            state: state.to_owned(),
            dismissed,
            commit_id: None,
            submitted_at: None,
        }
    }

    #[test]
    fn the_last_word_of_each_person_counts() {
        let reviews = vec![
            review("ada", "APPROVED", false),
            review("ada", "COMMENTED", false),
            review("bob", "APPROVED", false),
            review("bob", "CHANGES_REQUESTED", false),
            review("cyd", "REQUEST_CHANGES", false),
            review("cyd", "APPROVED", false),
            review("dan", "APPROVED", true),
            review("eve", "DISMISSED", false),
            wire::Review {
                user: None,
                ..review("", "APPROVED", false)
            },
        ];
        let by: Vec<_> = approvals(reviews).into_iter().map(|one| one.by).collect();
        assert_eq!(by, ["ada", "cyd"]);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
