//! Branches that are made, rebuilt and deleted, and what one commit changes: held against a path, plain HTTP, and TLS
//! with a password alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bed::{git, import, install_hook};

use super::changes::{Changed, ChangesError};
use super::contract::{Ground, Place, commit, done, head_of, path, push_of, told};
use super::fetch::Head;
use super::{Entry, MadeCommit, Maker, Mirror, NewCommit, Push, PushError, Pushed, push::Deleted};
use crate::manifest::CommitId;

const PROPOSAL: &str = "towpath/dev/web";

/// A push of one commit on `parent` to the branch of a proposal, which must stand at `expected`.
fn proposal(expected: Option<&CommitId>, parent: &CommitId, content: &str) -> Push {
    Push {
        branch: PROPOSAL.to_owned(),
        expected: expected.cloned(),
        ..push_of(parent, vec![proposed(content)])
    }
}

fn proposed(content: &str) -> NewCommit {
    commit("promote web", &[("web.yaml", content)])
}

async fn pushed(mirror: &Mirror, push: Push) -> CommitId {
    done(mirror.push(push).await.unwrap()).pop().unwrap()
}

/// Where the branch of the proposal stands at the server.
fn stands(place: &Place) -> String {
    let reference = format!("refs/heads/{PROPOSAL}");
    git(
        &place.bare,
        &["for-each-ref", "--format=%(objectname)", &reference],
    )
}

/// A commit that somebody else makes of the same files on `parent`.
fn theirs(place: &Place, parent: &CommitId) -> CommitId {
    let tree = format!("{parent}^{{tree}}");
    let arguments = ["commit-tree", "-m", "theirs", "-p", parent.as_str(), &tree];
    git(&place.bare, &arguments).parse().unwrap()
}

fn point(place: &Place, commit: &CommitId) {
    let reference = format!("refs/heads/{PROPOSAL}");
    git(&place.bare, &["update-ref", &reference, commit.as_str()]);
}

#[tokio::test]
async fn a_branch_is_made_only_where_there_is_none() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let main = head_of(&mirror).await;
        let made = pushed(&mirror, proposal(None, &main, "v: 1\n")).await;
        assert_eq!(stands(&place), made.as_str(), "{}", place.way);
        let moved = Pushed::Moved {
            head: Some(made.clone()),
        };
        let again = mirror.push(proposal(None, &main, "v: 2\n")).await;
        assert_eq!(again.unwrap(), moved, "{}", place.way);
        assert_eq!(stands(&place), made.as_str());
        assert_eq!(place.head(), main);
        git(&place.bare, &["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn a_branch_is_rebuilt_on_a_new_base_only_from_the_tip_that_was_expected() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let old = pushed(&mirror, proposal(None, &base, "v: 1\n")).await;
        let change = commit("other", &[("other.yaml", "x: 1\n")]);
        let base = pushed(&mirror, push_of(&base, vec![change])).await;

        let new = pushed(&mirror, proposal(Some(&old), &base, "v: 2\n")).await;
        assert_eq!(stands(&place), new.as_str(), "{}", place.way);
        let parent = git(&place.bare, &["rev-parse", &format!("{new}^")]);
        assert_eq!(parent, base.as_str());

        let late = mirror.push(proposal(Some(&old), &base, "v: 3\n")).await;
        let head = Some(new.clone());
        assert_eq!(late.unwrap(), Pushed::Moved { head }, "{}", place.way);
        git(
            &place.bare,
            &["update-ref", "-d", "refs/heads/towpath/dev/web"],
        );
        let gone = mirror.push(proposal(Some(&new), &base, "v: 3\n")).await;
        assert_eq!(gone.unwrap(), Pushed::Moved { head: None });
        git(&place.bare, &["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn a_commit_that_somebody_else_signed_is_pushed_as_it_is_and_one_without_a_signature_is_not()
{
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let executable = [path("bin/run")].into();
        let asked = [path("bin/run"), path("web.yaml"), path("not/there")].into();
        let found = mirror.executables(base.clone(), asked).await.unwrap();
        assert_eq!(found, executable, "{}", place.way);

        let ours = pushed(&mirror, proposal(None, &base, "v: 1\n")).await;
        let raw = mirror.raw(vec![ours.clone()]).await.unwrap().remove(0);
        let by = |raw: &str| {
            let mut push = proposal(Some(&ours), &base, "v: 1\n");
            let whole = MadeCommit::Whole(raw.as_bytes().to_vec());
            push.commits[0].maker = Maker::Them(whole);
            push
        };
        let unsigned = String::from_utf8(raw).unwrap();
        let refused = mirror.push(by(&unsigned)).await.unwrap_err();
        assert!(matches!(refused, PushError::Unsigned), "{refused}");
        assert_eq!(stands(&place), ours.as_str());

        let signed = unsigned.replacen("\n\n", "\ngpgsig one\n two\n\n", 1);
        let theirs = pushed(&mirror, by(&signed)).await;
        assert_eq!(stands(&place), theirs.as_str(), "{}", place.way);
        let stands = mirror.raw(vec![theirs]).await.unwrap();
        assert_eq!(stands, [signed.as_bytes()]);
        git(&place.bare, &["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn the_same_commit_again_is_pushed_already() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let first = pushed(&mirror, proposal(None, &base, "v: 1\n")).await;
        let again = pushed(&mirror, proposal(Some(&first), &base, "v: 1\n")).await;
        assert_eq!(again, first, "{}", place.way);
        assert_eq!(stands(&place), first.as_str());
    }
}

#[tokio::test]
async fn a_commit_without_files_has_the_tree_of_its_parent() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let empty = pushed(&mirror, push_of(&base, vec![commit("resume", &[])])).await;
        assert_eq!(place.head(), empty, "{}", place.way);
        assert_eq!(git(&place.bare, &["diff", base.as_str(), "main"]), "");
        let changed = mirror.changes(empty).await.unwrap();
        assert_eq!(changed.files, BTreeMap::new());
        git(&place.bare, &["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn a_branch_that_somebody_makes_or_moves_while_the_push_is_on_its_way_is_left_to_him() {
    let ground = Ground::new();
    for place in ground.seeded() {
        if place.way == "local" {
            continue; // Hooks do not run there.
        }
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let made = theirs(&place, &base);
        let moved = theirs(&place, &made);
        let hook = |commit: &CommitId| {
            let script =
                format!("unset GIT_QUARANTINE_PATH; git update-ref refs/heads/{PROPOSAL} {commit}");
            install_hook(&place.bare, "pre-receive", &script);
        };
        hook(&made);
        let push = mirror.push(proposal(None, &base, "v: 1\n")).await;
        let head = Some(made.clone());
        assert_eq!(push.unwrap(), Pushed::Moved { head }, "{}", place.way);
        hook(&moved);
        let push = mirror.push(proposal(Some(&made), &base, "v: 1\n")).await;
        let head = Some(moved.clone());
        assert_eq!(push.unwrap(), Pushed::Moved { head }, "{}", place.way);
        hook(&made);
        let delete = mirror.delete(PROPOSAL.to_owned(), moved).await;
        assert_eq!(delete.unwrap(), Deleted::Moved { head: made });
    }
}

#[tokio::test]
async fn a_branch_is_deleted_only_at_the_tip_that_was_expected() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let ours = pushed(&mirror, proposal(None, &base, "v: 1\n")).await;
        let theirs = theirs(&place, &ours);
        point(&place, &theirs);
        let delete = async |expected: &CommitId| {
            let deleted = mirror.delete(PROPOSAL.to_owned(), expected.clone()).await;
            deleted.unwrap()
        };
        let head = theirs.clone();
        assert_eq!(
            delete(&ours).await,
            Deleted::Moved { head },
            "{}",
            place.way
        );
        assert_eq!(stands(&place), theirs.as_str());
        assert_eq!(delete(&theirs).await, Deleted::Done, "{}", place.way);
        assert_eq!(stands(&place), "");
        assert_eq!(delete(&theirs).await, Deleted::Done, "it is gone");
        let prefixes = ["towpath/".to_owned()];
        assert_eq!(mirror.fetch(&[], &prefixes).await.unwrap(), BTreeMap::new());
        let again = pushed(&mirror, proposal(None, &base, "v: 2\n")).await;
        assert_eq!(stands(&place), again.as_str());
    }
}

#[tokio::test]
async fn a_deletion_that_the_server_refuses_is_told_in_its_words() {
    let ground = Ground::new();
    for place in ground.seeded() {
        if place.way == "local" {
            continue; // Hooks do not run there.
        }
        let mirror = place.open();
        let base = head_of(&mirror).await;
        let ours = pushed(&mirror, proposal(None, &base, "v: 1\n")).await;
        git(&place.bare, &["config", "receive.denyDeletes", "true"]);
        let refused = mirror.delete(PROPOSAL.to_owned(), ours.clone()).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, PushError::Rejected { .. }), "{error:?}");
        assert!(told(&error).contains("delet"), "{}", told(&error));
        assert_eq!(stands(&place), ours.as_str());
    }
}

#[tokio::test]
async fn all_branches_under_a_prefix_are_fetched_and_those_that_are_gone_go() {
    let ground = Ground::new();
    for place in ground.seeded() {
        let mirror = place.open();
        let main = head_of(&mirror).await;
        let set = |branch: &str| {
            let reference = format!("refs/heads/{branch}");
            git(&place.bare, &["update-ref", &reference, main.as_str()]);
        };
        let fetch = async || {
            let (branches, prefixes) = (["main".to_owned()], ["towpath/".to_owned()]);
            mirror.fetch(&branches, &prefixes).await.unwrap()
        };
        let at = |branches: &[&str]| -> BTreeMap<String, Head> {
            let named = branches.iter().map(|branch| (*branch).to_owned());
            named.map(|name| (name, Head::At(main.clone()))).collect()
        };
        for branch in ["towpath/dev", "towpath/prod/web", "towpaths", "feature"] {
            set(branch);
        }
        let expected = at(&["main", "towpath/dev", "towpath/prod/web"]);
        assert_eq!(fetch().await, expected, "{}", place.way);
        git(&place.bare, &["update-ref", "-d", "refs/heads/towpath/dev"]);
        git(
            &place.bare,
            &["update-ref", "-d", "refs/heads/towpath/prod/web"],
        );
        set("towpath/dev/web");
        set("towpath/prod");
        let expected = at(&["main", "towpath/dev/web", "towpath/prod"]);
        assert_eq!(fetch().await, expected, "{}", place.way);
        let kept = git(
            &ground.mirror_of(&place),
            &["for-each-ref", "--format=%(refname:short)"],
        );
        assert_eq!(kept, "main\ntowpath/dev/web\ntowpath/prod");

        let theirs = theirs(&place, &main);
        git(
            &place.bare,
            &["update-ref", "refs/heads/towpath/prod", theirs.as_str()],
        );
        assert_eq!(fetch().await["towpath/prod"], Head::At(theirs.clone()));
        let told = mirror.changes(theirs).await.unwrap();
        assert_eq!(
            (told.message.as_str(), told.parents),
            ("theirs\n", vec![main])
        );
        let error = mirror.fetch(&[], &["a..".to_owned()]).await.unwrap_err();
        assert!(error.to_string().contains("not a name that git allows"));
    }
}

#[tokio::test]
async fn what_a_commit_changes_is_told_as_it_stands_in_it() {
    let ground = Ground::new();
    let stream = "commit refs/heads/main
author Bob <bob@example.com> 1700000100 +0000
committer Ada <ada@example.com> 1700000200 +0000
data 6
change
from refs/heads/main^0
M 100644 inline new/file.yaml
data 5
a: 1

M 100755 inline bin/run
data 10
#!/bin/sh

D apps/link
M 120000 inline apps/web
data 6
nowher
M 160000 2f7a7a472abf3dd9643fd615f6da379c4acb3e3a vendored

";
    for place in ground.seeded() {
        let mirror = place.open();
        let before = head_of(&mirror).await;
        import(&place.bare, stream.as_bytes());
        let head = head_of(&mirror).await;
        let Changed {
            parents,
            author,
            committer,
            message,
            files,
        } = mirror.changes(head).await.unwrap();
        assert_eq!(parents, std::slice::from_ref(&before));
        assert_eq!(
            (author.name.as_str(), committer.name.as_str()),
            ("Bob", "Ada")
        );
        assert_eq!(message, "change");
        let expected = [
            ("apps/link", Entry::Missing),
            ("apps/web", Entry::Symlink),
            ("apps/web/overlays/dev/kustomization.yaml", Entry::Symlink),
            (
                "new/file.yaml",
                Entry::File {
                    bytes: b"a: 1\n".into(),
                },
            ),
            ("vendored", Entry::Submodule),
        ];
        let expected = expected.map(|(text, entry)| (path(text), entry));
        assert_eq!(files, BTreeMap::from(expected), "{}", place.way);

        let root = mirror.log(before, None, 10).await.unwrap();
        let super::History::Whole(log) = root else {
            panic!("nothing was known");
        };
        assert_eq!(log[0].parents, [log[1].id.clone()]);
        assert_eq!(log[0].committer.email, "ada@example.com");
        let root = mirror.changes(log[1].id.clone()).await.unwrap();
        assert_eq!((root.parents.len(), root.files.len()), (0, 5));
    }
}

/// A commit that makes `count` files of `size` bytes.
fn files(count: usize, size: usize) -> String {
    let mut stream = String::from(
        "commit refs/heads/main\ncommitter A <a@b> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n",
    );
    for number in 0..count {
        let content = "x".repeat(size);
        write!(
            stream,
            "M 100644 inline many/{size}/{number}.yaml\ndata {size}\n{content}\n"
        )
        .unwrap();
    }
    stream
}

#[tokio::test]
async fn a_commit_that_changes_too_much_is_refused_in_words() {
    let ground = Ground::new();
    let place = ground.seeded().remove(0);
    let mirror = place.open();
    let base = head_of(&mirror).await;
    import(&place.bare, files(10_001, 1).as_bytes());
    let many = head_of(&mirror).await;
    let error = mirror.changes(many.clone()).await.unwrap_err();
    let words = format!("commit `{many}` changes 10001 files, more than 10000");
    assert_eq!(error.to_string(), words);

    import(&place.bare, files(17, 4 << 20).as_bytes());
    let large = head_of(&mirror).await;
    let error = mirror.changes(large).await.unwrap_err();
    assert!(matches!(error, ChangesError::TooLarge { .. }), "{error:?}");
    assert_eq!(mirror.changes(base).await.unwrap().parents.len(), 1);
}
