//! OpenPGP keys as people have them: made, exported and believed by GnuPG.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::git::command;
use crate::process::program;

/// The keyring of one user.
#[must_use = "the keys are gone when this is dropped"]
pub struct Keyring {
    folder: TempDir,
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new()
    }
}

impl Keyring {
    /// With no keys.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder }
    }

    /// Makes a key for `user`, as the lines of GnuPG's own form say, and gives it in armor, closed by `passphrase` if there
    /// is one.
    pub fn make(&self, user: &str, lines: &str, passphrase: &str) -> String {
        let closed = match passphrase {
            "" => "%no-protection".to_owned(),
            passphrase => format!("Passphrase: {passphrase}"),
        };
        let form = format!("{lines}\nName-Real: {user}\n{closed}\n%commit\n");
        self.gpg(&["--gen-key"], &form);
        self.gpg(
            &[
                "--passphrase",
                passphrase,
                "--armor",
                "--export-secret-keys",
                user,
            ],
            "",
        )
    }

    /// The folder that `GNUPGHOME` names.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets git verify the signature of a commit by this keyring, and gives what GnuPG says of it.
    pub fn verify_commit(&self, repository: &Path, id: &str) -> String {
        let mut command = command(repository);
        command
            .env("GNUPGHOME", self.folder())
            .args(["verify-commit", "--raw", id]);
        let output = command.output().expect("`git` can be run");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git verify-commit: {words}");
        words.into_owned()
    }

    /// Runs GnuPG on the keyring and gives what it prints.
    pub fn gpg(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(program("gpg"));
        command.arg("--homedir").arg(self.folder());
        command.args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        command.args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("gpg can be run");
        let mut stdin = child.stdin.take().expect("its input is ours");
        stdin
            .write_all(input.as_bytes())
            .expect("gpg reads its input");
        drop(stdin);
        let output = child.wait_with_output().expect("gpg ends");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {words}");
        String::from_utf8(output.stdout).expect("gpg prints text")
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        // The agent of this keyring alone.
        let mut command = Command::new(program("gpgconf"));
        command
            .arg("--homedir")
            .arg(self.folder())
            .args(["--kill", "all"]);
        let _ = command.output();
    }
}
