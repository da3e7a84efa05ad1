//! Manifests repositories, sources and their forges: whether they can be read and pushed to, as far as that is told before a push.

use futures_util::future::join_all;

use super::clocks::Told;
use super::finding::{Finding, Group, State, Subject};
use super::{Bounds, SILENT, Seen, told};
use crate::apply::MadeBy;
use crate::cli::edges::{forge, remote};
use crate::cli::run::Setup;
use crate::config::RepositorySettings;
use crate::daemon;
use crate::forge::{Forge, Kind, Rights, Traffic};
use crate::git::{Asked, Head, Reach, RemoteUrl, reach};
use crate::login::Source;
use crate::policy::RepositoryName;

pub(super) async fn look(setup: &Setup, bounds: &Bounds) -> Seen {
    let wants = setup.wants();
    let promotes = |name: &RepositoryName| {
        let of_fleet = setup.fleets.iter().map(|fleet| &fleet.sample.repository);
        wants.branches.contains_key(name) || of_fleet.into_iter().any(|fleet| fleet == name)
    };
    let all = setup.settings.repositories.iter().map(|(name, settings)| {
        let asked = match promotes(name) {
            true => Asked::ReadAndPush,
            false => Asked::Read,
        };
        let needs_forge =
            wants.proposals.contains_key(name) || setup.signature.made_by == MadeBy::Forge;
        let needs = match needs_forge && promotes(name) {
            true => Needs::Forge,
            false => Needs::Git,
        };
        let about = (name, settings);
        async move {
            let git = of_git(about, asked, bounds).await;
            let forge = of_forge(about, needs, bounds).await;
            (git, forge)
        }
    });
    let mut seen = Seen::default();
    for (git, forge) in join_all(all).await {
        for one in [git, forge] {
            seen.findings.extend(one.findings);
            seen.clocks.extend(one.clocks);
        }
    }
    seen
}

/// What the policies of a repository cannot do without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Git,
    Forge,
}

/// A repository and what the settings say of it.
type About<'a> = (&'a RepositoryName, &'a RepositorySettings);

async fn of_git((name, settings): About<'_>, asked: Asked, bounds: &Bounds) -> Seen {
    let subject = Subject::new(Group::Repositories, name);
    let remote = remote(name, settings);
    let url = remote.url.to_string();
    let host = match &remote.url {
        RemoteUrl::Http(url) => url.host_str().map(str::to_owned),
        RemoteUrl::Ssh(_) | RemoteUrl::Local(_) => None,
    };
    let branch = &settings.branch;
    let (why, reach) = match bounds.ask(reach(remote, branch.clone(), asked)).await {
        Some(Ok(reach)) => (String::new(), Some(reach)),
        Some(Err(error)) => (told(&error), None),
        None => (SILENT.to_owned(), None),
    };
    let Some(reach) = reach else {
        return Seen {
            findings: vec![subject.error(format!("`{url}`: {why}"), None)],
            clocks: Vec::new(),
        };
    };
    let clock = host.zip(reach.clock);
    let clocks = clock.map(|(host, theirs)| Told {
        host,
        theirs,
        ours: daemon::now(),
    });
    Seen {
        findings: reached((&subject, &url, branch), asked, reach),
        clocks: clocks.into_iter().collect(),
    }
}

/// What follows of what a git server tells.
fn reached(
    (subject, url, branch): (&Subject, &str, &str),
    asked: Asked,
    reach: Reach,
) -> Vec<Finding> {
    let Reach {
        head,
        push,
        clock: _,
    } = reach;
    let is_read = head.is_ok();
    let mut findings = vec![match head {
        Ok(Head::At(commit)) => {
            let commit = commit.short();
            subject.ok(format!("`{url}` is read; `{branch}` is at {commit}"))
        }
        Ok(Head::NoBranch) => subject.error(
            format!("`{url}` has no branch `{branch}`"),
            Some("check `branch` of the repository in the settings".to_owned()),
        ),
        Ok(Head::EmptyRepository) => subject.error(
            format!("`{url}` is empty"),
            Some("push a first commit".to_owned()),
        ),
        Err(error) => {
            let hint = error.hint().map(str::to_owned);
            subject.error(format!("`{url}`: {}", told(&error)), hint)
        }
    }];
    findings.extend(match (asked, push) {
        (Asked::Read, _) => None,
        (Asked::ReadAndPush, None) if !is_read => None,
        (Asked::ReadAndPush, None) => Some(subject.unknown("whether we may push is not told by a path")),
        (Asked::ReadAndPush, Some(Ok(()))) => Some(subject.ok(
            "we may push, as far as the server tells before a push; it does not tell of protected branches",
        )),
        (Asked::ReadAndPush, Some(Err(error))) => {
            let hint = error.hint().map(str::to_owned);
            let message = format!("we may not push: {}", told(&error));
            Some(subject.error(message, hint))
        }
    });
    findings
}

async fn of_forge((name, settings): About<'_>, needs: Needs, bounds: &Bounds) -> Seen {
    let Some(options) = forge(settings) else {
        return Seen::default();
    };
    let place = options.place.clone();
    let host = place.api.host_str().unwrap_or_default().to_owned();
    let subject = Subject::new(Group::Forges, name);
    let is_app = matches!(options.credentials, Some(Source::GithubApp(_)));
    let failed = |message: String, hint: Option<String>| {
        let state = match needs {
            Needs::Forge => State::Error,
            // No policy needs it: promotions are commits that git pushes.
            Needs::Git => State::Unknown,
        };
        Seen {
            findings: vec![subject.found(state, format!("`{host}`: {message}"), hint)],
            clocks: Vec::new(),
        }
    };
    let forge = match Forge::new(options, &Traffic::default()) {
        Ok(forge) => forge,
        Err(error) => return failed(told(&error), error.hint().map(str::to_owned)),
    };
    match bounds.ask(Box::pin(forge.rights(&settings.branch))).await {
        None => failed(SILENT.to_owned(), None),
        Some(Err(error)) => failed(told(&error), error.hint().map(str::to_owned)),
        Some(Ok(rights)) => {
            let clock = rights.clock.map(|theirs| Told {
                host: host.clone(),
                theirs,
                ours: daemon::now(),
            });
            let rights = Rights {
                // What GitHub tells of the account of an App says nothing of the App.
                may_push: rights.may_push.filter(|_| !is_app),
                ..rights
            };
            let findings = said((&subject, place.kind), &settings.branch, needs, rights);
            Seen {
                findings,
                clocks: clock.into_iter().collect(),
            }
        }
    }
}

/// What follows of what a forge tells.
fn said(
    (subject, kind): (&Subject, Kind),
    branch: &str,
    needs: Needs,
    rights: Rights,
) -> Vec<Finding> {
    let Rights {
        may_push,
        is_archived,
        is_protected,
        may_push_branch,
        scopes,
        expires,
        version,
        remaining,
        clock: _,
    } = rights;
    let parts = [
        version.map(|version| format!("version {version}")),
        scopes
            .filter(|scopes| !scopes.is_empty())
            .map(|scopes| format!("the token is for {scopes}")),
        expires.map(|expires| format!("the token ends {expires}")),
        remaining.map(|left| format!("{left} requests left")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let answers = format!("the API of {} answers", kind.name());
    let message = [vec![answers], parts].concat().join("; ");
    let mut findings = vec![subject.ok(message)];
    if is_archived == Some(true) {
        let hint = Some("unarchive it, or take it out of the policies".to_owned());
        findings.push(subject.error("the repository is archived: nobody may push", hint));
    }
    findings.push(match may_push {
        Some(true) => subject.ok("the account may push; its token may be allowed less"),
        Some(false) => subject.error(
            "the account may not push to the repository",
            Some("give it the role that writes".to_owned()),
        ),
        None => subject.unknown("whether we may push is not told by its API"),
    });
    findings.push(match (is_protected, may_push_branch, needs) {
        (None, _, _) => subject.unknown(format!("whether `{branch}` is protected is not told")),
        (Some(false), _, _) => subject.ok(format!("`{branch}` is not protected")),
        (Some(true), Some(true), _) => {
            subject.ok(format!("`{branch}` is protected, and we may push to it"))
        }
        (Some(true), _, Needs::Forge) => subject.ok(format!(
            "`{branch}` is protected, which pull requests are for"
        )),
        (Some(true), Some(false) | None, Needs::Git) => subject.warning(
            format!("`{branch}` is protected, and policies deliver commits to it"),
            "deliver by pull request, or let towpath's user push to it",
        ),
    });
    findings
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::finding::{Group, Subject, as_text};
    use super::{Kind, Needs, Rights, said};

    #[test]
    fn what_a_forge_tells_becomes_words_and_what_it_does_not_tell_stays_unknown() {
        let subject = Subject::new(Group::Forges, "deploy");
        let told = |needs, rights| as_text(&said((&subject, Kind::Gitea), "main", needs, rights));
        assert_snapshot!(told(Needs::Git, Rights::default()), @"
        FORGES
          ok       deploy  the API of gitea answers
          unknown  deploy  whether we may push is not told by its API
          unknown  deploy  whether `main` is protected is not told

        0 errors, 0 warnings, 2 unknown, 1 ok
        ");
        let rights = Rights {
            may_push: Some(true),
            is_archived: Some(false),
            is_protected: Some(true),
            may_push_branch: Some(false),
            scopes: Some("repo, workflow".to_owned()),
            expires: Some("2026-12-01".to_owned()),
            version: Some("1.26.0".to_owned()),
            remaining: Some(4990),
            clock: None,
        };
        assert_snapshot!(told(Needs::Git, rights.clone()), @"
        FORGES
          ok       deploy  the API of gitea answers; version 1.26.0; the token is for repo, workflow; the token ends 2026-12-01; 4990 requests left
          ok       deploy  the account may push; its token may be allowed less
          warning  deploy  `main` is protected, and policies deliver commits to it
                           hint: deliver by pull request, or let towpath's user push to it

        0 errors, 1 warning, 0 unknown, 2 ok
        ");
        assert_snapshot!(told(Needs::Forge, rights.clone()), @"
        FORGES
          ok  deploy  the API of gitea answers; version 1.26.0; the token is for repo, workflow; the token ends 2026-12-01; 4990 requests left
          ok  deploy  the account may push; its token may be allowed less
          ok  deploy  `main` is protected, which pull requests are for

        0 errors, 0 warnings, 0 unknown, 3 ok
        ");
        let rights = Rights {
            may_push: Some(false),
            is_archived: Some(true),
            may_push_branch: Some(true),
            ..rights
        };
        assert_snapshot!(told(Needs::Git, rights), @"
        FORGES
          ok     deploy  the API of gitea answers; version 1.26.0; the token is for repo, workflow; the token ends 2026-12-01; 4990 requests left
          error  deploy  the repository is archived: nobody may push
                         hint: unarchive it, or take it out of the policies
          error  deploy  the account may not push to the repository
                         hint: give it the role that writes
          ok     deploy  `main` is protected, and we may push to it

        2 errors, 0 warnings, 0 unknown, 2 ok
        ");
    }
}
