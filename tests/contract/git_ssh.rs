//! What a mirror promises over SSH, held against OpenSSH's own server: who is believed, who is let in, and what passes.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use bed::{SshServer, git, import, install_hook};
use tempfile::TempDir;

use super::contract::{commit, done, head_of, path, push_of, seed, told};
use super::push::Deleted;
use super::{Entry, Kept, Mirror, Push, PushError, Pushed, Remote, RemoteUrl, remote::Timeouts};
use crate::login::Clock;
use crate::manifest::{CommitId, SshAddress};
use crate::secret::{Secret, SshKey, SshLogin};

/// A server with one repository.
struct Ground {
    server: SshServer,
    bare: PathBuf,
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let server = SshServer::start();
        let bare = server.create("deploy's.git");
        import(&bare, seed().as_bytes());
        let folder = tempfile::tempdir().unwrap();
        Self {
            server,
            bare,
            folder,
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// With a key that may log in, and the server's ed25519 key known.
    fn login(&self) -> SshLogin {
        self.login_by(self.server.key("ed25519", ""))
    }

    fn login_by(&self, key: PathBuf) -> SshLogin {
        SshLogin {
            key: SshKey {
                key: Secret::File(key),
                passphrase: None,
            },
            known_hosts: self.file("known_hosts", &self.server.known_host("ed25519")),
        }
    }

    fn address(&self) -> SshAddress {
        SshAddress {
            user: self.server.user(),
            host: "127.0.0.1".to_owned(),
            port: self.server.port(),
            path: self.bare.display().to_string(),
        }
    }

    fn mirror(&self, address: SshAddress, login: SshLogin) -> Mirror {
        self.open(address, login, Timeouts::default(), Kept::Everything)
    }

    fn open(&self, to: SshAddress, login: SshLogin, timeouts: Timeouts, kept: Kept) -> Mirror {
        let remote = Remote {
            timeouts,
            kept,
            ..Remote::new(
                "deploy".to_owned(),
                RemoteUrl::Ssh(Box::new((to, login))),
                Clock::default(),
            )
        };
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Mirror::open(remote, folder).unwrap()
    }

    /// Why a fetch by `login` fails, in words, and what a person is told to do.
    async fn refusal(&self, login: SshLogin) -> (String, String) {
        let mirror = self.mirror(self.address(), login);
        let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
        let hint = error.hint().unwrap_or_default().to_owned();
        let url = error.to_string();
        (told(&error).replace(&format!("{url}: "), ""), hint)
    }

    fn head(&self) -> CommitId {
        git(&self.bare, &["rev-parse", "main"]).parse().unwrap()
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn keys_of_each_kind_let_in_and_what_is_there_is_fetched_and_read() {
    let ground = Ground::new();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let login = ground.login_by(ground.server.key(kind, ""));
        let mirror = ground.mirror(ground.address(), login);
        let head = head_of(&mirror).await;
        assert_eq!(head, ground.head(), "{kind}");
        assert_eq!(head_of(&mirror).await, head, "{kind}: nothing is new");
        let file = path("apps/web/overlays/dev/kustomization.yaml");
        let entries = mirror.read(head, vec![file.clone()]).await.unwrap();
        let bytes = b"newTag: v2\n".into();
        assert_eq!(entries[&file], Entry::File { bytes }, "{kind}");
    }
    assert!(!ground.server.log().contains("ssh-rsa SHA1"));
}

#[tokio::test]
async fn a_key_with_a_passphrase_opens_with_it_alone() {
    let ground = Ground::new();
    let key = ground.server.key("ed25519", "correct horse");
    let with = |passphrase: Option<&str>| {
        let mut login = ground.login_by(key.clone());
        let file = passphrase.map(|text| ground.file("passphrase", text));
        login.key.passphrase = file.map(Secret::File);
        login
    };
    let mirror = ground.mirror(ground.address(), with(Some("correct horse")));
    assert_eq!(head_of(&mirror).await, ground.head());
    let (words, hint) = ground.refusal(with(None)).await;
    let place = format!("file `{}`", name(&key));
    assert_eq!(
        words,
        format!("the key in {place} has a passphrase, and none is set")
    );
    assert_eq!(hint, "name the passphrase as `passphrase` beside `ssh-key`");
    let (words, _) = ground.refusal(with(Some("hunter2"))).await;
    assert_eq!(
        words,
        format!("the passphrase does not open the key in {place}")
    );
}

#[tokio::test]
async fn keys_in_pem_are_read_too() {
    let ground = Ground::new();
    for form in ["PEM", "PKCS8"] {
        let key = ground.server.key("rsa", "");
        let rewritten = std::process::Command::new("ssh-keygen")
            .args(["-q", "-p", "-N", "", "-m", form, "-f"])
            .arg(&key)
            .output()
            .unwrap();
        assert!(rewritten.status.success(), "{rewritten:?}");
        let mirror = ground.mirror(ground.address(), ground.login_by(key));
        assert_eq!(head_of(&mirror).await, ground.head(), "{form}");
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_missing_or_none_is_told_with_what_to_do() {
    let ground = Ground::new();
    let (words, hint) = ground
        .refusal(ground.login_by(ground.server.stranger("rsa", "")))
        .await;
    assert!(
        words.starts_with("the server refused the key SHA256:"),
        "{words}"
    );
    assert!(hint.contains("deploy key"), "{hint}");
    let short = ground.folder.path().join("short");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"])
        .arg(&short)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let (words, hint) = ground.refusal(ground.login_by(short)).await;
    assert!(words.ends_with("keys of 2048 to 8192 bits can"), "{words}");
    assert_eq!(hint, "use an ed25519 key");
    let gone = ground.folder.path().join("gone");
    let (words, hint) = ground.refusal(ground.login_by(gone.clone())).await;
    let start = format!(
        "failed to read the key: failed to read the secret in `{}`",
        name(&gone)
    );
    assert!(words.starts_with(&start), "{words}");
    assert!(hint.contains("private key"), "{hint}");
    let public = ground.server.key("ed25519", "").with_extension("pub");
    let (words, hint) = ground.refusal(ground.login_by(public.clone())).await;
    let place = format!("file `{}`", name(&public));
    assert_eq!(
        words,
        format!("there is no private key that can be used in {place}")
    );
    assert!(hint.contains("not the public one"), "{hint}");
}

#[tokio::test]
async fn a_host_is_believed_by_a_key_that_is_known_of_it_and_no_other() {
    let mut ground = Ground::new();
    let login = ground.login();
    let known = |text: &str| {
        let known_hosts = ground.file("others", text);
        SshLogin {
            known_hosts,
            ..login.clone()
        }
    };
    let rsa = known(&ground.server.known_host("rsa"));
    let mirror = ground.mirror(ground.address(), rsa);
    assert_eq!(head_of(&mirror).await, ground.head(), "by RSA alone");

    let host = format!("[127.0.0.1]:{}", ground.server.port());
    let file = name(&ground.folder.path().join("others"));
    let (words, hint) = ground.refusal(known("")).await;
    assert_eq!(words, format!("`{file}` has no key of the host `{host}`"));
    assert!(hint.contains("ssh-keyscan"), "{hint}");
    let ecdsa = ground.server.stranger("ecdsa", "").with_extension("pub");
    let ecdsa = std::fs::read_to_string(ecdsa).unwrap();
    let (words, _) = ground.refusal(known(&format!("{host} {ecdsa}"))).await;
    assert!(
        words.starts_with("the host has none of the kinds of keys that are known of it (ecdsa-"),
        "{words}"
    );
    let gone = SshLogin {
        known_hosts: ground.folder.path().join("gone"),
        ..login.clone()
    };
    let (words, _) = ground.refusal(gone).await;
    assert!(
        words.starts_with("failed to read the known hosts in `"),
        "{words}"
    );

    ground.server.stop();
    ground.server.new_host_keys();
    ground.server.resume();
    let (words, hint) = ground.refusal(login).await;
    let file = name(&ground.folder.path().join("known_hosts"));
    let start = format!("the host `{host}` shows a key that `{file}` does not have of it: SHA256:");
    assert!(words.starts_with(&start), "{words}");
    assert!(hint.contains("in between"), "{hint}");
    assert!(!ground.server.log().contains("Accepted"));
}

#[tokio::test]
async fn branches_are_made_moved_rebuilt_and_deleted_by_compare_and_swap() {
    let ground = Ground::new();
    let mirror = ground.mirror(ground.address(), ground.login());
    let base = head_of(&mirror).await;
    let change = |content: &str| vec![commit("ours", &[("x.yaml", content)])];
    let first = done(mirror.push(push_of(&base, change("x: 1\n"))).await.unwrap());
    assert_eq!(first, [ground.head()]);
    let late = mirror.push(push_of(&base, change("x: 2\n"))).await.unwrap();
    let head = Some(first[0].clone());
    assert_eq!(late, Pushed::Moved { head }, "no fast-forward");

    let proposal = |expected: Option<&CommitId>, content: &str| Push {
        branch: "towpath/dev/web".to_owned(),
        expected: expected.cloned(),
        ..push_of(&first[0], change(content))
    };
    let one = done(mirror.push(proposal(None, "x: 3\n")).await.unwrap());
    let two = done(
        mirror
            .push(proposal(Some(&one[0]), "x: 4\n"))
            .await
            .unwrap(),
    );
    let heads = mirror.fetch(&[], &["towpath/".to_owned()]).await.unwrap();
    assert_eq!(heads["towpath/dev/web"].commit(), Some(&two[0]));
    let delete = async |expected: &CommitId| {
        let branch = "towpath/dev/web".to_owned();
        mirror.delete(branch, expected.clone()).await.unwrap()
    };
    let head = two[0].clone();
    assert_eq!(delete(&one[0]).await, Deleted::Moved { head });
    assert_eq!(delete(&two[0]).await, Deleted::Done);
    let branches = git(&ground.bare, &["branch", "--format=%(refname:short)"]);
    assert_eq!(branches, "main");
    git(&ground.bare, &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_hook_that_rejects_is_quoted_over_ssh() {
    let ground = Ground::new();
    let mirror = ground.mirror(ground.address(), ground.login());
    let base = head_of(&mirror).await;
    install_hook(
        &ground.bare,
        "pre-receive",
        "echo 'frozen until Monday' >&2; exit 1",
    );
    let push = push_of(&base, vec![commit("ours", &[("x.yaml", "x: 1\n")])]);
    let error = mirror.push(push.clone()).await.unwrap_err();
    assert!(matches!(error, PushError::Rejected { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the server rejected the push to `main`: frozen until Monday\npre-receive hook declined"
    );
    install_hook(&ground.bare, "pre-receive", "kill -9 $PPID");
    mirror.push(push.clone()).await.unwrap_err();
    assert_eq!(ground.head(), base);
    std::fs::remove_file(ground.bare.join("hooks/pre-receive")).unwrap();
    install_hook(&ground.bare, "post-receive", "kill -9 $PPID");
    let ids = done(mirror.push(push).await.unwrap());
    assert_eq!(ids, [ground.head()], "an answer that was lost was a yes");
}

#[tokio::test]
async fn a_large_repository_and_a_large_push_pass() {
    let ground = Ground::new();
    let mirror = ground.mirror(ground.address(), ground.login());
    let base = head_of(&mirror).await;
    // More than a window of SSH: random text does not shrink.
    let text: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(4 << 20)
        .collect();
    let files = ["a.txt", "b.txt"].map(|file| (file, text.as_str()));
    let push = push_of(&base, vec![commit("large", &files)]);
    let ids = done(mirror.push(push).await.unwrap());
    let other = ground.mirror(ground.address(), ground.login());
    assert_eq!(head_of(&other).await, ids[0]);
    let entries = other.read(ids[0].clone(), vec![path("b.txt")]).await;
    let bytes = text.into_bytes();
    assert_eq!(entries.unwrap()[&path("b.txt")], Entry::File { bytes });
}

#[tokio::test]
async fn commits_alone_are_brought_over_ssh_where_the_server_can_leave_out_the_rest() {
    let ground = Ground::new();
    git(&ground.bare, &["config", "uploadpack.allowFilter", "true"]);
    let (address, login) = (ground.address(), ground.login());
    let mirror = ground.open(address, login, Timeouts::default(), Kept::Commits);
    let head = head_of(&mirror).await;
    let file = path("bin/run");
    mirror.read(head.clone(), vec![file]).await.unwrap_err();
    let log = super::contract::history_of(&mirror, &head).await;
    assert_eq!(log.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_down_silent_or_has_no_such_repository_is_told() {
    let mut ground = Ground::new();
    let login = ground.login();
    let mut nowhere = ground.address();
    nowhere.path = "/nothing.git".to_owned();
    let mirror = ground.mirror(nowhere, login.clone());
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    let words = told(&error);
    assert!(words.contains("the server ended the talk: "), "{words}");
    assert!(
        words.contains("does not appear to be a git repository"),
        "{words}"
    );

    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut address = ground.address();
    address.port = silent.local_addr().unwrap().port();
    let known = ground.server.known_host("ed25519");
    let port = ground.server.port().to_string();
    let known = known.replace(&port, &address.port.to_string());
    let timeouts = Timeouts {
        connect: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let known_hosts = ground.file("silent", &known);
    let silent = SshLogin {
        known_hosts,
        ..login.clone()
    };
    let mirror = ground.open(address, silent, timeouts, Kept::Everything);
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(
        told(&error).ends_with("the server took too long"),
        "{}",
        told(&error)
    );

    let mirror = ground.mirror(ground.address(), login);
    let head = head_of(&mirror).await;
    ground.server.stop();
    let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
    assert!(
        told(&error).contains("failed to reach the server"),
        "{}",
        told(&error)
    );
    let push = push_of(&head, vec![commit("x", &[("x.yaml", "x: 1\n")])]);
    mirror.push(push.clone()).await.unwrap_err();
    ground.server.resume();
    let ids = done(mirror.push(push).await.unwrap());
    assert_eq!(ids, [ground.head()]);
}

/// A way to the server that lets so many bytes of it through and then no more; gives its port, and whether the client hung
/// up before long.
fn stalling(server: u16, bytes: u64) -> (u16, JoinHandle<bool>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let relay = move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let (mut answer, mut back) = (
            server.try_clone().unwrap().take(bytes),
            client.try_clone().unwrap(),
        );
        std::thread::spawn(move || io::copy(&mut answer, &mut back));
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        match io::copy(&mut client, &mut server) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    };
    (port, std::thread::spawn(relay))
}

#[tokio::test]
async fn a_server_that_stalls_is_hung_up_on_at_whatever_stage() {
    let ground = Ground::new();
    // Before its greeting, as it offers ways to exchange keys, as it shows its own, and as we log in.
    for bytes in [0, 60, 1_300, 2_200] {
        let (port, relay) = stalling(ground.server.port(), bytes);
        let known = ground.server.known_host("ed25519");
        let known = known.replace(&ground.server.port().to_string(), &port.to_string());
        let login = SshLogin {
            known_hosts: ground.file("stalling", &known),
            ..ground.login()
        };
        let address = SshAddress {
            port,
            ..ground.address()
        };
        let timeouts = Timeouts {
            connect: Duration::from_millis(500),
            idle: Duration::from_millis(500),
            ..Timeouts::default()
        };
        let mirror = ground.open(address, login, timeouts, Kept::Everything);
        let error = mirror.fetch(&["main".to_owned()], &[]).await.unwrap_err();
        let words = told(&error);
        assert!(words.ends_with("the server took too long"), "{words}");
        assert!(relay.join().unwrap(), "{bytes}: the connection is held");
    }
}
