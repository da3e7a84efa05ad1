//! A git server over SSH: OpenSSH's own, for the user who runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::git::create_bare;
use crate::process::{Process, free_port, program};

/// A server for the repositories in one folder.
#[must_use = "the server ends when this is dropped"]
pub struct SshServer {
    running: Option<Process>,
    folder: TempDir,
    port: u16,
}

impl SshServer {
    /// Starts the server with an ed25519 and an RSA key of its own, with no repository, and with no key that may log in.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Self {
            running: None,
            port: free_port(),
            folder,
        };
        server.write("authorized_keys", "");
        server.new_host_keys();
        server.resume();
        server
    }

    /// Starts what [`SshServer::stop`] ended, at the same port.
    pub fn resume(&mut self) {
        // Where it runs as root, the server wants a folder for its unprivileged half, which Debian makes at each boot.
        let _ = fs::create_dir_all("/run/sshd");
        let folder = self.folder.path().display();
        let port = self.port;
        let config = format!(
            "ListenAddress 127.0.0.1:{port}
HostKey {folder}/host-ed25519
HostKey {folder}/host-rsa
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
LogLevel VERBOSE
"
        );
        self.write("sshd_config", &config);
        let mut command = Command::new(program("sshd"));
        command.args(["-D", "-e", "-f"]);
        command.arg(self.folder.path().join("sshd_config"));
        let process = Process::start(command, &self.folder.path().join("sshd.log"));
        process.wait_until("sshd", || process.log().contains("Server listening"));
        self.running = Some(process);
    }

    /// Ends the server; the repositories stay.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Gives the server other keys, which count from the next [`SshServer::resume`] on.
    pub fn new_host_keys(&self) {
        for kind in ["ed25519", "rsa"] {
            let file = self.folder.path().join(format!("host-{kind}"));
            let _ = fs::remove_file(&file);
            make_key(&file, kind, "");
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who may log in.
    pub fn user(&self) -> String {
        let output = Command::new("id").arg("-un").output();
        let output = output.expect("`id` can be run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The line of a file of known hosts with the server's key of `kind`.
    pub fn known_host(&self, kind: &str) -> String {
        let file = self.folder.path().join(format!("host-{kind}.pub"));
        let key = fs::read_to_string(file).expect("the server has a public key");
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// Makes a key that may log in, `ed25519`, `ecdsa` or `rsa`, and gives its file.
    pub fn key(&self, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.stranger(kind, passphrase);
        let public = fs::read_to_string(file.with_extension("pub"));
        let public = public.expect("the key has a public half");
        let known = self.folder.path().join("authorized_keys");
        let before = fs::read_to_string(&known).expect("the file was written");
        fs::write(known, before + &public).expect("the folder can be written");
        file
    }

    /// Makes a key that may not log in.
    pub fn stranger(&self, kind: &str, passphrase: &str) -> PathBuf {
        let number = fs::read_dir(self.folder.path()).map_or(0, Iterator::count);
        let file = self.folder.path().join(format!("key-{number}"));
        make_key(&file, kind, passphrase);
        file
    }

    /// Makes an empty bare repository and gives its folder.
    pub fn create(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        create_bare(&folder);
        folder
    }

    /// What the server has printed since it was started.
    pub fn log(&self) -> String {
        self.running.as_ref().map(Process::log).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("the folder can be written");
    }
}

/// Makes a private key in `file`, in OpenSSH's form, and its public half beside it.
pub fn make_key(file: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new(program("ssh-keygen"));
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", "", "-f"]);
    let output = command.arg(file).output();
    let output = output.expect("`ssh-keygen` can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen: {errors}");
}
