//! What the settings of a repository change: how much history is kept, what hooks are told, and who signs.

use std::fmt::Write as _;

use bed::{Keyring, git, import, install_hook};

use super::changes::ChangesError;
use super::contract::{Ground, Place, commit, done, head_of, push_of, told};
use super::{History, Maker, Mirror, Remote};
use crate::login::Clock;
use crate::manifest::CommitId;
use crate::secret::{OpenPgpKey, Secret, SigningKey, SshKey};

/// Adds `count` commits to `main`.
fn grow(place: &Place, count: usize) {
    let mut stream = String::from("feature done\n");
    for number in 0..count {
        let from = match number {
            0 => "from refs/heads/main^0\n",
            _ => "",
        };
        let time = 1_700_001_000 + number;
        write!(
            stream,
            "commit refs/heads/main\ncommitter B <b@c> {time} +0000\ndata 4\ngrow\n{from}M 100644 inline grown/{number}.yaml\ndata 2\nx\n\n"
        )
        .unwrap();
    }
    stream += "done\n";
    import(&place.bare, stream.as_bytes());
}

fn ids(history: &History) -> Vec<CommitId> {
    let (History::Since(commits) | History::Whole(commits) | History::Cut(commits)) = history;
    commits.iter().map(|commit| commit.id.clone()).collect()
}

#[tokio::test]
async fn a_mirror_with_a_depth_keeps_as_much_says_so_and_pushes_all_the_same() {
    let ground = Ground::new();
    let mut place = ground.seeded().remove(1);
    grow(&place, 5);
    place.remote.depth = Some(3);
    let mirror = place.open();
    let head = head_of(&mirror).await;
    let folder = ground.mirror_of(&place);
    let kept = git(&folder, &["rev-list", "--count", "main"]);
    assert_eq!(kept, "3");
    let history = mirror.log(head.clone(), None, 100).await.unwrap();
    let History::Cut(log) = &history else {
        panic!("{history:?}");
    };
    assert_eq!((log.len(), &log[0].id), (3, &head));
    assert_eq!(log[2].parents.len(), 1, "it stands in the commit");
    let changed = mirror.changes(head.clone()).await.unwrap();
    assert_eq!(changed.parents, [log[1].id.clone()]);
    assert_eq!(changed.files.len(), 1);
    let error = mirror.changes(log[2].id.clone()).await.unwrap_err();
    assert!(matches!(error, ChangesError::Cut { .. }), "{error:?}");

    let push = push_of(&head, vec![commit("ours", &[("ours.yaml", "x: 1\n")])]);
    let ours = done(mirror.push(push).await.unwrap()).remove(0);
    assert_eq!(place.head(), ours);
    let since = mirror.log(ours.clone(), Some(head), 100).await.unwrap();
    assert_eq!(ids(&since), std::slice::from_ref(&ours));
    grow(&place, 2);
    let newer = head_of(&mirror).await;
    let since = mirror.log(newer.clone(), Some(ours.clone()), 100).await;
    let since = since.unwrap();
    assert!(
        matches!(&since, History::Since(log) if log.len() == 2),
        "{since:?}"
    );
    git(&place.bare, &["fsck", "--strict"]);

    mirror.close().await;
    place.remote.depth = None;
    let mirror = place.open();
    assert_eq!(head_of(&mirror).await, newer);
    let whole = mirror.log(newer, None, 100).await.unwrap();
    assert!(
        matches!(&whole, History::Whole(log) if log.len() == 10),
        "{whole:?}"
    );
}

#[tokio::test]
async fn hooks_are_told_the_push_options_where_the_server_takes_them() {
    let ground = Ground::new();
    let mut place = ground.seeded().remove(1);
    place.remote.push_options = vec!["ci.skip".to_owned()];
    let told = place.bare.join("told");
    let script = format!(
        "echo $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1 > {}",
        told.display()
    );
    install_hook(&place.bare, "pre-receive", &script);
    let mirror = place.open();
    let base = head_of(&mirror).await;
    let push = async |base: &CommitId, content: &str| {
        let mut push = push_of(base, vec![commit("x", &[("x.yaml", content)])]);
        push.options = vec!["topic=web".to_owned()];
        done(mirror.push(push).await.unwrap()).remove(0)
    };
    let first = push(&base, "x: 1\n").await;
    let words = std::fs::read_to_string(&told).unwrap();
    assert!(!words.contains("ci.skip"), "{words}");
    git(
        &place.bare,
        &["config", "receive.advertisePushOptions", "true"],
    );
    push(&first, "x: 2\n").await;
    let words = std::fs::read_to_string(&told).unwrap();
    assert_eq!(words, "2 ci.skip topic=web\n");
}

#[tokio::test]
async fn commits_that_an_ssh_key_signed_are_verified_by_git() {
    let ground = Ground::new();
    for (place, kind) in ground.seeded().into_iter().zip(["ed25519", "ecdsa", "rsa"]) {
        let folder = tempfile::tempdir().unwrap();
        let (file, passphrase) = (folder.path().join("key"), folder.path().join("passphrase"));
        bed::make_key(&file, kind, "correct horse");
        std::fs::write(&passphrase, "correct horse\n").unwrap();
        let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        let signers = folder.path().join("signers");
        std::fs::write(&signers, format!("ada@example.com {public}")).unwrap();
        let with = |passphrase| Remote {
            signing: Some(SigningKey::Ssh(SshKey {
                key: Secret::File(file.clone()),
                passphrase,
            })),
            ..place.remote.clone()
        };
        let open = |remote, name| Mirror::open(remote, folder.path().join(name)).unwrap();

        let closed = open(with(None), "closed");
        let base = head_of(&closed).await;
        let commits = ["one\n\nTowpath-Policy: web", "two"]
            .map(|message| commit(message, &[("x.yaml", message)]));
        let push = push_of(&base, commits.to_vec());
        let error = closed.push(push.clone()).await.unwrap_err();
        let words = told(&error);
        assert!(words.contains("failed to sign a commit"), "{words}");
        assert!(
            words.ends_with("has a passphrase, and none is set"),
            "{words}"
        );
        assert_eq!(place.head(), base);

        let mirror = open(with(Some(Secret::File(passphrase))), "open");
        head_of(&mirror).await;
        let ids = done(mirror.push(push).await.unwrap());
        let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
        for id in &ids {
            let verify = [
                "-c",
                "gpg.format=ssh",
                "-c",
                &signers,
                "verify-commit",
                id.as_str(),
            ];
            git(&place.bare, &verify);
        }
        git(&place.bare, &["fsck", "--strict"]);
        let message = git(&place.bare, &["log", "-1", "--format=%B", ids[0].as_str()]);
        assert_eq!(message, "one\n\nTowpath-Policy: web", "{kind}");
    }
}

#[tokio::test]
async fn commits_that_an_openpgp_key_signed_are_verified_by_git() {
    let ground = Ground::new();
    let mut place = ground.seeded().remove(1);
    let (keyring, folder) = (Keyring::new(), tempfile::tempdir().unwrap());
    let key = folder.path().join("key");
    let ed25519 = "Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign";
    std::fs::write(&key, keyring.make("Ada", ed25519, "")).unwrap();
    place.remote.signing = Some(SigningKey::OpenPgp(OpenPgpKey {
        key: Secret::File(key),
        passphrase: None,
    }));
    // A key signs nothing before it was made.
    place.remote.clock = Clock(crate::daemon::now);
    let mirror = place.open();
    let base = head_of(&mirror).await;
    let mut commits = ["one\n\nTowpath-Policy: web", "two"]
        .map(|message| commit(message, &[("x.yaml", message)]));
    for commit in &mut commits {
        let Maker::Us { time, .. } = &mut commit.maker else {
            panic!("{commit:?}");
        };
        *time = crate::daemon::now();
    }
    let ids = done(mirror.push(push_of(&base, commits.to_vec())).await.unwrap());
    for id in &ids {
        let words = keyring.verify_commit(&place.bare, id.as_str());
        assert!(
            words.contains("GOODSIG") && words.contains("Ada"),
            "{words}"
        );
    }
    git(&place.bare, &["fsck", "--strict"]);
}
